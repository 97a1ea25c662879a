//! Finds a text's place in a [`StringList`]: a hash table of places, four bytes each.
//!
//! A slot is the place and, in the bits that no place needs, a part of the hash, so that a text is read almost only to confirm
//! a find. Slots are searched in line from where the hash points; seven in ten are taken when the table is full. The hash is
//! keyed at random per table, so that no file can choose its collisions. A look-up is O(1) and the text's length.
//!
//! The number of texts is fixed when the table is made: it is the wrong choice where a list goes on growing.

use crate::StringList;
use hashbrown::DefaultHashBuilder;
use std::hash::{BuildHasher, Hasher};

/// No place: its bits are never those of a place.
const EMPTY: u32 = u32::MAX;

/// Places of texts, by hash of the text.
#[derive(Clone, Debug)]
pub(crate) struct StringIndex {
    slots: Box<[u32]>,
    /// The bits of a slot that are the place; the others are the hash's.
    place_mask: u32,
    hasher: DefaultHashBuilder,
}

impl StringIndex {
    /// A table for the first `texts` of a list.
    pub(crate) fn new(texts: usize) -> Self {
        // A list has at most u32::MAX texts, and a table one free slot at least.
        let place_mask = u32::MAX.checked_shr((texts as u32).leading_zeros()).unwrap_or(0);
        let slots = texts + texts.div_ceil(2) + 1;
        Self { slots: vec![EMPTY; slots].into(), place_mask, hasher: DefaultHashBuilder::default() }
    }

    /// Enters the text at `place`, and returns the place of an equal text that was entered before: it is replaced.
    pub(crate) fn insert(&mut self, texts: &StringList, place: u32) -> Option<u32> {
        let text = texts.get(place as usize).unwrap_or_default().as_bytes();
        let hash = self.hash(text);
        let (slot, known) = self.search(texts, text, hash);
        if let Some(slot) = self.slots.get_mut(slot) {
            *slot = (hash as u32 & !self.place_mask) | place;
        }
        known
    }

    /// The place of `text`.
    #[inline]
    pub(crate) fn find(&self, texts: &StringList, text: &[u8]) -> Option<u32> {
        self.search(texts, text, self.hash(text)).1
    }

    /// The slot that has `text` and its place, or the one where it would be entered.
    #[inline]
    fn search(&self, texts: &StringList, text: &[u8], hash: u64) -> (usize, Option<u32>) {
        let tag = hash as u32 & !self.place_mask;
        // The high bits of the hash choose the slot, the low ones are kept in it.
        let first = ((u128::from(hash) * self.slots.len() as u128) >> 64) as usize;
        let (before, after) = self.slots.split_at(first);
        for (index, &slot) in (first..).zip(after).chain((0..).zip(before)) {
            if slot == EMPTY {
                return (index, None);
            }
            let place = slot & self.place_mask;
            if slot & !self.place_mask == tag && texts.get(place as usize).is_some_and(|other| other.as_bytes() == text) {
                return (index, Some(place));
            }
        }
        (self.slots.len(), None)
    }

    fn hash(&self, text: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(text);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn an_empty_table_finds_nothing() {
        assert_eq!(StringIndex::new(0).find(&StringList::new(), b""), None);
    }

    proptest! {
        #[test]
        fn equals_a_map(list in proptest::collection::vec("[a-c]{0,3}", 0..70), probes in proptest::collection::vec("[a-d]{0,3}", 20)) {
            let texts: StringList = list.iter().collect();
            let mut index = StringIndex::new(texts.len());
            let mut map = HashMap::new();
            for (text, place) in list.iter().zip(0..) {
                prop_assert_eq!(index.insert(&texts, place), map.insert(text, place));
            }
            for text in list.iter().chain(&probes) {
                prop_assert_eq!(index.find(&texts, text.as_bytes()), map.get(text).copied());
            }
        }
    }
}
