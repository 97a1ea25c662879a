//! Lists from Python and to Python.
//!
//! Lists of ids and of offsets hand out objects that are made once per process, on demand: integers up to 2^18 and tuples of short ranges
//! near the beginning of a text. Making fresh ones costs several times as much. New lists are filled in place. The numbers of a list are
//! read where the objects have them, if the interpreter has them where it is expected.

#[cfg(not(Py_GIL_DISABLED))]
use pyo3::exceptions::PyIndexError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyList;
use russet::Error;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::error::exception;

/// Lets other Python threads run, and Ctrl-C come through.
pub fn pause(py: Python<'_>) -> PyResult<()> {
    py.detach(|| ());
    py.check_signals()
}

/// From so many characters or objects on, other Python threads get a turn.
pub const PIECE: usize = 1 << 16;

/// The integers whose objects are kept are below this.
const INTEGERS: usize = 1 << 18;

/// Objects are fetched from memory so many before they are read: those of a list lie all over.
#[cfg(not(Py_GIL_DISABLED))]
const AHEAD: usize = 16;

/// Integer objects that were made: references that are never given back, or null.
static MADE: [Place; INTEGERS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; INTEGERS];

/// A place of a table for an object that is made once: the table's own reference, or null.
pub type Place = AtomicPtr<ffi::PyObject>;

/// The object of a place, if it was made.
#[inline(always)]
pub fn kept<'py>(py: Python<'py>, place: &Place) -> Option<Bound<'py, PyAny>> {
    // SAFETY: the table holds a reference, so an object that is there is alive; the interpreter is held.
    unsafe { Bound::from_borrowed_ptr_or_opt(py, place.load(Ordering::Acquire)) }
}

/// An integer object.
#[inline(always)]
fn integer<'py>(py: Python<'py>, value: usize) -> PyResult<Bound<'py, PyAny>> {
    match MADE.get(value).and_then(|place| kept(py, place)) {
        Some(object) => Ok(object),
        None => make_integer(py, value),
    }
}

/// Keeps a reference in a table for good, unless another thread was faster.
pub fn keep(place: &Place, object: Bound<'_, PyAny>) {
    let py = object.py();
    let object = object.into_ptr();
    if place.compare_exchange(std::ptr::null_mut(), object, Ordering::AcqRel, Ordering::Acquire).is_err() {
        // SAFETY: `object` is the reference that was handed in; it is given back.
        drop(unsafe { Bound::from_owned_ptr(py, object) });
    }
}

#[cold]
fn make_integer<'py>(py: Python<'py>, value: usize) -> PyResult<Bound<'py, PyAny>> {
    let object = value.into_pyobject(py)?.into_any();
    if let Some(place) = MADE.get(value) {
        keep(place, object.clone());
    }
    Ok(object)
}

/// The numbers of a list, if all of them are of the type `int` itself and fit.
#[cfg(not(Py_GIL_DISABLED))]
pub fn integers(list: &Bound<'_, PyList>) -> PyResult<Option<Vec<u32>>> {
    let length = list.len();
    let mut values = Vec::with_capacity(length);
    #[cfg(not(any(Py_LIMITED_API, PyPy, GraalPy)))]
    let reads_digits = reads_digits(list.py())?;
    for first in (0..length).step_by(PIECE) {
        let end = length.min(first + PIECE);
        if list.len() < end {
            return Err(PyIndexError::new_err("list index out of range")); // others changed it in a pause
        }
        for index in first..end {
            // SAFETY: the interpreter is held and no Python code runs between asking for the length and taking an item below it,
            // which the list owns, nor until that is read.
            let value = unsafe {
                if index + AHEAD < end {
                    russet::prefetch(item(list.as_ptr(), (index + AHEAD) as ffi::Py_ssize_t));
                }
                let item = item(list.as_ptr(), index as ffi::Py_ssize_t);
                if ffi::PyLong_CheckExact(item) == 0 {
                    return Ok(None);
                }
                #[cfg(not(any(Py_LIMITED_API, PyPy, GraalPy)))]
                if let Some(value) = small_integer(item).filter(|_| reads_digits) {
                    values.push(value);
                    continue;
                }
                ffi::PyLong_AsLongLong(item)
            };
            match u32::try_from(value) {
                Ok(value) => values.push(value),
                Err(_) => {
                    drop(PyErr::take(list.py())); // of numbers beyond 64 bits
                    return Ok(None);
                }
            }
        }
        if end < length {
            pause(list.py())?;
        }
    }
    Ok(Some(values))
}

