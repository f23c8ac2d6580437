//! Entra: a token of an application, in exchange for a JWT that one of its federated credentials believes.

use serde::Deserialize;
use weir_app::Secret;
use weir_domain::time::Timestamp;

use crate::Bearer;
use crate::call::Remote;
use crate::error::CallError;

const LOGIN: &str = "https://login.microsoftonline.com";

/// The audience that a federated credential expects in a JWT.
pub const ASSERTION_AUDIENCE: &str = "api://AzureADTokenExchange";

/// AKS's own application, which every cluster with Entra takes tokens for.
const AKS_SCOPE: &str = "6dae42f8-4368-4678-94ff-3960e28e3630/.default";

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

const NAME: &str = "login.microsoftonline.com";

/// An application of a tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Application {
    /// Id of the tenant.
    pub tenant: String,
    /// Id of the application.
    pub client: String,
}

/// The service that gives tokens of a tenant.
#[derive(Clone, Debug)]
pub struct Entra {
    login: Remote,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

impl Default for Entra {
    fn default() -> Self {
        Self::at(LOGIN).expect("the address is plain")
    }
}

impl Entra {
    /// What stands in for it; nothing where the address is neither `https` nor of this machine.
    pub fn at(login: &str) -> Option<Self> {
        let login = Remote::at(NAME, login)?;
        Some(Self { login })
    }

    /// A token for clusters of AKS.
    ///
    /// # Errors
    /// Entra does not believe the assertion, or does not answer.
    pub async fn aks_token(
        &self,
        application: &Application,
        assertion: &Secret,
        now: Timestamp,
    ) -> Result<Bearer, CallError> {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", application.client.as_str()),
            ("client_assertion_type", ASSERTION),
            ("client_assertion", assertion.expose()),
            ("scope", AKS_SCOPE),
        ];
        let path = format!("{}/oauth2/v2.0/token", application.tenant);
        let missing = "access_token and expires_in";
        let answer: Granted = self.login.form(&path, &form, missing).await?;
        let token = Secret::new(answer.access_token).ok_or(CallError::Unreadable {
            service: NAME,
            missing,
        })?;
        Ok(Bearer::living(token, now, answer.expires_in))
    }
}
