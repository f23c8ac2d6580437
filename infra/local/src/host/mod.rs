//! `weir up`: one process that is the four functions, their queue and their timers.

mod counter;
mod folder;
mod http;
mod names;
mod ports;
mod secrets;
mod silent;
mod socket;
mod sources;
mod start;

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use weir_app::{Clock, Ports, SystemClock, with_causes};

use crate::cli::{Exit, Failure, Format, Output, Up};
use crate::dispatch::{Look, sweep, work};
use crate::queue::LocalQueue;
use crate::store::SqliteStore;
use folder::StateFolder;
use secrets::Secrets;

/// Runs the host until it is told to stop.
///
/// # Errors
/// It could not start: an argument or a variable cannot be used, the folder or the address is taken.
pub async fn up(
    args: &Up,
    variable: &dyn Fn(&str) -> Option<String>,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let secrets = Secrets::read(variable).map_err(Failure::new)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let servers = sources::servers(&args.sources, variable, &clock).map_err(Failure::new)?;
    let folder = StateFolder::open(&args.state).map_err(|error| Failure::new(with_causes(&error)))?;
    let database = folder
        .database()
        .map_err(|error| Failure::new(with_causes(&error)))?;
    let store = SqliteStore::open(&database).map_err(|error| Failure::new(with_causes(&error)))?;
    let (store, queue) = (Arc::new(store), Arc::new(LocalQueue::default()));
    let ports = ports::ports(args, &secrets, servers, store.clone(), queue.clone())?;
    let (listener, address) = http::listen(args.listen).await.map_err(Failure::new)?;
    let path = folder
        .socket()
        .map_err(|error| Failure::new(with_causes(&error)))?;
    let socket = socket::listen(&path, args.socket_mode).map_err(Failure::new)?;
    let counter = Arc::new(counter::Counter {
        engine: weir_webhook_intake::engine(ports.clone()),
        store,
        starts: ports::starts(args),
    });
    let routes = http::routes(
        ports::github(args, &secrets, &ports),
        ports::slack(args, &secrets, &ports)?,
        &ports::alarms(&secrets, &ports),
    );

    let (stop, stopping) = watch::channel(false);
    let mut parts = JoinSet::new();
    parts.spawn(http::serve(listener, routes, stopping.clone()));
    parts.spawn(socket::serve(socket, counter, stopping.clone()));
    start_workers(&mut parts, &queue, &ports, &stopping);

    announce(args, &secrets, &format!("http://{address}"), &path, out);
    stop_asked().await?;
    tracing::info!("told to stop: looks are finished, runs go on at the next start");
    stop.send_replace(true);
    while let Some(end) = parts.join_next().await {
        if let Err(error) = end {
            tracing::error!(why = %error, "a part of the host ended badly");
        }
    }
    // A command that comes now is told that no host runs, not that it hung up.
    let _ = folder.socket();
    Ok(Exit::Answered)
}

fn start_workers(
    parts: &mut JoinSet<()>,
    queue: &Arc<LocalQueue>,
    ports: &Ports,
    stopping: &watch::Receiver<bool>,
) {
    let steps = Arc::new(weir_stage_executor::engine(ports.clone()));
    let steps: Look = Arc::new(move |run| {
        let engine = steps.clone();
        Box::pin(async move { weir_stage_executor::handle(&engine, &run).await })
    });
    let traffic = Arc::new(weir_metric_check::engine(ports.clone()));
    let traffic: Look = Arc::new(move |run| {
        let engine = traffic.clone();
        Box::pin(async move { weir_metric_check::handle(&engine, &run).await })
    });
    let duties = [
        (weir_stage_executor::DUTY, steps),
        (weir_metric_check::DUTY, traffic),
    ];
    for (duty, look) in duties {
        let (queue, clock) = (queue.clone(), Arc::new(SystemClock));
        parts.spawn(work(queue, duty, look, clock, stopping.clone()));
    }
    let (queue, clock) = (queue.clone(), Arc::new(SystemClock));
    parts.spawn(sweep(queue, ports.store.clone(), clock, stopping.clone()));
}

/// One line that says where the host is and what it was given; secrets by name alone.
fn announce(args: &Up, secrets: &Secrets, address: &str, socket: &Path, out: &mut Output) {
    if out.format == Format::Json {
        out.json(&json!({ "listen": address, "socket": socket, "secrets": secrets.names() }));
        return;
    }
    let secrets = match secrets.names() {
        names if names.is_empty() => "no secrets are set, so webhooks are refused".to_owned(),
        names => format!("secrets: {}", names.join(", ")),
    };
    out.text(&format!(
        "weir is up on {address}  state {}  kubeconfig {}  {secrets}",
        args.state.display(),
        args.kubeconfig.display()
    ));
}

/// Ends when the host is told to stop, or nobody is left who could tell.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Waits for SIGTERM or SIGINT.
async fn stop_asked() -> Result<(), Failure> {
    let wait =
        |kind| signal(kind).map_err(|error| Failure::new(format!("signals cannot be waited for: {error}")));
    let (mut term, mut int) = (wait(SignalKind::terminate())?, wait(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}
