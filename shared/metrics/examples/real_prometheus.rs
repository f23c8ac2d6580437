//! The Prometheus source against a real server: `make prometheus`.
//!
//! Starts the server that the argument names, lets it scrape counters and a histogram of two revisions, and asks what a
//! rollout would ask. Every figure must be the one that was counted.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a check that cannot go on fails"
)]

use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use weir_domain::pipeline::Query;
use weir_domain::time::{Span, Timestamp};
use weir_metrics::provider::{Answer, Authorization, Fold, Prometheus, Provider, Window};
use weir_spec::{Scope, SourceFile, load};

/// Ends the server with the check.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn page(n: u64) -> String {
    let (bad, fast) = (n / 10, n * 9 / 10);
    format!(
        "http_requests_total{{pod=\"w-a-1\",code=\"200\"}} {ok}\n\
         http_requests_total{{pod=\"w-a-1\",code=\"500\"}} {bad}\n\
         http_requests_total{{pod=\"w-b-1\",code=\"200\"}} {n}\n\
         ttft_bucket{{pod=\"w-a-1\",le=\"0.5\"}} {fast}\n\
         ttft_bucket{{pod=\"w-a-1\",le=\"+Inf\"}} {n}\n\
         nothing_total{{pod=\"w-a-1\"}} 0\n{GPUS}",
        ok = n - bad
    )
}

/// What DCGM's exporter says of three pods; of the second one after its own pod took the names.
const GPUS: &str = r#"DCGM_FI_DEV_XID_ERRORS{gpu="0",UUID="GPU-a",pod="w-a-1",namespace="live",err_code="79"} 79
DCGM_FI_DEV_THERMAL_VIOLATION{gpu="0",UUID="GPU-a",pod="w-a-1",namespace="live"} 5
DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-a",pod="w-a-1",namespace="live"} 91
DCGM_FI_DEV_XID_ERRORS{gpu="0",UUID="GPU-b",pod="dcgm-x",namespace="gpu",exported_pod="w-a-2",exported_namespace="live"} 48
DCGM_FI_DEV_ECC_DBE_VOL_TOTAL{gpu="0",UUID="GPU-b",pod="dcgm-x",namespace="gpu",exported_pod="w-a-2"} 2
DCGM_FI_DEV_XID_ERRORS{gpu="0",UUID="GPU-c",pod="w-b-1",namespace="live"} 31
"#;

/// What `preset: dcgm` asks about the GPUs of a revision.
fn gpus(revision: &str) -> String {
    let file = SourceFile::new("metrics.yaml", "metrics: {gpus: {source: prom, preset: dcgm}}");
    let measures = load(&[file], Scope::OneFile).definition.measures.into_values();
    let mut queries = measures.filter_map(|measure| match measure.query {
        Query::Gpus(query) => Some(query),
        _ => None,
    });
    let query = queries.next().expect("the preset asks");
    query
        .replace("${revision}", revision)
        .replace("${namespace}", "live")
}

#[expect(clippy::disallowed_methods, reason = "the server's clock is this machine's")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(i64::try_from(since.unwrap().as_millis()).unwrap())
}

async fn sum(prometheus: &Prometheus, query: &str) -> Option<f64> {
    match prometheus.series(query, now()).await {
        Answer::Value(series) => Some(series.values().sum()),
        _ => None,
    }
}

/// Asks until the answer is this one; a scrape comes every second.
async fn becomes(prometheus: &Prometheus, query: &str, expected: f64) {
    for _ in 0..40 {
        if sum(prometheus, query).await == Some(expected) {
            return println!("{query} = {expected}");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!(
        "{query}: expected {expected}, found {:?}",
        prometheus.series(query, now()).await
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let binary = std::env::args()
        .nth(1)
        .expect("the server's executable is the argument");
    let counted = Arc::new(AtomicU64::new(1_000));
    let shown = counted.clone();
    let app = Router::new().route("/metrics", get(async move || page(shown.load(Ordering::SeqCst))));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let folder = std::env::temp_dir().join(format!("weir-prometheus-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let config = folder.join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: pods, static_configs: [{{targets: ['{target}']}}]}}]\n"
    );
    std::fs::write(&config, text).unwrap();
    let server = Command::new(binary)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address={free}"))
        .arg("--log.level=error")
        .spawn();
    let _server = Server(server.expect("the server starts"));

    let prometheus = Prometheus::new(&format!("http://{free}"), Authorization::None).unwrap();
    let (all, bad) = (
        r#"http_requests_total{pod=~"w-a-.*"}"#,
        r#"http_requests_total{pod=~"w-a-.*",code=~"5.."} or vector(0)"#,
    );
    becomes(&prometheus, all, 1_000.0).await;
    becomes(&prometheus, bad, 100.0).await;
    becomes(
        &prometheus,
        r#"http_requests_total{pod=~"w-b-.*",code=~"5.."} or vector(0)"#,
        0.0,
    )
    .await;
    counted.store(1_730, Ordering::SeqCst);
    becomes(&prometheus, all, 1_730.0).await;
    becomes(&prometheus, bad, 173.0).await;
    becomes(&prometheus, r#"ttft_bucket{pod=~"w-a-.*",le="0.5"}"#, 1_557.0).await;
    // Four of the six series: other names and other revisions say nothing.
    becomes(&prometheus, &gpus("w-a"), 79.0 + 5.0 + 48.0 + 2.0).await;
    becomes(&prometheus, &gpus("w-b"), 31.0).await;

    let window = Window {
        from: now() - Span::seconds(60),
        to: now(),
    };
    let number = async |query: &str| prometheus.number(query, window, Fold::Sum).await;
    let total = number(&format!("sum({all})")).await;
    assert_eq!(total, Answer::Value(1_730.0));
    assert!(matches!(
        number("sum(http_requests_total{pod=\"none\"})").await,
        Answer::NoData(_)
    ));
    let none = number("sum(nothing_total) / sum(nothing_total)").await;
    assert!(matches!(none, Answer::NoData(_)), "0 of 0: {none:?}");
    let several = number("http_requests_total").await;
    assert!(matches!(several, Answer::Error(_)), "{several:?}");
    let Answer::Error(why) = number("sum(").await else {
        panic!("a query that cannot be parsed")
    };
    assert!(why.contains("bad_data") && why.contains("parse error"), "{why}");
    let increase = number(&format!(
        "sum(increase(http_requests_total{{pod=~\"w-a-.*\"}}[{}s]))",
        window.seconds()
    ))
    .await;
    println!("increase over a minute: {increase:?}, counted 730");
    let _ = std::fs::remove_dir_all(&folder);
    println!("the source and a real Prometheus agree");
}
