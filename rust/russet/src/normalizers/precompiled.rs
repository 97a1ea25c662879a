//! `Precompiled`: SentencePiece's compiled character map, a double-array trie from texts to replacements.
//!
//! The map's bytes are the trie's length in bytes, its units (32 bits each, little-endian), and the replacements, each ended by a
//! zero byte. The trie is Darts' (S. Yata): a unit has a label, an offset to the block of its children, and whether a value
//! hangs there; a value is where its replacement begins. All of it is checked once, so a search stays inside the arrays.
//!
//! As in the reference, a grapheme cluster below six bytes is looked up whole, any other one character by character, and the
//! shortest entry that begins it replaces all of it. Clusters are found only where a character may join its neighbour; runs of
//! characters that have no entry and join none are passed over. O(n) in the text and what it becomes.

use super::inert::Inert;
use crate::text::{Align, Change, NormalizedText, Rewrite};
use crate::unicode::{flags, is_whitespace, STANDS_ALONE};
use crate::{Error, Result};
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;
use unicode_segmentation::UnicodeSegmentation;

/// The trie's length comes first.
const LENGTH_BYTES: usize = size_of::<u32>();
/// Longer grapheme clusters are not looked up whole.
const MAX_CLUSTER_BYTES: usize = 5;

#[derive(Debug)]
pub(super) struct Precompiled {
    trie: Trie,
    /// Where the replacements begin in the map.
    replacements: usize,
    /// The characters that have no entry and join none of their kind.
    inert: Inert,
}

impl Precompiled {
    /// Reads a charsmap.
    pub(super) fn new(charsmap: &Arc<Vec<u8>>) -> Result<Self> {
        let invalid = |message: String| Error::config("", message);
        let (length, rest) = charsmap
            .split_first_chunk()
            .ok_or_else(|| invalid(format!("{} bytes are no charsmap: it begins with its trie's length", charsmap.len())))?;
        // A length that is not a multiple of the unit's is rounded down, as the reference does.
        let length = u32::from_le_bytes(*length) as usize / size_of::<u32>() * size_of::<u32>();
        let (units, replacements) = rest.split_at_checked(length).ok_or_else(|| {
            invalid(format!("the trie is said to have {length} bytes, and {} are left after its length", rest.len()))
        })?;
        let replacements = std::str::from_utf8(replacements)
            .map_err(|error| invalid(format!("the replacements are not UTF-8 from their byte {} on", error.valid_up_to())))?;
        let trie = Trie::new(charsmap.clone(), units.len(), replacements)?;
        let inert = inert(&trie);
        Ok(Precompiled { trie, replacements: LENGTH_BYTES + length, inert })
    }

    /// The length and the replacement of the longest entry that `text` begins with. An entry that ends inside a character is none.
    pub(super) fn longest_entry(&self, text: &str) -> Option<(usize, &str)> {
        let (length, value) = self.trie.find_longest(text.as_bytes())?;
        let is_entry = text.is_char_boundary(length) && self.replacements + value < self.trie.charsmap.len();
        Some((length, self.replacement(value)?)).filter(|_| is_entry)
    }

    /// Whether some entry is `byte`, or begins with it and goes on with ASCII.
    pub(super) fn has_ascii_entry(&self, byte: u8) -> bool {
        self.trie.find_longest(&[byte]).is_some() || (1..128).any(|next| self.trie.reaches(&[byte, next]))
    }

    /// Whether there may be an entry that begins with this byte.
    pub(super) fn has_entry_that_begins_with(&self, byte: u8) -> bool {
        self.trie.reaches(&[byte])
    }

    /// Whether visible ASCII at the end of a text stays as it is, and so does any other character without an entry: nothing that may join
    /// those to one short cluster has an entry. What joins them is of `joining`; longer clusters are not looked up.
    pub(super) fn keeps_ends(&self, mut joining: impl Iterator<Item = char>) -> bool {
        let may_have_entry = |character: char| {
            let mut bytes = [0; 4];
            let character = character.encode_utf8(&mut bytes);
            self.trie.reaches(character.as_bytes()) || self.find(character).is_some()
        };
        ('!'..='~').all(|visible| self.inert.contains(visible)) && !joining.any(may_have_entry)
    }

