use super::class_tables as tables;
use super::classes::wide_class;
use super::patterns::PATTERNS;
use super::spaces::{scan_spaces_with, SpaceCuts};
use super::Scanner;
use crate::formats::config::{PatternConfig, PreTokenizerConfig, SplitBehavior};
use crate::pre_tokenizers::PreTokenizer;
use crate::regex::{Regex, RegexScratch};
use crate::simd::Level;
use crate::unicode;
use proptest::prelude::*;

/// Regular expressions, one after the other, each isolating its matches: what a scanner stands for.
struct Twin(Vec<Regex>);

impl Twin {
    fn new(patterns: &[&str]) -> Self {
        Self(patterns.iter().map(|pattern| Regex::new(pattern).unwrap()).collect())
    }

    fn ends(&self, text: &str) -> Vec<usize> {
        let mut ends = vec![text.len()];
        for regex in &self.0 {
            let mut cut = Vec::new();
            let mut start = 0;
            for end in ends {
                let mut found = |range: std::ops::Range<usize>| {
                    cut.extend([start + range.start, start + range.end]);
                    Ok(())
                };
                regex.find_iter(&text[start..end], &mut RegexScratch::default(), &mut found).unwrap();
                cut.push(end);
                start = end;
            }
            cut.dedup();
            cut.retain(|&end| end > 0);
            ends = cut;
        }
        ends
    }
}

const DIGIT: &str = r"\p{N}|[\x{11de0}-\x{11de9}\x{16ff4}-\x{16ff6}]";

/// Each scanner with its regular expressions, every spelling of them.
fn twins() -> Vec<(Scanner, Twin)> {
    let mut twins: Vec<_> = PATTERNS.iter().map(|&(pattern, scanner)| (scanner, Twin::new(&[pattern]))).collect();
    twins.push((Scanner::Gpt2Digits, Twin::new(&[DIGIT, PATTERNS[0].0])));
    for last in super::patterns::DEEPSEEK {
        let patterns = [super::patterns::DEEPSEEK_NUMBERS, super::patterns::DEEPSEEK_CJK, last];
        twins.push((Scanner::DeepSeek, Twin::new(&patterns)));
    }
    twins
}

/// The ends of all pieces, scanned in parts of `pieces` pieces.
fn scanned(scanner: Scanner, level: Level, text: &str, pieces: usize) -> Vec<usize> {
    let (mut ends, mut start) = (Vec::new(), 0);
    while start < text.len() {
        let before = ends.len();
        start = scanner.scan_with(level, text, start, pieces, &mut ends);
        assert_eq!(ends.last().copied(), Some(start as u32));
        assert!(ends.len() >= before + pieces || start == text.len(), "{scanner:?} stopped early in {text:?}");
    }
    ends.into_iter().map(|end| end as usize).collect()
}

fn agree(twins: &[(Scanner, Twin)], text: &str) {
    for (scanner, twin) in twins {
        let expected = twin.ends(text);
        for level in Level::all() {
            for pieces in [1, 3, usize::MAX] {
                assert_eq!(scanned(*scanner, level, text, pieces), expected, "{scanner:?} {level:?} {text:?}");
            }
        }
    }
}

