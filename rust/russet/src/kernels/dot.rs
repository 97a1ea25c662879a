//! One input vector times rows of a matrix: each weight is read once, widened in a register and multiplied there.
//!
//! Four sums of eight lanes side by side hide the time that an addition takes. Blocks of whole numbers are multiplied by their scale
//! once each; what their offset takes away is the offset times the sum of the block's inputs, which is the same for all rows. Other
//! forms are widened into memory first.
//!
//! O(numbers): for 16 bits as fast as memory gives them, about two cycles for 32 bits of four-bit numbers. The wrong choice for more
//! than one input, which would read and widen the weights again.

use super::elements::{Element, Floats, Integers, Offsets};
use super::lanes::{Lanes, LANES};
use super::linear::Scratch;
use super::matrix::{Blockwise, Matrix, Palettized, Weights};
use super::widen::{floats, integers};

/// Numbers that are multiplied in one step.
const STEP: usize = 4 * LANES;

/// The sum of the products of two rows of one length.
#[inline(always)]
pub(super) fn dot<V: Lanes, E: Element>(weights: &[E], inputs: &[f32]) -> f32 {
    let (steps, rest) = weights.as_chunks::<STEP>();
    let (input_steps, input_rest) = inputs.as_chunks::<STEP>();
    let mut sum = dot_steps::<V, E>(steps, input_steps).sum();
    for (weight, input) in rest.iter().zip(input_rest) {
        sum += weight.value() * input;
    }
    sum
}

#[inline(always)]
fn dot_steps<V: Lanes, E: Element>(weights: &[[E; STEP]], inputs: &[[f32; STEP]]) -> V {
    let mut sums = [V::splat(0.0); 4];
    for (weights, inputs) in weights.iter().zip(inputs) {
        let (weights, inputs) = (weights.as_chunks::<LANES>().0, inputs.as_chunks::<LANES>().0);
        for part in 0..4 {
            sums[part] = E::lanes::<V>(&weights[part]).fused(V::load(&inputs[part]), sums[part]);
        }
    }
    sums[0].add(sums[1]).add(sums[2].add(sums[3]))
}

impl Matrix<'_> {
    /// How wide the parts are whose sums of inputs [`multiply`](Self::multiply) needs; none if it needs none.
    pub(super) fn width_of_sums(&self) -> Option<usize> {
        match &self.weights {
            Weights::Blockwise(weights) if weights.is_wide(self) => Some(self.columns / weights.blocks.1),
            _ => None,
        }
    }

    /// Fills `outputs` with the products of the input and the rows from `first` on.
    #[inline(always)]
    pub(super) fn multiply<V: Lanes>(&self, first: usize, input: &[f32], sums: &[f32], outputs: &mut [f32], scratch: &mut Scratch) {
        let columns = self.columns;
        match &self.weights {
            Weights::Dense(Floats::F32(weights)) => {
                for (weights, out) in weights[first * columns..].chunks_exact(columns).zip(outputs) {
                    *out = dot::<V, _>(weights, input);
                }
            }
            Weights::Dense(Floats::F16(weights)) => {
                for (weights, out) in weights[first * columns..].chunks_exact(columns).zip(outputs) {
                    *out = dot::<V, _>(weights, input);
                }
            }
            Weights::Blockwise(weights) if weights.is_wide(self) => {
                weights.multiply::<V>(self, first, input, sums, outputs, scratch);
            }
            Weights::Palettized(weights) if weights.is_wide(self) => {
                weights.multiply::<V>(self, first, input, outputs);
            }
            Weights::Blockwise(_) | Weights::Palettized(_) => {
                scratch.weights.resize(columns, 0.0);
                for (row, out) in (first..).zip(outputs) {
                    self.widen::<V>(row, 0, &mut scratch.weights);
                    *out = dot::<V, _>(&scratch.weights, input);
                }
            }
        }
    }
}

impl Blockwise<'_> {
    /// Whether blocks are of whole steps, so that each begins with a byte.
    fn is_wide(&self, matrix: &Matrix<'_>) -> bool {
        (matrix.columns / self.blocks.1).is_multiple_of(STEP)
    }

    #[inline(always)]
    fn multiply<V: Lanes>(
        &self,
        matrix: &Matrix<'_>,
        first: usize,
        input: &[f32],
        sums: &[f32],
        outputs: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let blocks = self.blocks.1;
        let steps = matrix.columns / blocks / STEP;
        let input_steps = input.as_chunks::<STEP>().0;
        let is_flipped = matches!(self.data, Integers::I4(_));
        scratch.weights.resize(2 * blocks, 0.0);
        let (scales, offsets) = scratch.weights.split_at_mut(blocks);
        let mut last_block = usize::MAX;
        let mut taken = 0.0;
        for (row, out) in (first..).zip(outputs) {
            let first_block = self.first_block(matrix, row);
            if first_block != last_block {
                last_block = first_block;
                floats::<V>(self.scale, first_block, scales);
                match self.offset {
                    None => offsets.fill(0.0),
                    Some(Offsets::Floats(of)) => floats::<V>(of, first_block, offsets),
                    Some(Offsets::Integers(of)) => integers::<V>(of, first_block, 1.0, 0.0, offsets),
                }
                // A number whose highest bit is turned over is greater by 8.
                let more = if is_flipped { 8.0 } else { 0.0 };
                if is_flipped || self.offset.is_some() {
                    for (offset, scale) in offsets.iter_mut().zip(scales.iter()) {
                        *offset = (*offset + more) * scale;
                    }
                    taken = dot::<V, _>(offsets, sums);
                }
            }
            let start = row * matrix.columns;
            let sum = match self.data {
                Integers::I8(data) => blocks_of::<V, _>(&data[start..][..matrix.columns], input_steps, steps, scales),
                Integers::U8(data) => blocks_of::<V, _>(&data[start..][..matrix.columns], input_steps, steps, scales),
                Integers::I4(data) => half_bytes::<V>(&data[start / 2..][..matrix.columns / 2], 0x88, input_steps, steps, scales),
                Integers::U4(data) => half_bytes::<V>(&data[start / 2..][..matrix.columns / 2], 0, input_steps, steps, scales),
            };
            *out = sum - taken;
        }
    }
}

