//! The trace that a piece of work belongs to, from the message that caused it to the messages that it causes.

use std::future::Future;

tokio::task_local! {
    static TRACE: Option<String>;
}

/// Does work that belongs to a trace: the hints it gives carry the header on.
pub async fn traced<F: Future>(header: Option<String>, work: F) -> F::Output {
    TRACE.scope(header, work).await
}

/// The header of the trace that the work under way belongs to, as `X-Amzn-Trace-Id` has it.
pub fn current() -> Option<String> {
    TRACE.try_with(Clone::clone).ok().flatten()
}