/// What the patterns tell apart, and a little of everything else.
const PARTS: &[&str] = &[
    "a",
    "b",
    "s",
    "t",
    "A",
    "B",
    "1",
    "2",
    " ",
    " ",
    "\n",
    "!",
    ".",
    "'",
    "'s",
    "'ll",
    "'RE",
    "'ſ",
    "'d",
    "'t",
    "''",
    "  ",
    "   ",
    "\r\n",
    "\n\n",
    " \n",
    "\n ",
    "\t",
    "\u{a0}",
    "\u{3000}",
    "\u{85}",
    "\u{2028}",
    "é",
    "É",
    "ǅ",
    "ª",
    "ʰ",
    "中",
    "国人",
    "々",
    "〇",
    "あ",
    "ア",
    "・",
    "゛",
    "\u{3099}",
    "\u{3040}",
    "\u{30a0}",
    "한",
    "к",
    "К",
    "ا",
    "\u{64e}",
    "\u{301}",
    "\u{93e}",
    "ด",
    "ี",
    "٣",
    "Ⅷ",
    "½",
    "²",
    "123",
    "1234567",
    "१२३४",
    "𝟗𝟗𝟗𝟗",
    "𞤀",
    "𐐀",
    "𐐨",
    "😀",
    "\u{200d}",
    "\u{fe0f}",
    "\u{0}",
    "\u{1}",
    "\u{7f}",
    "\u{ad}",
    "\u{e000}",
    "\u{10ffff}",
    "/",
    "/\n",
    "\n/",
    "。",
    "，",
    "“",
    "”",
    "€",
    "$",
    "+",
    "(",
    "|",
    ")",
    "ABC",
    "AbC",
    "        ",
    "\n        ",
    "!!!!!!!!",
    "\u{11de0}",
    "\u{16ff4}",
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
    "                                                                      ",
    "12345678901234567890123456789012345678901234567890123456789012345678901",
];

