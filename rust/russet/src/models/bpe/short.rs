//! Merging a few symbols.
//!
//! What each pair makes and its place are packed into one number, so the least of an array of fixed size tells what merges next, the
//! leftmost of equals. Symbols stay where they are, and a bit for each tells which are left, so nothing is moved. O(n²) with a tiny
//! constant, and two lookups for each merge: up to 14 symbols it is faster than all that is linear, and up to 62 faster than what
//! takes one piece alone.
//!
//! Many pieces are merged in turns, one merge of each: what a piece looks up next is fetched from memory while the others go on.

use super::pairs::{Pairs, NO_TOKEN};
use crate::cached::IdLists;
use std::hint::select_unpredictable;

/// The most symbols. Two places are for what is before and behind them.
pub(super) const MOST: usize = LARGEST - 2;
const SMALL: usize = 8;
const MIDDLE: usize = 16;
const LARGE: usize = 32;
const LARGEST: usize = 64;

const PLACE_BITS: u32 = LARGEST.trailing_zeros();
/// A pair that does not merge has at least this, as has the lack of one.
const NONE: u32 = NO_TOKEN << PLACE_BITS;

/// In place of what a pair makes: where it is looked up. What is made has less, and `NONE` too.
const IS_BUCKET: u32 = 1 << (u32::BITS - 1);
const _: () = assert!(NONE < IS_BUCKET - LARGEST as u32);

/// What a pair makes and the place of its left symbol, so that the least is what comes first.
#[inline(always)]
fn packed(number: u32, place: u32) -> u32 {
    number << PLACE_BITS | place
}

/// The symbols of a piece, as numbers of `Pairs`. There is room for more than are merged here, as some are joined at once.
#[derive(Debug)]
pub(super) struct Symbols {
    list: [u32; Self::ROOM],
    len: usize,
}

impl Default for Symbols {
    fn default() -> Self {
        Self { list: [0; Self::ROOM], len: 0 }
    }
}

impl Symbols {
    const ROOM: usize = 128;

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends a number if it is that of a token, and tells whether it is and there was room.
    #[inline(always)]
    pub(super) fn push(&mut self, number: u32) -> bool {
        match self.list.get_mut(self.len) {
            Some(place) if number != NO_TOKEN => {
                *place = number;
                self.len += 1;
                true
            }
            _ => false,
        }
    }

    /// Joins what is sure to merge, and tells whether the rest is few enough to be merged here.
    #[inline(always)]
    pub(super) fn join(&mut self, pairs: &Pairs) -> bool {
        self.len = pairs.join(&mut self.list, self.len);
        self.len <= MOST
    }

    #[cfg(test)]
    pub(super) fn as_slice(&self) -> &[u32] {
        &self.list[..self.len.min(Self::ROOM)]
    }
}

/// A piece that is being merged. Its symbols are at the places from 1 on; keys and numbers are by place.
#[derive(Debug)]
#[repr(C, align(32))]
struct Lane<const SIZE: usize> {
    /// What each symbol merges to with the next one, by [`packed`].
    keys: [u32; SIZE],
    /// `NO_TOKEN` before the first and behind the last.
    numbers: [u32; SIZE],
    /// A bit for each place that is left, and for those before and behind all.
    left: u64,
    /// The merge that comes next: where, the number of what it makes, and the places beside it.
    place: u32,
    number: u32,
    before: u32,
    right: u32,
    after: u32,
    /// Where the pairs are with what is before and behind it.
    buckets: [u32; 2],
    /// Which list its ids are.
    list: usize,
}

impl<const SIZE: usize> Default for Lane<SIZE> {
    fn default() -> Self {
        Self {
            keys: [NONE; SIZE],
            numbers: [NO_TOKEN; SIZE],
            left: 0,
            place: 0,
            number: 0,
            before: 0,
            right: 0,
            after: 0,
            buckets: [0; 2],
            list: 0,
        }
    }
}

impl<const SIZE: usize> Lane<SIZE> {
    const MOST: usize = SIZE - 2;

