//! Logits, histories and masks as Python gives them: arrays of NumPy, and what can become one.

use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::intern;
use pyo3::prelude::*;
use russet::sampling::{Brain, Half, Logits};
use std::slice;

use crate::error::argument;
use crate::inputs::{self, OutOfRange};

/// How logits lie in memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    F32,
    F16,
    Bf16,
}

/// The rows of an array, readable without the interpreter while the array lives.
#[derive(Clone, Copy)]
pub struct View {
    data: *const u8,
    kind: Kind,
    pub rows: usize,
    pub length: usize,
    row_stride: isize,
    stride: isize,
}

// SAFETY: the memory is read alone, and belongs to an array that `Rows` keeps alive.
unsafe impl Send for View {}
// SAFETY: the same.
unsafe impl Sync for View {}

/// Logits: one row, or a batch of rows.
pub struct Rows<'py> {
    pub view: View,
    pub is_batch: bool,
    array: Bound<'py, PyUntypedArray>,
}

impl<'py> Rows<'py> {
    /// Takes `(V,)` or `(B, V)`. `dtype="bfloat16"` says what an array of 16-bit integers is.
    pub fn new(logits: &Bound<'py, PyAny>, name: &'static str, dtype: Option<&str>) -> PyResult<Self> {
        let py = logits.py();
        let given = match logits.cast::<PyUntypedArray>() {
            Ok(array) => array.clone(),
            Err(_) => numpy(py, logits, None)?,
        };
        let (array, kind) = match kind(&given, name, dtype)? {
            Some(kind) => (given, kind),
            None => (numpy(py, given.as_any(), Some("float32"))?, Kind::F32),
        };
        let (shape, strides) = (array.shape(), array.strides());
        let (rows, length, row_stride, stride) = match (shape, strides) {
            ([length], [stride]) => (1, *length, 0, *stride),
            ([rows, length], [row_stride, stride]) => (*rows, *length, *row_stride, *stride),
            _ => return Err(argument(py, name, format!("an array of {} dimensions; it must be (V,) or (B, V)", shape.len()))),
        };
        if length == 0 || length > u32::MAX as usize {
            return Err(argument(py, name, format!("{length} logits in a row; there must be at least one, and fewer than 2^32")));
        }
        // SAFETY: the pointer is that of a valid array object.
        let data = unsafe { (*array.as_array_ptr()).fields.data.cast::<u8>().cast_const() };
        let view = View { data, kind, rows, length, row_stride, stride };
        Ok(Self { view, is_batch: shape.len() == 2, array })
    }

    pub fn py(&self) -> Python<'py> {
        self.array.py()
    }
}

/// `numpy.asarray`.
fn numpy<'py>(py: Python<'py>, value: &Bound<'py, PyAny>, dtype: Option<&str>) -> PyResult<Bound<'py, PyUntypedArray>> {
    let array = py.import(intern!(py, "numpy"))?.call_method1(intern!(py, "asarray"), (value, dtype))?;
    Ok(array.cast_into()?)
}

/// What an array holds; none if it has to be converted.
fn kind(array: &Bound<'_, PyUntypedArray>, name: &'static str, dtype: Option<&str>) -> PyResult<Option<Kind>> {
    const FLOAT: i32 = 11;
    const HALF: i32 = 23;
    const USHORT: i32 = 4;
    let py = array.py();
    let descriptor = array.dtype();
    let is_native = descriptor.is_native_byteorder() != Some(false);
    match (descriptor.num(), dtype) {
        (FLOAT, None) if is_native => Ok(Some(Kind::F32)),
        (HALF, None) if is_native => Ok(Some(Kind::F16)),
        (USHORT, Some("bfloat16")) if is_native => Ok(Some(Kind::Bf16)),
        (_, Some(other)) => {
            let message = format!("{other:?} of an array of {descriptor}; only \"bfloat16\", of an array of uint16, can be given");
            Err(argument(py, "dtype", message))
        }
        _ if descriptor.kind() == b'f' => Ok(None),
        _ if descriptor.typeobj().name()?.to_str()? == "bfloat16" => Ok(Some(Kind::Bf16)),
        _ => Err(argument(py, name, format!("an array of {descriptor}; it must be of floating-point numbers"))),
    }
}

