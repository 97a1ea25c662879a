//! The ids of pieces, without their places: by the fastest way for each.
//!
//! Up to 62 symbols are merged as they are (`short`), several pieces in turns; text that falls apart between characters is put
//! together from units (`raw_units`); the rest is found by backtracking (`backtrack`). Where the rule does not allow that, or a symbol is
//! no token, the symbols are merged by the rule itself. O(n) for a piece of n bytes, but for that.

use super::backtrack::Backtracker;
use super::merges::NEVER;
use super::pairs::Pairs;
use super::raw_units::{RawReader, RawScratch};
use super::short::{self, Symbols, MOST};
use super::{repeats, Bpe, Parts, Scratch, MAX_PIECE_BYTES};
use crate::cached::IdLists;
use crate::piece_cache::PieceCache;
use crate::Result;
use std::ops::Range;
use std::sync::atomic::Ordering;

/// Where the table of pairs is not made when the model is, it is made when a piece was worked out without it for each so many tokens: to
/// make it costs about what four times as many pieces gain by it, and most texts that come so far go on.
const TOKENS_FOR_A_PIECE: usize = if cfg!(test) { usize::MAX } else { 64 };

/// Models with fewer tokens make it so soon that it need not be made with them.
const EARLY_TOKENS: usize = 40_000;

/// No longer piece has so few symbols.
const MOST_BYTES: usize = 4 * MOST;

impl Bpe {
    /// Appends the ids of a piece, without their places: what [`tokenize`](Self::tokenize) gives, by the faster way where there
    /// is one.
    pub(in crate::models) fn ids(&self, piece: &str, scratch: &mut Scratch, ids: &mut Vec<u32>) -> Result<()> {
        let Some(backtracker) = self.backtracker.as_ref().filter(|_| piece.len() <= MAX_PIECE_BYTES) else {
            return self.tokenize(piece, 0, scratch, ids);
        };
        // Short pieces are often tokens; of longer ones it costs more to look than to merge, and backtracking looks itself.
        let is_short = piece.len() < 7;
        if is_short || self.may_be_whole(piece) {
            let whole = backtracker.whole(piece.as_bytes(), &self.vocabulary);
            if let Some(id) = whole.filter(|&id| self.ignore_merges || self.merges.made(id) != NEVER) {
                ids.push(id);
                return Ok(());
            }
        }
        match self.ids_by_text(backtracker, piece, scratch, ids) {
            true => Ok(()),
            false => self.tokenize(piece, 0, scratch, ids),
        }
    }

    /// Whether a piece may be a token that it would not be merged to.
    #[inline]
    pub(super) fn may_be_whole(&self, piece: &str) -> bool {
        self.ignore_merges
            && self.pairs.get().is_none_or(|pairs| pairs.as_ref().is_none_or(|pairs| pairs.may_be_unmade(piece.as_bytes())))
    }

    /// Appends the ids of pieces of `text` that `cache` does not know, each as [`ids`](Self::ids).
    pub(in crate::models) fn ids_of_few(
        &self,
        text: &str,
        pieces: &[Range<usize>],
        cache: &PieceCache,
        scratch: &mut Scratch,
        lists: &mut IdLists,
    ) -> Result<()> {
        let Some(pairs) = self.pairs(pieces.len()) else {
            return pieces
                .iter()
                .try_for_each(|piece| lists.push(|ids| self.ids_by_units(cache, &text[piece.clone()], scratch, ids)));
        };
        let reader = self.raw_reader(cache, text);
        let mut raw = scratch.raw.take().unwrap_or_default();
        raw.clear();
        scratch.together.truncate(0);
        pairs.level().run(
            #[inline(always)]
            || self.begin_few(text, pieces, pairs, reader.as_ref(), &mut raw, scratch, lists),
        )?;
        scratch.together.merge(pairs, lists);
        if let Some(reader) = reader {
            reader.give(&mut raw, scratch, lists)?;
        }
        scratch.raw = Some(raw);
        let others = std::mem::take(&mut scratch.others);
        let is_done = others.iter().try_for_each(|&index| {
            let piece = &text[pieces[index].clone()];
            lists.set(index, |ids| self.ids(piece, scratch, ids))
        });
        scratch.others = others;
        is_done
    }

