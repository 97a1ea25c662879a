//! What a piece of raw bytes is before any merge that is not certain: characters whose bytes merge among themselves first.
//!
//! In a piece, the bytes of a character become what they become alone, one token or two, unless a merge across one of its borders
//! comes before one inside of it. So where each merge that could take its first or last part across the border has a higher rank
//! than the merge that comes next inside, its tokens can be written at once; and if no merge that takes them comes before they are all made
//! (in files made from a vocabulary alone, some tokens are made *late*), nothing else changes by that. Which merges can take a part
//! depends on the byte beside the character, of which ten classes are told apart: in many languages, a space and the first byte
//! merge before the first character does.
//!
//! So Cyrillic text has half as many symbols, Devanagari a third. A character is worked out when it is first met, in up to four looks
//! for pairs. O(1) for a character; made in O(tokens).

use super::alphabet::byte_level_byte;
use super::char_units::Character;
use super::pairs::{Pairs, NO_TOKEN, NUMBER_BITS};
use super::short::Symbols;
use crate::memory::{Zeroable, Zeroed};
use crate::vocab::Vocabulary;
use hashbrown::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

/// Characters from here on begin as bytes. Below half a megabyte, a table takes memory only where it is written to.
const CHARACTERS: usize = 0xd800;

/// The symbols that pieces begin with, as numbers of `Pairs`.
#[derive(Debug)]
pub(super) struct Starts {
    bytes: [u32; 256],
    /// By code point.
    characters: Zeroed<Start>,
    crossing: Crossing,
}

/// What a character begins as, or zero if that was not worked out yet. In the lowest two bits `ONE`, `TWO` or `BYTES`, then the
/// numbers of two tokens, then for the byte before the character and the one behind it a bit for each class with which it begins as
/// bytes. It is one word, so threads need no lock.
#[derive(Debug)]
struct Start(AtomicU64);

// SAFETY: zero is a value of AtomicU64.
unsafe impl Zeroable for Start {}

const ONE: u64 = 1;
const TWO: u64 = 2;
const BYTES: u64 = 3;
const FIRST_SHIFT: u32 = 2;
const SECOND_SHIFT: u32 = FIRST_SHIFT + NUMBER_BITS;
const BEFORE_SHIFT: u32 = SECOND_SHIFT + NUMBER_BITS;
const BEHIND_SHIFT: u32 = BEFORE_SHIFT + CLASSES as u32;
const _: () = assert!(BEHIND_SHIFT + CLASSES as u32 == u64::BITS);

/// How many classes of bytes are told apart beside a character.
const CLASSES: usize = 10;
/// A bit for the class of each byte.
static CLASS: [u16; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = 1 << class(byte as u8);
        byte += 1;
    }
    classes
};

const fn class(byte: u8) -> usize {
    match byte {
        0x20 => 8,
        ..0x80 => 9,
        _ => byte as usize % 8,
    }
}

/// By the number of a token that is a part of a character, and by class, the least number that a merge makes which takes it across
/// the border of the character.
#[derive(Debug, Default)]
struct Crossing {
    /// Of what a character begins with, by the class of what is before.
    before: HashMap<u32, [u32; CLASSES]>,
    /// Of what a character ends with, by the class of what is behind.
    behind: HashMap<u32, [u32; CLASSES]>,
    /// The tokens that are parts of late ones.
    late: HashSet<u32>,
}

impl Starts {
    /// For models that read raw bytes, which have these numbers. `made` has the two parts of each merge and what it makes; `late` the parts of late tokens.
    pub(super) fn new(
        bytes: [u32; 256],
        pairs: &Pairs,
        made: impl Iterator<Item = [u32; 3]>,
        late: HashSet<u32>,
        vocabulary: &Vocabulary,
    ) -> Self {
        let mut crossing = Crossing { late, ..Crossing::default() };
        const NONE: [u32; CLASSES] = [u32::MAX; CLASSES];
        let leads = 0xc2..0xf0_u8;
        for first in leads.clone() {
            crossing.before.insert(bytes[usize::from(first)], NONE);
        }
        for second in 0x80..0xc0_u8 {
            crossing.behind.insert(bytes[usize::from(second)], NONE);
            let with_second = |first: u8| pairs.get(bytes[usize::from(first)], bytes[usize::from(second)]);
            for part in leads.clone().skip_while(|&lead| lead < 0xe0).map(with_second).filter(|&part| part != NO_TOKEN) {
                crossing.before.insert(part, NONE);
            }
            for part in (0x80..0xc0).map(with_second).filter(|&part| part != NO_TOKEN) {
                crossing.behind.insert(part, NONE);
            }
        }
        crossing.find(pairs, made, vocabulary);
        Self { bytes, characters: Zeroed::new(CHARACTERS), crossing }
    }

