//! Decoding by table: what each token becomes, worked out once.
//!
//! With most decoders a token becomes the same text wherever it stands, but at the beginning: ByteLevel's bytes, SentencePiece's
//! pieces with spaces in place of U+2581, WordPiece's pieces with or without a space. Then a list of ids is decoded by copying
//! from a table of 16 bytes for each, at the speed of memory; longer texts are in an arena. Byte tokens keep their rule
//! (`byte_fallback`), and so does what is not UTF-8 (`byte_level`). The beginning is decoded by the stages, until they have nothing
//! left to remember.
//!
//! The table takes 16 bytes for each id and the longer texts; it is made when so many tokens have been decoded that it pays
//! ([`DecodeTables`]). The wrong choice for a stream, which waits for each token.

use super::{byte_fallback, byte_level, Decoder, DecoderScratch, Stage, TokenSource};
use crate::memory::Once;
use crate::{Error, Result};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What may be skipped, stands for one byte of a run, or is no token.
const SPECIAL: u8 = 1;
const BYTE: u8 = 2;
const UNKNOWN: u8 = 4;

/// How many bytes are copied at a time.
const STEP: usize = 16;
/// How many ids there is room for before the room is looked at.
const PART: usize = 256;
/// How many ids are decoded between two questions whether to go on.
const BLOCK: usize = 1 << 16;
/// The table is made once this share of the number of ids was decoded without it.
const SHARE: usize = 8;
/// A text in the table is at most so long, and all of them together.
const MAX_TEXT_BYTES: usize = u16::MAX as usize;
const MAX_TEXTS_BYTES: usize = u32::MAX as usize;

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

/// What an id becomes. The last byte is the length of a text that is in the others; with `OTHER`, it is its kind, and the others tell
/// where its text lies, or its byte.
#[derive(Clone, Copy, Debug)]
struct Entry([u8; STEP]);

/// Set in the last byte of an entry that is not just a text of up to 15 bytes.
const OTHER: u8 = 1 << 7;

impl Entry {
    const NONE: Self = Self::other(UNKNOWN, 0, 0, 0);

    fn short(text: &[u8]) -> Option<Self> {
        let mut entry = [0; STEP];
        *entry.last_mut()? = u8::try_from(text.len()).ok()?;
        entry[..STEP - 1].get_mut(..text.len())?.copy_from_slice(text);
        Some(Self(entry))
    }

    const fn other(kind: u8, byte: u8, start: u32, length: u16) -> Self {
        let ([a, b, c, d], [e, f]) = (start.to_le_bytes(), length.to_le_bytes());
        Self([a, b, c, d, e, f, byte, 0, 0, 0, 0, 0, 0, 0, 0, OTHER | kind])
    }

    fn tag(&self) -> u8 {
        self.0[STEP - 1]
    }

    /// The kind of an entry with `OTHER`, and its byte.
    fn kind_and_byte(&self) -> (u8, u8) {
        (self.tag() & !OTHER, self.0[6])
    }

    /// Its text.
    fn text<'t>(&'t self, texts: &'t [u8]) -> &'t [u8] {
        let [a, b, c, d, e, f, ..] = self.0;
        match self.tag() {
            length @ ..OTHER => &self.0[..usize::from(length)],
            _ => &texts[u32::from_le_bytes([a, b, c, d]) as usize..][..usize::from(u16::from_le_bytes([e, f]))],
        }
    }
}

/// What each id becomes.
#[derive(Debug)]
struct Table {
    entries: Vec<Entry>,
    /// The texts that are in no entry.
    texts: Vec<u8>,
    join: Join,
}

/// Bytes on their way to a text: those up to `end` are written.
struct Filled {
    bytes: Vec<u8>,
    end: usize,
}

impl Filled {
    /// Makes room for so many bytes behind the end.
    fn make_room(&mut self, bytes: usize) {
        let wanted = self.end + bytes;
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
    }

