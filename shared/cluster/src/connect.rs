//! Which cluster is meant by a name, and how it is entered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use weir_domain::ids::ClusterName;

/// An API server that does not take a connection for this long is away.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// One that sends nothing for this long is away too.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// How a cluster is entered.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Access {
    /// With a kubeconfig file.
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// A context of it; its current one if absent.
        context: Option<String>,
    },
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
}

/// Makes a client for a cluster. Nothing is sent yet.
pub(crate) async fn connect(places: &Places, name: &ClusterName) -> Result<Client, ConnectError> {
    let Some(Access::Kubeconfig { path, context }) = places.access(name) else {
        return Err(ConnectError::Unknown(name.clone()));
    };
    let config = config(path, context.clone(), places.allow_exec).await?;
    Client::try_from(config).map_err(|source| ConnectError::Client {
        path: path.clone(),
        source: Box::new(source),
    })
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
    let mut config = Config::from_custom_kubeconfig(file, &options)
        .await
        .map_err(failed)?;
    // The older `auth-provider` starts programs as well.
    let starts = config.auth_info.exec.is_some() || config.auth_info.auth_provider.is_some();
    if starts && !allow_exec {
        return Err(ConnectError::Exec(path.to_owned()));
    }
    config.connect_timeout = Some(CONNECT_LIMIT);
    config.read_timeout = Some(READ_LIMIT);
    // The loop tries again by itself, knows what may be repeated, and reads again first.
    config.default_retry = false;
    Ok(config)
}
