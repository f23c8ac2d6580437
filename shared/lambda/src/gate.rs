//! Clusters in EKS, entered with tokens that are signed when they are needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use weir_app::Clock;
use weir_aws::Eks;
use weir_aws::eks::Cluster;
use weir_cluster::{Gate, Pass};
use weir_domain::ids::ClusterName;

/// The clusters of the settings.
pub struct EksGate {
    /// What enters them.
    pub eks: Eks,
    /// What the clusters of definitions are in EKS.
    pub clusters: BTreeMap<ClusterName, Cluster>,
    /// Tokens are signed by it.
    pub clock: Arc<dyn Clock>,
}

/// A definition names a cluster that the settings do not.
#[derive(Debug, thiserror::Error)]
#[error("cluster `{0}` is not in WEIR_CLUSTERS")]
struct Unlisted(ClusterName);

#[async_trait]
impl Gate for EksGate {
    async fn pass(&self, name: &ClusterName) -> Result<Pass, Box<dyn std::error::Error + Send + Sync>> {
        let cluster = self.clusters.get(name).ok_or_else(|| Unlisted(name.clone()))?;
        let now = self.clock.now();
        let endpoint = self.eks.endpoint(cluster, now).await?;
        let token = self.eks.token(cluster, now).await?;
        Ok(Pass {
            url: endpoint.url,
            authorities: endpoint.authorities,
            token: token.secret().to_owned(),
            until: token.until,
        })
    }

    fn lost(&self, name: &ClusterName) {
        if let Some(cluster) = self.clusters.get(name) {
            self.eks.lost(cluster, self.clock.now());
        }
    }
}
