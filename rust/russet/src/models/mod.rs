//! Models: how a piece becomes tokens.
//!
//! Each model compiles its part of the file into tables that never change, and writes tokens into a [`TokenSink`]; buffers come
//! from a [`ModelScratch`], so nothing is allocated per piece once it is warm. All four take time linear in the piece, or
//! n log n for BPE with dropout, on any vocabulary.

mod bpe;
mod double_array;
mod measure;
#[cfg(test)]
mod naive;
mod unigram;
mod wordlevel;
mod wordpiece;

pub(crate) use double_array::Trie;
pub(crate) use measure::Measure;

use crate::cached::{self, BatchScratch, IdLists, IdSink};
use crate::compiled::{damaged, Reader, Writer};
use crate::formats::config::ModelConfig;
use crate::formats::prepared::PlacedMerges;
use crate::piece_cache::{PieceCache, PieceKind};
use crate::vocab::Vocabulary;
use crate::{Error, Result};
use std::ops::Range;

/// Where tokens go: what is collected is a type parameter, so that ids alone cost no offsets.
pub trait TokenSink {
    /// Takes a token that covers the bytes `range` of the piece. `surface` is whether its text is those bytes of the piece,
    /// and not the vocabulary's text for `id`.
    ///
    /// Ranges are the reference's. For BPE they are sums of lengths, so characters that were dropped (no unknown token) or that
    /// became bytes with a prefix move all later ranges: such ranges need not lie on character boundaries, nor in the piece.
    fn token(&mut self, id: u32, range: Range<usize>, surface: bool);
}

impl TokenSink for Vec<u32> {
    #[inline(always)]
    fn token(&mut self, id: u32, _: Range<usize>, _: bool) {
        self.push(id);
    }
}

/// Hands the ids of tokens on.
struct Ids<'s, S>(&'s mut S);

impl<S: IdSink> TokenSink for Ids<'_, S> {
    #[inline(always)]
    fn token(&mut self, id: u32, _: Range<usize>, _: bool) {
        self.0.take_ids(&[id]);
    }
}

/// What the bytes of a piece are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// The text that the vocabulary's tokens are written in.
    Text,
    /// The raw bytes that the vocabulary's tokens stand for in GPT-2's byte-level characters.
    Bytes,
}

/// A compiled model.
#[derive(Debug)]
pub struct Model(Kind);

#[derive(Debug)]
enum Kind {
    Bpe(Box<bpe::Bpe>),
    Unigram(Box<unigram::Unigram>),
    WordPiece(Box<wordpiece::WordPiece>),
    WordLevel(Box<wordlevel::WordLevel>),
}

/// Buffers of the models, reused from call to call.
#[derive(Debug, Default)]
pub struct ModelScratch {
    kinds: KindScratch,
    batch: BatchScratch,
}

#[derive(Debug, Default)]
struct KindScratch {
    bpe: bpe::Scratch,
    unigram: unigram::Scratch,
    wordpiece: wordpiece::Scratch,
}

impl Kind {
    #[inline]
    fn tokenize<S: TokenSink>(&self, piece: &str, seed: u64, scratch: &mut KindScratch, sink: &mut S) -> Result<()> {
        match self {
            Kind::Bpe(model) => model.tokenize(piece, seed, &mut scratch.bpe, sink),
            Kind::Unigram(model) => model.tokenize(piece, &mut scratch.unigram, sink),
            Kind::WordPiece(model) => model.tokenize(piece, &mut scratch.wordpiece, sink),
            Kind::WordLevel(model) => model.tokenize(piece, sink),
        }
    }

    /// Appends the ids of a piece that `cache` does not know, of a model whose tokens are not drawn.
    fn ids(&self, piece: &str, cache: &PieceCache, scratch: &mut KindScratch, ids: &mut Vec<u32>) -> Result<()> {
        match self {
            Kind::Bpe(model) => model.ids_by_units(cache, piece, &mut scratch.bpe, ids),
            _ => self.tokenize(piece, 0, scratch, ids),
        }
    }
}

impl Model {
    /// Compiles a model for pieces of text or, where `bytes_wanted` and the same ids can be had, for pieces of raw bytes:
    /// [`alphabet`](Self::alphabet) tells which.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) with the place in the model (`merges[17]`) of what makes no sense, and
    /// [`Error::Limit`](crate::Error::Limit) above 16,777,216 tokens or 65,536 bytes in one.
    pub fn from_config(config: ModelConfig, bytes_wanted: bool) -> Result<Self> {
        Self::prepared(config, bytes_wanted, None)
    }

    /// The same for a BPE model whose merges are `merges`, if there are such.
    pub(crate) fn prepared(config: ModelConfig, bytes_wanted: bool, merges: Option<PlacedMerges>) -> Result<Self> {
        Ok(Self(match config {
            ModelConfig::Bpe(config) => Kind::Bpe(bpe::Bpe::prepared(config, bytes_wanted, merges)?.into()),
            ModelConfig::Unigram(config) => Kind::Unigram(unigram::Unigram::from_config(config)?.into()),
            ModelConfig::WordPiece(config) => Kind::WordPiece(wordpiece::WordPiece::from_config(config)?.into()),
            ModelConfig::WordLevel(config) => Kind::WordLevel(wordlevel::WordLevel::from_config(config)?.into()),
        }))
    }

