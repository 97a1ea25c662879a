//! Characters read with AVX2, eight at a time: see [`Lanes`].

use super::block::{Lanes, Some8, EIGHT};
use super::{BEGINS, NEAR};
use crate::simd::Avx2;
use std::arch::x86_64::*;

/// How many bytes may be read.
const READ: usize = 32;

impl Lanes for Avx2 {
    #[inline(always)]
    fn read(self, text: &[u8], space: u32, near: &[u32; NEAR], previous: u32) -> Option<Some8> {
        let bytes: &[u8; READ] = text.first_chunk()?;
        // SAFETY: `self` proves that the processor has these features.
        unsafe { read(bytes, space, near, previous) }
    }
}

/// The lanes of one vector.
#[inline]
#[target_feature(enable = "avx2")]
fn lanes(vector: __m256i) -> [u32; EIGHT] {
    // SAFETY: both are 32 bytes of which any are a value.
    unsafe { std::mem::transmute(vector) }
}

/// The highest bits of the lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn highest(vector: __m256i) -> u32 {
    _mm256_movemask_ps(_mm256_castsi256_ps(vector)) as u32
}

/// The characters of one length that begin `bytes`, up to eight, which of them are such, and their length; `None` for those above
/// U+FFFF. What is no such character has any number below 2^16.
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn codes_of(bytes: &[u8; READ]) -> Option<(__m256i, __m256i, usize)> {
    let all = |number: u32| _mm256_set1_epi32(number as i32);
    let at = bytes.as_ptr();
    let (codes, is_such, length) = match bytes[0] {
        0..0x80 => {
            // SAFETY: 8 bytes of 32 are read.
            let codes = _mm256_cvtepu8_epi32(unsafe { _mm_loadl_epi64(at.cast()) });
            (codes, _mm256_cmpgt_epi32(all(0x80), codes), 1)
        }
        0x80..0xe0 => {
            // SAFETY: 16 bytes of 32 are read.
            let pairs = _mm256_cvtepu16_epi32(unsafe { _mm_loadu_si128(at.cast()) });
            let first = _mm256_slli_epi32::<6>(_mm256_and_si256(pairs, all(0x1f)));
            let second = _mm256_and_si256(_mm256_srli_epi32::<8>(pairs), all(0x3f));
            let is_such = _mm256_cmpeq_epi32(_mm256_and_si256(pairs, all(0xe0)), all(0xc0));
            (_mm256_or_si256(first, second), is_such, 2)
        }
        0xe0..0xf0 => {
            // SAFETY: bytes 0 to 27 of 32 are read.
            let halves = unsafe { _mm256_loadu2_m128i(at.add(12).cast(), at.cast()) };
            #[rustfmt::skip]
            let places = _mm256_setr_epi8(
                2, 1, 0, -1, 5, 4, 3, -1, 8, 7, 6, -1, 11, 10, 9, -1,
                2, 1, 0, -1, 5, 4, 3, -1, 8, 7, 6, -1, 11, 10, 9, -1,
            );
            let threes = _mm256_shuffle_epi8(halves, places);
            let first = _mm256_srli_epi32::<4>(_mm256_and_si256(threes, all(0xf_0000)));
            let second = _mm256_srli_epi32::<2>(_mm256_and_si256(threes, all(0x3f00)));
            let third = _mm256_and_si256(threes, all(0x3f));
            let is_such = _mm256_cmpeq_epi32(_mm256_and_si256(threes, all(0xf0_0000)), all(0xe0_0000));
            (_mm256_or_si256(_mm256_or_si256(first, second), third), is_such, 3)
        }
        0xf0.. => return None,
    };
    // What is no such character may have any number.
    Some((_mm256_and_si256(codes, all(NEAR as u32 - 1)), is_such, length))
}

/// Reads the characters of one length that begin `bytes`, up to eight.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn read(bytes: &[u8; READ], space: u32, near: &[u32; NEAR], previous: u32) -> Option<Some8> {
    let all = |number: u32| _mm256_set1_epi32(number as i32);
    let (codes, is_such, length) = codes_of(bytes)?;
    let codes = _mm256_blendv_epi8(codes, all(space % NEAR as u32), _mm256_cmpeq_epi32(codes, all(0x20)));
    // SAFETY: each lane is less than 2^16, the index of a number of the table.
    let entries = unsafe { _mm256_i32gather_epi32::<4>(near.as_ptr().cast(), codes) };
    let moved = _mm256_permutevar8x32_epi32(entries, _mm256_setr_epi32(7, 0, 1, 2, 3, 4, 5, 6));
    let before = _mm256_blend_epi32::<1>(moved, all(previous));
    const { assert!(BEGINS == 1 << 29) };
    let may_join = _mm256_slli_epi32::<2>(_mm256_and_si256(entries, _mm256_srli_epi32::<1>(before)));
    let words = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(codes, codes));
    // SAFETY: both are 16 bytes of which any are a value.
    let last: [u16; EIGHT] = unsafe { std::mem::transmute(_mm256_castsi256_si128(words)) };
    Some(Some8 {
        length,
        count: (!highest(is_such)).trailing_zeros() as usize,
        codes: lanes(codes),
        entries: lanes(entries),
        last,
        may_join: highest(may_join),
        others: highest(_mm256_cmpeq_epi32(entries, _mm256_setzero_si256())),
    })
}
