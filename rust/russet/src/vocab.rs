//! A vocabulary: tokens and their ids, both ways.
//!
//! All texts lie in one [`StringList`]; a token's place in it is its index, and everything else stores indices. Text to id is a
//! hash table of indices (five bytes an entry, keyed at random per table, so that no file can choose its collisions). Id to text
//! needs nothing where ids count up in the file's order, one array where they are dense, and otherwise a binary search over the
//! indices sorted by id: so an id of 4,000,000,000 costs no memory. Lookups are O(1), or O(log n) for the last case.
//!
//! Two tokens may have one id, as in the reference, whose answer for such an id differs from run to run. Here it is always the
//! last of them in the file's order.

use crate::formats::config::VocabConfig;
use crate::{Error, Result, StringList};
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// The largest number of tokens in a vocabulary.
const MAX_TOKENS: usize = 1 << 24;
/// The largest length of a token in bytes.
const MAX_TOKEN_BYTES: usize = 1 << 16;
/// Marks an id that no token has.
const NO_INDEX: u32 = u32::MAX;

/// Tokens and ids.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    tokens: StringList,
    /// The id of each token.
    ids: Ids,
    /// The indices of the tokens, by hash of the text. Of equal texts only the last.
    indices: HashTable<u32>,
    hasher: DefaultHashBuilder,
    max_token_bytes: usize,
    shared_ids: bool,
}

/// Index to id and back.
#[derive(Debug)]
enum Ids {
    /// The id is the index.
    Counting,
    /// `index_of[id]` is the last index with that id, or `NO_INDEX`.
    Dense { ids: Vec<u32>, index_of: Vec<u32> },
    /// `by_id` is all indices, sorted by id, then by index.
    Sparse { ids: Vec<u32>, by_id: Vec<u32> },
}

impl Vocabulary {
    /// A vocabulary of distinct tokens.
    ///
    /// # Errors
    /// [`Error::Limit`] above 16,777,216 tokens or 65,536 bytes in one token; [`Error::Config`] if a token is listed twice.
    pub(crate) fn new(config: VocabConfig) -> Result<Self> {
        let VocabConfig { tokens, ids } = config;
        if tokens.len() != ids.len() {
            let message = format!("{} tokens, but {} ids", tokens.len(), ids.len());
            return Err(Error::config("vocab", message));
        }
        let mut vocabulary = Self::index(tokens)?;
        if vocabulary.indices.len() < vocabulary.len() {
            let repeated =
                vocabulary.iter_indices().find(|&(index, token)| vocabulary.index_of_bytes(token.as_bytes()) != Some(index));
            let token = repeated.map_or("", |(_, token)| token);
            return Err(Error::config("vocab", format!("token {token:?} is listed twice")));
        }
        (vocabulary.ids, vocabulary.shared_ids) = Ids::new(ids);
        Ok(vocabulary)
    }

    /// A vocabulary whose ids are the indices. Of equal tokens the last has the text.
    ///
    /// # Errors
    /// [`Error::Limit`] as for [`new`](Self::new).
    pub(crate) fn from_list(tokens: StringList) -> Result<Self> {
        Self::index(tokens)
    }

    fn index(tokens: StringList) -> Result<Self> {
        if tokens.len() > MAX_TOKENS {
            let value = tokens.len() as u64;
            return Err(Error::Limit { what: "the number of tokens in the vocabulary", value, limit: MAX_TOKENS as u64 });
        }
        let hasher = DefaultHashBuilder::default();
        let mut indices = HashTable::with_capacity(tokens.len());
        let mut max_token_bytes = 0;
        for (index, token) in tokens.iter().enumerate() {
            max_token_bytes = max_token_bytes.max(token.len());
            let same = |&other: &u32| tokens.get(other as usize) == Some(token);
            let rehash = |&other: &u32| hasher.hash_one(tokens.get(other as usize).unwrap_or_default().as_bytes());
            let entry = indices.entry(hasher.hash_one(token.as_bytes()), same, rehash);
            entry.and_modify(|known| *known = index as u32).or_insert(index as u32);
        }
        if max_token_bytes > MAX_TOKEN_BYTES {
            let value = max_token_bytes as u64;
            return Err(Error::Limit { what: "the length of a token in bytes", value, limit: MAX_TOKEN_BYTES as u64 });
        }
        Ok(Self { tokens, ids: Ids::Counting, indices, hasher, max_token_bytes, shared_ids: false })
    }

