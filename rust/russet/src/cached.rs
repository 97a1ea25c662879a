//! Pieces to ids, through the cache.
//!
//! Pieces come in batches. For each batch the places in the cache are worked out first and fetched from memory all at once, then
//! the ids are read, so that the time to reach memory is paid once a batch. What the cache does not know leaves a hole; when there are
//! so many that it pays, the model works out the pieces of all holes together, and they are remembered. Until then the ids of one
//! batch after the other are collected; they are handed on from hole to hole.

use crate::piece_cache::{PieceCache, PieceKind, Place, ShortSlots, Tables, MOST_IDS};
use crate::spare;
use crate::{Error, Result};
use std::ops::Range;

/// How many pieces are looked up together.
const BATCH: usize = 128;
const BATCH_IDS: usize = MOST_IDS * BATCH;
/// So many holes are enough for a model that works pieces out in turns, and after so many ids those that are known are handed on.
const HOLES: usize = 64;
const KNOWN_IDS: usize = 1 << 12;

/// Takes ids.
pub(crate) trait IdSink {
    /// A sink for the ids of so many bytes of text.
    fn for_bytes(bytes: usize) -> Self;

    /// Takes the next ids.
    fn take_ids(&mut self, ids: &[u32]);

    /// Gives back memory that is not in use.
    fn shrink(&mut self) {}
}

impl IdSink for Vec<u32> {
    /// With room for an id for each 4 bytes, which suffices for most: to grow copies what is there.
    fn for_bytes(bytes: usize) -> Self {
        spare::take(bytes / 4 + 8)
    }

    #[inline(always)]
    fn take_ids(&mut self, ids: &[u32]) {
        self.extend_from_slice(ids);
    }

    fn shrink(&mut self) {
        self.shrink_to_fit();
    }
}

/// A sink that counts.
impl IdSink for usize {
    fn for_bytes(_: usize) -> Self {
        0
    }

    #[inline(always)]
    fn take_ids(&mut self, ids: &[u32]) {
        *self += ids.len();
    }
}

/// The ids of some pieces, one list for each.
#[derive(Debug, Default)]
pub(crate) struct IdLists {
    ids: Vec<u32>,
    /// Where each list is.
    places: Vec<Range<usize>>,
}

impl IdLists {
    /// Appends the list of ids that `append` appends to those of the others.
    #[inline]
    pub(crate) fn push(&mut self, append: impl FnOnce(&mut Vec<u32>) -> Result<()>) -> Result<()> {
        let start = self.ids.len();
        append(&mut self.ids)?;
        self.places.push(start..self.ids.len());
        Ok(())
    }

    /// Appends a list without ids; its number.
    #[inline]
    pub(crate) fn add(&mut self) -> usize {
        self.places.push(0..0);
        self.places.len() - 1
    }

    /// Makes a list the ids that `append` appends to those of the others.
    #[inline]
    pub(crate) fn set<T>(&mut self, list: usize, append: impl FnOnce(&mut Vec<u32>) -> T) -> T {
        let start = self.ids.len();
        let appended = append(&mut self.ids);
        self.places[list] = start..self.ids.len();
        appended
    }

    /// Appends to a list, which is the last one that was appended to, or has no ids yet.
    pub(crate) fn append(&mut self, list: usize, append: impl FnOnce(&mut Vec<u32>)) {
        let start = self.ids.len();
        append(&mut self.ids);
        let place = &mut self.places[list];
        let has_ids = place.start < place.end;
        debug_assert!(!has_ids || place.end == start);
        *place = if has_ids { place.start } else { start }..self.ids.len();
    }

    /// Whether a list has no ids.
    pub(crate) fn has_none(&self, list: usize) -> bool {
        self.get(list).is_empty()
    }

    /// The ids of all lists.
    pub(crate) fn ids_mut(&mut self) -> &mut [u32] {
        &mut self.ids
    }

    #[inline]
    pub(crate) fn get(&self, list: usize) -> &[u32] {
        &self.ids[self.places[list].clone()]
    }

    /// Forgets the lists from this number on. Their ids stay until [`clear`](Self::clear).
    pub(crate) fn truncate(&mut self, lists: usize) {
        self.places.truncate(lists);
    }

    pub(crate) fn clear(&mut self) {
        self.ids.clear();
        self.places.clear();
    }
}

