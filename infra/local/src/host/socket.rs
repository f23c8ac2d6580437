//! The Unix socket for commands of people on this machine.
//!
//! Who may connect is said by the rights of the socket and its folder. Who asks is told by the kernel (`SO_PEERCRED`),
//! and what that user may do is decided where every decision is made, by the run's groups.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use weir_domain::people::Identity;

use super::counter::Counter;
use super::{names, stopped};
use crate::protocol::{Answer, REQUEST_LIMIT, Request};

/// Connections at once; whoever comes then is told to try again.
const CONNECTIONS: usize = 64;
/// A command sends its request within this time.
const READ_TIME: Duration = Duration::from_secs(10);
/// A command that takes no line for this long is gone.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// Rest between two lines of a watch: a person reads no faster, and a hundred decisions a second are one line.
const PACE: Duration = Duration::from_millis(150);

/// Takes the path, which must be free.
///
/// # Errors
/// Why not, with what to do.
pub(crate) fn listen(path: &Path, mode: u32) -> Result<UnixListener, String> {
    let bound = UnixListener::bind(path).and_then(|listener| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        Ok(listener)
    });
    bound.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::InvalidInput => "; a socket's path has at most 107 bytes: take a shorter --state",
            _ => "",
        };
        format!("{} cannot be listened on: {error}{hint}", path.display())
    })
}

/// Answers commands until told to stop.
pub(crate) async fn serve(listener: UnixListener, counter: Arc<Counter>, mut stop: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        while connections.try_join_next().is_some() {}
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(why = %error, "a command could not be taken");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (counter, stop, permit) = (counter.clone(), stop.clone(), room.clone().try_acquire_owned());
        connections.spawn(async move {
            let told = match permit {
                Ok(_permit) => conversation(stream, &counter, stop).await,
                Err(_) => busy(stream).await,
            };
            if let Err(error) = told {
                tracing::debug!(why = %error, "a command went away");
            }
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn busy(stream: UnixStream) -> io::Result<()> {
    let words = format!("this host answers {CONNECTIONS} commands already: try again when one has ended");
    let (_, mut write) = stream.into_split();
    say(&mut write, &Answer::Failed(words)).await
}

async fn conversation(
    stream: UnixStream,
    counter: &Counter,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let by = Identity::Uid(stream.peer_cred()?.uid());
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let request = tokio::select! {
        request = timeout(READ_TIME, request(&mut read)) => request,
        () = stopped(&mut stop) => return Ok(()),
    };
    let request = match request {
        Ok(Ok(request)) => request,
        Ok(Err(words)) => return say(&mut write, &Answer::Failed(words)).await,
        Err(_) => return Ok(()),
    };
    match request {
        Request::Events { run, after } => {
            tokio::select! {
                told = events(counter, &run, after, &mut write) => told,
                () = stopped(&mut stop) => Ok(()),
                () = gone(&mut read) => Ok(()),
            }
        }
        // What a person decided is finished, also when the host is told to stop or the command is interrupted.
        request => {
            let answer = counter.answer(request, by).await;
            say(&mut write, &answer).await
        }
    }
}

async fn request(read: &mut BufReader<OwnedReadHalf>) -> Result<Request, String> {
    let mut line = Vec::new();
    // One byte more than may be there tells the two apart.
    let mut limited = read.take(REQUEST_LIMIT as u64 + 1);
    limited
        .read_until(b'\n', &mut line)
        .await
        .map_err(|error| error.to_string())?;
    if line.len() > REQUEST_LIMIT {
        return Err(format!("a request has at most {REQUEST_LIMIT} bytes"));
    }
    serde_json::from_slice(&line).map_err(|error| {
        format!("the host cannot read the request: {error}; is it another version than this command?")
    })
}

/// Ends when the other side has hung up.
async fn gone(read: &mut BufReader<OwnedReadHalf>) {
    let mut rest = [0; 64];
    while read.read(&mut rest).await.is_ok_and(|count| count > 0) {}
}

async fn say(write: &mut OwnedWriteHalf, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    timeout(WRITE_TIME, write.write_all(&line))
        .await
        .map_err(io::Error::from)?
}

/// Tells a run's news until it is over.
async fn events(counter: &Counter, name: &str, after: u64, write: &mut OwnedWriteHalf) -> io::Result<()> {
    // Subscribed before the first reading, so that nothing falls in between.
    let mut commits = counter.store.commits();
    let run = match names::find(&counter.store, name).await {
        Ok(run) => run,
        Err(answer) => return say(write, &answer).await,
    };
    let (mut after, mut told) = (after, None);
    loop {
        commits.mark_unchanged();
        let answer = counter.news(&run, after).await.unwrap_or_else(|answer| answer);
        let Answer::Run { run, entries } = &answer else {
            return say(write, &answer).await;
        };
        let over = run.is_over();
        after = entries.last().map_or(after, |entry| entry.n);
        // A look that found nothing new is no news.
        if told.as_ref() != Some(run) {
            say(write, &answer).await?;
            told = Some(run.clone());
        }
        if over {
            return Ok(());
        }
        sleep(PACE).await;
        if commits.changed().await.is_err() {
            return Ok(());
        }
    }
}
