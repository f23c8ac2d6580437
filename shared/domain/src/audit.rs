//! The log of a run: who did what, when, why, on which evidence. Append-only and hash-chained (invariant 10).
//!
//! The hash of an entry is SHA-256 over the previous hash (64 hex digits as text) followed by the canonical JSON of the
//! entry without its own hash. The first entry's previous hash is SHA-256 over the run's id.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::{canonical_json, sha256_hex};
use crate::ids::RunId;
use crate::json;
use crate::people::Actor;
use crate::time::Timestamp;

/// What a decision wants recorded; it becomes an [`Entry`] when it is committed.
#[derive(Clone, PartialEq, Debug)]
pub struct Note {
    /// Who caused it.
    pub actor: Actor,
    /// What happened, as a past participle with its subject: `rollout.reverted`.
    pub action: Action,
    /// A sentence for people.
    pub detail: String,
    /// What was measured or seen.
    pub evidence: BTreeMap<String, Value>,
    /// State before, where something moved.
    pub before: Option<String>,
    /// State after.
    pub after: Option<String>,
}

/// One committed entry.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The run.
    pub run: RunId,
    /// Position in the run's log, from 1.
    pub n: u64,
    /// When it was decided, milliseconds since 1970.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// What happened.
    pub action: Action,
    /// A sentence for people.
    pub detail: String,
    /// What was measured or seen.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<String, Value>,
    /// State before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// State after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// GPUs that the run's revisions held when it was last looked, candidate and stable together.
    pub gpus: u32,
    /// Links this entry to the one before.
    pub hash: String,
}

/// What kind of thing an entry records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A run began.
    RunStarted,
    /// A run was refused before anything moved.
    RunRefused,
    /// A run ended, with any status.
    RunEnded,
    /// A person asked for the end of a run.
    CancelRequested,
    /// A person asked for a rollout to stay where it is.
    HoldRequested,
    /// A person asked for a rollout to go to its end without waiting for its steps.
    SkipRequested,
    /// A stage began.
    StageStarted,
    /// A step began.
    StepStarted,
    /// A step ended well.
    StepSucceeded,
    /// A step ended badly.
    StepFailed,
    /// Something is waited for, said once.
    Waiting,
    /// People were asked.
    ApprovalRequested,
    /// A person approved.
    ApprovalGiven,
    /// An answer was not counted.
    ApprovalRefused,
    /// An approval ended: approved, rejected, expired or superseded.
    ApprovalEnded,
    /// What a rollout would do was worked out for those who are asked.
    Foreseen,
    /// The lane was taken.
    LaneTaken,
    /// The lane was given free.
    LaneReleased,
    /// A Deployment that Weir did not make was taken as stable, or given free again.
    RevisionAdopted,
    /// What scales stable was held, or set to scale what serves.
    AutoscalerHeld,
    /// A revision was created or grown.
    RevisionScaled,
    /// All replicas asked for are warm.
    RevisionWarm,
    /// A replica that carries a breach leaves, and another comes.
    ReplicaReplaced,
    /// Weir decided on new weights.
    WeightDecided,
    /// The API server took the weights.
    WeightAccepted,
    /// The gateway's controller has taken them up; without a gateway, the Service's endpoints.
    WeightObserved,
    /// The old side's own request counter stands still.
    WeightEffective,
    /// A step of the plan was passed.
    StepPassed,
    /// Traffic is to go back.
    RevertDecided,
    /// Traffic is back.
    Reverted,
    /// The candidate serves everything and is watched.
    Baking,
    /// The candidate is the new stable.
    Promoted,
    /// The old revision holds nothing any more.
    Drained,
    /// A revision was removed.
    Removed,
}

