//! Regular expressions in Oniguruma's syntax.
use crate::{Error, Result};

/// A compiled regular expression.
#[derive(Debug)]
pub struct Regex {}

/// Buffers of a search, reused from call to call.
#[derive(Debug, Default)]
pub struct RegexScratch {}

impl Regex {
    /// Compiles `pattern`.
    pub fn new(_pattern: &str) -> Result<Self> {
        Err(Error::Internal("skeleton".into()))
    }

    /// The pattern.
    pub fn as_str(&self) -> &str {
        ""
    }

    /// What runs it, for people: such as `memoized backtracking`.
    pub fn engine(&self) -> String {
        String::new()
    }

    /// Calls `found` with the byte range of each match in `text`, in order, as the reference iterates: an empty match is
    /// reported and the search goes on one character later.
    pub fn find_iter(
        &self,
        _text: &str,
        _scratch: &mut RegexScratch,
        _found: &mut dyn FnMut(std::ops::Range<usize>) -> Result<()>,
    ) -> Result<()> {
        Ok(())
    }
}
