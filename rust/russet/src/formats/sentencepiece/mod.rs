//! SentencePiece's `.model` files: Unigram, BPE and character models, for the same ids as SentencePiece's `encode`.
//!
//! The whole text is normalized as SentencePiece does: the character map, then runs of spaces, then the dummy prefix, then
//! spaces as U+2581. User-defined symbols are cut out before the model, so that nothing joins across them. BPE's merges are
//! found from the scores, one per piece (see [`Joiner`]). Control symbols and the unknown piece become special tokens, and
//! the decoder gives SentencePiece's text back. No special tokens are put around a text, as in `encode`.
//!
//! What the stages cannot say, and SentencePiece does differently:
//! - It never finds control symbols, `<unk>` or `<0x0A>` in a text. Here special tokens are found, unless
//!   `split_special_tokens`; and Unigram then takes such a name for one piece where it stands in the text.
//! - User-defined symbols are exempt from its character map; here only those that the map leaves as they are are found.
//! - Its Unigram scores are summed in single precision, so that nearly equal segmentations can be chosen differently.
//! - A piece that is only in a model to be unused is left out by renaming it (Unigram), or refused (BPE).
//! - Where BPE scores are equal for different pieces, it joins the leftmost; here the piece with the lower id comes first.
//!
//! Word models are refused: their adjacent unknown words are one token. O(n log n) for a BPE piece of n characters.

mod proto;

use super::config::{
    AddedTokenConfig, BpeConfig, Config, DecoderConfig, ModelConfig, NormalizerConfig, PatternConfig, PreTokenizerConfig,
    SplitBehavior, UnigramConfig, VocabConfig,
};
use super::joiner::Joiner;
use super::limits::Limits;
use crate::added_tokens::AddedToken;
use crate::{Error, Result, StringList};
use proto::{ModelFile, ModelKind, PieceKind};
use std::collections::HashMap;

pub(super) use proto::begins_like_a_model;

/// What stands for a space.
const SPACE_SYMBOL: &str = "\u{2581}";

/// Reads a SentencePiece model.
///
/// Fails with the byte or the piece where the file is broken or holds what cannot be expressed, such as a word model.
pub fn from_sentencepiece(bytes: &[u8]) -> Result<Config> {
    from_sentencepiece_within(bytes, &Limits::default())
}

/// [`from_sentencepiece`] with limits.
pub(super) fn from_sentencepiece_within(bytes: &[u8], limits: &Limits) -> Result<Config> {
    let file = ModelFile::read(bytes, limits)?;
    let model = match file.kind {
        ModelKind::Unigram => ModelConfig::Unigram(unigram(&file)),
        ModelKind::Bpe => ModelConfig::Bpe(bpe(&file, merges(&file)?)),
        ModelKind::Char => ModelConfig::Bpe(bpe(&file, StringList::new())),
        ModelKind::Word => return Err(Error::config("trainer_spec.model_type", "word models are not supported")),
    };
    Ok(Config {
        truncation: None,
        padding: None,
        added_tokens: special_tokens(&file),
        normalizer: normalizer(&file),
        pre_tokenizer: user_defined_split(&file),
        post_processor: None,
        decoder: Some(decoder(&file)),
        model,
    })
}

fn special_tokens(file: &ModelFile<'_>) -> Vec<AddedTokenConfig> {
    let flags = |content: &str| AddedToken {
        content: content.to_owned(),
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
    };
    let special = (0..).zip(&file.pieces).filter(|(_, piece)| matches!(piece.kind, PieceKind::Unknown | PieceKind::Control));
    special.map(|(id, piece)| AddedTokenConfig { id, token: flags(piece.text) }).collect()
}

fn normalizer(file: &ModelFile<'_>) -> Option<NormalizerConfig> {
    let replace = |pattern, content: &str| NormalizerConfig::Replace { pattern, content: content.to_owned() };
    let regex = |pattern: &str| PatternConfig::Regex(pattern.to_owned());
    let space = if file.escape_whitespaces { SPACE_SYMBOL } else { " " };
    let mut stages = Vec::new();
    if !file.charsmap.is_empty() {
        stages.push(NormalizerConfig::Precompiled { charsmap: file.charsmap.to_vec(), longest_match: true });
    }
    if file.remove_extra_whitespaces {
        // Spaces at the beginning, and all but the last of a run.
        stages.push(replace(regex(r"\A +| +(?= )"), ""));
    }
    if file.add_dummy_prefix && !file.treat_whitespace_as_suffix {
        stages.push(NormalizerConfig::Prepend { prepend: space.to_owned() });
    }
    if file.escape_whitespaces {
        stages.push(replace(PatternConfig::String(" ".to_owned()), SPACE_SYMBOL));
    }
    if file.remove_extra_whitespaces {
        // Only now: SentencePiece also removes those that the text itself has as U+2581.
        stages.push(replace(regex(&format!(r"{space}+\z")), ""));
    }
    if file.add_dummy_prefix && file.treat_whitespace_as_suffix {
        stages.push(replace(regex(r"(?<=[\s\S])\z"), space));
    }
    match stages.len() {
        0 => None,
        1 => stages.pop(),
        _ => Some(NormalizerConfig::Sequence(stages)),
    }
}

