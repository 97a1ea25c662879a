//! Places where a piece can be cut without changing its tokens.
//!
//! A merge across the place between the characters `x` and `y` merges a symbol that ends there with one that begins there. If
//! both characters are tokens, then the left symbol's text ends with `x` and the right one's begins with `y`: true for the single
//! characters, and kept by every merge, as the text of a merge is that of its parts end to end. So if no merge of the file has a
//! left part that ends with `x` and a right part that begins with `y`, then none ever crosses this place. Then what merges on one
//! side depends on that side alone, and the order in which the two sides take turns does not matter: both can be done apart.
//!
//! This holds only if ids tell texts apart, without affixes, and without dropout (whose skipped merges return when any other
//! merge is made). A text in the style of SentencePiece, which is one piece however long, falls apart at nearly every space.
//!
//! Which pairs are joined is kept exactly for ASCII and U+2581, and in a blocked Bloom filter for the rest: a false answer of it
//! only leaves out a cut. Testing a place costs one or two reads.
//!
//! Symbols of raw bytes may begin and end inside characters. Pieces can be cut between any two bytes that no merge joins, but in
//! CJK text nearly all are joined; so there is also a test for places between characters (`raw_units`), as precise as the above.

use crate::compiled::{damaged, Reader, Writer};
use crate::Result;
use std::ops::Range;

/// A set of pairs of numbers: a blocked Bloom filter, which may also have others. One read. All of it is done in 32 bits, so that eight
/// pairs can be looked up at once.
#[derive(Debug)]
pub(super) struct PairFilter {
    words: Vec<u32>,
    shift: u32,
}

/// What the hash of a pair is made of: a factor for each number, and one for their sum after that was joined with its own upper bits,
/// moved down by so many places. Then the highest bits tell the word, and the lowest ten two bits in it.
pub(super) const FACTORS: [u32; 3] = [0x9e37_79b1, 0x85eb_ca6b, 0xc2b2_ae35];
pub(super) const MIXED_BITS: u32 = 15;

impl PairFilter {
    /// An empty set with about 16 bits for each of `pairs`; 256 KiB at most.
    pub(super) fn with_capacity(pairs: usize) -> Self {
        let words = (pairs / 2).clamp(32, 1 << 16).next_power_of_two();
        Self { words: vec![0; words], shift: u32::BITS - words.trailing_zeros() }
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.u32s(&self.words);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self> {
        let words = from.u32s()?;
        match words.len().is_power_of_two() && (2..=1 << 16).contains(&words.len()) {
            true => Ok(Self { shift: u32::BITS - words.len().trailing_zeros(), words }),
            false => Err(damaged("the table of joined characters has another size")),
        }
    }

    /// Halves the table while no more than a sixteenth of its bits are set, which makes them an eighth: what was in two neighbouring
    /// words is in one then.
    pub(super) fn shrink(&mut self) {
        // Two words at a time: their number is even.
        let ones = |words: &[u32]| {
            let pairs = words.as_chunks().0.iter().map(|&[low, high]| u64::from(low) | u64::from(high) << u32::BITS);
            pairs.map(|pair| pair.count_ones() as usize).sum::<usize>()
        };
        while self.words.len() > 32 && ones(&self.words) <= self.words.len() * 2 {
            self.words = self.words.chunks(2).map(|words| words.iter().fold(0, |all, word| all | word)).collect();
            self.shift += 1;
        }
    }

    /// The words, and by how many bits a hash is moved to be the place of one: less than their number, a power of two.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn words(&self) -> (&[u32], u32) {
        (&self.words, self.shift)
    }

    /// The pair's word, and two bits in it.
    #[inline(always)]
    fn place(&self, left: u32, right: u32) -> (usize, [u32; 2]) {
        let sum = left.wrapping_mul(FACTORS[0]).wrapping_add(right.wrapping_mul(FACTORS[1]));
        let hash = (sum ^ sum >> MIXED_BITS).wrapping_mul(FACTORS[2]);
        ((hash >> self.shift) as usize, [hash % u32::BITS, hash / u32::BITS % u32::BITS])
    }

    pub(super) fn insert(&mut self, left: u32, right: u32) {
        let (word, bits) = self.place(left, right);
        self.words[word] |= 1 << bits[0] | 1 << bits[1];
    }

    #[inline(always)]
    pub(super) fn has(&self, left: u32, right: u32) -> bool {
        let (word, bits) = self.place(left, right);
        let word = self.words[word];
        word >> bits[0] & word >> bits[1] & 1 == 1
    }
}

/// The pairs of characters that some merge joins.
#[derive(Debug)]
pub(super) struct CharJoints {
    near: Box<[u64]>,
    far: PairFilter,
}

/// ASCII and U+2581.
const NEAR: usize = 129;

fn near(character: char) -> usize {
    match character {
        '\0'..='\x7f' => character as usize,
        '\u{2581}' => 128,
        _ => NEAR,
    }
}

impl CharJoints {
    /// No pair is joined yet; `merges` are to come.
    pub(super) fn with_capacity(merges: usize) -> Self {
        Self { near: vec![0; (NEAR * NEAR).div_ceil(64)].into(), far: PairFilter::with_capacity(merges) }
    }

