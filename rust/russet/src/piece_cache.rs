//! A cache from a piece's bytes to its ids, of bounded size, shared by all threads without a lock.
//!
//! Most pieces of a text were met before, and most are one or two tokens. A short piece (up to 15 bytes and 3 ids, or up to 6 small
//! ones) has a slot of 32 bytes, two slots a cache line. A key may be in one of two slots, and if both were taken, in one of two
//! others; a new one takes a free slot, or the place of one of these, which take turns. Longer pieces, as clauses of Chinese and
//! Japanese are, have an entry in a store; a short one that has more ids too, and its slot tells where. In slots keys are compared
//! whole, in the store fingerprints that no text can be made to share, so a hash does not mislead.
//!
//! A hit costs about 5 ns, and more if it is the first for long. The tables begin small, as each first touch of a page costs as much as
//! a hundred hits, and are replaced by larger ones, into which their entries are copied, while the sum is below a limit. The wrong
//! choice where pieces rarely repeat, and for texts that are one piece.

mod fingerprint;
mod met;
mod slots;
mod store;

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::hashing::fold;
use crate::memory::{self, Once, Zeroed};
use fingerprint::fingerprint;
use met::Met;
pub(crate) use slots::MOST_IDS;
use slots::{few_ids, free_slot, next_turn, pack, unpack, words, ShortPair, ShortSlot, ELSEWHERE, SHORT_BYTES};
use store::{Entry, Store};

/// The longest piece that is kept.
pub(crate) const MOST_BYTES: usize = fingerprint::MOST_BYTES;

/// Longer pieces are kept when they are met for the second time: to write all down made fresh Chinese on Mistral, which is read at 250 MB
/// a second, slower by a fifth.
const AT_ONCE_BYTES: usize = 256;

/// The sizes of the tables: pairs of slots, and pages of the store.
const SIZES: [[usize; 2]; 5] = [[1 << 11, 6], [1 << 15, 54], [1 << 17, 568], [1 << 19, 5 << 9], [1 << 21, 5 << 11]];

/// What the tables of a size take, in bytes.
const fn bytes_of([short, pages]: [usize; 2]) -> usize {
    short * size_of::<ShortPair>() + Store::bytes_of(pages)
}

/// The limit on the size of a cache of which nothing else is said, in bytes.
pub(crate) const DEFAULT_LIMIT: usize = 16 << 20;

/// The cache of one tokenizer.
pub(crate) struct PieceCache {
    met: Met,
    first: Tables,
    larger: [Once<Tables>; SIZES.len() - 1],
    /// Which tables are in use.
    level: AtomicUsize,
    /// The limit on the sum of their sizes, in bytes. The first are always there.
    limit: usize,
}

/// The tables of one size.
pub(crate) struct Tables {
    short: Zeroed<ShortPair>,
    store: Store,
    /// How many short pieces were put in.
    inserted: AtomicUsize,
}

/// Where a piece is to be looked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    /// What [`short_key`] says of a short piece, the fingerprint of a longer one, or zero for one that is too long.
    key: [u64; 2],
    /// Which two slots.
    pair: u32,
}

impl Place {
    /// Whether the cache keeps such pieces.
    fn is_kept(&self) -> bool {
        self.key != [0; 2]
    }

    /// Whether it is that of a short piece, of which the highest byte says the length and the kind.
    #[inline(always)]
    fn is_short(&self) -> bool {
        self.key[1] >> 56 != 0
    }

    /// Some bits that tell pieces apart.
    #[inline(always)]
    pub(crate) fn some_bits(&self) -> usize {
        self.pair as usize ^ self.key[0] as usize
    }
}

/// What the ids of a piece depend on besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PieceKind {
    /// What the model is given.
    Piece = 1,
    /// A word of the text, before all stages.
    Word = 2,
    /// A word at the beginning of a section.
    FirstWord = 3,
    /// A word at the beginning of the input.
    FirstOfInput = 4,
    /// A part of a piece, where a whole piece can have other ids.
    Unit = 5,
}

impl std::fmt::Debug for PieceCache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PieceCache").field("bytes", &self.bytes()).finish()
    }
}

/// One more than the highest number of a kind.
const KINDS: usize = PieceKind::Unit as usize + 1;

