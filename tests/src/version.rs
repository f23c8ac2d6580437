//! Functions of two versions on one store, as they are while a fleet is updated one by one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use weir_domain::ids::RunId;
use weir_domain::run::{Run, SCHEMA};

/// A field that only the next version knows.
const NEW_FIELD: &str = "known_to_the_next_version";

/// One of the four functions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// The door for GitHub.
    Intake,
    /// The door for Slack.
    Callback,
    /// Steps and approvals.
    Steps,
    /// Rollouts.
    Traffic,
}

impl Owner {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Intake, Self::Callback, Self::Steps, Self::Traffic];
}

/// How each run was written last, and how often by whom.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<BTreeMap<RunId, Count>>>);

#[derive(Default)]
struct Count {
    schema: u32,
    older: u32,
    newer: u64,
}

/// One write of a run.
pub(crate) struct Writing {
    run: RunId,
    schema: u32,
    newer: u64,
}

/// What version a function is of.
#[derive(Clone)]
pub(crate) enum Version {
    /// All functions are of one.
    Only,
    /// It is of this version, and others are of the next.
    This(Ledger),
    /// It is of the next version: it writes a newer schema, and a field that this version does not know.
    Next(Ledger),
}

impl Version {
    /// What a function of this version makes of a stored run: what it does not know must come through its JSON.
    pub(crate) fn read(&self, run: Run) -> Run {
        match self {
            Self::Only => run,
            Self::This(_) | Self::Next(_) => {
                let stored = serde_json::to_value(&run).expect("a run is JSON");
                serde_json::from_value(stored).expect("a run of the next version can be read")
            }
        }
    }

    /// The run as this function stores it.
    ///
    /// # Panics
    /// A function of this version lowers the schema, or loses what the next version wrote.
    pub(crate) fn write(&self, mut run: Run) -> Run {
        let (Self::This(ledger) | Self::Next(ledger)) = self else {
            return run;
        };
        let (schema, writes) = ledger.last(&run.id);
        match self {
            Self::Next(_) => {
                run.schema = SCHEMA + 1;
                run.unknown.insert(NEW_FIELD.to_owned(), json!(writes + 1));
            }
            _ => assert_eq!(
                (run.schema, written(&run)),
                (schema, writes),
                "an older function rewrites what a newer one wrote"
            ),
        }
        run
    }

    /// What the ledger takes down once this run is stored.
    pub(crate) fn writing(&self, run: &Run) -> Writing {
        Writing {
            run: run.id.clone(),
            schema: run.schema,
            newer: written(run),
        }
    }

    /// The run was stored.
    pub(crate) fn stored(&self, writing: Writing) {
        if let Self::This(ledger) | Self::Next(ledger) = self {
            let mut ledger = ledger.0.lock().expect("no story panics while it holds this");
            let count = ledger.entry(writing.run).or_default();
            (count.schema, count.newer) = (writing.schema, writing.newer);
            count.older += u32::from(matches!(self, Self::This(_)));
        }
    }
}

/// How often functions of the next version have written a run, as it says itself.
fn written(run: &Run) -> u64 {
    run.unknown.get(NEW_FIELD).and_then(Value::as_u64).unwrap_or(0)
}

impl Ledger {
    fn last(&self, run: &RunId) -> (u32, u64) {
        let ledger = self.0.lock().expect("no story panics while it holds this");
        ledger
            .get(run)
            .map_or((SCHEMA, 0), |count| (count.schema, count.newer))
    }

    /// How often functions of this version and of the next have written a run.
    pub(crate) fn writes(&self, run: &RunId) -> (u32, u64) {
        let ledger = self.0.lock().expect("no story panics while it holds this");
        ledger.get(run).map_or((0, 0), |count| (count.older, count.newer))
    }
}
