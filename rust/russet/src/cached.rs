//! Pieces to ids, through the cache.
//!
//! Pieces come in batches. For each batch the places in the cache are worked out first and fetched from memory all at once, then
//! the ids are read, so that the time to reach memory is paid once a batch. What the cache does not know the model works out,
//! there and then, and it is remembered. Ids of a batch are collected on the stack and handed on in one go.

use crate::piece_cache::{PieceCache, PieceKind, Place, Short, Tables, PACKED_IDS, SHORT_IDS};
use crate::Result;
use std::ops::Range;

/// How many pieces are looked up together.
const BATCH: usize = 64;

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

/// Ids on their way to a sink.
struct Staged<'s, S> {
    ids: [u32; SHORT_IDS * BATCH],
    len: usize,
    sink: &'s mut S,
}

impl<S: IdSink> Staged<'_, S> {
    /// Appends the first `count` of `ids`, where there is room for a batch of such.
    #[inline(always)]
    fn push(&mut self, ids: [u32; SHORT_IDS], count: usize) {
        self.ids[self.len..self.len + SHORT_IDS].copy_from_slice(&ids);
        self.len += count;
    }

    fn flush(&mut self) {
        self.sink.take_ids(&self.ids[..self.len]);
        self.len = 0;
    }
}

/// Gives the ids of one piece to `sink`; `work_out` appends them if the cache does not know it.
#[inline(always)]
pub(crate) fn ids_of_piece<S: IdSink>(
    cache: &PieceCache,
    kind: PieceKind,
    piece: &str,
    missed: &mut Vec<u32>,
    sink: &mut S,
    work_out: impl FnOnce(&str, &mut Vec<u32>) -> Result<()>,
) -> Result<()> {
    let tables = cache.tables();
    let place = tables.place(kind, piece.as_bytes(), 0, piece.len());
    let short = tables.short(place);
    match short {
        Short::Ids(ids, count) => sink.take_ids(&ids[..count.min(SHORT_IDS)]),
        Short::Packed(ids, count) => sink.take_ids(&ids[..count.min(PACKED_IDS)]),
        Short::Elsewhere | Short::Unknown => {
            find_or_work_out(cache, tables, place, kind, piece, matches!(short, Short::Elsewhere), missed, work_out)?;
            sink.take_ids(missed);
        }
    }
    Ok(())
}

/// Puts the ids of a piece that has no short slot into `ids`: from a longer slot, where there may be one, or worked out, and
/// remembered.
#[inline(always)]
#[allow(clippy::too_many_arguments)] // what the callers' loops know already
fn find_or_work_out(
    cache: &PieceCache,
    tables: &Tables,
    place: Place,
    kind: PieceKind,
    piece: &str,
    may_be_known: bool,
    ids: &mut Vec<u32>,
    work_out: impl FnOnce(&str, &mut Vec<u32>) -> Result<()>,
) -> Result<()> {
    ids.clear();
    if !(may_be_known && tables.long_ids(place, kind, piece.as_bytes(), ids)) {
        work_out(piece, ids)?;
        cache.insert(tables, place, kind, piece.as_bytes(), ids);
    }
    Ok(())
}

/// Gives the ids of the pieces of `text`, which is shorter than 4 GiB, to `sink`; `work_out` appends those of a piece that the cache
/// does not know.
#[inline(always)]
pub(crate) fn ids_of_pieces<S: IdSink>(
    cache: &PieceCache,
    kind: PieceKind,
    text: &str,
    mut pieces: impl Iterator<Item = Range<usize>>,
    missed: &mut Vec<u32>,
    sink: &mut S,
    mut work_out: impl FnMut(&str, &mut Vec<u32>) -> Result<()>,
) -> Result<()> {
    let mut staged = Staged { ids: [0; SHORT_IDS * BATCH], len: 0, sink };
    let mut places = [(Place::default(), 0_u32, 0_u32); BATCH];
    loop {
        let tables = cache.tables();
        let mut batch = 0;
        for (slot, piece) in places.iter_mut().zip(&mut pieces) {
            let place = tables.place(kind, text.as_bytes(), piece.start, piece.len());
            *slot = (place, piece.start as u32, piece.end as u32);
            batch += 1;
        }
        if batch == 0 {
            return Ok(());
        }
        for &(place, start, end) in &places[..batch] {
            let short = tables.short(place);
            if let Short::Ids(ids, count) = short {
                staged.push(ids, count);
                continue;
            }
            staged.flush();
            if let Short::Packed(ids, count) = short {
                staged.sink.take_ids(&ids[..count.min(PACKED_IDS)]);
                continue;
            }
            let piece = &text[start as usize..end as usize];
            find_or_work_out(cache, tables, place, kind, piece, matches!(short, Short::Elsewhere), missed, &mut work_out)?;
            staged.sink.take_ids(missed);
        }
        staged.flush();
    }
}
