//! SentencePiece's normalizer, in one pass.
//!
//! At each place a user-defined symbol is taken as it is, else the charsmap's longest entry is replaced, else there is one
//! character. What comes of it loses the spaces at its beginning if a space is before it, and its other spaces become U+2581;
//! all of it as the settings say. So spaces inside a symbol or a replacement stay, and only those at their edges are cut.
//!
//! Bytes that begin neither a symbol nor an entry and are no space are copied in runs. O(n) for symbols and entries of bounded
//! length. What is written takes the record of the last byte that it replaces, the dummy prefix that of the byte behind it.

use super::precompiled::Precompiled;
use crate::formats::config::SentencePieceNormalizer;
use crate::text::{Align, NormalizedText, Rewrite};
use crate::{Error, Result};
use aho_corasick::{AhoCorasick, Anchored, Input, MatchKind, StartKind};

/// What stands for a space.
const SPACE_SYMBOL: &str = "\u{2581}";

#[derive(Debug)]
pub(super) struct SentencePiece {
    charsmap: Option<Precompiled>,
    /// The user-defined symbols.
    symbols: Option<AhoCorasick>,
    /// By byte: whether a character that begins with it is one of its own, and no space. Where there is a charsmap, this is
    /// known for ASCII that is followed by ASCII.
    is_plain: [bool; 256],
    space: &'static str,
    adds_prefix: bool,
    adds_suffix: bool,
    removes_spaces: bool,
}

impl SentencePiece {
    pub(super) fn new(config: &SentencePieceNormalizer) -> Result<Self> {
        let charsmap = match &config.charsmap {
            charsmap if charsmap.is_empty() => None,
            charsmap => Some(Precompiled::new(charsmap).map_err(|error| error.under("precompiled_charsmap"))?),
        };
        let mut is_plain: [bool; 256] = std::array::from_fn(|byte| match &charsmap {
            Some(charsmap) => byte < 0x80 && !charsmap.has_ascii_entry(byte as u8),
            None => true,
        });
        is_plain[usize::from(b' ')] = false;
        for symbol in config.user_defined_symbols.iter() {
            let Some(&first) = symbol.as_bytes().first() else {
                return Err(Error::config("user_defined_symbols", "a symbol is empty"));
            };
            is_plain[usize::from(first)] = false;
        }
        let symbols = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .start_kind(StartKind::Anchored)
            .build(config.user_defined_symbols.iter())
            .map_err(|error| Error::config("user_defined_symbols", error.to_string()))?;
        Ok(Self {
            charsmap,
            symbols: (!config.user_defined_symbols.is_empty()).then_some(symbols),
            is_plain,
            space: if config.escape_whitespaces { SPACE_SYMBOL } else { " " },
            adds_prefix: config.add_dummy_prefix && !config.treat_whitespace_as_suffix,
            adds_suffix: config.add_dummy_prefix && config.treat_whitespace_as_suffix,
            removes_spaces: config.remove_extra_whitespaces,
        })
    }

    pub(super) fn normalize<A: Align>(&self, text: &mut NormalizedText<A>) {
        text.rewrite(|new| self.write(new));
    }

    fn write<A: Align>(&self, new: &mut Rewrite<'_, A>) {
        let old = new.old_text();
        let mut at = 0;
        if self.removes_spaces {
            while at < old.len() {
                let (length, replacement) = self.prefix(old, at);
                if replacement.unwrap_or(&old[at..at + length]) != " " {
                    break;
                }
                at += length;
            }
        }
        if at == old.len() {
            return;
        }
        if self.adds_prefix {
            new.push_str(self.space, Some(at));
        }
        let mut is_after_space = self.removes_spaces;
        while at < old.len() && !new.is_refused() {
            let end = self.plain_run(old.as_bytes(), at);
            if end > at {
                new.copy(at..end);
                is_after_space = false;
                at = end;
                continue;
            }
            let (length, replacement) = self.prefix(old, at);
            let end = at + length;
            let whole = replacement.unwrap_or(&old[at..end]);
            let rest = if is_after_space { whole.trim_start_matches(' ') } else { whole };
            match replacement {
                Some(_) => self.write_replacement(new, rest, end - 1),
                None => self.write_old(new, end - rest.len(), end),
            }
            if !rest.is_empty() {
                is_after_space = self.removes_spaces && rest.ends_with(' ');
            }
            at = end;
        }
        if self.removes_spaces {
            new.trim_end(self.space);
        }
        if self.adds_suffix {
            new.push_str(self.space, Some(old.len() - 1));
        }
    }

