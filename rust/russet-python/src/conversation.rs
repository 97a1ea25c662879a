//! `russet.Conversation`.

use numpy::{PyArray1, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyList, PyString};
use russet::Conversation;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::argument;
use crate::lists::integer_list;
use crate::strings::Text;
use crate::{arrays, detach, options};

/// A text that grows, and its ids, which are always those of the whole text. `Tokenizer.conversation` makes one.
#[pyclass(frozen, module = "russet", name = "Conversation")]
pub struct PyConversation {
    /// Waited for detached from the interpreter. Nothing of Python runs while it is held, but for what handles signals.
    state: Mutex<State>,
    /// Marks the thread that holds it where something of Python can run; 0 for none.
    holder: AtomicUsize,
}

struct State {
    core: Conversation,
    /// A copy of the ids, with room for more.
    array: Option<Py<PyArray1<u32>>>,
    /// How many ids of the array are those of the text.
    copied: usize,
}

/// A number that no other thread has at this time.
fn thread_mark() -> usize {
    thread_local!(static MARK: u8 = const { 0 });
    MARK.with(|mark| std::ptr::from_ref(mark).addr())
}

impl From<Conversation> for PyConversation {
    fn from(core: Conversation) -> Self {
        Self { state: Mutex::new(State { core, array: None, copied: 0 }), holder: AtomicUsize::new(0) }
    }
}

impl PyConversation {
    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, State>> {
        if self.holder.load(Ordering::Relaxed) == thread_mark() {
            return Err(argument(py, "conversation", "append is still at work in this thread, which runs a signal handler"));
        }
        Ok(self.state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner))
    }

    /// The array that has the ids, and their number.
    fn copied<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyArray1<u32>>, usize)> {
        let mut larger: Option<Bound<'py, PyArray1<u32>>> = None;
        loop {
            // What it was before, to be dropped outside of the lock: it can end a Python object.
            let mut replaced = None;
            let length = {
                let State { core, array, copied } = &mut *self.lock(py)?;
                let length = core.len();
                if let Some(larger) = larger.take().filter(|larger| larger.len() >= length) {
                    replaced = array.replace(larger.unbind());
                    *copied = 0;
                }
                if let Some(array) = array.as_ref().map(|array| array.bind(py)) {
                    if arrays::write(array, *copied, &core.ids()[*copied..]) {
                        *copied = length;
                        return Ok((array.clone(), length));
                    }
                }
                length
            };
            drop(replaced);
            larger = Some(arrays::room(py, (2 * length).max(256))?);
        }
    }
}

#[pymethods]
impl PyConversation {
    /// Appends to the text. Returns the index of the first id that changed, and the ids from there on.
    ///
    /// All ids before the index are what they were; if none changed, it is the number of ids there were. Special tokens after the text
    /// move with its end. With `errors="replace"`, a lone surrogate is U+FFFD, else a `TextError`. After an error the conversation is as
    /// it was.
    #[pyo3(signature = (text, *, errors="strict"))]
    fn append<'py>(&self, py: Python<'py>, text: &Bound<'py, PyAny>, errors: &str) -> PyResult<(usize, Bound<'py, PyList>)> {
        let text = text.cast::<PyString>().map_err(|_| PyTypeError::new_err("text must be str"))?;
        let held = Text::new(text, options::surrogates(py, errors)?)?;
        let view = held.as_str()?;
        let (first_changed, ids) = {
            let State { core, copied, .. } = &mut *self.lock(py)?;
            let bytes = view.len() + core.open_bytes();
            self.holder.store(thread_mark(), Ordering::Relaxed);
            let appended = detach::run(py, bytes, |watch| core.append_watched(view, watch));
            self.holder.store(0, Ordering::Relaxed);
            let first_changed = appended?;
            *copied = first_changed.min(*copied);
            (first_changed, core.ids()[first_changed..].to_vec())
        };
        Ok((first_changed, integer_list(py, &ids)?))
    }

    /// The ids, special tokens included.
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let ids = self.lock(py)?.core.ids().to_vec();
        integer_list(py, &ids)
    }

    /// The ids as a read-only uint32 array, without a copy of those that were there when it was last asked for.
    ///
    /// A later append may change the last ids of an array that was given before: those that `append` says changed.
    #[getter]
    fn ids_array<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let (array, length) = self.copied(py)?;
        arrays::head(&array, length)
    }

    /// The text.
    #[getter]
    fn text(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.lock(py)?.core.text().to_owned())
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.lock(py)?.core.len())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let state = self.lock(py)?;
        Ok(format!("Conversation(ids={}, bytes={})", state.core.len(), state.core.text().len()))
    }
}
