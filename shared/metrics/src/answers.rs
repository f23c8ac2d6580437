//! What both versions answer to the same question: a gateway throws the answers to copies away, so a shadow and stable are asked
//! here, by way of the API server.
//!
//! Stable is asked twice. Its first answer is what the others are held against: the shadow's, and its own second one. So a model
//! that answers differently each time is not found worse than itself. Answers are held for as long as it takes to hash them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weir_app::{Counting, Placed, PodRef, ProxyError};
use weir_domain::ids::{RevisionId, StepId};
use weir_domain::pipeline::RolloutRule;
use weir_domain::run::Run;
use weir_domain::seen::TrafficSeen;
use weir_domain::strategy::Question;
use weir_domain::units::Weight;

use crate::direct::Direct;

/// Longest wait for an answer: a generation, and not a health check.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Longest answer that is read.
const BYTES_MAX: usize = 1024 * 1024;
/// Where the counts stand in what is kept between two looks.
const KEPT: &str = "answers";

/// What was asked so far.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Questions that were put, whatever came of them: the next one's place.
    put: usize,
    /// Answers that were compared, and those that differ, by revision.
    by: BTreeMap<RevisionId, [u64; 2]>,
}

/// The questions of a shadow that has copies, and whom to ask.
struct Asking<'a> {
    rule: &'a RolloutRule,
    questions: &'a [Question],
    stable: (&'a RevisionId, &'a [PodRef]),
    shadow: (&'a RevisionId, &'a [PodRef]),
}

impl<'a> Asking<'a> {
    fn of(run: &'a Run, step: StepId, placed: &'a Placed) -> Option<Self> {
        let (rule, rollout) = (run.rule(step)?, run.rollout(step)?);
        let questions = &rule.strategy.mirrored()?.answers;
        let stable = &rollout.stable.as_ref()?.revision;
        let pods = |revision| placed.pods.get(revision).map_or(&[][..], Vec::as_slice);
        (!questions.is_empty() && rollout.weight > Weight::ZERO).then(|| Self {
            rule,
            questions,
            stable: (stable, pods(stable)),
            shadow: (&rollout.candidate, pods(&rollout.candidate)),
        })
    }
}

impl Asked {
    /// As it was left; nothing was asked before the first look.
    pub(crate) fn resume(before: Option<&Value>) -> Self {
        let kept = before.and_then(|before| Self::deserialize(&before[KEPT]).ok());
        kept.unwrap_or_default()
    }

    /// Puts the counts beside what was counted of requests, and keeps them for the next look.
    pub(crate) fn join(&self, counting: &mut Counting) {
        if self.put == 0 {
            return;
        }
        if let Some(Value::Object(scrape)) = &mut counting.scrape {
            scrape.insert(KEPT.to_owned(), json!(self));
        }
        if let TrafficSeen::Counts(counts) = &mut counting.seen {
            for (revision, [compared, differing]) in &self.by {
                let counts = counts.entry(revision.clone()).or_default();
                (counts.compared, counts.differing) = (*compared, *differing);
            }
        }
    }

    fn count(&mut self, revision: &RevisionId, differs: bool) {
        let [compared, differing] = self.by.entry(revision.clone()).or_default();
        *compared += 1;
        *differing += u64::from(differs);
    }
}

impl Direct {
    /// Puts the next question, where a shadow has some. What is not answered as it should be says nothing of either version.
    pub(crate) async fn ask(&self, run: &Run, step: StepId, placed: &Placed, mut asked: Asked) -> Asked {
        let Some(asking) = Asking::of(run, step, placed) else {
            return asked;
        };
        let question = &asking.questions[asked.put % asking.questions.len()];
        let ((stable, serving), (shadow, copied)) = (asking.stable, asking.shadow);
        let (Some(one), Some(other)) = (turn(serving, asked.put), turn(copied, asked.put)) else {
            return asked;
        };
        asked.put += 1;
        let answers = [one, one, other].map(|pod| self.answer(asking.rule, pod, question));
        let answers: Result<Vec<String>, String> = join_all(answers).await.into_iter().collect();
        match answers {
            Ok(digests) => {
                asked.count(stable, digests[1] != digests[0]);
                asked.count(shadow, digests[2] != digests[0]);
            }
            Err(why) => tracing::warn!(path = question.path, why, "answers are not compared at this look"),
        }
        asked
    }

