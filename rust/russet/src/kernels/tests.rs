//! Every kernel beside its naive twin, at every level of the processor, over shapes that are multiples of nothing.

use super::*;
use crate::lanes::Half;
use crate::simd::Level;
use crate::Result;
use proptest::prelude::*;

/// Numbers that depend on a seed alone.
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    /// From -1 to 1.
    pub(super) fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| (self.next() % 20_001) as f32 / 10_000.0 - 1.0).collect()
    }

    /// Normal numbers of about one and less, of both signs.
    pub(super) fn halves(&mut self, count: usize) -> Vec<Half> {
        (0..count).map(|_| Half((self.next() as u16 & 0x83ff) | (10 + self.next() as u16 % 6) << 10)).collect()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// Floating-point numbers that are owned.
enum Owned {
    F32(Vec<f32>),
    F16(Vec<Half>),
}

impl Owned {
    fn new(numbers: &mut Numbers, is_half: bool, count: usize) -> Self {
        if is_half {
            Self::F16(numbers.halves(count))
        } else {
            Self::F32(numbers.floats(count))
        }
    }

    fn floats(&self) -> Floats<'_> {
        match self {
            Self::F32(values) => Floats::F32(values),
            Self::F16(values) => Floats::F16(values),
        }
    }
}

/// What a matrix is made of.
#[derive(Clone, Copy, Debug)]
enum Form {
    Dense,
    /// The kind of numbers, the kind of offsets, blocks.
    Blockwise(u8, u8, (usize, usize)),
    /// Bits, groups, whether rows are scaled.
    Palettized(u32, (usize, usize), bool),
}

fn form() -> impl Strategy<Value = Form> {
    let parts = || (prop_oneof![Just(1usize), Just(2), Just(5)], prop_oneof![Just(1usize), Just(2), Just(3), Just(7)]);
    prop_oneof![
        Just(Form::Dense),
        (0..4u8, 0..3u8, parts()).prop_map(|(kind, offset, blocks)| Form::Blockwise(kind, offset, blocks)),
        (prop_oneof![Just(1u32), Just(2), Just(3), Just(4), Just(6), Just(8)], parts(), any::<bool>())
            .prop_map(|(bits, groups, scaled)| Form::Palettized(bits, groups, scaled)),
    ]
}

