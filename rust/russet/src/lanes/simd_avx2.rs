//! Eight lanes in a register of AVX2, with F16C and FMA: see [`Lanes`].

use super::{Arithmetic, Brain, FusedLanes, Half, Kernel, Lanes};
use crate::simd::Avx2;
use std::arch::x86_64::*;

impl Avx2 {
    /// Runs a kernel in registers. Not by [`Avx2::run`]: a closure as large as this is not inlined, and then nothing in it is.
    pub(super) fn kernel<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
        fn compiled<K: Kernel>(kernel: K) -> K::Output {
            kernel.run::<Register>()
        }
        // SAFETY: `self` proves that the processor has these features.
        unsafe { compiled(kernel) }
    }
}

/// Eight numbers in a register. Values are made only in kernels that [`Avx2::kernel`] runs, and in tests where its proof exists.
#[derive(Clone, Copy)]
pub(super) struct Register(__m256);

/// SAFETY of every `unsafe` block here, in one place: the intrinsics need AVX2, FMA and F16C, for which the proof [`Avx2`] is held
/// before [`Register`] is named; pointers come from references to as many elements as are read or written.
macro_rules! with_avx2 {
    ($($body:tt)*) => {
        // SAFETY: see the macro.
        unsafe { $($body)* }
    };
}

// Functions, as closures would not be compiled for the processor's features unless they are inlined.

/// Four bytes of each half of a register, the parts counted by fours.
#[inline(always)]
fn widen<const PART: i32>(bytes: __m256i) -> Register {
    with_avx2! {
        // A byte of 0x80 and more gives zero.
        let first = !0xff | (4 * PART);
        let four = _mm_setr_epi32(first, first + 1, first + 2, first + 3);
        Register(_mm256_cvtepi32_ps(_mm256_shuffle_epi8(bytes, _mm256_broadcastsi128_si256(four))))
    }
}

/// The lower and the upper bytes of sixteen numbers.
#[inline(always)]
fn planes(numbers: &[Half; 16]) -> [__m256i; 2] {
    let mut bytes = [[0; 16]; 2];
    for (index, number) in numbers.iter().enumerate() {
        let [low, high] = number.0.to_le_bytes();
        (bytes[0][index], bytes[1][index]) = (low, high);
    }
    with_avx2! {
        [
            _mm256_broadcastsi128_si256(_mm_loadu_si128(bytes[0].as_ptr().cast())),
            _mm256_broadcastsi128_si256(_mm_loadu_si128(bytes[1].as_ptr().cast())),
        ]
    }
}

/// Bytes of four tables of sixteen, by indices below 64.
#[inline(always)]
fn of_64(one: __m256i, two: __m256i, three: __m256i, four: __m256i, indices: __m256i) -> __m256i {
    with_avx2! {
        // The highest bit of a byte chooses: moved there are the fifth and the sixth of the index.
        let (fifth, sixth) = (_mm256_slli_epi16::<3>(indices), _mm256_slli_epi16::<2>(indices));
        let low = _mm256_blendv_epi8(_mm256_shuffle_epi8(one, indices), _mm256_shuffle_epi8(two, indices), fifth);
        let high = _mm256_blendv_epi8(_mm256_shuffle_epi8(three, indices), _mm256_shuffle_epi8(four, indices), fifth);
        _mm256_blendv_epi8(low, high, sixth)
    }
}

#[inline(always)]
fn interleave(one: Register, other: Register) -> (__m256, __m256) {
    with_avx2! { (_mm256_unpacklo_ps(one.0, other.0), _mm256_unpackhi_ps(one.0, other.0)) }
}

#[inline(always)]
fn halves(one: __m256, other: __m256) -> (__m256, __m256) {
    with_avx2! { (_mm256_shuffle_ps::<0x44>(one, other), _mm256_shuffle_ps::<0xee>(one, other)) }
}

