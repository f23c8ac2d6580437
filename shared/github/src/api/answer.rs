//! Reading an answer: its bounds, and what a failure means for a second try.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use thiserror::Error;

use crate::limits::{DEFAULT_RATE_LIMIT_PAUSE, MAX_PAUSE, SERVER_FAILURE_PAUSE};
use crate::source::Retry;

/// Why GitHub's interface did not do what was asked. No variant carries the token or an address.
#[derive(Debug, Error)]
pub enum ApiError {
    /// The configured base is no `https` address without extras.
    #[error("the base address is not a plain https address")]
    BaseUrl,
    /// The client could not be prepared.
    #[error("the client could not be prepared")]
    Client(#[source] reqwest::Error),
    /// No answer: connection, TLS, time.
    #[error("GitHub did not answer")]
    Transport(#[source] reqwest::Error),
    /// 401.
    #[error("GitHub does not accept the token")]
    Unauthorized,
    /// 403 without a rate limit.
    #[error("the token lacks the right to do this")]
    Forbidden,
    /// 404: not there, or not visible to the token.
    #[error("not found, or not visible to the token")]
    NotFound,
    /// 409 or 422, for instance more than 1,000 statuses on a commit.
    #[error("GitHub cannot process the request")]
    Unprocessable,
    /// 429, or 403 with a limit used up.
    #[error("the rate limit is used up for {} s", after.as_secs())]
    RateLimited {
        /// How long to wait.
        after: Duration,
    },
    /// 3xx: the repository moved. Redirects are not followed.
    #[error("the repository moved; name its new place in the configuration")]
    Moved,
    /// 5xx.
    #[error("GitHub failed with status {0}")]
    Server(u16),
    /// Any other status.
    #[error("GitHub answered with unexpected status {0}")]
    Status(u16),
    /// More bytes than the answer can need.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// Not the JSON that was asked for.
    #[error("the answer cannot be read")]
    Json(#[source] serde_json::Error),
    /// JSON with something in it that cannot be.
    #[error("the answer holds {what}")]
    Unexpected {
        /// In words.
        what: &'static str,
    },
}

impl ApiError {
    /// Whether a second try can help, and when.
    pub fn retry(&self) -> Retry {
        match self {
            Self::RateLimited { after } => Retry::After(*after),
            Self::Transport(_) | Self::Server(_) => Retry::After(SERVER_FAILURE_PAUSE),
            _ => Retry::Never,
        }
    }
}

/// Sends a request and reads a successful answer, up to `limit` bytes.
pub(super) async fn read(request: RequestBuilder, limit: u64) -> Result<Vec<u8>, ApiError> {
    let transport = |error: reqwest::Error| ApiError::Transport(error.without_url());
    let mut response = request.send().await.map_err(transport)?;
    if !response.status().is_success() {
        return Err(refusal(response.status(), response.headers()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Err(ApiError::TooLarge { limit });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn refusal(status: StatusCode, headers: &HeaderMap) -> ApiError {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let pause = text("retry-after")
        .and_then(|seconds| seconds.trim().parse().ok())
        .map(Duration::from_secs);
    let used_up = text("x-ratelimit-remaining") == Some("0");
    match status.as_u16() {
        429 => limited(pause),
        403 if pause.is_some() || used_up => limited(pause),
        401 => ApiError::Unauthorized,
        403 => ApiError::Forbidden,
        404 => ApiError::NotFound,
        409 | 422 => ApiError::Unprocessable,
        300..=399 => ApiError::Moved,
        code @ 500..=599 => ApiError::Server(code),
        code => ApiError::Status(code),
    }
}

fn limited(pause: Option<Duration>) -> ApiError {
    ApiError::RateLimited {
        after: pause.unwrap_or(DEFAULT_RATE_LIMIT_PAUSE).min(MAX_PAUSE),
    }
}
