//! Requests per second over time.

use weir_domain::time::{Span, Timestamp};

/// Requests per second over time.
#[derive(Clone, PartialEq, Debug)]
pub struct Rates {
    /// From this time on, so many.
    pub steps: Vec<(Span, f64)>,
    /// The steps begin again after this time.
    pub repeat: Option<Span>,
}

impl Default for Rates {
    fn default() -> Self {
        Self::constant(60.0)
    }
}

impl Rates {
    /// As many all the time.
    pub fn constant(per_second: f64) -> Self {
        Self {
            steps: vec![(Span::ZERO, per_second)],
            repeat: None,
        }
    }

    fn at(&self, since: Span) -> f64 {
        let into = match self.repeat.filter(|repeat| repeat.0 > 0) {
            Some(repeat) => Span(since.0 % repeat.0),
            None => since,
        };
        let begun = self.steps.iter().rev().find(|(from, _)| *from <= into);
        begun.map_or(0.0, |(_, rate)| *rate)
    }

    /// Thousandths of requests between two moments, in pieces as long as looks are apart.
    fn between(&self, from: Span, to: Span) -> u64 {
        const PIECE: u64 = 15_000;
        let mut at = from;
        let mut sum = 0.0;
        while at < to {
            let end = Span((at.0 + PIECE).min(to.0));
            sum += self.at(at) * (end.0 - at.0) as f64;
            at = end;
        }
        sum.round() as u64
    }
}

/// What comes in, and whether the route does as it is told.
#[derive(Clone, Default)]
pub(super) struct Flows {
    pub(super) rates: Rates,
    /// When the rates begin.
    pub(super) from: Timestamp,
    /// A small share gets twice what it was told.
    pub(super) misrouted: bool,
}

impl Flows {
    /// Thousandths of requests between two moments.
    pub(super) fn between(&self, from: Timestamp, to: Timestamp) -> u64 {
        self.rates.between(from.since(self.from), to.since(self.from))
    }
}
