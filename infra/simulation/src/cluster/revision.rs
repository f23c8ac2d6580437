//! A revision's pods and what they answered.

use weir_domain::ids::Fence;
use weir_domain::seen::{Counts, PodPhase, RevisionSeen};
use weir_domain::time::{Span, Timestamp};

use super::behaviour::Behaviour;
use super::pool::Pod;

#[derive(Default)]
pub(super) struct Revision {
    pub(super) pods: Vec<Pod>,
    pub(super) fence: Fence,
    pub(super) behaviour: Behaviour,
    pub(super) first_traffic: Option<Timestamp>,
    /// In thousandths, so that shares of requests add up without rounding.
    pub(super) started: u64,
    pub(super) bad: u64,
    slow: u64,
    /// Bad answers to copies, which reached nobody.
    unfelt: u64,
}

impl Revision {
    pub(super) fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            ..Self::default()
        }
    }

    fn count(&self, which: impl Fn(&Pod) -> bool) -> u32 {
        u32::try_from(self.pods.iter().filter(|pod| which(pod)).count()).unwrap_or(u32::MAX)
    }

    pub(super) fn replicas(&self) -> u32 {
        self.count(Pod::stays)
    }

    /// GPUs that its pods hold.
    pub(super) fn held(&self) -> u32 {
        u32::try_from(self.pods.iter().map(Pod::held).sum::<usize>()).unwrap_or(u32::MAX)
    }

    pub(super) fn warm(&self, now: Timestamp) -> u32 {
        if self.crashed(now) {
            return 0;
        }
        self.count(|pod| pod.stays() && pod.node.is_some() && now >= pod.bound + self.behaviour.load)
    }

    fn crashed(&self, now: Timestamp) -> bool {
        let after = self.behaviour.crash_after;
        self.first_traffic
            .zip(after)
            .is_some_and(|(first, after)| now >= first + after)
    }

    /// Requests of a thousand that fail, and that are slow.
    fn harm(&self, now: Timestamp) -> (f64, f64) {
        let first = self.first_traffic.unwrap_or(now);
        let healthy = self.behaviour.healthy_for > Span::ZERO && now <= first + self.behaviour.healthy_for;
        let good = Behaviour::default();
        let behaves = if healthy { &good } else { &self.behaviour };
        (behaves.errors_per_mille, behaves.slow_per_mille)
    }

    /// Takes so many thousandths of requests, that came since `from`; of copies nobody gets the answers.
    pub(super) fn take(&mut self, requests: u64, from: Timestamp, now: Timestamp, answers: bool) {
        self.first_traffic.get_or_insert(from);
        let failing = self.replicas() == 0 || self.crashed(now);
        let (errors, slow) = self.harm(now);
        let part = |per_mille: f64| (requests as f64 * per_mille / 1_000.0) as u64;
        self.started += requests;
        let bad = if failing { requests } else { part(errors) };
        self.bad += bad;
        self.unfelt += if answers { 0 } else { bad };
        self.slow += part(slow);
    }

    /// Bad answers that reached somebody.
    pub(super) fn felt(&self) -> u64 {
        self.bad - self.unfelt
    }

    pub(super) fn counts(&self) -> Counts {
        let (requests, slow) = (self.started / 1_000, self.slow / 1_000);
        let within_ms = [(1_000, requests - slow), (10_000, requests)].into();
        Counts {
            started: requests,
            requests,
            bad: self.bad / 1_000,
            within_ms,
            timed: requests,
            ..Counts::default()
        }
    }

    pub(super) fn seen(&self, now: Timestamp) -> RevisionSeen {
        let (warm, replicas) = (self.warm(now), self.replicas());
        let crashed = self.crashed(now);
        let waiting = self.count(|pod| pod.stays() && pod.node.is_none());
        RevisionSeen {
            desired: replicas,
            pods: replicas,
            warm,
            terminating: self.count(|pod| !pod.stays()),
            gpus: self.held(),
            phase: match (waiting, warm == replicas) {
                (1.., _) => PodPhase::Scheduling,
                (0, true) => PodPhase::Serving,
                (0, false) => PodPhase::Loading,
            },
            words: match waiting {
                0 => format!("{warm} of {replicas} warm"),
                _ => "no node has a GPU free".into(),
            },
            crashes: if crashed { replicas } else { 0 },
            last_crash: crashed.then(|| "pod exited with code 139 (Error)".to_owned()),
            ..RevisionSeen::default()
        }
    }
}
