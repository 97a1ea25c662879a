//! `BertNormalizer`: cleaning, spaces around Chinese characters, accents off, lower case.
//!
//! The reference rewrites the text once for each of these steps, and once for NFD. Here one pass does all: runs that no step
//! changes are copied (ASCII letters are made lower case in the copy), any other character goes through the steps by itself, or
//! is looked up in a table of what becomes of the characters below U+2000.
//! That gives the same text and records because NFD only ever moves marks, and the marks go, so nothing that stays has moved.
//! Ninety-six rare characters have a mark that stays (a combining class, but not in the category Mn of Unicode 8); a text with
//! one of them takes the steps one by one. O(n).

use super::inert::Inert;
use super::lowercase;
use super::unicode::Form;
use crate::text::{Align, NormalizedText, Rewrite};
use crate::unicode::{
    flags, is_whitespace, to_lowercase, CHINESE, CONTROL, KEPT_MARK, LOWERCASED, MARK_NONSPACING, NFD_ACTIVE, WHITESPACE,
};
use unicode_normalization_alignments::char::decompose_canonical;

/// Characters below this one are looked up.
const LOOKED_UP: usize = 0x2000;
/// Nothing comes of a character.
const REMOVED: u16 = 0;
/// Something else than one character of two bytes comes of a character.
const OTHER: u16 = 0xFFFF;

#[derive(Clone, Debug)]
pub(super) struct BertNormalizer {
    clean_text: bool,
    handle_chinese_chars: bool,
    strip_accents: bool,
    lowercase: bool,
    /// The flags of the characters beyond ASCII that some step changes.
    changing: u16,
    /// The characters that no step changes, ASCII's letters included.
    inert: Inert,
    /// What becomes of each character below `LOOKED_UP`: a character, `REMOVED` or `OTHER`.
    results: Box<[u16]>,
}

impl BertNormalizer {
    pub(super) fn new(clean_text: bool, handle_chinese_chars: bool, strip_accents: bool, lowercase: bool) -> Self {
        let steps = [
            (clean_text, CONTROL | WHITESPACE),
            (handle_chinese_chars, CHINESE),
            (strip_accents, NFD_ACTIVE | MARK_NONSPACING),
            (lowercase, LOWERCASED),
        ];
        let changing = steps.iter().filter(|(is_on, _)| *is_on).fold(0, |all, (_, flags)| all | flags);
        let inert = Inert::new(|character| match character {
            '\0'..='\x7f' => !(clean_text && character.is_ascii_control()),
            char::REPLACEMENT_CHARACTER => !clean_text,
            _ => flags(character) & changing == 0,
        });
        let mut bert =
            BertNormalizer { clean_text, handle_chinese_chars, strip_accents, lowercase, changing, inert, results: Box::default() };
        bert.results =
            (0..LOOKED_UP as u32).map(|code| char::from_u32(code).map_or(OTHER, |character| bert.result(character))).collect();
        bert
    }

    /// The entry of `character` in the table.
    fn result(&self, character: char) -> u16 {
        let mut result = REMOVED;
        let mut count = 0;
        let is_done = self.for_each_result(character, |one| {
            result = u16::try_from(one as u32).unwrap_or(OTHER);
            count += 1;
        });
        if is_done && count <= 1 && (count == 0 || result != REMOVED) {
            result
        } else {
            OTHER
        }
    }

    pub(super) fn normalize<A: Align>(&self, text: &mut NormalizedText<A>) {
        let first = self.inert.run_end(text.text(), 0);
        if first == text.text().len() {
            if self.lowercase {
                text.make_ascii_lowercase();
            }
        } else if !text.try_rewrite(|new| self.write(new, first)) && text.refused().is_none() {
            self.normalize_by_steps(text);
        }
    }

    /// See [`Normalizer::one_for_one`](super::Normalizer::one_for_one).
    pub(super) fn one_for_one(&self, character: char) -> Option<char> {
        match self.results.get(character as usize).copied().unwrap_or(OTHER) {
            REMOVED => return None,
            OTHER if self.inert.contains(character) => return Some(character),
            OTHER => {}
            one => return char::from_u32(one.into()),
        }
        let (mut count, mut result) = (0, None);
        let is_done = self.for_each_result(character, |one| match is_whitespace(one) {
            true => result = result.or(Some(' ')),
            false => {
                count += 1;
                result = Some(one);
            }
        });
        result.filter(|_| is_done && count <= 1)
    }

    /// Whether spaces are put around a character.
    pub(super) fn isolates(&self, character: char) -> bool {
        self.handle_chinese_chars && flags(character) & CHINESE != 0
    }

    /// Writes the whole normalized text, whose characters before `first` are inert, or returns false at a character with a mark
    /// that stays.
    fn write<A: Align>(&self, new: &mut Rewrite<'_, A>, first: usize) -> bool {
        let old = new.old_text();
        let mut copied = 0;
        let mut start = first;
        while let Some(character) = old[start..].chars().next() {
            let at = start;
            let end = start + character.len_utf8();
            start = self.inert.run_end(old, end);
            let result = self.results.get(character as usize).copied().unwrap_or(OTHER);
            if result == OTHER && flags(character) & self.changing == 0 && character != char::REPLACEMENT_CHARACTER {
                continue; // a character of four bytes that no step changes
            }
            self.copy(new, copied, at);
            copied = end;
            match result {
                REMOVED => {}
                OTHER => {
                    let mut is_done = true;
                    new.push_with(Some(at), |text| is_done = self.for_each_result(character, |one| text.push(one)));
                    if !is_done {
                        return false;
                    }
                }
                one => new.push(char::from_u32(one.into()).unwrap_or(character), Some(at)),
            }
        }
        self.copy(new, copied, old.len());
        true
    }

