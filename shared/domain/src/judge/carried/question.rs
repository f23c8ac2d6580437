//! What is asked of each replica, and when a part of the candidate is cleared of it.

use crate::condition::Condition;
use crate::judge::bounds::RatioBounds;
use crate::judge::condition::{Weighing, leaves};
use crate::judge::proportion::{Proportion, slow};
use crate::judge::{ALPHA, Arms, Side, Tally, ln_e_over};
use crate::seen::Counts;

/// How many times likelier it must be, after so many requests, that one replica is bad alone than that all are alike. Whoever takes
/// a bad version for a bad replica tries the step once more; whoever takes a bad replica for a bad version sends a good one back.
const LIKELIER: f64 = 3.0;
/// One more try costs users as many requests as the breach took, and a great harm is known after a few, in which replicas can hardly be
/// told apart. So the odds grow with their cube, an exponent chosen by what `make bench-judge` prints of either mistake.
const AFTER: f64 = 200.0;
/// Chance at which the others are shown to be bad too, so that the one is not what the breach hangs on.
const OTHERS_ALPHA: f64 = 0.05;

/// A question that is put to each replica.
pub(super) struct Compared<'a> {
    /// Of its metric.
    pub(super) name: String,
    what: What<'a>,
    /// What stable answered meanwhile.
    pub(super) stable: Tally,
}

enum What<'a> {
    /// A comparison with a line that the candidate must not be over.
    Line(Proportion<'a>),
    /// Slower than an edge of stable's latencies.
    Edge(u64),
}

impl Compared<'_> {
    pub(super) fn is_of_latencies(&self) -> bool {
        self.edge().is_some()
    }

    /// Milliseconds over which a request is a slow one; `None`: it is not about latencies.
    pub(super) fn edge(&self) -> Option<u64> {
        match &self.what {
            What::Line(question) => question.limit_ms(),
            What::Edge(edge) => Some(*edge),
        }
    }

    pub(super) fn tally(&self, counts: &Counts) -> Tally {
        match &self.what {
            What::Line(question) => question.tally(counts),
            What::Edge(edge) => slow(counts, *edge),
        }
        .unwrap_or_default()
    }

    /// How many times likelier it must be after so many requests. Without stable the others' own share is fitted too, so chance alone
    /// explains more.
    pub(super) fn likelier(&self, answered: u64) -> f64 {
        match self.stable.total {
            0 => 1.0 / ALPHA,
            _ => LIKELIER * (answered as f64 / AFTER).powi(3),
        }
    }

    /// Whether a part of the candidate is as good as stable, and not over the line. Where nothing is known of stable, it
    /// must be within the line.
    pub(super) fn clears(&self, part: Tally) -> bool {
        let shown = -OTHERS_ALPHA.ln();
        let line = match &self.what {
            What::Line(question) => Some(question.line),
            What::Edge(_) => None,
        };
        let within = line.is_none_or(|line| part.share().is_none_or(|share| share <= line));
        let over = line.is_some_and(|line| ln_e_over(part, line) >= shown);
        match self.stable.total {
            0 => within,
            _ => !over && ln_e_worse(part, self.stable) < shown,
        }
    }
}

/// All that a condition asks, in its order, then the edges of stable's latencies.
pub(super) fn questions<'a>(condition: &'a Condition, weighing: &Weighing) -> Vec<Compared<'a>> {
    let leaves = leaves(condition).into_iter();
    let lines = leaves.filter_map(|leaf| {
        let question = Proportion::of(leaf).filter(|question| question.side == Side::Over)?;
        let name = leaf.to_string();
        Some(Compared {
            what: What::Line(question),
            stable: weighing.stable_of(&name),
            name,
        })
    });
    let edges = weighing.edges().map(|(edge, name)| Compared {
        what: What::Edge(edge),
        stable: weighing.stable_of(&name),
        name,
    });
    lines.chain(edges).collect()
}

/// ln of the evidence that one share is greater than another, at one look.
fn ln_e_worse(one: Tally, than: Tally) -> f64 {
    let mut ratio = RatioBounds::default();
    ratio.add(
        Arms {
            candidate: one,
            stable: than,
        },
        1.0,
    );
    ratio.ln_e_greater(0.0)
}