#[inline(always)]
fn sides(one: __m256, other: __m256) -> (Register, Register) {
    with_avx2! { (Register(_mm256_permute2f128_ps::<0x20>(one, other)), Register(_mm256_permute2f128_ps::<0x31>(one, other))) }
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
    type Table = (__m256, __m256);
    /// The lower bytes and the upper bytes of sixteen numbers each, twice in a register.
    type Halves = [[__m256i; 2]; 4];
    type Indices = __m256i;

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
    fn load_signed(eight: &[i8; 8]) -> Self {
        with_avx2! { Self(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(eight.as_ptr().cast())))) }
    }
    #[inline(always)]
    fn load_unsigned(eight: &[u8; 8]) -> Self {
        with_avx2! { Self(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(eight.as_ptr().cast())))) }
    }
    #[inline(always)]
    fn load_nibbles(bytes: &[u8; 16], flip: u8) -> [Self; 4] {
        with_avx2! {
            let bytes = _mm_xor_si128(_mm_loadu_si128(bytes.as_ptr().cast()), _mm_set1_epi8(flip as i8));
            // The lower halves of all bytes in one half of the register, the upper ones in the other.
            let shifted = _mm256_srlv_epi32(_mm256_broadcastsi128_si256(bytes), _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4));
            let numbers = _mm256_and_si256(shifted, _mm256_set1_epi8(15));
            [widen::<0>(numbers), widen::<1>(numbers), widen::<2>(numbers), widen::<3>(numbers)]
        }
    }
    #[inline(always)]
    fn by_turns(self) -> Self {
        with_avx2! { Self(_mm256_permutevar8x32_ps(self.0, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))) }
    }
    #[inline(always)]
    fn store(self, eight: &mut [f32; 8]) {
        with_avx2! { _mm256_storeu_ps(eight.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        with_avx2! { Self(_mm256_div_ps(self.0, other.0)) }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // The second operand is the result where one is no number.
        with_avx2! { Self(_mm256_max_ps(self.0, other.0)) }
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        with_avx2! { Self(_mm256_min_ps(self.0, other.0)) }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        with_avx2! {
            let four = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
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
    fn places(self, last: u16) -> [u32; 8] {
        let mut array = [0; 8];
        with_avx2! {
            let places = _mm256_cvttps_epi32(_mm256_min_ps(self.0, _mm256_set1_ps(f32::from(last))));
            _mm256_storeu_si256(array.as_mut_ptr().cast(), places);
        }
        array
    }
    #[inline(always)]
    fn transpose(rows: [Self; 8]) -> [Self; 8] {
        let (ab, cd) = (interleave(rows[0], rows[1]), interleave(rows[2], rows[3]));
        let (ef, gh) = (interleave(rows[4], rows[5]), interleave(rows[6], rows[7]));
        let low = [halves(ab.0, cd.0), halves(ab.1, cd.1)];
        let high = [halves(ef.0, gh.0), halves(ef.1, gh.1)];
        let (first, second) = (sides(low[0].0, high[0].0), sides(low[0].1, high[0].1));
        let (third, fourth) = (sides(low[1].0, high[1].0), sides(low[1].1, high[1].1));
        [first.0, second.0, third.0, fourth.0, first.1, second.1, third.1, fourth.1]
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
    #[inline(always)]
    fn choose<const BITS: i32>(self, indices: u32) -> Self {
        with_avx2! {
            let shifts = _mm256_setr_epi32(0, BITS, 2 * BITS, 3 * BITS, 4 * BITS, 5 * BITS, 6 * BITS, 7 * BITS);
            // A permutation looks at the last three bits of each lane alone.
            Self(_mm256_permutevar8x32_ps(self.0, _mm256_srlv_epi32(_mm256_set1_epi32(indices as i32), shifts)))
        }
    }
    #[inline(always)]
    fn table(sixteen: &[f32; 16]) -> (__m256, __m256) {
        with_avx2! { (_mm256_loadu_ps(sixteen.as_ptr()), _mm256_loadu_ps(sixteen.as_ptr().add(8))) }
    }
    #[inline(always)]
    fn look_up(table: (__m256, __m256), indices: &[u8; 4]) -> Self {
        with_avx2! {
            let shifts = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
            // A permutation looks at the last three bits of each lane alone; the fourth, moved to the sign, chooses the half.
            let index = _mm256_srlv_epi32(_mm256_set1_epi32(i32::from_le_bytes(*indices)), shifts);
            let first = _mm256_permutevar8x32_ps(table.0, index);
            let second = _mm256_permutevar8x32_ps(table.1, index);
            Self(_mm256_blendv_ps(first, second, _mm256_castsi256_ps(_mm256_slli_epi32::<28>(index))))
        }
    }
    #[inline(always)]
    fn halves(numbers: &[Half; 64]) -> [[__m256i; 2]; 4] {
        let (sixteens, _) = numbers.as_chunks::<16>();
        [planes(&sixteens[0]), planes(&sixteens[1]), planes(&sixteens[2]), planes(&sixteens[3])]
    }
    #[inline(always)]
    fn indices_of_four_bits(bytes: &[u8; 16]) -> __m256i {
        with_avx2! {
            let bytes = _mm_loadu_si128(bytes.as_ptr().cast());
            let low = _mm_and_si128(bytes, _mm_set1_epi8(15));
            let high = _mm_and_si128(_mm_srli_epi16::<4>(bytes), _mm_set1_epi8(15));
            _mm256_set_m128i(_mm_unpackhi_epi8(low, high), _mm_unpacklo_epi8(low, high))
        }
    }
    #[inline(always)]
    fn indices_of_six_bits(bytes: &[u8; 24]) -> __m256i {
        with_avx2! {
            let first = _mm_loadu_si128(bytes.as_ptr().cast());
            let second = _mm_loadu_si128(bytes.as_ptr().add(8).cast());
            // Three bytes in each lane: the first twelve of one half, the last twelve of the other.
            let order = _mm256_setr_epi8(
                0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1, 4, 5, 6, -1, 7, 8, 9, -1, 10, 11, 12, -1, 13, 14, 15, -1,
            );
            let threes = _mm256_shuffle_epi8(_mm256_set_m128i(second, first), order);
            let one = _mm256_and_si256(threes, _mm256_set1_epi32(0x3f));
            let two = _mm256_and_si256(_mm256_slli_epi32::<2>(threes), _mm256_set1_epi32(0x3f00));
            let three = _mm256_and_si256(_mm256_slli_epi32::<4>(threes), _mm256_set1_epi32(0x3f_0000));
            let four = _mm256_and_si256(_mm256_slli_epi32::<6>(threes), _mm256_set1_epi32(0x3f00_0000));
            _mm256_or_si256(_mm256_or_si256(one, two), _mm256_or_si256(three, four))
        }
    }
    #[inline(always)]
    fn look_up_halves<const IS_LONG: bool>(halves: [[__m256i; 2]; 4], indices: __m256i) -> [Self; 4] {
        with_avx2! {
            let (low, high) = if IS_LONG {
                (of_64(halves[0][0], halves[1][0], halves[2][0], halves[3][0], indices),
                 of_64(halves[0][1], halves[1][1], halves[2][1], halves[3][1], indices))
            } else {
                (_mm256_shuffle_epi8(halves[0][0], indices), _mm256_shuffle_epi8(halves[0][1], indices))
            };
            let (first, second) = (_mm256_unpacklo_epi8(low, high), _mm256_unpackhi_epi8(low, high));
            [
                Self(_mm256_cvtph_ps(_mm256_castsi256_si128(first))),
                Self(_mm256_cvtph_ps(_mm256_castsi256_si128(second))),
                Self(_mm256_cvtph_ps(_mm256_extracti128_si256::<1>(first))),
                Self(_mm256_cvtph_ps(_mm256_extracti128_si256::<1>(second))),
            ]
        }
    }
}

impl FusedLanes for Register {
    #[inline(always)]
    fn fused(self, by: Self, plus: Self) -> Self {
        with_avx2! { Self(_mm256_fmadd_ps(self.0, by.0, plus.0)) }
    }
}
