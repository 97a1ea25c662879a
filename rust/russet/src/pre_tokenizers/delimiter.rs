//! The `CharDelimiterSplit` pre-tokenizer: one character separates pieces. O(n).

use super::{split, Emit};
use crate::formats::config::SplitBehavior;
use crate::text::{Align, Piece};
use crate::Result;

/// `CharDelimiterSplit`.
#[derive(Clone, Debug)]
pub(super) struct Delimiter {
    delimiter: char,
}

impl Delimiter {
    pub(super) fn new(delimiter: char) -> Self {
        Self { delimiter }
    }

    pub(super) fn pre_tokenize<A: Align>(&self, section: Piece<'_, A>, emit: &mut Emit<'_, A>) -> Result<()> {
        split::at_chars(section, SplitBehavior::Removed, |character| character == self.delimiter, emit)
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::config::PreTokenizerConfig;
    use crate::pre_tokenizers::tests::texts;

    #[test]
    fn the_delimiter_is_dropped() {
        assert_eq!(texts(&PreTokenizerConfig::Delimiter { delimiter: 'é' }, "éaééb"), ["a", "b"]);
    }
}
