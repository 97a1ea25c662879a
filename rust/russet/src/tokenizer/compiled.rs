//! A tokenizer in a compiled file: the model's tables and the added tokens as they are, the other stages as JSON, from which they
//! are compiled as usual.

use std::path::Path;
use std::sync::Arc;

use super::{compile, makes_hollow_text, Parts, Tokenizer};
use crate::added_tokens::AddedTokens;
use crate::compiled::{damaged, Reader, Writer};
use crate::formats::config::{Config, ModelConfig, WordLevelConfig};
use crate::formats::{open, read_bytes, write_json, Limits};
use crate::models::{Alphabet, Model};
use crate::normalizers::Normalizer;
use crate::pre_tokenizers::PreTokenizer;
use crate::{Error, Result};

impl Tokenizer {
    /// Saves the compiled tokenizer, for [`from_compiled`](Self::from_compiled) of the same version of this crate. The file is
    /// written beside `path` and then renamed, so that no reader ever sees a part of it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save_compiled(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}", std::process::id()));
        let beside = path.with_file_name(name);
        let written = std::fs::write(&beside, self.to_compiled()).and_then(|()| std::fs::rename(&beside, path));
        written.map_err(|source| {
            let _ = std::fs::remove_file(&beside); // the first error is the one to tell
            Error::Io { path: path.to_owned(), source }
        })
    }

    /// Loads what [`save_compiled`](Self::save_compiled) saved, many times as fast as the file it came from.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Config`] for a file that is damaged or of another version: save it again.
    pub fn from_compiled(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (file, length) = open(path, &Limits::default())?;
        Self::read(Reader::new(file, length)?)
    }

    /// What [`save_compiled`](Self::save_compiled) saves.
    pub fn to_compiled(&self) -> Vec<u8> {
        let mut to = Writer::new();
        let parts = &self.parts;
        let stages = Config {
            truncation: parts.truncation.clone(),
            padding: parts.padding.clone(),
            added_tokens: Vec::new(),
            normalizer: parts.normalizer.clone(),
            pre_tokenizer: parts.pre_tokenizer.clone(),
            post_processor: parts.post_processor.clone(),
            decoder: parts.decoder.clone(),
            model: ModelConfig::WordLevel(WordLevelConfig::default()),
        };
        to.text(&write_json(&stages, false));
        self.core.added_tokens.write(&mut to);
        self.core.model.write(&mut to);
        to.finish()
    }

    /// Loads a compiled file that is in memory.
    ///
    /// # Errors
    /// As [`from_compiled`](Self::from_compiled).
    pub fn from_compiled_bytes(bytes: &[u8]) -> Result<Self> {
        Self::read(Reader::new(bytes, bytes.len() as u64)?)
    }

    fn read(mut from: Reader<'_>) -> Result<Self> {
        let Config { truncation, padding, normalizer, pre_tokenizer, post_processor, decoder, .. } =
            read_bytes(from.text()?.as_bytes())?;
        let compiled_normalizer = compile(normalizer.as_ref(), Normalizer::from_config, "normalizer")?;
        let added_tokens = AddedTokens::read(&mut from)?;
        let model = Model::read(&mut from)?;
        from.finish()?;
        let mut compiled_pre_tokenizer = compile(pre_tokenizer.as_ref(), PreTokenizer::from_config, "pre_tokenizer")?;
        if model.alphabet() == Alphabet::Bytes {
            let lowered = compiled_pre_tokenizer.as_ref().and_then(|pre_tokenizer| pre_tokenizer.without_byte_level());
            let lowered = lowered.filter(|_| !makes_hollow_text(normalizer.as_ref()));
            let lowered = lowered.ok_or_else(|| damaged("the model takes bytes and the pre-tokenizer gives characters"))?;
            compiled_pre_tokenizer = Some(Arc::new(lowered));
        }
        let parts = Parts { normalizer, pre_tokenizer, post_processor, decoder, truncation, padding, ..Parts::default() };
        Self::from_parts(parts, compiled_normalizer, compiled_pre_tokenizer, model, added_tokens)
    }
}