/// The products of a row of bytes, each block of so many steps times its scale.
#[inline(always)]
fn blocks_of<V: Lanes, E: Element>(weights: &[E], inputs: &[[f32; STEP]], steps: usize, scales: &[f32]) -> f32 {
    let mut total = V::splat(0.0);
    let weights = weights.as_chunks::<STEP>().0;
    for ((weights, inputs), scale) in weights.chunks_exact(steps).zip(inputs.chunks_exact(steps)).zip(scales) {
        total = dot_steps::<V, E>(weights, inputs).fused(V::splat(*scale), total);
    }
    total.sum()
}

/// The same of numbers of four bits.
#[inline(always)]
fn half_bytes<V: Lanes>(weights: &[u8], flip: u8, inputs: &[[f32; STEP]], steps: usize, scales: &[f32]) -> f32 {
    let mut totals = [V::splat(0.0); 2];
    let weights = weights.as_chunks::<{ STEP / 2 }>().0;
    if steps == 1 {
        for ((weights, inputs), scale) in weights.iter().zip(inputs).zip(scales) {
            let numbers = V::load_nibbles(weights, flip);
            let inputs = inputs.as_chunks::<LANES>().0;
            let one = numbers[1].fused(V::load(&inputs[1]), numbers[0].mul(V::load(&inputs[0])));
            let other = numbers[3].fused(V::load(&inputs[3]), numbers[2].mul(V::load(&inputs[2])));
            let scale = V::splat(*scale);
            totals[0] = one.fused(scale, totals[0]);
            totals[1] = other.fused(scale, totals[1]);
        }
        return totals[0].add(totals[1]).sum();
    }
    for ((weights, inputs), scale) in weights.chunks_exact(steps).zip(inputs.chunks_exact(steps)).zip(scales) {
        let mut sums = [V::splat(0.0); 4];
        for (weights, inputs) in weights.iter().zip(inputs) {
            let numbers = V::load_nibbles(weights, flip);
            let inputs = inputs.as_chunks::<LANES>().0;
            for part in 0..4 {
                sums[part] = numbers[part].fused(V::load(&inputs[part]), sums[part]);
            }
        }
        totals[0] = sums[0].add(sums[1]).add(sums[2].add(sums[3])).fused(V::splat(*scale), totals[0]);
    }
    totals[0].sum()
}

impl Palettized<'_> {
    /// Whether indices are of four bits and groups of whole steps.
    fn is_wide(&self, matrix: &Matrix<'_>) -> bool {
        self.bits == 4 && (matrix.columns / self.groups.1).is_multiple_of(STEP)
    }

    #[inline(always)]
    fn multiply<V: Lanes>(&self, matrix: &Matrix<'_>, first: usize, input: &[f32], outputs: &mut [f32]) {
        let groups = self.groups.1;
        let steps = matrix.columns / groups / STEP;
        let input_steps = input.as_chunks::<STEP>().0;
        let mut table = [0.0; 16];
        let mut last_group = usize::MAX;
        for (row, out) in (first..).zip(outputs) {
            let first_group = row / (matrix.rows / self.groups.0) * groups;
            let indices = &self.indices[row * matrix.columns / 2..][..matrix.columns / 2];
            let indices = indices.as_chunks::<{ STEP / 2 }>().0;
            let mut sums = [V::splat(0.0); 4];
            for (group, (indices, inputs)) in indices.chunks_exact(steps).zip(input_steps.chunks_exact(steps)).enumerate() {
                if first_group + group != last_group {
                    last_group = first_group + group;
                    floats::<V>(self.table, last_group * 16, &mut table);
                }
                let table = V::table(&table);
                for (indices, inputs) in indices.iter().zip(inputs) {
                    let (indices, inputs) = (indices.as_chunks::<4>().0, inputs.as_chunks::<LANES>().0);
                    for part in 0..4 {
                        sums[part] = V::look_up(table, &indices[part]).fused(V::load(&inputs[part]), sums[part]);
                    }
                }
            }
            let sum = sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum();
            *out = self.scale.map_or(sum, |scale| sum * scale.at(row));
        }
    }
}
