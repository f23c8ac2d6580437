//! Sources of metrics: what the stack takes is what functions read, and rights come with the sources that need them.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use weir_metrics::provider::Named;

use super::rights::{list, on, read};
use super::template;

/// The function that asks: the only one that looks at traffic.
pub(crate) const ASKS: &str = "MetricCheck";

/// A kind of source that is asked as the function's role.
pub(crate) struct Source {
    /// As it is written in `Sources`.
    example: &'static str,
    /// The service that the code signs for.
    service: &'static str,
    /// What grants it.
    policy: &'static str,
    /// What is granted.
    pub(crate) action: &'static str,
}

pub(crate) const SOURCES: [Source; 2] = [
    Source {
        example: "cw=cloudwatch:eu-central-1",
        service: "monitoring",
        policy: "MetricCheckAsksCloudWatch",
        action: "cloudwatch:GetMetricData",
    },
    Source {
        example: "amp=prometheus-aws:eu-central-1:https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-1",
        service: "aps",
        policy: "MetricCheckAsksAmazonPrometheus",
        action: "aps:QueryMetrics",
    },
];

const OTHERS: [&str; 6] = [
    "prom=prometheus:https://prom.example/path",
    "gmp=prometheus-google:123456789012/weir/aws;token=aws4:https://monitoring.googleapis.com/v1/projects/team/location/global/prometheus",
    "dd=datadog:https://api.datadoghq.eu",
    "dd-1=datadog-v1:https://api.datadoghq.eu",
    "scores=json:a.example,b.example:8443",
    "inner=json-private:10.0.0.7",
];

/// The value of a condition, or of a part of it, when `Sources` is this.
fn value(part: &Value, sources: &str) -> Value {
    let of = |part: &Value| value(part, sources);
    let text = |part: &Value| of(part).as_str().unwrap().to_owned();
    let Some((function, given)) = part.as_object().and_then(|members| members.iter().next()) else {
        return part.clone();
    };
    match function.as_str() {
        "Ref" => {
            assert_eq!(given, "Sources");
            sources.into()
        }
        "Fn::Not" => json!(of(&given[0]) == json!(false)),
        "Fn::Equals" => json!(of(&given[0]) == of(&given[1])),
        "Fn::Split" => text(&given[1]).split(&text(&given[0])).collect(),
        "Fn::Join" => {
            let parts = of(&given[1]);
            let parts: Vec<&str> = parts
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect();
            parts.join(&text(&given[0])).into()
        }
        other => panic!("{other} is not known here"),
    }
}

/// What is granted when `Sources` is this.
fn granted(sources: &str) -> BTreeSet<&'static str> {
    let template = template();
    let holds = |source: &&Source| {
        let condition = &template.resources[source.policy].whole["Condition"];
        let condition = &template.conditions[condition.as_str().unwrap()];
        value(condition, sources) == json!(true)
    };
    SOURCES.iter().filter(holds).map(|source| source.action).collect()
}

#[test]
fn a_source_of_aws_brings_its_right_and_no_other_source_does() {
    let [cloudwatch, prometheus] = SOURCES;
    let others = OTHERS.join(" ");
    assert_eq!(granted(""), BTreeSet::new());
    assert_eq!(granted(&others), BTreeSet::new());
    for source in [&cloudwatch, &prometheus] {
        let both = format!("{others} {}", source.example);
        assert_eq!(granted(source.example), [source.action].into());
        assert_eq!(granted(&both), [source.action].into());
    }
    let all = format!("{} {others} {}", prometheus.example, cloudwatch.example);
    assert_eq!(granted(&all), [cloudwatch.action, prometheus.action].into());
}

#[test]
fn each_right_is_one_action_for_the_function_that_asks() {
    let template = template();
    let policies: BTreeSet<&str> = template.of_kind("AWS::IAM::Policy").map(|(id, _)| id).collect();
    assert_eq!(policies, SOURCES.map(|source| source.policy).into());
    for source in SOURCES {
        let policy = &template.resources[source.policy].properties;
        assert_eq!(policy["Roles"], json!([{ "Ref": format!("{ASKS}Role") }]));
        let statements = list(&policy["PolicyDocument"]["Statement"]);
        assert_eq!(statements.len(), 1, "{}", source.policy);
        assert_eq!(statements[0]["Action"], source.action);
        let resource = on(&statements[0]["Resource"]);
        assert_eq!(resource == "*", source.service == "monitoring", "{resource}");
    }
}

#[test]
fn services_that_the_code_signs_for_are_those_that_are_granted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/metrics/src/provider");
    let mut signed = BTreeSet::new();
    read(&folder, &mut |text| {
        for part in text.split("service: \"").skip(1) {
            signed.extend(part.split_once('"').map(|(service, _)| service.to_owned()));
        }
    });
    let known = SOURCES.map(|source| source.service.to_owned());
    assert_eq!(signed, known.into());
}

/// The pattern is read as far as it is one: names, kinds, and whatever has no space.
#[test]
fn the_stack_takes_every_kind_that_functions_read() {
    let template = template();
    let pattern = template.parameters["Sources"]["AllowedPattern"].as_str().unwrap();
    let kinds = pattern.strip_prefix("^([a-z0-9-]+=(").unwrap();
    let kinds: BTreeSet<&str> = kinds
        .strip_suffix("):[^ ]+( |$))*$")
        .unwrap()
        .split('|')
        .collect();
    let examples = SOURCES.map(|source| source.example).into_iter().chain(OTHERS);
    let read: BTreeSet<&str> = examples
        .map(|example| {
            let named: Named = example.parse().unwrap();
            let (name, place) = example.split_once('=').unwrap();
            assert_eq!(named.name(), name);
            place.split_once(':').unwrap().0
        })
        .collect();
    assert_eq!(kinds, read);
}
