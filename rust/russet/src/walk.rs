//! Where the tokens of a text stand, told by their ids.
//!
//! To ask for offsets would mean to encode the text once more with the full record. But the ids are known, and where the tokens tile
//! the text each begins where the one before it ends: so a walk along the ids and the text, a look at a table for each token, is
//! enough. [`Walk::of`] tells for a pipeline whether that can be proved:
//!
//! - *tiles*: BPE whose normalizer and pre-tokenizer put one character in the place of one, and something before a section at most.
//!   A table entry never says more than a token stands for, so if the sum is the section's length, every token stands where it
//!   seems to; a dropped character or an unknown token leaves the sum short or has no entry.
//! - *words* ([`Words`]): the same for each stretch without white space, where all its characters are known to stay one character.
//!   Any other word, and one whose sum is not right, is encoded once more by itself, with the full record.
//!
//! Whatever is not proved gives `None`, and the text is encoded once more as a whole. A token costs one to two nanoseconds, a word
//! that is encoded again about as much as the whole pipeline does. The wrong choice for texts of which most characters are changed
//! by the normalizer.

use std::any::Any;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::Arc;

use crate::formats::config::{NormalizerConfig, PatternConfig, PreTokenizerConfig, PrependScheme};
use crate::memory::Once;
use crate::models::{Alphabet, Measure, Model};
use crate::normalizers::{Normalizer, NormalizerScratch};
use crate::text::NormalizedText;
use crate::tokenizer::Core;
use crate::unicode::is_whitespace;
use crate::words::{self, Words, SPACE_SYMBOL};

/// What was found of the tokens of a text.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Character ranges in the input.
    pub(crate) offsets: Vec<(u32, u32)>,
    /// The tokens whose text their id does not tell: row and text, ascending.
    pub(crate) texts: Vec<(u32, Box<str>)>,
}

/// What a pre-tokenizer or normalizer puts before a section: one character that shares the record of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    only_at_start: bool,
    /// Not before a section that begins with one of these.
    unless: Option<[char; 2]>,
}

impl Prefix {
    /// Whether it is put before a section of the input that begins at `start`.
    pub(crate) fn is_put(self, section: &str, start: usize) -> bool {
        (start == 0 || !self.only_at_start) && !self.unless.is_some_and(|unless| section.starts_with(unless))
    }
}

/// What a pre-tokenizer makes of a stretch of text without white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pieces {
    /// Pieces as BERT has them: an unknown token is one of them.
    Bert,
    /// One, behind a prefix that is found nowhere else.
    Prefixed,
    /// Any.
    Other,
}

/// In [`Plan::Words`]: nothing is known of what becomes of an ASCII character.
pub(crate) const ODD: u8 = 0;
/// It is white space, between pieces.
pub(crate) const SPACE: u8 = b' ';

/// How the tokens of a pipeline can be walked along.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    Tiles {
        prefix: Option<Prefix>,
        /// Whether characters beyond ASCII may change.
        needs_ascii: bool,
        /// Whether ASCII stays as it is.
        keeps_ascii: bool,
        /// Whether a text may read like the tokens of byte fallback.
        may_read_like_bytes: bool,
    },
    Words {
        pieces: Pieces,
        /// What becomes of each ASCII character: one character, [`SPACE`], or [`ODD`].
        ascii: Box<[u8; 128]>,
        /// Whether something odd at the beginning of a section moves the places of all that follows.
        moves: bool,
    },
}

/// What the walks of one pipeline share.
pub(crate) struct Walk {
    pub(crate) plan: Option<Plan>,
    measures: Once<Box<[AtomicU8]>>,
    attachment: Once<Box<dyn Any + Send + Sync>>,
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Walk").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Walk {
    /// How the tokens of this pipeline can be walked along.
    pub(crate) fn of(
        normalizer: Option<(&NormalizerConfig, &Arc<Normalizer>)>,
        pre_tokenizer: Option<&PreTokenizerConfig>,
        model: &Model,
        words: Option<&Words>,
    ) -> Self {
        let mut stages = Vec::new();
        pre_tokenizer.into_iter().for_each(|pre_tokenizer| words::flatten(pre_tokenizer, &mut stages));
        let mut normalizers = Vec::new();
        normalizer.into_iter().for_each(|(normalizer, _)| flatten(normalizer, &mut normalizers));
        let plan = match model.kind() {
            "BPE" => tiles(&normalizers, &stages, model),
            "Unigram" | "WordPiece" if !model.has_hidden_tokens() => words.and_then(|words| {
                in_words(&normalizers, normalizer.map(|(_, compiled)| &**compiled), &stages, model, words.has_runs())
            }),
            _ => None,
        };
        Self { plan, measures: Once::new(), attachment: Once::new() }
    }

