//! Texts from Python and to Python.
//!
//! This module alone knows how a `str` is read. ASCII, which the object says it is, is UTF-8 in place; other characters are read in
//! place by [`russet::transcode`], those of a long text with the interpreter released. Asking the `str` itself for UTF-8 would leave
//! a copy in it for good. The limited API (the feature `abi3`) hides the characters: there Python encodes the text into a `bytes`
//! object that lives as long as the call, which takes several times as long. A long text for Python is written in place, too, by
//! [`russet::transcode::from_utf8`], at several times the speed of the interpreter's decoder.

use pyo3::exceptions::PyUnicodeEncodeError;
#[cfg(not(Py_LIMITED_API))]
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
#[cfg(not(Py_LIMITED_API))]
use pyo3::types::string::PyStringData;
#[cfg(Py_LIMITED_API)]
use pyo3::types::PySlice;
use pyo3::types::{PyBytes, PyString};
#[cfg(not(Py_LIMITED_API))]
use russet::transcode::{from_utf8, measure, to_utf8, to_utf8_into, FromCharacter, NotACharacter, Room, Unit};
#[cfg(not(Py_LIMITED_API))]
use std::cell::Cell;
#[cfg(not(Py_LIMITED_API))]
use std::mem::MaybeUninit;

use crate::error::classes;
#[cfg(not(Py_LIMITED_API))]
use crate::error::exception;
#[cfg(Py_LIMITED_API)]
use crate::lists::pause;
use crate::lists::PIECE;
#[cfg(not(Py_LIMITED_API))]
use russet::Error;

/// What happens to lone surrogates, which no UTF-8 text can hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Surrogates {
    /// `errors="strict"`: a `TextError`.
    Refuse,
    /// `errors="replace"`: each becomes U+FFFD.
    Replace,
}

/// A text from Python, readable as UTF-8.
pub enum Text<'py> {
    Ascii(Bound<'py, PyString>),
    Bytes(Bound<'py, PyBytes>),
    Owned(String),
}

impl<'py> Text<'py> {
    pub fn new(text: &Bound<'py, PyString>, surrogates: Surrogates) -> PyResult<Self> {
        read(text).or_else(|error| {
            let py = text.py();
            if !error.is_instance_of::<PyUnicodeEncodeError>(py) {
                Err(error)
            } else if surrogates == Surrogates::Refuse {
                let arguments = error.value(py).getattr(intern!(py, "args"))?;
                let class = classes(py)?.getattr(intern!(py, "TextError"))?;
                Err(PyErr::from_value(class.call1(arguments.cast()?)?))
            } else {
                let bytes = text.call_method1(intern!(py, "encode"), ("utf-8", "surrogatepass"))?;
                Ok(Self::Owned(without_surrogates(bytes.extract()?)))
            }
        })
    }

    pub fn as_str(&self) -> PyResult<&str> {
        match self {
            Self::Ascii(text) => ascii(text),
            // SAFETY: the bytes come from Python's strict UTF-8 encoder, which refuses surrogates, and are immutable.
            Self::Bytes(bytes) => Ok(unsafe { std::str::from_utf8_unchecked(bytes.as_bytes()) }),
            Self::Owned(text) => Ok(text),
        }
    }
}

/// The characters of a `str` in place.
#[cfg(not(Py_LIMITED_API))]
fn characters<'a>(text: &'a Bound<'_, PyString>) -> PyResult<PyStringData<'a>> {
    // SAFETY: the object is a `str`, which is immutable, and it is held as long as its characters are borrowed.
    unsafe { text.data() }
}

/// Whether characters of one byte are ASCII by the form of their object: those of ASCII alone follow the shorter header.
#[cfg(not(Py_LIMITED_API))]
fn is_compact_ascii(text: &Bound<'_, PyString>, characters: &[u8]) -> bool {
    characters.as_ptr() == text.as_ptr().cast::<ffi::PyASCIIObject>().wrapping_add(1).cast()
}

#[cfg(not(Py_LIMITED_API))]
fn ascii<'a>(text: &'a Bound<'_, PyString>) -> PyResult<&'a str> {
    match characters(text)? {
        // SAFETY: ASCII, by the test.
        PyStringData::Ucs1(bytes) if is_compact_ascii(text, bytes) => Ok(unsafe { std::str::from_utf8_unchecked(bytes) }),
        _ => text.to_str(),
    }
}

#[cfg(not(Py_LIMITED_API))]
fn read<'py>(text: &Bound<'py, PyString>) -> PyResult<Text<'py>> {
    fn owned<U: Unit + Sync>(py: Python<'_>, units: &[U]) -> PyResult<Result<String, NotACharacter>> {
        thread_local! {
            /// Room for a short text of any characters; the text that is kept has no more than it needs.
            static ROOM: Cell<String> = const { Cell::new(String::new()) };
        }
        if units.len() > PIECE {
            let read = py.detach(|| to_utf8(units));
            py.check_signals()?;
            return Ok(read);
        }
        let mut room = ROOM.take();
        room.clear();
        let read = to_utf8_into(units, &mut room).map(|()| room.as_str().to_owned());
        ROOM.set(room);
        Ok(read)
    }
    let read = match characters(text)? {
        PyStringData::Ucs1(bytes) if is_compact_ascii(text, bytes) => return Ok(Text::Ascii(text.clone())),
        PyStringData::Ucs1(units) => owned(text.py(), units)?,
        PyStringData::Ucs2(units) => owned(text.py(), units)?,
        PyStringData::Ucs4(units) => owned(text.py(), units)?,
    };
    // A surrogate: Python's own encoder says where.
    read.map(Text::Owned).or_else(|_| Ok(Text::Bytes(text.encode_utf8()?)))
}

