//! Units of characters: what a text is cut into where a model reads characters, as in Llama 2, Mistral and Gemma.
//!
//! In most languages that such a model knows little of, nearly every character is a unit (`cuts`), so its id comes from a table, by
//! one read. Whether a merge joins two characters is asked only where some merge begins with the one and some ends with the other.
//! Units of two to four characters have a table of their own; longer ones, and those that are in none, are merged together, several
//! in turns (`short`). What is met inside a long text goes through the piece cache instead. A character that is no token is its bytes.
//!
//! Words of a text need no other stage where all stages together only write a space as U+2581: a space is read as that then.
//!
//! O(n) for n bytes. The wrong choice where characters are mostly joined: a word of English is one unit, and is merged as such.

#[cfg(target_arch = "x86_64")]
mod simd_avx2;

use super::alphabet::Characters;
use super::cuts::PairFilter;
use super::merges::Merges;
use super::short::{self, Symbols};
use super::{too_long, Bpe, Parts, Scratch, MAX_PIECE_BYTES};
use crate::cached::{IdLists, IdSink};
use crate::compiled::{damaged, Reader, Writer};
use crate::memory::{Zeroable, Zeroed};
use crate::piece_cache::{PieceCache, PieceKind, MOST_IDS};
use crate::vocab::Vocabulary;
use crate::words::SPACE_SYMBOL;
use crate::Result;
use std::ops::Range;
use std::sync::atomic::{fence, AtomicU64, Ordering};

/// What is known of a character is one number: its id and these bits. 0 for what is no token.
const TOKEN: u32 = 1 << 31;
/// A merge has it at the end of its left part.
const ENDS: u32 = 1 << 30;
/// A merge has it at the beginning of its right part.
const BEGINS: u32 = 1 << 29;
const ID: u32 = BEGINS - 1;

/// Characters below this have a table.
const NEAR: usize = 1 << 16;

/// The units of this many characters have a table.
const KNOWN: usize = 4;
/// The units of longer pieces are looked up in the cache: more of them were met before than not (of code four of five), but of
/// shorter pieces one of twenty.
const SHORT_BYTES: usize = 15;
/// Pieces up to this length are worked out together.
const TOGETHER_BYTES: usize = 256;
/// How many units are merged together at most.
const UNITS: usize = 256;
/// For how many ids there is room; a unit of more characters makes more.
const IDS: usize = 1 << 12;

/// The tables for a model.
#[derive(Debug)]
pub(super) struct CharUnits {
    near: Box<[u32; NEAR]>,
    joints: PairFilter,
    /// The id of each byte, where byte fallback has one for all that UTF-8 can hold.
    bytes: Option<Box<[u32; 256]>>,
    known: KnownUnits,
    #[cfg(target_arch = "x86_64")]
    lanes: Option<simd_avx2::Avx2>,
}

impl CharUnits {
    /// The tables for a vocabulary whose tokens are made by `merges`.
    pub(super) fn new(vocabulary: &Vocabulary, merges: &Merges, characters: &Characters) -> Self {
        let mut flags = empty();
        let mut joints = PairFilter::with_capacity(usize::MAX);
        let mut flag = |character: char, bit: u32| {
            if let Some(flags) = flags.get_mut(character as usize) {
                *flags |= bit;
            }
        };
        for (_, id) in vocabulary.iter() {
            let made = merges.made(id);
            if !made.is_merged() {
                continue;
            }
            let text = |id: u32| vocabulary.token(id).unwrap_or_default();
            if let (Some(left), Some(right)) = (text(made.left).chars().next_back(), text(made.right).chars().next()) {
                flag(left, ENDS);
                flag(right, BEGINS);
                joints.insert(left.into(), right.into());
            }
        }
        joints.shrink();
        Self::of(flags, joints, vocabulary.len(), characters)
    }

    /// Of the characters' flags and the pairs that are joined.
    fn of(flags: Box<[u32; NEAR]>, joints: PairFilter, tokens: usize, characters: &Characters) -> Self {
        let mut near = empty();
        characters.each(|character, id| {
            if let (Some(entry), Some(flags)) = (near.get_mut(character as usize), flags.get(character as usize)) {
                *entry = TOKEN | id & ID | flags;
            }
        });
        Self {
            near,
            joints,
            bytes: characters.all_bytes(),
            known: KnownUnits::new(tokens),
            #[cfg(target_arch = "x86_64")]
            lanes: simd_avx2::Avx2::new(),
        }
    }