/// Gives a matrix of this form, whose size is at least `size` and a multiple of its parts, to `each`.
fn with_matrix(
    form: Form,
    size: (usize, usize),
    is_half: bool,
    numbers: &mut Numbers,
    each: impl FnOnce(&mut Numbers, Matrix<'_>),
) {
    let shape = |parts: (usize, usize)| (size.0.next_multiple_of(parts.0), size.1.next_multiple_of(parts.1));
    match form {
        Form::Dense => {
            let weights = Owned::new(numbers, is_half, size.0 * size.1);
            each(numbers, Matrix::dense(size, weights.floats()).unwrap());
        }
        Form::Blockwise(kind, offset_kind, blocks) => {
            let shape = shape(blocks);
            let integers = |bytes: &'static [u8], signed: &'static [i8]| match kind {
                0 => Integers::I8(signed),
                1 => Integers::U8(bytes),
                2 => Integers::I4(bytes),
                _ => Integers::U4(bytes),
            };
            let count = |count: usize| if kind < 2 { count } else { count.div_ceil(2) };
            let mut made = |count: usize| {
                let bytes = numbers.bytes(count);
                let signed: Vec<i8> = bytes.iter().map(|byte| *byte as i8).collect();
                integers(bytes.leak(), signed.leak())
            };
            let data = made(count(shape.0 * shape.1));
            let offsets = made(count(blocks.0 * blocks.1));
            let scale = Owned::new(numbers, is_half, blocks.0 * blocks.1);
            let floats = Owned::new(numbers, !is_half, blocks.0 * blocks.1);
            let offset = match offset_kind {
                0 => None,
                1 => Some(Offsets::Integers(offsets)),
                _ => Some(Offsets::Floats(floats.floats())),
            };
            let weights = Blockwise { data, blocks, scale: scale.floats(), offset };
            each(numbers, Matrix::blockwise(shape, weights).unwrap());
        }
        Form::Palettized(bits, groups, scaled) => {
            let shape = shape(groups);
            let indices = numbers.bytes((shape.0 * shape.1 * bits as usize).div_ceil(8));
            let table = Owned::new(numbers, is_half, (groups.0 * groups.1) << bits);
            let scale = Owned::new(numbers, is_half, shape.0);
            let scale = scaled.then(|| scale.floats());
            let weights = Palettized { indices: &indices, bits, groups, table: table.floats(), scale };
            each(numbers, Matrix::palettized(shape, weights).unwrap());
        }
    }
}

/// An error unless numbers are those expected, within a share of the magnitudes that they are sums of.
fn check(what: &str, actual: &[f32], expected: &[(f64, f64)]) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (index, (actual, (expected, magnitude))) in actual.iter().zip(expected).enumerate() {
        let difference = (f64::from(*actual) - expected).abs();
        assert!(difference <= 1e-5 * magnitude + 1e-9, "{what}: [{index}] is {actual}, not {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn linear_layers(
        form in form(),
        rows in 1..140usize,
        // Whole steps of 32 numbers too, in a row or in each of 2, 3 and 7 parts.
        columns in prop_oneof![1..90usize, 90..700usize, (1..20usize).prop_map(|steps| 32 * steps), Just(1344usize)],
        inputs in prop_oneof![3 => 1..4usize, 2 => 4..40usize],
        is_half: bool,
        has_bias: bool,
        threads in 1..4usize,
        seed: u64,
    ) {
        with_matrix(form, (rows, columns), is_half, &mut Numbers::new(seed), |numbers, matrix| {
            let (rows, columns) = matrix.shape();
            let inputs = numbers.floats(inputs * columns);
            let bias = numbers.floats(rows);
            let bias = has_bias.then_some(&bias[..]);
            let expected = naive::linear(&matrix, &inputs, bias);
            for level in Level::all() {
                let mut outputs = vec![f32::NAN; expected.len()];
                let product = Product { matrix, bias, outputs: &mut outputs };
                linear::linear_with(level, &inputs, &mut [product], threads).unwrap();
                check(level.name(), &outputs, &expected);
            }
        });
    }

    #[test]
    fn rows(form in form(), rows in 1..20usize, columns in 1..300usize, is_half: bool, seed: u64) {
        with_matrix(form, (rows, columns), is_half, &mut Numbers::new(seed), |numbers, matrix| {
            let (rows, columns) = matrix.shape();
            let indices: Vec<i64> = (0..7).map(|_| (numbers.next() % rows as u64) as i64).collect();
            let mut dense = vec![f32::NAN; rows * columns];
            let mut some = vec![f32::NAN; indices.len() * columns];
            matrix.to_dense(&mut dense).unwrap();
            matrix.rows(&indices, &mut some).unwrap();
            // A weight is a difference times a scale, of which neither is above 255.
            let weight = |row, column| naive::weight(&matrix, row, column);
            let all = |row: usize| (0..columns).map(move |column| weight(row, column)).map(|value| (value, value.abs() + 0.1));
            check("all", &dense, &(0..rows).flat_map(all).collect::<Vec<_>>());
            check("some", &some, &indices.iter().flat_map(|row| all(*row as usize)).collect::<Vec<_>>());
        });
    }
}

#[test]
fn several_matrices_are_multiplied_at_once() {
    let mut numbers = Numbers::new(3);
    let (one, two) = (numbers.halves(70 * 96), numbers.floats(33 * 96));
    let matrices = [Matrix::dense((70, 96), Floats::F16(&one)).unwrap(), Matrix::dense((33, 96), Floats::F32(&two)).unwrap()];
    for count in [1, 3, 20] {
        let inputs = numbers.floats(count * 96);
        let mut outputs = matrices.map(|matrix| vec![0.0; count * matrix.shape().0]);
        let mut products: Vec<Product<'_>> =
            matrices.iter().zip(&mut outputs).map(|(matrix, outputs)| Product { matrix: *matrix, bias: None, outputs }).collect();
        linear(&inputs, &mut products, 2).unwrap();
        for (matrix, outputs) in matrices.iter().zip(&outputs) {
            check("several", outputs, &naive::linear(matrix, &inputs, None));
        }
    }
}

/// Whether it is an error that names this argument.
fn names(argument: &str, result: Result<()>) -> bool {
    matches!(result, Err(crate::Error::Argument { name, .. }) if name == argument)
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let shape = (4, 6);
    let dense = |count: usize| Matrix::dense(shape, Floats::F32(&vec![0.0; count])).map(|_| ());
    assert!(names("weights", dense(23)) && names("weights", dense(25)) && dense(24).is_ok());
    let shaped = |shape| Matrix::dense(shape, Floats::F32(&[])).map(|_| ());
    assert!(names("shape", shaped((0, 5))) && names("shape", shaped((usize::MAX, 2))) && names("shape", shaped((1 << 60, 1))));
    let blockwise = |data: usize, blocks: (usize, usize), scale: usize, offset: usize| {
        let (data, scale, offset) = (vec![0u8; data], vec![0.0; scale], vec![0u8; offset]);
        let offset = Some(Offsets::Integers(Integers::U4(&offset)));
        Matrix::blockwise(shape, Blockwise { data: Integers::U4(&data), blocks, scale: Floats::F32(&scale), offset }).map(|_| ())
    };
    assert!(blockwise(12, (4, 1), 4, 2).is_ok());
    assert!(names("data", blockwise(11, (4, 1), 4, 2)) && names("data", blockwise(24, (4, 1), 4, 2)));
    assert!(names("scale", blockwise(12, (4, 1), 3, 2)) && names("scale", blockwise(12, (3, 1), 3, 2)));
    assert!(names("scale", blockwise(12, (0, 1), 0, 2)) && names("scale", blockwise(12, (4, 7), 28, 2)));
    assert!(names("offset", blockwise(12, (4, 1), 4, 4)));
    let palettized = |bits: u32, indices: usize, groups, table: usize, scale: usize| {
        let (indices, table, scale) = (vec![0; indices], vec![0.0; table], vec![0.0; scale]);
        let (table, scale) = (Floats::F32(&table), Some(Floats::F32(&scale)));
        Matrix::palettized(shape, Palettized { indices: &indices, bits, groups, table, scale }).map(|_| ())
    };
    assert!(palettized(3, 9, (2, 1), 16, 4).is_ok());
    assert!(names("bits", palettized(5, 15, (2, 1), 64, 4)) && names("indices", palettized(3, 8, (2, 1), 16, 4)));
    assert!(names("lut", palettized(3, 9, (2, 1), 8, 4)) && names("lut", palettized(3, 9, (3, 1), 24, 4)));
    assert!(names("scale", palettized(3, 9, (2, 1), 16, 3)));

    let weights = [0.0; 24];
    let matrix = Matrix::dense(shape, Floats::F32(&weights)).unwrap();
    let product = |inputs: usize, outputs: usize, bias: usize| {
        let (mut outputs, bias) = (vec![0.0; outputs], vec![0.0; bias]);
        linear(&vec![0.0; inputs], &mut [Product { matrix, bias: Some(&bias), outputs: &mut outputs }], 1)
    };
    assert!(product(12, 8, 4).is_ok() && product(0, 0, 4).is_ok());
    assert!(names("x", product(11, 8, 4)) && names("out", product(12, 7, 4)) && names("bias", product(12, 8, 3)));
    assert!(names("indices", matrix.rows(&[0, -1], &mut [0.0; 12])) && names("indices", matrix.rows(&[4], &mut [0.0; 6])));
    assert!(names("out", matrix.rows(&[0, 1], &mut [0.0; 6])) && names("out", matrix.to_dense(&mut [0.0; 6])));
}

/// Heads of keys or values with room between heads and rows.
fn heads<'a>(elements: Floats<'a>, heads: usize, length: usize, width: usize, gap: (usize, usize)) -> Heads<'a> {
    let row_stride = width + gap.1;
    Heads { elements, heads, length, width, head_stride: length * row_stride + gap.0, row_stride }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn attention_over_keys_and_values(
        groups in 1..4usize,
        ratio in 1..4usize,
        queries in prop_oneof![Just(1usize), 2..40usize],
        keys in 1..150usize,
        width in 1..80usize,
        value_width in 1..140usize,
        gaps in (0..20usize, 0..3usize),
        is_half: (bool, bool),
        mask_kind in 0..3u8,
        threads in 1..3usize,
        seed: u64,
    ) {
        let mut numbers = Numbers::new(seed);
        let size = |width: usize| groups * (keys * (width + gaps.1) + gaps.0);
        let (k, v) = (Owned::new(&mut numbers, is_half.0, size(width)), Owned::new(&mut numbers, is_half.1, size(value_width)));
        let q = numbers.floats(groups * ratio * queries * width);
        let q = heads(Floats::F32(&q), groups * ratio, queries, width, (0, 0));
        let (k, v) = (heads(k.floats(), groups, keys, width, gaps), heads(v.floats(), groups, keys, value_width, gaps));
        let mut mask = numbers.floats(groups * ratio * queries * keys);
        for (index, value) in mask.iter_mut().enumerate() {
            // The first key is never left out.
            *value = match numbers.next() % 4 {
                0 if !index.is_multiple_of(keys) => f32::NEG_INFINITY,
                1 if !index.is_multiple_of(keys) => -30_000.0,
                _ => *value,
            };
        }
        let mask = match mask_kind {
            0 => None,
            1 => Some(Mask { values: &mask[..queries * keys], by_head: false }),
            _ => Some(Mask { values: &mask, by_head: true }),
        };
        let of = Attention { queries: q, keys: k, values: v, mask, scale: 0.37 };
        let expected = naive::attention(of);
        for level in Level::all() {
            let mut out = vec![f32::NAN; expected.len()];
            attention::attention_with(level, of, &mut out, threads).unwrap();
            check(level.name(), &out, &expected);
        }
    }

    #[test]
    fn passes_over_rows(length in 1..200usize, rows in 1..5usize, seed: u64, scale in 0.01..20.0f32) {
        let mut numbers = Numbers::new(seed);
        let mut made = |count: usize| numbers.floats(count).iter().map(|value| value * scale).collect::<Vec<_>>();
        let (values, weight, bias, other) = (made(rows * length), made(length), made(length), made(rows * length));
        let mut out = vec![f32::NAN; values.len()];
        let magnitude = f64::from(scale);
        let by_row = |each: &dyn Fn(&[f64]) -> Vec<f64>| -> Vec<(f64, f64)> {
            let rows = values.chunks(length).map(|row| row.iter().map(|value| f64::from(*value)).collect::<Vec<_>>());
            rows.flat_map(|row| each(&row)).map(|value| (value, value.abs() + 1e-2 * magnitude)).collect()
        };
        let at = |values: &[f32], index: usize| f64::from(values[index]);

        softmax(&values, length, &mut out, 1).unwrap();
        check("softmax", &out, &by_row(&naive::softmax).iter().map(|(value, _)| (*value, *value)).collect::<Vec<_>>());
        rms_norm(&values, length, Some(&weight), 1e-5, &mut out, 1).unwrap();
        let norm = |row: &[f64]| -> Vec<f64> {
            let mean = row.iter().map(|value| value * value).sum::<f64>() / length as f64;
            row.iter().enumerate().map(|(index, value)| value / (mean + 1e-5).sqrt() * at(&weight, index)).collect()
        };
        check("rms_norm", &out, &by_row(&norm));
        layer_norm(&values, length, Some(&weight), Some(&bias), 1e-2, &mut out, 1).unwrap();
        // The bias may take most of a number away.
        let norm = |row: &[f64]| -> Vec<f64> {
            let mean = row.iter().sum::<f64>() / length as f64;
            let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / length as f64;
            let normed = row.iter().map(|value| (value - mean) / (variance + 1e-2).sqrt()).enumerate();
            normed.map(|(index, value)| value * at(&weight, index) + at(&bias, index)).collect()
        };
        let of_both = by_row(&norm).iter().map(|(value, sum)| (*value, sum + magnitude)).collect::<Vec<_>>();
        check("layer_norm", &out, &of_both);

        let each = |each: &dyn Fn(f64) -> f64| by_row(&|row: &[f64]| row.iter().map(|value| each(*value)).collect());
        let sigmoid = |value: f64| 1.0 / (1.0 + (-value).exp());
        silu(&values, &mut out, 1).unwrap();
        check("silu", &out, &each(&|value| value * sigmoid(value)));
        gelu(&values, Gelu::Exact, &mut out, 1).unwrap();
        // A small value is the difference of two halves of the argument.
        let exact = values.iter().map(|value| f64::from(*value));
        let exact = exact.map(|value| (value / 2.0 * (1.0 + libm::erf(value / 2f64.sqrt())), value.abs()));
        check("gelu", &out, &exact.collect::<Vec<_>>());
        gelu(&values, Gelu::Sigmoid, &mut out, 1).unwrap();
        check("gelu by sigmoid", &out, &each(&|value| value * sigmoid(1.702 * value)));
        gelu(&values, Gelu::Tanh, &mut out, 1).unwrap();
        let inner = |value: f64| (2.0 / std::f64::consts::PI).sqrt() * (value + 0.044715 * value.powi(3));
        check("gelu by tanh", &out, &each(&|value| value / 2.0 * (1.0 + inner(value).tanh())));
        silu_product(&values, &other, &mut out, 1).unwrap();
        let product = values.iter().zip(&other).map(|(gate, up)| f64::from(*gate) * sigmoid(f64::from(*gate)) * f64::from(*up));
        check("silu_product", &out, &product.map(|value| (value, value.abs())).collect::<Vec<_>>());
    }

    #[test]
    fn rotary_embedding(half in 1..40usize, positions in 1..5usize, heads in 1..4usize, seed: u64) {
        let mut numbers = Numbers::new(seed);
        let width = 2 * half;
        let (values, cos) = (numbers.floats(heads * positions * width), numbers.floats(positions * width));
        let sin = numbers.floats(positions * width);
        let mut out = vec![f32::NAN; values.len()];
        rotary(&values, width, &cos, &sin, &mut out, 1).unwrap();
        let expected: Vec<(f64, f64)> = (0..values.len()).map(|index| {
            let (angle, place) = (index % (positions * width), index % width);
            let other = if place < half { -values[index + half] } else { values[index - half] };
            let value = f64::from(values[index]) * f64::from(cos[angle]) + f64::from(other) * f64::from(sin[angle]);
            (value, 1.0)
        }).collect();
        check("rotary", &out, &expected);
    }
}