    /// Whether what becomes of the text up to `end`, where a cluster ends, is sure to end with a character that is no white space, if
    /// [`keeps_ends`](Self::keeps_ends).
    pub(super) fn ends_visibly(&self, text: &str, end: usize) -> bool {
        let text = &text[..end];
        let Some(last) = text.chars().next_back() else { return false };
        if self.inert.contains(last) {
            return !is_whitespace(last);
        }
        // What the last cluster is does not matter: each that it can be is asked about.
        let is_visible =
            |text: &str| self.find(text).map(|found| found.chars().next_back().is_some_and(|last| !is_whitespace(last)));
        let starts = (end.saturating_sub(MAX_CLUSTER_BYTES)..end).filter(|&start| text.is_char_boundary(start));
        starts.map(|start| is_visible(&text[start..])).all(|is_visible| is_visible != Some(false))
            && (is_visible(&text[end - last.len_utf8()..]) == Some(true) || !is_whitespace(last))
    }

    pub(super) fn normalize<A: Align>(&self, text: &mut NormalizedText<A>) {
        if text.hollow() > 0 {
            return self.normalize_whole(text);
        }
        text.try_rewrite(|new| {
            let mut writer = Writer::new(new);
            self.for_each_match(writer.old, |range, replacement| writer.replace(range, replacement));
            writer.finish()
        });
    }

    /// The same by a list of all changes, and exact where leading characters stand for no input.
    fn normalize_whole<A: Align>(&self, text: &mut NormalizedText<A>) {
        let old = text.text().to_owned();
        let mut changes: Vec<Change> = Vec::with_capacity(old.len());
        let mut copied = 0;
        self.for_each_match(&old, |range, replacement| {
            changes.extend(old[copied..range.start].chars().map(|character| (character, 0)));
            let (removed, inserted) = (old[range.clone()].chars().count(), replacement.chars().count());
            changes.extend(replacement.chars().enumerate().map(|(index, character)| (character, isize::from(index >= removed))));
            if let (Some((_, change)), true) = (changes.last_mut(), removed > inserted) {
                *change -= (removed - inserted) as isize;
            }
            copied = range.end;
            true
        });
        if copied > 0 {
            changes.extend(old[copied..].chars().map(|character| (character, 0)));
            text.transform(changes, 0);
        }
    }

    /// See [`Normalizer::one_for_one`](super::Normalizer::one_for_one). A character that stands alone is a cluster.
    pub(super) fn one_for_one(&self, character: char) -> Option<char> {
        if self.inert.contains(character) {
            return Some(character);
        }
        if !is_alone(character) {
            return None;
        }
        let Some(replacement) = self.find(character.encode_utf8(&mut [0; 4])) else { return Some(character) };
        let mut characters = replacement.chars();
        characters.next().filter(|_| characters.next().is_none())
    }

    /// Gives `found` each part of `text` that has an entry and what replaces it, in order, until it returns false.
    fn for_each_match<'m>(&'m self, text: &str, mut found: impl FnMut(Range<usize>, &'m str) -> bool) {
        let mut at = 0;
        loop {
            let run_end = self.inert.run_end(text, at);
            let Some(next) = text[run_end..].chars().next() else { return };
            // The last character of the run may join one that is not of its kind.
            let joined = if is_alone(next) { None } else { text[at..run_end].chars().next_back() };
            at = run_end - joined.map_or(0, char::len_utf8);
            // Text that no cluster joins to what is before it; the same holds behind `end`.
            let end = at + free_standing(&text[at..]);
            for (start, cluster) in clusters(&text[at..end]).map(|(start, cluster)| (at + start, cluster)) {
                if cluster.len() <= MAX_CLUSTER_BYTES {
                    if let Some(replacement) = self.find(cluster) {
                        if !found(start..start + cluster.len(), replacement) {
                            return;
                        }
                        continue;
                    }
                }
                for (offset, character) in cluster.char_indices() {
                    let end = offset + character.len_utf8();
                    if let Some(replacement) = self.find(&cluster[offset..end]) {
                        if !found(start + offset..start + end, replacement) {
                            return;
                        }
                    }
                }
            }
            at = end;
        }
    }

