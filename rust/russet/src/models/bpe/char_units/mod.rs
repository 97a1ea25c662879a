//! Units of characters: what a text is cut into where a model reads characters, as in Llama 2, Mistral and Gemma.
//!
//! In most languages that such a model knows little of, nearly every character is a unit (`cuts`), so its id comes from a table, by
//! one read. Whether a merge joins two characters is asked only where some merge begins with the one and some ends with the other.
//! Units of two to four characters have a table of their own; longer ones, and those that are in none, are merged together, several
//! in turns (`short`). What is met inside a long text goes through the piece cache instead. A character that is no token is its bytes.
//!
//! Words of a text need no other stage where all stages together only write a space as U+2581: a space is read as that then.
//!
//! A piece is read (`reader`) in blocks of characters (`block`, `simd_avx2`) and becomes ids and gaps (`scratch`); the ids of most units
//! are known (`table`).
//!
//! O(n) for n bytes. The wrong choice where characters are mostly joined: a word of English is one unit, and is merged as such.

mod block;
mod reader;
mod scratch;
#[cfg(target_arch = "x86_64")]
mod simd_avx2;
mod table;

pub(super) use scratch::UnitScratch;
#[cfg(target_arch = "x86_64")]
pub(super) use simd_avx2::codes_of;

use super::alphabet::Characters;
use super::compile::each_joint;
use super::cuts::PairFilter;
use super::merges::Merges;
use super::short::{Symbols, Together};
use super::{too_long, Bpe, Parts, Scratch, MAX_PIECE_BYTES};
use crate::cached::{IdLists, IdSink};
use crate::compiled::{damaged, Reader, Writer};
use crate::piece_cache::PieceCache;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Level};
use crate::vocab::Vocabulary;
use crate::words::SPACE_SYMBOL;
use crate::Result;
pub(super) use block::Character;
use block::{Block, BLOCK};
use reader::{PieceReader, Written};
use std::ops::Range;
use table::KnownUnits;

/// What is known of a character is one number: its id and these bits. 0 for what is no token.
const TOKEN: u32 = 1 << 31;
/// A merge has it at the end of its left part.
const ENDS: u32 = 1 << 30;
/// A merge has it at the beginning of its right part.
const BEGINS: u32 = 1 << 29;
const ID: u32 = BEGINS - 1;

/// Characters below this have a table.
const NEAR: usize = 1 << 16;

/// Pieces up to this length are worked out together.
const TOGETHER_BYTES: usize = 256;

/// The tables for a model.
#[derive(Debug)]
pub(super) struct CharUnits {
    near: Box<[u32; NEAR]>,
    joints: PairFilter,
    /// The id of each byte, where byte fallback has one for all that UTF-8 can hold.
    bytes: Option<Box<[u32; 256]>>,
    known: KnownUnits,
    #[cfg(target_arch = "x86_64")]
    lanes: Option<Avx2>,
}

impl CharUnits {
    /// The tables for a vocabulary whose tokens are made by `merges`.
    pub(super) fn new(vocabulary: &Vocabulary, merges: &Merges, characters: &Characters) -> Result<Self> {
        let mut flags = empty();
        let mut joints = PairFilter::with_capacity(usize::MAX);
        let mut flag = |character: char, bit: u32| {
            if let Some(flags) = flags.get_mut(character as usize) {
                *flags |= bit;
            }
        };
        each_joint(vocabulary, merges, |left, right| {
            if let (Some(left), Some(right)) = (left.chars().next_back(), right.chars().next()) {
                flag(left, ENDS);
                flag(right, BEGINS);
                joints.insert(left.into(), right.into());
            }
        });
        joints.shrink();
        Self::of(flags, joints, vocabulary.len(), characters)
    }

    /// Of the characters' flags and the pairs that are joined.
    fn of(flags: Box<[u32; NEAR]>, joints: PairFilter, tokens: usize, characters: &Characters) -> Result<Self> {
        let mut near = empty();
        characters.each(|character, id| {
            if let (Some(entry), Some(flags)) = (near.get_mut(character as usize), flags.get(character as usize)) {
                *entry = TOKEN | id & ID | flags;
            }
        });
        Ok(Self {
            near,
            joints,
            bytes: characters.all_bytes(),
            known: KnownUnits::new(tokens),
            #[cfg(target_arch = "x86_64")]
            lanes: Level::of_process()?.avx2(),
        })
    }

