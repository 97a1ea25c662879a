//! The texts of the known patterns, and which stages they make up.

use super::Scanner;
use crate::pre_tokenizers::byte_level::GPT2_PATTERN;
use crate::pre_tokenizers::Stage;

/// Each pattern that a scanner stands for, in the spellings of the files in the wild.
#[rustfmt::skip]
pub(super) const PATTERNS: [(&str, Scanner); 11] = [
    (GPT2_PATTERN, Scanner::Gpt2),
    (r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", Scanner::Gpt2),
    (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", Scanner::Cl100k),
    (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+", Scanner::Cl100k),
    (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", Scanner::Qwen2),
    (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", Scanner::Qwen35),
    (concat!(
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
        r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ), Scanner::O200k),
    (concat!(
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|",
        r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ), Scanner::Tekken),
    (concat!(
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|",
        r" ?\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ), Scanner::TekkenSpaced),
    (concat!(
        r"[\p{Han}]+|",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
        r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ), Scanner::Kimi),
    (r" ?[^(\s|[.,!?…。，、।۔،])]+", Scanner::Bloom),
];

/// DeepSeek's three patterns, of which the files have the last with its line breaks escaped or as they are.
pub(super) const DEEPSEEK_NUMBERS: &str = r"\p{N}{1,3}";
pub(super) const DEEPSEEK_CJK: &str = "[一-龥぀-ゟ゠-ヿ]+";
pub(super) const DEEPSEEK: [&str; 3] = [
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
    concat!(
        r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^"##,
        "\r\n",
        r"\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[",
        "\r\n",
        r"]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    concat!(
        r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^"##,
        "\r\n",
        r"\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[",
        "\r\n",
        r"]*|\s*[",
        "\r\n",
        r"]+|\s+(?!\S)|\s+"
    ),
];

/// The scanner for the matches of a pattern, and what lies between them.
pub(super) fn scanner_of_pattern(pattern: &str) -> Option<Scanner> {
    PATTERNS.iter().find(|known| known.0 == pattern).map(|known| known.1)
}

impl Scanner {
    /// Whether each piece is a match of the pattern, so that the pieces can be given as the matches.
    pub(super) fn matches_all(self) -> bool {
        !matches!(self, Self::DeepSeek | Self::Bloom)
    }
}

/// The scanner that does what these stages do, one after the other.
pub(super) fn scanner_of(stages: &[Stage]) -> Option<Scanner> {
    // The pattern of a stage that isolates its matches.
    let isolated = |stage: &Stage| match stage {
        Stage::Split(split) => split.isolated().map(str::to_owned),
        _ => None,
    };
    match stages {
        [Stage::ByteLevel(stage)] if stage.only_splits() => Some(Scanner::Gpt2),
        [Stage::Split(stage)] => stage.scanner(),
        [Stage::Digits(digits), Stage::ByteLevel(stage)] if digits.are_individual() && stage.only_splits() => {
            Some(Scanner::Gpt2Digits)
        }
        [first, second, third] => {
            let [first, second, third] = [isolated(first)?, isolated(second)?, isolated(third)?];
            let is_deepseek = first == DEEPSEEK_NUMBERS && second == DEEPSEEK_CJK && DEEPSEEK.contains(&third.as_str());
            is_deepseek.then_some(Scanner::DeepSeek)
        }
        _ => None,
    }
}
