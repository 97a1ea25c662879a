//! What changes logits before filters choose among them: one function for each processor, with the formula of its source.
//!
//! Processors work on a [`Row`], so those that concern some ids (penalties, biases, bans) copy the blocks of these alone. Guidance
//! and the removal of invalid values change every logit. The order in which they run is not decided here: see [`super`].
//!
//! O(history) for penalties and n-grams, O(sequences) for biases, O(V / 64) for masks, O(V) for the two above.

use super::dry::{Dry, Memory};
use super::row::{Logits, Row};

/// A sequence of ids, of which the last gets a bias when the history ends with those before it.
#[derive(Clone, Debug, PartialEq)]
pub struct SequenceBias {
    /// The ids, at least one.
    pub ids: Vec<u32>,
    /// What is added to the logit of the last.
    pub bias: f32,
}

/// Penalties on ids that the history has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Penalties {
    /// Positive logits are divided by it, others multiplied (Keskar et al. 2019, CTRL); 1: off.
    pub(crate) repetition: f32,
    /// Taken from the logit of each id; 0: off.
    pub(crate) presence: f32,
    /// Taken from the logit once for each time the id is there; 0: off.
    pub(crate) frequency: f32,
    /// So many ids of the history's end count; all without a number.
    pub(crate) last_n: Option<usize>,
}

/// Memory that is used again by later rows.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// A bit for each id, set if it was met in the history. Zero between calls.
    met: Vec<u64>,
    /// How often each id is in the history. Zero between calls.
    counts: Vec<u32>,
    distinct: Vec<u32>,
    sums: Vec<(u32, f32)>,
    dry: Memory,
    other: Vec<f32>,
}

impl Penalties {
    pub(crate) fn apply(&self, row: &mut Row<'_>, history: &[u32], tables: &mut Tables) {
        let history = &history[history.len() - history.len().min(self.last_n.unwrap_or(usize::MAX))..];
        let Tables { met, counts, distinct, .. } = tables;
        // Bits are few enough to stay near; counts are for what needs them.
        let counted = self.frequency != 0.0;
        if counted && counts.len() < row.len() {
            counts.resize(row.len(), 0);
        }
        if met.len() < row.blocks() {
            met.resize(row.blocks(), 0);
        }
        distinct.clear();
        // Ids that the row does not have cannot be chosen either.
        for &id in history.iter().filter(|&&id| (id as usize) < row.len()) {
            let (word, bit) = (&mut met[id as usize / 64], 1 << (id % 64));
            if *word & bit == 0 {
                *word |= bit;
                distinct.push(id);
            }
            if counted {
                counts[id as usize] += 1;
            }
        }
        for &id in distinct.iter() {
            met[id as usize / 64] = 0;
            let count = if counted { std::mem::take(&mut counts[id as usize]) } else { 0 };
            row.update(id as usize, |logit| {
                let logit = if logit < 0.0 { logit * self.repetition } else { logit / self.repetition };
                logit - (count as f32 * self.frequency + self.presence)
            });
        }
    }
}

/// Adds to the logits of ids that would end a sequence. Biases of one id are added up first: those of single ids, then by length.
pub(crate) fn sequence_bias(biases: &[SequenceBias], row: &mut Row<'_>, history: &[u32], tables: &mut Tables) {
    let sums = &mut tables.sums;
    sums.clear();
    for SequenceBias { ids, bias } in biases {
        if let Some((&last, before)) = ids.split_last() {
            if history.ends_with(before) {
                sums.push((last, *bias));
            }
        }
    }
    sums.sort_by_key(|(id, _)| *id);
    for of_id in sums.chunk_by(|(one, _), (other, _)| one == other) {
        let sum: f32 = of_id.iter().map(|(_, bias)| bias).sum();
        row.update(of_id[0].0 as usize, |logit| logit + sum);
    }
}

/// Takes out the ids that would repeat `size` ids of the history in a row.
pub(crate) fn no_repeat_ngram(size: usize, row: &mut Row<'_>, history: &[u32]) {
    if history.len() < size {
        return;
    }
    let end = &history[history.len() + 1 - size..];
    for window in history.windows(size) {
        if let Some((&last, before)) = window.split_last() {
            if before == end {
                row.exclude(last as usize);
            }
        }
    }
}

/// Takes ids out.
pub(crate) fn suppress(ids: &[u32], row: &mut Row<'_>) {
    ids.iter().for_each(|&id| row.exclude(id as usize));
}

/// Leaves some ids alone, each with a logit of zero.
pub(crate) fn force(ids: &[u32], row: &mut Row<'_>) {
    row.keep_only(ids.iter().map(|&id| (id as usize, 0.0)));
}