/// The value of an integer that has one digit at most, or none.
///
/// # Safety
/// The object is an `int`.
#[cfg(not(any(Py_GIL_DISABLED, Py_LIMITED_API, PyPy, GraalPy)))]
#[inline(always)]
unsafe fn small_integer(object: *mut ffi::PyObject) -> Option<u32> {
    // SAFETY: all objects of this type have a word behind the header that all objects have, and a digit behind that.
    let (word, digit) = unsafe {
        let object = object.cast::<ffi::PyVarObject>();
        ((*object).ob_size as usize, object.add(1).cast::<u32>().read())
    };
    // The number of digits, negative if the integer is; from Python 3.12 on above three bits of which two tell the sign.
    #[cfg(not(Py_3_12))]
    let is_small = word <= 1;
    #[cfg(Py_3_12)]
    let is_small = word >> 3 <= 1 && word & 3 != 2;
    is_small.then(|| if word >> (3 * usize::from(cfg!(Py_3_12))) == 0 { 0 } else { digit })
}

/// Whether integers have their digits where [`small_integer`] looks for them, 30 bits in each.
#[cfg(not(any(Py_GIL_DISABLED, Py_LIMITED_API, PyPy, GraalPy)))]
fn reads_digits(py: Python<'_>) -> PyResult<bool> {
    static READS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    if let Some(&reads) = READS.get() {
        return Ok(reads);
    }
    let mut reads = true;
    for value in [0_i64, 1, 255, 256, 257, 0x8001, 1 << 29, (1 << 30) - 1, 1 << 30, 1 << 40, -1, -256, -(1 << 20), -(1 << 40)] {
        let object = value.into_pyobject(py)?;
        // SAFETY: the object is an `int`.
        let read = unsafe { small_integer(object.as_ptr()) };
        reads &= read == u32::try_from(value).ok().filter(|value| value >> 30 == 0);
    }
    Ok(*READS.get_or_init(|| reads))
}

/// The item of a list, borrowed.
///
/// # Safety
/// The list has such an index.
#[cfg(not(Py_GIL_DISABLED))]
unsafe fn item(list: *mut ffi::PyObject, index: ffi::Py_ssize_t) -> *mut ffi::PyObject {
    // SAFETY: by this function's contract.
    unsafe {
        #[cfg(not(Py_LIMITED_API))]
        let item = ffi::PyList_GET_ITEM(list, index);
        #[cfg(Py_LIMITED_API)]
        let item = ffi::PyList_GetItem(list, index);
        item
    }
}

/// Where other threads may change the list meanwhile, its items are taken one by one.
#[cfg(Py_GIL_DISABLED)]
pub fn integers(_: &Bound<'_, PyList>) -> PyResult<Option<Vec<u32>>> {
    Ok(None)
}

/// A list of a length that is known, filled in place. Its items are null until they are set, so it is hidden from the garbage
/// collector, and with it from all other code, until it is full.
///
/// The items that are made for it are alive and mostly hold nothing to be collected, so the collector, which would look for garbage after
/// each few hundred of them, waits until other code runs.
pub struct NewList<'py> {
    list: Bound<'py, PyList>,
    length: usize,
    filled: usize,
    collector: Waiting,
}

