//! `Whitespace` (`\w+|[^\w\s]+`: runs of word characters and runs of what is neither word nor space) and `WhitespaceSplit`
//! (whitespace separates pieces). One pass, O(n), no regular expression.

use super::{split, Emit};
use crate::formats::config::SplitBehavior;
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
    split::at_chars(section, SplitBehavior::Removed, is_whitespace, emit)
}

#[cfg(test)]
mod tests {
    use crate::formats::config::PreTokenizerConfig;
    use crate::pre_tokenizers::tests::{pieces_at, texts};

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
