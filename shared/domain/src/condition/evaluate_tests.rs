use super::*;
use crate::condition::{Aggregate, Dimension, Mode, Op, Quantity, Window};
use crate::time::Span;
use proptest::prelude::*;

const OPS: [Op; 6] = [
    Op::Above,
    Op::AtLeast,
    Op::Below,
    Op::AtMost,
    Op::Equal,
    Op::NotEqual,
];

fn comparison(metric: &str, op: Op, value: f64, during: Option<Span>) -> Condition {
    let line = Quantity {
        value,
        dimension: Dimension::Number,
        written: value.to_string(),
    };
    Condition::Compare(Comparison {
        metric: metric.into(),
        window: None,
        op,
        line,
        during,
        mode: Mode::Evidence,
    })
}

fn above(metric: &str, value: f64) -> Condition {
    comparison(metric, Op::Above, value, None)
}

fn readings(pairs: &[(&str, Reading)]) -> BTreeMap<String, Reading> {
    pairs
        .iter()
        .map(|(name, reading)| ((*name).to_owned(), reading.clone()))
        .collect()
}

fn world() -> BTreeMap<String, Reading> {
    readings(&[
        ("yes", Reading::Number(2.0)),
        ("no", Reading::Number(0.0)),
        ("none", Reading::NoData),
        ("broken", Reading::Error("refused".into())),
    ])
}

fn result(condition: &Condition) -> Truth {
    evaluate(condition, &world()).result
}

#[test]
fn kleene_logic_decides_what_it_can_and_an_error_beats_no_data() {
    use Truth::{Error, False, NoData, True};
    let names = ["yes", "no", "none", "broken"];
    let and = [
        [True, False, NoData, Error],
        [False, False, False, False],
        [NoData, False, NoData, Error],
        [Error, False, Error, Error],
    ];
    let or = [
        [True, True, True, True],
        [True, False, NoData, Error],
        [True, NoData, NoData, Error],
        [True, Error, Error, Error],
    ];
    for (i, a) in names.iter().enumerate() {
        for (j, b) in names.iter().enumerate() {
            let parts = || vec![above(a, 1.0), above(b, 1.0)];
            assert_eq!(result(&Condition::And(parts())), and[i][j], "{a} && {b}");
            assert_eq!(result(&Condition::Or(parts())), or[i][j], "{a} || {b}");
        }
    }
}

#[test]
fn an_unknown_metric_is_missing_and_lists_are_complete_without_short_cuts() {
    let parts = ["yes", "broken", "none", "absent"].map(|name| above(name, 1.0));
    let answer = evaluate(&Condition::Or(parts.to_vec()), &world());
    assert_eq!(answer.result, Truth::True);
    assert_eq!(answer.used.iter().collect::<Vec<_>>(), ["yes"]);
    assert_eq!(answer.missing.iter().collect::<Vec<_>>(), ["absent", "none"]);
    assert_eq!(answer.errors["broken"], "refused");
}

/// `error_rate > 1 for 5m` over points at these seconds.
fn lasting(points: &[(f64, Option<f64>)]) -> Truth {
    let condition = comparison("m", Op::Above, 1.0, Some(Span::minutes(5)));
    evaluate(&condition, &readings(&[("m", Reading::Series(points.to_vec()))])).result
}

#[test]
fn a_condition_for_a_time_needs_the_whole_time() {
    let (high, low, gap) = (Some(2.0), Some(0.5), None);
    type Row<'a> = (&'a [(f64, Option<f64>)], Truth);
    let table: [Row<'_>; 8] = [
        (&[(0.0, high), (150.0, high), (300.0, high)], Truth::True),
        (&[(100.0, high), (200.0, high), (300.0, high)], Truth::NoData),
        (&[(0.0, high), (150.0, low), (300.0, high)], Truth::False),
        (&[(0.0, low), (1.0, high), (301.0, high)], Truth::True),
        (&[(0.0, low), (2.0, high), (301.0, high)], Truth::False),
        (&[(0.0, high), (150.0, gap), (300.0, high)], Truth::NoData),
        (&[(0.0, gap), (150.0, low), (300.0, high)], Truth::False),
        (&[], Truth::NoData),
    ];
    for (points, expected) in table {
        assert_eq!(lasting(points), expected, "{points:?}");
        let backwards: Vec<_> = points.iter().rev().copied().collect();
        assert_eq!(
            lasting(&backwards),
            expected,
            "the order of points says nothing: {points:?}"
        );
    }
}

#[test]
fn one_number_never_shows_that_something_lasted() {
    let condition = comparison("yes", Op::Above, 1.0, Some(Span::minutes(5)));
    assert_eq!(result(&condition), Truth::NoData);
    let condition = comparison("no", Op::Above, 1.0, Some(Span::minutes(5)));
    assert_eq!(result(&condition), Truth::False);
}

