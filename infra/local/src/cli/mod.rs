//! Commands: what is asked, and how it is answered.
//!
//! stdout carries the answer, stderr everything else. Exit codes: 0 answered; 1 checked and negative, or refused; 2 it
//! could not be answered: usage, malformed input, no host.

mod act;
mod args;
mod audit;
mod bounds;
mod client;
mod cluster;
mod condition;
mod conformance;
mod definition;
mod fit;
mod judge;
mod output;
mod plan;
mod read;
mod redrive;
mod rule;
mod simulate;
mod trigger;
mod validate;
mod watch;

pub use args::{Cli, Command, Format, Up};
pub(crate) use bounds::bounds;
pub use output::{Exit, Failure, Output};

use crate::protocol::Act;

/// Answers a command that needs no host.
pub fn offline(command: &Command, out: &mut Output) -> Option<Result<Exit, Failure>> {
    match command {
        Command::Validate(args) => Some(validate::validate(args, out)),
        Command::Trigger(args) => Some(trigger::trigger(args, out)),
        Command::Condition(args) => Some(condition::condition(args, out)),
        Command::Fit(args) => Some(fit::answer(args, out)),
        Command::Plan(args) => Some(plan::answer(args, out)),
        Command::Judge(args) => Some(judge::judge(args, out)),
        Command::Simulate(args) => Some(simulate::answer(args, out)),
        Command::Audit(args) => args.file().map(|file| audit::verify(file, out)),
        _ => None,
    }
}

/// Answers a command that asks a running host, AWS, or a cluster.
///
/// # Errors
/// There is no host, or it cannot answer.
pub async fn online(command: &Command, out: &mut Output) -> Result<Exit, Failure> {
    let because = |args: &args::Reason| args.reason.clone();
    match command {
        Command::Runs(args) => read::runs(args, out).await,
        Command::Show(args) => read::show(args, out).await,
        Command::Logs(args) => read::logs(args, out).await,
        Command::Audit(args) => read::audit(args, out).await,
        Command::Watch(args) => watch::watch(args, out).await,
        Command::Redrive(args) => redrive::redrive(args, out).await,
        Command::Conformance(args) => conformance::conformance(args, out).await,
        Command::Run(args) => act::run(args, out).await,
        Command::Approve(args) => act::act(args, Act::Approve, out).await,
        Command::Reject(args) => {
            let reason = because(args);
            act::act(&args.which, Act::Reject { reason }, out).await
        }
        Command::Hold(args) => {
            let reason = because(args);
            act::act(&args.which, Act::Hold { reason }, out).await
        }
        Command::Skip(args) => {
            let reason = because(args);
            act::act(&args.which, Act::Skip { reason }, out).await
        }
        Command::Cancel(args) => {
            let reason = because(args);
            act::act(&args.which, Act::Cancel { reason }, out).await
        }
        Command::Rollback(args) => {
            let (reason, force) = (because(&args.reason), args.force);
            act::act(&args.reason.which, Act::Rollback { reason, force }, out).await
        }
        Command::Validate(_)
        | Command::Trigger(_)
        | Command::Condition(_)
        | Command::Fit(_)
        | Command::Plan(_)
        | Command::Judge(_)
        | Command::Simulate(_)
        | Command::Up(_) => unreachable!("these ask no host"),
    }
}
