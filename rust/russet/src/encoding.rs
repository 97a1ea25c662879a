//! What a text or a pair was encoded to.
//!
//! An [`Encoding`] is a list of segments: runs of tokens of one sequence, special tokens, padding. Truncation, post-processing,
//! merging and padding only cut and list segments; no token is copied. The ids of a sequence are computed at once. Everything
//! else is computed when first asked for, and is then shared by all encodings that show a part of that sequence, overflowing ones
//! included: the texts of tokens by their ids where these tell them, offsets by a walk along the ids where that is proved
//! ([`walk`](crate::walk)), and the rest by encoding the kept text once more with the full record.
//!
//! Cost: a segment is a few words, so an operation is O(segments); asking for a field is O(tokens).

mod fields;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::spare;
use crate::tokenizer::Core;
use crate::truncation::TruncationDirection;
use crate::walk::Walked;
use crate::{Error, Result, StringList};

pub use fields::Fields;

/// A range in a text: first position and one past the last.
pub type Offsets = (usize, usize);

/// What is known of the tokens of a sequence besides their ids; one entry per token.
#[derive(Debug, Default)]
pub(crate) struct Details {
    pub(crate) tokens: StringList,
    /// Byte ranges in the input.
    pub(crate) byte_offsets: Vec<(u32, u32)>,
    /// Character ranges in the input.
    pub(crate) offsets: Vec<(u32, u32)>,
    /// The index of the piece that the token comes from.
    pub(crate) words: Vec<Option<u32>>,
}

/// Computes the details of a sequence from its text.
pub(crate) trait Recipe: Send + Sync + std::fmt::Debug {
    /// All details, by encoding the text once more.
    fn details(&self, ids: &[u32]) -> Result<Details>;

    /// Offsets, and the texts that ids do not tell, by a walk along the ids; `None` where that is not possible.
    fn walk(&self, _: &[u32]) -> Option<Walked> {
        None
    }

    /// The text that every token with this id shows, if they all show the same.
    fn text_of_all(&self, _: u32) -> Option<&str> {
        None
    }

    /// What encoded the text.
    fn core(&self) -> Option<&Core> {
        None
    }
}

/// The tokens of one sequence, as the model gave them.
#[derive(Debug)]
pub(crate) struct Rows {
    ids: Vec<u32>,
    details: OnceLock<Details>,
    walked: OnceLock<Option<Box<Walked>>>,
    recipe: Option<Box<dyn Recipe>>,
}

impl Drop for Rows {
    fn drop(&mut self) {
        spare::give_back(std::mem::take(&mut self.ids));
    }
}

impl Rows {
    /// Rows whose details follow `recipe`; without one, asking for them is an error.
    pub(crate) fn new(ids: Vec<u32>, recipe: Option<Box<dyn Recipe>>) -> Self {
        Self { ids, details: OnceLock::new(), walked: OnceLock::new(), recipe }
    }

    /// Rows whose tokens are empty and whose offsets are 0, as the reference's `encode_batch_fast` gives them.
    pub(crate) fn blank(ids: Vec<u32>) -> Self {
        let mut tokens = StringList::new();
        ids.iter().for_each(|_| tokens.close());
        let zeros = vec![(0, 0); ids.len()];
        let details = Details { tokens, byte_offsets: zeros.clone(), offsets: zeros, words: vec![None; ids.len()] };
        Self::with_details(ids, details)
    }

    fn with_details(ids: Vec<u32>, details: Details) -> Self {
        Self { ids, details: OnceLock::from(details), walked: OnceLock::new(), recipe: None }
    }

    fn details(&self) -> Result<&Details> {
        if let Some(details) = self.details.get() {
            return Ok(details);
        }
        let Some(recipe) = &self.recipe else {
            return Err(Error::Argument {
                name: "keep_text",
                message: "the text was not kept, so only ids can be asked for (encode with keep_text=True)".into(),
            });
        };
        let details = recipe.details(&self.ids)?;
        Ok(self.details.get_or_init(|| details))
    }

    /// What a walk finds, unless all details are known already.
    fn walked(&self) -> Option<&Walked> {
        let recipe = self.recipe.as_ref().filter(|_| self.details.get().is_none())?;
        if self.walked.get().is_none() {
            // Outside `get_or_init`, which would have others wait.
            let _ = self.walked.set(recipe.walk(&self.ids).map(Box::new)); // another thread may have been faster
        }
        self.walked.get()?.as_deref()
    }

    /// The character ranges.
    fn offsets(&self) -> Result<&[(u32, u32)]> {
        match self.walked() {
            Some(walked) => Ok(&walked.offsets),
            None => Ok(&self.details()?.offsets),
        }
    }

