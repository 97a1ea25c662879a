//! `Lowercase`: each character's lower case, which does not depend on its neighbours. O(n).

use super::inert::Shared;
use crate::text::{Align, NormalizedText, Rewrite};
use crate::unicode::{to_lowercase, LOWERCASED};

/// What has no other lower case; and ASCII, which is made lower case in bulk.
static INERT: Shared = Shared::without_beyond_ascii(LOWERCASED);

pub(super) fn prepare() {
    INERT.get();
}

pub(super) fn normalize<A: Align>(text: &mut NormalizedText<A>) {
    let Some(first) = INERT.next_other(text.text(), 0) else { return text.make_ascii_lowercase() };
    text.rewrite(|new| {
        let old = new.old_text();
        let mut copied = 0;
        let mut next = Some(first);
        while let Some((start, character)) = next {
            new.copy_ascii_lowercase(copied..start);
            push_lowercase(new, character, start);
            copied = start + character.len_utf8();
            next = INERT.next_other(old, copied);
        }
        new.copy_ascii_lowercase(copied..old.len());
    });
}

/// Appends the lower case of a character with the record of the old byte `source`.
#[inline]
pub(super) fn push_lowercase<A: Align>(new: &mut Rewrite<'_, A>, character: char, source: usize) {
    let (lower, dot) = to_lowercase(character);
    new.push(lower, Some(source));
    if let Some(dot) = dot {
        new.push(dot, Some(source));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalizers::tests::{assert_same, normalized};
    use crate::text::Change;
    use proptest::prelude::*;

    fn naive<A: Align>(text: &mut NormalizedText<A>) {
        let mut changes: Vec<Change> = Vec::new();
        for character in text.text().chars() {
            let (lower, dot) = to_lowercase(character);
            changes.push((lower, 0));
            changes.extend(dot.map(|dot| (dot, 1)));
        }
        text.transform(changes, 0);
    }

    #[test]
    fn a_dotted_capital_i_becomes_two_characters() {
        assert_eq!(normalized("A\u{130}\u{3a3}", normalize), "ai\u{307}\u{3c3}");
        assert_eq!(normalized("PLAIN Text", normalize), "plain text");
    }

    proptest! {
        #[test]
        fn copying_runs_gives_what_each_character_gives(text in "([A-Za-z \u{130}\u{c9}\u{e9}\u{416}\u{1e9e}\u{10a0}\u{4e00}]|\\PC){0,20}") {
            assert_same(&text, normalize, naive);
        }
    }
}
