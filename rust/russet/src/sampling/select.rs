//! Finding limits: the k-th greatest of many, and the greatest that together have a mass.
//!
//! [`kth_greatest`] keeps a buffer of twice k and throws half of it away when it is full, so most values cost one comparison:
//! O(n + k log(n / k)) on what comes in no special order, O(n) at worst; [`about_kth_greatest`] looks at the greatest of groups only,
//! where a lower limit does as well. [`Cut`] is found by sorting where there are few, and by
//! partitions, each of which looks at the half that is left, where there are many: O(n) on average.
//!
//! Sorting all is simpler, and as fast up to some hundred values.

use super::kernels::Candidate;

/// Above this many, a cut is looked for by partitions before what is left is sorted.
const SORTED: usize = if cfg!(test) { 32 } else { 1024 };

/// The bits of a number without NaN, so that greater numbers have greater bits; both zeros have the same.
#[inline]
pub(crate) fn key(value: f32) -> u32 {
    let bits = (value + 0.0).to_bits();
    bits ^ ((bits as i32 >> 31) as u32 | 0x8000_0000)
}

/// The number of a key.
pub(crate) fn of_key(key: u32) -> f32 {
    f32::from_bits(if key & 0x8000_0000 != 0 { key ^ 0x8000_0000 } else { !key })
}

/// The least number from `from` to `to` for which `holds`; it holds for `to`, and for all above one for which it holds.
pub(crate) fn least_that(from: f32, to: f32, holds: impl Fn(f32) -> bool) -> f32 {
    let (mut low, mut high) = (key(from), key(to));
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(of_key(middle)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    of_key(high)
}

/// The k-th greatest of the values, the first is the greatest; minus infinity if there are fewer. `buffer` is for its memory.
pub(crate) fn kth_greatest(values: impl Iterator<Item = f32>, k: usize, buffer: &mut Vec<f32>) -> f32 {
    buffer.clear();
    let capacity = k.saturating_mul(2).max(64);
    let mut limit = f32::NEG_INFINITY;
    for value in values {
        if value > limit {
            buffer.push(value);
            if buffer.len() == capacity {
                limit = keep_greatest(buffer, k);
            }
        }
    }
    if buffer.len() < k {
        return limit.min(f32::NEG_INFINITY);
    }
    keep_greatest(buffer, k)
}

/// A limit from which on there are at least k of the values: the k-th greatest, or little less if they are many.
pub(crate) fn about_kth_greatest(values: &[f32], k: usize, buffer: &mut Vec<f32>) -> f32 {
    // The greatest of each of some groups are values too, and few others are as great.
    let groups = (4 * k).next_multiple_of(64);
    if values.len() < 2 * groups {
        return kth_greatest(values.iter().copied(), k, buffer);
    }
    let (first, rest) = values.split_at(groups);
    buffer.clear();
    buffer.extend_from_slice(first);
    for some in rest.chunks(groups) {
        for (greatest, &value) in buffer.iter_mut().zip(some) {
            *greatest = if value > *greatest { value } else { *greatest };
        }
    }
    keep_greatest(buffer, k)
}

/// Leaves the k greatest, and gives the least of them.
fn keep_greatest(buffer: &mut Vec<f32>, k: usize) -> f32 {
    let (_, kth, _) = buffer.select_nth_unstable_by(k - 1, |one, other| other.total_cmp(one));
    let kth = *kth;
    buffer.truncate(k);
    kth
}

/// Sorts by logit, the greatest first, and equal ones by id.
pub(crate) fn sort_by_logit(candidates: &mut [Candidate]) {
    candidates.sort_unstable_by_key(|one| u64::from(!key(one.logit)) << 32 | u64::from(one.id));
}

/// Where the greatest candidates have a mass together: those above `logit` and, of those that are equal to it, those up to the id
/// `last`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cut {
    pub(crate) logit: f32,
    pub(crate) last: u32,
}

impl Cut {
    pub(crate) fn keeps(&self, candidate: &Candidate) -> bool {
        candidate.logit > self.logit || candidate.logit == self.logit && candidate.id <= self.last
    }
}

