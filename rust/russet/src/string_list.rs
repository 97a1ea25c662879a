//! A list of strings in two allocations: all texts in one buffer, and where each ends.
//!
//! Vocabularies, merges and token lists are kept in it: an entry costs its bytes plus four, and pushing one allocates
//! nothing once the buffers are warm. Reading entry `i` is O(1). It is the wrong choice where entries are removed from the middle.

use crate::compiled::{damaged, Reader, Writer};
use crate::memory;
use crate::Result;

/// Strings kept end to end. The total length is at most `u32::MAX` bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StringList {
    text: String,
    ends: Vec<u32>,
}

impl StringList {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty list with room for `strings` entries of `bytes` bytes in all.
    pub fn with_capacity(strings: usize, bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), ends: Vec::with_capacity(strings) }
    }

    /// An empty list with room for `strings` entries of `bytes` bytes in all, if there is so much memory. A list that is read from
    /// a file of known size gets more room than it can need: memory that is never written to costs nothing, and lists that grow
    /// step by step leave holes of half their size. [`shrink_to_fit`](Self::shrink_to_fit) gives the rest back.
    pub(crate) fn with_room(strings: usize, bytes: usize) -> Self {
        let mut list = Self::new();
        let _ = list.text.try_reserve_exact(bytes);
        let _ = list.ends.try_reserve_exact(strings);
        list
    }

    /// Gives back the room that is not used.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// The number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no strings.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All strings, end to end.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All strings, end to end, without a copy.
    pub fn into_text(self) -> String {
        self.text
    }

    /// Appends a string.
    ///
    /// # Panics
    /// If the total length would pass `u32::MAX` bytes; loaders check their input against a lower limit first.
    pub fn push(&mut self, string: &str) {
        self.text.push_str(string);
        self.close();
    }

    /// The buffer's end, to write the next string in place; [`close`](Self::close) ends it.
    pub fn open(&mut self) -> &mut String {
        &mut self.text
    }

    /// Ends the string that was written through [`open`](Self::open).
    pub fn close(&mut self) {
        let end = u32::try_from(self.text.len()).expect("a StringList holds at most u32::MAX bytes");
        self.ends.push(end);
    }

    /// Whether bytes were written through [`open`](Self::open) and not ended.
    pub fn has_open(&self) -> bool {
        self.text.len() > self.ends.last().map_or(0, |&end| end as usize)
    }

    /// The string at `index`.
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        let start = match index {
            0 => 0,
            _ => self.ends[index - 1] as usize,
        };
        Some(&self.text[start..end])
    }

    /// The bytes of the string at `index`; none where there is no string.
    #[inline(always)]
    pub(crate) fn bytes_at(&self, index: usize) -> &[u8] {
        let Some(&end) = self.ends.get(index) else { return &[] };
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text.as_bytes()[start as usize..end as usize]
    }

    /// The length of the string at `index` in bytes.
    #[inline(always)]
    pub(crate) fn len_at(&self, index: usize) -> usize {
        self.bytes_at(index).len()
    }

    /// Asks the processor to fetch the string at `index`, if there is one.
    #[inline(always)]
    pub(crate) fn prefetch(&self, index: usize) {
        if let Some(&end) = self.ends.get(index) {
            memory::prefetch(self.text.as_ptr().wrapping_add((end as usize).saturating_sub(1)));
        }
    }

    /// The strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone + '_ {
        (0..self.ends.len()).map(move |index| self.get(index).unwrap_or_default())
    }

    /// Removes all strings and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Writes the list to a compiled file.
    pub(crate) fn write(&self, to: &mut Writer) {
        to.text(&self.text);
        to.u32s(&self.ends);
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (text, ends) = (from.text()?, from.u32s()?);
        if !are_ends(&ends, text.len()) || !ends.iter().all(|&end| text.is_char_boundary(end as usize)) {
            return Err(damaged("texts do not end where they should"));
        }
        Ok(Self { text, ends })
    }

    /// The bytes that the list holds on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<u32>()
    }
}

/// Whether the ends of strings are those of strings of `length` bytes in all.
fn are_ends(ends: &[u32], length: usize) -> bool {
    ends.is_sorted() && ends.last().map_or(0, |&end| end as usize) == length
}

