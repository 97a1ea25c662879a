//! Configs as JSON text, equal to what the reference writes: the same keys in the same order, vocabularies by id, merges as pairs.
//!
//! Each part is a serde `Serialize` of a borrowed config; serde_json prints strings and numbers, which both libraries use. Where
//! two tokens share an id, both are written (the reference picks one at random); of a repeated merge only the last counts and
//! is written.

use crate::formats::base64;
use crate::formats::config::*;
use crate::formats::sentencepiece;
use crate::formats::tokenizer_json::UNUSED_MARK;
use crate::padding::{Padding, PaddingDirection, PaddingStrategy};
use crate::truncation::{Truncation, TruncationDirection, TruncationStrategy};
use crate::StringList;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};
use std::collections::{HashMap, HashSet};

/// Writes a whole file.
pub fn write_json(config: &Config, pretty: bool) -> String {
    text(&Json(config), pretty)
}

/// Writes a `model` alone.
pub fn write_model(config: &ModelConfig, pretty: bool) -> String {
    text(&Json(config), pretty)
}

/// Writes a `normalizer` alone.
pub fn write_normalizer(config: &NormalizerConfig, pretty: bool) -> String {
    text(&Json(config), pretty)
}

/// Writes a `pre_tokenizer` alone.
pub fn write_pre_tokenizer(config: &PreTokenizerConfig, pretty: bool) -> String {
    text(&Json(config), pretty)
}

/// Writes a `post_processor` alone.
pub fn write_post_processor(config: &PostProcessorConfig, pretty: bool) -> String {
    text(&Json(config), pretty)
}

/// Writes a `decoder` alone.
pub fn write_decoder(config: &DecoderConfig, pretty: bool) -> String {
    text(&Json(config), pretty)
}

fn text(value: &impl Serialize, pretty: bool) -> String {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    // All keys are strings and memory does not fail, so serde_json has nothing to report.
    text.unwrap_or_else(|error| unreachable!("writing JSON to memory: {error}"))
}

/// Something to write as the reference does.
struct Json<T>(T);

/// Writes a struct: its `type` if there is one, then the fields in order, and last those that are there only if
/// a condition holds.
macro_rules! object {
    ($serializer:expr $(, type $kind:literal)? $(, $field:literal: $value:expr)* $(; if $holds:expr, $last:literal: $last_value:expr)*) => {{
        // serde_json only wants to know whether there are fields.
        let mut object = $serializer.serialize_struct("", 1)?;
        $(object.serialize_field("type", $kind)?;)?
        $(object.serialize_field($field, $value)?;)*
        $(if $holds {
            object.serialize_field($last, $last_value)?;
        })*
        object.end()
    }};
}

impl Serialize for Json<&Config> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let config = self.0;
        let mut added_tokens: Vec<_> = config.added_tokens.iter().map(Json).collect();
        added_tokens.sort_by_key(|Json(token)| token.id);
        object!(serializer,
            "version": "1.0",
            "truncation": &config.truncation.as_ref().map(Json),
            "padding": &config.padding.as_ref().map(Json),
            "added_tokens": &added_tokens,
            "normalizer": &config.normalizer.as_ref().map(Json),
            "pre_tokenizer": &config.pre_tokenizer.as_ref().map(Json),
            "post_processor": &config.post_processor.as_ref().map(Json),
            "decoder": &config.decoder.as_ref().map(Json),
            "model": &Json(&config.model)
        )
    }
}

impl Serialize for Json<&Truncation> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let direction = match self.0.direction {
            TruncationDirection::Left => "Left",
            TruncationDirection::Right => "Right",
        };
        let strategy = match self.0.strategy {
            TruncationStrategy::LongestFirst => "LongestFirst",
            TruncationStrategy::OnlyFirst => "OnlyFirst",
            TruncationStrategy::OnlySecond => "OnlySecond",
        };
        object!(serializer,
            "direction": direction, "max_length": &self.0.max_length, "strategy": strategy, "stride": &self.0.stride)
    }
}

impl Serialize for Json<&Padding> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let direction = match self.0.direction {
            PaddingDirection::Left => "Left",
            PaddingDirection::Right => "Right",
        };
        object!(serializer,
            "strategy": &Json(self.0.strategy),
            "direction": direction,
            "pad_to_multiple_of": &self.0.pad_to_multiple_of,
            "pad_id": &self.0.pad_id,
            "pad_type_id": &self.0.pad_type_id,
            "pad_token": &self.0.pad_token
        )
    }
}

impl Serialize for Json<PaddingStrategy> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            PaddingStrategy::BatchLongest => serializer.serialize_str("BatchLongest"),
            PaddingStrategy::Fixed(length) => object!(serializer, "Fixed": &length),
        }
    }
}

