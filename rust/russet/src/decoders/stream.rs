//! Decoding while the ids come: two streams over one incremental decoder.
//!
//! [`DecodeStream`] gives each piece of text as soon as it is certain. The pieces and what [`finish`](DecodeStream::finish_into)
//! gives, end to end, are the text that decoding all ids at once gives, for every decoder and all ids. What is held back is what
//! the decoders hold: an unfinished character, a run of byte tokens (until it ends: a later byte can turn all of it into U+FFFD),
//! one token of a `BPEDecoder`, or, where a decoder has no incremental rule, everything.
//!
//! [`ReferenceStream`] gives the pieces that the reference gives, step for step, with its losses: a text that ends in U+FFFD is
//! never given, and text that was given and then changes is an error. It compares the text of a window of ids, which grows until
//! a piece is given and then keeps the ids of that piece.
//!
//! Both cost O(text) in all, whatever the ids, where the decoder has incremental rules. The reference's own window is quadratic in
//! ids that give no text. Wrong choice: decoding ids that are all there; use [`Decoder::decode_into`].

use super::{Decoder, DecoderScratch};
use crate::{Error, Result};

/// What a stream needs of a tokenizer.
pub trait TokenSource {
    /// The decoder; [`Decoder::spaces`] where the tokenizer has none.
    fn decoder(&self) -> &Decoder;
    /// The token of `id`, `None` if it is left out of the text.
    fn token(&self, id: u32) -> Result<Option<&str>>;
}

/// A stream whose pieces end to end are the decoded text.
#[derive(Debug, Default)]
pub struct DecodeStream {
    scratch: DecoderScratch,
    is_open: bool,
}

impl DecodeStream {
    /// A stream at its beginning.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an id and appends to `out` what is now certain. Give the same `source` from the first id to the last.
    ///
    /// # Errors
    /// What `source` returns, with nothing changed; [`Error::PatternLimit`] from a regular expression of the decoder, after which
    /// the stream is at its beginning.
    pub fn step_into(&mut self, source: &impl TokenSource, id: u32, out: &mut String) -> Result<()> {
        let Some(token) = source.token(id)? else { return Ok(()) };
        if !std::mem::replace(&mut self.is_open, true) {
            source.decoder().begin(&mut self.scratch);
        }
        let length = out.len();
        source.decoder().push(token, &mut self.scratch, out).inspect_err(|_| {
            self.is_open = false;
            out.truncate(length);
        })
    }

    /// Appends what was held back to `out`. The stream is at its beginning again.
    pub fn finish_into(&mut self, source: &impl TokenSource, out: &mut String) -> Result<()> {
        if !std::mem::replace(&mut self.is_open, false) {
            source.decoder().begin(&mut self.scratch);
        }
        source.decoder().finish(&mut self.scratch, out)
    }
}

/// A stream that gives exactly the pieces that `tokenizers` gives.
#[derive(Debug, Default)]
pub struct ReferenceStream {
    /// The window: the ids of the piece that was given last, then those since.
    ids: Vec<u32>,
    /// The text of the first `prefix_index` ids.
    prefix: String,
    prefix_index: usize,
    window: Window,
}

impl Clone for ReferenceStream {
    fn clone(&self) -> Self {
        Self { ids: self.ids.clone(), prefix: self.prefix.clone(), prefix_index: self.prefix_index, window: Window::default() }
    }
}

impl ReferenceStream {
    /// A stream that has `ids` behind it: their text is known to the caller and not given.
    pub fn new(ids: Vec<u32>) -> Self {
        Self { ids, ..Self::default() }
    }

    /// Takes ids and returns the text that they add, or `None` while it is not finished.
    ///
    /// # Errors
    /// [`Error::InvalidPrefix`] if the ids change text that was given, and what `source` and its decoder return. The ids stay taken.
    pub fn step(&mut self, source: &impl TokenSource, ids: &[u32]) -> Result<Option<String>> {
        let Self { ids: all_ids, prefix, prefix_index, window } = self;
        step(all_ids, prefix, prefix_index, ids, &mut Tracked { window, source })
    }

    /// [`step`](Self::step) with a function that decodes ids, for decoders that are not this crate's: the window is decoded anew
    /// at each step.
    pub fn step_with(&mut self, ids: &[u32], decode: impl FnMut(&[u32]) -> Result<String>) -> Result<Option<String>> {
        self.forget_source();
        let Self { ids: all_ids, prefix, prefix_index, .. } = self;
        step(all_ids, prefix, prefix_index, ids, &mut Untracked { decode, text: String::new(), length: None })
    }

    /// To be called before a step whose source is another one, or has changed, since the last step.
    pub fn forget_source(&mut self) {
        self.window.restart();
    }
}

/// The text of a window of ids.
trait WindowText {
    /// Another window begins.
    fn restart(&mut self);
    /// The text of `ids`, which begin with those of the call before.
    fn text(&mut self, ids: &[u32]) -> Result<&str>;
}

