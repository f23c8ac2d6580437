//! The article's ladder of approvals, with the rest of the keys that the first scenario does not use.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

use serde_json::json;
use weir_domain::pipeline::{RolloutRule, StageWork, StepWork};
use weir_domain::time::Span;
use weir_spec::{ClusterAccess, ResourceFiles, Scope, SourceFile, Variables, load, resolve};

const LADDER: &str = include_str!("../../../docs/examples/ladder/ladder.yaml");

#[test]
fn the_ladder_of_approvals_is_the_articles() {
    let loaded = load(&[SourceFile::new("ladder.yaml", LADDER)], Scope::Whole);
    assert!(loaded.is_valid(), "{:#?}", loaded.diagnostics);
    let clusters = loaded.definition.clusters.iter();
    let clusters: Vec<_> = clusters.map(|c| (c.name.value.as_str(), &c.access)).collect();
    assert_eq!(
        clusters,
        [("dev", &ClusterAccess::Host), ("prod", &ClusterAccess::Host)]
    );

    let variables = Variables {
        git_commit: "c0ffee".into(),
        branch: "main".into(),
        ..Variables::default()
    };
    let pipeline = resolve(
        &loaded.definition,
        "Ladder",
        &variables,
        &ResourceFiles::default(),
    )
    .unwrap();
    let mut rungs = Vec::new();
    let mut rules: Vec<&RolloutRule> = Vec::new();
    for stage in &pipeline.stages {
        match &stage.work {
            StageWork::Approval(rule) => {
                let groups: Vec<&str> = rule.needs.iter().map(|need| need.group.as_str()).collect();
                rungs.push((
                    rule.opens[0].as_str(),
                    groups,
                    rule.timeout,
                    rule.pusher_may_approve,
                ));
            }
            StageWork::Steps { steps, .. } => {
                rules.extend(steps.iter().filter_map(|step| match &step.work {
                    StepWork::Rollout(rule) => Some(&**rule),
                    _ => None,
                }));
            }
        }
    }
    let day = Span::hours(24);
    assert_eq!(
        rungs,
        [
            ("Test", vec!["test-lead"], day, true),
            ("Preprod", vec!["tech-lead"], day, true),
            ("Production", vec!["product", "tech"], Span::hours(48), false),
        ]
    );

    let (dev, production) = (rules[0], rules[3]);
    assert_eq!((dev.workload.replicas, production.workload.replicas), (1, 4));
    assert_eq!(
        (
            production.target.route.as_str(),
            production.target.gateway.as_deref()
        ),
        ("models", Some("edge/public"))
    );
    assert_eq!(
        (production.workload.port, production.workload.metrics.port),
        (8080, 9090)
    );
    let spec = &production.workload.template["spec"];
    assert_eq!(spec["nodeSelector"], json!({"gpu": "h100"}));
    assert_eq!(spec["tolerations"][0]["key"], "team");
    assert_eq!(spec["terminationGracePeriodSeconds"], 120);
    assert_eq!(spec["volumes"], json!([{"name": "scratch", "emptyDir": {}}]));
    let container = &spec["containers"][0];
    assert_eq!(
        (&container["command"], &container["args"]),
        (&json!(["serve"]), &json!(["--port", "8080"]))
    );
    assert_eq!(
        container["volumeMounts"],
        json!([{"name": "scratch", "mountPath": "/tmp"}])
    );
}