    /// The same for the same pipeline with other added tokens.
    pub(crate) fn renewed(&self) -> Self {
        Self { plan: self.plan.clone(), measures: Once::new(), attachment: Once::new() }
    }

    /// What the binding keeps for this pipeline, made if there is none yet.
    pub(crate) fn attachment<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        if self.attachment.get().is_none() {
            self.attachment.set(Box::new(Box::new(make())));
        }
        self.attachment.get()?.downcast_ref()
    }

    /// The measures of the tokens of `core`, whose walk this is.
    pub(crate) fn measures<'w>(&'w self, core: &'w Core) -> Measures<'w> {
        if self.measures.get().is_none() {
            self.measures.set(Box::new((0..core.ids_end().unwrap_or(0)).map(|_| AtomicU8::new(0)).collect()));
        }
        Measures { core, known: self.measures.get().map_or(&[], |measures| measures) }
    }
}

/// The measures of a model's tokens, worked out when they are first met.
#[derive(Clone, Copy)]
pub(crate) struct Measures<'w> {
    core: &'w Core,
    /// By id: 0 is not known yet, `OTHER` is not written here, else the number of characters with `BEGINS_PIECE` and `INSIDE`.
    known: &'w [AtomicU8],
}

const BEGINS_PIECE: u8 = 0x20;
const INSIDE: u8 = 0x40;
const OTHER: u8 = 0x80;

impl Measures<'_> {
    /// How much text a token stands for.
    #[inline(always)]
    pub(crate) fn of(&self, id: u32) -> Option<Measure> {
        match self.known.get(id as usize).map(|known| known.load(Ordering::Relaxed)) {
            Some(known @ 1..OTHER) => Some(Measure {
                characters: usize::from(known & (BEGINS_PIECE - 1)),
                begins_inside: known & INSIDE != 0,
                begins_piece: known & BEGINS_PIECE != 0,
            }),
            _ => self.work_out(id),
        }
    }

    #[cold]
    fn work_out(&self, id: u32) -> Option<Measure> {
        let measure = self.core.model.measure(id);
        if let Some(known) = self.known.get(id as usize) {
            let is_plain = self.core.added_tokens.get(id).is_none() && self.core.text_of_all(id).is_some();
            let written = measure.filter(|measure| is_plain && measure.characters < usize::from(BEGINS_PIECE));
            let flags = written
                .map_or(0, |measure| (u8::from(measure.begins_inside) * INSIDE) | (u8::from(measure.begins_piece) * BEGINS_PIECE));
            known.store(written.map_or(OTHER, |measure| measure.characters as u8 | flags), Ordering::Relaxed);
        }
        measure
    }

    /// Whether the table has the token: then its id tells its text, and it is not an added token. May be false where that is so.
    pub(crate) fn has(&self, id: u32) -> bool {
        self.known.get(id as usize).is_some_and(|known| matches!(known.load(Ordering::Relaxed), 1..OTHER))
    }

    /// Whether a token begins a piece, if the table has it.
    pub(crate) fn begins_piece(&self, id: u32) -> Option<bool> {
        self.of(id).filter(|_| self.has(id)).map(|measure| measure.begins_piece)
    }

    /// How many characters those of `ids` stand for that come before the next piece, or before the end.
    pub(crate) fn up_to_next_piece(&self, ids: &[u32]) -> Option<usize> {
        let mut sum = 0;
        for &id in ids {
            let measure = self.of(id).filter(|_| self.has(id))?;
            if measure.begins_piece {
                break;
            }
            sum += measure.characters;
        }
        Some(sum)
    }

    /// Takes tokens from the front of `ids` that stand for `length` characters, and for the prefix before them if there is one. The
    /// first of the characters is the input's character `start`. `None` if there are no such tokens.
    ///
    /// `unknown` tells for a token without a measure how many characters it stands for; it gets the token, those behind it, how many
    /// characters are before it, and its row.
    #[inline(always)]
    pub(crate) fn take(
        &self,
        ids: &mut &[u32],
        start: usize,
        length: usize,
        has_prefix: bool,
        offsets: &mut Vec<(u32, u32)>,
        mut unknown: impl FnMut(u32, &[u32], usize, usize) -> Option<usize>,
    ) -> Option<()> {
        let prefix = usize::from(has_prefix);
        let length = length + prefix;
        let mut end = 0;
        while let Some((&id, rest)) = ids.split_first() {
            let measure = match self.of(id) {
                Some(measure) if end < length || measure.characters == 0 => measure,
                _ if end >= length => break,
                _ => Measure::of_characters(unknown(id, rest, end, offsets.len())?),
            };
            let first = end - usize::from(measure.begins_inside && end > 0);
            end += measure.characters;
            // The prefix stands for the first character.
            let (first, last) = (start + first.saturating_sub(prefix), start + end.saturating_sub(prefix).max(1));
            offsets.push((first as u32, last as u32));
            *ids = rest;
        }
        (end == length).then_some(())
    }
}

