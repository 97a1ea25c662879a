//! The kernels once more, number by number in 64 bits: what the fast ones are tested against.

use super::attention::{Attention, Heads};
use super::matrix::{Matrix, Weights};

/// A weight, from the definition of its compression.
pub(super) fn weight(matrix: &Matrix<'_>, row: usize, column: usize) -> f64 {
    let (rows, columns) = matrix.shape();
    let index = row * columns + column;
    match &matrix.weights {
        Weights::Dense(weights) => f64::from(weights.at(index)),
        Weights::Blockwise(weights) => {
            let (height, width) = (rows / weights.blocks.0, columns / weights.blocks.1);
            let block = row / height * weights.blocks.1 + column / width;
            let offset = weights.offset.map_or(0.0, |offset| f64::from(offset.at(block)));
            f64::from(weights.scale.at(block)) * (f64::from(weights.data.at(index)) - offset)
        }
        Weights::Palettized(weights) => {
            let (height, width) = (rows / weights.groups.0, columns / weights.groups.1);
            let group = row / height * weights.groups.1 + column / width;
            let bits = weights.bits as usize;
            let bit = |number: usize| usize::from(weights.indices[number / 8] >> (number % 8) & 1);
            let position = (0..bits).map(|number| bit(index * bits + number) << number).sum::<usize>();
            let scale = weights.scale.map_or(1.0, |scale| f64::from(scale.at(row)));
            f64::from(weights.table.at((group << bits) + position)) * scale
        }
    }
}

/// The output of a linear layer and, for each number of it, the sum of the magnitudes that it is made of.
pub(super) fn linear(matrix: &Matrix<'_>, inputs: &[f32], bias: Option<&[f32]>) -> Vec<(f64, f64)> {
    let (rows, columns) = matrix.shape();
    let mut outputs = Vec::new();
    for input in inputs.chunks(columns) {
        for row in 0..rows {
            let products = (0..columns).map(|column| f64::from(input[column]) * weight(matrix, row, column));
            let bias = bias.map_or(0.0, |bias| f64::from(bias[row]));
            let (mut sum, mut magnitude) = (bias, bias.abs());
            for product in products {
                sum += product;
                magnitude += product.abs();
            }
            outputs.push((sum, magnitude));
        }
    }
    outputs
}

/// `exp(x) / sum(exp(x))`.
pub(super) fn softmax(row: &[f64]) -> Vec<f64> {
    let greatest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = row.iter().map(|value| (value - greatest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// Attention, with the magnitudes that each number is made of.
pub(super) fn attention(of: Attention<'_>) -> Vec<(f64, f64)> {
    let Attention { queries: q, keys: k, values: v, mask, scale } = of;
    let at = |heads: &Heads<'_>, head: usize, row: usize, column: usize| {
        f64::from(heads.elements.at(head * heads.head_stride + row * heads.row_stride + column))
    };
    let mut out = Vec::new();
    for head in 0..q.heads {
        let group = head / (q.heads / k.heads);
        for row in 0..q.length {
            let score = |key: usize| {
                let sum: f64 = (0..q.width).map(|column| at(&q, head, row, column) * at(&k, group, key, column)).sum();
                let mask = mask.map_or(0.0, |mask| {
                    let row = if mask.by_head { head * q.length + row } else { row };
                    f64::from(mask.values[row * k.length + key])
                });
                sum * f64::from(scale) + mask
            };
            let weights = softmax(&(0..k.length).map(score).collect::<Vec<_>>());
            for column in 0..v.width {
                let terms = weights.iter().enumerate().map(|(key, weight)| weight * at(&v, group, key, column));
                out.push(terms.fold((0.0, 0.0), |(sum, magnitude), term| (sum + term, magnitude + term.abs())));
            }
        }
    }
    out
}
