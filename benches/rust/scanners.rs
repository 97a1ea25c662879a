//! The scanners alone: how fast each known pattern cuts each text, with the instructions of this process.
//!
//! ```text
//! cargo bench --package russet-benches --bench scanners [TEXT...]
//! RUSSET_SIMD=scalar cargo bench ...
//! ```
//!
//! Each cell is MB/s and, in parentheses, nanoseconds a piece: the best of several passes over the text, 512 pieces a call, as
//! the pipeline asks for them. Without arguments the texts are those of the fixtures.

use russet::formats::config::{PatternConfig, PreTokenizerConfig, SplitBehavior};
use russet::pre_tokenizers::{known_patterns, simd_level, PreTokenizer};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PIECES: usize = 512;
const PASSES: usize = 15;
const LEAST_BYTES: usize = 4_000_000;

fn byte_level(use_regex: bool) -> PreTokenizerConfig {
    PreTokenizerConfig::ByteLevel { add_prefix_space: false, trim_offsets: true, use_regex }
}

fn split(pattern: &str) -> PreTokenizerConfig {
    let pattern = PatternConfig::Regex(pattern.to_owned());
    PreTokenizerConfig::Split { pattern, behavior: SplitBehavior::Isolated, invert: false }
}

/// Each scanner under its name.
fn scanners() -> Vec<(String, PreTokenizer)> {
    let mut stages = vec![vec![byte_level(true)], vec![PreTokenizerConfig::Digits { individual_digits: true }, byte_level(true)]];
    for patterns in known_patterns() {
        let mut parts: Vec<_> = patterns.iter().map(|pattern| split(pattern)).collect();
        parts.push(byte_level(false));
        stages.push(parts);
    }
    let mut scanners: Vec<(String, PreTokenizer)> = Vec::new();
    for parts in stages {
        let compiled = PreTokenizer::from_config(&PreTokenizerConfig::Sequence(parts)).unwrap();
        let raw = compiled.without_byte_level().unwrap();
        let name = raw.scanner_name().unwrap().to_owned();
        if scanners.iter().all(|(other, _)| *other != name) {
            scanners.push((name, raw));
        }
    }
    scanners
}

/// The seconds that one pass takes, and how many pieces there are.
fn time(scanner: &PreTokenizer, text: &str) -> (Duration, usize) {
    let mut ends = Vec::with_capacity(2 * PIECES);
    let mut pass = || {
        let (mut start, mut pieces) = (0, 0);
        while start < text.len() {
            ends.clear();
            start = scanner.scan(text, start, PIECES, &mut ends).unwrap();
            pieces += black_box(&ends).len();
        }
        pieces
    };
    let repeats = (LEAST_BYTES / text.len()).max(1);
    let mut best = Duration::MAX;
    let mut pieces = 0;
    for _ in 0..PASSES {
        let begin = Instant::now();
        for _ in 0..repeats {
            pieces = pass();
        }
        best = best.min(begin.elapsed() / repeats as u32);
    }
    (best, pieces)
}

fn main() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/text");
    let mut paths: Vec<PathBuf> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).map(PathBuf::from).collect();
    if paths.is_empty() {
        paths = std::fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
    }
    let scanners = scanners();
    println!("{}; MB/s (ns a piece)", simd_level().unwrap());
    for path in paths {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        println!("{}, {} bytes", path.file_name().unwrap_or_default().to_string_lossy(), text.len());
        for (name, scanner) in &scanners {
            let (best, pieces) = time(scanner, &text);
            let speed = text.len() as f64 / best.as_secs_f64() / 1e6;
            println!("    {name:24} {speed:6.0} ({:.2})", best.as_secs_f64() * 1e9 / pieces as f64);
        }
    }
}
