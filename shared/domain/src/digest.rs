//! SHA-256 and the canonical form of JSON that is hashed.

use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// SHA-256 of bytes, in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// Hex digits of a hash in a name: 48 bits, so that ten thousand objects in a namespace collide with chance 2·10⁻⁷.
const SHORT: usize = 12;

/// The beginning of a text's SHA-256, for names.
pub fn short(text: &str) -> String {
    let mut hex = sha256_hex(text.as_bytes());
    hex.truncate(SHORT);
    hex
}

/// JSON without white space and with object keys in byte order, so that equal values have equal bytes.
pub fn canonical_json(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write_canonical(&map[key], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn key_order_and_white_space_do_not_change_the_canonical_form() {
        let a: Value = serde_json::from_str(r#"{"b": [1, {"y":null,"x":"é\n"}], "a": 1.5}"#).unwrap();
        assert_eq!(canonical_json(&a), r#"{"a":1.5,"b":[1,{"x":"é\n","y":null}]}"#);
        assert_eq!(canonical_json(&json!({})), "{}");
    }

    #[test]
    fn sha256_agrees_with_the_published_vector() {
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