    /// Writes the pairs to a compiled file.
    pub(super) fn write(&self, to: &mut Writer) {
        to.u64s(self.near.iter().copied());
        self.far.write(to);
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (near, far) = (from.u64s(|word| word)?.into_boxed_slice(), PairFilter::read(from)?);
        match near.len() == (NEAR * NEAR).div_ceil(64) {
            true => Ok(Self { near, far }),
            false => Err(damaged("the table of joined characters has another size")),
        }
    }

    /// Joins a pair.
    pub(super) fn insert(&mut self, left: char, right: char) {
        let (x, y) = (near(left), near(right));
        if x < NEAR && y < NEAR {
            let bit = x * NEAR + y;
            self.near[bit / 64] |= 1 << (bit % 64);
        } else {
            self.far.insert(left.into(), right.into());
        }
    }

    /// Whether a merge may cross the place between the two characters.
    #[inline(always)]
    pub(super) fn joins(&self, left: char, right: char) -> bool {
        let (x, y) = (near(left), near(right));
        if x < NEAR && y < NEAR {
            let bit = x * NEAR + y;
            return self.near[bit / 64] >> (bit % 64) & 1 == 1;
        }
        self.far.has(left.into(), right.into())
    }
}

/// Cuts a piece into units, one at a time.
pub(super) struct Cutter<'p> {
    piece: &'p str,
    /// Where the next unit begins.
    start: usize,
}

impl<'p> Cutter<'p> {
    pub(super) fn new(piece: &'p str) -> Self {
        Self { piece, start: 0 }
    }

    /// The next unit: it ends between two characters of which `is_free` says that no merge can cross the place between them.
    #[inline(always)]
    pub(super) fn next(&mut self, is_free: impl Fn(char, char) -> bool) -> Option<Range<usize>> {
        let start = self.start;
        let mut previous: Option<char> = None;
        for (offset, character) in self.piece[start..].char_indices() {
            if previous.is_some_and(|previous| is_free(previous, character)) {
                self.start = start + offset;
                return Some(start..self.start);
            }
            previous = Some(character);
        }
        self.start = self.piece.len();
        previous.map(|_| start..self.start)
    }
}

/// The pairs of bytes that some merge joins.
#[derive(Debug)]
pub(super) struct ByteJoints(Box<[u64]>);

impl ByteJoints {
    /// No pair is joined yet.
    pub(super) fn new() -> Self {
        Self(vec![0; 1024].into())
    }

    /// Writes the pairs to a compiled file.
    pub(super) fn write(&self, to: &mut Writer) {
        to.u64s(self.0.iter().copied());
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self> {
        let pairs = from.u64s(|word| word)?.into_boxed_slice();
        match pairs.len() {
            1024 => Ok(Self(pairs)),
            _ => Err(damaged("the table of joined bytes has another size")),
        }
    }

    /// A bit for each pair, by left byte.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn words(&self) -> &[u64] {
        &self.0
    }

    /// Joins a pair.
    pub(super) fn insert(&mut self, left: u8, right: u8) {
        self.0[usize::from(left) * 4 + usize::from(right) / 64] |= 1 << (right % 64);
    }

    /// Whether a merge may cross the place between the two bytes.
    #[inline(always)]
    pub(super) fn joins(&self, left: u8, right: u8) -> bool {
        self.0[usize::from(left) * 4 + usize::from(right) / 64] >> (right % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_joined_pair_is_known(pairs in proptest::collection::vec((any::<char>(), prop_oneof![any::<char>(), Just('▁'), Just('a')]), 0..200)) {
            let mut joints = CharJoints::with_capacity(pairs.len());
            for &(left, right) in &pairs {
                joints.insert(left, right);
            }
            prop_assert!(pairs.iter().all(|&(left, right)| joints.joins(left, right)));
        }

        #[test]
        fn near_pairs_and_bytes_are_exact(pairs in proptest::collection::hash_set((0u8..128, 0u8..128), 0..200), probe in (0u8..128, 0u8..128)) {
            let mut characters = CharJoints::with_capacity(0);
            let mut bytes = ByteJoints::new();
            for &(left, right) in &pairs {
                characters.insert(left.into(), right.into());
                bytes.insert(255 - left, right);
            }
            prop_assert_eq!(characters.joins(probe.0.into(), probe.1.into()), pairs.contains(&probe));
            prop_assert_eq!(bytes.joins(255 - probe.0, probe.1), pairs.contains(&probe));
        }
    }

    #[test]
    fn a_table_of_few_pairs_is_small() {
        let mut pairs = PairFilter::with_capacity(usize::MAX);
        let numbers = |n: u32| (n * 7, n * n);
        (0..1000).map(numbers).for_each(|(left, right)| pairs.insert(left, right));
        pairs.shrink();
        assert!((256..=1024).contains(&pairs.words.len()), "{} words", pairs.words.len());
        assert!((0..1000).map(numbers).all(|(left, right)| pairs.has(left, right)));
        let others = (0..10_000).filter(|&n| pairs.has(n, 1 << 30)).count();
        assert!(others < 500, "{others} of 10,000 other pairs are found");
    }

    #[test]
    fn most_other_pairs_are_free() {
        let mut joints = CharJoints::with_capacity(10_000);
        for code in 0..10_000 {
            joints.insert(char::from_u32(0x4e00 + code).unwrap(), char::from_u32(0x4e00 + code * 7 % 10_000).unwrap());
        }
        let others = (0..10_000).filter(|code| !joints.joins(char::from_u32(0x4e01 + code).unwrap(), '▁'));
        assert!(others.count() > 9_500);
    }
}
