use super::*;
use crate::condition::{Aggregate, Dimension, Mode, Op, Quantity, Window};
use crate::judge::Stands;
use crate::time::Span;
use proptest::prelude::*;

fn compare(metric: &str, op: Op, value: f64, written: &str) -> Condition {
    let line = Quantity {
        value,
        dimension: Dimension::Ratio,
        written: written.into(),
    };
    Condition::Compare(Comparison {
        metric: metric.into(),
        window: None,
        op,
        line,
        during: None,
        mode: Mode::Evidence,
    })
}

/// The chance of one of so many steps.
fn part(steps: usize) -> Alpha {
    Alpha::default().of_steps(steps)
}

fn article() -> Condition {
    let errors = compare("error_rate", Op::Above, 0.02, "2%");
    Condition::Or(vec![errors, compare("latency_p99", Op::Above, 1.0, "1000ms")])
}

fn add(weighing: &mut Weighing, condition: &Condition, candidate: &Counts, stable: &Counts) {
    add_at(weighing, condition, (candidate, stable), 0);
}

fn add_at(weighing: &mut Weighing, condition: &Condition, arms: (&Counts, &Counts), seconds: u64) {
    let block = Block {
        candidate: arms.0,
        stable: arms.1,
        values: &BTreeMap::new(),
        at: Timestamp(0) + crate::time::Span::seconds(seconds),
        cold: false,
    };
    weighing.add(condition, &block);
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
        assert!(!seen.shows_breach(part(1)), "{requests} requests: {seen:?}");
    }
}

#[test]
fn one_bad_request_among_few_is_noise_and_many_are_not() {
    assert!(
        !weigh(&article(), &counts(10, 1, 0))
            .unwrap()
            .shows_breach(part(1))
    );
    assert!(
        weigh(&article(), &counts(40, 12, 0))
            .unwrap()
            .shows_breach(part(1))
    );
    assert!(
        weigh(&article(), &counts(200, 0, 20))
            .unwrap()
            .shows_breach(part(1))
    );
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
        add(&mut weighing, &article(), &counts(50, 2, 0), &counts(950, 2, 2));
    }
    let seen = weighing.weigh(&article()).unwrap();
    assert!(seen.shows_breach(part(4)), "{seen:?}");
    assert_eq!(
        seen.words,
        "error_rate: failed 4.0 % of 2000 requests, stable 0.21 %"
    );
    assert!(
        seen.told(part(4)).contains("(needs 400 : 1)"),
        "{}",
        seen.told(part(4))
    );
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
        add(&mut weighing, &article(), &shifted(640), &shifted(490));
    }
    let seen = weighing.weigh(&article()).unwrap();
    assert!(seen.shows_breach(part(4)), "{seen:?}");
    assert_eq!(
        seen.words,
        "latency: over 250ms 64.0 % of 5000 requests, stable 49.0 %"
    );
}

#[test]
fn stables_edges_are_found_however_few_requests_a_look_has() {
    let few = |slow_half: u64| {
        let mut seen = counts(40, 0, 0);
        seen.within_ms.insert(250, 40 - slow_half);
        seen
    };
    let mut weighing = Weighing::default();
    for _ in 0..100 {
        add(&mut weighing, &article(), &few(26), &few(19));
    }
    let seen = weighing.weigh(&article()).unwrap();
    assert!(seen.words.starts_with("latency: over 250ms 65.0 %"), "{seen:?}");
    assert!(seen.shows_breach(part(4)), "{seen:?}");
    let stored = serde_json::to_string(&weighing).unwrap();
    assert!(
        !stored.contains("before_edges"),
        "it is kept only until then: {stored}"
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
        add(&mut weighing, &both, &counts(50, 2, 0), &counts(950, 2, 2));
    }
    assert!(!weighing.weigh(&both).unwrap().shows_breach(part(1)));
}

