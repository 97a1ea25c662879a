//! BPE: a piece's characters, merged pair by pair (Sennrich et al., 2016).
//!
//! A piece becomes symbols, one per character (`alphabet`); where no merge can reach across, they are cut into units that are
//! merged apart (`cuts`), so that a text without pre-tokenizer takes linear time and little memory; the units merge by rank
//! (`merge`, with the table of `merges`). A piece of n characters takes O(n log n) at most.
//!
//! What the reference does with characters that are not tokens is kept to the letter: byte fallback puts the bytes before an
//! unknown token that is still pending, dropped characters leave no gap in the offsets, and merges join what then is adjacent.

mod alphabet;
mod backtrack;
mod char_units;
mod compile;
mod cuts;
mod ids;
mod measure;
mod merge;
mod merges;
#[cfg(test)]
mod naive;
mod near;
mod pairs;
mod queue;
mod raw_units;
mod repeats;
mod scored;
mod short;
mod starts;
mod stored;
mod units;
mod unmade;

use super::{Alphabet, TokenSink};
use crate::formats::config::BpeConfig;
use crate::formats::prepared::PlacedMerges;
use crate::memory::Once;
use crate::vocab::Vocabulary;
use crate::{Error, Result, StringList};
use alphabet::{byte_level_char, ByteIds, Characters};
use backtrack::Backtracker;
use char_units::{CharUnits, UnitScratch};
use compile::{
    all_lengthen, byte_joints, char_joints, has_repeated_pair, makes_from_texts, new_ids, placed, read_merges, Compiled,
};
use cuts::{ByteJoints, CharJoints};
use merge::{Dropout, Order, Symbol};
use merges::{Listed, Merge, Merges};
use pairs::Pairs;
use queue::QueueScratch;
use raw_units::{RawScratch, RawUnits};
use scored::{Scored, ScoredScratch};
use short::{Symbols, Together};
use std::ops::Range;
use std::sync::atomic::AtomicUsize;

/// The longest piece: positions are 32-bit, and a merge's bytes are summed in 32 bits.
const MAX_PIECE_BYTES: usize = 1 << 30;
/// How many symbols a piece may become: byte fallback writes out the prefix of every character.
const MAX_SYMBOLS_PER_BYTE: usize = 64;

/// The symbols that the buffers keep room for from piece to piece: beyond, their memory is given back.
const KEPT_SYMBOLS: usize = 1 << 18;

/// A compiled BPE model.
#[derive(Debug)]
pub(super) struct Bpe {
    vocabulary: Vocabulary,
    merges: Merges,
    /// The parts of the file's merges that can never be met. Their ranks are those that `merges` does not have.
    never: Vec<[u32; 2]>,
    order: Order,
    parts: Parts,
    /// Where the rule allows it.
    backtracker: Option<Backtracker>,
    /// Made when they are worth it, where there is a backtracker and tokens are not too many.
    pairs: Once<Option<Pairs>>,
    /// How many pieces were worked out before they were made.
    worked_out: AtomicUsize,
    /// Where pieces of raw bytes can be cut into units.
    raw_units: Option<RawUnits>,
    /// Where pieces of characters can.
    char_units: Option<CharUnits>,
    unk_id: Option<u32>,
    dropout: Option<f32>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    fuse_unk: bool,
    byte_fallback: bool,
    ignore_merges: bool,
    /// Ascending.
    unreachable: Vec<u32>,
    scored: Option<Box<Scored>>,
}

/// What symbols are made of. Joints are there where pieces can be cut.
#[derive(Debug)]
enum Parts {
    Characters { characters: Box<Characters>, joints: Option<CharJoints> },
    Bytes { ids: Box<ByteIds>, joints: Option<ByteJoints> },
}

/// Buffers, reused from piece to piece.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    symbols: Vec<Symbol>,
    queue: QueueScratch,
    mapped: String,
    backtrack: backtrack::Scratch,
    scored: ScoredScratch,
    together: Together,
    /// The pieces that are worked out one by one.
    others: Vec<usize>,
    units: UnitScratch,
    /// Those of a piece of few.
    few: Symbols,
    /// In a box, as it is lent for each batch of pieces.
    raw: Option<Box<RawScratch>>,
}

impl Scratch {
    /// Does `work` with one of the buffers beside the others.
    fn lend<B: Default, T>(&mut self, buffer: fn(&mut Self) -> &mut B, work: impl FnOnce(&mut B, &mut Self) -> T) -> T {
        let mut lent = std::mem::take(buffer(self));
        let done = work(&mut lent, self);
        *buffer(self) = lent;
        done
    }
}

impl Bpe {
    #[cfg(test)]
    fn from_config(config: BpeConfig, bytes_wanted: bool) -> Result<Self> {
        Self::prepared(config, bytes_wanted, None)
    }

