//! The outermost object of a tokenizer file, and the parts that only stand there: added tokens, truncation, padding.

use super::model::ModelSeed;
use super::node::{boolean, fields, id, object_fields, one_of, size, string, tagged_value, Node, NodeSeed, Repeats};
use super::{decoders, normalizers, post_processors, pre_tokenizers, Failure};
use crate::added_tokens::AddedToken;
use crate::formats::config::{AddedTokenConfig, Config};
use crate::padding::{Padding, PaddingDirection, PaddingStrategy};
use crate::truncation::{Truncation, TruncationDirection, TruncationStrategy};
use crate::{Error, Result};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

/// Reads the outermost object.
pub(super) struct RootSeed<'c>(pub &'c Failure);

impl<'de> DeserializeSeed<'de> for RootSeed<'_> {
    type Value = Config;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Config, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RootSeed<'_> {
    type Value = Config;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object with the parts of a tokenizer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Config, A::Error> {
        let failure = self.0;
        let mut truncation_part = None;
        let mut padding_part = None;
        let mut added_tokens = Vec::new();
        let mut normalizer = None;
        let mut pre_tokenizer = None;
        let mut post_processor = None;
        let mut decoder = None;
        let mut model = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "version" => {
                    part(failure, &mut map, "version", Repeats::Keep, version)?;
                }
                "truncation" => truncation_part = part(failure, &mut map, "truncation", Repeats::Keep, truncation)?,
                "padding" => padding_part = part(failure, &mut map, "padding", Repeats::Keep, padding)?,
                "added_tokens" => added_tokens = map.next_value_seed(AddedTokensSeed(failure))?,
                "normalizer" => {
                    normalizer = part(failure, &mut map, "normalizer", Repeats::LastBelow, normalizers::normalizer)?;
                }
                "pre_tokenizer" => {
                    pre_tokenizer = part(failure, &mut map, "pre_tokenizer", Repeats::LastBelow, pre_tokenizers::pre_tokenizer)?;
                }
                "post_processor" => {
                    post_processor = part(failure, &mut map, "post_processor", Repeats::Keep, post_processors::post_processor)?;
                }
                "decoder" => decoder = part(failure, &mut map, "decoder", Repeats::LastBelow, decoders::decoder)?,
                "model" => model = Some(map.next_value_seed(ModelSeed { failure, place: "model" })?),
                _ => failure.hold(Err(Error::config(key, "not a part of a tokenizer file")))?,
            }
        }
        let model = failure.hold(model.ok_or_else(|| Error::config("model", "missing")))?;
        Ok(Config {
            truncation: truncation_part,
            padding: padding_part,
            added_tokens,
            normalizer,
            pre_tokenizer,
            post_processor,
            decoder,
            model,
        })
    }
}

/// Reads the next value of `map` as the part `name`; null is no part.
fn part<'de, A: MapAccess<'de>, T>(
    failure: &Failure,
    map: &mut A,
    name: &str,
    repeats: Repeats,
    read: impl FnOnce(&Node) -> Result<T>,
) -> std::result::Result<Option<T>, A::Error> {
    let node = map.next_value_seed(NodeSeed { failure, repeats, values: &Cell::new(0) })?;
    if node == Node::Null && name != "version" {
        return Ok(None);
    }
    failure.hold(read(&node).map(Some).map_err(|error| error.under(name)))
}

fn version(node: &Node) -> Result<()> {
    match string(node)?.as_str() {
        "1.0" => Ok(()),
        other => Err(Error::config("", format!("unknown version {other:?}, only \"1.0\" is known"))),
    }
}

fn truncation(node: &Node) -> Result<Truncation> {
    const DIRECTIONS: [(&str, TruncationDirection); 2] =
        [("Left", TruncationDirection::Left), ("Right", TruncationDirection::Right)];
    const STRATEGIES: [(&str, TruncationStrategy); 3] = [
        ("LongestFirst", TruncationStrategy::LongestFirst),
        ("OnlyFirst", TruncationStrategy::OnlyFirst),
        ("OnlySecond", TruncationStrategy::OnlySecond),
    ];
    let [direction, max_length, strategy, stride] = fields(node, ["direction", "max_length", "strategy", "stride"])?;
    Ok(Truncation {
        direction: direction.or(TruncationDirection::Right, |node| one_of(node, &DIRECTIONS))?,
        max_length: max_length.required(size)?,
        strategy: strategy.required(|node| one_of(node, &STRATEGIES))?,
        stride: stride.required(size)?,
    })
}

fn padding(node: &Node) -> Result<Padding> {
    const DIRECTIONS: [(&str, PaddingDirection); 2] = [("Left", PaddingDirection::Left), ("Right", PaddingDirection::Right)];
    let [strategy, direction, pad_to_multiple_of, pad_id, pad_type_id, pad_token] =
        fields(node, ["strategy", "direction", "pad_to_multiple_of", "pad_id", "pad_type_id", "pad_token"])?;
    Ok(Padding {
        strategy: strategy.required(padding_strategy)?,
        direction: direction.required(|node| one_of(node, &DIRECTIONS))?,
        pad_to_multiple_of: pad_to_multiple_of.optional(size)?,
        pad_id: pad_id.required(id)?,
        pad_type_id: pad_type_id.required(id)?,
        pad_token: pad_token.required(string)?,
    })
}

/// `"BatchLongest"` or `{"Fixed": length}`.
fn padding_strategy(node: &Node) -> Result<PaddingStrategy> {
    match tagged_value(node) {
        Ok(("Fixed", length)) => Ok(PaddingStrategy::Fixed(size(length).map_err(|error| error.under("Fixed"))?)),
        _ => one_of(node, &[("BatchLongest", PaddingStrategy::BatchLongest)]),
    }
}

/// Reads `added_tokens`.
struct AddedTokensSeed<'c>(&'c Failure);

impl<'de> DeserializeSeed<'de> for AddedTokensSeed<'_> {
    type Value = Vec<AddedTokenConfig>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for AddedTokensSeed<'_> {
    type Value = Vec<AddedTokenConfig>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of added tokens")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Self::Value, A::Error> {
        let failure = self.0;
        let mut tokens = Vec::new();
        while let Some(node) = items.next_element_seed(NodeSeed { failure, repeats: Repeats::Keep, values: &Cell::new(0) })? {
            let token = added_token(&node).map_err(|error| error.under(&format!("added_tokens[{}]", tokens.len())));
            let token = failure.hold(token)?;
            failure.hold(failure.limits.check_token(token.token.content.len()))?;
            failure.hold(failure.limits.check_vocabulary("the number of added tokens", tokens.len() + 1))?;
            tokens.push(token);
        }
        Ok(tokens)
    }
}

fn added_token(node: &Node) -> Result<AddedTokenConfig> {
    let [number, content, single_word, lstrip, rstrip, normalized, special] =
        object_fields(node, ["id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"])?;
    Ok(AddedTokenConfig {
        id: number.required(id)?,
        token: AddedToken {
            content: content.required(string)?,
            single_word: single_word.required(boolean)?,
            lstrip: lstrip.required(boolean)?,
            rstrip: rstrip.required(boolean)?,
            normalized: normalized.required(boolean)?,
            special: special.required(boolean)?,
        },
    })
}
