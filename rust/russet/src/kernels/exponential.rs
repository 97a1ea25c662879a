//! The exponential function, eight at a time.
//!
//! Cody and Waite's reduction by ln 2 in two parts and a polynomial of degree 6 on what is left (the coefficients are those of the
//! Cephes library's `expf`), then a power of two in two steps, so that results below the least normal number are rounded once.
//! Within 2 units in the last place; exact limits: zero below -104, infinity above 89, no number for what is none.
//!
//! About three cycles for eight.

use crate::lanes::FusedLanes;

/// Added, it leaves a whole number in the last bits, and taken away again, that number.
const ROUNDING: f32 = 12_582_912.0;

/// The upper part has 9 bits, so that its product with a whole number is exact.
const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);

/// Of `(exp(x) - 1 - x) / x^2` for x within half of ln 2 of zero, the highest power first.
const COEFFICIENTS: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

/// `exp(x)`.
#[inline(always)]
pub(super) fn exp<V: FusedLanes>(x: V) -> V {
    // What is no number stays none: it is the second operand.
    let x = V::splat(89.0).min(V::splat(-104.5).max(x));
    let rounding = V::splat(ROUNDING);
    let power = x.fused(V::splat(std::f32::consts::LOG2_E), rounding).sub(rounding);
    let rest = power.fused(V::splat(-LN_2.0), x);
    let rest = power.fused(V::splat(-LN_2.1), rest);
    let mut sum = V::splat(COEFFICIENTS[0]);
    for coefficient in &COEFFICIENTS[1..] {
        sum = sum.fused(rest, V::splat(*coefficient));
    }
    let value = sum.fused(rest.mul(rest), rest).add(V::splat(1.0));
    let half = power.fused(V::splat(0.5), rounding);
    let other = power.sub(half.sub(rounding)).add(rounding);
    value.times_power_of_two(half).mul(V::splat(1.0).times_power_of_two(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::{run, Kernel};
    use crate::simd::Level;

    struct Exp(f32);

    impl Kernel for Exp {
        type Output = f32;

        #[inline(always)]
        fn run<V: FusedLanes>(self) -> f32 {
            exp(V::splat(self.0)).to_array()[3]
        }
    }

    #[test]
    fn is_within_two_units_in_the_last_place() {
        for level in Level::all() {
            let exp = |x| run(level, Exp(x));
            let mut worst = 0.0f64;
            for step in -105_000..=89_000 {
                let x = step as f32 / 1000.0 + (step % 97) as f32 * 1e-6;
                let expected = f64::from(x).exp();
                let unit = f64::from(f32::EPSILON) * expected.max(f64::from(f32::MIN_POSITIVE));
                if expected < f64::from(f32::MAX) {
                    worst = worst.max((f64::from(exp(x)) - expected).abs() / unit);
                }
            }
            assert!(worst < 2.0, "{}: {worst}", level.name());
            assert_eq!(exp(0.0), 1.0);
            assert_eq!(exp(f32::NEG_INFINITY), 0.0);
            assert_eq!(exp(-105.0), 0.0);
            assert_eq!(exp(f32::INFINITY), f32::INFINITY);
            assert_eq!(exp(88.8), f32::INFINITY);
            assert!(exp(f32::NAN).is_nan());
        }
    }
}