    fn push(&mut self, text: &[u8]) {
        self.make_room(text.len());
        self.bytes[self.end..][..text.len()].copy_from_slice(text);
        self.end += text.len();
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.truncate(self.end);
        self.bytes
    }
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
        // English has four to five bytes a token.
        bytes.reserve(5 * (decoding.ids.len() - start));
        let mut filled = Filled { end: bytes.len(), bytes };
        let mut run = Vec::new();
        for (index, block) in decoding.ids[start..].chunks(BLOCK).enumerate() {
            if index > 0 {
                watch()?;
            }
            table.append(block, start + index * BLOCK, decoding, &mut run, &mut filled)?;
        }
        let mut bytes = filled.finish();
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
            let Some(token) = token(id) else {
                entries.push(Entry::NONE);
                continue;
            };
            run(token, &mut scratch, &mut text).ok()?;
            let mut kind = if is_special(token) { SPECIAL } else { 0 };
            let mut byte = 0;
            let start = texts.len();
            match join {
                Join::Bytes => byte_level::append_token(&text, &mut texts),
                Join::Text => texts.extend_from_slice(text.as_bytes()),
                Join::ByteFallback => match byte_fallback::byte_of(&text) {
                    Some(named) => (kind, byte) = (kind | BYTE, named),
                    None => texts.extend_from_slice(text.as_bytes()),
                },
            }
            let length = texts.len() - start;
            if length > MAX_TEXT_BYTES || texts.len() > MAX_TEXTS_BYTES {
                return None;
            }
            entries.push(match Entry::short(&texts[start..]).filter(|_| kind == 0) {
                Some(entry) => {
                    texts.truncate(start);
                    entry
                }
                None => Entry::other(kind, byte, start as u32, length as u16),
            });
        }
        Some(Self { entries, texts, join })
    }

    /// Appends the texts of `ids`, whose first is at `position`. `run` holds the bytes of a run of byte tokens.
    fn append(&self, ids: &[u32], position: usize, decoding: &Decoding<'_>, run: &mut Vec<u8>, filled: &mut Filled) -> Result<()> {
        let entry = |id: u32| self.entries.get(id as usize).unwrap_or(&Entry::NONE);
        let mut rest = ids;
        loop {
            while run.is_empty() && !rest.is_empty() {
                let part = &rest[..rest.len().min(PART)];
                filled.make_room(STEP * part.len());
                let (room, mut end) = (&mut filled.bytes[filled.end..], 0);
                // Of a length that is known, a copy is two instructions.
                let mut copy = |id: &&u32| {
                    let entry = entry(**id);
                    let room = room.get_mut(end..).and_then(<[u8]>::first_chunk_mut).filter(|_| entry.tag() < OTHER);
                    room.is_some_and(|room| {
                        *room = entry.0;
                        end += usize::from(entry.tag());
                        true
                    })
                };
                let copied = part.iter().take_while(&mut copy).count();
                filled.end += end;
                rest = &rest[copied..];
                if copied < part.len() {
                    break;
                }
            }
            let Some((&id, others)) = rest.split_first() else { return Ok(()) };
            let entry = entry(id);
            match entry.kind_and_byte() {
                _ if entry.tag() < OTHER => self.push(entry, run, filled),
                (UNKNOWN, _) if decoding.skip_unknown => {}
                (UNKNOWN, _) => {
                    return Err(Error::UnknownId { id: id.into(), position: position + ids.len() - rest.len() });
                }
                (kind, _) if kind & SPECIAL != 0 && decoding.skip_special_tokens => {}
                (kind, byte) if kind & BYTE != 0 => run.push(byte),
                _ => self.push(entry, run, filled),
            }
            rest = others;
        }
    }

    /// Appends the text of a token that names no byte, behind what the run becomes.
    fn push(&self, entry: &Entry, run: &mut Vec<u8>, filled: &mut Filled) {
        if self.join == Join::ByteFallback && !run.is_empty() {
            let mut text = Vec::new();
            byte_fallback::append_run(run, &mut text);
            filled.push(&text);
        }
        filled.push(entry.text(&self.texts));
    }
}
