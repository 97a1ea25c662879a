//! Merging a few symbols.
//!
//! What each pair makes and its place are packed into one number, so the least of an array of fixed size tells what merges next, the
//! leftmost of equals; the compiler makes that a few vector instructions. Symbols stay where they are, and a bit for each tells
//! which are left, so nothing is moved. O(n²) with a tiny constant, and two lookups for each merge: up to 16 symbols it is faster
//! than all that is linear, and up to 32 faster than what takes one piece alone.
//!
//! Nearly all of its time is waiting for memory: so several pieces are merged in turns.

use super::pairs::{Pairs, Place, NO_TOKEN};

/// The symbols of most pieces.
pub(super) const FEW: usize = 16;
/// The most symbols.
pub(super) const MOST: usize = 32;

const PLACE_BITS: u32 = MOST.trailing_zeros();
/// A pair that does not merge has at least this, as has the lack of one.
const NONE: u32 = u32::MAX << PLACE_BITS;

/// What a pair makes, 0 for nothing, and the place of its left symbol, so that the least is what comes first.
#[inline(always)]
fn packed(number: u32, place: u32) -> u32 {
    number.wrapping_sub(1) << PLACE_BITS | place
}

/// Up to `N` symbols of a piece, as numbers of `Pairs`, or the ids of its tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbols<const N: usize = FEW> {
    list: [u32; N],
    len: usize,
}

impl<const N: usize> Default for Symbols<N> {
    fn default() -> Self {
        Self { list: [0; N], len: 0 }
    }
}

impl<const N: usize> Symbols<N> {
    /// Appends a number, and tells whether there was room.
    #[inline(always)]
    pub(super) fn push(&mut self, number: u32) -> bool {
        match self.list.get_mut(self.len) {
            Some(place) => {
                *place = number;
                self.len += 1;
                true
            }
            None => false,
        }
    }

    /// These numbers, if there is room for them and each is a token.
    #[inline(always)]
    pub(super) fn of(numbers: impl Iterator<Item = u32>) -> Option<Self> {
        let mut symbols = Self::default();
        numbers.into_iter().all(|number| number != NO_TOKEN && symbols.push(number)).then_some(symbols)
    }

    pub(super) fn as_slice(&self) -> &[u32] {
        &self.list[..self.len.min(N)]
    }

    /// The same where there is room for fewer, if that suffices.
    #[inline(always)]
    pub(super) fn few(&self) -> Option<Symbols> {
        let list = *self.list.first_chunk()?;
        (self.len <= FEW).then_some(Symbols { list, len: self.len })
    }
}

/// A piece that is being merged.
struct Lane<const N: usize> {
    /// Which one.
    piece: usize,
    length: u32,
    /// The numbers at each place. Places are taken modulo 64, so that the one before the first is the last of these.
    numbers: [u32; PLACES],
    /// For each place what it merges to with the next one, by [`packed`].
    keys: [u32; N],
    /// A bit for each place that is left, also for the one behind the last, where there is no token.
    left: u64,
    step: Step,
}

const PLACES: usize = u64::BITS as usize;

/// A merge that comes next: its places and what it makes.
#[derive(Clone, Copy, Default)]
struct Step {
    before: u32,
    place: u32,
    right: u32,
    number: u32,
    with_before: Place,
    with_after: Place,
}

impl<const N: usize> Lane<N> {
    /// One without a piece.
    fn empty() -> Self {
        let (numbers, keys) = ([NO_TOKEN; PLACES], [NONE; N]);
        Self { piece: 0, length: 0, numbers, keys, left: 1, step: Step::default() }
    }

    /// Begins with another piece, in place: to move a lane costs as much as a merge.
    #[inline(always)]
    fn begin(&mut self, piece: usize, symbols: &Symbols<N>, pairs: &Pairs) {
        let length = symbols.len.min(N);
        for (place, (number, &symbol)) in self.numbers.iter_mut().zip(&symbols.list).enumerate() {
            *number = if place < length { symbol } else { NO_TOKEN };
        }
        self.keys = [NONE; N];
        for place in 1..length {
            self.keys[place - 1] = packed(pairs.get(self.numbers[place - 1], self.numbers[place]), place as u32 - 1);
        }
        (self.piece, self.length, self.left) = (piece, length as u32, (2 << length) - 1);
    }

