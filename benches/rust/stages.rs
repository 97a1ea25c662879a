//! Each stage alone, over the text of the fixtures: `cargo bench --package russet-benches`.

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use russet::transcode::to_utf8;
use russet::{EncodeOptions, Input, Keep, OnUnknown, Tokenizer};
use std::path::{Path, PathBuf};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data")
}

fn tokenizer(name: &str) -> Tokenizer {
    Tokenizer::from_file(data().join(format!("tokenizers/{name}.json"))).unwrap()
}

fn text() -> String {
    std::fs::read_to_string(data().join("text/multilingual.txt")).unwrap()
}

fn normalizers(criterion: &mut Criterion) {
    let text = text();
    let mut group = criterion.benchmark_group("normalizers");
    group.throughput(Throughput::Bytes(text.len() as u64));
    for name in ["bert", "nfc", "nfkc", "lowercase", "strip-accents", "precompiled", "replace-string", "replace-regex"] {
        let tokenizer = tokenizer(&format!("normalizer-{name}"));
        group.bench_function(name, |bencher| bencher.iter(|| tokenizer.normalize_str(&text).unwrap()));
    }
    group.finish();
}

fn pre_tokenizers(criterion: &mut Criterion) {
    let text = text();
    let mut group = criterion.benchmark_group("pre_tokenizers");
    group.throughput(Throughput::Bytes(text.len() as u64));
    for name in [
        "byte-level-001",
        "bert",
        "whitespace",
        "metaspace-always",
        "digits",
        "punctuation-Isolated",
        "regex-cl100k",
        "unicode-scripts",
    ] {
        let tokenizer = tokenizer(&format!("pre_tokenizer-{name}"));
        group.bench_function(name, |bencher| bencher.iter(|| tokenizer.pre_tokenize_str(&text).unwrap()));
    }
    group.finish();
}

const WHOLE: [&str; 7] =
    ["bpe-gpt2", "bpe-llama3", "bpe-o200k", "bpe-llama2", "unigram-t5", "wordpiece-bert-uncased", "wordlevel-whitespace"];

fn encode(criterion: &mut Criterion) {
    let text = text();
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Bytes(text.len() as u64));
    let options = EncodeOptions { keep: Keep::Nothing, ..EncodeOptions::default() };
    for name in WHOLE {
        let tokenizer = tokenizer(name);
        let encode = || tokenizer.encode(Input::Text(&text), None, &options).unwrap();
        assert_eq!(encode().len(), tokenizer.count(Input::Text(&text), None, &options).unwrap());
        group.bench_function(name, |bencher| bencher.iter(encode));
    }
    group.finish();
}

fn encode_with_offsets(criterion: &mut Criterion) {
    let text = text();
    let mut group = criterion.benchmark_group("encode_with_offsets");
    group.throughput(Throughput::Bytes(text.len() as u64));
    for name in WHOLE {
        let tokenizer = tokenizer(name);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let encoding = tokenizer.encode(Input::Text(&text), None, &EncodeOptions::default()).unwrap();
                (encoding.tokens().unwrap().len(), encoding.offsets().unwrap())
            });
        });
    }
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let text = text();
    let mut group = criterion.benchmark_group("decode");
    for name in WHOLE {
        let tokenizer = tokenizer(name);
        let encoding = tokenizer.encode(Input::Text(&text), None, &EncodeOptions::default()).unwrap();
        let ids = encoding.ids();
        group.throughput(Throughput::Elements(ids.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| tokenizer.decode(&ids, true, OnUnknown::Error).unwrap()));
    }
    group.finish();
}

fn load(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load");
    for name in WHOLE {
        let bytes = std::fs::read(data().join(format!("tokenizers/{name}.json"))).unwrap();
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| Tokenizer::from_bytes(&bytes).unwrap()));
    }
    group.finish();
}

fn transcode(criterion: &mut Criterion) {
    let text = text();
    let ucs4: Vec<u32> = text.chars().map(u32::from).collect();
    let is_short = |unit: &&u32| **unit <= 0xFFFF;
    let ucs2: Vec<u16> = ucs4.iter().filter(is_short).map(|&unit| unit as u16).collect();
    assert_eq!(to_utf8(&ucs4).as_ref(), Ok(&text));
    assert_eq!(to_utf8(&ucs2), Ok(text.chars().filter(|&character| character <= '\u{FFFF}').collect()));
    let mut group = criterion.benchmark_group("transcode");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("ucs4", |bencher| bencher.iter(|| to_utf8(&ucs4).unwrap()));
    group.bench_function("ucs2", |bencher| bencher.iter(|| to_utf8(&ucs2).unwrap()));
    group.finish();
}

criterion_group!(benches, transcode, normalizers, pre_tokenizers, encode, encode_with_offsets, decode, load);
criterion_main!(benches);
