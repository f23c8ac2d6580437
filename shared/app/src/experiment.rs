//! Looks at experiments and at what they collect.

use std::fmt::Write;

use serde::Deserialize;
use weir_domain::event::Event;
use weir_domain::experiment::collect::Collecting;
use weir_domain::ids::StepId;
use weir_domain::pipeline::{Collect, StepWork};
use weir_domain::run::Run;
use weir_domain::seen::{ExperimentScene, ExperimentSeen, Series, SiteSeen};
use weir_domain::time::{Span, Timestamp};

use crate::engine::{Engine, HandleError};
use crate::ports::Measured;
use crate::store::{Loaded, Scrape, StoreError};

/// Intervals that one look asks for: after a while away there may be many, and a look must not take long.
const INTERVALS_AT_ONCE: u32 = 12;

impl Engine {
    /// An experiment whose measuring cannot begin is refused before anything moves.
    pub(crate) fn add_unknown_sources(&self, run: &Run, seen: &mut SiteSeen) {
        let SiteSeen::Seen { problems, .. } = seen else {
            return;
        };
        let collects = run.steps().filter_map(|(_, step, _)| match &step.work {
            StepWork::Collect(collect) => Some(collect),
            _ => None,
        });
        let unknown = collects.filter_map(|collect| self.ports.traffic.unknown(collect));
        for problem in unknown {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }

    pub(crate) async fn see_experiment(
        &self,
        loaded: &Loaded,
        step: StepId,
    ) -> Result<(Event, Option<Scrape>), HandleError> {
        let run = &loaded.state.run;
        let scenery = match self.ports.clusters.variants(run, step).await {
            Ok(scenery) => scenery,
            Err(why) => {
                let seen = ExperimentSeen::Unreachable(why);
                return Ok((Event::ExperimentSeen { step, seen }, None));
            }
        };
        let (placed, before) = (&scenery.placed, loaded.scrape(step));
        let counting = self.ports.traffic.count(run, step, placed, before).await;
        let scene = ExperimentScene {
            variants: scenery.variants,
            route: scenery.route,
            traffic: counting.seen,
        };
        let seen = ExperimentSeen::Scene(Box::new(scene));
        let scrape = counting.scrape.map(|value| Scrape { step, value });
        Ok((Event::ExperimentSeen { step, seen }, scrape))
    }

    /// Asks for the intervals that are whole and were not asked for. What came before stands in the scrape, which is stored
    /// in the same transaction as what is decided on it.
    pub(crate) async fn see_series(
        &self,
        loaded: &Loaded,
        step: StepId,
    ) -> Result<(Event, Option<Scrape>), HandleError> {
        let run = &loaded.state.run;
        let mut series = series(loaded, step)?;
        let before = (series.taken, series.trouble.clone());
        let work = run.step(step).map(|step| &step.work);
        let collecting = run.step_run(step).and_then(|state| state.collecting.as_deref());
        if let (Some(StepWork::Collect(collect)), Some(collecting)) = (work, collecting) {
            self.collect(collect, collecting, &mut series).await;
        }
        let scrape = match before == (series.taken, series.trouble.clone()) {
            // Nothing came: what is stored is up to date, and may be large.
            true => None,
            false => {
                let value = serde_json::to_value(&series)
                    .map_err(|error| HandleError::Store(unreadable(run, step, &error)))?;
                Some(Scrape { step, value })
            }
        };
        Ok((Event::SeriesSeen { step, series }, scrape))
    }

    async fn collect(&self, collect: &Collect, collecting: &Collecting, series: &mut Series) {
        series.trouble.clear();
        let end = collecting
            .intervals
            .min(series.taken.saturating_add(INTERVALS_AT_ONCE));
        for n in series.taken..end {
            let (from, to) = interval(collecting, n);
            match self.ports.traffic.measure(collect, from, to).await {
                Measured::NotYet => return,
                Measured::Failed(why) => {
                    series.trouble = format!("{} fails: {why}", collect.source);
                    return;
                }
                Measured::Numbers { numbers, silence } => {
                    for metric in &collect.metrics {
                        let values = series.values.entry(metric.clone()).or_default();
                        values.resize(n as usize, None);
                        values.push(numbers.get(metric).copied().map(rounded));
                    }
                    series.taken = n + 1;
                    if !silence.is_empty() {
                        series.silence = silence;
                    }
                }
            }
        }
    }

    /// What the last step that collected before this one left, as CSV; nothing if there was none.
    pub(crate) async fn collected_before(
        &self,
        run: &Run,
        step: StepId,
    ) -> Result<Option<String>, StoreError> {
        let before = run.steps().filter(|(id, ..)| *id < step);
        let last = before.filter_map(|(id, step, state)| match &step.work {
            StepWork::Collect(collect) => Some((id, collect, state.collecting.as_deref()?)),
            _ => None,
        });
        let Some((id, collect, collecting)) = last.last() else {
            return Ok(None);
        };
        let Some(loaded) = self.ports.store.load(&run.id).await? else {
            return Ok(None);
        };
        Ok(Some(csv(collect, collecting, &series(&loaded, id)?)))
    }
}

/// What was collected so far.
fn series(loaded: &Loaded, step: StepId) -> Result<Series, StoreError> {
    let read =
        |value| Series::deserialize(value).map_err(|error| unreadable(&loaded.state.run, step, &error));
    loaded.scrape(step).map_or_else(|| Ok(Series::default()), read)
}

fn unreadable(run: &Run, step: StepId, error: &serde_json::Error) -> StoreError {
    StoreError::Decode {
        item: format!("series of step {step} of run {}", run.id),
        why: error.to_string(),
    }
}

fn interval(collecting: &Collecting, n: u32) -> (Timestamp, Timestamp) {
    let from = collecting.from + Span(collecting.every.0.saturating_mul(u64::from(n)));
    (from, from + collecting.every)
}

/// Five digits: more than any metric says. A week of twelve metrics is then half of what a store takes.
fn rounded(number: f64) -> f64 {
    format!("{number:.4e}").parse().unwrap_or(number)
}

/// A line an interval: when it began, in seconds since 1970, and a column a metric in the order of the definition.
fn csv(collect: &Collect, collecting: &Collecting, series: &Series) -> String {
    let mut out = String::from("time");
    for metric in &collect.metrics {
        let _ = write!(out, ",{}", quoted(metric));
    }
    out.push('\n');
    for n in 0..series.taken {
        let (from, _) = interval(collecting, n);
        let _ = write!(out, "{}", from.0 / 1_000);
        for metric in &collect.metrics {
            let values = series.values.get(metric);
            out.push(',');
            if let Some(number) = values.and_then(|values| values.get(n as usize).copied().flatten()) {
                let _ = write!(out, "{number}");
            }
        }
        out.push('\n');
    }
    out
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