/// Leaves the allowed ids with their logits; if each of these is minus infinity, with logits of zero.
pub(crate) fn allow(ids: &[u32], row: &mut Row<'_>) {
    let kept: Vec<(usize, f32)> =
        ids.iter().map(|&id| id as usize).filter(|&id| id < row.len()).map(|id| (id, row.get(id))).collect();
    let satisfiable = kept.iter().any(|(_, logit)| *logit != f32::NEG_INFINITY);
    row.keep_only(kept.into_iter().map(|(id, logit)| (id, if satisfiable { logit } else { 0.0 })));
}

/// Makes the end more likely with each id past `start`: by `|logit| * (factor ^ ids - 1)`.
pub(crate) fn exponential_decay(eos: &[u32], factor: f64, past: usize, row: &mut Row<'_>) {
    let growth = (libm::pow(factor, past as f64) - 1.0) as f32;
    for &id in eos {
        row.update(id as usize, |logit| if logit.is_finite() { logit + logit.abs() * growth } else { logit });
    }
}

/// NaN becomes zero, infinities the greatest and the least number.
pub(crate) fn remove_invalid(row: &mut Row<'_>) {
    row.each_block_mut(|_, logits| {
        for logit in logits {
            *logit = if logit.is_nan() { 0.0 } else { logit.clamp(f32::MIN, f32::MAX) };
        }
    });
}

/// Whether no probability can be made of a logit: NaN and plus infinity.
pub(crate) fn is_invalid(logit: f32) -> bool {
    logit.is_nan() || logit == f32::INFINITY
}

/// NaN and plus infinity are taken out.
pub(crate) fn mask_invalid(row: &mut Row<'_>) {
    row.each_block_mut(|_, logits| {
        for logit in logits.iter_mut().filter(|logit| is_invalid(**logit)) {
            *logit = f32::NEG_INFINITY;
        }
    });
}

/// Classifier-free guidance: `scale * (scores - unconditional) + unconditional` of log-probabilities.
pub(crate) fn guidance(scale: f32, unconditional: Logits<'_>, row: &mut Row<'_>, tables: &mut Tables) {
    let other = &mut tables.other;
    other.clear();
    row.append_to(other);
    let own = Normalizer::of(other);
    let length = other.len();
    other.clear();
    other.extend((0..length).map(|id| unconditional.get(id).unwrap_or(f32::NEG_INFINITY)));
    let others = Normalizer::of(other);
    row.each_block_mut(|begin, logits| {
        for (logit, other) in logits.iter_mut().zip(&tables.other[begin..]) {
            let (score, unconditional) = (own.log_probability(*logit), others.log_probability(*other));
            *logit = scale * (score - unconditional) + unconditional;
        }
    });
}

/// Turns logits into log-probabilities.
pub(crate) fn normalize(row: &mut Row<'_>, tables: &mut Tables) {
    tables.other.clear();
    row.append_to(&mut tables.other);
    let normalizer = Normalizer::of(&tables.other);
    row.each_block_mut(|_, logits| logits.iter_mut().for_each(|logit| *logit = normalizer.log_probability(*logit)));
}

/// What turns logits into log-probabilities.
#[derive(Clone, Copy)]
struct Normalizer {
    max: f32,
    /// Of the sum of the exponentials of what logits lie below the greatest.
    ln_sum: f32,
}

impl Normalizer {
    fn of(logits: &[f32]) -> Self {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|logit| libm::exp(f64::from(*logit) - f64::from(max))).sum();
        Self { max, ln_sum: libm::log(sum) as f32 }
    }

    /// In this order: beside a great logit the logarithm of the sum would be rounded away.
    fn log_probability(self, logit: f32) -> f32 {
        logit - self.max - self.ln_sum
    }
}

/// Takes from the logits of ids that would go on with a repetition.
pub(crate) fn dry(dry: &Dry, row: &mut Row<'_>, history: &[u32], tables: &mut Tables) {
    dry.each_penalty(history, &mut tables.dry, |id, penalty| row.update(id as usize, |logit| logit - penalty));
}

#[cfg(test)]
mod tests {
    use super::super::row::Overlay;
    use super::*;
    use crate::simd::Level;
    use proptest::prelude::*;

    const OUT: f32 = f32::NEG_INFINITY;

