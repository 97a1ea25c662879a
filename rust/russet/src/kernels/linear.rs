//! Linear layers: every input vector times every row of a matrix, plus a bias.
//!
//! A few inputs are multiplied by the weights as they are read ([`dot`]), many by tiles of widened rows ([`gemm`]).
//! Runs of rows are shared among threads.
//!
//! O(rows * columns * inputs). Where one matrix is multiplied by thousands of inputs, its dense form would be widened once only.
//!
//! [`gemm`]: super::gemm
//! [`dot`]: super::dot

use super::dot::dot;
use super::gemm::Panels;
use super::matrix::Matrix;
use super::pool;
use crate::lanes::{run, FusedLanes, Kernel};
use crate::simd::Level;
use crate::{Error, Result};
use std::cell::Cell;

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

/// From more inputs on, they are packed.
const FEW_INPUTS: usize = 4;

/// Rows that few inputs are multiplied by in turn: so many that they stay in the cache.
const FEW_ROWS: usize = 8;

/// How many inputs are packed at a time.
const INPUTS: usize = 256;

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

/// Memory that a thread uses again.
#[derive(Default)]
pub(super) struct Scratch {
    /// Weights, widened.
    pub(super) weights: Vec<f32>,
    /// Products.
    pub(super) tiles: Vec<f32>,
    /// Inputs, packed or added up.
    inputs: Vec<f32>,
}

thread_local!(static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) });

/// Gives the thread's memory to `work`.
fn with_scratch<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    let mut scratch = SCRATCH.take().unwrap_or_default();
    let result = work(&mut scratch);
    SCRATCH.set(Some(scratch));
    result
}

