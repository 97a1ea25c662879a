//! `Nmt`: SentencePiece's cleaning for machine translation. Some controls go, and what may stand for a space becomes one. O(n).

use crate::text::{Align, NormalizedText};

pub(super) fn normalize<A: Align>(text: &mut NormalizedText<A>) {
    let is_plain = |character| !is_removed(character) && !is_space(character);
    text.edit(is_plain, |new, character, start| {
        if is_space(character) {
            new.push(' ', Some(start));
        }
    });
}

fn is_removed(character: char) -> bool {
    matches!(character, '\u{1}'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{8f}' | '\u{9f}')
}

fn is_space(character: char) -> bool {
    matches!(
        character,
        '\t' | '\n' | '\u{c}' | '\r' | '\u{1680}' | '\u{200b}'
            ..='\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{2581}' | '\u{feff}' | '\u{fffd}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalizers::tests::{normalized, spans_after};

    #[test]
    fn controls_go_and_spaces_become_plain() {
        assert_eq!(normalized("a\u{1}b\tc\u{200b}d\u{2581}\0\u{85}", normalize), "ab c d \0\u{85}");
        assert_eq!(spans_after("\u{7f}a\u{2028}", normalize), [(1, 2), (2, 5)]);
    }
}
