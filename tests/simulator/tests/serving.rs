//! The simulator and the load driver against each other, in one process, on 127.0.0.1.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use weir_simulator::load::{Book, Options, Range, Stats, Target, drive};
use weir_simulator::{Control, Crash, End, Model, Simulator};

/// Longest wait for anything that is polled.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two polls.
const POLL: Duration = Duration::from_millis(5);

struct Running {
    address: SocketAddr,
    control: Control,
    end: JoinHandle<End>,
}

impl Running {
    async fn start(model: &str) -> Self {
        let model = Model::parse(model.as_bytes()).unwrap();
        let simulator = Simulator::bind("127.0.0.1:0".parse().unwrap(), model)
            .await
            .unwrap();
        let (address, control) = (simulator.address().unwrap(), simulator.control());
        Self {
            address,
            control,
            end: tokio::spawn(simulator.run()),
        }
    }

    async fn ready(model: &str) -> Self {
        let running = Self::start(model).await;
        running.until_ready().await;
        running
    }

    /// Every different answer of `/health` until the first 200, that one included.
    async fn until_ready(&self) -> Vec<String> {
        let mut answers: Vec<String> = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "never ready: {answers:?}");
            let (status, body) = get(self.address, "/health").await;
            let answer = format!("{status} {body}");
            if answers.last() != Some(&answer) {
                answers.push(answer);
            }
            if status == 200 {
                return answers;
            }
            sleep(POLL).await;
        }
    }

    async fn ended(self) -> End {
        timeout(PATIENCE, self.end)
            .await
            .expect("the simulator ends")
            .unwrap()
    }

    fn options(&self, seconds: f64) -> Options {
        Options {
            duration: Duration::from_secs_f64(seconds),
            stream_seconds: Range { from: 0.2, to: 0.4 },
            tokens_per_second: 50.0,
            ..Options::new(Target::new(self.address).unwrap())
        }
    }

    async fn sample(&self, series: &str) -> u64 {
        let (_, page) = get(self.address, "/metrics").await;
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(series))
            .map(str::trim);
        line.unwrap_or_else(|| panic!("no {series} in\n{page}"))
            .parse()
            .unwrap()
    }
}

async fn ask(address: SocketAddr, request: &str, body: &str) -> (u16, Response<hyper::body::Incoming>) {
    let (method, path) = request.split_once(' ').unwrap();
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"));
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let response = client.request(request).await.unwrap();
    (response.status().as_u16(), response)
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let (status, response) = ask(address, &format!("GET {path}"), "").await;
    (status, text(response).await)
}

