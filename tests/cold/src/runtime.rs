//! Lambda's side of a program: what it asks, in the order it comes, whatever connection it comes on.

use std::io;

use anyhow::{Context, Result, ensure};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::http;

/// The Lambda Runtime API of one program.
pub(crate) struct Runtime {
    /// Where it is.
    pub(crate) address: String,
    asked: mpsc::Receiver<Asked>,
}

/// A request of the program.
pub(crate) struct Asked {
    line: String,
    /// When it had come.
    pub(crate) at: Instant,
    reply: oneshot::Sender<Reply>,
}

struct Reply {
    status: &'static str,
    headers: String,
    body: String,
}

impl Runtime {
    /// Waits for a program.
    pub(crate) async fn listen() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (tell, asked) = mpsc::channel(8);
        tokio::spawn(async move {
            // Ends with whoever measures.
            while let Ok((stream, _)) = listener.accept().await {
                if tell.is_closed() {
                    break;
                }
                tokio::spawn(converse(stream, tell.clone()));
            }
        });
        Ok(Self { address, asked })
    }

    /// The next request, which must be this one.
    pub(crate) async fn expect(&mut self, method: &str, path: &str) -> Result<Asked> {
        let asked = self.asked.recv().await.context("it hung up")?;
        let line = &asked.line;
        ensure!(
            line.starts_with(method) && line.contains(path),
            "it sent `{line}`: expected {method} …{path}"
        );
        Ok(asked)
    }
}

impl Asked {
    /// Gives an event.
    pub(crate) fn give(self, headers: String, body: &str) {
        self.reply("200 OK", headers, body);
    }

    /// Takes what it sent.
    pub(crate) fn take(self) {
        self.reply("202 Accepted", String::new(), "{}");
    }

    fn reply(self, status: &'static str, headers: String, body: &str) {
        let body = body.to_owned();
        // A program that has ended needs no answer.
        let _ = self.reply.send(Reply {
            status,
            headers,
            body,
        });
    }
}

async fn converse(mut stream: TcpStream, tell: mpsc::Sender<Asked>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    while let Some(request) = http::next(&mut stream).await? {
        let at = Instant::now();
        let (reply, answer) = oneshot::channel();
        let line = request.line;
        if tell.send(Asked { line, at, reply }).await.is_err() {
            break;
        }
        let Ok(Reply {
            status,
            headers,
            body,
        }) = answer.await
        else {
            break;
        };
        http::answer(&mut stream, status, &headers, &body).await?;
    }
    Ok(())
}
