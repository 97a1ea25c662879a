//! The `Split` pre-tokenizer, and the cutting of a piece at matches that most other pre-tokenizers share.
//!
//! [`Cutter`] takes matches in order and sees the text as alternating events: what lies before a match (if anything), then the
//! match. Each behaviour is a rule of one event: only `MergedWithNext`, `MergedWithPrevious` and `Contiguous` keep one range open.
//! An empty match is an event too: it gives no piece, but it separates (or, for `Contiguous`, interrupts) its neighbours.

use super::scanners::Scanner;
use super::{Emit, Level};
use crate::formats::config::{PatternConfig, SplitBehavior};
use crate::regex::Regex;
use crate::text::{Align, Piece};
use crate::Result;
use memchr::memmem;
use std::ops::Range;
use std::sync::Arc;

/// Cuts a piece at matches. Give every match to [`found`](Self::found), in order, then call [`finish`](Self::finish).
pub(super) struct Cutter<'p, 'e, 'f, A: Align> {
    piece: Piece<'p, A>,
    behavior: SplitBehavior,
    invert: bool,
    /// The text before this byte is behind us.
    done: usize,
    /// The last range, where the next event can still extend it, and whether it (or its last event) is a match.
    open: Option<(Range<usize>, bool)>,
    emit: &'e mut Emit<'f, A>,
}

impl<'p, 'e, 'f, A: Align> Cutter<'p, 'e, 'f, A> {
    /// Cuts `piece` at matches, or, with `invert`, at what lies between them.
    pub(super) fn new(piece: Piece<'p, A>, behavior: SplitBehavior, invert: bool, emit: &'e mut Emit<'f, A>) -> Self {
        Self { piece, behavior, invert, done: 0, open: None, emit }
    }

    /// Takes the next match.
    #[inline]
    pub(super) fn found(&mut self, range: Range<usize>) -> Result<()> {
        if self.done < range.start {
            self.event(self.done..range.start, self.invert)?;
        }
        self.done = range.end;
        self.event(range, !self.invert)
    }

    /// Takes the rest of the text.
    pub(super) fn finish(mut self) -> Result<()> {
        if self.done < self.piece.text.len() {
            self.event(self.done..self.piece.text.len(), self.invert)?;
        }
        self.close()
    }

    #[inline]
    fn event(&mut self, range: Range<usize>, is_match: bool) -> Result<()> {
        match self.behavior {
            SplitBehavior::Isolated => self.give(range),
            SplitBehavior::Removed if is_match => Ok(()),
            SplitBehavior::Removed => self.give(range),
            SplitBehavior::Contiguous => match &mut self.open {
                Some((open, was_match)) if *was_match == is_match => {
                    open.end = range.end;
                    Ok(())
                }
                _ => self.reopen(range, is_match),
            },
            SplitBehavior::MergedWithPrevious => match &mut self.open {
                Some((open, was_match)) if is_match && !*was_match => {
                    open.end = range.end;
                    *was_match = true;
                    Ok(())
                }
                _ => self.reopen(range, is_match),
            },
            SplitBehavior::MergedWithNext => match self.open.take() {
                // Only a match is left open, and what is no match joins it.
                Some((open, _)) if !is_match => self.give(open.start..range.end),
                Some((open, _)) => {
                    self.open = Some((range, true));
                    self.give(open)
                }
                None if is_match => {
                    self.open = Some((range, true));
                    Ok(())
                }
                None => self.give(range),
            },
        }
    }

    fn reopen(&mut self, range: Range<usize>, is_match: bool) -> Result<()> {
        match self.open.replace((range, is_match)) {
            Some((open, _)) => self.give(open),
            None => Ok(()),
        }
    }

    fn close(&mut self) -> Result<()> {
        match self.open.take() {
            Some((open, _)) => self.give(open),
            None => Ok(()),
        }
    }

    #[inline]
    fn give(&mut self, range: Range<usize>) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        (self.emit)(self.piece.slice(range))
    }
}

