//! The tokenizer: every stage in its order.
//!
//! ```text
//! encode   text -> added tokens (raw) -> normalizer -> added tokens (normalized) -> pre-tokenizer -> model
//!               -> truncation -> post-processor -> padding
//! decode   ids -> tokens -> decoder -> text
//! ```
//!
//! A [`Tokenizer`] is compiled once from a [`Config`] and never changes. It is a handful of shared parts, so cloning it, or
//! making one with another part, is cheap. Any number of threads may use one; no lock is taken.

mod compiled;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::added_tokens::{AddedToken, AddedTokens};
use crate::conversation::Conversation;
use crate::cuts::{Begin, Cuts};
use crate::decoders::{DecodeTables, Decoder};
use crate::formats::config::{
    AddedTokenConfig, Config, DecoderConfig, ModelConfig, NormalizerConfig, PatternConfig, PostProcessorConfig, PreTokenizerConfig,
};
use crate::formats::prepared::{PlacedMerges, Prepared};
use crate::formats::{self, Limits};
use crate::models::{Alphabet, Model};
use crate::normalizers::Normalizer;
use crate::padding::Padding;
use crate::piece_cache::{PieceCache, DEFAULT_LIMIT};
use crate::post_processors::{self, PostProcessor};
use crate::pre_tokenizers::PreTokenizer;
use crate::regex::Regex;
use crate::truncation::Truncation;
use crate::walk::Walk;
use crate::words::Words;
use crate::{batch, long_text, pipeline, Encoding, Error, Result};

/// A text, or words that were split by the caller (`is_pretokenized`).
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A text.
    Text(&'a str),
    /// Words; offsets restart at each, and a token's word id is the word's index.
    Words(&'a [&'a str]),
}

impl Input<'_> {
    /// The length in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Input::Text(text) => text.len(),
            Input::Words(words) => words.iter().map(|word| word.len()).sum(),
        }
    }
}

/// A sequence, or a pair of them.
pub type InputPair<'a> = (Input<'a>, Option<Input<'a>>);

/// A token of a single piece: its id, its text, and its byte range in the piece.
pub type PieceToken = (u32, String, (usize, usize));

/// Called now and then during long work; an error stops it and is returned.
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

/// What an [`Encoding`] keeps besides the ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// The text, so that tokens, offsets and word ids can be asked for.
    #[default]
    Text,
    /// Nothing: asking for them is an error.
    Nothing,
    /// Empty tokens and offsets of 0, as the reference's `encode_batch_fast` gives them.
    Blanks,
}

/// The options of a call. The default is: special tokens are added, nothing is truncated or padded.
#[derive(Clone, Copy)]
pub struct EncodeOptions<'a> {
    /// Whether the post-processor adds its special tokens.
    pub add_special_tokens: bool,
    /// Whether special tokens in the text are ordinary text.
    pub split_special_tokens: bool,
    /// Truncation, `None` for none.
    pub truncation: Option<&'a Truncation>,
    /// What a `max_length` below the number of special tokens means: with true no truncation, as in the reference, else an error.
    pub ignore_short_max_length: bool,
    /// Padding, `None` for none.
    pub padding: Option<&'a Padding>,
    /// What the encoding keeps besides the ids.
    pub keep: Keep,
    /// Called about once per megabyte.
    pub watch: Option<&'a dyn Watch>,
}

impl Default for EncodeOptions<'_> {
    fn default() -> Self {
        Self {
            add_special_tokens: true,
            split_special_tokens: false,
            truncation: None,
            ignore_short_max_length: false,
            padding: None,
            keep: Keep::Text,
            watch: None,
        }
    }
}