fn flatten<'c>(normalizer: &'c NormalizerConfig, all: &mut Vec<&'c NormalizerConfig>) {
    match normalizer {
        NormalizerConfig::Sequence(parts) => parts.iter().for_each(|part| flatten(part, all)),
        single => all.push(single),
    }
}

fn is_one_character(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some() && characters.next().is_none()
}

/// The plan for a BPE model whose tokens tile each section.
fn tiles(normalizers: &[&NormalizerConfig], stages: &[&PreTokenizerConfig], model: &Model) -> Option<Plan> {
    use NormalizerConfig as N;
    use PreTokenizerConfig as P;
    let is_space = |text: &str| [" ", "\u{2581}"].contains(&text);
    let mut prefix = None;
    let (mut needs_ascii, mut keeps_ascii, mut replaces) = (false, true, false);
    for normalizer in normalizers {
        match normalizer {
            // What they would make of other characters that were put in is not asked.
            N::Nfc | N::Nfd | N::Nfkc | N::Nfkd | N::StripAccents if !replaces => needs_ascii = true,
            N::Lowercase if !replaces => (needs_ascii, keeps_ascii) = (true, false),
            N::Replace { pattern: PatternConfig::String(pattern), content } if is_space(pattern) && is_space(content) => {
                replaces = true
            }
            N::Prepend { prepend } if is_space(prepend) && prefix.is_none() => {
                prefix = Some(Prefix { only_at_start: false, unless: None });
                replaces = true;
            }
            _ => return None,
        }
    }
    let stages = match (model.alphabet(), stages) {
        // The last stage writes the bytes.
        (Alphabet::Bytes, [P::ByteLevel { add_prefix_space: true, .. }]) if !replaces => {
            prefix = Some(Prefix { only_at_start: false, unless: Some([' '; 2]) });
            &[]
        }
        (Alphabet::Bytes, [stages @ .., P::ByteLevel { add_prefix_space: false, .. }]) => stages,
        (Alphabet::Text, [P::Metaspace { replacement, prepend_scheme, .. }]) if !replaces => {
            let scheme = Prefix { only_at_start: *prepend_scheme == PrependScheme::First, unless: Some([' ', *replacement]) };
            prefix = Some(scheme).filter(|_| *prepend_scheme != PrependScheme::Never);
            &[]
        }
        (Alphabet::Text, stages) => stages,
        _ => return None,
    };
    // Others only cut, or drop characters.
    let only_cuts = |stage: &&PreTokenizerConfig| !matches!(stage, P::ByteLevel { .. } | P::Metaspace { .. } | P::Sequence(_));
    let may_read_like_bytes = model.alphabet() == Alphabet::Text;
    (stages.iter().all(only_cuts) && !(needs_ascii && may_read_like_bytes)).then_some(Plan::Tiles {
        prefix,
        needs_ascii,
        keeps_ascii: keeps_ascii && !replaces,
        may_read_like_bytes,
    })
}

