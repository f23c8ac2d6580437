//! The queue of this process: who is to be looked at, and when.
//!
//! There is one line per duty, so that a revert never stands behind the polling of Kubernetes Jobs. In a line, hints for
//! one run that are due together are one hint; a run that is being looked at is not looked at twice at once, it is
//! looked at again. The line lives as long as the process: what must survive stands in the store, and the sweep brings
//! it back ([`crate::dispatch`]).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;
use weir_app::Queue;
use weir_domain::Duty;
use weir_domain::ids::RunId;
use weir_domain::time::{Span, Timestamp};

/// Rest after the first look that failed; it doubles with each one more.
const REST: Span = Span::millis(500);

/// Longest rest: a run whose looks always fail is tried this often, whatever is wrong with it.
const REST_LIMIT: Span = Span::seconds(30);

/// Both lines.
#[derive(Default)]
pub struct LocalQueue {
    steps: Line,
    traffic: Line,
}

impl LocalQueue {
    /// The line of a duty.
    pub(crate) fn line(&self, duty: Duty) -> &Line {
        match duty {
            Duty::Steps => &self.steps,
            Duty::Traffic => &self.traffic,
        }
    }
}

#[async_trait]
impl Queue for LocalQueue {
    async fn hint(&self, run: &RunId, duty: Duty, at: Timestamp) {
        self.line(duty).add(run, at);
    }
}

/// Runs that wait for a look at one duty.
#[derive(Default)]
pub(crate) struct Line {
    state: Mutex<State>,
    /// Rung whenever somebody is added.
    pub(crate) changed: Notify,
}

#[derive(Default)]
struct State {
    order: BTreeSet<(Timestamp, RunId)>,
    times: HashMap<RunId, BTreeSet<Timestamp>>,
    /// Who is being looked at, and whether somebody asked again meanwhile.
    looked_at: HashMap<RunId, bool>,
    rests: HashMap<RunId, Rest>,
}

/// A run whose last look failed.
struct Rest {
    until: Timestamp,
    failures: u32,
}

impl State {
    fn add(&mut self, run: &RunId, at: Timestamp) {
        self.order.insert((at, run.clone()));
        self.times.entry(run.clone()).or_default().insert(at);
    }

    /// Removes every hint for a run that is due.
    fn remove_due(&mut self, run: &RunId, now: Timestamp) {
        let Some(times) = self.times.get_mut(run) else {
            return;
        };
        let later = times.split_off(&(now + Span::millis(1)));
        for at in std::mem::replace(times, later) {
            self.order.remove(&(at, run.clone()));
        }
        if times.is_empty() {
            self.times.remove(run);
        }
    }
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a look at a run.
    pub(crate) fn add(&self, run: &RunId, at: Timestamp) {
        self.state().add(run, at);
        self.changed.notify_one();
    }

    /// The same, from somebody who only makes sure: nothing happens if the run is looked at, rests, or waits already.
    pub(crate) fn offer(&self, run: &RunId, at: Timestamp) {
        let mut state = self.state();
        let waits = state
            .times
            .get(run)
            .and_then(BTreeSet::first)
            .is_some_and(|first| *first <= at);
        if !waits && !state.looked_at.contains_key(run) && !state.rests.contains_key(run) {
            state.add(run, at);
            self.changed.notify_one();
        }
    }

    /// The next run that is due, and is not being looked at. It is, from now on.
    pub(crate) fn take(&self, now: Timestamp) -> Option<RunId> {
        let mut state = self.state();
        loop {
            let (at, run) = state.order.first()?.clone();
            if at > now {
                return None;
            }
            state.remove_due(&run, now);
            if let Some(again) = state.looked_at.get_mut(&run) {
                *again = true;
                continue;
            }
            if let Some(until) = state
                .rests
                .get(&run)
                .map(|rest| rest.until)
                .filter(|until| *until > now)
            {
                state.add(&run, until);
                continue;
            }
            state.looked_at.insert(run.clone(), false);
            return Some(run);
        }
    }