pub(super) fn linear_with(level: Level, inputs: &[f32], products: &mut [Product<'_>], threads: usize) -> Result<()> {
    let count = count(inputs, products)?;
    if count == 0 {
        return Ok(());
    }
    let work: usize = products.iter().map(|product| product.matrix.rows * product.matrix.columns * count).sum();
    let threads = if work < PARALLEL_PRODUCTS { 1 } else { pool::threads(threads) };
    if count <= FEW_INPUTS {
        few(level, inputs, count, products, threads);
        return Ok(());
    }
    let columns = inputs.len() / count;
    for first in (0..count).step_by(INPUTS) {
        let inputs = &inputs[first * columns..columns * count.min(first + INPUTS)];
        // Taken out of the thread's memory, which the tasks of this thread use too.
        let numbers = with_scratch(|scratch| std::mem::take(&mut scratch.inputs));
        let panels = run(level, Pack { numbers, inputs, columns });
        many(level, &panels, first, inputs.len() / columns, products, threads);
        with_scratch(|scratch| scratch.inputs = panels.into_numbers());
    }
    Ok(())
}

/// Up to [`FEW_INPUTS`] inputs, one after the other by a few rows.
fn few(level: Level, inputs: &[f32], count: usize, products: &mut [Product<'_>], threads: usize) {
    let columns = inputs.len() / count;
    let mut prepared = with_scratch(|scratch| std::mem::take(&mut scratch.inputs));
    prepared.clear();
    let mut ranges = Vec::with_capacity(products.len());
    for product in products.iter() {
        let start = prepared.len();
        inputs.chunks_exact(columns).for_each(|input| product.matrix.prepare(input, &mut prepared));
        ranges.push(start..prepared.len());
    }
    let runs = products.iter_mut().zip(ranges).flat_map(|(product, range)| {
        let Product { matrix, bias, ref mut outputs } = *product;
        let length = matrix.rows.div_ceil(threads * RUNS_PER_THREAD);
        let new = |first| Few {
            matrix,
            bias,
            first,
            inputs,
            prepared: &prepared[range.clone()],
            outputs: <[&mut [f32]; FEW_INPUTS]>::default(),
        };
        let mut runs: Vec<Few<'_, '_>> = (0..matrix.rows).step_by(length).map(new).collect();
        for (index, outputs) in outputs.chunks_mut(matrix.rows).enumerate() {
            for (run, part) in runs.iter_mut().zip(outputs.chunks_mut(length)) {
                run.outputs[index] = part;
            }
        }
        runs
    });
    pool::each(threads, runs, |few| with_scratch(|scratch| run(level, (few, scratch))));
    with_scratch(|scratch| scratch.inputs = prepared);
}

/// A run of rows and their places in the outputs of each of a few inputs.
struct Few<'a, 'o> {
    matrix: Matrix<'a>,
    bias: Option<&'a [f32]>,
    first: usize,
    inputs: &'a [f32],
    /// What the matrix needs of each input.
    prepared: &'a [f32],
    outputs: [&'o mut [f32]; FEW_INPUTS],
}

impl Kernel for (Few<'_, '_>, &mut Scratch) {
    type Output = ();

    #[inline(always)]
    fn run<V: FusedLanes>(self) {
        let (Few { matrix, bias, first, inputs, prepared, mut outputs }, scratch) = self;
        if !matrix.is_read_in_place() {
            scratch.weights.resize(matrix.columns, 0.0);
            for row in 0..outputs[0].len() {
                matrix.widen::<V>(first + row, 0, &mut scratch.weights);
                let bias = bias.map_or(0.0, |bias| bias[first + row]);
                for (input, outputs) in inputs.chunks_exact(matrix.columns).zip(&mut outputs) {
                    outputs[row] = dot::<V, _>(&scratch.weights, input) + bias;
                }
            }
            return;
        }
        let count = inputs.len() / matrix.columns;
        let prepared_length = prepared.len() / count;
        let rows = outputs[0].len();
        let step = if count == 1 { rows } else { FEW_ROWS };
        for start in (0..rows).step_by(step) {
            let end = rows.min(start + step);
            for index in 0..count {
                let input = &inputs[index * matrix.columns..][..matrix.columns];
                let prepared = &prepared[index * prepared_length..][..prepared_length];
                let outputs = &mut outputs[index][start..end];
                matrix.multiply::<V>(first + start, input, prepared, outputs, scratch);
                if let Some(bias) = bias {
                    outputs.iter_mut().zip(&bias[first + start..]).for_each(|(output, bias)| *output += bias);
                }
            }
        }
    }
}

/// A run of rows and their places in the outputs of each input.
struct Task<'a, 'o> {
    matrix: Matrix<'a>,
    bias: Option<&'a [f32]>,
    first_row: usize,
    outputs: Vec<&'o mut [f32]>,
}

/// Inputs by panels, `count` of them.
fn many(level: Level, panels: &Panels, first: usize, count: usize, products: &mut [Product<'_>], threads: usize) {
    let tasks = products.iter_mut().flat_map(|product| {
        let Product { matrix, bias, ref mut outputs } = *product;
        let length = if threads == 1 { matrix.rows } else { matrix.rows.div_ceil(threads * RUNS_PER_THREAD).next_multiple_of(48) };
        let new = |first_row| Task { matrix, bias, first_row, outputs: Vec::with_capacity(count) };
        let mut tasks: Vec<Task<'_, '_>> = (0..matrix.rows).step_by(length).map(new).collect();
        for outputs in outputs[first * matrix.rows..].chunks_mut(matrix.rows).take(count) {
            for (task, part) in tasks.iter_mut().zip(outputs.chunks_mut(length)) {
                task.outputs.push(part);
            }
        }
        tasks
    });
    pool::each(threads, tasks, |task| with_scratch(|scratch| run(level, Many { panels, task, scratch })));
}

struct Pack<'a> {
    numbers: Vec<f32>,
    inputs: &'a [f32],
    columns: usize,
}

impl Kernel for Pack<'_> {
    type Output = Panels;

    #[inline(always)]
    fn run<V: FusedLanes>(self) -> Panels {
        Panels::pack::<V>(self.numbers, self.inputs, self.columns)
    }
}

struct Many<'a, 'o> {
    panels: &'a Panels,
    task: Task<'a, 'o>,
    scratch: &'a mut Scratch,
}

impl Kernel for Many<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: FusedLanes>(self) {
        let Task { matrix, bias, first_row, mut outputs } = self.task;
        self.panels.multiply::<V>(&matrix, first_row, bias, &mut outputs, self.scratch);
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
    fn run<V: FusedLanes>(self) {
        for (index, out) in self.indices.zip(self.out.chunks_mut(self.matrix.columns)) {
            self.matrix.widen::<V>(index, 0, out);
        }
    }
}
