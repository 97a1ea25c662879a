//! Sets of code points: sorted ranges while a pattern is parsed, a bitmap and a table when it runs.
//!
//! [`CharSet`] is the value that the parser computes with: union, intersection and complement are linear merges of sorted,
//! disjoint ranges. [`Class`] is what the matcher asks: code points below 256 by one bit of a bitmap; above, by the general
//! category when the set is a union of categories there (most are), else by a binary search among the ranges of the code
//! point's block of 256. A test is O(1) in practice; building a class reads each category's ranges once, so it belongs into
//! compilation, never into matching.

use super::properties::{self, Categories, CATEGORY_COUNT};

/// The last code point.
pub(super) const LAST: u32 = 0x10_FFFF;

/// A set of code points as sorted, disjoint, non-adjacent inclusive ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CharSet {
    ranges: Vec<(u32, u32)>,
}

impl CharSet {
    /// The set of the code points in `ranges`, which may be in any order and overlap; what is above U+10FFFF is left out.
    pub(super) fn from_ranges(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.retain(|&(first, last)| first <= last && first <= LAST);
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            let last = last.min(LAST);
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self { ranges: merged }
    }

    /// The set of one code point.
    pub(super) fn single(code: u32) -> Self {
        Self::from_ranges(vec![(code, code)])
    }

    /// Every code point.
    pub(super) fn all() -> Self {
        Self { ranges: vec![(0, LAST)] }
    }

    /// The ranges, sorted.
    pub(crate) fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// Whether `code` is in the set.
    pub(super) fn contains(&self, code: u32) -> bool {
        let index = self.ranges.partition_point(|range| range.1 < code);
        self.ranges.get(index).is_some_and(|range| range.0 <= code)
    }

    /// What is in `self` or in `other`.
    #[must_use]
    pub(super) fn union(&self, other: &Self) -> Self {
        let mut ranges = self.ranges.clone();
        ranges.extend_from_slice(&other.ranges);
        Self::from_ranges(ranges)
    }

    /// What is not in the set.
    #[must_use]
    pub(super) fn complement(&self) -> Self {
        let mut ranges = Vec::with_capacity(self.ranges.len() + 1);
        let mut next = 0;
        for &(first, last) in &self.ranges {
            if next < first {
                ranges.push((next, first - 1));
            }
            next = last + 1;
        }
        if next <= LAST {
            ranges.push((next, LAST));
        }
        Self { ranges }
    }

    /// What is in both sets.
    #[must_use]
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let mut ranges = Vec::new();
        let (mut left, mut right) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        while let (Some(&&a), Some(&&b)) = (left.peek(), right.peek()) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                ranges.push((first, last));
            }
            if a.1 < b.1 {
                left.next();
            } else {
                right.next();
            }
        }
        Self { ranges }
    }

    /// The first bytes of the UTF-8 forms of the set's code points.
    pub(super) fn lead_bytes(&self) -> ByteSet {
        let mut bytes = ByteSet::default();
        for &(first, last) in &self.ranges {
            for byte in lead_byte(first)..=lead_byte(last) {
                // No character starts with the bytes between ASCII and the first of two.
                if !(0x80..0xC2).contains(&byte) {
                    bytes.insert(byte);
                }
            }
        }
        bytes
    }
}

/// The first byte of the UTF-8 form of `code` (of a surrogate: as if it had one).
fn lead_byte(code: u32) -> u8 {
    match code {
        0..=0x7F => code as u8,
        0x80..=0x7FF => 0xC0 | (code >> 6) as u8,
        0x800..=0xFFFF => 0xE0 | (code >> 12) as u8,
        _ => 0xF0 | (code >> 18) as u8,
    }
}

/// A set of bytes as a bitmap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    /// Adds `byte`.
    pub(super) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    /// Whether `byte` is in the set.
    #[inline(always)]
    pub(super) fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 != 0
    }

    /// What is in `self` or in `other`.
    #[must_use]
    pub(super) fn union(self, other: Self) -> Self {
        Self([self.0[0] | other.0[0], self.0[1] | other.0[1], self.0[2] | other.0[2], self.0[3] | other.0[3]])
    }

    /// Whether no byte is in both sets.
    pub(super) fn is_disjoint(self, other: Self) -> bool {
        (0..4).all(|index| self.0[index] & other.0[index] == 0)
    }
}

/// A set of code points made ready for fast tests.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    /// The code points below 256.
    low: ByteSet,
    high: High,
    /// The first bytes of the members.
    pub(super) leads: ByteSet,
}

/// The code points of a [`Class`] from 256 on.
#[derive(Clone, Debug)]
enum High {
    /// All of them, or none.
    Constant(bool),
    /// Those whose general category is in the mask.
    Categories { mask: u32, table: &'static Categories },
    /// Those in the ranges; the ranges that reach into block `b` of 256 code points are `first[b]..=first[b + 1]`.
    Ranges { ranges: Box<[(u32, u32)]>, first: Box<[u16]> },
    /// The same for more ranges than a 16-bit index can tell apart.
    ManyRanges(Box<[(u32, u32)]>),
}

impl Class {
    /// Makes `set` ready.
    pub(crate) fn new(set: &CharSet) -> Self {
        let mut low = ByteSet::default();
        for code in 0..=255_u8 {
            if set.contains(u32::from(code)) {
                low.insert(code);
            }
        }
        Self { low, high: High::new(set), leads: set.lead_bytes() }
    }

    /// Whether `code` is a member.
    #[inline(always)]
    pub(crate) fn contains(&self, code: u32) -> bool {
        match u8::try_from(code) {
            Ok(byte) => self.low.contains(byte),
            Err(_) => self.high.contains(code),
        }
    }

