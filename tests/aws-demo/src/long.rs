//! What a long rollout costs: 20 steps of a minute, each looked at every five seconds.

use std::time::Duration;

use anyhow::{Result, ensure};
use weir_demo::model;
use weir_domain::run::RunStatus;

use crate::acts;
use crate::stage::Stage;

/// Steps of the rollout, and the percent that each adds.
const STEPS: u32 = 20;
const PERCENT: u32 = 4;

/// The pipeline that is pushed, and what of it makes one step.
const PIPELINE: &str = ".weir/model-update.yaml";
const ONE_STEP: &str = "                weight: 5\n                interval: 12s\n";

/// A minute for each step, and what comes before and after.
const LIMIT: Duration = Duration::from_secs(60 * 40);

/// Pushes it after a first release, and prints what it cost; whether it was promoted.
pub(crate) async fn measure(stage: &mut Stage) -> Result<bool> {
    acts::push(stage, "first", "The first model", &model::good(), acts::RUN_LIMIT).await?;
    stage.open().await?;
    stage.repository.rewrite(PIPELINE, |text| {
        let changed = text.replace(ONE_STEP, &steps());
        ensure!(
            changed != text,
            "{PIPELINE} has no step to replace: expected\n{ONE_STEP}"
        );
        Ok(changed)
    })?;
    let long = acts::push(stage, "long", "A rollout of 20 steps", &model::good(), LIMIT).await?;
    println!(
        "\ncost of {STEPS} steps of a minute, a look every 5 s: {}",
        long.cost
    );
    println!("  units of the table: {}", long.cost.by_operation());
    println!("  a look: ${:.7}", long.cost.dollars_a_look());
    println!("long: {} for ${:.5}", long.run.status.word(), long.cost.dollars());
    Ok(long.run.status == RunStatus::Succeeded)
}

fn steps() -> String {
    let steps =
        (1..=STEPS).map(|n| format!("                  - {{weight: {}, interval: 1m}}\n", n * PERCENT));
    format!("                steps:\n{}", steps.collect::<String>())
}
