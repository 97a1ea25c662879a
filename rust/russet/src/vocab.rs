//! A vocabulary: tokens and their ids, both ways.
//!
//! All texts lie in one [`StringList`]; a token's place in it is its index, and everything else stores indices. Text to id is a
//! hash table of indices ([`StringIndex`]) or, where the model needs one anyway, a [`Trie`]. Id to text needs nothing where ids
//! count up in the file's order, one array where they are dense, and otherwise a binary search over the indices sorted by id: so
//! an id of 4,000,000,000 costs no memory. Lookups are O(1) but for the text's length, or O(log n) for the last case.
//!
//! Two tokens may have one id, as in the reference, whose answer for such an id differs from run to run. Here it is always the
//! last of them in the file's order.

use crate::compiled::{damaged, Reader, Writer};
use crate::formats::config::VocabConfig;
use crate::models::Trie;
use crate::string_index::StringIndex;
use crate::{Error, Result, StringList};

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
    /// The indices of the tokens, by text. Of equal texts only the last.
    indices: Indices,
    max_token_bytes: usize,
    shared_ids: bool,
}

/// Text to index.
#[derive(Debug)]
enum Indices {
    Hashed(StringIndex),
    Trie(Trie),
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
        Self::distinct(config, |tokens| {
            let mut indices = StringIndex::new(tokens.len());
            let repeated = (0..tokens.len() as u32).filter_map(|index| indices.insert(tokens, index)).min();
            Ok((Indices::Hashed(indices), repeated))
        })
    }

    /// The same with the index of the tokens.
    ///
    /// # Errors
    /// [`Error::Limit`] as for [`new`](Self::new).
    pub(crate) fn with_index(config: VocabConfig, index: StringIndex) -> Result<Self> {
        Self::distinct(config, |_| Ok((Indices::Hashed(index), None)))
    }

    /// The same with a trie, in which [`Trie::after`] finds `prefix`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn with_trie(config: VocabConfig, prefix: &str) -> Result<Self> {
        Self::distinct(config, |tokens| {
            let (trie, repeated) = Trie::new(tokens, prefix)?;
            Ok((Indices::Trie(trie), repeated))
        })
    }

    /// A vocabulary with a trie whose ids are the indices. Of equal tokens the last has the text.
    ///
    /// # Errors
    /// [`Error::Limit`] as for [`new`](Self::new).
    pub(crate) fn list_with_trie(tokens: StringList) -> Result<Self> {
        let max_token_bytes = check(&tokens)?;
        let (trie, _) = Trie::new(&tokens, "")?;
        Ok(Self { tokens, ids: Ids::Counting, indices: Indices::Trie(trie), max_token_bytes, shared_ids: false })
    }

    /// A vocabulary whose tokens `index` indexes; it also tells the first index of a text that is there again.
    fn distinct(config: VocabConfig, index: impl FnOnce(&StringList) -> Result<(Indices, Option<u32>)>) -> Result<Self> {
        let VocabConfig { tokens, ids } = config;
        if tokens.len() != ids.len() {
            let message = format!("{} tokens, but {} ids", tokens.len(), ids.len());
            return Err(Error::config("vocab", message));
        }
        let max_token_bytes = check(&tokens)?;
        let (ids, shared_ids) = Ids::new(ids);
        let (indices, repeated) = index(&tokens)?;
        if let Some(token) = repeated.and_then(|index| tokens.get(index as usize)) {
            return Err(Error::config("vocab", format!("token {token:?} is listed twice")));
        }
        Ok(Self { tokens, ids, indices, max_token_bytes, shared_ids })
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
        match &self.indices {
            Indices::Hashed(indices) => indices.find(&self.tokens, token),
            Indices::Trie(trie) => trie.find(&self.tokens, token),
        }
    }

    /// The index of the token with these bytes, where tokens are distinct: looked for at `near` and behind it first.
    #[inline]
    pub(crate) fn index_near(&self, token: &[u8], near: u32) -> Option<u32> {
        let is_there = |&index: &u32| (index as usize) < self.tokens.len() && self.tokens.bytes_at(index as usize) == token;
        [near, near + 1].into_iter().find(is_there).or_else(|| self.index_of_bytes(token))
    }

    /// The id of `token`.
    #[inline]
    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        self.id_of_bytes(token.as_bytes())
    }

    /// Whether the id of each token is its place.
    pub(crate) fn is_counting(&self) -> bool {
        matches!(self.ids, Ids::Counting)
    }

    /// The length of the token of `id` in bytes, 0 if there is none.
    #[inline]
    pub(crate) fn token_len(&self, id: u32) -> usize {
        self.index(id).map_or(0, |index| self.tokens.len_at(index as usize))
    }

    /// The id of the token at `index`.
    #[inline]
    pub(crate) fn id_at(&self, index: u32) -> u32 {
        self.ids.id(index)
    }

    /// One more than the largest id, where ids are dense enough for a table by id.
    pub(crate) fn ids_end(&self) -> Option<usize> {
        match &self.ids {
            Ids::Counting => Some(self.len()),
            Ids::Dense { index_of, .. } => Some(index_of.len()),
            Ids::Sparse { .. } => None,
        }
    }

    /// The place of `id` among the tokens.
    #[inline(always)]
    pub(crate) fn index(&self, id: u32) -> Option<u32> {
        self.ids.index(id, self.tokens.len())
    }

    /// The text of `id`.
    #[inline]
    pub(crate) fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(self.index(id)? as usize)
    }

    /// All tokens and their ids, in the file's order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        (0..).zip(self.tokens.iter()).map(|(index, token)| (token, self.ids.id(index)))
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

    /// Writes the vocabulary to a compiled file.
    pub(crate) fn write(&self, to: &mut Writer) {
        self.tokens.write(to);
        let ids = match &self.ids {
            Ids::Counting => None,
            Ids::Dense { ids, .. } | Ids::Sparse { ids, .. } => Some(ids.as_slice()),
        };
        to.option(ids, Writer::u32s);
        to.flag(matches!(self.indices, Indices::Trie(_)));
        match &self.indices {
            Indices::Hashed(index) => index.write(to),
            Indices::Trie(trie) => trie.write(to),
        }
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self> {
        let tokens = StringList::read(from)?;
        let max_token_bytes = check(&tokens)?;
        let (ids, shared_ids) = from.option(Reader::u32s)?.map_or((Ids::Counting, false), Ids::new);
        if matches!(&ids, Ids::Dense { ids, .. } | Ids::Sparse { ids, .. } if ids.len() != tokens.len()) {
            return Err(damaged("there are not as many ids as tokens"));
        }
        let indices = match from.flag()? {
            true => Indices::Trie(Trie::read(from, tokens.len())?),
            false => Indices::Hashed(StringIndex::read(from)?),
        };
        Ok(Self { tokens, ids, indices, max_token_bytes, shared_ids })
    }

    /// The trie, for a vocabulary that has one.
    #[inline]
    pub(crate) fn trie(&self) -> Option<&Trie> {
        match &self.indices {
            Indices::Trie(trie) => Some(trie),
            Indices::Hashed(_) => None,
        }
    }
}

