//! What a rollout did: the candidate's share, the GPUs that service and candidate held, and what users lost.

use serde_json::Value;

use crate::svg::{Line, Panel, draw};

/// Draws the last rollout of a run from its log, as `weir audit` prints it, and the requests that failed, as the load driver
/// lists them: each with its moment `t`, milliseconds since 1970. Nothing for one that moved no traffic.
///
/// Time counts from the moment in which it took its lane; GPUs are those that the run held then.
pub fn rollout(title: &str, entries: &[Value], failures: &Value) -> Option<String> {
    let of_traffic = |entry: &&Value| entry["action"] == "weight_accepted";
    let begun = entries.iter().rposition(|entry| entry["action"] == "lane_taken");
    let entries = &entries[begun.unwrap_or(0)..];
    entries.iter().find(of_traffic)?;
    let start = entries.first()?["at"].as_i64()?;
    let seconds = |at: i64| (at - start) as f64 / 1_000.0;
    let end = seconds(entries.last()?["at"].as_i64()?).max(1.0);

    let shares = entries.iter().filter(of_traffic).filter_map(|entry| {
        // `weight 5 % accepted …`, or `copies of 25 % accepted …`.
        let (before, _) = entry["detail"].as_str()?.split_once(" %")?;
        let share = before.rsplit(' ').next()?;
        Some((seconds(entry["at"].as_i64()?), share.parse().ok()?))
    });
    let copies = entries.iter().find(of_traffic)?["detail"]
        .as_str()?
        .starts_with("copies");
    let what = if copies {
        "requests copied to the candidate"
    } else {
        "the candidate's share"
    };
    let held = entries
        .iter()
        .filter_map(|entry| Some((seconds(entry["at"].as_i64()?), entry["gpus"].as_f64()?)));
    let held: Vec<(f64, f64)> = held.collect();
    let most = held.iter().map(|(_, gpus)| *gpus).fold(1.0, f64::max);
    let failures = failures.as_array().into_iter().flatten();
    let failed = failures.filter_map(|failure| failure["t"].as_i64());
    let lost = lost_by_second(failed.map(seconds), end);
    let worst = lost.iter().map(|(_, lost)| *lost).fold(4.0, f64::max);
    let panel = |unit, most: f64, parts, height, name: &str, points| Panel {
        unit,
        most,
        parts,
        height,
        lines: vec![Line {
            name: name.to_owned(),
            points,
        }],
    };
    let panels = [
        panel(" %", 100.0, 4, 150.0, what, steps(shares, end)),
        panel(" GPUs", most, 2, 80.0, "GPUs held", steps(held.into_iter(), end)),
        panel("", worst, 2, 60.0, "failed requests a second", lost),
    ];
    Some(draw(title, "seconds", end, &panels))
}

/// A value that stays until the next: each corner twice.
fn steps(values: impl Iterator<Item = (f64, f64)>, end: f64) -> Vec<(f64, f64)> {
    let (mut points, mut last) = (vec![(0.0, 0.0)], 0.0);
    for (at, value) in values {
        if at <= 0.0 {
            points = vec![(0.0, value)];
        } else {
            points.extend([(at, last), (at, value)]);
        }
        last = value;
    }
    points.push((end, last));
    points
}

/// How many fall into each second.
fn lost_by_second(at: impl Iterator<Item = f64>, end: f64) -> Vec<(f64, f64)> {
    let mut lost = vec![0.0; end.ceil() as usize + 1];
    for second in at.filter(|at| (0.0..=end).contains(at)) {
        lost[second as usize] += 1.0;
    }
    let counted = lost.into_iter().enumerate();
    counted
        .map(|(second, lost)| ((second as f64).min(end), lost))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_is_drawn_from_its_log_and_one_without_traffic_is_not() {
        let log = [
            json!({"at": 0, "action": "run_started", "gpus": 0}),
            json!({"at": 60_000, "action": "lane_taken", "gpus": 4}),
            json!({"at": 70_000, "action": "weight_accepted", "detail": "weight 5 % accepted", "gpus": 5}),
            json!({"at": 80_000, "action": "weight_accepted", "detail": "weight 0 % accepted", "gpus": 5}),
            json!({"at": 100_000, "action": "run_ended", "gpus": 4}),
        ];
        let svg = rollout(
            "Canary",
            &log,
            &json!([{"t": 75_000}, {"t": 75_400}, {"t": 500_000}]),
        )
        .unwrap_or_default();
        assert!(
            svg.contains(">failed requests a second<") && svg.contains(">5 GPUs<"),
            "{svg}"
        );
        assert_eq!(rollout("None", &log[..2], &json!([])), None);
    }
}
