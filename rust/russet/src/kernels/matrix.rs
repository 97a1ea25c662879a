//! Weights as they lie in a file, floating-point or compressed, seen as a matrix of numbers of 32 bits.
//!
//! A [`Matrix`] has a row for each output and a column for each input of a linear layer. It borrows everything and copies nothing;
//! its sizes are checked once, when it is made, so that what reads it needs no checks. The compressions are those of Core ML:
//! whole numbers with a scale and an offset for each block ([`Blockwise`]), and indices into tables ([`Palettized`]).
//!
//! O(1) to make. The wrong type for weights that are used densely many times over: widen those once.

use super::elements::{Floats, Integers, Offsets};
use crate::{Error, Result};

/// No matrix has more numbers than this, so that sizes computed from theirs do not overflow.
const MOST_NUMBERS: usize = usize::MAX >> 9;

/// A matrix of weights.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) weights: Weights<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Weights<'a> {
    Dense(Floats<'a>),
    Blockwise(Blockwise<'a>),
    Palettized(Palettized<'a>),
}

/// Blocks of whole numbers: a weight is `scale * (number - offset)`, with a scale and an offset for each block.
#[derive(Clone, Copy, Debug)]
pub struct Blockwise<'a> {
    /// Row by row.
    pub data: Integers<'a>,
    /// How many blocks a column and a row of the matrix have.
    pub blocks: (usize, usize),
    /// One of each block, row by row.
    pub scale: Floats<'a>,
    /// One of each block, row by row; zero without it.
    pub offset: Option<Offsets<'a>>,
}

/// Indices of some bits: a weight is the number that its index names in the table of its group.
#[derive(Clone, Copy, Debug)]
pub struct Palettized<'a> {
    /// Row by row, without gaps, the lowest bits of a byte first.
    pub indices: &'a [u8],
    /// 1, 2, 3, 4, 6 or 8.
    pub bits: u32,
    /// How many groups a column and a row of the matrix have.
    pub groups: (usize, usize),
    /// The tables of the groups, row by row: two to the power of `bits` numbers each.
    pub table: Floats<'a>,
    /// What each row is multiplied by.
    pub scale: Option<Floats<'a>>,
}

fn argument(name: &'static str, message: String) -> Error {
    Error::Argument { name, message }
}

/// An error unless there are `needed` of something.
fn check_length(name: &'static str, length: usize, needed: usize) -> Result<()> {
    if length == needed {
        return Ok(());
    }
    Err(argument(name, format!("{length} elements; the shape needs {needed}")))
}

/// How many rows and columns each part of the matrix has.
fn parts(name: &'static str, (rows, columns): (usize, usize), parts: (usize, usize)) -> Result<(usize, usize)> {
    if parts.0 == 0 || parts.1 == 0 || !rows.is_multiple_of(parts.0) || !columns.is_multiple_of(parts.1) {
        return Err(argument(name, format!("{parts:?} parts of a matrix of ({rows}, {columns}), which they do not divide")));
    }
    Ok((rows / parts.0, columns / parts.1))
}

impl<'a> Matrix<'a> {
    fn new(shape: (usize, usize), weights: impl FnOnce(usize) -> Result<Weights<'a>>) -> Result<Self> {
        let (rows, columns) = shape;
        let count = rows.checked_mul(columns).filter(|count| (1..=MOST_NUMBERS).contains(count));
        let refused = || argument("shape", format!("({rows}, {columns}); there must be from 1 to {MOST_NUMBERS} numbers"));
        let count = count.ok_or_else(refused)?;
        Ok(Self { rows, columns, weights: weights(count)? })
    }

    /// Weights as they are, row by row.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if there are more or fewer than the shape has.
    pub fn dense(shape: (usize, usize), weights: Floats<'a>) -> Result<Self> {
        Self::new(shape, |count| {
            check_length("weights", weights.len(), count)?;
            Ok(Weights::Dense(weights))
        })
    }

    /// Blocks of whole numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if a part has more or fewer elements than it must, or the blocks do not divide the shape.
    pub fn blockwise(shape: (usize, usize), weights: Blockwise<'a>) -> Result<Self> {
        Self::new(shape, |count| {
            check_length("data", weights.data.len(), weights.data.elements(count))?;
            parts("scale", shape, weights.blocks)?;
            // No overflow: each divides a dimension.
            let blocks = weights.blocks.0 * weights.blocks.1;
            check_length("scale", weights.scale.len(), blocks)?;
            if let Some(offset) = weights.offset {
                let needed = match offset {
                    Offsets::Floats(_) => blocks,
                    Offsets::Integers(integers) => integers.elements(blocks),
                };
                check_length("offset", offset.len(), needed)?;
            }
            Ok(Weights::Blockwise(weights))
        })
    }

    /// Indices into tables.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if a part has more or fewer elements than it must, the groups do not divide the shape, or there are
    /// no indices of so many bits.
    pub fn palettized(shape: (usize, usize), weights: Palettized<'a>) -> Result<Self> {
        Self::new(shape, |count| {
            if !matches!(weights.bits, 1 | 2 | 3 | 4 | 6 | 8) {
                return Err(argument("bits", format!("{}; it must be 1, 2, 3, 4, 6 or 8", weights.bits)));
            }
            check_length("indices", weights.indices.len(), (count * weights.bits as usize).div_ceil(8))?;
            parts("lut", shape, weights.groups)?;
            check_length("lut", weights.table.len(), (weights.groups.0 * weights.groups.1) << weights.bits)?;
            weights.scale.map_or(Ok(()), |scale| check_length("scale", scale.len(), shape.0))?;
            Ok(Weights::Palettized(weights))
        })
    }

    /// The number of rows and that of columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// How many bytes of memory it reads, tables and scales included.
    pub fn size_in_bytes(&self) -> usize {
        match &self.weights {
            Weights::Dense(weights) => weights.size_in_bytes(),
            Weights::Blockwise(weights) => {
                let offset = weights.offset.map_or(0, |offset| offset.size_in_bytes());
                weights.data.len() + weights.scale.size_in_bytes() + offset
            }
            Weights::Palettized(weights) => {
                let scale = weights.scale.map_or(0, |scale| scale.size_in_bytes());
                weights.indices.len() + weights.table.size_in_bytes() + scale
            }
        }
    }
}
