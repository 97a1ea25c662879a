//! tiktoken's patterns, which are in the syntax of Rust's `fancy-regex`, in Oniguruma's syntax.
//!
//! The two agree on nearly everything. What is written differently is rewritten: `^` and `$` are the ends of the text and not of
//! a line, `{1,3}+` is possessive and not repeated, `{2}?` is not optional. What has no counterpart is refused by name: flags
//! other than `i`, flags in the middle of a group, and set differences inside a class. One pass over the pattern, O(n).

use super::Ranks;
use crate::pre_tokenizers::byte_level::GPT2_PATTERN;
use crate::{Error, Result};

/// The pattern of `cl100k_base` in the form that files in the wild have.
pub(super) const CL100K: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The same pattern as tiktoken writes it since version 0.9. A run of white space at the end of the text is one piece for it.
const CL100K_NEWER: &str =
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s";

/// The pattern of `o200k_base`.
pub(super) const O200K: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// GPT-2's pattern as its first release had it, and as tiktoken writes it now.
const GPT2_FORMS: [&str; 2] = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
];

/// The pattern of Qwen 2 and its successors.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Whether a translated pattern is known to match every text without gaps.
pub(super) fn covers_all_text(pattern: &str) -> bool {
    // Each has alternatives for letters, for numbers, for white space, and for what is none of them.
    [GPT2_PATTERN, CL100K, QWEN2, O200K].contains(&pattern)
}

/// Whether no token begins with white space that has a line break in it and ends with white space that has none: then a run of
/// white space can be cut after its last line break without any effect on the tokens.
fn breaks_after_lines(ranks: &Ranks) -> bool {
    let may_be_white_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0B || !byte.is_ascii();
    let is_line_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
    ranks.iter().all(|(token, _)| {
        let ends_with_break = token.last().is_some_and(is_line_break);
        ends_with_break || !token.iter().any(is_line_break) || !token.iter().all(may_be_white_space)
    })
}

/// The pattern in Oniguruma's syntax, for a vocabulary.
pub(super) fn translate(pattern: &str, ranks: &Ranks) -> Result<String> {
    if GPT2_FORMS.contains(&pattern) {
        return Ok(GPT2_PATTERN.to_owned());
    }
    if pattern == CL100K_NEWER && breaks_after_lines(ranks) {
        return Ok(CL100K.to_owned());
    }
    Translation { rest: pattern, out: String::with_capacity(pattern.len() + 8), groups: Vec::new(), atom: None }.run()
}

fn unsupported(construct: &str, why: &str) -> Error {
    Error::config("pattern", format!("{construct:?} is not supported: {why}"))
}

/// A translation under way.
struct Translation<'p> {
    rest: &'p str,
    out: String,
    /// Where each open group begins in `out`.
    groups: Vec<usize>,
    /// Where what a quantifier applies to begins in `out`.
    atom: Option<usize>,
}

impl Translation<'_> {
    fn run(mut self) -> Result<String> {
        while let Some(character) = self.rest.chars().next() {
            match character {
                '\\' => self.atom(escape_length(self.rest)),
                '[' => {
                    let length = class_length(self.rest)?;
                    self.atom(length);
                }
                '(' => self.open_group()?,
                ')' => {
                    self.copy(1);
                    self.atom = self.groups.pop();
                }
                '|' => {
                    self.copy(1);
                    self.atom = None;
                }
                '^' => self.replace(1, r"\A"),
                '$' => self.replace(1, r"\z"),
                '*' | '+' | '?' => {
                    self.copy(1);
                    // Lazy and possessive forms are the same in both.
                    if self.rest.starts_with(['?', '+']) {
                        self.copy(1);
                    }
                }
                '{' => self.interval(),
                other => self.atom(other.len_utf8()),
            }
        }
        Ok(self.out)
    }

    fn copy(&mut self, length: usize) {
        let (copied, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.out.push_str(copied);
        self.rest = rest;
    }

    fn skip(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or("");
    }

    fn replace(&mut self, length: usize, by: &str) {
        self.skip(length);
        self.out.push_str(by);
        self.atom = None;
    }

    fn atom(&mut self, length: usize) {
        self.atom = Some(self.out.len());
        self.copy(length);
    }

    fn open_group(&mut self) -> Result<()> {
        let start = self.out.len();
        let is_first =
            self.out.is_empty() || self.groups.last().is_some_and(|group| self.out.get(*group..).is_some_and(is_opening));
        if let Some(inside) = self.rest.strip_prefix("(?") {
            let flags = inside.find(|character: char| !character.is_ascii_alphabetic() && character != '-').unwrap_or(inside.len());
            let (flags, after) = inside.split_at_checked(flags).unwrap_or((inside, ""));
            if flags == "P" && after.starts_with('<') {
                self.skip("(?P".len());
                self.out.push_str("(?");
            } else if after.starts_with([':', ')']) && !flags.is_empty() {
                let flags = format!("(?{flags}");
                if flags != "(?i" && flags != "(?-i" {
                    return Err(unsupported(&flags, "only the flag i is"));
                }
                if after.starts_with(')') {
                    if !is_first {
                        return Err(unsupported(&flags, "flags for the rest of a group must stand at its beginning"));
                    }
                    self.copy(flags.len() + 1);
                    self.atom = None;
                    return Ok(());
                }
            }
        }
        self.groups.push(start);
        let head = ["(?<=", "(?<!", "(?=", "(?!", "(?>", "(?:", "(?i:", "(?-i:"].iter().find(|head| self.rest.starts_with(**head));
        self.copy(head.map_or(1, |head| head.len()));
        self.atom = None;
        Ok(())
    }

    /// `{2}`, `{2,}`, `{2,4}` with what follows; any other brace is itself.
    fn interval(&mut self) {
        let inside = self.rest.get(1..).unwrap_or("");
        let length = inside.find('}').filter(|&length| {
            let bounds = inside.get(..length).unwrap_or("");
            bounds.starts_with(|first: char| first.is_ascii_digit())
                && bounds.chars().all(|character| character.is_ascii_digit() || character == ',')
        });
        let Some(length) = length else { return self.atom(1) };
        let is_fixed = !inside.get(..length).unwrap_or("").contains(',');
        self.copy(length + 2);
        if self.rest.starts_with('+') {
            self.skip(1);
            let start = self.atom.unwrap_or(self.out.len());
            let quantified = self.out.split_off(start);
            self.out.push_str("(?>");
            self.out.push_str(&quantified);
            self.out.push(')');
        } else if self.rest.starts_with('?') {
            if is_fixed {
                self.skip(1);
            } else {
                self.copy(1);
            }
        }
    }
}

