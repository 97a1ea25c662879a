//! Text on its way through normalizers and pre-tokenizers, with or without the record of where it came from.
//!
//! The record is one [`Align`] value per byte of the text. For [`Span`] it is the range of the input that the byte stands for;
//! for `()` it is nothing at all: a `Vec<()>` holds no memory and its loops compile away. So there is one code path and two
//! machine codes, and ids cost no offsets.
//!
//! [`NormalizedText::transform`] is the reference's `NormalizedString::transform`, in O(n): a list of characters, each with how
//! it relates to the characters that it replaces.

use std::ops::Range;

/// The range of input bytes that one byte of normalized text stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte, counted from the start of the input.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// What is recorded for each byte of a text: [`Span`], or `()` for nothing.
pub trait Align: Copy + Default + PartialEq + std::fmt::Debug + Send + Sync + 'static {
    /// Whether anything is recorded.
    const TRACKED: bool;
    /// The record for the input bytes `start..end`.
    fn new(start: usize, end: usize) -> Self;
    /// The recorded range, `None` where nothing is recorded.
    fn range(self) -> Option<Range<usize>>;
}

impl Align for () {
    const TRACKED: bool = false;
    #[inline(always)]
    fn new(_: usize, _: usize) -> Self {}
    #[inline(always)]
    fn range(self) -> Option<Range<usize>> {
        None
    }
}

impl Align for Span {
    const TRACKED: bool = true;
    #[inline(always)]
    fn new(start: usize, end: usize) -> Self {
        // Inputs longer than u32::MAX bytes are refused before spans are made.
        Span { start: start as u32, end: end as u32 }
    }
    #[inline(always)]
    fn range(self) -> Option<Range<usize>> {
        Some(self.start as usize..self.end as usize)
    }
}

/// A borrowed part of a text: a section, or a piece of one.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a, A: Align> {
    /// The characters.
    pub text: &'a str,
    /// One record per byte of `text`.
    pub align: &'a [A],
    /// How many of the leading bytes stand for input that begins at input byte 0. Known in both modes.
    pub front: usize,
    /// How many of the leading bytes stand for no input at all. Known in both modes.
    pub hollow: usize,
}

impl<'a, A: Align> Piece<'a, A> {
    /// The part of this piece in `range` (byte offsets on character boundaries).
    #[inline]
    pub fn slice(self, range: Range<usize>) -> Piece<'a, A> {
        Piece {
            front: self.front.saturating_sub(range.start).min(range.len()),
            hollow: self.hollow.saturating_sub(range.start).min(range.len()),
            align: &self.align[range.clone()],
            text: &self.text[range],
        }
    }

    /// Whether the piece stands at the very start of the input.
    #[inline]
    pub fn at_start(&self) -> bool {
        self.front > 0
    }

    /// The input range that the bytes `range` of this piece stand for: from the first byte's start to the last byte's end.
    /// `None` where nothing is recorded or the range is empty.
    pub fn source(&self, range: Range<usize>) -> Option<Range<usize>> {
        let spans = self.align.get(range)?;
        Some(spans.first()?.range()?.start..spans.last()?.range()?.end)
    }
}

/// A text that normalizers rewrite in place, with one record per byte.
#[derive(Clone, Debug, Default)]
pub struct NormalizedText<A: Align> {
    text: String,
    align: Vec<A>,
    // Where the text begins in the input: insertions before its first character stand for `base..base`.
    base: usize,
    starts_input: bool,
    front: usize,
    hollow: usize,
    // The other halves of the double buffer: every rewrite goes there, then both are swapped. Kept to be reused.
    next_text: String,
    next_align: Vec<A>,
}

/// One character of a rewritten text and how it relates to the text before: `change` is 0 if it replaces the next character,
/// 1 if it is inserted (it shares the record of the character before it), `-n` if it replaces the next character and the `n`
/// after that are removed.
pub type Change = (char, isize);

impl<A: Align> NormalizedText<A> {
    /// An empty text.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts over with `text`, which begins at input byte `offset`. Keeps the memory.
    pub fn reset(&mut self, text: &str, offset: usize) {
        self.text.clear();
        self.text.push_str(text);
        self.align.clear();
        self.base = offset;
        self.starts_input = offset == 0;
        self.front = if self.starts_input { self.first_char_len() } else { 0 };
        self.hollow = 0;
        if A::TRACKED {
            self.align.reserve(text.len());
            for (start, character) in text.char_indices() {
                let end = start + character.len_utf8();
                self.align.extend(std::iter::repeat_n(A::new(offset + start, offset + end), end - start));
            }
        } else {
            self.align.resize(text.len(), A::default());
        }
    }

