//! Clusters outside of AWS: a proof of who the function is, in exchange for a token, or as the token itself.

use weir_aws::eks::{Cluster, Endpoint};
use weir_cluster::Pass;
use weir_domain::ids::ClusterName;
use weir_domain::time::Timestamp;
use weir_federation::{ASSERTION_AUDIENCE, Bearer, CallError, GkeCluster};

use super::CloudGate;
use crate::google::{self, Refused};
use crate::ways::{Aks, ApiServer, Believed, Gke, GkePlace};

/// Where a cluster of GKE is could not be learned.
#[derive(Debug, thiserror::Error)]
enum PlaceError {
    /// GKE did not say.
    #[error(transparent)]
    Call(#[from] CallError),
    /// What it said is no place to go.
    #[error("GKE describes cluster `{0}` without {1}: it is being created, or deleted")]
    Incomplete(String, &'static str),
}

/// The function has nobody to enter a cluster as.
#[derive(Debug, thiserror::Error)]
#[error("WEIR_CLUSTERS names no `client.{0}` for cluster `{1}`")]
struct Nobody(&'static str, ClusterName);

/// Nothing says which certificate the API server has.
#[derive(Debug, thiserror::Error)]
#[error(
    "the secret's cluster_authorities have none for cluster `{0}`: put the authority of its certificate there, in PEM"
)]
struct NoAuthority(ClusterName);

/// As what a cluster of GKE is remembered; no region of EKS is called that.
pub(super) fn key(cluster: &GkeCluster) -> Cluster {
    Cluster {
        region: format!("gke:{}/{}", cluster.project, cluster.location),
        name: cluster.name.clone(),
    }
}

impl CloudGate {
    pub(super) async fn gke(&self, gke: &Gke, now: Timestamp) -> Result<Pass, Refused> {
        let bearer = self.google_token(gke, now).await?;
        let endpoint = match &gke.place {
            GkePlace::Dns(host) => Endpoint {
                url: format!("https://{host}"),
                authorities: Vec::new(),
            },
            GkePlace::Asked(cluster) => {
                let asked = self.described(cluster, &bearer);
                self.clouds.whereabouts.of(&key(cluster), now, asked).await?
            }
        };
        Ok(pass(endpoint, &bearer))
    }

    async fn google_token(&self, gke: &Gke, now: Timestamp) -> Result<Bearer, Refused> {
        let believed = Believed {
            provider: gke.provider.clone(),
            proof: gke.proof,
            account: gke.accounts.get(self.function).cloned(),
        };
        let clouds = (&self.clouds.identity, &self.clouds.google);
        google::token(clouds, &believed, now).await
    }

    async fn described(&self, cluster: &GkeCluster, bearer: &Bearer) -> Result<Endpoint, PlaceError> {
        let place = self.clouds.google.place(cluster, bearer).await?;
        let endpoint = Endpoint::read(Some(&place.url), Some(&place.authority));
        endpoint.map_err(|missing| PlaceError::Incomplete(cluster.name.clone(), missing))
    }

    pub(super) async fn aks(&self, name: &ClusterName, aks: &Aks, now: Timestamp) -> Result<Pass, Refused> {
        let application = aks.applications.get(self.function);
        let application = application.ok_or_else(|| Nobody(self.function, name.clone()))?;
        let endpoint = self.fixed(name, &aks.host, false)?;
        let assertion = self.clouds.identity.web_token(ASSERTION_AUDIENCE, now).await?;
        let entra = &self.clouds.entra;
        let bearer = entra.aks_token(application, &assertion.text, now).await?;
        Ok(pass(endpoint, &bearer))
    }

    pub(super) async fn api(
        &self,
        name: &ClusterName,
        api: &ApiServer,
        now: Timestamp,
    ) -> Result<Pass, Refused> {
        let endpoint = self.fixed(name, &api.host, api.public)?;
        let made = self.clouds.identity.web_token(&api.audience, now).await?;
        let bearer = Bearer {
            token: made.text,
            until: made.until,
        };
        Ok(pass(endpoint, &bearer))
    }

    /// Where a cluster is whose host stands in the settings. No authority never means everybody's.
    fn fixed(&self, name: &ClusterName, host: &str, public: bool) -> Result<Endpoint, NoAuthority> {
        let authorities = match public {
            true => Vec::new(),
            false => self.authorities.get(name).cloned().unwrap_or_default(),
        };
        if authorities.is_empty() && !public {
            return Err(NoAuthority(name.clone()));
        }
        Ok(Endpoint {
            url: format!("https://{host}"),
            authorities,
        })
    }
}

fn pass(endpoint: Endpoint, bearer: &Bearer) -> Pass {
    Pass {
        url: endpoint.url,
        authorities: endpoint.authorities,
        token: bearer.token.expose().to_owned(),
        until: bearer.until,
    }
}
