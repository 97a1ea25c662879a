//! NumPy arrays over the core's memory, without a copy.

use numpy::ndarray::ArrayView1;
use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;

use crate::encoding::PyEncoding;

/// The ids of an encoding as a read-only array that keeps the encoding alive.
pub fn ids<'py>(encoding: &Bound<'py, PyEncoding>) -> PyResult<Bound<'py, PyArray1<u32>>> {
    let view = ArrayView1::from(encoding.get().flat_ids());
    // SAFETY: the ids lie in the encoding or in a part that it holds; it is frozen, so they are neither moved nor changed while
    // it lives, and it lives as long as the array, whose base object it is.
    let array = unsafe { PyArray1::borrow_from_array(&view, encoding.clone().into_any()) };
    array.try_readwrite()?.make_nonwriteable();
    Ok(array)
}
