//! The named sets of code points: general categories, scripts, blocks, binary properties, and the POSIX classes.
//!
//! The sets are data, measured on the reference (see `generate_unicode.py`) and decoded from their compact text when a
//! pattern names them; a name is found by binary search after dropping case, spaces, hyphens and underscores. The one table
//! that matching uses, the general category of every code point, is built when it is first needed, in about a millisecond,
//! and kept: 256-entry blocks, equal blocks stored once, so a look-up is two loads.

use super::charset::{CharSet, Class, LAST};
use super::unicode_data::{CATEGORIES, NAMES, PROPERTIES, WORD_TYPE};
use std::collections::HashMap;
use std::sync::OnceLock;

/// The number of general categories.
pub(super) const CATEGORY_COUNT: usize = CATEGORIES.len();

/// The longest property name, after dropping what does not count.
const MAX_NAME_BYTES: usize = 64;

/// The set that `name` names, if there is one.
pub(super) fn property(name: &str) -> Option<CharSet> {
    let mut key = String::with_capacity(name.len().min(MAX_NAME_BYTES));
    for byte in name.bytes() {
        match byte {
            b' ' | b'-' | b'_' => {}
            _ if byte.is_ascii() && key.len() < MAX_NAME_BYTES => key.push(byte.to_ascii_lowercase() as char),
            _ => return None,
        }
    }
    let index = NAMES.binary_search_by(|entry| entry.0.cmp(key.as_str())).ok()?;
    Some(decode(PROPERTIES[usize::from(NAMES[index].1)]))
}

/// A property of which the tables always have the name.
pub(super) fn known(name: &str) -> CharSet {
    property(name).unwrap_or_default()
}

/// The word characters as `\w` outside of classes has them, and `\b`: a few superscripts and fractions more than in classes.
pub(super) fn word() -> CharSet {
    decode(PROPERTIES[usize::from(WORD_TYPE)])
}

/// The same, ready for tests.
pub(super) fn word_class() -> &'static Class {
    static WORD: OnceLock<Class> = OnceLock::new();
    WORD.get_or_init(|| Class::new(&word()))
}

/// The code points of the general category with index `index`, in the order of the tables.
pub(super) fn category(index: usize) -> CharSet {
    decode(PROPERTIES[usize::from(CATEGORIES[index])])
}

/// Ranges from their text: gaps and lengths.
fn decode(text: &str) -> CharSet {
    let mut numbers = text.split_ascii_whitespace().map(|number| u32::from_str_radix(number, 16).unwrap_or(0));
    let (mut ranges, mut position) = (Vec::new(), 0);
    while let (Some(gap), Some(length)) = (numbers.next(), numbers.next()) {
        ranges.push((position + gap, position + gap + length));
        position += gap + length + 1;
    }
    CharSet::from_ranges(ranges)
}

/// The general category of every code point.
#[derive(Debug)]
pub(crate) struct Categories {
    /// The block of each 256 code points.
    index: Box<[u16]>,
    blocks: Vec<[u8; 256]>,
}

impl Categories {
    /// The category of `code`, as an index into the tables' order.
    #[inline(always)]
    pub(crate) fn get(&self, code: u32) -> u8 {
        self.blocks[usize::from(self.index[(code >> 8) as usize])][(code & 255) as usize]
    }
}

/// The table of general categories.
pub(crate) fn categories() -> &'static Categories {
    static TABLE: OnceLock<Categories> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut flat = vec![0_u8; LAST as usize + 1];
        for number in 0..CATEGORY_COUNT {
            for &(first, last) in category(number).ranges() {
                flat[first as usize..=last as usize].fill(number as u8);
            }
        }
        let (mut blocks, mut seen) = (Vec::new(), HashMap::new());
        let index = flat
            .chunks_exact(256)
            .map(|chunk| {
                let mut block = [0; 256];
                block.copy_from_slice(chunk);
                *seen.entry(block).or_insert_with(|| {
                    blocks.push(block);
                    (blocks.len() - 1) as u16
                })
            })
            .collect();
        Categories { index, blocks }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_whatever_their_spelling() {
        for name in ["L", "letter", "LETTER", "Le_tt-e r", "Lu", "Greek", "white_space", "WSpace", "Alnum", "In_Basic_Latin"] {
            assert!(property(name).is_some(), "{name}");
        }
        for name in ["", "Script=Greek", "gc=L", "Isgreek", "L&", "été", &"a".repeat(100)] {
            assert!(property(name).is_none(), "{name}");
        }
        assert!(NAMES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn categories_cover_each_code_point_once() {
        let mut total = 0;
        for number in 0..CATEGORY_COUNT {
            for &(first, last) in category(number).ranges() {
                total += last - first + 1;
                for code in [first, last] {
                    assert_eq!(usize::from(categories().get(code)), number);
                }
            }
        }
        // Surrogates are in no text: the measured ranges leave them out or run across them.
        assert!((LAST + 1 - 0x800..=LAST + 1).contains(&total), "{total}");
    }
}
