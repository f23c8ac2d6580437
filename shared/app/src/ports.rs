//! Ports: what the loop needs from the world, in the domain's words.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use weir_domain::Duty;
use weir_domain::approval::MessageRef;
use weir_domain::condition::Reading;
use weir_domain::effect::{CommitState, Effect};
use weir_domain::event::Limits;
use weir_domain::ids::{ApprovalToken, ClusterName, Commit, Namespace, RevisionId, RunId, StepId};
use weir_domain::pipeline::Collect;
use weir_domain::rollout::StableSide;
use weir_domain::run::{Cause, Repository, Run};
use weir_domain::seen::{
    Counts, ExecutionSeen, Gpus, GroundSeen, Landing, RevisionSeen, RouteSeen, SiteSeen, TrafficSeen,
};
use weir_domain::time::{Span, Timestamp};

use crate::retry::{Classified, Retry};
use crate::store::Store;

/// Everything the loop runs over.
#[derive(Clone)]
pub struct Ports {
    /// State.
    pub store: Arc<dyn Store>,
    /// Clusters.
    pub clusters: Arc<dyn Clusters>,
    /// Metrics.
    pub traffic: Arc<dyn Traffic>,
    /// The source host.
    pub source: Arc<dyn Source>,
    /// People.
    pub people: Arc<dyn People>,
    /// Hints to look at a run.
    pub queue: Arc<dyn Queue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Fresh tokens.
    pub ids: Arc<dyn Ids>,
    /// How often the world is looked at.
    pub limits: Limits,
}

/// Time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Unguessable tokens.
pub trait Ids: Send + Sync {
    /// A token that nobody has seen, at least 128 bits of it random.
    fn approval_token(&self) -> ApprovalToken;
}

/// Tells somebody to look at a run.
///
/// *Guarantees*: none. A hint may come twice, late, or never: the store's [`crate::Store::due`] is the truth.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Asks for a look at `run` at `at`, or at once if that is past.
    async fn hint(&self, run: &RunId, duty: Duty, at: Timestamp);
}

/// A pod.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PodRef {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: String,
    /// Its address, once it has one.
    pub ip: Option<String>,
}

/// Where the parts of a rollout are, for whoever counts its traffic.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Placed {
    /// Pods by revision; terminating ones included, because they still answer.
    pub pods: BTreeMap<RevisionId, Vec<PodRef>>,
    /// Pods of the gateway that carries the route.
    pub gateway: Vec<PodRef>,
}

/// What a cluster shows of a rollout.
#[derive(Clone, PartialEq, Debug)]
pub struct Scenery {
    /// The candidate's pods.
    pub candidate: RevisionSeen,
    /// The stable revision's pods, if there is one.
    pub stable: Option<RevisionSeen>,
    /// The route.
    pub route: RouteSeen,
    /// Where things are.
    pub placed: Placed,
    /// Nodes of the candidate's pods that stay, by the pods' names.
    pub replicas: BTreeMap<String, String>,
    /// What a rollout that prepares still waits for before it asks for a candidate; nothing: it stands.
    pub unprepared: Option<String>,
    /// On what the pods of both run, where they are compared and nobody had looked at their nodes.
    pub landing: Landing,
}

/// What a cluster shows of an experiment.
#[derive(Clone, PartialEq, Debug)]
pub struct VariantScenery {
    /// The pods of each variant.
    pub variants: BTreeMap<RevisionId, RevisionSeen>,
    /// The route.
    pub route: RouteSeen,
    /// Where things are.
    pub placed: Placed,
}

/// Clusters: looks and effects. Which cluster is meant stands in the run's definition.
#[async_trait]
pub trait Clusters: Send + Sync {
    /// Looks at the Kubernetes Job of a step. A cluster that does not answer is an answer.
    async fn execution(&self, run: &Run, step: StepId) -> ExecutionSeen;

    /// Looks at a rollout.
    ///
    /// # Errors
    /// Why the cluster did not answer, in words.
    async fn scenery(&self, run: &Run, step: StepId) -> Result<Scenery, String>;

    /// Looks at the variants of the experiment whose first step this is.
    ///
    /// # Errors
    /// Why the cluster did not answer, in words.
    async fn variants(&self, run: &Run, step: StepId) -> Result<VariantScenery, String>;

