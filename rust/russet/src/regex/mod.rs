//! Regular expressions in Oniguruma's syntax, with Oniguruma's answers.
//!
//! `tokenizers` compiles the patterns of a tokenizer file with Oniguruma (its own syntax, UTF-8, default options), and a
//! pattern decides where pieces end, so this engine has to find the same matches: the same grammar with its corners, the
//! same Unicode tables (measured, see `generate_unicode.py`), the same order of attempts. What it does not run it refuses
//! when the pattern is compiled.
//!
//! parser -> [`ast`] -> [`tune`] -> [`compiler`] -> [`program`] -> [`matcher`]. Matching is by backtracking, since the order
//! of attempts is the meaning, and linear in the text, since states that led nowhere are remembered once a search turns out
//! to be hard. Only patterns with back-references or unlimited look-behind are not linear; their steps are limited. Where a
//! pattern is one that is known, a scanner does the same much faster: this is the way for all others.

mod analysis;
mod ast;
mod case_fold;
pub(crate) mod charset;
mod class_parser;
mod compiler;
mod lexer;
mod matcher;
mod memo;
#[cfg(test)]
mod naive;
mod parser;
mod program;
pub(crate) mod properties;
mod quirks;
#[cfg(test)]
mod tests;
mod tune;
mod unicode_data;

use crate::Result;
use program::Program;
use std::ops::Range;
use std::sync::Arc;

/// A compiled regular expression. It never changes, so clones share it and any number of threads may use it.
#[derive(Clone, Debug)]
pub struct Regex {
    pattern: Arc<str>,
    program: Arc<Program>,
    can_match_empty: bool,
}

/// Buffers of a search, reused from call to call.
#[derive(Debug, Default)]
pub struct RegexScratch {
    matcher: matcher::Scratch,
}

impl Regex {
    /// Compiles `pattern`. An error names the part of it that is not valid, or valid and not supported.
    pub fn new(pattern: &str) -> Result<Self> {
        let tuned = tune::tune(pattern, parser::parse(pattern)?)?;
        let program = compiler::compile(pattern, &tuned)?;
        let can_match_empty = tune::length(&tuned.root).least == 0;
        Ok(Self { pattern: pattern.into(), program: Arc::new(program), can_match_empty })
    }

    /// The pattern.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// What runs it, for people: such as `memoized backtracking`.
    pub fn engine(&self) -> String {
        let kind = if self.program.remembers { "memoized backtracking" } else { "limited backtracking" };
        format!("{kind}, {} instructions", self.program.insts.len())
    }

    /// Whether a match may be empty; false only if none can be.
    pub fn can_match_empty(&self) -> bool {
        self.can_match_empty
    }

    /// Calls `found` with the byte range of each match in `text`, in order, as the reference iterates: a search starts where
    /// the match before ended, and an empty match there is passed over for a search from the next character on.
    pub fn find_iter(
        &self,
        text: &str,
        scratch: &mut RegexScratch,
        found: &mut dyn FnMut(Range<usize>) -> Result<()>,
    ) -> Result<()> {
        matcher::find_iter(&self.program, &self.pattern, text, &mut scratch.matcher, found)
    }
}
