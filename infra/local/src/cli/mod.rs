//! Commands: what is asked, and how it is answered.
//!
//! stdout carries the answer, stderr everything else. Exit codes: 0 answered; 1 checked and negative, or refused; 2 it
//! could not be answered: usage, malformed input, no host.

mod args;
mod audit;
mod condition;
mod definition;
mod judge;
mod output;
mod trigger;
mod validate;

pub use args::{Cli, Command};
pub use output::{Exit, Failure, Output};

/// Answers a command that needs no host.
pub(crate) fn offline(command: &Command, out: &mut Output) -> Option<Result<Exit, Failure>> {
    match command {
        Command::Validate(args) => Some(validate::validate(args, out)),
        Command::Trigger(args) => Some(trigger::trigger(args, out)),
        Command::Condition(args) => Some(condition::condition(args, out)),
        Command::Judge(args) => Some(judge::judge(args, out)),
        Command::Audit(args) => args.file().map(|file| audit::verify(file, out)),
        _ => None,
    }
}
