//! The `BPEDecoder`: the end-of-word suffix becomes a space, in the last token nothing.
//!
//! Only the next token tells that a token is not the last, so one token is held. O(n).

use super::replace::replace_into;
use super::{Emit, Level};
use crate::Result;

/// `BPEDecoder`.
#[derive(Debug)]
pub(super) struct Bpe {
    suffix: String,
}

impl Bpe {
    pub(super) fn new(suffix: &str) -> Self {
        Self { suffix: suffix.to_owned() }
    }

    pub(super) fn push(&self, token: &str, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
        if std::mem::replace(&mut level.held.started, true) {
            level.output.clear();
            replace_into(&level.held.text, &self.suffix, " ", &mut level.output);
            emit(&level.output)?;
        }
        level.held.text.clear();
        level.held.text.push_str(token);
        Ok(())
    }

    pub(super) fn finish(&self, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
        if !level.held.started {
            return Ok(());
        }
        level.output.clear();
        replace_into(&level.held.text, &self.suffix, "", &mut level.output);
        emit(&level.output)
    }
}

#[cfg(test)]
mod tests {
    use crate::decoders::tests::decode;
    use crate::formats::config::DecoderConfig;

    #[test]
    fn the_suffix_is_a_space_except_in_the_last_token() {
        let decoder = DecoderConfig::Bpe { suffix: "</w>".into() };
        assert_eq!(decode(&decoder, &["a", "b</w>", "c</w>"]), ["a", "b ", "c"]);
        assert_eq!(decode(&decoder, &[]), [""; 0]);
    }

    #[test]
    fn an_empty_suffix_is_around_every_character() {
        assert_eq!(decode(&DecoderConfig::Bpe { suffix: String::new() }, &["aé", "b"]), [" a é ", "b"]);
    }
}
