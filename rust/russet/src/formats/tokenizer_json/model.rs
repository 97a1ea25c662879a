//! `model`: which one it is, and its fields.
//!
//! The keys come in any order, so all known ones are collected and the model is made when the object ends. A known `type`
//! decides. Without a `type` the first of BPE, WordPiece, WordLevel and Unigram that can be made is meant, and then a BPE
//! model whose merges do not hold is no BPE model; any other `type` is refused.

use super::node::{array, boolean, id, object_fields, one_of, size, string, Field, Node, NodeSeed, Repeats};
use super::skip::{Scalar, Skip};
use super::vocabulary::{MergesSeed, Vocabulary, VocabularySeed};
use super::{Failure, UNUSED_MARK};
use crate::formats::config::{
    BpeConfig, ModelConfig, ScoredMerges, SentencePieceUnigram, UnigramConfig, WordLevelConfig, WordPieceConfig,
};
use crate::string_index::StringIndex;
use crate::{Error, Result, StringList};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

/// The keys that hold a single value.
const SETTINGS: [&str; 9] = [
    "dropout",
    "unk_token",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "fuse_unk",
    "byte_fallback",
    "ignore_merges",
    "max_input_chars_per_word",
    "unk_id",
];

/// Which model a `type` names.
#[derive(Clone, Copy)]
enum Kind {
    Bpe,
    WordPiece,
    WordLevel,
    Unigram,
}

/// Reads a model; `place` is where it stands, for messages.
pub(super) struct ModelSeed<'c> {
    pub failure: &'c Failure,
    pub place: &'static str,
}

impl<'de> DeserializeSeed<'de> for ModelSeed<'_> {
    type Value = ModelConfig;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<ModelConfig, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ModelSeed<'_> {
    type Value = ModelConfig;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object that describes a model")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<ModelConfig, A::Error> {
        let failure = self.failure;
        let mut parts = Parts::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "type" => {
                    let seed = NodeSeed { failure, repeats: Repeats::Last, values: &Cell::new(0) };
                    parts.is_type_repeated = parts.kind.replace(map.next_value_seed(seed)?).is_some();
                }
                "sentencepiece" | "unreachable" => {
                    let seed = NodeSeed { failure, repeats: Repeats::Last, values: &Cell::new(0) };
                    let value = map.next_value_seed(seed)?;
                    match key.as_str() {
                        "unreachable" => parts.unreachable = Some(value),
                        _ => parts.sentencepiece = Some(value),
                    }
                }
                "vocab" => {
                    parts.vocab = match failure.vocabulary.take() {
                        Some(vocabulary) => map.next_value_seed(Skip).map(|()| Some(vocabulary))?,
                        None => Some(map.next_value_seed(VocabularySeed(failure))?),
                    }
                }
                "merges" if failure.has_merges => {
                    map.next_value_seed(Skip)?;
                    parts.merges = Some(Ok(StringList::new()));
                }
                "merges" => parts.merges = Some(map.next_value_seed(MergesSeed(failure))?),
                key => match SETTINGS.iter().find(|name| **name == key) {
                    Some(name) => {
                        let value = map.next_value_seed(Scalar)?;
                        parts.settings.retain(|(other, _)| other != name);
                        parts.settings.push((name, value));
                    }
                    None => map.next_value_seed(Skip)?,
                },
            }
        }
        let nested = |error: Error| if self.place.is_empty() { error } else { error.under(self.place) };
        failure.hold(parts.model().map_err(nested))
    }
}

