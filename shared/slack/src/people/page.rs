//! A rollout that went back, or must and cannot, for somebody who was woken up; and one that asks a person.

use weir_domain::ids::StepId;
use weir_domain::pipeline::RolloutRule;
use weir_domain::rollout::{Phase, Rollout};
use weir_domain::run::Run;
use weir_domain::seen::TrafficChange;
use weir_domain::time::Timestamp;

use super::{experiment, unix};
use crate::message::{Message, PausedPage, RollbackPage, UndecidedPage, WayBack};

/// The message as things stand now; nothing if the question was answered meanwhile.
pub(super) fn message(run: &Run, step: StepId) -> Option<Message> {
    if run.experiment(step).is_some() {
        return Some(Message::rolled_back(&experiment::page(run, step)?));
    }
    let rollout = run.rollout(step)?;
    if let Some(words) = &rollout.left_behind {
        return Some(Message::rolled_back(&left_behind(run, step, words)?));
    }
    if rollout.is_paused() {
        return Some(Message::paused(&paused(run, step)?));
    }
    if rollout.reverted_because.is_none() && rollout.can_revert() {
        return Some(Message::undecided(&undecided(run, step)?));
    }
    Some(Message::rolled_back(&page(run, step)?))
}

/// How a step stands that waits for a person, and what comes next.
fn paused(run: &Run, step: StepId) -> Option<PausedPage> {
    let (rule, rollout) = (run.rule(step)?, run.rollout(step)?);
    let state = rollout.paused.as_ref()?;
    let counts = rollout.candidate_counts();
    let next = match rollout.phase {
        Phase::Watching { step } => rollout.plan.steps.get(step + 1),
        _ => None,
    };
    let next = next.map_or_else(String::new, |next| format!("; next is {}", next.weight));
    Some(PausedPage {
        pipeline: run.pipeline.name.to_string(),
        number: run.number,
        environment: rule.lane.environment.to_string(),
        stands: format!(
            "{} has {} of the traffic{next}",
            rollout.candidate, rollout.weight
        ),
        measured: format!("{} requests to it, {} failed", counts.requests, counts.bad),
        until_unix: unix(state.until?),
        token: state.token.as_ref().map(ToString::to_string).unwrap_or_default(),
    })
}

/// Pods that were told to leave and did not. Traffic is not theirs any more.
fn left_behind(run: &Run, step: StepId, words: &str) -> Option<RollbackPage> {
    let (rule, rollout) = (run.rule(step)?, run.rollout(step)?);
    let serves = match rollout.phase {
        Phase::Drained => Some(rollout.candidate.clone()),
        _ => rollout.stable.as_ref().map(|stable| stable.revision.clone()),
    };
    Some(RollbackPage {
        pipeline: run.pipeline.name.to_string(),
        number: run.number,
        environment: rule.lane.environment.to_string(),
        way_back: WayBack::LeftBehind,
        happened: format!("pods of {} have been draining {words}", rule.lane),
        measured: Vec::new(),
        done: vec!["they have no traffic; Weir waits for them no longer".to_owned()],
        serves_now: serves.map_or_else(|| "nothing".to_owned(), |revision| revision.to_string()),
        to_do: format!(
            "they hold their GPUs until they are gone: look at their node and finalizers, then kubectl -n {} delete pod … --force on cluster {}",
            rule.target.namespace, rule.target.cluster
        ),
        at_unix: unix(rollout.since),
        token: token(run),
    })
}

/// What a step lacks, what was measured, and until when it waits.
fn undecided(run: &Run, step: StepId) -> Option<UndecidedPage> {
    let (rule, rollout) = (run.rule(step)?, run.rollout(step)?);
    let state = rollout
        .inconclusive
        .as_ref()
        .filter(|state| state.vouched.is_none())?;
    let counts = rollout.candidate_counts();
    Some(UndecidedPage {
        pipeline: run.pipeline.name.to_string(),
        number: run.number,
        environment: rule.lane.environment.to_string(),
        lacks: format!(
            "{} at {}{}: {}",
            rollout.candidate,
            if rollout.mirrors() { "copies of " } else { "" },
            rollout.weight,
            state.lacks
        ),
        measured: format!("{} requests to it, {} failed", counts.requests, counts.bad),
        until_unix: unix(state.until?),
        token: token(run),
    })
}

/// An approval's token finds the run again; a run that asked nobody is looked at on the command line.
pub(super) fn token(run: &Run) -> String {
    let approvals = run.stages.iter().filter_map(|stage| stage.approval.as_ref());
    let last = approvals.map(|approval| approval.token.to_string()).next_back();
    last.unwrap_or_default()
}

