//! Eight numbers of 32 bits at a time: what the kernels are written in, once for all processors.
//!
//! [`Lanes`] is implemented by an array, of which every compiler makes what the processor has (NEON on 64-bit ARM), and by a
//! register of AVX2 (`simd_avx2`). A product and a sum may be rounded once or twice ([`Lanes::fused`]), so the two agree within
//! roundings, not to the bit.
//!
//! The wrong tool where a sum has to be the same on every processor: that is the sampler's `Lanes`.

use crate::sampling::Half;

/// Numbers in a vector.
pub(super) const LANES: usize = 8;

/// Eight numbers.
pub(super) trait Lanes: Copy + 'static {
    /// Sixteen numbers to look up.
    type Table: Copy;
    /// Up to 64 numbers of 16 bits to look up.
    type Halves: Copy;
    /// 32 indices.
    type Indices: Copy;

    fn splat(value: f32) -> Self;
    fn load(eight: &[f32; 8]) -> Self;
    fn load_half(eight: &[Half; 8]) -> Self;
    fn load_signed(eight: &[i8; 8]) -> Self;
    fn load_unsigned(eight: &[u8; 8]) -> Self;
    /// The 32 numbers from 0 to 15 that 16 bytes hold, the lower half of a byte first; `flip` is xored into each byte before. Of
    /// each eight, those of the lower halves come first, then those of the upper.
    fn load_nibbles(bytes: &[u8; 16], flip: u8) -> [Self; 4];
    /// Takes numbers of the first four lanes and the others by turns.
    fn by_turns(self) -> Self;
    fn store(self, eight: &mut [f32; 8]);

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// `self * by + plus`.
    fn fused(self, by: Self, plus: Self) -> Self;
    /// The greater one, `self` where it is no number.
    fn or_greater(self, other: Self) -> Self;
    /// The lesser one, `self` where it is no number.
    fn or_lesser(self, other: Self) -> Self;
    /// `self` times two to the power of the whole number that stands in the last bits of `exponent`; neither is near its limits.
    fn times_power_of_two(self, exponent: Self) -> Self;
    fn sum(self) -> f32;
    fn greatest(self) -> f32;
    /// Row by column exchanged.
    fn transpose(rows: [Self; 8]) -> [Self; 8];

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

/// The lanes of a processor of which nothing is known.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(super) struct Array([f32; 8]);

/// Each lane by one function.
#[inline(always)]
fn each(make: impl Fn(usize) -> f32) -> Array {
    Array(std::array::from_fn(make))
}

