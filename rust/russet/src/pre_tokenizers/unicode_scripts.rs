//! The `UnicodeScripts` pre-tokenizer: cuts where the script changes, as SentencePiece does. O(n).
//!
//! Hiragana, Katakana and the prolonged sound mark count as Han. A space, or a character of no known script, belongs to the
//! piece before it. As in the reference, what comes before the first character of a known script is dropped.

use super::Emit;
use crate::text::{Align, Piece};
use crate::unicode::{script, Script};
use crate::Result;

pub(super) fn pre_tokenize<A: Align>(section: Piece<'_, A>, emit: &mut Emit<'_, A>) -> Result<()> {
    // The piece that is open: where it began, and its script.
    let mut open: Option<(usize, Script)> = None;
    for (here, character) in section.text.char_indices() {
        let script = script(character);
        if script == Script::ANY || matches!(open, Some((_, last)) if last == script) {
            continue;
        }
        if let Some((start, _)) = open.replace((here, script)) {
            emit(section.slice(start..here))?;
        }
    }
    match open {
        Some((start, _)) => emit(section.slice(start..section.text.len())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::config::PreTokenizerConfig;
    use crate::pre_tokenizers::tests::{pieces_at, texts};

    #[test]
    fn kana_and_han_are_one_script() {
        assert_eq!(texts(&PreTokenizerConfig::UnicodeScripts, "どこで生れ。Yes"), ["どこで生れ", "。", "Yes"]);
        assert_eq!(texts(&PreTokenizerConfig::UnicodeScripts, "データ"), ["データ"]);
    }

    #[test]
    fn spaces_belong_to_the_piece_before_them_and_leading_ones_are_dropped() {
        let pieces = pieces_at(&PreTokenizerConfig::UnicodeScripts, "  Apples are りんご 林檎", 0);
        assert_eq!(pieces, [("Apples are ".to_owned(), 2..13), ("りんご 林檎".to_owned(), 13..29)]);
        assert_eq!(texts(&PreTokenizerConfig::UnicodeScripts, "   "), [""; 0]);
    }
}
