//! Texts read with AVX2: see [`super`].

use super::{NotACharacter, Unit, PART, SLACK};
use crate::simd::Avx2;
use std::arch::x86_64::*;

/// Units at a time.
const BLOCK: usize = 16;

impl Avx2 {
    /// Appends characters up to some before the first that is none.
    pub(super) fn append<U: Unit>(self, units: &[U], text: &mut String) -> Result<(), NotACharacter> {
        let mut rest = units;
        let begin = text.len();
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.len().min(PART));
            if text.capacity() - text.len() < part.len() * U::LONGEST + SLACK {
                // As many bytes for each unit as so far, and some more; never so few that this happens often.
                let (written, read) = (text.len() - begin, units.len() - rest.len());
                let estimate = (rest.len() as u128 * written as u128 / read.max(1) as u128) as usize;
                text.reserve_exact(
                    (estimate + estimate / 16).max(written / 8).min(rest.len() * U::LONGEST) + PART * U::LONGEST + SLACK,
                );
            }
            // SAFETY: `self` proves that the processor has these features, and there is room for the longest form of each unit
            // and the slack. Whole characters are appended.
            let written = unsafe { append(part, text.as_mut_vec()) };
            if let Err(block) = written {
                let first = units.len() - rest.len() + block;
                let found = units.iter().skip(first).position(|unit| char::from_u32((*unit).into()).is_none());
                return Err(NotACharacter { index: first + found.unwrap_or_default() });
            }
            rest = after;
        }
        Ok(())
    }
}

/// Appends the units as UTF-8, or nothing and gives the index of a block that has a unit which is no character.
///
/// # Safety
/// `text` has spare room for [`Unit::LONGEST`] bytes for each unit and [`SLACK`] more.
#[target_feature(enable = "avx2,popcnt")]
unsafe fn append<U: Unit>(units: &[U], text: &mut Vec<u8>) -> Result<(), usize> {
    // SAFETY: the features are enabled here; what is read is inside of `units`, or of `last`. Each block moves `at` on by the
    // bytes of its characters and writes up to 16 more at most, for which there is room by this function's contract.
    unsafe {
        let start = text.as_mut_ptr().add(text.len());
        let mut at = start;
        let mut index = 0;
        while index + 2 * BLOCK <= units.len() {
            let block = units.as_ptr().add(index);
            if U::narrow_32(block, at) {
                at = at.add(2 * BLOCK);
            } else {
                at = at.add(U::write_16(block, at).ok_or(index)?);
                at = at.add(U::write_16(block.add(BLOCK), at).ok_or(index + BLOCK)?);
            }
            index += 2 * BLOCK;
        }
        if index + BLOCK <= units.len() {
            at = at.add(U::write_16(units.as_ptr().add(index), at).ok_or(index)?);
            index += BLOCK;
        }
        if index < units.len() {
            let left = units.len() - index;
            let mut last = [U::default(); BLOCK];
            units.as_ptr().add(index).copy_to_nonoverlapping(last.as_mut_ptr(), left);
            at = at.add(U::write_16(last.as_ptr(), at).ok_or(index)? - (BLOCK - left));
        }
        text.set_len(text.len() + at.offset_from_unsigned(start));
    }
    Ok(())
}

/// How a unit is read, many at a time.
pub trait Wide: Sized {
    /// Writes 32 units as 32 bytes, and tells whether all of them are ASCII; else the bytes mean nothing.
    ///
    /// # Safety
    /// There are 32 units to read and 32 bytes of room, and the processor has AVX2.
    unsafe fn narrow_32(units: *const Self, at: *mut u8) -> bool;

    /// Writes 16 units as UTF-8 and gives the number of bytes, `None` if not all are characters.
    ///
    /// # Safety
    /// There are 16 units to read and room for their bytes and 16 more, and the processor has AVX2 and POPCNT.
    unsafe fn write_16(units: *const Self, at: *mut u8) -> Option<usize>;
}

impl Wide for u8 {
    #[inline(always)]
    unsafe fn narrow_32(units: *const Self, at: *mut u8) -> bool {
        // SAFETY: by this function's contract.
        unsafe {
            let bytes = _mm256_loadu_si256(units.cast());
            _mm256_storeu_si256(at.cast(), bytes);
            _mm256_movemask_epi8(bytes) == 0
        }
    }

    #[inline(always)]
    unsafe fn write_16(units: *const Self, at: *mut u8) -> Option<usize> {
        // SAFETY: by this function's contract; of Latin-1 no character takes more than two bytes.
        unsafe {
            let bytes = _mm_loadu_si128(units.cast());
            if _mm_movemask_epi8(bytes) == 0 {
                _mm_storeu_si128(at.cast(), bytes);
                return Some(16);
            }
            Some(write_two_bytes(_mm256_cvtepu8_epi16(bytes), at))
        }
    }
}

