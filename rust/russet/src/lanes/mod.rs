//! Eight numbers of 32 bits at a time: what passes over numbers are written in, once for all processors.
//!
//! - [`Lanes`], implemented by an [`Array`], of which every compiler makes what the processor has (NEON on 64-bit ARM), and by a
//!   register of AVX2 (`simd_avx2`). Each operation is one of IEEE 754 on each lane, nothing is contracted to a fused operation, and
//!   sums go by lane in the order of the code: every implementation gives the same bits, and code on it needs no twin but itself on
//!   the array.
//! - [`FusedLanes`] adds the one operation that rounds once or twice, as the processor has it: code that names it agrees within
//!   roundings alone. The sampler does without.
//! - [`Kernel`], work on lanes, which [`run`] compiles for the processor.
//! - [`Element`], a number in memory of which lanes are made.
//!
//! The wrong tool for loops with a branch for each element: eight at a time pay off only without.

mod array;
mod elements;
#[cfg(target_arch = "x86_64")]
mod simd_avx2;

pub(crate) use array::Array;
pub(crate) use elements::Element;
pub use elements::{Brain, Half};

use crate::simd::Level;

/// Numbers in a vector.
pub(crate) const LANES: usize = 8;

/// Work on lanes, whichever they are.
pub(crate) trait Kernel {
    type Output;

    /// Does it. Has to be inlined, and so has everything in it that uses lanes.
    fn run<V: FusedLanes>(self) -> Self::Output;
}

/// Does work on the lanes of a level.
pub(crate) fn run<K: Kernel>(level: Level, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(proof) = level.avx2() {
        return proof.kernel(kernel);
    }
    let _ = level;
    kernel.run::<Array>()
}

/// Numbers side by side.
pub(crate) trait Arithmetic: Copy {
    /// The results of comparisons.
    type Mask: Copy;

    fn splat(value: f32) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// Where `self >= other`; not where one is no number.
    fn at_least(self, other: Self) -> Self::Mask;
    /// `self` where the mask is set, zero elsewhere.
    fn keep(self, mask: Self::Mask) -> Self;
    /// `self` times two to the power of the whole number that stands in the last bits of `exponent`; neither is near its limits.
    fn times_power_of_two(self, exponent: Self) -> Self;
}

/// Eight numbers.
pub(crate) trait Lanes: Arithmetic + 'static {
    /// Eight sums of 64 bits.
    type Sums: Copy;
    /// Sixteen numbers to look up.
    type Table: Copy;
    /// Up to 64 numbers of 16 bits to look up.
    type Halves: Copy;
    /// 32 indices.
    type Indices: Copy;

    fn load(eight: &[f32; 8]) -> Self;
    fn load_half(eight: &[Half; 8]) -> Self;
    fn load_brain(eight: &[Brain; 8]) -> Self;
    fn load_signed(eight: &[i8; 8]) -> Self;
    fn load_unsigned(eight: &[u8; 8]) -> Self;
    /// The 32 numbers from 0 to 15 that 16 bytes hold, the lower half of a byte first; `flip` is xored into each byte before. Of
    /// each eight, those of the lower halves come first, then those of the upper.
    fn load_nibbles(bytes: &[u8; 16], flip: u8) -> [Self; 4];
    /// Takes numbers of the first four lanes and the others by turns.
    fn by_turns(self) -> Self;
    fn store(self, eight: &mut [f32; 8]);
    #[inline(always)]
    fn to_array(self) -> [f32; 8] {
        let mut array = [0.0; 8];
        self.store(&mut array);
        array
    }

    fn div(self, other: Self) -> Self;
    /// The greater one; `other` where one is no number.
    fn max(self, other: Self) -> Self;
    /// The lesser one; `other` where one is no number.
    fn min(self, other: Self) -> Self;
    /// The sum of the eight: lanes 0 and 4, 1 and 5, 2 and 6, 3 and 7; of these 0 and 2, 1 and 3; then both.
    fn sum(self) -> f32;
    /// The greatest of the eight, none of which is no number, as [`Lanes::max`] of halves finds it.
    fn greatest(self) -> f32;
    /// The whole parts of eight numbers from zero on, infinity too; those above `last` become it.
    fn places(self, last: u16) -> [u32; 8];
    /// Row by column exchanged.
    fn transpose(rows: [Self; 8]) -> [Self; 8];

    /// Where one of both is no number.
    fn unordered(self, other: Self) -> Self::Mask;
    fn no_mask() -> Self::Mask;
    fn or(one: Self::Mask, other: Self::Mask) -> Self::Mask;
    /// One bit for each lane, the first lane's the lowest.
    fn bits(mask: Self::Mask) -> u8;

    fn no_sums() -> Self::Sums;
    fn add_to(self, sums: Self::Sums) -> Self::Sums;
    /// Adds the products, each of which is exact.
    fn add_product_to(self, other: Self, sums: Self::Sums) -> Self::Sums;
    /// The sum of the sums, in the order of [`Lanes::sum`].
    fn total(sums: Self::Sums) -> f64;

    /// The numbers of these eight that indices of up to three bits name, the lowest bits first. Where an index has fewer bits than
    /// three, its bits and the next ones' choose: the numbers have to be there as often.
    fn choose<const BITS: i32>(self, indices: u32) -> Self;
    fn table(sixteen: &[f32; 16]) -> Self::Table;
    /// The numbers of the table that eight indices name, which are four bits each, the lower half of a byte first.
    fn look_up(table: Self::Table, indices: &[u8; 4]) -> Self;
    fn halves(numbers: &[Half; 64]) -> Self::Halves;
    /// Indices of four bits, the lower half of a byte first.
    fn indices_of_four_bits(bytes: &[u8; 16]) -> Self::Indices;
    /// Indices of six bits, the lowest bits of a byte first.
    fn indices_of_six_bits(bytes: &[u8; 24]) -> Self::Indices;
    /// The numbers that indices name; if not `IS_LONG`, all are below 16.
    fn look_up_halves<const IS_LONG: bool>(halves: Self::Halves, indices: Self::Indices) -> [Self; 4];
}

/// Lanes for sums of products whose last bits do not matter.
pub(crate) trait FusedLanes: Lanes {
    /// `self * by + plus`, rounded once or twice.
    fn fused(self, by: Self, plus: Self) -> Self;
}

/// Twice as many: where each step waits for the one before, two chains of steps side by side take little longer than one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<A>(pub(crate) A, pub(crate) A);

impl<A: Arithmetic> Arithmetic for Pair<A> {
    type Mask = (A::Mask, A::Mask);

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self(A::splat(value), A::splat(value))
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(self.0.add(other.0), self.1.add(other.1))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(self.0.sub(other.0), self.1.sub(other.1))
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(self.0.mul(other.0), self.1.mul(other.1))
    }
    #[inline(always)]
    fn at_least(self, other: Self) -> Self::Mask {
        (self.0.at_least(other.0), self.1.at_least(other.1))
    }
    #[inline(always)]
    fn keep(self, mask: Self::Mask) -> Self {
        Self(self.0.keep(mask.0), self.1.keep(mask.1))
    }
    #[inline(always)]
    fn times_power_of_two(self, exponent: Self) -> Self {
        Self(self.0.times_power_of_two(exponent.0), self.1.times_power_of_two(exponent.1))
    }
}