/// For a piece of each kind and length, the bits of the two words of a short key that belong to it, and what the second is joined
/// with: the kind and the length in the last byte, and below them bits that are as good as random, for the hash.
static KEY_MASKS: [[[u64; 3]; SHORT_BYTES + 1]; KINDS] = {
    let mut masks = [[[0; 3]; SHORT_BYTES + 1]; KINDS];
    let mut kind = 0;
    while kind < KINDS {
        let mut length = 1;
        while length <= SHORT_BYTES {
            let name = (length as u64) << 56 | (kind as u64) << 60;
            let random = 0xd6e8_feb8_6659_fd93_u64.wrapping_mul(2 * length as u64 + 1) >> 8 | 1;
            masks[kind][length] = match length {
                ..8 => [(1 << (8 * length)) - 1, 0, name | random],
                _ => [u64::MAX, (1 << (8 * (length - 8))) - 1, name | random],
            };
            length += 1;
        }
        kind += 1;
    }
    masks
};

/// The key of a short piece, at whose beginning these two words lie in the text: no other piece has it.
#[inline(always)]
fn short_key(kind: PieceKind, words: [u64; 2], length: usize) -> [u64; 2] {
    let masks = &KEY_MASKS[kind as usize][length & SHORT_BYTES];
    [words[0] & masks[0], words[1] & masks[1] ^ masks[2]]
}

#[inline(always)]
fn short_hash(key: [u64; 2]) -> u64 {
    fold(key[0], key[1])
}

impl PieceCache {
    /// An empty cache that grows up to `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let larger = [const { Once::new() }; SIZES.len() - 1];
        Self { met: Met::new(), first: Tables::new(SIZES[0]), larger, level: AtomicUsize::new(0), limit }
    }

    /// The limit on its size in bytes.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// The size of the cache in bytes.
    pub(crate) fn bytes(&self) -> usize {
        Met::BYTES + self.first.bytes() + self.larger.iter().filter_map(Once::get).map(Tables::bytes).sum::<usize>()
    }

    /// The tables in use. They may be kept for a batch of pieces.
    #[inline(always)]
    pub(crate) fn tables(&self) -> &Tables {
        match self.level.load(Ordering::Acquire).checked_sub(1) {
            None => &self.first,
            Some(level) => self.larger.get(level).and_then(Once::get).unwrap_or(&self.first),
        }
    }

    /// Whether a text was met before, as far as is known; it was now. For what costs more to remember than to work out once.
    pub(crate) fn was_met(&self, text: &[u8]) -> bool {
        self.met.was_met(text)
    }

    /// Remembers the ids of a piece whose place in `tables` is known, a long one when it is met again; makes room where that runs out.
    pub(crate) fn insert(&self, tables: &Tables, place: &Place, piece: &[u8], ids: &[u32]) {
        if piece.len() > AT_ONCE_BYTES && !self.met.was_met(piece) {
            return;
        }
        tables.insert(place, ids);
        if tables.is_full() && std::ptr::eq(tables, self.tables()) {
            self.grow(tables);
        }
    }

    #[cold]
    fn grow(&self, tables: &Tables) {
        let level = self.level.load(Ordering::Acquire);
        let (Some(&size), Some(larger)) = (SIZES.get(level + 1), self.larger.get(level)) else { return };
        if Met::BYTES + SIZES[..=level + 1].iter().map(|&size| bytes_of(size)).sum::<usize>() > self.limit {
            return;
        }
        let made = Tables::new(size);
        tables.copy_to(&made);
        larger.set(Box::new(made));
        // Only ever one step, so a slower thread does not skip tables that are not there.
        let _ = self.level.compare_exchange(level, level + 1, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// The slots for short pieces of some tables.
#[derive(Clone, Copy)]
pub(crate) struct ShortSlots<'t>(&'t [ShortPair]);

impl ShortSlots<'_> {
    /// The first two slots for a piece.
    #[inline(always)]
    fn pair(self, key: [u64; 2]) -> usize {
        short_hash(key) as usize & (self.0.len() - 1)
    }

    /// Puts the ids of a piece at the beginning of `ids` and returns their number, if they are up to `SHORT_IDS` and in one of the first
    /// two short slots; or else 0.
    #[inline(always)]
    pub(crate) fn few_ids(self, place: &Place, ids: &mut [u32; MOST_IDS]) -> usize {
        few_ids(&self.0[place.pair as usize].0, place.key, ids)
    }
}

