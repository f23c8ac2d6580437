//! Bodies: JSON, deflated where that saves units.
//!
//! A unit is 1 KB written or 4 KB read, and a run of seven stages is about 10 KB that every look writes anew. Most of it
//! are words that stand in every run, so it shrinks to a fifth.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use weir_app::StoreError;

use super::decode::decode;
use super::deflate::{deflated, inflated};
use super::fault::unavailable;
use super::item::{ITEM_LIMIT, kind, text};

/// Less than this stays text, which people can read in the console.
const SMALL: usize = 512;

/// Largest JSON of a body, in bytes. Whoever could write to the table must not fill a function's memory.
const UNPACKED_LIMIT: usize = 16 * ITEM_LIMIT;

/// What stands in an item for a value.
pub(super) fn pack(value: &impl Serialize) -> Result<AttributeValue, StoreError> {
    let json = json(value)?;
    match json.len() {
        0..SMALL => Ok(text(json)),
        SMALL..=UNPACKED_LIMIT => Ok(AttributeValue::B(deflated(json.as_bytes()).into())),
        size => Err(StoreError::TooLarge {
            item: "a body".to_owned(),
            size,
            unit: "bytes",
            limit: UNPACKED_LIMIT,
        }),
    }
}

/// JSON as it stays text.
pub(super) fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| unavailable("write JSON", error))
}

/// The value that stands in an attribute of the item of this name.
pub(super) fn unpack<T: DeserializeOwned>(
    item: &str,
    attribute: &str,
    found: Option<&AttributeValue>,
) -> Result<T, StoreError> {
    let wrong = |why: String| decode(item, why);
    match found {
        Some(AttributeValue::S(json)) => serde_json::from_str(json).map_err(|error| wrong(error.to_string())),
        Some(AttributeValue::B(packed)) => {
            let json = inflated(packed.as_ref(), UNPACKED_LIMIT)
                .map_err(|why| wrong(format!("`{attribute}` cannot be inflated: {why}")))?;
            serde_json::from_slice(&json).map_err(|error| wrong(error.to_string()))
        }
        other => Err(wrong(format!("`{attribute}` is {}, not a text", kind(other)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(value: &Vec<String>) -> (AttributeValue, Vec<String>) {
        let packed = pack(value).unwrap();
        let back = unpack("RUN#a/STATE", "body", Some(&packed)).unwrap();
        (packed, back)
    }

    #[test]
    fn what_is_small_stays_text_and_what_is_large_shrinks() {
        let small = vec!["held".to_owned()];
        assert_eq!(through(&small), (text(r#"["held"]"#), small));

        let large = vec!["waiting for a warm pod".to_owned(); 400];
        let (packed, back) = through(&large);
        assert_eq!(back, large);
        assert!(packed.as_b().unwrap().as_ref().len() < 200, "{packed:?}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let read = |found: Option<AttributeValue>| {
            let read: Result<Vec<String>, StoreError> = unpack("RUN#a/STATE", "body", found.as_ref());
            read.unwrap_err().to_string()
        };
        assert!(read(None).contains("RUN#a/STATE"));
        assert!(read(Some(AttributeValue::Bool(true))).contains("`body` is something else, not a text"));
        let torn = AttributeValue::B(vec![0x01, 0x9c, 0x01].into());
        assert!(read(Some(torn)).contains("`body` cannot be inflated"));
    }

    #[test]
    fn what_could_not_be_read_is_not_written() {
        let error = pack(&" ".repeat(UNPACKED_LIMIT)).unwrap_err();
        assert!(
            error.to_string().starts_with("a body has 6553602 bytes"),
            "{error}"
        );
    }

    #[test]
    fn a_few_bytes_cannot_fill_the_memory() {
        let bomb = deflated(&vec![b' '; UNPACKED_LIMIT + 1]);
        assert!(bomb.len() < 10_000);
        let read: Result<Vec<String>, StoreError> =
            unpack("RUN#a/STATE", "body", Some(&AttributeValue::B(bomb.into())));
        assert!(read.unwrap_err().to_string().contains("cannot be inflated"));
    }
}
