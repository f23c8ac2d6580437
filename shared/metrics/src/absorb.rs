//! How readings become counts.
//!
//! A counter adds what it grew by; one that fell was restarted and adds what it shows. A sum of counters that can only
//! restart together is one counter. A source that is gone keeps what it contributed.

use std::collections::BTreeMap;

use weir_domain::ids::RevisionId;
use weir_domain::seen::Counts;

use crate::gateway::{Endpoint, Endpoints};
use crate::page::{Latency, Page};
use crate::tally::{Gateway, Layout, Owners, Pod, Source, Standing, Stood, Tally};

impl Tally {
    /// Takes what the gateway's pods showed, by their keys.
    pub(crate) fn absorb_gateways(&mut self, readings: &BTreeMap<String, Endpoints>) {
        let owners = self.owners();
        let knows = |endpoints: &Endpoints| endpoints.keys().any(|(_, ip)| owners.contains_key(ip));
        if self.source == Source::Pods && readings.values().any(knows) {
            self.source = Source::Gateway;
            // The pods have counted some of these requests already.
            if self.arms.values().any(|arm| arm.counts.requests > 0) {
                self.gateways
                    .values_mut()
                    .for_each(|gateway| gateway.standing = Standing::ZeroLine);
            }
        }
        for (key, endpoints) in readings {
            if let Some(gateway) = self.gateways.get_mut(key) {
                let Gateway { number, standing, .. } = *gateway;
                gateway.standing = Standing::Read;
                self.absorb_endpoints(number, standing, endpoints, &owners);
            }
        }
    }

    fn absorb_endpoints(&mut self, gateway: u32, standing: Standing, endpoints: &Endpoints, owners: &Owners) {
        // An endpoint that the gateway does not show any more has lost its counters: should it come back, it begins
        // at zero. So everything is taken out, and what is shown put back.
        let mut stood = self.take_endpoints(gateway);
        for ((rule, ip), endpoint) in endpoints {
            let Some((revision, name)) = owners.get(ip) else {
                continue;
            };
            let Some(arm) = self.arms.get_mut(revision) else {
                continue;
            };
            let Some(pod) = arm.pods.get_mut(name) else {
                continue;
            };
            pod.away = 0;
            let key = format!("{gateway}/{rule}");
            let last = stood.remove(&(ip.clone(), key.clone()));
            pod.endpoints
                .insert(key, [endpoint.total, endpoint.success, endpoint.error]);
            if standing != Standing::ZeroLine {
                let grown = endpoint_growth(last, *endpoint);
                if self.apart.get(revision).is_some_and(|told| told.contains(name)) {
                    add(&mut pod.counts, grown.clone());
                }
                add(&mut arm.counts, grown);
            }
        }
    }

    /// Where a gateway's endpoints stood, by address: it may have gone from one pod to the next before the gateway
    /// took notice.
    fn take_endpoints(&mut self, gateway: u32) -> BTreeMap<(String, String), [u64; 3]> {
        let prefix = format!("{gateway}/");
        let mut taken = BTreeMap::new();
        for pod in self.arms.values_mut().flat_map(|arm| arm.pods.values_mut()) {
            let Some(ip) = pod.ip.clone() else { continue };
            pod.endpoints.retain(|key, stood| {
                let stays = !key.starts_with(&prefix);
                if !stays {
                    taken.insert((ip.clone(), key.clone()), *stood);
                }
                stays
            });
        }
        taken
    }

    /// The histogram that is read of a pod.
    pub(crate) fn family(&self, revision: &RevisionId, name: &str) -> Option<&str> {
        let stood = self.arms.get(revision)?.pods.get(name)?.latency.as_ref()?;
        self.layouts.get(stood.0).map(|layout| layout.family.as_str())
    }

    /// Takes what a pod's own page showed.
    pub(crate) fn absorb_page(&mut self, revision: &RevisionId, name: &str, page: &Page) {
        let Some(arm) = self.arms.get_mut(revision) else {
            return;
        };
        let Some(pod) = arm.pods.get_mut(name) else { return };
        let mut grown = Counts::default();
        pod.grow_by_answers(page, self.source, &mut grown);
        if let Some(latency) = &page.latency {
            pod.grow_by_latency(latency, &mut self.layouts, &mut grown);
        }
        if pod.standing != Standing::ZeroLine {
            if self.apart.get(revision).is_some_and(|told| told.contains(name)) {
                add(&mut pod.counts, grown.clone());
            }
            add(&mut arm.counts, grown);
        }
        pod.standing = Standing::Read;
    }
}

