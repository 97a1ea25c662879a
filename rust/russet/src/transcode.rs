//! UTF-8 from characters of one width: one, two or four bytes each, as interpreters keep them in memory; and back (`from_utf8`).
//!
//! [`to_utf8`] reads Latin-1 (`u8`), UCS-2 (`u16`) and UCS-4 (`u32`). With AVX2 (`simd_avx2`) 32 ASCII characters are narrowed at a
//! time; others are spread 8 at a time, their bytes in the last places of lanes of two or four bytes, from which a shuffle out of
//! a table closes the gaps. Elsewhere (`scalar`) runs of ASCII are narrowed 16 at a time and other characters written one by one.
//! The choice is that of the process (`simd`).
//!
//! O(n). A text that is UTF-8 already, or ASCII, needs none of this: borrow it.

mod from_utf8;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod simd_avx2;

#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Level};
pub use from_utf8::{from_utf8, measure, FromCharacter, Room};
use std::fmt::Debug;
use std::ops::BitOr;
use std::sync::OnceLock;

/// So many characters are written between two looks at the room that is left.
const PART: usize = 4096;
/// Each store writes 16 bytes, whatever is needed of them, and the last block is filled up with as many zeros at most.
const SLACK: usize = 32;

mod sealed {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for u16 {}
    impl Sealed for u32 {}
}

/// What holds one character: `u8` (Latin-1), `u16` (UCS-2, so no surrogate pairs) or `u32` (UCS-4).
pub trait Unit: Copy + Debug + BitOr<Output = Self> + Default + Into<u32> + sealed::Sealed + Wide {
    /// The most bytes of UTF-8 that one becomes.
    const LONGEST: usize;
    /// Its lowest byte.
    fn low_byte(self) -> u8;
}

#[cfg(target_arch = "x86_64")]
use simd_avx2::Wide;

/// On processors without vectors of this module's, nothing more is asked of a unit.
#[cfg(not(target_arch = "x86_64"))]
pub trait Wide {}
#[cfg(not(target_arch = "x86_64"))]
impl<U: sealed::Sealed> Wide for U {}

macro_rules! units {
    ($($unit:ty: $longest:literal),*) => {$(
        impl Unit for $unit {
            const LONGEST: usize = $longest;
            #[inline(always)]
            fn low_byte(self) -> u8 {
                self as u8
            }
        }
    )*};
}
units!(u8: 2, u16: 3, u32: 4);

/// A unit that no UTF-8 text can hold: a surrogate, or a number above U+10FFFF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the unit at {index} is a surrogate, or no character at all")]
pub struct NotACharacter {
    /// The index of the first such unit.
    pub index: usize,
}

/// The characters as UTF-8.
///
/// # Errors
/// The first unit that is a surrogate or above U+10FFFF.
///
/// ```
/// use russet::transcode::{to_utf8, NotACharacter};
///
/// assert_eq!(to_utf8(&[0x63_u8, 0x61, 0x66, 0xE9]), Ok("café".to_owned()));
/// assert_eq!(to_utf8(&[0x61_u16, 0xD800]), Err(NotACharacter { index: 1 }));
/// ```
pub fn to_utf8<U: Unit>(units: &[U]) -> Result<String, NotACharacter> {
    let mut text = String::new();
    to_utf8_into(units, &mut text).map(|()| text)
}

/// Appends the characters to `text` as UTF-8; where one is none, `text` stays as it is.
///
/// `text` gets room for more than is written, up to [`Unit::LONGEST`] bytes for each unit: use it again, or copy what is in it.
///
/// # Errors
/// As [`to_utf8`].
pub fn to_utf8_into<U: Unit>(units: &[U], text: &mut String) -> Result<(), NotACharacter> {
    into(way(), units, text)
}

fn into<U: Unit>(way: Way, units: &[U], text: &mut String) -> Result<(), NotACharacter> {
    // All that a short text can become; for a long one an eighth more than characters, which suffices for most.
    text.reserve(match units.len() {
        count @ 0..=PART => count * U::LONGEST + SLACK,
        count => count + count / 8 + PART * U::LONGEST,
    });
    let length = text.len();
    let written = match way {
        #[cfg(target_arch = "x86_64")]
        Way::Avx2(lanes) => lanes.append(units, text),
        Way::Scalar => scalar::append(units, text),
    };
    if written.is_err() {
        text.truncate(length);
    }
    written
}

