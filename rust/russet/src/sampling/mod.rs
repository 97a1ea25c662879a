//! Choosing the next token from logits: exactly, again on any machine, at the speed of reading them.
//!
//! [`Sampler`] holds what was asked for ([`Parameters`]) and never changes. A call takes a row of logits and the ids so far, and
//! does, in this order:
//!
//! 1. **processors** change logits ([`logits_processors`]): guidance, biases, penalties, bans, lengths, the caller's own, a mask;
//! 2. **filters** take candidates away ([`candidates`]), in the [`Order`] of `transformers`, mlx-lm or llama.cpp;
//! 3. **the draw**: one number from (seed, step, row), and the candidate at which the probabilities, added in the order of the ids,
//!    pass it. So the token depends neither on the processor, nor on threads, nor on what else is in the batch.
//!
//! Arithmetic: logits are of 32 bits, as processors leave them; filters mean exact mathematics on these, with weights that are right
//! to 2e-7 and sums of 64 bits. Where the probabilities of the reference, of 32 bits, round to the other side of a limit, the two
//! can differ by the tokens on it.
//!
//! Equal logits: top-k keeps all that equal the k-th, as `transformers` does, and exactly k in the other orders; top-p keeps as many
//! as it takes, those with the lowest ids (mlx-lm: all of them). Of equally typical ones all stay, as many as it takes in the order
//! of llama.cpp.
//!
//! ```
//! use russet::sampling::{Input, Logits, Parameters, Sampler, Scratch};
//!
//! let sampler = Sampler::new(Parameters { top_k: Some(2), seed: 7, ..Parameters::default() })?;
//! let (mut state, mut scratch) = (sampler.start(), Scratch::default());
//! let logits = Logits::F32(&[1.0, 4.0, 3.0, 2.0]);
//! let input = Input { logits, history: &[], row: 0, mask: None, unconditional: None };
//! let token = sampler.sample(&input, &mut state, &mut scratch, None)?;
//! assert!(token == 1 || token == 2);
//! # Ok::<(), russet::Error>(())
//! ```
//!
//! A usual call reads the logits once, O(V); top-p and a temperature without other limits weigh each of them, some ten times that.

mod candidates;
mod dry;
mod kernels;
mod logits_processors;
#[cfg(test)]
mod naive;
mod parameters;
mod processing;
mod rng;
mod row;
mod select;
mod speculative;

pub use crate::lanes::{Brain, Half};
pub use dry::Dry;
pub use logits_processors::SequenceBias;
pub use parameters::{Filter, Mirostat, OnInvalid, Order, Parameters};
pub use row::Logits;
pub use speculative::{accept, Acceptance};

use crate::simd::Level;
use crate::{Error, Result};
use candidates::{Buffers, Candidates, Ties};
use logits_processors::{Penalties, Tables};
use parameters::{Processor, PROCESSORS};
use rng::Use;
use row::{Overlay, Row};

/// Memory that calls use again. One for each thread.
#[derive(Debug, Default)]
pub struct Scratch {
    overlay: Overlay,
    buffers: Buffers,
    tables: Tables,
}

/// What changes from one call to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// The number of the next step.
    pub step: u64,
    /// Mirostat's limit on the surprise, in bits.
    pub mu: f64,
}

/// Processors that are not the crate's.
pub trait Custom {
    /// The ids that may follow the history, at least one.
    ///
    /// # Errors
    /// What the function fails with.
    fn allowed(&mut self, history: &[u32]) -> Result<Vec<u32>>;

    /// Changes logits in place: the processor of that number.
    ///
    /// # Errors
    /// What the processor fails with.
    fn process(&mut self, index: usize, history: &[u32], logits: &mut Vec<f32>) -> Result<()>;
}

/// One row of a call.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The logits, by id.
    pub logits: Logits<'a>,
    /// The ids so far, the prompt's too.
    pub history: &'a [u32],
    /// The number of the row, for the draw and for errors.
    pub row: u32,
    /// The allowed ids, if not all: of id `i` bit `i % 64` of word `i / 64`.
    pub mask: Option<&'a [u64]>,
    /// What the model gave without the prompt, for guidance.
    pub unconditional: Option<Logits<'a>>,
}

