//! Units of raw bytes: what a piece is cut into between characters that no merge joins.
//!
//! That is done for pieces that seem to fall apart into short units, and those of one or two characters have a table of their own: most
//! Chinese and Japanese text is that. A piece is read in blocks of characters (`block`, `simd_avx2`) with a bit for each that is joined
//! to the one before (`joints`). O(n) for a piece of n bytes.
//!
//! A unit is merged, also if it is a token that no merge makes. So where a whole piece may be such a token, units are cached apart.

mod block;
mod joints;
mod reader;
#[cfg(target_arch = "x86_64")]
mod simd_avx2;

pub(super) use reader::{RawReader, RawScratch};

use super::compile::each_joint;
use super::merges::Merges;
use super::{Bpe, Scratch};
use crate::cached::IdLists;
use crate::compiled::{Reader, Writer};
use crate::memory::{self, Zeroable, Zeroed};
use crate::piece_cache::PieceCache;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Level};
use crate::vocab::Vocabulary;
use crate::Result;
use joints::RawJoints;
use std::hint::select_unpredictable;
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest piece of raw bytes that is worked out as a whole in any case.
const WHOLE_BYTES: usize = 9;
/// How many characters tell whether a piece falls apart, if a third of the places between them are free: a word of a language with
/// spaces is faster merged as a whole, beside others.
const TESTED: usize = 8;

/// What is known of units of raw bytes.
#[derive(Debug)]
pub(super) struct RawUnits {
    joints: RawJoints,
    /// The ids of units of one character, by its number, and behind them those of units of two, by hash.
    few: Zeroed<FewIds>,
    #[cfg(target_arch = "x86_64")]
    lanes: Option<Avx2>,
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
const ONES: usize = 1 << 16;
const TWOS: usize = 1 << (32 - TAG_BITS);

impl RawUnits {
    /// The tables for a vocabulary in byte-level characters.
    pub(super) fn new(vocabulary: &Vocabulary, merges: &Merges) -> Result<Self> {
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

    fn of(joints: RawJoints) -> Result<Self> {
        Ok(Self {
            joints,
            few: Zeroed::new(ONES + TWOS),
            #[cfg(target_arch = "x86_64")]
            lanes: Level::of_process()?.avx2(),
        })
    }

    /// The slot for a unit, and the bits of its word that are the tag, with the tag.
    #[inline(always)]
    fn slot(&self, code: u32) -> (&FewIds, u64, u64) {
        // Both steps can be undone, so no two units have the same slot and tag.
        let mixed = code.wrapping_mul(0x9e37_79b1);
        let mixed = mixed ^ mixed >> 15;
        // Without a branch: no processor foresees how many characters a unit has.
        let is_one = code < ONES as u32;
        let place = select_unpredictable(is_one, code as usize, ONES + (mixed >> TAG_BITS) as usize);
        let tag_bits = select_unpredictable(is_one, 0, u64::from(TAG) << TAG_SHIFT);
        (&self.few[place], tag_bits, u64::from(mixed) << TAG_SHIFT & tag_bits)
    }

    /// Asks the processor to fetch what [`known`](Self::known) reads.
    #[inline(always)]
    fn fetch(&self, code: u32) {
        memory::prefetch(self.slot(code).0);
    }

    /// The ids of a unit by its `code` and their number, or 0 if they are not known; of those behind any may stand there.
    #[inline(always)]
    fn known(&self, code: u32) -> ([u32; FEW], usize) {
        let (FewIds(slot), tag_bits, tag) = self.slot(code);
        let word = slot.load(Ordering::Relaxed);
        let id = |index: usize| (word >> (ID_BITS * index as u32)) as u32 & ((1 << ID_BITS) - 1);
        let count = select_unpredictable(word & tag_bits == tag, (word >> COUNT_SHIFT) as usize, 0);
        (std::array::from_fn(id), count)
    }

    /// Remembers the ids of a unit by its `code`, if they fit.
    fn remember(&self, code: u32, ids: &[u32]) {
        let (FewIds(slot), tag_bits, tag) = self.slot(code);
        let most = if tag_bits == 0 { FEW } else { FEW - 1 };
        if code != 0 && (1..=most).contains(&ids.len()) && ids.iter().all(|&id| id >> ID_BITS == 0) {
            let packed = ids.iter().rev().fold(0, |word, &id| word << ID_BITS | u64::from(id));
            slot.store(packed | tag | (ids.len() as u64) << COUNT_SHIFT, Ordering::Relaxed);
        }
    }

    /// Writes the tables to a compiled file.
    pub(super) fn write(&self, to: &mut Writer) {
        self.joints.write(to);
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self> {
        Self::of(RawJoints::read(from)?)
    }
}

impl Bpe {
    /// Appends the ids of a piece that `cache` does not know, by way of its units where that is of use.
    pub(in crate::models) fn ids_by_units(
        &self,
        cache: &PieceCache,
        piece: &str,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
    ) -> Result<()> {
        let Some(reader) = self.raw_reader(cache, piece) else { return self.ids(piece, scratch, ids) };
        let mut lists = IdLists::default();
        let list = lists.add();
        let mut raw = scratch.raw.take().unwrap_or_default();
        raw.clear();
        let is_read = reader.read(list, 0..piece.len(), &mut raw, scratch, &mut lists)?;
        reader.give(&mut raw, scratch, &mut lists)?;
        scratch.raw = Some(raw);
        if !is_read {
            return self.ids(piece, scratch, ids);
        }
        ids.extend_from_slice(lists.get(list));
        Ok(())
    }

    /// The token that a piece is as a whole, if merging would not give it.
    pub(super) fn unmade_id(&self, piece: &str) -> Option<u32> {
        let backtracker = self.backtracker.as_ref().filter(|_| self.may_be_whole(piece))?;
        backtracker.whole(piece.as_bytes(), &self.vocabulary)
    }
}

#[cfg(test)]
mod tests {
    use super::super::alphabet::byte_level_char;
    use super::*;
    use crate::compiled::{Reader, Writer};
    use crate::cuts::tests::fixtures;
    use crate::formats::config::{BpeConfig, ModelConfig, VocabConfig};
    use crate::models::{Alphabet, Kind, Model, ModelScratch};
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
            let units = RawUnits::of(RawJoints::new()).unwrap();
            let mut known = std::collections::HashMap::new();
            for (code, ids) in &entries {
                let most = if *code < 1 << 16 { 3 } else { 2 };
                units.remember(*code, ids);
                if *code != 0 && !ids.is_empty() && ids.len() <= most && ids.iter().all(|&id| id < 1 << 20) {
                    known.insert(*code, ids.clone());
                    prop_assert!(units.known(*code).1 > 0);
                }
                for (code, _) in &entries {
                    let (ids, count) = units.known(*code);
                    prop_assert!(count == 0 || known.get(code).is_some_and(|known| known[..] == ids[..count]));
                }
            }
        }
    }

