//! Speculative decoding: which of the tokens that a small model drafted a large one accepts (Leviathan et al. 2023, Chen et al. 2023).
//!
//! A drafted token is accepted with probability `min(1, target / draft)`; at the first one that is not, the token comes from what
//! the target has over the draft, `max(target - draft, 0)`; if all are accepted, one more comes from the target. What comes out has
//! the target's distribution, whatever the draft was.
//!
//! O(1) for an accepted token, O(V) for the last one.

use super::rng::{uniform, Use};
use super::select::passing;
use crate::{Error, Result};

/// What became of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// How many drafted tokens are accepted, from the first on.
    pub accepted: usize,
    /// The token that follows them.
    pub next: u32,
}

/// Accepts a beginning of `ids` and draws the token after it. `draft` and `target` have a row of `vocabulary` probabilities for
/// each drafted token, `target` one more. Numbers come from (seed, step, step + 1 ...), row.
///
/// # Errors
/// [`Error::Argument`] if shapes do not go together, an id is not in the vocabulary, or the row that is needed has no mass.
pub fn accept(
    ids: &[u32],
    draft: &[f64],
    target: &[f64],
    vocabulary: usize,
    (seed, step, row): (u64, u64, u32),
) -> Result<Acceptance> {
    let refuse = |name, message| Err(Error::Argument { name, message });
    if vocabulary == 0 || draft.len() != ids.len() * vocabulary || target.len() != (ids.len() + 1) * vocabulary {
        let message = format!("{} and {} probabilities for {} ids of {vocabulary}", draft.len(), target.len(), ids.len());
        return refuse("draft_probs", message);
    }
    for (name, all) in [("draft_probs", draft), ("target_probs", target)] {
        if let Some(wrong) = all.iter().position(|value| !(*value >= 0.0 && value.is_finite())) {
            return refuse(name, format!("{} at ({}, {}) is no probability", all[wrong], wrong / vocabulary, wrong % vocabulary));
        }
    }
    let last = ids.len();
    for (index, &id) in ids.iter().enumerate() {
        if id as usize >= vocabulary {
            return refuse("draft_ids", format!("{id} at {index} is not among {vocabulary}"));
        }
        let (draft, target) = (&draft[index * vocabulary..][..vocabulary], &target[index * vocabulary..][..vocabulary]);
        let of_draft = draft[id as usize];
        if of_draft <= 0.0 {
            return refuse("draft_probs", format!("the draft at {index} cannot have given {id}, whose probability is 0"));
        }
        let chance = uniform(seed, step.wrapping_add(index as u64), row, Use::Acceptance);
        if chance * of_draft >= target[id as usize] {
            let rest = target.iter().zip(draft).map(|(target, draft)| (target - draft).max(0.0));
            // No mass is left over where the two are equal but for rounding: then what the target has is as good.
            let next = draw(rest, uniform(seed, step.wrapping_add(index as u64), row, Use::Token))
                .or_else(|| draw(target.iter().copied(), uniform(seed, step.wrapping_add(index as u64), row, Use::Token)));
            return next.map_or_else(
                || refuse("target_probs", format!("row {index} has no mass")),
                |next| Ok(Acceptance { accepted: index, next }),
            );
        }
    }
    let number = uniform(seed, step.wrapping_add(last as u64), row, Use::Token);
    match draw(target[last * vocabulary..].iter().copied(), number) {
        Some(next) => Ok(Acceptance { accepted: last, next }),
        None => refuse("target_probs", format!("row {last} has no mass")),
    }
}

/// The id at which the weights, added up, pass a share of their sum.
fn draw(weights: impl Iterator<Item = f64> + Clone, share: f64) -> Option<u32> {
    let target = share * weights.clone().sum::<f64>();
    passing(weights, target).map(|id| id as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_out_has_the_targets_distribution() {
        let draft = [0.6, 0.3, 0.1, 0.0];
        let target = [0.1, 0.4, 0.2, 0.3];
        let both: Vec<f64> = target.iter().chain(&target).copied().collect();
        let mut counts = [0u32; 4];
        let rounds = 200_000;
        for step in 0..rounds {
            // The draft draws with numbers of another seed.
            let id = draw(draft.iter().copied(), uniform(1, step, 0, Use::Token)).unwrap();
            let found = accept(&[id], &draft, &both, 4, (2, step, 0)).unwrap();
            counts[if found.accepted == 1 { id } else { found.next } as usize] += 1;
        }
        let statistic: f64 = counts
            .iter()
            .zip(target)
            .map(|(&count, share)| (f64::from(count) - share * rounds as f64).powi(2) / (share * rounds as f64))
            .sum();
        assert!(statistic < 30.0, "{statistic}: {counts:?}");
    }

    #[test]
    fn equal_distributions_accept_everything() {
        let row = [0.25; 4];
        let target: Vec<f64> = row.iter().cycle().take(12).copied().collect();
        for seed in 0..100 {
            assert_eq!(accept(&[1, 3], &target[..8], &target, 4, (seed, 0, 0)).unwrap().accepted, 2);
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let name = |result: Result<Acceptance>| match result {
            Err(Error::Argument { name, .. }) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(name(accept(&[0], &[1.0], &[1.0], 1, (0, 0, 0))), "draft_probs");
        assert_eq!(name(accept(&[4], &[0.5, 0.5], &[0.5; 4], 2, (0, 0, 0))), "draft_ids");
        assert_eq!(name(accept(&[1], &[1.0, 0.0], &[0.5; 4], 2, (0, 0, 0))), "draft_probs");
        assert_eq!(name(accept(&[], &[], &[0.0, 0.0], 2, (0, 0, 0))), "target_probs");
        assert_eq!(name(accept(&[], &[], &[f64::NAN, 0.0], 2, (0, 0, 0))), "target_probs");
    }
}
