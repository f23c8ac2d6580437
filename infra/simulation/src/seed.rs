//! What is there before a push is simulated: what serves, and the pods of variants.

use serde_json::{Value, json};
use weir_domain::ids::LaneKey;
use weir_domain::pipeline::{Parity, Pipeline, RolloutRule, Stage, StageWork, Step, StepWork, Strategy};
use weir_domain::strategy::Rolling;
use weir_domain::time::Span;

/// Replicas of what serves a service whose definition makes nothing, of one GPU each.
const SERVING: u32 = 4;

/// A variant that a pipeline names, and where.
pub(crate) struct Variant {
    pub(crate) lane: LaneKey,
    pub(crate) version: String,
}

/// The pipeline that brings what serves: plainly, without people, and as another revision than the pipeline's own even
/// where that does not change with the commit.
pub(crate) fn seeded(mut pipeline: Pipeline) -> Pipeline {
    let made = lanes_with_a_workload(&pipeline);
    let mut selected = Vec::new();
    for stage in &mut pipeline.stages {
        let StageWork::Steps { steps, .. } = &mut stage.work else {
            continue;
        };
        steps.retain_mut(|step| match &mut step.work {
            StepWork::Plugin(_) => true,
            StepWork::Collect(_) => false,
            StepWork::Rollout(rule) if is_variant(rule) => {
                let first = !made.contains(&rule.lane) && !selected.contains(&rule.lane);
                selected.push(rule.lane.clone());
                rule.workload.template = json!({});
                (rule.workload.replicas, rule.workload.gpus) = (SERVING, 1);
                plain(rule);
                first
            }
            StepWork::Rollout(rule) => {
                plain(rule);
                true
            }
        });
    }
    pipeline.stages.retain(is_work);
    pipeline
}

/// Lanes in which the pipeline makes a revision.
fn lanes_with_a_workload(pipeline: &Pipeline) -> Vec<LaneKey> {
    let made = rules(pipeline).filter(|rule| !is_variant(rule));
    made.map(|rule| rule.lane.clone()).collect()
}

/// Whether a stage has something to do that nobody is asked about.
fn is_work(stage: &Stage) -> bool {
    matches!(&stage.work, StageWork::Steps { steps, .. } if !steps.is_empty())
}

fn plain(rule: &mut RolloutRule) {
    rule.strategy = Strategy::Rolling(Rolling::default());
    rule.parity = Parity::Report;
    (rule.rollback, rule.release, rule.adopts) = (None, None, None);
    (rule.bake, rule.watch, rule.keep) = (Span::ZERO, Span::ZERO, Span::ZERO);
    if let Value::Object(template) = &mut rule.workload.template {
        template.insert("simulated".into(), "what serves".into());
    }
}

/// The outputs that steps are to write, by slug.
pub(crate) fn outputs(pipeline: &Pipeline) -> impl Iterator<Item = (&str, &[String])> {
    steps(pipeline).filter_map(|step| match &step.work {
        StepWork::Plugin(plugin) if !plugin.outputs.is_empty() => {
            Some((step.slug.as_str(), plugin.outputs.as_slice()))
        }
        _ => None,
    })
}

/// The variants that a pipeline names, in order.
pub(crate) fn variants(pipeline: &Pipeline) -> Vec<Variant> {
    let named = rules(pipeline).filter_map(|rule| match &rule.strategy {
        Strategy::Variant { version, .. } => Some(Variant {
            lane: rule.lane.clone(),
            version: version.clone(),
        }),
        _ => None,
    });
    named.collect()
}

/// Where another commit would be the same revision, in words.
pub(crate) fn unchanged(pipeline: &Pipeline, other: &Pipeline) -> Vec<String> {
    let pairs = rules(pipeline).zip(rules(other));
    let same = pairs.filter(|(rule, other)| {
        // What a step hands over is known to its run alone.
        let whole = !rule.workload.template.to_string().contains("${steps.");
        whole && !is_variant(rule) && rule.workload.revision() == other.workload.revision()
    });
    let mut lanes: Vec<&LaneKey> = same.map(|(rule, _)| &rule.lane).collect();
    lanes.sort_unstable();
    lanes.dedup();
    let told = lanes.into_iter().map(|lane| {
        format!(
            "nothing of {lane} changes with the commit: simulated is another revision, but a push moves nothing until its \
             image does, for example by ${{GIT_COMMIT}}"
        )
    });
    told.collect()
}

fn is_variant(rule: &RolloutRule) -> bool {
    matches!(rule.strategy, Strategy::Variant { .. })
}

fn steps(pipeline: &Pipeline) -> impl Iterator<Item = &Step> {
    pipeline.stages.iter().flat_map(|stage| match &stage.work {
        StageWork::Steps { steps, .. } => steps.as_slice(),
        StageWork::Approval(_) => &[],
    })
}

fn rules(pipeline: &Pipeline) -> impl Iterator<Item = &RolloutRule> {
    steps(pipeline).filter_map(|step| match &step.work {
        StepWork::Rollout(rule) => Some(&**rule),
        _ => None,
    })
}
