//! The walk along the ids of a text that finds where its tokens stand.
//!
//! [`walk`](crate::walk) tells for a pipeline how that can be done, and why it is right. Sections are found as they were when the text was
//! encoded. Words whose characters are all known are walked over token by token, in ASCII, or stretch by stretch between white
//! space; any other word runs through the stages by itself, with the full record, and must give the ids that come next. O(text), and
//! O(n log n) at most for the tokens of an odd word. The wrong choice where nearly all words are odd: the whole text at once costs less.

use std::ops::Range;

use super::{Scratch, StageScratch, SCANNED_PIECES};
use crate::models::TokenSink;
use crate::text::{Piece, Span};
use crate::tokenizer::Core;
use crate::unicode::{is_punctuation, is_whitespace};
use crate::walk::{Measures, Pieces, Plan, Walked, ODD, SPACE};
use crate::words::{Words, SPACE_SYMBOL};
use crate::{Error, Result};

/// One walk along the ids of a text. An error, of any kind, says that the way was lost.
pub(super) struct Walker<'w> {
    core: &'w Core,
    measures: Measures<'w>,
    /// Those behind which it has not come yet.
    ids: &'w [u32],
    /// How far it has come in the text.
    byte: usize,
    character: usize,
    walked: Walked,
    /// Where words end.
    ends: Vec<u32>,
    /// The character of each byte of a word.
    characters: Vec<u32>,
    is_lost: bool,
}

impl<'w> Walker<'w> {
    /// A walk along `ids`, which `core` gave.
    pub(super) fn new(core: &'w Core, ids: &'w [u32]) -> Self {
        Self {
            core,
            measures: core.walk.measures(core),
            ids,
            byte: 0,
            character: 0,
            walked: Walked { offsets: Vec::with_capacity(ids.len()), texts: Vec::new() },
            ends: Vec::new(),
            characters: Vec::new(),
            is_lost: false,
        }
    }

    /// Walks along `text`, whose ids they are.
    pub(super) fn walk(mut self, plan: &Plan, text: &str, split_special_tokens: bool, scratch: &mut Scratch) -> Result<Walked> {
        let Core { normalizer, added_tokens, .. } = self.core;
        // Added tokens that are found in the normalized text are found in the raw one only if that is the same.
        let keeps_ascii = matches!(plan, Plan::Tiles { keeps_ascii: true, .. });
        if normalizer.is_some() && added_tokens.has_normalized() && !(keeps_ascii && text.is_ascii()) {
            return Err(lost());
        }
        added_tokens.split_raw(text, split_special_tokens, |section| {
            let raw = &text[section.range.clone()];
            if section.range.start != self.byte {
                return Err(lost());
            }
            if let Some(id) = section.id {
                return self.added(id, raw);
            }
            added_tokens.split_normalized(raw, split_special_tokens, |section| {
                let part = &raw[section.range];
                match (section.id, plan) {
                    (Some(id), _) => self.added(id, part),
                    (None, Plan::Tiles { .. }) => self.tiles(plan, part),
                    (None, Plan::Words { pieces, ascii, moves }) => {
                        if *moves && part.chars().next().is_some_and(|first| self.is_odd(ascii, first)) {
                            return Err(lost());
                        }
                        self.words(*pieces, ascii, part, scratch)
                    }
                }
            })
        })?;
        if self.ids.is_empty() && self.byte == text.len() {
            Ok(self.walked)
        } else {
            Err(lost())
        }
    }

    /// Passes over text of so many characters.
    fn pass(&mut self, text: &str, characters: usize) {
        self.byte += text.len();
        self.character += characters;
    }

    fn added(&mut self, id: u32, text: &str) -> Result<()> {
        let Some((_, rest)) = self.ids.split_first().filter(|(first, _)| **first == id) else { return Err(lost()) };
        self.ids = rest;
        let characters = text.chars().count();
        if self.core.text_of_all(id) != Some(text) {
            self.walked.texts.push((self.walked.offsets.len() as u32, text.into()));
        }
        self.walked.offsets.push((self.character as u32, (self.character + characters) as u32));
        self.pass(text, characters);
        Ok(())
    }

