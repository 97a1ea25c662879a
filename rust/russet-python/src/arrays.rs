//! NumPy arrays over the core's memory, without a copy.

use numpy::ndarray::{ArrayView1, ArrayViewMut1};
use numpy::{PyArray1, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PySlice;

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

/// Ids that an array has, given back to the core when the array is gone.
#[pyclass(frozen, module = "russet._core")]
struct OwnedIds(Vec<u32>);

impl Drop for OwnedIds {
    fn drop(&mut self) {
        russet::give_back_ids(std::mem::take(&mut self.0));
    }
}

/// The ids as an array that owns them and may be written to.
pub fn own(py: Python<'_>, mut ids: Vec<u32>) -> PyResult<Bound<'_, PyArray1<u32>>> {
    let (first, length) = (ids.as_mut_ptr(), ids.len());
    let owner = Bound::new(py, OwnedIds(ids))?;
    // SAFETY: the pointer is that of a list of so many ids, which stays where it is while its owner lives, as nobody but the owner's
    // drop has it.
    let view = unsafe { ArrayViewMut1::from_shape_ptr(length, first) };
    // SAFETY: the owner is the array's base object, so the list lives as long as the array, through which alone it is read and written.
    Ok(unsafe { PyArray1::borrow_from_array(&view, owner.into_any()) })
}

/// A read-only array with room for `capacity` ids, for [`write`] and [`head`].
pub fn room(py: Python<'_>, capacity: usize) -> PyResult<Bound<'_, PyArray1<u32>>> {
    let array = PyArray1::zeros(py, capacity, false);
    array.try_readwrite()?.make_nonwriteable();
    Ok(array)
}

/// Writes ids into an array of [`room`], from the index `start` on. Returns whether there was room for them.
pub fn write(array: &Bound<'_, PyArray1<u32>>, start: usize, ids: &[u32]) -> bool {
    let fits = start.checked_add(ids.len()).is_some_and(|end| end <= array.len());
    if fits {
        // SAFETY: the array is contiguous, as it was made by `room`, and the ids fit behind `start`. Python cannot write to it, and
        // the caller lets one thread write at a time; what reads it meanwhile through a view gets old ids or new ones.
        unsafe { array.data().add(start).copy_from_nonoverlapping(ids.as_ptr(), ids.len()) };
    }
    fits
}

/// The first ids of an array of [`room`], read-only, without a copy.
pub fn head<'py>(array: &Bound<'py, PyArray1<u32>>, length: usize) -> PyResult<Bound<'py, PyArray1<u32>>> {
    let slice = PySlice::new(array.py(), 0, length as isize, 1);
    Ok(array.get_item(slice)?.cast_into()?)
}