    /// Takes those of the pieces that are merged together, reads those that are put together from units, and notes the others.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)] // the buffers of all ways
    fn begin_few(
        &self,
        text: &str,
        pieces: &[Range<usize>],
        pairs: &Pairs,
        reader: Option<&RawReader<'_>>,
        raw: &mut RawScratch,
        scratch: &mut Scratch,
        lists: &mut IdLists,
    ) -> Result<()> {
        scratch.others.clear();
        for (index, piece) in pieces.iter().enumerate() {
            let list = lists.add();
            if let Some(reader) = reader {
                if reader.read(list, piece.clone(), raw, scratch, lists)? {
                    continue;
                }
            }
            let piece = &text[piece.clone()];
            if let Some(id) = self.unmade_id(piece) {
                lists.set(list, |ids| ids.push(id));
            } else if self.read_symbols(piece, pairs, &mut scratch.few) {
                scratch.together.push(&scratch.few, list, pairs);
            } else {
                scratch.others.push(index);
            }
        }
        Ok(())
    }

    /// Appends the ids of a piece or unit by the way for its length and returns true, or false if one of its symbols is no token.
    pub(super) fn ids_by_text(&self, backtracker: &Backtracker, text: &str, scratch: &mut Scratch, ids: &mut Vec<u32>) -> bool {
        self.merge_few(text, ids)
            || self.repeat(text, ids)
            || backtracker.tokenize(text.as_bytes(), &self.vocabulary, &self.merges, &mut scratch.backtrack, ids)
    }

    /// The pairs of tokens that merge, where the rule allows it and so many pieces were worked out that they are worth being made.
    /// `pieces` is how many are to be worked out now.
    #[inline]
    pub(super) fn pairs(&self, pieces: usize) -> Option<&Pairs> {
        match self.pairs.get() {
            Some(pairs) => pairs.as_ref(),
            None => self.make_pairs(pieces),
        }
    }

    #[cold]
    fn make_pairs(&self, pieces: usize) -> Option<&Pairs> {
        let before = self.worked_out.fetch_add(pieces, Ordering::Relaxed);
        if before < self.vocabulary.len() / TOKENS_FOR_A_PIECE {
            return None;
        }
        self.set_pairs();
        self.pairs.get()?.as_ref()
    }

    /// Makes the pairs of a large model, so that the first text need not wait for them.
    pub(in crate::models) fn make_early(&self) {
        if self.vocabulary.len() >= EARLY_TOKENS {
            self.set_pairs();
        }
    }

    fn set_pairs(&self) {
        let ids = self.vocabulary.ids_end().filter(|_| self.backtracker.is_some());
        let raw = match &self.parts {
            Parts::Bytes { ids, .. } => Some(&**ids),
            Parts::Characters { .. } => None,
        };
        self.pairs.set(Box::new(ids.and_then(|ids| Pairs::new(&self.merges, ids, &self.vocabulary, raw))));
    }

    /// Reads the symbols of a piece, those joined that are sure to merge; false if they are too many or one is no token.
    #[inline(always)]
    pub(super) fn read_symbols(&self, piece: &str, pairs: &Pairs, symbols: &mut Symbols) -> bool {
        symbols.clear();
        let is_read = match &self.parts {
            Parts::Bytes { .. } => {
                piece.len() <= MOST_BYTES && pairs.starts().is_some_and(|starts| starts.push_all(piece, pairs, symbols))
            }
            Parts::Characters { characters, .. } => piece
                .chars()
                .all(|character| characters.id(character, false, false).is_some_and(|id| symbols.push(pairs.number(id)))),
        };
        is_read && symbols.join(pairs)
    }

    /// Appends the ids of a piece of few symbols, each repeated many times, and returns true, or returns false of any other.
    fn repeat(&self, piece: &str, ids: &mut Vec<u32>) -> bool {
        let runs = match &self.parts {
            Parts::Bytes { ids, .. } => repeats::runs(piece.as_bytes(), |rest| Some((ids.inner[usize::from(*rest.first()?)], 1))),
            Parts::Characters { characters, .. } => repeats::runs(piece.as_bytes(), |rest| {
                let character = piece[piece.len() - rest.len()..].chars().next()?;
                Some((characters.id(character, false, false)?, character.len_utf8()))
            }),
        };
        let Some(mut runs) = runs else { return false };
        let is_merged = repeats::merge(&mut runs, &self.merges);
        if is_merged {
            runs.iter().for_each(|run| ids.resize(ids.len() + run.count, run.id));
        }
        is_merged
    }

    /// Appends the ids of a piece of few symbols and returns true, or false if there are more, or one is no token.
    fn merge_few(&self, piece: &str, ids: &mut Vec<u32>) -> bool {
        let Some(pairs) = self.pairs(0) else { return false };
        let mut symbols = Symbols::default();
        let is_read = self.read_symbols(piece, pairs, &mut symbols);
        if is_read {
            short::merge_alone(&symbols, pairs, ids);
        }
        is_read
    }
}
