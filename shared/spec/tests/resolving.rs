//! A definition, a push and manifests to a pipeline: the rules where the article is silent.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

mod kit;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_domain::pipeline::{
    ApprovalRule, OnNewPush, Pipeline, Plugin, RolloutRule, StageWork, StepWork, Strategy,
};
use weir_domain::strategy::Shadow;
use weir_domain::time::Span;
use weir_domain::units::{Ratio, Weight};
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
    let sources = [SourceFile::new("p.yaml", text), SourceFile::new("w.yaml", WORLD)];
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

fn plugin(pipeline: &Pipeline) -> &Plugin {
    let found = works(pipeline).into_iter().rev().find_map(|work| match work {
        StepWork::Plugin(plugin) => Some(plugin),
        _ => None,
    });
    found.expect("a plugin")
}

fn approval(pipeline: &Pipeline) -> &ApprovalRule {
    let found = pipeline.stages.iter().find_map(|stage| match &stage.work {
        StageWork::Approval(rule) => Some(rule),
        StageWork::Steps { .. } => None,
    });
    found.expect("an approval")
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
fn strategies_and_their_defaults() {
    let rule = |spec: &str| {
        let pipeline = resolved(&pipeline(&stage(
            "A",
            "Kubernetes",
            &format!("{{namespace: test, {spec}}}"),
        )));
        let rule = rollout(&pipeline).clone();
        (rule.strategy.as_str(), rule.bake)
    };
    assert_eq!(rule("strategy: rolling"), ("rolling", Span::ZERO));
    assert_eq!(rule("replicas: 2"), ("rolling", Span::ZERO));
    assert_eq!(
        rule("canary: {weight: 5, interval: 7m}"),
        ("canary", Span::minutes(7))
    );
    assert_eq!(
        rule(
            "bake: 1m, strategy: canary, canary: {steps: [{weight: 5, interval: 7m}, {weight: 50, interval: 2m}]}"
        ),
        ("canary", Span::minutes(1))
    );
    assert_eq!(rule("strategy: blue-green"), ("blue-green", Span::minutes(10)));
    assert_eq!(
        rule("blue_green: {interval: 3m}"),
        ("blue-green", Span::minutes(3))
    );
    assert_eq!(
        rule("bake: 1h, blue_green: {interval: 3m}"),
        ("blue-green", Span::hours(1))
    );
    assert_eq!(rule("strategy: shadow"), ("shadow", Span::ZERO));
    assert_eq!(rule("shadow: {interval: 3m}"), ("shadow", Span::ZERO));
}

#[test]
fn a_shadow_says_how_much_is_copied_for_how_long_and_within_how_many_gpus() {
    let shadow = |spec: &str| {
        let spec = format!("{{namespace: test, {spec}}}");
        let pipeline = resolved(&pipeline(&stage("A", "Kubernetes", &spec)));
        match &rollout(&pipeline).strategy {
            Strategy::Shadow(shadow) => shadow.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(shadow("strategy: shadow"), Shadow::default());
    let written = shadow("shadow: {percent: 25, interval: 3m, gpus: 8, threshold: 99, min_samples: 9}");
    let copied = Shadow::copied(
        Weight::new(25).unwrap(),
        Span::minutes(3),
        Ratio::new(0.99).unwrap(),
        9,
    );
    assert_eq!(
        written,
        Shadow {
            gpus: Some(8),
            copied
        }
    );
}

#[test]
fn canary_steps_keep_their_order_and_the_threshold_its_default() {
    let spec = "{namespace: test, canary: {steps: [{weight: 5, interval: 1m}, {weight: 50, interval: 2m}], min_samples: 9}}";
    let pipeline = resolved(&pipeline(&stage("A", "Kubernetes", spec)));
    let Strategy::Canary(canary) = &rollout(&pipeline).strategy else {
        panic!("no canary")
    };
    let steps: Vec<_> = canary
        .steps
        .iter()
        .map(|step| (step.weight.percent(), step.interval))
        .collect();
    assert_eq!(steps, [(5, Span::minutes(1)), (50, Span::minutes(2))]);
    assert_eq!((canary.threshold.value(), canary.min_samples), (0.95, 9));
}

#[test]
fn blue_green_waits_before_its_switch_and_is_judged_after_it() {
    let spec = "{namespace: test, blue_green: {preview: 2m, interval: 20m, threshold: 99, min_samples: 9, \
                checks: {image: curl, commands: ['curl $WEIR_PREVIEW ${GIT_COMMIT}'], timeout: 1m}}}";
    let pipeline = resolved(&pipeline(&stage("A", "Kubernetes", spec)));
    let Strategy::BlueGreen(colours) = &rollout(&pipeline).strategy else {
        panic!("no blue-green")
    };
    let switch = &colours.switch;
    let steps: Vec<_> = switch
        .steps
        .iter()
        .map(|step| (step.weight.percent(), step.interval))
        .collect();
    assert_eq!(steps, [(100, Span::minutes(20))]);
    assert_eq!((switch.threshold.value(), switch.min_samples), (0.99, 9));
    assert_eq!(colours.preview, Span::minutes(2));
    let checks = colours.checks.as_ref().unwrap();
    assert_eq!(checks.timeout, Span::minutes(1));
    let command = &checks.commands[0];
    assert!(
        command.starts_with("curl $WEIR_PREVIEW ") && !command.contains("GIT_COMMIT"),
        "{command}"
    );
}

#[test]
fn rolling_within_limits_is_told_in_gpus() {
    let limits = |spec: &str| {
        let stages = stage("A", "Kubernetes", &format!("{{namespace: test, {spec}}}"));
        let pipeline = resolved(&pipeline(&stages));
        let Strategy::Rolling(rolling) = rollout(&pipeline).strategy.clone() else {
            panic!("not rolling")
        };
        (rolling.surge, rolling.unavailable, rolling.pause)
    };
    assert_eq!(limits("strategy: rolling"), (None, 0, None));
    assert_eq!(limits("rolling: {surge: 3}"), (Some(3), 0, None));
    assert_eq!(
        limits("replicas: 2, rolling: {unavailable: 1}"),
        (Some(0), 1, None)
    );
    let (.., pause) = limits("rolling: {surge: 3, pause_at: 40%, pause_within: 2h}");
    let pause = pause.unwrap();
    assert_eq!((pause.at.percent(), pause.within), (40, Span::hours(2)));
}

#[test]
fn limits_within_which_no_replica_can_be_replaced_are_refused() {
    for (spec, message) in [
        ("rolling: {surge: 0}", "so that none could be replaced"),
        (
            "replicas: 1, rolling: {unavailable: 1}",
            "all 1 replicas may be missing",
        ),
        (
            "rolling: {surge: 1}, canary: {weight: 5, interval: 1m}",
            "settings of canary and of rolling",
        ),
        (
            "strategy: blue-green, rolling: {surge: 1}",
            "settings of rolling and the strategy blue-green",
        ),
    ] {
        let stages = stage("A", "Kubernetes", &format!("{{namespace: test, {spec}}}"));
        let said = refused(&pipeline(&stages));
        assert!(said.iter().any(|m| m.contains(message)), "{spec}: {said:?}");
    }
}

#[test]
fn phases_have_deadlines_of_their_own() {
    let spec = "{namespace: test, deadlines: {scheduling: 10m, pulling: 5m}}";
    let pipeline = resolved(&pipeline(&stage("A", "Kubernetes", spec)));
    let deadlines = rollout(&pipeline).deadlines;
    assert_eq!(
        (deadlines.scheduling, deadlines.pulling, deadlines.loading),
        (Some(Span::minutes(10)), Some(Span::minutes(5)), None)
    );
}

#[test]
fn checks_run_where_they_reach_the_new_revision() {
    let spec = "{namespace: test, blue_green: {checks: {image: curl, commands: [curl]}}}";
    let said = refused(&format!(
        "builds: {{cluster: elsewhere}}\n{}",
        pipeline(&stage("A", "Kubernetes", spec))
    ));
    assert!(
        said.iter()
            .any(|m| m.contains("the checks would run in cluster elsewhere")),
        "{said:?}"
    );
}

#[test]
fn the_rollback_policy_joins_the_steps_own_condition() {
    let policy = "rollback_policy:\n  automatic:\n    - {condition: error_rate > 5%, duration: 5m, action: instant_rollback}\n    - {condition: latency_p99 > 5s && restarts > 0, duration: 10m}\n";
    let canary = "{namespace: test, canary: {weight: 5, interval: 1m}, rollback: {condition: error_rate > 9% || restarts > 3}}";
    let pipeline_of =
        |spec: &str| resolved(&format!("{policy}{}", pipeline(&stage("A", "Kubernetes", spec))));
    let condition = rollout(&pipeline_of(canary))
        .rollback
        .as_ref()
        .unwrap()
        .to_string();
    assert_eq!(
        condition,
        "error_rate > 9% || restarts > 3 || error_rate > 5% for 5m || (latency_p99 > 5s for 10m && restarts > 0 for 10m)"
    );
    let colours = rollout(&pipeline_of("{namespace: test, strategy: blue-green}"))
        .rollback
        .clone();
    assert_eq!(
        colours.unwrap().to_string(),
        "error_rate > 5% for 5m || (latency_p99 > 5s for 10m && restarts > 0 for 10m)"
    );
    assert_eq!(rollout(&pipeline_of("{namespace: test}")).rollback, None);
}

#[test]
fn an_approval_without_approvers_asks_whom_the_policy_names() {
    let policy = "policy:\n  approvals:\n    Test: none\n    Production: {needs: [{group: ml, people: 2}, ops], timeout: 2h}\n";
    let stages = format!(
        "{}    - stage: Ask\n      type: Approval\n{}",
        stage("A", "Kubernetes", "{namespace: test}"),
        stage("B", "Kubernetes", "{namespace: prod}")
    );
    let pipeline = resolved(&format!("{policy}{}", pipeline(&stages)));
    let rule = approval(&pipeline);
    let needs: Vec<_> = rule
        .needs
        .iter()
        .map(|need| (need.group.as_str(), need.people))
        .collect();
    assert_eq!(needs, [("ml", 2), ("ops", 1)]);
    assert_eq!(
        (rule.timeout, rule.opens.as_slice()),
        (Span::hours(2), ["Production".to_owned()].as_slice())
    );
}

#[test]
fn a_policy_is_a_floor_that_no_pipeline_goes_under() {
    let policy = "policy:\n  approvals:\n    Production: {needs: [ml, ops]}\n";
    let production = stage("B", "Kubernetes", "{namespace: prod}");
    let ask = |who: &str| format!("    - stage: Ask\n      type: Manual\n      approvers: [{who}]\n");
    let said = refused(&format!("{policy}{}", pipeline(&production)));
    assert!(
        said.iter()
            .any(|m| m.contains("moves Production without the approval of one person by `ml`")),
        "{said:?}"
    );
    let said = refused(&format!(
        "{policy}{}",
        pipeline(&format!("{}{production}", ask("ml")))
    ));
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("by `ops`"), "{said:?}");
    let pipeline = resolved(&format!(
        "{policy}{}",
        pipeline(&format!("{}{production}", ask("ml, ops")))
    ));
    assert_eq!(approval(&pipeline).timeout, Span::hours(24));
}

#[test]
fn pushers_may_approve_their_own_change_only_outside_of_production_or_when_allowed() {
    let text = |policy: &str, namespace: &str| {
        let stages = format!(
            "    - stage: Ask\n      type: Manual\n      approvers: [ml]\n{}",
            stage("A", "Kubernetes", &format!("{{namespace: {namespace}}}"))
        );
        format!("{policy}\n{}", pipeline(&stages))
    };
    let allowed =
        |policy: &str, namespace: &str| approval(&resolved(&text(policy, namespace))).pusher_may_approve;
    assert!(allowed("", "test"));
    assert!(!allowed("", "prod"));
    assert!(allowed("policy: {pusher_may_approve: true}", "prod"));
    assert!(allowed(
        "policy: {approvals: {Production: {needs: [ml], pusher_may_approve: true}}}",
        "prod"
    ));
    assert!(!allowed(
        "policy: {approvals: {Test: {needs: [ml], pusher_may_approve: false}}}",
        "test"
    ));
    let last = format!(
        "{}    - stage: Ask\n      type: Manual\n      approvers: [ml]\n",
        stage("A", "Kubernetes", "{namespace: test}")
    );
    assert!(!approval(&resolved(&pipeline(&last))).pusher_may_approve);
}

#[test]
fn a_quorum_larger_than_its_group_is_an_error() {
    let stages = format!(
        "    - stage: Ask\n      type: Manual\n      approvers: [{{group: ops, people: 2}}]\n{}",
        stage("A", "Kubernetes", "{namespace: prod}")
    );
    assert!(refused(&pipeline(&stages))[0].contains("group `ops` has one person: expected at least 2"));
}

#[test]
fn commands_keep_the_shells_own_variables_and_get_the_runs() {
    let spec = "{image: 'x:${GIT_COMMIT}', commands: ['echo ${MINE} ${TOKEN} ${RUN_ID} ${HOME:-x} $${HOME}'], env: {MINE: '${BRANCH}'}, secrets: [{env: TOKEN, secret: s, key: k}], timeout: 5m}";
    let pipeline = resolved(&pipeline(&stage("A", "Plugin", spec)));
    let plugin = plugin(&pipeline);
    assert_eq!(plugin.image, "x:c0ffee00c0ffee00");
    assert_eq!(
        plugin.commands,
        ["echo ${MINE} ${TOKEN} run-7 ${HOME:-x} ${HOME}"]
    );
    assert_eq!(
        (plugin.env["MINE"].as_str(), plugin.env["VERSION"].as_str()),
        ("main", "c0ffee00c0ffee00")
    );
    assert_eq!(
        (plugin.secrets[0].env.as_str(), plugin.timeout),
        ("TOKEN", Span::minutes(5))
    );
    assert!(!plugin.env.contains_key("TOKEN"));
}

#[test]
fn a_branch_name_never_becomes_a_command() {
    let text = pipeline(&stage(
        "A",
        "Plugin",
        "{image: x, commands: ['git log ${BRANCH}']}",
    ));
    let evil = Variables {
        branch: "a;curl$IFS-x|sh".into(),
        ..variables()
    };
    let pipeline = try_with(&text, &evil, &[]).unwrap();
    assert_eq!(plugin(&pipeline).commands, ["git log ${BRANCH}"]);
    assert_eq!(plugin(&pipeline).env["BRANCH"], "a;curl$IFS-x|sh");
}

#[test]
fn outputs_are_known_to_later_steps_only() {
    let build = stage("Build", "Plugin", "{image: x, commands: [ls], outputs: [TAG]}");
    let used = stage(
        "Use",
        "Plugin",
        "{image: x, commands: ['echo ${steps.build.TAG}'], env: {T: '${steps.build.TAG}'}}",
    );
    let pipeline_of = |stages: &str| try_with(&pipeline(stages), &variables(), &[]);
    let good = pipeline_of(&format!("{build}{used}")).unwrap();
    assert_eq!(plugin(&good).commands, ["echo ${WEIR_STEP_BUILD_TAG}"]);
    assert_eq!(
        (
            plugin(&good).env["T"].as_str(),
            plugin(&good).env["WEIR_STEP_BUILD_TAG"].as_str()
        ),
        ("${steps.build.TAG}", "${steps.build.TAG}")
    );
    let early = pipeline_of(&format!("{used}{build}")).unwrap_err();
    assert!(early[0].contains("names no earlier step"), "{early:?}");
    let other = pipeline_of(&format!("{build}{}", used.replace("TAG", "TAGG"))).unwrap_err();
    assert!(
        other[0].contains("step `build` has no output `TAGG`: expected TAG"),
        "{other:?}"
    );
    let together = "    - stage: S\n      parallel: true\n      steps:\n        - step: {name: a, type: Plugin, spec: {image: x, commands: [ls], outputs: [T]}}\n        - step: {name: b, type: Plugin, spec: {image: x, commands: ['echo ${steps.a.T}']}}\n";
    assert!(pipeline_of(together).unwrap_err()[0].contains("names no earlier step"));
}

#[test]
fn a_parallel_stage_moves_a_service_once() {
    let stages = |parallel: bool, second: &str| {
        let step = |name: &str, namespace: &str| {
            format!("        - step: {{name: {name}, type: Kubernetes, spec: {{namespace: {namespace}}}}}\n")
        };
        let steps = step("a", "test") + &step("b", second);
        pipeline(&format!(
            "    - stage: S\n      parallel: {parallel}\n      steps:\n{steps}"
        ))
    };
    assert_eq!(
        refused(&stages(true, "test")),
        ["steps `a` and `b` of a parallel stage both move llm in Test: expected one mover"]
    );
    resolved(&stages(true, "prod"));
    resolved(&stages(false, "test"));
}

#[test]
fn steps_of_one_name_in_two_stages_have_slugs_of_their_own() {
    let stages = format!(
        "{}{}",
        stage("A", "Plugin", "{image: x, commands: [ls]}"),
        stage("B", "Plugin", "{image: x, commands: [ls]}").replace("name: B", "name: A")
    );
    let pipeline = resolved(&pipeline(&stages));
    let slugs = pipeline.stages.iter().flat_map(|stage| match &stage.work {
        StageWork::Steps { steps, .. } => steps.iter().map(|step| step.slug.as_str()).collect(),
        StageWork::Approval(_) => Vec::new(),
    });
    assert_eq!(slugs.collect::<Vec<&str>>(), ["a", "a-2"]);
}

#[test]
fn a_registry_that_nobody_names_is_an_error_and_the_definitions_own_wins() {
    let text = pipeline(&stage("A", "Plugin", "{image: '${REGISTRY}/x', commands: [ls]}"));
    assert!(refused(&text)[0].contains("`${REGISTRY}` has no value"));
    let host = Variables {
        registry: Some("host".into()),
        ..variables()
    };
    assert_eq!(plugin(&try_with(&text, &host, &[]).unwrap()).image, "host/x");
    let own = format!("builds: {{registry: own, namespace: ci, cluster: c9, fetch_image: git}}\n{text}");
    let pipeline = try_with(&own, &host, &[]).unwrap();
    assert_eq!(plugin(&pipeline).image, "own/x");
    let builds = &pipeline.builds;
    assert_eq!(
        (
            builds.cluster.as_str(),
            builds.namespace.as_str(),
            builds.fetch_image.as_str()
        ),
        ("c9", "ci", "git")
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

const DEPLOYMENT: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: llm-server}
spec:
  replicas: 4
  selector: {matchLabels: {app: llm}}
  template:
    metadata: {labels: {app: llm}, annotations: {prometheus.io/port: '9090', prometheus.io/path: /m}}
    spec:
      containers:
        - name: main
          image: llm:${GIT_COMMIT}
          args: ['--level=${LEVEL}', '${OWN}']
          env: [{name: OWN, value: x}]
          ports: [{containerPort: 8080}]
          resources: {limits: {nvidia.com/gpu: 2}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {branch: '${BRANCH}', number: '010'}
";

fn of_manifest(manifest: &str, spec: &str) -> Result<RolloutRule, Vec<String>> {
    let text = pipeline(&stage("A", "Kubernetes", spec));
    try_with(&text, &variables(), &[("k8s/llm.yaml", manifest)]).map(|pipeline| rollout(&pipeline).clone())
}

#[test]
fn a_shadow_has_gpus_for_one_replica_at_least() {
    let of = |shadow: &str| {
        let spec = format!("{{namespace: test, resources: [k8s/llm.yaml], shadow: {{{shadow}}}}}");
        of_manifest(DEPLOYMENT, &spec)
    };
    let said = of("gpus: 1").unwrap_err();
    assert!(
        said.iter()
            .any(|m| m.contains("1 GPUs at most: a replica has 2, so that none could get copies")),
        "{said:?}"
    );
    // One of four replicas fits, so that a quarter is copied.
    let rule = of("gpus: 3, percent: 50").unwrap();
    let shadow = rule.strategy.mirrored().unwrap();
    assert_eq!(shadow.percent(&rule.workload).percent(), 25);
}

#[test]
fn a_deployment_of_the_commit_becomes_the_workload() {
    let rule = of_manifest(DEPLOYMENT, "{namespace: test, resources: [k8s/llm.yaml]}").unwrap();
    let workload = &rule.workload;
    assert_eq!((workload.replicas, workload.gpus, workload.port), (4, 2, 8080));
    assert_eq!(
        (workload.metrics.port, workload.metrics.path.as_str()),
        (9090, "/m")
    );
    let container = &workload.template["spec"]["containers"][0];
    assert_eq!(container["image"], "llm:c0ffee00c0ffee00");
    assert_eq!(container["args"], json!(["--level=DEBUG", "${OWN}"]));
    assert_eq!(
        container["env"],
        json!([{"name": "LEVEL", "value": "DEBUG"}, {"name": "OWN", "value": "x"}])
    );
    assert_eq!(
        workload.template["spec"]["tolerations"][0]["key"],
        "nvidia.com/gpu"
    );
    assert_eq!(
        workload.config[0]["data"],
        json!({"branch": "main", "number": "010"})
    );
}

#[test]
fn without_a_service_the_deployment_names_it() {
    let environments = "environments: [{name: E, spec: {cluster: c}}]\n";
    let text = format!(
        "{environments}{}",
        pipeline(&stage("A", "Kubernetes", "{resources: [d.yaml]}"))
    );
    let loaded = load(&[SourceFile::new("p.yaml", text)], Scope::OneFile);
    let files = ResourceFiles::new([("d.yaml".to_owned(), DEPLOYMENT.replace("LEVEL", "BRANCH"))].into());
    let pipeline = resolve(&loaded.definition, "P", &variables(), &files).unwrap();
    assert_eq!(rollout(&pipeline).lane.to_string(), "llm-server in E");
    assert_eq!(loaded.definition.resource_paths("P"), ["d.yaml"]);
}

#[test]
fn manifests_that_reach_beyond_their_pods_are_refused() {
    let spec = "{namespace: test, resources: [k8s/llm.yaml]}";
    let table = [
        (
            "metadata: {name: llm-server}",
            "metadata: {name: llm-server, namespace: kube-system}",
            "namespace `kube-system`: expected `test`",
        ),
        (
            "kind: ConfigMap",
            "kind: Secret",
            "`Secret` of v1: expected a Deployment of apps/v1 or a ConfigMap of v1",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap",
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole",
            "`ClusterRole`",
        ),
        (
            "containers:",
            "hostNetwork: true\n      containers:",
            "`hostNetwork` in a pod template",
        ),
        (
            "containers:",
            "volumes: [{name: v, hostPath: {path: /}}]\n      containers:",
            "`hostPath` in a pod template",
        ),
        (
            "ports:",
            "securityContext: {privileged: true}\n          ports:",
            "`privileged` in a pod template",
        ),
        (
            "limits: {",
            "requests: {nvidia.com/gpu: 1}, limits: {",
            "request of 1 nvidia.com/gpu and limit of 2",
        ),
        ("${OWN}", "${NOBODY}", "unknown variable `NOBODY`"),
        (
            "apiVersion: v1\nkind: ConfigMap",
            "apiVersion: apps/v1\nkind: Deployment",
            "a Deployment without `spec.template`",
        ),
        ("replicas: 4", "replicas: [", "not YAML"),
    ];
    for (from, to, message) in table {
        assert!(DEPLOYMENT.contains(from), "{from}");
        let said = of_manifest(&DEPLOYMENT.replacen(from, to, 1), spec).expect_err(to);
        assert!(said.iter().any(|m| m.contains(message)), "{to}: {said:?}");
    }
    let two = format!("{DEPLOYMENT}---\n{}", DEPLOYMENT.split("---").next().unwrap());
    assert!(of_manifest(&two, spec).unwrap_err()[0].contains("2 Deployments"));
    let none = of_manifest(DEPLOYMENT, "{namespace: test, resources: [k8s/other.yaml]}").unwrap_err();
    assert!(
        none[0].contains("`k8s/other.yaml` is not in the commit"),
        "{none:?}"
    );
}

#[test]
fn a_manifest_among_the_files_is_checked_at_its_own_lines() {
    let manifest = DEPLOYMENT.replace("containers:", "hostPID: true\n      containers:");
    let said = kit::together(&[("d.yaml", &manifest)]);
    assert_eq!((said[0].file.as_str(), said[0].at), ("d.yaml", (11, 7)));
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
