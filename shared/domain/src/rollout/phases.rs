//! State of a rollout.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::adopt::Adoption;
use super::autoscaler::Scaled;
use super::landing::Landed;
use super::passing::Inconclusive;
use super::pause::Paused;
use super::plan::{Plan, PlannedStep, StepKind, is_zero};
use super::preview::Preview;
use super::ratio::Ratio;
use super::replace::Replaced;
use super::stable::StableSide;
use crate::event::Limits;
use crate::ids::{Fence, RevisionId};
use crate::judge::Alpha;
use crate::judge::carried::Carried;
use crate::judge::condition::Weighing;
use crate::judge::hardware::Hardware;
use crate::judge::split::Split;
use crate::judge::watching::Watching;
use crate::people::Actor;
use crate::pipeline::RolloutRule;
use crate::seen::{Counts, PodPhase, RevisionSeen, TrafficChange};
use crate::time::{Span, Timestamp};
use crate::units::Weight;

/// Where a rollout stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It waits for the lane.
    Queued,
    /// It has the lane and asks whether its commit descends from the one that serves (invariant 14).
    Comparing,
    /// It has the lane and asks its cluster what fits; nothing has moved.
    Surveying,
    /// The candidate grows to what step `step` needs; weights stand as they are.
    Growing {
        /// Index into the plan.
        step: usize,
    },
    /// The weights of step `step` are set; it is watched.
    Watching {
        /// Index into the plan.
        step: usize,
    },
    /// The candidate serves everything, the stable revision is still warm.
    Baking,
    /// The candidate is the stable one now; the old one leaves.
    Draining,
    /// The old one holds nothing any more. The end of a good rollout.
    Drained,
    /// A shadow has shown what it was to show; the copies are ending.
    Leaving,
    /// They have ended. The candidate keeps its replicas until then, for a later step that moves the service to it.
    Kept {
        /// When it is removed.
        until: Timestamp,
    },
    /// Weight 0 was decided; traffic is on its way back.
    Reverting,
    /// Traffic is back. The candidate is kept for a look until then.
    Reverted {
        /// When it is removed.
        until: Timestamp,
    },
    /// The candidate is being removed.
    Removing,
    /// Nothing of the candidate is left.
    Removed,
}

/// A cluster that does not answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Away {
    /// Since when.
    pub since: Timestamp,
    /// A person was called, because traffic had to go back.
    pub paged: bool,
}

impl Away {
    /// Time to the next look: a quarter of the time that the cluster has been away. Traffic that must go back is not
    /// kept waiting for long, and all else at most as long as at a cluster that answers.
    pub(super) fn pace(self, phase: &Phase, limits: &Limits, now: Timestamp) -> Span {
        let longest = match phase {
            Phase::Reverting => limits.quick,
            _ => limits.slow,
        };
        Span(now.since(self.since).0 / 4).max(limits.settle).min(longest)
    }
}

