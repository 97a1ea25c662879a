//! The filters by sorting, in numbers of 64 bits, one after the other as their sources have them; and what must hold of the fast
//! ones beside them.

use super::parameters::{Filter, Order, Parameters};
use super::*;
use proptest::prelude::*;

/// Logits with their ids; what is taken out is gone.
type Row64 = Vec<(u32, f64)>;

fn probabilities(row: &Row64) -> Vec<f64> {
    let max = row.iter().fold(f64::NEG_INFINITY, |max, one| max.max(one.1));
    let sum: f64 = row.iter().map(|one| (one.1 - max).exp()).sum();
    row.iter().map(|one| (one.1 - max).exp() / sum).collect()
}

fn entropy(row: &Row64) -> f64 {
    -probabilities(row).iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>()
}

/// Sorted by what a key says, the greatest first, equal ones by id.
fn sorted(row: &Row64, key: impl Fn(&(u32, f64)) -> f64) -> Row64 {
    let mut sorted = row.clone();
    sorted.sort_by(|one, other| key(other).total_cmp(&key(one)).then(one.0.cmp(&other.0)));
    sorted
}

fn retain(row: &mut Row64, kept: &[(u32, f64)]) {
    row.retain(|one| kept.iter().any(|kept| kept.0 == one.0));
}

fn keep_from(row: &mut Row64, least: f64, keep: usize, ties: bool) {
    let order = sorted(row, |one| one.1);
    let kth = order[keep.min(order.len()) - 1].1;
    let first = &order[..keep.min(order.len())];
    row.retain(|one| one.1 >= least || ties && one.1 as f32 >= kth as f32 || first.iter().any(|kept| kept.0 == one.0));
}

/// Applies a filter. Says whether a sum is so near to its limit that rounding decides.
fn filter(filter: Filter, parameters: &Parameters, row: &mut Row64, chance: f64) -> bool {
    const NEAR: f64 = 1e-7;
    let mut ambiguous = false;
    let keep = parameters.min_tokens_to_keep.unwrap_or(1);
    let is_mlx = parameters.order == Order::MlxLm;
    let order = sorted(row, |one| one.1);
    let max = order[0].1;
    let of_order = probabilities(&order);
    let log_sum = max - of_order[0].ln();
    match filter {
        Filter::Temperature => {
            row.iter_mut().for_each(|one| one.1 /= f64::from(parameters.temperature.unwrap() as f32));
        }
        Filter::TopNSigma => {
            let mean = row.iter().map(|one| one.1).sum::<f64>() / row.len() as f64;
            let variance = row.iter().map(|one| (one.1 - mean).powi(2)).sum::<f64>() / row.len() as f64;
            keep_from(row, max - parameters.top_n_sigma.unwrap() * variance.sqrt(), 1, true);
        }
        Filter::TopH => {
            let first: Row64 = order[..order.len().min(100)].to_vec();
            let tau = entropy(&first) * parameters.top_h.unwrap();
            let mut sum = 0.0;
            let of_first = probabilities(&first);
            let within = of_first.iter().take_while(|p| {
                sum -= if **p > 0.0 { **p * p.ln() } else { 0.0 };
                ambiguous |= (sum - tau).abs() < NEAR;
                sum <= tau
            });
            let within = within.count();
            retain(row, &first[..within.max(1)]);
        }
        Filter::TopK => {
            let k = parameters.top_k.unwrap().max(keep).min(order.len());
            if is_mlx || parameters.order == Order::LlamaCpp {
                retain(row, &order[..k]);
            } else {
                row.retain(|one| one.1 as f32 >= order[k - 1].1 as f32);
            }
        }
        Filter::TopP => {
            let mut sum = 0.0;
            let needed = of_order.iter().take_while(|p| {
                let before = sum;
                sum += *p;
                ambiguous |= (sum - parameters.top_p.unwrap()).abs() < NEAR;
                before < parameters.top_p.unwrap()
            });
            let needed = needed.count();
            let needed = needed.max(keep).max(1).min(order.len());
            if is_mlx {
                row.retain(|one| one.1 >= order[needed - 1].1);
            } else {
                retain(row, &order[..needed]);
            }
        }
        Filter::MinP => keep_from(row, max + parameters.min_p.unwrap().ln(), keep, false),
        Filter::Typical => {
            let distance = |one: &(u32, f64)| -((log_sum - one.1 - entropy(&order)).abs() as f32) as f64;
            let near = sorted(row, distance);
            let sum_of = |one: &(u32, f64)| (one.1 - log_sum).exp();
            let mut sum = 0.0;
            let before = near.iter().take_while(|one| {
                sum += sum_of(one);
                ambiguous |= (sum - parameters.typical_p.unwrap()).abs() < NEAR;
                sum < parameters.typical_p.unwrap()
            });
            let last = before.count().min(near.len() - 1);
            let limit = distance(&near[last]);
            if parameters.order == Order::LlamaCpp {
                retain(row, &near[..near.len().min(keep.max(last + 1))]);
                return ambiguous;
            }
            let first = near[..keep.min(near.len())].to_vec();
            row.retain(|one| distance(one) >= limit || first.iter().any(|kept| kept.0 == one.0));
        }
        Filter::Epsilon => keep_from(row, log_sum + parameters.epsilon_cutoff.unwrap().ln(), keep, true),
        Filter::Eta => {
            let epsilon = parameters.eta_cutoff.unwrap();
            keep_from(row, log_sum + epsilon.min(epsilon.sqrt() * (-entropy(row)).exp()).ln(), keep, true);
        }
        Filter::Xtc => {
            if chance < parameters.xtc_probability.unwrap() {
                let threshold = parameters.xtc_threshold.unwrap_or(0.1);
                let top = of_order.iter().take_while(|p| if is_mlx { **p > threshold } else { **p >= threshold }).count();
                let taken: Vec<u32> = order[..top.max(1) - 1]
                    .iter()
                    .filter(|one| !is_mlx || one.1 > order[top - 1].1)
                    .map(|one| one.0)
                    .filter(|id| !parameters.xtc_special_tokens.contains(id))
                    .collect();
                if row.len() - (top.max(1) - 1) >= keep {
                    row.retain(|one| !taken.contains(&one.0));
                }
            }
        }
    }
    ambiguous
}

