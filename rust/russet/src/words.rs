//! Words: a text cut at spaces before all stages, where that changes nothing.
//!
//! Most tokenizers do to each word what they do to it anywhere: lower-case it, split it from its neighbours, find its tokens. Then
//! the ids of a text are those of its words, one after the other, and a word that was met before needs one look into the cache
//! instead of all stages. A word here is what lies between two cuts; a cut is before a run of spaces (U+0020) that follows
//! another character; where tabs and ends of lines become spaces or are split at as spaces are, they count as such.
//! [`Words::of`] tells for a pipeline whether its ids can be had so:
//!
//! - every normalizer must treat the text before and after a cut apart, and leave the space one;
//! - the pre-tokenizer must split there, or else no token of the model may reach across;
//! - only what is done at the beginning of a section may differ, which its first word is asked with;
//! - where runs of spaces become one U+2581, as in most files of SentencePiece models, what is before a cut must not end in what
//!   becomes a space, nor in what becomes nothing.
//!
//! Finding cuts reads 64 bytes at a time. The wrong choice for text without spaces: its "words" are long, are not cached, and
//! run through all stages as before.

use std::sync::Arc;

use crate::formats::config::{NormalizerConfig, PatternConfig, PreTokenizerConfig, SplitBehavior};
use crate::models::Model;
use crate::normalizers::{Normalizer, NormalizerScratch};
use crate::pipeline::Singles;
use crate::pre_tokenizers::scanners::{scan_spaces, SpaceCuts};
use crate::text::NormalizedText;
use crate::unicode::is_whitespace;
use crate::Result;

/// What SentencePiece writes for a space.
pub(crate) const SPACE_SYMBOL: char = '\u{2581}';

/// How the words of a section are worked out that are not its first.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    /// The normalizer without what it puts before a section.
    pub(crate) normalizer: Option<Arc<Normalizer>>,
    /// Whether all that the stages before the model do to such a word, if it begins with a space, is to write spaces as U+2581, and
    /// the model can read them so.
    pub(crate) is_spelled: bool,
    /// Whether cuts are only where the text before them is sure to end with something visible.
    visible_ends: bool,
    /// Whether words begin before tabs and ends of lines, too.
    with_breaks: bool,
    /// The characters that are a piece wherever they stand, if the stages are those of BERT.
    pub(crate) singles: Option<Arc<Singles>>,
}

/// What is known of the text around a cut after some normalizers.
#[derive(Clone, Copy)]
struct Around {
    /// What the space at the cut has become.
    boundary: char,
    /// Whether white space around the cut may have become more or less than it is in the whole text.
    is_space_unsure: bool,
    /// Whether several spaces have become one U+2581, and nothing else was done to the text but to put characters in the place of others
    /// and to strip its end.
    has_runs: bool,
    /// Whether nothing was looked for that may lie across a tab or an end of a line.
    may_break: bool,
}

impl Words {
    /// How the words of this pipeline are worked out, if its ids are those of the words of each section.
    pub(crate) fn of(
        normalizer: Option<(&NormalizerConfig, &Arc<Normalizer>)>,
        pre_tokenizer: Option<&PreTokenizerConfig>,
        model: &Model,
    ) -> Result<Option<Self>> {
        if model.is_random() {
            return Ok(None);
        }
        let mut kept = Vec::new();
        let mut around = Some(Around { boundary: ' ', is_space_unsure: false, has_runs: false, may_break: true });
        if let Some((config, compiled)) = normalizer {
            around = around.filter(|_| compiled.leaves_spaces()).and_then(|around| after(config, around, &mut kept));
            let joining = || ('\u{600}'..='\u{11f02}').filter(|&character| joins_a_space(character) && character != SPACE_SYMBOL);
            around = around.filter(|around| !around.has_runs || compiled.keeps_ends(joining()));
        }
        let Some(around) = around.filter(|&around| is_cut(pre_tokenizer, around, model)) else { return Ok(None) };
        let visible_ends = around.has_runs;
        let with_breaks = around.may_break && breaks_are_spaces(normalizer.map(|(_, compiled)| &**compiled), pre_tokenizer);
        let is_bert = matches!(normalizer, None | Some((NormalizerConfig::Bert { .. }, _)))
            && matches!(pre_tokenizer, Some(PreTokenizerConfig::Bert));
        let singles = is_bert.then(|| Arc::new(Singles::new()));
        let is_spelled = model.reads_spelled() && only_spells(&kept, pre_tokenizer);
        let Some((config, compiled)) = normalizer else {
            return Ok(Some(Self { normalizer: None, is_spelled, visible_ends, with_breaks, singles }));
        };
        let normalizer = match kept.is_empty() {
            _ if !has_prepend(config) => Some(compiled.clone()),
            true => None,
            false => Some(Arc::new(Normalizer::from_config(&NormalizerConfig::Sequence(kept))?)),
        };
        Ok(Some(Self { normalizer, is_spelled, visible_ends, with_breaks, singles }))
    }

