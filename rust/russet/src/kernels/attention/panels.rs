//! Attention of many query rows: by panels of sixteen side by side, over blocks of keys.
//!
//! Keys and values of a block are widened once for all panels; scores are tiles of six keys and a panel, made and used as in
//! [`gemm`](crate::kernels::gemm), so that every step of the softmax is one on whole lanes. The greatest score so far, the sum of the
//! weights and the weighted values are brought up to date after each block (Milakov and Gimelshein, "Online normalizer calculation for
//! softmax", 2018), so that no more scores than one tile are kept. Blocks that the mask leaves out for a whole panel cost nothing.
//!
//! O(queries * keys * width), about twice as fast as row by row. The wrong choice for fewer rows than half a panel.

use super::{Attention, Heads, Task};
use crate::kernels::exponential::exp;
use crate::kernels::gemm::{multiply_tile, PANEL, TILE};
use crate::kernels::widen::floats;
use crate::lanes::{FusedLanes, LANES};

/// Keys in a block: a multiple of the tile and of the lanes.
const KEYS: usize = 48;

/// Does the task.
#[inline(always)]
pub(super) fn run<V: FusedLanes>(task: Task<'_, '_>) {
    let Task { of: Attention { queries, keys, values, mask, scale }, head, first_row, out, scratch } = task;
    let rows = out.len() / values.width;
    let panels = rows.div_ceil(PANEL);
    // The values' columns in whole tiles.
    let (width, columns) = (queries.width, values.width.next_multiple_of(TILE));
    let lengths = [
        panels * width * PANEL,
        panels * columns * PANEL,
        panels * 4 * LANES,
        KEYS * width,
        KEYS * columns,
        KEYS * PANEL,
        LANES * width.max(values.width).next_multiple_of(LANES),
    ];
    scratch.clear();
    scratch.resize(lengths.iter().sum(), 0.0);
    let mut rest = &mut scratch[..];
    let mut parts: [&mut [f32]; 7] = Default::default();
    for (part, length) in parts.iter_mut().zip(lengths) {
        (*part, rest) = std::mem::take(&mut rest).split_at_mut(length);
    }
    let [query_panels, sums, known, key_rows, value_columns, scores, some_rows] = parts;
    pack_queries::<V>(&queries, first_row, rows, scale, query_panels, some_rows);
    known.chunks_exact_mut(4 * LANES).for_each(|known| known[..2 * LANES].fill(f32::NEG_INFINITY));

    for start in (0..keys.length).step_by(KEYS) {
        let length = KEYS.min(keys.length - start);
        for (index, row) in key_rows.chunks_exact_mut(width).enumerate() {
            if index < length {
                floats::<V>(keys.elements, head * keys.head_stride + (start + index) * keys.row_stride, row);
            } else {
                row.fill(0.0);
            }
        }
        turn_values::<V>(&values, head, start, length, value_columns, some_rows);
        for panel in 0..panels {
            let first = first_row + panel * PANEL;
            let count = PANEL.min(rows - panel * PANEL);
            scores[length * PANEL..].fill(f32::NEG_INFINITY);
            let scores_now = &mut scores[..length * PANEL];
            match mask {
                None => scores_now.fill(0.0),
                Some(mask) => {
                    let mut is_used = false;
                    for part in 0..2 {
                        let mut rows: [&[f32]; LANES] = [&[]; LANES];
                        for (lane, row) in rows.iter_mut().enumerate() {
                            let index = first + (part * LANES + lane).min(count - 1);
                            let index = if mask.by_head { index } else { index % queries.length };
                            *row = &mask.values[index * keys.length + start..][..length];
                        }
                        is_used |= turn_mask::<V>(&rows, part, scores_now);
                    }
                    if !is_used {
                        continue;
                    }
                }
            }
            let inputs = &query_panels[panel * width * PANEL..][..width * PANEL];
            for (weights, tile) in key_rows.chunks_exact(TILE * width).zip(scores.chunks_exact_mut(TILE * PANEL)) {
                multiply_tile::<V, 2>(weights, width, inputs, tile);
            }
            let sums = &mut sums[panel * columns * PANEL..][..columns * PANEL];
            weigh::<V>(scores, sums, &mut known[panel * 4 * LANES..][..4 * LANES]);
            for (weights, tile) in value_columns.chunks_exact(TILE * KEYS).zip(sums.chunks_exact_mut(TILE * PANEL)) {
                multiply_tile::<V, 2>(weights, KEYS, scores, tile);
            }
        }
    }
    for (panel, sums) in sums.chunks_exact(columns * PANEL).enumerate() {
        let known = &known[panel * 4 * LANES..][..4 * LANES];
        let rows = &mut out[panel * PANEL * values.width..];
        unpack::<V>(sums, known, values.width, rows);
    }
}

/// Two vectors at an index of eights.
#[inline(always)]
fn two<V: FusedLanes>(eights: &[[f32; LANES]], at: usize) -> [V; 2] {
    [V::load(&eights[at]), V::load(&eights[at + 1])]
}

/// Writes queries, times the scale, column by column into panels.
#[inline(always)]
fn pack_queries<V: FusedLanes>(queries: &Heads<'_>, first: usize, rows: usize, scale: f32, out: &mut [f32], some_rows: &mut [f32]) {
    let width = queries.width;
    for (panel, out) in out.chunks_exact_mut(width * PANEL).enumerate() {
        for part in 0..2 {
            let start = panel * PANEL + part * LANES;
            for (lane, row) in some_rows.chunks_exact_mut(some_rows.len() / LANES).enumerate() {
                row.fill(0.0);
                if start + lane < rows {
                    let index = first + start + lane;
                    let (head, index) = (index / queries.length, index % queries.length);
                    let row = &mut row[..width];
                    floats::<V>(queries.elements, head * queries.head_stride + index * queries.row_stride, row);
                    row.iter_mut().for_each(|value| *value *= scale);
                }
            }
            turn_rows::<V>(some_rows, width, out, PANEL, part);
        }
    }
}

