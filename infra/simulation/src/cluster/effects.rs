//! Effects, as a cluster obeys them: absolute, keyed, fenced.

use std::collections::BTreeMap;

use weir_app::{Clock, EffectError};
use weir_domain::effect::Effect;
use weir_domain::experiment::Keep;
use weir_domain::ids::{Fence, RevisionId, StepId};
use weir_domain::pipeline::{RolloutRule, Strategy};
use weir_domain::rollout::Rollout;
use weir_domain::run::Run;
use weir_domain::time::Timestamp;
use weir_domain::units::Weight;

use super::revision::Revision;
use super::{Inside, SimulatedCluster};

impl SimulatedCluster {
    /// Performs an effect, as [`weir_app::Clusters::perform`] does.
    ///
    /// # Errors
    /// The cluster is away.
    pub fn apply(&self, run: &Run, effect: &Effect) -> Result<(), EffectError> {
        let now = self.clock.now();
        let mut inside = self.inside();
        let Some(step) = effect.step() else { return Ok(()) };
        if inside.called_in_vain(run, step) {
            return Err(EffectError::later("reach", "the cluster", "connection refused"));
        }
        if let Effect::StartExecution { step } = effect {
            inside.executions.entry((run.id.clone(), *step)).or_insert(now);
            return Ok(());
        }
        let Some(rule) = run.rule(step) else { return Ok(()) };
        inside.catch_up(now);
        inside.perform(run, step, rule, effect, now);
        inside.catch_up(now);
        Ok(())
    }
}

impl SimulatedCluster {
    /// Hands a step what was collected before it.
    pub fn hand_over(&self, run: &Run, step: StepId, series: &str) {
        let slug = run.step(step).map(|step| step.slug.clone()).unwrap_or_default();
        self.inside().handed.insert(slug, series.to_owned());
    }
}

impl Inside {
    fn perform(&mut self, run: &Run, step: StepId, rule: &RolloutRule, effect: &Effect, now: Timestamp) {
        if matches!(rule.strategy, Strategy::Variant { .. }) && select(self, rule, effect) {
            return;
        }
        match effect {
            Effect::EnsureRevision {
                revision,
                replicas,
                fence,
                ..
            } => self.scale(run, rule, revision, (*replicas as usize, &[]), *fence, now),
            Effect::ScaleRevision {
                revision,
                replicas,
                leaving,
                fence,
                ..
            } => self.scale(run, rule, revision, (*replicas as usize, leaving), *fence, now),
            Effect::SetWeights {
                split,
                mirror,
                keep,
                fence,
                ..
            } => {
                self.set_weights((run, step), rule, split, mirror.as_ref(), *fence);
                self.keep(rule, keep.as_ref(), *fence);
            }
            Effect::RetargetService { revision, .. } => {
                self.place_mut(&rule.lane.environment).plain = Some(revision.clone());
            }
            Effect::AdoptRevision { revision, .. } => {
                let place = self.place_mut(&rule.lane.environment);
                place.adopted.insert(revision.clone());
                place.plain = Some(revision.clone());
            }
            Effect::ReleaseRevision { revision, fence, .. } => {
                let place = self.place_mut(&rule.lane.environment);
                if place.fence <= *fence {
                    place.adopted.remove(revision);
                    (place.plain, place.fence) = (None, *fence);
                    place.weights.clear();
                }
            }
            Effect::HoldAutoscaler { fence, .. } => {
                let by = &mut self.place_mut(&rule.lane.environment).autoscaler;
                if let Some(by) = by.as_mut().filter(|by| by.fence <= *fence) {
                    (by.held, by.fence) = (true, *fence);
                }
            }
            Effect::FreeAutoscaler { target, fence, .. } => {
                let by = &mut self.place_mut(&rule.lane.environment).autoscaler;
                if let Some(by) = by.as_mut().filter(|by| by.fence <= *fence) {
                    (by.held, by.fence) = (false, *fence);
                    by.target = target.clone();
                }
            }
            Effect::RemoveRevision { revision, fence, .. } => {
                if run.adopted(step, revision).is_some() {
                    self.scale(run, rule, revision, (0, &[]), *fence, now);
                }
                let place = self.place_mut(&rule.lane.environment);
                let entry = place.revisions.get(revision);
                if entry.is_some_and(|entry| entry.fence <= *fence) {
                    place.remove(revision);
                }
            }
            _ => {}
        }
    }

