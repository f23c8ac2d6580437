//! What the clusters of definitions are, and how each is entered: the list `WEIR_CLUSTERS`.
//!
//! ```text
//! NAME=REGION/CLUSTER                                                               EKS
//! NAME=gke:PROJECT/LOCATION/CLUSTER;provider=NUMBER/POOL/PROVIDER[;token=aws4][;as.FUNCTION=ACCOUNT …]
//! NAME=gke:DNS-ENDPOINT;provider=…                                                  GKE
//! NAME=aks:HOST;tenant=TENANT;client.FUNCTION=APPLICATION …                         AKS with Entra
//! NAME=api:HOST[:PORT];audience=AUDIENCE[;certificate=public]                       any API server that reads JWTs
//! ```
//! Clusters are separated by commas. Each function enters a cluster as somebody else, so what may only send traffic back
//! can be held to that: `as` and `client` are said for every function.

mod believed;
mod options;
mod read;
mod words;

use std::collections::BTreeMap;

use weir_aws::eks::Cluster;
use weir_federation::{Application, GkeCluster, Provider};

pub use believed::Believed;
pub(crate) use believed::believed;
pub(crate) use read::clusters;

/// The functions that enter clusters, each with an identity of its own.
pub const FUNCTIONS: [&str; 4] = [
    "webhook-intake",
    "approval-callback",
    "stage-executor",
    "metric-check",
];

/// How a cluster is entered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Way {
    /// By EKS, as the function's role.
    Eks(Cluster),
    /// By Google.
    Gke(Gke),
    /// By Entra.
    Aks(Aks),
    /// With a JWT that the API server itself reads.
    Api(ApiServer),
}

/// A cluster of GKE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gke {
    /// Where it is.
    pub place: GkePlace,
    /// Who believes the function.
    pub provider: Provider,
    /// By what.
    pub proof: Proof,
    /// By function, the service account that it enters the cluster as; as itself where there is none.
    pub accounts: BTreeMap<&'static str, String>,
}

/// Where a cluster of GKE is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GkePlace {
    /// As GKE says it.
    Asked(GkeCluster),
    /// At this DNS-based endpoint, whose certificate everybody can verify.
    Dns(String),
}

/// What a function says to Google who it is by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof {
    /// A JWT that STS signs.
    Jwt,
    /// A request to STS that the function signs.
    AwsRequest,
}

/// A cluster of AKS with Entra.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Aks {
    /// Host of its API server; its authority is among the secrets.
    pub host: String,
    /// By function, the application that it enters the cluster as.
    pub applications: BTreeMap<&'static str, Application>,
}

/// An API server that reads JWTs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiServer {
    /// Its host, with its port if that is not 443.
    pub host: String,
    /// What it expects in a JWT.
    pub audience: String,
    /// Whether everybody can verify its certificate; its authority is among the secrets otherwise.
    pub public: bool,
}

impl Way {
    /// Whether the authority of its certificate must stand among the secrets.
    pub(crate) fn needs_authority(&self) -> bool {
        match self {
            Self::Aks(_) => true,
            Self::Api(api) => !api.public,
            Self::Eks(_) | Self::Gke(_) => false,
        }
    }
}