    /// Where the run of plain bytes ends that begins at `at`: at the end of a character.
    #[inline]
    fn plain_run(&self, bytes: &[u8], at: usize) -> usize {
        let length = bytes[at..].iter().take_while(|&&byte| self.is_plain[usize::from(byte)]).count();
        let end = at + length;
        match bytes.get(end) {
            // An entry may begin with the last character and go on with this one.
            Some(next) if self.charsmap.is_some() && !next.is_ascii() && length > 0 => end - 1,
            _ => end,
        }
    }

    /// The length of what is taken at `at`, and what replaces it, if not itself.
    fn prefix(&self, text: &str, at: usize) -> (usize, Option<&str>) {
        let rest = &text[at..];
        if let Some(symbols) = &self.symbols {
            if let Some(symbol) = symbols.find(Input::new(rest).anchored(Anchored::Yes)) {
                return (symbol.end(), None);
            }
        }
        match self.charsmap.as_ref().and_then(|charsmap| charsmap.longest_entry(rest)) {
            Some((length, replacement)) => (length, Some(replacement)),
            None => (rest.chars().next().map_or(1, char::len_utf8), None),
        }
    }

    fn write_old<A: Align>(&self, new: &mut Rewrite<'_, A>, start: usize, end: usize) {
        let mut copied = start;
        for space in memchr::memchr_iter(b' ', &new.old_text().as_bytes()[start..end]).map(|space| start + space) {
            new.copy(copied..space);
            new.push_str(self.space, Some(space));
            copied = space + 1;
        }
        new.copy(copied..end);
    }