/// The ids that are kept, with their probabilities; none where rounding decides.
fn naive(parameters: &Parameters, logits: &[f32]) -> Option<(Vec<u32>, Vec<f64>)> {
    let mut row: Row64 = logits
        .iter()
        .enumerate()
        .filter(|one| *one.1 > f32::NEG_INFINITY)
        .map(|(id, logit)| (id as u32, f64::from(*logit)))
        .collect();
    let chance = rng::uniform(parameters.seed, 0, 0, Use::Xtc);
    for &one in parameters.order.filters() {
        if parameters.has(one) && filter(one, parameters, &mut row, chance) {
            return None;
        }
    }
    Some((row.iter().map(|one| one.0).collect(), probabilities(&row)))
}

fn row_of_logits() -> impl Strategy<Value = Vec<f32>> {
    let length = prop_oneof![1usize..40, 60usize..70, 100usize..700];
    length.prop_flat_map(|length| {
        prop_oneof![
            proptest::collection::vec(-9.0f32..9.0, length),
            // Many equal ones, and some that cannot be chosen.
            proptest::collection::vec(
                prop_oneof![9 => (-12i8..12).prop_map(|n| f32::from(n) / 4.0), 1 => Just(f32::NEG_INFINITY)],
                length
            ),
            proptest::collection::vec(prop_oneof![20 => -4.0f32..0.0, 1 => 5.0f32..12.0], length),
            Just(vec![0.75; length]),
        ]
    })
}

prop_compose! {
    fn chains()(
        temperature in proptest::option::of(0.2f64..3.0), top_k in proptest::option::of(1usize..120),
        top_p in proptest::option::of(0.0f64..1.0), min_p in proptest::option::of(0.001f64..1.0),
        typical_p in proptest::option::weighted(0.2, 0.05f64..0.99), epsilon_cutoff in proptest::option::weighted(0.2, 1e-4f64..0.3),
        eta_cutoff in proptest::option::weighted(0.2, 1e-4f64..0.3), top_h in proptest::option::weighted(0.2, 0.05f64..1.0),
        top_n_sigma in proptest::option::weighted(0.2, 0.1f64..4.0),
    )(
        xtc in proptest::option::weighted(0.2, 0.01f64..0.5), keep in proptest::option::weighted(0.3, 1usize..40),
        order in prop_oneof![Just(Order::Transformers), Just(Order::MlxLm), Just(Order::LlamaCpp)], only in 0usize..30,
        spared in proptest::collection::vec(0u32..50, 0..3),
        all in Just((temperature, top_k, top_p, min_p, typical_p, epsilon_cutoff, eta_cutoff, top_h, top_n_sigma)),
    ) -> Parameters {
        let (temperature, top_k, top_p, min_p, typical_p, epsilon_cutoff, eta_cutoff, top_h, top_n_sigma) = all;
        // A third of the chains has one filter, beside the temperature.
        fn only_at<T>(only: usize, place: usize, value: Option<T>) -> Option<T> {
            if only < 10 && only != place { None } else { value }
        }
        Parameters {
            temperature, top_k: only_at(only, 0, top_k), top_p: only_at(only, 1, top_p), min_p: only_at(only, 2, min_p),
            typical_p: only_at(only, 3, typical_p), epsilon_cutoff: only_at(only, 4, epsilon_cutoff),
            eta_cutoff: only_at(only, 5, eta_cutoff), top_h: only_at(only, 6, top_h), top_n_sigma: only_at(only, 7, top_n_sigma),
            xtc_probability: only_at(only, 8, xtc.map(|_| 1.0)), xtc_threshold: xtc, xtc_special_tokens: spared,
            min_tokens_to_keep: keep, order, ..Parameters::default()
        }
    }
}

