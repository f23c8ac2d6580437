//! The text form of conditions, and what `weir condition` answers.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

use proptest::prelude::*;
use serde_json::{Value, json};
use weir_domain::condition::{Aggregate, Comparison, Condition, Dimension, Mode, Op, Quantity, Window};
use weir_domain::time::Span;
use weir_spec::{CommandError, Metrics, ParseError, condition_json, parse_condition};

fn parse(text: &str) -> Result<Condition, ParseError> {
    parse_condition(text, &Metrics::default())
}

fn fault(text: &str) -> (String, usize) {
    let error = parse(text).expect_err(text);
    (error.to_string(), error.at)
}

#[test]
fn the_articles_conditions_have_the_values_they_say() {
    let condition = parse("error_rate > 2% || latency_p99 > 1000ms").unwrap();
    let Condition::Or(parts) = &condition else {
        panic!("no or: {condition}")
    };
    let lines: Vec<_> = parts
        .iter()
        .map(|part| match part {
            Condition::Compare(c) => (c.metric.as_str(), c.op, c.line.value, c.line.dimension),
            other => panic!("no comparison: {other}"),
        })
        .collect();
    assert_eq!(
        lines,
        [
            ("error_rate", Op::Above, 0.02, Dimension::Ratio),
            ("latency_p99", Op::Above, 1.0, Dimension::Seconds)
        ]
    );
    assert!(parse("error_rate > 5%").is_ok());
    assert!(parse("latency_p99 > 5s").is_ok());
}