    /// The number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The length of the longest token in bytes.
    pub(crate) fn max_token_bytes(&self) -> usize {
        self.max_token_bytes
    }

    /// Whether some id belongs to more than one token.
    pub(crate) fn has_shared_ids(&self) -> bool {
        self.shared_ids
    }

    /// The id of the token with these bytes.
    #[inline]
    pub(crate) fn id_of_bytes(&self, token: &[u8]) -> Option<u32> {
        self.index_of_bytes(token).map(|index| self.ids.id(index))
    }

    /// The index of the token with these bytes.
    #[inline]
    pub(crate) fn index_of_bytes(&self, token: &[u8]) -> Option<u32> {
        let same = |&index: &u32| self.tokens.get(index as usize).is_some_and(|text| text.as_bytes() == token);
        self.indices.find(self.hasher.hash_one(token), same).copied()
    }

    /// The id of `token`.
    #[inline]
    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        self.id_of_bytes(token.as_bytes())
    }

    /// The id of the token at `index`.
    #[inline]
    pub(crate) fn id_at(&self, index: u32) -> u32 {
        self.ids.id(index)
    }

    /// The text of `id`.
    #[inline]
    pub(crate) fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(self.ids.index(id, self.tokens.len())? as usize)
    }

    /// All tokens and their ids, in the file's order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.iter_indices().map(|(index, token)| (token, self.ids.id(index)))
    }

    /// The texts in the file's order.
    pub(crate) fn tokens(&self) -> &StringList {
        &self.tokens
    }

    /// The file's form.
    pub(crate) fn to_config(&self) -> VocabConfig {
        let ids = match &self.ids {
            Ids::Counting => (0..self.len() as u32).collect(),
            Ids::Dense { ids, .. } | Ids::Sparse { ids, .. } => ids.clone(),
        };
        VocabConfig { tokens: self.tokens.clone(), ids }
    }

    fn iter_indices(&self) -> impl Iterator<Item = (u32, &str)> {
        (0..).zip(self.tokens.iter())
    }
}

impl Ids {
    /// The tables for `ids`, and whether an id occurs twice.
    fn new(ids: Vec<u32>) -> (Self, bool) {
        if ids.iter().enumerate().all(|(index, &id)| index == id as usize) {
            return (Ids::Counting, false);
        }
        let largest = ids.iter().max().map_or(0, |&id| id as usize);
        if largest < 2 * ids.len() + 1024 {
            let mut index_of = vec![NO_INDEX; largest + 1];
            let mut shared = false;
            for (&id, index) in ids.iter().zip(0..) {
                shared |= index_of[id as usize] != NO_INDEX;
                index_of[id as usize] = index;
            }
            return (Ids::Dense { ids, index_of }, shared);
        }
        let mut by_id: Vec<u32> = (0..ids.len() as u32).collect();
        by_id.sort_unstable_by_key(|&index| (ids[index as usize], index));
        let shared = by_id.windows(2).any(|pair| ids[pair[0] as usize] == ids[pair[1] as usize]);
        (Ids::Sparse { ids, by_id }, shared)
    }

    #[inline]
    fn id(&self, index: u32) -> u32 {
        match self {
            Ids::Counting => index,
            Ids::Dense { ids, .. } | Ids::Sparse { ids, .. } => ids[index as usize],
        }
    }