    /// Compiles a model, whose merges are `merges` if there are such.
    pub(super) fn prepared(config: BpeConfig, bytes_wanted: bool, merges: Option<PlacedMerges>) -> Result<Self> {
        if let Some(dropout) = config.dropout.filter(|&dropout| !is_probability(dropout)) {
            return Err(Error::config("dropout", format!("{dropout} is not between 0 and 1")));
        }
        let prefix = config.continuing_subword_prefix.as_deref().unwrap_or_default();
        let suffix = config.end_of_word_suffix.as_deref().unwrap_or_default();
        let (vocabulary, listed, lengthen) = match merges {
            Some(PlacedMerges { index, places }) => {
                let vocabulary = Vocabulary::with_index(config.vocab, index)?;
                let listed = placed(&vocabulary, places);
                (vocabulary, listed, true)
            }
            None => {
                let vocabulary = Vocabulary::new(config.vocab)?;
                let listed = read_merges(&vocabulary, &config.merges, prefix.len())?;
                let lengthen = all_lengthen(&config.merges, prefix.len());
                // The merges' texts are not needed any more, and they are a large part of a file.
                drop(config.merges);
                (vocabulary, listed, lengthen)
            }
        };
        let mut unreachable = config.unreachable;
        unreachable.sort_unstable();
        let is_random = config.dropout.is_some_and(|dropout| dropout > 0.0);
        let is_plain = !vocabulary.has_shared_ids() && lengthen;
        let can_cut = prefix.is_empty() && suffix.is_empty() && !is_random && is_plain && config.scored.is_none();
        // With shared ids, a whole piece's token would have to be told from the others of its id by its text.
        let by_bytes =
            bytes_wanted && prefix.is_empty() && !vocabulary.has_shared_ids() && unreachable.is_empty() && config.scored.is_none();
        let mut parts = match by_bytes.then(|| ByteIds::new(&vocabulary, suffix)).flatten() {
            Some(ids) => Parts::Bytes { ids: ids.into(), joints: None },
            None => {
                let characters = Characters::new(&vocabulary, &unreachable, prefix, suffix, config.byte_fallback).into();
                Parts::Characters { characters, joints: None }
            }
        };
        let unk_id = config.unk_token.as_deref().and_then(|token| vocabulary.id(token));
        let order = match is_plain {
            true => Order::ByRank,
            false => Order::ByNewId(new_ids(&listed)),
        };
        let ids = vocabulary.ids_end().filter(|&ids| can_cut && makes_from_texts(&listed, ids, &parts, &unreachable, unk_id));
        let Compiled { merges, never, order, backtracker } = match ids.filter(|&ids| !has_repeated_pair(&listed, ids)) {
            Some(ids) => Compiled::new(&listed, ids, &vocabulary, &parts, &unreachable),
            None => {
                let ranked = listed.iter().zip(0..).map(|(&[left, right, new_id], rank)| (left, right, Merge { rank, new_id }));
                Compiled { merges: Merges::new(ranked, listed.len()), never: Vec::new(), order, backtracker: None }
            }
        };
        match &mut parts {
            Parts::Bytes { joints, .. } => *joints = can_cut.then(|| byte_joints(&vocabulary, &merges)),
            Parts::Characters { joints, .. } => *joints = can_cut.then(|| char_joints(&vocabulary, &merges, listed.len())),
        }
        drop(listed);
        let has_raw_units = backtracker.is_some() && matches!(parts, Parts::Bytes { .. });
        let raw_units = has_raw_units.then(|| RawUnits::new(&vocabulary, &merges)).transpose()?;
        let char_units = match &parts {
            Parts::Characters { characters, .. } if backtracker.is_some() => {
                Some(CharUnits::new(&vocabulary, &merges, characters)?)
            }
            _ => None,
        };
        let scored = config.scored.map(|config| Scored::new(config, &vocabulary)).transpose()?.map(Box::new);
        Ok(Self {
            backtracker,
            pairs: Once::new(),
            worked_out: AtomicUsize::new(0),
            raw_units,
            char_units,
            never,
            unk_id,
            vocabulary,
            merges,
            order,
            parts,
            dropout: config.dropout,
            unk_token: config.unk_token,
            continuing_subword_prefix: config.continuing_subword_prefix,
            end_of_word_suffix: config.end_of_word_suffix,
            fuse_unk: config.fuse_unk,
            byte_fallback: config.byte_fallback,
            ignore_merges: config.ignore_merges,
            unreachable,
            scored,
        })
    }

    pub(super) fn to_config(&self) -> BpeConfig {
        let mut merges = StringList::new();
        let mut push = |pair: [u32; 2]| pair.iter().for_each(|&id| merges.push(self.vocabulary.token(id).unwrap_or_default()));
        let mut by_rank: Vec<Listed> = self.merges.iter().collect();
        by_rank.sort_unstable_by_key(|merge| merge.2.rank);
        let mut never = self.never.iter().copied();
        let mut next_rank = 0;
        for (left, right, Merge { rank, .. }) in by_rank {
            never.by_ref().take(rank.saturating_sub(next_rank) as usize).for_each(&mut push);
            push([left, right]);
            next_rank = rank + 1;
        }
        never.for_each(push);
        BpeConfig {
            dropout: self.dropout,
            unk_token: self.unk_token.clone(),
            continuing_subword_prefix: self.continuing_subword_prefix.clone(),
            end_of_word_suffix: self.end_of_word_suffix.clone(),
            fuse_unk: self.fuse_unk,
            byte_fallback: self.byte_fallback,
            ignore_merges: self.ignore_merges,
            unreachable: self.unreachable.clone(),
            vocab: self.vocabulary.to_config(),
            merges,
            scored: self.scored.as_ref().map(|scored| scored.config().clone()),
        }
    }

    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    pub(super) fn alphabet(&self) -> Alphabet {
        match self.parts {
            Parts::Characters { .. } => Alphabet::Text,
            Parts::Bytes { .. } => Alphabet::Bytes,
        }
    }

