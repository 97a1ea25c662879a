//! The `FixedLength` pre-tokenizer: pieces of a fixed number of characters, the last one possibly shorter. O(n).

use super::Emit;
use crate::text::{Align, Piece};
use crate::{Error, Result};

/// `FixedLength`.
#[derive(Clone, Debug)]
pub(super) struct FixedLength {
    length: usize,
}

impl FixedLength {
    pub(super) fn new(length: usize) -> Result<Self> {
        if length == 0 {
            return Err(Error::config("length", "0 characters cannot make a piece; the length must be at least 1"));
        }
        Ok(Self { length })
    }

    pub(super) fn pre_tokenize<A: Align>(&self, section: Piece<'_, A>, emit: &mut Emit<'_, A>) -> Result<()> {
        let mut start = 0;
        let mut missing = self.length;
        for (here, _) in section.text.char_indices() {
            if missing == 0 {
                emit(section.slice(start..here))?;
                start = here;
                missing = self.length;
            }
            missing -= 1;
        }
        emit(section.slice(start..section.text.len()))
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::config::PreTokenizerConfig;
    use crate::pre_tokenizers::tests::texts;

    #[test]
    fn counts_characters() {
        let pieces = |length, text| texts(&PreTokenizerConfig::FixedLength { length }, text);
        assert_eq!(pieces(2, "aéb中c"), ["aé", "b中", "c"]);
        assert_eq!(pieces(2, "aé"), ["aé"]);
        assert_eq!(pieces(usize::MAX, "aé"), ["aé"]);
        assert_eq!(pieces(1, ""), [""; 0]);
    }
}
