//! What a sampler does: the parameters under the names of `GenerationConfig`, and the order in which they act.
//!
//! [`Parameters`] is plain; what is off is `None` or empty. [`Parameters::check`] refuses values outside of their ranges, each with
//! the name of the parameter. The orders of the presets stand here and nowhere else.

use super::dry::Dry;
use super::logits_processors::SequenceBias;
use crate::{Error, Result};

/// Everything that a [`Sampler`](super::Sampler) can do. The default is to draw from all logits as they are.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "each is described where it acts, and in the documentation of the Python class")]
pub struct Parameters {
    pub temperature: Option<f64>,
    pub top_k: Option<usize>,
    pub top_p: Option<f64>,
    pub min_p: Option<f64>,
    pub typical_p: Option<f64>,
    pub epsilon_cutoff: Option<f64>,
    pub eta_cutoff: Option<f64>,
    pub top_h: Option<f64>,
    pub top_n_sigma: Option<f64>,
    pub xtc_probability: Option<f64>,
    pub xtc_threshold: Option<f64>,
    pub xtc_special_tokens: Vec<u32>,
    pub mirostat: Option<Mirostat>,
    pub min_tokens_to_keep: Option<usize>,
    pub seed: u64,
    pub order: Order,
    pub on_invalid: OnInvalid,

    pub guidance_scale: Option<f64>,
    pub sequence_bias: Vec<SequenceBias>,
    pub logit_bias: Vec<(u32, f32)>,
    pub repetition_penalty: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub frequency_penalty: Option<f64>,
    pub penalty_last_n: Option<usize>,
    pub dry: Option<Dry>,
    pub no_repeat_ngram_size: Option<usize>,
    pub bad_words_ids: Vec<Vec<u32>>,
    pub eos_token_id: Vec<u32>,
    pub prompt_length: usize,
    pub min_length: Option<usize>,
    pub min_new_tokens: Option<usize>,
    pub max_length: Option<usize>,
    pub forced_bos_token_id: Option<u32>,
    pub forced_eos_token_id: Vec<u32>,
    pub remove_invalid_values: bool,
    pub exponential_decay_length_penalty: Option<(usize, f64)>,
    pub suppress_tokens: Vec<u32>,
    pub begin_suppress_tokens: Vec<u32>,
    /// Whether there is a function that gives the allowed ids: see [`Custom`](super::Custom).
    pub prefix_allowed_tokens: bool,
    /// The number of processors of the caller's own.
    pub custom_processors: usize,
    /// Whether [`process`](super::Sampler::process) ends with log-probabilities.
    pub renormalize_logits: bool,
}

/// Drawing with a feedback on the surprise (Basu et al. 2021).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mirostat {
    /// 1 or 2.
    pub version: u8,
    /// The surprise that is aimed at, in bits.
    pub tau: f64,
    /// How much of the error is corrected at a step.
    pub eta: f64,
}

/// What becomes of logits that are NaN or plus infinity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInvalid {
    /// [`Error::InvalidLogits`].
    #[default]
    Error,
    /// They are not chosen.
    Mask,
}

/// In which order filters act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Temperature first, then top-h, top-k, top-p, min-p, typical, epsilon, eta.
    #[default]
    Transformers,
    /// Top-p, min-p, XTC, top-k, temperature last. Top-p keeps equal logits.
    MlxLm,
    /// Top-n-sigma, top-k, typical, top-p, min-p, XTC, temperature last.
    LlamaCpp,
    /// These filters; none that is left out may be set.
    Custom(Vec<Filter>),
}

/// What can act on logits before the filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Processor {
    Guidance,
    SequenceBias,
    LogitBias,
    Penalties,
    Dry,
    NoRepeatNgram,
    BadWords,
    MinLength,
    MinNewTokens,
    PrefixAllowed,
    ForcedBos,
    ForcedEos,
    RemoveInvalid,
    ExponentialDecay,
    Suppress,
    BeginSuppress,
    Custom,
    Mask,
}

/// The order of processors: that of `transformers` 5, for whatever it has. Here mlx-lm and llama.cpp do not differ in what they have.
pub(crate) const PROCESSORS: [Processor; 18] = [
    Processor::Guidance,
    Processor::SequenceBias,
    Processor::LogitBias,
    Processor::Penalties,
    Processor::Dry,
    Processor::NoRepeatNgram,
    Processor::BadWords,
    Processor::MinLength,
    Processor::MinNewTokens,
    Processor::PrefixAllowed,
    Processor::ForcedBos,
    Processor::ForcedEos,
    Processor::RemoveInvalid,
    Processor::ExponentialDecay,
    Processor::Suppress,
    Processor::BeginSuppress,
    Processor::Custom,
    Processor::Mask,
];

