//! Normalizers: what happens to a section's characters before it is split.
//!
//! Each kind rewrites a [`NormalizedText`] in O(n) and leaves alone what it would not change: runs of such characters are copied,
//! and a text of nothing else is not touched. The record of where each byte came from is the reference's, quirks included; it costs
//! nothing where it is not asked for.
//!
//! A file may ask for any growth (ten `Replace` of one character by ten make 10¹⁰ of one), so the output of one call has a limit.

mod bert;
mod byte_level;
mod inert;
mod lowercase;
mod nmt;
mod precompiled;
mod prepend;
mod replace;
mod sentencepiece;
mod strip;
mod strip_accents;
mod unicode;

use crate::formats::config::NormalizerConfig;
use crate::regex::RegexScratch;
use crate::text::{Align, NormalizedText};
use crate::unicode::is_whitespace;
use crate::{Error, Result};
use bert::BertNormalizer;
use precompiled::Precompiled;
use replace::Replace;
use sentencepiece::SentencePiece;
use std::ops::Range;
use strip::Strip;
use unicode::Form;

/// An output may have this many bytes for each byte of input, and [`FREE_OUTPUT_BYTES`] more.
const OUTPUT_PER_INPUT_BYTE: usize = 64;
/// The output that needs no input to justify it: 1 MB.
const FREE_OUTPUT_BYTES: usize = 1_000_000;

/// A compiled normalizer.
#[derive(Debug)]
pub struct Normalizer(Kind);

#[derive(Debug)]
enum Kind {
    Bert(Box<BertNormalizer>),
    Strip(Strip),
    StripAccents,
    Form(Form),
    Sequence(Vec<Normalizer>),
    Lowercase,
    Nmt,
    Precompiled(Box<Precompiled>),
    Replace(Box<Replace>),
    Prepend(Box<str>),
    ByteLevel,
    SentencePiece(Box<SentencePiece>),
}

/// Buffers of the normalizers, reused from call to call.
#[derive(Debug, Default)]
pub struct NormalizerScratch {
    regex: RegexScratch,
    matches: Vec<Range<usize>>,
}

impl Normalizer {
    /// Compiles a normalizer.
    ///
    /// # Errors
    /// [`Error::Config`] for a charsmap that is not sound, [`Error::Pattern`] for a pattern that cannot be compiled; the place
    /// is the path below `normalizer`.
    pub fn from_config(config: &NormalizerConfig) -> Result<Self> {
        let kind = match config {
            &NormalizerConfig::Bert { clean_text, handle_chinese_chars, strip_accents, lowercase } => {
                let strip_accents = strip_accents.unwrap_or(lowercase);
                Kind::Bert(Box::new(BertNormalizer::new(clean_text, handle_chinese_chars, strip_accents, lowercase)))
            }
            &NormalizerConfig::Strip { strip_left, strip_right } => Kind::Strip(Strip { left: strip_left, right: strip_right }),
            NormalizerConfig::StripAccents => Kind::StripAccents,
            NormalizerConfig::Nfc => Kind::Form(Form::Nfc),
            NormalizerConfig::Nfd => Kind::Form(Form::Nfd),
            NormalizerConfig::Nfkc => Kind::Form(Form::Nfkc),
            NormalizerConfig::Nfkd => Kind::Form(Form::Nfkd),
            NormalizerConfig::Sequence(configs) => {
                let compile =
                    |(index, config)| Self::from_config(config).map_err(|error| error.under(&format!("normalizers[{index}]")));
                Kind::Sequence(configs.iter().enumerate().map(compile).collect::<Result<_>>()?)
            }
            NormalizerConfig::Lowercase => Kind::Lowercase,
            NormalizerConfig::Nmt => Kind::Nmt,
            NormalizerConfig::Precompiled { charsmap } => {
                let precompiled = Precompiled::new(charsmap).map_err(|error| error.under("precompiled_charsmap"))?;
                Kind::Precompiled(Box::new(precompiled))
            }
            NormalizerConfig::Replace { pattern, content } => Kind::Replace(Box::new(Replace::new(pattern, content)?)),
            NormalizerConfig::Prepend { prepend } => Kind::Prepend(prepend.as_str().into()),
            NormalizerConfig::ByteLevel => Kind::ByteLevel,
            NormalizerConfig::SentencePiece(config) => Kind::SentencePiece(Box::new(SentencePiece::new(config)?)),
        };
        // Tables that all share are made here, so that no text waits for them.
        match &kind {
            Kind::Form(form) => form.prepare(),
            Kind::StripAccents => strip_accents::prepare(),
            Kind::Lowercase => lowercase::prepare(),
            _ => {}
        }
        Ok(Normalizer(kind))
    }

