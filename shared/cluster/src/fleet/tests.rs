use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;
use weir_domain::time::Span;

use super::*;
use crate::{Access, Gate, Pass};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Lets into `slow` once that is opened, and into others at once.
struct Door {
    open: Semaphore,
    asked: AtomicUsize,
}

#[async_trait]
impl Gate for Door {
    async fn pass(&self, cluster: &ClusterName) -> Result<Pass, Box<dyn std::error::Error + Send + Sync>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if cluster.as_str() == "slow" {
            drop(self.open.acquire().await?);
        }
        Ok(Pass {
            url: "https://127.0.0.1:9".to_owned(),
            authorities: Vec::new(),
            token: "token".to_owned(),
            until: NOW + Span::minutes(10),
        })
    }

    fn lost(&self, _: &ClusterName) {}
}

#[tokio::test]
async fn a_slow_gate_delays_no_other_cluster_and_is_asked_once() {
    let door = Arc::new(Door {
        open: Semaphore::new(0),
        asked: AtomicUsize::new(0),
    });
    let fleet = Fleet::new(Places::all(Access::Gate(door.clone())), Arc::new(Still));
    let (slow, fast) = (ClusterName::new("slow"), ClusterName::new("fast"));
    let meanwhile = async {
        let entered = fleet.api(&fast).await;
        door.open.add_permits(1);
        entered
    };
    let (first, second, other) = tokio::join!(fleet.api(&slow), fleet.api(&slow), meanwhile);
    assert!(first.is_ok() && second.is_ok() && other.is_ok());
    assert_eq!(door.asked.load(Ordering::Relaxed), 2, "once for each cluster");
}
