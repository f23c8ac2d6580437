//! Where clusters are, remembered: in memory, and in the table for those that start later. Whoever knows it, a cloud, is
//! asked once, and again after a caller could not connect.

mod endpoint;
mod shelf;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use weir_domain::time::{Span, Timestamp};

pub use endpoint::{Endpoint, certificates};
pub use shelf::Shelf;

/// A cloud is not asked again about a cluster sooner than this after it answered: while an API server is away, every
/// look would ask.
const ASK_PAUSE: Span = Span::seconds(10);

/// A cluster, as its cloud names it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cluster {
    /// Its region; for others than EKS, whatever tells clusters of one name apart, which is then no region's name.
    pub region: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.name, self.region)
    }
}

/// What is known of a cluster here.
enum Known {
    /// Where it is.
    At {
        endpoint: Endpoint,
        /// When its cloud said so, if it was this process that asked.
        told: Option<Timestamp>,
    },
    /// What stands in the table led nowhere.
    Lost,
}

/// What is remembered of where clusters are.
pub struct Whereabouts {
    shelf: Option<Shelf>,
    known: Mutex<BTreeMap<Cluster, Known>>,
}

impl Whereabouts {
    /// Nothing in memory yet; what stands on the shelf, if there is one.
    pub fn new(shelf: Option<Shelf>) -> Self {
        Self {
            shelf,
            known: Mutex::default(),
        }
    }

    /// Where a cluster is: from memory, else from the shelf, else as `ask` says.
    ///
    /// # Errors
    /// It had to be asked, and did not say.
    pub async fn of<E>(
        &self,
        cluster: &Cluster,
        now: Timestamp,
        ask: impl Future<Output = Result<Endpoint, E>>,
    ) -> Result<Endpoint, E> {
        let lost = match self.known().get(cluster) {
            Some(Known::At { endpoint, .. }) => return Ok(endpoint.clone()),
            Some(Known::Lost) => true,
            None => false,
        };
        let kept = match &self.shelf {
            Some(shelf) if !lost => shelf.find(cluster).await,
            _ => None,
        };
        // Two that ask at once ask twice; the answers are the same.
        let (endpoint, told) = match kept {
            Some(endpoint) => (endpoint, None),
            None => (ask.await?, Some(now)),
        };
        if let (Some(shelf), Some(_)) = (&self.shelf, told) {
            shelf.keep(cluster, &endpoint).await;
        }
        let known = Known::At {
            endpoint: endpoint.clone(),
            told,
        };
        self.known().insert(cluster.clone(), known);
        Ok(endpoint)
    }

    /// What is remembered of a cluster led nowhere. Its cloud is asked next, unless it was just now.
    pub fn lost(&self, cluster: &Cluster, now: Timestamp) {
        let mut known = self.known();
        let just_told =
            matches!(known.get(cluster), Some(Known::At { told: Some(told), .. }) if now < *told + ASK_PAUSE);
        if !just_told {
            known.insert(cluster.clone(), Known::Lost);
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Cluster, Known>> {
        // Nothing in here panics half-way.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
