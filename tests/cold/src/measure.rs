//! One start of a program.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use tokio::time::{Instant, timeout};

use crate::runtime::Runtime;

/// A program that has not asked for an event by then never will.
const LIMIT: Duration = Duration::from_secs(20);

/// Events after the first.
const WARM: usize = 20;

/// What was measured.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// From its start to its request for an event.
    pub(crate) ready: Duration,
    /// From the first event to its answer.
    pub(crate) first: Duration,
    /// The same for those that follow: their median.
    pub(crate) warm: Duration,
}

/// Where AWS is for a program.
pub(crate) struct Aws<'a> {
    /// Its address.
    pub(crate) url: &'a str,
    /// Who signs for it, if it speaks TLS.
    pub(crate) authority: &'a Path,
}

/// A program, and what it is given.
pub(crate) struct Program {
    file: PathBuf,
    event: String,
    variables: Vec<(&'static str, String)>,
}

impl Program {
    pub(crate) fn new(file: &Path, event: &str, calls: Option<&str>) -> Self {
        let settings = [
            ("AWS_ACCESS_KEY_ID", "ASIA"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "session"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "g"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "s"),
            ("WEIR_TABLE", "weir"),
            ("WEIR_STEPS_QUEUE_URL", "http://queue/steps"),
            ("WEIR_STEPS_QUEUE_ARN", "arn"),
            ("WEIR_TRAFFIC_QUEUE_URL", "http://queue/traffic"),
            ("WEIR_TRAFFIC_QUEUE_ARN", "arn"),
            ("WEIR_DEAD_LETTERS_URL", "http://queue/dead"),
            ("WEIR_SCHEDULE_GROUP", "weir"),
            ("WEIR_SCHEDULE_ROLE_ARN", "arn"),
            ("WEIR_SECRET_ID", "weir"),
            ("WEIR_CLUSTERS", "prod=eu-central-1/prod-1"),
        ];
        let mut variables: Vec<_> = settings
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        variables.extend(calls.map(|calls| ("FLOOR_CALLS", calls.to_owned())));
        Self {
            file: file.to_owned(),
            event: event.to_owned(),
            variables,
        }
    }

    /// Starts it, gives it events one after another, and ends it.
    pub(crate) async fn start(&self, to: &Aws<'_>) -> Result<Sample> {
        let name = self.file.display();
        let runtime = Runtime::listen().await?;
        let mut command = Command::new(&self.file);
        command
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("AWS_ENDPOINT_URL", to.url)
            .env("SSL_CERT_FILE", to.authority)
            .env("AWS_LAMBDA_RUNTIME_API", &runtime.address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let begun = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("{name} does not start"))?;
        let _running = Running(child);
        let measured = timeout(LIMIT, self.talk(runtime, begun)).await;
        measured.with_context(|| format!("{name} does not ask for an event"))?
    }

    async fn talk(&self, mut runtime: Runtime, begun: Instant) -> Result<Sample> {
        let mut next = runtime.expect("GET", "/invocation/next").await?;
        let ready = next.at - begun;
        let mut took = Vec::new();
        for _ in 0..=WARM {
            let headers = format!(
                "Lambda-Runtime-Aws-Request-Id: 1\r\nLambda-Runtime-Deadline-Ms: {}\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:000000000000:function:f\r\n\
                 Lambda-Runtime-Trace-Id: Root=1-0-0\r\n",
                deadline()?
            );
            let given = Instant::now();
            next.give(headers, &self.event);
            let answered = runtime.expect("POST", "/response").await?;
            took.push(answered.at - given);
            answered.take();
            next = runtime.expect("GET", "/invocation/next").await?;
        }
        let first = took.remove(0);
        took.sort_unstable();
        Ok(Sample {
            ready,
            first,
            warm: took[WARM / 2],
        })
    }
}

/// A program that ends with its measurement.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn deadline() -> Result<u128> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok((now + Duration::from_secs(30)).as_millis())
}