    /// Writes the tables to a compiled file.
    pub(super) fn write(&self, to: &mut Writer) {
        let flagged = (0..).zip(self.near.iter()).map(|(code, entry): (u32, _)| code | entry & (ENDS | BEGINS));
        to.u32s(&flagged.filter(|flags| flags & (ENDS | BEGINS) != 0).collect::<Vec<u32>>());
        self.joints.write(to);
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(super) fn read(from: &mut Reader<'_>, vocabulary: &Vocabulary, characters: &Characters) -> Result<Self> {
        let mut near = empty();
        for flags in from.u32s()? {
            let entry = near.get_mut((flags & ID) as usize).ok_or_else(|| damaged("a character that merges has no place"))?;
            *entry = flags & (ENDS | BEGINS);
        }
        Ok(Self::of(near, PairFilter::read(from)?, vocabulary.len(), characters))
    }

    /// What is known of a character above U+FFFF.
    #[cold]
    fn far(characters: &Characters, code: u32) -> u32 {
        char::from_u32(code)
            .and_then(|character| characters.id(character, false, false))
            .map_or(0, |id| TOKEN | ENDS | BEGINS | id & ID)
    }
}

/// A table of characters without any.
fn empty() -> Box<[u32; NEAR]> {
    // Not by way of the stack.
    match vec![0; NEAR].into_boxed_slice().try_into() {
        Ok(table) => table,
        Err(_) => Box::new([0; NEAR]),
    }
}

/// Units of up to four characters below U+10000 and their ids: a table of two slots a line, a sequence lock each line. (Boehm, 2012,
/// as in the piece cache.) A new unit takes the place of an older one.
#[derive(Debug)]
struct KnownUnits(Zeroed<Line>);

/// How many lines there are at least and at most, and for how many tokens there is one: a large vocabulary joins more characters.
const LINES: (usize, usize) = (1 << 10, 1 << 15);
const TOKENS_FOR_A_LINE: usize = 4;

/// A cache line.
#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Line {
    /// Odd while a thread writes.
    version: AtomicU64,
    /// The number of ids of each slot, a byte each.
    counts: AtomicU64,
    slots: [Slot; 2],
}

#[derive(Debug, Default)]
#[repr(C)]
struct Slot {
    /// The characters, 16 bits each, the first one lowest; no other unit has that number. 0 for a free slot.
    key: AtomicU64,
    /// Two in each.
    ids: [AtomicU64; 2],
}

// SAFETY: all fields are AtomicU64, for which zero is a value.
unsafe impl Zeroable for Line {}

impl KnownUnits {
    /// For a vocabulary of so many tokens.
    fn new(tokens: usize) -> Self {
        Self(Zeroed::new((tokens / TOKENS_FOR_A_LINE).clamp(LINES.0, LINES.1).next_power_of_two()))
    }

    #[inline(always)]
    fn line(&self, key: u64) -> &Line {
        &self.0[(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & (self.0.len() - 1)]
    }

    /// The ids of a unit and their number, which is 0 if they are not known; of those behind any may stand there.
    #[inline(always)]
    fn get(&self, key: u64) -> ([u32; KNOWN], usize) {
        let line = self.line(key);
        let version = line.version.load(Ordering::Acquire);
        let second = usize::from(line.slots[1].key.load(Ordering::Relaxed) == key);
        let slot = &line.slots[second];
        let is_there = slot.key.load(Ordering::Relaxed) == key;
        let [first, last] = [0, 1].map(|index: usize| slot.ids[index].load(Ordering::Relaxed));
        let count = line.counts.load(Ordering::Relaxed) >> (8 * second) & 7;
        fence(Ordering::Acquire);
        let is_whole = version & 1 == 0 && line.version.load(Ordering::Relaxed) == version;
        let ids = [first as u32, (first >> 32) as u32, last as u32, (last >> 32) as u32];
        (ids, if is_there & is_whole { count as usize } else { 0 })
    }

    /// Remembers the ids of a unit, unless another thread is writing there.
    fn insert(&self, key: u64, ids: &[u32]) {
        let line = self.line(key);
        let version = line.version.load(Ordering::Relaxed);
        let is_there = line.slots.iter().any(|slot| slot.key.load(Ordering::Relaxed) == key);
        if is_there || version & 1 == 1 || !(1..=KNOWN).contains(&ids.len()) {
            return;
        }
        if line.version.compare_exchange(version, version + 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return;
        }
        fence(Ordering::Release);
        let is_free = |slot: &Slot| slot.key.load(Ordering::Relaxed) == 0;
        let place = line.slots.iter().position(is_free).unwrap_or((version >> 1 & 1) as usize);
        let slot = &line.slots[place];
        slot.key.store(key, Ordering::Relaxed);
        let id = |index: usize| u64::from(ids.get(index).copied().unwrap_or(0));
        slot.ids[0].store(id(0) | id(1) << 32, Ordering::Relaxed);
        slot.ids[1].store(id(2) | id(3) << 32, Ordering::Relaxed);
        let counts = line.counts.load(Ordering::Relaxed) & !(0xff << (8 * place));
        line.counts.store(counts | (ids.len() as u64) << (8 * place), Ordering::Relaxed);
        line.version.store(version + 2, Ordering::Release);
    }
}

/// What a piece becomes: ids, and gaps where units are yet to be merged.
#[derive(Debug, Default)]
pub(super) struct UnitScratch {
    /// The first `len` are ids.
    ids: Vec<u32>,
    len: usize,
    gaps: Vec<Gap>,
    /// The symbols of the gaps' units, or none.
    short: Vec<Symbols>,
    /// Of the pieces so far: the ends of their ids and gaps.
    ends: Vec<Ends>,
    /// The ids of a unit that is merged alone.
    merged: Vec<u32>,
    /// Its text.
    text: String,
}

/// How many ids and gaps there are.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    ids: usize,
    gaps: usize,
}

/// A unit whose ids are not known.
#[derive(Clone, Debug)]
struct Gap {
    /// How many ids are before it.
    at: usize,
    /// Where it lies in the text.
    unit: Range<usize>,
    /// For [`KnownUnits`], or 0.
    key: u64,
    /// Whether it belongs into the piece cache.
    is_cached: bool,
}

