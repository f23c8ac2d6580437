use super::*;
use crate::judge::Tally;
use proptest::prelude::*;

fn question(promote: Promote) -> Question {
    let asked = Asked {
        limit: Some(0.05),
        margin: Some(1.25),
    };
    Question {
        min_samples: 100,
        promote,
        metrics: [("errors".to_owned(), asked)].into(),
        ..Question::default()
    }
}

fn block(k_a: u64, n_a: u64, k_b: u64, n_b: u64) -> BTreeMap<String, Arms> {
    let arms = Arms {
        candidate: Tally::new(k_a, n_a),
        stable: Tally::new(k_b, n_b),
    };
    [("errors".to_owned(), arms)].into()
}

#[test]
fn a_bad_candidate_is_rolled_back_for_good() {
    let mut judge = Judge::new(question(Promote::Article));
    for _ in 0..10 {
        judge.add(&block(20, 100, 10, 1_000));
    }
    let (verdict, why) = judge.look();
    assert_eq!(verdict, Verdict::Rollback);
    assert!(why.contains("(needs 100 : 1)"), "{why}");
    for _ in 0..1_000 {
        judge.add(&block(0, 100, 10, 1_000));
    }
    assert_eq!(judge.look(), (Verdict::Rollback, why.clone()));
    assert_eq!(judge.end_of_step(), (Verdict::Rollback, why));
}

#[test]
fn the_article_promotes_with_what_it_could_have_seen_and_proven_waits_for_the_bound() {
    let mut article = Judge::new(question(Promote::Article));
    let mut proven = Judge::new(question(Promote::Proven));
    for _ in 0..10 {
        article.add(&block(1, 100, 10, 1_000));
        proven.add(&block(1, 100, 10, 1_000));
    }
    let (verdict, why) = article.end_of_step();
    assert_eq!(verdict, Verdict::Promote, "{why}");
    assert!(why.contains("could have shown"), "{why}");
    let (verdict, why) = proven.end_of_step();
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(why.contains("proven needs under 1.25"), "{why}");
    for _ in 0..200 {
        proven.add(&block(10, 1_000, 100, 10_000));
    }
    let (verdict, why) = proven.end_of_step();
    assert_eq!(verdict, Verdict::Promote, "{why}");
}

#[test]
fn nothing_is_promoted_without_every_required_measurement() {
    let mut asked = question(Promote::Article);
    asked.metrics.insert("latency".into(), Asked::default());
    let mut judge = Judge::new(asked);
    assert_eq!(judge.end_of_step().0, Verdict::Inconclusive);
    for _ in 0..10 {
        judge.add(&block(1, 100, 10, 1_000));
    }
    let (verdict, why) = judge.end_of_step();
    assert_eq!(verdict, Verdict::Inconclusive);
    assert_eq!(why, "latency: 0 of 100 requests to the candidate");
    let mut few = Judge::new(question(Promote::Article));
    few.add(&block(0, 99, 10, 1_000));
    assert_eq!(few.end_of_step().1, "errors: 99 of 100 requests to the candidate");
}

#[test]
fn over_the_limit_without_evidence_is_no_promotion() {
    let mut judge = Judge::new(question(Promote::Article));
    judge.add(&block(6, 100, 60, 1_000));
    let (verdict, why) = judge.end_of_step();
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(why.contains("over the limit"), "{why}");
}

#[test]
fn every_step_has_its_part_of_the_stake_and_the_bound_stays() {
    let mut judge = Judge::new(question(Promote::Article));
    for _ in 0..4 {
        assert!((judge.ln_e_of("errors").exp() - 1.0).abs() < 1e-9 || judge.step > 0);
        judge.add(&block(2, 1_000, 10, 1_000));
        assert!(
            judge.ln_e_of("errors") < 0.0,
            "a good step leaves less than the stake"
        );
        assert_eq!(judge.end_of_step().0, Verdict::Promote);
    }
    assert!(
        judge.ln_e_of("errors").exp() > 0.1,
        "the reserve of later steps is still there"
    );
}

#[test]
fn the_state_is_small_and_reads_back_as_it_was() {
    let mut judge = Judge::new(question(Promote::Proven));
    for n in 0..50 {
        judge.add(&block(n % 3, 100, 10 + n % 5, 1_000));
    }
    let text = serde_json::to_string(&judge).unwrap();
    assert!(text.len() < 2_500, "{} bytes", text.len());
    let mut back: Judge = serde_json::from_str(&text).unwrap();
    assert_eq!(back, judge);
    judge.add(&block(9, 100, 10, 1_000));
    back.add(&block(9, 100, 10, 1_000));
    assert_eq!(back.ln_e().to_bits(), judge.ln_e().to_bits());
}

proptest! {
    #[test]
    fn promotion_never_comes_without_the_samples(
        blocks in prop::collection::vec((0_u64..3, 0_u64..30, 0_u64..10, 0_u64..500), 0..12), proven in any::<bool>(),
    ) {
        let mut judge = Judge::new(question(if proven { Promote::Proven } else { Promote::Article }));
        let mut counted = 0;
        for (k_a, n_a, k_b, n_b) in blocks {
            counted += n_a;
            judge.add(&block(k_a, n_a, k_b, n_b));
            prop_assert!(matches!(judge.look().0, Verdict::Continue | Verdict::Rollback));
        }
        let (verdict, _) = judge.end_of_step();
        prop_assert!(verdict != Verdict::Promote || counted >= 100);
    }

    /// Ville's bound rests on this alone: where nothing is worse, no look makes the evidence greater on average, whatever
    /// came before. The mean is over every outcome of the next block, so it is exact.
    #[test]
    fn a_fair_block_never_makes_the_evidence_greater_on_average(
        past in prop::collection::vec((0_u64..6, 0_u64..30, 0_u64..20, 0_u64..400, 0_u8..12), 0..30),
        (n_a, n_b, level) in (1_u64..6, 1_u64..8, 0.001_f64..0.05), steps in prop::option::of(1_usize..5),
    ) {
        let mut asked = Question { steps, ..question(Promote::Article) };
        asked.metrics.insert("latency".into(), Asked { limit: Some(0.05), margin: None });
        let mut judge = Judge::new(asked);
        for (k_a, n_a, k_b, n_b, end) in past {
            judge.add(&block(k_a, n_a + 6, k_b, n_b + 20));
            if end == 0 && judge.step + 1 < steps.unwrap_or(usize::MAX) {
                let before = judge.ln_e();
                if judge.end_of_step().0 != Verdict::Rollback {
                    prop_assert!((judge.ln_e() - before).abs() < 1e-9, "the next step begins with what is left");
                }
            }
        }
        let before = judge.ln_e().exp();
        let mut mean = 0.0;
        for k_a in 0..=n_a {
            for k_b in 0..=n_b {
                let mut after = judge.clone();
                after.add(&block(k_a, n_a, k_b, n_b));
                mean += binomial(n_a, k_a, level) * binomial(n_b, k_b, level) * after.ln_e().exp();
            }
        }
        prop_assert!(mean <= before * (1.0 + ROUNDED), "{before} became {mean} on average");
    }
}

/// A comparison keeps seven digits of what it has gathered.
const ROUNDED: f64 = 1e-5;

/// Chance of `k` of `n`.
fn binomial(n: u64, k: u64, p: f64) -> f64 {
    let ways: f64 = (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product();
    let power = |p: f64, n: u64| (0..n).map(|_| p).product::<f64>();
    ways * power(p, k) * power(1.0 - p, n - k)
}