#[test]
fn what_is_no_number_is_no_data() {
    let nan = [
        Reading::Number(f64::NAN),
        Reading::Series(vec![(1.0, Some(f64::NAN))]),
    ];
    for (reading, op) in nan.iter().flat_map(|reading| OPS.map(|op| (reading, op))) {
        let world = readings(&[("m", reading.clone())]);
        assert_eq!(
            evaluate(&comparison("m", op, 1.0, None), &world).result,
            Truth::NoData
        );
    }
}

#[test]
fn a_series_without_a_time_means_its_latest_point() {
    let world = readings(&[(
        "m",
        Reading::Series(vec![(10.0, Some(0.0)), (20.0, Some(5.0)), (5.0, Some(0.0))]),
    )]);
    assert_eq!(evaluate(&above("m", 1.0), &world).result, Truth::True);
}

/// The comparison with its metric taken over five minutes.
fn over(by: Aggregate, op: Op, value: f64, during: Option<Span>) -> Condition {
    let Condition::Compare(comparison) = comparison("m", op, value, during) else {
        panic!("a comparison")
    };
    let span = Span::minutes(5);
    let window = Some(Window { span, by });
    Condition::Compare(Comparison { window, ..comparison })
}

#[test]
fn a_window_is_asked_once_its_readings_tell_of_all_of_it_or_no_other_can_change_it() {
    use Aggregate::{Avg, Max, Min};
    let falling: &[(f64, Option<f64>)] = &[
        (0.0, Some(90.0)),
        (100.0, Some(8.0)),
        (200.0, Some(4.0)),
        (300.0, Some(3.0)),
    ];
    let (short, sparse) = (&falling[1..], &[falling[0], falling[3]][..]);
    let silent_now: &[(f64, Option<f64>)] = &[falling[0], falling[1], falling[2], (300.0, None)];
    let (late, gap) = ("readings reach back 3m 20s of 5m", "no reading for 5m of 5m");
    type Row<'a> = (
        Aggregate,
        Op,
        f64,
        &'a [(f64, Option<f64>)],
        Truth,
        Option<&'a str>,
    );
    let table: [Row<'_>; 16] = [
        (Avg, Op::Equal, 5.0, falling, Truth::True, None),
        (Avg, Op::Above, 5.0, falling, Truth::False, None),
        (Max, Op::Equal, 8.0, falling, Truth::True, None),
        (Min, Op::AtMost, 3.0, falling, Truth::True, None),
        (Avg, Op::Equal, 6.0, silent_now, Truth::True, None),
        (Avg, Op::Above, 1.0, short, Truth::NoData, Some(late)),
        (Avg, Op::Above, 90.0, short, Truth::NoData, Some(late)),
        (Max, Op::Above, 7.0, short, Truth::True, None),
        (Max, Op::Above, 9.0, short, Truth::NoData, Some(late)),
        (Max, Op::AtMost, 7.0, short, Truth::False, None),
        (Max, Op::NotEqual, 7.0, short, Truth::NoData, Some(late)),
        (Min, Op::Below, 4.0, short, Truth::True, None),
        (Min, Op::Above, 2.0, short, Truth::NoData, Some(late)),
        (Min, Op::Above, 3.0, short, Truth::False, None),
        (Avg, Op::Above, 1.0, sparse, Truth::NoData, Some(gap)),
        (Avg, Op::Above, 1.0, &[], Truth::NoData, None),
    ];
    for (by, op, line, points, expected, why) in table {
        let condition = over(by, op, line, None);
        let answer = evaluate(&condition, &readings(&[("m", Reading::Series(points.to_vec()))]));
        assert_eq!(answer.result, expected, "{condition} {points:?}");
        assert_eq!(
            answer.reasons.get("m").map(String::as_str),
            why,
            "{condition} {points:?}"
        );
    }
}

#[test]
fn one_number_is_no_window_and_a_failed_source_none_either() {
    let said = |reading: Reading, by| {
        let answer = evaluate(&over(by, Op::Above, 1.0, None), &readings(&[("m", reading)]));
        (
            answer.result,
            answer.reasons.len(),
            answer.missing.len(),
            answer.errors.len(),
        )
    };
    assert_eq!(
        said(Reading::Number(5.0), Aggregate::Avg),
        (Truth::NoData, 1, 1, 0)
    );
    assert_eq!(said(Reading::Number(5.0), Aggregate::Max), (Truth::True, 0, 0, 0));
    assert_eq!(said(Reading::NoData, Aggregate::Avg), (Truth::NoData, 0, 1, 0));
    assert_eq!(
        said(Reading::Error("x".into()), Aggregate::Avg),
        (Truth::Error, 0, 0, 1)
    );
}

