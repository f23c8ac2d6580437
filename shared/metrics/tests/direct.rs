//! The source as its users see it, over a cluster whose pods say what they are told, and over real simulators.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use weir_app::{Counting, Placed, PodRef, Proxy, ProxyError, Traffic};
use weir_contracts::sample;
use weir_domain::ids::{ClusterName, Namespace, RevisionId};
use weir_domain::pipeline::{SplitBy, StageWork, StepWork};
use weir_domain::rollout::Rollout;
use weir_domain::run::Run;
use weir_domain::seen::{Counts, Routed, TrafficSeen};
use weir_domain::time::Timestamp;
use weir_metrics::Direct;

/// Pages by pod and port. A pod without one refuses, and one that says `hangs` never answers.
#[derive(Default)]
struct Pods {
    pages: Mutex<BTreeMap<(String, u16), Result<String, ProxyError>>>,
    asked: Mutex<Vec<String>>,
}

const GATEWAY: u16 = 19001;
const POD: u16 = 8000;
const RECORDED: &str = include_str!("recorded/envoy.txt");
const VLLM_ONLY: &str = "vllm:time_to_first_token_seconds_bucket{le=\"1.0\"} 3\n\
    vllm:time_to_first_token_seconds_count 4\n";

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
        self.asked
            .lock()
            .unwrap()
            .push(format!("{}:{port}{path}", pod.name));
        // An answer takes its time: others may ask meanwhile.
        tokio::task::yield_now().await;
        let page = self.pages.lock().unwrap().get(&(pod.name.clone(), port)).cloned();
        match page {
            Some(Ok(page)) if page == "hangs" => pending().await,
            Some(page) => page,
            None => Err(ProxyError::Pod("connection refused".into())),
        }
    }
}

impl Pods {
    fn say(&self, pod: &str, port: u16, page: impl Into<String>) {
        self.pages
            .lock()
            .unwrap()
            .insert((pod.into(), port), Ok(page.into()));
    }

    fn fail(&self, pod: &str, port: u16, error: ProxyError) {
        self.pages.lock().unwrap().insert((pod.into(), port), Err(error));
    }
}

fn pod(name: &str, ip: &str) -> PodRef {
    PodRef {
        namespace: Namespace::new("production"),
        name: name.into(),
        ip: Some(ip.into()),
    }
}

fn good() -> RevisionId {
    RevisionId::new("r-good")
}

fn bad() -> RevisionId {
    RevisionId::new("r-bad")
}

/// One good pod, and one revision with a pod that fails and one that is dead.
fn placed() -> Placed {
    let pods = [
        (good(), vec![pod("good", "127.0.0.2")]),
        (bad(), vec![pod("failing", "127.0.0.3"), pod("dead", "127.0.0.4")]),
    ];
    Placed {
        pods: BTreeMap::from(pods),
        gateway: vec![pod("envoy", "10.0.0.1")],
    }
}

/// The recorded page as the gateway of the sample's route would say it, its tens replaced.
fn envoy(tens: u64) -> String {
    RECORDED
        .replace("httproute/shop/sentiment/", "httproute/production/llm/")
        .replace("} 10\n", &format!("}} {tens}\n"))
}

async fn count(direct: &Direct, placed: &Placed, before: Option<&Value>) -> Counting {
    let run = sample::run("one", "llm", 1);
    direct.count(&run, sample::ROLLOUT, placed, before).await
}

fn counts(counting: &Counting) -> &BTreeMap<RevisionId, Counts> {
    match &counting.seen {
        TrafficSeen::Counts(counts) => counts,
        other => panic!("{other:?}"),
    }
}

fn world() -> (Arc<Pods>, Direct) {
    let pods = Arc::new(Pods::default());
    (pods.clone(), Direct::new(pods))
}