async fn text(response: Response<hyper::body::Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Drives a load to its end; returns its report lines and the last one.
async fn load(options: Options) -> (Vec<Value>, Value) {
    let mut lines = Vec::new();
    let report = |line: &Value| lines.push(line.clone());
    drive(options, Arc::new(Book::default()), pending(), report)
        .await
        .unwrap();
    let last = lines.pop().unwrap();
    (lines, last)
}

fn count(value: &Value, key: &str) -> u64 {
    value[key]
        .as_u64()
        .unwrap_or_else(|| panic!("no count {key} in {value}"))
}

#[tokio::test]
async fn a_healthy_model_serves_everything_and_both_sides_count_the_same() {
    let running = Running::start(
        r#"{"name":"m","version":"v7","load_seconds":1,"warm_up_generations":2,
            "latency_ms":{"p50":5,"p99":20},"tokens":{"min":4,"max":8,"per_second":50}}"#,
    )
    .await;
    let health = running.until_ready().await;
    assert!(health[0].starts_with("503 loading 0."), "{health:?}");
    assert!(health[0].ends_with(" of 1.0 s"), "{health:?}");
    assert_eq!(health.last().unwrap(), r#"200 {"status":"ok","version":"v7"}"#);

    let (lines, last) = load(running.options(3.0)).await;
    let total = &last["total"];
    let ok = count(total, "ok");
    assert!((100..=150).contains(&ok), "{last}");
    assert_eq!(
        (count(total, "sent"), count(total, "failed"), count(total, "cut")),
        (ok, 0, 0),
        "{last}"
    );
    assert_eq!(count(&total["by_version"]["v7"], "ok"), ok);
    assert!(lines.len() >= 2);
    assert!(lines.iter().map(|line| count(line, "ok")).sum::<u64>() <= ok);

    let labels = r#"engine="0",model_name="m""#;
    let served = r#"http_requests_total{method="POST",code="200",path="/v1/completions"}"#;
    assert_eq!(running.sample(served).await, ok);
    assert_eq!(running.sample("http_request_duration_seconds_count").await, ok);
    assert_eq!(
        running
            .sample(&format!("vllm:e2e_request_latency_seconds_count{{{labels}}}"))
            .await,
        ok
    );
    assert_eq!(
        running
            .sample(&format!("vllm:time_to_first_token_seconds_count{{{labels}}}"))
            .await,
        ok
    );
    assert_eq!(
        running
            .sample(&format!("vllm:num_requests_running{{{labels}}}"))
            .await,
        0
    );
    let finished =
        |reason: &str| format!("vllm:request_success_total{{{labels},finished_reason=\"{reason}\"}}");
    // Only streams ask for a length.
    let (streams, rest) = (
        running.sample(&finished("length")).await,
        running.sample(&finished("stop")).await,
    );
    assert_eq!(streams + rest, ok);
    assert!(streams > 20 && rest > 60, "{streams} streams, {rest} others");
    let per_stream = format!("vllm:request_time_per_output_token_seconds_count{{{labels}}}");
    assert_eq!(running.sample(&per_stream).await, streams);
}

#[tokio::test]
async fn errors_and_cuts_of_the_model_are_counted_each_as_what_it_is() {
    let running = Running::ready(
        r#"{"version":"bad","load_seconds":0,"warm_up_generations":0,"error_ratio":0.3,"cut_share":0.5,
            "latency_ms":{"p50":5,"p99":20},"tokens":{"per_second":50}}"#,
    )
    .await;
    let options = Options {
        rps: 100.0,
        streams: 0.5,
        ..running.options(2.0)
    };
    let (_, last) = load(options).await;
    let bad = &last["total"]["by_version"]["bad"];
    let (ok, failed, cut) = (count(bad, "ok"), count(bad, "failed"), count(bad, "cut"));
    assert!(failed > 15 && cut > 5, "{last}");
    assert_eq!(ok + failed + cut, count(&last["total"], "sent"));
    let answers =
        |code: u16| format!(r#"http_requests_total{{method="POST",code="{code}",path="/v1/completions"}}"#);
    assert_eq!(running.sample(&answers(500)).await, failed);
    assert_eq!(running.sample(&answers(200)).await, ok + cut);
    assert_eq!(running.sample("http_responses_cut_total").await, cut);
    assert_eq!(last["failures"].as_array().unwrap().len(), 20);
    assert_eq!(last["failures"][0]["version"], "bad");
}

#[tokio::test]
async fn errors_under_load_show_only_under_load() {
    let running = Running::ready(
        r#"{"load_seconds":0,"warm_up_generations":0,"load_window_seconds":1,
            "error_ratio_above_rps":{"rps":20,"ratio":1},"latency_ms":{"p50":5,"p99":20}}"#,
    )
    .await;
    let (_, quiet) = load(Options {
        rps: 8.0,
        streams: 0.0,
        ..running.options(1.5)
    })
    .await;
    assert_eq!(count(&quiet["total"], "failed"), 0, "{quiet}");
    let (_, loaded) = load(Options {
        rps: 60.0,
        streams: 0.0,
        ..running.options(1.5)
    })
    .await;
    assert!(count(&loaded["total"], "failed") > 30, "{loaded}");
    assert_eq!(loaded["failures"][0]["what"], "status 500");
}

#[tokio::test]
async fn a_crash_cuts_the_streams_under_way_and_refuses_what_follows() {
    let running = Running::ready(
        r#"{"version":"v3","load_seconds":0,"warm_up_generations":0,"crash_after_requests":60,
            "latency_ms":{"p50":5,"p99":20},"tokens":{"per_second":20}}"#,
    )
    .await;
    let options = Options {
        rps: 80.0,
        streams: 0.5,
        stream_seconds: Range { from: 3.0, to: 3.0 },
        tokens_per_second: 20.0,
        ..running.options(1.5)
    };
    let (_, last) = load(options).await;
    assert_eq!(
        running.ended().await,
        crashed("segmentation fault in request 60", 139)
    );
    let total = &last["total"];
    assert!(count(&total["by_version"]["v3"], "cut") > 15, "{last}");
    assert!(count(&total["by_version"]["unknown"], "failed") > 30, "{last}");
    let ended = count(total, "ok") + count(total, "failed") + count(total, "cut");
    assert_eq!(count(total, "sent"), ended, "{last}");
}

