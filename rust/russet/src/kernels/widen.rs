//! Parts of rows of a matrix as numbers of 32 bits, whatever they are in memory.
//!
//! Blocks and groups are walked one after the other; in each, numbers are widened by registers, and those of four bits 32 at a
//! time. What does not fill a register, and rows of an odd number of four bits, go number by number.
//!
//! O(numbers); about a cycle for 8 of 16 or 8 bits, two for 8 of four bits, one for each index of other sizes. The wrong choice for
//! one input vector: [`dot`](super::dot) multiplies without storing what it widens.

use super::elements::{Floats, Integers, Offsets};
use super::matrix::{Blockwise, Matrix, Palettized, Weights};
use crate::lanes::{FusedLanes, Half, LANES};

/// Blocks narrower than this are scaled after widening.
const NARROW: usize = 32;

/// The parts of a range of columns, each within one of the blocks that are `width` wide.
pub(super) struct Segments {
    width: usize,
    block: usize,
    column: usize,
    end: usize,
}

impl Segments {
    #[inline(always)]
    pub(super) fn new(width: usize, start: usize, length: usize) -> Self {
        Self { width, block: start / width, column: start, end: start + length }
    }
}

impl Iterator for Segments {
    /// The block, the first column, and how many.
    type Item = (usize, usize, usize);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.column == self.end {
            return None;
        }
        let (column, block) = (self.column, self.block);
        self.block += 1;
        self.column = (self.block * self.width).min(self.end);
        Some((block, column, self.column - column))
    }
}

/// Numbers of 16 bits.
#[inline(always)]
pub(super) fn halves<V: FusedLanes>(halves: &[Half], out: &mut [f32]) {
    let (eights, rest) = halves.as_chunks::<LANES>();
    let (outs, outs_rest) = out.as_chunks_mut::<LANES>();
    for (eight, out) in eights.iter().zip(outs) {
        V::load_half(eight).store(out);
    }
    for (half, out) in rest.iter().zip(outs_rest) {
        *out = (*half).into();
    }
}

/// Floating-point numbers.
#[inline(always)]
pub(super) fn floats<V: FusedLanes>(floats: Floats<'_>, start: usize, out: &mut [f32]) {
    let end = start + out.len();
    match floats {
        Floats::F32(values) => out.copy_from_slice(&values[start..end]),
        Floats::F16(values) => halves::<V>(&values[start..end], out),
    }
}

impl Matrix<'_> {
    /// Fills `out` with the numbers of a row from the column `start` on.
    #[inline(always)]
    pub(super) fn widen<V: FusedLanes>(&self, row: usize, start: usize, out: &mut [f32]) {
        let first = row * self.columns + start;
        match &self.weights {
            Weights::Dense(weights) => floats::<V>(*weights, first, out),
            Weights::Blockwise(weights) => weights.widen::<V>(self, row, start, out),
            Weights::Palettized(weights) => weights.widen::<V>(self, row, start, out),
        }
    }
}

impl Blockwise<'_> {
    /// The index of the first block of a row.
    #[inline(always)]
    pub(super) fn first_block(&self, matrix: &Matrix<'_>, row: usize) -> usize {
        row / (matrix.rows / self.blocks.0) * self.blocks.1
    }

    #[inline(always)]
    fn widen<V: FusedLanes>(&self, matrix: &Matrix<'_>, row: usize, start: usize, out: &mut [f32]) {
        let width = matrix.columns / self.blocks.1;
        let first_block = self.first_block(matrix, row);
        let first = row * matrix.columns;
        if width >= NARROW {
            // Scales and offsets are widened eight at a time too.
            let (mut scales, mut offsets, mut known) = ([0.0; LANES], [0.0; LANES], 0..0);
            for (block, column, length) in Segments::new(width, start, out.len()) {
                if !known.contains(&block) {
                    known = block..block + LANES.min(self.blocks.1 - block);
                    let (scales, offsets) = (&mut scales[..known.len()], &mut offsets[..known.len()]);
                    self.parameters::<V>(first_block + block, scales, offsets);
                }
                let (scale, offset) = (scales[(block - known.start) % LANES], offsets[(block - known.start) % LANES]);
                integers::<V>(self.data, first + column, scale, offset, &mut out[column - start..][..length]);
            }
            return;
        }
        integers::<V>(self.data, first + start, 1.0, 0.0, out);
        for (block, column, length) in Segments::new(width, start, out.len()) {
            let block = first_block + block;
            let scale = self.scale.at(block);
            let offset = self.offset.map_or(0.0, |offset| offset.at(block));
            for value in &mut out[column - start..][..length] {
                *value = (*value - offset) * scale;
            }
        }
    }

    /// The scales and offsets of blocks from the one at `first` on; without offsets, theirs are left as they are.
    #[inline(always)]
    pub(super) fn parameters<V: FusedLanes>(&self, first: usize, scales: &mut [f32], offsets: &mut [f32]) {
        floats::<V>(self.scale, first, scales);
        match self.offset {
            None => {}
            Some(Offsets::Floats(of)) => floats::<V>(of, first, offsets),
            Some(Offsets::Integers(of)) => integers::<V>(of, first, 1.0, 0.0, offsets),
        }
    }
}

#[inline(always)]
fn scaled<V: FusedLanes>(numbers: V, offset: V, scale: V) -> V {
    numbers.sub(offset).mul(scale)
}

/// Whole numbers of four bits.
#[inline(always)]
fn half_bytes<V: FusedLanes>(bytes: &[u8; 16], flip: u8, offset: V, scale: V, out: &mut [f32; 32]) {
    let numbers = V::load_nibbles(bytes, flip);
    let (outs, _) = out.as_chunks_mut::<LANES>();
    for part in 0..4 {
        scaled(numbers[part], offset, scale).by_turns().store(&mut outs[part]);
    }
}