impl UnitScratch {
    fn clear(&mut self) {
        self.len = 0;
        self.gaps.clear();
        self.short.clear();
        self.ends.clear();
        if self.ids.len() > IDS {
            self.ids = Vec::new();
        }
    }

    /// Whether there is room for `more` ids.
    fn has_room(&self, more: usize) -> bool {
        self.len + more + COPIED <= self.ids.len()
    }

    /// Makes room for `more` ids.
    #[cold]
    fn make_room(&mut self, more: usize) {
        let room = (self.len + more + COPIED).next_power_of_two().max(IDS);
        self.ids.resize(room, 0);
    }

    fn end(&self) -> Ends {
        Ends { ids: self.len, gaps: self.gaps.len() }
    }

    /// Forgets what is behind `end`.
    fn truncate(&mut self, end: Ends) {
        self.len = end.ids;
        self.gaps.truncate(end.gaps);
        self.short.truncate(end.gaps);
    }

    /// Puts the first `count` of `ids` behind the first `len`.
    #[inline(always)]
    fn put<const N: usize>(&mut self, len: usize, ids: &[u32; N], count: usize) {
        debug_assert!(len + N <= self.ids.len() && count <= N);
        if let Some(room) = self.ids.get_mut(len..).and_then(|room| room.first_chunk_mut()) {
            *room = *ids;
        }
        self.len = len + count;
    }
}

/// How many characters are read at a time.
const BLOCK: usize = 64;
/// How many ids are copied at a time.
const COPIED: usize = EIGHT;

const EIGHT: usize = 8;

/// Up to eight characters of the same length below U+10000, and others behind them.
struct Some8 {
    /// How many.
    count: usize,
    /// How many bytes each has.
    length: usize,
    codes: [u32; EIGHT],
    entries: [u32; EIGHT],
    last: [u16; EIGHT],
    /// A bit for each that a merge may join to the one before.
    may_join: u32,
    /// A bit for each that is no token.
    others: u32,
}

/// What reads several characters at a time.
trait Lanes: Copy {
    /// Reads characters that begin `text`, if it can; `previous` is what is known of the one before.
    fn read(self, text: &[u8], space: u32, near: &[u32; NEAR], previous: u32) -> Option<Some8>;
}

/// Nothing.
#[derive(Clone, Copy, Debug)]
struct NoLanes;

impl Lanes for NoLanes {
    #[inline(always)]
    fn read(self, _: &[u8], _: u32, _: &[u32; NEAR], _: u32) -> Option<Some8> {
        None
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for simd_avx2::Avx2 {
    #[inline(always)]
    fn read(self, text: &[u8], space: u32, near: &[u32; NEAR], previous: u32) -> Option<Some8> {
        self.read(text, space, near, previous)
    }
}

/// Characters that follow one another.
struct Block {
    count: usize,
    /// Where each begins in the text.
    starts: [u32; BLOCK + EIGHT],
    codes: [u32; BLOCK + EIGHT],
    /// What is known of them.
    entries: [u32; BLOCK + COPIED],
    /// Behind some others their lower halves; 0 for those above U+FFFF.
    last: [u16; BLOCK + KNOWN + EIGHT],
    /// A bit for each that is joined to the one before.
    joined: u64,
    /// A bit for each that is no token.
    others: u64,
}

impl Block {
    fn new() -> Self {
        let (starts, codes, entries, last) =
            ([0; BLOCK + EIGHT], [0; BLOCK + EIGHT], [0; BLOCK + COPIED], [0; BLOCK + KNOWN + EIGHT]);
        Self { count: 0, starts, codes, entries, last, joined: 0, others: 0 }
    }

    /// Puts characters that begin at `at` behind the first `count`, if there is room for eight.
    #[inline(always)]
    fn put(&mut self, count: usize, at: usize, some: &Some8) {
        let Some(starts) = self.starts.get_mut(count..).and_then(|rest| rest.first_chunk_mut::<EIGHT>()) else { return };
        *starts = std::array::from_fn(|index| (at + index * some.length) as u32);
        let Some(codes) = self.codes.get_mut(count..).and_then(|rest| rest.first_chunk_mut()) else { return };
        *codes = some.codes;
        let Some(entries) = self.entries.get_mut(count..).and_then(|rest| rest.first_chunk_mut()) else { return };
        *entries = some.entries;
        let Some(last) = self.last.get_mut(count + KNOWN..).and_then(|rest| rest.first_chunk_mut()) else { return };
        *last = some.last;
    }

    /// Leaves the first `count`.
    fn truncate(&mut self, count: usize) {
        let mask = (1 << count) - 1;
        self.count = count;
        self.joined &= mask;
        self.others &= mask;
    }

    /// The number of a unit in [`KnownUnits`], or 0 if it has too many characters or one of them is not below U+10000, or NUL.
    #[inline(always)]
    fn key(&self, characters: Range<usize>) -> u64 {
        const LOWEST: u64 = 0x0001_0001_0001_0001;
        let Some(unused) = KNOWN.checked_sub(characters.len()) else { return 0 };
        let Some(last) = self.last[characters.end..].first_chunk::<KNOWN>() else { return 0 };
        let key = last.iter().rev().fold(0, |key, &low| key << 16 | u64::from(low)) >> (16 * unused);
        // Where a character is 0, its highest bit is set by taking 1 from it. (With others behind that, too.)
        let above = key | !(u64::MAX >> (16 * unused));
        match above.wrapping_sub(LOWEST) & !above & LOWEST << 15 {
            0 => key,
            _ => 0,
        }
    }
}

/// How the text is written that units are cut from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// As tokens are.
    AsTokens,
    /// With a space for U+2581.
    WithSpaces,
}

impl Written {
    /// What a space stands for.
    fn space(self) -> u32 {
        match self {
            Self::AsTokens => ' '.into(),
            Self::WithSpaces => SPACE_SYMBOL.into(),
        }
    }

