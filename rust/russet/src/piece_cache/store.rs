//! A store for what no slot has room for: the ids of long pieces, one list behind the other.
//!
//! An entry is two words that stand for the piece, its fingerprint, and its ids, two to four in a word. Entries fill pages of 8 KiB, one
//! after the other and round and round, so the oldest are forgotten. An index tells where entries are: lines of eight words, each with
//! a part of the fingerprint, a place, and the generation of the page. To look a piece up costs such a line and, where that has a word
//! for it, the entry. O(1) for each id. The wrong choice where pieces are met once, or a little more than there is room for is asked for
//! in turns.
//!
//! No thread waits. What was written to a page stays as it is until the page's generation changes, so a reader that sees the same
//! generation before and after has read a whole entry. A writer locks the page, and goes to the next if another thread is at it; so a
//! thread that stops midway, or a fork, leaves one page unused.

use std::sync::atomic::{fence, AtomicU64, AtomicUsize, Ordering};

use super::fingerprint::SECOND_BITS;
use crate::memory::{self, Zeroable, Zeroed};

const PAGE_WORDS: usize = 1 << 10;
/// The most words of an entry: a quarter of a page, so that little is left free at its end.
const MOST_WORDS: usize = PAGE_WORDS / 4;
/// The words of the index that belong to a fingerprint.
const LINE_WORDS: usize = 8;
/// Lines of the index for each page: one word for 43 bytes. Entries of Chinese clauses take 60 on average, and lines are not filled alike.
const LINES_FOR_A_PAGE: usize = 24;
/// How many pages a writer tries.
const ATTEMPTS: usize = 3;

/// What stands for a piece.
type Key = [u64; 2];

/// A word of the index, or zero: the place of an entry in words (24 bits), the generation of its page (24 bits), and a part of its key.
#[derive(Clone, Copy)]
pub(super) struct Entry(pub(super) u64);

const GENERATION_SHIFT: u32 = 24;
const TAG_SHIFT: u32 = 48;
const LAST_GENERATION: u32 = (1 << (TAG_SHIFT - GENERATION_SHIFT)) - 1;

impl Entry {
    fn new(key: Key, generation: u32, place: usize) -> Self {
        Self(place as u64 | u64::from(generation) << GENERATION_SHIFT | key[1] << TAG_SHIFT)
    }

    /// Whether it may be that of a piece.
    #[inline(always)]
    fn may_be(self, key: Key) -> bool {
        (self.0 ^ key[1] << TAG_SHIFT) >> TAG_SHIFT == 0 && self.0 != 0
    }

    /// Which page it is in, and where there.
    #[inline(always)]
    fn place(self) -> (usize, usize) {
        let place = (self.0 & ((1 << GENERATION_SHIFT) - 1)) as usize;
        (place / PAGE_WORDS, place % PAGE_WORDS)
    }

    #[inline(always)]
    fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT) as u32 & LAST_GENERATION
    }
}

/// The state of a page: the generation (the upper half), how many words are written (above the lowest 8 bits), and two flags.
#[derive(Clone, Copy)]
struct State(u64);

const IS_LOCKED: u64 = 1;
/// Or was never written to, which no flag tells.
const IS_FULL: u64 = 2;

impl State {
    fn new(generation: u32, written: usize) -> Self {
        Self(u64::from(generation) << 32 | (written as u64) << 8)
    }

    #[inline(always)]
    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn written(self) -> usize {
        (self.0 as u32 >> 8) as usize
    }
}

#[repr(C, align(64))]
struct Line([AtomicU64; LINE_WORDS]);

#[repr(C, align(64))]
struct Page([AtomicU64; PAGE_WORDS]);

// SAFETY: all fields are AtomicU64, for which zero is a value.
unsafe impl Zeroable for Line {}
// SAFETY: as above.
unsafe impl Zeroable for Page {}
// SAFETY: as above.
unsafe impl Zeroable for AtomicU64 {}

/// A number of pages and their index.
pub(super) struct Store {
    index: Zeroed<Line>,
    pages: Zeroed<Page>,
    states: Zeroed<AtomicU64>,
    /// How many pages were filled; it tells which one is written to.
    turn: AtomicUsize,
}

/// The second word of a key with, above it, how many ids there are and, less one, how many of them are in a word (two bits).
#[derive(Clone, Copy)]
struct Head(u64);

const IN_WORD_SHIFT: u32 = SECOND_BITS;
const COUNT_SHIFT: u32 = SECOND_BITS + 2;

const _: () = assert!(4 * MOST_WORDS <= 1 << (64 - COUNT_SHIFT));