/// Cuts `piece` at the characters for which `is_match` is true.
#[inline]
pub(super) fn at_chars<A: Align>(
    piece: Piece<'_, A>,
    behavior: SplitBehavior,
    is_match: impl Fn(char) -> bool,
    emit: &mut Emit<'_, A>,
) -> Result<()> {
    let mut cutter = Cutter::new(piece, behavior, false, emit);
    for (start, character) in piece.text.char_indices() {
        if is_match(character) {
            cutter.found(start..start + character.len_utf8())?;
        }
    }
    cutter.finish()
}

/// `Split`: cuts at the matches of a pattern.
#[derive(Clone, Debug)]
pub(super) struct Split {
    pattern: Pattern,
    behavior: SplitBehavior,
    invert: bool,
}

#[derive(Clone, Debug)]
enum Pattern {
    /// A text that is not empty.
    Literal(Arc<memmem::Finder<'static>>),
    /// The empty text: it matches before each character and at the end.
    Empty,
    Regex(Arc<Regex>),
    /// A known regular expression: its text and what does the same.
    Known(Arc<str>, Scanner),
}

impl Split {
    pub(super) fn new(pattern: &PatternConfig, behavior: SplitBehavior, invert: bool) -> Result<Self> {
        let pattern = match pattern {
            PatternConfig::String(literal) if literal.is_empty() => Pattern::Empty,
            PatternConfig::String(literal) => Pattern::Literal(Arc::new(memmem::Finder::new(literal.as_bytes()).into_owned())),
            PatternConfig::Regex(regex) => match Scanner::of_pattern(regex, behavior, invert) {
                Some(scanner) => Pattern::Known(regex.as_str().into(), scanner),
                None => Pattern::Regex(Arc::new(Regex::new(regex)?)),
            },
        };
        Ok(Self { pattern, behavior, invert })
    }

    /// The regular expression and what runs it.
    pub(super) fn regex(&self) -> Option<(&str, String)> {
        match &self.pattern {
            Pattern::Regex(regex) => Some((regex.as_str(), regex.engine())),
            Pattern::Known(pattern, scanner) => Some((pattern, scanner.engine())),
            _ => None,
        }
    }

    /// The regular expression, if each match is a piece, and what lies between the matches too.
    pub(super) fn isolated(&self) -> Option<&str> {
        match &self.pattern {
            _ if self.behavior != SplitBehavior::Isolated || self.invert => None,
            Pattern::Regex(regex) => Some(regex.as_str()),
            Pattern::Known(pattern, _) => Some(pattern),
            _ => None,
        }
    }

    /// The scanner that cuts as this does.
    pub(super) fn scanner(&self) -> Option<Scanner> {
        match (&self.pattern, self.behavior, self.invert) {
            // All of the text is matched, so there is nothing to remove.
            (Pattern::Known(_, scanner), SplitBehavior::Isolated, _)
            | (Pattern::Known(_, scanner), SplitBehavior::Removed, true) => Some(*scanner),
            _ => None,
        }
    }

