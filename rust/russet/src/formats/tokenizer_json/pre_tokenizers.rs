//! `pre_tokenizer`: from its JSON value to its config.
//!
//! As for normalizers, a known `type` decides, and a part without one is what its fields fit first; but nearly all
//! pre-tokenizers insist on their `type`, so that an unknown one is refused.

use super::node::{array, boolean, character, fields, object_fields, one_of, size, string, Node};
use super::normalizers::{is_named, no_fit, pattern};
use super::{is_type, typed};
use crate::formats::config::{PreTokenizerConfig, PrependScheme, SplitBehavior};
use crate::{Error, Result};

/// The types that are read by their name.
const TYPES: [&str; 11] = [
    "BertPreTokenizer",
    "ByteLevel",
    "Metaspace",
    "Whitespace",
    "Sequence",
    "Split",
    "Punctuation",
    "WhitespaceSplit",
    "Digits",
    "UnicodeScripts",
    "FixedLength",
];

/// The order in which the fields are tried where the type does not tell.
const UNTYPED: [&str; 12] = [
    "BertPreTokenizer",
    "ByteLevel",
    "CharDelimiterSplit",
    "Metaspace",
    "Whitespace",
    "Sequence",
    "Split",
    "Punctuation",
    "WhitespaceSplit",
    "Digits",
    "UnicodeScripts",
    "FixedLength",
];

/// Reads a pre-tokenizer.
pub(super) fn pre_tokenizer(node: &Node) -> Result<PreTokenizerConfig> {
    match typed(node, &TYPES) {
        (Some(name), node) => read(&node, name),
        (None, node) => untyped(&node),
    }
}

fn untyped(node: &Node) -> Result<PreTokenizerConfig> {
    UNTYPED.iter().find_map(|name| read(node, name).ok()).ok_or_else(|| no_fit("pre-tokenizer", node))
}

fn read(node: &Node, name: &str) -> Result<PreTokenizerConfig> {
    let without_fields = |config| if is_named(node, name) { Ok(config) } else { Err(no_fit("pre-tokenizer", node)) };
    match name {
        "BertPreTokenizer" => without_fields(PreTokenizerConfig::Bert),
        "Whitespace" => without_fields(PreTokenizerConfig::Whitespace),
        "WhitespaceSplit" => without_fields(PreTokenizerConfig::WhitespaceSplit),
        "UnicodeScripts" => without_fields(PreTokenizerConfig::UnicodeScripts),
        "ByteLevel" => {
            let (add_prefix_space, trim_offsets, use_regex) = byte_level(node)?;
            Ok(PreTokenizerConfig::ByteLevel { add_prefix_space, trim_offsets, use_regex })
        }
        "CharDelimiterSplit" => {
            is_type(node, name)?;
            let [delimiter] = object_fields(node, ["delimiter"])?;
            Ok(PreTokenizerConfig::Delimiter { delimiter: delimiter.required(character)? })
        }
        "Metaspace" => {
            let (replacement, prepend_scheme, split) = metaspace(node)?;
            Ok(PreTokenizerConfig::Metaspace { replacement, prepend_scheme, split })
        }
        "Sequence" => {
            is_type(node, name)?;
            let [items] = object_fields(node, ["pretokenizers"])?;
            Ok(PreTokenizerConfig::Sequence(items.required(|node| array(node, pre_tokenizer))?))
        }
        "Split" => {
            let [kind, pattern_field, behavior, invert] = fields(node, ["type", "pattern", "behavior", "invert"])?;
            kind.required(|node| one_of(node, &[("Split", ())]))?;
            Ok(PreTokenizerConfig::Split {
                pattern: pattern_field.required(pattern)?,
                behavior: behavior.required(split_behavior)?,
                invert: invert.required(boolean)?,
            })
        }
        "Punctuation" => {
            is_type(node, name)?;
            let [behavior] = object_fields(node, ["behavior"])?;
            Ok(PreTokenizerConfig::Punctuation { behavior: behavior.or(SplitBehavior::Isolated, split_behavior)? })
        }
        "Digits" => {
            is_type(node, name)?;
            let [individual_digits] = object_fields(node, ["individual_digits"])?;
            Ok(PreTokenizerConfig::Digits { individual_digits: individual_digits.required(boolean)? })
        }
        "FixedLength" => {
            is_type(node, name)?;
            let [length] = object_fields(node, ["length"])?;
            Ok(PreTokenizerConfig::FixedLength { length: length.or(5, size)? })
        }
        other => Err(Error::Internal(format!("no reader for a pre-tokenizer of type {other:?}"))),
    }
}

/// The fields of `ByteLevel`, which is a pre-tokenizer, a post-processor and a decoder.
pub(super) fn byte_level(node: &Node) -> Result<(bool, bool, bool)> {
    is_type(node, "ByteLevel")?;
    let [add_prefix_space, trim_offsets, use_regex] = object_fields(node, ["add_prefix_space", "trim_offsets", "use_regex"])?;
    Ok((add_prefix_space.required(boolean)?, trim_offsets.required(boolean)?, use_regex.or(true, boolean)?))
}

/// The fields of `Metaspace`, which is a pre-tokenizer and a decoder. Older files have `add_prefix_space` in the place of
/// `prepend_scheme`, and a `str_rep` that says the same as `replacement`.
pub(super) fn metaspace(node: &Node) -> Result<(char, PrependScheme, bool)> {
    const SCHEMES: [(&str, PrependScheme); 3] =
        [("first", PrependScheme::First), ("never", PrependScheme::Never), ("always", PrependScheme::Always)];
    let [kind, replacement, add_prefix_space, prepend_scheme, split, str_rep] =
        fields(node, ["type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"])?;
    kind.required(|node| one_of(node, &[("Metaspace", ())]))?;
    let replacement = replacement.required(character)?;
    let add_prefix_space = add_prefix_space.optional(boolean)?;
    let scheme = prepend_scheme.or(PrependScheme::Always, |node| one_of(node, &SCHEMES))?;
    let split = split.optional(boolean)?.unwrap_or(true);
    str_rep.optional(string)?;
    if add_prefix_space == Some(false) && scheme != PrependScheme::Never {
        let message = "false contradicts the prepend_scheme, which must then be \"never\"";
        return Err(Error::config("add_prefix_space", message));
    }
    Ok((replacement, scheme, split))
}

fn split_behavior(node: &Node) -> Result<SplitBehavior> {
    one_of(
        node,
        &[
            ("Removed", SplitBehavior::Removed),
            ("Isolated", SplitBehavior::Isolated),
            ("MergedWithPrevious", SplitBehavior::MergedWithPrevious),
            ("MergedWithNext", SplitBehavior::MergedWithNext),
            ("Contiguous", SplitBehavior::Contiguous),
        ],
    )
}
