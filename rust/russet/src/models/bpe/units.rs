//! Units: what a piece is cut into where no merge can reach across (`cuts`), each worth a place in the cache.
//!
//! A piece in a language without spaces is as long as a clause and is hardly ever met again; its units are a character or two, most
//! of which were. So what is not known as a whole is put together from units, and only those that are not known either are worked
//! out. Where a model reads raw bytes, that is done for pieces that seem to fall apart into short units, and those of one or two
//! characters have tables of their own: most Chinese and Japanese text is that (`encode_arrays` of fresh CJK text with GPT-2, Llama 3
//! and o200k: 1.4 to 1.8 times as fast, and of what was met before 1.4 to 1.6 times). O(n) for a piece of n bytes.
//!
//! A unit is merged, also if it is a token that no merge makes. So where a whole piece may be such a token, units are cached apart.

use super::compile::each_joint;
use super::cuts::{Cutter, RawCutter, RawJoints, RawUnit};
use super::merges::{Merges, NEVER};
use super::{too_long, Bpe, Parts, Scratch, MAX_PIECE_BYTES};
use crate::cached::{self, BatchScratch, IdSink};
use crate::compiled::{Reader, Writer};
use crate::memory::{Zeroable, Zeroed};
use crate::piece_cache::{PieceCache, PieceKind};
use crate::vocab::Vocabulary;
use crate::{Error, Result};
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest piece of raw bytes that is worked out as a whole in any case.
const WHOLE_BYTES: usize = 9;
/// How many places between characters tell whether a piece falls apart, if a third of them are free: a word of a language with
/// spaces is faster merged as a whole, beside others.
const TESTED_PLACES: usize = 8;
/// The longest unit that is looked for among the tokens before it is merged.
const TOKEN_BYTES: usize = 12;

/// What is known of units of raw bytes.
#[derive(Debug)]
pub(super) struct RawUnits {
    joints: RawJoints,
    /// The ids of units of one character, by its number.
    ones: Zeroed<FewIds>,
    /// Those of units of two, by hash.
    twos: Zeroed<FewIds>,
}

/// Up to three ids, or zero: 20 bits each, the first one lowest, and their number in the highest two bits. In place of the third, that
/// of two characters has a tag. It is one word, so threads need no lock.
#[derive(Debug)]
struct FewIds(AtomicU64);

// SAFETY: zero is a value of AtomicU64.
unsafe impl Zeroable for FewIds {}

const FEW: usize = 3;
const ID_BITS: u32 = 20;
const COUNT_SHIFT: u32 = 62;
/// Two numbers of 16 bits are mixed without loss; a part of that is the place in the table, and the rest is the tag.
const TAG_BITS: u32 = 18;
const TAG_SHIFT: u32 = 2 * ID_BITS;
const TAG: u32 = (1 << TAG_BITS) - 1;
const TWOS: usize = 1 << (32 - TAG_BITS);

