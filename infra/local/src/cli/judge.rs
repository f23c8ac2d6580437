//! `weir judge --config FILE`: blocks of counts on stdin, a verdict for each on stdout.
//!
//! A block is all lines with its number. It closes when the next number comes, a step ends or the input does, and then
//! it is answered, once: a line of a block that is closed, or of a metric that the open block already has, changes
//! nothing and prints nothing. With `kayenta` in the configuration, lines are metrics with plain series.

mod config;
mod kayenta;

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use weir_domain::json::{self, Fault};
use weir_domain::judge::{Arms, Judge, Metric, Question, Tally, Verdict};

use self::config::question;
use super::args::Judge as Args;
use super::definition::read_text;
use super::output::{Exit, Failure, Output};

/// Bytes of a line: far more than a block's line has.
const MAX_LINE: u64 = 1 << 20;
/// Requests of an arm in a block: 2^53, up to which a number of JSON is exact everywhere.
const MAX_COUNT: u64 = 1 << 53;
/// ln of the greatest evidence that is printed; more would be no JSON number.
const LN_GREATEST: f64 = 700.0;

pub(super) fn judge(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let config = read_text(&args.config)?;
    if let Some(mut session) = kayenta::Session::of(&config)? {
        for_each_line(|line| {
            let answer = session.take(line)?;
            tell(answer, out, |answer| {
                format!("{}  {}", word(answer, "metric"), word(answer, "class"))
            });
            Ok(())
        })?;
        tell(Some(session.end()), out, |answer| {
            format!(
                "score {}  {}  {}",
                answer["score"],
                word(answer, "verdict"),
                word(answer, "why")
            )
        });
        return Ok(Exit::Answered);
    }
    let mut session = Session::new(question(&config)?);
    let block = |answer: &Value| {
        format!(
            "block {}  {}  {}",
            answer["block"],
            word(answer, "verdict"),
            word(answer, "why")
        )
    };
    for_each_line(|line| {
        tell(session.take(line)?, out, block);
        Ok(())
    })?;
    tell(session.end(), out, block);
    Ok(Exit::Answered)
}

/// Hands over each line of stdin; an error tells which it is.
fn for_each_line(mut take: impl FnMut(&str) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut stdin = io::stdin().lock();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = stdin.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut line);
        let length = read.map_err(|error| Failure::new(format!("stdin cannot be read: {error}")))?;
        if length == 0 {
            break;
        }
        let taken = match length as u64 > MAX_LINE {
            true => Err(Failure::new(format!("a line of more than {MAX_LINE} bytes"))),
            false => str::from_utf8(&line)
                .map_err(|_| Failure::new("a line that is not UTF-8 text"))
                .and_then(&mut take),
        };
        taken.map_err(|failure| Failure {
            line: Some(number),
            ..failure
        })?;
    }
    Ok(())
}

fn tell(answer: Option<Value>, out: &mut Output, words: impl Fn(&Value) -> String) {
    if let Some(answer) = answer {
        out.answer(&answer, || words(&answer));
    }
}

fn word<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_default()
}

