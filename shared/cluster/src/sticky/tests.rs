use weir_domain::ids::Fence;

use super::*;
use crate::split::tests::{applied, backend, names_and_weights, plain_route, route, wanted};
use crate::split::{Change, Wanted, change, fence_of, without};

const MODEL: &str = "x-model";

fn header() -> Sticky {
    Sticky::Header(MODEL.into())
}

fn cookie() -> Sticky {
    Sticky::Cookie("model".into())
}

/// Halves to two variants, whose callers get so many of a hundred of their own.
fn halves(by: &Sticky, kept: [u8; 2], fence: u64) -> Wanted {
    let of = |(n, weight): (usize, u8)| Kept {
        backend: format!("w-{}", n + 1),
        says: Says::new(by, &format!("model-{}", n + 1)),
        weight,
    };
    Wanted {
        keep: kept.into_iter().enumerate().map(of).collect(),
        back: Some("web".into()),
        ..wanted(&[("w-1", 50), ("w-2", 50)], fence)
    }
}

fn written(route: &Value, wanted: &Wanted) -> Value {
    let after = applied(route, change(route, wanted).unwrap());
    assert_eq!(change(&after, wanted).unwrap(), Change::Nothing, "a repeat");
    after
}

fn named(weights: &[(&str, u64)]) -> Vec<(String, u64)> {
    weights
        .iter()
        .map(|(name, weight)| ((*name).to_owned(), *weight))
        .collect()
}

fn is_base(rule: &Value) -> bool {
    let mut backends = rule["backendRefs"].as_array().into_iter().flatten();
    backends.any(|backend| backend["name"] == "web" || backend["name"] == "w-1")
}

#[test]
fn a_request_that_says_its_variant_goes_there_whatever_the_shares_are() {
    let before = plain_route();
    let after = written(&before, &halves(&header(), [100, 100], 3));
    let rules = after["spec"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 4);
    assert_eq!(rules[0], before["spec"]["rules"][0], "a rule of somebody else's");
    assert_eq!(
        names_and_weights(&after, 1),
        named(&[("web", 0), ("w-1", 50), ("w-2", 50)])
    );
    for (rule, version, weights) in [
        (2, "model-1", [("web", 0), ("w-1", 100), ("w-2", 0)]),
        (3, "model-2", [("web", 0), ("w-1", 0), ("w-2", 100)]),
    ] {
        let one =
            json!({"path": {"value": "/"}, "headers": [{"type": "Exact", "name": MODEL, "value": version}]});
        assert_eq!(rules[rule]["matches"], json!([one]));
        assert_eq!(names_and_weights(&after, rule), named(&weights));
        for key in ["filters", "timeouts"] {
            assert_eq!(rules[rule][key], before["spec"]["rules"][1][key]);
        }
        assert_eq!(rules[rule]["name"], Value::Null, "no two rules have the same");
    }
    assert_eq!(seen(&after, "w-1", is_base), Some(100));
}

#[test]
fn callers_of_a_variant_that_carries_less_go_to_the_others_with_the_rest() {
    let three = written(&plain_route(), &halves(&header(), [100, 100], 3));
    let less = Wanted {
        keep: halves(&header(), [20, 100], 4).keep,
        ..wanted(&[("w-1", 10), ("w-2", 90)], 4)
    };
    let after = written(&three, &less);
    assert_eq!(
        names_and_weights(&after, 2),
        named(&[("web", 0), ("w-1", 20 * 90), ("w-2", 80 * 90)])
    );
    assert_eq!(
        (seen(&after, "w-1", is_base), seen(&after, "w-2", is_base)),
        (Some(20), Some(100))
    );
    let none = Wanted {
        keep: halves(&header(), [0, 100], 5).keep,
        ..wanted(&[("w-2", 100)], 5)
    };
    let after = written(&after, &none);
    assert_eq!(names_and_weights(&after, 2), named(&[("web", 0), ("w-2", 100)]));
    assert_eq!(seen(&after, "w-1", is_base), Some(0));
}

