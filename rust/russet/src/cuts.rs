//! Cuts: where a text can be divided so that the ids of both parts, end to end, are the ids of the whole.
//!
//! A cut is before a space (U+0020) that follows a character other than white space. The part after it is worked out as what goes
//! on inside a section ([`Begin::Inside`]). That gives the same ids if
//!
//! - the stages treat both sides apart: the pipeline is worked out by words, which [`Words`] proved, and one may end there; or its
//!   pre-tokenizer is a known scanner. Of the patterns that scanners stand for, none matches a space after another character that is no white space,
//!   none looks back, and none looks ahead at more than white space; so a piece ends at a cut, whether the text ends there or not.
//!   What lies between the matches of BLOOM's pattern can have such spaces, so there a cut follows an ASCII letter or digit, which
//!   is always matched. A normalizer must be one that leaves white space and what is not white space so;
//! - added tokens are found on each side as in the whole: none has white space after another character, none ends at the cut
//!   (it could take the white space that follows, and what follows it begins a section), and none that must be a single word
//!   begins with white space. Those that are looked for in the normalized text may lie anywhere, so they allow no cuts, unless
//!   nothing is normalized.
//!
//! For the scanners, a text in Chinese or Japanese is also cut after a letter before one of 、。，: every pattern ends a piece there, and
//! the same holds for added tokens.
//!
//! A second kind of place is the beginning of an added token that is found in the raw text, as sections are worked out each for
//! itself. It is certain once so much text follows that no longer or earlier token can take its place.
//!
//! Finding the next cut looks at one space after the other, mostly one or two. The wrong choice for text without spaces and marks,
//! which has no cuts, and for models whose tokens are drawn, where no two parts are alone.

use memchr::{memchr3_iter, memrchr3_iter};
use std::ops::Range;

use crate::formats::config::NormalizerConfig;
use crate::models::Model;
use crate::pre_tokenizers::scanners::Scanner;
use crate::pre_tokenizers::PreTokenizer;
use crate::tokenizer::Core;
use crate::unicode::{is_whitespace, is_word};
use crate::words::{joins_a_space, Words};
use crate::Result;

/// Where a text begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At the beginning of an input.
    Input,
    /// At a cut, or at an added token.
    Inside,
}

/// What makes a pipeline's cuts certain.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cuts {
    /// It is worked out by words.
    Words,
    /// A scanner cuts its pieces.
    Scanner {
        /// The scanner.
        scanner: Scanner,
        /// Whether it sees texts as they are.
        is_plain: bool,
    },
}

impl Cuts {
    /// What makes the cuts of this pipeline certain, if anything does.
    pub(crate) fn of(
        words: Option<&Words>,
        normalizer: Option<&NormalizerConfig>,
        pre_tokenizer: Option<&PreTokenizer>,
        model: &Model,
    ) -> Option<Self> {
        if model.is_random() {
            return None;
        }
        if words.is_some() {
            return Some(Self::Words);
        }
        let scanner = pre_tokenizer?.scanner().filter(|_| normalizer.is_none_or(keeps_white_space))?;
        Some(Self::Scanner { scanner, is_plain: normalizer.is_none_or(does_nothing) })
    }

    fn may_follow(self, character: char) -> bool {
        let scanned = !matches!(self, Self::Scanner { scanner: Scanner::Bloom, .. }) || character.is_ascii_alphanumeric();
        scanned && !is_whitespace(character) && !joins_a_space(character)
    }
}

/// The first bytes of [`MARKS`].
const MARK_BYTES: [u8; 2] = [0xE3, 0xEF];
/// Before these, after a letter as [`takes_marks`] has them, is a cut.
pub(crate) const MARKS: [char; 3] = ['\u{3001}', '\u{3002}', '\u{ff0c}'];

/// Chinese characters, kana, and Hangul syllables: letters in all versions of Unicode.
fn takes_marks(character: char) -> bool {
    matches!(character, '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{4e00}'..='\u{9fa5}' | '\u{ac00}'..='\u{d7a3}')
}

/// Whether white space stays white space, and all else something else, the spaces being no part of what comes before them.
fn keeps_white_space(normalizer: &NormalizerConfig) -> bool {
    use NormalizerConfig as N;
    match normalizer {
        N::Sequence(parts) => parts.iter().all(keeps_white_space),
        N::Nfc | N::Nfd | N::Nfkc | N::Nfkd | N::Lowercase => true,
        _ => false,
    }
}