#[test]
fn a_condition_for_a_time_is_shown_by_what_happened_inside_it() {
    let Condition::Compare(mut leaf) = compare("error_rate", Op::Above, 0.05, "5%") else {
        panic!("one comparison")
    };
    leaf.during = Some(crate::time::Span::minutes(5));
    let condition = Condition::Compare(leaf);
    let mut weighing = Weighing::default();
    // Nothing to compare with: only the line can be broken. An early bad minute is long over.
    let nobody = Counts::default();
    for second in (0..60).step_by(15) {
        add_at(&mut weighing, &condition, (&counts(50, 4, 0), &nobody), second);
    }
    for second in (60..1_200).step_by(15) {
        add_at(&mut weighing, &condition, (&counts(50, 0, 0), &nobody), second);
    }
    assert!(!weighing.weigh(&condition).unwrap().shows_breach(part(1)));
    for second in (1_200..1_400).step_by(15) {
        add_at(&mut weighing, &condition, (&counts(50, 15, 0), &nobody), second);
    }
    let evidence = weighing.weigh(&condition).unwrap();
    assert!(evidence.shows_breach(part(1)), "{}", evidence.told(part(1)));
}

/// The comparison over five minutes.
fn windowed(condition: &Condition, by: Aggregate) -> Condition {
    let Condition::Compare(comparison) = condition.clone() else {
        panic!("a comparison")
    };
    let span = Span::minutes(5);
    Condition::Compare(Comparison {
        window: Some(Window { span, by }),
        ..comparison
    })
}

#[test]
fn a_window_of_what_is_counted_asks_what_a_time_asks() {
    let plain = compare("error_rate", Op::Above, 0.05, "5%");
    let Condition::Compare(mut lasting) = plain.clone() else {
        panic!("a comparison")
    };
    lasting.during = Some(Span::minutes(5));
    let both = [windowed(&plain, Aggregate::Avg), Condition::Compare(lasting)];
    assert_eq!(both[0].to_string(), "error_rate[5m] > 5%");
    let shown = both.map(|condition| {
        let mut weighing = Weighing::default();
        for second in (0..1_200).step_by(15) {
            let bad = if second < 1_000 { 0 } else { 10 };
            add_at(
                &mut weighing,
                &condition,
                (&counts(50, bad, 0), &Counts::default()),
                second,
            );
        }
        weighing.weigh(&condition).unwrap()
    });
    assert_eq!(shown[0], shown[1]);
    assert!(shown[0].shows_breach(part(1)), "{:?}", shown[0]);
    // What is told is of the time that is asked for: of the whole step it would be 3.3 %.
    assert!(
        shown[0].words.ends_with("; limit 5%, within 5m"),
        "{}",
        shown[0].words
    );
    assert!(!shown[0].words.contains("3.3 %"), "{}", shown[0].words);
}

#[test]
fn a_plain_rule_takes_the_share_of_its_window() {
    let condition = windowed(&compare("error_rate", Op::Above, 0.02, "2%"), Aggregate::Avg);
    let condition = condition.in_mode(Mode::Point);
    let mut weighing = Weighing::default();
    let mut look = |second: u64, bad: u64| {
        let arms = (&counts(50, bad, 0), &counts(950, 10, 0));
        add_at(&mut weighing, &condition, arms, second);
        weighing
            .weigh(&condition)
            .is_some_and(|evidence| evidence.shows_breach(part(1)))
    };
    assert!((0..240).step_by(15).all(|second| !look(second, 0)));
    assert!(
        (240..300).step_by(15).all(|second| !look(second, 4)),
        "8 % of the last minute are 1.6 % of five"
    );
    assert!((300..360).step_by(15).any(|second| look(second, 4)));
}

