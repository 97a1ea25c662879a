//! The `Digits` pre-tokenizer: separates numeric characters (Unicode's Nd, Nl and No) from the rest, each alone or in runs. O(n).

use super::{split, Emit};
use crate::formats::config::SplitBehavior;
use crate::text::{Align, Piece};
use crate::unicode::is_numeric;
use crate::Result;

/// `Digits`.
#[derive(Clone, Debug)]
pub(super) struct Digits {
    behavior: SplitBehavior,
}

impl Digits {
    pub(super) fn new(individual_digits: bool) -> Self {
        Self { behavior: if individual_digits { SplitBehavior::Isolated } else { SplitBehavior::Contiguous } }
    }

    /// Whether each digit is a piece.
    pub(super) fn are_individual(&self) -> bool {
        self.behavior == SplitBehavior::Isolated
    }

    pub(super) fn pre_tokenize<A: Align>(&self, section: Piece<'_, A>, emit: &mut Emit<'_, A>) -> Result<()> {
        split::at_chars(section, self.behavior, is_numeric, emit)
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::config::PreTokenizerConfig;
    use crate::pre_tokenizers::tests::texts;

    #[test]
    fn alone_or_in_runs() {
        let pieces = |individual_digits| texts(&PreTokenizerConfig::Digits { individual_digits }, "ab12½c٣");
        assert_eq!(pieces(true), ["ab", "1", "2", "½", "c", "٣"]);
        assert_eq!(pieces(false), ["ab", "12½", "c", "٣"]);
    }
}
