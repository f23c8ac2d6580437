//! What is in the way of keeping callers, looked for before anything moves.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_domain::strategy::Sticky;

use super::{Says, keeps, known, ungiving};

/// Rules that the Gateway API takes in a route.
const RULES_LIMIT: usize = 16;

/// What keeps a route from keeping the callers of so many variants. `is_base`: whether Weir splits a rule.
pub(crate) fn problems(
    route: &Value,
    by: &Sticky,
    variants: usize,
    is_base: impl Fn(&Value) -> bool,
) -> Vec<String> {
    let known = known(route);
    let rules: Vec<&Value> = route["spec"]["rules"].as_array().into_iter().flatten().collect();
    let own: Vec<&&Value> = rules.iter().filter(|rule| !keeps(rule, &known)).collect();
    let bases: Vec<&&&Value> = own.iter().filter(|rule| is_base(rule)).collect();
    let mut problems = Vec::new();
    let after = own.len() + bases.len() * variants;
    if after > RULES_LIMIT {
        problems.push(format!(
            "`sticky` would make {after} rules of its {}, and the Gateway API takes {RULES_LIMIT}: give the service a route of its own",
            own.len()
        ));
    }
    let name = match by {
        Sticky::Header(name) => name.as_str(),
        Sticky::Cookie(_) => "cookie",
    };
    let asks = |rule: &Value| {
        let mut matches = rule["matches"].as_array().into_iter().flatten();
        matches.any(|one| {
            let mut headers = one["headers"].as_array().into_iter().flatten();
            headers.any(|header| named(header, name))
        })
    };
    if bases.iter().any(|rule| asks(rule)) {
        problems.push(format!(
            "the rule that is to be split asks for the header `{name}` itself, so that `sticky` cannot: use another"
        ));
    }
    let gives = |rule: &Value| {
        let backends = rule["backendRefs"].as_array().into_iter().flatten();
        let mut filters = backends.flat_map(|backend| backend["filters"].as_array().into_iter().flatten());
        filters.any(|filter| {
            let modifier = &filter["responseHeaderModifier"];
            let mut headers = ["add", "set"]
                .into_iter()
                .flat_map(|key| modifier[key].as_array())
                .flatten();
            headers.any(|header| named(header, "set-cookie"))
        })
    };
    if matches!(by, Sticky::Cookie(_)) && bases.iter().any(|rule| gives(&without_own(rule, &known))) {
        problems.push(
            "a backend of the rule that is to be split sets a cookie itself, and a filter takes one: use `sticky: {header: …}`"
                .to_owned(),
        );
    }
    problems
}

fn named(header: &Value, name: &str) -> bool {
    let own = header["name"].as_str();
    own.is_some_and(|own| own.eq_ignore_ascii_case(name))
}

fn without_own(rule: &Value, known: &BTreeMap<String, Says>) -> Value {
    let backends = rule["backendRefs"].as_array().into_iter().flatten();
    let backends: Value = backends.map(|backend| ungiving(backend.clone(), known)).collect();
    json!({"backendRefs": backends})
}