/// Looks every 15 s at a source that says these numbers: the second of the first breach, and what is missing at the end.
fn looks(condition: &Condition, numbers: &[f64]) -> (Option<usize>, Vec<String>) {
    let mut weighing = Weighing::default();
    let (mut breach, mut missing) = (None, Vec::new());
    for (look, number) in numbers.iter().enumerate() {
        let values = [("queue_depth".to_owned(), Reading::Number(*number))].into();
        let block = Block {
            candidate: &counts(50, 0, 0),
            stable: &counts(950, 0, 0),
            values: &values,
            at: Timestamp(0) + Span::seconds(15 * look as u64),
            cold: false,
        };
        weighing.add(condition, &block);
        let shown = weighing
            .weigh(condition)
            .is_some_and(|evidence| evidence.shows_breach(part(1)));
        breach = breach.or(shown.then_some(15 * look));
        missing = weighing.missing(condition, &values);
        let stored = serde_json::to_string(&weighing).unwrap();
        weighing = serde_json::from_str(&stored).unwrap();
    }
    assert!(
        weighing.points.values().all(|rule| rule.kept() <= 14),
        "{weighing:?}"
    );
    (breach, missing)
}

#[test]
fn a_number_over_a_window_is_decided_once_the_window_is_covered() {
    let deep = compare("queue_depth", Op::Above, 10.0, "10");
    let of = |by| windowed(&deep, by);
    assert_eq!(
        looks(&of(Aggregate::Avg), &[50.0; 20]),
        (
            None,
            vec!["queue_depth[5m] (readings reach back 4m 45s of 5m)".to_owned()]
        )
    );
    assert_eq!(looks(&of(Aggregate::Avg), &[50.0; 240]), (Some(300), vec![]));
    assert_eq!(
        looks(&of(Aggregate::Avg), &[10.0; 240]),
        (None, vec![]),
        "not a hair over the line"
    );
    assert_eq!(
        looks(&of(Aggregate::Max), &[50.0]),
        (Some(0), vec![]),
        "nothing that comes makes it less"
    );
    let mut once = [0.0; 240];
    once[100] = 50.0;
    assert_eq!(looks(&of(Aggregate::Max), &once), (Some(1_500), vec![]));
    assert_eq!(
        looks(&of(Aggregate::Avg), &once),
        (None, vec![]),
        "one reading of twenty"
    );
    assert_eq!(looks(&of(Aggregate::Min), &once).0, None);
    let mut lasting = [50.0; 240];
    lasting[60] = 0.0;
    // The window is covered after 20 looks, and the dip leaves it as long after.
    assert_eq!(looks(&of(Aggregate::Min), &lasting).0, Some(300));
    lasting[10] = 0.0;
    assert_eq!(
        looks(&of(Aggregate::Min), &lasting).0.map(|second| second >= 450),
        Some(true)
    );
}

#[test]
fn a_source_that_falls_silent_leaves_a_window_without_an_answer() {
    let condition = windowed(&compare("queue_depth", Op::Above, 10.0, "10"), Aggregate::Avg);
    let mut silent = vec![5.0; 40];
    silent.extend([f64::NAN; 8]);
    assert_eq!(
        looks(&condition, &silent),
        (None, vec![]),
        "a gap of two minutes in five"
    );
    silent.extend([f64::NAN; 4]);
    let missing = vec!["queue_depth[5m] (no reading for 3m of 5m)".to_owned()];
    assert_eq!(looks(&condition, &silent), (None, missing));
}

#[test]
fn conditions_that_were_stored_before_there_were_windows_are_read() {
    let stored = serde_json::to_value(article()).unwrap();
    assert!(!stored.to_string().contains("window"), "{stored}");
    assert_eq!(serde_json::from_value::<Condition>(stored).unwrap(), article());
    for by in Aggregate::ALL {
        let windowed = windowed(&compare("queue_depth", Op::Above, 10.0, "10"), by);
        let stored = serde_json::to_value(&windowed).unwrap();
        assert_eq!(serde_json::from_value::<Condition>(stored).unwrap(), windowed);
    }
}

