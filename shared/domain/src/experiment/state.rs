//! State of an experiment. It stands in the first of its steps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::shares::Side;
use crate::digest::sha256_hex;
use crate::ids::{Fence, LaneKey, RevisionId};
use crate::judge::experiment::Experiment as Judged;
use crate::seen::{Counts, TrafficChange};
use crate::time::Timestamp;
use crate::units::Weight;

/// Where an experiment stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It waits for the lane.
    Queued,
    /// It has the lane and asks whether what it needs is there; nothing has moved.
    Surveying,
    /// Each variant has a Service; traffic is where it was, until all are warm.
    Warming,
    /// The variants have their shares.
    Running,
    /// Traffic is on its way back.
    Ending,
    /// Traffic is back and the lane is free.
    Over,
}

/// Why it ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ending {
    /// In words.
    pub why: String,
    /// Its measuring came to its end; else something cut it short.
    pub complete: bool,
}

impl Ending {
    /// Something cut it short.
    pub(crate) fn early(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            complete: false,
        }
    }
}

/// An experiment of a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Experiment {
    /// Its variants, in the order of their steps. The first is the one that the others are compared with.
    pub sides: Vec<Side>,
    /// What served before; `None`: the plain Service.
    pub back: Option<RevisionId>,
    /// Where it stands.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
    /// Fence of the last write that was decided.
    pub fence: Fence,
    /// Shares as last decided; empty: no variant has any.
    pub split: Vec<(RevisionId, Weight)>,
    /// Every traffic change, oldest first. The weight is what all variants have together.
    pub changes: Vec<TrafficChange>,
    /// Requests of each variant at the last look, since the experiment began.
    pub counted: BTreeMap<RevisionId, Counts>,
    /// The same when the present block began, and when that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<(Timestamp, BTreeMap<RevisionId, Counts>)>,
    /// Failures and split of each variant but the first, against the first.
    #[serde(default)]
    pub judged: BTreeMap<RevisionId, Judged>,
    /// Since when its cluster does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away_since: Option<Timestamp>,
    /// Why it ended, once it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// What is waited for, in words; empty when nothing is.
    #[serde(default)]
    pub waits_for: String,
}

/// Traffic changes that are kept: a variant that comes and goes for a week must not fill the run.
pub(super) const CHANGES_LIMIT: usize = 100;

impl Experiment {
    /// Whether traffic is back and nothing of it needs looking after any more.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// One that has not asked for its lane yet.
    pub(super) fn new(sides: Vec<Side>, now: Timestamp) -> Self {
        Self {
            sides,
            back: None,
            phase: Phase::Queued,
            since: now,
            fence: Fence::default(),
            split: Vec::new(),
            changes: Vec::new(),
            counted: BTreeMap::new(),
            block: None,
            judged: BTreeMap::new(),
            away_since: None,
            ending: None,
            waits_for: String::new(),
        }
    }

    /// Whether it may be writing traffic: a run does not end while one of its experiments does.
    pub fn moves(&self) -> bool {
        matches!(self.phase, Phase::Warming | Phase::Running | Phase::Ending)
    }

    /// Whether traffic can still be sent back.
    pub fn can_end(&self) -> bool {
        matches!(self.phase, Phase::Warming | Phase::Running)
    }

    /// Whether the weights of all variants have taken effect.
    pub fn in_effect(&self) -> bool {
        let effective = self.changes.iter().any(|change| change.effective.is_some());
        self.phase == Phase::Running && effective
    }

    /// When the first variant was given traffic.
    pub fn first_traffic(&self) -> Option<Timestamp> {
        self.changes.first().and_then(|change| change.accepted)
    }

    /// The phase in words.
    pub fn words(&self) -> String {
        match self.phase {
            Phase::Queued => "waiting for the lane".into(),
            Phase::Surveying => "looking for route and Service".into(),
            Phase::Warming => "warming".into(),
            Phase::Running => self.shares_in_words(),
            Phase::Ending => "traffic goes back".into(),
            Phase::Over => "over".into(),
        }
    }

    /// How it stands, with the pods of each variant: `experiment: model-a 50 %, model-b 50 %; 4/4 and 4/4 pods warm`.
    pub fn told(&self) -> String {
        let pods = self.sides.iter();
        let pods = pods.map(|side| format!("{}/{}", side.seen.warm, side.seen.pods));
        let pods = pods.collect::<Vec<_>>().join(" and ");
        let because = self.ending.as_ref();
        let because = because
            .map(|ending| format!(" ({})", ending.why))
            .unwrap_or_default();
        format!("experiment: {}{because}; {pods} pods warm", self.words())
    }

    /// `model-a 50 %, model-b 50 %`.
    pub(super) fn shares_in_words(&self) -> String {
        let share = |side: &Side| {
            let has = self.split.iter().find(|(id, _)| *id == side.revision);
            format!("{} {}", side.version, has.map_or(Weight::ZERO, |(_, w)| *w))
        };
        self.sides.iter().map(share).collect::<Vec<_>>().join(", ")
    }

    /// Where traffic goes back to, in words.
    pub(super) fn back_in_words(&self) -> String {
        match &self.back {
            Some(revision) => revision.to_string(),
            None => "the plain Service".into(),
        }
    }
}

/// What a variant is called among revisions: `v` and 10 hex digits of lane and version, the same in every experiment.
pub fn variant_revision(lane: &LaneKey, version: &str) -> RevisionId {
    let key = format!("{}/{}/variant/{version}", lane.service, lane.environment);
    RevisionId::new(format!("v{}", &sha256_hex(key.as_bytes())[..10]))
}