/// A piece of a batch and where it is looked for.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    place: Place,
    start: u32,
    end: u32,
}

impl Wanted {
    #[inline(always)]
    fn piece<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.start as usize..self.end as usize]
    }
}

/// Buffers, reused from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct BatchScratch {
    wanted: Vec<Wanted>,
    /// The ids that are known at the first look.
    known: Vec<u32>,
    /// The pieces of which they are not.
    holes: Vec<Hole>,
    /// The ids that are known at the second look.
    found: Vec<u32>,
    /// The pieces that the cache does not know, and their ids.
    unknown: Vec<Range<usize>>,
    new: IdLists,
}

/// A piece whose ids are not among those known at the first look.
#[derive(Clone, Copy, Debug)]
struct Hole {
    wanted: Wanted,
    /// How many ids are before it.
    start: u32,
    /// Whether the cache may know it.
    is_unsure: bool,
    ids: HoleIds,
}

/// Where the ids of a hole are.
#[derive(Clone, Copy, Debug)]
enum HoleIds {
    /// The cache has so many at the second look.
    Found(usize),
    /// The model works them out, as the list of this number.
    New(usize),
    /// They are those of this list, of an earlier hole with the same piece.
    Again(usize),
}

impl BatchScratch {
    /// An empty list of ids.
    pub(crate) fn list(&mut self) -> &mut Vec<u32> {
        self.new.clear();
        &mut self.new.ids
    }
}

/// What works out pieces together, of what works out one.
pub(crate) fn each(
    mut work_out: impl FnMut(&str, &mut Vec<u32>) -> Result<()>,
) -> impl FnMut(&str, &[Range<usize>], &mut IdLists) -> Result<()> {
    move |text, pieces, lists| pieces.iter().try_for_each(|piece| lists.push(|ids| work_out(&text[piece.clone()], ids)))
}

/// Gives the ids of one piece to `sink`; `work_out` appends them if the cache does not know it.
#[inline(always)]
pub(crate) fn ids_of_piece<S: IdSink>(
    cache: &PieceCache,
    kind: PieceKind,
    piece: &str,
    scratch: &mut BatchScratch,
    sink: &mut S,
    work_out: impl FnOnce(&str, &mut Vec<u32>) -> Result<()>,
) -> Result<()> {
    let tables = cache.tables();
    let place = tables.place_of(kind, piece.as_bytes(), piece.len());
    let mut few = [0; MOST_IDS];
    let known = tables.ids(&place, &mut few, &mut scratch.found);
    if !known.is_empty() {
        sink.take_ids(known);
        return Ok(());
    }
    let ids = scratch.list();
    work_out(piece, ids)?;
    cache.insert(tables, &place, piece.as_bytes(), ids);
    sink.take_ids(ids);
    Ok(())
}