    /// The length of the character at `position`, if there is one before `end` and it is a member.
    #[inline(always)]
    pub(super) fn match_at(&self, bytes: &[u8], position: usize, end: usize) -> Option<usize> {
        if position >= end {
            return None;
        }
        let byte = bytes[position];
        if byte < 0x80 {
            return self.low.contains(byte).then_some(1);
        }
        let (code, length) = decode(bytes, position);
        (position + length <= end && self.contains(code)).then_some(length)
    }
}

impl High {
    fn new(set: &CharSet) -> Self {
        let high = set.intersection(&CharSet::from_ranges(vec![(256, LAST)]));
        match high.ranges() {
            [] => return Self::Constant(false),
            [(256, LAST)] => return Self::Constant(true),
            _ => {}
        }
        if let Some(mask) = category_mask(&high) {
            return Self::Categories { mask, table: properties::categories() };
        }
        let ranges = high.ranges.into_boxed_slice();
        if ranges.len() > usize::from(u16::MAX) {
            return Self::ManyRanges(ranges);
        }
        // `first[b]` is the first range that ends in block `b` or later, so block `b` needs `first[b]` to `first[b + 1]`.
        let first = (0..=(LAST >> 8) + 1).map(|block| ranges.partition_point(|range| range.1 < block << 8) as u16).collect();
        Self::Ranges { ranges, first }
    }

    #[inline]
    fn contains(&self, code: u32) -> bool {
        match self {
            Self::Constant(all) => *all,
            Self::Categories { mask, table } => mask >> table.get(code) & 1 != 0,
            Self::Ranges { ranges, first } => {
                let block = (code >> 8) as usize;
                let (from, to) = (usize::from(first[block]), usize::from(first[block + 1]));
                let near = &ranges[from..(to + 1).min(ranges.len())];
                let index = near.partition_point(|range| range.1 < code);
                near.get(index).is_some_and(|range| range.0 <= code)
            }
            Self::ManyRanges(ranges) => {
                let index = ranges.partition_point(|range| range.1 < code);
                ranges.get(index).is_some_and(|range| range.0 <= code)
            }
        }
    }
}

/// The general categories whose union is `set`, which has only code points from 256 on, if there are such.
fn category_mask(set: &CharSet) -> Option<u32> {
    let mut mask = 0;
    for category in 0..CATEGORY_COUNT {
        let all = properties::category(category).intersection(&CharSet::from_ranges(vec![(256, LAST)]));
        // A category without members (surrogates are in no text) may go either way.
        let Some(&(first, _)) = all.ranges().first() else { continue };
        let inside = all.intersection(set);
        if set.contains(first) {
            if inside != all {
                return None;
            }
            mask |= 1 << category;
        } else if !inside.ranges().is_empty() {
            return None;
        }
    }
    Some(mask)
}

/// The code point of the character that starts at `position` of `bytes`, which is valid UTF-8, and its length.
#[inline(always)]
pub(super) fn decode(bytes: &[u8], position: usize) -> (u32, usize) {
    let tail = |offset: usize| u32::from(bytes[position + offset] & 0x3F);
    let lead = u32::from(bytes[position]);
    match lead {
        0..=0x7F => (lead, 1),
        0x80..=0xDF => ((lead & 0x1F) << 6 | tail(1), 2),
        0xE0..=0xEF => ((lead & 0x0F) << 12 | tail(1) << 6 | tail(2), 3),
        _ => ((lead & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), 4),
    }
}

/// The start of the character that ends before `position`, which is not 0.
#[inline(always)]
pub(super) fn char_before(bytes: &[u8], position: usize) -> usize {
    let mut start = position - 1;
    while bytes[start] & 0xC0 == 0x80 {
        start -= 1;
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sets() -> impl Strategy<Value = CharSet> {
        let code = prop_oneof![0..0x200_u32, 0..=LAST];
        prop::collection::vec((code, 0..0x300_u32), 0..8)
            .prop_map(|ranges| CharSet::from_ranges(ranges.into_iter().map(|(first, length)| (first, first + length)).collect()))
    }

    proptest! {
        #[test]
        fn operations_do_what_their_names_say(a in sets(), b in sets(), codes in prop::collection::vec(0..=LAST, 50)) {
            let class = Class::new(&a);
            let (union, both, not) = (a.union(&b), a.intersection(&b), a.complement());
            let edges = a.ranges().iter().chain(b.ranges()).flat_map(|&(first, last)| [first.saturating_sub(1), first, last, last + 1]);
            for code in codes.into_iter().chain(edges).filter(|&code| code <= LAST) {
                prop_assert_eq!(union.contains(code), a.contains(code) || b.contains(code));
                prop_assert_eq!(both.contains(code), a.contains(code) && b.contains(code));
                prop_assert_eq!(not.contains(code), !a.contains(code));
                // Surrogates are in no text, so it does not matter what a class says of them.
                let Some(char) = char::from_u32(code) else { continue };
                prop_assert_eq!(class.contains(code), a.contains(code));
                prop_assert!(!a.contains(code) || class.leads.contains(char.to_string().as_bytes()[0]));
            }
        }
    }

    #[test]
    fn classes_hold_what_their_sets_hold() {
        let word = properties::known("word");
        let letters = properties::known("l");
        let sets =
            [word.complement(), letters.clone(), letters.complement(), properties::known("space"), properties::known("han"), word];
        for set in sets {
            let class = Class::new(&set);
            for char in (0..=LAST).step_by(3).chain(0..0x3000).filter_map(char::from_u32) {
                assert_eq!(class.contains(u32::from(char)), set.contains(u32::from(char)), "{char:?}");
            }
            // A byte inside a character must not be taken for the start of one.
            assert!((0x80..0xC0).all(|byte| !class.leads.contains(byte)));
        }
    }
}
