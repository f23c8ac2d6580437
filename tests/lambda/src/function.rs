//! One function: a program and the events it is given.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;

use crate::runtime::{Event, Outcome, Runtime};

/// What came of a request to a function URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invoked {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// A function.
#[derive(Clone)]
pub struct Function {
    inner: Arc<Inner>,
}

struct Inner {
    program: PathBuf,
    variables: Vec<(String, String)>,
    limit: Duration,
    runtime: Runtime,
    child: Mutex<Option<Child>>,
    /// One event at a time.
    turn: Mutex<()>,
}

impl Function {
    /// A program with its environment, which has `limit` for an event. It starts with its first event.
    ///
    /// # Errors
    /// No port is free.
    pub async fn new(
        program: impl Into<PathBuf>,
        variables: Vec<(String, String)>,
        limit: Duration,
    ) -> io::Result<Self> {
        let inner = Inner {
            program: program.into(),
            variables,
            limit,
            runtime: Runtime::serve().await?,
            child: Mutex::default(),
            turn: Mutex::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Hands an event over and waits for what comes of it.
    ///
    /// # Errors
    /// The program answered with an error, ended, or took longer than it may; then it is ended.
    pub async fn invoke(&self, payload: Value) -> Outcome {
        let _turn = self.inner.turn.lock().await;
        let mut child = self.inner.start().await.map_err(|error| error.to_string())?;
        let (answer, answered) = oneshot::channel();
        let event = Event {
            payload,
            limit: self.inner.limit,
            answer,
        };
        let over = async {
            let sent = self.inner.runtime.events.send(event).await;
            sent.map_err(|_| "the interface is gone".to_owned())?;
            answered.await.unwrap_or_else(|_| Err("no answer".to_owned()))
        };
        let outcome = tokio::select! {
            outcome = timeout(self.inner.limit, over) => Some(outcome),
            ended = child.wait() => {
                self.inner.runtime.ended(&format!("the program ended: {ended:?}")).await;
                None
            }
        };
        match outcome {
            Some(Ok(outcome)) => {
                *self.inner.child.lock().await = Some(child);
                outcome
            }
            Some(Err(_)) => {
                let _ = child.kill().await;
                self.inner.runtime.ended("timed out").await;
                Err("the event took longer than the function may".to_owned())
            }
            None => Err("the program ended".to_owned()),
        }
    }

    /// A request to the function's URL, payload format 2.0, the body in base64 as Lambda wraps bytes.
    ///
    /// # Errors
    /// As for any event.
    pub async fn request(&self, headers: &[(&str, &str)], body: &[u8]) -> Result<Invoked, String> {
        let headers: serde_json::Map<String, Value> = headers
            .iter()
            .map(|(name, value)| (name.to_lowercase(), json!(value)))
            .collect();
        let event = json!({
            "version": "2.0",
            "rawPath": "/",
            "rawQueryString": "",
            "headers": headers,
            "requestContext": { "http": { "method": "POST", "path": "/" } },
            "body": STANDARD.encode(body),
            "isBase64Encoded": true,
        });
        let answer = self.invoke(event).await?;
        let status = answer["statusCode"]
            .as_u64()
            .and_then(|status| u16::try_from(status).ok());
        Ok(Invoked {
            status: status.ok_or_else(|| format!("no status: {answer}"))?,
            body: answer["body"].as_str().unwrap_or_default().to_owned(),
        })
    }

    /// Ends the program as the kernel would, whatever it does. The next event starts another.
    pub async fn kill(&self) {
        if let Some(mut child) = self.inner.child.lock().await.take() {
            let _ = child.kill().await;
            self.inner.runtime.ended("killed").await;
        }
    }
}

impl Inner {
    /// The program, running.
    async fn start(&self) -> io::Result<Child> {
        if let Some(mut child) = self.child.lock().await.take()
            && child.try_wait()?.is_none()
        {
            return Ok(child);
        }
        Command::new(&self.program)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", self.runtime.address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "local")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "local")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "local")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    }
}
