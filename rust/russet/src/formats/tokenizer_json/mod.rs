//! `tokenizer.json`, read and written as the reference does.
//!
//! Reading is one pass with serde. The model's vocabulary and merges go straight into their lists, whatever the order of the
//! keys; the other parts are small and become a bounded tree first ([`node`]), from which each part's reader takes what fits.
//! What the reference accepts is accepted: parts without `type`, fields as arrays, merges as strings or pairs, repeated keys
//! where the last one counts, unknown keys inside a part; and what it refuses is refused: unknown keys at the top, another
//! `version`, a missing flag of an added token. Errors name the place as a path, and the line where the JSON reader stood.
//! Checks that need the compiled tokenizer (is a merge's token in the vocabulary, is a pattern valid) are made there.
//!
//! Cost: O(file), and memory for the lists only. Nesting is limited to 127 levels, sizes by [`Limits`].

mod decoders;
mod lists;
mod model;
mod node;
mod normalizers;
mod post_processors;
mod pre_tokenizers;
mod root;
mod scan;
mod skip;
mod vocabulary;
mod write;

use super::config::{Config, DecoderConfig, ModelConfig, NormalizerConfig, PostProcessorConfig, PreTokenizerConfig};
use super::prepared::Prepared;
use super::Limits;
use crate::{Error, Result, StringList};
use node::{has_repeats, keep_last, object_fields, one_of, Node, NodeSeed, Repeats};
use serde::de::DeserializeSeed;
use serde_json::de::StrRead;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};

pub(super) use vocabulary::{push_merge_line, read_vocabulary, VocabularyBuilder};
pub use write::{write_decoder, write_json, write_model, write_normalizer, write_post_processor, write_pre_tokenizer};

/// What the name of a Unigram piece begins with that is in a SentencePiece model to be unused.
const UNUSED_MARK: char = '\0';

/// Reads a whole file.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Config> {
    parse(bytes, limits, |failure, json| root::RootSeed(failure).deserialize(json))
}

/// Reads a whole file to compile it at once, if it is as usual ([`lists`]).
pub(super) fn prepare(bytes: &[u8], limits: &Limits) -> Option<Prepared> {
    let lists::Split { rest, lists } = lists::split(bytes, limits)?;
    let lists::Lists { vocabulary, merges } = lists;
    let failure = Failure { vocabulary: Cell::new(vocabulary), has_merges: merges.is_some(), ..Failure::new(limits, rest.len()) };
    let config = parse_text(&rest, failure, |failure, json| root::RootSeed(failure).deserialize(json)).ok()?;
    let is_usual = match &config.model {
        ModelConfig::Bpe(bpe) => merges.is_some() && bpe.continuing_subword_prefix.as_deref().is_none_or(str::is_empty),
        _ => merges.is_none(),
    };
    is_usual.then_some(Prepared { config, merges })
}

/// Reads a `model` alone, as its own JSON text.
pub fn read_model(json: &str) -> Result<ModelConfig> {
    parse(json.as_bytes(), &Limits::default(), |failure, json| model::ModelSeed { failure, place: "" }.deserialize(json))
}

/// Reads a `normalizer` alone, as its own JSON text.
pub fn read_normalizer(json: &str) -> Result<NormalizerConfig> {
    read_component(json, Repeats::LastBelow, normalizers::normalizer)
}

/// Reads a `pre_tokenizer` alone, as its own JSON text.
pub fn read_pre_tokenizer(json: &str) -> Result<PreTokenizerConfig> {
    read_component(json, Repeats::LastBelow, pre_tokenizers::pre_tokenizer)
}

/// Reads a `post_processor` alone, as its own JSON text.
pub fn read_post_processor(json: &str) -> Result<PostProcessorConfig> {
    read_component(json, Repeats::Keep, post_processors::post_processor)
}

/// Reads a `decoder` alone, as its own JSON text.
pub fn read_decoder(json: &str) -> Result<DecoderConfig> {
    read_component(json, Repeats::LastBelow, decoders::decoder)
}

fn read_component<T>(json: &str, repeats: Repeats, read: impl FnOnce(&Node) -> Result<T>) -> Result<T> {
    let node = parse(json.as_bytes(), &Limits::default(), |failure, json| {
        NodeSeed { failure, repeats, values: &Cell::new(0) }.deserialize(json)
    })?;
    read(&node)
}

