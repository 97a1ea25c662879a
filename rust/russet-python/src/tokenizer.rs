//! `russet.Tokenizer`. Methods that begin with an underscore serve the module `russet.tokenizers`.

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyList, PyString};
use russet::added_tokens::AddedToken;
use russet::formats;
use russet::{EncodeOptions, Error, InputPair, Keep, OnUnknown, Result, StringList, Tokenizer, Watch};
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::arrays;
use crate::conversation::PyConversation;
use crate::decode_stream::PyDecodeStream;
use crate::detach;
use crate::encoding::{encoding_list, PyEncoding};
use crate::error::argument;
use crate::inputs::{self, Inputs, OutOfRange, Single};
use crate::options::{self, Call, PyAddedToken, PyPadding, PyTruncation};
use crate::strings::{self, Surrogates, Text};

type Any<'a, 'py> = &'a Bound<'py, PyAny>;

/// A tokenizer. It never changes, so any number of threads may use one.
#[pyclass(frozen, module = "russet", name = "Tokenizer")]
pub struct PyTokenizer {
    pub core: Tokenizer,
    hash: OnceLock<u64>,
}

impl From<Tokenizer> for PyTokenizer {
    fn from(core: Tokenizer) -> Self {
        Self { core, hash: OnceLock::new() }
    }
}

impl PyTokenizer {
    fn load(py: Python<'_>, load: impl FnOnce() -> Result<Tokenizer> + Send) -> PyResult<Self> {
        detach::run(py, usize::MAX, |_| load()).map(Self::from)
    }

    fn run_single<T: Send>(
        &self,
        py: Python<'_>,
        input: &Single<'_>,
        call: &Call<'_>,
        work: impl FnOnce(InputPair<'_>, &EncodeOptions<'_>) -> Result<T> + Send,
    ) -> PyResult<T> {
        input.read(|pair, bytes| detach::run(py, bytes, |watch| work(pair, &call.options(watch))))
    }

    fn encode_one(&self, py: Python<'_>, input: &Single<'_>, call: &Call<'_>) -> PyResult<PyEncoding> {
        let encode = |(text, pair): InputPair<'_>, options: &EncodeOptions<'_>| self.core.encode(text, pair, options);
        self.run_single(py, input, call, encode).map(PyEncoding::from)
    }

    fn run_batch<T: Send>(
        &self,
        py: Python<'_>,
        inputs: &Inputs<'_>,
        call: &Call<'_>,
        work: impl FnOnce(&[InputPair<'_>], &EncodeOptions<'_>) -> Result<T> + Send,
    ) -> PyResult<T> {
        let views = inputs.views()?;
        let pairs = inputs.pairs(&views);
        detach::run(py, inputs::bytes(&views), |watch| work(&pairs, &call.options(watch)))
    }

    fn saved(&self, pretty: bool) -> String {
        russet::formats::write_json(&self.core.to_config(), pretty)
    }

    fn saved_hash(&self) -> u64 {
        *self.hash.get_or_init(|| {
            let mut hasher = DefaultHasher::new();
            self.saved(false).hash(&mut hasher);
            hasher.finish()
        })
    }
}

fn with_text<T: Send>(text: &Bound<'_, PyString>, work: impl FnOnce(&str) -> Result<T> + Send) -> PyResult<T> {
    let held = Text::new(text, Surrogates::Refuse)?;
    let view = held.as_str()?;
    detach::run(text.py(), view.len(), |_| work(view))
}

#[pymethods]
impl PyTokenizer {
    /// Reads a tokenizer file: tokenizer.json, a SentencePiece model, tiktoken ranks, vocab.json with merges.txt, vocab.txt, or what
    /// `save_compiled` saved.
    #[staticmethod]
    fn from_file(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        Self::load(py, || Tokenizer::from_file(path))
    }

