//! On what replicas run while they are compared. Before the start it is asked where they could go (`fit::other_hardware`); a pod
//! that is replaced later, after the loss of a node or by whoever scales, may land elsewhere all the same.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::phases::Rollout;
use crate::audit::Action;
use crate::decide::Draft;
use crate::fit::Hardware;
use crate::pipeline::{Parity, RolloutRule};
use crate::seen::{Landing, Replica, Scene};

/// What is known of the nodes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Landed {
    /// What each node is on which a pod of either revision ran.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    nodes: BTreeMap<String, Hardware>,
    /// Nodes on which the candidate's pods ran.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    ran: BTreeSet<String>,
    /// What stable ran on when that was first seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    began: Vec<Hardware>,
    /// Which pods run on something else, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    elsewhere: Option<String>,
    /// Nodes cannot be seen: nobody asks again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    hidden: bool,
}

impl Landed {
    /// Nothing was ever seen: it need not be stored.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a node is still to be looked at.
    pub fn lacks(&self, node: &str) -> bool {
        !self.hidden && !self.nodes.contains_key(node)
    }

    /// Nodes on which the candidate's pods ran.
    pub fn ran(&self) -> &BTreeSet<String> {
        &self.ran
    }

    fn place(&mut self, replicas: &[Replica]) {
        let placed = replicas.iter().filter(|replica| !replica.node.is_empty());
        self.ran.extend(placed.map(|replica| replica.node.clone()));
    }

    fn compare(&mut self, landing: &Landing, replicas: &[Replica]) {
        self.hidden |= landing.hidden.is_some();
        self.nodes.extend(landing.nodes.clone());
        if self.began.is_empty() {
            for node in landing.stable.iter().filter_map(|node| self.nodes.get(node)) {
                if !self.began.contains(node) {
                    self.began.push(node.clone());
                }
            }
        }
        let of_stable = landing.stable.iter().map(|node| (String::from("stable"), node));
        let of_candidate = replicas
            .iter()
            .map(|replica| (format!("pod {}", replica.pod), &replica.node));
        self.elsewhere = of_candidate.chain(of_stable).find_map(|(who, node)| {
            let there = self.nodes.get(node)?;
            let first = self.began.first()?;
            let is_other = !self.began.iter().any(|began| began.is_like(there));
            is_other.then(|| {
                format!(
                    "{who} runs on {node}, which is {}, and stable ran on {} when this began",
                    there.words(),
                    first.words()
                )
            })
        });
    }
}

impl Rollout {
    /// Whether it may still go back to a revision, so that it matters whether the version is at fault or a node.
    pub fn is_judged(&self) -> bool {
        self.stable.is_some() && self.can_revert()
    }

    /// Whether what its pods run on matters: they are compared with those of stable, and it may still go back.
    pub fn is_compared(&self, rule: &RolloutRule) -> bool {
        rule.strategy.compares() && self.is_judged()
    }
}

/// Takes what was seen of the nodes, and tells what does not compare.
pub(super) fn land(draft: &mut Draft, rollout: &mut Rollout, rule: &RolloutRule, scene: &Scene) {
    if rollout.is_judged() {
        rollout.landed.place(&scene.replicas);
    }
    if !rollout.is_compared(rule) {
        return;
    }
    let before = rollout.landed.elsewhere.clone();
    rollout.landed.compare(&scene.landing, &scene.replicas);
    if let Some(why) = &scene.landing.hidden {
        draft.note(
            Action::Waiting,
            format!("what replicas run on is not looked at again: {why}"),
        );
    }
    if let Some(words) = rollout.landed.elsewhere.as_ref().filter(|_| before.is_none()) {
        let then = match rule.parity {
            Parity::Refuse => "no step passes meanwhile without a person",
            Parity::Report => "`parity: report` lets it go on",
        };
        draft.note(Action::Waiting, format!("other hardware: {words}; {then}"));
    }
}

/// Why what was measured is not to be compared, if that is so.
pub(super) fn incomparable(rollout: &Rollout, rule: &RolloutRule) -> Option<String> {
    let elsewhere = rollout.landed.elsewhere.as_ref();
    let words = elsewhere.filter(|_| rule.parity == Parity::Refuse)?;
    Some(format!("other hardware: {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::Labels;
    use crate::seen::Counts;

    fn of(product: &str) -> Hardware {
        let labels = Labels::from([("nvidia.com/gpu.product".to_owned(), product.to_owned())]);
        Hardware::of(&labels, true)
    }

    fn landing(stable: &[&str], nodes: &[(&str, &str)]) -> Landing {
        Landing {
            stable: stable.iter().map(|node| (*node).to_owned()).collect(),
            nodes: nodes
                .iter()
                .map(|(node, product)| ((*node).to_owned(), of(product)))
                .collect(),
            ..Landing::default()
        }
    }

    fn on(node: &str) -> Vec<Replica> {
        vec![Replica {
            pod: "new".into(),
            node: node.into(),
            counts: Counts::default(),
            gpus: None,
        }]
    }

    #[test]
    fn a_replica_that_lands_on_another_kind_is_told_until_it_is_back() {
        let mut landed = Landed::default();
        assert!(landed.lacks("a"));
        landed.compare(&landing(&["a"], &[("a", "L4"), ("b", "L4")]), &on("b"));
        assert_eq!(landed.elsewhere, None);
        assert!(!landed.lacks("a") && landed.lacks("c"));

        landed.compare(&landing(&["a"], &[("c", "A10")]), &on("c"));
        assert_eq!(
            landed.elsewhere.as_deref(),
            Some(
                "pod new runs on c, which is A10, on-demand, and stable ran on L4, on-demand when this began"
            )
        );
        landed.compare(&landing(&["a"], &[]), &on("b"));
        assert_eq!(landed.elsewhere, None);
    }

    #[test]
    fn stable_that_lands_elsewhere_does_not_compare_either() {
        let mut landed = Landed::default();
        landed.compare(&landing(&["a", "b"], &[("a", "L4"), ("b", "A10")]), &on("b"));
        assert_eq!(landed.elsewhere, None, "stable was mixed before");
        landed.compare(&landing(&["a", "c"], &[("c", "H100")]), &on("b"));
        let told = landed.elsewhere.as_deref().unwrap_or_default();
        assert!(told.starts_with("stable runs on c, which is H100"), "{told}");
    }

    #[test]
    fn nodes_that_cannot_be_seen_are_not_asked_for_again() {
        let mut landed = Landed::default();
        let hidden = Landing {
            hidden: Some("nodes is forbidden".into()),
            ..landing(&["a"], &[])
        };
        landed.compare(&hidden, &on("b"));
        assert!(!landed.lacks("a") && landed.elsewhere.is_none());
    }
}