    /// Appends the ends of the words of `text[start..]`, until at least `words` were found or the text ends; returns the last end.
    pub(crate) fn scan(&self, text: &str, start: usize, words: usize, ends: &mut Vec<u32>) -> usize {
        let may_cut = |text: &str, cut: usize| stands_apart(text, cut) && self.may_end(text, cut);
        scan_spaces(text, start, words, ends, SpaceCuts { with_breaks: self.with_breaks, may_cut: &may_cut })
    }

    /// Whether a word may end at `cut`, going by what becomes of it.
    pub(crate) fn may_end(&self, text: &str, cut: usize) -> bool {
        match &self.normalizer {
            Some(normalizer) if self.visible_ends => normalizer.ends_visibly(text, cut),
            _ => true,
        }
    }

    /// Whether a word may begin with this byte.
    pub(crate) fn may_begin_with(&self, byte: u8) -> bool {
        byte == b' ' || self.with_breaks && BREAKS.contains(&char::from(byte))
    }

    /// Whether several spaces are one U+2581.
    pub(crate) fn has_runs(&self) -> bool {
        self.visible_ends
    }
}

/// The white space, but for the space, before which words may begin.
const BREAKS: [char; 3] = ['\t', '\n', '\r'];

/// Whether the space at `cut` may be a cut: not if the character before it joins it into one grapheme cluster, or is written like a
/// space itself.
fn stands_apart(text: &str, cut: usize) -> bool {
    let before = |bytes: usize| cut.checked_sub(bytes).and_then(|start| text.as_bytes().get(start)).copied().unwrap_or(0);
    // The first bytes of the characters that join, two, three or four bytes long.
    let may_join = matches!(before(2), 0xD8 | 0xDB | 0xDC) || matches!(before(3), 0xE0 | 0xE2) || before(4) == 0xF0;
    cut > 0 && !(may_join && text[..cut].ends_with(joins_a_space))
}

/// Whether a space after this character may be no cut.
pub(crate) fn joins_a_space(character: char) -> bool {
    // Characters of the class Prepend (Unicode Standard Annex 29), in all versions so far.
    matches!(
        character,
        SPACE_SYMBOL
            | '\u{600}'..='\u{605}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{d4e}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{111c2}'..='\u{111c3}'
            | '\u{113d1}'
            | '\u{1193f}'
            | '\u{11941}'
            | '\u{11a3a}'
            | '\u{11a84}'..='\u{11a89}'
            | '\u{11d46}'
            | '\u{11f02}'
    )
}

/// What is around a cut after `normalizer`, or `None` if it does not treat both sides apart. What it does to words that are not
/// the first of their section is added to `kept`.
fn after(normalizer: &NormalizerConfig, around: Around, kept: &mut Vec<NormalizerConfig>) -> Option<Around> {
    use NormalizerConfig as N;
    if around.has_runs {
        return None;
    }
    let around = match normalizer {
        N::Sequence(parts) => return parts.iter().try_fold(around, |around, part| after(part, around, kept)),
        N::Prepend { prepend } => return prepend.chars().eq([SPACE_SYMBOL]).then_some(around),
        // Character by character, or over clusters that no cut divides; what is composed does not begin with a space.
        N::Bert { .. } | N::Nfc | N::Nfd | N::Nfkc | N::Nfkd | N::StripAccents | N::Lowercase | N::Nmt => Some(around),
        N::Precompiled { .. } => Some(around),
        N::Strip { .. } => Some(Around { is_space_unsure: true, ..around }),
        N::Replace { pattern: PatternConfig::Regex(pattern), content }
            if pattern == " {2,}" && content.chars().eq([SPACE_SYMBOL]) =>
        {
            // What is before a cut ends visibly, so of white space nothing is unsure.
            let are_known = match &kept[..] {
                [] | [N::Precompiled { .. }] => true,
                [N::Strip { strip_left, .. }] | [N::Precompiled { .. }, N::Strip { strip_left, .. }] => !strip_left,
                _ => false,
            };
            are_known.then_some(Around { is_space_unsure: false, has_runs: true, ..around })
        }
        N::Replace { pattern: PatternConfig::String(pattern), content } => replaced(pattern, content, around),
        // As in ALBERT: one of each run is left.
        N::Replace { pattern: PatternConfig::Regex(pattern), content } if pattern == " {2,}" && content == " " => {
            Some(Around { is_space_unsure: true, ..around })
        }
        _ => None,
    }?;
    kept.push(normalizer.clone());
    Some(around)
}

