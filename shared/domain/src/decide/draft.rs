//! The decision while it is being made.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Decision, Reply};
use crate::audit::{Action, Note};
use crate::effect::Effect;
use crate::event::Moment;
use crate::experiment::Experiment;
use crate::ids::{ApprovalToken, LaneKey, PoolKey, StepId};
use crate::lane::Lane;
use crate::people::Actor;
use crate::pipeline::RolloutRule;
use crate::pool::Pool;
use crate::rollout::Rollout;
use crate::run::{PartStatus, Run, State, StepRun};
use crate::time::Timestamp;

/// State, effects and notes as they come together.
pub(crate) struct Draft {
    pub(crate) run: Run,
    pub(crate) lanes: BTreeMap<LaneKey, Lane>,
    pub(crate) pools: BTreeMap<PoolKey, Pool>,
    pub(crate) now: Timestamp,
    pub(crate) token: ApprovalToken,
    pub(crate) effects: Vec<Effect>,
    pub(crate) reply: Option<Reply>,
    notes: Vec<Note>,
}

impl Draft {
    pub(crate) fn new(state: &State, moment: &Moment) -> Self {
        Self {
            run: state.run.clone(),
            lanes: state.lanes.clone(),
            pools: state.pools.clone(),
            now: moment.now,
            token: moment.token.clone(),
            effects: Vec::new(),
            reply: None,
            notes: Vec::new(),
        }
    }

    pub(crate) fn finish(mut self) -> Decision {
        // Traffic first: nothing slow may stand before a revert.
        self.effects.sort_by_key(|effect| !effect.moves_traffic());
        Decision {
            next: State {
                run: self.run,
                lanes: self.lanes,
                pools: self.pools,
            },
            effects: self.effects,
            notes: self.notes,
            reply: self.reply,
        }
    }

    /// Records something that Weir itself did.
    pub(crate) fn note(&mut self, action: Action, detail: impl Into<String>) -> &mut Note {
        self.note_by(Actor::Weir, action, detail)
    }

    /// Records something, with who caused it.
    pub(crate) fn note_by(&mut self, actor: Actor, action: Action, detail: impl Into<String>) -> &mut Note {
        self.notes.push(Note {
            actor,
            action,
            detail: detail.into(),
            evidence: BTreeMap::new(),
            before: None,
            after: None,
        });
        self.notes.last_mut().expect("it was just pushed")
    }

    /// The state of a step that the run is known to have.
    pub(crate) fn step_mut(&mut self, id: StepId) -> &mut StepRun {
        &mut self.run.stages[id.stage].steps[id.step]
    }

    /// Its name.
    pub(crate) fn step_name(&self, id: StepId) -> String {
        let step = self.run.step(id);
        step.map(|step| step.name.clone()).unwrap_or_default()
    }

    /// Ends a step badly, and records why.
    pub(crate) fn fail_step(&mut self, id: StepId, why: &str) {
        let (now, name) = (self.now, self.step_name(id));
        self.note(Action::StepFailed, format!("step {name}: {why}"));
        let step = self.step_mut(id);
        step.status = PartStatus::Failed { why: why.to_owned() };
        step.ended = Some(now);
    }

    /// Ends a step well, and records how long it took and whatever else there is to say.
    pub(crate) fn pass_step(&mut self, id: StepId, more: &str) -> &mut Note {
        let (now, name) = (self.now, self.step_name(id));
        let step = self.step_mut(id);
        step.status = PartStatus::Succeeded;
        step.ended = Some(now);
        let took = now.since(step.began.unwrap_or(now));
        self.note(Action::StepSucceeded, format!("step {name} in {took}{more}"))
    }

    /// Steps whose rollout is so.
    pub(crate) fn rollouts(&self, which: impl Fn(&Rollout) -> bool) -> Vec<StepId> {
        let here = self.run.steps();
        let here = here.filter(|(.., state)| state.rollout.as_deref().is_some_and(&which));
        here.map(|(id, ..)| id).collect()
    }

    /// The first steps of experiments that are so.
    pub(crate) fn experiments(&self, which: impl Fn(&Experiment) -> bool) -> Vec<StepId> {
        let here = self.run.steps();
        let here = here.filter(|(.., state)| state.experiment.as_deref().is_some_and(&which));
        here.map(|(id, ..)| id).collect()
    }

    /// The lane of a rollout step; a new one if nothing ever moved there.
    pub(crate) fn lane_mut(&mut self, key: &LaneKey) -> &mut Lane {
        self.lanes
            .entry(key.clone())
            .or_insert_with(|| Lane::new(key.clone()))
    }

    /// The pool of a rollout's GPUs; a new one if nobody ever claimed any. None for a service without GPUs.
    pub(crate) fn pool_mut(&mut self, rule: &RolloutRule) -> Option<&mut Pool> {
        let key = rule.pool()?;
        Some(self.pools.entry(key.clone()).or_insert_with(|| Pool::new(key)))
    }

    /// Takes the rollout out of its step while it is worked on; [`Draft::put_rollout`] puts it back.
    pub(crate) fn take_rollout(&mut self, id: StepId) -> Option<Box<Rollout>> {
        self.step_mut(id).rollout.take()
    }

    /// The same for an experiment, with [`Draft::put_experiment`].
    pub(crate) fn take_experiment(&mut self, id: StepId) -> Option<Box<Experiment>> {
        self.step_mut(id).experiment.take()
    }

    /// Steps of its variants that go on say what it waits for.
    pub(crate) fn put_experiment(&mut self, id: StepId, experiment: Box<Experiment>) {
        for side in &experiment.sides {
            let step = self.step_mut(side.step);
            if step.status == PartStatus::Running {
                step.waits_for.clone_from(&experiment.waits_for);
            }
        }
        self.step_mut(id).experiment = Some(experiment);
    }

    pub(crate) fn put_rollout(&mut self, id: StepId, rollout: Box<Rollout>) {
        let step = self.step_mut(id);
        step.waits_for.clone_from(&rollout.waits_for);
        step.rollout = Some(rollout);
    }
}

impl Note {
    /// Adds a measured or seen value.
    pub(crate) fn with(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.evidence.insert(name.to_owned(), value.into());
        self
    }

    /// Says what moved from where to where.
    pub(crate) fn moved(&mut self, before: impl Into<String>, after: impl Into<String>) -> &mut Self {
        self.before = Some(before.into());
        self.after = Some(after.into());
        self
    }
}
