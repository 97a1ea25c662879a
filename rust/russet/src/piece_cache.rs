//! A cache from a piece's bytes to its ids, of bounded size, shared by all threads without a lock.
//!
//! Most pieces of a text were met before, and most are one or two tokens. A short piece (up to 15 bytes and 3 ids, or up to 6 small
//! ones) has a slot of 32 bytes, two slots a cache line; a longer one (up to 48 bytes and 18 ids) a slot of 128 bytes. A key may be
//! in one of two slots; a new one takes the free slot, or the place of one of them. Keys are compared whole, so a hash can never
//! mislead.
//!
//! Each slot is a sequence lock (Boehm, 2012, "Can seqlocks get along with programming language memory models?"): its last word
//! holds a version, which is odd while a thread writes. A reader that sees the version change has missed; a writer that finds
//! another one at work goes away. So nobody ever waits, and a thread that stops midway, or a fork, leaves one slot unused.
//!
//! A hit costs about 5 ns. The tables begin small, as each first touch of a page costs as much as a hundred hits, and are replaced
//! by larger ones, into which their entries are copied, up to 12 MiB. The wrong choice where pieces rarely repeat, and for texts
//! that are one piece.

use std::sync::atomic::{fence, AtomicU64, AtomicUsize, Ordering};

use crate::hashing::fold;
use crate::memory::{self, Once, Zeroable, Zeroed};

/// The longest piece that a short slot holds: one byte of its 16 is the length.
const SHORT_BYTES: usize = 15;
/// The most ids that a short slot holds as they are.
pub(crate) const SHORT_IDS: usize = 3;
/// The most ids that it holds, and their bits if there are more than `SHORT_IDS`.
pub(crate) const PACKED_IDS: usize = 6;
const PACKED_BITS: [u32; PACKED_IDS + 1] = [32, 32, 32, 32, 24, 19, 16];
/// In place of a count: the ids are in a slot for longer pieces.
const ELSEWHERE: usize = 0xff;
/// The longest piece that is cached, in words of 8 bytes, and in bytes.
const LONG_WORDS: usize = 6;
const LONG_BYTES: usize = 8 * LONG_WORDS;
/// The most ids that are cached for a piece, two to a word.
const LONG_IDS: usize = 18;

/// The sizes of the tables, as powers of two: pairs of slots for short pieces, and slots for long ones.
const SIZES: [(u32, u32); 3] = [(11, 10), (14, 13), (17, 15)];

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

/// Two slots, a cache line.
#[repr(C, align(64))]
struct ShortPair([ShortSlot; 2]);

#[repr(C)]
struct ShortSlot {
    key: [AtomicU64; 2],
    /// Two ids.
    ids: AtomicU64,
    /// The third id in the lower half, and in the upper half the number of ids (8 bits) and the version (24 bits).
    tail: AtomicU64,
}

/// A slot, two cache lines.
#[repr(C, align(128))]
struct LongSlot {
    /// The kind and the length of the piece and a part of its hash in the lower half, and the upper half as above. It comes first, so
    /// that what is not looked for is passed over with one look.
    tail: AtomicU64,
    key: [AtomicU64; LONG_WORDS],
    ids: [AtomicU64; LONG_IDS / 2],
}

// SAFETY: all fields are AtomicU64, for which zero is a value.
unsafe impl Zeroable for ShortPair {}
// SAFETY: as above.
unsafe impl Zeroable for LongSlot {}

/// Where a piece is to be looked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    /// The bytes of a short piece, its length and kind; 0 for a longer one.
    key: [u64; 2],
    hash: u64,
}

/// What is known of a short piece.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Short {
    /// Its ids and their number; of those behind any may stand there.
    Ids([u32; SHORT_IDS], usize),
    /// The same, of more ids.
    Packed([u32; PACKED_IDS], usize),
    /// They may be known as those of longer pieces are.
    Elsewhere,
    Unknown,
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
}

impl std::fmt::Debug for PieceCache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PieceCache").field("bytes", &self.bytes()).finish()
    }
}

/// The bytes of the two words of a short key that belong to a piece of each length.
const KEY_MASKS: [[u64; 2]; SHORT_BYTES + 1] = {
    let mut masks = [[0; 2]; SHORT_BYTES + 1];
    let mut length = 1;
    while length <= SHORT_BYTES {
        masks[length] = match length {
            ..8 => [(1 << (8 * length)) - 1, 0],
            _ => [u64::MAX, (1 << (8 * (length - 8))) - 1],
        };
        length += 1;
    }
    masks
};

