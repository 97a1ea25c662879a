//! The characters that a normalizer leaves alone, and how to pass over runs of them.
//!
//! One bit for each code point up to U+FFFF, in words of 64: the bytes of a character but its last tell the word, and the last
//! tells the bit, so a character takes one look and need not be decoded. ASCII is passed over 16 bytes at a time where a range of
//! it is inert. Characters of four bytes always end a run: they are asked about one by one.
//!
//! Eight kilobytes. The sets of the forms and the like are made once for all ([`Shared`]).

use crate::memory::Once;
use crate::unicode::flags;

/// A set of characters of which runs are passed over.
#[derive(Clone)]
pub(super) struct Inert {
    words: Box<[u64; 1024]>,
    /// A range of ASCII in the set: its first character, and how many follow it.
    ascii: (u8, u8),
}

impl std::fmt::Debug for Inert {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count: u32 = self.words.iter().map(|word| word.count_ones()).sum();
        formatter.debug_struct("Inert").field("characters", &count).field("ascii", &self.ascii).finish()
    }
}

impl Inert {
    /// The characters of one to three bytes for which `is_inert` is true.
    pub(super) fn new(is_inert: impl Fn(char) -> bool) -> Self {
        let mut words = Box::new([0; 1024]);
        for (word, first) in words.iter_mut().zip((0..).step_by(64)) {
            let bits = (0..64).filter(|bit| char::from_u32(first + bit).is_some_and(&is_inert));
            *word = bits.fold(0, |word, bit| word | 1 << bit);
        }
        let contains = |byte: u8| words[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1;
        let low = (0..b'A').rev().take_while(|&byte| contains(byte)).last().unwrap_or(b'A');
        let high = (b'A'..0x80).take_while(|&byte| contains(byte)).last();
        let ascii = high.map_or((0xFF, 0), |high| (low, high - low));
        Self { words, ascii }
    }

    /// Whether a character is in the set.
    pub(super) fn contains(&self, character: char) -> bool {
        self.words.get(character as usize >> 6).is_some_and(|word| word >> (character as u32 & 63) & 1 == 1)
    }

    /// The end of the run of inert characters that begins at byte `at` of `text`, where a character begins.
    #[inline]
    pub(super) fn run_end(&self, text: &str, mut at: usize) -> usize {
        let bytes = text.as_bytes();
        let (low, span) = self.ascii;
        loop {
            while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
                if chunk.iter().fold(false, |is_outside, byte| is_outside | (byte.wrapping_sub(low) > span)) {
                    break;
                }
                at += 16;
            }
            // Up to sixteen characters one by one, then in bulk again.
            let end = bytes.len().min(at + 16);
            while at < end {
                let (length, word, last) = match bytes[at..] {
                    [byte @ ..0x80, ..] => (1, usize::from(byte >> 6), byte),
                    [first @ 0xC0..0xE0, second, ..] => (2, usize::from(first & 0x1F), second),
                    [first @ 0xE0..0xF0, second, third, ..] => {
                        (3, usize::from(first & 0xF) << 6 | usize::from(second & 0x3F), third)
                    }
                    _ => return at,
                };
                if self.words[word] >> (last & 0x3F) & 1 == 0 {
                    return at;
                }
                at += length;
            }
            if at >= bytes.len() {
                return at;
            }
        }
    }
}

/// The characters without any of some flags; made once, when first wanted.
pub(super) struct Shared {
    flags: u16,
    has_ascii: bool,
    inert: Once<Inert>,
}

impl Shared {
    /// The characters that have none of `flags`.
    pub(super) const fn without(flags: u16) -> Self {
        Self { flags, has_ascii: false, inert: Once::new() }
    }

    /// The same and all of ASCII.
    pub(super) const fn without_beyond_ascii(flags: u16) -> Self {
        Self { flags, has_ascii: true, inert: Once::new() }
    }

    /// The set.
    pub(super) fn get(&self) -> &Inert {
        loop {
            match self.inert.get() {
                Some(inert) => return inert,
                None => {
                    let is_inert = |character: char| (self.has_ascii && character.is_ascii()) || flags(character) & self.flags == 0;
                    self.inert.set(Box::new(Inert::new(is_inert)));
                }
            }
        }
    }

    /// The first character from byte `at` of `text` on that has one of the flags, beyond ASCII if that is in the set, and where it is.
    #[inline]
    pub(super) fn next_other(&self, text: &str, mut at: usize) -> Option<(usize, char)> {
        let inert = self.get();
        loop {
            at = inert.run_end(text, at);
            let character = text[at..].chars().next()?;
            // What ends a run may also be a character of four bytes without flags.
            if flags(character) & self.flags != 0 {
                return Some((at, character));
            }
            at += character.len_utf8();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(text: &str, at: usize, is_inert: impl Fn(char) -> bool) -> usize {
        at + text[at..].find(|character| character >= '\u{10000}' || !is_inert(character)).unwrap_or(text.len() - at)
    }

    #[test]
    fn every_character_is_in_the_set_or_not() {
        let is_inert = |character: char| (character as u32).wrapping_mul(0x9E37_79B9) >> 31 == 0;
        let inert = Inert::new(is_inert);
        for character in '\0'..=char::MAX {
            let text = character.to_string();
            assert_eq!(inert.run_end(&text, 0), naive(&text, 0, is_inert), "{character:?}");
        }
    }

    proptest! {
        #[test]
        fn runs_end_where_the_first_other_character_is(
            text in "([a-c]{0,20}|[\0\n ~\u{7f}]{0,3}|[éж]{0,9}|[中文]{0,9}|😀){0,6}",
            others in "[abc\0\n ~\u{7f}éж中文]{0,4}",
        ) {
            let is_inert = |character| !others.contains(character);
            let inert = Inert::new(is_inert);
            for (at, _) in text.char_indices() {
                prop_assert_eq!(inert.run_end(&text, at), naive(&text, at, is_inert));
            }
        }
    }
}
