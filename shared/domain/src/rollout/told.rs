//! A plan in words.

use super::forecast::{Timing, forecast};
use super::plan::{Plan, PlannedStep};
use crate::ladder::{Action, Load};
use crate::pipeline::RolloutRule;

/// `5 → 33 → 66 → 100 % with 1 → 2 → 3 → 4 of the candidate beside 3 → 2 → 1 → 0 of stable, at most 4 GPUs, borrow: …;
/// revert instant up to 33 %, then at most 9m 52s; 37m in all`
pub fn told(plan: &Plan, rule: &RolloutRule) -> String {
    let shares = row(&plan.steps, |step| u32::from(step.weight.percent()));
    let timing = Timing::of(plan.bounds.as_ref());
    let foreseen = forecast(plan, rule, timing, Load::default(), None);
    let mut words = match plan.mirrors() {
        true => {
            let replicas = row(&plan.steps, |step| step.candidate_replicas);
            format!(
                "copies of {shares} % of the requests, to {replicas} of {} replicas",
                plan.needed(rule)
            )
        }
        false => format!("{shares} %"),
    };
    if plan.lends() {
        let candidate = row(&plan.steps, |step| step.candidate_replicas);
        let stable = row(&plan.steps, |step| step.stable_replicas);
        words.push_str(&format!(
            " with {candidate} of the candidate beside {stable} of stable"
        ));
    }
    if let Some(ratios) = plan.ratios(rule) {
        words.push_str(&format!("; {ratios}"));
    }
    words.push_str(&format!(", at most {} GPUs", plan.gpu_peak));
    if plan.rung != Action::Surge {
        words.push_str(&format!(", {}: {}", plan.rung, plan.why));
    }
    let instant = plan.steps.iter().rfind(|step| plan.instant_at(step, rule));
    let slowest = foreseen.steps.iter().filter_map(|step| step.revert).max();
    match (plan.instant_revert, instant, slowest) {
        (true, ..) => words.push_str("; revert instant"),
        (false, Some(last), Some(slowest)) => words.push_str(&format!(
            "; revert instant up to {}, then at most {slowest}",
            last.weight
        )),
        (false, None, Some(slowest)) => words.push_str(&format!("; revert at most {slowest}")),
        (false, _, None) => {}
    }
    words.push_str(&format!("; about {} in all", foreseen.total));
    if !plan.other_hardware.is_empty() {
        words.push_str(&format!("; other hardware: {}", plan.other_hardware));
    }
    for budget in &plan.budgets {
        words.push_str(&format!("; {budget}"));
    }
    if let Some(bounds) = &plan.bounds {
        words.push_str(&format!("; {}", bounds.words()));
    }
    words
}

/// Numbers of the steps, one after another, repetitions left out.
fn row(steps: &[PlannedStep], number: impl Fn(&PlannedStep) -> u32) -> String {
    let mut numbers: Vec<u32> = steps.iter().map(number).collect();
    numbers.dedup();
    let words: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    words.join(" → ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::plan;
    use crate::rollout::testing::rule;
    use crate::seen::Bounds;
    use crate::time::Span;

    #[test]
    fn a_plan_counts_on_what_was_measured_of_its_cluster_and_says_so() {
        let rule = rule(&[5], 4);
        let assumed = plan(&rule, Some(4));
        let bounds = Bounds {
            observed: Span::seconds(7),
            job: Span::millis(2_500),
            pod: Span::millis(1_200),
            answer: Span::millis(40),
            endpoint: Some(Span::millis(90)),
            drain: Some(Span::millis(700)),
        };
        let measured = Plan {
            bounds: Some(bounds),
            ..assumed.clone()
        };
        let back = |plan: &Plan| {
            let timing = Timing::of(plan.bounds.as_ref());
            forecast(plan, &rule, timing, Load::default(), None).steps[0].revert
        };
        assert_eq!(back(&assumed), Some(Span::seconds(2)));
        assert_eq!(back(&measured), Some(Span::seconds(7)));
        assert!(!told(&assumed, &rule).contains("measured"));
        let words = told(&measured, &rule);
        assert!(
            words.ends_with(
                "; measured: weights are taken up within 7s, a pod is ready within 1.2s, a Kubernetes Job ends within 2.5s, the API \
                 server answers within 40ms, an endpoint leaves within 90ms, a pod is gone within 700ms"
            ),
            "{words}"
        );
    }
}
