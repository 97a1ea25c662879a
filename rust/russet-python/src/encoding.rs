//! `russet.Encoding`.

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use russet::padding::PaddingDirection;
use russet::{Encoding, Fields, Offsets};
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use crate::error::exception;
use crate::lists::{integer_list, list, RangeList};
use crate::options::{padding_direction, truncation_direction};
use crate::tokens::token_list;
use crate::{arrays, detach};

type IntegerList<'py> = PyResult<Bound<'py, PyList>>;

/// What a text or a pair was encoded to. Ids are there at once; everything else is computed when first asked for.
#[pyclass(frozen, module = "russet", name = "Encoding")]
pub struct PyEncoding {
    pub core: Encoding,
    /// The ids in one place, where the core has them in several.
    joined: OnceLock<Box<[u32]>>,
}

impl From<Encoding> for PyEncoding {
    fn from(core: Encoding) -> Self {
        Self { core, joined: OnceLock::new() }
    }
}

/// The list of `encodings`.
pub fn encoding_list(py: Python<'_>, encodings: Vec<Encoding>) -> IntegerList<'_> {
    let objects = encodings.into_iter().map(|encoding| Bound::new(py, PyEncoding::from(encoding)));
    PyList::new(py, objects.collect::<PyResult<Vec<_>>>()?)
}

impl PyEncoding {
    /// The ids in one place.
    pub fn flat_ids(&self) -> &[u32] {
        match self.core.ids() {
            Cow::Borrowed(ids) => ids,
            Cow::Owned(ids) => self.joined.get_or_init(|| ids.into()),
        }
    }

    /// Asks the core for a field, which may mean to encode the text once more.
    fn ask<'a, T: Send>(&'a self, py: Python<'_>, field: impl FnOnce(&'a Encoding) -> russet::Result<T> + Send) -> PyResult<T> {
        detach::run(py, 4 * self.core.len(), |_| field(&self.core))
    }
}

