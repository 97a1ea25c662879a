//! The keywords of a call: truncation, padding and the rest; and `AddedToken`.

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict};
use russet::added_tokens::AddedToken;
use russet::padding::{Padding, PaddingDirection, PaddingStrategy};
use russet::truncation::{Truncation, TruncationDirection, TruncationStrategy};
use russet::{EncodeOptions, Keep, Watch};
use std::borrow::Cow;

use crate::error::argument;
use crate::strings::Surrogates;

/// How texts are cut to a length.
///
/// `max_length` counts special tokens. `stride` tokens of each part are repeated at the start of the next. `strategy` is
/// "longest_first", "only_first" or "only_second"; `direction` is the side that is cut, "right" or "left".
#[pyclass(frozen, eq, from_py_object, module = "russet", name = "Truncation")]
#[derive(Clone, PartialEq)]
pub struct PyTruncation(pub Truncation);

#[pymethods]
impl PyTruncation {
    #[new]
    #[pyo3(signature = (max_length, stride=0, strategy="longest_first", direction="right"))]
    fn new(py: Python<'_>, max_length: usize, stride: usize, strategy: &str, direction: &str) -> PyResult<Self> {
        let strategy = match strategy {
            "longest_first" => TruncationStrategy::LongestFirst,
            "only_first" => TruncationStrategy::OnlyFirst,
            "only_second" => TruncationStrategy::OnlySecond,
            other => {
                let message = format!("{other:?} is not one of \"longest_first\", \"only_first\", \"only_second\"");
                return Err(argument(py, "strategy", message));
            }
        };
        let direction = truncation_direction(py, direction)?;
        Ok(Self(Truncation { direction, max_length, strategy, stride }))
    }

    #[getter]
    fn max_length(&self) -> usize {
        self.0.max_length
    }

    #[getter]
    fn stride(&self) -> usize {
        self.0.stride
    }

    #[getter]
    fn strategy(&self) -> &'static str {
        match self.0.strategy {
            TruncationStrategy::LongestFirst => "longest_first",
            TruncationStrategy::OnlyFirst => "only_first",
            TruncationStrategy::OnlySecond => "only_second",
        }
    }

    #[getter]
    fn direction(&self) -> &'static str {
        match self.0.direction {
            TruncationDirection::Left => "left",
            TruncationDirection::Right => "right",
        }
    }

    fn __repr__(&self) -> String {
        let (max_length, stride, strategy, direction) = (self.max_length(), self.stride(), self.strategy(), self.direction());
        format!("Truncation(max_length={max_length}, stride={stride}, strategy='{strategy}', direction='{direction}')")
    }

    fn __hash__(&self) -> usize {
        self.0.max_length ^ (self.0.stride << 32)
    }

    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<(Py<PyAny>, (usize, usize, &'static str, &'static str))> {
        let value = slf.get();
        let arguments = (value.max_length(), value.stride(), value.strategy(), value.direction());
        Ok((slf.get_type().into_any().unbind(), arguments))
    }
}

/// The side that is cut.
pub fn truncation_direction(py: Python<'_>, direction: &str) -> PyResult<TruncationDirection> {
    match direction {
        "left" => Ok(TruncationDirection::Left),
        "right" => Ok(TruncationDirection::Right),
        other => Err(argument(py, "direction", format!("{other:?} is not one of \"left\", \"right\""))),
    }
}

/// How texts are filled up to a length.
///
/// `length` is None for that of the longest of the batch. `direction` is the side that is filled, "right" or "left".
#[pyclass(frozen, eq, from_py_object, module = "russet", name = "Padding")]
#[derive(Clone, PartialEq)]
pub struct PyPadding(pub Padding);

