//! The template, compared with the code that it is for. What AWS would say of it is `cfn-lint`'s (`make lint`).
#![allow(clippy::unwrap_used, reason = "everything in here is a test, its helpers too")]

mod alarms;
mod queues;
mod rights;
mod sources;
mod table;

use std::collections::BTreeSet;

use weir_lambda_host::Template;

/// The functions, by their ids, and the programs that they run.
pub(crate) const FUNCTIONS: [(&str, &str); 4] = [
    ("ApprovalCallback", "approval-callback"),
    ("MetricCheck", "metric-check"),
    ("StageExecutor", "stage-executor"),
    ("WebhookIntake", "webhook-intake"),
];

pub(crate) fn template() -> Template {
    Template::read(include_str!("../../template.yaml")).unwrap()
}

/// The id that a reference leads to, whichever kind it is.
pub(crate) fn referred(value: &serde_json::Value) -> String {
    let id = value["Ref"].as_str().or_else(|| value["Fn::GetAtt"][0].as_str());
    id.unwrap_or_else(|| panic!("no reference: {value}")).to_owned()
}

#[test]
fn every_function_runs_its_program_and_no_other_function_exists() {
    let template = template();
    let ids: Vec<&str> = template
        .of_kind("AWS::Serverless::Function")
        .map(|(id, _)| id)
        .collect();
    assert_eq!(ids, FUNCTIONS.map(|(id, _)| id));
    for (id, program) in FUNCTIONS {
        let function = template.function(id);
        let code = format!("../../target/lambda/{program}/bootstrap.zip");
        assert_eq!(function["CodeUri"], code.as_str());
        assert!(
            std::path::Path::new(&format!("{}/src/bin/{program}.rs", env!("CARGO_MANIFEST_DIR"))).exists()
        );
        assert_eq!(
            (&function["Runtime"], &function["Handler"]),
            (&"provided.al2023".into(), &"bootstrap".into())
        );
    }
}

#[test]
fn variables_are_those_that_the_code_reads() {
    // Only a function that runs beside a cluster of its own reads a file.
    let read: BTreeSet<&str> = weir_lambda::NAMES
        .into_iter()
        .filter(|name| *name != "WEIR_KUBECONFIG")
        .collect();
    for (id, _) in FUNCTIONS {
        let function = template().function(id);
        let set = function["Environment"]["Variables"].as_object().unwrap().clone();
        assert_eq!(
            set.keys().map(String::as_str).collect::<BTreeSet<_>>(),
            read,
            "{id}"
        );
    }
}

#[test]
fn doors_answer_before_the_sender_stops_waiting_and_not_long_after() {
    // GitHub waits 10 s and Slack 3 s; what takes longer than twice that is broken off.
    for (id, waits) in [("WebhookIntake", 10), ("ApprovalCallback", 3)] {
        let timeout = template().function(id)["Timeout"].as_u64().unwrap();
        assert!((waits..=2 * waits).contains(&timeout), "{id} has {timeout} s");
    }
}

#[test]
fn the_functions_that_have_an_identity_on_clusters_are_those_of_the_template() {
    let programs: BTreeSet<&str> = FUNCTIONS.iter().map(|(_, program)| *program).collect();
    assert_eq!(BTreeSet::from(weir_lambda::FUNCTIONS), programs);
}

#[test]
fn groups_of_access_entries_are_those_that_the_clusters_bindings_name() {
    let cluster = Template::read(include_str!("../../cluster.yaml")).unwrap();
    let mut entries = BTreeSet::new();
    for (id, entry) in cluster.of_kind("AWS::EKS::AccessEntry") {
        assert_eq!(
            referred(&entry.properties["PrincipalArn"]),
            format!("{id}RoleArn")
        );
        let groups = entry.properties["KubernetesGroups"].as_array().unwrap();
        entries.extend(groups.iter().map(|group| group.as_str().unwrap().to_owned()));
    }
    let bindings = [
        include_str!("../../../cluster/namespace.yaml"),
        include_str!("../../../cluster/builds.yaml"),
        include_str!("../../../cluster/gateway.yaml"),
        include_str!("../../../cluster/classes.yaml"),
        include_str!("../../../cluster/pod-proxy.yaml"),
        include_str!("../../../cluster/answers.yaml"),
    ];
    let words = bindings.iter().flat_map(|text| text.split('"'));
    let bound: BTreeSet<String> = words
        .filter(|word| word.starts_with("weir:"))
        .map(str::to_owned)
        .collect();
    assert_eq!(entries, bound);
    let mapped = include_str!("../../../cluster/authentication.yaml").split('"');
    let mapped: BTreeSet<String> = mapped
        .filter(|word| word.starts_with("weir:"))
        .map(str::to_owned)
        .collect();
    assert_eq!(mapped, bound, "API servers that read JWTs know the same groups");
    assert!(
        FUNCTIONS
            .iter()
            .all(|(id, _)| cluster.resources.contains_key(*id))
    );
}
