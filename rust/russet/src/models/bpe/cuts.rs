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

use crate::compiled::{damaged, Reader, Writer};
use crate::Result;
use std::ops::Range;

/// The pairs of characters that some merge joins.
#[derive(Debug)]
pub(super) struct CharJoints {
    near: Box<[u64]>,
    far: Vec<u64>,
    shift: u32,
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
        // About 16 bits for each pair that is not near; 256 KiB at most.
        let words = (merges / 4).next_power_of_two().clamp(16, 1 << 15);
        Self { near: vec![0; (NEAR * NEAR).div_ceil(64)].into(), far: vec![0; words], shift: 64 - words.trailing_zeros() }
    }

    /// Writes the pairs to a compiled file.
    pub(super) fn write(&self, to: &mut Writer) {
        to.u64s(self.near.iter().copied());
        to.u64s(self.far.iter().copied());
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (near, far) = (from.u64s(|word| word)?.into_boxed_slice(), from.u64s(|word| word)?);
        if near.len() != (NEAR * NEAR).div_ceil(64) || !far.len().is_power_of_two() || far.len() < 2 {
            return Err(damaged("the table of joined characters has another size"));
        }
        Ok(Self { near, shift: 64 - far.len().trailing_zeros(), far })
    }

    /// Joins a pair.
    pub(super) fn insert(&mut self, left: char, right: char) {
        let (x, y) = (near(left), near(right));
        if x < NEAR && y < NEAR {
            let bit = x * NEAR + y;
            self.near[bit / 64] |= 1 << (bit % 64);
        } else {
            let (word, bits) = self.far(left, right);
            self.far[word] |= bits;
        }
    }

    /// The pair's word, and two bits in it.
    #[inline(always)]
    fn far(&self, left: char, right: char) -> (usize, u64) {
        let pair = u64::from(left as u32) << 32 | u64::from(right as u32);
        let product = u128::from(pair ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
        let hash = (product as u64) ^ (product >> 64) as u64;
        ((hash >> self.shift) as usize, 1 << (hash & 63) | 1 << (hash >> 6 & 63))
    }

    /// Whether a merge may cross the place between the two characters.
    #[inline(always)]
    pub(super) fn joins(&self, left: char, right: char) -> bool {
        let (x, y) = (near(left), near(right));
        if x < NEAR && y < NEAR {
            let bit = x * NEAR + y;
            return self.near[bit / 64] >> (bit % 64) & 1 == 1;
        }
        let (word, bits) = self.far(left, right);
        self.far[word] & bits == bits
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

    /// The next unit: it ends between two characters that are tokens and that no merge joins.
    #[inline(always)]
    pub(super) fn next(&mut self, joints: &CharJoints, is_token: impl Fn(char) -> bool) -> Option<Range<usize>> {
        let start = self.start;
        let mut previous: Option<char> = None;
        for (offset, character) in self.piece[start..].char_indices() {
            if previous.is_some_and(|previous| !joints.joins(previous, character) && is_token(previous) && is_token(character)) {
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
    fn most_other_pairs_are_free() {
        let mut joints = CharJoints::with_capacity(10_000);
        for code in 0..10_000 {
            joints.insert(char::from_u32(0x4e00 + code).unwrap(), char::from_u32(0x4e00 + code * 7 % 10_000).unwrap());
        }
        let others = (0..10_000).filter(|code| !joints.joins(char::from_u32(0x4e01 + code).unwrap(), '▁'));
        assert!(others.count() > 9_500);
    }
}
