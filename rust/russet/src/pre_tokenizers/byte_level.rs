//! The `ByteLevel` pre-tokenizer, and GPT-2's byte-level characters.
//!
//! Every byte has a printable character: itself where it is a printable character of Latin-1 other than the spaces, and else
//! one of U+0100 … U+0143 in order. The pre-tokenizer may put a space before the section, splits with GPT-2's pattern, and
//! writes each piece's UTF-8 bytes as those characters; all characters of an input character share its record. O(n).
//!
//! Where the vocabulary is kept as raw bytes, [`without_encoding`](ByteLevel::without_encoding) leaves the last step out.

use super::scanners::Scanner;
use super::{Emit, Level};
use crate::text::{Align, Change, Piece};
use crate::Result;

/// GPT-2's splitting pattern.
pub(crate) const GPT2_PATTERN: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The byte-level character of each byte.
const CHARS: [char; 256] = {
    let mut chars = ['\0'; 256];
    let mut byte = 0;
    let mut next = 0x100;
    while byte < 256 {
        let code = if is_printable(byte as u8) {
            byte
        } else {
            next += 1;
            next - 1
        };
        chars[byte as usize] = match char::from_u32(code) {
            Some(character) => character,
            None => panic!("every code up to U+0143 is a character"),
        };
        byte += 1;
    }
    chars
};

/// The byte of each byte-level character, by its code; `NO_BYTE` for the other codes below the last.
const BYTES: [u16; 0x144] = {
    let mut bytes = [NO_BYTE; 0x144];
    let mut byte = 0;
    while byte < 256 {
        bytes[CHARS[byte] as usize] = byte as u16;
        byte += 1;
    }
    bytes
};
const NO_BYTE: u16 = u16::MAX;

/// Whether a byte is its own byte-level character.
const fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

/// The byte-level character of `byte`.
#[inline]
pub(crate) fn byte_to_char(byte: u8) -> char {
    CHARS[byte as usize]
}

/// The byte that `character` stands for, if it is a byte-level character.
#[inline]
pub(crate) fn char_to_byte(character: char) -> Option<u8> {
    let byte = *BYTES.get(character as usize)?;
    u8::try_from(byte).ok()
}

/// `ByteLevel`.
#[derive(Clone, Debug)]
pub(super) struct ByteLevel {
    add_prefix_space: bool,
    use_regex: bool,
    encode: bool,
}

impl ByteLevel {
    pub(super) fn new(add_prefix_space: bool, use_regex: bool) -> Self {
        Self { add_prefix_space, use_regex, encode: true }
    }

    /// The same, but pieces stay raw bytes; `None` if nothing is left to do.
    pub(super) fn without_encoding(&self) -> Option<Self> {
        (self.add_prefix_space || self.use_regex).then(|| Self { encode: false, ..self.clone() })
    }

    /// Whether this does nothing but split with GPT-2's pattern.
    pub(super) fn only_splits(&self) -> bool {
        self.use_regex && !self.add_prefix_space && !self.encode
    }

    /// The regular expression and what runs it.
    pub(super) fn regex(&self) -> Option<(&str, String)> {
        self.use_regex.then(|| (GPT2_PATTERN, Scanner::Gpt2.engine()))
    }

    pub(super) fn pre_tokenize<A: Align>(&self, section: Piece<'_, A>, level: &mut Level<A>, emit: &mut Emit<'_, A>) -> Result<()> {
        let Level { ends, section: spaced, piece: encoded, .. } = level;
        let mut section = section;
        if self.add_prefix_space && !section.text.starts_with(' ') {
            spaced.reset_to(section);
            spaced.prepend(" ");
            section = spaced.as_piece();
        }
        let mut give = |piece: Piece<'_, A>| {
            if !self.encode || (piece.hollow == 0 && piece.text.bytes().all(|byte| byte.is_ascii_graphic())) {
                return emit(piece);
            }
            encoded.reset_to(piece);
            encoded.transform(byte_level_chars(piece.text), 0);
            emit(encoded.as_piece())
        };
        if !self.use_regex {
            return give(section);
        }
        Scanner::Gpt2.find_iter(section.text, ends, &mut |found| give(section.slice(found)))
    }
}

