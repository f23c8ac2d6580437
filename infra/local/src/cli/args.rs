//! What can be asked.

mod conformance;
mod fit;
mod up;

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use conformance::Conformance;
pub(super) use fit::{Fit, Plan, Question};
pub use up::Up;

/// Takes a git push to a verified production rollout, or back.
#[derive(Parser, Debug)]
#[command(name = "weir", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// `text` for people, `json` for programs
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Form of the answer.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: JSON on stdout, and nothing else there.
    Json,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Check definitions: files, or the folder that holds .weir
    Validate(Validate),
    /// Say which pipelines a push would start, and why
    Trigger(Trigger),
    /// Evaluate a rollback condition on given values
    Condition(Condition),
    /// Say whether replicas fit into a cluster, where they would go, and what could be done
    Fit(Fit),
    /// Show the plan of a rollout before it starts: replicas, weights, GPUs, time
    Plan(Plan),
    /// Judge recorded counts of candidate and stable, block by block
    Judge(Judge),
    /// Carry out a rollout in virtual time, in a world that a file describes
    Simulate(Simulate),
    /// Print the log of a run as JSON lines, or verify such lines
    Audit(Audit),
    /// Run the host
    Up(Up),
    /// Start a pipeline by hand, at the head of a local repository
    Run(Run),
    /// List runs, newest first
    Runs(Runs),
    /// Show a run: stages, rollouts, timeline
    Show(Which),
    /// Print the log of a step's commands
    Logs(Logs),
    /// Follow a run until it ends
    Watch(Which),
    /// Approve what a run waits for; a rollout that is paused or held goes on
    #[command(visible_alias = "resume")]
    Approve(Which),
    /// Reject what a run waits for
    Reject(Reason),
    /// Keep a run's rollouts at their present share, for a day at most
    Hold(Reason),
    /// Take a run's rollouts to their end without waiting for the steps that are left
    Skip(Reason),
    /// End a run; rollouts that move go back first
    Cancel(Reason),
    /// Send a run's traffic back to the stable revision
    Rollback(Rollback),
    /// Hand dead letters of a stack on AWS to their function again
    Redrive(Redrive),
    /// Measure what a cluster takes for the things that plans count on
    Conformance(Conformance),
}

/// `weir validate`.
#[derive(Args, Debug)]
pub struct Validate {
    /// Definition files or folders; one file alone may refer to others that are not given
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// `weir trigger`.
#[derive(Args, Debug)]
pub struct Trigger {
    /// Kind of the event
    #[arg(long, value_enum)]
    pub kind: Kind,
    /// The body of the webhook request; `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub event: PathBuf,
    /// Definition file or folder
    #[arg(long, value_name = "PATH")]
    pub config: PathBuf,
}

/// Kinds of events that start runs.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A git push.
    Push,
}

/// `weir condition`.
#[derive(Args, Debug)]
pub struct Condition {
    /// For example 'error_rate > 2% || latency_p99 > 1000ms'
    #[arg(value_name = "EXPR")]
    pub expression: String,
    /// JSON object of values by metric; `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub values: PathBuf,
}

/// `weir judge`; blocks are JSON lines on stdin.
#[derive(Args, Debug)]
pub struct Judge {
    /// JSON: alpha, min_samples, promote, and the metrics with their limit and margin; or `kayenta` with metrics of plain series
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// `weir simulate`.
#[derive(Args, Debug)]
pub struct Simulate {
    /// Definition file or folder
    #[arg(long, value_name = "PATH")]
    pub pipeline: PathBuf,
    /// Its name; may be left out if there is one
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// JSON: traffic, behaviour of both revisions, GPUs and their price; `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub world: PathBuf,
}

/// `weir audit`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Audit {
    #[command(subcommand)]
    verify: Option<AuditCommand>,
    /// Number, PIPELINE#NUMBER, or run id
    #[arg(value_name = "RUN", required = true)]
    pub run: Option<String>,
    /// State folder of the running host
    #[arg(long, env = "WEIR_STATE", value_name = "DIR", required = true)]
    pub state: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
enum AuditCommand {
    /// Check that every entry follows from the one before
    Verify {
        /// JSON lines; `-` for stdin
        file: PathBuf,
    },
}

impl Audit {
    /// The file to verify, if that is what was asked.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.verify
            .as_ref()
            .map(|AuditCommand::Verify { file }| file.as_path())
    }
}

/// Where the host is.
#[derive(Args, Debug)]
pub(crate) struct Host {
    /// State folder of the running host
    #[arg(long, env = "WEIR_STATE", value_name = "DIR")]
    pub state: PathBuf,
}

/// A command about one run.
#[derive(Args, Debug)]
pub struct Which {
    /// Number, PIPELINE#NUMBER, or run id
    #[arg(value_name = "RUN")]
    pub run: String,
    #[command(flatten)]
    pub(crate) host: Host,
}

/// A command about one run that people will want to know the reason of.
#[derive(Args, Debug)]
pub struct Reason {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Why; it is recorded
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `weir rollback`.
#[derive(Args, Debug)]
pub struct Rollback {
    #[command(flatten)]
    pub(crate) reason: Reason,
    /// Also if what served before has no warm replica, or breaches the condition itself
    #[arg(long)]
    pub force: bool,
}

/// `weir run`.
#[derive(Args, Debug)]
pub struct Run {
    /// OWNER/NAME; may be left out if the host has one local repository
    pub repository: Option<String>,
    /// The pipeline; may be left out if there is one
    #[arg(long, value_name = "NAME")]
    pub pipeline: Option<String>,
    /// Branch whose head is taken
    #[arg(long, default_value = "main", value_name = "NAME")]
    pub branch: String,
    #[command(flatten)]
    pub(crate) host: Host,
}

/// `weir runs`.
#[derive(Args, Debug)]
pub struct Runs {
    /// How many at most
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub limit: u16,
    #[command(flatten)]
    pub(crate) host: Host,
}

/// `weir logs`.
#[derive(Args, Debug)]
pub struct Logs {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Name of the step; may be left out if only one has a log
    #[arg(long, value_name = "NAME")]
    pub step: Option<String>,
    /// Lines from the end
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub lines: u32,
}

/// `weir redrive`; credentials and region as for every tool of AWS.
#[derive(Args, Debug)]
pub struct Redrive {
    /// URL of the queue of dead letters
    #[arg(value_name = "FROM")]
    pub from: String,
    /// URL of the queue that the function works through
    #[arg(value_name = "TO")]
    pub to: String,
    /// How many at most: one that still cannot be handled comes back
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_of_commands_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn audit_takes_a_run_or_a_file_to_verify() {
        let run = Cli::try_parse_from(["weir", "audit", "42", "--state", "d"]).unwrap();
        let Command::Audit(audit) = run.command else {
            panic!("audit was asked")
        };
        assert!(audit.file().is_none());
        assert_eq!(audit.run.unwrap(), "42");
        let verify = Cli::try_parse_from(["weir", "audit", "verify", "x.jsonl", "--format", "json"]).unwrap();
        let Command::Audit(audit) = verify.command else {
            panic!("audit was asked")
        };
        assert_eq!(audit.file(), Some(Path::new("x.jsonl")));
        assert!(Cli::try_parse_from(["weir", "audit"]).is_err());
    }
}
