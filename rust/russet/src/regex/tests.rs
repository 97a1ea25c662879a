//! Tests of the whole engine: what the reference answers, the naive twin, and the number of steps.

use super::*;
use proptest::prelude::*;

fn matches_of(regex: &Regex, text: &str, scratch: &mut RegexScratch) -> Result<Vec<Range<usize>>> {
    let mut found = Vec::new();
    regex.find_iter(text, scratch, &mut |range| {
        found.push(range);
        Ok(())
    })?;
    Ok(found)
}

fn find<'t>(pattern: &str, text: &'t str) -> Vec<&'t str> {
    let regex = Regex::new(pattern).unwrap();
    let mut scratch = RegexScratch::default();
    matches_of(&regex, text, &mut scratch).unwrap().into_iter().map(|range| &text[range]).collect()
}

#[test]
fn matches_what_the_reference_matches() {
    // Measured on tokenizers 0.23.3.
    for (pattern, text, expected) in [
        (r"\w+", "Hello, wörld", vec!["Hello", "wörld"]),
        (r"a|ab", "ab", vec!["a"]),
        (r"(?i:'s|'t)", "it'S it'ſ", vec!["'S", "'ſ"]),
        (r"(?i)ss", "ß ẞ SS ſs", vec!["ß", "ẞ", "SS", "ſs"]),
        (r"(?i)s(?:s)", "ß", vec!["ß"]),
        (r"(?i)s(?i:s)", "ß", vec![]),
        (r"(?i)[ß]", "ss ẞ", vec!["ss", "ẞ"]),
        (r"(?i)[^ß]", "sẞ", vec!["s"]),
        (r"(?i)\p{Lu}", "aA", vec!["A"]),
        (r"a{,2}", "aaa", vec!["aa", "a"]),
        (r"a{2}?", "aaa", vec!["aa", ""]),
        (r"a{1,2}+b", "aaab", vec!["aaab"]),
        (r"a{2,1}b", "aab", vec!["aab"]),
        (r"x{", "x{", vec!["x{"]),
        (r"^", "a\nb\n", vec!["", ""]),
        (r"$", "a\nb\n", vec!["", "", ""]),
        (r".\Z", "a\n", vec!["a"]),
        (r"\R", "\r\n\n\u{2028}", vec!["\r\n", "\n", "\u{2028}"]),
        (r"\h+", "ff xyz 0G", vec!["ff", "0"]),
        (r"a.c(?m:a.c)", "a\nca\nc", vec![]),
        (r"(?m)a.c", "a\nc", vec!["a\nc"]),
        (r"[a-w&&[^c-g]z]+", "abchz", vec!["ab", "h"]),
        (r"[]a]+", "a]b", vec!["a]"]),
        (r"[a-]+", "a-b", vec!["a-"]),
        (r"(?<=a|bc)x", "ax bcx cx", vec!["x", "x"]),
        (r"(?<!a)b", "ab b", vec!["b"]),
        (r"(?<=\ba+)b", "aab caab", vec!["b"]),
        (r"(?>a*)ab|b", "aab", vec!["b"]),
        (r"a\Kb", "ab", vec!["b"]),
        (r"\Ga", "aab a", vec!["a", "a"]),
        (r"(a)\1", "aaa", vec!["aa"]),
        (r"(?<x>a|b)\k<x>", "abba", vec!["bb"]),
        (r"(?((?=a))ab|c)", "abc", vec!["ab", "c"]),
        (r"\x{61 62}", "ab", vec!["ab"]),
        (r"\x61\u0062\143", "abc", vec!["abc"]),
        (r"(?x) a b # c", "ab", vec!["ab"]),
        (r"\bb", "ab b", vec!["b"]),
        (r"x*", "axb", vec!["", "x", ""]),
        (r"\s+(?!\S)|\s+", "a   b  ", vec!["  ", " ", "  "]),
    ] {
        assert_eq!(find(pattern, text), expected, "{pattern:?} on {text:?}");
    }
}

#[test]
fn refuses_what_it_does_not_run_and_names_it() {
    for (pattern, construct) in [
        (r"a(?~b)", "(?~"),
        (r"\X", r"\X"),
        (r"(a)\g<1>", r"\g"),
        (r"(?{x})", "(?{"),
        (r"(*FAIL)", "("),
        (r"\p{Script=Greek}", r"\p{Script=Greek}"),
        (r"a**)", ")"),
        (r"(a", ""),
        (r"[b-a]", "[b-a"),
        (r"\p{Nope}", r"\p{Nope}"),
        (r"*a", "*"),
        (r"(?=a)*", "*"),
        (r"a\2", r"\1"),
    ] {
        let error = Regex::new(pattern).unwrap_err();
        let crate::Error::Pattern { construct: named, .. } = &error else { panic!("{error}") };
        assert!(named.contains(construct), "{pattern:?}: {error}");
    }
}

#[test]
fn limits_depth_and_size() {
    assert!(Regex::new(&"(".repeat(100_000)).is_err());
    assert!(Regex::new(&format!("{}a{}", "(?:".repeat(2_000), ")".repeat(2_000))).is_err());
    assert!(Regex::new(&"[".repeat(100_000)).is_err());
    assert!(Regex::new(&format!("a{}", "{2,3}".repeat(10_000))).is_err());
    assert!(Regex::new("(?:(?:(?:ab){1000}){1000}){1000}").is_err());
    assert!(Regex::new("(?:ab){1000}").is_ok());
    assert!(Regex::new(&"a|".repeat(20_000)).is_ok());
}

