//! Ignoring case: which characters match each other, and which match a sequence of others.
//!
//! Two kinds of data, both measured on the reference: classes of characters that match each other (`k`, `K` and the Kelvin
//! sign), and sequences of two or three folded characters that a single character matches (`ss` and the sharp s). A class
//! in a pattern is closed under the first and gets an alternative for each sequence that one of its characters stands for;
//! a text is rewritten from left to right, the longest sequence first.

use super::ast::Node;
use super::charset::{decode, CharSet};
use super::unicode_data::{FOLDS, FOLD_SEQUENCES};
use std::collections::HashMap;
use std::sync::OnceLock;

/// A folded sequence and the characters that match it.
#[derive(Debug)]
struct Sequence {
    codes: Vec<u32>,
    chars: Vec<u32>,
}

/// The data, ready to be asked.
#[derive(Debug)]
struct Folds {
    classes: Vec<Vec<u32>>,
    /// The class of each character that has one.
    class_of: HashMap<u32, usize>,
    /// Sorted by length: the reference tries the shorter ones of a class first.
    sequences: Vec<Sequence>,
}

fn folds() -> &'static Folds {
    static FOLDS_READ: OnceLock<Folds> = OnceLock::new();
    FOLDS_READ.get_or_init(|| {
        let numbers = |text: &str| -> Vec<u32> {
            text.split_ascii_whitespace().filter_map(|number| u32::from_str_radix(number, 16).ok()).collect()
        };
        let classes: Vec<_> = FOLDS.split(';').map(numbers).collect();
        let class_of = classes.iter().enumerate().flat_map(|(index, class)| class.iter().map(move |&code| (code, index))).collect();
        let mut sequences: Vec<_> = FOLD_SEQUENCES
            .split(';')
            .filter_map(|entry| entry.split_once('='))
            .map(|(codes, chars)| Sequence { codes: numbers(codes), chars: numbers(chars) })
            .collect();
        sequences.sort_by_key(|sequence| sequence.codes.len());
        Folds { classes, class_of, sequences }
    })
}

impl Folds {
    /// The characters that match `code`, with itself.
    fn equals(&self, code: u32) -> CharSet {
        match self.class_of.get(&code) {
            Some(&class) => CharSet::from_ranges(self.classes[class].iter().map(|&code| (code, code)).collect()),
            None => CharSet::single(code),
        }
    }

    /// Whether two characters match.
    fn equal(&self, left: u32, right: u32) -> bool {
        left == right || matches!((self.class_of.get(&left), self.class_of.get(&right)), (Some(a), Some(b)) if a == b)
    }

    /// The sets that match `sequence`, one after the other.
    fn sets(&self, sequence: &Sequence) -> Vec<CharSet> {
        sequence.codes.iter().map(|&code| self.equals(code)).collect()
    }
}

/// How many bytes at the start of `rest`, which is not shorter than `held`, are `held` when case is ignored.
///
/// The reference compares character by character within the length of `held` in bytes. A character of `rest` that reaches
/// beyond that is read as if it were cut there, so that it may pass for another; that is so here as well.
pub(super) fn same(held: &str, rest: &str) -> Option<usize> {
    let (bytes, end) = (rest.as_bytes(), held.len());
    let (mut next, mut chars) = (0, held.chars().peekable());
    while let Some(char) = chars.next() {
        let (mut code, length) = decode(bytes, next);
        let inside = (end - next).min(length);
        if inside < length {
            let tail = |offset: usize| u32::from(bytes[next + offset] & 0x3F);
            let lead = u32::from(bytes[next]);
            code = match inside {
                1 => lead,
                2 => (lead & 0x1F) << 6 | tail(1),
                _ => (lead & 0x0F) << 12 | tail(1) << 6 | tail(2),
            };
        }
        if !folds().equal(u32::from(char), code) {
            return None;
        }
        next += length;
        if next >= end && chars.peek().is_some() {
            return None;
        }
    }
    Some(next)
}

/// A class when case is ignored: the raw members with all that match one of them, and the sequences that members stand for
/// (none for a negated class).
pub(super) fn class(set: &CharSet, negated: bool) -> (CharSet, Vec<Vec<CharSet>>) {
    let folds = folds();
    let mut ranges = set.ranges().to_vec();
    for class in &folds.classes {
        if class.iter().any(|&code| set.contains(code)) {
            ranges.extend(class.iter().map(|&code| (code, code)));
        }
    }
    let closed = CharSet::from_ranges(ranges);
    let sequences = if negated {
        Vec::new()
    } else {
        let stands = |sequence: &&Sequence| sequence.chars.iter().any(|&code| closed.contains(code));
        folds.sequences.iter().filter(stands).map(|sequence| folds.sets(sequence)).collect()
    };
    (closed, sequences)
}

/// A text when case is ignored. In a look-behind only single characters stand for each other.
pub(super) fn text(codes: &[u32], in_look_behind: bool) -> Node {
    let folds = folds();
    let mut parts: Vec<Node> = Vec::new();
    let mut rest = codes;
    while let Some(&code) = rest.first() {
        let mut taken = 1;
        let longest = folds.sequences.iter().rev().find(|sequence| {
            sequence.codes.len() <= rest.len() && sequence.codes.iter().zip(rest).all(|(&fold, &code)| folds.equal(fold, code))
        });
        let part = match longest.filter(|_| !in_look_behind) {
            Some(sequence) => {
                taken = sequence.codes.len();
                Some(alternatives(folds, sequence))
            }
            None => match folds.sequences.iter().find(|sequence| sequence.chars.contains(&code)) {
                Some(sequence) if !in_look_behind => Some(alternatives(folds, sequence)),
                _ if folds.class_of.contains_key(&code) => Some(Node::Set(folds.equals(code))),
                _ => None,
            },
        };
        match (part, parts.last_mut()) {
            (Some(part), _) => parts.push(part),
            (None, Some(Node::Text { codes, .. })) => codes.push(code),
            (None, _) => parts.push(Node::Text { codes: vec![code], fold: false }),
        }
        rest = &rest[taken..];
    }
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        Node::List(parts)
    }
}

/// A sequence, or one of the characters that stand for it.
fn alternatives(folds: &Folds, sequence: &Sequence) -> Node {
    let chars = CharSet::from_ranges(sequence.chars.iter().map(|&code| (code, code)).collect());
    Node::Alternatives(vec![Node::Set(chars), Node::List(folds.sets(sequence).into_iter().map(Node::Set).collect())])
}
