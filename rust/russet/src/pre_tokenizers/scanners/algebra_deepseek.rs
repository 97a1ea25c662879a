//! The rules of DeepSeek's three patterns for a block of bits at once.
//!
//! Numbers, and what is and what is not Chinese or kana, are texts of their own: nothing joins what is before it across a *turn*
//! from one to another. White space ends before them as before the end of the text.

use super::algebra::{attached_breaks, numbers, previous, white_space, NumberCarry, SpaceCarry};
use super::blocks::{Block, Blocks};
use super::classes::kind::{BLANK, CJK, LETTER, NUMBER, OTHER, SPACE, SYMBOL};
use super::scalar::DeepSeek;

/// What the patterns tell the next block.
#[derive(Default)]
pub(super) struct Carry {
    letter: u64,
    symbol: u64,
    other: u64,
    number: NumberCarry,
    cjk: u64,
    /// The last character joins a letter after it.
    prefix: u64,
    /// The last character joins an ASCII letter after it.
    ascii_prefix: u64,
    /// The last character belongs to ASCII letters after a symbol, which other letters do not join.
    ascii_word: u64,
    space: SpaceCarry,
    blank: u64,
}

impl Blocks for DeepSeek {
    type Carry = Carry;

    #[inline(always)]
    fn starts<const WIDE: bool>(block: &Block<'_, WIDE>, carry: &mut Carry) -> Option<u64> {
        let ascii = &block.ascii;
        let letter = ascii.letter | block.wide(LETTER);
        let number = ascii.digit | block.wide(NUMBER);
        let space = ascii.space | block.wide(BLANK);
        let ascii_symbol = !(ascii.letter | ascii.digit | ascii.space | ascii.control | ascii.high);
        let symbol = ascii_symbol | block.wide(SYMBOL);
        let other = (ascii.control & !ascii.space) | block.wide(OTHER);
        let cjk = block.wide(CJK);
        let turn = (cjk ^ previous(cjk, carry.cjk)) | (number ^ previous(number, carry.number.number()));

        let after_symbol = previous(symbol, carry.symbol) & !turn;
        let first_symbol = symbol & !(after_symbol | (previous(ascii.blank, carry.blank) & !turn));
        let attached = attached_breaks(block, after_symbol, &mut carry.space);
        let run = space | number | cjk;
        let mut starts = turn | first_symbol;
        starts |= white_space(block, space, run, SPACE | NUMBER | CJK, after_symbol, attached, &mut carry.space);
        starts |= numbers(block, number, 3, &mut carry.number);

        let ascii_prefix = first_symbol & ascii_symbol;
        let first_ascii = ascii.letter & (previous(ascii_prefix, carry.ascii_prefix) | carry.ascii_word);
        let ascii_word = ascii.letter & !ascii.letter.wrapping_add(first_ascii);
        let prefix = other | (space & !ascii.line_break);
        let joined = (previous(letter, carry.letter) | previous(prefix, carry.prefix)) & !turn;
        starts |= letter & !(joined | first_ascii);
        starts |= letter & !ascii.letter & previous(ascii_word, carry.ascii_word);

        // What no pattern matches, but for the last before a letter.
        let after_other = previous(other, carry.other) & !turn;
        let same_text = block.next & NUMBER == 0 && u64::from(block.next & CJK != 0) == block.carry(cjk);
        let before_letter = block.before(letter & !turn, block.next & LETTER != 0 && same_text);
        starts |= other & !after_other;
        starts |= block.firsts(other & before_letter) & after_other;

        carry.letter = block.carry(letter);
        carry.symbol = block.carry(symbol);
        carry.other = block.carry(other);
        carry.cjk = block.carry(cjk);
        carry.prefix = block.carry(prefix);
        carry.ascii_prefix = block.carry(ascii_prefix);
        carry.ascii_word = block.carry(ascii_word);
        carry.blank = block.carry(ascii.blank);
        Some(starts)
    }
}
