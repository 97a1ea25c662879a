//! The `CTC` decoder: a repeated token counts once, pad tokens vanish, word delimiters become spaces.
//!
//! The delimiter is replaced only with `cleanup`, as in the reference. O(n).

use super::replace::replace_into;
use super::wordpiece::clean_up;
use super::{Emit, Level};
use crate::Result;

/// `CTC`.
#[derive(Debug)]
pub(super) struct Ctc {
    pad_token: String,
    word_delimiter_token: String,
    cleanup: bool,
}

impl Ctc {
    pub(super) fn new(pad_token: &str, word_delimiter_token: &str, cleanup: bool) -> Self {
        Self { pad_token: pad_token.to_owned(), word_delimiter_token: word_delimiter_token.to_owned(), cleanup }
    }

    pub(super) fn push(&self, token: &str, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
        let Level { held, output, spare, .. } = level;
        if std::mem::replace(&mut held.started, true) && held.text == token {
            return Ok(());
        }
        held.text.clear();
        held.text.push_str(token);
        output.clear();
        replace_into(token, &self.pad_token, "", output);
        if self.cleanup {
            clean_up(output, spare);
            spare.clear();
            replace_into(output, &self.word_delimiter_token, " ", spare);
            std::mem::swap(output, spare);
        }
        match output.is_empty() {
            true => Ok(()),
            false => emit(output),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::decoders::tests::decode;
    use crate::formats::config::DecoderConfig;

    fn ctc(cleanup: bool) -> DecoderConfig {
        DecoderConfig::Ctc { pad_token: "<pad>".into(), word_delimiter_token: "|".into(), cleanup }
    }

    #[test]
    fn repeated_tokens_count_once_and_pads_separate_them() {
        let tokens = ["<pad>", "h", "h", "e", "l", "<pad>", "l", "l", "o", "|", "|", "x"];
        assert_eq!(decode(&ctc(true), &tokens), ["h", "e", "l", "l", "o", " ", "x"]);
        assert_eq!(decode(&ctc(false), &tokens), ["h", "e", "l", "l", "o", "|", "x"]);
    }

    #[test]
    fn the_delimiter_is_replaced_after_the_cleanup() {
        assert_eq!(decode(&ctc(true), &[" .", "|.", "<<pad>pad>"]), [".", " .", "<pad>"]);
    }
}
