//! `tokenizer.json`, read and written as the reference does.
//!
//! Reading is one pass with serde. The model's vocabulary and merges go straight into their lists, whatever the order of the
//! keys; the other parts are small and become a bounded tree first ([`node`]), from which each part's reader takes what fits.
//! What the reference accepts is accepted: parts without `type`, fields as arrays, merges as strings or pairs, repeated keys
//! where the last one counts, unknown keys inside a part; and what it refuses is refused: unknown keys at the top, another
//! `version`, a missing flag of an added token. Errors name the place as a path, and the line where the JSON reader stood.
//! Checks that need the compiled tokenizer (is a merge's token in the vocabulary, is a pattern valid) are made there.
//!
//! Cost: O(file), and memory for the lists only. Nesting is limited to 127 levels, sizes by [`Limits`].

mod decoders;
mod model;
mod node;
mod normalizers;
mod post_processors;
mod pre_tokenizers;
mod root;
mod skip;
mod vocabulary;
mod write;

use super::config::{Config, DecoderConfig, ModelConfig, NormalizerConfig, PostProcessorConfig, PreTokenizerConfig};
use super::Limits;
use crate::{Error, Result};
use node::{keep_last, object_fields, one_of, Node, NodeSeed, Repeats};
use serde::de::DeserializeSeed;
use serde_json::de::StrRead;
use std::cell::{Cell, RefCell};

pub(super) use vocabulary::read_vocabulary;
pub use write::{write_decoder, write_json, write_model, write_normalizer, write_post_processor, write_pre_tokenizer};

/// Reads a whole file.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Config> {
    parse(bytes, limits, |failure, json| root::RootSeed(failure).deserialize(json))
}

/// Reads a `model` alone, as its own JSON text.
pub fn read_model(json: &str) -> Result<ModelConfig> {
    parse(json.as_bytes(), &Limits::default(), |failure, json| model::ModelSeed { failure, place: "" }.deserialize(json))
}

/// Reads a `normalizer` alone, as its own JSON text.
pub fn read_normalizer(json: &str) -> Result<NormalizerConfig> {
    read_component(json, Repeats::LastBelow, normalizers::normalizer)
}

/// Reads a `pre_tokenizer` alone, as its own JSON text.
pub fn read_pre_tokenizer(json: &str) -> Result<PreTokenizerConfig> {
    read_component(json, Repeats::LastBelow, pre_tokenizers::pre_tokenizer)
}

/// Reads a `post_processor` alone, as its own JSON text.
pub fn read_post_processor(json: &str) -> Result<PostProcessorConfig> {
    read_component(json, Repeats::Keep, post_processors::post_processor)
}

/// Reads a `decoder` alone, as its own JSON text.
pub fn read_decoder(json: &str) -> Result<DecoderConfig> {
    read_component(json, Repeats::LastBelow, decoders::decoder)
}

fn read_component<T>(json: &str, repeats: Repeats, read: impl FnOnce(&Node) -> Result<T>) -> Result<T> {
    let node = parse(json.as_bytes(), &Limits::default(), |failure, json| {
        NodeSeed { failure, repeats, values: &Cell::new(0) }.deserialize(json)
    })?;
    read(&node)
}

/// Carries our error out of serde, which only knows its own.
#[derive(Debug)]
struct Failure {
    error: RefCell<Option<Error>>,
    limits: Limits,
}

impl Failure {
    /// Keeps the error of `result` and gives serde one that stops the reader.
    fn hold<T, E: serde::de::Error>(&self, result: Result<T>) -> std::result::Result<T, E> {
        result.map_err(|error| {
            let stop = E::custom("stopped");
            self.error.replace(Some(error));
            stop
        })
    }

    /// What to report for serde's error: the one that was kept, if any, else serde's own; with the position.
    fn explain(self, error: &serde_json::Error) -> Error {
        let position = format!("line {} column {}", error.line(), error.column());
        match self.error.into_inner() {
            Some(Error::Config { place, message }) if error.line() > 0 => {
                Error::Config { place, message: format!("{message} (read up to {position})") }
            }
            Some(other) => other,
            None => {
                let message = error.to_string();
                let end = message.rfind(" at line ").unwrap_or(message.len());
                Error::config(position, message.get(..end).unwrap_or(&message))
            }
        }
    }
}

/// Reads the JSON text `bytes` to its end.
fn parse<'de, T>(
    bytes: &'de [u8],
    limits: &Limits,
    read: impl FnOnce(&Failure, &mut serde_json::Deserializer<StrRead<'de>>) -> serde_json::Result<T>,
) -> Result<T> {
    limits.check_file(bytes.len() as u64)?;
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Error::config(format!("byte {}", error.valid_up_to()), "the file is not UTF-8"))?;
    let failure = Failure { error: RefCell::new(None), limits: *limits };
    let mut json = serde_json::Deserializer::from_str(text);
    let result = read(&failure, &mut json).and_then(|value| json.end().map(|()| value));
    result.map_err(|error| failure.explain(&error))
}

/// What the `type` of a part says.
enum Typed {
    /// One of the known names.
    Known(&'static str),
    /// Something else, or nothing.
    Unknown,
    /// There are several.
    Repeated,
}

fn type_name(node: &Node, names: &[&'static str]) -> Typed {
    let Node::Object(entries) = node else { return Typed::Unknown };
    let mut types = entries.iter().filter(|(key, _)| key == "type");
    match (types.next(), types.next()) {
        (Some((_, kind)), None) => {
            names.iter().find(|name| one_of(kind, &[(name, ())]).is_ok()).map_or(Typed::Unknown, |name| Typed::Known(name))
        }
        (Some(_), Some(_)) => Typed::Repeated,
        (None, _) => Typed::Unknown,
    }
}

/// Fails unless `node` is an object whose `type` is `name`.
fn is_type(node: &Node, name: &str) -> Result<()> {
    let [kind] = object_fields(node, ["type"])?;
    kind.required(|node| one_of(node, &[(name, ())]))
}

/// The same object, each key only with its last value.
fn with_last_keys(node: &Node) -> Node {
    let mut node = node.clone();
    if let Node::Object(entries) = &mut node {
        keep_last(entries);
    }
    node
}
