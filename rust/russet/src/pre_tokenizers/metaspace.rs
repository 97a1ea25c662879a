//! The `Metaspace` pre-tokenizer: writes spaces as a visible character, and splits before each one.
//!
//! The section is not rewritten as a whole: each piece begins at a space or at the replacement, so the boundaries are found in
//! the text as it came, and only the piece's first character is rewritten, in a buffer. O(n), memory of the longest piece.
//! Without `split` the section is one piece, rewritten at once.

use super::{Emit, Level};
use crate::formats::config::PrependScheme;
use crate::text::{Align, NormalizedText, Piece};
use crate::Result;

/// `Metaspace`.
#[derive(Clone, Debug)]
pub(super) struct Metaspace {
    replacement: char,
    replacement_text: String,
    prepend_scheme: PrependScheme,
    split: bool,
}

impl Metaspace {
    pub(super) fn new(replacement: char, prepend_scheme: PrependScheme, split: bool) -> Self {
        Self { replacement, replacement_text: replacement.to_string(), prepend_scheme, split }
    }

    pub(super) fn pre_tokenize<A: Align>(&self, section: Piece<'_, A>, level: &mut Level<A>, emit: &mut Emit<'_, A>) -> Result<()> {
        let buffer = &mut level.piece;
        let text = section.text;
        let bytes = text.as_bytes();
        let prepends = !text.starts_with([' ', self.replacement])
            && match self.prepend_scheme {
                PrependScheme::Always => true,
                PrependScheme::First => section.at_start(),
                PrependScheme::Never => false,
            };
        if !self.split {
            return self.give_whole(section, prepends, buffer, emit);
        }
        let replacement = self.replacement_text.as_bytes();
        let mut start = 0;
        for end in memchr::memchr2_iter(b' ', replacement[0], bytes).chain([bytes.len()]) {
            let is_boundary = end == bytes.len() || bytes[end] == b' ' || bytes[end..].starts_with(replacement);
            if !is_boundary || start == end {
                continue;
            }
            let piece = section.slice(start..end);
            if bytes[start] == b' ' {
                buffer.reset_to_replaced(piece, &self.replacement_text);
                emit(buffer.as_piece())?;
            } else if start == 0 && prepends {
                buffer.reset_to_prepended(piece, &self.replacement_text);
                emit(buffer.as_piece())?;
            } else {
                emit(piece)?;
            }
            start = end;
        }
        Ok(())
    }

    /// Gives `section` with all its spaces replaced, after the replacement if `prepends`.
    fn give_whole<A: Align>(
        &self,
        section: Piece<'_, A>,
        prepends: bool,
        buffer: &mut NormalizedText<A>,
        emit: &mut Emit<'_, A>,
    ) -> Result<()> {
        let mut spaces = memchr::memchr_iter(b' ', section.text.as_bytes()).peekable();
        if spaces.peek().is_none() && !prepends {
            return emit(section);
        }
        buffer.reset_to(section);
        buffer.replace(spaces.map(|start| start..start + 1), &self.replacement_text);
        if prepends {
            buffer.prepend(&self.replacement_text);
        }
        emit(buffer.as_piece())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::{PreTokenizerConfig, SplitBehavior};
    use crate::pre_tokenizers::split::Cutter;
    use crate::pre_tokenizers::tests::{pieces_at, texts};
    use crate::text::Span;
    use proptest::prelude::*;

    fn metaspace(replacement: char, prepend_scheme: PrependScheme, split: bool) -> PreTokenizerConfig {
        PreTokenizerConfig::Metaspace { replacement, prepend_scheme, split }
    }

    /// Rewrites the whole section, then splits it: the definition.
    fn naive(config: &PreTokenizerConfig, text: &str, offset: usize) -> Vec<(String, std::ops::Range<usize>)> {
        let PreTokenizerConfig::Metaspace { replacement, prepend_scheme, split } = *config else { unreachable!() };
        let mut section = NormalizedText::<Span>::new();
        section.reset(text, offset);
        let spaces: Vec<_> = text.match_indices(' ').map(|(start, _)| start..start + 1).collect();
        section.replace(spaces, &replacement.to_string());
        let wanted = match prepend_scheme {
            PrependScheme::Always => true,
            PrependScheme::First => offset == 0,
            PrependScheme::Never => false,
        };
        if wanted && !section.text().starts_with(replacement) {
            section.prepend(&replacement.to_string());
        }
        let mut pieces = Vec::new();
        let mut collect = |piece: Piece<'_, Span>| {
            pieces.push((piece.text.to_owned(), piece.source(0..piece.text.len()).unwrap()));
            Ok(())
        };
        let mut cutter = Cutter::new(section.as_piece(), SplitBehavior::MergedWithNext, false, &mut collect);
        if split {
            for (start, found) in section.text().match_indices(replacement) {
                cutter.found(start..start + found.len()).unwrap();
            }
        }
        cutter.finish().unwrap();
        pieces
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_twin(
            text in "[ ab_é\u{2581}]{0,12}",
            replacement in prop_oneof![Just('\u{2581}'), Just('_'), Just(' '), Just('a')],
            offset in prop_oneof![Just(0usize), Just(9)],
            scheme in prop_oneof![Just(PrependScheme::First), Just(PrependScheme::Never), Just(PrependScheme::Always)],
            split: bool,
        ) {
            let config = metaspace(replacement, scheme, split);
            prop_assert_eq!(pieces_at(&config, &text, offset), naive(&config, &text, offset));
        }
    }

    #[test]
    fn schemes() {
        let pieces = |scheme, text, offset| {
            let pieces = pieces_at(&metaspace('▁', scheme, true), text, offset);
            pieces.into_iter().map(|(piece, _)| piece).collect::<Vec<_>>()
        };
        assert_eq!(pieces(PrependScheme::Always, "a b", 4), ["▁a", "▁b"]);
        assert_eq!(pieces(PrependScheme::First, "a b", 4), ["a", "▁b"]);
        assert_eq!(pieces(PrependScheme::First, "a b", 0), ["▁a", "▁b"]);
        assert_eq!(pieces(PrependScheme::Never, "a b", 0), ["a", "▁b"]);
        assert_eq!(pieces(PrependScheme::Always, " ▁a ", 0), ["▁", "▁a", "▁"]);
    }

    #[test]
    fn first_is_asked_of_every_piece_of_a_sequence() {
        let config =
            PreTokenizerConfig::Sequence(vec![PreTokenizerConfig::WhitespaceSplit, metaspace('▁', PrependScheme::First, true)]);
        assert_eq!(texts(&config, "a b"), ["▁a", "b"]);
        assert_eq!(texts(&config, " a b"), ["a", "b"]);
    }
}