    pub(super) fn is_random(&self) -> bool {
        self.dropout.is_some_and(|dropout| dropout > 0.0)
    }

    pub(super) fn tokenize<S: TokenSink>(&self, piece: &str, seed: u64, scratch: &mut Scratch, sink: &mut S) -> Result<()> {
        if piece.len() > MAX_PIECE_BYTES {
            return Err(too_long(piece));
        }
        if self.ignore_merges && !self.is_random() {
            if let Some(id) = self.whole(piece, scratch) {
                sink.token(id, 0..piece.len(), self.alphabet() == Alphabet::Text);
                return Ok(());
            }
        }
        if let Some(scored) = &self.scored {
            let unknown = |sink: &mut S, range| self.emit_unknown(piece, range, sink);
            return scored.tokenize(&self.vocabulary, piece, &mut scratch.scored, sink, unknown);
        }
        self.tokenize_parts(piece, seed, scratch, sink)
    }

    /// [`tokenize`](Self::tokenize) without the look for a token that is the whole piece.
    fn tokenize_parts<S: TokenSink>(&self, piece: &str, seed: u64, scratch: &mut Scratch, sink: &mut S) -> Result<()> {
        let mut unit = Unit { model: self, scratch, sink, start: 0, dropout: None };
        unit.scratch.symbols.clear();
        unit.dropout = self.dropout.filter(|&dropout| dropout > 0.0).map(|dropout| Dropout::new(dropout, seed));
        match &self.parts {
            Parts::Bytes { ids, joints } => unit.read_bytes(piece.as_bytes(), ids, joints.as_ref()),
            Parts::Characters { characters, joints } => unit.read_characters(piece, characters, joints.as_ref())?,
        }
        unit.finish();
        if scratch.symbols.capacity() > KEPT_SYMBOLS {
            *scratch = Scratch::default();
        }
        Ok(())
    }

    /// Whether a piece can be cut before each run of `symbol` without changing its tokens: `symbol` is a token, so that no unknown
    /// token or dropped character lies there, and no merge joins it to another character before it.
    pub(super) fn cuts_before(&self, symbol: char) -> bool {
        let Parts::Characters { characters, joints: Some(_) } = &self.parts else { return false };
        if self.ignore_merges || characters.id(symbol, false, false).is_none() {
            return false;
        }
        // The texts are read once and in their order: to read those of all merges takes twenty times as long.
        let mut begins = vec![false; self.vocabulary.ids_end().unwrap_or(0)];
        for (_, id) in self.vocabulary.iter().filter(|(token, _)| token.starts_with(symbol)) {
            if let Some(begins) = begins.get_mut(id as usize) {
                *begins = true;
            }
        }
        let may_begin = |id: u32| begins.get(id as usize).is_none_or(|&begins| begins);
        let text = |id: u32| self.vocabulary.token(id).unwrap_or_default();
        let joins = |left: u32, right: u32| text(right).starts_with(symbol) && !text(left).ends_with(symbol);
        !self.merges.iter().any(|(left, right, _)| may_begin(right) && joins(left, right))
    }

    /// Emits a run of unknown characters where merges are scored: as bytes if there is byte fallback, or as one unknown token.
    fn emit_unknown<S: TokenSink>(&self, piece: &str, range: Range<usize>, sink: &mut S) -> Result<()> {
        if let Parts::Characters { characters, .. } = &self.parts {
            let mut at = range.start;
            let bytes = characters.fall_back(&piece[range.clone()], true, true, |id| {
                sink.token(id, at..at + 1, false);
                at += 1;
            });
            if bytes {
                return Ok(());
            }
        }
        let unk_token = self.unk_token.as_deref().unwrap_or_default();
        sink.token(self.unk_id.ok_or_else(|| missing_unk(unk_token))?, range, false);
        Ok(())
    }

    /// The token that is the whole piece.
    fn whole(&self, piece: &str, scratch: &mut Scratch) -> Option<u32> {
        if piece.is_empty() || piece.len() > self.vocabulary.max_token_bytes() {
            return None;
        }
        if self.alphabet() == Alphabet::Text {
            return self.vocabulary.id(piece).filter(|id| self.unreachable.binary_search(id).is_err());
        }
        scratch.mapped.clear();
        scratch.mapped.extend(piece.bytes().map(byte_level_char));
        self.vocabulary.id(&scratch.mapped)
    }
}

/// The symbols between two cuts, and where their tokens go.
struct Unit<'a, S> {
    model: &'a Bpe,
    scratch: &'a mut Scratch,
    sink: &'a mut S,
    /// Where the unit begins: the sum of the bytes of all tokens so far.
    start: usize,
    dropout: Option<Dropout>,
}

