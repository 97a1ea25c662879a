//! Finds a text's place in a [`StringList`]: a hash table of places, four bytes each.
//!
//! A slot is the place and, in the bits that no place needs, a part of the hash, so that a text is read almost only to confirm
//! a find. Slots are searched in line from where the hash points; seven in ten are taken when the table is full. The hash is
//! keyed at random per table, so that no file can choose its collisions. A look-up is O(1) and the text's length.
//!
//! The number of texts is fixed when the table is made: it is the wrong choice where a list goes on growing.

use crate::compiled::{Reader, Writer};
use crate::hashing::fold;
use crate::memory;
use crate::{Result, StringList};
use std::hash::{BuildHasher, RandomState};

/// No place: its bits are never those of a place.
const EMPTY: u32 = u32::MAX;
/// So many texts are hashed before the first is entered, so that memory is waited for once for all.
const AHEAD: usize = 16;

/// Places of texts, by hash of the text.
#[derive(Clone, Debug)]
pub(crate) struct StringIndex {
    slots: Box<[u32]>,
    /// The bits of a slot that are the place; the others are the hash's.
    place_mask: u32,
    keys: [u64; 2],
}

impl StringIndex {
    /// A table for the first `texts` of a list.
    pub(crate) fn new(texts: usize) -> Self {
        // A list has at most u32::MAX texts, and a table one free slot at least.
        let place_mask = u32::MAX.checked_shr((texts as u32).leading_zeros()).unwrap_or(0);
        let slots = texts + texts.div_ceil(2) + 1;
        let random = RandomState::new();
        Self { slots: vec![EMPTY; slots].into(), place_mask, keys: [random.hash_one(0), random.hash_one(1) | 1] }
    }

    /// The table of a list of distinct texts, or nothing if one is there again.
    pub(crate) fn of_distinct(texts: &StringList) -> Option<Self> {
        let mut index = Self::new(texts.len());
        let mut place = 0;
        let mut hashes = [0; AHEAD];
        while (place as usize) < texts.len() {
            let end = texts.len().min(place as usize + AHEAD) as u32;
            for (hash, place) in hashes.iter_mut().zip(place..end) {
                *hash = index.hash_ahead(texts.bytes_at(place as usize));
            }
            for (hash, place) in hashes.into_iter().zip(place..end) {
                if index.enter(texts, place, hash).is_some() {
                    return None;
                }
            }
            place = end;
        }
        Some(index)
    }

    /// Enters the text at `place`, and returns the place of an equal text that was entered before: it is replaced.
    pub(crate) fn insert(&mut self, texts: &StringList, place: u32) -> Option<u32> {
        self.enter(texts, place, self.hash(texts.bytes_at(place as usize)))
    }

    #[inline(always)]
    fn enter(&mut self, texts: &StringList, place: u32, hash: u64) -> Option<u32> {
        let (slot, known) = self.search(texts, texts.bytes_at(place as usize), hash);
        if let Some(slot) = self.slots.get_mut(slot) {
            *slot = (hash as u32 & !self.place_mask) | place;
        }
        known
    }

    /// The hash of a text, for [`find_hashed`](Self::find_hashed); asks the processor to fetch its slot.
    #[inline(always)]
    pub(crate) fn hash_ahead(&self, text: &[u8]) -> u64 {
        let hash = self.hash(text);
        memory::prefetch(self.slots.as_ptr().wrapping_add(self.first_slot(hash)));
        hash
    }

    /// Asks the processor to fetch what a text of this hash is compared with first.
    #[inline(always)]
    pub(crate) fn look_ahead(&self, texts: &StringList, hash: u64) {
        if let Some(slot) = self.slots.get(self.first_slot(hash)) {
            texts.prefetch((slot & self.place_mask) as usize);
        }
    }

    /// The place of a text whose hash is known.
    #[inline(always)]
    pub(crate) fn find_hashed(&self, texts: &StringList, text: &[u8], hash: u64) -> Option<u32> {
        self.search(texts, text, hash).1
    }

    /// Where the search for a hash begins: the high bits of the hash choose the slot, the low ones are kept in it.
    #[inline(always)]
    fn first_slot(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.slots.len() as u128) >> 64) as usize
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
        let first = self.first_slot(hash);
        let (before, after) = self.slots.split_at(first);
        for (index, &slot) in (first..).zip(after).chain((0..).zip(before)) {
            if slot == EMPTY {
                return (index, None);
            }
            let place = slot & self.place_mask;
            if slot & !self.place_mask == tag && are_equal(texts.bytes_at(place as usize), text) {
                return (index, Some(place));
            }
        }
        (self.slots.len(), None)
    }

    /// Products of eight bytes each and the secret key, folded into one another.
    #[inline]
    fn hash(&self, text: &[u8]) -> u64 {
        let fold = |number: u64| fold(number, self.keys[1]);
        let mut hash = self.keys[0] ^ text.len() as u64;
        // The last bytes may have been read before, which does no harm: the length says which.
        let last = if let Some(last) = text.last_chunk::<8>() {
            for word in text[..text.len() - 1].as_chunks::<8>().0 {
                hash = fold(hash ^ u64::from_le_bytes(*word));
            }
            u64::from_le_bytes(*last)
        } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        } else {
            text.iter().fold(0, |last, &byte| last << 8 | u64::from(byte))
        };
        fold(fold(hash ^ last).wrapping_add(self.keys[0]))
    }

    /// Writes the table to a compiled file.
    pub(crate) fn write(&self, to: &mut Writer) {
        self.keys.into_iter().for_each(|key| to.number(key));
        to.number(self.place_mask.into());
        to.u32s(&self.slots);
    }

    /// Reads what [`write`](Self::write) wrote. Whatever is there, a find is the place of the text.
    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self> {
        let keys = from.keys()?;
        let place_mask = from.number()? as u32;
        Ok(Self { slots: from.u32s()?.into(), place_mask, keys })
    }
}

/// Whether two texts are equal: without a call for the short ones that tokens are.
#[inline(always)]
pub(crate) fn are_equal(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    if let (Some(a), Some(b), Some(y), Some(z)) =
        (left.first_chunk::<8>(), right.first_chunk::<8>(), left.last_chunk::<8>(), right.last_chunk::<8>())
    {
        return a == b && y == z && (left.len() <= 16 || left == right);
    }
    if let (Some(a), Some(b), Some(y), Some(z)) =
        (left.first_chunk::<4>(), right.first_chunk::<4>(), left.last_chunk::<4>(), right.last_chunk::<4>())
    {
        return a == b && y == z;
    }
    left.iter().zip(right).all(|(a, b)| a == b)
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
        fn texts_are_equal_if_all_their_bytes_are(left in "[ab]{0,40}", right in "[ab]{0,40}", at in 0usize..40) {
            prop_assert_eq!(are_equal(left.as_bytes(), right.as_bytes()), left == right);
            let mut changed = left.clone().into_bytes();
            prop_assert!(are_equal(left.as_bytes(), &changed));
            if let Some(byte) = changed.get_mut(at) {
                *byte ^= 1;
                prop_assert!(!are_equal(left.as_bytes(), &changed));
            }
        }

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
            let distinct = StringIndex::of_distinct(&texts);
            prop_assert_eq!(distinct.is_some(), map.len() == texts.len());
            for text in list.iter().chain(&probes).filter(|_| distinct.is_some()) {
                prop_assert_eq!(distinct.as_ref().and_then(|index| index.find(&texts, text.as_bytes())), map.get(text).copied());
            }
        }
    }
}
