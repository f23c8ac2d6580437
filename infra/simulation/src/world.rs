//! The world file.

use serde::Deserialize;
use weir_domain::time::Span;

use crate::cluster::{Behaviour, Rates};

/// What the world does while a rollout goes on. Every key has a default that makes an ordinary day.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorldFile {
    /// Requests.
    pub traffic: TrafficWorld,
    /// The revision that serves.
    pub stable: RevisionWorld,
    /// The revision that comes.
    pub candidate: RevisionWorld,
    /// Where they run.
    pub pool: Pool,
    /// Seconds after which people approve what they are asked; without it nobody answers.
    pub approve_after_s: Option<u64>,
    /// The simulation ends after this time at the latest; seven days without it.
    pub run_for_s: Option<u64>,
}

/// Requests per second to the service, from moments after the push on.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, untagged)]
pub enum TrafficWorld {
    /// As many all the time.
    Constant {
        /// Requests per second.
        rps: f64,
    },
    /// Steps: `[[0, 50], [3600, 5]]`.
    Steps {
        /// Seconds after the push, and requests per second from then on.
        steps: Vec<(u64, f64)>,
        /// The steps begin again after this time: a day has 86400.
        #[serde(default)]
        repeat_s: Option<u64>,
    },
}

impl Default for TrafficWorld {
    fn default() -> Self {
        Self::Constant { rps: 60.0 }
    }
}

/// How a revision behaves.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RevisionWorld {
    /// Seconds from creation to Ready.
    pub load_s: f64,
    /// Share of requests that fail.
    pub errors: f64,
    /// Share of requests that take longer than a second.
    pub slow: f64,
    /// Seconds of traffic before those begin; until then it behaves as the default does.
    pub healthy_s: f64,
    /// Every pod crashes after so many seconds of traffic.
    pub crash_after_s: Option<f64>,
}

impl Default for RevisionWorld {
    fn default() -> Self {
        Self {
            load_s: 60.0,
            errors: 0.004,
            slow: 0.002,
            healthy_s: 0.0,
            crash_after_s: None,
        }
    }
}

/// GPUs and their price.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pool {
    /// GPUs that there are for the service; a pod waits while they are taken.
    pub gpus: usize,
    /// GPUs of a node; the last node has what is left.
    pub gpus_per_node: usize,
    /// Dollars for one of them for an hour.
    pub usd_per_gpu_hour: f64,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            gpus: 1_000,
            gpus_per_node: 8,
            usd_per_gpu_hour: 0.0,
        }
    }
}

/// More GPUs than this on one cluster is a slip of the finger.
const GPUS_LIMIT: usize = 100_000;

impl Pool {
    fn fault(self) -> Option<String> {
        if self.gpus > GPUS_LIMIT {
            return Some(format!(
                "pool.gpus is {}: expected at most {GPUS_LIMIT}",
                self.gpus
            ));
        }
        (self.gpus_per_node == 0).then(|| "pool.gpus_per_node is 0: expected 1 or more".to_owned())
    }

    /// GPUs of each node.
    pub(crate) fn nodes(self) -> Vec<usize> {
        let per_node = self.gpus_per_node.max(1);
        let before = (0..self.gpus).step_by(per_node);
        before.map(|n| per_node.min(self.gpus - n)).collect()
    }
}

impl WorldFile {
    /// What is wrong with it, if anything: where, and what was expected.
    pub fn fault(&self) -> Option<String> {
        let shares = [
            ("stable.errors", self.stable.errors),
            ("stable.slow", self.stable.slow),
            ("candidate.errors", self.candidate.errors),
            ("candidate.slow", self.candidate.slow),
        ];
        let wrong = shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share));
        if let Some((name, share)) = wrong {
            return Some(format!("{name} is {share}: expected a share, 0 to 1"));
        }
        let rates = match &self.traffic {
            TrafficWorld::Constant { rps } => vec![*rps],
            TrafficWorld::Steps { steps, .. } if steps.is_empty() => {
                return Some("traffic.steps is empty: expected [[0, RPS], …]".into());
            }
            TrafficWorld::Steps { steps, .. } => steps.iter().map(|(_, rps)| *rps).collect(),
        };
        let wrong = rates.into_iter().find(|rps| !(0.0..=1e7).contains(rps));
        wrong
            .map(|rps| format!("{rps} requests per second: expected 0 to 10 million"))
            .or_else(|| self.pool.fault())
    }

    pub(crate) fn rates(&self) -> Rates {
        match &self.traffic {
            TrafficWorld::Constant { rps } => Rates::constant(*rps),
            TrafficWorld::Steps { steps, repeat_s } => Rates {
                steps: steps.iter().map(|(at, rps)| (Span::seconds(*at), *rps)).collect(),
                repeat: repeat_s.map(Span::seconds),
            },
        }
    }
}

impl RevisionWorld {
    pub(crate) fn behaviour(&self) -> Behaviour {
        let span = |seconds: f64| Span::millis((seconds * 1_000.0) as u64);
        Behaviour {
            load: span(self.load_s),
            errors_per_mille: self.errors * 1_000.0,
            slow_per_mille: self.slow * 1_000.0,
            healthy_for: span(self.healthy_s),
            crash_after: self.crash_after_s.map(span),
            ..Behaviour::default()
        }
    }
}