/// What takes candidates away, or changes how they are weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the parameters")]
pub enum Filter {
    Temperature,
    TopNSigma,
    TopH,
    TopK,
    TopP,
    MinP,
    Typical,
    Epsilon,
    Eta,
    Xtc,
}

use Filter::{Epsilon, Eta, MinP, Temperature, TopH, TopK, TopNSigma, TopP, Typical, Xtc};
const TRANSFORMERS: [Filter; 10] = [Temperature, TopNSigma, TopH, TopK, TopP, MinP, Typical, Epsilon, Eta, Xtc];
const MLX_LM: [Filter; 10] = [TopNSigma, TopH, Typical, TopP, MinP, Xtc, TopK, Epsilon, Eta, Temperature];
const LLAMA_CPP: [Filter; 10] = [TopNSigma, TopH, TopK, Typical, TopP, MinP, Xtc, Epsilon, Eta, Temperature];

impl Filter {
    /// The name of the parameter.
    pub fn name(self) -> &'static str {
        match self {
            Temperature => "temperature",
            TopNSigma => "top_n_sigma",
            TopH => "top_h",
            TopK => "top_k",
            TopP => "top_p",
            MinP => "min_p",
            Typical => "typical_p",
            Epsilon => "epsilon_cutoff",
            Eta => "eta_cutoff",
            Xtc => "xtc_probability",
        }
    }

    /// The filter of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        TRANSFORMERS.into_iter().find(|filter| filter.name() == name)
    }
}

impl Order {
    /// The filters, in order.
    pub(crate) fn filters(&self) -> &[Filter] {
        match self {
            Order::Transformers => &TRANSFORMERS,
            Order::MlxLm => &MLX_LM,
            Order::LlamaCpp => &LLAMA_CPP,
            Order::Custom(filters) => filters,
        }
    }
}

/// Whether a number is in a range, or an error that names it.
fn within(name: &'static str, value: Option<f64>, range: &'static str, holds: impl Fn(f64) -> bool) -> Result<()> {
    match value {
        Some(value) if !holds(value) => Err(Error::Argument { name, message: format!("{value} is not {range}") }),
        _ => Ok(()),
    }
}

/// The least temperature but zero, and the greatest.
const TEMPERATURES: (f64, f64) = (1e-12, 1e12);

impl Parameters {
    /// Whether a filter has something to do.
    pub(crate) fn has(&self, filter: Filter) -> bool {
        match filter {
            Temperature => self.temperature.is_some_and(|value| value != 1.0),
            TopNSigma => self.top_n_sigma.is_some_and(|value| value > 0.0),
            TopH => self.top_h.is_some(),
            TopK => self.top_k.is_some_and(|value| value != 0),
            // mlx-lm takes 0 for off.
            TopP => self.top_p.is_some_and(|value| value < 1.0 && (value > 0.0 || self.order != Order::MlxLm)),
            MinP => self.min_p.is_some_and(|value| value > 0.0),
            Typical => self.typical_p.is_some_and(|value| value < 1.0),
            Epsilon => self.epsilon_cutoff.is_some_and(|value| value > 0.0 && value < 1.0),
            Eta => self.eta_cutoff.is_some_and(|value| value > 0.0 && value < 1.0),
            Xtc => self.xtc_probability.is_some_and(|value| value > 0.0),
        }
    }

    /// Refuses what is outside of its range.
    ///
    /// # Errors
    /// [`Error::Argument`] with the name, the value and the range.
    pub fn check(&self) -> Result<()> {
        let (least, greatest) = TEMPERATURES;
        within("temperature", self.temperature, "0 or from 1e-12 to 1e12", |value| {
            value == 0.0 || (least..=greatest).contains(&value)
        })?;
        for (name, value) in [("top_p", self.top_p), ("min_p", self.min_p), ("xtc_probability", self.xtc_probability)] {
            within(name, value, "from 0 to 1", |value| (0.0..=1.0).contains(&value))?;
        }
        for (name, value) in [("epsilon_cutoff", self.epsilon_cutoff), ("eta_cutoff", self.eta_cutoff)] {
            within(name, value, "from 0 (off) to below 1", |value| (0.0..1.0).contains(&value))?;
        }
        for (name, value) in [("typical_p", self.typical_p), ("top_h", self.top_h)] {
            within(name, value, "above 0 and at most 1", |value| value > 0.0 && value <= 1.0)?;
        }
        within("top_n_sigma", self.top_n_sigma, "a number", f64::is_finite)?;
        within("xtc_threshold", self.xtc_threshold, "from 0 to 0.5", |value| (0.0..=0.5).contains(&value))?;
        within("repetition_penalty", self.repetition_penalty, "a number above 0", |value| value > 0.0 && value.is_finite())?;
        for (name, value) in [
            ("presence_penalty", self.presence_penalty),
            ("frequency_penalty", self.frequency_penalty),
            ("guidance_scale", self.guidance_scale),
        ] {
            within(name, value, "a number", f64::is_finite)?;
        }
        if let Some((_, factor)) = self.exponential_decay_length_penalty {
            let name = "exponential_decay_length_penalty";
            within(name, Some(factor), "a factor above 0", |value| value > 0.0 && value.is_finite())?;
        }
        if let Some(Mirostat { version, tau, eta }) = self.mirostat {
            within("mirostat", Some(f64::from(version)), "1 or 2", |value| value == 1.0 || value == 2.0)?;
            within("mirostat_tau", Some(tau), "a number of at least 0", |value| value >= 0.0 && value.is_finite())?;
            within("mirostat_eta", Some(eta), "a number", f64::is_finite)?;
        }
        if let Some(dry) = &self.dry {
            within("dry_multiplier", Some(f64::from(dry.multiplier)), "a number", f64::is_finite)?;
            within("dry_base", Some(f64::from(dry.base)), "a number of at least 1", |value| value >= 1.0 && value.is_finite())?;
        }
        self.check_lists()
    }

