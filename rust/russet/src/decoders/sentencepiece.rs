//! SentencePiece's decoding, piece by piece.
//!
//! U+2581 becomes a space; until there is some text, a piece loses one at its beginning (only the first such piece, unless extra
//! white space is removed). A run of byte pieces becomes the characters that it holds, and one U+FFFD for each byte that belongs
//! to none; up to three bytes are held back while they may begin a character. The unknown piece becomes its surface. An empty
//! token stands for a control symbol: it ends a run of bytes and has no text.
//!
//! A denormalizer needs the whole text, so with one nothing is given before the end. O(n).

use super::{Emit, Level};
use crate::formats::config::{NormalizerConfig, SentencePieceDecoder};
use crate::normalizers::{Normalizer, NormalizerScratch};
use crate::text::NormalizedText;
use crate::words::SPACE_SYMBOL;
use crate::Result;

const REPLACEMENT: &str = "\u{FFFD}";

/// SentencePiece's decoder.
#[derive(Debug)]
pub(super) struct SentencePiece {
    unknown: Box<str>,
    unk_surface: Box<str>,
    has_bytes: bool,
    strips_first: bool,
    strips_all: bool,
    denormalizer: Option<Normalizer>,
}

impl SentencePiece {
    pub(super) fn new(config: &SentencePieceDecoder) -> Result<Self> {
        let denormalizer = config.denormalizer.clone().map(|config| NormalizerConfig::SentencePiece(Box::new(config)));
        Ok(Self {
            unknown: config.unknown.as_str().into(),
            unk_surface: config.unk_surface.as_str().into(),
            has_bytes: config.byte_fallback,
            strips_first: config.add_dummy_prefix || config.remove_extra_whitespaces,
            strips_all: config.remove_extra_whitespaces,
            denormalizer: denormalizer.as_ref().map(Normalizer::from_config).transpose()?,
        })
    }

    /// What the decoder gets instead of a special token that is left out.
    pub(super) fn instead_of_skipped<'t>(&self, token: &'t str) -> &'t str {
        if token == &*self.unknown {
            token
        } else {
            ""
        }
    }

    pub(super) fn push(&self, token: &str, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
        if self.has_bytes {
            if let Some(byte) = byte_of(token) {
                level.held.bytes.push(byte);
                return self.give_characters(level, emit);
            }
            self.give_bytes(level, emit)?;
        }
        if token == &*self.unknown {
            return self.give(&self.unk_surface, level, emit);
        }
        let mut rest = token;
        if self.strips_first && !level.held.started {
            if let Some(stripped) = rest.strip_prefix(SPACE_SYMBOL) {
                rest = stripped;
                level.held.started = !self.strips_all;
            }
        }
        if !rest.contains(SPACE_SYMBOL) {
            return self.give(rest, level, emit);
        }
        let mut output = std::mem::take(&mut level.output);
        output.clear();
        output.extend(rest.chars().map(|character| if character == SPACE_SYMBOL { ' ' } else { character }));
        let given = self.give(&output, level, emit);
        level.output = output;
        given
    }

    pub(super) fn finish(&self, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
        self.give_bytes(level, emit)?;
        let Some(denormalizer) = &self.denormalizer else { return Ok(()) };
        let mut text = NormalizedText::<()>::new();
        text.reset(&level.held.text, 0);
        level.held.text.clear();
        denormalizer.normalize(&mut text, &mut NormalizerScratch::default())?;
        emit(text.text())
    }

    /// Gives the characters, and the bytes that are none, at the beginning of the held bytes.
    fn give_characters(&self, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
        let bytes = std::mem::take(&mut level.held.bytes);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (text, invalid) = match std::str::from_utf8(rest) {
                Ok(text) => (text, Some(0)),
                Err(error) => {
                    let valid = rest.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok());
                    (valid.unwrap_or_default(), error.error_len())
                }
            };
            self.give(text, level, emit)?;
            rest = &rest[text.len()..];
            let Some(invalid) = invalid else { break };
            for _ in 0..invalid {
                self.give(REPLACEMENT, level, emit)?;
            }
            rest = &rest[invalid..];
        }
        let held = rest.len();
        level.held.bytes = bytes;
        level.held.bytes.drain(..level.held.bytes.len() - held);
        Ok(())
    }

    /// Gives all of the held bytes, which are no character yet.
    fn give_bytes(&self, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
        for _ in 0..std::mem::take(&mut level.held.bytes).len() {
            self.give(REPLACEMENT, level, emit)?;
        }
        Ok(())
    }

    fn give(&self, text: &str, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        level.held.started = true;
        if self.denormalizer.is_some() {
            level.held.text.push_str(text);
            return Ok(());
        }
        emit(text)
    }
}

