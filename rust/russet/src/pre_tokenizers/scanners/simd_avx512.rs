//! Blocks in one register of AVX-512, with the byte permutations of VBMI and the compression of VBMI2 (Ice Lake, Zen 4).

use super::blocks::{Bytes, Lanes, BYTES_LOADED};
use crate::simd::Avx512;
use std::arch::x86_64::*;

impl Lanes for Avx512 {
    type Vector = __m512i;
    type Mask = u64;

    #[inline(always)]
    fn load(self, block: &Bytes, offset: usize) -> __m512i {
        let bytes = block[offset..offset + BYTES_LOADED].as_ptr();
        // SAFETY: `self` proves that the processor has AVX-512; the load is inside of the slice.
        unsafe { _mm512_loadu_si512(bytes.cast()) }
    }

    #[inline(always)]
    fn splat(self, byte: u8) -> __m512i {
        // SAFETY: `self` proves that the processor has AVX-512.
        unsafe { _mm512_set1_epi8(byte as i8) }
    }

    #[inline(always)]
    fn or(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves that the processor has AVX-512.
        unsafe { _mm512_or_si512(a, b) }
    }

    #[inline(always)]
    fn both(self, a: u64, b: u64) -> u64 {
        a & b
    }

    #[inline(always)]
    fn either(self, a: u64, b: u64) -> u64 {
        a | b
    }

    #[inline(always)]
    fn choose(self, bytes: __m512i, mask: u64) -> __m512i {
        // SAFETY: `self` proves that the processor has AVX-512 BW.
        unsafe { _mm512_maskz_mov_epi8(mask, bytes) }
    }

    #[inline(always)]
    fn equal(self, bytes: __m512i, byte: u8) -> u64 {
        // SAFETY: `self` proves that the processor has AVX-512 BW.
        unsafe { _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte as i8)) }
    }

    #[inline(always)]
    fn within(self, bytes: __m512i, first: u8, last: u8) -> u64 {
        // SAFETY: `self` proves that the processor has AVX-512 BW.
        unsafe {
            let moved = _mm512_sub_epi8(bytes, _mm512_set1_epi8(first as i8));
            _mm512_cmple_epu8_mask(moved, _mm512_set1_epi8((last - first) as i8))
        }
    }

    #[inline(always)]
    fn look_up_64(self, indices: __m512i, table: &[u8; 64]) -> __m512i {
        // SAFETY: `self` proves that the processor has AVX-512 VBMI; the load is the table.
        unsafe { _mm512_permutexvar_epi8(indices, _mm512_loadu_si512(table.as_ptr().cast())) }
    }

    #[inline(always)]
    fn look_up_32(self, indices: __m512i, table: &[u8; 32]) -> __m512i {
        // SAFETY: `self` proves that the processor has AVX-512 VBMI; the load is the table.
        unsafe {
            let table = _mm512_broadcast_i64x4(_mm256_loadu_si256(table.as_ptr().cast()));
            _mm512_permutexvar_epi8(indices, table)
        }
    }

    #[inline(always)]
    fn bits(self, mask: u64) -> u64 {
        mask
    }

    #[inline(always)]
    fn planes(self, bytes: __m512i) -> [u64; 8] {
        let mut planes = [0; 8];
        for (bit, plane) in planes.iter_mut().enumerate() {
            // SAFETY: `self` proves that the processor has AVX-512 BW.
            *plane = unsafe { _mm512_test_epi8_mask(bytes, _mm512_set1_epi8(1 << bit)) };
        }
        planes
    }

    #[inline(always)]
    fn push(self, bits: u64, base: u32, ends: &mut Vec<u32>) {
        let count = bits.count_ones() as usize;
        ends.reserve(64);
        // SAFETY: `self` proves that the processor has AVX-512 VBMI2. `reserve` made room for 64 more, the most that is written.
        unsafe {
            let numbers = _mm512_maskz_compress_epi8(bits, _mm512_loadu_si512(NUMBERS.as_ptr().cast()));
            let base = _mm512_set1_epi32(base as i32);
            let end = ends.as_mut_ptr().add(ends.len());
            let store = end.cast::<__m512i>();
            _mm512_storeu_si512(store, _mm512_add_epi32(_mm512_cvtepu8_epi32(_mm512_castsi512_si128(numbers)), base));
            let next = _mm512_extracti32x4_epi32::<1>(numbers);
            _mm512_storeu_si512(store.add(1), _mm512_add_epi32(_mm512_cvtepu8_epi32(next), base));
            if count > 32 {
                let next = _mm512_extracti32x4_epi32::<2>(numbers);
                _mm512_storeu_si512(store.add(2), _mm512_add_epi32(_mm512_cvtepu8_epi32(next), base));
                let next = _mm512_extracti32x4_epi32::<3>(numbers);
                _mm512_storeu_si512(store.add(3), _mm512_add_epi32(_mm512_cvtepu8_epi32(next), base));
            }
            ends.set_len(ends.len() + count);
        }
    }
}

/// The numbers of the bytes of a block.
static NUMBERS: [u8; 64] = {
    let mut numbers = [0; 64];
    let mut index = 0;
    while index < 64 {
        numbers[index] = index as u8;
        index += 1;
    }
    numbers
};
