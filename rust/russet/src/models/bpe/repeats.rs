//! Pieces of a few symbols, each repeated many times: rules of `=` or `-`, indentation, a character held down.
//!
//! Symbols are kept as runs, each an id and how often it stands there. By the rule (`merge`) the adjacent pair of the lowest rank is
//! merged, the leftmost of equals. Where that pair is twice the same id, all of its run is merged in one step, two by two from the
//! left, if nothing that arises on the way would be merged before the rest of the run: neither what is made beside the symbol before
//! the run, nor beside itself, nor beside what is left of the run or follows it. A run of n so takes about log n steps, each
//! O(runs); to find where runs end and to write ids out is what takes time then, O(n) at the speed of comparing and filling memory.
//!
//! Backtracking would find the same, but a run of a symbol that has tokens of many lengths is the worst that it can meet: from each
//! place nearly each length is tried (a megabyte of spaces with Gemma, 31 lengths: 675 ms).
//!
//! The wrong choice for any other piece: more than a few runs, or as many steps, are given up, at a cost that pieces of that length
//! do not notice.

use super::merges::{Merge, Merges, NO_RANK};

/// A piece has at least so many bytes for each run. Shorter runs are merged as fast by other ways.
const BYTES_FOR_A_RUN: usize = 16;
/// How many runs a piece may have.
const MOST_RUNS: usize = 8;
/// How many there may be while it is merged.
const MOST_MERGED_RUNS: usize = 24;
/// How many steps are taken.
const MOST_STEPS: usize = 96;

/// One id again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) id: u32,
    pub(super) count: usize,
}

/// How far the first `width` bytes of `text` are repeated, in bytes: a multiple of `width`.
fn repeated(text: &[u8], width: usize) -> usize {
    const BLOCK: usize = 64;
    let (text, shifted) = (text, text.get(width..).unwrap_or_default());
    let blocks = text.chunks_exact(BLOCK).zip(shifted.chunks_exact(BLOCK));
    let mut equal = BLOCK * blocks.take_while(|(left, right)| left == right).count();
    equal += text[equal..].iter().zip(&shifted[equal..]).take_while(|(left, right)| left == right).count();
    (equal + width) / width * width
}

/// The runs of a piece's symbols, of which `symbol` gives the id and the length in bytes of the first; none where they are too many
/// or too short, or where there is no id.
pub(super) fn runs(piece: &[u8], symbol: impl Fn(&[u8]) -> Option<(u32, usize)>) -> Option<Vec<Run>> {
    let most = (piece.len() / BYTES_FOR_A_RUN).min(MOST_RUNS);
    let (mut runs, mut at) = (Vec::new(), 0);
    while at < piece.len() {
        if runs.len() == most {
            return None;
        }
        let rest = &piece[at..];
        let (id, width) = symbol(rest)?;
        let bytes = repeated(rest, width);
        runs.push(Run { id, count: bytes / width });
        at += bytes;
    }
    Some(runs)
}

/// Merges runs to the end and returns true, or returns false where that takes too many steps.
#[must_use]
pub(super) fn merge(runs: &mut Vec<Run>, merges: &Merges) -> bool {
    for _ in 0..MOST_STEPS {
        let Some((merge, at, is_within)) = best(runs, merges) else { return true };
        let made = |count| Run { id: merge.new_id, count };
        let Run { id, count } = runs[at];
        if is_within {
            let pairs = match is_all_merged(runs, at, merge, merges) {
                true => count / 2,
                false => 1,
            };
            runs.splice(at..=at, [made(pairs), Run { id, count: count - 2 * pairs }]);
        } else {
            let next = runs[at + 1];
            let rest = Run { count: next.count - 1, ..next };
            runs.splice(at..=at + 1, [Run { id, count: count - 1 }, made(1), rest]);
        }
        runs.retain(|run| run.count > 0);
        runs.dedup_by(|next, run| {
            let is_same = next.id == run.id;
            run.count += if is_same { next.count } else { 0 };
            is_same
        });
        if runs.len() > MOST_MERGED_RUNS {
            return false;
        }
    }
    false
}

/// The merge of the lowest rank, the leftmost of equals; the run where it begins; and whether it ends there, too.
fn best(runs: &[Run], merges: &Merges) -> Option<(Merge, usize, bool)> {
    let within = runs.iter().enumerate().filter(|(_, run)| run.count > 1).map(|(at, run)| (merges.get(run.id, run.id), at, true));
    let across = runs.windows(2).enumerate().map(|(at, pair)| (merges.get(pair[0].id, pair[1].id), at, false));
    // No two pairs have the same rank, so equals are all of the same kind.
    within.chain(across).filter(|(merge, ..)| merge.rank != NO_RANK).min_by_key(|&(merge, at, _)| (merge.rank, at))
}