    /// Writes the tables to a compiled file.
    pub(super) fn write(&self, to: &mut Writer) {
        let flagged = (0..).zip(self.near.iter()).map(|(code, entry): (u32, _)| code | entry & (ENDS | BEGINS));
        to.u32s(&flagged.filter(|flags| flags & (ENDS | BEGINS) != 0).collect::<Vec<u32>>());
        self.joints.write(to);
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(super) fn read(from: &mut Reader<'_>, vocabulary: &Vocabulary, characters: &Characters) -> Result<Self> {
        let mut near = empty();
        for flags in from.u32s()? {
            let entry = near.get_mut((flags & ID) as usize).ok_or_else(|| damaged("a character that merges has no place"))?;
            *entry = flags & (ENDS | BEGINS);
        }
        Self::of(near, PairFilter::read(from)?, vocabulary.len(), characters)
    }

    /// What is known of a character above U+FFFF.
    #[cold]
    fn far(characters: &Characters, code: u32) -> u32 {
        char::from_u32(code)
            .and_then(|character| characters.id(character, false, false))
            .map_or(0, |id| TOKEN | ENDS | BEGINS | id & ID)
    }
}

/// A table of characters without any.
fn empty() -> Box<[u32; NEAR]> {
    // Not by way of the stack.
    match vec![0; NEAR].into_boxed_slice().try_into() {
        Ok(table) => table,
        Err(_) => Box::new([0; NEAR]),
    }
}

/// Writes `text` with U+2581 for spaces into `spelled`.
fn spell(text: &str, spelled: &mut String) {
    spelled.clear();
    spelled.extend(text.chars().map(|character| if character == ' ' { SPACE_SYMBOL } else { character }));
}

impl Bpe {
    /// Whether texts can be read with spaces for U+2581, which is a token then.
    pub(in crate::models) fn reads_spelled(&self) -> bool {
        self.char_units.as_ref().is_some_and(|units| units.near[SPACE_SYMBOL as usize] != 0)
    }