    /// Starts over with a copy of `piece`. Keeps the memory.
    pub fn reset_to(&mut self, piece: Piece<'_, A>) {
        self.text.clear();
        self.text.push_str(piece.text);
        self.align.clear();
        self.align.extend_from_slice(piece.align);
        self.base = piece.align.first().and_then(|first| first.range()).map_or(0, |span| span.start);
        self.starts_input = piece.at_start();
        self.front = piece.front;
        self.hollow = piece.hollow;
    }

    /// The characters.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole text as a piece.
    pub fn as_piece(&self) -> Piece<'_, A> {
        Piece { text: &self.text, align: &self.align, front: self.front, hollow: self.hollow }
    }

    /// Replaces the whole text by `changes`. The first `removed` characters of the old text have no successor.
    ///
    /// As in the reference, leading characters that stand for no input keep their place before the new text.
    pub fn transform(&mut self, changes: impl IntoIterator<Item = Change>, removed: usize) {
        if self.hollow == self.text.len() {
            return; // nothing to align with: the reference leaves such a text as it is
        }
        let mut rewrite = Rewrite::begin(self);
        rewrite.copy(0..rewrite.old.hollow);
        let kept = rewrite.old.hollow;
        // The old characters are read from a copy of the buffer's slice, while the rewrite appends to the other buffer.
        let old_text = std::mem::take(&mut rewrite.old.text);
        let mut old = old_text[kept..].chars();
        let mut offset = kept + old.by_ref().take(removed).map(char::len_utf8).sum::<usize>();
        for (character, change) in changes {
            if change > 0 {
                rewrite.push(character, offset.checked_sub(1));
            } else {
                // Past the end only where the reference would panic: the last record is repeated.
                rewrite.push(character, Some(offset.min(old_text.len() - 1)));
                offset += old.next().map_or(0, char::len_utf8);
                offset += old.by_ref().take(change.unsigned_abs()).map(char::len_utf8).sum::<usize>();
            }
        }
        rewrite.old.text = old_text;
        rewrite.finish();
    }

    /// Puts `prefix` before the text; it shares the record of the first character. An empty text stays empty.
    ///
    /// As in the reference, an empty prefix makes the first character stand for no input.
    pub fn prepend(&mut self, prefix: &str) {
        let length = self.first_char_len();
        if length == 0 {
            return;
        }
        if prefix.is_empty() {
            self.align[..length].fill(A::new(self.base, self.base));
            self.hollow = self.hollow.max(length);
            self.front = if self.starts_input { self.front.max(length) } else { 0 };
            return;
        }
        let align = self.align[0];
        self.text.insert_str(0, prefix);
        self.align.splice(0..0, std::iter::repeat_n(align, prefix.len()));
        self.front = if self.front > 0 { self.front + prefix.len() } else { 0 };
        self.hollow = if self.hollow > 0 { self.hollow + prefix.len() } else { 0 };
    }

    /// Keeps the characters for which `keep` is true; the record of a removed character is lost.
    pub fn retain(&mut self, mut keep: impl FnMut(char) -> bool) {
        let mut changes: Vec<Change> = Vec::new();
        let mut removed_first = 0;
        let mut removed_any = false;
        for character in self.text.chars() {
            if keep(character) {
                changes.push((character, 0));
            } else {
                removed_any = true;
                match changes.last_mut() {
                    Some((_, change)) => *change -= 1,
                    None => removed_first += 1,
                }
            }
        }
        if removed_any || self.hollow > 0 {
            let removed_first = if changes.is_empty() { 0 } else { removed_first };
            self.transform(changes, removed_first);
        }
    }

    /// Replaces each of the byte ranges `matches` (ascending, not overlapping, on character boundaries, possibly empty) by
    /// `content`, which takes the record of the last byte that it replaces, or of the byte before an empty match.
    pub fn replace(&mut self, matches: impl IntoIterator<Item = Range<usize>>, content: &str) {
        let mut rewrite = Rewrite::begin(self);
        let mut last_end = 0;
        for found in matches {
            rewrite.copy(last_end..found.start);
            for character in content.chars() {
                rewrite.push(character, found.end.checked_sub(1));
            }
            last_end = found.end;
        }
        let length = rewrite.old.text.len();
        rewrite.copy(last_end..length);
        rewrite.finish();
    }

    fn first_char_len(&self) -> usize {
        self.text.chars().next().map_or(0, char::len_utf8)
    }
}

