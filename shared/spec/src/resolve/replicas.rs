//! What an environment without a gateway cannot do, and which shares it cannot give.

use weir_domain::pipeline::Strategy;
use weir_domain::rollout::Ratio;
use weir_domain::workload::Workload;

use super::Resolver;
use crate::definition::EnvironmentDef;
use crate::diagnostic::Diagnostic;
use crate::source::Place;

impl Resolver<'_> {
    /// Complains about what needs a gateway, and warns of shares that counts of replicas cannot give.
    pub(super) fn splits_by_replicas(
        &mut self,
        environment: &EnvironmentDef,
        (strategy, workload): (&Strategy, &Workload),
        service: &str,
        step: &Place,
    ) {
        let Some(place) = &environment.by_replicas else {
            return;
        };
        let name = &environment.name.value;
        let mut wrong = |place: &Place, found: String, help: &str| {
            self.sink.push(Diagnostic::error(place, found).help(help));
        };
        if environment.route.is_some() || environment.gateway.is_some() {
            let found = format!("`{name}` names a route or a gateway, and splits by replicas");
            wrong(place, found, "leave `route` and `gateway` out, or `traffic`");
        }
        if environment.adopts(service).is_some() {
            let found = format!("`{name}` adopts a Deployment of `{service}`, and splits by replicas");
            let help = "only a gateway can send traffic to a Deployment that is taken over: leave `adopt` out, or `traffic`";
            wrong(place, found, help);
        }
        let needs = match strategy {
            Strategy::Shadow(_) => Some("copies requests"),
            Strategy::Variant { .. } => Some("shares requests between variants"),
            _ => None,
        };
        if let Some(what) = needs {
            let found = format!("a step in `{name}` {what}, which takes a gateway");
            wrong(
                step,
                found,
                "use canary, blue-green or rolling, or leave `traffic` out",
            );
        }
        let Strategy::Canary(canary) = strategy else {
            return;
        };
        let replicas = workload.replicas;
        for part in &canary.steps {
            let least = Ratio {
                candidate: 1,
                stable: replicas,
            };
            if part.weight < least.share() {
                let found = format!(
                    "{} of {replicas} replicas is less than one: by replicas it is {}, 1 of {}",
                    part.weight,
                    least.share(),
                    least.all()
                );
                let help = "the least share is that of one replica beside all of stable; a gateway gives smaller ones";
                self.sink.push(Diagnostic::warning(step, found).help(help));
            }
        }
    }
}
