//! What is asked for at the command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// The API server is away for this, if nothing else is said: a few looks.
const AWAY: Duration = Duration::from_secs(10);

/// What is shown.
#[derive(Default)]
pub(crate) struct Args {
    /// Functions that are killed meanwhile.
    pub(crate) kills: u32,
    /// Whether things go wrong now and then, at AWS and at the API server.
    pub(crate) faults: bool,
    /// Reverts that are cut short, at least.
    pub(crate) cuts: usize,
    /// Time that the API server is away.
    pub(crate) away: Duration,
    /// One rollout of 20 steps in place of the story, for what it costs.
    pub(crate) long: bool,
    /// Where the functions' programs are, if not beside this one.
    pub(crate) programs: Option<PathBuf>,
}

impl Args {
    pub(crate) fn read(given: impl Iterator<Item = String>) -> Result<Self> {
        let mut args = Self {
            away: AWAY,
            ..Self::default()
        };
        let mut given = given;
        while let Some(flag) = given.next() {
            let mut value = || given.next().with_context(|| format!("{flag} takes a value"));
            match flag.as_str() {
                "--kill" => args.kills = value()?.parse().context("--kill takes a number")?,
                "--faults" => args.faults = true,
                "--cuts" => args.cuts = value()?.parse().context("--cuts takes a number")?,
                "--away" => {
                    let seconds = value()?.parse().context("--away takes seconds")?;
                    args.away = Duration::from_secs(seconds);
                }
                "--long" => args.long = true,
                "--programs" => args.programs = Some(value()?.into()),
                other => bail!(
                    "unknown argument {other}; usage: weir-aws-demo [--kill N] [--faults [--away SECONDS]] [--cuts N] | \
                     --long, [--programs FOLDER]"
                ),
            }
        }
        if args.long && (args.kills > 0 || args.faults || args.cuts > 0) {
            bail!(
                "--long measures what a rollout costs, and --kill, --faults and --cuts change that: give one of them"
            );
        }
        if args.kills > 0 {
            args.cuts = args.cuts.max(1);
        }
        Ok(args)
    }
}