    /// The text of a token.
    fn token(&self, row: usize) -> Result<&str> {
        let recipe = self.recipe.as_ref().filter(|_| self.details.get().is_none());
        if let Some(text) = recipe.zip(self.ids.get(row)).and_then(|(recipe, id)| recipe.text_of_all(*id)) {
            return Ok(text);
        }
        let found = self.walked().and_then(|walked| {
            let index = walked.texts.binary_search_by_key(&row, |(row, _)| *row as usize).ok()?;
            walked.texts.get(index)
        });
        match found {
            Some((_, text)) => Ok(text),
            None => Ok(self.details()?.tokens.get(row).unwrap_or_default()),
        }
    }
}

/// The tokens of a text among those of an [`Encoding`].
#[doc(hidden)] // for the binding
#[derive(Clone, Copy, Debug)]
pub struct TokenRows<'e> {
    rows: &'e Rows,
    first: usize,
    ids: &'e [u32],
}

impl<'e> TokenRows<'e> {
    /// Their ids.
    pub fn ids(&self) -> &'e [u32] {
        self.ids
    }

    /// The text of the token at `index`.
    pub fn text(&self, index: usize) -> Result<&'e str> {
        self.rows.token(self.first + index)
    }

    /// The text that every token with this id shows, whatever text it comes from; `None` if that is not known.
    pub fn text_of_all(&self, id: u32) -> Option<&'e str> {
        self.rows.recipe.as_ref()?.text_of_all(id)
    }

    /// What is kept beside the tokenizer, for all texts that it encodes. `make` makes it for ids below the given number. `None` where
    /// the ids do not tell the texts.
    pub fn attachment<T: std::any::Any + Send + Sync>(&self, make: impl FnOnce(usize) -> T) -> Option<&'e T> {
        let core = self.rows.recipe.as_ref()?.core()?;
        let ids_end = core.ids_end()?;
        core.walk.attachment(|| make(ids_end))
    }
}

/// Tokens of one kind in an [`Encoding`].
#[doc(hidden)] // for the binding
#[derive(Clone, Copy, Debug)]
pub enum TokenRun<'e> {
    /// Those of a text.
    Rows(TokenRows<'e>),
    /// A token so many times.
    Repeated(&'e str, usize),
}

/// A correction of offsets: leading and trailing white space of the token is left out.
#[derive(Clone, Copy, Debug)]
struct Trim {
    /// Whether one leading space stands for the prefix that the pre-tokenizer added.
    add_prefix_space: bool,
    /// The row that was the first of its encoding when the correction was ordered.
    first: usize,
}

#[derive(Clone, Debug)]
enum Source {
    Rows { rows: Arc<Rows>, range: Range<usize> },
    Special { tokens: Arc<[(u32, String)]>, range: Range<usize> },
    Padding { id: u32, token: Arc<str>, count: usize },
}

/// A run of tokens that share everything but their ids and details.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    source: Source,
    type_id: u32,
    special: bool,
    attention: bool,
    trims: Vec<Trim>,
    shift: usize,
}

impl Segment {
    fn new(source: Source, type_id: u32) -> Self {
        Self { source, type_id, special: false, attention: true, trims: Vec::new(), shift: 0 }
    }

    /// Special tokens.
    pub(crate) fn special(tokens: Arc<[(u32, String)]>, type_id: u32) -> Self {
        let range = 0..tokens.len();
        Self { special: true, ..Self::new(Source::Special { tokens, range }, type_id) }
    }

    fn len(&self) -> usize {
        match &self.source {
            Source::Rows { range, .. } | Source::Special { range, .. } => range.len(),
            Source::Padding { count, .. } => *count,
        }
    }

    fn ids_into(&self, ids: &mut Vec<u32>) {
        match &self.source {
            Source::Rows { rows, range } => ids.extend_from_slice(&rows.ids[range.clone()]),
            Source::Special { tokens, range } => ids.extend(tokens[range.clone()].iter().map(|token| token.0)),
            Source::Padding { id, count, .. } => ids.extend(std::iter::repeat_n(*id, *count)),
        }
    }

    /// The range of a row with the corrections of this segment; `width` is what one space counts.
    fn trimmed(&self, rows: &Rows, row: usize, (start, end): (u32, u32), width: impl Fn(char) -> usize + Copy) -> Result<Offsets> {
        let mut span = (start as usize, end as usize);
        for trim in &self.trims {
            span = trimmed(span, rows.token(row)?, trim.add_prefix_space, row == trim.first, width);
        }
        Ok((span.0 + self.shift, span.1 + self.shift))
    }

