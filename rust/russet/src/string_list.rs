//! A list of strings in two allocations: all texts in one buffer, and where each ends.
//!
//! Vocabularies, merges and token lists are kept in it: an entry costs its bytes plus four, and pushing one allocates
//! nothing once the buffers are warm. Reading entry `i` is O(1). It is the wrong choice where entries are removed from the middle.

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

    /// The strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone + '_ {
        (0..self.ends.len()).map(move |index| self.get(index).unwrap_or_default())
    }

    /// Removes all strings and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// The bytes that the list holds on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<u32>()
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