#[pymethods]
impl PyEncoding {
    /// The ids.
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> IntegerList<'py> {
        integer_list(py, self.flat_ids())
    }

    /// The ids as a read-only uint32 array, without a copy.
    #[getter]
    fn ids_array<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyArray1<u32>>> {
        arrays::ids(slf)
    }

    /// Which part of a pair each token belongs to.
    #[getter]
    fn type_ids<'py>(&self, py: Python<'py>) -> IntegerList<'py> {
        integer_list(py, &self.core.type_ids())
    }

    /// The text of each token.
    #[getter]
    fn tokens<'py>(&self, py: Python<'py>) -> IntegerList<'py> {
        token_list(py, &self.core)
    }

    /// The characters of the text that each token stands for: first, and one past the last.
    #[getter]
    fn offsets<'py>(&self, py: Python<'py>) -> IntegerList<'py> {
        self.ask(py, Encoding::locate)?;
        let mut ranges = RangeList::new(py, self.core.len())?;
        self.core.for_each_offset(|range| ranges.push(range), |error| exception(py, &error))?;
        ranges.finish()
    }

    /// The same in bytes of the text's UTF-8.
    #[getter]
    fn byte_offsets<'py>(&self, py: Python<'py>) -> IntegerList<'py> {
        list(py, &self.ask(py, Encoding::byte_offsets)?, |byte_offset| Ok(*byte_offset))
    }

    /// 0 for padding, else 1.
    #[getter]
    fn attention_mask<'py>(&self, py: Python<'py>) -> IntegerList<'py> {
        integer_list(py, &self.core.attention_mask())
    }

    /// 1 for special tokens and padding, else 0.
    #[getter]
    fn special_tokens_mask<'py>(&self, py: Python<'py>) -> IntegerList<'py> {
        integer_list(py, &self.core.special_tokens_mask())
    }

    /// The index of the piece, or given word, that each token comes from.
    #[getter]
    fn word_ids<'py>(&self, py: Python<'py>) -> IntegerList<'py> {
        list(py, &self.ask(py, Encoding::word_ids)?, |word_id| Ok(*word_id))
    }

    /// The sequence that each token comes from.
    #[getter]
    fn sequence_ids<'py>(&self, py: Python<'py>) -> IntegerList<'py> {
        list(py, &self.core.sequence_ids(), |id| Ok(*id))
    }

    /// The number of sequences.
    #[getter]
    fn n_sequences(&self) -> usize {
        self.core.n_sequences()
    }

    /// The parts that truncation cut off.
    #[getter]
    fn overflowing<'py>(&self, py: Python<'py>) -> IntegerList<'py> {
        encoding_list(py, self.core.overflowing().to_vec())
    }

    /// The token that contains a character.
    #[pyo3(signature = (char_pos, sequence_index=0))]
    fn char_to_token(&self, py: Python<'_>, char_pos: usize, sequence_index: usize) -> PyResult<Option<usize>> {
        self.ask(py, |encoding| encoding.char_to_token(char_pos, sequence_index))
    }

    /// The word that contains a character.
    #[pyo3(signature = (char_pos, sequence_index=0))]
    fn char_to_word(&self, py: Python<'_>, char_pos: usize, sequence_index: usize) -> PyResult<Option<u32>> {
        self.ask(py, |encoding| encoding.char_to_word(char_pos, sequence_index))
    }

    /// The characters of a token.
    fn token_to_chars(&self, py: Python<'_>, token_index: usize) -> PyResult<Option<Offsets>> {
        Ok(self.ask(py, |encoding| encoding.token_to_chars(token_index))?.map(|(_, offsets)| offsets))
    }

    /// The word of a token.
    fn token_to_word(&self, py: Python<'_>, token_index: usize) -> PyResult<Option<u32>> {
        Ok(self.ask(py, |encoding| encoding.token_to_word(token_index))?.map(|(_, word)| word))
    }

    /// The sequence of a token.
    fn token_to_sequence(&self, token_index: usize) -> Option<usize> {
        self.core.token_to_sequence(token_index)
    }

    /// The tokens of a word.
    #[pyo3(signature = (word_index, sequence_index=0))]
    fn word_to_tokens(&self, py: Python<'_>, word_index: u32, sequence_index: usize) -> PyResult<Option<(usize, usize)>> {
        self.ask(py, |encoding| encoding.word_to_tokens(word_index, sequence_index))
    }

    /// The characters of a word.
    #[pyo3(signature = (word_index, sequence_index=0))]
    fn word_to_chars(&self, py: Python<'_>, word_index: u32, sequence_index: usize) -> PyResult<Option<Offsets>> {
        self.ask(py, |encoding| encoding.word_to_chars(word_index, sequence_index))
    }

    /// The same, cut to `max_length`; what is cut off is `overflowing`.
    #[pyo3(signature = (max_length, stride=0, direction="right"))]
    fn truncated(&self, py: Python<'_>, max_length: usize, stride: usize, direction: &str) -> PyResult<Self> {
        let direction = truncation_direction(py, direction)?;
        let mut core = self.core.clone();
        self.ask(py, |_| core.truncate(max_length, stride, direction).map(|()| core)).map(Self::from)
    }

    /// The same, filled up to `length`.
    #[pyo3(signature = (length, direction="right", pad_id=0, pad_type_id=0, pad_token="[PAD]"))]
    fn padded(
        &self,
        py: Python<'_>,
        length: usize,
        direction: &str,
        pad_id: u32,
        pad_type_id: u32,
        pad_token: &str,
    ) -> PyResult<Self> {
        let is_left = padding_direction(py, direction)? == PaddingDirection::Left;
        let token: Arc<str> = pad_token.into();
        let mut core = self.core.clone();
        self.ask(py, |encoding| {
            russet::padding::check_cells(encoding.cells(length))?;
            core.pad(length, pad_id, pad_type_id, &token, is_left);
            Ok(core)
        })
        .map(Self::from)
    }

    /// One after the other. With `growing_offsets`, offsets go on where those of the one before end.
    #[staticmethod]
    #[pyo3(signature = (encodings, growing_offsets=true))]
    fn merged(py: Python<'_>, encodings: Vec<Bound<'_, PyEncoding>>, growing_offsets: bool) -> PyResult<Self> {
        let cores: Vec<Encoding> = encodings.iter().map(|encoding| encoding.get().core.clone()).collect();
        let tokens: usize = cores.iter().map(Encoding::len).sum();
        detach::run(py, 4 * tokens, |_| Encoding::merge(cores, growing_offsets)).map(Self::from)
    }

    /// The same, said to come from the given sequence.
    fn with_sequence_id(&self, sequence_id: usize) -> Self {
        let mut core = self.core.clone();
        core.set_sequence_id(sequence_id);
        core.into()
    }

    /// All fields, to be given to `_from_fields`.
    fn _fields<'py>(&self, py: Python<'py>) -> PyResult<[Bound<'py, PyList>; 9]> {
        let ranges = self.core.sequences().iter().map(|(index, range)| (*index, (range.start, range.end)));
        Ok([
            self.ids(py)?,
            self.type_ids(py)?,
            self.tokens(py)?,
            self.word_ids(py)?,
            self.offsets(py)?,
            self.special_tokens_mask(py)?,
            self.attention_mask(py)?,
            self.overflowing(py)?,
            PyList::new(py, ranges.collect::<Vec<_>>())?,
        ])
    }

    #[staticmethod]
    fn _from_fields(
        py: Python<'_>,
        ids: Vec<u32>,
        type_ids: Vec<u32>,
        tokens: Vec<String>,
        word_ids: Vec<Option<u32>>,
        offsets: Vec<Offsets>,
        special_tokens_mask: Vec<u32>,
        attention_mask: Vec<u32>,
        overflowing: Vec<Bound<'_, PyEncoding>>,
        sequences: Vec<(usize, (usize, usize))>,
    ) -> PyResult<Self> {
        let overflowing = overflowing.iter().map(|part| part.get().core.clone()).collect();
        let sequences = sequences.into_iter().map(|(index, (start, end))| (index, start..end)).collect();
        let tokens = tokens.iter().collect();
        let fields =
            Fields { ids, type_ids, tokens, word_ids, offsets, special_tokens_mask, attention_mask, overflowing, sequences };
        detach::run(py, 0, |_| Encoding::from_fields(fields)).map(Self::from)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        Ok((slf.get_type().getattr("_from_fields")?, PyTuple::new(slf.py(), slf.get()._fields(slf.py())?)?))
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __len__(&self) -> usize {
        self.core.len()
    }

    fn __repr__(&self) -> String {
        format!("Encoding(num_tokens={})", self.core.len())
    }
}
