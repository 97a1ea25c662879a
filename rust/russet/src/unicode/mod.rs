//! What the reference holds for true of characters.
//!
//! It mixes several Unicode versions: its compiler's for white space, numbers and lower case, version 8 for punctuation, marks
//! and controls, its normalization crate's for the forms. Results must not depend on this crate's compiler, so nothing here asks
//! `char`: the tables are measured (see `generate_tables.py`), one entry per code point in blocks of 128, equal blocks stored once.
//!
//! A question costs two loads from tables of 40 KB, of which a text in one script touches a few hundred bytes, and a third from
//! one of a hundred bytes. It is the wrong place to ask about a pattern's classes: those are Oniguruma's (`crate::regex`).

mod tables;

use tables::{
    BLOCK, DELTAS, FLAGS, FLAG_BLOCKS, FLAG_SETS, LOWER_BLOCKS, LOWER_DELTAS, NUMERIC, PUNCTUATION, SCRIPTS, SCRIPT_BLOCKS, WORD,
};
pub(crate) use tables::{CHINESE, COMBINING_MARK, CONTROL, KEPT_MARK, LOWERCASED, MARK_NONSPACING, STANDS_ALONE, WHITESPACE};
pub(crate) use tables::{NFC_ACTIVE, NFD_ACTIVE, NFKC_ACTIVE, NFKD_ACTIVE};

/// The properties of `character`, as bits of the constants here and in [`tables`].
#[inline(always)]
pub(crate) fn flags(character: char) -> u16 {
    FLAGS[usize::from(FLAG_SETS[entry(&FLAG_BLOCKS, character as usize)])]
}

/// Where a table of blocks has the entry for `code_point`.
#[inline(always)]
fn entry(blocks: &[u8], code_point: usize) -> usize {
    usize::from(blocks[code_point / BLOCK]) * BLOCK + code_point % BLOCK
}

/// White space: `char::is_whitespace`, and `\s` where the reference uses the regex crate (added tokens, `Whitespace`).
#[inline(always)]
pub(crate) fn is_whitespace(character: char) -> bool {
    match character as u32 {
        code @ 0..128 => matches!(code, 9..=13 | 32),
        _ => flags(character) & WHITESPACE != 0,
    }
}

/// `\w` where the reference uses the regex crate: `Whitespace`, and `single_word` of added tokens.
#[inline(always)]
pub(crate) fn is_word(character: char) -> bool {
    flags(character) & WORD != 0
}

/// Punctuation as in `BertPreTokenizer` and `Punctuation`: ASCII's, symbols included, and Unicode 8's categories P*.
#[inline(always)]
pub(crate) fn is_punctuation(character: char) -> bool {
    flags(character) & PUNCTUATION != 0
}

/// Numbers as in `Digits`: `char::is_numeric`, the categories Nd, Nl and No.
#[inline(always)]
pub(crate) fn is_numeric(character: char) -> bool {
    flags(character) & NUMERIC != 0
}

/// Combining marks as in `StripAccents`: the category M of the normalization crate's Unicode version.
#[inline(always)]
pub(crate) fn is_combining_mark(character: char) -> bool {
    flags(character) & COMBINING_MARK != 0
}

/// The lower case of a character: itself or another, and in one case (U+0130) a combining dot after it.
#[inline(always)]
pub(crate) fn to_lowercase(character: char) -> (char, Option<char>) {
    let code = character as usize;
    if code < 128 {
        return (character.to_ascii_lowercase(), None);
    }
    if code / BLOCK >= LOWER_BLOCKS.len() {
        return (character, None);
    }
    let delta = DELTAS[usize::from(LOWER_DELTAS[entry(&LOWER_BLOCKS, code)])];
    let lower = (character as u32).checked_add_signed(delta).and_then(char::from_u32).unwrap_or(character);
    match character {
        '\u{130}' => ('i', Some('\u{307}')),
        _ => (lower, None),
    }
}

/// A script as `UnicodeScripts` tells them apart: Hiragana, Katakana and the mark U+30FC are Han.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Script(u8);

impl Script {
    /// Spaces and unassigned characters: they go with whatever they follow.
    pub(crate) const ANY: Script = Script(0);
}

