//! Merging a few symbols.
//!
//! What each pair makes and its place are packed into one number, so the least of an array of fixed size tells what merges next, the
//! leftmost of equals. Symbols stay where they are, and a bit for each tells which are left, so nothing is moved. O(n²) with a tiny constant, and two lookups for each merge: up to 16 symbols it is faster
//! than all that is linear, and up to 32 faster than what takes one piece alone.
//!
//! Eight pieces are merged side by side: the least is found in all of them at once, by vector instructions that the compiler makes
//! of plain loops, and while one waits for memory, the others go on.

use super::pairs::{Pairs, NO_TOKEN};

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

/// How many pieces are merged side by side: while one waits for memory, the others go on, and one instruction does for all of them
/// what does not touch memory.
pub(super) const LANES: usize = 8;
/// A row for each place, and one more for where there is no symbol.
const ROWS: usize = MOST + 1;
const NO_PLACE: u32 = MOST as u32;
/// An item for each lane.
type Row = [u32; LANES];

/// Pieces that are being merged, one in each lane.
struct Lanes<const N: usize> {
    /// Which ones.
    pieces: [usize; LANES],
    /// By place, the numbers.
    numbers: [Row; ROWS],
    /// For each place what it merges to with the next one, by [`packed`]; of a lane that is done, nothing. Only the first `N` are
    /// read: there is a row for all places, so that what is written there needs no test.
    keys: [Row; ROWS],
    /// A bit for each place that is left.
    left: Row,
}

/// The merges that come next, one for each lane, or anything where there is none.
struct Step {
    least: Row,
    place: Row,
    number: Row,
    before: Row,
    /// A bit for the place of the right part.
    right: Row,
    at_before: Row,
    at_after: Row,
    bucket_before: Row,
    bucket_after: Row,
}

/// The places of the only bits of numbers, or of highest bits if the next bits are zeros; `NO_PLACE` where there is no bit. A number
/// as a float has that in its exponent, and vector instructions have no other way to it.
#[inline(always)]
fn places(bits: Row) -> Row {
    bits.map(|bits| ((bits as i32 as f32).to_bits() >> 23 & 0xff).wrapping_sub(127).min(NO_PLACE))
}

impl<const N: usize> Lanes<N> {
    /// Without pieces.
    #[inline(always)]
    fn empty() -> Self {
        Self { pieces: [0; LANES], numbers: [[NO_TOKEN; LANES]; ROWS], keys: [[NONE; LANES]; ROWS], left: [0; LANES] }
    }

    /// Begins with another piece in a lane that is done.
    #[inline(always)]
    fn begin(&mut self, lane: usize, piece: usize, symbols: &Symbols<N>, pairs: &Pairs) {
        let length = symbols.len.min(N);
        let mut before = NO_TOKEN;
        for (place, &symbol) in symbols.list[..length].iter().enumerate() {
            self.numbers[place][lane] = symbol;
            if place > 0 {
                self.keys[place - 1][lane] = packed(pairs.get(before, symbol), place as u32 - 1);
            }
            before = symbol;
        }
        (self.pieces[lane], self.left[lane]) = (piece, ((1_u64 << length) - 1) as u32);
    }

    /// Finds the next merges.
    #[inline(always)]
    fn step(&self, pairs: &Pairs) -> Step {
        let mut least = [NONE; LANES];
        for keys in &self.keys[..N] {
            least = std::array::from_fn(|lane| least[lane].min(keys[lane]));
        }
        let place = least.map(|least| least % MOST as u32);
        let number = least.map(|least| (least >> PLACE_BITS) + 1);
        let up_to: Row = std::array::from_fn(|lane| 1_u32 << place[lane]);
        let lower: Row = std::array::from_fn(|lane| self.left[lane] & (up_to[lane] - 1));
        let behind: Row = std::array::from_fn(|lane| self.left[lane] & !(up_to[lane] | (up_to[lane] - 1)));
        let right = behind.map(|behind| behind & behind.wrapping_neg());
        let after = behind.map(|behind| behind & behind.wrapping_sub(1)).map(|after| after & after.wrapping_neg());
        let (before, after) = (places(lower.map(|lower| lower & !(lower >> 1))), places(after));
        let at_before: Row = std::array::from_fn(|lane| self.numbers[before[lane].min(NO_PLACE) as usize][lane]);
        let at_after: Row = std::array::from_fn(|lane| self.numbers[after[lane].min(NO_PLACE) as usize][lane]);
        let (bucket_before, bucket_after) = (pairs.buckets(&at_before, &number), pairs.buckets(&number, &at_after));
        Step { least, place, number, before, right, at_before, at_after, bucket_before, bucket_after }
    }

