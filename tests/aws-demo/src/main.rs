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
//! functions in the middle of what they do, one of them between the commit of a revert and its patch; the end must be the same.
//! `--long` rolls out 20 steps instead and says what that costs, `--programs FOLDER` with programs from there.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it prints, measures, and reads its environment"
)]

mod acts;
mod args;
mod cut;
mod kills;
mod long;
mod price;
mod report;
mod rights;
mod stage;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use acts::{Act, RUN_LIMIT};
use anyhow::Result;
use args::Args;
use cut::Cut;
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
    let mut stage = Stage::start(&Places::of_this_build(args.programs)?, args.kills > 0).await?;
    let told = match args.long {
        true => long::measure(&mut stage).await,
        false => tell(&mut stage, args.kills).await,
    };
    stage.stop().await?;
    told
}

/// Functions that are killed during one push, at most: more would leave it no time to do anything.
const KILLS_A_PUSH: u32 = 20;

/// A good model that is promoted, and a bad one that is sent back.
pub(crate) struct Round {
    good: Act,
    bad: Act,
    /// From the death of the function that stored the revert until traffic was back.
    back: Option<Duration>,
}

/// Tells the story, again until enough were killed; whether it went as it must.
async fn tell(stage: &mut Stage, kills: u32) -> Result<bool> {
    let first = acts::push(stage, "first", "The first model", &model::good(), RUN_LIMIT).await?;
    stage.open().await?;
    let (mut rounds, mut killed) = (Vec::new(), 0);
    while rounds.is_empty() || killed < kills {
        let left = kills.saturating_sub(killed);
        // Half of them while a good model is promoted, the rest while a bad one is sent back.
        let killing = Kills::start(Arc::clone(&stage.stack), KILLS_A_PUSH.min(left - left / 2));
        let good = acts::push(stage, "good", "A better model", &model::good(), RUN_LIMIT).await?;
        killed += killing.ended().await;
        let cut = (kills > 0).then(|| Cut::set(stage));
        let killing = Kills::start(Arc::clone(&stage.stack), KILLS_A_PUSH.min(left / 2));
        let bad = model::errs_under_load();
        let bad = acts::push(stage, "bad", "A model that errs under load", &bad, RUN_LIMIT).await?;
        killed += killing.ended().await;
        let back = match cut {
            Some(cut) => cut.took().await?,
            None => None,
        };
        killed += u32::from(back.is_some());
        stage.settle().await?;
        rounds.push(Round { good, bad, back });
    }
    report::report(stage, &first, &rounds, killed, kills).await
}