fn does_nothing(normalizer: &NormalizerConfig) -> bool {
    matches!(normalizer, NormalizerConfig::Sequence(parts) if parts.iter().all(does_nothing))
}

/// The cuts of the texts of one pipeline with its added tokens.
#[derive(Clone, Copy)]
pub(crate) struct Places<'c> {
    core: &'c Core,
    /// `None` where there are no cuts.
    cuts: Option<Cuts>,
}

impl<'c> Places<'c> {
    pub(crate) fn of(core: &'c Core) -> Self {
        let added_tokens = &core.added_tokens;
        let cuts = core.cuts.filter(|cuts| {
            let is_plain = matches!(cuts, Cuts::Scanner { is_plain: true, .. });
            added_tokens.allow_cuts() && (is_plain || !added_tokens.has_normalized())
        });
        Self { core, cuts }
    }

    /// Whether texts have cuts.
    pub(crate) fn has_cuts(&self) -> bool {
        self.cuts.is_some()
    }

    /// Whether there is a cut at `place`, where a space begins, or another character with one of [`MARK_BYTES`].
    fn is_cut(&self, text: &str, place: usize) -> bool {
        let (before, after) = text.split_at(place);
        let (Some(last), Some(cuts)) = (before.chars().next_back(), self.cuts) else { return false };
        let may_cut = match after.starts_with(' ') {
            true => cuts.may_follow(last),
            false => after.starts_with(MARKS) && takes_marks(last) && matches!(cuts, Cuts::Scanner { .. }),
        };
        may_cut
            && self.core.words.as_ref().is_none_or(|words| words.may_end(text, place))
            && !self.core.added_tokens.has_end_of(before)
    }

    /// The first cut of `text` at `start` or after it.
    pub(crate) fn first_cut(&self, text: &str, start: usize) -> Option<usize> {
        let rest = text.as_bytes().get(start..).filter(|_| self.has_cuts())?;
        let [mark, other_mark] = MARK_BYTES;
        memchr3_iter(b' ', mark, other_mark, rest).map(|offset| start + offset).find(|&place| self.is_cut(text, place))
    }

    /// The last cut of `text`.
    pub(crate) fn last_cut(&self, text: &str) -> Option<usize> {
        self.cuts?;
        let [mark, other_mark] = MARK_BYTES;
        memrchr3_iter(b' ', mark, other_mark, text.as_bytes()).find(|&place| self.is_cut(text, place))
    }

    /// Where the last added token begins that stays what it is whatever is appended to `text`.
    pub(crate) fn last_added_token(&self, text: &str, split_special_tokens: bool) -> Result<Option<usize>> {
        let added_tokens = &self.core.added_tokens;
        // A token that begins up to here, and what comes after it, is in the text, so it is decided which one is found.
        let Some(limit) = text.len().checked_sub(added_tokens.longest() + 1) else { return Ok(None) };
        let mut last = None;
        added_tokens.split_raw(text, split_special_tokens, |section| {
            let Range { start, .. } = section.range;
            if section.id.is_some() && (1..=limit).contains(&start) && self.stands_alone(text, start) {
                last = Some(start);
            }
            Ok(())
        })?;
        Ok(last)
    }

