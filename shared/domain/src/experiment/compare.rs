//! Failures and split of the variants, block by block.

use super::state::Experiment;
use crate::ids::RevisionId;
use crate::judge::experiment::Experiment as Judged;
use crate::judge::{Alpha, Arms, Tally};
use crate::time::{Span, Timestamp};

/// Failures and split are judged in blocks of this length.
const BLOCK: Span = Span::minutes(5);

/// Adds what each variant answered since the last block, against the first. Where callers stay with a variant, requests do not
/// follow its share: some callers ask more than others.
pub(super) fn judge(now: Timestamp, experiment: &mut Experiment, by_share: bool) {
    if experiment
        .changes
        .last()
        .is_none_or(|change| change.effective.is_none())
    {
        return;
    }
    let (since, before) = experiment
        .block
        .get_or_insert_with(|| (now, experiment.counted.clone()))
        .clone();
    if now.since(since) < BLOCK {
        return;
    }
    let added = |id: &RevisionId| {
        let (now, then) = (experiment.counted.get(id)?, before.get(id));
        let counts = then.map_or_else(|| now.clone(), |then| now.since(then));
        Some(Tally::new(counts.bad, counts.requests))
    };
    let share = |id: &RevisionId| {
        let has = experiment.split.iter().find(|(own, _)| own == id);
        has.map(|(_, weight)| f64::from(weight.percent()))
    };
    let Some((first, others)) = experiment.sides.split_first() else {
        return;
    };
    let alpha = Alpha::new(0.05).unwrap_or_default().of_steps(others.len());
    let mut read = Vec::new();
    for side in others {
        if let (Some(stable), Some(candidate), Some(a), Some(b)) = (
            added(&first.revision),
            added(&side.revision),
            share(&first.revision),
            share(&side.revision),
        ) {
            let weight = by_share.then(|| b / (a + b));
            read.push((side.revision.clone(), Arms { stable, candidate }, weight));
        }
    }
    for (id, arms, weight) in read {
        let judged = experiment.judged.entry(id);
        judged.or_insert_with(|| Judged::new(alpha)).add(arms, weight);
    }
    experiment.block = Some((now, experiment.counted.clone()));
}