    /// Takes a piece of these symbols, of which there is room for at most `MOST`. What they make is yet to be looked up.
    #[inline(always)]
    fn take(&mut self, symbols: &Symbols, list: usize, pairs: &Pairs) {
        let count = symbols.len.min(Self::MOST);
        self.list = list;
        self.left = u64::MAX >> (62 - count);
        self.keys = [NONE; SIZE];
        // All that there is room for, so that no length has to be foreseen.
        for ((number, &symbol), at) in self.numbers[1..].iter_mut().zip(&symbols.list).zip(0..) {
            let is_behind = if at < count as u32 { 0 } else { NO_TOKEN };
            *number = symbol | is_behind;
        }
        let mut left = self.numbers[1];
        for place in 1..count {
            let right = self.numbers[place + 1];
            let bucket = pairs.bucket(left, right);
            let (is_near, near) = pairs.near(left, right);
            // Without branches: what the next symbol is cannot be foreseen.
            pairs.fetch(select_unpredictable(is_near, 0, bucket));
            self.keys[place] = select_unpredictable(is_near, packed(near, place as u32), bucket | IS_BUCKET);
            left = right;
        }
    }

    /// The places whose symbols have another one behind them.
    #[inline(always)]
    fn places(&self) -> std::ops::Range<usize> {
        1..(self.left.count_ones() as usize).saturating_sub(2).min(SIZE - 2)
    }

    /// Looks up what its symbols make.
    #[inline(always)]
    fn begin(&mut self, pairs: &Pairs) {
        for place in self.places() {
            let key = self.keys[place];
            let is_bucket = key & IS_BUCKET != 0;
            let number =
                pairs.look(self.numbers[place], self.numbers[place + 1], select_unpredictable(is_bucket, key & !IS_BUCKET, 0));
            self.keys[place] = select_unpredictable(is_bucket, packed(number, place as u32), key);
        }
    }

    #[inline(always)]
    fn at(place: u32) -> usize {
        place as usize % SIZE
    }

    /// Finds the next merge and asks for the memory that it needs; false if there is none.
    #[inline(always)]
    fn next(&mut self, pairs: &Pairs) -> bool {
        let least = self.keys.iter().fold(NONE, |least, &key| least.min(key));
        let (place, number) = (least % LARGEST as u32, least >> PLACE_BITS);
        let behind = self.left & (u64::MAX << 1) << place;
        self.place = place;
        self.number = number;
        self.right = behind.trailing_zeros();
        self.after = (behind & behind.wrapping_sub(1)).trailing_zeros();
        self.before = 63 - (self.left & ((1 << place) - 1) | 1).leading_zeros();
        self.buckets =
            [pairs.bucket(self.numbers[Self::at(self.before)], number), pairs.bucket(number, self.numbers[Self::at(self.after)])];
        self.buckets.iter().for_each(|&bucket| pairs.fetch(bucket));
        least < NONE
    }

    /// Does the merge that was found.
    #[inline(always)]
    fn merge(&mut self, pairs: &Pairs) {
        let Self { place, number, before, right, after, .. } = *self;
        let with_before = pairs.look(self.numbers[Self::at(before)], number, self.buckets[0]);
        let with_after = pairs.look(number, self.numbers[Self::at(after)], self.buckets[1]);
        self.numbers[Self::at(place)] = number;
        self.left &= !(1 << right);
        let (with_before, with_after) = (packed(with_before, before), packed(with_after, place));
        // As a whole: what is written item by item cannot be read as a whole until it has reached the cache.
        for (key, at) in self.keys.iter_mut().zip(0..) {
            let mut new = *key;
            new = if at == right { NONE } else { new };
            new = if at == before { with_before } else { new };
            new = if at == place { with_after } else { new };
            *key = new;
        }
    }

    /// Appends the numbers of what is left.
    #[inline(always)]
    fn give(&self, numbers: &mut Vec<u32>) {
        let (mut left, mut count) = ([0; SIZE], 0);
        for place in 1..SIZE - 1 {
            left[count % SIZE] = self.numbers[place];
            count += (self.left >> place & 1) as usize;
        }
        let length = numbers.len();
        numbers.extend_from_slice(&left);
        // Without the place behind all.
        numbers.truncate(length + self.left.count_ones() as usize - 2);
    }
}

/// Lanes, of which the first `taken` have pieces.
#[derive(Debug)]
struct Lanes<const SIZE: usize> {
    all: Vec<Lane<SIZE>>,
    taken: usize,
}