/// The parts that turn a text into ids.
#[derive(Clone, Debug)]
pub(crate) struct Core {
    pub(crate) normalizer: Option<Arc<Normalizer>>,
    /// Lowered to raw bytes where the model is.
    pub(crate) pre_tokenizer: Option<Arc<PreTokenizer>>,
    pub(crate) model: Arc<Model>,
    pub(crate) added_tokens: Arc<AddedTokens>,
    /// Where the text can be cut into words before all stages.
    pub(crate) words: Option<Words>,
    /// What makes the cuts of a text certain.
    pub(crate) cuts: Option<Cuts>,
    /// The ids of words and pieces that were met by these stages.
    pub(crate) cache: Arc<PieceCache>,
    /// How the places of tokens are told by their ids.
    pub(crate) walk: Arc<Walk>,
}

impl Core {
    /// The text that every token with this id shows, if they all show the same.
    pub(crate) fn text_of_all(&self, id: u32) -> Option<&str> {
        let Some(added) = self.added_tokens.get(id) else { return self.model.text_of_all(id) };
        let takes_more = added.lstrip || added.rstrip || added.normalized && self.normalizer.is_some();
        let is_other = self.model.id_to_token(id).is_some() && self.model.text_of_all(id) != Some(&added.content);
        Some(added.content.as_str()).filter(|_| !takes_more && !is_other)
    }

    /// One more than the highest id, if most numbers below it are ids.
    pub(crate) fn ids_end(&self) -> Option<usize> {
        /// A table takes memory for each number below the highest id: not more than so many times the vocabulary.
        const MAX_SPARSE: usize = 4;
        let of_model = self.model.ids_end()?;
        let of_added = self.added_tokens.ids_end();
        Some(of_model.max(of_added)).filter(|&end| end <= MAX_SPARSE * (of_model + self.added_tokens.len()))
    }
}

/// What was compiled, as the file says it, but for the model: that knows its own.
#[derive(Debug, Default)]
struct Parts {
    normalizer: Option<NormalizerConfig>,
    pre_tokenizer: Option<PreTokenizerConfig>,
    post_processor: Option<PostProcessorConfig>,
    decoder: Option<DecoderConfig>,
    truncation: Option<Truncation>,
    padding: Option<Padding>,
    /// The model for pieces of text, where the one in use takes raw bytes: made when a caller asks for single pieces.
    text_model: OnceLock<Model>,
    /// The pre-tokenizer that makes them, likewise.
    text_pre_tokenizer: OnceLock<Option<Arc<PreTokenizer>>>,
}

/// A tokenizer: immutable, cheap to clone, shared by any number of threads.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    pub(crate) core: Core,
    post_processor: Option<Arc<PostProcessor>>,
    decoder: Option<Arc<Decoder>>,
    parts: Arc<Parts>,
    /// What each id is decoded to.
    pub(crate) decode_tables: Arc<DecodeTables>,
}

impl Tokenizer {
    /// Compiles a tokenizer.
    ///
    /// # Errors
    /// [`Error::Config`] or [`Error::Pattern`] with the place in the file, [`Error::Limit`] for sizes out of bounds.
    pub fn from_config(config: Config) -> Result<Self> {
        Self::from_prepared(Prepared { config, merges: None })
    }

    fn from_prepared(Prepared { config, merges }: Prepared) -> Result<Self> {
        let Config { truncation, padding, added_tokens, normalizer, pre_tokenizer, post_processor, decoder, model } = config;
        if let Some(truncation) = truncation.as_ref().filter(|truncation| truncation.max_length > 0) {
            if truncation.stride >= truncation.max_length {
                let message = format!("{} must be less than max_length, which is {}", truncation.stride, truncation.max_length);
                return Err(Error::config("truncation.stride", message));
            }
        }
        let compiled_normalizer = compile(normalizer.as_ref(), Normalizer::from_config, "normalizer")?;
        let (compiled_pre_tokenizer, model) = compile_pieces(normalizer.as_ref(), pre_tokenizer.as_ref(), model, merges)?;
        let tokens: Vec<AddedToken> = added_tokens.into_iter().map(|added| added.token).collect();
        let (added_tokens, _) = AddedTokens::default().with(&tokens, &model, compiled_normalizer.as_deref())?;
        let parts = Parts { normalizer, pre_tokenizer, post_processor, decoder, truncation, padding, ..Parts::default() };
        let made = Self::from_parts(parts, compiled_normalizer, compiled_pre_tokenizer, model, added_tokens)?;
        made.core.model.make_early();
        Ok(made)
    }

