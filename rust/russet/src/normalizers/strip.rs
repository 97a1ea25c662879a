//! `Strip`: removes white space from the ends of a text. O(n).
//!
//! The reference tells the last kept character how many follow it only where a count of characters equals a length in bytes, so
//! never for a text beyond ASCII; but nothing comes after that character, so it shows nowhere.

use crate::text::{Align, NormalizedText};
use crate::unicode::is_whitespace;

#[derive(Clone, Copy, Debug)]
pub(super) struct Strip {
    pub(super) left: bool,
    pub(super) right: bool,
}

impl Strip {
    pub(super) fn normalize<A: Align>(self, text: &mut NormalizedText<A>) {
        let old = text.text();
        let kept = if self.left { old.trim_start_matches(is_whitespace) } else { old };
        let start = old.len() - kept.len();
        let kept = if self.right { kept.trim_end_matches(is_whitespace) } else { kept };
        let range = start..start + kept.len();
        if range.len() == old.len() {
            return;
        }
        if text.hollow() == 0 {
            return text.rewrite(|new| new.copy(range));
        }
        // Characters that stand for no input are kept in their place, and `transform` counts on from the first that does.
        let removed_first = old[..start].chars().count();
        let changes: Vec<_> = kept.chars().map(|character| (character, 0)).collect();
        text.transform(changes, removed_first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalizers::tests::{normalized, spans_after};

    #[test]
    fn each_side_alone_and_both() {
        let strip = |left, right| normalized(" \u{3000}\u{e9} b \n", |text| Strip { left, right }.normalize(text));
        assert_eq!(strip(true, true), "\u{e9} b");
        assert_eq!(strip(true, false), "\u{e9} b \n");
        assert_eq!(strip(false, true), " \u{3000}\u{e9} b");
        assert_eq!(strip(false, false), " \u{3000}\u{e9} b \n");
        assert_eq!(normalized(" \t ", |text| Strip { left: true, right: true }.normalize(text)), "");
    }

    #[test]
    fn kept_characters_keep_their_records() {
        let strip = Strip { left: true, right: true };
        assert_eq!(spans_after("  \u{e9}x  ", |text| strip.normalize(text)), [(2, 4), (2, 4), (4, 5)]);
    }
}
