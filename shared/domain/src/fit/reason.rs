//! Why a node takes no replica, or how many it takes.

use std::fmt;

use super::resources::{Amount, CPU, EPHEMERAL, MEMORY, PODS, is_device};
use super::snapshot::{Effect, Taint};

/// What is true of a node once nothing more can be placed. Each node has exactly one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// It takes this many replicas.
    Room(u32),
    /// Its kubelet does not say that it is ready.
    NotReady,
    /// It is closed to new pods.
    Cordoned,
    /// A taint that the workload does not tolerate.
    Taint(Taint),
    /// A label that `nodeSelector` asks for.
    NodeSelector(String, String),
    /// None of the alternatives of the required node affinity.
    NodeAffinity,
    /// A bound volume cannot be reached from it.
    Volume(String),
    /// Too little of a resource: name, free, of, needed.
    Short {
        /// The resource.
        resource: String,
        /// What is free on the node; the most of any node, where amounts are too many to tell apart.
        free: i64,
        /// What the node offers.
        of: i64,
        /// What one replica needs.
        needed: i64,
    },
    /// Its GPUs have less memory than needed: has, needs, in MiB.
    GpuMemory(u64, u64),
    /// Its GPUs are shared by MPS, which gives a pod one share only.
    OneShareOnly(String),
    /// A port of the node is taken.
    HostPort(u16),
    /// A pod there does not want this one near, or this one does not want it near: the topology key.
    AntiAffinity(String),
    /// No pod that must be near is in its domain, or it has no domain: the topology key.
    Affinity(String),
    /// One more there would be too uneven, or it has no domain: the topology key.
    Spread(String),
    /// It would take replicas, but a quota does not: the quota, its limit, what is left, what a replica needs.
    Quota {
        /// Name of the quota.
        quota: String,
        /// Its limit's name.
        limit: String,
        /// What is left.
        left: i64,
        /// What one replica needs.
        needed: i64,
    },
    /// It would take replicas, but something keeps the workload from being scheduled at all.
    Blocked(String),
}

impl Reason {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Room(_) => "room",
            Self::NotReady => "not_ready",
            Self::Cordoned => "cordoned",
            Self::Taint(_) => "taint",
            Self::NodeSelector(..) => "node_selector",
            Self::NodeAffinity => "node_affinity",
            Self::Volume(_) => "volume",
            Self::Short { resource, .. } => short_code(resource),
            Self::GpuMemory(..) => "gpu_memory",
            Self::OneShareOnly(_) => "one_share_only",
            Self::HostPort(_) => "host_port",
            Self::AntiAffinity(_) => "anti_affinity",
            Self::Affinity(_) => "affinity",
            Self::Spread(_) => "spread",
            Self::Quota { .. } => "quota",
            Self::Blocked(_) => "blocked",
        }
    }

    /// Two nodes with the same reason are told together. Amounts of CPU, memory and disk differ from node to node;
    /// counts of GPUs do not.
    pub(crate) fn told_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Short { resource: a, .. }, Self::Short { resource: b, .. }) if !is_device(a) => a == b,
            _ => self == other,
        }
    }

    /// The fuller of two reasons that are told together.
    pub(crate) fn merge(&mut self, other: &Self) {
        if let (
            Self::Short { free, of, .. },
            Self::Short {
                free: more, of: its, ..
            },
        ) = (self, other)
            && *more > *free
        {
            (*free, *of) = (*more, *its);
        }
    }
}

fn short_code(resource: &str) -> &'static str {
    match resource {
        CPU => "cpu",
        MEMORY => "memory",
        EPHEMERAL => "ephemeral_storage",
        PODS => "pods",
        name if is_device(name) => "gpu",
        _ => "resource",
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Room(1) => write!(f, "room for 1 replica"),
            Self::Room(count) => write!(f, "room for {count} replicas"),
            Self::NotReady => write!(f, "not ready"),
            Self::Cordoned => write!(f, "cordoned"),
            Self::Taint(taint) => write!(f, "taint {} not tolerated", Shown(taint)),
            Self::NodeSelector(key, value) => write!(f, "node selector {key}={value} not matched"),
            Self::NodeAffinity => write!(f, "required node affinity not matched"),
            Self::Volume(claim) => write!(f, "volume of claim {claim} cannot be reached"),
            Self::Short { resource, of: 0, .. } if is_device(resource) => write!(f, "no {resource}"),
            Self::Short { resource, .. } if resource == PODS => write!(f, "as many pods as it may have"),
            Self::Short {
                resource,
                free,
                of,
                needed,
            } => {
                let free = Amount(resource, (*free).max(0));
                let (of, needed) = (Amount(resource, *of), Amount(resource, *needed));
                let most = if is_device(resource) { "" } else { "at most " };
                write!(f, "{most}{free} of {of} {resource} free, {needed} needed")
            }
            Self::GpuMemory(has, needs) => write!(f, "GPUs have {has} MiB, {needs} MiB needed"),
            Self::OneShareOnly(name) => write!(f, "{name} is shared by MPS, which gives a pod one share"),
            Self::HostPort(port) => write!(f, "host port {port} taken"),
            Self::AntiAffinity(key) => write!(f, "anti-affinity by {key}"),
            Self::Affinity(key) => write!(f, "no pod that must be near, by {key}"),
            Self::Spread(key) => write!(f, "too uneven by {key}"),
            Self::Quota {
                quota,
                limit,
                left,
                needed,
            } => {
                let unit = limit
                    .trim_start_matches("requests.")
                    .trim_start_matches("limits.");
                let (left, needed) = (Amount(unit, (*left).max(0)), Amount(unit, *needed));
                write!(f, "quota {quota} leaves {left} of {limit}, {needed} needed")
            }
            Self::Blocked(why) => write!(f, "{why}"),
        }
    }
}

/// A taint in the short form, the effect only where it is the rarer one.
struct Shown<'a>(&'a Taint);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.key)?;
        if !self.0.value.is_empty() {
            write!(f, "={}", self.0.value)?;
        }
        match self.0.effect {
            Effect::NoExecute => f.write_str(":NoExecute"),
            Effect::NoSchedule | Effect::PreferNoSchedule => Ok(()),
        }
    }
}
