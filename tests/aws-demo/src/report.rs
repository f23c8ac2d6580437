//! Whether table and cluster agree, and what it took.

use std::time::Duration;

use anyhow::{Context, Result};
use weir_app::Store;
use weir_demo::cluster::backend;
use weir_domain::audit::{self, Action};
use weir_domain::run::Run;

use crate::Round;
use crate::acts::Act;
use crate::cut::BACK_LIMIT;
use crate::stage::Stage;

/// Prints how it went; whether it went as it must.
pub(crate) async fn report(
    stage: &Stage,
    first: &Act,
    rounds: &[Round],
    killed: u32,
    kills: u32,
) -> Result<bool> {
    let last = rounds.last().context("there is a round")?;
    let serves = revision(&last.good.run).context("the good run moved nothing")?;
    let backend = backend(&serves);
    let (shares, pods) = (stage.cluster.shares().await?, stage.cluster.pods().await?);
    println!(
        "\ncluster: production routes {shares:?}, pods {pods:?}; the good revision is {serves} behind {backend}"
    );
    let alone = shares.len() == 1 && shares.contains_key(&backend);
    let only = pods.keys().all(|revision| *revision == serves) && pods.contains_key(&serves);
    let mut intact = true;
    let acts = rounds.iter().flat_map(|round| [&round.good, &round.bad]);
    for act in [first].into_iter().chain(acts) {
        intact &= logged(stage, &act.run).await?;
        println!(
            "table: {} {}; GitHub shows {}; users {}",
            act.run.id,
            act.run.status.word(),
            stage.status_at_github(&act.commit),
            act.counted.as_ref().map_or("none yet".to_owned(), users),
        );
        println!("  cost {}", act.cost);
    }
    let denied = stage.stack.denied();
    for words in &denied {
        println!("denied: {words}");
    }
    let let_in = entered(stage)?;
    let back = back(rounds, kills);
    let word = |act: &Act| act.run.status.word();
    println!(
        "demo-aws: first={} good={} bad={} killed={killed} audit={} denied={} let_in={let_in} back={back}",
        word(first),
        word(&last.good),
        word(&last.bad),
        if intact { "intact" } else { "broken" },
        denied.len(),
    );
    let ends = rounds.iter().all(|round| {
        let told = (word(first), word(&round.good), word(&round.bad));
        told == ("succeeded", "succeeded", "rolled_back")
    });
    Ok(ends && alone && only && intact && denied.is_empty() && let_in && back && killed >= kills)
}

/// Whether every token was taken, and those came who have something to do there.
fn entered(stage: &Stage) -> Result<bool> {
    let entered = stage.entered()?;
    println!("cluster: entered with tokens of EKS by {:?}", entered.by);
    for why in &entered.refused {
        println!("cluster: refused a token: {why}");
    }
    // Whoever has nothing to do there need not enter: no client is made before it is needed.
    let let_in = ["MetricCheck", "StageExecutor"].map(|name| entered.by.contains_key(name));
    Ok(let_in == [true; 2] && entered.refused.is_empty())
}

/// Whether traffic was back in time, each time that who sent it back was killed over it.
fn back(rounds: &[Round], kills: u32) -> bool {
    let mut took: Vec<Duration> = rounds.iter().filter_map(|round| round.back).collect();
    took.sort_unstable();
    if let Some(longest) = took.last() {
        let seconds: Vec<f64> = took.iter().map(Duration::as_secs_f64).collect();
        println!("traffic back after the function that stored the revert was killed: {seconds:.1?} s");
        return *longest <= BACK_LIMIT && took.len() == rounds.len();
    }
    kills == 0
}

fn users(counted: &serde_json::Value) -> String {
    let (sent, failed, cut) = (&counted["sent"], &counted["failed"], &counted["cut"]);
    format!("sent {sent}, failed {failed}, cut {cut}")
}

/// The revision that a run brought to production.
fn revision(run: &Run) -> Option<String> {
    let rollouts = run.steps().filter_map(|(id, ..)| run.rollout(id));
    rollouts
        .last()
        .map(|rollout| rollout.candidate.as_str().to_owned())
}

/// Whether a run's log is whole, and no weight was raised after a revert was decided.
async fn logged(stage: &Stage, run: &Run) -> Result<bool> {
    let entries = stage.store.entries(&run.id).await?;
    let lines: Result<Vec<String>, _> = entries.iter().map(serde_json::to_string).collect();
    let whole = audit::verify(&lines?.join("\n")).is_ok_and(|verified| verified.valid);
    let reverted = entries
        .iter()
        .skip_while(|entry| entry.action != Action::RevertDecided);
    let raised = reverted
        .filter(|entry| entry.action == Action::WeightAccepted && !entry.detail.starts_with("weight 0 %"))
        .count();
    Ok(whole && raised == 0)
}
