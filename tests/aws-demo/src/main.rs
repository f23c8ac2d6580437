//! `make demo-aws`: three pushes go through the functions' own programs, on a local AWS that is made from the template, a
//! real control plane and live traffic.
//!
//! ```text
//! signed push, Slack taps ─▶ function URLs ─▶ programs ─▶ DynamoDB Local, ElasticMQ, schedules
//!                                                │ EKS says where, a token of the role says who
//!                                                ▼
//!           users ─▶ gateway ─▶ pods ◀── API server of a real control plane ◀─▶ aws-iam-authenticator's verifier
//! ```
//! It ends with 0 only if the states read back from the table and what the cluster shows agree. `--kill N` kills N
//! functions in the middle of what they do; the end must be the same.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it prints, measures, and reads its environment"
)]

mod acts;
mod kills;
mod price;
mod report;
mod rights;
mod stage;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
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
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let kills: u32 = match arguments.as_slice() {
        [] => 0,
        [flag, count] if flag == "--kill" => count.parse().context("--kill takes a number")?,
        _ => anyhow::bail!("usage: weir-aws-demo [--kill N]"),
    };
    let mut stage = Stage::start(&Places::of_this_build()?, kills > 0).await?;
    let told = tell(&mut stage, kills).await;
    stage.stop().await?;
    told
}

/// Tells the story; whether it went as it must.
async fn tell(stage: &mut Stage, kills: u32) -> Result<bool> {
    let first = acts::push(stage, "first", "The first model", &model::good()).await?;
    stage.open().await?;
    // Half of them while a good model is promoted, the rest while a bad one is sent back.
    let killing = Kills::start(Arc::clone(&stage.stack), kills - kills / 2);
    let good = acts::push(stage, "good", "A better model", &model::good()).await?;
    let killed = killing.ended().await;
    let killing = Kills::start(Arc::clone(&stage.stack), kills / 2);
    let bad = model::errs_under_load();
    let bad = acts::push(stage, "bad", "A model that errs under load", &bad).await?;
    let killed = killed + killing.ended().await;
    stage.settle().await?;
    report::report(stage, &first, &good, &bad, killed, kills).await
}