impl Wide for u16 {
    #[inline(always)]
    unsafe fn narrow_32(units: *const Self, at: *mut u8) -> bool {
        // SAFETY: by this function's contract.
        unsafe {
            let (low, high) = (_mm256_loadu_si256(units.cast()), _mm256_loadu_si256(units.add(16).cast()));
            let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi16(low, high));
            _mm256_storeu_si256(at.cast(), packed);
            _mm256_testz_si256(_mm256_or_si256(low, high), _mm256_set1_epi16(!0x7F)) != 0
        }
    }

    #[inline(always)]
    unsafe fn write_16(units: *const Self, at: *mut u8) -> Option<usize> {
        // SAFETY: by this function's contract.
        unsafe { write_16_of_two(_mm256_loadu_si256(units.cast()), at) }
    }
}

impl Wide for u32 {
    #[inline(always)]
    unsafe fn narrow_32(units: *const Self, at: *mut u8) -> bool {
        // SAFETY: by this function's contract.
        unsafe {
            let quarter = |index: usize| _mm256_loadu_si256(units.add(8 * index).cast());
            let (a, b, c, d) = (quarter(0), quarter(1), quarter(2), quarter(3));
            let all = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
            let packed = _mm256_packus_epi16(_mm256_packus_epi32(a, b), _mm256_packus_epi32(c, d));
            let in_order = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
            _mm256_storeu_si256(at.cast(), in_order);
            _mm256_testz_si256(all, _mm256_set1_epi32(!0x7F)) != 0
        }
    }

    #[inline(always)]
    unsafe fn write_16(units: *const Self, at: *mut u8) -> Option<usize> {
        // SAFETY: by this function's contract.
        unsafe {
            let (low, high) = (_mm256_loadu_si256(units.cast()), _mm256_loadu_si256(units.add(8).cast()));
            if _mm256_testz_si256(_mm256_or_si256(low, high), _mm256_set1_epi32(!0xFFFF)) != 0 {
                let packed = _mm256_packus_epi32(low, high);
                return write_16_of_two(_mm256_permute4x64_epi64::<0b11_01_10_00>(packed), at);
            }
            let limit = _mm256_set1_epi32(0x10FFFF);
            let is_outside = |units| {
                let is_low = _mm256_cmpeq_epi32(_mm256_max_epu32(units, limit), limit);
                let highest_bits = _mm256_and_si256(units, _mm256_set1_epi32(!0x7FF));
                let is_surrogate = _mm256_cmpeq_epi32(highest_bits, _mm256_set1_epi32(0xD800));
                _mm256_movemask_epi8(_mm256_andnot_si256(is_surrogate, is_low)) != -1
            };
            if is_outside(low) || is_outside(high) {
                return None;
            }
            let first = write_four_bytes::<true>(low, at);
            Some(first + write_four_bytes::<true>(high, at.add(first)))
        }
    }
}

/// Writes 16 units of two bytes, and gives the number of bytes; `None` if there is a surrogate.
///
/// # Safety
/// There is room for their bytes and 16 more, and the processor has AVX2 and POPCNT.
#[inline(always)]
unsafe fn write_16_of_two(units: __m256i, at: *mut u8) -> Option<usize> {
    // SAFETY: by this function's contract.
    unsafe {
        if _mm256_testz_si256(units, _mm256_set1_epi16(!0x7FF)) != 0 {
            return Some(write_two_bytes(units, at));
        }
        let highest_bits = _mm256_and_si256(units, _mm256_set1_epi16(!0x7FF));
        let is_surrogate = _mm256_cmpeq_epi16(highest_bits, _mm256_set1_epi16(0xD800_u16 as i16));
        if _mm256_movemask_epi8(is_surrogate) != 0 {
            return None;
        }
        let first = write_four_bytes::<false>(_mm256_cvtepu16_epi32(_mm256_castsi256_si128(units)), at);
        Some(first + write_four_bytes::<false>(_mm256_cvtepu16_epi32(_mm256_extracti128_si256::<1>(units)), at.add(first)))
    }
}

/// Writes 16 units below U+0800 and gives the number of bytes.
///
/// # Safety
/// There is room for their bytes and 16 more, and the processor has AVX2 and POPCNT.
#[inline(always)]
unsafe fn write_two_bytes(units: __m256i, at: *mut u8) -> usize {
    // SAFETY: by this function's contract; the indices have eight bits, as the tables have rows.
    unsafe {
        // A lane's bytes: the leading byte, or the ASCII character itself; the last byte.
        let lead = _mm256_or_si256(_mm256_srli_epi16::<6>(units), _mm256_set1_epi16(0x80C0_u16 as i16));
        let last = _mm256_and_si256(_mm256_slli_epi16::<8>(units), _mm256_set1_epi16(0x3F00));
        let is_ascii = _mm256_cmpgt_epi16(_mm256_set1_epi16(0x80), units);
        let lanes = _mm256_blendv_epi8(_mm256_or_si256(lead, last), units, is_ascii);
        let ascii = _mm256_movemask_epi8(_mm256_packs_epi16(is_ascii, is_ascii)) as u32;
        let (low, high) = (ascii & 0xFF, ascii >> 16 & 0xFF);
        let first = 16 - low.count_ones() as usize;
        store(_mm256_castsi256_si128(lanes), FIRST_OF_TWO.get_unchecked(low as usize), at);
        store(_mm256_extracti128_si256::<1>(lanes), FIRST_OF_TWO.get_unchecked(high as usize), at.add(first));
        first + 16 - high.count_ones() as usize
    }
}