/// The parts of a model that were found, each with its last value.
#[derive(Default)]
struct Parts {
    kind: Option<Node>,
    is_type_repeated: bool,
    settings: Vec<(&'static str, Node)>,
    /// The keys that only this crate knows.
    sentencepiece: Option<Node>,
    unreachable: Option<Node>,
    vocab: Option<Vocabulary>,
    merges: Option<Result<StringList>>,
}

impl Parts {
    fn model(mut self) -> Result<ModelConfig> {
        const KINDS: [(&str, Kind); 4] =
            [("BPE", Kind::Bpe), ("WordPiece", Kind::WordPiece), ("WordLevel", Kind::WordLevel), ("Unigram", Kind::Unigram)];
        if self.is_type_repeated {
            return Err(Error::config("type", "there is more than one"));
        }
        match self.kind.as_ref().map(|kind| one_of(kind, &KINDS)) {
            Some(Ok(Kind::Bpe)) => self.bpe().map(ModelConfig::Bpe),
            Some(Ok(Kind::WordPiece)) => self.word_piece().map(ModelConfig::WordPiece),
            Some(Ok(Kind::WordLevel)) => self.word_level().map(ModelConfig::WordLevel),
            Some(Ok(Kind::Unigram)) => self.unigram().map(ModelConfig::Unigram),
            Some(Err(error)) => Err(error.under("type")),
            None => self.untyped(),
        }
    }

    /// The first model that these parts make. The readers take `vocab` only when everything else is right.
    fn untyped(&mut self) -> Result<ModelConfig> {
        if let Ok(bpe) = self.bpe() {
            if is_sound(&bpe) {
                return Ok(ModelConfig::Bpe(bpe));
            }
            self.vocab = Some(Vocabulary::Ids(Ok(bpe.vocab)));
        }
        if let Ok(word_piece) = self.word_piece() {
            return Ok(ModelConfig::WordPiece(word_piece));
        }
        if let Ok(word_level) = self.word_level() {
            return Ok(ModelConfig::WordLevel(word_level));
        }
        self.unigram().map(ModelConfig::Unigram).map_err(|error| match error {
            Error::Config { place, message } => {
                let message = format!("there is no \"type\", and the fields are those of no model (as Unigram: {message})");
                Error::Config { place, message }
            }
            other => other,
        })
    }

