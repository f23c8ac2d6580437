//! Whether the steps of a canary can prove what they are asked to, as far as that is known before there is traffic.

use weir_domain::condition::Condition;
use weir_domain::judge::Promote;
use weir_domain::judge::power::Step;
use weir_domain::judge::proof::{Proof, proofs};
use weir_domain::time::Span;

use super::Resolver;
use crate::definition::{CanaryDef, CanaryStepDef, RolloutDef};
use crate::diagnostic::Diagnostic;

impl Resolver<'_> {
    /// Complains about `promote: proven` that nothing could reach.
    pub(super) fn proves(&mut self, rollout: &RolloutDef, condition: Option<&Condition>) {
        let Some(canary) = &rollout.canary else { return };
        let proven = canary
            .promote
            .as_ref()
            .filter(|written| written.value == Promote::Proven);
        let Some(written) = proven.filter(|_| canary.margin > 1.0) else {
            return;
        };
        let asked = condition.map(|condition| proofs(condition, canary.margin, rollout.alpha));
        let asked = asked.unwrap_or_default();
        if asked.is_empty() {
            let complaint = Diagnostic::reference(&written.place, "`promote: proven` has nothing to prove");
            let expected =
                "a `rollback` with error_rate, success_rate or latency_pNN beyond a line, and evidence";
            self.sink.push(complaint.expected(expected));
        }
        for step in &canary.steps {
            self.proves_step(canary, step, &asked);
        }
    }

    fn proves_step(&mut self, canary: &CanaryDef, step: &CanaryStepDef, asked: &[Proof]) {
        let percent = step.weight.value;
        if percent == 100 {
            let found = "`promote: proven` at 100 %: stable has no requests to compare with";
            let help = "judge a smaller share, the ramp leads on to 100 %; or `promote: article`";
            self.sink
                .push(Diagnostic::error(&step.weight.place, found).help(help));
            return;
        }
        let Some(rate) = canary.requests_per_second.filter(|_| (1..100).contains(&percent)) else {
            return;
        };
        let sized = Step {
            rate: f64::from(rate),
            weight: f64::from(percent) / 100.0,
            seconds: step.interval.as_seconds(),
            level: 0.0,
        };
        let longest = |proof: &&Proof| proof.needs(&sized).seconds.unwrap_or(f64::INFINITY);
        let lacking = asked.iter().filter(|proof| !proof.is_within(&sized));
        let Some(hardest) = lacking.max_by(|a, b| longest(a).total_cmp(&longest(b))) else {
            return;
        };
        let found = format!(
            "`promote: proven` cannot be reached: {rate} requests/s at {percent} % for {} are {:.0} requests to the candidate, too few to rule out `{}` and {} times what fails on stable",
            step.interval,
            sized.candidate_requests(),
            hardest.comparison,
            hardest.margin
        );
        let complaint = Diagnostic::error(&step.weight.place, found);
        self.sink.push(complaint.help(what_would(hardest, &sized)));
    }
}

fn what_would(proof: &Proof, step: &Step) -> String {
    let needs = proof.needs(step);
    let weight = needs
        .weight
        .map(|weight| format!("a weight of {:.0} %", (100.0 * weight).ceil()));
    let seconds = needs.seconds.map(|seconds| {
        let minutes = (seconds / 60.0).ceil() as u64;
        format!("an interval of {}", Span::minutes(minutes))
    });
    let rate = needs.rate.map(|rate| format!("{:.0} requests/s", rate.ceil()));
    let ways: Vec<String> = [weight, seconds, rate].into_iter().flatten().collect();
    match ways.as_slice() {
        [] => "write a greater `margin`, or `promote: article`".into(),
        ways => format!(
            "it needs {}, each alone; a greater `margin` needs less; or write `promote: article`",
            ways.join(" or ")
        ),
    }
}
