//! Which pieces may be tokens that no merge makes.
//!
//! Where a whole piece is looked up before it is merged (`ignore_merges`), that matters for those tokens alone: merging gives any
//! other one as well. They are few (588 of Llama 3's 128,000, of 5 to 32 bytes), so a filter of bits, at least 32 for each of them,
//! by a hash of the piece, tells nearly all pieces that they need no look. O(1) for a piece; no set of its own: what the filter lets
//! through is looked up in the vocabulary.

use super::alphabet::byte_level_byte;
use crate::hashing::fold;
use crate::vocab::Vocabulary;
use std::hash::{BuildHasher, RandomState};

/// The fewest and the most bits: up to 256 KiB.
const LEAST_BITS: usize = 1 << 12;
const MOST_BITS: usize = 1 << 21;
const BITS_FOR_A_TOKEN: usize = 32;

/// A filter of the texts of some tokens.
#[derive(Debug)]
pub(super) struct Unmade {
    bits: Vec<u64>,
    key: u64,
}

impl Unmade {
    /// The filter of these tokens. Where pieces are raw bytes, the vocabulary writes them in byte-level characters.
    pub(super) fn new(ids: &[u32], vocabulary: &Vocabulary, is_raw: bool) -> Self {
        let bits = (ids.len() * BITS_FOR_A_TOKEN).next_power_of_two().clamp(LEAST_BITS, MOST_BITS);
        let mut filter = Self { bits: vec![0; bits / 64], key: RandomState::new().hash_one(0) };
        let mut raw = Vec::new();
        for token in ids.iter().filter_map(|&id| vocabulary.token(id)) {
            raw.clear();
            match is_raw {
                false => raw.extend_from_slice(token.as_bytes()),
                true => raw.extend(token.chars().map_while(byte_level_byte)),
            }
            let bit = filter.bit(&raw);
            filter.bits[bit / 64] |= 1 << (bit % 64);
        }
        filter
    }

    /// Whether a piece may be one of the tokens.
    #[inline]
    pub(super) fn may_have(&self, piece: &[u8]) -> bool {
        let bit = self.bit(piece);
        self.bits[bit / 64] >> (bit % 64) & 1 == 1
    }

    #[inline]
    fn bit(&self, piece: &[u8]) -> usize {
        let mix = |hash: u64, word: &[u8; 8]| fold(hash ^ u64::from_le_bytes(*word), 0x9e37_79b9_7f4a_7c15);
        let hash = self.key ^ piece.len() as u64;
        let hash = match piece.last_chunk() {
            // The last word may have some bytes of the one before once more.
            Some(last) => mix(piece.as_chunks().0.iter().fold(hash, mix), last),
            None => {
                let mut word = [0; 8];
                word[..piece.len()].copy_from_slice(piece);
                mix(hash, &word)
            }
        };
        // They are a power of two.
        hash as usize & (64 * self.bits.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::alphabet::byte_level_char;
    use super::*;
    use crate::formats::config::VocabConfig;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_token_is_found(texts in proptest::collection::hash_set(proptest::collection::vec(any::<u8>(), 1..40), 1..60)) {
            let mapped = |text: &Vec<u8>| text.iter().map(|&byte| byte_level_char(byte)).collect::<String>();
            let ids: Vec<u32> = (0..texts.len() as u32).collect();
            let vocab = VocabConfig { tokens: texts.iter().map(mapped).collect(), ids: ids.clone() };
            let filter = Unmade::new(&ids, &Vocabulary::new(vocab.clone()).unwrap(), true);
            prop_assert!(texts.iter().all(|text| filter.may_have(text)));
            let filter = Unmade::new(&ids, &Vocabulary::new(vocab.clone()).unwrap(), false);
            prop_assert!(texts.iter().all(|text| filter.may_have(mapped(text).as_bytes())));
            let others = (0..1000).filter(|number| filter.may_have(format!("{number}.").as_bytes())).count();
            prop_assert!(others < 200, "{others} of 1000 other pieces get through");
        }
    }
}