    /// What replaces a text that begins with an entry.
    #[inline]
    fn find(&self, key: &str) -> Option<&str> {
        self.replacement(self.trie.find(key.as_bytes())?)
    }

    /// The replacement that begins at `value`.
    #[inline]
    fn replacement(&self, value: usize) -> Option<&str> {
        let replacement = self.trie.charsmap.get(self.replacements + value..)?;
        // A part of text from one character's beginning to another's: always text.
        std::str::from_utf8(&replacement[..memchr::memchr(0, replacement).unwrap_or(replacement.len())]).ok()
    }
}

/// The characters that stand alone and have no entry.
fn inert(trie: &Trie) -> Inert {
    // Whether there may be entries for characters with these first bytes: mostly there are none.
    let beginning = Cell::new(([0; 4], false));
    let has_entry = |character: char| {
        let mut bytes = [0; 4];
        let length = character.encode_utf8(&mut bytes).len();
        let last = std::mem::take(&mut bytes[length - 1]);
        if beginning.get().0 != bytes {
            let known = &bytes[..length - 1];
            beginning.set((bytes, trie.reaches(known) || trie.find(known).is_some()));
        }
        bytes[length - 1] = last;
        (length == 1 || beginning.get().1) && trie.find(&bytes[..length]).is_some()
    };
    Inert::new(|character| character != '\r' && is_alone(character) && !has_entry(character))
}

/// The length of the shortest beginning of `text` that no grapheme cluster crosses the end of, judged by pairs of characters.
#[inline]
fn free_standing(text: &str) -> usize {
    let mut characters = text.chars();
    let Some(mut last) = characters.next() else { return 0 };
    let mut length = last.len_utf8();
    for next in characters {
        if is_alone(last) && is_alone(next) && (last, next) != ('\r', '\n') {
            break;
        }
        length += next.len_utf8();
        last = next;
    }
    length
}

#[inline]
fn is_alone(character: char) -> bool {
    character.is_ascii() || flags(character) & STANDS_ALONE != 0
}

/// The grapheme clusters of a text; the search for them is spared for a single character.
#[inline]
fn clusters(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_single = text.chars().nth(1).is_none();
    let (single, many) = if is_single { (text, "") } else { ("", text) };
    std::iter::once((0, single)).filter(|(_, single)| !single.is_empty()).chain(many.grapheme_indices(true))
}

/// The double array. Every offset that a search can follow was checked to stay inside it.
#[derive(Debug)]
struct Trie {
    /// The whole map, whose units follow the trie's length.
    charsmap: Arc<Vec<u8>>,
    units: usize,
}

impl Trie {
    /// Reads the units and checks where they lead: to whole blocks of units, and to characters of `replacements`.
    fn new(charsmap: Arc<Vec<u8>>, bytes: usize, replacements: &str) -> Result<Self> {
        let trie = Trie { charsmap, units: bytes / size_of::<u32>() };
        let count = trie.units;
        if count == 0 {
            return Err(Error::config("", "the trie is empty"));
        }
        for (index, unit) in trie.units().enumerate().filter(|&(index, unit)| index == 0 || !is_value(unit)) {
            let children = index ^ offset(unit);
            if children | 0xFF >= count {
                let message =
                    format!("the trie's unit {index} leads to the units up to {}, and there are {count}", children | 0xFF);
                return Err(Error::config("", message));
            }
            let value = trie.unit(children).map_or(0, value);
            if has_value(unit) && !replacements.is_char_boundary(value) {
                let message = format!(
                    "the trie's unit {children} is the replacement at byte {value}, where no character of the {} bytes begins",
                    replacements.len()
                );
                return Err(Error::config("", message));
            }
        }
        Ok(trie)
    }

    /// The unit at `index`.
    #[inline(always)]
    fn unit(&self, index: usize) -> Option<u32> {
        let start = LENGTH_BYTES + size_of::<u32>() * index;
        let unit = self.charsmap.get(start..)?.first_chunk().filter(|_| index < self.units)?;
        Some(u32::from_le_bytes(*unit))
    }