impl<const SIZE: usize> Default for Lanes<SIZE> {
    fn default() -> Self {
        Self { all: Vec::new(), taken: 0 }
    }
}

impl<const SIZE: usize> Lanes<SIZE> {
    /// Takes a piece as [`Lane::take`]. Lanes are filled where they are, as to move them costs as much.
    #[inline(always)]
    fn push(&mut self, symbols: &Symbols, list: usize, pairs: &Pairs) {
        if self.taken == self.all.len() {
            self.all.push(Lane::default());
        }
        self.all[self.taken].take(symbols, list, pairs);
        self.taken += 1;
    }

    /// Forgets the pieces of this list and those behind it, which were taken last.
    fn forget(&mut self, list: usize) {
        while self.all[..self.taken].last().is_some_and(|lane| lane.list >= list) {
            self.taken -= 1;
        }
    }
}

/// Pieces that are merged in turns.
#[derive(Debug, Default)]
pub(super) struct Together {
    small: Lanes<SMALL>,
    middle: Lanes<MIDDLE>,
    large: Lanes<LARGE>,
    largest: Lanes<LARGEST>,
    going: Vec<u32>,
}

impl Together {
    /// Takes the symbols of a piece whose ids become the list of this number.
    #[inline(always)]
    pub(super) fn push(&mut self, symbols: &Symbols, list: usize, pairs: &Pairs) {
        if symbols.len <= Lane::<SMALL>::MOST {
            self.small.push(symbols, list, pairs);
        } else if symbols.len <= Lane::<MIDDLE>::MOST {
            self.middle.push(symbols, list, pairs);
        } else if symbols.len <= Lane::<LARGE>::MOST {
            self.large.push(symbols, list, pairs);
        } else {
            self.largest.push(symbols, list, pairs);
        }
    }

    /// Forgets the pieces of this list and those behind it, which were taken last.
    pub(super) fn truncate(&mut self, list: usize) {
        self.small.forget(list);
        self.middle.forget(list);
        self.large.forget(list);
        self.largest.forget(list);
    }

    /// Merges what was taken to the end, and forgets it.
    pub(super) fn merge(&mut self, pairs: &Pairs, lists: &mut IdLists) {
        pairs.level().run(
            #[inline(always)]
            || self.merge_all(pairs, lists),
        );
    }

    #[inline(always)]
    fn merge_all(&mut self, pairs: &Pairs, lists: &mut IdLists) {
        let start = lists.ids_mut().len();
        merge_lanes(&mut self.small, &mut self.going, pairs, lists);
        merge_lanes(&mut self.middle, &mut self.going, pairs, lists);
        merge_lanes(&mut self.large, &mut self.going, pairs, lists);
        merge_lanes(&mut self.largest, &mut self.going, pairs, lists);
        lists.ids_mut()[start..].iter_mut().for_each(|number| *number = pairs.id(*number));
    }
}

#[inline(always)]
fn merge_lanes<const SIZE: usize>(lanes: &mut Lanes<SIZE>, going: &mut Vec<u32>, pairs: &Pairs, lists: &mut IdLists) {
    let Lanes { all, taken } = lanes;
    let lanes = &mut all[..*taken];
    *taken = 0;
    if going.len() < lanes.len() {
        going.resize(lanes.len(), 0);
    }
    let mut left = 0;
    for (index, lane) in lanes.iter_mut().enumerate() {
        lane.begin(pairs);
        going[left] = index as u32;
        left += usize::from(lane.next(pairs));
    }
    while left > 0 {
        let turns = left;
        left = 0;
        for turn in 0..turns {
            let index = going[turn];
            let lane = &mut lanes[index as usize];
            lane.merge(pairs);
            going[left] = index;
            left += usize::from(lane.next(pairs));
        }
    }
    for lane in lanes {
        lists.set(lane.list, |numbers| lane.give(numbers));
    }
}

