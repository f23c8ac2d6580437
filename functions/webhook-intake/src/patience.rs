//! Trying again until somebody who waits for the answer would stop waiting.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use weir_app::{Classified, Retry, with_causes};

/// The whole of reading and starting. GitHub waits 10 s and never delivers again by itself; the rest is for the way
/// there and back, and for a cold start.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// First pause between two tries; it doubles each time. A commit that GitHub announces may take a moment to be readable.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Why something was not had.
#[derive(Debug)]
pub(crate) enum Trouble<E> {
    /// It will fail again: the error says why.
    Lasting(E),
    /// It may come later, but not before the time was over; what the last try said.
    Late(String),
}

/// The time that is left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    until: Instant,
}

impl Patience {
    /// [`ANSWER_WITHIN`] from now.
    pub(crate) fn start() -> Self {
        Self {
            until: Instant::now() + ANSWER_WITHIN,
        }
    }

    /// Asks until there is an answer, an error that lasts, or no time left. An error that asks for more time than is
    /// left ends the asking at once.
    pub(crate) async fn ask<T, E, F>(&self, mut question: impl FnMut() -> F) -> Result<T, Trouble<E>>
    where
        E: Classified,
        F: Future<Output = Result<T, E>>,
    {
        let mut pause = FIRST_PAUSE;
        let mut said = "it did not answer in time".to_owned();
        loop {
            let Ok(answer) = timeout_at(self.until, question()).await else {
                return Err(Trouble::Late(said));
            };
            let error = match answer {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let wanted = match error.retry() {
                Retry::Never => return Err(Trouble::Lasting(error)),
                Retry::After(span) => Duration::from_millis(span.0),
                Retry::Now | Retry::Conflict => Duration::ZERO,
            };
            said = with_causes(&error);
            let next = Instant::now() + pause.max(wanted);
            if next >= self.until {
                return Err(Trouble::Late(said));
            }
            sleep_until(next).await;
            pause *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use weir_app::SourceError;
    use weir_domain::time::Span;

    use super::*;

    fn error(retry: Retry) -> SourceError {
        SourceError {
            operation: "read files",
            why: "no route".into(),
            retry,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_tried_again() {
        let tries = Cell::new(0);
        let patience = Patience::start();
        let answer = patience.ask(|| {
            tries.set(tries.get() + 1);
            let answer = if tries.get() < 4 {
                Err(error(Retry::Now))
            } else {
                Ok("files")
            };
            async move { answer }
        });
        assert_eq!(answer.await.unwrap(), "files");
    }

    #[tokio::test(start_paused = true)]
    async fn what_lasts_is_not() {
        let answer: Result<(), _> = Patience::start().ask(|| async { Err(error(Retry::Never)) }).await;
        assert!(matches!(answer, Err(Trouble::Lasting(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn no_answer_and_too_long_a_pause_end_within_the_time() {
        let begin = Instant::now();
        let answer: Result<(), Trouble<SourceError>> = Patience::start()
            .ask(std::future::pending::<Result<(), SourceError>>)
            .await;
        assert!(matches!(answer, Err(Trouble::Late(_))));
        assert_eq!(begin.elapsed(), ANSWER_WITHIN);

        let begin = Instant::now();
        let answer: Result<(), _> = Patience::start()
            .ask(|| async { Err(error(Retry::After(Span::seconds(60)))) })
            .await;
        assert!(matches!(answer, Err(Trouble::Late(said)) if said.contains("no route")));
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_stays_away_is_given_up_before_the_sender_stops_waiting() {
        let begin = Instant::now();
        let answer: Result<(), _> = Patience::start().ask(|| async { Err(error(Retry::Now)) }).await;
        assert!(matches!(answer, Err(Trouble::Late(_))));
        assert!(begin.elapsed() < ANSWER_WITHIN);
    }
}
