//! One function: a program, as many sandboxes of it as are needed, and the events it is given.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use crate::runtime::Outcome;
use crate::sandbox::{Program, Sandbox, Sleep};

/// What came of a request to a function URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invoked {
    /// HTTP status.
    pub status: u16,
    /// Type of the body.
    pub content_type: String,
    /// The body.
    pub body: String,
}

/// A function.
#[derive(Clone)]
pub struct Function {
    inner: Arc<Inner>,
}

struct Inner {
    program: Program,
    /// Events that may be handled at once.
    turns: Semaphore,
    sandboxes: Mutex<Sandboxes>,
    /// Rung when an event comes.
    started: Notify,
    tally: Mutex<Tally>,
}

/// What a function was asked for so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Events.
    pub events: u64,
    /// Time that programs had events, in all.
    pub millis: u64,
}

#[derive(Default)]
struct Sandboxes {
    idle: Vec<Arc<Sandbox>>,
    busy: Vec<Arc<Sandbox>>,
}

impl Function {
    /// A program that handles at most so many events at once. It starts with its first event.
    pub fn new(program: Program, at_once: usize) -> Self {
        let inner = Inner {
            program,
            turns: Semaphore::new(at_once),
            sandboxes: Mutex::default(),
            started: Notify::new(),
            tally: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Hands an event over and waits for what comes of it.
    ///
    /// # Errors
    /// The program answered with an error, ended, or took longer than it may; then it is ended.
    pub async fn invoke(&self, payload: Value) -> Outcome {
        self.invoke_and_let_sleep(payload, None).await
    }

    /// The same for an event whose program falls asleep over it.
    pub(crate) async fn invoke_and_let_sleep(&self, payload: Value, asleep: Option<Sleep>) -> Outcome {
        let _turn = self
            .inner
            .turns
            .acquire()
            .await
            .map_err(|error| error.to_string())?;
        let sandbox = self.inner.take().await.map_err(|error| error.to_string())?;
        self.inner.started.notify_waiters();
        let begun = Instant::now();
        let outcome = sandbox.invoke(payload, asleep).await;
        let mut tally = locked(&self.inner.tally);
        tally.events += 1;
        tally.millis += u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        drop(tally);
        self.inner.give_back(&sandbox);
        outcome
    }

    /// Its environment, which is all of it.
    pub fn variables(&self) -> &[(String, String)] {
        &self.inner.program.variables
    }

    /// Waits until the next event comes.
    pub async fn started(&self) {
        self.inner.started.notified().await;
    }

    /// What it was asked for so far, programs that were killed included.
    pub fn tally(&self) -> Tally {
        *locked(&self.inner.tally)
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
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Invoked {
            status: status.ok_or_else(|| format!("no status: {answer}"))?,
            content_type: text(&answer["headers"]["content-type"]),
            body: text(&answer["body"]),
        })
    }

    /// Kills the program of one sandbox as the kernel would: one that handles an event, if any does. The event fails,
    /// and the next one starts another program. Whether an event was under way.
    pub async fn kill(&self) -> bool {
        let (victim, busy) = {
            let sandboxes = self.inner.sandboxes();
            let busy = sandboxes.busy.first().cloned();
            (
                busy.clone().or_else(|| sandboxes.idle.first().cloned()),
                busy.is_some(),
            )
        };
        if let Some(victim) = victim {
            victim.kill().await;
        }
        busy
    }

    /// Kills every program that handles an event.
    pub async fn kill_all(&self) {
        let busy = self.inner.sandboxes().busy.clone();
        for victim in busy {
            victim.kill().await;
        }
    }
}

impl Inner {
    async fn take(&self) -> io::Result<Arc<Sandbox>> {
        let idle = self.sandboxes().idle.pop();
        let sandbox = match idle {
            Some(sandbox) => sandbox,
            None => Arc::new(Sandbox::new(self.program.clone()).await?),
        };
        self.sandboxes().busy.push(sandbox.clone());
        Ok(sandbox)
    }

    fn give_back(&self, sandbox: &Arc<Sandbox>) {
        let mut sandboxes = self.sandboxes();
        sandboxes.busy.retain(|busy| !Arc::ptr_eq(busy, sandbox));
        sandboxes.idle.push(sandbox.clone());
    }

    fn sandboxes(&self) -> MutexGuard<'_, Sandboxes> {
        locked(&self.sandboxes)
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here panics half-way.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