/// Keeps the garbage collector from running, until it is dropped or told to go on.
struct Waiting {
    was_enabled: bool,
}

impl Waiting {
    fn new(_: Python<'_>) -> Self {
        // SAFETY: the interpreter is held. Where threads run without it, this would reach into others: there the collector goes on.
        let was_enabled = cfg!(not(Py_GIL_DISABLED)) && unsafe { ffi::PyGC_Disable() } != 0;
        Self { was_enabled }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.was_enabled {
            // SAFETY: as in `new`: it lies in a list that is bound to the interpreter.
            unsafe { ffi::PyGC_Enable() };
        }
    }
}

impl<'py> NewList<'py> {
    pub fn new(py: Python<'py>, length: usize) -> PyResult<Self> {
        // SAFETY: a new list, or null with an error that is set; nobody else has seen it.
        let list = unsafe {
            let list = Bound::from_owned_ptr_or_err(py, ffi::PyList_New(length as ffi::Py_ssize_t))?;
            ffi::PyObject_GC_UnTrack(list.as_ptr().cast());
            list.cast_into_unchecked()
        };
        Ok(Self { list, length, filled: 0, collector: Waiting::new(py) })
    }

    /// Puts `item` behind the others. What goes beyond the length is dropped.
    #[inline(always)]
    pub fn push(&mut self, item: Bound<'py, PyAny>) -> PyResult<()> {
        if self.filled == self.length {
            return Ok(());
        }
        if self.filled > 0 && self.filled.is_multiple_of(PIECE) {
            self.pause()?;
        }
        // SAFETY: the list has such an index, and its item there is null.
        unsafe { self.set(self.filled, item) };
        self.filled += 1;
        Ok(())
    }

    /// Puts the objects of `values` behind the others, with one look at the length for many. What goes beyond it is dropped.
    fn push_integers(&mut self, values: &[u32]) -> PyResult<()> {
        for values in values[..values.len().min(self.length - self.filled)].chunks(PIECE) {
            if self.filled > 0 {
                self.pause()?;
            }
            for (index, &value) in (self.filled..).zip(values) {
                let item = integer(self.list.py(), value as usize)?;
                // SAFETY: there is room for all of them, and items that were not set are null.
                unsafe { self.set(index, item) };
            }
            self.filled += values.len();
        }
        Ok(())
    }

    /// Sets an item.
    ///
    /// # Safety
    /// The list has such an index, and its item there is null.
    #[inline(always)]
    unsafe fn set(&self, index: usize, item: Bound<'py, PyAny>) {
        let (list, index) = (self.list.as_ptr(), index as ffi::Py_ssize_t);
        // SAFETY: by this function's contract, and nobody else sees the list; it takes the reference over.
        unsafe {
            #[cfg(not(Py_LIMITED_API))]
            ffi::PyList_SET_ITEM(list, index, item.into_ptr());
            #[cfg(Py_LIMITED_API)]
            ffi::PyList_SetItem(list, index, item.into_ptr());
        }
    }

    /// Lets other code run.
    #[cold]
    pub fn pause(&mut self) -> PyResult<()> {
        self.outside(pause)
    }

    /// Runs `work`, which other code may run beside.
    pub fn outside<T>(&mut self, work: impl FnOnce(Python<'py>) -> T) -> T {
        let py = self.py();
        self.collector = Waiting { was_enabled: false };
        let result = work(py);
        self.collector = Waiting::new(py);
        result
    }

    pub fn py(&self) -> Python<'py> {
        self.list.py()
    }

    pub fn finish(self) -> PyResult<Bound<'py, PyList>> {
        if self.filled < self.length {
            return Err(exception(self.list.py(), &Error::Internal("a list was not filled".into())));
        }
        // SAFETY: a list that is not tracked, whose items are all set.
        unsafe { ffi::PyObject_GC_Track(self.list.as_ptr().cast()) };
        Ok(self.list)
    }
}

