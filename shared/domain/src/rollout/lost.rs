//! A node that is lost takes the candidate's replicas with it, and is not the version's fault.
//!
//! Users do not wait for anybody to tell that: what is not warm has no traffic. What follows is told apart here: another replica
//! comes, as whoever owns the pods makes one, and the step begins again.

use super::moves::{enter, set_weight};
use super::phases::{Phase, Rollout};
use super::replace::takes_all;
use crate::audit::Action;
use crate::decide::Draft;
use crate::ids::StepId;
use crate::pipeline::RolloutRule;
use crate::seen::Scene;
use crate::units::Weight;

/// Times that a rollout begins a step again because of a node. Where more are lost, a person must look.
const LIMIT: u32 = 3;

/// Takes the traffic back and lets the step wait for another replica, where the candidate is bad and a node is lost on which it ran.
/// Says whether that is so. A crash and an alarm are the version's, whatever its nodes do.
pub(super) fn waits_for_node(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
    (step, why): (usize, &str),
) -> bool {
    let lost = &scene.landing.lost;
    let blamed = rollout.alarm.is_some() || rollout.candidate_seen.crashes > rollout.crashes_before;
    if lost.is_empty() || blamed || rollout.nodes_lost >= LIMIT || !takes_all(rollout, rule) {
        return false;
    }
    rollout.nodes_lost += 1;
    let nodes: Vec<String> = lost
        .iter()
        .map(|(node, how)| format!("node {node} {how}"))
        .collect();
    let told = format!(
        "a node and not the version: {}; {why}; the step begins again with another replica",
        nodes.join("; ")
    );
    let names: Vec<&str> = lost.keys().map(String::as_str).collect();
    draft
        .note(Action::ReplicaReplaced, told)
        .with("node", names.join(", "));
    set_weight(draft, rollout, id, Weight::ZERO, "a node was lost");
    enter(draft, rollout, Phase::Growing { step });
    true
}
