//! One start of a program.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use crate::http;

/// A program that has not asked for an event by then never will.
const LIMIT: Duration = Duration::from_secs(20);

/// What was measured.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// From its start to its request for an event.
    pub(crate) ready: Duration,
    /// From the event to its answer.
    pub(crate) first: Duration,
}

/// A program, and what it is given.
pub(crate) struct Program {
    file: PathBuf,
    event: String,
    variables: Vec<(&'static str, String)>,
}

impl Program {
    pub(crate) fn new(file: &Path, event: &str, aws: &str, calls: bool) -> Self {
        let settings = [
            ("AWS_ACCESS_KEY_ID", "ASIA"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "session"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ENDPOINT_URL", aws),
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
        if calls {
            variables.push(("FLOOR_CALLS", "1".to_owned()));
        }
        Self {
            file: file.to_owned(),
            event: event.to_owned(),
            variables,
        }
    }

    /// Starts it, gives it one event, and ends it.
    pub(crate) async fn start(&self) -> Result<Sample> {
        let name = self.file.display();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut command = Command::new(&self.file);
        command
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let begun = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("{name} does not start"))?;
        let _running = Running(child);
        let measured = timeout(LIMIT, self.talk(&listener, begun)).await;
        measured.with_context(|| format!("{name} does not ask for an event"))?
    }

    async fn talk(&self, listener: &TcpListener, begun: Instant) -> Result<Sample> {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let asked = expect(&mut stream, "GET ").await?;
        ensure!(asked.contains("/invocation/next"), "it asked for {asked}");
        let ready = begun.elapsed();
        let given = Instant::now();
        let headers = format!(
            "Lambda-Runtime-Aws-Request-Id: 1\r\nLambda-Runtime-Deadline-Ms: {}\r\n\
             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:000000000000:function:f\r\n\
             Lambda-Runtime-Trace-Id: Root=1-0-0\r\n",
            deadline()?
        );
        http::answer(&mut stream, &headers, &self.event).await?;
        // The answer may come on another connection.
        let answered = tokio::select! {
            same = expect(&mut stream, "POST ") => same?,
            other = async { expect(&mut listener.accept().await?.0, "POST ").await } => other?,
        };
        ensure!(answered.contains("/response"), "the event failed: {answered}");
        Ok(Sample {
            ready,
            first: given.elapsed(),
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

async fn expect(stream: &mut TcpStream, method: &str) -> Result<String> {
    let request = http::next(stream).await?.context("it hung up")?;
    ensure!(request.line.starts_with(method), "it sent {}", request.line);
    Ok(request.line)
}

fn deadline() -> Result<u128> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok((now + Duration::from_secs(30)).as_millis())
}
