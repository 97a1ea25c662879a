//! Tokenizer files: `tokenizer.json`, and the other formats that make the same [`Config`].
//!
//! A format is told by its content, not by its name: JSON by its first key's value, a SentencePiece model by its first field,
//! tiktoken's ranks by their first line, a BERT vocabulary by its `[UNK]`. Every loader checks sizes against [`Limits`] before
//! it reads, and answers broken bytes with an error that names the place. O(file); nothing is compiled here.

mod base64;
pub mod config;
mod joiner;
mod limits;
pub(crate) mod prepared;
mod sentencepiece;
mod tiktoken;
mod tokenizer_json;
mod vocab_files;

use crate::memory::Zeroed;
use crate::{Error, Result};
use config::Config;
use prepared::Prepared;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::ops::Deref;
use std::path::Path;

pub use limits::Limits;
pub use sentencepiece::from_sentencepiece;
pub use tiktoken::from_tiktoken;
pub use tokenizer_json::{
    read_decoder, read_model, read_normalizer, read_post_processor, read_pre_tokenizer, write_decoder, write_json, write_model,
    write_normalizer, write_post_processor, write_pre_tokenizer,
};
pub use vocab_files::{from_vocab_and_merges, from_wordpiece_vocab};

/// Reads a tokenizer file of any known format, told by its content (and, for `vocab.json`, by the `merges.txt` beside it).
pub fn read_file(path: &Path) -> Result<Config> {
    read_file_within(path, &Limits::default())
}

/// [`read_file`] with limits.
pub fn read_file_within(path: &Path, limits: &Limits) -> Result<Config> {
    read_contents(path, &contents(path, limits)?, limits)
}

/// Reads a file whose content is known.
pub(crate) fn read_contents(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Config> {
    match format_of(bytes) {
        Some(Format::VocabJson) => {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            // `name-vocab.json` has its merges in `name-merges.txt`.
            let prefix = name.strip_suffix("vocab.json").unwrap_or_default();
            let merges = contents(&path.with_file_name(format!("{prefix}merges.txt")), limits)?;
            vocab_files::from_vocab_and_merges_within(bytes, &merges, limits)
        }
        format => read_as(format, bytes, limits),
    }
}

/// Reads tokenizer.json, a SentencePiece model, ranks of tiktoken or a BERT vocabulary from memory, told by their content.
pub fn read_bytes(bytes: &[u8]) -> Result<Config> {
    read_bytes_within(bytes, &Limits::default())
}

/// [`read_bytes`] with limits.
pub fn read_bytes_within(bytes: &[u8], limits: &Limits) -> Result<Config> {
    limits.check_file(bytes.len() as u64)?;
    read_as(format_of(bytes), bytes, limits)
}

/// Reads tokenizer.json to compile it at once, if it is as usual. If it is not, or if what is read cannot be compiled, it is to be read
/// again by one of the other ways: they tell what is wrong.
pub(crate) fn prepare(bytes: &[u8], limits: &Limits) -> Option<Prepared> {
    let is_json = limits.check_file(bytes.len() as u64).is_ok() && format_of(bytes) == Some(Format::TokenizerJson);
    is_json.then(|| tokenizer_json::prepare(bytes, limits)).flatten()
}

fn read_as(format: Option<Format>, bytes: &[u8], limits: &Limits) -> Result<Config> {
    match format {
        Some(Format::TokenizerJson) => tokenizer_json::read(bytes, limits),
        Some(Format::SentencePiece) => sentencepiece::from_sentencepiece_within(bytes, limits),
        Some(Format::Tiktoken) => tiktoken::from_tiktoken_within(bytes, None, &[], limits),
        Some(Format::VocabTxt) => vocab_files::from_wordpiece_vocab_within(bytes, true, limits),
        Some(Format::VocabJson) => {
            Err(Error::config("vocab.json", "a vocabulary alone is no tokenizer: its merges.txt is needed too"))
        }
        None => {
            let known = "tokenizer.json, a SentencePiece model, tiktoken ranks, vocab.json with merges.txt, or vocab.txt";
            Err(Error::config("byte 0", format!("the file is none of {known}")))
        }
    }
}

/// A file and the length that it announces, at most that of the limit.
pub(crate) fn open(path: &Path, limits: &Limits) -> Result<(File, u64)> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    let announced = file.metadata().map_err(io)?.len();
    limits.check_file(announced)?;
    Ok((file, announced))
}

/// Smaller files are read to usual pages: a huge one would be more memory than loading them takes.
const HUGE_BYTES: usize = 3 << 19;

/// The bytes of a file.
pub(crate) enum Contents {
    /// As many of a table, which has one more.
    Table(Zeroed<u8>, usize),
    Grown(Vec<u8>),
}

impl Deref for Contents {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Contents::Table(table, length) => table.get(..*length).unwrap_or_default(),
            Contents::Grown(bytes) => bytes,
        }
    }
}

