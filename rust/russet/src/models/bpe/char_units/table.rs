//! The ids of units of up to four characters below U+10000: what most units of several characters are.
//!
//! A table of two slots a line, with a sequence lock each line (Boehm, 2012, as in the piece cache): threads read and write it without
//! waiting for each other, and what is read while another writes counts as not known. A new unit takes the place of an older one.
//!
//! O(1). The wrong choice for longer units, of which most are met once: those have their place in the piece cache.

use crate::memory::{Zeroable, Zeroed};
use std::sync::atomic::{fence, AtomicU64, Ordering};

/// The units of this many characters have a table.
pub(super) const KNOWN: usize = 4;

/// How many lines there are at least and at most, and for how many tokens there is one: a large vocabulary joins more characters.
const LINES: (usize, usize) = (1 << 10, 1 << 15);
const TOKENS_FOR_A_LINE: usize = 4;

/// The table.
#[derive(Debug)]
pub(super) struct KnownUnits(Zeroed<Line>);

/// A cache line.
#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Line {
    /// Odd while a thread writes.
    version: AtomicU64,
    /// The number of ids of each slot, a byte each.
    counts: AtomicU64,
    slots: [Slot; 2],
}

#[derive(Debug, Default)]
#[repr(C)]
struct Slot {
    /// The characters, 16 bits each, the first one lowest; no other unit has that number. 0 for a free slot.
    key: AtomicU64,
    /// Two in each.
    ids: [AtomicU64; 2],
}

// SAFETY: all fields are AtomicU64, for which zero is a value.
unsafe impl Zeroable for Line {}

impl KnownUnits {
    /// For a vocabulary of so many tokens.
    pub(super) fn new(tokens: usize) -> Self {
        Self(Zeroed::new((tokens / TOKENS_FOR_A_LINE).clamp(LINES.0, LINES.1).next_power_of_two()))
    }

    #[inline(always)]
    fn line(&self, key: u64) -> &Line {
        &self.0[(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & (self.0.len() - 1)]
    }

    /// The ids of a unit and their number, which is 0 if they are not known; of those behind any may stand there.
    #[inline(always)]
    pub(super) fn get(&self, key: u64) -> ([u32; KNOWN], usize) {
        let line = self.line(key);
        let version = line.version.load(Ordering::Acquire);
        let second = usize::from(line.slots[1].key.load(Ordering::Relaxed) == key);
        let slot = &line.slots[second];
        let is_there = slot.key.load(Ordering::Relaxed) == key;
        let [first, last] = [0, 1].map(|index: usize| slot.ids[index].load(Ordering::Relaxed));
        let count = line.counts.load(Ordering::Relaxed) >> (8 * second) & 7;
        fence(Ordering::Acquire);
        let is_whole = version & 1 == 0 && line.version.load(Ordering::Relaxed) == version;
        let ids = [first as u32, (first >> 32) as u32, last as u32, (last >> 32) as u32];
        (ids, if is_there & is_whole { count as usize } else { 0 })
    }

    /// Remembers the ids of a unit, unless another thread is writing there.
    pub(super) fn insert(&self, key: u64, ids: &[u32]) {
        let line = self.line(key);
        let version = line.version.load(Ordering::Relaxed);
        let is_there = line.slots.iter().any(|slot| slot.key.load(Ordering::Relaxed) == key);
        if is_there || version & 1 == 1 || !(1..=KNOWN).contains(&ids.len()) {
            return;
        }
        if line.version.compare_exchange(version, version + 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return;
        }
        fence(Ordering::Release);
        let is_free = |slot: &Slot| slot.key.load(Ordering::Relaxed) == 0;
        let place = line.slots.iter().position(is_free).unwrap_or((version >> 1 & 1) as usize);
        let slot = &line.slots[place];
        slot.key.store(key, Ordering::Relaxed);
        let id = |index: usize| u64::from(ids.get(index).copied().unwrap_or(0));
        slot.ids[0].store(id(0) | id(1) << 32, Ordering::Relaxed);
        slot.ids[1].store(id(2) | id(3) << 32, Ordering::Relaxed);
        let counts = line.counts.load(Ordering::Relaxed) & !(0xff << (8 * place));
        line.counts.store(counts | (ids.len() as u64) << (8 * place), Ordering::Relaxed);
        line.version.store(version + 2, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        #[test]
        fn known_units_are_given_back_as_they_were_or_not(
            entries in proptest::collection::vec((1..60_u64, proptest::collection::vec(any::<u32>(), 0..6)), 0..80),
        ) {
            let known = KnownUnits::new(0);
            let mut all = std::collections::HashMap::new();
            for (key, ids) in &entries {
                // Some of these share a line.
                let key = (key % 15) << 60 | key;
                let ids: &Vec<u32> = all.entry(key).or_insert(ids.clone());
                known.insert(key, ids);
                let (found, count) = known.get(key);
                prop_assert_eq!(&found[..count], if ids.len() > KNOWN { &[] } else { &ids[..] });
                for (key, ids) in &all {
                    let (found, count) = known.get(*key);
                    prop_assert!(count == 0 || found[..count] == ids[..]);
                }
            }
        }
    }

    #[test]
    fn threads_read_whole_units_only() {
        let known = KnownUnits::new(0);
        let key = |n: u32| (u64::from(n) + 1) << 40 | 1;
        let work = |seed: u32| {
            let mut state = seed;
            for _ in 0..200_000 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let n = state >> 16 & 7;
                let (ids, count) = known.get(key(n) & !0xff | 1);
                assert!(ids[..count].iter().all(|&id| id == n), "{ids:?} for {n}");
                known.insert(key(n) & !0xff | 1, &vec![n; 1 + (state >> 20 & 3) as usize]);
            }
        };
        std::thread::scope(|scope| {
            for seed in 1..=4 {
                let work = &work;
                scope.spawn(move || work(seed));
            }
        });
    }
}