    /// What `change` makes of some logits.
    fn changed(logits: &[f32], change: impl FnOnce(&mut Row<'_>, &mut Tables)) -> Vec<f32> {
        let (mut overlay, mut out) = (Overlay::default(), Vec::new());
        let mut row = Row::new(Logits::F32(logits), &mut overlay, Level::all()[0]);
        change(&mut row, &mut Tables::default());
        row.append_to(&mut out);
        out
    }

    fn bias(ids: &[u32], bias: f32) -> SequenceBias {
        SequenceBias { ids: ids.to_vec(), bias }
    }

    #[test]
    fn sequences_get_their_bias_where_the_history_ends_with_their_beginning() {
        let biases = [bias(&[2], 1.0), bias(&[7, 8, 2], 0.5), bias(&[8, 0], 4.0), bias(&[9, 1], OUT), bias(&[6, 7, 8, 1], 9.0)];
        let logits = [0.0, 1.0, 2.0];
        assert_eq!(changed(&logits, |row, tables| sequence_bias(&biases, row, &[7, 8], tables)), [4.0, 1.0, 3.5]);
        assert_eq!(changed(&logits, |row, tables| sequence_bias(&biases, row, &[9], tables)), [0.0, OUT, 3.0]);
        assert_eq!(changed(&logits, |row, tables| sequence_bias(&biases, row, &[], tables)), [0.0, 1.0, 3.0]);
    }

    #[test]
    fn ids_that_repeat_a_sequence_are_taken_out() {
        let logits = [0.0; 5];
        assert_eq!(changed(&logits, |row, _| no_repeat_ngram(2, row, &[1, 2, 1, 3, 1])), [0.0, 0.0, OUT, OUT, 0.0]);
        assert_eq!(changed(&logits, |row, _| no_repeat_ngram(1, row, &[4, 4, 9])), [0.0, 0.0, 0.0, 0.0, OUT]);
        assert_eq!(changed(&logits, |row, _| no_repeat_ngram(3, row, &[1, 2])), logits);
    }

    #[test]
    fn some_ids_are_left_alone() {
        let logits = [1.0, 2.0, OUT];
        assert_eq!(changed(&logits, |row, _| allow(&[1, 2, 70], row)), [OUT, 2.0, OUT]);
        assert_eq!(changed(&logits, |row, _| allow(&[2], row)), [OUT, OUT, 0.0]);
        assert_eq!(changed(&logits, |row, _| force(&[0], row)), [0.0, OUT, OUT]);
        assert_eq!(changed(&logits, |row, _| suppress(&[0, 9], row)), [OUT, 2.0, OUT]);
    }

    #[test]
    fn the_end_grows_and_invalid_logits_go() {
        assert_eq!(changed(&[2.0, -2.0, OUT], |row, _| exponential_decay(&[0, 1, 2], 2.0, 2, row)), [8.0, 4.0, OUT]);
        let logits = [f32::NAN, f32::INFINITY, OUT, 1.0];
        assert_eq!(changed(&logits, |row, _| remove_invalid(row)), [0.0, f32::MAX, f32::MIN, 1.0]);
        assert_eq!(changed(&logits, |row, _| mask_invalid(row)), [OUT, OUT, OUT, 1.0]);
    }

    #[test]
    fn guidance_weighs_what_the_prompt_adds() {
        let (logits, unconditional) = ([1.0, 2.0, 0.5], [2.0, 2.0, 1.0]);
        let log_softmax = |logits: [f32; 3]| {
            let sum: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
            logits.map(|logit| (f64::from(logit) - sum.ln()) as f32)
        };
        let (with, without) = (log_softmax(logits), log_softmax(unconditional));
        let found = changed(&logits, |row, tables| guidance(1.5, Logits::F32(&unconditional), row, tables));
        for ((found, with), without) in found.into_iter().zip(with).zip(without) {
            assert!((found - (1.5 * with - 0.5 * without)).abs() < 1e-6);
        }
        for (found, expected) in changed(&logits, normalize).into_iter().zip(log_softmax(logits)) {
            assert!((found - expected).abs() < 1e-6);
        }
    }

    proptest! {
        #[test]
        fn penalties_are_those_of_counting(
            logits in proptest::collection::vec(-5.0f32..5.0, 1..200), history in proptest::collection::vec(0u32..220, 0..60),
            repetition in 0.5f32..2.0, presence in -1.0f32..1.0, frequency in prop_oneof![Just(0.0f32), -1.0f32..1.0],
            last_n in proptest::option::of(0usize..70),
        ) {
            let penalties = Penalties { repetition, presence, frequency, last_n };
            let counted = &history[history.len().saturating_sub(last_n.unwrap_or(usize::MAX))..];
            let mut expected = logits.clone();
            for (id, logit) in (0..).zip(&mut expected) {
                let count = counted.iter().filter(|one| **one == id).count();
                if count > 0 {
                    *logit = if *logit < 0.0 { *logit * repetition } else { *logit / repetition };
                    *logit -= count as f32 * frequency + presence;
                }
            }
            let mut tables = Tables::default();
            // Twice, as tables must be as before.
            for _ in 0..2 {
                prop_assert_eq!(&changed(&logits, |row, _| penalties.apply(row, &history, &mut tables)), &expected);
            }
        }
    }
}