impl Tables {
    fn new([short, pages]: [usize; 2]) -> Self {
        Self { short: Zeroed::new(short), store: Store::new(pages), inserted: AtomicUsize::new(0) }
    }

    fn bytes(&self) -> usize {
        bytes_of([self.short.len(), self.store.len()])
    }

    /// Whether half the slots may be taken, or the store is full.
    fn is_full(&self) -> bool {
        self.inserted.load(Ordering::Relaxed) > self.short.len() || self.store.is_full()
    }

    /// The first two slots for a short piece.
    #[inline(always)]
    fn short_pair(&self, key: [u64; 2]) -> usize {
        self.slots().pair(key)
    }

    /// The other two.
    #[inline(always)]
    fn other_short(&self, key: [u64; 2]) -> &ShortPair {
        &self.short[(short_hash(key) >> 32) as usize & (self.short.len() - 1)]
    }

    fn free_slot(&self, key: [u64; 2]) -> Option<&ShortSlot> {
        free_slot(&self.short[self.short_pair(key)].0, || &self.other_short(key).0)
    }

    /// Copies what is whole and finds a free slot.
    fn copy_to(&self, other: &Self) {
        for slot in self.short.iter().flat_map(|pair| &pair.0) {
            let key = [0, 1].map(|index| slot.key[index].load(Ordering::Relaxed));
            if let Some((bits, count)) = slot.get(key).filter(|_| key != [0; 2]) {
                let bits = if count == ELSEWHERE { self.store.copy_entry(Entry(bits as u64), &other.store) } else { Some(bits) };
                other.free_slot(key).zip(bits).into_iter().for_each(|(slot, bits)| slot.set(key, bits, count));
            }
        }
        self.store.copy_to(&other.store);
    }