#[tokio::test]
async fn the_gateway_tells_how_requests_to_a_dead_pod_end() {
    let (pods, direct) = world();
    pods.say("envoy", GATEWAY, envoy(10));
    let first = count(&direct, &placed(), None).await;
    let nothing = Counts {
        routed: Routed { by: 1, of: 1 },
        ..Counts::default()
    };
    assert_eq!(counts(&first)[&bad()], nothing, "what was before the rollout");
    pods.say("envoy", GATEWAY, envoy(25));
    pods.say("good", POD, VLLM_ONLY);
    let second = count(&direct, &placed(), first.scrape.as_ref()).await;
    let seen = |revision: RevisionId| {
        let Counts {
            started,
            requests,
            bad,
            ..
        } = counts(&second)[&revision];
        [started, requests, bad]
    };
    assert_eq!(seen(good()), [15, 15, 0]);
    assert_eq!(seen(bad()), [30, 30, 30]);
    let filter = "envoy:19001/stats/prometheus?filter=httproute/production/llm/rule/.*endpoint.*rq_";
    assert!(pods.asked.lock().unwrap().iter().any(|asked| asked == filter));
}

#[tokio::test]
async fn without_a_gateway_the_pods_own_answers_count_and_cut_streams_are_bad() {
    let (pods, direct) = world();
    let alone = Placed {
        gateway: Vec::new(),
        ..placed()
    };
    let page = |ok: u64, failed: u64, cut: u64| {
        format!(
            "http_requests_total{{code=\"200\",path=\"/inference\"}} {ok}\n\
             http_requests_total{{code=\"500\",path=\"/inference\"}} {failed}\n\
             http_responses_cut_total {cut}\n"
        )
    };
    pods.say("failing", POD, page(100, 10, 1));
    let first = count(&direct, &alone, None).await;
    pods.say("failing", POD, page(120, 15, 3));
    let second = count(&direct, &alone, first.scrape.as_ref()).await;
    let expected = Counts {
        started: 25,
        requests: 25,
        bad: 7,
        ..Counts::default()
    };
    assert_eq!(counts(&second)[&bad()], expected);
}

#[tokio::test]
async fn what_each_pod_of_either_revision_answered_is_told_apart() {
    let (pods, direct) = world();
    let mut run = sample::run("one", "llm", 1);
    let rollout = Rollout::new(bad(), Timestamp(0));
    run.stages[sample::ROLLOUT.stage].steps[sample::ROLLOUT.step].rollout = Some(Box::new(rollout));
    pods.say("envoy", GATEWAY, envoy(10));
    let first = direct.count(&run, sample::ROLLOUT, &placed(), None).await;
    pods.say("envoy", GATEWAY, envoy(25));
    let second = direct
        .count(&run, sample::ROLLOUT, &placed(), first.scrape.as_ref())
        .await;
    pods.say("envoy", GATEWAY, envoy(35));
    let third = direct
        .count(&run, sample::ROLLOUT, &placed(), second.scrape.as_ref())
        .await;
    let told: Vec<(&str, u64, u64)> = third
        .replicas
        .values()
        .flatten()
        .map(|(pod, counts)| (pod.as_str(), counts.requests, counts.bad))
        .collect();
    assert_eq!(told, [("dead", 25, 25), ("failing", 25, 25), ("good", 25, 0)]);
    for (revision, pods) in &third.replicas {
        let all: u64 = pods.values().map(|counts| counts.requests).sum();
        assert_eq!(all, counts(&third)[revision].requests, "{revision}");
    }
}