impl Lanes for Array {
    type Table = [f32; 16];
    type Halves = [Half; 64];
    type Indices = [u8; 32];

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; 8])
    }
    #[inline(always)]
    fn load(eight: &[f32; 8]) -> Self {
        Self(*eight)
    }
    #[inline(always)]
    fn load_half(eight: &[Half; 8]) -> Self {
        each(|lane| f32::from(eight[lane]))
    }
    #[inline(always)]
    fn load_signed(eight: &[i8; 8]) -> Self {
        each(|lane| f32::from(eight[lane]))
    }
    #[inline(always)]
    fn load_unsigned(eight: &[u8; 8]) -> Self {
        each(|lane| f32::from(eight[lane]))
    }
    #[inline(always)]
    fn load_nibbles(bytes: &[u8; 16], flip: u8) -> [Self; 4] {
        let number = |byte: usize, shift: usize| f32::from((bytes[byte] ^ flip) >> shift & 15);
        std::array::from_fn(|part| each(|lane| number(4 * part + lane % 4, lane / 4 * 4)))
    }
    #[inline(always)]
    fn by_turns(self) -> Self {
        each(|lane| self.0[lane % 2 * 4 + lane / 2])
    }
    #[inline(always)]
    fn store(self, eight: &mut [f32; 8]) {
        *eight = self.0;
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
    fn div(self, other: Self) -> Self {
        each(|lane| self.0[lane] / other.0[lane])
    }
    #[inline(always)]
    fn fused(self, by: Self, plus: Self) -> Self {
        each(|lane| {
            // Every 64-bit ARM processor has the operation; elsewhere it would be a call of a function.
            if cfg!(target_arch = "aarch64") {
                self.0[lane].mul_add(by.0[lane], plus.0[lane])
            } else {
                self.0[lane] * by.0[lane] + plus.0[lane]
            }
        })
    }
    #[inline(always)]
    fn or_greater(self, other: Self) -> Self {
        each(|lane| if other.0[lane] > self.0[lane] { other.0[lane] } else { self.0[lane] })
    }
    #[inline(always)]
    fn or_lesser(self, other: Self) -> Self {
        each(|lane| if other.0[lane] < self.0[lane] { other.0[lane] } else { self.0[lane] })
    }
    #[inline(always)]
    fn times_power_of_two(self, exponent: Self) -> Self {
        each(|lane| f32::from_bits(self.0[lane].to_bits().wrapping_add(exponent.0[lane].to_bits() << 23)))
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        let four: [f32; 4] = std::array::from_fn(|lane| self.0[lane] + self.0[lane + 4]);
        (four[0] + four[2]) + (four[1] + four[3])
    }
    #[inline(always)]
    fn greatest(self) -> f32 {
        self.0.into_iter().fold(f32::NEG_INFINITY, |one, other| if other > one { other } else { one })
    }
    #[inline(always)]
    fn transpose(rows: [Self; 8]) -> [Self; 8] {
        std::array::from_fn(|column| each(|row| rows[row].0[column]))
    }
    #[inline(always)]
    fn table(sixteen: &[f32; 16]) -> [f32; 16] {
        *sixteen
    }
    #[inline(always)]
    fn look_up(table: [f32; 16], indices: &[u8; 4]) -> Self {
        each(|lane| table[usize::from(indices[lane / 2] >> (4 * (lane % 2)) & 15)])
    }
    #[inline(always)]
    fn halves(numbers: &[Half; 64]) -> [Half; 64] {
        *numbers
    }
    #[inline(always)]
    fn indices_of_four_bits(bytes: &[u8; 16]) -> [u8; 32] {
        std::array::from_fn(|index| bytes[index / 2] >> (4 * (index % 2)) & 15)
    }
    #[inline(always)]
    fn indices_of_six_bits(bytes: &[u8; 24]) -> [u8; 32] {
        std::array::from_fn(|index| {
            let [low, middle, high] = [0, 1, 2].map(|byte| u32::from(bytes[index / 4 * 3 + byte]));
            ((low | middle << 8 | high << 16) >> (6 * (index % 4)) & 63) as u8
        })
    }
    #[inline(always)]
    fn look_up_halves<const IS_LONG: bool>(halves: [Half; 64], indices: [u8; 32]) -> [Self; 4] {
        std::array::from_fn(|part| each(|lane| halves[usize::from(indices[8 * part + lane] & 63)].into()))
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::kernels::simd_avx2::Register;

    fn array(lanes: impl Lanes) -> [f32; 8] {
        let mut array = [0.0; 8];
        lanes.store(&mut array);
        array
    }

    #[test]
    fn registers_do_what_arrays_do() {
        if crate::simd::Avx2::new().is_none() {
            return;
        }
        let one = [1.5, -2.0, 3.25, 0.0, -0.5, 8.0, 100.0, -7.0];
        let two = [2.0, 4.0, -1.0, 3.0, 0.5, -8.0, 3.0, -1.0];
        macro_rules! same {
            ($($expression:tt)*) => {{
                type L = Array;
                let expected = { $($expression)* };
                let actual = { type L = Register; $($expression)* };
                let _: fn() -> L = || Array([0.0; 8]);
                assert_eq!(array(actual), array(expected));
            }};
        }
        same!(L::load(&one).add(L::load(&two)));
        same!(L::load(&one).sub(L::load(&two)));
        same!(L::load(&one).mul(L::load(&two)));
        same!(L::load(&one).div(L::load(&two)));
        same!(L::load(&one).fused(L::load(&two), L::splat(0.25)));
        same!(L::load(&one).or_greater(L::load(&two)));
        same!(L::load(&one).or_lesser(L::load(&two)));
        same!(L::splat(1.25).times_power_of_two(L::load(&two).add(L::splat(12_582_912.0))));
        same!(L::splat(L::load(&one).sum()));
        same!(L::splat(L::load(&one).greatest()));
        same!(L::load_half(&std::array::from_fn(|lane| Half(0x3c00 + 77 * lane as u16))));
        same!(L::load_signed(&[-128, 127, 0, 1, -1, 5, -6, 7]));
        same!(L::load_unsigned(&[128, 127, 0, 1, 255, 5, 6, 7]));
        let bytes: [u8; 16] = std::array::from_fn(|index| (index * 37 + 11) as u8);
        for part in 0..4 {
            for flip in [0, 0x88] {
                same!(L::load_nibbles(&bytes, flip)[part]);
                same!(L::load_nibbles(&bytes, flip)[part].by_turns());
            }
        }
        for row in 0..8 {
            same!(L::transpose(std::array::from_fn(|row| L::load(&one).add(L::splat(row as f32))))[row]);
        }
        let bytes24: [u8; 24] = std::array::from_fn(|index| (index * 91 + 5) as u8);
        let halves: [Half; 64] = std::array::from_fn(|index| Half(0x3001 + 97 * index as u16));
        for part in 0..4 {
            same!(L::look_up_halves::<false>(L::halves(&halves), L::indices_of_four_bits(&bytes))[part]);
            same!(L::look_up_halves::<true>(L::halves(&halves), L::indices_of_six_bits(&bytes24))[part]);
        }
        let sixteen: [f32; 16] = std::array::from_fn(|index| (index * index) as f32 - 3.5);
        for start in 0..13 {
            same!(L::look_up(L::table(&sixteen), &[bytes[start], bytes[start + 1], bytes[start + 2], bytes[start + 3]]));
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        fn check<L: Lanes>() {
            let nan = L::splat(f32::NAN);
            assert!(array(nan.or_greater(L::splat(1.0))).iter().all(|value| value.is_nan()));
            assert!(array(nan.or_lesser(L::splat(1.0))).iter().all(|value| value.is_nan()));
        }
        check::<Array>();
        if crate::simd::Avx2::new().is_some() {
            check::<Register>();
        }
    }
}