/// The bytes of a piece of at most 15 bytes that lies in `text` at `start`, and in the last byte its length and its kind.
#[inline(always)]
fn short_key(kind: PieceKind, text: &[u8], start: usize, length: usize) -> [u64; 2] {
    let chunk: [u8; 16] = match text.get(start..start + 16).and_then(|bytes| bytes.first_chunk()) {
        Some(chunk) => *chunk,
        None => {
            let mut chunk = [0; 16];
            chunk[..length].copy_from_slice(&text[start..start + length]);
            chunk
        }
    };
    let bytes = u128::from_le_bytes(chunk);
    let masks = &KEY_MASKS[length & SHORT_BYTES];
    let end = (length as u64 | (kind as u64) << 4) << 56;
    [bytes as u64 & masks[0], (bytes >> 64) as u64 & masks[1] | end]
}

#[inline(always)]
fn short_hash(key: [u64; 2]) -> u64 {
    fold(key[0] ^ 0x9e37_79b9_7f4a_7c15, key[1] ^ 0xd6e8_feb8_6659_fd93)
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

/// The word at `index` of a piece, filled up with zeros.
#[inline(always)]
fn word(piece: &[u8], index: usize) -> u64 {
    let rest = piece.get(8 * index..).unwrap_or_default();
    match rest.first_chunk() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => {
            let mut chunk = [0; 8];
            chunk[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(chunk)
        }
    }
}

/// The number of ids that a slot's last word announces.
#[inline(always)]
fn count(tail: u64) -> usize {
    (tail >> 32 & 0xff) as usize
}

#[inline(always)]
fn is_being_written(tail: u64) -> bool {
    tail >> 40 & 1 == 1
}

/// The last word of the next version of a slot.
fn next_tail(tail: u64, low: u32, count: usize) -> u64 {
    let version = (tail >> 40).wrapping_add(2) & 0xff_fffe;
    u64::from(low) | (count as u64) << 32 | version << 40
}

/// Writes a slot by `store`, unless another thread is at it.
fn write(tail: &AtomicU64, low: u32, count: usize, store: impl FnOnce()) {
    let old = tail.load(Ordering::Relaxed);
    let locked = old | 1 << 40;
    if old == locked || tail.compare_exchange(old, locked, Ordering::Acquire, Ordering::Relaxed).is_err() {
        return;
    }
    fence(Ordering::Release);
    store();
    tail.store(next_tail(old, low, count), Ordering::Release);
}

impl PieceCache {
    /// An empty cache.
    pub(crate) fn new() -> Self {
        Self { first: Tables::new(SIZES[0]), larger: [Once::new(), Once::new()], level: AtomicUsize::new(0) }
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
    pub(crate) fn insert(&self, tables: &Tables, place: Place, kind: PieceKind, piece: &[u8], ids: &[u32]) {
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

    #[inline(always)]
    fn short_pair(&self, hash: u64) -> &[ShortSlot; 2] {
        &self.short[hash as usize & (self.short.len() - 1)].0
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
                let free = other.short_pair(short_hash(key)).iter().find(|slot| slot.is_free());
                free.into_iter().for_each(|slot| slot.set(key, bits, count));
            }
        }
        let mut ids = Vec::with_capacity(LONG_IDS);
        for slot in self.long.iter().filter(|slot| !slot.is_free()) {
            let name = slot.tail.load(Ordering::Acquire) as u32;
            let bytes: Vec<u8> = slot.key.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
            let (Some(piece), Some(kind)) = (bytes.get(..(name & 0xff) as usize), PieceKind::of(name >> 8 & 0xf)) else { continue };
            ids.clear();
            if slot.get(name, piece, &mut ids) {
                let free = other.long_pair(place_of(kind, piece).hash).into_iter().find(|slot| slot.is_free());
                free.into_iter().for_each(|slot| slot.set(name, piece, &ids));
            }
        }
    }

    /// The place of the piece `start..start + length` of `text`, of kind `kind`; asks the processor to fetch it.
    #[inline(always)]
    pub(crate) fn place(&self, kind: PieceKind, text: &[u8], start: usize, length: usize) -> Place {
        if length <= SHORT_BYTES {
            let key = short_key(kind, text, start, length);
            let hash = short_hash(key);
            memory::prefetch(self.short_pair(hash));
            return Place { key, hash };
        }
        self.long_place(kind, &text[start..start + length])
    }

    fn long_place(&self, kind: PieceKind, piece: &[u8]) -> Place {
        let hash = long_hash(kind, piece);
        let slots = self.long_pair(hash);
        slots.into_iter().for_each(memory::prefetch);
        memory::prefetch(&slots[0].ids);
        Place { key: [0; 2], hash }
    }

    /// What is known of a piece, if it is short.
    #[inline(always)]
    pub(crate) fn short(&self, place: Place) -> Short {
        if place.key[1] == 0 {
            return Short::Elsewhere;
        }
        let slots = self.short_pair(place.hash);
        let is_second = slots[0].differs(place.key);
        match slots[usize::from(is_second)].get(place.key) {
            Some((bits, count @ 0..=SHORT_IDS)) => Short::Ids([bits as u32, (bits >> 32) as u32, (bits >> 64) as u32], count),
            Some((bits, count)) => unpack(bits, count),
            None => Short::Unknown,
        }
    }

    /// Appends the ids of a piece that has no short slot, and tells whether they are known.
    pub(crate) fn long_ids(&self, place: Place, kind: PieceKind, piece: &[u8], ids: &mut Vec<u32>) -> bool {
        if piece.len() > LONG_BYTES {
            return false;
        }
        let name = long_name(kind, piece, place.hash);
        self.long_pair(place.hash).into_iter().any(|slot| slot.get(name, piece, ids))
    }

    /// Remembers the ids of a piece, if there is room for their number and its length.
    fn insert(&self, place: Place, kind: PieceKind, piece: &[u8], ids: &[u32]) {
        let either = (place.hash >> 63) as usize;
        let is_short = place.key[1] != 0;
        let packed = pack(ids).filter(|_| is_short);
        if is_short {
            let (bits, count) = packed.map_or((0, ELSEWHERE), |bits| (bits, ids.len()));
            let slots = self.short_pair(place.hash);
            slots.iter().find(|slot| slot.is_free()).unwrap_or(&slots[either]).set(place.key, bits, count);
        }
        if packed.is_none() && piece.len() <= LONG_BYTES && !ids.is_empty() && ids.len() <= LONG_IDS {
            let slots = self.long_pair(place.hash);
            let slot = slots.into_iter().find(|slot| slot.is_free()).unwrap_or(slots[either]);
            slot.set(long_name(kind, piece, place.hash), piece, ids);
        }
    }
}

/// The place of a piece, which may be short.
fn place_of(kind: PieceKind, piece: &[u8]) -> Place {
    match piece.len() {
        0..=SHORT_BYTES => {
            let key = short_key(kind, piece, 0, piece.len());
            Place { key, hash: short_hash(key) }
        }
        _ => Place { key: [0; 2], hash: long_hash(kind, piece) },
    }
}

/// The ids as a short slot has them, if they fit.
fn pack(ids: &[u32]) -> Option<u128> {
    let bits = *PACKED_BITS.get(ids.len())?;
    let fits = |id: u32| bits == 32 || id >> bits == 0;
    ids.iter().all(|&id| fits(id)).then(|| ids.iter().rev().fold(0, |packed, &id| packed << bits | u128::from(id)))
}

#[cold]
fn unpack(bits: u128, count: usize) -> Short {
    let Some(&width) = PACKED_BITS.get(count) else { return Short::Elsewhere };
    Short::Packed(std::array::from_fn(|index| (bits >> (index as u32 * width)) as u32 & ((1 << width) - 1)), count)
}

impl PieceKind {
    fn of(number: u32) -> Option<Self> {
        [Self::Piece, Self::Word, Self::FirstWord, Self::FirstOfInput].into_iter().find(|&kind| kind as u32 == number)
    }
}

impl ShortSlot {
    fn is_free(&self) -> bool {
        count(self.tail.load(Ordering::Relaxed)) == 0
    }

    #[inline(always)]
    fn differs(&self, key: [u64; 2]) -> bool {
        (self.key[0].load(Ordering::Relaxed) ^ key[0]) | (self.key[1].load(Ordering::Relaxed) ^ key[1]) != 0
    }

    /// The ids of a piece as they are packed, and their number.
    #[inline(always)]
    fn get(&self, key: [u64; 2]) -> Option<(u128, usize)> {
        let tail = self.tail.load(Ordering::Acquire);
        let is_key = !self.differs(key);
        let ids = self.ids.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let is_whole = !is_being_written(tail) && self.tail.load(Ordering::Relaxed) == tail;
        (is_key && is_whole).then_some((u128::from(ids) | u128::from(tail as u32) << 64, count(tail)))
    }

    fn set(&self, key: [u64; 2], bits: u128, count: usize) {
        write(&self.tail, (bits >> 64) as u32, count, || {
            self.key[0].store(key[0], Ordering::Relaxed);
            self.key[1].store(key[1], Ordering::Relaxed);
            self.ids.store(bits as u64, Ordering::Relaxed);
        });
    }
}

impl LongSlot {
    fn is_free(&self) -> bool {
        count(self.tail.load(Ordering::Relaxed)) == 0
    }

    fn get(&self, name: u32, piece: &[u8], ids: &mut Vec<u32>) -> bool {
        let tail = self.tail.load(Ordering::Acquire);
        if tail as u32 != name || is_being_written(tail) {
            return false;
        }
        if (0..piece.len().div_ceil(8)).any(|index| self.key[index].load(Ordering::Relaxed) != word(piece, index)) {
            return false;
        }
        let start = ids.len();
        for pair in &self.ids[..count(tail).div_ceil(2)] {
            let pair = pair.load(Ordering::Relaxed);
            ids.extend([pair as u32, (pair >> 32) as u32]);
        }
        fence(Ordering::Acquire);
        let is_whole = self.tail.load(Ordering::Relaxed) == tail;
        ids.truncate(start + if is_whole { count(tail) } else { 0 });
        is_whole
    }

    fn set(&self, name: u32, piece: &[u8], ids: &[u32]) {
        write(&self.tail, name, ids.len(), || {
            for (index, slot) in self.key.iter().enumerate() {
                slot.store(word(piece, index), Ordering::Relaxed);
            }
            for (pair, slot) in ids.chunks(2).zip(&self.ids) {
                slot.store(u64::from(pair[0]) | u64::from(pair.get(1).copied().unwrap_or(0)) << 32, Ordering::Relaxed);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn find(cache: &PieceCache, kind: PieceKind, text: &[u8], start: usize, length: usize) -> Option<Vec<u32>> {
        let tables = cache.tables();
        let place = tables.place(kind, text, start, length);
        match tables.short(place) {
            Short::Ids(ids, count) => Some(ids[..count].to_vec()),
            Short::Packed(ids, count) => Some(ids[..count].to_vec()),
            Short::Unknown => None,
            Short::Elsewhere => {
                let mut ids = vec![7];
                tables.long_ids(place, kind, &text[start..start + length], &mut ids).then(|| ids[1..].to_vec())
            }
        }
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
                    cache.insert(tables, tables.place(PieceKind::Word, &text, start, piece.len()), PieceKind::Word, piece, ids);
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
            cache.insert(tables, tables.place(PieceKind::Piece, &piece, 0, piece.len()), PieceKind::Piece, &piece, &[n]);
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
        assert_eq!(cache.level.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn threads_read_whole_entries_only() {
        let cache = PieceCache::new();
        // Few places and many writers: each entry's ids are all the same number, which its key names.
        let work = |seed: u32| {
            let mut state = seed;
            for _ in 0..200_000 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let n = state >> 16 & 7;
                let piece = vec![b'a' + n as u8; if state >> 20 & 1 == 1 { 9 } else { 40 }];
                let tables = cache.tables();
                let place = Place { hash: 5, ..tables.place(PieceKind::Piece, &piece, 0, piece.len()) };
                let mut found = Vec::new();
                match tables.short(place) {
                    Short::Ids(ids, count) => found.extend(&ids[..count]),
                    Short::Packed(ids, count) => found.extend(&ids[..count]),
                    Short::Unknown => {}
                    Short::Elsewhere => drop(tables.long_ids(place, PieceKind::Piece, &piece, &mut found)),
                }
                assert!(found.iter().all(|&id| id == n), "{found:?} for {n}");
                cache.insert(tables, place, PieceKind::Piece, &piece, &vec![n; if state >> 21 & 1 == 1 { 3 } else { 5 }]);
            }
        };
        std::thread::scope(|scope| {
            for seed in 1..=4 {
                scope.spawn(move || work(seed));
            }
        });
    }
}
