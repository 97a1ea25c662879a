//! The best path through the lattice of tokens (Viterbi).
//!
//! One pass: an Aho-Corasick automaton reads the piece byte by byte, and at the end of each character lists the tokens that end
//! there, the longest first. The best path to that place goes through one of them, or through the character as an unknown one.
//! The reference walks a trie from each place instead; it meets the candidates for a place in the same order, that of their
//! beginnings, so that of equal sums the same one stays.
//!
//! A place that no token reaches across is on every path. There the path behind is emitted and forgotten, so memory grows with
//! the longest stretch without such a place, not with the piece. The sum goes on, as its rounding depends on all that was added.
//!
//! O(n + candidates): the automaton takes at most two steps per byte.

use super::{missing_unk, Unigram, NONE};
use crate::models::double_array::ROOT;
use crate::models::TokenSink;
use crate::Result;

/// The best path to one place in the piece.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    score: f64,
    /// The last token on it, and that token's length.
    id: u32,
    length: u32,
}

/// Buffers, reused from piece to piece.
#[derive(Debug, Default)]
pub(in crate::models) struct Scratch {
    /// The places since the last one that is on every path, by byte.
    places: Vec<Place>,
    /// The tokens on the path, from last to first: where each ends and its id.
    path: Vec<(usize, u32)>,
}

impl Unigram {
    pub(in crate::models) fn tokenize<S: TokenSink>(&self, piece: &str, scratch: &mut Scratch, sink: &mut S) -> Result<()> {
        let Scratch { places, path } = scratch;
        places.clear();
        places.push(Place::default());
        let mut base = 0; // where places[0] is
        let mut unknown = None; // where a run of unknown characters began that reaches up to `base`
        let mut state = ROOT;
        for (start, character) in piece.char_indices() {
            let length = character.len_utf8();
            let end = start + length;
            for (index, &byte) in piece.as_bytes()[start..end].iter().enumerate() {
                state = self.automaton.step(state, byte);
                if index == 0 && start > base && self.automaton.is_fresh(state) {
                    self.emit(piece, base, places, path, &mut unknown, sink)?;
                    places[0] = places[start - base];
                    places.truncate(1);
                    base = start;
                }
            }
            let mut best: Option<Place> = None;
            let mut single = false;
            let mut id = self.automaton.longest(state);
            while id != NONE {
                let candidate = self.candidates[id as usize];
                let score = candidate.score + places[end - base - candidate.length as usize].score;
                if best.is_none_or(|best| score > best.score) {
                    best = Some(Place { score, id, length: candidate.length });
                }
                single = candidate.length as usize == length;
                id = candidate.shorter;
            }
            if !single {
                let score = self.unk_score + places[start - base].score;
                if best.is_none_or(|best| score > best.score) {
                    best = Some(Place { score, id: self.unk_id.ok_or_else(missing_unk)?, length: length as u32 });
                }
            }
            places.resize(end - base, Place::default()); // inside the character: never read
            places.extend(best);
        }
        self.emit(piece, base, places, path, &mut unknown, sink)?;
        if let Some(start) = unknown {
            self.emit_unknown(piece, start..piece.len(), sink)?;
        }
        Ok(())
    }

    /// Emits the best path from `base` to the last of `places`, but for a run of unknown characters at its end: that goes on.
    fn emit<S: TokenSink>(
        &self,
        piece: &str,
        base: usize,
        places: &[Place],
        path: &mut Vec<(usize, u32)>,
        unknown: &mut Option<usize>,
        sink: &mut S,
    ) -> Result<()> {
        path.clear();
        let mut end = places.len() - 1;
        while end > 0 {
            path.push((base + end, places[end].id));
            end -= places[end].length as usize;
        }
        let mut start = base;
        for &(end, id) in path.iter().rev() {
            if Some(id) == self.unk_id {
                unknown.get_or_insert(start);
            } else {
                if let Some(unknown) = unknown.take() {
                    self.emit_unknown(piece, unknown..start, sink)?;
                }
                sink.token(id, start..end, true);
            }
            start = end;
        }
        Ok(())
    }
}
