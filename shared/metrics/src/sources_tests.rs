use std::sync::Mutex;

use weir_contracts::sample;
use weir_domain::condition::{Comparison, Condition, Dimension, Mode, Op, Quantity};
use weir_domain::pipeline::{StageWork, StepWork};
use weir_domain::rollout::Rollout;

use super::*;
use crate::provider::Pace;

/// Gateway and pods, which answer or do not.
struct Gateway(TrafficSeen);

#[async_trait]
impl Traffic for Gateway {
    async fn count(&self, _: &Run, _: StepId, _: &Placed, before: Option<&Value>) -> Counting {
        let looks = before.and_then(Value::as_u64).unwrap_or(0) + 1;
        Counting {
            seen: self.0.clone(),
            scrape: Some(json!(looks)),
            replicas: BTreeMap::new(),
        }
    }
}

struct At(Mutex<Timestamp>);

impl Clock for At {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A server whose answers the test writes, by what the query contains.
#[derive(Default)]
struct Server {
    says: Mutex<BTreeMap<&'static str, Answer<f64>>>,
    heard: Mutex<Vec<String>>,
    counters: bool,
}

impl Server {
    fn say(&self, to: &'static str, answer: Answer<f64>) {
        self.says.lock().unwrap().insert(to, answer);
    }

    fn answer(&self, query: &str) -> Answer<f64> {
        self.heard.lock().unwrap().push(query.to_owned());
        let says = self.says.lock().unwrap();
        let found = says.iter().find(|(to, _)| query.contains(**to));
        found.map_or(Answer::NoData("no series matches".into()), |(_, answer)| {
            answer.clone()
        })
    }
}

#[async_trait]
impl Provider for Server {
    fn pace(&self) -> Pace {
        Pace {
            lag: Span::seconds(60),
            step: Span::seconds(60),
        }
    }

    async fn number(&self, query: &str, _: Window, _: Fold) -> Answer<f64> {
        self.answer(query)
    }

    fn has_series(&self) -> bool {
        self.counters
    }

    async fn series(&self, query: &str, _: Timestamp) -> Answer<BTreeMap<Labels, f64>> {
        match self.answer(query) {
            Answer::Value(number) => Answer::Value([(Labels::new(), number)].into()),
            Answer::NoData(why) => Answer::NoData(why),
            Answer::Error(why) => Answer::Error(why),
        }
    }
}

struct World {
    server: Arc<Server>,
    clock: Arc<At>,
    sources: Sources,
    run: Run,
    candidate: RevisionId,
}

fn requests() -> Query {
    Query::Requests {
        total: "total of ${revision_id} over ${window}".into(),
        bad: "bad of ${revision_id} over ${window}".into(),
    }
}

fn world(direct: TrafficSeen, query: Query, counters: bool) -> World {
    let server = Arc::new(Server {
        counters,
        ..Server::default()
    });
    let clock = Arc::new(At(Mutex::new(Timestamp(6_000_000))));
    let servers: BTreeMap<String, Arc<dyn Provider>> =
        [("prom".to_owned(), server.clone() as Arc<dyn Provider>)].into();
    let sources = Sources::new(
        Arc::new(Gateway(direct)),
        servers,
        clock.clone(),
        |_, revision| format!("w-{revision}"),
    );
    let mut run = sample::run("one", "llm", 1);
    let StageWork::Steps { steps, .. } =
        &mut std::sync::Arc::make_mut(&mut run.pipeline).stages[sample::ROLLOUT.stage].work
    else {
        panic!("a stage of steps")
    };
    let StepWork::Rollout(rule) = &mut steps[sample::ROLLOUT.step].work else {
        panic!("a rollout")
    };
    let measure = Measure {
        source: "prom".into(),
        query,
    };
    rule.measures.insert("asked".into(), measure);
    rule.rollback = Some(Condition::Compare(Comparison {
        metric: "asked".into(),
        window: None,
        op: Op::Above,
        line: Quantity {
            value: 1.0,
            dimension: Dimension::Number,
            written: "1".into(),
        },
        during: None,
        mode: Mode::Evidence,
    }));
    let candidate = RevisionId::new("r-new");
    let rollout = Rollout::new(candidate.clone(), Timestamp(0));
    run.stages[sample::ROLLOUT.stage].steps[sample::ROLLOUT.step].rollout = Some(Box::new(rollout));
    World {
        server,
        clock,
        sources,
        run,
        candidate,
    }
}

impl World {
    async fn count(&self, before: Option<&Value>) -> Counting {
        self.sources
            .count(&self.run, sample::ROLLOUT, &Placed::default(), before)
            .await
    }