/// A rollout in a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rollout {
    /// What is to serve.
    pub candidate: RevisionId,
    /// What serves; `None`: this is the first release.
    pub stable: Option<StableSide>,
    /// Since when it is through its bake and held, because others of its release are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_since: Option<Timestamp>,
    /// What serves was not made by Weir, and this rollout takes it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Box<Adoption>>,
    /// What scales stable, if that is not Weir.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaled: Option<Scaled>,
    /// Something that must stand before a candidate is asked for was ordered, and was not seen to stand yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preparing: bool,
    /// Steps, and the GPUs they may hold together.
    pub plan: Plan,
    /// Where it stands.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
    /// Fence of the last write that was decided.
    pub fence: Fence,
    /// The candidate's share as last decided; of a shadow the part of the requests that is copied to it.
    pub weight: Weight,
    /// Every traffic change, oldest first; the last 200.
    pub changes: Vec<TrafficChange>,
    /// Counts per revision when the present weights were set: evidence restarts there.
    pub counted_from: BTreeMap<RevisionId, Counts>,
    /// Counts per revision at the last look.
    pub counted: BTreeMap<RevisionId, Counts>,
    /// Evidence since the present weights were set, block by block.
    #[serde(default)]
    pub weighing: Weighing,
    /// What each of the candidate's replicas answered meanwhile.
    #[serde(default)]
    pub carried: Carried,
    /// What their GPUs said of themselves.
    #[serde(default, skip_serializing_if = "Hardware::is_empty")]
    pub hardware: Hardware,
    /// On what the pods of both run, where they are compared.
    #[serde(default, skip_serializing_if = "Landed::is_empty")]
    pub landed: Landed,
    /// Replicas that were replaced because of their GPU.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gpus_replaced: u32,
    /// Times that a step began again because a node was lost.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub nodes_lost: u32,
    /// The replica that was replaced last; because it carried a breach, one in a rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Replaced>,
    /// Most warm replicas that the candidate had since it has traffic.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub warm_most: u32,
    /// Until when latencies are left out, because a replica has just begun to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_until: Option<Timestamp>,
    /// The pod that was the candidate's only one when a judged step passed by what was measured of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_alone: Option<String>,
    /// Whether each side gets the share it was given, since the present weights were set.
    #[serde(default)]
    pub split: Split,
    /// The watch after the bake.
    #[serde(default)]
    pub watching: Watching,
    /// What the watch shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<String>,
    /// Since when the candidate's slowest pod stands where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_since: Option<(PodPhase, Timestamp)>,
    /// Route, Service and rights were seen to be there.
    #[serde(default)]
    pub site_clear: bool,
    /// What was seen of the candidate before it had traffic, where that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// It waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
    /// Who takes it to its end without waiting for the judged steps, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<(Actor, String)>,
    /// A step that ended and could not be decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inconclusive: Option<Inconclusive>,
    /// When the first counts were seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_since: Option<Timestamp>,
    /// Since when nothing can be measured, while the candidate has traffic.
    pub blind_since: Option<Timestamp>,
    /// Since when it is seen that the gateway does not follow the present weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfollowed_since: Option<Timestamp>,
    /// Its cluster does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away: Option<Away>,
    /// Replicas last asked for of the candidate.
    #[serde(default)]
    pub candidate_asked: u32,
    /// Replicas last asked for of the stable revision; nothing: it keeps what it has.
    #[serde(default)]
    pub stable_asked: Option<u32>,
    /// Traffic goes back because of what was seen of the candidate, not because somebody wants it.
    #[serde(default)]
    pub distrusted: bool,
    /// How long nothing could be measured before, since the present weights were set: failures add up.
    #[serde(default)]
    pub blind_before: Span,
    /// Since when the route is known to be at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfair_since: Option<Timestamp>,
    /// The candidate's crashes when it first got traffic: those before are a matter of loading.
    pub crashes_before: u32,
    /// What the last look showed.
    pub candidate_seen: RevisionSeen,
    /// The same of the stable revision.
    pub stable_seen: RevisionSeen,
    /// Highest number of GPUs that both held at one look.
    pub gpus_peak: u32,
    /// Pods that did not leave in time, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_behind: Option<String>,
    /// Why traffic went back, if it did.
    pub reverted_because: Option<String>,
    /// What is waited for, in words; empty when nothing is.
    #[serde(default)]
    pub waits_for: String,
}

/// Traffic changes that are kept: a plan has tens of steps, and corrections are rare.
pub(super) const CHANGES_LIMIT: usize = 200;

