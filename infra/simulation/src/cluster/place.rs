//! One namespace: its revisions, its route, and where requests went.

use std::collections::{BTreeMap, BTreeSet};

use weir_domain::ids::{Fence, RevisionId};
use weir_domain::pipeline::RolloutRule;
use weir_domain::rollout::{Autoscaler, AutoscalerKind, Ratio, Rollout};
use weir_domain::seen::{Counts, Gpus, Landing, RouteSeen};
use weir_domain::time::{Span, Timestamp};
use weir_domain::units::Weight;
use weir_domain::workload::Workload;

use super::pool::{Pool, node_name};
use super::rates::Flows;
use super::revision::Revision;

/// Requests a second that a warm replica answers where GPUs are counted. Four of them carry 60 at 68 %.
const CAPACITY: u64 = 22;

/// Time between two questions to a shadow and stable.
const QUESTION_EVERY: Span = Span::seconds(15);

/// Something that sets the replicas of a revision.
pub(super) struct Scales {
    pub(super) name: String,
    pub(super) target: RevisionId,
    /// Replicas that it wants.
    pub(super) wants: usize,
    pub(super) held: bool,
    pub(super) fence: Fence,
}

#[derive(Default)]
pub(super) struct Place {
    pub(super) revisions: BTreeMap<RevisionId, Revision>,
    pub(super) weights: BTreeMap<RevisionId, Weight>,
    /// Who gets copies, and of a hundred requests how many.
    pub(super) mirrors: BTreeMap<RevisionId, Weight>,
    /// Of a hundred requests of the callers who stay with a variant, how many it gets.
    pub(super) kept: BTreeMap<RevisionId, Weight>,
    pub(super) fence: Fence,
    /// Whose pods share the traffic by their number, where there is no gateway, and how many carry everything.
    pub(super) by_replicas: Option<(RevisionId, u32)>,
    pub(super) plain: Option<RevisionId>,
    /// Why no gateway takes the route up, if none does.
    pub(super) refused: Option<String>,
    /// Variants that have a Service.
    pub(super) services: BTreeSet<RevisionId>,
    /// Deployments that somebody else made, as revisions.
    pub(super) deployments: BTreeMap<String, Workload>,
    /// Those of them that have a Service of Weir's.
    pub(super) adopted: BTreeSet<RevisionId>,
    /// What scales one of the revisions, if that is not Weir.
    pub(super) autoscaler: Option<Scales>,
    counted_to: Option<Timestamp>,
    /// Writes of the route.
    pub(super) writes: u64,
    /// Requests in thousandths that no warm replica had room for, where GPUs are counted.
    pub(super) lost: u64,
    /// Milliseconds times the GPUs that were held then.
    pub(super) gpu_ms: f64,
    /// Bad answers of revisions that are removed, in thousandths.
    pub(super) gone_bad: BTreeMap<RevisionId, u64>,
}

impl Place {
    /// Sends the traffic of the time since the last look to where it went.
    pub(super) fn flow(&mut self, now: Timestamp, flows: &Flows, counted: bool) {
        let from = self.counted_to.replace(now).unwrap_or(now);
        let requests = flows.between(from, now);
        let held: u32 = self.revisions.values().map(Revision::held).sum();
        self.gpu_ms += f64::from(held) * now.since(from).0 as f64;
        let part = self.part(now);
        for (id, weight) in &self.weights {
            let Some(revision) = self.revisions.get_mut(id).filter(|_| *weight > Weight::ZERO) else {
                continue;
            };
            let mine = match &part {
                Some((candidate, part)) if candidate == id => requests * part / 1_000,
                Some((_, part)) => requests - requests * part / 1_000,
                None => requests * share(*weight, flows.misrouted) / 100,
            };
            let room = u64::from(revision.warm(now)) * CAPACITY * now.since(from).0;
            if counted {
                self.lost += mine.saturating_sub(room);
            }
            revision.take(mine, from, now, true);
        }
        for (id, part) in &self.mirrors {
            if let Some(revision) = self.revisions.get_mut(id) {
                revision.take(requests * u64::from(part.percent()) / 100, from, now, false);
            }
        }
    }

