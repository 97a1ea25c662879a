//! Which processors a sampler runs on a row, each where it acts: some at certain lengths only.
//!
//! The order is that of [`PROCESSORS`](super::parameters::PROCESSORS), the formulas are in [`logits_processors`]. O(1) beside these.

use super::logits_processors::{self, Tables};
use super::parameters::Processor;
use super::row::Row;
use super::{argument, Custom, Input, Sampler};
use crate::{Error, Result};

impl Sampler {
    /// Whether a processor has something to do, now or at some length. The mask is asked for by each call.
    pub(super) fn has(&self, processor: Processor) -> bool {
        let parameters = &self.parameters;
        match processor {
            Processor::Guidance => parameters.guidance_scale.is_some_and(|scale| scale != 1.0),
            Processor::SequenceBias => !self.sequence_bias.is_empty(),
            Processor::LogitBias => !parameters.logit_bias.is_empty(),
            Processor::Penalties => self.penalties.is_some(),
            Processor::Dry => parameters.dry.as_ref().is_some_and(|dry| dry.multiplier != 0.0),
            Processor::NoRepeatNgram => parameters.no_repeat_ngram_size.is_some_and(|size| size > 0),
            Processor::BadWords => !self.bad_words.is_empty(),
            Processor::MinLength => parameters.min_length.is_some_and(|length| length > 0),
            Processor::MinNewTokens => parameters.min_new_tokens.is_some_and(|length| length > 0),
            Processor::PrefixAllowed => parameters.prefix_allowed_tokens,
            Processor::ForcedBos => parameters.forced_bos_token_id.is_some(),
            Processor::ForcedEos => !parameters.forced_eos_token_id.is_empty(),
            Processor::RemoveInvalid => parameters.remove_invalid_values,
            Processor::ExponentialDecay => parameters.exponential_decay_length_penalty.is_some(),
            Processor::Suppress => !parameters.suppress_tokens.is_empty(),
            Processor::BeginSuppress => !parameters.begin_suppress_tokens.is_empty(),
            Processor::Custom => parameters.custom_processors > 0,
            Processor::Mask => true,
        }
    }

    /// Runs the processors.
    pub(super) fn process_row(
        &self,
        input: &Input<'_>,
        row: &mut Row<'_>,
        tables: &mut Tables,
        custom: Option<&mut dyn Custom>,
    ) -> Result<()> {
        let mut custom = custom;
        for &processor in &self.processors {
            self.process_by(processor, input, row, tables, &mut custom)?;
        }
        Ok(())
    }

    fn process_by(
        &self,
        processor: Processor,
        input: &Input<'_>,
        row: &mut Row<'_>,
        tables: &mut Tables,
        custom: &mut Option<&mut dyn Custom>,
    ) -> Result<()> {
        let (parameters, history) = (&self.parameters, input.history);
        let length = history.len();
        match processor {
            Processor::Guidance => {
                let unconditional = input.unconditional.ok_or_else(|| argument("guidance_scale", "needs unconditional_logits"))?;
                if unconditional.len() != row.len() {
                    let message = format!("{} logits, where there are {} with the prompt", unconditional.len(), row.len());
                    return Err(argument("unconditional_logits", message));
                }
                logits_processors::guidance(parameters.guidance_scale.unwrap_or(1.0) as f32, unconditional, row, tables);
            }
            Processor::SequenceBias => {
                check_ids("sequence_bias", self.sequence_bias.iter().flat_map(|bias| &bias.ids), row)?;
                logits_processors::sequence_bias(&self.sequence_bias, row, history, tables);
            }
            Processor::LogitBias => {
                check_ids("logit_bias", parameters.logit_bias.iter().map(|(id, _)| id), row)?;
                parameters.logit_bias.iter().for_each(|&(id, bias)| row.update(id as usize, |logit| logit + bias));
            }
            Processor::Penalties => self.penalties.iter().for_each(|penalties| penalties.apply(row, history, tables)),
            Processor::Dry => parameters.dry.iter().for_each(|dry| logits_processors::dry(dry, row, history, tables)),
            Processor::NoRepeatNgram => {
                logits_processors::no_repeat_ngram(parameters.no_repeat_ngram_size.unwrap_or_default(), row, history);
            }
            Processor::BadWords => {
                check_ids("bad_words_ids", self.bad_words.iter().flat_map(|words| &words.ids), row)?;
                logits_processors::sequence_bias(&self.bad_words, row, history, tables);
            }
            Processor::MinLength if length < parameters.min_length.unwrap_or_default() => {
                logits_processors::suppress(&parameters.eos_token_id, row);
            }
            Processor::MinNewTokens
                if length < parameters.prompt_length.saturating_add(parameters.min_new_tokens.unwrap_or_default()) =>
            {
                logits_processors::suppress(&parameters.eos_token_id, row);
            }
            Processor::PrefixAllowed => {
                let allowed = custom.as_mut().ok_or_else(needs_custom)?.allowed(history)?;
                if allowed.is_empty() {
                    return Err(argument("prefix_allowed_tokens_fn", format!("allows nothing in row {}", input.row)));
                }
                logits_processors::allow(&allowed, row);
            }
            Processor::ForcedBos if length == 1 => {
                logits_processors::force(parameters.forced_bos_token_id.as_slice(), row);
            }
            Processor::ForcedEos if parameters.max_length == Some(length + 1) => {
                logits_processors::force(&parameters.forced_eos_token_id, row);
            }
            Processor::RemoveInvalid => logits_processors::remove_invalid(row),
            Processor::ExponentialDecay => {
                if let Some((start, factor)) = parameters.exponential_decay_length_penalty {
                    let past = length.saturating_sub(start.saturating_add(parameters.prompt_length));
                    if past > 0 {
                        logits_processors::exponential_decay(&parameters.eos_token_id, factor, past, row);
                    }
                }
            }
            Processor::Suppress => logits_processors::suppress(&parameters.suppress_tokens, row),
            Processor::BeginSuppress if length == self.begin() => {
                logits_processors::suppress(&parameters.begin_suppress_tokens, row);
            }
            Processor::Custom => {
                let custom = custom.as_mut().ok_or_else(needs_custom)?;
                let mut logits = Vec::with_capacity(row.len());
                row.append_to(&mut logits);
                for index in 0..parameters.custom_processors {
                    custom.process(index, history, &mut logits)?;
                }
                row.each_block_mut(|begin, block| block.copy_from_slice(&logits[begin..begin + block.len()]));
            }
            Processor::Mask => {
                if let Some(words) = input.mask {
                    row.keep_bits(words);
                }
            }
            // At other lengths.
            Processor::MinLength
            | Processor::MinNewTokens
            | Processor::ForcedBos
            | Processor::ForcedEos
            | Processor::BeginSuppress => {}
        }
        Ok(())
    }

    /// The length of a history to which the first token comes.
    fn begin(&self) -> usize {
        let forces = self.parameters.prompt_length <= 1 && self.parameters.forced_bos_token_id.is_some();
        self.parameters.prompt_length + usize::from(forces)
    }
}

fn needs_custom() -> Error {
    Error::Internal("a sampler with custom processors was called without them".to_owned())
}

/// Refuses ids that the row does not have.
fn check_ids<'a>(name: &'static str, ids: impl Iterator<Item = &'a u32>, row: &Row<'_>) -> Result<()> {
    match ids.max() {
        Some(&id) if id as usize >= row.len() => Err(argument(name, format!("{id} is not among {} logits", row.len()))),
        _ => Ok(()),
    }
}