#[test]
fn a_window_that_must_hold_for_a_time_is_asked_at_every_reading_of_it() {
    let minutes = |from: u32, dip: u32| -> Reading {
        let points = (from..=10).map(|minute| {
            let number = if minute == dip { -90.0 } else { 10.0 };
            (f64::from(minute) * 60.0, Some(number))
        });
        Reading::Series(points.collect())
    };
    let lasts = |reading: Reading| {
        let condition = over(Aggregate::Avg, Op::Above, 5.0, Some(Span::minutes(5)));
        evaluate(&condition, &readings(&[("m", reading)])).result
    };
    assert_eq!(lasts(minutes(0, 99)), Truth::True);
    assert_eq!(
        lasts(minutes(1, 99)),
        Truth::NoData,
        "the first window is not covered"
    );
    assert_eq!(
        lasts(minutes(0, 3)),
        Truth::False,
        "a dip that is in the earlier windows"
    );
    assert_eq!(lasts(minutes(0, 0)), Truth::True, "one that none of them holds");
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let during = prop_oneof![Just(None), (1_u64..10_000).prop_map(|ms| Some(Span::millis(ms)))];
    let by = prop::sample::select(Aggregate::ALL.to_vec());
    let window = prop::option::of((1_000_u64..10_000, by));
    let leaf = ("[a-d]", 0..OPS.len(), -2.0..2.0_f64, during, window).prop_map(
        |(metric, op, value, during, window)| {
            let Condition::Compare(comparison) = comparison(&metric, OPS[op], value, during) else {
                unreachable!("made as a comparison")
            };
            let window = window.map(|(ms, by)| Window {
                span: Span::millis(ms),
                by,
            });
            Condition::Compare(Comparison { window, ..comparison })
        },
    );
    leaf.prop_recursive(4, 32, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            list.clone().prop_map(Condition::And),
            list.prop_map(Condition::Or),
            inner.prop_map(|c| Condition::Not(Box::new(c))),
        ]
    })
}

fn any_reading() -> impl Strategy<Value = Reading> {
    let point = (any::<f64>(), prop::option::of(any::<f64>()));
    prop_oneof![
        any::<f64>().prop_map(Reading::Number),
        prop::collection::vec(point, 0..8).prop_map(Reading::Series),
        Just(Reading::NoData),
        Just(Reading::Error("x".into())),
    ]
}

fn any_world() -> impl Strategy<Value = BTreeMap<String, Reading>> {
    prop::collection::btree_map("[a-d]", any_reading(), 0..4)
}

fn names(condition: &Condition, out: &mut BTreeSet<String>) {
    match condition {
        Condition::Compare(c) => {
            out.insert(c.metric.clone());
        }
        Condition::And(parts) | Condition::Or(parts) => parts.iter().for_each(|part| names(part, out)),
        Condition::Not(inner) => names(inner, out),
    }
}

proptest! {
    #[test]
    fn every_metric_of_a_condition_is_in_exactly_one_list(condition in any_condition(), world in any_world()) {
        let answer = evaluate(&condition, &world);
        let mut expected = BTreeSet::new();
        names(&condition, &mut expected);
        let lists = answer.used.iter().chain(&answer.missing).chain(answer.errors.keys());
        let listed: Vec<&String> = lists.collect();
        prop_assert_eq!(listed.len(), expected.len());
        prop_assert_eq!(listed.into_iter().cloned().collect::<BTreeSet<_>>(), expected);
    }

    #[test]
    fn de_morgan_holds(parts in prop::collection::vec(any_condition(), 1..4), world in any_world()) {
        let not = |c: Condition| Condition::Not(Box::new(c));
        let each: Vec<Condition> = parts.iter().cloned().map(not).collect();
        let (left, right) = (not(Condition::And(parts.clone())), Condition::Or(each.clone()));
        prop_assert_eq!(evaluate(&left, &world), evaluate(&right, &world));
        let (left, right) = (not(Condition::Or(parts)), Condition::And(each));
        prop_assert_eq!(evaluate(&left, &world), evaluate(&right, &world));
    }

    #[test]
    fn without_errors_and_gaps_there_is_always_a_yes_or_no(condition in any_condition()) {
        let points = (0..=120).map(|quarter| (f64::from(quarter) / 4.0 - 30.0, Some(0.5)));
        let number = Reading::Series([(-1e6, Some(0.5))].into_iter().chain(points).collect());
        let world = ["a", "b", "c", "d"].map(|name| (name.to_owned(), number.clone())).into();
        let answer = evaluate(&condition, &world);
        prop_assert!(matches!(answer.result, Truth::True | Truth::False));
        prop_assert!(answer.missing.is_empty() && answer.errors.is_empty());
    }
}
