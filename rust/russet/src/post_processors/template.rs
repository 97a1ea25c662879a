//! Templates: special tokens and sequences in any order, such as `[CLS] $A [SEP] $B:1 [SEP]:1`.

use std::sync::Arc;

use crate::encoding::Segment;
use crate::formats::config::{TemplatePiece, TemplateSpecialToken};
use crate::{Encoding, Error, Result};

/// `TemplateProcessing`.
#[derive(Debug)]
pub struct Template {
    single: Vec<Part>,
    pair: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Sequence { index: usize, type_id: u32 },
    Special(Segment, usize),
}

impl Template {
    pub(super) fn new(single: &[TemplatePiece], pair: &[TemplatePiece], special: &[TemplateSpecialToken]) -> Result<Self> {
        Ok(Self { single: compile(single, special, "single")?, pair: compile(pair, special, "pair")? })
    }

    pub(super) fn added_tokens(&self, is_pair: bool) -> usize {
        let count = |part: &Part| if let Part::Special(_, count) = part { *count } else { 0 };
        if is_pair { &self.pair } else { &self.single }.iter().map(count).sum()
    }

    /// Whether each template has each of its sequences once.
    pub(super) fn is_additive(&self) -> bool {
        let uses = |template: &[Part], sequence: usize| {
            template.iter().filter(|part| matches!(part, Part::Sequence { index, .. } if *index == sequence)).count()
        };
        uses(&self.single, 0) == 1 && uses(&self.single, 1) == 0 && uses(&self.pair, 0) == 1 && uses(&self.pair, 1) == 1
    }

    pub(super) fn process(&self, encodings: &mut Vec<Encoding>, add_special_tokens: bool) -> Result<()> {
        let template = match encodings.len() {
            1 => &self.single,
            2 => &self.pair,
            count => {
                let message = format!("a template takes one or two sequences, and the processors before it made {count}");
                return Err(Error::config("post_processor", message));
            }
        };
        let mut result = Vec::with_capacity(template.len());
        for part in template {
            match part {
                Part::Special(segment, _) if add_special_tokens => result.push(Encoding::from_segment(segment.clone())),
                Part::Special(..) => {}
                Part::Sequence { index, type_id } => {
                    let Some(encoding) = encodings.get_mut(*index) else {
                        return Err(Error::config("post_processor.single", "the template for one sequence uses sequence B"));
                    };
                    encoding.set_type_id(*type_id);
                    encoding.set_sequence_id(*index);
                    result.push(encoding.clone());
                }
            }
        }
        *encodings = result;
        Ok(())
    }
}

fn compile(template: &[TemplatePiece], special: &[TemplateSpecialToken], name: &str) -> Result<Vec<Part>> {
    let compile_one = |(index, piece): (usize, &TemplatePiece)| match piece {
        TemplatePiece::Sequence { second, type_id } => Ok(Part::Sequence { index: usize::from(*second), type_id: *type_id }),
        TemplatePiece::SpecialToken { id, type_id } => {
            let Some(token) = special.iter().find(|token| token.id == *id) else {
                return Err(Error::config(format!("{name}[{index}]"), format!("special token {id:?} is not in special_tokens")));
            };
            if token.ids.len() != token.tokens.len() {
                let message = format!("{} ids but {} tokens", token.ids.len(), token.tokens.len());
                return Err(Error::config(format!("special_tokens[{id:?}]"), message));
            }
            let tokens: Arc<[_]> = token.ids.iter().copied().zip(token.tokens.iter().cloned()).collect();
            let count = tokens.len();
            Ok(Part::Special(Segment::special(tokens, *type_id), count))
        }
    };
    template.iter().enumerate().map(compile_one).collect()
}
