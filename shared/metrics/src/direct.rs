//! Reads gateway and pods at once, and says what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use serde_json::Value;
use weir_app::{Counting, Placed, PodRef, Proxy, ProxyError, Together, Traffic};
use weir_domain::ids::{ClusterName, RevisionId, StepId};
use weir_domain::pipeline::RolloutRule;
use weir_domain::run::Run;
use weir_domain::seen::TrafficSeen;

use crate::answers::Asked;
use crate::gateway::{self, Endpoints, Route, Sheet};
use crate::page::{self, Page};
use crate::tally::{Source, Standing, Tally, gateway_key};

/// Pods that are read of one revision: enough to see a latency, few enough for the API server (design §6).
pub(crate) const PODS_MAX: usize = 8;
/// Pods that are read of the gateway. Requests through others would be missed, so this is far above what there is.
pub(crate) const GATEWAYS_MAX: usize = 16;
/// Longest wait for one answer. A check runs every 5 s, and a pod whose node is gone does not refuse, it hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// What a pod of the gateway says of the routes that it was asked for; nothing if that is no page of metrics.
type Said = Result<Option<Arc<Sheet>>, ProxyError>;

/// Counts traffic by reading the gateway's and the pods' own counters through the cluster's API server.
pub struct Direct {
    pub(crate) proxy: Arc<dyn Proxy>,
    /// By cluster and pod of the gateway: looks at many rollouts at once are one read of it.
    gateways: Together<(ClusterName, String), Route, Said>,
}

impl Direct {
    /// Reads through this proxy.
    pub fn new(proxy: Arc<dyn Proxy>) -> Self {
        Self {
            proxy,
            gateways: Together::default(),
        }
    }

    async fn count_rule(
        &self,
        rule: &RolloutRule,
        candidate: Option<&RevisionId>,
        placed: &Placed,
        before: Option<&Value>,
    ) -> Counting {
        let mut tally = Tally::resume(before, placed);
        let (gateways, pods) = (tally.choose_gateways(placed), tally.choose_pods(placed));
        if let Some(candidate) = candidate {
            tally.tell_apart(candidate, &pods);
        }
        let endpoint = &rule.workload.metrics;
        let (gates, pages) = futures::join!(
            join_all(gateways.iter().map(|pod| self.endpoints(rule, pod))),
            join_all(pods.iter().map(|(_, pod)| {
                self.get(rule, pod, endpoint.port, endpoint.path.clone(), page::BYTES_MAX)
            })),
        );
        let mut heard = Heard::default();
        let read: BTreeMap<String, Endpoints> = gateways
            .iter()
            .zip(gates)
            .filter_map(|(pod, got)| Some((gateway_key(pod), heard.gateway(pod, got)?)))
            .collect();
        tally.absorb_gateways(&read);
        for ((revision, pod), got) in pods.iter().zip(pages) {
            let family = tally.family(revision, &pod.name).map(str::to_owned);
            if let Some(page) = heard.pod(pod, got, family.as_deref()) {
                tally.absorb_page(revision, &pod.name, &page);
            }
        }
        tally.tidy();
        Counting {
            seen: heard.outcome(&tally),
            scrape: Some(tally.stored()),
            replicas: tally.replicas(),
        }
    }

    /// The endpoints of the rule's route, as a pod of the gateway counts them.
    pub(crate) async fn endpoints(
        &self,
        rule: &RolloutRule,
        pod: &PodRef,
    ) -> Result<Option<Endpoints>, ProxyError> {
        let own = gateway::route(&rule.target);
        let place = (rule.target.cluster.clone(), gateway_key(pod));
        let read = |routes| self.read(rule, pod, routes);
        let said = match self.gateways.ask(place, own.clone(), read).await {
            // What was asked for together was too much.
            Err(ProxyError::TooLarge(_)) => self.read(rule, pod, [own.clone()].into()).await,
            said => said,
        };
        Ok(said?.and_then(|sheet| sheet.of(&own).cloned()))
    }

    async fn read(&self, rule: &RolloutRule, pod: &PodRef, routes: BTreeSet<Route>) -> Said {
        let path = gateway::path(&routes);
        let page = self
            .get(rule, pod, gateway::PORT, path, gateway::BYTES_MAX)
            .await?;
        Ok(gateway::read(&page, routes).map(Arc::new))
    }

    pub(crate) async fn get(
        &self,
        rule: &RolloutRule,
        pod: &PodRef,
        port: u16,
        path: String,
        limit: usize,
    ) -> Result<String, ProxyError> {
        let answer = self.proxy.get(&rule.target.cluster, pod, port, &path, limit);
        tokio::time::timeout(ANSWER_LIMIT, answer)
            .await
            .unwrap_or_else(|_| {
                Err(ProxyError::Pod(format!(
                    "nothing within {} s",
                    ANSWER_LIMIT.as_secs()
                )))
            })
    }
}

#[async_trait]
impl Traffic for Direct {
    async fn count(&self, run: &Run, step: StepId, placed: &Placed, before: Option<&Value>) -> Counting {
        match run.rule(step) {
            Some(rule) => {
                let candidate = run.rollout(step).map(|rollout| &rollout.candidate);
                let (mut counting, asked) = futures::join!(
                    self.count_rule(rule, candidate, placed, before),
                    self.ask(run, step, placed, Asked::resume(before)),
                );
                asked.join(&mut counting);
                counting
            }
            None => Counting {
                seen: TrafficSeen::NoData(format!("step {step} is no rollout")),
                scrape: before.cloned(),
                replicas: BTreeMap::new(),
            },
        }
    }

