//! Pre-tokenizers: how a section becomes pieces.
//!
//! A compiled pre-tokenizer is a flat list of stages (nested `Sequence`s are the same as one list). A section runs through them
//! depth-first: each piece that a stage makes goes through all later stages before the next one is looked for. So no list of
//! pieces exists, whatever the section's length. Stages that only split hand on parts of the text that they were given; stages
//! that rewrite (`ByteLevel`, `Metaspace`) do so in the buffers of their level of [`PreTokenizerScratch`], and nothing is
//! allocated per piece once those are warm.
//!
//! Every stage costs O(n), regular expressions as their engine says. Empty pieces are dropped after every stage.

mod bert;
pub(crate) mod byte_level;
mod delimiter;
mod digits;
mod fixed_length;
mod metaspace;
mod punctuation;
pub(crate) mod scanners;
mod split;
mod unicode_scripts;
mod whitespace;

use crate::formats::config::PreTokenizerConfig;
use crate::regex::RegexScratch;
use crate::text::{Align, NormalizedText, Piece};
use crate::{Error, Result};
use scanners::Scanner;
pub use scanners::{known_patterns, simd_level};

/// The most stages that a pre-tokenizer may have: each takes stack space while a piece is inside it.
const MAX_STAGES: usize = 128;

/// A compiled pre-tokenizer.
#[derive(Clone, Debug)]
pub struct PreTokenizer {
    stages: Vec<Stage>,
    /// What does the same as all stages.
    scanner: Option<Scanner>,
}

#[derive(Clone, Debug)]
enum Stage {
    Bert,
    ByteLevel(byte_level::ByteLevel),
    Delimiter(delimiter::Delimiter),
    Digits(digits::Digits),
    FixedLength(fixed_length::FixedLength),
    Metaspace(metaspace::Metaspace),
    Punctuation(punctuation::Punctuation),
    Split(split::Split),
    UnicodeScripts,
    Whitespace,
    WhitespaceSplit,
}

/// Buffers of the pre-tokenizers, reused from call to call.
#[derive(Debug)]
pub struct PreTokenizerScratch<A: Align> {
    levels: Vec<Level<A>>,
}

/// The buffers of one stage. A piece that is rewritten there is read by the later stages, which have their own.
#[derive(Debug)]
struct Level<A: Align> {
    regex: RegexScratch,
    ends: Vec<u32>,
    section: NormalizedText<A>,
    piece: NormalizedText<A>,
}

impl<A: Align> Default for Level<A> {
    fn default() -> Self {
        Self { regex: RegexScratch::default(), ends: Vec::new(), section: NormalizedText::new(), piece: NormalizedText::new() }
    }
}

impl<A: Align> Default for PreTokenizerScratch<A> {
    fn default() -> Self {
        Self { levels: Vec::new() }
    }
}

/// Where pieces go.
pub type Emit<'e, A> = dyn FnMut(Piece<'_, A>) -> Result<()> + 'e;

impl PreTokenizer {
    /// Compiles a pre-tokenizer.
    ///
    /// # Errors
    /// [`Error::Pattern`] for a regular expression that cannot be compiled, [`Error::Config`] for a value that makes no sense,
    /// [`Error::Limit`] for more than 128 stages; [`Error::Config`] also where the environment variable `RUSSET_SIMD` names
    /// instructions that the processor does not have.
    pub fn from_config(config: &PreTokenizerConfig) -> Result<Self> {
        scanners::check_environment()?;
        let mut stages = Vec::new();
        compile(config, &mut stages)?;
        Ok(Self::new(stages))
    }

    fn new(stages: Vec<Stage>) -> Self {
        Self { scanner: Scanner::of(&stages), stages }
    }

    /// The scanner that cuts exactly as this does, if there is one: the pieces tile the section.
    pub(crate) fn scanner(&self) -> Option<Scanner> {
        self.scanner
    }

