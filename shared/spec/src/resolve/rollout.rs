//! Steps that move a service.

use weir_domain::condition::Condition;
use weir_domain::ids::{ClusterName, EnvironmentName, LaneKey, Namespace, ServiceName};
use weir_domain::pipeline::{RolloutRule, SplitBy, Strategy, Target};
use weir_domain::time::Span;

use super::template::Origin;
use super::{Resolver, manifest, place};
use crate::definition::{EnvironmentDef, RolloutDef, StepDef};
use crate::diagnostic::Diagnostic;
use crate::render::short;
use crate::source::Place;

/// A revision that was rolled back is kept this long for a look.
const DEFAULT_KEEP: Span = Span::minutes(10);
/// Traffic stays this long at most on a candidate that nothing can be measured of.
const DEFAULT_HOLD: Span = Span::minutes(10);
/// Caches fill and kernels are compiled within the first requests.
const DEFAULT_WARM_UP: Span = Span::seconds(30);
/// It is this part of the shortest judged step at most, where nobody says how long.
const WARM_UP_PART: u64 = 20;
/// Loading a large model from a cold node takes a quarter of an hour.
pub(super) const DEFAULT_WARM: Span = Span::minutes(30);

impl<'a> Resolver<'a> {
    pub(super) fn rollout(&mut self, step: &StepDef, rollout: &RolloutDef) -> Option<RolloutRule> {
        let environment = self.taken(place::environment(self.definition, step));
        let strategy = self.strategy(step, rollout, environment);
        if let Some(strategy) = &strategy {
            self.swaps(rollout, strategy);
            self.answers(rollout, strategy);
        }
        let declared = self.taken(place::service(self.definition, step));
        let variant = rollout.version.is_some();
        let manifests = match variant {
            true => None,
            false => self.manifests(rollout, environment),
        };
        if variant && matches!(declared, Some(None)) {
            self.no_service_of_variant(step);
        } else if matches!(declared, Some(None)) && rollout.resources.is_empty() {
            self.no_service(step);
        }
        let (environment, declared) = (environment?, declared?);
        let name = match (declared, &manifests) {
            (Some(service), _) => service.name.value.clone(),
            (None, Some(manifests)) => manifests.name.clone(),
            (None, None) => return None,
        };
        let warm_within = rollout.warm_within.unwrap_or(DEFAULT_WARM);
        let workload = match (manifests, declared) {
            (_, Some(service)) if rollout.version.is_some() => Some(Self::workload_of_variant(service)),
            (_, None) if rollout.version.is_some() => return None,
            (Some(manifests), _) => self.workload_of_manifests(&manifests, environment, rollout),
            (None, Some(_)) if !rollout.resources.is_empty() => return None,
            (None, Some(service)) => {
                let origin = Origin {
                    run: &self.run,
                    commit: self.commit,
                    outputs: &self.outputs,
                };
                origin.workload(
                    self.definition,
                    service,
                    Some(environment),
                    rollout,
                    warm_within,
                    self.sink,
                )
            }
            (None, None) => return None,
        };
        let (strategy, workload) = (strategy?, workload?);
        self.rolls(rollout, &workload);
        self.splits_by_replicas(environment, (&strategy, &workload), &name, &step.name.place);
        self.shadows(rollout, &workload);
        let bake = rollout.bake.unwrap_or_else(|| strategy.default_bake());
        let watch = environment.watch.unwrap_or(Span::ZERO);
        let rollback = self.conditions(rollout, &strategy, bake + watch);
        let measures = &self.definition.measures;
        if !rollback
            .as_ref()
            .is_some_and(|condition| crate::weighed::weighs(condition, measures))
        {
            self.can_fail(rollout, &strategy);
        }
        self.proves(rollout, rollback.as_ref());
        let warm_up = self.warm_up(rollout, &strategy);
        Some(RolloutRule {
            lane: LaneKey {
                service: ServiceName::new(&name),
                environment: EnvironmentName::new(&environment.name.value),
            },
            target: target(environment, &name),
            workload,
            rollback,
            alpha: rollout.alpha,
            bake,
            strategy,
            keep: rollout.keep.unwrap_or(DEFAULT_KEEP),
            hold_exposure: rollout.hold_exposure.unwrap_or(DEFAULT_HOLD),
            warm_within,
            warm_up,
            deadlines: rollout.deadlines,
            no_data: rollout.no_data,
            watch,
            parity: rollout.parity,
            may_swap: rollout.swaps.is_some(),
            undoes: false,
            adopts: environment.adopts(&name).map(str::to_owned),
            // Its stage says so.
            release: None,
            measures: self.definition.measures.clone(),
        })
    }

    /// The value, or its complaint in the sink.
    fn taken<T>(&mut self, found: Result<T, Box<Diagnostic>>) -> Option<T> {
        found.map_err(|complaint| self.sink.push(*complaint)).ok()
    }

    fn no_service_of_variant(&mut self, step: &StepDef) {
        let found = format!("no service for the variant `{}`", short(&step.name.value));
        let help = "declare the service whose traffic the variants share under `service:`";
        self.sink
            .push(Diagnostic::reference(&step.name.place, found).help(help));
    }

