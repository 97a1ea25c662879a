//! Vocabularies in files of their own: GPT-2's `vocab.json` with `merges.txt`, and BERT's `vocab.txt`.
//!
//! Such files say nothing about the other stages, so those are the defaults of the tokenizers that wrote them: byte-level BPE
//! without a prefix space for the first, lower-casing BERT with `[CLS]` and `[SEP]` around for the second. Special tokens are
//! the usual ones, as far as the vocabulary has them. The wrong choice where a `tokenizer.json` exists. O(n).

use super::config::{
    AddedTokenConfig, BpeConfig, Config, DecoderConfig, ModelConfig, NormalizerConfig, PostProcessorConfig, PreTokenizerConfig,
    TemplatePiece, TemplateSpecialToken, VocabConfig, WordPieceConfig,
};
use super::limits::Limits;
use super::tokenizer_json::{push_merge_line, read_vocabulary, VocabularyBuilder};
use crate::added_tokens::AddedToken;
use crate::{Error, Result, StringList};

/// Reads GPT-2's files: a JSON object of tokens and ids, and a text of merges, best first.
pub fn from_vocab_and_merges(vocab_json: &[u8], merges_txt: &[u8]) -> Result<Config> {
    from_vocab_and_merges_within(vocab_json, merges_txt, &Limits::default())
}

/// [`from_vocab_and_merges`] with limits.
pub(super) fn from_vocab_and_merges_within(vocab_json: &[u8], merges_txt: &[u8], limits: &Limits) -> Result<Config> {
    let vocab = read_vocabulary(vocab_json, limits)?;
    let merges = read_merges(merges_txt, limits)?;
    Ok(Config {
        truncation: None,
        padding: None,
        added_tokens: special_tokens(&vocab, &["<|endoftext|>"]),
        normalizer: None,
        pre_tokenizer: Some(PreTokenizerConfig::ByteLevel { add_prefix_space: false, trim_offsets: true, use_regex: true }),
        post_processor: Some(PostProcessorConfig::ByteLevel { add_prefix_space: true, trim_offsets: false, use_regex: true }),
        decoder: Some(DecoderConfig::ByteLevel { add_prefix_space: true, trim_offsets: true, use_regex: true }),
        model: ModelConfig::Bpe(BpeConfig {
            continuing_subword_prefix: Some(String::new()),
            end_of_word_suffix: Some(String::new()),
            vocab,
            merges,
            ..BpeConfig::default()
        }),
    })
}

fn read_merges(bytes: &[u8], limits: &Limits) -> Result<StringList> {
    let mut merges = StringList::new();
    for (number, line) in lines("merges.txt", bytes, limits)? {
        if !line.starts_with("#version") {
            push_merge_line(line, &mut merges).map_err(|error| error.under(&format!("merges.txt line {number}")))?;
            limits.check_vocabulary("the number of merges", merges.len() / 2)?;
        }
    }
    Ok(merges)
}

/// Reads BERT's file: a token per line, its id the number of lines before it. The text is lower-cased first if `lowercase`.
///
/// A repeated token keeps its last id. Fails if there is no `[UNK]`.
pub fn from_wordpiece_vocab(vocab_txt: &[u8], lowercase: bool) -> Result<Config> {
    from_wordpiece_vocab_within(vocab_txt, lowercase, &Limits::default())
}