/// Writes the columns of eight rows side by side: column `c` to the part of eight of row `c` of `out`, whose rows have `stride` numbers.
#[inline(always)]
fn turn_rows<V: FusedLanes>(rows: &[f32], width: usize, out: &mut [f32], stride: usize, part: usize) {
    let row_length = rows.len() / LANES;
    for column in (0..width).step_by(LANES) {
        let mut eights = [V::splat(0.0); LANES];
        for (lane, eight) in eights.iter_mut().enumerate() {
            if let Some(place) = rows[lane * row_length + column..].first_chunk() {
                *eight = V::load(place);
            }
        }
        let turned = V::transpose(eights);
        for (index, eight) in turned.iter().enumerate().take(width - column) {
            if let Some(place) = out[(column + index) * stride + part * LANES..].first_chunk_mut() {
                eight.store(place);
            }
        }
    }
}

/// Writes the values of a block column by column; zero for keys that are not there.
#[inline(always)]
fn turn_values<V: FusedLanes>(
    values: &Heads<'_>,
    head: usize,
    start: usize,
    length: usize,
    out: &mut [f32],
    some_rows: &mut [f32],
) {
    for part in 0..KEYS / LANES {
        for (lane, row) in some_rows.chunks_exact_mut(some_rows.len() / LANES).enumerate() {
            let index = part * LANES + lane;
            row.fill(0.0);
            if index < length {
                let first = head * values.head_stride + (start + index) * values.row_stride;
                floats::<V>(values.elements, first, &mut row[..values.width]);
            }
        }
        turn_rows::<V>(some_rows, values.width, out, KEYS, part);
    }
}

/// Writes eight rows of a mask key by key into a part of scores; whether any is above minus infinity.
#[inline(always)]
fn turn_mask<V: FusedLanes>(rows: &[&[f32]; LANES], part: usize, scores: &mut [f32]) -> bool {
    // A bit for each row of which all is minus infinity so far.
    let mut none = u8::MAX;
    let length = rows[0].len();
    for key in (0..length).step_by(LANES) {
        let mut eights = [V::splat(0.0); LANES];
        for (row, eight) in rows.iter().zip(&mut eights) {
            *eight = crate::kernels::passes::eight_at(row, key);
        }
        let turned = V::transpose(eights);
        for (index, eight) in turned.iter().enumerate().take(length - key) {
            // Not set where it is no number, which is used as well, and makes its row none.
            none &= V::bits(V::splat(f32::NEG_INFINITY).at_least(*eight));
            if let Some(place) = scores[(key + index) * PANEL + part * LANES..].first_chunk_mut() {
                eight.store(place);
            }
        }
    }
    none != u8::MAX
}

/// Turns scores into weights, relative to the greatest score so far, and brings what was summed up relative to the one before up to date.
#[inline(always)]
fn weigh<V: FusedLanes>(scores: &mut [f32], sums: &mut [f32], known: &mut [f32]) {
    let scores = scores.as_chunks_mut::<LANES>().0;
    let known = known.as_chunks_mut::<LANES>().0;
    let before = two::<V>(known, 0);
    let mut greatest = before;
    for pair in scores.as_chunks::<2>().0 {
        greatest = [V::load(&pair[0]).max(greatest[0]), V::load(&pair[1]).max(greatest[1])];
    }
    for part in 0..2 {
        // Where all is minus infinity so far, there is nothing to be relative to; all weights are zero.
        let relative = V::splat(f32::MIN).max(greatest[part]);
        let change = exp(before[part].sub(relative));
        let mut sum = V::load(&known[2 + part]).mul(change);
        for pair in scores.as_chunks_mut::<2>().0 {
            let weight = exp(V::load(&pair[part]).sub(relative));
            sum = sum.add(weight);
            weight.store(&mut pair[part]);
        }
        greatest[part].store(&mut known[part]);
        sum.store(&mut known[2 + part]);
        for pair in sums.as_chunks_mut::<LANES>().0.as_chunks_mut::<2>().0 {
            V::load(&pair[part]).mul(change).store(&mut pair[part]);
        }
    }
}

/// Writes the sums of a panel, divided by those of the weights, row by row.
#[inline(always)]
fn unpack<V: FusedLanes>(sums: &[f32], known: &[f32], width: usize, out: &mut [f32]) {
    let sums = sums.as_chunks::<LANES>().0;
    let known = known.as_chunks::<LANES>().0;
    for part in 0..2 {
        let inverse = V::splat(1.0).div(V::load(&known[2 + part]));
        for column in (0..width).step_by(LANES) {
            let mut eights = [V::splat(0.0); LANES];
            for (index, eight) in eights.iter_mut().enumerate().take(width - column) {
                *eight = V::load(&sums[(column + index) * 2 + part]).mul(inverse);
            }
            let turned = V::transpose(eights);
            for (row, eight) in turned.iter().enumerate() {
                let Some(out) = out.chunks_exact_mut(width).nth(part * LANES + row) else { break };
                let out = &mut out[column..width.min(column + LANES)];
                match out.first_chunk_mut() {
                    Some(out) => eight.store(out),
                    None => {
                        let mut some = [0.0; LANES];
                        eight.store(&mut some);
                        out.copy_from_slice(&some[..out.len()]);
                    }
                }
            }
        }
    }
}
