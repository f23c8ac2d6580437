//! JSON that people hand in. A key that stands twice is refused, because readers differ in which of the two they
//! believe; so is a list where a named thing is expected; and a complaint names the field that is wrong.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess,
    SeqAccess, Visitor,
};

/// Why a text is not what was expected.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What was found and what was expected, with the field that is wrong.
    pub message: String,
    /// Where in the text, from 1.
    pub line: usize,
    /// Where in the line, from 1.
    pub column: usize,
}

/// Reads a text as one value.
///
/// # Errors
/// It is no JSON, more than one value, has a key twice, or is not what was expected.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    let trail = Trail::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let value = T::deserialize(Strict {
        inner: &mut json,
        trail: &trail,
    });
    value
        .and_then(|value| json.end().map(|()| value))
        .map_err(|error| trail.fault(&error))
}

/// The fields that lead to where something is wrong, the innermost first.
#[derive(Default)]
struct Trail(RefCell<Vec<String>>);

impl Trail {
    /// Adds a field on the way out of an error.
    fn within<T, E>(&self, field: impl FnOnce() -> String, answer: Result<T, E>) -> Result<T, E> {
        if answer.is_err() {
            self.0.borrow_mut().push(field());
        }
        answer
    }

    fn fault(&self, error: &serde_json::Error) -> Fault {
        let text = error.to_string();
        // The place is told apart.
        let text = text
            .rsplit_once(" at line ")
            .map_or(text.as_str(), |(text, _)| text);
        let fields: String = self.0.borrow().iter().rev().map(String::as_str).collect();
        let message = match fields.trim_start_matches('.') {
            "" => text.to_owned(),
            fields => format!("{fields}: {text}"),
        };
        Fault {
            message,
            line: error.line().max(1),
            column: error.column().max(1),
        }
    }
}

/// Anything of serde's that reads, and where it has come to.
struct Strict<'t, T> {
    inner: T,
    trail: &'t Trail,
}

impl<'t, T> Strict<'t, T> {
    fn of<U>(&self, inner: U) -> Strict<'t, U> {
        Strict {
            inner,
            trail: self.trail,
        }
    }
}

/// Hands on what needs no attention of its own.
macro_rules! forward {
    ($($method:ident($($argument:ident: $kind:ty),*)),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, $($argument: $kind,)* visitor: V) -> Result<V::Value, D::Error> {
            let visitor = self.of(visitor);
            self.inner.$method($($argument,)* visitor)
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<'_, D> {
    type Error = D::Error;

    forward! {
        deserialize_any(), deserialize_bool(), deserialize_i8(), deserialize_i16(), deserialize_i32(),
        deserialize_i64(), deserialize_u8(), deserialize_u16(), deserialize_u32(), deserialize_u64(),
        deserialize_f32(), deserialize_f64(), deserialize_char(), deserialize_str(), deserialize_string(),
        deserialize_bytes(), deserialize_byte_buf(), deserialize_option(), deserialize_unit(), deserialize_seq(),
        deserialize_map(), deserialize_identifier(), deserialize_ignored_any(),
        deserialize_unit_struct(name: &'static str), deserialize_newtype_struct(name: &'static str),
        deserialize_tuple(length: usize), deserialize_tuple_struct(name: &'static str, length: usize),
        deserialize_enum(name: &'static str, variants: &'static [&'static str]),
    }

    /// Only an object: serde would also take the fields in their order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = Object(self.of(visitor));
        self.inner.deserialize_map(visitor)
    }
}

/// A visitor that takes an object and nothing else.
struct Object<'t, V>(Strict<'t, V>);

impl<'de, V: Visitor<'de>> Visitor<'de> for Object<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(map)
    }
}

