//! Which characters a merge of raw bytes may join.
//!
//! As `cuts` says it for characters, but parts of merges may begin and end inside of these. Two reads for a place between characters,
//! and for the few where such parts may meet three more.

use crate::compiled::{Reader, Writer};
use crate::models::bpe::alphabet::byte_level_byte;
use crate::models::bpe::cuts::{ByteJoints, PairFilter};
use crate::Result;

/// The pairs of characters that some merge of raw bytes joins.
///
/// Where a merge meets the place between the characters `x` and `y`, its left part ends with `x` or is the end of it, and its right
/// part begins with `y` or is the beginning of it. Parts that are less than a character are rare, so of them only the byte beside the
/// place is told, and whether there are any is seen by the two bytes there. Places between two ASCII characters count as joined.
#[derive(Debug)]
pub(super) struct RawJoints {
    /// The bytes before and after the places of merges of which one part is not a whole character.
    pub(super) edges: ByteJoints,
    pub(super) pairs: PairFilter,
}

/// Added to the byte at the edge of a part that is no whole character: no character has such a number.
const EDGE: u32 = 1 << 31;

/// The last character of a text in raw bytes, as a number, or the last byte with `EDGE` if all of it is the end of a character;
/// nothing if UTF-8 ends no character so.
fn last_character(text: &[u8]) -> Option<u32> {
    let end = &text[text.len().saturating_sub(4)..];
    let Some(start) = end.iter().rposition(|&byte| !is_inner(byte)) else {
        return text.last().filter(|_| text.len() < 4).map(|&byte| EDGE | u32::from(byte));
    };
    std::str::from_utf8(&end[start..]).ok()?.chars().next().map(u32::from)
}

/// The first character of a text in raw bytes, as a number, or the first byte with `EDGE` if all of it is the beginning of a
/// character; nothing if UTF-8 begins no character so.
fn first_character(text: &[u8]) -> Option<u32> {
    let length = match text.first()? {
        0..0x80 => 1,
        0xc2..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf5 => 4,
        _ => return None,
    };
    match text.get(..length) {
        Some(character) => std::str::from_utf8(character).ok()?.chars().next().map(u32::from),
        None => text[1..].iter().all(|&byte| is_inner(byte)).then(|| EDGE | u32::from(text[0])),
    }
}

/// Whether UTF-8 has the byte inside characters.
fn is_inner(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

impl RawJoints {
    /// No pair is joined yet.
    pub(super) fn new() -> Self {
        Self { edges: ByteJoints::new(), pairs: PairFilter::with_capacity(usize::MAX / 8) }
    }

    /// Writes the pairs to a compiled file.
    pub(super) fn write(&self, to: &mut Writer) {
        self.edges.write(to);
        self.pairs.write(to);
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { edges: ByteJoints::read(from)?, pairs: PairFilter::read(from)? })
    }

    /// Makes the table as small as the number of pairs allows.
    pub(super) fn shrink(&mut self) {
        self.pairs.shrink();
    }

    /// Joins what a merge of two texts joins.
    pub(super) fn insert(&mut self, left: &[u8], right: &[u8]) {
        if let (Some(x), Some(y), Some(&last), Some(&first)) =
            (last_character(left), first_character(right), left.last(), right.first())
        {
            self.pairs.insert(x, y);
            if (x | y) & EDGE != 0 {
                self.edges.insert(last, first);
            }
        }
    }

    /// The same for texts in byte-level characters. Of them only the bytes around the place between them are read.
    pub(super) fn insert_mapped(&mut self, left: &str, right: &str) {
        // One more than a character has, so that its end is not taken for all of the text.
        let mut end = [0; 5];
        let mut begin = [0; 4];
        let (mut first, mut length) = (end.len(), 0);
        for (byte, character) in end.iter_mut().rev().zip(left.chars().rev()) {
            let Some(raw) = byte_level_byte(character) else { return };
            *byte = raw;
            first -= 1;
        }
        for (byte, character) in begin.iter_mut().zip(right.chars()) {
            let Some(raw) = byte_level_byte(character) else { return };
            *byte = raw;
            length += 1;
        }
        self.insert(&end[first..], &begin[..length]);
    }

    /// Whether a merge may cross the place between two characters, which has these two bytes around it.
    #[inline(always)]
    pub(super) fn joins(&self, left: u32, right: u32, [last, first]: [u8; 2]) -> bool {
        let is_joined = self.pairs.has(left, right) | ((left | right) < 0x80);
        is_joined | (self.edges.joins(last, first) && self.joins_edges(left, right, [last, first]))
    }

    /// Whether one may of which a part is no whole character.
    #[inline(never)]
    pub(super) fn joins_edges(&self, left: u32, right: u32, around: [u8; 2]) -> bool {
        let [last, first] = around.map(|byte| EDGE | u32::from(byte));
        self.pairs.has(last, right) || self.pairs.has(left, first) || self.pairs.has(last, first)
    }
}