    /// Of a thousand requests, how many pods of the candidate get where both have a part and no gateway sends them.
    fn part(&self, now: Timestamp) -> Option<(RevisionId, u64)> {
        let (candidate, needed) = self.by_replicas.as_ref()?;
        let weight = *self.weights.get(candidate)?;
        let warm = |id: &RevisionId| self.revisions.get(id).map_or(0, |revision| revision.warm(now));
        let others = self.weights.keys().filter(|id| *id != candidate);
        let ratio = Ratio::of(weight, warm(candidate), others.map(warm).sum(), *needed);
        let part = u64::from(ratio.candidate) * 1_000 / u64::from(ratio.all().max(1));
        Some((candidate.clone(), part))
    }

    /// What was counted before is forgotten.
    pub(super) fn begin(&mut self) {
        self.gpu_ms = 0.0;
        self.gone_bad.clear();
        self.revisions.values_mut().for_each(Revision::begin);
    }

    /// Lets what scales a revision do so. One without replicas is left alone, as Kubernetes does.
    pub(super) fn scale(&mut self, pool: &Pool, now: Timestamp) {
        let Some(by) = self.autoscaler.as_ref().filter(|by| !by.held) else {
            return;
        };
        if let Some(revision) = self.revisions.get_mut(&by.target)
            && revision.replicas() > 0
        {
            pool.scale(&mut revision.pods, by.wants, 1, &[], now);
            revision.number_pods();
        }
    }

    /// What scales a revision.
    pub(super) fn scaled(&self, id: &RevisionId) -> Option<Autoscaler> {
        let by = self.autoscaler.as_ref().filter(|by| by.target == *id)?;
        let replicas = self.revisions.get(id).map_or(0, Revision::replicas);
        Some(Autoscaler {
            kind: AutoscalerKind::Horizontal,
            name: by.name.clone(),
            replicas: replicas.max(1),
        })
    }

    /// What a rollout that prepares still waits for.
    pub(super) fn unprepared(&self, rollout: &Rollout) -> Option<String> {
        let adoption = rollout.adoption.as_ref();
        let own = adoption.is_none_or(|adoption| self.adopted.contains(&adoption.workload.revision()));
        let by = self.autoscaler.as_ref().filter(|_| rollout.scaled.is_some());
        match (own, by) {
            (false, _) => Some("it has no Service of its own".into()),
            (true, Some(by)) if !by.held => Some(format!("{} is to be held", by.name)),
            (true, _) => None,
        }
    }

    /// On what the pods of both revisions run, as far as the rollout does not know it.
    pub(super) fn landing(&self, pool: &Pool, rollout: &Rollout, now: Timestamp) -> Landing {
        let nodes = |id: &RevisionId| {
            let pods = self
                .revisions
                .get(id)
                .into_iter()
                .flat_map(|revision| &revision.pods);
            let staying = pods.filter(|pod| pod.stays());
            staying.filter_map(|pod| pod.node).collect::<BTreeSet<usize>>()
        };
        let stable = rollout.stable.as_ref().map(|stable| nodes(&stable.revision));
        let stable = stable.unwrap_or_default();
        let all = nodes(&rollout.candidate).into_iter().chain(stable.clone());
        let unknown = all
            .map(|node| (node_name(node), node))
            .filter(|(name, _)| rollout.landed.lacks(name));
        Landing {
            stable: stable.into_iter().map(node_name).collect(),
            nodes: unknown.map(|(name, node)| (name, pool.hardware(node))).collect(),
            lost: self.lost(pool, rollout, now),
            hidden: None,
        }
    }

