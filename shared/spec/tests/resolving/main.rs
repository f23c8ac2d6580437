//! A definition, a push and manifests to a pipeline: the rules where the article is silent.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

mod approvals;
mod commands;
#[path = "../kit/mod.rs"]
mod kit;
mod manifests;
mod pods;
mod releases;
mod replicas;
mod strategies;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_domain::pipeline::{OnNewPush, Pipeline, RolloutRule, StageWork, StepWork};
use weir_spec::{ResourceFiles, Scope, SourceFile, Variables, load, resolve};

const WORLD: &str = r"
service:
  name: llm
  spec:
    containers:
      - name: main
        image: llm:${VERSION}
        healthChecks: [{type: HTTP, path: /health}]
environments:
  - name: Test
    spec: {cluster: c1, variables: {LEVEL: DEBUG}}
  - name: Production
    spec: {cluster: c2, namespace: prod, route: public}
groups:
  ml: [{name: ana, uid: 1}, {name: ben, uid: 2}]
  ops: [{name: cem, uid: 3}]
";

fn variables() -> Variables {
    Variables {
        git_commit: "c0ffee00c0ffee00".into(),
        branch: "main".into(),
        run_id: "run-7".into(),
        ..Variables::default()
    }
}

fn try_with(text: &str, variables: &Variables, files: &[(&str, &str)]) -> Result<Pipeline, Vec<String>> {
    try_in(WORLD, text, variables, files)
}

fn try_in(
    world: &str,
    text: &str,
    variables: &Variables,
    files: &[(&str, &str)],
) -> Result<Pipeline, Vec<String>> {
    let sources = [SourceFile::new("p.yaml", text), SourceFile::new("w.yaml", world)];
    let files: BTreeMap<String, String> = files
        .iter()
        .map(|(path, text)| ((*path).into(), (*text).into()))
        .collect();
    let loaded = load(&sources, Scope::Whole);
    let messages =
        |all: Vec<weir_spec::Diagnostic>| -> Vec<String> { all.iter().map(|d| d.message()).collect() };
    resolve(&loaded.definition, "P", variables, &ResourceFiles::new(files)).map_err(messages)
}

fn pipeline(stages: &str) -> String {
    format!("pipeline:\n  name: P\n  stages:\n{stages}")
}

/// A stage with one step.
fn stage(name: &str, kind: &str, spec: &str) -> String {
    format!("    - stage: {name}\n      steps: [{{step: {{name: {name}, type: {kind}, spec: {spec}}}}}]\n")
}

fn resolved(text: &str) -> Pipeline {
    try_with(text, &variables(), &[]).unwrap()
}

fn refused(text: &str) -> Vec<String> {
    try_with(text, &variables(), &[]).expect_err(text)
}

fn works(pipeline: &Pipeline) -> Vec<&StepWork> {
    let steps = pipeline.stages.iter().flat_map(|stage| match &stage.work {
        StageWork::Steps { steps, .. } => steps.as_slice(),
        StageWork::Approval(_) => &[],
    });
    steps.map(|step| &step.work).collect()
}

fn rollout(pipeline: &Pipeline) -> &RolloutRule {
    let found = works(pipeline).into_iter().find_map(|work| match work {
        StepWork::Rollout(rule) => Some(&**rule),
        _ => None,
    });
    found.expect("a rollout")
}

#[test]
fn a_deployment_is_adopted_where_the_environment_names_it_for_the_service() {
    let world = WORLD.replace(
        "spec: {cluster: c2,",
        "spec: {cluster: c2, adopt: {llm: llm-v1, other: x},",
    );
    let adopts = |namespace: &str| {
        let text = pipeline(&stage("A", "Kubernetes", &format!("{{namespace: {namespace}}}")));
        let pipeline = try_in(&world, &text, &variables(), &[]).unwrap();
        rollout(&pipeline).adopts.clone()
    };
    assert_eq!(adopts("prod").as_deref(), Some("llm-v1"));
    assert_eq!(adopts("test"), None);
}

#[test]
fn the_environment_is_the_one_named_or_the_only_one_of_the_namespace() {
    let lane = |spec: &str| {
        let pipeline = resolved(&pipeline(&stage("A", "Kubernetes", spec)));
        let rule = rollout(&pipeline);
        (
            rule.lane.to_string(),
            rule.target.namespace.to_string(),
            rule.target.route.clone(),
        )
    };
    let expected = ("llm in Production".into(), "prod".into(), "public".into());
    assert_eq!(lane("{namespace: prod}"), expected);
    assert_eq!(lane("{environment: Production}"), expected);
    assert_eq!(
        lane("{namespace: test}"),
        ("llm in Test".into(), "test".into(), "llm".into())
    );
    let none = refused(&pipeline(&stage("A", "Kubernetes", "{}")));
    assert!(
        none[0].contains("names no environment: expected one of: Test, Production"),
        "{none:?}"
    );
    let other = refused(&pipeline(&stage(
        "A",
        "Kubernetes",
        "{environment: Test, namespace: prod}",
    )));
    assert!(
        other[0].contains("namespace `prod` is not that of Test"),
        "{other:?}"
    );
}

