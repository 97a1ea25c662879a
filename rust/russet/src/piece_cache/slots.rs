//! Slots: what the cache keeps of a piece, written and read by all threads without a lock.
//!
//! Each slot is a sequence lock (Boehm, 2012, "Can seqlocks get along with programming language memory models?"): its last word
//! holds a version, which is odd while a thread writes. A reader that sees the version change has missed; a writer that finds
//! another one at work goes away. So nobody ever waits, and a thread that stops midway, or a fork, leaves one slot unused.
//!
//! A slot has 32 bytes, of which 16 are the key. To read it takes a dozen instructions. O(1).

use std::sync::atomic::{fence, AtomicU64, AtomicUsize, Ordering};

use crate::memory::Zeroable;

/// The longest piece that a short slot holds: one byte of its 16 is the length.
pub(super) const SHORT_BYTES: usize = 15;
/// The most ids that a short slot holds as they are.
const SHORT_IDS: usize = 3;
/// The most ids that it holds, and their bits if there are more than `SHORT_IDS`.
const PACKED_IDS: usize = 6;
const PACKED_BITS: [u32; PACKED_IDS + 1] = [32, 32, 32, 32, 24, 19, 16];
/// In place of a count: the ids are in the store.
pub(super) const ELSEWHERE: usize = 0xff;
/// The most ids that a slot holds.
pub(crate) const MOST_IDS: usize = PACKED_IDS;

/// Two slots, a cache line.
#[repr(C, align(64))]
pub(super) struct ShortPair(pub(super) [ShortSlot; 2]);

#[repr(C)]
pub(super) struct ShortSlot {
    pub(super) key: [AtomicU64; 2],
    /// Two ids.
    pub(super) ids: AtomicU64,
    /// The third id in the lower half, and in the upper half the number of ids (8 bits), the version (23
    /// bits) and `HAS_MORE`.
    pub(super) tail: AtomicU64,
}

// SAFETY: all fields are AtomicU64, for which zero is a value.
unsafe impl Zeroable for ShortPair {}

/// The bits of a word that so many bytes take.
static BYTES: [u64; 9] = {
    let mut masks = [u64::MAX; 9];
    let mut bytes = 0;
    while bytes < 8 {
        masks[bytes] = (1 << (8 * bytes)) - 1;
        bytes += 1;
    }
    masks
};

/// The words of the piece that is the first `length` bytes of `text`, filled up with zeros.
#[inline(always)]
pub(super) fn words<const N: usize>(text: &[u8], length: usize) -> [u64; N] {
    let read = |from: &[u8]| -> [u64; N] {
        std::array::from_fn(|index| {
            let word =
                from.get(8 * index..8 * index + 8).and_then(|word| word.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word));
            word & BYTES[length.saturating_sub(8 * index).min(8)]
        })
    };
    match text.len() >= 8 * N {
        true => read(&text[..8 * N]),
        false => {
            let mut whole = [0; 8 * 8];
            let length = length.min(text.len()).min(8 * N);
            whole[..length].copy_from_slice(&text[..length]);
            read(&whole[..8 * N])
        }
    }
}

/// The number of ids that a slot's last word announces.
#[inline(always)]
fn count(tail: u64) -> usize {
    (tail >> 32 & 0xff) as usize
}

#[inline(always)]
fn is_being_written(tail: u64) -> bool {
    tail >> 40 & 1 == 1
}

/// In the tail of the first of two slots: pieces for which there was no room there are in the other two that they may be in.
const HAS_MORE: u64 = 1 << 63;

/// Counts one more piece and tells which slot's turn it is. Where several threads count without care, some are missed.
pub(super) fn next_turn(inserted: &AtomicUsize) -> usize {
    let turn = inserted.load(Ordering::Relaxed);
    inserted.store(turn + 1, Ordering::Relaxed);
    turn
}

/// A free slot for a piece that is in none: one of two, or if these are taken, one of two others.
pub(super) fn free_slot<'s>(first: &'s [ShortSlot; 2], other: impl FnOnce() -> &'s [ShortSlot; 2]) -> Option<&'s ShortSlot> {
    first.iter().find(|slot| slot.is_free()).or_else(|| {
        first[0].tail.fetch_or(HAS_MORE, Ordering::Relaxed);
        other().iter().find(|slot| slot.is_free())
    })
}

