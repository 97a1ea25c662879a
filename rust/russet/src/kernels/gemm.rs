//! Many input vectors times rows of a matrix: a product of matrices, by tiles that stay in registers.
//!
//! Inputs are packed once into panels of 16 (or 8) side by side, column after column. Rows of weights are widened as they are, a
//! block of rows and columns at a time, so that both blocks stay in the cache; then each tile of six rows and a panel is 12 sums in
//! registers, to which every column adds the products of 2 vectors of inputs and 6 weights (Goto and van de Geijn, "Anatomy of
//! high-performance matrix multiplication", 2008, with the roles of the matrices exchanged: only the inputs, of which there are few,
//! are transposed). Tiles are transposed into the outputs at the end.
//!
//! O(rows * columns * inputs), near the processor's peak from 16 inputs on. The wrong choice for fewer than eight.

use super::linear::Scratch;
use super::matrix::Matrix;
use crate::lanes::{FusedLanes, LANES};

/// Inputs in a panel.
pub(super) const PANEL: usize = 2 * LANES;
/// Rows in a tile.
pub(super) const TILE: usize = 6;
/// Rows that are widened at a time: a multiple of the tile and of the lanes.
const ROWS: usize = 48;
/// Columns that are widened at a time: two panels and the rows of a tile fill a cache of 32 KiB.
const COLUMNS: usize = 256;

/// Inputs side by side.
pub(super) struct Panels {
    numbers: Vec<f32>,
    columns: usize,
    count: usize,
}

impl Panels {
    /// How many numbers there are room for in place of each column: the last panel is of 8 or 16.
    fn padded(count: usize) -> usize {
        count.next_multiple_of(LANES)
    }

    /// Packs inputs, using memory again.
    #[inline(always)]
    pub(super) fn pack<V: FusedLanes>(mut numbers: Vec<f32>, inputs: &[f32], columns: usize) -> Self {
        let count = inputs.len() / columns;
        let padded = Self::padded(count);
        numbers.resize(padded * columns, 0.0);
        for first in (0..padded).step_by(PANEL) {
            let width = PANEL.min(padded - first);
            for part in (0..width).step_by(LANES) {
                let first_input = first + part;
                for start in (0..columns).step_by(COLUMNS) {
                    let end = columns.min(start + COLUMNS);
                    // The block of columns, in it the panel, in it the columns.
                    let panel = &mut numbers[padded * start + first * (end - start)..][..width * (end - start)];
                    let mut column = start;
                    while column < end {
                        let mut rows = [V::splat(0.0); LANES];
                        for (lane, row) in rows.iter_mut().enumerate() {
                            if first_input + lane < count {
                                let input = &inputs[(first_input + lane) * columns..][..end];
                                *row = super::passes::eight_at(input, column);
                            }
                        }
                        let turned = V::transpose(rows);
                        for (index, eight) in turned.iter().enumerate().take(end - column) {
                            let place = (column - start + index) * width + part;
                            if let Some(place) = panel[place..].first_chunk_mut() {
                                eight.store(place);
                            }
                        }
                        column += LANES;
                    }
                }
            }
        }
        Self { numbers, columns, count }
    }

    pub(super) fn into_numbers(self) -> Vec<f32> {
        self.numbers
    }

    /// Fills the outputs of all inputs with the products of the rows from `first` on, as many as there are places for.
    #[inline(always)]
    pub(super) fn multiply<V: FusedLanes>(
        &self,
        matrix: &Matrix<'_>,
        first: usize,
        bias: Option<&[f32]>,
        outputs: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) {
        let total = outputs.first().map_or(0, |outputs| outputs.len());
        for start in (0..total).step_by(ROWS) {
            let rows = ROWS.min(total - start);
            self.block::<V>(matrix, first + start, rows, scratch);
            self.unpack::<V>(start, rows, bias.map(|bias| &bias[first + start..][..rows]), outputs, &scratch.tiles);
        }
    }

