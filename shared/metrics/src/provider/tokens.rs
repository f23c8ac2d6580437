//! Tokens that end, from whoever believes the host.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::Secret;

/// Gives tokens for one server. It keeps one until shortly before its end: questions come every few seconds.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// One that is good now.
    ///
    /// # Errors
    /// Why there is none, in words that hold no token.
    async fn token(&self) -> Result<Secret, String>;

    /// The server did not believe this one: it is not given again.
    async fn refused(&self, token: &Secret);
}

/// Somebody who gives tokens. Nothing of them is shown.
#[derive(Clone)]
pub struct Issuer(pub Arc<dyn Tokens>);

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issuer(…)")
    }
}
