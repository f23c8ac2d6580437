//! In virtual time: the clock port follows tokio's, which stands still while somebody works.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;
use weir_app::{Commit, Queue, StoreError, memory::MemoryStore};
use weir_contracts::sample::{commit, first, run, run_id};

use super::*;

const START: Timestamp = weir_contracts::sample::START;

struct TestClock(tokio::time::Instant);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        START + Span(u64::try_from(self.0.elapsed().as_millis()).unwrap())
    }
}

/// Two workers over a handler, and what they did.
struct Host {
    queue: Arc<LocalQueue>,
    clock: Arc<TestClock>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Host {
    fn start(look: &Look) -> Self {
        let mut host = Self {
            queue: Arc::default(),
            clock: Arc::new(TestClock(tokio::time::Instant::now())),
            stop: watch::Sender::new(false),
            tasks: JoinSet::new(),
        };
        for duty in Duty::ALL {
            let (queue, look, clock) = (host.queue.clone(), look.clone(), host.clock.clone());
            host.tasks
                .spawn(work(queue, duty, look, clock, host.stop.subscribe()));
        }
        host
    }

    fn sweep(&mut self, store: Arc<dyn Store>) {
        let (queue, clock) = (self.queue.clone(), self.clock.clone());
        self.tasks
            .spawn(sweep(queue, store, clock, self.stop.subscribe()));
    }

    async fn hint(&self, run: &str, duty: Duty, after: Span) {
        self.queue
            .hint(&run_id(run), duty, self.clock.now() + after)
            .await;
    }

    async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Waits in virtual time.
async fn pass(span: Span) {
    sleep(Duration::from_millis(span.0)).await;
}

fn looking<F: Future<Output = Result<(), HandleError>> + Send + 'static>(
    look: impl Fn(RunId) -> F + Send + Sync + 'static,
) -> Look {
    Arc::new(move |run| Box::pin(look(run)))
}

/// Counts looks, and the most that were going on at once.
#[derive(Default)]
struct Count {
    looks: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Count {
    fn begin(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
    }

    fn end(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }

    fn looks(&self) -> usize {
        self.looks.load(Ordering::Relaxed)
    }
}

fn counting(count: &Arc<Count>, takes: Span) -> Look {
    let count = count.clone();
    looking(move |_| {
        let count = count.clone();
        async move {
            count.begin();
            pass(takes).await;
            count.end();
            Ok(())
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_look_comes_when_it_is_due_and_not_before() {
    let count = Arc::new(Count::default());
    let host = Host::start(&counting(&count, Span::ZERO));
    host.hint("a", Duty::Steps, Span::minutes(7)).await;
    pass(Span::seconds(419)).await;
    assert_eq!(count.looks(), 0);
    pass(Span::seconds(1) + Span::millis(5)).await;
    assert_eq!(count.looks(), 1);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_is_looked_at_once_at_a_time_and_again_if_somebody_asked_meanwhile() {
    let count = Arc::new(Count::default());
    let host = Host::start(&counting(&count, Span::seconds(1)));
    for ms in 0..50 {
        host.hint("a", Duty::Steps, Span::millis(ms)).await;
    }
    pass(Span::seconds(9)).await;
    assert_eq!(count.most.load(Ordering::Relaxed), 1);
    assert_eq!(count.looks(), 2);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn looks_at_once_are_bounded_and_all_are_done() {
    let count = Arc::new(Count::default());
    let host = Host::start(&counting(&count, Span::seconds(1)));
    for n in 0..100 {
        host.hint(&n.to_string(), Duty::Steps, Span::ZERO).await;
    }
    pass(Span::seconds(8)).await;
    assert_eq!(
        (count.looks(), count.most.load(Ordering::Relaxed)),
        (100, WORKERS)
    );
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn traffic_is_looked_at_while_every_hand_of_steps_is_full() {
    let (hold, seen) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
    let look = {
        let (hold, seen) = (hold.clone(), seen.clone());
        looking(move |run| {
            let (hold, seen) = (hold.clone(), seen.clone());
            async move {
                if run != run_id("revert") {
                    let _ = hold.acquire().await;
                }
                seen.lock().unwrap().push(run);
                Ok(())
            }
        })
    };
    let host = Host::start(&look);
    for n in 0..3 * WORKERS {
        host.hint(&n.to_string(), Duty::Steps, Span::ZERO).await;
    }
    pass(Span::seconds(1)).await;
    host.hint("revert", Duty::Traffic, Span::ZERO).await;
    pass(Span::millis(5)).await;
    assert_eq!(*seen.lock().unwrap(), [run_id("revert")]);
    hold.add_permits(999);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn steps_leave_the_machine_to_traffic_while_looks_at_it_wait() {
    let (steps, traffic) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let of_steps = counting(&steps, Span::seconds(1));
    let of_traffic = counting(&traffic, Span::seconds(1));
    let look: Look = Arc::new(move |run: RunId| match run.as_str().starts_with("run-step") {
        true => of_steps(run),
        false => of_traffic(run),
    });
    let host = Host::start(&look);
    for n in 0..4 * WORKERS {
        host.hint(&format!("step-{n}"), Duty::Steps, Span::ZERO).await;
        host.hint(&format!("traffic-{n}"), Duty::Traffic, Span::ZERO)
            .await;
    }
    pass(Span::millis(2_500)).await;
    assert_eq!(steps.most.load(Ordering::Relaxed), STEPS_BESIDE);
    assert!(steps.looks() > STEPS_BESIDE, "they do not stand still");
    pass(Span::seconds(10)).await;
    assert_eq!((steps.looks(), traffic.looks()), (4 * WORKERS, 4 * WORKERS));
    assert_eq!(steps.most.load(Ordering::Relaxed), WORKERS);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_look_that_panics_fails_or_hangs_is_tried_again_and_takes_nobody_with_it() {
    let tries: Arc<Mutex<HashMap<RunId, u32>>> = Arc::default();
    let look = {
        let tries = tries.clone();
        looking(move |run: RunId| {
            let tries = tries.clone();
            async move {
                let n = *tries
                    .lock()
                    .unwrap()
                    .entry(run.clone())
                    .and_modify(|n| *n += 1)
                    .or_insert(1);
                match (run.as_str(), n) {
                    ("run-panics", 1..=3) => panic!("a bug in {run}"),
                    ("run-hangs", 1) => std::future::pending().await,
                    ("run-fails", 1) => Err(StoreError::Conflict("run".into()).into()),
                    _ => Ok(()),
                }
            }
        })
    };
    let host = Host::start(&look);
    for name in ["panics", "hangs", "fails", "is-well"] {
        host.hint(name, Duty::Traffic, Span::ZERO).await;
    }
    pass(Span::minutes(5)).await;
    let tries = tries.lock().unwrap().clone();
    let counts = ["panics", "hangs", "fails", "is-well"].map(|name| tries[&run_id(name)]);
    assert_eq!(counts, [4, 2, 2, 1]);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn timers_of_the_last_process_are_kept() {
    let store = Arc::new(MemoryStore::default());
    for (name, seconds) in [("overdue", 0), ("soon", 30), ("late", 4_000)] {
        let at = Some(START + Span::seconds(seconds));
        let looks = [(Duty::Traffic, None), (Duty::Steps, at)];
        store.commit(Commit { looks, ..first(name) }).await.unwrap();
    }
    let seen: Arc<Mutex<Vec<(RunId, u64)>>> = Arc::default();
    let began = tokio::time::Instant::now();
    let look = {
        let (seen, store) = (seen.clone(), store.clone());
        looking(move |id: RunId| {
            let (seen, store) = (seen.clone(), store.clone());
            async move {
                seen.lock().unwrap().push((id.clone(), began.elapsed().as_secs()));
                let name = id.as_str().trim_start_matches("run-").to_owned();
                // Nothing is left to do: the commit says so.
                Ok(store
                    .commit(commit(run(&name, &format!("pipeline-{name}"), 1), 1))
                    .await?)
            }
        })
    };
    let mut host = Host::start(&look);
    host.sweep(store);
    pass(Span::hours(2)).await;
    let expected = [("overdue", 0), ("soon", 30), ("late", 4_000)].map(|(name, at)| (run_id(name), at));
    assert_eq!(*seen.lock().unwrap(), expected);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_due_and_was_never_hinted_at_is_found_within_seconds() {
    let store = Arc::new(MemoryStore::default());
    let count = Arc::new(Count::default());
    let mut host = Host::start(&counting(&count, Span::ZERO));
    host.sweep(store.clone());
    pass(Span::seconds(10)).await;
    store.commit(first("a")).await.unwrap();
    store
        .wake(&run_id("a"), Duty::Steps, host.clock.now())
        .await
        .unwrap();
    pass(Span::seconds(4)).await;
    assert!(count.looks() >= 1);
    host.stop().await;
}
