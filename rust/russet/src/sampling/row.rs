//! One row of logits: what the model gave, and over it what was changed.
//!
//! A row is cut into blocks of 64 logits. A block that is changed is copied into the [`Overlay`] first; the model's own memory is
//! only read. So a penalty on 500 ids costs 500 blocks at most, not a copy of the vocabulary, and everything behind reads one kind
//! of block. The last block is always a copy, filled up with minus infinity.
//!
//! O(1) to make for the logits, O(V / 64) for the table of blocks. A change of every logit copies the row: then this is no better
//! than a plain copy.

use super::kernels;
use crate::lanes::{Brain, Element, Half};
use crate::simd::Level;

/// Logits in a block.
pub(crate) const BLOCK: usize = 64;

/// The logits of one row as they lie in memory, by id.
#[derive(Clone, Copy, Debug)]
pub enum Logits<'a> {
    /// Of 32 bits.
    F32(&'a [f32]),
    /// Of 16 bits, IEEE 754.
    F16(&'a [Half]),
    /// Of 16 bits, bfloat16.
    Bf16(&'a [Brain]),
}

/// Does the same with whatever elements there are.
macro_rules! with_elements {
    ($logits:expr, $elements:ident => $body:expr) => {
        match $logits {
            $crate::sampling::row::Logits::F32($elements) => $body,
            $crate::sampling::row::Logits::F16($elements) => $body,
            $crate::sampling::row::Logits::Bf16($elements) => $body,
        }
    };
}
pub(crate) use with_elements;

impl Logits<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        with_elements!(self, elements => elements.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The logit of an id, as a number of 32 bits.
    pub fn get(&self, id: usize) -> Option<f32> {
        with_elements!(self, elements => elements.get(id).map(|element| element.value()))
    }
}

/// In the overlay's table: the block is the model's.
const UNCHANGED: u32 = 0;
/// In the overlay's table: every logit of the block is minus infinity.
const EXCLUDED: u32 = 1;

/// The blocks that were changed. Kept between rows for its memory.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    /// For each block [`UNCHANGED`], or one more than its place in `blocks`.
    table: Vec<u32>,
    blocks: Vec<[f32; BLOCK]>,
}

impl Overlay {
    /// How many blocks the row has.
    pub(crate) fn blocks(&self) -> usize {
        self.table.len()
    }

    /// A changed block.
    #[inline(always)]
    pub(crate) fn block(&self, block: usize) -> Option<&[f32; BLOCK]> {
        match self.table[block] {
            UNCHANGED => None,
            place => Some(&self.blocks[place as usize - 1]),
        }
    }
}

/// A row of logits that can be changed.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    logits: Logits<'a>,
    overlay: &'a mut Overlay,
    level: Level,
}

impl<'a> Row<'a> {
    pub(crate) fn new(logits: Logits<'a>, overlay: &'a mut Overlay, level: Level) -> Self {
        let whole = logits.len() / BLOCK;
        overlay.table.clear();
        overlay.table.resize(logits.len().div_ceil(BLOCK), UNCHANGED);
        overlay.blocks.clear();
        overlay.blocks.push([f32::NEG_INFINITY; BLOCK]);
        let mut row = Self { logits, overlay, level };
        if whole < row.overlay.table.len() {
            row.block_mut(whole);
        }
        row
    }

    pub(crate) fn len(&self) -> usize {
        self.logits.len()
    }

    pub(crate) fn blocks(&self) -> usize {
        self.overlay.table.len()
    }

