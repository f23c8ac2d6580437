//! The counter where commands of people on this machine are answered. Who asks is told by the kernel, never by the
//! request.

use std::sync::Arc;

use weir_app::{Engine, Store, UndoError, with_causes};
use weir_domain::approval::{Answer as ApprovalAnswer, ApprovalState};
use weir_domain::event::Event;
use weir_domain::ids::ApprovalToken;
use weir_domain::people::Identity;
use weir_domain::run::{Run, RunStatus, StageRun};
use weir_domain::{Reply, ids::StepId};

use super::{names, start};
use crate::protocol::{Act, Answer, Request};
use crate::store::SqliteStore;

/// Most runs in one answer.
const RUNS_LIMIT: usize = 500;

/// What requests are answered with.
pub(crate) struct Counter {
    /// Commits what people want, and sends traffic back at once if that is it; the workers do the rest.
    pub(crate) engine: Engine,
    /// The store, with what only this host's has.
    pub(crate) store: Arc<SqliteStore>,
    /// What `weir run` starts from.
    pub(crate) starts: start::Starts,
}

impl Counter {
    /// Answers a request that has one answer.
    pub(crate) async fn answer(&self, request: Request, by: Identity) -> Answer {
        let answered = match request {
            Request::Runs { limit } => self.runs(limit).await,
            Request::Show { run } | Request::Events { run, .. } => self.show(&run).await,
            Request::Logs { run, step, lines } => self.logs(&run, step.as_deref(), lines).await,
            Request::Act { run, act } => self.act(&run, act, by).await,
            Request::Run {
                repository,
                pipeline,
                branch,
            } => self.starts.start(self, repository, pipeline, &branch, by).await,
        };
        answered.unwrap_or_else(|answer| answer)
    }

    async fn runs(&self, limit: u16) -> Result<Answer, Answer> {
        let limit = usize::from(limit).min(RUNS_LIMIT);
        let runs = self.store.runs(limit).await;
        runs.map(Answer::Runs).map_err(|error| failed(&error))
    }

    async fn show(&self, name: &str) -> Result<Answer, Answer> {
        let run = names::find(&self.store, name).await?;
        self.news(&run, 0).await
    }

    /// A run as it stands now, with the entries after the `after`th.
    pub(crate) async fn news(&self, run: &Run, after: u64) -> Result<Answer, Answer> {
        let loaded = self.store.load(&run.id).await.map_err(|error| failed(&error))?;
        let run = loaded.ok_or_else(|| Answer::Failed(format!("run {} is gone", run.id)))?;
        // The log last: with a run that is over, all of it is there.
        let entries = self.store.entries(&run.state.run.id).await;
        let entries = entries.map_err(|error| failed(&error))?;
        Ok(Answer::Run {
            run: Box::new(run.state.run),
            entries: entries.into_iter().filter(|entry| entry.n > after).collect(),
        })
    }

