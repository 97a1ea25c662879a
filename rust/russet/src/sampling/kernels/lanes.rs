//! Eight numbers at a time: what the kernels are written in, once for all processors.
//!
//! [`Lanes`] is implemented by an array, which every compiler makes something of, and by a register of AVX2 (`simd_avx2`). Each
//! operation is one of IEEE 754 on each lane, nothing is contracted to a fused operation, and sums go by lane in the order of the
//! code: so every implementation gives the same bits, and a kernel needs no other twin than itself on the array.
//!
//! The wrong tool for loops with a branch for each element: eight at a time pay off only without.

/// An element of logits as it lies in memory.
pub(crate) trait Element: Copy + Send + Sync + 'static {
    /// Its value.
    fn value(self) -> f32;
    /// Eight values.
    fn lanes<L: Lanes>(eight: &[Self; 8]) -> L;
    /// As many values.
    #[inline(always)]
    fn widen<const N: usize>(elements: &[Self; N]) -> [f32; N] {
        elements.map(Self::value)
    }
    /// The elements themselves, if they are of 32 bits.
    #[inline(always)]
    fn of_32_bits<const N: usize>(_elements: &[Self; N]) -> Option<&[f32; N]> {
        None
    }
}

impl Element for f32 {
    #[inline(always)]
    fn value(self) -> f32 {
        self
    }
    #[inline(always)]
    fn lanes<L: Lanes>(eight: &[f32; 8]) -> L {
        L::load(eight)
    }
    #[inline(always)]
    fn widen<const N: usize>(elements: &[f32; N]) -> [f32; N] {
        *elements
    }
    #[inline(always)]
    fn of_32_bits<const N: usize>(elements: &[f32; N]) -> Option<&[f32; N]> {
        Some(elements)
    }
}

/// An IEEE 754 number of 16 bits.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Half(pub u16);

impl Element for Half {
    #[inline(always)]
    fn value(self) -> f32 {
        let magnitude = u32::from(self.0 & 0x7fff) << 13;
        // The exponent's bias is 15 there and 127 here; the product is exact, for subnormal numbers as well.
        let value = f32::from_bits(magnitude) * f32::from_bits((254 - 15) << 23);
        let infinite = if self.0 & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
        f32::from_bits(value.to_bits() | infinite | u32::from(self.0 & 0x8000) << 16)
    }
    #[inline(always)]
    fn lanes<L: Lanes>(eight: &[Half; 8]) -> L {
        L::load_half(eight)
    }
}

impl From<Half> for f32 {
    fn from(half: Half) -> f32 {
        half.value()
    }
}

/// The upper half of a number of 32 bits: bfloat16.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Brain(pub u16);

impl Element for Brain {
    #[inline(always)]
    fn value(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
    #[inline(always)]
    fn lanes<L: Lanes>(eight: &[Brain; 8]) -> L {
        L::load_brain(eight)
    }
}

impl From<Brain> for f32 {
    fn from(brain: Brain) -> f32 {
        brain.value()
    }
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
    /// `self`, of about one, times two to the power of the whole number, from -126 to 126, that stands in the last bits of `exponent`.
    fn times_power_of_two(self, exponent: Self) -> Self;
}

/// Eight numbers.
pub(crate) trait Lanes: Arithmetic + 'static {
    /// Eight sums of 64 bits.
    type Sums: Copy;

    fn load(eight: &[f32; 8]) -> Self;
    fn load_half(eight: &[Half; 8]) -> Self;
    fn load_brain(eight: &[Brain; 8]) -> Self;
    fn to_array(self) -> [f32; 8];
    /// The whole parts of eight numbers from zero on, infinity too; those above `last` become it.
    fn places(self, last: u16) -> [u32; 8];
    /// The greater one; `other` where one is no number.
    fn max(self, other: Self) -> Self;
    /// The greatest of the eight, none of which is no number, as [`Lanes::max`] of halves finds it.
    fn greatest(self) -> f32;
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
    /// The sum of the sums, in one order: lanes 0 and 4, 1 and 5, 2 and 6, 3 and 7; of these 0 and 2, 1 and 3; then both.
    fn total(sums: Self::Sums) -> f64;
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

/// The lanes of a processor of which nothing is known.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(crate) struct Array([f32; 8]);

/// Each lane by one function.
#[inline(always)]
fn each(make: impl Fn(usize) -> f32) -> Array {
    Array(std::array::from_fn(make))
}

impl Arithmetic for Array {
    type Mask = [bool; 8];

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; 8])
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        each(|lane| self.0[lane] + other.0[lane])
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        each(|lane| self.0[lane] - other.0[lane])
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        each(|lane| self.0[lane] * other.0[lane])
    }
    #[inline(always)]
    fn at_least(self, other: Self) -> [bool; 8] {
        std::array::from_fn(|lane| self.0[lane] >= other.0[lane])
    }
    #[inline(always)]
    fn keep(self, mask: [bool; 8]) -> Self {
        each(|lane| if mask[lane] { self.0[lane] } else { 0.0 })
    }
    #[inline(always)]
    fn times_power_of_two(self, exponent: Self) -> Self {
        each(|lane| f32::from_bits(self.0[lane].to_bits().wrapping_add(exponent.0[lane].to_bits() << 23)))
    }
}

