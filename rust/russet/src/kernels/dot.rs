//! One input vector times rows of a matrix: each weight is read once, widened in a register and multiplied there.
//!
//! Four sums of eight lanes side by side hide the time that an addition takes. Blocks of whole numbers are multiplied by their scale
//! once each; what their offset takes away is the offset times the sum of the block's inputs, which is the same for all rows. Of
//! numbers of four bits, those of the lower and of the upper halves of bytes are widened apart, and the input is brought into that
//! order once. Rows of other forms are widened into memory first, once for all inputs.
//!
//! O(numbers): for 16 bits as fast as memory gives them, about two cycles for 32 bits of four-bit numbers. The wrong choice for more
//! than one input, which would read and widen the weights again.

use super::elements::{Floats, Integers};
use super::linear::Scratch;
use super::matrix::{Blockwise, Matrix, Palettized, Weights};
use crate::lanes::{Element, FusedLanes, Half, LANES};

/// Numbers that are multiplied in one step.
const STEP: usize = 4 * LANES;

/// The sum of the products of two rows of one length.
#[inline(always)]
pub(super) fn dot<V: FusedLanes, E: Element>(weights: &[E], inputs: &[f32]) -> f32 {
    let (steps, rest) = weights.as_chunks::<STEP>();
    let (input_steps, input_rest) = inputs.as_chunks::<STEP>();
    let mut sum = dot_steps::<V, E>(steps, input_steps);
    let (eights, rest) = rest.as_chunks::<LANES>();
    let (input_eights, input_rest) = input_rest.as_chunks::<LANES>();
    for (eight, input) in eights.iter().zip(input_eights) {
        sum = E::lanes::<V>(eight).fused(V::load(input), sum);
    }
    let mut sum = sum.sum();
    for (weight, input) in rest.iter().zip(input_rest) {
        sum += weight.value() * input;
    }
    sum
}

#[inline(always)]
fn dot_steps<V: FusedLanes, E: Element>(weights: &[[E; STEP]], inputs: &[[f32; STEP]]) -> V {
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
    /// Appends what [`multiply`](Self::multiply) needs of an input beside itself.
    pub(super) fn prepare(&self, input: &[f32], prepared: &mut Vec<f32>) {
        let Weights::Blockwise(weights) = &self.weights else { return };
        if !weights.is_wide(self) {
            return;
        }
        if weights.data.is_half_bytes() {
            for eight in input.as_chunks::<LANES>().0 {
                let [a, b, c, d, e, f, g, h] = *eight;
                prepared.extend([a, c, e, g, b, d, f, h]);
            }
        }
        for block in input.chunks(self.columns / weights.blocks.1) {
            let mut sums = [0.0; LANES];
            for eight in block.as_chunks::<LANES>().0 {
                for (sum, value) in sums.iter_mut().zip(eight) {
                    *sum += value;
                }
            }
            prepared.extend(sums);
        }
    }

    /// Whether [`multiply`](Self::multiply) can read it; else its rows have to be widened.
    pub(super) fn is_read_in_place(&self) -> bool {
        match &self.weights {
            Weights::Dense(_) => true,
            Weights::Blockwise(weights) => weights.is_wide(self),
            Weights::Palettized(weights) => weights.is_wide(self),
        }
    }

    /// Fills `outputs` with the products of the input and the rows from `first` on, which are read in place.
    #[inline(always)]
    pub(super) fn multiply<V: FusedLanes>(
        &self,
        first: usize,
        input: &[f32],
        prepared: &[f32],
        outputs: &mut [f32],
        scratch: &mut Scratch,
    ) {
        debug_assert!(self.is_read_in_place());
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
            Weights::Blockwise(weights) => weights.multiply::<V>(self, first, input, prepared, outputs, scratch),
            Weights::Palettized(weights) => weights.multiply::<V>(self, first, input, outputs),
        }
    }
}

