//! Merging long runs of symbols: pairs wait in a queue by rank and place; one that changed stays in it and is skipped when it
//! comes up.
//!
//! Trained merges have rising ranks: what a merge makes merges later. Then ranks are taken once each, from the lowest up, and the
//! queue is a list per rank with a bitmap of those that are not empty: a step costs O(1), and the places of one rank are sorted
//! when its turn comes (they mostly are). For other files, and with dropout, it is a binary heap: O(n log n).
//!
//! The reference takes an entry for outdated unless the pair at its place has the same *new id*. That is the same as having the
//! same rank if a merge makes its text longer than its parts and ids tell texts apart: a pair that begins at some place only ever
//! gives way to one with a longer text. For other files the heap keeps to the letter of the reference.

use super::merge::{Dropout, Symbol};
use super::merges::{Merges, NO_RANK};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// No symbol, no entry.
const NONE: u32 = u32::MAX;

/// The neighbours of a symbol; one that was merged into its left neighbour stays behind and covers no bytes.
#[derive(Clone, Copy, Debug)]
struct Links {
    previous: u32,
    next: u32,
}

/// A rank and a place, packed so that they compare in that order.
type Entry = Reverse<u64>;

/// Buffers of the queues.
#[derive(Debug, Default)]
pub(super) struct QueueScratch {
    links: Vec<Links>,
    entries: Vec<Entry>,
    skipped: Vec<Entry>,
    buckets: Buckets,
    batch: Vec<u32>,
}

/// Merges `symbols` by a heap. Entries are outdated if their pair has another rank or, given `new_ids` by rank, another new id.
pub(super) fn merge(
    symbols: &mut Vec<Symbol>,
    merges: &Merges,
    new_ids: Option<&[u32]>,
    mut dropout: Option<&mut Dropout>,
    scratch: &mut QueueScratch,
) {
    let QueueScratch { links, entries, skipped, .. } = scratch;
    entries.clear();
    skipped.clear();
    link(symbols, links);
    look_up(symbols, merges, |rank, place| entries.push(entry(rank, place)));
    let mut heap = BinaryHeap::from(std::mem::take(entries));
    while let Some(top) = heap.pop() {
        if dropout.as_mut().is_some_and(|dropout| dropout.skips()) {
            skipped.push(top);
            continue;
        }
        heap.extend(skipped.drain(..));
        let (rank, place) = ((top.0 >> 32) as u32, top.0 as u32);
        let merge = symbols[place as usize].merge;
        let is_current = match new_ids {
            None => merge.rank == rank,
            Some(new_ids) => merge.rank != NO_RANK && new_ids.get(rank as usize) == Some(&merge.new_id),
        };
        if is_current {
            merge_at(place, symbols, links, merges, |rank, place| heap.push(entry(rank, place)));
        }
    }
    *entries = heap.into_vec();
    symbols.retain(|symbol| symbol.bytes > 0);
}

/// Merges `symbols` rank by rank. For merges with rising ranks only.
pub(super) fn merge_rising(symbols: &mut Vec<Symbol>, merges: &Merges, scratch: &mut QueueScratch) {
    let QueueScratch { links, buckets, batch, .. } = scratch;
    link(symbols, links);
    buckets.reset(merges.ranks());
    look_up(symbols, merges, |rank, place| buckets.push(rank, place));
    while let Some(rank) = buckets.pop(batch) {
        batch.sort_unstable();
        for &place in &*batch {
            if symbols[place as usize].merge.rank == rank {
                merge_at(place, symbols, links, merges, |rank, place| buckets.push(rank, place));
            }
        }
    }
    symbols.retain(|symbol| symbol.bytes > 0);
}

fn entry(rank: u32, place: u32) -> Entry {
    Reverse(u64::from(rank) << 32 | u64::from(place))
}

/// Makes every symbol the next one's neighbour. The caller refuses pieces with more symbols than a u32 counts.
fn link(symbols: &[Symbol], links: &mut Vec<Links>) {
    links.clear();
    links.extend((0..symbols.len() as u32).map(|place| Links { previous: place.wrapping_sub(1), next: place + 1 }));
    if let Some(last) = links.last_mut() {
        last.next = NONE;
    }
}

/// Looks up all pairs and reports those that merge.
fn look_up(symbols: &mut [Symbol], merges: &Merges, mut report: impl FnMut(u32, u32)) {
    for place in 1..symbols.len() {
        let merge = merges.get(symbols[place - 1].id, symbols[place].id);
        symbols[place - 1].merge = merge;
        if merge.rank != NO_RANK {
            report(merge.rank, place as u32 - 1);
        }
    }
}

