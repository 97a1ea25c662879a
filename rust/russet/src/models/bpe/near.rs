//! Pairs of two frequent single symbols, as bytes are: what they make, and which of them are sure to merge.
//!
//! In a piece, the symbols a and b of `x a b y` merge whatever else is there, if no other merge that could take one of them comes as
//! early: none of a token that ends with x, with a, and none of b with a token that begins with y. For whatever x and y become
//! meanwhile, it ends with x and begins with y. So for each pair the table has what it makes, and the first merge of the right
//! symbol with a token that ends with the left one, and of the left symbol with a token that begins with the right one: whether a
//! and b are sure to merge is told by what it has of `x a`, `a b` and `b y`. All sure pairs of a piece are joined in one pass, which
//! does half of the merges of a word that is not known (3.3 of 6.3 in English with GPT-2, 3.3 of 6.4 with Llama 3).
//!
//! Two pairs that share a symbol are not both sure. What a sure pair makes must not be a part of a *late* token (`merges`), as that
//! would be made at once. O(1) for a pair; made in O(merges), half a megabyte, of which a text touches a few lines.

use super::pairs::{NO_TOKEN, NUMBER_BITS};
use std::hint::select_unpredictable;

/// Symbols of smaller numbers than this have pairs here.
pub(super) const NEAR: usize = 256;
/// In place of a number: that of any other symbol, of which nothing is known ...
const OTHER: usize = NEAR;
/// ... and the lack of one.
const END: usize = NEAR + 1;
const WIDTH: usize = NEAR + 2;

/// How early a merge comes: the more, the earlier; 0 for never.
fn urgency(number: u32) -> u64 {
    u64::from(NO_TOKEN - number)
}

const URGENCY: u64 = NO_TOKEN as u64;
/// In an entry, the urgencies of the first merges that could take a symbol of the pair, the right one lowest, and that of what it makes ...
const LEFT_SHIFT: u32 = NUMBER_BITS;
const MADE_SHIFT: u32 = 2 * NUMBER_BITS;
/// ... and whether it must not be joined at once: then all above `MADE_SHIFT` is a negative number.
const IS_LATE: u64 = 1 << 63;
const _: () = assert!(3 * NUMBER_BITS == 63);

/// What is known of each pair.
#[derive(Debug)]
pub(super) struct Near {
    /// Not in huge pages: of half a megabyte a text touches a few lines.
    entries: Box<[u64; WIDTH * WIDTH]>,
}

#[inline(always)]
pub(super) fn is_near(left: u32, right: u32) -> bool {
    (left | right) < NEAR as u32
}

/// The number of a symbol, or `OTHER`.
#[inline(always)]
fn or_other(number: u32) -> usize {
    number.min(OTHER as u32) as usize
}

/// Two of these are the place of an entry.
#[inline(always)]
fn place(left: usize, right: usize) -> usize {
    left * WIDTH + right
}

impl Near {
    /// The pairs of `made`, which has the two parts of each merge in the order of their numbers, the first of which is `first`.
    /// `is_late_part` tells which numbers are parts of late tokens. With too many tokens that are made before their parts, nothing is sure.
    pub(super) fn new(
        first: u32,
        made: impl ExactSizeIterator<Item = (u32, u32)> + Clone,
        is_late_part: impl Fn(u32) -> bool,
    ) -> Self {
        let mut entries = match vec![0; WIDTH * WIDTH].into_boxed_slice().try_into() {
            Ok(entries) => entries,
            Err(_) => Box::new([0; WIDTH * WIDTH]),
        };
        // They are joined with nothing, and nothing is sure beside them.
        for number in 0..WIDTH {
            entries[place(OTHER, number)] = URGENCY << LEFT_SHIFT | URGENCY;
            entries[place(number, OTHER)] = URGENCY << LEFT_SHIFT | URGENCY;
        }
        let mut ends = Ends::new(first, made.len());
        let mut is_known = true;
        for ((left, right), number) in made.clone().zip(first..) {
            if is_near(left, right) {
                let entry = &mut entries[place(left as usize, right as usize)];
                *entry |= urgency(number) << MADE_SHIFT | if is_late_part(number) { IS_LATE } else { 0 };
            }
            is_known &= ends.set(number, left, right);
        }
        if !is_known {
            // A few are made of what has a greater number.
            is_known = (0..3)
                .any(|_| made.clone().zip(first..).fold(true, |all, ((left, right), number)| ends.set(number, left, right) & all));
        }
        for ((left, right), number) in made.zip(first..) {
            let (before, behind) = (ends.last(left), ends.first(right));
            let mut note = |left: u32, right: u32, shift: u32| {
                let entry = &mut entries[place(left as usize, right as usize)];
                let most = (*entry >> shift & URGENCY).max(urgency(number));
                *entry = *entry & !(URGENCY << shift) | most << shift;
            };
            if is_near(before, right) {
                note(before, right, LEFT_SHIFT);
            }
            if is_near(left, behind) {
                note(left, behind, 0);
            }
        }
        if !is_known {
            entries.iter_mut().for_each(|entry| *entry |= IS_LATE);
        }
        Self { entries }
    }

    /// The number of what two symbols make, or `NO_TOKEN` if they are not near or make nothing.
    #[inline(always)]
    pub(super) fn get(&self, left: u32, right: u32) -> u32 {
        let urgency = self.entries[place(or_other(left), or_other(right))] >> MADE_SHIFT & URGENCY;
        NO_TOKEN - urgency as u32
    }

