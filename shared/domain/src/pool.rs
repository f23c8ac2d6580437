//! Pools: GPUs of one kind in one cluster, and who counts on which of them before its pods hold them.
//!
//! What the scheduler has placed stands in the cluster. A claim covers the time between the decision to need GPUs and the
//! moment in which pods hold them, and the moments in which a rollout gives up some to take others: nobody else may
//! count on those. Claims stand in the order in which they came, and each gives way to those before it.

use serde::{Deserialize, Serialize};

use crate::ids::{PoolKey, RunId, StepId};
use crate::time::{Span, Timestamp};

/// A claim is renewed by whoever looks after its rollout; one that nobody renews is worth nothing after this time.
const CLAIM_LIMIT: Span = Span::hours(24);
/// It is renewed when this much of its time is left.
const RENEW_AT: Span = Span::hours(12);

/// Claims on one kind of GPU in one cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pool {
    /// Which.
    pub key: PoolKey,
    /// First come, first served.
    #[serde(default)]
    pub claims: Vec<Claim>,
}

/// GPUs that a rollout counts on and does not hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// The run.
    pub run: RunId,
    /// Its rollout step.
    pub step: StepId,
    /// How many.
    pub gpus: u32,
    /// When it is worth nothing any more.
    pub until: Timestamp,
}

impl Pool {
    /// A pool on which nobody has a claim.
    pub fn new(key: PoolKey) -> Self {
        Self {
            key,
            claims: Vec::new(),
        }
    }

    /// Claims that come before that of a rollout: all others, if it has none yet. One of 0 GPUs is of a rollout that holds
    /// all that it counts on, and may give some back.
    pub fn before(&self, run: &RunId, step: StepId, now: Timestamp) -> impl Iterator<Item = &Claim> {
        let first = self
            .claims
            .iter()
            .take_while(move |claim| !claim.is_of(run, step));
        first.filter(move |claim| now < claim.until)
    }

    /// Claims so many GPUs, in the place that the rollout has or behind all others. Claiming the same again changes
    /// nothing, except that an old claim is renewed. A rollout that holds all that it counts on keeps its place with 0.
    pub fn claim(&mut self, run: &RunId, step: StepId, gpus: u32, now: Timestamp) {
        self.claims
            .retain(|claim| now < claim.until || claim.is_of(run, step));
        let until = now + CLAIM_LIMIT;
        match self.claims.iter_mut().find(|claim| claim.is_of(run, step)) {
            Some(own) => {
                own.gpus = gpus;
                if own.until.since(now) < RENEW_AT {
                    own.until = until;
                }
            }
            None => self.claims.push(Claim {
                run: run.clone(),
                step,
                gpus,
                until,
            }),
        }
    }

    /// Lets go of everything that a rollout claimed.
    pub fn release(&mut self, run: &RunId, step: StepId) {
        self.claims.retain(|claim| !claim.is_of(run, step));
    }
}

impl Claim {
    fn is_of(&self, run: &RunId, step: StepId) -> bool {
        self.run == *run && self.step == step
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ClusterName;

    const STEP: StepId = StepId { stage: 0, step: 0 };

    fn pool() -> Pool {
        Pool::new(PoolKey {
            cluster: ClusterName::new("main"),
            resource: "nvidia.com/gpu".into(),
        })
    }

    fn before(pool: &Pool, run: &str, now: i64) -> u32 {
        let run = RunId::new(run);
        pool.before(&run, STEP, Timestamp(now))
            .map(|claim| claim.gpus)
            .sum()
    }

    #[test]
    fn each_gives_way_to_those_before_it() {
        let mut pool = pool();
        for (run, gpus) in [("a", 2), ("b", 3)] {
            pool.claim(&RunId::new(run), STEP, gpus, Timestamp(0));
        }
        assert_eq!(
            [
                before(&pool, "a", 1),
                before(&pool, "b", 1),
                before(&pool, "c", 1)
            ],
            [0, 2, 5]
        );
        // What its pods hold by now is not claimed any more, and the place stays.
        pool.claim(&RunId::new("a"), STEP, 0, Timestamp(1));
        assert_eq!([before(&pool, "b", 1), before(&pool, "c", 1)], [0, 3]);
        pool.claim(&RunId::new("a"), STEP, 1, Timestamp(1));
        assert_eq!(before(&pool, "b", 1), 1);
        pool.release(&RunId::new("a"), STEP);
        assert_eq!(before(&pool, "b", 1), 0);
    }

    #[test]
    fn a_claim_that_nobody_renews_is_worth_nothing_in_the_end() {
        let mut pool = pool();
        pool.claim(&RunId::new("a"), STEP, 2, Timestamp(0));
        let day = CLAIM_LIMIT.0 as i64;
        assert_eq!(before(&pool, "b", day - 1), 2);
        assert_eq!(before(&pool, "b", day), 0);
        pool.claim(&RunId::new("a"), STEP, 2, Timestamp(day - 1));
        assert_eq!(before(&pool, "b", day), 2);
    }
}
