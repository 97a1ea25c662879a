//! Compiled files: finished tables as they are used, so that loading them is little more than reading them.
//!
//! A file is a header (mark, format, version of the crate, length, checksum) and then numbers of eight bytes, lists and texts: each
//! list its length, its items in little-endian order, and zeros up to a multiple of eight bytes. Which follows which is known to
//! those who write and read it: each type does so in its own file. Nothing is hashed, sorted or parsed again.
//!
//! The checksum tells damage, not malice. So what is read is also checked where a wrong number could do more than give wrong
//! ids: indices are in range, texts are UTF-8, and what is followed step by step comes to an end. O(file).
//!
//! Tables that are hashed with random keys are stored with them. Who knows a file can then choose texts that collide in the
//! tables of all who use that file; who does not know it cannot, as before.
//!
//! The wrong choice to keep or to publish: another version refuses the file. It is a cache beside tokenizer.json.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)]

use crate::hashing::fold;
use crate::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What a compiled file begins with: no text does.
const MARK: [u8; 8] = *b"\x89RUSSET\n";
/// To be raised with each change of what is written or of what the tables mean.
const FORMAT: u32 = 3;
const VERSION: &[u8] = env!("CARGO_PKG_VERSION").as_bytes();
/// The bytes of the header: mark, format, version, length, checksum.
const HEADER: usize = 8 + 4 + VERSION_BYTES + 8 + 8;
const VERSION_BYTES: usize = 20;
/// How much is read at a time: what is near when it is summed up and copied. A multiple of 32.
const PART_BYTES: usize = 1 << 16;
const _: () = assert!(VERSION.len() <= VERSION_BYTES && HEADER.is_multiple_of(8));

/// Whether a file that begins with `bytes` is a compiled one.
pub(crate) fn is_compiled(bytes: &[u8]) -> bool {
    bytes.starts_with(&MARK)
}

/// Whether there is a compiled file at `path`. If it cannot be read, those who read it say so.
pub(crate) fn is_compiled_file(path: &Path) -> bool {
    let mut bytes = [0; MARK.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut bytes)).is_ok() && is_compiled(&bytes)
}

/// The error for a file whose content makes no sense.
pub(crate) fn damaged(what: &str) -> Error {
    Error::config("compiled tokenizer", format!("{what}: the file is damaged, save it again"))
}

/// Writes a file to memory.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new() -> Self {
        Self(vec![0; HEADER])
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(crate) fn flag(&mut self, flag: bool) {
        self.number(flag.into());
    }

    /// Whether there is a value, and the value.
    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(8), 0);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn rows<const N: usize>(&mut self, rows: impl ExactSizeIterator<Item = [u32; N]>) {
        self.number(rows.len() as u64);
        self.0.reserve(rows.len() * N * 4 + 4);
        rows.flatten().for_each(|number| self.0.extend_from_slice(&number.to_le_bytes()));
        self.0.resize(self.0.len().next_multiple_of(8), 0);
    }

    pub(crate) fn u32s(&mut self, numbers: &[u32]) {
        self.rows(numbers.iter().map(|&number| [number]));
    }

    pub(crate) fn u64s(&mut self, numbers: impl ExactSizeIterator<Item = u64>) {
        self.number(numbers.len() as u64);
        numbers.for_each(|number| self.number(number));
    }

    /// The whole file.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut file = self.0;
        let length = file.len() as u64;
        let mut version = [0; VERSION_BYTES];
        version.iter_mut().zip(VERSION).for_each(|(to, from)| *to = *from);
        let sum = checksum(file.get(HEADER..).unwrap_or_default());
        let header = MARK.into_iter().chain(FORMAT.to_le_bytes()).chain(version);
        let header = header.chain(length.to_le_bytes()).chain(sum.to_le_bytes());
        file.iter_mut().zip(header).for_each(|(to, from)| *to = from);
        file
    }
}