/// A list of ids, or of other small numbers.
pub fn integer_list<'py>(py: Python<'py>, values: &[u32]) -> PyResult<Bound<'py, PyList>> {
    let mut list = NewList::new(py, values.len())?;
    list.push_integers(values)?;
    list.finish()
}

/// A list of ranges as tuples. Short ranges near the beginning of a text are handed out as tuples that are made once per process, as
/// integers are. Mostly a range begins where the one before ends: that number is looked up once.
pub struct RangeList<'py> {
    list: NewList<'py>,
    last: (usize, Bound<'py, PyAny>),
}

/// The ranges whose tuples are kept begin before this place, and are shorter than that.
const KEPT_STARTS: usize = 1 << 12;
const KEPT_LENGTHS: usize = 1 << 4;

/// Tuples that were made, by start and length: references that are never given back, or null.
static PAIRS: [Place; KEPT_STARTS * KEPT_LENGTHS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; KEPT_STARTS * KEPT_LENGTHS];

impl<'py> RangeList<'py> {
    pub fn new(py: Python<'py>, length: usize) -> PyResult<Self> {
        Ok(Self { list: NewList::new(py, length)?, last: (0, integer(py, 0)?) })
    }

    #[inline(always)]
    pub fn push(&mut self, (start, end): (usize, usize)) -> PyResult<()> {
        let length = end.wrapping_sub(start);
        if start >= KEPT_STARTS || length >= KEPT_LENGTHS {
            let pair = self.pair(start, end)?;
            return self.list.push(pair);
        }
        let place = &PAIRS[start * KEPT_LENGTHS + length];
        let pair = match kept(self.list.py(), place) {
            Some(pair) => pair,
            None => {
                let pair = self.pair(start, end)?;
                keep(place, pair.clone());
                pair
            }
        };
        self.list.push(pair)
    }

    #[inline]
    fn pair(&mut self, start: usize, end: usize) -> PyResult<Bound<'py, PyAny>> {
        let py = self.list.py();
        let first = if start == self.last.0 { self.last.1.clone() } else { integer(py, start)? };
        self.last = (end, integer(py, end)?);
        let last = self.last.1.clone();
        // SAFETY: a new tuple of two items, or null with an error that is set; nobody else has seen it, and its items are null. It takes
        // the references over. It holds numbers alone, so the garbage collector need not know it, which would find that out by itself.
        unsafe {
            let pair = Bound::from_owned_ptr_or_err(py, ffi::PyTuple_New(2))?;
            ffi::PyObject_GC_UnTrack(pair.as_ptr().cast());
            #[cfg(not(Py_LIMITED_API))]
            {
                ffi::PyTuple_SET_ITEM(pair.as_ptr(), 0, first.into_ptr());
                ffi::PyTuple_SET_ITEM(pair.as_ptr(), 1, last.into_ptr());
            }
            #[cfg(Py_LIMITED_API)]
            {
                ffi::PyTuple_SetItem(pair.as_ptr(), 0, first.into_ptr());
                ffi::PyTuple_SetItem(pair.as_ptr(), 1, last.into_ptr());
            }
            Ok(pair)
        }
    }

    pub fn finish(self) -> PyResult<Bound<'py, PyList>> {
        self.list.finish()
    }
}

/// A list of what `object` makes of each value.
pub fn list<'py, V, O: IntoPyObject<'py>>(
    py: Python<'py>,
    values: &[V],
    object: impl Fn(&V) -> PyResult<O>,
) -> PyResult<Bound<'py, PyList>> {
    let short = |values: &[V]| PyList::new(py, values.iter().map(&object).collect::<PyResult<Vec<O>>>()?);
    if values.len() <= PIECE {
        return short(values);
    }
    let whole = PyList::empty(py);
    for values in values.chunks(PIECE) {
        let end = whole.len();
        whole.set_slice(end, end, short(values)?.as_any())?;
        pause(py)?;
    }
    Ok(whole)
}
