//! Truncation: to which length, from which end, and how the cut parts overlap.

use crate::{Encoding, Error, Result};

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

impl Truncation {
    /// Cuts a sequence or a pair, special tokens not counted.
    ///
    /// # Errors
    /// [`Error::Argument`] if `stride` is not below the length that remains, or if a strategy that cuts one sequence cannot
    /// reach the length.
    pub(crate) fn apply(&self, first: &mut Encoding, second: Option<&mut Encoding>, max_length: usize) -> Result<()> {
        let (stride, direction) = (self.stride, self.direction);
        let lengths = (first.len(), second.as_ref().map_or(0, |second| second.len()));
        let total = lengths.0 + lengths.1;
        if max_length == 0 {
            first.truncate(0, stride, direction)?;
            return second.map_or(Ok(()), |second| second.truncate(0, stride, direction));
        }
        let Some(excess) = total.checked_sub(max_length).filter(|excess| *excess > 0) else { return Ok(()) };
        match (self.strategy, second) {
            (TruncationStrategy::LongestFirst, None) => first.truncate(max_length, stride, direction),
            (TruncationStrategy::LongestFirst, Some(second)) => {
                let (keep_first, keep_second) = longest_first(lengths, max_length);
                first.truncate(keep_first, stride, direction)?;
                second.truncate(keep_second, stride, direction)
            }
            (TruncationStrategy::OnlyFirst, _) => self.cut(first, excess),
            (TruncationStrategy::OnlySecond, Some(second)) => self.cut(second, excess),
            (TruncationStrategy::OnlySecond, None) => {
                Err(Error::Argument { name: "strategy", message: "only_second needs a second sequence, and none was given".into() })
            }
        }
    }

    fn cut(&self, encoding: &mut Encoding, excess: usize) -> Result<()> {
        let length = encoding.len();
        if length <= excess {
            return Err(Error::Argument {
                name: "max_length",
                message: format!("a sequence of {length} tokens is too short to remove {excess} from it, as the strategy asks"),
            });
        }
        encoding.truncate(length - excess, self.stride, self.direction)
    }
}

/// How many tokens of each sequence remain: the longer one is cut first, then both to equal parts.
fn longest_first((first, second): (usize, usize), max_length: usize) -> (usize, usize) {
    let (shorter, longer) = (first.min(second), first.max(second));
    let mut keep = (shorter, if shorter > max_length { shorter } else { shorter.max(max_length - shorter) });
    debug_assert!(keep.1 <= longer.max(max_length));
    if keep.0 + keep.1 > max_length {
        keep = (max_length / 2, max_length / 2 + max_length % 2);
    }
    if first > second {
        (keep.1, keep.0)
    } else {
        keep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sequences_fit_and_neither_grows() {
        for first in 0..12 {
            for second in 0..12 {
                for max_length in 1..first + second {
                    let (keep_first, keep_second) = longest_first((first, second), max_length);
                    assert_eq!(keep_first + keep_second, max_length, "{first} {second} {max_length}");
                    assert!(keep_first <= first && keep_second <= second, "{first} {second} {max_length}");
                    // Only the longer one is cut while it is the longer one.
                    if first <= max_length / 2 {
                        assert_eq!(keep_first, first);
                    }
                }
            }
        }
    }
}
