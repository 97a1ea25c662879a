//! A text that grows, and its ids: what a chat does with each message.
//!
//! The text is kept with a checkpoint: a place where it can be divided ([`Places`]) and the number of ids before it. Appending
//! encodes only what lies behind the checkpoint, compares the ids with those that were there, and moves the checkpoint to the last
//! such place. The ids are always those of the whole text.
//!
//! What an append costs does not depend on the length of the text before the checkpoint. With cuts that is near the end: a word
//! or so is encoded again. Where a text has no cuts (pipelines that are not known to treat words apart, text without spaces) it is
//! the last added token that is found in the raw text, such as the `<|im_start|>` of the last message; where there is none either, the whole
//! is encoded each time, for which [`Tokenizer::encode`] is as good.

use crate::cuts::{Begin, Places};
use crate::encoding::{Encoding, Rows};
use crate::tokenizer::{Core, Watch};
use crate::{long_text, pipeline, EncodeOptions, Error, Input, Result, Tokenizer};

/// A cut this near to the end is not compared with added tokens, for which the text must be searched.
const NEAR_BYTES: usize = 256;

/// What goes on inside a section is worked out only where 32 bits say where its pieces end.
const MAX_OPEN_BYTES: usize = u32::MAX as usize;

/// A text that grows, and its ids. [`Tokenizer::conversation`] makes one.
#[derive(Clone, Debug)]
pub struct Conversation {
    core: Core,
    split_special_tokens: bool,
    text: String,
    ids: Vec<u32>,
    /// The special tokens after the text's.
    after: Box<[u32]>,
    checkpoint: Checkpoint,
}

/// A place in the text that no append moves.
#[derive(Clone, Copy, Debug)]
struct Checkpoint {
    /// Its byte offset.
    place: usize,
    /// How many ids are before it, special tokens included.
    ids: usize,
}

impl Conversation {
    pub(crate) fn new(tokenizer: &Tokenizer, add_special_tokens: bool, split_special_tokens: bool) -> Result<Self> {
        if tokenizer.core.model.is_random() {
            let message = "a model with dropout draws other tokens each time, so no tokens can be kept".into();
            return Err(Error::Argument { name: "dropout", message });
        }
        let mark = u32::MAX;
        let options = EncodeOptions { add_special_tokens, ..EncodeOptions::default() };
        let marked = tokenizer.post_process(Encoding::from_rows(Rows::blank(vec![mark]), 0), None, &options)?;
        let marked = marked.ids();
        let mut parts = marked.split(|id| *id == mark);
        let (Some(before), Some(after), None) = (parts.next(), parts.next(), parts.next()) else {
            let count = marked.iter().filter(|id| **id == mark).count();
            let message =
                format!("it puts the tokens of a text {count} times, so an append would change them all (encode the whole)");
            return Err(Error::Argument { name: "post_processor", message });
        };
        Ok(Self {
            core: tokenizer.core.clone(),
            split_special_tokens,
            text: String::new(),
            ids: marked.iter().copied().filter(|id| *id != mark).collect(),
            after: after.into(),
            checkpoint: Checkpoint { place: 0, ids: before.len() },
        })
    }

    /// Appends to the text. Returns the index of the first id that is not what it was, or the number of ids there were.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`]. The conversation is then as it was.
    pub fn append(&mut self, text: &str) -> Result<usize> {
        self.append_watched(text, None)
    }

    /// The same, asking `watch` now and then whether to go on.
    ///
    /// # Errors
    /// What [`append`](Self::append) and `watch` return.
    pub fn append_watched(&mut self, text: &str, watch: Option<&dyn Watch>) -> Result<usize> {
        let Checkpoint { place, ids: known } = self.checkpoint;
        let open = [&self.text[place..], text].concat();
        if open.len() > MAX_OPEN_BYTES {
            let (value, limit) = (open.len() as u64, MAX_OPEN_BYTES as u64);
            return Err(Error::Limit { what: "the length in bytes of a text that is encoded by one append", value, limit });
        }
        let next = self.next_checkpoint(&open)?;
        let begin = if place == 0 { Begin::Input } else { Begin::Inside };
        let mut ids = self.ids_of(&open[..next.unwrap_or(open.len())], begin, watch)?;
        let next_ids = known + ids.len();
        if let Some(next) = next {
            ids.extend(self.ids_of(&open[next..], Begin::Inside, watch)?);
        }
        ids.extend_from_slice(&self.after);
        // From here on nothing fails.
        let same = ids.iter().zip(&self.ids[known..]).take_while(|(new, old)| new == old).count();
        let first_changed = known + same;
        self.ids.truncate(first_changed);
        self.ids.extend_from_slice(&ids[same..]);
        self.text.push_str(text);
        if let Some(next) = next {
            self.checkpoint = Checkpoint { place: place + next, ids: next_ids };
        }
        Ok(first_changed)
    }

    /// The last place of the text behind the checkpoint that no append moves.
    fn next_checkpoint(&self, open: &str) -> Result<Option<usize>> {
        let places = Places::of(&self.core);
        let cut = places.last_cut(open);
        if cut.is_some_and(|cut| open.len() - cut <= NEAR_BYTES) {
            return Ok(cut);
        }
        Ok(cut.max(places.last_added_token(open, self.split_special_tokens)?))
    }

    fn ids_of(&self, text: &str, begin: Begin, watch: Option<&dyn Watch>) -> Result<Vec<u32>> {
        let threads = long_text::threads(&self.core, Input::Text(text).is_long());
        if threads == 1 {
            return pipeline::ids_of_text(&self.core, text, begin, self.split_special_tokens, watch);
        }
        let ids = long_text::ids::<Vec<u32>>(&self.core, &[text], begin, self.split_special_tokens, threads, watch)?;
        Ok(ids.into_iter().next().unwrap_or_default().concat())
    }

