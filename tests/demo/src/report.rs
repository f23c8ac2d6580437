//! What came of it: timelines, audit, figures, and whether store and cluster agree.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use weir_demo::cluster::backend;
use weir_domain::audit::Entry;
use weir_live::raised_after_revert;

use crate::acts::Act;
use crate::stage::{Stage, status_word};
use weir_demo::load::RPS;

/// One run, read back.
struct Told {
    run: Value,
    entries: Vec<Value>,
}

impl Told {
    async fn read(stage: &Stage, act: &Act) -> Result<Self> {
        let mut shown = stage.show(&act.run).await?;
        let entries = shown["entries"]
            .as_array()
            .cloned()
            .context("a run without a log")?;
        Ok(Self {
            run: shown["run"].take(),
            entries,
        })
    }

    /// The last entry of a kind, of those that `fits`.
    fn last(&self, action: &str, fits: impl Fn(&Value) -> bool) -> Option<&Value> {
        self.entries
            .iter()
            .rev()
            .find(|entry| entry["action"] == action && fits(entry))
    }

    /// How often the candidate got traffic after it was decided that it gets none.
    fn raised_after_revert(&self) -> Result<usize> {
        let entries: Vec<Entry> = serde_json::from_value(self.entries.clone().into())?;
        Ok(raised_after_revert(&entries))
    }
}

/// The revision that a run brought to production, last of all.
pub(crate) fn revision(run: &Value) -> Option<String> {
    let stages = run["stages"].as_array()?;
    let steps = stages
        .iter()
        .filter_map(|stage| stage["steps"].as_array())
        .flatten();
    let candidates = steps.filter_map(|step| step["rollout"]["candidate"].as_str());
    candidates.map(str::to_owned).next_back()
}

fn is_zero(entry: &Value) -> bool {
    let detail = entry["detail"].as_str();
    detail.is_some_and(|detail| detail.starts_with("weight 0 %"))
}

/// Prints the timelines and the figures; the line that says how it went, and whether it went as it must.
pub(crate) async fn report(stage: &Stage, good: &Act, bad: &Act, crashing: &Act) -> Result<(String, bool)> {
    let acts = [good, bad, crashing];
    let mut told = Vec::new();
    for act in acts {
        println!("\n{}", stage.host.text(&["show", &act.run]).await?.trim_end());
        let file = stage.state.join(format!("{}.jsonl", act.name));
        println!(
            "audit {}: {} ({})",
            act.name,
            stage.host.verify_audit(&act.run, &file).await?.trim(),
            file.display()
        );
        let read = Told::read(stage, act).await?;
        picture(act, &read)?;
        told.push(read);
    }
    println!(
        "\nfigures (test cluster on this machine, simulated network, {RPS} requests a second, three of ten streams of 2 to 4 s)"
    );
    for (act, told) in acts.iter().zip(&told) {
        figures(stage, act, told);
    }
    outcome(stage, good, &told).await
}

/// Draws what the run did, for the docs, where it is asked for.
fn picture(act: &Act, told: &Told) -> Result<()> {
    let Some(folder) = std::env::var_os("WEIR_PLOTS") else {
        return Ok(());
    };
    let title = format!("Canary, a model that is {}", act.name);
    if let Some(course) = weir_plot::rollout(&told.entries, &act.counted["lost_by_second"]) {
        let svg = course.draw(&title);
        let file = Path::new(&folder).join(format!("canary-{}.svg", act.name));
        std::fs::write(&file, svg).with_context(|| format!("could not write {}", file.display()))?;
    }
    Ok(())
}

fn figures(stage: &Stage, act: &Act, told: &Told) {
    let line = |what: &str, value: String| println!("  {:<10} {what:<46} {value}", act.name);
    if let Some(first) = stage.cluster.seen.first_job(&act.run) {
        line(
            "push → first cluster write",
            format!("{} ms", first - act.pushed_ms),
        );
    }
    let (failed, cut) = (&act.counted["failed"], &act.counted["cut"]);
    let sent = &act.counted["sent"];
    line(
        "requests of users: sent, failed, cut",
        format!("{sent}, {failed}, {cut}"),
    );
    let back = told
        .last("weight_accepted", is_zero)
        .and_then(|entry| entry["at"].as_i64());
    let onset = act.counted["failures"][0]["t"].as_i64();
    if let (Some(back), Some(onset)) = (back, onset) {
        line(
            "first failed request → weight 0 accepted",
            format!("{} ms", back - onset),
        );
    }
    if let Some(reverted) = told.last("reverted", |_| true) {
        let ms = |key: &str| {
            let value = &reverted["evidence"][key];
            value
                .as_i64()
                .map_or("not seen".to_owned(), |ms| format!("{ms} ms"))
        };
        line(
            "verdict → weight 0 accepted by the API",
            ms("decided_to_accepted_ms"),
        );
        line("verdict → taken up by the gateway", ms("decided_to_observed_ms"));
        line(
            "verdict → effective in the counters",
            ms("decided_to_effective_ms"),
        );
    }
    if let Some(why) = told.last("revert_decided", |_| true) {
        line(
            "what was measured",
            why["detail"].as_str().unwrap_or_default().to_owned(),
        );
    }
}

/// Whether the last states in the store and what the cluster shows say the same.
async fn outcome(stage: &Stage, act: &Act, told: &[Told]) -> Result<(String, bool)> {
    let [good, bad, crashing] = told else {
        anyhow::bail!("three runs were told");
    };
    let serves = revision(&good.run).context("the good run moved nothing")?;
    let backend = backend(&serves);
    let (shares, pods) = (stage.cluster.shares().await?, stage.cluster.pods().await?);
    let alone = shares.len() == 1 && shares.contains_key(&backend);
    let only = pods.keys().all(|revision| *revision == serves) && pods.contains_key(&serves);
    println!(
        "\ncluster: production routes {shares:?}, pods {pods:?}; the good revision is {serves} behind {backend}"
    );
    let promoted = status(&good.run) == "succeeded" && alone && only;
    let word = |told: &Told| {
        if alone && only {
            status(&told.run)
        } else {
            "still_there".to_owned()
        }
    };
    let (bad, crashing) = (word(bad), word(crashing));
    let seen = &stage.cluster.seen;
    let (pods_seen, disturbed) = act.pods;
    let at_once = seen.steps_at_once(&act.run);
    println!(
        "steps at once in the parallel stage: {at_once}; pods of {serves} until it was promoted: {pods_seen}, of which \
         {disturbed} ended or were started again"
    );
    let raised: Result<Vec<usize>> = told.iter().map(Told::raised_after_revert).collect();
    let raised: usize = raised?.into_iter().sum();
    let lost = |key: &str| act.counted[key].as_u64().unwrap_or(u64::MAX);
    let failed = lost("failed").saturating_add(lost("cut"));
    let line = format!(
        "demo: good={} bad={bad} crashing={crashing} failed_good={failed}",
        if promoted {
            "promoted".to_owned()
        } else {
            status(&good.run)
        },
    );
    let ended = promoted && bad == "rolled_back" && crashing == "rolled_back" && failed == 0;
    let as_it_must = ended && raised == 0 && at_once == 2 && pods_seen > 0 && disturbed == 0;
    Ok((line, as_it_must))
}

fn status(run: &Value) -> String {
    status_word(run).unwrap_or("unknown").to_owned()
}