#[test]
fn two_environments_of_one_namespace_must_be_told_apart() {
    let text = format!(
        "environments: [{{name: Other, spec: {{cluster: c, namespace: prod}}}}]\n{}",
        pipeline(&stage("A", "Kubernetes", "{namespace: prod}"))
    );
    let said = refused(&text);
    assert!(
        said[0].contains("several environments fit the step `A`: Other, Production"),
        "{said:?}"
    );
}

#[test]
fn two_services_must_be_told_apart() {
    let second = "service: {name: tts, spec: {containers: [{name: c, image: 'tts:${VERSION}'}]}}\n";
    let text = |spec: &str| format!("{second}{}", pipeline(&stage("A", "Kubernetes", spec)));
    let said = refused(&text("{namespace: prod}"));
    assert!(
        said[0].contains("names none of the services: tts, llm"),
        "{said:?}"
    );
    let named = resolved(&text("{namespace: prod, service: tts}"));
    assert_eq!(rollout(&named).lane.service.as_str(), "tts");
}

#[test]
fn variables_of_the_environment_and_settings_of_its_block_reach_the_pod() {
    let text = format!(
        "test: {{replicas: 3, image_pull_policy: Always}}\n{}",
        pipeline(&stage("A", "Kubernetes", "{namespace: test}"))
    );
    let pipeline = resolved(&text);
    let workload = &rollout(&pipeline).workload;
    assert_eq!(workload.replicas, 3);
    let container = &workload.template["spec"]["containers"][0];
    assert_eq!(container["imagePullPolicy"], "Always");
    assert_eq!(container["env"], json!([{"name": "LEVEL", "value": "DEBUG"}]));
    assert_eq!(container["image"], "llm:c0ffee00c0ffee00");
    assert_eq!(
        container["readinessProbe"],
        json!({"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 10, "timeoutSeconds": 1})
    );
}

#[test]
fn a_pod_may_start_as_long_as_the_rollout_waits_for_it() {
    let text = pipeline(&stage("A", "Kubernetes", "{namespace: test, warm_within: 2h}"));
    let pipeline = resolved(&text);
    let probe = &rollout(&pipeline).workload.template["spec"]["containers"][0]["startupProbe"];
    let patience = probe["periodSeconds"].as_u64().unwrap() * probe["failureThreshold"].as_u64().unwrap();
    assert_eq!(patience, 7_200);
}

#[test]
fn the_version_is_the_tag_when_there_is_one() {
    let text = pipeline(&stage("A", "Kubernetes", "{namespace: test}"));
    let tagged = Variables {
        tag: Some("v1.2".into()),
        ..variables()
    };
    let pipeline = try_with(&text, &tagged, &[]).unwrap();
    assert_eq!(
        rollout(&pipeline).workload.template["spec"]["containers"][0]["image"],
        "llm:v1.2"
    );
}

#[test]
fn what_a_newer_push_does_is_kept() {
    let text = pipeline(&stage("A", "Plugin", "{image: x, commands: [ls]}"));
    assert_eq!(resolved(&text).on_new_push, OnNewPush::Queue);
    let text = text.replace("  name: P", "  name: P\n  on_new_push: supersede");
    assert_eq!(resolved(&text).on_new_push, OnNewPush::Supersede);
}

#[test]
fn what_makes_a_way_back_inexact_is_told() {
    let inexact = |container: &str| {
        let service = format!(
            "service: {{name: tts, spec: {{containers: [{container}], volumes: [{{name: m, persistentVolumeClaim: {{claimName: m}}}}]}}}}\n"
        );
        let text = format!(
            "{service}{}",
            pipeline(&stage("A", "Kubernetes", "{namespace: test, service: tts}"))
        );
        rollout(&resolved(&text)).workload.not_exact.clone()
    };
    let volume = "volume m is shared by revisions";
    assert_eq!(inexact("{name: c, image: 'tts:${GIT_COMMIT}'}"), [volume]);
    assert_eq!(inexact("{name: c, image: 'tts@sha256:aa'}"), [volume]);
    assert_eq!(
        inexact("{name: c, image: 'tts:latest'}"),
        [
            "image tts:latest has no digest and its tag does not name the commit",
            volume
        ]
    );
    assert_eq!(
        inexact("{name: c, image: 'tts@sha256:aa', env: {MODEL_URI: 's3://models/llama'}}"),
        ["model s3://models/llama has no digest", volume]
    );
    assert_eq!(
        inexact("{name: c, image: 'tts@sha256:aa', env: {MODEL_URI: 's3://models/${GIT_COMMIT}'}}"),
        [volume]
    );
}

#[test]
fn an_unknown_pipeline_is_told_with_its_nearest_name() {
    let loaded = load(&[SourceFile::new("w.yaml", WORLD)], Scope::Whole);
    let said = resolve(&loaded.definition, "Q", &variables(), &ResourceFiles::default()).unwrap_err();
    assert!(said[0].message().contains("no pipeline `Q`"));
}

#[test]
fn a_resolved_pipeline_survives_being_stored() {
    let pipeline = resolved(&pipeline(&stage(
        "A",
        "Kubernetes",
        "{namespace: prod, canary: {weight: 5, interval: 1m}, rollback: {condition: error_rate > 2%}}",
    )));
    let stored: Value = serde_json::to_value(&pipeline).unwrap();
    assert_eq!(serde_json::from_value::<Pipeline>(stored).unwrap(), pipeline);
    assert_eq!(pipeline.digest.len(), 64);
}
