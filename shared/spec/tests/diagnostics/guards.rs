//! Conditions that look like guards and are none.

use super::kit::of_canary;

const FIVE: &str = "weight: 5, interval: 10m";

fn errors(canary: &str, rest: &str) -> Vec<String> {
    let all = of_canary(canary, rest).into_iter();
    all.filter(|one| one.severity == "error")
        .map(|one| format!("{}; {}{}", one.message, one.help, one.at.0))
        .collect()
}

#[test]
fn a_point_that_must_last_longer_than_anything_is_watched_is_refused() {
    let longest = "20m at most";
    for (rest, found) in [
        (
            "rollback: {condition: 'error_rate > 2% for 30d', mode: point}",
            Some("`error_rate > 2% for 30d` can never be seen"),
        ),
        (
            "rollback: {condition: 'error_rate > 2% for 21m', mode: point}",
            Some(longest),
        ),
        (
            "rollback: {condition: 'error_rate > 2% for 20m', mode: point}",
            None,
        ),
        // Evidence inside thirty days may come at once.
        ("rollback: {condition: 'error_rate > 2% for 30d'}", None),
        // Watched for an hour once it serves everything.
        (
            "rollback: {condition: 'error_rate > 2% for 1h', mode: point}\n              bake: 1h",
            None,
        ),
    ] {
        let errors = errors(FIVE, rest);
        match found {
            None => assert!(errors.is_empty(), "{rest}: {errors:#?}"),
            Some(words) => assert!(
                errors.len() == 1 && errors[0].contains(words),
                "{rest}: {errors:#?}"
            ),
        }
    }
}

#[test]
fn a_condition_that_nobody_weighs_does_not_stand_in_for_a_threshold() {
    let zero = "weight: 5, interval: 10m, threshold: 0";
    let words = "nothing that is measured could send the candidate back";
    for (canary, condition, refused) in [
        (zero, "queue_depth > 5", true),
        (zero, "queue_depth > 5 && restarts > 2", true),
        (zero, "queue_depth > 5 || error_rate > 2%", false),
        (FIVE, "queue_depth > 5", false),
    ] {
        let errors = errors(canary, &format!("rollback: {{condition: '{condition}'}}"));
        assert_eq!(
            errors.iter().any(|error| error.contains(words)),
            refused,
            "{condition}: {errors:#?}"
        );
    }
}