#[cfg(Py_LIMITED_API)]
fn ascii<'a>(text: &'a Bound<'_, PyString>) -> PyResult<&'a str> {
    text.to_str()
}

#[cfg(Py_LIMITED_API)]
fn read<'py>(text: &Bound<'py, PyString>) -> PyResult<Text<'py>> {
    /// Up to this many characters a copy costs less than to ask whether they are ASCII.
    const COPIED: usize = 512;

    let length = text.code_point_len()?;
    if length > COPIED && text.call_method0(intern!(text.py(), "isascii"))?.is_truthy()? {
        return Ok(Text::Ascii(text.clone()));
    }
    if length > PIECE {
        return read_in_pieces(text, length);
    }
    Ok(Text::Bytes(text.encode_utf8()?))
}

/// A long text, a part at a time, so that other Python threads run on in between.
#[cfg(Py_LIMITED_API)]
fn read_in_pieces<'py>(text: &Bound<'py, PyString>, length: usize) -> PyResult<Text<'py>> {
    let py = text.py();
    let mut read = String::with_capacity(length + length / 2);
    for start in (0..length).step_by(PIECE) {
        let slice = PySlice::new(py, start as isize, length.min(start + PIECE) as isize, 1);
        let part = text.get_item(slice)?;
        match part.cast::<PyString>()?.encode_utf8() {
            Ok(bytes) => read.push_str(Text::Bytes(bytes).as_str()?),
            // A surrogate: where it is in the whole text, the whole text's encoder says.
            Err(_) => return Ok(Text::Bytes(text.encode_utf8()?)),
        }
        pause(py)?;
    }
    Ok(Text::Owned(read))
}

/// A `str` with the characters of `text`.
#[cfg(not(Py_LIMITED_API))]
pub fn new<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyString>> {
    let Room { characters, highest } = measure(text);
    // SAFETY: the length is that of a text in memory, and no number is above U+10FFFF.
    let object = unsafe {
        let object = ffi::PyUnicode_New(characters as ffi::Py_ssize_t, highest);
        Bound::from_owned_ptr_or_err(py, object)?.cast_into_unchecked::<PyString>()
    };
    /// Writes the characters to where those of the object are.
    ///
    /// # Safety
    /// The object has `count` characters of this width, and nobody else has seen it.
    unsafe fn write<U: FromCharacter>(object: &Bound<'_, PyString>, text: &str, count: usize) -> bool {
        // SAFETY: by this function's contract; the empty text is shared, but has no characters.
        let units = unsafe {
            let first = ffi::PyUnicode_DATA(object.as_ptr()).cast::<MaybeUninit<U>>();
            std::slice::from_raw_parts_mut(first, count)
        };
        from_utf8(text, units).is_some()
    }
    // SAFETY: what PyUnicode_New made of these numbers.
    let is_written = unsafe {
        match highest {
            0..=0xFF => write::<u8>(&object, text, characters),
            0x100..=0xFFFF => write::<u16>(&object, text, characters),
            _ => write::<u32>(&object, text, characters),
        }
    };
    match is_written {
        true => Ok(object),
        false => Err(exception(py, &Error::Internal("a text has other characters than were counted".into()))),
    }
}

/// A `str` with the characters of `text`.
#[cfg(Py_LIMITED_API)]
pub fn new<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyString>> {
    Ok(PyString::new(py, text))
}

/// UTF-8 in which each encoded surrogate (`ED A0..BF xx`) became U+FFFD, which is as long.
fn without_surrogates(mut bytes: Vec<u8>) -> String {
    for index in 2..bytes.len() {
        if bytes[index - 2] == 0xED && bytes[index - 1] >= 0xA0 {
            bytes[index - 2..=index].copy_from_slice("\u{FFFD}".as_bytes());
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
