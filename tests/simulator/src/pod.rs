//! State of one process: its phase, the requests in it, and what they have done to it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until};

use crate::metrics::{Finished, Gauges, Metrics};
use crate::model::Model;
use crate::rate::Rate;

/// Where a process is in its life. A crash is not a phase: nothing lives to see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Weights are being read.
    Loading,
    /// The server generates for itself.
    Warming { done: u32 },
    /// Ready.
    Serving,
}

/// Why a process ends at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// In words.
    pub reason: String,
    /// Exit status, as a shell reports the signal that a real server would have died of.
    pub status: i32,
}

impl Crash {
    /// A segmentation fault.
    pub(crate) fn fault(when: impl std::fmt::Display) -> Self {
        Self {
            reason: format!("segmentation fault {when}"),
            status: 139,
        }
    }

    /// The kernel's OOM killer.
    pub(crate) fn memory(when: impl std::fmt::Display) -> Self {
        Self {
            reason: format!("out of memory {when}"),
            status: 137,
        }
    }
}

/// Requests in the process.
#[derive(Debug, Clone, Copy)]
struct Busy {
    in_flight: u32,
    running: u32,
    idle_since: Instant,
}

/// Requests that arrived since the process was ready.
#[derive(Debug)]
struct Arrivals {
    rate: Rate,
    number: u64,
}

/// One process, shared by its connections.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) model: Model,
    pub(crate) metrics: Metrics,
    pub(crate) phase: watch::Sender<Phase>,
    /// How often the process was asked to stop.
    pub(crate) stops: watch::Sender<u32>,
    crash: watch::Sender<Option<Crash>>,
    busy: watch::Sender<Busy>,
    arrivals: Mutex<Arrivals>,
    /// Share of requests that fail in this process alone, whatever its model says.
    fault: watch::Sender<f64>,
    /// Whether it calls itself ready no more, or never will.
    unready: watch::Sender<bool>,
    places: Arc<Semaphore>,
    begun: Instant,
}

impl Pod {
    pub(crate) fn new(model: Model) -> Self {
        let busy = Busy {
            in_flight: 0,
            running: 0,
            idle_since: Instant::now(),
        };
        let places = usize::try_from(model.capacity_concurrent).expect("a checked model has at most 65536");
        let rate = Rate::new(model.load_window_seconds);
        Self {
            metrics: Metrics::new(&model.name, &model.version),
            phase: watch::Sender::new(Phase::Loading),
            stops: watch::Sender::new(0),
            crash: watch::Sender::new(None),
            busy: watch::Sender::new(busy),
            arrivals: Mutex::new(Arrivals { rate, number: 0 }),
            fault: watch::Sender::new(0.0),
            unready: watch::Sender::new(false),
            places: Arc::new(Semaphore::new(places)),
            begun: Instant::now(),
            model,
        }
    }

    pub(crate) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn draining(&self) -> bool {
        *self.stops.borrow() > 0
    }

    /// Counts a request that will be generated; returns its number, from 1, and the requests a second.
    /// Crashes the process when the model says that it does not survive this request.
    pub(crate) fn arrive(&self) -> (u64, f64) {
        let mut arrivals = self.arrivals.lock().expect("no code panics while it counts");
        arrivals.number += 1;
        let rps = arrivals.rate.arrive(self.age());
        let number = arrivals.number;
        drop(arrivals);
        if self.model.crash_after_requests == Some(number) {
            self.crash(Crash::fault(format!("in request {number}")));
        }
        if self.leaked(number) >= 1.0 {
            self.crash(Crash::memory(format!("in request {number}")));
        }
        (number, rps)
    }

    /// From now on this share of the requests fails here, as with a GPU that is bad.
    pub(crate) fn spoil(&self, ratio: f64) {
        self.fault.send_replace(ratio);
    }

    /// The share of requests that fails here, from 0 to 1.
    pub(crate) fn fault(&self) -> f64 {
        *self.fault.borrow()
    }

    /// From now on no probe is told that it is ready.
    pub(crate) fn unready(&self) {
        self.unready.send_replace(true);
    }

    /// Whether it was told not to be ready.
    pub(crate) fn is_unready(&self) -> bool {
        *self.unready.borrow()
    }

    /// Ends the process at once. Only the first reason counts.
    pub(crate) fn crash(&self, crash: Crash) {
        self.crash.send_if_modified(|found| {
            let first = found.is_none();
            found.get_or_insert(crash);
            first
        });
    }

    pub(crate) async fn crashed(&self) -> Crash {
        let mut crash = self.crash.subscribe();
        let found = crash
            .wait_for(Option::is_some)
            .await
            .expect("the pod holds the sender");
        found.clone().expect("it was waited for")
    }

