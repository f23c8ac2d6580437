//! The world file.

use std::collections::BTreeMap;

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
    /// Variants of an experiment, by version: the first behaves as stable and the others as the candidate where it is not
    /// said here.
    pub variants: BTreeMap<String, VariantWorld>,
    /// What servers of metrics say, by metric.
    pub metrics: BTreeMap<String, MetricWorld>,
    /// Where they run.
    pub pool: Pool,
    /// Seconds after which people approve what they are asked; without it nobody answers.
    pub approve_after_s: Option<u64>,
    /// The simulation ends after this time at the latest; seven days without it.
    pub run_for_s: Option<u64>,
}

/// Requests per second to the service, from moments after the push on.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(try_from = "TrafficFile")]
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
        repeat_s: Option<u64>,
    },
}

/// The keys of either.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrafficFile {
    rps: Option<f64>,
    steps: Option<Vec<(u64, f64)>>,
    repeat_s: Option<u64>,
}

impl TryFrom<TrafficFile> for TrafficWorld {
    type Error = &'static str;

    fn try_from(file: TrafficFile) -> Result<Self, &'static str> {
        match (file.rps, file.steps, file.repeat_s) {
            (Some(rps), None, None) => Ok(Self::Constant { rps }),
            (None, Some(steps), repeat_s) => Ok(Self::Steps { steps, repeat_s }),
            _ => Err("expected either `rps`, or `steps` with or without `repeat_s`"),
        }
    }
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

/// Pods of a variant, which are somebody else's.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VariantWorld {
    /// How many, of one GPU each.
    pub replicas: u32,
    /// How they behave.
    pub behaves: Option<RevisionWorld>,
}

impl Default for VariantWorld {
    fn default() -> Self {
        Self {
            replicas: 4,
            behaves: None,
        }
    }
}

/// What a server of metrics says about one.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricWorld {
    /// Around this number.
    pub mean: f64,
    /// At most so far away from it, where a step collects it.
    #[serde(default)]
    pub spread: f64,
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

/// More GPUs, or pods of a variant, than this on one cluster is a slip of the finger.
const GPUS_LIMIT: usize = 100_000;
/// No time in a world is longer, in seconds: a definition asks for no more than this year either.
const TIME_LIMIT: u64 = 366 * 86_400;
/// Dollars for a GPU for an hour at most.
const PRICE_LIMIT: f64 = 1e6;
/// Requests per second at most.
const RATE_LIMIT: f64 = 1e7;
/// A metric is at most so far from 0.
const METRIC_LIMIT: f64 = 1e15;

impl Pool {
    fn fault(self) -> Option<String> {
        let gpus = GPUS_LIMIT as f64;
        within("pool.gpus", self.gpus as f64, 0.0, gpus)
            .or_else(|| within("pool.gpus_per_node", self.gpus_per_node as f64, 1.0, gpus))
            .or_else(|| within("pool.usd_per_gpu_hour", self.usd_per_gpu_hour, 0.0, PRICE_LIMIT))
    }

    /// GPUs of each node.
    pub(crate) fn nodes(self) -> Vec<usize> {
        let per_node = self.gpus_per_node.max(1);
        let before = (0..self.gpus).step_by(per_node);
        before.map(|n| per_node.min(self.gpus - n)).collect()
    }
}

/// What is wrong with a number that must lie between two others, if anything.
fn within(name: &str, found: f64, least: f64, most: f64) -> Option<String> {
    let fits = (least..=most).contains(&found);
    (!fits).then(|| format!("{name} is {found}: expected {least} to {most}"))
}

/// What is wrong with a time in seconds, if anything.
fn time(name: &str, found: f64) -> Option<String> {
    let fits = (0.0..=TIME_LIMIT as f64).contains(&found);
    (!fits).then(|| format!("{name} is {found}: expected 0 to {TIME_LIMIT} seconds, which are 366 days"))
}

impl TrafficWorld {
    fn fault(&self) -> Option<String> {
        let (steps, repeat_s) = match self {
            Self::Constant { rps } => return within("traffic.rps", *rps, 0.0, RATE_LIMIT),
            Self::Steps { steps, repeat_s } => (steps, repeat_s),
        };
        if steps.is_empty() {
            return Some("traffic.steps is empty: expected [[0, RPS], …]".into());
        }
        if !steps.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Some("traffic.steps are out of order: expected each later than the one before".into());
        }
        let mut all = steps.iter().enumerate();
        all.find_map(|(n, (at, rps))| {
            time(&format!("traffic.steps[{n}]"), *at as f64)
                .or_else(|| within(&format!("traffic.steps[{n}]"), *rps, 0.0, RATE_LIMIT))
        })
        .or_else(|| {
            repeat_s.and_then(|repeat| within("traffic.repeat_s", repeat as f64, 1.0, TIME_LIMIT as f64))
        })
    }
}

impl RevisionWorld {
    fn fault(&self, name: &str) -> Option<String> {
        let share = |key: &str, share: f64| {
            let fits = (0.0..=1.0).contains(&share);
            (!fits).then(|| format!("{name}.{key} is {share}: expected a share, 0 to 1"))
        };
        let time = |key: &str, seconds: f64| time(&format!("{name}.{key}"), seconds);
        share("errors", self.errors)
            .or_else(|| share("slow", self.slow))
            .or_else(|| time("load_s", self.load_s))
            .or_else(|| time("healthy_s", self.healthy_s))
            .or_else(|| self.crash_after_s.and_then(|after| time("crash_after_s", after)))
    }
}

impl VariantWorld {
    fn fault(&self, version: &str) -> Option<String> {
        let name = format!("variants.{version}");
        let behaves = self.behaves.as_ref();
        within(
            &format!("{name}.replicas"),
            f64::from(self.replicas),
            0.0,
            GPUS_LIMIT as f64,
        )
        .or_else(|| behaves.and_then(|behaves| behaves.fault(&format!("{name}.behaves"))))
    }
}

impl MetricWorld {
    fn fault(self, metric: &str) -> Option<String> {
        let name = format!("metrics.{metric}");
        within(&format!("{name}.mean"), self.mean, -METRIC_LIMIT, METRIC_LIMIT)
            .or_else(|| within(&format!("{name}.spread"), self.spread, 0.0, METRIC_LIMIT))
    }
}

impl WorldFile {
    /// What is wrong with it, if anything: where, and what was expected.
    pub fn fault(&self) -> Option<String> {
        let times = [
            ("approve_after_s", self.approve_after_s),
            ("run_for_s", self.run_for_s),
        ];
        self.stable
            .fault("stable")
            .or_else(|| self.candidate.fault("candidate"))
            .or_else(|| {
                self.variants
                    .iter()
                    .find_map(|(version, variant)| variant.fault(version))
            })
            .or_else(|| self.metrics.iter().find_map(|(name, metric)| metric.fault(name)))
            .or_else(|| self.traffic.fault())
            .or_else(|| self.pool.fault())
            .or_else(|| {
                times
                    .into_iter()
                    .find_map(|(name, found)| time(name, found? as f64))
            })
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
