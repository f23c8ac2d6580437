//! What a rollout counts on in its pool (see [`crate::pool`]).

use super::phases::Rollout;
use crate::decide::Draft;
use crate::ids::StepId;
use crate::pipeline::RolloutRule;

/// Rollouts that came before in a pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ahead {
    /// How many.
    pub rollouts: usize,
    /// GPUs on which they count and which they do not hold.
    pub gpus: u32,
}

/// Who came before this rollout.
pub(crate) fn ahead(draft: &Draft, id: StepId, rule: &RolloutRule) -> Ahead {
    let pool = rule.pool().and_then(|key| draft.pools.get(&key));
    let before = pool.map(|pool| pool.before(&draft.run.id, id, draft.now));
    before
        .into_iter()
        .flatten()
        .fold(Ahead::default(), |sum, claim| Ahead {
            rollouts: sum.rollouts + 1,
            gpus: sum.gpus + claim.gpus,
        })
}

/// Claims so many GPUs, or keeps the place in the queue for them.
pub(super) fn claim(draft: &mut Draft, id: StepId, rule: &RolloutRule, gpus: u32) {
    let (run, now) = (draft.run.id.clone(), draft.now);
    if let Some(pool) = draft.pool_mut(rule) {
        pool.claim(&run, id, gpus, now);
    }
}

/// Claims what the plan may hold at most and what nobody holds yet.
pub(super) fn claim_rest(draft: &mut Draft, rollout: &Rollout, id: StepId, rule: &RolloutRule, held: u32) {
    claim(draft, id, rule, rollout.plan.gpu_peak.saturating_sub(held));
}

/// Counts on nothing any more.
pub(super) fn let_go(draft: &mut Draft, id: StepId, rule: &RolloutRule) {
    let run = draft.run.id.clone();
    if let Some(pool) = rule.pool().and_then(|key| draft.pools.get_mut(&key)) {
        pool.release(&run, id);
    }
}
