//! BPE by longest match and backtracking, in time linear in the piece.
//!
//! A sequence of tokens is what the merges give if and only if each token is what its own text gives, and each two neighbours are
//! what their joined text gives (van Antwerpen and Neubeck, 2024, "So many tokens, so little time"): the first merge across a
//! border depends on the two tokens beside it alone. So the tokens are found by taking the longest that fits its left neighbour,
//! and going back where none does; a set of places from which there is no way on keeps that linear.
//!
//! Whether two tokens may stand side by side is told by undoing their merges ([`Merges::stay_apart`]); the answers for pairs are
//! remembered in a table of fixed size.
//!
//! All of this holds without affixes and dropout, and where ids tell texts apart: where the merges are [`Merges::making`]. For up to
//! 62 symbols `short` is faster.

use super::super::Trie;
use super::alphabet::{byte_level_byte, byte_level_char};
use super::merges::{Merges, NEVER};
use crate::memory::{Once, Zeroable, Zeroed};
use crate::string_list::{ByteList, Texts};
use crate::vocab::Vocabulary;
use crate::StringList;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Ids must fit this many bits, so that two of them and a mark fit a word.
const ID_BITS: u32 = 28;
/// The number of pairs whose answer is remembered: 1 MiB.
const PAIRS: usize = 1 << 17;
/// Up to this many bytes a piece is mapped on the stack.
const SHORT_BYTES: usize = 32;

/// The mark of a remembered pair is in the highest two bits: nothing yet, or whether the two may stand side by side.
const MARK: u64 = 3 << 62;
const MAY_NOT_STAND: u64 = 2 << 62;
const MAY_STAND: u64 = 3 << 62;

/// The trie is made when bytes were asked for without it that are this many for each token: to make it costs about what twice as
/// many gain by it.
const BYTES_FOR_A_TOKEN: usize = if cfg!(test) { 0 } else { 4 };

/// The tables for one model.
#[derive(Debug)]
pub(super) struct Backtracker {
    /// Whether the vocabulary is written in byte-level characters.
    is_byte_level: bool,
    /// Made when it is worth it; none if there would be too many states.
    texts: Once<Option<TextTrie>>,
    /// How many bytes were asked for before it was made.
    asked_bytes: AtomicUsize,
    /// Pairs and their answers, by hash.
    pairs: Zeroed<Pair>,
}

/// The texts of the tokens. Values are indices of the vocabulary.
#[derive(Debug)]
struct TextTrie {
    trie: Trie,
    /// The raw bytes, where the vocabulary is written in byte-level characters; else the vocabulary's own texts are used.
    raw: Option<ByteList>,
}

/// A remembered pair and its answer, or zero.
#[derive(Debug)]
struct Pair(AtomicU64);

// SAFETY: zero is a value of AtomicU64.
unsafe impl Zeroable for Pair {}

/// Buffers, reused from piece to piece.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// A bit for each place from which there is no way on.
    dead: Vec<u64>,
}

/// A token that is chosen: its id and its length in bytes.
#[derive(Clone, Copy, Debug)]
struct Token {
    id: u32,
    length: usize,
}

/// How many of the tokens that begin a text are kept.
const MAX_PREFIXES: usize = 16;

/// The tokens that begin a text.
#[derive(Default)]
struct Prefixes {
    /// The index in the vocabulary and the length of each, the shortest first, written round and round.
    tokens: [(u32, u32); MAX_PREFIXES],
    /// How many were found, less those that were asked for.
    count: usize,
    /// How many are kept, less those that were asked for.
    left: usize,
    /// The length of the one that was asked for last.
    last_length: usize,
}

impl Backtracker {
    /// The tables for a vocabulary whose ids are below `ids`; `None` where these are too many.
    pub(super) fn new(is_byte_level: bool, ids: usize) -> Option<Self> {
        (ids < 1 << ID_BITS).then(|| Self {
            is_byte_level,
            texts: Once::new(),
            asked_bytes: AtomicUsize::new(0),
            pairs: Zeroed::new(PAIRS),
        })
    }

    /// The token that is the whole piece, whether merges make it or not.
    #[inline]
    pub(super) fn whole(&self, piece: &[u8], vocabulary: &Vocabulary) -> Option<u32> {
        if let Some(Some(TextTrie { trie, raw: Some(texts) })) = self.texts.get() {
            return trie.find(texts, piece).map(|index| vocabulary.id_at(index));
        }
        match self.is_byte_level {
            false => vocabulary.id_of_bytes(piece),
            true if piece.len() <= SHORT_BYTES => {
                let mut mapped = [0; 2 * SHORT_BYTES];
                let mut length = 0;
                for &byte in piece {
                    // Most are one byte, and none is more than two.
                    length += byte_level_char(byte).encode_utf8(&mut mapped[length..]).len();
                }
                vocabulary.id_of_bytes(&mapped[..length])
            }
            true if piece.len() > vocabulary.max_token_bytes() => None,
            true => vocabulary.id(&piece.iter().map(|&byte| byte_level_char(byte)).collect::<String>()),
        }
    }

    /// The trie, if it was made or if it is worth to be made for a piece of so many bytes more.
    #[inline]
    fn texts(&self, bytes: usize, vocabulary: &Vocabulary) -> Option<&TextTrie> {
        match self.texts.get() {
            Some(texts) => texts.as_ref(),
            None => self.make_texts(bytes, vocabulary),
        }
    }

