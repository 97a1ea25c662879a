//! Slots: what the cache keeps of a piece, written and read by all threads without a lock.
//!
//! Each slot is a sequence lock (Boehm, 2012, "Can seqlocks get along with programming language memory models?"): its last word
//! holds a version, which is odd while a thread writes. A reader that sees the version change has missed; a writer that finds
//! another one at work goes away. So nobody ever waits, and a thread that stops midway, or a fork, leaves one slot unused.
//!
//! To read a short slot takes a dozen instructions; a long one is compared word by word. O(1).

use std::sync::atomic::{fence, AtomicU64, Ordering};

use crate::memory::Zeroable;

/// The longest piece that a short slot holds: one byte of its 16 is the length.
pub(super) const SHORT_BYTES: usize = 15;
/// The most ids that a short slot holds as they are.
const SHORT_IDS: usize = 3;
/// The most ids that it holds, and their bits if there are more than `SHORT_IDS`.
const PACKED_IDS: usize = 6;
const PACKED_BITS: [u32; PACKED_IDS + 1] = [32, 32, 32, 32, 24, 19, 16];
/// In place of a count: the ids are in a slot for longer pieces.
pub(super) const ELSEWHERE: usize = 0xff;
/// The longest piece that is cached, in words of 8 bytes, and in bytes.
const LONG_WORDS: usize = 6;
pub(super) const LONG_BYTES: usize = 8 * LONG_WORDS;
/// The most ids that are cached for a piece, two to a word.
pub(crate) const LONG_IDS: usize = 18;

/// Two slots, a cache line.
#[repr(C, align(64))]
pub(super) struct ShortPair(pub(super) [ShortSlot; 2]);

#[repr(C)]
pub(super) struct ShortSlot {
    pub(super) key: [AtomicU64; 2],
    /// Two ids.
    pub(super) ids: AtomicU64,
    /// The third id in the lower half, and in the upper half the number of ids (8 bits), the version (23
    /// bits) and `HAS_MORE_BESIDE`.
    pub(super) tail: AtomicU64,
}

/// A slot, two cache lines.
#[repr(C, align(128))]
pub(super) struct LongSlot {
    /// The kind and the length of the piece and a part of its hash in the lower half, and the upper half as above. It comes first, so
    /// that what is not looked for is passed over with one look.
    pub(super) tail: AtomicU64,
    pub(super) key: [AtomicU64; LONG_WORDS],
    pub(super) ids: [AtomicU64; LONG_IDS / 2],
}

// SAFETY: all fields are AtomicU64, for which zero is a value.
unsafe impl Zeroable for ShortPair {}
// SAFETY: as above.
unsafe impl Zeroable for LongSlot {}

/// The word at `index` of a piece, filled up with zeros.
#[inline(always)]
pub(super) fn word(piece: &[u8], index: usize) -> u64 {
    let rest = piece.get(8 * index..).unwrap_or_default();
    match rest.first_chunk() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => {
            let mut chunk = [0; 8];
            chunk[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(chunk)
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

/// In the last word of the first of two slots: pieces for which there was no room there are in the slots beside.
pub(super) const HAS_MORE_BESIDE: u64 = 1 << 63;

/// The last word of the next version of a slot.
fn next_tail(tail: u64, low: u32, count: usize) -> u64 {
    let version = (tail >> 40).wrapping_add(2) & 0x7f_fffe;
    u64::from(low) | (count as u64) << 32 | version << 40 | tail & HAS_MORE_BESIDE
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
pub(super) fn few_ids(slots: &[ShortSlot; 2], key: [u64; 2], ids: &mut [u32; LONG_IDS]) -> usize {
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
pub(super) fn unpack(bits: u128, count: usize, ids: &mut [u32; LONG_IDS]) -> Option<usize> {
    let &width = PACKED_BITS.get(count)?;
    let mask = u32::MAX >> (32 - width);
    // For 6 of 16 bits up to 3 of 32, so no shift is too far.
    for (index, id) in (0..PACKED_IDS as u32).zip(ids) {
        *id = bits.checked_shr(index * width).unwrap_or(0) as u32 & mask;
    }
    Some(count)
}

impl ShortSlot {
    /// Whether pieces for which there was no room here are in the slots beside; asked of the first of two.
    #[inline(always)]
    pub(super) fn has_more_beside(&self) -> bool {
        self.tail.load(Ordering::Relaxed) & HAS_MORE_BESIDE != 0
    }

    pub(super) fn is_free(&self) -> bool {
        count(self.tail.load(Ordering::Relaxed)) == 0
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

impl LongSlot {
    pub(super) fn is_free(&self) -> bool {
        count(self.tail.load(Ordering::Relaxed)) == 0
    }

    /// The number of ids of a piece, which are put at the beginning of `ids`, or 0.
    pub(super) fn get(&self, name: u32, piece: &[u8], ids: &mut [u32; LONG_IDS]) -> usize {
        let tail = self.tail.load(Ordering::Acquire);
        if tail as u32 != name || is_being_written(tail) {
            return 0;
        }
        if (0..piece.len().div_ceil(8)).any(|index| self.key[index].load(Ordering::Relaxed) != word(piece, index)) {
            return 0;
        }
        for (pair, ids) in self.ids[..count(tail).div_ceil(2)].iter().zip(ids.chunks_exact_mut(2)) {
            let pair = pair.load(Ordering::Relaxed);
            ids.copy_from_slice(&[pair as u32, (pair >> 32) as u32]);
        }
        fence(Ordering::Acquire);
        match self.tail.load(Ordering::Relaxed) == tail {
            true => count(tail),
            false => 0,
        }
    }

    pub(super) fn set(&self, name: u32, piece: &[u8], ids: &[u32]) {
        write(&self.tail, name, ids.len(), || {
            for (index, slot) in self.key.iter().enumerate() {
                slot.store(word(piece, index), Ordering::Relaxed);
            }
            for (pair, slot) in ids.chunks(2).zip(&self.ids) {
                slot.store(u64::from(pair[0]) | u64::from(pair.get(1).copied().unwrap_or(0)) << 32, Ordering::Relaxed);
            }
        });
    }
}
