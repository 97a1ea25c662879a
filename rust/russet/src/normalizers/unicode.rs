//! The normal forms NFC, NFD, NFKC and NFKD (Unicode Standard Annex 15).
//!
//! Most characters are inert: the form keeps them, they have combining class 0, and none composes with a character before it.
//! Nothing moves or merges across them, so only the runs between inert characters go through the algorithm (a composing form
//! takes the inert character before a run into it, which may be a base). Finding the runs is one table look-up per character
//! that is not ASCII; ASCII is inert. O(n), but for the sorting of a run of marks.

use super::inert::Shared;
use crate::text::{Align, NormalizedText};
use crate::unicode::{flags, NFC_ACTIVE, NFD_ACTIVE, NFKC_ACTIVE, NFKD_ACTIVE};
use std::ops::Range;
use unicode_normalization_alignments::UnicodeNormalization;

/// A normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

impl Form {
    /// The inert characters.
    fn inert(self) -> &'static Shared {
        static NFC: Shared = Shared::without(NFC_ACTIVE);
        static NFD: Shared = Shared::without(NFD_ACTIVE);
        static NFKC: Shared = Shared::without(NFKC_ACTIVE);
        static NFKD: Shared = Shared::without(NFKD_ACTIVE);
        match self {
            Form::Nfc => &NFC,
            Form::Nfd => &NFD,
            Form::Nfkc => &NFKC,
            Form::Nfkd => &NFKD,
        }
    }

    /// The flag of the characters that are not inert.
    fn active(self) -> u16 {
        match self {
            Form::Nfc => NFC_ACTIVE,
            Form::Nfd => NFD_ACTIVE,
            Form::Nfkc => NFKC_ACTIVE,
            Form::Nfkd => NFKD_ACTIVE,
        }
    }

    pub(super) fn prepare(self) {
        self.inert().get();
    }

    pub(super) fn normalize<A: Align>(self, text: &mut NormalizedText<A>) {
        if text.hollow() > 0 {
            return self.normalize_whole(text);
        }
        let Some(first) = self.next_run(text.text(), 0) else { return };
        text.rewrite(|new| {
            let old = new.old_text();
            let mut copied = 0;
            let mut next = Some(first);
            while let Some(found) = next {
                let base = match self {
                    Form::Nfc | Form::Nfkc => old[copied..found.start].chars().next_back().map_or(0, char::len_utf8),
                    Form::Nfd | Form::Nfkd => 0,
                };
                let range = found.start - base..found.end;
                let run = &old[range.clone()];
                new.copy(copied..range.start);
                match self {
                    Form::Nfc => new.transform(range, run.nfc(), 0),
                    Form::Nfd => new.transform(range, run.nfd(), 0),
                    Form::Nfkc => new.transform(range, run.nfkc(), 0),
                    Form::Nfkd => new.transform(range, run.nfkd(), 0),
                }
                copied = found.end;
                next = self.next_run(old, copied);
            }
            new.copy(copied..old.len());
        });
    }

    /// The next run of characters in `text` from byte `at` on that are not inert.
    fn next_run(self, text: &str, at: usize) -> Option<Range<usize>> {
        let (start, _) = self.inert().next_other(text, at)?;
        let active = self.active();
        let length = text[start..].find(|character| flags(character) & active == 0).unwrap_or(text.len() - start);
        Some(start..start + length)
    }

    /// The same without looking for runs, and exact where leading characters stand for no input.
    fn normalize_whole<A: Align>(self, text: &mut NormalizedText<A>) {
        let old = text.text().to_owned();
        match self {
            Form::Nfc => text.transform(old.nfc(), 0),
            Form::Nfd => text.transform(old.nfd(), 0),
            Form::Nfkc => text.transform(old.nfkc(), 0),
            Form::Nfkd => text.transform(old.nfkd(), 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalizers::tests::assert_same;
    use proptest::prelude::*;

    const FORMS: [Form; 4] = [Form::Nfc, Form::Nfd, Form::Nfkc, Form::Nfkd];

    /// Those that are inert in all forms are tested where the flags are (`crate::unicode`).
    #[test]
    fn every_active_character_between_letters_and_marks() {
        let is_active = |character: &char| FORMS.iter().any(|form| flags(*character) & form.active() != 0);
        for character in ('\u{80}'..=char::MAX).filter(is_active) {
            for text in [format!("a{character}b"), format!("e{character}\u{301}")] {
                for form in FORMS {
                    assert_same(&text, |text| form.normalize(text), |text| form.normalize_whole(text));
                }
            }
        }
    }

    proptest! {
        /// Jamo, marks of several classes, precomposed and compatibility characters, next to inert ones.
        #[test]
        fn runs_give_what_the_whole_text_gives(
            text in "[a-c e\u{e9}\u{1e69}\u{301}\u{323}\u{334}\u{345}\u{344}\u{1100}\u{1161}\u{11a8}\u{ac00}\u{ac01}\
                     \u{fb01}\u{fdfa}\u{2126}\u{4e00}\u{f900}\u{9c7}\u{9be}\u{f71}\u{f72}\u{f73}\u{1d15e}\u{302e}]{0,16}",
        ) {
            for form in FORMS {
                assert_same(&text, |text| form.normalize(text), |text| form.normalize_whole(text));
            }
        }
    }
}