/// The last byte of a character.
#[inline(always)]
pub(super) fn last_byte(code: u32) -> u8 {
    match code {
        ..0x80 => code as u8,
        _ => 0x80 | code as u8 & 0x3f,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What [`RawJoints::joins`] must say at least: the rule as it is.
    fn may_meet(merges: &[(Vec<u8>, Vec<u8>)], left: char, right: char) -> bool {
        let (x, y) = (left.to_string(), right.to_string());
        let ends = |text: &[u8]| text.ends_with(x.as_bytes()) || x.as_bytes().ends_with(text);
        let begins = |text: &[u8]| text.starts_with(y.as_bytes()) || y.as_bytes().starts_with(text);
        merges.iter().any(|(left, right)| ends(left) && begins(right))
    }

    fn joins(joints: &RawJoints, left: char, right: char) -> bool {
        let bytes = |character: char| character.to_string().into_bytes();
        joints.joins(left.into(), right.into(), [*bytes(left).last().unwrap(), bytes(right)[0]])
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("[a é߿ࠀ漢字か😀😁]{1,6}", 1..8)
    }

    proptest! {
        #[test]
        fn no_place_is_free_where_raw_bytes_may_merge(
            parts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..12),
            texts in texts(),
        ) {
            let mut joints = RawJoints::new();
            let mut merges = Vec::new();
            for (text, middle, end) in parts {
                // From anywhere to anywhere, so also inside characters.
                let bytes = text.get(&texts).as_bytes();
                let end = end.index(bytes.len()) + 1;
                let middle = middle.index(end);
                if middle > 0 {
                    let start = middle.saturating_sub(1 + end % 5);
                    joints.insert(&bytes[start..middle], &bytes[middle..end]);
                    merges.push((bytes[start..middle].to_vec(), bytes[middle..end].to_vec()));
                }
            }
            joints.shrink();
            for text in &texts {
                for (left, right) in text.chars().zip(text.chars().skip(1)) {
                    prop_assert!(joins(&joints, left, right) || !may_meet(&merges, left, right), "{left:?} {right:?} {merges:?}");
                }
            }
        }

        #[test]
        fn edges_of_characters_are_those_of_utf8(character in any::<char>()) {
            let text = character.to_string();
            prop_assert_eq!(last_byte(character.into()), text.as_bytes()[text.len() - 1]);
            prop_assert_eq!((last_character(text.as_bytes()), first_character(text.as_bytes())), (Some(character.into()), Some(character.into())));
            for part in 1..text.len() {
                prop_assert_eq!(first_character(&text.as_bytes()[..part]), Some(EDGE | u32::from(text.as_bytes()[0])));
                prop_assert_eq!(last_character(&text.as_bytes()[part..]), Some(EDGE | u32::from(text.as_bytes()[text.len() - 1])));
            }
        }
    }

    #[test]
    fn what_utf8_never_has_joins_nothing() {
        let ends: [&[u8]; 5] = [b"", b"\xe6\xbc", b"a\x80", b"\x80\x80\x80\x80", b"\xe6\xbc\xa2\x80"];
        assert!(ends.iter().all(|end| last_character(end).is_none()));
        let begins: [&[u8]; 6] = [b"", b"\x80", b"\xc0\x80", b"\xe6a", b"\xe6\xbca", b"\xed\xa0\x80"];
        assert!(begins.iter().all(|begin| first_character(begin).is_none()));
    }
}