    #[cold]
    fn make_texts(&self, bytes: usize, vocabulary: &Vocabulary) -> Option<&TextTrie> {
        let before = self.asked_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) < BYTES_FOR_A_TOKEN * vocabulary.len() {
            return None;
        }
        let raw = self.is_byte_level.then(|| raw_texts(vocabulary.tokens()));
        let trie = match &raw {
            Some(texts) => Trie::new(texts, ""),
            None => Trie::new(vocabulary.tokens(), ""),
        };
        self.texts.set(Box::new(trie.ok().map(|(trie, _)| TextTrie { trie, raw })));
        self.texts.get()?.as_ref()
    }

    /// Appends the tokens of `piece` and returns true, or returns false if one of its bytes or characters is no token, or if there
    /// is no trie yet.
    #[must_use]
    pub(super) fn tokenize(
        &self,
        piece: &[u8],
        vocabulary: &Vocabulary,
        merges: &Merges,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
    ) -> bool {
        let Some(TextTrie { trie, raw }) = self.texts(piece.len(), vocabulary) else { return false };
        match raw {
            Some(texts) => Search { texts, trie, vocabulary, merges, pairs: &self.pairs }.run(piece, scratch, ids),
            None => Search { texts: vocabulary.tokens(), trie, vocabulary, merges, pairs: &self.pairs }.run(piece, scratch, ids),
        }
    }
}

/// The raw bytes of texts in byte-level characters; nothing for a text with others.
fn raw_texts(texts: &StringList) -> ByteList {
    let mut raw = ByteList::with_capacity(texts.len(), texts.text().len());
    texts.iter().for_each(|text| raw.push_if_all(text.chars().map(byte_level_byte)));
    raw
}

/// What a search reads.
struct Search<'s, T> {
    texts: &'s T,
    trie: &'s Trie,
    vocabulary: &'s Vocabulary,
    merges: &'s Merges,
    pairs: &'s [Pair],
}

impl<T: Texts> Search<'_, T> {
    /// Puts the tokens that begin `text` into `found`, the shortest first; of many the longest ones.
    #[inline]
    fn prefixes(&self, text: &[u8], found: &mut Prefixes) {
        found.count = 0;
        self.trie.for_each_prefix(self.texts, (self.trie.root(), 0), text, |index, length| {
            found.tokens[found.count % MAX_PREFIXES] = (index, length as u32);
            found.count += 1;
        });
        found.left = found.count.min(MAX_PREFIXES);
    }

    /// The longest token among those that were not asked for yet, of what begins `text`.
    #[inline]
    fn next_prefix(&self, text: &[u8], found: &mut Prefixes) -> Option<Token> {
        if found.left == 0 {
            if found.count == 0 {
                return None;
            }
            // Those that were not kept.
            self.prefixes(&text[..found.last_length - 1], found);
        }
        found.left -= 1;
        found.count -= 1;
        let (index, length) = found.tokens[found.count % MAX_PREFIXES];
        found.last_length = length as usize;
        Some(Token { id: self.vocabulary.id_at(index), length: length as usize })
    }

    /// [`Backtracker::tokenize`].
    #[inline]
    fn run(&self, piece: &[u8], scratch: &mut Scratch, ids: &mut Vec<u32>) -> bool {
        let Scratch { dead } = scratch;
        let mut found = Prefixes::default();
        self.prefixes(piece, &mut found);
        let Some(first) = self.next_prefix(piece, &mut found) else { return false };
        if first.length == piece.len() && self.merges.made(first.id) != NEVER {
            ids.push(first.id);
            return true;
        }
        dead.clear();
        dead.resize(piece.len() / 64 + 1, 0);
        // What is chosen is put where it belongs; of a piece of a megabyte a list of its own would be the most that is written.
        let before = ids.len();
        let mut start = 0;
        let mut next = Some(first);
        while let Some(mut token) = next {
            let last = ids[before..].last().copied();
            loop {
                let end = start + token.length;
                let is_dead = dead[end / 64] >> (end % 64) & 1 == 1;
                let fits = |last: u32| self.fits(last, token.id);
                if !is_dead && self.merges.made(token.id) != NEVER && last.is_none_or(fits) {
                    ids.push(token.id);
                    start = end;
                    self.prefixes(&piece[end..], &mut found);
                    next = self.next_prefix(&piece[end..], &mut found);
                    break;
                }
                if let Some(shorter) = self.next_prefix(&piece[start..], &mut found) {
                    token = shorter;
                    continue;
                }
                dead[start / 64] |= 1 << (start % 64);
                next = last.map(|id| self.token(id));
                if let Some(last) = next {
                    ids.pop();
                    // What is shorter than the one taken back.
                    start -= last.length;
                    self.prefixes(&piece[start..start + last.length - 1], &mut found);
                }
                break;
            }
        }
        // Else the search ended before a byte or character that begins no token.
        let is_complete = start == piece.len();
        if !is_complete {
            ids.truncate(before);
        }
        is_complete
    }

    /// A token that was chosen.
    fn token(&self, id: u32) -> Token {
        let length = self.vocabulary.index(id).map_or(0, |index| self.texts.bytes(index as usize).len());
        Token { id, length }
    }

    /// Whether `left` and `right`, each made by merges, stay as they are side by side.
    #[inline(always)]
    fn fits(&self, left: u32, right: u32) -> bool {
        let pair = u64::from(left) << ID_BITS | u64::from(right);
        let hash = pair.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - PAIRS.trailing_zeros());
        let Pair(slot) = &self.pairs[hash as usize];
        let known = slot.load(Ordering::Relaxed);
        if known & !MARK == pair && known & MARK != 0 {
            return known & MARK == MAY_STAND;
        }
        let fits = self.merges.stay_apart(left, right);
        slot.store(pair | if fits { MAY_STAND } else { MAY_NOT_STAND }, Ordering::Relaxed);
        fits
    }
}