/// The bytes of a file, at most as many as the limit.
pub(crate) fn contents(path: &Path, limits: &Limits) -> Result<Contents> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let (mut file, announced) = open(path, limits)?;
    // The limit keeps this far below usize::MAX.
    let room = announced as usize + 1;
    if room < HUGE_BYTES {
        let mut bytes = Vec::with_capacity(room);
        file.take(limits.file_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
        limits.check_file(bytes.len() as u64)?;
        return Ok(Contents::Grown(bytes));
    }
    let mut table = Zeroed::new(room);
    let mut length = 0;
    while let Some(room) = table.as_mut_slice().get_mut(length..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => return Ok(Contents::Table(table, length)),
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(io(error)),
        }
    }
    // A file that grows meanwhile can have more than it says.
    let mut bytes = table.to_vec();
    file.take(limits.file_bytes.saturating_sub(announced)).read_to_end(&mut bytes).map_err(io)?;
    limits.check_file(bytes.len() as u64)?;
    Ok(Contents::Grown(bytes))
}

/// The formats that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    TokenizerJson,
    VocabJson,
    SentencePiece,
    Tiktoken,
    VocabTxt,
}

fn format_of(bytes: &[u8]) -> Option<Format> {
    match bytes.trim_ascii_start() {
        [b'{', object @ ..] if begins_with_number(object) => Some(Format::VocabJson),
        // Anything else that could be meant as JSON is left to its reader, which says what is wrong with it.
        [b'{', ..] => Some(Format::TokenizerJson),
        _ if sentencepiece::begins_like_a_model(bytes) => Some(Format::SentencePiece),
        text if tiktoken::begins_like_ranks(text) => Some(Format::Tiktoken),
        _ if bytes.split(|&byte| byte == b'\n').any(|line| line.trim_ascii_end() == b"[UNK]") => Some(Format::VocabTxt),
        _ => None,
    }
}

/// Whether the first value of an object is a number; `object` begins behind its brace.
fn begins_with_number(object: &[u8]) -> bool {
    let Some(key) = object.trim_ascii_start().strip_prefix(b"\"") else { return false };
    let mut is_escaped = false;
    let end = key.iter().position(|&byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    let after = end.and_then(|end| key.get(end + 1..)).unwrap_or_default().trim_ascii_start();
    let value = after.strip_prefix(b":").unwrap_or_default().trim_ascii_start();
    value.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::ModelConfig;

    #[test]
    fn tells_formats_by_their_content() {
        for (bytes, format) in [
            (&b" {\"version\": \"1.0\"}"[..], Some(Format::TokenizerJson)),
            (b"{}", Some(Format::TokenizerJson)),
            (b"{\"model\": {\"a\": 1}}", Some(Format::TokenizerJson)),
            (b"{\"mo\\\"del\" : 0}", Some(Format::VocabJson)),
            (b"\x0A\x0E\x0A\x05<unk>\x15\x00\x00\x00\x00\x18\x02", Some(Format::SentencePiece)),
            (b"IQ== 0\nIg== 1\n", Some(Format::Tiktoken)),
            (b"[PAD]\r\n[UNK]\r\nthe\r\n", Some(Format::VocabTxt)),
            (b"\n[UNK]\n", Some(Format::VocabTxt)),
            (b"#version: 0.2\na b\n", None),
            (b"hello", None),
            (b"", None),
        ] {
            assert_eq!(format_of(bytes), format, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn finds_the_merges_beside_a_vocabulary() -> std::io::Result<()> {
        let folder = std::env::temp_dir().join(format!("russet-formats-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let vocab = folder.join("small-vocab.json");
        std::fs::write(&vocab, r#"{"a":0,"b":1,"ab":2}"#)?;
        assert!(matches!(read_file(&vocab), Err(Error::Io { path, .. }) if path.ends_with("small-merges.txt")));
        std::fs::write(folder.join("small-merges.txt"), "a b\n")?;
        let config = read_file(&vocab);
        let limited = read_file_within(&vocab, &Limits { file_bytes: 19, ..Limits::default() });
        std::fs::remove_dir_all(&folder)?;
        assert!(matches!(config, Ok(Config { model: ModelConfig::Bpe(bpe), .. }) if bpe.merges.len() == 2));
        assert!(matches!(limited, Err(Error::Limit { value: 20, limit: 19, .. })));
        assert!(matches!(read_file(&folder), Err(Error::Io { .. })));
        Ok(())
    }

    #[test]
    fn names_what_is_known() {
        let message = |bytes: &[u8]| read_bytes(bytes).map_or_else(|error| error.to_string(), |_| String::new());
        assert!(message(b"hello").contains("none of tokenizer.json"));
        assert!(message(b"{\"a\": 1}").contains("merges.txt"));
        assert!(message(b"{").starts_with("line 1"));
    }
}
