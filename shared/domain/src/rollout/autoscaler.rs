//! What scales the Deployment that serves, when that is not Weir: it is held while traffic moves, and follows what serves.
//!
//! A rollout takes traffic from stable, and an autoscaler would take that for less load and take the replicas that the way back
//! needs; where stable lends places, the two would undo each other's writes. So it is held at the replicas that it has set, the
//! candidate gets as many, and whoever has the traffic in the end is what it scales from then on.

use serde::{Deserialize, Serialize};

use super::phases::Rollout;
use crate::audit::Action;
use crate::decide::Draft;
use crate::effect::Effect;
use crate::ids::StepId;
use crate::pipeline::RolloutRule;

/// The object of somebody's that sets the replicas of a Deployment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Autoscaler {
    /// What it is.
    pub kind: AutoscalerKind,
    /// Its name.
    pub name: String,
    /// Replicas that it had set when it was looked at.
    pub replicas: u32,
}

/// What sets replicas.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoscalerKind {
    /// A `HorizontalPodAutoscaler` that somebody made.
    Horizontal,
    /// A `ScaledObject` of KEDA, with the `HorizontalPodAutoscaler` that it makes.
    ScaledObject,
}

impl AutoscalerKind {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Horizontal => "HorizontalPodAutoscaler",
            Self::ScaledObject => "ScaledObject",
        }
    }
}

/// How far a rollout is with what scales stable.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Scaled {
    /// What scales it.
    pub by: Autoscaler,
    /// It was ordered to be held.
    pub ordered: bool,
}

/// What scales stable was found: stable has what that has set.
pub(super) fn found(rollout: &mut Rollout, by: Option<&Autoscaler>) {
    let (Some(by), Some(stable)) = (by, &mut rollout.stable) else {
        return;
    };
    stable.replicas = by.replicas;
    rollout.scaled = Some(Scaled {
        by: by.clone(),
        ordered: false,
    });
}

/// The rule with the replicas that carry all traffic: where something scales stable, as many as that has set, whatever the
/// definition says.
pub(super) fn sized(rule: &RolloutRule, rollout: &Rollout) -> RolloutRule {
    let mut rule = rule.clone();
    if let Some(scaled) = &rollout.scaled {
        rule.workload.replicas = scaled.by.replicas;
    }
    rule
}

/// Orders that it is held.
pub(super) fn hold(draft: &mut Draft, rollout: &mut Rollout, id: StepId) -> bool {
    let Some(scaled) = rollout.scaled.as_mut().filter(|scaled| !scaled.ordered) else {
        return false;
    };
    scaled.ordered = true;
    let by = scaled.by.clone();
    rollout.fence = rollout.fence.next();
    let words = format!(
        "{} `{}` is held at the {} replicas that it has set",
        by.kind.as_str(),
        by.name,
        by.replicas
    );
    draft.note(Action::AutoscalerHeld, words);
    draft.effects.push(Effect::HoldAutoscaler {
        step: id,
        by,
        fence: rollout.fence,
    });
    true
}

/// The rollout leaves its lane: whatever serves is scaled from here on.
pub(super) fn let_scale(draft: &mut Draft, rollout: &Rollout, id: StepId, rule: &RolloutRule) {
    let Some(scaled) = rollout.scaled.as_ref().filter(|scaled| scaled.ordered) else {
        return;
    };
    let serves = draft
        .lane_mut(&rule.lane)
        .current
        .as_ref()
        .map(|served| served.revision.clone());
    let stable = rollout.stable.as_ref().map(|stable| stable.revision.clone());
    let Some(target) = serves.or(stable) else { return };
    let (kind, name) = (scaled.by.kind.as_str(), &scaled.by.name);
    draft.note(
        Action::AutoscalerHeld,
        format!("{kind} `{name}` scales {target} from here on"),
    );
    draft.effects.push(Effect::FreeAutoscaler {
        step: id,
        by: scaled.by.clone(),
        target,
        fence: rollout.fence,
    });
}