#[test]
fn passes_agree_on_one_thread_and_on_several() {
    let mut numbers = Numbers::new(11);
    let (values, other) = (numbers.floats(300 * 301), numbers.floats(300 * 301));
    let mut outs = [vec![0.0; values.len()], vec![0.0; values.len()]];
    for (threads, out) in [1, 3].into_iter().zip(&mut outs) {
        rms_norm(&values, 301, None, 1e-6, out, threads).unwrap();
        let normed = out.clone();
        silu_product(&normed, &other, out, threads).unwrap();
        let product = out.clone();
        rotary(&product, 300, &values[..2100], &other[..2100], out, threads).unwrap();
        let turned = out.clone();
        softmax(&turned, 43, out, threads).unwrap();
    }
    assert_eq!(outs[0], outs[1]);
}

#[test]
fn a_row_of_minus_infinity_is_no_number_and_no_crash() {
    let minus = [f32::NEG_INFINITY; 12];
    let mut out = [0.0; 12];
    softmax(&minus, 12, &mut out, 1).unwrap();
    assert!(out.iter().all(|value| value.is_nan()));
    let numbers = [0.5; 24];
    let queries = heads(Floats::F32(&numbers[..2]), 1, 1, 2, (0, 0));
    let keys = heads(Floats::F32(&numbers), 1, 12, 2, (0, 0));
    let mask = Some(Mask { values: &minus, by_head: false });
    attention(Attention { queries, keys, values: keys, mask, scale: 1.0 }, &mut out[..2], 1).unwrap();
    assert!(out[..2].iter().all(|value| value.is_nan()));
}