/// The cut at the first candidate, in the order of [`sort_by_logit`], with which the sum of the weights and `mass` reaches
/// `target`; none if all do not. Changes the order of the candidates.
pub(crate) fn cut_by_mass(
    mut candidates: &mut [Candidate],
    mut mass: f64,
    target: f64,
    weight: impl Fn(&Candidate) -> f64,
) -> Option<Cut> {
    while candidates.len() > SORTED {
        let pivot = middle(candidates);
        let mut above = 0;
        let mut mass_above = mass;
        for index in 0..candidates.len() {
            if candidates[index].logit > pivot {
                mass_above += weight(&candidates[index]);
                candidates.swap(above, index);
                above += 1;
            }
        }
        if mass_above >= target {
            candidates = &mut candidates[..above];
            continue;
        }
        let rest = &mut candidates[above..];
        let mut equal = 0;
        for index in 0..rest.len() {
            if rest[index].logit == pivot {
                rest.swap(equal, index);
                equal += 1;
            }
        }
        let mass_with_equal = rest[..equal].iter().fold(mass_above, |sum, one| sum + weight(one));
        if mass_with_equal >= target {
            // As many equal ones as it takes, by their ids. Equal logits weigh the same.
            let needed = ((target - mass_above) / weight(&rest[0])).ceil().clamp(1.0, equal as f64) as usize;
            let (_, last, _) = rest[..equal].select_nth_unstable_by_key(needed - 1, |one| one.id);
            return Some(Cut { logit: pivot, last: last.id });
        }
        mass = mass_with_equal;
        candidates = &mut rest[equal..];
    }
    sort_by_logit(candidates);
    for candidate in candidates {
        mass += weight(candidate);
        if mass >= target {
            return Some(Cut { logit: candidate.logit, last: candidate.id });
        }
    }
    None
}

/// The index at which the weights, added up, pass a target; if rounding made it their sum, that of the last that weighs something.
pub(crate) fn passing(weights: impl Iterator<Item = f64>, target: f64) -> Option<usize> {
    let mut sum = 0.0;
    let mut last = None;
    for (index, weight) in weights.enumerate() {
        sum += weight;
        if weight > 0.0 {
            last = Some(index);
            if sum > target {
                break;
            }
        }
    }
    last
}

/// A logit that lies about in the middle: the median of 15.
fn middle(candidates: &[Candidate]) -> f32 {
    let mut sample: [f32; 15] = std::array::from_fn(|index| candidates[(candidates.len() - 1) * index / 14].logit);
    sample.sort_unstable_by(f32::total_cmp);
    sample[7]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn logits() -> impl Strategy<Value = Vec<f32>> {
        prop_oneof![
            proptest::collection::vec(-20.0f32..20.0, 1..3000),
            proptest::collection::vec((-3i8..3).prop_map(f32::from), 1..3000),
            proptest::collection::vec(Just(1.5f32), 1..3000),
        ]
    }

    proptest! {
        #[test]
        fn the_kth_greatest_is_that_of_a_sorted_list(values in logits(), k in 1usize..400) {
            let mut sorted = values.clone();
            sorted.sort_unstable_by(|one, other| other.total_cmp(one));
            let expected = sorted.get(k - 1).copied().unwrap_or(f32::NEG_INFINITY);
            prop_assert_eq!(kth_greatest(values.into_iter(), k, &mut Vec::new()), expected);
        }

        #[test]
        fn a_limit_has_enough_above_it(values in logits(), k in 1usize..400) {
            let limit = about_kth_greatest(&values, k, &mut Vec::new());
            let count = values.iter().filter(|value| **value >= limit).count();
            prop_assert!(count >= k.min(values.len()));
        }

        #[test]
        fn a_cut_is_where_a_sorted_list_reaches_the_mass(values in logits(), share in 0.0f64..1.1) {
            // Weights whose sums are exact, so that the order of adding does not matter.
            let weight = |logit: f32| f64::from((logit + 21.0).floor());
            let mut candidates: Vec<_> =
                values.iter().enumerate().map(|(id, &logit)| Candidate { id: id as u32, logit }).collect();
            let total: f64 = values.iter().map(|&logit| weight(logit)).sum();
            let mut sorted = candidates.clone();
            sort_by_logit(&mut sorted);
            let target = (total * share).ceil().max(1.0);
            let mut sum = 0.0;
            let expected = sorted.iter().find(|one| { sum += weight(one.logit); sum >= target });
            let cut = cut_by_mass(&mut candidates, 0.0, target, |one| weight(one.logit));
            prop_assert_eq!(cut, expected.map(|one| Cut { logit: one.logit, last: one.id }));
        }

        #[test]
        fn keys_have_the_order_of_numbers(one in any::<f32>(), other in any::<f32>()) {
            prop_assume!(!one.is_nan() && !other.is_nan());
            prop_assert_eq!(key(one).cmp(&key(other)), one.partial_cmp(&other).unwrap());
            prop_assert_eq!(of_key(key(one)), one);
        }
    }

    #[test]
    fn there_is_no_kth_of_fewer() {
        for k in [4, usize::MAX / 2 + 2, usize::MAX] {
            assert_eq!(kth_greatest([1.0, 3.0, 2.0].into_iter(), k, &mut Vec::new()), f32::NEG_INFINITY);
        }
    }

    #[test]
    fn the_least_that_holds_is_found() {
        for limit in [-3.5f32, 0.0, 1e-40, 7.25] {
            assert_eq!(least_that(-1e30, 1e30, |value| value >= limit), limit);
        }
    }
}
