//! What is kept from one count to the next: the counts so far, and where every counter stood.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_app::{Placed, PodRef};
use weir_domain::ids::RevisionId;
use weir_domain::seen::{Counts, Routed};

/// Version of the stored form. Another one is not read: counting starts again.
const VERSION: u32 = 1;
/// Counts after which a pod that neither the cluster nor a gateway shows any more is forgotten. Until then its
/// address still says whose the last failures were that a gateway counted.
const FORGET_AFTER: u8 = 3;

/// Stored with one letter a field: it is written with every decision.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Tally {
    #[serde(rename = "v")]
    version: u32,
    #[serde(rename = "s")]
    pub(crate) source: Source,
    #[serde(rename = "a")]
    pub(crate) arms: BTreeMap<RevisionId, Arm>,
    /// By namespace and name.
    #[serde(rename = "g")]
    pub(crate) gateways: BTreeMap<String, Gateway>,
    /// The histograms that the pods have; nearly always one.
    #[serde(rename = "l")]
    pub(crate) layouts: Vec<Layout>,
    /// The pods that are told apart.
    #[serde(skip)]
    pub(crate) apart: BTreeMap<RevisionId, BTreeSet<String>>,
}

/// Who counts the requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Source {
    /// The pods themselves, as long as no gateway has shown a counter of theirs.
    #[serde(rename = "p")]
    Pods,
    /// The gateway, from the first time on that it did: the two must not be mixed.
    #[serde(rename = "g")]
    Gateway,
}

/// What the next reading of a source means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// It appeared after the rollout began: all it has counted belongs to the rollout.
    #[serde(rename = "n")]
    New,
    /// It was there before, or could have been read and was not: the reading is its zero line.
    #[serde(rename = "z")]
    ZeroLine,
    /// It was read before: the difference counts.
    #[serde(rename = "r")]
    Read,
}

/// One revision.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Arm {
    #[serde(rename = "c")]
    pub(crate) counts: Counts,
    #[serde(rename = "p")]
    pub(crate) pods: BTreeMap<String, Pod>,
}

/// One pod, and where its counters stood.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Pod {
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub(crate) ip: Option<String>,
    #[serde(rename = "s")]
    pub(crate) standing: Standing,
    /// For how many counts nobody has shown it.
    #[serde(rename = "w", default, skip_serializing_if = "is_zero")]
    pub(crate) away: u8,
    /// Requests and bad ones of its own count.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub(crate) answers: Option<[u64; 2]>,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub(crate) cut: Option<u64>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<Stood>,
    /// By gateway and rule, as `0/2`: total, success, error.
    #[serde(rename = "e", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) endpoints: BTreeMap<String, [u64; 3]>,
    /// Its part of the revision's counts, where pods are told apart.
    #[serde(rename = "n", default, skip_serializing_if = "is_nothing")]
    pub(crate) counts: Counts,
}

/// Where a histogram stood: its layout and, bucket by bucket, what lay between two edges; last, above all of them.
/// Differences are shorter to write than running sums.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Stood(pub(crate) usize, pub(crate) Vec<u64>);

/// Series and edges of a histogram.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Layout {
    #[serde(rename = "f")]
    pub(crate) family: String,
    #[serde(rename = "e")]
    pub(crate) edges_ms: Vec<u64>,
}

/// One pod of the gateway.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Gateway {
    /// Short for its name in the keys of endpoints.
    #[serde(rename = "n")]
    pub(crate) number: u32,
    #[serde(rename = "s")]
    pub(crate) standing: Standing,
    #[serde(rename = "w", default, skip_serializing_if = "is_zero")]
    away: u8,
}

fn is_nothing(counts: &Counts) -> bool {
    *counts == Counts::default()
}

fn is_zero(n: &u8) -> bool {
    *n == 0
}

/// Revision and name of the pod that has an address.
pub(crate) type Owners = BTreeMap<String, (RevisionId, String)>;