impl Serialize for Json<&AddedTokenConfig> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let token = &self.0.token;
        object!(serializer,
            "id": &self.0.id,
            "content": &token.content,
            "single_word": &token.single_word,
            "lstrip": &token.lstrip,
            "rstrip": &token.rstrip,
            "normalized": &token.normalized,
            "special": &token.special
        )
    }
}

impl Serialize for Json<&PatternConfig> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            PatternConfig::String(text) => object!(serializer, "String": text),
            PatternConfig::Regex(text) => object!(serializer, "Regex": text),
        }
    }
}

/// The same list, each element to be written.
fn each<T>(list: &[T]) -> Vec<Json<&T>> {
    list.iter().map(Json).collect()
}

impl Serialize for Json<&NormalizerConfig> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            NormalizerConfig::Bert { clean_text, handle_chinese_chars, strip_accents, lowercase } => object!(serializer,
                type "BertNormalizer",
                "clean_text": clean_text,
                "handle_chinese_chars": handle_chinese_chars,
                "strip_accents": strip_accents,
                "lowercase": lowercase
            ),
            NormalizerConfig::Strip { strip_left, strip_right } => {
                object!(serializer, type "Strip", "strip_left": strip_left, "strip_right": strip_right)
            }
            NormalizerConfig::StripAccents => object!(serializer, type "StripAccents"),
            NormalizerConfig::Nfc => object!(serializer, type "NFC"),
            NormalizerConfig::Nfd => object!(serializer, type "NFD"),
            NormalizerConfig::Nfkc => object!(serializer, type "NFKC"),
            NormalizerConfig::Nfkd => object!(serializer, type "NFKD"),
            NormalizerConfig::Sequence(list) => object!(serializer, type "Sequence", "normalizers": &each(list)),
            NormalizerConfig::Lowercase => object!(serializer, type "Lowercase"),
            NormalizerConfig::Nmt => object!(serializer, type "Nmt"),
            NormalizerConfig::Precompiled { charsmap } => {
                object!(serializer, type "Precompiled", "precompiled_charsmap": &base64::encode(charsmap))
            }
            NormalizerConfig::Replace { pattern, content } => {
                object!(serializer, type "Replace", "pattern": &Json(pattern), "content": content)
            }
            NormalizerConfig::Prepend { prepend } => object!(serializer, type "Prepend", "prepend": prepend),
            NormalizerConfig::ByteLevel => object!(serializer, type "ByteLevel"),
            NormalizerConfig::SentencePiece(config) => object!(serializer,
                type "Sequence",
                "normalizers": &each(&sentencepiece::normalizers(config)),
                "sentencepiece": &Json(&**config)
            ),
        }
    }
}

/// The settings without the charsmap, which is the first of the stages beside them.
impl Serialize for Json<&SentencePieceNormalizer> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let config = self.0;
        object!(serializer,
            "user_defined_symbols": &config.user_defined_symbols.iter().collect::<Vec<_>>(),
            "add_dummy_prefix": &config.add_dummy_prefix,
            "remove_extra_whitespaces": &config.remove_extra_whitespaces,
            "escape_whitespaces": &config.escape_whitespaces,
            "treat_whitespace_as_suffix": &config.treat_whitespace_as_suffix
        )
    }
}

impl Serialize for Json<&SplitBehavior> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self.0 {
            SplitBehavior::Removed => "Removed",
            SplitBehavior::Isolated => "Isolated",
            SplitBehavior::MergedWithPrevious => "MergedWithPrevious",
            SplitBehavior::MergedWithNext => "MergedWithNext",
            SplitBehavior::Contiguous => "Contiguous",
        })
    }
}

impl Serialize for Json<&PrependScheme> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self.0 {
            PrependScheme::First => "first",
            PrependScheme::Never => "never",
            PrependScheme::Always => "always",
        })
    }
}

impl Serialize for Json<&PreTokenizerConfig> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            PreTokenizerConfig::Bert => object!(serializer, type "BertPreTokenizer"),
            PreTokenizerConfig::ByteLevel { add_prefix_space, trim_offsets, use_regex } => object!(serializer,
                type "ByteLevel",
                "add_prefix_space": add_prefix_space,
                "trim_offsets": trim_offsets,
                "use_regex": use_regex
            ),
            PreTokenizerConfig::Delimiter { delimiter } => {
                object!(serializer, type "CharDelimiterSplit", "delimiter": delimiter)
            }
            PreTokenizerConfig::Metaspace { replacement, prepend_scheme, split } => object!(serializer,
                type "Metaspace",
                "replacement": replacement,
                "prepend_scheme": &Json(prepend_scheme),
                "split": split
            ),
            PreTokenizerConfig::Whitespace => object!(serializer, type "Whitespace"),
            PreTokenizerConfig::Sequence(list) => object!(serializer, type "Sequence", "pretokenizers": &each(list)),
            PreTokenizerConfig::Split { pattern, behavior, invert } => object!(serializer,
                type "Split",
                "pattern": &Json(pattern),
                "behavior": &Json(behavior),
                "invert": invert
            ),
            PreTokenizerConfig::Punctuation { behavior } => {
                object!(serializer, type "Punctuation", "behavior": &Json(behavior))
            }
            PreTokenizerConfig::WhitespaceSplit => object!(serializer, type "WhitespaceSplit"),
            PreTokenizerConfig::Digits { individual_digits } => {
                object!(serializer, type "Digits", "individual_digits": individual_digits)
            }
            PreTokenizerConfig::UnicodeScripts => object!(serializer, type "UnicodeScripts"),
            PreTokenizerConfig::FixedLength { length } => object!(serializer, type "FixedLength", "length": length),
        }
    }
}

