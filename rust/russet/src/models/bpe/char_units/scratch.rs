//! What pieces become while they are read: ids, and gaps where the ids of a unit are not known yet.
//!
//! The ids of all pieces that are worked out together stand in one list; a gap knows how many are before it, so that nothing is moved
//! when its ids are found. Ids are put there in arrays of fixed length, of which some count: there is room for more behind the last.

use super::block::COPIED;
use super::{Symbols, Together};
use crate::cached::{BatchScratch, IdLists};
use std::ops::Range;

/// For how many ids there is room; a unit of more characters makes more.
const IDS: usize = 1 << 12;

/// What a piece becomes: ids, and gaps where units are yet to be merged.
#[derive(Debug, Default)]
pub(in crate::models::bpe) struct UnitScratch {
    /// The first `len` are ids.
    pub(super) ids: Vec<u32>,
    pub(super) len: usize,
    pub(super) gaps: Vec<Gap>,
    /// The units of the gaps that are merged together, and for each gap its ids, or none.
    pub(super) together: Together,
    /// Those of a unit that comes to them.
    pub(super) symbols: Symbols,
    pub(super) lists: IdLists,
    /// Of the pieces so far: the ends of their ids and gaps.
    pub(super) ends: Vec<Ends>,
    /// For parts of a long piece.
    pub(super) kept: BatchScratch,
    /// The ids of a unit that is merged alone.
    pub(super) merged: Vec<u32>,
    /// Its text.
    pub(super) text: String,
}

/// How many ids and gaps there are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    pub(super) ids: usize,
    pub(super) gaps: usize,
}

/// A unit whose ids are not known.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    /// How many ids are before it.
    pub(super) at: usize,
    /// Where it lies in the text.
    pub(super) unit: Range<usize>,
    /// For [`KnownUnits`](super::table::KnownUnits), or 0.
    pub(super) key: u64,
    /// Whether it belongs into the piece cache.
    pub(super) is_cached: bool,
}

impl UnitScratch {
    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.gaps.clear();
        self.together.truncate(0);
        self.lists.clear();
        self.ends.clear();
        if self.ids.len() > IDS {
            self.ids = Vec::new();
        }
    }

    /// Whether there is room for `more` ids.
    pub(super) fn has_room(&self, more: usize) -> bool {
        self.len + more + COPIED <= self.ids.len()
    }

    /// Makes room for `more` ids.
    #[cold]
    pub(super) fn make_room(&mut self, more: usize) {
        let room = (self.len + more + COPIED).next_power_of_two().max(IDS);
        self.ids.resize(room, 0);
    }

    pub(super) fn end(&self) -> Ends {
        Ends { ids: self.len, gaps: self.gaps.len() }
    }

    /// Forgets what is behind `end`.
    pub(super) fn truncate(&mut self, end: Ends) {
        self.len = end.ids;
        self.gaps.truncate(end.gaps);
        self.together.truncate(end.gaps);
        self.lists.truncate(end.gaps);
    }

    /// Puts the first `count` of `ids` behind the first `len`.
    #[inline(always)]
    pub(super) fn put<const N: usize>(&mut self, len: usize, ids: &[u32; N], count: usize) {
        debug_assert!(len + N <= self.ids.len() && count <= N);
        if let Some(room) = self.ids.get_mut(len..).and_then(|room| room.first_chunk_mut()) {
            *room = *ids;
        }
        self.len = len + count;
    }

    /// Puts any number of ids behind the first `len`.
    pub(super) fn put_all(&mut self, ids: &[u32]) {
        if !self.has_room(ids.len()) {
            self.make_room(ids.len());
        }
        if let Some(room) = self.ids.get_mut(self.len..self.len + ids.len()) {
            room.copy_from_slice(ids);
        }
        self.len += ids.len();
    }
}
