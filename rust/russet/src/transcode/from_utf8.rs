//! Characters of one width from UTF-8: the other way round.
//!
//! [`measure`] counts a text's characters and finds how wide they must be, 32 bytes at a time in loops that compilers make vectors of;
//! [`from_utf8`] writes them, ASCII 16 at a time, others one by one. O(n), about a nanosecond for each character beyond ASCII. The
//! wrong choice for bytes that may be no UTF-8: a text was tested before.

use super::{sealed, Unit};
use std::mem::MaybeUninit;

/// What holds one character and can be made of a part of it.
pub trait FromCharacter: Unit + sealed::Sealed {
    /// The unit of a character that fits.
    fn from_number(number: u32) -> Self;
}

macro_rules! from_numbers {
    ($($unit:ty),*) => {$(
        impl FromCharacter for $unit {
            #[inline(always)]
            fn from_number(number: u32) -> Self {
                number as Self
            }
        }
    )*};
}
from_numbers!(u8, u16, u32);

/// How much room the characters of a text take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// How many they are.
    pub characters: usize,
    /// A number that is in the same of these ranges as the highest of theirs: up to 0x7F, 0xFF, 0xFFFF, 0x10FFFF.
    pub highest: u32,
}

/// Bytes looked at together.
const BLOCK: usize = 32;
/// Up to so many blocks are counted in single bytes.
const BLOCKS: usize = 255;

/// How much room the characters of `text` take.
///
/// ```
/// use russet::transcode::{measure, Room};
///
/// assert_eq!(measure("café"), Room { characters: 4, highest: 0xFF });
/// ```
pub fn measure(text: &str) -> Room {
    let begins = |byte: u8| u8::from(byte as i8 >= -0x40);
    let (mut characters, mut highest) = (0, 0);
    for part in text.as_bytes().chunks(BLOCK * BLOCKS) {
        let mut counts = [0_u8; BLOCK];
        let mut maxima = [0_u8; BLOCK];
        let blocks = part.chunks_exact(BLOCK);
        let rest = blocks.remainder();
        for block in blocks {
            for ((count, maximum), &byte) in counts.iter_mut().zip(&mut maxima).zip(block) {
                *count += begins(byte);
                *maximum = byte.max(*maximum);
            }
        }
        characters += counts.iter().map(|&count| usize::from(count)).sum::<usize>();
        characters += rest.iter().map(|&byte| usize::from(begins(byte))).sum::<usize>();
        highest = maxima.iter().chain(rest).fold(highest, |highest, &byte| byte.max(highest));
    }
    // The greatest byte is the first of the character that takes the most bytes.
    let highest = match highest {
        ..0x80 => 0x7F,
        0x80..0xC4 => 0xFF,
        0xC4..0xF0 => 0xFFFF,
        _ => 0x10FFFF,
    };
    Room { characters, highest }
}

/// Writes the characters of `text` to `units`, all of which it returns if there are as many; of characters that are wider, the
/// lowest bits.
pub fn from_utf8<'u, U: FromCharacter>(text: &str, units: &'u mut [MaybeUninit<U>]) -> Option<&'u mut [U]> {
    let bytes = text.as_bytes();
    let (mut at, mut written) = (0, 0);
    loop {
        while let (Some(ascii), Some(room)) = (block_of(bytes, at), room_at(units, written)) {
            if u128::from_ne_bytes(*ascii) & u128::from_ne_bytes([0x80; ASCII]) != 0 {
                break;
            }
            for (unit, byte) in room.iter_mut().zip(*ascii) {
                *unit = MaybeUninit::new(U::from_number(byte.into()));
            }
            (at, written) = (at + ASCII, written + ASCII);
        }
        // Up to the end of the next characters beyond ASCII.
        let mut was_wide = false;
        loop {
            let (number, length) = match bytes.get(at..).unwrap_or_default() {
                [] => return (written == units.len()).then_some(written_units(units)),
                &[byte @ ..0x80, ..] => (byte.into(), 1),
                &[first @ ..0xE0, second, ..] => (bits(first, 0x1F) << 6 | bits(second, 0x3F), 2),
                &[first @ ..0xF0, second, third, ..] => (bits(first, 0xF) << 12 | bits(second, 0x3F) << 6 | bits(third, 0x3F), 3),
                &[first, second, third, fourth, ..] => {
                    let end = bits(third, 0x3F) << 6 | bits(fourth, 0x3F);
                    (bits(first, 7) << 18 | bits(second, 0x3F) << 12 | end, 4)
                }
                _ => return None,
            };
            if was_wide && length == 1 {
                break;
            }
            was_wide |= length > 1;
            units.get_mut(written)?.write(U::from_number(number));
            (at, written) = (at + length, written + 1);
        }
    }
}

/// How many characters of ASCII are written at a time.
const ASCII: usize = 16;

#[inline(always)]
fn block_of(bytes: &[u8], at: usize) -> Option<&[u8; ASCII]> {
    bytes.get(at..)?.first_chunk()
}

#[inline(always)]
fn room_at<U>(units: &mut [MaybeUninit<U>], written: usize) -> Option<&mut [MaybeUninit<U>; ASCII]> {
    units.get_mut(written..)?.first_chunk_mut()
}

#[inline(always)]
fn bits(byte: u8, mask: u8) -> u32 {
    (byte & mask).into()
}

/// The units, all of which were written.
fn written_units<U: FromCharacter>(units: &mut [MaybeUninit<U>]) -> &mut [U] {
    // SAFETY: each place up to the number of units was written once before this is called, in order.
    unsafe { &mut *(std::ptr::from_mut(units) as *mut [U]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made<U: FromCharacter>(text: &str, count: usize) -> Option<Vec<U>> {
        let mut units = vec![MaybeUninit::new(U::from_number(0x55)); count];
        from_utf8(text, &mut units).map(|units| units.to_vec())
    }

    fn check(text: &str) {
        let numbers: Vec<u32> = text.chars().map(u32::from).collect();
        let highest = match numbers.iter().max() {
            None | Some(..0x80) => 0x7F,
            Some(..0x100) => 0xFF,
            Some(..0x10000) => 0xFFFF,
            _ => 0x10FFFF,
        };
        let count = numbers.len();
        assert_eq!(measure(text), Room { characters: count, highest }, "{text:?}");
        assert_eq!(made::<u16>(text, count), Some(numbers.iter().map(|&number| number as u16).collect()), "{text:?}");
        assert_eq!(made::<u8>(text, count), Some(numbers.iter().map(|&number| number as u8).collect()), "{text:?}");
        assert_eq!(made::<u32>(text, count + 1), None);
        assert_eq!(made::<u32>(text, count.saturating_sub(1)).is_some(), count == 0);
        assert_eq!(made::<u32>(text, count), Some(numbers));
    }

    #[test]
    fn every_character_is_written() {
        check(&('\0'..=char::MAX).collect::<String>());
        check(&"a".repeat(BLOCK * BLOCKS + 7));
    }

    proptest! {
        #[test]
        fn a_text_has_its_characters(text in "([ -~]{0,40}|[é-ÿ]{0,3}|[Ā-߿]{0,9}|[中-龥]{0,9}|😀){0,6}") {
            check(&text);
        }
    }
}
