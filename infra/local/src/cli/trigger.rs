//! `weir trigger --kind push --event FILE --config PATH`: the payload alone decides.

use serde::Serialize;
use weir_github::Push;
use weir_github::push::PushError;
use weir_webhook_intake::matching::matching;

use super::args::{Kind, Trigger};
use super::definition::{read_text, sound};
use super::output::{Exit, Failure, Output};
use weir_app::with_causes;

#[derive(Serialize)]
struct Report {
    event: Event,
    runs: Vec<Decided>,
    ignored: Vec<Decided>,
}

#[derive(Serialize)]
struct Event {
    kind: &'static str,
    #[serde(rename = "ref")]
    git_ref: String,
    before: String,
    after: String,
    /// Stands in a header, which is not signed; a body alone has none.
    delivery: Option<String>,
}

#[derive(Serialize)]
struct Decided {
    pipeline: String,
    reason: String,
}

pub(super) fn trigger(args: &Trigger, out: &mut Output) -> Result<Exit, Failure> {
    let Kind::Push = args.kind;
    let push = Push::parse(read_text(&args.event)?.as_bytes()).map_err(|error| malformed(&error))?;
    let sound = sound(&args.config)?;
    let mut report = Report {
        event: Event {
            kind: "push",
            git_ref: push.git_ref.full(),
            before: push.before.to_string(),
            after: push.after.to_string(),
            delivery: None,
        },
        runs: Vec::new(),
        ignored: Vec::new(),
    };
    for (pipeline, answer) in matching(&sound.definition, &push) {
        let reason = answer.reason().to_owned();
        let list = if answer.runs() {
            &mut report.runs
        } else {
            &mut report.ignored
        };
        list.push(Decided { pipeline, reason });
    }
    out.answer(&report, || text(&report));
    Ok(Exit::Answered)
}

fn malformed(error: &PushError) -> Failure {
    match error {
        PushError::Json(source) => Failure::json("the event is no push", source),
        _ => Failure::new(with_causes(error)),
    }
}

fn text(report: &Report) -> String {
    use crate::view::text::clean;
    let mut lines = Vec::new();
    for (word, list) in [("runs", &report.runs), ("ignored", &report.ignored)] {
        for decided in list {
            lines.push(format!(
                "{word:<8} {}: {}",
                clean(&decided.pipeline),
                clean(&decided.reason)
            ));
        }
    }
    if lines.is_empty() {
        lines.push("the definition has no pipeline".into());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_github::Answer;

    #[test]
    fn a_body_that_is_no_json_is_told_with_its_place() {
        let failure = malformed(&Push::parse(b"{\"ref\":\n oops}").unwrap_err());
        assert_eq!((failure.line, failure.column), (Some(2), Some(2)));
        assert_eq!(failure.to_json()["error"]["line"], 2);
    }

    #[test]
    fn answers_stand_in_the_fields_that_programs_read() {
        let decided = Answer::Run("because".into());
        assert!(decided.runs());
        let event = Event {
            kind: "push",
            git_ref: "r".into(),
            before: "b".into(),
            after: "a".into(),
            delivery: None,
        };
        let runs = vec![Decided {
            pipeline: "p".into(),
            reason: decided.reason().into(),
        }];
        let json = serde_json::to_value(Report {
            event,
            runs,
            ignored: Vec::new(),
        })
        .unwrap();
        let expected = serde_json::json!({
            "event": { "kind": "push", "ref": "r", "before": "b", "after": "a", "delivery": null },
            "runs": [{ "pipeline": "p", "reason": "because" }],
            "ignored": [],
        });
        assert_eq!(json, expected);
    }
}