impl Head {
    fn new(second: u64, ids: usize, in_word: usize) -> Self {
        Self(second | (in_word as u64 - 1) << IN_WORD_SHIFT | (ids as u64) << COUNT_SHIFT)
    }

    #[inline(always)]
    fn second(self) -> u64 {
        self.0 & ((1 << SECOND_BITS) - 1)
    }

    #[inline(always)]
    fn ids(self) -> usize {
        (self.0 >> COUNT_SHIFT) as usize
    }

    #[inline(always)]
    fn in_word(self) -> usize {
        (self.0 >> IN_WORD_SHIFT & 3) as usize + 1
    }
}

/// How many ids are in a word: all have 16, 21 or 32 bits.
fn ids_in_word(ids: &[u32]) -> usize {
    match ids.iter().fold(0, |all, id| all | id) {
        ..0x1_0000 => 4,
        0x1_0000..0x20_0000 => 3,
        _ => 2,
    }
}

/// Appends `count` ids that are `N` in a word.
#[inline(always)]
fn read_ids<const N: usize>(words: &[AtomicU64], count: usize, ids: &mut Vec<u32>) {
    let bits = 64 / N as u32;
    let start = ids.len();
    ids.resize(start + N * words.len(), 0);
    for (ids, word) in ids[start..].as_chunks_mut::<N>().0.iter_mut().zip(words) {
        let word = word.load(Ordering::Relaxed);
        *ids = std::array::from_fn(|index| (word >> (bits * index as u32)) as u32 & (u32::MAX >> (32 - bits)));
    }
    ids.truncate(start + count);
}

/// Writes ids, `N` in a word.
#[inline(always)]
fn write_ids<const N: usize>(ids: &[u32], words: &[AtomicU64]) {
    let bits = 64 / N as u32;
    let pack = |ids: &[u32; N]| (0..).zip(ids).fold(0, |word, (index, &id): (u32, _)| word | u64::from(id) << (bits * index));
    let (whole, rest) = ids.as_chunks();
    let mut last = [0; N];
    last[..rest.len()].copy_from_slice(rest);
    for (word, ids) in words.iter().zip(whole.iter().chain([&last])) {
        word.store(pack(ids), Ordering::Relaxed);
    }
}

impl Store {
    pub(super) fn new(pages: usize) -> Self {
        let index = Zeroed::new(pages * LINES_FOR_A_PAGE);
        Self { index, pages: Zeroed::new(pages), states: Zeroed::new(pages), turn: AtomicUsize::new(0) }
    }

    /// What a store of so many pages takes, in bytes.
    pub(super) const fn bytes_of(pages: usize) -> usize {
        pages * (size_of::<Page>() + size_of::<AtomicU64>() + LINES_FOR_A_PAGE * size_of::<Line>())
    }

    /// The number of pages.
    pub(super) fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether all pages were filled.
    pub(super) fn is_full(&self) -> bool {
        self.turn.load(Ordering::Relaxed) >= self.pages.len()
    }

    /// The words of the index for a key.
    #[inline(always)]
    fn line(&self, key: Key) -> &Line {
        &self.index[(((key[0] >> 29) * self.index.len() as u64) >> 32) as usize]
    }

    /// Asks the processor to fetch what tells where a piece is.
    #[inline(always)]
    pub(super) fn prefetch(&self, key: Key) {
        memory::prefetch(self.line(key));
    }

