//! How many replicas the quotas of a namespace still allow.

use super::ask::Ask;
use super::reason::Reason;
use super::snapshot::{QuotaScope, Snapshot};

/// What quotas, and whatever else keeps a workload away from every node, leave.
pub(crate) struct Allowed {
    /// Replicas.
    pub(crate) replicas: u64,
    /// What limits them.
    pub(crate) reason: Option<Reason>,
}

impl Allowed {
    pub(crate) fn cap(&self, replicas: u64) -> u64 {
        replicas.min(self.replicas)
    }
}

/// The tightest limit.
pub(crate) fn allowed(snapshot: &Snapshot, ask: &Ask) -> Allowed {
    if let Some(why) = ask.blocked.first() {
        return Allowed {
            replicas: 0,
            reason: Some(Reason::Blocked(why.clone())),
        };
    }
    let mut allowed = Allowed {
        replicas: u64::MAX,
        reason: None,
    };
    let quotas = snapshot
        .quotas
        .iter()
        .filter(|quota| quota.namespace == ask.namespace);
    for quota in quotas.filter(|quota| counts(&quota.scope, ask)) {
        for (limit, (hard, used)) in &quota.limits {
            let Some(needed) = needed(limit, ask).filter(|needed| *needed > 0) else {
                continue;
            };
            let left = hard.saturating_sub(*used);
            let replicas = u64::try_from(left / needed).unwrap_or(0);
            if replicas < allowed.replicas {
                let (quota, limit) = (quota.name.clone(), limit.clone());
                allowed = Allowed {
                    replicas,
                    reason: Some(Reason::Quota {
                        quota,
                        limit,
                        left,
                        needed,
                    }),
                };
            }
        }
    }
    allowed
}

/// What one replica counts as under a limit; nothing for a limit on other objects.
fn needed(limit: &str, ask: &Ask) -> Option<i64> {
    match limit {
        "pods" | "count/pods" => Some(1),
        "cpu" | "memory" | "ephemeral-storage" => Some(ask.requests.get(limit)),
        _ => limit
            .strip_prefix("requests.")
            .map(|name| ask.requests.get(name))
            .or_else(|| limit.strip_prefix("limits.").map(|name| ask.limits.get(name))),
    }
}

fn counts(scope: &QuotaScope, ask: &Ask) -> bool {
    let other = |term: &super::selector::PodTerm| {
        term.namespace_selector.is_some() || term.namespaces.iter().any(|name| *name != ask.namespace)
    };
    let best_effort = |name: &str| ask.requests.get(name) == 0 && ask.limits.get(name) == 0;
    scope.deadline.is_none_or(|wanted| wanted == ask.deadline)
        && scope
            .best_effort
            .is_none_or(|wanted| wanted == (best_effort("cpu") && best_effort("memory")))
        && (!scope.cross_namespace || ask.affinity.iter().chain(&ask.anti_affinity).any(other))
        && scope.priority_class.iter().all(|test| {
            let requirement = super::selector::Requirement {
                key: String::new(),
                test: test.clone(),
            };
            requirement.accepts(Some(ask.priority_class.as_str()).filter(|class| !class.is_empty()))
        })
}
