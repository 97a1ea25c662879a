//! `ByteLevel`: writes each byte as its byte-level character. All characters of an input character share its record. O(n).

use crate::pre_tokenizers::byte_level::byte_to_char;
use crate::text::{Align, NormalizedText};

pub(super) fn normalize<A: Align>(text: &mut NormalizedText<A>) {
    text.edit(
        |character| character.is_ascii_graphic(),
        |new, character, start| {
            for &byte in character.encode_utf8(&mut [0; 4]).as_bytes() {
                new.push(byte_to_char(byte), Some(start));
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalizers::tests::{normalized, spans_after};

    #[test]
    fn bytes_become_characters() {
        assert_eq!(normalized("Hi \u{6211}!\n\u{ad}", normalize), "Hi\u{120}\u{e6}\u{12a}\u{133}!\u{10a}\u{c2}\u{143}");
        assert_eq!(spans_after("a\u{e9}", normalize), [(0, 1), (1, 3), (1, 3), (1, 3), (1, 3)]);
    }
}
