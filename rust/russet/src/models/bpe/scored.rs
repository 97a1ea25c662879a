//! Merging by score, as SentencePiece's BPE does it, for models whose merges no list of ranks can say.
//!
//! Any two neighbours may be joined whose text is a piece: the pair with the best score, the leftmost of equals, until there is
//! none. Ranks say the same where scores differ and all characters of pieces are pieces; this is for the other models: several
//! pieces with one score, a piece with a character that is none, pieces that are not used. Those join like others, and are taken
//! apart again at the end, by the pair that was looked up last for such a piece.
//!
//! A heap of pairs, O(n log n), and a look-up in the vocabulary for each pair. Slower than ranks, so the wrong choice where
//! ranks are enough.

use crate::formats::config::ScoredMerges;
use crate::models::TokenSink;
use crate::vocab::Vocabulary;
use crate::{Error, Result};
use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;

/// How often a piece that is not used is taken apart: what then is left stays as it is, as in SentencePiece.
const MAX_DEPTH: u32 = 100;

/// No symbol.
const NONE: usize = usize::MAX;

#[derive(Debug)]
pub(super) struct Scored {
    config: ScoredMerges,
    /// By id: whether the piece is not used.
    is_unused: Vec<bool>,
}

/// A part of the piece that is tokenized. Empty where it was joined to the one before.
#[derive(Clone, Copy, Debug)]
struct Symbol {
    start: usize,
    end: usize,
    previous: usize,
    next: usize,
}

/// Two symbols to join: the first one, where they end, and the score of what they make.
#[derive(Clone, Copy, Debug)]
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    length: usize,
}

