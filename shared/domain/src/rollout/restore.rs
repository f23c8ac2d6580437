//! The way back of a candidate that holds places of stable replicas: what stable carries goes back at once, and with
//! every replica that is warm again the candidate gives up more.
//!
//! The order is the same as on the way there, with the sides exchanged: traffic leaves first, and only once it has left
//! does a replica go.

use super::moves::{enter, set_weight};
use super::phases::{Phase, Rollout};
use crate::audit::Action;
use crate::decide::Draft;
use crate::effect::Effect;
use crate::ids::StepId;
use crate::pipeline::RolloutRule;
use crate::units::Weight;

/// The share that a candidate keeps while traffic goes back.
///
/// What stable cannot carry yet stays, but only on a candidate that nothing bad is known of (invariant 4). A bad one keeps
/// it only while stable has less than half of the replicas that are needed: those would answer nobody any more.
pub(super) fn share_on_the_way_back(rollout: &Rollout, rule: &RolloutRule) -> Weight {
    if !rollout.has_lent() {
        return Weight::ZERO;
    }
    let (stable, candidate) = (rollout.stable_warm(), rollout.candidate_seen.warm);
    let share = match (stable, candidate) {
        (_, 0) => Weight::ZERO,
        (0, _) => Weight::FULL,
        _ if rollout.distrusted && stable * 2 >= rollout.plan.needed(rule) => Weight::ZERO,
        _ => rollout.plan.carried_by(stable, rule).rest(),
    };
    share.min(rollout.weight)
}

/// Gives stable its places back, as far as the traffic has left. Says whether everything is as it was before.
pub(super) fn give_back(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule) -> bool {
    let Some(stable) = rollout.stable.clone().filter(|_| rollout.has_lent()) else {
        return true;
    };
    let (warm, may_hold) = (rollout.stable_warm(), may_hold(rollout, rule));
    let keeps = match rollout.weight {
        Weight::ZERO => 0,
        _ => rollout.plan.needed(rule).saturating_sub(warm),
    };
    if keeps < rollout.candidate_asked {
        if keeps == 0 {
            // Traffic is back; that stable is whole again takes longer, and nobody is to wait for the page until then.
            draft.effects.push(Effect::Page { step: id });
        }
        scale_candidate(draft, rollout, id, keeps);
    }
    let may = rollout.plan.leaves(keeps, stable.replicas).min(may_hold);
    if rollout.stable_asked.is_none_or(|asked| asked < may) {
        scale_stable(draft, rollout, id, may, Vec::new());
    }
    rollout.stable_asked == Some(stable.replicas) && warm >= stable.replicas && rollout.weight == Weight::ZERO
}

/// Stable replicas for which the plan has GPUs left. Where the pool sets the limit, the scheduler keeps to it; where only
/// the plan does, pods that leave must be gone first (invariant 9).
fn may_hold(rollout: &Rollout, rule: &RolloutRule) -> u32 {
    if !rollout.plan.gives_first {
        return u32::MAX;
    }
    let seen = &rollout.candidate_seen;
    // What was asked for last may not have been made when this was seen.
    let candidate = rollout.candidate_asked.max(seen.pods + seen.terminating);
    let peak = rollout.plan.gpu_peak / rule.workload.gpus.max(1);
    peak.saturating_sub(candidate + rollout.stable_seen.terminating)
}

/// More than the candidate may keep goes back to stable. Says whether weights were written.
pub(super) fn shift_back(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule) -> bool {
    let share = share_on_the_way_back(rollout, rule);
    if share >= rollout.weight {
        return false;
    }
    let words = format!(
        "revert, {} of {} stable replicas warm",
        rollout.stable_warm(),
        rollout.plan.needed(rule)
    );
    set_weight(draft, rollout, id, share, &words);
    enter(draft, rollout, Phase::Reverting);
    true
}

fn scale_candidate(draft: &mut Draft, rollout: &mut Rollout, id: StepId, replicas: u32) {
    let (revision, before) = (rollout.candidate.clone(), rollout.candidate_asked);
    rollout.candidate_asked = replicas;
    scale(draft, rollout, id, revision, Some(before), replicas, Vec::new());
}

/// Asks for so many stable replicas; `leaving` are the pods that go first.
pub(super) fn scale_stable(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    replicas: u32,
    leaving: Vec<String>,
) {
    let Some(stable) = rollout.stable.clone() else {
        return;
    };
    let before = rollout.stable_asked.replace(replicas).unwrap_or(stable.replicas);
    scale(
        draft,
        rollout,
        id,
        stable.revision,
        Some(before),
        replicas,
        leaving,
    );
}

fn scale(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    revision: crate::ids::RevisionId,
    before: Option<u32>,
    replicas: u32,
    leaving: Vec<String>,
) {
    rollout.fence = rollout.fence.next();
    let from = before.map_or(String::new(), |before| format!(" from {before}"));
    let places = match leaving.as_slice() {
        [] => String::new(),
        pods => format!(", {} first", pods.join(", ")),
    };
    draft.note(
        Action::RevisionScaled,
        format!("{revision}{from} to {replicas} replicas{places}"),
    );
    draft.effects.push(Effect::ScaleRevision {
        step: id,
        revision,
        replicas,
        leaving,
        fence: rollout.fence,
    });
}
