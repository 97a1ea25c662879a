//! The merges: which two tokens become which, and when.
//!
//! A file's list is an open-addressed hash table from a pair of ids, packed into a `u64`, to the merge's rank and the new id: 16
//! bytes a slot, 5 of 8 of them taken, linear probing, so that a lookup is mostly one cache line.
//!
//! Where ranks only rise and ids tell texts apart, most of the list is of no use. A token's text is merged in one way only,
//! wherever it stands; the last of those merges is how the token is *made*, and no other merge that would make it is ever met
//! (and none at all, if its text becomes something else). That is one merge for each token, kept by the token's id; the hash
//! table then holds ids, four bytes a slot. [`Merges::rising`] finds how tokens are made, in the order of ranks: by the first
//! merge whose two parts stay side by side until its turn. O(merges).
//!
//! The hash is keyed at random per table: no file can choose its collisions.

use std::hash::{BuildHasher, RandomState};

/// A merge of a file: left id, right id, and what they become.
pub(super) type Listed = (u32, u32, Merge);

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

/// How a token is made: the two tokens that are merged, and the rank at which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) left: u32,
    pub(super) right: u32,
    pub(super) rank: u32,
}

/// By no merge: a single byte or character.
pub(super) const SINGLE: Made = Made { left: 0, right: 0, rank: NO_RANK - 1 };
/// Not at all.
pub(super) const NEVER: Made = Made { left: 0, right: 0, rank: NO_RANK };

#[derive(Clone, Copy, Debug)]
struct Slot {
    pair: u64,
    /// `NO_MERGE` where the slot is empty, whatever `pair` is.
    merge: Merge,
}

/// All merges that matter, by pair.
#[derive(Debug)]
pub(super) struct Merges {
    table: Table,
    keys: [u64; 2],
    ranks: usize,
}

#[derive(Debug)]
enum Table {
    /// A list as it is.
    Listed(Vec<Slot>),
    /// Those that make tokens: ids by pair, `NO_ID` where the slot is empty, and how each token is made, by id.
    Making { slots: Vec<u32>, made: Vec<Made> },
}

/// No token.
const NO_ID: u32 = u32::MAX;

impl Merges {
    /// The table of `list`. Of merges of the same pair the last counts.
    pub(super) fn new(list: &[Listed]) -> Self {
        let mut merges = Self::with_table(Table::Listed(vec![Slot { pair: 0, merge: NO_MERGE }; slots_for(list.len())]));
        for &(left, right, merge) in list {
            merges.insert(left, right, merge);
        }
        merges
    }

    /// The merges of a list by which tokens are made, and the rest of it. Its ranks must rise, with no pair twice. `made` says
    /// for each id whether the token is `SINGLE`; the others are `NEVER` yet.
    pub(super) fn rising(list: Vec<Listed>, made: Vec<Made>) -> (Self, Vec<Listed>) {
        let slots = vec![NO_ID; slots_for(list.len().min(made.len()))];
        let mut merges = Self::with_table(Table::Making { slots, made });
        let mut rest = list;
        rest.retain(|&(left, right, merge)| {
            let makes = merges.made(merge.new_id) == NEVER
                && [left, right].into_iter().all(|part| merges.made(part) != NEVER)
                && merges.stay_apart(left, right, u64::from(merge.rank));
            if makes {
                merges.insert(left, right, merge);
            }
            !makes
        });
        (merges, rest)
    }

    fn with_table(table: Table) -> Self {
        let random = RandomState::new();
        Self { table, keys: [random.hash_one(0), random.hash_one(1) | 1], ranks: 0 }
    }

    /// Adds a merge, or replaces that of the same pair. At most as many as there is room for.
    fn insert(&mut self, left: u32, right: u32, merge: Merge) {
        let hash = self.hash(left, right);
        self.ranks = self.ranks.max(merge.rank as usize + 1);
        match &mut self.table {
            Table::Listed(slots) => {
                let slot = find(slots, hash, pack(left, right));
                slots[slot] = Slot { pair: pack(left, right), merge };
            }
            Table::Making { slots, made } => {
                made[merge.new_id as usize] = Made { left, right, rank: merge.rank };
                let mut slot = first_slot(hash, slots.len());
                while slots[slot] != NO_ID {
                    slot = next_slot(slot, slots.len());
                }
                slots[slot] = merge.new_id;
            }
        }
    }

    /// One more than the highest rank.
    pub(super) fn ranks(&self) -> usize {
        self.ranks
    }

    /// The merge of a pair, or `NO_MERGE`.
    #[inline(always)]
    pub(super) fn get(&self, left: u32, right: u32) -> Merge {
        let hash = self.hash(left, right);
        match &self.table {
            Table::Listed(slots) => slots[find(slots, hash, pack(left, right))].merge,
            Table::Making { slots, made } => {
                let mut slot = first_slot(hash, slots.len());
                loop {
                    let new_id = slots[slot];
                    if new_id == NO_ID {
                        return NO_MERGE;
                    }
                    let made = &made[new_id as usize];
                    if (made.left, made.right) == (left, right) {
                        return Merge { rank: made.rank, new_id };
                    }
                    slot = next_slot(slot, slots.len());
                }
            }
        }
    }

