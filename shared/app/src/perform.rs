//! The one executor of effects. It never decides: what came of an effect goes back into the loop as an event.

use weir_domain::Duty;
use weir_domain::effect::Effect;
use weir_domain::event::Event;
use weir_domain::ids::{Fence, RevisionId, StepId};
use weir_domain::run::Run;
use weir_domain::time::Span;
use weir_domain::units::Weight;

use crate::engine::{Engine, HandleError};
use crate::hand::Hand;
use crate::ports::{EffectError, SourceError};
use crate::retry::{Classified, Retry};
use crate::store::{Loaded, OutboxRow, StoreError};

/// Longest pause between two tries of an effect: a cluster that was away for an hour is found within this time.
const BACKOFF_LIMIT: Span = Span::seconds(60);

/// What the owner of an engine performs itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rights {
    /// Steps, people, statuses: stage-executor.
    Steps,
    /// Revisions and weights: metric-check.
    Traffic,
    /// Only weights that leave the candidate nothing: webhook-intake and approval-callback, for at most this time.
    BackOnly(Span),
}

/// Whether an effect is metric-check's.
pub fn performed_by_traffic(effect: &Effect) -> bool {
    effect.duty() == Duty::Traffic
}

impl Rights {
    /// Whether the effect of a run may be performed.
    pub fn may(self, run: &Run, effect: &Effect) -> bool {
        match self {
            Self::Steps => effect.duty() == Duty::Steps,
            Self::Traffic => performed_by_traffic(effect),
            Self::BackOnly(_) => {
                // Who only sends traffic back may write routes, and no Service or pod.
                let rule = effect.step().and_then(|step| run.rule(step));
                let by_route = rule.is_none_or(|rule| !rule.target.is_by_replicas());
                by_route
                    && matches!(effect, Effect::SetWeights { split, mirror: None, .. } if goes_back(split))
            }
        }
    }
}

/// Whether a split leaves everything to what served before: the first that it names, or the plain Service.
fn goes_back(split: &[(RevisionId, Weight)]) -> bool {
    match split {
        [] => true,
        [_only] => false,
        [_, others @ ..] => others.iter().all(|(_, weight)| *weight == Weight::ZERO),
    }
}

/// An effect failed, in whichever port.
pub(crate) enum Failed {
    Effect(EffectError),
    Source(SourceError),
    Store(StoreError),
}

impl Failed {
    fn retry(&self) -> Retry {
        match self {
            Self::Effect(error) => error.retry(),
            Self::Source(error) => error.retry(),
            Self::Store(error) => error.retry(),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Effect(error) => error.to_string(),
            Self::Source(error) => error.to_string(),
            Self::Store(error) => error.to_string(),
        }
    }
}

impl Engine {
    /// Performs what is in the outbox of a run and within the rights, until nothing new comes of it. `loaded` is what was
    /// stored a moment ago; what others add meanwhile, they hint at.
    pub(crate) async fn perform_outbox(&self, loaded: Loaded) -> Result<(), HandleError> {
        // On the heap: it holds all that is known of a run, and so would everybody who waits for it.
        let work = Box::pin(Hand::new(self, loaded).work());
        match self.rights {
            Rights::BackOnly(limit) => {
                let limit = std::time::Duration::from_millis(limit.0);
                // What does not finish in time is finished by those who look next.
                tokio::time::timeout(limit, work).await.unwrap_or(Ok(()))
            }
            _ => work.await,
        }
    }

    /// An effect was performed, or not; what is stored afterwards, as far as it is known.
    pub(crate) async fn performed(
        &self,
        loaded: Loaded,
        row: &OutboxRow,
        result: Result<Option<Event>, Failed>,
    ) -> Result<Loaded, HandleError> {
        let run = &loaded.state.run;
        match result {
            Ok(event) => self.settled(loaded, row, event).await,
            Err(failed) if failed.retry() == Retry::Never => {
                tracing::error!(run.id = %run.id, effect = row.effect.name(), why = failed.words(), "an effect was given up");
                let event = row.effect.step().map(|step| Event::EffectRefused {
                    step,
                    why: failed.words(),
                });
                self.settled(loaded, row, event).await
            }
            // Tried before its time, because somebody looked: its own hint is on its way, and one more with every look
            // would be a storm on a cluster that is away.
            Err(_) if row.attempts > 0 && row.due > self.ports.clock.now() => Ok(loaded),
            Err(failed) => {
                let pause = match failed.retry() {
                    Retry::After(pause) => pause,
                    _ => Span::seconds(1),
                };
                let pause = Span(pause.0 << row.attempts.min(6)).min(BACKOFF_LIMIT);
                let due = self.ports.clock.now() + pause;
                tracing::warn!(run.id = %run.id, effect = row.effect.name(), why = failed.words(), retry_ms = pause.0, "an effect will be tried again");
                self.ports.store.postpone(&row.key, due).await?;
                self.ports.queue.hint(&run.id, row.effect.duty(), due).await;
                Ok(loaded)
            }
        }
    }