    /// A look ended. After one that failed the run rests, each time longer.
    pub(crate) fn ended(&self, run: &RunId, well: bool, now: Timestamp) {
        let mut state = self.state();
        let again = state.looked_at.remove(run).unwrap_or(false);
        if well {
            state.rests.remove(run);
            if again {
                state.add(run, now);
            }
        } else {
            let failures = state.rests.get(run).map_or(0, |rest| rest.failures);
            let until = now + Span(REST.0 << failures.min(10)).min(REST_LIMIT);
            state.rests.insert(
                run.clone(),
                Rest {
                    until,
                    failures: failures + 1,
                },
            );
            state.add(run, until);
        }
    }

    /// When the next run is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.state().order.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The queue on a clock that only the contract moves.
    #[derive(Default)]
    struct Both {
        queue: LocalQueue,
        now: Mutex<Timestamp>,
    }

    #[async_trait]
    impl weir_contracts::queue::Ends for Both {
        fn queue(&self) -> &dyn Queue {
            &self.queue
        }

        fn now(&self) -> Timestamp {
            *self.now.lock().unwrap()
        }

        async fn pass(&self, span: Span) {
            let mut now = self.now.lock().unwrap();
            *now = *now + span;
        }

        async fn take(&self, duty: Duty) -> Option<RunId> {
            let line = self.queue.line(duty);
            let taken = line.take(self.now())?;
            line.ended(&taken, true, self.now());
            Some(taken)
        }
    }

    #[tokio::test]
    async fn the_queue_of_this_process_keeps_the_contract() {
        weir_contracts::queue::suite(async || Both::default()).await;
    }

    fn run(name: &str) -> RunId {
        RunId::new(name)
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp(ms)
    }

    #[test]
    fn hints_that_are_due_together_are_one_look() {
        let line = Line::default();
        for ms in [5, 1, 1, 9] {
            line.add(&run("a"), at(ms));
        }
        assert_eq!(line.take(at(0)), None);
        assert_eq!(line.take(at(6)), Some(run("a")));
        line.ended(&run("a"), true, at(6));
        assert_eq!(line.take(at(6)), None);
        assert_eq!(line.next(), Some(at(9)));
    }

    #[test]
    fn a_run_is_never_looked_at_twice_at_once_but_again() {
        let line = Line::default();
        line.add(&run("a"), at(1));
        assert_eq!(line.take(at(1)), Some(run("a")));
        line.add(&run("a"), at(2));
        assert_eq!(line.take(at(3)), None);
        line.ended(&run("a"), true, at(4));
        assert_eq!(line.take(at(4)), Some(run("a")));
        line.ended(&run("a"), true, at(5));
        assert_eq!(line.take(at(99)), None);
    }

    #[test]
    fn a_run_whose_looks_fail_rests_longer_each_time_and_at_most_thirty_seconds() {
        let line = Line::default();
        line.add(&run("a"), at(0));
        let mut now = 0;
        let mut rests = Vec::new();
        for _ in 0..9 {
            assert_eq!(line.take(at(now)), Some(run("a")));
            line.ended(&run("a"), false, at(now));
            line.add(&run("a"), at(now));
            assert_eq!(line.take(at(now)), None, "it rests, whoever asks");
            let next = line.next().unwrap().0;
            rests.push(next - now);
            now = next;
        }
        assert_eq!(
            rests,
            [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]
        );
        assert_eq!(line.take(at(now)), Some(run("a")));
        line.ended(&run("a"), true, at(now));
        line.add(&run("a"), at(now));
        assert_eq!(
            line.take(at(now)),
            Some(run("a")),
            "after a good one it is as if nothing had been"
        );
    }

    #[test]
    fn an_offer_changes_nothing_for_a_run_that_is_taken_care_of() {
        let line = Line::default();
        line.add(&run("waits"), at(1));
        line.add(&run("looked-at"), at(0));
        assert_eq!(line.take(at(0)), Some(run("looked-at")));
        line.offer(&run("waits"), at(5));
        line.offer(&run("looked-at"), at(5));
        line.offer(&run("new"), at(5));
        assert_eq!(line.take(at(9)), Some(run("waits")));
        assert_eq!(line.take(at(9)), Some(run("new")));
        line.ended(&run("waits"), true, at(9));
        line.ended(&run("looked-at"), true, at(9));
        assert_eq!(line.take(at(9)), None);
    }
}