/// Reads what a [`Writer`] wrote, in the same order: the source a part at a time, so that what is made of it is all the memory
/// that is taken.
pub(crate) struct Reader<'b> {
    source: Box<dyn Read + 'b>,
    /// What was read of the source and not taken yet is `buffer[start..]`.
    buffer: Vec<u8>,
    start: usize,
    /// How many bytes of the source are still to be read.
    left: u64,
    sum: Checksum,
    /// What the sum should be.
    expected: u64,
}

impl<'b> Reader<'b> {
    /// Checks the header of a source that has `length` bytes.
    pub(crate) fn new(source: impl Read + 'b, length: u64) -> Result<Self> {
        let (buffer, sum) = (Vec::with_capacity(PART_BYTES + HEADER), Checksum::default());
        let mut reader = Self { source: Box::new(source), buffer, start: 0, left: length.min(HEADER as u64), sum, expected: 0 };
        if !is_compiled(reader.take(MARK.len())?) {
            return Err(Error::config("compiled tokenizer", "the file does not begin like one"));
        }
        let format = reader.take(4)?.iter().rev().fold(0u32, |format, &byte| format << 8 | u32::from(byte));
        let version = reader.take(VERSION_BYTES)?;
        let mut own = [0; VERSION_BYTES];
        own.iter_mut().zip(VERSION).for_each(|(to, from)| *to = *from);
        if format != FORMAT || version != own {
            let saved_by = String::from_utf8_lossy(version);
            let (saved_by, own) = (saved_by.trim_end_matches('\0'), env!("CARGO_PKG_VERSION"));
            let message = format!("saved by version {saved_by:?} in format {format}, this is version {own:?} with format {FORMAT}");
            return Err(Error::config("compiled tokenizer", format!("{message}: save it again")));
        }
        let (announced, expected) = (reader.number()?, reader.number()?);
        if announced != length || !length.is_multiple_of(8) {
            return Err(damaged(&format!("there are {length} bytes, and not {announced}")));
        }
        Ok(Self { left: length - HEADER as u64, sum: Checksum::default(), expected, ..reader })
    }

    /// Fails unless all was read and the checksum is right.
    pub(crate) fn finish(self) -> Result<()> {
        if self.left > 0 || self.start < self.buffer.len() {
            return Err(damaged("there is more than was to be read"));
        }
        match self.sum.finish() == self.expected {
            true => Ok(()),
            false => Err(damaged("the checksum differs")),
        }
    }

