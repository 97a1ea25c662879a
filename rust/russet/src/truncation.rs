//! Truncation: to which length, from which end, and how the cut parts overlap.

/// From which end tokens are removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TruncationDirection {
    /// The beginning is removed.
    Left,
    /// The end is removed.
    #[default]
    Right,
}

/// Which sequence of a pair loses tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TruncationStrategy {
    /// The longer one, then both.
    #[default]
    LongestFirst,
    /// The first.
    OnlyFirst,
    /// The second.
    OnlySecond,
}

/// `truncation` of a tokenizer file, or of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truncation {
    /// From which end tokens are removed.
    pub direction: TruncationDirection,
    /// The number of tokens that remain at most, special tokens included.
    pub max_length: usize,
    /// Which sequence of a pair loses tokens.
    pub strategy: TruncationStrategy,
    /// How many tokens of a part are repeated at the start of the next.
    pub stride: usize,
}
