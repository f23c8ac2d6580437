//! AWS Signature Version 4 on a request, for CloudWatch and for Amazon's managed Prometheus.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::Url;
use weir_app::Clock;

/// Who signs, and a clock: a signature holds for some minutes from now, however old the numbers are that are asked for.
#[derive(Clone)]
pub struct Identity {
    /// Asked for keys at each request, so that new ones are taken.
    pub credentials: SharedCredentialsProvider,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

/// Signs requests to one service in one region.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) identity: Identity,
    pub(super) region: String,
    pub(super) service: &'static str,
}

impl Signer {
    /// The headers that make the request one of ours.
    ///
    /// # Errors
    /// There are no credentials, or they are over; which, in words.
    pub(super) async fn headers(
        &self,
        url: &Url,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Vec<(String, String)>, String> {
        let credentials = self.identity.credentials.provide_credentials().await;
        let credentials = credentials.map_err(|error| format!("there are no AWS credentials: {error}"))?;
        let identity = credentials.into();
        let seconds = u64::try_from(self.identity.clock.now().0 / 1_000).unwrap_or(0);
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time(UNIX_EPOCH + Duration::from_secs(seconds))
            .settings(SigningSettings::default())
            .build()
            .expect("everything is given")
            .into();
        let request = SignableRequest::new(
            "POST",
            url.as_str(),
            headers.iter().copied(),
            SignableBody::Bytes(body),
        );
        let request = request.map_err(|error| format!("the request cannot be signed: {error}"))?;
        let signed =
            sign(request, &params).map_err(|error| format!("the request cannot be signed: {error}"))?;
        let (instructions, _) = signed.into_parts();
        let (made, _) = instructions.into_parts();
        Ok(made
            .into_iter()
            .map(|header| (header.name().to_owned(), header.value().to_owned()))
            .collect())
    }
}
