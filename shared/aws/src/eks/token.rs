//! The token: a signed URL of STS's `GetCallerIdentity`, which the cluster calls to hear who made it.

use std::fmt;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningError, SigningSettings, sign as sign_request,
};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use weir_domain::time::{Span, Timestamp};

use super::Cluster;
use crate::identity::{sts_host, system_time};

/// What every token of this kind begins with.
const PREFIX: &str = "k8s-aws-v1.";

/// The header by which a token is bound to one cluster.
const CLUSTER_HEADER: &str = "x-k8s-aws-id";

/// The URL may be used this long after its time; the authenticator takes up to 900 s and expects 60.
const EXPIRES: Duration = Duration::from_secs(60);

/// The authenticator takes a token until 15 minutes after its time. A client is not used beyond 10, so that no request
/// under way meets the end, nor a clock that is off by some minutes.
const LIFE: Span = Span::minutes(10);

/// Longest token that the authenticator reads.
const LENGTH_LIMIT: usize = 4_096;

/// Lets its owner into one cluster for a short time. It is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    text: String,
    /// When another must be made.
    pub until: Timestamp,
}

impl Token {
    /// The text, for the `Authorization` header.
    pub fn secret(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// A token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// Names or credentials are such that no request can be made of them.
    #[error("the request to STS cannot be signed")]
    Request(#[source] SigningError),
    /// Names that make no URL.
    #[error("the signed request makes no URL")]
    Url(#[source] http::Error),
    /// The credentials' session token is too long.
    #[error("the token has {0} bytes; the cluster reads {LENGTH_LIMIT}")]
    TooLong(usize),
}

/// Signs a token.
///
/// # Errors
/// Names or credentials make no token that a cluster would read.
pub fn sign(credentials: Credentials, cluster: &Cluster, now: Timestamp) -> Result<Token, SignError> {
    let identity = credentials.into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(EXPIRES);
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&cluster.region)
        .name("sts")
        .time(system_time(now))
        .settings(settings)
        .build()
        .expect("everything is given")
        .into();
    let url = format!(
        "https://{}/?Action=GetCallerIdentity&Version=2011-06-15",
        sts_host(&cluster.region)
    );
    let header = [(CLUSTER_HEADER, cluster.name.as_str())].into_iter();
    let request = SignableRequest::new("GET", &url, header, SignableBody::Bytes(&[]));
    let signed = request.and_then(|request| sign_request(request, &params));
    let (instructions, _) = signed.map_err(SignError::Request)?.into_parts();
    let mut request = http::Request::builder()
        .uri(&url)
        .body(())
        .map_err(SignError::Url)?;
    instructions.apply_to_request_http1x(&mut request);
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(request.uri().to_string()));
    match text.len() <= LENGTH_LIMIT {
        true => Ok(Token {
            text,
            until: now + LIFE,
        }),
        false => Err(SignError::TooLong(text.len())),
    }
}
