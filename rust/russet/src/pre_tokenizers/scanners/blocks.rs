//! Scanning 64 bytes at a time: a bit for each byte and class, and shifts and sums of those bits for the rules of a pattern.
//!
//! [`Lanes`] (of AVX2, AVX-512, NEON) make the bits of ASCII; the characters beyond it are looked up one by one and their kinds
//! turned into bits by the same. A [`Blocks`] pattern makes of them the bits of the bytes where pieces begin: an ASCII
//! class that goes on is `class & class << 1`, a run is followed to its end by the carry of an addition. What reaches from one
//! block into the next is in the pattern's `Carry`; a block never ends inside a character. A block that holds something rare
//! that the pattern's algebra leaves out is scanned by the scalar function instead, from the start of its first piece.
//!
//! O(n), a fraction of a nanosecond for each byte of ASCII, about one for each other character. For texts of a few bytes it is no
//! faster than the scalar way.

use super::classes::{
    class_of_head, row_of_classes, wide_class, ClassMap, Kinds, HAN, HANGUL, HANGUL_CLASS, HAN_CLASS, KANA, KANA_CLASS, KANA_LEAD,
};
use super::scalar::{self, Pattern};
use std::marker::PhantomData;

/// The bytes of a block, and after them what a look-up of the last character may read.
pub(super) type Bytes = [u8; BYTES];
pub(super) const BYTES: usize = BYTES_LOADED + 8;
/// The length of a block.
pub(super) const BYTES_LOADED: usize = 64;

/// The classes of the ASCII characters in a block, a bit for each byte.
#[derive(Clone, Copy)]
pub(super) struct Ascii {
    /// Not ASCII.
    pub(super) high: u64,
    pub(super) letter: u64,
    pub(super) upper: u64,
    pub(super) digit: u64,
    /// White space.
    pub(super) space: u64,
    /// Carriage return, line feed.
    pub(super) line_break: u64,
    /// U+0020.
    pub(super) blank: u64,
    pub(super) apostrophe: u64,
    pub(super) slash: u64,
    /// Below U+0020, and U+007F.
    pub(super) control: u64,
    /// `[.,!?(|)]`.
    pub(super) bloom_stop: u64,
}

/// What works on 64 bytes at once. A value is the proof that the processor can.
pub(super) trait Lanes: Copy {
    /// 64 bytes.
    type Vector: Copy;
    /// 64 truth values.
    type Mask: Copy;

