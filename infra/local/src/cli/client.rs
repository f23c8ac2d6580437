//! The command's end of the host's socket.

use std::io;
use std::path::Path;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::args::Host;
use super::output::Failure;
use crate::protocol::{Answer, Request, SOCKET};

/// Bytes of one answer: five hundred runs of the largest definitions.
const ANSWER_LIMIT: u64 = 256 << 20;

/// A question that the host is answering.
pub(super) struct Conversation {
    stream: BufReader<UnixStream>,
}

impl Conversation {
    /// Asks the host that keeps its state in this folder.
    pub(super) async fn ask(host: &Host, request: &Request) -> Result<Self, Failure> {
        let path = host.state.join(SOCKET);
        let stream = UnixStream::connect(&path).await;
        let mut stream = stream.map_err(|error| away(&host.state, &path, &error))?;
        let mut line = serde_json::to_vec(request).expect("a request is plain data with text keys");
        line.push(b'\n');
        // A host that has no room answers and hangs up before it has read this.
        let _ = stream.write_all(&line).await;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// The next answer; nothing when the host has said all.
    pub(super) async fn next(&mut self) -> Result<Option<Answer>, Failure> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(ANSWER_LIMIT);
        let read = limited.read_until(b'\n', &mut line).await;
        read.map_err(|error| Failure::new(format!("the host went away: {error}")))?;
        if line.is_empty() {
            return Ok(None);
        }
        // A line without its end is one that the host did not finish.
        if line.last() != Some(&b'\n') {
            return Err(Failure::new("the host went away in the middle of its answer"));
        }
        let answer = serde_json::from_slice(&line);
        answer.map(Some).map_err(|error| {
            Failure::new(format!(
                "the host's answer cannot be read: {error}; is it another version than this command?"
            ))
        })
    }
}

/// Asks what has one answer.
pub(super) async fn ask(host: &Host, request: &Request) -> Result<Answer, Failure> {
    let mut conversation = Conversation::ask(host, request).await?;
    match conversation.next().await? {
        Some(Answer::Failed(why)) => Err(Failure::new(why)),
        Some(answer) => Ok(answer),
        None => Err(Failure::new(
            "the host stopped before it answered; ask again when it is up",
        )),
    }
}

/// An answer that does not belong to the question.
pub(super) fn unexpected() -> Failure {
    Failure::new("the host answered something else; is it another version than this command?")
}

fn away(state: &Path, path: &Path, error: &io::Error) -> Failure {
    let state = state.display();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Failure::new(format!(
            "no host runs in {state}: start one with `weir up --state {state}`, or name its folder with --state"
        )),
        io::ErrorKind::PermissionDenied => Failure::new(format!(
            "{} may not be connected to by this user: ask as the user who runs the host, or have it started with --socket-mode",
            path.display()
        )),
        _ => Failure::new(format!("the host at {} cannot be asked: {error}", path.display())),
    }
}
