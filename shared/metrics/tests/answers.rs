//! What a shadow and stable are asked, over pods that say what they are told.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use weir_app::{Placed, PodRef, Proxy, ProxyError, Traffic};
use weir_contracts::sample;
use weir_domain::ids::{ClusterName, Namespace, RevisionId};
use weir_domain::pipeline::{StageWork, StepWork};
use weir_domain::rollout::{Rollout, StableSide};
use weir_domain::run::Run;
use weir_domain::seen::{Counts, TrafficSeen};
use weir_domain::strategy::{Question, Shadow, Strategy};
use weir_domain::time::Timestamp;
use weir_domain::units::Weight;
use weir_metrics::Direct;

const OLD: &str = "r-old";
const NEW: &str = "r-new";
/// The right that is missing, and the file that gives it.
const DENIED: &str = "Weir may not create pods/proxy in namespace `production`, which is how a POST reaches a pod: apply \
                      infra/cluster/answers.yaml with `-n production`, or leave `answers` out";

/// What each pod says to its next question, the last of them again and again.
#[derive(Default)]
struct Pods {
    says: Mutex<BTreeMap<&'static str, Vec<Result<String, ProxyError>>>>,
    asked: Mutex<Vec<String>>,
}

impl Pods {
    fn next(&self, pod: &PodRef, how: &str) -> Result<String, ProxyError> {
        self.asked.lock().unwrap().push(format!("{how} {}", pod.name));
        let mut says = self.says.lock().unwrap();
        let all = says.get_mut(&*pod.name).expect("it is told what to say");
        if all.len() > 1 {
            all.remove(0)
        } else {
            all[0].clone()
        }
    }

    fn say(&self, pod: &'static str, all: &[&str]) {
        let answers = all
            .iter()
            .map(|text| Ok(json!({"text": text, "id": text.len()}).to_string()));
        self.says.lock().unwrap().insert(pod, answers.collect());
    }

    fn fail(&self, pod: &'static str, error: ProxyError) {
        self.says.lock().unwrap().insert(pod, vec![Err(error)]);
    }
}

#[async_trait]
impl Proxy for Pods {
    async fn get(
        &self,
        _: &ClusterName,
        pod: &PodRef,
        port: u16,
        path: &str,
        _: usize,
    ) -> Result<String, ProxyError> {
        match path {
            "/ask" => self.next(pod, "GET"),
            _ => Ok(format!(
                "http_requests_total{{handler=\"/ask\",port=\"{port}\",status=\"2xx\"}} 3\n"
            )),
        }
    }

    async fn post(
        &self,
        _: &ClusterName,
        pod: &PodRef,
        port: u16,
        path: &str,
        body: String,
        _: usize,
    ) -> Result<String, ProxyError> {
        self.next(pod, &format!("POST {port}{path} {body}"))
    }
}

/// A run whose shadow has copies, or none, and asks this.
fn run(questions: Vec<Question>, copied: u8) -> Run {
    let mut run = sample::run("one", "llm", 1);
    let pipeline = Arc::make_mut(&mut run.pipeline);
    let stage = &mut pipeline.stages[sample::ROLLOUT.stage];
    let StageWork::Steps { steps, .. } = &mut stage.work else {
        panic!("the sample has steps")
    };
    let StepWork::Rollout(rule) = &mut steps[sample::ROLLOUT.step].work else {
        panic!("the sample rolls out")
    };
    rule.strategy = Strategy::Shadow(Shadow {
        answers: questions,
        ..Shadow::default()
    });
    let mut rollout = Rollout::new(RevisionId::new(NEW), Timestamp(0));
    rollout.weight = Weight::new(copied).unwrap();
    rollout.stable = Some(StableSide {
        revision: RevisionId::new(OLD),
        replicas: 1,
        adopted: None,
    });
    run.stages[sample::ROLLOUT.stage].steps[sample::ROLLOUT.step].rollout = Some(Box::new(rollout));
    run
}

fn question(body: Option<Value>) -> Question {
    Question {
        path: "/ask".into(),
        body,
        compare: "/text".into(),
    }
}

fn placed() -> Placed {
    let pod = |name: &str, ip: &str| PodRef {
        namespace: Namespace::new("production"),
        name: name.into(),
        ip: Some(ip.into()),
    };
    let pods = [
        (RevisionId::new(OLD), vec![pod("old", "10.0.0.1")]),
        (RevisionId::new(NEW), vec![pod("new", "10.0.0.2")]),
    ];
    Placed {
        pods: BTreeMap::from(pods),
        gateway: Vec::new(),
    }
}