    /// Loads what `save_compiled` saved, many times as fast as the file it came from.
    ///
    /// Raises `ConfigError` for a file that is damaged or of another version of Russet: save it again.
    #[staticmethod]
    fn from_compiled(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        Self::load(py, || Tokenizer::from_compiled(path))
    }

    /// Reads the text of a tokenizer.json.
    #[staticmethod]
    fn from_str(json: &Bound<'_, PyString>) -> PyResult<Self> {
        let json_text = Text::new(json, Surrogates::Refuse)?;
        let bytes = json_text.as_str()?.as_bytes();
        Self::load(json.py(), || Tokenizer::from_bytes(bytes))
    }

    /// Reads a tokenizer file that is in memory.
    #[staticmethod]
    fn from_buffer(py: Python<'_>, buffer: &[u8]) -> PyResult<Self> {
        Self::load(py, || Tokenizer::from_bytes(buffer))
    }

    /// Reads tiktoken's ranks, with the pattern that splits texts (its `pat_str`) and the special tokens with their ids.
    ///
    /// Without `pattern` the ranks must be those of r50k_base, p50k_base, cl100k_base or o200k_base. Raises `ConfigError` for ranks
    /// that are not complete, `PatternError` for the pattern.
    #[staticmethod]
    #[pyo3(signature = (path, pattern=None, special_tokens=None))]
    fn from_tiktoken(
        py: Python<'_>,
        path: PathBuf,
        pattern: Option<&str>,
        special_tokens: Option<HashMap<String, u32>>,
    ) -> PyResult<Self> {
        let special_tokens: Vec<_> = special_tokens.unwrap_or_default().into_iter().collect();
        Self::load(py, || {
            let ranks = std::fs::read(&path).map_err(|source| Error::Io { path, source })?;
            Tokenizer::from_config(russet::formats::from_tiktoken(&ranks, pattern, &special_tokens)?)
        })
    }

    /// Reads the tokenizer of a folder, or of a repository on the Hub.
    #[staticmethod]
    #[pyo3(signature = (identifier, *, revision="main", token=None))]
    fn from_pretrained(py: Python<'_>, identifier: Any<'_, '_>, revision: &str, token: Option<&str>) -> PyResult<Self> {
        let path = py.import("russet.hub")?.call_method1("resolve_tokenizer", (identifier, revision, token))?;
        Self::from_file(py, path.extract()?)
    }