/// Whole numbers from the one at `start` on, less an offset, times a scale.
#[inline(always)]
pub(super) fn integers<V: FusedLanes>(data: Integers<'_>, start: usize, scale: f32, offset: f32, out: &mut [f32]) {
    let end = start + out.len();
    let by = V::splat(scale);
    let done = match data {
        Integers::I8(data) => {
            let outs = out.as_chunks_mut::<LANES>().0;
            for (eight, out) in data[start..end].as_chunks::<LANES>().0.iter().zip(outs.iter_mut()) {
                scaled(V::load_signed(eight), V::splat(offset), by).store(out);
            }
            outs.len() * LANES
        }
        Integers::U8(data) => {
            let outs = out.as_chunks_mut::<LANES>().0;
            for (eight, out) in data[start..end].as_chunks::<LANES>().0.iter().zip(outs.iter_mut()) {
                scaled(V::load_unsigned(eight), V::splat(offset), by).store(out);
            }
            outs.len() * LANES
        }
        Integers::I4(bytes) | Integers::U4(bytes) if start.is_multiple_of(2) => {
            // With its highest bit turned over, a signed number of four bits is greater by 8 and unsigned.
            let (flip, more) = if matches!(data, Integers::I4(_)) { (0x88, 8.0) } else { (0, 0.0) };
            let offset = V::splat(offset + more);
            let outs = out.as_chunks_mut::<32>().0;
            let bytes = &bytes[start / 2..end.div_ceil(2)];
            for (bytes, out) in bytes.as_chunks::<16>().0.iter().zip(outs.iter_mut()) {
                half_bytes(bytes, flip, offset, by, out);
            }
            let done = outs.len() * 32;
            if done < out.len() {
                let mut last = [0; 16];
                let bytes = &bytes[done / 2..];
                last[..bytes.len()].copy_from_slice(bytes);
                let mut numbers = [0.0; 32];
                half_bytes(&last, flip, offset, by, &mut numbers);
                let rest = out.len() - done;
                out[done..].copy_from_slice(&numbers[..rest]);
            }
            out.len()
        }
        Integers::I4(_) | Integers::U4(_) => 0,
    };
    for (index, out) in out.iter_mut().enumerate().skip(done) {
        *out = (data.at(start + index) - offset) * scale;
    }
}

impl Palettized<'_> {
    #[inline(always)]
    fn widen<V: FusedLanes>(&self, matrix: &Matrix<'_>, row: usize, start: usize, out: &mut [f32]) {
        let width = matrix.columns / self.groups.1;
        let first_group = row / (matrix.rows / self.groups.0) * self.groups.1;
        let first = row * matrix.columns;
        let mut table = [0.0; 256];
        let mut last = usize::MAX;
        for (group, column, length) in Segments::new(width, start, out.len()) {
            let group = first_group + group;
            if group != last {
                floats::<V>(self.table, group << self.bits, &mut table[..1 << self.bits]);
                last = group;
            }
            self.look_up::<V>(first + column, &table, &mut out[column - start..][..length]);
        }
        if let Some(scale) = self.scale {
            let scale = scale.at(row);
            out.iter_mut().for_each(|value| *value *= scale);
        }
    }

    /// The numbers of indices from the one at `start` on.
    #[inline(always)]
    fn look_up<V: FusedLanes>(&self, start: usize, table: &[f32; 256], out: &mut [f32]) {
        let bits = self.bits as usize;
        let done = match bits {
            1 => self.look_up_eights::<V, 1>(start, table, out),
            2 => self.look_up_eights::<V, 2>(start, table, out),
            3 => self.look_up_eights::<V, 3>(start, table, out),
            4 => self.look_up_eights::<V, 4>(start, table, out),
            6 => self.look_up_eights::<V, 6>(start, table, out),
            _ => self.look_up_eights::<V, 8>(start, table, out),
        };
        for (index, out) in out.iter_mut().enumerate().skip(done) {
            let bit = (start + index) * bits;
            let low = u32::from(self.indices[bit / 8]);
            let high = self.indices.get(bit / 8 + 1).map_or(0, |byte| u32::from(*byte));
            *out = table[(low | high << 8) as usize >> (bit % 8) & ((1 << bits) - 1)];
        }
    }

    /// The same of eight at a time, as long as there are eight bytes; how many that are.
    #[inline(always)]
    fn look_up_eights<V: FusedLanes, const BITS: i32>(&self, start: usize, table: &[f32; 256], out: &mut [f32]) -> usize {
        let bits = BITS as usize;
        // Tables of up to sixteen numbers are registers; one of fewer than eight stands there several times.
        let few = V::load(&std::array::from_fn(|index| table[index % (1 << bits.min(3))]));
        let sixteen = V::table(&std::array::from_fn(|index| table[index]));
        let outs = out.as_chunks_mut::<LANES>().0;
        for (index, out) in outs.iter_mut().enumerate() {
            // Eight indices have `bits` bytes; wherever their first bit is, eight bytes hold them all.
            let bit = (start + index * LANES) * bits;
            let Some(bytes) = self.indices[bit / 8..].first_chunk::<8>() else { return index * LANES };
            let window = u64::from_le_bytes(*bytes) >> (bit % 8);
            match BITS {
                1..=3 => few.choose::<BITS>(window as u32).store(out),
                4 => V::look_up(sixteen, &(window as u32).to_le_bytes()).store(out),
                _ => {
                    for (lane, out) in out.iter_mut().enumerate() {
                        *out = table[(window >> (bits * lane)) as usize & ((1 << bits) - 1)];
                    }
                }
            }
        }
        outs.len() * LANES
    }
}