fn replaced(pattern: &str, content: &str, around: Around) -> Option<Around> {
    let mut characters = pattern.chars();
    match (characters.next()?, characters.next()) {
        (only, None) if only == around.boundary => {
            let mut contents = content.chars();
            let boundary =
                contents.next().filter(|boundary| [' ', SPACE_SYMBOL].contains(boundary) && contents.next().is_none())?;
            Some(Around { boundary, ..around })
        }
        (_, None) => Some(around),
        // A longer pattern could be found across the cut only if it has what is there.
        _ => (!pattern.contains([' ', SPACE_SYMBOL]))
            .then_some(Around { may_break: around.may_break && !pattern.contains(BREAKS), ..around }),
    }
}

fn has_prepend(normalizer: &NormalizerConfig) -> bool {
    match normalizer {
        NormalizerConfig::Sequence(parts) => parts.iter().any(has_prepend),
        NormalizerConfig::Prepend { .. } => true,
        _ => false,
    }
}

/// Whether no token lies across a cut, and what is done on one side of it does not depend on the other.
fn is_cut(pre_tokenizer: Option<&PreTokenizerConfig>, around: Around, model: &Model) -> bool {
    use PreTokenizerConfig as P;
    let mut stages = Vec::new();
    if let Some(pre_tokenizer) = pre_tokenizer {
        flatten(pre_tokenizer, &mut stages);
    }
    // Later stages see pieces, each for itself.
    match stages.as_slice() {
        // U+2581 begins a piece wherever it stands.
        [P::Metaspace { replacement: SPACE_SYMBOL, split: true, .. }]
        | [P::WhitespaceSplit, P::Metaspace { replacement: SPACE_SYMBOL, split: true, .. }]
            if around.has_runs =>
        {
            true
        }
        _ if around.has_runs => false,
        [P::WhitespaceSplit | P::Whitespace | P::Bert, ..] => around.boundary == ' ',
        [P::Metaspace { replacement: SPACE_SYMBOL, split: true, .. }, ..] => !around.is_space_unsure,
        [] => around.boundary == SPACE_SYMBOL && !around.is_space_unsure && model.cuts_before(SPACE_SYMBOL),
        [P::Metaspace { replacement: SPACE_SYMBOL, split: false, .. }] => {
            !around.is_space_unsure && model.cuts_before(SPACE_SYMBOL)
        }
        // As in Gemma, where no spaces are left to split at.
        [P::Split { pattern: PatternConfig::String(pattern), behavior: SplitBehavior::MergedWithPrevious, .. }] => {
            pattern == " " && around.boundary == SPACE_SYMBOL && !around.is_space_unsure && model.cuts_before(SPACE_SYMBOL)
        }
        _ => false,
    }
}

