//! Encodings taken apart and put together again, to be stored or sent elsewhere.
//!
//! An encoding that was put together holds its fields instead of a text and a tokenizer, so nothing is computed later. Its
//! runs of equal type id and masks become segments. Cost: O(tokens).

use std::ops::Range;
use std::sync::Arc;

use super::{Details, Encoding, Offsets, Rows, Segment, Source};
use crate::{Error, Result, StringList};

/// The fields of an encoding, one entry per token. What they mean is said at the methods of [`Encoding`].
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Fields {
    pub ids: Vec<u32>,
    pub type_ids: Vec<u32>,
    pub tokens: StringList,
    pub word_ids: Vec<Option<u32>>,
    /// Taken as byte offsets too.
    pub offsets: Vec<Offsets>,
    pub special_tokens_mask: Vec<u32>,
    pub attention_mask: Vec<u32>,
    pub overflowing: Vec<Encoding>,
    /// The tokens of each sequence. Empty means: one sequence, all tokens.
    pub sequences: Vec<(usize, Range<usize>)>,
}

impl Encoding {
    /// Puts an encoding together.
    ///
    /// # Errors
    /// [`Error::Argument`] if the fields differ in length, or if a range or an offset is out of bounds.
    pub fn from_fields(fields: Fields) -> Result<Self> {
        let length = fields.ids.len();
        let lengths = [
            ("type_ids", fields.type_ids.len()),
            ("tokens", fields.tokens.len()),
            ("word_ids", fields.word_ids.len()),
            ("offsets", fields.offsets.len()),
            ("special_tokens_mask", fields.special_tokens_mask.len()),
            ("attention_mask", fields.attention_mask.len()),
        ];
        for (name, other) in lengths {
            if other != length {
                return Err(Error::Argument { name, message: format!("{other} entries for {length} ids") });
            }
        }
        if let Some((sequence, range)) = fields.sequences.iter().find(|(_, range)| range.start > range.end || range.end > length) {
            let message = format!("sequence {sequence} is said to be the tokens {range:?} of {length}");
            return Err(Error::Argument { name: "sequences", message });
        }
        let narrow = |(start, end): &Offsets| Some((u32::try_from(*start).ok()?, u32::try_from(*end).ok()?));
        let offsets: Option<Vec<(u32, u32)>> = fields.offsets.iter().map(narrow).collect();
        let offsets = offsets.ok_or(Error::Argument { name: "offsets", message: "an offset is above 32 bits".into() })?;

        let runs =
            (0..length).map(|row| (fields.type_ids[row], fields.special_tokens_mask[row] != 0, fields.attention_mask[row] != 0));
        let mut starts: Vec<(usize, (u32, bool, bool))> = runs.enumerate().collect();
        starts.dedup_by_key(|(_, run)| *run);
        let details = Details { tokens: fields.tokens, byte_offsets: offsets.clone(), offsets, words: fields.word_ids };
        let rows = Arc::new(Rows::with_details(fields.ids, details));
        let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([length]);
        let segments = starts.iter().zip(ends).map(|((start, (type_id, special, attention)), end)| Segment {
            special: *special,
            attention: *attention,
            ..Segment::new(Source::Rows { rows: rows.clone(), range: *start..end }, *type_id)
        });
        Ok(Self { segments: segments.collect(), sequences: fields.sequences, overflowing: fields.overflowing })
    }

    /// The tokens of each sequence that is known. Empty means: one sequence, all tokens.
    pub fn sequences(&self) -> &[(usize, Range<usize>)] {
        &self.sequences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        Fields {
            ids: vec![7, 8, 9, 0],
            type_ids: vec![0, 0, 1, 0],
            tokens: ["a", "b", "c", "[PAD]"].into_iter().collect(),
            word_ids: vec![Some(0), None, Some(0), None],
            offsets: vec![(0, 1), (1, 2), (0, 1), (0, 0)],
            special_tokens_mask: vec![0, 0, 0, 1],
            attention_mask: vec![1, 1, 1, 0],
            overflowing: Vec::new(),
            sequences: vec![(0, 0..2), (1, 2..3)],
        }
    }

    #[test]
    fn gives_back_what_it_was_made_of() {
        let encoding = Encoding::from_fields(fields()).unwrap();
        let expected = fields();
        assert_eq!(encoding.ids().as_ref(), expected.ids);
        assert_eq!(encoding.type_ids(), expected.type_ids);
        assert_eq!(encoding.tokens().unwrap(), ["a", "b", "c", "[PAD]"]);
        assert_eq!(encoding.word_ids().unwrap(), expected.word_ids);
        assert_eq!(encoding.offsets().unwrap(), expected.offsets);
        assert_eq!(encoding.special_tokens_mask(), expected.special_tokens_mask);
        assert_eq!(encoding.attention_mask(), expected.attention_mask);
        assert_eq!(encoding.sequence_ids(), [Some(0), Some(0), Some(1), None]);
        assert_eq!(encoding.sequences(), expected.sequences);
    }

    #[test]
    fn is_empty_without_fields() {
        let encoding = Encoding::from_fields(Fields::default()).unwrap();
        assert_eq!((encoding.len(), encoding.n_sequences()), (0, 1));
    }

    #[test]
    fn refuses_fields_that_do_not_fit() {
        let short = Fields { offsets: vec![(0, 1)], ..fields() };
        assert!(matches!(Encoding::from_fields(short), Err(Error::Argument { name: "offsets", .. })));
        let outside = Fields { sequences: vec![(0, 0..5)], ..fields() };
        assert!(matches!(Encoding::from_fields(outside), Err(Error::Argument { name: "sequences", .. })));
    }
}
