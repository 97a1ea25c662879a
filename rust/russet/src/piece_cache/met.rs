//! Which texts were met before: for those that cost more to remember than to work out once.
//!
//! A bit for each, by a hash of its length and of 24 of its bytes; when a quarter of the bits are set, all are cleared. So a text may seem
//! to be known that is not, and one that was met long ago be forgotten: nothing but time depends on it. O(1).

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::slots::next_turn;
use crate::hashing::fold;
use crate::memory::Zeroed;

/// 8 KiB of bits.
const WORDS: usize = 1 << 10;

pub(super) struct Met {
    bits: Zeroed<AtomicU64>,
    /// How many were set.
    count: AtomicUsize,
}

impl Met {
    pub(super) const BYTES: usize = WORDS * size_of::<u64>();

    pub(super) fn new() -> Self {
        Self { bits: Zeroed::new(WORDS), count: AtomicUsize::new(0) }
    }

    /// Whether a text was met before; it was now.
    pub(super) fn was_met(&self, text: &[u8]) -> bool {
        let word = |at: usize| text.get(at..).and_then(|text| text.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word));
        let (middle, last) = (word(text.len() / 2), word(text.len().saturating_sub(8)));
        let hash = fold(fold(word(0) ^ 0x9e37_79b9_7f4a_7c15, middle ^ text.len() as u64), last ^ 0xd6e8_feb8_6659_fd93);
        let (bits, bit) = (&self.bits[(hash >> 32) as usize % WORDS], 1 << (hash % 64));
        if bits.load(Ordering::Relaxed) & bit != 0 {
            return true;
        }
        bits.fetch_or(bit, Ordering::Relaxed);
        if next_turn(&self.count) >= 64 * WORDS / 4 {
            self.bits.iter().for_each(|bits| bits.store(0, Ordering::Relaxed));
            self.count.store(0, Ordering::Relaxed);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_met_is_known_until_there_is_too_much() {
        let met = Met::new();
        let text = |n: usize| format!("{n:020} and {n:020}").into_bytes();
        assert!(!met.was_met(&text(7)) && met.was_met(&text(7)));
        let known = (0..64 * WORDS / 8).filter(|&n| met.was_met(&text(n))).count();
        assert!(known < 64 * WORDS / 8 / 8, "{known}");
        assert!((0..64 * WORDS / 8).all(|n| met.was_met(&text(n))));
        // Once all are cleared there are few of these again.
        assert!((0..64 * WORDS).filter(|&n| met.was_met(&text(1_000_000 + n))).count() > 0);
        let known = (0..64 * WORDS / 8).filter(|&n| met.was_met(&text(n))).count();
        assert!(known < 64 * WORDS / 8 / 3, "{known}");
        assert!(!met.was_met(b"") && met.was_met(b""));
    }
}
