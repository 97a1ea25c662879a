//! Unigram: of all ways to cut a piece into tokens, the one with the largest sum of scores (Kudo, 2018).
//!
//! `lattice` finds it in one pass over the piece. Here is what surrounds it: the scores, the score of unknown characters, and
//! what becomes of a run of them. The sums are the reference's, term by term in `f64`, so that ties fall the same way. For a
//! SentencePiece model they are SentencePiece's, and so is what is found in a text.

mod lattice;
#[cfg(test)]
mod naive;

pub(super) use lattice::Scratch;

use super::{byte_tokens, Measure, TokenSink};
use crate::compiled::{damaged, Reader, Writer};
use crate::formats::config::{SentencePieceUnigram, UnigramConfig};
use crate::vocab::Vocabulary;
use crate::{Error, Result};
use std::ops::Range;

/// How much worse an unknown character is than the worst token.
const UNK_PENALTY: f64 = 10.0;

/// A compiled Unigram model.
#[derive(Debug)]
pub(super) struct Unigram {
    /// A piece's id is its index. Of equal pieces the last counts.
    vocabulary: Vocabulary,
    scores: Vec<f64>,
    /// The length of the longest piece in bytes, and no less than that of a character.
    longest: usize,
    unk_id: Option<u32>,
    unk_score: f64,
    /// The ids of `<0x00>` … `<0xFF>`, for the models with byte fallback.
    byte_tokens: Option<Box<[Option<u32>; 256]>>,
    sentencepiece: Option<SentencePieceUnigram>,
    /// By id, whether SentencePiece never finds the piece in a text. Empty for other models.
    hidden: Vec<bool>,
}

impl Unigram {
    pub(super) fn from_config(config: UnigramConfig) -> Result<Self> {
        let UnigramConfig { unk_id, pieces, scores, byte_fallback, sentencepiece } = config;
        Self::new(Vocabulary::list_with_trie(pieces)?, unk_id, scores, byte_fallback, sentencepiece)
    }

    fn new(
        vocabulary: Vocabulary,
        unk_id: Option<usize>,
        mut scores: Vec<f64>,
        byte_fallback: bool,
        sentencepiece: Option<SentencePieceUnigram>,
    ) -> Result<Self> {
        if vocabulary.len() != scores.len() {
            return Err(Error::config("vocab", format!("{} pieces, but {} scores", vocabulary.len(), scores.len())));
        }
        let unk_id = unk_id.map(|id| match u32::try_from(id) {
            Ok(unk_id) if id < vocabulary.len() => Ok(unk_id),
            _ => Err(Error::config("unk_id", format!("{id} is not below the number of pieces, {}", vocabulary.len()))),
        });
        let mut hidden = vec![false; sentencepiece.as_ref().map_or(0, |_| vocabulary.len())];
        for &id in sentencepiece.iter().flat_map(|rules| rules.reserved.iter().chain(&rules.unused)) {
            match hidden.get_mut(id as usize) {
                Some(hidden) => *hidden = true,
                None => {
                    let message = format!("{id} is not below the number of pieces, {}", vocabulary.len());
                    return Err(Error::config("sentencepiece", message));
                }
            }
        }
        let unk_score = match &sentencepiece {
            Some(rules) => {
                // As they were before JSON, which may have changed the last bit.
                scores.iter_mut().for_each(|score| *score = f64::from(*score as f32));
                f64::from(rules.unk_score)
            }
            None => scores.iter().fold(f64::INFINITY, |least, &score| if score < least { score } else { least }) - UNK_PENALTY,
        };
        let longest = vocabulary.tokens().iter().map(str::len).max().unwrap_or(0).max(char::MAX.len_utf8());
        Ok(Self {
            longest,
            unk_score,
            sentencepiece,
            hidden,
            byte_tokens: byte_fallback.then(|| Box::new(byte_tokens(&vocabulary))),
            unk_id: unk_id.transpose()?,
            vocabulary,
            scores,
        })
    }

    pub(super) fn to_config(&self) -> UnigramConfig {
        UnigramConfig {
            unk_id: self.unk_id.map(|id| id as usize),
            pieces: self.vocabulary.tokens().clone(),
            scores: self.scores.clone(),
            byte_fallback: self.byte_tokens.is_some(),
            sentencepiece: self.sentencepiece.clone(),
        }
    }

