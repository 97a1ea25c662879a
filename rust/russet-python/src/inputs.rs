//! What Python gives to encode and to decode: texts, words, pairs, batches, ids.

use numpy::{PyArray1, PyArrayMethods};
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};
use russet::{Input, InputPair};
use std::ops::Range;

use crate::error::classes;
use crate::lists::{integers, pause, PIECE};
use crate::strings::{Surrogates, Text};

enum Part {
    Text(usize),
    Words(Range<usize>),
}

/// The inputs of a call, kept alive while the core works on them.
pub struct Inputs<'py> {
    surrogates: Surrogates,
    is_pretokenized: bool,
    texts: Vec<Text<'py>>,
    items: Vec<(Part, Option<Part>)>,
}

impl<'py> Inputs<'py> {
    fn new(is_pretokenized: bool, surrogates: Surrogates, capacity: usize) -> Self {
        let (texts, items) = (Vec::with_capacity(capacity), Vec::with_capacity(capacity));
        Self { surrogates, is_pretokenized, texts, items }
    }

    /// A batch: each item is a text, or a pair of texts as a tuple or list of two.
    pub fn batch(items: &Bound<'py, PyAny>, is_pretokenized: bool, surrogates: Surrogates) -> PyResult<Self> {
        let items: Vec<Bound<'py, PyAny>> = items.extract()?;
        let mut inputs = Self::new(is_pretokenized, surrogates, items.len());
        for item in &items {
            let is_single = if is_pretokenized { words(item).is_some_and(|words| words.iter().all(is_str)) } else { is_str(item) };
            let item = if is_single {
                (inputs.part(item)?, None)
            } else {
                let pair: Vec<Bound<'py, PyAny>> = item.extract().unwrap_or_default();
                let [first, second] = pair.as_slice() else {
                    return Err(PyTypeError::new_err(match is_pretokenized {
                        true => {
                            "PreTokenizedEncodeInput must be Union[PreTokenizedInputSequence, \
                                 Tuple[PreTokenizedInputSequence, PreTokenizedInputSequence]]"
                        }
                        false => "TextEncodeInput must be Union[TextInputSequence, Tuple[InputSequence, InputSequence]]",
                    }));
                };
                (inputs.part(first)?, Some(inputs.part(second)?))
            };
            inputs.items.push(item);
        }
        Ok(inputs)
    }

    fn part(&mut self, value: &Bound<'py, PyAny>) -> PyResult<Part> {
        if !self.is_pretokenized {
            self.texts.push(one_text(value, self.surrogates)?);
            return Ok(Part::Text(self.texts.len() - 1));
        }
        let refused = || PyTypeError::new_err("PreTokenizedInputSequence must be Union[List[str], Tuple[str]]");
        let first = self.texts.len();
        for word in words(value).ok_or_else(refused)? {
            self.texts.push(Text::new(word.cast::<PyString>().map_err(|_| refused())?, self.surrogates)?);
        }
        Ok(Part::Words(first..self.texts.len()))
    }

    /// All texts as UTF-8, to be given to [`pairs`](Self::pairs).
    pub fn views(&self) -> PyResult<Vec<&str>> {
        self.texts.iter().map(Text::as_str).collect()
    }

