//! Merging: from symbols to tokens.
//!
//! The rule is that of BPE (Sennrich et al., 2016): merge the adjacent pair of the lowest rank, the leftmost of equals, until no
//! pair merges. A short run of symbols is scanned for it again and again: O(n²), but over an array that stays in cache, with two
//! lookups per merge. A long one uses a priority queue of pairs in which outdated entries stay and are skipped when they come up:
//! O(n log n).
//!
//! The reference takes an entry for outdated unless the pair at its place has the same *new id*. That is the same as having the
//! same rank if a merge makes its text longer and ids tell texts apart; for other files (`Order::ByNewId`) the queue keeps to the
//! letter of the reference, and the scan is not used.

use super::merges::{Merge, Merges, NO_MERGE, NO_RANK};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Up to this many symbols the scan is faster than the queue.
const SCAN_SYMBOLS: usize = 32;

/// A token on its way: an id and the number of bytes that it covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol {
    pub(super) id: u32,
    pub(super) bytes: u32,
    /// What becomes of this symbol and the next one.
    merge: Merge,
}

impl Symbol {
    #[inline(always)]
    pub(super) fn new(id: u32, bytes: u32) -> Self {
        Self { id, bytes, merge: NO_MERGE }
    }
}

/// How an outdated entry of the queue is told.
#[derive(Debug)]
pub(super) enum Order {
    /// By its rank.
    ByRank,
    /// By its new id, given here for each rank.
    ByNewId(Vec<u32>),
}

/// The neighbours of a symbol in the queue's list; a symbol that was merged into its left neighbour stays behind.
#[derive(Clone, Copy, Debug)]
struct Links {
    previous: u32,
    next: u32,
}

const NO_SYMBOL: u32 = u32::MAX;

/// A rank and a place, packed so that they compare in that order.
type Entry = Reverse<u64>;

/// Buffers of the queue.
#[derive(Debug, Default)]
pub(super) struct QueueScratch {
    links: Vec<Links>,
    entries: Vec<Entry>,
    skipped: Vec<Entry>,
}

/// The probability of skipping a merge, and the draws that decide it.
#[derive(Debug)]
pub(super) struct Dropout {
    pub(super) probability: f32,
    pub(super) seed: u64,
    draws: u64,
}

impl Dropout {
    pub(super) fn new(probability: f32, seed: u64) -> Self {
        Self { probability, seed, draws: 0 }
    }

    /// The next draw of a counter-based generator (SplitMix64): whether to skip.
    fn skips(&mut self) -> bool {
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
        Order::ByRank if symbols.len() <= SCAN_SYMBOLS => scan(symbols, merges),
        _ => queue(symbols, merges, order, None, scratch),
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
    queue(symbols, merges, order, Some(dropout), scratch);
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

/// Takes the best pair from a queue.
fn queue(symbols: &mut Vec<Symbol>, merges: &Merges, order: &Order, mut dropout: Option<&mut Dropout>, scratch: &mut QueueScratch) {
    let QueueScratch { links, entries, skipped } = scratch;
    links.clear();
    entries.clear();
    skipped.clear();
    // The caller refuses pieces with more symbols than a u32 counts.
    let length = symbols.len() as u32;
    links.extend((0..length).map(|index| Links { previous: index.wrapping_sub(1), next: index + 1 }));
    if let Some(last) = links.last_mut() {
        last.next = NO_SYMBOL;
    }
    for index in 1..symbols.len() {
        let merge = merges.get(symbols[index - 1].id, symbols[index].id);
        symbols[index - 1].merge = merge;
        if merge.rank != NO_RANK {
            entries.push(entry(merge.rank, index - 1));
        }
    }
    let mut heap = BinaryHeap::from(std::mem::take(entries));
    while let Some(top) = heap.pop() {
        if dropout.as_mut().is_some_and(|dropout| dropout.skips()) {
            skipped.push(top);
            continue;
        }
        heap.extend(skipped.drain(..));
        let (rank, left) = ((top.0 >> 32) as u32, top.0 as u32 as usize);
        let merge = symbols[left].merge;
        let is_current = match order {
            Order::ByRank => merge.rank == rank,
            Order::ByNewId(new_ids) => merge.rank != NO_RANK && new_ids.get(rank as usize) == Some(&merge.new_id),
        };
        if !is_current {
            continue;
        }
        // A symbol that merges has a next one.
        let Links { previous, next: right } = links[left];
        let right = right as usize;
        let next = links[right].next;
        symbols[left] = Symbol::new(merge.new_id, symbols[left].bytes + symbols[right].bytes);
        symbols[right] = Symbol::new(0, 0);
        links[left].next = next;
        let mut renew = |left: u32, right: u32| {
            let merge = merges.get(symbols[left as usize].id, symbols[right as usize].id);
            symbols[left as usize].merge = merge;
            if merge.rank != NO_RANK {
                heap.push(entry(merge.rank, left as usize));
            }
        };
        if previous != NO_SYMBOL {
            renew(previous, left as u32);
        }
        if next != NO_SYMBOL {
            links[next as usize].previous = left as u32;
            renew(left as u32, next);
        }
    }
    *entries = heap.into_vec();
    // Symbols that were merged into another cover no bytes.
    symbols.retain(|symbol| symbol.bytes > 0);
}

fn entry(rank: u32, place: usize) -> Entry {
    Reverse(u64::from(rank) << 32 | place as u64)
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
