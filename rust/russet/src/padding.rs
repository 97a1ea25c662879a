//! Padding: to which length, on which side, with what.

/// On which side padding is put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaddingDirection {
    /// Before the tokens.
    Left,
    /// After the tokens.
    #[default]
    Right,
}

/// To which length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaddingStrategy {
    /// That of the longest encoding of a batch.
    #[default]
    BatchLongest,
    /// A fixed one.
    Fixed(usize),
}

/// `padding` of a tokenizer file, or of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    /// To which length.
    pub strategy: PaddingStrategy,
    /// On which side.
    pub direction: PaddingDirection,
    /// The length is rounded up to a multiple of this.
    pub pad_to_multiple_of: Option<usize>,
    /// The id of the padding token.
    pub pad_id: u32,
    /// Its type id.
    pub pad_type_id: u32,
    /// Its text.
    pub pad_token: String,
}
