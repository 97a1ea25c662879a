//! Plain structs that mirror a tokenizer file, whatever its format: what was read, before anything is compiled.
//!
//! Every loader produces a [`Config`], and [`Tokenizer::from_config`](crate::Tokenizer::from_config) compiles it. Field names and
//! defaults are tokenizer.json's. Serialization lives in the loaders, not here.

use crate::added_tokens::AddedToken;
use crate::padding::Padding;
use crate::truncation::Truncation;
use crate::StringList;
use std::sync::Arc;

/// A whole tokenizer file.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `truncation`: active as soon as the tokenizer is loaded.
    pub truncation: Option<Truncation>,
    /// `padding`: active as soon as the tokenizer is loaded.
    pub padding: Option<Padding>,
    /// `added_tokens`, in the file's order.
    pub added_tokens: Vec<AddedTokenConfig>,
    /// `normalizer`.
    pub normalizer: Option<NormalizerConfig>,
    /// `pre_tokenizer`.
    pub pre_tokenizer: Option<PreTokenizerConfig>,
    /// `post_processor`.
    pub post_processor: Option<PostProcessorConfig>,
    /// `decoder`.
    pub decoder: Option<DecoderConfig>,
    /// `model`.
    pub model: ModelConfig,
}

/// One entry of `added_tokens`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedTokenConfig {
    /// The id that the file declares; the id that is used follows the reference's rule.
    pub id: u32,
    /// The token and its flags.
    pub token: AddedToken,
}

/// A pattern to replace or to split on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternConfig {
    /// `{"String": …}`: taken literally.
    String(String),
    /// `{"Regex": …}`: Oniguruma's syntax.
    Regex(String),
}

/// `normalizer`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the fields are tokenizer.json's own
pub enum NormalizerConfig {
    Bert {
        clean_text: bool,
        handle_chinese_chars: bool,
        strip_accents: Option<bool>,
        lowercase: bool,
    },
    Strip {
        strip_left: bool,
        strip_right: bool,
    },
    StripAccents,
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
    Sequence(Vec<NormalizerConfig>),
    Lowercase,
    Nmt,
    /// `precompiled_charsmap`, decoded from base64.
    Precompiled {
        /// Shared with what is compiled from it.
        charsmap: Arc<Vec<u8>>,
    },
    Replace {
        pattern: PatternConfig,
        content: String,
    },
    Prepend {
        prepend: String,
    },
    ByteLevel,
    /// In tokenizer.json a `Sequence` that comes as near to it as the reference can, with the settings in a key of its own.
    SentencePiece(Box<SentencePieceNormalizer>),
}

/// SentencePiece's normalization, all in one step. The fields are those of its `NormalizerSpec`.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct SentencePieceNormalizer {
    /// `precompiled_charsmap`, empty if there is none. At each place the longest entry counts.
    pub charsmap: Arc<Vec<u8>>,
    /// The texts that the charsmap leaves alone, the longest first.
    pub user_defined_symbols: StringList,
    pub add_dummy_prefix: bool,
    pub remove_extra_whitespaces: bool,
    pub escape_whitespaces: bool,
    pub treat_whitespace_as_suffix: bool,
}

/// What happens to the matches of a `Split` or `Punctuation` pre-tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SplitBehavior {
    /// Matches are dropped.
    Removed,
    /// Each match is a piece.
    #[default]
    Isolated,
    /// A match ends the piece before it.
    MergedWithPrevious,
    /// A match begins the piece after it.
    MergedWithNext,
    /// Adjacent matches form one piece.
    Contiguous,
}

/// When `Metaspace` puts its replacement before a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PrependScheme {
    /// Only at the very beginning of the input.
    First,
    /// Never.
    Never,
    /// Before every section.
    #[default]
    Always,
}

/// `pre_tokenizer`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum PreTokenizerConfig {
    Bert,
    ByteLevel {
        add_prefix_space: bool,
        trim_offsets: bool,
        use_regex: bool,
    },
    /// `CharDelimiterSplit`.
    Delimiter {
        delimiter: char,
    },
    Metaspace {
        replacement: char,
        prepend_scheme: PrependScheme,
        split: bool,
    },
    Whitespace,
    Sequence(Vec<PreTokenizerConfig>),
    Split {
        pattern: PatternConfig,
        behavior: SplitBehavior,
        invert: bool,
    },
    Punctuation {
        behavior: SplitBehavior,
    },
    WhitespaceSplit,
    Digits {
        individual_digits: bool,
    },
    UnicodeScripts,
    FixedLength {
        length: usize,
    },
}

/// One element of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TemplatePiece {
    /// `Sequence`.
    Sequence {
        /// False for A and true for B.
        second: bool,
        /// The type id of its tokens.
        type_id: u32,
    },
    /// `SpecialToken`.
    SpecialToken {
        /// The name of an entry of `special_tokens`.
        id: String,
        /// The type id of its tokens.
        type_id: u32,
    },
}

/// One entry of a template's `special_tokens`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateSpecialToken {
    /// The name that the template uses.
    pub id: String,
    /// The ids that it stands for.
    pub ids: Vec<u32>,
    /// Their texts.
    pub tokens: Vec<String>,
}

/// `post_processor`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum PostProcessorConfig {
    Roberta {
        sep: (String, u32),
        cls: (String, u32),
        trim_offsets: bool,
        add_prefix_space: bool,
    },
    Bert {
        sep: (String, u32),
        cls: (String, u32),
    },
    ByteLevel {
        add_prefix_space: bool,
        trim_offsets: bool,
        use_regex: bool,
    },
    /// `special_tokens` is sorted by name.
    Template {
        single: Vec<TemplatePiece>,
        pair: Vec<TemplatePiece>,
        special_tokens: Vec<TemplateSpecialToken>,
    },
    Sequence(Vec<PostProcessorConfig>),
}