    /// Reads the next part of the source behind what is in the buffer.
    fn fill(&mut self) -> Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let part = self.left.min(PART_BYTES as u64);
        let before = self.buffer.len();
        let read = (&mut self.source).take(part).read_to_end(&mut self.buffer);
        match read {
            Ok(read) if part > 0 && read as u64 == part => {}
            Ok(_) => return Err(damaged("it ends too early")),
            Err(error) => return Err(Error::config("compiled tokenizer", format!("it cannot be read: {error}"))),
        }
        self.left -= part;
        self.sum.add(self.buffer.get(before..).unwrap_or_default());
        Ok(())
    }

    /// The next bytes: few, or as many as are in the buffer.
    fn take(&mut self, bytes: usize) -> Result<&[u8]> {
        while self.buffer.len() - self.start < bytes {
            self.fill()?;
        }
        let taken = self.start..self.start + bytes;
        self.start = taken.end;
        self.buffer.get(taken).ok_or_else(|| damaged("it ends too early"))
    }

    pub(crate) fn number(&mut self) -> Result<u64> {
        Ok(self.take(8)?.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)))
    }

    pub(crate) fn flag(&mut self) -> Result<bool> {
        match self.number()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(damaged(&format!("{other} where 0 or 1 should be"))),
        }
    }

    pub(crate) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        self.flag()?.then(|| read(self)).transpose()
    }

    /// Reads a list of items of `size` bytes and hands it on, some whole items at a time; `reserve` is told how many there are.
    fn items<T>(&mut self, size: usize, reserve: impl FnOnce(usize) -> T, mut extend: impl FnMut(&mut T, &[u8])) -> Result<T> {
        let count = self.number()?;
        let there = self.left + (self.buffer.len() - self.start) as u64;
        let items = usize::try_from(count).ok().filter(|_| count.checked_mul(size as u64).is_some_and(|bytes| bytes <= there));
        let mut items = items.ok_or_else(|| damaged("a list is longer than the file"))?;
        let padding = (items * size).next_multiple_of(8) - items * size;
        let mut list = reserve(items);
        while items > 0 {
            let some = ((self.buffer.len() - self.start) / size).min(items);
            if some == 0 {
                self.fill()?;
                continue;
            }
            extend(&mut list, self.take(some * size)?);
            items -= some;
        }
        self.take(padding)?;
        Ok(list)
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>> {
        self.items(1, Vec::with_capacity, |list, bytes| list.extend_from_slice(bytes))
    }

    pub(crate) fn text(&mut self) -> Result<String> {
        String::from_utf8(self.bytes()?).map_err(|_| damaged("a text is not UTF-8"))
    }

    pub(crate) fn rows<const N: usize, T>(&mut self, make: impl Fn([u32; N]) -> T) -> Result<Vec<T>> {
        self.items(4 * N, Vec::with_capacity, |list, bytes| {
            let (rows, _) = bytes.as_chunks::<4>().0.as_chunks::<N>();
            list.extend(rows.iter().map(|row| make(row.map(u32::from_le_bytes))));
        })
    }

    pub(crate) fn u32s(&mut self) -> Result<Vec<u32>> {
        self.rows(|[number]| number)
    }

    pub(crate) fn u64s<T>(&mut self, make: impl Fn(u64) -> T) -> Result<Vec<T>> {
        self.items(8, Vec::with_capacity, |list, bytes| {
            list.extend(bytes.as_chunks::<8>().0.iter().map(|bytes| make(u64::from_le_bytes(*bytes))));
        })
    }

    /// Secret keys of a table.
    pub(crate) fn keys(&mut self) -> Result<[u64; 2]> {
        Ok([self.number()?, self.number()?])
    }
}

/// A sum of all bytes that damage changes: four products at a time, each of eight bytes and what came before.
struct Checksum([u64; 4]);

const FACTORS: [u64; 4] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93, 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];

impl Default for Checksum {
    fn default() -> Self {
        Self(FACTORS)
    }
}

impl Checksum {
    /// Adds a part: all but the last are a multiple of 32 bytes long, and the last a multiple of 8.
    fn add(&mut self, part: &[u8]) {
        let Self(sums) = self;
        let (fours, others) = part.as_chunks::<8>().0.as_chunks::<4>();
        for words in fours.iter().map(|four| four.as_slice()).chain([others]) {
            for ((sum, factor), word) in sums.iter_mut().zip(FACTORS).zip(words) {
                // What came before is added once more, so that no word makes it vanish.
                *sum = fold(*sum ^ u64::from_le_bytes(*word), factor).wrapping_add(sum.rotate_left(23));
            }
        }
    }

    fn finish(&self) -> u64 {
        self.0.iter().fold(0, |all, &sum| fold(all ^ sum, FACTORS[0]).wrapping_add(sum))
    }
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut sum = Checksum::default();
    sum.add(bytes);
    sum.finish()
}

