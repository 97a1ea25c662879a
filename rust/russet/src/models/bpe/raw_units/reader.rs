//! Pieces of raw bytes read unit by unit: the ids of units that are known, and gaps for the others.
//!
//! While pieces are read, what is not in the units' own table is fetched from the piece cache; then what the cache does not know either is
//! merged together (`short`), and only then the ids of all pieces are put together. So no unit waits for memory, or for the one before.

use super::block::{Block, NoLanes, Unit, BLOCK};
use super::joints::last_byte;
use super::{RawUnits, FEW, TESTED, WHOLE_BYTES};
use crate::cached::IdLists;
use crate::models::bpe::char_units::Character;
use crate::models::bpe::short::{Symbols, Together};
use crate::models::bpe::{Bpe, Scratch, MAX_PIECE_BYTES};
use crate::piece_cache::{PieceCache, PieceKind, Place, Tables, MOST_IDS};
use crate::Result;
use std::ops::Range;

/// After so many ids those of the pieces so far are put together.
const IDS: usize = 1 << 12;
/// And after so many gaps.
const GAPS: usize = 256;

/// Buffers, reused from piece to piece.
#[derive(Debug, Default)]
pub(in crate::models::bpe) struct RawScratch {
    block: Block,
    /// The first `len` are the ids of the units that are known.
    ids: Vec<u32>,
    len: usize,
    gaps: Vec<Gap>,
    /// For each gap its ids.
    lists: IdLists,
    together: Together,
    symbols: Symbols,
    /// What the cache has of a unit.
    found: Vec<u32>,
    /// The pieces so far: whose list their ids are, and the ends of their ids and gaps.
    ends: Vec<(usize, Ends)>,
}

/// How many ids and gaps there are.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    ids: usize,
    gaps: usize,
}

/// A unit whose ids its table does not have.
#[derive(Clone, Copy, Debug)]
struct Gap {
    /// How many ids are before it.
    at: usize,
    unit: Unit,
    /// Where it is in the piece cache; a unit that is a whole piece gets its place there as such.
    place: Option<Place>,
    is_known: bool,
}

impl RawUnits {
    /// Reads characters of `part` of a text, up to `most`, into `block`; where they end.
    #[inline(always)]
    fn read_block(&self, text: &str, part: Range<usize>, block: &mut Block, most: usize) -> usize {
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = self.lanes {
            return lanes.run(
                #[inline(always)]
                |lanes| block.read(lanes, text.as_bytes(), part, &self.joints, most),
            );
        }
        block.read(NoLanes, text.as_bytes(), part, &self.joints, most)
    }

    /// The unit that begins `part` of a text.
    #[cold]
    fn long_unit(&self, text: &str, part: Range<usize>) -> Unit {
        let bytes = text.as_bytes();
        let Character { code: mut left, bytes: length } = Character::at(bytes, part.start);
        let mut at = part.start + length;
        while at < part.end {
            let right = Character::at(bytes, at);
            if !self.joints.joins(left, right.code, [last_byte(left), bytes[at]]) {
                break;
            }
            left = right.code;
            at += right.bytes;
        }
        Unit { start: part.start as u32, end: at as u32, code: 0 }
    }
}

impl RawScratch {
    fn end(&self) -> Ends {
        Ends { ids: self.len, gaps: self.gaps.len() }
    }

    pub(in crate::models::bpe) fn clear(&mut self) {
        self.len = 0;
        self.gaps.clear();
        self.lists.clear();
        self.together.truncate(0);
        self.ends.clear();
    }
}

/// Reads pieces of one text.
pub(in crate::models::bpe) struct RawReader<'a> {
    model: &'a Bpe,
    units: &'a RawUnits,
    cache: &'a PieceCache,
    tables: &'a Tables,
    text: &'a str,
}