/// `decoder`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum DecoderConfig {
    /// `BPEDecoder`.
    Bpe {
        suffix: String,
    },
    ByteLevel {
        add_prefix_space: bool,
        trim_offsets: bool,
        use_regex: bool,
    },
    WordPiece {
        prefix: String,
        cleanup: bool,
    },
    Metaspace {
        replacement: char,
        prepend_scheme: PrependScheme,
        split: bool,
    },
    Ctc {
        pad_token: String,
        word_delimiter_token: String,
        cleanup: bool,
    },
    Sequence(Vec<DecoderConfig>),
    Replace {
        pattern: PatternConfig,
        content: String,
    },
    Fuse,
    Strip {
        content: char,
        start: usize,
        stop: usize,
    },
    ByteFallback,
    /// In tokenizer.json a `Sequence` that comes as near to it as the reference can, with the settings in a key of its own.
    SentencePiece(Box<SentencePieceDecoder>),
}

/// SentencePiece's decoding, all in one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SentencePieceDecoder {
    /// The unknown piece.
    pub unknown: String,
    /// What the unknown piece becomes.
    pub unk_surface: String,
    /// Whether pieces such as `<0x0A>` are bytes.
    pub byte_fallback: bool,
    /// Whether the text loses the space at its beginning.
    pub add_dummy_prefix: bool,
    /// Whether every piece loses a space at its beginning, until there is some text.
    pub remove_extra_whitespaces: bool,
    /// What the whole text then goes through.
    pub denormalizer: Option<SentencePieceNormalizer>,
}

/// A vocabulary that maps each token to an id. Tokens are distinct (a repeated key keeps its last id); ids need not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VocabConfig {
    /// The tokens, in the file's order.
    pub tokens: StringList,
    /// `ids[i]` is the id of `tokens[i]`.
    pub ids: Vec<u32>,
}

/// `model`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum ModelConfig {
    Bpe(BpeConfig),
    Unigram(UnigramConfig),
    WordPiece(WordPieceConfig),
    WordLevel(WordLevelConfig),
}

/// `model` of type `BPE`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BpeConfig {
    /// The probability of skipping a merge, `None` = 0.
    pub dropout: Option<f32>,
    /// The token for characters that are not in the vocabulary; `None` drops them.
    pub unk_token: Option<String>,
    /// Put before every symbol of a piece but its first.
    pub continuing_subword_prefix: Option<String>,
    /// Put after the last symbol of a piece.
    pub end_of_word_suffix: Option<String>,
    /// Whether adjacent unknown characters become one unknown token.
    pub fuse_unk: bool,
    /// Whether unknown characters become the tokens `<0x00>` … `<0xFF>` of their bytes.
    pub byte_fallback: bool,
    /// Whether a piece that is in the vocabulary is taken whole, without merges.
    pub ignore_merges: bool,
    /// The ids of tokens that are never a whole piece nor a character of one, ascending: control symbols and the like of a
    /// SentencePiece model. In tokenizer.json a key that the reference ignores.
    pub unreachable: Vec<u32>,
    /// The vocabulary.
    pub vocab: VocabConfig,
    /// The merges by rank: entries `2 r` and `2 r + 1` are the left and the right part of merge `r`.
    pub merges: StringList,
    /// What is done instead of the merges, for SentencePiece models that no merges can say. In tokenizer.json a key that the
    /// reference ignores: there the merges come as near as they can.
    pub scored: Option<ScoredMerges>,
}

/// SentencePiece's own way to merge. Ids count up from 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoredMerges {
    /// By id: the score of a token that may be found, finite; `None` for others.
    pub scores: Vec<Option<f32>>,
    /// The ids of the tokens that are taken apart again at the end.
    pub unused: Vec<u32>,
}

/// `model` of type `Unigram`. A piece's id is its index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnigramConfig {
    /// The index of the unknown piece.
    pub unk_id: Option<usize>,
    /// The pieces.
    pub pieces: StringList,
    /// Their log probabilities, parsed as the reference's JSON reader parses them.
    pub scores: Vec<f64>,
    /// Whether unknown characters become the tokens `<0x00>` … `<0xFF>` of their bytes.
    pub byte_fallback: bool,
    /// Where it is a SentencePiece model, and SentencePiece's rules hold. In tokenizer.json a key that the reference ignores.
    pub sentencepiece: Option<SentencePieceUnigram>,
}

/// What SentencePiece does otherwise than the reference: scores are summed in single precision, a run of unknown characters is
/// never a piece, and not every piece is found in a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SentencePieceUnigram {
    /// The score of an unknown character.
    pub unk_score: f32,
    /// The indices of the pieces that stand for something else and are never found in a text: control symbols, bytes, the
    /// unknown piece.
    pub reserved: Vec<u32>,
    /// The indices of the pieces that are not used. tokenizer.json has other names for them, which the reference does not find.
    pub unused: Vec<u32>,
}

/// `model` of type `WordPiece`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WordPieceConfig {
    /// The token for words that cannot be tokenized.
    pub unk_token: String,
    /// Put before every token of a word but its first.
    pub continuing_subword_prefix: String,
    /// Longer words (in characters) become the unknown token.
    pub max_input_chars_per_word: usize,
    /// The vocabulary.
    pub vocab: VocabConfig,
}

/// `model` of type `WordLevel`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WordLevelConfig {
    /// The token for pieces that are not in the vocabulary.
    pub unk_token: String,
    /// The vocabulary.
    pub vocab: VocabConfig,
}
