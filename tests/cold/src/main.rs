//! `make bench-cold`: how long each function takes from its start to its first request for an event, and for its first
//! event, beside floors that are measured in turn with it.
//!
//! ```text
//!   bench-cold ─ starts ─▶ program ─▶ AWS (canned) … ─▶ GET …/invocation/next   ◀─ ready
//!                                  ◀─ event ──────────▶ POST …/response        ◀─ first invocation
//! ```
//! The programs are those of `make package`; what they ask of AWS is answered from memory on the loopback, over plain HTTP
//! and, apart, over TLS. So a figure is what the program itself costs, not what Lambda adds or what a network takes.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures, prints, and reads its environment"
)]

mod http;
mod measure;
mod runtime;
mod services;
mod table;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use measure::{Aws, Program, Sample};

/// Starts of each program.
const RUNS: usize = 200;

/// What hint a queue brings: a run that does not exist, so that the look is one read of the table.
const HINT: &str = r#"{"Records":[{"messageId":"m","eventSource":"aws:sqs","body":"{\"schema\":1,\"run\":\"run-1\",\"duty\":\"traffic\",\"due\":1}","attributes":{}}]}"#;

/// What comes to a door: a request that nobody signed.
const REQUEST: &str = r#"{"version":"2.0","rawPath":"/","rawQueryString":"","headers":{},"requestContext":{"http":{"method":"POST","path":"/"}},"body":"e30=","isBase64Encoded":true}"#;

/// Name, file, event, and what a floor is told to do beside making clients.
const PROGRAMS: [(&str, &str, &str, Option<&str>); 8] = [
    ("floor: hello world", "floor-hello", REQUEST, None),
    ("floor: the same clients", "floor-clients", REQUEST, None),
    ("floor: clients and calls", "floor-clients", REQUEST, Some("aws")),
    (
        "floor: and a cluster's",
        "floor-clients",
        REQUEST,
        Some("cluster"),
    ),
    ("webhook-intake", "webhook-intake", REQUEST, None),
    ("approval-callback", "approval-callback", REQUEST, None),
    ("stage-executor", "stage-executor", HINT, None),
    ("metric-check", "metric-check", HINT, None),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .map(PathBuf::from)
        .context("usage: bench-cold FOLDER-OF-PROGRAMS [RUNS]")?;
    let runs = match arguments.next() {
        Some(runs) => runs.parse().context("RUNS is a number")?,
        None => RUNS,
    };
    let services = services::serve().await?;
    let authority = &services.authority;
    let plain = Aws {
        url: &services.plain,
        authority,
    };
    let tls = Aws {
        url: &services.tls,
        authority,
    };
    let mut programs = Vec::new();
    for (name, file, event, calls) in PROGRAMS {
        let file = folder.join(file);
        ensure!(
            file.exists(),
            "{} is not built: run `make package`",
            file.display()
        );
        let bytes = std::fs::metadata(&file)?.len();
        programs.push((name, bytes, Program::new(&file, event, calls)));
    }
    let mut samples: Vec<[Vec<Sample>; 2]> = vec![Default::default(); programs.len()];
    // In turn, so that whatever else this machine does meets all of them.
    for _ in 0..runs {
        for ((.., program), [without, with]) in programs.iter().zip(&mut samples) {
            without.push(program.start(&plain).await?);
            with.push(program.start(&tls).await?);
        }
    }
    table::print(&programs, &samples);
    Ok(())
}