    /// Appends the old bytes from `start` to `end`, which no step but lower case changes.
    #[inline]
    fn copy<A: Align>(&self, new: &mut Rewrite<'_, A>, start: usize, end: usize) {
        if self.lowercase {
            new.copy_ascii_lowercase(start..end);
        } else {
            new.copy(start..end);
        }
    }

    /// Gives `push` what becomes of a character that is not inert; false if it has a mark that stays.
    fn for_each_result(&self, character: char, mut push: impl FnMut(char)) -> bool {
        let flags = flags(character);
        if self.clean_text {
            if matches!(character, '\t' | '\n' | '\r') {
                push(' ');
                return true;
            }
            if flags & CONTROL != 0 || character == char::REPLACEMENT_CHARACTER {
                return true;
            }
            if flags & WHITESPACE != 0 {
                push(' ');
                return true;
            }
        }
        if self.strip_accents && flags & KEPT_MARK != 0 {
            return false;
        }
        let mut push_lower = |character| match to_lowercase(character) {
            _ if !self.lowercase => push(character),
            (lower, dot) => {
                push(lower);
                dot.into_iter().for_each(&mut push);
            }
        };
        let is_chinese = self.handle_chinese_chars && flags & CHINESE != 0;
        if is_chinese {
            push_lower(' ');
        }
        if !self.strip_accents {
            push_lower(character);
        } else if flags & NFD_ACTIVE != 0 {
            decompose_canonical(character, |part| {
                if crate::unicode::flags(part) & MARK_NONSPACING == 0 {
                    push_lower(part);
                }
            });
        } else if flags & MARK_NONSPACING == 0 {
            push_lower(character);
        }
        if is_chinese {
            push_lower(' ');
        }
        true
    }

    /// The steps one after the other over the whole text.
    fn normalize_by_steps<A: Align>(&self, text: &mut NormalizedText<A>) {
        if self.clean_text {
            text.retain(|character| {
                let is_kept_control = matches!(character, '\t' | '\n' | '\r');
                character != char::REPLACEMENT_CHARACTER && (is_kept_control || flags(character) & CONTROL == 0)
            });
            let is_plain = |character| flags(character) & WHITESPACE == 0;
            text.edit(is_plain, |new, _, start| new.push(' ', Some(start)));
        }
        if self.handle_chinese_chars {
            let is_plain = |character| flags(character) & CHINESE == 0;
            text.edit(is_plain, |new, character, start| {
                for character in [' ', character, ' '] {
                    new.push(character, Some(start));
                }
            });
        }
        if self.strip_accents {
            Form::Nfd.normalize(text);
            text.retain(|character| flags(character) & MARK_NONSPACING == 0);
        }
        if self.lowercase {
            lowercase::normalize(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalizers::tests::{assert_same, normalized, spans_after};
    use proptest::prelude::*;

    const UNCASED: (bool, bool, bool, bool) = (true, true, true, true);

    fn bert((clean_text, handle_chinese_chars, strip_accents, lowercase): (bool, bool, bool, bool)) -> BertNormalizer {
        BertNormalizer::new(clean_text, handle_chinese_chars, strip_accents, lowercase)
    }

    #[test]
    fn each_step_alone() {
        let text = "A\u{c9}\t\u{b}\u{4e2d}\u{fffd}\0\u{a0}";
        let run = |options| normalized(text, |text| bert(options).normalize(text));
        assert_eq!(run((false, false, false, false)), text);
        assert_eq!(run((true, false, false, false)), "A\u{c9} \u{4e2d} ");
        assert_eq!(run((false, true, false, false)), "A\u{c9}\t\u{b} \u{4e2d} \u{fffd}\0\u{a0}");
        assert_eq!(run((false, false, true, false)), "AE\t\u{b}\u{4e2d}\u{fffd}\0\u{a0}");
        assert_eq!(run((false, false, false, true)), "a\u{e9}\t\u{b}\u{4e2d}\u{fffd}\0\u{a0}");
        assert_eq!(run(UNCASED), "ae  \u{4e2d}  ");
    }

    #[test]
    fn all_parts_of_a_character_share_its_record() {
        let spans = spans_after("\0\u{f900}e\u{301}", |text| bert(UNCASED).normalize(text));
        assert_eq!(spans, [(1, 4), (1, 4), (1, 4), (1, 4), (1, 4), (4, 5)]);
    }

    #[test]
    fn every_changing_character_gives_what_the_steps_give() {
        let bert = bert(UNCASED);
        let is_changing = |character: &char| flags(*character) & bert.changing != 0;
        for character in ('\0'..'\u{f0000}').filter(is_changing) {
            assert_same(&format!("a{character}b"), |text| bert.normalize(text), |text| bert.normalize_by_steps(text));
        }
    }

    proptest! {
        #[test]
        fn one_pass_gives_what_the_steps_give(
            text in "([A-c \t\0\u{e9}\u{c9}\u{1e69}\u{301}\u{323}\u{334}\u{345}\u{344}\u{ac01}\u{f900}\u{4e2d}\u{130}\u{e31}\u{200d}\
                     \u{fffd}\u{2126}\u{1d15e}\u{302e}\u{1dfb}\u{2000}\u{3000}]|\\PC){0,16}",
            options: (bool, bool, bool, bool),
        ) {
            assert_same(&text, |text| bert(options).normalize(text), |text| bert(options).normalize_by_steps(text));
        }
    }
}