    /// Rewrites `text`.
    ///
    /// # Errors
    /// [`Error::Limit`] if the text would grow beyond 64 times its length and 1 MB; [`Error::PatternLimit`] from a `Replace`
    /// with a pattern.
    pub fn normalize<A: Align>(&self, text: &mut NormalizedText<A>, scratch: &mut NormalizerScratch) -> Result<()> {
        let limit = text.text().len().saturating_mul(OUTPUT_PER_INPUT_BYTE).saturating_add(FREE_OUTPUT_BYTES);
        text.set_limit(Some(limit));
        let result = self.run(text, scratch, limit);
        text.set_limit(None);
        result
    }

    /// The one character that becomes of a character beyond ASCII, or a space if white space becomes of it, beside other characters of
    /// which something is known here, ASCII included. White space that is put around it is left out.
    pub(crate) fn one_for_one(&self, character: char) -> Option<char> {
        match &self.0 {
            Kind::Bert(bert) => bert.one_for_one(character),
            Kind::Precompiled(precompiled) => precompiled.one_for_one(character),
            // What else is done concerns runs of spaces.
            Kind::Sequence(normalizers) => match &normalizers[..] {
                [first, rest @ ..] if rest.iter().all(Self::concerns_spaces) => first.one_for_one(character),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether white space is put around a character.
    pub(crate) fn isolates(&self, character: char) -> bool {
        matches!(&self.0, Kind::Bert(bert) if bert.isolates(character))
    }

    /// Whether a space stays one, whatever follows it, unless a `Replace` or `ByteLevel` changes it.
    pub(crate) fn leaves_spaces(&self) -> bool {
        match &self.0 {
            Kind::Sequence(normalizers) => normalizers.iter().all(Self::leaves_spaces),
            Kind::Precompiled(precompiled) => !precompiled.has_entry_that_begins_with(b' '),
            _ => true,
        }
    }

    /// Whether [`ends_visibly`](Self::ends_visibly) tells of the ends of all texts, which it does of `Precompiled`, `Strip` and
    /// `Replace`; visible ASCII is never lost there. `joining` are the characters that may join what follows them.
    pub(crate) fn keeps_ends(&self, joining: impl Iterator<Item = char>) -> bool {
        self.precompiled().is_none_or(|precompiled| precompiled.keeps_ends(joining))
    }

    /// Whether what becomes of the text up to `end`, before a `Strip` or a `Replace` of spaces, ends with a character that is no white
    /// space.
    pub(crate) fn ends_visibly(&self, text: &str, end: usize) -> bool {
        match self.precompiled() {
            Some(precompiled) => precompiled.ends_visibly(text, end),
            None => text[..end].ends_with(|last| !is_whitespace(last)),
        }
    }

    /// Whether only spaces, or white space at the ends, are changed.
    fn concerns_spaces(&self) -> bool {
        match &self.0 {
            Kind::Strip(_) => true,
            Kind::Replace(replace) => replace.replaces_runs_of(b' '),
            _ => false,
        }
    }

    fn precompiled(&self) -> Option<&Precompiled> {
        match &self.0 {
            Kind::Precompiled(precompiled) => Some(precompiled),
            Kind::Sequence(normalizers) => normalizers.iter().find_map(Self::precompiled),
            _ => None,
        }
    }

    fn run<A: Align>(&self, text: &mut NormalizedText<A>, scratch: &mut NormalizerScratch, limit: usize) -> Result<()> {
        match &self.0 {
            Kind::Bert(bert) => bert.normalize(text),
            Kind::Strip(strip) => strip.normalize(text),
            Kind::StripAccents => strip_accents::normalize(text),
            Kind::Form(form) => form.normalize(text),
            Kind::Sequence(normalizers) => {
                return normalizers.iter().try_for_each(|normalizer| normalizer.run(text, scratch, limit));
            }
            Kind::Lowercase => lowercase::normalize(text),
            Kind::Nmt => nmt::normalize(text),
            Kind::Precompiled(precompiled) => precompiled.normalize(text),
            Kind::Replace(replace) => replace.normalize(text, scratch)?,
            Kind::Prepend(prefix) => prepend::normalize(prefix, text),
            Kind::ByteLevel => byte_level::normalize(text),
            Kind::SentencePiece(sentencepiece) => sentencepiece.normalize(text),
        }
        match text.refused() {
            None => Ok(()),
            Some(length) => {
                Err(Error::Limit { what: "the normalized text's length in bytes", value: length as u64, limit: limit as u64 })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::PatternConfig;
    use crate::text::Span;

    /// The text after `normalize`.
    pub(super) fn normalized(text: &str, normalize: impl Fn(&mut NormalizedText<Span>)) -> String {
        let mut normalized = NormalizedText::new();
        normalized.reset(text, 0);
        normalize(&mut normalized);
        normalized.text().to_owned()
    }

    /// The records of the bytes after `normalize`.
    pub(super) fn spans_after(text: &str, normalize: impl Fn(&mut NormalizedText<Span>)) -> Vec<(u32, u32)> {
        let mut normalized = NormalizedText::new();
        normalized.reset(text, 0);
        normalize(&mut normalized);
        normalized.as_piece().align.iter().map(|span| (span.start, span.end)).collect()
    }

    /// Both make the same of `text`: characters, records and counts.
    pub(super) fn assert_same(
        text: &str,
        normalize: impl Fn(&mut NormalizedText<Span>),
        naive: impl Fn(&mut NormalizedText<Span>),
    ) {
        let [mut first, mut second] = [NormalizedText::new(), NormalizedText::new()];
        first.reset(text, 0);
        normalize(&mut first);
        second.reset(text, 0);
        naive(&mut second);
        let (first, second) = (first.as_piece(), second.as_piece());
        assert_eq!(first.text, second.text, "{text:?}");
        assert_eq!(first.align, second.align, "{text:?}");
        assert_eq!((first.front, first.hollow), (second.front, second.hollow), "{text:?}");
    }

    fn replace(pattern: &str, content: &str) -> NormalizerConfig {
        NormalizerConfig::Replace { pattern: PatternConfig::String(pattern.into()), content: content.into() }
    }

    fn normalize<A: Align>(config: &NormalizerConfig, text: &str) -> Result<NormalizedText<A>> {
        let mut normalized = NormalizedText::new();
        normalized.reset(text, 0);
        Normalizer::from_config(config)?.normalize(&mut normalized, &mut NormalizerScratch::default())?;
        Ok(normalized)
    }

    #[test]
    fn a_sequence_runs_in_order() {
        let config = NormalizerConfig::Sequence(vec![
            NormalizerConfig::Prepend { prepend: "\u{2581}".into() },
            replace(" ", "\u{2581}"),
            NormalizerConfig::Lowercase,
        ]);
        assert_eq!(normalize::<()>(&config, "A b").unwrap().text(), "\u{2581}a\u{2581}b");
    }

    #[test]
    fn growth_beyond_the_limit_is_an_error_before_it_is_allocated() {
        let tenfold = NormalizerConfig::Sequence(vec![replace("a", "aaaaaaaaaa"); 12]);
        let error = normalize::<Span>(&tenfold, "a").unwrap_err();
        assert!(matches!(error, Error::Limit { value: 1_000_065.., limit: 1_000_064, .. }), "{error}");
        let doubled = NormalizerConfig::Sequence(vec![NormalizerConfig::ByteLevel; 64]);
        assert!(matches!(normalize::<()>(&doubled, " ").unwrap_err(), Error::Limit { .. }));
        let prepended = NormalizerConfig::Prepend { prepend: "a".repeat(2_000_000) };
        assert!(matches!(normalize::<()>(&prepended, "b").unwrap_err(), Error::Limit { .. }));
        let decomposed = NormalizerConfig::Sequence(vec![replace("a", &"\u{fdfa}".repeat(200_000)), NormalizerConfig::Nfkd]);
        assert!(matches!(normalize::<()>(&decomposed, "a").unwrap_err(), Error::Limit { value: ..=1_000_200, .. }));
    }

    #[test]
    fn a_text_can_be_normalized_after_one_that_was_refused() {
        let tenfold = Normalizer::from_config(&NormalizerConfig::Sequence(vec![replace("a", "aaaaaaaaaa"); 12])).unwrap();
        let (mut text, mut scratch) = (NormalizedText::<Span>::new(), NormalizerScratch::default());
        text.reset("a", 0);
        tenfold.normalize(&mut text, &mut scratch).unwrap_err();
        text.reset("b", 7);
        tenfold.normalize(&mut text, &mut scratch).unwrap();
        assert_eq!((text.text(), text.as_piece().source(0..1)), ("b", Some(7..8)));
    }

    #[test]
    fn a_bad_part_is_named_by_its_place() {
        let config = NormalizerConfig::Sequence(vec![
            NormalizerConfig::Nfc,
            NormalizerConfig::Sequence(vec![NormalizerConfig::Precompiled { charsmap: vec![0; 3].into() }]),
        ]);
        let error = Normalizer::from_config(&config).unwrap_err().to_string();
        assert!(error.starts_with("normalizers[1].normalizers[0].precompiled_charsmap: 3 bytes"), "{error}");
    }
}
