//! The ports of the application, answered from memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;
use weir_app::{Clock, Clusters, Counting, EffectError, Measured, Placed, Scenery, Traffic, VariantScenery};
use weir_domain::condition::Reading;
use weir_domain::digest::sha256_hex;
use weir_domain::effect::Effect;
use weir_domain::ids::{RevisionId, StepId};
use weir_domain::pipeline::{Collect, DEFAULT_SOURCE};
use weir_domain::rollout::StableSide;
use weir_domain::run::Run;
use weir_domain::seen::{ExecutionSeen, Gpus, GroundSeen, SiteSeen, TrafficSeen};
use weir_domain::time::{Span, Timestamp};

use super::place::Place;
use super::{Inside, SimulatedCluster};

/// What a cluster that is away answers.
const REFUSED: &str = "connection refused";

/// The source's numbers are whole after so long.
const LAG: Span = Span::seconds(60);

/// A number that only depends on the metric and the time.
fn number((mean, spread): &(f64, f64), metric: &str, at: Timestamp) -> f64 {
    let hash = sha256_hex(format!("{metric}@{}", at.0).as_bytes());
    let part = u32::from_str_radix(&hash[..8], 16).unwrap_or(0);
    mean + spread * (2.0 * f64::from(part) / f64::from(u32::MAX) - 1.0)
}

#[async_trait]
impl Clusters for SimulatedCluster {
    async fn execution(&self, run: &Run, step: StepId) -> ExecutionSeen {
        let mut inside = self.inside();
        if inside.called_in_vain(run, step) {
            return ExecutionSeen::Unreachable(REFUSED.into());
        }
        let Some(began) = inside.executions.get(&(run.id.clone(), step)) else {
            return ExecutionSeen::Missing;
        };
        let slug = run.step(step).map(|step| step.slug.clone()).unwrap_or_default();
        let outcome = inside.outcomes.get(&slug).cloned().unwrap_or_default();
        if self.clock.now() < *began + outcome.after {
            return ExecutionSeen::Running;
        }
        ExecutionSeen::Finished {
            exit_code: outcome.exit_code,
            outputs: outcome.outputs,
            log_tail: format!("{slug} said so"),
        }
    }

    async fn scenery(&self, run: &Run, step: StepId) -> Result<Scenery, String> {
        let now = self.clock.now();
        let mut inside = self.inside();
        if inside.called_in_vain(run, step) {
            return Err(REFUSED.into());
        }
        inside.catch_up(now);
        let (Some(rule), Some(rollout)) = (run.rule(step), run.rollout(step)) else {
            return Err("no such rollout".into());
        };
        let empty = Place::default();
        let place = inside.environments.get(&rule.lane.environment).unwrap_or(&empty);
        let seen = |id: &RevisionId| place.revisions.get(id).map(|r| r.seen(now)).unwrap_or_default();
        Ok(Scenery {
            candidate: seen(&rollout.candidate),
            stable: rollout.stable.as_ref().map(|stable| seen(&stable.revision)),
            route: place.route(),
            placed: Placed::default(),
            unprepared: place.unprepared(rollout),
            landing: place.landing(&inside.pool, rollout, now),
            replicas: place
                .replicas(&rollout.candidate)
                .into_iter()
                .map(|(pod, (node, _))| (pod, node))
                .collect(),
        })
    }

    async fn variants(&self, run: &Run, step: StepId) -> Result<VariantScenery, String> {
        let now = self.clock.now();
        let mut inside = self.inside();
        if inside.called_in_vain(run, step) {
            return Err(REFUSED.into());
        }
        inside.catch_up(now);
        let (Some(rule), Some(experiment)) = (run.rule(step), run.experiment(step)) else {
            return Err("no such experiment".into());
        };
        let empty = Place::default();
        let place = inside.environments.get(&rule.lane.environment).unwrap_or(&empty);
        let seen = |id: &RevisionId| place.revisions.get(id).map(|r| r.seen(now)).unwrap_or_default();
        let sides = experiment.sides.iter();
        Ok(VariantScenery {
            variants: sides
                .map(|side| (side.revision.clone(), seen(&side.revision)))
                .collect(),
            route: place.route(),
            placed: Placed::default(),
        })
    }

    async fn start(&self, run: &Run, step: StepId, series: &str) -> Result<(), EffectError> {
        self.apply(run, &Effect::StartExecution { step })?;
        self.hand_over(run, step, series);
        Ok(())
    }