    fn units(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.units).filter_map(|index| self.unit(index))
    }

    /// The value of the shortest entry that `key` begins with. Entries have no zero byte.
    #[inline]
    fn find(&self, key: &[u8]) -> Option<usize> {
        let mut at = offset(self.unit(0)?);
        for &byte in key {
            if byte == 0 {
                return None;
            }
            at ^= usize::from(byte);
            let unit = self.unit(at)?;
            if label(unit) != u32::from(byte) {
                return None;
            }
            at ^= offset(unit);
            if has_value(unit) {
                return self.unit(at).map(value);
            }
        }
        None
    }

    /// Whether some entry begins with `key`, which has no zero byte.
    fn reaches(&self, key: &[u8]) -> bool {
        let mut at = self.unit(0).map_or(0, offset);
        key.iter().all(|&byte| {
            at ^= usize::from(byte);
            let unit = self.unit(at).filter(|&unit| label(unit) == u32::from(byte));
            at ^= unit.map_or(0, offset);
            unit.is_some()
        })
    }

    /// The length and the value of the longest entry that `key` begins with.
    fn find_longest(&self, key: &[u8]) -> Option<(usize, usize)> {
        let mut at = offset(self.unit(0)?);
        let mut longest = None;
        for (before, &byte) in key.iter().enumerate() {
            at ^= usize::from(byte);
            let Some(unit) = self.unit(at).filter(|&unit| byte != 0 && label(unit) == u32::from(byte)) else { break };
            at ^= offset(unit);
            if has_value(unit) {
                longest = self.unit(at).map(|unit| (before + 1, value(unit)));
            }
        }
        longest
    }
}

/// A unit that is a value has the highest bit set, so its label is no byte.
fn is_value(unit: u32) -> bool {
    unit >> 31 == 1
}

fn label(unit: u32) -> u32 {
    unit & 0x8000_00FF
}

fn has_value(unit: u32) -> bool {
    unit >> 8 & 1 == 1
}

fn value(unit: u32) -> usize {
    (unit & 0x7FFF_FFFF) as usize
}

/// The distance to the block of children: 22 bits, counted in blocks if the ninth bit is set.
fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & 0x200) >> 6)) as usize
}

/// Writes what replaces parts of a text as [`NormalizedText::transform`] would with the list of all changes.
///
/// The records go by position: a removed part is counted at the character before it, and where there is none it is not counted
/// at all, so that from then on each character takes the record of an earlier one. This is the reference's way.
struct Writer<'w, 't, A: Align> {
    new: &'w mut Rewrite<'t, A>,
    old: &'t str,
    /// The old text before this byte has been dealt with.
    done: usize,
    /// The old character that the next one replaces.
    cursor: usize,
    /// The last change, held back because a removal adds to it.
    last: Option<Change>,
    is_changed: bool,
}

impl<'w, 't, A: Align> Writer<'w, 't, A> {
    fn new(new: &'w mut Rewrite<'t, A>) -> Self {
        let old = new.old_text();
        Writer { new, old, done: 0, cursor: 0, last: None, is_changed: false }
    }

    /// Replaces the old bytes `range`, behind all before; false if the text grows too long.
    fn replace(&mut self, range: Range<usize>, replacement: &str) -> bool {
        self.is_changed = true;
        self.keep_until(range.start);
        let mut removed = self.old[range.clone()].chars().count();
        for character in replacement.chars() {
            self.write_last();
            self.last = Some((character, isize::from(removed == 0)));
            removed = removed.saturating_sub(1);
        }
        if let Some((_, change)) = &mut self.last {
            *change -= removed as isize;
        }
        self.done = range.end;
        !self.new.is_refused()
    }

    /// Keeps the rest. Returns whether anything was replaced.
    fn finish(mut self) -> bool {
        if self.is_changed {
            self.keep_until(self.old.len());
            self.write_last();
        }
        self.is_changed
    }