/// A chosen token, and what it was chosen from.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Its id.
    pub id: u32,
    /// The natural logarithm of its probability.
    pub logprob: f64,
    /// Of the distribution it was drawn from, in nats.
    pub entropy: f64,
    /// How many candidates there were.
    pub kept: usize,
    /// The most probable ids and the logarithms of their probabilities, the greatest first.
    pub top: Vec<(u32, f64)>,
}

/// Draws tokens, as its parameters say.
#[derive(Clone, Debug)]
pub struct Sampler {
    parameters: Parameters,
    /// Biases in the order in which they are added up: single ids first, then by length as these come.
    sequence_bias: Vec<SequenceBias>,
    bad_words: Vec<SequenceBias>,
    penalties: Option<Penalties>,
    processors: Vec<Processor>,
    filters: Vec<Filter>,
    level: Level,
}

/// In the order in which biases of different lengths are added up.
fn by_length(biases: impl IntoIterator<Item = SequenceBias>) -> Vec<SequenceBias> {
    let mut groups: Vec<Vec<SequenceBias>> = vec![Vec::new()];
    for bias in biases {
        let is_single = bias.ids.len() == 1;
        let group = groups.iter().position(|group| group.first().is_some_and(|first| first.ids.len() == bias.ids.len()));
        match (is_single, group) {
            (true, _) => groups[0].push(bias),
            (false, Some(group)) => groups[group].push(bias),
            (false, None) => groups.push(vec![bias]),
        }
    }
    groups.concat()
}

impl Sampler {
    /// A sampler.
    ///
    /// # Errors
    /// [`Error::Argument`] for a parameter outside of its range.
    pub fn new(parameters: Parameters) -> Result<Self> {
        parameters.check()?;
        let sequence_bias = by_length(parameters.sequence_bias.iter().cloned());
        let bad_words =
            parameters.bad_words_ids.iter().filter(|ids| !matches!(ids[..], [id] if parameters.eos_token_id.contains(&id)));
        let bad_words = by_length(bad_words.map(|ids| SequenceBias { ids: ids.clone(), bias: f32::NEG_INFINITY }));
        let penalties = Penalties {
            repetition: parameters.repetition_penalty.unwrap_or(1.0) as f32,
            presence: parameters.presence_penalty.unwrap_or_default() as f32,
            frequency: parameters.frequency_penalty.unwrap_or_default() as f32,
            last_n: parameters.penalty_last_n,
        };
        let penalizes = penalties.repetition != 1.0 || penalties.presence != 0.0 || penalties.frequency != 0.0;
        let filters = parameters.order.filters().iter().copied();
        let filters = filters.filter(|&filter| parameters.has(filter)).collect();
        let mut sampler = Self {
            sequence_bias,
            bad_words,
            penalties: penalizes.then_some(penalties),
            processors: Vec::new(),
            filters,
            level: Level::of_process()?,
            parameters,
        };
        sampler.processors = PROCESSORS.into_iter().filter(|&processor| sampler.has(processor)).collect();
        Ok(sampler)
    }

    /// What was asked for.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The state before the first call.
    pub fn start(&self) -> State {
        State { step: 0, mu: self.parameters.mirostat.map_or(0.0, |mirostat| 2.0 * mirostat.tau) }
    }

    /// Whether a call changes the state by more than the number of the step.
    pub fn has_feedback(&self) -> bool {
        self.parameters.mirostat.is_some() && !self.is_greedy()
    }

    /// Whether it needs [`Custom`].
    pub fn is_custom(&self) -> bool {
        self.parameters.prefix_allowed_tokens || self.parameters.custom_processors > 0
    }

    fn is_greedy(&self) -> bool {
        self.parameters.temperature == Some(0.0)
    }