    /// 64 bytes from `offset` on, which is at most 8.
    fn load(self, block: &Bytes, offset: usize) -> Self::Vector;
    fn splat(self, byte: u8) -> Self::Vector;
    fn or(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn both(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    fn either(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// The bytes where `mask` is true, zero elsewhere.
    fn choose(self, bytes: Self::Vector, mask: Self::Mask) -> Self::Vector;
    fn equal(self, bytes: Self::Vector, byte: u8) -> Self::Mask;
    /// Whether each byte is in `first..=last`.
    fn within(self, bytes: Self::Vector, first: u8, last: u8) -> Self::Mask;
    /// For each byte the entry of `table` at its low six bits.
    fn look_up_64(self, indices: Self::Vector, table: &[u8; 64]) -> Self::Vector;
    /// For each byte, which is below 32, the entry of `table`.
    fn look_up_32(self, indices: Self::Vector, table: &[u8; 32]) -> Self::Vector;
    fn bits(self, mask: Self::Mask) -> u64;
    /// For each bit of a byte the bits of the bytes that have it.
    fn planes(self, bytes: Self::Vector) -> [u64; 8];
    /// Appends `base` + the number of each bit set.
    fn push(self, bits: u64, base: u32, ends: &mut Vec<u32>);
}

/// Makes the bits of the ASCII characters. A pattern uses some of them; the compiler leaves out the others.
#[inline(always)]
fn ascii<L: Lanes>(lanes: L, block: &Bytes) -> Ascii {
    let bytes = lanes.load(block, 0);
    // No closures: they would be compiled without the instructions of the level.
    let blank = lanes.equal(bytes, b' ');
    let periods = lanes.either(lanes.equal(bytes, b'.'), lanes.equal(bytes, b','));
    let ends = lanes.either(lanes.equal(bytes, b'!'), lanes.equal(bytes, b'?'));
    let bars = lanes.either(lanes.within(bytes, b'(', b')'), lanes.equal(bytes, b'|'));
    Ascii {
        high: lanes.bits(lanes.within(bytes, 0x80, 0xFF)),
        letter: lanes.bits(lanes.within(lanes.or(bytes, lanes.splat(0x20)), b'a', b'z')),
        upper: lanes.bits(lanes.within(bytes, b'A', b'Z')),
        digit: lanes.bits(lanes.within(bytes, b'0', b'9')),
        space: lanes.bits(lanes.either(lanes.within(bytes, b'\t', b'\r'), blank)),
        line_break: lanes.bits(lanes.either(lanes.equal(bytes, b'\n'), lanes.equal(bytes, b'\r'))),
        blank: lanes.bits(blank),
        apostrophe: lanes.bits(lanes.equal(bytes, b'\'')),
        slash: lanes.bits(lanes.equal(bytes, b'/')),
        control: lanes.bits(lanes.either(lanes.within(bytes, 0, 0x1F), lanes.equal(bytes, 0x7F))),
        bloom_stop: lanes.bits(lanes.either(lanes.either(periods, ends), bars)),
    }
}

/// The bits of a block: with `WIDE` of any, else of 64 characters of ASCII.
pub(super) struct Block<'t, const WIDE: bool> {
    /// The whole text.
    pub(super) text: Kinds<'t>,
    /// Where the block begins.
    pub(super) start: usize,
    /// Its length: 64 but where the next character would not fit, and at the end of the text.
    length: u32,
    pub(super) ascii: Ascii,
    /// All bytes but the first of each character.
    pub(super) continuation: u64,
    /// For each kind the first bytes of the characters beyond ASCII that have it.
    planes: [u64; 8],
    /// The kind of the character after the block; 0 if there is none.
    pub(super) next: u8,
}

impl<const WIDE: bool> Block<'_, WIDE> {
    #[inline(always)]
    pub(super) fn length(&self) -> u32 {
        if WIDE {
            self.length
        } else {
            64
        }
    }

    /// The bytes of the characters beyond ASCII of `kind`, which is one bit.
    #[inline(always)]
    pub(super) fn wide(&self, kind: u8) -> u64 {
        if WIDE {
            self.spread(self.planes[kind.trailing_zeros() as usize])
        } else {
            0
        }
    }

    /// All bytes of the characters of which the first is given.
    #[inline(always)]
    pub(super) fn spread(&self, firsts: u64) -> u64 {
        if !WIDE {
            return firsts;
        }
        // The sum carries through the other bytes of the character.
        let carried = self.continuation.wrapping_add(firsts << 1 & self.continuation);
        firsts | (self.continuation & !carried)
    }

    /// The first bytes of the characters of which the last is given.
    #[inline(always)]
    pub(super) fn firsts(&self, mut lasts: u64) -> u64 {
        if WIDE {
            for _ in 0..3 {
                lasts = (lasts & !self.continuation) | (lasts & self.continuation) >> 1;
            }
        }
        lasts
    }

    /// The bits of the block.
    #[inline(always)]
    pub(super) fn valid(&self) -> u64 {
        u64::MAX >> (64 - self.length())
    }

    /// The bit of the last byte, at the place of the first.
    #[inline(always)]
    pub(super) fn carry(&self, bits: u64) -> u64 {
        bits >> (self.length() - 1) & 1
    }

    /// The bytes that are followed by one of `bits`, or at the end of the block by a character of which `next` is true.
    #[inline(always)]
    pub(super) fn before(&self, bits: u64, next: bool) -> u64 {
        (bits & self.valid()) >> 1 | u64::from(next) << (self.length() - 1)
    }
}

/// Work that is done with what the processor has.
pub(super) trait Job {
    fn with_lanes<L: Lanes>(self, lanes: L) -> usize;
    fn without(self) -> usize;
}

/// A pattern that has its rules for blocks.
pub(super) trait Blocks: Pattern {
    /// What a block tells the next. The default is what is told at the start of a piece: that nothing is before it.
    type Carry: Default;

    /// The bytes where pieces begin, the first byte of the text (or of the piece that was resumed) being one; bits beyond the
    /// block do not matter. `None` for a block that is left to the scalar scanner.
    fn starts<const WIDE: bool>(block: &Block<'_, WIDE>, carry: &mut Self::Carry) -> Option<u64>;
}

/// The bytes of the first block of `text`; at its end zeros come after it, and then the bytes are in `buffer`.
#[inline(always)]
pub(super) fn first_bytes<'t>(text: &'t [u8], buffer: &'t mut Bytes) -> &'t Bytes {
    match text.first_chunk() {
        Some(bytes) => bytes,
        None => {
            buffer[..text.len()].copy_from_slice(text);
            buffer
        }
    }
}

/// The arguments of [`Scanner::scan`](super::Scanner::scan).
pub(super) struct Scan<'t, P> {
    pub(super) text: &'t str,
    pub(super) start: usize,
    pub(super) pieces: usize,
    pub(super) ends: &'t mut Vec<u32>,
    pub(super) pattern: PhantomData<P>,
}

impl<P: Blocks> Job for Scan<'_, P> {
    #[inline(always)]
    fn with_lanes<L: Lanes>(self, lanes: L) -> usize {
        scan::<L, P>(lanes, self.text, self.start, self.pieces, self.ends)
    }

