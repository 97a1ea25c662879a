//! WordPiece: a piece is cut greedily into the longest tokens, or is unknown as a whole.
//!
//! One trie has all tokens. The first token is looked for from its root, the others from the state after
//! `continuing_subword_prefix`: one walk per token, from where the last one ended. Bytes that a walk read beyond the longest
//! token are read again by the next one; in published vocabularies that is a few bytes, and in none more steps than [`Trie`]
//! says. So a piece of n bytes takes O(n) steps whatever `max_input_chars_per_word` allows; the plain loop, kept as the tests'
//! twin, takes O(n²) and more. LinMaxMatch (Song et al., 2021) reads no byte twice, but its table of failure pops costs more
//! memory than the vocabulary.

use super::double_array::{State, Trie};
use super::{Measure, TokenSink};
use crate::compiled::{damaged, Reader, Writer};
use crate::formats::config::WordPieceConfig;
use crate::vocab::Vocabulary;
use crate::{Error, Result};

/// A compiled WordPiece model.
#[derive(Debug)]
pub(super) struct WordPiece {
    vocabulary: Vocabulary,
    unk_token: String,
    unk_id: Option<u32>,
    continuing_subword_prefix: String,
    max_input_chars_per_word: usize,
    /// The state after the prefix, if a token begins with it.
    following: Option<State>,
}

/// The tokens of a piece: index and where it ends.
pub(super) type Scratch = Vec<(u32, usize)>;

impl WordPiece {
    pub(super) fn from_config(config: WordPieceConfig) -> Result<Self> {
        let prefix = config.continuing_subword_prefix;
        let vocabulary = Vocabulary::with_trie(config.vocab, &prefix)?;
        Ok(Self::new(vocabulary, config.unk_token, prefix, config.max_input_chars_per_word))
    }

    fn new(vocabulary: Vocabulary, unk_token: String, prefix: String, max_input_chars_per_word: usize) -> Self {
        Self {
            following: vocabulary.trie().and_then(|trie| trie.after(&prefix)),
            unk_id: vocabulary.id(&unk_token),
            vocabulary,
            unk_token,
            continuing_subword_prefix: prefix,
            max_input_chars_per_word,
        }
    }

    pub(super) fn write(&self, to: &mut Writer) {
        self.vocabulary.write(to);
        to.text(&self.unk_token);
        to.text(&self.continuing_subword_prefix);
        to.number(self.max_input_chars_per_word as u64);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self> {
        let vocabulary = Vocabulary::read(from)?;
        if vocabulary.trie().is_none() {
            return Err(damaged("a WordPiece vocabulary without a trie"));
        }
        let (unk_token, prefix) = (from.text()?, from.text()?);
        Ok(Self::new(vocabulary, unk_token, prefix, usize::try_from(from.number()?).unwrap_or(usize::MAX)))
    }

    pub(super) fn to_config(&self) -> WordPieceConfig {
        WordPieceConfig {
            unk_token: self.unk_token.clone(),
            continuing_subword_prefix: self.continuing_subword_prefix.clone(),
            max_input_chars_per_word: self.max_input_chars_per_word,
            vocab: self.vocabulary.to_config(),
        }
    }

    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    pub(super) fn tokenize<S: TokenSink>(&self, piece: &str, scratch: &mut Scratch, sink: &mut S) -> Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        let too_long = piece.len() > self.max_input_chars_per_word && piece.chars().count() > self.max_input_chars_per_word;
        if too_long {
            return self.unknown(piece, sink);
        }
        let Some(trie) = self.vocabulary.trie() else {
            return Err(Error::Internal("a WordPiece vocabulary without a trie".into()));
        };
        let bytes = piece.as_bytes();
        let Some((first, first_end)) = self.longest(trie, (trie.root(), 0), bytes) else { return self.unknown(piece, sink) };
        scratch.clear();
        let mut end = first_end;
        while end < bytes.len() {
            let from = self.following.map(|state| (state, self.continuing_subword_prefix.len()));
            let Some((index, length)) = from.and_then(|from| self.longest(trie, from, &bytes[end..])) else {
                return self.unknown(piece, sink);
            };
            end += length;
            scratch.push((index, end));
        }
        sink.token(self.vocabulary.id_at(first), 0..first_end, true);
        let mut start = first_end;
        for &(index, end) in &*scratch {
            sink.token(self.vocabulary.id_at(index), start..end, false);
            start = end;
        }
        Ok(())
    }

    pub(super) fn continuing_subword_prefix(&self) -> &str {
        &self.continuing_subword_prefix
    }

    pub(super) fn is_unknown(&self, id: u32) -> bool {
        self.unk_id == Some(id)
    }

    /// How much of a piece a token stands for, if its id tells: all that follows the prefix, as if it were not a piece's first. Not
    /// for the unknown token.
    pub(super) fn measure(&self, id: u32) -> Option<Measure> {
        let token = self.vocabulary.token(id).filter(|_| self.unk_id != Some(id))?;
        Measure::of_text(token.strip_prefix(self.continuing_subword_prefix.as_str()).unwrap_or(token))
    }

    /// The index and the length of the longest token that `bytes` begin with, behind the state and the bytes `from`.
    #[inline(always)]
    fn longest(&self, trie: &Trie, from: (State, usize), bytes: &[u8]) -> Option<(u32, usize)> {
        let mut longest = None;
        trie.for_each_prefix(self.vocabulary.tokens(), from, bytes, |index, length| longest = Some((index, length)));
        longest
    }

