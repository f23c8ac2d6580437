//! Cookies that the backends of a rule give with their answers, beside whatever else they do to them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Kept, Says};

/// The filter of a backend that gives a cookie.
const MODIFIER: &str = "ResponseHeaderModifier";

/// A backend that gives its callers their cookie, beside whatever else it does to answers.
pub(crate) fn giving(mut backend: Value, wanted: &[Kept]) -> Value {
    let kept = wanted.iter().find(|kept| backend["name"] == kept.backend);
    let Some(cookie) = kept.and_then(|kept| kept.says.gives.as_ref()) else {
        return backend;
    };
    let gives = json!({"name": "Set-Cookie", "value": cookie});
    if !backend["filters"].is_array() {
        backend["filters"] = json!([]);
    }
    if let Some(filters) = backend["filters"].as_array_mut() {
        match filters.iter_mut().find(|filter| filter["type"] == MODIFIER) {
            Some(filter) => match filter["responseHeaderModifier"]["add"].as_array_mut() {
                Some(add) => add.push(gives),
                None => filter["responseHeaderModifier"]["add"] = json!([gives]),
            },
            None => filters.push(json!({"type": MODIFIER, "responseHeaderModifier": {"add": [gives]}})),
        }
    }
    backend
}

/// The backend as it was before it gave cookies.
pub(crate) fn ungiving(mut backend: Value, known: &BTreeMap<String, Says>) -> Value {
    let cookies: Vec<&String> = known.values().filter_map(|says| says.gives.as_ref()).collect();
    let Some(filters) = backend.get_mut("filters").and_then(Value::as_array_mut) else {
        return backend;
    };
    for filter in filters.iter_mut().filter(|filter| filter["type"] == MODIFIER) {
        let modifier = &mut filter["responseHeaderModifier"];
        let Some(add) = modifier.get_mut("add").and_then(Value::as_array_mut) else {
            continue;
        };
        add.retain(|one| !cookies.iter().any(|cookie| one["value"] == **cookie));
        if add.is_empty()
            && let Some(modifier) = modifier.as_object_mut()
        {
            modifier.remove("add");
        }
    }
    filters.retain(|filter| filter["type"] != MODIFIER || filter["responseHeaderModifier"] != json!({}));
    if filters.is_empty()
        && let Some(backend) = backend.as_object_mut()
    {
        backend.remove("filters");
    }
    backend
}
