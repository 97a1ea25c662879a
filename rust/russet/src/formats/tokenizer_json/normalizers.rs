//! `normalizer`: from its JSON value to its config.
//!
//! A normalizer with a known `type` is read by that type. Any other one (older files have no `type`, and `BertNormalizer` is
//! not among the names that are looked at) is what its fields fit first, in a fixed order; its `type` is then ignored.

use super::node::{array, boolean, fields, object_fields, one_of, string, tagged_value, Node};
use super::typed;
use crate::formats::base64;
use crate::formats::config::{NormalizerConfig, PatternConfig, SentencePieceNormalizer};
use crate::formats::sentencepiece;
use crate::{Error, Result};
use std::sync::Arc;

/// The types that are read by their name.
const TYPES: [&str; 14] = [
    "Bert",
    "Strip",
    "StripAccents",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Sequence",
    "Lowercase",
    "Nmt",
    "Precompiled",
    "Replace",
    "Prepend",
    "ByteLevel",
];

/// The order in which the fields are tried where the type does not tell.
const UNTYPED: [&str; 13] = [
    "Bert",
    "Strip",
    "StripAccents",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Sequence",
    "Lowercase",
    "Nmt",
    "Replace",
    "Prepend",
    "ByteLevel",
];

/// Reads a normalizer.
pub(super) fn normalizer(node: &Node) -> Result<NormalizerConfig> {
    match typed(node, &TYPES) {
        (Some(name), node) => read(&node, name),
        (None, node) => untyped(&node),
    }
}

fn untyped(node: &Node) -> Result<NormalizerConfig> {
    let fitting = UNTYPED.iter().find_map(|name| {
        let named = match *name {
            "Bert" | "Strip" | "Sequence" | "Replace" | "Prepend" => true,
            // These have no fields, so that only their name tells.
            name => is_named(node, name),
        };
        named.then(|| read(node, name).ok()).flatten()
    });
    fitting.ok_or_else(|| no_fit("normalizer", node))
}

/// Whether the value is a part without fields called `name`: an object or array whose only needed field is `type`.
pub(super) fn is_named(node: &Node, name: &str) -> bool {
    fields(node, ["type"]).is_ok_and(|[kind]| kind.required(|node| one_of(node, &[(name, ())])).is_ok())
}

/// The error that neither the type nor the fields of `node` are those of any known `what`.
pub(super) fn no_fit(what: &str, node: &Node) -> Error {
    if !matches!(node, Node::Object(_)) {
        return node.expected(&format!("an object that describes a {what}"));
    }
    match object_fields(node, ["type"]).ok().and_then(|[kind]| kind.optional(string).ok().flatten()) {
        Some(name) => Error::config("type", format!("{name:?} with these fields is not a known {what}")),
        None => Error::config("", format!("the fields are not those of a known {what}, and there is no \"type\"")),
    }
}