    fn scale(
        &mut self,
        run: &Run,
        rule: &RolloutRule,
        revision: &RevisionId,
        (replicas, leaving): (usize, &[String]),
        fence: Fence,
        now: Timestamp,
    ) {
        let commit = &run.cause.after;
        let here = (rule.lane.environment.clone(), commit.clone());
        let behaviour = self.elsewhere.get(&here).or(self.behaviours.get(commit));
        let behaviour = behaviour.cloned().unwrap_or_default();
        let place = self
            .environments
            .entry(rule.lane.environment.clone())
            .or_default();
        let entry = place
            .revisions
            .entry(revision.clone())
            .or_insert_with(|| Revision::new(behaviour));
        if fence >= entry.fence {
            let gpus = rule.workload.gpus as usize;
            self.pool.scale(&mut entry.pods, replicas, gpus, leaving, now);
            entry.number_pods();
            entry.fence = fence;
        }
    }

    fn set_weights(
        &mut self,
        (run, step): (&Run, StepId),
        rule: &RolloutRule,
        split: &[(RevisionId, Weight)],
        mirror: Option<&(RevisionId, Weight)>,
        fence: Fence,
    ) {
        let place = self
            .environments
            .entry(rule.lane.environment.clone())
            .or_default();
        if fence < place.fence {
            return;
        }
        let wanted: BTreeMap<_, _> = split.iter().cloned().collect();
        let mirrors: BTreeMap<_, _> = mirror.cloned().into_iter().collect();
        place.writes += u64::from(wanted != place.weights || mirrors != place.mirrors);
        for (id, weight) in wanted.iter().chain(&mirrors) {
            let reverted = run
                .rollout(step)
                .filter(|r| r.reverted_because.is_some() && &r.candidate == id);
            if reverted.is_some_and(|rollout| *weight > before(rollout, fence)) {
                let raised = format!("{id} to {weight} with fence {fence}");
                self.raised_after_revert.push(raised);
            }
        }
        let rollout = run.rollout(step).filter(|_| rule.target.is_by_replicas());
        place.by_replicas = rollout.map(|rollout| (rollout.candidate.clone(), rollout.plan.needed(rule)));
        (place.weights, place.mirrors, place.fence) = (wanted, mirrors, fence);
    }

    fn keep(&mut self, rule: &RolloutRule, keep: Option<&Keep>, fence: Fence) {
        let place = self.place_mut(&rule.lane.environment);
        if fence < place.fence {
            return;
        }
        let callers = keep.into_iter().flat_map(|keep| &keep.callers);
        place.kept = callers
            .map(|callers| (callers.revision.clone(), callers.weight))
            .collect();
    }
}

/// A variant has a Service of Weir's, and pods that are not. Says whether that was all.
fn select(inside: &mut Inside, rule: &RolloutRule, effect: &Effect) -> bool {
    let place = inside.place_mut(&rule.lane.environment);
    match effect {
        Effect::EnsureRevision { revision, .. } => place.services.insert(revision.clone()),
        Effect::RemoveRevision { revision, .. } => place.services.remove(revision),
        _ => return false,
    };
    true
}

/// The candidate's weight before the change with this fence. What stable cannot carry yet may stay; no decision gives
/// back more than the one before it.
fn before(rollout: &Rollout, fence: Fence) -> Weight {
    let earlier = rollout.changes.iter().rfind(|change| change.fence < fence);
    earlier.map(|change| change.weight).unwrap_or_default()
}
