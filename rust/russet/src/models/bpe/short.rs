//! Merging a few symbols.
//!
//! The rank of each pair and its place are packed into one number, so the least of an array of fixed size tells what merges next,
//! the leftmost of equals; the compiler makes that a few vector instructions. Symbols stay where they are and are linked, so nothing
//! is moved. O(n²) with a tiny constant, and two lookups for each merge: up to 16 symbols it is faster than all that is linear, and
//! with 32 it is not.

use super::merges::{Merges, NO_RANK};

/// The most symbols.
pub(super) const MAX_SYMBOLS: usize = 16;

const PLACE_BITS: u32 = MAX_SYMBOLS.trailing_zeros();
/// The most ranks.
pub(super) const MAX_RANKS: usize = (1 << (32 - PLACE_BITS)) - 1;
/// No pair, or one that does not merge.
const NONE: u32 = u32::MAX;

/// Merges `symbols`, at most `MAX_SYMBOLS` with at most `MAX_RANKS` ranks, to the end and appends what is left to `out`.
pub(super) fn merge(symbols: &[u32], merges: &Merges, out: &mut Vec<u32>) {
    const N: usize = MAX_SYMBOLS;
    let length = symbols.len().min(N);
    let mut ids = [0; N];
    ids[..length].copy_from_slice(&symbols[..length]);
    // What each symbol and the next one become, and the rank and the place of that.
    let mut new_ids = [0; N];
    let mut keys = [NONE; N];
    let look_up = |left: u32, right: u32, place: usize| {
        let merge = merges.get(left, right);
        (merge.new_id, if merge.rank == NO_RANK { NONE } else { merge.rank << PLACE_BITS | place as u32 })
    };
    let mut next: [u8; N] = std::array::from_fn(|place| place as u8 + 1);
    let mut previous: [u8; N] = std::array::from_fn(|place| (place as u8).wrapping_sub(1));
    for place in 1..length {
        (new_ids[place - 1], keys[place - 1]) = look_up(ids[place - 1], ids[place], place - 1);
    }
    loop {
        let least = keys.iter().fold(NONE, |least, &key| least.min(key));
        if least == NONE {
            break;
        }
        let place = least as usize % N;
        let right = usize::from(next[place]) % N;
        let after = usize::from(next[right]);
        ids[place] = new_ids[place];
        next[place] = after as u8;
        (keys[place], keys[right]) = (NONE, NONE);
        if after < length {
            previous[after] = place as u8;
            (new_ids[place], keys[place]) = look_up(ids[place], ids[after], place);
        }
        if place > 0 {
            let before = usize::from(previous[place]) % N;
            (new_ids[before], keys[before]) = look_up(ids[before], ids[place], before);
        }
    }
    let mut place = 0;
    while place < length {
        out.push(ids[place]);
        place = usize::from(next[place]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::merge::{self, Order, Symbol};
    use super::super::merges::Merge;
    use super::super::queue::QueueScratch;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_the_scan(
            list in proptest::collection::vec((0u32..20, 0u32..20, 4u32..20), 0..80),
            symbols in proptest::collection::vec(0u32..4, 0..=MAX_SYMBOLS),
        ) {
            let listed: Vec<_> = (0..).zip(list).map(|(rank, (left, right, new_id))| (left, right, Merge { rank, new_id })).collect();
            let merges = Merges::new(&listed);
            let mut scanned: Vec<Symbol> = symbols.iter().map(|&id| Symbol::new(id, 1)).collect();
            merge::merge(&mut scanned, &merges, &Order::ByRank, &mut QueueScratch::default());
            let mut merged = Vec::new();
            super::merge(&symbols, &merges, &mut merged);
            prop_assert_eq!(merged, scanned.iter().map(|symbol| symbol.id).collect::<Vec<_>>());
        }
    }
}