impl View {
    /// A row; `copy` is used where its elements do not lie side by side.
    pub fn row<'a>(&'a self, index: usize, copy: &'a mut Vec<f32>) -> Logits<'a> {
        // SAFETY: the index is that of a row of the array, whose memory it lies in.
        let first = unsafe { self.data.offset(self.row_stride * index.min(self.rows - 1) as isize) };
        let size = if self.kind == Kind::F32 { 4 } else { 2 };
        if self.stride == size && first.align_offset(size as usize) == 0 {
            // SAFETY: `length` elements of this kind lie there side by side, aligned, and any bits are valid for them.
            return unsafe {
                match self.kind {
                    Kind::F32 => Logits::F32(slice::from_raw_parts(first.cast(), self.length)),
                    Kind::F16 => Logits::F16(slice::from_raw_parts(first.cast::<Half>(), self.length)),
                    Kind::Bf16 => Logits::Bf16(slice::from_raw_parts(first.cast::<Brain>(), self.length)),
                }
            };
        }
        copy.clear();
        copy.extend((0..self.length as isize).map(|id| {
            // SAFETY: the element lies in the array; it need not be aligned.
            unsafe {
                let element = first.offset(self.stride * id);
                match self.kind {
                    Kind::F32 => element.cast::<f32>().read_unaligned(),
                    Kind::F16 => Half(element.cast::<u16>().read_unaligned()).into(),
                    Kind::Bf16 => Brain(element.cast::<u16>().read_unaligned()).into(),
                }
            }
        }));
        Logits::F32(copy)
    }
}

/// The ids so far of each row.
pub fn histories(history: Option<&Bound<'_, PyAny>>, rows: &Rows<'_>) -> PyResult<Vec<Vec<u32>>> {
    let Some(history) = history else { return Ok(Vec::new()) };
    if !rows.is_batch {
        return Ok(vec![inputs::ids(history, OutOfRange::Overflow)?]);
    }
    let of_rows: Vec<Bound<'_, PyAny>> = history.try_iter()?.collect::<PyResult<_>>()?;
    if of_rows.len() != rows.view.rows {
        let message = format!("{} sequences of ids for {} rows of logits", of_rows.len(), rows.view.rows);
        return Err(argument(history.py(), "history", message));
    }
    of_rows.iter().map(|ids| inputs::ids(ids, OutOfRange::Overflow)).collect()
}

/// The allowed ids of each row as bits: from an array of booleans, or of 32-bit words as grammar engines give them.
pub fn masks(mask: Option<&Bound<'_, PyAny>>, rows: &Rows<'_>) -> PyResult<Vec<Vec<u64>>> {
    const NAME: &str = "mask";
    let Some(mask) = mask else { return Ok(Vec::new()) };
    let py = mask.py();
    let array = numpy(py, mask, None)?;
    let length = rows.view.length;
    let (is_bool, words) = match (array.dtype().kind(), array.dtype().itemsize()) {
        (b'b', _) => (true, length),
        (b'i' | b'u', 4) => (false, length.div_ceil(32)),
        _ => {
            let message =
                format!("an array of {}; it must be of booleans, or of 32-bit words with a bit for each id", array.dtype());
            return Err(argument(py, NAME, message));
        }
    };
    let shape = array.shape();
    let fits = match shape {
        [last] => *last == words && rows.view.rows == 1,
        [of_rows, last] => *last == words && *of_rows == rows.view.rows,
        _ => false,
    };
    if !fits {
        let message = format!("shape {shape:?} for {} rows of {length} logits; each row must have {words}", rows.view.rows);
        return Err(argument(py, NAME, message));
    }
    let contiguous = py.import(intern!(py, "numpy"))?.call_method1(intern!(py, "ascontiguousarray"), (&array,))?;
    let bytes = contiguous.call_method0(intern!(py, "tobytes"))?;
    let bytes: &[u8] = bytes.extract()?;
    let bits = |row: &[u8]| -> Vec<u64> {
        if is_bool {
            return row
                .chunks(64)
                .map(|flags| flags.iter().rev().fold(0, |word, flag| word << 1 | u64::from(*flag != 0)))
                .collect();
        }
        let (words, _) = row.as_chunks::<4>();
        let pairs =
            words.chunks(2).map(|pair| pair.iter().rev().fold(0, |bits, word| bits << 32 | u64::from(u32::from_ne_bytes(*word))));
        pairs.collect()
    };
    Ok(bytes.chunks(if is_bool { words } else { 4 * words }).map(bits).collect())
}