    /// Pushes the symbols of a piece; false if there is no room for one, or one is no token.
    #[inline(always)]
    pub(super) fn push_all(&self, piece: &str, pairs: &Pairs, symbols: &mut Symbols) -> bool {
        let bytes = piece.as_bytes();
        let class = |at: usize| bytes.get(at).map_or(0, |&byte| u64::from(CLASS[usize::from(byte)]));
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let (is_pushed, end) = if byte.is_ascii() {
                (symbols.push(self.bytes[usize::from(byte)]), at + 1)
            } else {
                let character = Character::at(bytes, at);
                let end = at + character.bytes;
                let start = self.start(character.code, pairs);
                let blocked = class(at.wrapping_sub(1)) << BEFORE_SHIFT | class(end) << BEHIND_SHIFT;
                let number = |shift: u32| (start >> shift) as u32 & ((1 << NUMBER_BITS) - 1);
                let is_pushed = match start & 3 {
                    ONE if start & blocked == 0 => symbols.push(number(FIRST_SHIFT)),
                    TWO if start & blocked == 0 => symbols.push(number(FIRST_SHIFT)) && symbols.push(number(SECOND_SHIFT)),
                    _ => bytes[at..end].iter().all(|&byte| symbols.push(self.bytes[usize::from(byte)])),
                };
                (is_pushed, end)
            };
            if !is_pushed {
                return false;
            }
            at = end;
        }
        true
    }

    /// What a character begins as.
    #[inline(always)]
    fn start(&self, code: u32, pairs: &Pairs) -> u64 {
        let Some(Start(slot)) = self.characters.get(code as usize) else { return BYTES };
        match slot.load(Ordering::Relaxed) {
            0 => {
                let start = char::from_u32(code).map_or(BYTES, |character| self.work_out(character, pairs));
                slot.store(start, Ordering::Relaxed);
                start
            }
            start => start,
        }
    }

    #[cold]
    fn work_out(&self, character: char, pairs: &Pairs) -> u64 {
        let mut utf8 = [0; 4];
        let mut symbols: Vec<u32> = character.encode_utf8(&mut utf8).bytes().map(|byte| self.bytes[usize::from(byte)]).collect();
        let (count, mut latest) = (symbols.len(), 0);
        let (mut before, mut behind) = (0, 0);
        loop {
            let numbers = symbols.windows(2).map(|pair| pairs.get(pair[0], pair[1]));
            let next = numbers.zip(0..).filter(|&(number, _)| number != NO_TOKEN).min();
            // In the end, all that was done has to come before.
            let limit = next.map_or(latest, |(number, _)| number);
            before |= blocked(&self.crossing.before, symbols[0], limit);
            behind |= blocked(&self.crossing.behind, symbols[symbols.len() - 1], limit);
            let Some((number, place)) = next else { break };
            latest = latest.max(number);
            symbols.splice(place..place + 2, [number]);
        }
        let blocked = before << BEFORE_SHIFT | behind << BEHIND_SHIFT;
        match symbols[..] {
            [only] if count > 1 && !self.crossing.late.contains(&only) => ONE | u64::from(only) << FIRST_SHIFT | blocked,
            [first, second] if count > 2 => TWO | u64::from(first) << FIRST_SHIFT | u64::from(second) << SECOND_SHIFT | blocked,
            _ => BYTES,
        }
    }
}

/// The classes of bytes beside a part with which a merge could take it that does not come later than `limit`.
fn blocked(crossing: &HashMap<u32, [u32; CLASSES]>, part: u32, limit: u32) -> u64 {
    let is_blocked = |&(_, &least): &(u64, &u32)| least <= limit;
    let classes = crossing.get(&part).into_iter().flat_map(|classes| (0..).zip(classes));
    classes.filter(is_blocked).fold(0, |blocked, (class, _)| blocked | 1 << class)
}