    /// Multiplies some rows; the products of a panel with them follow each other in `scratch.tiles`, row by row.
    #[inline(always)]
    fn block<V: FusedLanes>(&self, matrix: &Matrix<'_>, first: usize, rows: usize, scratch: &mut Scratch) {
        let padded = Self::padded(self.count);
        scratch.weights.resize(ROWS * COLUMNS, 0.0);
        scratch.tiles.clear();
        scratch.tiles.resize(ROWS * padded, 0.0);
        for start in (0..self.columns).step_by(COLUMNS) {
            let columns = COLUMNS.min(self.columns - start);
            let weights = &mut scratch.weights[..rows.next_multiple_of(TILE) * columns];
            for (row, out) in weights.chunks_exact_mut(columns).enumerate() {
                if row < rows {
                    matrix.widen::<V>(first + row, start, out);
                } else {
                    out.fill(0.0);
                }
            }
            let inputs = &self.numbers[padded * start..][..padded * columns];
            for panel in (0..padded).step_by(PANEL) {
                let width = PANEL.min(padded - panel);
                let inputs = &inputs[panel * columns..][..width * columns];
                let tiles = &mut scratch.tiles[panel * ROWS..][..width * ROWS];
                for (weights, tile) in weights.chunks_exact(TILE * columns).zip(tiles.chunks_exact_mut(TILE * width)) {
                    if width == PANEL {
                        multiply_tile::<V, 2>(weights, columns, inputs, tile);
                    } else {
                        multiply_tile::<V, 1>(weights, columns, inputs, tile);
                    }
                }
            }
        }
    }

    /// Writes products to the outputs, from the row `start` of them on.
    #[inline(always)]
    fn unpack<V: FusedLanes>(&self, start: usize, rows: usize, bias: Option<&[f32]>, outputs: &mut [&mut [f32]], tiles: &[f32]) {
        let padded = Self::padded(self.count);
        for panel in (0..padded).step_by(PANEL) {
            let width = PANEL.min(padded - panel);
            let tiles = &tiles[panel * ROWS..][..width * ROWS];
            for part in (0..width).step_by(LANES) {
                for row in (0..rows).step_by(LANES) {
                    let mut eights = [V::splat(0.0); LANES];
                    for (index, eight) in eights.iter_mut().enumerate() {
                        if let Some(place) = tiles[(row + index) * width + part..].first_chunk() {
                            *eight = V::load(place);
                        }
                    }
                    let bias = bias.map_or(V::splat(0.0), |bias| super::passes::eight_at(bias, row));
                    let turned = V::transpose(eights);
                    for (index, eight) in turned.iter().enumerate() {
                        let Some(outputs) = outputs.get_mut(panel + part + index) else { break };
                        let eight = eight.add(bias);
                        let outputs = &mut outputs[start + row..][..LANES.min(rows - row)];
                        match outputs.first_chunk_mut() {
                            Some(outputs) => eight.store(outputs),
                            None => {
                                let mut some = [0.0; LANES];
                                eight.store(&mut some);
                                outputs.copy_from_slice(&some[..outputs.len()]);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Adds to a tile the products of six rows of weights and a panel of `N` times eight inputs.
#[inline(always)]
pub(super) fn multiply_tile<V: FusedLanes, const N: usize>(weights: &[f32], columns: usize, inputs: &[f32], tile: &mut [f32]) {
    let Some(tile) = tile.as_chunks_mut::<LANES>().0.get_mut(..TILE * N) else { return };
    let mut sums = [[V::splat(0.0); N]; TILE];
    for row in 0..TILE {
        for part in 0..N {
            sums[row][part] = V::load(&tile[row * N + part]);
        }
    }
    let (one, rest) = weights.split_at(columns);
    let (two, rest) = rest.split_at(columns);
    let (three, rest) = rest.split_at(columns);
    let (four, rest) = rest.split_at(columns);
    let (five, six) = rest.split_at(columns);
    let pairs = one.iter().zip(two).zip(three.iter().zip(four)).zip(five.iter().zip(six));
    for (eights, (((one, two), (three, four)), (five, six))) in inputs.as_chunks::<LANES>().0.as_chunks::<N>().0.iter().zip(pairs) {
        let weights = [one, two, three, four, five, six];
        let mut inputs = [V::splat(0.0); N];
        for part in 0..N {
            inputs[part] = V::load(&eights[part]);
        }
        for row in 0..TILE {
            let weight = V::splat(*weights[row]);
            for part in 0..N {
                sums[row][part] = weight.fused(inputs[part], sums[row][part]);
            }
        }
    }
    for row in 0..TILE {
        for part in 0..N {
            sums[row][part].store(&mut tile[row * N + part]);
        }
    }
}
