//! Units: what a piece is cut into where no merge can reach across (`cuts`), each worth a place in the cache.
//!
//! A piece in a language without spaces is as long as a clause and is hardly ever met again; its units are a character or two, most
//! of which were. So what is not known as a whole is put together from units, and only those that are not known either are worked
//! out. Here are those of any model of characters; `char_units` and `raw_units` know most at once. O(n) for a piece of n bytes.

use super::cuts::Cutter;
use super::{too_long, Bpe, Parts, Scratch, MAX_PIECE_BYTES};
use crate::cached::{self, BatchScratch, IdSink};
use crate::piece_cache::{PieceCache, PieceKind};
use crate::{Error, Result};

impl Bpe {
    /// Whether pieces may be cut into units that are merged apart, each worth a place in the cache: where texts are written in
    /// characters, a piece can be a whole text.
    pub(in crate::models) fn has_units(&self) -> bool {
        matches!(&self.parts, Parts::Characters { joints: Some(_), .. })
    }

    /// Gives the ids of a piece to `sink`, unit by unit through the cache.
    pub(in crate::models) fn ids_of_units<S: IdSink>(
        &self,
        cache: &PieceCache,
        piece: &str,
        batch: &mut BatchScratch,
        scratch: &mut Scratch,
        sink: &mut S,
    ) -> Result<()> {
        let Parts::Characters { characters, joints: Some(joints) } = &self.parts else {
            return Err(Error::Internal("units of a model without joints".into()));
        };
        if piece.len() > MAX_PIECE_BYTES {
            return Err(too_long(piece));
        }
        if self.ignore_merges {
            if let Some(id) = self.whole(piece, scratch) {
                sink.take_ids(&[id]);
                return Ok(());
            }
        }
        if self.ids_by_char_units(cache, piece, scratch, sink)? {
            return Ok(());
        }
        let mut cutter = Cutter::new(piece);
        let is_token = |character| characters.id(character, false, false).is_some();
        let is_free = |left, right| !joints.joins(left, right) && is_token(left) && is_token(right);
        let units = std::iter::from_fn(|| cutter.next(is_free));
        cached::ids_of_pieces(
            cache,
            PieceKind::Piece,
            piece,
            units,
            batch,
            sink,
            cached::each(|unit, ids| self.ids_of_unit(unit, scratch, ids)),
        )
    }

    /// Appends the ids of a unit.
    pub(super) fn ids_of_unit(&self, unit: &str, scratch: &mut Scratch, ids: &mut Vec<u32>) -> Result<()> {
        match self.backtracker.as_ref().is_some_and(|backtracker| self.ids_by_text(backtracker, unit, scratch, ids)) {
            true => Ok(()),
            false => self.tokenize_parts(unit, 0, scratch, ids),
        }
    }
}
