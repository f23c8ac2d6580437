//! The schedule: starts requests, reports, and ends in order.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout_at};

use crate::load::book::{Book, Failure, Outcome};
use crate::load::options::{Options, OptionsError};
use crate::load::request::Sender;

/// How long requests that are under way get to end after the load has stopped: the longest stream anybody asks
/// for in practice.
const FINISH_LIMIT: Duration = Duration::from_secs(30);

/// Drives one load until its duration is over or `stop` resolves; then waits up to 30 s for what is under way.
/// Calls `report` with a line every [`Options::report_every`], and with [`Book::closing_line`] at the end.
///
/// The schedule does not wait: a slow server gets the same requests a second as a fast one. A driver that itself
/// falls behind starts everything that is due at once.
///
/// # Errors
/// Before anything is sent, when the options are out of range.
pub async fn drive(
    options: Options,
    book: Arc<Book>,
    stop: impl Future<Output = ()>,
    mut report: impl FnMut(&Value),
) -> Result<(), OptionsError> {
    options.check()?;
    let begun = Instant::now();
    let end = begun + options.duration;
    let mut reports = interval_at(begun + options.report_every, options.report_every);
    reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut load = Load {
        sender: Sender::new(options.clone()),
        options,
        book,
        tasks: JoinSet::new(),
        number: 0,
    };
    tokio::pin!(stop);
    loop {
        let due = load.due(begun);
        // In this order: when requests are always due, the rest must still happen.
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = sleep_until(end) => break,
            _ = reports.tick() => report(&load.book.take_line()),
            Some(_) = load.tasks.join_next() => {}
            () = sleep_until(due) => load.start(),
        }
    }
    load.finish(&mut report, &mut reports).await;
    report(&load.book.closing_line());
    Ok(())
}

struct Load {
    options: Options,
    sender: Sender,
    book: Arc<Book>,
    tasks: JoinSet<()>,
    number: u64,
}

impl Load {
    fn due(&self, begun: Instant) -> Instant {
        begun + Duration::from_secs_f64(self.number as f64 / self.options.rps)
    }

    fn start(&mut self) {
        let number = self.number;
        self.number += 1;
        let full = self.book.in_flight() >= self.options.in_flight_max;
        self.book.send();
        if full {
            let what = format!("not sent: {} requests under way", self.options.in_flight_max);
            return self.book.record(&lost(what));
        }
        let (sender, book) = (self.sender.clone(), self.book.clone());
        self.tasks
            .spawn(async move { book.record(&sender.send(number).await) });
    }

    /// Waits for what is under way and counts the rest as failed.
    async fn finish(&mut self, report: &mut impl FnMut(&Value), reports: &mut tokio::time::Interval) {
        let limit = Instant::now() + FINISH_LIMIT;
        while !self.tasks.is_empty() {
            tokio::select! {
                _ = reports.tick() => report(&self.book.take_line()),
                ended = timeout_at(limit, self.tasks.join_next()) => if ended.is_err() { break },
            }
        }
        self.tasks.shutdown().await;
        let what = format!("no end {} s after the load stopped", FINISH_LIMIT.as_secs());
        (0..self.book.in_flight()).for_each(|_| self.book.record(&lost(what.clone())));
    }
}

fn lost(what: String) -> Outcome {
    Outcome {
        version: None,
        latency: None,
        result: Err(Failure::Failed(what)),
    }
}
