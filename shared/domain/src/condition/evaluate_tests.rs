use super::*;
use crate::condition::{Dimension, Mode, Quantity};
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

fn any_condition() -> impl Strategy<Value = Condition> {
    let during = prop_oneof![Just(None), (1_u64..10_000).prop_map(|ms| Some(Span::millis(ms)))];
    let leaf = ("[a-d]", 0..OPS.len(), -2.0..2.0_f64, during)
        .prop_map(|(metric, op, value, during)| comparison(&metric, OPS[op], value, during));
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
        let number = Reading::Series(vec![(-1e6, Some(0.5)), (0.0, Some(0.5))]);
        let world = ["a", "b", "c", "d"].map(|name| (name.to_owned(), number.clone())).into();
        let answer = evaluate(&condition, &world);
        prop_assert!(matches!(answer.result, Truth::True | Truth::False));
        prop_assert!(answer.missing.is_empty() && answer.errors.is_empty());
    }
}