/// What happened, what was measured, what was done, what serves now, what to do.
pub(super) fn page(run: &Run, step: StepId) -> Option<RollbackPage> {
    let (rule, rollout) = (run.rule(step)?, run.rollout(step)?);
    let stuck = rollout.phase == Phase::Reverting;
    Some(RollbackPage {
        pipeline: run.pipeline.name.to_string(),
        number: run.number,
        environment: rule.lane.environment.to_string(),
        way_back: if stuck { WayBack::Stuck } else { WayBack::Done },
        happened: happened(rule, rollout, stuck),
        measured: measured(rollout),
        done: done(rollout).into_iter().chain(run.partly_back()).collect(),
        serves_now: serves_now(rollout, stuck),
        to_do: to_do(rule, rollout, stuck),
        at_unix: unix(decided(rollout)),
        token: token(run),
    })
}

fn happened(rule: &RolloutRule, rollout: &Rollout, stuck: bool) -> String {
    let what = format!("{} of {}", rollout.candidate, rule.lane);
    let (must, did) = match rollout.mirrors() {
        true => ("must get no more copies", "gets no more copies"),
        false => ("must give its traffic back", "gave its traffic back"),
    };
    match (stuck, rollout.changes.is_empty()) {
        (true, _) => format!("{what} {must}, and {}", rollout.waits_for),
        (false, true) => format!("{what} was given up before it had any traffic"),
        (false, false) => format!("{what} {did}"),
    }
}

fn measured(rollout: &Rollout) -> Vec<String> {
    let mut lines: Vec<String> = rollout.reverted_because.iter().cloned().collect();
    if let Some(counts) = rollout.counted.get(&rollout.candidate).filter(|c| c.requests > 0) {
        lines.push(format!(
            "exposed: {} requests, {} failed",
            counts.requests, counts.bad
        ));
    }
    let crash = rollout.candidate_seen.last_crash.iter();
    lines.extend(
        crash
            .filter(|crash| !lines.iter().any(|line| line.contains(*crash)))
            .cloned()
            .collect::<Vec<_>>(),
    );
    lines
}

/// The three times of the change that took the traffic away.
fn done(rollout: &Rollout) -> Vec<String> {
    let Some(change) = rollout.changes.last() else {
        return vec!["the route was never touched".to_owned()];
    };
    let times = [
        ("accepted by the API server", change.accepted),
        ("taken up by the gateway", change.observed),
        (
            "effective: the candidate's own request counter stopped",
            change.effective,
        ),
    ];
    let set = match rollout.mirrors() {
        true => "no more copies:".to_owned(),
        false => format!("weight {}", change.weight),
    };
    times.map(|(what, at)| after(change, &set, what, at)).into()
}

/// How long after the verdict something was seen of what was set.
pub(super) fn after(change: &TrafficChange, set: &str, what: &str, at: Option<Timestamp>) -> String {
    match at {
        Some(at) => format!("{set} {what} {} after the verdict", at.since(change.decided)),
        None => format!("{set} {what}: not seen"),
    }
}

fn serves_now(rollout: &Rollout, stuck: bool) -> String {
    match (&rollout.stable, stuck) {
        (Some(stable), true) => format!("not known; it should be {}", stable.revision),
        (Some(stable), false) => format!(
            "{} at 100 %, {}/{} warm",
            stable.revision, rollout.stable_seen.warm, rollout.stable_seen.desired
        ),
        (None, _) => "nothing: this was the first release".to_owned(),
    }
}

fn to_do(rule: &RolloutRule, rollout: &Rollout, stuck: bool) -> String {
    let target = &rule.target;
    if stuck {
        if let (true, Some(stable)) = (target.is_by_replicas(), &rollout.stable) {
            return format!(
                "Weir tries on until it is done. By hand: kubectl -n {} edit service {} on cluster {}, take weir.dev/serves out of \
                 its selector and let it select weir.dev/revision: {}",
                target.namespace, target.service, target.cluster, stable.revision
            );
        }
        let by_hand = match rollout.mirrors() {
            true => "take away the rule of Weir that copies to",
            false => "set the weight to 0 of the backend of",
        };
        return format!(
            "Weir tries on until it is done. By hand: kubectl -n {} edit httproute {} on cluster {}, and {by_hand} {}",
            target.namespace, target.route, target.cluster, rollout.candidate
        );
    }
    match &rollout.stable {
        Some(stable) if rollout.stable_seen.warm < stable.replicas => format!(
            "look at {} now: {} of its {} replicas are warm",
            stable.revision, rollout.stable_seen.warm, stable.replicas
        ),
        Some(_) => format!(
            "nothing until morning; {} is kept for {} for a look",
            rollout.candidate, rule.keep
        ),
        None => format!(
            "push a version that works; nothing serves {} until then",
            rule.lane
        ),
    }
}

/// When it was decided that traffic goes back.
fn decided(rollout: &Rollout) -> Timestamp {
    rollout
        .changes
        .last()
        .map_or(rollout.since, |change| change.decided)
}
