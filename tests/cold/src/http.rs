//! Just enough of HTTP to be the other side of a program that is measured: one request after another on a connection.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A request, as far as anybody here asks.
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) target: String,
}

/// The next request of a connection; none when it is closed.
pub(crate) async fn next(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 8_192];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let value = |name: &str| {
                let mut lines = head.lines().filter_map(|line| line.split_once(':'));
                let found = lines.find(|(own, _)| own.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.trim().to_owned())
            };
            let length: usize = value("content-length")
                .and_then(|text| text.parse().ok())
                .unwrap_or(0);
            if bytes.len() >= end + 4 + length {
                return Ok(Some(Request {
                    line: head.lines().next().unwrap_or_default().to_owned(),
                    target: value("x-amz-target").unwrap_or_default(),
                }));
            }
        }
        match stream.read(&mut piece).await? {
            0 => return Ok(None),
            n => bytes.extend(&piece[..n]),
        }
    }
}

/// Answers it.
pub(crate) async fn answer(
    stream: &mut (impl AsyncWrite + Unpin),
    status: &str,
    headers: &str,
    body: &str,
) -> io::Result<()> {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await
}
