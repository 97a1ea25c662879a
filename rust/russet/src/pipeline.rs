//! From a text to tokens: the stages before truncation, run once, with or without the record of where each token comes from.
//!
//! What is collected is a type parameter ([`Collector`]): ids alone, their number, or all details. Sections and pieces stream
//! through; no list of them is made. The buffers of a thread are kept and reused, unless a long text made them large.

use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use crate::cached::{self, BatchScratch, IdSink};
use crate::cuts::Begin;
use crate::encoding::{Details, Recipe, Rows};
use crate::models::{Model, ModelScratch, TokenSink};
use crate::normalizers::{Normalizer, NormalizerScratch};
use crate::piece_cache::PieceKind;
use crate::pre_tokenizers::{PreTokenizer, PreTokenizerScratch};
use crate::text::{Align, NormalizedText, Piece, Span};
use crate::tokenizer::{Core, EncodeOptions, Input, Keep, PieceToken, Watch};
use crate::unicode::{is_punctuation, is_whitespace};
use crate::walk::{Measures, Pieces, Plan, Walked, ODD, SPACE, SPACE_SYMBOL};
use crate::words::Words;
use crate::{Error, Result, StringList};

/// Buffers are kept from call to call up to texts of this length.
const KEPT_TEXT_BYTES: usize = 1 << 20;

/// [`Watch::check`] is called each time that this many bytes of pieces were tokenized.
const WATCH_BYTES: usize = 1 << 18;

/// How many pieces or words are cut before they are tokenized.
const SCANNED_PIECES: usize = 512;

/// The longest section that is scanned: the ends of pieces are 32-bit.
const MAX_SCANNED_BYTES: usize = u32::MAX as usize;

/// Offsets are 32-bit, and so is the length of all tokens' texts together.
const DETAILS_LIMIT_BYTES: usize = 1 << 30;

/// Takes the tokens of a text.
trait Collector<A: Align> {
    /// Takes ids, for a collector that takes nothing else.
    type Ids: IdSink;

    /// Takes an added token: its text in the section and the bytes of the input that it stands for.
    fn added(&mut self, id: u32, text: &str, source: Option<Range<usize>>);
    /// Tokenizes a piece and takes its tokens.
    fn piece(&mut self, core: &Core, piece: Piece<'_, A>, seed: u64, scratch: &mut ModelScratch) -> Result<()>;
    /// What takes the ids, if ids are all that is wanted.
    fn ids(&mut self) -> Option<&mut Self::Ids>;
}

/// Takes ids, or counts them.
struct IdCollector<S>(S);

impl<S: IdSink> Collector<()> for IdCollector<S> {
    type Ids = S;

    fn added(&mut self, id: u32, _: &str, _: Option<Range<usize>>) {
        self.0.take_ids(&[id]);
    }

    #[inline]
    fn piece(&mut self, core: &Core, piece: Piece<'_, ()>, seed: u64, scratch: &mut ModelScratch) -> Result<()> {
        core.model.ids(piece.text, seed, &core.cache, scratch, &mut self.0)
    }

    fn ids(&mut self) -> Option<&mut S> {
        Some(&mut self.0)
    }
}

/// Ranges that follow one another.
fn ranges(mut start: usize, ends: &[u32]) -> impl Iterator<Item = Range<usize>> + '_ {
    ends.iter().map(move |&end| std::mem::replace(&mut start, end as usize)..end as usize)
}

#[derive(Default)]
struct DetailCollector {
    ids: Vec<u32>,
    details: Details,
    word: u32,
    /// Whether all tokens get the same word id, given by the caller.
    is_word: bool,
}

impl DetailCollector {
    fn push(&mut self, id: u32, text: &str, source: Range<usize>) {
        self.ids.push(id);
        self.details.tokens.push(text);
        self.details.byte_offsets.push((source.start as u32, source.end as u32));
        self.details.words.push(Some(self.word));
    }

