//! tiktoken's rank files: a line per token, its bytes in base64 and its rank, which is its id and its priority.
//!
//! The result is a byte-level BPE with the same ids as tiktoken's `encode_ordinary` for every text: tiktoken joins the two
//! neighbours whose concatenation has the lowest rank, and [`Joiner`] finds the one pair from which each token can come. Tokens
//! that no merges reach are still found where they are a whole piece, as in tiktoken, by `ignore_merges`.
//!
//! The file has neither pattern nor special tokens. Those of OpenAI's vocabularies are known and told by their tokens; others
//! come from the caller. Text that the pattern does not match has no tokens, as in tiktoken.
//!
//! Differences that remain: character classes follow the pattern engine's Unicode tables, and `\w` and `\d` its definition.
//! Cost: O(n log n) look-ups for a token of n bytes. The wrong choice for SentencePiece ranks, whose tokens are text.

mod pattern;

use super::base64;
use super::config::{
    AddedTokenConfig, BpeConfig, Config, DecoderConfig, ModelConfig, PatternConfig, PostProcessorConfig, PreTokenizerConfig,
    SplitBehavior, VocabConfig,
};
use super::joiner::Joiner;
use super::limits::{check, Limits};
use crate::added_tokens::AddedToken;
use crate::pre_tokenizers::byte_level::byte_to_char;
use crate::{Error, Result, StringList};
use hashbrown::{DefaultHashBuilder, HashSet, HashTable};
use std::hash::BuildHasher;

/// The longest token of a rank file in bytes; the longest known one has 256.
const TOKEN_BYTES: u64 = 1024;

/// Reads tiktoken's ranks.
///
/// `pattern` is in the syntax of tiktoken's `pat_str`; without it the vocabulary must be a known one (`r50k_base`, which is
/// GPT-2's, `p50k_base`, `cl100k_base`, `o200k_base`), which also brings its special tokens if `special_tokens` is empty.
/// Fails on a line that is no token and rank, on a repeated token or rank, on a byte without a token, and on a special token
/// whose id is taken.
pub fn from_tiktoken(bytes: &[u8], pattern: Option<&str>, special_tokens: &[(String, u32)]) -> Result<Config> {
    from_tiktoken_within(bytes, pattern, special_tokens, &Limits::default())
}

/// [`from_tiktoken`] with limits.
pub(super) fn from_tiktoken_within(
    bytes: &[u8],
    pattern: Option<&str>,
    special_tokens: &[(String, u32)],
    limits: &Limits,
) -> Result<Config> {
    let ranks = Ranks::read(bytes, limits)?;
    let known = Known::of(&ranks);
    let pre_tokenizer = match (pattern, known) {
        (Some(pattern), _) => split(pattern::translate(pattern, &ranks)?),
        (None, Some(known)) => known.pre_tokenizer(),
        (None, None) => {
            let message = "the vocabulary is none of OpenAI's, so its pattern must be given";
            return Err(Error::config("pattern", message));
        }
    };
    let special_tokens: Vec<(String, u32)> = match known {
        Some(known) if special_tokens.is_empty() => {
            known.special_tokens().iter().map(|(token, id)| ((*token).to_owned(), *id)).collect()
        }
        _ => special_tokens.to_vec(),
    };
    config(&ranks, pre_tokenizer, special_tokens)
}

/// Splits into the matches of `pattern`. A pattern that is known to match everything is written in its usual form.
fn split(pattern: String) -> PreTokenizerConfig {
    let (behavior, invert) = if pattern::covers_all_text(&pattern) {
        (SplitBehavior::Isolated, false)
    } else {
        // The matches are what is kept, and the text between them is removed.
        (SplitBehavior::Removed, true)
    };
    let split = PreTokenizerConfig::Split { pattern: PatternConfig::Regex(pattern), behavior, invert };
    let encode = PreTokenizerConfig::ByteLevel { add_prefix_space: false, trim_offsets: true, use_regex: false };
    PreTokenizerConfig::Sequence(vec![split, encode])
}