    /// The kind of a unit in the piece cache.
    fn kind(self) -> PieceKind {
        match self {
            Self::AsTokens => PieceKind::Piece,
            Self::WithSpaces => PieceKind::Unit,
        }
    }
}

/// The bytes at `at`, the first one lowest, and zeros behind the end.
#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u32 {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(word) => u32::from_le_bytes(*word),
        None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)),
    }
}

/// A character of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Character {
    code: u32,
    /// Its length.
    bytes: usize,
}

impl Character {
    /// The character that begins [`word`].
    #[inline(always)]
    fn of(word: u32) -> Self {
        let inner = |index: u32| word >> (8 * index) & 0x3f;
        match word & 0xff {
            byte @ ..0x80 => Self { code: byte, bytes: 1 },
            byte @ ..0xe0 => Self { code: (byte & 0x1f) << 6 | inner(1), bytes: 2 },
            byte @ ..0xf0 => Self { code: (byte & 0xf) << 12 | inner(1) << 6 | inner(2), bytes: 3 },
            byte => Self { code: (byte & 7) << 18 | inner(1) << 12 | inner(2) << 6 | inner(3), bytes: 4 },
        }
    }
}

/// Reads pieces of one text.
struct PieceReader<'a> {
    model: &'a Bpe,
    units: &'a CharUnits,
    characters: &'a Characters,
    cache: &'a PieceCache,
    written: Written,
    text: &'a str,
}

