//! Lanes: at most one rollout moves a service in an environment (invariant 2).

use serde::{Deserialize, Serialize};

use crate::ids::{Commit, Fence, LaneKey, PipelineName, RevisionId, RunId, StepId};
use crate::time::Timestamp;
use crate::workload::Workload;

/// Waiters a lane keeps; more are superseded, oldest first. People queue in tens at most.
pub const WAITING_LIMIT: usize = 50;

/// State of one lane.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Lane {
    /// Which.
    pub key: LaneKey,
    /// Who moves.
    pub mover: Option<Mover>,
    /// Who waits, first come first.
    #[serde(default)]
    pub waiting: Vec<Mover>,
    /// What serves.
    pub current: Option<Served>,
    /// What served before.
    pub previous: Option<Served>,
    /// Highest fence given to any mover that has left.
    pub fence: Fence,
    /// A newer push asks the mover to send its candidate back.
    #[serde(default)]
    pub asked_back_by: Option<RunId>,
}

/// A run in a lane.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mover {
    /// The run.
    pub run: RunId,
    /// Its pipeline; of several waiting runs of one pipeline the newest goes on.
    pub pipeline: PipelineName,
    /// The step.
    pub step: StepId,
    /// Since when.
    pub since: Timestamp,
}

/// A revision that serves or served a lane.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Served {
    /// The revision.
    pub revision: RevisionId,
    /// The run that brought it.
    pub run: RunId,
    /// The commit it was made from.
    pub commit: Commit,
    /// When it was promoted.
    pub since: Timestamp,
    /// What it consists of, kept so that it can be restored exactly.
    pub workload: Workload,
}

/// What came of asking for a lane.
#[derive(Clone, PartialEq, Debug)]
pub enum Turn {
    /// The run moves; its writes carry fences above this one.
    Mine(Fence),
    /// The run waits for this mover.
    Behind(RunId),
}

impl Lane {
    /// A lane in which nothing has ever moved.
    pub fn new(key: LaneKey) -> Self {
        Self {
            key,
            mover: None,
            waiting: Vec::new(),
            current: None,
            previous: None,
            fence: Fence::default(),
            asked_back_by: None,
        }
    }

    /// Asks for the lane. Asking again changes nothing. Runs that lose their place are returned, to be woken.
    pub fn ask(&mut self, me: Mover, supersede: bool) -> (Turn, Vec<RunId>) {
        match &self.mover {
            Some(mover) if mover.run == me.run => return (Turn::Mine(self.fence), Vec::new()),
            None if self.waiting.first().is_none_or(|first| first.run == me.run) => {
                self.waiting.retain(|waiter| waiter.run != me.run);
                self.mover = Some(me);
                return (Turn::Mine(self.fence), Vec::new());
            }
            _ => {}
        }
        if !self.waiting.iter().any(|waiter| waiter.run == me.run) {
            return self.join(me, supersede);
        }
        (Turn::Behind(self.ahead()), Vec::new())
    }

    fn join(&mut self, me: Mover, supersede: bool) -> (Turn, Vec<RunId>) {
        let mut woken = Vec::new();
        self.waiting.retain(|waiter| {
            let stays = waiter.pipeline != me.pipeline;
            if !stays {
                woken.push(waiter.run.clone());
            }
            stays
        });
        while self.waiting.len() >= WAITING_LIMIT {
            woken.push(self.waiting.remove(0).run);
        }
        if let (true, Some(mover)) = (supersede, &self.mover) {
            self.asked_back_by = Some(me.run.clone());
            woken.push(mover.run.clone());
        }
        self.waiting.push(me);
        (Turn::Behind(self.ahead()), woken)
    }

    fn ahead(&self) -> RunId {
        let first = self
            .mover
            .as_ref()
            .or(self.waiting.first())
            .expect("a waiting run is in the list itself");
        first.run.clone()
    }