/// A rewrite of a text into its other buffer; keeps the counts of leading bytes.
struct Rewrite<'t, A: Align> {
    old: &'t mut NormalizedText<A>,
    front: usize,
    hollow: usize,
}

impl<'t, A: Align> Rewrite<'t, A> {
    fn begin(old: &'t mut NormalizedText<A>) -> Self {
        old.next_text.clear();
        old.next_align.clear();
        Rewrite { old, front: 0, hollow: 0 }
    }

    /// Appends the old bytes `range` as they are.
    fn copy(&mut self, range: Range<usize>) {
        let length = self.old.next_text.len();
        if self.front == length {
            self.front += self.old.front.saturating_sub(range.start).min(range.len());
        }
        if self.hollow == length {
            self.hollow += self.old.hollow.saturating_sub(range.start).min(range.len());
        }
        self.old.next_text.push_str(&self.old.text[range.clone()]);
        self.old.next_align.extend_from_slice(&self.old.align[range]);
    }

    /// Appends a character that shares the record of the old byte `source`, or stands before all input if there is none.
    #[inline]
    fn push(&mut self, character: char, source: Option<usize>) {
        let length = self.old.next_text.len();
        let (align, at_front, is_hollow) = match source {
            Some(index) => (self.old.align[index], index < self.old.front, index < self.old.hollow),
            None => (A::new(self.old.base, self.old.base), self.old.starts_input, true),
        };
        self.old.next_text.push(character);
        let end = self.old.next_text.len();
        self.old.next_align.resize(end, align);
        if at_front && self.front == length {
            self.front = end;
        }
        if is_hollow && self.hollow == length {
            self.hollow = end;
        }
    }

    fn finish(self) {
        let old = self.old;
        std::mem::swap(&mut old.text, &mut old.next_text);
        std::mem::swap(&mut old.align, &mut old.next_align);
        old.front = self.front;
        old.hollow = self.hollow;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &NormalizedText<Span>) -> Vec<(u32, u32)> {
        text.align.iter().map(|span| (span.start, span.end)).collect()
    }

    #[test]
    fn removed_characters_leave_no_record() {
        let mut text = NormalizedText::<Span>::new();
        text.reset("a\u{e9}bc", 10);
        text.retain(|character| character != 'b');
        assert_eq!(text.text(), "a\u{e9}c");
        assert_eq!(spans(&text), [(10, 11), (11, 13), (11, 13), (14, 15)]);
    }

    #[test]
    fn inserted_characters_share_the_record_before_them() {
        let mut text = NormalizedText::<Span>::new();
        text.reset("\u{e9}x", 0);
        text.transform([('e', 0), ('\u{301}', 1), ('x', 0)], 0);
        assert_eq!(text.text(), "e\u{301}x");
        assert_eq!(spans(&text), [(0, 2), (0, 2), (0, 2), (2, 3)]);
        assert_eq!(text.as_piece().front, 3);
    }

    #[test]
    fn both_modes_know_what_stands_at_the_start() {
        let run = |leading: &str| {
            let mut plain = NormalizedText::<()>::new();
            plain.reset(leading, 0);
            plain.retain(|character| character != ' ');
            plain.replace([0..1], "__");
            let mut tracked = NormalizedText::<Span>::new();
            tracked.reset(leading, 0);
            tracked.retain(|character| character != ' ');
            tracked.replace([0..1], "__");
            assert_eq!(plain.text(), tracked.text());
            let by_spans = tracked.align.iter().take_while(|span| span.start == 0).count();
            assert_eq!((plain.front, tracked.front), (by_spans, by_spans));
        };
        run(" a");
        run("ab");
    }

    #[test]
    fn an_insertion_before_all_input_is_hollow() {
        let mut text = NormalizedText::<Span>::new();
        text.reset("ab", 5);
        text.replace([0..0, 1..1, 2..2], "X");
        assert_eq!(text.text(), "XaXbX");
        assert_eq!(spans(&text), [(5, 5), (5, 6), (5, 6), (6, 7), (6, 7)]);
        assert_eq!((text.hollow, text.front), (1, 0));
    }
}