impl PieceReader<'_> {
    /// Reads a piece and returns true, or returns false if it has a character that is neither a token nor its bytes. Where there is no
    /// more room, `fill` is called, which leaves no gaps.
    #[inline(always)]
    fn read(
        &self,
        piece: Range<usize>,
        block: &mut Block,
        scratch: &mut UnitScratch,
        fill: impl FnMut(&mut UnitScratch) -> Result<()>,
    ) -> Result<bool> {
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = self.units.lanes {
            return lanes.run(
                #[inline(always)]
                |lanes| self.read_by(lanes, piece, block, scratch, fill),
            );
        }
        self.read_by(NoLanes, piece, block, scratch, fill)
    }

    #[inline(always)]
    fn read_by(
        &self,
        lanes: impl Lanes,
        piece: Range<usize>,
        block: &mut Block,
        scratch: &mut UnitScratch,
        mut fill: impl FnMut(&mut UnitScratch) -> Result<()>,
    ) -> Result<bool> {
        // What is written as tokens are is no word, which would have its place in the cache.
        let is_long = piece.len() > SHORT_BYTES || self.written == Written::AsTokens;
        let mut at = piece.start;
        while at < piece.end {
            let mut end = self.read_block(lanes, at..piece.end, block);
            if block.others != 0 && self.units.bytes.is_none() {
                return Ok(false);
            }
            if end < piece.end {
                // The last unit may go on.
                let begin = BLOCK - 1 - block.joined.leading_ones() as usize;
                if begin == 0 {
                    end = self.end_of_long_unit(end..piece.end, block);
                    self.unknown_unit(at..end, 0, is_long, &[], scratch);
                    at = end;
                    continue;
                }
                end = block.starts[begin] as usize;
                block.truncate(begin);
            }
            if !scratch.has_room(4 * BLOCK) || scratch.gaps.len() >= UNITS {
                fill(scratch)?;
                if !scratch.has_room(4 * BLOCK) {
                    scratch.make_room(4 * BLOCK);
                }
            }
            self.take_block(end, is_long, block, scratch);
            at = end;
        }
        Ok(true)
    }

    /// Reads as many characters as there is room for in `block`, and returns where they end.
    #[inline(always)]
    fn read_block(&self, lanes: impl Lanes, text: Range<usize>, block: &mut Block) -> usize {
        let units = self.units;
        let space = self.written.space();
        let bytes = self.text.as_bytes();
        let mut at = text.start;
        let mut previous = 0;
        let (mut may_join, mut others, mut count) = (0_u64, 0_u64, 0);
        while at < text.end && count < BLOCK {
            if let Some(some) = lanes.read(bytes.get(at..).unwrap_or_default(), space, &units.near, previous) {
                block.put(count, at, &some);
                let new = some.count.min(BLOCK - count).min((text.end - at) / some.length);
                let mask = (1 << new) - 1;
                may_join |= u64::from(some.may_join & mask) << count;
                others |= u64::from(some.others & mask) << count;
                count += new;
                at += new * some.length;
                previous = block.entries[count - 1];
                continue;
            }
            let character = Character::of(word(bytes, at));
            let code = match character.code {
                0x20 => space,
                code => code,
            };
            let (entry, low) = match units.near.get(code as usize) {
                Some(&entry) => (entry, code as u16),
                None => (CharUnits::far(self.characters, code), 0),
            };
            block.starts[count] = at as u32;
            block.codes[count] = code;
            block.entries[count] = entry;
            block.last[count + KNOWN] = low;
            may_join |= u64::from(previous >> 1 & entry & BEGINS != 0) << count;
            others |= u64::from(entry == 0) << count;
            previous = entry;
            at += character.bytes;
            count += 1;
        }
        let mut joined = 0;
        while may_join != 0 {
            let place = may_join.trailing_zeros() as usize % BLOCK;
            let left = block.codes[(place + BLOCK - 1) % BLOCK];
            joined |= u64::from(units.joints.has(left, block.codes[place])) << place;
            may_join &= may_join - 1;
        }
        (block.joined, block.others, block.count) = (joined, others, count);
        at
    }

    /// Where the unit ends that fills `block` and may go on in `text`.
    #[cold]
    fn end_of_long_unit(&self, text: Range<usize>, block: &Block) -> usize {
        let space = self.written.space();
        let mut previous = block.codes[BLOCK - 1];
        for (offset, character) in self.text[text.clone()].char_indices() {
            let code = if character == ' ' { space } else { character.into() };
            let entry = |code: u32| {
                self.units.near.get(code as usize).map_or_else(|| CharUnits::far(self.characters, code), |&entry| entry)
            };
            if entry(previous) >> 1 & entry(code) & BEGINS == 0 || !self.units.joints.has(previous, code) {
                return text.start + offset;
            }
            previous = code;
        }
        text.end
    }

    /// Takes the ids of a block that ends at `end`.
    #[inline(always)]
    fn take_block(&self, end: usize, is_long: bool, block: &Block, scratch: &mut UnitScratch) {
        let mut at = 0;
        // Where units of several characters begin, and what is no token.
        let mut events = block.joined >> 1 & !block.joined | block.others;
        loop {
            let event = (events.trailing_zeros() as usize).min(block.count);
            while at < event {
                let count = (event - at).min(COPIED);
                if let Some(entries) = block.entries[at..].first_chunk::<COPIED>() {
                    scratch.put(scratch.len, &entries.map(|entry| entry & ID), count);
                }
                at += count;
            }
            if event == block.count {
                return;
            }
            let begin = block.starts[event] as usize;
            if block.others >> event & 1 == 1 {
                at = event + 1;
                if let Some(ids) = &self.units.bytes {
                    let word = word(self.text.as_bytes(), begin);
                    scratch.put(scratch.len, &word.to_le_bytes().map(|byte| ids[usize::from(byte)]), Character::of(word).bytes);
                }
            } else {
                let count = 1 + (!(block.joined >> event >> 1)).trailing_zeros() as usize;
                at = event + count;
                let end = if at < block.count { block.starts[at] as usize } else { end };
                self.take_unit(begin..end, event..at, is_long, block, scratch);
            }
            events &= events.wrapping_sub(1);
        }
    }

    /// Puts the ids of a unit, if they are known, or else a gap.
    #[inline(always)]
    fn take_unit(&self, unit: Range<usize>, characters: Range<usize>, is_long: bool, block: &Block, scratch: &mut UnitScratch) {
        let key = block.key(characters.clone());
        if key != 0 {
            let (ids, count) = self.units.known.get(key);
            if count > 0 {
                scratch.put(scratch.len, &ids, count);
                return;
            }
        }
        self.unknown_unit(unit, key, is_long && key == 0, &block.entries[characters], scratch);
    }

    /// Puts the ids of a unit, if the cache knows them, or else a gap. Of a long unit the characters need not be given.
    #[inline(never)]
    fn unknown_unit(&self, unit: Range<usize>, key: u64, is_cached: bool, characters: &[u32], scratch: &mut UnitScratch) {
        if is_cached {
            let tables = self.cache.tables();
            let (kind, text) = (self.written.kind(), self.text[unit.clone()].as_bytes());
            let mut ids = [0; MOST_IDS];
            let count = tables.ids(&tables.place_of(kind, text, text.len()), kind, text, text.len(), &mut ids);
            if count > 0 {
                if !scratch.has_room(MOST_IDS) {
                    scratch.make_room(MOST_IDS);
                }
                scratch.put(scratch.len, &ids, count);
                return;
            }
        }
        let symbols = self.model.pairs(1).map(|pairs| Symbols::of(characters.iter().map(|&entry| pairs.number(entry & ID))));
        scratch.short.push(symbols.flatten().unwrap_or_default());
        scratch.gaps.push(Gap { at: scratch.len, unit, key, is_cached });
    }

    /// Merges the units of all gaps.
    fn merge(&self, scratch: &mut UnitScratch) {
        if let Some(pairs) = self.model.pairs(0) {
            short::merge(&mut scratch.short, pairs);
        }
    }

    /// Gives the ids between two ends to `sink`, after [`merge`](Self::merge).
    fn give<S: IdSink>(&self, from: Ends, to: Ends, scratch: &mut UnitScratch, bpe: &mut Scratch, sink: &mut S) -> Result<()> {
        let UnitScratch { ids, gaps, short, merged, text, .. } = scratch;
        let mut start = from.ids;
        for (gap, symbols) in gaps.iter().zip(short.iter()).take(to.gaps).skip(from.gaps) {
            sink.take_ids(&ids[start..gap.at]);
            start = gap.at;
            let mut unit = symbols.as_slice();
            if unit.is_empty() {
                merged.clear();
                let mut unit_text = &self.text[gap.unit.clone()];
                if self.written == Written::WithSpaces && unit_text.contains(' ') {
                    spell(unit_text, text);
                    unit_text = text;
                }
                self.model.ids_of_unit(unit_text, bpe, merged)?;
                unit = merged;
            }
            if gap.key != 0 {
                self.units.known.insert(gap.key, unit);
            } else if gap.is_cached {
                let (tables, kind, text) = (self.cache.tables(), self.written.kind(), self.text[gap.unit.clone()].as_bytes());
                self.cache.insert(tables, &tables.place_of(kind, text, text.len()), kind, text, unit);
            }
            sink.take_ids(unit);
        }
        sink.take_ids(&ids[start..to.ids]);
        Ok(())
    }

    /// Gives the ids of a piece of any length to `sink`, or returns false as [`read`](Self::read) does; then nothing was given.
    fn give_piece<S: IdSink>(
        &self,
        piece: Range<usize>,
        scratch: &mut UnitScratch,
        bpe: &mut Scratch,
        sink: &mut S,
    ) -> Result<bool> {
        if self.units.bytes.is_none() && !self.is_readable(piece.clone()) {
            return Ok(false);
        }
        scratch.clear();
        let mut block = Block::new();
        let mut fill = |scratch: &mut UnitScratch| {
            self.merge(scratch);
            self.give(Ends::default(), scratch.end(), scratch, bpe, sink)?;
            scratch.clear();
            Ok(())
        };
        self.read(piece, &mut block, scratch, &mut fill)?;
        fill(scratch)?;
        Ok(true)
    }

    /// Whether each character of a piece is a token.
    fn is_readable(&self, piece: Range<usize>) -> bool {
        let space = self.written.space();
        self.text[piece].chars().all(|character| {
            let code = if character == ' ' { space } else { character.into() };
            match self.units.near.get(code as usize) {
                Some(&entry) => entry != 0,
                None => CharUnits::far(self.characters, code) != 0,
            }
        })
    }
}

