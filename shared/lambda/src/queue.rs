//! Batches and the sweep.

use std::future::Future;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use weir_app::{Classified, HandleError, Ports, Retry, StoreError};
use weir_aws::queue::{Message, Parking, work};
use weir_domain::ids::RunId;
use weir_domain::time::Span;

/// What is left of an invocation for the answer, after looks that took too long were broken off.
const ANSWER: Duration = Duration::from_secs(2);

/// The sweep leaves what is due since less than this to the hint that is on its way.
const GRACE: Span = Span::seconds(5);

/// Runs that one sweep brings back; more come with the next, a minute later.
const SWEEP_LIMIT: usize = 2_000;

/// What the schedule of the sweep sends.
pub const SWEEP_EVENT: &str = r#"{"weir":"sweep"}"#;

/// A look failed.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error("the run could not be looked at")]
    Handle(#[from] HandleError),
    #[error("the look took longer than the function may")]
    Late,
}

impl Classified for LookError {
    fn retry(&self) -> Retry {
        match self {
            Self::Handle(error) => error.retry(),
            Self::Late => Retry::Now,
        }
    }
}

/// Answers an event of a queue, or sweeps if a schedule asks for it. `left` is the time that the invocation has.
///
/// # Errors
/// The sweep's: Lambda tries it again.
pub(crate) async fn answer<F>(
    event: &Value,
    left: Duration,
    ports: &Ports,
    parking: &dyn Parking,
    look: &impl Fn(RunId) -> F,
) -> Result<Value, StoreError>
where
    F: Future<Output = Result<(), HandleError>>,
{
    if event.get("weir").and_then(Value::as_str) == Some("sweep") {
        return sweep(ports).await;
    }
    let limit = left.saturating_sub(ANSWER);
    let looks = |message: Message| async move {
        match timeout(limit, look(message.run)).await {
            Ok(looked) => Ok(looked?),
            Err(_) => Err(LookError::Late),
        }
    };
    let response = work(event, parking, looks).await;
    Ok(serde_json::to_value(response).expect("texts can be written"))
}

/// Gives the hints again that are overdue: those that were lost, or never given.
async fn sweep(ports: &Ports) -> Result<Value, StoreError> {
    let now = ports.clock.now();
    let due = ports.store.due(now - GRACE, SWEEP_LIMIT).await?;
    for lookout in &due {
        ports.queue.hint(&lookout.run, lookout.duty, now).await;
    }
    let lag = due.first().map_or(0, |first| now.since(first.at).0);
    tracing::info!(swept = due.len(), lag_ms = lag, "swept");
    Ok(json!({ "swept": due.len(), "lag_ms": lag }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sweeps_event_is_what_is_looked_for() {
        let event: Value = serde_json::from_str(SWEEP_EVENT).unwrap();
        assert_eq!(event.get("weir").and_then(Value::as_str), Some("sweep"));
    }
}