    #[test]
    fn no_two_units_have_the_same_slot_and_tag() {
        // Each step maps all numbers to all numbers: the factor is odd, and what is shifted is there unshifted.
        let units = RawUnits::of(RawJoints::new()).unwrap();
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
    fn long_pieces_are_put_together_in_parts() {
        let (_, tokenizer) = fixtures().iter().find(|(name, _)| name == "bpe-o200k").unwrap();
        let Kind::Bpe(model) = &tokenizer.core.model.0 else { unreachable!() };
        // Characters that are no tokens in ever another order, one that is joined to more than a block, and words beside them.
        let mut characters = (0..).filter_map(|n: u32| char::from_u32(0x4e00 + n.wrapping_mul(n) % 5000));
        let (mut text, mut pieces) = (String::new(), Vec::new());
        let mut add = |piece: String| {
            pieces.push(text.len()..text.len() + piece.len());
            text.push_str(&piece);
        };
        for count in [9, 3000, 20, 9000, 4, 5, 1400, 12_000, 1000, 300] {
            add(characters.by_ref().take(count).collect());
            add(format!(" quxtrimble{count}"));
            add("の".repeat(count % 299));
            add("한국어".repeat(count % 97));
        }
        let (cache, mut scratch) = (PieceCache::new(DEFAULT_LIMIT), Scratch::default());
        for _ in 0..3 {
            let mut lists = IdLists::default();
            model.ids_of_few(&text, &pieces, &cache, &mut scratch, &mut lists).unwrap();
            for (list, piece) in pieces.iter().enumerate() {
                let mut whole: Vec<u32> = Vec::new();
                model.tokenize(&text[piece.clone()], 0, &mut Scratch::default(), &mut whole).unwrap();
                assert_eq!(lists.get(list), whole, "{piece:?}");
            }
        }
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
