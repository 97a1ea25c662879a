//! Arrays of NumPy as the kernels read and write them: in place, without a copy.
//!
//! What is read is checked for its type, its order in memory and its alignment; what is written is either new or the caller's own
//! array, which must not lie over anything that is read.

use numpy::npyffi::flags::NPY_ARRAY_WRITEABLE;
use numpy::{PyArray, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use russet::kernels::Floats;
use russet::sampling::Half;
use std::ops::Range;
use std::slice;

use crate::error::argument;

/// The numbers of NumPy's types.
mod number {
    pub const BYTE: i32 = 1;
    pub const UBYTE: i32 = 2;
    pub const FLOAT: i32 = 11;
    pub const HALF: i32 = 23;
}

/// What an array that is read holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    F32,
    F16,
    I8,
    U8,
}

impl Kind {
    fn of(array: &Bound<'_, PyUntypedArray>) -> Option<Self> {
        let descriptor = array.dtype();
        let kind = match descriptor.num() {
            number::FLOAT => Self::F32,
            number::HALF => Self::F16,
            number::BYTE => Self::I8,
            number::UBYTE => Self::U8,
            _ => return None,
        };
        (descriptor.is_native_byteorder() != Some(false)).then_some(kind)
    }

    fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::I8 | Self::U8 => 1,
        }
    }
}

/// The memory of an array that is read, from its first element to its last.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    data: *const u8,
    length: usize,
    pub kind: Kind,
}

// SAFETY: the memory is read alone, by functions whose callers see to it that the array lives.
unsafe impl Send for Memory {}
// SAFETY: the same.
unsafe impl Sync for Memory {}

impl Memory {
    /// Of an array of one of the kinds, its elements side by side.
    pub fn new(array: &Bound<'_, PyUntypedArray>, name: &'static str, kinds: &[Kind]) -> PyResult<Self> {
        let py = array.py();
        if !array.is_c_contiguous() {
            return Err(argument(
                py,
                name,
                "its elements do not lie side by side; numpy.ascontiguousarray makes a copy where they do",
            ));
        }
        Self::of_elements(array, name, kinds, array.len())
    }

    /// Of an array of one of the kinds, whose elements are the first of `length` in memory and among these.
    fn of_elements(array: &Bound<'_, PyUntypedArray>, name: &'static str, kinds: &[Kind], length: usize) -> PyResult<Self> {
        let py = array.py();
        let Some(kind) = Kind::of(array).filter(|kind| kinds.contains(kind)) else {
            let message = format!("an array of {}; it must be of one of {kinds:?}, in this machine's byte order", array.dtype());
            return Err(argument(py, name, message));
        };
        // SAFETY: the pointer is that of a valid array object.
        let data = unsafe { (*array.as_array_ptr()).fields.data.cast::<u8>().cast_const() };
        if data.align_offset(kind.size()) != 0 {
            return Err(argument(py, name, format!("its memory is not aligned to {} bytes", kind.size())));
        }
        Ok(Self { data, length, kind })
    }

    /// The addresses of its bytes.
    pub fn bytes(&self) -> Range<usize> {
        let start = self.data as usize;
        start..start + self.length * self.kind.size()
    }

    /// Elements of a type of which any bits are a value.
    ///
    /// # Safety
    ///
    /// The array lives as long as what is given, and `T` is the type of its kind.
    unsafe fn slice<'a, T>(&self) -> &'a [T] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: so many elements lie there, aligned, as `of_elements` has seen; the caller sees to the rest.
        unsafe { slice::from_raw_parts(self.data.cast(), self.length) }
    }

    /// Floating-point numbers; none of another kind.
    ///
    /// # Safety
    ///
    /// The array lives as long as what is given.
    unsafe fn floats<'a>(&self) -> Floats<'a> {
        // SAFETY: the types are those of the kinds; the caller sees to the lifetime.
        unsafe {
            match self.kind {
                Kind::F32 => Floats::F32(self.slice()),
                Kind::F16 => Floats::F16(self.slice::<Half>()),
                Kind::I8 | Kind::U8 => Floats::F32(&[]),
            }
        }
    }
}

/// An array that an object reads as long as it lives.
#[derive(Debug)]
pub struct Kept {
    _array: Py<PyUntypedArray>,
    pub memory: Memory,
}

impl Kept {
    /// An array of one of the kinds, its elements side by side.
    pub fn new(array: &Bound<'_, PyUntypedArray>, name: &'static str, kinds: &[Kind]) -> PyResult<Self> {
        Ok(Self { memory: Memory::new(array, name, kinds)?, _array: array.clone().unbind() })
    }

    /// The same of an array that may be left out.
    pub fn optional(array: Option<&Bound<'_, PyUntypedArray>>, name: &'static str, kinds: &[Kind]) -> PyResult<Option<Self>> {
        array.map(|array| Self::new(array, name, kinds)).transpose()
    }

    /// Its floating-point numbers; none of another kind.
    pub fn floats(&self) -> Floats<'_> {
        // SAFETY: this holds the array, which NumPy does not resize while another object holds it.
        unsafe { self.memory.floats() }
    }

    /// Its bytes; none of another kind.
    pub fn unsigned(&self) -> &[u8] {
        match self.memory.kind {
            // SAFETY: the same; the type is that of the kind.
            Kind::U8 => unsafe { self.memory.slice() },
            _ => &[],
        }
    }

    /// Its signed bytes; none of another kind.
    pub fn signed(&self) -> &[i8] {
        match self.memory.kind {
            // SAFETY: the same; the type is that of the kind.
            Kind::I8 => unsafe { self.memory.slice() },
            _ => &[],
        }
    }
}

