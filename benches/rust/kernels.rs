//! The numeric kernels, on one thread: weights in each form times one input and times 128, and attention.
//!
//! Throughput is that of the memory read for one input, of products for many. The matrices are those of a decoder of width 768 and its
//! 49,152 tokens; the large one is larger than most caches.

use criterion::{criterion_group, criterion_main, BatchSize, Criterion, Throughput};
use russet::kernels::{attention, linear, Attention, Blockwise, Floats, Heads, Integers, Mask, Matrix, Palettized, Product};
use russet::sampling::Half;
use std::hint::black_box;

const COLUMNS: usize = 768;
const MANY_ROWS: usize = 49_152;
const FEW_ROWS: usize = 2_048;
const INPUTS: usize = 128;

/// Numbers of one magnitude, without a pattern that a cache or a predictor could learn.
fn bytes(count: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..count).map(next).collect()
}

struct Weights {
    bytes: Vec<u8>,
    signed: Vec<i8>,
    halves: Vec<Half>,
    table: Vec<f32>,
}

impl Weights {
    fn new() -> Self {
        let bytes = bytes(MANY_ROWS * COLUMNS);
        let signed = bytes.iter().map(|byte| *byte as i8).collect();
        // Exponents from -7 to 0.
        let halves = bytes.iter().map(|byte| Half(0x2000 | u16::from(*byte & 0x1f) << 8 | u16::from(*byte))).collect();
        Self { bytes, signed, halves, table: (0..256).map(|index| index as f32 / 128.0 - 1.0).collect() }
    }

    fn matrices(&self, rows: usize) -> Vec<(&'static str, Matrix<'_>)> {
        let (shape, count) = ((rows, COLUMNS), rows * COLUMNS);
        let blockwise = |data, blocks: (usize, usize)| {
            let scale = Floats::F16(&self.halves[..blocks.0 * blocks.1]);
            Matrix::blockwise(shape, Blockwise { data, blocks, scale, offset: None })
        };
        let palettized = |bits: u32| {
            let (indices, table) = (&self.bytes[..count * bits as usize / 8], Floats::F32(&self.table[..1 << bits]));
            Matrix::palettized(shape, Palettized { indices, bits, groups: (1, 1), table, scale: None })
        };
        let matrices = [
            ("float16", Matrix::dense(shape, Floats::F16(&self.halves[..count]))),
            ("int8 by row", blockwise(Integers::I8(&self.signed[..count]), (rows, 1))),
            ("int4 by 32", blockwise(Integers::I4(&self.bytes[..count / 2]), (rows, COLUMNS / 32))),
            ("table of 3 bits", palettized(3)),
            ("table of 4 bits", palettized(4)),
            ("table of 6 bits", palettized(6)),
            ("table of 8 bits", palettized(8)),
        ];
        matrices.map(|(name, matrix)| (name, matrix.expect("sizes fit"))).into()
    }
}

fn floats(count: usize) -> Vec<f32> {
    bytes(count).iter().map(|byte| f32::from(*byte) / 128.0 - 1.0).collect()
}

fn linear_layers(criterion: &mut Criterion) {
    let weights = Weights::new();
    let inputs = floats(INPUTS * COLUMNS);
    for (rows, count) in [(FEW_ROWS, 1), (MANY_ROWS, 1), (FEW_ROWS, 4), (FEW_ROWS, INPUTS)] {
        let mut group = criterion.benchmark_group(format!("linear {rows}x{COLUMNS}, inputs {count}"));
        for (name, matrix) in weights.matrices(rows) {
            group.throughput(match count {
                1 => Throughput::Bytes(matrix.size_in_bytes() as u64),
                _ => Throughput::Elements((rows * COLUMNS * count) as u64),
            });
            let mut outputs = vec![0.0; rows * count];
            let inputs = &inputs[..count * COLUMNS];
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    let product = Product { matrix, bias: None, outputs: &mut outputs };
                    linear(black_box(inputs), &mut [product], 1).expect("sizes fit");
                });
            });
        }
        group.finish();
    }
}

fn attention_over_a_cache(criterion: &mut Criterion) {
    let (heads, width) = (12, 64);
    let halves: Vec<Half> = bytes(4 * 1024 * width).iter().map(|byte| Half(0x3000 | u16::from(*byte))).collect();
    let queries = floats(heads * 128 * width);
    let mut group = criterion.benchmark_group("attention, 12 heads over 4 of width 64");
    for (length, keys) in [(1, 512), (1, 1024), (128, 128), (128, 1024)] {
        let kept =
            Heads { elements: Floats::F16(&halves), heads: 4, length: keys, width, head_stride: 1024 * width, row_stride: width };
        let elements = Floats::F32(&queries);
        let queries = Heads { elements, heads, length, width, head_stride: length * width, row_stride: width };
        let causal = |index: usize| if index % keys > index / keys + keys - length { f32::NEG_INFINITY } else { 0.0 };
        let mask: Vec<f32> = (0..length * keys).map(causal).collect();
        group.throughput(Throughput::Elements((2 * heads * length * keys * width) as u64));
        group.bench_function(format!("queries {length}, keys {keys}"), |bencher| {
            bencher.iter_batched_ref(
                || vec![0.0; heads * length * width],
                |out| {
                    let mask = Some(Mask { values: &mask, by_head: false });
                    let of = Attention { queries: black_box(queries), keys: kept, values: kept, mask, scale: 0.125 };
                    attention(of, out, 1).expect("sizes fit");
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, linear_layers, attention_over_a_cache);
criterion_main!(benches);