    fn next_word(&mut self) {
        self.word += u32::from(!self.is_word);
    }
}

impl Collector<Span> for DetailCollector {
    type Ids = Vec<u32>;

    fn added(&mut self, id: u32, text: &str, source: Option<Range<usize>>) {
        self.push(id, text, source.unwrap_or_default());
        self.next_word();
    }

    fn piece(&mut self, core: &Core, piece: Piece<'_, Span>, seed: u64, scratch: &mut ModelScratch) -> Result<()> {
        let model = &core.model;
        model.tokenize(piece.text, seed, scratch, &mut DetailSink { collector: self, model, piece })?;
        self.next_word();
        Ok(())
    }

    fn ids(&mut self) -> Option<&mut Vec<u32>> {
        None
    }
}

/// Takes the tokens of one piece for a [`DetailCollector`].
struct DetailSink<'c, 'p> {
    collector: &'c mut DetailCollector,
    model: &'c Model,
    piece: Piece<'p, Span>,
}

impl TokenSink for DetailSink<'_, '_> {
    fn token(&mut self, id: u32, range: Range<usize>, surface: bool) {
        let text = if surface {
            self.piece.text.get(range.clone()).unwrap_or_default()
        } else {
            self.model.id_to_token(id).unwrap_or_default()
        };
        // An empty token stands at its place in the piece, counted from the piece's own start, as in the reference.
        let base = self.piece.align.first().map_or(0, |span| span.start as usize);
        let source = self.piece.source(range.clone()).unwrap_or(base + range.start..base + range.end);
        self.collector.push(id, text, source);
    }
}

/// The buffers of one mode.
#[derive(Default)]
struct StageScratch<A: Align> {
    text: NormalizedText<A>,
    pre_tokenizer: PreTokenizerScratch<A>,
    /// Records of a text that is used as it is, where nothing is recorded: takes no memory.
    blank: Vec<A>,
    /// Where pieces or words end.
    ends: Vec<u32>,
    /// The buffers for looking words up.
    batch: BatchScratch,
}

/// The buffers of a thread.
#[derive(Default)]
struct Scratch {
    plain: StageScratch<()>,
    tracked: StageScratch<Span>,
    normalizer: NormalizerScratch,
    model: ModelScratch,
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Runs `work` with the thread's buffers. A nested or a failed call starts with new ones.
fn with_scratch<T>(text_length: usize, work: impl FnOnce(&mut Scratch) -> Result<T>) -> Result<T> {
    let mut scratch = SCRATCH.try_with(Cell::take).ok().flatten().unwrap_or_default();
    let result = work(&mut scratch);
    if text_length <= KEPT_TEXT_BYTES && result.is_ok() {
        // Without thread-local storage (the thread is ending) the buffers are just dropped.
        let _ = SCRATCH.try_with(|cell| cell.set(Some(scratch)));
    }
    result
}

/// One run of the stages over a text.
struct Run<'r> {
    core: &'r Core,
    begin: Begin,
    split_special_tokens: bool,
    seed: u64,
    watch: Option<&'r dyn Watch>,
}