    /// Why a question cannot be compared, tried with stable before anything moves; nothing where nobody serves yet.
    pub(crate) async fn unanswered(
        &self,
        run: &Run,
        step: StepId,
        rule: &RolloutRule,
        placed: &Placed,
    ) -> Vec<String> {
        let questions = rule.strategy.mirrored().map_or(&[][..], |shadow| &shadow.answers);
        let stable = run.rollout(step).and_then(|rollout| rollout.stable.as_ref());
        let serving = stable.and_then(|stable| placed.pods.get(&stable.revision));
        let Some(pod) = serving.and_then(|pods| turn(pods, 0)) else {
            return Vec::new();
        };
        let tried = questions.iter().map(|question| self.answer(rule, pod, question));
        let tried = join_all(tried).await.into_iter().zip(questions);
        let wrong = tried.filter_map(|(answer, question)| {
            let why = answer.err()?;
            Some(format!("`answers` of the shadow, {}: {why}", question.path))
        });
        let mut wrong: Vec<String> = wrong.collect();
        wrong.dedup();
        wrong
    }

    async fn answer(&self, rule: &RolloutRule, pod: &PodRef, question: &Question) -> Result<String, String> {
        let (cluster, port) = (&rule.target.cluster, rule.workload.port);
        let said = async {
            match &question.body {
                Some(body) => {
                    let body = body.to_string();
                    self.proxy
                        .post(cluster, pod, port, &question.path, body, BYTES_MAX)
                        .await
                }
                None => {
                    self.proxy
                        .get(cluster, pod, port, &question.path, BYTES_MAX)
                        .await
                }
            }
        };
        let said = tokio::time::timeout(ANSWER_LIMIT, said).await;
        let said = said.unwrap_or_else(|_| {
            let limit = ANSWER_LIMIT.as_secs();
            Err(ProxyError::Pod(format!("nothing within {limit} s")))
        });
        let said = said.map_err(|error| in_words(&error, pod))?;
        question
            .digest(&said)
            .map_err(|why| format!("pod {}: {why}", pod.name))
    }
}

/// The pod whose turn it is.
fn turn(pods: &[PodRef], n: usize) -> Option<&PodRef> {
    let mut with_address: Vec<&PodRef> = pods.iter().filter(|pod| pod.ip.is_some()).collect();
    with_address.sort_by_key(|pod| &pod.name);
    let place = n.checked_rem(with_address.len())?;
    Some(with_address[place])
}

fn in_words(error: &ProxyError, pod: &PodRef) -> String {
    let namespace = &pod.namespace;
    match error {
        ProxyError::Denied(_) => format!(
            "Weir may not create pods/proxy in namespace `{namespace}`, which is how a POST reaches a pod: apply \
             infra/cluster/answers.yaml with `-n {namespace}`, or leave `answers` out"
        ),
        other => format!("pod {}: {other}", pod.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_domain::ids::Namespace;

    fn pod(name: &str, ip: Option<&str>) -> PodRef {
        PodRef {
            namespace: Namespace::new("production"),
            name: name.into(),
            ip: ip.map(str::to_owned),
        }
    }

    #[test]
    fn pods_with_an_address_are_asked_in_turn() {
        let pods = [
            pod("b", Some("10.0.0.2")),
            pod("c", None),
            pod("a", Some("10.0.0.1")),
        ];
        let asked: Vec<&str> = (0..4)
            .filter_map(|n| turn(&pods, n))
            .map(|pod| &*pod.name)
            .collect();
        assert_eq!(asked, ["a", "b", "a", "b"]);
        assert_eq!(turn(&pods[1..2], 0), None);
    }

    #[test]
    fn counts_are_kept_beside_those_of_requests_and_come_back() {
        let (stable, shadow) = (RevisionId::new("old"), RevisionId::new("new"));
        let mut asked = Asked::default();
        let mut counting = Counting {
            seen: TrafficSeen::Counts(BTreeMap::new()),
            scrape: Some(json!({"version": 1})),
            replicas: BTreeMap::new(),
        };
        asked.join(&mut counting);
        assert_eq!(counting.scrape, Some(json!({"version": 1})), "nothing was asked");
        for differs in [true, false, true] {
            asked.put += 1;
            asked.count(&stable, false);
            asked.count(&shadow, differs);
        }
        asked.join(&mut counting);
        let TrafficSeen::Counts(counts) = &counting.seen else {
            panic!("there are counts")
        };
        let of = |revision| (counts[revision].compared, counts[revision].differing);
        assert_eq!((of(&stable), of(&shadow)), ((3, 0), (3, 2)));
        let again = Asked::resume(counting.scrape.as_ref());
        assert_eq!((again.put, &again.by), (3, &asked.by));
    }
}