impl RawUnits {
    /// The tables for a vocabulary in byte-level characters.
    pub(super) fn new(vocabulary: &Vocabulary, merges: &Merges) -> Self {
        let mut joints = RawJoints::new();
        each_joint(vocabulary, merges, |left, right| {
            let is_ascii = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii);
            if !(is_ascii(left.as_bytes().last()) && is_ascii(right.as_bytes().first())) {
                joints.insert_mapped(left, right);
            }
        });
        joints.shrink();
        Self::of(joints)
    }

    fn of(joints: RawJoints) -> Self {
        Self { joints, ones: Zeroed::new(1 << 16), twos: Zeroed::new(TWOS) }
    }

    /// The slot for a unit, the most ids it holds, and the tag above them.
    #[inline(always)]
    fn slot(&self, code: u32) -> (&FewIds, usize, u32) {
        if code < 1 << 16 {
            return (&self.ones[code as usize], FEW, 0);
        }
        // Both steps can be undone, so no two units have the same slot and tag.
        let mixed = code.wrapping_mul(0x9e37_79b1);
        let mixed = mixed ^ mixed >> 15;
        (&self.twos[(mixed >> TAG_BITS) as usize], FEW - 1, mixed & TAG)
    }

    /// The ids of a unit by its `code` and their number, if they are known; of those behind any may stand there.
    #[inline(always)]
    fn known(&self, code: u32) -> Option<([u32; FEW], usize)> {
        let (FewIds(slot), most, tag) = self.slot(code);
        let word = slot.load(Ordering::Relaxed);
        let id = |index: usize| (word >> (ID_BITS * index as u32)) as u32 & ((1 << ID_BITS) - 1);
        let is_there = word != 0 && (most == FEW || (word >> TAG_SHIFT) as u32 & TAG == tag);
        is_there.then(|| (std::array::from_fn(id), (word >> COUNT_SHIFT) as usize))
    }

    /// Remembers the ids of a unit by its `code`, if they fit.
    fn remember(&self, code: u32, ids: &[u32]) {
        let (FewIds(slot), most, tag) = self.slot(code);
        if code != 0 && (1..=most).contains(&ids.len()) && ids.iter().all(|&id| id >> ID_BITS == 0) {
            let packed = ids.iter().rev().fold(0, |word, &id| word << ID_BITS | u64::from(id));
            slot.store(packed | u64::from(tag) << TAG_SHIFT | (ids.len() as u64) << COUNT_SHIFT, Ordering::Relaxed);
        }
    }

    /// Writes the tables to a compiled file.
    pub(super) fn write(&self, to: &mut Writer) {
        self.joints.write(to);
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self> {
        RawJoints::read(from).map(Self::of)
    }
}

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

    /// Appends the ids of a unit of raw bytes.
    fn ids_of_raw_unit(&self, unit: &str, scratch: &mut Scratch, ids: &mut Vec<u32>) -> Result<()> {
        if let Some(backtracker) = self.backtracker.as_ref().filter(|_| unit.len() <= TOKEN_BYTES) {
            let whole = backtracker.whole(unit.as_bytes(), &self.vocabulary);
            if let Some(id) = whole.filter(|&id| self.merges.made(id) != NEVER) {
                ids.push(id);
                return Ok(());
            }
        }
        self.ids_of_unit(unit, scratch, ids)
    }

    /// What is known of units, if that is the way for a piece: it is long and seems to fall apart into short ones.
    #[inline]
    pub(super) fn units_for(&self, piece: &str) -> Option<&RawUnits> {
        let units = self.raw_units.as_ref()?;
        if piece.len() <= WHOLE_BYTES || piece.len() > MAX_PIECE_BYTES || piece.is_ascii() {
            return None;
        }
        let mut characters = piece.chars();
        let mut left = characters.next()?;
        let (mut free, mut all) = (0, 0);
        for right in characters.take(TESTED_PLACES) {
            free += usize::from(!units.joints.joins(left, right));
            all += 1;
            left = right;
            // Whatever comes, that is a third of them, or is not.
            if 3 * free >= TESTED_PLACES || 3 * (free + TESTED_PLACES - all) < TESTED_PLACES {
                break;
            }
        }
        (3 * free >= all).then_some(units)
    }

    /// Appends the ids of a piece that `cache` does not know, by way of its units where that is of use.
    pub(in crate::models) fn ids_by_units(
        &self,
        cache: &PieceCache,
        piece: &str,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
    ) -> Result<()> {
        self.ids_by_way(self.units_for(piece), cache, piece, scratch, ids)
    }

    /// Appends the ids of a piece that `cache` does not know, by way of its `units` if these are given.
    pub(super) fn ids_by_way(
        &self,
        units: Option<&RawUnits>,
        cache: &PieceCache,
        piece: &str,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
    ) -> Result<()> {
        let (Some(units), Some(backtracker)) = (units, &self.backtracker) else {
            return self.ids(piece, scratch, ids);
        };
        if self.may_be_whole(piece) {
            if let Some(id) = backtracker.whole(piece.as_bytes(), &self.vocabulary) {
                ids.push(id);
                return Ok(());
            }
        }
        scratch.lend(|scratch| &mut scratch.batch, |batch, scratch| self.ids_of_raw_units(units, cache, piece, batch, scratch, ids))
    }

    /// Appends the ids of a piece, unit by unit.
    fn ids_of_raw_units(
        &self,
        units: &RawUnits,
        cache: &PieceCache,
        piece: &str,
        batch: &mut BatchScratch,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
    ) -> Result<()> {
        // A whole piece may be a token that no merge makes.
        let kind = if self.ignore_merges { PieceKind::Unit } else { PieceKind::Piece };
        let mut cutter = RawCutter::new(piece);
        let mut start = 0;
        loop {
            let found = cutter.next(&units.joints);
            if found.is_empty() {
                return Ok(());
            }
            for &RawUnit { end, code } in found {
                let unit = start..end as usize;
                start = unit.end;
                if let Some((few, count)) = units.known(code) {
                    let length = ids.len() + count;
                    ids.extend_from_slice(&few);
                    ids.truncate(length);
                    continue;
                }
                let unit = &piece[unit];
                if unit.len() == piece.len() {
                    // It gets its place in the cache as a piece.
                    return self.ids_of_raw_unit(unit, scratch, ids);
                }
                let length = ids.len();
                cached::ids_of_piece(cache, kind, unit, batch, ids, |unit, ids| self.ids_of_raw_unit(unit, scratch, ids))?;
                units.remember(code, &ids[length..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::alphabet::byte_level_char;
    use super::*;
    use crate::compiled::{Reader, Writer};
    use crate::cuts::tests::fixtures;
    use crate::formats::config::{BpeConfig, ModelConfig, VocabConfig};
    use crate::models::{Alphabet, Model, ModelScratch};
    use crate::piece_cache::DEFAULT_LIMIT;
    use crate::StringList;
    use proptest::prelude::*;

    fn mapped(text: &[u8]) -> String {
        text.iter().copied().map(byte_level_char).collect()
    }

    const TEXT: &str = "ab é漢字かк";

    /// A vocabulary of raw bytes: merges of parts that end anywhere, also inside characters, and tokens that no merges make.
    fn configs() -> impl Strategy<Value = BpeConfig> {
        let parts = proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..80);
        let unmade = proptest::collection::vec("[ab é漢字かк]{1,6}", 0..6);
        (parts, unmade, any::<bool>()).prop_map(|(parts, unmade, ignore_merges)| {
            let mut seen = std::collections::HashSet::new();
            let bytes = TEXT.bytes().chain(0..=255).map(|byte| mapped(&[byte]));
            let mut tokens: Vec<String> = bytes.filter(|token| seen.insert(token.clone())).collect();
            let near = TEXT.bytes().collect::<std::collections::HashSet<_>>().len();
            let mut merges = StringList::new();
            for (left, right) in parts {
                let pick = |index: prop::sample::Index, tokens: &[String]| {
                    let number = index.index(near + tokens.len() - 256);
                    tokens[if number < near { number } else { 256 + number - near }].clone()
                };
                let (left, right) = (pick(left, &tokens), pick(right, &tokens));
                let joined = format!("{left}{right}");
                if joined.chars().count() < 14 && seen.insert(joined.clone()) {
                    merges.push(&left);
                    merges.push(&right);
                    tokens.push(joined);
                }
            }
            tokens.extend(unmade.iter().map(|text| mapped(text.as_bytes())).filter(|token| seen.insert(token.clone())));
            let vocab = VocabConfig { ids: (0..tokens.len() as u32).collect(), tokens: tokens.iter().collect() };
            BpeConfig { vocab, merges, ignore_merges, ..Default::default() }
        })
    }

    /// What the model gives for pieces, by way of one cache, and without cutting any.
    fn both_ways(model: &Model, pieces: &[&str]) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
        let (cache, mut scratch) = (PieceCache::new(DEFAULT_LIMIT), ModelScratch::default());
        let mut by_units = |piece: &&str| {
            let mut ids = Vec::new();
            model.ids(piece, 0, &cache, &mut scratch, &mut ids).unwrap();
            ids
        };
        let by_units = pieces.iter().map(&mut by_units).collect();
        let whole = |piece: &&str| {
            let mut ids: Vec<u32> = Vec::new();
            model.tokenize(piece, 0, &mut ModelScratch::default(), &mut ids).unwrap();
            ids
        };
        (by_units, pieces.iter().map(whole).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn units_of_raw_bytes_give_the_ids_of_the_piece(
            config in configs(),
            pieces in proptest::collection::vec("[ab é漢字かк]{0,6}|[ab é漢字かк]{0,60}|[漢字かк]{0,20}|a{17,40}| {17,40}", 1..20),
        ) {
            let model = Model::from_config(ModelConfig::Bpe(config), true).unwrap();
            prop_assert_eq!(model.alphabet(), Alphabet::Bytes);
            let pieces: Vec<&str> = pieces.iter().chain(&pieces).map(String::as_str).collect();
            let (by_units, whole) = both_ways(&model, &pieces);
            prop_assert_eq!(by_units, whole);
        }

        #[test]
        fn fixtures_cut_without_changing_anything(pieces in proptest::collection::vec("[ -~é漢字かな한국ไทยкир😀。]{1,40}", 1..6)) {
            let pieces: Vec<&str> = pieces.iter().chain(&pieces).map(String::as_str).collect();
            for (name, tokenizer) in fixtures().iter().filter(|(_, tokenizer)| tokenizer.core.model.alphabet() == Alphabet::Bytes) {
                if !tokenizer.core.model.is_random() {
                    let (by_units, whole) = both_ways(&tokenizer.core.model, &pieces);
                    prop_assert_eq!(by_units, whole, "{}", name);
                }
            }
        }

        #[test]
        fn tables_of_units_give_back_what_was_put_in_or_nothing(
            entries in proptest::collection::vec((prop_oneof![0u32..9, 1u32..1 << 16, any::<u32>()], proptest::collection::vec(prop_oneof![9 => 0u32..1 << 20, 1 => any::<u32>()], 0..5)), 0..50),
        ) {
            let units = RawUnits::of(RawJoints::new());
            let mut known = std::collections::HashMap::new();
            for (code, ids) in &entries {
                let most = if *code < 1 << 16 { 3 } else { 2 };
                units.remember(*code, ids);
                if *code != 0 && !ids.is_empty() && ids.len() <= most && ids.iter().all(|&id| id < 1 << 20) {
                    known.insert(*code, ids.clone());
                    prop_assert!(units.known(*code).is_some());
                }
                for (code, _) in &entries {
                    let found = units.known(*code).map(|(ids, count)| ids[..count].to_vec());
                    prop_assert!(found.is_none_or(|found| Some(&found) == known.get(code)));
                }
            }
        }
    }

    #[test]
    fn no_two_units_have_the_same_slot_and_tag() {
        // Each step maps all numbers to all numbers: the factor is odd, and what is shifted is there unshifted.
        let units = RawUnits::of(RawJoints::new());
        let place = |code: u32| {
            let (slot, _, tag) = units.slot(code);
            (std::ptr::from_ref(slot), tag)
        };
        let codes = (0x4e00..0x4e80u32).flat_map(|left| (0x3040..0x3440).map(move |right| left << 16 | right));
        let places: std::collections::HashSet<_> = codes.clone().map(place).collect();
        assert_eq!(places.len(), codes.count());
    }

    #[test]
    fn a_unit_is_no_whole_piece() {
        // No merge makes the token of two characters, but one crosses the place between them.
        let mut tokens: Vec<String> = (0..=255).map(|byte| mapped(&[byte])).collect();
        tokens.extend(["かな".as_bytes(), b"\x8b\xe3"].map(mapped));
        let merges = [b"\x8b", b"\xe3"].map(|part| mapped(part)).iter().collect();
        let vocab = VocabConfig { ids: (0..tokens.len() as u32).collect(), tokens: tokens.iter().collect() };
        let config = BpeConfig { vocab, merges, ignore_merges: true, ..Default::default() };
        let model = Model::from_config(ModelConfig::Bpe(config), true).unwrap();
        let (by_units, whole) = both_ways(&model, &["aかなbかなcかな", "かな", "aかなbかなcかなd"]);
        assert_eq!(by_units, whole);
        assert_eq!(by_units[1], [256]);
        assert_eq!(by_units[0][..6], [0x61, 0xe3, 0x81, 257, 0x81, 0xaa]);
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let (_, tokenizer) = fixtures().iter().find(|(name, _)| name == "bpe-o200k").unwrap();
        let mut to = Writer::new();
        tokenizer.core.model.write(&mut to);
        let file = to.finish();
        let mut from = Reader::new(&file[..], file.len() as u64).unwrap();
        let read = Model::read(&mut from).unwrap();
        let pieces = ["漢字かな交じり文と한국어とไทยと кириллица", "naïve façade déjà-vu 漢字"];
        assert_eq!(both_ways(&read, &pieces), both_ways(&tokenizer.core.model, &pieces));
    }
}
