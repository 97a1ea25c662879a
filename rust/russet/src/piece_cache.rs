//! A cache from a piece's bytes to its ids, of bounded size, shared by all threads without a lock.
//!
//! Most pieces of a text were met before, and most are one or two tokens. A short piece (up to 15 bytes and 3 ids, or up to 6 small
//! ones) has a slot of 32 bytes, two slots a cache line; a longer one (up to 48 bytes and 18 ids) a slot of 128 bytes. A key may be
//! in one of two slots, and if both were taken, in one of the two beside them; a new one takes a free slot, or the place of one of the
//! first two. Keys are compared whole, so a hash can never mislead.
//!
//! A hit costs about 5 ns, and more if it is the first for long. The tables begin small, as each first touch of a page costs as much as a hundred hits, and are replaced
//! by larger ones, into which their entries are copied, up to 12 MiB. The wrong choice where pieces rarely repeat, and for texts
//! that are one piece.

mod slots;

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::hashing::fold;
use crate::memory::{self, Once, Zeroed};
pub(crate) use slots::LONG_IDS;
use slots::{few_ids, pack, unpack, word, LongSlot, ShortPair, ShortSlot, ELSEWHERE, HAS_MORE_BESIDE, LONG_BYTES, SHORT_BYTES};

/// The sizes of the tables, as powers of two: pairs of slots for short pieces, and slots for long ones.
const SIZES: [(u32, u32); 3] = [(11, 9), (15, 13), (17, 15)];

/// The cache of one tokenizer.
pub(crate) struct PieceCache {
    first: Tables,
    larger: [Once<Tables>; SIZES.len() - 1],
    /// Which tables are in use.
    level: AtomicUsize,
}

/// The tables of one size.
pub(crate) struct Tables {
    short: Zeroed<ShortPair>,
    long: Zeroed<LongSlot>,
    /// How many pieces were put in.
    inserted: AtomicUsize,
}

/// Where a piece is to be looked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    /// What [`short_key`] says of a short piece; the hash of a longer one, and 0.
    key: [u64; 2],
    /// Which two slots.
    pair: u32,
}

impl Place {
    fn is_short(&self) -> bool {
        self.key[1] != 0
    }

    /// The hash of the piece among longer ones.
    fn long_hash(&self, kind: PieceKind, piece: &[u8]) -> u64 {
        match self.is_short() {
            true => long_hash(kind, piece),
            false => self.key[0],
        }
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

/// The hash of a piece that is not short; any of one that is too long.
fn long_hash(kind: PieceKind, piece: &[u8]) -> u64 {
    let mut hash = name(kind, piece);
    if piece.len() <= LONG_BYTES {
        for index in 0..piece.len().div_ceil(8) {
            hash = fold(hash ^ 0x9e37_79b9_7f4a_7c15, word(piece, index) ^ 0xd6e8_feb8_6659_fd93);
        }
    }
    hash
}

/// The length of a piece that is cached and its kind.
fn name(kind: PieceKind, piece: &[u8]) -> u64 {
    piece.len() as u64 & 0xff | (kind as u64) << 8
}

/// What a slot for longer pieces says of a piece: its name, and a part of its hash.
fn long_name(kind: PieceKind, piece: &[u8], hash: u64) -> u32 {
    name(kind, piece) as u32 | (hash >> 44 << 12) as u32
}

impl PieceCache {
    /// An empty cache.
    pub(crate) fn new() -> Self {
        Self { first: Tables::new(SIZES[0]), larger: [const { Once::new() }; SIZES.len() - 1], level: AtomicUsize::new(0) }
    }

    /// The size of the cache in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.first.bytes() + self.larger.iter().filter_map(Once::get).map(Tables::bytes).sum::<usize>()
    }

    /// The tables in use. They may be kept for a batch of pieces.
    #[inline(always)]
    pub(crate) fn tables(&self) -> &Tables {
        match self.level.load(Ordering::Acquire).checked_sub(1) {
            None => &self.first,
            Some(level) => self.larger.get(level).and_then(Once::get).unwrap_or(&self.first),
        }
    }

    /// Remembers the ids of a piece whose place in `tables` is known; makes room where that runs out.
    pub(crate) fn insert(&self, tables: &Tables, place: &Place, kind: PieceKind, piece: &[u8], ids: &[u32]) {
        tables.insert(place, kind, piece, ids);
        // A counter that several threads read and write without care may miss some.
        let inserted = tables.inserted.load(Ordering::Relaxed) + 1;
        tables.inserted.store(inserted, Ordering::Relaxed);
        if inserted > tables.short.len() && std::ptr::eq(tables, self.tables()) {
            self.grow(tables);
        }
    }

    #[cold]
    fn grow(&self, tables: &Tables) {
        let level = self.level.load(Ordering::Acquire);
        let (Some(&size), Some(larger)) = (SIZES.get(level + 1), self.larger.get(level)) else { return };
        let made = Tables::new(size);
        tables.copy_to(&made);
        larger.set(Box::new(made));
        // Only ever one step, so a slower thread does not skip tables that are not there.
        let _ = self.level.compare_exchange(level, level + 1, Ordering::AcqRel, Ordering::Relaxed);
    }
}

impl Tables {
    fn new((short_pairs, long_slots): (u32, u32)) -> Self {
        Self { short: Zeroed::new(1 << short_pairs), long: Zeroed::new(1 << long_slots), inserted: AtomicUsize::new(0) }
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.short) + size_of_val(&*self.long)
    }