impl<S: TokenSink> Unit<'_, S> {
    fn read_bytes(&mut self, piece: &[u8], ids: &ByteIds, joints: Option<&ByteJoints>) {
        let Some((&last, inner)) = piece.split_last() else { return };
        let mut previous = None;
        for (&byte, ids) in inner.iter().map(|byte| (byte, &ids.inner)).chain([(&last, &ids.last)]) {
            if let (Some(joints), Some(previous)) = (joints, previous) {
                if !joints.joins(previous, byte) {
                    self.finish();
                }
            }
            self.push(ids[usize::from(byte)], 1);
            previous = Some(byte);
        }
    }

    fn read_characters(&mut self, piece: &str, characters: &Characters, joints: Option<&CharJoints>) -> Result<()> {
        let max_symbols = (MAX_SYMBOLS_PER_BYTE * piece.len() + (1 << 20)).min(1 << 31);
        let mut previous = None; // the character before, if it is a token
        let mut unknown = None; // the length of the unknown token that is pending
        for (start, character) in piece.char_indices() {
            let bytes = character.len_utf8();
            let (is_first, is_last) = (start == 0, start + bytes == piece.len());
            let Some(id) = characters.id(character, is_first, is_last) else {
                previous = None;
                let text = &piece[start..start + bytes];
                if characters.fall_back(text, is_first, is_last, |id| self.push(id, 1)) {
                    if self.scratch.symbols.len() > max_symbols {
                        let value = self.scratch.symbols.len() as u64;
                        return Err(Error::Limit { what: "the number of symbols in a piece", value, limit: max_symbols as u64 });
                    }
                } else if let Some(unk_token) = &self.model.unk_token {
                    let bytes = bytes as u32;
                    unknown = match unknown {
                        Some(pending) if self.model.fuse_unk => Some(pending + bytes),
                        _ => {
                            self.push_unknown(unknown)?;
                            self.model.unk_id.ok_or_else(|| missing_unk(unk_token))?;
                            Some(bytes)
                        }
                    };
                }
                continue;
            };
            if let (Some(joints), Some(previous)) = (joints, previous) {
                if !joints.joins(previous, character) {
                    self.finish();
                }
            }
            self.push_unknown(unknown.take())?;
            self.push(id, bytes as u32);
            previous = Some(character);
        }
        self.push_unknown(unknown)
    }

    #[inline(always)]
    fn push(&mut self, id: u32, bytes: u32) {
        self.scratch.symbols.push(Symbol::new(id, bytes));
    }

    #[inline(always)]
    fn push_unknown(&mut self, pending: Option<u32>) -> Result<()> {
        if let Some(bytes) = pending {
            let unk_id = self.model.unk_id.ok_or_else(|| missing_unk(self.model.unk_token.as_deref().unwrap_or_default()))?;
            self.push(unk_id, bytes);
        }
        Ok(())
    }

    /// Merges the unit, emits it and begins the next one.
    #[inline]
    fn finish(&mut self) {
        let Scratch { symbols, queue, .. } = &mut *self.scratch;
        let Bpe { merges, order, .. } = self.model;
        match &mut self.dropout {
            None => merge::merge(symbols, merges, order, queue),
            Some(dropout) => merge::merge_with_dropout(symbols, merges, order, dropout, queue),
        }
        for symbol in symbols.drain(..) {
            let end = self.start + symbol.bytes as usize;
            self.sink.token(symbol.id, self.start..end, false);
            self.start = end;
        }
    }
}

fn is_probability(dropout: f32) -> bool {
    (0.0..=1.0).contains(&dropout)
}

fn too_long(piece: &str) -> Error {
    let value = piece.len() as u64;
    Error::Limit { what: "the length of a piece in bytes", value, limit: MAX_PIECE_BYTES as u64 }
}