    /// Looks at where the candidate of a rollout would go, beside `stable` where that serves. Everything that does not
    /// answer, or may not be asked, is an answer.
    async fn ground(&self, run: &Run, step: StepId, stable: Option<&StableSide>) -> GroundSeen;

    /// Looks at what a rollout needs beside its own objects: the route, the plain Service, the Deployment that it is to adopt, what
    /// scales the one that serves, and the rights of whoever asks.
    async fn site(&self, run: &Run, step: StepId) -> SiteSeen {
        let _ = (run, step);
        SiteSeen::Seen {
            problems: Vec::new(),
            advice: Vec::new(),
            adopts: None,
            scaled: None,
        }
    }

    /// Performs a cluster effect.
    ///
    /// *Guarantees*: a repeat changes nothing. A write whose fence is lower than the object's is dropped and counts as
    /// done. Every write carries the resourceVersion of the read that checked the fence.
    ///
    /// # Errors
    /// Classified; `Conflict` is retried inside, so it only comes back when others keep writing.
    async fn perform(&self, run: &Run, effect: &Effect) -> Result<(), EffectError>;

    /// Starts the Kubernetes Job of a step, as [`Clusters::perform`] does, and hands it what was collected before: CSV, which
    /// the commands find at `$WEIR_SERIES`.
    ///
    /// # Errors
    /// As [`Clusters::perform`].
    async fn start(&self, run: &Run, step: StepId, series: &str) -> Result<(), EffectError>;

    /// The log of a step's Kubernetes Job, last `lines` lines.
    ///
    /// # Errors
    /// The log is gone, or the cluster does not answer.
    async fn logs(&self, run: &Run, step: StepId, lines: u32) -> Result<String, EffectError>;
}

/// Reads an HTTP endpoint of a pod through the cluster's API server.
#[async_trait]
pub trait Proxy: Send + Sync {
    /// The body of `GET http://POD:port/path`, at most `limit` bytes.
    ///
    /// # Errors
    /// Which hop failed.
    async fn get(
        &self,
        cluster: &ClusterName,
        pod: &PodRef,
        port: u16,
        path: &str,
        limit: usize,
    ) -> Result<String, ProxyError>;

    /// The body of the answer to `POST http://POD:port/path` with this JSON, at most `limit` bytes.
    ///
    /// # Errors
    /// Which hop failed.
    async fn post(
        &self,
        cluster: &ClusterName,
        pod: &PodRef,
        port: u16,
        path: &str,
        body: String,
        limit: usize,
    ) -> Result<String, ProxyError> {
        let _ = (cluster, pod, port, path, body, limit);
        Err(ProxyError::Denied("nothing is sent by this way".into()))
    }
}

/// Why a pod's endpoint could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProxyError {
    /// The API server did not answer.
    #[error("the API server did not answer: {0}")]
    Cluster(String),
    /// The API server refused: a right is missing.
    #[error("the API server refused the pod proxy: {0}")]
    Denied(String),
    /// The API server answered, the pod did not.
    #[error("the pod did not answer: {0}")]
    Pod(String),
    /// The answer is larger than the limit.
    #[error("the answer is over {0} bytes")]
    TooLarge(usize),
}

/// What was counted, and what to give the next time so that resets and churn are accounted for.
#[derive(Clone, PartialEq, Debug)]
pub struct Counting {
    /// Counts since the rollout began.
    pub seen: TrafficSeen,
    /// Opaque to everyone but the source that made it; stored with the decision that used it.
    pub scrape: Option<serde_json::Value>,
    /// What each pod of a revision answered since it was first seen, by name; empty where pods cannot be told apart.
    pub replicas: BTreeMap<RevisionId, BTreeMap<String, Counts>>,
}

/// Counts requests per revision.
#[async_trait]
pub trait Traffic: Send + Sync {
    /// Counts since the rollout began. `before` is the `scrape` of the last count that was committed, or nothing at
    /// the first.
    async fn count(
        &self,
        run: &Run,
        step: StepId,
        placed: &Placed,
        before: Option<&serde_json::Value>,
    ) -> Counting;

    /// Why what a rollout is to be judged by cannot be read, asked before anything moves; nothing where it can, or where
    /// only trying will tell.
    async fn blocked(&self, run: &Run, step: StepId, placed: &Placed) -> Vec<String> {
        let _ = (run, step, placed);
        Vec::new()
    }

