//! `StripAccents`: removes combining marks. Precomposed letters keep theirs; files put `NFD` before it. O(n).

use crate::text::{Align, NormalizedText};
use crate::unicode::is_combining_mark;

pub(super) fn normalize<A: Align>(text: &mut NormalizedText<A>) {
    text.retain(|character| character.is_ascii() || !is_combining_mark(character));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalizers::tests::{normalized, spans_after};

    #[test]
    fn marks_go_with_their_records() {
        assert_eq!(normalized("e\u{301}\u{e9}\u{93e}\u{20dd}x", normalize), "e\u{e9}x");
        assert_eq!(spans_after("\u{304}e\u{304}\u{304}o", normalize), [(2, 3), (7, 8)]);
    }
}
