//! Rules that keep a caller with a variant: copies of the rules that Weir splits, for requests that say which variant they
//! belong to. They stand behind all other rules, so that rules of others come first where both match.
//!
//! They live as long as the variant's Service. Where traffic goes back they get the backends of the rule that they are copies
//! of: whoever may only send traffic back may not remove a rule.

mod cookie;
mod problems;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weir_domain::experiment::{Callers, Keep};
use weir_domain::ids::LaneKey;
use weir_domain::strategy::Sticky;

use crate::names;
pub(crate) use cookie::{giving, ungiving};
pub(crate) use problems::problems;

/// How long a caller keeps a cookie: longer than an experiment. Whose variant is gone is given another.
const COOKIE_SECONDS: u32 = 30 * 24 * 60 * 60;

/// What is known of the callers of one variant. The route keeps it in an annotation, by the name of the variant's Service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Says {
    /// The header of their requests, as a match of the Gateway API.
    header: Value,
    /// The cookie that they are given with the first answer, where that is what they say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gives: Option<String>,
}

/// The callers of one variant, and how many of a hundred of their requests it gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    /// Name of its Service.
    pub(crate) backend: String,
    pub(crate) says: Says,
    pub(crate) weight: u8,
}

/// A rule that Weir splits, with the backends that it shall have, cookies left out.
pub(crate) struct Base<'a> {
    pub(crate) rule: &'a Value,
    pub(crate) backends: Vec<Value>,
}

impl Kept {
    pub(crate) fn of(lane: &LaneKey, keep: &Keep) -> Vec<Self> {
        let kept = |callers: &Callers| Self {
            backend: names::revision_name(lane, &callers.revision),
            says: Says::new(&keep.by, &callers.version),
            weight: callers.weight.percent(),
        };
        keep.callers.iter().map(kept).collect()
    }
}

impl Says {
    /// A version is the value of a label, a cookie's name letters, digits, `-` and `_`: of all these only the dot means
    /// something in an expression. Gateways differ in whether one must match the whole value, so it does.
    pub(crate) fn new(by: &Sticky, version: &str) -> Self {
        match by {
            Sticky::Header(name) => Self {
                header: json!({"type": "Exact", "name": name, "value": version}),
                gives: None,
            },
            Sticky::Cookie(name) => {
                let escaped = version.replace('.', "\\.");
                let value = format!("^(.*; ?)?{name}={escaped}(;.*)?$");
                Self {
                    header: json!({"type": "RegularExpression", "name": "cookie", "value": value}),
                    gives: Some(format!(
                        "{name}={version}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Lax"
                    )),
                }
            }
        }
    }
}

