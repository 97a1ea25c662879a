//! SentencePiece's normalizer and decoder as stages of the reference, for tokenizer.json.
//!
//! The stages give the same for usual texts. What they cannot say: user-defined symbols are exempt from the charsmap, and the
//! spaces inside a symbol or a replacement stay; the charsmap's longest entry counts; the spaces that decoding removes are those
//! at the beginning of each piece until there is some text, and runs of bytes that are no text decode byte by byte.

use super::SPACE_SYMBOL;
use crate::formats::config::{DecoderConfig, NormalizerConfig, PatternConfig, SentencePieceDecoder, SentencePieceNormalizer};

/// The normalizers of the reference that come nearest.
pub(in crate::formats) fn normalizers(config: &SentencePieceNormalizer) -> Vec<NormalizerConfig> {
    let replace = |pattern, content: &str| NormalizerConfig::Replace { pattern, content: content.to_owned() };
    let regex = |pattern: &str| PatternConfig::Regex(pattern.to_owned());
    let space = if config.escape_whitespaces { SPACE_SYMBOL } else { " " };
    let mut stages = Vec::new();
    if !config.charsmap.is_empty() {
        stages.push(NormalizerConfig::Precompiled { charsmap: config.charsmap.clone() });
    }
    if config.remove_extra_whitespaces {
        // Spaces at the beginning, and all but the last of a run.
        stages.push(replace(regex(r"\A +| +(?= )"), ""));
    }
    if config.add_dummy_prefix && !config.treat_whitespace_as_suffix {
        stages.push(NormalizerConfig::Prepend { prepend: space.to_owned() });
    }
    if config.escape_whitespaces {
        stages.push(replace(PatternConfig::String(" ".to_owned()), SPACE_SYMBOL));
    }
    if config.remove_extra_whitespaces {
        // Only now: SentencePiece also removes those that the text itself has as U+2581.
        stages.push(replace(regex(&format!(r"{space}+\z")), ""));
    }
    if config.add_dummy_prefix && config.treat_whitespace_as_suffix {
        stages.push(replace(regex(r"(?<=[\s\S])\z"), space));
    }
    stages
}

/// The decoders of the reference that come nearest.
pub(in crate::formats) fn decoders(config: &SentencePieceDecoder) -> Vec<DecoderConfig> {
    let replace = |text: &str, content: &str| DecoderConfig::Replace {
        pattern: PatternConfig::String(text.to_owned()),
        content: content.to_owned(),
    };
    let mut stages = vec![replace(&config.unknown, &config.unk_surface), replace(SPACE_SYMBOL, " ")];
    if config.byte_fallback {
        stages.push(DecoderConfig::ByteFallback);
    }
    stages.push(DecoderConfig::Fuse);
    if config.add_dummy_prefix || config.remove_extra_whitespaces {
        stages.push(DecoderConfig::Strip { content: ' ', start: 1, stop: 0 });
    }
    stages
}
