//! How large a tokenizer file may be, before anything of that size is allocated.

use crate::{Error, Result};

/// The limits that the loaders check. The defaults are far above every published tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The size of a file in bytes.
    pub file_bytes: u64,
    /// The number of tokens in a vocabulary; also that of merges, and that of added tokens.
    pub vocabulary: u64,
    /// The length of one token in bytes.
    pub token_bytes: u64,
    /// The number of JSON values in a part that is not the model, such as `normalizer`.
    pub component_values: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 256 << 20, vocabulary: 16 << 20, token_bytes: 64 << 10, component_values: 1 << 20 }
    }
}

impl Limits {
    /// Fails if a file is too large.
    pub(super) fn check_file(&self, bytes: u64) -> Result<()> {
        check("the file's size in bytes", bytes, self.file_bytes)
    }

    /// Fails if a vocabulary (or a list of merges) has too many entries.
    pub(super) fn check_vocabulary(&self, what: &'static str, entries: usize) -> Result<()> {
        check(what, entries as u64, self.vocabulary)
    }

    /// Fails if a token is too long.
    pub(super) fn check_token(&self, bytes: usize) -> Result<()> {
        check("the length of a token in bytes", bytes as u64, self.token_bytes)
    }
}

/// Fails if `value` is above `limit`.
pub(super) fn check(what: &'static str, value: u64, limit: u64) -> Result<()> {
    if value > limit {
        return Err(Error::Limit { what, value, limit });
    }
    Ok(())
}