/// The script of a character.
#[inline(always)]
pub(crate) fn script(character: char) -> Script {
    Script(SCRIPTS[entry(&SCRIPT_BLOCKS, character as usize)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_normalization_alignments::char::{canonical_combining_class, is_combining_mark as is_mark};
    use unicode_normalization_alignments::{is_nfc_quick, is_nfd_quick, is_nfkc_quick, is_nfkd_quick, IsNormalized};

    use unicode_segmentation::UnicodeSegmentation;

    fn every_char() -> impl Iterator<Item = char> {
        '\0'..=char::MAX
    }

    #[test]
    fn the_forms_and_marks_are_those_of_the_normalization_crate() {
        type QuickCheck = fn(std::iter::Once<char>) -> IsNormalized;
        let forms: [(u16, QuickCheck); 4] =
            [(NFD_ACTIVE, is_nfd_quick), (NFKD_ACTIVE, is_nfkd_quick), (NFC_ACTIVE, is_nfc_quick), (NFKC_ACTIVE, is_nfkc_quick)];
        for character in every_char() {
            let class = canonical_combining_class(character);
            for (flag, quick) in forms {
                let active = class != 0 || quick(std::iter::once(character)) != IsNormalized::Yes;
                assert_eq!(flags(character) & flag != 0, active, "{character:?} {flag:#x}");
            }
            assert_eq!(is_combining_mark(character), is_mark(character), "{character:?}");
        }
    }

    #[test]
    fn shortcuts_for_ascii_agree_with_the_tables() {
        for character in '\0'..='\x7f' {
            assert_eq!(is_whitespace(character), flags(character) & WHITESPACE != 0, "{character:?}");
            assert_eq!(to_lowercase(character) != (character, None), flags(character) & LOWERCASED != 0, "{character:?}");
            assert_eq!(is_punctuation(character), character.is_ascii_punctuation(), "{character:?}");
            assert_eq!(is_word(character), character.is_ascii_alphanumeric() || character == '_', "{character:?}");
        }
    }

    #[test]
    fn lower_case_is_flagged() {
        for character in every_char() {
            assert_eq!(to_lowercase(character) != (character, None), flags(character) & LOWERCASED != 0, "{character:?}");
        }
        assert_eq!(to_lowercase('\u{130}'), ('i', Some('\u{307}')));
        assert_eq!(to_lowercase('\u{10a0}'), ('\u{2d00}', None));
        assert_eq!(to_lowercase('\u{3a3}'), ('\u{3c3}', None));
    }

    #[test]
    fn properties_of_known_characters() {
        assert!(is_whitespace('\u{3000}') && is_whitespace('\u{85}') && !is_whitespace('\u{200b}'));
        assert!(is_numeric('\u{bd}') && is_numeric('\u{216b}') && !is_numeric('\u{4e00}'));
        assert!(is_punctuation('\u{3002}') && !is_punctuation('\u{20ac}'));
        assert!(is_word('\u{200d}') && is_word('\u{301}') && !is_word('\u{2014}'));
        for (character, expected) in [('\u{ad}', CONTROL), ('\u{301}', MARK_NONSPACING), ('\u{4e00}', CHINESE)] {
            assert_eq!(flags(character) & (CONTROL | MARK_NONSPACING | CHINESE), expected, "{character:?}");
        }
        assert_eq!(flags('\u{2b820}') & CHINESE, 0, "the reference's ranges leave out 2B820..2B91F");
    }

    /// A character that joins neither a letter after it, nor one before it, nor itself, is of a class that never joins another
    /// such character: the classes that join some of their own kind or letters are all that are left out.
    #[test]
    fn what_stands_alone_joins_no_neighbour() {
        let clusters = |text: String| text.graphemes(true).count();
        let joining: Vec<char> = every_char()
            .filter(|&character| flags(character) & STANDS_ALONE != 0)
            .filter(|&character| clusters(format!("a{character}a")) != 3 || clusters(format!("{character}{character}")) != 2)
            .collect();
        assert_eq!(joining, []);
    }

    #[test]
    fn scripts_follow_the_reference() {
        for character in ['\u{3042}', '\u{30ab}', '\u{30fc}'] {
            assert_eq!(script(character), script('\u{4e00}'));
        }
        assert_eq!(script(' '), Script::ANY);
        assert_ne!(script('\n'), Script::ANY);
        assert_eq!(script('1'), script('!'));
        assert_ne!(script('a'), script('\u{3b1}'));
    }
}
