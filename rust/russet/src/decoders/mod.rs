//! Decoders: how tokens become text again.
//!
//! A compiled decoder is a flat list of stages. Each takes tokens one by one and gives on what can no longer change, so one code
//! path decodes whole lists and streams. There are two kinds of stages. Before a `Fuse` (or `ByteLevel`, which fuses too) a
//! stage works token by token: most keep nothing back, `ByteFallback` a run of byte tokens, `BPEDecoder` one token. After it
//! there is one token that grows, and a stage works on fragments of it: `Strip` and literal replacements keep back what may be
//! part of a match, `ByteLevel` keeps an unfinished character. What has no such rule after a `Fuse` (regular expressions, the
//! replacement of the empty string, `CTC`, `ByteFallback`, a second `ByteLevel`) is collected and decoded at the end.
//!
//! The cost is O(text) and no allocation per token. To decode many texts, keep the [`DecoderScratch`].

mod bpe;
mod byte_fallback;
mod byte_level;
mod ctc;
mod metaspace;
mod replace;
mod sentencepiece;
mod stream;
mod strip;
mod table;
mod wordpiece;

pub use byte_level::LossyUtf8;
pub use stream::{DecodeStream, ReferenceStream, TokenSource};
pub(crate) use table::{DecodeTables, Decoding};

use crate::formats::config::{DecoderConfig, PatternConfig, PrependScheme};
use crate::regex::RegexScratch;
use crate::{Error, Result, StringList};

/// The most stages that a decoder may have: each takes stack space while a token is inside it.
const MAX_STAGES: usize = 128;

/// A compiled decoder.
#[derive(Debug)]
pub struct Decoder {
    stages: Vec<Stage>,
    /// Whether the texts that come out are fragments of one token, and not a token each.
    is_fused: bool,
}

#[derive(Debug)]
enum Stage {
    Bpe(bpe::Bpe),
    ByteFallback,
    ByteLevel,
    Ctc(ctc::Ctc),
    Metaspace(metaspace::Metaspace),
    Replace(replace::Replace),
    SentencePiece(Box<sentencepiece::SentencePiece>),
    Strip(strip::Strip),
    WordPiece(wordpiece::WordPiece),
    /// What decoding without a decoder is: a space before each token but the first.
    Spaces,
    FusedReplace(replace::FusedReplace),
    FusedStrip(strip::Strip),
    /// Collects the fused token and decodes it at the end.
    Whole(Box<Decoder>),
}

/// The state and the buffers of a decoder, reused from text to text.
#[derive(Debug, Default)]
pub struct DecoderScratch {
    levels: Vec<Level>,
}

/// The state and the buffers of one stage.
#[derive(Debug, Default)]
struct Level {
    held: Held,
    output: String,
    spare: String,
    regex: RegexScratch,
    whole: Option<Box<DecoderScratch>>,
}

/// What a stage remembers between tokens.
#[derive(Debug, Default)]
struct Held {
    /// Whether the stage is past its beginning: past the first token, or past the characters stripped at the start.
    started: bool,
    /// Whether the open run of byte tokens can no longer become valid UTF-8.
    broken: bool,
    count: usize,
    dropped: usize,
    text: String,
    bytes: Vec<u8>,
}

impl Held {
    fn clear(&mut self) {
        let Self { started, broken, count, dropped, text, bytes } = self;
        (*started, *broken, *count, *dropped) = (false, false, 0, 0);
        text.clear();
        bytes.clear();
    }

    /// Makes this a copy of `other`, in the memory that it has.
    fn copy(&mut self, other: &Held) {
        let Self { started, broken, count, dropped, text, bytes } = self;
        (*started, *broken, *count, *dropped) = (other.started, other.broken, other.count, other.dropped);
        text.clone_from(&other.text);
        bytes.clone_from(&other.bytes);
    }
}

/// Where decoded texts go.
type Emit<'e> = dyn FnMut(&str) -> Result<()> + 'e;

