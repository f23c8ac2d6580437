//! Releases: stages whose rollouts are promoted together.

use weir_domain::ids::LaneKey;
use weir_domain::pipeline::{RolloutRule, Stage, StageWork, StepWork};

use super::Resolver;
use crate::definition::{RolloutDef, StageDef, StepDef, StepDefWork};
use crate::diagnostic::Diagnostic;
use crate::render::short;
use crate::source::Located;

/// Rollouts of one release. Their promotion is one decision, stored in one transaction; each takes up to 6 of the 100 actions
/// that DynamoDB has for it.
const LIMIT: usize = 12;

impl<'a> Resolver<'a> {
    /// What stages of one release may hold, and what may stand between them.
    pub(super) fn check_releases(&mut self, resolved: &[Stage]) {
        let pipeline = self.pipeline;
        let mut seen: Vec<&str> = Vec::new();
        for name in pipeline.stages.iter().filter_map(|stage| stage.release.as_ref()) {
            if !seen.contains(&name.value.as_str()) {
                seen.push(&name.value);
                self.check_waves(name);
                self.check_between(name);
                self.check_lanes(name, resolved);
            }
        }
    }

    /// Each wave moves something, and there are at least two things to promote together.
    fn check_waves(&mut self, name: &'a Located<String>) {
        let mut rollouts = 0;
        let called = short(&name.value);
        let pipeline = self.pipeline;
        for stage in pipeline.stages.iter().filter(|stage| is_of(stage, name)) {
            let place = stage.release.as_ref().map_or(&stage.name.place, |own| &own.place);
            if stage.steps.iter().all(|step| rollout(step).is_none()) {
                let found = format!(
                    "stage `{}` is part of release `{called}` and rolls nothing out",
                    short(&stage.name.value)
                );
                let help = "take out `release`; other stages may stand between its waves without it";
                let complaint = Diagnostic::error(place, found);
                self.sink
                    .push(complaint.expected("a step `type: Kubernetes`").help(help));
            }
            for step in &stage.steps {
                let Some(rollout) = rollout(step) else { continue };
                rollouts += 1;
                let other = match (&rollout.version, &rollout.strategy) {
                    (Some(_), _) => "a variant of an experiment",
                    (None, Some(strategy)) if strategy.value == "shadow" => "a shadow",
                    _ if rollout.shadow.is_some() => "a shadow",
                    _ => continue,
                };
                let found = format!(
                    "step `{}` of release `{called}` is {other}, which is not promoted",
                    short(&step.name.value)
                );
                let complaint = Diagnostic::error(&step.name.place, found);
                let help = "move it to a stage of its own before the release";
                self.sink.push(
                    complaint
                        .expected("`rolling`, `canary` or `blue-green`")
                        .help(help),
                );
            }
        }
        if rollouts > LIMIT {
            let found = format!("release `{called}` has {rollouts} rollouts: expected at most {LIMIT}");
            let help =
                "their promotion is stored in one transaction, which holds no more; make two releases of it";
            self.sink.push(Diagnostic::error(&name.place, found).help(help));
        }
        if rollouts == 1 {
            let found = format!("release `{called}` has one rollout, which waits for nobody");
            let help = "give the stages of the other clusters the same `release`, or take it out";
            self.sink.push(Diagnostic::warning(&name.place, found).help(help));
        }
    }

    /// While a release waits for its lanes or holds them, its run asks for no other: runs that hold what the other wants would
    /// wait for one another for ever.
    fn check_between(&mut self, name: &'a Located<String>) {
        let stages = &self.pipeline.stages;
        let (Some(first), Some(last)) = (
            stages.iter().position(|stage| is_of(stage, name)),
            stages.iter().rposition(|stage| is_of(stage, name)),
        ) else {
            return;
        };
        let called = short(&name.value);
        let help = format!("give its stage `release: {called}`, or put it before or behind the release");
        let between = stages[first..=last].iter().filter(|stage| !is_of(stage, name));
        let between = between.flat_map(|stage| &stage.steps);
        for step in between.filter(|step| rollout(step).is_some()) {
            let found = format!(
                "step `{}` moves a service between the waves of release `{called}`",
                short(&step.name.value)
            );
            self.sink
                .push(Diagnostic::error(&step.name.place, found).help(help.clone()));
        }
        let mut experiment: Option<&StepDef> = None;
        for step in stages[..first].iter().flat_map(|stage| &stage.steps) {
            match &step.work {
                StepDefWork::Rollout(rollout) if rollout.version.is_some() => experiment = Some(step),
                StepDefWork::Collect { .. } => experiment = None,
                _ => {}
            }
        }
        if let Some(step) = experiment {
            let found = format!(
                "the experiment of step `{}` goes on when release `{called}` begins",
                short(&step.name.value)
            );
            let help = "put the step `type: Datadog` that ends it before the release";
            self.sink
                .push(Diagnostic::error(&step.name.place, found).help(help));
        }
    }

    /// A service in an environment has one rollout in a release: both would be promoted at once.
    fn check_lanes(&mut self, name: &Located<String>, resolved: &[Stage]) {
        let mut lanes: Vec<(LaneKey, String)> = Vec::new();
        for stage in self.pipeline.stages.iter().filter(|stage| is_of(stage, name)) {
            for step in &stage.steps {
                let Some(rule) = rule_of(resolved, stage, step) else {
                    continue;
                };
                let step_name = short(&step.name.value);
                match lanes.iter().find(|(lane, _)| *lane == rule.lane) {
                    Some((lane, before)) => {
                        let found = format!(
                            "steps `{before}` and `{step_name}` of release `{}` both move {lane}: expected one mover",
                            short(&name.value)
                        );
                        let help = "a release promotes all its rollouts at once; take one of them out";
                        self.sink
                            .push(Diagnostic::error(&step.name.place, found).help(help));
                    }
                    None => lanes.push((rule.lane.clone(), step_name)),
                }
            }
        }
    }
}

fn is_of(stage: &StageDef, name: &Located<String>) -> bool {
    stage.release.as_ref().is_some_and(|own| own.value == name.value)
}

fn rollout(step: &StepDef) -> Option<&RolloutDef> {
    match &step.work {
        StepDefWork::Rollout(rollout) => Some(rollout),
        _ => None,
    }
}

/// The rule of a step, if it could be resolved.
fn rule_of<'s>(resolved: &'s [Stage], stage: &StageDef, step: &StepDef) -> Option<&'s RolloutRule> {
    let stage = resolved.iter().find(|found| found.name == stage.name.value)?;
    let StageWork::Steps { steps, .. } = &stage.work else {
        return None;
    };
    match &steps.iter().find(|found| found.name == step.name.value)?.work {
        StepWork::Rollout(rule) => Some(rule),
        _ => None,
    }
}