/// The text that a text becomes: the first byte of each character replaces it, the other bytes are inserted after that.
fn byte_level_chars(text: &str) -> impl Iterator<Item = Change> + '_ {
    text.bytes().map(|byte| (byte_to_char(byte), isize::from(byte & 0xC0 == 0x80)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::{PreTokenizerConfig, SplitBehavior};
    use crate::pre_tokenizers::tests::{pieces_at, texts};
    use crate::pre_tokenizers::{PreTokenizer, PreTokenizerScratch};
    use crate::text::{NormalizedText, Span};
    use proptest::prelude::*;

    fn byte_level(add_prefix_space: bool, use_regex: bool) -> PreTokenizerConfig {
        PreTokenizerConfig::ByteLevel { add_prefix_space, trim_offsets: true, use_regex }
    }

    #[test]
    fn bytes_and_characters_are_a_bijection() {
        let mut chars: Vec<char> = (0..=255).map(byte_to_char).collect();
        for byte in 0..=255 {
            assert_eq!(char_to_byte(byte_to_char(byte)), Some(byte));
        }
        chars.sort_unstable();
        chars.dedup();
        assert_eq!(chars.len(), 256);
        assert_eq!((byte_to_char(b' '), byte_to_char(b'\n'), byte_to_char(0xAD)), ('Ġ', 'Ċ', '\u{143}'));
        assert_eq!(('\0'..=char::MAX).filter(|&character| char_to_byte(character).is_some()).count(), 256);
    }

    #[test]
    fn all_bytes_of_a_character_share_its_record() {
        let pieces = pieces_at(&byte_level(false, false), "aé ", 5);
        assert_eq!(pieces, [("aÃ©Ġ".to_owned(), 5..9)]);
        let config = PreTokenizerConfig::Sequence(vec![byte_level(false, false), PreTokenizerConfig::FixedLength { length: 1 }]);
        let pieces = pieces_at(&config, "aé ", 5);
        let expected = [("a", 5..6), ("Ã", 6..8), ("©", 6..8), ("Ġ", 8..9)];
        assert_eq!(pieces, expected.map(|(piece, source)| (piece.to_owned(), source)));
    }

    #[test]
    fn a_prefix_space_shares_the_record_of_the_first_character() {
        assert_eq!(pieces_at(&byte_level(true, false), "éa", 0), [("ĠÃ©a".to_owned(), 0..3)]);
        assert_eq!(texts(&byte_level(true, false), " a"), ["Ġa"]);
        assert_eq!(texts(&byte_level(true, false), "\ta"), ["Ġĉa"]);
    }

    #[test]
    fn raw_bytes_only_where_the_encoding_comes_last() {
        let compile = |config: &PreTokenizerConfig| PreTokenizer::from_config(config).unwrap().without_byte_level();
        assert!(compile(&PreTokenizerConfig::Whitespace).is_none());
        let digits = PreTokenizerConfig::Digits { individual_digits: true };
        assert!(compile(&PreTokenizerConfig::Sequence(vec![byte_level(false, false), digits.clone()])).is_none());
        assert!(compile(&PreTokenizerConfig::Sequence(vec![digits, byte_level(true, false)])).is_some());
        assert!(compile(&byte_level(false, false)).is_some());
    }

    proptest! {
        #[test]
        fn raw_bytes_encode_to_the_same_pieces(text in "[ aé中\n]{0,12}", add_prefix_space: bool) {
            let punctuation = PreTokenizerConfig::Punctuation { behavior: SplitBehavior::Isolated };
            let config = PreTokenizerConfig::Sequence(vec![punctuation, byte_level(add_prefix_space, false)]);
            let raw = PreTokenizer::from_config(&config).unwrap().without_byte_level().unwrap();
            let mut section = NormalizedText::<Span>::new();
            section.reset(&text, 0);
            let mut pieces = Vec::new();
            raw.pre_tokenize(section.as_piece(), &mut PreTokenizerScratch::default(), &mut |piece| {
                let encoded: String = piece.text.bytes().map(byte_to_char).collect();
                pieces.push((encoded, piece.source(0..piece.text.len()).unwrap()));
                Ok(())
            }).unwrap();
            prop_assert_eq!(pieces, pieces_at(&config, &text, 0));
        }
    }
}
