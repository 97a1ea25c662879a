//! Linear layers: every input vector times every row of a matrix, plus a bias.
//!
//! Rows are shared among threads by runs. Each row is widened once and multiplied by every input.
//!
//! O(rows * columns * inputs).

use super::dot::dot;
use super::lanes::Lanes;
use super::matrix::Matrix;
use super::{pool, run, Kernel};
use crate::simd::Level;
use crate::{Error, Result};
use std::cell::RefCell;

/// One linear layer: `outputs = inputs * matrix^T + bias`.
#[derive(Debug)]
pub struct Product<'a> {
    /// The weights.
    pub matrix: Matrix<'a>,
    /// One number for each row of the matrix.
    pub bias: Option<&'a [f32]>,
    /// As many numbers as the matrix has rows, for each input.
    pub outputs: &'a mut [f32],
}

/// Work with less than this many products stays on its thread.
const PARALLEL_PRODUCTS: usize = 1 << 17;

/// How many runs of rows each thread gets on average.
const RUNS_PER_THREAD: usize = 4;

/// Multiplies the same inputs, one after the other, by several matrices; `threads` is 0 for the process's default.
///
/// # Errors
///
/// [`Error::Argument`] if sizes do not fit.
pub fn linear(inputs: &[f32], products: &mut [Product<'_>], threads: usize) -> Result<()> {
    linear_with(Level::of_process()?, inputs, products, threads)
}

fn argument(name: &'static str, message: String) -> Error {
    Error::Argument { name, message }
}

/// The number of inputs.
fn count(inputs: &[f32], products: &[Product<'_>]) -> Result<usize> {
    let Some(first) = products.first() else { return Ok(0) };
    let columns = first.matrix.columns;
    let count = inputs.len() / columns;
    if !inputs.len().is_multiple_of(columns) {
        return Err(argument("x", format!("{} numbers; the matrix has {columns} columns", inputs.len())));
    }
    for Product { matrix, bias, outputs } in products {
        if matrix.columns != columns {
            return Err(argument("matrices", format!("one has {} columns, another {columns}", matrix.columns)));
        }
        if outputs.len() / matrix.rows != count || !outputs.len().is_multiple_of(matrix.rows) {
            let message = format!("{} numbers for {count} inputs; the matrix has {} rows", outputs.len(), matrix.rows);
            return Err(argument("out", message));
        }
        if let Some(bias) = bias.filter(|bias| bias.len() != matrix.rows) {
            return Err(argument("bias", format!("{} numbers; the matrix has {} rows", bias.len(), matrix.rows)));
        }
    }
    Ok(count)
}

/// A run of rows and their places in the outputs of each input.
struct Task<'a, 'o> {
    matrix: Matrix<'a>,
    bias: Option<&'a [f32]>,
    inputs: &'a [f32],
    first_row: usize,
    outputs: Vec<&'o mut [f32]>,
}

pub(super) fn linear_with(level: Level, inputs: &[f32], products: &mut [Product<'_>], threads: usize) -> Result<()> {
    let count = count(inputs, products)?;
    if count == 0 {
        return Ok(());
    }
    let work: usize = products.iter().map(|product| product.matrix.rows * product.matrix.columns * count).sum();
    let threads = if work < PARALLEL_PRODUCTS { 1 } else { pool::threads(threads) };
    let tasks = products.iter_mut().flat_map(|product| {
        let Product { matrix, bias, ref mut outputs } = *product;
        let length = matrix.rows.div_ceil(threads * RUNS_PER_THREAD);
        let mut tasks: Vec<Task<'_, '_>> = (0..matrix.rows)
            .step_by(length)
            .map(|first_row| Task { matrix, bias, inputs, first_row, outputs: Vec::with_capacity(count) })
            .collect();
        for outputs in outputs.chunks_mut(matrix.rows) {
            for (task, part) in tasks.iter_mut().zip(outputs.chunks_mut(length)) {
                task.outputs.push(part);
            }
        }
        tasks
    });
    pool::each(threads, tasks, |task| run(level, task));
    Ok(())
}

thread_local! {
    /// A row of weights.
    static ROW: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

impl Kernel for Task<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(mut self) {
        ROW.with_borrow_mut(|row| {
            row.resize(self.matrix.columns, 0.0);
            for index in 0..self.outputs.first().map_or(0, |outputs| outputs.len()) {
                self.matrix.widen::<V>(self.first_row + index, 0, row);
                let bias = self.bias.map_or(0.0, |bias| bias[self.first_row + index]);
                for (input, outputs) in self.inputs.chunks(self.matrix.columns).zip(&mut self.outputs) {
                    outputs[index] = dot::<V>(input, row) + bias;
                }
            }
        });
    }
}

impl Matrix<'_> {
    /// Writes the rows that `indices` name into `out`, one after the other.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if a row does not exist, or `out` has not as many numbers as the rows.
    pub fn rows(&self, indices: &[i64], out: &mut [f32]) -> Result<()> {
        let (rows, columns) = self.shape();
        if out.len() / columns != indices.len() || !out.len().is_multiple_of(columns) {
            let message = format!("{} numbers for {} rows; a row has {columns}", out.len(), indices.len());
            return Err(argument("out", message));
        }
        let valid = |index: &i64| usize::try_from(*index).is_ok_and(|index| index < rows);
        if let Some(position) = indices.iter().position(|index| !valid(index)) {
            let message = format!("indices[{position}] is {}; the matrix has {rows} rows", indices[position]);
            return Err(argument("indices", message));
        }
        run(Level::of_process()?, Rows { matrix: *self, indices: indices.iter().map(|index| *index as usize), out });
        Ok(())
    }

    /// Writes all numbers into `out`, row by row.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if `out` has not as many numbers as the matrix.
    pub fn to_dense(&self, out: &mut [f32]) -> Result<()> {
        if out.len() != self.rows * self.columns {
            return Err(argument("out", format!("{} numbers; the matrix has {:?}", out.len(), self.shape())));
        }
        run(Level::of_process()?, Rows { matrix: *self, indices: 0..self.rows, out });
        Ok(())
    }
}

struct Rows<'a, I> {
    matrix: Matrix<'a>,
    indices: I,
    out: &'a mut [f32],
}

impl<I: Iterator<Item = usize>> Kernel for Rows<'_, I> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        for (index, out) in self.indices.zip(self.out.chunks_mut(self.matrix.columns)) {
            self.matrix.widen::<V>(index, 0, out);
        }
    }
}