impl Run<'_> {
    fn collect<A: Align, C: Collector<A>>(
        &self,
        text: &str,
        stages: &mut StageScratch<A>,
        normalizer_scratch: &mut NormalizerScratch,
        model_scratch: &mut ModelScratch,
        collector: &mut C,
    ) -> Result<()> {
        let Core { normalizer, pre_tokenizer, model, added_tokens, words, .. } = self.core;
        // Added tokens that are found in the normalized text may lie across words.
        let words = words.as_ref().filter(|_| !added_tokens.has_normalized());
        let scanner = pre_tokenizer.as_ref().and_then(|pre_tokenizer| pre_tokenizer.scanner()).filter(|_| !model.is_random());
        let mut seed = self.seed;
        let mut watched = Watched { watch: self.watch, bytes: 0 };
        added_tokens.split_raw(text, self.split_special_tokens, |section| {
            let raw = &text[section.range.clone()];
            if let Some(id) = section.id {
                collector.added(id, raw, Some(section.range));
                return Ok(());
            }
            if let (Some(words), Some(ids)) = (words.filter(|_| raw.len() <= MAX_SCANNED_BYTES), collector.ids()) {
                let first = match (section.range.start, self.begin) {
                    (0, Begin::Input) => PieceKind::FirstOfInput,
                    (0, Begin::Inside) => PieceKind::Word,
                    _ => PieceKind::FirstWord,
                };
                return self.words(words, raw, first, stages, normalizer_scratch, model_scratch, &mut watched, ids);
            }
            let StageScratch { text: normalized, pre_tokenizer: pre_tokenizer_scratch, blank, ends, .. } = &mut *stages;
            let whole = if A::TRACKED || normalizer.is_some() {
                normalized.reset(raw, section.range.start);
                if let Some(normalizer) = normalizer {
                    normalizer.normalize(normalized, normalizer_scratch)?;
                    normalized.release_spare(KEPT_TEXT_BYTES);
                }
                normalized.as_piece()
            } else {
                blank.resize(raw.len(), A::default());
                let first = raw.chars().next().map_or(0, char::len_utf8);
                Piece { text: raw, align: blank, front: if section.range.start == 0 { first } else { 0 }, hollow: 0 }
            };
            added_tokens.split_normalized(whole.text, self.split_special_tokens, |section| {
                let section_piece = whole.slice(section.range);
                if let Some(id) = section.id {
                    collector.added(id, section_piece.text, section_piece.source(0..section_piece.text.len()));
                    return Ok(());
                }
                let text = section_piece.text;
                if let (Some(scanner), Some(ids)) = (scanner.filter(|_| text.len() <= MAX_SCANNED_BYTES), collector.ids()) {
                    let mut start = 0;
                    while start < text.len() {
                        ends.clear();
                        let end = scanner.scan(text, start, SCANNED_PIECES, ends);
                        model.ids_of_pieces(text, ranges(start, ends), &self.core.cache, model_scratch, ids)?;
                        watched.add(end - start)?;
                        start = end;
                    }
                    return Ok(());
                }
                let mut tokenize = |piece: Piece<'_, A>| {
                    watched.add(piece.text.len())?;
                    seed = seed.wrapping_add(SEED_STEP);
                    collector.piece(self.core, piece, seed, model_scratch)
                };
                match pre_tokenizer {
                    Some(pre_tokenizer) => pre_tokenizer.pre_tokenize(section_piece, pre_tokenizer_scratch, &mut tokenize),
                    None => tokenize(section_piece),
                }
            })
        })
    }

    /// Gives the ids of a section to `ids`, word by word.
    #[allow(clippy::too_many_arguments)] // the buffers of three rooms
    fn words<A: Align, S: IdSink>(
        &self,
        words: &Words,
        text: &str,
        first_kind: PieceKind,
        stages: &mut StageScratch<A>,
        normalizer_scratch: &mut NormalizerScratch,
        model_scratch: &mut ModelScratch,
        watched: &mut Watched<'_>,
        ids: &mut S,
    ) -> Result<()> {
        let Core { normalizer, pre_tokenizer, model, cache, .. } = self.core;
        let StageScratch { text: normalized, pre_tokenizer: pre_tokenizer_scratch, ends, batch, .. } = stages;
        let mut work_out = |normalizer: &Option<Arc<Normalizer>>, word: &str, offset: usize, ids: &mut Vec<u32>| {
            normalized.reset(word, offset);
            if let Some(normalizer) = normalizer {
                normalizer.normalize(normalized, normalizer_scratch)?;
            }
            let mut tokenize = |piece: Piece<'_, A>| {
                watched.add(piece.text.len())?;
                model.ids_in_word(piece.text, cache, model_scratch, ids)
            };
            match pre_tokenizer {
                Some(pre_tokenizer) => pre_tokenizer.pre_tokenize(normalized.as_piece(), pre_tokenizer_scratch, &mut tokenize),
                None => tokenize(normalized.as_piece()),
            }
        };
        ends.clear();
        let mut start = Words::scan(text, 0, 1, ends);
        let mut first = 0;
        for &end in ends.iter() {
            // Where several cuts were found at once, all but the first word are like the others.
            let kind = if first == 0 { first_kind } else { PieceKind::Word };
            let (normalizer, offset) = match kind {
                PieceKind::FirstOfInput => (normalizer, 0),
                PieceKind::Word => (&words.normalizer, 1),
                _ => (normalizer, 1),
            };
            let word = &text[first..end as usize];
            cached::ids_of_piece(cache, kind, word, batch, ids, |word, ids| work_out(normalizer, word, offset, ids))?;
            first = end as usize;
        }
        while start < text.len() {
            ends.clear();
            let end = Words::scan(text, start, SCANNED_PIECES, ends);
            let pieces = ranges(start, ends);
            let other = cached::each(|word, ids| work_out(&words.normalizer, word, 1, ids));
            cached::ids_of_pieces(cache, PieceKind::Word, text, pieces, batch, ids, other)?;
            start = end;
        }
        Ok(())
    }
}

