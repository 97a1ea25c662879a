//! Pre-tokenizers: how a section becomes pieces.
use crate::formats::config::PreTokenizerConfig;
use crate::text::{Align, Piece};
use crate::{Error, Result};

/// A compiled pre-tokenizer.
#[derive(Debug)]
pub enum PreTokenizer {}

/// Buffers of the pre-tokenizers, reused from call to call.
#[derive(Debug)]
pub struct PreTokenizerScratch<A: Align>(std::marker::PhantomData<A>);

impl<A: Align> Default for PreTokenizerScratch<A> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

/// Where pieces go.
pub type Emit<'e, A> = dyn FnMut(Piece<'_, A>) -> Result<()> + 'e;

impl PreTokenizer {
    /// Compiles a pre-tokenizer.
    pub fn from_config(_config: &PreTokenizerConfig) -> Result<Self> {
        Err(Error::Internal("skeleton".into()))
    }

    /// If the last thing that this does is to write bytes as byte-level characters, the same without that: its pieces are the
    /// raw bytes (as UTF-8 text), and a model whose vocabulary is raw bytes gives the same ids.
    pub fn without_byte_level(&self) -> Option<Self> {
        match *self {}
    }

    /// Splits `section` and gives each piece that is not empty to `emit`, in order.
    pub fn pre_tokenize<A: Align>(
        &self,
        _section: Piece<'_, A>,
        _scratch: &mut PreTokenizerScratch<A>,
        _emit: &mut Emit<'_, A>,
    ) -> Result<()> {
        match *self {}
    }
}