#[tokio::test]
async fn looks_at_many_rollouts_at_once_are_few_reads_of_their_gateway() {
    let (pods, direct) = world();
    let other = envoy(40).replace("httproute/production/llm/", "httproute/production/chat/");
    pods.say("envoy", GATEWAY, format!("{}\n{other}", envoy(10)));
    let llm = sample::run("one", "llm", 1);
    let chat = json!(llm)
        .to_string()
        .replace("\"route\":\"llm\"", "\"route\":\"chat\"");
    let chat: Run = serde_json::from_str(&chat).unwrap();
    let all = async |before: &[Option<Value>]| {
        let count = |n: usize| {
            let run = if n.is_multiple_of(2) { &llm } else { &chat };
            let before = before.get(n).and_then(Option::as_ref);
            direct_count(&direct, run, before)
        };
        futures::future::join_all((0..20).map(count)).await
    };
    let first = all(&[]).await;
    let read = |path: &str| {
        let asked = pods.asked.lock().unwrap();
        asked.iter().filter(|asked| asked.contains(path)).count()
    };
    assert_eq!(read("envoy:19001"), 2, "the first alone, and one for the others");
    assert_eq!(read("filter=httproute/production/llm/rule"), 1);
    assert_eq!(
        read("filter=httproute/%28production/chat%7Cproduction/llm%29/rule"),
        1
    );
    let other = envoy(47).replace("httproute/production/llm/", "httproute/production/chat/");
    pods.say("envoy", GATEWAY, format!("{}\n{other}", envoy(15)));
    let before: Vec<Option<Value>> = first.into_iter().map(|counting| counting.scrape).collect();
    let requests: Vec<u64> = all(&before)
        .await
        .iter()
        .map(|counting| counts(counting)[&good()].requests)
        .collect();
    assert_eq!(requests, [5, 7].repeat(10));
}

async fn direct_count(direct: &Direct, run: &Run, before: Option<&Value>) -> Counting {
    direct.count(run, sample::ROLLOUT, &placed(), before).await
}

#[tokio::test]
async fn unknown_errors_are_no_data_and_not_zero() {
    let (pods, direct) = world();
    pods.say("good", POD, VLLM_ONLY);
    pods.say("envoy", GATEWAY, "");
    let seen = count(&direct, &placed(), None).await.seen;
    let expected = "the gateway counts no endpoint of this rollout, and the pods do not count their answers \
        (pod dead: the pod did not answer: connection refused)";
    assert_eq!(seen, TrafficSeen::NoData(expected.into()));
}

