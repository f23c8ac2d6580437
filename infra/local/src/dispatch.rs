//! Workers that take runs from the queue and look at them, and the sweep that keeps the queue true to the store.
//!
//! A look that fails, panics or takes too long is logged and tried again after a rest; it takes no other with it. The
//! sweep brings back what a crash took from the queue: it reads the store at the start and every two seconds.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use weir_app::{Clock, HandleError, Store, with_causes};
use weir_domain::Duty;
use weir_domain::ids::RunId;
use weir_domain::time::{Span, Timestamp};

use crate::queue::{Line, LocalQueue};

/// Looks at once, per duty. They wait for clusters most of the time.
const WORKERS: usize = 16;
/// Looks at steps at once while somebody waits for a look at traffic: when hundreds of canaries breach in the same second,
/// nobody's route waits for the page about another.
const STEPS_BESIDE: usize = 2;

/// A look that takes longer is broken off, as a function would be; what it had decided is stored.
const STEPS_LIMIT: Duration = Duration::from_secs(60);
/// Traffic's looks are short: nothing slow has a place in its line.
const TRAFFIC_LIMIT: Duration = Duration::from_secs(30);

/// Time after which steps ask again whether traffic still waits, if none of their looks ends meanwhile.
const BESIDE_NAP: Duration = Duration::from_millis(100);

/// Longest sleep: the clock may be set, and nobody rings for that.
const NAP: Duration = Duration::from_secs(1);

/// Time between two sweeps.
const SWEEP: Duration = Duration::from_secs(2);
/// The sweep leaves what is due since less than this to the hint that is on its way.
const GRACE: Span = Span::seconds(1);
/// Runs that one sweep brings back. More come with the next ones.
const SWEEP_LIMIT: usize = 10_000;

/// How long looks may go on after the host was told to stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// What came of a look.
pub type Looked = Pin<Box<dyn Future<Output = Result<(), HandleError>> + Send>>;

/// A function's handler: looks at a run.
pub type Look = Arc<dyn Fn(RunId) -> Looked + Send + Sync>;

/// Works through the line of a duty until told to stop.
pub async fn work(
    queue: Arc<LocalQueue>,
    duty: Duty,
    look: Look,
    clock: Arc<dyn Clock>,
    mut stop: watch::Receiver<bool>,
) {
    let mut worker = Worker {
        duty,
        look,
        clock,
        looks: JoinSet::new(),
        runs: HashMap::new(),
    };
    let line = queue.line(duty);
    while !*stop.borrow() {
        let nap = worker.start_due(&queue);
        tokio::select! {
            () = line.changed.notified() => {}
            Some(end) = worker.looks.join_next_with_id() => worker.ended(line, end),
            () = sleep(nap) => {}
            // An error means that nobody is left who could tell to stop: then it is time to.
            changed = stop.changed() => if changed.is_err() { break },
        }
    }
    let rest = async {
        while let Some(end) = worker.looks.join_next_with_id().await {
            worker.ended(line, end);
        }
    };
    // What is broken off here is looked at again after the next start.
    let _ = timeout(STOP_LIMIT, rest).await;
}

type Outcome = Result<Result<(), HandleError>, tokio::time::error::Elapsed>;

struct Worker {
    duty: Duty,
    look: Look,
    clock: Arc<dyn Clock>,
    looks: JoinSet<Outcome>,
    runs: HashMap<Id, RunId>,
}

impl Worker {
    /// Starts what is due, as far as there are hands; how long to sleep if nothing else happens.
    fn start_due(&mut self, queue: &LocalQueue) -> Duration {
        let limit = match self.duty {
            Duty::Steps => STEPS_LIMIT,
            Duty::Traffic => TRAFFIC_LIMIT,
        };
        let line = queue.line(self.duty);
        while self.looks.len() < WORKERS {
            let now = self.clock.now();
            let traffic_waits = || queue.line(Duty::Traffic).next().is_some_and(|at| at <= now);
            if self.duty == Duty::Steps && self.looks.len() >= STEPS_BESIDE && traffic_waits() {
                return BESIDE_NAP;
            }
            let Some(run) = line.take(now) else {
                let wait = line
                    .next()
                    .map_or(NAP, |at| Duration::from_millis(at.since(now).0));
                return wait.clamp(Duration::from_millis(1), NAP);
            };
            let task = self.looks.spawn(timeout(limit, (self.look)(run.clone())));
            self.runs.insert(task.id(), run);
        }
        NAP
    }

    fn ended(&mut self, line: &Line, end: Result<(Id, Outcome), JoinError>) {
        let (id, why) = match end {
            Ok((id, Ok(Ok(())))) => (id, None),
            Ok((id, Ok(Err(error)))) => (id, Some(with_causes(&error))),
            Ok((id, Err(_))) => (id, Some("it took too long and was broken off".to_owned())),
            Err(error) => (error.id(), Some(panic_words(error))),
        };
        let run = self
            .runs
            .remove(&id)
            .expect("a look is known from its start to its end");
        if let Some(why) = &why {
            tracing::error!(run.id = %run, duty = self.duty.as_str(), why, "a look failed and will be tried again");
        }
        line.ended(&run, why.is_none(), self.clock.now());
    }
}

fn panic_words(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "it was broken off".to_owned();
    };
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("it panicked: {}", text.unwrap_or_default())
}

/// Keeps the queue true to the store until told to stop.
pub async fn sweep(
    queue: Arc<LocalQueue>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    mut stop: watch::Receiver<bool>,
) {
    // The timers of the last process: everything that is due at any time.
    bring(&queue, &*store, Timestamp(i64::MAX)).await;
    while !*stop.borrow() {
        tokio::select! {
            () = sleep(SWEEP) => {}
            changed = stop.changed() => if changed.is_err() { return },
        }
        bring(&queue, &*store, clock.now() - GRACE).await;
    }
}

async fn bring(queue: &LocalQueue, store: &dyn Store, until: Timestamp) {
    match store.due(until, SWEEP_LIMIT).await {
        Ok(due) => due
            .into_iter()
            .for_each(|lookout| queue.line(lookout.duty).offer(&lookout.run, lookout.at)),
        Err(error) => tracing::error!(why = with_causes(&error), "the store could not say what is due"),
    }
}

#[cfg(test)]
mod tests;
