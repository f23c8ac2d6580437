//! A run: one passage of a pipeline.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::approval::{Approval, ApprovalState};
use crate::experiment::Experiment;
use crate::experiment::collect::Collecting;
use crate::ids::{ApprovalToken, Commit, LaneKey, PersonName, PoolKey, RevisionId, RunId, StepId};
use crate::lane::Lane;
use crate::people::Actor;
use crate::pipeline::{ApprovalRule, Pipeline, Plugin, RolloutRule, StageWork, Step, StepWork, sorted};
use crate::pool::Pool;
use crate::rollout::{Phase, Rollout};
use crate::time::Timestamp;
use crate::workload::Adopted;

/// Version of the stored form of a run. Readers accept this one and the next (invariant 13).
pub const SCHEMA: u32 = 1;

/// Everything that a decision reads and changes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct State {
    /// The run.
    pub run: Run,
    /// The lanes that its rollout steps move in.
    #[serde(with = "lanes_as_list")]
    pub lanes: BTreeMap<LaneKey, Lane>,
    /// The pools that they claim GPUs of.
    #[serde(default, with = "pools_as_list", skip_serializing_if = "BTreeMap::is_empty")]
    pub pools: BTreeMap<PoolKey, Pool>,
}

/// The same for pools.
mod pools_as_list {
    use super::{BTreeMap, Deserialize, Pool, PoolKey};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(pools: &BTreeMap<PoolKey, Pool>, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(pools.values())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<PoolKey, Pool>, D::Error> {
        let pools = Vec::<Pool>::deserialize(d)?;
        Ok(pools.into_iter().map(|pool| (pool.key.clone(), pool)).collect())
    }
}

/// JSON has no structured keys; a lane carries its own.
mod lanes_as_list {
    use super::{BTreeMap, Deserialize, Lane, LaneKey};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(lanes: &BTreeMap<LaneKey, Lane>, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(lanes.values())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<LaneKey, Lane>, D::Error> {
        let lanes = Vec::<Lane>::deserialize(d)?;
        Ok(lanes.into_iter().map(|lane| (lane.key.clone(), lane)).collect())
    }
}

/// State of a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Stored form.
    pub schema: u32,
    /// Identity.
    pub id: RunId,
    /// Number among the runs of its pipeline, from 1.
    pub number: u64,
    /// What started it.
    pub cause: Cause,
    /// What it does, pinned: every state of the run shares it.
    pub pipeline: Arc<Pipeline>,
    /// How it stands.
    pub status: RunStatus,
    /// The end it is heading for while rollouts still go back.
    #[serde(default)]
    pub ending: Option<RunStatus>,
    /// One for each stage of the pipeline.
    pub stages: Vec<StageRun>,
    /// Outputs of steps, by slug and name.
    #[serde(default)]
    pub outputs: BTreeMap<String, BTreeMap<String, String>>,
    /// When it began.
    pub began: Timestamp,
    /// When its status became final.
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// Entries of its log so far.
    #[serde(default)]
    pub logged: u64,
    /// Hash of the last entry.
    #[serde(default)]
    pub log_tail: String,
    /// Fields of a newer schema, kept as they are.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, serde_json::Value>,
}

/// What started a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Cause {
    /// Where the code lives: `owner/name` and the address it is fetched from.
    pub repository: Repository,
    /// Full ref, for example `refs/heads/main`.
    pub git_ref: String,
    /// Head before the push; all zeros for a new ref.
    pub before: Commit,
    /// Head after the push: what this run brings.
    pub after: Commit,
    /// Who pushed.
    pub actor: Actor,
    /// First line of the head commit's message, and its author.
    pub headline: String,
    /// Why the trigger matched, in words.
    pub reason: String,
    /// When the push arrived.
    pub received: Timestamp,
}

/// A source repository.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Repository {
    /// `owner/name`.
    pub name: String,
    /// Address that a fetch step clones from.
    pub clone_url: String,
}

/// How a run stands.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It goes on.
    Running,
    /// Every stage ended well.
    Succeeded,
    /// A step failed, an approval was rejected or expired, or the definition does not validate.
    Failed {
        /// Why.
        why: String,
    },
    /// A rollout went back.
    RolledBack {
        /// What was measured.
        why: String,
    },
    /// A person ended it.
    Cancelled {
        /// Who.
        by: Actor,
        /// Why.
        reason: String,
    },
    /// A newer run took its place.
    Superseded {
        /// Which.
        by: RunId,
    },
}

impl RunStatus {
    /// One word for lists.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed { .. } => "failed",
            Self::RolledBack { .. } => "rolled_back",
            Self::Cancelled { .. } => "cancelled",
            Self::Superseded { .. } => "superseded",
        }
    }

    /// For people, with the reason.
    pub fn words(&self) -> String {
        match self {
            Self::Running => "running".into(),
            Self::Succeeded => "succeeded".into(),
            Self::Failed { why } => format!("failed: {why}"),
            Self::RolledBack { why } => format!("rolled back: {why}"),
            Self::Cancelled { by, reason } => format!("cancelled by {by}: {reason}"),
            Self::Superseded { by } => format!("superseded by {by}"),
        }
    }
}

