//! A revision's pods and what they answered.

use std::collections::BTreeMap;

use weir_domain::ids::Fence;
use weir_domain::seen::{Counts, GpuSigns, Gpus, PodPhase, RevisionSeen};
use weir_domain::time::{Span, Timestamp};

use super::behaviour::Behaviour;
use super::pool::{Pod, node_name};

/// Requests of a thousand that are slow while caches are empty.
const COLD_PER_MILLE: f64 = 500.0;

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
    /// Pods that were ever made.
    made: u64,
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
        self.count(|pod| self.is_loaded(pod, now))
    }

    fn is_loaded(&self, pod: &Pod, now: Timestamp) -> bool {
        pod.stays() && pod.node.is_some() && now >= pod.bound + self.behaviour.load
    }

    /// Gives new pods their names.
    pub(super) fn number_pods(&mut self) {
        for pod in self.pods.iter_mut().filter(|pod| pod.number == 0) {
            self.made += 1;
            pod.number = self.made;
        }
    }

    fn crashed(&self, now: Timestamp) -> bool {
        let after = self.behaviour.crash_after;
        self.first_traffic
            .zip(after)
            .is_some_and(|(first, after)| now >= first + after)
    }

    /// Whether what is wrong with it has not begun yet.
    fn is_healthy(&self, now: Timestamp) -> bool {
        let first = self.first_traffic.unwrap_or(now);
        self.behaviour.healthy_for > Span::ZERO && now <= first + self.behaviour.healthy_for
    }

    /// Requests of a thousand that fail, and that are slow.
    fn harm(&self, now: Timestamp) -> (f64, f64) {
        let good = Behaviour::default();
        let behaves = if self.is_healthy(now) {
            &good
        } else {
            &self.behaviour
        };
        let cold = self.first_traffic.unwrap_or(now) + self.behaviour.cold_for;
        let slow = if now < cold {
            COLD_PER_MILLE
        } else {
            behaves.slow_per_mille
        };
        (behaves.errors_per_mille, slow)
    }

    /// Takes so many thousandths of requests, that came since `from`; of copies nobody gets the answers.
    pub(super) fn take(&mut self, requests: u64, from: Timestamp, now: Timestamp, answers: bool) {
        self.first_traffic.get_or_insert(from);
        let failing = self.replicas() == 0 || self.crashed(now);
        let (errors, slow) = self.harm(now);
        let part = |per_mille: f64| (requests as f64 * per_mille / 1_000.0) as u64;
        self.started += requests;
        self.slow += part(slow);
        let more = self.take_apart(requests, (errors, slow), now);
        let bad = match failing {
            true => requests,
            false => part(errors) + more,
        };
        self.bad += bad;
        self.unfelt += if answers { 0 } else { bad };
    }

    /// Spreads requests over the replicas; those that fail more than an ordinary one would let.
    fn take_apart(&mut self, requests: u64, (errors, slow): (f64, f64), now: Timestamp) -> u64 {
        let loaded: Vec<bool> = self.pods.iter().map(|pod| self.is_loaded(pod, now)).collect();
        let replicas = loaded.iter().filter(|loaded| **loaded).count().max(1) as u64;
        let (each, mut more) = (requests / replicas, 0);
        let healthy = self.is_healthy(now);
        let part = |per_mille: f64| (each as f64 * per_mille / 1_000.0) as u64;
        for (pod, _) in self.pods.iter_mut().zip(loaded).filter(|(_, loaded)| *loaded) {
            let sick = !healthy && self.behaviour.sick.contains(&pod.number);
            let bad = part(if sick {
                self.behaviour.sick_per_mille
            } else {
                errors
            });
            more += bad.saturating_sub(part(errors));
            for (sum, part) in pod.answered.iter_mut().zip([each, bad, part(slow)]) {
                *sum += part;
            }
        }
        more
    }

    /// What it answered badly so far is forgotten.
    pub(super) fn begin(&mut self) {
        self.unfelt = self.bad;
    }

    /// Bad answers that reached somebody.
    pub(super) fn felt(&self) -> u64 {
        self.bad - self.unfelt
    }

    pub(super) fn counts(&self) -> Counts {
        counts([self.started, self.bad, self.slow])
    }

    /// What each pod that stays answered, and the node it has.
    pub(super) fn apart(&self) -> BTreeMap<String, (String, Counts)> {
        let staying = self.pods.iter().filter(|pod| pod.stays());
        let node = |pod: &Pod| pod.node.map_or(String::new(), node_name);
        staying
            .map(|pod| (pod.name(), (node(pod), counts(pod.answered))))
            .collect()
    }

    /// What the GPUs of the pods that stay say; nothing where nobody asks them.
    pub(super) fn gpus(&self) -> Option<BTreeMap<String, Gpus>> {
        let xids = &self.behaviour.xids;
        let said = |pod: &Pod| {
            let xid = xids.get(&pod.number).filter(|_| pod.answered[0] > 0);
            let signs = GpuSigns {
                xid: xid.copied().unwrap_or(0),
                ..GpuSigns::default()
            };
            (pod.name(), Gpus::from([("GPU-0".to_owned(), signs)]))
        };
        let staying = self.pods.iter().filter(|pod| pod.stays());
        (!xids.is_empty()).then(|| staying.map(said).collect())
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

/// Of requests, bad and slow ones in thousandths.
fn counts([started, bad, slow]: [u64; 3]) -> Counts {
    let (requests, slow) = (started / 1_000, slow / 1_000);
    let within_ms = [(1_000, requests - slow), (10_000, requests)].into();
    Counts {
        started: requests,
        requests,
        bad: bad / 1_000,
        within_ms,
        timed: requests,
        ..Counts::default()
    }
}
