//! The `Replace` decoder: every match in a token becomes a fixed text.
//!
//! A string pattern in a growing token (after `Fuse`) is found with Knuth, Morris and Pratt's automaton: what is held is the
//! number of characters of the pattern that match so far. O(n), regular expressions as their engine says.

use super::{Emit, Level};
use crate::formats::config::PatternConfig;
use crate::regex::Regex;
use crate::Result;
use memchr::memmem;
use std::ops::Range;

/// Appends `text` to `out`, with `content` in place of `needle`. An empty needle is found around every character.
pub(super) fn replace_into(text: &str, needle: &str, content: &str, out: &mut String) {
    let mut done = 0;
    for (start, found) in text.match_indices(needle) {
        out.push_str(&text[done..start]);
        out.push_str(content);
        done = start + found.len();
    }
    out.push_str(&text[done..]);
}

/// `Replace`.
#[derive(Debug)]
pub(super) struct Replace {
    pattern: Pattern,
    content: String,
}

#[derive(Debug)]
enum Pattern {
    /// A text that is not empty.
    String(Box<memmem::Finder<'static>>),
    /// The empty text: it is found around every character.
    Empty,
    Regex(Regex),
}

impl Replace {
    pub(super) fn new(pattern: &PatternConfig, content: &str) -> Result<Self> {
        let pattern = match pattern {
            PatternConfig::String(literal) if literal.is_empty() => Pattern::Empty,
            PatternConfig::String(literal) => Pattern::String(Box::new(memmem::Finder::new(literal).into_owned())),
            PatternConfig::Regex(regex) => Pattern::Regex(Regex::new(regex)?),
        };
        Ok(Self { pattern, content: content.to_owned() })
    }

    pub(super) fn regex(&self) -> Option<&Regex> {
        match &self.pattern {
            Pattern::Regex(regex) => Some(regex),
            Pattern::String(_) | Pattern::Empty => None,
        }
    }

    pub(super) fn push(&self, token: &str, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
        if token.is_empty() {
            return emit(token); // even where the pattern matches the empty text
        }
        let Level { output, regex: scratch, .. } = level;
        output.clear();
        let mut done = 0;
        let mut found = |range: Range<usize>| {
            output.push_str(&token[done..range.start]);
            output.push_str(&self.content);
            done = range.end;
            Ok(())
        };
        match &self.pattern {
            Pattern::String(finder) => {
                let length = finder.needle().len();
                finder.find_iter(token.as_bytes()).try_for_each(|start| found(start..start + length))?;
            }
            Pattern::Empty => {
                let starts = token.char_indices().map(|(start, _)| start);
                starts.chain([token.len()]).try_for_each(|start| found(start..start))?;
            }
            Pattern::Regex(regex) => regex.find_iter(token, scratch, &mut found)?,
        }
        output.push_str(&token[done..]);
        emit(output)
    }
}

/// The replacement of a string in a token that comes in fragments.
#[derive(Debug)]
pub(super) struct FusedReplace {
    needle: Vec<char>,
    /// For each number of matching characters, less one: how many match at most if those are not followed as they should be.
    shorter: Vec<usize>,
    content: String,
}

impl FusedReplace {
    /// `needle` is not empty.
    pub(super) fn new(needle: &str, content: &str) -> Self {
        let needle: Vec<char> = needle.chars().collect();
        let mut shorter = vec![0; needle.len()];
        let mut matching = 0;
        for index in 1..needle.len() {
            while matching > 0 && needle[matching] != needle[index] {
                matching = shorter[matching - 1];
            }
            matching += usize::from(needle[matching] == needle[index]);
            shorter[index] = matching;
        }
        Self { needle, shorter, content: content.to_owned() }
    }

    pub(super) fn push(&self, fragment: &str, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
        let Level { held, output, .. } = level;
        if held.count == 0 && !fragment.contains(self.needle[0]) {
            return emit(fragment);
        }
        output.clear();
        for character in fragment.chars() {
            while held.count > 0 && self.needle[held.count] != character {
                let shorter = self.shorter[held.count - 1];
                output.extend(&self.needle[..held.count - shorter]);
                held.count = shorter;
            }
            if self.needle[held.count] != character {
                output.push(character);
                continue;
            }
            held.count += 1;
            if held.count == self.needle.len() {
                output.push_str(&self.content);
                held.count = 0;
            }
        }
        emit(output)
    }

    pub(super) fn finish(&self, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
        let Level { held, output, .. } = level;
        output.clear();
        output.extend(&self.needle[..held.count]);
        held.count = 0;
        emit(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoders::tests::decode;
    use crate::formats::config::DecoderConfig;
    use proptest::prelude::*;

    fn replace(pattern: &str, content: &str) -> DecoderConfig {
        DecoderConfig::Replace { pattern: PatternConfig::String(pattern.into()), content: content.into() }
    }

    #[test]
    fn works_token_by_token() {
        assert_eq!(decode(&replace("ab", "-"), &["xab", "a", "b", "abab"]), ["x-", "a", "b", "--"]);
        assert_eq!(decode(&replace("", "-"), &["é", ""]), ["-é-", ""]);
    }

    proptest! {
        #[test]
        fn fragments_become_what_the_whole_becomes(fragments in proptest::collection::vec("[abé]{0,3}", 0..8), needle in "[abé]{1,5}") {
            let stage = FusedReplace::new(&needle, "-");
            let mut level = Level::default();
            let mut text = String::new();
            for fragment in &fragments {
                stage.push(fragment, &mut level, &mut |part| { text.push_str(part); Ok(()) }).unwrap();
            }
            stage.finish(&mut level, &mut |part| { text.push_str(part); Ok(()) }).unwrap();
            prop_assert_eq!(text, fragments.concat().replace(&needle, "-"));
        }
    }
}