impl Blockwise<'_> {
    /// Whether blocks are of whole steps, so that each begins with a byte.
    fn is_wide(&self, matrix: &Matrix<'_>) -> bool {
        (matrix.columns / self.blocks.1).is_multiple_of(STEP)
    }

    #[inline(always)]
    fn multiply<V: FusedLanes>(
        &self,
        matrix: &Matrix<'_>,
        first: usize,
        input: &[f32],
        prepared: &[f32],
        outputs: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let blocks = self.blocks.1;
        let steps = matrix.columns / blocks / STEP;
        let (input, sums) = if self.data.is_half_bytes() { prepared.split_at(matrix.columns) } else { (input, prepared) };
        let input = Input { steps: input.as_chunks().0, sums: sums.as_chunks().0, in_block: steps };
        // A number whose highest bit is turned over is greater by 8.
        let (flip, more) = if matches!(self.data, Integers::I4(_)) { (0x88, 8.0) } else { (0, 0.0) };
        // Some more offsets than there are blocks are quicker to widen, as whole registers.
        let (room, total) = (blocks.next_multiple_of(STEP), self.blocks.0 * self.blocks.1);
        scratch.weights.resize(blocks + room, 0.0);
        let (scales, offsets) = scratch.weights.split_at_mut(blocks);
        offsets.fill(-more);
        let height = matrix.rows / self.blocks.0;
        let mut first_block = first / height * blocks;
        // How many rows these blocks still have.
        let mut rows_left = height - first % height;
        let mut is_new = true;
        for (row, out) in (first..).zip(outputs) {
            if is_new {
                self.parameters::<V>(first_block, scales, &mut offsets[..room.min(total - first_block)]);
                if self.offset.is_some() {
                    offsets.iter_mut().for_each(|offset| *offset = -(*offset + more));
                }
            }
            rows_left -= 1;
            is_new = rows_left == 0;
            if is_new {
                (first_block, rows_left) = (first_block + blocks, height);
            }
            let (start, end) = (row * matrix.columns, (row + 1) * matrix.columns);
            let blocks = scales.iter().zip(&*offsets);
            *out = match self.data {
                Integers::I8(data) => input.bytes::<V, _>(&data[start..end], blocks),
                Integers::U8(data) => input.bytes::<V, _>(&data[start..end], blocks),
                Integers::I4(data) | Integers::U4(data) => input.half_bytes::<V>(&data[start / 2..end / 2], flip, blocks),
            };
        }
    }
}

/// An input that is multiplied by blocks.
struct Input<'a> {
    steps: &'a [[f32; STEP]],
    /// What its blocks add up to, in eight lanes.
    sums: &'a [[f32; LANES]],
    /// The steps of a block.
    in_block: usize,
}

impl Input<'_> {
    /// The products of a row of bytes, less their block's offset, whose negative is given, times its scale.
    #[inline(always)]
    fn bytes<'s, V: FusedLanes, E: Element>(&self, weights: &[E], blocks: impl Iterator<Item = (&'s f32, &'s f32)>) -> f32 {
        let mut total = V::splat(0.0);
        let steps = weights.as_chunks::<STEP>().0.chunks_exact(self.in_block).zip(self.steps.chunks_exact(self.in_block));
        for (((weights, inputs), sums), (scale, offset)) in steps.zip(self.sums).zip(blocks) {
            let sum = V::load(sums).fused(V::splat(*offset), dot_steps::<V, E>(weights, inputs));
            total = sum.fused(V::splat(*scale), total);
        }
        total.sum()
    }

    /// The same of numbers of four bits.
    #[inline(always)]
    fn half_bytes<'s, V: FusedLanes>(&self, weights: &[u8], flip: u8, blocks: impl Iterator<Item = (&'s f32, &'s f32)>) -> f32 {
        let mut totals = [V::splat(0.0); 2];
        let weights = weights.as_chunks::<{ STEP / 2 }>().0;
        if self.in_block == 1 {
            for (((weights, inputs), sums), (scale, offset)) in weights.iter().zip(self.steps).zip(self.sums).zip(blocks) {
                let numbers = V::load_nibbles(weights, flip);
                let inputs = inputs.as_chunks::<LANES>().0;
                let one = numbers[1].fused(V::load(&inputs[1]), numbers[0].mul(V::load(&inputs[0])));
                let other = V::load(sums).fused(V::splat(*offset), numbers[2].mul(V::load(&inputs[2])));
                let other = numbers[3].fused(V::load(&inputs[3]), other);
                let scale = V::splat(*scale);
                totals[0] = one.fused(scale, totals[0]);
                totals[1] = other.fused(scale, totals[1]);
            }
            return totals[0].add(totals[1]).sum();
        }
        let steps = weights.chunks_exact(self.in_block).zip(self.steps.chunks_exact(self.in_block));
        for (((weights, inputs), block_sums), (scale, offset)) in steps.zip(self.sums).zip(blocks) {
            let mut sums = [V::splat(0.0); 4];
            sums[0] = V::load(block_sums).mul(V::splat(*offset));
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
}