/// A list of byte strings.
pub(crate) trait Texts {
    /// The number of strings.
    fn count(&self) -> usize;
    /// The string at `index`, empty where there is none.
    fn bytes(&self, index: usize) -> &[u8];
}

impl Texts for StringList {
    fn count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn bytes(&self, index: usize) -> &[u8] {
        self.bytes_at(index)
    }
}

/// Byte strings kept end to end, as in a [`StringList`].
#[derive(Debug, Default)]
pub(crate) struct ByteList {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl ByteList {
    /// An empty list with room for `strings` entries of `bytes` bytes in all, which fit a `u32`.
    pub(crate) fn with_capacity(strings: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(strings) }
    }

    /// The same if there is so much memory, as [`StringList::with_room`].
    pub(crate) fn with_room(strings: usize, bytes: usize) -> Self {
        let mut list = Self::default();
        let _ = list.bytes.try_reserve_exact(bytes);
        let _ = list.ends.try_reserve_exact(strings);
        list
    }

    /// Appends a string.
    ///
    /// # Panics
    /// As [`StringList::push`].
    #[inline(always)]
    pub(crate) fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        let end = u32::try_from(self.bytes.len()).expect("a ByteList holds at most u32::MAX bytes");
        self.ends.push(end);
    }

    /// The list of the strings, if all of them are UTF-8; room that is not used is given back.
    pub(crate) fn into_strings(self) -> Option<StringList> {
        let mut list = StringList { text: String::from_utf8(self.bytes).ok()?, ends: self.ends };
        if !list.ends.iter().all(|&end| list.text.is_char_boundary(end as usize)) {
            return None;
        }
        list.shrink_to_fit();
        Some(list)
    }

    /// Appends a string; or an empty one if an item is `None`.
    pub(crate) fn push_if_all(&mut self, string: impl Iterator<Item = Option<u8>>) {
        let start = self.bytes.len();
        for byte in string {
            match byte {
                Some(byte) => self.bytes.push(byte),
                None => {
                    self.bytes.truncate(start);
                    break;
                }
            }
        }
        self.ends.push(self.bytes.len() as u32);
    }
}

impl Texts for ByteList {
    fn count(&self) -> usize {
        self.ends.len()
    }

    #[inline]
    fn bytes(&self, index: usize) -> &[u8] {
        let Some(&end) = self.ends.get(index) else { return &[] };
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start as usize..end as usize]
    }
}

impl<S: AsRef<str>> FromIterator<S> for StringList {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Self {
        let mut list = Self::new();
        for string in strings {
            list.push(string.as_ref());
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_empty_and_long_strings() {
        let list: StringList = ["", "a", "", "bcd"].into_iter().collect();
        assert_eq!(list.iter().collect::<Vec<_>>(), ["", "a", "", "bcd"]);
        assert_eq!(list.get(3), Some("bcd"));
        assert_eq!(list.get(4), None);
    }

    #[test]
    fn bytes_need_not_be_text() {
        let mut list = ByteList::with_capacity(3, 4);
        list.push_if_all([Some(0xff), Some(b'a')].into_iter());
        list.push_if_all([Some(b'b'), None, Some(b'c')].into_iter());
        list.push_if_all([Some(b'd')].into_iter());
        assert_eq!([0, 1, 2, 3].map(|index| list.bytes(index)), [&b"\xffa"[..], b"", b"d", b""]);
        assert_eq!(list.count(), 3);
    }

    #[test]
    fn bytes_become_text_if_each_string_is_text() {
        let list = |strings: &[&[u8]]| {
            let mut list = ByteList::with_room(9, 9);
            strings.iter().for_each(|string| list.push(string));
            list.into_strings()
        };
        let strings = list(&["é".as_bytes(), b"", b"ab"]).unwrap();
        assert_eq!(strings.iter().collect::<Vec<_>>(), ["é", "", "ab"]);
        assert_eq!(list(&[b"\xc3", b"\xa9"]), None);
        assert_eq!(list(&[b"a", b"\xc3"]), None);
    }

    #[test]
    fn writes_in_place() {
        let mut list = StringList::new();
        list.open().push('x');
        assert!(list.has_open());
        list.open().push('y');
        list.close();
        assert!(!list.has_open());
        assert_eq!(list.get(0), Some("xy"));
    }
}