fn config(ranks: &Ranks, pre_tokenizer: PreTokenizerConfig, mut special_tokens: Vec<(String, u32)>) -> Result<Config> {
    let mut vocab = VocabConfig::default();
    for (token, rank) in ranks.iter() {
        push_bytes(token, &mut vocab.tokens);
        vocab.ids.push(rank);
    }
    check_special_tokens(ranks, &vocab, &special_tokens)?;
    special_tokens.sort_by_key(|(_, id)| *id);
    // An added token gets the next free id, unless the vocabulary says which one it has: where the ids have gaps it must.
    if !(ranks.len() as u64..).zip(&special_tokens).all(|(next, (_, id))| next == u64::from(*id)) {
        for (token, id) in &special_tokens {
            vocab.tokens.push(token);
            vocab.ids.push(*id);
        }
    }
    let (merges, all_reachable) = recover_merges(ranks);
    let flags =
        |content| AddedToken { content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
    Ok(Config {
        truncation: None,
        padding: None,
        added_tokens: special_tokens.into_iter().map(|(content, id)| AddedTokenConfig { id, token: flags(content) }).collect(),
        normalizer: None,
        pre_tokenizer: Some(pre_tokenizer),
        post_processor: Some(PostProcessorConfig::ByteLevel { add_prefix_space: true, trim_offsets: false, use_regex: true }),
        decoder: Some(DecoderConfig::ByteLevel { add_prefix_space: true, trim_offsets: true, use_regex: true }),
        model: ModelConfig::Bpe(BpeConfig { vocab, merges, ignore_merges: !all_reachable, ..BpeConfig::default() }),
    })
}

/// Fails if a special token shares its text or its id with another token.
fn check_special_tokens(ranks: &Ranks, vocab: &VocabConfig, special_tokens: &[(String, u32)]) -> Result<()> {
    if special_tokens.is_empty() {
        return Ok(());
    }
    let mut texts: HashSet<&str> = vocab.tokens.iter().collect();
    let mut ids = HashSet::new();
    for (text, id) in special_tokens {
        let place = format!("special_tokens[{text:?}]");
        if text.is_empty() {
            return Err(Error::config(place, "a special token needs a text"));
        }
        if !texts.insert(text) {
            return Err(Error::config(place, "the text is that of another token"));
        }
        if ranks.index_of_rank(*id).is_some() || !ids.insert(*id) {
            return Err(Error::config(place, format!("the id {id} is that of another token")));
        }
    }
    Ok(())
}

/// Appends a token, its bytes as byte-level characters.
fn push_bytes(token: &[u8], list: &mut StringList) {
    list.open().extend(token.iter().map(|&byte| byte_to_char(byte)));
    list.close();
}

/// The merges by rank, and whether they make every token.
fn recover_merges(ranks: &Ranks) -> (StringList, bool) {
    let mut merges = StringList::new();
    let mut all_reachable = true;
    let mut joiner = Joiner::default();
    for (token, _) in ranks.iter().filter(|(token, _)| token.len() > 1) {
        match joiner.last_split(token, 1..=token.len(), |token| ranks.find(token)) {
            Some((left, right)) => {
                push_bytes(left, &mut merges);
                push_bytes(right, &mut merges);
            }
            None => all_reachable = false,
        }
    }
    (merges, all_reachable)
}

/// Whether the first line of a file is one of ranks.
pub(super) fn begins_like_ranks(file: &[u8]) -> bool {
    let line = file.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii();
    let Some(space) = line.iter().position(|&byte| byte == b' ') else { return false };
    let (token, rank) = line.split_at(space);
    let rank = rank.trim_ascii();
    base64::decode(token).is_some_and(|token| !token.is_empty()) && !rank.is_empty() && rank.iter().all(u8::is_ascii_digit)
}

/// Tokens by rank.
struct Ranks {
    bytes: Vec<u8>,
    /// Where each token lies in `bytes`, and its rank, by rank.
    tokens: Vec<(u32, u32, u32)>,
    /// Indices into `tokens`, by the tokens' bytes.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Ranks {
    fn read(file: &[u8], limits: &Limits) -> Result<Self> {
        limits.check_file(file.len() as u64)?;
        let mut bytes = Vec::with_capacity(file.len() / 2);
        let mut tokens: Vec<(u32, u32, u32)> = Vec::new();
        for (number, line) in (1..).zip(file.split(|&byte| byte == b'\n')) {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let fault = || Error::config(format!("line {number}"), "expected a token in base64, a space and its rank");
            let space = line.iter().position(u8::is_ascii_whitespace).ok_or_else(fault)?;
            let (token, rank) = line.split_at(space);
            let rank = std::str::from_utf8(rank.trim_ascii()).ok().and_then(|rank| rank.parse().ok()).ok_or_else(fault)?;
            let start = bytes.len();
            base64::decode_into(token, &mut bytes).ok_or_else(fault)?;
            check("the length of a token in bytes", (bytes.len() - start) as u64, TOKEN_BYTES.min(limits.token_bytes))?;
            limits.check_vocabulary("the size of the vocabulary", tokens.len() + 1)?;
            // The file's limit keeps every position below u32::MAX.
            tokens.push((start as u32, bytes.len() as u32, rank));
        }
        tokens.sort_unstable_by_key(|&(start, _, rank)| (rank, start));
        let mut ranks = Self { bytes, tokens, index: HashTable::new(), hasher: DefaultHashBuilder::default() };
        ranks.build_index()?;
        match (0..=u8::MAX).find(|&byte| ranks.find(&[byte]).is_none()) {
            Some(byte) => Err(Error::config(format!("byte 0x{byte:02X}"), "there is no rank for it, and texts can hold it")),
            None => Ok(ranks),
        }
    }

    /// Fills `index`; fails on a repeated token or rank.
    fn build_index(&mut self) -> Result<()> {
        let mut index = HashTable::with_capacity(self.tokens.len());
        for (position, (token, rank)) in (0_u32..).zip(self.iter()) {
            let repeated = |what| Error::config(format!("rank {rank}"), format!("{what}: {:?}", String::from_utf8_lossy(token)));
            if self.index_of_rank(rank) != Some(position as usize)
                || self.tokens.get(position as usize + 1).is_some_and(|next| next.2 == rank)
            {
                return Err(repeated("there are two tokens with it, one of them"));
            }
            let same = |&other: &u32| self.token(other) == token;
            if index.find(self.hasher.hash_one(token), same).is_some() {
                return Err(repeated("its token has another rank too"));
            }
            index.insert_unique(self.hasher.hash_one(token), position, |&other| self.hasher.hash_one(self.token(other)));
        }
        self.index = index;
        Ok(())
    }

    fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The token at an index.
    fn token(&self, index: u32) -> &[u8] {
        let span = self.tokens.get(index as usize).and_then(|&(start, end, _)| self.bytes.get(start as usize..end as usize));
        span.unwrap_or_default()
    }

    /// The index of a token.
    fn find(&self, token: &[u8]) -> Option<u32> {
        self.index.find(self.hasher.hash_one(token), |&other| self.token(other) == token).copied()
    }

    /// The tokens and their ranks, by rank.
    fn iter(&self) -> impl Iterator<Item = (&[u8], u32)> + '_ {
        self.tokens.iter().map(|&(start, end, rank)| (self.bytes.get(start as usize..end as usize).unwrap_or_default(), rank))
    }

    fn index_of_rank(&self, rank: u32) -> Option<usize> {
        self.tokens.binary_search_by_key(&rank, |&(.., rank)| rank).ok()
    }

    /// The token of a rank.
    fn token_of_rank(&self, rank: u32) -> Option<&[u8]> {
        self.index_of_rank(rank).map(|index| self.token(index as u32))
    }
}