    /// The logits as processors leave them, appended to `out`.
    ///
    /// # Errors
    /// As [`sample`](Self::sample); invalid logits are left as they are.
    pub fn process(
        &self,
        input: &Input<'_>,
        scratch: &mut Scratch,
        custom: Option<&mut dyn Custom>,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        let mut row = Row::new(input.logits, &mut scratch.overlay, self.level);
        self.process_row(input, &mut row, &mut scratch.tables, custom)?;
        if self.parameters.renormalize_logits {
            logits_processors::normalize(&mut row, &mut scratch.tables);
        }
        row.append_to(out);
        Ok(())
    }

    /// Runs processors and filters, then `work` on what may be chosen.
    fn with_candidates<T>(
        &self,
        input: &Input<'_>,
        state: &State,
        scratch: &mut Scratch,
        custom: Option<&mut dyn Custom>,
        work: impl FnOnce(&mut Candidates<'_, '_>) -> T,
    ) -> Result<T> {
        let mut row = Row::new(input.logits, &mut scratch.overlay, self.level);
        self.process_row(input, &mut row, &mut scratch.tables, custom)?;
        let (mut candidates, invalid) = Candidates::new(self.level, &mut row, &mut scratch.buffers);
        if invalid {
            if self.parameters.on_invalid == OnInvalid::Error {
                return Err(first_invalid(&row, input.row));
            }
            logits_processors::mask_invalid(&mut row);
            candidates = Candidates::new(self.level, &mut row, &mut scratch.buffers).0;
        }
        if candidates.max() == f32::NEG_INFINITY {
            return Err(Error::InvalidLogits { row: input.row as usize, index: 0, kind: "no token is left" });
        }
        if self.is_greedy() {
            candidates.keep_greedy();
        } else {
            self.filters.iter().for_each(|&filter| self.filter(filter, &mut candidates, input, state));
            self.filter_by_surprise(&mut candidates, state);
        }
        Ok(work(&mut candidates))
    }

    fn filter(&self, filter: Filter, candidates: &mut Candidates<'_, '_>, input: &Input<'_>, state: &State) {
        let parameters = &self.parameters;
        let keep = parameters.min_tokens_to_keep.unwrap_or(1);
        let is_mlx = parameters.order == Order::MlxLm;
        match filter {
            Filter::Temperature => candidates.divide_by(parameters.temperature.unwrap_or(1.0) as f32),
            Filter::TopNSigma => candidates.top_n_sigma(parameters.top_n_sigma.unwrap_or_default()),
            Filter::TopH => candidates.top_h(parameters.top_h.unwrap_or(1.0)),
            Filter::TopK => {
                let ties = if is_mlx || parameters.order == Order::LlamaCpp { Ties::LowestId } else { Ties::All };
                candidates.top_k(parameters.top_k.unwrap_or_default().max(keep), ties);
            }
            Filter::TopP => {
                let ties = if is_mlx { Ties::All } else { Ties::LowestId };
                candidates.top_p(parameters.top_p.unwrap_or(1.0), keep, ties);
            }
            Filter::MinP => candidates.min_p(parameters.min_p.unwrap_or_default(), keep),
            Filter::Typical => {
                let ties = if parameters.order == Order::LlamaCpp { Ties::LowestId } else { Ties::All };
                candidates.typical(parameters.typical_p.unwrap_or(1.0), keep, ties);
            }
            Filter::Epsilon => candidates.epsilon(parameters.epsilon_cutoff.unwrap_or_default(), keep),
            Filter::Eta => candidates.eta(parameters.eta_cutoff.unwrap_or_default(), keep),
            Filter::Xtc => {
                let chance = rng::uniform(parameters.seed, state.step, input.row, Use::Xtc);
                if chance < parameters.xtc_probability.unwrap_or_default() {
                    let ties = if is_mlx { Ties::All } else { Ties::LowestId };
                    candidates.xtc(parameters.xtc_threshold.unwrap_or(0.1), &parameters.xtc_special_tokens, keep, ties);
                }
            }
        }
    }

    fn filter_by_surprise(&self, candidates: &mut Candidates<'_, '_>, state: &State) {
        match self.parameters.mirostat {
            Some(Mirostat { version: 1, .. }) => candidates.within_estimated_surprise(state.mu),
            Some(_) => candidates.within_surprise(state.mu),
            None => {}
        }
    }

