//! Pieces read in blocks of characters: where units begin, the ids of those that are known, and gaps for the others.
//!
//! A block is 64 characters. A bit for each says whether it is joined to the one before; runs of such bits are units, the rest are
//! characters by themselves, whose ids are copied eight at a time. A unit that may go on in the next block is read again with that,
//! one that fills a block is walked to its end. Gaps are merged together (`short`) when there is no more room.

use super::block::{word, Block, Character, Lanes, NoLanes, BLOCK, COPIED};
use super::scratch::{Ends, Gap, UnitScratch};
use super::table::KNOWN;
use super::{spell, CharUnits, BEGINS, ID, NEAR};
use crate::cached::{self, IdLists, IdSink};
use crate::models::bpe::alphabet::Characters;
use crate::models::bpe::{Bpe, Scratch};
use crate::piece_cache::{PieceCache, PieceKind, MOST_BYTES, MOST_IDS};
use crate::words::SPACE_SYMBOL;
use crate::Result;
use std::ops::Range;

/// The units of longer pieces are looked up in the cache: more of them were met before than not (of code four of five), but of
/// shorter pieces one of twenty.
const SHORT_BYTES: usize = 15;
/// How many units are merged together at most.
const UNITS: usize = 256;

/// How the text is written that units are cut from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
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

    /// What a character stands for.
    #[inline(always)]
    fn code(self, character: u32) -> u32 {
        if character == u32::from(' ') {
            self.space()
        } else {
            character
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

/// Reads pieces of one text.
pub(super) struct PieceReader<'a> {
    pub(super) model: &'a Bpe,
    pub(super) units: &'a CharUnits,
    pub(super) characters: &'a Characters,
    pub(super) cache: &'a PieceCache,
    pub(super) written: Written,
    pub(super) text: &'a str,
}

impl PieceReader<'_> {
    /// Reads a piece and returns true, or returns false if it has a character that is neither a token nor its bytes. Where there is no
    /// more room, `fill` is called, which leaves no gaps.
    #[inline(always)]
    pub(super) fn read(
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
                    end = self.next_free(block.codes[BLOCK - 1], end..piece.end);
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
            let code = self.written.code(character.code);
            let entry = self.entry(code);
            let low = if (code as usize) < NEAR { code as u16 } else { 0 };
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

    /// What is known of a character.
    #[inline(always)]
    fn entry(&self, code: u32) -> u32 {
        self.units.near.get(code as usize).map_or_else(|| CharUnits::far(self.characters, code), |&entry| entry)
    }

    /// Where the unit ends that has the character `previous` before `text` and may go on there.
    #[cold]
    fn next_free(&self, mut previous: u32, text: Range<usize>) -> usize {
        for (offset, character) in self.text[text.clone()].char_indices() {
            let code = self.written.code(character.into());
            if self.is_free(previous, code) {
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
            let mut few = [0; MOST_IDS];
            let place = tables.place_of(kind, text, text.len());
            let mut more = std::mem::take(&mut scratch.merged);
            let ids = tables.ids(&place, &mut few, &mut more);
            scratch.put_all(ids);
            let is_known = !ids.is_empty();
            scratch.merged = more;
            if is_known {
                return;
            }
        }
        let list = scratch.lists.add();
        if let Some(pairs) = self.model.pairs(1) {
            let UnitScratch { symbols, together, .. } = scratch;
            symbols.clear();
            if characters.iter().all(|&entry| symbols.push(pairs.number(entry & ID))) && symbols.join(pairs) {
                together.push(symbols, list, pairs);
            }
        }
        scratch.gaps.push(Gap { at: scratch.len, unit, key, is_cached });
    }

    /// Merges the units of all gaps.
    fn merge(&self, scratch: &mut UnitScratch) {
        if let Some(pairs) = self.model.pairs(0) {
            scratch.together.merge(pairs, &mut scratch.lists);
        }
    }

    /// Gives the ids between two ends to `sink`, after [`merge`](Self::merge).
    fn give<S: IdSink>(&self, from: Ends, to: Ends, scratch: &mut UnitScratch, bpe: &mut Scratch, sink: &mut S) -> Result<()> {
        let UnitScratch { ids, gaps, lists, merged, text, .. } = scratch;
        let mut start = from.ids;
        for (list, gap) in gaps.iter().enumerate().take(to.gaps).skip(from.gaps) {
            sink.take_ids(&ids[start..gap.at]);
            start = gap.at;
            let mut unit = lists.get(list);
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
                self.cache.insert(tables, &tables.place_of(kind, text, text.len()), text, unit);
            }
            sink.take_ids(unit);
        }
        sink.take_ids(&ids[start..to.ids]);
        Ok(())
    }

    /// Gives the ids of a piece of any length to `sink`, or returns false as [`read`](Self::read) does; then nothing was given.
    pub(super) fn give_piece<S: IdSink>(
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
        if piece.len() <= MOST_BYTES {
            self.read_all(piece, &mut block, scratch, bpe, sink)?;
            return Ok(true);
        }
        // A line that is met again has the same parts; what is new to the cache is read at once.
        let (mut new, mut at) = (piece.start, piece.start);
        let mut kept = std::mem::take(&mut scratch.kept);
        while at < piece.end {
            let part = at..self.end_of_part(at..piece.end);
            at = part.end;
            let text = &self.text[part.clone()];
            if part.len() <= MOST_BYTES && self.cache.was_met(text.as_bytes()) {
                self.read_all(new..part.start, &mut block, scratch, bpe, sink)?;
                new = part.end;
                cached::ids_of_piece(self.cache, self.written.kind(), text, &mut kept, sink, |_, ids| {
                    self.read_all(part, &mut block, scratch, bpe, ids)
                })?;
            }
        }
        self.read_all(new..at, &mut block, scratch, bpe, sink)?;
        scratch.kept = kept;
        Ok(true)
    }

    /// Gives the ids of a piece, or of a part of it that is cut where no merge reaches across, to `sink`.
    fn read_all<S: IdSink>(
        &self,
        part: Range<usize>,
        block: &mut Block,
        scratch: &mut UnitScratch,
        bpe: &mut Scratch,
        sink: &mut S,
    ) -> Result<()> {
        let mut fill = |scratch: &mut UnitScratch| {
            self.merge(scratch);
            self.give(Ends::default(), scratch.end(), scratch, bpe, sink)?;
            scratch.clear();
            Ok(())
        };
        self.read(part, block, scratch, &mut fill)?;
        fill(scratch)
    }

    /// Where a part of a text ends that begins where the text does: at the last place in reach that no merge reaches across, or if
    /// there is none, at the next.
    fn end_of_part(&self, text: Range<usize>) -> usize {
        if text.len() <= MOST_BYTES {
            return text.end;
        }
        let reach = self.text.floor_char_boundary(text.start + MOST_BYTES);
        let code = |character: char| self.written.code(character.into());
        let mut next = self.text[reach..].chars().next().map_or(0, code);
        for (offset, character) in self.text[text.start..reach].char_indices().rev() {
            if self.is_free(code(character), next) {
                return text.start + offset + character.len_utf8();
            }
            next = code(character);
        }
        let before = self.text[text.start..reach].chars().next_back().map_or(0, code);
        self.next_free(before, reach..text.end)
    }

    /// Whether no merge joins these characters.
    #[inline(always)]
    fn is_free(&self, left: u32, right: u32) -> bool {
        self.entry(left) >> 1 & self.entry(right) & BEGINS == 0 || !self.units.joints.has(left, right)
    }

    /// Whether each character of a piece is a token.
    fn is_readable(&self, piece: Range<usize>) -> bool {
        self.text[piece].chars().all(|character| self.entry(self.written.code(character.into())) != 0)
    }

    /// Appends the lists of the pieces that were read.
    pub(super) fn give_lists(&self, units: &mut UnitScratch, bpe: &mut Scratch, lists: &mut IdLists) -> Result<()> {
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

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::super::tests::configs;
    use super::*;
    use crate::piece_cache::DEFAULT_LIMIT;
    use crate::simd::Avx2;
    use proptest::prelude::*;

    /// Runs of characters of each length, tokens and others.
    const TEXT: &str = r"([ab ]{1,30}|[é£к]{1,20}|[漢字か▁한]{1,20}|[😀𝒳]{1,4}|[\x00-\x7f]{1,9}|\PC{1,4}){0,30}";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn blocks_read_with_and_without_vectors_are_the_same(
            (config, text, is_spelled) in (configs(), TEXT, any::<bool>()),
            (from, to) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        ) {
            let model = Bpe::from_config(config, false).unwrap();
            let cache = PieceCache::new(DEFAULT_LIMIT);
            let written = if is_spelled { Written::WithSpaces } else { Written::AsTokens };
            let (Some(reader), Some(lanes)) = (model.piece_reader(&cache, &text, written), Avx2::new()) else { return Ok(()) };
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            // The end of the text, or a place inside of it, where other characters follow.
            let (from, to) = (*from.get(&places), if to.index(3) == 0 { text.len() } else { *to.get(&places) });
            let (mut by_lanes, mut one_by_one) = (Block::new(), Block::new());
            let mut at = from.min(to);
            while at < to {
                let end = reader.read_block(lanes, at..to, &mut by_lanes);
                prop_assert_eq!(end, reader.read_block(NoLanes, at..to, &mut one_by_one));
                let count = text[at..end].chars().count();
                prop_assert!(count == BLOCK || end == to);
                prop_assert_eq!((by_lanes.count, one_by_one.count), (count, count));
                prop_assert_eq!(&by_lanes.starts[..count], &one_by_one.starts[..count]);
                prop_assert_eq!(&by_lanes.codes[..count], &one_by_one.codes[..count]);
                prop_assert_eq!(&by_lanes.entries[..count], &one_by_one.entries[..count]);
                prop_assert_eq!(&by_lanes.last[..KNOWN + count], &one_by_one.last[..KNOWN + count]);
                prop_assert_eq!((by_lanes.joined, by_lanes.others), (one_by_one.joined, one_by_one.others));
                at = end;
            }
        }
    }
}
