//! What the tests of all models share: a sink that keeps everything.

use super::TokenSink;
use std::ops::Range;

/// Each token as id, start, end, surface.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens(pub(super) Vec<(u32, usize, usize, bool)>);

impl TokenSink for Tokens {
    fn token(&mut self, id: u32, range: Range<usize>, surface: bool) {
        self.0.push((id, range.start, range.end, surface));
    }
}
