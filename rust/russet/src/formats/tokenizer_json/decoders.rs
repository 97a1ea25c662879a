//! `decoder`: from its JSON value to its config. A known `type` decides; a part without one is what its fields fit first.

use super::node::{array, boolean, character, fields, object_fields, size, string, Node};
use super::normalizers::{is_named, no_fit, normalizer, own_settings, replace};
use super::pre_tokenizers::{byte_level, metaspace};
use super::{is_type, typed};
use crate::formats::config::{DecoderConfig, NormalizerConfig, SentencePieceDecoder};
use crate::formats::sentencepiece;
use crate::{Error, Result};

/// The types that are read by their name, in the order in which the fields are tried where the type does not tell.
const TYPES: [&str; 10] =
    ["BPEDecoder", "ByteLevel", "WordPiece", "Metaspace", "CTC", "Sequence", "Replace", "Fuse", "Strip", "ByteFallback"];

/// Reads a decoder.
pub(super) fn decoder(node: &Node) -> Result<DecoderConfig> {
    match typed(node, &TYPES) {
        (Some(name), node) => read(&node, name),
        (None, node) => untyped(&node),
    }
}

fn untyped(node: &Node) -> Result<DecoderConfig> {
    TYPES.iter().find_map(|name| read(node, name).ok()).ok_or_else(|| no_fit("decoder", node))
}

fn read(node: &Node, name: &str) -> Result<DecoderConfig> {
    let without_fields = |config| if is_named(node, name) { Ok(config) } else { Err(no_fit("decoder", node)) };
    match name {
        "Fuse" => without_fields(DecoderConfig::Fuse),
        "ByteFallback" => without_fields(DecoderConfig::ByteFallback),
        "BPEDecoder" => {
            let [suffix] = fields(node, ["suffix"])?;
            Ok(DecoderConfig::Bpe { suffix: suffix.required(string)? })
        }
        "ByteLevel" => {
            let (add_prefix_space, trim_offsets, use_regex) = byte_level(node)?;
            Ok(DecoderConfig::ByteLevel { add_prefix_space, trim_offsets, use_regex })
        }
        "WordPiece" => {
            let [prefix, cleanup] = fields(node, ["prefix", "cleanup"])?;
            Ok(DecoderConfig::WordPiece { prefix: prefix.required(string)?, cleanup: cleanup.required(boolean)? })
        }
        "Metaspace" => {
            let (replacement, prepend_scheme, split) = metaspace(node)?;
            Ok(DecoderConfig::Metaspace { replacement, prepend_scheme, split })
        }
        "CTC" => {
            let [pad_token, word_delimiter_token, cleanup] = fields(node, ["pad_token", "word_delimiter_token", "cleanup"])?;
            Ok(DecoderConfig::Ctc {
                pad_token: pad_token.required(string)?,
                word_delimiter_token: word_delimiter_token.required(string)?,
                cleanup: cleanup.required(boolean)?,
            })
        }
        "Sequence" => {
            is_type(node, name)?;
            let [decoders] = object_fields(node, ["decoders"])?;
            let stages = decoders.required(|node| array(node, decoder))?;
            match own_settings(node) {
                Some(settings) => {
                    let config = sentencepiece(settings, &stages).map_err(|error| error.under("sentencepiece"))?;
                    Ok(DecoderConfig::SentencePiece(Box::new(config)))
                }
                None => Ok(DecoderConfig::Sequence(stages)),
            }
        }
        "Replace" => {
            let (pattern, content) = replace(node)?;
            Ok(DecoderConfig::Replace { pattern, content })
        }
        "Strip" => {
            let [content, start, stop] = fields(node, ["content", "start", "stop"])?;
            Ok(DecoderConfig::Strip {
                content: content.required(character)?,
                start: start.required(size)?,
                stop: stop.required(size)?,
            })
        }
        other => Err(Error::Internal(format!("no reader for a decoder of type {other:?}"))),
    }
}

/// The decoder that a list of stages stands for.
fn sentencepiece(settings: &Node, stages: &[DecoderConfig]) -> Result<SentencePieceDecoder> {
    let [unknown, unk_surface, byte_fallback, add_dummy_prefix, remove_extra_whitespaces, denormalizer] = object_fields(
        settings,
        ["unknown", "unk_surface", "byte_fallback", "add_dummy_prefix", "remove_extra_whitespaces", "denormalizer"],
    )?;
    let config = SentencePieceDecoder {
        unknown: unknown.required(string)?,
        unk_surface: unk_surface.required(string)?,
        byte_fallback: byte_fallback.required(boolean)?,
        add_dummy_prefix: add_dummy_prefix.required(boolean)?,
        remove_extra_whitespaces: remove_extra_whitespaces.required(boolean)?,
        denormalizer: denormalizer.optional(|node| match normalizer(node)? {
            NormalizerConfig::SentencePiece(config) => Ok(*config),
            _ => Err(node.expected("SentencePiece's normalizer")),
        })?,
    };
    match sentencepiece::decoders(&config) == stages {
        true => Ok(config),
        false => Err(Error::config("", "the decoders beside this are not those that it stands for: remove one of the two")),
    }
}
