//! From a text to tokens: the stages before truncation, run once, with or without the record of where each token comes from.
//!
//! What is collected is a type parameter ([`Collector`]): ids alone, their number, or all details. Sections and pieces stream
//! through; no list of them is made. The buffers of a thread are kept and reused, unless a long text made them large.

mod singles;
mod walker;

use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use crate::cached::{self, BatchScratch, IdLists, IdSink};
use crate::cuts::Begin;
use crate::encoding::{Details, Recipe, Rows};
use crate::models::{Model, ModelScratch, TokenSink};
use crate::normalizers::{Normalizer, NormalizerScratch};
use crate::piece_cache::PieceKind;
use crate::pre_tokenizers::{PreTokenizer, PreTokenizerScratch};
use crate::text::{Align, NormalizedText, Piece, Span};
use crate::tokenizer::{Core, EncodeOptions, Input, Keep, PieceToken, Watch};
use crate::walk::Walked;
use crate::words::Words;
use crate::{Error, Result, StringList};
pub(crate) use singles::Singles;
use walker::Walker;

/// Buffers are kept from call to call up to texts of this length.
const KEPT_TEXT_BYTES: usize = 1 << 20;

/// [`Watch::check`] is called each time that this many bytes of pieces were tokenized.
const WATCH_BYTES: usize = 1 << 18;

/// How many pieces or words are cut before they are tokenized.
const SCANNED_PIECES: usize = 2048;

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
        let mut work_out = |normalizer: &Option<Arc<Normalizer>>,
                            word: &str,
                            offset: usize,
                            model_scratch: &mut ModelScratch,
                            watched: &mut Watched<'_>,
                            ids: &mut Vec<u32>| {
            let mut by_stages = |word: &str, watched: &mut Watched<'_>, ids: &mut Vec<u32>| {
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
            match words.singles.as_ref().filter(|_| Singles::may_be_in(word)) {
                Some(singles) => {
                    watched.add(word.len())?;
                    singles.each(self.core, word, ids, |part, ids| by_stages(part, watched, ids))
                }
                None => by_stages(word, watched, ids),
            }
        };
        ends.clear();
        let mut start = words.scan(text, 0, 1, ends);
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
            cached::ids_of_piece(cache, kind, word, batch, ids, |word, ids| {
                work_out(normalizer, word, offset, model_scratch, watched, ids)
            })?;
            first = end as usize;
        }
        while start < text.len() {
            ends.clear();
            let end = words.scan(text, start, SCANNED_PIECES, ends);
            let pieces = ranges(start, ends);
            let other = |text: &str, pieces: &[Range<usize>], lists: &mut IdLists| {
                if words.is_spelled && pieces.iter().all(|word| text[word.clone()].starts_with(' ')) {
                    pieces.iter().try_for_each(|word| watched.add(word.len()))?;
                    return model.ids_of_spelled(text, pieces, cache, model_scratch, lists);
                }
                let each = |word: &str, ids: &mut Vec<u32>| work_out(&words.normalizer, word, 1, model_scratch, watched, ids);
                cached::each(each)(text, pieces, lists)
            };
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
        let walker = Walker::new(&self.core, ids);
        with_scratch(text.len(), |scratch| walker.walk(plan, text, self.split_special_tokens, scratch)).ok()
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
