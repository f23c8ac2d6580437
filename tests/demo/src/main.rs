//! `make demo`: a push becomes a verified rollout on a real control plane with live traffic, and a bad one comes back by
//! itself.
//!
//! ```text
//! tests/cluster (control plane, GPU nodes, gateway) ◀── weir up ◀── signed push, Slack taps, `weir approve`
//!        ▲                                               │
//!        └── users: 80 requests a second, streams        └─▶ timelines, audit, figures
//! ```
//! With `CI=true` it ends by itself: 0 only if the states read back from the store and what the cluster shows agree.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it prints, measures, and reads its environment"
)]

mod acts;
mod host;
mod report;
mod stage;

use std::process::ExitCode;

use acts::Approval;
use anyhow::Result;
use stage::{Places, Stage};
use weir_demo::model;

#[tokio::main]
async fn main() -> ExitCode {
    match demonstrate().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("demo: it could not go on: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demonstrate() -> Result<bool> {
    let mut stage = Stage::start(&Places::of_this_build()?).await?;
    let told = tell(&mut stage).await;
    if !std::env::var("CI").is_ok_and(|value| value == "true") {
        match &told {
            Ok((line, _)) => println!("\n{line}\n\n{}", stage.how_to_look_around()),
            Err(error) => println!("\n{error:#}\n\n{}", stage.how_to_look_around()),
        }
        tokio::signal::ctrl_c().await?;
    }
    stage.stop().await?;
    let (line, as_it_must) = told?;
    println!("{line}");
    Ok(as_it_must)
}

/// Tells the story; how it went in a line, and whether it went as it must.
async fn tell(stage: &mut Stage) -> Result<(String, bool)> {
    acts::first_release(stage).await?;
    stage.open().await?;
    let (good, bad, crashing) = (
        model::good(),
        model::errs_under_load(),
        model::crashes_while_serving(),
    );
    let good = acts::push(
        stage,
        "good",
        "A better model",
        &good,
        Approval::SlackAfterRefusal,
    )
    .await?;
    let bad = acts::push(
        stage,
        "bad",
        "A model that errs under load",
        &bad,
        Approval::Terminal,
    )
    .await?;
    let title = "A model that crashes while serving";
    let crashing = acts::push(stage, "crashing", title, &crashing, Approval::Slack).await?;
    stage.settle().await?;
    report::report(stage, &good, &bad, &crashing).await
}