#[tokio::test]
async fn a_drain_lets_streams_end_and_answers_what_still_arrives() {
    let model = r#"{"load_seconds":0,"warm_up_generations":0,"drain_quiet_ms":100,
        "latency_ms":{"p50":2,"p99":4},"tokens":{"min":30,"max":30,"per_second":40}}"#;
    let running = Running::ready(model).await;
    let address = running.address;
    let (status, stream) = ask(address, "POST /inference", r#"{"input":"a","stream":true}"#).await;
    assert_eq!(status, 200);
    running.control.stop();
    let (status, late) = ask(address, "POST /inference", r#"{"input":"b"}"#).await;
    assert_eq!(status, 200);
    assert_eq!(late.headers()["connection"], "close");
    assert_eq!(late.headers()["x-model-version"], "v0");
    assert!(!running.end.is_finished());
    let stream = text(stream).await;
    assert_eq!(stream.matches("data: {").count(), 30);
    assert!(
        stream.ends_with("\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"),
        "{stream}"
    );
    assert_eq!(running.ended().await, End::Drained);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_second_request_to_stop_cuts_what_is_under_way() {
    let model = r#"{"load_seconds":0,"warm_up_generations":0,"latency_ms":{"p50":2,"p99":4},
        "tokens":{"min":1000,"max":1000,"per_second":10}}"#;
    let running = Running::ready(model).await;
    let (_, stream) = ask(
        running.address,
        "POST /inference",
        r#"{"input":"a","stream":true}"#,
    )
    .await;
    running.control.stop();
    running.control.stop();
    assert_eq!(running.ended().await, End::Stopped);
    assert!(stream.into_body().collect().await.is_err());
}

#[tokio::test]
async fn requests_that_are_none_get_their_status_and_a_load_on_a_loading_model_fails() {
    let running = Running::start(r#"{"load_seconds":60}"#).await;
    let (status, _) = ask(running.address, "POST /inference", r#"{"input":"a"}"#).await;
    assert_eq!(status, 503);
    let ready = Running::ready(r#"{"load_seconds":0,"warm_up_generations":0}"#).await;
    let large = format!(r#"{{"input":"{}"}}"#, "x".repeat(1024 * 1024));
    for (request, body, expected) in [
        ("POST /inference", "no JSON", 400),
        ("POST /inference", "{}", 400),
        ("POST /inference", large.as_str(), 413),
        ("GET /inference", "", 405),
        ("POST /health", "", 405),
        ("GET /nowhere", "", 404),
    ] {
        assert_eq!(ask(ready.address, request, body).await.0, expected, "{request}");
    }
}

#[tokio::test]
async fn statistics_are_served_while_the_load_runs() {
    let running = Running::ready(
        r#"{"version":"v1","load_seconds":0,"warm_up_generations":0,"latency_ms":{"p50":2,"p99":4}}"#,
    )
    .await;
    let book = Arc::new(Book::default());
    let stats = Stats::bind("127.0.0.1:0".parse().unwrap(), book.clone())
        .await
        .unwrap();
    let address = stats.address().unwrap();
    let served = tokio::spawn(stats.run());
    let options = Options {
        streams: 0.0,
        ..running.options(60.0)
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let driven = tokio::spawn(drive(
        options,
        book,
        async { stopped.await.unwrap_or_default() },
        |_: &Value| {},
    ));

    let (status, _) = ask(address, "POST /mark?name=shift", "").await;
    assert_eq!(status, 200);
    let deadline = Instant::now() + PATIENCE;
    let totals = loop {
        let totals: Value = serde_json::from_str(&get(address, "/totals").await.1).unwrap();
        if count(&totals["since"]["shift"], "ok") >= 10 {
            break totals;
        }
        assert!(Instant::now() < deadline, "{totals}");
        sleep(POLL).await;
    };
    assert_eq!(count(&totals["since"]["shift"]["by_version"]["v1"], "failed"), 0);
    stop.send(()).unwrap();
    timeout(PATIENCE, driven)
        .await
        .expect("the load stops when it is told to")
        .unwrap()
        .unwrap();
    served.abort();
}

#[tokio::test]
async fn one_process_can_be_spoiled_whatever_its_model_is() {
    let running = Running::ready(
        r#"{"load_seconds":0,"warm_up_generations":0,"latency_ms":{"p50":2,"p99":4},
            "tokens":{"min":1,"max":2,"per_second":50}}"#,
    )
    .await;
    let inference = async || {
        ask(running.address, "POST /inference", r#"{"input":"x"}"#)
            .await
            .0
    };
    assert_eq!(inference().await, 200);
    let spoil = async |fault: &str| {
        let (status, response) = ask(running.address, "POST /fault", fault).await;
        (status, text(response).await)
    };
    assert_eq!(
        spoil(r#"{"error_ratio":1}"#).await,
        (200, r#"{"error_ratio":1}"#.to_owned())
    );
    assert_eq!(inference().await, 500);
    for wrong in ["", "{}", r#"{"error_ratio":2}"#, r#"{"error_ratio":0,"more":1}"#] {
        let (status, why) = spoil(wrong).await;
        assert!(status == 400 && why.contains("expected"), "{wrong}: {why}");
    }
    spoil(r#"{"error_ratio":0}"#).await;
    assert_eq!(inference().await, 200);
    let served = r#"http_requests_total{method="POST",code="500",path="/inference"}"#;
    assert_eq!(running.sample(served).await, 1, "what spoils it is no request");
}

#[tokio::test]
async fn a_process_is_told_to_be_ready_no_more_or_to_end() {
    for (fault, ends) in [
        (r#""crash""#, crashed("segmentation fault as it was told", 139)),
        (r#""out_of_memory""#, crashed("out of memory as it was told", 137)),
    ] {
        let running = Running::ready(r#"{"load_seconds":0,"warm_up_generations":0}"#).await;
        assert_eq!(ask(running.address, "POST /fault", r#""unready""#).await.0, 200);
        assert_eq!(ask(running.address, "GET /health", "").await.0, 503);
        assert_eq!(
            ask(running.address, "POST /inference", r#"{"input":"x"}"#)
                .await
                .0,
            200
        );
        assert_eq!(ask(running.address, "POST /fault", fault).await.0, 200);
        assert_eq!(running.ended().await, ends);
    }
}

fn crashed(reason: &str, status: i32) -> End {
    End::Crashed(Crash {
        reason: reason.to_owned(),
        status,
    })
}