    /// The first two slots for a short piece.
    #[inline(always)]
    fn short_pair(&self, key: [u64; 2]) -> usize {
        short_hash(key) as usize & (self.short.len() - 1)
    }

    /// A free slot for a piece whose two slots are `pair`, and which is in none.
    fn free_slot(&self, pair: usize) -> Option<&ShortSlot> {
        let ShortPair(slots) = &self.short[pair];
        let beside = || {
            slots[0].tail.fetch_or(HAS_MORE_BESIDE, Ordering::Relaxed);
            self.short[pair ^ 1].0.iter().find(|slot| slot.is_free())
        };
        slots.iter().find(|slot| slot.is_free()).or_else(beside)
    }

    #[inline(always)]
    fn long_pair(&self, hash: u64) -> [&LongSlot; 2] {
        let index = hash as usize & (self.long.len() - 1);
        [&self.long[index], &self.long[index ^ 1]]
    }

    /// Copies what is whole and finds a free slot.
    fn copy_to(&self, other: &Self) {
        for slot in self.short.iter().flat_map(|pair| &pair.0) {
            let key = [0, 1].map(|index| slot.key[index].load(Ordering::Relaxed));
            if let Some((bits, count)) = slot.get(key).filter(|_| key != [0; 2]) {
                other.free_slot(other.short_pair(key)).into_iter().for_each(|slot| slot.set(key, bits, count));
            }
        }
        let mut ids = [0; LONG_IDS];
        for slot in self.long.iter().filter(|slot| !slot.is_free()) {
            let name = slot.tail.load(Ordering::Acquire) as u32;
            let bytes: Vec<u8> = slot.key.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
            let (Some(piece), Some(kind)) = (bytes.get(..(name & 0xff) as usize), PieceKind::of(name >> 8 & 0xf)) else { continue };
            let count = slot.get(name, piece, &mut ids);
            if count > 0 {
                let free = other.long_pair(long_hash(kind, piece)).into_iter().find(|slot| slot.is_free());
                free.into_iter().for_each(|slot| slot.set(name, piece, &ids[..count]));
            }
        }
    }

    /// Finds the place of the piece `start..end` of `text`, of kind `kind`; asks the processor to fetch it.
    #[inline(always)]
    pub(crate) fn find(&self, kind: PieceKind, text: &[u8], start: u32, end: u32, place: &mut Place) {
        let length = (end as usize).wrapping_sub(start as usize);
        match text.get(start as usize..start as usize + 16) {
            Some(&[a, b, c, d, e, f, g, h, ref rest @ ..]) if length <= SHORT_BYTES => {
                let words = [[a, b, c, d, e, f, g, h], *rest.first_chunk().unwrap_or(&[0; 8])].map(u64::from_le_bytes);
                let key = short_key(kind, words, length);
                let pair = self.short_pair(key);
                memory::prefetch(&self.short[pair]);
                *place = Place { key, pair: pair as u32 };
            }
            _ => *place = self.place_of(kind, &text[start as usize..end as usize]),
        }
    }