/// Whether a run is merged to its end before anything else is.
fn is_all_merged(runs: &[Run], at: usize, merge: Merge, merges: &Merges) -> bool {
    let is_later = |left, right| merges.get(left, right).rank > merge.rank;
    let made = merge.new_id;
    is_later(made, made)
        && is_later(made, runs[at].id)
        && at.checked_sub(1).is_none_or(|before| is_later(runs[before].id, made))
        && runs.get(at + 1).is_none_or(|after| is_later(made, after.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// The rule as it is.
    fn naive(ids: &[u32], merges: &Merges) -> Vec<u32> {
        let mut ids = ids.to_vec();
        while let Some((_, place, id)) = {
            let pairs = ids.windows(2).enumerate().map(|(place, pair)| (merges.get(pair[0], pair[1]), place));
            pairs.filter(|(merge, _)| merge.rank != NO_RANK).map(|(merge, place)| (merge.rank, place, merge.new_id)).min()
        } {
            ids[place] = id;
            ids.remove(place + 1);
        }
        ids
    }

    fn spelled(runs: &[Run]) -> Vec<u32> {
        runs.iter().flat_map(|run| std::iter::repeat_n(run.id, run.count)).collect()
    }

    proptest! {
        #[test]
        fn runs_are_merged_as_the_rule_says(
            parts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u16>()), 0..24),
            counts in proptest::collection::vec((0u32..3, 1usize..70), 1..5),
        ) {
            // Three symbols; ids tell texts apart, ranks fall as well as rise.
            let mut texts: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
            let mut listed = HashMap::new();
            for (left, right, rank) in parts {
                let (left, right) = (left.index(texts.len()), right.index(texts.len()));
                let joined = format!("{}{}", texts[left], texts[right]);
                let new_id = texts.iter().position(|text| *text == joined).unwrap_or(texts.len());
                if new_id == texts.len() {
                    texts.push(joined);
                }
                listed.entry((left as u32, right as u32)).or_insert((rank, new_id as u32));
            }
            let mut by_rank: Vec<_> = listed.into_iter().map(|(pair, (rank, new_id))| (rank, pair, new_id)).collect();
            by_rank.sort_unstable();
            let ranked: Vec<_> = (0..).zip(by_rank).map(|(rank, (_, (left, right), new_id))| (left, right, Merge { rank, new_id })).collect();
            let merges = Merges::new(ranked.iter().copied(), ranked.len());
            let symbols: Vec<u32> = counts.iter().flat_map(|&(id, count)| std::iter::repeat_n(id, count)).collect();
            let text: Vec<u8> = symbols.iter().map(|&id| id as u8).collect();
            let padded = [text.as_slice(), &[9; BYTES_FOR_A_RUN * MOST_RUNS]].concat();
            let mut found = runs(&padded, |rest| Some((rest[0].into(), 1))).unwrap();
            prop_assert_eq!(found.pop(), Some(Run { id: 9, count: BYTES_FOR_A_RUN * MOST_RUNS }));
            prop_assert_eq!(&spelled(&found), &symbols);
            if merge(&mut found, &merges) {
                prop_assert_eq!(spelled(&found), naive(&symbols, &merges));
            }
        }

        #[test]
        fn runs_are_found_as_they_are_written(parts in proptest::collection::vec(("[a=é▁😀]", 1usize..200), 1..6)) {
            let text: String = parts.iter().map(|(symbol, count)| symbol.repeat(*count)).collect();
            let symbol = |rest: &[u8]| {
                let character = std::str::from_utf8(rest).unwrap().chars().next()?;
                Some((character.into(), character.len_utf8()))
            };
            let mut expected: Vec<Run> = Vec::new();
            for character in text.chars() {
                match expected.last_mut().filter(|run| run.id == u32::from(character)) {
                    Some(run) => run.count += 1,
                    None => expected.push(Run { id: character.into(), count: 1 }),
                }
            }
            let is_few = expected.len() <= (text.len() / BYTES_FOR_A_RUN).min(MOST_RUNS);
            prop_assert_eq!(runs(text.as_bytes(), symbol), is_few.then_some(expected));
        }
    }

    #[test]
    fn a_long_run_takes_few_steps() {
        // 0, 00, 0000 and so on, up to sixteen.
        let ranked = (0..4).map(|rank| (rank, rank, Merge { rank, new_id: rank + 1 }));
        let merges = Merges::new(ranked, 4);
        let mut found = vec![Run { id: 0, count: (1 << 20) + 13 }];
        assert!(merge(&mut found, &merges));
        let expected = [(4, 1 << 16), (3, 1), (2, 1), (0, 1)].map(|(id, count)| Run { id, count });
        assert_eq!(found, expected);
    }
}
