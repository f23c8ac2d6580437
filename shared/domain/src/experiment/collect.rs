//! A step that collects metrics: a number a metric for each interval, until its duration has passed.
//!
//! The numbers themselves are large and stand beside the run, with whoever asks for them; a look brings them all, and the run
//! keeps how far they reach and what they show. An interval whose answer did not come is asked for again at the next look, so
//! a host that was away loses nothing that its source still knows.

use serde::{Deserialize, Serialize};

use super::end::end;
use super::state::{Ending, Experiment, Phase};
use crate::audit::Action;
use crate::decide::Draft;
use crate::event::Limits;
use crate::ids::StepId;
use crate::judge::series::{Compared, compare};
use crate::people::Actor;
use crate::pipeline::{Collect, StepWork};
use crate::run::{PartStatus, Run};
use crate::seen::Series;
use crate::time::{Span, Timestamp};

/// A metric is asked for this often (design §6); more often where the whole time is under an hour.
const EVERY: Span = Span::minutes(5);
/// Intervals of one step: a week of them. Longer times have longer intervals.
const INTERVALS_LIMIT: u64 = 2_016;
/// Intervals that a short time is divided into.
const INTERVALS_WANTED: u64 = 12;
/// Numbers of an interval are whole about this long after it. A source that takes longer is asked again.
const LAG: Span = Span::minutes(1);
/// A source that fails at the end is waited for this long.
const GRACE: Span = Span::hours(1);
/// Batches that a comparison rests on: numbers that follow one another are alike, their means over an hour of a week less.
const BATCHES: u32 = 168;

/// How far a step that collects has come.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Collecting {
    /// Where the first interval begins.
    pub from: Timestamp,
    /// Length of an interval.
    pub every: Span,
    /// How many there will be.
    pub intervals: u32,
    /// How many have been asked for.
    pub taken: u32,
    /// When to look next.
    pub next: Timestamp,
    /// Why the last look got nothing; empty if it did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trouble: String,
    /// What the numbers show so far, a sentence a line.
    #[serde(default)]
    pub verdict: Vec<String>,
    /// It is complete; why it cannot be used, if it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete: Option<Result<(), String>>,
}

impl Collecting {
    /// A fresh one that begins with the next whole minute.
    fn new(collect: &Collect, now: Timestamp) -> Self {
        let minutes = |ms: u64| Span::minutes((ms / Span::minutes(1).0).max(1));
        let short = minutes(collect.duration.0 / INTERVALS_WANTED).min(EVERY);
        let long = minutes(collect.duration.0.div_ceil(INTERVALS_LIMIT) + Span::minutes(1).0 - 1);
        let every = short.max(long);
        let minute = i64::try_from(Span::minutes(1).0).unwrap_or(i64::MAX);
        let from = Timestamp(now.0.div_euclid(minute).saturating_add(1).saturating_mul(minute));
        let intervals = u32::try_from(collect.duration.0.div_ceil(every.0)).unwrap_or(u32::MAX);
        let fresh = Self {
            from,
            every,
            intervals: intervals.max(1),
            taken: 0,
            next: from,
            trouble: String::new(),
            verdict: Vec::new(),
            complete: None,
        };
        Self {
            next: fresh.whole(1),
            ..fresh
        }
    }

    /// When so many intervals are likely to be whole.
    fn whole(&self, intervals: u32) -> Timestamp {
        self.from + Span(self.every.0.saturating_mul(u64::from(intervals))) + LAG
    }

    /// When it is looked at next: never once it is complete.
    pub(crate) fn look_again(&self) -> Option<Timestamp> {
        self.complete.is_none().then_some(self.next)
    }

    /// Intervals whose values go into one number of a comparison.
    fn batch(&self) -> usize {
        usize::try_from((self.intervals / BATCHES).max(1)).unwrap_or(1)
    }
}

/// The step begins.
pub(crate) fn begin(draft: &mut Draft, id: StepId, collect: &Collect) {
    let collecting = Collecting::new(collect, draft.now);
    let words = format!(
        "collecting {} metrics from {} for {}, every {}",
        collect.metrics.len(),
        collect.source,
        collect.duration,
        collecting.every
    );
    draft.note(Action::Waiting, words.clone());
    let step = draft.step_mut(id);
    step.waits_for = words;
    step.collecting = Some(Box::new(collecting));
}