/// OpenAI's vocabularies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// `r50k_base`, which is GPT-2's.
    R50k,
    P50k,
    Cl100k,
    O200k,
}

impl Known {
    /// Which vocabulary this is, told by its size and, where the size alone does not say it, by some of its tokens.
    fn of(ranks: &Ranks) -> Option<Self> {
        let has = |rank, token: &str| ranks.token_of_rank(rank) == Some(token.as_bytes());
        let last = ranks.tokens.last().map(|&(.., rank)| rank)?;
        match (ranks.len(), last) {
            (50256, 50255) if has(50254, " informants") && has(50255, " gazed") => Some(Self::R50k),
            (50280, 50280) if has(50255, " gazed") && ranks.index_of_rank(50256).is_none() => Some(Self::P50k),
            (100_256, 100_255) if has(100_254, " daycare") && has(100_255, " Conveyor") => Some(Self::Cl100k),
            (199_998, 199_997) if has(256, "  ") => Some(Self::O200k),
            _ => None,
        }
    }

    fn special_tokens(self) -> &'static [(&'static str, u32)] {
        match self {
            Self::R50k | Self::P50k => &[("<|endoftext|>", 50256)],
            Self::Cl100k => &[
                ("<|endoftext|>", 100_257),
                ("<|fim_prefix|>", 100_258),
                ("<|fim_middle|>", 100_259),
                ("<|fim_suffix|>", 100_260),
                ("<|endofprompt|>", 100_276),
            ],
            Self::O200k => &[("<|endoftext|>", 199_999), ("<|endofprompt|>", 200_018)],
        }
    }

    fn pre_tokenizer(self) -> PreTokenizerConfig {
        match self {
            // Its own pattern is GPT-2's.
            Self::R50k | Self::P50k => {
                PreTokenizerConfig::ByteLevel { add_prefix_space: false, trim_offsets: true, use_regex: true }
            }
            Self::Cl100k => split(String::from(pattern::CL100K)),
            Self::O200k => split(String::from(pattern::O200K)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ranks of all bytes by value, then of `tokens`.
    pub(super) fn ranks_of(tokens: &[&[u8]]) -> Ranks {
        let more: Vec<(&[u8], u32)> = tokens.iter().copied().zip(256..).collect();
        Ranks::read(&with_bytes(&more), &Limits::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn file(lines: &[(&[u8], u32)]) -> Vec<u8> {
        lines.iter().map(|(token, rank)| format!("{} {rank}\n", base64::encode(token))).collect::<String>().into_bytes()
    }

    /// All bytes by value, then `more`.
    fn with_bytes(more: &[(&[u8], u32)]) -> Vec<u8> {
        let bytes: Vec<[u8; 1]> = (0..=u8::MAX).map(|byte| [byte]).collect();
        let mut lines: Vec<(&[u8], u32)> = bytes.iter().map(<[u8; 1]>::as_slice).zip(0..).collect();
        lines.extend(more);
        file(&lines)
    }

    fn bpe(config: Config) -> BpeConfig {
        match config.model {
            ModelConfig::Bpe(bpe) => bpe,
            other => panic!("expected BPE, got {other:?}"),
        }
    }

    fn place(result: Result<Config>) -> String {
        match result {
            Err(Error::Config { place, .. }) => place,
            other => panic!("expected an error with a place, got {other:?}"),
        }
    }

    #[test]
    fn writes_bytes_as_byte_level_characters() {
        let config = from_tiktoken(&with_bytes(&[(b" \xff", 300), (b"ab", 256)]), Some("."), &[]).expect("valid ranks");
        // A pattern that may leave gaps keeps only what it matches.
        let Some(PreTokenizerConfig::Sequence(stages)) = &config.pre_tokenizer else { panic!("expected two stages") };
        assert!(matches!(stages.first(), Some(PreTokenizerConfig::Split { behavior: SplitBehavior::Removed, invert: true, .. })));
        let bpe = bpe(config);
        assert_eq!(bpe.vocab.tokens.iter().skip(256).collect::<Vec<_>>(), ["ab", "\u{120}\u{ff}"]);
        assert_eq!(bpe.vocab.ids.last(), Some(&300));
        assert_eq!(bpe.merges.iter().collect::<Vec<_>>(), ["a", "b", "\u{120}", "\u{ff}"]);
        assert!(!bpe.ignore_merges);
    }

    #[test]
    fn whole_pieces_are_looked_up_where_merges_do_not_suffice() {
        assert!(bpe(from_tiktoken(&with_bytes(&[(b"abc", 256)]), Some("."), &[]).expect("valid ranks")).ignore_merges);
    }

    #[test]
    fn special_tokens_keep_their_ids() {
        let special = |id| vec![("<s>".to_owned(), id)];
        let next = from_tiktoken(&with_bytes(&[]), Some("."), &special(256)).expect("valid ranks");
        assert_eq!(next.added_tokens.first().map(|token| token.id), Some(256));
        assert_eq!(bpe(next).vocab.tokens.len(), 256);
        let later = bpe(from_tiktoken(&with_bytes(&[]), Some("."), &special(260)).expect("valid ranks"));
        assert_eq!((later.vocab.tokens.get(256), later.vocab.ids.get(256)), (Some("<s>"), Some(&260)));
        for (text, id) in [("<s>", 7), ("a", 300), ("", 300)] {
            let refused = from_tiktoken(&with_bytes(&[]), Some("."), &[(text.to_owned(), id)]);
            assert_eq!(place(refused), format!("special_tokens[{text:?}]"));
        }
    }

    #[test]
    fn names_the_place_of_an_error() {
        let read = |bytes: &[u8]| place(from_tiktoken(bytes, Some("."), &[]));
        assert_eq!(read(b"YQ== 0\n\nYg==\n"), "line 3");
        assert_eq!(read(b"YQ== -1\n"), "line 1");
        assert_eq!(read(b"Y 1\n"), "line 1");
        assert_eq!(read(b"YQ== 0 0\n"), "line 1");
        assert_eq!(read(&file(&[(b"a", 0)])), "byte 0x00");
        assert_eq!(read(&with_bytes(&[(b"ab", 256), (b"cd", 256)])), "rank 256");
        assert_eq!(read(&with_bytes(&[(b"ab", 256), (b"ab", 257)])), "rank 257");
        assert_eq!(read(&with_bytes(&[(b"ab", 9)])), "rank 9");
        assert_eq!(place(from_tiktoken(&with_bytes(&[]), None, &[])), "pattern");
        let long = with_bytes(&[(&[b'a'; 1025], 256)]);
        assert!(matches!(from_tiktoken(&long, Some("."), &[]), Err(Error::Limit { value: 1025, limit: 1024, .. })));
    }
}