    fn tiles(&mut self, plan: &Plan, section: &str) -> Result<()> {
        let Plan::Tiles { prefix, needs_ascii, may_read_like_bytes, .. } = plan else { return Err(lost()) };
        if *needs_ascii && !section.is_ascii() || *may_read_like_bytes && reads_like_bytes(section) {
            return Err(lost());
        }
        let characters = section.chars().count();
        let is_put = prefix.is_some_and(|prefix| prefix.is_put(section, self.byte));
        let offsets = &mut self.walked.offsets;
        self.measures.take(&mut self.ids, self.character, characters, is_put, offsets, |_, _, _, _| None).ok_or_else(lost)?;
        self.pass(section, characters);
        Ok(())
    }

    fn words(&mut self, pieces: Pieces, ascii: &[u8; 128], section: &str, scratch: &mut Scratch) -> Result<()> {
        let Some(cut) = &self.core.words else { return Err(lost()) };
        let mut ends = std::mem::take(&mut self.ends);
        let mut start = 0;
        while start < section.len() {
            ends.clear();
            let next = cut.scan(section, start, SCANNED_PIECES, &mut ends);
            let ends_up_to = |at: usize| ends.partition_point(|&end| end as usize <= at);
            let mut plain_end = start;
            while start < next {
                if plain_end <= start {
                    let is_plain = |byte: &u8| ascii.get(usize::from(*byte)).is_some_and(|&result| result != ODD);
                    let rest = &section.as_bytes()[start..next];
                    plain_end = start + rest.iter().position(|byte| !is_plain(byte)).unwrap_or(rest.len());
                }
                let end = ends[..ends_up_to(plain_end)].last().map_or(start, |&end| end as usize);
                if end > start {
                    let passed = self.plain_words(cut, pieces, ascii, &section[start..end]);
                    start += passed;
                    if start == end {
                        continue;
                    }
                }
                let end = ends.get(ends_up_to(start)).map_or(next, |&end| end as usize);
                let word = &section[start..end];
                let (ids, rows, texts) = (self.ids, self.walked.offsets.len(), self.walked.texts.len());
                if let Some(characters) = self.plain_word(cut, pieces, ascii, word) {
                    self.pass(word, characters);
                } else {
                    self.ids = ids;
                    self.walked.offsets.truncate(rows);
                    self.walked.texts.truncate(texts);
                    self.odd_word(word, scratch)?;
                }
                start = end;
            }
        }
        self.ends = ends;
        Ok(())
    }

    /// Whether nothing is known of what becomes of a character.
    fn is_odd(&self, ascii: &[u8; 128], character: char) -> bool {
        match ascii.get(character as usize) {
            Some(&result) => result == ODD,
            None => self.core.normalizer.as_ref().is_some_and(|normalizer| normalizer.one_for_one(character).is_none()),
        }
    }

    /// Takes the tokens of words of ASCII, nothing in which is odd, up to a word with a token that has no measure; returns where that
    /// begins. No token has white space in it, so each begins at the next character that is none.
    fn plain_words(&mut self, words: &Words, pieces: Pieces, ascii: &[u8; 128], text: &str) -> usize {
        let is_space = |byte: &u8| ascii.get(usize::from(*byte)) == Some(&SPACE);
        let bytes = text.as_bytes();
        let mut at = 0;
        // The beginning of the last word whose beginning was seen, and what was before it.
        let mut word = (0, self.ids, self.walked.offsets.len());
        loop {
            let spaces = bytes[at..].iter().take_while(|byte| is_space(byte)).count();
            if spaces > 0 && words.may_begin_with(bytes[at]) {
                word = (at, self.ids, self.walked.offsets.len());
            }
            at += spaces;
            // The last space of a run stands for U+2581.
            let is_run = spaces > 1 && words.has_runs();
            at -= usize::from(is_run);
            if at == bytes.len() {
                self.pass(text, bytes.len());
                return at;
            }
            let Some((&id, rest)) = self.ids.split_first() else { break };
            let Some(measure) = self.measures.of(id) else { break };
            let has_prefix = pieces == Pieces::Prefixed && measure.begins_piece && !is_run;
            let length = measure.characters - usize::from(has_prefix);
            if at + length > bytes.len() {
                break;
            }
            let start = self.character + at;
            self.walked.offsets.push((start as u32, (start + length.max(1)) as u32));
            self.ids = rest;
            at += length;
        }
        let (start, ids, rows) = word;
        self.ids = ids;
        self.walked.offsets.truncate(rows);
        self.pass(&text[..start], start);
        start
    }