/// What the readers know of the file; and it carries our error out of serde, which only knows its own.
struct Failure {
    error: RefCell<Option<Error>>,
    limits: Limits,
    file_bytes: usize,
    /// The model's vocabulary, if it was cut out of the text.
    vocabulary: Cell<Option<vocabulary::Vocabulary>>,
    /// Whether its merges were.
    has_merges: bool,
}

impl Failure {
    fn new(limits: &Limits, file_bytes: usize) -> Self {
        let error = RefCell::new(None);
        Self { error, limits: *limits, file_bytes, vocabulary: Cell::new(None), has_merges: false }
    }

    /// Keeps the error of `result` and gives serde one that stops the reader.
    fn hold<T, E: serde::de::Error>(&self, result: Result<T>) -> std::result::Result<T, E> {
        result.map_err(|error| {
            let stop = E::custom("stopped");
            self.error.replace(Some(error));
            stop
        })
    }

    /// How many tokens, or pairs of merges, the file has at most, but for files of the shortest tokens.
    fn room(&self) -> usize {
        self.file_bytes / 8
    }

    /// A list with room for the file's texts.
    fn list(&self) -> StringList {
        StringList::with_room(self.room(), self.file_bytes / 2)
    }

    /// What to report for serde's error: the one that was kept, if any, else serde's own; with the position.
    fn explain(self, error: &serde_json::Error) -> Error {
        let position = format!("line {} column {}", error.line(), error.column());
        match self.error.into_inner() {
            Some(Error::Config { place, message }) if error.line() > 0 => {
                Error::Config { place, message: format!("{message} (read up to {position})") }
            }
            Some(other) => other,
            None => {
                let message = error.to_string();
                let end = message.rfind(" at line ").unwrap_or(message.len());
                Error::config(position, message.get(..end).unwrap_or(&message))
            }
        }
    }
}

/// Reads the JSON text `bytes` to its end.
fn parse<'de, T>(
    bytes: &'de [u8],
    limits: &Limits,
    read: impl FnOnce(&Failure, &mut serde_json::Deserializer<StrRead<'de>>) -> serde_json::Result<T>,
) -> Result<T> {
    limits.check_file(bytes.len() as u64)?;
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Error::config(format!("byte {}", error.valid_up_to()), "the file is not UTF-8"))?;
    parse_text(text, Failure::new(limits, bytes.len()), read)
}

fn parse_text<'de, T>(
    text: &'de str,
    failure: Failure,
    read: impl FnOnce(&Failure, &mut serde_json::Deserializer<StrRead<'de>>) -> serde_json::Result<T>,
) -> Result<T> {
    let mut json = serde_json::Deserializer::from_str(text);
    let result = read(&failure, &mut json).and_then(|value| json.end().map(|()| value));
    result.map_err(|error| failure.explain(&error))
}

/// Which of `names` the `type` of a part is, if it is one and there is only one; and the part, each key with its last value.
fn typed<'n>(node: &'n Node, names: &[&'static str]) -> (Option<&'static str>, Cow<'n, Node>) {
    let Node::Object(entries) = node else { return (None, Cow::Borrowed(node)) };
    let mut types = entries.iter().filter(|(key, _)| key == "type");
    let name = match (types.next(), types.next()) {
        (Some((_, kind)), None) => names.iter().copied().find(|name| one_of(kind, &[(name, ())]).is_ok()),
        _ => None,
    };
    let mut last = Cow::Borrowed(node);
    if has_repeats(entries) {
        if let Node::Object(entries) = last.to_mut() {
            keep_last(entries);
        }
    }
    (name, last)
}

