//! The `Punctuation` pre-tokenizer: cuts at each punctuation character of ASCII or Unicode. O(n).

use super::{split, Emit};
use crate::formats::config::SplitBehavior;
use crate::text::{Align, Piece};
use crate::unicode::is_punctuation;
use crate::Result;

/// `Punctuation`.
#[derive(Clone, Debug)]
pub(super) struct Punctuation {
    behavior: SplitBehavior,
}

impl Punctuation {
    pub(super) fn new(behavior: SplitBehavior) -> Self {
        Self { behavior }
    }

    pub(super) fn pre_tokenize<A: Align>(&self, section: Piece<'_, A>, emit: &mut Emit<'_, A>) -> Result<()> {
        split::at_chars(section, self.behavior, is_punctuation, emit)
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::config::{PreTokenizerConfig, SplitBehavior};
    use crate::pre_tokenizers::tests::texts;

    #[test]
    fn cuts_as_its_behavior_says() {
        let pieces = |behavior| texts(&PreTokenizerConfig::Punctuation { behavior }, "a?!b，c");
        assert_eq!(pieces(SplitBehavior::Isolated), ["a", "?", "!", "b", "，", "c"]);
        assert_eq!(pieces(SplitBehavior::Contiguous), ["a", "?!", "b", "，", "c"]);
    }
}