#[test]
fn and_binds_tighter_than_or_and_parentheses_win() {
    let table = [
        (
            "error_rate>1% || queue_depth>1 && restarts>1",
            "error_rate > 1% || (queue_depth > 1 && restarts > 1)",
        ),
        (
            "(error_rate>1% || queue_depth>1) && restarts>1",
            "(error_rate > 1% || queue_depth > 1) && restarts > 1",
        ),
        ("!error_rate > 1%", "!(error_rate > 1%)"),
        (
            "!(error_rate > 1% && restarts >= 2)",
            "!(error_rate > 1% && restarts >= 2)",
        ),
        ("((error_rate > 1 %))", "error_rate > 1%"),
        ("latency_p99 > 1s for 90s", "latency_p99 > 1s for 90s"),
        (
            "latency_p99 > 1m30s for 1h30m && restarts > 0",
            "latency_p99 > 1m30s for 90m && restarts > 0",
        ),
        ("latency_p99 > 1m 30s for 1h 30m", "latency_p99 > 1m30s for 90m"),
        (
            "latency_p99 > 1s for 5m && restarts > 0",
            "latency_p99 > 1s for 5m && restarts > 0",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(parse(text).unwrap().to_string(), expected);
    }
}

#[test]
fn names_and_units_that_do_not_fit_are_refused_where_they_stand() {
    let table = [
        (
            "error_rate > 1000ms",
            13,
            "`error_rate` compared with `1000ms`: expected a percentage",
        ),
        (
            "latency_p99 > 2%",
            14,
            "`latency_p99` compared with `2%`: expected a time",
        ),
        (
            "latency_p99 > 2",
            14,
            "`latency_p99` compared with `2`: expected a time",
        ),
        (
            "error_rate > 2",
            13,
            "`error_rate` compared with `2`: expected a percentage",
        ),
        (
            "queue_depth > 5%",
            14,
            "`queue_depth` compared with `5%`: expected a plain number",
        ),
        ("eror_rate > 2%", 0, "(did you mean `error_rate`?)"),
        ("latency_99 > 2s", 0, "(did you mean `latency_p99`?)"),
        ("error_rate > 2% or restarts > 1", 16, "write `||`"),
        ("error_rate > 2% | restarts > 1", 16, "did you mean `||`?"),
        ("error_rate = 2%", 11, "did you mean `==`?"),
        ("error_rate > ", 13, "the end of the condition: expected a number"),
        (
            "error_rate",
            10,
            "the end of the condition: expected a comparison",
        ),
        ("", 0, "the end of the condition: expected a metric"),
        ("(error_rate > 2%", 16, "expected `)`"),
        ("error_rate > 2%)", 15, "`)`: expected `&&`, `||` or the end"),
        ("error_rate > 2% for", 19, "expected a time, for example 5m"),
        ("error_rate > 2% for 0s", 20, "a time longer than nothing"),
        ("error_rate > 2parsecs", 13, "expected a number with a unit"),
        ("2% < error_rate", 0, "`2%`: expected a metric"),
        ("error_rate > -2%", 13, "expected a number"),
        ("模型 > 2%", 0, "expected a metric"),
    ];
    for (text, at, says) in table {
        let (message, found) = fault(text);
        assert!(message.contains(says), "{text}: {message}");
        assert_eq!(found, at, "{text}: {message}");
    }
}

#[test]
fn a_window_follows_its_metric_and_is_a_mean_unless_it_says_otherwise() {
    let table = [
        ("error_rate[5m] > 2%", "error_rate[5m] > 2%"),
        (
            "latency_p99 [ 300s ] > 1s || restarts > 1",
            "latency_p99[5m] > 1s || restarts > 1",
        ),
        ("avg(queue_depth[5m])>10", "queue_depth[5m] > 10"),
        (
            "max( queue_depth[ 90m] ) > 10 for 2m",
            "max(queue_depth[90m]) > 10 for 2m",
        ),
        (
            "max(queue_depth[1h30m]) > 10 for 1m 30s",
            "max(queue_depth[90m]) > 10 for 90s",
        ),
        ("!(min(ttft_p95[90s]) >= 2s)", "!(min(ttft_p95[90s]) >= 2s)"),
    ];
    for (text, expected) in table {
        let condition = parse(text).unwrap();
        assert_eq!(condition.to_string(), expected);
        assert_eq!(parse(expected).unwrap(), condition, "{text}");
    }
    let mut metrics = Metrics::default();
    metrics.declare("max", None);
    assert!(
        parse_condition("max > 3 && max(max[5m]) > 3", &metrics).is_ok(),
        "a metric of that name"
    );
}

#[test]
fn a_window_that_cannot_be_is_refused_where_it_stands() {
    let table = [
        (
            "error_rate[0s] > 2%",
            11,
            "`0s`: expected a time longer than nothing",
        ),
        ("error_rate[] > 2%", 11, "`]`: expected a time, for example 5m"),
        ("error_rate[5] > 2%", 11, "`5`: expected a time with a unit"),
        ("error_rate[5%] > 2%", 11, "`5%`: expected a time with a unit"),
        ("error_rate[9999d] > 2%", 11, "expected a time of a year at most"),
        ("error_rate[1h30] > 2%", 13, "`30`: expected `]`"),
        ("error_rate[1h30x] > 2%", 13, "`30x`: expected `]`"),
        ("error_rate[1h2h%] > 2%", 13, "`2h%`: expected `]`"),
        (
            "error_rate[1.5h30m] > 2%",
            11,
            "`1.5h30m`: expected a time with a unit",
        ),
        ("error_rate > 2% for 1h30x", 22, "`30x`: expected"),
        ("error_rate[five] > 2%", 11, "`five`: expected a time"),
        ("error_rate[5m > 2%", 14, "`>`: expected `]`"),
        (
            "error_rate > 2%[5m]",
            15,
            "a window follows the metric: `error_rate[5m]`",
        ),
        ("error_rate[5m][5m] > 2%", 14, "`[`: expected a comparison"),
        (
            "error_rate[5m] > 1000ms",
            17,
            "`error_rate` compared with `1000ms`: expected a percentage",
        ),
        (
            "max(queue_depth[5m]) > 5%",
            23,
            "`queue_depth` compared with `5%`: expected a plain number",
        ),
        ("eror_rate[5m] > 2%", 0, "did you mean `error_rate`?"),
        ("max(queue_dept[5m]) > 2", 4, "did you mean `queue_depth`?"),
        (
            "max(queue_depth) > 5",
            15,
            "`)`: expected a window, for example `[5m]`",
        ),
        (
            "avg(queue_depth, 5m) > 5",
            15,
            "`,`: expected a window, for example `[5m]`",
        ),
        ("max(queue_depth[5m] > 5", 20, "`>`: expected `)`"),
        ("max(5m) > 5", 4, "`5m`: expected a metric"),
        (
            "p95(queue_depth[5m]) > 5",
            0,
            "unknown aggregate `p95`: expected avg, max or min",
        ),
        (
            "max_over_time(queue_depth[5m]) > 5",
            0,
            "did you mean `max(…[5m])`?",
        ),
        ("mean(queue_depth[5m]) > 5", 0, "did you mean `avg(…[5m])`?"),
        ("error_rate(5m) > 2%", 0, "a window is written `error_rate[5m]`"),
        (
            "max(error_rate[5m]) > 2%",
            0,
            "`max` of `error_rate`: expected `error_rate` with its window alone",
        ),
        (
            "avg(latency_p99[5m]) > 1s",
            0,
            "`avg` of `latency_p99`: expected `latency_p99` with its window alone",
        ),
    ];
    for (text, at, says) in table {
        let (message, found) = fault(text);
        assert!(message.contains(says), "{text}: {message}");
        assert_eq!(found, at, "{text}: {message}");
    }
}

#[test]
fn a_declared_metric_may_be_used() {
    let mut metrics = Metrics::default();
    metrics.declare("model_a.inference.latency", Some(Dimension::Seconds));
    assert!(parse_condition("model_a.inference.latency > 1s", &metrics).is_ok());
    assert!(parse_condition("model_a.inference.latency > 1%", &metrics).is_err());
}

#[test]
fn length_depth_and_number_of_comparisons_have_limits() {
    let deep = format!("{}error_rate > 1%{}", "(".repeat(5_000), ")".repeat(5_000));
    let nested = format!("{}error_rate > 1%{}", "(".repeat(40), ")".repeat(40));
    let negated = format!("{}error_rate > 1%", "!".repeat(40));
    let many = vec!["restarts > 1"; 33].join(" || ");
    for text in [deep, nested, negated, many] {
        assert!(
            parse(&text).unwrap_err().expected.contains("at most"),
            "{text:.40}"
        );
    }
    assert!(parse(&vec!["restarts > 1"; 32].join(" || ")).is_ok());
}

fn answer(text: &str, values: &str) -> Value {
    condition_json(text, values).unwrap()
}

#[test]
fn recorded_values_are_answered_with_what_they_rest_on() {
    let text = "error_rate > 2% || latency_p99 > 1000ms";
    let table = [
        (
            r#"{"error_rate": 0.03, "latency_p99": 0.2}"#,
            json!(true),
            json!(["error_rate", "latency_p99"]),
            json!([]),
        ),
        (
            r#"{"error_rate": "1%", "latency_p99": "800ms"}"#,
            json!(false),
            json!(["error_rate", "latency_p99"]),
            json!([]),
        ),
        (
            r#"{"error_rate": null, "latency_p99": 0.2}"#,
            json!("no_data"),
            json!(["latency_p99"]),
            json!(["error_rate"]),
        ),
        (
            r#"{"latency_p99": 3}"#,
            json!(true),
            json!(["latency_p99"]),
            json!(["error_rate"]),
        ),
        (
            "{}",
            json!("no_data"),
            json!([]),
            json!(["error_rate", "latency_p99"]),
        ),
    ];
    for (values, result, used, missing) in table {
        let expected = json!({"result": result, "used": used, "missing": missing, "errors": []});
        assert_eq!(answer(text, values), expected, "{values}");
    }
}

#[test]
fn a_value_that_is_none_is_an_error_and_beats_no_data() {
    let text = "error_rate > 2% || latency_p99 > 1000ms";
    for value in [
        r#""2 parsecs""#,
        "true",
        r#""800ms""#,
        r#"{"error": "timed out"}"#,
        "[[1]]",
        "[[1,2],[1,3]]",
        "{}",
    ] {
        let out = answer(text, &format!(r#"{{"error_rate": {value}}}"#));
        assert_eq!(out["result"], json!("error"), "{value}");
        assert_eq!(out["errors"][0]["metric"], json!("error_rate"), "{value}");
        assert_eq!(out["missing"], json!(["latency_p99"]), "{value}");
    }
}

#[test]
fn series_answer_conditions_that_last() {
    let text = "error_rate > 5% for 5m";
    let all = r#"{"error_rate": [[0, 0.06], [120, "7%"], [300, 0.08]]}"#;
    assert_eq!(answer(text, all)["result"], json!(true));
    let dip = r#"{"error_rate": [[0, 0.06], [120, 0.01], [300, 0.08]]}"#;
    assert_eq!(answer(text, dip)["result"], json!(false));
    let late = r#"{"error_rate": [[60, 0.06], [300, 0.08]]}"#;
    assert_eq!(answer(text, late)["result"], json!("no_data"));
}

#[test]
fn series_answer_windows_and_say_why_they_do_not() {
    let text = "queue_depth[5m] > 10";
    let all = r#"{"queue_depth": [[0, 90], [100, 8], [200, 4], [300, 30]]}"#;
    assert_eq!(
        answer(text, all),
        json!({"result": true, "used": ["queue_depth"], "missing": [], "errors": []})
    );
    assert_eq!(
        answer("max(queue_depth[5m]) > 50", all)["result"],
        json!(false),
        "90 was before"
    );
    assert_eq!(answer("min(queue_depth[5m]) < 5", all)["result"], json!(true));
    assert_eq!(
        answer(
            "error_rate[5m] > 2%",
            r#"{"error_rate": [[0, "1%"], [150, "5%"], [300, 0.02]]}"#
        )["result"],
        json!(true)
    );
    let late = r#"{"queue_depth": [[100, 90], [300, 90]]}"#;
    let reasons = json!([{"metric": "queue_depth", "message": "readings reach back 3m 20s of 5m"}]);
    assert_eq!(
        answer(text, late),
        json!({"result": "no_data", "used": [], "missing": ["queue_depth"], "errors": [], "reasons": reasons})
    );
    assert_eq!(answer(text, r#"{"queue_depth": 90}"#)["result"], json!("no_data"));
}

#[test]
fn a_metric_of_the_values_needs_no_declaration() {
    assert_eq!(
        answer("speed > 5 tokens/s", r#"{"speed": "6 tokens/s"}"#)["result"],
        json!(true)
    );
    assert_eq!(
        answer("speed > 5 tokens/s", r#"{"speed": "6ms"}"#)["result"],
        json!("error")
    );
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    let error = condition_json("error_rate >> 2%", "{}").unwrap_err().to_json();
    assert_eq!(error["error"]["column"], json!(13));
    let error = condition_json("error_rate > 2%", "{\n nope").unwrap_err();
    assert!(
        matches!(error, CommandError::Values { line: Some(2), .. }),
        "{error:?}"
    );
    assert!(condition_json("error_rate > 2%", "[]").is_err());
    assert!(
        condition_json("error_rat > 2%", "{}")
            .unwrap_err()
            .to_json()
            .to_string()
            .contains("error_rate")
    );
}

fn any_comparison() -> impl Strategy<Value = Condition> {
    let ops = [
        Op::Above,
        Op::AtLeast,
        Op::Below,
        Op::AtMost,
        Op::Equal,
        Op::NotEqual,
    ];
    let lines = prop_oneof![
        (0_u32..=100).prop_map(|n| (
            "error_rate",
            f64::from(n) / 100.0,
            Dimension::Ratio,
            format!("{n}%")
        )),
        (0_u32..9_999).prop_map(|n| (
            "latency_p99",
            f64::from(n) / 1000.0,
            Dimension::Seconds,
            format!("{n}ms")
        )),
        (0_u32..99).prop_map(|n| ("queue_depth", f64::from(n), Dimension::Number, n.to_string())),
        (1_u32..64).prop_map(|n| (
            "memory_used",
            f64::from(n) * 1024.0 * 1024.0 * 1024.0,
            Dimension::Bytes,
            format!("{n}GiB")
        )),
        (0_u32..999).prop_map(|n| (
            "tokens_per_second",
            f64::from(n),
            Dimension::TokensPerSecond,
            format!("{n}tokens/s")
        )),
    ];
    (
        lines,
        prop::sample::select(ops.to_vec()),
        prop::option::of(1_u64..100_000_000),
        prop::option::of((1_u64..100_000_000, prop::sample::select(Aggregate::ALL.to_vec()))),
    )
        .prop_map(|((metric, value, dimension, written), op, during, window)| {
            let counted = matches!(metric, "error_rate" | "latency_p99");
            let window = window.map(|(ms, by)| Window {
                span: Span::millis(ms),
                by: if counted { Aggregate::Avg } else { by },
            });
            let line = Quantity {
                value,
                dimension,
                written,
            };
            Condition::Compare(Comparison {
                metric: metric.into(),
                window,
                op,
                line,
                during: during.map(Span::millis),
                mode: Mode::Evidence,
            })
        })
}

fn any_condition() -> impl Strategy<Value = Condition> {
    any_comparison().prop_recursive(3, 16, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            list.clone().prop_map(Condition::And),
            list.prop_map(Condition::Or),
            inner.prop_map(|c| Condition::Not(Box::new(c))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same_condition(condition in any_condition()) {
        prop_assert_eq!(parse(&condition.to_string()), Ok(condition));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_mixture_of_its_own_words_makes_the_parser_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "error_rate", "latency_p99", ">", "<=", "==", "!", "(", ")", "&&", "||", "2%", "5 s", "for", "5m", " ", "1e9", ".", "[", "]", "max",
        ]), 0..20)
    ) {
        let _ = parse(&words.join(" "));
        let _ = parse(&words.concat());
    }
}

#[test]
fn a_value_that_its_metric_cannot_have_is_an_error_and_a_settled_condition_is_told() {
    let answer = |text: &str, values: &str| condition_json(text, values).unwrap();
    for (values, message) in [
        (r#"{"error_rate": 5}"#, "5: expected a share, 0 to 1"),
        (r#"{"error_rate": -0.5}"#, "-0.5: expected a share, 0 to 1"),
        (r#"{"error_rate": "150%"}"#, "1.5: expected a share, 0 to 1"),
        (
            r#"{"error_rate": [[0, 0.1], [60, 7]]}"#,
            "7: expected a share, 0 to 1",
        ),
    ] {
        let told = answer("error_rate > 2%", values);
        assert_eq!(told["result"], "error", "{values}");
        assert_eq!(
            told["errors"],
            json!([{"metric": "error_rate", "message": message}]),
            "{values}"
        );
    }
    assert_eq!(
        answer("latency_p99 > 1s", r#"{"latency_p99": -1}"#)["errors"][0]["message"],
        "-1: expected 0 or more"
    );
    assert_eq!(answer("mine > 1", r#"{"mine": -1}"#)["result"], false);
    assert_eq!(
        answer("error_rate > 2%", r#"{"error_rate": 1}"#),
        json!({
            "result": true, "used": ["error_rate"], "missing": [], "errors": [],
        })
    );
    let settled = answer("error_rate > 200%", r#"{"error_rate": 0.5}"#);
    assert_eq!(settled["result"], false);
    assert!(
        settled["notes"][0]
            .as_str()
            .unwrap()
            .contains("error_rate > 200%"),
        "{settled}"
    );
}

#[test]
fn a_value_twice_is_no_value() {
    let error = condition_json("error_rate > 2%", "{\"error_rate\": 0,\n\"error_rate\": 1}").unwrap_err();
    let told = error.to_json();
    assert_eq!(
        told["error"]["message"],
        "the values cannot be read: the key `error_rate` stands twice"
    );
    assert_eq!(told["error"]["line"], 2);
}
