//! The two searches that reading JSON is made of: for the end of white space, and for what ends a run of plain characters in a
//! string. Sixteen bytes at a time with SSE2, which every x86-64 processor has; elsewhere, and at the end of the text, eight or one.
//! O(n).

#[cfg(target_arch = "x86_64")]
mod simd_sse2;

#[cfg(target_arch = "x86_64")]
use simd_sse2::{end_bits, space_bits};

/// Where the white space that begins at `at` ends.
#[inline(always)]
pub(super) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    loop {
        // Most often there is none, or none left.
        match bytes.get(at) {
            Some(&byte) if is_space(byte) => {}
            _ => return at,
        }
        match bytes.get(at..).and_then(<[u8]>::first_chunk::<16>) {
            Some(block) => {
                let others = !space_bits(block);
                if others != 0 {
                    return at + others.trailing_zeros() as usize;
                }
                at += 16;
            }
            None => at += 1,
        }
    }
}

/// Where the first quotation mark, backslash or control character is at or behind `at`, or the end.
#[inline(always)]
pub(super) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes.get(at..).and_then(<[u8]>::first_chunk::<16>) {
            Some(block) => {
                let ends = end_bits(block);
                if ends != 0 {
                    return at + ends.trailing_zeros() as usize;
                }
                at += 16;
            }
            None => match bytes.get(at) {
                Some(&byte) if !is_end(byte) => at += 1,
                _ => return at,
            },
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..0x20)
}

/// A bit for each byte, that of the first one lowest: whether it is white space.
#[cfg(not(target_arch = "x86_64"))]
fn space_bits(block: &[u8; 16]) -> u16 {
    bits(block, is_space)
}

/// The same: whether it ends a run of plain characters.
#[cfg(not(target_arch = "x86_64"))]
fn end_bits(block: &[u8; 16]) -> u16 {
    bits(block, is_end)
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn bits(block: &[u8; 16], is: impl Fn(u8) -> bool) -> u16 {
    block.iter().rev().fold(0, |bits, &byte| bits << 1 | u16::from(is(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn blocks_are_what_their_bytes_are(block in any::<[u8; 16]>(), few in proptest::array::uniform16(0usize..8)) {
            for block in [block, few.map(|at| b" \t\n\r\"\\\x1f "[at])] {
                prop_assert_eq!((space_bits(&block), end_bits(&block)), (bits(&block, is_space), bits(&block, is_end)));
            }
        }

        #[test]
        fn searches_end_where_a_plain_one_does(text in "[ \t\n]{0,40}[a\u{a0}]{0,40}[\"\\\\\u{1f}a]{0,3}", start in 0usize..90) {
            let bytes = text.as_bytes();
            let plain = |is: fn(u8) -> bool| bytes.iter().skip(start).position(|&byte| is(byte)).map_or(bytes.len().max(start), |at| start + at);
            prop_assert_eq!(skip_space(bytes, start), plain(|byte| !is_space(byte)));
            prop_assert_eq!(plain_end(bytes, start), plain(is_end));
        }
    }
}