/// Hands on a value that has no parts.
macro_rules! plain {
    ($($method:ident: $kind:ty),* $(,)?) => {
        $(fn $method<E: Error>(self, value: $kind) -> Result<V::Value, E> {
            self.inner.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Strict<'_, V> {
    type Value = V::Value;

    plain! {
        visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str,
        visit_borrowed_str: &'de str, visit_string: String,
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        let value = self.of(value);
        self.inner.visit_some(value)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        let value = self.of(value);
        self.inner.visit_newtype_struct(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        let items = Items {
            items: self.of(items),
            at: 0,
        };
        self.inner.visit_seq(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<V::Value, A::Error> {
        let fields = Fields {
            fields: self.of(fields),
            seen: BTreeSet::new(),
            at: String::new(),
        };
        self.inner.visit_map(fields)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(variant)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<S::Value, D::Error> {
        let value = self.of(value);
        self.inner.deserialize(value)
    }
}

/// The items of a list, and how many have been read.
struct Items<'t, A> {
    items: Strict<'t, A>,
    at: usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Items<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let seed = self.items.of(seed);
        let read = self.items.inner.next_element_seed(seed);
        let at = self.at;
        self.at += 1;
        self.items.trail.within(|| format!("[{at}]"), read)
    }
}

/// The fields of an object, those that have been read, and the last of them.
struct Fields<'t, A> {
    fields: Strict<'t, A>,
    seen: BTreeSet<String>,
    at: String,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let Some(key) = self.fields.inner.next_key::<String>()? else {
            return Ok(None);
        };
        if !self.seen.insert(key.clone()) {
            return Err(A::Error::custom(format_args!("the key `{key}` stands twice")));
        }
        self.at = key;
        let key: StrDeserializer<'_, A::Error> = self.at.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.fields.of(seed);
        let read = self.fields.inner.next_value_seed(seed);
        let at = &self.at;
        self.fields.trail.within(|| format!(".{at}"), read)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Deserialize, PartialEq, Debug)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        inner: Option<Inner>,
        #[serde(default)]
        by_name: BTreeMap<String, Vec<Inner>>,
        #[serde(default)]
        any: Value,
    }

    #[derive(Deserialize, PartialEq, Debug)]
    struct Inner {
        n: u8,
    }

    #[test]
    fn a_text_is_read_as_serde_reads_it() {
        let text = r#"{"inner": {"n": 1}, "by_name": {"a\u0062": [{"n": 2}]}, "any": [null, true, -1, 0.5, "x", {"k": {}}]}"#;
        let strict: Outer = read(text).unwrap();
        assert_eq!(strict, serde_json::from_str(text).unwrap());
        assert_eq!(read::<Value>("[1e3]").unwrap(), json!([1e3]));
    }

    #[test]
    fn a_key_twice_a_list_for_an_object_and_a_wrong_field_are_told_with_their_place() {
        let table = [
            (
                r#"{"inner": {"n": 1, "n": 1}}"#,
                "inner: the key `n` stands twice",
                1,
            ),
            (
                "{\n\"any\": {\"k\": 1,\n\"\\u006b\": 2}}",
                "any: the key `k` stands twice",
                3,
            ),
            (
                r#"{"by_name": {"a": [], "a": []}}"#,
                "by_name: the key `a` stands twice",
                1,
            ),
            (
                r#"{"any": [[{}, {"x": 1, "x": 1}]]}"#,
                "any[0][1]: the key `x` stands twice",
                1,
            ),
            ("[null, {}, 1]", "invalid type: sequence, expected an object", 1),
            (
                r#"{"inner": [1]}"#,
                "inner: invalid type: sequence, expected an object",
                1,
            ),
            (
                r#"{"by_name": {"a": [{"n": 1},{"n": 300}]}}"#,
                "by_name.a[1].n: invalid value: integer `300`, expected u8",
                1,
            ),
            (r#"{"inner": {}}"#, "inner: missing field `n`", 1),
            (
                r#"{"iner": 1}"#,
                "unknown field `iner`, expected one of `inner`, `by_name`, `any`",
                1,
            ),
            ("{}\n{}", "trailing characters", 2),
            ("", "EOF while parsing a value", 1),
        ];
        for (text, message, line) in table {
            let fault = read::<Outer>(text).unwrap_err();
            assert_eq!((fault.message.as_str(), fault.line), (message, line), "{text}");
        }
    }

    #[test]
    fn nesting_ends_in_words() {
        assert!(read::<Value>(&"[".repeat(100_000)).is_err());
    }
}
