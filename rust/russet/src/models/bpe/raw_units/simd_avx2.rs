//! Characters of raw bytes read with AVX2, eight at a time: see [`Lanes`].

use super::block::{Lanes, Some8, EIGHT};
use super::joints::{last_byte, RawJoints};
use crate::models::bpe::char_units::codes_of;
use crate::models::bpe::cuts::{FACTORS, MIXED_BITS};
use crate::simd::Avx2;
use std::arch::x86_64::*;

impl Lanes for Avx2 {
    #[inline(always)]
    fn read(self, text: &[u8], previous: u32, joints: &RawJoints) -> Option<Some8> {
        let bytes = text.first_chunk()?;
        // SAFETY: `self` proves that the processor has these features.
        unsafe { read(bytes, previous, joints) }
    }
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn read(bytes: &[u8; 32], previous: u32, joints: &RawJoints) -> Option<Some8> {
    let all = |number: u32| _mm256_set1_epi32(number as i32);
    // The highest bits of the lanes.
    let highest = |vector: __m256i| _mm256_movemask_ps(_mm256_castsi256_ps(vector)) as u32;
    let (codes, is_such, length) = codes_of(bytes)?;
    let behind = |first: u32, of: __m256i| {
        let moved = _mm256_permutevar8x32_epi32(of, _mm256_setr_epi32(7, 0, 1, 2, 3, 4, 5, 6));
        _mm256_blend_epi32::<1>(moved, all(first))
    };
    let before = behind(previous, codes);

    // As `PairFilter` says.
    let sum = _mm256_add_epi32(_mm256_mullo_epi32(before, all(FACTORS[0])), _mm256_mullo_epi32(codes, all(FACTORS[1])));
    let mixed = _mm256_xor_si256(sum, _mm256_srli_epi32::<{ MIXED_BITS as i32 }>(sum));
    let hash = _mm256_mullo_epi32(mixed, all(FACTORS[2]));
    let (words, shift) = joints.pairs.words();
    let places = _mm256_srl_epi32(hash, _mm_cvtsi32_si128(shift as i32));
    // SAFETY: what is left of 32 bits after that shift is less than the number of words.
    let word = unsafe { _mm256_i32gather_epi32::<4>(words.as_ptr().cast(), places) };
    // Each bit is moved to the highest place, from 31 less that of it.
    let moved_up = |bits: __m256i| _mm256_sllv_epi32(word, _mm256_xor_si256(_mm256_and_si256(bits, all(31)), all(31)));
    let has = highest(_mm256_and_si256(moved_up(hash), moved_up(_mm256_srli_epi32::<5>(hash))));
    let are_ascii = highest(_mm256_cmpgt_epi32(all(0x80), _mm256_or_si256(before, codes)));

    // The bytes around each place.
    let inner = _mm256_or_si256(_mm256_and_si256(codes, all(0x3f)), all(0x80));
    let last = _mm256_blendv_epi8(inner, codes, _mm256_cmpgt_epi32(all(0x80), codes));
    let first = match length {
        1 => codes,
        2 => _mm256_or_si256(_mm256_srli_epi32::<6>(codes), all(0xc0)),
        _ => _mm256_or_si256(_mm256_srli_epi32::<12>(codes), all(0xe0)),
    };
    let first = _mm256_and_si256(first, all(0xff));
    let last = behind(last_byte(previous).into(), _mm256_and_si256(last, all(0xff)));
    let edges = joints.edges.words();
    let places = _mm256_or_si256(_mm256_slli_epi32::<3>(last), _mm256_srli_epi32::<5>(first));
    // SAFETY: both bytes are below 256, so a place is below 2048, of 1024 words of 64 bits.
    let edge = unsafe { _mm256_i32gather_epi32::<4>(edges.as_ptr().cast(), places) };
    let edge = _mm256_sllv_epi32(edge, _mm256_xor_si256(_mm256_and_si256(first, all(31)), all(31)));

    // SAFETY: both are 32 bytes of which any are a value.
    let codes: [u32; EIGHT] = unsafe { std::mem::transmute(codes) };
    Some(Some8 {
        count: (!highest(is_such)).trailing_zeros() as usize,
        length,
        codes,
        joined: has | are_ascii,
        edges: highest(edge),
    })
}