/// The reference's rule.
fn step(
    ids: &mut Vec<u32>,
    prefix: &mut String,
    prefix_index: &mut usize,
    new_ids: &[u32],
    window: &mut impl WindowText,
) -> Result<Option<String>> {
    let is_unfinished = |text: &str| text.ends_with(char::REPLACEMENT_CHARACTER);
    if prefix.is_empty() && !ids.is_empty() {
        let text = window.text(ids)?;
        if !is_unfinished(text) {
            prefix.push_str(text);
            *prefix_index = ids.len();
        }
    }
    ids.extend_from_slice(new_ids);
    let text = window.text(ids)?;
    if text.len() <= prefix.len() || is_unfinished(text) {
        return Ok(None);
    }
    let Some(added) = text.strip_prefix(prefix.as_str()) else {
        return Err(Error::InvalidPrefix {
            id: ids.last().copied().unwrap_or_default(),
            expected: prefix.clone(),
            actual: text.to_owned(),
        });
    };
    let added = added.to_owned();
    ids.drain(..*prefix_index);
    *prefix_index = ids.len();
    window.restart();
    prefix.clear();
    prefix.push_str(window.text(ids)?);
    Ok(Some(added))
}

/// The text of a window, kept up to date by an incremental decoder.
#[derive(Debug, Default)]
struct Window {
    /// How many ids the decoder has taken.
    taken: usize,
    /// The text, and how much of it is certain.
    text: String,
    certain: usize,
    scratch: DecoderScratch,
    spare: DecoderScratch,
}

impl Window {
    fn restart(&mut self) {
        self.taken = 0;
        self.certain = 0;
    }

    fn update(&mut self, source: &impl TokenSource, ids: &[u32]) -> Result<()> {
        let decoder = source.decoder();
        self.text.truncate(self.certain);
        if self.taken == 0 {
            decoder.begin(&mut self.scratch);
        }
        for &id in ids.get(self.taken..).unwrap_or_default() {
            if let Some(token) = source.token(id)? {
                decoder.push(token, &mut self.scratch, &mut self.text)?;
            }
            self.taken += 1;
            self.certain = self.text.len();
        }
        decoder.tail(&self.scratch, &mut self.spare, &mut self.text)
    }
}

struct Tracked<'a, S> {
    window: &'a mut Window,
    source: &'a S,
}

impl<S: TokenSource> WindowText for Tracked<'_, S> {
    fn restart(&mut self) {
        self.window.restart();
    }

    fn text(&mut self, ids: &[u32]) -> Result<&str> {
        if let Err(error) = self.window.update(self.source, ids) {
            self.window.restart();
            return Err(error);
        }
        Ok(&self.window.text)
    }
}

struct Untracked<F> {
    decode: F,
    text: String,
    /// How many ids `text` is the text of.
    length: Option<usize>,
}

impl<F: FnMut(&[u32]) -> Result<String>> WindowText for Untracked<F> {
    fn restart(&mut self) {
        self.length = None;
    }

