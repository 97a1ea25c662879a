//! Parameters, logits, a history and a mask, all from the bytes at hand.

use crate::allowed;
use russet::sampling::{
    Brain, Dry, Filter, Half, Input, Logits, Mirostat, OnInvalid, Order, Parameters, Sampler, Scratch, SequenceBias,
};

/// What numbers of filters and penalties are: all that their ranges end with, what lies between and what does not.
const NUMBERS: [f64; 16] =
    [0.0, 1.0, 0.5, 0.9, 0.95, 0.05, 1e-6, 1.0 - 1e-12, 0.1, 2.0, 1e-12, 1e12, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE];
const LOGITS: [f32; 16] = [
    0.0,
    -0.0,
    1.0,
    1.0,
    -1.0,
    20.0,
    -20.0,
    1e-40,
    -1e-40,
    f32::MAX,
    f32::MIN,
    f32::NEG_INFINITY,
    f32::NEG_INFINITY,
    0.1,
    0.2,
    f32::INFINITY,
];
const MOST_LOGITS: usize = 20_000;
const ROUNDING: f64 = 1e-9;

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// None for three bytes of four.
    fn optional<T>(&mut self, make: impl FnOnce(u8) -> T) -> Option<T> {
        let byte = self.byte();
        (byte & 3 == 3).then(|| make(byte >> 2))
    }

    fn number(&mut self) -> Option<f64> {
        self.optional(|byte| if byte < 48 { f64::from(byte) / 48.0 } else { NUMBERS[usize::from(byte - 48)] })
    }

    fn count(&mut self) -> Option<usize> {
        self.optional(|byte| if byte == 63 { usize::MAX } else { usize::from(byte) * usize::from(byte) / 8 })
    }

    fn ids(&mut self, most: u8) -> Vec<u32> {
        let count = self.byte() % (most + 1);
        (0..count).map(|_| if self.byte() == 255 { u32::MAX } else { u32::from(self.byte()) }).collect()
    }
}

fn parameters(bytes: &mut Bytes<'_>) -> Parameters {
    let flags = bytes.byte();
    Parameters {
        temperature: bytes.number(),
        top_k: bytes.count(),
        top_p: bytes.number(),
        min_p: bytes.number(),
        typical_p: bytes.number(),
        epsilon_cutoff: bytes.number(),
        eta_cutoff: bytes.number(),
        top_h: bytes.number(),
        top_n_sigma: bytes.number(),
        xtc_probability: bytes.number(),
        xtc_threshold: bytes.number(),
        xtc_special_tokens: bytes.ids(2),
        mirostat: bytes.optional(|byte| Mirostat { version: byte % 4, tau: f64::from(byte) / 8.0, eta: 0.1 }),
        min_tokens_to_keep: bytes.count(),
        seed: u64::from(bytes.byte()),
        order: match flags % 4 {
            0 => Order::Transformers,
            1 => Order::MlxLm,
            2 => Order::LlamaCpp,
            _ => Order::Custom(vec![Filter::TopP, Filter::Temperature, Filter::TopK, Filter::Xtc, Filter::MinP]),
        },
        on_invalid: if flags & 4 != 0 { OnInvalid::Mask } else { OnInvalid::Error },
        remove_invalid_values: flags & 8 != 0,
        guidance_scale: bytes.number(),
        sequence_bias: bytes
            .optional(|byte| vec![SequenceBias { ids: vec![1, 2], bias: f32::from(byte) - 30.0 }])
            .unwrap_or_default(),
        logit_bias: bytes.optional(|byte| vec![(u32::from(byte), LOGITS[usize::from(byte) % 16])]).unwrap_or_default(),
        repetition_penalty: bytes.number(),
        presence_penalty: bytes.number(),
        frequency_penalty: bytes.number(),
        penalty_last_n: bytes.count(),
        dry: bytes.optional(|byte| Dry {
            multiplier: f32::from(byte) / 16.0,
            base: 1.75,
            allowed_length: usize::from(byte % 4),
            last_n: None,
            sequence_breakers: vec![vec![3]],
        }),
        no_repeat_ngram_size: bytes.count(),
        bad_words_ids: bytes.optional(|byte| vec![vec![u32::from(byte)], vec![1, u32::from(byte)]]).unwrap_or_default(),
        eos_token_id: bytes.ids(2),
        prompt_length: usize::from(flags >> 4),
        min_length: bytes.count(),
        min_new_tokens: bytes.count(),
        max_length: bytes.count(),
        forced_bos_token_id: bytes.optional(u32::from),
        forced_eos_token_id: bytes.ids(1),
        exponential_decay_length_penalty: bytes.optional(|byte| (usize::from(byte % 8), 1.0 + f64::from(byte) / 32.0)),
        suppress_tokens: bytes.ids(3),
        begin_suppress_tokens: bytes.ids(3),
        ..Parameters::default()
    }
}

