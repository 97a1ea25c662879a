//! A BPE model in a compiled file: its vocabulary, its merges and the tables made of them as they are; what is small or quickly
//! made (the ids of bytes and characters) is made again.

use super::alphabet::{ByteIds, Characters};
use super::backtrack::Backtracker;
use super::char_units::CharUnits;
use super::cuts::{ByteJoints, CharJoints};
use super::merge::Order;
use super::merges::Merges;
use super::raw_units::RawUnits;
use super::scored::Scored;
use super::{is_probability, Bpe, Parts};
use crate::compiled::{damaged, Reader, Writer};
use crate::formats::config::ScoredMerges;
use crate::memory::Once;
use crate::vocab::Vocabulary;
use crate::Result;
use std::sync::atomic::AtomicUsize;

/// The length of the token of each id, 0 for none; nothing where ids are sparse. No token is longer than 65,536 bytes.
fn lengths(vocabulary: &Vocabulary) -> Option<Vec<u32>> {
    let mut lengths = vec![0; vocabulary.ids_end()?];
    for (token, id) in vocabulary.iter() {
        if let Some(length) = lengths.get_mut(id as usize) {
            *length = token.len() as u32;
        }
    }
    Some(lengths)
}

impl Bpe {
    pub(in crate::models) fn write(&self, to: &mut Writer) {
        self.vocabulary.write(to);
        to.option(self.dropout, |to, dropout| to.number(dropout.to_bits().into()));
        for text in [&self.unk_token, &self.continuing_subword_prefix, &self.end_of_word_suffix] {
            to.option(text.as_deref(), Writer::text);
        }
        for flag in [self.fuse_unk, self.byte_fallback, self.ignore_merges] {
            to.flag(flag);
        }
        to.u32s(&self.unreachable);
        to.option(self.scored.as_ref().map(|scored| scored.config()), |to, ScoredMerges { scores, unused }| {
            to.rows(scores.iter().map(|score| [score.is_some().into(), score.unwrap_or_default().to_bits()]));
            to.u32s(unused);
        });
        self.merges.write(to);
        to.rows(self.never.iter().copied());
        let new_ids = match &self.order {
            Order::ByNewId(new_ids) => Some(new_ids.as_slice()),
            Order::Rising | Order::ByRank => None,
        };
        to.option(new_ids, Writer::u32s);
        match &self.parts {
            Parts::Bytes { joints, .. } => {
                to.flag(true);
                to.option(joints.as_ref(), |to, joints| joints.write(to));
            }
            Parts::Characters { joints, .. } => {
                to.flag(false);
                to.option(joints.as_ref(), |to, joints| joints.write(to));
            }
        }
        to.flag(self.backtracker.is_some());
        to.option(self.raw_units.as_ref(), |to, units| units.write(to));
        to.option(self.char_units.as_ref(), |to, units| units.write(to));
    }

    pub(in crate::models) fn read(from: &mut Reader<'_>) -> Result<Self> {
        let vocabulary = Vocabulary::read(from)?;
        let dropout = from.option(Reader::number)?.map(|bits| f32::from_bits(bits as u32));
        if !dropout.is_none_or(is_probability) {
            return Err(damaged("the dropout is no probability"));
        }
        let mut text = || from.option(Reader::text);
        let (unk_token, continuing_subword_prefix, end_of_word_suffix) = (text()?, text()?, text()?);
        let (fuse_unk, byte_fallback, ignore_merges) = (from.flag()?, from.flag()?, from.flag()?);
        let unreachable = from.u32s()?;
        let scored = from.option(|from| {
            let scores = from.rows(|[is_some, bits]| (is_some != 0).then(|| f32::from_bits(bits)))?;
            Scored::new(ScoredMerges { scores, unused: from.u32s()? }, &vocabulary).map(Box::new)
        })?;
        let merges = Merges::read(from, lengths(&vocabulary).as_deref(), |id| vocabulary.token(id).is_some())?;
        let never = from.rows(|pair| pair)?;
        let is_making = vocabulary.ids_end().is_some_and(|ids| merges.is_making(ids));
        let order = match from.option(Reader::u32s)? {
            Some(new_ids) => Order::ByNewId(new_ids),
            // There is a bucket for each rank then.
            None if is_making && merges.is_rising() && merges.ranks() <= vocabulary.len() + never.len() => Order::Rising,
            None => Order::ByRank,
        };
        let prefix = continuing_subword_prefix.as_deref().unwrap_or_default();
        let suffix = end_of_word_suffix.as_deref().unwrap_or_default();
        let parts = match from.flag()? {
            true => {
                let joints = from.option(ByteJoints::read)?;
                let ids = ByteIds::new(&vocabulary, suffix).ok_or_else(|| damaged("a byte has no token"))?.into();
                Parts::Bytes { ids, joints }
            }
            false => {
                let joints = from.option(CharJoints::read)?;
                let characters = Characters::new(&vocabulary, &unreachable, prefix, suffix, byte_fallback).into();
                Parts::Characters { characters, joints }
            }
        };
        let is_byte_level = matches!(parts, Parts::Bytes { .. });
        let backtracker = match (from.flag()?, vocabulary.ids_end().filter(|_| is_making)) {
            (false, _) => None,
            (true, Some(ids)) => Backtracker::new(is_byte_level, ids),
            (true, None) => return Err(damaged("merges that are only listed cannot be undone")),
        };
        let raw_units = from.option(RawUnits::read)?;
        if raw_units.is_some() != (backtracker.is_some() && is_byte_level) {
            return Err(damaged("pieces of raw bytes can be cut where bytes have tokens, and only there"));
        }
        let char_units = from.option(|from| match &parts {
            Parts::Characters { characters, .. } if backtracker.is_some() => CharUnits::read(from, &vocabulary, characters),
            _ => Err(damaged("there are units of characters where there are none")),
        })?;
        Ok(Self {
            unk_id: unk_token.as_deref().and_then(|token| vocabulary.id(token)),
            vocabulary,
            merges,
            never,
            order,
            parts,
            backtracker,
            pairs: Once::new(),
            worked_out: AtomicUsize::new(0),
            raw_units,
            char_units,
            dropout,
            unk_token,
            continuing_subword_prefix,
            end_of_word_suffix,
            fuse_unk,
            byte_fallback,
            ignore_merges,
            unreachable,
            scored,
        })
    }
}
