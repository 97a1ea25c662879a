//! The characters of a piece of raw bytes, in blocks of up to 64, and which of them a merge may join.
//!
//! Characters of one length are read eight at a time by [`Lanes`], others one by one. O(n) for n bytes, without a branch that depends
//! on which characters are joined, as no processor foresees that.

use super::joints::RawJoints;
use crate::models::bpe::char_units::Character;
use std::hint::select_unpredictable;
use std::ops::Range;

/// How many characters are read at a time.
pub(super) const BLOCK: usize = 64;
/// How many of them lanes read at a time.
pub(super) const EIGHT: usize = 8;

/// Up to eight characters of the same length below U+10000, and others behind them.
pub(super) struct Some8 {
    /// How many.
    pub(super) count: usize,
    /// How many bytes each has.
    pub(super) length: usize,
    pub(super) codes: [u32; EIGHT],
    /// A bit for each that is joined to the one before.
    pub(super) joined: u32,
    /// A bit for each that may be joined to the one before by a merge of which a part is no whole character.
    pub(super) edges: u32,
}

/// What reads several characters at a time.
pub(super) trait Lanes: Copy {
    /// Reads characters that begin `text`, if it can; `previous` is the one before.
    fn read(self, text: &[u8], previous: u32, joints: &RawJoints) -> Option<Some8>;
}

/// What reads none: all characters are read one by one.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoLanes;

impl Lanes for NoLanes {
    #[inline(always)]
    fn read(self, _: &[u8], _: u32, _: &RawJoints) -> Option<Some8> {
        None
    }
}

/// Characters that follow one another.
#[derive(Debug)]
pub(super) struct Block {
    count: usize,
    /// Where each begins in the text.
    starts: [u32; BLOCK + EIGHT],
    codes: [u32; BLOCK + EIGHT],
    /// A bit for each that is joined to the one before. The first one is not.
    joined: u64,
    units: [Unit; BLOCK],
}

impl Default for Block {
    fn default() -> Self {
        Self { count: 0, starts: [0; BLOCK + EIGHT], codes: [0; BLOCK + EIGHT], joined: 0, units: [Unit::default(); BLOCK] }
    }
}

/// A unit: characters that are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    /// Where it lies in the text.
    pub(super) start: u32,
    pub(super) end: u32,
    /// The number of its only character; or the numbers of its two, the first one in the upper half. 0 for other units, and where a
    /// character is NUL or above U+FFFF.
    pub(super) code: u32,
}

impl Block {
    /// How many places between its characters are free, and how many there are.
    pub(super) fn free_places(&self) -> (usize, usize) {
        let all = self.count.saturating_sub(1);
        (all - (self.joined.count_ones() as usize).min(all), all)
    }