impl Crossing {
    /// Looks at all merges.
    fn find(&mut self, pairs: &Pairs, made: impl Iterator<Item = [u32; 3]>, vocabulary: &Vocabulary) {
        // Few tokens are parts of characters, and most merges need no look into a map.
        let numbers = self.before.keys().chain(self.behind.keys());
        let mut is_part = vec![0_u64; numbers.clone().max().map_or(0, |&number| number as usize / 64 + 1)];
        numbers.for_each(|&number| is_part[number as usize / 64] |= 1 << (number % 64));
        let is_part = |number: u32| is_part.get(number as usize / 64).is_some_and(|bits| bits >> (number % 64) & 1 == 1);
        let text = |number: u32| vocabulary.token(pairs.id(number)).unwrap_or_default();
        for [left, right, number] in made {
            let note = |classes: &mut [u32; CLASSES], beside: Option<char>| {
                // Other characters are in no piece.
                if let Some(byte) = beside.and_then(byte_level_byte) {
                    let least = &mut classes[class(byte)];
                    *least = number.min(*least);
                }
            };
            if is_part(right) {
                if let Some(classes) = self.before.get_mut(&right) {
                    note(classes, text(left).chars().next_back());
                }
            }
            if is_part(left) {
                // What begins with the middle of a character does not come behind the end of one.
                let first = text(right).chars().next().filter(|&first| !matches!(byte_level_byte(first), Some(0x80..0xc0)));
                if let Some(classes) = self.behind.get_mut(&left) {
                    note(classes, first);
                }
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::alphabet::byte_level_char;
    use super::super::short::Symbols;
    use super::super::Bpe;
    use crate::formats::config::{BpeConfig, VocabConfig};
    use crate::models::bpe::Scratch;
    use crate::StringList;
    use proptest::prelude::*;

    fn mapped(text: &[u8]) -> String {
        text.iter().copied().map(byte_level_char).collect()
    }

    /// A vocabulary of all bytes and these parts. Its merges are all that make each of them in their order, so some are late; or one
    /// for each, so that only what has parts is made.
    pub(in crate::models::bpe) fn config(parts: impl Iterator<Item = Vec<u8>>, is_listed_whole: bool) -> BpeConfig {
        let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        for part in parts {
            if part.len() > 1 && !tokens.contains(&part) {
                tokens.push(part);
            }
        }
        let mut merges = StringList::new();
        for token in &tokens[256..] {
            let ways = (1..token.len()).map(|middle| token.split_at(middle));
            let known = ways.filter(|(left, right)| [left, right].iter().all(|part| tokens.iter().any(|token| token == *part)));
            for (left, right) in known.take(if is_listed_whole { usize::MAX } else { 1 }) {
                merges.push(&mapped(left));
                merges.push(&mapped(right));
            }
        }
        let ids = (0..tokens.len() as u32).collect();
        let vocab = VocabConfig { ids, tokens: tokens.iter().map(|token| mapped(token)).collect() };
        BpeConfig { vocab, merges, ..Default::default() }
    }

    /// Vocabularies of parts of a text, which begin and end anywhere.
    fn configs() -> impl Strategy<Value = BpeConfig> {
        let parts = proptest::collection::vec(("[ aéèк漢漣か]{1,4}", 0usize..3, 2usize..6), 1..40);
        (parts, any::<bool>()).prop_map(|(parts, is_listed_whole)| {
            let part = |(text, skipped, length): (String, usize, usize)| text.bytes().skip(skipped).take(length).collect();
            config(parts.into_iter().map(part), is_listed_whole)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn characters_become_what_bytes_become(config in configs(), pieces in proptest::collection::vec("[ aéèк漢漣か😀]{1,12}", 1..20)) {
            let model = Bpe::from_config(config, true).unwrap();
            let pairs = model.pairs(0).unwrap();
            for piece in &pieces {
                let (mut by_characters, mut by_bytes) = (Vec::new(), Vec::new());
                prop_assert!(pairs.starts().unwrap().push_all(piece, pairs, &mut Symbols::default()));
                model.ids(piece, &mut Scratch::default(), &mut by_characters).unwrap();
                model.tokenize(piece, 0, &mut Scratch::default(), &mut by_bytes).unwrap();
                prop_assert_eq!(&by_characters, &by_bytes);
            }
        }
    }

    #[test]
    fn a_character_begins_as_bytes_only_where_a_merge_may_cross_its_border() {
        // The first byte of к joins a space before all others do; the last of е joins an a behind it.
        let mut tokens: Vec<String> = (0..=255).map(|byte| mapped(&[byte])).collect();
        let list: [(&[u8], &[u8]); 4] = [(b" ", b"\xd0"), (b"\xb5", b"a"), (b"\xd0", b"\xba"), (b"\xd0", b"\xb5")];
        tokens.extend(list.iter().map(|(left, right)| mapped(&[*left, *right].concat())));
        let merges = list.iter().flat_map(|(left, right)| [mapped(left), mapped(right)]).collect();
        let vocab = VocabConfig { ids: (0..tokens.len() as u32).collect(), tokens: tokens.iter().collect() };
        let model = Bpe::from_config(BpeConfig { vocab, merges, ..Default::default() }, true).unwrap();
        let pairs = model.pairs(0).unwrap();
        for (piece, expected) in
            [("кк", 2), (" кк", 4), ("к к", 4), ("ее", 2), ("еа", 2), ("еa", 3), ("е ", 2), ("к", 1), (" е", 3)]
        {
            let mut symbols = Symbols::default();
            assert!(pairs.starts().unwrap().push_all(piece, pairs, &mut symbols));
            // The Cyrillic а is no token.
            let extra = piece.matches('а').count();
            assert_eq!(symbols.as_slice().len(), expected + extra, "{piece:?}");
        }
    }
}