    /// A tokenizer of parts, those that are compiled already and the others.
    fn from_parts(
        parts: Parts,
        normalizer: Option<Arc<Normalizer>>,
        pre_tokenizer: Option<Arc<PreTokenizer>>,
        model: Model,
        added_tokens: AddedTokens,
    ) -> Result<Self> {
        let (words, cuts, walk) = ways(&parts, normalizer.as_ref(), pre_tokenizer.as_deref(), &model)?;
        let core = Core {
            words,
            cuts,
            walk,
            cache: Arc::new(PieceCache::new(DEFAULT_LIMIT)),
            normalizer,
            pre_tokenizer,
            model: Arc::new(model),
            added_tokens: Arc::new(added_tokens),
        };
        Ok(Self {
            core,
            post_processor: compile(parts.post_processor.as_ref(), PostProcessor::from_config, "post_processor")?,
            decoder: compile(parts.decoder.as_ref(), Decoder::from_config, "decoder")?,
            decode_tables: Arc::new(DecodeTables::new()),
            parts: Arc::new(parts),
        })
    }

    /// Reads a tokenizer file of any known format, compiled ones included.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        match crate::compiled::is_compiled_file(path) {
            true => Self::from_compiled(path),
            false => {
                let limits = Limits::default();
                let bytes = formats::contents(path, &limits)?;
                // What cannot be read again is read in the way that tells what is wrong.
                if let Some(prepared) = formats::prepare(&bytes, &limits).filter(|_| path.is_file()) {
                    drop(bytes);
                    return Self::from_prepared(prepared).or_else(|_| Self::from_config(formats::read_file(path)?));
                }
                let config = formats::read_contents(path, &bytes, &limits)?;
                drop(bytes);
                Self::from_config(config)
            }
        }
    }

    /// Reads a tokenizer from memory: tokenizer.json, a SentencePiece model, tiktoken ranks, a compiled file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match crate::compiled::is_compiled(bytes) {
            true => Self::from_compiled_bytes(bytes),
            false => {
                let usual = formats::prepare(bytes, &Limits::default()).and_then(|prepared| Self::from_prepared(prepared).ok());
                usual.map_or_else(|| Self::from_config(formats::read_bytes(bytes)?), Ok)
            }
        }
    }

    /// The file's truncation. It is not applied by itself: pass it in [`EncodeOptions`].
    pub fn truncation(&self) -> Option<&Truncation> {
        self.parts.truncation.as_ref()
    }

    /// The file's padding. It is not applied by itself: pass it in [`EncodeOptions`].
    pub fn padding(&self) -> Option<&Padding> {
        self.parts.padding.as_ref()
    }

    /// Encodes one sequence or pair.
    ///
    /// # Errors
    /// [`Error::MissingUnknownToken`] if the text needs it and the model has none, [`Error::Argument`] for a truncation that is
    /// impossible, [`Error::Limit`] and [`Error::PatternLimit`] for texts that would take memory or time without bound.
    pub fn encode(&self, text: Input<'_>, pair: Option<Input<'_>>, options: &EncodeOptions<'_>) -> Result<Encoding> {
        let mut encoding = match text.is_long() || pair.is_some_and(|pair| pair.is_long()) {
            true => self.encode_all(&[(text, pair)], options)?.pop().unwrap_or_default(),
            false => self.encode_unpadded((text, pair), options)?,
        };
        if let Some(padding) = options.padding {
            padding.apply(std::slice::from_mut(&mut encoding))?;
        }
        Ok(encoding)
    }

    /// Encodes many, on several threads if there is enough to do. Padding is to the longest of the batch.
    pub fn encode_batch(&self, inputs: &[InputPair<'_>], options: &EncodeOptions<'_>) -> Result<Vec<Encoding>> {
        let mut encodings = self.encode_all(inputs, options)?;
        if let Some(padding) = options.padding {
            padding.apply(&mut encodings)?;
        }
        Ok(encodings)
    }

    /// The ids of many, end to end, and where each begins: `n + 1` row splits, the first 0, the last the number of ids.
    pub fn encode_arrays(&self, inputs: &[InputPair<'_>], options: &EncodeOptions<'_>) -> Result<(Vec<u32>, Vec<i64>)> {
        let options = EncodeOptions { keep: Keep::Nothing, ..*options };
        let encodings = self.encode_batch(inputs, &options)?;
        if encodings.len() == 1 {
            let ids: Vec<u32> = encodings.into_iter().next().map(Encoding::into_ids).unwrap_or_default();
            let splits = vec![0, ids.len() as i64];
            return Ok((ids, splits));
        }
        let mut ids = Vec::with_capacity(encodings.iter().map(Encoding::len).sum());
        let mut splits = Vec::with_capacity(encodings.len() + 1);
        splits.push(0);
        for encoding in encodings {
            encoding.ids_into(&mut ids);
            splits.push(ids.len() as i64);
        }
        Ok((ids, splits))
    }

    /// The number of ids that [`encode`](Self::encode) would give.
    pub fn count(&self, text: Input<'_>, pair: Option<Input<'_>>, options: &EncodeOptions<'_>) -> Result<usize> {
        let is_additive = self.post_processor.as_ref().is_none_or(|post_processor| post_processor.is_additive());
        if is_additive && options.truncation.is_none() && options.padding.is_none() {
            let special = if options.add_special_tokens { self.num_special_tokens_to_add(pair.is_some()) } else { 0 };
            let second = pair.map_or(Ok(0), |pair| self.count_one(pair, options))?;
            return Ok(special + second + self.count_one(text, options)?);
        }
        let options = EncodeOptions { keep: Keep::Nothing, ..*options };
        Ok(self.encode(text, pair, &options)?.len())
    }

    fn count_one(&self, input: Input<'_>, options: &EncodeOptions<'_>) -> Result<usize> {
        let Input::Text(text) = input else { return pipeline::count(&self.core, input, options) };
        let threads = long_text::threads(&self.core, input.is_long());
        if threads == 1 {
            return pipeline::count(&self.core, input, options);
        }
        let EncodeOptions { split_special_tokens, watch, .. } = *options;
        let counts = long_text::ids::<usize>(&self.core, &[text], Begin::Input, split_special_tokens, threads, watch)?;
        Ok(counts.into_iter().flatten().sum())
    }

    /// Encodes many without padding: the long ones first, part by part, then the others one by one.
    fn encode_all(&self, inputs: &[InputPair<'_>], options: &EncodeOptions<'_>) -> Result<Vec<Encoding>> {
        let is_long = |input: &InputPair<'_>| input.0.is_long() || input.1.is_some_and(|second| second.is_long());
        let encode_others =
            |inputs: &[InputPair<'_>]| batch::map(inputs, options.watch, &|input| self.encode_unpadded(*input, options));
        let threads = long_text::threads(&self.core, inputs.iter().any(is_long));
        if threads == 1 {
            return encode_others(inputs);
        }
        let (long, others): (Vec<_>, Vec<_>) = inputs.iter().partition(|input| is_long(input));
        let sequences = long.iter().flat_map(|(first, second)| std::iter::once(first).chain(second));
        let texts: Vec<&str> =
            sequences.filter_map(|input| if let Input::Text(text) = input { Some(*text) } else { None }).collect();
        let EncodeOptions { split_special_tokens, watch, .. } = *options;
        let ids = long_text::ids::<Vec<u32>>(&self.core, &texts, Begin::Input, split_special_tokens, threads, watch)?;
        let mut ids = ids.into_iter().map(|parts| parts.concat());
        let mut rows = |input: Input<'_>| match input {
            Input::Text(_) => Ok(pipeline::rows(&self.core, input, ids.next().unwrap_or_default(), 0, options)),
            Input::Words(_) => pipeline::encode(&self.core, input, options),
        };
        let mut long_encodings = Vec::with_capacity(long.len());
        for (first, second) in long {
            let first = Encoding::from_rows(rows(first)?, 0);
            let second = second.map(&mut rows).transpose()?.map(|rows| Encoding::from_rows(rows, 1));
            long_encodings.push(self.finish(first, second, options)?);
        }
        let (mut long_encodings, mut others) = (long_encodings.into_iter(), encode_others(&others)?.into_iter());
        let encodings = inputs.iter().filter_map(|input| if is_long(input) { long_encodings.next() } else { others.next() });
        Ok(encodings.collect())
    }

    fn encode_unpadded(&self, (text, pair): InputPair<'_>, options: &EncodeOptions<'_>) -> Result<Encoding> {
        let first = Encoding::from_rows(pipeline::encode(&self.core, text, options)?, 0);
        let second = match pair {
            Some(pair) => Some(Encoding::from_rows(pipeline::encode(&self.core, pair, options)?, 1)),
            None => None,
        };
        self.finish(first, second, options)
    }

    /// An empty text that will grow, with its ids, which stay those of the whole text without truncation and padding.
    ///
    /// # Errors
    /// [`Error::Argument`] where tokens are drawn (dropout), and where the post-processor does not put a text's tokens exactly once.
    pub fn conversation(&self, add_special_tokens: bool, split_special_tokens: bool) -> Result<Conversation> {
        Conversation::new(self, add_special_tokens, split_special_tokens)
    }

    /// What [`encode`](Self::encode) does after the model: truncates, adds the special tokens, pads.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn post_process(&self, first: Encoding, second: Option<Encoding>, options: &EncodeOptions<'_>) -> Result<Encoding> {
        let mut encoding = self.finish(first, second, options)?;
        if let Some(padding) = options.padding {
            padding.apply(std::slice::from_mut(&mut encoding))?;
        }
        Ok(encoding)
    }

    fn finish(&self, mut first: Encoding, mut second: Option<Encoding>, options: &EncodeOptions<'_>) -> Result<Encoding> {
        if let Some(truncation) = options.truncation {
            let max_length = self.sequence_length(truncation, second.is_some(), options)?;
            truncation.apply(&mut first, second.as_mut(), max_length)?;
        }
        match &self.post_processor {
            Some(post_processor) => post_processor.process(first, second, options.add_special_tokens),
            None => post_processors::join(first, second),
        }
    }

    /// The `max_length` that remains for the sequences.
    fn sequence_length(&self, truncation: &Truncation, is_pair: bool, options: &EncodeOptions<'_>) -> Result<usize> {
        if !options.add_special_tokens {
            return Ok(truncation.max_length);
        }
        let special = self.num_special_tokens_to_add(is_pair);
        match truncation.max_length.checked_sub(special) {
            Some(length) => Ok(length),
            None if options.ignore_short_max_length => Ok(usize::MAX),
            None => Err(Error::Argument {
                name: "max_length",
                message: format!("{} is less than the {special} special tokens that are added", truncation.max_length),
            }),
        }
    }

    /// The id of a token, added or of the model.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.core.added_tokens.id(token).or_else(|| self.core.model.token_to_id(token))
    }

    /// The token of an id; for added tokens with `normalized` its normalized form, as decoding sees it.
    pub fn id_to_token(&self, id: u32) -> Option<&str> {
        self.core.added_tokens.text(id).or_else(|| self.core.model.id_to_token(id))
    }

    /// All tokens and ids. With added tokens, an added token's id wins over the model's.
    pub fn vocab(&self, with_added_tokens: bool) -> Vec<(&str, u32)> {
        let added = &self.core.added_tokens;
        let of_model = self.core.model.vocab();
        if !with_added_tokens {
            return of_model.collect();
        }
        of_model.filter(|(token, _)| added.id(token).is_none()).chain(added.ids()).collect()
    }

    /// The number of distinct tokens.
    pub fn vocab_size(&self, with_added_tokens: bool) -> usize {
        let model = &self.core.model;
        if !with_added_tokens {
            return model.vocab_size();
        }
        let known = self.core.added_tokens.ids().filter(|(token, _)| model.token_to_id(token).is_some()).count();
        model.vocab_size() + self.core.added_tokens.len() - known
    }

    /// The added tokens and their ids, by id.
    pub fn added_tokens(&self) -> impl Iterator<Item = (u32, &AddedToken)> {
        self.core.added_tokens.by_id()
    }

    /// How many tokens the post-processor adds to a sequence or a pair.
    pub fn num_special_tokens_to_add(&self, is_pair: bool) -> usize {
        self.post_processor.as_ref().map_or(0, |post_processor| post_processor.added_tokens(is_pair))
    }

    /// The bytes that the cache of words and pieces takes. It grows with what is encoded.
    pub fn cache_bytes(&self) -> usize {
        self.core.cache.bytes()
    }

    /// The most bytes that it will take, but for the first 193 KiB; 16 MiB if nothing else was said.
    pub fn cache_limit(&self) -> usize {
        self.core.cache.limit()
    }

    /// The same tokenizer with a cache of its own, empty, that grows in steps up to `limit` bytes.
    #[must_use]
    pub fn with_cache_limit(&self, limit: usize) -> Self {
        let mut made = self.clone();
        made.core.cache = Arc::new(PieceCache::new(limit));
        made
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.core.model
    }

    /// The pre-tokenizer, as it is run.
    pub fn pre_tokenizer(&self) -> Option<&PreTokenizer> {
        self.core.pre_tokenizer.as_deref()
    }

    /// The decoder.
    pub fn decoder(&self) -> Option<&Decoder> {
        self.decoder.as_deref()
    }

    /// The file's form of the normalizer.
    pub fn normalizer_config(&self) -> Option<&NormalizerConfig> {
        self.parts.normalizer.as_ref()
    }

    /// The file's form of the pre-tokenizer.
    pub fn pre_tokenizer_config(&self) -> Option<&PreTokenizerConfig> {
        self.parts.pre_tokenizer.as_ref()
    }

    /// The file's form of the post-processor.
    pub fn post_processor_config(&self) -> Option<&PostProcessorConfig> {
        self.parts.post_processor.as_ref()
    }

    /// The file's form of the decoder.
    pub fn decoder_config(&self) -> Option<&DecoderConfig> {
        self.parts.decoder.as_ref()
    }

    /// The file's form.
    pub fn to_config(&self) -> Config {
        let parts = &self.parts;
        let added_tokens = self.added_tokens().map(|(id, token)| AddedTokenConfig { id, token: token.clone() });
        Config {
            truncation: parts.truncation.clone(),
            padding: parts.padding.clone(),
            added_tokens: added_tokens.collect(),
            normalizer: parts.normalizer.clone(),
            pre_tokenizer: parts.pre_tokenizer.clone(),
            post_processor: parts.post_processor.clone(),
            decoder: parts.decoder.clone(),
            model: self.core.model.to_config(),
        }
    }

    /// A tokenizer with more added tokens, and how many of them were new or had other flags.
    pub fn with_added_tokens(&self, tokens: &[AddedToken]) -> Result<(Self, usize)> {
        let (added, count) = self.core.added_tokens.with(tokens, &self.core.model, self.core.normalizer.as_deref())?;
        let mut tokenizer = self.clone();
        tokenizer.core.added_tokens = Arc::new(added);
        tokenizer.core.walk = Arc::new(self.core.walk.renewed());
        tokenizer.decode_tables = Arc::new(DecodeTables::new());
        Ok((tokenizer, count))
    }

    /// A tokenizer with another normalizer. The added tokens are normalized again.
    pub fn with_normalizer(&self, config: Option<NormalizerConfig>) -> Result<Self> {
        let mut tokenizer = self.clone();
        let normalizer = compile(config.as_ref(), Normalizer::from_config, "normalizer")?;
        tokenizer.core.added_tokens = Arc::new(self.core.added_tokens.with_normalizer(normalizer.as_deref())?);
        tokenizer.core.normalizer = normalizer;
        if makes_hollow_text(config.as_ref()) != makes_hollow_text(self.parts.normalizer.as_ref()) {
            let model = self.core.model.to_config();
            let (pre_tokenizer, model) = compile_pieces(config.as_ref(), self.parts.pre_tokenizer.as_ref(), model, None)?;
            tokenizer.core.pre_tokenizer = pre_tokenizer;
            tokenizer.core.model = Arc::new(model);
        }
        tokenizer.with_parts(|parts| parts.normalizer = config).with_new_words()
    }

    /// A tokenizer with another pre-tokenizer.
    pub fn with_pre_tokenizer(&self, config: Option<PreTokenizerConfig>) -> Result<Self> {
        let mut tokenizer = self.clone();
        let model = self.core.model.to_config();
        let (pre_tokenizer, model) = compile_pieces(self.parts.normalizer.as_ref(), config.as_ref(), model, None)?;
        tokenizer.core.pre_tokenizer = pre_tokenizer;
        tokenizer.core.model = Arc::new(model);
        tokenizer.with_parts(|parts| parts.pre_tokenizer = config).with_new_words()
    }

    /// A tokenizer with another post-processor.
    pub fn with_post_processor(&self, config: Option<PostProcessorConfig>) -> Result<Self> {
        let mut tokenizer = self.clone();
        tokenizer.post_processor = compile(config.as_ref(), PostProcessor::from_config, "post_processor")?;
        Ok(tokenizer.with_parts(|parts| parts.post_processor = config))
    }

    /// A tokenizer with another decoder.
    pub fn with_decoder(&self, config: Option<DecoderConfig>) -> Result<Self> {
        let mut tokenizer = self.clone();
        tokenizer.decoder = compile(config.as_ref(), Decoder::from_config, "decoder")?;
        Ok(tokenizer.with_parts(|parts| parts.decoder = config))
    }

    /// A tokenizer with another model. The added tokens keep their ids.
    pub fn with_model(&self, config: ModelConfig) -> Result<Self> {
        let mut tokenizer = self.clone();
        let Parts { normalizer, pre_tokenizer, .. } = &*self.parts;
        let (pre_tokenizer, model) = compile_pieces(normalizer.as_ref(), pre_tokenizer.as_ref(), config, None)?;
        tokenizer.core.pre_tokenizer = pre_tokenizer;
        tokenizer.core.model = Arc::new(model);
        tokenizer.with_parts(|_| ()).with_new_words()
    }

    /// A tokenizer whose saved form has other truncation and padding.
    #[must_use]
    pub fn with_limits(&self, truncation: Option<Truncation>, padding: Option<Padding>) -> Self {
        self.clone().with_parts(|parts| {
            parts.truncation = truncation;
            parts.padding = padding;
        })
    }

    /// The same with what follows from the normalizer, the pre-tokenizer and the model made anew.
    fn with_new_words(mut self) -> Result<Self> {
        let Core { normalizer, pre_tokenizer, model, .. } = &self.core;
        (self.core.words, self.core.cuts, self.core.walk) =
            ways(&self.parts, normalizer.as_ref(), pre_tokenizer.as_deref(), model)?;
        self.core.cache = Arc::new(PieceCache::new(self.core.cache.limit()));
        Ok(self)
    }

    fn with_parts(mut self, change: impl FnOnce(&mut Parts)) -> Self {
        let parts = &self.parts;
        let mut changed = Parts {
            normalizer: parts.normalizer.clone(),
            pre_tokenizer: parts.pre_tokenizer.clone(),
            post_processor: parts.post_processor.clone(),
            decoder: parts.decoder.clone(),
            truncation: parts.truncation.clone(),
            padding: parts.padding.clone(),
            ..Parts::default()
        };
        change(&mut changed);
        self.parts = Arc::new(changed);
        self.decode_tables = Arc::new(DecodeTables::new());
        self
    }

    /// What the normalizer alone makes of a text.
    pub fn normalize_str(&self, text: &str) -> Result<String> {
        pipeline::normalize(self.core.normalizer.as_deref(), text)
    }

    /// The pieces that the pre-tokenizer alone makes of a text, with their ranges in characters.
    pub fn pre_tokenize_str(&self, text: &str) -> Result<Vec<(String, (usize, usize))>> {
        let kept = &self.parts.text_pre_tokenizer;
        if kept.get().is_none() {
            let made = compile(self.parts.pre_tokenizer.as_ref(), PreTokenizer::from_config, "pre_tokenizer")?;
            let _ = kept.set(made); // another thread may have been faster
        }
        pipeline::pieces(kept.get().and_then(Option::as_deref), text)
    }

    /// The tokens that the model alone makes of a piece: id, text, byte range.
    pub fn tokenize_piece(&self, piece: &str) -> Result<Vec<PieceToken>> {
        let model = &self.core.model;
        if model.alphabet() == Alphabet::Text {
            return pipeline::tokenize(model, piece);
        }
        if self.parts.text_model.get().is_none() {
            let text_model = Model::from_config(model.to_config(), false)?;
            let _ = self.parts.text_model.set(text_model); // another thread may have been faster
        }
        self.parts.text_model.get().map_or(Ok(Vec::new()), |model| pipeline::tokenize(model, piece))
    }
}

