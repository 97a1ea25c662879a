//! What a token's id alone tells of the text that it stands for.

use super::alphabet::byte_level_byte;
use super::{Bpe, Parts};
use crate::models::{Measure, BYTE_TOKEN_BEGIN};

impl Bpe {
    /// How much text a token stands for, if its id tells: not for unknown tokens, and not where tokens are written with affixes.
    /// Never more than it stands for, and less only for a token whose text reads like one of byte fallback.
    pub(in crate::models) fn measure(&self, id: u32) -> Option<Measure> {
        let affix = [&self.continuing_subword_prefix, &self.end_of_word_suffix];
        if affix.iter().any(|affix| affix.as_deref().is_some_and(|affix| !affix.is_empty())) || self.unk_id == Some(id) {
            return None;
        }
        let token = self.vocabulary.token(id)?;
        match &self.parts {
            Parts::Bytes { .. } => {
                let mut bytes = token.chars().map(byte_level_byte);
                let first = Measure::of_byte(bytes.next()??);
                bytes.try_fold(first, |all, byte| Some(all.and(Measure::of_byte(byte?))))
            }
            Parts::Characters { characters, .. } => {
                // An id that has several texts may have that of a byte, too.
                let may_be_byte = token.starts_with(BYTE_TOKEN_BEGIN) || self.vocabulary.has_shared_ids();
                let byte = may_be_byte.then(|| characters.byte_tokens().iter().position(|token| *token == Some(id))).flatten();
                match byte.and_then(|byte| u8::try_from(byte).ok()) {
                    Some(byte) => Some(Measure::of_byte(byte)),
                    None => Measure::of_text(token),
                }
            }
        }
    }
}