    /// Encodes a text or a pair; with `is_pretokenized` each is a list of words.
    ///
    /// `truncation` and `padding`: None is what the file says, False is off, an int is a length, a dict or `Truncation` or `Padding` says
    /// all. With `split_special_tokens`, special tokens in the text are ordinary text. Without `keep_text`, only ids can be asked for.
    /// With `errors="replace"`, a lone surrogate is U+FFFD, else a `TextError`.
    #[pyo3(signature = (text, pair=None, *, is_pretokenized=false, add_special_tokens=true, split_special_tokens=false,
                        truncation=None, padding=None, keep_text=true, errors="strict"))]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        text: Any<'_, 'py>,
        pair: Option<Any<'_, 'py>>,
        is_pretokenized: bool,
        add_special_tokens: bool,
        split_special_tokens: bool,
        truncation: Option<Any<'_, 'py>>,
        padding: Option<Any<'_, 'py>>,
        keep_text: bool,
        errors: &str,
    ) -> PyResult<PyEncoding> {
        let input = Single::new(text, pair, is_pretokenized, options::surrogates(py, errors)?)?;
        let call = self.call(add_special_tokens, split_special_tokens, truncation, padding, keep_text)?;
        self.encode_one(py, &input, &call)
    }

    /// Encodes many, on several threads. Each is a text, or a pair as a tuple or list of two. The rest is as in `encode`.
    #[pyo3(signature = (texts, *, is_pretokenized=false, add_special_tokens=true, split_special_tokens=false,
                        truncation=None, padding=None, keep_text=true, errors="strict"))]
    fn encode_batch<'py>(
        &self,
        py: Python<'py>,
        texts: Any<'_, 'py>,
        is_pretokenized: bool,
        add_special_tokens: bool,
        split_special_tokens: bool,
        truncation: Option<Any<'_, 'py>>,
        padding: Option<Any<'_, 'py>>,
        keep_text: bool,
        errors: &str,
    ) -> PyResult<Bound<'py, PyList>> {
        let inputs = Inputs::batch(texts, is_pretokenized, options::surrogates(py, errors)?)?;
        let call = self.call(add_special_tokens, split_special_tokens, truncation, padding, keep_text)?;
        encoding_list(py, self.run_batch(py, &inputs, &call, |pairs, options| self.core.encode_batch(pairs, options))?)
    }

    /// Encodes many to ids alone: all ids end to end as uint32, and where each text's begin as int64, one more than texts.
    #[pyo3(signature = (texts, *, is_pretokenized=false, add_special_tokens=true, split_special_tokens=false,
                        truncation=None, padding=None, errors="strict"))]
    fn encode_arrays<'py>(
        &self,
        py: Python<'py>,
        texts: Any<'_, 'py>,
        is_pretokenized: bool,
        add_special_tokens: bool,
        split_special_tokens: bool,
        truncation: Option<Any<'_, 'py>>,
        padding: Option<Any<'_, 'py>>,
        errors: &str,
    ) -> PyResult<(Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<i64>>)> {
        let inputs = Inputs::batch(texts, is_pretokenized, options::surrogates(py, errors)?)?;
        let call = self.call(add_special_tokens, split_special_tokens, truncation, padding, false)?;
        let (ids, splits) = self.run_batch(py, &inputs, &call, |pairs, options| self.core.encode_arrays(pairs, options))?;
        Ok((arrays::own(py, ids)?, PyArray1::from_vec(py, splits)))
    }

    /// The number of ids that `encode` gives.
    #[pyo3(signature = (text, pair=None, *, is_pretokenized=false, add_special_tokens=true, split_special_tokens=false,
                        truncation=None, padding=None, errors="strict"))]
    fn count<'py>(
        &self,
        py: Python<'py>,
        text: Any<'_, 'py>,
        pair: Option<Any<'_, 'py>>,
        is_pretokenized: bool,
        add_special_tokens: bool,
        split_special_tokens: bool,
        truncation: Option<Any<'_, 'py>>,
        padding: Option<Any<'_, 'py>>,
        errors: &str,
    ) -> PyResult<usize> {
        let input = Single::new(text, pair, is_pretokenized, options::surrogates(py, errors)?)?;
        let call = self.call(add_special_tokens, split_special_tokens, truncation, padding, false)?;
        self.run_single(py, &input, &call, |(text, pair), options| self.core.count(text, pair, options))
    }

    /// The text of ids. `on_unknown="skip"` leaves out ids that no token has; by default they are an `UnknownIdError`.
    #[pyo3(signature = (ids, *, skip_special_tokens=true, on_unknown="error"))]
    fn decode<'py>(
        &self,
        py: Python<'py>,
        ids: Any<'_, 'py>,
        skip_special_tokens: bool,
        on_unknown: &str,
    ) -> PyResult<Bound<'py, PyString>> {
        let (unknown, out_of_range) = unknown(py, on_unknown)?;
        let ids = inputs::ids(ids, out_of_range)?;
        let decode = |watch: Option<&dyn Watch>| self.core.decode_watched(&ids, skip_special_tokens, unknown, watch);
        strings::new(py, &detach::run(py, 4 * ids.len(), decode)?)
    }

    /// The text of each list of ids.
    #[pyo3(signature = (sequences, *, skip_special_tokens=true, on_unknown="error"))]
    fn decode_batch(
        &self,
        py: Python<'_>,
        sequences: Any<'_, '_>,
        skip_special_tokens: bool,
        on_unknown: &str,
    ) -> PyResult<Vec<String>> {
        let (unknown, out_of_range) = unknown(py, on_unknown)?;
        self.decode_many(py, sequences, skip_special_tokens, unknown, out_of_range)
    }

    /// A stream that takes ids one by one and gives text as soon as it is certain.
    #[pyo3(signature = (*, skip_special_tokens=true, on_unknown="error"))]
    fn decode_stream(&self, py: Python<'_>, skip_special_tokens: bool, on_unknown: &str) -> PyResult<PyDecodeStream> {
        Ok(PyDecodeStream::new(&self.core, skip_special_tokens, unknown(py, on_unknown)?.0))
    }

    /// An empty `Conversation`: a text that grows, and its ids, of which an append works out only the last.
    ///
    /// The ids are those that `encode` gives for the whole text with these two arguments, without truncation and padding. Raises
    /// `ArgumentError` where tokens are drawn (dropout), and where the post-processor puts a text's tokens more than once or not at all.
    #[pyo3(signature = (*, add_special_tokens=true, split_special_tokens=false))]
    fn conversation(&self, py: Python<'_>, add_special_tokens: bool, split_special_tokens: bool) -> PyResult<PyConversation> {
        detach::run(py, 0, |_| self.core.conversation(add_special_tokens, split_special_tokens)).map(PyConversation::from)
    }

    /// The id of a token, None if there is no such token.
    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.core.token_to_id(token)
    }

    /// The token of an id, None if there is no such id.
    fn id_to_token(&self, id: u32) -> Option<&str> {
        self.core.id_to_token(id)
    }

    /// All tokens and their ids.
    #[pyo3(signature = (with_added_tokens=true))]
    fn get_vocab<'py>(&self, py: Python<'py>, with_added_tokens: bool) -> PyResult<Bound<'py, PyDict>> {
        let vocab = PyDict::new(py);
        for (token, id) in self.core.vocab(with_added_tokens) {
            vocab.set_item(token, id)?;
        }
        Ok(vocab)
    }

    /// The number of tokens.
    #[pyo3(signature = (with_added_tokens=true))]
    fn get_vocab_size(&self, with_added_tokens: bool) -> usize {
        self.core.vocab_size(with_added_tokens)
    }

    /// The added tokens by id.
    fn get_added_tokens_decoder<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tokens = PyDict::new(py);
        for (id, token) in self.core.added_tokens() {
            tokens.set_item(id, PyAddedToken(token.clone()))?;
        }
        Ok(tokens)
    }

    /// How many special tokens are added to a sequence or a pair.
    #[pyo3(signature = (is_pair=false))]
    fn num_special_tokens_to_add(&self, is_pair: bool) -> usize {
        self.core.num_special_tokens_to_add(is_pair)
    }

    /// The bytes that the cache of words and pieces takes. It grows with what is encoded, up to `cache_limit`.
    #[getter]
    fn cache_bytes(&self) -> usize {
        self.core.cache_bytes()
    }

    /// The most bytes that the cache will take: 16 MiB if nothing else was said.
    #[getter]
    fn cache_limit(&self) -> usize {
        self.core.cache_limit()
    }

    /// The same tokenizer with a cache of its own, empty, of up to `limit` bytes.
    ///
    /// The cache grows in steps, to 0.2, 2.7, 15.7, 68 and 276 MiB. The first is always there.
    fn with_cache_limit(&self, limit: usize) -> Self {
        self.core.with_cache_limit(limit).into()
    }

    /// The file's truncation.
    #[getter]
    fn truncation(&self) -> Option<PyTruncation> {
        self.core.truncation().cloned().map(PyTruncation)
    }

    /// The file's padding.
    #[getter]
    fn padding(&self) -> Option<PyPadding> {
        self.core.padding().cloned().map(PyPadding)
    }

    /// The text of a tokenizer.json.
    #[pyo3(signature = (pretty=false))]
    fn to_str(&self, py: Python<'_>, pretty: bool) -> PyResult<String> {
        detach::run(py, usize::MAX, |_| Ok(self.saved(pretty)))
    }

    /// Writes a tokenizer.json.
    #[pyo3(signature = (path, pretty=true))]
    fn save(&self, py: Python<'_>, path: PathBuf, pretty: bool) -> PyResult<()> {
        detach::run(py, usize::MAX, |_| {
            std::fs::write(&path, self.saved(pretty)).map_err(|source| russet::Error::Io { path, source })
        })
    }

    /// Saves the compiled tokenizer for `from_compiled`: a cache beside tokenizer.json, for this version of Russet only.
    fn save_compiled(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        detach::run(py, usize::MAX, |_| self.core.save_compiled(path))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let py = slf.py();
        let tokenizer = slf.get();
        let saved = detach::run(py, usize::MAX, |_| Ok(tokenizer.saved(false)))?;
        Ok((slf.get_type().getattr("from_buffer")?, (PyBytes::new(py, saved.as_bytes()),)))
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: Any<'_, '_>) -> Py<Self> {
        slf
    }

    fn __eq__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let Ok(other) = other.cast::<Self>() else { return Ok(py.NotImplemented()) };
        let (one, two) = (slf.get(), other.get());
        let same = slf.is(other) || detach::run(py, usize::MAX, |_| Ok(one.core.to_config() == two.core.to_config()))?;
        Ok(PyBool::new(py, same).to_owned().into_any().unbind())
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<u64> {
        detach::run(py, usize::MAX, |_| Ok(self.saved_hash()))
    }

    #[getter]
    fn _model_type(&self) -> &'static str {
        self.core.model().kind()
    }

    fn __repr__(&self) -> String {
        let kind = self._model_type();
        let (vocab, added) = (self.core.vocab_size(false), self.core.added_tokens().count());
        format!("Tokenizer(model={kind}, vocab_size={vocab}, added_tokens={added})")
    }

    // For russet.tokenizers: what its own `encode` and the others do.

    #[pyo3(signature = (text, pair, is_pretokenized, add_special_tokens, split_special_tokens, truncation, padding, /))]
    fn _encode<'py>(
        &self,
        py: Python<'py>,
        text: Any<'_, 'py>,
        pair: Option<Any<'_, 'py>>,
        is_pretokenized: bool,
        add_special_tokens: bool,
        split_special_tokens: bool,
        truncation: Option<&PyTruncation>,
        padding: Option<&PyPadding>,
    ) -> PyResult<PyEncoding> {
        let input = Single::new(text, pair, is_pretokenized, Surrogates::Refuse)?;
        let call = lenient_call(add_special_tokens, split_special_tokens, truncation, padding, false);
        self.encode_one(py, &input, &call)
    }

    #[pyo3(signature = (texts, is_pretokenized, add_special_tokens, split_special_tokens, truncation, padding, blank, /))]
    fn _encode_batch<'py>(
        &self,
        py: Python<'py>,
        texts: Any<'_, 'py>,
        is_pretokenized: bool,
        add_special_tokens: bool,
        split_special_tokens: bool,
        truncation: Option<&PyTruncation>,
        padding: Option<&PyPadding>,
        blank: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let inputs = Inputs::batch(texts, is_pretokenized, Surrogates::Refuse)?;
        let call = lenient_call(add_special_tokens, split_special_tokens, truncation, padding, blank);
        encoding_list(py, self.run_batch(py, &inputs, &call, |pairs, options| self.core.encode_batch(pairs, options))?)
    }

    #[pyo3(signature = (encoding, pair, add_special_tokens, truncation, padding, /))]
    fn _post_process(
        &self,
        py: Python<'_>,
        encoding: &PyEncoding,
        pair: Option<&PyEncoding>,
        add_special_tokens: bool,
        truncation: Option<&PyTruncation>,
        padding: Option<&PyPadding>,
    ) -> PyResult<PyEncoding> {
        let call = lenient_call(add_special_tokens, false, truncation, padding, false);
        let (first, second) = (encoding.core.clone(), pair.map(|pair| pair.core.clone()));
        detach::run(py, 0, |watch| self.core.post_process(first, second, &call.options(watch))).map(PyEncoding::from)
    }

    #[pyo3(signature = (ids, skip_special_tokens, /))]
    fn _decode<'py>(&self, py: Python<'py>, ids: Any<'_, 'py>, skip_special_tokens: bool) -> PyResult<Bound<'py, PyString>> {
        let ids = inputs::ids(ids, OutOfRange::Overflow)?;
        let decode = |watch: Option<&dyn Watch>| self.core.decode_watched(&ids, skip_special_tokens, OnUnknown::Skip, watch);
        strings::new(py, &detach::run(py, 4 * ids.len(), decode)?)
    }

    #[pyo3(signature = (sequences, skip_special_tokens, /))]
    fn _decode_batch(&self, py: Python<'_>, sequences: Any<'_, '_>, skip_special_tokens: bool) -> PyResult<Vec<String>> {
        self.decode_many(py, sequences, skip_special_tokens, OnUnknown::Skip, OutOfRange::Overflow)
    }

    /// A tokenizer with more added tokens, each given as content, single_word, lstrip, rstrip, normalized, special.
    fn _with_added_tokens(
        &self,
        py: Python<'_>,
        tokens: Vec<(String, bool, bool, bool, bool, bool)>,
    ) -> PyResult<(PyTokenizer, usize)> {
        let token = |(content, single_word, lstrip, rstrip, normalized, special)| AddedToken {
            content,
            single_word,
            lstrip,
            rstrip,
            normalized,
            special,
        };
        let tokens: Vec<AddedToken> = tokens.into_iter().map(token).collect();
        let (core, count) = detach::run(py, usize::MAX, |_| self.core.with_added_tokens(&tokens))?;
        Ok((core.into(), count))
    }

    /// A tokenizer with another part, given in its saved form.
    fn _with_part(&self, py: Python<'_>, part: &str, saved: Option<&str>) -> PyResult<PyTokenizer> {
        let core = &self.core;
        Self::load(py, || match part {
            "normalizer" => core.with_normalizer(saved.map(formats::read_normalizer).transpose()?),
            "pre_tokenizer" => core.with_pre_tokenizer(saved.map(formats::read_pre_tokenizer).transpose()?),
            "post_processor" => core.with_post_processor(saved.map(formats::read_post_processor).transpose()?),
            "decoder" => core.with_decoder(saved.map(formats::read_decoder).transpose()?),
            _ => core.with_model(formats::read_model(saved.unwrap_or_default())?),
        })
    }

    /// The saved form of a part.
    fn _part(&self, py: Python<'_>, part: &str, pretty: bool) -> PyResult<Option<String>> {
        let core = &self.core;
        detach::run(py, usize::MAX, |_| {
            Ok(match part {
                "normalizer" => core.normalizer_config().map(|config| formats::write_normalizer(config, pretty)),
                "pre_tokenizer" => core.pre_tokenizer_config().map(|config| formats::write_pre_tokenizer(config, pretty)),
                "post_processor" => core.post_processor_config().map(|config| formats::write_post_processor(config, pretty)),
                "decoder" => core.decoder_config().map(|config| formats::write_decoder(config, pretty)),
                _ => Some(formats::write_model(&core.model().to_config(), pretty)),
            })
        })
    }

    /// A tokenizer whose saved form has other truncation and padding.
    fn _with_limits(&self, truncation: Option<&PyTruncation>, padding: Option<&PyPadding>) -> PyTokenizer {
        let limits = (truncation.map(|truncation| truncation.0.clone()), padding.map(|padding| padding.0.clone()));
        self.core.with_limits(limits.0, limits.1).into()
    }

    fn _normalize_str(&self, text: &Bound<'_, PyString>) -> PyResult<String> {
        with_text(text, |text| self.core.normalize_str(text))
    }

    fn _pre_tokenize_str(&self, text: &Bound<'_, PyString>) -> PyResult<Vec<(String, (usize, usize))>> {
        with_text(text, |text| self.core.pre_tokenize_str(text))
    }

    fn _tokenize(&self, piece: &Bound<'_, PyString>) -> PyResult<Vec<(u32, String, (usize, usize))>> {
        with_text(piece, |piece| self.core.tokenize_piece(piece))
    }

    fn _decode_tokens(&self, py: Python<'_>, tokens: Vec<String>) -> PyResult<String> {
        let tokens: StringList = tokens.into_iter().collect();
        detach::run(py, tokens.text().len(), |_| self.core.decode_tokens(tokens))
    }

    fn _model_token_to_id(&self, token: &str) -> Option<u32> {
        self.core.model().token_to_id(token)
    }

    fn _model_id_to_token(&self, id: u32) -> Option<&str> {
        self.core.model().id_to_token(id)
    }
}