/// How texts are read; a value is the proof that the processor can.
#[derive(Clone, Copy, Debug)]
enum Way {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

/// The way of this process.
fn way() -> Way {
    static WAY: OnceLock<Way> = OnceLock::new();
    *WAY.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = Level::of_process().ok().and_then(Level::avx2) {
            return Way::Avx2(lanes);
        }
        Way::Scalar
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The naive twin: one character after the other.
    fn naive<U: Unit>(units: &[U]) -> Result<String, NotACharacter> {
        let mut text = String::new();
        for (index, unit) in units.iter().enumerate() {
            text.push(char::from_u32((*unit).into()).ok_or(NotACharacter { index })?);
        }
        Ok(text)
    }

    fn check<U: Unit>(units: &[U]) {
        let expected = naive(units);
        #[cfg(target_arch = "x86_64")]
        let vectors = Avx2::new().map(Way::Avx2);
        #[cfg(not(target_arch = "x86_64"))]
        let vectors = None;
        for way in vectors.into_iter().chain([Way::Scalar]) {
            let mut text = "é".to_owned();
            let written = into(way, units, &mut text);
            assert_eq!(written.map(|()| &text["é".len()..]), expected.as_deref().map_err(|error| *error), "{way:?} {units:x?}");
            assert!(written.is_ok() || text == "é", "{way:?} {units:x?}");
        }
        assert_eq!(to_utf8(units), expected);
    }

    /// The first and the last numbers of each length of UTF-8, of each width, and of what is no character.
    const EDGES: [u32; 22] = [
        0, 0x41, 0x7E, 0x7F, 0x80, 0x81, 0xE9, 0xFF, 0x100, 0x7FF, 0x800, 0x1000, 0x2019, 0x7FFF, 0x8000, 0xD7FF, 0xE000, 0xFFFD,
        0xFFFF, 0x10000, 0x1F600, 0x10FFFF,
    ];
    const BAD: [u32; 8] = [0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0x110000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF];

    /// A text of each length around the blocks, mostly `most`, with `other` at each place.
    fn around_blocks(most: u32, other: u32) {
        for length in (0..=99).chain([PART - 1, PART, PART + 1, PART + 33]) {
            let places = if length < 100 { 0..length } else { length - 3..length };
            for place in places.chain([usize::MAX]) {
                let mut units = vec![most; length];
                if let Some(unit) = units.get_mut(place) {
                    *unit = other;
                }
                check(&units);
                if most.max(other) <= 0xFFFF {
                    check(&units.iter().map(|&unit| unit as u16).collect::<Vec<_>>());
                }
                if most.max(other) <= 0xFF {
                    check(&units.iter().map(|&unit| unit as u8).collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn all_lengths_and_places_agree() {
        for most in [0x61, 0xE9, 0x434, 0x4E2D, 0x1F600] {
            for other in [0x61, 0xE9, 0x434, 0x2019, 0x1F600, 0xD800, 0xDFFF, 0x110000, 0x80000000] {
                around_blocks(most, other);
            }
        }
    }

    #[test]
    fn every_number_is_read() {
        let all: Vec<u32> = (0..=0x10FFFF).filter(|&number| char::from_u32(number).is_some()).collect();
        check(&all);
        check(&all.iter().map(|&number| number as u16).filter(|&unit| char::from_u32(unit.into()).is_some()).collect::<Vec<_>>());
        check(&(0..=0xFF).collect::<Vec<u8>>());
        for surrogate in 0xD7FE_u16..=0xE001 {
            check(&[0x41, surrogate]);
            check(&[0x41, u32::from(surrogate)]);
        }
    }

    #[test]
    fn every_mixture_of_lengths_in_eight_is_read() {
        for mixture in 0..1_u32 << 16 {
            let units: Vec<u32> =
                (0..8).map(|place| [0x41, 0x434, 0x4E2D, 0x1F600][(mixture >> (2 * place) & 3) as usize]).collect();
            assert_eq!(to_utf8(&units), naive(&units));
        }
    }

    proptest! {
        #[test]
        fn all_ways_agree_with_pushing(
            picked in prop::collection::vec((0_usize..1000, any::<char>()), 0..300),
            kinds in (1_usize..=EDGES.len(), any::<bool>()),
            bad in prop::option::weighted(0.2, (any::<prop::sample::Index>(), prop::sample::select(&BAD[..]))),
        ) {
            let (edges, is_ascii) = kinds;
            let mut units: Vec<u32> = picked.iter().map(|&(pick, any)| match pick {
                0..500 if is_ascii => 0x20 + pick as u32 % 0x5F,
                0..900 => EDGES[pick % edges],
                _ => any.into(),
            }).collect();
            check(&units.iter().map(|&unit| unit as u8).collect::<Vec<_>>());
            if let Some((place, bad)) = bad.filter(|_| !units.is_empty()) {
                let place = place.index(units.len());
                units[place] = bad;
            }
            check(&units);
            check(&units.iter().map(|&unit| unit as u16).collect::<Vec<_>>());
        }
    }
}
