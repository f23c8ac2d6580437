//! What goes wrong in an account: rarely, in each way by turns, and counted.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// DynamoDB asks for patience, and serves the next try.
    Throttled,
    /// It asks for patience until the client gives the call up.
    ThrottledForLong,
    /// It finds that a transaction of somebody else's is writing.
    Raced,
    /// It finds that somebody else was faster: a condition does not hold. Nobody makes this one; it is what others lead to.
    Unmet,
    /// It has written, and its answer comes when nobody waits for it any more.
    WrittenTooLate,
    /// SQS has taken a message, and the connection breaks before its answer.
    SentUnanswered,
    /// It delivers a message twice.
    Duplicated,
    /// It delivers a message after others that were sent later.
    Passed,
    /// A batch comes again while a function that has stopped in the middle of it is only asleep.
    Redelivered,
    /// A schedule fires before its time.
    Early,
    /// A schedule fires half its period late.
    Late,
    /// A schedule fires twice.
    Twice,
    /// A schedule does not fire.
    Never,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Throttled,
        Self::ThrottledForLong,
        Self::Raced,
        Self::Unmet,
        Self::WrittenTooLate,
        Self::SentUnanswered,
        Self::Duplicated,
        Self::Passed,
        Self::Redelivered,
        Self::Early,
        Self::Late,
        Self::Twice,
        Self::Never,
    ];

    /// In words, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::ThrottledForLong => "throttled until given up",
            Self::Raced => "transaction conflict",
            Self::Unmet => "condition not met",
            Self::WrittenTooLate => "written but timed out",
            Self::SentUnanswered => "sent but answer lost",
            Self::Duplicated => "duplicate",
            Self::Passed => "reordered",
            Self::Redelivered => "redelivered to another while asleep",
            Self::Early => "early",
            Self::Late => "late",
            Self::Twice => "twice",
            Self::Never => "never",
        }
    }
}

/// Where something may go wrong, and how often.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Place {
    /// A read of the table, of which there are many: one of 150.
    Read,
    /// A write to the table: one of 30.
    Write,
    /// A message that is sent: one of 12.
    Send,
    /// A batch that is received: one of 10.
    Batch,
    /// A schedule that fires or is made: each.
    Schedule,
}

impl Place {
    fn every(self) -> u64 {
        match self {
            Self::Read => 150,
            Self::Write => 30,
            Self::Send => 12,
            Self::Batch => 10,
            Self::Schedule => 1,
        }
    }
}

/// What goes wrong, and went wrong so far.
pub(crate) struct Trouble {
    on: bool,
    calm: watch::Sender<bool>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Occasions so far.
    seen: BTreeMap<Place, u64>,
    /// What was tried so far; most is met by that.
    tried: BTreeMap<Fault, u64>,
    met: BTreeMap<Fault, u64>,
}

impl Trouble {
    /// An account in which things go wrong, or in which none does.
    pub(crate) fn new(on: bool) -> Self {
        Self {
            on,
            calm: watch::Sender::new(false),
            counts: Mutex::default(),
        }
    }

    /// What goes wrong on this occasion, of what is possible here. [`Self::met`] says that it did.
    pub(crate) fn strikes(&self, place: Place, possible: &[Fault]) -> Option<Fault> {
        if !self.on || *self.calm.borrow() {
            return None;
        }
        let mut counts = self.counts();
        let seen = counts.seen.entry(place).or_default();
        *seen += 1;
        if !spread(*seen).is_multiple_of(place.every()) {
            return None;
        }
        // What was tried least is next.
        let tried = |fault: &Fault| counts.tried.get(fault).copied().unwrap_or_default();
        let fault = possible.iter().copied().min_by_key(tried)?;
        *counts.tried.entry(fault).or_default() += 1;
        Some(fault)
    }

    /// It went wrong.
    pub(crate) fn met(&self, fault: Fault) {
        *self.counts().met.entry(fault).or_default() += 1;
    }

    /// How often what went wrong; nothing where nothing is to go wrong.
    pub(crate) fn all_met(&self) -> Vec<(Fault, u64)> {
        let counts = self.counts();
        let times = |fault| counts.met.get(&fault).copied().unwrap_or_default();
        let all = Fault::ALL.iter().filter(|_| self.on);
        all.map(|fault| (*fault, times(*fault))).collect()
    }

    /// Whether nothing goes wrong for now, and nothing that is called every minute is called.
    pub(crate) fn set_calm(&self, calm: bool) {
        self.calm.send_replace(calm);
    }

    /// Waits until it is not calm.
    pub(crate) async fn until_rough(&self) {
        // The sender lives as long as this.
        let _ = self.calm.subscribe().wait_for(|calm| !calm).await;
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Nothing in here panics half-way.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number for a number or a name: the same each time, and without a pattern. Exactly every thirtieth call would be the same
/// call of each look that makes thirty.
pub fn spread(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