impl PyTokenizer {
    fn call<'a>(
        &'a self,
        add_special_tokens: bool,
        split_special_tokens: bool,
        truncation: Option<&'a Bound<'_, PyAny>>,
        padding: Option<&'a Bound<'_, PyAny>>,
        keep_text: bool,
    ) -> PyResult<Call<'a>> {
        Ok(Call {
            add_special_tokens,
            split_special_tokens,
            truncation: options::truncation(truncation, self.core.truncation())?,
            padding: options::padding(padding, self.core.padding())?,
            ignore_short_max_length: false,
            keep: if keep_text { Keep::Text } else { Keep::Nothing },
        })
    }

    fn decode_many(
        &self,
        py: Python<'_>,
        sequences: Any<'_, '_>,
        skip_special_tokens: bool,
        unknown: OnUnknown,
        out_of_range: OutOfRange,
    ) -> PyResult<Vec<String>> {
        let sequences: Vec<Bound<'_, PyAny>> = sequences.extract()?;
        let sequences = sequences.iter().map(|ids| inputs::ids(ids, out_of_range)).collect::<PyResult<Vec<_>>>()?;
        let tokens: usize = sequences.iter().map(Vec::len).sum();
        detach::run(py, 4 * tokens, |_| sequences.iter().map(|ids| self.core.decode(ids, skip_special_tokens, unknown)).collect())
    }
}