    fn no_service(&mut self, step: &StepDef) {
        let found = format!("no service for the step `{}`", short(&step.name.value));
        let help = "declare one under `service:`, or name a Deployment under `resources:`";
        self.sink
            .push(Diagnostic::reference(&step.name.place, found).help(help));
    }

    /// Manifests of the step, if it names any and all can be read.
    fn manifests(
        &mut self,
        rollout: &RolloutDef,
        environment: Option<&EnvironmentDef>,
    ) -> Option<manifest::Manifests> {
        let mut texts = Vec::new();
        let incomplete = self.files.incomplete;
        for path in &rollout.resources {
            let files = self.files.get(&path.value);
            match files.or_else(|| self.definition.manifest(&path.value)) {
                Some(text) => texts.push((path.value.clone(), text.to_owned())),
                None => {
                    let found = format!("`{}` is not in the commit", short(&path.value));
                    self.sink.push(super::missing(&path.place, found, incomplete));
                }
            }
        }
        if texts.is_empty() || texts.len() < rollout.resources.len() {
            return None;
        }
        let namespace = environment.map(EnvironmentDef::namespace);
        manifest::read(&rollout.place, &texts, namespace.as_deref(), self.sink)
    }

    /// How long latencies are left out. A step of which hardly anything is left would not see them at all.
    fn warm_up(&mut self, rollout: &RolloutDef, strategy: &Strategy) -> Span {
        let judged = strategy.judged().map(|judged| judged.steps.iter());
        let Some(shortest) = judged.and_then(|steps| steps.map(|step| step.interval).min()) else {
            return rollout
                .warm_up
                .as_ref()
                .map_or(Span::ZERO, |written| written.value);
        };
        let Some(written) = &rollout.warm_up else {
            return DEFAULT_WARM_UP.min(Span(shortest.0 / WARM_UP_PART));
        };
        if written.value.0 > shortest.0 / 2 {
            let found = format!(
                "latencies are left out for {} of a step of {shortest}",
                written.value
            );
            let complaint = Diagnostic::error(&written.place, found);
            self.sink
                .push(complaint.expected("at most half of the shortest `interval`"));
        }
        written.value
    }

    /// Without a condition that is weighed a judged step fails by its success rate alone.
    fn can_fail(&mut self, rollout: &RolloutDef, strategy: &Strategy) {
        let judged = strategy.judged();
        if judged.is_some_and(|canary| canary.threshold.value() <= 0.0) {
            let found = "a threshold of 0 % and no condition that is weighed: nothing that is measured could send the candidate back";
            let complaint = Diagnostic::reference(&rollout.place, found);
            self.sink.push(complaint.expected(
                "a `threshold` above 0, or a condition under `rollback` or `rollback_policy.automatic`",
            ));
        }
    }

    /// The step's own condition or, where steps are judged, one of the policy's. `whole`: how long the new revision is watched
    /// once it serves everything.
    fn conditions(&mut self, rollout: &RolloutDef, strategy: &Strategy, whole: Span) -> Option<Condition> {
        let definition = self.definition;
        let mut parts = Vec::new();
        if let Some(own) = &rollout.rollback {
            crate::weighed::check(&own.value, &own.place, &definition.measures, self.sink);
            self.times(&own.value, &own.place, (rollout, strategy, whole));
        }
        match rollout.rollback.as_ref().map(|own| &own.value) {
            Some(Condition::Or(own)) => parts.extend(own.iter().cloned()),
            Some(own) => parts.push(own.clone()),
            None => {}
        }
        if strategy.judged().is_some() {
            for rule in &definition.automatic_rollback {
                self.times(&rule.condition, &rule.place, (rollout, strategy, whole));
                parts.push(rule.condition.clone());
            }
        }
        match parts.len() {
            0 | 1 => parts.pop(),
            _ => Some(Condition::Or(parts)),
        }
    }

    /// Complains about times that are longer than anything is watched.
    fn times(
        &mut self,
        condition: &Condition,
        place: &Place,
        (rollout, strategy, whole): (&RolloutDef, &Strategy, Span),
    ) {
        let hold = rollout.hold_exposure.unwrap_or(DEFAULT_HOLD);
        let steps = strategy.judged().map_or(&[][..], |judged| &judged.steps);
        if let Some(first) = steps.first() {
            let lasts = (first.interval, hold);
            crate::weighed::check_windows(condition, place, lasts, &self.definition.measures, self.sink);
        }
        let longest = steps.iter().map(|step| step.interval + hold).max();
        let longest = longest.map_or(whole, |longest| longest.max(whole));
        crate::weighed::check_times(condition, place, longest, self.sink);
    }
}

fn target(environment: &EnvironmentDef, service: &str) -> Target {
    Target {
        cluster: ClusterName::new(&environment.cluster.value),
        provider: environment.provider,
        namespace: Namespace::new(environment.namespace()),
        route: environment.route.clone().unwrap_or_else(|| service.to_owned()),
        service: service.to_owned(),
        gateway: environment.gateway.clone(),
        split: match environment.by_replicas {
            Some(_) => SplitBy::Replicas,
            None => SplitBy::Route,
        },
    }
}
