//! Attention: the mean of values, weighted by the softmax of scaled products of queries and keys.
//!
//! Query rows are shared among threads; many of them are done by [`panels`]. Else a row multiplies eight keys at a time, whose
//! partial sums are transposed to be added at once; its scores are kept whole, so that the greatest is taken away before the
//! exponential; then the values are added up column by column.
//!
//! O(queries * keys * width), and O(keys) memory for each thread.

mod panels;

use super::elements::Floats;
use super::norms::{Greatest, Weigh};
use super::passes::change;
use super::pool;
use crate::lanes::{run, Element, FusedLanes, Half, Kernel, LANES};
use crate::simd::Level;
use crate::{Error, Result};
use std::cell::RefCell;

/// Rows of numbers by head; the numbers of a row lie side by side.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a> {
    /// From the first number of the first head on.
    pub elements: Floats<'a>,
    /// The number of heads.
    pub heads: usize,
    /// The number of rows of each.
    pub length: usize,
    /// The numbers of each row.
    pub width: usize,
    /// From a head to the next, in numbers.
    pub head_stride: usize,
    /// From a row to the next, in numbers.
    pub row_stride: usize,
}

/// What is added to scores: a row for each query row, of one number for each key.
#[derive(Clone, Copy, Debug)]
pub struct Mask<'a> {
    /// The rows of all heads, or those of one.
    pub values: &'a [f32],
    /// Whether each head has its own.
    pub by_head: bool,
}

/// Work with fewer products than this stays on its thread.
const PARALLEL_PRODUCTS: usize = 1 << 17;
/// How many query rows a thread takes at a time, at most.
const RUN_ROWS: usize = 128;
/// From so many query rows on, they are multiplied by panels.
const MANY_ROWS: usize = 7;

fn argument(name: &'static str, message: String) -> Error {
    Error::Argument { name, message }
}

impl Heads<'_> {
    fn check(&self, name: &'static str) -> Result<()> {
        let end = || {
            let rows = self.length.checked_sub(1)?.checked_mul(self.row_stride)?;
            let heads = self.heads.checked_sub(1)?.checked_mul(self.head_stride)?;
            rows.checked_add(heads)?.checked_add(self.width)
        };
        let is_within = self.heads == 0 || self.length == 0 || end().is_some_and(|end| end <= self.elements.len());
        if !is_within || self.width == 0 {
            let shape = (self.heads, self.length, self.width);
            return Err(argument(name, format!("{} numbers for a shape of {shape:?}", self.elements.len())));
        }
        Ok(())
    }
}

/// What attention is made of.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// Rows that ask.
    pub queries: Heads<'a>,
    /// Rows that are asked, of the width of the queries.
    pub keys: Heads<'a>,
    /// One row for each of the keys.
    pub values: Heads<'a>,
    /// What is added to the scores.
    pub mask: Option<Mask<'a>>,
    /// What the products are multiplied by.
    pub scale: f32,
}

/// `softmax(queries * keys^T * scale + mask) * values` by head; `out` has the heads of the queries, their rows, the width of the values.
///
/// A head of queries uses the head of keys and values that its number divided by their ratio names. With minus infinity for all keys
/// a row is no number.
///
/// # Errors
///
/// [`Error::Argument`] if sizes do not fit.
pub fn attention(of: Attention<'_>, out: &mut [f32], threads: usize) -> Result<()> {
    attention_with(Level::of_process()?, of, out, threads)
}

pub(super) fn attention_with(level: Level, of: Attention<'_>, out: &mut [f32], threads: usize) -> Result<()> {
    let Attention { queries, keys, values, mask, .. } = of;
    queries.check("q")?;
    keys.check("k")?;
    values.check("v")?;
    if keys.heads == 0 || keys.length == 0 || !queries.heads.is_multiple_of(keys.heads) || keys.width != queries.width {
        let message = format!(
            "{} heads of {} rows of {} numbers; q has {} heads of {} numbers",
            keys.heads, keys.length, keys.width, queries.heads, queries.width
        );
        return Err(argument("k", message));
    }
    if (values.heads, values.length) != (keys.heads, keys.length) {
        let message = format!("{} heads of {} rows; k has {} of {}", values.heads, values.length, keys.heads, keys.length);
        return Err(argument("v", message));
    }
    let rows = queries.heads * queries.length;
    if let Some(mask) = mask {
        let needed = if mask.by_head { rows } else { queries.length }.saturating_mul(keys.length);
        if mask.values.len() != needed {
            return Err(argument("mask", format!("{} numbers; there must be {needed}", mask.values.len())));
        }
    }
    if out.len() != rows.saturating_mul(values.width) {
        return Err(argument("out", format!("{} numbers for {rows} rows of {}", out.len(), values.width)));
    }
    if rows == 0 {
        return Ok(());
    }
    let products = rows.saturating_mul(keys.length).saturating_mul(keys.width + values.width);
    let threads = if products < PARALLEL_PRODUCTS { 1 } else { pool::threads(threads) };
    // The query rows that one head of keys serves lie one after the other.
    let group_rows = rows / keys.heads;
    let run_rows = group_rows.min(RUN_ROWS);
    let tasks = out.chunks_mut(group_rows * values.width).enumerate().flat_map(|(head, out)| {
        out.chunks_mut(run_rows * values.width)
            .enumerate()
            .map(move |(index, out)| (head, head * group_rows + index * run_rows, out))
    });
    pool::each(threads, tasks, |(head, first_row, out)| {
        SCRATCH.with_borrow_mut(|scratch| run(level, Task { of, head, first_row, out, scratch }));
    });
    Ok(())
}