#[test]
fn takes_a_linear_number_of_steps() {
    let spaces = |n: usize| " ".repeat(n) + "b";
    let letters = |n: usize| "a".repeat(n) + "!";
    for (pattern, text) in [
        (r"\s+$", &spaces as &dyn Fn(usize) -> String),
        (r"\s+(?!\S)x", &spaces),
        (r"(?>\s+)$", &spaces),
        (r"\s++$", &spaces),
        (r"\s*?$", &spaces),
        (r"(?:\s*x?)*$", &spaces),
        (r"(a|a)*$", &letters),
        (r"(a+)+$", &letters),
        (r"(?:a|aa)+$", &letters),
        (r"(?>(?:a|aa)+)$", &letters),
        (r"(?:ab?|a)*c", &letters),
        (r"(?=.*x)a", &letters),
        (r"(?=(?:a|b|cd)*!)b", &letters),
        (r"(?!(?:a|b|cd)*!)a", &letters),
        (r".*.*=.*", &letters),
        (r"(?((?=a+b))c|a+$)", &letters),
        (r"(?:(?:a|ab?)*)*$", &letters),
        (r"(?:a*?)*?$", &letters),
    ] {
        let steps = |n: usize| {
            let regex = Regex::new(pattern).unwrap();
            let mut scratch = RegexScratch::default();
            matches_of(&regex, &text(n), &mut scratch).unwrap();
            scratch.matcher.steps as f64
        };
        let (small, large) = (steps(20_000), steps(80_000));
        assert!(large < small * 4.5 + 100_000.0, "{pattern:?}: {small} then {large} steps");
        assert!(large < 80_000.0 * 200.0, "{pattern:?}: {large} steps");
    }
}

#[test]
fn limits_steps_with_back_references() {
    let regex = Regex::new(r"(a*)*b\1|(x+x+)+\2y").unwrap_or_else(|_| Regex::new(r"(x+x+)+\1y").unwrap());
    let error = matches_of(&regex, &"x".repeat(3_000), &mut RegexScratch::default()).unwrap_err();
    assert!(matches!(error, crate::Error::PatternLimit { .. }), "{error}");
}

#[test]
fn long_texts_do_not_recurse() {
    let text = "ab".repeat(500_000);
    assert_eq!(find("(?:a|b)*", &text)[0].len(), text.len());
    assert_eq!(find("(?:a(?=b)|b)*?$", &text)[0].len(), text.len());
}

#[test]
fn scratch_is_shared_between_patterns() {
    let mut scratch = RegexScratch::default();
    scratch.matcher.patience = (0, 0);
    for _ in 0..3 {
        for pattern in [r"(?:a|ab)*c", r"\s+$", r"(?>a+|b)*$", r"(?=(?:a|b)*c)."] {
            let regex = Regex::new(pattern).unwrap();
            for text in ["aabab", "  b", "abab c", "aaabac"] {
                let with = matches_of(&regex, text, &mut scratch).unwrap();
                assert_eq!(with, matches_of(&regex, text, &mut RegexScratch::default()).unwrap());
            }
        }
    }
}

/// Random patterns over a small alphabet, as nodes of nested strings.
fn patterns() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a", "b", "ab", "c", "[ab]", "[^a]", ".", "\\s", "\\w", "é", "^", "$", "\\b", "\\B", "\\A", "\\z", "\\G", "(?i:ss)", "ß",
        "", "\\K",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 4, |inner| {
        let quantifier =
            prop::sample::select(vec!["*", "+", "?", "*?", "+?", "??", "*+", "{2}", "{1,2}", "{2,}", "{0,2}?", "{2,3}?", "{3,9}"]);
        prop_oneof![
            4 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            2 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            4 => (inner.clone(), quantifier).prop_map(|(body, quantifier)| format!("(?:{body}){quantifier}")),
            1 => inner.clone().prop_map(|body| format!("({body})")),
            1 => inner.clone().prop_map(|body| format!("(?>{body})")),
            1 => inner.clone().prop_map(|body| format!("(?={body})")),
            1 => inner.clone().prop_map(|body| format!("(?!{body})")),
            1 => inner.clone().prop_map(|body| format!("(?<={body})")),
            1 => inner.clone().prop_map(|body| format!("(?<!{body})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(?({a}){b}|b)")),
            1 => (inner.clone(), inner).prop_map(|(a, b)| format!("({a}){b}\\1")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_naive_twin(pattern in patterns(), texts in prop::collection::vec("[abcé \nsß]{0,9}", 4)) {
        let Ok(regex) = Regex::new(&pattern) else { return Ok(()) };
        let tuned = tune::tune(&pattern, parser::parse(&pattern).unwrap()).unwrap();
        for text in &texts {
            let expected = naive::find_iter(&tuned, text);
            for patience in [(0, 0), (20, 1), (1_000_000, 0)] {
                let mut scratch = RegexScratch::default();
                scratch.matcher.patience = patience;
                let found = matches_of(&regex, text, &mut scratch);
                prop_assert_eq!(found.unwrap(), expected.clone(), "{:?} on {:?} with patience {:?}", pattern, text, patience);
            }
        }
    }

    #[test]
    fn no_pattern_panics(pattern in r"[\\\[\](){}?*+|^$.:&<>=!a-cxkpu0-9,\-#i]{0,20}", text in "[abc1 ]{0,6}") {
        if let Ok(regex) = Regex::new(&pattern) {
            let _ = matches_of(&regex, &text, &mut RegexScratch::default());
        }
    }
}