/// The key of a gateway's pod.
pub(crate) fn gateway_key(pod: &PodRef) -> String {
    format!("{}/{}", pod.namespace, pod.name)
}

impl Tally {
    /// What was stored, with what is placed now written in. Whatever is seen at the first count was there before the
    /// rollout; what appears later is new.
    pub(crate) fn resume(before: Option<&Value>, placed: &Placed) -> Self {
        let stored = before.and_then(|value| match Self::deserialize(value) {
            Ok(tally) if tally.version == VERSION => Some(tally),
            Ok(tally) => {
                tracing::warn!(
                    found = tally.version,
                    expected = VERSION,
                    "counting starts again: other version"
                );
                None
            }
            Err(error) => {
                tracing::warn!(%error, "counting starts again: the stored counters cannot be read");
                None
            }
        });
        let standing = if stored.is_some() {
            Standing::New
        } else {
            Standing::ZeroLine
        };
        let mut tally = stored.unwrap_or_else(Self::empty);
        tally.meet(placed, standing);
        tally
    }

    fn empty() -> Self {
        Self {
            version: VERSION,
            source: Source::Pods,
            arms: BTreeMap::new(),
            gateways: BTreeMap::new(),
            layouts: Vec::new(),
            apart: BTreeMap::new(),
        }
    }

    fn meet(&mut self, placed: &Placed, standing: Standing) {
        let all = self.arms.values_mut().flat_map(|arm| arm.pods.values_mut());
        all.for_each(|pod| pod.away = pod.away.saturating_add(1));
        self.gateways
            .values_mut()
            .for_each(|gateway| gateway.away = gateway.away.saturating_add(1));
        for (revision, pods) in &placed.pods {
            let arm = self.arms.entry(revision.clone()).or_default();
            for pod in pods {
                let known = arm
                    .pods
                    .entry(pod.name.clone())
                    .or_insert_with(|| Pod::new(standing));
                known.away = 0;
                known.ip = pod.ip.clone().or(known.ip.take());
            }
        }
        for pod in &placed.gateway {
            let number = self.free_number();
            let new = Gateway {
                number,
                standing,
                away: 0,
            };
            self.gateways.entry(gateway_key(pod)).or_insert(new).away = 0;
        }
    }

    fn free_number(&self) -> u32 {
        let taken: BTreeSet<u32> = self.gateways.values().map(|gateway| gateway.number).collect();
        (0..)
            .find(|number| !taken.contains(number))
            .expect("there are fewer pods than numbers")
    }

    /// Revision and pod by address. A pod that is there comes before one that was.
    pub(crate) fn owners(&self) -> Owners {
        let mut owners: BTreeMap<String, (u8, (RevisionId, String))> = BTreeMap::new();
        for (revision, arm) in &self.arms {
            for (name, pod) in &arm.pods {
                let Some(ip) = &pod.ip else { continue };
                if owners.get(ip).is_none_or(|(away, _)| pod.away < *away) {
                    owners.insert(ip.clone(), (pod.away, (revision.clone(), name.clone())));
                }
            }
        }
        owners.into_iter().map(|(ip, (_, owner))| (ip, owner)).collect()
    }

    /// Forgets what is gone for good. What it contributed stays in the counts.
    pub(crate) fn tidy(&mut self) {
        let gone = |gateway: &Gateway| gateway.away > FORGET_AFTER;
        let prefixes: Vec<String> = (self.gateways.values())
            .filter(|gateway| gone(gateway))
            .map(|gateway| format!("{}/", gateway.number))
            .collect();
        self.gateways.retain(|_, gateway| !gone(gateway));
        for arm in self.arms.values_mut() {
            arm.pods.retain(|_, pod| pod.away <= FORGET_AFTER);
            for pod in arm.pods.values_mut() {
                pod.endpoints
                    .retain(|key, _| !prefixes.iter().any(|prefix| key.starts_with(prefix)));
            }
        }
        self.drop_unused_layouts();
    }

