//! How many replicas the quotas of a namespace still allow.

use super::ask::Ask;
use super::reason::Reason;
use super::snapshot::{Quota, QuotaScope, Snapshot};

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

/// The tightest limit, when the pods in `without` have given back what they use.
pub(crate) fn allowed(snapshot: &Snapshot, ask: &Ask, without: &[usize]) -> Allowed {
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
            let left = hard.saturating_sub(*used) + given_back(snapshot, quota, limit, without);
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

/// What pods of the quota's namespace would give back of a limit on requests. Limits on limits are left as they are:
/// the snapshot does not know a pod's limits.
fn given_back(snapshot: &Snapshot, quota: &Quota, limit: &str, without: &[usize]) -> i64 {
    let of = |pod: &usize| {
        let pod = &snapshot.pods[*pod];
        match limit {
            _ if pod.namespace != quota.namespace => 0,
            "pods" | "count/pods" => 1,
            _ if limit.starts_with("limits.") => 0,
            _ => pod.requests.get(limit.trim_start_matches("requests.")),
        }
    };
    without.iter().map(of).sum()
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
