//! `post_processor`: from its JSON value to its config.
//!
//! The fields alone decide, in the order Roberta, Bert, ByteLevel, Template, Sequence; only ByteLevel and Sequence insist on
//! their `type`. A repeated field is refused.

use super::is_type;
use super::node::{array, boolean, fields, id, object_fields, one_of, string, tagged_value, token_and_id, Node};
use super::normalizers::no_fit;
use super::pre_tokenizers::byte_level;
use crate::formats::config::{PostProcessorConfig, TemplatePiece, TemplateSpecialToken};
use crate::{Error, Result};
use std::collections::BTreeMap;

type Reader = fn(&Node) -> Result<PostProcessorConfig>;

/// Each reader with the name that messages and `type` use.
const READERS: [(&str, Reader); 5] = [
    ("RobertaProcessing", roberta),
    ("BertProcessing", bert),
    ("ByteLevel", |node| {
        let (add_prefix_space, trim_offsets, use_regex) = byte_level(node)?;
        Ok(PostProcessorConfig::ByteLevel { add_prefix_space, trim_offsets, use_regex })
    }),
    ("TemplateProcessing", template),
    ("Sequence", sequence),
];

/// Reads a post-processor.
pub(super) fn post_processor(node: &Node) -> Result<PostProcessorConfig> {
    if let Some(config) = READERS.iter().find_map(|(_, read)| read(node).ok()) {
        return Ok(config);
    }
    // None fits: the one that the file names tells best why.
    let named = READERS.iter().find(|(name, _)| is_type(node, name).is_ok());
    Err(match named.map(|(_, read)| read(node)) {
        Some(Err(error)) => error,
        _ => no_fit("post-processor", node),
    })
}

fn roberta(node: &Node) -> Result<PostProcessorConfig> {
    let [sep, cls, trim_offsets, add_prefix_space] = fields(node, ["sep", "cls", "trim_offsets", "add_prefix_space"])?;
    Ok(PostProcessorConfig::Roberta {
        sep: sep.required(token_and_id)?,
        cls: cls.required(token_and_id)?,
        trim_offsets: trim_offsets.required(boolean)?,
        add_prefix_space: add_prefix_space.required(boolean)?,
    })
}

fn bert(node: &Node) -> Result<PostProcessorConfig> {
    let [sep, cls] = fields(node, ["sep", "cls"])?;
    Ok(PostProcessorConfig::Bert { sep: sep.required(token_and_id)?, cls: cls.required(token_and_id)? })
}

fn sequence(node: &Node) -> Result<PostProcessorConfig> {
    is_type(node, "Sequence")?;
    let [processors] = object_fields(node, ["processors"])?;
    Ok(PostProcessorConfig::Sequence(processors.required(|node| array(node, post_processor))?))
}

fn template(node: &Node) -> Result<PostProcessorConfig> {
    let [single, pair, special_tokens] = fields(node, ["single", "pair", "special_tokens"])?;
    Ok(PostProcessorConfig::Template {
        single: single.required(|node| array(node, template_piece))?,
        pair: pair.required(|node| array(node, template_piece))?,
        special_tokens: special_tokens.required(special_token_map)?,
    })
}

fn template_piece(node: &Node) -> Result<TemplatePiece> {
    match tagged_value(node)? {
        ("Sequence", value) => (|| {
            let [sequence, type_id] = fields(value, ["id", "type_id"])?;
            let second = sequence.required(|node| one_of(node, &[("A", false), ("B", true)]))?;
            Ok(TemplatePiece::Sequence { second, type_id: type_id.required(id)? })
        })()
        .map_err(|error: Error| error.under("Sequence")),
        ("SpecialToken", value) => (|| {
            let [token, type_id] = fields(value, ["id", "type_id"])?;
            Ok(TemplatePiece::SpecialToken { id: token.required(string)?, type_id: type_id.required(id)? })
        })()
        .map_err(|error: Error| error.under("SpecialToken")),
        (other, _) => Err(Error::config("", format!("unknown template piece {other:?} (known: Sequence, SpecialToken)"))),
    }
}

/// The special tokens, sorted by name; the last of a name counts.
fn special_token_map(node: &Node) -> Result<Vec<TemplateSpecialToken>> {
    let Node::Object(entries) = node else { return Err(node.expected("an object")) };
    let mut tokens = BTreeMap::new();
    for (key, value) in entries {
        let token = special_token(key, value).map_err(|error| error.under(&format!("[{key:?}]")))?;
        tokens.insert(key.as_str(), token);
    }
    Ok(tokens.into_values().collect())
}

/// The entry `key`. Its own `id` has no effect on any result; the reference keeps it apart from the key.
fn special_token(key: &str, node: &Node) -> Result<TemplateSpecialToken> {
    let [own_id, ids, tokens] = fields(node, ["id", "ids", "tokens"])?;
    own_id.required(string)?;
    Ok(TemplateSpecialToken {
        id: key.to_owned(),
        ids: ids.required(|node| array(node, id))?,
        tokens: tokens.required(|node| array(node, string))?,
    })
}