    /// The short slots, to be kept at hand for a batch of pieces.
    #[inline(always)]
    pub(crate) fn slots(&self) -> ShortSlots<'_> {
        ShortSlots(&self.short)
    }

    /// Finds the place of the piece `start..end` of `text`, of kind `kind`; asks the processor to fetch it.
    #[inline(always)]
    pub(crate) fn find(&self, slots: ShortSlots<'_>, kind: PieceKind, text: &[u8], start: u32, end: u32, place: &mut Place) {
        let length = (end as usize).wrapping_sub(start as usize);
        match text.get(start as usize..start as usize + 16) {
            Some(&[a, b, c, d, e, f, g, h, ref rest @ ..]) if length <= SHORT_BYTES => {
                let words = [[a, b, c, d, e, f, g, h], *rest.first_chunk().unwrap_or(&[0; 8])].map(u64::from_le_bytes);
                let key = short_key(kind, words, length);
                let pair = slots.pair(key);
                memory::prefetch(&slots.0[pair]);
                *place = Place { key, pair: pair as u32 };
            }
            _ => *place = self.place_of(kind, &text[start as usize..], length),
        }
    }

    /// The place of the piece that is the first `length` bytes of `text`; the processor is asked to fetch it.
    #[inline(never)]
    pub(crate) fn place_of(&self, kind: PieceKind, text: &[u8], length: usize) -> Place {
        if length <= SHORT_BYTES {
            let key = short_key(kind, words(text, length), length);
            let pair = self.short_pair(key);
            memory::prefetch(&self.short[pair]);
            return Place { key, pair: pair as u32 };
        }
        let mut key = [0, 0];
        if length <= MOST_BYTES {
            key = fingerprint(kind, text.get(..length).unwrap_or(text));
            self.store.prefetch(key);
        }
        Place { key, pair: 0 }
    }

    /// The ids of the piece with this place, if they are known, or none; `ids` and `more` are for them.
    #[inline(always)]
    pub(crate) fn ids<'i>(&self, place: &Place, ids: &'i mut [u32; MOST_IDS], more: &'i mut Vec<u32>) -> &'i [u32] {
        let known = match self.slots().few_ids(place, ids) {
            0 => self.more_ids(place, ids),
            count => Some(count),
        };
        match known {
            Some(count) => &ids[..count],
            None => {
                more.clear();
                self.ids_anywhere(place, more);
                more
            }
        }
    }

    /// Does what [`ShortSlots::few_ids`] does for a piece of which that knows nothing: its ids are more, or it is longer. `None` if it may be in
    /// one of the other slots or in the store, which the processor is asked to fetch.
    #[inline(never)]
    pub(crate) fn more_ids(&self, place: &Place, ids: &mut [u32; MOST_IDS]) -> Option<usize> {
        if !place.is_short() {
            return if place.is_kept() && self.store.may_have(place.key) { None } else { Some(0) };
        }
        let ShortPair(slots) = &self.short[place.pair as usize];
        match slots.iter().find_map(|slot| slot.get(place.key)) {
            Some((bits, count)) => unpack(bits, count, ids).or_else(|| {
                self.store.prefetch_entry(Entry(bits as u64));
                None
            }),
            None if slots[0].has_more() => {
                memory::prefetch(self.other_short(place.key));
                None
            }
            None => {
                if !slots.iter().any(ShortSlot::is_free) {
                    // Where it will be put in.
                    memory::prefetch(self.other_short(place.key));
                }
                Some(0)
            }
        }
    }

    /// Appends the ids of a piece that may be in one of the other slots or in the store; their number, or 0.
    #[cold]
    pub(crate) fn ids_anywhere(&self, place: &Place, ids: &mut Vec<u32>) -> usize {
        if place.is_short() {
            let mut slots = self.short[place.pair as usize].0.iter().chain(&self.other_short(place.key).0);
            let Some((bits, count)) = slots.find_map(|slot| slot.get(place.key)) else { return 0 };
            let mut few = [0; MOST_IDS];
            let Some(count) = unpack(bits, count, &mut few) else { return self.store.get_entry(Entry(bits as u64), ids) };
            ids.extend_from_slice(&few[..count]);
            return count;
        }
        self.store.get(place.key, ids)
    }

    /// Remembers the ids of a piece, if there is room for their number and its length.
    fn insert(&self, place: &Place, ids: &[u32]) {
        if !place.is_kept() || ids.is_empty() {
            return;
        }
        if !place.is_short() {
            return self.store.insert(place.key, ids);
        }
        let in_store = || self.store.put([0; 2], ids).map(|Entry(entry)| (u128::from(entry), ELSEWHERE));
        let Some((bits, count)) = pack(ids).map(|bits| (bits, ids.len())).or_else(in_store) else { return };
        let turn = next_turn(&self.inserted);
        let pair = || if turn & 2 == 0 { &self.short[place.pair as usize] } else { self.other_short(place.key) };
        self.free_slot(place.key).unwrap_or_else(|| &pair().0[turn & 1]).set(place.key, bits, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    impl Tables {
        fn found(&self, kind: PieceKind, text: &[u8], start: usize, end: usize) -> Place {
            let mut place = Place::default();
            self.find(self.slots(), kind, text, start as u32, end as u32, &mut place);
            let alone = self.place_of(kind, &text[start..end], end - start);
            assert_eq!((place.key, place.pair), (alone.key, alone.pair));
            place
        }
    }

    fn find(cache: &PieceCache, kind: PieceKind, text: &[u8], start: usize, length: usize) -> Option<Vec<u32>> {
        let tables = cache.tables();
        let found = find_in(tables, &tables.found(kind, text, start, start + length));
        (!found.is_empty()).then_some(found)
    }

    fn find_in(tables: &Tables, place: &Place) -> Vec<u32> {
        tables.ids(place, &mut [0; MOST_IDS], &mut vec![7]).to_vec()
    }

    proptest! {
        #[test]
        fn gives_back_what_was_put_in_or_nothing(
            entries in proptest::collection::vec((
                prop_oneof![4 => proptest::collection::vec(any::<u8>(), 1..90), 1 => proptest::collection::vec(any::<u8>(), 90..1100)],
                (1..33u32, prop_oneof![4 => 1..32usize, 1 => 200..1100usize], any::<u32>()).prop_map(|(bits, count, seed)| {
                    (0..count as u32).map(|index| seed.rotate_left(index) >> (32 - bits)).collect::<Vec<u32>>()
                }),
            ), 1..60),
        ) {
            let cache = PieceCache::new(DEFAULT_LIMIT);
            let mut known = HashMap::new();
            let mut text = Vec::new();
            for (piece, ids) in &entries {
                let start = text.len();
                text.extend_from_slice(piece);
                prop_assert!(find(&cache, PieceKind::Word, &text, start, piece.len()).is_none_or(|found| Some(&found) == known.get(piece)));
                if !known.contains_key(piece) {
                    let tables = cache.tables();
                    let place = tables.found(PieceKind::Word, &text, start, text.len());
                    cache.insert(tables, &place, piece, ids);
                    if piece.len() > AT_ONCE_BYTES {
                        cache.insert(tables, &place, piece, ids);
                    }
                    known.insert(piece.clone(), ids.clone());
                }
                let found = find(&cache, PieceKind::Word, &text, start, piece.len());
                // Of ids of 32 bits there is room for fewer than 1,016 of 16.
                prop_assert!(found.is_some() || piece.len() > AT_ONCE_BYTES || known[piece].len() > 508);
                prop_assert!(found.is_none() || piece.len() <= MOST_BYTES && known[piece].len() <= 1016);
                prop_assert!(found.is_none_or(|found| found == known[piece]));
                prop_assert_eq!(find(&cache, PieceKind::Piece, &text, start, piece.len()), None);
            }
        }
    }

    #[test]
    fn a_long_piece_is_kept_when_it_is_met_again() {
        let (cache, piece) = (PieceCache::new(DEFAULT_LIMIT), vec![b'a'; AT_ONCE_BYTES + 1]);
        let place = cache.tables().found(PieceKind::Word, &piece, 0, piece.len());
        for known in [None, Some(vec![7, 8])] {
            cache.insert(cache.tables(), &place, &piece, &[7, 8]);
            assert_eq!(find(&cache, PieceKind::Word, &piece, 0, piece.len()), known);
        }
    }

    #[test]
    fn a_full_cache_forgets_and_stays_right() {
        let cache = PieceCache::new(DEFAULT_LIMIT);
        let key = |n: u32| format!("{n:x}").into_bytes();
        for n in 0..2_000_000 {
            let piece = key(n);
            let tables = cache.tables();
            cache.insert(tables, &tables.found(PieceKind::Piece, &piece, 0, piece.len()), &piece, &[n]);
        }
        let mut known = 0;
        for n in 0..2_000_000 {
            let piece = key(n);
            if let Some(ids) = find(&cache, PieceKind::Piece, &piece, 0, piece.len()) {
                assert_eq!(ids, [n]);
                known += 1;
            }
        }
        assert!(known > 2 * SIZES[2][0] * 9 / 10, "{known} pieces are known");
        assert_eq!(cache.level.load(Ordering::Relaxed), 2);
        assert!(cache.bytes() <= DEFAULT_LIMIT);
    }

    #[test]
    fn a_cache_grows_to_its_limit() {
        for (limit, level) in [(0, 0), (3 << 20, 1), (100 << 20, 3)] {
            let cache = PieceCache::new(limit);
            for n in 0..1_000_000_u32 {
                // Short, medium and long pieces.
                let piece = format!("{n:0width$}", width = [8, 20, 40][n as usize % 3]).into_bytes();
                let tables = cache.tables();
                cache.insert(tables, &tables.found(PieceKind::Piece, &piece, 0, piece.len()), &piece, &[n; 5]);
                assert_eq!(find(&cache, PieceKind::Piece, &piece, 0, piece.len()), Some(vec![n; 5]));
            }
            assert_eq!(cache.level.load(Ordering::Relaxed), level);
            assert!(cache.bytes() <= limit.max(Met::BYTES + bytes_of(SIZES[0])));
        }
    }

    #[test]
    fn threads_read_whole_entries_only() {
        // Few places and many writers: each entry's ids are all the same number, which its key names. A page is soon full.
        let tables = Tables::new([2; 2]);
        let work = |seed: u32| {
            let mut state = seed;
            for _ in 0..200_000 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let n = state >> 16 & 7;
                let piece = vec![b'a' + n as u8; [9, 30, 50, 300][state as usize >> 20 & 3]];
                let place = tables.found(PieceKind::Piece, &piece, 0, piece.len());
                let found = find_in(&tables, &place);
                assert!(found.iter().all(|&id| id == n), "{found:?} for {n}");
                tables.insert(&place, &vec![n; [3, 8, 20, 200][state as usize >> 22 & 3]]);
            }
        };
        std::thread::scope(|scope| {
            for seed in 1..=4 {
                let work = &work;
                scope.spawn(move || work(seed));
            }
        });
    }
}
