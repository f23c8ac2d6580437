//! The article's first scenario with a service, environments, groups and a builder: the whole way to a pipeline.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

use weir_domain::pipeline::{StageWork, StepWork, Strategy};
use weir_domain::time::Span;
use weir_spec::{ResourceFiles, Scope, SourceFile, Trigger, Variables, load, resolve};

const PIPELINE: &str = include_str!("../../../docs/examples/model-update.yaml");
const WORLD: &str = include_str!("../../../docs/examples/world.yaml");
const COMMIT: &str = "8f2c1d7e4b5a69788796a5b4c3d2e1f001122334";

fn files() -> Vec<SourceFile> {
    vec![
        SourceFile::new(".weir/model-update.yaml", PIPELINE),
        SourceFile::new(".weir/world.yaml", WORLD),
    ]
}

fn variables() -> Variables {
    Variables {
        git_commit: COMMIT.into(),
        branch: "main".into(),
        tag: None,
        run_id: "run-1".into(),
        registry: None,
    }
}

fn pipeline() -> weir_domain::pipeline::Pipeline {
    let loaded = load(&files(), Scope::Whole);
    assert!(loaded.is_valid(), "{:#?}", loaded.diagnostics);
    resolve(
        &loaded.definition,
        "LLM-Model-Update",
        &variables(),
        &ResourceFiles::default(),
    )
    .unwrap()
}

fn steps(work: &StageWork) -> &[weir_domain::pipeline::Step] {
    match work {
        StageWork::Steps { steps, .. } => steps,
        StageWork::Approval(_) => panic!("an approval"),
    }
}

#[test]
fn scenario_one_resolves_stage_by_stage() {
    let pipeline = pipeline();
    let names: Vec<&str> = pipeline.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Validate Model",
            "Build & Push",
            "Performance Test",
            "Deploy to Staging",
            "Smoke Test",
            "Approval",
            "Deploy to Production"
        ]
    );
    assert!(matches!(
        pipeline.stages[2].work,
        StageWork::Steps { parallel: true, .. }
    ));
    assert_eq!(pipeline.builds.cluster.as_str(), "staging-cluster");
}

#[test]
fn commands_get_the_commit_and_the_registry() {
    let pipeline = pipeline();
    let StepWork::Plugin(plugin) = &steps(&pipeline.stages[1].work)[0].work else {
        panic!("no plugin")
    };
    assert_eq!(
        plugin.commands[1],
        format!("docker push registry.example.com/ai-service:{COMMIT}")
    );
    assert_eq!(plugin.env["DOCKER_HOST"], "tcp://builder.weir-builds:2375");
    assert_eq!(plugin.env["GIT_COMMIT"], COMMIT);
}

#[test]
fn the_canary_is_as_written_and_the_rest_is_the_default() {
    let pipeline = pipeline();
    let StepWork::Rollout(rule) = &steps(&pipeline.stages[6].work)[0].work else {
        panic!("no rollout")
    };
    assert_eq!(rule.lane.to_string(), "ai-inference-service in Production");
    assert_eq!(rule.target.namespace.as_str(), "production");
    assert_eq!(rule.target.route, "ai-inference-service");
    let Strategy::Canary(canary) = &rule.strategy else {
        panic!("no canary")
    };
    assert_eq!(
        (canary.steps[0].weight.percent(), canary.steps[0].interval),
        (5, Span::minutes(10))
    );
    assert_eq!((canary.threshold.value(), canary.min_samples), (0.98, 50));
    assert_eq!(rule.bake, Span::minutes(10));
    assert_eq!(
        (rule.keep, rule.hold_exposure, rule.warm_within),
        (Span::minutes(10), Span::minutes(10), Span::minutes(30))
    );
    assert_eq!(rule.warm_up, Span::seconds(30));
    let condition = rule.rollback.as_ref().unwrap().to_string();
    assert_eq!(condition, "error_rate > 2% || latency_p99 > 1000ms");
}

