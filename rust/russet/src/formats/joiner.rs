//! The last join of a token: the one pair of tokens from which a greedy merge of neighbours makes it.
//!
//! tiktoken and SentencePiece's BPE always join the neighbours whose concatenation is best, the leftmost of equals. Where that
//! makes a token, nothing was joined across the token's edges before, so inside them everything happened in the order in which
//! it happens when the token stands alone: the last two parts are the same in every text. So it is enough to join each token
//! alone, and BPE with one pair per token, by priority, makes the same choices, for any priorities that differ. A token that
//! alone stays in more than two parts is never made.
//!
//! A heap of candidates with lazy deletion: O(n log n) look-ups for a token of n bytes, each of O(n) bytes at most. The twin
//! under test looks at all neighbours in each step.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A part of the token: where it ends, and where the part before it begins.
#[derive(Clone, Copy, Default)]
struct Part {
    end: usize,
    before: Option<usize>,
    is_there: bool,
}

/// Joins the parts of tokens; its buffers are reused.
#[derive(Default)]
pub(super) struct Joiner {
    /// By where they begin.
    parts: Vec<Part>,
    /// Candidates: the priority of what two parts make (the lowest is best), where it begins, and where it ends.
    candidates: BinaryHeap<Reverse<(u32, usize, usize)>>,
}

impl Joiner {
    /// The two parts from which `token` is made at last, or `None` if it is not made or is one part from the beginning.
    ///
    /// `first_parts` are where the first parts end, in order, the last at the token's end. `priority` is that of a token.
    pub fn last_split<'t>(
        &mut self,
        token: &'t [u8],
        first_parts: impl Iterator<Item = usize>,
        priority: impl Fn(&[u8]) -> Option<u32>,
    ) -> Option<(&'t [u8], &'t [u8])> {
        self.candidates.clear();
        self.parts.clear();
        self.parts.resize(token.len(), Part::default());
        let mut before = None;
        let mut start = 0;
        for end in first_parts {
            *self.parts.get_mut(start)? = Part { end, before, is_there: true };
            if let Some(before) = before {
                self.offer(token, before, end, &priority);
            }
            before = Some(start);
            start = end;
        }
        while let Some(Reverse((_, start, end))) = self.candidates.pop() {
            // A candidate is out of date unless two parts still have its edges.
            let Some(left) = self.part(start) else { continue };
            if self.part(left.end).is_none_or(|right| right.end != end) {
                continue;
            }
            if start == 0 && end == token.len() {
                return token.split_at_checked(left.end);
            }
            if let Some(right) = self.parts.get_mut(left.end) {
                right.is_there = false;
            }
            if let Some(joined) = self.parts.get_mut(start) {
                joined.end = end;
            }
            if let Some(next) = self.parts.get_mut(end) {
                next.before = Some(start);
                let next_end = next.end;
                self.offer(token, start, next_end, &priority);
            }
            if let Some(before) = left.before {
                self.offer(token, before, end, &priority);
            }
        }
        None
    }

    /// The part that begins at `start`.
    fn part(&self, start: usize) -> Option<Part> {
        self.parts.get(start).filter(|part| part.is_there).copied()
    }

    /// Adds the two parts that make `token[start..end]` as a candidate, if that is a token.
    fn offer(&mut self, token: &[u8], start: usize, end: usize, priority: impl Fn(&[u8]) -> Option<u32>) {
        if let Some(priority) = token.get(start..end).and_then(priority) {
            self.candidates.push(Reverse((priority, start, end)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Joins step by step: the best concatenation, the leftmost of equals. With `pairs`, only those may be joined.
    fn join(piece: &str, priorities: &HashMap<&str, u32>, pairs: Option<&HashMap<&str, (&str, &str)>>) -> Vec<String> {
        let mut parts: Vec<String> = piece.chars().map(String::from).collect();
        loop {
            let candidates = parts.windows(2).enumerate().filter_map(|(at, pair)| {
                let made = pair.concat();
                let may = pairs.is_none_or(|pairs| pairs.get(made.as_str()) == Some(&(pair[0].as_str(), pair[1].as_str())));
                priorities.get(made.as_str()).filter(|_| may).map(|&priority| (priority, at))
            });
            let Some((_, at)) = candidates.min() else { return parts };
            let right = parts.remove(at + 1);
            parts[at].push_str(&right);
        }
    }

    #[test]
    fn finds_the_last_pair() {
        let priorities = HashMap::from([("bc", 0), ("ab", 1), ("abc", 2), ("abcd", 3), ("xyz", 4)]);
        let mut joiner = Joiner::default();
        let mut last = |token: &'static str| {
            joiner.last_split(token.as_bytes(), 1..=token.len(), |token| {
                priorities.get(std::str::from_utf8(token).unwrap_or_default()).copied()
            })
        };
        assert_eq!(last("ab"), Some((&b"a"[..], &b"b"[..])));
        assert_eq!(last("abc"), Some((&b"a"[..], &b"bc"[..])));
        assert_eq!(last("abcd"), Some((&b"abc"[..], &b"d"[..])));
        assert_eq!(last("xyz"), None);
        assert_eq!(last("a"), None);
        assert_eq!(last(""), None);
    }

    proptest! {
        /// Any priorities, also those where a token comes before its parts.
        #[test]
        fn one_pair_per_token_is_enough(
            tokens in proptest::collection::hash_set("[ab\u{e9}]{2,6}", 0..24),
            pieces in proptest::collection::vec("[ab\u{e9}]{1,24}", 1..8),
        ) {
            let priorities: HashMap<&str, u32> = tokens.iter().map(String::as_str).zip(0..).collect();
            let mut joiner = Joiner::default();
            let mut pairs = HashMap::new();
            for token in &tokens {
                let ends = token.char_indices().map(|(start, character)| start + character.len_utf8());
                let priority = |token: &[u8]| priorities.get(std::str::from_utf8(token).unwrap_or_default()).copied();
                if let Some((left, _)) = joiner.last_split(token.as_bytes(), ends, priority) {
                    pairs.insert(token.as_str(), token.split_at(left.len()));
                } else {
                    prop_assert!(join(token, &priorities, None).len() > 1);
                }
            }
            for piece in pieces {
                prop_assert_eq!(join(&piece, &priorities, Some(&pairs)), join(&piece, &priorities, None), "{}", piece);
            }
        }
    }
}