/// The byte that a piece names: `<0x0A>`.
fn byte_of(token: &str) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    match *token.as_bytes() {
        [b'<', b'0', b'x', high, low, b'>'] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoders::tests::decode;
    use crate::decoders::Decoder;
    use crate::formats::config::{DecoderConfig, SentencePieceNormalizer};

    fn config() -> SentencePieceDecoder {
        SentencePieceDecoder {
            unknown: "<unk>".into(),
            unk_surface: " ⁇ ".into(),
            byte_fallback: true,
            add_dummy_prefix: true,
            remove_extra_whitespaces: false,
            denormalizer: None,
        }
    }

    fn run(config: SentencePieceDecoder, tokens: &[&str]) -> String {
        decode(&DecoderConfig::SentencePiece(Box::new(config)), tokens).concat()
    }

    #[test]
    fn the_first_space_is_the_dummy_prefix() {
        assert_eq!(run(config(), &["▁▁a▁b", "▁c▁"]), " a b c ");
        assert_eq!(run(config(), &["▁", "▁a"]), " a");
        assert_eq!(run(config(), &["<unk>", "▁a"]), " ⁇  a");
        assert_eq!(run(SentencePieceDecoder { remove_extra_whitespaces: true, ..config() }, &["▁", "▁▁", "▁a", "▁b"]), "  a b");
        assert_eq!(run(SentencePieceDecoder { add_dummy_prefix: false, ..config() }, &["▁a"]), " a");
    }

    #[test]
    fn each_byte_that_is_no_character_is_replaced() {
        assert_eq!(run(config(), &["<0xC3>", "<0xA9>", "<0xFF>", "<0xE2>", "<0x82>", "▁a"]), "é\u{FFFD}\u{FFFD}\u{FFFD} a");
        assert_eq!(run(config(), &["<0xE2>", "<0x82>", "<0x41>", "<0xF0>", "<0x9F>"]), "\u{FFFD}\u{FFFD}A\u{FFFD}\u{FFFD}");
        assert_eq!(run(config(), &["<0xC3>", "", "<0xA9>"]), "\u{FFFD}\u{FFFD}", "a control symbol parts bytes");
        assert_eq!(run(config(), &["<0xc3>", "<0x+A>", "<0x041>"]), "<0xc3><0x+A><0x041>");
        assert_eq!(run(SentencePieceDecoder { byte_fallback: false, ..config() }, &["<0x41>"]), "<0x41>");
    }

    #[test]
    fn the_whole_text_is_denormalized() {
        let denormalizer = SentencePieceNormalizer { remove_extra_whitespaces: true, ..SentencePieceNormalizer::default() };
        let config = SentencePieceDecoder { denormalizer: Some(denormalizer), ..config() };
        assert_eq!(run(config, &["▁▁a", "▁", "▁b", "<0xC3>", "▁"]), "a b\u{FFFD}");
    }

    #[test]
    fn special_tokens_that_are_left_out_leave_their_place() {
        let decoder = Decoder::from_config(&DecoderConfig::SentencePiece(Box::new(config()))).unwrap();
        assert_eq!(decoder.instead_of_skipped("<unk>"), Some("<unk>"));
        assert_eq!(decoder.instead_of_skipped("<s>"), Some(""));
        assert_eq!(Decoder::from_config(&DecoderConfig::Fuse).unwrap().instead_of_skipped("<unk>"), None);
    }
}