    #[inline]
    fn index(&self, id: u32, tokens: usize) -> Option<u32> {
        match self {
            Ids::Counting => ((id as usize) < tokens).then_some(id),
            Ids::Dense { index_of, .. } => index_of.get(id as usize).copied().filter(|&index| index != NO_INDEX),
            Ids::Sparse { ids, by_id } => {
                let after = by_id.partition_point(|&index| ids[index as usize] <= id);
                let index = *by_id.get(after.checked_sub(1)?)?;
                (ids[index as usize] == id).then_some(index)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn vocabulary(entries: &[(&str, u32)]) -> Result<Vocabulary> {
        let tokens = entries.iter().map(|entry| entry.0).collect();
        Vocabulary::new(VocabConfig { tokens, ids: entries.iter().map(|entry| entry.1).collect() })
    }

    #[test]
    fn ids_may_count_be_dense_or_be_sparse() {
        for ids in [[0, 1, 2], [2, 0, 1], [7, u32::MAX, 3]] {
            let entries = [("a", ids[0]), ("", ids[1]), ("é", ids[2])];
            let vocabulary = vocabulary(&entries).unwrap();
            for (token, id) in entries {
                assert_eq!(vocabulary.id(token), Some(id));
                assert_eq!(vocabulary.token(id), Some(token));
            }
            assert_eq!(vocabulary.id("b"), None);
            assert_eq!(vocabulary.token(5), None);
            assert_eq!(vocabulary.iter().collect::<Vec<_>>(), entries);
            assert_eq!(vocabulary.to_config().ids, ids);
            assert!(!vocabulary.has_shared_ids());
        }
    }

    #[test]
    fn the_last_of_two_tokens_with_one_id_has_its_text() {
        for id in [1, u32::MAX] {
            let vocabulary = vocabulary(&[("a", id), ("b", 0), ("c", id)]).unwrap();
            assert!(vocabulary.has_shared_ids());
            assert_eq!(vocabulary.token(id), Some("c"));
            assert_eq!(vocabulary.id("a"), Some(id));
        }
    }

    #[test]
    fn a_list_may_repeat_a_token() {
        let vocabulary = Vocabulary::from_list(["a", "b", "a"].into_iter().collect()).unwrap();
        assert_eq!(vocabulary.id("a"), Some(2));
        assert_eq!(vocabulary.token(0), Some("a"));
        assert_eq!(vocabulary.len(), 3);
    }

    #[test]
    fn repeated_tokens_and_long_tokens_are_refused() {
        let error = vocabulary(&[("a", 0), ("a", 1)]).unwrap_err();
        assert_eq!(error.to_string(), "vocab: token \"a\" is listed twice");
        let long = "x".repeat(MAX_TOKEN_BYTES + 1);
        assert!(matches!(vocabulary(&[(&long, 0)]), Err(Error::Limit { value: 65537, .. })));
        assert!(vocabulary(&[(&long[1..], 0)]).is_ok());
    }

    proptest! {
        #[test]
        fn equals_a_map(entries in proptest::collection::hash_map("[a-c]{0,3}", prop_oneof![0u32..40, any::<u32>()], 0..20)) {
            let pairs: Vec<(&str, u32)> = entries.iter().map(|(token, &id)| (token.as_str(), id)).collect();
            let vocabulary = vocabulary(&pairs).unwrap();
            let by_id: HashMap<u32, &str> = pairs.iter().map(|&(token, id)| (id, token)).collect();
            prop_assert_eq!(vocabulary.has_shared_ids(), by_id.len() < pairs.len());
            for (&id, &token) in &by_id {
                prop_assert_eq!(vocabulary.token(id), Some(token));
                prop_assert_eq!(vocabulary.token(id ^ 1), by_id.get(&(id ^ 1)).copied());
            }
            for &(token, id) in &pairs {
                prop_assert_eq!(vocabulary.id(token), Some(id));
            }
        }
    }
}