/// What a route says of callers that stay with a variant, by the name of its Service.
pub(crate) fn known(route: &Value) -> BTreeMap<String, Says> {
    let noted = route["metadata"]["annotations"][names::STICKY].as_str();
    noted
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// Whether a rule is only for requests that say this.
pub(crate) fn is_for(rule: &Value, says: &Says) -> bool {
    let matches = rule["matches"].as_array().filter(|matches| !matches.is_empty());
    matches.is_some_and(|matches| {
        matches.iter().all(|one| {
            let mut headers = one["headers"].as_array().into_iter().flatten();
            headers.any(|header| *header == says.header)
        })
    })
}

/// Whether a rule keeps callers of any of these variants.
pub(crate) fn keeps(rule: &Value, known: &BTreeMap<String, Says>) -> bool {
    known.values().any(|says| is_for(rule, says))
}

/// A copy of a rule for requests that say this.
fn copy(rule: &Value, says: &Says, backends: &Value) -> Value {
    let mut copy = rule.clone();
    let all = json!([{"path": {"type": "PathPrefix", "value": "/"}}]);
    let matches = rule["matches"]
        .as_array()
        .or(all.as_array())
        .into_iter()
        .flatten();
    let matches = matches.map(|one| {
        let mut one = one.clone();
        match one["headers"].as_array_mut() {
            Some(headers) => headers.push(says.header.clone()),
            None => one["headers"] = json!([says.header]),
        }
        one
    });
    copy["matches"] = matches.collect();
    copy["backendRefs"] = backends.clone();
    if let Some(copy) = copy.as_object_mut() {
        // No two rules have the same.
        copy.remove("name");
    }
    copy
}

/// The backends of a rule for the callers of one: so many of a hundred requests are its own, the rest goes by the shares.
fn weighed(backends: &[Value], own: &str, percent: u64) -> Value {
    let weight = |backend: &Value| backend["weight"].as_u64().unwrap_or(1);
    let is_own = |backend: &Value| backend["name"] == own;
    let others: u64 = backends.iter().filter(|b| !is_own(b)).map(weight).sum();
    let weighed = backends.iter().map(|backend| {
        let weight = match (is_own(backend), percent) {
            (true, 100) => 100,
            (false, 100) => 0,
            (true, 0) => 0,
            (false, 0) => weight(backend),
            (true, percent) => percent * others,
            (false, percent) => (100 - percent) * weight(backend),
        };
        let mut backend = backend.clone();
        backend["weight"] = json!(weight);
        backend
    });
    weighed.collect()
}

/// What has to be done to the rules that keep callers. Callers whom nobody keeps any more are sent by the shares.
pub(crate) fn edits(route: &Value, bases: &[Base<'_>], wanted: &[Kept]) -> Vec<Value> {
    let rules: Vec<&Value> = route["spec"]["rules"].as_array().into_iter().flatten().collect();
    let mut all = known(route);
    all.extend(
        wanted
            .iter()
            .map(|kept| (kept.backend.clone(), kept.says.clone())),
    );
    let (mut edits, mut added) = (Vec::new(), Vec::new());
    for (backend, says) in &all {
        let kept = wanted.iter().find(|kept| kept.backend == *backend);
        let standing: Vec<usize> = (0..rules.len()).filter(|n| is_for(rules[*n], says)).collect();
        for number in 0..standing.len().max(bases.len()) {
            // Somebody took out the rule that it is a copy of: any other has the same backends.
            let Some(base) = bases.get(number).or(bases.first()) else {
                continue;
            };
            let percent = kept.map_or(0, |kept| u64::from(kept.weight));
            let backends = match kept {
                Some(_) => weighed(&base.backends, backend, percent),
                None => json!(base.backends),
            };
            match (standing.get(number), kept) {
                (Some(at), Some(_)) if number < bases.len() => {
                    let next = copy(base.rule, says, &backends);
                    edits.extend(replaced(&format!("/spec/rules/{at}"), rules[*at], &next));
                }
                (Some(at), _) => {
                    let path = format!("/spec/rules/{at}/backendRefs");
                    edits.extend(replaced(&path, &rules[*at]["backendRefs"], &backends));
                }
                (None, Some(_)) => {
                    let next = copy(base.rule, says, &backends);
                    added.push(json!({"op": "add", "path": "/spec/rules/-", "value": next}));
                }
                (None, None) => {}
            }
        }
    }
    edits.extend(added);
    edits
}

fn replaced(path: &str, present: &Value, next: &Value) -> Vec<Value> {
    match present == next {
        true => Vec::new(),
        false => vec![
            json!({"op": "test", "path": path, "value": present}),
            json!({"op": "replace", "path": path, "value": next}),
        ],
    }
}

/// What has to be done once the Service of a variant goes: its callers have no rule any more, and the route says nothing of them.
pub(crate) fn forgotten(route: &Value, backend: &str) -> Vec<Value> {
    let mut all = known(route);
    let Some(says) = all.remove(backend) else {
        return Vec::new();
    };
    let rules = route["spec"]["rules"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate();
    let gone: Vec<(usize, &Value)> = rules.filter(|(_, rule)| is_for(rule, &says)).collect();
    let mut edits = Vec::new();
    // From the end, so that the numbers before it hold.
    for (number, rule) in gone.into_iter().rev() {
        let path = format!("/spec/rules/{number}");
        edits.push(json!({"op": "test", "path": path, "value": rule}));
        edits.push(json!({"op": "remove", "path": path}));
    }
    edits.push(match all.is_empty() {
        true => crate::split::forget(names::STICKY),
        false => {
            let path = crate::split::annotation_path(names::STICKY);
            json!({"op": "add", "path": path, "value": json!(all).to_string()})
        }
    });
    edits
}

/// The annotation that says so, where callers are kept.
pub(crate) fn note(wanted: &[Kept]) -> Option<(&'static str, String)> {
    let says: BTreeMap<&str, &Says> = wanted
        .iter()
        .map(|kept| (kept.backend.as_str(), &kept.says))
        .collect();
    (!says.is_empty()).then(|| (names::STICKY, json!(says).to_string()))
}

/// Of a hundred requests of a variant's callers, how many it gets; nothing where a rule of them is missing or is not a copy of
/// its rule any more. `is_base`: whether Weir splits a rule.
pub(crate) fn seen(route: &Value, backend: &str, is_base: impl Fn(&Value) -> bool) -> Option<u8> {
    let known = known(route);
    let says = known.get(backend)?;
    let rules = || route["spec"]["rules"].as_array().into_iter().flatten();
    let bases = rules().filter(|rule| !keeps(rule, &known) && is_base(rule));
    let mut standing = rules().filter(|rule| is_for(rule, says));
    let mut least: Option<u64> = None;
    for base in bases {
        let rule = standing.next()?;
        if *rule != copy(base, says, &rule["backendRefs"]) {
            return None;
        }
        let percent = percent(rule, backend);
        least = Some(least.map_or(percent, |least| least.min(percent)));
    }
    u8::try_from(least?).ok()
}

fn percent(rule: &Value, backend: &str) -> u64 {
    let backends = || rule["backendRefs"].as_array().into_iter().flatten();
    let weight = |backend: &Value| backend["weight"].as_u64().unwrap_or(1);
    let own: u64 = backends().filter(|one| one["name"] == backend).map(weight).sum();
    (own * 100).checked_div(backends().map(weight).sum()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
