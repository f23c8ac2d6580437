//! What is asked for at the command line.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// What is shown.
#[derive(Default)]
pub(crate) struct Args {
    /// Functions that are killed meanwhile.
    pub(crate) kills: u32,
    /// One rollout of 20 steps in place of the story, for what it costs.
    pub(crate) long: bool,
    /// Where the functions' programs are, if not beside this one.
    pub(crate) programs: Option<PathBuf>,
}

impl Args {
    pub(crate) fn read(given: impl Iterator<Item = String>) -> Result<Self> {
        let mut args = Self::default();
        let mut given = given;
        while let Some(flag) = given.next() {
            let mut value = || given.next().with_context(|| format!("{flag} takes a value"));
            match flag.as_str() {
                "--kill" => args.kills = value()?.parse().context("--kill takes a number")?,
                "--long" => args.long = true,
                "--programs" => args.programs = Some(value()?.into()),
                other => bail!(
                    "unknown argument {other}; usage: weir-aws-demo [--kill N | --long] [--programs FOLDER]"
                ),
            }
        }
        if args.long && args.kills > 0 {
            bail!("--long measures what a rollout costs, and --kill changes that: give one of them");
        }
        Ok(args)
    }
}