    /// Keeps the old text up to the byte `end`.
    fn keep_until(&mut self, end: usize) {
        let kept = &self.old[self.done..end];
        let Some(last) = kept.chars().next_back() else { return };
        self.write_last();
        if self.cursor == self.done {
            self.cursor = end - last.len_utf8();
            self.new.copy(self.done..self.cursor);
        } else {
            for character in kept[..kept.len() - last.len_utf8()].chars() {
                self.write((character, 0));
            }
        }
        self.last = Some((last, 0));
        self.done = end;
    }

    fn write_last(&mut self) {
        if let Some(change) = self.last.take() {
            self.write(change);
        }
    }

    #[inline]
    fn write(&mut self, (character, change): Change) {
        if change > 0 {
            return self.new.push(character, self.cursor.checked_sub(1));
        }
        self.new.push(character, Some(self.cursor.min(self.old.len() - 1)));
        let replaced = self.old[self.cursor..].chars().take(1 + change.unsigned_abs());
        self.cursor += replaced.map(char::len_utf8).sum::<usize>();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::normalizers::tests::{assert_same, normalized, spans_after};
    use proptest::prelude::*;

    /// A charsmap with these entries, each node's children in a block of their own.
    pub(in crate::normalizers) fn charsmap(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut replacements = Vec::new();
        let mut units = vec![0u32; 512];
        units[0] = 256 << 10;
        for (key, replacement) in entries {
            let (mut parent, mut base) = (0, 256);
            for &byte in key.as_bytes() {
                let child = base ^ usize::from(byte);
                if units[child] == 0 {
                    let children = units.len();
                    units.resize(children + 256, 0);
                    units[child] = ((child ^ children) as u32) << 10 | u32::from(byte);
                }
                (parent, base) = (child, child ^ offset(units[child]));
            }
            units[parent] |= 1 << 8;
            units[base] = 1 << 31 | replacements.len() as u32;
            replacements.extend_from_slice(replacement.as_bytes());
            replacements.push(0);
        }
        let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        [&(bytes.len() as u32).to_le_bytes()[..], &bytes, &replacements].concat()
    }

    fn precompiled(entries: &[(&str, &str)]) -> Precompiled {
        Precompiled::new(&charsmap(entries).into()).unwrap()
    }

    /// The changes as the reference lists them, from a list of entries and the grapheme clusters of the whole text.
    fn naive<A: Align>(entries: &[(&str, &str)], text: &mut NormalizedText<A>) {
        let find = |key: &str| {
            let mut found: Vec<_> = entries.iter().filter(|(entry, _)| key.starts_with(entry)).collect();
            found.sort_by_key(|(entry, _)| entry.len());
            found.first().map(|(_, replacement)| *replacement)
        };
        let mut changes: Vec<Change> = Vec::new();
        let mut replace = |old: &str, new: &str| {
            let difference = new.chars().count() as isize - old.chars().count() as isize;
            changes.extend(new.chars().map(|character| (character, 0)));
            if difference > 0 {
                let from = changes.len() - difference as usize;
                changes[from..].iter_mut().for_each(|(_, change)| *change = 1);
            } else if let Some((_, change)) = changes.last_mut() {
                *change += difference;
            }
        };
        let old = text.text().to_owned();
        let mut is_changed = false;
        for cluster in old.graphemes(true) {
            match find(cluster) {
                Some(new) if cluster.len() < 6 => {
                    replace(cluster, new);
                    is_changed = true;
                }
                _ => {
                    for character in cluster.split_inclusive(|_| true) {
                        let new = find(character);
                        replace(character, new.unwrap_or(character));
                        is_changed |= new.is_some();
                    }
                }
            }
        }
        if is_changed {
            text.transform(changes, 0);
        }
    }

    const ENTRIES: &[(&str, &str)] = &[
        ("\u{fb01}", "fi"),
        ("\n", " "),
        ("\r", "CR"),
        ("\u{ad}", ""),
        ("\u{1e}", ""),
        ("\u{2122}", "TM"),
        ("e\u{301}", "\u{e9}"),
        ("a", "\u{e4}"),
        ("\u{1100}\u{1161}", "\u{ac00}"),
        ("\u{915}", "ka"),
        ("\u{4e00}", "1"),
        ("\u{3a9}", "\u{2126}"),
        ("\u{1f468}", "man"),
    ];

    #[test]
    fn a_cluster_is_looked_up_whole_if_it_is_short() {
        let map = precompiled(ENTRIES);
        let run = |text| normalized(text, |text| map.normalize(text));
        assert_eq!(run("e\u{301}x"), "\u{e9}x");
        assert_eq!(run("xa\u{302}"), "x\u{e4}", "the entry of a beginning replaces the whole cluster");
        assert_eq!(run("a\u{302}\u{303}\u{304}"), "\u{e4}\u{302}\u{303}\u{304}", "a cluster of seven bytes");
        assert_eq!(run("\r\n"), "CR");
        assert_eq!(run("the text"), "the text");
    }

    #[test]
    fn records_go_by_position() {
        let map = precompiled(ENTRIES);
        let run = |text| spans_after(text, |text| map.normalize(text));
        assert_eq!(run("\u{2122}g"), [(0, 3), (0, 3), (3, 4)]);
        assert_eq!(run("x\u{ad}y"), [(0, 1), (3, 4)]);
        assert_eq!(run("\u{ad}xy"), [(0, 2), (2, 3)], "a removal at the start is not counted");
        assert_eq!(run("\u{2122}\u{1e}g"), [(0, 3), (3, 4), (4, 5)], "a removal after an insertion undoes it");
    }

    #[test]
    fn a_bad_charsmap_is_an_error() {
        let message = |bytes: &[u8]| Precompiled::new(&bytes.to_vec().into()).unwrap_err().to_string();
        let sound = charsmap(&[("a", "\u{e9}")]);
        assert!(message(b"\0\0\0").contains("3 bytes are no charsmap"));
        assert!(message(&[0; 4]).contains("the trie is empty"));
        let mut long = sound.clone();
        long[..4].copy_from_slice(&0xFFFF_FFF0u32.to_le_bytes());
        assert!(message(&long).contains("said to have 4294967280 bytes"), "{}", message(&long));
        assert!(message(b"\x04\0\0\0\x12\x34\x56\x78abc\0").contains("unit 0 leads to"));
        assert!(message(&[&sound[..], b"\xFF"].concat()).contains("not UTF-8 from their byte 3 on"));
        for value in [1, 4, 1 << 20] {
            let mut wrong = sound.clone();
            wrong[4 + 512 * 4..][..4].copy_from_slice(&(1u32 << 31 | value).to_le_bytes());
            assert!(message(&wrong).contains(&format!("the replacement at byte {value}")), "{}", message(&wrong));
        }
    }

    #[test]
    fn a_length_is_rounded_down_to_whole_units() {
        let mut map = charsmap(&[("a", "bc")]);
        map[0] |= 3;
        let map = Precompiled::new(&map.into()).unwrap();
        assert_eq!(normalized("ab", |text| map.normalize(text)), "bcb");
    }

    proptest! {
        #[test]
        fn spans_between_clusters_give_what_the_whole_text_gives(
            text in "[abe \r\n\u{301}\u{302}\u{ad}\u{1e}\u{fb01}\u{2122}\u{1100}\u{1161}\u{ac00}\u{915}\u{94d}\u{93f}\u{4e00}\u{3a9}\u{600}\
                     \u{1f468}\u{200d}\u{1f1e6}\u{fe0f}\u{1f3fb}\u{e33}]{0,16}",
        ) {
            let map = precompiled(ENTRIES);
            assert_same(&text, |text| map.normalize(text), |text| naive(ENTRIES, text));
            assert_same(&text, |text| map.normalize_whole(text), |text| naive(ENTRIES, text));
        }

        #[test]
        fn any_bytes_are_refused_or_searched(
            mut bytes in prop::collection::vec(prop_oneof![4 => Just(0u8), 1 => any::<u8>()], 1028..1100),
            text in "[\0-\u{ff}]{0,8}",
        ) {
            bytes[..4].copy_from_slice(&1024u32.to_le_bytes());
            if let Ok(map) = Precompiled::new(&bytes.clone().into()) {
                normalized(&text, |text| map.normalize(text));
            }
        }
    }
}
