//! `fit-oracle --cases N [--seed S] [--keep DIR]`: asks the real scheduler.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use weir_fit_oracle::{BATCH, ControlPlane, Report, binaries, play};

/// Batches between two words about how far it is.
const BATCHES_TOLD: usize = 25;

struct Options {
    cases: u64,
    seed: u64,
    keep: Option<PathBuf>,
}

fn options() -> Result<Options> {
    let mut options = Options {
        cases: 300,
        seed: 1,
        keep: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--cases" => options.cases = value.parse()?,
            "--seed" => options.seed = value.parse()?,
            "--keep" => options.keep = Some(value.into()),
            _ => bail!("unknown option {word}; expected --cases, --seed or --keep"),
        }
    }
    Ok(options)
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = options()?;
    let control = ControlPlane::start(&binaries().await?).await?;
    let mut report = Report::default();
    let seeds: Vec<u64> = (options.seed..options.seed + options.cases).collect();
    for (number, batch) in seeds.chunks(BATCH).enumerate() {
        if number > 0 && number % BATCHES_TOLD == 0 {
            eprintln!(
                "after {} clusters: {} disagreements",
                number * BATCH,
                report.wrong.len()
            );
        }
        for outcome in play(&control.api, batch).await? {
            let known = report.wrong.len();
            report.add(&outcome);
            if report.wrong.len() > known {
                let (seed, how) = report.wrong[known];
                eprintln!(
                    "{how}: seed {seed}, asked {}, placed {}, said {:?}",
                    outcome.replicas, outcome.placed, outcome.fit
                );
                if let Some(dir) = &options.keep {
                    std::fs::create_dir_all(dir)?;
                    std::fs::write(dir.join(format!("{seed}-cluster.json")), outcome.list.to_string())?;
                    std::fs::write(
                        dir.join(format!("{seed}-workload.json")),
                        outcome.workload.to_string(),
                    )?;
                }
            }
        }
    }
    control.stop().await?;
    say(&report);
    let faults = report.faults();
    if !faults.is_empty() {
        bail!("{} faults, the first: {}", faults.len(), faults[0]);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the report is what the program is for")]
fn say(report: &Report) {
    println!("{report}");
}