#[test]
fn the_service_becomes_a_pod_template() {
    let pipeline = pipeline();
    let StepWork::Rollout(rule) = &steps(&pipeline.stages[6].work)[0].work else {
        panic!("no rollout")
    };
    let workload = &rule.workload;
    assert_eq!(
        (workload.replicas, workload.gpus, workload.gpu_resource.as_str()),
        (5, 1, "nvidia.com/gpu")
    );
    assert_eq!(workload.port, 8000);
    assert_eq!(
        (workload.metrics.port, workload.metrics.path.as_str()),
        (8000, "/metrics")
    );
    assert_eq!(workload.not_exact, Vec::<String>::new());
    let expected = serde_json::json!({
        "metadata": {"labels": {"app.kubernetes.io/name": "ai-inference-service"}},
        "spec": {
            "terminationGracePeriodSeconds": 60,
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "containers": [{
                "name": "inference-engine",
                "image": format!("ai-service:{COMMIT}"),
                "imagePullPolicy": "IfNotPresent",
                "ports": [{"containerPort": 8000}],
                "env": [
                    {"name": "LOG_LEVEL", "value": "INFO"},
                    {"name": "API_TIMEOUT", "value": "10"},
                    {"name": "ENABLE_MONITORING", "value": "true"},
                    {"name": "MODEL_PATH", "value": "/models/llama-13b"},
                    {"name": "BATCH_SIZE", "value": "32"},
                    {"name": "MAX_TOKENS", "value": "2048"},
                ],
                "resources": {
                    "requests": {"memory": "8Gi", "cpu": "4", "nvidia.com/gpu": "1"},
                    "limits": {"memory": "16Gi", "cpu": "8", "nvidia.com/gpu": "1"},
                },
                "startupProbe": {"httpGet": {"path": "/health", "port": 8000},
                    "periodSeconds": 5, "timeoutSeconds": 10, "failureThreshold": 360},
                "readinessProbe": {"httpGet": {"path": "/health", "port": 8000},
                    "periodSeconds": 30, "timeoutSeconds": 10},
            }],
        },
    });
    assert_eq!(workload.template, expected);
}

#[test]
fn a_new_commit_is_a_new_revision_and_the_same_commit_is_not() {
    let loaded = load(&files(), Scope::Whole);
    let revision = |commit: &str| {
        let variables = Variables {
            git_commit: commit.into(),
            ..variables()
        };
        let pipeline = resolve(
            &loaded.definition,
            "LLM-Model-Update",
            &variables,
            &ResourceFiles::default(),
        )
        .unwrap();
        match &steps(&pipeline.stages[6].work)[0].work {
            StepWork::Rollout(rule) => rule.workload.revision(),
            _ => panic!("no rollout"),
        }
    };
    assert_eq!(revision(COMMIT), revision(COMMIT));
    assert_ne!(
        revision(COMMIT),
        revision("1111111111111111111111111111111111111111")
    );
}

#[test]
fn the_approval_opens_production_and_keeps_the_pusher_out() {
    let pipeline = pipeline();
    let StageWork::Approval(rule) = &pipeline.stages[5].work else {
        panic!("no approval")
    };
    assert_eq!(rule.needs.len(), 1);
    assert_eq!(
        (rule.needs[0].group.as_str(), rule.needs[0].people),
        ("ml-team", 1)
    );
    assert_eq!(rule.timeout, Span::hours(24));
    assert_eq!(rule.opens, ["Production"]);
    assert!(!rule.pusher_may_approve);
}

#[test]
fn triggers_are_handed_over_as_plain_lists() {
    let loaded = load(&files(), Scope::Whole);
    let triggers: Vec<_> = loaded.definition.triggers().collect();
    let [
        (
            pipeline,
            Trigger::Push {
                branches,
                paths,
                tags,
                ..
            },
        ),
    ] = triggers.as_slice()
    else {
        panic!("{triggers:?}")
    };
    assert_eq!(*pipeline, "LLM-Model-Update");
    assert_eq!(
        (branches.as_slice(), tags.len()),
        (["main".to_owned()].as_slice(), 0)
    );
    assert_eq!(paths, &["models/**", "src/**"]);

    let gitops = include_str!("../../../docs/examples/gitops.yaml");
    let mut all = files();
    all.push(SourceFile::new(".weir/gitops.yaml", gitops));
    let loaded = load(&all, Scope::Whole);
    let Some((
        _,
        Trigger::Git {
            repo,
            branches,
            paths,
            on_change,
            ..
        },
    )) = loaded.definition.triggers().nth(1)
    else {
        panic!("no second trigger")
    };
    assert_eq!(repo, "github.com/myorg/ai-deployment");
    assert_eq!(
        (branches[0].as_str(), paths[0].as_str()),
        ("main", "deployments/**")
    );
    assert_eq!(on_change.as_deref(), Some("auto_deploy"));
}
