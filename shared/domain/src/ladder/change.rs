//! The smallest changes after which the replicas fit.

use super::rungs::View;
use super::{Action, Rung};
use crate::fit::{Fit, Reason, Waived, What};

/// Changes that are told beside what is advised; more would not be read.
const TOLD: usize = 4;

/// Finds them: what a person could say or do about single reasons, then what the rungs found. What is advised and never done by
/// a run, to move a pod or to ask for less, is told however much else there is.
pub(super) fn changes(view: &View<'_>, rungs: &[Rung]) -> Vec<String> {
    if view.fits() {
        return Vec::new();
    }
    let mut changes: Vec<String> = view
        .fit
        .reasons
        .iter()
        .filter_map(|group| undone(view, &group.reason))
        .collect();
    changes.extend(less(view));
    let single = changes.len();
    for rung in rungs {
        match (rung.action, rung.possible) {
            (Action::Borrow, _) => changes.extend(borrow(view)),
            (Action::ScaleUp, _) => changes.extend(nodes(view)),
            _ => {}
        }
    }
    changes.dedup();
    changes.truncate(TOLD);
    let moved = rungs
        .iter()
        .find(|rung| rung.action == Action::Repack && rung.possible);
    if let Some(rung) = moved {
        // Moving one pod is less than borrowing from stable or adding nodes.
        let single = single.min(changes.len());
        changes.insert(single, rung.why.trim_start_matches("advice: ").to_owned());
    }
    let Fit { sure_replicas, .. } = *view.fit;
    if sure_replicas > 0 {
        let word = if sure_replicas == 1 { "replica" } else { "replicas" };
        changes.push(format!("ask for {sure_replicas} {word}"));
    }
    changes
}

/// A replica that asks for more than any node has.
fn less(view: &View<'_>) -> Option<String> {
    let most = |device: &str| {
        let nodes = view.snapshot.nodes.iter();
        nodes.map(|node| node.allocatable.get(device)).max().unwrap_or(0)
    };
    let mut too_many = view
        .ask
        .devices()
        .map(|(device, count)| (device, count, most(device)));
    let (device, _, most) = too_many.find(|(_, count, most)| count > most && *most > 0)?;
    Some(format!(
        "ask for at most {most} {device} a replica, no node has more"
    ))
}

/// What would take a reason away, if that is enough.
fn undone(view: &View<'_>, reason: &Reason) -> Option<String> {
    let (waived, words) = match reason {
        Reason::Taint(taint) => {
            let value = if taint.value.is_empty() {
                String::new()
            } else {
                format!("={}", taint.value)
            };
            (
                Waived::Taint(taint.clone()),
                format!("tolerate {}{value}", taint.key),
            )
        }
        Reason::Cordoned => (
            Waived::Cordon,
            format!("uncordon {}", one(view, |node| node.cordoned)),
        ),
        Reason::NotReady => (
            Waived::NotReady,
            format!("{} ready again", one(view, |node| !node.ready)),
        ),
        Reason::NodeSelector(key, value) => {
            let waived = Waived::Selector(key.clone(), value.clone());
            (waived, format!("drop the node selector {key}={value}"))
        }
        Reason::GpuMemory(..) => (Waived::GpuMemory, "ask for less GPU memory".into()),
        Reason::Quota {
            quota,
            limit,
            left,
            needed,
        } => {
            let missing = i64::try_from(view.fit.replicas).ok()?.saturating_mul(*needed) - left;
            let unit = limit.trim_start_matches("requests.");
            return Some(format!(
                "raise {limit} of quota {quota} by {}",
                crate::fit::Amount(unit, missing)
            ));
        }
        _ => return None,
    };
    view.fits_if(&What {
        waived: Some(waived),
        ..What::default()
    })
    .then_some(words)
}

/// The node a state is about, or how many.
fn one(view: &View<'_>, is: impl Fn(&crate::fit::Node) -> bool) -> String {
    let mut nodes = view.snapshot.nodes.iter().filter(|node| is(node));
    match (nodes.next(), nodes.count()) {
        (Some(node), 0) => node.name.clone(),
        (_, others) => format!("{} nodes", others + 1),
    }
}

fn borrow(view: &View<'_>) -> Option<String> {
    let count = view.borrowed()?.len();
    let word = if count == 1 { "replica" } else { "replicas" };
    Some(format!("{count} {word} borrowed from stable"))
}

fn nodes(view: &View<'_>) -> Option<String> {
    let (node, room) = view.template()?;
    let missing = view.fit.replicas.saturating_sub(view.fit.sure_replicas);
    let more = missing.div_ceil(room);
    let word = if more == 1 { "node" } else { "nodes" };
    Some(format!(
        "{more} more {word} like {}",
        view.snapshot.nodes[node].name
    ))
}
