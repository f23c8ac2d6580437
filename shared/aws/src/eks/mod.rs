//! Clusters in EKS: where they are, and a token to enter them with.
//!
//! No secret is stored (invariant 12). Where a cluster is and by which certificate it is known is asked of EKS once and
//! remembered ([`Whereabouts`]). The token is a request to STS that is signed here and sent by the cluster, to hear who
//! signed it: making one costs no network and under a millisecond, so each caller makes its own.

mod token;

use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_eks::error::{DisplayErrorContext, ProvideErrorMetadata};
use weir_app::{Classified, Retry};
use weir_domain::time::{Span, Timestamp};

pub use token::{SignError, Token, sign};

use crate::identity::credentials;
use crate::whereabouts::Whereabouts;
pub use crate::whereabouts::{Cluster, Endpoint, Shelf};

/// A cluster cannot be entered.
#[derive(Debug, thiserror::Error)]
pub enum EksError {
    /// EKS did not say where it is.
    #[error("EKS could not describe cluster {cluster}: {why}")]
    Describe {
        /// Which.
        cluster: Cluster,
        /// What it said.
        why: String,
        /// What to do about it.
        retry: Retry,
    },
    /// What EKS said is no place to go.
    #[error("EKS describes cluster {cluster} without {missing}: it is being created, or deleted")]
    Incomplete {
        /// Which.
        cluster: Cluster,
        /// What is missing.
        missing: &'static str,
    },
    /// This host has no credentials.
    #[error("there are no credentials to enter cluster {cluster} with")]
    Credentials {
        /// Which.
        cluster: Cluster,
        /// Why.
        #[source]
        source: CredentialsError,
    },
    /// The token could not be made.
    #[error("no token for cluster {cluster}")]
    Sign {
        /// Which.
        cluster: Cluster,
        /// Why.
        #[source]
        source: SignError,
    },
}

impl Classified for EksError {
    fn retry(&self) -> Retry {
        match self {
            Self::Describe { retry, .. } => *retry,
            // Both change while a cluster or a function starts.
            Self::Incomplete { .. } | Self::Credentials { .. } => Retry::After(Span::seconds(5)),
            Self::Sign { .. } => Retry::Never,
        }
    }
}

/// Codes of EKS that no repetition changes: a right or the cluster is missing.
const FINAL: [&str; 4] = [
    "AccessDeniedException",
    "ResourceNotFoundException",
    "ClientException",
    "InvalidParameterException",
];

/// The clusters that this host's credentials lead to.
pub struct Eks {
    config: SdkConfig,
    places: Whereabouts,
}

impl Eks {
    /// Clusters that are entered with the credentials of this configuration. Where they are is kept on the shelf, if
    /// there is one. Nothing is asked yet.
    pub fn new(config: SdkConfig, shelf: Option<Shelf>) -> Self {
        Self {
            config,
            places: Whereabouts::new(shelf),
        }
    }

    /// Where a cluster is: as it is remembered, else from EKS.
    ///
    /// # Errors
    /// EKS did not say.
    pub async fn endpoint(&self, cluster: &Cluster, now: Timestamp) -> Result<Endpoint, EksError> {
        // Large, and seldom needed.
        let ask = Box::pin(self.describe(cluster));
        self.places.of(cluster, now, ask).await
    }

    /// Whoever could not connect, or met another certificate, says so: the cluster may have been made anew. EKS is
    /// asked next, unless it was just now.
    pub fn lost(&self, cluster: &Cluster, now: Timestamp) {
        self.places.lost(cluster, now);
    }

    /// A token for a cluster, signed now.
    ///
    /// # Errors
    /// There are no credentials, or nothing can be signed with them.
    pub async fn token(&self, cluster: &Cluster, now: Timestamp) -> Result<Token, EksError> {
        let missing = |source| EksError::Credentials {
            cluster: cluster.clone(),
            source,
        };
        let credentials = credentials(&self.config).await.map_err(missing)?;
        sign(credentials, cluster, now).map_err(|source| EksError::Sign {
            cluster: cluster.clone(),
            source,
        })
    }

    async fn describe(&self, cluster: &Cluster) -> Result<Endpoint, EksError> {
        // Made when it is needed: most invocations find the cluster known.
        let config = aws_sdk_eks::config::Builder::from(&self.config)
            .region(Region::new(cluster.region.clone()))
            .build();
        let call = aws_sdk_eks::Client::from_conf(config)
            .describe_cluster()
            .name(&cluster.name);
        let described = call.send().await.map_err(|error| {
            let is_final = error.code().is_some_and(|code| FINAL.contains(&code));
            let retry = match is_final {
                true => Retry::Never,
                false => Retry::After(Span::seconds(2)),
            };
            EksError::Describe {
                cluster: cluster.clone(),
                why: DisplayErrorContext(error).to_string(),
                retry,
            }
        })?;
        let found = described.cluster.as_ref();
        let address = found.and_then(|found| found.endpoint());
        let authority = found
            .and_then(|found| found.certificate_authority())
            .and_then(|authority| authority.data());
        Endpoint::read(address, authority).map_err(|missing| EksError::Incomplete {
            cluster: cluster.clone(),
            missing,
        })
    }
}