    /// The place of a piece.
    #[inline(never)]
    pub(crate) fn place_of(&self, kind: PieceKind, piece: &[u8]) -> Place {
        if piece.len() <= SHORT_BYTES {
            let key = short_key(kind, [word(piece, 0), word(piece, 1)], piece.len());
            return Place { key, pair: self.short_pair(key) as u32 };
        }
        let hash = long_hash(kind, piece);
        let slots = self.long_pair(hash);
        slots.into_iter().for_each(|slot| memory::prefetch(slot));
        memory::prefetch(&slots[0].ids);
        Place { key: [hash, 0], pair: 0 }
    }

    /// Puts the ids of a piece at the beginning of `ids`, if they are known; the number of ids, or 0.
    #[inline(always)]
    pub(crate) fn ids(&self, place: &Place, kind: PieceKind, piece: &[u8], ids: &mut [u32; LONG_IDS]) -> usize {
        match self.few_ids(place, ids) {
            0 => self.more_ids(place, kind, piece, ids),
            count => count,
        }
    }

    /// The same, if there are up to `SHORT_IDS` and they are in a short slot.
    #[inline(always)]
    pub(crate) fn few_ids(&self, place: &Place, ids: &mut [u32; LONG_IDS]) -> usize {
        let ShortPair(slots) = &self.short[place.pair as usize];
        match few_ids(slots, place.key, ids) {
            0 if slots[0].has_more_beside() => few_ids(&self.short[place.pair as usize ^ 1].0, place.key, ids),
            count => count,
        }
    }

    /// The same for a piece of which [`few_ids`](Self::few_ids) knows nothing: its ids are more, or it is longer.
    #[inline(never)]
    pub(crate) fn more_ids(&self, place: &Place, kind: PieceKind, piece: &[u8], ids: &mut [u32; LONG_IDS]) -> usize {
        if !place.is_short() {
            return self.long_ids(place, kind, piece, ids);
        }
        let slots = &self.short[place.pair as usize].0;
        let mut known = slots.iter().find_map(|slot| slot.get(place.key));
        if known.is_none() && slots[0].has_more_beside() {
            known = self.short[place.pair as usize ^ 1].0.iter().find_map(|slot| slot.get(place.key));
        }
        match known {
            Some((bits, count)) => unpack(bits, count, ids).unwrap_or_else(|| self.long_ids(place, kind, piece, ids)),
            None => 0,
        }
    }

    /// The same of a piece that has no short slot.
    fn long_ids(&self, place: &Place, kind: PieceKind, piece: &[u8], ids: &mut [u32; LONG_IDS]) -> usize {
        if piece.len() > LONG_BYTES {
            return 0;
        }
        let hash = place.long_hash(kind, piece);
        let name = long_name(kind, piece, hash);
        self.long_pair(hash).into_iter().map(|slot| slot.get(name, piece, ids)).find(|&count| count > 0).unwrap_or(0)
    }

    /// Remembers the ids of a piece, if there is room for their number and its length.
    fn insert(&self, place: &Place, kind: PieceKind, piece: &[u8], ids: &[u32]) {
        let is_short = place.is_short();
        let packed = pack(ids).filter(|_| is_short);
        if is_short {
            let (bits, count) = packed.map_or((0, ELSEWHERE), |bits| (bits, ids.len()));
            let either = &self.short[place.pair as usize].0[(short_hash(place.key) >> 63) as usize];
            self.free_slot(place.pair as usize).unwrap_or(either).set(place.key, bits, count);
        }
        if packed.is_none() && piece.len() <= LONG_BYTES && !ids.is_empty() && ids.len() <= LONG_IDS {
            let hash = place.long_hash(kind, piece);
            let slots = self.long_pair(hash);
            let slot = slots.into_iter().find(|slot| slot.is_free()).unwrap_or(slots[(hash >> 63) as usize]);
            slot.set(long_name(kind, piece, hash), piece, ids);
        }
    }
}