    /// An effect is done with; what came of it is decided on first, so that a crash in between repeats it.
    async fn settled(
        &self,
        mut loaded: Loaded,
        row: &OutboxRow,
        event: Option<Event>,
    ) -> Result<Loaded, HandleError> {
        if let Some(event) = event {
            let run = row.key.run.clone();
            (loaded, _) = self.decide_until_stored(&run, &event, Some(loaded)).await?;
        }
        self.ports.store.settle(&row.key).await?;
        Ok(loaded)
    }

    /// Performs one effect; what came of it, if that is worth an event.
    pub(crate) async fn perform(&self, run: &Run, effect: &Effect) -> Result<Option<Event>, Failed> {
        match effect {
            Effect::ShowApproval { stage } => {
                let message = self
                    .ports
                    .people
                    .show_approval(run, *stage)
                    .await
                    .map_err(Failed::Effect)?;
                Ok(message.map(|message| Event::ApprovalShown {
                    stage: *stage,
                    message,
                }))
            }
            Effect::Page { step } => {
                self.ports.people.page(run, *step).await.map_err(Failed::Effect)?;
                Ok(None)
            }
            Effect::ReportStatus { state, description } => {
                let context = format!("weir/{}", run.pipeline.name);
                let report = self
                    .ports
                    .source
                    .report(&run.cause, &context, *state, description)
                    .await;
                report.map_err(Failed::Source)?;
                Ok(None)
            }
            Effect::Wake { run } => {
                let now = self.ports.clock.now();
                self.ports
                    .store
                    .wake(run, Duty::Steps, now)
                    .await
                    .map_err(Failed::Store)?;
                self.ports.queue.hint(run, Duty::Steps, now).await;
                Ok(None)
            }
            Effect::SetWeights { step, fence, .. } => {
                self.ports
                    .clusters
                    .perform(run, effect)
                    .await
                    .map_err(Failed::Effect)?;
                Ok(Some(Event::WeightsAccepted {
                    step: *step,
                    fence: *fence,
                    at: self.ports.clock.now(),
                }))
            }
            Effect::StartExecution { step } => {
                let series = self.collected_before(run, *step).await.map_err(Failed::Store)?;
                let started = match series {
                    Some(series) => self.ports.clusters.start(run, *step, &series).await,
                    None => self.ports.clusters.perform(run, effect).await,
                };
                started.map_err(Failed::Effect)?;
                Ok(None)
            }
            _ => {
                self.ports
                    .clusters
                    .perform(run, effect)
                    .await
                    .map_err(Failed::Effect)?;
                Ok(None)
            }
        }
    }
}

/// Whether what was decided later leaves nothing to perform: later weights, fewer replicas, or the end of the step. The fence on the
/// cluster would drop older weights too; this saves the call, and the moment between the two.
pub(crate) fn overtaken(run: &Run, effect: &Effect) -> bool {
    match effect {
        Effect::SetWeights { step, fence, .. } => last_change(run, *step).is_some_and(|last| last > *fence),
        // Growth that was decided before traffic went back would hold GPUs that stable is to have again.
        Effect::EnsureRevision {
            step,
            revision,
            replicas,
            ..
        } => run.rollout(*step).is_some_and(|rollout| {
            rollout.reverted_because.is_some()
                && rollout.candidate == *revision
                && rollout.candidate_asked < *replicas
        }),
        // Nobody would look at what begins now.
        Effect::StartExecution { step } => run.step_run(*step).is_some_and(|state| state.status.is_over()),
        _ => false,
    }
}

fn last_change(run: &Run, step: StepId) -> Option<Fence> {
    let changes = match (run.rollout(step), run.experiment(step)) {
        (Some(rollout), _) => &rollout.changes,
        (None, experiment) => &experiment?.changes,
    };
    changes.last().map(|change| change.fence)
}