/// Texts of a few of the parts, so that runs and repetitions are likely, with now and then another character.
fn texts() -> impl Strategy<Value = String> {
    let alphabet = prop::collection::vec(prop::sample::select(PARTS), 1..12);
    let text = alphabet.prop_flat_map(|alphabet| {
        let part =
            prop_oneof![40 => prop::sample::select(alphabet).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
        prop::collection::vec(part, 0..80)
    });
    text.prop_map(|parts| parts.concat())
}

fn for_texts(cases: u32, check: impl Fn(&str)) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let checked = proptest::test_runner::TestRunner::new(config).run(&texts(), |text| {
        check(&text);
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn scanners_cut_as_their_regular_expressions_do() {
    let twins = twins();
    for_texts(500, |text| agree(&twins, text));
}

#[test]
fn all_levels_cut_as_the_scalar_scanners_do() {
    let scanners: Vec<_> = twins().iter().map(|twin| twin.0).collect();
    for_texts(5000, |text| {
        for &scanner in &scanners {
            let expected = scanned(scanner, Level::Scalar, text, usize::MAX);
            for level in Level::all() {
                for pieces in [2, usize::MAX] {
                    assert_eq!(scanned(scanner, level, text, pieces), expected, "{scanner:?} {level:?} {text:?}");
                }
            }
        }
    });
}

#[test]
fn all_levels_find_the_same_spaces() {
    let may_cut = |text: &str, cut: usize| !text[..cut].ends_with(['é', '中', '\u{b}']);
    for_texts(2000, |text| {
        for with_breaks in [false, true] {
            let spaces: &[char] = if with_breaks { &[' ', '\t', '\n', '\r'] } else { &[' '] };
            let mut expected: Vec<usize> = text.match_indices(spaces).map(|(place, _)| place).collect();
            expected.retain(|&place| place > 0 && !text[..place].ends_with(spaces) && may_cut(text, place));
            expected.extend((!text.is_empty()).then_some(text.len()));
            let cuts = SpaceCuts { with_breaks, may_cut: &may_cut };
            for level in Level::all() {
                for count in [1, 3, usize::MAX] {
                    let (mut ends, mut start) = (Vec::new(), 0);
                    while start < text.len() {
                        start = scan_spaces_with(level, text, start, count, &mut ends, cuts);
                        assert_eq!(ends.last().copied(), Some(start as u32));
                    }
                    let found: Vec<usize> = ends.iter().map(|&end| end as usize).collect();
                    assert_eq!(found, expected, "{level:?} {text:?}");
                }
            }
        }
    });
}

#[test]
fn every_character_is_cut_as_its_regular_expression_does() {
    let twins = twins();
    let contexts = [
        ("", ""),
        ("A", "B"),
        ("1", "1"),
        (" ", " "),
        ("'", "s"),
        ("!", "!"),
        (" ", "a"),
        ("中", "A"),
        ("\u{301}", "\u{301}"),
        ("\r", "/"),
    ];
    // Many characters a text; what is between two lines is one case. All stand between two letters, and in one more context.
    let mut text = String::new();
    for (character, context) in ('\0'..=char::MAX).zip(contexts.into_iter().cycle()) {
        let mut bytes = [0; 4];
        let character_text = &*character.encode_utf8(&mut bytes);
        for (before, after) in [("a", "a"), context] {
            text.extend([before, character_text, after, "x\n"]);
        }
        if text.len() > 1 << 16 || character == char::MAX {
            for (scanner, twin) in &twins {
                let expected = twin.ends(&text);
                for level in Level::all() {
                    assert!(scanned(*scanner, level, &text, usize::MAX) == expected, "{scanner:?} {level:?} up to {character:?}");
                }
            }
            text.clear();
        }
    }
}

#[test]
fn classes_are_those_of_the_regular_expressions_and_of_the_other_pre_tokenizers() {
    let sets = [
        (tables::LETTER, r"\p{L}"),
        (tables::NUMBER, r"\p{N}"),
        (tables::SPACE, r"\s"),
        (tables::MARK, r"\p{M}"),
        (tables::UPPER, r"\p{Lu}|\p{Lt}"),
        (tables::LOWER, r"\p{Ll}"),
        (tables::SYMBOL, r"[\p{P}\p{S}]"),
        (tables::HAN, r"\p{Han}"),
        (tables::DEEPSEEK_CJK, super::patterns::DEEPSEEK_CJK),
        (tables::BLOOM_STOP, r"[.,!?…。，、।۔،(|)]"),
    ];
    let properties = |character: char| match character as usize {
        code @ 0..128 => tables::ASCII[code],
        _ => {
            let mut bytes = [0; 4];
            let (class, length) = wide_class(character.encode_utf8(&mut bytes).as_bytes(), 0);
            assert_eq!(length, character.len_utf8());
            tables::CLASSES[usize::from(class)]
        }
    };
    // One text with a match for each member.
    let text: String = ('\0'..=char::MAX).flat_map(|character| [character, '\u{10fffe}']).collect();
    for (property, pattern) in sets {
        let regex = Regex::new(pattern).unwrap();
        let mut members = Vec::new();
        regex
            .find_iter(&text, &mut RegexScratch::default(), &mut |range| {
                members.extend(text[range].chars());
                Ok(())
            })
            .unwrap();
        let expected: Vec<char> = ('\0'..=char::MAX).filter(|&character| properties(character) & property != 0).collect();
        assert!(members == expected, "{pattern}");
    }
    for character in '\0'..=char::MAX {
        let found = properties(character);
        assert_eq!(found & tables::PUNCTUATION != 0, unicode::is_punctuation(character), "{character:?}");
        assert_eq!(found & tables::NUMERIC != 0, unicode::is_numeric(character), "{character:?}");
        assert_eq!(found & tables::WORD != 0, unicode::is_word(character), "{character:?}");
        assert_eq!(found & tables::SPACE != 0, unicode::is_whitespace(character), "{character:?}");
    }
}

#[test]
fn white_space_without_end_is_linear() {
    for scanner in twins().iter().map(|twin| twin.0) {
        for text in [" ".repeat(200_000) + "x", "\n ".repeat(100_000) + "x", "\n".repeat(100_000) + &" ".repeat(100_000) + "x"] {
            for level in Level::all() {
                let pieces = scanned(scanner, level, &text, 1);
                assert!(pieces.len() <= 4, "{scanner:?} {level:?} {}", pieces.len());
            }
        }
    }
}

fn regex(pattern: &str, behavior: SplitBehavior, invert: bool) -> PreTokenizerConfig {
    PreTokenizerConfig::Split { pattern: PatternConfig::Regex(pattern.to_owned()), behavior, invert }
}

#[test]
fn stages_are_known_by_what_they_do() {
    let byte_level =
        |add_prefix_space, use_regex| PreTokenizerConfig::ByteLevel { add_prefix_space, trim_offsets: true, use_regex };
    let sequence = |parts: Vec<PreTokenizerConfig>| PreTokenizerConfig::Sequence(parts);
    let digits = |individual_digits| PreTokenizerConfig::Digits { individual_digits };
    let isolated = |pattern: &str| regex(pattern, SplitBehavior::Isolated, false);
    let raw = |config: PreTokenizerConfig| PreTokenizer::from_config(&config).unwrap().without_byte_level().unwrap().scanner();
    assert_eq!(raw(byte_level(false, true)), Some(Scanner::Gpt2));
    assert_eq!(raw(byte_level(true, true)), None);
    assert_eq!(raw(byte_level(false, false)), None);
    assert_eq!(raw(sequence(vec![digits(true), byte_level(false, true)])), Some(Scanner::Gpt2Digits));
    assert_eq!(raw(sequence(vec![digits(false), byte_level(false, true)])), None);
    for (pattern, scanner) in PATTERNS {
        assert_eq!(raw(sequence(vec![isolated(pattern), byte_level(false, false)])), Some(scanner));
        let matches = raw(sequence(vec![regex(pattern, SplitBehavior::Removed, true), byte_level(false, false)]));
        assert_eq!(matches, scanner.matches_all().then_some(scanner));
        assert_eq!(raw(sequence(vec![regex(pattern, SplitBehavior::MergedWithNext, false), byte_level(false, false)])), None);
    }
    for last in super::patterns::DEEPSEEK {
        let mut parts: Vec<_> = [super::patterns::DEEPSEEK_NUMBERS, super::patterns::DEEPSEEK_CJK, last].map(isolated).into();
        parts.push(byte_level(false, false));
        assert_eq!(raw(sequence(parts.clone())), Some(Scanner::DeepSeek));
        parts.swap(0, 1);
        assert_eq!(raw(sequence(parts)), None);
    }
    for patterns in super::known_patterns() {
        let mut parts: Vec<_> = patterns.into_iter().map(isolated).collect();
        parts.push(byte_level(false, false));
        assert!(raw(sequence(parts)).is_some());
    }
    let encoding = PreTokenizer::from_config(&byte_level(false, true)).unwrap();
    assert_eq!(encoding.scanner(), None, "its pieces are not parts of the text");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn other_behaviors_cut_as_before(text in texts()) {
        let pieces = |config: &PreTokenizerConfig| crate::pre_tokenizers::tests::pieces_at(config, &text, 0);
        for (pattern, _) in PATTERNS {
            // Another spelling, which is not known.
            let unknown = format!("(?:{pattern})");
            for behavior in [SplitBehavior::Removed, SplitBehavior::Isolated, SplitBehavior::MergedWithNext, SplitBehavior::Contiguous] {
                for invert in [false, true] {
                    prop_assert_eq!(pieces(&regex(pattern, behavior, invert)), pieces(&regex(&unknown, behavior, invert)), "{} {:?}", pattern, behavior);
                }
            }
        }
    }
}

/// The texts of the corpus that the environment names.
#[test]
fn the_texts_of_the_corpus_are_cut_as_the_regular_expressions_do() {
    let Some(corpus) = std::env::var_os("RUSSET_CORPUS") else {
        eprintln!("skipped: RUSSET_CORPUS is not set");
        return;
    };
    let twins = twins();
    let folder = std::path::Path::new(&corpus).join("texts");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        for line in std::fs::read_to_string(path).unwrap().lines() {
            agree(&twins, &serde_json::from_str::<String>(line).unwrap());
        }
    }
}