/// Reads a normalizer of type `name`.
fn read(node: &Node, name: &str) -> Result<NormalizerConfig> {
    Ok(match name {
        "Bert" => {
            let [clean_text, handle_chinese_chars, strip_accents, lowercase] =
                fields(node, ["clean_text", "handle_chinese_chars", "strip_accents", "lowercase"])?;
            NormalizerConfig::Bert {
                clean_text: clean_text.required(boolean)?,
                handle_chinese_chars: handle_chinese_chars.required(boolean)?,
                strip_accents: strip_accents.optional(boolean)?,
                lowercase: lowercase.required(boolean)?,
            }
        }
        "Strip" => {
            let [strip_left, strip_right] = fields(node, ["strip_left", "strip_right"])?;
            NormalizerConfig::Strip { strip_left: strip_left.required(boolean)?, strip_right: strip_right.required(boolean)? }
        }
        "StripAccents" => NormalizerConfig::StripAccents,
        "NFC" => NormalizerConfig::Nfc,
        "NFD" => NormalizerConfig::Nfd,
        "NFKC" => NormalizerConfig::Nfkc,
        "NFKD" => NormalizerConfig::Nfkd,
        "Sequence" => {
            let [normalizers] = fields(node, ["normalizers"])?;
            let stages = normalizers.required(|node| array(node, normalizer))?;
            match own_settings(node) {
                Some(settings) => {
                    let config = sentencepiece(settings, &stages).map_err(|error| error.under("sentencepiece"))?;
                    NormalizerConfig::SentencePiece(Box::new(config))
                }
                None => NormalizerConfig::Sequence(stages),
            }
        }
        "Lowercase" => NormalizerConfig::Lowercase,
        "Nmt" => NormalizerConfig::Nmt,
        "Precompiled" => {
            let [charsmap] = fields(node, ["precompiled_charsmap"])?;
            NormalizerConfig::Precompiled { charsmap: charsmap.required(charsmap_bytes)? }
        }
        "Replace" => {
            let (pattern, content) = replace(node)?;
            NormalizerConfig::Replace { pattern, content }
        }
        "Prepend" => {
            let [prepend] = fields(node, ["prepend"])?;
            NormalizerConfig::Prepend { prepend: prepend.required(string)? }
        }
        "ByteLevel" => NormalizerConfig::ByteLevel,
        other => return Err(Error::Internal(format!("no reader for a normalizer of type {other:?}"))),
    })
}

/// What a `Sequence` that stands for SentencePiece's own stage has besides its list; the reference ignores it.
pub(super) fn own_settings(node: &Node) -> Option<&Node> {
    object_fields(node, ["sentencepiece"]).ok().and_then(|[settings]| settings.node)
}

/// The normalizer that a list of stages stands for.
fn sentencepiece(settings: &Node, stages: &[NormalizerConfig]) -> Result<SentencePieceNormalizer> {
    let [symbols, add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces, treat_whitespace_as_suffix] = object_fields(
        settings,
        [
            "user_defined_symbols",
            "add_dummy_prefix",
            "remove_extra_whitespaces",
            "escape_whitespaces",
            "treat_whitespace_as_suffix",
        ],
    )?;
    let config = SentencePieceNormalizer {
        charsmap: match stages.first() {
            Some(NormalizerConfig::Precompiled { charsmap }) => charsmap.clone(),
            _ => Arc::default(),
        },
        user_defined_symbols: symbols.required(|node| array(node, string))?.iter().map(String::as_str).collect(),
        add_dummy_prefix: add_dummy_prefix.required(boolean)?,
        remove_extra_whitespaces: remove_extra_whitespaces.required(boolean)?,
        escape_whitespaces: escape_whitespaces.required(boolean)?,
        treat_whitespace_as_suffix: treat_whitespace_as_suffix.required(boolean)?,
    };
    match sentencepiece::normalizers(&config) == stages {
        true => Ok(config),
        false => Err(Error::config("", "the normalizers beside this are not those that it stands for: remove one of the two")),
    }
}

/// The fields of `Replace`, which is a normalizer and a decoder.
pub(super) fn replace(node: &Node) -> Result<(PatternConfig, String)> {
    let [pattern_field, content] = fields(node, ["pattern", "content"])?;
    Ok((pattern_field.required(pattern)?, content.required(string)?))
}

/// `{"String": …}` or `{"Regex": …}`.
pub(super) fn pattern(node: &Node) -> Result<PatternConfig> {
    match tagged_value(node)? {
        ("String", text) => Ok(PatternConfig::String(string(text).map_err(|error| error.under("String"))?)),
        ("Regex", text) => Ok(PatternConfig::Regex(string(text).map_err(|error| error.under("Regex"))?)),
        (other, _) => Err(Error::config("", format!("unknown kind of pattern {other:?} (known: String, Regex)"))),
    }
}

fn charsmap_bytes(node: &Node) -> Result<Arc<Vec<u8>>> {
    let Node::String(text) = node else { return Err(node.expected("a string")) };
    base64::decode(text.as_bytes()).map(Arc::from).ok_or_else(|| Error::config("", "not base64"))
}
