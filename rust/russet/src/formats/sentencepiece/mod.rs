//! SentencePiece's `.model` files: Unigram, BPE and character models, for the ids and the text of SentencePiece 0.2.3.
//!
//! The whole text is normalized in one step, as SentencePiece does it, and so is decoding. A Unigram model keeps SentencePiece's
//! rules: sums in single precision, the score of user-defined symbols, pieces that no text has. For BPE, user-defined symbols
//! are cut out before the model, so that nothing joins across them, and merges are found from the scores, one per piece (see
//! [`Joiner`]); where merges do not say the same, scores are used as they are. No special tokens are put around a text, as in `encode`.
//!
//! Control symbols and the unknown piece become special tokens: they are found in a text, as in the file that `transformers`
//! converts, and with `split_special_tokens` they are ordinary text, as in SentencePiece.
//!
//! What tokenizer.json has no words for is written in keys that only this crate reads, beside the nearest that the reference
//! can do.
//!
//! Word models are refused: their adjacent unknown words are one token. O(n log n) for a BPE piece of n characters.

mod proto;
mod stages;

use super::config::{
    AddedTokenConfig, BpeConfig, Config, DecoderConfig, ModelConfig, NormalizerConfig, PatternConfig, PreTokenizerConfig,
    ScoredMerges, SentencePieceDecoder, SentencePieceNormalizer, SentencePieceUnigram, SplitBehavior, UnigramConfig, VocabConfig,
};
use super::joiner::Joiner;
use super::limits::Limits;
use crate::added_tokens::AddedToken;
use crate::{Error, Result, StringList};
use proto::{ModelFile, ModelKind, NormalizerSpec, Piece, PieceKind};
use std::collections::{HashMap, HashSet};

pub(super) use proto::begins_like_a_model;
pub(super) use stages::{decoders, normalizers};

/// What stands for a space.
const SPACE_SYMBOL: &str = "\u{2581}";

/// How much worse an unknown character is than the worst normal piece.
const UNK_PENALTY: f32 = 10.0;

/// Reads a SentencePiece model.
///
/// Fails with the byte or the piece where the file is broken or holds what cannot be expressed, such as a word model.
pub fn from_sentencepiece(bytes: &[u8]) -> Result<Config> {
    from_sentencepiece_within(bytes, &Limits::default())
}