    /// The name of the scanner that cuts exactly as this does, if there is one.
    pub fn scanner_name(&self) -> Option<&'static str> {
        self.scanner.map(Scanner::name)
    }

    /// Appends the ends (byte offsets) of the pieces of `text[start..]`, until at least `pieces` were found or the text ends;
    /// returns the last end. `start` is 0 or an end that was returned before.
    ///
    /// `None` where no scanner does all that this pre-tokenizer does, or the text has 4 GiB or more.
    pub fn scan(&self, text: &str, start: usize, pieces: usize, ends: &mut Vec<u32>) -> Option<usize> {
        u32::try_from(text.len()).ok()?;
        self.scanner.map(|scanner| scanner.scan(text, start, pieces, ends))
    }

    /// If the last thing that this does is to write bytes as byte-level characters, the same without that: its pieces are the
    /// raw bytes (as UTF-8 text), and a model whose vocabulary is raw bytes gives the same ids.
    ///
    /// One kind of piece differs: characters that stand for no input at all ([`Piece::hollow`]) are not written as byte-level
    /// characters by the reference. Only a normalizer that inserts before all input makes such characters.
    pub fn without_byte_level(&self) -> Option<Self> {
        let (Stage::ByteLevel(last), rest) = self.stages.split_last()? else { return None };
        let mut stages = rest.to_vec();
        stages.extend(last.without_encoding().map(Stage::ByteLevel));
        Some(Self::new(stages))
    }

    /// The regular expressions in the order of their use: each pattern and what runs it.
    pub fn regexes(&self) -> Vec<(&str, String)> {
        self.stages.iter().filter_map(Stage::regex).collect()
    }

    /// Splits `section` and gives each piece that is not empty to `emit`, in order. Without any stage (a `Sequence` of nothing)
    /// the section is the piece, even if it is empty.
    ///
    /// # Errors
    /// What `emit` returns, and [`Error::PatternLimit`] from a regular expression. Pieces given before an error stay given.
    pub fn pre_tokenize<A: Align>(
        &self,
        section: Piece<'_, A>,
        scratch: &mut PreTokenizerScratch<A>,
        emit: &mut Emit<'_, A>,
    ) -> Result<()> {
        if self.stages.is_empty() {
            return emit(section);
        }
        if scratch.levels.len() < self.stages.len() {
            scratch.levels.resize_with(self.stages.len(), Level::default);
        }
        if let (Some(scanner), Some(level)) = (self.scanner(), scratch.levels.first_mut()) {
            return scanner.find_iter(section.text, &mut level.ends, &mut |found| emit(section.slice(found)));
        }
        run(&self.stages, &mut scratch.levels, section, emit)
    }
}

fn compile(config: &PreTokenizerConfig, stages: &mut Vec<Stage>) -> Result<()> {
    let stage = match *config {
        PreTokenizerConfig::Sequence(ref parts) => {
            for (index, part) in parts.iter().enumerate() {
                compile(part, stages).map_err(|error| error.under(&format!("pretokenizers[{index}]")))?;
            }
            return Ok(());
        }
        PreTokenizerConfig::Bert => Stage::Bert,
        PreTokenizerConfig::ByteLevel { add_prefix_space, use_regex, .. } => {
            Stage::ByteLevel(byte_level::ByteLevel::new(add_prefix_space, use_regex))
        }
        PreTokenizerConfig::Delimiter { delimiter } => Stage::Delimiter(delimiter::Delimiter::new(delimiter)),
        PreTokenizerConfig::Digits { individual_digits } => Stage::Digits(digits::Digits::new(individual_digits)),
        PreTokenizerConfig::FixedLength { length } => Stage::FixedLength(fixed_length::FixedLength::new(length)?),
        PreTokenizerConfig::Metaspace { replacement, prepend_scheme, split } => {
            Stage::Metaspace(metaspace::Metaspace::new(replacement, prepend_scheme, split))
        }
        PreTokenizerConfig::Punctuation { behavior } => Stage::Punctuation(punctuation::Punctuation::new(behavior)),
        PreTokenizerConfig::Split { ref pattern, behavior, invert } => Stage::Split(split::Split::new(pattern, behavior, invert)?),
        PreTokenizerConfig::UnicodeScripts => Stage::UnicodeScripts,
        PreTokenizerConfig::Whitespace => Stage::Whitespace,
        PreTokenizerConfig::WhitespaceSplit => Stage::WhitespaceSplit,
    };
    if stages.len() >= MAX_STAGES {
        return Err(Error::Limit {
            what: "the number of pre-tokenizers in a Sequence",
            value: stages.len() as u64 + 1,
            limit: MAX_STAGES as u64,
        });
    }
    stages.push(stage);
    Ok(())
}