fn lenient_call<'a>(
    add_special_tokens: bool,
    split_special_tokens: bool,
    truncation: Option<&'a PyTruncation>,
    padding: Option<&'a PyPadding>,
    blank: bool,
) -> Call<'a> {
    Call {
        add_special_tokens,
        split_special_tokens,
        truncation: truncation.map(|truncation| Cow::Borrowed(&truncation.0)),
        padding: padding.map(|padding| Cow::Borrowed(&padding.0)),
        ignore_short_max_length: true,
        keep: if blank { Keep::Blanks } else { Keep::Text },
    }
}

fn unknown(py: Python<'_>, on_unknown: &str) -> PyResult<(OnUnknown, OutOfRange)> {
    match on_unknown {
        "error" => Ok((OnUnknown::Error, OutOfRange::Unknown)),
        "skip" => Ok((OnUnknown::Skip, OutOfRange::Skip)),
        other => Err(argument(py, "on_unknown", format!("{other:?} is not one of \"error\", \"skip\""))),
    }
}

/// What runs a regular expression: raises `PatternError` if nothing does.
#[pyfunction]
#[pyo3(name = "_pattern_engine")]
pub fn pattern_engine(py: Python<'_>, pattern: &str) -> PyResult<String> {
    detach::run(py, 0, |_| Ok(russet::regex::Regex::new(pattern)?.engine()))
}