fn missing_unk(unk_token: &str) -> Error {
    Error::MissingUnknownToken { message: format!("Unk token `{unk_token}` not found in the vocabulary") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::{ScoredMerges, VocabConfig};
    use crate::models::naive::Tokens;
    use proptest::prelude::*;

    fn vocab(tokens: &[&str]) -> VocabConfig {
        VocabConfig { tokens: tokens.iter().collect(), ids: (0..tokens.len() as u32).collect() }
    }

    fn merges(list: &[(&str, &str)]) -> StringList {
        list.iter().flat_map(|&(left, right)| [left, right]).collect()
    }

    fn tokens(config: &BpeConfig, piece: &str) -> Option<Vec<(u32, usize, usize, bool)>> {
        let model = Bpe::from_config(config.clone(), false).unwrap();
        let mut tokens = Tokens::default();
        model.tokenize(piece, 0, &mut Scratch::default(), &mut tokens).ok()?;
        Some(tokens.0)
    }

    /// The new id of each rank.
    fn by_rank(model: &Bpe) -> Vec<u32> {
        let mut new_ids = vec![0; model.merges.ranks()];
        model.merges.iter().for_each(|(_, _, merge)| new_ids[merge.rank as usize] = merge.new_id);
        new_ids
    }

    fn ids(config: &BpeConfig, piece: &str) -> Vec<u32> {
        tokens(config, piece).unwrap().iter().map(|token| token.0).collect()
    }

    #[test]
    fn the_lowest_rank_merges_first_and_the_leftmost_of_equals() {
        let vocab = vocab(&["a", "b", "c", "bc", "ab", "aa", "aaa"]);
        let config = BpeConfig { vocab, merges: merges(&[("b", "c"), ("a", "b"), ("a", "a"), ("aa", "a")]), ..Default::default() };
        assert_eq!(ids(&config, "abc"), [0, 3]);
        assert_eq!(tokens(&config, "aaaab").unwrap(), [(6, 0, 3, false), (4, 3, 5, false)]);
    }

    #[test]
    fn characters_without_token_are_dropped_and_their_neighbours_merge() {
        let config = BpeConfig { vocab: vocab(&["a", "b", "ab"]), merges: merges(&[("a", "b")]), ..Default::default() };
        assert_eq!(tokens(&config, "xaéb").unwrap(), [(2, 0, 2, false)]);
    }

    #[test]
    fn unknown_characters_fuse_only_if_asked() {
        let mut config = BpeConfig { vocab: vocab(&["a", "?"]), unk_token: Some("?".into()), ..Default::default() };
        assert_eq!(tokens(&config, "éxa").unwrap(), [(1, 0, 2, false), (1, 2, 3, false), (0, 3, 4, false)]);
        config.fuse_unk = true;
        assert_eq!(tokens(&config, "éxa").unwrap(), [(1, 0, 3, false), (0, 3, 4, false)]);
    }

    #[test]
    fn byte_fallback_overtakes_a_pending_unknown_token() {
        let vocab = vocab(&["?", "<0xC3>", "<0xA9>"]);
        let config = BpeConfig { vocab, unk_token: Some("?".into()), byte_fallback: true, ..Default::default() };
        assert_eq!(tokens(&config, "xéx").unwrap(), [(1, 0, 1, false), (2, 1, 2, false), (0, 2, 3, false), (0, 3, 4, false)]);
    }

    #[test]
    fn affixes_are_part_of_the_symbols() {
        let vocab = vocab(&["a", "#b", "#b$", "ab", "a$", "abb$"]);
        let config = BpeConfig {
            continuing_subword_prefix: Some("#".into()),
            end_of_word_suffix: Some("$".into()),
            merges: merges(&[("a", "#b"), ("ab", "#b$")]),
            vocab,
            ..Default::default()
        };
        assert_eq!(tokens(&config, "abb").unwrap(), [(5, 0, 3, false)]);
        assert_eq!(ids(&config, "ab"), [0, 2]);
        assert_eq!(ids(&config, "a"), [4]);
    }

    #[test]
    fn a_whole_piece_may_ignore_merges() {
        let mut config = BpeConfig { vocab: vocab(&["a", "b", "ab"]), ignore_merges: true, ..Default::default() };
        assert_eq!(tokens(&config, "ab").unwrap(), [(2, 0, 2, true)]);
        assert_eq!(ids(&config, "aba"), [0, 1, 0]);
        config.dropout = Some(0.5);
        assert_eq!(ids(&config, "ab"), [0, 1]);
    }

    #[test]
    fn some_tokens_are_no_text() {
        let mut config = BpeConfig {
            vocab: vocab(&["a", "b", "ab", "ba", "?"]),
            unk_token: Some("?".into()),
            fuse_unk: true,
            ignore_merges: true,
            unreachable: vec![4, 3],
            ..Default::default()
        };
        assert_eq!(ids(&config, "ab"), [2]);
        assert_eq!(ids(&config, "ba"), [1, 0]);
        assert_eq!(tokens(&config, "a?c").unwrap(), [(0, 0, 1, false), (4, 1, 3, false)]);
        config.unreachable.clear();
        assert_eq!(ids(&config, "ba"), [3]);
    }

    #[test]
    fn scores_take_the_place_of_merges() {
        let mut config = BpeConfig {
            vocab: vocab(&["?", "a", "b", "ab", "ba", "<0xC3>", "<0xA9>"]),
            merges: merges(&[("b", "a"), ("a", "b")]),
            unk_token: Some("?".into()),
            scored: Some(ScoredMerges {
                scores: vec![None, Some(-3.0), Some(-3.0), Some(-1.0), Some(-1.0), None, None],
                unused: vec![],
            }),
            ..Default::default()
        };
        assert_eq!(Bpe::from_config(config.clone(), true).unwrap().to_config(), config);
        assert_eq!(ids(&config, "aba"), [3, 1]);
        assert_eq!(tokens(&config, "éxa?").unwrap(), [(0, 0, 3, false), (1, 3, 4, false), (0, 4, 5, false)]);
        config.byte_fallback = true;
        assert_eq!(tokens(&config, "aé").unwrap(), [(1, 0, 1, false), (5, 1, 2, false), (6, 2, 3, false)]);
        config.unk_token = None;
        let model = Bpe::from_config(config, true).unwrap();
        assert!(model.tokenize("x", 0, &mut Scratch::default(), &mut Vec::new()).is_err());
    }

    #[test]
    fn impossible_files_are_refused_with_the_place() {
        let error = |config: BpeConfig| Bpe::from_config(config, true).unwrap_err().to_string();
        let base = BpeConfig { vocab: vocab(&["a", "b", "#c"]), ..Default::default() };
        let merged = |list: &[(&str, &str)]| BpeConfig { merges: merges(list), ..base.clone() };
        assert_eq!(error(merged(&[("a", "x")])), "merges[0]: token \"x\" is not in the vocabulary");
        assert_eq!(error(merged(&[("a", "b")])), "merges[0]: token \"ab\" is not in the vocabulary");
        let prefixed = BpeConfig { continuing_subword_prefix: Some("##".into()), ..merged(&[("a", "b")]) };
        assert!(error(prefixed).starts_with("merges[0]: the right part \"b\" is shorter"));
        for dropout in [-0.1, 1.1, f32::NAN] {
            let config = BpeConfig { dropout: Some(dropout), ..base.clone() };
            assert_eq!(error(config), format!("dropout: {dropout} is not between 0 and 1"));
        }
        let odd = BpeConfig { merges: ["a"].into_iter().collect(), ..base.clone() };
        assert!(error(odd).starts_with("merges: 1 parts"));
    }

    #[test]
    fn a_missing_unknown_token_matters_only_when_needed() {
        let config = BpeConfig { vocab: vocab(&["a"]), unk_token: Some("<unk>".into()), ..Default::default() };
        let model = Bpe::from_config(config, false).unwrap();
        let mut ids: Vec<u32> = Vec::new();
        assert!(model.tokenize("aa", 0, &mut Scratch::default(), &mut ids).is_ok());
        let error = model.tokenize("ab", 0, &mut Scratch::default(), &mut ids).unwrap_err();
        assert_eq!(error.to_string(), "Unk token `<unk>` not found in the vocabulary");
    }

    #[test]
    fn repeated_merges_keep_the_last_rank() {
        let config = BpeConfig {
            vocab: vocab(&["a", "b", "ab", "bb"]),
            merges: merges(&[("a", "b"), ("b", "b"), ("a", "b")]),
            ..Default::default()
        };
        assert_eq!(ids(&config, "abb"), [0, 3]);
        assert_eq!(Bpe::from_config(config, false).unwrap().to_config().merges, merges(&[("b", "b"), ("a", "b")]));
    }

    #[test]
    fn dropout_of_one_merges_nothing_and_of_a_half_something() {
        let config =
            |dropout| BpeConfig { dropout, vocab: vocab(&["a", "aa"]), merges: merges(&[("a", "a")]), ..Default::default() };
        let count = |dropout, seed| {
            let model = Bpe::from_config(config(dropout), false).unwrap();
            assert_eq!(model.is_random(), dropout.is_some_and(|dropout| dropout > 0.0));
            let mut ids: Vec<u32> = Vec::new();
            model.tokenize(&"a".repeat(40), seed, &mut Scratch::default(), &mut ids).unwrap();
            ids.len()
        };
        assert_eq!([count(None, 1), count(Some(0.0), 1), count(Some(1.0), 1)], [20, 20, 40]);
        assert_eq!(count(Some(0.5), 3), count(Some(0.5), 3));
        let counts: std::collections::HashSet<usize> = (0..50).map(|seed| count(Some(0.9), seed)).collect();
        assert!(counts.len() > 3, "{counts:?}");
    }

    #[test]
    fn a_prefix_that_multiplies_the_symbols_is_stopped() {
        let prefix = "<".repeat(5000);
        let config = BpeConfig {
            vocab: vocab(&["<0x3C>", "<0x61>"]),
            byte_fallback: true,
            continuing_subword_prefix: Some(prefix),
            ..Default::default()
        };
        let model = Bpe::from_config(config, false).unwrap();
        let error = model.tokenize(&"a".repeat(5000), 0, &mut Scratch::default(), &mut Vec::new()).unwrap_err();
        assert!(matches!(error, Error::Limit { what: "the number of symbols in a piece", .. }));
    }

    /// A vocabulary over few characters and merges that exist in it, in any order.
    fn configs(alphabet: &'static str) -> impl Strategy<Value = BpeConfig> {
        let parts = proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..40);
        let known = proptest::sample::subsequence(alphabet.chars().collect::<Vec<_>>(), 1..=alphabet.chars().count());
        let flags = (any::<bool>(), any::<bool>(), any::<bool>(), proptest::option::of(Just("a".to_owned())), any::<u64>());
        (known, parts, flags).prop_map(|(known, parts, (fuse_unk, byte_fallback, ignore_merges, unk_token, shuffle))| {
            let mut tokens: Vec<String> = known.into_iter().map(String::from).collect();
            tokens.extend(["<0xC3>".to_owned(), "<0xA9>".to_owned()]);
            let mut merges: Vec<(String, String)> = Vec::new();
            for (left, right) in parts {
                let (left, right) = (left.get(&tokens).clone(), right.get(&tokens).clone());
                let joined = format!("{left}{right}");
                if joined.len() < 24 && !merges.contains(&(left.clone(), right.clone())) {
                    if !tokens.contains(&joined) {
                        tokens.push(joined);
                    }
                    merges.push((left, right));
                }
            }
            if shuffle % 2 == 0 {
                let length = merges.len();
                for index in 1..length {
                    merges.swap(index, (shuffle >> (index % 50)) as usize % (index + 1));
                }
            }
            BpeConfig {
                vocab: VocabConfig {
                    ids: (0..tokens.len() as u32).map(|id| id * 3 % 1000).collect(),
                    tokens: tokens.iter().collect(),
                },
                merges: merges.iter().flat_map(|(left, right)| [left, right]).collect(),
                unk_token,
                fuse_unk,
                byte_fallback,
                ignore_merges,
                ..Default::default()
            }
        })
    }

    /// What files made from a vocabulary alone have: for each token, in order, all pairs of tokens that join to it.
    fn listed_from_vocabulary() -> impl Strategy<Value = BpeConfig> {
        proptest::collection::vec("[abc]{2,6}", 1..40).prop_map(|texts| {
            let mut tokens = ["a", "b", "c"].map(str::to_owned).to_vec();
            for text in texts {
                if !tokens.contains(&text) {
                    tokens.push(text);
                }
            }
            let mut merges = StringList::new();
            for token in &tokens {
                for (left, right) in (1..token.len()).map(|middle| token.split_at(middle)) {
                    if [left, right].iter().all(|part| tokens.iter().any(|token| token == part)) {
                        merges.push(left);
                        merges.push(right);
                    }
                }
            }
            let vocab = VocabConfig { ids: (0..tokens.len() as u32).collect(), tokens: tokens.iter().collect() };
            BpeConfig { vocab, merges, ..Default::default() }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn lists_made_from_a_vocabulary_give_what_the_plain_rule_gives(
            config in listed_from_vocabulary(),
            pieces in proptest::collection::vec("[abc]{0,60}", 1..8),
        ) {
            let model = Bpe::from_config(config.clone(), false).unwrap();
            prop_assert_eq!(&model.to_config(), &config);
            for piece in &pieces {
                let mut found = Vec::new();
                model.ids(piece, &mut Scratch::default(), &mut found).unwrap();
                let expected: Vec<u32> = naive::by_rank(&config, piece).unwrap().iter().map(|token| token.0).collect();
                prop_assert_eq!(found, expected);
                let mut merged = Tokens::default();
                model.tokenize(piece, 0, &mut Scratch::default(), &mut merged).unwrap();
                prop_assert_eq!(merged.0, naive::by_rank(&config, piece).unwrap());
            }
        }

        #[test]
        fn equals_the_plain_rule(config in configs("abé▁c"), pieces in proptest::collection::vec("[abé▁cx]{0,40}", 1..8)) {
            let model = Bpe::from_config(config.clone(), false).unwrap();
            prop_assert_eq!(&model.to_config(), &config);
            let mut scratch = Scratch::default();
            for piece in &pieces {
                let mut tokens = Tokens::default();
                let done = model.tokenize(piece, 0, &mut scratch, &mut tokens).ok().map(|()| tokens.0);
                prop_assert_eq!(&done, &naive::by_rank(&config, piece));
                prop_assert_eq!(&done, &naive::by_queue(&config, piece));
            }
        }

        #[test]
        fn cutting_changes_nothing(config in configs("abé▁c漢"), piece in "[abé▁cx漢]{0,60}") {
            let mut model = Bpe::from_config(config, false).unwrap();
            let mut with_cuts = Tokens::default();
            let done = model.tokenize(&piece, 0, &mut Scratch::default(), &mut with_cuts).is_ok();
            match &mut model.parts {
                Parts::Characters { joints, .. } => prop_assert!(joints.take().is_some()),
                Parts::Bytes { .. } => prop_assert!(false),
            }
            let mut whole = Tokens::default();
            prop_assert_eq!(model.tokenize(&piece, 0, &mut Scratch::default(), &mut whole).is_ok(), done);
            if done {
                prop_assert_eq!(with_cuts, whole);
            }
        }

        #[test]
        fn the_scan_equals_the_queue(config in configs("abc"), piece in "[abc]{0,32}") {
            let model = Bpe::from_config(config, false).unwrap();
            let mut symbols: Vec<Symbol> =
                piece.chars().filter_map(|character| model.vocabulary.id(&character.to_string())).map(|id| Symbol::new(id, 1)).collect();
            let mut queued = symbols.clone();
            merge::merge(&mut symbols, &model.merges, &Order::ByRank, &mut QueueScratch::default());
            let order = Order::ByNewId(by_rank(&model));
            merge::merge(&mut queued, &model.merges, &order, &mut QueueScratch::default());
            let pairs = |symbols: &[Symbol]| symbols.iter().map(|symbol| (symbol.id, symbol.bytes)).collect::<Vec<_>>();
            prop_assert_eq!(pairs(&symbols), pairs(&queued));
        }

        #[test]
        fn all_queues_agree(config in configs("abc"), pieces in proptest::collection::vec("[abc]{0,200}", 3)) {
            let model = Bpe::from_config(config, false).unwrap();
            let mut scratch = QueueScratch::default();
            for piece in pieces {
                let known = piece.chars().filter_map(|character| model.vocabulary.id(&character.to_string()));
                let symbols: Vec<Symbol> = known.map(|id| Symbol::new(id, 1)).collect();
                let mut merged = |order| {
                    let mut symbols = symbols.clone();
                    merge::merge(&mut symbols, &model.merges, &order, &mut scratch);
                    symbols.iter().map(|symbol| (symbol.id, symbol.bytes)).collect::<Vec<_>>()
                };
                let expected = merged(Order::ByNewId(by_rank(&model)));
                prop_assert_eq!(&merged(Order::ByRank), &expected);
                if matches!(model.order, Order::Rising) {
                    prop_assert_eq!(&merged(Order::Rising), &expected);
                }
            }
        }

        #[test]
        fn backtracking_equals_merging(config in configs("abc"), pieces in proptest::collection::vec("[abc]{0,150}", 4)) {
            let model = Bpe::from_config(config, false).unwrap();
            let (mut scratch, mut queue) = (backtrack::Scratch::default(), QueueScratch::default());
            let Some(backtracker) = &model.backtracker else { return Ok(()) };
            for piece in pieces {
                // Only characters that are tokens.
                let piece: String = piece.chars().filter(|character| model.vocabulary.id(&character.to_string()).is_some()).collect();
                let ids = piece.chars().filter_map(|character| model.vocabulary.id(&character.to_string()));
                let mut symbols: Vec<Symbol> = ids.map(|id| Symbol::new(id, 1)).collect();
                merge::merge(&mut symbols, &model.merges, &Order::ByRank, &mut queue);
                let mut found = Vec::new();
                prop_assert!(backtracker.tokenize(piece.as_bytes(), &model.vocabulary, &model.merges, &mut scratch, &mut found) || piece.is_empty());
                prop_assert_eq!(found, symbols.iter().map(|symbol| symbol.id).collect::<Vec<_>>());
            }
        }

        #[test]
        fn odd_files_follow_the_queue_to_the_letter(
            mut config in configs("abc#"),
            ids in proptest::collection::vec(0u32..12, 50),
            empty in any::<bool>(),
            prefix in proptest::option::of(prop_oneof![Just("#".to_owned()), Just("".to_owned())]),
            suffix in proptest::option::of(prop_oneof![Just("b".to_owned()), Just("".to_owned())]),
            piece in "[abc#é]{0,40}",
        ) {
            config.vocab.ids = ids.into_iter().cycle().take(config.vocab.tokens.len()).collect();
            if empty {
                config.vocab.tokens.push("");
                config.vocab.ids.push(0);
                let merges: Vec<String> = ["", "a", "b", "", "a", "a"].map(str::to_owned).to_vec();
                let known = |part: &String| config.vocab.tokens.iter().any(|token| token == part);
                if merges.iter().all(known) && known(&"aa".to_owned()) {
                    config.merges = merges.iter().map(String::as_str).chain(config.merges.iter()).collect();
                }
            }
            (config.continuing_subword_prefix, config.end_of_word_suffix) = (prefix, suffix);
            if let Ok(model) = Bpe::from_config(config.clone(), true) {
                let mut tokens = Tokens::default();
                let done = model.tokenize(&piece, 0, &mut Scratch::default(), &mut tokens).ok().map(|()| tokens.0);
                prop_assert_eq!(done, naive::by_queue(&config, &piece));
            }
        }

        #[test]
        fn raw_bytes_give_the_ids_of_the_mapped_piece(
            parts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..60),
            suffix in proptest::option::of(Just("</w>".to_owned())),
            ignore_merges in any::<bool>(),
            piece in "[ab é漢]{0,30}",
        ) {
            let mut tokens: Vec<String> = "ab Ã©æ¼¢".bytes().chain(0..=255).map(|byte| byte_level_char(byte).to_string()).collect();
            let mut seen = std::collections::HashSet::new();
            tokens.retain(|token| seen.insert(token.clone()));
            if let Some(suffix) = &suffix {
                tokens.extend(tokens.clone().iter().map(|token| format!("{token}{suffix}")));
            }
            let mut merges = StringList::new();
            for (left, right) in parts {
                // Mostly the first few tokens, so that merges are met.
                let pick = |index: prop::sample::Index, tokens: &[String]| tokens[index.index(tokens.len()) % 16.max(tokens.len() - 256)].clone();
                let (left, right) = (pick(left, &tokens), pick(right, &tokens));
                let joined = format!("{left}{right}");
                if joined.len() < 40 && seen.insert(joined.clone()) {
                    merges.push(&left);
                    merges.push(&right);
                    tokens.push(joined);
                }
            }
            let vocab = VocabConfig { ids: (0..tokens.len() as u32).collect(), tokens: tokens.iter().collect() };
            let config = BpeConfig { vocab, merges, end_of_word_suffix: suffix, ignore_merges, ..Default::default() };
            let raw = Bpe::from_config(config.clone(), true).unwrap();
            let mapped = Bpe::from_config(config, false).unwrap();
            prop_assert_eq!((raw.alphabet(), mapped.alphabet()), (Alphabet::Bytes, Alphabet::Text));
            let mapped_piece: String = piece.bytes().map(byte_level_char).collect();
            let mut found = Tokens::default();
            raw.tokenize(&piece, 0, &mut Scratch::default(), &mut found).unwrap();
            let mut expected = Tokens::default();
            mapped.tokenize(&mapped_piece, 0, &mut Scratch::default(), &mut expected).unwrap();
            // The same tokens over the same bytes, counted in characters of the mapped piece.
            let bytes = |offset: usize| mapped_piece[..offset].chars().count();
            let expected: Vec<_> = expected.0.into_iter().map(|(id, start, end, _)| (id, bytes(start), bytes(end))).collect();
            let mut ids = Vec::new();
            raw.ids(&piece, &mut Scratch::default(), &mut ids).unwrap();
            prop_assert_eq!(ids, found.0.iter().map(|token| token.0).collect::<Vec<_>>());
            prop_assert_eq!(found.0.into_iter().map(|(id, start, end, _)| (id, start, end)).collect::<Vec<_>>(), expected);
        }
    }
}