impl Ord for Pair {
    /// The greatest is to be joined first.
    fn cmp(&self, other: &Self) -> Ordering {
        // Scores are finite, and zeros of either sign are equal.
        self.score.partial_cmp(&other.score).unwrap_or(Ordering::Equal).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

/// Buffers, reused from piece to piece.
#[derive(Debug, Default)]
pub(super) struct ScoredScratch {
    symbols: Vec<Symbol>,
    pairs: BinaryHeap<Pair>,
    /// For pieces that are not used: how long the left part was when a pair that makes it was looked up last.
    parts: HashMap<u32, usize>,
    stack: Vec<(Range<usize>, u32)>,
}

impl Scored {
    pub(super) fn new(config: ScoredMerges, vocabulary: &Vocabulary) -> Result<Self> {
        let wrong = |message: String| Err(Error::config("sentencepiece", message));
        if config.scores.len() != vocabulary.len() || vocabulary.iter().zip(0..).any(|((_, id), index)| id != index) {
            return wrong(format!(
                "{} scores, and the {} tokens are not numbered like them",
                config.scores.len(),
                vocabulary.len()
            ));
        }
        if let Some(id) = config.scores.iter().position(|score| score.is_some_and(|score| !score.is_finite())) {
            return wrong(format!("the score of {id} is no number"));
        }
        let mut is_unused = vec![false; vocabulary.len()];
        for &id in &config.unused {
            match is_unused.get_mut(id as usize) {
                Some(is_unused) => *is_unused = true,
                None => return wrong(format!("{id} is not below the number of tokens, {}", vocabulary.len())),
            }
        }
        Ok(Self { config, is_unused })
    }

    pub(super) fn config(&self) -> &ScoredMerges {
        &self.config
    }

    /// Gives `found` the parts of `piece` with their ids, `None` for what is unknown.
    fn for_each_part(
        &self,
        vocabulary: &Vocabulary,
        piece: &str,
        scratch: &mut ScoredScratch,
        mut found: impl FnMut(Range<usize>, Option<u32>) -> Result<()>,
    ) -> Result<()> {
        let ScoredScratch { symbols, pairs, parts, stack } = scratch;
        symbols.clear();
        pairs.clear();
        parts.clear();
        for (index, (start, character)) in piece.char_indices().enumerate() {
            let end = start + character.len_utf8();
            symbols.push(Symbol { start, end, previous: index.wrapping_sub(1), next: index + 1 });
        }
        if let Some(last) = symbols.last_mut() {
            last.next = NONE;
        }
        let mut look_up = |symbols: &[Symbol], pairs: &mut BinaryHeap<Pair>, left: usize, right: usize| {
            let (Some(first), Some(second)) = (symbols.get(left), symbols.get(right)) else { return };
            let Some((id, score)) = self.piece(vocabulary, &piece[first.start..second.end]) else { return };
            pairs.push(Pair { score, left, right, length: second.end - first.start });
            if self.is_unused[id as usize] {
                parts.insert(id, first.end - first.start);
            }
        };
        for right in 1..symbols.len() {
            look_up(symbols, pairs, right - 1, right);
        }
        while let Some(Pair { left, right, length, .. }) = pairs.pop() {
            let (first, second) = (symbols[left], symbols[right]);
            let is_current = first.start < first.end && second.start < second.end && second.end - first.start == length;
            if !is_current {
                continue;
            }
            symbols[left].end = second.end;
            symbols[left].next = second.next;
            symbols[right].end = second.start;
            if let Some(next) = symbols.get_mut(second.next) {
                next.previous = left;
            }
            look_up(symbols, pairs, first.previous, left);
            look_up(symbols, pairs, left, second.next);
        }
        let mut index = if symbols.is_empty() { NONE } else { 0 };
        while let Some(&Symbol { start, end, next, .. }) = symbols.get(index) {
            index = next;
            stack.push((start..end, 0));
            while let Some((range, depth)) = stack.pop() {
                match self.piece(vocabulary, &piece[range.clone()]) {
                    Some((id, _)) if self.is_unused[id as usize] && depth <= MAX_DEPTH => match parts.get(&id) {
                        Some(left) => {
                            let middle = range.start + left;
                            stack.push((middle..range.end, depth + 1));
                            stack.push((range.start..middle, depth + 1));
                        }
                        None => found(range, None)?,
                    },
                    known => found(range, known.map(|(id, _)| id))?,
                }
            }
        }
        Ok(())
    }

    /// The piece that may be found as `text`, and its score.
    fn piece(&self, vocabulary: &Vocabulary, text: &str) -> Option<(u32, f32)> {
        if text.len() > vocabulary.max_token_bytes() {
            return None;
        }
        let id = vocabulary.id(text)?;
        Some((id, self.config.scores.get(id as usize).copied().flatten()?))
    }

    /// Emits the tokens of `piece`; `unknown` emits a run of unknown text.
    pub(super) fn tokenize<S: TokenSink>(
        &self,
        vocabulary: &Vocabulary,
        piece: &str,
        scratch: &mut ScoredScratch,
        sink: &mut S,
        unknown: impl Fn(&mut S, Range<usize>) -> Result<()>,
    ) -> Result<()> {
        let mut pending: Option<usize> = None; // where a run of unknown text began
        self.for_each_part(vocabulary, piece, scratch, |range, id| {
            match id {
                None => {
                    pending.get_or_insert(range.start);
                }
                Some(id) => {
                    if let Some(start) = pending.take() {
                        unknown(sink, start..range.start)?;
                    }
                    sink.token(id, range, false);
                }
            }
            Ok(())
        })?;
        match pending {
            Some(start) => unknown(sink, start..piece.len()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::VocabConfig;
    use proptest::prelude::*;

    /// Pieces with their scores; those without one are never found.
    fn scored(pieces: &[(&str, Option<f32>)], unused: &[u32]) -> (Scored, Vocabulary) {
        let tokens = pieces.iter().map(|piece| piece.0).collect();
        let vocabulary = Vocabulary::new(VocabConfig { tokens, ids: (0..pieces.len() as u32).collect() }).unwrap();
        let config = ScoredMerges { scores: pieces.iter().map(|piece| piece.1).collect(), unused: unused.to_vec() };
        (Scored::new(config, &vocabulary).unwrap(), vocabulary)
    }

    fn parts(scored: &(Scored, Vocabulary), piece: &str) -> Vec<(String, bool)> {
        let mut parts = Vec::new();
        let mut scratch = ScoredScratch::default();
        let found = |range: Range<usize>, id: Option<u32>| {
            parts.push((piece[range].to_owned(), id.is_some()));
            Ok(())
        };
        scored.0.for_each_part(&scored.1, piece, &mut scratch, found).unwrap();
        parts
    }

    #[test]
    fn equal_scores_join_from_the_left() {
        let model = scored(&[("a", Some(-9.0)), ("b", Some(-9.0)), ("ab", Some(0.0)), ("ba", Some(-0.0))], &[]);
        let texts = |piece| parts(&model, piece).into_iter().map(|part| part.0).collect::<Vec<_>>();
        assert_eq!(texts("aba"), ["ab", "a"]);
        assert_eq!(texts("bab"), ["ba", "b"]);
    }

    #[test]
    fn characters_need_not_be_pieces() {
        let model = scored(&[("ab", Some(-1.0)), ("c", None), ("cd", Some(-2.0))], &[]);
        let expected = [("ab", true), ("a", false), ("cd", true), ("c", false)];
        assert_eq!(parts(&model, "abacdc"), expected.map(|(text, known)| (text.to_owned(), known)));
    }

    #[test]
    fn what_is_not_used_is_taken_apart() {
        let pieces = [("a", Some(-9.0)), ("b", Some(-9.0)), ("ab", Some(-1.0)), ("abb", Some(-2.0)), ("c", Some(-3.0))];
        let model = scored(&pieces, &[3, 4]);
        let expected = [("ab", true), ("b", true), ("c", false)];
        assert_eq!(parts(&model, "abbc"), expected.map(|(text, known)| (text.to_owned(), known)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let vocabulary = |ids: &[u32]| {
            let tokens = ["a", "b"].into_iter().collect();
            Vocabulary::new(VocabConfig { tokens, ids: ids.to_vec() }).unwrap()
        };
        let config = |scores: &[f32], unused: &[u32]| ScoredMerges {
            scores: scores.iter().map(|&score| Some(score)).collect(),
            unused: unused.to_vec(),
        };
        assert!(Scored::new(config(&[0.0, 0.0], &[1]), &vocabulary(&[0, 1])).is_ok());
        for (scores, unused, ids) in [
            (&[0.0][..], &[][..], &[0, 1]),
            (&[0.0, 0.0], &[], &[1, 0]),
            (&[0.0, f32::NAN], &[], &[0, 1]),
            (&[0.0, 0.0], &[2], &[0, 1]),
        ] {
            assert!(Scored::new(config(scores, unused), &vocabulary(ids)).is_err());
        }
    }

    proptest! {
        #[test]
        fn equals_a_search_for_the_best_pair(
            list in proptest::collection::btree_map("[abcé]{1,4}", proptest::option::weighted(0.9, -3i8..0), 0..24),
            pieces in proptest::collection::vec("[abcé]{0,16}", 1..8),
        ) {
            let list: Vec<(&str, Option<f32>)> = list.iter().map(|(text, score)| (text.as_str(), score.map(f32::from))).collect();
            let score = |text: &str| list.iter().find(|piece| piece.0 == text).and_then(|piece| piece.1);
            let model = scored(&list, &[]);
            for piece in &pieces {
                let mut symbols: Vec<String> = piece.chars().map(String::from).collect();
                loop {
                    let pairs = symbols.windows(2).enumerate().filter_map(|(at, pair)| Some((at, score(&pair.concat())?)));
                    let best = pairs.reduce(|best, pair| if pair.1 > best.1 { pair } else { best });
                    let Some((at, _)) = best else { break };
                    let right = symbols.remove(at + 1);
                    symbols[at].push_str(&right);
                }
                let expected: Vec<_> = symbols.into_iter().map(|text| (score(&text).is_some(), text)).collect();
                let got: Vec<_> = parts(&model, piece).into_iter().map(|(text, known)| (known, text)).collect();
                prop_assert_eq!(got, expected);
            }
        }
    }
}
