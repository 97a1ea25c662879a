//! `russet.DecodeStream`, and the stream of `russet.tokenizers`.

use pyo3::prelude::*;
use russet::decoders::{DecodeStream, ReferenceStream};
use russet::{OnUnknown, Tokenizer};
use std::sync::Mutex;

use crate::detach::{self, lock};
use crate::inputs::{self, OutOfRange};
use crate::tokenizer::PyTokenizer;

/// Text from ids as they come. What the steps and `finish` give, end to end, is what `decode` gives for all ids.
#[pyclass(frozen, module = "russet", name = "DecodeStream")]
pub struct PyDecodeStream {
    core: Tokenizer,
    skip_special_tokens: bool,
    on_unknown: OnUnknown,
    /// Locked for one step, which stays attached to the interpreter and calls nothing in it.
    stream: Mutex<DecodeStream>,
}

impl PyDecodeStream {
    pub fn new(core: &Tokenizer, skip_special_tokens: bool, on_unknown: OnUnknown) -> Self {
        Self { core: core.clone(), skip_special_tokens, on_unknown, stream: Mutex::default() }
    }
}

#[pymethods]
impl PyDecodeStream {
    /// The text that is certain with this id; it may be empty.
    fn step(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<String> {
        let out_of_range = if self.on_unknown == OnUnknown::Skip { OutOfRange::Skip } else { OutOfRange::Unknown };
        let Some(id) = inputs::id(id, 0, out_of_range)? else { return Ok(String::new()) };
        let source = self.core.tokens(self.skip_special_tokens, self.on_unknown);
        let mut text = String::new();
        detach::run(py, 0, |_| lock(&self.stream).step_into(&source, id, &mut text).map(|()| text))
    }

    /// The text that was held back. The stream is at its beginning again.
    fn finish(&self, py: Python<'_>) -> PyResult<String> {
        let source = self.core.tokens(self.skip_special_tokens, self.on_unknown);
        let mut text = String::new();
        detach::run(py, 0, |_| lock(&self.stream).finish_into(&source, &mut text).map(|()| text))
    }
}

/// The stream of `russet.tokenizers.decoders.DecodeStream`.
#[pyclass(frozen, module = "russet._core", name = "_ReferenceStream")]
pub struct PyReferenceStream {
    skip_special_tokens: bool,
    stream: Mutex<(ReferenceStream, Option<Py<PyTokenizer>>)>,
}

#[pymethods]
impl PyReferenceStream {
    #[new]
    fn new(ids: &Bound<'_, PyAny>, skip_special_tokens: bool) -> PyResult<Self> {
        let stream = ReferenceStream::new(inputs::ids(ids, OutOfRange::Overflow)?);
        Ok(Self { skip_special_tokens, stream: Mutex::new((stream, None)) })
    }

    fn step(&self, tokenizer: &Bound<'_, PyTokenizer>, ids: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
        let ids = inputs::ids(ids, OutOfRange::Overflow)?;
        let source = tokenizer.get().core.tokens(self.skip_special_tokens, OnUnknown::Skip);
        let given = tokenizer.clone().unbind();
        let mut replaced = None;
        let text = detach::run(tokenizer.py(), 0, |_| {
            let (stream, last) = &mut *lock(&self.stream);
            if !last.as_ref().is_some_and(|last| last.is(&given)) {
                stream.forget_source();
                replaced = last.replace(given);
            }
            stream.step(&source, &ids)
        });
        drop(replaced); // outside of the lock: it can end a Python object
        text
    }

    fn __copy__(&self) -> Self {
        let stream = lock(&self.stream).0.clone();
        Self { skip_special_tokens: self.skip_special_tokens, stream: Mutex::new((stream, None)) }
    }
}
