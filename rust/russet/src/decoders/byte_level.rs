//! The `ByteLevel` decoder: byte-level characters become the bytes that they stand for, and the bytes UTF-8 text.
//!
//! A token with any other character stands for its own bytes. What is not UTF-8 becomes U+FFFD, one for each longest beginning
//! of a character, as [`String::from_utf8_lossy`] does; an unfinished character at the end of a token is held. O(n).

use super::{Emit, Level};
use crate::pre_tokenizers::byte_level::char_to_byte;
use crate::Result;

pub(super) fn push(token: &str, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
    let bytes = &mut level.held.bytes;
    append_token(token, bytes);
    // Most tokens end with a whole character.
    if let Ok(text) = std::str::from_utf8(bytes) {
        emit(text)?;
        bytes.clear();
        return Ok(());
    }
    level.output.clear();
    take_finished(bytes, &mut level.output);
    emit(&level.output)
}

pub(super) fn finish(level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
    match level.held.bytes.is_empty() {
        true => Ok(()),
        false => {
            level.held.bytes.clear();
            emit("\u{FFFD}")
        }
    }
}

/// Appends the bytes that `token` stands for: its own, if one of its characters stands for none.
pub(super) fn append_token(token: &str, bytes: &mut Vec<u8>) {
    let length = bytes.len();
    if !append_bytes(token, bytes) {
        bytes.truncate(length);
        bytes.extend_from_slice(token.as_bytes());
    }
}

/// Appends the bytes that the characters of `token` stand for. False if one of its characters stands for none.
fn append_bytes(token: &str, bytes: &mut Vec<u8>) -> bool {
    let mut rest = token;
    loop {
        // Printable ASCII stands for itself.
        let same = rest.bytes().position(|byte| !byte.is_ascii_graphic()).unwrap_or(rest.len());
        bytes.extend_from_slice(&rest.as_bytes()[..same]);
        let mut others = rest[same..].chars();
        match others.next().map(char_to_byte) {
            Some(Some(byte)) => bytes.push(byte),
            Some(None) => return false,
            None => return true,
        }
        rest = others.as_str();
    }
}

/// Moves all but an unfinished character at the end from `bytes` to `out`.
fn take_finished(bytes: &mut Vec<u8>, out: &mut String) {
    let mut done = 0;
    while done < bytes.len() {
        let rest = &bytes[done..];
        let Some(chunk) = rest.utf8_chunks().next() else { break };
        out.push_str(chunk.valid());
        done += chunk.valid().len();
        if chunk.invalid().is_empty() {
            break;
        }
        // At the end of the bytes, what is not valid yet may be the beginning of a character.
        let is_last = done + chunk.invalid().len() == bytes.len();
        if is_last && std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none()) {
            break;
        }
        out.push(char::REPLACEMENT_CHARACTER);
        done += chunk.invalid().len();
    }
    bytes.drain(..done);
}

/// Bytes that come in parts and become text as [`String::from_utf8_lossy`] would make it of all of them.
///
/// For vocabularies that are kept as raw bytes: the same text as a `ByteLevel` decoder of the tokens gives.
#[derive(Clone, Debug, Default)]
pub struct LossyUtf8 {
    held: Vec<u8>,
}

impl LossyUtf8 {
    /// Takes `bytes` and appends to `out` what is now certain. At most three bytes are held.
    pub fn push(&mut self, bytes: &[u8], out: &mut String) {
        // Most parts are whole characters, and nothing is held.
        if self.held.is_empty() {
            if let Ok(text) = std::str::from_utf8(bytes) {
                out.push_str(text);
                return;
            }
        }
        self.held.extend_from_slice(bytes);
        take_finished(&mut self.held, out);
    }

    /// Appends what an unfinished character at the end becomes, and starts over.
    pub fn finish(&mut self, out: &mut String) {
        if !self.held.is_empty() {
            self.held.clear();
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoders::tests::decode;
    use crate::formats::config::DecoderConfig;
    use proptest::prelude::*;

    fn byte_level() -> DecoderConfig {
        DecoderConfig::ByteLevel { add_prefix_space: false, trim_offsets: false, use_regex: false }
    }

    #[test]
    fn a_token_with_any_other_character_stands_for_itself() {
        assert_eq!(decode(&byte_level(), &["Ġa", "Ã©", "Ã 中", "<é>"]), [" aéÃ 中<\u{FFFD}>"]);
        assert_eq!(decode(&byte_level(), &["Ã©", "Ã中"]), ["éÃ中"]);
        assert_eq!(decode(&byte_level(), &[]), [""]);
    }

    proptest! {
        #[test]
        fn parts_become_what_the_whole_becomes(
            parts in proptest::collection::vec(proptest::collection::vec(
                prop_oneof![Just(0x61u8), Just(0xC3), Just(0xA9), Just(0xF0), Just(0x9F), Just(0x98), Just(0x80), Just(0xED), Just(0xFF)],
                0..4,
            ), 0..8),
        ) {
            let mut stream = LossyUtf8::default();
            let mut text = String::new();
            for part in &parts {
                stream.push(part, &mut text);
                prop_assert!(stream.held.len() <= 3);
            }
            stream.finish(&mut text);
            let whole = parts.concat();
            prop_assert_eq!(text, String::from_utf8_lossy(&whole));
        }
    }
}