impl PieceKind {
    fn of(number: u32) -> Option<Self> {
        [Self::Piece, Self::Word, Self::FirstWord, Self::FirstOfInput, Self::Unit].into_iter().find(|&kind| kind as u32 == number)
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
            self.find(kind, text, start as u32, end as u32, &mut place);
            let alone = self.place_of(kind, &text[start..end]);
            assert_eq!((place.key, place.pair), (alone.key, alone.pair));
            place
        }
    }

    fn find(cache: &PieceCache, kind: PieceKind, text: &[u8], start: usize, length: usize) -> Option<Vec<u32>> {
        let tables = cache.tables();
        let mut ids = vec![7];
        find_in(tables, &tables.found(kind, text, start, start + length), kind, &text[start..start + length], &mut ids)
            .then(|| ids.split_off(1))
    }

    fn find_in(tables: &Tables, place: &Place, kind: PieceKind, piece: &[u8], found: &mut Vec<u32>) -> bool {
        let mut ids = [0; LONG_IDS];
        let count = tables.ids(place, kind, piece, &mut ids);
        found.extend(&ids[..count]);
        count > 0
    }

    proptest! {
        #[test]
        fn gives_back_what_was_put_in_or_nothing(
            entries in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 1..90), proptest::collection::vec(prop_oneof![any::<u32>(), any::<u16>().prop_map(u32::from)], 1..16)), 1..60),
        ) {
            let cache = PieceCache::new();
            let mut known = HashMap::new();
            let mut text = Vec::new();
            for (piece, ids) in &entries {
                let start = text.len();
                text.extend_from_slice(piece);
                prop_assert!(find(&cache, PieceKind::Word, &text, start, piece.len()).is_none_or(|found| Some(&found) == known.get(piece)));
                if !known.contains_key(piece) {
                    let tables = cache.tables();
                    cache.insert(tables, &tables.found(PieceKind::Word, &text, start, text.len()), PieceKind::Word, piece, ids);
                    known.insert(piece.clone(), ids.clone());
                }
                let found = find(&cache, PieceKind::Word, &text, start, piece.len());
                prop_assert_eq!(found.is_some(), piece.len() <= LONG_BYTES && known[piece].len() <= LONG_IDS);
                prop_assert!(found.is_none_or(|found| found == known[piece]));
                prop_assert_eq!(find(&cache, PieceKind::Piece, &text, start, piece.len()), None);
            }
        }
    }

    #[test]
    fn a_full_cache_forgets_and_stays_right() {
        let cache = PieceCache::new();
        let key = |n: u32| format!("{n:x}").into_bytes();
        for n in 0..2_000_000 {
            let piece = key(n);
            let tables = cache.tables();
            cache.insert(tables, &tables.found(PieceKind::Piece, &piece, 0, piece.len()), PieceKind::Piece, &piece, &[n]);
        }
        let mut known = 0;
        for n in 0..2_000_000 {
            let piece = key(n);
            if let Some(ids) = find(&cache, PieceKind::Piece, &piece, 0, piece.len()) {
                assert_eq!(ids, [n]);
                known += 1;
            }
        }
        assert!(known > (2 << SIZES[2].0) * 9 / 10, "{known} pieces are known");
        assert_eq!(cache.level.load(Ordering::Relaxed), SIZES.len() - 1);
    }

    #[test]
    fn threads_read_whole_entries_only() {
        // Few places and many writers: each entry's ids are all the same number, which its key names.
        let tables = Tables::new((1, 1));
        let work = |seed: u32| {
            let mut state = seed;
            for _ in 0..200_000 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let n = state >> 16 & 7;
                let piece = vec![b'a' + n as u8; if state >> 20 & 1 == 1 { 9 } else { 40 }];
                let place = tables.found(PieceKind::Piece, &piece, 0, piece.len());
                let mut found = Vec::new();
                find_in(&tables, &place, PieceKind::Piece, &piece, &mut found);
                assert!(found.iter().all(|&id| id == n), "{found:?} for {n}");
                tables.insert(&place, PieceKind::Piece, &piece, &vec![n; if state >> 21 & 1 == 1 { 3 } else { 5 }]);
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
