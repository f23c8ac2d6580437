//! A share that was decided has to reach requests: the API server takes it, the gateway follows.

use super::phases::Rollout;
use super::share::has_followed;
use crate::decide::Draft;
use crate::pipeline::RolloutRule;
use crate::seen::{Scene, TrafficChange};
use crate::time::Span;
use crate::units::Weight;

/// Gateways follow within seconds; what takes longer is told.
const TOLD_AFTER: Span = Span::seconds(10);

/// What became of a share.
pub(super) enum Followed {
    /// It is served, or was given a moment ago.
    Yes,
    /// Not yet; in words.
    Waits(String),
    /// Not within its deadline; in words.
    Overdue(String),
}

/// Whether the gateway serves the candidate's share.
pub(super) fn followed(draft: &Draft, rollout: &mut Rollout, rule: &RolloutRule, scene: &Scene) -> Followed {
    let given = rollout.changes.last().cloned();
    let Some(change) = given.filter(|change| change.weight > Weight::ZERO && !has_followed(draft, rollout))
    else {
        rollout.unfollowed_since = None;
        return Followed::Yes;
    };
    let stood = draft
        .now
        .since(*rollout.unfollowed_since.get_or_insert(draft.now));
    // How long traffic may stay where nobody knows what becomes of it.
    let limit = rule.deadlines.serving.unwrap_or(rule.hold_exposure);
    let words = told(rollout, &change, rule, scene);
    if stood >= limit {
        Followed::Overdue(format!("serving for {stood}, {limit} at most: {words}"))
    } else if stood >= TOLD_AFTER {
        Followed::Waits(format!("serving: {words}"))
    } else {
        Followed::Yes
    }
}

fn told(rollout: &Rollout, change: &TrafficChange, rule: &RolloutRule, scene: &Scene) -> String {
    let share = format!("{} {}", rollout.gets(), change.weight);
    let problem = scene.route.problem.iter();
    let problem: String = problem.map(|problem| format!("; {problem}")).collect();
    match (change.accepted, change.observed) {
        (None, _) => format!("{share} is not accepted by the API server yet{problem}"),
        (Some(_), None) => {
            let follower = rule.target.split.follower();
            format!("{share} is not taken up by {follower} yet{problem}")
        }
        (Some(_), Some(_)) => format!("{share} is taken up, and requests do not follow it yet{problem}"),
    }
}