    pub(crate) fn logits(&self) -> Logits<'a> {
        self.logits
    }

    pub(crate) fn overlay(&self) -> &Overlay {
        self.overlay
    }

    /// The logit of an id of the row.
    pub(crate) fn get(&self, id: usize) -> f32 {
        match self.overlay.block(id / BLOCK) {
            Some(block) => block[id % BLOCK],
            None => self.logits.get(id).unwrap_or(f32::NEG_INFINITY),
        }
    }

    /// Changes the logit of an id; of ids outside of the row nothing.
    pub(crate) fn update(&mut self, id: usize, change: impl FnOnce(f32) -> f32) {
        if id < self.len() {
            let logit = &mut self.block_mut(id / BLOCK)[id % BLOCK];
            *logit = change(*logit);
        }
    }

    /// Takes an id out of the choice.
    pub(crate) fn exclude(&mut self, id: usize) {
        self.update(id, |_| f32::NEG_INFINITY);
    }

    /// A block to be changed.
    pub(crate) fn block_mut(&mut self, block: usize) -> &mut [f32; BLOCK] {
        let Overlay { table, blocks } = &mut *self.overlay;
        if table[block] <= EXCLUDED {
            let excluded = table[block] == EXCLUDED;
            with_elements!(self.logits, elements => match elements.as_chunks::<BLOCK>().0.get(block) {
                Some(_) if excluded => blocks.push([f32::NEG_INFINITY; BLOCK]),
                Some(whole) => match Element::of_32_bits(whole) {
                    Some(copy) => blocks.extend_from_slice(std::slice::from_ref(copy)),
                    None => blocks.push(kernels::widen(self.level, whole)),
                },
                None => {
                    blocks.push([f32::NEG_INFINITY; BLOCK]);
                    if let (false, Some(copy)) = (excluded, blocks.last_mut()) {
                        copy.iter_mut().zip(&elements[block * BLOCK..]).for_each(|(to, from)| *to = from.value());
                    }
                }
            });
            table[block] = blocks.len() as u32;
        }
        &mut blocks[table[block] as usize - 1]
    }

    /// Takes all ids of a block out.
    pub(crate) fn exclude_block(&mut self, block: usize) {
        self.overlay.table[block] = EXCLUDED;
    }

    /// Takes all ids out, but those that `keep` gives with their logits, ids outside of the row apart.
    pub(crate) fn keep_only(&mut self, keep: impl Iterator<Item = (usize, f32)> + Clone) {
        (0..self.blocks()).for_each(|block| self.exclude_block(block));
        for (id, logit) in keep {
            self.update(id, |_| logit);
        }
    }

    /// Takes the ids out whose bits are not set: of id `i` bit `i % 64` of word `i / 64`; those past the words' end are not set.
    pub(crate) fn keep_bits(&mut self, words: &[u64]) {
        for block in 0..self.blocks() {
            match words.get(block).copied().unwrap_or_default() {
                0 => self.exclude_block(block),
                u64::MAX => {}
                word => {
                    for (bit, logit) in self.block_mut(block).iter_mut().enumerate() {
                        if word >> bit & 1 == 0 {
                            *logit = f32::NEG_INFINITY;
                        }
                    }
                }
            }
        }
    }

    /// All logits, to be changed in place.
    pub(crate) fn each_block_mut(&mut self, mut change: impl FnMut(usize, &mut [f32])) {
        let length = self.len();
        for block in 0..self.blocks() {
            let begin = block * BLOCK;
            change(begin, &mut self.block_mut(block)[..BLOCK.min(length - begin)]);
        }
    }

    /// Writes all logits behind `out`.
    pub(crate) fn append_to(&self, out: &mut Vec<f32>) {
        for block in 0..self.blocks() {
            let (begin, end) = (block * BLOCK, self.len().min((block + 1) * BLOCK));
            match self.overlay.block(block) {
                Some(changed) => out.extend_from_slice(&changed[..end - begin]),
                None => with_elements!(self.logits, elements => out.extend(elements[begin..end].iter().map(|one| one.value()))),
            }
        }
    }

    /// The logits from `begin` of a block on, with what was changed.
    #[inline]
    pub(crate) fn read_block(&self, block: usize, into: &mut [f32; BLOCK]) {
        match self.overlay.block(block) {
            Some(changed) => *into = *changed,
            None => with_elements!(self.logits, elements => {
                let begin = block * BLOCK;
                into.iter_mut().zip(&elements[begin..begin + BLOCK]).for_each(|(to, from)| *to = from.value());
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(row: &Row<'_>) -> Vec<f32> {
        let mut out = Vec::new();
        row.append_to(&mut out);
        out
    }

    #[test]
    fn changes_are_seen_and_the_logits_stay() {
        let logits: Vec<f32> = (0..150u8).map(f32::from).collect();
        let mut overlay = Overlay::default();
        let mut row = Row::new(Logits::F32(&logits), &mut overlay, Level::all()[0]);
        row.update(3, |logit| logit * 2.0);
        row.exclude(149);
        row.update(500, |_| 1.0);
        let mut expected = logits.clone();
        (expected[3], expected[149]) = (6.0, f32::NEG_INFINITY);
        assert_eq!(all(&row), expected);
        assert_eq!((row.get(3), row.get(70), row.get(149)), (6.0, 70.0, f32::NEG_INFINITY));
        let mut block = [0.0; BLOCK];
        row.read_block(2, &mut block);
        assert_eq!((block[20], block[21], block[22]), (148.0, f32::NEG_INFINITY, f32::NEG_INFINITY));
        assert_eq!(logits[3], 3.0);
    }

    #[test]
    fn a_mask_takes_out_what_it_does_not_name() {
        let logits: Vec<f32> = (0..200u8).map(f32::from).collect();
        let mut overlay = Overlay::default();
        let mut row = Row::new(Logits::F32(&logits), &mut overlay, Level::all()[0]);
        row.keep_bits(&[u64::MAX, 0b101, 0]);
        let kept: Vec<f32> = all(&row).into_iter().filter(|logit| logit.is_finite()).collect();
        let expected: Vec<f32> = (0..64u8).chain([64, 66]).map(f32::from).collect();
        assert_eq!(kept, expected);
        row.keep_only([(199, 0.0), (66, 1.0)].into_iter());
        assert_eq!((row.get(0), row.get(66), row.get(199)), (f32::NEG_INFINITY, 1.0, 0.0));
        // The next row begins anew.
        assert_eq!(all(&Row::new(Logits::F32(&logits), &mut overlay, Level::all()[0])), logits);
    }
}
