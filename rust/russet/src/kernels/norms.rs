//! Softmax and norms over the last axis.
//!
//! Each is two or three passes over a row, which is in the cache by then. Sums are kept in two times eight lanes.
//!
//! O(numbers).

use super::exponential::exp;
use super::lanes::Lanes;
use super::passes::{each_row, eights, fill, in_place, RowPass};
use crate::simd::Level;
use crate::{Error, Result};

/// The sum of what comes.
#[inline(always)]
fn sum<V: Lanes>(values: impl Iterator<Item = V>) -> f32 {
    let mut sums = [V::splat(0.0); 2];
    let mut is_odd = false;
    for value in values {
        sums[usize::from(is_odd)] = sums[usize::from(is_odd)].add(value);
        is_odd = !is_odd;
    }
    sums[0].add(sums[1]).sum()
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
    fn row<V: Lanes>(self, _: usize, row: &[f32], out: &mut [f32]) {
        let greatest = eights::<V>(row, f32::NEG_INFINITY).fold(V::splat(f32::NEG_INFINITY), V::or_greater).greatest();
        let greatest = V::splat(greatest);
        fill(eights::<V>(row, f32::NEG_INFINITY).map(|values| exp(values.sub(greatest))), out);
        let inverse = V::splat(1.0 / sum(eights::<V>(out, 0.0)));
        in_place(out, 0.0, |values: V| values.mul(inverse));
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
    check_rows(values, length, out)?;
    weight.map_or(Ok(()), |weight| check("weight", weight.len(), length))?;
    each_row(Level::of_process()?, values, length, out, threads, Norm { weight, bias: None, epsilon, centred: false });
    Ok(())
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
    check_rows(values, length, out)?;
    weight.map_or(Ok(()), |weight| check("weight", weight.len(), length))?;
    bias.map_or(Ok(()), |bias| check("bias", bias.len(), length))?;
    each_row(Level::of_process()?, values, length, out, threads, Norm { weight, bias, epsilon, centred: true });
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
    fn row<V: Lanes>(self, _: usize, row: &[f32], out: &mut [f32]) {
        let count = row.len() as f32;
        let mean = if self.centred { sum(eights::<V>(row, 0.0)) / count } else { 0.0 };
        let centre = V::splat(mean);
        let squares = sum(eights::<V>(row, mean).map(|values| values.sub(centre)).map(|values| values.mul(values)));
        let inverse = V::splat(1.0 / (squares / count + self.epsilon).sqrt());
        fill(eights::<V>(row, 0.0).map(|values| values.sub(centre).mul(inverse)), out);
        if let Some(weight) = self.weight {
            let mut weights = eights::<V>(weight, 0.0);
            let mut next = || weights.next().unwrap_or(V::splat(0.0));
            in_place(out, 0.0, |values: V| values.mul(next()));
        }
        if let Some(bias) = self.bias {
            let mut biases = eights::<V>(bias, 0.0);
            let mut next = || biases.next().unwrap_or(V::splat(0.0));
            in_place(out, 0.0, |values: V| values.add(next()));
        }
    }
}
