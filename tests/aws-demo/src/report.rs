//! Whether table and cluster agree, and what it took.

use anyhow::{Context, Result};
use weir_app::Store;
use weir_demo::cluster::backend;
use weir_domain::audit::{self, Action};
use weir_domain::run::Run;

use crate::acts::Act;
use crate::stage::Stage;

/// Prints how it went; whether it went as it must.
pub(crate) async fn report(
    stage: &Stage,
    first: &Act,
    good: &Act,
    bad: &Act,
    killed: u32,
    kills: u32,
) -> Result<bool> {
    let serves = revision(&good.run).context("the good run moved nothing")?;
    let backend = backend(&serves);
    let (shares, pods) = (stage.cluster.shares().await?, stage.cluster.pods().await?);
    println!(
        "\ncluster: production routes {shares:?}, pods {pods:?}; the good revision is {serves} behind {backend}"
    );
    let alone = shares.len() == 1 && shares.contains_key(&backend);
    let only = pods.keys().all(|revision| *revision == serves) && pods.contains_key(&serves);
    let mut intact = true;
    for act in [first, good, bad] {
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
    let entered = stage.entered()?;
    println!("cluster: entered with tokens of EKS by {:?}", entered.by);
    for why in &entered.refused {
        println!("cluster: refused a token: {why}");
    }
    // Whoever has nothing to do there need not enter: no client is made before it is needed.
    let let_in = ["MetricCheck", "StageExecutor"].map(|name| entered.by.contains_key(name));
    let let_in = let_in == [true; 2] && entered.refused.is_empty();
    let word = |act: &Act| act.run.status.word();
    let told = (word(first), word(good), word(bad));
    println!(
        "demo-aws: first={} good={} bad={} killed={killed} audit={} denied={} refused={}",
        told.0,
        told.1,
        told.2,
        if intact { "intact" } else { "broken" },
        denied.len(),
        entered.refused.len(),
    );
    let ends = told == ("succeeded", "succeeded", "rolled_back") && alone && only;
    Ok(ends && intact && denied.is_empty() && let_in && killed >= kills)
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
