//! Pieces to ids, through the cache.
//!
//! Pieces come in batches. For each batch the places in the cache are worked out first and fetched from memory all at once, then
//! the ids are read, so that the time to reach memory is paid once a batch. What the cache does not know leaves a hole; the model
//! works out the pieces of all holes together, and they are remembered. Ids of a batch are collected on the stack and handed on from
//! hole to hole.

use crate::piece_cache::{PieceCache, PieceKind, Place, Tables, LONG_IDS};
use crate::Result;
use std::ops::Range;

/// How many pieces are looked up together.
const BATCH: usize = 128;

/// Takes ids.
pub(crate) trait IdSink {
    /// Takes the next ids.
    fn take_ids(&mut self, ids: &[u32]);

    /// Gives back memory that is not in use.
    fn shrink(&mut self) {}
}

impl IdSink for Vec<u32> {
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
    #[inline(always)]
    fn take_ids(&mut self, ids: &[u32]) {
        *self += ids.len();
    }
}

/// The ids of a batch, but for those of the last pieces of one that has more.
type Batch = [u32; 4 * BATCH + LONG_IDS];

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
    fn get(&self, index: usize) -> &[u32] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.ids[start..self.ends[index]]
    }

    fn clear(&mut self) {
        self.ids.clear();
        self.ends.clear();
    }
}

/// Where the ids of a piece are to be put in.
#[derive(Clone, Copy, Debug)]
struct Hole {
    /// How many ids of the batch are before it.
    ids_before: u16,
    /// Which piece of the batch it is.
    piece: u16,
    /// Which list of ids it has, and whether that is worked out.
    list: u16,
    is_new: bool,
}

/// What a batch leaves to do; reused from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct Missed {
    holes: Vec<Hole>,
    /// Lists from elsewhere in the cache.
    known: IdLists,
    /// The pieces that are worked out, and their lists.
    pieces: Vec<Range<usize>>,
    new: IdLists,
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
    missed: &mut Missed,
    sink: &mut S,
    work_out: impl FnOnce(&str, &mut Vec<u32>) -> Result<()>,
) -> Result<()> {
    let tables = cache.tables();
    let place = tables.place_of(kind, piece.as_bytes());
    let mut known = [0; LONG_IDS];
    let count = tables.ids(place, kind, piece.as_bytes(), &mut known);
    if count > 0 {
        sink.take_ids(&known[..count]);
        return Ok(());
    }
    let ids = missed.list();
    work_out(piece, ids)?;
    cache.insert(tables, place, kind, piece.as_bytes(), ids);
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
    missed: &mut Missed,
    sink: &mut S,
    mut work_out: impl FnMut(&str, &[Range<usize>], &mut IdLists) -> Result<()>,
) -> Result<()> {
    let mut ids: Batch = [0; 4 * BATCH + LONG_IDS];
    let mut places = [(Place::NOWHERE, 0_u32, 0_u32); BATCH];
    loop {
        let tables = cache.tables();
        let mut batch = 0;
        for (slot, piece) in places.iter_mut().zip(&mut pieces) {
            let (start, end) = (piece.start as u32, piece.end as u32);
            (slot.1, slot.2) = (start, end);
            tables.find(kind, text.as_bytes(), start, end, &mut slot.0);
            batch += 1;
        }
        if batch == 0 {
            return Ok(());
        }
        let mut len = 0;
        missed.holes.clear();
        for (piece, &(place, start, end)) in (0..).zip(&places[..batch]) {
            let Some(room) = ids[len..].first_chunk_mut::<LONG_IDS>() else {
                missed.holes.push(Hole { ids_before: len as u16, piece, list: 0, is_new: false });
                continue;
            };
            let mut count = place.few_ids(tables, room);
            if count == 0 {
                count = tables.more_ids(place, kind, &text.as_bytes()[start as usize..end as usize], room);
                if count == 0 {
                    missed.holes.push(Hole { ids_before: len as u16, piece, list: 0, is_new: true });
                }
            }
            len += count;
        }
        if missed.holes.is_empty() {
            sink.take_ids(&ids[..len]);
            continue;
        }
        missed.fill(cache, tables, kind, text, &places, &mut work_out)?;
        let mut start = 0;
        for hole in &missed.holes {
            let end = usize::from(hole.ids_before);
            sink.take_ids(&ids[start..end]);
            sink.take_ids(if hole.is_new { &missed.new } else { &missed.known }.get(hole.list.into()));
            start = end;
        }
        sink.take_ids(&ids[start..len]);
    }
}

impl Missed {
    /// An empty list.
    pub(crate) fn list(&mut self) -> &mut Vec<u32> {
        self.known.clear();
        &mut self.known.ids
    }

    /// Finds the ids for each hole, and remembers those that are new.
    #[inline(never)]
    fn fill(
        &mut self,
        cache: &PieceCache,
        tables: &Tables,
        kind: PieceKind,
        text: &str,
        places: &[(Place<'_>, u32, u32)],
        work_out: &mut impl FnMut(&str, &[Range<usize>], &mut IdLists) -> Result<()>,
    ) -> Result<()> {
        let Self { holes, known, pieces, new } = self;
        known.clear();
        pieces.clear();
        new.clear();
        for hole in &mut *holes {
            let (place, start, end) = places[usize::from(hole.piece)];
            let piece = start as usize..end as usize;
            if !hole.is_new {
                let mut ids = [0; LONG_IDS];
                let bytes = &text.as_bytes()[piece.clone()];
                let count = tables.ids(place, kind, bytes, &mut ids);
                hole.is_new = count == 0;
                if count > 0 {
                    hole.list = known.ends.len() as u16;
                    known.ids.extend_from_slice(&ids[..count]);
                    known.ends.push(known.ids.len());
                    continue;
                }
            }
            hole.list = pieces.len() as u16;
            pieces.push(piece);
        }
        if pieces.is_empty() {
            return Ok(());
        }
        work_out(text, pieces, new)?;
        for hole in holes.iter().filter(|hole| hole.is_new) {
            let (place, start, end) = places[usize::from(hole.piece)];
            cache.insert(tables, place, kind, &text.as_bytes()[start as usize..end as usize], new.get(hole.list.into()));
        }
        Ok(())
    }
}
