//! The `ByteFallback` decoder: tokens like `<0x61>` become the bytes that they name.
//!
//! A run of byte tokens becomes one text if all its bytes together are valid UTF-8, and else one U+FFFD per byte. So a run is
//! held until it ends, or until no further byte could make it valid: from then on each byte is a U+FFFD at once. O(n).

use super::{Emit, Level};
use crate::{Error, Result};

const REPLACEMENT: &str = "\u{FFFD}";

pub(super) fn push(token: &str, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
    let Some(byte) = byte_of(token) else {
        finish(level, emit)?;
        return emit(token);
    };
    let held = &mut level.held;
    if held.broken {
        return emit(REPLACEMENT);
    }
    held.bytes.push(byte);
    // The first `count` bytes are whole characters; at most three follow.
    match std::str::from_utf8(&held.bytes[held.count..]) {
        Ok(_) => held.count = held.bytes.len(),
        Err(error) if error.error_len().is_none() => {}
        Err(_) => {
            held.broken = true;
            held.count = 0;
            for _ in held.bytes.drain(..) {
                emit(REPLACEMENT)?;
            }
        }
    }
    Ok(())
}

/// Ends a run of byte tokens.
pub(super) fn finish(level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
    let held = &mut level.held;
    held.broken = false;
    if held.bytes.is_empty() {
        return Ok(());
    }
    let is_valid = std::mem::take(&mut held.count) == held.bytes.len();
    if is_valid {
        let run = std::str::from_utf8(&held.bytes).map_err(|error| Error::Internal(error.to_string()))?;
        emit(run)?;
    } else {
        for _ in &held.bytes {
            emit(REPLACEMENT)?;
        }
    }
    held.bytes.clear();
    Ok(())
}

/// Moves a whole run from `bytes` to `out`.
pub(super) fn append_run(bytes: &mut Vec<u8>, out: &mut Vec<u8>) {
    match std::str::from_utf8(bytes) {
        Ok(run) => out.extend_from_slice(run.as_bytes()),
        Err(_) => out.extend(REPLACEMENT.bytes().cycle().take(REPLACEMENT.len() * bytes.len())),
    }
    bytes.clear();
}

/// The byte that a token names. A sign is accepted as the reference accepts it: `<0x+a>` is 10.
pub(super) fn byte_of(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() != 2 {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use crate::decoders::tests::decode;
    use crate::formats::config::DecoderConfig;

    #[test]
    fn a_run_is_valid_as_a_whole_or_not_at_all() {
        let decode = |tokens: &[&str]| decode(&DecoderConfig::ByteFallback, tokens);
        assert_eq!(decode(&["<0x61>", "<0xC3>", "<0xa9>", "b"]), ["aé", "b"]);
        assert_eq!(decode(&["<0x61>", "<0xC3>", "b"]), ["\u{FFFD}", "\u{FFFD}", "b"]);
        assert_eq!(decode(&["<0xFF>", "<0x61>", "b", "<0x61>"]), ["\u{FFFD}", "\u{FFFD}", "b", "a"]);
        assert_eq!(decode(&["<0xE4>", "<0xB8>"]), ["\u{FFFD}", "\u{FFFD}"]);
    }

    #[test]
    fn only_two_digits_name_a_byte() {
        let tokens = ["<0x6>", "<0x061>", "<0xg1>", "<0xé>", "<0X61>", "<0x>"];
        assert_eq!(decode(&DecoderConfig::ByteFallback, &tokens), tokens);
        assert_eq!(decode(&DecoderConfig::ByteFallback, &["<0x+a>"]), ["\n"]);
    }
}
