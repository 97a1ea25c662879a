//! Eight lanes of a processor of which nothing is known, in an array: what the others are compared with.

use super::{Arithmetic, Brain, Element, FusedLanes, Half, Lanes};

/// Eight numbers.
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
    type Table = [f32; 16];
    type Halves = [Half; 64];
    type Indices = [u8; 32];

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
    fn load_signed(eight: &[i8; 8]) -> Self {
        each(|lane| eight[lane].value())
    }
    #[inline(always)]
    fn load_unsigned(eight: &[u8; 8]) -> Self {
        each(|lane| eight[lane].value())
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
    fn div(self, other: Self) -> Self {
        each(|lane| self.0[lane] / other.0[lane])
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        each(|lane| if self.0[lane] > other.0[lane] { self.0[lane] } else { other.0[lane] })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        each(|lane| if self.0[lane] < other.0[lane] { self.0[lane] } else { other.0[lane] })
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        let four: [f32; 4] = std::array::from_fn(|lane| self.0[lane] + self.0[lane + 4]);
        (four[0] + four[2]) + (four[1] + four[3])
    }
    #[inline(always)]
    fn greatest(self) -> f32 {
        let max = |one: f32, other: f32| if one > other { one } else { other };
        let four: [f32; 4] = std::array::from_fn(|lane| max(self.0[lane], self.0[lane + 4]));
        max(max(four[0], four[2]), max(four[1], four[3]))
    }
    #[inline(always)]
    fn places(self, last: u16) -> [u32; 8] {
        self.0.map(|value| (value as u32).min(u32::from(last)))
    }
    #[inline(always)]
    fn transpose(rows: [Self; 8]) -> [Self; 8] {
        std::array::from_fn(|column| each(|row| rows[row].0[column]))
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
    #[inline(always)]
    fn choose<const BITS: i32>(self, indices: u32) -> Self {
        each(|lane| self.0[(indices >> (BITS as usize * lane)) as usize & 7])
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
        std::array::from_fn(|part| each(|lane| halves[usize::from(indices[8 * part + lane] & 63)].value()))
    }
}

impl FusedLanes for Array {
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
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::lanes::simd_avx2::Register;

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
                let expected = { $($expression)* }.to_array();
                let actual = { type L = Register; $($expression)* }.to_array();
                let _: fn() -> L = || Array([0.0; 8]);
                assert_eq!(actual.map(f32::to_bits), expected.map(f32::to_bits));
            }};
        }
        same!(L::load(&one).add(L::load(&two)));
        same!(L::load(&one).sub(L::load(&two)));
        same!(L::load(&one).mul(L::load(&two)));
        same!(L::load(&one).div(L::load(&two)));
        // Exact products, so that one rounding is as two.
        same!(L::load(&one).fused(L::load(&two), L::splat(0.25)));
        same!(L::load(&one).max(L::load(&two)));
        same!(L::load(&one).min(L::load(&two)));
        same!(L::load(&one).keep(L::load(&one).at_least(L::load(&two))));
        same!(L::load(&L::load(&one).mul(L::load(&one)).places(50).map(|place| place as f32)));
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
        for indices in [0xfa_c688, 0x0053_9105, u32::MAX / 7] {
            same!(L::load(&one).choose::<3>(indices));
            same!(L::load(&one).choose::<2>(indices));
            same!(L::load(&one).choose::<1>(indices));
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
    fn what_is_no_number_is_told_and_gives_way() {
        fn check<L: Lanes>() {
            let (nan, one) = (L::splat(f32::NAN), L::load(&[f32::NAN, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, f32::NAN]));
            assert_eq!(nan.max(L::splat(1.0)).to_array(), [1.0; 8]);
            assert_eq!(nan.min(L::splat(1.0)).to_array(), [1.0; 8]);
            assert!(L::splat(1.0).max(nan).to_array().iter().all(|value| value.is_nan()));
            assert!(L::splat(1.0).min(nan).to_array().iter().all(|value| value.is_nan()));
            assert_eq!(L::bits(one.unordered(L::splat(0.0))), 0b1000_0001);
            assert_eq!(L::bits(L::or(L::no_mask(), one.at_least(L::splat(3.0)))), 0b0111_1000);
        }
        check::<Array>();
        if crate::simd::Avx2::new().is_some() {
            check::<Register>();
        }
    }

    #[test]
    fn sums_go_in_one_order() {
        fn sums<L: Lanes>(eight: &[f32; 8]) -> [u64; 3] {
            let lanes = L::load(eight);
            let once = L::total(lanes.add_to(L::no_sums()));
            let products = L::total(lanes.add_product_to(L::splat(0.1), lanes.add_to(L::no_sums())));
            [once.to_bits(), products.to_bits(), f64::from(lanes.sum()).to_bits()]
        }
        if crate::simd::Avx2::new().is_some() {
            let eight = [1e8, 3.7, -1e-3, 2.5e7, 0.1, -1e8, 77.7, 1e-8];
            assert_eq!(sums::<Register>(&eight), sums::<Array>(&eight));
        }
    }
}