    async fn blocked(&self, run: &Run, step: StepId, placed: &Placed) -> Vec<String> {
        match run.rule(step) {
            Some(rule) => {
                let (blocked, unanswered) = futures::join!(
                    self.blocked_for(rule, placed),
                    self.unanswered(run, step, rule, placed),
                );
                blocked.into_iter().chain(unanswered).collect()
            }
            None => Vec::new(),
        }
    }
}

impl Tally {
    /// The pods to read. Those read before come first, then by name. Those left out get a zero line if they are read
    /// one day: the rollout has no use for what they counted all at once.
    fn choose_pods<'a>(&mut self, placed: &'a Placed) -> Vec<(RevisionId, &'a PodRef)> {
        let mut chosen = Vec::new();
        for (revision, pods) in &placed.pods {
            let Some(arm) = self.arms.get_mut(revision) else {
                continue;
            };
            let known = |pod: &PodRef| arm.pods.get(&pod.name).map(|pod| pod.standing);
            let mut pods: Vec<&PodRef> = pods.iter().filter(|pod| pod.ip.is_some()).collect();
            pods.sort_by_key(|pod| (known(pod) != Some(Standing::Read), &pod.name));
            let left_out = pods.split_off(pods.len().min(PODS_MAX));
            chosen.extend(pods.into_iter().map(|pod| (revision.clone(), pod)));
            for pod in left_out {
                if let Some(pod) = arm.pods.get_mut(&pod.name) {
                    pod.standing = pod.standing.left_out();
                }
            }
        }
        chosen
    }

    fn choose_gateways<'a>(&mut self, placed: &'a Placed) -> Vec<&'a PodRef> {
        let known = |pod: &PodRef| self.gateways.get(&gateway_key(pod)).map(|pod| pod.standing);
        let mut pods: Vec<&PodRef> = placed.gateway.iter().collect();
        pods.sort_by_key(|pod| (known(pod) != Some(Standing::Read), &pod.name));
        for pod in pods.split_off(pods.len().min(GATEWAYS_MAX)) {
            tracing::warn!(
                pod.name,
                limit = GATEWAYS_MAX,
                "more pods of the gateway than are read"
            );
            if let Some(gateway) = self.gateways.get_mut(&gateway_key(pod)) {
                gateway.standing = gateway.standing.left_out();
            }
        }
        pods
    }
}

impl Standing {
    fn left_out(self) -> Self {
        match self {
            Self::Read => Self::Read,
            Self::New | Self::ZeroLine => Self::ZeroLine,
        }
    }
}

/// Who answered, and why the others did not.
#[derive(Default)]
struct Heard {
    gateways: usize,
    pods: usize,
    /// A pod counts its own answers.
    counting: usize,
    silent_gateways: Vec<String>,
    silent_pods: Vec<String>,
    /// Someone answered, with something that cannot be read.
    strange: bool,
}

impl Heard {
    fn gateway(&mut self, pod: &PodRef, got: Result<Option<Endpoints>, ProxyError>) -> Option<Endpoints> {
        match got {
            Ok(Some(endpoints)) => {
                self.gateways += 1;
                return Some(endpoints);
            }
            Ok(None) => {
                self.strange = true;
                self.silent_gateways.push(format!(
                    "gateway pod {}: its answer cannot be read as metrics",
                    pod.name
                ));
            }
            Err(error) => self
                .silent_gateways
                .push(format!("gateway pod {}: {error}", pod.name)),
        }
        None
    }

    fn pod(&mut self, pod: &PodRef, got: Result<String, ProxyError>, family: Option<&str>) -> Option<Page> {
        let read = got.map(|page| page::read(&page, family));
        match read {
            Ok(Some(page)) => {
                self.pods += 1;
                self.counting += usize::from(page.answers.is_some());
                return Some(page);
            }
            Ok(None) => {
                self.strange = true;
                self.silent_pods
                    .push(format!("pod {}: its answer cannot be read as metrics", pod.name));
            }
            Err(error) => self.silent_pods.push(format!("pod {}: {error}", pod.name)),
        }
        None
    }

    fn outcome(&self, tally: &Tally) -> TrafficSeen {
        let counted = match tally.source {
            Source::Gateway => self.gateways > 0,
            Source::Pods => self.counting > 0,
        };
        if counted {
            return TrafficSeen::Counts(tally.counts());
        }
        let away = tally.source == Source::Gateway || self.pods == 0;
        if away && self.gateways == 0 && !self.strange && !self.silent().is_empty() {
            return TrafficSeen::SourceError(self.silent());
        }
        TrafficSeen::NoData(self.nothing(tally.source))
    }

    /// The first gateway and the first pod that did not answer: the others mostly say the same.
    fn silent(&self) -> String {
        let first = [self.silent_gateways.first(), self.silent_pods.first()];
        first
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("; ")
    }

    fn nothing(&self, source: Source) -> String {
        let what = match source {
            Source::Gateway => "nothing more is heard of the gateway, which counted the requests so far",
            Source::Pods if self.pods > 0 && self.gateways > 0 => {
                "the gateway counts no endpoint of this rollout, and the pods do not count their answers"
            }
            Source::Pods if self.pods > 0 => {
                "the pods do not count their answers, and no gateway does it for them"
            }
            Source::Pods if self.gateways > 0 => {
                "the gateway counts no endpoint of this rollout, and no pod answers"
            }
            Source::Pods => "there is no pod to ask",
        };
        match self.silent() {
            silent if silent.is_empty() => what.to_owned(),
            silent => format!("{what} ({silent})"),
        }
    }
}
