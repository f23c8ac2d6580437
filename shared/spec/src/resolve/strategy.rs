//! Strategies of rollout steps.

use weir_domain::strategy::{BlueGreen, Canary, CanaryStep, Strategy};
use weir_domain::time::Span;
use weir_domain::units::{Ratio, Weight};

use super::Resolver;
use crate::definition::{BlueGreenDef, CanaryDef, EnvironmentDef, RolloutDef, StepDef};
use crate::diagnostic::Diagnostic;
use crate::render::short;
use crate::source::Place;

/// Commands that check a new revision, and say no deadline, are stopped after this time: a switch waits for them with all
/// GPUs of two colours held.
const CHECKS_TIMEOUT: Span = Span::minutes(10);

impl<'a> Resolver<'a> {
    /// The strategy of a step: as written, else what its other keys mean.
    pub(super) fn strategy(
        &mut self,
        step: &StepDef,
        rollout: &RolloutDef,
        environment: Option<&'a EnvironmentDef>,
    ) -> Option<Strategy> {
        let mut fault = |found: String, help: &str| {
            self.sink
                .push(Diagnostic::error(&step.name.place, found).help(help));
            None
        };
        let name = short(&step.name.value);
        match (&rollout.version, &rollout.weight) {
            (Some(_), None) => {
                return fault(format!("the variant of `{name}` has no weight"), "add `weight:`");
            }
            (None, Some(_)) => {
                return fault(
                    format!("`{name}` has a weight and no variant"),
                    "add `selector: {version: …}`, or write the weight under `canary:`",
                );
            }
            (Some(_), Some(_))
                if rollout.strategy.is_some() || rollout.canary.is_some() || rollout.blue_green.is_some() =>
            {
                return fault(
                    format!("`{name}` is a variant and has a strategy"),
                    "leave one of them out",
                );
            }
            (Some(version), Some(weight)) => {
                return self.variant(&version.value, weight.value, &weight.place);
            }
            (None, None) => {}
        }
        let written = rollout.strategy.as_ref().map(|strategy| strategy.value.as_str());
        match (written, &rollout.canary, &rollout.blue_green) {
            (_, Some(_), Some(_)) => fault(
                format!("`{name}` has `canary:` and `blue_green:`"),
                "leave one of them out",
            ),
            (Some("canary") | None, Some(canary), None) => self.canary(canary).map(Strategy::Canary),
            (Some("canary"), None, _) => fault(
                format!("`{name}` is a canary without its steps"),
                "add `canary: {weight: 5, interval: 10m}`",
            ),
            (Some(other), Some(_), None) => fault(
                format!("`{name}` has `canary:` and the strategy {other}"),
                "write `strategy: canary`",
            ),
            (Some("blue-green") | None, None, Some(colours)) => self.blue_green(colours, environment),
            (Some(other), None, Some(_)) => fault(
                format!("`{name}` has `blue_green:` and the strategy {other}"),
                "write `strategy: blue-green`",
            ),
            (Some("blue-green"), None, None) => Some(Strategy::BlueGreen(Box::default())),
            (Some("shadow"), None, None) => self.not_yet(step, Strategy::Shadow),
            (_, None, None) => Some(Strategy::Rolling),
        }
    }

    fn blue_green(
        &mut self,
        colours: &BlueGreenDef,
        environment: Option<&'a EnvironmentDef>,
    ) -> Option<Strategy> {
        let checks = colours.checks.as_ref().map(|(checks, timeout)| {
            self.reaches(&colours.place, environment);
            self.commands(environment, checks, timeout.unwrap_or(CHECKS_TIMEOUT))
        });
        Some(Strategy::BlueGreen(Box::new(BlueGreen {
            checks,
            ..colours.strategy.clone()
        })))
    }

    /// Commands look at the new revision by its Service, which is a name inside its own cluster.
    fn reaches(&mut self, place: &Place, environment: Option<&EnvironmentDef>) {
        let (Some(builds), Some(environment)) = (self.build_cluster(), environment) else {
            return;
        };
        if builds != environment.cluster.value {
            let found = format!(
                "the checks would run in cluster {}, and the new revision in {}",
                short(&builds),
                short(&environment.cluster.value)
            );
            let help = "commands run in the cluster of `builds`; it must be that of the environment to reach the preview";
            self.sink.push(Diagnostic::error(place, found).help(help));
        }
    }

    fn variant(&mut self, version: &str, weight: u8, place: &Place) -> Option<Strategy> {
        let found = "an experiment of variants has no effect yet: a run that would reach it is refused before it starts";
        self.sink.push(Diagnostic::warning(place, found));
        Some(Strategy::Variant {
            version: version.into(),
            weight: Weight::new(weight)?,
        })
    }

    fn not_yet(&mut self, step: &StepDef, strategy: Strategy) -> Option<Strategy> {
        let found = format!(
            "strategy `{}` has no effect yet: a run that would reach it is refused before it starts",
            strategy.as_str()
        );
        self.sink.push(Diagnostic::warning(&step.name.place, found));
        Some(strategy)
    }

    fn canary(&mut self, canary: &CanaryDef) -> Option<Canary> {
        if canary.steps.is_empty() {
            let complaint = Diagnostic::error(&canary.place, "a canary without steps");
            self.sink
                .push(complaint.expected("`weight` and `interval`, or `steps`"));
            return None;
        }
        let mut before = 0;
        let mut steps = Vec::new();
        for (weight, interval) in &canary.steps {
            if weight.value == 0 {
                self.sink
                    .push(Diagnostic::error(&weight.place, "a weight of 0 %").expected("1 to 100"));
            } else if weight.value <= before {
                let found = format!("a weight of {} % after one of {before} %", weight.value);
                self.sink
                    .push(Diagnostic::error(&weight.place, found).expected("weights that rise"));
            }
            before = weight.value;
            steps.push(CanaryStep {
                weight: Weight::new(weight.value)?,
                interval: *interval,
            });
        }
        if canary.margin <= 1.0 {
            let found = format!(
                "a margin of {}: nothing can be shown to be that good",
                canary.margin
            );
            let complaint = Diagnostic::error(&canary.place, found);
            self.sink
                .push(complaint.expected("a ratio above 1; 1.25 rules out 25 % worse"));
        }
        Some(Canary {
            steps,
            threshold: Ratio::new(canary.threshold / 100.0)?,
            min_samples: canary.min_samples,
            promote: canary.promote,
            margin: canary.margin,
        })
    }
}