/// Some query rows of one head of keys and values.
struct Task<'a, 'o> {
    of: Attention<'a>,
    head: usize,
    first_row: usize,
    out: &'o mut [f32],
    scratch: &'o mut Vec<f32>,
}

thread_local! {
    /// A query and its scores.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

impl Kernel for Task<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: FusedLanes>(self) {
        if self.out.len() >= MANY_ROWS * self.of.values.width {
            return panels::run::<V>(self);
        }
        let Task { of: Attention { queries, keys, values, mask, scale }, head, first_row, out, scratch } = self;
        let length = keys.length;
        scratch.resize(length + queries.width, 0.0);
        let (query, scores) = scratch.split_at_mut(queries.width);
        for (row, out) in (first_row..).zip(out.chunks_mut(values.width)) {
            let (query_head, query_row) = (row / queries.length, row % queries.length);
            let start = query_head * queries.head_stride + query_row * queries.row_stride;
            super::widen::floats::<V>(queries.elements, start, query);
            query.iter_mut().for_each(|value| *value *= scale);
            match keys.elements {
                Floats::F32(keys_of) => multiply::<V, f32>(query, keys_of, &keys, head, scores),
                Floats::F16(keys_of) => multiply::<V, Half>(query, keys_of, &keys, head, scores),
            }
            if let Some(mask) = mask {
                let mask_row = if mask.by_head { row } else { query_row };
                let added = &mask.values[mask_row * length..][..length];
                scores.iter_mut().zip(added).for_each(|(score, added)| *score += added);
            }
            let sum = weights::<V>(scores);
            match values.elements {
                Floats::F32(values_of) => add_up::<V, f32>(scores, values_of, &values, head, 1.0 / sum, out),
                Floats::F16(values_of) => add_up::<V, Half>(scores, values_of, &values, head, 1.0 / sum, out),
            }
        }
    }
}

/// The products of a query and each key of a head.
#[inline(always)]
fn multiply<V: FusedLanes, E: Element>(query: &[f32], elements: &[E], keys: &Heads<'_>, head: usize, scores: &mut [f32]) {
    let (eights, rest) = query.as_chunks::<LANES>();
    let first = head * keys.head_stride;
    let key = |index: usize| &elements[first + index * keys.row_stride..][..query.len()];
    for (block, scores) in scores.chunks_mut(LANES).enumerate() {
        // Of fewer than eight keys, the last once more.
        let mut eight_keys = [&elements[..0]; LANES];
        for (lane, place) in eight_keys.iter_mut().enumerate() {
            *place = key(block * LANES + lane.min(scores.len() - 1));
        }
        let keys = eight_keys;
        let mut sums = [V::splat(0.0); LANES];
        for (at, eight) in eights.iter().enumerate() {
            let eight = V::load(eight);
            for (sum, key) in sums.iter_mut().zip(&keys) {
                *sum = E::lanes::<V>(&key.as_chunks::<LANES>().0[at]).fused(eight, *sum);
            }
        }
        let columns = V::transpose(sums);
        let (first, second) = (columns[0].add(columns[4]), columns[1].add(columns[5]));
        let (third, fourth) = (columns[2].add(columns[6]), columns[3].add(columns[7]));
        let mut totals = [0.0; LANES];
        first.add(third).add(second.add(fourth)).store(&mut totals);
        for ((score, total), key) in scores.iter_mut().zip(totals).zip(&keys) {
            let pairs = rest.iter().zip(&key[query.len() - rest.len()..]);
            *score = pairs.fold(total, |sum, (query, key)| sum + query * key.value());
        }
    }
}

/// Turns scores into weights, the greatest one, and gives the sum of them.
#[inline(always)]
fn weights<V: FusedLanes>(scores: &mut [f32]) -> f32 {
    let greatest = Greatest::<V>::of(scores);
    change(scores, f32::NEG_INFINITY, Weigh::<V>::new(greatest)).sum()
}

/// Adds up the values of a head by their weights, times `factor`.
#[inline(always)]
fn add_up<V: FusedLanes, E: Element>(
    weights: &[f32],
    elements: &[E],
    values: &Heads<'_>,
    head: usize,
    factor: f32,
    out: &mut [f32],
) {
    let first = head * values.head_stride;
    let mut start = 0;
    while start < out.len() {
        start += match out.len() - start {
            64.. => columns::<V, E, 8>(weights, &elements[first + start..], values.row_stride, factor, &mut out[start..]),
            32.. => columns::<V, E, 4>(weights, &elements[first + start..], values.row_stride, factor, &mut out[start..]),
            8.. => columns::<V, E, 1>(weights, &elements[first + start..], values.row_stride, factor, &mut out[start..]),
            _ => {
                let column = weights
                    .iter()
                    .enumerate()
                    .fold(0.0, |sum, (row, weight)| sum + weight * elements[first + start + row * values.row_stride].value());
                out[start] = column * factor;
                1
            }
        };
    }
}

/// The same for the first `N * 8` columns, whose number it gives.
#[inline(always)]
fn columns<V: FusedLanes, E: Element, const N: usize>(
    weights: &[f32],
    elements: &[E],
    stride: usize,
    factor: f32,
    out: &mut [f32],
) -> usize {
    let mut sums = [V::splat(0.0); N];
    for (row, weight) in weights.iter().enumerate() {
        let weight = V::splat(*weight);
        let eights = elements[row * stride..][..N * LANES].as_chunks::<LANES>().0;
        for (sum, eight) in sums.iter_mut().zip(eights) {
            *sum = E::lanes::<V>(eight).fused(weight, *sum);
        }
    }
    for (sum, out) in sums.iter().zip(out.as_chunks_mut::<LANES>().0) {
        sum.mul(V::splat(factor)).store(out);
    }
    N * LANES
}
