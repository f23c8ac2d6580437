//! What a run did to traffic: shares, the GPUs that were held, and what users lost, over the same time.

use crate::svg::{Line, Panel, draw};

/// Values that stay until the next, each with its moment in milliseconds since 1970.
pub type Steps = Vec<(i64, f64)>;

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Course {
    /// The first and the last moment.
    pub span: (i64, i64),
    /// Percent of the requests, by who has them.
    pub shares: Vec<(String, Steps)>,
    /// GPUs that the run held; empty where it holds none.
    pub gpus: Steps,
    /// Requests that failed, by the second: its moment and how many.
    pub failed: Steps,
}

impl Course {
    /// The picture.
    pub fn draw(&self, title: &str) -> String {
        let (start, last) = self.span;
        let seconds = |at: i64| (at - start) as f64 / 1_000.0;
        let end = seconds(last).max(1.0);
        let line = |name: &str, steps: &Steps| Line {
            name: name.to_owned(),
            points: corners(steps.iter().map(|(at, value)| (seconds(*at), *value)), end),
        };
        let panel = |unit, most: f64, parts, height, lines| Panel {
            unit,
            most,
            parts,
            height,
            lines,
        };
        let shares = self.shares.iter().map(|(name, steps)| line(name, steps));
        let mut panels = vec![panel(" %", 100.0, 4, 150.0, shares.collect())];
        if !self.gpus.is_empty() {
            let most = self.gpus.iter().map(|(_, gpus)| *gpus).fold(1.0, f64::max);
            panels.push(panel(" GPUs", most, 2, 80.0, vec![line("GPUs held", &self.gpus)]));
        }
        let lost = by_second(self.failed.iter().map(|(at, lost)| (seconds(*at), *lost)), end);
        let worst = lost.iter().map(|(_, lost)| *lost).fold(4.0, f64::max);
        let name = "failed requests a second".to_owned();
        panels.push(panel("", worst, 2, 60.0, vec![Line { name, points: lost }]));
        draw(title, "seconds", end, &panels)
    }
}

/// A value that stays until the next: each corner twice.
fn corners(values: impl Iterator<Item = (f64, f64)>, end: f64) -> Vec<(f64, f64)> {
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
fn by_second(at: impl Iterator<Item = (f64, f64)>, end: f64) -> Vec<(f64, f64)> {
    let mut lost = vec![0.0; end.ceil() as usize + 1];
    for (second, more) in at.filter(|(at, _)| (0.0..=end).contains(at)) {
        lost[second as usize] += more;
    }
    let counted = lost.into_iter().enumerate();
    counted
        .map(|(second, lost)| ((second as f64).min(end), lost))
        .collect()
}
