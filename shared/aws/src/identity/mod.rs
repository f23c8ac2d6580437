//! Who this function is, said so that others believe it: to clouds and API servers outside of AWS, without a secret.
//!
//! ```text
//!   web_token   STS signs a JWT: issuer = this account, subject = the role's ARN, for one audience, 300 s
//!   caller      a request to STS that is signed here; whoever gets it sends it, and hears who signed it
//! ```
//! The first is for everybody who knows OIDC, and costs a call. The second costs none, and Google alone takes it.

mod caller;

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::{DisplayErrorContext, ProvideErrorMetadata};
use weir_app::Secret;
use weir_domain::time::{Span, Timestamp};

use crate::eks::SignError;

/// How long a JWT lives, in seconds. It is exchanged at once, or used until [`WebToken::until`]; the template grants no
/// longer one.
const LIFE_S: i32 = 300;

/// Who issues and checks may have clocks that differ by this; a token is not used in its last part.
const MARGIN: Span = Span::seconds(30);

/// Of the two that STS has, the one that everybody reads: Google takes no ES384.
const ALGORITHM: &str = "RS256";

/// What an account answers that has not allowed tokens for others.
const DISABLED: &str = "OutboundWebIdentityFederationDisabledException";

/// A JWT that says who its owner is.
#[derive(Clone, Debug)]
pub struct WebToken {
    /// Its text.
    pub text: Secret,
    /// When another must be made.
    pub until: Timestamp,
}

/// This function cannot say who it is.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There are no credentials to sign with.
    #[error("there are no credentials to say who this function is with")]
    Credentials(#[source] CredentialsError),
    /// The SDK's configuration has no region.
    #[error("the function does not know its region: set AWS_REGION")]
    Region,
    /// The request cannot be signed.
    #[error("the request to STS cannot be signed")]
    Sign(#[source] SignError),
    /// The account makes no tokens for others.
    #[error(
        "the account makes no tokens for other clouds: allow it once, by `aws iam enable-outbound-web-identity-federation`"
    )]
    Disabled,
    /// STS did not make the token.
    #[error("STS made no token for audience `{audience}`: {why}")]
    Token {
        /// Whom it should be for.
        audience: String,
        /// What STS said.
        why: String,
    },
}

/// The identity of this function.
pub struct Identity {
    config: SdkConfig,
    /// Made when it is needed: most functions enter clusters of EKS alone.
    sts: OnceLock<aws_sdk_sts::Client>,
}

impl Identity {
    /// That of these credentials.
    pub fn new(config: SdkConfig) -> Self {
        Self {
            config,
            sts: OnceLock::new(),
        }
    }

    /// A token for one audience, which STS of the function's own region signs.
    ///
    /// # Errors
    /// STS does not make one.
    pub async fn web_token(&self, audience: &str, now: Timestamp) -> Result<WebToken, IdentityError> {
        let client = self.sts.get_or_init(|| aws_sdk_sts::Client::new(&self.config));
        let call = client
            .get_web_identity_token()
            .audience(audience)
            .signing_algorithm(ALGORITHM)
            .duration_seconds(LIFE_S);
        let failed = |why: String| IdentityError::Token {
            audience: audience.to_owned(),
            why,
        };
        let made = call.send().await.map_err(|error| match error.code() {
            Some(DISABLED) => IdentityError::Disabled,
            _ => failed(DisplayErrorContext(error).to_string()),
        })?;
        let text = made.web_identity_token.and_then(Secret::new);
        let text = text.ok_or_else(|| failed("the answer holds none".to_owned()))?;
        Ok(WebToken {
            text,
            until: now + Span::seconds(LIFE_S.unsigned_abs().into()) - MARGIN,
        })
    }

    /// A request to STS by which whoever gets it hears who this function is. It is bound to one resource of Google, and
    /// can be sent for 15 minutes.
    ///
    /// # Errors
    /// It cannot be signed.
    pub async fn caller(&self, resource: &str, now: Timestamp) -> Result<Secret, IdentityError> {
        let region = self.config.region().ok_or(IdentityError::Region)?;
        let credentials = credentials(&self.config).await;
        let credentials = credentials.map_err(IdentityError::Credentials)?;
        caller::sign(credentials, region.as_ref(), resource, now).map_err(IdentityError::Sign)
    }
}

/// What the configuration's provider gives.
pub(crate) async fn credentials(config: &SdkConfig) -> Result<Credentials, CredentialsError> {
    let none = || CredentialsError::not_loaded("no provider of credentials is configured");
    let provider = config.credentials_provider().ok_or_else(none)?;
    provider.provide_credentials().await
}

/// STS of a region: the global one does not serve every partition, nor everything.
pub(crate) fn sts_host(region: &str) -> String {
    let domain = match region.starts_with("cn-") {
        true => "amazonaws.com.cn",
        false => "amazonaws.com",
    };
    format!("sts.{region}.{domain}")
}

pub(crate) fn system_time(now: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(now.since(Timestamp(0)).0)
}
