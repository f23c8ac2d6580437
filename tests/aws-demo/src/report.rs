//! Whether table and cluster agree, and what it took.

use std::collections::BTreeSet;
use std::slice;

use anyhow::{Context, Result};
use weir_app::Store;
use weir_demo::cluster::backend;
use weir_domain::audit;
use weir_domain::run::Run;
use weir_live::raised_after_revert;

use crate::Told;
use crate::acts::Act;
use crate::args::Args;
use crate::stage::Stage;

/// Prints how it went; whether it went as it must.
pub(crate) async fn report(stage: &Stage, told: &mut Told, args: &Args) -> Result<bool> {
    let last = told.goods.last().context("a good model was pushed")?;
    let serves = revision(&last.run).context("the good run moved nothing")?;
    let backend = backend(&serves);
    let (shares, pods) = (stage.cluster.shares().await?, stage.cluster.pods().await?);
    println!(
        "\ncluster: production routes {shares:?}, pods {pods:?}; the good revision is {serves} behind {backend}"
    );
    let alone = shares.len() == 1 && shares.contains_key(&backend);
    let only = pods.keys().all(|revision| *revision == serves) && pods.contains_key(&serves);
    let mut intact = true;
    for act in [&told.first].into_iter().chain(&told.goods).chain(&told.bads) {
        intact &= logged(stage, &act.run).await?;
        println!(
            "table: {} {}; GitHub shows {}; users {}",
            act.run.id,
            act.run.status.word(),
            stage.status_at_github(&act.commit),
            act.counted.as_ref().map_or("none yet".to_owned(), users),
        );
        let beside = told.experiment.as_ref().is_some_and(|came| came.beside(&act.run));
        let with = if beside {
            ", with the looks of the experiment beside it"
        } else {
            ""
        };
        println!("  cost {}{with}", act.cost);
    }
    let denied = stage.stack.denied();
    for words in &denied {
        println!("denied: {words}");
    }
    let experiment = told.experiment.as_ref().is_some_and(|came| came.well);
    let let_in = entered(stage)?;
    let met = stage.weather().told();
    let back = told.back.told();
    let (first, good, bad) = (
        words(slice::from_ref(&told.first)),
        words(&told.goods),
        words(&told.bads),
    );
    println!(
        "demo-aws: first={first} good={good} bad={bad} experiment={} killed={} audit={} denied={} let_in={let_in} faults={} back={back}",
        if experiment { "as it must" } else { "wrong" },
        told.killed,
        if intact { "intact" } else { "broken" },
        denied.len(),
        match (args.faults, met) {
            (false, _) => "none",
            (true, true) => "all met",
            (true, false) => "not all met",
        },
    );
    let ends = (first.as_str(), good.as_str(), bad.as_str()) == ("succeeded", "succeeded", "rolled_back");
    let enough = told.killed >= args.kills && told.back.count() >= args.cuts;
    Ok(ends && experiment && alone && only && intact && denied.is_empty() && let_in && met && back && enough)
}

/// How acts ended, each way once.
fn words(acts: &[Act]) -> String {
    let all: BTreeSet<&str> = acts.iter().map(|act| act.run.status.word()).collect();
    all.into_iter().collect::<Vec<_>>().join("+")
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
    Ok(whole && raised_after_revert(&entries) == 0)
}
