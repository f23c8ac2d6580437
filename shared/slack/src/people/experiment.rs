//! An experiment that gave all traffic back by itself.

use weir_domain::experiment::{Experiment, Phase};
use weir_domain::ids::StepId;
use weir_domain::run::Run;

use super::page::{after, token};
use super::unix;
use crate::message::{RollbackPage, WayBack};

/// What happened, what was measured, what was done, what serves now, what to do.
pub(super) fn page(run: &Run, step: StepId) -> Option<RollbackPage> {
    let (rule, experiment) = (run.rule(step)?, run.experiment(step)?);
    let stuck = experiment.phase == Phase::Ending;
    let versions: Vec<&str> = experiment
        .sides
        .iter()
        .map(|side| side.version.as_str())
        .collect();
    let back = match &experiment.back {
        Some(revision) => revision.to_string(),
        None => format!("the plain Service `{}`", rule.target.service),
    };
    Some(RollbackPage {
        pipeline: run.pipeline.name.to_string(),
        number: run.number,
        environment: rule.lane.environment.to_string(),
        way_back: if stuck { WayBack::Stuck } else { WayBack::Done },
        happened: format!(
            "the variants {} of {} gave their traffic back",
            versions.join(" and "),
            rule.lane
        ),
        measured: experiment
            .ending
            .iter()
            .map(|ending| ending.why.clone())
            .collect(),
        done: done(experiment),
        serves_now: match stuck {
            true => format!("not known; it should be {back}"),
            false => back,
        },
        to_do: match stuck {
            true => format!(
                "Weir tries on until it is done. By hand: kubectl -n {} edit httproute {} on cluster {}",
                rule.target.namespace, rule.target.route, rule.target.cluster
            ),
            false => "look at the pods of the variants: Weir made none of them and changes none".to_owned(),
        },
        at_unix: unix(
            experiment
                .changes
                .last()
                .map_or(experiment.since, |change| change.decided),
        ),
        token: token(run),
    })
}

/// The times of the change that took the traffic away.
fn done(experiment: &Experiment) -> Vec<String> {
    let Some(change) = experiment.changes.last() else {
        return vec!["the route was never touched".to_owned()];
    };
    let times = [
        ("accepted by the API server", change.accepted),
        ("taken up by the gateway", change.observed),
        ("taken as effective", change.effective),
    ];
    let set = format!("weight {}", change.weight);
    times.map(|(what, at)| after(change, &set, what, at)).into()
}
