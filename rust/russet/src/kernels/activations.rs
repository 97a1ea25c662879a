//! Activation functions, number by number.
//!
//! All but one are `x / (1 + exp(-u))` with some `u`: the hyperbolic tangent in the approximation of GELU is a sigmoid of twice its
//! argument. The exact GELU needs the error function, for which there is a quotient of polynomials (Eigen's, of degree 13 over 8):
//! within a few units in the last place of one.
//!
//! O(numbers), some ten cycles for eight of them.

use super::exponential::exp;
use super::passes::{each_row, eight_at, fill, Function, RowPass};
use crate::lanes::FusedLanes;
use crate::simd::Level;
use crate::{Error, Result};

/// Which GELU: `x` times the probability that a normal variable is below it, or an approximation of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gelu {
    /// By the error function.
    Exact,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`.
    Tanh,
    /// `x * sigmoid(1.702 x)`.
    Sigmoid,
}

/// How many numbers are a row: there is nothing that they share.
const ROW: usize = 1 << 12;

fn check(name: &'static str, length: usize, needed: usize) -> Result<()> {
    if length == needed {
        return Ok(());
    }
    Err(Error::Argument { name, message: format!("{length} numbers; there must be {needed}") })
}

/// `x * sigmoid(x)`.
///
/// # Errors
///
/// [`Error::Argument`] if there is not as much room as there are numbers.
pub fn silu(values: &[f32], out: &mut [f32], threads: usize) -> Result<()> {
    check("out", out.len(), values.len())?;
    each_row(Level::of_process()?, values, ROW, out, threads, Silu(None));
    Ok(())
}

/// `gate * sigmoid(gate) * up`.
///
/// # Errors
///
/// [`Error::Argument`] if sizes do not fit.
pub fn silu_product(gate: &[f32], up: &[f32], out: &mut [f32], threads: usize) -> Result<()> {
    check("up", up.len(), gate.len())?;
    check("out", out.len(), gate.len())?;
    each_row(Level::of_process()?, gate, ROW, out, threads, Silu(Some(up)));
    Ok(())
}

/// GELU.
///
/// # Errors
///
/// [`Error::Argument`] if there is not as much room as there are numbers.
pub fn gelu(values: &[f32], mode: Gelu, out: &mut [f32], threads: usize) -> Result<()> {
    check("out", out.len(), values.len())?;
    each_row(Level::of_process()?, values, ROW, out, threads, mode);
    Ok(())
}

/// `x * sigmoid(u)`.
#[inline(always)]
fn times_sigmoid<V: FusedLanes>(x: V, u: V) -> V {
    x.div(V::splat(1.0).add(exp(V::splat(0.0).sub(u))))
}

#[derive(Clone, Copy)]
struct Silu<'a>(Option<&'a [f32]>);

impl RowPass for Silu<'_> {
    #[inline(always)]
    fn row<V: FusedLanes>(self, index: usize, row: &[f32], out: &mut [f32]) {
        match self.0 {
            None => fill::<V, _>(row, 0.0, out, self),
            Some(up) => fill::<V, _>(row, 0.0, out, Self(Some(&up[index * ROW..][..row.len()]))),
        };
    }
}

impl<V: FusedLanes> Function<V> for Silu<'_> {
    #[inline(always)]
    fn of(&mut self, at: usize, gate: V) -> V {
        let silu = times_sigmoid(gate, gate);
        match self.0 {
            None => silu,
            Some(up) => silu.mul(eight_at(up, at)),
        }
    }
}

impl RowPass for Gelu {
    #[inline(always)]
    fn row<V: FusedLanes>(self, _: usize, row: &[f32], out: &mut [f32]) {
        match self {
            Gelu::Exact => drop(fill::<V, _>(row, 0.0, out, Exact)),
            Gelu::Tanh => drop(fill::<V, _>(row, 0.0, out, Tanh)),
            Gelu::Sigmoid => drop(fill::<V, _>(row, 0.0, out, Sigmoid)),
        }
    }
}

struct Exact;
struct Tanh;
struct Sigmoid;

impl<V: FusedLanes> Function<V> for Exact {
    #[inline(always)]
    fn of(&mut self, _: usize, x: V) -> V {
        exact_gelu(x)
    }
}

impl<V: FusedLanes> Function<V> for Tanh {
    #[inline(always)]
    fn of(&mut self, _: usize, x: V) -> V {
        // Of twice the argument of the hyperbolic tangent.
        const LINEAR: f32 = 1.595_769;
        times_sigmoid(x, x.mul(x.mul(x).fused(V::splat(LINEAR * 0.044715), V::splat(LINEAR))))
    }
}

impl<V: FusedLanes> Function<V> for Sigmoid {
    #[inline(always)]
    fn of(&mut self, _: usize, x: V) -> V {
        times_sigmoid(x, x.mul(V::splat(1.702)))
    }
}

/// `x / 2 * (1 + erf(x / sqrt(2)))`.
#[inline(always)]
fn exact_gelu<V: FusedLanes>(x: V) -> V {
    let half = x.mul(V::splat(0.5));
    half.fused(erf(x.mul(V::splat(std::f32::consts::FRAC_1_SQRT_2))), half)
}

/// Of the odd powers, the highest first.
const NUMERATOR: [f32; 7] =
    [-2.726_142_3e-10, 2.770_681_4e-8, -2.101_024e-6, -5.692_506_4e-5, -7.349_906e-4, -2.954_6e-3, -1.609_603_3e-2];
/// Of the even powers, the highest first.
const DENOMINATOR: [f32; 5] = [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827_e-3, -7.373_329_e-3, -1.426_473_9e-2];

/// The error function: constant from 4 on, where it is one to 32 bits.
#[inline(always)]
fn erf<V: FusedLanes>(x: V) -> V {
    let x = V::splat(4.0).min(V::splat(-4.0).max(x));
    let square = x.mul(x);
    x.mul(polynomial(square, &NUMERATOR)).div(polynomial(square, &DENOMINATOR))
}

#[inline(always)]
fn polynomial<V: FusedLanes, const N: usize>(x: V, coefficients: &[f32; N]) -> V {
    let mut sum = V::splat(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = sum.fused(x, V::splat(*coefficient));
    }
    sum
}