/// Whether tabs and ends of lines become spaces, or are split at as spaces are.
fn breaks_are_spaces(normalizer: Option<&Normalizer>, pre_tokenizer: Option<&PreTokenizerConfig>) -> bool {
    use PreTokenizerConfig as P;
    let mut stages = Vec::new();
    if let Some(pre_tokenizer) = pre_tokenizer {
        flatten(pre_tokenizer, &mut stages);
    }
    let is_split_at: fn(char) -> bool = match stages.as_slice() {
        [P::WhitespaceSplit | P::Whitespace | P::Bert, ..] => is_whitespace,
        [P::Metaspace { replacement: SPACE_SYMBOL, split: true, .. }, ..] => |character| character == ' ',
        _ => return false,
    };
    // A line end of two characters may be one cluster.
    ["\t", "\n", "\r", "\r\n"].into_iter().all(|text| {
        let mut normalized = NormalizedText::<()>::new();
        normalized.reset(&format!("x{text}x"), 1);
        let is_done =
            normalizer.is_none_or(|normalizer| normalizer.normalize(&mut normalized, &mut NormalizerScratch::default()).is_ok());
        let inner = normalized.text().strip_prefix('x').and_then(|text| text.strip_suffix('x'));
        is_done && inner.is_some_and(|inner| !inner.is_empty() && inner.chars().all(is_split_at))
    })
}

/// Whether the stages only write spaces as U+2581 in a word that begins with one.
fn only_spells(normalizer: &[NormalizerConfig], pre_tokenizer: Option<&PreTokenizerConfig>) -> bool {
    use PreTokenizerConfig as P;
    let is_replaced = match normalizer {
        [] => false,
        [NormalizerConfig::Replace { pattern: PatternConfig::String(pattern), content }] => {
            pattern == " " && content.chars().eq([SPACE_SYMBOL])
        }
        _ => return false,
    };
    match pre_tokenizer {
        None => is_replaced,
        Some(P::Metaspace { replacement: SPACE_SYMBOL, split: false, .. }) => true,
        Some(P::Split { pattern: PatternConfig::String(pattern), behavior: SplitBehavior::MergedWithPrevious, .. }) => {
            is_replaced && pattern == " "
        }
        _ => false,
    }
}