    pub(super) fn pre_tokenize<A: Align>(&self, piece: Piece<'_, A>, level: &mut Level<A>, emit: &mut Emit<'_, A>) -> Result<()> {
        let mut cutter = Cutter::new(piece, self.behavior, self.invert, emit);
        match &self.pattern {
            Pattern::Literal(finder) => {
                let length = finder.needle().len();
                for start in finder.find_iter(piece.text.as_bytes()) {
                    cutter.found(start..start + length)?;
                }
            }
            Pattern::Empty => {
                for (start, _) in piece.text.char_indices() {
                    cutter.found(start..start)?;
                }
                cutter.found(piece.text.len()..piece.text.len())?;
            }
            Pattern::Regex(regex) => regex.find_iter(piece.text, &mut level.regex, &mut |found| cutter.found(found))?,
            Pattern::Known(_, scanner) => scanner.find_iter(piece.text, &mut level.ends, &mut |found| cutter.found(found))?,
        }
        cutter.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::PreTokenizerConfig;
    use crate::pre_tokenizers::tests::texts;
    use crate::text::NormalizedText;
    use proptest::prelude::*;

    const BEHAVIORS: [SplitBehavior; 5] = [
        SplitBehavior::Removed,
        SplitBehavior::Isolated,
        SplitBehavior::MergedWithPrevious,
        SplitBehavior::MergedWithNext,
        SplitBehavior::Contiguous,
    ];

    /// All events first, then each behaviour by its definition over the whole list.
    fn naive(text: &str, matches: &[Range<usize>], behavior: SplitBehavior, invert: bool) -> Vec<String> {
        let mut events: Vec<(Range<usize>, bool)> = Vec::new();
        let mut end = 0;
        for found in matches {
            if end != found.start {
                events.push((end..found.start, invert));
            }
            events.push((found.clone(), !invert));
            end = found.end;
        }
        if end != text.len() {
            events.push((end..text.len(), invert));
        }
        let is_match = |index: usize| events.get(index).is_some_and(|event| event.1);
        // Whether event `index` and the one after it belong to one piece.
        let joined = |index: usize| match behavior {
            SplitBehavior::Removed | SplitBehavior::Isolated => false,
            SplitBehavior::Contiguous => is_match(index) == is_match(index + 1),
            SplitBehavior::MergedWithPrevious => !is_match(index) && is_match(index + 1),
            SplitBehavior::MergedWithNext => is_match(index) && !is_match(index + 1),
        };
        let mut pieces = Vec::new();
        let mut piece = String::new();
        for (index, (range, is_match)) in events.iter().enumerate() {
            if !(behavior == SplitBehavior::Removed && *is_match) {
                piece.push_str(&text[range.clone()]);
            }
            if index + 1 == events.len() || !joined(index) {
                pieces.push(std::mem::take(&mut piece));
            }
        }
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_twin(steps in proptest::collection::vec((0..3usize, 0..3usize), 0..8), rest in 0..3usize) {
            // Matches from (gap, length) steps, over a text of distinct letters.
            let mut matches = Vec::new();
            let mut end = 0;
            for (gap, length) in steps {
                matches.push(end + gap..end + gap + length);
                end += gap + length;
            }
            let text: String = ('a'..='z').cycle().take(end + rest).collect();
            let mut section = NormalizedText::<()>::new();
            section.reset(&text, 0);
            for behavior in BEHAVIORS {
                for invert in [false, true] {
                    let mut pieces = Vec::new();
                    let mut collect = |piece: Piece<'_, ()>| { pieces.push(piece.text.to_owned()); Ok(()) };
                    let mut cutter = Cutter::new(section.as_piece(), behavior, invert, &mut collect);
                    for found in &matches {
                        cutter.found(found.clone()).unwrap();
                    }
                    cutter.finish().unwrap();
                    prop_assert_eq!(pieces, naive(&text, &matches, behavior, invert), "{:?} {}", behavior, invert);
                }
            }
        }
    }

    fn split(pattern: &str, behavior: SplitBehavior, invert: bool) -> PreTokenizerConfig {
        PreTokenizerConfig::Split { pattern: PatternConfig::String(pattern.into()), behavior, invert }
    }

    #[test]
    fn the_five_behaviours() {
        let text = "the-final--countdown-";
        let expected: [&[&str]; 5] = [
            &["the", "final", "countdown"],
            &["the", "-", "final", "-", "-", "countdown", "-"],
            &["the-", "final-", "-", "countdown-"],
            &["the", "-final", "-", "-countdown", "-"],
            &["the", "-", "final", "--", "countdown", "-"],
        ];
        for (behavior, expected) in BEHAVIORS.into_iter().zip(expected) {
            assert_eq!(texts(&split("-", behavior, false), text), expected, "{behavior:?}");
        }
        assert_eq!(texts(&split("-", SplitBehavior::Removed, true), text), ["-", "-", "-", "-"]);
    }

    #[test]
    fn a_string_is_taken_literally() {
        assert_eq!(texts(&split(".", SplitBehavior::Removed, false), "a.b"), ["a", "b"]);
        assert_eq!(texts(&split("aa", SplitBehavior::Isolated, false), "aaaéaa"), ["aa", "aé", "aa"]);
    }

    #[test]
    fn the_empty_string_matches_around_every_character() {
        assert_eq!(texts(&split("", SplitBehavior::Isolated, false), "aé"), ["a", "é"]);
        assert_eq!(texts(&split("", SplitBehavior::MergedWithNext, false), "aé"), ["a", "é"]);
        assert_eq!(texts(&split("", SplitBehavior::Removed, true), "aé"), [""; 0]);
    }
}
