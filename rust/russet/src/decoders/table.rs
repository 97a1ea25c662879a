//! Decoding by table: what each token becomes, worked out once.
//!
//! With most decoders a token becomes the same text wherever it stands, but at the beginning: ByteLevel's bytes, SentencePiece's
//! pieces with spaces in place of U+2581, WordPiece's pieces with or without a space. Then a list of ids is decoded by copying
//! from one arena, 16 bytes at a time, at the speed of memory. Byte tokens keep their rule (`byte_fallback`), and so does what is
//! not UTF-8 (`byte_level`). The beginning is decoded by the stages, until they have nothing left to remember.
//!
//! The table takes 8 bytes for each id and the texts; it is made when so many tokens have been decoded that it pays
//! ([`DecodeTables`]). The wrong choice for a stream, which waits for each token.

use super::{byte_fallback, byte_level, Decoder, DecoderScratch, Stage, TokenSource};
use crate::memory::Once;
use crate::{Error, Result};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What may be skipped, stands for one byte of a run, or is no token.
const SPECIAL: u8 = 1;
const BYTE: u8 = 2;
const UNKNOWN: u8 = 4;

/// How many bytes are copied at least.
const STEP: usize = 16;
/// How many ids are looked at before their texts are copied.
const BLOCK: usize = 4096;
/// The table is made once this share of the number of ids was decoded without it.
const SHARE: usize = 8;
/// A text in the table is at most so long, and all of them together.
const MAX_TEXT_BYTES: usize = u16::MAX as usize;
const MAX_TEXTS_BYTES: usize = u32::MAX as usize - STEP;

/// What the stages of a decoder do with a token after the first.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// So many stages at the beginning turn a token into a text that depends on nothing but whether it is the first.
    locals: usize,
    join: Join,
}

/// How the texts are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    /// End to end.
    Text,
    /// So, but for tokens that name a byte.
    ByteFallback,
    /// As bytes, which then become text.
    Bytes,
}

impl Decoder {
    /// What the stages do, if a table can do it.
    fn shape(&self) -> Option<Shape> {
        let is_local = |stage: &Stage| {
            matches!(stage, Stage::Metaspace(_) | Stage::Replace(_) | Stage::Strip(_) | Stage::WordPiece(_) | Stage::Spaces)
        };
        let locals = self.stages.iter().take_while(|stage| is_local(stage)).count();
        let (join, rest) = match &self.stages[locals..] {
            [Stage::ByteFallback, rest @ ..] => (Join::ByteFallback, rest),
            [Stage::ByteLevel, rest @ ..] => (Join::Bytes, rest),
            rest => (Join::Text, rest),
        };
        let is_at_start = |stage: &Stage| matches!(stage, Stage::FusedStrip(strip) if strip.is_at_start_only());
        rest.iter().all(is_at_start).then_some(Shape { locals, join })
    }

    /// Whether the stages, of that shape, are past their beginning and hold nothing.
    fn is_steady(&self, scratch: &DecoderScratch, pushed: usize) -> bool {
        let is_past = |(stage, level): (&Stage, &super::Level)| match stage {
            Stage::FusedStrip(_) => level.held.started,
            Stage::ByteFallback | Stage::ByteLevel => level.held.bytes.is_empty() && !level.held.broken,
            _ => pushed > 0,
        };
        self.stages.iter().zip(&scratch.levels).all(is_past)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    start: u32,
    length: u16,
    kind: u8,
    byte: u8,
}

/// What each id becomes.
#[derive(Debug)]
struct Table {
    entries: Vec<Entry>,
    /// The texts, and `STEP` bytes more.
    texts: Vec<u8>,
    join: Join,
}

/// The table of a tokenizer's decoder, once it was made.
#[derive(Debug)]
pub(crate) struct DecodeTables {
    table: Once<Option<Table>>,
    decoded: AtomicUsize,
}

/// Ids on their way to text.
pub(crate) struct Decoding<'d> {
    pub(crate) ids: &'d [u32],
    pub(crate) skip_special_tokens: bool,
    /// Whether ids without a token are left out, and not an error.
    pub(crate) skip_unknown: bool,
}

impl DecodeTables {
    /// No table yet.
    pub(crate) fn new() -> Self {
        Self { table: Once::new(), decoded: AtomicUsize::new(0) }
    }

    /// Whether there is a table.
    #[cfg(test)]
    pub(crate) fn is_made(&self) -> bool {
        self.table.get().is_some_and(Option::is_some)
    }

