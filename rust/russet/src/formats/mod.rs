//! Tokenizer files: `tokenizer.json`, and the other formats that make the same [`Config`].

mod base64;
pub mod config;
mod joiner;
mod limits;
mod sentencepiece;
mod tiktoken;
mod tokenizer_json;
mod vocab_files;

use crate::{Error, Result};
use config::Config;
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
    let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    read_bytes(&bytes)
}

/// Reads tokenizer.json, a SentencePiece model or tiktoken ranks from memory.
pub fn read_bytes(bytes: &[u8]) -> Result<Config> {
    tokenizer_json::read(bytes, &Limits::default())
}
