//! The rules of the patterns that tell letters, numbers, white space and the rest apart, for a block of bits at once.
//!
//! `previous(x, carry)` are the bytes after one of x. All bytes of a character have the bits of its class, so a character of the
//! same class as the one before it needs no look at where it begins.

use super::blocks::{Block, Blocks};
use super::classes::kind::{BLANK, LETTER, NUMBER, SPACE};
use super::scalar::{any_case_contraction, contraction, Bloom, Cl100k, Gpt2};

/// The bytes after those of `bits`, and the first byte if `carry`.
#[inline(always)]
pub(super) fn previous(bits: u64, carry: u64) -> u64 {
    bits << 1 | carry
}

/// What GPT-2's pattern tells the next block: the classes of the last character, and what an apostrophe near the end decided.
#[derive(Default)]
pub(super) struct Gpt2Carry {
    letter: u64,
    number: u64,
    space: u64,
    other: u64,
    blank: u64,
    starts: u64,
    joined: u64,
}

impl<const ISOLATED_NUMBERS: bool> Blocks for Gpt2<ISOLATED_NUMBERS> {
    type Carry = Gpt2Carry;

    #[inline(always)]
    fn starts<const WIDE: bool>(block: &Block<'_, WIDE>, carry: &mut Gpt2Carry) -> Option<u64> {
        let ascii = &block.ascii;
        let letter = ascii.letter | block.wide(LETTER);
        let number = ascii.digit | block.wide(NUMBER);
        let space = ascii.space | block.wide(BLANK);
        let other = !(letter | number | space);
        let after_space = previous(space, carry.space);
        let after_blank = previous(ascii.blank, carry.blank);
        let mut joined = (letter & previous(letter, carry.letter)) | (other & previous(other, carry.other)) | (space & after_space);
        // White space before what is none loses its last character, but to an isolated number.
        let (run, stops) = if ISOLATED_NUMBERS { (space | number, SPACE | NUMBER) } else { (space, SPACE) };
        joined |= after_blank & !run;
        joined |= number & if ISOLATED_NUMBERS { block.continuation } else { previous(number, carry.number) };
        let ends = block.next == 0 || block.next & stops != 0;
        let last = block.firsts(space & !block.before(run, ends));
        let mut starts = !(joined | carry.joined) | (last & after_space) | carry.starts;
        (carry.starts, carry.joined) = (0, 0);

        let mut apostrophes = ascii.apostrophe & starts & block.before(letter, true);
        while apostrophes != 0 {
            let after = apostrophes.trailing_zeros() + 1;
            apostrophes &= apostrophes - 1;
            let length = contraction(block.text, block.start + after as usize) as u32;
            if length > 0 {
                carry.joined |= set(&mut starts, after, block.length(), false);
                carry.starts |= set(&mut starts, after + length, block.length(), true);
            }
        }
        carry.letter = block.carry(letter);
        carry.number = block.carry(number);
        carry.space = block.carry(space);
        carry.other = block.carry(other);
        carry.blank = block.carry(ascii.blank);
        Some(starts)
    }
}

/// Sets or clears bit `index`; returns the bit of the next block that it is instead.
#[inline(always)]
pub(super) fn set(bits: &mut u64, index: u32, length: u32, value: bool) -> u64 {
    if index >= length {
        return 1 << (index - length);
    }
    *bits = *bits & !(1 << index) | u64::from(value) << index;
    0
}

/// What cl100k's pattern tells the next block.
#[derive(Default)]
pub(super) struct Cl100kCarry {
    letter: u64,
    number: NumberCarry,
    other: u64,
    /// The last character joins a letter after it.
    prefix: u64,
    space: SpaceCarry,
    blank: u64,
    starts: u64,
}

impl<const DIGITS: usize, const MARKS: bool> Blocks for Cl100k<DIGITS, MARKS> {
    type Carry = Cl100kCarry;

    #[inline(always)]
    fn starts<const WIDE: bool>(block: &Block<'_, WIDE>, carry: &mut Cl100kCarry) -> Option<u64> {
        let ascii = &block.ascii;
        let letter = ascii.letter | block.wide(LETTER);
        let number = ascii.digit | block.wide(NUMBER);
        let space = ascii.space | block.wide(BLANK);
        let other = !(letter | number | space);
        let after_other = previous(other, carry.other);
        let first_other = other & !(after_other | previous(ascii.blank, carry.blank));
        let prefix = block.spread(first_other) | (space & !ascii.line_break);
        let first_letter = letter & !(previous(letter, carry.letter) | previous(prefix, carry.prefix));
        let attached = attached_breaks(block, after_other, &mut carry.space);
        let mut starts = carry.starts | first_other | first_letter;
        starts |= white_space(block, space, space, SPACE, after_other, attached, &mut carry.space);
        starts |= numbers(block, number, DIGITS, &mut carry.number);
        carry.starts = 0;

        let mut apostrophes = ascii.apostrophe & first_other & block.before(letter, true);
        while apostrophes != 0 {
            let after = apostrophes.trailing_zeros() + 1;
            apostrophes &= apostrophes - 1;
            let length = any_case_contraction(block.text, block.start + after as usize) as u32;
            if length > 0 {
                carry.starts |= set(&mut starts, after + length, block.length(), true);
            }
        }
        carry.letter = block.carry(letter);
        carry.other = block.carry(other);
        carry.prefix = block.carry(prefix);
        carry.blank = block.carry(ascii.blank);
        Some(starts)
    }
}

/// BLOOM's pattern tells the next block whether the last character is one that it matches, or a space.
#[derive(Default)]
pub(super) struct BloomCarry {
    letter: u64,
    blank: u64,
}