impl Rollout {
    /// A rollout that has not asked for its lane yet.
    pub fn new(candidate: RevisionId, now: Timestamp) -> Self {
        Self {
            candidate,
            stable: None,
            held_since: None,
            adoption: None,
            scaled: None,
            preparing: false,
            plan: Plan::default(),
            phase: Phase::Queued,
            since: now,
            fence: Fence::default(),
            weight: Weight::ZERO,
            changes: Vec::new(),
            counted_from: BTreeMap::new(),
            counted: BTreeMap::new(),
            weighing: Weighing::default(),
            carried: Carried::default(),
            hardware: Hardware::default(),
            landed: Landed::default(),
            gpus_replaced: 0,
            nodes_lost: 0,
            replaced: None,
            warm_most: 0,
            cold_until: None,
            passed_alone: None,
            split: Split::default(),
            watching: Watching::default(),
            alarm: None,
            stands_since: None,
            site_clear: false,
            preview: None,
            paused: None,
            skipped: None,
            inconclusive: None,
            counted_since: None,
            blind_since: None,
            unfollowed_since: None,
            away: None,
            candidate_asked: 0,
            stable_asked: None,
            distrusted: false,
            blind_before: Span::ZERO,
            unfair_since: None,
            crashes_before: 0,
            candidate_seen: RevisionSeen::default(),
            stable_seen: RevisionSeen::default(),
            gpus_peak: 0,
            left_behind: None,
            reverted_because: None,
            waits_for: String::new(),
        }
    }

    /// The planned step it is in.
    pub fn step(&self) -> Option<&PlannedStep> {
        match self.phase {
            Phase::Growing { step } | Phase::Watching { step } => self.plan.steps.get(step),
            _ => None,
        }
    }

    /// Whether it may be writing traffic or replicas: a run does not end while one of its rollouts does.
    pub fn moves(&self) -> bool {
        !matches!(
            self.phase,
            Phase::Comparing | Phase::Queued | Phase::Surveying | Phase::Drained | Phase::Reverted { .. }
        ) && !matches!(self.phase, Phase::Kept { .. } | Phase::Removing | Phase::Removed)
    }

    /// Whether a revert is still possible: the stable revision is warm, or the candidate can be taken out.
    pub fn can_revert(&self) -> bool {
        matches!(
            self.phase,
            Phase::Growing { .. } | Phase::Watching { .. } | Phase::Baking
        )
    }

    /// Whether a person may hold it where it is, or take it to its end.
    pub fn can_steer(&self) -> bool {
        matches!(self.phase, Phase::Growing { .. } | Phase::Watching { .. })
    }

    /// Whether a step is judged and a person does not wait for it.
    pub(super) fn skips(&self, step: usize) -> bool {
        let kind = self.plan.steps.get(step).map(|step| step.kind);
        self.skipped.is_some() && matches!(kind, Some(StepKind::Stepping | StepKind::Shadowing))
    }

    /// Who holds it where it is, and why.
    pub fn holder(&self) -> Option<&(Actor, String)> {
        self.paused.as_ref()?.held.as_ref()
    }

    /// Whether it is through its bake, and is promoted when all of its release are.
    pub fn is_held(&self) -> bool {
        self.phase == Phase::Baking && self.held_since.is_some()
    }

    /// Stable replicas that are warm and were not told to leave: an order may not have been carried out yet.
    pub fn stable_warm(&self) -> u32 {
        let asked = self
            .stable
            .as_ref()
            .map_or(0, |stable| self.stable_asked.unwrap_or(stable.replicas));
        self.stable_seen.warm.min(asked)
    }

    /// Whether stable was asked to give up replicas that it must have again after a revert.
    pub fn has_lent(&self) -> bool {
        self.stable_asked.is_some()
    }

    /// Whether traffic went back, and is.
    pub fn is_back(&self) -> bool {
        let back = matches!(
            self.phase,
            Phase::Reverted { .. } | Phase::Removing | Phase::Removed
        );
        back && self.reverted_because.is_some()
    }