/// Writes 8 characters and gives the number of bytes; without `FOUR` none is above U+FFFF.
///
/// # Safety
/// There is room for their bytes and 16 more, and the processor has AVX2 and POPCNT.
#[inline(always)]
unsafe fn write_four_bytes<const FOUR: bool>(units: __m256i, at: *mut u8) -> usize {
    // SAFETY: by this function's contract; the indices have eight bits, as the table has rows.
    unsafe {
        let below = |limit: i32| _mm256_cmpgt_epi32(_mm256_set1_epi32(limit), units);
        let (is_one, is_below_three, is_below_four) = (below(0x80), below(0x800), below(0x10000));
        let six_bits = |shifted, mask: i32| _mm256_and_si256(shifted, _mm256_set1_epi32(mask));
        // The last byte comes first in the number and last in memory: a character's bytes are the last of its lane.
        let last = six_bits(_mm256_slli_epi32::<24>(units), 0x3F << 24);
        let third = six_bits(_mm256_slli_epi32::<10>(units), 0x3F << 16);
        let three = _mm256_or_si256(last, third);
        let (lanes, markers) = if FOUR {
            let second = six_bits(_mm256_srli_epi32::<4>(units), 0x3F << 8);
            let lanes = _mm256_or_si256(_mm256_or_si256(three, second), _mm256_srli_epi32::<18>(units));
            let markers = _mm256_set1_epi32(0x8080_80F0_u32 as i32);
            (lanes, _mm256_blendv_epi8(markers, _mm256_set1_epi32(0x8080_E000_u32 as i32), is_below_four))
        } else {
            let second = six_bits(_mm256_srli_epi32::<4>(units), 0x0F << 8);
            (_mm256_or_si256(three, second), _mm256_set1_epi32(0x8080_E000_u32 as i32))
        };
        let markers = _mm256_blendv_epi8(markers, _mm256_set1_epi32(0x80C0_0000_u32 as i32), is_below_three);
        let lanes = _mm256_blendv_epi8(_mm256_or_si256(lanes, markers), _mm256_slli_epi32::<24>(units), is_one);

        let bits = |mask| _mm256_movemask_ps(_mm256_castsi256_ps(mask)) as u32;
        let (ones, belows_three) = (bits(is_one), bits(is_below_three));
        let belows_four = if FOUR { bits(is_below_four) } else { 0xFF };
        // One bit of a length less one is odd, the other at least two: see `LAST_OF_FOUR`.
        let odd = ones ^ belows_three ^ belows_four;
        let row = |shift: u32| LAST_OF_FOUR.get_unchecked((odd >> shift & 0xF | (belows_three >> shift & 0xF) << 4) as usize);
        let saved = |mask: u32| (ones & mask).count_ones() + (belows_three & mask).count_ones() + (belows_four & mask).count_ones();
        let first = 16 - saved(0xF) as usize;
        store(_mm256_castsi256_si128(lanes), row(0), at);
        store(_mm256_extracti128_si256::<1>(lanes), row(4), at.add(first));
        first + 16 - saved(0xF0) as usize
    }
}

/// Writes the bytes that `places` picks, and others behind them, 16 in all.
///
/// # Safety
/// There is room for 16 bytes, and the processor has AVX2.
#[inline(always)]
unsafe fn store(lanes: __m128i, places: &[u8; 16], at: *mut u8) {
    // SAFETY: by this function's contract.
    unsafe { _mm_storeu_si128(at.cast(), _mm_shuffle_epi8(lanes, _mm_loadu_si128(places.as_ptr().cast()))) }
}

/// For each set of lanes of two bytes of which one counts, the places of the bytes that count.
static FIRST_OF_TWO: [[u8; 16]; 256] = {
    let mut table = [[0x80; 16]; 256];
    let mut set = 0;
    while set < 256 {
        let (mut lane, mut count) = (0, 0);
        while lane < 8 {
            table[set][count] = 2 * lane;
            count += 1;
            if set >> lane & 1 == 0 {
                table[set][count] = 2 * lane + 1;
                count += 1;
            }
            lane += 1;
        }
        set += 1;
    }
    table
};

/// For four lanes of four bytes, the places of the last bytes of each that count: one or three where the bit of the lane is set
/// in the lower half of the index, one or two where it is in the upper half.
static LAST_OF_FOUR: [[u8; 16]; 256] = {
    let mut table = [[0x80; 16]; 256];
    let mut index = 0;
    while index < 256 {
        let (mut lane, mut count) = (0, 0);
        while lane < 4 {
            let length = match (index >> lane & 1, index >> (4 + lane) & 1) {
                (1, 1) => 1,
                (0, 1) => 2,
                (1, 0) => 3,
                _ => 4,
            };
            let mut byte = 4 - length;
            while byte < 4 {
                table[index][count] = 4 * lane + byte;
                count += 1;
                byte += 1;
            }
            lane += 1;
        }
        index += 1;
    }
    table
};
