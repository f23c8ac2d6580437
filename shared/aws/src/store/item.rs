//! Items, how they are made and read, and changes of them as DynamoDB wants them spelled.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use weir_app::StoreError;

use super::decode::decode;
use super::keys;

/// Largest item, in bytes of its names and values.
pub(super) const ITEM_LIMIT: usize = 400 * 1_024;

/// A number takes at most this many bytes.
const NUMBER_BYTES: usize = 21;

pub(super) type Attributes = HashMap<String, AttributeValue>;

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(format!("{value}"))
}

pub(super) fn key(pk: &str, sk: &str) -> Attributes {
    [(keys::PK.to_owned(), text(pk)), (keys::SK.to_owned(), text(sk))].into()
}

/// What an item is called in errors.
pub(super) fn name(pk: &str, sk: &str) -> String {
    format!("{pk}/{sk}")
}

/// A text that must be there.
pub(super) fn text_of<'a>(item: &'a Attributes, attribute: &str) -> Result<&'a str, StoreError> {
    match item.get(attribute) {
        Some(AttributeValue::S(text)) => Ok(text),
        other => Err(decode(
            name_of(item),
            format!("`{attribute}` is {}, not a text", kind(other)),
        )),
    }
}

/// A number, if it is there.
pub(super) fn number_of(item: &Attributes, attribute: &str) -> Result<Option<i64>, StoreError> {
    let found = item.get(attribute);
    let parsed = match found {
        None => return Ok(None),
        Some(AttributeValue::N(digits)) => digits.parse().ok(),
        Some(_) => None,
    };
    let why = || format!("`{attribute}` is {}, not a whole number", kind(found));
    parsed.map(Some).ok_or_else(|| decode(name_of(item), why()))
}

/// What a read item is called in errors.
pub(super) fn name_of(item: &Attributes) -> String {
    let part = |attribute| match item.get(attribute) {
        Some(AttributeValue::S(text)) => text.as_str(),
        _ => "?",
    };
    name(part(keys::PK), part(keys::SK))
}

/// What an attribute is, in words.
pub(super) fn kind(value: Option<&AttributeValue>) -> &'static str {
    match value {
        None => "missing",
        Some(AttributeValue::S(_)) => "a text",
        Some(AttributeValue::N(_)) => "a number",
        Some(_) => "something else",
    }
}

/// Bytes that DynamoDB counts.
pub(super) fn size(item: &Attributes) -> usize {
    item.iter().map(|(name, value)| name.len() + size_of(value)).sum()
}

fn size_of(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        _ => NUMBER_BYTES,
    }
}

/// Refuses an item that DynamoDB would refuse, with its name and size.
pub(super) fn fits(item: &str, size: usize) -> Result<(), StoreError> {
    match size <= ITEM_LIMIT {
        true => Ok(()),
        false => Err(StoreError::TooLarge {
            item: item.to_owned(),
            size,
            unit: "bytes",
            limit: ITEM_LIMIT,
        }),
    }
}

/// A change of one item. Names and values are given placeholders, as many of DynamoDB's words are taken.
#[derive(Default)]
pub(super) struct Change {
    pub(super) names: HashMap<String, String>,
    pub(super) values: HashMap<String, AttributeValue>,
    set: Vec<String>,
    remove: Vec<String>,
    conditions: Vec<String>,
}

impl Change {
    fn name(&mut self, attribute: &str) -> String {
        let known = self.names.iter().find(|(_, name)| *name == attribute);
        if let Some((placeholder, _)) = known {
            return placeholder.clone();
        }
        let placeholder = format!("#n{}", self.names.len());
        self.names.insert(placeholder.clone(), attribute.to_owned());
        placeholder
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    pub(super) fn set(mut self, attribute: &str, value: AttributeValue) -> Self {
        let set = format!("{} = {}", self.name(attribute), self.value(value));
        self.set.push(set);
        self
    }

    pub(super) fn remove(mut self, attribute: &str) -> Self {
        let name = self.name(attribute);
        self.remove.push(name);
        self
    }

    /// Adds one, from nothing if need be.
    pub(super) fn count(mut self, attribute: &str) -> Self {
        let name = self.name(attribute);
        let (none, one) = (self.value(number(0)), self.value(number(1)));
        self.set
            .push(format!("{name} = if_not_exists({name}, {none}) + {one}"));
        self
    }

    /// Only if the item exists.
    pub(super) fn if_it_is_there(mut self) -> Self {
        let name = self.name(keys::PK);
        self.conditions.push(format!("attribute_exists({name})"));
        self
    }

    /// Only if there is no such item.
    pub(super) fn if_it_is_not_there(mut self) -> Self {
        let name = self.name(keys::PK);
        self.conditions.push(format!("attribute_not_exists({name})"));
        self
    }

    /// Only if the attribute has this value.
    pub(super) fn if_equal(self, attribute: &str, value: AttributeValue) -> Self {
        self.compare(attribute, "=", value)
    }

    /// Only if the attribute is at most this.
    pub(super) fn if_at_most(self, attribute: &str, value: AttributeValue) -> Self {
        self.compare(attribute, "<=", value)
    }

    fn compare(mut self, attribute: &str, relation: &str, value: AttributeValue) -> Self {
        let condition = format!("{} {relation} {}", self.name(attribute), self.value(value));
        self.conditions.push(condition);
        self
    }

    /// Only if the attribute is missing or more than this.
    pub(super) fn if_none_or_more(mut self, attribute: &str, value: AttributeValue) -> Self {
        let (name, value) = (self.name(attribute), self.value(value));
        self.conditions
            .push(format!("(attribute_not_exists({name}) OR {name} > {value})"));
        self
    }

    pub(super) fn update(&self) -> String {
        let part = |word: &str, parts: &[String]| match parts.is_empty() {
            true => String::new(),
            false => format!("{word} {} ", parts.join(", ")),
        };
        format!("{}{}", part("SET", &self.set), part("REMOVE", &self.remove))
    }

    pub(super) fn condition(&self) -> Option<String> {
        (!self.conditions.is_empty()).then(|| self.conditions.join(" AND "))
    }

    /// Bytes that it brings, as far as it knows.
    pub(super) fn size(&self) -> usize {
        let names: usize = self.names.values().map(String::len).sum();
        names + self.values.values().map(size_of).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_spelled_with_placeholders_only() {
        let change = Change::default()
            .set("version", number(2))
            .set("body", text("{}"))
            .remove("due")
            .if_equal("version", number(1));
        assert_eq!(change.update(), "SET #n0 = :v0, #n1 = :v1 REMOVE #n2 ");
        assert_eq!(change.condition().as_deref(), Some("#n0 = :v2"));
        assert_eq!(change.names["#n2"], "due");
    }

    #[test]
    fn an_item_over_the_limit_is_refused_with_its_name_and_size() {
        assert!(fits("RUN#a/STATE", ITEM_LIMIT).is_ok());
        let error = fits("RUN#a/STATE", ITEM_LIMIT + 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "RUN#a/STATE has 409601 bytes; the store takes 409600: make the definition or its outputs smaller"
        );
    }
}
