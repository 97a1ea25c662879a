//! Models: how a piece becomes tokens.
use crate::formats::config::ModelConfig;
use crate::{Error, Result};
use std::ops::Range;

/// Where tokens go: what is collected is a type parameter, so that ids alone cost no offsets.
pub trait TokenSink {
    /// Takes a token that covers the bytes `range` of the piece. `surface` is whether its text is those bytes of the piece,
    /// and not the vocabulary's text for `id`.
    fn token(&mut self, id: u32, range: Range<usize>, surface: bool);
}

impl TokenSink for Vec<u32> {
    #[inline(always)]
    fn token(&mut self, id: u32, _: Range<usize>, _: bool) {
        self.push(id);
    }
}

/// What the bytes of a piece are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// The text that the vocabulary's tokens are written in.
    Text,
    /// The raw bytes that the vocabulary's tokens stand for in GPT-2's byte-level characters.
    Bytes,
}

/// A compiled model.
#[derive(Debug)]
pub enum Model {}

/// Buffers of the models, reused from call to call.
#[derive(Debug, Default)]
pub struct ModelScratch {}

impl Model {
    /// Compiles a model for pieces of text, or, where `bytes_wanted` and [`Model::supports_bytes`], for pieces of raw bytes.
    pub fn from_config(_config: ModelConfig, _bytes_wanted: bool) -> Result<Self> {
        Err(Error::Internal("skeleton".into()))
    }

    /// What the bytes of a piece are for this model: `Bytes` only if it was wanted and gives the same ids for every text.
    pub fn alphabet(&self) -> Alphabet {
        match *self {}
    }

    /// The file's form of the model, equal to what it was compiled from.
    pub fn to_config(&self) -> ModelConfig {
        match *self {}
    }

    /// Appends the tokens of `piece` to `sink`. `seed` decides what dropout drops.
    pub fn tokenize<S: TokenSink>(&self, _piece: &str, _seed: u64, _scratch: &mut ModelScratch, _sink: &mut S) -> Result<()> {
        match *self {}
    }

    /// Whether two calls can give different tokens: only with dropout.
    pub fn is_random(&self) -> bool {
        match *self {}
    }

    /// The number of tokens in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        match *self {}
    }

    /// The id of `token`.
    pub fn token_to_id(&self, _token: &str) -> Option<u32> {
        match *self {}
    }

    /// The text of `id` as in the file.
    pub fn id_to_token(&self, _id: u32) -> Option<&str> {
        match *self {}
    }

    /// All tokens and their ids, in the file's order.
    pub fn vocab(&self) -> Box<dyn Iterator<Item = (&str, u32)> + '_> {
        match *self {}
    }
}