/// Counts bytes until it is time to ask whether to go on.
struct Watched<'w> {
    watch: Option<&'w dyn Watch>,
    bytes: usize,
}

impl Watched<'_> {
    #[inline]
    fn add(&mut self, bytes: usize) -> Result<()> {
        self.bytes += bytes;
        if self.bytes < WATCH_BYTES {
            return Ok(());
        }
        self.bytes = 0;
        self.watch.map_or(Ok(()), Watch::check)
    }
}

/// The odd step of the Weyl sequence of seeds, one for each piece: 2^64 divided by the golden ratio.
const SEED_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A seed that no other call of this process gets, and that differs from process to process.
fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(NEXT.fetch_add(1, Ordering::Relaxed));
    hasher.finish()
}

/// Calls `each` for the text, or for each word with its index.
fn for_each_text(input: Input<'_>, mut each: impl FnMut(Option<u32>, &str) -> Result<()>) -> Result<()> {
    match input {
        Input::Text(text) => each(None, text),
        Input::Words(words) => words.iter().enumerate().try_for_each(|(index, word)| each(Some(index as u32), word)),
    }
}

/// The ids of a text, or their number, without special tokens. Not for models whose tokens are drawn.
pub(crate) fn ids_of_text<S: IdSink>(
    core: &Core,
    text: &str,
    begin: Begin,
    split_special_tokens: bool,
    watch: Option<&dyn Watch>,
) -> Result<S> {
    let run = Run { core, begin, split_special_tokens, seed: 0, watch };
    with_scratch(text.len(), |scratch| {
        let mut collector = IdCollector(S::for_bytes(text.len()));
        run.collect(text, &mut scratch.plain, &mut scratch.normalizer, &mut scratch.model, &mut collector)?;
        Ok(collector.0)
    })
}

/// The ids of a sequence, or their number, without special tokens.
fn ids<S: IdSink>(core: &Core, input: Input<'_>, seed: u64, options: &EncodeOptions<'_>) -> Result<S> {
    let run = Run { core, begin: Begin::Input, split_special_tokens: options.split_special_tokens, seed, watch: options.watch };
    with_scratch(input.len(), |scratch| {
        let mut collector = IdCollector(S::for_bytes(input.len()));
        for_each_text(input, |_, text| {
            run.collect(text, &mut scratch.plain, &mut scratch.normalizer, &mut scratch.model, &mut collector)
        })?;
        Ok(collector.0)
    })
}

fn seed(core: &Core) -> u64 {
    if core.model.is_random() {
        fresh_seed()
    } else {
        0
    }
}

