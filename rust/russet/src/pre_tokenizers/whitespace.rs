//! `Whitespace` (`\w+|[^\w\s]+`: runs of word characters and runs of what is neither word nor space) and `WhitespaceSplit`
//! (whitespace separates pieces). One pass, O(n), no regular expression. Long runs of spaces are passed over.

use super::Emit;
use crate::text::{Align, Piece};
use crate::unicode::{is_whitespace, is_word};
use crate::Result;

/// `Whitespace`.
pub(super) fn pre_tokenize<A: Align>(section: Piece<'_, A>, emit: &mut Emit<'_, A>) -> Result<()> {
    // The run that is open: where it began, and whether of word characters.
    let mut open: Option<(usize, bool)> = None;
    for (here, character) in section.text.char_indices() {
        let is_word = is_word(character);
        if matches!(open, Some((_, was_word)) if was_word == is_word) && (is_word || !is_whitespace(character)) {
            continue;
        }
        if let Some((start, _)) = open.take() {
            emit(section.slice(start..here))?;
        }
        if is_word || !is_whitespace(character) {
            open = Some((here, is_word));
        }
    }
    match open {
        Some((start, _)) => emit(section.slice(start..section.text.len())),
        None => Ok(()),
    }
}

/// `WhitespaceSplit`.
pub(super) fn pre_tokenize_split<A: Align>(section: Piece<'_, A>, emit: &mut Emit<'_, A>) -> Result<()> {
    split_at_whitespace(section, |_| false, emit)
}

/// Gives what lies between white space, and each character by itself that `is_piece`.
#[inline(always)]
pub(super) fn split_at_whitespace<A: Align>(
    section: Piece<'_, A>,
    is_piece: impl Fn(char) -> bool,
    emit: &mut Emit<'_, A>,
) -> Result<()> {
    let text = section.text;
    let mut start = 0;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let is_piece = is_piece(character);
        if !is_piece && !is_whitespace(character) {
            continue;
        }
        let rest = characters.as_str();
        let next = text.len() - rest.len();
        let here = next - character.len_utf8();
        if start < here {
            emit(section.slice(start..here))?;
        }
        if is_piece {
            emit(section.slice(here..next))?;
        }
        start = next;
        if character == ' ' {
            let spaces = leading_spaces(rest.as_bytes());
            characters = rest.get(spaces..).unwrap_or_default().chars();
            start += spaces;
        }
    }
    if start < text.len() {
        emit(section.slice(start..text.len()))?;
    }
    Ok(())
}

/// How many spaces a text begins with.
#[inline(always)]
fn leading_spaces(text: &[u8]) -> usize {
    const BLOCK: usize = 32;
    if text.first() != Some(&b' ') {
        return 0;
    }
    let blocks = BLOCK * text.chunks_exact(BLOCK).take_while(|block| *block == [b' '; BLOCK]).count();
    blocks + text[blocks..].iter().take_while(|byte| **byte == b' ').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::{PreTokenizerConfig, SplitBehavior};
    use crate::pre_tokenizers::split;
    use crate::pre_tokenizers::tests::{pieces_at, texts};
    use crate::text::NormalizedText;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_of_spaces_are_passed_over(parts in proptest::collection::vec((0usize..90, "[\u{a0}a.é\t\n]{0,3}"), 0..5)) {
            let text: String = parts.iter().map(|(spaces, text)| " ".repeat(*spaces) + text).collect();
            let mut section = NormalizedText::<()>::new();
            section.reset(&text, 0);
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            pre_tokenize_split(section.as_piece(), &mut |piece: Piece<'_, ()>| { found.push(piece.text.to_owned()); Ok(()) }).unwrap();
            let mut collect = |piece: Piece<'_, ()>| { expected.push(piece.text.to_owned()); Ok(()) };
            split::at_chars(section.as_piece(), SplitBehavior::Removed, is_whitespace, &mut collect).unwrap();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn runs_of_words_and_of_the_rest() {
        assert_eq!(texts(&PreTokenizerConfig::Whitespace, "Hé_1, ??! x"), ["Hé_1", ",", "??!", "x"]);
        assert_eq!(texts(&PreTokenizerConfig::Whitespace, " \t"), [""; 0]);
        assert_eq!(texts(&PreTokenizerConfig::Whitespace, "a\u{301}\u{200d}b-"), ["a\u{301}\u{200d}b", "-"]);
    }

    #[test]
    fn only_whitespace_separates() {
        let pieces = pieces_at(&PreTokenizerConfig::WhitespaceSplit, " a,b\u{a0}\u{3000}é", 2);
        assert_eq!(pieces, [("a,b".to_owned(), 3..6), ("é".to_owned(), 11..13)]);
    }
}
