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
//! CJK text nearly all are joined; so there is also a test for places between characters ([`RawJoints`]), as precise as the above.

use super::alphabet::byte_level_byte;
use crate::compiled::{damaged, Reader, Writer};
use crate::hashing::fold;
use crate::Result;
use std::ops::Range;

/// A set of pairs of numbers: a blocked Bloom filter, which may also have others. One read.
#[derive(Debug)]
pub(super) struct PairFilter {
    words: Vec<u64>,
    shift: u32,
}

impl PairFilter {
    /// An empty set with about 16 bits for each of `pairs`; 256 KiB at most.
    pub(super) fn with_capacity(pairs: usize) -> Self {
        let words = (pairs / 4).clamp(16, 1 << 15).next_power_of_two();
        Self { words: vec![0; words], shift: 64 - words.trailing_zeros() }
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.u64s(self.words.iter().copied());
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self> {
        let words = from.u64s(|word| word)?;
        match words.len().is_power_of_two() && words.len() > 1 {
            true => Ok(Self { shift: 64 - words.len().trailing_zeros(), words }),
            false => Err(damaged("the table of joined characters has another size")),
        }
    }

    /// Halves the table while no more than a sixteenth of its bits are set, which makes them an eighth: what was in two neighbouring
    /// words is in one then.
    pub(super) fn shrink(&mut self) {
        while self.words.len() > 16
            && self.words.iter().map(|word| word.count_ones() as usize).sum::<usize>() <= self.words.len() * 4
        {
            self.words = self.words.chunks(2).map(|words| words.iter().fold(0, |all, word| all | word)).collect();
            self.shift += 1;
        }
    }

    /// The pair's word, and two bits in it.
    #[inline(always)]
    fn place(&self, left: u32, right: u32) -> (usize, u64) {
        let pair = u64::from(left) << 32 | u64::from(right);
        let hash = fold(pair ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93);
        ((hash >> self.shift) as usize, 1 << (hash & 63) | 1 << (hash >> 6 & 63))
    }

    pub(super) fn insert(&mut self, left: u32, right: u32) {
        let (word, bits) = self.place(left, right);
        self.words[word] |= bits;
    }

    #[inline(always)]
    pub(super) fn has(&self, left: u32, right: u32) -> bool {
        let (word, bits) = self.place(left, right);
        self.words[word] & bits == bits
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

/// How many units are found at a time.
const FOUND: usize = 32;

/// Cuts a piece of raw bytes into units, many at a time and without a jump for each: no processor foresees which characters are
/// joined.
pub(super) struct RawCutter<'p> {
    piece: &'p str,
    /// Where the search goes on.
    searched: usize,
    /// The last character before that, and what its unit's `code` is until then.
    previous: char,
    code: u32,
    found: [RawUnit; FOUND],
}

/// A unit that follows the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RawUnit {
    pub(super) end: u32,
    /// The number of the unit's only character; or the numbers of its two, the first one in the upper half. 0 for other units, and
    /// where a character is NUL or above U+FFFF.
    pub(super) code: u32,
}

impl<'p> RawCutter<'p> {
    /// For a piece of less than 4 GiB.
    pub(super) fn new(piece: &'p str) -> Self {
        let first = piece.chars().next().unwrap_or_default();
        // Beyond the end of an empty piece.
        let searched = first.len_utf8();
        Self { piece, searched, previous: first, code: number(first), found: [RawUnit::default(); FOUND] }
    }

