//! DRY ("don't repeat yourself"): ids that would go on with a repetition of the end of the history are made less likely, the more
//! the longer the repetition.
//!
//! How long each place of the history repeats its end is found by the Z algorithm on the reversed history, O(n). A sequence breaker
//! is a list of ids over which no repetition is followed; breakers cost O(n) for each id they begin with, until one is found.
//! The rule is that of llama.cpp (`llama_sampler_dry_apply`).

/// What DRY does.
#[derive(Clone, Debug, PartialEq)]
pub struct Dry {
    /// The penalty of a repetition of `allowed_length` ids; zero: off.
    pub multiplier: f32,
    /// By this the penalty grows with each id more.
    pub base: f32,
    /// Shorter repetitions go free.
    pub allowed_length: usize,
    /// So many ids of the history's end are looked at; all without a number.
    pub last_n: Option<usize>,
    /// Ids over which repetitions are not followed.
    pub sequence_breakers: Vec<Vec<u32>>,
}

impl Dry {
    /// Calls with each id that is made less likely, and by how much; each id once.
    pub(crate) fn each_penalty(&self, history: &[u32], memory: &mut Memory, mut take: impl FnMut(u32, f32)) {
        let Memory { reversed, lengths, longest } = memory;
        let looked_at = history.len().min(self.last_n.unwrap_or(usize::MAX));
        if self.multiplier == 0.0 || looked_at <= self.allowed_length {
            return;
        }
        reversed.clear();
        reversed.extend(history[history.len() - looked_at..].iter().rev());
        let limit = self.limit(reversed);
        if limit < self.allowed_length {
            return;
        }
        repetitions(reversed, limit, lengths);
        longest.clear();
        // What stands before `place` in the reversed history is what came after it.
        for (place, &length) in lengths.iter().enumerate().skip(1) {
            if length >= self.allowed_length {
                longest.push((reversed[place - 1], length));
            }
        }
        longest.sort_unstable();
        for (index, &(id, length)) in longest.iter().enumerate() {
            let is_longest = longest.get(index + 1).is_none_or(|next| next.0 != id);
            if is_longest && !self.sequence_breakers.iter().any(|breaker| *breaker == [id]) {
                take(id, self.multiplier * self.power(length - self.allowed_length));
            }
        }
    }

    /// The base to a power that is held below what a number can be.
    fn power(&self, exponent: usize) -> f32 {
        const LN_OF_GREATEST: f64 = 88.722_839_1;
        let base = f64::from(self.base);
        let most = if base > 1.000_001 { (LN_OF_GREATEST / libm::log(base)) as usize } else { 0 };
        let exponent = if most > 0 { exponent.min(most) } else { exponent };
        libm::pow(base, exponent as f64) as f32
    }

    /// How long a repetition can be, for the last sequence breaker.
    fn limit(&self, reversed: &[u32]) -> usize {
        for (place, id) in reversed.iter().enumerate() {
            let matching = self.sequence_breakers.iter().filter_map(|breaker| {
                let (head, tail) = breaker.split_first()?;
                let is_there = head == id
                    && tail.len() <= place
                    && tail.iter().zip(reversed[..place].iter().rev()).all(|(one, other)| one == other);
                is_there.then_some(tail.len())
            });
            if let Some(tail) = matching.max() {
                return place - tail;
            }
        }
        reversed.len()
    }
}

/// Memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    reversed: Vec<u32>,
    lengths: Vec<usize>,
    longest: Vec<(u32, usize)>,
}

/// For each place how many ids from there on are those from the beginning on, at most `limit`: the Z algorithm.
fn repetitions(ids: &[u32], limit: usize, lengths: &mut Vec<usize>) {
    lengths.clear();
    lengths.resize(ids.len(), 0);
    // The place from which the match that ends last begins, and its end.
    let (mut begin, mut end) = (0, 0);
    for place in 1..ids.len() {
        let mut length = if place < end { lengths[place - begin].min(end - place) } else { 0 };
        while place + length < ids.len() && ids[length] == ids[place + length] {
            length += 1;
        }
        if place + length > end {
            (begin, end) = (place, place + length);
        }
        lengths[place] = length;
    }
    lengths.iter_mut().for_each(|length| *length = (*length).min(limit));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn penalties(dry: &Dry, history: &[u32]) -> Vec<(u32, f32)> {
        let mut all = Vec::new();
        dry.each_penalty(history, &mut Memory::default(), |id, penalty| all.push((id, penalty)));
        all
    }

    fn dry(allowed_length: usize, sequence_breakers: Vec<Vec<u32>>) -> Dry {
        Dry { multiplier: 0.5, base: 2.0, allowed_length, last_n: None, sequence_breakers }
    }

    #[test]
    fn what_goes_on_with_a_repetition_is_found() {
        // a b c c b c y a b c: "a b c" would go on with c, "c" with b, "b c" with y.
        let history = [1, 2, 3, 3, 2, 3, 9, 1, 2, 3];
        assert_eq!(penalties(&dry(1, vec![]), &history), [(2, 0.5), (3, 2.0), (9, 1.0)]);
        assert_eq!(penalties(&dry(3, vec![]), &history), [(3, 0.5)]);
        // Repetitions are not followed over 2: of length one at most.
        assert_eq!(penalties(&dry(1, vec![vec![2]]), &history), [(3, 0.5), (9, 0.5)]);
        // The breaker "1 2" ends two ids before the end.
        assert_eq!(penalties(&dry(1, vec![vec![1, 2]]), &history), [(2, 0.5), (3, 0.5), (9, 0.5)]);
        assert_eq!(penalties(&Dry { last_n: Some(4), ..dry(1, vec![]) }, &history), []);
    }

    #[test]
    fn long_repetitions_stay_finite() {
        let history = vec![5; 4000];
        let found = penalties(&dry(2, vec![]), &history);
        assert!(matches!(found[..], [(5, penalty)] if penalty.is_finite() && penalty > 1e30));
    }

    proptest! {
        #[test]
        fn repetitions_are_those_found_by_comparing(ids in proptest::collection::vec(0u32..3, 1..200), limit in 0usize..50) {
            let mut lengths = Vec::new();
            repetitions(&ids, limit, &mut lengths);
            for (place, &length) in lengths.iter().enumerate().skip(1) {
                let expected = ids[place..].iter().zip(&ids).take_while(|(one, other)| one == other).count();
                prop_assert_eq!(length, expected.min(limit));
            }
        }
    }
}
