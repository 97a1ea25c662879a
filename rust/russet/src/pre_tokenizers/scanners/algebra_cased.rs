//! The rules of o200k and its relatives, where case decides: `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`.
//!
//! Letters of neither case and marks may stand for both. After a small letter they count as small, so a capital after them begins
//! a piece; else they count as capitals, unless no small letter comes before the word ends: then the last of them ends its piece.

use super::algebra::{attached_breaks, numbers, previous, set, white_space, NumberCarry, SpaceCarry};
use super::blocks::{Block, Blocks};
use super::classes::kind::{BLANK, LETTER, LOWER, MARK, NUMBER, SPACE, UPPER};
use super::scalar::{any_case_contraction, is_word, Cased, O200kLike};

/// What the pattern tells the next block.
#[derive(Default)]
pub(super) struct Carry {
    word: u64,
    /// The last character is a small letter, or counts as one.
    lowered: u64,
    /// The last character may stand for both and does not count as small.
    open: u64,
    number: NumberCarry,
    /// The last character is Chinese and no letter therefore.
    han: u64,
    other: u64,
    /// The last character is none of the others, and a mark after it belongs to its piece.
    closed: u64,
    /// The last character joins a letter after it.
    prefix: u64,
    space: SpaceCarry,
    blank: u64,
    starts: u64,
    joined: u64,
    /// Where a contraction ended: no other can follow.
    after_contraction: u64,
}

impl<C: Cased> Blocks for O200kLike<C> {
    type Carry = Carry;

    #[inline(always)]
    fn starts<const WIDE: bool>(block: &Block<'_, WIDE>, carry: &mut Carry) -> Option<u64> {
        let ascii = &block.ascii;
        let [wide_upper, wide_lower] = [block.wide(UPPER), block.wide(LOWER)];
        let han = if C::HAN { wide_upper & wide_lower } else { 0 };
        let upper = ascii.upper | (wide_upper & !han);
        let lower = (ascii.letter & !ascii.upper) | (wide_lower & !han);
        let mark = block.wide(MARK);
        let letter = block.wide(LETTER);
        if C::HAN && han & !letter & block.valid() != 0 {
            return None;
        }
        let word = ascii.letter | (letter & !han) | mark;
        let number = ascii.digit | block.wide(NUMBER);
        let space = ascii.space | block.wide(BLANK);
        let mut other = !(word | number | space | han);

        // `[\r\n/]*` after what is none of the others: of the slashes there only those that no line break follows.
        let after_other = previous(other, carry.other);
        let attached = attached_breaks(block, after_other, &mut carry.space);
        let slash = ascii.slash & previous(attached, carry.space.attached()) & block.valid();
        if C::SLASHES && slash != 0 {
            let slashes = ascii.slash & !ascii.slash.wrapping_add(slash);
            if ascii.line_break & previous(slashes, 0) != 0 || block.carry(slashes) != 0 {
                return None;
            }
            other &= !slashes;
        }

        let after_blank = previous(ascii.blank, carry.blank);
        let first_other = other & !(previous(other, carry.other) | after_blank);
        let opener = block.spread(first_other);
        let closed = other & !opener;
        if WIDE && mark & previous(closed, carry.closed) & block.valid() != 0 {
            return None;
        }
        let prefix = opener | (space & !ascii.line_break);
        let mut starts = first_other | (word & !(previous(word, carry.word) | previous(prefix, carry.prefix)));
        starts |= white_space(block, space, space, SPACE, after_other, attached, &mut carry.space);
        let first_number = numbers(block, number, C::DIGITS, &mut carry.number);
        starts |= if C::SPACED { first_number & !after_blank } else { first_number };

        if C::HAN {
            starts |= han & !previous(han, carry.han);
            carry.han = block.carry(han);
        }

        let (mut lowered, mut open) = (lower, 0);
        if WIDE {
            let both = word & !(upper | lower);
            let counted = both & !both.wrapping_add(both & previous(lower, carry.lowered));
            lowered |= counted;
            open = both & !counted;
            let mut undecided = upper & previous(open, carry.open) & block.valid();
            while undecided != 0 {
                let bit = undecided & undecided.wrapping_neg();
                undecided &= undecided - 1;
                if !small_letter_follows::<C, WIDE>(block, upper, word, bit.trailing_zeros()) {
                    starts |= bit;
                }
            }
        } else if upper & carry.open != 0 && !small_letter_follows::<C, WIDE>(block, upper, word, 0) {
            starts |= 1;
        }
        starts |= upper & previous(lowered, carry.lowered);
        starts = starts & !carry.joined | carry.starts;
        (carry.starts, carry.joined) = (0, 0);

        if C::CONTRACTIONS {
            let mut after_contraction = carry.after_contraction;
            carry.after_contraction = 0;
            let mut apostrophes = ascii.apostrophe & previous(word, carry.word) & block.before(word, true);
            while apostrophes != 0 {
                let bit = apostrophes & apostrophes.wrapping_neg();
                let after = apostrophes.trailing_zeros() + 1;
                apostrophes &= apostrophes - 1;
                let length = any_case_contraction(block.text, block.start + after as usize) as u32;
                if length == 0 || after_contraction & bit != 0 {
                    continue;
                }
                let end = after + length;
                // A word after it begins anew, which the bits of small letters do not know.
                let next = block.text.at(block.start + end as usize).0;
                if next & (LETTER | MARK) != 0 && next & (UPPER | LOWER) == 0 {
                    return None;
                }
                for index in after - 1..end {
                    carry.joined |= set(&mut starts, index, block.length(), false);
                }
                carry.starts |= set(&mut starts, end, block.length(), true);
                carry.after_contraction |= set(&mut after_contraction, end, block.length(), true);
            }
        }
        carry.word = block.carry(word);
        carry.lowered = block.carry(lowered);
        carry.open = block.carry(open);
        carry.other = block.carry(other);
        carry.closed = block.carry(closed);
        carry.prefix = block.carry(prefix);
        carry.blank = block.carry(ascii.blank);
        Some(starts)
    }
}

/// Whether the capitals from `index` on are followed by more of the word.
#[inline(always)]
fn small_letter_follows<C: Cased, const WIDE: bool>(block: &Block<'_, WIDE>, upper: u64, word: u64, index: u32) -> bool {
    let end = index + (upper >> index).trailing_ones();
    if end < block.length() {
        return word >> end & 1 != 0;
    }
    let mut end = block.start + block.length() as usize;
    loop {
        let (kind, next) = block.text.at(end);
        if kind & (UPPER | LOWER) != UPPER {
            return is_word::<C>(kind);
        }
        end = next;
    }
}
