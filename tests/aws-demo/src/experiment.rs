//! The article's A/B test goes on beside the story: two models that run already share a service's traffic, Datadog is asked how
//! each does, and a script reads what was collected from a file.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{sleep, timeout};
use weir_app::Store;
use weir_domain::experiment::Experiment;
use weir_domain::ids::RunId;
use weir_domain::run::{Run, RunStatus};

use crate::acts::{LOOK, delivered};
use crate::stage::Stage;

/// What is pushed, and the file of it that starts the run.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/experiment/repository");
const CHANGED: &str = "experiments/README.md";

/// Two minutes, a minute until the source's numbers are whole, and what comes before and after; killed functions take longer.
const LIMIT: Duration = Duration::from_secs(600);

/// What the script found: intervals in the file, and the better model by either measure.
const FOUND: [(&str, &str); 3] = [
    ("INTERVALS", "2"),
    ("FASTER", "model-b"),
    ("MORE_ACCURATE", "model-a"),
];

/// Pushes the definition; the run that it starts goes on by itself.
pub(crate) async fn start(stage: &mut Stage) -> Result<RunId> {
    println!("\n── push: which of two models is better? It goes on beside what follows ──");
    let message = "An experiment";
    let push = stage
        .repository
        .commit_folder(Path::new(FOLDER), CHANGED, message)
        .await?;
    let door = stage.stack.url("WebhookIntake");
    delivered(stage, &door, &push).await.map(RunId::new)
}

/// What came of it.
pub(crate) struct Came {
    run: Run,
    /// Whether it went as it must.
    pub(crate) well: bool,
}

impl Came {
    /// Whether it went on while another run did: what that one took has some of this one's in it.
    pub(crate) fn beside(&self, other: &Run) -> bool {
        let over = |run: &Run| run.ended.unwrap_or(run.began);
        other.began < over(&self.run) && self.run.began < over(other)
    }
}

/// Waits until the run is over and prints what came of it.
pub(crate) async fn ended(stage: &Stage, id: &RunId) -> Result<Came> {
    let over = async {
        loop {
            let loaded = stage.store.load(id).await?;
            let run = loaded.with_context(|| format!("no run {id}"))?.state.run;
            if run.status != RunStatus::Running {
                return Ok::<_, anyhow::Error>(run);
            }
            sleep(LOOK).await;
        }
    };
    let run = timeout(LIMIT, over).await;
    let run = run.with_context(|| format!("experiment {id} is not over after {LIMIT:?}"))??;
    println!("\nexperiment: {}", run.status.words());
    for entry in stage.store.entries(id).await? {
        println!("   {:<22} {}", format!("{:?}", entry.action), entry.detail);
    }
    let shares = stage.cluster.route("experiments").shares().await?;
    let asked = stage.datadog.asked();
    println!("   its route names {shares:?}; Datadog was asked for the windows {asked:?}");
    let alone = shares.keys().eq(["ai-service"]);
    let windows = asked.len() == 4 && asked.values().all(|windows| windows.len() == 2);
    let well = run.status == RunStatus::Succeeded && found(&run) && went(&run) && alone && windows;
    Ok(Came { run, well })
}

/// Whether the script read what there was to be read.
fn found(run: &Run) -> bool {
    let outputs: Vec<_> = run.outputs.values().flatten().collect();
    println!("   the script says {outputs:?}");
    let has = |(name, value): &(&str, &str)| outputs.iter().any(|(own, said)| own == name && said == value);
    FOUND.iter().all(has)
}

/// Whether traffic went to the variants and back.
fn went(run: &Run) -> bool {
    let mut all = run.steps().filter_map(|(.., state)| state.experiment.as_deref());
    let shares = |experiment: &Experiment| -> Vec<u8> {
        let changes = experiment.changes.iter();
        changes.map(|change| change.weight.percent()).collect()
    };
    all.next()
        .is_some_and(|experiment| experiment.is_over() && shares(experiment) == [100, 0])
}