impl Palettized<'_> {
    /// Whether groups are of whole steps, and their tables can be looked up by registers.
    fn is_wide(&self, matrix: &Matrix<'_>) -> bool {
        let is_short = matches!((self.table, self.bits), (Floats::F32(_), 4) | (Floats::F16(_), 4 | 6));
        is_short && (matrix.columns / self.groups.1).is_multiple_of(STEP)
    }

    #[inline(always)]
    fn multiply<V: FusedLanes>(&self, matrix: &Matrix<'_>, first: usize, input: &[f32], outputs: &mut [f32]) {
        let inputs = input.as_chunks::<STEP>().0;
        match (self.table, self.bits) {
            (Floats::F32(tables), _) => {
                let (steps, look_up) = (self.indices.as_chunks::<16>().0, ByFloats::<V>(V::table(&[0.0; 16])));
                self.rows_by(matrix, first, inputs, steps, tables, look_up, outputs);
            }
            (Floats::F16(tables), 4) => {
                let (steps, look_up) = (self.indices.as_chunks::<16>().0, ByFour::<V>(V::halves(&[Half(0); 64])));
                self.rows_by(matrix, first, inputs, steps, tables, look_up, outputs);
            }
            (Floats::F16(tables), _) => {
                let (steps, look_up) = (self.indices.as_chunks::<24>().0, BySix::<V>(V::halves(&[Half(0); 64])));
                self.rows_by(matrix, first, inputs, steps, tables, look_up, outputs);
            }
        }
    }

    /// The same by one way to look up.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn rows_by<V: FusedLanes, L: LookUp<V>>(
        &self,
        matrix: &Matrix<'_>,
        first: usize,
        inputs: &[[f32; STEP]],
        steps: &[L::Step],
        tables: &[L::Number],
        mut look_up: L,
        outputs: &mut [f32],
    ) {
        let in_group = inputs.len() / self.groups.1;
        let height = matrix.rows / self.groups.0;
        let mut last_group = usize::MAX;
        for (row, out) in (first..).zip(outputs) {
            let first_group = row / height * self.groups.1;
            let steps = &steps[row * inputs.len()..][..inputs.len()];
            let mut sums = [V::splat(0.0); 4];
            let groups = steps.chunks_exact(in_group).zip(inputs.chunks_exact(in_group));
            for ((steps, inputs), group) in groups.zip(first_group..) {
                if group != last_group {
                    look_up.set(&tables[group << self.bits..][..1 << self.bits]);
                    last_group = group;
                }
                for (step, inputs) in steps.iter().zip(inputs) {
                    let numbers = look_up.numbers(step);
                    let inputs = inputs.as_chunks::<LANES>().0;
                    for part in 0..4 {
                        sums[part] = numbers[part].fused(V::load(&inputs[part]), sums[part]);
                    }
                }
            }
            let sum = sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum();
            *out = self.scale.map_or(sum, |scale| sum * scale.at(row));
        }
    }
}

/// How the numbers of a step are looked up.
trait LookUp<V> {
    type Number;
    type Step;
    fn set(&mut self, table: &[Self::Number]);
    fn numbers(&self, step: &Self::Step) -> [V; 4];
}

/// Four bits each, in numbers of 32 bits.
struct ByFloats<V: FusedLanes>(V::Table);
/// Four bits each, in numbers of 16 bits.
struct ByFour<V: FusedLanes>(V::Halves);
/// Six bits each, in numbers of 16 bits.
struct BySix<V: FusedLanes>(V::Halves);

impl<V: FusedLanes> LookUp<V> for ByFloats<V> {
    type Number = f32;
    type Step = [u8; 16];

    #[inline(always)]
    fn set(&mut self, table: &[f32]) {
        if let Some(table) = table.first_chunk() {
            self.0 = V::table(table);
        }
    }
    #[inline(always)]
    fn numbers(&self, step: &[u8; 16]) -> [V; 4] {
        let (indices, _) = step.as_chunks::<4>();
        let mut numbers = [V::splat(0.0); 4];
        for part in 0..4 {
            numbers[part] = V::look_up(self.0, &indices[part]);
        }
        numbers
    }
}

impl<V: FusedLanes> LookUp<V> for ByFour<V> {
    type Number = Half;
    type Step = [u8; 16];

    #[inline(always)]
    fn set(&mut self, table: &[Half]) {
        let mut halves = [Half(0); 64];
        halves[..16].copy_from_slice(table);
        self.0 = V::halves(&halves);
    }
    #[inline(always)]
    fn numbers(&self, step: &[u8; 16]) -> [V; 4] {
        V::look_up_halves::<false>(self.0, V::indices_of_four_bits(step))
    }
}

impl<V: FusedLanes> LookUp<V> for BySix<V> {
    type Number = Half;
    type Step = [u8; 24];

    #[inline(always)]
    fn set(&mut self, table: &[Half]) {
        if let Some(table) = table.first_chunk() {
            self.0 = V::halves(table);
        }
    }
    #[inline(always)]
    fn numbers(&self, step: &[u8; 24]) -> [V; 4] {
        V::look_up_halves::<true>(self.0, V::indices_of_six_bits(step))
    }
}
