//! The classes of characters that the known patterns tell apart.
//!
//! [`class_tables`](super::class_tables) sorts every character beyond ASCII into one of 26 classes; a character costs two loads (three beyond
//! U+FFFF) from tables of 30 KB, of which a text in one script touches a few hundred bytes. A [`ClassMap`] says what the classes
//! are for one family of patterns: one *kind* for each, a bit of a byte, so that a run of several kinds is one test. The sets are
//! those of the regular expressions, not the compiler's; a test compares them character by character.

use super::class_tables::{
    ASCII, BLOCKS, BLOCK_PAGES, BLOOM_STOP, CLASSES, DEEPSEEK_CJK, HAN as HAN_PROPERTY, LEAVES, LETTER, LOWER, MARK, NUMBER,
    NUMERIC, PAGES, SPACE, SYMBOL, UPPER, WORD,
};

/// Kinds: the bits that a character's class is mapped to. Each family uses some of them; the end of the text has none.
pub(super) mod kind {
    /// A letter, or whatever else a family takes for one. Where case matters also [`UPPER`] or [`LOWER`], or neither: then it
    /// may stand for both.
    pub(in super::super) const LETTER: u8 = 1;
    /// A letter of upper or title case.
    pub(in super::super) const UPPER: u8 = 2;
    /// A letter of lower case.
    pub(in super::super) const LOWER: u8 = 4;
    /// A combining mark, where it is neither always a letter nor always something else.
    pub(in super::super) const MARK: u8 = 8;
    /// A number.
    pub(in super::super) const NUMBER: u8 = 16;
    /// White space other than carriage return and line feed.
    pub(in super::super) const BLANK: u8 = 32;
    /// Carriage return, line feed.
    pub(in super::super) const BREAK: u8 = 64;
    /// What is none of the others.
    pub(in super::super) const OTHER: u8 = 128;

    /// White space.
    pub(in super::super) const SPACE: u8 = BLANK | BREAK;
    /// Punctuation and symbols, for DeepSeek, which tells them from what is none of the others.
    pub(in super::super) const SYMBOL: u8 = MARK;
    /// Chinese characters and kana, for DeepSeek: a bit beside the others.
    pub(in super::super) const CJK: u8 = UPPER;
}

/// What a family of patterns tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Classes {
    /// Letters, numbers, the rest.
    Letters,
    /// The same, marks being letters.
    LettersAndMarks,
    /// The same with case, marks apart.
    Cased,
    /// The same, what is of the script Han having both cases.
    CasedWithHan,
    /// Letters, the rest; whatever `Digits` isolates is a number.
    Isolated,
    /// DeepSeek's: letters and marks, symbols, the rest, and whether Chinese or kana.
    DeepSeek,
    /// BLOOM's: everything is a letter but white space and its stops.
    Bloom,
}

/// The kind of each character of ASCII and of each class of the others.
#[derive(Debug)]
pub(super) struct ClassMap {
    pub(super) ascii: [u8; 128],
    pub(super) wide: [u8; 32],
}

impl ClassMap {
    pub(super) const fn new(classes: Classes) -> Self {
        let mut map = Self { ascii: [0; 128], wide: [0; 32] };
        let mut code = 0;
        while code < 128 {
            let is_break = code == b'\n' as usize || code == b'\r' as usize;
            map.ascii[code] = if is_break { kind::BREAK } else { kind_of(classes, ASCII[code]) };
            code += 1;
        }
        let mut class = 0;
        while class < 32 {
            map.wide[class] = kind_of(classes, CLASSES[class]);
            class += 1;
        }
        map
    }
}

/// The kind of a character with these properties, if it is no line break.
const fn kind_of(classes: Classes, properties: u16) -> u8 {
    const fn has(properties: u16, wanted: u16) -> bool {
        properties & wanted != 0
    }
    if has(properties, SPACE) {
        return kind::BLANK;
    }
    match classes {
        Classes::Letters if has(properties, LETTER) => kind::LETTER,
        Classes::LettersAndMarks if has(properties, LETTER | MARK) => kind::LETTER,
        Classes::Letters | Classes::LettersAndMarks if has(properties, NUMBER) => kind::NUMBER,
        Classes::Cased if has(properties, UPPER) => kind::LETTER | kind::UPPER,
        Classes::Cased if has(properties, LOWER) => kind::LETTER | kind::LOWER,
        Classes::Cased if has(properties, LETTER) => kind::LETTER,
        Classes::Cased if has(properties, MARK) => kind::MARK,
        Classes::Cased if has(properties, NUMBER) => kind::NUMBER,
        Classes::CasedWithHan => {
            let kind = kind_of(Classes::Cased, properties);
            kind | if has(properties, HAN_PROPERTY) { kind::UPPER | kind::LOWER } else { 0 }
        }
        Classes::Isolated if has(properties, NUMERIC) => kind::NUMBER,
        Classes::Isolated if has(properties, LETTER) => kind::LETTER,
        Classes::DeepSeek => {
            let kind = if has(properties, NUMBER) {
                kind::NUMBER
            } else if has(properties, LETTER | MARK) {
                kind::LETTER
            } else if has(properties, SYMBOL) {
                kind::SYMBOL
            } else {
                kind::OTHER
            };
            kind | if has(properties, DEEPSEEK_CJK) { kind::CJK } else { 0 }
        }
        Classes::Bloom if !has(properties, BLOOM_STOP) => kind::LETTER,
        _ => kind::OTHER,
    }
}

