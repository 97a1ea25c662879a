//! `Prepend`: puts a text before every section that is not empty; it shares the record of the section's first character. O(n).

use crate::text::{Align, NormalizedText};

pub(super) fn normalize<A: Align>(prefix: &str, text: &mut NormalizedText<A>) {
    text.prepend(prefix);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalizers::tests::{normalized, spans_after};

    #[test]
    fn the_prefix_stands_for_the_first_character() {
        assert_eq!(normalized("", |text| normalize("\u{2581}", text)), "");
        assert_eq!(normalized("ab", |text| normalize("\u{2581}", text)), "\u{2581}ab");
        assert_eq!(spans_after("ab", |text| normalize("__", text)), [(0, 1), (0, 1), (0, 1), (1, 2)]);
    }
}