/// Appends the ids of a piece that is merged alone, as a unit of a character or two often is.
pub(super) fn merge_alone(symbols: &Symbols, pairs: &Pairs, ids: &mut Vec<u32>) {
    #[inline(always)]
    fn merge<const SIZE: usize>(symbols: &Symbols, pairs: &Pairs, ids: &mut Vec<u32>) {
        let mut lane = Lane::<SIZE>::default();
        lane.take(symbols, 0, pairs);
        lane.begin(pairs);
        while lane.next(pairs) {
            lane.merge(pairs);
        }
        let start = ids.len();
        lane.give(ids);
        ids[start..].iter_mut().for_each(|number| *number = pairs.id(*number));
    }
    if symbols.len <= Lane::<SMALL>::MOST {
        merge::<SMALL>(symbols, pairs, ids);
    } else if symbols.len <= Lane::<MIDDLE>::MOST {
        merge::<MIDDLE>(symbols, pairs, ids);
    } else if symbols.len <= Lane::<LARGE>::MOST {
        merge::<LARGE>(symbols, pairs, ids);
    } else {
        merge::<LARGEST>(symbols, pairs, ids);
    }
}

#[cfg(test)]
mod tests {
    use super::super::merge::{self, Order, Symbol};
    use super::super::merges::{Joined, Merges, NEVER, SINGLE};
    use super::super::queue::QueueScratch;
    use super::*;
    use crate::formats::config::VocabConfig;
    use crate::vocab::Vocabulary;
    use proptest::prelude::*;

    fn merged(pieces: &[Vec<u32>], pairs: &Pairs, is_joined: bool) -> Vec<Vec<u32>> {
        let (mut together, mut lists) = (Together::default(), IdLists::default());
        let mut by_one = Vec::new();
        for piece in pieces {
            let mut symbols = Symbols::default();
            assert!(piece.iter().all(|&id| symbols.push(pairs.number(id))));
            assert!(!is_joined || symbols.join(pairs));
            together.push(&symbols, lists.add(), pairs);
            by_one.push(Vec::new());
            merge_alone(&symbols, pairs, by_one.last_mut().unwrap());
        }
        together.merge(pairs, &mut lists);
        let merged: Vec<_> = (0..pieces.len()).map(|list| lists.get(list).to_vec()).collect();
        assert_eq!(merged, by_one);
        merged
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn equals_the_scan(
            list in proptest::collection::vec((any::<proptest::sample::Index>(), any::<proptest::sample::Index>()), 0..80),
            pieces in proptest::collection::vec(proptest::collection::vec(0u32..5, 0..=MOST), 0..40),
            first in prop_oneof![Just(5_u32), Just(300)],
        ) {
            // Tokens that a text can be merged to, each made by one merge, and their lengths.
            let mut lengths = vec![1; first as usize];
            let mut listed: Vec<Joined> = Vec::new();
            for (left, right) in list {
                let pick = |index: proptest::sample::Index| match index.index(lengths.len() - first as usize + 5) {
                    single @ ..5 => single as u32,
                    other => other as u32 - 5 + first,
                };
                let (left, right) = (pick(left), pick(right));
                if !listed.iter().any(|merge| merge[..2] == [left, right]) {
                    listed.push([left, right, lengths.len() as u32]);
                    lengths.push(lengths[left as usize] + lengths[right as usize]);
                }
            }
            let made = (0..lengths.len()).map(|id| if id < first as usize { SINGLE } else { NEVER }).collect();
            let (merges, _) = Merges::making(&listed, made, |id| lengths[id as usize]);
            let texts = VocabConfig { tokens: (0..lengths.len()).map(|id| id.to_string()).collect(), ids: (0..lengths.len() as u32).collect() };
            let pairs = Pairs::new(&merges, lengths.len(), &Vocabulary::new(texts).unwrap(), None).unwrap();
            let (plain, joined) = (merged(&pieces, &pairs, false), merged(&pieces, &pairs, true));
            for ((piece, merged), joined) in pieces.iter().zip(plain).zip(joined) {
                let mut scanned: Vec<Symbol> = piece.iter().map(|&id| Symbol::new(id, 1)).collect();
                merge::merge(&mut scanned, &merges, &Order::ByRank, &mut QueueScratch::default());
                prop_assert_eq!(&merged, &scanned.iter().map(|symbol| symbol.id).collect::<Vec<_>>());
                prop_assert_eq!(merged, joined);
            }
        }
    }
}
