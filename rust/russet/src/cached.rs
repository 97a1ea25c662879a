//! Pieces to ids, through the cache.
//!
//! Pieces come in batches. For each batch the places in the cache are worked out first and fetched from memory all at once, then
//! the ids are read, so that the time to reach memory is paid once a batch. What the cache does not know leaves a hole; the model
//! works out the pieces of all holes together, and they are remembered. Ids of a batch are collected and handed on from hole to hole.

use crate::piece_cache::{PieceCache, PieceKind, Place, MOST_IDS};
use crate::{Error, Result};
use std::ops::Range;

/// How many pieces are looked up together.
const BATCH: usize = 128;

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
        Self::with_capacity(bytes / 4 + 8)
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
    ends: Vec<usize>,
}

impl IdLists {
    /// Appends the list of ids that `append` appends to those of the others.
    #[inline]
    pub(crate) fn push(&mut self, append: impl FnOnce(&mut Vec<u32>) -> Result<()>) -> Result<()> {
        append(&mut self.ids)?;
        self.ends.push(self.ids.len());
        Ok(())
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> &[u32] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.ids[start..self.ends[index]]
    }

    fn clear(&mut self) {
        self.ids.clear();
        self.ends.clear();
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

    /// The text from where the piece begins.
    #[inline(always)]
    fn rest<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.start as usize..]
    }

    #[inline(always)]
    fn len(&self) -> usize {
        (self.end - self.start) as usize
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

/// A piece of a batch whose ids are not among those known at the first look.
#[derive(Clone, Copy, Debug)]
struct Hole {
    /// How many ids are before it.
    start: u32,
    /// Which piece it is.
    index: u32,
    /// Whether the cache may know it.
    is_unsure: bool,
    /// How many ids the cache has at the second look.
    found: u32,
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
    let mut known = [0; MOST_IDS];
    let count = tables.ids(&place, kind, piece.as_bytes(), piece.len(), &mut known);
    if count > 0 {
        sink.take_ids(&known[..count]);
        return Ok(());
    }
    let ids = scratch.list();
    work_out(piece, ids)?;
    cache.insert(tables, &place, kind, piece.as_bytes(), ids);
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
    let BatchScratch { wanted, known, holes, found, unknown, new } = scratch;
    wanted.resize(BATCH, Wanted::default());
    known.resize(MOST_IDS * BATCH, 0);
    let bytes = text.as_bytes();
    let (wanted, known) = (wanted.as_mut_slice(), known.as_mut_slice());
    loop {
        let tables = cache.tables();
        let mut batch = 0;
        for (wanted, piece) in wanted.iter_mut().zip(&mut pieces) {
            (wanted.start, wanted.end) = (piece.start as u32, piece.end as u32);
            tables.find(kind, bytes, wanted.start, wanted.end, &mut wanted.place);
            batch += 1;
        }
        if batch == 0 {
            return Ok(());
        }
        let mut len = 0;
        holes.clear();
        for (index, wanted) in (0..).zip(&wanted[..batch]) {
            // There is room for so many ids of each piece.
            let room = known[len..].first_chunk_mut();
            let room = room.ok_or_else(|| Error::Internal("a batch has more ids than its pieces can have".into()))?;
            let mut count = tables.few_ids(&wanted.place, room);
            if count == 0 {
                let more = tables.more_ids(&wanted.place, kind, wanted.rest(bytes), wanted.len(), room);
                count = more.unwrap_or(0);
                if count == 0 {
                    holes.push(Hole { start: len as u32, index, is_unsure: more.is_none(), found: 0 });
                }
            }
            len += count;
        }
        let mut start = 0;
        if !holes.is_empty() {
            let wanted = |hole: &Hole| &wanted[hole.index as usize];
            unknown.clear();
            found.clear();
            for hole in holes.iter_mut() {
                let wanted = wanted(hole);
                if hole.is_unsure {
                    let mut ids = [0; MOST_IDS];
                    let count = tables.ids_anywhere(&wanted.place, kind, wanted.rest(bytes), wanted.len(), &mut ids);
                    found.extend_from_slice(&ids[..count]);
                    hole.found = count as u32;
                }
                if hole.found == 0 {
                    unknown.push(wanted.start as usize..wanted.end as usize);
                }
            }
            new.clear();
            if !unknown.is_empty() {
                work_out(text, unknown, new)?;
            }
            let (mut found, mut list) = (&found[..], 0);
            for hole in holes.iter() {
                let end = hole.start as usize;
                sink.take_ids(&known[start..end]);
                start = end;
                if hole.found > 0 {
                    let (ids, rest) = found.split_at(hole.found as usize);
                    sink.take_ids(ids);
                    found = rest;
                    continue;
                }
                let (ids, wanted) = (new.get(list), wanted(hole));
                cache.insert(tables, &wanted.place, kind, wanted.piece(bytes), ids);
                sink.take_ids(ids);
                list += 1;
            }
        }
        sink.take_ids(&known[start..len]);
    }
}
