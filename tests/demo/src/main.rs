//! `make demo`: a push becomes a verified rollout on a real control plane with live traffic, and a bad one comes back by
//! itself.
//!
//! ```text
//! tests/cluster (control plane, GPU nodes, gateway) ◀── weir up ◀── signed push, Slack taps, `weir approve`
//!        ▲                                               │
//!        └── users: 80 requests a second, streams        └─▶ timelines, audit, figures
//! ```
//! With `--kill N`, `weir up` is killed N times meanwhile and started again. With `CI=true` it ends by itself: 0 only if the states read back from the store and what the cluster shows agree.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it prints, measures, and reads its environment"
)]

mod acts;
mod host;
mod kills;
mod report;
mod stage;

use std::process::ExitCode;

use acts::Approval;
use anyhow::{Context, Result, bail};
use kills::Kills;
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
    let kills = kills()?;
    let mut stage = Stage::start(&Places::of_this_build()?).await?;
    let told = tell(&mut stage, kills).await;
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

/// How often the host is killed.
fn kills() -> Result<u32> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(0),
        ["--kill", times] => times
            .parse()
            .with_context(|| format!("--kill {times}: expected a number")),
        _ => bail!("{arguments:?}: expected nothing or --kill N"),
    }
}

/// Tells the story; how it went in a line, and whether it went as it must.
async fn tell(stage: &mut Stage, kills: u32) -> Result<(String, bool)> {
    acts::first_release(stage).await?;
    stage.open().await?;
    let killing = Kills::start(stage.host.clone(), kills);
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
    let killed = killing.ended().await?;
    if killed > 0 {
        println!("\nweir up was killed {killed} times, and started again");
    }
    report::report(stage, &good, &bad, &crashing).await
}