/// The tokens of a sequence, without special tokens.
pub(crate) fn encode(core: &Core, input: Input<'_>, options: &EncodeOptions<'_>) -> Result<Rows> {
    let seed = seed(core);
    Ok(rows(core, input, ids(core, input, seed, options)?, seed, options))
}

/// The tokens of a sequence whose ids are known.
pub(crate) fn rows(core: &Core, input: Input<'_>, ids: Vec<u32>, seed: u64, options: &EncodeOptions<'_>) -> Rows {
    match options.keep {
        Keep::Nothing => Rows::new(ids, None),
        Keep::Blanks => Rows::blank(ids),
        Keep::Text => {
            let (core, text) = (core.clone(), KeptText::new(input));
            let kept = KeptInput { core, text, split_special_tokens: options.split_special_tokens, seed };
            Rows::new(ids, Some(Box::new(kept)))
        }
    }
}

/// The number of tokens of a sequence, without special tokens.
pub(crate) fn count(core: &Core, input: Input<'_>, options: &EncodeOptions<'_>) -> Result<usize> {
    ids(core, input, seed(core), options)
}

/// A copy of an input.
#[derive(Debug)]
enum KeptText {
    Text(Box<str>),
    Words(Vec<Box<str>>),
}

impl KeptText {
    fn new(input: Input<'_>) -> Self {
        match input {
            Input::Text(text) => Self::Text(text.into()),
            Input::Words(words) => Self::Words(words.iter().map(|word| (*word).into()).collect()),
        }
    }
}

/// An input and all that is needed to encode it once more.
#[derive(Debug)]
struct KeptInput {
    core: Core,
    text: KeptText,
    split_special_tokens: bool,
    seed: u64,
}

impl Recipe for KeptInput {
    fn walk(&self, ids: &[u32]) -> Option<Walked> {
        let (KeptText::Text(text), Some(plan)) = (&self.text, &self.core.walk.plan) else { return None };
        if text.len() > DETAILS_LIMIT_BYTES {
            return None;
        }
        let core = &self.core;
        let mut walker = Walker {
            core,
            measures: core.walk.measures(core),
            ids,
            byte: 0,
            character: 0,
            walked: Walked { offsets: Vec::with_capacity(ids.len()), texts: Vec::new() },
            ends: Vec::new(),
            characters: Vec::new(),
            is_lost: false,
        };
        let walked = with_scratch(text.len(), |scratch| {
            let Scratch { tracked, normalizer, model, .. } = scratch;
            walker.walk(plan, text, self.split_special_tokens, tracked, normalizer, model)
        });
        walked.is_ok().then_some(walker.walked)
    }

    fn text_of_all(&self, id: u32) -> Option<&str> {
        self.core.text_of_all(id)
    }

    fn core(&self) -> Option<&Core> {
        Some(&self.core)
    }

    fn details(&self, ids: &[u32]) -> Result<Details> {
        let words: Vec<&str>;
        let input = match &self.text {
            KeptText::Text(text) => Input::Text(text),
            KeptText::Words(kept) => {
                words = kept.iter().map(|word| &**word).collect();
                Input::Words(&words)
            }
        };
        if input.len() > DETAILS_LIMIT_BYTES {
            let (value, limit) = (input.len() as u64, DETAILS_LIMIT_BYTES as u64);
            return Err(Error::Limit { what: "the length in bytes of a text whose offsets are asked for", value, limit });
        }
        let Self { core, split_special_tokens, seed, .. } = self;
        let (split_special_tokens, seed) = (*split_special_tokens, *seed);
        let run = Run { core, begin: Begin::Input, split_special_tokens, seed, watch: None };
        let mut collector = DetailCollector::default();
        with_scratch(input.len(), |scratch| {
            for_each_text(input, |word, text| {
                collector.is_word = word.is_some();
                collector.word = word.unwrap_or(0);
                let begin = collector.ids.len();
                run.collect(text, &mut scratch.tracked, &mut scratch.normalizer, &mut scratch.model, &mut collector)?;
                let Details { byte_offsets, offsets, .. } = &mut collector.details;
                to_characters(text, &byte_offsets[begin..], offsets);
                Ok(())
            })
        })?;
        debug_assert_eq!(collector.ids, ids, "the run with details gives other ids");
        Ok(collector.details)
    }
}

