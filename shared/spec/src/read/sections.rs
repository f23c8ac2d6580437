//! Sections other than pipelines and services.

use weir_domain::condition::{Condition, Dimension};
use weir_domain::ids::{GroupName, PersonName};
use weir_domain::people::{Group, Person};
use weir_domain::pipeline::Provider;
use weir_domain::time::Span;

use super::pipeline::needs;
use super::{count, env, mode, plain, span, text};
use crate::condition::{self, Metrics};
use crate::definition::{
    ApprovalDef, AutomaticRollback, BuildsDef, ClusterAccess, ClusterDef, EnvironmentDef, IsolationDef,
    Policy,
};
use crate::source::{Located, Place};
use crate::yaml::{Entry, Kind, Node};

pub(crate) fn environments(node: &Node) -> Vec<EnvironmentDef> {
    node.items().iter().filter_map(|item| environment(item)).collect()
}

fn environment(node: &Node) -> Option<EnvironmentDef> {
    let spec = node.get("spec")?;
    let provider = match plain(node, "provider").as_deref() {
        Some("AWS-EKS") => Provider::AwsEks,
        Some("GCP-GKE") => Provider::GcpGke,
        Some("AWS-ECS") => Provider::AwsEcs,
        Some("Azure-AKS") => Provider::AzureAks,
        _ => Provider::Kubernetes,
    };
    Some(EnvironmentDef {
        name: text(node, "name")?,
        provider,
        cluster: text(spec, "cluster")?,
        namespace: text(spec, "namespace"),
        variables: env(spec, "variables"),
        route: plain(spec, "route"),
        gateway: plain(spec, "gateway"),
        by_replicas: text(spec, "traffic")
            .filter(|written| written.value == "replicas")
            .map(|written| written.place),
        adopt: adopt(spec),
        watch: span(spec, "watch"),
        production: node.get("production").and_then(Node::bool),
    })
}

/// Services that something serves already.
fn adopt(spec: &Node) -> Vec<(Located<String>, String)> {
    let entries = spec.get("adopt").map(Node::entries).unwrap_or_default();
    let one = |entry: &Entry| {
        let service = Located::new(entry.key.clone(), entry.key_place.clone());
        Some((service, entry.value.text()?.to_owned()))
    };
    entries.iter().filter_map(one).collect()
}

/// Groups as a list, or as a mapping of names to members.
pub(crate) fn groups(node: &Node) -> Vec<(Group, Place)> {
    let pairs: Vec<(Option<Located<String>>, Option<&Node>)> = match &node.kind {
        Kind::Map(entries) => entries
            .iter()
            .map(|entry| {
                (
                    Some(Located::new(entry.key.clone(), entry.key_place.clone())),
                    Some(&*entry.value),
                )
            })
            .collect(),
        _ => node
            .items()
            .iter()
            .map(|item| (text(item, "name"), item.get("members")))
            .collect(),
    };
    pairs
        .into_iter()
        .filter_map(|(name, members)| {
            let name = name?;
            let members = members.map(Node::items).unwrap_or_default();
            let members = members.iter().filter_map(|item| person(item)).collect();
            Some((
                Group {
                    name: GroupName::new(name.value),
                    members,
                },
                name.place,
            ))
        })
        .collect()
}

fn person(node: &Node) -> Option<Person> {
    Some(Person {
        name: PersonName::new(plain(node, "name")?),
        slack: plain(node, "slack"),
        github: plain(node, "github"),
        uid: count(node, "uid"),
    })
}

pub(crate) fn policy(node: &Node) -> Policy {
    let approvals = node.get("approvals").map(Node::entries).unwrap_or_default();
    Policy {
        approvals: approvals.iter().map(approval).collect(),
        pusher_may_approve: node
            .get("pusher_may_approve")
            .and_then(Node::bool)
            .unwrap_or(false),
    }
}