    fn write_replacement<A: Align>(&self, new: &mut Rewrite<'_, A>, replacement: &str, source: usize) {
        for (index, part) in replacement.split(' ').enumerate() {
            if index > 0 {
                new.push_str(self.space, Some(source));
            }
            new.push_str(part, Some(source));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalizers::precompiled::tests::charsmap;
    use crate::normalizers::tests::{normalized, spans_after};
    use proptest::prelude::*;

    fn config(flags: [bool; 4], symbols: &[&str], entries: &[(&str, &str)]) -> SentencePieceNormalizer {
        let [add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces, treat_whitespace_as_suffix] = flags;
        SentencePieceNormalizer {
            charsmap: if entries.is_empty() { Vec::new() } else { charsmap(entries) }.into(),
            user_defined_symbols: symbols.iter().copied().collect(),
            add_dummy_prefix,
            remove_extra_whitespaces,
            escape_whitespaces,
            treat_whitespace_as_suffix,
        }
    }

    fn run(config: &SentencePieceNormalizer, text: &str) -> String {
        let normalizer = SentencePiece::new(config).unwrap();
        normalized(text, |text| normalizer.normalize(text))
    }

    /// SentencePiece's `Normalizer::Normalize` and `NormalizePrefix`, step by step.
    fn naive(config: &SentencePieceNormalizer, entries: &[(&str, &str)], text: &str) -> String {
        let prefix = |rest: &str| -> (String, usize) {
            let symbols = config.user_defined_symbols.iter().filter(|symbol| rest.starts_with(symbol));
            if let Some(symbol) = symbols.max_by_key(|symbol| symbol.len()) {
                return (symbol.to_owned(), symbol.len());
            }
            let entries = entries.iter().filter(|(key, _)| rest.starts_with(key));
            if let Some((key, replacement)) = entries.max_by_key(|(key, _)| key.len()) {
                return ((*replacement).to_owned(), key.len());
            }
            let character = rest.chars().next().unwrap();
            (character.to_string(), character.len_utf8())
        };
        let space = if config.escape_whitespaces { "\u{2581}" } else { " " };
        let mut rest = text;
        while config.remove_extra_whitespaces && !rest.is_empty() && prefix(rest).0 == " " {
            rest = &rest[prefix(rest).1..];
        }
        if rest.is_empty() {
            return String::new();
        }
        let mut made = String::new();
        if config.add_dummy_prefix && !config.treat_whitespace_as_suffix {
            made.push_str(space);
        }
        let mut is_after_space = config.remove_extra_whitespaces;
        while !rest.is_empty() {
            let (piece, length) = prefix(rest);
            let piece = if is_after_space { piece.trim_start_matches(' ') } else { &piece };
            if !piece.is_empty() {
                made.push_str(&piece.replace(' ', space));
                is_after_space = piece.ends_with(' ');
            }
            rest = &rest[length..];
            is_after_space &= config.remove_extra_whitespaces;
        }
        while config.remove_extra_whitespaces && made.ends_with(space) {
            made.truncate(made.len() - space.len());
        }
        if config.add_dummy_prefix && config.treat_whitespace_as_suffix {
            made.push_str(space);
        }
        made
    }

    #[test]
    fn spaces_are_cut_at_the_edges_and_between() {
        let plain = config([true, true, true, false], &[], &[]);
        assert_eq!(run(&plain, "  a   b \u{2581} "), "▁a▁b");
        assert_eq!(run(&plain, "   "), "");
        assert_eq!(run(&config([true, false, true, false], &[], &[]), "   "), "▁▁▁▁");
        assert_eq!(run(&config([true, true, true, true], &[], &[]), " a  b "), "a▁b▁");
        assert_eq!(run(&config([false, true, false, false], &[], &[]), " a  b "), "a b");
    }

    #[test]
    fn spaces_inside_a_symbol_or_a_replacement_stay() {
        let config = config([true, true, true, false], &["x  y", "  "], &[("q", "r  s"), ("t", " ")]);
        assert_eq!(run(&config, "x  y"), "▁x▁▁y");
        assert_eq!(run(&config, "a  b"), "▁a▁▁b");
        assert_eq!(run(&config, "a   b"), "▁a▁▁b", "a space behind a symbol that ends with one is cut");
        assert_eq!(run(&config, "ttqt b"), "▁r▁▁s▁b");
    }

    #[test]
    fn symbols_are_not_rewritten() {
        let config = config([false, true, true, false], &["ab"], &[("a", "X"), ("b", "Y"), ("e\u{301}", "é"), ("bab", "Z")]);
        assert_eq!(run(&config, "abaab"), "abXab");
        assert_eq!(run(&config, "bab"), "Z", "the entry begins before the symbol");
        assert_eq!(run(&config, "cde\u{301}e"), "cdée");
    }

    #[test]
    fn records_are_those_of_what_is_replaced() {
        let normalizer = SentencePiece::new(&config([true, true, true, false], &[], &[("ß", "ss")])).unwrap();
        let spans = spans_after(" a ß", |text| normalizer.normalize(text));
        assert_eq!(spans, [[(1, 2); 4].as_slice(), &[(2, 3); 3], &[(3, 5); 2]].concat());
    }

    proptest! {
        #[test]
        fn equals_the_steps(
            flags in any::<[bool; 4]>(),
            symbols in prop::collection::vec("[ab \u{2581}é]{1,3}", 0..4),
            entries in prop::collection::btree_map("[abcé\u{301} \u{3000}]{1,3}", "[ab \u{2581}x]{0,4}", 0..5),
            text in "[abcdé\u{301} \u{3000}\u{2581}\0]{0,12}",
        ) {
            let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
            let entries: Vec<(&str, &str)> = entries.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let config = config(flags, &symbols, &entries);
            prop_assert_eq!(run(&config, &text), naive(&config, &entries, &text));
        }
    }
}