impl Serialize for Json<&TemplatePiece> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// The inside of either kind.
        struct Inside<'a>(&'a str, &'a u32);
        impl Serialize for Inside<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                object!(serializer, "id": self.0, "type_id": self.1)
            }
        }
        match self.0 {
            TemplatePiece::Sequence { second, type_id } => {
                object!(serializer, "Sequence": &Inside(if *second { "B" } else { "A" }, type_id))
            }
            TemplatePiece::SpecialToken { id, type_id } => object!(serializer, "SpecialToken": &Inside(id, type_id)),
        }
    }
}

impl Serialize for Json<&TemplateSpecialToken> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        object!(serializer, "id": &self.0.id, "ids": &self.0.ids, "tokens": &self.0.tokens)
    }
}

/// Special tokens by name.
struct ByName<'a>(&'a [TemplateSpecialToken]);

impl Serialize for ByName<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tokens: Vec<_> = self.0.iter().collect();
        tokens.sort_by_key(|token| &token.id);
        serializer.collect_map(tokens.into_iter().map(|token| (&token.id, Json(token))))
    }
}

impl Serialize for Json<&PostProcessorConfig> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            PostProcessorConfig::Roberta { sep, cls, trim_offsets, add_prefix_space } => object!(serializer,
                type "RobertaProcessing",
                "sep": sep,
                "cls": cls,
                "trim_offsets": trim_offsets,
                "add_prefix_space": add_prefix_space
            ),
            PostProcessorConfig::Bert { sep, cls } => object!(serializer, type "BertProcessing", "sep": sep, "cls": cls),
            PostProcessorConfig::ByteLevel { add_prefix_space, trim_offsets, use_regex } => object!(serializer,
                type "ByteLevel",
                "add_prefix_space": add_prefix_space,
                "trim_offsets": trim_offsets,
                "use_regex": use_regex
            ),
            PostProcessorConfig::Template { single, pair, special_tokens } => object!(serializer,
                type "TemplateProcessing",
                "single": &each(single),
                "pair": &each(pair),
                "special_tokens": &ByName(special_tokens)
            ),
            PostProcessorConfig::Sequence(list) => object!(serializer, type "Sequence", "processors": &each(list)),
        }
    }
}

impl Serialize for Json<&DecoderConfig> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            DecoderConfig::Bpe { suffix } => object!(serializer, type "BPEDecoder", "suffix": suffix),
            DecoderConfig::ByteLevel { add_prefix_space, trim_offsets, use_regex } => object!(serializer,
                type "ByteLevel",
                "add_prefix_space": add_prefix_space,
                "trim_offsets": trim_offsets,
                "use_regex": use_regex
            ),
            DecoderConfig::WordPiece { prefix, cleanup } => {
                object!(serializer, type "WordPiece", "prefix": prefix, "cleanup": cleanup)
            }
            DecoderConfig::Metaspace { replacement, prepend_scheme, split } => object!(serializer,
                type "Metaspace",
                "replacement": replacement,
                "prepend_scheme": &Json(prepend_scheme),
                "split": split
            ),
            DecoderConfig::Ctc { pad_token, word_delimiter_token, cleanup } => object!(serializer,
                type "CTC",
                "pad_token": pad_token,
                "word_delimiter_token": word_delimiter_token,
                "cleanup": cleanup
            ),
            DecoderConfig::Sequence(list) => object!(serializer, type "Sequence", "decoders": &each(list)),
            DecoderConfig::Replace { pattern, content } => {
                object!(serializer, type "Replace", "pattern": &Json(pattern), "content": content)
            }
            DecoderConfig::Fuse => object!(serializer, type "Fuse"),
            DecoderConfig::Strip { content, start, stop } => {
                object!(serializer, type "Strip", "content": content, "start": start, "stop": stop)
            }
            DecoderConfig::ByteFallback => object!(serializer, type "ByteFallback"),
            DecoderConfig::SentencePiece(config) => object!(serializer,
                type "Sequence",
                "decoders": &each(&sentencepiece::decoders(config)),
                "sentencepiece": &Json(&**config)
            ),
        }
    }
}

