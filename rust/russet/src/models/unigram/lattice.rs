//! The best path through the lattice of tokens (Viterbi).
//!
//! From each place in the piece a walk down the trie meets the tokens that begin there, and offers each of their ends the best
//! path to the place and the token behind it; a character that is no token is offered as an unknown one. An end keeps the first
//! of the best offers. The reference does the same, place by place and the shorter token first, so that of equal sums the same
//! one stays.
//!
//! A place that no token reaches across is on every path. There the path behind is emitted and forgotten once it is long, so
//! memory grows with the longest stretch without such a place, not with the piece. The sum goes on, as its rounding depends on
//! all that was added.
//!
//! O(n d) for a piece of n bytes and tokens that share d bytes at most: a walk is as long as the tokens that begin there.
//!
//! SentencePiece does the same in single precision; and where a sum passes 100,000, it begins again from zero there, and what has
//! been offered to later places is lowered by that sum.

use super::{missing_unk, Unigram};
use crate::models::double_array::AfterCharacter;
use crate::models::TokenSink;
use crate::{Error, Result};

/// A path at least this long is emitted at the next place that is on every path.
const EMITTED_BYTES: usize = if cfg!(test) { 3 } else { 1 << 12 };

/// The best path to one place in the piece.
#[derive(Clone, Copy, Debug)]
struct Place {
    score: f64,
    /// The last token on it, and that token's length: 0 while there is no path.
    id: u32,
    length: u32,
}

impl Place {
    /// No path yet: any score but the least is better, so the length is looked at where there is a path, which is foreseen.
    const UNREACHED: Self = Self { score: f64::NEG_INFINITY, id: 0, length: 0 };
    /// The beginning of all paths.
    const START: Self = Self { score: 0.0, id: 0, length: 0 };

    /// Whether a path with `score` is better than the one there is.
    #[inline(always)]
    fn is_below(&self, score: f64) -> bool {
        score > self.score || self.length == 0
    }
}

/// Buffers, reused from piece to piece.
#[derive(Debug, Default)]
pub(in crate::models) struct Scratch {
    /// The places from the last one whose path was emitted, by byte.
    places: Vec<Place>,
    /// The tokens on the path, from last to first: where each ends and its id.
    path: Vec<(usize, u32)>,
}

/// The sum from which on SentencePiece begins again.
const RESTART_SCORE: f64 = 100_000.0;

/// The sum of the path to a place and a token's score; in single precision where SentencePiece's rules hold. Rounding a sum of two
/// `f32` in `f64` gives their sum in `f32`.
#[inline(always)]
fn sum<const IS_SINGLE: bool>(token: f64, score: f64) -> f64 {
    if IS_SINGLE {
        f64::from((token + score) as f32)
    } else {
        token + score
    }
}

impl Unigram {
    pub(in crate::models) fn tokenize<S: TokenSink>(&self, piece: &str, scratch: &mut Scratch, sink: &mut S) -> Result<()> {
        match self.sentencepiece {
            None => self.tokenize_by::<false, S>(piece, scratch, sink),
            Some(_) => self.tokenize_by::<true, S>(piece, scratch, sink),
        }
    }

    /// `IS_SENTENCEPIECE` is whether SentencePiece's rules hold.
    fn tokenize_by<const IS_SENTENCEPIECE: bool, S: TokenSink>(
        &self,
        piece: &str,
        scratch: &mut Scratch,
        sink: &mut S,
    ) -> Result<()> {
        let Some(trie) = self.vocabulary.trie() else { return Err(Error::Internal("a Unigram vocabulary without a trie".into())) };
        let Scratch { places, path } = scratch;
        let bytes = piece.as_bytes();
        places.clear();
        places.resize(bytes.len().min(EMITTED_BYTES) + 1, Place::UNREACHED);
        places[0] = Place::START;
        let scores = &self.scores[..];
        let mut base = 0; // where places[0] is
        let mut reached = 0; // the furthest end of a token so far
        let mut unknown = None; // where a run of unknown characters began that reaches up to `base`
        let mut start = 0;
        while start < bytes.len() {
            if start == reached && start - base >= EMITTED_BYTES {
                self.emit(piece, base, &places[..=start - base], path, &mut unknown, sink)?;
                places[0] = places[start - base];
                places.truncate(EMITTED_BYTES + 1);
                places[1..].fill(Place::UNREACHED);
                base = start;
            }
            let here = start - base;
            let mut score = places[here].score;
            if IS_SENTENCEPIECE && score.abs() > RESTART_SCORE {
                let later = places.iter_mut().skip(here + 1).filter(|place| place.length > 0);
                later.for_each(|place| place.score = sum::<true>(place.score, -score));
                score = 0.0;
            }
            let length = match bytes[start] {
                ..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            let rest = &bytes[start..];
            if places.len() - here <= rest.len().min(self.longest) {
                places.resize(2 * places.len() + self.longest, Place::UNREACHED);
            }
            let ends = &mut places[here..];
            let mut longest = length;
            let mut is_token = false;
            let mut offer = |id: u32, token_length: usize| {
                if IS_SENTENCEPIECE && self.hidden[id as usize] {
                    return;
                }
                longest = token_length;
                let (Some(&token), Some(end)) = (scores.get(id as usize), ends.get_mut(token_length)) else { return };
                let score = sum::<IS_SENTENCEPIECE>(token, score);
                if end.is_below(score) {
                    *end = Place { score, id, length: token_length as u32 };
                }
            };
            let tokens = self.vocabulary.tokens();
            match trie.after_character(rest, length) {
                AfterCharacter::Nothing => {}
                AfterCharacter::State(state) => {
                    if let Some(id) = state.text() {
                        is_token = !(IS_SENTENCEPIECE && self.hidden[id as usize]);
                        offer(id, length);
                    }
                    trie.for_each_prefix(tokens, (state, length), &rest[length..], |id, more| offer(id, length + more));
                }
                AfterCharacter::Tail => trie.for_each_prefix(tokens, (trie.root(), 0), rest, |id, token_length| {
                    is_token |= token_length == length && !(IS_SENTENCEPIECE && self.hidden[id as usize]);
                    offer(id, token_length);
                }),
            }
            let (score, end) = (sum::<IS_SENTENCEPIECE>(self.unk_score, score), &mut ends[length]);
            if !is_token && end.is_below(score) {
                *end = Place { score, id: self.unk_id.ok_or_else(missing_unk)?, length: length as u32 };
            }
            reached = reached.max(start + longest);
            start += length;
        }
        self.emit(piece, base, &places[..=bytes.len() - base], path, &mut unknown, sink)?;
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
