//! Reads of one thing that many ask for at the same moment, made once for all of them.
//!
//! Whoever asks while nobody reads, reads at once. Whoever asks meanwhile waits for the next read, which begins when the
//! present one has ended, and is for all who wait by then. So no answer is older than its question: it was read from the
//! world after everybody who gets it had asked, as if each had read alone. When hundreds of canaries are looked at in the
//! same second, their gateway is read some twenty times.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Keys that one read is for. More are for the one after it: an answer must not become too large.
const KEYS: usize = 64;

/// Shared reads of places (an endpoint of a pod, a list), each for several keys (parts of what is there).
pub struct Together<P, K, A> {
    places: Mutex<BTreeMap<P, Arc<Place<K, A>>>>,
}

struct Place<K, A> {
    /// Whoever reads holds it. The others wait in it until they are answered, or are to read themselves.
    turn: tokio::sync::Mutex<()>,
    /// The read that has not begun.
    next: Mutex<Option<Arc<Round<K, A>>>>,
}

/// One read.
struct Round<K, A> {
    keys: Mutex<BTreeSet<K>>,
    answer: OnceLock<A>,
}

impl<P, K, A> Default for Together<P, K, A> {
    fn default() -> Self {
        Self {
            places: Mutex::default(),
        }
    }
}

impl<P: Ord, K: Ord + Clone, A: Clone> Together<P, K, A> {
    /// What `read` gives for this key and for those of others who ask at the same time. It waits for at most one read of
    /// others before its own. A read that is broken off is made again by the next who waits for it.
    pub async fn ask<F>(&self, place: P, key: K, read: impl FnOnce(BTreeSet<K>) -> F) -> A
    where
        F: Future<Output = A>,
    {
        let place = self.place(place);
        let round = place.join(key);
        let _turn = place.turn.lock().await;
        if let Some(answer) = round.answer.get() {
            return answer.clone();
        }
        let answer = read(place.begin(&round)).await;
        round.answer.get_or_init(|| answer).clone()
    }

    fn place(&self, place: P) -> Arc<Place<K, A>> {
        let mut places = held(&self.places);
        if let Some(known) = places.get(&place) {
            return known.clone();
        }
        // Pods of a gateway come and go: those that nobody asks now are forgotten.
        places.retain(|_, place| Arc::strong_count(place) > 1);
        places.entry(place).or_default().clone()
    }
}

impl<K, A> Default for Place<K, A> {
    fn default() -> Self {
        Self {
            turn: tokio::sync::Mutex::default(),
            next: Mutex::default(),
        }
    }
}

impl<K: Ord + Clone, A> Place<K, A> {
    fn join(&self, key: K) -> Arc<Round<K, A>> {
        let mut next = held(&self.next);
        if let Some(round) = &*next {
            let mut keys = held(&round.keys);
            if keys.len() < KEYS || keys.contains(&key) {
                keys.insert(key);
                return round.clone();
            }
        }
        let round = Arc::new(Round {
            keys: Mutex::new([key].into()),
            answer: OnceLock::new(),
        });
        *next = Some(round.clone());
        round
    }

    /// Nobody joins a round any more once it has begun; who is in it.
    fn begin(&self, round: &Arc<Round<K, A>>) -> BTreeSet<K> {
        held(&self.next).take_if(|next| Arc::ptr_eq(next, round));
        held(&round.keys).clone()
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here panics half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::yield_now;

    use super::*;

    /// Number of the read, and whom it was for.
    type Answer = (usize, Vec<usize>);

    #[derive(Default)]
    struct World {
        together: Together<&'static str, usize, Answer>,
        reads: AtomicUsize,
    }

    impl World {
        async fn ask(&self, place: &'static str, key: usize) -> Answer {
            let read = async |keys: BTreeSet<usize>| {
                let n = self.reads.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
                (n, keys.into_iter().collect())
            };
            self.together.ask(place, key, read).await
        }
    }

    #[tokio::test]
    async fn whoever_asks_while_another_reads_shares_the_next_read() {
        let world = World::default();
        let (a, b, c, d) = tokio::join!(
            world.ask("x", 1),
            world.ask("x", 2),
            world.ask("x", 3),
            world.ask("x", 2)
        );
        assert_eq!(a, (0, vec![1]));
        assert_eq!(b, (1, vec![2, 3]));
        assert_eq!((&c, &d), (&b, &b));
        assert_eq!(world.ask("x", 1).await, (2, vec![1]), "an answer is not kept");
    }

    #[tokio::test]
    async fn places_are_read_apart() {
        let world = World::default();
        let (a, b) = tokio::join!(world.ask("x", 1), world.ask("y", 1));
        assert_ne!(a.0, b.0);
        assert_eq!(held(&world.together.places).len(), 2);
        world.ask("z", 1).await;
        assert_eq!(held(&world.together.places).len(), 1, "nobody asks the others");
    }

    #[tokio::test]
    async fn a_read_that_is_broken_off_is_made_by_the_next_who_waits() {
        let world = World::default();
        let mut first = Box::pin(world.ask("x", 1));
        let mut second = Box::pin(world.ask("x", 2));
        let mut third = Box::pin(world.ask("x", 3));
        tokio::select! {
            biased;
            _ = &mut first => panic!("it has not read yet"),
            _ = &mut second => panic!("it waits"),
            _ = &mut third => panic!("it waits too"),
            () = std::future::ready(()) => {}
        }
        drop(first);
        let (second, third) = tokio::join!(second, third);
        assert_eq!(second, (1, vec![2, 3]));
        assert_eq!(third, second);
    }

    #[tokio::test]
    async fn a_read_is_for_a_limited_number_of_keys() {
        let world = Arc::new(World::default());
        let mut asks = tokio::task::JoinSet::new();
        for key in 0..2 * KEYS {
            let world = world.clone();
            asks.spawn(async move { world.ask("x", key).await });
        }
        let answers = asks.join_all().await;
        assert_eq!(answers.len(), 2 * KEYS);
        let most = answers.iter().map(|(_, keys)| keys.len()).max();
        assert_eq!((world.reads.load(Ordering::Relaxed), most), (3, Some(KEYS)));
    }
}
