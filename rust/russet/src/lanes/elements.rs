//! Numbers as they lie in memory, of 8, 16 and 32 bits, and how they become numbers of 32 bits: exactly, infinities and what is no
//! number included.
//!
//! O(1) each. The wrong way to read many at a time: [`Element::lanes`] reads eight.

use super::Lanes;

/// A number in memory.
pub(crate) trait Element: Copy + Send + Sync + 'static {
    /// Its value.
    fn value(self) -> f32;
    /// Eight values.
    fn lanes<L: Lanes>(eight: &[Self; 8]) -> L;
    /// The numbers themselves, if they are of 32 bits.
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
    fn of_32_bits<const N: usize>(elements: &[f32; N]) -> Option<&[f32; N]> {
        Some(elements)
    }
}

macro_rules! whole_numbers {
    ($($type:ty, $load:ident;)+) => {$(
        impl Element for $type {
            #[inline(always)]
            fn value(self) -> f32 {
                self.into()
            }
            #[inline(always)]
            fn lanes<L: Lanes>(eight: &[Self; 8]) -> L {
                L::$load(eight)
            }
        }
    )+};
}
whole_numbers! {
    i8, load_signed;
    u8, load_unsigned;
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
        use crate::lanes::{simd_avx2::Register, Array};
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
