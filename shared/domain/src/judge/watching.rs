//! The watch over a promoted revision: detectors over the comparisons of a condition.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::condition::{Block, alone};
use super::detector::Detector;
use super::proportion::Proportion;
use super::words;
use crate::condition::Condition;

/// False alarms a week, on average and at most: one in two years.
pub const ALARMS_PER_WEEK: f64 = 0.01;
/// Seconds between two looks at a rollout that is not new.
const BLOCK_SECONDS: f64 = 15.0;

/// State of the watch.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Watching {
    detectors: BTreeMap<String, Detector>,
}

impl Watching {
    /// Applies what was counted since the last look; the fault that it shows, if any. A fault after a long healthy
    /// time is shown as fast as a new one.
    pub fn add(&mut self, condition: &Condition, block: &Block<'_>) -> Option<String> {
        let condition = condition.plain();
        let leaves = alone(&condition);
        // Several detectors share the rate of false alarms.
        let rate = ALARMS_PER_WEEK / leaves.len().max(1) as f64;
        let mut shown = None;
        for leaf in leaves {
            let Some(question) = Proportion::of(leaf) else {
                continue;
            };
            let Some(tally) = question.tally(block.candidate) else {
                continue;
            };
            let detector = self
                .detectors
                .entry(leaf.to_string())
                .or_insert_with(|| Detector::new(question.line, BLOCK_SECONDS, rate));
            if detector.add(tally) {
                let odds = words::evidence(detector.ln_value(), detector.ln_needed());
                shown.get_or_insert(format!(
                    "{leaf} after promotion: {}; {odds}",
                    question.words(tally)
                ));
            }
        }
        shown
    }
}