impl Blocks for Bloom {
    type Carry = BloomCarry;

    #[inline(always)]
    fn starts<const WIDE: bool>(block: &Block<'_, WIDE>, carry: &mut BloomCarry) -> Option<u64> {
        let ascii = &block.ascii;
        let letter = !(ascii.space | ascii.bloom_stop | ascii.high) | block.wide(LETTER);
        let after_letter = previous(letter, carry.letter);
        let before_letter = block.before(letter, block.next == LETTER);
        let first_letter = letter & !(after_letter | previous(ascii.blank, carry.blank));
        carry.letter = block.carry(letter);
        carry.blank = block.carry(ascii.blank);
        Some(first_letter | (!letter & after_letter) | (ascii.blank & before_letter))
    }
}

/// What white space tells the next block.
#[derive(Default)]
pub(super) struct SpaceCarry {
    space: u64,
    line_break: u64,
    /// A line break that belongs to the piece before it.
    attached: u64,
}

impl SpaceCarry {
    /// Whether the last character is a line break that belongs to the piece before it.
    #[inline(always)]
    pub(super) fn attached(&self) -> u64 {
        self.attached
    }
}

/// `[\r\n]*` after what `after_other` are the next bytes of: the line breaks that belong to the piece before them.
#[inline(always)]
pub(super) fn attached_breaks<const WIDE: bool>(block: &Block<'_, WIDE>, after_other: u64, carry: &mut SpaceCarry) -> u64 {
    let line_break = block.ascii.line_break;
    // The sum carries from the first line break to the end of their run.
    line_break & !line_break.wrapping_add(line_break & (after_other | carry.attached))
}

/// Where pieces begin in white space: `\s*[\r\n]+|\s+(?!\S)|\s+` after the line breaks that are `attached`.
///
/// The text ends for the pattern before what is in `run` and is no white space; `stops` is the same for the next character.
#[inline(always)]
pub(super) fn white_space<const WIDE: bool>(
    block: &Block<'_, WIDE>,
    space: u64,
    run: u64,
    stops: u8,
    after_other: u64,
    attached: u64,
    carry: &mut SpaceCarry,
) -> u64 {
    let line_break = block.ascii.line_break;
    let blank = space & !line_break;
    let after_space = previous(space, carry.space);
    let after_attached = previous(attached, carry.attached);
    let last = block.firsts(space & !block.before(run, block.next == 0 || block.next & stops != 0));
    let first = space & !after_space & !(line_break & after_other);
    let mut starts = first | (last & blank & after_space) | (blank & after_attached);
    let after_breaks = blank & previous(line_break, carry.line_break) & !after_attached;
    starts |= after_last_breaks(block, blank & block.valid(), after_breaks & block.valid());
    carry.space = block.carry(space);
    carry.line_break = block.carry(line_break);
    carry.attached = block.carry(attached);
    starts
}

/// Those of the blanks after line breaks which no line break follows in the same white space.
#[inline(always)]
fn after_last_breaks<const WIDE: bool>(block: &Block<'_, WIDE>, blank: u64, mut after_breaks: u64) -> u64 {
    // Each sum carries from the first blank to what follows the blanks.
    let (sum, overflow) = blank.overflowing_add(after_breaks);
    let followed = sum & !blank;
    let mut wrong = followed & block.ascii.line_break & block.valid();
    if overflow || followed & !block.valid() != 0 {
        let next = block.text.run(block.start + block.length() as usize, BLANK);
        if matches!(block.text.byte(next), b'\r' | b'\n') {
            after_breaks &= !(1 << (63 - after_breaks.leading_zeros()));
        }
    }
    while wrong != 0 {
        let below = after_breaks & ((1 << wrong.trailing_zeros()) - 1);
        wrong &= wrong - 1;
        after_breaks &= !(1 << (63 - below.leading_zeros()));
    }
    after_breaks
}

/// What numbers tell the next block.
#[derive(Default)]
pub(super) struct NumberCarry {
    number: u64,
    /// How many the group has that the last character is in; 0 if it is full.
    group: u32,
}

impl NumberCarry {
    /// Whether the last character is a number.
    #[inline(always)]
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

/// Where pieces of at most `most` (one or three) numbers begin.
#[inline(always)]
pub(super) fn numbers<const WIDE: bool>(block: &Block<'_, WIDE>, number: u64, most: usize, carry: &mut NumberCarry) -> u64 {
    let number = number & block.valid();
    if most == 1 {
        return number & !block.continuation;
    }
    // Up to three numbers of one byte each are one piece, if all are in this block.
    let four = number & number << 1 & number << 2 & number << 3;
    let wide = if WIDE { number & !block.ascii.digit } else { 0 };
    if four | wide | (number & carry.number) | block.carry(number) != 0 {
        return groups_of_three(block, number, carry);
    }
    carry.number = 0;
    number & !(number << 1)
}

/// The same for any numbers, one by one.
fn groups_of_three<const WIDE: bool>(block: &Block<'_, WIDE>, number: u64, carry: &mut NumberCarry) -> u64 {
    let first = number & !previous(number, carry.number);
    let mut rest = number & !block.continuation;
    let mut starts = 0;
    while rest != 0 {
        let bit = rest & rest.wrapping_neg();
        rest &= rest - 1;
        if first & bit != 0 || carry.group == 0 {
            starts |= bit;
            carry.group = 0;
        }
        carry.group = (carry.group + 1) % 3;
    }
    carry.number = block.carry(number);
    starts
}