    /// How a token is made, where that is known.
    #[inline(always)]
    pub(super) fn made(&self, id: u32) -> Made {
        match &self.table {
            Table::Making { made, .. } => made[id as usize],
            Table::Listed(_) => NEVER,
        }
    }

    /// Whether no merge across the border of two tokens that are made comes before the rank `limit`: their merges are undone, the
    /// latest first, and at each step a merge across the border must come later than the one undone.
    pub(super) fn stay_apart(&self, mut left: u32, mut right: u32, mut limit: u64) -> bool {
        loop {
            let crossing = self.get(left, right).rank;
            if crossing != NO_RANK && u64::from(crossing) < limit {
                return false;
            }
            let (left_made, right_made) = (self.made(left), self.made(right));
            match (left_made == SINGLE, right_made == SINGLE) {
                (true, true) => return true,
                // Of equal ranks the left merge came first, and a merge of that rank across the border would have come later.
                (false, is_single) if is_single || left_made.rank > right_made.rank => {
                    (left, limit) = (left_made.right, u64::from(left_made.rank));
                }
                _ => (right, limit) = (right_made.left, u64::from(right_made.rank) + 1),
            }
        }
    }

    /// All merges as left id, right id and merge, in no order.
    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = Listed> + '_> {
        match &self.table {
            Table::Listed(slots) => {
                let taken = slots.iter().filter(|slot| slot.merge != NO_MERGE);
                Box::new(taken.map(|slot| ((slot.pair >> 32) as u32, slot.pair as u32, slot.merge)))
            }
            Table::Making { made, .. } => {
                let merged = (0..).zip(made).filter(|(_, made)| ![SINGLE, NEVER].contains(made));
                Box::new(merged.map(|(new_id, made)| (made.left, made.right, Merge { rank: made.rank, new_id })))
            }
        }
    }

    #[inline(always)]
    fn hash(&self, left: u32, right: u32) -> u64 {
        let product = u128::from(pack(left, right) ^ self.keys[0]) * u128::from(self.keys[1]);
        (product as u64) ^ (product >> 64) as u64
    }
}

/// The number of slots for `len` merges.
fn slots_for(len: usize) -> usize {
    len * 8 / 5 + 2
}

/// The hash as a fraction of the number of slots.
#[inline(always)]
fn first_slot(hash: u64, slots: usize) -> usize {
    ((u128::from(hash) * slots as u128) >> 64) as usize
}

#[inline(always)]
fn next_slot(slot: usize, slots: usize) -> usize {
    if slot + 1 == slots {
        0
    } else {
        slot + 1
    }
}

/// The slot of `pair`, or the empty one where it would go.
#[inline(always)]
fn find(slots: &[Slot], hash: u64, pair: u64) -> usize {
    let mut slot = first_slot(hash, slots.len());
    loop {
        let found = &slots[slot];
        if found.pair == pair || found.merge.rank == NO_RANK {
            return slot;
        }
        slot = next_slot(slot, slots.len());
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
        for merges in [Merges::new(&[]), Merges::rising(Vec::new(), Vec::new()).0] {
            for id in [0, 1, u32::MAX] {
                assert_eq!(merges.get(id, id), NO_MERGE);
            }
        }
    }

    #[test]
    fn a_token_is_made_in_one_way() {
        // a, b, c: ab, then abc and bc; a + bc is listed and never met, as ab comes first.
        let merge = |rank, new_id| Merge { rank, new_id };
        let list = vec![(0, 1, merge(0, 3)), (1, 2, merge(1, 4)), (0, 4, merge(2, 5)), (3, 2, merge(3, 5))];
        let singles = vec![SINGLE, SINGLE, SINGLE, NEVER, NEVER, NEVER];
        let (merges, rest) = Merges::rising(list.clone(), singles);
        assert_eq!(rest, [list[2]]);
        assert_eq!(merges.made(5), Made { left: 3, right: 2, rank: 3 });
        assert_eq!((merges.get(3, 2), merges.get(0, 4), merges.ranks()), (merge(3, 5), NO_MERGE, 4));
        assert!(!merges.stay_apart(0, 4, u64::MAX) && merges.stay_apart(4, 0, u64::MAX));
    }

    proptest! {
        #[test]
        fn equals_a_map(list in proptest::collection::vec((prop_oneof![0u32..6, Just(u32::MAX)], prop_oneof![0u32..6, any::<u32>()], 0u32..9), 0..60)) {
            let listed: Vec<Listed> = (0..).zip(&list).map(|(rank, &(left, right, new_id))| (left, right, Merge { rank, new_id })).collect();
            let merges = Merges::new(&listed);
            let map: HashMap<(u32, u32), Merge> = listed.iter().map(|&(left, right, merge)| ((left, right), merge)).collect();
            for &(left, right, _) in &list {
                prop_assert_eq!(merges.get(left, right), map[&(left, right)]);
                prop_assert_eq!(merges.get(right, left), map.get(&(right, left)).copied().unwrap_or(NO_MERGE));
            }
            let all: HashMap<(u32, u32), Merge> = merges.iter().map(|(left, right, merge)| ((left, right), merge)).collect();
            prop_assert_eq!(all, map);
        }
    }
}