/// One walk along the ids of a text. An error, of any kind, says that the way was lost.
struct Walker<'w> {
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

impl Walker<'_> {
    fn walk(
        &mut self,
        plan: &Plan,
        text: &str,
        split_special_tokens: bool,
        stages: &mut StageScratch<Span>,
        normalizer_scratch: &mut NormalizerScratch,
        model_scratch: &mut ModelScratch,
    ) -> Result<()> {
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
                        self.words(*pieces, ascii, part, stages, normalizer_scratch, model_scratch)
                    }
                }
            })
        })?;
        if self.ids.is_empty() && self.byte == text.len() {
            Ok(())
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

    fn words(
        &mut self,
        pieces: Pieces,
        ascii: &[u8; 128],
        section: &str,
        stages: &mut StageScratch<Span>,
        normalizer_scratch: &mut NormalizerScratch,
        model_scratch: &mut ModelScratch,
    ) -> Result<()> {
        let mut ends = std::mem::take(&mut self.ends);
        let mut start = 0;
        while start < section.len() {
            ends.clear();
            let next = Words::scan(section, start, SCANNED_PIECES, &mut ends);
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
                    let passed = self.plain_words(pieces, ascii, &section[start..end]);
                    start += passed;
                    if start == end {
                        continue;
                    }
                }
                let end = ends.get(ends_up_to(start)).map_or(next, |&end| end as usize);
                let word = &section[start..end];
                let (ids, rows, texts) = (self.ids, self.walked.offsets.len(), self.walked.texts.len());
                if let Some(characters) = self.plain_word(pieces, ascii, word) {
                    self.pass(word, characters);
                } else {
                    self.ids = ids;
                    self.walked.offsets.truncate(rows);
                    self.walked.texts.truncate(texts);
                    self.odd_word(word, stages, normalizer_scratch, model_scratch)?;
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
    fn plain_words(&mut self, pieces: Pieces, ascii: &[u8; 128], text: &str) -> usize {
        let is_space = |byte: &u8| ascii.get(usize::from(*byte)) == Some(&SPACE);
        let bytes = text.as_bytes();
        let mut at = 0;
        // The beginning of the last word whose beginning was seen, and what was before it.
        let mut word = (0, self.ids, self.walked.offsets.len());
        loop {
            let spaces = bytes[at..].iter().take_while(|byte| is_space(byte)).count();
            if spaces > 0 && bytes[at] == b' ' {
                word = (at, self.ids, self.walked.offsets.len());
            }
            at += spaces;
            if at == bytes.len() {
                self.pass(text, bytes.len());
                return at;
            }
            let Some((&id, rest)) = self.ids.split_first() else { break };
            let Some(measure) = self.measures.of(id) else { break };
            let has_prefix = pieces == Pieces::Prefixed && measure.begins_piece;
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
    fn plain_word(&mut self, pieces: Pieces, ascii: &[u8; 128], word: &str) -> Option<usize> {
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
                }
                _ => kept += 1,
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
                    let text: String = stretch.pass(before.checked_sub(1)?).chars().take(length).map_while(&one_for_one).collect();
                    texts.push((row as u32, text.into()));
                    Some(length).filter(|length| *length > 0)
                }
            }
        };
        measures.take(ids, start, characters, pieces == Pieces::Prefixed, offsets, unknown)
    }

    /// Encodes a word with the full record and takes its tokens.
    fn odd_word(
        &mut self,
        word: &str,
        stages: &mut StageScratch<Span>,
        normalizer_scratch: &mut NormalizerScratch,
        model_scratch: &mut ModelScratch,
    ) -> Result<()> {
        let Core { normalizer, pre_tokenizer, model, .. } = self.core;
        let StageScratch { text: normalized, pre_tokenizer: pre_tokenizer_scratch, .. } = stages;
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

/// Appends byte ranges of `text` as character ranges. A position inside a character counts as that character; a range that
/// starts behind the text stays as it is, as in the reference.
fn to_characters(text: &str, ranges: &[(u32, u32)], characters: &mut Vec<(u32, u32)>) {
    if text.is_ascii() {
        characters.extend_from_slice(ranges);
        return;
    }
    let mut index_of_byte = Vec::with_capacity(text.len() + 1);
    for (index, character) in text.chars().enumerate() {
        index_of_byte.extend(std::iter::repeat_n(index as u32, character.len_utf8()));
    }
    let length = index_of_byte.last().map_or(0, |last| last + 1);
    characters.extend(ranges.iter().map(|&(start, end)| match index_of_byte.get(start as usize) {
        None => (start, end),
        Some(&first) => (first, index_of_byte.get(end as usize).copied().unwrap_or(length)),
    }));
}

/// What the normalizer alone makes of a text.
pub(crate) fn normalize(normalizer: Option<&Normalizer>, text: &str) -> Result<String> {
    let mut normalized = NormalizedText::<()>::new();
    normalized.reset(text, 0);
    if let Some(normalizer) = normalizer {
        normalizer.normalize(&mut normalized, &mut NormalizerScratch::default())?;
    }
    Ok(normalized.text().to_owned())
}

/// The pieces that a pre-tokenizer alone makes of a text, with their ranges in characters.
pub(crate) fn pieces(pre_tokenizer: Option<&PreTokenizer>, text: &str) -> Result<Vec<(String, (usize, usize))>> {
    let mut whole = NormalizedText::<Span>::new();
    whole.reset(text, 0);
    let mut texts = StringList::new();
    let mut ranges = Vec::new();
    let mut emit = |piece: Piece<'_, Span>| {
        let source = piece.source(0..piece.text.len()).unwrap_or_default();
        texts.push(piece.text);
        ranges.push((source.start as u32, source.end as u32));
        Ok(())
    };
    match pre_tokenizer {
        Some(pre_tokenizer) => pre_tokenizer.pre_tokenize(whole.as_piece(), &mut PreTokenizerScratch::default(), &mut emit)?,
        None if text.is_empty() => {}
        None => emit(whole.as_piece())?,
    }
    let mut characters = Vec::with_capacity(ranges.len());
    to_characters(text, &ranges, &mut characters);
    let ranges = characters.into_iter().map(|(start, end)| (start as usize, end as usize));
    Ok(texts.iter().map(str::to_owned).zip(ranges).collect())
}

/// The tokens that a model alone makes of a piece: id, text, byte range.
pub(crate) fn tokenize(model: &Model, piece: &str) -> Result<Vec<PieceToken>> {
    let mut text = NormalizedText::<Span>::new();
    text.reset(piece, 0);
    let mut collector = TokenList { tokens: Vec::new(), piece, model };
    model.tokenize(piece, fresh_seed(), &mut ModelScratch::default(), &mut collector)?;
    Ok(collector.tokens)
}

struct TokenList<'t> {
    tokens: Vec<PieceToken>,
    piece: &'t str,
    model: &'t Model,
}

impl TokenSink for TokenList<'_> {
    fn token(&mut self, id: u32, range: Range<usize>, surface: bool) {
        let text = if surface {
            self.piece.get(range.clone()).unwrap_or_default()
        } else {
            self.model.id_to_token(id).unwrap_or_default()
        };
        self.tokens.push((id, text.to_owned(), (range.start, range.end)));
    }
}
