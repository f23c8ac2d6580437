//! The cells of the matrix: a strategy, a step of it, a way back.

use std::fmt;

/// How traffic moves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Strategy {
    Canary,
    BlueGreen,
    Rolling,
    Shadow,
    Variants,
}

/// What ends it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Way {
    /// Nothing: it goes on to its end.
    Promotion,
    /// A person takes it back.
    Person,
    /// Its requests fail.
    Metric,
    /// Its processes end.
    Crash,
    /// Its processes are ended by the kernel.
    OutOfMemory,
    /// Its pods are not ready, or not any more.
    Unready,
    /// The node that all of its pods are on has no power, and nobody says so.
    NodeLost,
}

/// Where a rollout stands. Of an experiment: `Growing(0)` waits for warm variants, `Watching(0)` has the shares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum At {
    Growing(usize),
    Watching(usize),
    Baking,
}

/// A step of a strategy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) at: At,
    /// What people call it.
    pub(crate) words: &'static str,
    /// Users are answered by what is new, at least in part.
    pub(crate) answers: bool,
}

/// One cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cell {
    pub(crate) strategy: Strategy,
    pub(crate) place: Place,
    pub(crate) way: Way,
}

impl Strategy {
    pub(crate) const ALL: [Self; 5] = [
        Self::Canary,
        Self::BlueGreen,
        Self::Rolling,
        Self::Shadow,
        Self::Variants,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::BlueGreen => "blue-green",
            Self::Rolling => "rolling",
            Self::Shadow => "shadow",
            Self::Variants => "A/B",
        }
    }

    /// Its steps with three replicas, in order; see `lane::strategy`.
    fn places(self) -> Vec<Place> {
        let of = |at, words, answers| Place { at, words, answers };
        use At::{Baking, Growing, Watching};
        match self {
            Self::Canary => vec![
                of(Growing(0), "growing for 25 %", false),
                of(Watching(0), "at 25 %", true),
                of(Growing(1), "growing for 66 %", true),
                of(Watching(1), "at 66 %", true),
                of(Growing(2), "growing for 100 %", true),
                of(Watching(2), "at 100 %", true),
                of(Baking, "baking", true),
            ],
            Self::BlueGreen => vec![
                of(Growing(0), "growing", false),
                of(Watching(0), "preview", false),
                of(Watching(1), "at 100 %", true),
                of(Baking, "baking", true),
            ],
            Self::Rolling => vec![
                of(Growing(0), "growing for 33 %", false),
                of(Watching(0), "at 33 %", true),
                of(Growing(1), "growing for 50 %", true),
                of(Watching(1), "paused at 50 %", true),
                of(Watching(2), "at 66 %", true),
                of(Growing(3), "growing for 100 %", true),
                of(Watching(3), "at 100 %", true),
                of(Baking, "baking", true),
            ],
            Self::Shadow => vec![
                of(Growing(0), "growing for copies", false),
                of(Watching(0), "25 % copied", false),
            ],
            Self::Variants => vec![
                of(Growing(0), "warming", false),
                of(Watching(0), "50 % each", true),
            ],
        }
    }
}

impl Way {
    pub(crate) const ALL: [Self; 7] = [
        Self::Promotion,
        Self::Person,
        Self::Metric,
        Self::Crash,
        Self::OutOfMemory,
        Self::Unready,
        Self::NodeLost,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Promotion => "to its end",
            Self::Person => "person",
            Self::Metric => "metric",
            Self::Crash => "crash",
            Self::OutOfMemory => "out of memory",
            Self::Unready => "never ready",
            Self::NodeLost => "node lost",
        }
    }

    /// Whether it is a way back from a step. What is asked nothing fails nothing; an experiment ends with its time and tells
    /// which variant fails more.
    fn is_met(self, strategy: Strategy, place: &Place) -> bool {
        let copied = strategy == Strategy::Shadow && place.at == At::Watching(0);
        match self {
            Self::Promotion => false,
            Self::Metric => (place.answers || copied) && strategy != Strategy::Variants,
            Self::Person | Self::Crash | Self::OutOfMemory | Self::Unready | Self::NodeLost => true,
        }
    }
}

impl Cell {
    /// Whether it goes to its end.
    pub(crate) fn is_promoted(&self) -> bool {
        self.way == Way::Promotion
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.is_promoted() { "" } else { self.place.words };
        let way = self.way.as_str();
        write!(f, "{:<10}  {place:<18}  {way:<13}", self.strategy)
    }
}

/// All cells. Each strategy goes to its end once.
pub(crate) fn matrix() -> Vec<Cell> {
    let of = |strategy: Strategy| {
        let places = strategy.places();
        let last = places.last().copied();
        let end = last.map(|place| (place, Way::Promotion));
        let ways = |place: Place| {
            let met = Way::ALL
                .into_iter()
                .filter(move |way| way.is_met(strategy, &place));
            met.map(move |way| (place, way))
        };
        let back: Vec<(Place, Way)> = places.into_iter().flat_map(ways).collect();
        let cells = end.into_iter().chain(back);
        cells
            .map(move |(place, way)| Cell { strategy, place, way })
            .collect::<Vec<_>>()
    };
    Strategy::ALL.into_iter().flat_map(of).collect()
}