/// Whether this is only the beginning of a group.
fn is_opening(text: &str) -> bool {
    ["(", "(?:", "(?>", "(?=", "(?!", "(?<=", "(?<!", "(?i:", "(?-i:"].contains(&text)
}

/// The length of the escape at the beginning of `text`.
fn escape_length(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    let Some((at, escaped)) = characters.next() else { return text.len() };
    let has_braces =
        matches!(escaped, 'p' | 'P' | 'x' | 'u' | 'g' | 'k') && text.get(at + 1..).is_some_and(|rest| rest.starts_with('{'));
    match text.find('}') {
        Some(end) if has_braces => end + 1,
        _ => at + escaped.len_utf8(),
    }
}

/// The length of the class at the beginning of `text`, nested classes included.
fn class_length(text: &str) -> Result<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with('\\') {
            at += escape_length(rest);
            continue;
        }
        if rest.starts_with("--") || rest.starts_with("~~") {
            return Err(unsupported(rest.get(..2).unwrap_or(rest), "classes have && only"));
        }
        if rest.starts_with("[:") {
            if let Some(end) = rest.find(":]") {
                at += end + 2;
                continue;
            }
        }
        if rest.starts_with('[') {
            depth += 1;
            at += 1;
            // A bracket at the beginning of a class is itself.
            let literal = ["^]", "]"].into_iter().find(|literal| text.get(at..).is_some_and(|rest| rest.starts_with(literal)));
            at += literal.map_or(0, str::len);
            continue;
        }
        if rest.starts_with(']') {
            depth -= 1;
            if depth == 0 {
                return Ok(at + 1);
            }
        }
        at += rest.chars().next().map_or(1, char::len_utf8);
    }
    Err(unsupported(text, "the class has no end"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tiktoken::tests::ranks_of;

    fn translated(pattern: &str) -> String {
        translate(pattern, &ranks_of(&[])).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn keeps_what_both_understand() {
        for pattern in [CL100K, O200K, QWEN2, r"\w+|\W", r"(?>a|b)++(?<!\S)", r"[]a][^]b][[:alpha:]&&[^x]]", r"a{,3}b{x}", "é?"] {
            assert_eq!(translated(pattern), pattern);
        }
    }

    #[test]
    fn rewrites_what_differs() {
        for (pattern, expected) in [
            (r"\p{N}{1,3}+", r"(?>\p{N}{1,3})"),
            (r"(?:ab|[c\]]){2}+d", r"(?>(?:ab|[c\]]){2})d"),
            (r"^a$|b", r"\Aa\z|b"),
            (r"a{2}?b{2,}?", r"a{2}b{2,}?"),
            (r"(?P<n>a)", r"(?<n>a)"),
            (r"(?i)a|b", r"(?i)a|b"),
            (r"[$^]\$", r"[$^]\$"),
        ] {
            assert_eq!(translated(pattern), expected);
        }
        assert_eq!(translated(GPT2_FORMS[1]), GPT2_PATTERN);
    }

    #[test]
    fn the_end_of_a_white_space_run_matters_only_to_some_vocabularies() {
        assert_eq!(translated(CL100K_NEWER), CL100K);
        let ranks = ranks_of(&[b"\n  "]);
        let own = translate(CL100K_NEWER, &ranks).unwrap_or_else(|error| panic!("{error}"));
        assert!(own.contains(r"|(?>\p{N}{1,3})|") && own.contains(r"|\s++\z|"), "{own}");
    }

    #[test]
    fn refuses_what_has_no_counterpart() {
        for pattern in ["(?s).", "(?m:a)", "a(?i)b", "[a--b]", "[a"] {
            assert!(translate(pattern, &ranks_of(&[])).is_err(), "{pattern}");
        }
    }
}
