//! The `WordPiece` decoder: a token that does not continue a word gets a space before it, and spaces before English punctuation
//! and contractions are removed. Each token is cleaned up by itself. O(n).

use super::replace::replace_into;
use super::{Emit, Level};
use crate::Result;

/// What is replaced to clean up a text, one after the other. All of them begin with a space.
pub(super) const CLEANUPS: [(&str, &str); 11] = [
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" do not", " don't"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
];

/// Cleans `text` up; `spare` is overwritten.
pub(super) fn clean_up(text: &mut String, spare: &mut String) {
    // If none of them is there, none can come to be.
    let is_start = |space: usize| matches!(text.as_bytes().get(space + 1), Some(b'.' | b'?' | b'!' | b',' | b'\'' | b'n' | b'd'));
    if !memchr::memchr_iter(b' ', text.as_bytes()).any(is_start) {
        return;
    }
    for (needle, content) in CLEANUPS {
        spare.clear();
        replace_into(text, needle, content, spare);
        std::mem::swap(text, spare);
    }
}

/// `WordPiece`.
#[derive(Debug)]
pub(super) struct WordPiece {
    prefix: String,
    cleanup: bool,
}

impl WordPiece {
    pub(super) fn new(prefix: &str, cleanup: bool) -> Self {
        Self { prefix: prefix.to_owned(), cleanup }
    }

    pub(super) fn push(&self, token: &str, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
        let Level { held, output, spare, .. } = level;
        output.clear();
        if !std::mem::replace(&mut held.started, true) {
            output.push_str(token);
        } else if let Some(rest) = token.strip_prefix(self.prefix.as_str()) {
            output.push_str(rest);
        } else {
            output.push(' ');
            output.push_str(token);
        }
        if self.cleanup {
            clean_up(output, spare);
        }
        emit(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoders::tests::decode;
    use crate::formats::config::DecoderConfig;
    use proptest::prelude::*;

    #[test]
    fn continuations_join_and_punctuation_too() {
        let decode = |cleanup, tokens: &[&str]| decode(&DecoderConfig::WordPiece { prefix: "##".into(), cleanup }, tokens);
        assert_eq!(decode(true, &["##un", "##able", "to", ".", "do not"]), ["##un", "able", " to", ".", " don't"]);
        assert_eq!(decode(false, &["a", "."]), ["a", " ."]);
    }

    proptest! {
        #[test]
        fn the_shortcut_changes_nothing(text in "( |\\.|'|n't|'m|do not|a|,){0,8}") {
            let mut cleaned = text.clone();
            clean_up(&mut cleaned, &mut String::new());
            let expected = CLEANUPS.iter().fold(text, |text, (needle, content)| text.replace(needle, content));
            prop_assert_eq!(cleaned, expected);
        }
    }
}