/// [`from_sentencepiece`] with limits.
pub(super) fn from_sentencepiece_within(bytes: &[u8], limits: &Limits) -> Result<Config> {
    let file = ModelFile::read(bytes, limits)?;
    let (model, pre_tokenizer) = match file.kind {
        ModelKind::Unigram => (ModelConfig::Unigram(unigram(&file)), None),
        ModelKind::Bpe => (ModelConfig::Bpe(bpe(&file, true)), user_defined_split(&file)),
        ModelKind::Char => (ModelConfig::Bpe(bpe(&file, false)), user_defined_split(&file)),
        ModelKind::Word => return Err(Error::config("trainer_spec.model_type", "word models are not supported")),
    };
    Ok(Config {
        truncation: None,
        padding: None,
        added_tokens: special_tokens(&file),
        normalizer: Some(NormalizerConfig::SentencePiece(Box::new(normalizer(&file)))),
        pre_tokenizer,
        post_processor: None,
        decoder: Some(DecoderConfig::SentencePiece(Box::new(decoder(&file)))),
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

fn normalizer(file: &ModelFile<'_>) -> SentencePieceNormalizer {
    let mut symbols: Vec<&str> = user_defined(file).collect();
    symbols.sort_by_key(|symbol| std::cmp::Reverse(symbol.len()));
    SentencePieceNormalizer {
        user_defined_symbols: symbols.into_iter().collect(),
        treat_whitespace_as_suffix: file.treat_whitespace_as_suffix,
        ..normalizer_of(&file.normalizer)
    }
}

fn normalizer_of(spec: &NormalizerSpec<'_>) -> SentencePieceNormalizer {
    SentencePieceNormalizer {
        charsmap: spec.charsmap.to_vec().into(),
        add_dummy_prefix: spec.add_dummy_prefix,
        remove_extra_whitespaces: spec.remove_extra_whitespaces,
        escape_whitespaces: spec.escape_whitespaces,
        ..SentencePieceNormalizer::default()
    }
}

/// Cuts user-defined symbols out, the longest first.
fn user_defined_split(file: &ModelFile<'_>) -> Option<PreTokenizerConfig> {
    let alternatives: Vec<String> = normalizer(file).user_defined_symbols.iter().map(escape).collect();
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

fn decoder(file: &ModelFile<'_>) -> SentencePieceDecoder {
    SentencePieceDecoder {
        unknown: unknown(file).map_or_else(String::new, |(_, piece)| piece.text.to_owned()),
        unk_surface: file.unk_surface.to_owned(),
        byte_fallback: file.byte_fallback,
        add_dummy_prefix: file.normalizer.add_dummy_prefix,
        remove_extra_whitespaces: file.normalizer.remove_extra_whitespaces,
        denormalizer: Some(&file.denormalizer).filter(|spec| !spec.charsmap.is_empty()).map(normalizer_of),
    }
}

fn unknown<'f>(file: &'f ModelFile<'_>) -> Option<(usize, &'f Piece<'f>)> {
    file.pieces.iter().enumerate().find(|(_, piece)| piece.kind == PieceKind::Unknown)
}

/// The ids of the pieces of some kinds.
fn ids_of(file: &ModelFile<'_>, kinds: &[PieceKind]) -> Vec<u32> {
    // The vocabulary's limit keeps their number below u32::MAX.
    (0..).zip(&file.pieces).filter(|(_, piece)| kinds.contains(&piece.kind)).map(|(id, _)| id).collect()
}

/// The kinds of pieces that stand for something else than their text.
const RESERVED: [PieceKind; 3] = [PieceKind::Unknown, PieceKind::Control, PieceKind::Byte];

fn unigram(file: &ModelFile<'_>) -> UnigramConfig {
    let score = |piece: &Piece<'_>| match piece.kind {
        // So that a symbol is found wherever it can be, and a long one before short ones. In SentencePiece's own precision.
        PieceKind::UserDefined => (0.1 * (piece.text.len() as f64 - 1.0)) as f32,
        _ => piece.score,
    };
    let normal = file.pieces.iter().filter(|piece| piece.kind == PieceKind::Normal);
    UnigramConfig {
        unk_id: unknown(file).map(|(id, _)| id),
        pieces: file.pieces.iter().map(|piece| piece.text).collect(),
        scores: file.pieces.iter().map(|piece| f64::from(score(piece))).collect(),
        byte_fallback: file.byte_fallback,
        sentencepiece: Some(SentencePieceUnigram {
            unk_score: normal.map(|piece| piece.score).fold(f32::MAX, f32::min) - UNK_PENALTY,
            reserved: ids_of(file, &RESERVED),
            unused: ids_of(file, &[PieceKind::Unused]),
        }),
    }
}

/// A model of pieces that are joined by score, or, without `joins`, of characters.
fn bpe(file: &ModelFile<'_>, joins: bool) -> BpeConfig {
    let Merges { merges, are_exact } = if joins { merges(file) } else { Merges { merges: StringList::new(), are_exact: true } };
    let parts: Vec<&str> = merges.iter().collect();
    let made: HashSet<String> = parts.chunks(2).map(<[&str]>::concat).collect();
    // A user-defined symbol is a piece of its own, which no merges make.
    let ignore_merges = user_defined(file).next().is_some();
    // Only a character, or a whole piece, could be mistaken for one that SentencePiece does not find.
    let is_in_the_way = |piece: &Piece<'_>| match (piece.kind, piece.text.chars().nth(1).is_none()) {
        (PieceKind::UserDefined, _) => false,
        (PieceKind::Normal, true) => ignore_merges && !are_exact,
        (PieceKind::Normal, false) => ignore_merges && !(are_exact && made.contains(piece.text)),
        (_, is_character) => ignore_merges || is_character,
    };
    BpeConfig {
        unk_token: unknown(file).map(|(_, piece)| piece.text.to_owned()),
        fuse_unk: true,
        byte_fallback: file.byte_fallback,
        ignore_merges,
        unreachable: (0..).zip(&file.pieces).filter(|(_, piece)| is_in_the_way(piece)).map(|(id, _)| id).collect(),
        vocab: VocabConfig {
            tokens: file.pieces.iter().map(|piece| piece.text).collect(),
            ids: (0..file.pieces.len() as u32).collect(),
        },
        merges,
        scored: (!are_exact).then(|| ScoredMerges {
            scores: file.pieces.iter().map(|piece| may_be_joined(piece).then_some(piece.score)).collect(),
            unused: ids_of(file, &[PieceKind::Unused]),
        }),
        ..BpeConfig::default()
    }
}

/// Whether SentencePiece's BPE finds the piece. What is not used is found too, and taken apart at the end.
fn may_be_joined(piece: &Piece<'_>) -> bool {
    match piece.kind {
        PieceKind::Normal | PieceKind::UserDefined => true,
        PieceKind::Unused => piece.text != "\0",
        PieceKind::Unknown | PieceKind::Control | PieceKind::Byte => false,
    }
}

/// The merges that make the pieces, best score first.
struct Merges {
    merges: StringList,
    /// Whether they do the same as the scores. Else several pieces have one score, of which SentencePiece joins the leftmost;
    /// or a piece is joined from parts that are none; or some are taken apart again.
    are_exact: bool,
}

fn merges(file: &ModelFile<'_>) -> Merges {
    let is_joined = |piece: &&Piece<'_>| may_be_joined(piece) && piece.kind != PieceKind::UserDefined;
    let mut by_score: Vec<_> = file.pieces.iter().filter(is_joined).collect();
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
    let mut found = Merges { merges: StringList::new(), are_exact: by_score.iter().all(|piece| piece.kind == PieceKind::Normal) };
    let mut joiner = Joiner::default();
    let mut last_score = None;
    for piece in by_score {
        let ends = piece.text.char_indices().map(|(start, character)| start + character.len_utf8());
        let split = joiner.last_split(piece.text.as_bytes(), ends, |text| priorities.get(text).copied());
        let Some((left, right)) = split.and_then(|(left, _)| piece.text.split_at_checked(left.len())) else { continue };
        found.are_exact &= last_score.replace(piece.score) != Some(piece.score);
        match [left, right].iter().all(|part| priorities.contains_key(part.as_bytes())) {
            true => [left, right].into_iter().for_each(|part| found.merges.push(part)),
            false => found.are_exact = false,
        }
    }
    found
}