/// A line of stdin.
enum Line {
    Block(BlockLine),
    End(EndLine),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndLine {
    end_of_step: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockLine {
    block: u64,
    metric: String,
    stable: CountLine,
    candidate: CountLine,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CountLine {
    bad: u64,
    total: u64,
}

impl CountLine {
    fn tally(&self, metric: &str) -> Result<Tally, Failure> {
        if self.total > MAX_COUNT {
            return Err(Failure::new(format!(
                "metric `{metric}`: {} requests: expected at most {MAX_COUNT} in a block; send the counts of each block, not a counter",
                self.total
            )));
        }
        if self.bad > self.total {
            let (bad, total) = (self.bad, self.total);
            return Err(Failure::new(format!(
                "metric `{metric}`: {bad} bad of {total} requests"
            )));
        }
        Ok(Tally::new(self.bad, self.total))
    }
}

/// A judgement under way, and the block that is open.
struct Session {
    judge: Judge,
    alpha: f64,
    open: Option<(u64, BTreeMap<String, Arms>)>,
    closed: Option<u64>,
}

impl Session {
    fn new(question: Question) -> Self {
        Self {
            alpha: question.alpha.value(),
            judge: Judge::new(question),
            open: None,
            closed: None,
        }
    }

    fn take(&mut self, line: &str) -> Result<Option<Value>, Failure> {
        if line.trim_ascii().is_empty() {
            return Ok(None);
        }
        match read(line)? {
            Line::End(EndLine { end_of_step: true }) => Ok(self.end()),
            Line::End(EndLine { end_of_step: false }) => Ok(None),
            Line::Block(line) => self.block(line),
        }
    }

    fn block(&mut self, line: BlockLine) -> Result<Option<Value>, Failure> {
        let arms = Arms {
            stable: line.stable.tally(&line.metric)?,
            candidate: line.candidate.tally(&line.metric)?,
        };
        if self.judge.metrics().all(|(name, _)| name != line.metric) {
            let names: Vec<&str> = self.judge.metrics().map(|(name, _)| name).collect();
            let (found, expected) = (line.metric, names.join(", "));
            return Err(Failure::new(format!(
                "metric `{found}` is not in the configuration: expected {expected}"
            )));
        }
        if self.closed.is_some_and(|closed| line.block <= closed) {
            return Ok(None);
        }
        let answer = match &self.open {
            Some((open, _)) if line.block < *open => return Ok(None),
            Some((open, _)) if line.block > *open => self.close(),
            _ => None,
        };
        let (_, metrics) = self.open.get_or_insert_with(|| (line.block, BTreeMap::new()));
        metrics.entry(line.metric).or_insert(arms);
        Ok(answer)
    }

    /// The next block has begun: the open one is answered.
    fn close(&mut self) -> Option<Value> {
        let id = self.apply()?;
        let (verdict, why) = self.judge.look();
        Some(answer(id, verdict, &why, &self.metrics()))
    }

    /// The step is over: its last block is answered with the step's verdict.
    fn end(&mut self) -> Option<Value> {
        let id = self.apply()?;
        // The numbers of the step, before evidence starts again.
        let metrics = self.metrics();
        let (verdict, why) = self.judge.end_of_step();
        Some(answer(id, verdict, &why, &metrics))
    }

    fn apply(&mut self) -> Option<u64> {
        let (id, block) = self.open.take()?;
        self.judge.add(&block);
        self.closed = Some(id);
        Some(id)
    }

    fn metrics(&self) -> Map<String, Value> {
        let one = |(name, metric): (&str, &Metric)| {
            let (low, high) = metric.ratio_bounds(self.alpha);
            let e_value = self.judge.ln_e_of(name).min(LN_GREATEST).exp();
            let numbers = json!({"e_value": e_value, "ratio_low": low, "ratio_high": high});
            (name.to_owned(), numbers)
        };
        self.judge.metrics().map(one).collect()
    }
}

fn answer(block: u64, verdict: Verdict, why: &str, metrics: &Map<String, Value>) -> Value {
    json!({"block": block, "verdict": verdict.as_str(), "why": why, "metrics": metrics})
}

fn read(line: &str) -> Result<Line, Failure> {
    let unread = |fault: Fault| Failure::unread("a block", &fault);
    let value: Value = json::read(line).map_err(unread)?;
    let read = match value.get("end_of_step") {
        Some(_) => json::read(line).map(Line::End),
        None => json::read(line).map(Line::Block),
    };
    read.map_err(unread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(config: &str) -> Session {
        Session::new(question(config).unwrap())
    }

    const CONFIG: &str = r#"{"alpha": 0.01, "min_samples": 100, "promote": "article", "metrics": {"errors": {"limit": 0.02, "margin": 1.25}}}"#;

    fn line(block: u64, bad: u64) -> String {
        format!(
            r#"{{"block":{block},"metric":"errors","stable":{{"bad":7,"total":700}},"candidate":{{"bad":{bad},"total":40}}}}"#
        )
    }

    fn feed(session: &mut Session, lines: &[String]) -> Vec<Value> {
        lines
            .iter()
            .filter_map(|line| session.take(line).unwrap())
            .collect()
    }

    #[test]
    fn a_block_is_answered_once_when_the_next_begins() {
        let mut session = session(CONFIG);
        assert!(feed(&mut session, &[line(1, 0), line(1, 40)]).is_empty());
        let answers = feed(&mut session, &[line(2, 1), line(1, 3), line(2, 9)]);
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0]["block"], 1);
        assert_eq!(answers[0]["verdict"], "continue");
        let last = session.end().unwrap();
        assert_eq!(
            (&last["block"], &last["verdict"]),
            (&json!(2), &json!("inconclusive"))
        );
        assert!(session.end().is_none());
    }

    #[test]
    fn a_good_step_is_promoted_at_its_end_only_and_a_bad_one_goes_back_for_good() {
        let mut good = session(CONFIG);
        let lines: Vec<String> = (0..30)
            .map(|block| line(block, u64::from(block % 3 == 0)))
            .collect();
        let answers = feed(&mut good, &lines);
        assert!(answers.iter().all(|answer| answer["verdict"] == "continue"));
        let end = good.take(r#"{"end_of_step":true}"#).unwrap().unwrap();
        assert_eq!(end["verdict"], "promote", "{end}");
        let mut bad = session(CONFIG);
        let lines: Vec<String> = (0..30)
            .map(|block| line(block, if block < 10 { 6 } else { 0 }))
            .collect();
        let answers = feed(&mut bad, &lines);
        let first = answers
            .iter()
            .position(|answer| answer["verdict"] == "rollback")
            .unwrap();
        assert!(first < 5, "{first}");
        assert!(
            answers[first..]
                .iter()
                .all(|answer| answer["verdict"] == "rollback")
        );
        assert!(answers[first]["metrics"]["errors"]["e_value"].as_f64().unwrap() >= 100.0);
        assert_eq!(bad.end().unwrap()["verdict"], "rollback");
    }

    #[test]
    fn the_greatest_counts_are_judged() {
        let mut session = session(CONFIG);
        let most = format!(r#"{{"bad":{MAX_COUNT},"total":{MAX_COUNT}}}"#);
        let lines: Vec<String> = (0..3000)
            .map(|block| {
                format!(r#"{{"block":{block},"metric":"errors","stable":{most},"candidate":{most}}}"#)
            })
            .collect();
        feed(&mut session, &lines);
        assert_eq!(session.end().unwrap()["verdict"], "rollback");
    }

    #[test]
    fn what_cannot_be_asked_or_read_is_told() {
        let faults = [
            (r#"{"alpha": 1, "metrics": {"e": {}}}"#, "alpha 1"),
            (r#"{"alpha": 0, "metrics": {"e": {}}}"#, "alpha 0"),
            (r#"{"metrics": {}}"#, "0 metrics"),
            (r#"{"metrics": {"e": {"limit": 2}}}"#, "limit 2"),
            (r#"{"metrics": {"e": {"margin": -1}}}"#, "margin -1"),
            (
                r#"{"promote": "proven", "metrics": {"e": {}}}"#,
                "nothing to prove",
            ),
            (r#"{"promote": "maybe", "metrics": {"e": {}}}"#, "unknown variant"),
            (r#"{"metrics": {"e": {"limits": 0.1}}}"#, "unknown field"),
        ];
        for (config, says) in faults {
            let message = question(config).unwrap_err().message;
            assert!(message.contains(says), "{config}: {message}");
        }
        let mut session = session(CONFIG);
        for bad in [
            "nope",
            "[]",
            r#"{"block":1}"#,
            &line(1, 41),
            &line(1, 1).replace("700", "18446744073709551615"),
            &line(1, 1).replace("errors", "errs"),
            &line(1, 1).replace("\"bad\":1", "\"bad\":-1"),
            &line(1, 1).replace("\"total\":40", "\"total\":18446744073709551615"),
        ] {
            assert!(session.take(bad).is_err(), "{bad}");
        }
        for (line, says) in [
            ("[]", "a block: invalid type: sequence, expected an object"),
            (
                r#"{"block":1,"block":2}"#,
                "a block: the key `block` stands twice",
            ),
            (r#"{"end_of_step":1}"#, "a block: end_of_step: invalid type"),
            (
                r#"{"end_of_step":true,"block":1}"#,
                "a block: unknown field `block`",
            ),
            (
                r#"{"block":1,"metric":"errors","stable":[7,700]}"#,
                "a block: stable: invalid type: sequence, expected an object",
            ),
            (
                &line(1, 1).replace("\"bad\":1,", "\"bad\":1,\"worse\":1,"),
                "a block: candidate: unknown field `worse`",
            ),
            (
                &line(1, 1).replace("\"block\":1,", "\"block\":1,\"step\":1,"),
                "a block: unknown field `step`",
            ),
        ] {
            let message = session.take(line).unwrap_err().message;
            assert!(message.starts_with(says), "{line}: {message}");
        }
    }
}