impl RawReader<'_> {
    /// Reads a piece whose ids become the list of this number, if it is long and seems to fall apart into short units; whether it does.
    #[inline(always)]
    pub(in crate::models::bpe) fn read(
        &self,
        list: usize,
        piece: Range<usize>,
        raw: &mut RawScratch,
        scratch: &mut Scratch,
        lists: &mut IdLists,
    ) -> Result<bool> {
        if piece.len() <= WHOLE_BYTES || piece.len() > MAX_PIECE_BYTES || self.text[piece.clone()].is_ascii() {
            return Ok(false);
        }
        raw.block.clear();
        let end = self.units.read_block(self.text, piece.clone(), &mut raw.block, TESTED);
        let (free, all) = raw.block.free_places();
        if 3 * free < all {
            return Ok(false);
        }
        self.read_on(list, piece, end, raw, scratch, lists)?;
        Ok(true)
    }

    /// Reads a piece, of which the characters up to `begun` are in the block.
    fn read_on(
        &self,
        list: usize,
        piece: Range<usize>,
        begun: usize,
        raw: &mut RawScratch,
        scratch: &mut Scratch,
        lists: &mut IdLists,
    ) -> Result<()> {
        if let Some(id) = self.model.unmade_id(&self.text[piece.clone()]) {
            lists.set(list, |ids| ids.push(id));
            return Ok(());
        }
        let (mut at, mut begun) = (piece.start, begun);
        let mut has_given = false;
        while at < piece.end {
            if raw.len > IDS || raw.gaps.len() > GAPS {
                raw.ends.push((list, raw.end()));
                self.give(raw, scratch, lists)?;
                has_given = true;
            }
            let mut end = self.units.read_block(self.text, begun..piece.end, &mut raw.block, BLOCK);
            if end < piece.end {
                // The last unit may go on.
                end = raw.block.leave_last().unwrap_or_else(|| {
                    let unit = self.units.long_unit(self.text, at..piece.end);
                    raw.gaps.push(self.gap(raw.len, unit, piece.len()));
                    raw.block.clear();
                    unit.end as usize
                });
            }
            self.take_block(end, piece.len(), raw);
            raw.block.clear();
            (at, begun) = (end, end);
        }
        raw.ends.push((list, raw.end()));
        // Its parts have to follow one another.
        if has_given {
            self.give(raw, scratch, lists)?;
        }
        Ok(())
    }

    /// Takes the ids of a block that ends at `end`, of a piece of so many bytes.
    #[inline(always)]
    fn take_block(&self, end: usize, piece_bytes: usize, raw: &mut RawScratch) {
        let RawScratch { block, ids, len, gaps, .. } = raw;
        if ids.len() < *len + FEW * (BLOCK + 1) {
            ids.resize((*len + FEW * (BLOCK + 1)).max(2 * IDS), 0);
        }
        let mut count = *len;
        for &unit in block.find_units(end, |code| self.units.fetch(code)) {
            let (few, known) = self.units.known(unit.code);
            if let Some(room) = ids.get_mut(count..count + FEW).and_then(|room| room.first_chunk_mut()) {
                *room = few;
            }
            count += known;
            if known == 0 {
                gaps.push(self.gap(count, unit, piece_bytes));
            }
        }
        *len = count;
    }

    /// The gap for a unit of a piece of so many bytes; what the cache knows of it is fetched.
    #[inline(never)]
    fn gap(&self, at: usize, unit: Unit, piece_bytes: usize) -> Gap {
        let text = self.unit(unit);
        // A whole piece may be a token that no merge makes.
        let kind = if self.model.ignore_merges { PieceKind::Unit } else { PieceKind::Piece };
        let place = (text.len() < piece_bytes).then(|| self.tables.place_of(kind, text.as_bytes(), text.len()));
        Gap { at, unit, place, is_known: false }
    }

    fn unit(&self, unit: Unit) -> &str {
        &self.text[unit.start as usize..unit.end as usize]
    }

    /// Puts the ids of the pieces so far together.
    pub(in crate::models::bpe) fn give(&self, raw: &mut RawScratch, scratch: &mut Scratch, lists: &mut IdLists) -> Result<()> {
        if raw.ends.is_empty() {
            return Ok(());
        }
        let RawScratch { ids, gaps, lists: of_gaps, together, symbols, found, ends, .. } = raw;
        let pairs = self.model.pairs(0);
        let mut few = [0; MOST_IDS];
        for gap in &mut *gaps {
            let list = of_gaps.add();
            if let Some(place) = &gap.place {
                let known = self.tables.ids(place, &mut few, found);
                gap.is_known = !known.is_empty();
                if gap.is_known {
                    of_gaps.set(list, |ids| ids.extend_from_slice(known));
                    continue;
                }
            }
            if let Some(pairs) = pairs.filter(|pairs| self.model.read_symbols(self.unit(gap.unit), pairs, symbols)) {
                together.push(symbols, list, pairs);
            }
        }
        if let Some(pairs) = pairs {
            together.merge(pairs, of_gaps);
        }
        for (list, gap) in gaps.iter().enumerate() {
            let unit = self.unit(gap.unit);
            if of_gaps.has_none(list) {
                of_gaps.set(list, |ids| self.model.ids_of_unit(unit, scratch, ids))?;
            }
            let ids = of_gaps.get(list);
            if let Some(place) = gap.place.filter(|_| !gap.is_known) {
                self.cache.insert(self.tables, &place, unit.as_bytes(), ids);
            }
            self.units.remember(gap.unit.code, ids);
        }
        let mut from = Ends::default();
        for &(list, to) in &*ends {
            lists.append(list, |all| {
                let mut start = from.ids;
                for (list, gap) in gaps.iter().enumerate().take(to.gaps).skip(from.gaps) {
                    all.extend_from_slice(&ids[start..gap.at]);
                    all.extend_from_slice(of_gaps.get(list));
                    start = gap.at;
                }
                all.extend_from_slice(&ids[start..to.ids]);
            });
            from = to;
        }
        raw.clear();
        Ok(())
    }
}

impl Bpe {
    /// What reads pieces of a text, where a model reads raw bytes.
    pub(in crate::models::bpe) fn raw_reader<'a>(&'a self, cache: &'a PieceCache, text: &'a str) -> Option<RawReader<'a>> {
        let units = self.raw_units.as_ref()?;
        Some(RawReader { model: self, units, cache, tables: cache.tables(), text })
    }
}