    fn setting(&self, name: &'static str) -> Field<'_> {
        Field { name, node: self.settings.iter().find(|(other, _)| *other == name).map(|(_, node)| node) }
    }

    /// The vocabulary of ids, taken if it is one.
    fn take_ids(&mut self) -> Result<crate::formats::config::VocabConfig> {
        match self.vocab.take_if(|vocab| matches!(vocab, Vocabulary::Ids(_))) {
            Some(vocab) => vocab.ids().map_err(|error| error.under("vocab")),
            None if self.vocab.is_some() => Err(Error::config("vocab", "expected an object of ids")),
            None => Err(Error::config("vocab", "missing")),
        }
    }

    fn bpe(&mut self) -> Result<BpeConfig> {
        let config = BpeConfig {
            dropout: self.setting("dropout").optional(number)?,
            unk_token: self.setting("unk_token").optional(string)?,
            continuing_subword_prefix: self.setting("continuing_subword_prefix").optional(string)?,
            end_of_word_suffix: self.setting("end_of_word_suffix").optional(string)?,
            fuse_unk: self.setting("fuse_unk").optional(boolean)?.unwrap_or(false),
            byte_fallback: self.setting("byte_fallback").optional(boolean)?.unwrap_or(false),
            ignore_merges: self.setting("ignore_merges").optional(boolean)?.unwrap_or(false),
            scored: Field { name: "sentencepiece", node: self.sentencepiece.as_ref() }.optional(scored_merges)?,
            unreachable: Field { name: "unreachable", node: self.unreachable.as_ref() }.or(Vec::new(), |node| array(node, id))?,
            ..BpeConfig::default()
        };
        let merges = self.merges.take().ok_or_else(|| Error::config("merges", "missing"))?;
        let merges = merges.map_err(|error| error.under("merges"))?;
        Ok(BpeConfig { merges, vocab: self.take_ids()?, ..config })
    }

    fn word_piece(&mut self) -> Result<WordPieceConfig> {
        Ok(WordPieceConfig {
            unk_token: self.setting("unk_token").required(string)?,
            continuing_subword_prefix: self.setting("continuing_subword_prefix").required(string)?,
            max_input_chars_per_word: self.setting("max_input_chars_per_word").required(size)?,
            vocab: self.take_ids()?,
        })
    }

    fn word_level(&mut self) -> Result<WordLevelConfig> {
        Ok(WordLevelConfig { unk_token: self.setting("unk_token").required(string)?, vocab: self.take_ids()? })
    }

    fn unigram(&mut self) -> Result<UnigramConfig> {
        let unk_id = self.setting("unk_id").optional(size)?;
        let byte_fallback = self.setting("byte_fallback").or(false, boolean)?;
        let vocab = self.vocab.take().ok_or_else(|| Error::config("vocab", "missing"))?;
        let (mut pieces, scores) = vocab.pieces().map_err(|error| error.under("vocab"))?;
        let sentencepiece = Field { name: "sentencepiece", node: self.sentencepiece.as_ref() }.optional(sentencepiece_rules)?;
        if let Some(rules) = sentencepiece.as_ref().filter(|rules| !rules.unused.is_empty()) {
            let unused: HashSet<u32> = rules.unused.iter().copied().collect();
            let names = (0..).zip(pieces.iter());
            let own_name = |(id, name)| if unused.contains(&id) { without_mark(name) } else { name };
            pieces = names.map(own_name).collect();
        }
        Ok(UnigramConfig { unk_id, pieces, scores, byte_fallback, sentencepiece })
    }
}

/// The rules of a SentencePiece model.
fn sentencepiece_rules(node: &Node) -> Result<SentencePieceUnigram> {
    let [unk_score, reserved, unused] = object_fields(node, ["unk_score", "reserved", "unused"])?;
    Ok(SentencePieceUnigram {
        unk_score: unk_score.required(number)?,
        reserved: reserved.required(|node| array(node, id))?,
        unused: unused.required(|node| array(node, id))?,
    })
}

/// SentencePiece's own way to merge.
fn scored_merges(node: &Node) -> Result<ScoredMerges> {
    let [scores, unused] = object_fields(node, ["scores", "unused"])?;
    let score = |node: &Node| if *node == Node::Null { Ok(None) } else { number(node).map(Some) };
    Ok(ScoredMerges { scores: scores.required(|node| array(node, score))?, unused: unused.required(|node| array(node, id))? })
}

/// The own name of a piece that is not used.
fn without_mark(name: &str) -> &str {
    name.strip_prefix(UNUSED_MARK).unwrap_or(name)
}

/// A number of single precision.
fn number(node: &Node) -> Result<f32> {
    match node {
        Node::Unsigned(value) => Ok(*value as f32),
        Node::Signed(value) => Ok(*value as f32),
        Node::Float(value) => Ok(*value as f32),
        other => Err(other.expected("a number")),
    }
}

/// Whether the merges can be applied: both parts and what they make are in the vocabulary; and the dropout is a probability.
fn is_sound(bpe: &BpeConfig) -> bool {
    let tokens = &bpe.vocab.tokens;
    let mut index = StringIndex::new(tokens.len());
    for place in 0..tokens.len() as u32 {
        index.insert(tokens, place);
    }
    let prefix = bpe.continuing_subword_prefix.as_deref().unwrap_or_default();
    let mut made = String::new();
    let mut parts = bpe.merges.iter();
    while let (Some(left), Some(right)) = (parts.next(), parts.next()) {
        made.clear();
        made.push_str(left);
        made.push_str(right.get(prefix.len()..).unwrap_or_default());
        if [left, right, &made].iter().any(|token| index.find(tokens, token.as_bytes()).is_none()) {
            return false;
        }
    }
    bpe.dropout.is_none_or(|dropout| (0.0..=1.0).contains(&dropout))
}