/// State of a stage.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StageRun {
    /// How it stands.
    pub status: PartStatus,
    /// One for each of its steps.
    pub steps: Vec<StepRun>,
    /// Its approval, once people were asked.
    #[serde(default)]
    pub approval: Option<Approval>,
}

/// State of a step.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StepRun {
    /// How it stands.
    pub status: PartStatus,
    /// When it began.
    #[serde(default)]
    pub began: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// Its rollout, if it is a rollout step that began.
    #[serde(default)]
    pub rollout: Option<Box<Rollout>>,
    /// The experiment that it is the first step of, once it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<Box<Experiment>>,
    /// How far it has come, if it collects metrics and has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collecting: Option<Box<Collecting>>,
    /// Last lines of its log, if its commands ended.
    #[serde(default)]
    pub log_tail: String,
    /// What it waits for, in words.
    #[serde(default)]
    pub waits_for: String,
    /// What its cluster had room for when people were asked to approve it: the plan it would have, or why it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub foreseen: String,
}

impl StepRun {
    /// Whether it has not ended, or still moves something: a version that was promoted may be watched for days.
    pub fn is_open(&self) -> bool {
        let rollout = self.rollout.as_ref().is_some_and(|rollout| !rollout.is_over());
        let experiment = self
            .experiment
            .as_ref()
            .is_some_and(|experiment| !experiment.is_over());
        !self.status.is_over() || rollout || experiment
    }

    /// Whether what comes after it may begin: it ended well, or is only held for the others of its release.
    pub fn is_passed(&self) -> bool {
        self.status == PartStatus::Succeeded || self.is_held()
    }

    fn is_held(&self) -> bool {
        self.rollout.as_ref().is_some_and(|rollout| rollout.is_held())
    }
}

impl StageRun {
    /// Whether what comes after it may begin, although rollouts of it are held for the others of their release.
    pub fn is_held(&self) -> bool {
        !self.status.is_over()
            && self.steps.iter().any(StepRun::is_held)
            && self.steps.iter().all(StepRun::is_passed)
    }
}

/// How a stage or step stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartStatus {
    /// Not begun.
    Pending,
    /// Begun.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed {
        /// Why.
        why: String,
    },
    /// Begun, and stopped because the run ended.
    Stopped,
    /// Not begun, and the run has ended.
    Skipped,
}

impl PartStatus {
    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

impl Run {
    /// The definition of a step.
    pub fn step(&self, id: StepId) -> Option<&Step> {
        match &self.pipeline.stages.get(id.stage)?.work {
            StageWork::Steps { steps, .. } => steps.get(id.step),
            StageWork::Approval(_) => None,
        }
    }

    /// The rule of a rollout step.
    pub fn rule(&self, id: StepId) -> Option<&RolloutRule> {
        match &self.step(id)?.work {
            StepWork::Rollout(rule) => Some(rule),
            _ => None,
        }
    }

    /// The commands of a Plugin step.
    pub fn plugin(&self, id: StepId) -> Option<&Plugin> {
        match &self.step(id)?.work {
            StepWork::Plugin(plugin) => Some(plugin),
            _ => None,
        }
    }

    /// What a step runs as a Kubernetes Job: the commands of a Plugin step, or those that check a candidate before it gets
    /// traffic.
    pub fn commands(&self, id: StepId) -> Option<&Plugin> {
        match &self.step(id)?.work {
            StepWork::Plugin(plugin) => Some(plugin),
            StepWork::Rollout(rule) => rule.strategy.previewed()?.checks.as_ref(),
            StepWork::Collect(_) => None,
        }
    }

    /// The rule of an approval stage.
    pub fn approval_rule(&self, stage: usize) -> Option<&ApprovalRule> {
        match &self.pipeline.stages.get(stage)?.work {
            StageWork::Approval(rule) => Some(rule),
            StageWork::Steps { .. } => None,
        }
    }

    /// The state of a step.
    pub fn step_run(&self, id: StepId) -> Option<&StepRun> {
        self.stages.get(id.stage)?.steps.get(id.step)
    }

    /// What the button of a rollout's pause carries, while it waits.
    pub fn pause_of(&self, id: StepId) -> Option<&ApprovalToken> {
        let paused = self.rollout(id)?.paused.as_ref()?;
        paused.token.as_ref().filter(|_| paused.by.is_none())
    }

    /// Tokens of everything that waits for a person, and until when: with them a button finds the run again. What one
    /// decision paused has one token.
    pub fn asking(&self) -> BTreeMap<&ApprovalToken, Timestamp> {
        let approvals = self.stages.iter().filter_map(|stage| stage.approval.as_ref());
        let approvals = approvals.filter(|approval| approval.state == ApprovalState::Waiting);
        let approvals = approvals.map(|approval| (&approval.token, approval.expires));
        let pauses = self.steps().filter_map(|(id, ..)| {
            let until = self.rollout(id)?.paused.as_ref()?.until?;
            Some((self.pause_of(id)?, until))
        });
        let mut tokens = BTreeMap::new();
        for (token, until) in approvals.chain(pauses) {
            let latest = tokens.entry(token).or_insert(until);
            *latest = until.max(*latest);
        }
        tokens
    }

