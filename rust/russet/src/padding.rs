//! Padding: to which length, on which side, with what.

use std::sync::Arc;

use crate::{Encoding, Error, Result};

/// The largest number of tokens, padding included, that one call may produce: a gigabyte of ids.
pub const MAX_CELLS: u64 = 1 << 28;

/// On which side padding is put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaddingDirection {
    /// Before the tokens.
    Left,
    /// After the tokens.
    #[default]
    Right,
}

/// To which length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaddingStrategy {
    /// That of the longest encoding of a batch.
    #[default]
    BatchLongest,
    /// A fixed one.
    Fixed(usize),
}

/// `padding` of a tokenizer file, or of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    /// To which length.
    pub strategy: PaddingStrategy,
    /// On which side.
    pub direction: PaddingDirection,
    /// The length is rounded up to a multiple of this.
    pub pad_to_multiple_of: Option<usize>,
    /// The id of the padding token.
    pub pad_id: u32,
    /// Its type id.
    pub pad_type_id: u32,
    /// Its text.
    pub pad_token: String,
}

impl Padding {
    /// Pads all of `encodings` to one length.
    ///
    /// # Errors
    /// [`Error::Limit`] if that would make more than [`MAX_CELLS`] tokens; nothing is changed then.
    pub(crate) fn apply(&self, encodings: &mut [Encoding]) -> Result<()> {
        let mut length = match self.strategy {
            PaddingStrategy::Fixed(length) => length,
            PaddingStrategy::BatchLongest => encodings.iter().map(Encoding::len).max().unwrap_or(0),
        };
        if let Some(multiple) = self.pad_to_multiple_of.filter(|multiple| *multiple > 0) {
            length = length.checked_next_multiple_of(multiple).unwrap_or(usize::MAX);
        }
        let cells = encodings.iter().fold(0, |sum: u64, encoding| sum.saturating_add(encoding.cells(length)));
        check_cells(cells)?;
        let token: Arc<str> = self.pad_token.as_str().into();
        for encoding in encodings {
            encoding.pad(length, self.pad_id, self.pad_type_id, &token, self.direction == PaddingDirection::Left);
        }
        Ok(())
    }
}

/// Refuses more than [`MAX_CELLS`] tokens.
pub fn check_cells(cells: u64) -> Result<()> {
    if cells > MAX_CELLS {
        return Err(Error::Limit { what: "the number of tokens with padding", value: cells, limit: MAX_CELLS });
    }
    Ok(())
}