/// Checks the number of tokens and their lengths; returns the longest.
fn check(tokens: &StringList) -> Result<usize> {
    let limited = |what, value: usize, limit: usize| match value > limit {
        true => Err(Error::Limit { what, value: value as u64, limit: limit as u64 }),
        false => Ok(value),
    };
    limited("the number of tokens in the vocabulary", tokens.len(), MAX_TOKENS)?;
    let longest = (0..tokens.len()).map(|index| tokens.len_at(index)).max().unwrap_or(0);
    limited("the length of a token in bytes", longest, MAX_TOKEN_BYTES)
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

    fn config(entries: &[(&str, u32)]) -> VocabConfig {
        VocabConfig { tokens: entries.iter().map(|entry| entry.0).collect(), ids: entries.iter().map(|entry| entry.1).collect() }
    }

    /// The vocabulary with either index.
    fn vocabularies(entries: &[(&str, u32)]) -> [Vocabulary; 2] {
        [Vocabulary::new(config(entries)).unwrap(), Vocabulary::with_trie(config(entries), "a").unwrap()]
    }

    #[test]
    fn ids_may_count_be_dense_or_be_sparse() {
        for ids in [[0, 1, 2], [2, 0, 1], [7, u32::MAX, 3]] {
            let entries = [("a", ids[0]), ("", ids[1]), ("é", ids[2])];
            for vocabulary in vocabularies(&entries) {
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
    }

    #[test]
    fn the_last_of_two_tokens_with_one_id_has_its_text() {
        for id in [1, u32::MAX] {
            for vocabulary in vocabularies(&[("a", id), ("b", 0), ("c", id)]) {
                assert!(vocabulary.has_shared_ids());
                assert_eq!(vocabulary.token(id), Some("c"));
                assert_eq!(vocabulary.id("a"), Some(id));
            }
        }
    }

    #[test]
    fn a_list_may_repeat_a_token() {
        let vocabulary = Vocabulary::list_with_trie(["a", "b", "a"].into_iter().collect()).unwrap();
        assert_eq!(vocabulary.id("a"), Some(2));
        assert_eq!(vocabulary.token(0), Some("a"));
        assert_eq!(vocabulary.len(), 3);
    }

    #[test]
    fn repeated_tokens_and_long_tokens_are_refused() {
        let repeated = config(&[("c", 0), ("b", 1), ("a", 2), ("a", 3), ("b", 4), ("b", 5)]);
        let long = "x".repeat(MAX_TOKEN_BYTES + 1);
        for make in [Vocabulary::new, |config| Vocabulary::with_trie(config, "##")] {
            assert_eq!(make(repeated.clone()).unwrap_err().to_string(), "vocab: token \"b\" is listed twice");
            assert!(matches!(make(config(&[(&long, 0)])), Err(Error::Limit { value: 65537, .. })));
            assert!(make(config(&[(&long[1..], 0)])).is_ok());
        }
    }

    proptest! {
        #[test]
        fn equals_a_map(entries in proptest::collection::hash_map("[a-c]{0,3}", prop_oneof![0u32..40, any::<u32>()], 0..20)) {
            let pairs: Vec<(&str, u32)> = entries.iter().map(|(token, &id)| (token.as_str(), id)).collect();
            let by_id: HashMap<u32, &str> = pairs.iter().map(|&(token, id)| (id, token)).collect();
            for vocabulary in vocabularies(&pairs) {
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
}