#[pymethods]
impl PyPadding {
    #[new]
    #[pyo3(signature = (length=None, direction="right", pad_id=0, pad_type_id=0, pad_token="[PAD]", pad_to_multiple_of=None))]
    fn new(
        py: Python<'_>,
        length: Option<usize>,
        direction: &str,
        pad_id: u32,
        pad_type_id: u32,
        pad_token: &str,
        pad_to_multiple_of: Option<usize>,
    ) -> PyResult<Self> {
        let strategy = length.map_or(PaddingStrategy::BatchLongest, PaddingStrategy::Fixed);
        let direction = padding_direction(py, direction)?;
        Ok(Self(Padding { strategy, direction, pad_to_multiple_of, pad_id, pad_type_id, pad_token: pad_token.to_owned() }))
    }

    #[getter]
    fn length(&self) -> Option<usize> {
        match self.0.strategy {
            PaddingStrategy::BatchLongest => None,
            PaddingStrategy::Fixed(length) => Some(length),
        }
    }

    #[getter]
    fn direction(&self) -> &'static str {
        match self.0.direction {
            PaddingDirection::Left => "left",
            PaddingDirection::Right => "right",
        }
    }

    #[getter]
    fn pad_id(&self) -> u32 {
        self.0.pad_id
    }

    #[getter]
    fn pad_type_id(&self) -> u32 {
        self.0.pad_type_id
    }

    #[getter]
    fn pad_token(&self) -> &str {
        &self.0.pad_token
    }

    #[getter]
    fn pad_to_multiple_of(&self) -> Option<usize> {
        self.0.pad_to_multiple_of
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let names = ["length", "direction", "pad_id", "pad_type_id", "pad_token", "pad_to_multiple_of"];
        fields(slf.as_any(), "Padding", &names)
    }

    fn __hash__(&self) -> usize {
        self.0.pad_id as usize ^ (self.length().unwrap_or_default() << 32)
    }

    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<(Py<PyAny>, (Option<usize>, &'static str, u32, u32, String, Option<usize>))> {
        let value = slf.get();
        let token = value.pad_token().to_owned();
        let arguments = (value.length(), value.direction(), value.pad_id(), value.pad_type_id(), token, value.pad_to_multiple_of());
        Ok((slf.get_type().into_any().unbind(), arguments))
    }
}

/// The side that is filled.
pub fn padding_direction(py: Python<'_>, direction: &str) -> PyResult<PaddingDirection> {
    match direction {
        "left" => Ok(PaddingDirection::Left),
        "right" => Ok(PaddingDirection::Right),
        other => Err(argument(py, "direction", format!("{other:?} is not one of \"left\", \"right\""))),
    }
}

fn fields(value: &Bound<'_, PyAny>, class: &str, names: &[&str]) -> PyResult<String> {
    let fields = names.iter().map(|name| Ok(format!("{name}={}", value.getattr(*name)?.repr()?)));
    Ok(format!("{class}({})", fields.collect::<PyResult<Vec<_>>>()?.join(", ")))
}

/// A token that is matched in the text before the model sees it, with its flags.
#[pyclass(frozen, eq, hash, module = "russet", name = "AddedToken")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PyAddedToken(pub AddedToken);

#[pymethods]
impl PyAddedToken {
    #[getter]
    fn content(&self) -> &str {
        &self.0.content
    }

    #[getter]
    fn single_word(&self) -> bool {
        self.0.single_word
    }

    #[getter]
    fn lstrip(&self) -> bool {
        self.0.lstrip
    }

    #[getter]
    fn rstrip(&self) -> bool {
        self.0.rstrip
    }

    #[getter]
    fn normalized(&self) -> bool {
        self.0.normalized
    }

    #[getter]
    fn special(&self) -> bool {
        self.0.special
    }

    fn __str__(&self) -> &str {
        &self.0.content
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        fields(slf.as_any(), "AddedToken", &["content", "single_word", "lstrip", "rstrip", "normalized", "special"])
    }
}

