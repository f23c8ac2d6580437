//! Blocks in order, whatever order they come in.
//!
//! A block is applied once, and after the one before it: the level that a block is weighed with comes from earlier
//! ones. A block that is missing is waited for until so many later ones are there, and is then given up: it has no weight, and
//! if it comes after all it changes nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Later blocks that wait for a missing one: a minute of blocks of fifteen seconds.
pub const WINDOW: usize = 4;

/// Blocks that wait, and the next one that may be applied.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Ordered<T> {
    next: Option<u64>,
    waiting: BTreeMap<u64, T>,
    /// Blocks that were given up.
    #[serde(default)]
    missed: u64,
}

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self {
            next: None,
            waiting: BTreeMap::new(),
            missed: 0,
        }
    }
}

impl<T> Ordered<T> {
    /// Blocks numbered from `first` on.
    pub fn starting_at(first: u64) -> Self {
        Self {
            next: Some(first),
            ..Self::default()
        }
    }

    /// Takes a block and gives what can be applied now, in order. One that was taken or given up before gives nothing.
    pub fn take(&mut self, id: u64, block: T) -> Vec<(u64, T)> {
        let next = *self.next.get_or_insert(id);
        if id < next || self.waiting.contains_key(&id) {
            return Vec::new();
        }
        self.waiting.insert(id, block);
        let mut ready = self.ready();
        while self.waiting.len() > WINDOW {
            let Some(first) = self.waiting.keys().next().copied() else {
                break;
            };
            let expected = self.next.replace(first).unwrap_or(first);
            self.missed += first - expected;
            ready.extend(self.ready());
        }
        ready
    }

    fn ready(&mut self) -> Vec<(u64, T)> {
        let mut out = Vec::new();
        while let Some(entry) = self.waiting.first_entry() {
            if Some(*entry.key()) != self.next {
                break;
            }
            let (id, block) = entry.remove_entry();
            self.next = Some(id + 1);
            out.push((id, block));
        }
        out
    }

    /// Everything that still waits, in order: nothing more will come.
    pub fn finish(&mut self) -> Vec<(u64, T)> {
        let rest: Vec<_> = std::mem::take(&mut self.waiting).into_iter().collect();
        if let (Some(next), Some((last, _))) = (self.next, rest.last()) {
            self.missed += last + 1 - next - rest.len() as u64;
            self.next = Some(last + 1);
        }
        rest
    }

    /// Blocks that never came.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_missing_block_is_waited_for_and_then_given_up() {
        let mut order = Ordered::starting_at(1);
        assert_eq!(order.take(1, 'a'), [(1, 'a')]);
        for (id, name) in [(3, 'c'), (4, 'd'), (5, 'e'), (6, 'f')] {
            assert_eq!(order.take(id, name), []);
        }
        let given: Vec<u64> = order.take(7, 'g').into_iter().map(|(id, _)| id).collect();
        assert_eq!(given, [3, 4, 5, 6, 7]);
        assert_eq!(order.missed(), 1);
        assert_eq!(order.take(2, 'b'), [], "too late");
    }

    proptest! {
        #[test]
        fn any_order_inside_the_window_is_applied_in_order(
            swaps in prop::collection::vec(0_usize..40, 0..20), again in prop::collection::vec(0_usize..40, 0..20),
        ) {
            let mut sent: Vec<u64> = (0..40).collect();
            // A swap of neighbours two apart moves a block by at most the window.
            for at in swaps.into_iter().filter(|at| at + 2 < 40) {
                let (a, b) = (sent[at], sent[at + 2]);
                if a.abs_diff(at as u64 + 2) <= 2 && b.abs_diff(at as u64) <= 2 {
                    sent.swap(at, at + 2);
                }
            }
            let mut order = Ordered::starting_at(0);
            let mut applied = Vec::new();
            for (i, id) in sent.iter().enumerate() {
                applied.extend(order.take(*id, ()).into_iter().map(|(id, ())| id));
                for _ in again.iter().filter(|at| **at == i) {
                    prop_assert!(order.take(*id, ()).is_empty());
                }
            }
            applied.extend(order.finish().into_iter().map(|(id, ())| id));
            prop_assert_eq!(applied, (0..40).collect::<Vec<u64>>());
            prop_assert_eq!(order.missed(), 0);
        }
    }
}