/// [`from_wordpiece_vocab`] with limits.
pub(super) fn from_wordpiece_vocab_within(vocab_txt: &[u8], lowercase: bool, limits: &Limits) -> Result<Config> {
    let mut builder = VocabularyBuilder::default();
    for ((_, token), id) in lines("vocab.txt", vocab_txt, limits)?.zip(0..) {
        limits.check_token(token.len())?;
        limits.check_vocabulary("the size of the vocabulary", id as usize + 1)?;
        builder.insert(token, id);
    }
    let vocab = builder.build()?;
    if id_of(&vocab, "[UNK]").is_none() {
        return Err(Error::config("vocab.txt", "there is no line \"[UNK]\""));
    }
    Ok(Config {
        truncation: None,
        padding: None,
        added_tokens: special_tokens(&vocab, &["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]),
        normalizer: Some(NormalizerConfig::Bert { clean_text: true, handle_chinese_chars: true, strip_accents: None, lowercase }),
        pre_tokenizer: Some(PreTokenizerConfig::Bert),
        post_processor: id_of(&vocab, "[CLS]").zip(id_of(&vocab, "[SEP]")).map(|(cls, sep)| bert_template(cls, sep)),
        decoder: Some(DecoderConfig::WordPiece { prefix: "##".to_owned(), cleanup: true }),
        model: ModelConfig::WordPiece(WordPieceConfig {
            unk_token: "[UNK]".to_owned(),
            continuing_subword_prefix: "##".to_owned(),
            max_input_chars_per_word: 100,
            vocab,
        }),
    })
}

/// `[CLS] A [SEP]`, and `[CLS] A [SEP] B [SEP]` with type id 1 from B on.
fn bert_template(cls: u32, sep: u32) -> PostProcessorConfig {
    let special = |id: &str, type_id| TemplatePiece::SpecialToken { id: id.to_owned(), type_id };
    let token = |id: &str, number| TemplateSpecialToken { id: id.to_owned(), ids: vec![number], tokens: vec![id.to_owned()] };
    let first = vec![special("[CLS]", 0), TemplatePiece::Sequence { second: false, type_id: 0 }, special("[SEP]", 0)];
    let second = [TemplatePiece::Sequence { second: true, type_id: 1 }, special("[SEP]", 1)];
    PostProcessorConfig::Template {
        pair: first.iter().cloned().chain(second).collect(),
        single: first,
        special_tokens: vec![token("[CLS]", cls), token("[SEP]", sep)],
    }
}

/// Those of `names` that are in the vocabulary, as special tokens.
fn special_tokens(vocab: &VocabConfig, names: &[&str]) -> Vec<AddedTokenConfig> {
    let flags = |name: &str| AddedToken {
        content: name.to_owned(),
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
    };
    names.iter().filter_map(|name| Some(AddedTokenConfig { id: id_of(vocab, name)?, token: flags(name) })).collect()
}

fn id_of(vocab: &VocabConfig, token: &str) -> Option<u32> {
    vocab.ids.get(vocab.tokens.iter().position(|other| other == token)?).copied()
}

/// The lines of a text file with their numbers, without line ends; what follows the last line end is no line if it is empty.
fn lines<'b>(name: &str, bytes: &'b [u8], limits: &Limits) -> Result<impl Iterator<Item = (usize, &'b str)>> {
    limits.check_file(bytes.len() as u64)?;
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Error::config(format!("{name} byte {}", error.valid_up_to()), "the file is not UTF-8"))?;
    Ok((1..).zip(text.lines()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::write_json;

    fn place(result: Result<Config>) -> String {
        match result {
            Err(Error::Config { place, .. }) => place,
            other => panic!("expected an error with a place, got {other:?}"),
        }
    }

    #[test]
    fn reads_gpt2_files() {
        let vocab = r#"{"a":0,"b":1,"ab":2,"<|endoftext|>":3}"#;
        let config = from_vocab_and_merges(vocab.as_bytes(), b"#version: 0.2\r\na b\r\n").expect("valid files");
        assert_eq!(config.added_tokens.first().map(|token| token.id), Some(3));
        let json = write_json(&config, false);
        let end = r#""vocab":{"a":0,"b":1,"ab":2,"<|endoftext|>":3},"merges":[["a","b"]]}}"#;
        assert!(json.ends_with(end), "{json}");
    }

    #[test]
    fn names_the_line_of_a_broken_merge() {
        assert_eq!(place(from_vocab_and_merges(b"{}", b"#version: 0.2\na b\nab\n")), "merges.txt line 3");
        assert_eq!(place(from_vocab_and_merges(b"{}", b"a b\n\nc d\n")), "merges.txt line 2");
        assert_eq!(place(from_vocab_and_merges(b"{}", b"a \xff\n")), "merges.txt byte 2");
        assert_eq!(place(from_vocab_and_merges(br#"{"a":-1}"#, b"")), r#"vocab.json["a"]"#);
    }

    #[test]
    fn reads_a_bert_vocabulary() {
        let config =
            from_wordpiece_vocab("[PAD]\n[UNK]\n[CLS]\r\n[SEP]\nthe \n\nthe \n##s".as_bytes(), true).expect("a valid file");
        let ModelConfig::WordPiece(model) = &config.model else { panic!("expected WordPiece") };
        let entries: Vec<(&str, u32)> = model.vocab.tokens.iter().zip(model.vocab.ids.iter().copied()).collect();
        assert_eq!(entries, [("[PAD]", 0), ("[UNK]", 1), ("[CLS]", 2), ("[SEP]", 3), ("the ", 6), ("", 5), ("##s", 7)]);
        assert!(matches!(config.post_processor, Some(PostProcessorConfig::Template { .. })));
        assert_eq!(config.added_tokens.len(), 4);
    }

    #[test]
    fn a_bert_vocabulary_needs_an_unknown_token() {
        assert_eq!(place(from_wordpiece_vocab(b"a\nb\n", true)), "vocab.txt");
        let bare = from_wordpiece_vocab(b"[UNK]\na\n", false).expect("a valid file");
        assert_eq!(bare.post_processor, None);
    }
}
