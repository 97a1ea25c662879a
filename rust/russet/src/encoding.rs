//! What a text was encoded to.

/// The result of encoding a text or a pair.
#[derive(Clone, Debug)]
pub struct Encoding {}
