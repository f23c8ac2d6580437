//! Copies of requests: filters `RequestMirror` of a rule. What is Weir's changes, and filters of others survive.

use serde_json::{Value, json};

use crate::render::SERVICE_PORT;
use crate::split::Share;

/// The type of the filter.
const MIRROR: &str = "RequestMirror";

/// The backend that a filter copies requests to, and of a hundred how many; nothing: it copies none.
pub(crate) fn copied(filter: &Value) -> Option<(&Value, u8)> {
    let mirror = &filter["requestMirror"];
    if filter["type"] != MIRROR {
        return None;
    }
    let fraction = &mirror["fraction"];
    let percent = match (mirror["percent"].as_u64(), fraction["numerator"].as_u64()) {
        (Some(percent), _) => percent,
        (None, Some(part)) => {
            let whole = fraction["denominator"].as_u64().unwrap_or(100).max(1);
            part.saturating_mul(100).div_ceil(whole)
        }
        (None, None) => 100,
    };
    Some((
        &mirror["backendRef"],
        u8::try_from(percent.min(100)).unwrap_or(100),
    ))
}

/// The filters of a rule.
pub(crate) fn filters(rule: &Value) -> impl Iterator<Item = &Value> {
    rule["filters"].as_array().into_iter().flatten()
}

/// What has to be done to the filters of a rule so that `wanted` gets copies, and nobody else of whom `owns` says that it
/// is a revision of the lane. What stands already is not written.
pub(crate) fn edits(
    index: usize,
    rule: &Value,
    owns: impl Fn(&Value) -> bool,
    wanted: Option<&Share>,
) -> Vec<Value> {
    let mut missing = wanted;
    let mut next = Vec::new();
    for filter in filters(rule) {
        match copied(filter) {
            Some((backend, percent)) if owns(backend) => {
                let stands = missing.is_some_and(|share| {
                    backend["name"] == share.backend
                        && backend["port"] == SERVICE_PORT
                        && percent == share.weight
                });
                if stands {
                    missing = None;
                    next.push(filter.clone());
                }
            }
            _ => next.push(filter.clone()),
        }
    }
    next.extend(missing.map(filter));
    replaced(&format!("/spec/rules/{index}/filters"), &rule["filters"], &next)
}

/// A patch of a list that a rule may do without.
fn replaced(path: &str, present: &Value, next: &[Value]) -> Vec<Value> {
    let test = json!({"op": "test", "path": path, "value": present});
    match present.as_array() {
        None if next.is_empty() => Vec::new(),
        None => vec![json!({"op": "add", "path": path, "value": next})],
        Some(present) if present == next => Vec::new(),
        Some(_) if next.is_empty() => vec![test, json!({"op": "remove", "path": path})],
        Some(_) => vec![test, json!({"op": "replace", "path": path, "value": next})],
    }
}

/// Copies of all requests are asked for without a part: gateways that know no parts can do that.
fn filter(share: &Share) -> Value {
    let backend = json!({"group": "", "kind": "Service", "name": share.backend, "port": SERVICE_PORT});
    let mut mirror = json!({"backendRef": backend});
    if share.weight < 100 {
        mirror["percent"] = json!(share.weight);
    }
    json!({"type": MIRROR, "requestMirror": mirror})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_however_it_is_written() {
        let part = |mirror: Value| {
            let filter = json!({"type": "RequestMirror", "requestMirror": mirror});
            copied(&filter).map(|(_, percent)| percent)
        };
        assert_eq!(part(json!({"percent": 7})), Some(7));
        assert_eq!(
            part(json!({"fraction": {"numerator": 1, "denominator": 8}})),
            Some(13)
        );
        assert_eq!(part(json!({"fraction": {"numerator": 42}})), Some(42));
        assert_eq!(part(json!({})), Some(100));
        assert_eq!(copied(&json!({"type": "URLRewrite"})), None);
    }
}