    fn text(&mut self, ids: &[u32]) -> Result<&str> {
        if self.length != Some(ids.len()) {
            self.text = (self.decode)(ids)?;
            self.length = Some(ids.len());
        }
        Ok(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoders::tests::{part, token};
    use crate::formats::config::{DecoderConfig, PatternConfig};
    use crate::StringList;
    use proptest::prelude::*;

    struct Tokens {
        decoder: Decoder,
        tokens: Vec<String>,
    }

    impl TokenSource for Tokens {
        fn decoder(&self) -> &Decoder {
            &self.decoder
        }

        fn token(&self, id: u32) -> Result<Option<&str>> {
            Ok(self.tokens.get(id as usize).map(String::as_str))
        }
    }

    impl Tokens {
        fn new(config: &DecoderConfig, tokens: &[&str]) -> Self {
            let decoder = Decoder::from_config(config).unwrap();
            Self { decoder, tokens: tokens.iter().map(|token| (*token).to_owned()).collect() }
        }

        fn decode(&self, ids: &[u32]) -> String {
            let tokens: StringList = ids.iter().filter_map(|&id| self.token(id).unwrap()).collect();
            self.decoder.decode_chain(tokens).unwrap().text().to_owned()
        }
    }

    fn byte_level() -> DecoderConfig {
        DecoderConfig::ByteLevel { add_prefix_space: false, trim_offsets: false, use_regex: false }
    }

    fn llama() -> DecoderConfig {
        DecoderConfig::Sequence(vec![
            DecoderConfig::Replace { pattern: PatternConfig::String("▁".into()), content: " ".into() },
            DecoderConfig::ByteFallback,
            DecoderConfig::Fuse,
            DecoderConfig::Strip { content: ' ', start: 1, stop: 0 },
        ])
    }

    /// What each step gives, and at last what finishing gives.
    fn pieces(source: &Tokens, ids: &[u32]) -> Vec<String> {
        let mut stream = DecodeStream::new();
        let mut pieces = Vec::new();
        for &id in ids {
            let mut piece = String::new();
            stream.step_into(source, id, &mut piece).unwrap();
            pieces.push(piece);
        }
        let mut rest = String::new();
        stream.finish_into(source, &mut rest).unwrap();
        pieces.push(rest);
        pieces
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn pieces_are_the_whole_text(
            parts in prop::collection::vec(part(), 0..4),
            tokens in prop::collection::vec(token(), 1..8),
            ids in prop::collection::vec(0..9u32, 0..20),
        ) {
            let source = Tokens { decoder: Decoder::from_config(&DecoderConfig::Sequence(parts)).unwrap(), tokens };
            prop_assert_eq!(pieces(&source, &ids).concat(), source.decode(&ids));
        }

        #[test]
        fn the_window_is_decoded_as_if_from_its_start(
            parts in prop::collection::vec(part(), 0..4),
            tokens in prop::collection::vec(token(), 1..8),
            behind in prop::collection::vec(0..9u32, 0..3),
            steps in prop::collection::vec(prop::collection::vec(0..9u32, 0..3), 0..20),
        ) {
            let source = Tokens { decoder: Decoder::from_config(&DecoderConfig::Sequence(parts)).unwrap(), tokens };
            let mut stream = ReferenceStream::new(behind.clone());
            let mut plain = ReferenceStream::new(behind);
            for ids in steps {
                let given = stream.step(&source, &ids).map_err(|error| error.to_string());
                let expected = plain.step_with(&ids, |ids| Ok(source.decode(ids))).map_err(|error| error.to_string());
                prop_assert_eq!(given, expected);
            }
        }
    }

    #[test]
    fn certain_text_is_given_at_once() {
        let source = Tokens::new(&byte_level(), &["Hello", "Ġworld", "Ã", "©", "!"]);
        assert_eq!(pieces(&source, &[0, 1, 2, 3, 4, 2]), ["Hello", " world", "", "é", "!", "", "\u{FFFD}"]);
        let source = Tokens::new(&llama(), &["▁Hello", "▁world", "<0xC3>", "<0xA9>", "!"]);
        assert_eq!(pieces(&source, &[0, 1, 2, 3, 4, 3, 2]), ["Hello", " world", "", "", "é!", "\u{FFFD}", "\u{FFFD}", ""]);
    }

    #[test]
    fn the_reference_gives_bytes_as_soon_as_they_are_text() {
        let source = Tokens::new(&llama(), &["▁Hello", "▁world", "<0xC3>", "<0xA9>", "!"]);
        let mut stream = ReferenceStream::default();
        let mut step = |id| stream.step(&source, &[id]);
        assert_eq!(step(0).unwrap().as_deref(), Some("Hello"));
        assert_eq!(step(1).unwrap().as_deref(), Some(" world"));
        assert_eq!(step(2).unwrap(), None);
        assert_eq!(step(3).unwrap().as_deref(), Some("é"));
        // The run of bytes goes on and is no valid text any more: what was given was wrong.
        assert_eq!(step(3).unwrap(), None);
        assert!(
            matches!(step(4), Err(Error::InvalidPrefix { id: 4, expected, actual }) if expected == "é" && actual == "\u{FFFD}\u{FFFD}\u{FFFD}!")
        );
    }

    #[test]
    fn ids_behind_the_stream_are_not_given() {
        let source = Tokens::new(&llama(), &["▁Hello", "▁world"]);
        let mut stream = ReferenceStream::new(vec![0]);
        assert_eq!(stream.step(&source, &[1]).unwrap().as_deref(), Some(" world"));
        let mut copy = stream.clone();
        assert_eq!(copy.step(&source, &[0, 1]).unwrap().as_deref(), Some(" Hello world"));
        assert_eq!(stream.step(&source, &[0]).unwrap().as_deref(), Some(" Hello"));
    }

    #[test]
    fn another_source_decodes_the_window_anew() {
        let mut stream = ReferenceStream::default();
        assert_eq!(stream.step(&Tokens::new(&byte_level(), &["a"]), &[0]).unwrap().as_deref(), Some("a"));
        stream.forget_source();
        assert_eq!(stream.step(&Tokens::new(&byte_level(), &["aĠ"]), &[0]).unwrap().as_deref(), Some(" a "));
    }

    /// Each id is taken once, or twice where a window is begun again: not once for every id before it.
    #[test]
    fn ids_that_give_no_text_cost_no_more_than_others() {
        struct Counted(Tokens, std::cell::Cell<usize>);
        impl TokenSource for Counted {
            fn decoder(&self) -> &Decoder {
                &self.0.decoder
            }
            fn token(&self, id: u32) -> Result<Option<&str>> {
                self.1.set(self.1.get() + 1);
                self.0.token(id)
            }
        }
        for config in [byte_level(), llama()] {
            for id in [0, 1, 2, 9] {
                let source = Counted(Tokens::new(&config, &["<0x80>", "Ã", ""]), Default::default());
                let mut stream = ReferenceStream::default();
                for _ in 0..1000 {
                    stream.step(&source, &[id]).unwrap();
                }
                assert!(source.1.get() <= 3000, "{id}: {}", source.1.get());
            }
        }
    }
}
