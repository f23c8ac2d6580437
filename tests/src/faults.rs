//! What can go wrong, decided before a story is told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// One way in which a story is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing goes wrong.
    None,
    /// Every message is delivered twice.
    Duplicates,
    /// Of the messages that are due, the last comes first.
    Reordered,
    /// No message arrives; only the store's own sweep wakes anybody.
    LostMessages,
    /// Messages for later than a quarter of an hour come at once: on AWS these are schedules, and one fires before its time.
    EarlySchedules,
    /// Every message comes half a minute late.
    LateMessages,
    /// The process dies after its n-th commit, before anything else happens.
    CrashAfterCommit(usize),
    /// The process dies before its n-th effect.
    CrashBeforeEffect(usize),
    /// The process dies after its n-th effect was performed, before that is noted.
    CrashAfterEffect(usize),
    /// Every commit finds at first that somebody else was faster.
    ConflictOnEveryCommit,
}

/// Counts what happens and says when it goes wrong.
#[derive(Debug)]
pub struct Faults {
    plan: Fault,
    commits: AtomicUsize,
    effects: AtomicUsize,
    dead: AtomicBool,
    refused: Mutex<Option<String>>,
}

impl Faults {
    /// A world in which `plan` happens.
    pub fn new(plan: Fault) -> Self {
        Self {
            plan,
            commits: AtomicUsize::new(0),
            effects: AtomicUsize::new(0),
            dead: AtomicBool::new(false),
            refused: Mutex::new(None),
        }
    }

    /// What happens in this world.
    pub fn plan(&self) -> Fault {
        self.plan
    }

    /// Whether the process is dead: nothing it calls answers any more.
    pub fn dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// The next process starts.
    pub fn restart(&self) {
        self.dead.store(false, Ordering::SeqCst);
    }

    /// Commits and effects so far.
    pub fn counted(&self) -> (usize, usize) {
        (
            self.commits.load(Ordering::SeqCst),
            self.effects.load(Ordering::SeqCst),
        )
    }

    /// Whether this commit is refused once; the same item's next try goes through.
    pub(crate) fn conflict(&self, item: &str) -> bool {
        if self.plan != Fault::ConflictOnEveryCommit {
            return false;
        }
        let mut refused = self.refused.lock().expect("no story panics while it holds this");
        let again = refused.as_deref() == Some(item);
        *refused = (!again).then(|| item.to_owned());
        !again
    }

    /// A commit was stored.
    pub(crate) fn committed(&self) {
        let n = self.commits.fetch_add(1, Ordering::SeqCst) + 1;
        self.die_if(self.plan == Fault::CrashAfterCommit(n));
    }

    /// An effect is about to be performed; its number.
    pub(crate) fn before_effect(&self) -> usize {
        let n = self.effects.fetch_add(1, Ordering::SeqCst) + 1;
        self.die_if(self.plan == Fault::CrashBeforeEffect(n));
        n
    }

    /// Effect number `n` was performed.
    pub(crate) fn after_effect(&self, n: usize) {
        self.die_if(self.plan == Fault::CrashAfterEffect(n));
    }

    fn die_if(&self, now: bool) {
        if now {
            self.dead.store(true, Ordering::SeqCst);
        }
    }
}
