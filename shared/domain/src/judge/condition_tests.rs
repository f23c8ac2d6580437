use super::*;
use crate::condition::{Dimension, Op, Quantity};

fn compare(metric: &str, op: Op, value: f64, written: &str) -> Condition {
    let line = Quantity {
        value,
        dimension: Dimension::Ratio,
        written: written.into(),
    };
    Condition::Compare(Comparison {
        metric: metric.into(),
        op,
        line,
        during: None,
    })
}

fn article() -> Condition {
    let errors = compare("error_rate", Op::Above, 0.02, "2%");
    Condition::Or(vec![errors, compare("latency_p99", Op::Above, 1.0, "1000ms")])
}

fn counts(requests: u64, bad: u64, slow: u64) -> Counts {
    let within_ms = [
        (500, requests - slow),
        (1_000, requests - slow),
        (2_500, requests),
    ]
    .into();
    Counts {
        started: requests,
        requests,
        bad,
        within_ms,
        timed: requests,
        ..Counts::default()
    }
}

#[test]
fn a_healthy_candidate_is_never_shown_to_breach() {
    for requests in [1, 10, 150, 1_500, 100_000] {
        let seen = weigh(&article(), &counts(requests, requests / 100, requests / 200)).unwrap();
        assert!(!seen.shows_breach(1), "{requests} requests: {seen:?}");
    }
}

#[test]
fn one_bad_request_among_few_is_noise_and_many_are_not() {
    assert!(!weigh(&article(), &counts(10, 1, 0)).unwrap().shows_breach(1));
    assert!(weigh(&article(), &counts(40, 12, 0)).unwrap().shows_breach(1));
    assert!(weigh(&article(), &counts(200, 0, 20)).unwrap().shows_breach(1));
}

#[test]
fn the_words_name_the_metric_that_weighs_most() {
    let seen = weigh(&article(), &counts(200, 30, 0)).unwrap();
    assert_eq!(seen.words, "error_rate 15.0 % of 200 requests; limit 2%");
    let seen = weigh(&article(), &counts(200, 0, 30)).unwrap();
    assert_eq!(
        seen.words,
        "latency_p99: 15.0 % of 200 requests took over 1000ms; at most 1 % may"
    );
}

#[test]
fn nothing_counted_is_no_evidence() {
    assert_eq!(weigh(&article(), &Counts::default()), None);
    assert_eq!(
        weigh(&compare("gpu_temperature", Op::Above, 1.0, "1"), &counts(9, 9, 9)),
        None
    );
}

#[test]
fn a_candidate_under_its_limit_but_worse_than_stable_is_sent_back() {
    let mut weighing = Weighing::default();
    for _ in 0..40 {
        weighing.add(&article(), &counts(50, 2, 0), &counts(950, 2, 2));
    }
    let seen = weighing.weigh(&article()).unwrap();
    assert!(seen.shows_breach(4), "{seen:?}");
    assert_eq!(
        seen.words,
        "error_rate: failed 4.0 % of 2000 requests, stable 0.21 %"
    );
    assert!(seen.told(4).contains("(needs 400 : 1)"), "{}", seen.told(4));
    weighing.restart();
    assert_eq!(weighing.weigh(&article()), None);
}

#[test]
fn a_shift_of_the_median_shows_at_stables_own_edges() {
    let shifted = |slow_half: u64| {
        let mut seen = counts(1_000, 3, 0);
        seen.within_ms.insert(250, 1_000 - slow_half);
        seen
    };
    let mut weighing = Weighing::default();
    for _ in 0..6 {
        weighing.add(&article(), &shifted(640), &shifted(490));
    }
    let seen = weighing.weigh(&article()).unwrap();
    assert!(seen.shows_breach(4), "{seen:?}");
    assert_eq!(
        seen.words,
        "latency: over 250ms 64.0 % of 5000 requests, stable 49.0 %"
    );
}

#[test]
fn what_must_hold_together_is_not_compared_with_stable_one_by_one() {
    let Condition::Or(parts) = article() else {
        panic!("an or")
    };
    let both = Condition::And(parts);
    let mut weighing = Weighing::default();
    for _ in 0..40 {
        weighing.add(&both, &counts(50, 2, 0), &counts(950, 2, 2));
    }
    assert!(!weighing.weigh(&both).unwrap().shows_breach(1));
}