/// Cuts user-defined symbols out, the longest first.
fn user_defined_split(file: &ModelFile<'_>) -> Option<PreTokenizerConfig> {
    let mut symbols: Vec<&str> = user_defined(file).collect();
    symbols.sort_by_key(|symbol| std::cmp::Reverse(symbol.len()));
    let alternatives: Vec<String> = symbols.into_iter().map(escape).collect();
    (!alternatives.is_empty()).then(|| PreTokenizerConfig::Split {
        pattern: PatternConfig::Regex(alternatives.join("|")),
        behavior: SplitBehavior::Isolated,
        invert: false,
    })
}

fn user_defined<'f>(file: &'f ModelFile<'_>) -> impl Iterator<Item = &'f str> {
    file.pieces.iter().filter(|piece| piece.kind == PieceKind::UserDefined).map(|piece| piece.text)
}

/// The text as a regular expression that matches only it.
fn escape(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_punctuation() {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

fn decoder(file: &ModelFile<'_>) -> DecoderConfig {
    let replace = |text: &str, content: &str| DecoderConfig::Replace {
        pattern: PatternConfig::String(text.to_owned()),
        content: content.to_owned(),
    };
    let mut stages = Vec::new();
    if let Some(unknown) = file.pieces.iter().find(|piece| piece.kind == PieceKind::Unknown) {
        stages.push(replace(unknown.text, file.unk_surface));
    }
    if file.escape_whitespaces {
        stages.push(replace(SPACE_SYMBOL, " "));
    }
    if file.byte_fallback {
        stages.push(DecoderConfig::ByteFallback);
    }
    stages.push(DecoderConfig::Fuse);
    if file.add_dummy_prefix || file.remove_extra_whitespaces {
        let suffix = usize::from(file.treat_whitespace_as_suffix);
        stages.push(DecoderConfig::Strip { content: ' ', start: 1 - suffix, stop: suffix });
    }
    DecoderConfig::Sequence(stages)
}

fn unigram(file: &ModelFile<'_>) -> UnigramConfig {
    let mut pieces = StringList::new();
    for piece in &file.pieces {
        if piece.kind == PieceKind::Unused && file.escape_whitespaces {
            // No normalized text has a space, so that this is never found.
            pieces.open().push(' ');
        }
        pieces.open().push_str(piece.text);
        pieces.close();
    }
    UnigramConfig {
        unk_id: file.pieces.iter().position(|piece| piece.kind == PieceKind::Unknown),
        pieces,
        scores: file.pieces.iter().map(|piece| f64::from(piece.score)).collect(),
        byte_fallback: file.byte_fallback,
    }
}

fn bpe(file: &ModelFile<'_>, merges: StringList) -> BpeConfig {
    BpeConfig {
        unk_token: file.pieces.iter().find(|piece| piece.kind == PieceKind::Unknown).map(|piece| piece.text.to_owned()),
        fuse_unk: true,
        byte_fallback: file.byte_fallback,
        // A user-defined symbol is a piece of its own, which no merges make.
        ignore_merges: user_defined(file).next().is_some(),
        vocab: VocabConfig {
            tokens: file.pieces.iter().map(|piece| piece.text).collect(),
            // The vocabulary's limit keeps their number below u32::MAX.
            ids: (0..file.pieces.len() as u32).collect(),
        },
        merges,
        ..BpeConfig::default()
    }
}

/// The merges that make the normal pieces, best score first.
fn merges(file: &ModelFile<'_>) -> Result<StringList> {
    if let Some(id) = file.pieces.iter().position(|piece| piece.kind == PieceKind::Unused) {
        return Err(Error::config(format!("pieces[{id}]"), "unused pieces of a BPE model are not supported"));
    }
    let mut by_score: Vec<_> = file.pieces.iter().filter(|piece| piece.kind == PieceKind::Normal).collect();
    by_score.sort_by(|left, right| right.score.total_cmp(&left.score));
    // Equal scores are equal priorities.
    let mut priorities = HashMap::with_capacity(by_score.len());
    let mut priority = 0_u32;
    let mut last_score = None;
    for piece in &by_score {
        if last_score.is_some_and(|score| score != piece.score) {
            priority += 1;
        }
        last_score = Some(piece.score);
        priorities.insert(piece.text.as_bytes(), priority);
    }
    let mut merges = StringList::new();
    let mut joiner = Joiner::default();
    for piece in by_score {
        let ends = piece.text.char_indices().map(|(start, character)| start + character.len_utf8());
        let split = joiner.last_split(piece.text.as_bytes(), ends, |text| priorities.get(text).copied());
        if let Some((left, right)) = split.and_then(|(left, _)| piece.text.split_at_checked(left.len())) {
            merges.push(left);
            merges.push(right);
        }
    }
    Ok(merges)
}
