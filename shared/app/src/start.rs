//! A push starts a run, once.

use std::collections::BTreeMap;

use weir_domain::ids::{PushKey, RunId};
use weir_domain::pipeline::{Builds, OnNewPush, Pipeline};
use weir_domain::run::{Cause, State};
use weir_domain::{Refused, begin, digest, refuse};

use crate::engine::{By, Engine};
use crate::retry::{Classified, Retry};
use crate::store::{Loaded, StoreError};

/// Times a start is tried again because another run took its number or changed its lane.
const CONFLICT_LIMIT: u32 = 20;

/// What to start.
#[derive(Clone, PartialEq, Debug)]
pub struct Start {
    /// Identity of the push, or of a person's request.
    pub push: PushKey,
    /// What started it.
    pub cause: Cause,
    /// The pipeline, resolved; or its name and why it cannot be run.
    pub pipeline: Result<Pipeline, (String, Refused)>,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Started {
    /// A new run.
    New(RunId),
    /// The push had started this pipeline before; that run goes on.
    Already(RunId),
}

impl Started {
    /// The run, new or not.
    pub fn run(&self) -> &RunId {
        let (Self::New(run) | Self::Already(run)) = self;
        run
    }
}

/// A run could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the run could not be started")]
pub struct StartError(#[from] StoreError);

impl Classified for StartError {
    fn retry(&self) -> Retry {
        self.0.retry()
    }
}

impl Engine {
    /// Starts a run. The push key, the number, the run and its first effects are one transaction, so a delivery that
    /// comes again finds the run of the first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn start(&self, start: Start) -> Result<Started, StartError> {
        let name = match &start.pipeline {
            Ok(pipeline) => pipeline.name.as_str().to_owned(),
            Err((name, _)) => name.clone(),
        };
        let id = run_id(&start.push, &name);
        let mut last = StoreError::Conflict(format!("run {id}"));
        for _ in 0..CONFLICT_LIMIT {
            match self.start_once(&id, &start).await {
                Ok(()) => return Ok(Started::New(id)),
                Err(StoreError::Duplicate(run)) => return Ok(Started::Already(run)),
                Err(error) if error.retry() == Retry::Conflict => last = error,
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.into())
    }

    async fn start_once(&self, id: &RunId, start: &Start) -> Result<(), StoreError> {
        let store = &self.ports.store;
        let pipeline = match &start.pipeline {
            Ok(pipeline) => pipeline.clone(),
            Err((name, _)) => empty(name),
        };
        let number = store.last_number(&pipeline.name).await? + 1;
        let keys = pipeline.lanes();
        let lanes = store.lanes(&keys).await?;
        let versions = lanes
            .iter()
            .map(|(lane, version)| (lane.key.clone(), *version))
            .collect();
        let lanes: BTreeMap<_, _> = lanes
            .into_iter()
            .map(|(lane, _)| (lane.key.clone(), lane))
            .collect();
        let moment = self.moment();
        let cause = start.cause.clone();
        let decision = match &start.pipeline {
            Ok(_) => begin(id.clone(), number, cause, pipeline, lanes.clone(), &moment),
            Err((_, refused)) => refuse(id.clone(), number, cause, pipeline, refused, &moment),
        };
        let before = State {
            run: decision.next.run.clone(),
            lanes,
            pools: BTreeMap::new(),
        };
        let loaded = Loaded {
            state: before,
            version: 0,
            lanes: versions,
            pools: Vec::new(),
            looks: Vec::new(),
            outbox: Vec::new(),
            scrapes: Vec::new(),
        };
        self.commit(loaded, decision, By::Event, None, Some(start.push.clone()))
            .await?;
        Ok(())
    }
}

/// The id of the run that a push starts in a pipeline: known before the run is, for whoever writes it into the
/// definition.
pub fn run_id(push: &PushKey, pipeline: &str) -> RunId {
    let hash = digest::sha256_hex(format!("{push}\n{pipeline}").as_bytes());
    RunId::new(format!("run-{}", &hash[..12]))
}

/// Stands in a run whose definition cannot be read: it has a name and no stages.
fn empty(name: &str) -> Pipeline {
    Pipeline {
        name: weir_domain::ids::PipelineName::new(name),
        digest: String::new(),
        stages: Vec::new(),
        on_new_push: OnNewPush::default(),
        groups: Vec::new(),
        builds: Builds {
            cluster: weir_domain::ids::ClusterName::new(""),
            namespace: weir_domain::ids::Namespace::new(""),
            fetch_image: String::new(),
        },
        outputs: BTreeMap::new(),
        warnings: Vec::new(),
    }
}
