//! Live load on a gateway of this machine; every failed and every cut request is counted.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use weir_simulator::load::{Book, Options, OptionsError, Range, Stats, Target, drive, parse_duration};

#[derive(Parser)]
#[command(
    version,
    about = "Starts requests on schedule and counts every failed or cut one"
)]
struct Args {
    /// Where to send: http:// and a loopback address
    #[arg(long)]
    target: Target,
    /// Host header, by which the gateway routes
    #[arg(long)]
    host: Option<String>,
    /// Path of the requests
    #[arg(long, default_value = "/v1/completions")]
    path: String,
    /// Requests a second
    #[arg(long, default_value_t = 50.0)]
    rps: f64,
    /// Share of requests that ask for a stream
    #[arg(long, default_value_t = 0.3)]
    streams: f64,
    /// How long streams last
    #[arg(long, default_value = "2..5")]
    stream_seconds: Range,
    /// Pace of the model's streams: a stream asks for so many tokens per second it shall last
    #[arg(long, default_value_t = 20.0)]
    tokens_per_second: f64,
    /// Stops by itself after this, and on SIGTERM or SIGINT
    #[arg(long, default_value = "30m", value_parser = parse_duration)]
    duration: Duration,
    /// Stops also when its standard input is closed: when whoever started it is gone
    #[arg(long)]
    stop_on_stdin_close: bool,
    /// Time between two report lines
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    report_every: Duration,
    /// Longest wait for an answer to begin, and for each next piece of it
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    silence_limit: Duration,
    /// Decides which requests are streams
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Serves GET /totals and POST /mark?name=NAME on this loopback address
    #[arg(long)]
    stats_listen: Option<SocketAddr>,
}

/// Longest load: a driver that somebody forgot ends by itself.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// Longest load of one that ends with whoever started it, such as a soak.
const LONGEST_HELD: Duration = Duration::from_secs(6 * 60 * 60);

impl Args {
    fn options(self) -> Result<Options, OptionsError> {
        let options = Options {
            host: self.host,
            path: self.path,
            rps: self.rps,
            streams: self.streams,
            stream_seconds: self.stream_seconds,
            tokens_per_second: self.tokens_per_second,
            duration: self.duration,
            report_every: self.report_every,
            silence_limit: self.silence_limit,
            seed: self.seed,
            ..Options::new(self.target)
        };
        let (longest, expected) = match self.stop_on_stdin_close {
            true => (LONGEST_HELD, "at most 360m"),
            false => (LONGEST, "at most 30m, or 360m with --stop-on-stdin-close"),
        };
        if options.duration > longest {
            return Err(OptionsError::Number {
                key: "duration in minutes",
                found: options.duration.as_secs_f64() / 60.0,
                expected,
            });
        }
        options.check()?;
        Ok(options)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let (stats_listen, watch_stdin, target) =
        (args.stats_listen, args.stop_on_stdin_close, args.target.address());
    let options = args.options()?;
    let book = Arc::new(Book::default());
    let stats = match stats_listen {
        Some(address) => {
            let bound = Stats::bind(address, book.clone()).await;
            Some(bound.with_context(|| format!("could not serve statistics on {address}"))?)
        }
        None => None,
    };
    let address = stats
        .as_ref()
        .map(Stats::address)
        .transpose()?
        .map(|address| format!("http://{address}"));
    // Before the first line, which tells a reader that signals are heeded.
    let stop = stop(watch_stdin)?;
    print(&json!({"target": format!("http://{target}"), "stats": address}));
    if let Some(stats) = stats {
        tokio::spawn(stats.run());
    }
    drive(options, book, stop, print).await?;
    // Not a return: the thread that reads the standard input cannot be woken.
    std::process::exit(0)
}

/// One JSON line. A reader that is gone stops the report, not the load.
fn print(line: &Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Resolves on SIGTERM, SIGINT, or the end of the standard input when that is watched.
fn stop(watch_stdin: bool) -> Result<impl Future<Output = ()>> {
    let mut term = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("could not listen for SIGINT")?;
    let (closed, stdin_closed) = oneshot::channel();
    // Without a reader the sender is kept: dropped, it would read as an end.
    let kept = if watch_stdin {
        std::thread::spawn(move || {
            let mut ignored = [0; 1024];
            while std::io::stdin().read(&mut ignored).is_ok_and(|bytes| bytes > 0) {}
            let _ = closed.send(());
        });
        None
    } else {
        Some(closed)
    };
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
            _ = stdin_closed => {}
        }
        drop(kept);
    })
}
