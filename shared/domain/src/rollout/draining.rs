//! Pods leave once their generations have ended: those of the old revision after a promotion, those of a candidate that is removed.

use super::moves::{enter, release, wait};
use super::phases::{Phase, Rollout};
use crate::audit::Action;
use crate::decide::Draft;
use crate::effect::Effect;
use crate::ids::StepId;
use crate::pipeline::RolloutRule;
use crate::seen::RevisionSeen;
use crate::time::Span;

/// Beside the grace period of its pods, without a deadline of its own: the API server and the kubelet need seconds, and a
/// node that has gone is found out after 40 s.
const BESIDE_GRACE: Span = Span::minutes(5);
/// The grace period of a pod that names none.
const DEFAULT_GRACE_SECONDS: u64 = 30;

pub(super) fn draining(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule) {
    if rollout.stable_seen.pods == 0 && rollout.stable_seen.terminating == 0 {
        if let Some(stable) = &rollout.stable {
            draft.note(
                Action::Drained,
                format!("{} holds nothing any more", stable.revision),
            );
        }
    } else {
        let seen = rollout.stable_seen.clone();
        let words = left(&seen);
        if !overdue(draft, rollout, id, rule, &words) {
            return wait(draft, rollout, &format!("draining: {words}"));
        }
    }
    enter(draft, rollout, Phase::Drained);
    release(draft, rollout, id, rule);
}

/// `2 pods left; pod w-3f2a-x on gpu-3 leaves, by … at the latest`
pub(super) fn left(seen: &RevisionSeen) -> String {
    let pods = seen.pods + seen.terminating;
    format!("{pods} pods left; {}", seen.words)
}

/// Whether pods had long enough to leave. Nobody here may end them by force, so a person is told; what they hold counts as
/// held for whoever comes next, as the cluster says it.
pub(super) fn overdue(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    words: &str,
) -> bool {
    let (stood, limit) = (draft.now.since(rollout.since), within(rule));
    if stood < limit {
        return false;
    }
    let words = format!("for {stood}, {limit} at most: {words}");
    draft.note(
        Action::Waiting,
        format!("draining {words}; nobody waits for them any more, and they hold their GPUs"),
    );
    rollout.left_behind = Some(words);
    draft.effects.push(Effect::Page { step: id });
    true
}

/// How long pods may take to leave.
fn within(rule: &RolloutRule) -> Span {
    rule.deadlines.draining.unwrap_or_else(|| {
        let grace = &rule.workload.template["spec"]["terminationGracePeriodSeconds"];
        BESIDE_GRACE + Span::seconds(grace.as_u64().unwrap_or(DEFAULT_GRACE_SECONDS))
    })
}