    fn slice(&self, part: Range<usize>) -> Self {
        let shifted = |range: &Range<usize>| range.start + part.start..range.start + part.end;
        let source = match &self.source {
            Source::Rows { rows, range } => Source::Rows { rows: rows.clone(), range: shifted(range) },
            Source::Special { tokens, range } => Source::Special { tokens: tokens.clone(), range: shifted(range) },
            Source::Padding { id, token, .. } => Source::Padding { id: *id, token: token.clone(), count: part.len() },
        };
        Self { source, ..self.clone() }
    }
}

/// The result of encoding a text or a pair. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Encoding {
    segments: Vec<Segment>,
    /// The tokens of each sequence, by sequence index. Empty means: one sequence, all tokens.
    sequences: Vec<(usize, Range<usize>)>,
    overflowing: Vec<Encoding>,
}

impl Encoding {
    pub(crate) fn from_rows(rows: Rows, type_id: u32) -> Self {
        if rows.ids.is_empty() {
            return Self::default();
        }
        let range = 0..rows.ids.len();
        let segment = Segment::new(Source::Rows { rows: Arc::new(rows), range }, type_id);
        Self { segments: vec![segment], sequences: Vec::new(), overflowing: Vec::new() }
    }

    pub(crate) fn from_segment(segment: Segment) -> Self {
        Self { segments: vec![segment], sequences: Vec::new(), overflowing: Vec::new() }
    }

    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.segments.iter().map(Segment::len).sum()
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.segments.iter().all(|segment| segment.len() == 0)
    }

    /// The ids; borrowed if they lie in one place.
    pub fn ids(&self) -> Cow<'_, [u32]> {
        if let [Segment { source: Source::Rows { rows, range }, .. }] = self.segments.as_slice() {
            return Cow::Borrowed(&rows.ids[range.clone()]);
        }
        let mut ids = Vec::with_capacity(self.len());
        self.ids_into(&mut ids);
        Cow::Owned(ids)
    }

    /// The ids. Those of the longest part are not copied where nobody else has them.
    pub fn into_ids(mut self) -> Vec<u32> {
        let longest = self.segments.iter().enumerate().max_by_key(|(_, segment)| segment.len()).map_or(0, |(index, _)| index);
        let taken = self.segments.get_mut(longest).and_then(|segment| match &mut segment.source {
            Source::Rows { rows, range } => {
                Arc::get_mut(rows).filter(|rows| *range == (0..rows.ids.len())).map(|rows| std::mem::take(&mut rows.ids))
            }
            _ => None,
        });
        let Some(mut ids) = taken else { return self.ids().into_owned() };
        let mut before = Vec::new();
        self.segments[..longest].iter().for_each(|segment| segment.ids_into(&mut before));
        ids.splice(0..0, before);
        self.segments[longest + 1..].iter().for_each(|segment| segment.ids_into(&mut ids));
        ids
    }

    /// Appends the ids to `ids`.
    pub fn ids_into(&self, ids: &mut Vec<u32>) {
        self.segments.iter().for_each(|segment| segment.ids_into(ids));
    }

    fn per_segment<T: Clone>(&self, value: impl Fn(&Segment) -> T) -> Vec<T> {
        let mut values = Vec::with_capacity(self.len());
        for segment in &self.segments {
            values.extend(std::iter::repeat_n(value(segment), segment.len()));
        }
        values
    }

    /// The type id of each token.
    pub fn type_ids(&self) -> Vec<u32> {
        self.per_segment(|segment| segment.type_id)
    }

    /// 1 for special and padding tokens, else 0.
    pub fn special_tokens_mask(&self) -> Vec<u32> {
        self.per_segment(|segment| u32::from(segment.special))
    }

    /// 0 for padding tokens, else 1.
    pub fn attention_mask(&self) -> Vec<u32> {
        self.per_segment(|segment| u32::from(segment.attention))
    }

    /// The text of each token.
    pub fn tokens(&self) -> Result<Vec<&str>> {
        let mut texts = Vec::with_capacity(self.len());
        for run in self.token_runs() {
            match run {
                TokenRun::Rows(rows) => (0..rows.ids.len()).try_for_each(|index| rows.text(index).map(|text| texts.push(text)))?,
                TokenRun::Repeated(text, count) => texts.extend(std::iter::repeat_n(text, count)),
            }
        }
        Ok(texts)
    }

    /// The tokens, run by run.
    #[doc(hidden)] // for the binding
    pub fn token_runs(&self) -> impl Iterator<Item = TokenRun<'_>> {
        self.segments.iter().flat_map(|segment| {
            let (rows, special, repeated) = match &segment.source {
                Source::Rows { rows, range } => {
                    let rows = TokenRows { rows, first: range.start, ids: &rows.ids[range.clone()] };
                    (Some(TokenRun::Rows(rows)), &[][..], None)
                }
                Source::Special { tokens, range } => (None, &tokens[range.clone()], None),
                Source::Padding { token, count, .. } => (None, &[][..], Some(TokenRun::Repeated(token, *count))),
            };
            let special = special.iter().map(|(_, token)| TokenRun::Repeated(token, 1));
            rows.into_iter().chain(special).chain(repeated)
        })
    }

    /// The range of each token in its sequence, in characters.
    pub fn offsets(&self) -> Result<Vec<Offsets>> {
        let mut offsets = Vec::with_capacity(self.len());
        let push = |range| {
            offsets.push(range);
            Ok(())
        };
        self.for_each_offset(push, |error| error)?;
        Ok(offsets)
    }

    /// Computes what [`for_each_offset`](Self::for_each_offset) gives, if that was not done before.
    #[doc(hidden)] // for the binding
    pub fn locate(&self) -> Result<()> {
        for segment in &self.segments {
            if let Source::Rows { rows, range } = &segment.source {
                rows.offsets()?;
                if !segment.trims.is_empty() {
                    range.clone().try_for_each(|row| rows.token(row).map(|_| ()))?;
                }
            }
        }
        Ok(())
    }

    /// Whether a walk along the ids found the offsets.
    #[cfg(test)]
    pub(crate) fn is_walked(&self) -> bool {
        self.segments.iter().any(|segment| matches!(&segment.source, Source::Rows { rows, .. } if rows.walked().is_some()))
    }

    /// Gives `take` each range of [`offsets`](Self::offsets); what goes wrong here becomes an error of its kind by `fail`.
    #[doc(hidden)] // for the binding
    pub fn for_each_offset<E>(
        &self,
        mut take: impl FnMut(Offsets) -> std::result::Result<(), E>,
        fail: impl Fn(Error) -> E,
    ) -> std::result::Result<(), E> {
        for segment in &self.segments {
            let Source::Rows { rows, range } = &segment.source else {
                (0..segment.len()).try_for_each(|_| take((segment.shift, segment.shift)))?;
                continue;
            };
            let offsets = &rows.offsets().map_err(&fail)?[range.clone()];
            if segment.trims.is_empty() {
                let shifted = |&(start, end): &(u32, u32)| (start as usize + segment.shift, end as usize + segment.shift);
                offsets.iter().try_for_each(|span| take(shifted(span)))?;
                continue;
            }
            for (row, span) in range.clone().zip(offsets) {
                take(segment.trimmed(rows, row, *span, |_| 1).map_err(&fail)?)?;
            }
        }
        Ok(())
    }

    /// The range of each token in its sequence, in UTF-8 bytes.
    pub fn byte_offsets(&self) -> Result<Vec<Offsets>> {
        let width = |space: char| if space == BYTE_LEVEL_SPACE { 1 } else { space.len_utf8() };
        let mut offsets = Vec::with_capacity(self.len());
        for segment in &self.segments {
            let Source::Rows { rows, range } = &segment.source else {
                offsets.extend(std::iter::repeat_n((segment.shift, segment.shift), segment.len()));
                continue;
            };
            let details = rows.details()?;
            for row in range.clone() {
                offsets.push(segment.trimmed(rows, row, details.byte_offsets[row], width)?);
            }
        }
        Ok(offsets)
    }

    /// The index of the piece that each token comes from (of the given word, for words), `None` for special tokens.
    pub fn word_ids(&self) -> Result<Vec<Option<u32>>> {
        let mut words = Vec::with_capacity(self.len());
        for segment in &self.segments {
            match &segment.source {
                Source::Rows { rows, range } => words.extend_from_slice(&rows.details()?.words[range.clone()]),
                _ => words.extend(std::iter::repeat_n(None, segment.len())),
            }
        }
        Ok(words)
    }

    /// The sequence that each token comes from, `None` for special tokens.
    pub fn sequence_ids(&self) -> Vec<Option<usize>> {
        let mut ids = vec![None; self.len()];
        for sequence in 0..self.n_sequences() {
            let range = self.sequence_range(sequence);
            if let Some(part) = ids.get_mut(range) {
                part.fill(Some(sequence));
            }
        }
        ids
    }

    /// The number of sequences.
    pub fn n_sequences(&self) -> usize {
        self.sequences.len().max(1)
    }

    /// The parts that truncation cut off.
    pub fn overflowing(&self) -> &[Encoding] {
        &self.overflowing
    }

    pub(crate) fn overflowing_mut(&mut self) -> &mut Vec<Encoding> {
        &mut self.overflowing
    }

    fn sequence_range(&self, sequence: usize) -> Range<usize> {
        let known = self.sequences.iter().find(|(index, _)| *index == sequence);
        known.map_or(0..self.len(), |(_, range)| range.clone())
    }

    /// The sequence that contains the token.
    pub fn token_to_sequence(&self, token: usize) -> Option<usize> {
        if token > self.len() {
            None
        } else if self.sequences.is_empty() {
            Some(0)
        } else {
            self.sequences.iter().find(|(_, range)| range.contains(&token)).map(|(index, _)| *index)
        }
    }

    /// The tokens of a word: first and one past the last.
    pub fn word_to_tokens(&self, word: u32, sequence: usize) -> Result<Option<(usize, usize)>> {
        let range = self.sequence_range(sequence);
        let words = self.word_ids()?;
        let Some(words) = words.get(range.clone()) else { return Ok(None) };
        // As in the reference, the search ends at the first greater word id.
        let known = words.iter().take_while(|id| **id <= Some(word));
        let mut found = known.enumerate().filter(|(_, id)| **id == Some(word)).map(|(index, _)| range.start + index);
        let first = found.next();
        let last = found.last().or(first);
        Ok(first.zip(last).map(|(first, last)| (first, last + 1)))
    }

    /// The characters of a word.
    pub fn word_to_chars(&self, word: u32, sequence: usize) -> Result<Option<Offsets>> {
        let Some((first, end)) = self.word_to_tokens(word, sequence)? else { return Ok(None) };
        let offsets = self.offsets()?;
        Ok(Some((offsets[first].0, offsets[end - 1].1)))
    }

    /// The sequence and the characters of a token.
    pub fn token_to_chars(&self, token: usize) -> Result<Option<(usize, Offsets)>> {
        let Some(sequence) = self.token_to_sequence(token) else { return Ok(None) };
        Ok(self.offsets()?.get(token).map(|offsets| (sequence, *offsets)))
    }

    /// The sequence and the word of a token.
    pub fn token_to_word(&self, token: usize) -> Result<Option<(usize, u32)>> {
        let Some(sequence) = self.token_to_sequence(token) else { return Ok(None) };
        Ok(self.word_ids()?.get(token).copied().flatten().map(|word| (sequence, word)))
    }

    /// The token that contains a character.
    pub fn char_to_token(&self, position: usize, sequence: usize) -> Result<Option<usize>> {
        let range = self.sequence_range(sequence);
        let offsets = self.offsets()?;
        let Some(offsets) = offsets.get(range.clone()) else { return Ok(None) };
        let found = offsets.iter().position(|(start, end)| (*start..*end).contains(&position));
        Ok(found.map(|index| range.start + index))
    }

    /// The word that contains a character.
    pub fn char_to_word(&self, position: usize, sequence: usize) -> Result<Option<u32>> {
        let Some(token) = self.char_to_token(position, sequence)? else { return Ok(None) };
        Ok(self.token_to_word(token)?.map(|(_, word)| word))
    }

    /// Says that all tokens belong to the given sequence.
    pub fn set_sequence_id(&mut self, sequence: usize) {
        let range = 0..self.len();
        match self.sequences.iter_mut().find(|(index, _)| *index == sequence) {
            Some((_, known)) => *known = range,
            None => self.sequences.push((sequence, range)),
        }
    }

    pub(crate) fn set_type_id(&mut self, type_id: u32) {
        self.segments.iter_mut().for_each(|segment| segment.type_id = type_id);
    }

    /// Leaves white space at the tokens' ends out of the offsets, here and in the overflowing parts.
    pub(crate) fn trim_offsets(&mut self, add_prefix_space: bool) {
        trim_segments(&mut self.segments, add_prefix_space);
        for overflowing in &mut self.overflowing {
            trim_segments(&mut overflowing.segments, add_prefix_space);
        }
    }

    /// Puts special tokens around the tokens, here and in the overflowing parts. The tokens count as not special, the sequence
    /// `sequence` is made of them, and with `type_id` they get it; overflowing parts of overflowing parts are dropped.
    pub(crate) fn wrap(&mut self, before: Option<&Segment>, after: &Segment, sequence: usize, type_id: Option<u32>) {
        let wrap_one = |encoding: &mut Encoding| {
            for segment in &mut encoding.segments {
                segment.special = false;
                segment.attention = true;
                segment.type_id = type_id.unwrap_or(segment.type_id);
            }
            let start = before.map_or(0, Segment::len);
            encoding.sequences = vec![(sequence, start..start + encoding.len())];
            encoding.segments.splice(0..0, before.cloned());
            encoding.segments.push(after.clone());
        };
        wrap_one(self);
        for overflowing in &mut self.overflowing {
            overflowing.overflowing.clear();
            wrap_one(overflowing);
        }
    }

    /// Cuts the tokens to `max_length`. The parts that are cut off become the overflowing encodings; each repeats `stride`
    /// tokens of the one before.
    ///
    /// # Errors
    /// [`Error::Argument`] if something must be cut and `stride` is not below `max_length`.
    pub fn truncate(&mut self, max_length: usize, stride: usize, direction: TruncationDirection) -> Result<()> {
        let length = self.len();
        if max_length >= length {
            return Ok(());
        }
        if max_length == 0 {
            let whole = std::mem::take(self);
            self.overflowing.push(whole);
            return Ok(());
        }
        if stride >= max_length {
            return Err(Error::Argument {
                name: "stride",
                message: format!(
                    "{stride} must be less than the {max_length} tokens that remain of max_length after special tokens"
                ),
            });
        }
        let step = max_length - stride;
        let mut parts = Vec::with_capacity(length.div_ceil(step));
        match direction {
            TruncationDirection::Right => {
                for start in (0..length).step_by(step) {
                    let stop = length.min(start + max_length);
                    parts.push(self.part(start..stop));
                    if stop == length {
                        break;
                    }
                }
            }
            TruncationDirection::Left => {
                for stop in (1..=length).rev().step_by(step) {
                    let start = stop.saturating_sub(max_length);
                    parts.push(self.part(start..stop));
                    if start == 0 {
                        break;
                    }
                }
            }
        }
        let overflowing = parts.split_off(1);
        *self = parts.pop().unwrap_or_default();
        self.overflowing = overflowing;
        Ok(())
    }

    /// The tokens `range` alone; what is known of sequences is lost.
    fn part(&self, range: Range<usize>) -> Encoding {
        let mut segments = Vec::new();
        let mut begin = 0;
        for segment in &self.segments {
            let end = begin + segment.len();
            let (start, stop) = (range.start.max(begin), range.end.min(end));
            if start < stop {
                segments.push(segment.slice(start - begin..stop - begin));
            }
            begin = end;
        }
        Encoding { segments, sequences: Vec::new(), overflowing: Vec::new() }
    }

    /// Appends `other`. The overflowing parts are combined: each of these with `other` and each of its parts, then these tokens
    /// with each of the parts of `other`. With `growing_offsets` the offsets of `other` begin where these end.
    pub fn merge_with(&mut self, other: Encoding, growing_offsets: bool) -> Result<()> {
        let mut overflowing = Vec::new();
        for own in &self.overflowing {
            for part in std::iter::once(&other).chain(&other.overflowing) {
                let mut merged = own.clone();
                merged.merge_with(part.clone(), growing_offsets)?;
                overflowing.push(merged);
            }
        }
        for part in &other.overflowing {
            let mut merged = self.clone();
            merged.merge_with(part.clone(), growing_offsets)?;
            overflowing.push(merged);
        }
        let length = self.len();
        for (sequence, range) in other.sequences {
            let moved = length + range.start..length + range.end;
            match self.sequences.iter_mut().find(|(index, _)| *index == sequence) {
                Some((_, known)) => *known = moved,
                None => self.sequences.push((sequence, moved)),
            }
        }
        let shift = if growing_offsets { self.offsets()?.last().map_or(0, |last| last.1) } else { 0 };
        self.segments.extend(other.segments.into_iter().filter(|segment| segment.len() > 0).map(|mut segment| {
            segment.shift += shift;
            segment
        }));
        self.overflowing = overflowing;
        Ok(())
    }

    /// All of `encodings`, one after the other. See [`merge_with`](Self::merge_with).
    pub fn merge(encodings: impl IntoIterator<Item = Encoding>, growing_offsets: bool) -> Result<Encoding> {
        let mut encodings = encodings.into_iter();
        let mut merged = encodings.next().unwrap_or_default();
        for encoding in encodings {
            merged.merge_with(encoding, growing_offsets)?;
        }
        Ok(merged)
    }

    /// Pads the tokens and the overflowing parts to `length`.
    pub fn pad(&mut self, length: usize, pad_id: u32, pad_type_id: u32, pad_token: &Arc<str>, left: bool) {
        for overflowing in &mut self.overflowing {
            overflowing.pad(length, pad_id, pad_type_id, pad_token, left);
        }
        let Some(count) = length.checked_sub(self.len()).filter(|count| *count > 0) else { return };
        let source = Source::Padding { id: pad_id, token: pad_token.clone(), count };
        let padding = Segment { special: true, attention: false, ..Segment::new(source, pad_type_id) };
        if left {
            self.segments.insert(0, padding);
            for (_, range) in &mut self.sequences {
                *range = range.start + count..range.end + count;
            }
        } else {
            self.segments.push(padding);
        }
    }

    /// The number of tokens here and in all overflowing parts, each counted as `length` at least.
    pub fn cells(&self, length: usize) -> u64 {
        let own = self.len().max(length) as u64;
        self.overflowing.iter().fold(own, |sum, part| sum.saturating_add(part.cells(length)))
    }
}