    pub(super) fn write(&self, to: &mut Writer) {
        self.vocabulary.write(to);
        to.option(self.unk_id, |to, id| to.number(id.into()));
        to.u64s(self.scores.iter().map(|score| score.to_bits()));
        to.flag(self.byte_tokens.is_some());
        to.option(self.sentencepiece.as_ref(), |to, rules| {
            to.number(rules.unk_score.to_bits().into());
            to.u32s(&rules.reserved);
            to.u32s(&rules.unused);
        });
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self> {
        let vocabulary = Vocabulary::read(from)?;
        // Ids are places in the list of scores.
        if vocabulary.trie().is_none() || vocabulary.ids_end() != Some(vocabulary.len()) {
            return Err(damaged("a Unigram vocabulary without a trie, or with ids that do not count"));
        }
        let unk_id = from.option(Reader::number)?.map(|id| usize::try_from(id).unwrap_or(usize::MAX));
        let scores = from.u64s(f64::from_bits)?;
        let byte_fallback = from.flag()?;
        let sentencepiece = from.option(|from| {
            let unk_score = f32::from_bits(from.number()? as u32);
            Ok(SentencePieceUnigram { unk_score, reserved: from.u32s()?, unused: from.u32s()? })
        })?;
        Self::new(vocabulary, unk_id, scores, byte_fallback, sentencepiece)
    }

    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Whether this is the unknown token, which shows what it stands for.
    pub(super) fn is_unknown(&self, id: u32) -> bool {
        self.unk_id == Some(id)
    }

    /// Whether some tokens are never found in a text.
    pub(super) fn has_hidden_tokens(&self) -> bool {
        self.sentencepiece.is_some()
    }

    /// How much of a piece a token stands for, if its id tells. The bytes of a run of unknown characters stand for the run.
    pub(super) fn measure(&self, id: u32) -> Option<Measure> {
        let is_byte = || self.byte_tokens.iter().any(|tokens| tokens.contains(&Some(id)));
        self.vocabulary.token(id).filter(|_| !self.is_unknown(id) && !is_byte()).and_then(Measure::of_text)
    }

    /// Emits a run of unknown characters: as the token that they spell if there is one (not in a SentencePiece model), as their
    /// bytes, or as one unknown token.
    fn emit_unknown<S: TokenSink>(&self, piece: &str, range: Range<usize>, sink: &mut S) -> Result<()> {
        let run = &piece[range.clone()];
        if let Some(id) = self.vocabulary.id(run).filter(|_| self.sentencepiece.is_none()) {
            sink.token(id, range, true);
            return Ok(());
        }
        if let Some(tokens) = &self.byte_tokens {
            if run.bytes().all(|byte| tokens[usize::from(byte)].is_some()) {
                for id in run.bytes().filter_map(|byte| tokens[usize::from(byte)]) {
                    sink.token(id, range.clone(), false);
                }
                return Ok(());
            }
        }
        sink.token(self.unk_id.ok_or_else(missing_unk)?, range, true);
        Ok(())
    }
}

fn missing_unk() -> Error {
    Error::MissingUnknownToken { message: "Encountered an unknown token but `unk_id` is missing".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::naive::Tokens;
    use proptest::prelude::*;

    fn config(pieces: &[(&str, f64)], unk_id: Option<usize>, byte_fallback: bool) -> UnigramConfig {
        UnigramConfig {
            unk_id,
            pieces: pieces.iter().map(|piece| piece.0).collect(),
            scores: pieces.iter().map(|piece| piece.1).collect(),
            byte_fallback,
            sentencepiece: None,
        }
    }

    fn tokens(model: &Unigram, piece: &str) -> Option<Vec<(u32, usize, usize, bool)>> {
        let mut tokens = Tokens::default();
        model.tokenize(piece, &mut Scratch::default(), &mut tokens).ok()?;
        Some(tokens.0)
    }

    #[test]
    fn the_best_sum_wins_and_the_first_of_equals() {
        let pieces = [("<unk>", 0.0), ("a", -1.0), ("b", -1.0), ("ab", -2.0), ("c", -1.0), ("abc", -2.5)];
        let model = Unigram::from_config(config(&pieces, Some(0), false)).unwrap();
        assert_eq!(tokens(&model, "abc").unwrap(), [(5, 0, 3, true)]);
        // "ab" and "a" + "b" have the same sum: the candidate that begins earlier was there first.
        assert_eq!(tokens(&model, "ab").unwrap(), [(3, 0, 2, true)]);
    }

    #[test]
    fn unknown_characters_are_fused() {
        let model = Unigram::from_config(config(&[("<unk>", 0.0), ("a", -1.0)], Some(0), false)).unwrap();
        assert_eq!(tokens(&model, "éxaé").unwrap(), [(0, 0, 3, true), (1, 3, 4, true), (0, 4, 6, true)]);
        // The unknown token's own text is unknown text.
        assert_eq!(tokens(&model, "x<unk>").unwrap(), [(0, 0, 6, true)]);
    }

    #[test]
    fn a_fused_run_may_spell_a_token() {
        let pieces = [("<unk>", 90.0), ("xx", 100.0)];
        let model = Unigram::from_config(config(&pieces, Some(0), false)).unwrap();
        assert_eq!(tokens(&model, "xx").unwrap(), [(1, 0, 2, true)]);
    }

    #[test]
    fn bytes_stand_for_unknown_characters_if_all_are_there() {
        let pieces = [("<unk>", 0.0), ("<0xC3>", 0.0), ("<0xA9>", 0.0)];
        let model = Unigram::from_config(config(&pieces, Some(0), true)).unwrap();
        assert_eq!(tokens(&model, "é").unwrap(), [(1, 0, 2, false), (2, 0, 2, false)]);
        assert_eq!(tokens(&model, "éa").unwrap(), [(0, 0, 3, true)]);
    }

    #[test]
    fn a_missing_unk_id_matters_only_when_needed() {
        let model = Unigram::from_config(config(&[("a", -1.0)], None, false)).unwrap();
        assert!(tokens(&model, "aa").is_some());
        let error = model.tokenize("ab", &mut Scratch::default(), &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "Encountered an unknown token but `unk_id` is missing");
    }

    #[test]
    fn an_unk_id_outside_the_vocabulary_is_refused() {
        for (pieces, unk_id) in [(&[][..], 0), (&[("a", 0.0)][..], 1), (&[("a", 0.0)][..], usize::MAX)] {
            let error = Unigram::from_config(config(pieces, Some(unk_id), false)).unwrap_err();
            let expected = format!("unk_id: {unk_id} is not below the number of pieces, {}", pieces.len());
            assert_eq!(error.to_string(), expected);
        }
        assert!(Unigram::from_config(config(&[], None, false)).is_ok());
    }

    #[test]
    fn nested_tokens_and_long_pieces_are_linear() {
        let long: Vec<String> = [1, 2, 3, 60_000].map(|length| "a".repeat(length)).to_vec();
        let pieces: Vec<(&str, f64)> = long.iter().map(|piece| (piece.as_str(), -1.0)).collect();
        let model = Unigram::from_config(config(&pieces, Some(0), false)).unwrap();
        let piece = "a".repeat(59_999) + "b" + &"a".repeat(200_000);
        let found = tokens(&model, &piece).unwrap();
        assert_eq!(found.last(), Some(&(3, 200_000, 260_000, true)));
    }

    proptest! {
        #[test]
        fn equals_the_plain_lattice(
            list in proptest::collection::vec(("[abé▁]{0,4}|<unk>|<0x62>|<0xC3>", prop_oneof![(-8i32..3).prop_map(f64::from), -9.0..0.0, 50.0..60.0]), 0..25),
            unk_id in proptest::option::of(0usize..5),
            byte_fallback in any::<bool>(),
            pieces in proptest::collection::vec("([abé▁c]|<unk>){0,16}", 1..20),
        ) {
            let list: Vec<(&str, f64)> = list.iter().map(|piece| (piece.0.as_str(), piece.1)).collect();
            let config = config(&list, unk_id.filter(|&id| id < list.len()), byte_fallback);
            let model = Unigram::from_config(config.clone()).unwrap();
            prop_assert_eq!(&model.to_config(), &config);
            for piece in &pieces {
                prop_assert_eq!(tokens(&model, piece), naive::tokenize(&config, piece));
            }
        }

        #[test]
        fn equals_sentencepiece_step_by_step(
            list in proptest::collection::btree_map("([abé▁]{1,4}|<unk>|<0x62>|<0xC3>|<0xA9>)", (
                prop_oneof![(-8i32..3).prop_map(|score| score as f32), -9.0..0.0f32, -90_000.0..-20_000.0f32],
                prop_oneof![8 => Just(0), 1 => Just(1), 1 => Just(2)],
            ), 1..25),
            byte_fallback in any::<bool>(),
            unk_score in -40.0..-10.0f32,
            pieces in proptest::collection::vec("([abé▁c]|<unk>|ab|aab){0,24}", 1..20),
        ) {
            let scores: Vec<(&str, f64)> = list.iter().map(|(text, piece)| (text.as_str(), f64::from(piece.0))).collect();
            let of_kind = |kind| (0..).zip(list.values()).filter(|(_, piece)| piece.1 == kind).map(|(id, _)| id).collect::<Vec<u32>>();
            let mut config = config(&scores, Some(0), byte_fallback);
            let reserved = [vec![0], of_kind(1)].concat();
            config.sentencepiece = Some(SentencePieceUnigram { unk_score, reserved, unused: of_kind(2) });
            let model = Unigram::from_config(config.clone()).unwrap();
            prop_assert_eq!(&model.to_config(), &config);
            for piece in &pieces {
                prop_assert_eq!(tokens(&model, piece), naive::tokenize_sentencepiece(&config, piece));
            }
        }
    }

    #[test]
    fn rules_for_pieces_that_are_not_there_are_refused() {
        let mut config = config(&[("<unk>", 0.0)], Some(0), false);
        config.sentencepiece = Some(SentencePieceUnigram { unk_score: -1.0, reserved: vec![0], unused: vec![1] });
        let error = Unigram::from_config(config).unwrap_err().to_string();
        assert_eq!(error, "sentencepiece: 1 is not below the number of pieces, 1");
    }
}
