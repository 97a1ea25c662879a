//! What is fuzzed: one function for each loader, one for encoding and decoding, and one for sampling. Each takes any bytes; a
//! panic is a finding.
//!
//! `fuzz_targets/` gives them to libFuzzer; `src/bin/mutate.rs` drives them on stable Rust.

use russet::decoders::DecodeStream;
use russet::formats::config::*;
use russet::{EncodeOptions, Error, Input, OnUnknown, Tokenizer};
use std::sync::OnceLock;

mod sampling;
pub use sampling::sampling;

/// All targets by name.
pub const TARGETS: [(&str, fn(&[u8])); 10] = [
    ("tokenizer_json", tokenizer_json),
    ("compiled", compiled),
    ("sentencepiece", sentencepiece),
    ("tiktoken", tiktoken),
    ("vocab_files", vocab_files),
    ("charsmap", charsmap),
    ("regex", regex),
    ("encode_decode", encode_decode),
    ("sampling", sampling),
    ("mlmodel", mlmodel),
];

const TEXTS: [&str; 4] = ["", "Hello world, it's 1893!", "  é e\u{301} 中文 😀 <s>[MASK]\0\n", "aaaaaaaaaaaaaaaaaaaaaaaa"];

/// tokenizer.json: loads or is refused, and what loads can be used and written.
pub fn tokenizer_json(data: &[u8]) {
    if let Some(tokenizer) = allowed(Tokenizer::from_bytes(data)) {
        use_it(&tokenizer);
        let saved = russet::formats::write_json(&tokenizer.to_config(), false);
        allowed(Tokenizer::from_bytes(saved.as_bytes()));
    }
}

/// The compiled file of a fixture, which the first byte chooses, with some numbers changed (four bytes for the place, four for the
/// number) and the checksum that it then should have: it loads or is refused, and what loads can be used.
pub fn compiled(data: &[u8]) {
    static FILES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let files = FILES.get_or_init(|| tokenizers().iter().map(Tokenizer::to_compiled).collect());
    let Some((&choice, changes)) = data.split_first() else { return };
    let mut file = files[choice as usize % files.len()].clone();
    for change in changes.chunks_exact(8) {
        let place = u32::from_le_bytes([change[0], change[1], change[2], change[3]]) as usize % (file.len() / 4) * 4;
        file[place..place + 4].copy_from_slice(&change[4..]);
    }
    russet::seal_compiled(&mut file);
    let Some(tokenizer) = allowed(Tokenizer::from_compiled_bytes(&file)) else { return };
    for text in TEXTS {
        if let Some(encoding) = allowed(tokenizer.encode(Input::Text(text), None, &EncodeOptions::default())) {
            allowed(tokenizer.decode(&encoding.ids(), true, OnUnknown::Skip));
        }
    }
    allowed(Tokenizer::from_compiled_bytes(&tokenizer.to_compiled()));
}

/// A SentencePiece model.
pub fn sentencepiece(data: &[u8]) {
    if let Some(tokenizer) = allowed(Tokenizer::from_bytes(data)) {
        use_it(&tokenizer);
    }
}

/// tiktoken ranks.
pub fn tiktoken(data: &[u8]) {
    sentencepiece(data);
}

/// `vocab.json` and `merges.txt`, or `vocab.txt`: a NUL separates the two files, and without one it is the latter.
pub fn vocab_files(data: &[u8]) {
    let folder = std::env::temp_dir().join(format!("russet-fuzz-{}", std::process::id()));
    if std::fs::create_dir_all(&folder).is_err() {
        return;
    }
    let mut parts = data.splitn(2, |&byte| byte == 0);
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    let path = folder.join(if second.is_some() { "vocab.json" } else { "vocab.txt" });
    if std::fs::write(&path, first).is_ok() && second.is_none_or(|merges| std::fs::write(folder.join("merges.txt"), merges).is_ok()) {
        if let Some(tokenizer) = allowed(Tokenizer::from_file(&path)) {
            use_it(&tokenizer);
        }
    }
}

/// A precompiled charsmap, over its own bytes and over fixed texts.
pub fn charsmap(data: &[u8]) {
    let mut config = small_config();
    config.normalizer = Some(NormalizerConfig::Precompiled { charsmap: data.to_vec().into() });
    if let Some(tokenizer) = allowed(Tokenizer::from_config(config)) {
        for text in TEXTS.iter().copied().chain([&*String::from_utf8_lossy(data)]) {
            allowed(tokenizer.normalize_str(text));
        }
        use_it(&tokenizer);
    }
}