/// Merges the symbol at `place` with the next one, which must be possible, and reports the pairs that this makes.
#[inline(always)]
fn merge_at(place: u32, symbols: &mut [Symbol], links: &mut [Links], merges: &Merges, mut report: impl FnMut(u32, u32)) {
    let Links { previous, next: right } = links[place as usize];
    let next = links[right as usize].next;
    let merge = symbols[place as usize].merge;
    symbols[place as usize] = Symbol::new(merge.new_id, symbols[place as usize].bytes + symbols[right as usize].bytes);
    symbols[right as usize] = Symbol::new(0, 0);
    links[place as usize].next = next;
    if next != NONE {
        links[next as usize].previous = place;
    }
    for (left, right) in [(previous, place), (place, next)] {
        if left != NONE && right != NONE {
            let merge = merges.get(symbols[left as usize].id, symbols[right as usize].id);
            symbols[left as usize].merge = merge;
            if merge.rank != NO_RANK {
                report(merge.rank, left);
            }
        }
    }
}

/// Places by rank, for ranks that only rise: a list per rank, and two levels of bitmaps of those that are not empty.
#[derive(Debug, Default)]
struct Buckets {
    /// The last entry of each rank.
    heads: Vec<u32>,
    /// A place, and the entry before it in its list.
    entries: Vec<(u32, u32)>,
    /// The list of entries that are free.
    free: u32,
    /// One bit per rank, and one per word of those.
    filled: Vec<u64>,
    words: Vec<u64>,
    /// No word of `words` before this one has a bit.
    first: usize,
}

impl Buckets {
    /// Makes room for `ranks` ranks. All lists are empty, as they are after the last `pop`.
    fn reset(&mut self, ranks: usize) {
        if self.heads.len() < ranks {
            self.heads.resize(ranks, NONE);
            self.filled.resize(ranks.div_ceil(64), 0);
            self.words.resize(ranks.div_ceil(64 * 64), 0);
        }
        self.entries.clear();
        self.free = NONE;
        self.first = 0;
    }

    /// Adds a place to the list of `rank`.
    #[inline(always)]
    fn push(&mut self, rank: u32, place: u32) {
        let head = &mut self.heads[rank as usize];
        let entry = match self.free {
            NONE => {
                self.entries.push((place, *head));
                self.entries.len() as u32 - 1
            }
            free => {
                let entry = &mut self.entries[free as usize];
                self.free = entry.1;
                *entry = (place, *head);
                free
            }
        };
        *head = entry;
        self.filled[rank as usize / 64] |= 1 << (rank % 64);
        self.words[rank as usize / (64 * 64)] |= 1 << (rank / 64 % 64);
    }

    /// Moves the places of the lowest rank to `batch`, the first first.
    fn pop(&mut self, batch: &mut Vec<u32>) -> Option<u32> {
        self.first += self.words[self.first..].iter().position(|&word| word != 0)?;
        let word = self.first * 64 + self.words[self.first].trailing_zeros() as usize;
        let rank = word * 64 + self.filled[word].trailing_zeros() as usize;
        self.filled[word] &= self.filled[word] - 1;
        if self.filled[word] == 0 {
            self.words[self.first] &= self.words[self.first] - 1;
        }
        batch.clear();
        let mut entry = std::mem::replace(&mut self.heads[rank], NONE);
        while let Some((place, before)) = self.entries.get_mut(entry as usize) {
            batch.push(*place);
            let next = std::mem::replace(before, self.free);
            self.free = entry;
            entry = next;
        }
        batch.reverse();
        Some(rank as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn buckets_equal_a_map(rounds in proptest::collection::vec(proptest::collection::vec((0u32..9000, any::<u16>()), 0..30), 1..10)) {
            let mut buckets = Buckets::default();
            buckets.reset(40_000);
            let mut map: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            let mut batch = Vec::new();
            let mut lowest = 0;
            for round in rounds {
                for (rank, place) in round {
                    let rank = lowest + rank;
                    buckets.push(rank, place.into());
                    map.entry(rank).or_default().push(place.into());
                }
                let expected = map.pop_first();
                prop_assert_eq!(buckets.pop(&mut batch), expected.as_ref().map(|entry| entry.0));
                if let Some((rank, places)) = expected {
                    prop_assert_eq!(&batch, &places);
                    lowest = (rank + 1).min(30_000);
                }
            }
            while buckets.pop(&mut batch).is_some() {}
            prop_assert!(buckets.heads.iter().all(|&head| head == NONE) && buckets.filled.iter().all(|&word| word == 0));
        }
    }
}