fn input(logits: &[f32]) -> Input<'_> {
    Input { logits: Logits::F32(logits), history: &[], row: 0, mask: None, unconditional: None }
}

/// One sampler for each level of instructions.
fn at_all_levels(parameters: &Parameters) -> Vec<Sampler> {
    let sampler = Sampler::new(parameters.clone()).unwrap();
    Level::all().into_iter().map(|level| Sampler { level, ..sampler.clone() }).collect()
}

fn fast(sampler: &Sampler, logits: &[f32], scratch: &mut Scratch) -> (Vec<u32>, Vec<f64>) {
    let (mut ids, mut probabilities, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    let state = sampler.start();
    sampler
        .probabilities(&input(logits), &state, scratch, None, |id, probability| {
            ids.push(id);
            probabilities.push(probability);
        })
        .unwrap();
    sampler.kept(&input(logits), &state, scratch, None, &mut kept).unwrap();
    assert_eq!(ids, kept);
    (ids, probabilities)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn kept_ids_and_probabilities_are_those_of_sorting(logits in row_of_logits(), parameters in chains()) {
        prop_assume!(logits.iter().any(|logit| logit.is_finite()));
        let Some((expected, expected_probabilities)) = naive(&parameters, &logits) else { return Ok(()) };
        let mut scratch = Scratch::default();
        for sampler in at_all_levels(&parameters) {
            let (ids, probabilities) = fast(&sampler, &logits, &mut scratch);
            prop_assert_eq!(&ids, &expected, "{:?}", sampler.level);
            for (one, other) in probabilities.iter().zip(&expected_probabilities) {
                prop_assert!((one - other).abs() <= 2e-6 * other.max(1e-9), "{one} {other}");
            }
            prop_assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn a_draw_is_where_the_probabilities_pass_the_number(logits in row_of_logits(), parameters in chains(), numbers in proptest::collection::vec(0.0f64..1.0, 8)) {
        prop_assume!(logits.iter().any(|logit| logit.is_finite()));
        let mut scratch = Scratch::default();
        let mut tokens: Option<Vec<u32>> = None;
        for sampler in at_all_levels(&parameters) {
            let (ids, probabilities) = fast(&sampler, &logits, &mut scratch);
            let mut drawn = Vec::new();
            for &number in numbers.iter().chain(&[0.0, 1.0 - f64::EPSILON / 2.0]) {
                let mut state = sampler.start();
                let token = sampler.sample_with_uniform(&input(&logits), number, &mut state, &mut scratch, None).unwrap();
                let place = ids.binary_search(&token).expect("a token that is kept");
                let before: f64 = probabilities[..place].iter().sum();
                prop_assert!(before <= number + 1e-9 && number <= before + probabilities[place] + 1e-9);
                prop_assert!(probabilities[place] > 0.0);
                drawn.push(token);
            }
            // The same at every level.
            prop_assert_eq!(tokens.get_or_insert_with(|| drawn.clone()), &drawn);
        }
    }

    #[test]
    fn halves_and_brains_are_as_their_numbers(bits in proptest::collection::vec(any::<u16>(), 1..300), parameters in chains()) {
        let halves: Vec<Half> = bits.iter().map(|bits| Half(*bits)).collect();
        let brains: Vec<Brain> = bits.iter().map(|bits| Brain(*bits)).collect();
        let wide = |values: Vec<f32>| values;
        use crate::lanes::Element;
        let of_halves = wide(halves.iter().map(|half| half.value()).collect());
        let of_brains = wide(brains.iter().map(|brain| brain.value()).collect());
        let mut scratch = Scratch::default();
        for sampler in at_all_levels(&parameters) {
            for (narrow, wide) in [(Logits::F16(&halves), &of_halves), (Logits::Bf16(&brains), &of_brains)] {
                let narrow = Input { logits: narrow, ..input(wide) };
                let mut state = sampler.start();
                let one = sampler.sample(&narrow, &mut state, &mut scratch, None).map_err(|error| error.to_string());
                let mut state = sampler.start();
                let other = sampler.sample(&input(wide), &mut state, &mut scratch, None).map_err(|error| error.to_string());
                prop_assert_eq!(one, other);
            }
        }
    }
}