    fn drop_unused_layouts(&mut self) {
        let mut layouts = Vec::new();
        let pods = self.arms.values_mut().flat_map(|arm| arm.pods.values_mut());
        for stood in pods.filter_map(|pod| pod.latency.as_mut()) {
            // A stored number without a layout cannot be: the histogram then stands in an empty one.
            let layout = self.layouts.get(stood.0).cloned();
            let layout = layout.unwrap_or(Layout {
                family: String::new(),
                edges_ms: Vec::new(),
            });
            stood.0 = layouts
                .iter()
                .position(|known| *known == layout)
                .unwrap_or_else(|| {
                    layouts.push(layout);
                    layouts.len() - 1
                });
        }
        self.layouts = layouts;
    }

    /// As it is given to the store.
    pub(crate) fn stored(&self) -> Value {
        serde_json::to_value(self).expect("maps have text keys and numbers are whole")
    }

    /// Counts by revision, for a decision.
    pub(crate) fn counts(&self) -> BTreeMap<RevisionId, Counts> {
        self.arms
            .iter()
            .map(|(revision, arm)| {
                let mut counts = arm.view();
                counts.routed = self.routed(arm);
                (revision.clone(), counts)
            })
            .collect()
    }

    /// Tells apart the pods that are read, and all of the candidate.
    pub(crate) fn tell_apart(&mut self, candidate: &RevisionId, read: &[(RevisionId, &PodRef)]) {
        for (revision, pod) in read {
            let told = self.apart.entry(revision.clone()).or_default();
            told.insert(pod.name.clone());
        }
        if let Some(arm) = self.arms.get(candidate) {
            self.apart
                .insert(candidate.clone(), arm.pods.keys().cloned().collect());
        }
    }

    /// Counts of the pods that are told apart, by revision and name.
    pub(crate) fn replicas(&self) -> BTreeMap<RevisionId, BTreeMap<String, Counts>> {
        let counts = |(revision, told): (&RevisionId, &BTreeSet<String>)| {
            let arm = self.arms.get(revision)?;
            let pods = arm.pods.iter().filter(|(name, _)| told.contains(*name));
            let counts = pods.map(|(name, pod)| (name.clone(), whole(&pod.counts)));
            Some((revision.clone(), counts.collect()))
        };
        self.apart.iter().filter_map(counts).collect()
    }

    /// A gateway that has never shown an endpoint of this rollout may send by other addresses: it says nothing.
    fn routed(&self, arm: &Arm) -> Routed {
        if self.source == Source::Pods {
            return Routed::default();
        }
        let read = self
            .gateways
            .values()
            .filter(|gateway| gateway.standing == Standing::Read);
        let holds = |number: u32| {
            let prefix = format!("{number}/");
            arm.pods
                .values()
                .any(|pod| pod.endpoints.keys().any(|key| key.starts_with(&prefix)))
        };
        let held: Vec<bool> = read.map(|gateway| holds(gateway.number)).collect();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Routed {
            by: count(held.iter().filter(|holds| **holds).count()),
            of: count(held.len()),
        }
    }
}

impl Arm {
    fn view(&self) -> Counts {
        whole(&self.counts)
    }
}

/// Gateway and pods are read one after the other, and a page's numbers may be too: no part exceeds its whole.
fn whole(counts: &Counts) -> Counts {
    let mut counts = counts.clone();
    counts.bad = counts.bad.min(counts.requests);
    counts
        .within_ms
        .values_mut()
        .for_each(|within| *within = (*within).min(counts.timed));
    counts
}

impl Pod {
    fn new(standing: Standing) -> Self {
        Self {
            ip: None,
            standing,
            away: 0,
            answers: None,
            cut: None,
            latency: None,
            endpoints: BTreeMap::new(),
            counts: Counts::default(),
        }
    }
}
