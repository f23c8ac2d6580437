//! Outputs of earlier steps, put where a definition refers to them as `${steps.SLUG.NAME}`.

use std::collections::BTreeMap;

use serde_json::Value;

/// Outputs by step and name.
pub(crate) type Outputs = BTreeMap<String, BTreeMap<String, String>>;

const OPEN: &str = "${steps.";

/// A reference to what no step wrote.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`${{steps.{0}}}` was not written by any step")]
pub(crate) struct NoOutput(String);

/// Puts outputs into a text. What is put is not looked at again.
pub(crate) fn put(text: &str, outputs: &Outputs) -> Result<String, NoOutput> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        let (before, reference) = rest.split_at(at);
        let reference = &reference[OPEN.len()..];
        let end = reference.find('}').unwrap_or(reference.len());
        let name = &reference[..end];
        let value = name
            .split_once('.')
            .and_then(|(slug, name)| outputs.get(slug)?.get(name))
            .ok_or_else(|| NoOutput(name.to_owned()))?;
        out.push_str(before);
        out.push_str(value);
        rest = reference.get(end + 1..).unwrap_or_default();
    }
    out.push_str(rest);
    Ok(out)
}

/// Puts outputs into every text of a value.
pub(crate) fn put_everywhere(value: &Value, outputs: &Outputs) -> Result<Value, NoOutput> {
    Ok(match value {
        Value::String(text) => Value::String(put(text, outputs)?),
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(|item| put_everywhere(item, outputs)).collect();
            Value::Array(items?)
        }
        Value::Object(map) => {
            let pairs = map
                .iter()
                .map(|(key, value)| Ok((key.clone(), put_everywhere(value, outputs)?)));
            Value::Object(pairs.collect::<Result<_, NoOutput>>()?)
        }
        scalar => scalar.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outputs() -> Outputs {
        let build = [
            ("TAG".to_owned(), "v1".to_owned()),
            ("ODD".to_owned(), "${steps.build.TAG}".to_owned()),
        ];
        [("build".to_owned(), build.into())].into()
    }

    #[test]
    fn references_are_replaced_once_wherever_they_stand() {
        assert_eq!(
            put("img:${steps.build.TAG}-${steps.build.TAG}", &outputs()).unwrap(),
            "img:v1-v1"
        );
        assert_eq!(
            put("${steps.build.ODD}", &outputs()).unwrap(),
            "${steps.build.TAG}"
        );
        let value = json!({"a": ["${steps.build.TAG}", 1]});
        assert_eq!(
            put_everywhere(&value, &outputs()).unwrap(),
            json!({"a": ["v1", 1]})
        );
    }

    #[test]
    fn a_reference_to_nothing_is_named() {
        for text in ["${steps.build.NONE}", "${steps.build}", "${steps.x.y", "${steps."] {
            assert!(put(text, &outputs()).is_err(), "{text}");
        }
        let error = put("${steps.a.b}", &outputs()).unwrap_err();
        assert_eq!(error.to_string(), "`${steps.a.b}` was not written by any step");
    }
}
