//! Clusters, entered with tokens that are made when they are needed. A pass is kept by who asked for it, until shortly
//! before its end or until an API server does not know who comes with it; where a cluster is, until nobody is found there.

mod authorities;
mod federated;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use weir_app::Clock;
use weir_aws::eks::Cluster;
use weir_aws::whereabouts::Shelf;
use weir_aws::{Eks, Identity, Whereabouts};
use weir_cluster::{Gate, Pass};
use weir_domain::ids::ClusterName;
use weir_domain::time::Timestamp;
use weir_federation::{Entra, Google};

use crate::google::Refused;
use crate::ways::{GkePlace, Way};
pub(crate) use authorities::authorities;

/// The clusters of the settings.
pub struct CloudGate {
    /// How each is entered.
    pub clusters: BTreeMap<ClusterName, Way>,
    /// The authorities of certificates that no cloud says, in DER.
    pub authorities: BTreeMap<ClusterName, Vec<Vec<u8>>>,
    /// Whose identity clusters are entered with.
    pub function: &'static str,
    /// Who is asked.
    pub clouds: Clouds,
    /// Tokens are signed by it.
    pub clock: Arc<dyn Clock>,
}

/// Whoever says where clusters are, and believes who a function is.
pub struct Clouds {
    /// For clusters of EKS.
    pub eks: Eks,
    /// For all others.
    pub identity: Identity,
    /// For clusters of GKE.
    pub google: Google,
    /// Where clusters of GKE are.
    pub whereabouts: Whereabouts,
    /// For clusters of AKS.
    pub entra: Entra,
}

impl Clouds {
    /// The clouds themselves, with this configuration's credentials. Where clusters are is kept on the shelf, if there is one.
    pub fn of(config: &SdkConfig, shelf: Option<Shelf>) -> Self {
        Self {
            eks: Eks::new(config.clone(), shelf.clone()),
            identity: Identity::new(config.clone()),
            google: Google::default(),
            whereabouts: Whereabouts::new(shelf),
            entra: Entra::default(),
        }
    }
}

/// A definition names a cluster that the settings do not.
#[derive(Debug, thiserror::Error)]
#[error("cluster `{0}` is not in WEIR_CLUSTERS")]
struct Unlisted(ClusterName);

#[async_trait]
impl Gate for CloudGate {
    async fn pass(&self, name: &ClusterName) -> Result<Pass, Refused> {
        let way = self.clusters.get(name).ok_or_else(|| Unlisted(name.clone()))?;
        let now = self.clock.now();
        match way {
            Way::Eks(cluster) => self.eks(cluster, now).await,
            Way::Gke(gke) => self.gke(gke, now).await,
            Way::Aks(aks) => self.aks(name, aks, now).await,
            Way::Api(api) => self.api(name, api, now).await,
        }
    }

    fn lost(&self, name: &ClusterName) {
        let now = self.clock.now();
        match self.clusters.get(name) {
            Some(Way::Eks(cluster)) => self.clouds.eks.lost(cluster, now),
            Some(Way::Gke(gke)) => {
                if let GkePlace::Asked(cluster) = &gke.place {
                    self.clouds.whereabouts.lost(&federated::key(cluster), now);
                }
            }
            // Where these are stands in the settings.
            Some(Way::Aks(_) | Way::Api(_)) | None => {}
        }
    }
}

impl CloudGate {
    async fn eks(&self, cluster: &Cluster, now: Timestamp) -> Result<Pass, Refused> {
        let endpoint = self.clouds.eks.endpoint(cluster, now).await?;
        let token = self.clouds.eks.token(cluster, now).await?;
        Ok(Pass {
            url: endpoint.url,
            authorities: endpoint.authorities,
            token: token.secret().to_owned(),
            until: token.until,
        })
    }
}