/// GPT-2's byte-level character for a space.
const BYTE_LEVEL_SPACE: char = '\u{120}';

fn trim_segments(segments: &mut [Segment], add_prefix_space: bool) {
    let mut begin = 0;
    for segment in segments {
        if let Source::Rows { range, .. } = &segment.source {
            let first = if begin == 0 { range.start } else { usize::MAX };
            segment.trims.push(Trim { add_prefix_space, first });
        }
        begin += segment.len();
    }
}

/// The offsets without the white space at the token's ends, by the reference's rule; `width` is what one space counts.
fn trimmed(span: Offsets, token: &str, add_prefix_space: bool, first: bool, width: impl Fn(char) -> usize + Copy) -> Offsets {
    let is_space = |character: &char| *character == BYTE_LEVEL_SPACE || crate::unicode::is_whitespace(*character);
    let leading: usize = token.chars().take_while(is_space).map(width).sum();
    let trailing: usize = token.chars().rev().take_while(is_space).map(width).sum();
    let one_leading = token.chars().take_while(is_space).nth(1).is_none();
    let (mut start, mut end) = span;
    // One leading space of the first token is the prefix that was added; more than one were there before.
    let is_added = (first || start == 0) && add_prefix_space && one_leading;
    if leading > 0 && !is_added {
        start = end.min(start + leading);
    }
    if trailing > 0 && end >= trailing {
        end = start.max(end - trailing);
    }
    (start, end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Details that are told by the id: token `t7`, offsets (7, 9), word 3.
    #[derive(Debug)]
    struct Told;

    impl Recipe for Told {
        fn details(&self, ids: &[u32]) -> Result<Details> {
            let offsets: Vec<(u32, u32)> = ids.iter().map(|&id| (id, id + 2)).collect();
            Ok(Details {
                tokens: ids.iter().map(|id| format!("t{id}")).collect(),
                byte_offsets: offsets.clone(),
                offsets,
                words: ids.iter().map(|&id| Some(id / 2)).collect(),
            })
        }
    }

    fn encoding(ids: Range<u32>, type_id: u32) -> Encoding {
        Encoding::from_rows(Rows::new(ids.collect(), Some(Box::new(Told))), type_id)
    }

    /// The naive twin: every column written out, every operation a copy.
    #[derive(Clone, Debug, Default, PartialEq)]
    #[allow(clippy::type_complexity)]
    struct Naive {
        rows: Vec<(u32, u32, String, Offsets, Option<u32>, u32, u32)>,
        sequences: Vec<(usize, Range<usize>)>,
        overflowing: Vec<Naive>,
    }

    impl Naive {
        fn of(encoding: &Encoding) -> Self {
            let (ids, type_ids) = (encoding.ids(), encoding.type_ids());
            let (tokens, offsets) = (encoding.tokens().unwrap(), encoding.offsets().unwrap());
            let words = encoding.word_ids().unwrap();
            let (special, attention) = (encoding.special_tokens_mask(), encoding.attention_mask());
            let row = |i: usize| (ids[i], type_ids[i], tokens[i].to_owned(), offsets[i], words[i], special[i], attention[i]);
            let mut sequences = encoding.sequences.clone();
            sequences.sort_by_key(|(index, _)| *index);
            Naive {
                rows: (0..encoding.len()).map(row).collect(),
                sequences,
                overflowing: encoding.overflowing.iter().map(Naive::of).collect(),
            }
        }

        fn truncate(&mut self, max_length: usize, stride: usize, left: bool) {
            let length = self.rows.len();
            if max_length >= length {
                return;
            }
            let mut parts = Vec::new();
            let (mut start, mut stop) = if left { (length - max_length, length) } else { (0, max_length) };
            loop {
                parts.push(Naive { rows: self.rows[start..stop].to_vec(), ..Naive::default() });
                if left && start > 0 {
                    stop = start + stride;
                    start = stop.saturating_sub(max_length);
                } else if !left && stop < length {
                    start = stop - stride;
                    stop = (start + max_length).min(length);
                } else {
                    break;
                }
            }
            *self = parts.remove(0);
            self.overflowing = parts;
        }

        fn merge_with(&mut self, other: &Naive, growing: bool) {
            let mut overflowing = Vec::new();
            for own in self.overflowing.iter().chain(std::iter::once(&*self)) {
                let is_whole = std::ptr::eq(own, self);
                let parts = other.overflowing.iter();
                for part in std::iter::once(other).filter(|_| !is_whole).chain(parts) {
                    let mut merged = own.clone();
                    merged.merge_with(part, growing);
                    overflowing.push(merged);
                }
            }
            let length = self.rows.len();
            let shift = if growing { self.rows.last().map_or(0, |row| row.3 .1) } else { 0 };
            for (index, range) in &other.sequences {
                self.sequences.retain(|(known, _)| known != index);
                self.sequences.push((*index, range.start + length..range.end + length));
            }
            self.sequences.sort_by_key(|(index, _)| *index);
            self.rows.extend(other.rows.iter().cloned().map(|mut row| {
                row.3 = (row.3 .0 + shift, row.3 .1 + shift);
                row
            }));
            self.overflowing = overflowing;
        }

        fn pad(&mut self, length: usize, left: bool) {
            self.overflowing.iter_mut().for_each(|part| part.pad(length, left));
            let count = length.saturating_sub(self.rows.len());
            let padding = vec![(9, 8, "[PAD]".to_owned(), (0, 0), None, 1, 0); count];
            let at = if left { 0 } else { self.rows.len() };
            self.rows.splice(at..at, padding);
            if left {
                self.sequences.iter_mut().for_each(|(_, range)| *range = range.start + count..range.end + count);
            }
        }
    }

    proptest! {
        #[test]
        fn segments_equal_columns(
            lengths in (0u32..12, 0u32..12),
            cut in (1usize..9, 0usize..8, any::<bool>()),
            pad in (0usize..24, any::<bool>()),
            growing in any::<bool>(),
        ) {
            let (max_length, stride, left) = (cut.0, cut.1.min(cut.0 - 1), cut.2);
            let direction = if left { TruncationDirection::Left } else { TruncationDirection::Right };
            let mut first = encoding(0..lengths.0, 0);
            let mut second = encoding(100..100 + lengths.1, 1);
            let (mut naive_first, mut naive_second) = (Naive::of(&first), Naive::of(&second));

            first.truncate(max_length, stride, direction).unwrap();
            second.truncate(max_length, stride, direction).unwrap();
            naive_first.truncate(max_length, stride, left);
            naive_second.truncate(max_length, stride, left);
            prop_assert_eq!(&Naive::of(&first), &naive_first);

            first.set_sequence_id(0);
            second.set_sequence_id(1);
            naive_first.sequences = vec![(0, 0..naive_first.rows.len())];
            naive_second.sequences = vec![(1, 0..naive_second.rows.len())];
            first.merge_with(second, growing).unwrap();
            naive_first.merge_with(&naive_second, growing);
            prop_assert_eq!(&Naive::of(&first), &naive_first);

            first.pad(pad.0, 9, 8, &"[PAD]".into(), pad.1);
            naive_first.pad(pad.0, pad.1);
            prop_assert_eq!(&Naive::of(&first), &naive_first);
        }
    }

    #[test]
    fn one_sequence_lends_its_ids() {
        assert!(matches!(encoding(0..3, 0).ids(), Cow::Borrowed([0, 1, 2])));
    }

    #[test]
    fn positions_are_found_in_their_sequence() {
        let mut pair = encoding(0..4, 0);
        pair.set_sequence_id(0);
        let mut second = encoding(4..8, 1);
        second.set_sequence_id(1);
        pair.merge_with(second, false).unwrap();
        assert_eq!(pair.sequence_ids(), [0, 0, 0, 0, 1, 1, 1, 1].map(Some));
        assert_eq!(pair.char_to_token(5, 1).unwrap(), Some(4));
        assert_eq!(pair.token_to_chars(5).unwrap(), Some((1, (5, 7))));
        assert_eq!(pair.word_to_tokens(1, 0).unwrap(), Some((2, 4)));
        assert_eq!(pair.word_to_chars(3, 1).unwrap(), Some((6, 9)));
        assert_eq!(pair.token_to_word(9).unwrap(), None);
        assert_eq!(pair.char_to_word(5, 1).unwrap(), Some(2));
    }

    #[test]
    fn a_stride_that_is_too_long_is_an_error() {
        let result = encoding(0..8, 0).truncate(2, 2, TruncationDirection::Right);
        assert!(matches!(result, Err(Error::Argument { name: "stride", .. })));
    }

    #[test]
    fn dropped_text_is_an_error() {
        let encoding = Encoding::from_rows(Rows::new(vec![1, 2], None), 0);
        assert!(matches!(encoding.offsets(), Err(Error::Argument { name: "keep_text", .. })));
        assert_eq!(*encoding.ids(), [1, 2]);
    }

    #[test]
    fn white_space_is_trimmed_from_offsets() {
        let trim = |span, token, first| trimmed(span, token, true, first, |_| 1);
        assert_eq!(trim((0, 6), "\u{120}Hello", true), (0, 6)); // the prefix that was added
        assert_eq!(trim((5, 8), "\u{120}my", false), (6, 8));
        assert_eq!(trim((0, 7), "\u{120}\u{120}Hello", true), (2, 7)); // one of them was there
        assert_eq!(trim((3, 6), "a\u{120}\u{120}", false), (3, 4));
        assert_eq!(trim((3, 5), "\u{120}\u{120}", false), (5, 5));
    }
}
