//! Scanners: the known pre-tokenization patterns written by hand, where a regular expression would be the slowest stage of all.
//!
//! A [`Scanner`] cuts a text into pieces that tile it, exactly as the pattern's regular expression does: [`patterns`] knows the
//! patterns by their text, [`classes`] the character classes. Each pattern is written down twice: in [`scalar`] as a function from
//! the start of a piece to its end, and for [`blocks`] of 64 bytes as an algebra of bits ([`algebra`] and its neighbours), which
//! runs on what the processor has ([`levels`]). The regular expression is the twin of the first, the first that of the second.
//! A scanner reads only what is after `start`, so a text can be scanned in parts of as many pieces as fit a buffer. O(n).
//!
//! A pattern that is not known, or known with another behaviour, is left to the regular expressions.

mod algebra;
mod algebra_cased;
mod algebra_deepseek;
mod blocks;
#[allow(dead_code)] // not every property has its scanner here
mod class_tables;
mod classes;
mod levels;
mod patterns;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod simd_avx2;
#[cfg(target_arch = "x86_64")]
mod simd_avx512;
#[cfg(target_arch = "aarch64")]
mod simd_neon;
mod spaces;

use super::Stage;
use crate::formats::config::SplitBehavior;
use crate::simd::Level;
use crate::Result;
pub(crate) use spaces::{scan_spaces, SpaceCuts};

use blocks::Scan;
use std::marker::PhantomData;
use std::ops::Range;

/// How many pieces are scanned at once where they are given one by one.
const BATCH_PIECES: usize = 256;

/// The regular expressions that scanners stand for, as `Split` has them: most alone, some only one after the other.
pub fn known_patterns() -> Vec<Vec<&'static str>> {
    let alone = patterns::PATTERNS.iter().map(|known| vec![known.0]);
    let last = patterns::DEEPSEEK.iter().map(|last| vec![patterns::DEEPSEEK_NUMBERS, patterns::DEEPSEEK_CJK, last]);
    alone.chain(last).collect()
}

/// The instructions that the scanners use: `scalar`, `avx2`, `avx512` or `neon`. The best that the processor has, or what the
/// environment variable `RUSSET_SIMD` says.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) where the variable says what the processor does not have.
pub fn simd_level() -> Result<&'static str> {
    Level::of_process().map(Level::name)
}

/// Refuses what the environment asks for and the processor does not have.
pub(super) fn check_environment() -> Result<()> {
    Level::of_process().map(|_| ())
}

/// A pre-tokenizer whose pieces are cut by hand-written code; the pieces tile the text in order (nothing is removed or changed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scanner {
    /// GPT-2's pattern.
    Gpt2,
    /// Each number for itself, then GPT-2's pattern: StarCoder, SmolLM, Command R.
    Gpt2Digits,
    /// `cl100k_base`, Llama 3, OLMo.
    Cl100k,
    /// Qwen 2: cl100k with each number for itself.
    Qwen2,
    /// Qwen 3.5: the same, marks being letters.
    Qwen35,
    /// `o200k_base`.
    O200k,
    /// Mistral's Tekken: o200k without contractions, each number for itself.
    Tekken,
    /// The same, a space going with the number after it.
    TekkenSpaced,
    /// Kimi K2: o200k with Chinese characters apart.
    Kimi,
    /// DeepSeek V3's three patterns.
    DeepSeek,
    /// BLOOM's pattern.
    Bloom,
}

impl Scanner {
    /// The scanner that cuts exactly as these stages do, one after the other, if there is one.
    pub(super) fn of(stages: &[Stage]) -> Option<Self> {
        patterns::scanner_of(stages)
    }

    /// The scanner that cuts exactly as `Split` does with this regular expression, or whose pieces are the matches.
    pub(super) fn of_pattern(pattern: &str, behavior: SplitBehavior, invert: bool) -> Option<Self> {
        let scanner = patterns::scanner_of_pattern(pattern)?;
        (scanner.matches_all() || (behavior == SplitBehavior::Isolated && !invert)).then_some(scanner)
    }

    /// Calls `found` with each piece of `text`, in order. `ends` is a buffer.
    pub(super) fn find_iter(
        self,
        text: &str,
        ends: &mut Vec<u32>,
        found: &mut dyn FnMut(Range<usize>) -> Result<()>,
    ) -> Result<()> {
        let mut start = 0;
        while start < text.len() {
            // Offsets from here, so that the text may be of any length.
            let rest = &text[start..];
            ends.clear();
            if u32::try_from(rest.len()).is_err() {
                let end = start + self.scan(rest, 0, 1, ends);
                found(start..end)?;
                start = end;
                continue;
            }
            self.scan(rest, 0, BATCH_PIECES, ends);
            let first = start;
            for &end in ends.iter() {
                let end = first + end as usize;
                found(start..end)?;
                start = end;
            }
        }
        Ok(())
    }

    /// Appends the ends (byte offsets) of the pieces of `text[start..]`, until at least `pieces` were found or the text ends;
    /// returns the last end. `start` is the start of the text or an end that was returned before. Texts are below 4 GiB.
    pub(crate) fn scan(self, text: &str, start: usize, pieces: usize, ends: &mut Vec<u32>) -> usize {
        // A pre-tokenizer is not made where the environment asks for what is not there.
        self.scan_with(Level::of_process().unwrap_or(Level::Scalar), text, start, pieces, ends)
    }

    fn scan_with(self, level: Level, text: &str, start: usize, pieces: usize, ends: &mut Vec<u32>) -> usize {
        use scalar::{Bloom, Cl100k, DeepSeek, Gpt2, Kimi, O200k, O200kLike, Tekken, TekkenSpaced};
        macro_rules! scan {
            ($pattern:ty) => {
                levels::run(level, Scan { text, start, pieces, ends, pattern: PhantomData::<$pattern> })
            };
        }
        match self {
            Self::Gpt2 => scan!(Gpt2<false>),
            Self::Gpt2Digits => scan!(Gpt2<true>),
            Self::Cl100k => scan!(Cl100k<3, false>),
            Self::Qwen2 => scan!(Cl100k<1, false>),
            Self::Qwen35 => scan!(Cl100k<1, true>),
            Self::O200k => scan!(O200kLike<O200k>),
            Self::Tekken => scan!(O200kLike<Tekken>),
            Self::TekkenSpaced => scan!(O200kLike<TekkenSpaced>),
            Self::Kimi => scan!(O200kLike<Kimi>),
            Self::DeepSeek => scan!(DeepSeek),
            Self::Bloom => scan!(Bloom),
        }
    }

    /// What [`PreTokenizer::regexes`](super::PreTokenizer::regexes) says of a pattern that this stands for.
    pub(super) fn engine(self) -> String {
        format!("scanner: {}", self.name())
    }

    /// The name, for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gpt2 => "gpt2",
            Self::Gpt2Digits => "gpt2, digits apart",
            Self::Cl100k => "cl100k",
            Self::Qwen2 => "qwen2",
            Self::Qwen35 => "qwen3.5",
            Self::O200k => "o200k",
            Self::Tekken => "tekken",
            Self::TekkenSpaced => "tekken, spaces with numbers",
            Self::Kimi => "kimi",
            Self::DeepSeek => "deepseek",
            Self::Bloom => "bloom",
        }
    }
}

#[cfg(test)]
mod tests;