impl Decoder {
    /// Compiles a decoder.
    ///
    /// # Errors
    /// [`Error::Pattern`] for a regular expression that cannot be compiled, [`Error::Limit`] for more than 128 stages.
    pub fn from_config(config: &DecoderConfig) -> Result<Self> {
        let mut parts = Vec::new();
        flatten(config, &mut parts);
        if parts.len() > MAX_STAGES {
            return Err(Error::Limit {
                what: "the number of decoders in a Sequence",
                value: parts.len() as u64,
                limit: MAX_STAGES as u64,
            });
        }
        Self::compile(&parts)
    }

    /// What tokenizers without a decoder do: the tokens with a space between them.
    pub fn spaces() -> Self {
        Self { stages: vec![Stage::Spaces], is_fused: false }
    }

    fn compile(parts: &[&DecoderConfig]) -> Result<Self> {
        let mut decoder = Self { stages: Vec::new(), is_fused: false };
        for (index, part) in parts.iter().enumerate() {
            if !decoder.is_fused {
                decoder.add(part)?;
            } else if !decoder.add_fused(part) {
                let rest = Self::compile(&parts[index..])?;
                decoder.is_fused = rest.is_fused;
                decoder.stages.push(Stage::Whole(Box::new(rest)));
                break;
            }
        }
        Ok(decoder)
    }

    /// Adds a stage that takes tokens.
    fn add(&mut self, config: &DecoderConfig) -> Result<()> {
        let stage = match *config {
            DecoderConfig::Bpe { ref suffix } => Stage::Bpe(bpe::Bpe::new(suffix)),
            DecoderConfig::ByteFallback => Stage::ByteFallback,
            DecoderConfig::ByteLevel { .. } => {
                self.is_fused = true;
                Stage::ByteLevel
            }
            DecoderConfig::Ctc { ref pad_token, ref word_delimiter_token, cleanup } => {
                Stage::Ctc(ctc::Ctc::new(pad_token, word_delimiter_token, cleanup))
            }
            DecoderConfig::Fuse => {
                self.is_fused = true;
                return Ok(());
            }
            DecoderConfig::Metaspace { replacement, prepend_scheme, .. } => {
                Stage::Metaspace(metaspace::Metaspace::new(replacement, prepend_scheme))
            }
            DecoderConfig::Replace { ref pattern, ref content } => Stage::Replace(replace::Replace::new(pattern, content)?),
            DecoderConfig::SentencePiece(ref config) => {
                self.is_fused = true;
                Stage::SentencePiece(sentencepiece::SentencePiece::new(config)?.into())
            }
            DecoderConfig::Sequence(_) => return Err(Error::Internal("a Sequence among flattened decoders".into())),
            DecoderConfig::Strip { content, start, stop } => Stage::Strip(strip::Strip::new(content, start, stop)),
            DecoderConfig::WordPiece { ref prefix, cleanup } => Stage::WordPiece(wordpiece::WordPiece::new(prefix, cleanup)),
        };
        self.stages.push(stage);
        Ok(())
    }

    /// Adds a stage that takes fragments of one token; false if it has no rule for that, and nothing was added.
    fn add_fused(&mut self, config: &DecoderConfig) -> bool {
        match *config {
            // The one token is the first and the last: no space before it, none in place of the suffix.
            DecoderConfig::Bpe { ref suffix } => self.replace_fused(suffix, ""),
            DecoderConfig::WordPiece { cleanup, .. } => !cleanup || self.clean_up_fused(),
            DecoderConfig::Metaspace { replacement, prepend_scheme, .. } => {
                let content = if prepend_scheme == PrependScheme::Never { " " } else { "" };
                self.replace_fused(&replacement.to_string(), content)
            }
            DecoderConfig::Fuse => true,
            DecoderConfig::Strip { content, start, stop } => {
                self.stages.push(Stage::FusedStrip(strip::Strip::new(content, start, stop)));
                true
            }
            DecoderConfig::Replace { pattern: PatternConfig::String(ref pattern), ref content } => {
                !pattern.is_empty() && self.replace_fused(pattern, content)
            }
            DecoderConfig::Replace { pattern: PatternConfig::Regex(_), .. }
            | DecoderConfig::Ctc { .. }
            | DecoderConfig::ByteFallback
            | DecoderConfig::ByteLevel { .. }
            | DecoderConfig::SentencePiece(_)
            | DecoderConfig::Sequence(_) => false,
        }
    }