fn approval(entry: &Entry) -> ApprovalDef {
    ApprovalDef {
        environment: Located::new(entry.key.clone(), entry.key_place.clone()),
        needs: needs(&entry.value, "needs"),
        timeout: span(&entry.value, "timeout"),
        pusher_may_approve: entry.value.get("pusher_may_approve").and_then(Node::bool),
    }
}

/// Names of a `metrics` section and what they count.
pub(crate) fn metrics(node: &Node) -> Vec<(String, Dimension, Place)> {
    let unit = |body: &Node| match plain(body, "unit").as_deref() {
        Some("ratio") => Dimension::Ratio,
        Some("seconds") => Dimension::Seconds,
        Some("bytes") => Dimension::Bytes,
        Some("tokens/s") => Dimension::TokensPerSecond,
        _ => Dimension::Number,
    };
    match &node.kind {
        Kind::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), unit(&entry.value), entry.key_place.clone()))
            .collect(),
        _ => node
            .items()
            .iter()
            .filter_map(|item| Some((plain(item, "name")?, unit(item), item.place.clone())))
            .collect(),
    }
}

pub(crate) fn clusters(node: &Node) -> Vec<ClusterDef> {
    let one = |item: &Node| {
        Some(ClusterDef {
            name: text(item, "name")?,
            access: access(item),
        })
    };
    node.items().iter().filter_map(|item| one(item)).collect()
}

fn access(item: &Node) -> ClusterAccess {
    let word = |node: &Node, key| plain(node, key).unwrap_or_default();
    if let Some(eks) = item.get("eks") {
        return ClusterAccess::Eks {
            region: word(eks, "region"),
            name: word(eks, "name"),
        };
    }
    match item.get("gke") {
        Some(gke) => ClusterAccess::Gke {
            project: word(gke, "project"),
            location: word(gke, "location"),
            name: word(gke, "name"),
        },
        None => ClusterAccess::Host,
    }
}

pub(crate) fn builds(node: &Node) -> BuildsDef {
    BuildsDef {
        cluster: text(node, "cluster"),
        namespace: plain(node, "namespace"),
        fetch_image: plain(node, "fetch_image"),
        builder: plain(node, "builder"),
        registry: plain(node, "registry"),
    }
}

/// Automatic rules. `Err` holds the place of a `duration` that cannot be given to the condition.
pub(crate) fn rollback_policy(node: &Node, metrics: &Metrics) -> Vec<Result<AutomaticRollback, Place>> {
    let items = node.get("automatic").map(Node::items).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| {
            let text = item.get("condition")?;
            let condition = condition::parse(text.text()?, metrics).ok()?;
            let condition = condition.in_mode(mode(item));
            let place = text.place.clone();
            match (item.get("duration"), span(item, "duration")) {
                (Some(at), Some(during)) => Some(match lasting(condition, during) {
                    Some(condition) => Ok(AutomaticRollback { condition, place }),
                    None => Err(at.place.clone()),
                }),
                _ => Some(Ok(AutomaticRollback { condition, place })),
            }
        })
        .collect()
}

/// The condition for a length of time. `a && b` holds throughout when each does; for `a || b` and `!a` that is not
/// the same, and nothing is returned.
fn lasting(condition: Condition, during: Span) -> Option<Condition> {
    match condition {
        Condition::Compare(mut comparison) if comparison.during.is_none() => {
            comparison.during = Some(during);
            Some(Condition::Compare(comparison))
        }
        Condition::And(parts) => {
            let parts: Option<Vec<_>> = parts.into_iter().map(|part| lasting(part, during)).collect();
            parts.map(Condition::And)
        }
        _ => None,
    }
}

pub(crate) fn isolation(entry: &Entry) -> IsolationDef {
    IsolationDef {
        name: Located::new(entry.key.clone(), entry.key_place.clone()),
        replicas: count(&entry.value, "replicas"),
        pull_policy: plain(&entry.value, "image_pull_policy"),
    }
}
