//! Is a breach carried by one replica? Asked once a breach is shown, of what each replica has answered in the step.
//!
//! It is, if what all have answered is far likelier where one of them is bad and the others are as stable is, than where all are alike,
//! and the others are within every line and as good as stable. Failures are one question; latencies are one too, at the lines of the
//! condition and at stable's quantiles together. A version that is bad everywhere has replicas that are alike, so it is hardly ever taken
//! for one of them. Whoever is not sure blames the version: traffic stays away then.

mod odds;
mod question;
mod rows;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::odds::{apart, groups, others, total};
use self::question::{Compared, questions};
use self::rows::Rows;
use super::Tally;
use super::condition::Weighing;
use super::words::percent;
use crate::condition::Condition;
use crate::seen::{Counts, Replica, Scene};

/// What each replica of both revisions answered, where they are told apart.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Carried {
    #[serde(flatten)]
    candidate: Rows,
    #[serde(default, skip_serializing_if = "Rows::is_empty")]
    stable: Rows,
}

/// The replicas of both revisions that are told apart.
#[derive(Clone, Copy, Debug)]
pub struct Apart<'a> {
    /// The candidate's.
    pub candidate: &'a [Replica],
    /// What those of the stable revision answered since each was first seen, by pod.
    pub stable: &'a BTreeMap<String, Counts>,
}

impl<'a> Apart<'a> {
    /// Those of a rollout's scene.
    pub fn of(scene: &'a Scene) -> Self {
        Self {
            candidate: &scene.replicas,
            stable: &scene.serving,
        }
    }
}

/// The replica that carries a breach.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Suspect {
    /// Name of its pod.
    pub pod: String,
    /// What it did and the others did not: `30.0 % of 120 requests; the 2 others 0.40 % of 250`.
    pub words: String,
}

impl Carried {
    /// Takes what the replicas that are there have answered so far, and tells the metrics how much stable's differ. While the
    /// candidate is `cold`, latencies that were answered before do not count.
    pub fn see(&mut self, condition: &Condition, weighing: &mut Weighing, replicas: &Apart<'_>, cold: bool) {
        let condition = condition.plain();
        let questions = questions(&condition, weighing);
        let candidate = replicas.candidate.iter();
        self.candidate.see(
            &questions,
            candidate.map(|replica| (&replica.pod, &replica.counts)),
        );
        self.stable.see(&questions, replicas.stable.iter());
        if cold {
            self.candidate.leave_out_latencies(&questions);
            self.stable.leave_out_latencies(&questions);
        }
        let of = |rows: &Rows, at: usize| -> Vec<Tally> { rows.row(at).into_values().collect() };
        let names: Vec<String> = questions.into_iter().map(|question| question.name).collect();
        for (at, name) in names.iter().enumerate() {
            weighing.tell_apart(name, &of(&self.candidate, at), &of(&self.stable, at));
        }
    }

    /// Whether a replica of the candidate was there when the present weights were set.
    pub fn was_there(&self, pod: &str) -> bool {
        self.candidate.from.contains_key(pod)
    }

    /// New weights: what was answered before does not count.
    pub fn restart(&mut self) {
        self.candidate.restart();
        self.stable.restart();
    }

    /// The replica that carries the breach of a condition, if one does. With a single replica nobody can tell.
    pub fn by(&self, condition: &Condition, weighing: &Weighing) -> Option<Suspect> {
        let condition = condition.plain();
        let questions = questions(&condition, weighing);
        let rows: Vec<BTreeMap<&str, Tally>> =
            (0..questions.len()).map(|at| self.candidate.row(at)).collect();
        let groups = groups(&questions);
        let (at, pod) = groups.iter().find_map(|group| {
            let (at, pod, ln_better) = apart(&questions, &rows, group)?;
            // The worst of several is picked, in several groups: each may be it.
            let picked = (rows[at].len() * groups.len()) as f64;
            let answered = total(&rows[at]).total;
            (ln_better >= (picked * questions[at].likelier(answered)).ln()).then_some((at, pod))
        })?;
        let clean =
            |(question, row): (&Compared<'_>, &BTreeMap<&str, Tally>)| question.clears(others(row, pod));
        if !questions.iter().zip(&rows).all(clean) {
            return None;
        }
        let (own, rest) = (rows[at][pod], others(&rows[at], pod));
        let told = |tally: Tally| format!("{} of {}", percent(tally.share().unwrap_or(0.0)), tally.total);
        let count = match rows[at].len() - 1 {
            1 => "other".to_owned(),
            more => format!("{more} others"),
        };
        Some(Suspect {
            pod: pod.to_owned(),
            words: format!("{} requests; the {count} {}", told(own), told(rest)),
        })
    }
}

#[cfg(test)]
mod tests;
