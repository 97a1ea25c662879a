//! Words: a text cut at spaces before all stages, where that changes nothing.
//!
//! Most tokenizers do to each word what they do to it anywhere: lower-case it, split it from its neighbours, find its tokens. Then
//! the ids of a text are those of its words, one after the other, and a word that was met before needs one look into the cache
//! instead of all stages. A word here is what lies between two cuts; a cut is before a run of spaces (U+0020) that follows
//! another character. [`Words::of`] tells for a pipeline whether its ids can be had so:
//!
//! - every normalizer must treat the text before and after a cut apart, and leave the space one;
//! - the pre-tokenizer must split there, or else no token of the model may reach across;
//! - only what is done at the beginning of a section may differ, which its first word is asked with.
//!
//! Finding cuts reads 64 bytes at a time. The wrong choice for text without spaces: its "words" are long, are not cached, and
//! run through all stages as before.

use std::sync::Arc;

use crate::formats::config::{NormalizerConfig, PatternConfig, PreTokenizerConfig, SplitBehavior};
use crate::models::Model;
use crate::normalizers::Normalizer;
use crate::pre_tokenizers::scanners::scan_spaces;
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
}

/// What is known of the text around a cut after some normalizers.
#[derive(Clone, Copy)]
struct Around {
    /// What the space at the cut has become.
    boundary: char,
    /// Whether white space around the cut may have become more or less than it is in the whole text.
    is_space_unsure: bool,
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
        let mut around = Some(Around { boundary: ' ', is_space_unsure: false });
        if let Some((config, compiled)) = normalizer {
            around = around.filter(|_| compiled.leaves_spaces()).and_then(|around| after(config, around, &mut kept));
        }
        if !around.is_some_and(|around| is_cut(pre_tokenizer, around, model)) {
            return Ok(None);
        }
        let is_spelled = model.reads_spelled() && only_spells(&kept, pre_tokenizer);
        let Some((config, compiled)) = normalizer else { return Ok(Some(Self { normalizer: None, is_spelled })) };
        let normalizer = match kept.is_empty() {
            _ if !has_prepend(config) => Some(compiled.clone()),
            true => None,
            false => Some(Arc::new(Normalizer::from_config(&NormalizerConfig::Sequence(kept))?)),
        };
        Ok(Some(Self { normalizer, is_spelled }))
    }

    /// Appends the ends of the words of `text[start..]`, until at least `words` were found or the text ends; returns the last end.
    pub(crate) fn scan(text: &str, start: usize, words: usize, ends: &mut Vec<u32>) -> usize {
        scan_spaces(text, start, words, ends, may_cut)
    }
}

/// Whether the space at `cut` may be a cut: not if the character before it joins it into one grapheme cluster, or is written like a
/// space itself.
fn may_cut(text: &str, cut: usize) -> bool {
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
    let around = match normalizer {
        N::Sequence(parts) => return parts.iter().try_fold(around, |around, part| after(part, around, kept)),
        N::Prepend { prepend } => return prepend.chars().eq([SPACE_SYMBOL]).then_some(around),
        // Character by character, or over clusters that no cut divides; what is composed does not begin with a space.
        N::Bert { .. } | N::Nfc | N::Nfd | N::Nfkc | N::Nfkd | N::StripAccents | N::Lowercase | N::Nmt => Some(around),
        N::Precompiled { .. } => Some(around),
        N::Strip { .. } => Some(Around { is_space_unsure: true, ..around }),
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
        _ => (!pattern.contains([' ', SPACE_SYMBOL])).then_some(around),
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
    use crate::{EncodeOptions, Input, Tokenizer};
    use proptest::prelude::*;

    fn naive_scan(text: &str) -> Vec<u32> {
        let mut ends = Vec::new();
        let mut previous = ' ';
        for (start, character) in text.char_indices() {
            if character == ' ' && previous != ' ' && !joins_a_space(previous) {
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

    #[test]
    fn the_usual_pipelines_are_cut_into_words() {
        let names: Vec<&str> = fixtures().map(|(name, _)| name.as_str()).collect();
        for expected in
            ["bpe-llama2", "bpe-mistral", "bpe-gemma", "unigram-albert", "wordpiece-bert-uncased", "wordlevel-lowercase"]
        {
            assert!(names.contains(&expected), "{expected} is not among {names:?}");
        }
    }

    #[test]
    fn the_first_bytes_of_all_characters_that_join_are_known() {
        for character in '\0'..=char::MAX {
            let text = format!("{character} ");
            assert_eq!(may_cut(&text, text.len() - 1), !joins_a_space(character), "{character:?}");
        }
    }

    proptest! {
        #[test]
        fn cuts_are_where_runs_of_spaces_begin(text in "[ aé\u{600}\u{2581}漢]{0,90}", words in 1usize..6) {
            let mut ends = Vec::new();
            let mut start = 0;
            while start < text.len() {
                let before = ends.len();
                start = Words::scan(&text, start, words, &mut ends);
                prop_assert_eq!(ends.last().map(|&end| end as usize), Some(start));
                prop_assert!(start == text.len() || ends.len() >= before + words);
            }
            prop_assert_eq!(ends, naive_scan(&text));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn words_have_the_ids_of_the_whole(
            texts in proptest::collection::vec(
                "([ ]{0,3}([a-z]{1,6}|the|mill|stands|[A-ZÉÄé]|[.,'\"`!?-]|[0-9]{1,3}|\u{2581}|[\u{600}\u{6dd}]|[\u{301}\u{308}\u{200d}]|[漢字かな]|[\u{a0}\u{3000}\u{2028}\t\n\r\0\u{ad}\u{feff}]|<s>|\\[SEP\\]|😀|ﬁ|ﬃ|½|[à-ÿ]|[ក-ឯ]|한|ᄒ|ᅡ)){0,14} {0,2}",
                4,
            ),
        ) {
            let options = EncodeOptions::default();
            for (name, tokenizer) in fixtures() {
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