    fn check_lists(&self) -> Result<()> {
        let refuse = |name, message: &str| Err(Error::Argument { name, message: message.to_owned() });
        if self.sequence_bias.iter().any(|one| one.ids.is_empty() || one.bias.is_nan()) {
            return refuse("sequence_bias", "a sequence without ids, or a bias that is no number");
        }
        if self.bad_words_ids.iter().any(Vec::is_empty) {
            return refuse("bad_words_ids", "a sequence without ids");
        }
        if self.logit_bias.iter().any(|(_, bias)| bias.is_nan()) {
            return refuse("logit_bias", "a bias that is no number");
        }
        if self.dry.iter().any(|dry| dry.sequence_breakers.iter().any(Vec::is_empty)) {
            return refuse("dry_sequence_breakers", "a sequence without ids");
        }
        if self.min_tokens_to_keep == Some(0) {
            return refuse("min_tokens_to_keep", "0 is not at least 1");
        }
        if self.eos_token_id.is_empty() {
            let needing = [
                ("min_length", self.min_length.is_some_and(|length| length > 0)),
                ("min_new_tokens", self.min_new_tokens.is_some_and(|length| length > 0)),
                ("exponential_decay_length_penalty", self.exponential_decay_length_penalty.is_some()),
            ];
            if let Some((name, _)) = needing.into_iter().find(|(_, is_set)| *is_set) {
                return refuse(name, "needs eos_token_id");
            }
        }
        if !self.forced_eos_token_id.is_empty() && self.max_length.is_none() {
            return refuse("forced_eos_token_id", "needs max_length");
        }
        if let Order::Custom(filters) = &self.order {
            if let Some(filter) = TRANSFORMERS.into_iter().find(|&filter| self.has(filter) && !filters.contains(&filter)) {
                return refuse("order", &format!("{} is set and has no place in it", filter.name()));
            }
            if let Some((index, filter)) = filters.iter().enumerate().find(|(index, filter)| filters[..*index].contains(filter)) {
                return refuse("order", &format!("{} is in it twice, the second time at {index}", filter.name()));
            }
        }
        if self.mirostat.is_some() {
            let others = TRANSFORMERS.into_iter().find(|&filter| filter != Temperature && self.has(filter));
            if let Some(filter) = others {
                return refuse("mirostat", &format!("does not go with {}: it chooses by itself", filter.name()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_has_every_filter_once() {
        for order in [Order::Transformers, Order::MlxLm, Order::LlamaCpp] {
            for filter in TRANSFORMERS {
                assert_eq!(order.filters().iter().filter(|one| **one == filter).count(), 1, "{order:?} {filter:?}");
                assert_eq!(Filter::from_name(filter.name()), Some(filter));
            }
        }
    }

    #[test]
    fn values_outside_of_their_ranges_are_refused_by_name() {
        let wrong = [
            ("temperature", Parameters { temperature: Some(-1.0), ..Parameters::default() }),
            ("temperature", Parameters { temperature: Some(f64::NAN), ..Parameters::default() }),
            ("top_p", Parameters { top_p: Some(1.5), ..Parameters::default() }),
            ("typical_p", Parameters { typical_p: Some(0.0), ..Parameters::default() }),
            ("min_length", Parameters { min_length: Some(3), ..Parameters::default() }),
            ("order", Parameters { top_k: Some(3), order: Order::Custom(vec![TopP]), ..Parameters::default() }),
            ("min_tokens_to_keep", Parameters { min_tokens_to_keep: Some(0), ..Parameters::default() }),
        ];
        for (name, parameters) in wrong {
            let error = parameters.check().unwrap_err();
            assert!(matches!(error, Error::Argument { name: actual, .. } if actual == name), "{error}");
        }
        Parameters::default().check().unwrap();
    }
}
