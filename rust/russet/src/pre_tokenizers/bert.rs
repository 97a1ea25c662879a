//! The `BertPreTokenizer`: whitespace separates pieces, each punctuation character is one. One pass, O(n).

use super::Emit;
use crate::text::{Align, Piece};
use crate::unicode::{is_punctuation, is_whitespace};
use crate::Result;

pub(super) fn pre_tokenize<A: Align>(section: Piece<'_, A>, emit: &mut Emit<'_, A>) -> Result<()> {
    let mut start = 0;
    for (here, character) in section.text.char_indices() {
        let is_piece = is_punctuation(character);
        if !is_piece && !is_whitespace(character) {
            continue;
        }
        let next = here + character.len_utf8();
        if start < here {
            emit(section.slice(start..here))?;
        }
        if is_piece {
            emit(section.slice(here..next))?;
        }
        start = next;
    }
    if start < section.text.len() {
        emit(section.slice(start..section.text.len()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::{PreTokenizerConfig, SplitBehavior};
    use crate::pre_tokenizers::tests::pieces_at;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_a_whitespace_split_then_isolated_punctuation(text in "[ \u{a0}a.é¿、\n]{0,16}") {
            let two_passes = PreTokenizerConfig::Sequence(vec![
                PreTokenizerConfig::WhitespaceSplit,
                PreTokenizerConfig::Punctuation { behavior: SplitBehavior::Isolated },
            ]);
            prop_assert_eq!(pieces_at(&PreTokenizerConfig::Bert, &text, 3), pieces_at(&two_passes, &text, 3));
        }
    }

    #[test]
    fn symbols_of_ascii_are_punctuation_and_other_symbols_are_not() {
        assert!(is_punctuation('$') && is_punctuation('^') && is_punctuation('。'));
        assert!(!is_punctuation('€') && !is_punctuation('°'));
    }
}
