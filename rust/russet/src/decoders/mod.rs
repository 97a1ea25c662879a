//! Decoders: how tokens become text again.
use crate::formats::config::DecoderConfig;
use crate::{Error, Result, StringList};

/// A compiled decoder.
#[derive(Debug)]
pub enum Decoder {}

impl Decoder {
    /// Compiles a decoder.
    pub fn from_config(_config: &DecoderConfig) -> Result<Self> {
        Err(Error::Internal("skeleton".into()))
    }

    /// Rewrites `tokens`: a decoder can change, join or drop them; their texts end to end are the decoded text.
    pub fn decode_chain(&self, _tokens: StringList) -> Result<StringList> {
        match *self {}
    }
}
