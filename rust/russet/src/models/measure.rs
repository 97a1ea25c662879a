//! How much text a token stands for, as far as its id alone tells.
//!
//! Where the tokens of a text tile it, where each stands follows from how long they are, and those that tokenized it need not do so
//! again. Lengths are in characters: a character is counted by the token that has its first byte. O(token).

use super::{Kind, Model};
use crate::words::SPACE_SYMBOL;

/// The text of a token: how many characters begin in it, and whether it begins inside one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Measure {
    pub(crate) characters: usize,
    pub(crate) begins_inside: bool,
    /// Whether it begins with what SentencePiece writes for a space.
    pub(crate) begins_piece: bool,
}

impl Measure {
    /// Of one byte of UTF-8.
    pub(super) fn of_byte(byte: u8) -> Self {
        let is_first = byte & 0xC0 != 0x80;
        Self { characters: usize::from(is_first), begins_inside: !is_first, begins_piece: false }
    }

    /// Of whole characters, `None` if there are none.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        let measure = Self::of_characters(text.chars().count());
        (!text.is_empty()).then_some(Self { begins_piece: text.starts_with(SPACE_SYMBOL), ..measure })
    }

    /// Of so many characters of which nothing else is known.
    pub(crate) fn of_characters(characters: usize) -> Self {
        Self { characters, begins_inside: false, begins_piece: false }
    }

    /// Of this and what follows it.
    pub(super) fn and(self, next: Self) -> Self {
        Self { characters: self.characters + next.characters, ..self }
    }
}

impl Model {
    /// How much of a piece a token stands for, if its id tells; never more than that.
    pub(crate) fn measure(&self, id: u32) -> Option<Measure> {
        match &self.0 {
            Kind::Bpe(model) => model.measure(id),
            Kind::Unigram(model) => model.measure(id),
            Kind::WordPiece(model) => model.measure(id),
            Kind::WordLevel(_) => None,
        }
    }

    /// Whether this is the unknown token of a model whose unknown tokens stand for text.
    pub(crate) fn is_unknown(&self, id: u32) -> bool {
        match &self.0 {
            Kind::Unigram(model) => model.is_unknown(id),
            Kind::WordPiece(model) => model.is_unknown(id),
            _ => false,
        }
    }

    /// Whether some of its tokens are never found in a text.
    pub(crate) fn has_hidden_tokens(&self) -> bool {
        matches!(&self.0, Kind::Unigram(model) if model.has_hidden_tokens())
    }

    /// What tokens inside a piece are written with.
    pub(crate) fn inner_prefix(&self) -> Option<&str> {
        match &self.0 {
            Kind::WordPiece(model) => Some(model.continuing_subword_prefix()),
            _ => None,
        }
    }

    /// The text that every token with this id shows, if they all show the same.
    pub(crate) fn text_of_all(&self, id: u32) -> Option<&str> {
        let shows_piece = matches!(&self.0, Kind::Unigram(model) if model.is_unknown(id));
        // Tokens that share an id may show the piece.
        self.vocabulary().token(id).filter(|_| !shows_piece && !self.vocabulary().has_shared_ids())
    }
}
