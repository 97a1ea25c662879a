//! From ids to text: the ids' tokens, and what the decoder makes of them.
//!
//! Many ids are decoded by a table of what each becomes ([`decoders`](crate::decoders)), few by the decoder's stages; the texts are the
//! same. O(text).

use crate::decoders::{DecodeStream, Decoder, Decoding, TokenSource};
use crate::tokenizer::{OnUnknown, Tokenizer, Watch};
use crate::{Error, Result, StringList};
use std::sync::OnceLock;

/// From so many ids on, [`Watch::check`] is called in between.
const WATCHED_IDS: usize = 1 << 16;

impl Tokenizer {
    /// The text of `ids`. With `skip_special_tokens`, special tokens are left out, but for a SentencePiece model's unknown piece,
    /// which has a text there.
    ///
    /// # Errors
    /// [`Error::UnknownId`] for an id without a token, unless those are skipped.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool, on_unknown: OnUnknown) -> Result<String> {
        self.decode_watched(ids, skip_special_tokens, on_unknown, None)
    }

    /// The same, asking `watch` now and then whether to go on.
    ///
    /// # Errors
    /// What [`decode`](Self::decode) and `watch` return.
    pub fn decode_watched(
        &self,
        ids: &[u32],
        skip_special_tokens: bool,
        on_unknown: OnUnknown,
        watch: Option<&dyn Watch>,
    ) -> Result<String> {
        if let Some(ids_end) = self.core.ids_end() {
            let decoding = Decoding { ids, skip_special_tokens, skip_unknown: on_unknown == OnUnknown::Skip };
            let source = self.tokens(skip_special_tokens, on_unknown);
            let is_special = |token: &str| self.core.added_tokens.is_special(token);
            let check = || watch.map_or(Ok(()), Watch::check);
            let decoded = self.decode_tables.decode(&source, &decoding, ids_end, |id| self.id_to_token(id), is_special, check)?;
            if let Some(text) = decoded {
                return Ok(text);
            }
        }
        match watch.filter(|_| ids.len() > WATCHED_IDS) {
            None => self.decode_list(ids, skip_special_tokens, on_unknown),
            Some(watch) => self.decode_in_steps(ids, skip_special_tokens, on_unknown, watch),
        }
    }

    /// By the decoder's stages.
    fn decode_list(&self, ids: &[u32], skip_special_tokens: bool, on_unknown: OnUnknown) -> Result<String> {
        let source = self.tokens(skip_special_tokens, on_unknown);
        let mut tokens = StringList::with_capacity(ids.len(), 6 * ids.len());
        for (position, &id) in ids.iter().enumerate() {
            if let Some(token) = source.token(id).map_err(|error| error.at_position(position))? {
                tokens.push(token);
            }
        }
        self.decode_tokens(tokens)
    }

    /// As a stream, which can be stopped.
    fn decode_in_steps(&self, ids: &[u32], skip_special_tokens: bool, on_unknown: OnUnknown, watch: &dyn Watch) -> Result<String> {
        let source = self.tokens(skip_special_tokens, on_unknown);
        let mut stream = DecodeStream::new();
        let mut text = String::with_capacity(4 * ids.len());
        for (position, &id) in ids.iter().enumerate() {
            if position % WATCHED_IDS == 0 {
                watch.check()?;
            }
            stream.step_into(&source, id, &mut text).map_err(|error| error.at_position(position))?;
        }
        stream.finish_into(&source, &mut text)?;
        Ok(text)
    }

    /// The tokens of ids, and the decoder, for a [`DecodeStream`].
    pub fn tokens(&self, skip_special_tokens: bool, on_unknown: OnUnknown) -> Tokens<'_> {
        Tokens { tokenizer: self, skip_special_tokens, on_unknown }
    }

    /// The text that the decoder alone makes of tokens.
    pub fn decode_tokens(&self, tokens: StringList) -> Result<String> {
        match self.decoder() {
            Some(decoder) => Ok(decoder.decode_chain(tokens)?.into_text()),
            None => {
                let mut text = String::with_capacity(tokens.text().len() + tokens.len());
                for (index, token) in tokens.iter().enumerate() {
                    if index > 0 {
                        text.push(' ');
                    }
                    text.push_str(token);
                }
                Ok(text)
            }
        }
    }
}

/// What a stream needs of a [`Tokenizer`].
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    tokenizer: &'a Tokenizer,
    skip_special_tokens: bool,
    on_unknown: OnUnknown,
}

impl TokenSource for Tokens<'_> {
    fn decoder(&self) -> &Decoder {
        static SPACES: OnceLock<Decoder> = OnceLock::new();
        self.tokenizer.decoder().unwrap_or_else(|| SPACES.get_or_init(Decoder::spaces))
    }

    fn token(&self, id: u32) -> Result<Option<&str>> {
        let token = self.tokenizer.id_to_token(id);
        if token.is_none() && self.on_unknown == OnUnknown::Error {
            return Err(Error::UnknownId { id: id.into(), position: 0 });
        }
        let is_skipped = |token: &&str| self.skip_special_tokens && self.tokenizer.core.added_tokens.is_special(token);
        match token.filter(is_skipped) {
            Some(skipped) => Ok(self.tokenizer.decoder().and_then(|decoder| decoder.instead_of_skipped(skipped))),
            None => Ok(token),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_table_decodes_as_the_stages_do() {
        let mut with_table = 0;
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        for (name, tokenizer) in crate::cuts::tests::fixtures() {
            let end = tokenizer.vocab(true).iter().map(|(_, id)| id + 1).max().unwrap_or(0);
            let special: Vec<u32> = tokenizer.added_tokens().map(|(id, _)| id).chain([0]).collect();
            let bytes: Vec<u32> =
                (0..=255).filter_map(|byte| tokenizer.token_to_id(&format!("<0x{byte:02X}>"))).chain([1]).collect();
            let id = prop_oneof![
                8 => 0..end + 2,
                1 => proptest::sample::select(special),
                3 => proptest::sample::select(bytes),
            ];
            // Enough for a table, as a first call.
            let warm: Vec<u32> = (0..end).collect();
            let _ = tokenizer.decode(&warm, false, OnUnknown::Skip);
            with_table += usize::from(tokenizer.decode_tables.is_made());
            let cases = (proptest::collection::vec(id, 0..60), any::<bool>(), any::<bool>());
            runner
                .run(&cases, |(ids, skip_special_tokens, skip_unknown)| {
                    let on_unknown = if skip_unknown { OnUnknown::Skip } else { OnUnknown::Error };
                    let expected = tokenizer.decode_list(&ids, skip_special_tokens, on_unknown).map_err(|error| error.to_string());
                    let found = tokenizer.decode(&ids, skip_special_tokens, on_unknown).map_err(|error| error.to_string());
                    prop_assert_eq!(found, expected, "{}", name);
                    Ok(())
                })
                .unwrap();
        }
        assert!(with_table > 30, "only {with_table} fixtures are decoded by a table");
    }
}