    /// Whether nothing of it needs looking after any more.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Drained | Phase::Removed)
    }

    /// The phase in the design's words.
    pub fn words(&self) -> String {
        let planned = |step: &usize| self.plan.steps.get(*step);
        match &self.phase {
            Phase::Queued => "waiting for the lane".into(),
            Phase::Comparing => "planned".into(),
            Phase::Surveying => "looking for room".into(),
            Phase::Growing { step } => match planned(step) {
                Some(to) => format!("growing to {} for {}", to.candidate_replicas, to.weight),
                None => "growing".into(),
            },
            Phase::Watching { step } => match planned(step) {
                Some(at) => format!("{} at {}", at.kind.as_str(), self.weight),
                None => "watching".into(),
            },
            Phase::Baking if self.is_held() => "held".into(),
            Phase::Baking => "baking".into(),
            Phase::Draining => "committed, draining".into(),
            Phase::Drained => "drained".into(),
            Phase::Leaving => "shadow passed, ending".into(),
            Phase::Kept { .. } => "shadow passed, kept".into(),
            Phase::Reverting => "reverting".into(),
            Phase::Reverted { .. } => "reverted".into(),
            Phase::Removing if self.reverted_because.is_none() => "shadow passed, removing".into(),
            Phase::Removing => "reverted, removing".into(),
            Phase::Removed => "removed".into(),
        }
    }

    /// The candidate's shares in percent, in the order in which they were decided; of a shadow those of copies.
    pub fn shares(&self) -> Vec<u8> {
        self.changes
            .iter()
            .map(|change| change.weight.percent())
            .collect()
    }

    /// Whether the candidate gets copies of requests, and answers nobody.
    pub fn mirrors(&self) -> bool {
        self.plan.mirrors()
    }

    /// The share of the requests that stable answers.
    pub fn stable_share(&self) -> Weight {
        match self.mirrors() {
            true => Weight::FULL,
            false => self.weight.rest(),
        }
    }

    /// The part of the requests that the candidate's share gives it.
    pub(super) fn given_part(&self, rule: &RolloutRule) -> f64 {
        let (candidate, stable) = (self.candidate_seen.warm, self.stable_seen.warm);
        match rule.target.is_by_replicas() {
            true => Ratio::of(self.weight, candidate, stable, self.plan.needed(rule)).part(),
            false => f64::from(self.weight.percent()) / 100.0,
        }
    }

    /// What the new revision is called, beside stable.
    pub fn role(&self) -> &'static str {
        if self.mirrors() { "shadow" } else { "candidate" }
    }

    /// What its weight is called: `weight 5 %`, `copies 5 %`.
    pub fn gets(&self) -> &'static str {
        if self.mirrors() { "copies" } else { "weight" }
    }

    /// GPUs that both revisions held at the last look.
    pub fn gpus(&self) -> u32 {
        self.candidate_seen.gpus + self.stable_seen.gpus
    }

    /// The weights change: what was measured under others does not count.
    pub(super) fn restart_measuring(&mut self) {
        self.counted_from.clone_from(&self.counted);
        self.weighing.restart();
        self.carried.restart();
        self.hardware.restart();
        self.split = Split::default();
        self.inconclusive = None;
        self.unfollowed_since = None;
        (self.blind_since, self.blind_before, self.unfair_since) = (None, Span::ZERO, None);
    }

    /// The chance of a false alarm of one step: all steps and the bake share the rule's.
    pub fn alpha(&self, rule: &RolloutRule) -> Alpha {
        rule.alpha.of_steps(self.plan.steps.len() + 1)
    }

    /// Whether it is still to be seen that route, Service and rights are there.
    pub fn lacks_site(&self) -> bool {
        self.phase == Phase::Surveying && !self.site_clear
    }

    /// Whether commands check the candidate before it gets traffic.
    pub fn is_checked(&self) -> bool {
        self.preview.as_ref().is_some_and(Preview::is_checked)
    }

    /// Whether a person is asked to let a step pass.
    pub fn asks(&self) -> bool {
        let undecided = self.inconclusive.as_ref();
        self.is_paused() || undecided.is_some_and(|state| state.asked.is_some())
    }

    /// Whether it waits for a person to let it go on.
    pub fn is_paused(&self) -> bool {
        self.paused.as_ref().is_some_and(|paused| paused.by.is_none())
    }

    /// What the candidate answered since the present weights were set.
    pub fn candidate_counts(&self) -> Counts {
        let empty = Counts::default();
        let now = self.counted.get(&self.candidate).unwrap_or(&empty);
        now.since(self.counted_from.get(&self.candidate).unwrap_or(&empty))
    }
}