    fn leaked(&self, requests: u64) -> f64 {
        self.model
            .leak
            .map_or(0.0, |leak| leak.kv_share_per_request * requests as f64)
    }

    pub(crate) fn gauges(&self) -> Gauges {
        let busy = *self.busy.borrow();
        let requests = self
            .arrivals
            .lock()
            .expect("no code panics while it counts")
            .number;
        let leaked = self.leaked(requests).min(1.0);
        let used = f64::from(busy.running) / f64::from(self.model.capacity_concurrent);
        let kv_cache_usage = leaked + (1.0 - leaked) * used;
        Gauges {
            running: busy.running,
            waiting: busy.in_flight - busy.running,
            kv_cache_usage,
        }
    }

    /// Waits until no request has been in the process for `quiet`, counted from now at the earliest.
    pub(crate) async fn quiet_for(&self, quiet: Duration) {
        let asked = Instant::now();
        let mut changes = self.busy.subscribe();
        loop {
            let busy = *changes.borrow_and_update();
            let until = busy.idle_since.max(asked) + quiet;
            tokio::select! {
                () = sleep_until(until), if busy.in_flight == 0 => return,
                changed = changes.changed() => changed.expect("the pod holds the sender"),
            }
        }
    }
}

/// No place left in the queue.
#[derive(Debug)]
pub(crate) struct QueueFull;

/// One request in the process, from its arrival until its last byte is written or it is given up.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) pod: Arc<Pod>,
    pub(crate) arrived: Instant,
    place: Option<OwnedSemaphorePermit>,
    settled: bool,
}

impl Ticket {
    pub(crate) fn new(pod: Arc<Pod>) -> Self {
        pod.busy.send_modify(|busy| busy.in_flight += 1);
        Self {
            pod,
            arrived: Instant::now(),
            place: None,
            settled: false,
        }
    }

    /// Waits for a place among the running generations.
    pub(crate) async fn start(&mut self) -> Result<(), QueueFull> {
        let places = self.pod.places.clone();
        let place = match places.clone().try_acquire_owned() {
            Ok(place) => place,
            // This request is itself among those that wait.
            Err(_) if self.pod.gauges().waiting > self.pod.model.queue_limit => return Err(QueueFull),
            Err(_) => places
                .acquire_owned()
                .await
                .expect("the semaphore is never closed"),
        };
        self.place = Some(place);
        self.pod.busy.send_modify(|busy| busy.running += 1);
        Ok(())
    }

    /// The generation is complete.
    pub(crate) fn finish(&mut self, reason: Finished) {
        self.settled = true;
        self.pod.metrics.counters().finish(reason);
    }

    /// The server itself failed the request, which vLLM does not count.
    pub(crate) fn fail(&mut self) {
        self.settled = true;
    }
}

impl Drop for Ticket {
    /// A generation that nobody settled was given up because its client went away.
    fn drop(&mut self) {
        let running = self.place.is_some();
        if running && !self.settled {
            self.pod.metrics.counters().finish(Finished::Abort);
        }
        self.pod.busy.send_modify(|busy| {
            busy.in_flight -= 1;
            busy.running -= u32::from(running);
            busy.idle_since = Instant::now();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Leak;

    fn pod(model: Model) -> Arc<Pod> {
        Arc::new(Pod::new(model))
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_freed_place_is_taken() {
        let pod = pod(Model {
            capacity_concurrent: 1,
            queue_limit: 1,
            ..Model::default()
        });
        let mut first = Ticket::new(pod.clone());
        first.start().await.unwrap();
        let mut second = Ticket::new(pod.clone());
        let waiting = tokio::spawn(async move { second.start().await.is_ok() });
        tokio::task::yield_now().await;
        let mut third = Ticket::new(pod.clone());
        assert!(third.start().await.is_err());
        drop(third);
        drop(first);
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn a_leak_fills_the_cache_and_then_crashes_the_process() {
        let leak = Some(Leak {
            kv_share_per_request: 0.25,
        });
        let pod = pod(Model {
            leak,
            ..Model::default()
        });
        for _ in 0..3 {
            pod.arrive();
        }
        assert!((pod.gauges().kv_cache_usage - 0.75).abs() < 1e-9);
        pod.arrive();
        assert_eq!(pod.crashed().await, Crash::memory("in request 4"));
    }

    #[tokio::test]
    async fn a_client_that_leaves_counts_as_abort_and_a_failure_does_not() {
        let pod = pod(Model::default());
        let mut gone = Ticket::new(pod.clone());
        gone.start().await.unwrap();
        drop(gone);
        let mut failed = Ticket::new(pod.clone());
        failed.start().await.unwrap();
        failed.fail();
        drop(failed);
        let page = pod.metrics.render(pod.gauges());
        assert!(page.contains("finished_reason=\"abort\"} 1\n"), "{page}");
    }
}
