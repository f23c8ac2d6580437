//! Commands that change something: `approve`, `reject`, `hold`, `skip`, `cancel`, `rollback`, `run`.

use serde_json::json;
use weir_domain::run::RunStatus;

use super::args::{Host, Run, Which};
use super::client::{ask, unexpected};
use super::output::{Exit, Failure, Output};
use crate::protocol::{Act, Answer, Request};
use crate::view::name;
use crate::view::text::clean;

pub(super) async fn act(which: &Which, act: Act, out: &mut Output) -> Result<Exit, Failure> {
    let request = Request::Act {
        run: which.run.clone(),
        act,
    };
    tell(ask(&which.host, &request).await?, &which.host, out)
}

pub(super) async fn run(args: &Run, out: &mut Output) -> Result<Exit, Failure> {
    let request = Request::Run {
        repository: args.repository.clone(),
        pipeline: args.pipeline.clone(),
        branch: args.branch.clone(),
    };
    let answer = ask(&args.host, &request).await?;
    // A definition that does not validate is a run that has failed already.
    let failed = matches!(&answer, Answer::Done { runs, .. } if runs.iter().any(|run| matches!(run.status, RunStatus::Failed { .. })));
    let exit = tell(answer, &args.host, out)?;
    Ok(if failed { Exit::Negative } else { exit })
}

fn tell(answer: Answer, host: &Host, out: &mut Output) -> Result<Exit, Failure> {
    match answer {
        Answer::Done { message, runs } => {
            let named = runs
                .iter()
                .map(|run| json!({ "run": run.id, "pipeline": run.pipeline.name, "number": run.number }));
            let named: Vec<_> = named.collect();
            out.answer(&json!({ "done": message, "runs": named }), || {
                let over = runs.iter().filter(|run| run.is_over());
                let ends = over.map(|run| format!("\n{} {}", name(run), clean(&run.status.words())));
                clean(&message) + &ends.collect::<String>()
            });
            for run in runs.iter().filter(|run| !run.is_over()) {
                out.hint(&format!("follow it: {}", follow(run, host)));
            }
            Ok(Exit::Answered)
        }
        Answer::Refused(why) => {
            out.answer(&json!({ "refused": why }), || format!("refused: {}", clean(&why)));
            Ok(Exit::Negative)
        }
        _ => Err(unexpected()),
    }
}

/// The command that shows a run live.
pub(super) fn follow(run: &weir_domain::run::Run, host: &Host) -> String {
    format!("weir watch {} --state {}", run.id, host.state.display())
}
