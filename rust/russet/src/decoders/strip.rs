//! The `Strip` decoder: removes a character at the start and at the end of each token, up to a number of times. O(n).
//!
//! Where start and end meet, what is left is empty. In a growing token (after `Fuse`) the characters that may turn out to be
//! the last ones are held, as a count.

use super::{Emit, Level};
use crate::Result;

/// `Strip`.
#[derive(Debug)]
pub(super) struct Strip {
    content: char,
    start: usize,
    stop: usize,
}

impl Strip {
    pub(super) fn new(content: char, start: usize, stop: usize) -> Self {
        Self { content, start, stop }
    }

    /// Whether nothing is removed at the end.
    pub(super) fn is_at_start_only(&self) -> bool {
        self.stop == 0
    }

    pub(super) fn strip<'t>(&self, token: &'t str) -> &'t str {
        let mut rest = token;
        for _ in 0..self.start {
            match rest.strip_prefix(self.content) {
                Some(shorter) => rest = shorter,
                None => break,
            }
        }
        for _ in 0..self.stop {
            match rest.strip_suffix(self.content) {
                Some(shorter) => rest = shorter,
                None => break,
            }
        }
        rest
    }

    pub(super) fn push_fragment(&self, fragment: &str, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
        let Level { held, output, .. } = level;
        let is_unchanged = held.started && held.count == 0 && (self.stop == 0 || !fragment.contains(self.content));
        if is_unchanged {
            return emit(fragment);
        }
        output.clear();
        for character in fragment.chars() {
            if character != self.content {
                held.started = true;
                output.extend(std::iter::repeat_n(self.content, held.count));
                held.count = 0;
                output.push(character);
            } else if !held.started && held.dropped < self.start {
                held.dropped += 1;
            } else if held.count < self.stop {
                held.started = true;
                held.count += 1;
            } else {
                held.started = true;
                output.push(character);
            }
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
    fn strips_at_most_so_many() {
        let strip = |start, stop, tokens: &[&str]| decode(&DecoderConfig::Strip { content: 'é', start, stop }, tokens);
        assert_eq!(strip(1, 0, &["éééa", "aé", ""]), ["ééa", "aé", ""]);
        assert_eq!(strip(0, 2, &["aééé", "éa", ""]), ["aé", "éa", ""]);
    }

    #[test]
    fn a_token_that_is_stripped_from_both_sides_becomes_empty() {
        let strip = |start, stop, token| decode(&DecoderConfig::Strip { content: 'a', start, stop }, &[token]);
        assert_eq!(strip(5, 5, "a"), [""]);
        assert_eq!(strip(1, 1, "a"), [""]);
        assert_eq!(strip(usize::MAX, usize::MAX, "aab"), ["b"]);
    }

    proptest! {
        #[test]
        fn fragments_become_what_the_whole_becomes(fragments in proptest::collection::vec("[aé]{0,3}", 0..6), start in 0..4usize, stop in 0..4usize) {
            let stage = Strip::new('a', start, stop);
            let mut level = Level::default();
            let mut text = String::new();
            for fragment in &fragments {
                stage.push_fragment(fragment, &mut level, &mut |part| { text.push_str(part); Ok(()) }).unwrap();
            }
            let whole = fragments.concat();
            prop_assert_eq!(text.as_str(), stage.strip(&whole));
        }
    }
}