    async fn site(&self, run: &Run, step: StepId) -> SiteSeen {
        let mut inside = self.caught_up();
        if inside.called_in_vain(run, step) {
            return SiteSeen::Unreachable(REFUSED.into());
        }
        let mut problems = inside.obstacles.clone();
        let serves = run.rollout(step).is_none_or(|rollout| rollout.stable.is_some());
        let wanted = run.rule(step).filter(|_| !serves);
        let wanted = wanted.and_then(|rule| {
            Some((
                inside.environments.get(&rule.lane.environment),
                rule.adopts.as_ref()?,
            ))
        });
        let adopts = wanted.and_then(|(place, name)| {
            let found = place.and_then(|place| place.deployments.get(name));
            if found.is_none() {
                problems.push(format!("Deployment {name} does not exist"));
            }
            found.cloned().map(Box::new)
        });
        let stable = run.rollout(step).and_then(|rollout| rollout.stable.as_ref());
        let adopted = adopts.as_ref().map(|workload| workload.revision());
        let serves = stable.map(|stable| stable.revision.clone()).or(adopted);
        let place = run
            .rule(step)
            .and_then(|rule| inside.environments.get(&rule.lane.environment));
        let scaled = place
            .zip(serves)
            .and_then(|(place, serves)| place.scaled(&serves));
        SiteSeen::Seen {
            problems,
            advice: inside.advice.clone(),
            adopts,
            scaled,
        }
    }

    async fn ground(&self, run: &Run, step: StepId, stable: Option<&StableSide>) -> GroundSeen {
        let now = self.clock.now();
        let mut inside = self.inside();
        if inside.is_away(run, step) {
            return GroundSeen::Unreachable(REFUSED.into());
        }
        inside.catch_up(now);
        let Some(rule) = run.rule(step) else {
            return GroundSeen::Hidden("no such step".into());
        };
        let places = inside.environments.values().flat_map(|place| &place.revisions);
        let pods = places.map(|(id, revision)| (id, revision.pods.as_slice()));
        let stable = stable.map(|stable| &stable.revision);
        GroundSeen::Known(Box::new(inside.pool.ground(pods, rule, stable)))
    }

    async fn perform(&self, run: &Run, effect: &Effect) -> Result<(), EffectError> {
        self.apply(run, effect)
    }

    async fn logs(&self, _: &Run, step: StepId, _: u32) -> Result<String, EffectError> {
        Ok(format!("log of {step}"))
    }
}

#[async_trait]
impl Traffic for SimulatedCluster {
    async fn count(&self, run: &Run, step: StepId, _: &Placed, before: Option<&Value>) -> Counting {
        let scrape = before.cloned();
        let seen = if self.inside().silent_metrics {
            TrafficSeen::SourceError(REFUSED.into())
        } else {
            match run.rule(step) {
                None => TrafficSeen::NoData("no rule".into()),
                Some(rule) => {
                    let mut inside = self.caught_up();
                    let place = inside.place_mut(&rule.lane.environment);
                    let mut counts = place.counts();
                    if let Some(rollout) = run.rollout(step) {
                        place.compare_answers(rule, rollout, self.clock.now(), &mut counts);
                    }
                    TrafficSeen::Counts(counts)
                }
            }
        };
        let replicas = run.rule(step).zip(run.rollout(step)).map(|(rule, rollout)| {
            let mut inside = self.caught_up();
            let place = inside.place_mut(&rule.lane.environment);
            let stable = rollout.stable.iter().map(|stable| &stable.revision);
            let revisions = stable.chain([&rollout.candidate]);
            let told = revisions.map(|revision| {
                let all = place.replicas(revision).into_iter();
                let counts = all.map(|(pod, (_, counts))| (pod, counts));
                (revision.clone(), counts.collect())
            });
            told.collect()
        });
        Counting {
            seen,
            scrape,
            replicas: replicas.unwrap_or_default(),
        }
    }

    async fn blocked(&self, _: &Run, _: StepId, _: &Placed) -> Vec<String> {
        self.inside().blocked.clone()
    }

    async fn values(&self, _: &Run, _: StepId) -> BTreeMap<String, Reading> {
        self.inside().values.clone()
    }

    async fn gpus(&self, run: &Run, step: StepId) -> Option<BTreeMap<String, Gpus>> {
        let (rule, rollout) = (run.rule(step)?, run.rollout(step)?);
        let mut inside = self.caught_up();
        inside.place_mut(&rule.lane.environment).gpus(&rollout.candidate)
    }

    async fn measure(&self, collect: &Collect, from: Timestamp, to: Timestamp) -> Measured {
        let inside = self.inside();
        if self.clock.now() < to + LAG {
            return Measured::NotYet;
        }
        if inside.silent_metrics {
            return Measured::Failed(REFUSED.into());
        }
        let known =
            |metric: &String| Some((metric.clone(), number(inside.collectable(metric)?, metric, from)));
        let numbers: BTreeMap<String, f64> = collect.metrics.iter().filter_map(known).collect();
        let silence = match numbers.len() == collect.metrics.len() {
            true => String::new(),
            false => "no series matches the query".to_owned(),
        };
        Measured::Numbers { numbers, silence }
    }

    fn unknown(&self, collect: &Collect) -> Option<String> {
        let known = collect.source == DEFAULT_SOURCE || self.inside().any_series.is_some();
        (!known).then(|| format!("this host knows no source `{}`", collect.source))
    }
}

impl Inside {
    /// Mean and spread of a metric that steps collect.
    fn collectable(&self, metric: &str) -> Option<&(f64, f64)> {
        self.series.get(metric).or(self.any_series.as_ref())
    }
}
