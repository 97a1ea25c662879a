//! `Replace`: puts a text in place of every match of a literal or a pattern.
//!
//! The new text takes the record of the last byte that it replaces. A literal is found with a substring search in O(n); an empty
//! one matches before every character and at the end, as an empty pattern does. Runs of a character, such as ` {2,}`, are found as
//! a literal is, in O(n). Any other pattern costs what its engine costs.

use super::NormalizerScratch;
use crate::formats::config::PatternConfig;
use crate::regex::Regex;
use crate::text::{Align, NormalizedText};
use crate::Result;
use memchr::memmem::Finder;

#[derive(Debug)]
pub(super) struct Replace {
    matcher: Matcher,
    content: Box<str>,
}

#[derive(Debug)]
enum Matcher {
    Literal(Box<Finder<'static>>),
    Everywhere,
    /// Runs of a byte: those of the literal's length or longer.
    Runs(Box<Finder<'static>>),
    Pattern(Regex),
}

impl Replace {
    pub(super) fn new(pattern: &PatternConfig, content: &str) -> Result<Self> {
        let matcher = match pattern {
            PatternConfig::String(literal) if literal.is_empty() => Matcher::Everywhere,
            PatternConfig::String(literal) => Matcher::Literal(Box::new(Finder::new(literal).into_owned())),
            PatternConfig::Regex(pattern) => match shortest_run(pattern) {
                Some(run) => Matcher::Runs(Box::new(Finder::new(&run).into_owned())),
                None => Matcher::Pattern(Regex::new(pattern)?),
            },
        };
        Ok(Replace { matcher, content: content.into() })
    }

    /// Whether runs of this byte are all that is replaced.
    pub(super) fn replaces_runs_of(&self, byte: u8) -> bool {
        matches!(&self.matcher, Matcher::Runs(finder) if finder.needle().first() == Some(&byte))
    }

    pub(super) fn normalize<A: Align>(&self, text: &mut NormalizedText<A>, scratch: &mut NormalizerScratch) -> Result<()> {
        if text.text().is_empty() {
            return Ok(()); // an empty text has no matches in the reference, not even empty ones
        }
        match &self.matcher {
            Matcher::Literal(finder) => {
                let Some(first) = finder.find(text.text().as_bytes()) else { return Ok(()) };
                text.rewrite(|new| {
                    let old = new.old_text();
                    let length = finder.needle().len();
                    new.copy(0..first);
                    let mut copied = first;
                    for start in finder.find_iter(&old.as_bytes()[first..]).map(|start| first + start) {
                        new.copy(copied..start);
                        copied = start + length;
                        new.push_str(&self.content, Some(copied - 1));
                        if new.is_refused() {
                            return;
                        }
                    }
                    new.copy(copied..old.len());
                });
            }
            Matcher::Runs(finder) => {
                let bytes = text.text().as_bytes();
                let Some(first) = finder.find(bytes) else { return Ok(()) };
                let (byte, shortest) = (bytes[first], finder.needle().len());
                text.rewrite(|new| {
                    let old = new.old_text().as_bytes();
                    let mut copied = 0;
                    let mut next = Some(first);
                    while let Some(start) = next.filter(|_| !new.is_refused()) {
                        let known = start + shortest;
                        let end = known + old[known..].iter().take_while(|&&other| other == byte).count();
                        new.copy(copied..start);
                        new.push_str(&self.content, Some(end - 1));
                        copied = end;
                        next = finder.find(&old[end..]).map(|start| end + start);
                    }
                    new.copy(copied..old.len());
                });
            }
            Matcher::Everywhere => {
                let matches = &mut scratch.matches;
                matches.clear();
                matches.extend(text.text().char_indices().map(|(start, _)| start..start));
                matches.push(text.text().len()..text.text().len());
                text.replace(matches.drain(..), &self.content);
            }
            Matcher::Pattern(regex) => {
                let matches = &mut scratch.matches;
                matches.clear();
                regex.find_iter(text.text(), &mut scratch.regex, &mut |found| {
                    matches.push(found);
                    Ok(())
                })?;
                if !matches.is_empty() {
                    text.replace(matches.drain(..), &self.content);
                }
            }
        }
        Ok(())
    }
}

/// The shortest run that a pattern of the form `x{n,}` or `x+` matches, `x` a character of ASCII without a meaning of its own.
fn shortest_run(pattern: &str) -> Option<Vec<u8>> {
    let &[byte, ref rest @ ..] = pattern.as_bytes() else { return None };
    let count = match rest {
        b"+" => 1,
        [b'{', count @ .., b',', b'}'] => {
            std::str::from_utf8(count).ok()?.parse().ok().filter(|count| (1..=100).contains(count))?
        }
        _ => return None,
    };
    let is_literal = matches!(byte, b' ' | b'_' | b'-' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9');
    (is_literal && count.to_string().len() + 4 >= pattern.len()).then(|| vec![byte; count])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalizers::tests::{assert_same, normalized, spans_after};
    use proptest::prelude::*;

    fn literal(pattern: &str, content: &str) -> Replace {
        Replace::new(&PatternConfig::String(pattern.into()), content).unwrap()
    }

    fn run<A: Align>(replace: &Replace, text: &mut NormalizedText<A>) {
        replace.normalize(text, &mut NormalizerScratch::default()).unwrap();
    }

    #[test]
    fn a_literal_is_not_a_pattern() {
        assert_eq!(normalized("a.b.*c", |text| run(&literal(".*", "-"), text)), "a.b-c");
        assert_eq!(normalized("aaa", |text| run(&literal("aa", "b"), text)), "ba");
        assert_eq!(normalized("a b", |text| run(&literal(" ", ""), text)), "ab");
    }

    #[test]
    fn an_empty_literal_matches_at_every_boundary_but_not_in_an_empty_text() {
        assert_eq!(normalized("\u{e9}b", |text| run(&literal("", "-"), text)), "-\u{e9}-b-");
        assert_eq!(normalized("", |text| run(&literal("", "-"), text)), "");
        assert_eq!(spans_after("\u{e9}b", |text| run(&literal("", "-"), text)), [(0, 0), (0, 2), (0, 2), (0, 2), (2, 3), (2, 3)]);
    }

    #[test]
    fn content_takes_the_record_of_the_last_replaced_character() {
        assert_eq!(spans_after("x a\u{e9}", |text| run(&literal("a\u{e9}", "yz"), text)), [(0, 1), (1, 2), (3, 5), (3, 5)]);
    }

    proptest! {
        #[test]
        fn a_literal_gives_what_its_matches_give(text in "[ab\u{e9} ]{0,12}", pattern in "[ab\u{e9}]{1,2}", content in "[xb\u{2581}]{0,3}") {
            assert_same(&text, |text| run(&literal(&pattern, &content), text), |text| {
                let matches: Vec<_> = text.text().match_indices(&pattern).map(|(start, found)| start..start + found.len()).collect();
                text.replace(matches, &content);
            });
        }
    }

    #[test]
    fn runs_are_told_by_their_pattern() {
        let run = |pattern| shortest_run(pattern).map(|run| String::from_utf8(run).unwrap());
        assert_eq!(run(" {2,}"), Some("  ".into()));
        assert_eq!(run("a+"), Some("a".into()));
        assert_eq!(run("x{12,}"), Some("xxxxxxxxxxxx".into()));
        for pattern in [
            "", "a", "a*", "a{2}", "a{2,3}", "a{,2}", "a{+2,}", "a{02,}", "a{0,}", "a{2,}+", "ab+", ".+", "\\+", "(+", "é+",
            "a{101,}",
        ] {
            assert_eq!(run(pattern), None, "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn runs_give_what_the_pattern_gives(text in "[ab\u{e9}]{0,16}", pattern in "a\\{[123],\\}|b\\+", content in "[ab\u{2581}]{0,3}") {
            let runs = Replace::new(&PatternConfig::Regex(pattern.clone()), &content).unwrap();
            prop_assert!(matches!(runs.matcher, Matcher::Runs(_)));
            let by_engine = Replace { matcher: Matcher::Pattern(Regex::new(&pattern).unwrap()), content: content.as_str().into() };
            assert_same(&text, |text| run(&runs, text), |text| run(&by_engine, text));
        }
    }
}
