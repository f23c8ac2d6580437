//! A step's place in the queue of its lane.

use super::Draft;
use crate::audit::Action;
use crate::effect::Effect;
use crate::ids::{Fence, LaneKey, RunId, StepId};
use crate::lane::{Mover, Turn};
use crate::pipeline::OnNewPush;
use crate::run::RunStatus;

impl Draft {
    /// Asks for a lane, and wakes whoever must give it up for that.
    pub(crate) fn ask_for_lane(&mut self, id: StepId, lane: &LaneKey) -> Turn {
        let me = Mover {
            run: self.run.id.clone(),
            pipeline: self.run.pipeline.name.clone(),
            step: id,
            since: self.now,
        };
        let supersede = self.run.pipeline.on_new_push == OnNewPush::Supersede;
        let (turn, woken) = self.lane_mut(lane).ask(me, supersede);
        self.wake(woken);
        turn
    }

    /// Whether a newer push has taken the run's place in the queue, which ends the run.
    pub(crate) fn lost_place(&mut self, lane: &LaneKey) -> bool {
        let (run, pipeline) = (self.run.id.clone(), self.run.pipeline.name.clone());
        let by = self.lane_mut(lane).turn_of(&run, &pipeline);
        let lost = by.is_some();
        if let Some(by) = by {
            self.run.ending.get_or_insert(RunStatus::Superseded { by });
        }
        lost
    }

    /// The newer push that wants a lane that the run moves, which ends the run.
    pub(crate) fn asked_back(&mut self, lane: &LaneKey) -> Option<RunId> {
        let run = self.run.id.clone();
        let lane = self.lane_mut(lane);
        let by = lane.asked_back_by.clone().filter(|_| lane.is_moved_by(&run))?;
        let superseded = RunStatus::Superseded { by: by.clone() };
        self.run.ending.get_or_insert(superseded);
        Some(by)
    }

    /// Gives up a lane, or the place in its queue, and wakes who is next.
    pub(crate) fn release_lane(&mut self, id: StepId, key: &LaneKey, fence: Fence) {
        let run = self.run.id.clone();
        let lane = self.lane_mut(key);
        let moved = lane.is_moved_by(&run);
        let next = lane.release(&run, fence);
        if moved {
            self.note(Action::LaneReleased, format!("{key} at step {id}"));
        }
        self.wake(next);
    }

    fn wake(&mut self, runs: impl IntoIterator<Item = RunId>) {
        let woken = runs.into_iter().map(|run| Effect::Wake { run });
        self.effects.extend(woken);
    }
}