    #[inline(always)]
    fn without(self) -> usize {
        scalar::scan::<P>(self.text, self.start, self.pieces, self.ends)
    }
}

#[inline(always)]
fn scan<L: Lanes, P: Blocks>(lanes: L, text: &str, start: usize, pieces: usize, ends: &mut Vec<u32>) -> usize {
    let kinds = Kinds { text: text.as_bytes(), map: P::MAP };
    let first_end = ends.len();
    let wanted = first_end.saturating_add(pieces);
    let mut position = start;
    // 1 where the first byte of the block is where scanning began or was resumed, which is known as an end already.
    let mut resumed = 1;
    let mut carry = P::Carry::default();
    while position < text.len() && ends.len() < wanted {
        let rest = &kinds.text[position..];
        let whole = rest.first_chunk().map(|bytes| (bytes, ascii(lanes, bytes)));
        let (starts, length) = match whole {
            Some((_, ascii)) if ascii.high == 0 => {
                let next = kinds.at(position + 64).0;
                let block =
                    Block::<false> { text: kinds, start: position, length: 64, ascii, continuation: 0, planes: [0; 8], next };
                (P::starts(&block, &mut carry), 64)
            }
            Some((bytes, ascii)) => any_starts::<L, P>(lanes, kinds, position, bytes, ascii, &mut carry),
            None => {
                let mut bytes = [0; BYTES];
                bytes[..rest.len()].copy_from_slice(rest);
                let ascii = ascii(lanes, &bytes);
                any_starts::<L, P>(lanes, kinds, position, &bytes, ascii, &mut carry)
            }
        };
        let block_end = position + length as usize;
        if let Some(starts) = starts {
            lanes.push(starts & (u64::MAX >> (64 - length)) & !resumed, position as u32, ends);
            position = block_end;
            resumed = 0;
            continue;
        }
        position = if ends.len() > first_end { ends[ends.len() - 1] as usize } else { start };
        while position < block_end {
            position = P::end(kinds, position);
            ends.push(position as u32);
        }
        resumed = 1;
        carry = P::Carry::default();
    }
    let last_end = if ends.len() > first_end { ends[ends.len() - 1] as usize } else { start };
    if position < text.len() || last_end == text.len() {
        return last_end;
    }
    ends.push(position as u32);
    position
}

/// Where pieces begin in a block of any characters, and its length.
#[inline(always)]
fn any_starts<L: Lanes, P: Blocks>(
    lanes: L,
    text: Kinds<'_>,
    start: usize,
    bytes: &Bytes,
    ascii: Ascii,
    carry: &mut P::Carry,
) -> (Option<u64>, u32) {
    let length = (text.text.len() - start).min(64) as u32;
    let mut block = Block::<true> { text, start, length, ascii, continuation: 0, planes: [0; 8], next: 0 };
    look_up(lanes, bytes, P::MAP, &mut block);
    block.next = text.at(start + block.length as usize).0;
    (P::starts(&block, carry), block.length)
}

/// Up to how many characters beyond ASCII are looked up one by one.
const FEW: u32 = 3;
/// How many rows of 64 characters are looked up at once before the rest is looked up one by one.
const MOST_ROWS: usize = 8;

/// Which characters begin with two bytes between these, the first bytes being at least two apart.
#[inline(always)]
fn in_range<L: Lanes>(lanes: L, first: L::Vector, second: L::Vector, [low, high]: [[u8; 2]; 2]) -> L::Mask {
    let inside = lanes.within(first, low[0] + 1, high[0] - 1);
    let lowest = lanes.both(lanes.equal(first, low[0]), lanes.within(second, low[1], 0xBF));
    let highest = lanes.both(lanes.equal(first, high[0]), lanes.within(second, 0x80, high[1]));
    lanes.either(inside, lanes.either(lowest, highest))
}

/// Which characters have the second byte `row` and a third from `low` to `high`.
#[inline(always)]
fn in_row<L: Lanes>(lanes: L, second: L::Vector, third: L::Vector, [row, low, high]: [u8; 3]) -> L::Mask {
    lanes.both(lanes.equal(second, row), lanes.within(third, low, high))
}

