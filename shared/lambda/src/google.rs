//! Tokens of Google for a function: it says who it is so that a provider of a workload identity pool believes it.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use weir_app::Clock;
use weir_aws::Identity;
use weir_domain::time::Timestamp;
use weir_federation::{Bearer, Google, Subject};
use weir_metrics::provider::{Secret, Tokens};

use crate::ways::{Believed, Proof};

/// Why there is no token.
pub(crate) type Refused = Box<dyn std::error::Error + Send + Sync>;

/// A token of the pool for a proof, or that of a service account for this.
///
/// # Errors
/// The function cannot say who it is, or Google does not believe it.
pub(crate) async fn token(
    (identity, google): (&Identity, &Google),
    believed: &Believed,
    now: Timestamp,
) -> Result<Bearer, Refused> {
    let provider = &believed.provider;
    let subject = match believed.proof {
        Proof::Jwt => Subject::Jwt(identity.web_token(&provider.audience(), now).await?.text),
        Proof::AwsRequest => Subject::AwsRequest(identity.caller(&provider.resource(), now).await?),
    };
    let federated = google.exchange(provider, &subject, now).await?;
    match &believed.account {
        Some(account) => Ok(google.as_account(account, &federated, now).await?),
        None => Ok(federated),
    }
}

/// Tokens for one source of metrics.
pub(crate) struct AsTheFunction {
    pub(crate) identity: Identity,
    pub(crate) google: Google,
    pub(crate) believed: Believed,
    pub(crate) clock: Arc<dyn Clock>,
    /// Held while one is asked for: questions of one look come together, and one exchange is enough.
    pub(crate) kept: Mutex<Option<Bearer>>,
}

#[async_trait]
impl Tokens for AsTheFunction {
    async fn token(&self) -> Result<Secret, String> {
        let now = self.clock.now();
        let mut kept = self.kept.lock().await;
        let bearer = match kept.take().filter(|bearer| now < bearer.until) {
            Some(bearer) => bearer,
            None => {
                let clouds = (&self.identity, &self.google);
                let made = token(clouds, &self.believed, now).await;
                made.map_err(|why| format!("Google gave no token: {why}"))?
            }
        };
        let secret = secret(&bearer).ok_or("Google gave an empty token")?;
        *kept = Some(bearer);
        Ok(secret)
    }

    async fn refused(&self, token: &Secret) {
        let mut kept = self.kept.lock().await;
        // Another question may have got another one meanwhile.
        if kept.as_ref().and_then(secret).is_some_and(|last| last.is(token)) {
            *kept = None;
        }
    }
}

fn secret(bearer: &Bearer) -> Option<Secret> {
    Secret::new(bearer.token.expose())
}

#[cfg(test)]
#[path = "google_tests.rs"]
pub(crate) mod tests;
