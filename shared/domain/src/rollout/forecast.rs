//! What a plan will cost and how long it will take, told before anything moves.

use crate::fit::{Ask, Fit, Fits, Snapshot, fit, notes};
use crate::ladder::{Load, ladder};
use crate::pipeline::RolloutRule;
use crate::seen::Bounds;
use crate::time::Span;

use super::plan::{Plan, PlannedStep, StepKind};

/// What is known of how long things take, measured for the service or else assumed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// From the wish for a replica to one that is warm.
    pub warm: Span,
    /// From a change of weights to its effect on requests.
    pub effective: Span,
    /// From the moment that a pod is told to leave until its place is free, beyond the time that it takes itself.
    pub drain: Span,
    /// Whether `warm` was measured or given for this service.
    pub known: bool,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            // vLLM with an 8B model on an L40S, nothing cached: 294 s (Tensorfuse, 2025-09).
            warm: Span::seconds(294),
            effective: Span::seconds(2),
            drain: Span::ZERO,
            known: false,
        }
    }
}

impl Timing {
    /// What was measured of a cluster, and the rest assumed.
    pub fn of(bounds: Option<&Bounds>) -> Self {
        let usual = Self::default();
        Self {
            effective: bounds.map_or(usual.effective, |bounds| bounds.observed),
            drain: bounds.and_then(|bounds| bounds.drain).unwrap_or(usual.drain),
            ..usual
        }
    }
}

/// A plan with its predictions.
#[derive(Clone, PartialEq, Debug)]
pub struct Forecast {
    /// One for each step of the plan.
    pub steps: Vec<ForecastStep>,
    /// Most GPUs that candidate and stable hold together.
    pub gpu_peak: u32,
    /// The time of all steps, and of the bake after them.
    pub total: Span,
    /// What a reader should know before saying yes.
    pub warnings: Vec<String>,
}

/// A planned step with its predictions.
#[derive(Clone, PartialEq, Debug)]
pub struct ForecastStep {
    /// As planned.
    pub planned: PlannedStep,
    /// GPUs that candidate and stable hold together.
    pub gpus: u32,
    /// How long it takes, replicas becoming warm included.
    pub takes: Span,
    /// How long the way back takes from here; nothing for a first release, which has none.
    pub revert: Option<Span>,
    /// Whether the candidate's replicas fit, if a cluster was given.
    pub fits: Option<Fits>,
}

/// Where the candidate would go.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// The cluster.
    pub snapshot: &'a Snapshot,
    /// One replica of the candidate.
    pub ask: &'a Ask,
    /// Replicas of stable that the plan counts on and the snapshot does not hold.
    pub unseen: u32,
}

/// Predicts. `site`: the cluster, if it is known.
pub fn forecast(
    plan: &Plan,
    rule: &RolloutRule,
    timing: Timing,
    load: Load,
    site: Option<Site<'_>>,
) -> Forecast {
    let mut warm = 0;
    let mut steps = Vec::new();
    for planned in &plan.steps {
        let grows = planned.candidate_replicas > warm;
        warm = warm.max(planned.candidate_replicas);
        let takes = if grows {
            timing.warm + planned.hold
        } else {
            planned.hold
        };
        steps.push(ForecastStep {
            gpus: planned.gpus(rule),
            takes,
            revert: way_back(plan, planned, rule, timing),
            fits: site.map(|site| match plan.lends() {
                // The plan was made for the places that open.
                true => Fits::Yes,
                false => answer(site, planned).fits,
            }),
            planned: planned.clone(),
        });
    }
    let total = steps.iter().fold(rule.bake, |sum, step| sum + step.takes);
    let warnings = warnings(plan, rule, timing, load, site, &steps);
    Forecast {
        gpu_peak: plan.gpu_peak,
        steps,
        total,
        warnings,
    }
}

fn answer(site: Site<'_>, step: &PlannedStep) -> Fit {
    fit(
        site.snapshot,
        site.ask,
        u64::from(step.candidate_replicas) + u64::from(site.unseen),
    )
}

/// Without enough of stable left, replicas become warm again one group of places after another, and in between traffic
/// moves.
fn way_back(plan: &Plan, step: &PlannedStep, rule: &RolloutRule, timing: Timing) -> Option<Span> {
    if step.kind == StepKind::FirstRelease {
        return None;
    }
    if !plan.lends() || plan.instant_at(step, rule) {
        return Some(timing.effective);
    }
    let missing = plan.needed(rule).saturating_sub(step.stable_replicas);
    let at = plan.steps.iter().position(|other| other == step).unwrap_or(0);
    let lent = |step: &&PlannedStep| step.stable_replicas < plan.needed(rule);
    let mut counts: Vec<u32> = plan.steps[..=at]
        .iter()
        .filter(lent)
        .map(|step| step.stable_replicas)
        .collect();
    counts.dedup();
    let groups = u64::try_from(counts.len())
        .unwrap_or(1)
        .clamp(1, u64::from(missing.max(1)));
    let group = timing.effective + timing.drain + timing.warm;
    Some(Span(group.0.saturating_mul(groups)))
}

fn warnings(
    plan: &Plan,
    rule: &RolloutRule,
    timing: Timing,
    load: Load,
    site: Option<Site<'_>>,
    steps: &[ForecastStep],
) -> Vec<String> {
    let mut out = Vec::new();
    if plan.steps.iter().any(|step| step.kind == StepKind::FirstRelease) {
        out.push("first release: nothing serves yet, all replicas at once, and there is no way back".into());
    }
    out.extend(plan.ratios(rule));
    if let Some(site) = site {
        out.extend(does_not_fit(site, load, steps));
        out.extend(notes(site.snapshot, site.ask));
        out.extend(site.snapshot.unknown.iter().cloned());
    }
    if !timing.known {
        let warm = timing.warm;
        out.push(format!(
            "a replica is assumed to be warm after {warm}: nothing was measured for this service"
        ));
    }
    out.extend(
        rule.workload
            .not_exact
            .iter()
            .map(|why| format!("rollback: not exact, {why}")),
    );
    out
}

/// The first step that does not fit, and what could be done.
fn does_not_fit(site: Site<'_>, load: Load, steps: &[ForecastStep]) -> Option<String> {
    let unfit = |(_, step): &(usize, &ForecastStep)| step.fits.is_some_and(|fits| fits != Fits::Yes);
    let (number, step) = steps.iter().enumerate().find(unfit)?;
    let answer = answer(site, &step.planned);
    let ladder = ladder(site.snapshot, site.ask, &answer, load);
    let rung = ladder.chosen();
    let Fit {
        fits,
        replicas,
        sure_replicas,
        ..
    } = answer;
    Some(format!(
        "step {} at {} {fits}: it needs {replicas} more, there is room for {sure_replicas}; {}: {}",
        number + 1,
        step.planned.weight,
        rung.action,
        rung.why
    ))
}