    /// Does the merge of a lane.
    #[inline(always)]
    fn merge(&mut self, lane: usize, step: &Step, pairs: &Pairs) {
        let (place, number, before) = (step.place[lane], step.number[lane], step.before[lane]);
        let with_before = packed(pairs.look(step.at_before[lane], number, step.bucket_before[lane]), before);
        let with_after = packed(pairs.look(number, step.at_after[lane], step.bucket_after[lane]), place);
        self.numbers[place as usize % MOST][lane] = number;
        self.left[lane] &= !step.right[lane];
        self.keys[step.right[lane].trailing_zeros() as usize % MOST][lane] = NONE;
        self.keys[before.min(NO_PLACE) as usize][lane] = with_before;
        self.keys[place as usize % MOST][lane] = with_after;
    }

    /// The ids of what is left in a lane.
    #[inline(always)]
    fn ids(&self, lane: usize, pairs: &Pairs) -> Symbols<N> {
        let mut ids = Symbols::default();
        let mut rest = self.left[lane];
        while rest != 0 {
            ids.push(pairs.id(self.numbers[rest.trailing_zeros() as usize][lane]));
            rest &= rest - 1;
        }
        ids
    }
}

/// Merges the symbols of each piece, which are numbers of `pairs`, to the end, and puts their ids in place of them.
pub(super) fn merge<const N: usize>(pieces: &mut [Symbols<N>], pairs: &Pairs) {
    if let [] | [_] = pieces {
        return pieces.iter_mut().for_each(|piece| merge_one(piece, pairs));
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = pairs.level().avx2() {
        return avx2.run(|_| merge_all(pieces, pairs));
    }
    merge_all(pieces, pairs);
}

/// The same for one piece, as a unit of a character or two often is: for the others there would be lanes to no end.
fn merge_one<const N: usize>(Symbols { list, len }: &mut Symbols<N>, pairs: &Pairs) {
    *len = (*len).min(N);
    // What each symbol makes with the next one, less one: so nothing is more than all else.
    let mut makes = [u32::MAX; N];
    for place in 1..*len {
        makes[place - 1] = pairs.get(list[place - 1], list[place]).wrapping_sub(1);
    }
    loop {
        let least = makes[..*len].iter().copied().zip(0..).min();
        let Some((number, place)) = least.filter(|&(number, _)| number < u32::MAX) else { break };
        list[place] = number + 1;
        list.copy_within(place + 2..*len, place + 1);
        makes.copy_within(place + 1..*len, place);
        *len -= 1;
        if place + 1 < *len {
            makes[place] = pairs.get(list[place], list[place + 1]).wrapping_sub(1);
        }
        if place > 0 {
            makes[place - 1] = pairs.get(list[place - 1], list[place]).wrapping_sub(1);
        }
    }
    list[..*len].iter_mut().for_each(|number| *number = pairs.id(*number));
}

#[inline(always)]
fn merge_all<const N: usize>(pieces: &mut [Symbols<N>], pairs: &Pairs) {
    let mut waiting = 0..pieces.len();
    let mut lanes = Lanes::<N>::empty();
    // A bit for each lane that has a piece.
    let mut busy = 0_u32;
    for (lane, piece) in (0..LANES).zip(&mut waiting) {
        lanes.begin(lane, piece, &pieces[piece], pairs);
        busy |= 1 << lane;
    }
    while busy != 0 {
        let step = lanes.step(pairs);
        let mut stepping = 0_u32;
        let mut rest = busy;
        while rest != 0 {
            let lane = rest.trailing_zeros() as usize % LANES;
            rest &= rest - 1;
            if step.least[lane] < NONE {
                stepping |= 1 << lane;
                pairs.fetch(step.bucket_before[lane]);
                pairs.fetch(step.bucket_after[lane]);
                continue;
            }
            pieces[lanes.pieces[lane]] = lanes.ids(lane, pairs);
            match waiting.next() {
                // It takes part from the next turn on.
                Some(piece) => lanes.begin(lane, piece, &pieces[piece], pairs),
                None => busy &= !(1 << lane),
            }
        }
        while stepping != 0 {
            lanes.merge(stepping.trailing_zeros() as usize % LANES, &step, pairs);
            stepping &= stepping - 1;
        }
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
        let mut alone = pieces.clone();
        alone.iter_mut().for_each(|piece| merge_one(piece, pairs));
        super::merge(&mut pieces, pairs);
        assert!(pieces.iter().zip(&alone).all(|(merged, alone)| merged.as_slice() == alone.as_slice()));
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
