//! The life of one process: bind, load, warm up, serve, drain; or crash.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::model::Model;
use crate::plan::{Ask, plan};
use crate::pod::{Crash, Phase, Pod, Ticket};
use crate::random::Random;
use crate::serve::answer;

/// Connections at once; more wait in the backlog of the socket.
const CONNECTIONS_MAX: usize = 4096;
/// How long idle connections get to close when the drain is over.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// Pause after a failed accept, which mostly means that no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The warm-up generates with numbers from the far end, which no request reaches.
const WARM_UP_NUMBERS: u64 = 1 << 63;

/// Why a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Asked to stop, and nothing was in flight any more.
    Drained,
    /// Asked to stop twice: whatever was in flight is cut.
    Stopped,
    /// As the model says, for this reason: whatever was in flight is cut.
    Crashed(Crash),
}

/// A simulated pod, bound to its address and not yet running.
pub struct Simulator {
    listener: TcpListener,
    pod: Arc<Pod>,
}

/// Asks a running simulator to stop.
#[derive(Clone)]
pub struct Control(Arc<Pod>);

impl Control {
    /// The first call starts the drain, the second one ends the process at once.
    pub fn stop(&self) {
        self.0.stops.send_modify(|stops| *stops += 1);
    }
}

impl Simulator {
    /// Binds the pod's own address. The model starts to load with [`Simulator::run`].
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: SocketAddr, model: Model) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            listener,
            pod: Arc::new(Pod::new(model)),
        })
    }

    /// The bound address; its port is never 0.
    ///
    /// # Errors
    /// When the system does not know the socket any more.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// A handle that stops this simulator.
    #[must_use]
    pub fn control(&self) -> Control {
        Control(self.pod.clone())
    }

    /// Lives until it is stopped or crashes. When it returns, every connection is closed or about to be.
    pub async fn run(self) -> End {
        let Self { listener, pod } = self;
        let (closing, closed) = watch::channel(false);
        // A crash comes first: it wins over a drain that ends in the same moment.
        tokio::select! {
            biased;
            crash = pod.crashed() => End::Crashed(crash),
            () = stopped(&pod, 2) => End::Stopped,
            () = serve(listener, &pod, closed) => End::Drained,
            () = drain(&pod, &closing) => unreachable!("the drain waits for the connections"),
            () = grow(&pod) => unreachable!("a process that serves goes on until it is stopped"),
        }
    }
}

async fn stopped(pod: &Pod, times: u32) {
    let mut stops = pod.stops.subscribe();
    stops
        .wait_for(|asked| *asked >= times)
        .await
        .expect("the pod holds the sender");
}

/// Loads, warms up, serves, and crashes at the time that the model names.
async fn grow(pod: &Arc<Pod>) {
    eprintln!(
        "loading {} {} for {:.1} s",
        pod.model.name, pod.model.version, pod.model.load_seconds
    );
    sleep(Duration::from_secs_f64(pod.model.load_seconds)).await;
    for done in 0..pod.model.warm_up_generations {
        pod.phase.send_replace(Phase::Warming { done });
        warm_up(pod, done).await;
    }
    pod.phase.send_replace(Phase::Serving);
    eprintln!("ready after {:.1} s", pod.age().as_secs_f64());
    if let Some(seconds) = pod.model.crash_after_seconds_serving {
        sleep(Duration::from_secs_f64(seconds)).await;
        pod.crash(Crash::fault(format!("after {seconds} s of serving")));
    }
    std::future::pending::<()>().await;
}

/// One generation for nobody: it takes the time of a real one and shows as running, and counts nowhere else.
async fn warm_up(pod: &Arc<Pod>, turn: u32) {
    let mut random = Random::for_request(pod.model.seed, WARM_UP_NUMBERS + u64::from(turn));
    let ask = Ask {
        stream: false,
        prompt_tokens: 1,
        min_tokens: None,
        max_tokens: None,
    };
    let course = plan(&pod.model, ask, 0.0, &mut random);
    let mut ticket = Ticket::new(pod.clone());
    if ticket.start().await.is_ok() {
        sleep(course.first_token).await;
    }
    ticket.fail();
}

/// After the first request to stop, waits until the pod is quiet and then has the connections closed.
async fn drain(pod: &Pod, closing: &watch::Sender<bool>) {
    stopped(pod, 1).await;
    eprintln!("draining {} requests", {
        let now = pod.gauges();
        now.running + now.waiting
    });
    pod.quiet_for(Duration::from_millis(pod.model.drain_quiet_ms))
        .await;
    closing.send_replace(true);
    std::future::pending::<()>().await;
}

/// Waits until the drain is over, or for ever when nobody is left to say so: then the process ends anyway.
async fn set(mut closed: watch::Receiver<bool>) {
    if closed.wait_for(|closed| *closed).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Accepts until the pod is drained. New connections are welcome during the drain: a proxy that has not yet
/// heard of the removal still sends requests.
async fn serve(listener: TcpListener, pod: &Arc<Pod>, closed: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = set(closed.clone()) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => { connections.spawn(connection(stream, pod.clone(), closed.clone())); }
                Err(error) => {
                    eprintln!("could not accept a connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    let rest = async { while connections.join_next().await.is_some() {} };
    if timeout(CLOSE_LIMIT, rest).await.is_err() {
        eprintln!(
            "connections were still open {} s after the drain",
            CLOSE_LIMIT.as_secs()
        );
    }
}

async fn connection(stream: TcpStream, pod: Arc<Pod>, closed: watch::Receiver<bool>) {
    // Tokens are small writes: without this each one waits for the acknowledgement of the one before.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| answer(pod.clone(), request));
    // An idle connection is never closed from here: a proxy would lose the request it sends at that moment.
    let served = http1::Builder::new()
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    // A failed connection is the business of the client, which counts it.
    tokio::select! {
        _ = served.as_mut() => return,
        () = set(closed) => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = served.await;
}