    /// Forgets all characters.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        (self.count, self.joined) = (0, 0);
    }

    /// Reads more characters, those of `part` of a text, up to `most` of `BLOCK`; where they end.
    #[inline(always)]
    pub(super) fn read(&mut self, lanes: impl Lanes, text: &[u8], part: Range<usize>, joints: &RawJoints, most: usize) -> usize {
        let most = most.min(BLOCK);
        let mut at = part.start;
        let (mut joined, mut count) = (self.joined, self.count);
        let mut previous = count.checked_sub(1).map_or(0, |last| self.codes[last]);
        while at < part.end && count < most {
            let rest = text.get(at..).unwrap_or_default();
            // Of ASCII there is not much where this is the way.
            let is_ascii = rest.first().is_some_and(u8::is_ascii);
            if let Some(some) = (!is_ascii).then(|| lanes.read(rest, previous, joints)).flatten() {
                self.put(count, at, &some);
                let fitting = match (part.end - at, some.length) {
                    (rest, 3) => rest / 3,
                    (rest, length) => rest >> (length - 1),
                };
                let new = some.count.min(most - count).min(fitting);
                let mask = (1_u32 << new) - 1;
                let mut bits = some.joined;
                let mut edges = some.edges & !some.joined & mask;
                while edges != 0 {
                    let place = edges.trailing_zeros() as usize % EIGHT;
                    let left = if place == 0 { previous } else { some.codes[place - 1] };
                    let begin = at + place * some.length;
                    let around = [begin.checked_sub(1).map_or(0, |last| text[last]), text[begin]];
                    bits |= u32::from(joints.joins_edges(left, some.codes[place], around)) << place;
                    edges &= edges - 1;
                }
                joined |= u64::from(bits & mask) << count;
                count += new;
                at += new * some.length;
                previous = self.codes[count - 1];
                continue;
            }
            let character = Character::at(text, at);
            let before = at.checked_sub(1).map_or(0, |last| text[last]);
            self.starts[count] = at as u32;
            self.codes[count] = character.code;
            joined |= u64::from(joints.joins(previous, character.code, [before, text[at]])) << count;
            previous = character.code;
            at += character.bytes;
            count += 1;
        }
        // What is before the first is not of this part.
        (self.count, self.joined) = (count, joined & !1);
        at
    }

    /// Puts characters that begin at `at` behind the first `count`, if there is room for eight.
    #[inline(always)]
    fn put(&mut self, count: usize, at: usize, some: &Some8) {
        let Some(starts) = self.starts.get_mut(count..).and_then(|rest| rest.first_chunk_mut::<EIGHT>()) else { return };
        *starts = std::array::from_fn(|index| (at + index * some.length) as u32);
        let Some(codes) = self.codes.get_mut(count..).and_then(|rest| rest.first_chunk_mut()) else { return };
        *codes = some.codes;
    }

    /// Leaves out the last unit of a whole block, which may go on behind it; where that begins, or `None` if it fills the block.
    pub(super) fn leave_last(&mut self) -> Option<usize> {
        debug_assert_eq!(self.count, BLOCK);
        let first = (BLOCK - 1).checked_sub(self.joined.leading_ones() as usize).filter(|&first| first > 0)?;
        self.count = first;
        self.joined &= (1 << first) - 1;
        Some(self.starts[first] as usize)
    }

    /// Finds the units of a block that ends at `end`, and gives the code of each to `found`.
    #[inline(always)]
    pub(super) fn find_units(&mut self, end: usize, mut found: impl FnMut(u32)) -> &[Unit] {
        let Some(unused) = BLOCK.checked_sub(self.count).filter(|&unused| unused < BLOCK) else { return &[] };
        self.starts[self.count] = end as u32;
        let mut firsts = !self.joined & u64::MAX >> unused;
        // The characters before those, and the last one.
        let mut lasts = firsts >> 1 | 1 << (self.count - 1);
        let mut count = 0;
        while firsts != 0 {
            let (first, last) = (firsts.trailing_zeros() as usize % BLOCK, lasts.trailing_zeros() as usize % BLOCK);
            firsts &= firsts - 1;
            lasts &= lasts.wrapping_sub(1);
            let (one, two) = (self.codes[first], self.codes[first + 1]);
            let length = last - first + 1;
            // Both are numbers of 16 bits, and the first one is not NUL.
            let is_two = (length == 2) & ((one | two) <= u32::from(u16::MAX)) & (one != 0);
            let is_one = (length == 1) & (one <= u32::from(u16::MAX));
            let code = select_unpredictable(is_one, one, select_unpredictable(is_two, one << 16 | two, 0));
            found(code);
            self.units[count % BLOCK] = Unit { start: self.starts[first], end: self.starts[last + 1], code };
            count += 1;
        }
        &self.units[..count.min(BLOCK)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::joints::last_byte;
    use super::*;
    use proptest::prelude::*;

    /// Runs of characters of each length.
    const TEXT: &str =
        r"([ab ]{1,30}|[aé]{1,20}|[é߿к]{1,20}|[ࠀ漢字か한]{1,30}|[漢字か]{60,70}|[😀𝒳]{1,4}|[\x00-\x7f]{1,9}|\PC{1,4}){0,9}";

    /// Where each unit ends, and its code. The rule: a unit ends where no merge joins two characters.
    fn units_by_rule(text: &str, part: Range<usize>, joints: &RawJoints) -> Vec<(usize, u32)> {
        let mut units: Vec<(usize, u32)> = Vec::new();
        let mut previous = None;
        let mut count = 0;
        for (offset, character) in text[part.clone()].char_indices() {
            let (start, code) = (part.start + offset, u32::from(character));
            let end = start + character.len_utf8();
            let joins = |previous| joints.joins(previous, code, [last_byte(previous), text.as_bytes()[start]]);
            count = if previous.is_some_and(joins) { count + 1 } else { 1 };
            previous = Some(code);
            if count == 1 {
                units.push((end, if code < 1 << 16 { code } else { 0 }));
            } else if let Some((unit_end, unit_code)) = units.last_mut() {
                let is_second = count == 2 && *unit_code != 0 && code < 1 << 16;
                (*unit_end, *unit_code) = (end, if is_second { *unit_code << 16 | code } else { 0 });
            }
        }
        units
    }

    fn units(lanes: impl Lanes, text: &str, part: Range<usize>, joints: &RawJoints) -> Vec<(usize, u32)> {
        let mut block = Block::default();
        let mut units = Vec::new();
        let mut at = part.start;
        while at < part.end {
            // In two steps.
            block.clear();
            let middle = block.read(lanes, text.as_bytes(), at..part.end, joints, units.len() % 9);
            let mut end = block.read(lanes, text.as_bytes(), middle..part.end, joints, BLOCK);
            if end < part.end {
                match block.leave_last() {
                    Some(last) => end = last,
                    None => {
                        // Longer units are found otherwise.
                        units.push(units_by_rule(text, at..part.end, joints)[0]);
                        at = units[units.len() - 1].0;
                        continue;
                    }
                }
            }
            let mut codes = Vec::new();
            for unit in block.find_units(end, |code| codes.push(code)) {
                assert_eq!(unit.start as usize, units.last().map_or(part.start, |last: &(usize, u32)| last.0));
                units.push((unit.end as usize, unit.code));
            }
            assert!(units.iter().map(|unit| unit.1).collect::<Vec<_>>().ends_with(&codes));
            at = end;
        }
        units
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn units_end_where_places_are_free(
            joined in proptest::collection::vec("[a é߿ࠀ漢字か😀😁]{1,6}", 1..8),
            text in TEXT,
            (from, to) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        ) {
            let mut joints = RawJoints::new();
            for text in &joined {
                // Between characters, and between bytes.
                let places = text.char_indices().map(|(place, _)| place).skip(1).step_by(2).chain((1..text.len()).step_by(5));
                places.for_each(|place| joints.insert(&text.as_bytes()[place.saturating_sub(4)..place], &text.as_bytes()[place..]));
            }
            joints.shrink();
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            // The end of the text, or a place inside of it, where other characters follow.
            let (from, to) = (*from.get(&places), if to.index(3) == 0 { text.len() } else { *to.get(&places) });
            let part = from.min(to)..from.max(to);
            let expected = units_by_rule(&text, part.clone(), &joints);
            prop_assert_eq!(&units(NoLanes, &text, part.clone(), &joints), &expected);
            #[cfg(target_arch = "x86_64")]
            if let Some(lanes) = crate::simd::Avx2::new() {
                prop_assert_eq!(&units(lanes, &text, part, &joints), &expected);
            }
        }
    }
}
