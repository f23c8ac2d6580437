//! What happens: a first release by hand, then three pushes.

use std::pin::pin;

use anyhow::{Context, Result, bail, ensure};
use futures::future::{Either, select};
use serde_json::Value;

use crate::report;
use crate::stage::Stage;
use weir_demo::clock::now_ms;
use weir_demo::github;
use weir_demo::model;
use weir_demo::slack::approve_token;

/// How an approval is given.
#[derive(Clone, Copy)]
pub(crate) enum Approval {
    /// By a member's tap in Slack, after somebody else's was refused.
    SlackAfterRefusal,
    /// By a member's tap in Slack.
    Slack,
    /// At the terminal, by whoever runs the demonstration.
    Terminal,
}

/// A run that has ended.
pub(crate) struct Act {
    /// Name of its mark in the load.
    pub(crate) name: &'static str,
    /// The run.
    pub(crate) run: String,
    /// When the push was sent, milliseconds since 1970.
    pub(crate) pushed_ms: i64,
    /// What users got from the push to the end of the run.
    pub(crate) counted: Value,
    /// Pods of the revision that it brought to production, at the end of the run, and how many of them had ended or were
    /// started again.
    pub(crate) pods: (usize, usize),
}

/// Members of `ml-team`, and somebody who is in another group.
const ANA: &str = "U0ANA";
/// See [`ANA`].
const BEN: &str = "U0BEN";
/// See [`ANA`].
const CY: &str = "U0CY";

/// Brings the first model to production, so that there is something to compare with.
pub(crate) async fn first_release(stage: &mut Stage) -> Result<()> {
    println!("\n── first release, started by hand ──");
    stage.repository.commit(&model::good(), "The first model").await?;
    let stage = &*stage;
    let seen = stage.slack.received().len();
    let started = stage
        .host
        .json(&["run", weir_demo::repository::NAME, "--pipeline", "First-Release"])
        .await?;
    let run = started["runs"][0]["run"]
        .as_str()
        .with_context(|| format!("weir run answered {started}"))?
        .to_owned();
    let approve = async {
        let token = stage.slack.wait(seen, "an Approve button", approve_token).await?;
        let status = stage
            .slack
            .press(&stage.host.slack().await.url, BEN, "approve", &token)
            .await?;
        ensure!(status == 200, "the tap was answered with {status}");
        Ok(())
    };
    answered_while_watched(stage, &run, approve).await?;
    let status = stage.status(&run).await?;
    ensure!(status == "succeeded", "the first release ended as {status}");
    Ok(())
}

/// Pushes a model and follows its run to the end.
pub(crate) async fn push(
    stage: &mut Stage,
    name: &'static str,
    message: &str,
    settings: &Value,
    approval: Approval,
) -> Result<Act> {
    println!("\n── push: {message} ──");
    let push = stage.repository.commit(settings, message).await?;
    stage.load()?.mark(name).await?;
    let seen = stage.slack.received().len();
    let refused = github::forged_push(&stage.host.github().await.url, &push).await?;
    ensure!(
        refused == 401,
        "a push with a wrong signature was answered with {refused}"
    );
    let pushed_ms = now_ms();
    let run = github::push(&stage.host.github().await.url, &push, github::CLONE_URL).await?;
    let stage = &*stage;
    let approve = approve(stage, &run, seen, approval);
    answered_while_watched(stage, &run, approve).await?;
    let revision = report::revision(&stage.show(&run).await?["run"]).context("the run moved nothing")?;
    Ok(Act {
        name,
        pods: stage.cluster.seen.pods_disturbed(&revision),
        run,
        pushed_ms,
        counted: stage.load()?.since(name).await?,
    })
}

/// Follows a run to its end, and answers its approval meanwhile. A run that ends without asking is an error at once.
async fn answered_while_watched(
    stage: &Stage,
    run: &str,
    answer: impl Future<Output = Result<()>>,
) -> Result<()> {
    let watched = pin!(stage.host.watch(run));
    match select(watched, pin!(answer)).await {
        Either::Left((ended, _)) => {
            ended?;
            bail!("run {run} ended before anybody was asked for an approval")
        }
        Either::Right((answered, watched)) => {
            answered?;
            watched.await
        }
    }
}

/// Answers the approval, once it is asked for.
async fn approve(stage: &Stage, run: &str, seen: usize, approval: Approval) -> Result<()> {
    let token = stage.slack.wait(seen, "an Approve button", approve_token).await?;
    if let Approval::SlackAfterRefusal = approval {
        let seen = stage.slack.received().len();
        // Until it was told: a refusal is said once, by whoever refuses.
        let door = stage.host.slack().await;
        stage.slack.press(&door.url, CY, "approve", &token).await?;
        let told = |received: &weir_demo::slack::Received| {
            let text = received.body["text"].as_str()?;
            (received.method == "answer").then(|| text.to_owned())
        };
        let refusal = stage.slack.wait(seen, "a refusal", told).await?;
        println!("   Slack, to cy alone: {refusal}");
    }
    match approval {
        Approval::Terminal => println!(
            "   $ weir approve: {}",
            stage.host.text(&["approve", run]).await?.trim()
        ),
        Approval::Slack | Approval::SlackAfterRefusal => {
            stage
                .slack
                .approve(&stage.host.slack().await.url, ANA, &token)
                .await?;
            println!("   Slack: ana approved");
        }
    }
    Ok(())
}