/// Writes `text` with U+2581 for spaces into `spelled`.
fn spell(text: &str, spelled: &mut String) {
    spelled.clear();
    spelled.extend(text.chars().map(|character| if character == ' ' { SPACE_SYMBOL } else { character }));
}

impl Bpe {
    /// Whether texts can be read with spaces for U+2581, which is a token then.
    pub(in crate::models) fn reads_spelled(&self) -> bool {
        self.char_units.as_ref().is_some_and(|units| units.near[SPACE_SYMBOL as usize] != 0)
    }

    fn piece_reader<'a>(&'a self, cache: &'a PieceCache, text: &'a str, written: Written) -> Option<PieceReader<'a>> {
        let (Some(units), Parts::Characters { characters, .. }) = (&self.char_units, &self.parts) else { return None };
        Some(PieceReader { model: self, units, characters, cache, written, text })
    }

    /// Gives the ids of a piece to `sink` by way of its units and returns true, or returns false if that is not the way for it.
    pub(super) fn ids_by_char_units<S: IdSink>(
        &self,
        cache: &PieceCache,
        piece: &str,
        scratch: &mut Scratch,
        sink: &mut S,
    ) -> Result<bool> {
        let Some(reader) = self.piece_reader(cache, piece, Written::AsTokens) else { return Ok(false) };
        let mut units = std::mem::take(&mut scratch.units);
        let done = reader.give_piece(0..piece.len(), &mut units, scratch, sink);
        scratch.units = units;
        done
    }

    /// Appends the ids of pieces of `text` in which a space stands for U+2581, one list for each.
    pub(in crate::models) fn ids_of_spelled(
        &self,
        text: &str,
        pieces: &[Range<usize>],
        cache: &PieceCache,
        scratch: &mut Scratch,
        lists: &mut IdLists,
    ) -> Result<()> {
        let mut units = std::mem::take(&mut scratch.units);
        let done = self.ids_of_spelled_by(text, pieces, cache, &mut units, scratch, lists);
        scratch.units = units;
        done
    }

    fn ids_of_spelled_by(
        &self,
        text: &str,
        pieces: &[Range<usize>],
        cache: &PieceCache,
        units: &mut UnitScratch,
        scratch: &mut Scratch,
        lists: &mut IdLists,
    ) -> Result<()> {
        let reader = self.piece_reader(cache, text, Written::WithSpaces);
        units.clear();
        let mut block = Block::new();
        for piece in pieces {
            if let Some(reader) = &reader {
                if piece.len() <= TOGETHER_BYTES {
                    if !units.has_room(4 * BLOCK + piece.len()) {
                        reader.give_lists(units, scratch, lists)?;
                        units.make_room(4 * BLOCK + piece.len());
                    }
                    let end = units.end();
                    if reader.read(piece.clone(), &mut block, units, |_| Ok(()))? {
                        units.ends.push(units.end());
                        continue;
                    }
                    units.truncate(end);
                }
                reader.give_lists(units, scratch, lists)?;
            }
            let mut is_done = false;
            lists.push(|ids| {
                if let Some(reader) = &reader {
                    is_done = reader.give_piece(piece.clone(), units, scratch, ids)?;
                    units.clear();
                }
                if is_done {
                    return Ok(());
                }
                let mut spelled = String::new();
                spell(&text[piece.clone()], &mut spelled);
                if spelled.len() > MAX_PIECE_BYTES {
                    return Err(too_long(&spelled));
                }
                self.tokenize(&spelled, 0, scratch, ids)
            })?;
        }
        reader.map_or(Ok(()), |reader| reader.give_lists(units, scratch, lists))
    }
}

