//! Added tokens.

/// A token that is matched in the text before the model sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddedToken {
    /// The text that is matched.
    pub content: String,
    /// Whether it matches only where it is not part of a longer word.
    pub single_word: bool,
    /// Whether it takes the white space on its left.
    pub lstrip: bool,
    /// Whether it takes the white space on its right.
    pub rstrip: bool,
    /// Whether it is matched in the normalized text, by its normalized form.
    pub normalized: bool,
    /// Whether `skip_special_tokens` leaves it out when decoding.
    pub special: bool,
}