/// What a counter grew by.
fn growth(last: Option<u64>, now: u64) -> u64 {
    now.checked_sub(last.unwrap_or(0)).unwrap_or(now)
}

/// What an endpoint grew by. Its three counters restart together.
fn endpoint_growth(last: Option<[u64; 3]>, now: Endpoint) -> Counts {
    let last = last.unwrap_or_default();
    let fell = now.total < last[0] || now.success < last[1] || now.error < last[2];
    let [total, success, error] = if fell { [0; 3] } else { last };
    let error = now.error - error;
    Counts {
        // A request that found no connection is an error without ever having been counted as sent.
        started: (now.total - total).max(error),
        requests: (now.success - success).saturating_add(error),
        bad: error,
        ..Counts::default()
    }
}

impl Pod {
    /// Own answers count only as long as no gateway does it; streams cut short count always, since only the pod knows.
    fn grow_by_answers(&mut self, page: &Page, source: Source, grown: &mut Counts) {
        match (source, page.answers) {
            (Source::Gateway, _) => self.answers = None,
            (Source::Pods, None) => {}
            (Source::Pods, Some(now)) => {
                let last = self.answers.replace([now.requests, now.bad]).unwrap_or_default();
                let fell = now.requests < last[0] || now.bad < last[1];
                let last = if fell { [0; 2] } else { last };
                grown.requests = now.requests - last[0];
                grown.started = grown.requests;
                grown.bad = now.bad - last[1];
            }
        }
        if let Some(now) = page.cut {
            grown.bad = grown.bad.saturating_add(growth(self.cut.replace(now), now));
        }
    }

    fn grow_by_latency(&mut self, now: &Latency, layouts: &mut Vec<Layout>, grown: &mut Counts) {
        let layout = Layout {
            family: now.family.to_owned(),
            edges_ms: now.within_ms.keys().copied().collect(),
        };
        let place = layouts
            .iter()
            .position(|known| *known == layout)
            .unwrap_or_else(|| {
                layouts.push(layout);
                layouts.len() - 1
            });
        let sums: Vec<u64> = now.within_ms.values().copied().chain([now.timed]).collect();
        // Other edges come from another process, which began at zero.
        let last = self
            .latency
            .take()
            .filter(|stood| stood.0 == place)
            .map(|stood| running_sums(&stood.1));
        let last =
            last.filter(|last| last.len() == sums.len() && last.iter().zip(&sums).all(|(a, b)| a <= b));
        let last = last.unwrap_or_else(|| vec![0; sums.len()]);
        let mut differences = sums.iter().zip(&last).map(|(now, last)| now - last);
        grown.within_ms = now.within_ms.keys().copied().zip(differences.by_ref()).collect();
        grown.timed = now.timed - last.last().copied().unwrap_or(0);
        self.latency = Some(Stood(place, between(&sums)));
    }
}

fn running_sums(between: &[u64]) -> Vec<u64> {
    let sum = |sum: &mut u64, n: &u64| {
        *sum = sum.saturating_add(*n);
        Some(*sum)
    };
    between.iter().scan(0, sum).collect()
}

fn between(sums: &[u64]) -> Vec<u64> {
    let before = [0].into_iter().chain(sums.iter().copied());
    sums.iter()
        .zip(before)
        .map(|(now, before)| now.saturating_sub(before))
        .collect()
}

/// Adds growth. Histograms with different edges meet on those that both have: of the others the sum is not known.
fn add(counts: &mut Counts, grown: Counts) {
    counts.started = counts.started.saturating_add(grown.started);
    counts.requests = counts.requests.saturating_add(grown.requests);
    counts.bad = counts.bad.saturating_add(grown.bad);
    if grown.timed == 0 {
        return;
    }
    if counts.timed == 0 {
        counts.within_ms = grown.within_ms;
    } else {
        counts.within_ms.retain(|edge, within| {
            let more = grown.within_ms.get(edge);
            more.inspect(|more| *within = within.saturating_add(**more))
                .is_some()
        });
    }
    counts.timed = counts.timed.saturating_add(grown.timed);
}

#[cfg(test)]
mod tests;
