//! Users: requests and streams through the gateway, and what became of them.

use std::process::Stdio;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::cluster::{Cluster, built, shared};

/// What users ask for.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Requests a second.
    pub rps: u32,
    /// So many of a hundred are streams.
    pub streams: u8,
    /// Shortest and longest stream, in seconds.
    pub seconds: (f64, f64),
    /// Tokens a second of a stream, as the model sends them.
    pub tokens: u32,
}

impl Mix {
    /// So many requests a second, three of ten streams of one to two seconds.
    pub fn of(rps: u32) -> Self {
        Self {
            rps,
            streams: 30,
            seconds: (1.0, 2.0),
            tokens: 20,
        }
    }
}

/// Users that ask all along.
pub struct Load {
    // Ends with its own input.
    _process: Child,
    stats: String,
}

impl Load {
    /// Starts users of a host.
    ///
    /// # Panics
    /// They cannot be started.
    pub async fn start(host: &str, mix: Mix) -> Self {
        Self::at(shared(), host, mix).await
    }

    /// The same at the gateway of another cluster.
    ///
    /// # Panics
    /// They cannot be started.
    pub async fn at(cluster: &Cluster, host: &str, mix: Mix) -> Self {
        let program = built("weir-simulator", "weir-load").expect("the load driver can be built");
        let mut process = Command::new(program)
            .args([
                "--target",
                &cluster.gateway,
                "--host",
                host,
                "--rps",
                &mix.rps.to_string(),
            ])
            .args([
                "--streams",
                &format!("{:.2}", f64::from(mix.streams) / 100.0),
                "--stream-seconds",
                &format!("{}..{}", mix.seconds.0, mix.seconds.1),
                "--tokens-per-second",
                &mix.tokens.to_string(),
            ])
            .args([
                "--duration",
                "360m",
                "--stop-on-stdin-close",
                "--stats-listen",
                "127.0.0.1:0",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the load driver can be started");
        let output = process.stdout.take().expect("its output is a pipe");
        let mut lines = BufReader::new(output).lines();
        let line = lines
            .next_line()
            .await
            .ok()
            .flatten()
            .expect("it says where its counts are");
        // Nobody reads its reports, and a full pipe would stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let line: Value = serde_json::from_str(&line).expect("its first line is JSON");
        let stats = line["stats"].as_str().expect("it tells its counts").to_owned();
        Self {
            _process: process,
            stats,
        }
    }

    /// Expects that every request so far was answered, and none cut.
    ///
    /// # Panics
    /// One was not; or the driver is gone.
    pub async fn expect_nothing_lost(&self, what: &str) {
        let totals = self.totals().await;
        let total = &totals["total"];
        eprintln!("{what}: {total}");
        let none = json!(0);
        assert_eq!(
            (&total["failed"], &total["cut"]),
            (&none, &none),
            "{what}: {totals}"
        );
    }

    /// How many requests failed or were cut, by the second since 1970.
    ///
    /// # Panics
    /// The driver is gone.
    pub async fn lost_by_second(&self) -> Value {
        self.totals().await["total"]["lost_by_second"].take()
    }

    /// What became of all requests so far.
    ///
    /// # Panics
    /// The driver is gone.
    pub async fn totals(&self) -> Value {
        let request = http::Request::get(format!("{}/totals", self.stats))
            .body(Empty::<Bytes>::new())
            .expect("its address is one");
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.request(request).await.expect("the driver answers");
        let body = answer
            .into_body()
            .collect()
            .await
            .expect("its answer is short")
            .to_bytes();
        serde_json::from_slice(&body).expect("its counts are JSON")
    }
}