    /// Takes the tokens of a word of each of whose characters it is known that one character becomes of it, or white space; returns
    /// how many those are.
    fn plain_word(&mut self, words: &Words, pieces: Pieces, ascii: &[u8; 128], word: &str) -> Option<usize> {
        let normalizer = self.core.normalizer.as_deref();
        let one_for_one = |character: char| match ascii.get(character as usize) {
            Some(&result) => Some(char::from(result)),
            None => match normalizer {
                Some(normalizer) => normalizer.one_for_one(character),
                None => Some(character),
            },
        };
        let (bytes, mut at, mut character) = (word.as_bytes(), 0, 0);
        // Where the characters begin that were kept since the last white space, and how many they are.
        let (mut start, mut kept) = (0, 0);
        let has_runs = words.has_runs();
        let mut spaces = 0;
        loop {
            let next = at;
            let result = match bytes.get(at) {
                None => SPACE,
                Some(&byte) => match ascii.get(usize::from(byte)) {
                    Some(&result) => {
                        at += 1;
                        result
                    }
                    None => {
                        let character = word[at..].chars().next()?;
                        at += character.len_utf8();
                        match one_for_one(character)? {
                            SPACE_SYMBOL => ODD,
                            one if has_runs && is_whitespace(one) && one != ' ' => ODD,
                            one if is_whitespace(one) => SPACE,
                            _ => b'x',
                        }
                    }
                },
            };
            match result {
                ODD => return None,
                SPACE => {
                    if kept > 0 {
                        let stretch = Stretch { text: &word[start..next], characters: kept, passed: (0, 0) };
                        self.stretch(pieces, stretch, self.character + character - kept, one_for_one)?;
                    }
                    (start, kept) = (at, 0);
                    if next == word.len() {
                        return Some(character);
                    }
                    spaces += 1;
                    if has_runs && spaces > 1 {
                        return None;
                    }
                }
                _ => (spaces, kept) = (0, kept + 1),
            }
            character += 1;
        }
    }

    /// Takes the tokens of a stretch without white space that begins at a character.
    #[inline(always)]
    fn stretch(
        &mut self,
        pieces: Pieces,
        mut stretch: Stretch<'_>,
        start: usize,
        one_for_one: impl Fn(char) -> Option<char>,
    ) -> Option<()> {
        let Self { core, measures, ids, walked, .. } = self;
        let Walked { offsets, texts } = walked;
        let characters = stretch.characters;
        let first_that_is_token = |token: &str| {
            let first = token.chars().next()?;
            core.model.token_to_id(first.encode_utf8(&mut [0; 4])).filter(|id| !core.model.is_unknown(*id)).map(|_| first)
        };
        let unknown = |id: u32, rest: &[u32], before: usize, row: usize| {
            if !core.model.is_unknown(id) {
                return None;
            }
            match pieces {
                Pieces::Other => None,
                Pieces::Bert => {
                    let text = stretch.pass(before);
                    let is_piece = |character: &char| {
                        let isolates = core.normalizer.as_ref().is_some_and(|normalizer| normalizer.isolates(*character));
                        isolates || one_for_one(*character).is_none_or(is_punctuation)
                    };
                    let first = text.chars().next()?;
                    Some(if is_piece(&first) { 1 } else { text.chars().take_while(|character| !is_piece(character)).count() })
                }
                Pieces::Prefixed => {
                    let rest_length = (characters + 1).checked_sub(before)?;
                    let length = match rest.first().filter(|next| measures.begins_piece(**next) != Some(true)) {
                        None => rest_length,
                        // No character that is a token is part of an unknown one.
                        Some(&next) => {
                            match core.model.id_to_token(next).filter(|_| measures.has(next)).and_then(first_that_is_token) {
                                Some(first) => stretch
                                    .pass(before.checked_sub(1)?)
                                    .chars()
                                    .position(|character| one_for_one(character) == Some(first))?,
                                None => rest_length.checked_sub(measures.up_to_next_piece(rest)?)?,
                            }
                        }
                    };
                    // But for the one that is spelled out: it is a piece like others, and its characters may be tokens.
                    let spelling = core.model.id_to_token(id).unwrap_or_default();
                    let reach = length + spelling.chars().count();
                    let mut text: String =
                        stretch.pass(before.checked_sub(1)?).chars().take(reach).map_while(&one_for_one).collect();
                    if text.contains(spelling) {
                        return None;
                    }
                    text.truncate(text.char_indices().nth(length).map_or(text.len(), |(end, _)| end));
                    texts.push((row as u32, text.into()));
                    Some(length).filter(|length| *length > 0)
                }
            }
        };
        measures.take(ids, start, characters, pieces == Pieces::Prefixed, offsets, unknown)
    }