#[tokio::test]
async fn each_silence_has_its_own_words() {
    let (pods, direct) = world();
    let seen = count(&direct, &Placed::default(), None).await.seen;
    assert_eq!(seen, TrafficSeen::NoData("there is no pod to ask".into()));

    let nobody = ProxyError::Denied("pods/proxy".into());
    pods.fail("envoy", GATEWAY, nobody);
    let seen = count(&direct, &placed(), None).await.seen;
    let expected = "gateway pod envoy: the API server refused the pod proxy: pods/proxy; \
        pod dead: the pod did not answer: connection refused";
    assert_eq!(seen, TrafficSeen::SourceError(expected.into()));

    pods.say("envoy", GATEWAY, "<html>\n<body>404</body>");
    let seen = count(&direct, &placed(), None).await.seen;
    assert!(
        matches!(&seen, TrafficSeen::NoData(why) if why.contains("cannot be read as metrics")),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_gateway_that_falls_silent_is_not_replaced_by_the_pods() {
    let (pods, direct) = world();
    pods.say("envoy", GATEWAY, envoy(10));
    pods.say("good", POD, "http_requests_total{code=\"200\"} 7\n");
    let first = count(&direct, &placed(), None).await;
    pods.fail("envoy", GATEWAY, ProxyError::Cluster("etcd is away".into()));
    let second = count(&direct, &placed(), first.scrape.as_ref()).await;
    let expected = "gateway pod envoy: the API server did not answer: etcd is away; \
        pod dead: the pod did not answer: connection refused";
    assert_eq!(second.seen, TrafficSeen::SourceError(expected.into()));
    pods.say("envoy", GATEWAY, envoy(12));
    let third = count(&direct, &placed(), second.scrape.as_ref()).await;
    assert_eq!(counts(&third)[&good()].requests, 2, "it is caught up with");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_hangs_holds_nobody_up() {
    let (pods, direct) = world();
    pods.say("envoy", GATEWAY, envoy(10));
    pods.say("dead", POD, "hangs");
    counts(&count(&direct, &placed(), None).await);
}

#[tokio::test]
async fn state_that_cannot_be_read_begins_a_new_zero_line() {
    let (pods, direct) = world();
    pods.say("envoy", GATEWAY, envoy(10));
    let first = count(&direct, &placed(), None).await;
    pods.say("envoy", GATEWAY, envoy(11));
    let mut other = first.scrape.clone().unwrap();
    other["v"] = json!(2);
    for strange in [json!("x"), json!({}), other] {
        let again = count(&direct, &placed(), Some(&strange)).await;
        assert_eq!(counts(&again)[&good()].requests, 0, "{strange}");
    }
    let second = count(&direct, &placed(), first.scrape.as_ref()).await;
    assert_eq!(counts(&second)[&good()].requests, 1);
}

#[tokio::test]
async fn eight_pods_of_a_revision_are_read_and_stay_the_same() {
    let (pods, direct) = world();
    let many = |from: usize| {
        let names = (from..20).map(|n| pod(&format!("p{n:02}"), &format!("10.0.0.{n}")));
        Placed {
            pods: BTreeMap::from([(good(), names.collect())]),
            gateway: Vec::new(),
        }
    };
    let page = "http_requests_total{code=\"200\"} 1000\n";
    (0..20).for_each(|n| pods.say(&format!("p{n:02}"), POD, page));
    let first = count(&direct, &many(4), None).await;
    let asked = || std::mem::take(&mut *pods.asked.lock().unwrap());
    let before = asked();
    assert_eq!(before.len(), 8);
    let second = count(&direct, &many(0), first.scrape.as_ref()).await;
    assert_eq!(asked(), before, "earlier names do not push anyone out");
    let third = count(&direct, &many(8), second.scrape.as_ref()).await;
    assert_eq!(
        counts(&third)[&good()].requests,
        0,
        "what was left out before begins with a zero line"
    );
}

mod simulated {
    use std::net::SocketAddr;

    use weir_simulator::{Control, Model, Simulator};

    use super::*;

    /// Goes straight to a simulator on loopback, by the pod's address.
    struct Straight {
        address: SocketAddr,
        http: reqwest::Client,
    }

    #[async_trait]
    impl Proxy for Straight {
        async fn get(
            &self,
            _: &ClusterName,
            _: &PodRef,
            _: u16,
            path: &str,
            _: usize,
        ) -> Result<String, ProxyError> {
            let url = format!("http://{}{path}", self.address);
            let away = |error: reqwest::Error| ProxyError::Pod(error.to_string());
            self.http
                .get(url)
                .send()
                .await
                .map_err(away)?
                .text()
                .await
                .map_err(away)
        }
    }

    async fn start(model: &str) -> (SocketAddr, Control) {
        let model = Model::parse(model.as_bytes()).unwrap();
        let simulator = Simulator::bind("127.0.0.1:0".parse().unwrap(), model)
            .await
            .unwrap();
        let (address, control) = (simulator.address().unwrap(), simulator.control());
        tokio::spawn(simulator.run());
        (address, control)
    }

    /// Sends one request and reads its answer to the end, however that is. While the model loads, it asks again.
    async fn infer(http: &reqwest::Client, address: SocketAddr, stream: bool) {
        let body = json!({ "prompt": "hello", "stream": stream, "max_tokens": 4 });
        let request = http.post(format!("http://{address}/inference"));
        let request = request
            .header("content-type", "application/json")
            .body(body.to_string());
        if let Ok(answer) = request.send().await {
            let _ = answer.bytes().await;
        }
    }

    async fn until_ready(http: &reqwest::Client, address: SocketAddr) {
        let health = format!("http://{address}/health");
        while !http.get(&health).send().await.unwrap().status().is_success() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_real_pods_page_tells_its_answers_failures_cuts_and_latencies() {
        let model = r#"{"load_seconds": 0, "warm_up_generations": 0, "error_ratio": 0.5, "cut_share": 1.0, "seed": 3,
            "latency_ms": {"p50": 1, "p99": 2}, "tokens": {"min": 2, "max": 4, "per_second": 5000}}"#;
        let (address, control) = start(model).await;
        let http = reqwest::Client::new();
        until_ready(&http, address).await;
        let direct = Direct::new(Arc::new(Straight {
            address,
            http: http.clone(),
        }));
        let alone = Placed {
            pods: BTreeMap::from([(good(), vec![pod("one", "127.0.0.1")])]),
            gateway: Vec::new(),
        };
        infer(&http, address, false).await;
        let first = count(&direct, &alone, None).await;
        for n in 0..20 {
            infer(&http, address, n % 2 == 0).await;
        }
        let second = count(&direct, &alone, first.scrape.as_ref()).await;
        let counts = &counts(&second)[&good()];
        assert_eq!((counts.started, counts.requests), (20, 20));
        assert!((4..=16).contains(&counts.bad), "{counts:?}");
        // A stream that is cut had its first token, an answer of 500 has none.
        assert!((10..20).contains(&counts.timed), "{counts:?}");
        assert!(
            counts.within_ms.contains_key(&1000) && counts.within_ms[&1000] == counts.timed,
            "{counts:?}"
        );
        control.stop();
        control.stop();
    }
}

#[tokio::test]
async fn what_cannot_be_counted_is_said_before_anything_moves_with_the_hop_and_the_fix() {
    let denied = || ProxyError::Denied("no right".into());
    let refused = || ProxyError::Pod("connection refused".into());
    let away = || ProxyError::Cluster("etcd is away".into());
    let right = "Weir may not get pods/proxy in namespace `production`, so the counters of gateway pod envoy cannot be read: apply \
                 infra/cluster/pod-proxy.yaml with `-n production`, or let a server count the requests (`metrics` in the definition)";
    let hop = "gateway pod production/envoy does not tell its counters on port 19001 by way of the API server: the pod did not answer: \
               connection refused; let the API server reach it (NetworkPolicy, firewall of the nodes), or let a server count the \
               requests (`metrics` in the definition)";
    let of_pod = right.replace("gateway pod envoy", "pod failing");
    for (gateway, pod, expected) in [
        (Some(denied()), Some(denied()), Some(right)),
        (Some(refused()), Some(refused()), Some(hop)),
        (Some(refused()), Some(denied()), Some(hop)),
        // One of both is enough, and a cluster that is away is waited for.
        (Some(denied()), None, None),
        (None, Some(denied()), None),
        (Some(away()), Some(away()), None),
        (Some(away()), Some(denied()), Some(&*of_pod)),
        // What serves may be dead: this rollout may be its cure.
        (Some(away()), Some(refused()), None),
    ] {
        let (pods, direct) = world();
        match gateway {
            Some(error) => pods.fail("envoy", GATEWAY, error),
            None => pods.say("envoy", GATEWAY, envoy(10)),
        }
        let serves = Placed {
            pods: [(good(), vec![self::pod("failing", "127.0.0.3")])].into(),
            ..placed()
        };
        match pod {
            Some(error) => pods.fail("failing", POD, error),
            None => pods.say("failing", POD, VLLM_ONLY),
        }
        let run = sample::run("one", "llm", 1);
        let told = direct.blocked(&run, sample::ROLLOUT, &serves).await;
        assert_eq!(told, expected.map(str::to_owned).into_iter().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn without_a_gateway_pods_that_count_nothing_are_said_before_anything_moves() {
    let mut run = sample::run("one", "llm", 1);
    for stage in &mut std::sync::Arc::make_mut(&mut run.pipeline).stages {
        if let StageWork::Steps { steps, .. } = &mut stage.work
            && let StepWork::Rollout(rule) = &mut steps[0].work
        {
            rule.target.split = SplitBy::Replicas;
        }
    }
    let serves = Placed {
        pods: [(good(), vec![pod("serving", "127.0.0.3")])].into(),
        gateway: Vec::new(),
    };
    let counting = "http_requests_total{code=\"200\"} 3\n";
    for (page, is_told) in [(VLLM_ONLY, true), (counting, false)] {
        let (pods, direct) = world();
        pods.say("serving", POD, page);
        let told = direct.blocked(&run, sample::ROLLOUT, &serves).await;
        let says = "do not count their answers on port 8000 at /metrics";
        assert_eq!(told.iter().any(|words| words.contains(says)), is_told, "{told:?}");
    }
}
