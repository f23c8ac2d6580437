//! References of a template, given what its resources and parameters are called.

use std::collections::BTreeMap;

use serde_json::Value;

/// What references lead to. Whatever else a template refers to is an error, never an empty text.
#[derive(Clone, Default, Debug)]
pub struct Names {
    refs: BTreeMap<String, Value>,
    attributes: BTreeMap<(String, String), Value>,
}

/// A template refers to something that nobody named.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("nothing is known by {0}")]
pub struct Unknown(String);

impl Names {
    /// `!Ref name` is this.
    pub fn refer(&mut self, name: &str, value: impl Into<Value>) {
        self.refs.insert(name.to_owned(), value.into());
    }

    /// `!GetAtt name.attribute` is this.
    pub fn attribute(&mut self, name: &str, attribute: &str, value: impl Into<Value>) {
        self.attributes
            .insert((name.to_owned(), attribute.to_owned()), value.into());
    }

    /// A value of a template with every reference in it followed.
    ///
    /// # Errors
    /// Nothing is known by a name in it.
    pub fn resolve(&self, value: &Value) -> Result<Value, Unknown> {
        match value {
            Value::Object(members) => {
                if let Some(found) = self.function(value)? {
                    return Ok(found);
                }
                let resolved = members
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), self.resolve(value)?)));
                resolved.collect()
            }
            Value::Array(list) => list.iter().map(|value| self.resolve(value)).collect(),
            plain => Ok(plain.clone()),
        }
    }

    /// The same, as text.
    ///
    /// # Errors
    /// As above.
    pub fn text(&self, value: &Value) -> Result<String, Unknown> {
        Ok(match self.resolve(value)? {
            Value::String(text) => text,
            other => other.to_string(),
        })
    }

    fn function(&self, value: &Value) -> Result<Option<Value>, Unknown> {
        if let Some(name) = value.get("Ref").and_then(Value::as_str) {
            let found = self.refs.get(name).cloned();
            return found.map(Some).ok_or_else(|| Unknown(name.to_owned()));
        }
        if let Some(parts) = value.get("Fn::GetAtt").and_then(Value::as_array) {
            let part = |n: usize| parts.get(n).and_then(Value::as_str).unwrap_or_default();
            return self.found(part(0), part(1)).map(Some);
        }
        match value.get("Fn::Sub").and_then(Value::as_str) {
            Some(text) => self.substituted(text).map(Some),
            None => Ok(None),
        }
    }

    fn found(&self, name: &str, attribute: &str) -> Result<Value, Unknown> {
        let key = (name.to_owned(), attribute.to_owned());
        let found = self.attributes.get(&key).cloned();
        found.ok_or_else(|| Unknown(format!("{name}.{attribute}")))
    }

    fn substituted(&self, text: &str) -> Result<Value, Unknown> {
        let mut parts = text.split("${");
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap_or((part, ""));
            let value = match name.split_once('.') {
                Some((name, attribute)) => self.found(name, attribute)?,
                None => self
                    .refs
                    .get(name)
                    .cloned()
                    .ok_or_else(|| Unknown(name.to_owned()))?,
            };
            out.push_str(value.as_str().unwrap_or_default());
            out.push_str(rest);
        }
        Ok(out.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_followed_and_unknown_ones_are_named() {
        let mut names = Names::default();
        names.refer("Queue", "http://queue");
        names.attribute("Queue", "Arn", "arn:queue");
        let value = json!({"A": [{"Ref": "Queue"}], "B": {"Fn::Sub": "<${Queue.Arn}> ${Queue}"}, "C": 1});
        let resolved = json!({"A": ["http://queue"], "B": "<arn:queue> http://queue", "C": 1});
        assert_eq!(names.resolve(&value), Ok(resolved));
        let unknown = names.resolve(&json!({"Fn::GetAtt": ["Queue", "Name"]}));
        assert_eq!(unknown.unwrap_err().to_string(), "nothing is known by Queue.Name");
    }
}