/// Sends `piece` through `stages`; `levels` has a level for each.
fn run<A: Align>(stages: &[Stage], levels: &mut [Level<A>], piece: Piece<'_, A>, emit: &mut Emit<'_, A>) -> Result<()> {
    if piece.text.is_empty() {
        return Ok(());
    }
    let Some((stage, later_stages)) = stages.split_first() else { return emit(piece) };
    let Some((level, later_levels)) = levels.split_first_mut() else {
        return Err(Error::Internal(format!("{} pre-tokenizers without buffers", stages.len())));
    };
    if later_stages.is_empty() {
        return stage.pre_tokenize(piece, level, emit);
    }
    stage.pre_tokenize(piece, level, &mut |piece| run(later_stages, later_levels, piece, emit))
}

impl Stage {
    /// Splits `piece`, which is not empty; gives only pieces that are not empty.
    fn pre_tokenize<A: Align>(&self, piece: Piece<'_, A>, level: &mut Level<A>, emit: &mut Emit<'_, A>) -> Result<()> {
        match self {
            Stage::Bert => bert::pre_tokenize(piece, emit),
            Stage::ByteLevel(stage) => stage.pre_tokenize(piece, level, emit),
            Stage::Delimiter(stage) => stage.pre_tokenize(piece, emit),
            Stage::Digits(stage) => stage.pre_tokenize(piece, emit),
            Stage::FixedLength(stage) => stage.pre_tokenize(piece, emit),
            Stage::Metaspace(stage) => stage.pre_tokenize(piece, level, emit),
            Stage::Punctuation(stage) => stage.pre_tokenize(piece, emit),
            Stage::Split(stage) => stage.pre_tokenize(piece, level, emit),
            Stage::UnicodeScripts => unicode_scripts::pre_tokenize(piece, emit),
            Stage::Whitespace => whitespace::pre_tokenize(piece, emit),
            Stage::WhitespaceSplit => whitespace::pre_tokenize_split(piece, emit),
        }
    }

