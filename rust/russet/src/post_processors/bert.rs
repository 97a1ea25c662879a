//! BERT's special tokens: `[CLS] A [SEP]`, and `B [SEP]` with type id 1.

use super::special_token;
use crate::encoding::Segment;
use crate::Encoding;

/// `BertProcessing`.
#[derive(Debug)]
pub struct Bert {
    cls: Segment,
    sep_first: Segment,
    sep_second: Segment,
}

impl Bert {
    pub(super) fn new(cls: &(String, u32), sep: &(String, u32)) -> Self {
        Self { cls: special_token(cls, 0), sep_first: special_token(sep, 0), sep_second: special_token(sep, 1) }
    }

    pub(super) fn added_tokens(is_pair: bool) -> usize {
        if is_pair {
            3
        } else {
            2
        }
    }

    pub(super) fn process(&self, encodings: &mut [Encoding], add_special_tokens: bool) {
        if !add_special_tokens {
            return;
        }
        for (index, encoding) in encodings.iter_mut().enumerate() {
            if index == 0 {
                encoding.wrap(Some(&self.cls), &self.sep_first, 0, None);
            } else {
                encoding.wrap(None, &self.sep_second, 1, None);
            }
        }
    }
}
