//! WordLevel: a piece is a token or the unknown token. One hash lookup per piece.

use super::TokenSink;
use crate::compiled::{Reader, Writer};
use crate::formats::config::WordLevelConfig;
use crate::vocab::Vocabulary;
use crate::{Error, Result};

/// A compiled WordLevel model.
#[derive(Debug)]
pub(super) struct WordLevel {
    vocabulary: Vocabulary,
    unk_token: String,
    unk_id: Option<u32>,
}

impl WordLevel {
    pub(super) fn from_config(config: WordLevelConfig) -> Result<Self> {
        let vocabulary = Vocabulary::new(config.vocab)?;
        Ok(Self { unk_id: vocabulary.id(&config.unk_token), vocabulary, unk_token: config.unk_token })
    }

    pub(super) fn to_config(&self) -> WordLevelConfig {
        WordLevelConfig { unk_token: self.unk_token.clone(), vocab: self.vocabulary.to_config() }
    }

    pub(super) fn write(&self, to: &mut Writer) {
        self.vocabulary.write(to);
        to.text(&self.unk_token);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self> {
        let vocabulary = Vocabulary::read(from)?;
        let unk_token = from.text()?;
        Ok(Self { unk_id: vocabulary.id(&unk_token), vocabulary, unk_token })
    }

    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    pub(super) fn tokenize<S: TokenSink>(&self, piece: &str, sink: &mut S) -> Result<()> {
        match (self.vocabulary.id(piece), self.unk_id) {
            (Some(id), _) => sink.token(id, 0..piece.len(), true),
            (None, Some(unk_id)) => sink.token(unk_id, 0..piece.len(), false),
            (None, None) => {
                // The reference's message names [UNK] whatever the unknown token is called.
                let message = "WordLevel error: Missing [UNK] token from the vocabulary".to_owned();
                return Err(Error::MissingUnknownToken { message });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::VocabConfig;
    use crate::models::naive::Tokens;

    fn model(unk_token: &str) -> WordLevel {
        let vocab = VocabConfig { tokens: ["a", "<unk>", "b c"].into_iter().collect(), ids: vec![4, 7, 9] };
        WordLevel::from_config(WordLevelConfig { unk_token: unk_token.into(), vocab }).unwrap()
    }

    #[test]
    fn a_piece_is_one_token() {
        let mut tokens = Tokens::default();
        for piece in ["a", "b c", "b", ""] {
            model("<unk>").tokenize(piece, &mut tokens).unwrap();
        }
        assert_eq!(tokens.0, [(4, 0, 1, true), (9, 0, 3, true), (7, 0, 1, false), (7, 0, 0, false)]);
    }

    #[test]
    fn a_missing_unknown_token_matters_only_when_needed() {
        let model = model("[UNK]");
        let mut ids: Vec<u32> = Vec::new();
        assert!(model.tokenize("a", &mut ids).is_ok());
        let error = model.tokenize("x", &mut ids).unwrap_err();
        assert_eq!(error.to_string(), "WordLevel error: Missing [UNK] token from the vocabulary");
        assert_eq!(ids, [4]);
        assert_eq!(model.to_config().unk_token, "[UNK]");
    }
}