/// The stages of a pre-tokenizer in their order.
pub(crate) fn flatten<'c>(pre_tokenizer: &'c PreTokenizerConfig, stages: &mut Vec<&'c PreTokenizerConfig>) {
    match pre_tokenizer {
        PreTokenizerConfig::Sequence(parts) => parts.iter().for_each(|part| flatten(part, stages)),
        stage => stages.push(stage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::PrependScheme;
    use crate::{EncodeOptions, Input, Tokenizer};
    use proptest::prelude::*;
    use std::sync::OnceLock;

    fn naive_scan(text: &str, with_breaks: bool) -> Vec<u32> {
        let is_space = |character| character == ' ' || with_breaks && BREAKS.contains(&character);
        let mut ends = Vec::new();
        let mut previous = ' ';
        for (start, character) in text.char_indices() {
            if is_space(character) && !is_space(previous) && !joins_a_space(previous) {
                ends.push(start as u32);
            }
            previous = character;
        }
        ends.extend((!text.is_empty()).then_some(text.len() as u32));
        ends
    }

    /// All fixtures whose texts are cut into words.
    fn fixtures() -> impl Iterator<Item = &'static (String, Tokenizer)> {
        crate::cuts::tests::fixtures().iter().filter(|(_, tokenizer)| tokenizer.core.words.is_some())
    }

    /// Those, and some of their parts put together anew.
    fn tokenizers() -> &'static [(String, Tokenizer)] {
        static ALL: OnceLock<Vec<(String, Tokenizer)>> = OnceLock::new();
        ALL.get_or_init(|| {
            use NormalizerConfig as N;
            let mut all: Vec<(String, Tokenizer)> = fixtures().cloned().collect();
            let t5 = &fixtures().find(|(name, _)| name == "unigram-t5").unwrap().1;
            let Some(N::Sequence(parts)) = t5.normalizer_config().cloned() else { unreachable!() };
            let [charsmap, runs] = &parts[..] else { unreachable!() };
            let strip = N::Strip { strip_left: false, strip_right: true };
            let metaspace =
                |prepend_scheme| PreTokenizerConfig::Metaspace { replacement: SPACE_SYMBOL, prepend_scheme, split: true };
            for (name, parts) in [
                ("runs", vec![runs.clone()]),
                ("charsmap and runs", vec![charsmap.clone(), runs.clone()]),
                ("strip and runs", vec![strip.clone(), runs.clone()]),
                ("charsmap, strip and runs", vec![charsmap.clone(), strip, runs.clone()]),
                ("charsmap", vec![charsmap.clone()]),
            ] {
                for scheme in [PrependScheme::Always, PrependScheme::First, PrependScheme::Never] {
                    let split = PreTokenizerConfig::Sequence(vec![PreTokenizerConfig::WhitespaceSplit, metaspace(scheme)]);
                    for (kind, pre_tokenizer) in [("split", split), ("whole", metaspace(scheme))] {
                        let tokenizer = t5.with_normalizer(Some(N::Sequence(parts.clone()))).unwrap();
                        let tokenizer = tokenizer.with_pre_tokenizer(Some(pre_tokenizer)).unwrap();
                        assert!(tokenizer.core.words.is_some(), "{name}, {kind}, {scheme:?}");
                        all.push((format!("{name}, {kind}, {scheme:?}"), tokenizer));
                    }
                }
            }
            let bert = &fixtures().find(|(name, _)| name == "wordpiece-bert-uncased").unwrap().1;
            for flags in 0..16 {
                let [clean_text, handle_chinese_chars, lowercase, strip_accents] = [1, 2, 4, 8].map(|flag| flags & flag > 0);
                let config = N::Bert { clean_text, handle_chinese_chars, strip_accents: Some(strip_accents), lowercase };
                all.push((format!("bert, {config:?}"), bert.with_normalizer(Some(config)).unwrap()));
            }
            all.push(("bert as it is".to_owned(), bert.with_normalizer(None).unwrap()));
            all
        })
    }

    #[test]
    fn the_usual_pipelines_are_cut_into_words() {
        let names: Vec<&str> = fixtures().map(|(name, _)| name.as_str()).collect();
        for expected in [
            "bpe-llama2",
            "bpe-mistral",
            "bpe-gemma",
            "unigram-albert",
            "unigram-t5",
            "wordpiece-bert-uncased",
            "wordlevel-lowercase",
        ] {
            assert!(names.contains(&expected), "{expected} is not among {names:?}");
        }
    }

    #[test]
    fn the_first_bytes_of_all_characters_that_join_are_known() {
        for character in '\0'..=char::MAX {
            let text = format!("{character} ");
            assert_eq!(stands_apart(&text, text.len() - 1), !joins_a_space(character), "{character:?}");
        }
    }

    proptest! {
        #[test]
        fn cuts_are_where_runs_of_spaces_begin(text in "[ \na\u{b}é\u{600}\u{2581}漢]{0,90}", count in 1usize..6, with_breaks: bool) {
            let words = Words { normalizer: None, is_spelled: false, visible_ends: false, with_breaks, singles: None };
            let mut ends = Vec::new();
            let mut start = 0;
            while start < text.len() {
                let before = ends.len();
                start = words.scan(&text, start, count, &mut ends);
                prop_assert_eq!(ends.last().map(|&end| end as usize), Some(start));
                prop_assert!(start == text.len() || ends.len() >= before + count);
            }
            prop_assert_eq!(ends, naive_scan(&text, with_breaks));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn words_have_the_ids_of_the_whole(
            texts in proptest::collection::vec(
                "([ ]{0,3}([a-z]{1,6}|the|mill|stands|[A-ZÉÄé]|[.,'\"`!?-]|[0-9]{1,3}|\u{2581}|[\u{600}\u{6dd}]|[\u{301}\u{308}\u{200d}]|[漢字かな]|[。、’‐「]|[漢字がー。、]{2,7}|[\u{f900}\u{37e}\u{20000}]|[\u{a0}\u{3000}\u{2028}\t\n\r\0\u{1}\u{b}\u{ad}\u{feff}\u{200b}]|[\n\r]{1,3}|<s>|\\[SEP\\]|😀|ﬁ|ﬃ|½|[à-ÿ]|[ក-ឯ]|한|ᄒ|ᅡ)){0,14} {0,2}",
                4,
            ),
        ) {
            let options = EncodeOptions::default();
            for (name, tokenizer) in tokenizers() {
                let mut whole = tokenizer.clone();
                whole.core.words = None;
                for text in &texts {
                    let ids = |tokenizer: &Tokenizer| tokenizer.encode(Input::Text(text), None, &options).map(|encoding| encoding.ids().to_vec()).ok();
                    let expected = ids(&whole);
                    prop_assert_eq!(&ids(tokenizer), &expected, "{} {:?}", name, text);
                    prop_assert_eq!(&ids(tokenizer), &expected, "{} {:?}, from the cache", name, text);
                }
            }
        }
    }
}