    /// Adds the replacement of `needle` in one token; an empty needle stands for no replacement.
    fn replace_fused(&mut self, needle: &str, content: &str) -> bool {
        if !needle.is_empty() {
            self.stages.push(Stage::FusedReplace(replace::FusedReplace::new(needle, content)));
        }
        true
    }

    fn clean_up_fused(&mut self) -> bool {
        wordpiece::CLEANUPS.iter().all(|(needle, content)| self.replace_fused(needle, content))
    }

    /// Rewrites `tokens`: a decoder can change, join or drop them; their texts end to end are the decoded text.
    pub fn decode_chain(&self, tokens: StringList) -> Result<StringList> {
        let mut scratch = DecoderScratch::default();
        let mut texts = StringList::with_capacity(tokens.len(), tokens.text().len());
        self.decode(tokens.iter(), &mut scratch, &mut |text| {
            match self.is_fused {
                true => texts.open().push_str(text),
                false => texts.push(text),
            }
            Ok(())
        })?;
        if self.is_fused {
            texts.close();
        }
        Ok(texts)
    }

    /// Appends the text of `tokens` to `out`.
    pub fn decode_into(&self, tokens: &StringList, scratch: &mut DecoderScratch, out: &mut String) -> Result<()> {
        self.decode(tokens.iter(), scratch, &mut append_to(out))
    }

    fn decode<'t>(&self, tokens: impl Iterator<Item = &'t str>, scratch: &mut DecoderScratch, emit: &mut Emit<'_>) -> Result<()> {
        self.begin(scratch);
        for token in tokens {
            run(&self.stages, &mut scratch.levels, token, emit)?;
        }
        finish(&self.stages, &mut scratch.levels, emit)
    }

    /// Starts a text that is decoded token by token, with [`push`](Self::push) and [`finish`](Self::finish).
    pub fn begin(&self, scratch: &mut DecoderScratch) {
        if scratch.levels.len() < self.stages.len() {
            scratch.levels.resize_with(self.stages.len(), Level::default);
        }
        scratch.levels.iter_mut().for_each(|level| level.held.clear());
    }

    /// Takes a token and appends to `out` what is now certain: no later token can change it.
    ///
    /// # Errors
    /// [`Error::PatternLimit`] from a regular expression; the text has to be begun again then.
    pub fn push(&self, token: &str, scratch: &mut DecoderScratch, out: &mut String) -> Result<()> {
        run(&self.stages, &mut scratch.levels, token, &mut append_to(out))
    }

    /// Appends the rest of the text to `out`. Another text may follow after [`begin`](Self::begin).
    pub fn finish(&self, scratch: &mut DecoderScratch, out: &mut String) -> Result<()> {
        finish(&self.stages, &mut scratch.levels, &mut append_to(out))
    }

    /// Appends to `out` what [`finish`](Self::finish) would, and leaves `scratch` as it is; `spare` is overwritten.
    fn tail(&self, scratch: &DecoderScratch, spare: &mut DecoderScratch, out: &mut String) -> Result<()> {
        if !self.stages.iter().zip(&scratch.levels).any(|(stage, level)| stage.is_holding(&level.held)) {
            return Ok(());
        }
        self.begin(spare);
        for (copy, level) in spare.levels.iter_mut().zip(&scratch.levels) {
            copy.held.copy(&level.held);
        }
        self.finish(spare, out)
    }

    /// What the decoder gets instead of a special token that is left out: nothing, as in the reference, or for SentencePiece's
    /// decoder the unknown piece, which has a text, and an empty token for others, which may part bytes.
    pub(crate) fn instead_of_skipped<'t>(&self, token: &'t str) -> Option<&'t str> {
        match self.stages.as_slice() {
            [Stage::SentencePiece(stage), ..] => Some(stage.instead_of_skipped(token)),
            _ => None,
        }
    }

    /// The regular expressions in the order of their use: each pattern and what runs it.
    pub fn regexes(&self) -> Vec<(&str, String)> {
        let mut regexes = Vec::new();
        for stage in &self.stages {
            match stage {
                Stage::Replace(stage) => regexes.extend(stage.regex().map(|regex| (regex.as_str(), regex.engine()))),
                Stage::Whole(rest) => regexes.extend(rest.regexes()),
                _ => {}
            }
        }
        regexes
    }
}

