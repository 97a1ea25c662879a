//! A file that is to be compiled at once: what its readers found out besides what it says.

use super::config::Config;
use crate::string_index::StringIndex;

/// A file, and what need not be looked up again.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Without the merges if they are below.
    pub config: Config,
    pub merges: Option<PlacedMerges>,
}

/// The merges of a BPE model without `continuing_subword_prefix`: no part is empty, and all is in the vocabulary.
#[derive(Debug)]
pub(crate) struct PlacedMerges {
    /// Where the tokens of the vocabulary are, which are distinct.
    pub index: StringIndex,
    /// The places of the two parts and of what they make, for each merge.
    pub places: Vec<[u32; 3]>,
}