impl PieceReader<'_> {
    /// Appends the lists of the pieces that were read.
    fn give_lists(&self, units: &mut UnitScratch, bpe: &mut Scratch, lists: &mut IdLists) -> Result<()> {
        self.merge(units);
        let mut from = Ends::default();
        for index in 0..units.ends.len() {
            let to = units.ends[index];
            lists.push(|ids| self.give(from, to, units, bpe, ids))?;
            from = to;
        }
        units.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuts::tests::fixtures;
    use crate::formats::config::{BpeConfig, ModelConfig, VocabConfig};
    use crate::models::{Model, ModelScratch};
    use crate::piece_cache::DEFAULT_LIMIT;
    use crate::StringList;
    use proptest::prelude::*;

    const TEXT: &str = "ab é漢字か▁😀к";

    /// A vocabulary of characters: merges of any of its tokens, tokens that no merges make, and characters that are no tokens.
    fn configs() -> impl Strategy<Value = BpeConfig> {
        let parts = proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..60);
        let unmade = proptest::collection::vec("[ab é漢字か▁😀к]{1,6}", 0..4);
        let absent = proptest::collection::vec(any::<prop::sample::Index>(), 0..4);
        let options = (0..4_u8, any::<bool>(), prop::bool::weighted(0.2));
        (parts, unmade, absent, options).prop_map(|(parts, unmade, absent, (fallback, fuse_unk, ignore_merges))| {
            let mut seen = std::collections::HashSet::new();
            let characters: Vec<String> = TEXT.chars().map(String::from).collect();
            let absent: Vec<&String> = absent.iter().map(|index| index.get(&characters)).collect();
            let mut tokens: Vec<String> = characters.iter().filter(|token| !absent.contains(token)).cloned().collect();
            seen.extend(tokens.iter().cloned());
            let mut merges = StringList::new();
            for (left, right) in parts {
                if tokens.is_empty() {
                    break;
                }
                let (left, right) = (left.get(&tokens).clone(), right.get(&tokens).clone());
                let joined = format!("{left}{right}");
                if joined.chars().count() < 9 && seen.insert(joined.clone()) {
                    merges.push(&left);
                    merges.push(&right);
                    tokens.push(joined);
                }
            }
            tokens.extend(unmade.into_iter().filter(|token| token.chars().count() > 1 && seen.insert(token.clone())));
            tokens.push("<unk>".into());
            // All bytes, all but one, or none.
            let bytes =
                (0..=255).filter(|&byte| fallback < 2 || fallback == 2 && byte != 0xe5).map(|byte| format!("<0x{byte:02X}>"));
            tokens.extend(bytes.filter(|_| fallback < 3));
            let vocab = VocabConfig { ids: (0..tokens.len() as u32).collect(), tokens: tokens.iter().collect() };
            let unk_token = Some("<unk>".into());
            BpeConfig { vocab, merges, ignore_merges, fuse_unk, unk_token, byte_fallback: fallback < 3, ..Default::default() }
        })
    }

    fn whole(model: &Model, piece: &str) -> Vec<u32> {
        let mut ids: Vec<u32> = Vec::new();
        model.tokenize(piece, 0, &mut ModelScratch::default(), &mut ids).unwrap();
        ids
    }

    /// What the model gives for pieces by way of units, and without cutting any.
    fn both_ways(model: &Model, pieces: &[&str]) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
        let (cache, mut scratch) = (PieceCache::new(DEFAULT_LIMIT), ModelScratch::default());
        let mut by_units = |piece: &&str| {
            let mut ids = Vec::new();
            model.ids(piece, 0, &cache, &mut scratch, &mut ids).unwrap();
            ids
        };
        (pieces.iter().map(&mut by_units).collect(), pieces.iter().map(|piece| whole(model, piece)).collect())
    }

    /// The same of words with spaces in place of U+2581, worked out together.
    fn both_ways_spelled(model: &Model, words: &[&str]) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
        let (cache, mut scratch, mut lists) = (PieceCache::new(DEFAULT_LIMIT), ModelScratch::default(), IdLists::default());
        let text = words.concat();
        let mut end = 0;
        let mut pieces = Vec::new();
        for word in words {
            pieces.push(end..end + word.len());
            end += word.len();
        }
        model.ids_of_spelled(&text, &pieces, &cache, &mut scratch, &mut lists).unwrap();
        let lists = (0..words.len()).map(|index| lists.get(index).to_vec()).collect();
        (lists, words.iter().map(|word| whole(model, &word.replace(' ', "▁"))).collect())
    }

    const PIECE: &str = "[ab é漢字か▁😀к\0zж]{0,6}|[ab é漢字か▁😀к]{0,40}|[漢字か]{0,300}|(ab){30,90}|(漢字){60,70}[ab▁]{0,9}";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        #[test]
        fn units_give_the_ids_of_the_piece(config in configs(), pieces in proptest::collection::vec(PIECE, 1..16)) {
            let model = Model::from_config(ModelConfig::Bpe(config), false).unwrap();
            let pieces: Vec<&str> = pieces.iter().chain(&pieces).map(String::as_str).collect();
            let (by_units, whole) = both_ways(&model, &pieces);
            prop_assert_eq!(by_units, whole);
        }

        #[test]
        fn words_with_spaces_have_the_ids_of_words_with_symbols(mut config in configs(), words in proptest::collection::vec(PIECE, 1..16)) {
            config.ignore_merges = false;
            let model = Model::from_config(ModelConfig::Bpe(config), false).unwrap();
            if model.reads_spelled() {
                let words: Vec<&str> = words.iter().chain(&words).map(String::as_str).collect();
                let (spelled, whole) = both_ways_spelled(&model, &words);
                prop_assert_eq!(spelled, whole);
            }
        }

        #[test]
        fn known_units_are_given_back_as_they_were_or_not(
            entries in proptest::collection::vec((1..60_u64, proptest::collection::vec(any::<u32>(), 0..6)), 0..80),
        ) {
            let known = KnownUnits::new(0);
            let mut all = std::collections::HashMap::new();
            for (key, ids) in &entries {
                // Some of these share a line.
                let key = (key % 15) << 60 | key;
                let ids: &Vec<u32> = all.entry(key).or_insert(ids.clone());
                known.insert(key, ids);
                let (found, count) = known.get(key);
                prop_assert_eq!(&found[..count], if ids.len() > KNOWN { &[] } else { &ids[..] });
                for (key, ids) in &all {
                    let (found, count) = known.get(*key);
                    prop_assert!(count == 0 || found[..count] == ids[..]);
                }
            }
        }

        #[test]
        fn characters_are_read_as_they_are_written(text in any::<String>()) {
            for (at, character) in text.char_indices() {
                let read = Character::of(word(text.as_bytes(), at));
                prop_assert_eq!(read, Character { code: character.into(), bytes: character.len_utf8() });
            }
        }

        #[test]
        fn fixtures_give_the_ids_of_the_whole(pieces in proptest::collection::vec("([ -~é漢字かな한국ไทยкир😀。]|[a-z]{1,9}|▁){1,60}", 1..6)) {
            let pieces: Vec<&str> = pieces.iter().chain(&pieces).map(String::as_str).collect();
            for (name, tokenizer) in fixtures().iter().filter(|(_, tokenizer)| tokenizer.core.model.reads_spelled()) {
                let model = &tokenizer.core.model;
                let (by_units, whole) = both_ways(model, &pieces);
                prop_assert_eq!(by_units, whole, "{}", name);
                let (spelled, whole) = both_ways_spelled(model, &pieces);
                prop_assert_eq!(spelled, whole, "{}", name);
            }
        }
    }

    #[test]
    fn the_usual_models_have_units() {
        for expected in ["bpe-llama2", "bpe-mistral", "bpe-gemma"] {
            let (_, tokenizer) = fixtures().iter().find(|(name, _)| name == expected).unwrap();
            assert!(tokenizer.core.model.reads_spelled(), "{expected}");
            assert!(tokenizer.core.words.as_ref().unwrap().is_spelled, "{expected}");
        }
    }

    #[test]
    fn no_unit_has_the_number_of_another() {
        let block = |codes: &[u16]| {
            let mut block = Block::new();
            block.last[KNOWN..KNOWN + codes.len()].copy_from_slice(codes);
            block
        };
        let first = block(&[7, 1, 2, 3, 4, 5]);
        let keys: Vec<u64> = (2..=5).map(|count| first.key(1..1 + count)).collect();
        assert_eq!(keys, [0x0002_0001, 0x0003_0002_0001, 0x0004_0003_0002_0001, 0]);
        // A character of which 16 bits are not enough.
        for place in 0..4 {
            let mut codes = [0xffff; 4];
            codes[place] = 0;
            assert_eq!(block(&codes).key(0..4), 0);
            assert_ne!(block(&[0xffff; 4]).key(0..4), 0);
        }
        assert_eq!(block(&[0, 1, 0]).key(0..2), 0);
        assert_eq!(block(&[0, 1, 9, 0]).key(1..3), 0x0009_0001);
    }

    #[test]
    fn threads_read_whole_units_only() {
        let known = KnownUnits::new(0);
        let key = |n: u32| (u64::from(n) + 1) << 40 | 1;
        let work = |seed: u32| {
            let mut state = seed;
            for _ in 0..200_000 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let n = state >> 16 & 7;
                let (ids, count) = known.get(key(n) & !0xff | 1);
                assert!(ids[..count].iter().all(|&id| id == n), "{ids:?} for {n}");
                known.insert(key(n) & !0xff | 1, &vec![n; 1 + (state >> 20 & 3) as usize]);
            }
        };
        std::thread::scope(|scope| {
            for seed in 1..=4 {
                let work = &work;
                scope.spawn(move || work(seed));
            }
        });
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let (_, tokenizer) = fixtures().iter().find(|(name, _)| name == "bpe-llama2").unwrap();
        let mut to = Writer::new();
        tokenizer.core.model.write(&mut to);
        let file = to.finish();
        let mut from = Reader::new(&file[..], file.len() as u64).unwrap();
        let read = Model::read(&mut from).unwrap();
        assert!(read.reads_spelled());
        let pieces = ["漢字かな交じり文と한국어とไทยと▁кириллица", "▁naïve▁façade▁déjà-vu▁漢字"];
        assert_eq!(both_ways(&read, &pieces), both_ways(&tokenizer.core.model, &pieces));
    }
}