    /// The items over those texts.
    pub fn pairs<'a>(&self, views: &'a [&'a str]) -> Vec<InputPair<'a>> {
        let input = |part: &Part| match part {
            Part::Text(index) => Input::Text(views[*index]),
            Part::Words(range) => Input::Words(&views[range.clone()]),
        };
        self.items.iter().map(|(first, second)| (input(first), second.as_ref().map(input))).collect()
    }
}

/// One text or pair: a text alone needs no lists.
pub enum Single<'py> {
    Text(Text<'py>),
    Parts(Inputs<'py>),
}

impl<'py> Single<'py> {
    pub fn new(
        text: &Bound<'py, PyAny>,
        pair: Option<&Bound<'py, PyAny>>,
        is_pretokenized: bool,
        surrogates: Surrogates,
    ) -> PyResult<Self> {
        if !is_pretokenized && pair.is_none() {
            return Ok(Self::Text(one_text(text, surrogates)?));
        }
        let mut inputs = Inputs::new(is_pretokenized, surrogates, 1);
        let first = inputs.part(text)?;
        let second = pair.map(|pair| inputs.part(pair)).transpose()?;
        inputs.items.push((first, second));
        Ok(Self::Parts(inputs))
    }

    /// Gives the input and its bytes to `work`.
    pub fn read<T>(&self, work: impl FnOnce(InputPair<'_>, usize) -> PyResult<T>) -> PyResult<T> {
        match self {
            Self::Text(text) => {
                let view = text.as_str()?;
                work((Input::Text(view), None), view.len())
            }
            Self::Parts(inputs) => {
                let views = inputs.views()?;
                let pairs = inputs.pairs(&views);
                let [pair] = pairs.as_slice() else { return Err(PyTypeError::new_err("one input is encoded at a time")) };
                work(*pair, bytes(&views))
            }
        }
    }
}

/// How many bytes texts have.
pub fn bytes(views: &[&str]) -> usize {
    views.iter().map(|view| view.len()).sum()
}

fn one_text<'py>(text: &Bound<'py, PyAny>, surrogates: Surrogates) -> PyResult<Text<'py>> {
    Text::new(text.cast::<PyString>().map_err(|_| PyTypeError::new_err("TextInputSequence must be str"))?, surrogates)
}

fn is_str(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyString>()
}

fn words<'py>(value: &Bound<'py, PyAny>) -> Option<Vec<Bound<'py, PyAny>>> {
    if let Ok(list) = value.cast::<PyList>() {
        return Some(list.iter().collect());
    }
    value.cast::<PyTuple>().ok().map(|tuple| tuple.iter().collect())
}

/// What to do with numbers that cannot be ids at all, being negative or above 32 bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OutOfRange {
    /// `UnknownIdError`, as for every id that is not in the vocabulary.
    Unknown,
    /// Leave them out.
    Skip,
    /// `OverflowError`.
    Overflow,
}

/// Token ids: a NumPy array, a list, or any other sequence of integers.
pub fn ids(value: &Bound<'_, PyAny>, out_of_range: OutOfRange) -> PyResult<Vec<u32>> {
    if let Ok(array) = value.cast::<PyArray1<u32>>() {
        return Ok(array.try_readonly()?.as_array().to_vec());
    }
    let narrow = |id: &i64| u32::try_from(*id).ok();
    if let Ok(array) = value.cast::<PyArray1<i64>>() {
        if let Some(ids) = array.try_readonly()?.as_array().iter().map(narrow).collect() {
            return Ok(ids);
        }
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        return match integers(list)? {
            Some(ids) => Ok(ids),
            None => collect_ids(value.py(), list.iter(), out_of_range),
        };
    }
    let items: Vec<Bound<'_, PyAny>> = value.extract()?;
    collect_ids(value.py(), items.into_iter(), out_of_range)
}

fn collect_ids<'py>(
    py: Python<'py>,
    items: impl ExactSizeIterator<Item = Bound<'py, PyAny>>,
    out_of_range: OutOfRange,
) -> PyResult<Vec<u32>> {
    let mut ids = Vec::with_capacity(items.len());
    for (position, item) in items.enumerate() {
        match item.extract::<u32>() {
            Ok(id) => ids.push(id),
            Err(_) => ids.extend(id(&item, position, out_of_range)?),
        }
        if position % PIECE == PIECE - 1 {
            pause(py)?;
        }
    }
    Ok(ids)
}

/// One token id, None if it is out of range and to be left out.
pub fn id(item: &Bound<'_, PyAny>, position: usize, out_of_range: OutOfRange) -> PyResult<Option<u32>> {
    let py = item.py();
    match item.extract::<u32>() {
        Ok(id) => Ok(Some(id)),
        Err(error) if out_of_range == OutOfRange::Overflow || !error.is_instance_of::<PyOverflowError>(py) => Err(error),
        Err(_) if out_of_range == OutOfRange::Skip => Ok(None),
        Err(_) => {
            let message =
                format!("ids[{position}]: {item} is not in the vocabulary (pass on_unknown=\"skip\" to leave such ids out)");
            let error = classes(py)?.getattr(intern!(py, "UnknownIdError"))?.call1((message,))?;
            error.setattr("id", item)?;
            error.setattr("position", position)?;
            Err(PyErr::from_value(error))
        }
    }
}