    /// Decodes the ids as the decoder of `source` does, or says `None` if there is no table, or none yet.
    /// `ids` is one more than the highest id, `token` and `is_special` tell of each; `watch` is called now and then.
    pub(crate) fn decode<'t>(
        &self,
        source: &impl TokenSource,
        decoding: &Decoding<'_>,
        ids: usize,
        token: impl Fn(u32) -> Option<&'t str>,
        is_special: impl Fn(&str) -> bool,
        mut watch: impl FnMut() -> Result<()>,
    ) -> Result<Option<String>> {
        let table = match self.table.get() {
            Some(Some(table)) => table,
            Some(None) => return Ok(None),
            None => {
                let decoded = self.decoded.fetch_add(decoding.ids.len(), Ordering::Relaxed).saturating_add(decoding.ids.len());
                if decoded < ids / SHARE {
                    return Ok(None);
                }
                self.table.set(Box::new(Table::new(source.decoder(), ids, token, is_special)));
                let Some(Some(table)) = self.table.get() else { return Ok(None) };
                table
            }
        };
        let decoder = source.decoder();
        let mut scratch = DecoderScratch::default();
        let mut begun = String::new();
        let (mut start, mut pushed) = (0, 0);
        decoder.begin(&mut scratch);
        while !decoder.is_steady(&scratch, pushed) && start < decoding.ids.len() {
            if let Some(token) = source.token(decoding.ids[start]).map_err(|error| error.at_position(start))? {
                decoder.push(token, &mut scratch, &mut begun)?;
                pushed += 1;
            }
            start += 1;
        }
        decoder.finish(&mut scratch, &mut begun)?;
        let mut bytes = begun.into_bytes();
        let mut run = Vec::new();
        for (index, block) in decoding.ids[start..].chunks(BLOCK).enumerate() {
            table.append(block, start + index * BLOCK, decoding, &mut run, &mut bytes)?;
            if index % 16 == 15 {
                watch()?;
            }
        }
        byte_fallback::append_run(&mut run, &mut bytes);
        Ok(Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }))
    }
}

impl Table {
    /// What the stages make of each token that is not the first; `None` if they have another shape, if one of them fails, or if it would
    /// be too long.
    fn new<'t>(
        decoder: &Decoder,
        ids: usize,
        token: impl Fn(u32) -> Option<&'t str>,
        is_special: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let Shape { locals, join } = decoder.shape()?;
        let mut scratch = DecoderScratch::default();
        decoder.begin(&mut scratch);
        let mut texts = Vec::new();
        let mut text = String::new();
        let run = |token: &str, scratch: &mut DecoderScratch, text: &mut String| {
            text.clear();
            super::run(&decoder.stages[..locals], &mut scratch.levels, token, &mut super::append_to(text))
        };
        run("", &mut scratch, &mut text).ok()?;
        let mut entries = Vec::with_capacity(ids);
        for id in 0..ids as u32 {
            let mut entry = Entry { start: texts.len() as u32, kind: UNKNOWN, ..Entry::default() };
            if let Some(token) = token(id) {
                run(token, &mut scratch, &mut text).ok()?;
                entry.kind = if is_special(token) { SPECIAL } else { 0 };
                match join {
                    Join::Bytes => byte_level::append_token(&text, &mut texts),
                    Join::Text => texts.extend_from_slice(text.as_bytes()),
                    Join::ByteFallback => match byte_fallback::byte_of(&text) {
                        Some(byte) => (entry.kind, entry.byte) = (entry.kind | BYTE, byte),
                        None => texts.extend_from_slice(text.as_bytes()),
                    },
                }
            }
            let length = texts.len() - entry.start as usize;
            if length > MAX_TEXT_BYTES || texts.len() > MAX_TEXTS_BYTES {
                return None;
            }
            entry.length = length as u16;
            entries.push(entry);
        }
        texts.extend_from_slice(&[0; STEP]);
        Some(Self { entries, texts, join })
    }

    /// Appends the texts of `ids`, whose first is at `position`. `run` holds the bytes of a run of byte tokens.
    fn append(&self, ids: &[u32], position: usize, decoding: &Decoding<'_>, run: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<()> {
        const NONE: Entry = Entry { start: 0, length: 0, kind: UNKNOWN, byte: 0 };
        let entry = |id: u32| self.entries.get(id as usize).copied().unwrap_or(NONE);
        let (mut total, mut kinds) = (0, 0);
        for &id in ids {
            let entry = entry(id);
            total += usize::from(entry.length);
            kinds |= entry.kind;
        }
        if kinds & !(SPECIAL & !u8::from(decoding.skip_special_tokens)) == 0 && run.is_empty() {
            let mut end = out.len();
            out.resize(end + total + STEP, 0);
            for &id in ids {
                let entry = entry(id);
                let (start, length) = (entry.start as usize, usize::from(entry.length));
                // Of a length that is known, a copy is two instructions.
                match length {
                    0..=STEP => out[end..end + STEP].copy_from_slice(&self.texts[start..start + STEP]),
                    _ => out[end..end + length].copy_from_slice(&self.texts[start..start + length]),
                }
                end += length;
            }
            out.truncate(end);
            return Ok(());
        }
        for (index, &id) in ids.iter().enumerate() {
            let entry = entry(id);
            match entry.kind {
                UNKNOWN if decoding.skip_unknown => {}
                UNKNOWN => return Err(Error::UnknownId { id: id.into(), position: position + index }),
                kind if kind & SPECIAL != 0 && decoding.skip_special_tokens => {}
                kind if kind & BYTE != 0 => run.push(entry.byte),
                _ => {
                    if self.join == Join::ByteFallback {
                        byte_fallback::append_run(run, out);
                    }
                    let start = entry.start as usize;
                    out.extend_from_slice(&self.texts[start..start + usize::from(entry.length)]);
                }
            }
        }
        Ok(())
    }
}