    async fn logs(&self, name: &str, step: Option<&str>, lines: u32) -> Result<Answer, Answer> {
        let run = names::find(&self.store, name).await?;
        let (id, step) = step_with_log(&run, step)?;
        let kept = run
            .step_run(id)
            .map(|state| state.log_tail.clone())
            .unwrap_or_default();
        match self.engine.ports.clusters.logs(&run, id, lines).await {
            Ok(text) => Ok(Answer::Log { step, text }),
            // What was kept when the commands ended is better than an error.
            Err(_) if !kept.is_empty() => Ok(Answer::Log { step, text: kept }),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn act(&self, name: &str, act: Act, by: Identity) -> Result<Answer, Answer> {
        let run = names::find(&self.store, name).await?;
        let approval = |answer| match waiting(&run) {
            Some(token) => Ok(Event::ApprovalAnswered {
                token,
                by: by.clone(),
                answer,
            }),
            None => Err(nothing_asked(&run)),
        };
        if let (Act::Rollback { reason, .. }, true) = (&act, run.status == RunStatus::Succeeded) {
            return self.undo(&run, &by, reason).await;
        }
        let event = match act {
            Act::Approve if asks(&run) => Event::PassRequested {
                by,
                reason: String::new(),
                pause: None,
            },
            Act::Approve => approval(ApprovalAnswer::Approve)?,
            Act::Reject { reason } => approval(ApprovalAnswer::Reject(reason))?,
            Act::Hold { reason } => Event::HoldRequested { by, reason },
            Act::Skip { reason } => Event::SkipRequested { by, reason },
            Act::Cancel { reason } => Event::CancelRequested { by, reason },
            Act::Rollback { reason, force } => Event::RollbackRequested { by, reason, force },
        };
        let handled = self.engine.handle(&run.id, &event).await;
        let handled = handled.map_err(|error| failed(&error))?;
        match handled.reply {
            Some(Reply::Refused(words)) => Err(Answer::Refused(words)),
            Some(Reply::Done(message)) => Ok(Answer::Done {
                message,
                runs: vec![handled.state.run],
            }),
            None => Ok(Answer::Done {
                message: handled.state.run.status.words(),
                runs: vec![handled.state.run],
            }),
        }
    }
}

impl Counter {
    /// What was promoted has nothing to revert: what served before comes back by a run of its own.
    async fn undo(&self, run: &Run, by: &Identity, reason: &str) -> Result<Answer, Answer> {
        let started = match self.engine.undo(&run.id, by, reason).await {
            Ok(started) => started,
            Err(UndoError::Refused(why)) => return Err(Answer::Refused(why)),
            Err(error) => return Err(failed(&error)),
        };
        let loaded = self.store.load(started.run()).await;
        let loaded = loaded.map_err(|error| failed(&error))?;
        Ok(Answer::Done {
            message: format!("run {} brings back what served before", started.run()),
            runs: loaded.into_iter().map(|loaded| loaded.state.run).collect(),
        })
    }
}

/// An error as an answer, with its causes.
pub(crate) fn failed(error: &(dyn std::error::Error + 'static)) -> Answer {
    Answer::Failed(with_causes(error))
}

/// Whether a rollout asks a person to let an undecided step pass.
fn asks(run: &Run) -> bool {
    let mut steps = run.steps();
    steps.any(|(.., state)| {
        state
            .rollout
            .as_deref()
            .is_some_and(weir_domain::rollout::Rollout::asks)
    })
}

/// The approval that people are asked for now. Stages come one after another, so there is one at most.
fn waiting(run: &Run) -> Option<ApprovalToken> {
    let asked = |stage: &StageRun| {
        let approval = stage.approval.as_ref()?;
        (approval.state == ApprovalState::Waiting).then(|| approval.token.clone())
    };
    run.stages.iter().find_map(asked)
}

fn nothing_asked(run: &Run) -> Answer {
    let last = run.stages.iter().rev().find_map(|stage| stage.approval.as_ref());
    let before = match last {
        Some(approval) => format!("; its last approval is {}", approval.state.words()),
        None => String::new(),
    };
    Answer::Refused(format!(
        "{} waits for no approval: it is {}{before}",
        run.title(),
        run.status.words()
    ))
}

/// The step that is named, or the only one that can have a log.
fn step_with_log(run: &Run, name: Option<&str>) -> Result<(StepId, String), Answer> {
    let begun = run
        .steps()
        .filter(|(id, _, state)| run.commands(*id).is_some() && state.began.is_some());
    let begun: Vec<(StepId, String)> = begun.map(|(id, step, _)| (id, step.name.clone())).collect();
    let fits = |own: &str| name.is_none_or(|name| own.eq_ignore_ascii_case(name));
    let found: Vec<&(StepId, String)> = begun.iter().filter(|(_, own)| fits(own)).collect();
    let list = || {
        begun
            .iter()
            .map(|(_, own)| format!("'{own}'"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (found.as_slice(), name) {
        ([one], _) => Ok((*one).clone()),
        _ if begun.is_empty() => Err(Answer::Failed(
            "no step of this run has begun to run commands".into(),
        )),
        ([], Some(name)) => Err(Answer::Failed(format!(
            "no step `{name}` has begun to run commands; these have: {}",
            list()
        ))),
        // Steps of two stages may share a name; the last is the one that is asked about.
        ([.., last], Some(_)) => Ok((*last).clone()),
        _ => Err(Answer::Failed(format!(
            "several steps have a log; say --step: {}",
            list()
        ))),
    }
}
