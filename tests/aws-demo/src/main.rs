//! `make demo-aws`: three pushes go through the functions' own programs, on a local AWS that is made from the template, a
//! real control plane and live traffic.
//!
//! ```text
//! signed push, Slack taps ─▶ function URLs ─▶ programs ─▶ DynamoDB Local, ElasticMQ, schedules
//!                                                │ EKS says where, a token of the role says who
//!                                                ▼
//!           users ─▶ gateway ─▶ pods ◀── API server of a real control plane ◀─▶ aws-iam-authenticator's verifier
//! ```
//! It ends with 0 only if the states read back from the table and what the cluster shows agree. The end must be the same
//! with `--kill N`, which kills N functions in the middle of what they do, and with `--faults`, by which AWS and the API server
//! do their worst. `--cuts N` kills a function between the commit of a revert and its patch, N times, of which `--kill` does one.
//! Beside the pushes the article's A/B test goes on, whose numbers come from Datadog. `--long` rolls out 20 steps instead and says what that costs, `--programs FOLDER` with programs from there.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it prints, measures, and reads its environment"
)]

mod acts;
mod args;
mod cut;
mod datadog;
mod experiment;
mod kills;
mod long;
mod price;
mod report;
mod rights;
mod stage;
mod weather;

use std::process::ExitCode;
use std::sync::Arc;

use acts::{Act, RUN_LIMIT};
use anyhow::{Context, Result};
use args::Args;
use cut::{Cut, Took};
use kills::Kills;
use stage::{Places, Stage};
use weir_demo::model;

#[tokio::main]
async fn main() -> ExitCode {
    match demonstrate().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("demo-aws: it could not go on: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demonstrate() -> Result<bool> {
    let args = Args::read(std::env::args().skip(1))?;
    let places = Places::of_this_build(args.programs.clone())?;
    let mut stage = Stage::start(&places, &args).await?;
    let told = match args.long {
        true => long::measure(&mut stage).await,
        false => tell(&mut stage, &args).await,
    };
    stage.stop().await?;
    told
}

/// Functions that are killed during one push, at most: more would leave it no time to do anything.
const KILLS_A_PUSH: u32 = 60;

/// The API server is away during one promotion of so many.
const AWAY_EVERY: usize = 5;

/// What was told.
pub(crate) struct Told {
    first: Act,
    /// Good models that were promoted, and bad ones that were sent back.
    goods: Vec<Act>,
    bads: Vec<Act>,
    killed: u32,
    /// The experiment beside it, once it has ended.
    experiment: Option<experiment::Came>,
    /// From the death of a function that stored a revert until traffic was back.
    back: Took,
}

/// Tells the story, again until enough were killed and cut short; whether it went as it must.
async fn tell(stage: &mut Stage, args: &Args) -> Result<bool> {
    // It waits most of its four minutes.
    let beside = experiment::start(stage).await?;
    let first = acts::push(stage, "first", "The first model", &model::good(), RUN_LIMIT).await?;
    stage.open().await?;
    let mut told = Told {
        first,
        goods: Vec::new(),
        bads: Vec::new(),
        killed: 0,
        back: Took::default(),
        experiment: None,
    };
    while told.goods.is_empty() || told.killed < args.kills {
        let left = args.kills.saturating_sub(told.killed);
        // Half of them while a good model is promoted, the rest while a bad one is sent back.
        good(stage, args, &mut told, left - left / 2).await?;
        bad(stage, &mut told, left / 2).await?;
        println!("   functions killed so far: {}", told.killed);
    }
    told.experiment = Some(experiment::ended(stage, &beside).await?);
    if args.cuts > 0 {
        cut::lengthen_the_step(stage)?;
    }
    while told.back.count() < args.cuts {
        crash(stage, &mut told).await?;
    }
    report::report(stage, &mut told, args).await
}

/// A better model is promoted, while functions are killed and the API server is away for a while.
async fn good(stage: &mut Stage, args: &Args, told: &mut Told, kills: u32) -> Result<()> {
    let killing = Kills::start(Arc::clone(&stage.stack), KILLS_A_PUSH.min(kills));
    let is_away = told.goods.len().is_multiple_of(AWAY_EVERY);
    let away = is_away.then(|| stage.weather().away_in_between(args.away));
    let good = acts::push(stage, "good", "A better model", &model::good(), RUN_LIMIT).await?;
    if let Some(away) = away {
        away.abort();
    }
    told.killed += killing.ended().await;
    told.goods.push(good);
    Ok(())
}

/// A bad model is sent back, while functions are killed.
async fn bad(stage: &mut Stage, told: &mut Told, kills: u32) -> Result<()> {
    let killing = Kills::start(Arc::clone(&stage.stack), KILLS_A_PUSH.min(kills));
    let model = model::errs_under_load();
    let bad = acts::push(stage, "bad", "A model that errs under load", &model, RUN_LIMIT).await?;
    told.killed += killing.ended().await;
    stage.settle().await?;
    told.bads.push(bad);
    Ok(())
}

/// A bad model is sent back, and whoever stores that does not live to do it. Nothing else goes wrong meanwhile.
async fn crash(stage: &mut Stage, told: &mut Told) -> Result<()> {
    stage.weather().calm(true);
    let cut = Cut::set(stage);
    let model = model::crashes_after(cut::REQUESTS);
    let bad = acts::push(
        stage,
        "crash",
        "A model that crashes while serving",
        &model,
        RUN_LIMIT,
    )
    .await?;
    let took = cut.took().await?;
    told.back
        .note(took.context("no function was killed between the commit of a revert and its patch")?);
    told.killed += 1;
    stage.settle().await?;
    told.bads.push(bad);
    Ok(())
}