    /// The next units; none at the end.
    #[inline(always)]
    pub(super) fn next(&mut self, joints: &RawJoints) -> &[RawUnit] {
        let mut count = 0;
        let (mut previous, mut code) = (self.previous, self.code);
        let mut at = self.searched;
        let Some(rest) = self.piece.get(at..) else { return &[] };
        for character in rest.chars() {
            if count == FOUND {
                break;
            }
            let is_joined = joints.joins(previous, character);
            self.found[count] = RawUnit { end: at as u32, code };
            count += usize::from(!is_joined);
            code = match number(character) {
                number if !is_joined => number,
                number if number != 0 && (1..1 << 16).contains(&code) => code << 16 | number,
                _ => 0,
            };
            previous = character;
            at += character.len_utf8();
        }
        if count < FOUND {
            self.found[count] = RawUnit { end: at as u32, code };
            count += 1;
            // Beyond the end, as all is found.
            at = self.piece.len() + 1;
        }
        (self.previous, self.code, self.searched) = (previous, code, at);
        &self.found[..count]
    }
}

/// The number of a character below U+10000, or 0.
#[inline(always)]
fn number(character: char) -> u32 {
    Some(u32::from(character)).filter(|&number| number < 1 << 16).unwrap_or(0)
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

/// The pairs of characters that some merge of raw bytes joins.
///
/// Where a merge meets the place between the characters `x` and `y`, its left part ends with `x` or is the end of it, and its right
/// part begins with `y` or is the beginning of it. Parts that are less than a character are rare, so of them only the byte beside the
/// place is told, and whether there are any is seen by the two bytes there. Places between two ASCII characters count as joined.
#[derive(Debug)]
pub(super) struct RawJoints {
    /// The bytes before and after the places of merges of which one part is not a whole character.
    edges: ByteJoints,
    pairs: PairFilter,
}

/// Added to the byte at the edge of a part that is no whole character: no character has such a number.
const EDGE: u32 = 1 << 31;

/// The last character of a text in raw bytes, as a number, or the last byte with `EDGE` if all of it is the end of a character;
/// nothing if UTF-8 ends no character so.
fn last_character(text: &[u8]) -> Option<u32> {
    let end = &text[text.len().saturating_sub(4)..];
    let Some(start) = end.iter().rposition(|&byte| !is_inner(byte)) else {
        return text.last().filter(|_| text.len() < 4).map(|&byte| EDGE | u32::from(byte));
    };
    std::str::from_utf8(&end[start..]).ok()?.chars().next().map(u32::from)
}

/// The first character of a text in raw bytes, as a number, or the first byte with `EDGE` if all of it is the beginning of a
/// character; nothing if UTF-8 begins no character so.
fn first_character(text: &[u8]) -> Option<u32> {
    let length = match text.first()? {
        0..0x80 => 1,
        0xc2..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf5 => 4,
        _ => return None,
    };
    match text.get(..length) {
        Some(character) => std::str::from_utf8(character).ok()?.chars().next().map(u32::from),
        None => text[1..].iter().all(|&byte| is_inner(byte)).then(|| EDGE | u32::from(text[0])),
    }
}

/// Whether UTF-8 has the byte inside characters.
fn is_inner(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

impl RawJoints {
    /// No pair is joined yet.
    pub(super) fn new() -> Self {
        Self { edges: ByteJoints::new(), pairs: PairFilter::with_capacity(usize::MAX / 8) }
    }

    /// Writes the pairs to a compiled file.
    pub(super) fn write(&self, to: &mut Writer) {
        self.edges.write(to);
        self.pairs.write(to);
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { edges: ByteJoints::read(from)?, pairs: PairFilter::read(from)? })
    }

    /// Makes the table as small as the number of pairs allows.
    pub(super) fn shrink(&mut self) {
        self.pairs.shrink();
    }

    /// Joins what a merge of two texts joins.
    pub(super) fn insert(&mut self, left: &[u8], right: &[u8]) {
        if let (Some(x), Some(y), Some(&last), Some(&first)) =
            (last_character(left), first_character(right), left.last(), right.first())
        {
            self.pairs.insert(x, y);
            if (x | y) & EDGE != 0 {
                self.edges.insert(last, first);
            }
        }
    }

    /// The same for texts in byte-level characters. Of them only the bytes around the place between them are read.
    pub(super) fn insert_mapped(&mut self, left: &str, right: &str) {
        // One more than a character has, so that its end is not taken for all of the text.
        let mut end = [0; 5];
        let mut begin = [0; 4];
        let (mut first, mut length) = (end.len(), 0);
        for (byte, character) in end.iter_mut().rev().zip(left.chars().rev()) {
            let Some(raw) = byte_level_byte(character) else { return };
            *byte = raw;
            first -= 1;
        }
        for (byte, character) in begin.iter_mut().zip(right.chars()) {
            let Some(raw) = byte_level_byte(character) else { return };
            *byte = raw;
            length += 1;
        }
        self.insert(&end[first..], &begin[..length]);
    }

    /// Whether a merge may cross the place between the two characters.
    #[inline(always)]
    pub(super) fn joins(&self, left: char, right: char) -> bool {
        if left.is_ascii() && right.is_ascii() {
            return true;
        }
        let (last, first) = (last_byte(left), first_byte(right));
        self.pairs.has(left.into(), right.into()) | (self.edges.joins(last, first) && self.joins_edges(left, right, last, first))
    }

    #[inline(never)]
    fn joins_edges(&self, left: char, right: char, last: u8, first: u8) -> bool {
        let (last, first) = (EDGE | u32::from(last), EDGE | u32::from(first));
        self.pairs.has(last, right.into()) || self.pairs.has(left.into(), first) || self.pairs.has(last, first)
    }
}

/// The last byte of a character in UTF-8.
#[inline(always)]
fn last_byte(character: char) -> u8 {
    match character {
        '\0'..='\x7f' => character as u8,
        _ => 0x80 | character as u8 & 0x3f,
    }
}

/// The first byte of a character in UTF-8.
#[inline(always)]
fn first_byte(character: char) -> u8 {
    let code = character as u32;
    match character {
        '\0'..='\x7f' => code as u8,
        '\u{80}'..='\u{7ff}' => 0xc0 | (code >> 6) as u8,
        '\u{800}'..='\u{ffff}' => 0xe0 | (code >> 12) as u8,
        _ => 0xf0 | (code >> 18) as u8,
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

    /// What [`RawJoints::joins`] must say at least: the rule as it is.
    fn may_meet(merges: &[(Vec<u8>, Vec<u8>)], left: char, right: char) -> bool {
        let (x, y) = (left.to_string(), right.to_string());
        let ends = |text: &[u8]| text.ends_with(x.as_bytes()) || x.as_bytes().ends_with(text);
        let begins = |text: &[u8]| text.starts_with(y.as_bytes()) || y.as_bytes().starts_with(text);
        merges.iter().any(|(left, right)| ends(left) && begins(right))
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("[a é߿ࠀ漢字か😀😁]{1,6}", 1..8)
    }

    proptest! {
        #[test]
        fn no_place_is_free_where_raw_bytes_may_merge(
            parts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..12),
            texts in texts(),
        ) {
            let mut joints = RawJoints::new();
            let mut merges = Vec::new();
            for (text, middle, end) in parts {
                // From anywhere to anywhere, so also inside characters.
                let bytes = text.get(&texts).as_bytes();
                let end = end.index(bytes.len()) + 1;
                let middle = middle.index(end);
                if middle > 0 {
                    let start = middle.saturating_sub(1 + end % 5);
                    joints.insert(&bytes[start..middle], &bytes[middle..end]);
                    merges.push((bytes[start..middle].to_vec(), bytes[middle..end].to_vec()));
                }
            }
            joints.shrink();
            for text in &texts {
                for (left, right) in text.chars().zip(text.chars().skip(1)) {
                    prop_assert!(joints.joins(left, right) || !may_meet(&merges, left, right), "{left:?} {right:?} {merges:?}");
                }
            }
        }

        #[test]
        fn the_cutter_ends_units_where_places_are_free(joined in texts(), piece in "[a é߿ࠀ漢字か😀😁]{0,150}") {
            let mut joints = RawJoints::new();
            for text in &joined {
                let places = text.char_indices().skip(1).step_by(2);
                places.for_each(|(place, _)| joints.insert(&text.as_bytes()[..place], &text.as_bytes()[place..]));
            }
            joints.shrink();
            let mut expected: Vec<(u32, u32)> = Vec::new();
            let characters: Vec<(usize, char)> = piece.char_indices().collect();
            for (index, &(start, character)) in characters.iter().enumerate() {
                let end = (start + character.len_utf8()) as u32;
                match index.checked_sub(1).is_some_and(|before| joints.joins(characters[before].1, character)) {
                    true => {
                        let (_, code) = expected.pop().unwrap();
                        let is_second = code != 0 && code < 1 << 16;
                        expected.push((end, if is_second && character <= '\u{ffff}' { code << 16 | u32::from(character) } else { 0 }));
                    }
                    false => expected.push((end, if character <= '\u{ffff}' { character.into() } else { 0 })),
                }
            }
            let mut cutter = RawCutter::new(&piece);
            let mut units = Vec::new();
            while let found @ [_, ..] = cutter.next(&joints) {
                units.extend(found.iter().map(|unit| (unit.end, unit.code)));
            }
            prop_assert_eq!(units, expected);
        }

        #[test]
        fn edges_of_characters_are_those_of_utf8(character in any::<char>()) {
            let text = character.to_string();
            prop_assert_eq!((first_byte(character), last_byte(character)), (text.as_bytes()[0], text.as_bytes()[text.len() - 1]));
            prop_assert_eq!((last_character(text.as_bytes()), first_character(text.as_bytes())), (Some(character.into()), Some(character.into())));
            for part in 1..text.len() {
                prop_assert_eq!(first_character(&text.as_bytes()[..part]), Some(EDGE | u32::from(text.as_bytes()[0])));
                prop_assert_eq!(last_character(&text.as_bytes()[part..]), Some(EDGE | u32::from(text.as_bytes()[text.len() - 1])));
            }
        }
    }

    #[test]
    fn what_utf8_never_has_joins_nothing() {
        let ends: [&[u8]; 5] = [b"", b"\xe6\xbc", b"a\x80", b"\x80\x80\x80\x80", b"\xe6\xbc\xa2\x80"];
        assert!(ends.iter().all(|end| last_character(end).is_none()));
        let begins: [&[u8]; 6] = [b"", b"\x80", b"\xc0\x80", b"\xe6a", b"\xe6\xbca", b"\xed\xa0\x80"];
        assert!(begins.iter().all(|begin| first_character(begin).is_none()));
    }

    #[test]
    fn a_table_of_few_pairs_is_small() {
        let mut pairs = PairFilter::with_capacity(usize::MAX);
        let numbers = |n: u32| (n * 7, n * n);
        (0..1000).map(numbers).for_each(|(left, right)| pairs.insert(left, right));
        pairs.shrink();
        assert!((128..=512).contains(&pairs.words.len()), "{} words", pairs.words.len());
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
