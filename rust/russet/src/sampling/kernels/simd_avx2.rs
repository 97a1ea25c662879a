//! Eight lanes in a register of AVX2: see [`super::lanes`].

use super::lanes::{Arithmetic, Brain, Element, Half, Lanes};
use super::{each_block, Pass, Which};
use crate::sampling::row::{Overlay, BLOCK};
use crate::simd::Avx2;
use std::arch::x86_64::*;

impl Avx2 {
    /// A pass over the blocks in registers. Not by [`Avx2::run`]: a closure as large as this is not inlined, and then nothing in
    /// it is either, at a hundred times the cost.
    pub(super) fn each_block<E: Element>(self, elements: &[E], overlay: &Overlay, which: Which<'_>, pass: &mut impl Pass) {
        #[target_feature(enable = "avx2,f16c,bmi1,bmi2,lzcnt,popcnt")]
        fn compiled<E: Element>(elements: &[E], overlay: &Overlay, which: Which<'_>, pass: &mut impl Pass) {
            each_block::<E, Register>(elements, overlay, which, pass);
        }
        // SAFETY: `self` proves that the processor has these features.
        unsafe { compiled(elements, overlay, which, pass) }
    }

    /// The values of a block.
    pub(super) fn widen<E: Element>(self, elements: &[E; BLOCK]) -> [f32; BLOCK] {
        #[target_feature(enable = "avx2,f16c")]
        fn compiled<E: Element>(elements: &[E; BLOCK]) -> [f32; BLOCK] {
            let mut values = [0.0; BLOCK];
            for (to, from) in values.as_chunks_mut::<8>().0.iter_mut().zip(elements.as_chunks::<8>().0) {
                *to = E::lanes::<Register>(from).to_array();
            }
            values
        }
        // SAFETY: `self` proves that the processor has these features.
        unsafe { compiled(elements) }
    }
}

/// Eight numbers in a register. Values are made only in passes that [`Avx2::each_block`] makes, and in tests where its proof exists.
#[derive(Clone, Copy)]
pub(crate) struct Register(__m256);

/// SAFETY of every `unsafe` block here, in one place: the intrinsics need AVX2 and F16C, for which the kernels hold the proof
/// [`Avx2`] before they name [`Register`]; pointers come from references to eight elements.
macro_rules! with_avx2 {
    ($($body:tt)*) => {
        // SAFETY: see the macro.
        unsafe { $($body)* }
    };
}

impl Arithmetic for Register {
    type Mask = __m256;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        with_avx2! { Self(_mm256_set1_ps(value)) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        with_avx2! { Self(_mm256_add_ps(self.0, other.0)) }
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        with_avx2! { Self(_mm256_sub_ps(self.0, other.0)) }
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        with_avx2! { Self(_mm256_mul_ps(self.0, other.0)) }
    }
    #[inline(always)]
    fn at_least(self, other: Self) -> __m256 {
        with_avx2! { _mm256_cmp_ps::<_CMP_GE_OQ>(self.0, other.0) }
    }
    #[inline(always)]
    fn keep(self, mask: __m256) -> Self {
        with_avx2! { Self(_mm256_and_ps(self.0, mask)) }
    }
    #[inline(always)]
    fn times_power_of_two(self, exponent: Self) -> Self {
        with_avx2! {
            let shifted = _mm256_slli_epi32::<23>(_mm256_castps_si256(exponent.0));
            Self(_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self.0), shifted)))
        }
    }
}

impl Lanes for Register {
    type Sums = (__m256d, __m256d);

    #[inline(always)]
    fn load(eight: &[f32; 8]) -> Self {
        with_avx2! { Self(_mm256_loadu_ps(eight.as_ptr())) }
    }
    #[inline(always)]
    fn load_half(eight: &[Half; 8]) -> Self {
        with_avx2! { Self(_mm256_cvtph_ps(_mm_loadu_si128(eight.as_ptr().cast()))) }
    }
    #[inline(always)]
    fn load_brain(eight: &[Brain; 8]) -> Self {
        with_avx2! {
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(eight.as_ptr().cast()));
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide)))
        }
    }
    #[inline(always)]
    fn to_array(self) -> [f32; 8] {
        let mut array = [0.0; 8];
        with_avx2! { _mm256_storeu_ps(array.as_mut_ptr(), self.0) }
        array
    }
    #[inline(always)]
    fn places(self, last: u16) -> [u32; 8] {
        let mut array = [0; 8];
        with_avx2! {
            let places = _mm256_cvttps_epi32(_mm256_min_ps(self.0, _mm256_set1_ps(f32::from(last))));
            _mm256_storeu_si256(array.as_mut_ptr().cast(), places);
        }
        array
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        with_avx2! { Self(_mm256_max_ps(self.0, other.0)) }
    }
    #[inline(always)]
    fn greatest(self) -> f32 {
        with_avx2! {
            let four = _mm_max_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        }
    }
    #[inline(always)]
    fn unordered(self, other: Self) -> __m256 {
        with_avx2! { _mm256_cmp_ps::<_CMP_UNORD_Q>(self.0, other.0) }
    }
    #[inline(always)]
    fn no_mask() -> __m256 {
        with_avx2! { _mm256_setzero_ps() }
    }
    #[inline(always)]
    fn or(one: __m256, other: __m256) -> __m256 {
        with_avx2! { _mm256_or_ps(one, other) }
    }
    #[inline(always)]
    fn bits(mask: __m256) -> u8 {
        with_avx2! { _mm256_movemask_ps(mask) as u8 }
    }
    #[inline(always)]
    fn no_sums() -> (__m256d, __m256d) {
        with_avx2! { (_mm256_setzero_pd(), _mm256_setzero_pd()) }
    }
    #[inline(always)]
    fn add_to(self, sums: (__m256d, __m256d)) -> (__m256d, __m256d) {
        with_avx2! {
            let low = _mm256_cvtps_pd(_mm256_castps256_ps128(self.0));
            let high = _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(self.0));
            (_mm256_add_pd(sums.0, low), _mm256_add_pd(sums.1, high))
        }
    }
    #[inline(always)]
    fn add_product_to(self, other: Self, sums: (__m256d, __m256d)) -> (__m256d, __m256d) {
        with_avx2! {
            let low = |of: __m256| _mm256_cvtps_pd(_mm256_castps256_ps128(of));
            let high = |of: __m256| _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(of));
            let products = (_mm256_mul_pd(low(self.0), low(other.0)), _mm256_mul_pd(high(self.0), high(other.0)));
            (_mm256_add_pd(sums.0, products.0), _mm256_add_pd(sums.1, products.1))
        }
    }
    #[inline(always)]
    fn total(sums: (__m256d, __m256d)) -> f64 {
        let mut half = [0.0; 4];
        with_avx2! { _mm256_storeu_pd(half.as_mut_ptr(), _mm256_add_pd(sums.0, sums.1)) }
        (half[0] + half[2]) + (half[1] + half[3])
    }
}