    fn unknown<S: TokenSink>(&self, piece: &str, sink: &mut S) -> Result<()> {
        let Some(unk_id) = self.unk_id else {
            // The reference's message names [UNK] whatever the unknown token is called.
            let message = "WordPiece error: Missing [UNK] token from the vocabulary".to_owned();
            return Err(Error::MissingUnknownToken { message });
        };
        sink.token(unk_id, 0..piece.len(), false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::VocabConfig;
    use crate::models::naive::Tokens;
    use proptest::prelude::*;

    fn model(tokens: &[&str], prefix: &str, max: usize) -> WordPiece {
        let vocab = VocabConfig { tokens: tokens.iter().collect(), ids: (10..10 + tokens.len() as u32).collect() };
        let continuing_subword_prefix = prefix.to_owned();
        let config = WordPieceConfig { unk_token: "[UNK]".into(), continuing_subword_prefix, max_input_chars_per_word: max, vocab };
        let model = WordPiece::from_config(config.clone()).unwrap();
        assert_eq!(model.to_config(), config);
        model
    }

    fn tokens(model: &WordPiece, piece: &str) -> Option<Tokens> {
        let mut tokens = Tokens::default();
        model.tokenize(piece, &mut Scratch::default(), &mut tokens).ok()?;
        Some(tokens)
    }

    /// The plain loop: at each place the longest token, tried from the longest down.
    fn naive(model: &WordPiece, piece: &str) -> Option<Tokens> {
        let unknown = || model.unk_id.map(|id| Tokens(vec![(id, 0, piece.len(), false)]));
        if piece.chars().count() > model.max_input_chars_per_word {
            return unknown();
        }
        let mut tokens = Tokens::default();
        let mut start = 0;
        while start < piece.len() {
            let prefix = if start > 0 { model.continuing_subword_prefix.as_str() } else { "" };
            let ends = (start + 1..=piece.len()).rev().filter(|&end| piece.is_char_boundary(end));
            let mut candidates = ends.map(|end| (end, model.vocabulary.id(&format!("{prefix}{}", &piece[start..end]))));
            let Some((end, Some(id))) = candidates.find(|candidate| candidate.1.is_some()) else { return unknown() };
            tokens.0.push((id, start, end, start == 0));
            start = end;
        }
        Some(tokens)
    }

    #[test]
    fn takes_the_longest_tokens() {
        let model = model(&["[UNK]", "un", "##aff", "##a", "##able", "##ffable", "##é"], "##", 10);
        assert_eq!(tokens(&model, "unaffable").unwrap().0, [(11, 0, 2, true), (12, 2, 5, false), (14, 5, 9, false)]);
        assert_eq!(tokens(&model, "unaffab").unwrap().0, [(10, 0, 7, false)]);
        assert_eq!(tokens(&model, "unaé").unwrap().0, [(11, 0, 2, true), (13, 2, 3, false), (16, 3, 5, false)]);
        assert_eq!(tokens(&model, "##aff").unwrap().0, [(12, 0, 5, true)]);
        assert_eq!(tokens(&model, "").unwrap().0, []);
    }

    #[test]
    fn long_words_are_unknown_by_their_characters() {
        let model = model(&["[UNK]", "é", "##é"], "##", 3);
        assert_eq!(tokens(&model, "ééé").unwrap().0.len(), 3);
        assert_eq!(tokens(&model, "éééé").unwrap().0, [(10, 0, 8, false)]);
    }

    #[test]
    fn a_missing_unknown_token_matters_only_when_needed() {
        let model = model(&["a", "##b"], "##", 100);
        assert!(tokens(&model, "ab").is_some());
        let error = model.tokenize("b", &mut Scratch::default(), &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "WordPiece error: Missing [UNK] token from the vocabulary");
    }

    #[test]
    fn a_long_word_over_nested_tokens_is_linear() {
        // Each token is a prefix of the next, so the plain loop would take 40,000² / 2 lookups of long strings.
        let nested: Vec<String> = (1..=300).map(|length| format!("##{}", "a".repeat(length))).collect();
        let mut list = vec!["[UNK]", "a"];
        list.extend(nested.iter().map(String::as_str));
        let long = "##".to_owned() + &"a".repeat(60_000) + "b";
        list.push(&long);
        let model = model(&list, "##", 1_000_000_000);
        let tokens = tokens(&model, &"a".repeat(40_000)).unwrap();
        assert_eq!(tokens.0.len(), 2 + 39_999 / 300);
    }

    proptest! {
        #[test]
        fn equals_the_plain_loop(
            list in proptest::collection::hash_set("(##)?[ab#é]{0,4}", 0..25),
            unk in any::<bool>(),
            prefix in prop_oneof![Just("##"), Just(""), Just("#"), Just("é")],
            max in prop_oneof![Just(100usize), Just(3), Just(0)],
            pieces in proptest::collection::vec("[ab#éc]{0,12}", 1..20),
        ) {
            let mut list: Vec<&str> = list.iter().map(String::as_str).collect();
            if unk {
                list.push("[UNK]");
            }
            let model = model(&list, prefix, max);
            for piece in &pieces {
                prop_assert_eq!(tokens(&model, piece), naive(&model, piece));
            }
        }
    }
}