fn flatten<'c>(config: &'c DecoderConfig, parts: &mut Vec<&'c DecoderConfig>) {
    match config {
        DecoderConfig::Sequence(configs) => configs.iter().for_each(|config| flatten(config, parts)),
        part => parts.push(part),
    }
}

fn append_to(out: &mut String) -> impl FnMut(&str) -> Result<()> + '_ {
    |text| {
        out.push_str(text);
        Ok(())
    }
}

/// Sends `text` through `stages`; `levels` has a level for each.
fn run(stages: &[Stage], levels: &mut [Level], text: &str, emit: &mut Emit<'_>) -> Result<()> {
    let Some((stage, later_stages)) = stages.split_first() else { return emit(text) };
    let Some((level, later_levels)) = levels.split_first_mut() else {
        return Err(Error::Internal("a decoder's text was not begun".into()));
    };
    stage.push(text, level, &mut |text| run(later_stages, later_levels, text, emit))
}

/// Ends the text of each stage in turn, so that what one gives at its end still passes the later ones.
fn finish(stages: &[Stage], levels: &mut [Level], emit: &mut Emit<'_>) -> Result<()> {
    for (index, stage) in stages.iter().enumerate() {
        let (level, later_levels) = match levels.get_mut(index..).and_then(<[Level]>::split_first_mut) {
            Some(split) => split,
            None => return Err(Error::Internal("a decoder's text was not begun".into())),
        };
        let later_stages = &stages[index + 1..];
        stage.finish(level, &mut |text| run(later_stages, later_levels, text, emit))?;
    }
    Ok(())
}

impl Stage {
    fn push(&self, text: &str, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
        match self {
            Stage::Bpe(stage) => stage.push(text, level, emit),
            Stage::ByteFallback => byte_fallback::push(text, level, emit),
            Stage::ByteLevel => byte_level::push(text, level, emit),
            Stage::Ctc(stage) => stage.push(text, level, emit),
            Stage::Metaspace(stage) => stage.push(text, level, emit),
            Stage::Replace(stage) => stage.push(text, level, emit),
            Stage::SentencePiece(stage) => stage.push(text, level, emit),
            Stage::Strip(stage) => emit(stage.strip(text)),
            Stage::WordPiece(stage) => stage.push(text, level, emit),
            Stage::Spaces => {
                if !std::mem::replace(&mut level.held.started, true) {
                    return emit(text);
                }
                level.output.clear();
                level.output.push(' ');
                level.output.push_str(text);
                emit(&level.output)
            }
            Stage::FusedReplace(stage) => stage.push(text, level, emit),
            Stage::FusedStrip(stage) => stage.push_fragment(text, level, emit),
            Stage::Whole(_) => {
                level.held.text.push_str(text);
                Ok(())
            }
        }
    }

    /// Whether [`finish`](Self::finish) may give something.
    fn is_holding(&self, held: &Held) -> bool {
        match self {
            Stage::Bpe(_) => held.started,
            Stage::ByteFallback | Stage::ByteLevel => !held.bytes.is_empty(),
            Stage::SentencePiece(_) => !held.bytes.is_empty() || !held.text.is_empty(),
            Stage::FusedReplace(_) => held.count > 0,
            Stage::Whole(_) => true,
            Stage::Ctc(_)
            | Stage::Metaspace(_)
            | Stage::Replace(_)
            | Stage::Strip(_)
            | Stage::WordPiece(_)
            | Stage::Spaces
            | Stage::FusedStrip(_) => false,
        }
    }

