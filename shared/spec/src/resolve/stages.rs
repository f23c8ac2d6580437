//! Stages and steps in order.

use weir_domain::ids::ReleaseName;
use weir_domain::pipeline::{RolloutRule, Stage, StageWork, Step, StepWork};
use weir_domain::strategy::Strategy;

use super::Resolver;
use super::approval::Approved;
use crate::definition::{StageDef, StepDef, StepDefWork};
use crate::diagnostic::Diagnostic;
use crate::render::short;

/// Steps that a stage may start at once. Their start is one decision, stored in one transaction together with every
/// effect that follows; DynamoDB takes 100 actions, and a step that ends or is stopped may need one more.
const PARALLEL_LIMIT: usize = 60;

impl Resolver<'_> {
    pub(super) fn stages(&mut self) -> Vec<Stage> {
        let mut out = Vec::new();
        let mut approved = Approved::default();
        for (index, stage) in self.pipeline.stages.iter().enumerate() {
            self.check_stage(index, stage);
            let work = if stage.approval {
                self.approval(index, stage, &mut approved)
                    .map(StageWork::Approval)
            } else {
                self.check_policy(stage, &approved);
                let steps = self.steps(stage);
                Some(StageWork::Steps {
                    parallel: stage.parallel,
                    steps,
                })
            };
            out.extend(work.map(|work| Stage {
                name: stage.name.value.clone(),
                work,
            }));
        }
        self.check_variants();
        self.check_releases(&out);
        out
    }

    fn check_stage(&mut self, index: usize, stage: &StageDef) {
        let place = &stage.name.place;
        let name = short(&stage.name.value);
        if self.pipeline.stages[..index]
            .iter()
            .any(|s| s.name.value == stage.name.value)
        {
            self.sink
                .push(Diagnostic::error(place, format!("stage `{name}` is there twice")));
        }
        if stage.approval && !stage.steps.is_empty() {
            let found = format!("stage `{name}` waits for people and has steps");
            self.sink
                .push(Diagnostic::error(place, found).help("move the steps to a stage of their own"));
        }
        if !stage.approval && stage.steps.is_empty() {
            let complaint = Diagnostic::error(place, format!("stage `{name}` has no steps"));
            self.sink.push(match stage.approvers.is_empty() {
                true => complaint,
                false => complaint.help("a stage that waits for people has `type: Manual`"),
            });
        }
        if !stage.approval && !stage.approvers.is_empty() && !stage.steps.is_empty() {
            let found = format!("stage `{name}` has approvers and does not wait for them");
            self.sink.push(
                Diagnostic::error(place, found).help("a stage that waits for people has `type: Manual`"),
            );
        }
        if stage.parallel && stage.steps.len() > PARALLEL_LIMIT {
            let found = format!(
                "stage `{name}` starts {} steps at once: expected at most {PARALLEL_LIMIT}",
                stage.steps.len()
            );
            let help = "what a stage starts is stored in one transaction, which holds no more; make two stages of it";
            self.sink.push(Diagnostic::error(place, found).help(help));
        }
        for (i, step) in stage.steps.iter().enumerate() {
            if stage.steps[..i].iter().any(|s| s.name.value == step.name.value) {
                let found = format!(
                    "step `{}` is there twice in stage `{name}`",
                    short(&step.name.value)
                );
                self.sink.push(Diagnostic::error(&step.name.place, found));
            }
        }
    }

    /// Steps of a stage. Outputs of one are known to those after it; of parallel ones, to the next stage.
    fn steps(&mut self, stage: &StageDef) -> Vec<Step> {
        let mut out = Vec::new();
        let mut later = Vec::new();
        for step in &stage.steps {
            let slug = self.slug(&step.name.value);
            if let Some(mut work) = self.step(step) {
                if let StepWork::Rollout(rule) = &mut work {
                    rule.release = stage.release.as_ref().map(|name| ReleaseName::new(&name.value));
                }
                if stage.parallel {
                    self.check_mover(step, &work, &out);
                }
                out.push(Step {
                    name: step.name.value.clone(),
                    slug: slug.clone(),
                    work,
                });
            }
            let outputs = match &step.work {
                StepDefWork::Plugin(plugin) => plugin.outputs.iter().map(|o| o.value.clone()).collect(),
                _ => Vec::new(),
            };
            if stage.parallel {
                later.push((slug, outputs));
            } else {
                self.outputs.insert(slug, outputs);
            }
        }
        self.outputs.extend(later);
        out
    }

    /// At most one rollout moves a service in an environment, and a run has its lane once (invariant 2). Variants are moved
    /// together, by one experiment.
    fn check_mover(&mut self, step: &StepDef, work: &StepWork, before: &[Step]) {
        let StepWork::Rollout(rule) = work else { return };
        let is_variant = |rule: &RolloutRule| matches!(rule.strategy, Strategy::Variant { .. });
        let moves_it = |other: &&Step| match &other.work {
            StepWork::Rollout(other) => other.lane == rule.lane && !(is_variant(other) && is_variant(rule)),
            _ => false,
        };
        if let Some(other) = before.iter().find(moves_it) {
            let found = format!(
                "steps `{}` and `{}` of a parallel stage both move {}: expected one mover",
                short(&other.name),
                short(&step.name.value),
                rule.lane
            );
            let help = "make stages of them, or take out `parallel`";
            self.sink
                .push(Diagnostic::error(&step.name.place, found).help(help));
        }
    }

    fn step(&mut self, step: &StepDef) -> Option<StepWork> {
        match &step.work {
            StepDefWork::Plugin(plugin) => self.plugin(step, plugin).map(StepWork::Plugin),
            StepDefWork::Rollout(rollout) => {
                if step.timeout.is_some() {
                    let found =
                        "`timeout` has no effect yet on a Kubernetes step: `warm_within` bounds its wait";
                    self.sink.push(Diagnostic::warning(&step.name.place, found));
                }
                self.rollout(step, rollout)
                    .map(|rule| StepWork::Rollout(Box::new(rule)))
            }
            StepDefWork::Collect {
                metrics,
                duration,
                source,
            } => self
                .collect(step, metrics, *duration, source.as_deref())
                .map(StepWork::Collect),
        }
    }
}