    /// The entries that may be those of a key.
    #[inline(always)]
    fn entries(&self, key: Key) -> impl Iterator<Item = Entry> + '_ {
        let Line(line) = self.line(key);
        line.iter().map(|word| Entry(word.load(Ordering::Acquire))).filter(move |entry| entry.may_be(key))
    }

    /// Whether a piece may be there; the processor is then asked to fetch it.
    #[inline(always)]
    pub(super) fn may_have(&self, key: Key) -> bool {
        self.entries(key).next().inspect(|&entry| self.prefetch_entry(entry)).is_some()
    }

    /// Asks the processor to fetch an entry, or as much of it as most have.
    #[inline(always)]
    pub(super) fn prefetch_entry(&self, entry: Entry) {
        let (page, at) = entry.place();
        if let Some(words) = self.pages.get(page).and_then(|Page(words)| words.get(at..)) {
            words.chunks(LINE_WORDS).take(2).for_each(|words| memory::prefetch(words.as_ptr()));
        }
    }

    /// Appends the ids of a piece, if they are there; their number, or 0.
    pub(super) fn get(&self, key: Key, ids: &mut Vec<u32>) -> usize {
        self.entries(key).map(|entry| self.read(entry, |found| found == key, ids)).find(|&count| count > 0).unwrap_or(0)
    }

    /// Appends the ids of an entry, if it is there; their number, or 0.
    pub(super) fn get_entry(&self, entry: Entry, ids: &mut Vec<u32>) -> usize {
        self.read(entry, |_| true, ids)
    }

    /// Appends the ids of an entry, if it is there and its key is what is looked for; their number, or 0.
    #[inline(always)]
    fn read(&self, entry: Entry, mut is_wanted: impl FnMut(Key) -> bool, ids: &mut Vec<u32>) -> usize {
        let (page, at) = entry.place();
        let (Some(state), Some(Page(words))) = (self.states.get(page), self.pages.get(page)) else { return 0 };
        let is_there = |order: Ordering| State(state.load(order)).generation() == entry.generation();
        let [first, head, packed @ ..] = &words[at..] else { return 0 };
        if !is_there(Ordering::Acquire) {
            return 0;
        }
        let start = ids.len();
        let head = Head(head.load(Ordering::Relaxed));
        if is_wanted([first.load(Ordering::Relaxed), head.second()]) {
            // None if another thread writes here.
            let packed = packed.get(..head.ids().div_ceil(head.in_word())).unwrap_or_default();
            match head.in_word() {
                4 => read_ids::<4>(packed, head.ids(), ids),
                3 => read_ids::<3>(packed, head.ids(), ids),
                _ => read_ids::<2>(packed, head.ids(), ids),
            }
        }
        fence(Ordering::Acquire);
        if !is_there(Ordering::Relaxed) {
            ids.truncate(start);
        }
        ids.len() - start
    }

    /// Remembers the ids of a piece, unless they are too many.
    pub(super) fn insert(&self, key: Key, ids: &[u32]) {
        let Some(entry) = self.put(key, ids) else { return };
        let Line(line) = self.line(key);
        // A word that is free, or of which the entry is gone, or else any.
        let is_gone = |word: &&AtomicU64| {
            let entry = Entry(word.load(Ordering::Relaxed));
            let state = self.states.get(entry.place().0).map_or(0, |state| state.load(Ordering::Relaxed));
            entry.0 == 0 || State(state).generation() != entry.generation()
        };
        let word = line.iter().find(is_gone).unwrap_or(&line[entry.place().1 / 2 % LINE_WORDS]);
        word.store(entry.0, Ordering::Release);
    }

    /// Writes an entry that is not in the index, unless the ids are too many or other threads are in the way.
    pub(super) fn put(&self, key: Key, ids: &[u32]) -> Option<Entry> {
        let in_word = ids_in_word(ids);
        let count = 2 + ids.len().div_ceil(in_word);
        if count > MOST_WORDS || ids.is_empty() {
            return None;
        }
        let write = |room: &[AtomicU64]| {
            let [first, head, packed @ ..] = room else { return };
            first.store(key[0], Ordering::Relaxed);
            head.store(Head::new(key[1], ids.len(), in_word).0, Ordering::Relaxed);
            match in_word {
                4 => write_ids::<4>(ids, packed),
                3 => write_ids::<3>(ids, packed),
                _ => write_ids::<2>(ids, packed),
            }
        };
        let (generation, place) = self.append(count, write)?;
        Some(Entry::new(key, generation, place))
    }

    /// Writes an entry of `count` words; the generation of its page and its place, or `None` if other threads were in the way.
    #[inline(always)]
    fn append(&self, count: usize, write: impl Fn(&[AtomicU64])) -> Option<(u32, usize)> {
        for _ in 0..ATTEMPTS {
            let turn = self.turn.load(Ordering::Relaxed);
            let page = turn % self.pages.len();
            let (state, Page(words)) = (&self.states[page], &self.pages[page]);
            let next = || self.turn.compare_exchange(turn, turn + 1, Ordering::Relaxed, Ordering::Relaxed);
            let old = state.load(Ordering::Relaxed);
            let locked = old | IS_LOCKED;
            if locked == old || state.compare_exchange(old, locked, Ordering::Acquire, Ordering::Relaxed).is_err() {
                let _ = next();
                continue;
            }
            let (mut generation, mut written) = (State(old).generation(), State(old).written());
            if old == 0 || old & IS_FULL != 0 {
                if generation == LAST_GENERATION {
                    // What was in the page long ago may still be in the index.
                    let _ = next();
                    state.store(old, Ordering::Release);
                    continue;
                }
                (generation, written) = (generation + 1, 0);
                state.store(State::new(generation, 0).0 | IS_LOCKED, Ordering::Relaxed);
                fence(Ordering::Release);
            }
            let Some(room) = words.get(written..written + count) else {
                let _ = next();
                state.store(old | IS_FULL, Ordering::Release);
                continue;
            };
            write(room);
            state.store(State::new(generation, written + count).0, Ordering::Release);
            return Some((generation, page * PAGE_WORDS + written));
        }
        None
    }

    /// Copies an entry that is not in the index, if it is whole; the word that tells where.
    pub(super) fn copy_entry(&self, entry: Entry, other: &Self) -> Option<u128> {
        let mut ids = Vec::new();
        self.get_entry(entry, &mut ids);
        other.put([0; 2], &ids).map(|Entry(entry)| entry.into())
    }

    /// Copies what is in the index and whole.
    pub(super) fn copy_to(&self, other: &Self) {
        let mut ids = Vec::new();
        for word in self.index.iter().flat_map(|Line(line)| line) {
            let (entry, mut key) = (Entry(word.load(Ordering::Acquire)), [0; 2]);
            ids.clear();
            let keep = |found: Key| {
                key = found;
                true
            };
            if self.read(entry, keep, &mut ids) > 0 {
                other.insert(key, &ids);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> Key {
        [n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 3, n.wrapping_mul(0xd6e8_feb8_6659_fd93) >> (64 - SECOND_BITS)]
    }

    fn ids(store: &Store, key: Key) -> Vec<u32> {
        let mut ids = vec![7];
        let count = store.get(key, &mut ids);
        assert_eq!((ids.len(), ids[0]), (1 + count, 7));
        ids.split_off(1)
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let store = Store::new(4);
        for n in 0..9000 {
            store.insert(key(n), &[n as u32; 12]);
            assert_eq!(ids(&store, key(n)), [n as u32; 12]);
            assert_eq!(store.is_full(), n >= 4 * (PAGE_WORDS as u64 / 5));
        }
        let known: Vec<u64> = (0..9000).filter(|&n| !ids(&store, key(n)).is_empty()).collect();
        assert!(known.iter().all(|&n| ids(&store, key(n)) == [n as u32; 12]));
        assert!(known[0] > 8000 && known.len() > 3 * (PAGE_WORDS / 5) * 9 / 10, "{} from {}", known.len(), known[0]);
    }

    #[test]
    fn a_page_that_stays_locked_is_passed_over() {
        let store = Store::new(3);
        store.insert(key(0), &[1; 9]);
        store.states[1].store(IS_LOCKED, Ordering::Relaxed);
        for n in 1..3000 {
            store.insert(key(n), &[n as u32; 9]);
            assert_eq!(ids(&store, key(n)), [n as u32; 9]);
        }
        assert_eq!(store.states[1].load(Ordering::Relaxed), IS_LOCKED);
    }

    #[test]
    fn a_page_is_begun_anew_so_often_and_no_more() {
        let store = Store::new(1);
        let almost_last = State::new(LAST_GENERATION - 1, 0).0 | IS_FULL;
        store.states[0].store(almost_last, Ordering::Relaxed);
        store.insert(key(1), &[1; 9]);
        assert_eq!(ids(&store, key(1)), [1; 9]);
        (2..2000).for_each(|n| store.insert(key(n), &[2; 9]));
        assert_eq!(ids(&store, key(1)), [1; 9]);
        assert!(ids(&store, key(1999)).is_empty());
    }

    #[test]
    fn what_is_copied_is_what_is_there() {
        let (small, large) = (Store::new(3), Store::new(30));
        let list = |n: u64| vec![(n << (n % 24)) as u32; 1 + n as usize % 40];
        (0..700).for_each(|n| small.insert(key(n), &list(n)));
        small.copy_to(&large);
        for n in 0..700 {
            assert_eq!(ids(&large, key(n)), ids(&small, key(n)));
        }
        assert_eq!(ids(&large, key(699)), list(699));
    }

    #[test]
    fn entries_too_long_are_left_out() {
        let store = Store::new(2);
        for (number, most) in [(7, 1016), (1 << 20, 762), (1 << 30, 508)] {
            store.insert(key(1), &vec![number; most + 1]);
            assert!(ids(&store, key(1)).is_empty());
            store.insert(key(u64::from(number)), &vec![number; most]);
            assert_eq!(ids(&store, key(u64::from(number))), vec![number; most]);
        }
        store.insert(key(1), &[]);
        assert!(ids(&store, key(1)).is_empty());
    }
}