/// A pattern and a text, separated by a NUL. The pieces must be the text.
pub fn regex(data: &[u8]) {
    let data = String::from_utf8_lossy(data);
    let (pattern, text) = data.split_once('\0').unwrap_or((&data, TEXTS[1]));
    let mut config = small_config();
    let pattern = PatternConfig::Regex(pattern.to_owned());
    config.pre_tokenizer = Some(PreTokenizerConfig::Split { pattern, behavior: SplitBehavior::Isolated, invert: false });
    if let Some(tokenizer) = allowed(Tokenizer::from_config(config)) {
        if let Some(pieces) = allowed(tokenizer.pre_tokenize_str(text)) {
            let joined: String = pieces.into_iter().map(|(piece, _)| piece).collect();
            assert_eq!(joined, text);
        }
    }
}

/// A Core ML model. What it takes in memory is bounded by its bytes.
pub fn mlmodel(data: &[u8]) {
    if let Some(model) = allowed(russet::mlmodel::Model::read(data)) {
        assert!(!model.functions.is_empty() && !model.interfaces.is_empty());
        let operations: usize = model.functions.iter().map(|(_, function)| function.block.operations.len()).sum();
        assert!(operations <= data.len());
    }
}

/// A text through one of the fixtures, which the first byte chooses: every way to the ids agrees, and so does every way back.
pub fn encode_decode(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else { return };
    let tokenizers = tokenizers();
    let tokenizer = &tokenizers[choice as usize % tokenizers.len()];
    let text = String::from_utf8_lossy(text);
    let options = EncodeOptions { add_special_tokens: choice & 64 == 0, split_special_tokens: choice & 128 != 0, ..EncodeOptions::default() };
    let Some(encoding) = allowed(tokenizer.encode(Input::Text(&text), None, &options)) else { return };
    let ids = encoding.ids();
    assert_eq!(tokenizer.count(Input::Text(&text), None, &options).unwrap(), ids.len());
    let (flat, splits) = tokenizer.encode_arrays(&[(Input::Text(&text), None)], &options).unwrap();
    assert_eq!((&*flat, &*splits), (&*ids, &[0, ids.len() as i64][..]));
    assert_eq!(encoding.tokens().unwrap().len(), ids.len());
    for (start, end) in encoding.byte_offsets().unwrap() {
        assert!(text.get(start..end).is_some(), "{start}..{end}");
    }
    for skip in [true, false] {
        let whole = tokenizer.decode(&ids, skip, OnUnknown::Error).unwrap();
        if !skip {
            assert_eq!(streamed(tokenizer, &ids), whole);
        }
    }
}

/// What a stream over all ids gives.
fn streamed(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    struct Source<'a>(&'a Tokenizer, russet::decoders::Decoder);
    impl russet::decoders::TokenSource for Source<'_> {
        fn decoder(&self) -> &russet::decoders::Decoder {
            self.0.decoder().unwrap_or(&self.1)
        }
        fn token(&self, id: u32) -> russet::Result<Option<&str>> {
            Ok(self.0.id_to_token(id))
        }
    }
    let source = Source(tokenizer, russet::decoders::Decoder::spaces());
    let (mut stream, mut text) = (DecodeStream::new(), String::new());
    for &id in ids {
        stream.step_into(&source, id, &mut text).unwrap();
    }
    stream.finish_into(&source, &mut text).unwrap();
    text
}

fn tokenizers() -> &'static [Tokenizer] {
    static TOKENIZERS: OnceLock<Vec<Tokenizer>> = OnceLock::new();
    TOKENIZERS.get_or_init(|| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/tokenizers");
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| Tokenizer::from_file(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).collect()
    })
}

fn small_config() -> Config {
    let file = br#"{"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "a": 1}, "unk_token": "[UNK]"}}"#;
    Tokenizer::from_bytes(file).expect("a valid file").to_config()
}

/// Any error but the one that stands for a bug.
fn allowed<T>(result: russet::Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(Error::Internal(message)) => panic!("internal error: {message}"),
        Err(_) => None,
    }
}

fn use_it(tokenizer: &Tokenizer) {
    let options = EncodeOptions {
        truncation: tokenizer.truncation(),
        padding: tokenizer.padding(),
        ignore_short_max_length: true,
        ..EncodeOptions::default()
    };
    for text in TEXTS {
        let Some(encoding) = allowed(tokenizer.encode(Input::Text(text), Some(Input::Text("pair")), &options)) else { continue };
        allowed(encoding.tokens().map(|_| ()));
        allowed(encoding.offsets());
        allowed(tokenizer.decode(&encoding.ids(), true, OnUnknown::Skip));
    }
    let ids: Vec<u32> = (0..40).collect();
    allowed(tokenizer.decode(&ids, false, OnUnknown::Skip));
}
