//! The searches with SSE2: see [`super`].
//!
//! Each answers for sixteen bytes with a bit for each, that of the first one lowest. O(1).

use std::arch::x86_64::*;

/// Which bytes are white space.
#[inline(always)]
pub(super) fn space_bits(block: &[u8; 16]) -> u16 {
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { spaces(load(block)) }
}

/// Which bytes end a run of plain characters.
#[inline(always)]
pub(super) fn end_bits(block: &[u8; 16]) -> u16 {
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { ends(load(block)) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn load(block: &[u8; 16]) -> __m128i {
    // SAFETY: the block has the sixteen bytes that are read, and they may have any alignment.
    unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn spaces(block: __m128i) -> u16 {
    let (space, line) = (_mm_cmpeq_epi8(block, _mm_set1_epi8(b' ' as i8)), _mm_cmpeq_epi8(block, _mm_set1_epi8(b'\n' as i8)));
    let (end, tab) = (_mm_cmpeq_epi8(block, _mm_set1_epi8(b'\r' as i8)), _mm_cmpeq_epi8(block, _mm_set1_epi8(b'\t' as i8)));
    _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(space, line), _mm_or_si128(end, tab))) as u16
}

#[inline]
#[target_feature(enable = "sse2")]
fn ends(block: __m128i) -> u16 {
    let quotation = _mm_cmpeq_epi8(block, _mm_set1_epi8(b'"' as i8));
    let backslash = _mm_cmpeq_epi8(block, _mm_set1_epi8(b'\\' as i8));
    let control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
    _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotation, backslash), control)) as u16
}
