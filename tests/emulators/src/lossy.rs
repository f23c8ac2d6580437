//! A way to a server on which answers get lost: the server did what it was asked, and nobody hears of it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Largest piece that is passed on at once.
const PIECE: usize = 64 * 1_024;

/// Passes connections on. It stops when it is dropped.
pub struct Lossy {
    address: SocketAddr,
    losses: Arc<Losses>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Losses {
    /// Words of requests whose answers get lost, once each.
    wanted: Mutex<Vec<String>>,
    happened: Mutex<u32>,
}

impl Losses {
    fn takes(&self, request: &[u8]) -> bool {
        let text = String::from_utf8_lossy(request);
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let found = wanted.iter().position(|word| text.contains(word.as_str()));
        if let Some(found) = found {
            wanted.remove(found);
        }
        found.is_some()
    }
}

impl Lossy {
    /// A way to `server`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn to(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let losses = Arc::<Losses>::default();
        let address = listener.local_addr()?;
        let shared = losses.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A connection that breaks is its client's business.
                tokio::spawn(pass(client, server, shared.clone()));
            }
        });
        Ok(Self {
            address,
            losses,
            task,
        })
    }

    /// The address for a client.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The answer to the next request that contains `word` is never delivered: the connection breaks instead, which a
    /// client cannot tell from one that broke before the server had read a word.
    pub fn lose_the_answer_to(&self, word: &str) {
        let mut wanted = self.losses.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.push(word.to_owned());
    }

    /// Answers lost so far.
    pub fn lost(&self) -> u32 {
        *self
            .losses
            .happened
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut client: TcpStream, server: SocketAddr, losses: Arc<Losses>) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut from_client, mut from_server) = (vec![0; PIECE], vec![0; PIECE]);
    let mut loses = false;
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => match read? {
                0 => return Ok(()),
                n => {
                    loses |= losses.takes(&from_client[..n]);
                    server.write_all(&from_client[..n]).await?;
                }
            },
            read = server.read(&mut from_server) => match read? {
                0 => return Ok(()),
                // The first piece of the answer: it is done.
                _ if loses => {
                    *losses.happened.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                    return Ok(());
                }
                n => client.write_all(&from_server[..n]).await?,
            },
        }
    }
}
