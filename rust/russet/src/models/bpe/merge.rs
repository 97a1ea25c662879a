//! Merging: from symbols to tokens.
//!
//! The rule is that of BPE (Sennrich et al., 2016): merge the adjacent pair of the lowest rank, the leftmost of equals, until no
//! pair merges. A short run of symbols is scanned for it again and again: O(n²), but over an array that stays in cache, with two
//! lookups per merge. A long one goes through a queue (`queue`).

use super::merges::{Merge, Merges, NO_MERGE, NO_RANK};
use super::queue::{self, QueueScratch};

/// Up to this many symbols the scan is faster than the queue.
const SCAN_SYMBOLS: usize = 48;

/// A token on its way: an id and the number of bytes that it covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol {
    pub(super) id: u32,
    pub(super) bytes: u32,
    /// What becomes of this symbol and the next one.
    pub(super) merge: Merge,
}

impl Symbol {
    #[inline(always)]
    pub(super) fn new(id: u32, bytes: u32) -> Self {
        Self { id, bytes, merge: NO_MERGE }
    }
}

/// What is known of the order in which merges come up.
#[derive(Debug)]
pub(super) enum Order {
    /// A merge has a higher rank than the merges that make its parts: ranks only rise. So it is where merges were trained.
    Rising,
    /// Ranks may fall. A merge makes its text longer than either part, and ids tell texts apart.
    ByRank,
    /// Neither holds. Here is the new id of each rank, by which the reference tells outdated entries.
    ByNewId(Vec<u32>),
}

/// The probability of skipping a merge, and the draws that decide it.
#[derive(Debug)]
pub(super) struct Dropout {
    probability: f32,
    seed: u64,
    draws: u64,
}

impl Dropout {
    pub(super) fn new(probability: f32, seed: u64) -> Self {
        Self { probability, seed, draws: 0 }
    }

    /// The next draw of a counter-based generator (SplitMix64): whether to skip.
    pub(super) fn skips(&mut self) -> bool {
        self.draws += 1;
        let mut bits = self.seed.wrapping_add(self.draws.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        // 24 bits, the precision of an f32: a number below 1, as the reference draws it.
        ((bits >> 40) as f32) / ((1u32 << 24) as f32) < self.probability
    }
}

/// Merges `symbols` to the end.
#[inline]
pub(super) fn merge(symbols: &mut Vec<Symbol>, merges: &Merges, order: &Order, scratch: &mut QueueScratch) {
    match order {
        _ if symbols.len() < 2 => {}
        Order::Rising | Order::ByRank if symbols.len() <= SCAN_SYMBOLS => scan(symbols, merges),
        Order::Rising => queue::merge_rising(symbols, merges, scratch),
        Order::ByRank => queue::merge(symbols, merges, None, None, scratch),
        Order::ByNewId(new_ids) => queue::merge(symbols, merges, Some(new_ids), None, scratch),
    }
}

/// Merges `symbols` to the end, skipping at random.
pub(super) fn merge_with_dropout(
    symbols: &mut Vec<Symbol>,
    merges: &Merges,
    order: &Order,
    dropout: &mut Dropout,
    scratch: &mut QueueScratch,
) {
    let new_ids = match order {
        Order::ByNewId(new_ids) => Some(new_ids.as_slice()),
        Order::Rising | Order::ByRank => None,
    };
    queue::merge(symbols, merges, new_ids, Some(dropout), scratch);
}

/// Looks for the best pair again after each merge.
fn scan(symbols: &mut Vec<Symbol>, merges: &Merges) {
    for index in 1..symbols.len() {
        symbols[index - 1].merge = merges.get(symbols[index - 1].id, symbols[index].id);
    }
    let mut length = symbols.len();
    loop {
        let mut best = 0;
        let mut rank = NO_RANK;
        for (index, symbol) in symbols[..length].iter().enumerate() {
            if symbol.merge.rank < rank {
                (best, rank) = (index, symbol.merge.rank);
            }
        }
        if rank == NO_RANK {
            break;
        }
        symbols[best].id = symbols[best].merge.new_id;
        symbols[best].bytes += symbols[best + 1].bytes;
        symbols.copy_within(best + 2..length, best + 1);
        length -= 1;
        symbols[best].merge = match best + 1 < length {
            true => merges.get(symbols[best].id, symbols[best + 1].id),
            false => NO_MERGE,
        };
        if best > 0 {
            symbols[best - 1].merge = merges.get(symbols[best - 1].id, symbols[best].id);
        }
    }
    symbols.truncate(length);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_even_and_depend_on_the_seed() {
        for (probability, expected) in [(0.0, 0..=0), (0.25, 24_000..=26_000), (1.0, 100_000..=100_000)] {
            let mut dropout = Dropout::new(probability, 7);
            assert!(expected.contains(&(0..100_000).filter(|_| dropout.skips()).count()));
        }
        let draws = |seed| {
            let mut dropout = Dropout::new(0.5, seed);
            (0..64).map(|_| dropout.skips()).collect::<Vec<_>>()
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
    }
}
