//! Steps that move a service.

use weir_domain::condition::Condition;
use weir_domain::ids::{ClusterName, EnvironmentName, LaneKey, Namespace, ServiceName};
use weir_domain::pipeline::{RolloutRule, Strategy, Target};
use weir_domain::time::Span;

use super::template::Origin;
use super::{Resolver, manifest, place};
use crate::definition::{EnvironmentDef, RolloutDef, StepDef};
use crate::diagnostic::Diagnostic;
use crate::render::short;

/// A revision that was rolled back is kept this long for a look.
const DEFAULT_KEEP: Span = Span::minutes(10);
/// Traffic stays this long at most on a candidate that nothing can be measured of.
const DEFAULT_HOLD: Span = Span::minutes(10);
/// Loading a large model from a cold node takes a quarter of an hour.
pub(super) const DEFAULT_WARM: Span = Span::minutes(30);

impl<'a> Resolver<'a> {
    pub(super) fn rollout(&mut self, step: &StepDef, rollout: &RolloutDef) -> Option<RolloutRule> {
        let environment = self.taken(place::environment(self.definition, step));
        let strategy = self.strategy(step, rollout, environment);
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
        self.shadows(rollout, &workload);
        let rollback = self.conditions(rollout, &strategy);
        if rollback.is_none() {
            self.can_fail(rollout, &strategy);
        }
        Some(RolloutRule {
            lane: LaneKey {
                service: ServiceName::new(&name),
                environment: EnvironmentName::new(&environment.name.value),
            },
            target: target(environment, &name),
            workload,
            rollback,
            bake: rollout.bake.unwrap_or_else(|| strategy.default_bake()),
            strategy,
            keep: rollout.keep.unwrap_or(DEFAULT_KEEP),
            hold_exposure: rollout.hold_exposure.unwrap_or(DEFAULT_HOLD),
            warm_within,
            deadlines: rollout.deadlines,
            no_data: rollout.no_data,
            watch: environment.watch.unwrap_or(Span::ZERO),
            parity: rollout.parity,
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

    /// Without a condition a judged step fails by its success rate alone.
    fn can_fail(&mut self, rollout: &RolloutDef, strategy: &Strategy) {
        let judged = strategy.judged();
        if judged.is_some_and(|canary| canary.threshold.value() <= 0.0) {
            let found =
                "a threshold of 0 % and no condition: nothing that is measured could send the candidate back";
            let complaint = Diagnostic::reference(&rollout.place, found);
            self.sink.push(complaint.expected(
                "a `threshold` above 0, or a condition under `rollback` or `rollback_policy.automatic`",
            ));
        }
    }

    /// The step's own condition or, where steps are judged, one of the policy's.
    fn conditions(&mut self, rollout: &RolloutDef, strategy: &Strategy) -> Option<Condition> {
        let mut parts = Vec::new();
        if let Some(own) = &rollout.rollback {
            crate::weighed::check(&own.value, &own.place, &self.definition.measures, self.sink);
        }
        match rollout.rollback.as_ref().map(|own| &own.value) {
            Some(Condition::Or(own)) => parts.extend(own.iter().cloned()),
            Some(own) => parts.push(own.clone()),
            None => {}
        }
        if strategy.judged().is_some() {
            parts.extend(
                self.definition
                    .automatic_rollback
                    .iter()
                    .map(|rule| rule.condition.clone()),
            );
        }
        match parts.len() {
            0 | 1 => parts.pop(),
            _ => Some(Condition::Or(parts)),
        }
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
    }
}
