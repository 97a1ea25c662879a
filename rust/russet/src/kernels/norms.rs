//! Softmax and norms over the last axis.
//!
//! Each is two or three passes over a row, which is in the cache by then. Sums are kept in two times eight lanes.
//!
//! O(numbers).

use super::exponential::exp;
use super::passes::{change, each_row, eight_at, fill, read, Function, RowPass, Step};
use crate::lanes::FusedLanes;
use crate::simd::Level;
use crate::{Error, Result};

/// The sum of the numbers that come, in two sums by turns.
struct Sum<V>(V, V);

impl<V: FusedLanes> Step<V> for Sum<V> {
    #[inline(always)]
    fn step(&mut self, eight: V) {
        (self.0, self.1) = (self.1, self.0.add(eight));
    }
}

impl<V: FusedLanes> Sum<V> {
    #[inline(always)]
    fn of(row: &[f32]) -> f32 {
        let sum = read(row, 0.0, Self(V::splat(0.0), V::splat(0.0)));
        sum.0.add(sum.1).sum()
    }
}

/// The greatest of the numbers that come.
pub(super) struct Greatest<V>(V);

impl<V: FusedLanes> Step<V> for Greatest<V> {
    #[inline(always)]
    fn step(&mut self, eight: V) {
        self.0 = eight.max(self.0);
    }
}

impl<V: FusedLanes> Greatest<V> {
    #[inline(always)]
    pub(super) fn of(row: &[f32]) -> f32 {
        read(row, f32::NEG_INFINITY, Self(V::splat(f32::NEG_INFINITY))).0.greatest()
    }
}

/// The exponentials of numbers less the greatest, and their sum.
pub(super) struct Weigh<V> {
    greatest: V,
    sum: V,
}

impl<V: FusedLanes> Function<V> for Weigh<V> {
    #[inline(always)]
    fn of(&mut self, _: usize, eight: V) -> V {
        let weight = exp(eight.sub(self.greatest));
        self.sum = self.sum.add(weight);
        weight
    }
}

impl<V: FusedLanes> Weigh<V> {
    #[inline(always)]
    pub(super) fn new(greatest: f32) -> Self {
        Self { greatest: V::splat(greatest), sum: V::splat(0.0) }
    }

    #[inline(always)]
    pub(super) fn sum(&self) -> f32 {
        self.sum.sum()
    }
}

/// Numbers times one.
struct Times<V>(V);

impl<V: FusedLanes> Function<V> for Times<V> {
    #[inline(always)]
    fn of(&mut self, _: usize, eight: V) -> V {
        eight.mul(self.0)
    }
}

fn check(name: &'static str, length: usize, needed: usize) -> Result<()> {
    if length == needed {
        return Ok(());
    }
    Err(Error::Argument { name, message: format!("{length} numbers; there must be {needed}") })
}

/// Checks that values are rows of a length, and that there is as much room for the results.
fn check_rows(values: &[f32], length: usize, out: &[f32]) -> Result<()> {
    if length == 0 || !values.len().is_multiple_of(length) {
        return Err(Error::Argument { name: "x", message: format!("{} numbers in rows of {length}", values.len()) });
    }
    check("out", out.len(), values.len())
}

/// `exp(x) / sum(exp(x))` of each row of `length` numbers, their greatest taken away before; no numbers for a row of minus infinity.
///
/// # Errors
///
/// [`Error::Argument`] if sizes do not fit.
pub fn softmax(values: &[f32], length: usize, out: &mut [f32], threads: usize) -> Result<()> {
    check_rows(values, length, out)?;
    each_row(Level::of_process()?, values, length, out, threads, Softmax);
    Ok(())
}

#[derive(Clone, Copy)]
struct Softmax;

impl RowPass for Softmax {
    #[inline(always)]
    fn row<V: FusedLanes>(self, _: usize, row: &[f32], out: &mut [f32]) {
        let greatest = Greatest::<V>::of(row);
        let sum = fill(row, f32::NEG_INFINITY, out, Weigh::<V>::new(greatest)).sum();
        change(out, 0.0, Times(V::splat(1.0 / sum)));
    }
}

/// `x / sqrt(mean(x^2) + epsilon) * weight` of each row of `length` numbers; without `weight` it is one.
///
/// # Errors
///
/// [`Error::Argument`] if sizes do not fit.
pub fn rms_norm(
    values: &[f32],
    length: usize,
    weight: Option<&[f32]>,
    epsilon: f32,
    out: &mut [f32],
    threads: usize,
) -> Result<()> {
    norm(values, length, out, threads, Norm { weight, bias: None, epsilon, centred: false })
}

/// `(x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias` of each row of `length` numbers; without them, the weight is one
/// and the bias zero.
///
/// # Errors
///
/// [`Error::Argument`] if sizes do not fit.
pub fn layer_norm(
    values: &[f32],
    length: usize,
    weight: Option<&[f32]>,
    bias: Option<&[f32]>,
    epsilon: f32,
    out: &mut [f32],
    threads: usize,
) -> Result<()> {
    norm(values, length, out, threads, Norm { weight, bias, epsilon, centred: true })
}

fn norm(values: &[f32], length: usize, out: &mut [f32], threads: usize, norm: Norm<'_>) -> Result<()> {
    check_rows(values, length, out)?;
    for (name, numbers) in [("weight", norm.weight), ("bias", norm.bias)] {
        numbers.map_or(Ok(()), |numbers| check(name, numbers.len(), length))?;
    }
    each_row(Level::of_process()?, values, length, out, threads, norm);
    Ok(())
}

#[derive(Clone, Copy)]
struct Norm<'a> {
    weight: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
    epsilon: f32,
    centred: bool,
}

impl RowPass for Norm<'_> {
    #[inline(always)]
    fn row<V: FusedLanes>(self, _: usize, row: &[f32], out: &mut [f32]) {
        let count = row.len() as f32;
        let mean = if self.centred { Sum::<V>::of(row) / count } else { 0.0 };
        let centre = V::splat(mean);
        let squares = read(row, mean, Squares { centre, sums: Sum(V::splat(0.0), V::splat(0.0)) }).sums;
        let inverse = 1.0 / (squares.0.add(squares.1).sum() / count + self.epsilon).sqrt();
        fill(row, 0.0, out, Normalize { centre, inverse: V::splat(inverse), weight: self.weight, bias: self.bias });
    }
}

/// The squares of distances from a centre.
struct Squares<V> {
    centre: V,
    sums: Sum<V>,
}

impl<V: FusedLanes> Step<V> for Squares<V> {
    #[inline(always)]
    fn step(&mut self, eight: V) {
        let distance = eight.sub(self.centre);
        self.sums.step(distance.mul(distance));
    }
}

struct Normalize<'a, V> {
    centre: V,
    inverse: V,
    weight: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
}

impl<V: FusedLanes> Function<V> for Normalize<'_, V> {
    #[inline(always)]
    fn of(&mut self, at: usize, eight: V) -> V {
        let mut value = eight.sub(self.centre).mul(self.inverse);
        if let Some(weight) = self.weight {
            value = value.mul(eight_at(weight, at));
        }
        if let Some(bias) = self.bias {
            value = value.add(eight_at(bias, at));
        }
        value
    }
}