/// The plan for a model of pieces between white space.
fn in_words(
    normalizers: &[&NormalizerConfig],
    compiled: Option<&Normalizer>,
    stages: &[&PreTokenizerConfig],
    model: &Model,
    has_runs: bool,
) -> Option<Plan> {
    use NormalizerConfig as N;
    use PreTokenizerConfig as P;
    let pieces = match (model.kind(), stages) {
        ("WordPiece", [P::Bert]) => Pieces::Bert,
        ("WordPiece", [P::Whitespace | P::WhitespaceSplit]) => Pieces::Other,
        (
            "Unigram",
            [P::WhitespaceSplit, P::Metaspace { replacement: SPACE_SYMBOL, prepend_scheme: PrependScheme::Always, .. }],
        ) => Pieces::Prefixed,
        _ => return None,
    };
    // Where a piece may begin with what tokens inside a piece are written with, those may be met there.
    let prefix = model.inner_prefix().filter(|_| pieces != Pieces::Bert).unwrap_or_default();
    if !prefix.is_ascii() {
        return None;
    }
    let mut ascii = Box::new([ODD; 128]);
    let mut text = NormalizedText::<()>::new();
    let mut scratch = NormalizerScratch::default();
    for (byte, result) in (0..).zip(ascii.iter_mut()) {
        let character = char::from(byte);
        text.reset(&format!("x{character}x"), 1);
        if let Some(compiled) = compiled {
            compiled.normalize(&mut text, &mut scratch).ok()?;
        }
        let mut inner = text.text().strip_prefix('x')?.strip_suffix('x')?.chars();
        *result = match (inner.next(), inner.next()) {
            // Other white space is in no run.
            (Some(one), None) if is_whitespace(one) && (one == ' ' || !has_runs) => SPACE,
            (Some(one @ '!'..='~'), None) if !prefix.contains(one) => one as u8,
            _ => ODD,
        };
    }
    let (mut others, mut moves) = (0, false);
    for normalizer in normalizers {
        match normalizer {
            N::Replace { pattern: PatternConfig::Regex(pattern), content }
                if pattern == " {2,}" && (content == " " || has_runs && content.chars().eq([SPACE_SYMBOL])) =>
            {
                continue
            }
            N::Replace { pattern: PatternConfig::String(pattern), content } => {
                if !pattern.is_ascii() || !content.is_ascii() {
                    return None;
                }
                if is_one_character(pattern) && is_one_character(content) {
                    continue;
                }
                if others > 0 {
                    return None; // other characters may have become these
                }
                pattern.bytes().for_each(|byte| ascii[usize::from(byte)] = ODD);
                continue;
            }
            // Character by character in ASCII, but for this one of a cluster.
            N::Precompiled { .. } if others == 0 => {
                ascii[usize::from(b'\r')] = ODD;
                moves = true;
            }
            // Character by character in ASCII; or at the ends, where there is white space.
            N::Bert { .. } | N::Nfc | N::Nfd | N::Nfkc | N::Nfkd | N::StripAccents | N::Lowercase | N::Nmt | N::Strip { .. } => {}
            _ => return None,
        }
        others += 1;
    }
    Some(Plan::Words { pieces, ascii, moves })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuts::tests::{fixtures, parts, text_for, USUAL};
    use crate::{EncodeOptions, Encoding, Input, Offsets, Tokenizer};
    use proptest::prelude::*;
    use std::sync::OnceLock;

    type Found<'e> = (Vec<&'e str>, Vec<Offsets>);

    fn encode(tokenizer: &Tokenizer, text: &str, split_special_tokens: bool) -> Option<Encoding> {
        let options = EncodeOptions { split_special_tokens, ..EncodeOptions::default() };
        tokenizer.encode(Input::Text(text), None, &options).ok()
    }

    fn found(encoding: &Encoding) -> Found<'_> {
        (encoding.tokens().unwrap(), encoding.offsets().unwrap())
    }

    /// The naive twin: asking for word ids has the text encoded once more.
    fn recorded(encoding: &Encoding) -> Found<'_> {
        encoding.word_ids().unwrap();
        found(encoding)
    }

    /// All fixtures, and some of their parts put together anew.
    fn tokenizers() -> &'static [(String, Tokenizer)] {
        static ALL: OnceLock<Vec<(String, Tokenizer)>> = OnceLock::new();
        ALL.get_or_init(|| {
            use NormalizerConfig as N;
            use PreTokenizerConfig as P;
            let mut all = fixtures().to_vec();
            let get = |name: &str| fixtures().iter().find(|fixture| fixture.0 == name).unwrap().1.clone();
            let (t5, albert, bert) = (get("unigram-t5"), get("unigram-albert"), get("wordpiece-bert-uncased"));
            let Some(N::Sequence(of_t5)) = t5.normalizer_config() else { unreachable!() };
            let charsmap = of_t5.iter().find(|part| matches!(part, N::Precompiled { .. })).unwrap().clone();
            let mut with_strip = of_t5.clone();
            with_strip.insert(1, N::Strip { strip_left: false, strip_right: true });
            let with_strip = N::Sequence(with_strip);
            let split = t5.pre_tokenizer_config().cloned();
            let space = |content: &str| N::Replace { pattern: PatternConfig::String(" ".into()), content: content.into() };
            let lower = || N::Sequence(vec![N::Nfd, N::StripAccents, N::Lowercase]);
            let gpt2 = get("bpe-gpt2");
            let prefixed = P::ByteLevel { add_prefix_space: true, trim_offsets: true, use_regex: true };
            let first = P::Metaspace { replacement: SPACE_SYMBOL, prepend_scheme: PrependScheme::First, split: true };
            let mistral = get("bpe-mistral");
            all.extend(
                [
                    ("t5", t5.with_normalizer(Some(charsmap.clone()))),
                    ("t5 without normalizer", t5.with_normalizer(None)),
                    ("t5 with strip", t5.with_normalizer(Some(with_strip))),
                    ("t5 in lower case", t5.with_normalizer(Some(N::Sequence(vec![charsmap, lower(), N::Nmt])))),
                    ("albert", albert.with_pre_tokenizer(split.clone())),
                    ("bert by white space", bert.with_pre_tokenizer(Some(P::WhitespaceSplit))),
                    ("bert by words", bert.with_pre_tokenizer(Some(P::Whitespace))),
                    ("bert in lower case", bert.with_normalizer(Some(lower()))),
                    ("bert as it is", bert.with_normalizer(None)),
                    ("gpt2 with a prefix", gpt2.with_pre_tokenizer(Some(prefixed))),
                    ("gpt2 in lower case", gpt2.with_normalizer(Some(lower()))),
                    ("mistral with pieces", mistral.with_pre_tokenizer(Some(first))),
                    ("mistral replaced", mistral.with_normalizer(Some(space("\u{2581}")))),
                    ("mistral without pre-tokenizer", mistral.with_pre_tokenizer(None)),
                ]
                .map(|(name, tokenizer)| (name.to_owned(), tokenizer.unwrap())),
            );
            all
        })
    }

    #[test]
    fn the_usual_pipelines_are_walked_along() {
        let text = "The mill stands, by  the\n river 12.";
        let is_walked = |tokenizer| encode(tokenizer, text, false).is_some_and(|encoding| encoding.is_walked());
        let walked: Vec<&str> =
            tokenizers().iter().filter(|(_, tokenizer)| is_walked(tokenizer)).map(|(name, _)| name.as_str()).collect();
        for expected in USUAL.iter().chain(&["t5", "albert", "unigram-t5"]) {
            assert!(walked.contains(expected), "{expected} is not among {walked:?}");
        }
    }

    #[test]
    fn an_unknown_token_that_is_spelled_out_is_found_where_it_stands() {
        for (name, tokenizer) in tokenizers() {
            let unknown = tokenizer.id_to_token(tokenizer.token_to_id("<unk>").unwrap_or(u32::MAX));
            for text in ["ក<unk><extra_0>😀", "a<unk>k 😀<unk>", "x😀<unk><unk>y<k😀", "<unk", "😀<unk😀<unk>"] {
                let Some(expected) = unknown.and_then(|_| encode(tokenizer, text, true)) else { continue };
                let walked = encode(tokenizer, text, true).unwrap();
                assert_eq!(found(&walked), recorded(&expected), "{name} {text:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn a_walk_finds_what_the_full_record_says(parts in parts(0..14), split_special_tokens: bool) {
            for (name, tokenizer) in tokenizers() {
                let text = text_for(tokenizer, &parts);
                let Some(expected) = encode(tokenizer, &text, split_special_tokens) else { continue };
                let walked = encode(tokenizer, &text, split_special_tokens).unwrap();
                prop_assert_eq!(found(&walked), recorded(&expected), "{} {:?}", name, text);
            }
        }
    }
}