fn world() -> (Arc<Pods>, Direct) {
    let pods = Arc::new(Pods::default());
    (pods.clone(), Direct::new(pods))
}

/// Compared and differing answers of the shadow and of stable, after so many looks.
async fn looked(direct: &Direct, run: &Run, looks: usize) -> [(u64, u64); 2] {
    let (mut before, mut seen) = (None, TrafficSeen::NoData(String::new()));
    for _ in 0..looks {
        let counting = direct
            .count(run, sample::ROLLOUT, &placed(), before.as_ref())
            .await;
        (before, seen) = (counting.scrape, counting.seen);
    }
    let TrafficSeen::Counts(counts) = seen else {
        panic!("{seen:?}")
    };
    [NEW, OLD].map(|id| {
        let counts: Counts = counts.get(&RevisionId::new(id)).cloned().unwrap_or_default();
        (counts.compared, counts.differing)
    })
}

#[tokio::test]
async fn a_look_asks_stable_twice_and_the_shadow_once_and_holds_the_answers_against_stables_first() {
    let (pods, direct) = world();
    let asking = run(vec![question(Some(json!({"prompt": "x"})))], 10);
    // Stable, stable again; the shadow: the same, another, the same.
    pods.say("old", &["yes"]);
    pods.say("new", &["yes", "no!", "yes"]);
    assert_eq!(looked(&direct, &asking, 3).await, [(3, 1), (3, 0)]);
    let asked = pods.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 9);
    assert_eq!(asked[..3].iter().filter(|one| one.ends_with("old")).count(), 2);
    assert!(
        asked
            .iter()
            .all(|one| one.starts_with("POST 8000/ask {\"prompt\":\"x\"}")),
        "{asked:?}"
    );

    // Stable that says something else each time differs from itself.
    pods.say("old", &["a", "bb", "ccc", "dddd"]);
    pods.say("new", &["a", "ccc"]);
    assert_eq!(looked(&direct, &asking, 2).await, [(2, 0), (2, 2)]);
}

#[tokio::test]
async fn questions_take_turns_and_a_get_has_no_body() {
    let (pods, direct) = world();
    let asking = run(vec![question(None), question(Some(json!([1])))], 10);
    pods.say("old", &["yes"]);
    pods.say("new", &["yes"]);
    assert_eq!(looked(&direct, &asking, 3).await, [(3, 0), (3, 0)]);
    let asked = pods.asked.lock().unwrap().clone();
    let gets = asked.iter().filter(|one| one.starts_with("GET")).count();
    assert_eq!((gets, asked.len()), (6, 9));
}

#[tokio::test]
async fn nothing_is_asked_without_copies_and_what_is_not_answered_says_nothing_of_either() {
    let (pods, direct) = world();
    pods.say("old", &["yes"]);
    pods.say("new", &["yes"]);
    assert_eq!(
        looked(&direct, &run(vec![question(None)], 0), 2).await,
        [(0, 0); 2]
    );
    assert!(pods.asked.lock().unwrap().is_empty());

    let asking = run(vec![question(None)], 10);
    for error in [
        ProxyError::Pod("it answered 500 Internal Server Error".into()),
        ProxyError::TooLarge(1 << 20),
        ProxyError::Denied("no right".into()),
        ProxyError::Cluster("etcd is away".into()),
    ] {
        pods.fail("new", error);
        assert_eq!(looked(&direct, &asking, 2).await, [(0, 0); 2]);
    }
}

#[tokio::test]
async fn what_stable_does_not_answer_is_told_before_anything_moves_with_the_fix() {
    let (pods, direct) = world();
    let mut other = question(None);
    other.compare = "/nothing".into();
    let asking = run(vec![question(None), other], 0);
    pods.say("old", &["secret"]);
    let blocked = direct.blocked(&asking, sample::ROLLOUT, &placed()).await;
    assert_eq!(
        blocked,
        ["`answers` of the shadow, /ask: pod old: its answer has no `/nothing`"]
    );
    pods.fail("old", ProxyError::Denied("no right".into()));
    let blocked = direct.blocked(&asking, sample::ROLLOUT, &placed()).await;
    assert_eq!(blocked, [format!("`answers` of the shadow, /ask: {DENIED}")]);
    pods.fail("old", ProxyError::Pod("it answered 404 Not Found".into()));
    let blocked = direct.blocked(&asking, sample::ROLLOUT, &placed()).await;
    assert_eq!(
        blocked,
        ["`answers` of the shadow, /ask: pod old: the pod did not answer: it answered 404 Not Found"]
    );
}