/// Numbers came. Those of a late look, which reach less far, change nothing.
pub(crate) fn seen(draft: &mut Draft, id: StepId, series: &Series, limits: &Limits) {
    let Some(StepWork::Collect(collect)) = draft.run.step(id).map(|step| step.work.clone()) else {
        return;
    };
    let now = draft.now;
    let running = draft.step_mut(id).status == PartStatus::Running;
    let Some(mut collecting) = draft.step_mut(id).collecting.take() else {
        return;
    };
    if !running || collecting.complete.is_some() || series.taken < collecting.taken {
        draft.step_mut(id).collecting = Some(collecting);
        return;
    }
    let further = series.taken > collecting.taken;
    collecting.taken = series.taken;
    if collecting.trouble != series.trouble {
        if !series.trouble.is_empty() {
            draft.note(Action::Waiting, series.trouble.clone());
        }
        collecting.trouble.clone_from(&series.trouble);
    }
    if further {
        collecting.verdict = verdict(&draft.run, id, series, collecting.batch());
    }
    collecting.next = match (further, series.trouble.is_empty()) {
        (_, false) => now + EVERY.min(collecting.every),
        // The source takes longer than others until its numbers are whole.
        (false, true) => now + limits.slow,
        // Behind after a while away: the next stretch at once.
        (true, true) => collecting.whole(collecting.taken + 1).max(now + limits.settle),
    };
    let over = now >= collecting.whole(collecting.intervals) + GRACE;
    if collecting.taken >= collecting.intervals || over {
        finish(draft, id, &collect, &mut collecting, series);
    }
    let step = draft.step_mut(id);
    step.waits_for = format!("{} of {} intervals", collecting.taken, collecting.intervals);
    step.collecting = Some(collecting);
}

/// What is collected is told; the experiments that it measured end.
fn finish(draft: &mut Draft, id: StepId, collect: &Collect, collecting: &mut Collecting, series: &Series) {
    let without = collect.metrics.iter().filter(|name| !series.has_value(name));
    let without: Vec<String> = without.map(|name| format!("`{name}`")).collect();
    collecting.complete = Some(match without.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "{} never had a value: {}; see that {} knows the name",
            without.join(", "),
            series.silence,
            collect.source
        )),
    });
    let words = format!(
        "collected {} of {} intervals of {}",
        collecting.taken, collecting.intervals, collecting.every
    );
    let told = std::iter::once(words).chain(collecting.verdict.iter().cloned());
    let told = told.collect::<Vec<_>>().join("; ");
    draft
        .note(Action::StepPassed, told)
        .with("verdict", collecting.verdict.clone());
    let why = format!("measured for {}", collect.duration);
    for leader in measured_by(&draft.run, id) {
        let ending = Ending {
            why: why.clone(),
            complete: true,
        };
        end(draft, leader, ending, Actor::Weir);
    }
}

/// A step that has collected everything ends once traffic of what it measured is back.
pub(crate) fn settle(draft: &mut Draft) {
    let steps = draft.run.steps();
    let complete = steps.filter_map(|(id, _, state)| {
        let complete = state.collecting.as_ref()?.complete.clone()?;
        (state.status == PartStatus::Running).then_some((id, complete))
    });
    for (id, complete) in complete.collect::<Vec<_>>() {
        if !measured_by(&draft.run, id).is_empty() {
            continue;
        }
        draft.step_mut(id).waits_for.clear();
        match complete {
            Ok(()) => {
                draft.pass_step(id, "");
            }
            Err(why) => draft.fail_step(id, &why),
        }
    }
}

/// Experiments that a step measures: those before it that are not over.
fn measured_by(run: &Run, id: StepId) -> Vec<StepId> {
    let before = run.steps().filter(|(other, ..)| *other < id);
    let alive = |experiment: &Experiment| experiment.phase != Phase::Over;
    let here = before.filter(|(.., state)| state.experiment.as_deref().is_some_and(alive));
    here.map(|(id, ..)| id).collect()
}

fn verdict(run: &Run, id: StepId, series: &Series, batch: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for experiment in measured_by(run, id)
        .into_iter()
        .filter_map(|id| run.experiment(id))
    {
        let Some((first, others)) = experiment.sides.split_first() else {
            continue;
        };
        for side in others {
            if let Some(judged) = experiment.judged.get(&side.revision) {
                let (a, b) = (&first.version, &side.version);
                lines.push(format!("failures (A: {a}, B: {b}): {}", judged.read().words));
            }
        }
        let versions: Vec<&str> = experiment
            .sides
            .iter()
            .map(|side| side.version.as_str())
            .collect();
        let compared = compare(&series.values, &versions, batch);
        lines.extend(compared.iter().map(Compared::words));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(duration: Span) -> (Span, u32) {
        let collect = Collect {
            metrics: Vec::new(),
            duration,
            source: "datadog".into(),
        };
        let collecting = Collecting::new(&collect, Timestamp(61_000));
        assert_eq!(collecting.from, Timestamp(120_000));
        (collecting.every, collecting.intervals)
    }

    #[test]
    fn a_week_is_2016_numbers_and_no_time_is_more() {
        assert_eq!(planned(Span::hours(7 * 24)), (Span::minutes(5), 2_016));
        assert_eq!(planned(Span::hours(1)), (Span::minutes(5), 12));
        assert_eq!(planned(Span::minutes(30)), (Span::minutes(2), 15));
        assert_eq!(planned(Span::minutes(1)), (Span::minutes(1), 1));
        let (every, intervals) = planned(Span::hours(90 * 24));
        assert_eq!((every, intervals), (Span::minutes(65), 1_994));
    }
}
