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
    // The longest text that a rewrite may make, and the length of one that was refused for it.
    limit: Option<usize>,
    refused: Option<usize>,
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

    /// Gives the spare buffer back if a long text made it large: the stages that follow need memory of their own.
    pub(crate) fn release_spare(&mut self, kept_bytes: usize) {
        if self.next_text.capacity() > kept_bytes {
            self.next_text = String::new();
            self.next_align = Vec::new();
        }
    }

    /// Starts over with a copy of `piece`, its first character replaced by `content`, which takes that character's record: what
    /// [`reset_to`](Self::reset_to) and [`replace`](Self::replace) do, at the price of one copy. Keeps the memory.
    pub fn reset_to_replaced(&mut self, piece: Piece<'_, A>, content: &str) {
        let first = piece.text.chars().next().map_or(0, char::len_utf8);
        let Some(&align) = piece.align[..first].last() else { return self.reset_to(piece) };
        self.text.clear();
        self.text.push_str(content);
        self.text.push_str(&piece.text[first..]);
        self.align.clear();
        self.align.resize(content.len(), align);
        self.align.extend_from_slice(&piece.align[first..]);
        self.base = piece.align[0].range().map_or(0, |span| span.start);
        self.starts_input = piece.at_start();
        let with_content = |leading: usize| leading.checked_sub(first).map_or(0, |rest| content.len() + rest);
        self.front = with_content(piece.front);
        self.hollow = with_content(piece.hollow);
    }

    /// Starts over with `prefix` and a copy of `piece`, neither of them empty; the prefix shares the record of the first byte: what
    /// [`reset_to`](Self::reset_to) and [`prepend`](Self::prepend) do, at the price of one copy. Keeps the memory.
    pub(crate) fn reset_to_prepended(&mut self, piece: Piece<'_, A>, prefix: &str) {
        self.text.clear();
        self.text.push_str(prefix);
        self.text.push_str(piece.text);
        let first = piece.align.first().copied().unwrap_or_default();
        self.align.clear();
        self.align.resize(prefix.len(), first);
        self.align.extend_from_slice(piece.align);
        self.base = first.range().map_or(0, |span| span.start);
        self.starts_input = piece.at_start();
        let with_prefix = |leading: usize| if leading > 0 { leading + prefix.len() } else { 0 };
        self.front = with_prefix(piece.front);
        self.hollow = with_prefix(piece.hollow);
    }

    /// The characters.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole text as a piece.
    pub fn as_piece(&self) -> Piece<'_, A> {
        Piece { text: &self.text, align: &self.align, front: self.front, hollow: self.hollow }
    }

    /// How many of the leading bytes stand for no input at all.
    pub(crate) fn hollow(&self) -> usize {
        self.hollow
    }

    /// From now on, a rewrite that would make the text longer than `limit` bytes is refused: it stops before it allocates more,
    /// and the text stays as it was. `None` allows everything.
    pub(crate) fn set_limit(&mut self, limit: Option<usize>) {
        self.limit = limit;
        self.refused = None;
    }

    /// The length at which a rewrite was refused since the limit was set.
    pub(crate) fn refused(&self) -> Option<usize> {
        self.refused
    }

    /// Replaces the whole text by `changes`. The first `removed` characters of the old text have no successor.
    ///
    /// As in the reference, leading characters that stand for no input keep their place before the new text.
    pub fn transform(&mut self, changes: impl IntoIterator<Item = Change>, removed: usize) {
        let length = self.text.len();
        if length == 0 {
            return; // nothing to align with: the reference leaves such a text as it is
        }
        if self.hollow == length {
            // As in the reference, a piece that stands for no input has nothing that could be replaced: all is put before it.
            return self.rewrite(|new| {
                for (character, _) in changes {
                    new.push(character, None);
                }
                new.copy(0..length);
            });
        }
        self.rewrite(|new| {
            let (hollow, length) = (new.old.hollow, new.old.text.len());
            new.copy(0..hollow);
            new.transform(hollow..length, changes, removed);
        });
    }

    /// Replaces the text by what `write` makes of it.
    pub(crate) fn rewrite(&mut self, write: impl FnOnce(&mut Rewrite<'_, A>)) {
        self.try_rewrite(|new| {
            write(new);
            true
        });
    }

    /// The same, but the text stays as it was if `write` returns false. Returns whether it was replaced.
    pub(crate) fn try_rewrite(&mut self, write: impl FnOnce(&mut Rewrite<'_, A>) -> bool) -> bool {
        let mut text = std::mem::take(&mut self.next_text);
        let mut align = std::mem::take(&mut self.next_align);
        text.clear();
        align.clear();
        let limit = self.limit.unwrap_or(usize::MAX);
        let mut new = Rewrite { old: self, text, align, front: 0, hollow: 0, limit, refused: None };
        let done = write(&mut new);
        let Rewrite { text, align, front, hollow, refused, .. } = new;
        (self.next_text, self.next_align) = (text, align);
        if refused.is_some() {
            self.refused = refused;
        }
        if !done || refused.is_some() {
            return false;
        }
        std::mem::swap(&mut self.text, &mut self.next_text);
        std::mem::swap(&mut self.align, &mut self.next_align);
        (self.front, self.hollow) = (front, hollow);
        true
    }

    /// Keeps the characters for which `is_plain` is true, and replaces each other one by what `write` appends for it; `write`
    /// gets the character and where it begins.
    pub(crate) fn edit(&mut self, is_plain: impl Fn(char) -> bool, mut write: impl FnMut(&mut Rewrite<'_, A>, char, usize)) {
        let Some(first) = self.text.find(|character| !is_plain(character)) else { return };
        self.rewrite(|new| {
            let old = new.old_text();
            let mut copied = 0;
            for (start, character) in old[first..].char_indices().map(|(start, character)| (first + start, character)) {
                if !is_plain(character) {
                    new.copy(copied..start);
                    write(new, character, start);
                    copied = start + character.len_utf8();
                }
            }
            new.copy(copied..old.len());
        });
    }

    /// Makes all ASCII letters lower case, which moves nothing.
    pub(crate) fn make_ascii_lowercase(&mut self) {
        self.text.make_ascii_lowercase();
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
        let new_length = self.text.len() + prefix.len();
        if self.limit.is_some_and(|limit| new_length > limit) {
            self.refused = Some(new_length);
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
        if self.hollow > 0 {
            return self.retain_behind_hollow(keep);
        }
        let Some(first) = self.text.find(|character| !keep(character)) else { return };
        self.rewrite(|new| {
            let old = new.old_text();
            let mut copied = 0;
            // The first removed character has been asked about; what follows it has not.
            for (start, character) in old[first..].char_indices().map(|(start, character)| (first + start, character)) {
                if start == first || !keep(character) {
                    new.copy(copied..start);
                    copied = start + character.len_utf8();
                }
            }
            new.copy(copied..old.len());
        });
    }

    /// [`retain`](Self::retain) where [`transform`](Self::transform) keeps the hollow characters and adds all that are kept.
    fn retain_behind_hollow(&mut self, mut keep: impl FnMut(char) -> bool) {
        let mut changes: Vec<Change> = Vec::new();
        let mut removed_first = 0;
        for character in self.text.chars() {
            if keep(character) {
                changes.push((character, 0));
            } else {
                match changes.last_mut() {
                    Some((_, change)) => *change -= 1,
                    None => removed_first += 1,
                }
            }
        }
        let removed_first = if changes.is_empty() { 0 } else { removed_first };
        self.transform(changes, removed_first);
    }

    /// Replaces each of the byte ranges `matches` (ascending, not overlapping, on character boundaries, possibly empty) by
    /// `content`, which takes the record of the last byte that it replaces, or of the byte before an empty match.
    pub fn replace(&mut self, matches: impl IntoIterator<Item = Range<usize>>, content: &str) {
        self.rewrite(|new| {
            let mut copied = 0;
            for found in matches {
                new.copy(copied..found.start);
                new.push_str(content, found.end.checked_sub(1));
                copied = found.end;
                if new.is_refused() {
                    return;
                }
            }
            new.copy(copied..new.old_text().len());
        });
    }

    fn first_char_len(&self) -> usize {
        self.text.chars().next().map_or(0, char::len_utf8)
    }
}

/// A rewrite of a text into its other buffer; keeps the counts of leading bytes.
pub(crate) struct Rewrite<'t, A: Align> {
    old: &'t NormalizedText<A>,
    text: String,
    align: Vec<A>,
    front: usize,
    hollow: usize,
    limit: usize,
    refused: Option<usize>,
}

impl<'t, A: Align> Rewrite<'t, A> {
    /// The text that is rewritten.
    #[inline]
    pub(crate) fn old_text(&self) -> &'t str {
        &self.old.text
    }

    /// Whether the new text would be too long. What is appended from then on is dropped.
    #[inline]
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Appends the old bytes `range` as they are.
    #[inline]
    pub(crate) fn copy(&mut self, range: Range<usize>) {
        let length = self.text.len();
        if !self.has_room(range.len()) {
            return;
        }
        if self.front == length {
            self.front += self.old.front.saturating_sub(range.start).min(range.len());
        }
        if self.hollow == length {
            self.hollow += self.old.hollow.saturating_sub(range.start).min(range.len());
        }
        self.text.push_str(&self.old.text[range.clone()]);
        self.align.extend_from_slice(&self.old.align[range]);
    }

    /// Appends the old bytes `range`, ASCII letters in lower case.
    #[inline]
    pub(crate) fn copy_ascii_lowercase(&mut self, range: Range<usize>) {
        let start = self.text.len();
        self.copy(range);
        self.text[start..].make_ascii_lowercase();
    }

    /// Appends a character that shares the record of the old byte `source`, or stands before all input if there is none.
    #[inline]
    pub(crate) fn push(&mut self, character: char, source: Option<usize>) {
        if self.has_room(character.len_utf8()) {
            self.text.push(character);
            self.record(source);
        }
    }

    /// Appends characters that all share the record of the old byte `source`.
    #[inline]
    pub(crate) fn push_str(&mut self, content: &str, source: Option<usize>) {
        if self.has_room(content.len()) {
            self.text.push_str(content);
            self.record(source);
        }
    }

    /// Appends what `write` appends to the new text; it shares the record of the old byte `source`.
    #[inline]
    pub(crate) fn push_with(&mut self, source: Option<usize>, write: impl FnOnce(&mut String)) {
        if self.is_refused() {
            return;
        }
        let length = self.text.len();
        write(&mut self.text);
        if self.has_room(0) {
            self.record(source);
        } else {
            self.text.truncate(length);
        }
    }

    /// Removes `suffix` from the end of the new text, as often as it is there.
    pub(crate) fn trim_end(&mut self, suffix: &str) {
        let length = self.text.trim_end_matches(suffix).len();
        self.text.truncate(length);
        self.align.truncate(length);
        self.front = self.front.min(length);
        self.hollow = self.hollow.min(length);
    }

    /// Replaces the old bytes `range` by `changes`, without a successor for their first `removed` characters.
    pub(crate) fn transform(&mut self, range: Range<usize>, changes: impl IntoIterator<Item = Change>, removed: usize) {
        let mut old = self.old.text[range.clone()].chars();
        let mut offset = range.start + old.by_ref().take(removed).map(char::len_utf8).sum::<usize>();
        for (character, change) in changes {
            if self.is_refused() {
                return;
            }
            if change > 0 {
                self.push(character, offset.checked_sub(1));
            } else {
                // Past the end only where the reference would panic: the last record is repeated.
                self.push(character, Some(offset.min(self.old.text.len() - 1)));
                offset += old.next().map_or(0, char::len_utf8);
                offset += old.by_ref().take(change.unsigned_abs()).map(char::len_utf8).sum::<usize>();
            }
        }
    }

    #[inline]
    fn has_room(&mut self, bytes: usize) -> bool {
        let length = self.text.len() + bytes;
        if length > self.limit {
            self.refused = self.refused.or(Some(length));
        }
        self.refused.is_none()
    }

    /// Gives the bytes that have none yet the record of the old byte `source`.
    #[inline]
    fn record(&mut self, source: Option<usize>) {
        let (start, end) = (self.align.len(), self.text.len());
        let (align, at_front, is_hollow) = match source {
            Some(index) => (self.old.align[index], index < self.old.front, index < self.old.hollow),
            None => (A::new(self.old.base, self.old.base), self.old.starts_input, true),
        };
        self.align.resize(end, align);
        if at_front && self.front == start {
            self.front = end;
        }
        if is_hollow && self.hollow == start {
            self.hollow = end;
        }
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)] // one match
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

    #[test]
    fn a_replaced_first_character_and_a_prefix_are_what_two_steps_give() {
        for (inserted, offset) in [(0, 0), (0, 4), (1, 0), (2, 0), (3, 4)] {
            // Characters that stand for no input, at the beginning.
            let mut whole = NormalizedText::<Span>::new();
            whole.reset("\u{e9}bc", offset);
            whole.replace((0..inserted).map(|_| 0..0), "\u{e9}");
            for start in [0, 2] {
                let piece = whole.as_piece().slice(start..whole.text().len());
                for content in ["", "-", "\u{2581}"] {
                    let mut expected = NormalizedText::<Span>::new();
                    expected.reset_to(piece);
                    expected.replace([0..piece.text.chars().next().unwrap().len_utf8()], content);
                    let mut text = NormalizedText::<Span>::new();
                    text.reset_to_replaced(piece, content);
                    assert_eq!(format!("{:?}", text.as_piece()), format!("{:?}", expected.as_piece()));
                    if content.is_empty() {
                        continue;
                    }
                    expected.reset_to(piece);
                    expected.prepend(content);
                    text.reset_to_prepended(piece, content);
                    assert_eq!(format!("{:?}", text.as_piece()), format!("{:?}", expected.as_piece()));
                }
            }
        }
    }
}