/// Gives the ids of the pieces of `text`, which is shorter than 4 GiB, to `sink`; `work_out` appends the lists of pieces of it that the
/// cache does not know.
#[inline(always)]
pub(crate) fn ids_of_pieces<S: IdSink>(
    cache: &PieceCache,
    kind: PieceKind,
    text: &str,
    mut pieces: impl Iterator<Item = Range<usize>>,
    scratch: &mut BatchScratch,
    sink: &mut S,
    mut work_out: impl FnMut(&str, &[Range<usize>], &mut IdLists) -> Result<()>,
) -> Result<()> {
    scratch.wanted.resize(BATCH, Wanted::default());
    let bytes = text.as_bytes();
    loop {
        let tables = cache.tables();
        let slots = tables.slots();
        let mut len = 0;
        scratch.holes.clear();
        let mut is_end = false;
        while !is_end && scratch.holes.len() < HOLES && len < KNOWN_IDS {
            let BatchScratch { wanted, known, holes, .. } = &mut *scratch;
            let (wanted, others) = find_batch(tables, slots, kind, bytes, pieces, wanted);
            pieces = others;
            is_end = wanted.len() < BATCH;
            // Once more than the pieces can have, as room for a whole batch is wanted behind the ids of some.
            if known.len() < len + 2 * BATCH_IDS {
                known.resize(len + 2 * BATCH_IDS, 0);
            }
            let has_too_many = || Error::Internal("a batch has more ids than its pieces can have".into());
            let mut rest = wanted;
            loop {
                let room = known[len..].first_chunk_mut().ok_or_else(has_too_many)?;
                let (pieces, ids) = read_known(slots, rest, room);
                len += ids;
                let [wanted, others @ ..] = &rest[pieces..] else { break };
                rest = others;
                let room = known[len..].first_chunk_mut().ok_or_else(has_too_many)?;
                let more = tables.more_ids(&wanted.place, room);
                let count = more.unwrap_or(0);
                if count == 0 {
                    let is_unsure = more.is_none();
                    holes.push(Hole { wanted: *wanted, start: len as u32, is_unsure, ids: HoleIds::Found(0) });
                }
                len += count;
            }
        }
        let mut start = 0;
        if !scratch.holes.is_empty() {
            let BatchScratch { known, holes, found, unknown, new, .. } = &mut *scratch;
            look_again(tables, bytes, holes, found, unknown);
            new.clear();
            if !unknown.is_empty() {
                work_out(text, unknown, new)?;
            }
            let mut found = &found[..];
            for hole in holes.iter() {
                let end = hole.start as usize;
                sink.take_ids(&known[start..end]);
                start = end;
                match hole.ids {
                    HoleIds::Found(count) => {
                        let (ids, rest) = found.split_at(count);
                        sink.take_ids(ids);
                        found = rest;
                    }
                    HoleIds::New(list) => {
                        let ids = new.get(list);
                        cache.insert(tables, &hole.wanted.place, hole.wanted.piece(bytes), ids);
                        sink.take_ids(ids);
                    }
                    HoleIds::Again(list) => sink.take_ids(new.get(list)),
                }
            }
        }
        sink.take_ids(&scratch.known[start..len]);
        if is_end {
            return Ok(());
        }
    }
}

/// Finds the places of the next pieces, a batch at most; those, and the pieces behind them.
#[inline(never)]
fn find_batch<'w, P: Iterator<Item = Range<usize>>>(
    tables: &Tables,
    slots: ShortSlots<'_>,
    kind: PieceKind,
    text: &[u8],
    mut pieces: P,
    wanted: &'w mut [Wanted],
) -> (&'w [Wanted], P) {
    let mut count = 0;
    for (wanted, piece) in wanted.iter_mut().zip(&mut pieces) {
        (wanted.start, wanted.end) = (piece.start as u32, piece.end as u32);
        tables.find(slots, kind, text, wanted.start, wanted.end, &mut wanted.place);
        count += 1;
    }
    (&wanted[..count], pieces)
}

/// Puts the ids of pieces into `ids`, as long as they are among the few that are known at once; how many pieces that were, and how many
/// ids.
#[inline(never)]
fn read_known(slots: ShortSlots<'_>, pieces: &[Wanted], ids: &mut [u32; BATCH_IDS]) -> (usize, usize) {
    let mut len = 0;
    for (number, piece) in pieces.iter().enumerate() {
        let Some(room) = ids.get_mut(len..len + MOST_IDS).and_then(|room| room.first_chunk_mut()) else { return (number, len) };
        match slots.few_ids(&piece.place, room) {
            0 => return (number, len),
            count => len += count,
        }
    }
    (pieces.len(), len)
}

/// Puts the ids of holes that are known at the second look into `found`, and the pieces of the others, each once, into `unknown`.
fn look_again(tables: &Tables, bytes: &[u8], holes: &mut [Hole], found: &mut Vec<u32>, unknown: &mut Vec<Range<usize>>) {
    unknown.clear();
    found.clear();
    // By some bits of the key, the last piece of those that are unknown, and one.
    const SEEN: usize = 64;
    let mut seen = [0_u8; SEEN];
    for hole in holes {
        let wanted = &hole.wanted;
        if hole.is_unsure {
            let count = tables.ids_anywhere(&wanted.place, found);
            if count > 0 {
                hole.ids = HoleIds::Found(count);
                continue;
            }
        }
        let last = &mut seen[wanted.place.some_bits() % SEEN];
        let same = usize::from(*last).checked_sub(1).filter(|&list| bytes[unknown[list].clone()] == *wanted.piece(bytes));
        hole.ids = match same {
            Some(list) => HoleIds::Again(list),
            None => {
                unknown.push(wanted.start as usize..wanted.end as usize);
                // Of more than 255 a few are worked out again.
                *last = u8::try_from(unknown.len()).unwrap_or(0);
                HoleIds::New(unknown.len() - 1)
            }
        };
    }
}
