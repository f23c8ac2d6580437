//! How much room a candidate finds beside what is there, and in the places of stable replicas.

use crate::fit::{Ask, Snapshot, What, fit_if, stable_pods};

/// Stable pods that are tried for the next place, in the order of their nodes: pods of one node first, so that a large
/// replica finds the place of several small ones.
const PLACE_TRIES: usize = 16;

/// Room for a candidate. Every count holds whatever the scheduler prefers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Room {
    /// Replicas that fit beside everything.
    pub beside: u64,
    /// Stable pods in the order in which they would go.
    pub places: Vec<Place>,
}

/// The place of a stable pod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Name of the pod.
    pub pod: String,
    /// Its node.
    pub node: String,
    /// Replicas of the candidate that fit once it and all before it are gone.
    pub replicas: u64,
}

impl Room {
    /// How many stable pods must go so that this many replicas fit, if that is enough at all.
    pub fn borrowed_for(&self, replicas: u64) -> Option<usize> {
        if replicas <= self.beside {
            return Some(0);
        }
        let first = self.places.iter().position(|place| place.replicas >= replicas)?;
        Some(first + 1)
    }

    /// The same room when others have a claim on so many replicas' worth of it.
    #[must_use]
    pub fn less(mut self, claimed: u64) -> Self {
        self.beside = self.beside.saturating_sub(claimed);
        for place in &mut self.places {
            place.replicas = place.replicas.saturating_sub(claimed);
        }
        self
    }
}

/// Finds the room for up to `wanted` replicas.
pub fn room(snapshot: &Snapshot, ask: &Ask, wanted: u64) -> Room {
    let sure = |gone: &[usize]| {
        let what = What {
            without: gone.to_vec(),
            ..What::default()
        };
        fit_if(snapshot, ask, wanted, &what).sure_replicas
    };
    let mut left = stable_pods(snapshot, ask);
    left.sort_by(|a, b| snapshot.pods[*a].node.cmp(&snapshot.pods[*b].node));
    let mut room = Room {
        beside: sure(&[]),
        places: Vec::new(),
    };
    let mut gone: Vec<usize> = Vec::new();
    let mut fits = room.beside;
    while fits < wanted && !left.is_empty() {
        let opens = left.iter().take(PLACE_TRIES).position(|pod| {
            gone.push(*pod);
            let more = sure(&gone);
            gone.pop();
            more > fits
        });
        let pod = left.remove(opens.unwrap_or(0));
        gone.push(pod);
        fits = sure(&gone).max(fits);
        let pod = &snapshot.pods[pod];
        room.places.push(Place {
            pod: pod.name.clone(),
            node: pod.node.clone(),
            replicas: fits,
        });
    }
    room
}
