//! The merges: which two tokens become which, and when.
//!
//! An open-addressed hash table from a pair of ids, packed into a `u64`, to the merge's rank and the new id: 16 bytes a slot, at
//! most 70 % of them taken, linear probing, so that a lookup is mostly one cache line. The hash is keyed at random per table:
//! no file can choose its collisions.

use std::hash::{BuildHasher, RandomState};

/// The rank of a pair that does not merge.
pub(super) const NO_RANK: u32 = u32::MAX;

/// What becomes of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Merge {
    /// Lower ranks merge first. `NO_RANK` if the pair does not merge.
    pub(super) rank: u32,
    pub(super) new_id: u32,
}

/// No merge.
pub(super) const NO_MERGE: Merge = Merge { rank: NO_RANK, new_id: 0 };

#[derive(Clone, Copy, Debug)]
struct Slot {
    pair: u64,
    /// `NO_MERGE` where the slot is empty, whatever `pair` is.
    merge: Merge,
}

/// All merges, by pair.
#[derive(Debug)]
pub(super) struct Merges {
    slots: Vec<Slot>,
    shift: u32,
    keys: [u64; 2],
    len: usize,
    ranks: usize,
}

impl Merges {
    /// An empty table with room for `len` merges.
    pub(super) fn with_capacity(len: usize) -> Self {
        let slots = (len * 10 / 7 + 1).next_power_of_two().max(2);
        let random = RandomState::new();
        Self {
            slots: vec![Slot { pair: 0, merge: NO_MERGE }; slots],
            shift: 64 - slots.trailing_zeros(),
            keys: [random.hash_one(0), random.hash_one(1) | 1],
            len: 0,
            ranks: 0,
        }
    }

    /// Adds a merge, or replaces that of the same pair. At most as many as there is room for.
    pub(super) fn insert(&mut self, left: u32, right: u32, merge: Merge) {
        let pair = pack(left, right);
        let slot = self.find(pair);
        self.len += usize::from(self.slots[slot].merge.rank == NO_RANK);
        assert!(self.len < self.slots.len(), "a table of merges is never full");
        self.slots[slot] = Slot { pair, merge };
        self.ranks = self.ranks.max(merge.rank as usize + 1);
    }

    /// One more than the highest rank.
    pub(super) fn ranks(&self) -> usize {
        self.ranks
    }

    /// The merge of a pair, or `NO_MERGE`.
    #[inline(always)]
    pub(super) fn get(&self, left: u32, right: u32) -> Merge {
        self.slots[self.find(pack(left, right))].merge
    }

    /// All merges as left id, right id and merge, by rank.
    pub(super) fn by_rank(&self) -> Vec<(u32, u32, Merge)> {
        let taken = self.slots.iter().filter(|slot| slot.merge.rank != NO_RANK);
        let mut merges: Vec<_> = taken.map(|slot| ((slot.pair >> 32) as u32, slot.pair as u32, slot.merge)).collect();
        merges.sort_unstable_by_key(|merge| merge.2.rank);
        merges
    }

    /// The slot of `pair`, or the empty one where it would go.
    #[inline(always)]
    fn find(&self, pair: u64) -> usize {
        let product = u128::from(pair ^ self.keys[0]) * u128::from(self.keys[1]);
        let hash = (product as u64) ^ (product >> 64) as u64;
        let mut slot = (hash >> self.shift) as usize;
        loop {
            let found = &self.slots[slot];
            if found.pair == pair || found.merge.rank == NO_RANK {
                return slot;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }
}

#[inline(always)]
fn pack(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn an_empty_table_merges_nothing() {
        let merges = Merges::with_capacity(0);
        for id in [0, 1, u32::MAX] {
            assert_eq!(merges.get(id, id), NO_MERGE);
        }
    }

    proptest! {
        #[test]
        fn equals_a_map(list in proptest::collection::vec((prop_oneof![0u32..6, Just(u32::MAX)], prop_oneof![0u32..6, any::<u32>()], 0u32..9), 0..60)) {
            let mut merges = Merges::with_capacity(list.len());
            let mut map = HashMap::new();
            for (rank, &(left, right, new_id)) in (0..).zip(&list) {
                merges.insert(left, right, Merge { rank, new_id });
                map.insert((left, right), Merge { rank, new_id });
            }
            for &(left, right, _) in &list {
                prop_assert_eq!(merges.get(left, right), map[&(left, right)]);
                prop_assert_eq!(merges.get(right, left), map.get(&(right, left)).copied().unwrap_or(NO_MERGE));
            }
            let mut expected: Vec<_> = map.into_iter().map(|((left, right), merge)| (left, right, merge)).collect();
            expected.sort_unstable_by_key(|merge| merge.2.rank);
            prop_assert_eq!(merges.by_rank(), expected);
        }
    }
}
