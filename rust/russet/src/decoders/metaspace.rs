//! The `Metaspace` decoder: the replacement becomes a space, and in the first token nothing (unless it is never prepended). O(n).

use super::{Emit, Level};
use crate::formats::config::PrependScheme;
use crate::Result;

/// `Metaspace`.
#[derive(Debug)]
pub(super) struct Metaspace {
    replacement: char,
    prepends: bool,
}

impl Metaspace {
    pub(super) fn new(replacement: char, prepend_scheme: PrependScheme) -> Self {
        Self { replacement, prepends: prepend_scheme != PrependScheme::Never }
    }

    pub(super) fn push(&self, token: &str, level: &mut Level, emit: &mut Emit<'_>) -> Result<()> {
        let is_first = !std::mem::replace(&mut level.held.started, true);
        let space = if is_first && self.prepends { "" } else { " " };
        level.output.clear();
        for (index, part) in token.split(self.replacement).enumerate() {
            level.output.push_str(if index > 0 { space } else { "" });
            level.output.push_str(part);
        }
        emit(&level.output)
    }
}

#[cfg(test)]
mod tests {
    use crate::decoders::tests::decode;
    use crate::formats::config::{DecoderConfig, PrependScheme};

    #[test]
    fn the_first_token_loses_its_spaces() {
        let decode = |prepend_scheme, tokens: &[&str]| {
            decode(&DecoderConfig::Metaspace { replacement: '▁', prepend_scheme, split: true }, tokens)
        };
        assert_eq!(decode(PrependScheme::Always, &["▁a▁b", "▁c▁"]), ["ab", " c "]);
        assert_eq!(decode(PrependScheme::First, &["▁", "▁c"]), ["", " c"]);
        assert_eq!(decode(PrependScheme::Never, &["▁a▁b", "▁c"]), [" a b", " c"]);
    }
}
