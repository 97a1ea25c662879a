//! RoBERTa's special tokens: `<s> A </s>`, and `</s> B </s>`; all type ids are 0.

use super::special_token;
use crate::encoding::Segment;
use crate::Encoding;

/// `RobertaProcessing`.
#[derive(Debug)]
pub struct Roberta {
    cls: Segment,
    sep: Segment,
    /// `add_prefix_space`, if offsets are trimmed.
    trim: Option<bool>,
}

impl Roberta {
    pub(super) fn new(cls: &(String, u32), sep: &(String, u32), trim: Option<bool>) -> Self {
        Self { cls: special_token(cls, 0), sep: special_token(sep, 0), trim }
    }

    pub(super) fn added_tokens(is_pair: bool) -> usize {
        if is_pair {
            4
        } else {
            2
        }
    }

    pub(super) fn process(&self, encodings: &mut [Encoding], add_special_tokens: bool) {
        for (index, encoding) in encodings.iter_mut().enumerate() {
            if let Some(add_prefix_space) = self.trim {
                encoding.trim_offsets(add_prefix_space);
            }
            encoding.set_type_id(0);
            if add_special_tokens {
                let before = if index == 0 { &self.cls } else { &self.sep };
                encoding.wrap(Some(before), &self.sep, index.min(1), Some(0));
            }
        }
    }
}