    /// Nodes that are gone, of those on which the candidate's pods ran, where fewer of them are warm than at the last look.
    fn lost(&self, pool: &Pool, rollout: &Rollout, now: Timestamp) -> BTreeMap<String, String> {
        let warm = self
            .revisions
            .get(&rollout.candidate)
            .map_or(0, |seen| seen.warm(now));
        if warm >= rollout.candidate_seen.warm {
            return BTreeMap::new();
        }
        let gone = pool.gone().map(node_name);
        gone.filter(|node| rollout.landed.ran().contains(node))
            .map(|node| (node, "is gone".to_owned()))
            .collect()
    }

    /// The route as it is seen.
    pub(super) fn route(&self) -> RouteSeen {
        RouteSeen {
            weights: self.weights.clone(),
            mirrors: self.mirrors.clone(),
            kept: self.kept.clone(),
            fence: self.fence,
            observed: self.refused.is_none(),
            problem: self.refused.clone(),
        }
    }

    pub(super) fn counts(&self) -> BTreeMap<RevisionId, Counts> {
        let all = self.revisions.iter();
        all.map(|(id, revision)| (id.clone(), revision.counts()))
            .collect()
    }

    /// Counts of answers that were compared, where a shadow has copies and asks something: one question every quarter of a minute.
    pub(super) fn compare_answers(
        &self,
        rule: &RolloutRule,
        rollout: &Rollout,
        now: Timestamp,
        counts: &mut BTreeMap<RevisionId, Counts>,
    ) {
        let asks = rule
            .strategy
            .mirrored()
            .is_some_and(|shadow| !shadow.answers.is_empty());
        let stable = rollout.stable.as_ref().filter(|_| asks);
        let first = self
            .revisions
            .get(&rollout.candidate)
            .and_then(|shadow| shadow.first_traffic);
        let (Some(stable), Some(first)) = (stable, first) else {
            return;
        };
        let compared = 1 + now.since(first).0 / QUESTION_EVERY.0;
        let sides = [&stable.revision, &rollout.candidate];
        let differing = sides.map(|id| self.revisions.get(id)?.behaviour.differing_per_mille);
        if let [Some(serving), Some(shadow)] = differing {
            for (id, per_mille) in sides.into_iter().zip([serving, shadow]) {
                let counts = counts.entry(id.clone()).or_default();
                (counts.compared, counts.differing) = (compared, compared * per_mille / 1_000);
            }
        }
    }

    /// Pods of a revision that stay: node and counts of each.
    pub(super) fn replicas(&self, id: &RevisionId) -> BTreeMap<String, (String, Counts)> {
        self.revisions.get(id).map(Revision::apart).unwrap_or_default()
    }

    /// What the GPUs of a revision's pods say.
    pub(super) fn gpus(&self, id: &RevisionId) -> Option<BTreeMap<String, Gpus>> {
        self.revisions.get(id)?.gpus()
    }

    /// Requests in thousandths that a revision answered badly to those who asked.
    pub(super) fn bad(&self, id: &RevisionId) -> u64 {
        let now = self.revisions.get(id).map_or(0, Revision::felt);
        now + self.gone_bad.get(id).copied().unwrap_or(0)
    }

    pub(super) fn remove(&mut self, id: &RevisionId) {
        self.adopted.remove(id);
        // The Deployment is somebody else's, and stays.
        if self
            .deployments
            .values()
            .any(|workload| workload.revision() == *id)
        {
            return;
        }
        let gone = self.revisions.remove(id).map_or(0, |gone| gone.felt());
        *self.gone_bad.entry(id.clone()).or_insert(0) += gone;
    }
}

/// Percent of the requests that a share gets; a route at fault gives a small share twice what it was told.
fn share(weight: Weight, misrouted: bool) -> u64 {
    let percent = u64::from(weight.percent());
    match percent {
        1..=49 if misrouted => 2 * percent,
        51..=99 if misrouted => 100 - 2 * (100 - percent),
        _ => percent,
    }
}
