//! A Deployment that Weir did not make becomes stable, and none of its pods is made or ended for that.
//!
//! Before there is a candidate it gets a Service of its own, which selects its pods by what they carry already. From then on it
//! is stable like any other revision, and after a promotion what the lane can go back to. A rollout that did not end well puts back
//! what the adoption changed once its candidate is gone: whoever tries Weir once has then what they had.

use serde::{Deserialize, Serialize};

use super::phases::Rollout;
use super::stable::StableSide;
use crate::audit::Action;
use crate::decide::Draft;
use crate::effect::Effect;
use crate::ids::StepId;
use crate::lane::Served;
use crate::pipeline::RolloutRule;
use crate::workload::Workload;

/// What serves was not made by Weir, and this rollout takes it over.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Adoption {
    /// What it consists of, as it was found.
    pub workload: Workload,
    /// It was ordered to be taken over.
    pub ordered: bool,
}

/// What is to be taken over was found. Where something of Weir's serves already, there is nothing to take over.
pub(super) fn found(rollout: &mut Rollout, workload: Option<&Workload>) {
    let Some(workload) = workload.filter(|_| rollout.stable.is_none()) else {
        return;
    };
    rollout.stable = Some(StableSide {
        revision: workload.revision(),
        replicas: workload.replicas,
        adopted: workload.adopted.clone(),
    });
    rollout.adoption = Some(Box::new(Adoption {
        workload: workload.clone(),
        ordered: false,
    }));
}

/// Orders what the adoption needs, unless that was done. Says whether it does.
pub(super) fn order(draft: &mut Draft, rollout: &mut Rollout, id: StepId) -> bool {
    let (Some(adoption), Some(stable)) = (&mut rollout.adoption, &rollout.stable) else {
        return false;
    };
    if std::mem::replace(&mut adoption.ordered, true) {
        return false;
    }
    let adopted = adoption.workload.adopted.as_ref();
    let words = format!(
        "Deployment `{}` is taken as stable with its {} replicas; no pod of it changes",
        adopted.map_or("", |adopted| adopted.deployment.as_str()),
        stable.replicas
    );
    let revision = stable.revision.clone();
    rollout.fence = rollout.fence.next();
    draft
        .note(Action::RevisionAdopted, words)
        .moved("nothing", revision.to_string());
    draft.effects.push(Effect::AdoptRevision {
        step: id,
        revision,
        fence: rollout.fence,
    });
    true
}

/// What was taken over, as the lane keeps it beside what was promoted: the way back.
pub(super) fn served(rollout: &Rollout, promoted: &Served) -> Option<Served> {
    let adoption = rollout.adoption.as_ref()?;
    Some(Served {
        revision: adoption.workload.revision(),
        workload: adoption.workload.clone(),
        ..promoted.clone()
    })
}

/// The candidate is gone. Where nothing of Weir's serves the lane and nobody moves it, everything is put back as it was.
pub(super) fn give_free(draft: &mut Draft, rollout: &Rollout, id: StepId, rule: &RolloutRule) {
    let Some(stable) = rollout.stable.as_ref().filter(|_| rollout.adoption.is_some()) else {
        return;
    };
    let lane = draft.lane_mut(&rule.lane);
    if lane.current.is_some() || lane.mover.is_some() {
        return;
    }
    let words = format!(
        "{} is given free: route and Service as they were",
        stable.revision
    );
    draft.note(Action::RevisionAdopted, words);
    draft.effects.push(Effect::ReleaseRevision {
        step: id,
        revision: stable.revision.clone(),
        fence: rollout.fence,
    });
}