    /// The regular expression and what runs it.
    fn regex(&self) -> Option<(&str, String)> {
        match self {
            Stage::ByteLevel(stage) => stage.regex(),
            Stage::Split(stage) => stage.regex(),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::formats::config::{PrependScheme, SplitBehavior};
    use crate::text::Span;
    use proptest::prelude::*;

    fn owned(piece: Piece<'_, Span>) -> (String, std::ops::Range<usize>) {
        (piece.text.to_owned(), piece.source(0..piece.text.len()).unwrap_or_default())
    }

    /// The pieces of `text` and the byte ranges that they stand for, where `text` begins at input byte `offset`.
    pub(crate) fn pieces_at(config: &PreTokenizerConfig, text: &str, offset: usize) -> Vec<(String, std::ops::Range<usize>)> {
        let pre_tokenizer = PreTokenizer::from_config(config).unwrap();
        let mut section = NormalizedText::<Span>::new();
        section.reset(text, offset);
        let mut pieces = Vec::new();
        let mut collect = |piece: Piece<'_, Span>| {
            pieces.push(owned(piece));
            Ok(())
        };
        pre_tokenizer.pre_tokenize(section.as_piece(), &mut PreTokenizerScratch::default(), &mut collect).unwrap();
        pieces
    }

    /// [`pieces_at`] the start of the input, without the ranges.
    pub(crate) fn texts(config: &PreTokenizerConfig, text: &str) -> Vec<String> {
        pieces_at(config, text, 0).into_iter().map(|(piece, _)| piece).collect()
    }

    fn stages() -> impl Strategy<Value = PreTokenizerConfig> {
        use PreTokenizerConfig as P;
        let behavior = prop_oneof![
            Just(SplitBehavior::Removed),
            Just(SplitBehavior::Isolated),
            Just(SplitBehavior::MergedWithPrevious),
            Just(SplitBehavior::MergedWithNext),
            Just(SplitBehavior::Contiguous),
        ];
        let scheme = prop_oneof![Just(PrependScheme::First), Just(PrependScheme::Never), Just(PrependScheme::Always)];
        prop_oneof![
            Just(P::Bert),
            any::<bool>().prop_map(|add_prefix_space| P::ByteLevel { add_prefix_space, trim_offsets: true, use_regex: false }),
            Just(P::Delimiter { delimiter: 'a' }),
            any::<bool>().prop_map(|individual_digits| P::Digits { individual_digits }),
            (1..4usize).prop_map(|length| P::FixedLength { length }),
            (prop_oneof![Just('\u{2581}'), Just('_')], scheme, any::<bool>())
                .prop_map(|(replacement, prepend_scheme, split)| P::Metaspace { replacement, prepend_scheme, split }),
            behavior.prop_map(|behavior| P::Punctuation { behavior }),
            Just(P::UnicodeScripts),
            Just(P::Whitespace),
            Just(P::WhitespaceSplit),
        ]
    }

    proptest! {
        #[test]
        fn a_sequence_is_its_stages_one_after_the_other(
            parts in proptest::collection::vec(stages(), 0..4),
            text in "[ ab_\u{2581}1.é中あ\u{301}]{0,16}",
            offset in prop_oneof![Just(0usize), Just(7)],
        ) {
            let mut section = NormalizedText::<Span>::new();
            section.reset(&text, offset);
            let mut expected = vec![section];
            for part in &parts {
                let stage = PreTokenizer::from_config(part).unwrap();
                let mut next = Vec::new();
                for piece in &expected {
                    stage.pre_tokenize(piece.as_piece(), &mut PreTokenizerScratch::default(), &mut |piece| {
                        assert!(!piece.text.is_empty());
                        let mut copy = NormalizedText::new();
                        copy.reset_to(piece);
                        next.push(copy);
                        Ok(())
                    }).unwrap();
                }
                expected = next;
            }
            let expected: Vec<_> = expected.iter().map(|piece| owned(piece.as_piece())).collect();
            let nested = PreTokenizerConfig::Sequence(vec![PreTokenizerConfig::Sequence(parts)]);
            prop_assert_eq!(pieces_at(&nested, &text, offset), expected);
        }

        #[test]
        fn untracked_texts_give_the_same_pieces(parts in proptest::collection::vec(stages(), 0..4), text in "[ ab_\u{2581}1.é中]{0,16}") {
            let config = PreTokenizerConfig::Sequence(parts);
            let mut section = NormalizedText::<()>::new();
            section.reset(&text, 0);
            let mut pieces = Vec::new();
            PreTokenizer::from_config(&config).unwrap().pre_tokenize(section.as_piece(), &mut PreTokenizerScratch::default(), &mut |piece| {
                pieces.push(piece.text.to_owned());
                Ok(())
            }).unwrap();
            prop_assert_eq!(pieces, texts(&config, &text));
        }
    }

    #[test]
    fn too_many_stages_are_refused() {
        let config = PreTokenizerConfig::Sequence(vec![PreTokenizerConfig::Whitespace; MAX_STAGES + 1]);
        assert!(matches!(PreTokenizer::from_config(&config), Err(Error::Limit { value: 129, .. })));
        let config = PreTokenizerConfig::Sequence(vec![PreTokenizerConfig::Whitespace; MAX_STAGES]);
        assert_eq!(texts(&config, "a b"), ["a", "b"]);
    }

    #[test]
    fn an_error_names_the_stage() {
        let config = PreTokenizerConfig::Sequence(vec![
            PreTokenizerConfig::Whitespace,
            PreTokenizerConfig::Sequence(vec![PreTokenizerConfig::FixedLength { length: 0 }]),
        ]);
        let message = PreTokenizer::from_config(&config).unwrap_err().to_string();
        assert!(message.starts_with("pretokenizers[1].pretokenizers[0].length: "), "{message}");
    }

    #[test]
    fn an_error_of_the_receiver_stops_the_work() {
        let mut section = NormalizedText::<()>::new();
        section.reset("a b c", 0);
        let config = PreTokenizerConfig::Sequence(vec![PreTokenizerConfig::WhitespaceSplit, PreTokenizerConfig::Bert]);
        let mut count = 0;
        let result = PreTokenizer::from_config(&config).unwrap().pre_tokenize(
            section.as_piece(),
            &mut PreTokenizerScratch::default(),
            &mut |_| {
                count += 1;
                if count == 2 {
                    Err(Error::Interrupted)
                } else {
                    Ok(())
                }
            },
        );
        assert!(matches!(result, Err(Error::Interrupted)));
        assert_eq!(count, 2);
    }
}
