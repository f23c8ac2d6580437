//! What each replica of a revision answered in a step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::question::Compared;
use crate::judge::Tally;
use crate::seen::Counts;

/// For each comparison of the condition, in its order, and each edge of stable's latencies: the bad ones of all.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Rows {
    /// When the present weights were set.
    pub(super) from: BTreeMap<String, Vec<Tally>>,
    /// At the last look, since each was first seen.
    now: BTreeMap<String, Vec<Tally>>,
}

impl Rows {
    pub(super) fn is_empty(&self) -> bool {
        self.now.is_empty()
    }

    /// Takes what the replicas that are there have answered so far.
    pub(super) fn see<'a>(
        &mut self,
        questions: &[Compared<'_>],
        replicas: impl Iterator<Item = (&'a String, &'a Counts)>,
    ) {
        let tallies = |counts: &Counts| -> Vec<Tally> {
            questions.iter().map(|question| question.tally(counts)).collect()
        };
        self.now = replicas
            .map(|(pod, counts)| (pod.clone(), tallies(counts)))
            .collect();
        self.from.retain(|pod, _| self.now.contains_key(pod));
    }

    /// New weights: what was answered before does not count.
    pub(super) fn restart(&mut self) {
        self.from.clone_from(&self.now);
    }

    /// Latencies that were answered before do not count: a replica has just begun to answer.
    pub(super) fn leave_out_latencies(&mut self, questions: &[Compared<'_>]) {
        let timed = questions.iter().map(Compared::is_of_latencies);
        for (at, _) in timed.enumerate().filter(|(_, timed)| *timed) {
            for (pod, now) in &self.now {
                let none = vec![Tally::default(); now.len()];
                let from = self.from.entry(pod.clone()).or_insert(none);
                if let (Some(from), Some(now)) = (from.get_mut(at), now.get(at)) {
                    *from = *now;
                }
            }
        }
    }

    /// What each replica has answered of one question since the weights were set.
    pub(super) fn row(&self, at: usize) -> BTreeMap<&str, Tally> {
        let tally =
            |list: Option<&Vec<Tally>>| list.and_then(|list| list.get(at)).copied().unwrap_or_default();
        self.now
            .iter()
            .map(|(pod, now)| (pod.as_str(), tally(Some(now)).without(tally(self.from.get(pod)))))
            .collect()
    }
}
