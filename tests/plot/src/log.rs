//! The course of a run as its log has it, which `weir audit` prints.

use serde_json::Value;

use crate::course::{Course, Steps};

/// The last rollout of a run, and the requests that were lost, as the load driver counts them: `lost_by_second`, by the second
/// since 1970. Nothing for one that moved no traffic.
///
/// Time counts from the moment in which it took its lane; GPUs are those that the run held then.
pub fn rollout(entries: &[Value], lost: &Value) -> Option<Course> {
    let entries = since_the_lane(entries);
    let accepted = entries
        .iter()
        .filter(|entry| entry["action"] == "weight_accepted");
    let (whats, shares): (Vec<&str>, Steps) = accepted.filter_map(accepted_share).unzip();
    let name = match *whats.first()? {
        "copies" => "requests copied to the candidate",
        _ => "the candidate's share",
    };
    Some(Course {
        shares: vec![(name.to_owned(), shares)],
        ..without_shares(entries, lost)?
    })
}

/// `weight 5 % accepted …`, or `copies of 25 % accepted …`: which of them, when, and how much.
fn accepted_share(entry: &Value) -> Option<(&str, (i64, f64))> {
    let (what, more) = entry["detail"].as_str()?.split_once(' ')?;
    let (before, _) = more.split_once(" %")?;
    Some((what, (moment(entry)?, before.rsplit(' ').next()?.parse().ok()?)))
}

/// The last experiment of a run: the shares of its variants.
pub fn experiment(entries: &[Value], lost: &Value) -> Option<Course> {
    let entries = since_the_lane(entries);
    let mut shares: Vec<(String, Steps)> = Vec::new();
    let decided = entries.iter().filter(|entry| entry["action"] == "weight_decided");
    for entry in decided {
        let (at, after) = (moment(entry)?, entry["after"].as_str()?);
        // `model-a 50 %, model-b 50 %`; traffic that goes back is told by where to.
        let of = |name: &str| {
            let own = after
                .split(", ")
                .find_map(|part| part.strip_prefix(name)?.strip_suffix(" %"));
            own.and_then(|share| share.trim().parse().ok()).unwrap_or(0.0)
        };
        if shares.is_empty() {
            let names = after
                .split(", ")
                .filter_map(|part| part.strip_suffix(" %")?.rsplit_once(' '));
            shares = names.map(|(name, _)| (name.to_owned(), Vec::new())).collect();
        }
        for (name, steps) in &mut shares {
            steps.push((at, of(name)));
        }
    }
    let course = without_shares(entries, lost)?;
    (!shares.is_empty()).then_some(Course {
        shares: shares
            .into_iter()
            .map(|(name, steps)| (format!("share of {name}"), steps))
            .collect(),
        gpus: Vec::new(),
        ..course
    })
}

fn since_the_lane(entries: &[Value]) -> &[Value] {
    let begun = entries.iter().rposition(|entry| entry["action"] == "lane_taken");
    &entries[begun.unwrap_or(0)..]
}

fn moment(entry: &Value) -> Option<i64> {
    entry["at"].as_i64()
}

/// When it was, the GPUs that were held, and what failed.
fn without_shares(entries: &[Value], lost: &Value) -> Option<Course> {
    let held = entries
        .iter()
        .filter_map(|entry| Some((moment(entry)?, entry["gpus"].as_f64()?)));
    Some(Course {
        span: (moment(entries.first()?)?, moment(entries.last()?)?),
        shares: Vec::new(),
        gpus: held.collect(),
        failed: lost_by_second(lost),
    })
}

/// Moments and counts of what the load driver says.
pub fn lost_by_second(lost: &Value) -> Steps {
    let seconds = lost.as_object().into_iter().flatten();
    let lost =
        seconds.filter_map(|(second, lost)| Some((second.parse::<i64>().ok()? * 1_000, lost.as_f64()?)));
    lost.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_rollout_is_drawn_from_its_log_and_one_without_traffic_is_not() {
        let log = [
            json!({"at": 0, "action": "run_started", "gpus": 0}),
            json!({"at": 60_000, "action": "lane_taken", "gpus": 4}),
            json!({"at": 70_000, "action": "weight_accepted", "detail": "weight 5 % accepted", "gpus": 5}),
            json!({"at": 80_000, "action": "weight_accepted", "detail": "weight 0 % accepted", "gpus": 5}),
            json!({"at": 100_000, "action": "run_ended", "gpus": 4}),
        ];
        let lost = json!({"75": 2, "500": 1});
        let course = rollout(&log, &lost).expect("it has shares");
        assert_eq!(course.failed, [(500_000, 1.0), (75_000, 2.0)]);
        assert_eq!(course.shares[0].1, [(70_000, 5.0), (80_000, 0.0)]);
        let svg = course.draw("Canary");
        assert!(
            svg.contains(">failed requests a second<") && svg.contains(">5 GPUs<"),
            "{svg}"
        );
        assert!(rollout(&log[..2], &json!({})).is_none());
    }

    #[test]
    fn an_experiment_has_a_line_for_each_variant_until_traffic_is_back() {
        let log = [
            json!({"at": 0, "action": "lane_taken", "gpus": 0}),
            json!({"at": 1_000, "action": "weight_decided", "after": "model-a 50 %, model-b 50 %", "gpus": 0}),
            json!({"at": 1_005, "action": "weight_accepted", "detail": "shares accepted 5ms after the decision", "gpus": 0}),
            json!({"at": 9_000, "action": "weight_decided", "after": "model-a 100 %, model-b 0 %", "gpus": 0}),
            json!({"at": 20_000, "action": "weight_decided", "after": "the plain Service", "gpus": 0}),
        ];
        let course = experiment(&log, &json!({})).expect("it has shares");
        assert_eq!(
            course.shares[0],
            (
                "share of model-a".into(),
                vec![(1_000, 50.0), (9_000, 100.0), (20_000, 0.0)]
            )
        );
        assert_eq!(course.shares[1].1, [(1_000, 50.0), (9_000, 0.0), (20_000, 0.0)]);
        assert!(!course.draw("A/B").contains("GPUs"));
        assert!(experiment(&log[..1], &json!({})).is_none() && rollout(&log, &json!({})).is_none());
    }
}