    /// The state of a rollout.
    pub fn rollout(&self, id: StepId) -> Option<&Rollout> {
        self.step_run(id)?.rollout.as_deref()
    }

    /// The Deployment behind a revision of a rollout step, if Weir did not make it.
    pub fn adopted(&self, id: StepId, revision: &RevisionId) -> Option<&Adopted> {
        let candidate = self.rule(id).and_then(|rule| rule.workload.adopted.as_ref());
        let stable = self.rollout(id).and_then(|rollout| rollout.stable.as_ref());
        let stable = stable.and_then(|stable| stable.adopted.as_ref());
        let mut both = candidate.into_iter().chain(stable);
        both.find(|adopted| adopted.revision() == *revision)
    }

    /// The state of an experiment, by its first step.
    pub fn experiment(&self, id: StepId) -> Option<&Experiment> {
        self.step_run(id)?.experiment.as_deref()
    }

    /// Where traffic is back and where it is not yet, in words; nothing unless it is so.
    pub fn partly_back(&self) -> Option<String> {
        let lanes = |which: fn(&Rollout) -> bool| {
            let here = self.steps().filter_map(|(id, ..)| {
                let rollout = self.rollout(id)?;
                which(rollout).then(|| self.rule(id).map(|rule| rule.lane.to_string()))?
            });
            here.collect::<Vec<_>>().join(", ")
        };
        let (back, not) = (
            lanes(Rollout::is_back),
            lanes(|rollout| rollout.phase == Phase::Reverting),
        );
        let both = !back.is_empty() && !not.is_empty();
        both.then(|| format!("partly back: {back}; not yet: {not}"))
    }

    /// Why traffic of a step went back, in words; nothing if it did not.
    pub fn went_back(&self, id: StepId) -> Option<&str> {
        let rollout = self
            .rollout(id)
            .and_then(|rollout| rollout.reverted_because.as_deref());
        let experiment = self
            .experiment(id)
            .and_then(|experiment| experiment.ending.as_ref());
        rollout.or_else(|| experiment.map(|ending| ending.why.as_str()))
    }

    /// What people call it, for example `LLM-Model-Update #42`.
    pub fn title(&self) -> String {
        format!("{} #{}", self.pipeline.name, self.number)
    }

    /// Every step with its definition and state, in order.
    pub fn steps(&self) -> impl Iterator<Item = (StepId, &Step, &StepRun)> {
        self.pipeline
            .stages
            .iter()
            .zip(&self.stages)
            .enumerate()
            .flat_map(|(stage, (definition, state))| {
                let steps: &[Step] = match &definition.work {
                    StageWork::Steps { steps, .. } => steps,
                    StageWork::Approval(_) => &[],
                };
                let pairs = steps.iter().zip(&state.steps).enumerate();
                pairs.map(move |(step, (definition, state))| (StepId { stage, step }, definition, state))
            })
    }

    /// The lanes that its rollout steps may still move in, sorted, each once; of a run that is over, all: it may be undone.
    pub fn lanes(&self) -> Vec<LaneKey> {
        sorted(self.open_rules().map(|rule| rule.lane.clone()))
    }

    /// The pools that they may claim GPUs of, sorted, each once.
    pub fn pools(&self) -> Vec<PoolKey> {
        sorted(self.open_rules().filter_map(RolloutRule::pool))
    }

    fn open_rules(&self) -> impl Iterator<Item = &RolloutRule> {
        let open = self
            .steps()
            .filter(|(.., state)| self.is_over() || state.is_open());
        open.filter_map(|(id, ..)| self.rule(id))
    }

    /// Whether a stage has ended, and nothing of it moves any more.
    pub fn is_closed(&self, stage: usize) -> bool {
        let closed = |stage: &StageRun| stage.status.is_over() && !stage.steps.iter().any(StepRun::is_open);
        self.stages.get(stage).is_some_and(closed)
    }

    /// Whether somebody may still ask what was counted for a step. What was collected for days is handed to steps of later
    /// stages.
    pub fn is_counted(&self, step: StepId) -> bool {
        let collects = |state: &StepRun| state.collecting.is_some();
        !self.is_closed(step.stage) || self.step_run(step).is_some_and(collects)
    }

    /// Whether its status is final.
    pub fn is_over(&self) -> bool {
        self.status != RunStatus::Running
    }

    /// GPUs held by its rollouts when they were last looked at.
    pub fn gpus(&self) -> u32 {
        self.steps()
            .filter_map(|(.., state)| state.rollout.as_deref())
            .map(Rollout::gpus)
            .sum()
    }

    /// Everyone the definition knows, for messages.
    pub fn people(&self) -> Vec<&PersonName> {
        let mut names: Vec<_> = self
            .pipeline
            .groups
            .iter()
            .flat_map(|group| &group.members)
            .map(|person| &person.name)
            .collect();
        names.sort();
        names.dedup();
        names
    }
}
