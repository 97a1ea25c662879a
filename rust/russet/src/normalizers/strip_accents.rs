//! `StripAccents`: removes combining marks. Precomposed letters keep theirs; files put `NFD` before it. O(n).

use super::inert::Shared;
use crate::text::{Align, NormalizedText};
use crate::unicode::{is_combining_mark, COMBINING_MARK};

static MARKS: Shared = Shared::without(COMBINING_MARK);

pub(super) fn prepare() {
    MARKS.get();
}

pub(super) fn normalize<A: Align>(text: &mut NormalizedText<A>) {
    if text.hollow() > 0 {
        return text.retain(is_kept);
    }
    let Some(first) = MARKS.next_other(text.text(), 0) else { return };
    text.rewrite(|new| {
        let old = new.old_text();
        let mut copied = 0;
        let mut next = Some(first);
        while let Some((start, mark)) = next {
            new.copy(copied..start);
            copied = start + mark.len_utf8();
            next = MARKS.next_other(old, copied);
        }
        new.copy(copied..old.len());
    });
}

fn is_kept(character: char) -> bool {
    !is_combining_mark(character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalizers::tests::{assert_same, normalized, spans_after};
    use proptest::prelude::*;

    #[test]
    fn marks_go_with_their_records() {
        assert_eq!(normalized("e\u{301}\u{e9}\u{93e}\u{20dd}x", normalize), "e\u{e9}x");
        assert_eq!(spans_after("\u{304}e\u{304}\u{304}o", normalize), [(2, 3), (7, 8)]);
    }

    proptest! {
        #[test]
        fn copying_runs_gives_what_asking_each_character_gives(text in "([a-c \u{301}\u{e9}\u{93e}\u{20dd}\u{1d165}\u{1f600}中]|\\PC){0,20}") {
            assert_same(&text, normalize, |text| text.retain(is_kept));
        }
    }
}