fn compile<C, T>(config: Option<&C>, from_config: impl Fn(&C) -> Result<T>, place: &str) -> Result<Option<Arc<T>>> {
    config.map(|config| from_config(config).map(Arc::new).map_err(|error| error.under(place))).transpose()
}

/// What follows from the stages: words, cuts, and the walk along ids.
fn ways(
    parts: &Parts,
    normalizer: Option<&Arc<Normalizer>>,
    pre_tokenizer: Option<&PreTokenizer>,
    model: &Model,
) -> Result<(Option<Words>, Option<Cuts>, Arc<Walk>)> {
    let both = parts.normalizer.as_ref().zip(normalizer);
    let words = Words::of(both, parts.pre_tokenizer.as_ref(), model)?;
    let cuts = Cuts::of(words.as_ref(), parts.normalizer.as_ref(), pre_tokenizer, model);
    let walk = Walk::of(both, parts.pre_tokenizer.as_ref(), model, words.as_ref());
    Ok((words, cuts, Arc::new(walk)))
}

/// Compiles a pre-tokenizer and the model that takes its pieces: raw bytes wherever that gives the same ids.
fn compile_pieces(
    normalizer: Option<&NormalizerConfig>,
    config: Option<&PreTokenizerConfig>,
    model: ModelConfig,
    merges: Option<PlacedMerges>,
) -> Result<(Option<Arc<PreTokenizer>>, Model)> {
    let pre_tokenizer = compile(config, PreTokenizer::from_config, "pre_tokenizer")?;
    let lowered = pre_tokenizer.as_ref().and_then(|pre_tokenizer| pre_tokenizer.without_byte_level());
    let lowered = lowered.filter(|_| !makes_hollow_text(normalizer));
    let model = Model::prepared(model, lowered.is_some(), merges).map_err(|error| error.under("model"))?;
    match (model.alphabet(), lowered) {
        (Alphabet::Bytes, Some(lowered)) => Ok((Some(Arc::new(lowered)), model)),
        _ => Ok((pre_tokenizer, model)),
    }
}

/// Whether a normalizer can make text that stands for no input, which the byte-level pre-tokenizer doubles, as in the reference.
fn makes_hollow_text(normalizer: Option<&NormalizerConfig>) -> bool {
    match normalizer {
        Some(NormalizerConfig::Sequence(normalizers)) => normalizers.iter().any(|normalizer| makes_hollow_text(Some(normalizer))),
        Some(NormalizerConfig::Prepend { prepend }) => prepend.is_empty(),
        Some(NormalizerConfig::Replace { pattern: PatternConfig::Regex(pattern), .. }) => {
            Regex::new(pattern).is_ok_and(|regex| regex.can_match_empty())
        }
        _ => false,
    }
}
