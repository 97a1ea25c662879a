//! Rotary embedding: pairs of numbers of a row turned by an angle of its position.
//!
//! The pairs are those of GPT-NeoX and Llama: a number of the first half with the one at the same place of the second.
//!
//! O(numbers).

use super::passes::{each_row, RowPass};
use crate::lanes::{FusedLanes, LANES};
use crate::simd::Level;
use crate::{Error, Result};

/// `x * cos + rotate_half(x) * sin` of rows of `width` numbers, where the halves of a row change places and the new first one its sign.
///
/// `cos` and `sin` have a row for each position; the rows of `values` are those of all positions, over and over.
///
/// # Errors
///
/// [`Error::Argument`] if sizes do not fit, or `width` is odd.
pub fn rotary(values: &[f32], width: usize, cos: &[f32], sin: &[f32], out: &mut [f32], threads: usize) -> Result<()> {
    let refused = |name, message| Err(Error::Argument { name, message });
    if width == 0 || !width.is_multiple_of(2) {
        return refused("x", format!("rows of {width} numbers; there must be an even number of them"));
    }
    if cos.is_empty() || !cos.len().is_multiple_of(width) || !values.len().is_multiple_of(cos.len()) {
        return refused("cos", format!("{} numbers for {} in rows of {width}", cos.len(), values.len()));
    }
    if sin.len() != cos.len() {
        return refused("sin", format!("{} numbers; cos has {}", sin.len(), cos.len()));
    }
    if out.len() != values.len() {
        return refused("out", format!("{} numbers; x has {}", out.len(), values.len()));
    }
    each_row(Level::of_process()?, values, width, out, threads, Rotary { cos, sin });
    Ok(())
}

#[derive(Clone, Copy)]
struct Rotary<'a> {
    cos: &'a [f32],
    sin: &'a [f32],
}

impl RowPass for Rotary<'_> {
    #[inline(always)]
    fn row<V: FusedLanes>(self, index: usize, row: &[f32], out: &mut [f32]) {
        let width = row.len();
        let start = index % (self.cos.len() / width) * width;
        let half = width / 2;
        let (first, second) = row.split_at(half);
        let (first_out, second_out) = out.split_at_mut(half);
        let (cos, sin) = (&self.cos[start..start + width], &self.sin[start..start + width]);
        turn::<V>(first, second, -1.0, &cos[..half], &sin[..half], first_out);
        turn::<V>(second, first, 1.0, &cos[half..], &sin[half..], second_out);
    }
}

/// `one * cos + sign * other * sin`.
#[inline(always)]
fn turn<V: FusedLanes>(one: &[f32], other: &[f32], sign: f32, cos: &[f32], sin: &[f32], out: &mut [f32]) {
    let (ones, others) = (one.as_chunks::<LANES>().0, other.as_chunks::<LANES>().0);
    let (cosines, sines) = (cos.as_chunks::<LANES>().0, sin.as_chunks::<LANES>().0);
    let (outs, rest) = out.as_chunks_mut::<LANES>();
    let whole = outs.len() * LANES;
    for ((out, (one, other)), (cos, sin)) in outs.iter_mut().zip(ones.iter().zip(others)).zip(cosines.iter().zip(sines)) {
        let turned = V::load(other).mul(V::splat(sign)).mul(V::load(sin));
        V::load(one).fused(V::load(cos), turned).store(out);
    }
    for (at, out) in (whole..).zip(rest) {
        *out = one[at] * cos[at] + sign * other[at] * sin[at];
    }
}