#[test]
fn a_mask_that_is_no_number_makes_its_row_none() {
    let numbers = [0.5; 120];
    let (rows, keys, row) = (16, 60, 3);
    // In a block of keys that is left out for all other rows.
    let mut mask: Vec<f32> = (0..rows * keys).map(|index| if index % keys < 50 { f32::NEG_INFINITY } else { 0.0 }).collect();
    mask[row * keys] = f32::NAN;
    let queries = heads(Floats::F32(&numbers[..2 * rows]), 1, rows, 2, (0, 0));
    let keys = heads(Floats::F32(&numbers), 1, keys, 2, (0, 0));
    let of = Attention { queries, keys, values: keys, mask: Some(Mask { values: &mask, by_head: false }), scale: 1.0 };
    for level in Level::all() {
        let mut out = vec![0.0; 2 * rows];
        attention::attention_with(level, of, &mut out, 1).unwrap();
        assert!(out.chunks(2).enumerate().all(|(index, out)| out.iter().all(|value| value.is_nan() == (index == row))));
    }
}

#[test]
fn attention_of_sizes_that_do_not_fit_is_refused() {
    let numbers = vec![0.0; 1000];
    let of = |count: usize, number: usize, length: usize, width: usize| {
        heads(Floats::F32(&numbers[..count]), number, length, width, (0, 0))
    };
    let run = |q, k, v, mask: usize, out: usize| {
        let mask = Some(Mask { values: &numbers[..mask], by_head: false });
        attention(Attention { queries: q, keys: k, values: v, mask, scale: 1.0 }, &mut vec![0.0; out], 1)
    };
    let (q, k) = (of(48, 4, 3, 4), of(40, 2, 5, 4));
    assert!(run(q, k, k, 15, 48).is_ok());
    assert!(names("q", run(of(47, 4, 3, 4), k, k, 15, 48)) && names("k", run(q, of(39, 2, 5, 4), k, 15, 48)));
    assert!(names("v", run(q, k, of(39, 2, 5, 4), 15, 48)) && names("v", run(q, k, of(32, 2, 4, 4), 15, 48)));
    assert!(names("k", run(q, of(60, 3, 5, 4), k, 15, 48)) && names("k", run(q, of(30, 2, 5, 3), k, 15, 48)));
    assert!(names("mask", run(q, k, k, 14, 48)) && names("out", run(q, k, k, 15, 47)));
    let lying = Heads { head_stride: usize::MAX, ..k };
    assert!(names("k", run(q, lying, k, 15, 48)));
}