    /// Metrics of the candidate that are plain numbers, by name: those that the rollback condition names and the
    /// definition has a source for.
    async fn values(&self, run: &Run, step: StepId) -> BTreeMap<String, Reading> {
        let _ = (run, step);
        BTreeMap::new()
    }

    /// What the GPUs of the candidate say of themselves, by pod; nothing where nobody is named who knows, or that one does not
    /// answer: it is no reason to hold a rollout.
    async fn gpus(&self, run: &Run, step: StepId) -> Option<BTreeMap<String, Gpus>> {
        let _ = (run, step);
        None
    }

    /// Metrics of a step that collects, over the time from `from` to before `to`.
    async fn measure(&self, collect: &Collect, from: Timestamp, to: Timestamp) -> Measured {
        let _ = (from, to);
        Measured::Failed(self.unknown(collect).unwrap_or_default())
    }

    /// Why the server that a step names cannot be asked at all, if so.
    fn unknown(&self, collect: &Collect) -> Option<String> {
        Some(format!(
            "this host knows no source `{0}`: its owner names it, with --source {0}=… or in `Sources` of its stack",
            collect.source
        ))
    }
}

/// What came of asking for one interval.
#[derive(Clone, PartialEq, Debug)]
pub enum Measured {
    /// Its numbers are still filling.
    NotYet,
    /// A number for each metric that has one; why the others have none.
    Numbers {
        /// By metric as the definition names it.
        numbers: BTreeMap<String, f64>,
        /// What the source said of those without; empty if all have one.
        silence: String,
    },
    /// The source failed; how.
    Failed(String),
}

/// A file at a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceFile {
    /// Path from the repository's root.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// The host of the user's code.
#[async_trait]
pub trait Source: Send + Sync {
    /// The files under `.weir/` at a commit, and those of `more` that exist.
    ///
    /// # Errors
    /// Classified. `Never` is a fault of the commit itself, which stays: a link, a file that is too large or no text.
    async fn files(
        &self,
        repository: &Repository,
        commit: &Commit,
        more: &[String],
    ) -> Result<Vec<SourceFile>, SourceError>;

    /// Whether `descendant` has `ancestor` among its ancestors, or is it.
    ///
    /// # Errors
    /// Classified.
    async fn descends(
        &self,
        repository: &Repository,
        ancestor: &Commit,
        descendant: &Commit,
    ) -> Result<bool, SourceError>;

    /// Sets the commit's status. `context` names the pipeline.
    ///
    /// # Errors
    /// Classified.
    async fn report(
        &self,
        cause: &Cause,
        context: &str,
        state: CommitState,
        description: &str,
    ) -> Result<(), SourceError>;
}

/// The source host failed.
#[derive(Debug, thiserror::Error)]
#[error("the source host could not {operation}: {why}")]
pub struct SourceError {
    /// What was asked.
    pub operation: &'static str,
    /// What it said.
    pub why: String,
    /// What to do.
    pub retry: Retry,
}

impl Classified for SourceError {
    fn retry(&self) -> Retry {
        self.retry
    }
}

/// People.
#[async_trait]
pub trait People: Send + Sync {
    /// Posts the message of an approval, or changes it to how the approval stands. Where a new one stands comes back;
    /// nothing if nobody is configured to be told.
    ///
    /// # Errors
    /// Classified.
    async fn show_approval(&self, run: &Run, stage: usize) -> Result<Option<MessageRef>, EffectError>;

    /// Tells the on-call what happened, what was measured, what serves now.
    ///
    /// # Errors
    /// Classified.
    async fn page(&self, run: &Run, step: StepId) -> Result<(), EffectError>;
}

/// An effect could not be performed.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation} {object}: {why}")]
pub struct EffectError {
    /// What was tried.
    pub operation: &'static str,
    /// On which object.
    pub object: String,
    /// What came back, and what to do about it.
    pub why: String,
    /// Whether to try again.
    pub retry: Retry,
}

impl Classified for EffectError {
    fn retry(&self) -> Retry {
        self.retry
    }
}

impl EffectError {
    /// Something that is worth another try after a few seconds.
    pub fn later(operation: &'static str, object: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            operation,
            object: object.into(),
            why: why.into(),
            retry: Retry::After(Span::seconds(2)),
        }
    }

    /// Something that cannot succeed as it stands.
    pub fn never(operation: &'static str, object: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            operation,
            object: object.into(),
            why: why.into(),
            retry: Retry::Never,
        }
    }
}
