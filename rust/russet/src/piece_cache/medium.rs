//! The table of slots for pieces that are not short but not long either.
//!
//! Their bytes are hashed word by word; one half of the hash names the first two slots and the other half the other two. To look a
//! piece up costs some 50 instructions, and two lines of memory if it is in the first two. O(1).

use std::sync::atomic::{AtomicUsize, Ordering};

use super::slots::{free_slot, words, MediumSlot, Slot, ELSEWHERE, MOST_IDS};
use super::PieceKind;
use crate::hashing::fold;
use crate::memory::{self, Zeroed};

/// How thoroughly a piece is looked for.
#[derive(Clone, Copy)]
pub(super) enum Look {
    First,
    Second,
}

/// A table of slots.
pub(super) struct MediumTable {
    pairs: Zeroed<[MediumSlot; 2]>,
    /// How many pieces were put in.
    inserted: AtomicUsize,
}

/// The hash of a medium piece, or a short one that has many ids. `text` begins with the piece.
#[inline(always)]
pub(super) fn medium_hash(kind: PieceKind, text: &[u8], length: usize) -> u64 {
    hash_of_words(kind, length, &words(text, length))
}

/// The same of the words of a piece.
#[inline(always)]
fn hash_of_words(kind: PieceKind, length: usize, words: &[u64; 4]) -> u64 {
    const KEYS: [u64; 3] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93, 0xa076_1d64_78bd_642f];
    let name = u64::from(name(kind, length));
    let pairs = words.chunks_exact(2).enumerate().map(|(index, pair)| fold(pair[0] ^ KEYS[0] ^ index as u64, pair[1] ^ KEYS[1]));
    fold(pairs.fold(name, |sum, pair| sum.rotate_left(17) ^ pair) ^ KEYS[1], KEYS[2])
}

/// The length of a piece and its kind.
fn name(kind: PieceKind, length: usize) -> u32 {
    length as u32 & 0xff | (kind as u32) << 8
}

/// What a slot says of a piece: its name, and a part of its hash.
pub(super) fn slot_name(kind: PieceKind, length: usize, hash: u64) -> u32 {
    name(kind, length) | (hash as u32) << 12
}

/// Asks the processor to fetch two slots.
#[inline(always)]
pub(super) fn prefetch(slots: &[MediumSlot; 2]) {
    slots.iter().for_each(|slot| memory::prefetch(slot));
}

/// What [`MediumSlot::get`] says of a piece that is in one of these slots.
#[inline(always)]
fn find(slots: &[MediumSlot; 2], name: u32, key: &[u64; 4], ids: &mut [u32; MOST_IDS]) -> Option<usize> {
    slots.iter().map(|slot| slot.get(name, key, ids)).find(|&count| count > 0)
}

/// Counts one more piece and tells which slot's turn it is. Where several threads count without care, some are missed.
pub(super) fn next_turn(inserted: &AtomicUsize) -> usize {
    let turn = inserted.load(Ordering::Relaxed);
    inserted.store(turn + 1, Ordering::Relaxed);
    turn
}

impl MediumTable {
    pub(super) fn new(slots: usize) -> Self {
        Self { pairs: Zeroed::new(slots / 2), inserted: AtomicUsize::new(0) }
    }

    /// The number of slots.
    pub(super) fn len(&self) -> usize {
        2 * self.pairs.len()
    }

    /// The first two slots for a hash.
    #[inline(always)]
    pub(super) fn first(&self, hash: u64) -> &[MediumSlot; 2] {
        self.pair(hash >> 32)
    }

    /// The other two.
    #[inline(always)]
    fn other(&self, hash: u64) -> &[MediumSlot; 2] {
        self.pair(hash & u64::from(u32::MAX))
    }

    /// Two slots by 32 bits of a hash.
    #[inline(always)]
    fn pair(&self, bits: u64) -> &[MediumSlot; 2] {
        &self.pairs[((bits * self.pairs.len() as u64) >> 32) as usize]
    }

    /// What [`MediumSlot::get`] says of a piece. At the first look, in one of the first two slots; `None` if it may be in one of the other
    /// two, which the processor is asked to fetch. At the second, in any of them.
    #[inline(always)]
    pub(super) fn get(&self, hash: u64, name: u32, key: &[u64; 4], ids: &mut [u32; MOST_IDS], look: Look) -> Option<usize> {
        let first = self.first(hash);
        let known = find(first, name, key, ids);
        match look {
            _ if known.is_some() || !first[0].has_more() => Some(known.unwrap_or(0)),
            Look::First => {
                prefetch(self.other(hash));
                None
            }
            Look::Second => Some(find(self.other(hash), name, key, ids).unwrap_or(0)),
        }
    }

    fn free_slot(&self, hash: u64) -> Option<&MediumSlot> {
        free_slot(self.first(hash), || self.other(hash))
    }

    /// Remembers the ids of a piece, or returns false if they are too many.
    pub(super) fn insert(&self, hash: u64, name: u32, key: &[u64; 4], ids: &[u32]) -> bool {
        let turn = next_turn(&self.inserted);
        // In a table that was filled once, to look for a free slot elsewhere costs more than it is worth.
        let free = (turn < self.len()).then(|| self.free_slot(hash)).flatten();
        free.unwrap_or(&self.first(hash)[turn & 1]).set(name, key, ids)
    }

    /// Whether half the slots may be taken.
    pub(super) fn is_full(&self) -> bool {
        self.inserted.load(Ordering::Relaxed) > self.pairs.len()
    }

    /// Copies what is whole and finds a free slot.
    pub(super) fn copy_to(&self, other: &Self) {
        let mut ids = [0; MOST_IDS];
        for slot in self.pairs.iter().flatten().filter(|slot| !slot.is_free()) {
            let name = slot.tail.load(Ordering::Acquire) as u32;
            let key: [u64; 4] = std::array::from_fn(|index| slot.key[index].load(Ordering::Relaxed));
            let (length, Some(kind)) = ((name & 0xff) as usize, PieceKind::of(name >> 8 & 0xf)) else { continue };
            let hash = hash_of_words(kind, length, &key);
            let count = slot.get(name, &key, &mut ids);
            // Where a mark is, the store has the ids.
            let ids = if count == ELSEWHERE { &[u32::MAX; MOST_IDS][..] } else { &ids[..count] };
            if count > 0 {
                other.free_slot(hash).into_iter().for_each(|slot| {
                    slot.set(name, &key, ids);
                });
            }
        }
    }
}
