//! The large parts of a model, straight from the JSON reader into their lists: `vocab` and `merges`.
//!
//! Which model it is may be known only later (`type` can come last, or not at all), so the shape alone decides here: an object
//! is a vocabulary of ids, an array one of scored pieces. A value that fits neither is reported when it turns out to be needed;
//! until then its error is kept, because another model, or a repeated key, may make it irrelevant.
//!
//! Repeated tokens are looked for when all are read; that takes a table of some six bytes per token for a moment, and nothing else
//! is allocated but the lists.

use super::skip::{visit_scalars, Scalar, Skip};
use super::{parse, Failure, Node};
use crate::formats::config::VocabConfig;
use crate::formats::Limits;
use crate::string_index::StringIndex;
use crate::{Error, Result, StringList};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;

/// Reads a file that is only a vocabulary: `vocab.json`.
pub(in crate::formats) fn read_vocabulary(bytes: &[u8], limits: &Limits) -> Result<VocabConfig> {
    let vocabulary = parse(bytes, limits, |failure, json| VocabularySeed(failure).deserialize(json))?;
    vocabulary.ids().map_err(|error| error.under("vocab.json"))
}

/// A `vocab` of either shape.
#[derive(Debug)]
pub(super) enum Vocabulary {
    /// An object.
    Ids(Result<VocabConfig>),
    /// An array.
    Pieces(Result<(StringList, Vec<f64>)>),
    /// Something else; the text says what.
    Other(&'static str),
}

impl Vocabulary {
    /// The vocabulary of ids that it must be.
    pub fn ids(self) -> Result<VocabConfig> {
        match self {
            Vocabulary::Ids(vocabulary) => vocabulary,
            Vocabulary::Pieces(_) => Err(Error::config("", "expected an object of ids, found an array")),
            Vocabulary::Other(kind) => Err(Error::config("", format!("expected an object of ids, found {kind}"))),
        }
    }

    /// The scored pieces that it must be.
    pub fn pieces(self) -> Result<(StringList, Vec<f64>)> {
        match self {
            Vocabulary::Pieces(pieces) => pieces,
            Vocabulary::Ids(_) => Err(Error::config("", "expected an array of scored pieces, found an object")),
            Vocabulary::Other(kind) => Err(Error::config("", format!("expected an array of scored pieces, found {kind}"))),
        }
    }
}

/// Collects tokens and ids; a repeated token keeps its place and takes the last id.
#[derive(Default)]
pub(in crate::formats) struct VocabularyBuilder {
    /// All that was inserted, repeated tokens included.
    entries: VocabConfig,
    /// The entries whose value is no id.
    wrong: BTreeSet<usize>,
}

impl VocabularyBuilder {
    /// Gives `token` the id `id`.
    pub fn insert(&mut self, token: &str, id: u32) {
        self.entries.tokens.push(token);
        self.entries.ids.push(id);
    }

    /// Gives the token that was last pushed on the list of tokens its id, if it has one.
    fn close(&mut self, id: Option<u32>) {
        if id.is_none() {
            self.wrong.insert(self.entries.ids.len());
        }
        self.entries.ids.push(id.unwrap_or(0));
    }

    /// Merges repeated tokens, and returns the number of tokens.
    fn merge_repeated(&mut self) -> usize {
        let VocabConfig { tokens, ids } = &mut self.entries;
        tokens.shrink_to_fit();
        ids.shrink_to_fit();
        let mut index = StringIndex::new(tokens.len());
        // Limits keep the number of tokens far below u32::MAX.
        if (0..tokens.len() as u32).all(|place| index.insert(tokens, place).is_none()) {
            return tokens.len();
        }
        let all = std::mem::take(self);
        let mut index = StringIndex::new(all.entries.tokens.len());
        for (place, (token, id)) in all.entries.tokens.iter().zip(all.entries.ids).enumerate() {
            let known = index.find(&self.entries.tokens, token.as_bytes()).map(|known| known as usize);
            let merged = known.unwrap_or(self.entries.tokens.len());
            match self.entries.ids.get_mut(merged) {
                Some(slot) => *slot = id,
                None => {
                    self.insert(token, id);
                    index.insert(&self.entries.tokens, merged as u32);
                }
            }
            if all.wrong.contains(&place) {
                self.wrong.insert(merged);
            } else {
                self.wrong.remove(&merged);
            }
        }
        self.entries.tokens.len()
    }

    /// The vocabulary.
    ///
    /// # Errors
    /// If a token's last value is no id.
    pub fn build(mut self) -> Result<VocabConfig> {
        self.merge_repeated();
        self.into_config()
    }

