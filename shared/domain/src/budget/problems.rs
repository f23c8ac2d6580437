//! Budgets that protect nothing, or that let nobody drain a node.

use super::Budget;
use crate::fit::{Ask, Labels, Selector, Snapshot, Test};

/// A service, and the budgets of its namespace.
struct View<'a> {
    snapshot: &'a Snapshot,
    ask: &'a Ask,
    /// Replicas that serve now.
    stable: u32,
    /// Replicas that will.
    replicas: u32,
}

/// What is wrong with the budgets of a service, each with the object's name, what it means and the fix. `service`: the name of
/// its plain Service; `stable`: replicas that serve now; `replicas`: those that will.
pub fn problems(snapshot: &Snapshot, ask: &Ask, service: &str, stable: u32, replicas: u32) -> Vec<String> {
    if let Some(why) = &snapshot.budgets_hidden {
        return vec![format!("PodDisruptionBudgets are not seen: {why}")];
    }
    let view = View {
        snapshot,
        ask,
        stable,
        replicas,
    };
    let mut found: Vec<String> = Vec::new();
    for budget in &snapshot.budgets {
        found.extend(view.beside_the_pods(budget, service));
        found.extend(view.in_the_way(budget));
    }
    found.extend(view.twice());
    found
}

impl View<'_> {
    /// It selects one side only, or nothing though it has the service's name.
    fn beside_the_pods(&self, budget: &Budget, service: &str) -> Option<String> {
        let (of_stable, others) = budget.selected(self.snapshot, self.ask);
        match (of_stable > 0, budget.selects_candidate(self.ask)) {
            (true, false) => Some(format!(
                "{budget} selects pods that serve now and none of the candidate's, which lack {}: once the candidate serves it protects \
                 nothing; select by labels that all revisions carry",
                lacking(budget.selector.as_ref(), &self.ask.labels)
            )),
            (false, true) if self.stable > 0 => Some(format!(
                "{budget} selects the candidate's pods and none that serve now: until the candidate serves, a drain may take all of \
                 them at once; select by labels that all revisions carry"
            )),
            (false, false)
                if others == 0 && budget.namespace == self.ask.namespace && budget.name == service =>
            {
                Some(format!(
                    "{budget} selects no pod of its namespace, and none of the candidate's, which lack {}: it protects nothing; select by \
                     labels of the pod template",
                    lacking(budget.selector.as_ref(), &self.ask.labels)
                ))
            }
            _ => None,
        }
    }

    /// It lets no pod go, so that draining a node never ends.
    fn in_the_way(&self, budget: &Budget) -> Option<String> {
        let (of_stable, others) = budget.selected(self.snapshot, self.ask);
        let lets_none = |own: u32| {
            let all = own.saturating_add(others);
            (all > 0 && budget.asks.wanted(all) >= all).then_some(all)
        };
        let later = Some(self.replicas)
            .filter(|_| budget.selects_candidate(self.ask))
            .and_then(lets_none);
        let now = Some(self.stable).filter(|_| of_stable > 0);
        const FIX: &str = "ask for less than all of them, for example `maxUnavailable: 1`";
        match (now.and_then(lets_none), later) {
            (Some(all), _) => Some(format!(
                "{budget} lets none of {all} pods go: draining a node that holds one of them never ends; {FIX}"
            )),
            (None, Some(all)) => Some(format!(
                "{budget} lets none of {all} pods go once the candidate serves: draining a node that holds one of them will never end; {FIX}"
            )),
            (None, None) if of_stable > 0 && budget.allowed == Some(0) => Some(format!(
                "{budget} lets no pod go at present, because no more of them are ready than it asks for: a drain waits until more are; \
                 look at the pods that are not ready"
            )),
            (None, None) => None,
        }
    }

    /// Two over the same pods: the API server evicts no pod that two select.
    fn twice(&self) -> Option<String> {
        let over = |which: &dyn Fn(&Budget) -> bool| {
            let names: Vec<String> = self
                .snapshot
                .budgets
                .iter()
                .filter(|budget| which(budget))
                .map(|budget| format!("{}/{}", budget.namespace, budget.name))
                .collect();
            (names.len() > 1).then(|| names.join(" and "))
        };
        let stable = over(&|budget| budget.selected(self.snapshot, self.ask).0 > 0);
        let names = stable.or_else(|| over(&|budget| budget.selects_candidate(self.ask)))?;
        Some(format!(
            "PodDisruptionBudgets {names} select the same pods: the API server evicts no pod that two of them select, so that draining a \
             node fails; keep one of them"
        ))
    }
}

/// The labels that keep a selector off pods: `track=old and tier`.
fn lacking(selector: Option<&Selector>, labels: &Labels) -> String {
    let Some(selector) = selector else {
        return "all labels, because it selects nothing".to_owned();
    };
    let failed = selector
        .0
        .iter()
        .filter(|wanted| !wanted.accepts(labels.get(&wanted.key).map(String::as_str)));
    let words = failed.map(|wanted| match &wanted.test {
        Test::In(values) => format!("{}={}", wanted.key, values.join("|")),
        Test::NotIn(values) => format!("{} other than {}", wanted.key, values.join("|")),
        Test::DoesNotExist => format!("the absence of {}", wanted.key),
        Test::Exists | Test::Above(_) | Test::Below(_) => wanted.key.clone(),
    });
    words.collect::<Vec<_>>().join(" and ")
}