/// The options of one call of encode.
pub struct Call<'a> {
    pub add_special_tokens: bool,
    pub split_special_tokens: bool,
    pub truncation: Option<Cow<'a, Truncation>>,
    pub padding: Option<Cow<'a, Padding>>,
    /// Whether a `max_length` below the number of special tokens means no truncation, as `tokenizers` has it, or is an error.
    pub ignore_short_max_length: bool,
    pub keep: Keep,
}

impl Call<'_> {
    /// The core's form.
    pub fn options<'b>(&'b self, watch: Option<&'b dyn Watch>) -> EncodeOptions<'b> {
        EncodeOptions {
            add_special_tokens: self.add_special_tokens,
            split_special_tokens: self.split_special_tokens,
            truncation: self.truncation.as_deref(),
            padding: self.padding.as_deref(),
            ignore_short_max_length: self.ignore_short_max_length,
            keep: self.keep,
            watch,
        }
    }
}

/// `truncation=`: None is what the file says, False is off, an int is the file's with this length.
pub fn truncation<'a>(value: Option<&'a Bound<'_, PyAny>>, file: Option<&'a Truncation>) -> PyResult<Option<Cow<'a, Truncation>>> {
    let Some(value) = value else { return Ok(file.map(Cow::Borrowed)) };
    if let Ok(given) = value.cast::<PyTruncation>() {
        return Ok(Some(Cow::Borrowed(&given.get().0)));
    }
    match plain(value, "truncation", "Truncation")? {
        Plain::Off => Ok(None),
        Plain::Length(max_length) => Ok(Some(Cow::Owned(Truncation { max_length, ..file.cloned().unwrap_or_default() }))),
        Plain::Made(made) => Ok(Some(Cow::Owned(made.extract::<PyTruncation>()?.0))),
    }
}

/// `padding=`: None is what the file says, False is off, an int is the file's with this length.
pub fn padding<'a>(value: Option<&'a Bound<'_, PyAny>>, file: Option<&'a Padding>) -> PyResult<Option<Cow<'a, Padding>>> {
    let Some(value) = value else { return Ok(file.map(Cow::Borrowed)) };
    if let Ok(given) = value.cast::<PyPadding>() {
        return Ok(Some(Cow::Borrowed(&given.get().0)));
    }
    match plain(value, "padding", "Padding")? {
        Plain::Off => Ok(None),
        Plain::Length(length) => {
            let settings = file.cloned().unwrap_or_else(|| Padding { pad_token: "[PAD]".into(), ..Padding::default() });
            Ok(Some(Cow::Owned(Padding { strategy: PaddingStrategy::Fixed(length), ..settings })))
        }
        Plain::Made(made) => Ok(Some(Cow::Owned(made.extract::<PyPadding>()?.0))),
    }
}

enum Plain<'py> {
    Off,
    Length(usize),
    Made(Bound<'py, PyAny>),
}

fn plain<'py>(value: &Bound<'py, PyAny>, name: &'static str, class: &str) -> PyResult<Plain<'py>> {
    let py = value.py();
    if let Ok(flag) = value.cast::<PyBool>() {
        if flag.is_true() {
            return Err(argument(py, name, format!("True says no length: pass an int, a dict or {class}(...)")));
        }
        return Ok(Plain::Off);
    }
    if let Ok(arguments) = value.cast::<PyDict>() {
        let class = py.import("russet._core")?.getattr(class)?;
        return Ok(Plain::Made(class.call((), Some(arguments))?));
    }
    value.extract().map(Plain::Length).map_err(|error| match error.is_instance_of::<PyOverflowError>(py) {
        true => argument(py, name, format!("{value} is no length")),
        false => error,
    })
}

/// `errors=`.
pub fn surrogates(py: Python<'_>, errors: &str) -> PyResult<Surrogates> {
    match errors {
        "strict" => Ok(Surrogates::Refuse),
        "replace" => Ok(Surrogates::Replace),
        other => Err(argument(py, "errors", format!("{other:?} is not one of \"strict\", \"replace\""))),
    }
}