impl Serialize for Json<&SentencePieceDecoder> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let config = self.0;
        let denormalizer = config.denormalizer.clone().map(|config| NormalizerConfig::SentencePiece(Box::new(config)));
        object!(serializer,
            "unknown": &config.unknown,
            "unk_surface": &config.unk_surface,
            "byte_fallback": &config.byte_fallback,
            "add_dummy_prefix": &config.add_dummy_prefix,
            "remove_extra_whitespaces": &config.remove_extra_whitespaces,
            "denormalizer": &denormalizer.as_ref().map(Json)
        )
    }
}

impl Serialize for Json<&ModelConfig> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            ModelConfig::Bpe(bpe) => object!(serializer,
                type "BPE",
                "dropout": &bpe.dropout,
                "unk_token": &bpe.unk_token,
                "continuing_subword_prefix": &bpe.continuing_subword_prefix,
                "end_of_word_suffix": &bpe.end_of_word_suffix,
                "fuse_unk": &bpe.fuse_unk,
                "byte_fallback": &bpe.byte_fallback,
                "ignore_merges": &bpe.ignore_merges,
                "vocab": &Json(&bpe.vocab),
                "merges": &Merges(&bpe.merges);
                if !bpe.unreachable.is_empty(), "unreachable": &bpe.unreachable;
                if bpe.scored.is_some(), "sentencepiece": &bpe.scored.as_ref().map(Json)
            ),
            ModelConfig::WordPiece(word_piece) => object!(serializer,
                type "WordPiece",
                "unk_token": &word_piece.unk_token,
                "continuing_subword_prefix": &word_piece.continuing_subword_prefix,
                "max_input_chars_per_word": &word_piece.max_input_chars_per_word,
                "vocab": &Json(&word_piece.vocab)
            ),
            ModelConfig::WordLevel(word_level) => object!(serializer,
                type "WordLevel",
                "vocab": &Json(&word_level.vocab),
                "unk_token": &word_level.unk_token
            ),
            ModelConfig::Unigram(unigram) => object!(serializer,
                type "Unigram",
                "unk_id": &unigram.unk_id,
                "vocab": &Pieces(unigram),
                "byte_fallback": &unigram.byte_fallback;
                if unigram.sentencepiece.is_some(), "sentencepiece": &unigram.sentencepiece.as_ref().map(Json)
            ),
        }
    }
}

impl Serialize for Json<&VocabConfig> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries: Vec<(u32, &str)> = self.0.ids.iter().copied().zip(self.0.tokens.iter()).collect();
        entries.sort_by_key(|(id, _)| *id);
        let mut map = serializer.serialize_map(Some(entries.len()))?;
        for (id, token) in entries {
            map.serialize_entry(token, &id)?;
        }
        map.end()
    }
}

/// Unigram's pieces with their scores. What is not used gets another name, which the reference hardly finds in a text.
struct Pieces<'a>(&'a UnigramConfig);

impl Serialize for Pieces<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let UnigramConfig { pieces, scores, sentencepiece, .. } = self.0;
        let unused: HashSet<u32> = sentencepiece.iter().flat_map(|rules| rules.unused.iter().copied()).collect();
        let mut list = serializer.serialize_seq(Some(pieces.len()))?;
        for ((id, piece), score) in (0..).zip(pieces.iter()).zip(scores) {
            match unused.contains(&id) {
                true => list.serialize_element(&(format!("{UNUSED_MARK}{piece}"), score))?,
                false => list.serialize_element(&(piece, score))?,
            }
        }
        list.end()
    }
}

impl Serialize for Json<&ScoredMerges> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        object!(serializer, "scores": &self.0.scores, "unused": &self.0.unused)
    }
}

impl Serialize for Json<&SentencePieceUnigram> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rules = self.0;
        object!(serializer, "unk_score": &rules.unk_score, "reserved": &rules.reserved, "unused": &rules.unused)
    }
}

/// Merges as pairs.
struct Merges<'a>(&'a StringList);

impl Serialize for Merges<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pairs = || self.0.iter().step_by(2).zip(self.0.iter().skip(1).step_by(2));
        let last: HashMap<(&str, &str), usize> = pairs().enumerate().map(|(rank, pair)| (pair, rank)).collect();
        let mut list = serializer.serialize_seq(Some(last.len()))?;
        for (rank, pair) in pairs().enumerate() {
            if last.get(&pair) == Some(&rank) {
                list.serialize_element(&pair)?;
            }
        }
        list.end()
    }
}