impl Lanes for Array {
    type Sums = [f64; 8];

    #[inline(always)]
    fn load(eight: &[f32; 8]) -> Self {
        Self(*eight)
    }
    #[inline(always)]
    fn load_half(eight: &[Half; 8]) -> Self {
        each(|lane| eight[lane].value())
    }
    #[inline(always)]
    fn load_brain(eight: &[Brain; 8]) -> Self {
        each(|lane| eight[lane].value())
    }
    #[inline(always)]
    fn to_array(self) -> [f32; 8] {
        self.0
    }
    #[inline(always)]
    fn places(self, last: u16) -> [u32; 8] {
        self.0.map(|value| (value as u32).min(u32::from(last)))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        each(|lane| if self.0[lane] > other.0[lane] { self.0[lane] } else { other.0[lane] })
    }
    #[inline(always)]
    fn greatest(self) -> f32 {
        let max = |one: f32, other: f32| if one > other { one } else { other };
        let four: [f32; 4] = std::array::from_fn(|lane| max(self.0[lane], self.0[lane + 4]));
        max(max(four[0], four[2]), max(four[1], four[3]))
    }
    #[inline(always)]
    fn unordered(self, other: Self) -> [bool; 8] {
        std::array::from_fn(|lane| self.0[lane].is_nan() | other.0[lane].is_nan())
    }
    #[inline(always)]
    fn no_mask() -> [bool; 8] {
        [false; 8]
    }
    #[inline(always)]
    fn or(one: [bool; 8], other: [bool; 8]) -> [bool; 8] {
        std::array::from_fn(|lane| one[lane] | other[lane])
    }
    #[inline(always)]
    fn bits(mask: [bool; 8]) -> u8 {
        mask.iter().rev().fold(0, |bits, &set| bits << 1 | u8::from(set))
    }
    #[inline(always)]
    fn no_sums() -> [f64; 8] {
        [0.0; 8]
    }
    #[inline(always)]
    fn add_to(self, sums: [f64; 8]) -> [f64; 8] {
        std::array::from_fn(|lane| sums[lane] + f64::from(self.0[lane]))
    }
    #[inline(always)]
    fn add_product_to(self, other: Self, sums: [f64; 8]) -> [f64; 8] {
        std::array::from_fn(|lane| sums[lane] + f64::from(self.0[lane]) * f64::from(other.0[lane]))
    }
    #[inline(always)]
    fn total(sums: [f64; 8]) -> f64 {
        let half: [f64; 4] = std::array::from_fn(|lane| sums[lane] + sums[lane + 4]);
        (half[0] + half[2]) + (half[1] + half[3])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_16_bits_have_their_values() {
        let halves = [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x0001, 2f32.powi(-24)),
            (0x03ff, 1023.0 * 2f32.powi(-24)),
            (0x3c00, 1.0),
            (0xc500, -5.0),
            (0x7bff, 65504.0),
        ];
        for (bits, value) in halves {
            assert_eq!(Half(bits).value().to_bits(), f32::to_bits(value), "{bits:#x}");
        }
        assert_eq!(Half(0x7c00).value(), f32::INFINITY);
        assert_eq!(Half(0xfc00).value(), f32::NEG_INFINITY);
        assert!(Half(0x7e01).value().is_nan() && Half(0xfc01).value().is_nan());
        assert_eq!(Brain(0x3f80).value(), 1.0);
        assert_eq!(Brain(0xff80).value(), f32::NEG_INFINITY);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn every_number_of_16_bits_is_read_alike() {
        use super::super::simd_avx2::Register;
        if crate::simd::Avx2::new().is_none() {
            return;
        }
        for start in (0..=u16::MAX).step_by(8) {
            let halves: [Half; 8] = std::array::from_fn(|lane| Half(start + lane as u16));
            let brains = halves.map(|half| Brain(half.0));
            let same = |one: [f32; 8], other: [f32; 8]| {
                one.iter().zip(other).all(|(one, other)| one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan())
            };
            assert!(same(Half::lanes::<Array>(&halves).to_array(), Half::lanes::<Register>(&halves).to_array()), "{start}");
            assert!(same(Brain::lanes::<Array>(&brains).to_array(), Brain::lanes::<Register>(&brains).to_array()), "{start}");
        }
    }
}
