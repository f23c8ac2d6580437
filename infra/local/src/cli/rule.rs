//! Which rollout of a definition is meant.

use std::collections::BTreeMap;

use serde_json::json;
use weir_domain::ids::{ClusterName, EnvironmentName, LaneKey, Namespace, ServiceName};
use weir_domain::pipeline::{
    Canary, CanaryStep, NoData, Parity, Pipeline, Provider, RolloutRule, SplitBy, StageWork, StepWork,
    Strategy, Target,
};
use weir_domain::strategy::Shadow;
use weir_domain::time::Span;
use weir_domain::units::{Ratio, Weight};
use weir_domain::workload::{MetricsEndpoint, Workload};
use weir_spec::{Diagnostic, PipelineDef, RollingDef, RolloutDef, StepDef, StepDefWork};

use super::args::Plan as Args;
use super::definition::sound;
use super::output::Failure;

/// A rollout step of a pipeline.
pub(super) struct Named {
    pub(super) pipeline: String,
    pub(super) step: String,
    pub(super) rule: RolloutRule,
    pub(super) warnings: Vec<String>,
    /// What it is promoted with, in words.
    pub(super) release: Option<String>,
}

/// Finds the step and its rule as a run would have it. A file that refers to what stands in others is enough where the
/// workload is given: then only the strategy is taken from it.
pub(super) fn rule(args: &Args) -> Result<Named, Failure> {
    let sound = sound(&args.pipeline)?;
    let pipeline = sound.pipeline(args.name.as_deref())?;
    let step = step(pipeline, args.step.as_deref())?;
    let (name, wanted) = (pipeline.name.value.clone(), step.name.value.clone());
    let named = |rule, warnings, release| Named {
        pipeline: name.clone(),
        step: wanted.clone(),
        rule,
        warnings,
        release,
    };
    match sound.resolve(&name, None) {
        Ok(resolved) => {
            let rule = of_resolved(&resolved, &wanted).expect("a step that was read is resolved");
            if matches!(rule.strategy, Strategy::Variant { .. }) {
                return Err(Failure::new(format!(
                    "step `{wanted}` is a variant of an experiment: its pods are there already, so that nothing needs a plan; \
                     --step names one that rolls out"
                )));
            }
            let release = release(&resolved, &rule);
            Ok(named(rule, Vec::new(), release))
        }
        Err(complaints) => match (&step.work, &args.workload) {
            (StepDefWork::Rollout(def), Some(_)) => {
                let why = complaints.first().map(Diagnostic::message).unwrap_or_default();
                let told = format!(
                    "only the strategy is taken from the definition, the rest of it is not complete: {why}"
                );
                Ok(named(as_written(def, &wanted)?, vec![told], None))
            }
            _ => Err(Failure::unresolved(&complaints)),
        },
    }
}

/// The step that rolls out: the one that is named, else the last.
fn step<'a>(pipeline: &'a PipelineDef, name: Option<&str>) -> Result<&'a StepDef, Failure> {
    let steps = pipeline.stages.iter().flat_map(|stage| &stage.steps);
    let rollouts: Vec<&StepDef> = steps
        .filter(|step| matches!(step.work, StepDefWork::Rollout(_)))
        .collect();
    let found = match name {
        Some(name) => rollouts.iter().find(|step| step.name.value == name),
        None => rollouts.last(),
    };
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = rollouts.iter().map(|step| step.name.value.as_str()).collect();
        Failure::new(match (name, names.is_empty()) {
            (_, true) => "the pipeline has no step that rolls out".to_owned(),
            (Some(name), false) => {
                format!("no step `{name}` that rolls out; there are: {}", names.join(", "))
            }
            (None, false) => unreachable!("there is a last one"),
        })
    })
}

fn of_resolved(pipeline: &Pipeline, wanted: &str) -> Option<RolloutRule> {
    let steps = pipeline.stages.iter().flat_map(|stage| match &stage.work {
        StageWork::Steps { steps, .. } => steps.as_slice(),
        StageWork::Approval(_) => &[],
    });
    let mut rollouts = steps
        .filter(|step| step.name == wanted)
        .filter_map(|step| match &step.work {
            StepWork::Rollout(rule) => Some((**rule).clone()),
            _ => None,
        });
    rollouts.next_back()
}