#[test]
fn a_cookie_is_given_by_the_shares_and_matched_from_then_on() {
    let mut before = plain_route();
    let own = json!({"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x-a", "value": "b"}]}});
    before["spec"]["rules"][1]["backendRefs"][0]["filters"] = json!([own]);
    let after = written(&before, &halves(&cookie(), [100, 100], 3));
    let backends = &after["spec"]["rules"][1]["backendRefs"];
    assert_eq!(
        backends[0]["filters"],
        json!([own]),
        "the plain Service gives none"
    );
    let modifier = &backends[1]["filters"][0]["responseHeaderModifier"];
    assert_eq!(modifier["set"], own["responseHeaderModifier"]["set"]);
    let given = modifier["add"][0]["value"].as_str().unwrap();
    assert!(given.starts_with("model=model-1; Path=/; Max-Age="), "{given}");
    let matched = &after["spec"]["rules"][2]["matches"][0]["headers"][0];
    assert_eq!(matched["value"], "^(.*; ?)?model=model-1(;.*)?$");
    assert_eq!(
        after["spec"]["rules"][2]["backendRefs"][1]["filters"],
        json!([own]),
        "who has one gets no other"
    );

    let back = applied(&after, change(&after, &wanted(&[], 4)).unwrap());
    assert_eq!(back["spec"]["rules"][1], before["spec"]["rules"][1]);
}

#[test]
fn traffic_goes_back_by_weights_alone_and_the_rules_leave_with_their_services() {
    let before = plain_route();
    let shared = written(&before, &halves(&header(), [100, 100], 3));
    let back = applied(&shared, change(&shared, &wanted(&[], 4)).unwrap());
    assert_eq!(back["spec"]["rules"][1], before["spec"]["rules"][1]);
    for rule in [2, 3] {
        assert_eq!(names_and_weights(&back, rule), named(&[("web", 1)]));
        assert_eq!(
            back["spec"]["rules"][rule]["matches"],
            shared["spec"]["rules"][rule]["matches"]
        );
    }
    let one = applied(&back, without(&back, "w-1", "prod", Fence(5)).unwrap());
    assert_eq!(one["spec"]["rules"].as_array().unwrap().len(), 3);
    let none = applied(&one, without(&one, "w-2", "prod", Fence(5)).unwrap());
    assert_eq!(none["spec"], before["spec"]);
    assert_eq!(none["metadata"]["annotations"][names::STICKY], Value::Null);
    assert_eq!(fence_of(&none).unwrap(), Fence(5));
    assert!(
        without(&shared, "w-1", "prod", Fence(5)).is_err(),
        "its callers are still there"
    );
}

#[test]
fn what_somebody_else_changes_in_the_rule_is_taken_over() {
    let wanted = halves(&header(), [100, 100], 3);
    let mut route = written(&plain_route(), &wanted);
    route["spec"]["rules"][1]["timeouts"]["request"] = json!("90s");
    assert_eq!(seen(&route, "w-2", is_base), None);
    let after = written(&route, &wanted);
    assert_eq!(after["spec"]["rules"][3]["timeouts"]["request"], "90s");
    route["spec"]["rules"].as_array_mut().unwrap().truncate(3);
    assert_eq!(
        seen(&route, "w-2", is_base),
        None,
        "a rule that somebody took out"
    );
    assert_eq!(
        written(&route, &wanted)["spec"]["rules"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
}

#[test]
fn what_is_in_the_way_of_keeping_callers_is_told() {
    let told = |route: &Value, by: &Sticky| problems(route, by, 2, is_base);
    assert_eq!(told(&plain_route(), &header()), Vec::<String>::new());
    let shared = written(&plain_route(), &halves(&cookie(), [100, 100], 3));
    assert_eq!(
        told(&shared, &cookie()),
        Vec::<String>::new(),
        "its own rules and cookies are not in the way"
    );
    let web = || json!({"backendRefs": [backend("web", 1)]});
    let many = route(Value::Array(vec![web(); 6]), Value::Null);
    assert!(told(&many, &header())[0].starts_with("`sticky` would make 18 rules of its 6"));
    let asks = json!([{"matches": [{"headers": [{"name": "X-Model", "value": "a"}]}], "backendRefs": [backend("web", 1)]}]);
    assert!(told(&route(asks, Value::Null), &header())[0].contains("asks for the header `x-model` itself"));
    let mut gives = backend("web", 1);
    gives["filters"] = json!([{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [{"name": "set-cookie", "value": "a=b"}]}}]);
    let gives = route(json!([{"backendRefs": [gives]}]), Value::Null);
    assert!(told(&gives, &cookie())[0].contains("sets a cookie itself"));
    assert_eq!(told(&gives, &header()), Vec::<String>::new());
}
