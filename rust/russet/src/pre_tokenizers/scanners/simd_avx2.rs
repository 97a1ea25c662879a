//! Blocks in two registers of AVX2.

use super::blocks::{Bytes, Lanes, BYTES_LOADED};
use crate::simd::Avx2;
use std::arch::x86_64::*;

/// The halves of 64 bytes, or of 64 truth values (0 or 0xFF).
#[derive(Clone, Copy)]
pub(super) struct Halves(__m256i, __m256i);

/// Methods of [`Lanes`] that do the same to both halves.
macro_rules! halves {
    ($($name:ident($first:ident $(, $second:ident)? $(; $($argument:ident: $kind:ty),+)?) = $half:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $first: Halves $(, $second: Halves)? $(, $($argument: $kind),+)?) -> Halves {
            // SAFETY: `self` proves that the processor has AVX2; what is read of a table is inside of it.
            unsafe {
                Halves({ let $first = $first.0; $(let $second = $second.0;)? $half }, { let $first = $first.1; $(let $second = $second.1;)? $half })
            }
        }
    )*};
}

/// The bits of the bytes of two halves that have their highest bit set.
macro_rules! bits {
    ($bytes:ident, $half:ident => $shifted:expr) => {{
        let low = {
            let $half = $bytes.0;
            _mm256_movemask_epi8($shifted)
        } as u32;
        let high = {
            let $half = $bytes.1;
            _mm256_movemask_epi8($shifted)
        } as u32;
        u64::from(low) | u64::from(high) << 32
    }};
}

impl Lanes for Avx2 {
    type Vector = Halves;
    type Mask = Halves;

    #[inline(always)]
    fn load(self, block: &Bytes, offset: usize) -> Halves {
        let bytes = block[offset..offset + BYTES_LOADED].as_ptr();
        // SAFETY: `self` proves that the processor has AVX2; both loads are inside of the slice.
        unsafe { Halves(_mm256_loadu_si256(bytes.cast()), _mm256_loadu_si256(bytes.add(32).cast())) }
    }

    #[inline(always)]
    fn splat(self, byte: u8) -> Halves {
        // SAFETY: `self` proves that the processor has AVX2.
        let half = unsafe { _mm256_set1_epi8(byte as i8) };
        Halves(half, half)
    }

    halves! {
        or(a, b) = _mm256_or_si256(a, b);
        both(a, b) = _mm256_and_si256(a, b);
        either(a, b) = _mm256_or_si256(a, b);
        choose(bytes, mask) = _mm256_and_si256(bytes, mask);
        equal(bytes; byte: u8) = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8));
        within(bytes; first: u8, last: u8) = {
            let moved = _mm256_sub_epi8(bytes, _mm256_set1_epi8(first as i8));
            _mm256_cmpeq_epi8(_mm256_min_epu8(moved, _mm256_set1_epi8((last - first) as i8)), moved)
        };
        look_up_64(indices; table: &[u8; 64]) = {
            let quarters = table.as_ptr().cast::<__m128i>();
            let a = _mm256_broadcastsi128_si256(_mm_loadu_si128(quarters));
            let b = _mm256_broadcastsi128_si256(_mm_loadu_si128(quarters.add(1)));
            let c = _mm256_broadcastsi128_si256(_mm_loadu_si128(quarters.add(2)));
            let d = _mm256_broadcastsi128_si256(_mm_loadu_si128(quarters.add(3)));
            // The bits of the index that choose a quarter go to the top of the byte, where a blend looks at them.
            let low_bits = _mm256_and_si256(indices, _mm256_set1_epi8(0xF));
            let by_16 = _mm256_slli_epi16::<3>(indices);
            let low = _mm256_blendv_epi8(_mm256_shuffle_epi8(a, low_bits), _mm256_shuffle_epi8(b, low_bits), by_16);
            let high = _mm256_blendv_epi8(_mm256_shuffle_epi8(c, low_bits), _mm256_shuffle_epi8(d, low_bits), by_16);
            _mm256_blendv_epi8(low, high, _mm256_slli_epi16::<2>(indices))
        };
        look_up_32(indices; table: &[u8; 32]) = {
            let halves = table.as_ptr().cast::<__m128i>();
            let a = _mm256_broadcastsi128_si256(_mm_loadu_si128(halves));
            let b = _mm256_broadcastsi128_si256(_mm_loadu_si128(halves.add(1)));
            _mm256_blendv_epi8(_mm256_shuffle_epi8(a, indices), _mm256_shuffle_epi8(b, indices), _mm256_slli_epi16::<3>(indices))
        };
    }

    #[inline(always)]
    fn bits(self, mask: Halves) -> u64 {
        // SAFETY: `self` proves that the processor has AVX2.
        unsafe { bits!(mask, half => half) }
    }

    #[inline(always)]
    fn planes(self, bytes: Halves) -> [u64; 8] {
        // SAFETY: `self` proves that the processor has AVX2.
        unsafe {
            [
                bits!(bytes, half => _mm256_slli_epi16::<7>(half)),
                bits!(bytes, half => _mm256_slli_epi16::<6>(half)),
                bits!(bytes, half => _mm256_slli_epi16::<5>(half)),
                bits!(bytes, half => _mm256_slli_epi16::<4>(half)),
                bits!(bytes, half => _mm256_slli_epi16::<3>(half)),
                bits!(bytes, half => _mm256_slli_epi16::<2>(half)),
                bits!(bytes, half => _mm256_slli_epi16::<1>(half)),
                bits!(bytes, half => half),
            ]
        }
    }

    #[inline(always)]
    fn push(self, bits: u64, base: u32, ends: &mut Vec<u32>) {
        ends.reserve(64);
        // SAFETY: `self` proves that the processor has AVX2. `reserve` made room for 64 more: before each step at most as many
        // numbers are kept as bits were looked at, and each step writes as many as it looks at bits.
        unsafe {
            let mut end = ends.as_mut_ptr().add(ends.len());
            let mut bases = _mm256_set1_epi32(base as i32);
            for byte in bits.to_le_bytes() {
                let numbers = _mm_loadl_epi64(BITS_SET[usize::from(byte)].as_ptr().cast());
                _mm256_storeu_si256(end.cast(), _mm256_add_epi32(_mm256_cvtepu8_epi32(numbers), bases));
                bases = _mm256_add_epi32(bases, _mm256_set1_epi32(8));
                end = end.add(byte.count_ones() as usize);
            }
            ends.set_len(ends.len() + bits.count_ones() as usize);
        }
    }
}

/// The numbers of the bits that are set in a byte.
static BITS_SET: [[u8; 8]; 256] = {
    let mut numbers = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut count) = (0, 0);
        while bit < 8 {
            if byte >> bit & 1 != 0 {
                numbers[byte][count] = bit;
                count += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    numbers
};
