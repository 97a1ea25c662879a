//! Where runs of spaces, or of spaces, tabs and ends of lines, begin: the cuts of a text that is worked out word by word.
//!
//! 64 bytes at a time, or eight where there is no SIMD: a bit for each space, and those that follow one taken away. O(n).

use super::blocks::{first_bytes, Job, Lanes, BYTES, BYTES_LOADED};
use super::levels;
use crate::simd::Level;

/// Which cuts are wanted.
#[derive(Clone, Copy)]
pub(crate) struct SpaceCuts<'c> {
    /// Whether tabs and ends of lines count as spaces.
    pub(crate) with_breaks: bool,
    /// Whether a place after a character that is not visible ASCII is one.
    pub(crate) may_cut: &'c dyn Fn(&str, usize) -> bool,
}

/// Appends the places after `start` where a space (U+0020) follows another character, until at least `count` were found, or the
/// text ends, which is a place too; returns the last one.
pub(crate) fn scan_spaces(text: &str, start: usize, count: usize, ends: &mut Vec<u32>, cuts: SpaceCuts<'_>) -> usize {
    scan_spaces_with(Level::of_process().unwrap_or(Level::Scalar), text, start, count, ends, cuts)
}

pub(super) fn scan_spaces_with(
    level: Level,
    text: &str,
    start: usize,
    count: usize,
    ends: &mut Vec<u32>,
    cuts: SpaceCuts<'_>,
) -> usize {
    levels::run(level, Spaces { text, start, count, ends, wanted: cuts })
}

/// The arguments of [`scan_spaces`].
struct Spaces<'t> {
    text: &'t str,
    start: usize,
    count: usize,
    ends: &'t mut Vec<u32>,
    wanted: SpaceCuts<'t>,
}

impl Spaces<'_> {
    /// What to return when as many places as were wanted are found, or the text ends.
    #[inline(always)]
    fn finish(self, found_before: usize, has_all: bool) -> usize {
        let length = self.text.len();
        if has_all && self.ends.len() > found_before {
            return self.ends[self.ends.len() - 1] as usize;
        }
        if self.start < length {
            self.ends.push(length as u32);
        }
        length
    }
}

impl Job for Spaces<'_> {
    #[inline(always)]
    fn with_lanes<L: Lanes>(self, lanes: L) -> usize {
        let bytes = self.text.as_bytes();
        let found_before = self.ends.len();
        let wanted = found_before.saturating_add(self.count);
        let SpaceCuts { with_breaks, may_cut } = self.wanted;
        // Whether the byte before the block is a space, and whether it is no visible ASCII. A place at `start` is none.
        let (mut after_space, mut after_other) = (1, 0);
        let mut position = self.start;
        while position < bytes.len() {
            let mut last_bytes = [0; BYTES];
            let block = lanes.load(first_bytes(&bytes[position..], &mut last_bytes), 0);
            let mut spaces = lanes.equal(block, b' ');
            if with_breaks {
                let breaks = lanes.either(lanes.within(block, b'\t', b'\n'), lanes.equal(block, b'\r'));
                spaces = lanes.either(spaces, breaks);
            }
            let spaces = lanes.bits(spaces);
            let others = !lanes.bits(lanes.within(block, b'!', b'~'));
            let mut cuts = spaces & !(spaces << 1 | after_space);
            let mut unsure = cuts & (others << 1 | after_other);
            while unsure != 0 {
                let bit = unsure & unsure.wrapping_neg();
                unsure &= unsure - 1;
                if !may_cut(self.text, position + bit.trailing_zeros() as usize) {
                    cuts &= !bit;
                }
            }
            (after_space, after_other) = (spaces >> 63, others >> 63);
            lanes.push(cuts, position as u32, self.ends);
            if self.ends.len() >= wanted {
                return self.finish(found_before, true);
            }
            position += BYTES_LOADED;
        }
        self.finish(found_before, false)
    }

    fn without(self) -> usize {
        let bytes = self.text.as_bytes();
        let found_before = self.ends.len();
        let wanted = found_before.saturating_add(self.count);
        let SpaceCuts { with_breaks, may_cut } = self.wanted;
        let mut after_space = true;
        let mut position = self.start;
        while position < bytes.len() {
            let eight = match bytes[position..].first_chunk() {
                Some(eight) => u64::from_le_bytes(*eight),
                None => bytes[position..].iter().rev().fold(0, |eight, &byte| eight << 8 | u64::from(byte)),
            };
            let mut spaces = highest_bits_of(eight, b' ');
            if with_breaks {
                spaces |= [b'\t', b'\n', b'\r'].into_iter().fold(0, |breaks, byte| breaks | highest_bits_of(eight, byte));
            }
            let mut cuts = spaces & !(spaces << 8 | u64::from(after_space) << 7);
            after_space = spaces >> 63 == 1;
            while cuts != 0 {
                let cut = position + cuts.trailing_zeros() as usize / 8;
                cuts &= cuts - 1;
                if bytes[cut - 1].is_ascii_graphic() || may_cut(self.text, cut) {
                    self.ends.push(cut as u32);
                }
            }
            if self.ends.len() >= wanted {
                return self.finish(found_before, true);
            }
            position += 8;
        }
        self.finish(found_before, false)
    }
}

/// The highest bit of each byte that is this one.
#[inline(always)]
fn highest_bits_of(eight: u64, byte: u8) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let different = eight ^ u64::from_ne_bytes([byte; 8]);
    !(((different & LOW) + LOW) | different | LOW)
}
