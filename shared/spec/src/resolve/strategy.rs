//! Strategies of rollout steps.

use weir_domain::strategy::{BlueGreen, Canary, CanaryStep, Shadow, Strategy};
use weir_domain::time::Span;
use weir_domain::units::{Ratio, Weight};
use weir_domain::workload::Workload;

use super::Resolver;
use crate::definition::{BlueGreenDef, CanaryDef, EnvironmentDef, RollingDef, RolloutDef, StepDef};
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
        let blocks = [
            ("canary", rollout.canary.is_some()),
            ("blue-green", rollout.blue_green.is_some()),
            ("rolling", rollout.rolling.is_some()),
            ("shadow", rollout.shadow.is_some()),
        ];
        let blocks: Vec<&str> = blocks
            .into_iter()
            .filter_map(|(block, there)| there.then_some(block))
            .collect();
        if rollout.sticky.is_some() && rollout.version.is_none() {
            return fault(
                format!("`{name}` is no variant and has `sticky`"),
                "leave it out: callers stay with variants, which `selector: {version: …}` and `weight` name",
            );
        }
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
            (Some(_), Some(_)) if rollout.strategy.is_some() || !blocks.is_empty() => {
                return fault(
                    format!("`{name}` is a variant and has a strategy"),
                    "leave one of them out",
                );
            }
            (Some(version), Some(weight)) => {
                return self.variant(step, rollout, version, weight);
            }
            (None, None) => {}
        }
        let written = rollout.strategy.as_ref().map(|strategy| strategy.value.as_str());
        let block = match blocks.as_slice() {
            [one, other, ..] => {
                return fault(
                    format!("`{name}` has settings of {one} and of {other}"),
                    "leave one of them out",
                );
            }
            blocks => blocks.first().copied(),
        };
        if let (Some(written), Some(block)) = (written, block)
            && written != block
        {
            return fault(
                format!("`{name}` has settings of {block} and the strategy {written}"),
                "leave one of them out",
            );
        }
        match (written.or(block), &rollout.canary, &rollout.blue_green) {
            (Some("canary"), Some(canary), _) => self.canary(canary).map(Strategy::Canary),
            (Some("canary"), None, _) => fault(
                format!("`{name}` is a canary without its steps"),
                "add `canary: {weight: 5, interval: 10m}`",
            ),
            (Some("blue-green"), _, Some(colours)) => self.blue_green(colours, environment),
            (Some("blue-green"), _, None) => Some(Strategy::BlueGreen(Box::default())),
            (Some("shadow"), ..) => {
                let shadow = rollout.shadow.as_ref().map(|shadow| shadow.strategy.clone());
                self.shadow(step, rollout, shadow.unwrap_or_default())
            }
            _ => {
                let pause = rollout
                    .rolling
                    .as_ref()
                    .and_then(|rolling| rolling.pause_at.as_ref());
                if let Some(at) = pause.filter(|at| at.value == 0) {
                    let complaint = Diagnostic::error(&at.place, "a pause at 0 %");
                    let help = "before it starts, a stage of `type: Approval` asks people";
                    self.sink.push(complaint.expected("1 to 100").help(help));
                }
                let rolling = rollout.rolling.as_ref().map(RollingDef::strategy);
                Some(Strategy::Rolling(rolling.unwrap_or_default()))
            }
        }
    }

    /// Limits of rolling within which not one replica could be replaced.
    pub(super) fn rolls(&mut self, rollout: &RolloutDef, workload: &Workload) {
        let Some(written) = &rollout.rolling else { return };
        let rolling = written.strategy();
        let (gpus, replicas) = (workload.gpus.max(1), workload.replicas);
        let Some(surge) = rolling.surge else { return };
        let (more, fewer) = (surge / gpus, rolling.unavailable / gpus);
        let unit = if workload.gpus == 0 { "replicas" } else { "GPUs" };
        if more == 0 && fewer == 0 {
            let found = format!(
                "{surge} {unit} more and {} fewer: a replica has {gpus}, so that none could be replaced",
                rolling.unavailable
            );
            let complaint = Diagnostic::error(&written.place, found);
            self.sink
                .push(complaint.expected(format!("`surge` or `unavailable` of at least {gpus}")));
        } else if more == 0 && fewer >= replicas {
            let found = format!("all {replicas} replicas may be missing, and none is added");
            let help = "nobody would answer; set `surge`, or fewer `unavailable`";
            self.sink
                .push(Diagnostic::error(&written.place, found).help(help));
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

    fn shadow(&mut self, step: &StepDef, rollout: &RolloutDef, shadow: Shadow) -> Option<Strategy> {
        if let Some(percent) = rollout
            .shadow
            .as_ref()
            .and_then(|written| written.percent.as_ref())
            && percent.value == 0
        {
            let complaint = Diagnostic::error(&percent.place, "copies of 0 % of the requests");
            self.sink.push(complaint.expected("1 to 100"));
        }
        if rollout.bake.is_some() {
            let found = format!("`{}` is a shadow and has a `bake`", short(&step.name.value));
            let help =
                "leave `bake` out: nothing is promoted, and its interval is how long a shadow is watched";
            self.sink
                .push(Diagnostic::error(&step.name.place, found).help(help));
        }
        Some(Strategy::Shadow(shadow))
    }

    /// A limit under which not one replica would get copies, or fewer than carry them.
    pub(super) fn shadows(&mut self, rollout: &RolloutDef, workload: &Workload) {
        let Some(written) = &rollout.shadow else { return };
        let (shadow, gpus) = (&written.strategy, workload.gpus.max(1));
        let Some(most) = shadow.gpus else { return };
        let unit = if workload.gpus == 0 { "replicas" } else { "GPUs" };
        let asked = shadow
            .copied
            .steps
            .first()
            .map_or(Weight::ZERO, |step| step.weight);
        let carried = shadow.percent(workload);
        if most < gpus {
            let found = format!("{most} {unit} at most: a replica has {gpus}, so that none could get copies");
            let complaint = Diagnostic::error(&written.place, found);
            self.sink
                .push(complaint.expected(format!("`gpus` of at least {gpus}")));
        } else if carried < asked {
            let found =
                format!("{most} {unit} carry {carried} of the requests: that much is copied, not {asked}");
            self.sink
                .push(Diagnostic::warning(&written.place, found).help("raise `gpus`, or lower `percent`"));
        }
    }

    /// A consent that the strategy has no use for.
    pub(super) fn swaps(&mut self, rollout: &RolloutDef, strategy: &Strategy) {
        let Some(place) = &rollout.swaps else { return };
        let limited = strategy.rolling().is_some_and(|rolling| rolling.surge.is_some());
        let help = match (strategy.may_borrow(), limited) {
            (true, false) => return,
            (true, true) => {
                "leave `allow` out: `surge` and `unavailable` say how many more and fewer there may be"
            }
            (false, _) => "leave `allow` out: it takes no places of what serves; canary and rolling do",
        };
        let found = format!("`allow: swap` with the strategy {}", strategy.as_str());
        self.sink.push(Diagnostic::error(place, found).help(help));
    }

    fn canary(&mut self, canary: &CanaryDef) -> Option<Canary> {
        if let Some(place) = &canary.beside {
            let complaint = Diagnostic::error(place, "`weight` or `interval` beside `steps`");
            let help = "`steps` stands instead of them: make them its first item, or leave `steps` out";
            self.sink.push(complaint.expected("one of the two").help(help));
            return None;
        }
        if canary.steps.is_empty() {
            if !canary.unread {
                let complaint = Diagnostic::error(&canary.place, "a canary without steps");
                self.sink
                    .push(complaint.expected("`weight` and `interval`, or `steps`"));
            }
            return None;
        }
        let mut before = 0;
        let mut steps = Vec::new();
        for step in &canary.steps {
            let weight = &step.weight;
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
                interval: step.interval,
                pause: step.pause,
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
            promote: canary
                .promote
                .as_ref()
                .map(|written| written.value)
                .unwrap_or_default(),
            margin: canary.margin,
        })
    }
}