    /// Whether an added token that begins at `start` leaves those before it as they are: they may take white space that follows
    /// them, and those that must be single words ask what follows.
    fn stands_alone(&self, text: &str, start: usize) -> bool {
        text[start..].chars().next().is_some_and(|first| !is_whitespace(first) && !is_word(first))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::formats::config::{PatternConfig, PreTokenizerConfig, SplitBehavior};
    use crate::normalizers::Normalizer;
    use crate::pipeline;
    use crate::pre_tokenizers::known_patterns;
    use crate::Tokenizer;
    use proptest::prelude::*;
    use std::path::Path;
    use std::sync::OnceLock;

    /// The names of fixtures with usual pipelines.
    pub(crate) const USUAL: [&str; 10] = [
        "bpe-gpt2",
        "bpe-llama2",
        "bpe-llama3",
        "bpe-mistral",
        "bpe-gemma",
        "bpe-qwen",
        "bpe-o200k",
        "bpe-starcoder",
        "bpe-roberta",
        "wordpiece-bert-uncased",
    ];

    /// All fixtures.
    pub(crate) fn fixtures() -> &'static [(String, Tokenizer)] {
        static FIXTURES: OnceLock<Vec<(String, Tokenizer)>> = OnceLock::new();
        FIXTURES.get_or_init(|| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/tokenizers");
            let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            paths.sort();
            let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
            paths.iter().map(|path| (name(path), Tokenizer::from_file(path).unwrap())).collect()
        })
    }

    /// A part of a text, or the text of an added token by its number.
    #[derive(Clone, Debug)]
    pub(crate) enum TextPart {
        Text(String),
        Added(usize),
    }

    pub(crate) fn parts(count: Range<usize>) -> impl Strategy<Value = Vec<TextPart>> {
        let text = "[ ]{0,3}([a-z]{1,6}|the|mill|I'(ll|ve|s|m)|'[sdt]|[A-ZÉÄé]|[.,'\"`!?/-]|[*#=]{1,4}|\\(|[0-9]{1,7}|[\u{2581}|…]|[\u{600}\u{6dd}]|[\u{301}\u{308}\u{200d}]|[漢字かな。，、]{1,3}|[\u{a0}\u{3000}\u{2028}\u{85}\t\0\u{1}\u{ad}\u{feff}\u{200b}]|[\n\r]{1,3}|😀|ﬁ|ﬃ|½|[à-ÿ]|[ក-ឯ]|한|ᄒ|ᅡ)[ ]{0,2}";
        let part = prop_oneof![8 => text.prop_map(TextPart::Text), 1 => (0usize..9).prop_map(TextPart::Added)];
        proptest::collection::vec(part, count)
    }

    pub(crate) fn text_for(tokenizer: &Tokenizer, parts: &[TextPart]) -> String {
        let added: Vec<&str> = tokenizer.added_tokens().map(|(_, token)| token.content.as_str()).collect();
        let text = |part: &TextPart| match part {
            TextPart::Text(text) => text.clone(),
            TextPart::Added(number) => added.get(number % added.len().max(1)).copied().unwrap_or_default().to_owned(),
        };
        parts.iter().map(text).collect()
    }

    fn ids(tokenizer: &Tokenizer, text: &str, begin: Begin, split_special_tokens: bool) -> Option<Vec<u32>> {
        pipeline::ids_of_text(&tokenizer.core, text, begin, split_special_tokens, None).ok()
    }

    /// The ids of both parts, end to end.
    fn joined(tokenizer: &Tokenizer, text: &str, place: usize, split_special_tokens: bool) -> Option<Vec<u32>> {
        let (before, after) = text.split_at(place);
        let mut joined = ids(tokenizer, before, Begin::Input, split_special_tokens)?;
        joined.extend(ids(tokenizer, after, Begin::Inside, split_special_tokens)?);
        Some(joined)
    }

    #[test]
    fn the_usual_pipelines_have_cuts() {
        let with_cuts: Vec<&str> = fixtures()
            .iter()
            .filter(|(_, tokenizer)| Places::of(&tokenizer.core).has_cuts())
            .map(|(name, _)| name.as_str())
            .collect();
        for expected in USUAL.iter().chain(&["unigram-albert", "wordlevel-lowercase"]) {
            assert!(with_cuts.contains(expected), "{expected} is not among {with_cuts:?}");
        }
    }

    /// All assigned characters, and some of the others.
    fn characters() -> impl Iterator<Item = char> {
        let is_assigned = |&character: &char| matches!(character as u32, 0..0x3_4000 | 0xe_0000..0xe_0200);
        ('\0'..=char::MAX).filter(move |character| is_assigned(character) || (*character as u32).is_multiple_of(97))
    }

    #[test]
    fn pieces_end_at_cuts_after_every_character() {
        for patterns in known_patterns() {
            let stages = patterns.iter().map(|pattern| {
                let (pattern, invert) = (PatternConfig::Regex((*pattern).into()), false);
                PreTokenizerConfig::Split { pattern, behavior: SplitBehavior::Isolated, invert }
            });
            let pre_tokenizer = PreTokenizer::from_config(&PreTokenizerConfig::Sequence(stages.collect())).unwrap();
            let scanner = pre_tokenizer.scanner().unwrap();
            let mut buffer = Vec::new();
            let mut ends = |text: &str| {
                buffer.clear();
                scanner.scan(text, 0, usize::MAX, &mut buffer);
                buffer.clone()
            };
            // Each part ends at a cut after another character; all are scanned together and each alone.
            let may_follow = |character: &char| Cuts::Scanner { scanner, is_plain: true }.may_follow(*character);
            let parts: Vec<String> = characters()
                .filter(may_follow)
                .flat_map(|character| [format!(" {character}"), format!("  .{character}"), format!(" \n1{character}"), " a".into()])
                .collect();
            let marked = characters().filter(|&character| takes_marks(character)).flat_map(|character| {
                MARKS.iter().flat_map(move |mark| ["", "1", "\n", "'"].map(|between| format!("{mark}{between}{character}")))
            });
            let parts: Vec<String> = parts.into_iter().chain(marked).collect();
            let found = ends(&parts.concat());
            let mut start = 0;
            let mut expected = Vec::new();
            for part in &parts {
                expected.extend(ends(part).iter().map(|end| start + end));
                start += part.len() as u32;
            }
            if found != expected {
                let different = found.iter().zip(&expected).position(|(found, expected)| found != expected);
                panic!("{}: {:?} of {:?}", scanner.name(), different, found.len());
            }
        }
    }

    #[test]
    fn normalizers_keep_white_space() {
        use NormalizerConfig as N;
        for config in [N::Nfc, N::Nfd, N::Nfkc, N::Nfkd, N::Lowercase] {
            assert!(keeps_white_space(&config));
            let normalizer = Normalizer::from_config(&config).unwrap();
            for character in characters().filter(|&character| !is_whitespace(character)) {
                let alone = pipeline::normalize(Some(&normalizer), &format!("a{character}")).unwrap();
                assert!(alone.ends_with(|last| !is_whitespace(last)), "{character:?} {config:?}");
                let with_space = pipeline::normalize(Some(&normalizer), &format!("a{character} \u{301}b")).unwrap();
                let after = pipeline::normalize(Some(&normalizer), " \u{301}b").unwrap();
                assert_eq!(with_space, format!("{alone}{after}"), "{character:?} {config:?}");
                for mark in MARKS.into_iter().filter(|_| takes_marks(character)) {
                    let normalize = |text: &str| pipeline::normalize(Some(&normalizer), text).unwrap();
                    let with_mark = normalize(&format!("a{character}{mark}\u{301}"));
                    assert_eq!(with_mark, format!("{alone}{}", normalize(&format!("{mark}\u{301}"))), "{character:?} {config:?}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn a_text_is_its_parts_at_every_cut(parts in parts(0..16), split_special_tokens in any::<bool>()) {
            for (name, tokenizer) in fixtures() {
                let text = text_for(tokenizer, &parts);
                let places = Places::of(&tokenizer.core);
                let mut next = places.first_cut(&text, 0);
                prop_assert_eq!(next.is_some(), places.last_cut(&text).is_some());
                let Some(whole) = ids(tokenizer, &text, Begin::Input, split_special_tokens) else { continue };
                while let Some(cut) = next {
                    prop_assert_eq!(&joined(tokenizer, &text, cut, split_special_tokens), &Some(whole.clone()), "{} {:?} at {}", name, text, cut);
                    next = places.first_cut(&text, cut + 1);
                    let first = text[cut..].chars().next().map_or(0, char::len_utf8);
                    prop_assert_eq!(places.last_cut(&text[..cut + first]), Some(cut));
                }
            }
        }

        #[test]
        fn a_text_is_its_parts_at_an_added_token(parts in parts(0..10), more in parts(0..6), split_special_tokens in any::<bool>()) {
            for (name, tokenizer) in fixtures().iter().filter(|(_, tokenizer)| !tokenizer.core.model.is_random()) {
                let text = text_for(tokenizer, &parts);
                let Some(place) = Places::of(&tokenizer.core).last_added_token(&text, split_special_tokens).unwrap() else { continue };
                let whole = text + &text_for(tokenizer, &more);
                let expected = ids(tokenizer, &whole, Begin::Input, split_special_tokens);
                prop_assert_eq!(&joined(tokenizer, &whole, place, split_special_tokens), &expected, "{} {:?} at {}", name, whole, place);
            }
        }
    }
}