    /// Draws a token; the state goes one step on.
    ///
    /// # Errors
    /// [`Error::InvalidLogits`] for NaN, plus infinity, or if no token is left; [`Error::Argument`] for ids of biases that the row
    /// does not have; what a custom processor fails with. The state is as before then.
    pub fn sample(
        &self,
        input: &Input<'_>,
        state: &mut State,
        scratch: &mut Scratch,
        custom: Option<&mut dyn Custom>,
    ) -> Result<u32> {
        let uniform = rng::uniform(self.parameters.seed, state.step, input.row, Use::Token);
        self.sample_with_uniform(input, uniform, state, scratch, custom)
    }

    /// The same with a number of the caller's, from zero to below one.
    ///
    /// # Errors
    /// As [`sample`](Self::sample).
    pub fn sample_with_uniform(
        &self,
        input: &Input<'_>,
        uniform: f64,
        state: &mut State,
        scratch: &mut Scratch,
        custom: Option<&mut dyn Custom>,
    ) -> Result<u32> {
        if !(0.0..1.0).contains(&uniform) {
            return Err(argument("u", format!("{uniform} is not from 0 to below 1")));
        }
        let drawn = self.with_candidates(input, state, scratch, custom, |candidates| candidates.draw(uniform))?;
        self.advance(state, drawn.probability);
        Ok(drawn.id)
    }

    /// The state after a token of that probability.
    fn advance(&self, state: &mut State, probability: f64) {
        state.step = state.step.wrapping_add(1);
        if let Some(Mirostat { tau, eta, .. }) = self.parameters.mirostat {
            if self.has_feedback() {
                state.mu -= eta * (-libm::log2(probability) - tau);
            }
        }
    }

    /// Draws a token and tells what it was drawn from, with the `top` most probable ids.
    ///
    /// # Errors
    /// As [`sample`](Self::sample).
    pub fn choose(
        &self,
        input: &Input<'_>,
        top: usize,
        state: &mut State,
        scratch: &mut Scratch,
        custom: Option<&mut dyn Custom>,
    ) -> Result<Choice> {
        let uniform = rng::uniform(self.parameters.seed, state.step, input.row, Use::Token);
        let choice = self.with_candidates(input, state, scratch, custom, |candidates| {
            let drawn = candidates.draw(uniform);
            let (mass, entropy) = candidates.mass_and_entropy();
            let top =
                candidates.most_probable(top, mass).into_iter().map(|(id, probability)| (id, libm::log(probability))).collect();
            let kept = candidates.count();
            (drawn.probability, Choice { id: drawn.id, logprob: libm::log(drawn.probability), entropy, kept, top })
        });
        let (probability, choice) = choice?;
        self.advance(state, probability);
        Ok(choice)
    }

    /// The ids that can be drawn, ascending, appended to `out`.
    ///
    /// # Errors
    /// As [`sample`](Self::sample).
    pub fn kept(
        &self,
        input: &Input<'_>,
        state: &State,
        scratch: &mut Scratch,
        custom: Option<&mut dyn Custom>,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        self.with_candidates(input, state, scratch, custom, |candidates| out.extend(candidates.ids()))
    }

    /// Calls with the id and the probability of each token that can be drawn, ids ascending.
    ///
    /// # Errors
    /// As [`sample`](Self::sample).
    pub fn probabilities(
        &self,
        input: &Input<'_>,
        state: &State,
        scratch: &mut Scratch,
        custom: Option<&mut dyn Custom>,
        take: impl FnMut(u32, f64),
    ) -> Result<()> {
        self.with_candidates(input, state, scratch, custom, |candidates| candidates.each_probability(take))
    }
}

fn argument(name: &'static str, message: impl Into<String>) -> Error {
    Error::Argument { name, message: message.into() }
}

/// The error for the first logit that is NaN or plus infinity.
fn first_invalid(row: &Row<'_>, number: u32) -> Error {
    let found = (0..row.len()).find(|&id| logits_processors::is_invalid(row.get(id))).unwrap_or_default();
    let kind = if row.get(found).is_nan() { "NaN" } else { "infinity" };
    Error::InvalidLogits { row: number as usize, index: found, kind }
}