    /// The vocabulary, if repeated tokens were merged.
    fn into_config(self) -> Result<VocabConfig> {
        match self.wrong.first() {
            Some(&index) => {
                let token = self.entries.tokens.get(index).unwrap_or_default();
                Err(Error::config(format!("[{token:?}]"), "expected an id from 0 to 4294967295"))
            }
            None => Ok(self.entries),
        }
    }
}

/// Reads a `vocab` of either shape.
pub(super) struct VocabularySeed<'c>(pub &'c Failure);

impl<'de> DeserializeSeed<'de> for VocabularySeed<'_> {
    type Value = Vocabulary;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Vocabulary, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for VocabularySeed<'_> {
    type Value = Vocabulary;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    visit_scalars!(Vocabulary: kind => Vocabulary::Other(kind));

    fn visit_str<E>(self, _: &str) -> std::result::Result<Vocabulary, E> {
        Ok(Vocabulary::Other("a string"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Vocabulary, A::Error> {
        let failure = self.0;
        let mut builder = VocabularyBuilder::default();
        builder.entries.tokens = failure.list();
        // Only a hint, as for the list.
        let _ = builder.entries.ids.try_reserve_exact(failure.room());
        // How many entries may be there before repeated ones are merged: a count of entries is no count of tokens.
        let unmerged = failure.limits.vocabulary.saturating_mul(2).saturating_add(1);
        loop {
            let seed = TextSeed { failure, take: |token: &str| builder.entries.tokens.push(token) };
            if map.next_key_seed(seed)?.is_none() {
                break;
            }
            builder.close(match map.next_value_seed(Scalar)? {
                Node::Unsigned(id) => u32::try_from(id).ok(),
                _ => None,
            });
            if builder.entries.ids.len() as u64 >= unmerged {
                failure.hold(failure.limits.check_vocabulary("the size of the vocabulary", builder.merge_repeated()))?;
            }
        }
        failure.hold(failure.limits.check_vocabulary("the size of the vocabulary", builder.merge_repeated()))?;
        Ok(Vocabulary::Ids(builder.into_config()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Vocabulary, A::Error> {
        let failure = self.0;
        let mut pieces = failure.list();
        let mut scores = Vec::new();
        // Only a hint, as for the list.
        let _ = scores.try_reserve_exact(failure.room());
        let mut error = None;
        let mut index = 0;
        while let Some(is_piece) = items.next_element_seed(PieceSeed { failure, pieces: &mut pieces, scores: &mut scores })? {
            if !is_piece {
                error.get_or_insert_with(|| Error::config(format!("[{index}]"), "expected a piece and its score"));
            }
            index += 1;
            failure.hold(failure.limits.check_vocabulary("the size of the vocabulary", index))?;
        }
        pieces.shrink_to_fit();
        scores.shrink_to_fit();
        Ok(Vocabulary::Pieces(error.map_or(Ok((pieces, scores)), Err)))
    }
}

/// Reads a key, checks its length and hands it on.
struct TextSeed<'c, F> {
    failure: &'c Failure,
    take: F,
}

impl<'de, T, F: FnMut(&str) -> T> DeserializeSeed<'de> for TextSeed<'_, F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T, F: FnMut(&str) -> T> Visitor<'_> for TextSeed<'_, F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> std::result::Result<T, E> {
        self.failure.hold(self.failure.limits.check_token(text.len()))?;
        Ok((self.take)(text))
    }
}

/// Reads a text into a list; false, and nothing pushed, if the value is something else.
struct TextInto<'c, 'l> {
    failure: &'c Failure,
    list: &'l mut StringList,
}

impl<'de> DeserializeSeed<'de> for TextInto<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextInto<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    visit_scalars!(bool: _ => false);

    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<bool, E> {
        self.failure.hold(self.failure.limits.check_token(text.len()))?;
        self.list.push(text);
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> std::result::Result<bool, A::Error> {
        Skip.visit_seq(items).map(|()| false)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<bool, A::Error> {
        Skip.visit_map(map).map(|()| false)
    }
}

/// Whether there are no more elements; the others are read.
fn is_end<'de, A: SeqAccess<'de>>(items: &mut A) -> std::result::Result<bool, A::Error> {
    let mut is_end = true;
    while items.next_element_seed(Skip)?.is_some() {
        is_end = false;
    }
    Ok(is_end)
}

/// Reads a piece and its score; false if the element is something else.
struct PieceSeed<'c, 'l> {
    failure: &'c Failure,
    pieces: &'l mut StringList,
    scores: &'l mut Vec<f64>,
}

impl<'de> DeserializeSeed<'de> for PieceSeed<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PieceSeed<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    visit_scalars!(bool: _ => false);

    fn visit_str<E>(self, _: &str) -> std::result::Result<bool, E> {
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<bool, A::Error> {
        Skip.visit_map(map).map(|()| false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<bool, A::Error> {
        let has_piece = items.next_element_seed(TextInto { failure: self.failure, list: self.pieces })?;
        let score = match items.next_element_seed(Scalar)? {
            Some(Node::Unsigned(score)) => Some(score as f64),
            Some(Node::Signed(score)) => Some(score as f64),
            Some(Node::Float(score)) => Some(score),
            _ => None,
        };
        self.scores.extend(score);
        Ok(is_end(&mut items)? && has_piece == Some(true) && score.is_some())
    }
}

/// Reads `merges`: pairs, or strings with a space between the two parts (and then perhaps a first line `#version`).
pub(super) struct MergesSeed<'c>(pub &'c Failure);

impl<'de> DeserializeSeed<'de> for MergesSeed<'_> {
    type Value = Result<StringList>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MergesSeed<'_> {
    type Value = Result<StringList>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    visit_scalars!(Result<StringList>: kind => Err(Error::config("", format!("expected an array of merges, found {kind}"))));

    fn visit_str<E>(self, _: &str) -> std::result::Result<Self::Value, E> {
        Ok(Err(Error::config("", "expected an array of merges, found a string")))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Self::Value, A::Error> {
        Skip.visit_map(map)?;
        Ok(Err(Error::config("", "expected an array of merges, found an object")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Self::Value, A::Error> {
        let failure = self.0;
        let mut merges = failure.list();
        let mut form = None;
        let mut error = None;
        let mut index = 0;
        while let Some(merge) = items.next_element_seed(MergeSeed { failure, merges: &mut merges })? {
            match merge {
                Ok(found) if *form.get_or_insert(found) == found => {}
                Ok(_) => {
                    error.get_or_insert_with(|| {
                        Error::config(format!("[{index}]"), "merges are all strings or all pairs, not both")
                    });
                }
                Err(wrong) => {
                    error.get_or_insert_with(|| wrong.under(&format!("[{index}]")));
                }
            }
            index += 1;
            failure.hold(failure.limits.check_vocabulary("the number of merges", index))?;
        }
        merges.shrink_to_fit();
        Ok(error.map_or(Ok(merges), Err))
    }
}

/// How a merge is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MergeForm {
    String,
    Pair,
}

struct MergeSeed<'c, 'l> {
    failure: &'c Failure,
    merges: &'l mut StringList,
}

impl<'de> DeserializeSeed<'de> for MergeSeed<'_, '_> {
    type Value = Result<MergeForm>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// The error that a merge is neither a string nor a pair.
fn not_a_merge() -> Error {
    Error::config("", "expected a merge: two tokens, or a string of two tokens with a space between them")
}

/// Appends the merge that a line such as `th e` is; other lines are refused.
pub(in crate::formats) fn push_merge_line(line: &str, merges: &mut StringList) -> Result<()> {
    match line.split_once(' ') {
        Some((left, right)) if !right.contains(' ') => {
            merges.push(left);
            merges.push(right);
            Ok(())
        }
        _ => Err(Error::config("", format!("{line:?} is not two tokens with one space between them"))),
    }
}

impl<'de> Visitor<'de> for MergeSeed<'_, '_> {
    type Value = Result<MergeForm>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    visit_scalars!(Result<MergeForm>: _ => Err(not_a_merge()));

    fn visit_str<E: serde::de::Error>(self, line: &str) -> std::result::Result<Self::Value, E> {
        self.failure.hold(self.failure.limits.check_token(line.len() / 2))?;
        if line.starts_with("#version") {
            return Ok(Ok(MergeForm::String));
        }
        Ok(push_merge_line(line, self.merges).map(|()| MergeForm::String))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Self::Value, A::Error> {
        Skip.visit_map(map)?;
        Ok(Err(not_a_merge()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Self::Value, A::Error> {
        let left = items.next_element_seed(TextInto { failure: self.failure, list: self.merges })?;
        let right = items.next_element_seed(TextInto { failure: self.failure, list: self.merges })?;
        let is_pair = is_end(&mut items)? && left == Some(true) && right == Some(true);
        Ok(if is_pair { Ok(MergeForm::Pair) } else { Err(not_a_merge()) })
    }
}
