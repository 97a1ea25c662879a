//! The tokenizer: stages in order.
use crate::added_tokens::AddedToken;
use crate::formats::config::*;
use crate::padding::Padding;
use crate::truncation::Truncation;
use crate::{Encoding, Error, Result};
use std::path::Path;

/// A text, or words that were split by the caller (`is_pretokenized`).
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A text.
    Text(&'a str),
    /// Words; offsets restart at each.
    Words(&'a [&'a str]),
}

/// Called now and then during long work; an error stops it.
pub trait Watch: Sync {
    /// Whether to go on.
    fn check(&self) -> Result<()>;
}

/// What to do with ids that no token has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnknown {
    /// Fail with [`Error::UnknownId`].
    #[default]
    Error,
    /// Leave them out.
    Skip,
}

/// The options of a call.
#[derive(Clone, Copy)]
pub struct EncodeOptions<'a> {
    /// Whether the post-processor adds its special tokens.
    pub add_special_tokens: bool,
    /// Whether special tokens in the text are ordinary text.
    pub split_special_tokens: bool,
    /// Truncation, `None` for none.
    pub truncation: Option<&'a Truncation>,
    /// Padding, `None` for none.
    pub padding: Option<&'a Padding>,
    /// Whether the encoding keeps the text, so that tokens and offsets can be asked for later.
    pub keep_text: bool,
    /// Called about once per megabyte.
    pub watch: Option<&'a dyn Watch>,
}

/// A tokenizer: immutable, cheap to clone, shared by any number of threads.
#[derive(Clone, Debug)]
pub struct Tokenizer {}

#[allow(unused_variables)]
impl Tokenizer {
    /// Compiles a tokenizer.
    pub fn from_config(config: Config) -> Result<Self> {
        Err(Error::Internal("skeleton".into()))
    }
    /// Reads a tokenizer file of any known format.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Self::from_config(crate::formats::read_file(path.as_ref())?)
    }
    /// Reads a tokenizer from memory.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_config(crate::formats::read_bytes(bytes)?)
    }
    /// The file's truncation.
    pub fn truncation(&self) -> Option<&Truncation> {
        None
    }
    /// The file's padding.
    pub fn padding(&self) -> Option<&Padding> {
        None
    }
    /// Encodes one text or pair.
    pub fn encode(&self, text: Input<'_>, pair: Option<Input<'_>>, options: &EncodeOptions<'_>) -> Result<Encoding> {
        Err(Error::Internal("skeleton".into()))
    }
    /// Encodes many, on all cores if there is enough to do; padding is to the longest of the batch.
    pub fn encode_batch(&self, inputs: &[(Input<'_>, Option<Input<'_>>)], options: &EncodeOptions<'_>) -> Result<Vec<Encoding>> {
        Err(Error::Internal("skeleton".into()))
    }
    /// The ids of many, end to end, and where each begins: `n + 1` row splits.
    pub fn encode_arrays(
        &self,
        inputs: &[(Input<'_>, Option<Input<'_>>)],
        options: &EncodeOptions<'_>,
    ) -> Result<(Vec<u32>, Vec<i64>)> {
        Err(Error::Internal("skeleton".into()))
    }
    /// The number of ids that [`encode`](Self::encode) would give.
    pub fn count(&self, text: Input<'_>, pair: Option<Input<'_>>, options: &EncodeOptions<'_>) -> Result<usize> {
        Err(Error::Internal("skeleton".into()))
    }
    /// The text of `ids`.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool, on_unknown: OnUnknown) -> Result<String> {
        Err(Error::Internal("skeleton".into()))
    }
    /// The id of a token, added or of the model.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        None
    }
    /// The token of an id; for added tokens with `normalized` its normalized form.
    pub fn id_to_token(&self, id: u32) -> Option<&str> {
        None
    }
    /// All tokens and ids. With added tokens, an added token's id wins over the model's.
    pub fn vocab(&self, with_added_tokens: bool) -> Vec<(&str, u32)> {
        Vec::new()
    }
    /// The number of distinct tokens.
    pub fn vocab_size(&self, with_added_tokens: bool) -> usize {
        0
    }
    /// The added tokens and their ids, by id.
    pub fn added_tokens(&self) -> Vec<(u32, &AddedToken)> {
        Vec::new()
    }
    /// How many tokens the post-processor adds.
    pub fn num_special_tokens_to_add(&self, is_pair: bool) -> usize {
        0
    }
    /// The file's form; truncation and padding are the file's.
    pub fn to_config(&self) -> Config {
        unimplemented!()
    }
    /// A tokenizer with more added tokens, and how many of them were new or changed.
    pub fn with_added_tokens(&self, tokens: &[AddedToken]) -> Result<(Self, usize)> {
        Err(Error::Internal("skeleton".into()))
    }
    /// A tokenizer with another normalizer. The same for the other parts.
    pub fn with_normalizer(&self, config: Option<NormalizerConfig>) -> Result<Self> {
        Err(Error::Internal("skeleton".into()))
    }
    /// See [`with_normalizer`](Self::with_normalizer).
    pub fn with_pre_tokenizer(&self, config: Option<PreTokenizerConfig>) -> Result<Self> {
        Err(Error::Internal("skeleton".into()))
    }
    /// See [`with_normalizer`](Self::with_normalizer).
    pub fn with_post_processor(&self, config: Option<PostProcessorConfig>) -> Result<Self> {
        Err(Error::Internal("skeleton".into()))
    }
    /// See [`with_normalizer`](Self::with_normalizer).
    pub fn with_decoder(&self, config: Option<DecoderConfig>) -> Result<Self> {
        Err(Error::Internal("skeleton".into()))
    }
    /// See [`with_normalizer`](Self::with_normalizer).
    pub fn with_model(&self, config: ModelConfig) -> Result<Self> {
        Err(Error::Internal("skeleton".into()))
    }
    /// What the normalizer alone makes of a text.
    pub fn normalize_str(&self, text: &str) -> Result<String> {
        Err(Error::Internal("skeleton".into()))
    }
    /// The pieces that the pre-tokenizer alone makes of a text, with their offsets in characters.
    pub fn pre_tokenize_str(&self, text: &str) -> Result<Vec<(String, (usize, usize))>> {
        Err(Error::Internal("skeleton".into()))
    }
    /// The tokens that the model alone makes of a piece: id, text, byte offsets.
    pub fn tokenize_piece(&self, piece: &str) -> Result<Vec<(u32, String, (usize, usize))>> {
        Err(Error::Internal("skeleton".into()))
    }
}