    /// The ids of the text, special tokens included.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The number of ids.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are no ids.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// How many bytes at the end of the text the next append will encode again.
    pub fn open_bytes(&self) -> usize {
        self.text.len() - self.checkpoint.place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuts::tests::{fixtures, parts, text_for};
    use proptest::prelude::*;

    fn whole(tokenizer: &Tokenizer, text: &str, add_special_tokens: bool, split_special_tokens: bool) -> Result<Vec<u32>> {
        let options = EncodeOptions { add_special_tokens, split_special_tokens, ..EncodeOptions::default() };
        Ok(tokenizer.encode(Input::Text(text), None, &options)?.ids().into_owned())
    }

    #[test]
    fn an_empty_conversation_has_the_special_tokens() {
        for (name, tokenizer) in fixtures() {
            if let Ok(conversation) = tokenizer.conversation(true, false) {
                assert_eq!(conversation.ids(), whole(tokenizer, "", true, false).unwrap(), "{name}");
            }
        }
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let refused = |wanted: &str| {
            let (_, tokenizer) = fixtures().iter().find(|(name, _)| name == wanted).unwrap();
            match tokenizer.conversation(true, false) {
                Err(Error::Argument { name, .. }) => name,
                other => panic!("{wanted}: {other:?}"),
            }
        };
        assert_eq!(refused("bpe-dropout-one"), "dropout");
        assert_eq!(refused("post_processor-template-twice"), "post_processor");
    }

    #[test]
    fn a_failed_append_changes_nothing() {
        let (_, tokenizer) = fixtures().iter().find(|(name, _)| name == "bpe-llama3").unwrap();
        struct Stop;
        impl Watch for Stop {
            fn check(&self) -> Result<()> {
                Err(Error::Interrupted)
            }
        }
        let mut conversation = tokenizer.conversation(true, false).unwrap();
        conversation.append("The mill stands").unwrap();
        let (text, ids) = (conversation.text().to_owned(), conversation.ids().to_vec());
        let long = " where two rivers meet".repeat(20_000);
        assert!(matches!(conversation.append_watched(&long, Some(&Stop)), Err(Error::Interrupted)));
        assert_eq!((conversation.text(), conversation.ids()), (text.as_str(), ids.as_slice()));
        conversation.append(&long).unwrap();
        assert_eq!(conversation.ids(), whole(tokenizer, &(text + &long), true, false).unwrap());
    }

    #[test]
    fn what_is_encoded_again_does_not_grow_with_the_text() {
        let names = ["bpe-gpt2", "bpe-llama2", "bpe-llama3", "bpe-qwen", "bpe-o200k", "unigram-albert", "wordpiece-bert-uncased"];
        for name in names {
            let (_, tokenizer) = fixtures().iter().find(|(known, _)| known == name).unwrap();
            let mut conversation = tokenizer.conversation(true, false).unwrap();
            for _ in 0..2_000 {
                conversation.append("The mill stands where two rivers meet, and its wheel").unwrap();
                assert!(conversation.open_bytes() < 64, "{name}: {} of {}", conversation.open_bytes(), conversation.text().len());
            }
        }
    }

    #[test]
    fn added_tokens_end_what_is_encoded_again() {
        // A pattern that no scanner knows, so that there are no cuts.
        let (_, tokenizer) = fixtures().iter().find(|(name, _)| name == "pre_tokenizer-regex-lazy").unwrap();
        let token = |content: &str| crate::added_tokens::AddedToken {
            content: content.into(),
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: true,
        };
        let (tokenizer, _) = tokenizer.with_added_tokens(&[token("<|turn|>")]).unwrap();
        let mut conversation = tokenizer.conversation(true, false).unwrap();
        for _ in 0..100 {
            conversation.append("<|turn|>the mill stands where two rivers meet").unwrap();
            assert!(conversation.open_bytes() < 100, "{}", conversation.open_bytes());
        }
        assert_eq!(conversation.ids(), whole(&tokenizer, conversation.text(), true, false).unwrap());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_ids_are_those_of_the_whole_text(
            parts in parts(0..24),
            splits in proptest::collection::vec(0usize..12, 1..12),
            add_special_tokens in any::<bool>(),
            split_special_tokens in any::<bool>(),
        ) {
            for (name, tokenizer) in fixtures() {
                let Ok(mut conversation) = tokenizer.conversation(add_special_tokens, split_special_tokens) else { continue };
                let text = text_for(tokenizer, &parts);
                let mut characters = text.chars();
                for &length in splits.iter().cycle().take(20).chain([&usize::MAX]) {
                    let appended: String = characters.by_ref().take(length).collect();
                    let before = (conversation.text().to_owned(), conversation.ids().to_vec());
                    let text = format!("{}{appended}", before.0);
                    let expected = whole(tokenizer, &text, add_special_tokens, split_special_tokens);
                    match (conversation.append(&appended), expected) {
                        (Ok(first_changed), Ok(expected)) => {
                            prop_assert_eq!(conversation.ids(), &expected, "{} {:?} + {:?}", name, before.0, appended);
                            let same = before.1.iter().zip(&expected).take_while(|(old, new)| old == new).count();
                            prop_assert_eq!(first_changed, same, "{} {:?} + {:?}", name, before.0, appended);
                            prop_assert_eq!(conversation.text(), text);
                        }
                        (Err(_), Err(_)) => {
                            prop_assert_eq!((conversation.text(), conversation.ids()), (before.0.as_str(), &*before.1));
                        }
                        (result, expected) => prop_assert!(false, "{name} {:?} + {appended:?}: {result:?}, {expected:?}", before.0),
                    }
                }
            }
        }
    }
}