/// `part of release worldwide with llm in Production-US: …`
fn release(pipeline: &Pipeline, rule: &RolloutRule) -> Option<String> {
    let name = rule.release.as_ref()?;
    let others = pipeline.release(name).map(|(_, other)| &other.lane);
    let others: Vec<String> = others
        .filter(|lane| **lane != rule.lane)
        .map(ToString::to_string)
        .collect();
    let with = match others.is_empty() {
        true => "nothing else".to_owned(),
        false => others.join(", "),
    };
    Some(format!(
        "part of release {name} with {with}: held after its bake until all are through theirs, then promoted with them; \
         until then all go back together"
    ))
}

/// What the step says by itself.
fn as_written(def: &RolloutDef, name: &str) -> Result<RolloutRule, Failure> {
    let strategy = match (
        &def.canary,
        def.strategy.as_ref().map(|strategy| strategy.value.as_str()),
    ) {
        (Some(canary), _) => Strategy::Canary(Canary {
            steps: canary
                .steps
                .iter()
                .filter_map(|step| {
                    Some(CanaryStep {
                        weight: Weight::new(step.weight.value)?,
                        interval: step.interval,
                        pause: step.pause,
                    })
                })
                .collect(),
            threshold: Ratio::new(canary.threshold / 100.0)
                .ok_or_else(|| Failure::new(format!("a threshold of {} %", canary.threshold)))?,
            min_samples: canary.min_samples,
            promote: canary
                .promote
                .as_ref()
                .map(|promote| promote.value)
                .unwrap_or_default(),
            margin: canary.margin,
        }),
        (None, written) => match (&def.blue_green, &def.shadow) {
            // What checks it changes nothing about room and time.
            (Some(colours), _) => Strategy::BlueGreen(Box::new(colours.strategy.clone())),
            (None, Some(shadow)) => Strategy::Shadow(shadow.strategy.clone()),
            (None, None) if written == Some("blue-green") => Strategy::BlueGreen(Box::default()),
            (None, None) if written == Some("shadow") => Strategy::Shadow(Shadow::default()),
            (None, None) => {
                Strategy::Rolling(def.rolling.as_ref().map(RollingDef::strategy).unwrap_or_default())
            }
        },
    };
    let bake = strategy.default_bake();
    let namespace = def
        .namespace
        .as_ref()
        .map_or("default", |name| name.value.as_str());
    Ok(RolloutRule {
        lane: LaneKey {
            service: ServiceName::new(name),
            environment: EnvironmentName::new(namespace),
        },
        target: Target {
            cluster: ClusterName::new("cluster"),
            provider: Provider::Kubernetes,
            namespace: Namespace::new(namespace),
            route: name.to_owned(),
            service: name.to_owned(),
            gateway: None,
            split: SplitBy::Route,
        },
        workload: Workload {
            template: json!({}),
            config: Vec::new(),
            replicas: def.replicas.unwrap_or(1),
            gpus: 0,
            gpu_resource: "nvidia.com/gpu".into(),
            port: 80,
            metrics: MetricsEndpoint {
                port: 80,
                path: "/metrics".into(),
            },
            not_exact: Vec::new(),
            adopted: None,
        },
        strategy,
        rollback: None,
        bake: def.bake.unwrap_or(bake),
        keep: Span::ZERO,
        hold_exposure: Span::ZERO,
        alpha: weir_domain::judge::Alpha::default(),
        warm_within: Span::ZERO,
        warm_up: def.warm_up.as_ref().map_or(Span::ZERO, |written| written.value),
        deadlines: def.deadlines,
        no_data: NoData::Hold,
        parity: Parity::Refuse,
        may_swap: def.swaps.is_some(),
        watch: Span::ZERO,
        undoes: false,
        adopts: None,
        release: None,
        measures: BTreeMap::new(),
    })
}
