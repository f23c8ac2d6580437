//! Names of items, those of every store among them, and of attributes.

use weir_app::names::escaped;
pub(crate) use weir_app::names::{
    EFFECTS, EVENTS, STATE, approval, event, lane, number, numbers, outbox, outbox_of, pool, push, run,
    run_of,
};
use weir_domain::Duty;
use weir_domain::digest::sha256_hex;
use weir_domain::ids::{RunId, StepId};
use weir_domain::time::{Span, Timestamp};

/// Partition key.
pub(crate) const PK: &str = "pk";
/// Sort key.
pub(crate) const SK: &str = "sk";
/// How often an item was written; an effect's: its tries in vain and one.
pub(super) const VERSION: &str = "version";
/// The domain's JSON.
pub(crate) const BODY: &str = "body";
/// Token of the commit that wrote a run last.
pub(super) const COMMIT: &str = "commit";
/// Version of the run at which its closed stages were written last; in the run and in their item.
pub(super) const CLOSED: &str = "closed";
/// When an item is due, milliseconds since 1970: sort key of the index. A run's is the minute of its earlier look.
pub(super) const DUE: &str = "due";
/// Partition key of the index of what is due; there as long as `due` is.
pub(super) const DUE_SHARD: &str = "due_shard";
/// Whose effect it is.
pub(super) const DUTY: &str = "duty";
/// When a run was stored first, milliseconds since 1970: sort key of the index of runs.
pub(super) const BORN: &str = "born";
/// Partition key of the index of runs.
pub(super) const BORN_SHARD: &str = "born_shard";
/// When DynamoDB may remove an item, seconds since 1970.
pub(super) const EXPIRES: &str = "expires";

/// Sort key of a run's closed stages: next to the run, so that one query reads all of it and nothing else.
pub(super) const CLOSED_STAGES: &str = "STATE#CLOSED";
/// Sort key of a run's pipeline, after these.
pub(super) const PIPELINE: &str = "STATE#PIPELINE";

/// The attribute of a run that says when a duty is due.
pub(super) fn look(duty: Duty) -> &'static str {
    duty.as_str()
}

/// A run's place in the index of what is due: the minute, rounded down. A run that is looked at every five seconds moves
/// there once a minute, and each move costs two units, a third of what the look does.
pub(super) fn due(first: Timestamp) -> i64 {
    let minute = Span::seconds(60).0.cast_signed();
    first.0 - first.0.rem_euclid(minute)
}

/// The attribute of a run with the scrape of a step.
pub(super) fn scrape(step: StepId) -> String {
    format!("scrape#{step}")
}

/// The step whose scrape an attribute is, if it is one.
pub(super) fn scrape_of(attribute: &str) -> Option<StepId> {
    attribute.strip_prefix("scrape#")?.parse().ok()
}

/// Where a cluster is, as its owner keeps it.
pub(crate) fn cluster(owner: &str, region: &str, name: &str) -> String {
    format!("CLUSTER#{}#{}#{}", escaped(owner), escaped(region), escaped(name))
}

/// Partition key of a sparse index.
pub(super) fn shard(n: u64) -> String {
    format!("SHARD#{n:03}")
}

/// The shard of everything that belongs to a run: the same for every writer, so spread by a digest.
pub(super) fn shard_of(run: &RunId, shards: u64) -> String {
    let digest = sha256_hex(run.as_str().as_bytes());
    let spread = u64::from_str_radix(&digest[..8], 16).expect("a digest is written in hexadecimal");
    shard(spread % shards)
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_app::EffectKey;

    #[test]
    fn effects_a_run_and_its_pipeline_are_neighbours() {
        // One query from the first to the last must read no entry.
        let (entry, effect) = (event(u64::MAX), outbox_key());
        let in_order = [entry.as_str(), EFFECTS, &effect, STATE, PIPELINE];
        assert!(in_order.is_sorted(), "{in_order:?}");
    }

    fn outbox_key() -> String {
        outbox(&EffectKey {
            run: RunId::new("a"),
            version: 1,
            n: 0,
        })
    }

    #[test]
    fn a_run_that_is_looked_at_every_five_seconds_moves_in_the_index_once_a_minute() {
        let looks = (0..36).map(|n| Timestamp(1_700_000_000_000) + Span::seconds(5 * n));
        let (looks, places): (Vec<_>, std::collections::BTreeSet<_>) =
            looks.map(|look| (look, due(look))).unzip();
        assert_eq!(places.len(), 4, "three minutes begun within one");
        assert!(
            looks
                .iter()
                .all(|look| (look.0 - 59_999..=look.0).contains(&due(*look)))
        );
    }

    #[test]
    fn runs_are_spread_over_all_shards() {
        let shards: std::collections::BTreeSet<_> = (0..200)
            .map(|n| shard_of(&RunId::new(format!("run-{n}")), 8))
            .collect();
        assert_eq!(shards.len(), 8);
    }
}
