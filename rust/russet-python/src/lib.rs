//! The Python binding of russet: the module `russet._core`.
//!
//! Every call does the same four things: take the arguments ([`inputs`], [`strings`], [`options`]), detach from the
//! interpreter ([`detach`]), call the core, convert what comes back ([`lists`], [`tokens`], [`arrays`]); the numeric [`kernels`] read and write
//! arrays in place ([`float_arrays`]). Decisions are made in the core or
//! in Python. All classes are frozen, no lock is held while the interpreter is waited for, and no panic leaves the module.

// Signatures are Python's: tuples, and as many arguments as there are keywords.
#![allow(clippy::too_many_arguments, clippy::type_complexity)]

mod arrays;
mod conversation;
mod decode_stream;
mod detach;
mod encoding;
mod error;
mod float_arrays;
mod inputs;
mod kernels;
mod lists;
mod logits;
mod mlmodel;
mod options;
mod parameters;
mod sampler;
mod strings;
mod tokenizer;
mod tokens;

/// The compiled part of the package `russet`.
#[pyo3::pymodule(gil_used = false)]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::conversation::PyConversation;
    #[pymodule_export]
    use crate::decode_stream::{PyDecodeStream, PyReferenceStream};
    #[pymodule_export]
    use crate::encoding::PyEncoding;
    #[pymodule_export]
    use crate::kernels::{attention, gelu, layer_norm, rms_norm, rotary, silu, silu_product, softmax, PyMatrix};
    #[pymodule_export]
    use crate::mlmodel::read_mlmodel;
    #[pymodule_export]
    use crate::options::{PyAddedToken, PyPadding, PyTruncation};
    #[pymodule_export]
    use crate::sampler::{accept_draft, PyChoice, PyLogitsProcessors, PySampler};
    #[pymodule_export]
    use crate::tokenizer::{pattern_engine, PyTokenizer};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        // Nothing is imported later than here: a fork in the middle of an import would leave its lock taken in the child.
        crate::error::classes(module.py())?;
        numpy::dtype::<u32>(module.py());
        Ok(())
    }
}