/// An array that is read during a call.
pub struct Read<'a, 'py> {
    array: &'a Bound<'py, PyUntypedArray>,
    pub memory: Memory,
}

impl<'a, 'py> Read<'a, 'py> {
    /// Of numbers of 32 bits, side by side.
    pub fn f32(array: &'a Bound<'py, PyUntypedArray>, name: &'static str) -> PyResult<Self> {
        Ok(Self { array, memory: Memory::new(array, name, &[Kind::F32])? })
    }

    /// The same of an array that may be left out.
    pub fn optional(array: Option<&'a Bound<'py, PyUntypedArray>>, name: &'static str) -> PyResult<Option<Self>> {
        array.map(|array| Self::f32(array, name)).transpose()
    }

    /// Of numbers of 32 or 16 bits with three axes, the numbers of the last side by side; with the strides of the others.
    pub fn heads(array: &'a Bound<'py, PyUntypedArray>, name: &'static str) -> PyResult<(Self, [usize; 3], [usize; 2])> {
        let py = array.py();
        let (&[heads, length, width], &[head_stride, row_stride, stride]) = (array.shape(), array.strides()) else {
            return Err(argument(py, name, format!("an array of {} dimensions; it must have three", array.ndim())));
        };
        let size = array.dtype().itemsize();
        let in_elements = |stride: isize, count: usize| {
            // Where there is one row, its stride means nothing.
            let stride = if count <= 1 { Some(0) } else { usize::try_from(stride).ok() };
            stride.filter(|stride| stride.is_multiple_of(size)).map(|stride| stride / size)
        };
        let strides = in_elements(head_stride, heads).zip(in_elements(row_stride, length));
        let Some((head_stride, row_stride)) = strides.filter(|_| stride == size as isize || width == 1) else {
            let message =
                format!("strides of {:?} bytes; the last axis must lie side by side, the others forwards", array.strides());
            return Err(argument(py, name, message));
        };
        let is_empty = heads == 0 || length == 0 || width == 0;
        // The array has these elements, so there is no overflow.
        let elements = if is_empty { 0 } else { (heads - 1) * head_stride + (length - 1) * row_stride + width };
        let memory = Memory::of_elements(array, name, &[Kind::F32, Kind::F16], elements)?;
        Ok((Self { array, memory }, [heads, length, width], [head_stride, row_stride]))
    }

    /// Its numbers; none if they are not of 32 bits.
    pub fn numbers(&self) -> &[f32] {
        match self.floats() {
            Floats::F32(numbers) => numbers,
            Floats::F16(_) => &[],
        }
    }

    /// Its numbers.
    pub fn floats(&self) -> Floats<'_> {
        // SAFETY: this holds the array.
        unsafe { self.memory.floats() }
    }

    pub fn shape(&self) -> &[usize] {
        self.array.shape()
    }
}

/// An array of numbers of 32 bits that a call writes.
pub struct Written<'py> {
    array: Bound<'py, PyArrayDyn<f32>>,
    data: *mut f32,
    length: usize,
}

impl<'py> Written<'py> {
    /// The caller's array, which must have this shape and not lie over what is read; without it a new one.
    pub fn new(
        py: Python<'py>,
        out: Option<&Bound<'py, PyUntypedArray>>,
        shape: &[usize],
        read: &[Range<usize>],
    ) -> PyResult<Self> {
        const NAME: &str = "out";
        let Some(out) = out else {
            // SAFETY: any bits are numbers, and the kernels write all of them before the array is given away.
            let array = unsafe { PyArray::<f32, _>::new(py, shape, false) };
            return Ok(Self { data: array.data(), length: array.len(), array });
        };
        let memory = Memory::new(out, NAME, &[Kind::F32])?;
        let array = out.cast::<PyArrayDyn<f32>>()?.clone();
        if array.shape() != shape {
            return Err(argument(py, NAME, format!("shape {:?}; it must be {shape:?}", array.shape())));
        }
        // SAFETY: the pointer is that of a valid array object.
        if unsafe { (*out.as_array_ptr()).fields.flags } & NPY_ARRAY_WRITEABLE == 0 {
            return Err(argument(py, NAME, "it is read-only"));
        }
        let bytes = memory.bytes();
        if read.iter().any(|read| read.start < bytes.end && bytes.start < read.end) {
            return Err(argument(py, NAME, "its memory is also read in this call"));
        }
        Ok(Self { data: array.data(), length: array.len(), array })
    }

    /// Its numbers.
    pub fn numbers(&mut self) -> &mut [f32] {
        if self.length == 0 {
            return &mut [];
        }
        // SAFETY: so many numbers lie there, aligned and side by side; this holds the array, nothing that the call reads lies over
        // it, and a call has one array of the caller's to write.
        unsafe { slice::from_raw_parts_mut(self.data, self.length) }
    }

    pub fn into_array(self) -> Bound<'py, PyArrayDyn<f32>> {
        self.array
    }
}