/// The last word of the next version of a slot.
fn next_tail(tail: u64, low: u32, count: usize) -> u64 {
    let version = (tail >> 40).wrapping_add(2) & 0x7f_fffe;
    u64::from(low) | (count as u64) << 32 | version << 40 | tail & HAS_MORE
}

/// Writes a slot by `store`, unless another thread is at it.
fn write(tail: &AtomicU64, low: u32, count: usize, store: impl FnOnce()) {
    let old = tail.load(Ordering::Relaxed);
    let locked = old & !(0xff << 32) | 1 << 40;
    if is_being_written(old) || tail.compare_exchange(old, locked, Ordering::Acquire, Ordering::Relaxed).is_err() {
        return;
    }
    fence(Ordering::Release);
    store();
    tail.store(next_tail(old, low, count), Ordering::Release);
}

/// Puts the ids of a short piece at the beginning of `ids`, if two slots have up to `SHORT_IDS`; the number of ids, or 0. What is
/// behind them may be overwritten.
#[inline(always)]
pub(super) fn few_ids(slots: &[ShortSlot; 2], key: [u64; 2], ids: &mut [u32; MOST_IDS]) -> usize {
    let is_second = slots[0].differs(key);
    let slot = &slots[usize::from(is_second)];
    let tail = slot.tail.load(Ordering::Acquire);
    let first = slot.ids.load(Ordering::Relaxed);
    let is_other = slot.differs(key);
    fence(Ordering::Acquire);
    let is_torn = slot.tail.load(Ordering::Relaxed) != tail;
    ids[..4].copy_from_slice(&[first as u32, (first >> 32) as u32, tail as u32, (tail >> 32) as u32]);
    // A slot that is being written to has no ids.
    let count = count(tail);
    if is_other | is_torn | (count > SHORT_IDS) {
        return 0;
    }
    count
}

/// The ids as a short slot has them, if they fit.
pub(super) fn pack(ids: &[u32]) -> Option<u128> {
    let bits = *PACKED_BITS.get(ids.len())?;
    let fits = |id: u32| bits == 32 || id >> bits == 0;
    ids.iter().all(|&id| fits(id)).then(|| ids.iter().rev().fold(0, |packed, &id| packed << bits | u128::from(id)))
}

/// Puts the ids that a short slot has at the beginning of `ids`; their number, if it has them.
pub(super) fn unpack(bits: u128, count: usize, ids: &mut [u32; MOST_IDS]) -> Option<usize> {
    let &width = PACKED_BITS.get(count)?;
    let mask = u32::MAX >> (32 - width);
    // For 6 of 16 bits up to 3 of 32, so no shift is too far.
    for (index, id) in (0..PACKED_IDS as u32).zip(ids) {
        *id = bits.checked_shr(index * width).unwrap_or(0) as u32 & mask;
    }
    Some(count)
}

impl ShortSlot {
    pub(super) fn is_free(&self) -> bool {
        count(self.tail.load(Ordering::Relaxed)) == 0
    }

    /// Whether there are pieces for which there was no room here; asked of the first of two.
    #[inline(always)]
    pub(super) fn has_more(&self) -> bool {
        self.tail.load(Ordering::Relaxed) & HAS_MORE != 0
    }

    #[inline(always)]
    fn differs(&self, key: [u64; 2]) -> bool {
        (self.key[0].load(Ordering::Relaxed) ^ key[0]) | (self.key[1].load(Ordering::Relaxed) ^ key[1]) != 0
    }

    /// The ids of a piece as they are packed, and their number.
    #[inline(always)]
    pub(super) fn get(&self, key: [u64; 2]) -> Option<(u128, usize)> {
        let tail = self.tail.load(Ordering::Acquire);
        let is_key = !self.differs(key);
        let ids = self.ids.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let is_whole = !is_being_written(tail) && self.tail.load(Ordering::Relaxed) == tail;
        (is_key && is_whole).then_some((u128::from(ids) | u128::from(tail as u32) << 64, count(tail)))
    }

    pub(super) fn set(&self, key: [u64; 2], bits: u128, count: usize) {
        write(&self.tail, (bits >> 64) as u32, count, || {
            self.key[0].store(key[0], Ordering::Relaxed);
            self.key[1].store(key[1], Ordering::Relaxed);
            self.ids.store(bits as u64, Ordering::Relaxed);
        });
    }
}