    fn finish(&self, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
        match self {
            Stage::Bpe(stage) => stage.finish(level, emit),
            Stage::ByteFallback => byte_fallback::finish(level, emit),
            Stage::ByteLevel => byte_level::finish(level, emit),
            Stage::FusedReplace(stage) => stage.finish(level, emit),
            Stage::SentencePiece(stage) => stage.finish(level, emit),
            Stage::Whole(rest) => {
                let scratch = level.whole.get_or_insert_default();
                rest.decode(std::iter::once(level.held.text.as_str()), scratch, emit)
            }
            Stage::Ctc(_)
            | Stage::Metaspace(_)
            | Stage::Replace(_)
            | Stage::Strip(_)
            | Stage::WordPiece(_)
            | Stage::Spaces
            | Stage::FusedStrip(_) => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::formats::config::SentencePieceDecoder;
    use proptest::prelude::*;

    /// What `config` makes of `tokens`.
    pub(crate) fn decode(config: &DecoderConfig, tokens: &[&str]) -> Vec<String> {
        let decoder = Decoder::from_config(config).unwrap();
        let texts = decoder.decode_chain(tokens.iter().collect()).unwrap();
        texts.iter().map(str::to_owned).collect()
    }

    /// The definition of each decoder, on whole lists.
    fn naive(config: &DecoderConfig, tokens: Vec<String>) -> Vec<String> {
        let clean = |text: String| wordpiece::CLEANUPS.iter().fold(text, |text, (needle, content)| text.replace(needle, content));
        let last = tokens.len().saturating_sub(1);
        let numbered = tokens.iter().enumerate();
        match config {
            DecoderConfig::Sequence(parts) => parts.iter().fold(tokens, |tokens, part| naive(part, tokens)),
            DecoderConfig::Bpe { suffix } => {
                numbered.map(|(index, token)| token.replace(suffix, if index == last { "" } else { " " })).collect()
            }
            DecoderConfig::ByteLevel { .. } => {
                let bytes_of = |token: &String| -> Option<Vec<u8>> {
                    token.chars().map(crate::pre_tokenizers::byte_level::char_to_byte).collect()
                };
                let bytes: Vec<u8> =
                    tokens.iter().flat_map(|token| bytes_of(token).unwrap_or_else(|| token.clone().into_bytes())).collect();
                vec![String::from_utf8_lossy(&bytes).into_owned()]
            }
            DecoderConfig::WordPiece { prefix, cleanup } => numbered
                .map(|(index, token)| match token.strip_prefix(prefix.as_str()) {
                    Some(rest) if index > 0 => rest.to_owned(),
                    None if index > 0 => format!(" {token}"),
                    _ => token.clone(),
                })
                .map(|token| if *cleanup { clean(token) } else { token })
                .collect(),
            DecoderConfig::Metaspace { replacement, prepend_scheme, .. } => numbered
                .map(|(index, token)| {
                    let drops = index == 0 && *prepend_scheme != PrependScheme::Never;
                    token.replace(*replacement, if drops { "" } else { " " })
                })
                .collect(),
            DecoderConfig::Ctc { pad_token, word_delimiter_token, cleanup } => {
                let mut tokens = tokens;
                tokens.dedup();
                let replaced = tokens.into_iter().map(|token| match cleanup {
                    true => clean(token.replace(pad_token, "")).replace(word_delimiter_token, " "),
                    false => token.replace(pad_token, ""),
                });
                replaced.filter(|token| !token.is_empty()).collect()
            }
            DecoderConfig::Replace { pattern, content } => {
                let PatternConfig::String(needle) = pattern else { panic!("only strings are tested here") };
                tokens.iter().map(|token| if token.is_empty() { String::new() } else { token.replace(needle, content) }).collect()
            }
            DecoderConfig::Fuse => vec![tokens.concat()],
            DecoderConfig::Strip { content, start, stop } => tokens
                .iter()
                .map(|token| {
                    let chars: Vec<char> = token.chars().collect();
                    let leading = chars.iter().take(*start).take_while(|&c| c == content).count();
                    let trailing = chars.iter().rev().take(*stop).take_while(|&c| c == content).count();
                    let end = (chars.len() - trailing).max(leading);
                    chars[leading..end].iter().collect()
                })
                .collect(),
            DecoderConfig::ByteFallback => {
                let byte_of = |token: &String| match token.as_bytes() {
                    [b'<', b'0', b'x', .., b'>'] if token.len() == 6 => u8::from_str_radix(&token[3..5], 16).ok(),
                    _ => None,
                };
                let mut texts = Vec::new();
                for run in tokens.chunk_by(|left, right| byte_of(left).is_some() && byte_of(right).is_some()) {
                    let bytes: Vec<u8> = run.iter().filter_map(byte_of).collect();
                    match String::from_utf8(bytes) {
                        Ok(text) if text.is_empty() => texts.extend_from_slice(run),
                        Ok(text) => texts.push(text),
                        Err(_) => texts.extend(run.iter().map(|_| "\u{FFFD}".to_owned())),
                    }
                }
                texts
            }
            DecoderConfig::SentencePiece(config) => {
                let byte_of = |token: &String| {
                    let byte = u8::from_str_radix(token.get(3..5)?, 16).ok()?;
                    (config.byte_fallback && *token == format!("<0x{byte:02X}>")).then_some(byte)
                };
                let flush = |text: &mut String, bytes: &mut Vec<u8>| {
                    let mut rest = bytes.as_slice();
                    while !rest.is_empty() {
                        let whole = (1..=4.min(rest.len())).find_map(|length| std::str::from_utf8(&rest[..length]).ok());
                        text.push_str(whole.unwrap_or("\u{FFFD}"));
                        rest = &rest[whole.map_or(1, str::len)..];
                    }
                    bytes.clear();
                };
                let (mut text, mut bytes, mut is_start) = (String::new(), Vec::new(), true);
                for token in &tokens {
                    if let Some(byte) = byte_of(token) {
                        bytes.push(byte);
                        continue;
                    }
                    flush(&mut text, &mut bytes);
                    is_start &= text.is_empty();
                    let strips = is_start && (config.add_dummy_prefix || config.remove_extra_whitespaces);
                    let rest = token.strip_prefix('▁').filter(|_| strips && *token != config.unknown);
                    is_start &= rest.is_none() || config.remove_extra_whitespaces;
                    match *token == config.unknown {
                        true => text.push_str(&config.unk_surface),
                        false => text.push_str(&rest.unwrap_or(token).replace('▁', " ")),
                    }
                }
                flush(&mut text, &mut bytes);
                vec![text]
            }
        }
    }

    fn short_text() -> impl Strategy<Value = String> {
        "(a|b| |▁|\\.|</w>){0,2}"
    }

    pub(super) fn part() -> impl Strategy<Value = DecoderConfig> {
        use DecoderConfig as D;
        let scheme = prop_oneof![Just(PrependScheme::First), Just(PrependScheme::Never), Just(PrependScheme::Always)];
        prop_oneof![
            short_text().prop_map(|suffix| D::Bpe { suffix }),
            Just(D::ByteLevel { add_prefix_space: true, trim_offsets: true, use_regex: true }),
            (prop_oneof![Just("##".to_owned()), short_text()], any::<bool>())
                .prop_map(|(prefix, cleanup)| D::WordPiece { prefix, cleanup }),
            (prop_oneof![Just('▁'), Just('a')], scheme).prop_map(|(replacement, prepend_scheme)| D::Metaspace {
                replacement,
                prepend_scheme,
                split: true
            }),
            (short_text(), short_text(), any::<bool>()).prop_map(|(pad_token, word_delimiter_token, cleanup)| D::Ctc {
                pad_token,
                word_delimiter_token,
                cleanup
            }),
            (short_text(), short_text())
                .prop_map(|(pattern, content)| D::Replace { pattern: PatternConfig::String(pattern), content }),
            Just(D::Fuse),
            (prop_oneof![Just(' '), Just('a'), Just('\u{FFFD}')], 0..3usize, 0..3usize)
                .prop_map(|(content, start, stop)| D::Strip { content, start, stop }),
            Just(D::ByteFallback),
            (prop_oneof![Just("##a"), Just(".")], short_text(), any::<[bool; 3]>()).prop_map(|(unknown, unk_surface, flags)| {
                D::SentencePiece(Box::new(SentencePieceDecoder {
                    unknown: unknown.to_owned(),
                    unk_surface,
                    byte_fallback: flags[0],
                    add_dummy_prefix: flags[1],
                    remove_extra_whitespaces: flags[2],
                    denormalizer: None,
                }))
            }),
        ]
    }

    pub(super) fn token() -> impl Strategy<Value = String> {
        let names = [
            "<0x61>", "<0xC3>", "<0xA9>", "<0xF0>", "<0x9F>", "<0xff>", "<0x+a>", "<0xé>", "Ã", "©", "Ġa", "中", ".", "do not",
            "##a", "</w>",
        ];
        prop_oneof![
            2 => prop::sample::select(names.to_vec()).prop_map(str::to_owned),
            1 => short_text(),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn agrees_with_the_naive_twin(parts in prop::collection::vec(part(), 0..4), tokens in prop::collection::vec(token(), 0..10)) {
            let config = DecoderConfig::Sequence(parts);
            let decoder = Decoder::from_config(&config).unwrap();
            let expected = naive(&config, tokens.clone());
            let texts = decoder.decode_chain(tokens.iter().collect()).unwrap();
            prop_assert_eq!(texts.iter().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn buffers_can_be_used_again(
            parts in prop::collection::vec(part(), 0..4),
            first in prop::collection::vec(token(), 0..6),
            second in prop::collection::vec(token(), 0..6),
        ) {
            let decoder = Decoder::from_config(&DecoderConfig::Sequence(parts)).unwrap();
            let mut scratch = DecoderScratch::default();
            let mut text = String::from("kept");
            decoder.decode_into(&first.iter().collect(), &mut scratch, &mut String::new()).unwrap();
            // A text that was begun and given up.
            decoder.begin(&mut scratch);
            for token in &first {
                decoder.push(token, &mut scratch, &mut String::new()).unwrap();
            }
            decoder.decode_into(&second.iter().collect(), &mut scratch, &mut text).unwrap();
            let expected = decoder.decode_chain(second.iter().collect()).unwrap();
            prop_assert_eq!(text, format!("kept{}", expected.text()));
        }
    }

    #[test]
    fn a_sequence_of_none_changes_nothing() {
        assert_eq!(decode(&DecoderConfig::Sequence(vec![]), &["a", "", "b"]), ["a", "", "b"]);
        assert_eq!(decode(&DecoderConfig::Fuse, &["a", "", "b"]), ["ab"]);
        assert_eq!(decode(&DecoderConfig::Fuse, &[]), [""]);
    }

    #[test]
    fn without_a_decoder_tokens_are_joined_by_spaces() {
        let mut text = String::new();
        let tokens = ["a", "", "b"].iter().collect();
        Decoder::spaces().decode_into(&tokens, &mut DecoderScratch::default(), &mut text).unwrap();
        assert_eq!(text, "a  b");
    }

    #[test]
    fn too_many_stages_are_refused() {
        let config = DecoderConfig::Sequence(vec![DecoderConfig::ByteFallback; MAX_STAGES + 1]);
        assert!(matches!(Decoder::from_config(&config), Err(Error::Limit { value: 129, .. })));
        // The deepest nesting: every second decoder needs the whole text.
        let pair = [DecoderConfig::Fuse, DecoderConfig::ByteFallback];
        let config = DecoderConfig::Sequence(pair.into_iter().cycle().take(MAX_STAGES).collect());
        assert_eq!(decode(&config, &["a", "b"]), ["ab"]);
    }
}
