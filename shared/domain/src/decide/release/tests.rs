//! Runs that want one another's lanes, releases and others, and a cluster in which everything succeeds at once.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::event::{Event, Limits, Moment};
use crate::ids::{ApprovalToken, EnvironmentName, LaneKey, ReleaseName, RunId, ServiceName};
use crate::lane::Lane;
use crate::rollout::testing;
use crate::rollout::{Phase, Rollout};
use crate::run::{Run, State};
use crate::time::Timestamp;
use crate::{begin, decide};

const LANES: [&str; 4] = ["Asia", "Europe", "Oceania", "South"];

/// What a run moves, in this order.
#[derive(Clone, Debug)]
struct Asks {
    lanes: Vec<usize>,
    release: bool,
    parallel: bool,
}

fn asks() -> impl Strategy<Value = Asks> {
    let lanes = Just((0..LANES.len()).collect::<Vec<_>>()).prop_shuffle();
    (lanes, 1..=LANES.len(), any::<bool>(), any::<bool>()).prop_map(
        |(mut lanes, count, release, parallel)| {
            lanes.truncate(count);
            Asks {
                lanes,
                release,
                parallel,
            }
        },
    )
}

fn lane(at: usize) -> LaneKey {
    LaneKey {
        service: ServiceName::new("llm"),
        environment: EnvironmentName::new(LANES[at]),
    }
}

fn moment(now: i64) -> Moment {
    Moment {
        now: Timestamp(now),
        token: ApprovalToken::new("t"),
        limits: Limits::default(),
    }
}

/// Stages of one lane each, or one stage of all.
fn pipeline(n: usize, asks: &Asks) -> crate::pipeline::Pipeline {
    let step = |at: &usize| {
        let mut rule = testing::rule(&[5], 1);
        rule.lane = lane(*at);
        rule.workload.template = json!({"of": n});
        rule.release = asks.release.then(|| ReleaseName::new("all"));
        json!({"name": LANES[*at], "slug": LANES[*at], "work": {"rollout": rule}})
    };
    let stages: Vec<_> = match asks.parallel {
        true => vec![asks.lanes.iter().map(step).collect()],
        false => asks.lanes.iter().map(|at| vec![step(at)]).collect(),
    };
    let stages: Vec<_> = stages
        .into_iter()
        .map(|steps: Vec<_>| json!({"name": "s", "work": {"steps": {"parallel": asks.parallel, "steps": steps}}}))
        .collect();
    let pipeline = json!({
        "name": format!("p{n}"), "digest": "d", "stages": stages,
        "builds": {"cluster": "main", "namespace": "builds", "fetch_image": "git"},
    });
    serde_json::from_value(pipeline).expect("it is a pipeline")
}

/// Runs, and the lanes that they share.
struct World {
    lanes: BTreeMap<LaneKey, Lane>,
    runs: Vec<State>,
    now: i64,
}

impl World {
    fn of(all: &[Asks]) -> Self {
        let mut world = Self {
            lanes: BTreeMap::new(),
            runs: Vec::new(),
            now: 0,
        };
        for (n, asks) in all.iter().enumerate() {
            let cause = json!({
                "repository": {"name": "a/b", "clone_url": "file:///nowhere"}, "git_ref": "refs/heads/main",
                "before": "0", "after": "1", "actor": "weir", "headline": "", "reason": "", "received": 0,
            });
            let cause = serde_json::from_value(cause).expect("it is a cause");
            let (id, lanes) = (RunId::new(format!("run-{n}")), world.lanes.clone());
            let begun = begin(id, 1, cause, pipeline(n, asks), lanes, &moment(0)).next;
            world.keep(begun, None);
        }
        world
    }

    fn keep(&mut self, state: State, at: Option<usize>) {
        self.lanes.extend(state.lanes.clone());
        match at {
            Some(at) => self.runs[at] = state,
            None => self.runs.push(state),
        }
    }

    /// Everything that a run has begun on its clusters succeeds, and it is looked at.
    fn look(&mut self, at: usize) {
        self.now += 1_000;
        let mut state = self.runs[at].clone();
        let wanted = state.run.lanes();
        let here = self.lanes.iter().filter(|(key, _)| wanted.contains(key));
        state.lanes = here.map(|(key, lane)| (key.clone(), lane.clone())).collect();
        let ids: Vec<_> = state.run.steps().map(|(id, ..)| id).collect();
        for id in ids {
            let Some(rule) = state.run.rule(id).cloned() else {
                continue;
            };
            let run = state.run.id.clone();
            let step = &mut state.run.stages[id.stage].steps[id.step];
            let Some(rollout) = step.rollout.as_deref_mut() else {
                continue;
            };
            succeed(rollout, rule.release.is_some(), Timestamp(self.now));
            if rollout.phase == Phase::Drained
                && let Some(lane) = state.lanes.get_mut(&rule.lane)
            {
                lane.release(&run, rollout.fence);
            }
        }
        let decided = decide(&state, &Event::Woken, &moment(self.now)).expect("a look is no other run's");
        self.keep(decided.next, Some(at));
    }
}

/// What has its lane is through at once: of a release as far as it goes alone.
fn succeed(rollout: &mut Rollout, release: bool, now: Timestamp) {
    match rollout.phase {
        Phase::Queued | Phase::Drained => {}
        Phase::Draining => rollout.phase = Phase::Drained,
        _ if release => {
            // Long ago, so that its watch is over.
            (rollout.phase, rollout.since) = (Phase::Baking, Timestamp(now.0 - 100_000_000));
            rollout.held_since = Some(now);
        }
        _ => rollout.phase = Phase::Drained,
    }
}

/// The lanes that a release has when something of it moves.
fn has_all_lanes(run: &Run, lanes: &BTreeMap<LaneKey, Lane>) -> bool {
    let moves =
        |rollout: &Rollout| !matches!(rollout.phase, Phase::Queued | Phase::Drained | Phase::Draining);
    let moving = run
        .steps()
        .any(|(.., step)| step.rollout.as_deref().is_some_and(moves));
    let mut wanted = run.steps().filter_map(|(id, ..)| run.rule(id));
    !moving || wanted.all(|rule| lanes[&rule.lane].is_moved_by(&run.id))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn runs_that_cross_never_wait_in_a_circle(all in vec(asks(), 2..5), order in vec(any::<prop::sample::Index>(), 0..64)) {
        let mut world = World::of(&all);
        let rest = (0..40 * all.len()).map(|n| n % all.len());
        let order: Vec<usize> = order.iter().map(|index| index.index(all.len())).chain(rest).collect();
        for at in order {
            world.look(at);
            for (asks, state) in all.iter().zip(&world.runs) {
                prop_assert!(!asks.release || has_all_lanes(&state.run, &world.lanes), "{:#?}", state.run.stages);
            }
        }
        for state in &world.runs {
            prop_assert_eq!(state.run.status.word(), "succeeded", "{:#?}", &state.run.stages);
        }
        prop_assert!(world.lanes.values().all(|lane| lane.mover.is_none() && lane.waiting.is_empty()));
    }
}
