//! Lists of tokens: `str` objects that are made once for each id.
//!
//! Most ids tell the text of their tokens, so a tokenizer's tokens are made as objects when they are first asked for, and are kept
//! beside its core: a list is filled with new references to them, which costs a tenth of new objects. They take some 60 bytes each, and
//! are given back with the core. Other tokens (unknown ones that show the text, added ones that took white space) are made anew.

use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use russet::{Encoding, TokenRows, TokenRun};
use std::ptr::NonNull;

use crate::detach;
use crate::error::exception;
use crate::lists::{keep, kept, NewList, Place};

/// The objects of one tokenizer's tokens, by id: references, or null.
struct TokenObjects(Box<[Place]>);

impl TokenObjects {
    fn new(ids_end: usize) -> Self {
        // SAFETY: all bytes zero are a null pointer. Memory that is zero already is not touched before it is used.
        Self(unsafe { Box::new_zeroed_slice(ids_end).assume_init() })
    }

    /// The object of a token, if it was made.
    #[inline(always)]
    fn get<'py>(&self, py: Python<'py>, id: u32) -> Option<Bound<'py, PyAny>> {
        kept(py, self.0.get(id as usize)?)
    }

    /// Keeps `object` for `id`.
    fn keep(&self, id: u32, object: Bound<'_, PyAny>) {
        if let Some(place) = self.0.get(id as usize) {
            keep(place, object);
        }
    }
}

impl Drop for TokenObjects {
    fn drop(&mut self) {
        // Without an interpreter there is nothing to give back.
        let _ = Python::try_attach(|py| {
            for object in self.0.iter_mut().filter_map(|place| NonNull::new(*place.get_mut())) {
                // SAFETY: the table's own reference, which nobody else gives back.
                drop(unsafe { Bound::from_owned_ptr(py, object.as_ptr()) });
            }
        });
    }
}

/// The text of each token.
pub fn token_list<'py>(py: Python<'py>, encoding: &Encoding) -> PyResult<Bound<'py, PyList>> {
    let mut list = NewList::new(py, encoding.len())?;
    for run in encoding.token_runs() {
        match run {
            TokenRun::Rows(rows) => take_rows(py, &rows, &mut list)?,
            TokenRun::Repeated(text, count) => {
                let object = PyString::new(py, text);
                (0..count).try_for_each(|_| list.push(object.clone().into_any()))?;
            }
        }
    }
    list.finish()
}

fn take_rows<'py>(py: Python<'py>, rows: &TokenRows<'_>, list: &mut NewList<'py>) -> PyResult<()> {
    let objects = rows.attachment(TokenObjects::new);
    let mut is_resolved = false;
    for (index, &id) in rows.ids().iter().enumerate() {
        if let Some(object) = objects.and_then(|objects| objects.get(py, id)) {
            list.push(object)?;
            continue;
        }
        if let (Some(objects), Some(text)) = (objects, rows.text_of_all(id)) {
            let object = PyString::new(py, text).into_any();
            objects.keep(id, object.clone());
            list.push(object)?;
            continue;
        }
        // The first of these may mean to encode the text once more.
        let work = if is_resolved { 0 } else { 4 * rows.ids().len() };
        is_resolved = true;
        let text = match work {
            0 => rows.text(index).map_err(|error| exception(py, &error))?,
            _ => list.outside(|py| detach::run(py, work, |_| rows.text(index)))?,
        };
        list.push(PyString::new(py, text).into_any())?;
    }
    Ok(())
}
