//! Byte-level post-processing: white space at the ends of tokens is left out of the offsets.

use crate::Encoding;

/// `ByteLevel`.
#[derive(Debug)]
pub struct ByteLevel {
    /// `add_prefix_space`, if offsets are trimmed.
    trim: Option<bool>,
}

impl ByteLevel {
    pub(super) fn new(trim: Option<bool>) -> Self {
        Self { trim }
    }

    pub(super) fn process(&self, encodings: &mut [Encoding]) {
        for (index, encoding) in encodings.iter_mut().enumerate() {
            if let Some(add_prefix_space) = self.trim {
                encoding.trim_offsets(add_prefix_space);
            }
            encoding.set_sequence_id(index);
        }
    }
}
