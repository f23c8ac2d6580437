//! What tests of this machine are told about.

use serde_json::json;

use super::lending::Lending;
use super::plan::{Plan, plan};
use crate::budget::Floor;
use crate::ladder::{Load, Place, Room};
use crate::pipeline::{RolloutRule, Strategy};

/// A canary with these steps of ten minutes, of a service with so many replicas of one GPU.
pub(crate) fn rule(weights: &[u8], replicas: u32) -> RolloutRule {
    let steps: Vec<_> = weights
        .iter()
        .map(|weight| json!({"weight": weight, "interval": 600_000}))
        .collect();
    let rule = json!({
        "lane": {"service": "llm", "environment": "Production"},
        "target": {
            "cluster": "main", "provider": "kubernetes", "namespace": "prod", "route": "llm", "service": "llm",
        },
        "workload": {
            "template": {}, "replicas": replicas, "gpus": 1, "gpu_resource": "nvidia.com/gpu", "port": 8000,
            "metrics": {"port": 8000, "path": "/metrics"},
        },
        "strategy": {"canary": {"steps": steps, "threshold": 0.98, "min_samples": 50}},
        "bake": 600_000, "keep": 600_000, "hold_exposure": 600_000, "warm_within": 1_800_000,
    });
    serde_json::from_value(rule).expect("it is a rule")
}

/// The same with another strategy.
pub(crate) fn rule_of(strategy: Strategy, replicas: u32) -> RolloutRule {
    RolloutRule {
        strategy,
        ..rule(&[5], replicas)
    }
}

/// A pool where `beside` fit, and each stable pod's place takes one more.
pub(crate) fn pool(beside: u64, stable: u32) -> Room {
    let place = |n: u64| Place {
        pod: format!("p{n}"),
        node: format!("n{n}"),
        replicas: beside + n,
    };
    Room {
        beside,
        places: (1..=u64::from(stable)).map(place).collect(),
    }
}

/// What one way to lend makes of a rule beside so many stable replicas.
pub(super) fn lent(
    by: fn(&Lending<'_>) -> Result<Plan, String>,
    rule: &RolloutRule,
    floor: Floor,
    beside: u64,
    stable: u32,
) -> Result<Plan, String> {
    by(&Lending {
        roomy: &plan(rule, Some(stable)),
        rule,
        stable,
        room: pool(beside, stable),
        load: Load::default(),
        floor,
    })
}

/// What a budget asks for.
pub(crate) fn asks_for(replicas: u32) -> Floor {
    Floor {
        replicas,
        by: format!("PodDisruptionBudget prod/llm (minAvailable {replicas})"),
    }
}

/// Weight, replicas of the candidate, replicas of stable, for each step.
pub(crate) fn sides(plan: &Plan) -> Vec<(u8, u32, u32)> {
    plan.steps
        .iter()
        .map(|step| {
            (
                step.weight.percent(),
                step.candidate_replicas,
                step.stable_replicas,
            )
        })
        .collect()
}