    fn pass(&self, seconds: u64) {
        let mut now = self.clock.0.lock().unwrap();
        *now = *now + Span::seconds(seconds);
    }

    fn counted(&self, counting: &Counting) -> [u64; 2] {
        match &counting.seen {
            TrafficSeen::Counts(counts) => [counts[&self.candidate].requests, counts[&self.candidate].bad],
            other => panic!("{other:?}"),
        }
    }
}

fn silent() -> TrafficSeen {
    TrafficSeen::SourceError("the gateway does not answer".into())
}

#[tokio::test]
async fn counts_come_from_the_server_that_the_definition_names() {
    let world = world(silent(), requests(), false);
    let first = world.count(None).await;
    assert_eq!(world.counted(&first), [0, 0], "nothing is whole yet");
    assert!(world.server.heard.lock().unwrap().is_empty());
    world.server.say("total of", Answer::Value(300.0));
    world.server.say("bad of", Answer::Value(3.0));
    world.pass(130);
    let second = world.count(first.scrape.as_ref()).await;
    assert_eq!(world.counted(&second), [300, 3]);
    let heard = world.server.heard.lock().unwrap()[0].clone();
    assert_eq!(heard, format!("total of {} over 60s", world.candidate));
    let again = world.count(second.scrape.as_ref()).await;
    assert_eq!(world.counted(&again), [300, 3], "a window is asked for once");
    assert_eq!(
        again.scrape.unwrap()["direct"],
        3,
        "the direct source keeps its own state"
    );
}

#[tokio::test]
async fn what_could_not_be_asked_is_asked_again_and_not_lost() {
    let world = world(silent(), requests(), false);
    let first = world.count(None).await;
    world
        .server
        .say("total of", Answer::Error("it answered 503".into()));
    world.pass(130);
    let failed = world.count(first.scrape.as_ref()).await;
    assert_eq!(
        failed.seen,
        TrafficSeen::SourceError("prom: it answered 503".into())
    );
    world.server.say("total of", Answer::Value(600.0));
    world.server.say("bad of", Answer::Value(0.0));
    world.pass(60);
    let after = world.count(failed.scrape.as_ref()).await;
    assert_eq!(world.counted(&after), [600, 0]);
    let heard = world.server.heard.lock().unwrap().clone();
    assert!(heard.last().unwrap().ends_with("over 120s"), "{heard:?}");
}

#[tokio::test]
async fn silence_about_failures_is_no_data_and_not_zero() {
    let world = world(silent(), requests(), false);
    let first = world.count(None).await;
    world.server.say("total of", Answer::Value(300.0));
    world.pass(130);
    let second = world.count(first.scrape.as_ref()).await;
    let TrafficSeen::NoData(why) = &second.seen else {
        panic!("{:?}", second.seen)
    };
    assert!(why.contains("or vector(0)"), "{why}");
}

#[tokio::test]
async fn nothing_at_all_is_no_data() {
    let world = world(silent(), requests(), false);
    let first = world.count(None).await;
    world.pass(130);
    let second = world.count(first.scrape.as_ref()).await;
    assert!(matches!(second.seen, TrafficSeen::NoData(_)), "{:?}", second.seen);
}

#[tokio::test]
async fn counters_are_subtracted_and_need_no_window() {
    let query = Query::Requests {
        total: "total of ${revision}".into(),
        bad: "bad of ${revision}".into(),
    };
    let world = world(TrafficSeen::Counts(BTreeMap::new()), query, true);
    world.server.say("total of", Answer::Value(5_000.0));
    world.server.say("bad of", Answer::Value(50.0));
    let first = world.count(None).await;
    assert_eq!(world.counted(&first), [0, 0], "what was before the rollout");
    world.server.say("total of", Answer::Value(5_120.0));
    world.server.say("bad of", Answer::Value(51.0));
    world.pass(5);
    let second = world.count(first.scrape.as_ref()).await;
    assert_eq!(world.counted(&second), [120, 1]);
    assert!(world.server.heard.lock().unwrap()[0].starts_with("total of w-"));
}

#[tokio::test]
async fn a_source_that_the_host_does_not_know_is_an_error_that_says_so() {
    let mut world = world(silent(), requests(), false);
    world.sources.servers.clear();
    let counting = world.count(None).await;
    let TrafficSeen::SourceError(why) = &counting.seen else {
        panic!("{:?}", counting.seen)
    };
    assert!(why.contains("no source `prom`"), "{why}");
}

#[tokio::test]
async fn plain_numbers_are_read_where_a_condition_asks_for_them() {
    let world = world(silent(), Query::Value("quality of ${revision}".into()), false);
    world.server.say("quality of", Answer::Value(0.9));
    let values = world.sources.values(&world.run, sample::ROLLOUT).await;
    assert_eq!(
        values,
        BTreeMap::from([("asked".to_owned(), Reading::Number(0.9))])
    );
    world.server.say("quality of", Answer::NoData("null".into()));
    let values = world.sources.values(&world.run, sample::ROLLOUT).await;
    assert_eq!(values["asked"], Reading::NoData);
}

fn collect(source: &str) -> Collect {
    Collect {
        metrics: vec!["a.latency".into(), "b.latency".into()],
        duration: Span::minutes(5),
        source: source.into(),
    }
}

#[tokio::test]
async fn what_is_collected_is_asked_for_once_its_interval_is_whole() {
    let world = world(silent(), requests(), false);
    let now = world.clock.now();
    let (from, to) = (now - Span::minutes(5), now);
    let prom = collect("prom");
    assert_eq!(world.sources.measure(&prom, from, to).await, Measured::NotYet);
    world.pass(60);
    world.server.say("a.latency", Answer::Value(0.2));
    let one = Measured::Numbers {
        numbers: [("a.latency".to_owned(), 0.2)].into(),
        silence: "b.latency: no series matches".into(),
    };
    assert_eq!(world.sources.measure(&prom, from, to).await, one);
    world.server.say("b.latency", Answer::Error("503".into()));
    let failed = Measured::Failed("b.latency: 503".into());
    assert_eq!(world.sources.measure(&prom, from, to).await, failed);
    assert_eq!(world.sources.unknown(&prom), None);
    let unknown = world.sources.unknown(&collect("datadog")).unwrap();
    assert!(unknown.contains("--source datadog="), "{unknown}");
}

#[tokio::test]
async fn gpus_are_asked_by_pod_and_a_silent_exporter_is_no_trouble() {
    let world = world(silent(), Query::Gpus("xids of ${revision}".into()), true);
    let said = async |world: &World| world.sources.gpus(&world.run, sample::ROLLOUT).await;
    assert_eq!(
        said(&world).await,
        Some(BTreeMap::new()),
        "no series: nobody has said anything"
    );
    world.server.say("xids", Answer::Error("it answered 503".into()));
    assert_eq!(said(&world).await, None);
    assert_eq!(
        *world.server.heard.lock().unwrap(),
        [
            format!("xids of w-{}", world.candidate),
            format!("xids of w-{}", world.candidate)
        ]
    );
}