    /// Joins all pairs of a piece's symbols that are sure to merge; how many symbols are left.
    #[inline(always)]
    pub(super) fn join<const ROOM: usize>(&self, symbols: &mut [u32; ROOM], length: usize) -> usize {
        let length = length.min(ROOM);
        let number = |symbols: &[u32; ROOM], at: usize| symbols.get(at).map_or(END, |&number| or_other(number));
        let entry = |left: usize, right: usize| self.entries[place(left, right)];
        let mut right = if length > 1 { number(symbols, 1) } else { END };
        let mut here = if length > 0 { entry(number(symbols, 0), right) } else { 0 };
        let (mut before, mut joined, mut is_taken) = (0, 0, false);
        for at in 0..length {
            let left = right;
            right = select_unpredictable(at + 2 < length, number(symbols, at + 2), END);
            let behind = entry(left, right);
            let urgency = here as i64 >> MADE_SHIFT;
            let others = (before >> LEFT_SHIFT & URGENCY).max(behind & URGENCY) as i64;
            let is_sure = urgency > others;
            // Of a pair the second symbol is written to where the next one will be.
            symbols[joined] = select_unpredictable(is_sure, NO_TOKEN ^ urgency as u32, symbols[at]);
            joined += usize::from(!is_taken);
            (before, here, is_taken) = (here, behind, is_sure);
        }
        joined
    }
}

/// The first and the last symbol of each token by its number, `NEAR` for those that are not near.
struct Ends {
    first_made: u32,
    ends: Vec<[u16; 2]>,
}

/// Not known yet.
const UNKNOWN: u16 = u16::MAX;

impl Ends {
    fn new(first_made: u32, made: usize) -> Self {
        Self { first_made, ends: vec![[UNKNOWN; 2]; made] }
    }

    fn of(&self, number: u32) -> [u16; 2] {
        match number.checked_sub(self.first_made) {
            Some(made) => self.ends.get(made as usize).copied().unwrap_or([UNKNOWN; 2]),
            None => [number.min(NEAR as u32) as u16; 2],
        }
    }

    fn first(&self, number: u32) -> u32 {
        self.of(number)[0].into()
    }

    fn last(&self, number: u32) -> u32 {
        self.of(number)[1].into()
    }

    /// Sets the ends of what is made of two tokens, and tells whether they are known.
    fn set(&mut self, number: u32, left: u32, right: u32) -> bool {
        let ends = [self.of(left)[0], self.of(right)[1]];
        if let Some(place) = self.ends.get_mut((number - self.first_made) as usize) {
            *place = ends;
        }
        !ends.contains(&UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::super::short::{merge_alone, Symbols};
    use super::super::starts::tests::config;
    use super::super::{Bpe, Scratch};
    use proptest::prelude::*;

    fn model(texts: &[String], is_listed_whole: bool) -> Bpe {
        Bpe::from_config(config(texts.iter().map(|text| text.clone().into_bytes()), is_listed_whole), true).unwrap()
    }

    fn joined(model: &Bpe, piece: &str) -> Symbols {
        let pairs = model.pairs(0).unwrap();
        let mut symbols = Symbols::default();
        assert!(pairs.starts().unwrap().push_all(piece, pairs, &mut symbols));
        assert!(symbols.join(pairs));
        symbols
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn what_is_joined_would_be_merged(
            texts in proptest::collection::vec("[abc é]{2,5}", 1..40),
            pieces in proptest::collection::vec("[abc é]{1,15}", 1..20),
            is_listed_whole in any::<bool>(),
        ) {
            let model = model(&texts, is_listed_whole);
            for piece in &pieces {
                let (mut merged, mut by_rule) = (Vec::new(), Vec::new());
                merge_alone(&joined(&model, piece), model.pairs(0).unwrap(), &mut merged);
                model.tokenize(piece, 0, &mut Scratch::default(), &mut by_rule).unwrap();
                prop_assert_eq!(merged, by_rule);
            }
        }
    }

    #[test]
    fn a_pair_is_joined_where_no_earlier_merge_can_take_a_part_of_it() {
        let texts = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect::<Vec<_>>();
        let ids = |texts_of: &[&str], piece: &str| {
            let model = model(&texts(texts_of), false);
            joined(&model, piece).as_slice().iter().map(|&number| model.pairs(0).unwrap().id(number)).collect::<Vec<_>>()
        };
        let byte = |byte: u8| u32::from(byte);
        // `th` comes before ` t` and before `he`; both are sure, side by side and with others.
        assert_eq!(ids(&["th", "he", " t"], " the th"), [byte(b' '), 256, byte(b'e'), byte(b' '), 256]);
        // ` t` comes first, so what becomes of `h` is not sure here, though it is known in the end.
        assert_eq!(ids(&[" t", "th", "he"], " the"), [256, byte(b'h'), byte(b'e')]);
        // A token that ends with `a`, as `xa` does, may take `t` before `h` can.
        assert_eq!(ids(&["xa", "xat", "th"], "ath"), [byte(b'a'), byte(b't'), byte(b'h')]);
        assert_eq!(ids(&["xa", "th", "xat"], "ath"), [byte(b'a'), 257]);
        // Of equal pairs that share a symbol none is sure.
        assert_eq!(ids(&["aa"], "aaa"), [byte(b'a'); 3]);
        assert_eq!(ids(&["aa"], "aa"), [256]);
    }
}
