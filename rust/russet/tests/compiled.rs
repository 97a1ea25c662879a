//! Compiled files: every fixture comes back as it was, and damaged ones are refused or give a tokenizer that can be used.

use russet::formats::write_json;
use russet::{EncodeOptions, Error, Input, OnUnknown, Tokenizer};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};

const TEXTS: [&str; 6] = [
    "",
    "Hello world, it's 1893! The mill stands.",
    "  é e\u{301} 中文 😀 <s>[MASK]\0\n ﬁ½ Straße",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa abababababababab",
    "def f(x):\n    return x**2  # <|endoftext|>\t</s>",
    "漢字かな交じり文 한국어 ᄒ\u{1161} \u{600} \u{2581}\u{2581}x",
];

fn fixtures() -> Vec<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data");
    let folders = ["tokenizers", "sentencepiece", "tiktoken"].map(|folder| data.join(folder));
    let mut paths: Vec<PathBuf> =
        folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())).collect();
    paths.sort();
    paths
}

/// All that a tokenizer makes of the texts, and of what it made.
fn used(tokenizer: &Tokenizer, is_damaged: bool) -> Vec<String> {
    let mut results = Vec::new();
    for text in TEXTS {
        for pair in [None, Some(Input::Text("a pair"))] {
            let options = EncodeOptions { add_special_tokens: pair.is_some(), ..EncodeOptions::default() };
            results.push(match tokenizer.encode(Input::Text(text), pair, &options) {
                Ok(encoding) if tokenizer.model().is_random() => format!("{}", encoding.is_empty()),
                Ok(encoding) => {
                    let ids = encoding.ids().to_vec();
                    let decoded = tokenizer.decode(&ids, false, OnUnknown::Skip);
                    // A debug build checks that those who compute them find the same ids again; damaged tables need not agree.
                    if is_damaged && cfg!(debug_assertions) {
                        continue;
                    }
                    format!("{ids:?} {:?} {:?} {decoded:?}", encoding.tokens(), encoding.offsets())
                }
                Err(error) => error.to_string(),
            });
        }
        results.push(format!("{:?} {:?}", tokenizer.token_to_id(text), tokenizer.id_to_token(text.len() as u32)));
    }
    results.push(write_json(&tokenizer.to_config(), false));
    results
}

#[test]
fn every_fixture_comes_back_as_it_was() {
    let mut loaded = 0;
    for path in fixtures() {
        let Ok(tokenizer) = Tokenizer::from_file(&path) else { continue };
        let file = tokenizer.to_compiled();
        let compiled = Tokenizer::from_bytes(&file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(used(&tokenizer, false), used(&compiled, false), "{}", path.display());
        let vocab = |tokenizer: &Tokenizer| -> Vec<(String, u32)> {
            let mut vocab: Vec<_> = tokenizer.vocab(true).into_iter().map(|(token, id)| (token.to_owned(), id)).collect();
            vocab.sort();
            vocab
        };
        assert_eq!(vocab(&tokenizer), vocab(&compiled), "{}", path.display());
        assert!(tokenizer.added_tokens().eq(compiled.added_tokens()), "{}", path.display());
        assert_eq!(file.len(), compiled.to_compiled().len(), "{}", path.display());
        loaded += 1;
    }
    assert!(loaded > 150, "only {loaded} fixtures");
}

#[test]
fn files_are_told_by_their_content() {
    let path = std::env::temp_dir().join(format!("russet-compiled-{}", std::process::id()));
    let fixture = fixtures().into_iter().find(|path| path.ends_with("bpe-gpt2.json")).unwrap();
    let tokenizer = Tokenizer::from_file(&fixture).unwrap();
    tokenizer.save_compiled(&path).unwrap();
    let both = [Tokenizer::from_file(&path), Tokenizer::from_compiled(&path)];
    std::fs::remove_file(&path).unwrap();
    for compiled in both {
        assert_eq!(used(&compiled.unwrap(), false), used(&tokenizer, false));
    }
    assert!(matches!(Tokenizer::from_compiled(&path), Err(Error::Io { .. })));
    assert!(matches!(tokenizer.save_compiled(path.join("x")), Err(Error::Io { .. })));
    assert!(matches!(Tokenizer::from_compiled(fixture), Err(Error::Config { .. })));
}

/// Splitmix64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) % end as u64) as usize
    }
}

/// Damage that the checksum does not tell: it is made right again.
#[test]
fn damage_is_refused_or_does_no_harm() {
    let names = [
        "bpe-gpt2",
        "bpe-llama2",
        "bpe-gemma",
        "bpe-dropout",
        "unigram-t5",
        "unigram-albert",
        "wordpiece-bert-uncased",
        "wordlevel-lowercase",
    ];
    let mut draw = Draw(1);
    let (mut refused, mut used_anyway) = (0, 0);
    for path in fixtures() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let rounds = if names.contains(&name.as_str()) { 250 } else { 4 };
        let Ok(tokenizer) = Tokenizer::from_file(&path) else { continue };
        let file = tokenizer.to_compiled();
        for round in 0..rounds {
            let mut damaged = file.clone();
            for _ in 0..1 + draw.below(4) {
                let at = 48 + draw.below(damaged.len() - 48);
                match draw.below(5) {
                    0 => damaged[at] ^= 1 << draw.below(8),
                    1 => damaged[at] = draw.below(256) as u8,
                    // A whole number of four bytes: a small one, or the largest.
                    2 => damaged[at & !3..(at & !3) + 4].copy_from_slice(&(draw.below(1000) as u32).to_le_bytes()),
                    3 => damaged[at & !3..(at & !3) + 4].fill(0xff),
                    _ => {
                        let (from, to) = ((48 + draw.below(damaged.len() - 64)) & !7, at & !7);
                        if to + 16 <= damaged.len() {
                            damaged.copy_within(from..from + 16, to);
                        }
                    }
                }
            }
            if draw.below(10) == 0 {
                damaged.truncate(48 + (draw.below(damaged.len() - 48) & !7));
            }
            russet::seal_compiled(&mut damaged);
            let result =
                catch_unwind(AssertUnwindSafe(|| Tokenizer::from_compiled_bytes(&damaged).map(|tokenizer| used(&tokenizer, true))));
            match result {
                Ok(Ok(_)) => used_anyway += 1,
                Ok(Err(_)) => refused += 1,
                Err(_) => panic!("{name}: a panic in round {round}"),
            }
        }
    }
    assert!(refused > 200 && used_anyway > 200, "{refused} refused, {used_anyway} used");
}
