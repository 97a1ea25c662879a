//! `BertNormalizer`: cleaning, spaces around Chinese characters, accents off, lower case.
//!
//! The reference rewrites the text once for each of these steps, and once for NFD. Here one pass does all: runs that no step
//! changes are copied (ASCII letters are made lower case in the copy), any other character goes through the steps by itself.
//! That gives the same text and records because NFD only ever moves marks, and the marks go, so nothing that stays has moved.
//! Ninety-six rare characters have a mark that stays (a combining class, but not in the category Mn of Unicode 8); a text with
//! one of them takes the steps one by one. O(n).

use super::lowercase::{self, push_lowercase};
use super::unicode::Form;
use crate::text::{Align, NormalizedText, Rewrite};
use crate::unicode::{flags, CHINESE, CONTROL, KEPT_MARK, LOWERCASED, MARK_NONSPACING, NFD_ACTIVE, WHITESPACE};
use unicode_normalization_alignments::char::decompose_canonical;

#[derive(Clone, Copy, Debug)]
pub(super) struct BertNormalizer {
    clean_text: bool,
    handle_chinese_chars: bool,
    strip_accents: bool,
    lowercase: bool,
    /// The flags of the characters, ASCII's capitals aside, that some step changes.
    changing: u16,
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
        BertNormalizer { clean_text, handle_chinese_chars, strip_accents, lowercase, changing }
    }

    pub(super) fn normalize<A: Align>(&self, text: &mut NormalizedText<A>) {
        if !text.try_rewrite(|new| self.write(new)) && text.refused().is_none() {
            self.normalize_by_steps(text);
        }
    }

    /// Writes the whole normalized text, or returns false at a character with a mark that stays.
    fn write<A: Align>(&self, new: &mut Rewrite<'_, A>) -> bool {
        let old = new.old_text();
        let bytes = old.as_bytes();
        let mut copied = 0;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if byte.is_ascii() {
                if self.clean_text && byte.is_ascii_control() {
                    self.copy(new, copied, at);
                    if matches!(byte, b'\t' | b'\n' | b'\r') {
                        new.push(' ', Some(at));
                    }
                    copied = at + 1;
                }
                at += 1;
                continue;
            }
            let Some(character) = old[at..].chars().next() else { break };
            let flags = flags(character);
            let length = character.len_utf8();
            if flags & self.changing != 0 || (self.clean_text && character == char::REPLACEMENT_CHARACTER) {
                self.copy(new, copied, at);
                if !self.write_char(new, character, flags, at) {
                    return false;
                }
                copied = at + length;
            }
            at += length;
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

    /// Appends what becomes of one character beyond ASCII; false if it has a mark that stays.
    fn write_char<A: Align>(&self, new: &mut Rewrite<'_, A>, character: char, flags: u16, source: usize) -> bool {
        if self.clean_text {
            if flags & CONTROL != 0 || character == char::REPLACEMENT_CHARACTER {
                return true;
            }
            if flags & WHITESPACE != 0 {
                new.push(' ', Some(source));
                return true;
            }
        }
        if self.strip_accents && flags & KEPT_MARK != 0 {
            return false;
        }
        let is_chinese = self.handle_chinese_chars && flags & CHINESE != 0;
        if is_chinese {
            new.push(' ', Some(source));
        }
        if !self.strip_accents {
            self.push(new, character, source);
        } else if flags & NFD_ACTIVE != 0 {
            decompose_canonical(character, |part| {
                if crate::unicode::flags(part) & MARK_NONSPACING == 0 {
                    self.push(new, part, source);
                }
            });
        } else if flags & MARK_NONSPACING == 0 {
            self.push(new, character, source);
        }
        if is_chinese {
            new.push(' ', Some(source));
        }
        true
    }

    #[inline]
    fn push<A: Align>(&self, new: &mut Rewrite<'_, A>, character: char, source: usize) {
        if self.lowercase {
            push_lowercase(new, character, source);
        } else {
            new.push(character, Some(source));
        }
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