#[test]
fn a_negation_asks_for_the_other_side_of_the_line() {
    let inner = compare("success_rate", Op::AtLeast, 0.9, "90%");
    let condition = Condition::Not(Box::new(inner));
    assert_eq!(condition.plain().to_string(), "success_rate < 90%");
    let good = weigh(&condition, &counts(500, 5, 0)).unwrap();
    assert!(!good.shows_breach(part(1)), "{}", good.told(part(1)));
    assert!(
        weigh(&condition, &counts(500, 120, 0))
            .unwrap()
            .shows_breach(part(1))
    );
    let both = Condition::Not(Box::new(Condition::Or(vec![
        compare("error_rate", Op::Above, 0.02, "2%"),
        compare("error_rate", Op::Above, 0.5, "50%"),
    ])));
    assert_eq!(both.plain().to_string(), "error_rate <= 2% && error_rate <= 50%");
    let mut weighing = Weighing::default();
    for _ in 0..40 {
        add(&mut weighing, &both, &counts(50, 0, 0), &counts(950, 0, 0));
    }
    assert!(
        weighing.weigh(&both).unwrap().shows_breach(part(1)),
        "fewer than 2 % are shown"
    );
}

#[test]
fn a_plain_rule_needs_no_evidence_and_takes_no_share_of_it() {
    let condition = compare("error_rate", Op::Above, 0.02, "2%").in_mode(Mode::Point);
    let mut weighing = Weighing::default();
    add(&mut weighing, &condition, &counts(50, 2, 0), &counts(950, 10, 0));
    let evidence = weighing.weigh(&condition).unwrap();
    assert!(evidence.shows_breach(part(1)));
    assert!(
        evidence.told(part(1)).contains("by its point: 4.0 %"),
        "{}",
        evidence.told(part(1))
    );
    let both = Condition::Or(vec![article(), condition]);
    let mut weighing = Weighing::default();
    add(&mut weighing, &both, &counts(50, 0, 0), &counts(950, 10, 0));
    assert!(!weighing.weigh(&both).unwrap().shows_breach(part(1)));
}

#[test]
fn a_number_of_a_source_is_decided_by_its_point_and_its_absence_is_missing() {
    let condition = compare("answer_quality", Op::Below, 0.8, "0.8");
    let look = |reading: Reading| {
        let mut weighing = Weighing::default();
        let values = [("answer_quality".to_owned(), reading)].into();
        let block = Block {
            candidate: &counts(50, 0, 0),
            stable: &counts(950, 0, 0),
            values: &values,
            at: Timestamp(0),
            cold: false,
        };
        weighing.add(&condition, &block);
        let breach = weighing
            .weigh(&condition)
            .is_some_and(|e| e.shows_breach(part(1)));
        (breach, weighing.missing(&condition, &values))
    };
    assert_eq!(look(Reading::Number(0.7)), (true, vec![]));
    assert_eq!(look(Reading::Number(0.9)), (false, vec![]));
    for silent in [
        Reading::NoData,
        Reading::Error("503".into()),
        Reading::Number(f64::NAN),
    ] {
        assert_eq!(look(silent), (false, vec!["answer_quality".to_owned()]));
    }
}

/// What one request may be: failed or not, and under 250 ms, under a second, or over.
const KINDS: usize = 6;

/// Counts of requests of each kind.
fn of_kinds(kinds: &[u64; KINDS]) -> Counts {
    let timed = |upto: usize| kinds[..2 * upto].iter().sum::<u64>();
    Counts {
        started: timed(3),
        requests: timed(3),
        bad: kinds[1] + kinds[3] + kinds[5],
        within_ms: [(250, timed(1)), (1_000, timed(2)), (2_500, timed(3))].into(),
        timed: timed(3),
        ..Counts::default()
    }
}