/// The same file with the checksum and the length that its content has: what damage is tried on.
#[doc(hidden)]
pub fn seal(file: &mut [u8]) {
    let length = (file.len() as u64).to_le_bytes();
    let sum = checksum(file.get(HEADER..).unwrap_or_default()).to_le_bytes();
    let end = length.into_iter().chain(sum);
    file.iter_mut().skip(HEADER - 16).zip(end).for_each(|(to, from)| *to = from);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn file() -> Vec<u8> {
        let mut writer = Writer::new();
        writer.number(7);
        writer.text("é a");
        writer.rows([[1, 2, 3], [4, 5, u32::MAX]].into_iter());
        writer.u32s(&[9]);
        writer.u64s([1 << 40, 2].into_iter());
        writer.option(Some(3u64), Writer::number);
        writer.option(None, Writer::number);
        writer.finish()
    }

    type Content = (u64, String, Vec<[u32; 3]>, Vec<u32>, Vec<u64>, [Option<u64>; 2]);

    fn read(file: &[u8]) -> Result<Content> {
        let mut from = Reader::new(file, file.len() as u64)?;
        let lists = (from.number()?, from.text()?, from.rows(|row| row)?, from.u32s()?, from.u64s(|number| number)?);
        let options = [from.option(Reader::number)?, from.option(Reader::number)?];
        from.finish()?;
        Ok((lists.0, lists.1, lists.2, lists.3, lists.4, options))
    }

    #[test]
    fn reads_what_was_written_and_no_part_of_it() {
        let file = file();
        let content = (7, "é a".to_owned(), vec![[1, 2, 3], [4, 5, u32::MAX]], vec![9], vec![1 << 40, 2], [Some(3), None]);
        assert_eq!(read(&file).unwrap(), content);
        for length in 0..file.len() {
            assert!(matches!(read(&file[..length]), Err(Error::Config { .. })), "{length}");
        }
        assert!(read(&[&file[..], &[0; 8]].concat()).is_err());
    }

    #[test]
    fn every_changed_bit_is_found() {
        let file = file();
        for bit in 0..file.len() * 8 {
            let mut changed = file.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(read(&changed), Err(Error::Config { .. })), "{bit}");
        }
    }

    #[test]
    fn another_version_is_named() {
        let mut file = file();
        file[8] = 200;
        let message = read(&file).unwrap_err().to_string();
        assert!(message.contains("format 200") && message.contains("save it again"), "{message}");
        assert!(read(b"{\"version\": \"1.0\"}").unwrap_err().to_string().contains("does not begin like one"));
    }

    #[test]
    fn lists_cannot_be_longer_than_the_file() {
        for items in [2, u64::MAX, u64::MAX / 4, 1 << 62] {
            let mut writer = Writer::new();
            writer.number(items);
            let file = writer.finish();
            let reader = || Reader::new(&file[..], file.len() as u64).unwrap();
            assert!(reader().u32s().is_err());
            assert!(reader().u64s(|number| number).is_err());
            assert!(reader().rows(|row: [u32; 3]| row).is_err());
            assert!(reader().bytes().is_err());
        }
    }

    proptest! {
        #[test]
        fn checksums_differ(bytes in proptest::collection::vec(any::<u8>(), 1..13).prop_map(|bytes| bytes.repeat(8)), at in any::<prop::sample::Index>(), change in 1u8..) {
            let mut changed = bytes.clone();
            changed[at.index(bytes.len())] ^= change;
            prop_assert_ne!(checksum(bytes.as_chunks::<8>().0.as_flattened()), checksum(changed.as_chunks::<8>().0.as_flattened()));
        }

        #[test]
        fn lists_may_lie_across_parts(before in 0usize..40, rows in proptest::collection::vec(any::<[u32; 3]>(), 0..30_000), bytes in 0usize..200_000) {
            let mut writer = Writer::new();
            (0..before).for_each(|number| writer.number(number as u64));
            writer.rows(rows.iter().copied());
            writer.bytes(&vec![7; bytes]);
            let file = writer.finish();
            let mut reader = Reader::new(&file[..], file.len() as u64).unwrap();
            for number in 0..before {
                prop_assert_eq!(reader.number().unwrap(), number as u64);
            }
            prop_assert_eq!(reader.rows(|row| row).unwrap(), rows);
            prop_assert_eq!(reader.bytes().unwrap().len(), bytes);
            reader.finish().unwrap();
        }
    }
}
