//! Characters that are a piece wherever they stand, and their ids.
//!
//! `BertNormalizer` puts spaces around Chinese characters, and `BertPreTokenizer` cuts before and after punctuation. So what becomes of
//! such a character depends on none of its neighbours, nor does what becomes of them depend on it, and words of Chinese, which are
//! long and mostly not met before, are read character by character: a load for each. What is between runs through the stages. The
//! ids are worked out, by the stages, when a character is first met. O(n); 4 bytes for each code point that is looked up. The wrong
//! choice for scripts with spaces: their words are in the cache.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::memory::{Once, Zeroed};
use crate::models::ModelScratch;
use crate::normalizers::NormalizerScratch;
use crate::pre_tokenizers::PreTokenizerScratch;
use crate::text::{NormalizedText, Piece};
use crate::tokenizer::Core;
use crate::unicode::is_punctuation;
use crate::Result;

/// Characters from here on, up to U+FFFF, are looked up.
const FIRST: u32 = 0x2000;
/// The first byte of such a character is at least this.
const FIRST_BYTE: u8 = 0xE2;

/// Nothing is known of a character.
const UNKNOWN: u32 = 0;
/// It is no single.
const NONE: u32 = 1;
/// Added to an id.
const IDS: u32 = 2;

/// The characters of one pipeline, as far as they were met.
pub(crate) struct Singles {
    /// By code point: `UNKNOWN`, `NONE`, or an id and `IDS`.
    known: Once<Zeroed<AtomicU32>>,
}

impl std::fmt::Debug for Singles {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Singles").finish_non_exhaustive()
    }
}

impl Singles {
    /// No character was met yet.
    pub(crate) const fn new() -> Self {
        Self { known: Once::new() }
    }

    /// Whether a word may have such characters.
    #[inline]
    pub(super) fn may_be_in(word: &str) -> bool {
        word.bytes().any(|byte| byte >= FIRST_BYTE)
    }

    /// Appends the ids of such characters of a word, and calls `other` for what is between them.
    pub(super) fn each(
        &self,
        core: &Core,
        word: &str,
        ids: &mut Vec<u32>,
        mut other: impl FnMut(&str, &mut Vec<u32>) -> Result<()>,
    ) -> Result<()> {
        let mut start = 0;
        for (at, character) in word.char_indices() {
            let Some(id) = self.id(core, character) else { continue };
            if start < at {
                other(&word[start..at], ids)?;
            }
            ids.push(id);
            start = at + character.len_utf8();
        }
        if start < word.len() {
            other(&word[start..], ids)?;
        }
        Ok(())
    }

    /// The id of a character that is a piece of one token wherever it stands.
    #[inline]
    fn id(&self, core: &Core, character: char) -> Option<u32> {
        let index = (character as u32).checked_sub(FIRST)? as usize;
        let place = match self.known.get() {
            Some(known) => known.get(index)?,
            None => {
                self.known.set(Box::new(Zeroed::new((0x10000 - FIRST) as usize)));
                self.known.get()?.get(index)?
            }
        };
        match place.load(Ordering::Relaxed) {
            UNKNOWN => {
                let id = work_out(core, character);
                place.store(id.and_then(|id| id.checked_add(IDS)).unwrap_or(NONE), Ordering::Relaxed);
                id
            }
            NONE => None,
            known => Some(known - IDS),
        }
    }
}

#[cold]
fn work_out(core: &Core, character: char) -> Option<u32> {
    let Core { normalizer, pre_tokenizer, model, .. } = core;
    let is_cut_off = match normalizer {
        Some(normalizer) if normalizer.isolates(character) => true,
        Some(normalizer) => is_punctuation(character) && normalizer.one_for_one(character) == Some(character),
        None => is_punctuation(character),
    };
    if !is_cut_off {
        return None;
    }
    let mut text = NormalizedText::<()>::new();
    text.reset(character.encode_utf8(&mut [0; 4]), 1);
    if let Some(normalizer) = normalizer {
        normalizer.normalize(&mut text, &mut NormalizerScratch::default()).ok()?;
    }
    let (mut ids, mut pieces, mut scratch) = (Vec::new(), 0, ModelScratch::default());
    let mut tokenize = |piece: Piece<'_, ()>| {
        pieces += 1;
        model.tokenize(piece.text, 0, &mut scratch, &mut ids)
    };
    pre_tokenizer.as_ref()?.pre_tokenize(text.as_piece(), &mut PreTokenizerScratch::default(), &mut tokenize).ok()?;
    match ids[..] {
        [id] if pieces == 1 => Some(id),
        _ => None,
    }
}
