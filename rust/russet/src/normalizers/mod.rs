//! Normalizers: what happens to a section's characters before it is split.
use crate::formats::config::NormalizerConfig;
use crate::text::{Align, NormalizedText};
use crate::{Error, Result};

/// A compiled normalizer.
#[derive(Debug)]
pub enum Normalizer {}

/// Buffers of the normalizers, reused from call to call.
#[derive(Debug, Default)]
pub struct NormalizerScratch {}

impl Normalizer {
    /// Compiles a normalizer.
    pub fn from_config(_config: &NormalizerConfig) -> Result<Self> {
        Err(Error::Internal("skeleton".into()))
    }

    /// Rewrites `text`.
    pub fn normalize<A: Align>(&self, _text: &mut NormalizedText<A>, _scratch: &mut NormalizerScratch) -> Result<()> {
        match *self {}
    }
}