/// The class of the character beyond ASCII that begins at `start`, and its length in bytes.
#[inline(always)]
pub(super) fn wide_class(text: &[u8], start: usize) -> (u8, usize) {
    let low_bits = |index: usize| usize::from(text[start + index] & 0x3F);
    let head = low_bits(0) << 6 | low_bits(1);
    match text[start] {
        // The page of a character of two bytes holds nothing but its class, whose number is also the page's.
        0..0xE0 => (PAGES[head], 2),
        0xE0..0xF0 => (LEAVES[usize::from(PAGES[head]) << 6 | low_bits(2)], 3),
        _ => {
            let block = usize::from(BLOCKS[(head & 0x1FF) - 16]);
            let page = usize::from(BLOCK_PAGES[block << 6 | low_bits(2)]);
            (LEAVES[page << 6 | low_bits(3)], 4)
        }
    }
}

/// The class of the character of two or three bytes that `bytes` (the first is the lowest) begin with.
#[inline(always)]
pub(super) fn class_of_head(bytes: u32) -> u8 {
    let low_bits = |index: u32| (bytes >> (8 * index) & 0x3F) as usize;
    // The page of a character of two bytes is full of its class, so the third byte is of no matter.
    LEAVES[usize::from(PAGES[low_bits(0) << 6 | low_bits(1)]) << 6 | low_bits(2)]
}

/// The classes of the 64 characters that begin with `lead` (if they have two bytes), or with `lead` and `second` (of three).
#[inline(always)]
pub(super) fn row_of_classes(lead: u8, second: u8) -> &'static [u8; 64] {
    let row = usize::from(lead & 0x3F);
    // The page of a character of two bytes is its class.
    if lead < 0xE0 {
        return &PAGES.as_chunks().0[row];
    }
    &LEAVES.as_chunks().0[usize::from(PAGES[row << 6 | usize::from(second & 0x3F)])]
}

/// The first two bytes of the characters U+4E00 to U+9F7F, which are all of class [`HAN_CLASS`].
pub(super) const HAN: [[u8; 2]; 2] = [[0xE4, 0xB8], [0xE9, 0xBD]];
pub(super) const HAN_CLASS: u8 = class_of_properties(LETTER | HAN_PROPERTY | DEEPSEEK_CJK | WORD);
/// Those of the characters U+AC00 to U+D77F, which are all of class [`HANGUL_CLASS`].
pub(super) const HANGUL: [[u8; 2]; 2] = [[0xEA, 0xB0], [0xED, 0x9D]];
pub(super) const HANGUL_CLASS: u8 = class_of_properties(LETTER | WORD);

/// Hiragana and Katakana U+3041 to U+3096 and U+30A1 to U+30FA, all of class [`KANA_CLASS`]: the first byte, and for each second
/// byte the third ones.
pub(super) const KANA_LEAD: u8 = 0xE3;
pub(super) const KANA: [[u8; 3]; 4] = [[0x81, 0x81, 0xBF], [0x82, 0x80, 0x96], [0x82, 0xA1, 0xBF], [0x83, 0x80, 0xBA]];
pub(super) const KANA_CLASS: u8 = class_of_properties(LETTER | DEEPSEEK_CJK | WORD);

const fn class_of_properties(properties: u16) -> u8 {
    let mut class = 0;
    while CLASSES[class as usize] != properties {
        class += 1;
    }
    class
}

/// A text and the kinds of its characters.
#[derive(Clone, Copy)]
pub(super) struct Kinds<'t> {
    /// UTF-8.
    pub(super) text: &'t [u8],
    pub(super) map: &'static ClassMap,
}

impl Kinds<'_> {
    /// The kind of the character that begins at `start`, and where it ends. At the end of the text: none, and the same place.
    #[inline(always)]
    pub(super) fn at(&self, start: usize) -> (u8, usize) {
        match self.text.get(start) {
            None => (0, start),
            Some(&byte) if byte < 0x80 => (self.map.ascii[usize::from(byte)], start + 1),
            Some(_) => {
                let (class, length) = wide_class(self.text, start);
                (self.map.wide[usize::from(class)], start + length)
            }
        }
    }

    /// Where the run of characters of `kinds` ends that goes on at `start`.
    #[inline(always)]
    pub(super) fn run(&self, mut start: usize, kinds: u8) -> usize {
        loop {
            let (kind, next) = self.at(start);
            if kind & kinds == 0 {
                return start;
            }
            start = next;
        }
    }

    /// The byte at `start`; 0 at the end of the text.
    #[inline(always)]
    pub(super) fn byte(&self, start: usize) -> u8 {
        self.text.get(start).copied().unwrap_or(0)
    }
}
