//! A sandbox: one running program, one event at a time.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, Notify, oneshot};
use tokio::time::{sleep, timeout};

use crate::runtime::{Event, Outcome, Runtime};

/// What runs in a sandbox.
#[derive(Clone, Debug)]
pub struct Program {
    /// The function's name.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Its environment, which is all of it.
    pub variables: Vec<(String, String)>,
    /// How long an event may take.
    pub limit: Duration,
    /// Where it writes; to whoever runs this, without.
    pub log: Option<PathBuf>,
}

/// A program is stopped in the middle of its event and goes on later, as one does whose machine was short of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sleep {
    /// From the event's coming.
    pub(crate) after: Duration,
    /// How long.
    pub(crate) time: Duration,
}

impl Sleep {
    /// Lets a program sleep. Never ends; whoever drops it wakes the program.
    async fn befalls(self, program: Pid) {
        sleep(self.after).await;
        let stopped = Stopped::stop(program);
        sleep(self.time).await;
        drop(stopped);
        std::future::pending::<()>().await;
    }
}

/// A program that does nothing until this is dropped.
struct Stopped(Pid);

impl Stopped {
    fn stop(program: Pid) -> Option<Self> {
        kill_process(program, Signal::STOP).ok().map(|()| Self(program))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // One that has ended meanwhile needs no more.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

pub(crate) struct Sandbox {
    program: Program,
    runtime: Runtime,
    idle: Mutex<Option<Child>>,
    /// Rung when the program is to be killed in the middle of its event.
    killed: Notify,
}

impl Sandbox {
    pub(crate) async fn new(program: Program) -> io::Result<Self> {
        Ok(Self {
            program,
            runtime: Runtime::serve().await?,
            idle: Mutex::default(),
            killed: Notify::new(),
        })
    }

    pub(crate) async fn invoke(&self, payload: Value, asleep: Option<Sleep>) -> Outcome {
        let mut child = self.start().await.map_err(|error| error.to_string())?;
        let (answer, answered) = oneshot::channel();
        let event = Event {
            payload,
            limit: self.program.limit,
            answer,
        };
        let over = async {
            let sent = self.runtime.events.send(event).await;
            sent.map_err(|_| "the interface is gone".to_owned())?;
            answered.await.unwrap_or_else(|_| Err("no answer".to_owned()))
        };
        let program = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let sleeps = async {
            match asleep.zip(program) {
                Some((asleep, program)) => asleep.befalls(program).await,
                None => std::future::pending().await,
            }
        };
        let failed = tokio::select! {
            outcome = timeout(self.program.limit, over) => match outcome {
                Ok(outcome) => {
                    *self.idle.lock().await = Some(child);
                    return outcome;
                }
                Err(_) => "the event took longer than the function may".to_owned(),
            },
            ended = child.wait() => format!("the program ended: {ended:?}"),
            () = self.killed.notified() => "the program was killed".to_owned(),
            () = sleeps => unreachable!("a sleep never ends"),
        };
        let _ = child.kill().await;
        self.runtime.ended(&failed).await;
        Err(failed)
    }

    /// Ends the program as the kernel would, whatever it does.
    pub(crate) async fn kill(&self) {
        self.killed.notify_waiters();
        if let Some(mut child) = self.idle.lock().await.take() {
            let _ = child.kill().await;
            self.runtime.ended("killed").await;
        }
    }

    /// The program, running.
    async fn start(&self) -> io::Result<Child> {
        if let Some(mut child) = self.idle.lock().await.take()
            && child.try_wait()?.is_none()
        {
            return Ok(child);
        }
        let program = &self.program;
        let mut command = Command::new(&program.file);
        command
            .env_clear()
            .envs(program.variables.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", self.runtime.address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", &program.name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "local")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "local")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(log) = &program.log {
            let file = File::options().create(true).append(true).open(log)?;
            command.stdout(file.try_clone()?).stderr(file);
        }
        command.spawn()
    }
}
