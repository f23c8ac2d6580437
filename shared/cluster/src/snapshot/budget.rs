//! PodDisruptionBudgets.

use serde_json::Value;
use weir_domain::budget::{Asks, Budget, Part};

use super::terms::{selector, text};
use super::{SnapshotError, pod};

/// Reads one as the API server has it.
pub(super) fn budget(object: &Value) -> Result<Budget, SnapshotError> {
    let (meta, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    let name = text(&meta["name"]);
    let asked = |key: &'static str| match &spec[key] {
        Value::Null => Ok(None),
        value => part(value).map(Some).ok_or_else(|| SnapshotError::Quantity {
            resource: key.to_owned(),
            of: format!("PodDisruptionBudget {name}"),
            text: value.to_string(),
            expected: "a number of pods, or a percentage such as 50%",
        }),
    };
    let asks = match (asked("minAvailable")?, asked("maxUnavailable")?) {
        (Some(part), _) => Asks::Available(part),
        (None, Some(part)) => Asks::Unavailable(part),
        (None, None) => Asks::Nothing,
    };
    // What was counted for an earlier form of it says nothing about this one.
    let counted = status["observedGeneration"] == meta["generation"] && !status.is_null();
    let allowed = status["disruptionsAllowed"].as_u64().filter(|_| counted);
    Ok(Budget {
        namespace: pod::namespace(meta),
        selector: selector(&spec["selector"])?,
        asks,
        allowed: allowed.and_then(|allowed| u32::try_from(allowed).ok()),
        name,
    })
}

fn part(value: &Value) -> Option<Part> {
    if let Some(count) = value.as_u64() {
        return u32::try_from(count).ok().map(Part::Count);
    }
    let percent = value.as_str()?.strip_suffix('%')?;
    percent.parse().ok().map(Part::Percent)
}
