//! Commands that look: `runs`, `show`, `logs`, `audit`.

use std::io::IsTerminal;

use serde_json::json;

use super::args::{Audit, Host, Logs, Runs, Which};
use super::client::{ask, unexpected};
use super::output::{Exit, Failure, Output};
use crate::protocol::{Answer, Request};
use crate::view;
use crate::view::text::clean;

pub(super) async fn runs(args: &Runs, out: &mut Output) -> Result<Exit, Failure> {
    let Answer::Runs(runs) = ask(&args.host, &Request::Runs { limit: args.limit }).await? else {
        return Err(unexpected());
    };
    let look = out.look();
    out.answer(&json!({ "runs": runs }), || view::list(&runs, &look));
    Ok(Exit::Answered)
}

pub(super) async fn show(args: &Which, out: &mut Output) -> Result<Exit, Failure> {
    let request = Request::Show {
        run: args.run.clone(),
    };
    let Answer::Run { run, entries } = ask(&args.host, &request).await? else {
        return Err(unexpected());
    };
    let look = out.look();
    out.answer(&json!({ "run": run, "entries": entries }), || {
        view::show(&run, &entries, &look)
    });
    Ok(Exit::Answered)
}

pub(super) async fn logs(args: &Logs, out: &mut Output) -> Result<Exit, Failure> {
    let request = Request::Logs {
        run: args.which.run.clone(),
        step: args.step.clone(),
        lines: args.lines,
    };
    let Answer::Log { step, text } = ask(&args.which.host, &request).await? else {
        return Err(unexpected());
    };
    // A file gets the bytes that the commands wrote; a terminal must not be moved by them.
    let terminal = std::io::stdout().is_terminal();
    out.answer(&json!({ "step": step, "text": text }), || match terminal {
        true => text.lines().map(|line| clean(line) + "\n").collect(),
        false => text.clone(),
    });
    Ok(Exit::Answered)
}

/// One entry a line, as `weir audit verify` reads them, whatever the format.
pub(super) async fn audit(args: &Audit, out: &mut Output) -> Result<Exit, Failure> {
    let (Some(run), Some(state)) = (&args.run, &args.state) else {
        return Err(Failure::new("which run? weir audit RUN --state DIR"));
    };
    let host = Host { state: state.clone() };
    let Answer::Run { entries, .. } = ask(&host, &Request::Show { run: run.clone() }).await? else {
        return Err(unexpected());
    };
    for entry in &entries {
        out.json(entry);
    }
    Ok(Exit::Answered)
}
