//! Google: a federated token for a proof, a service account's token for that, and where a cluster of GKE is.

use serde::Deserialize;
use serde_json::json;
use weir_app::Secret;
use weir_domain::time::Timestamp;

use crate::call::Remote;
use crate::error::CallError;
use crate::{Bearer, LONGEST};

const STS_NAME: &str = "sts.googleapis.com";
const CREDENTIALS_NAME: &str = "iamcredentials.googleapis.com";
const CONTAINER_NAME: &str = "container.googleapis.com";

const STS: &str = "https://sts.googleapis.com";
const CREDENTIALS: &str = "https://iamcredentials.googleapis.com";
const CONTAINER: &str = "https://container.googleapis.com";

/// The only scope that a federated token may have, and the one that GKE asks for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const AWS_REQUEST: &str = "urn:ietf:params:aws:token-type:aws4_request";

/// The provider of a workload identity pool that believes the proof.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Provider {
    /// Number of the pool's project.
    pub project: String,
    /// The pool.
    pub pool: String,
    /// The provider in it.
    pub name: String,
}

impl Provider {
    /// Its resource name, which a signed request and the exchange must name.
    pub fn resource(&self) -> String {
        let Self { project, pool, name } = self;
        format!(
            "//iam.googleapis.com/projects/{project}/locations/global/workloadIdentityPools/{pool}/providers/{name}"
        )
    }

    /// The audience that it expects in a JWT unless it was given others.
    pub fn audience(&self) -> String {
        format!("https:{}", self.resource())
    }
}

/// A proof.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A JWT, for a provider of the kind OIDC.
    Jwt(Secret),
    /// A signed request to STS of AWS, for a provider of the kind AWS.
    AwsRequest(Secret),
}

/// A cluster, as GKE names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GkeCluster {
    /// Id of its project.
    pub project: String,
    /// Its region or zone.
    pub location: String,
    /// Its name.
    pub name: String,
}

/// Where a cluster is, as GKE says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Address of the API server.
    pub url: String,
    /// Its authority: PEM in base64.
    pub authority: String,
}

/// The three services of Google that are called.
#[derive(Clone, Debug)]
pub struct Google {
    sts: Remote,
    credentials: Remote,
    container: Remote,
}

#[derive(Deserialize)]
struct Federated {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    access_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    endpoint: String,
    master_auth: MasterAuth,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MasterAuth {
    cluster_ca_certificate: String,
}

impl Default for Google {
    fn default() -> Self {
        Self::at(STS, CREDENTIALS, CONTAINER).expect("the addresses are plain")
    }
}

impl Google {
    /// What stands in for `sts`, `iamcredentials` and `container`; nothing where an address is neither `https` nor of
    /// this machine, or where only some are.
    pub fn at(sts: &str, credentials: &str, container: &str) -> Option<Self> {
        let sts = Remote::at(STS_NAME, sts)?;
        Some(Self {
            credentials: sts.beside(CREDENTIALS_NAME, credentials)?,
            container: sts.beside(CONTAINER_NAME, container)?,
            sts,
        })
    }

    /// A federated token in exchange for a proof.
    ///
    /// # Errors
    /// Google does not believe it, or does not answer.
    pub async fn exchange(
        &self,
        provider: &Provider,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<Bearer, CallError> {
        let (kind, proof) = match subject {
            Subject::Jwt(text) => (JWT, text),
            Subject::AwsRequest(text) => (AWS_REQUEST, text),
        };
        let form = [
            ("grant_type", EXCHANGE),
            ("audience", &*provider.resource()),
            ("scope", SCOPE),
            ("requested_token_type", ACCESS_TOKEN),
            ("subject_token_type", kind),
            ("subject_token", proof.expose()),
        ];
        let missing = "access_token and expires_in";
        let answer: Federated = self.sts.form("v1/token", &form, missing).await?;
        let token = Secret::new(answer.access_token).ok_or(CallError::Unreadable {
            service: STS_NAME,
            missing,
        })?;
        Ok(Bearer::living(token, now, answer.expires_in))
    }

    /// A service account's token, for whoever may take its place.
    ///
    /// # Errors
    /// Google says no, or does not answer.
    pub async fn as_account(
        &self,
        account: &str,
        federated: &Bearer,
        now: Timestamp,
    ) -> Result<Bearer, CallError> {
        let seconds = LONGEST.0 / 1_000;
        let path = format!("v1/projects/-/serviceAccounts/{account}:generateAccessToken");
        let body = json!({ "scope": [SCOPE], "lifetime": format!("{seconds}s") });
        let missing = "accessToken";
        let answer: Account = self
            .credentials
            .post(&path, &federated.token, &body, missing)
            .await?;
        let token = Secret::new(answer.access_token).ok_or(CallError::Unreadable {
            service: CREDENTIALS_NAME,
            missing,
        })?;
        Ok(Bearer::living(token, now, seconds))
    }

    /// Where a cluster is.
    ///
    /// # Errors
    /// GKE does not say.
    pub async fn place(&self, cluster: &GkeCluster, bearer: &Bearer) -> Result<Place, CallError> {
        let GkeCluster {
            project,
            location,
            name,
        } = cluster;
        let path = format!(
            "v1/projects/{project}/locations/{location}/clusters/{name}?fields=endpoint,masterAuth(clusterCaCertificate)"
        );
        let missing = "endpoint and masterAuth.clusterCaCertificate";
        let answer: Described = self.container.get(&path, &bearer.token, missing).await?;
        // A cluster that is being created has none yet.
        if answer.endpoint.is_empty() {
            return Err(CallError::Unreadable {
                service: CONTAINER_NAME,
                missing,
            });
        }
        Ok(Place {
            url: format!("https://{}", answer.endpoint),
            authority: answer.master_auth.cluster_ca_certificate,
        })
    }
}
