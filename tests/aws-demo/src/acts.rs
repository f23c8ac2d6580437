//! A push, followed to the end of its run.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::time::{sleep, timeout};
use weir_app::Store;
use weir_demo::github;
use weir_demo::slack::approve_token;
use weir_domain::ids::RunId;
use weir_domain::run::{Run, RunStatus};

use crate::price::{Cost, Meter};
use crate::stage::Stage;

/// Time between two looks at the table.
pub(crate) const LOOK: Duration = Duration::from_millis(300);

/// A run that is not over by then never will be.
pub(crate) const RUN_LIMIT: Duration = Duration::from_secs(600);

/// Times that a sender whose function was killed sends again.
const TRIES: u32 = 10;

/// Who approves.
const ANA: &str = "U0ANA";

/// A run that has ended.
pub(crate) struct Act {
    /// The run.
    pub(crate) run: Run,
    /// The commit that was pushed.
    pub(crate) commit: String,
    /// What users got from the push to the end of the run, once there are users.
    pub(crate) counted: Option<Value>,
    /// What it took.
    pub(crate) cost: Cost,
}

/// Pushes a model, answers its approval and follows its run to the end.
pub(crate) async fn push(
    stage: &mut Stage,
    name: &'static str,
    message: &str,
    settings: &Value,
    limit: Duration,
) -> Result<Act> {
    println!("\n── push: {message} ──");
    let push = stage.repository.commit(settings, message).await?;
    if let Some(load) = stage.load() {
        load.mark(name).await?;
    }
    let seen = stage.slack.received().len();
    let before = Meter::read(&stage.stack);
    let door = stage.stack.url("WebhookIntake");
    let refused = github::forged_push(&door, &push).await?;
    ensure!(
        refused == 401 || refused == 502,
        "a push with a wrong signature was answered with {refused}"
    );
    let run = RunId::new(delivered(stage, &door, &push).await?);
    let ended = timeout(limit, async {
        let mut followed = pin!(follow(stage, &run));
        tokio::select! {
            ended = &mut followed => {
                ended?;
                bail!("run {run} ended before anybody was asked for an approval")
            }
            approved = approve(stage, seen) => approved?,
        }
        followed.await
    });
    let run = ended
        .await
        .with_context(|| format!("run {run} is not over after {limit:?}"))??;
    let counted = match stage.load() {
        Some(load) => Some(load.since(name).await?),
        None => None,
    };
    Ok(Act {
        run,
        commit: push.after,
        counted,
        cost: before.until(&Meter::read(&stage.stack)),
    })
}

/// Delivers a push. One whose function was killed is delivered again, as a person would do at GitHub.
pub(crate) async fn delivered(
    stage: &Stage,
    door: &str,
    push: &weir_demo::repository::Push,
) -> Result<String> {
    let clone_url = stage.git.url(stage.repository.name());
    let mut last = None;
    for _ in 0..TRIES {
        match github::push(door, push, &clone_url).await {
            Ok(run) => return Ok(run),
            Err(error) => last = Some(error),
        }
        sleep(LOOK).await;
    }
    Err(last.context("nothing was tried")?)
}

/// Answers the approval, once it is asked for.
async fn approve(stage: &Stage, seen: usize) -> Result<()> {
    let token = stage.slack.wait(seen, "an Approve button", approve_token).await?;
    let door = stage.stack.url("ApprovalCallback");
    stage.slack.approve(&door, ANA, &token).await?;
    println!("   Slack: ana approved");
    Ok(())
}

/// Prints what is decided, as it stands in the table, until the run is over.
async fn follow(stage: &Stage, id: &RunId) -> Result<Run> {
    let mut told = 0;
    let mut began = None;
    loop {
        let loaded = stage.store.load(id).await?;
        let run = loaded.with_context(|| format!("no run {id}"))?.state.run;
        for entry in stage.store.entries(id).await?.iter().skip(told) {
            let since = entry.at.since(*began.get_or_insert(entry.at));
            println!(
                "   {:>6.1} s  {:<22} {}",
                since.0 as f64 / 1_000.0,
                format!("{:?}", entry.action),
                entry.detail
            );
            told += 1;
        }
        if run.status != RunStatus::Running {
            return Ok(run);
        }
        sleep(LOOK).await;
    }
}
