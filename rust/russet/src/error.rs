//! The one error type of the crate.
//!
//! Every variant carries its data as fields, and its message names the value, the limit and the place. The Python binding
//! maps each variant to one exception class in one table; nothing else in the crate knows about Python.

use std::path::PathBuf;

/// What can go wrong while loading a tokenizer or using one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tokenizer file, or a part of one, that cannot be used: `place` is the path inside it, such as `model.merges[17]`.
    #[error("{place}: {message}")]
    Config {
        /// Where in the file, as a dotted path with indices.
        place: String,
        /// What is wrong there, and what would be right.
        message: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A regular expression that cannot be compiled: `construct` is the part that is not valid or not supported.
    #[error("pattern {pattern:?}: {message} (at {construct:?})")]
    Pattern {
        /// The whole pattern.
        pattern: String,
        /// The offending part of it.
        construct: String,
        /// Why it is refused.
        message: String,
    },
    /// A regular expression took more steps than allowed on a text.
    #[error("pattern {pattern:?} needed more than {limit} steps on a text of {length} bytes")]
    PatternLimit {
        /// The whole pattern.
        pattern: String,
        /// The number of steps that was allowed.
        limit: u64,
        /// The length of the text in bytes.
        length: usize,
    },
    /// A size that is above its limit; nothing of that size was allocated.
    #[error("{what} is {value}, above the limit of {limit}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// Its value.
        value: u64,
        /// The largest value that is accepted.
        limit: u64,
    },
    /// An argument that makes no sense for this tokenizer.
    #[error("{name}: {message}")]
    Argument {
        /// The argument's name.
        name: &'static str,
        /// What is wrong with it, with its value and the limit.
        message: String,
    },
    /// An id that is in neither the vocabulary nor the added tokens.
    #[error("ids[{position}]: {id} is not in the vocabulary (pass on_unknown=\"skip\" to leave such ids out)")]
    UnknownId {
        /// The id.
        id: u64,
        /// Its index in the given ids.
        position: usize,
    },
    /// A stream of ids changed text that it had given: only its tokens together show that a part of it was no valid text.
    #[error("id {id} changes text that the stream has given: it was {expected:?} and is now the beginning of {actual:?}")]
    InvalidPrefix {
        /// The last id.
        id: u32,
        /// The text that was given.
        expected: String,
        /// What the ids decode to now.
        actual: String,
    },
    /// The text needs the unknown token, and the model has none: `message` says which one is missing.
    #[error("{message}")]
    MissingUnknownToken {
        /// What is missing.
        message: String,
    },
    /// Logits from which no token can be chosen.
    #[error("logits[{row}, {index}]: {kind} (on_invalid=\"mask\" leaves NaN and infinity out)")]
    InvalidLogits {
        /// The row.
        row: usize,
        /// The id of the first logit that is invalid.
        index: usize,
        /// What it is.
        kind: &'static str,
    },
    /// The caller asked to stop; the work is dropped.
    #[error("interrupted")]
    Interrupted,
    /// A state that the code holds to be impossible. Please report it.
    #[error("internal error: {0}")]
    Internal(String),
}

/// The result of everything that can fail in this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The same, of the id at `position`.
    pub(crate) fn at_position(self, position: usize) -> Self {
        match self {
            Self::UnknownId { id, .. } => Self::UnknownId { id, position },
            other => other,
        }
    }

    /// A [`Error::Config`] at `place`.
    pub fn config(place: impl Into<String>, message: impl Into<String>) -> Self {
        Error::Config { place: place.into(), message: message.into() }
    }

    /// The same error, its place put under `parent`: `pattern` under `normalizer` is `normalizer.pattern`.
    #[must_use]
    pub fn under(self, parent: &str) -> Self {
        match self {
            Error::Config { place, message } if place.is_empty() => Error::Config { place: parent.to_owned(), message },
            Error::Config { place, message } if place.starts_with('[') => {
                Error::Config { place: format!("{parent}{place}"), message }
            }
            Error::Config { place, message } => Error::Config { place: format!("{parent}.{place}"), message },
            other => other,
        }
    }
}