    /// Whether a run that once waited here still does or moves; if not, who took its place.
    pub fn turn_of(&self, run: &RunId, pipeline: &PipelineName) -> Option<RunId> {
        let here = |mover: &&Mover| &mover.run == run;
        if self.mover.iter().any(|m| here(&m)) || self.waiting.iter().any(|m| here(&m)) {
            return None;
        }
        let newer = self
            .waiting
            .iter()
            .chain(self.mover.iter())
            .find(|mover| &mover.pipeline == pipeline);
        newer.or(self.mover.as_ref()).map(|mover| mover.run.clone())
    }

    /// Gives the lane free, or the place in the queue. Who comes next is returned, to be woken.
    pub fn release(&mut self, run: &RunId, fence: Fence) -> Option<RunId> {
        self.waiting.retain(|waiter| &waiter.run != run);
        if self.mover.as_ref().is_some_and(|mover| &mover.run == run) {
            self.mover = None;
            self.fence = self.fence.max(fence);
            self.asked_back_by = None;
            return self.waiting.first().map(|waiter| waiter.run.clone());
        }
        None
    }

    /// Whether a step of the run moves or waits here.
    pub fn is_asked_by(&self, run: &RunId, step: StepId) -> bool {
        let mut all = self.mover.iter().chain(&self.waiting);
        all.any(|mover| &mover.run == run && mover.step == step)
    }

    /// Whether the run moves here.
    pub fn is_moved_by(&self, run: &RunId) -> bool {
        self.mover.as_ref().is_some_and(|mover| &mover.run == run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{EnvironmentName, ServiceName};

    fn lane() -> Lane {
        Lane::new(LaneKey {
            service: ServiceName::new("s"),
            environment: EnvironmentName::new("e"),
        })
    }

    fn mover(run: &str, pipeline: &str) -> Mover {
        let step = StepId { stage: 0, step: 0 };
        Mover {
            run: RunId::new(run),
            pipeline: PipelineName::new(pipeline),
            step,
            since: Timestamp(0),
        }
    }

    #[test]
    fn the_first_moves_and_asking_again_changes_nothing() {
        let mut lane = lane();
        assert_eq!(lane.ask(mover("1", "p"), false).0, Turn::Mine(Fence(0)));
        let before = lane.clone();
        assert_eq!(lane.ask(mover("1", "p"), false).0, Turn::Mine(Fence(0)));
        assert_eq!(lane, before);
    }

    #[test]
    fn of_several_waiting_runs_of_a_pipeline_the_newest_goes_on() {
        let mut lane = lane();
        lane.ask(mover("1", "p"), false);
        assert_eq!(
            lane.ask(mover("2", "p"), false),
            (Turn::Behind(RunId::new("1")), vec![])
        );
        assert_eq!(
            lane.ask(mover("3", "p"), false),
            (Turn::Behind(RunId::new("1")), vec![RunId::new("2")])
        );
        assert_eq!(
            lane.turn_of(&RunId::new("2"), &PipelineName::new("p")),
            Some(RunId::new("3"))
        );
        assert_eq!(lane.turn_of(&RunId::new("3"), &PipelineName::new("p")), None);
    }

    #[test]
    fn a_released_lane_goes_to_who_waited_longest_and_keeps_the_highest_fence() {
        let mut lane = lane();
        lane.ask(mover("1", "p"), false);
        lane.ask(mover("2", "q"), false);
        assert_eq!(lane.release(&RunId::new("1"), Fence(7)), Some(RunId::new("2")));
        assert_eq!(lane.ask(mover("9", "z"), false).0, Turn::Behind(RunId::new("2")));
        assert_eq!(lane.ask(mover("2", "q"), false).0, Turn::Mine(Fence(7)));
    }

    #[test]
    fn a_superseding_run_asks_the_mover_back_and_wakes_it() {
        let mut lane = lane();
        lane.ask(mover("1", "p"), true);
        let (turn, woken) = lane.ask(mover("2", "p"), true);
        assert_eq!(
            (turn, woken),
            (Turn::Behind(RunId::new("1")), vec![RunId::new("1")])
        );
        assert_eq!(lane.asked_back_by, Some(RunId::new("2")));
    }
}
