//! The `BertPreTokenizer`: whitespace separates pieces, each punctuation character is one. One pass, O(n).

use super::{whitespace, Emit};
use crate::text::{Align, Piece};
use crate::unicode::is_punctuation;
use crate::Result;

pub(super) fn pre_tokenize<A: Align>(section: Piece<'_, A>, emit: &mut Emit<'_, A>) -> Result<()> {
    whitespace::split_at_whitespace(section, is_punctuation, emit)
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