    /// Encodes a word with the full record and takes its tokens.
    fn odd_word(&mut self, word: &str, scratch: &mut Scratch) -> Result<()> {
        let Core { normalizer, pre_tokenizer, model, .. } = self.core;
        let Scratch { tracked, normalizer: normalizer_scratch, model: model_scratch, .. } = scratch;
        let StageScratch { text: normalized, pre_tokenizer: pre_tokenizer_scratch, .. } = tracked;
        normalized.reset(word, self.byte);
        if let Some(normalizer) = normalizer {
            normalizer.normalize(normalized, normalizer_scratch)?;
        }
        self.characters.clear();
        for (index, character) in (self.character as u32..).zip(word.chars()) {
            self.characters.extend(std::iter::repeat_n(index, character.len_utf8()));
        }
        let characters = self.characters.last().map_or(0, |last| last + 1 - self.character as u32);
        let mut tokenize =
            |piece: Piece<'_, Span>| model.tokenize(piece.text, 0, model_scratch, &mut WalkSink { walker: self, piece });
        match pre_tokenizer {
            Some(pre_tokenizer) => pre_tokenizer.pre_tokenize(normalized.as_piece(), pre_tokenizer_scratch, &mut tokenize)?,
            None => tokenize(normalized.as_piece())?,
        }
        if self.is_lost {
            return Err(lost());
        }
        self.pass(word, characters as usize);
        Ok(())
    }
}

/// A text without white space.
struct Stretch<'t> {
    text: &'t str,
    characters: usize,
    /// How many of its characters, and their bytes, were passed over.
    passed: (usize, usize),
}

impl<'t> Stretch<'t> {
    /// What is behind so many characters, not fewer than were asked for before.
    fn pass(&mut self, characters: usize) -> &'t str {
        let rest = &self.text[self.passed.1..];
        let more = rest.char_indices().nth(characters.saturating_sub(self.passed.0)).map_or(rest.len(), |(start, _)| start);
        self.passed = (characters, self.passed.1 + more);
        &rest[more..]
    }
}

/// Takes the tokens of a piece of an odd word.
struct WalkSink<'s, 'w, 'p> {
    walker: &'s mut Walker<'w>,
    piece: Piece<'p, Span>,
}

impl TokenSink for WalkSink<'_, '_, '_> {
    fn token(&mut self, id: u32, range: Range<usize>, surface: bool) {
        let Walker { core, measures, ids, byte, walked, characters, is_lost, .. } = &mut *self.walker;
        let next = ids.split_first().filter(|(first, _)| **first == id);
        // The characters of the first and the last byte.
        let of_byte = |at: usize| characters.get(at.checked_sub(*byte)?).copied();
        let ends = self
            .piece
            .source(range.clone())
            .and_then(|source| Some((of_byte(source.start)?, of_byte(source.end.checked_sub(1)?)? + 1)));
        let (Some((_, rest)), Some(ends)) = (next, ends) else {
            *is_lost = true;
            return;
        };
        *ids = rest;
        if !measures.has(id) && core.text_of_all(id).is_none() {
            let text = if surface { self.piece.text.get(range) } else { core.model.id_to_token(id) };
            walked.texts.push((walked.offsets.len() as u32, text.unwrap_or_default().into()));
        }
        walked.offsets.push(ends);
    }
}

#[cold]
fn lost() -> Error {
    Error::Internal(String::new())
}

/// Whether a text has something like the name of a byte's token.
fn reads_like_bytes(text: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), b"<0x").is_some()
}
