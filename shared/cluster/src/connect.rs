//! Which cluster is meant by a name, and how it is entered.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use weir_domain::ids::ClusterName;
use weir_domain::time::Timestamp;

/// An API server that does not take a connection for this long is away.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// One that sends nothing for this long is away too.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// Lets this host into clusters with tokens that live for minutes.
#[async_trait]
pub trait Gate: Send + Sync {
    /// What to enter a cluster with, from now.
    ///
    /// # Errors
    /// Why this host is not let in.
    async fn pass(&self, cluster: &ClusterName) -> Result<Pass, Box<dyn std::error::Error + Send + Sync>>;

    /// Nobody answered where the last pass led, or somebody with a certificate of others: the cluster may have been
    /// made anew. The next pass must not rest on what is remembered.
    fn lost(&self, cluster: &ClusterName);
}

/// What a cluster is entered with for some minutes.
#[derive(Clone)]
pub struct Pass {
    /// Address of the API server.
    pub url: String,
    /// The authorities that its certificate may be signed by, in DER; the host's own are not trusted then. None: the
    /// host's are, for endpoints that the public may verify.
    pub authorities: Vec<Vec<u8>>,
    /// For the `Authorization` header.
    pub token: String,
    /// When another must be asked for.
    pub until: Timestamp,
}

/// How a cluster is entered.
#[derive(Clone)]
#[non_exhaustive]
pub enum Access {
    /// With what a gate gives.
    Gate(Arc<dyn Gate>),
    /// With a kubeconfig file.
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// A context of it; its current one if absent.
        context: Option<String>,
    },
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gate(_) => f.write_str("Gate"),
            Self::Kubeconfig { path, context } => {
                let mut shown = f.debug_struct("Kubeconfig");
                shown.field("path", path).field("context", context).finish()
            }
        }
    }
}

impl Access {
    /// With a kubeconfig file and one of its contexts, or its current one.
    pub fn kubeconfig(path: impl Into<PathBuf>, context: Option<String>) -> Self {
        Self::Kubeconfig {
            path: path.into(),
            context,
        }
    }
}

/// The clusters that a host can reach.
#[derive(Clone, Default, Debug)]
pub struct Places {
    named: BTreeMap<ClusterName, Access>,
    otherwise: Option<Access>,
    allow_exec: bool,
}

impl Places {
    /// Every name means this cluster.
    pub fn all(access: Access) -> Self {
        Self::default().otherwise(access)
    }

    /// This name means this cluster.
    #[must_use]
    pub fn with(mut self, name: ClusterName, access: Access) -> Self {
        self.named.insert(name, access);
        self
    }

    /// Names that are not listed mean this cluster.
    #[must_use]
    pub fn otherwise(mut self, access: Access) -> Self {
        self.otherwise = Some(access);
        self
    }

    /// Whether a kubeconfig may start programs to get its credentials. Not allowed unless said: a function must not
    /// run what a file names.
    #[must_use]
    pub fn allow_exec(mut self, allow: bool) -> Self {
        self.allow_exec = allow;
        self
    }

    /// Tells the gate of a cluster, if it has one, that it was not found.
    pub(crate) fn lost(&self, name: &ClusterName) {
        if let Some(Access::Gate(gate)) = self.access(name) {
            gate.lost(name);
        }
    }

    fn access(&self, name: &ClusterName) -> Option<&Access> {
        self.named.get(name).or(self.otherwise.as_ref())
    }
}

/// A cluster could not be entered.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody said where it is.
    #[error("cluster `{0}` is not known to this host: give it a kubeconfig")]
    Unknown(ClusterName),
    /// The file, or the context in it, cannot be used.
    #[error("kubeconfig `{path}` cannot be used")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// The file asks for a program to be run.
    #[error("kubeconfig `{0}` starts a program to get credentials, which this host does not allow")]
    Exec(PathBuf),
    /// The client could not be made of it.
    #[error("no client for kubeconfig `{path}`")]
    Client {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// Its gate does not let this host in.
    #[error("cluster `{cluster}` cannot be entered")]
    Gate {
        /// The cluster.
        cluster: ClusterName,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Makes a client for a cluster, and says until when it is good if not for ever. Nothing is sent to the cluster yet.
pub(crate) async fn connect(
    places: &Places,
    name: &ClusterName,
) -> Result<(Client, Option<Timestamp>), ConnectError> {
    match places.access(name) {
        None => Err(ConnectError::Unknown(name.clone())),
        Some(Access::Gate(gate)) => {
            let refused = |source| ConnectError::Gate {
                cluster: name.clone(),
                source,
            };
            let pass = gate.pass(name).await.map_err(refused)?;
            let until = pass.until;
            let config = entered(pass).map_err(refused)?;
            let client = Client::try_from(config).map_err(|error| refused(error.into()))?;
            Ok((client, Some(until)))
        }
        Some(Access::Kubeconfig { path, context }) => {
            let config = config(path, context.clone(), places.allow_exec).await?;
            let client = Client::try_from(config).map_err(|source| ConnectError::Client {
                path: path.clone(),
                source: Box::new(source),
            })?;
            Ok((client, None))
        }
    }
}

fn entered(pass: Pass) -> Result<Config, Box<dyn std::error::Error + Send + Sync>> {
    let mut config = Config::new(pass.url.parse::<http::Uri>()?);
    config.root_cert = (!pass.authorities.is_empty()).then_some(pass.authorities);
    config.auth_info.token = Some(pass.token.into());
    Ok(bounded(config))
}

/// The limits of every client.
fn bounded(mut config: Config) -> Config {
    config.connect_timeout = Some(CONNECT_LIMIT);
    config.read_timeout = Some(READ_LIMIT);
    // The loop tries again by itself, knows what may be repeated, and reads again first.
    config.default_retry = false;
    config
}

async fn config(path: &Path, context: Option<String>, allow_exec: bool) -> Result<Config, ConnectError> {
    let failed = |source| ConnectError::Kubeconfig {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let file = Kubeconfig::read_from(path).map_err(failed)?;
    let options = KubeConfigOptions {
        context,
        ..KubeConfigOptions::default()
    };
    let config = Config::from_custom_kubeconfig(file, &options)
        .await
        .map_err(failed)?;
    // The older `auth-provider` starts programs as well.
    let starts = config.auth_info.exec.is_some() || config.auth_info.auth_provider.is_some();
    if starts && !allow_exec {
        return Err(ConnectError::Exec(path.to_owned()));
    }
    Ok(bounded(config))
}