    fn piece_reader<'a>(&'a self, cache: &'a PieceCache, text: &'a str, written: Written) -> Option<PieceReader<'a>> {
        let (Some(units), Parts::Characters { characters, .. }) = (&self.char_units, &self.parts) else { return None };
        Some(PieceReader { model: self, units, characters, cache, written, text })
    }

    /// Gives the ids of a piece to `sink` by way of its units and returns true, or returns false if that is not the way for it.
    pub(super) fn ids_by_char_units<S: IdSink>(
        &self,
        cache: &PieceCache,
        piece: &str,
        scratch: &mut Scratch,
        sink: &mut S,
    ) -> Result<bool> {
        let Some(reader) = self.piece_reader(cache, piece, Written::AsTokens) else { return Ok(false) };
        scratch.lend(|scratch| &mut scratch.units, |units, scratch| reader.give_piece(0..piece.len(), units, scratch, sink))
    }

    /// Appends the ids of pieces of `text` in which a space stands for U+2581, one list for each.
    pub(in crate::models) fn ids_of_spelled(
        &self,
        text: &str,
        pieces: &[Range<usize>],
        cache: &PieceCache,
        scratch: &mut Scratch,
        lists: &mut IdLists,
    ) -> Result<()> {
        scratch
            .lend(|scratch| &mut scratch.units, |units, scratch| self.ids_of_spelled_by(text, pieces, cache, units, scratch, lists))
    }

    fn ids_of_spelled_by(
        &self,
        text: &str,
        pieces: &[Range<usize>],
        cache: &PieceCache,
        units: &mut UnitScratch,
        scratch: &mut Scratch,
        lists: &mut IdLists,
    ) -> Result<()> {
        let reader = self.piece_reader(cache, text, Written::WithSpaces);
        units.clear();
        let mut block = Block::new();
        for piece in pieces {
            if let Some(reader) = &reader {
                if piece.len() <= TOGETHER_BYTES {
                    if !units.has_room(4 * BLOCK + piece.len()) {
                        reader.give_lists(units, scratch, lists)?;
                        units.make_room(4 * BLOCK + piece.len());
                    }
                    let end = units.end();
                    if reader.read(piece.clone(), &mut block, units, |_| Ok(()))? {
                        units.ends.push(units.end());
                        continue;
                    }
                    units.truncate(end);
                }
                reader.give_lists(units, scratch, lists)?;
            }
            let mut is_done = false;
            lists.push(|ids| {
                if let Some(reader) = &reader {
                    is_done = reader.give_piece(piece.clone(), units, scratch, ids)?;
                    units.clear();
                }
                if is_done {
                    return Ok(());
                }
                let mut spelled = String::new();
                spell(&text[piece.clone()], &mut spelled);
                if spelled.len() > MAX_PIECE_BYTES {
                    return Err(too_long(&spelled));
                }
                self.tokenize(&spelled, 0, scratch, ids)
            })?;
        }
        reader.map_or(Ok(()), |reader| reader.give_lists(units, scratch, lists))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuts::tests::fixtures;
    use crate::formats::config::{BpeConfig, VocabConfig};
    use crate::models::{Kind, Model, ModelScratch};
    use crate::piece_cache::DEFAULT_LIMIT;
    use crate::simd::Level;
    use crate::StringList;
    use proptest::prelude::*;

    const TEXT: &str = "ab é漢字か▁😀к";

    /// A vocabulary of characters: merges of any of its tokens, tokens that no merges make, and characters that are no tokens.
    pub(super) fn configs() -> impl Strategy<Value = BpeConfig> {
        let parts = proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..60);
        let unmade = proptest::collection::vec("[ab é漢字か▁😀к]{1,6}", 0..4);
        let absent = proptest::collection::vec(any::<prop::sample::Index>(), 0..4);
        let options = (0..4_u8, any::<bool>(), prop::bool::weighted(0.2));
        (parts, unmade, absent, options).prop_map(|(parts, unmade, absent, (fallback, fuse_unk, ignore_merges))| {
            let mut seen = std::collections::HashSet::new();
            let characters: Vec<String> = TEXT.chars().map(String::from).collect();
            let absent: Vec<&String> = absent.iter().map(|index| index.get(&characters)).collect();
            let mut tokens: Vec<String> = characters.iter().filter(|token| !absent.contains(token)).cloned().collect();
            seen.extend(tokens.iter().cloned());
            let mut merges = StringList::new();
            for (left, right) in parts {
                if tokens.is_empty() {
                    break;
                }
                let (left, right) = (left.get(&tokens).clone(), right.get(&tokens).clone());
                let joined = format!("{left}{right}");
                if joined.chars().count() < 9 && seen.insert(joined.clone()) {
                    merges.push(&left);
                    merges.push(&right);
                    tokens.push(joined);
                }
            }
            tokens.extend(unmade.into_iter().filter(|token| token.chars().count() > 1 && seen.insert(token.clone())));
            tokens.push("<unk>".into());
            // All bytes, all but one, or none.
            let bytes =
                (0..=255).filter(|&byte| fallback < 2 || fallback == 2 && byte != 0xe5).map(|byte| format!("<0x{byte:02X}>"));
            tokens.extend(bytes.filter(|_| fallback < 3));
            let vocab = VocabConfig { ids: (0..tokens.len() as u32).collect(), tokens: tokens.iter().collect() };
            let unk_token = Some("<unk>".into());
            BpeConfig { vocab, merges, ignore_merges, fuse_unk, unk_token, byte_fallback: fallback < 3, ..Default::default() }
        })
    }

    /// The model, its characters read with what each level has.
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables, unused_mut))] // only there is there a choice
    fn of_each_level(config: BpeConfig) -> Vec<Model> {
        let of_level = |level: Level| {
            let mut model = Bpe::from_config(config.clone(), false).unwrap();
            #[cfg(target_arch = "x86_64")]
            if let Some(units) = &mut model.char_units {
                units.lanes = level.avx2();
            }
            Model(Kind::Bpe(model.into()))
        };
        Level::all().into_iter().map(of_level).collect()
    }

    fn whole(model: &Model, piece: &str) -> Vec<u32> {
        let mut ids: Vec<u32> = Vec::new();
        model.tokenize(piece, 0, &mut ModelScratch::default(), &mut ids).unwrap();
        ids
    }

    /// What the model gives for pieces by way of units, and without cutting any.
    fn both_ways(model: &Model, pieces: &[&str]) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
        let (cache, mut scratch) = (PieceCache::new(DEFAULT_LIMIT), ModelScratch::default());
        let mut by_units = |piece: &&str| {
            let mut ids = Vec::new();
            model.ids(piece, 0, &cache, &mut scratch, &mut ids).unwrap();
            ids
        };
        (pieces.iter().map(&mut by_units).collect(), pieces.iter().map(|piece| whole(model, piece)).collect())
    }

    /// The same of words with spaces in place of U+2581, worked out together.
    fn both_ways_spelled(model: &Model, words: &[&str]) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
        let (cache, mut scratch, mut lists) = (PieceCache::new(DEFAULT_LIMIT), ModelScratch::default(), IdLists::default());
        let text = words.concat();
        let mut end = 0;
        let mut pieces = Vec::new();
        for word in words {
            pieces.push(end..end + word.len());
            end += word.len();
        }
        model.ids_of_spelled(&text, &pieces, &cache, &mut scratch, &mut lists).unwrap();
        let lists = (0..words.len()).map(|index| lists.get(index).to_vec()).collect();
        (lists, words.iter().map(|word| whole(model, &word.replace(' ', "▁"))).collect())
    }

    const PIECE: &str = concat!(
        "[ab é漢字か▁😀к\0zж]{0,6}|[ab é漢字か▁😀к]{0,40}|[漢字か]{0,300}|(ab){30,90}|(漢字){60,70}[ab▁]{0,9}|",
        "[漢字か]{300,900}|([ab é漢字か▁😀к]{1,9}(漢字|ab){0,300}){1,9}",
    );

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        #[test]
        fn units_give_the_ids_of_the_piece(config in configs(), pieces in proptest::collection::vec(PIECE, 1..16)) {
            // What is long is kept at the second time and found at the third.
            let pieces: Vec<&str> = pieces.iter().chain(&pieces).chain(&pieces).map(String::as_str).collect();
            for model in of_each_level(config) {
                let (by_units, whole) = both_ways(&model, &pieces);
                prop_assert_eq!(by_units, whole);
            }
        }

        #[test]
        fn words_with_spaces_have_the_ids_of_words_with_symbols(mut config in configs(), words in proptest::collection::vec(PIECE, 1..16)) {
            config.ignore_merges = false;
            let words: Vec<&str> = words.iter().chain(&words).chain(&words).map(String::as_str).collect();
            for model in of_each_level(config).iter().filter(|model| model.reads_spelled()) {
                let (spelled, whole) = both_ways_spelled(model, &words);
                prop_assert_eq!(spelled, whole);
            }
        }

        #[test]
        fn fixtures_give_the_ids_of_the_whole(pieces in proptest::collection::vec("([ -~é漢字かな한국ไทยкир😀。]|[a-z]{1,9}|▁){1,60}", 1..6)) {
            let pieces: Vec<&str> = pieces.iter().chain(&pieces).map(String::as_str).collect();
            for (name, tokenizer) in fixtures().iter().filter(|(_, tokenizer)| tokenizer.core.model.reads_spelled()) {
                let model = &tokenizer.core.model;
                let (by_units, whole) = both_ways(model, &pieces);
                prop_assert_eq!(by_units, whole, "{}", name);
                let (spelled, whole) = both_ways_spelled(model, &pieces);
                prop_assert_eq!(spelled, whole, "{}", name);
            }
        }
    }

    #[test]
    fn the_usual_models_have_units() {
        for expected in ["bpe-llama2", "bpe-mistral", "bpe-gemma"] {
            let (_, tokenizer) = fixtures().iter().find(|(name, _)| name == expected).unwrap();
            assert!(tokenizer.core.model.reads_spelled(), "{expected}");
            assert!(tokenizer.core.words.as_ref().unwrap().is_spelled, "{expected}");
        }
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let (_, tokenizer) = fixtures().iter().find(|(name, _)| name == "bpe-llama2").unwrap();
        let mut to = Writer::new();
        tokenizer.core.model.write(&mut to);
        let file = to.finish();
        let mut from = Reader::new(&file[..], file.len() as u64).unwrap();
        let read = Model::read(&mut from).unwrap();
        assert!(read.reads_spelled());
        let pieces = ["漢字かな交じり文と한국어とไทยと▁кириллица", "▁naïve▁façade▁déjà-vu▁漢字"];
        assert_eq!(both_ways(&read, &pieces), both_ways(&tokenizer.core.model, &pieces));
    }
}