/// The class of the character that begins at `index`.
#[inline(always)]
fn class_at(bytes: &Bytes, index: usize) -> u8 {
    let head = u32::from_le_bytes([bytes[index], bytes[index + 1], bytes[index + 2], bytes[index + 3]]);
    if head & 0xF0 == 0xF0 {
        wide_class(bytes, index).0
    } else {
        class_of_head(head)
    }
}

/// For each kind which of the characters that begin at `firsts` have it, one character after the other.
#[inline(always)]
fn look_up_few(bytes: &Bytes, map: &ClassMap, mut firsts: u64) -> [u64; 8] {
    let mut planes = [0; 8];
    while firsts != 0 {
        let index = firsts.trailing_zeros() as usize % 64;
        firsts &= firsts - 1;
        let kind = u64::from(map.wide[usize::from(class_at(bytes, index) % 32)]);
        for (bit, plane) in planes.iter_mut().enumerate() {
            *plane |= (kind >> bit & 1) << index;
        }
    }
    planes
}

/// Finds where the block has to end, and the kinds of its characters beyond ASCII.
///
/// A text has most of its characters from a few rows of 64, those that all but their last byte have in common: such a row is
/// looked up for the whole block at once. Chinese, Hangul and kana, which have many rows, are ranges.
#[inline(always)]
fn look_up<L: Lanes>(lanes: L, bytes: &Bytes, map: &ClassMap, block: &mut Block<'_, true>) {
    let first = lanes.load(bytes, 0);
    block.continuation = lanes.bits(lanes.within(first, 0x80, 0xBF));
    let four = lanes.bits(lanes.within(first, 0xF0, 0xFF));
    let three = lanes.bits(lanes.within(first, 0xE0, 0xFF));
    let firsts = block.ascii.high & !block.continuation;
    let cut = (firsts & 1 << 63) | (three & 3 << 62) | (four & 7 << 61);
    if cut != 0 {
        block.length = cut.trailing_zeros();
    }
    let firsts = firsts & block.valid();
    if firsts.count_ones() <= FEW {
        block.planes = look_up_few(bytes, map, firsts);
        return;
    }
    let mut rest = firsts & !four;
    let mut classes = lanes.splat(0);
    if rest.count_ones() > FEW {
        let second = lanes.load(bytes, 1);
        let third = lanes.load(bytes, 2);
        for (range, class) in [(HAN, HAN_CLASS), (HANGUL, HANGUL_CLASS)] {
            if lanes.bits(lanes.within(first, range[0][0], range[1][0])) & rest != 0 {
                let found = in_range(lanes, first, second, range);
                classes = lanes.or(classes, lanes.choose(lanes.splat(class), found));
                rest &= !lanes.bits(found);
            }
        }
        let kana_leads = lanes.equal(first, KANA_LEAD);
        if (lanes.bits(kana_leads) & rest).count_ones() > FEW {
            let hiragana = lanes.either(in_row(lanes, second, third, KANA[0]), in_row(lanes, second, third, KANA[1]));
            let katakana = lanes.either(in_row(lanes, second, third, KANA[2]), in_row(lanes, second, third, KANA[3]));
            let found = lanes.both(kana_leads, lanes.either(hiragana, katakana));
            classes = lanes.or(classes, lanes.choose(lanes.splat(KANA_CLASS), found));
            rest &= !lanes.bits(found);
        }
        for _ in 0..MOST_ROWS {
            if rest.count_ones() <= FEW {
                break;
            }
            let index = rest.trailing_zeros() as usize % 64;
            let mut row = lanes.equal(first, bytes[index]);
            let mut last = second;
            if bytes[index] >= 0xE0 {
                row = lanes.both(row, lanes.equal(second, bytes[index + 1]));
                last = third;
            }
            let found = lanes.look_up_64(last, row_of_classes(bytes[index], bytes[index + 1]));
            classes = lanes.or(classes, lanes.choose(found, row));
            rest &= !lanes.bits(row);
        }
    }
    rest |= firsts & four;
    if rest != 0 {
        let mut single = [0; BYTES];
        while rest != 0 {
            let index = rest.trailing_zeros() as usize % 64;
            rest &= rest - 1;
            single[index] = class_at(bytes, index);
        }
        classes = lanes.or(classes, lanes.load(&single, 0));
    }
    block.planes = lanes.planes(lanes.look_up_32(classes, &map.wide));
    // What is no first byte has class 0, and a kind.
    for plane in &mut block.planes {
        *plane &= firsts;
    }
}