impl Action {
    /// The stable name that stands in the log.
    pub fn as_str(self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

/// The hash that the first entry of a run follows.
pub fn genesis(run: &RunId) -> String {
    sha256_hex(run.as_str().as_bytes())
}

/// Makes the next entry of a log.
pub fn chain(note: Note, run: &RunId, n: u64, at: Timestamp, gpus: u32, previous: &str) -> Entry {
    let Note {
        actor,
        action,
        detail,
        evidence,
        before,
        after,
    } = note;
    let run = run.clone();
    let mut entry = Entry {
        run,
        n,
        at,
        actor,
        action,
        detail,
        evidence,
        before,
        after,
        gpus,
        hash: String::new(),
    };
    entry.hash = link(
        previous,
        serde_json::to_value(&entry).expect("an entry is plain data with text keys"),
    );
    entry
}

/// The hash of one entry given as JSON, with or without its `hash`.
pub fn link(previous: &str, mut entry: Value) -> String {
    if let Some(map) = entry.as_object_mut() {
        map.remove("hash");
    }
    sha256_hex(format!("{previous}{}", canonical_json(&entry)).as_bytes())
}

/// Result of checking a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Verified {
    /// Whether every entry follows from the one before.
    pub valid: bool,
    /// Number of entries read.
    pub entries: usize,
    /// 1-based line of the first entry that does not follow.
    pub first_bad: Option<usize>,
}

/// Checks a log of one entry a line; entries of several runs may be mixed, each run's in order. Empty lines are
/// passed over.
///
/// A line that names a key twice follows from nothing: readers differ in which of the two they believe.
///
/// # Errors
/// A line that is no JSON object with `run`, `n` and `hash` is malformed input; its 1-based number and why come back.
pub fn verify(lines: &str) -> Result<Verified, (usize, String)> {
    let mut tails: BTreeMap<String, (u64, String)> = BTreeMap::new();
    let mut result = Verified {
        valid: true,
        entries: 0,
        first_bad: None,
    };
    for (index, line) in lines
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let strict = json::read::<Value>(line);
        let once = strict.is_ok();
        let value = match strict {
            Ok(value) => value,
            Err(_) => serde_json::from_str(line).map_err(|e| (index + 1, e.to_string()))?,
        };
        let field = |name: &str| {
            value
                .get(name)
                .ok_or_else(|| (index + 1, format!("no field `{name}`")))
        };
        let run = field("run")?
            .as_str()
            .ok_or_else(|| (index + 1, "`run` is not text".to_owned()))?
            .to_owned();
        let n = field("n")?
            .as_u64()
            .ok_or_else(|| (index + 1, "`n` is not a whole number".to_owned()))?;
        let hash = field("hash")?
            .as_str()
            .ok_or_else(|| (index + 1, "`hash` is not text".to_owned()))?
            .to_owned();
        result.entries += 1;
        let (last, previous) = tails
            .entry(run.clone())
            .or_insert_with(|| (0, genesis(&RunId::new(run))));
        let follows = once && n.checked_sub(1) == Some(*last) && hash == link(previous, value.clone());
        if !follows && result.first_bad.is_none() {
            result.valid = false;
            result.first_bad = Some(index + 1);
        }
        (*last, *previous) = (n, hash);
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(run: &str, count: u64) -> Vec<String> {
        let id = RunId::new(run);
        let mut previous = genesis(&id);
        (1..=count)
            .map(|n| {
                let note = Note {
                    actor: Actor::Weir,
                    action: Action::StepStarted,
                    detail: format!("step {n}"),
                    evidence: BTreeMap::new(),
                    before: None,
                    after: None,
                };
                let entry = chain(note, &id, n, Timestamp(i64::try_from(n).unwrap()), 0, &previous);
                previous.clone_from(&entry.hash);
                serde_json::to_string(&entry).unwrap()
            })
            .collect()
    }

    #[test]
    fn an_untouched_log_of_two_runs_is_valid() {
        let mixed: Vec<String> = log("a", 3)
            .into_iter()
            .zip(log("b", 3))
            .flat_map(|(a, b)| [a, b])
            .collect();
        assert_eq!(
            verify(&mixed.join("\n")),
            Ok(Verified {
                valid: true,
                entries: 6,
                first_bad: None
            })
        );
    }

    #[test]
    fn a_changed_dropped_or_swapped_entry_is_found_at_its_line() {
        let lines = log("a", 4);
        let changed = lines.join("\n").replace("step 3", "step x");
        assert_eq!(verify(&changed).unwrap().first_bad, Some(3));
        let dropped = [&lines[0], &lines[2], &lines[3]].map(String::as_str).join("\n");
        assert_eq!(verify(&dropped).unwrap().first_bad, Some(2));
        let swapped = [&lines[0], &lines[2], &lines[1]].map(String::as_str).join("\n");
        assert_eq!(verify(&swapped).unwrap().first_bad, Some(2));
    }

    #[test]
    fn a_key_twice_follows_from_nothing_wherever_it_stands() {
        let lines = log("a", 3);
        for (found, doubled) in [
            ("\"actor\":", "\"actor\":{\"person\":\"eve\"},\"actor\":"),
            ("\"hash\":", "\"hash\":\"0\",\"hash\":"),
            ("\"n\":2", "\"\\u006e\":7,\"n\":2"),
        ] {
            let forged = lines[1].replace(found, doubled);
            assert_ne!(forged, lines[1]);
            let log = [&lines[0], &forged, &lines[2]].map(String::as_str).join("\n");
            let verified = verify(&log).unwrap();
            assert_eq!((verified.valid, verified.first_bad), (false, Some(2)), "{forged}");
        }
        let last = lines[2].replace("\"n\":3", "\"n\":18446744073709551615");
        assert_eq!(verify(&last).unwrap().first_bad, Some(1));
    }

    #[test]
    fn a_line_that_is_no_entry_is_malformed_input() {
        assert_eq!(verify("{}").unwrap_err().0, 1);
        assert_eq!(verify("\n[1]").unwrap_err().0, 2);
    }
}
