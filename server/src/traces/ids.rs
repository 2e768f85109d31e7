//! `IdSet`: the span ids of one trace, so that a span that comes twice counts once. Pure.
//!
//! Promises: ten to fifteen bytes an id, whatever the ids are. Ids come from anywhere, so where one goes depends on a
//! number drawn for each set.

/// Slots of a set with its first id.
const SLOTS_MIN: usize = 8;

/// A set of ids.
#[derive(Debug, Default)]
pub(super) struct IdSet {
    /// Open addressing; 0 is a free slot.
    slots: Vec<u64>,
    len: usize,
    has_zero: bool,
    seed: u64,
}

impl IdSet {
    /// Adds an id; whether it was not there.
    pub(super) fn insert(&mut self, id: u64) -> bool {
        if id == 0 {
            let is_new = !self.has_zero;
            self.has_zero = true;
            return is_new;
        }
        if (self.len + 1) * 5 > self.slots.len() * 4 {
            self.grow();
        }
        let place = self.find(id);
        let slot = &mut self.slots[place];
        if *slot == id {
            return false;
        }
        *slot = id;
        self.len += 1;
        true
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        if id == 0 {
            return self.has_zero;
        }
        !self.slots.is_empty() && self.slots[self.find(id)] == id
    }

    pub(super) fn len(&self) -> usize {
        self.len + usize::from(self.has_zero)
    }

    /// The id's slot, or the free one where it would go; a fifth of the slots is free.
    fn find(&self, id: u64) -> usize {
        let scattered = (id ^ self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut at = ((u128::from(scattered) * self.slots.len() as u128) >> 64) as usize;
        loop {
            let slot = self.slots[at];
            if slot == id || slot == 0 {
                return at;
            }
            at += 1;
            if at == self.slots.len() {
                at = 0;
            }
        }
    }

    fn grow(&mut self) {
        if self.slots.is_empty() {
            self.seed = rand::random();
        }
        let slots = (self.slots.len() + self.slots.len() / 2).max(SLOTS_MIN);
        let ids = std::mem::replace(&mut self.slots, vec![0; slots]);
        for id in ids.into_iter().filter(|id| *id != 0) {
            let place = self.find(id);
            self.slots[place] = id;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(ids in prop::collection::vec(prop_oneof![0u64..50, any::<u64>()], 0..400)) {
            let (mut ours, mut theirs) = (IdSet::default(), HashSet::new());
            for id in ids {
                prop_assert_eq!(ours.contains(id), theirs.contains(&id));
                prop_assert_eq!(ours.insert(id), theirs.insert(id));
                prop_assert!(ours.contains(id));
                prop_assert_eq!(ours.len(), theirs.len());
            }
        }
    }

    #[test]
    fn an_id_takes_at_most_fifteen_bytes() {
        let mut ids = IdSet::default();
        for id in 1..=100_000u64 {
            // In a row, as no generator of ours gives them.
            assert!(ids.insert(id << 32));
            assert!(id < 100 || ids.slots.len() * 8 <= 15 * id as usize);
        }
    }
}