/// Whatever is asked for and given: a typed error; or a token that is among those kept, whose probabilities sum to one, the same
/// from every function.
pub fn sampling(data: &[u8]) {
    let mut bytes = Bytes(data);
    let parameters = parameters(&mut bytes);
    let Some(sampler) = allowed(Sampler::new(parameters)) else { return };
    let history = bytes.ids(40);
    let shape = bytes.byte();
    let mask: Option<Vec<u64>> = bytes.optional(|byte| vec![!0 << (byte % 64), 0x5555_5555_5555_5555 << (byte % 3), !0]);
    // Rows of few bytes are made longer by repetition: what is done with long ones differs.
    let repeat = |count: usize| if shape & 4 != 0 { MOST_LOGITS / count.max(1) } else { 1 };
    let (pairs, _) = bytes.0.as_chunks::<2>();
    let repeat_pairs = pairs.repeat(repeat(pairs.len()));
    let (mut wide, mut halves, mut brains) = (Vec::new(), Vec::new(), Vec::new());
    let logits = match shape & 3 {
        0 => {
            let (fours, _) = bytes.0.as_chunks::<4>();
            wide.extend(fours.repeat(repeat(fours.len())).into_iter().map(f32::from_le_bytes));
            Logits::F32(&wide)
        }
        1 => {
            halves.extend(repeat_pairs.into_iter().map(|pair| Half(u16::from_le_bytes(pair))));
            Logits::F16(&halves)
        }
        2 => {
            brains.extend(repeat_pairs.into_iter().map(|pair| Brain(u16::from_le_bytes(pair))));
            Logits::Bf16(&brains)
        }
        _ => {
            wide.extend(bytes.0.repeat(repeat(bytes.0.len())).into_iter().map(|byte| LOGITS[usize::from(byte) % 16]));
            Logits::F32(&wide)
        }
    };
    if logits.is_empty() {
        return;
    }
    let input =
        Input { logits, history: &history, row: 0, mask: mask.as_deref(), unconditional: (shape & 8 != 0).then_some(logits) };
    let mut scratch = Scratch::default();
    let mut processed = Vec::new();
    if allowed(sampler.process(&input, &mut scratch, None, &mut processed)).is_some() {
        assert_eq!(processed.len(), logits.len());
    }
    let start = sampler.start();
    let mut kept = Vec::new();
    if allowed(sampler.kept(&input, &start, &mut scratch, None, &mut kept)).is_none() {
        assert!(sampler.sample(&input, &mut start.clone(), &mut scratch, None).is_err());
        return;
    }
    assert!(kept.is_sorted() && !kept.is_empty() && (*kept.last().unwrap() as usize) < logits.len());
    let (mut ids, mut probabilities) = (Vec::new(), Vec::new());
    sampler
        .probabilities(&input, &start, &mut scratch, None, |id, probability| {
            ids.push(id);
            probabilities.push(probability);
        })
        .unwrap();
    assert_eq!(ids, kept);
    let sum: f64 = probabilities.iter().sum();
    assert!((sum - 1.0).abs() <= ROUNDING, "a sum of {sum}");
    let probability_of = |id: u32| probabilities[kept.binary_search(&id).expect("a token that is kept")];
    let mut state = start;
    let token = sampler.sample(&input, &mut state, &mut scratch, None).unwrap();
    assert!(probability_of(token) > 0.0 && state.step == start.step + 1);
    let choice = sampler.choose(&input, 3, &mut start.clone(), &mut scratch, None).unwrap();
    assert_eq!((choice.id, choice.kept), (token, kept.len()));
    assert!((choice.logprob.exp() - probability_of(token)).abs() <= ROUNDING && choice.entropy >= -ROUNDING);
    for uniform in [0.0, 0.5, 1.0 - f64::EPSILON / 2.0] {
        let token = sampler.sample_with_uniform(&input, uniform, &mut start.clone(), &mut scratch, None).unwrap();
        assert!(probability_of(token) > 0.0);
    }
}
