//! The one table from the core's error variants to Python's exception classes, which are defined in `russet.errors`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyModule;
use russet::Error;
use std::io::ErrorKind;

/// The module that holds the exception classes.
pub fn classes(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static CLASSES: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    Ok(CLASSES.get_or_try_init(py, || PyResult::Ok(py.import("russet.errors")?.unbind()))?.bind(py))
}

fn class_name(error: &Error) -> &'static str {
    match error {
        Error::Config { .. } => "ConfigError",
        Error::Io { source, .. } => match source.kind() {
            ErrorKind::NotFound => "MissingFileError",
            ErrorKind::PermissionDenied => "ForbiddenFileError",
            ErrorKind::IsADirectory => "FolderError",
            _ => "FileError",
        },
        Error::Pattern { .. } => "PatternError",
        Error::PatternLimit { .. } => "PatternLimitError",
        Error::Limit { .. } => "LimitError",
        Error::Argument { .. } => "ArgumentError",
        Error::UnknownId { .. } => "UnknownIdError",
        Error::MissingUnknownToken { .. } => "MissingTokenError",
        Error::InvalidPrefix { .. } => "StreamError",
        Error::InvalidLogits { .. } => "InvalidLogitsError",
        _ => "InternalError",
    }
}

/// The Python exception for an error of the core, its fields as attributes.
pub fn exception(py: Python<'_>, error: &Error) -> PyErr {
    build(py, error).unwrap_or_else(|failure| failure)
}

fn build(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let class = classes(py)?.getattr(class_name(error))?;
    let exception = match error {
        // OSError takes its fields as arguments and makes the message of them.
        Error::Io { path, source } => {
            let reason = source.to_string();
            let reason = reason.split(" (os error").next().unwrap_or_default();
            class.call1((source.raw_os_error(), reason, path.as_os_str()))?
        }
        _ => class.call1((error.to_string(),))?,
    };
    match error {
        Error::Config { place, .. } => exception.setattr("place", place)?,
        Error::Pattern { pattern, construct, .. } => {
            exception.setattr("pattern", pattern)?;
            exception.setattr("construct", construct)?;
        }
        Error::PatternLimit { pattern, limit, .. } => {
            exception.setattr("pattern", pattern)?;
            exception.setattr("limit", limit)?;
        }
        Error::Limit { value, limit, .. } => {
            exception.setattr("value", value)?;
            exception.setattr("limit", limit)?;
        }
        Error::Argument { name, .. } => exception.setattr("argument", name)?,
        Error::InvalidLogits { row, index, kind } => {
            exception.setattr("row", row)?;
            exception.setattr("index", index)?;
            exception.setattr("kind", kind)?;
        }
        Error::UnknownId { id, position } => {
            exception.setattr("id", id)?;
            exception.setattr("position", position)?;
        }
        _ => {}
    }
    Ok(PyErr::from_value(exception))
}

/// An `ArgumentError`.
pub fn argument(py: Python<'_>, name: &'static str, message: impl Into<String>) -> PyErr {
    exception(py, &Error::Argument { name, message: message.into() })
}
