//! Characters of a text, and blocks of up to 64 of them.
//!
//! A character is read by [`Character::of`], or up to eight of one length at a time by [`Lanes`]; a [`Block`] holds what is known of
//! them side by side: where they begin, their numbers and ids, and a bit for each that is joined to the one before or is no token.
//!
//! O(n). The wrong choice for a text of a few characters: a block is 1 KB.

use super::table::KNOWN;
use super::NEAR;
use std::ops::Range;

/// How many characters are read at a time.
pub(super) const BLOCK: usize = 64;
/// How many ids are copied at a time.
pub(super) const COPIED: usize = EIGHT;
/// How many characters lanes read at a time.
pub(super) const EIGHT: usize = 8;

/// Up to eight characters of the same length below U+10000, and others behind them.
pub(super) struct Some8 {
    /// How many.
    pub(super) count: usize,
    /// How many bytes each has.
    pub(super) length: usize,
    pub(super) codes: [u32; EIGHT],
    pub(super) entries: [u32; EIGHT],
    pub(super) last: [u16; EIGHT],
    /// A bit for each that a merge may join to the one before.
    pub(super) may_join: u32,
    /// A bit for each that is no token.
    pub(super) others: u32,
}

/// What reads several characters at a time.
pub(super) trait Lanes: Copy {
    /// Reads characters that begin `text`, if it can; `previous` is what is known of the one before.
    fn read(self, text: &[u8], space: u32, near: &[u32; NEAR], previous: u32) -> Option<Some8>;
}

/// What reads none: all characters are read one by one.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoLanes;

impl Lanes for NoLanes {
    #[inline(always)]
    fn read(self, _: &[u8], _: u32, _: &[u32; NEAR], _: u32) -> Option<Some8> {
        None
    }
}

/// Characters that follow one another.
pub(super) struct Block {
    pub(super) count: usize,
    /// Where each begins in the text.
    pub(super) starts: [u32; BLOCK + EIGHT],
    pub(super) codes: [u32; BLOCK + EIGHT],
    /// What is known of them.
    pub(super) entries: [u32; BLOCK + COPIED],
    /// Behind some others their lower halves; 0 for those above U+FFFF.
    pub(super) last: [u16; BLOCK + KNOWN + EIGHT],
    /// A bit for each that is joined to the one before.
    pub(super) joined: u64,
    /// A bit for each that is no token.
    pub(super) others: u64,
}

impl Block {
    pub(super) fn new() -> Self {
        let (starts, codes, entries, last) =
            ([0; BLOCK + EIGHT], [0; BLOCK + EIGHT], [0; BLOCK + COPIED], [0; BLOCK + KNOWN + EIGHT]);
        Self { count: 0, starts, codes, entries, last, joined: 0, others: 0 }
    }

    /// Puts characters that begin at `at` behind the first `count`, if there is room for eight.
    #[inline(always)]
    pub(super) fn put(&mut self, count: usize, at: usize, some: &Some8) {
        let Some(starts) = self.starts.get_mut(count..).and_then(|rest| rest.first_chunk_mut::<EIGHT>()) else { return };
        *starts = std::array::from_fn(|index| (at + index * some.length) as u32);
        let Some(codes) = self.codes.get_mut(count..).and_then(|rest| rest.first_chunk_mut()) else { return };
        *codes = some.codes;
        let Some(entries) = self.entries.get_mut(count..).and_then(|rest| rest.first_chunk_mut()) else { return };
        *entries = some.entries;
        let Some(last) = self.last.get_mut(count + KNOWN..).and_then(|rest| rest.first_chunk_mut()) else { return };
        *last = some.last;
    }

    /// Leaves the first `count`.
    pub(super) fn truncate(&mut self, count: usize) {
        let mask = (1 << count) - 1;
        self.count = count;
        self.joined &= mask;
        self.others &= mask;
    }

    /// The number of a unit in [`KnownUnits`](super::table::KnownUnits), or 0 if it has too many characters or one of them is not below U+10000, or NUL.
    #[inline(always)]
    pub(super) fn key(&self, characters: Range<usize>) -> u64 {
        const LOWEST: u64 = 0x0001_0001_0001_0001;
        let Some(unused) = KNOWN.checked_sub(characters.len()) else { return 0 };
        let Some(last) = self.last[characters.end..].first_chunk::<KNOWN>() else { return 0 };
        let key = last.iter().rev().fold(0, |key, &low| key << 16 | u64::from(low)) >> (16 * unused);
        // Where a character is 0, its highest bit is set by taking 1 from it. (With others behind that, too.)
        let above = key | !(u64::MAX >> (16 * unused));
        match above.wrapping_sub(LOWEST) & !above & LOWEST << 15 {
            0 => key,
            _ => 0,
        }
    }
}

/// The bytes at `at`, the first one lowest, and zeros behind the end.
#[inline(always)]
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(word) => u32::from_le_bytes(*word),
        None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)),
    }
}

/// A character of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Character {
    pub(in super::super) code: u32,
    /// Its length.
    pub(in super::super) bytes: usize,
}

impl Character {
    /// The character at `at`, which is the end of `bytes` at most.
    #[inline(always)]
    pub(in super::super) fn at(bytes: &[u8], at: usize) -> Self {
        let begin = bytes.len().wrapping_sub(4).min(at);
        match bytes.get(begin..).and_then(|rest| rest.first_chunk()) {
            // The last ones are read with what is before them.
            Some(word) => Self::of(u32::from_le_bytes(*word) >> (8 * (at - begin) as u32 % 32)),
            None => Self::of(word(bytes, at)),
        }
    }

    /// The character that begins [`word`].
    #[inline(always)]
    pub(super) fn of(word: u32) -> Self {
        let inner = |index: u32| word >> (8 * index) & 0x3f;
        match word & 0xff {
            byte @ ..0x80 => Self { code: byte, bytes: 1 },
            byte @ ..0xe0 => Self { code: (byte & 0x1f) << 6 | inner(1), bytes: 2 },
            byte @ ..0xf0 => Self { code: (byte & 0xf) << 12 | inner(1) << 6 | inner(2), bytes: 3 },
            byte => Self { code: (byte & 7) << 18 | inner(1) << 12 | inner(2) << 6 | inner(3), bytes: 4 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn characters_are_read_as_they_are_written(text in any::<String>()) {
            for (at, character) in text.char_indices() {
                let read = Character::of(word(text.as_bytes(), at));
                prop_assert_eq!(read, Character { code: character.into(), bytes: character.len_utf8() });
                prop_assert_eq!(Character::at(text.as_bytes(), at), read);
            }
        }
    }

    #[test]
    fn no_unit_has_the_number_of_another() {
        let block = |codes: &[u16]| {
            let mut block = Block::new();
            block.last[KNOWN..KNOWN + codes.len()].copy_from_slice(codes);
            block
        };
        let first = block(&[7, 1, 2, 3, 4, 5]);
        let keys: Vec<u64> = (2..=5).map(|count| first.key(1..1 + count)).collect();
        assert_eq!(keys, [0x0002_0001, 0x0003_0002_0001, 0x0004_0003_0002_0001, 0]);
        // A character of which 16 bits are not enough.
        for place in 0..4 {
            let mut codes = [0xffff; 4];
            codes[place] = 0;
            assert_eq!(block(&codes).key(0..4), 0);
            assert_ne!(block(&[0xffff; 4]).key(0..4), 0);
        }
        assert_eq!(block(&[0, 1, 0]).key(0..2), 0);
        assert_eq!(block(&[0, 1, 9, 0]).key(1..3), 0x0009_0001);
    }
}
