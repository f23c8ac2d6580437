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
pub(crate) struct EksGate {
    pub(crate) eks: Eks,
    pub(crate) clusters: BTreeMap<ClusterName, Cluster>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A definition names a cluster that the settings do not.
#[derive(Debug, thiserror::Error)]
#[error("cluster `{0}` is not in WEIR_CLUSTERS")]
struct Unlisted(ClusterName);

#[async_trait]
impl Gate for EksGate {
    async fn pass(&self, name: &ClusterName) -> Result<Pass, Box<dyn std::error::Error + Send + Sync>> {
        let cluster = self.clusters.get(name).ok_or_else(|| Unlisted(name.clone()))?;
        // Asked again with each token, so that a cluster that was made anew is found within minutes without anybody
        // having to tell a lost connection from a changed address.
        self.eks.forget(cluster);
        let endpoint = self.eks.endpoint(cluster).await?;
        let token = self.eks.token(cluster, self.clock.now()).await?;
        Ok(Pass {
            url: endpoint.url,
            authorities: endpoint.authorities,
            token: token.secret().to_owned(),
            until: token.until,
        })
    }
}