    /// Finds the next merge and asks for what it will read, or returns false if there is none.
    #[inline(always)]
    fn begin_step(&mut self, pairs: &Pairs) -> bool {
        let least = self.keys.iter().fold(NONE, |least, &key| least.min(key));
        if least >= NONE {
            return false;
        }
        let place = least % MOST as u32;
        let number = (least >> PLACE_BITS) + 1;
        let behind = self.left & (u64::MAX - 1) << place;
        let right = behind.trailing_zeros();
        let after = (behind & behind.wrapping_sub(1)).trailing_zeros() % PLACES as u32;
        let before = 63_u32.wrapping_sub((self.left & ((1 << place) - 1)).leading_zeros()) % PLACES as u32;
        let with_before = pairs.place(self.numbers[before as usize], number);
        let with_after = pairs.place(number, self.numbers[after as usize]);
        self.step = Step { before, place, right, number, with_before, with_after };
        true
    }

    /// Does the merge.
    #[inline(always)]
    fn end_step(&mut self, pairs: &Pairs) {
        let Step { before, place, right, number, with_before, with_after } = self.step;
        let with_before = packed(pairs.look(with_before), before);
        let with_after = packed(pairs.look(with_after), place);
        self.numbers[place as usize] = number;
        self.left &= !(1 << right);
        if let Some(key) = self.keys.get_mut(right as usize) {
            *key = NONE;
        }
        if let Some(key) = self.keys.get_mut(before as usize) {
            *key = with_before;
        }
        self.keys[place as usize % N] = with_after;
    }

    /// The ids of what is left.
    #[inline(always)]
    fn ids(&self, pairs: &Pairs) -> Symbols<N> {
        let mut ids = Symbols::default();
        let mut rest = self.left & ((1 << self.length) - 1);
        while rest != 0 {
            ids.push(pairs.id(self.numbers[rest.trailing_zeros() as usize % PLACES]));
            rest &= rest - 1;
        }
        ids
    }
}

/// How many pieces are merged in turns: while one waits for memory, the others go on.
const LANES: usize = 4;

/// Merges the symbols of each piece, which are numbers of `pairs`, to the end, and puts their ids in place of them.
pub(super) fn merge<const N: usize>(pieces: &mut [Symbols<N>], pairs: &Pairs) {
    let mut waiting = 0..pieces.len();
    let mut lanes: [Lane<N>; LANES] = std::array::from_fn(|_| Lane::empty());
    let mut busy = 0;
    for (lane, piece) in lanes.iter_mut().zip(waiting.by_ref().take(LANES)) {
        lane.begin(piece, &pieces[piece], pairs);
        busy += 1;
    }
    while busy > 0 {
        let mut index = 0;
        while let Some(lane) = lanes[..busy].get_mut(index) {
            if lane.begin_step(pairs) {
                index += 1;
                continue;
            }
            pieces[lane.piece] = lane.ids(pairs);
            match waiting.next() {
                Some(piece) => lane.begin(piece, &pieces[piece], pairs),
                None => {
                    busy -= 1;
                    lanes.swap(index, busy);
                }
            }
        }
        lanes[..busy].iter_mut().for_each(|lane| lane.end_step(pairs));
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

    /// Merges pieces of up to `N` symbols.
    fn merged<const N: usize>(pieces: &[Vec<u32>], pairs: &Pairs) -> Vec<Vec<u32>> {
        let symbols = |piece: &Vec<u32>| Symbols::<N>::of(piece.iter().map(|&id| pairs.number(id))).unwrap();
        let mut pieces: Vec<_> = pieces.iter().map(symbols).collect();
        super::merge(&mut pieces, pairs);
        pieces.iter().map(|piece| piece.as_slice().to_vec()).collect()
    }

    proptest! {
        #[test]
        fn equals_the_scan(
            list in proptest::collection::vec((any::<proptest::sample::Index>(), any::<proptest::sample::Index>()), 0..80),
            pieces in proptest::collection::vec(proptest::collection::vec(0u32..4, 0..=MOST), 0..12),
            first in prop_oneof![Just(4_u32), Just(300)],
        ) {
            // Tokens that a text can be merged to, each made by one merge, and their lengths.
            let mut lengths = vec![1; first as usize];
            let mut listed: Vec<Joined> = Vec::new();
            for (left, right) in list {
                let pick = |index: proptest::sample::Index| match index.index(lengths.len() - first as usize + 4) {
                    single @ ..4 => single as u32,
                    other => other as u32 - 4 + first,
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
            let few: Vec<Vec<u32>> = pieces.iter().filter(|piece| piece.len() <= FEW).cloned().collect();
            let found = pieces.iter().zip(merged::<MOST>(&pieces, &pairs)).chain(few.iter().zip(merged::<FEW>(&few, &pairs)));
            for (piece, merged) in found {
                let mut scanned: Vec<Symbol> = piece.iter().map(|&id| Symbol::new(id, 1)).collect();
                merge::merge(&mut scanned, &merges, &Order::ByRank, &mut QueueScratch::default());
                prop_assert_eq!(merged, scanned.iter().map(|symbol| symbol.id).collect::<Vec<_>>());
            }
        }
    }
}
