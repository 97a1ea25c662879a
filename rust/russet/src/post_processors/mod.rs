//! Post-processors: the special tokens around a sequence or a pair.
//!
//! They work on lists of [`Encoding`]s, one per sequence, and the results are merged into one. As encodings are lists of
//! segments, the cost does not depend on the number of tokens.

mod bert;
mod byte_level;
mod roberta;
mod template;

use std::sync::Arc;

use crate::encoding::Segment;
use crate::formats::config::PostProcessorConfig;
use crate::{Encoding, Result};

pub use bert::Bert;
pub use byte_level::ByteLevel;
pub use roberta::Roberta;
pub use template::Template;

/// A compiled post-processor.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum PostProcessor {
    Bert(Bert),
    ByteLevel(ByteLevel),
    Roberta(Roberta),
    Template(Template),
    Sequence(Vec<PostProcessor>),
}

impl PostProcessor {
    /// Compiles a post-processor.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) if a template names a special token that it does not define.
    pub fn from_config(config: &PostProcessorConfig) -> Result<Self> {
        Ok(match config {
            PostProcessorConfig::Bert { sep, cls } => Self::Bert(Bert::new(cls, sep)),
            PostProcessorConfig::Roberta { sep, cls, trim_offsets, add_prefix_space } => {
                Self::Roberta(Roberta::new(cls, sep, trim_offsets.then_some(*add_prefix_space)))
            }
            PostProcessorConfig::ByteLevel { add_prefix_space, trim_offsets, .. } => {
                Self::ByteLevel(ByteLevel::new(trim_offsets.then_some(*add_prefix_space)))
            }
            PostProcessorConfig::Template { single, pair, special_tokens } => {
                Self::Template(Template::new(single, pair, special_tokens)?)
            }
            PostProcessorConfig::Sequence(processors) => {
                let compiled = processors.iter().enumerate().map(|(index, processor)| {
                    Self::from_config(processor).map_err(|error| error.under(&format!("processors[{index}]")))
                });
                Self::Sequence(compiled.collect::<Result<_>>()?)
            }
        })
    }

    /// How many special tokens are added to a sequence or a pair.
    pub fn added_tokens(&self, is_pair: bool) -> usize {
        match self {
            Self::Bert(_) => Bert::added_tokens(is_pair),
            Self::ByteLevel(_) => 0,
            Self::Roberta(_) => Roberta::added_tokens(is_pair),
            Self::Template(template) => template.added_tokens(is_pair),
            Self::Sequence(processors) => processors.iter().map(|processor| processor.added_tokens(is_pair)).sum(),
        }
    }

    /// Whether the result always has the tokens of each sequence once, and [`added_tokens`](Self::added_tokens) more.
    pub(crate) fn is_additive(&self) -> bool {
        match self {
            Self::Bert(_) | Self::ByteLevel(_) | Self::Roberta(_) => true,
            Self::Template(template) => template.is_additive(),
            Self::Sequence(processors) => {
                // After a template there are more lists of tokens than sequences, and others add to each of them.
                let adding = |processor: &&PostProcessor| !matches!(processor, PostProcessor::ByteLevel(_));
                processors.iter().all(Self::is_additive) && processors.iter().filter(adding).count() <= 1
            }
        }
    }

    /// Makes one encoding of a sequence or a pair.
    pub fn process(&self, first: Encoding, second: Option<Encoding>, add_special_tokens: bool) -> Result<Encoding> {
        let mut encodings = vec![first];
        encodings.extend(second);
        for (index, encoding) in encodings.iter_mut().enumerate() {
            encoding.set_sequence_id(index);
            encoding.overflowing_mut().iter_mut().for_each(|part| part.set_sequence_id(index));
            encoding.set_type_id(index as u32);
        }
        self.process_list(&mut encodings, add_special_tokens)?;
        Encoding::merge(encodings, false)
    }

    fn process_list(&self, encodings: &mut Vec<Encoding>, add_special_tokens: bool) -> Result<()> {
        match self {
            Self::Bert(bert) => bert.process(encodings, add_special_tokens),
            Self::ByteLevel(byte_level) => byte_level.process(encodings),
            Self::Roberta(roberta) => roberta.process(encodings, add_special_tokens),
            Self::Template(template) => return template.process(encodings, add_special_tokens),
            Self::Sequence(processors) => {
                return processors.iter().try_for_each(|processor| processor.process_list(encodings, add_special_tokens));
            }
        }
        Ok(())
    }
}

/// What happens without a post-processor: a pair is put one after the other.
pub(crate) fn join(first: Encoding, second: Option<Encoding>) -> Result<Encoding> {
    let Some(second) = second else { return Ok(first) };
    let mut encodings = [first, second];
    for (index, encoding) in encodings.iter_mut().enumerate() {
        encoding.set_sequence_id(index);
    }
    Encoding::merge(encodings, false)
}

fn special_token((token, id): &(String, u32), type_id: u32) -> Segment {
    Segment::special(Arc::new([(*id, token.clone())]), type_id)
}
