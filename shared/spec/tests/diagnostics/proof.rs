//! Proofs that a canary is asked for and can never give.

use super::kit::{Said, of_canary};

/// What is said of a canary with these keys and this condition, as far as it is about its proof.
fn said(canary: &str, condition: &str) -> Vec<Said> {
    let all = of_canary(canary, &format!("rollback: {{condition: '{condition}'}}"));
    all.into_iter()
        .filter(|one| one.message.contains("proven"))
        .collect()
}

const ARTICLE: &str = "error_rate > 2% || latency_p99 > 1000ms";

#[test]
fn a_proof_that_traffic_weight_and_interval_cannot_reach_is_refused_with_what_would() {
    let complaints = said(
        "weight: 5, interval: 10m, promote: proven, requests_per_second: 50",
        "error_rate > 2%",
    );
    let [one] = complaints.as_slice() else {
        panic!("{complaints:#?}")
    };
    assert_eq!((one.severity.as_str(), one.at), ("error", (11, 32)));
    assert_eq!(
        one.message,
        "`promote: proven` cannot be reached: 50 requests/s at 5 % for 10m are 1500 requests to the candidate, too few to rule out \
         `error_rate > 2%` and 1.25 times what fails on stable"
    );
    assert_eq!(
        one.help,
        "it needs an interval of 2h 2m or 609 requests/s, each alone; a greater `margin` needs less; or write `promote: article`"
    );
    // What is advised is taken.
    for enough in [
        "weight: 5, interval: 2h2m, promote: proven, requests_per_second: 50",
        "weight: 5, interval: 10m, promote: proven, requests_per_second: 609",
        "weight: 5, interval: 10m, promote: proven, requests_per_second: 50, margin: 3",
        "weight: 5, interval: 10m, promote: article, requests_per_second: 50",
        "weight: 5, interval: 10m, requests_per_second: 50",
        "weight: 5, interval: 10m, promote: proven",
    ] {
        assert_eq!(
            said(enough, "error_rate > 2%").len(),
            0,
            "{enough}: {:#?}",
            said(enough, "error_rate > 2%")
        );
    }
}

#[test]
fn every_step_and_the_hardest_comparison_count() {
    let steps = "steps: [{weight: 1, interval: 10m}, {weight: 20, interval: 10m}], promote: proven, requests_per_second: 500";
    let complaints = said(steps, "error_rate > 2%");
    let [one] = complaints.as_slice() else {
        panic!("{complaints:#?}")
    };
    assert_eq!(one.at, (11, 41), "the first step");
    assert!(
        one.help.starts_with("it needs a weight of 7 % or"),
        "{}",
        one.help
    );
    let both = said(steps, ARTICLE);
    assert_eq!(both.len(), 1, "{both:#?}");
    assert!(
        both[0].message.contains("`latency_p99 > 1000ms`"),
        "{}",
        both[0].message
    );
}

#[test]
fn a_proof_of_nothing_or_against_nobody_is_refused_whatever_the_traffic() {
    let table = [
        (
            "weight: 5, interval: 10m, promote: proven",
            "restarts > 3",
            "has nothing to prove",
        ),
        (
            "weight: 5, interval: 10m, promote: proven",
            "error_rate < 1%",
            "has nothing to prove",
        ),
        (
            "weight: 100, interval: 10m, promote: proven",
            ARTICLE,
            "at 100 %: stable has no requests",
        ),
        (
            "steps: [{weight: 50, interval: 1h}, {weight: 100, interval: 1h}], promote: proven, requests_per_second: 5000",
            ARTICLE,
            "at 100 %: stable has no requests",
        ),
    ];
    for (canary, condition, says) in table {
        let complaints = said(canary, condition);
        assert_eq!(complaints.len(), 1, "{canary}: {complaints:#?}");
        assert!(
            complaints[0].severity == "error" && complaints[0].message.contains(says),
            "{complaints:#?}"
        );
    }
}
