//! What a piece's smallest parts are: characters, or raw bytes where every byte has its token.
//!
//! A byte-level file writes the byte 0x20 as `Ġ`: a pre-tokenizer maps each byte of the text to such a character, and the
//! vocabulary is written in them. Where each byte that UTF-8 can hold has a token, every character of every mapped piece is
//! known, so nothing is ever unknown, dropped or replaced by byte fallback, and merges see ids alone: reading the raw bytes
//! gives the same ids, and the mapping need not be done. Tokens with other characters are never met by either way.

use super::super::byte_tokens;
use crate::vocab::Vocabulary;

/// The character that stands for `byte` in byte-level files: itself where it is printable, else one from U+0100 up.
pub(super) const fn byte_level_char(byte: u8) -> char {
    match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => byte as char,
        // The others in their order: 0x00..=0x20, 0x7f..=0xa0, 0xad.
        0..=0x20 => shifted(byte as u32),
        0x7f..=0xa0 => shifted(byte as u32 - 0x7f + 0x21),
        0xad => shifted(0x43),
    }
}

const fn shifted(index: u32) -> char {
    match char::from_u32(0x100 + index) {
        Some(character) => character,
        None => unreachable!(),
    }
}

/// The byte that `character` stands for in byte-level files.
pub(super) fn byte_level_byte(character: char) -> Option<u8> {
    match character as u32 {
        0x21..=0xff => u8::try_from(character as u32).ok(),
        code @ 0x100..=0x120 => Some((code - 0x100) as u8),
        code @ 0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
    .filter(|&byte| byte_level_char(byte) == character)
}

/// Whether UTF-8 can hold `byte`.
const fn is_in_utf8(byte: u8) -> bool {
    !matches!(byte, 0xc0 | 0xc1 | 0xf5..=0xff)
}

/// The ids of a piece's bytes.
#[derive(Debug)]
pub(super) struct ByteIds {
    pub(super) inner: [u32; 256],
    /// With `end_of_word_suffix`.
    pub(super) last: [u32; 256],
}

impl ByteIds {
    /// The table, if there is a token for every byte that UTF-8 can hold.
    pub(super) fn new(vocabulary: &Vocabulary, suffix: &str) -> Option<Self> {
        let mut ids = Self { inner: [0; 256], last: [0; 256] };
        for byte in (0..=u8::MAX).filter(|&byte| is_in_utf8(byte)) {
            let mut token = byte_level_char(byte).to_string();
            ids.inner[usize::from(byte)] = vocabulary.id(&token)?;
            token.push_str(suffix);
            ids.last[usize::from(byte)] = vocabulary.id(&token)?;
        }
        Some(ids)
    }
}

/// The ids of characters, in pages of 64 code points: two reads, and no hash to collide.
#[derive(Debug, Default)]
struct CharIds {
    /// The page of each 64 code points. Empty where no character has an id.
    page_of: Vec<u16>,
    pages: Vec<Page>,
}

#[derive(Debug)]
struct Page {
    /// Which of the page's characters have an id.
    present: u64,
    ids: [u32; 64],
}

const NO_PAGE: u16 = u16::MAX;
const PAGES: usize = (char::MAX as usize >> 6) + 1;

impl CharIds {
    fn insert(&mut self, character: char, id: u32) {
        if self.page_of.is_empty() {
            self.page_of = vec![NO_PAGE; PAGES];
        }
        let (page, index) = (character as usize >> 6, character as usize & 63);
        if self.page_of[page] == NO_PAGE {
            self.page_of[page] = self.pages.len() as u16; // at most PAGES = 17,408
            self.pages.push(Page { present: 0, ids: [0; 64] });
        }
        let page = &mut self.pages[usize::from(self.page_of[page])];
        page.present |= 1 << index;
        page.ids[index] = id;
    }

    #[inline(always)]
    fn get(&self, character: char) -> Option<u32> {
        let page = self.pages.get(usize::from(*self.page_of.get(character as usize >> 6)?))?;
        let index = character as usize & 63;
        (page.present >> index & 1 == 1).then(|| page.ids[index])
    }
}

/// The ids of a piece's characters, with the affixes that the model puts around them.
#[derive(Debug)]
pub(super) struct Characters {
    /// Before every character but the first.
    prefix: String,
    /// After the last character.
    suffix: String,
    /// Without affixes, with the suffix, with the prefix, with both. Those that cannot occur are empty.
    ids: [CharIds; 4],
    /// For the models with byte fallback.
    byte_tokens: Option<Box<[Option<u32>; 256]>>,
}

impl Characters {
    /// The characters that are tokens, but for the ids `unreachable`, which are ascending.
    pub(super) fn new(vocabulary: &Vocabulary, unreachable: &[u32], prefix: &str, suffix: &str, byte_fallback: bool) -> Self {
        let mut ids: [CharIds; 4] = Default::default();
        let longest = prefix.len() + suffix.len() + char::MAX.len_utf8();
        let is_candidate = |token: &str, id| token.len() <= longest && unreachable.binary_search(&id).is_err();
        for (token, id) in vocabulary.iter().filter(|&(token, id)| is_candidate(token, id)) {
            for (index, ids) in ids.iter_mut().enumerate() {
                let (with_prefix, with_suffix) = (index & 2 != 0, index & 1 != 0);
                if with_prefix && prefix.is_empty() || with_suffix && suffix.is_empty() {
                    continue;
                }
                let token = if with_prefix { token.strip_prefix(prefix) } else { Some(token) };
                let token = token.and_then(|token| if with_suffix { token.strip_suffix(suffix) } else { Some(token) });
                let mut characters = token.unwrap_or_default().chars();
                if let (Some(character), None) = (characters.next(), characters.next()) {
                    ids.insert(character, id);
                }
            }
        }
        let byte_tokens = byte_fallback.then(|| Box::new(byte_tokens(vocabulary)));
        Self { prefix: prefix.to_owned(), suffix: suffix.to_owned(), ids, byte_tokens }
    }

    /// What byte fallback gives for each byte, if there is byte fallback.
    pub(super) fn byte_tokens(&self) -> &[Option<u32>] {
        self.byte_tokens.as_ref().map_or(&[], |tokens| tokens.as_slice())
    }

    /// Calls `take` for each character that is a token without affixes.
    pub(super) fn each(&self, mut take: impl FnMut(char, u32)) {
        let CharIds { page_of, pages } = &self.ids[0];
        for (first, page) in
            (0_u32..).step_by(64).zip(page_of).filter_map(|(first, &page)| Some((first, pages.get(usize::from(page))?)))
        {
            for (code, &id) in (first..).zip(&page.ids).filter(|&(code, _)| page.present >> (code % 64) & 1 == 1) {
                if let Some(character) = char::from_u32(code) {
                    take(character, id);
                }
            }
        }
    }

    /// What byte fallback gives for each byte, if there is byte fallback for all characters that are no tokens. Not with affixes.
    pub(super) fn all_bytes(&self) -> Option<Box<[u32; 256]>> {
        let tokens = self.byte_tokens.as_ref()?;
        // As in Gemma, whose tab is a token and has none for its byte.
        let is_unused = |byte: u8| !is_in_utf8(byte) || byte.is_ascii() && self.id(byte.into(), false, false).is_some();
        let is_complete = (0..=u8::MAX).all(|byte| tokens[usize::from(byte)].is_some() || is_unused(byte));
        is_complete.then(|| Box::new(tokens.map(Option::unwrap_or_default)))
    }

    /// The id of `character`, with the affixes of its place.
    #[inline(always)]
    pub(super) fn id(&self, character: char, is_first: bool, is_last: bool) -> Option<u32> {
        let with_prefix = !is_first && !self.prefix.is_empty();
        let with_suffix = is_last && !self.suffix.is_empty();
        self.ids[usize::from(with_prefix) << 1 | usize::from(with_suffix)].get(character)
    }

    /// Calls `push` with the ids of the bytes of `character` and its affixes, if there is byte fallback and all are there.
    pub(super) fn fall_back(&self, character: &str, is_first: bool, is_last: bool, mut push: impl FnMut(u32)) -> bool {
        let Some(tokens) = &self.byte_tokens else { return false };
        let prefix = if is_first { "" } else { &self.prefix };
        let suffix = if is_last { &self.suffix } else { "" };
        let bytes = || prefix.bytes().chain(character.bytes()).chain(suffix.bytes()).map(|byte| tokens[usize::from(byte)]);
        let complete = bytes().all(|id| id.is_some());
        if complete {
            bytes().flatten().for_each(&mut push);
        }
        complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::VocabConfig;

    #[test]
    fn bytes_and_characters_map_both_ways() {
        let characters: std::collections::HashSet<char> = (0..=255).map(byte_level_char).collect();
        assert_eq!(characters.len(), 256);
        for byte in 0..=255 {
            assert_eq!(byte_level_byte(byte_level_char(byte)), Some(byte));
        }
        assert_eq!([b' ', b'\n', 0x7f, 0xa0, 0xad, b'a'].map(byte_level_char), ['Ġ', 'Ċ', 'ġ', 'ł', 'Ń', 'a']);
        assert_eq!((0..=0x200).filter_map(char::from_u32).filter_map(byte_level_byte).count(), 256);
    }

    fn vocabulary(tokens: impl Iterator<Item = String>) -> Vocabulary {
        let tokens: crate::StringList = tokens.collect();
        let ids = (0..tokens.len() as u32).collect();
        Vocabulary::new(VocabConfig { tokens, ids }).unwrap()
    }

    #[test]
    fn bytes_need_a_token_for_every_byte_of_utf_8() {
        let valid = || (0..=255).filter(|&byte| is_in_utf8(byte));
        let token = |byte| byte_level_char(byte).to_string();
        let ids = ByteIds::new(&vocabulary(valid().map(token)), "").unwrap();
        assert_eq!(ids.inner, ids.last);
        assert_eq!(ids.inner[0x20], 0x20);
        assert!(ByteIds::new(&vocabulary(valid().filter(|&byte| byte != 0xf4).map(token)), "").is_none());
        assert!(ByteIds::new(&vocabulary(valid().map(token)), "$").is_none());
        let both = valid().map(token).chain(valid().map(|byte| token(byte) + "$"));
        let ids = ByteIds::new(&vocabulary(both), "$").unwrap();
        assert_eq!(ids.last[0], 243);
    }

    #[test]
    fn affixes_belong_to_places() {
        let tokens = ["é", "#é", "é$", "#é$", "\u{10ffff}", "a"];
        let characters = Characters::new(&vocabulary(tokens.iter().map(|token| token.to_string())), &[], "#", "$", false);
        assert_eq!(characters.id('é', true, false), Some(0));
        assert_eq!(characters.id('é', false, false), Some(1));
        assert_eq!(characters.id('é', true, true), Some(2));
        assert_eq!(characters.id('é', false, true), Some(3));
        assert_eq!(characters.id('\u{10ffff}', true, false), Some(4));
        assert_eq!(characters.id('a', false, false), None);
    }

    #[test]
    fn each_character_is_told_with_its_id() {
        let tokens = ["é", "ab", "\0", "\u{10ffff}", "a", "漢", "\u{3fff}", "\u{4000}"];
        let characters = Characters::new(&vocabulary(tokens.iter().map(|token| token.to_string())), &[], "", "", false);
        let mut told = Vec::new();
        characters.each(|character, id| told.push((character, id)));
        let expected = [('\0', 2), ('a', 4), ('é', 0), ('\u{3fff}', 6), ('\u{4000}', 7), ('漢', 5), ('\u{10ffff}', 3)];
        assert_eq!(told, expected);
    }
}