/// Fails unless `node` is an object whose `type` is `name`.
fn is_type(node: &Node, name: &str) -> Result<()> {
    let [kind] = object_fields(node, ["type"])?;
    kind.required(|node| one_of(node, &[(name, ())]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::{PatternConfig, PrependScheme, VocabConfig};
    use crate::padding::PaddingStrategy;
    use proptest::prelude::*;

    const WORDS: &str = r#"{"type":"WordLevel","vocab":{"a":0,"b":1},"unk_token":"a"}"#;

    fn read_str(json: &str) -> Result<Config> {
        read(json.as_bytes(), &Limits::default())
    }

    /// A file with the part `name`.
    fn with(name: &str, part: &str) -> Result<Config> {
        read_str(&format!(r#"{{"{name}":{part},"model":{WORDS}}}"#))
    }

    fn place(result: Result<impl std::fmt::Debug>) -> String {
        match result {
            Err(Error::Config { place, .. }) => place,
            other => panic!("expected an error with a place, got {other:?}"),
        }
    }

    #[test]
    fn writes_what_it_reads() {
        let json = concat!(
            r#"{"version":"1.0","#,
            r#""truncation":{"direction":"Left","max_length":8,"strategy":"OnlyFirst","stride":2},"#,
            r#""padding":{"strategy":{"Fixed":4},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":1,"pad_token":"a"},"#,
            r#""added_tokens":[{"id":0,"content":"a","single_word":false,"lstrip":true,"rstrip":false,"normalized":false,"special":true}],"#,
            r#""normalizer":{"type":"Sequence","normalizers":[{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":false,"#,
            r#""strip_accents":null,"lowercase":true},{"type":"Precompiled","precompiled_charsmap":"BAAAAAAAAABhAA=="},{"type":"NFC"}]},"#,
            r#""pre_tokenizer":{"type":"Split","pattern":{"Regex":"\\s+|\u0001"},"behavior":"MergedWithNext","invert":true},"#,
            r#""post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"a","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"#,
            r#""pair":[{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"a":{"id":"a","ids":[0],"tokens":["a"]}}},"#,
            r#""decoder":{"type":"Sequence","decoders":[{"type":"Strip","content":" ","start":1,"stop":0},{"type":"Fuse"}]},"#,
            r#""model":{"type":"BPE","dropout":0.1,"unk_token":null,"continuing_subword_prefix":null,"end_of_word_suffix":null,"#,
            r#""fuse_unk":false,"byte_fallback":true,"ignore_merges":false,"vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}}"#,
        );
        let config = read_str(json).expect("a valid file");
        assert_eq!(write_json(&config, false), json);
        let pretty = write_json(&config, true);
        assert!(pretty.starts_with("{\n  \"version\": \"1.0\",\n  \"truncation\": {\n"), "{pretty}");
        assert_eq!(read_str(&pretty).expect("our own text"), config);
    }

    #[test]
    fn reads_parts_without_a_type() {
        let strip = NormalizerConfig::Strip { strip_left: true, strip_right: false };
        assert_eq!(read_normalizer(r#"{"strip_right":false,"strip_left":true}"#).ok(), Some(strip.clone()));
        assert_eq!(read_normalizer(r#"{"type":"Other","strip_right":false,"strip_left":true}"#).ok(), Some(strip.clone()));
        assert_eq!(read_normalizer("[true,false]").ok(), Some(strip));
        assert_eq!(read_decoder(r#"{"suffix":"</w>"}"#).ok(), Some(DecoderConfig::Bpe { suffix: "</w>".into() }));
        assert!(read_pre_tokenizer(r#"{"individual_digits":true}"#).is_err());
        assert!(read_pre_tokenizer(r#"{"type":"Delimiter","delimiter":"x"}"#).is_err());
    }

    #[test]
    fn tells_roberta_from_bert_by_the_fields() {
        let pair = r#""sep":["b",1],"cls":["a",0]"#;
        assert!(matches!(read_post_processor(&format!("{{{pair}}}")), Ok(PostProcessorConfig::Bert { .. })));
        let roberta = format!(r#"{{"type":"BertProcessing",{pair},"trim_offsets":true,"add_prefix_space":false}}"#);
        assert!(matches!(read_post_processor(&roberta), Ok(PostProcessorConfig::Roberta { .. })));
        assert!(read_post_processor(&format!(r#"{{{pair},"sep":["b",1]}}"#)).is_err());
    }

    #[test]
    fn reads_the_forms_of_metaspace() {
        let read = |fields: &str| read_pre_tokenizer(&format!(r#"{{"type":"Metaspace","replacement":"_"{fields}}}"#)).ok();
        let metaspace = |prepend_scheme, split| Some(PreTokenizerConfig::Metaspace { replacement: '_', prepend_scheme, split });
        assert_eq!(read(""), metaspace(PrependScheme::Always, true));
        assert_eq!(read(r#","add_prefix_space":true,"str_rep":"x""#), metaspace(PrependScheme::Always, true));
        assert_eq!(read(r#","prepend_scheme":"first","split":false"#), metaspace(PrependScheme::First, false));
        assert_eq!(read(r#","add_prefix_space":false,"prepend_scheme":"never""#), metaspace(PrependScheme::Never, true));
        assert_eq!(read(r#","add_prefix_space":false"#), None);
    }

    #[test]
    fn the_last_of_a_repeated_key_counts() {
        let repeated = r#"{"type":"Replace","content":5,"pattern":{"String":"a"},"content":"x"}"#;
        let replace = NormalizerConfig::Replace { pattern: PatternConfig::String("a".into()), content: "x".into() };
        assert_eq!(read_normalizer(repeated).ok(), Some(replace));
        let ModelConfig::WordLevel(model) =
            read_model(r#"{"vocab":7,"type":"WordLevel","vocab":{"a":"x","b":1,"a":4},"unk_token":"a"}"#).expect("valid")
        else {
            panic!("expected WordLevel")
        };
        assert_eq!(model.vocab, VocabConfig { tokens: ["a", "b"].into_iter().collect(), ids: vec![4, 1] });
    }

    #[test]
    fn finds_the_model_without_a_type() {
        let model = |json: &str| read_model(json).map(|model| write_model(&model, false)).unwrap_or_default();
        assert!(model(r#"{"merges":["a b"],"vocab":{"a":0,"b":1,"ab":2}}"#).starts_with(r#"{"type":"BPE""#));
        let words = r#""unk_token":"a","vocab":{"a":0}"#;
        assert!(model(&format!("{{{words}}}")).starts_with(r#"{"type":"WordLevel""#));
        let pieces = r#""continuing_subword_prefix":"","max_input_chars_per_word":9"#;
        assert!(model(&format!("{{{words},{pieces}}}")).starts_with(r#"{"type":"WordPiece""#));
        assert!(model(r#"{"vocab":[["a",-1]]}"#).starts_with(r#"{"type":"Unigram""#));
        // Merges that do not hold: no BPE model, but the other fields are those of WordLevel.
        assert!(model(&format!(r#"{{"merges":["a b"],{words}}}"#)).starts_with(r#"{"type":"WordLevel""#));
        assert_eq!(place(read_model(r#"{"type":"Other","vocab":{},"merges":[]}"#)), "type");
    }

    #[test]
    fn scores_are_parsed_with_serde_jsons_default_arithmetic() {
        // One unit in the last place from correct rounding, which the feature `float_roundtrip` would give. The reference's
        // results rest on the difference: it decides ties between segmentations.
        let json = r#"{"type":"Unigram","vocab":[["a",-16.3533740681241586],["b",-15.4008082041613072]]}"#;
        let Ok(ModelConfig::Unigram(unigram)) = read_model(json) else { panic!("expected Unigram") };
        let bits: Vec<u64> = unigram.scores.iter().map(|score| score.to_bits()).collect();
        assert_eq!(bits, [0xc030_5a76_b911_d906, 0xc02e_cd36_bba1_aebf]);
    }

    #[test]
    fn names_the_place_of_an_error() {
        for (part, json, expected) in [
            ("version", r#""2.0""#, "version"),
            ("added_tokens", r#"[{"id":0,"content":"a"}]"#, "added_tokens[0]"),
            ("added_tokens", r#"[{"id":-1}]"#, "added_tokens[0].id"),
            (
                "normalizer",
                r#"{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Prepend","prepend":5}]}"#,
                "normalizer.normalizers[1].prepend",
            ),
            ("normalizer", r#"{"type":"Precompiled","precompiled_charsmap":"A"}"#, "normalizer.precompiled_charsmap"),
            ("pre_tokenizer", r#"{"type":"Foo"}"#, "pre_tokenizer.type"),
            (
                "post_processor",
                r#"{"type":"TemplateProcessing","single":[{"Sequence":{"id":"C","type_id":0}}],"pair":[],"special_tokens":{}}"#,
                "post_processor.single[0].Sequence.id",
            ),
            ("padding", r#"{"strategy":{"Fixed":-1}}"#, "padding.strategy.Fixed"),
            ("foo", "1", "foo"),
        ] {
            assert_eq!(place(with(part, json)), expected, "{part} {json}");
        }
        for (json, expected) in [
            (r#"{"type":"BPE","vocab":{},"merges":["a b","c"]}"#, "model.merges[1]"),
            (r#"{"type":"BPE","vocab":{},"merges":[["a","b"],"a b"]}"#, "model.merges[1]"),
            (r#"{"type":"BPE","vocab":{"a":1.5},"merges":[]}"#, "model.vocab[\"a\"]"),
            (r#"{"type":"BPE","merges":[]}"#, "model.vocab"),
            (r#"{"type":"Unigram","vocab":[["a",1],["b"]]}"#, "model.vocab[1]"),
            (r#"{"type":"Unigram","vocab":[],"unk_id":"x"}"#, "model.unk_id"),
        ] {
            assert_eq!(place(read_str(&format!(r#"{{"model":{json}}}"#))), expected, "{json}");
        }
        assert_eq!(place(read_str("{}")), "model");
        assert_eq!(place(read_str("{\n\"model\": ?")), "line 2 column 10");
        assert_eq!(place(read(b"{\xff", &Limits::default())), "byte 1");
    }

    #[test]
    fn nesting_is_limited() {
        let nested = |depth: usize| with("post_processor", &format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        assert_eq!(place(nested(126)), "post_processor");
        assert!(place(nested(127)).starts_with("line "));
        assert!(place(nested(200_000)).starts_with("line "));
        let unused = format!(r#"{{"type":"WordLevel","vocab":{{}},"unk_token":"a","x":{}{}}}"#, "[".repeat(300), "]".repeat(300));
        assert!(place(read_model(&unused)).starts_with("line "));
    }

    #[test]
    fn sizes_are_limited() {
        let limits = Limits { file_bytes: 120, vocabulary: 2, token_bytes: 3, component_values: 3 };
        let limited = |json: &str| match read(json.as_bytes(), &limits) {
            Err(Error::Limit { value, limit, .. }) => Some((value, limit)),
            _ => None,
        };
        let words = |vocab: &str| format!(r#"{{"model":{{"type":"WordLevel","unk_token":"a","vocab":{{{vocab}}}}}}}"#);
        assert_eq!(limited(&words(r#""a":0,"b":1,"a":2"#)), None);
        assert_eq!(limited(&words(r#""a":0,"a":0,"b":1,"a":2,"a":3,"b":4,"a":5"#)), None);
        assert_eq!(limited(&words(r#""a":0,"a":0,"b":1,"a":2,"a":3,"b":4,"c":5"#)), Some((3, 2)));
        assert_eq!(limited(&words(r#""a":0,"b":1,"c":2"#)), Some((3, 2)));
        assert_eq!(limited(&words(r#""abc":0"#)), None);
        assert_eq!(limited(&words(r#""abcd":0"#)), Some((4, 3)));
        assert_eq!(limited(&format!("{:<120}", words(""))), None);
        assert_eq!(limited(&format!("{:<121}", words(""))), Some((121, 120)));
        assert_eq!(limited(r#"{"decoder":{"type":"Fuse"}}"#), None);
        assert_eq!(limited(r#"{"decoder":{"type":"Fuse","a":[1]}}"#), Some((4, 3)));
    }

    #[test]
    fn reads_padding_strategies() {
        let strategy = |json: &str| {
            let fields = r#""direction":"Left","pad_id":0,"pad_type_id":0,"pad_token":"p""#;
            with("padding", &format!(r#"{{"strategy":{json},{fields}}}"#))
                .ok()
                .and_then(|config| config.padding)
                .map(|padding| padding.strategy)
        };
        assert_eq!(strategy(r#""BatchLongest""#), Some(PaddingStrategy::BatchLongest));
        assert_eq!(strategy(r#"{"BatchLongest":null}"#), Some(PaddingStrategy::BatchLongest));
        assert_eq!(strategy(r#"{"Fixed":7}"#), Some(PaddingStrategy::Fixed(7)));
        assert_eq!(strategy(r#""Fixed""#), None);
    }

    #[test]
    fn a_repeated_merge_is_written_once() {
        let model = read_model(r#"{"type":"BPE","vocab":{"ab":2,"b":1,"a":0},"merges":["a b","b a","a b"]}"#).expect("valid");
        let json = write_model(&model, false);
        assert!(json.ends_with(r#""vocab":{"a":0,"b":1,"ab":2},"merges":[["b","a"],["a","b"]]}"#), "{json}");
    }

    proptest! {
        #[test]
        fn never_panics(json in r#"(\{|\}|\[|\]|"type"|"vocab"|"model"|"merges"|"BPE"|"Unigram"|"a"|"a b"|:|:|:|,|,|,|0|-1.5|null|true|"\u{e9}"){0,40}"#) {
            let _ = read_str(&json);
            let _ = read_model(&json);
            let _ = read_normalizer(&json);
            let _ = read_pre_tokenizer(&json);
            let _ = read_post_processor(&json);
            let _ = read_decoder(&json);
        }
    }
}