    /// Makes what the first texts would wait for, when all that is needed for compiling is gone.
    pub(crate) fn make_early(&self) {
        if let Kind::Bpe(model) = &self.0 {
            model.make_early();
        }
    }

    /// The model's `type` in tokenizer.json.
    pub fn kind(&self) -> &'static str {
        match &self.0 {
            Kind::Bpe(_) => "BPE",
            Kind::Unigram(_) => "Unigram",
            Kind::WordPiece(_) => "WordPiece",
            Kind::WordLevel(_) => "WordLevel",
        }
    }

    /// What the bytes of a piece are for this model: `Bytes` only if it was wanted and gives the same ids for every text.
    pub fn alphabet(&self) -> Alphabet {
        match &self.0 {
            Kind::Bpe(model) => model.alphabet(),
            _ => Alphabet::Text,
        }
    }

    /// The file's form of the model, equal to what it was compiled from; of merges of the same two tokens only the last is kept,
    /// as in the reference.
    pub fn to_config(&self) -> ModelConfig {
        match &self.0 {
            Kind::Bpe(model) => ModelConfig::Bpe(model.to_config()),
            Kind::Unigram(model) => ModelConfig::Unigram(model.to_config()),
            Kind::WordPiece(model) => ModelConfig::WordPiece(model.to_config()),
            Kind::WordLevel(model) => ModelConfig::WordLevel(model.to_config()),
        }
    }

    /// Writes the model to a compiled file.
    pub(crate) fn write(&self, to: &mut Writer) {
        match &self.0 {
            Kind::Bpe(model) => {
                to.number(0);
                model.write(to);
            }
            Kind::Unigram(model) => {
                to.number(1);
                model.write(to);
            }
            Kind::WordPiece(model) => {
                to.number(2);
                model.write(to);
            }
            Kind::WordLevel(model) => {
                to.number(3);
                model.write(to);
            }
        }
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self> {
        Ok(Self(match from.number()? {
            0 => Kind::Bpe(bpe::Bpe::read(from)?.into()),
            1 => Kind::Unigram(unigram::Unigram::read(from)?.into()),
            2 => Kind::WordPiece(wordpiece::WordPiece::read(from)?.into()),
            3 => Kind::WordLevel(wordlevel::WordLevel::read(from)?.into()),
            other => return Err(damaged(&format!("there is no model {other}"))),
        }))
    }

    /// Appends the tokens of `piece` to `sink`. `seed` decides what dropout drops: the same seed and piece, the same tokens.
    ///
    /// # Errors
    /// [`Error::MissingUnknownToken`](crate::Error::MissingUnknownToken) if the piece needs it; some tokens may be in `sink` then.
    #[inline]
    pub fn tokenize<S: TokenSink>(&self, piece: &str, seed: u64, scratch: &mut ModelScratch, sink: &mut S) -> Result<()> {
        self.0.tokenize(piece, seed, &mut scratch.kinds, sink)
    }

    /// Gives the ids of `piece` to `sink`: those of [`tokenize`](Self::tokenize), by the fastest way. What was met before is in
    /// `cache`, which models whose tokens are drawn do not use.
    #[inline]
    pub(crate) fn ids<S: IdSink>(
        &self,
        piece: &str,
        seed: u64,
        cache: &PieceCache,
        scratch: &mut ModelScratch,
        sink: &mut S,
    ) -> Result<()> {
        let ModelScratch { kinds, batch } = scratch;
        match &self.0 {
            kind @ Kind::Bpe(model) if model.is_random() => {
                let ids = batch.list();
                kind.tokenize(piece, seed, kinds, ids)?;
                sink.take_ids(ids);
                Ok(())
            }
            Kind::Bpe(model) if model.has_units() => model.ids_of_units(cache, piece, batch, &mut kinds.bpe, sink),
            // A walk or two down the trie, or a look-up, cost less than the way to what was met once and is no longer near.
            Kind::WordPiece(model) => model.tokenize(piece, &mut kinds.wordpiece, &mut Ids(sink)),
            Kind::WordLevel(model) => model.tokenize(piece, &mut Ids(sink)),
            kind => {
                cached::ids_of_piece(cache, PieceKind::Piece, piece, batch, sink, |piece, ids| kind.ids(piece, cache, kinds, ids))
            }
        }
    }

    /// The same for a piece of a word that the cache did not know: it is met once.
    #[inline]
    pub(crate) fn ids_in_word<S: IdSink>(
        &self,
        piece: &str,
        cache: &PieceCache,
        scratch: &mut ModelScratch,
        sink: &mut S,
    ) -> Result<()> {
        match &self.0 {
            Kind::Unigram(model) => model.tokenize(piece, &mut scratch.kinds.unigram, &mut Ids(sink)),
            _ => self.ids(piece, 0, cache, scratch, sink),
        }
    }

    /// Gives the ids of the pieces of `text` to `sink`, those of one after those of the other. Not for models whose tokens are drawn.
    #[inline]
    pub(crate) fn ids_of_pieces<S: IdSink>(
        &self,
        text: &str,
        mut pieces: impl Iterator<Item = Range<usize>>,
        cache: &PieceCache,
        scratch: &mut ModelScratch,
        sink: &mut S,
    ) -> Result<()> {
        match &self.0 {
            Kind::Bpe(model) if model.has_units() => pieces.try_for_each(|piece| self.ids(&text[piece], 0, cache, scratch, sink)),
            Kind::WordPiece(_) | Kind::WordLevel(_) => pieces.try_for_each(|piece| self.ids(&text[piece], 0, cache, scratch, sink)),
            kind => {
                let ModelScratch { kinds, batch } = scratch;
                let work_out = |text: &str, pieces: &[Range<usize>], lists: &mut IdLists| match kind {
                    Kind::Bpe(model) => model.ids_of_few(text, pieces, cache, &mut kinds.bpe, lists),
                    _ => cached::each(|piece, ids| kind.ids(piece, cache, kinds, ids))(text, pieces, lists),
                };
                cached::ids_of_pieces(cache, PieceKind::Piece, text, pieces, batch, sink, work_out)
            }
        }
    }

    /// Whether [`ids_of_spelled`](Self::ids_of_spelled) is there.
    pub(crate) fn reads_spelled(&self) -> bool {
        matches!(&self.0, Kind::Bpe(model) if model.reads_spelled())
    }

    /// Appends the ids of pieces of `text` in which each space stands for U+2581, one list for each.
    pub(crate) fn ids_of_spelled(
        &self,
        text: &str,
        pieces: &[Range<usize>],
        cache: &PieceCache,
        scratch: &mut ModelScratch,
        lists: &mut IdLists,
    ) -> Result<()> {
        match &self.0 {
            Kind::Bpe(model) => model.ids_of_spelled(text, pieces, cache, &mut scratch.kinds.bpe, lists),
            _ => Err(Error::Internal("a model that does not read spaces as U+2581".into())),
        }
    }

    /// Whether a piece can be cut before each run of `symbol` without changing its tokens.
    pub(crate) fn cuts_before(&self, symbol: char) -> bool {
        matches!(&self.0, Kind::Bpe(model) if model.cuts_before(symbol))
    }

    /// Whether two calls can give different tokens: only with dropout.
    pub fn is_random(&self) -> bool {
        matches!(&self.0, Kind::Bpe(model) if model.is_random())
    }

    /// The number of tokens in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.vocabulary().len()
    }

    /// The id of `token`.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.vocabulary().id(token)
    }

    /// The text of `id` as in the file. Where two tokens have one id, the last of them in the file's order.
    pub fn id_to_token(&self, id: u32) -> Option<&str> {
        self.vocabulary().token(id)
    }

    /// All tokens and their ids, in the file's order.
    pub fn vocab(&self) -> Box<dyn Iterator<Item = (&str, u32)> + '_> {
        Box::new(self.vocabulary().iter())
    }

    /// One more than the highest id, if most numbers below it are ids.
    pub(crate) fn ids_end(&self) -> Option<usize> {
        self.vocabulary().ids_end()
    }

    fn vocabulary(&self) -> &Vocabulary {
        match &self.0 {
            Kind::Bpe(model) => model.vocabulary(),
            Kind::Unigram(model) => model.vocabulary(),
            Kind::WordPiece(model) => model.vocabulary(),
            Kind::WordLevel(model) => model.vocabulary(),
        }
    }
}

/// What tokens that stand for single bytes begin with.
const BYTE_TOKEN_BEGIN: &str = "<0x";

/// The ids of the tokens `<0x00>` … `<0xFF>`, which stand for single bytes in byte fallback.
fn byte_tokens(vocabulary: &Vocabulary) -> [Option<u32>; 256] {
    std::array::from_fn(|byte| vocabulary.id(&format!("{BYTE_TOKEN_BEGIN}{byte:02X}>")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::{VocabConfig, WordLevelConfig};

    #[test]
    fn answers_for_its_vocabulary() {
        let vocab = VocabConfig { tokens: ["b", "a"].into_iter().collect(), ids: vec![3, 1] };
        let config = ModelConfig::WordLevel(WordLevelConfig { unk_token: "b".into(), vocab });
        let model = Model::from_config(config.clone(), true).unwrap();
        assert_eq!((model.alphabet(), model.is_random(), model.vocab_size()), (Alphabet::Text, false, 2));
        assert_eq!((model.token_to_id("a"), model.id_to_token(3), model.id_to_token(0)), (Some(1), Some("b"), None));
        assert_eq!(model.vocab().collect::<Vec<_>>(), [("b", 3), ("a", 1)]);
        assert_eq!(model.to_config(), config);
    }
}
