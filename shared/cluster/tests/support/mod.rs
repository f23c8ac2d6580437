//! A run to test with: one Plugin step, then one rollout.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use serde_json::{Value, json};
use weir_domain::ids::{RevisionId, StepId};
use weir_domain::pipeline::{RolloutRule, StageWork, StepWork};
use weir_domain::rollout::{Rollout, StableSide};
use weir_domain::run::Run;
use weir_domain::time::Timestamp;

/// The Plugin step.
pub const PLUGIN: StepId = StepId { stage: 0, step: 0 };
/// The rollout step.
pub const ROLLOUT: StepId = StepId { stage: 1, step: 0 };

/// A run whose rollout has a candidate and no stable revision.
pub fn run() -> Run {
    let value = json!({
        "schema": 1,
        "id": "run-7",
        "number": 7,
        "cause": {
            "repository": {"name": "acme/models", "clone_url": "https://git.example/acme/models.git"},
            "git_ref": "refs/heads/main",
            "before": "0".repeat(40),
            "after": "1234567890123456789012345678901234567890",
            "actor": "weir",
            "headline": "new model",
            "reason": "models/**",
            "received": 0,
        },
        "pipeline": {
            "name": "model-update",
            "digest": "d",
            "stages": [
                {"name": "Build", "work": {"steps": {"parallel": false, "steps": [plugin()]}}},
                {"name": "Production", "work": {"steps": {"parallel": false, "steps": [rollout()]}}},
            ],
            "builds": {"cluster": "main", "namespace": "weir-builds", "fetch_image": "git"},
        },
        "status": "running",
        "stages": [
            {"status": "running", "steps": [{"status": "running"}]},
            {"status": "pending", "steps": [{"status": "pending"}]},
        ],
        "outputs": {"build": {"TAG": "v7"}},
        "began": 0,
    });
    let mut run: Run = serde_json::from_value(value).expect("the run is well formed");
    let candidate = run.rule(ROLLOUT).expect("it is a rollout").workload.revision();
    run.stages[ROLLOUT.stage].steps[ROLLOUT.step].rollout =
        Some(Box::new(Rollout::new(candidate, Timestamp(0))));
    run
}

fn plugin() -> Value {
    json!({"name": "Check", "slug": "check", "work": {"plugin": {
        "image": "python:3.12",
        "commands": ["python3 check.py ${WEIR_STEP_BUILD_TAG}", "echo \"DIGEST=$(sha256sum model)\" >> \"$WEIR_OUTPUTS\""],
        "env": {"MODE": "strict", "WEIR_STEP_BUILD_TAG": "${steps.build.TAG}"},
        "secrets": [{"env": "TOKEN", "secret": "hub", "key": "token"}],
        "outputs": ["DIGEST"],
        "timeout": 600_000,
    }}})
}

fn rollout() -> Value {
    json!({"name": "Production", "slug": "production", "work": {"rollout": {
        "lane": {"service": "web", "environment": "Production"},
        "target": {
            "cluster": "main", "provider": "kubernetes", "namespace": "prod", "route": "web", "service": "web",
        },
        "workload": {
            "template": {
                "metadata": {"labels": {"app.kubernetes.io/name": "web"}},
                "spec": {"containers": [{"name": "server", "image": "web:1"}]},
            },
            "replicas": 2,
            "gpus": 1,
            "gpu_resource": "nvidia.com/gpu",
            "port": 8000,
            "metrics": {"port": 8000, "path": "/metrics"},
        },
        "strategy": "rolling",
        "bake": 0, "keep": 0, "hold_exposure": 60_000, "warm_within": 600_000,
    }}})
}

/// The rule of the rollout, to be changed.
pub fn rule_mut(run: &mut Run) -> &mut RolloutRule {
    match &mut std::sync::Arc::make_mut(&mut run.pipeline).stages[ROLLOUT.stage].work {
        StageWork::Steps { steps, .. } => match &mut steps[ROLLOUT.step].work {
            StepWork::Rollout(rule) => rule,
            _ => unreachable!("it is a rollout"),
        },
        StageWork::Approval(_) => unreachable!("it is a rollout"),
    }
}

/// The same run after its workload was changed: candidate and stable revision are named anew.
pub fn rename(run: &mut Run, stable: Option<RevisionId>) -> RevisionId {
    let candidate = rule_mut(run).workload.revision();
    let mut rollout = Rollout::new(candidate.clone(), Timestamp(0));
    rollout.stable = stable.map(|revision| StableSide {
        revision,
        replicas: 1,
        adopted: None,
    });
    run.stages[ROLLOUT.stage].steps[ROLLOUT.step].rollout = Some(Box::new(rollout));
    candidate
}