/// Every way in which `n` requests fall into the kinds from `first` on, with its chance.
fn ways(n: u64, chances: &[f64], first: [u64; KINDS], chance: f64) -> Vec<([u64; KINDS], f64)> {
    let place = KINDS - chances.len();
    let [own, rest @ ..] = chances else {
        return Vec::new();
    };
    if rest.is_empty() {
        let mut last = first;
        last[place] = n;
        return vec![(last, chance * own.powi(i32::try_from(n).unwrap_or(0)))];
    }
    (0..=n)
        .flat_map(|k| {
            let mut kinds = first;
            kinds[place] = k;
            let choices: f64 = (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product();
            let chance = chance * choices * own.powi(i32::try_from(k).unwrap_or(0));
            ways(n - k, rest, kinds, chance)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The same for a whole condition, whose parts depend on each other: a request that fails may also be slow. What is
    /// not counted yet and what is no edge yet begin to bet at any time.
    #[test]
    fn a_fair_block_never_makes_a_conditions_evidence_greater_on_average(
        past in prop::collection::vec(((0_u64..40, 0_u8..12, 0_u64..20, 0_u8..20), (1_u64..90, 0_u64..3, 0_u64..60, 0_u64..2), any::<bool>()), 1..25),
        (bad, slow, middle) in (0.0_f64..0.02, 0.0_f64..0.01, 0.0_f64..0.6), chooses in any::<bool>(),
    ) {
        let mut weighing = Weighing::default();
        for (n, (candidate, stable, end)) in past.iter().enumerate() {
            // Near what is fair, as otherwise one question says so much that no other is heard.
            let (quick, failed, middle, slow) = *candidate;
            let candidate = [quick + 1, u64::from(failed == 0), middle, 0, u64::from(slow == 0), 0];
            let stable = [stable.0, stable.1, stable.2, 0, stable.3, 0];
            let untimed = Counts { within_ms: [].into(), timed: 0, ..of_kinds(&candidate) };
            let candidate = if n % 7 == 6 { untimed } else { of_kinds(&candidate) };
            add(&mut weighing, &article(), &candidate, &of_kinds(&stable));
            if n == 12 && *end {
                weighing.restart();
                add(&mut weighing, &article(), &of_kinds(&[1, 0, 0, 0, 0, 0]), &of_kinds(&[9, 0, 0, 0, 0, 0]));
            }
        }
        if chooses && weighing.edges.is_empty() {
            // Edges are chosen by this block, and begin to bet with the next.
            let missing = EDGES_AFTER.saturating_sub(weighing.before_edges.timed);
            let stable = [missing / 2 + 1, 0, missing / 2, 0, 0, 0];
            add(&mut weighing, &article(), &of_kinds(&[1, 0, 0, 0, 0, 0]), &of_kinds(&stable));
            prop_assert!(!weighing.edges.is_empty());
        }
        let before = weighing.weigh(&article()).map_or(1.0, |evidence| evidence.ln_e.exp());
        let quick = 1.0 - slow - middle;
        let chances: Vec<f64> = [quick, middle, slow].iter().flat_map(|part| [part * (1.0 - bad), part * bad]).collect();
        let candidates = ways(2, &chances, [0; KINDS], 1.0);
        let stables = ways(3, &chances, [0; KINDS], 1.0);
        let mut mean = 0.0;
        for (candidate, chance) in &candidates {
            for (stable, other) in &stables {
                let mut after = weighing.clone();
                add(&mut after, &article(), &of_kinds(candidate), &of_kinds(stable));
                let evidence = after.weigh(&article()).map_or(0.0, |evidence| evidence.ln_e);
                mean += chance * other * evidence.exp();
            }
        }
        // A comparison keeps seven digits of what it has gathered.
        prop_assert!(mean <= before * (1.0 + 1e-5), "{before} became {mean} on average");
    }
}

#[test]
fn every_comparison_stands_between_nothing_and_its_line_and_says_what_it_would_have_shown() {
    let condition = article();
    let mut weighing = Weighing::default();
    let before = weighing.standings(&condition, part(1), part(4));
    assert_eq!(before.len(), 2);
    for (standing, line) in before.iter().zip([0.02, 0.01]) {
        let Stands::Share {
            counted,
            bounds,
            line: own,
            shows,
            ..
        } = &standing.stands
        else {
            panic!("{standing:?}")
        };
        assert_eq!((counted.candidate.total, *bounds, *shows), (0, (0.0, 1.0), None));
        assert!((own - line).abs() < 1e-9, "{standing:?}");
    }
    add(
        &mut weighing,
        &condition,
        &counts(6_000, 60, 12),
        &counts(114_000, 1_140, 228),
    );
    let after = weighing.standings(&condition, part(1), part(4));
    assert_eq!(after[0].comparison, "error_rate > 2%");
    let Stands::Share {
        counted,
        bounds: (low, high),
        shows,
        ..
    } = after[0].stands
    else {
        panic!("{after:?}")
    };
    assert_eq!(counted.candidate.share(), Some(0.01));
    assert!(low < 0.01 && 0.01 < high && high < 0.02, "{low} {high}");
    assert!(shows.is_some_and(|ratio| 1.2 < ratio && ratio < 2.0), "{shows:?}");
    let evidence = weighing.weigh(&condition).unwrap();
    assert!(evidence.part_of_breach(part(4)) < 0.1, "{evidence:?}");
    add(
        &mut weighing,
        &condition,
        &counts(500, 250, 3),
        &counts(9_500, 95, 19),
    );
    let evidence = weighing.weigh(&condition).unwrap();
    assert_eq!(evidence.part_of_breach(part(4)), 1.0, "{evidence:?}");
}

#[test]
fn a_rule_on_a_point_stands_where_it_was_measured_last() {
    let Condition::Compare(mut comparison) = compare("error_rate", Op::Above, 0.02, "2%") else {
        panic!("a comparison")
    };
    comparison.mode = Mode::Point;
    let condition = Condition::Compare(comparison);
    let mut weighing = Weighing::default();
    assert_eq!(weighing.standings(&condition, part(1), part(1)), []);
    add(&mut weighing, &condition, &counts(50, 3, 0), &counts(950, 9, 0));
    let standings = weighing.standings(&condition, part(1), part(1));
    let Stands::Point { words, holds } = &standings[0].stands else {
        panic!("{standings:?}")
    };
    assert!(
        *holds && words.starts_with("6.0 % of the last 50 requests"),
        "{words}"
    );
}

#[test]
fn a_greater_chance_of_a_false_alarm_needs_less_evidence() {
    let seen = weigh(&article(), &counts(100, 9, 0)).unwrap();
    let told: Vec<bool> = [0.2, 0.05, 0.001]
        .map(|alpha| seen.shows_breach(Alpha::new(alpha).unwrap()))
        .into();
    assert_eq!(told, [true, true, false], "{seen:?}");
    assert!(seen.told(Alpha::new(0.05).unwrap()).contains("(needs 20 : 1)"));
}

#[test]
fn answers_are_harm_where_more_differ_than_the_line_says_and_than_stable_itself_differs() {
    let differ = compare("answers_differ", Op::Above, 0.05, "5%");
    let answers = |differing: u64| Counts {
        compared: 1,
        differing,
        ..Counts::default()
    };
    // Of each ten answers so many of the shadow and of stable differ; whether that is harm after sixty.
    let table = [
        (0, 0, false),
        (4, 0, true),
        (10, 0, true),
        (9, 9, false),
        (10, 1, true),
        (1, 1, false),
    ];
    for (shadow, stable, harm) in table {
        let mut weighing = Weighing::default();
        for n in 0..60 {
            let of = |tenths: u64| answers(u64::from(n % 10 < tenths));
            add(&mut weighing, &differ, &of(shadow), &of(stable));
        }
        let seen = weighing.weigh(&differ).unwrap();
        assert_eq!(
            seen.shows_breach(part(1)),
            harm,
            "{shadow} and {stable} of 10: {seen:?}"
        );
    }
}

#[test]
fn other_answers_than_stables_are_no_harm_within_the_line() {
    let differ = compare("answers_differ", Op::Above, 0.5, "50%");
    let answers = |differing: u64| Counts {
        compared: 1,
        differing,
        ..Counts::default()
    };
    let mut weighing = Weighing::default();
    for n in 0..400_u64 {
        add(
            &mut weighing,
            &differ,
            &answers(u64::from(n % 10 < 3)),
            &answers(0),
        );
    }
    let seen = weighing.weigh(&differ).unwrap();
    assert!(!seen.shows_breach(part(1)), "{seen:?}");
    assert_eq!(seen.words, "answers_differ 30.0 % of 400 answers; limit 50%");
}
