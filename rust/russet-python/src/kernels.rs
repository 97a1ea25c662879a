//! The numeric kernels: `Matrix`, attention, and passes over rows.

use numpy::{PyArrayDyn, PyArrayMethods, PyUntypedArray};
use pyo3::prelude::*;
use russet::kernels::{self, Attention, Blockwise, Floats, Gelu, Heads, Integers, Mask, Matrix, Offsets, Palettized, Product};
use russet::Result;
use std::ops::Range;

use crate::detach;
use crate::error::{argument, exception};
use crate::float_arrays::{Kept, Kind, Read, Written};

/// An array that a kernel reads.
type Array<'py> = Bound<'py, PyUntypedArray>;
/// What a kernel gives.
type Numbers<'py> = Bound<'py, PyArrayDyn<f32>>;

const FLOATS: &[Kind] = &[Kind::F32, Kind::F16];

/// Runs a kernel; one that reads and computes a lot, as counted in bytes read from memory, leaves the interpreter.
fn run(py: Python<'_>, bytes: usize, work: impl FnOnce() -> Result<()> + Send) -> PyResult<()> {
    // Kernels take a tenth of the time that texts take, and their memory is that of the caller: nothing to look for meanwhile.
    detach::run(py, bytes / 16, |_| work())
}

/// Integers of four or eight bits.
#[derive(Clone, Copy, Debug)]
struct IntegerType {
    bits: u32,
    is_signed: bool,
}

impl IntegerType {
    fn of(self, array: &Kept) -> Integers<'_> {
        match (self.bits, self.is_signed) {
            (4, true) => Integers::I4(array.unsigned()),
            (4, false) => Integers::U4(array.unsigned()),
            (_, true) => Integers::I8(array.signed()),
            (_, false) => Integers::U8(array.unsigned()),
        }
    }

    /// How arrays hold them.
    fn kind(self) -> Kind {
        if self.bits == 8 && self.is_signed {
            Kind::I8
        } else {
            Kind::U8
        }
    }
}

/// The arrays of a matrix.
#[derive(Debug)]
enum Parts {
    Dense(Kept),
    Blockwise { data: Kept, integers: IntegerType, blocks: (usize, usize), scale: Kept, offset: Option<Kept> },
    Palettized { indices: Kept, bits: u32, groups: (usize, usize), table: Kept, scale: Option<Kept> },
}

/// Weights of a linear layer or an embedding, read in place from the arrays that it is made of.
///
/// A row for each output and a column for each input. The arrays, which may be parts of files mapped into memory, are kept and must
/// not be changed.
#[pyclass(frozen, module = "russet._core", name = "Matrix")]
pub struct PyMatrix {
    shape: (usize, usize),
    parts: Parts,
}

impl PyMatrix {
    /// A matrix whose sizes fit.
    fn checked(py: Python<'_>, shape: (usize, usize), parts: Parts) -> PyResult<Self> {
        let matrix = Self { shape, parts };
        matrix.matrix().map_err(|error| exception(py, &error))?;
        Ok(matrix)
    }

    fn matrix(&self) -> Result<Matrix<'_>> {
        match &self.parts {
            Parts::Dense(weights) => Matrix::dense(self.shape, weights.floats()),
            Parts::Blockwise { data, integers, blocks, scale, offset } => {
                let offset = offset.as_ref().map(|offset| match offset.memory.kind {
                    Kind::F32 | Kind::F16 => Offsets::Floats(offset.floats()),
                    Kind::I8 | Kind::U8 => Offsets::Integers(integers.of(offset)),
                });
                let weights = Blockwise { data: integers.of(data), blocks: *blocks, scale: scale.floats(), offset };
                Matrix::blockwise(self.shape, weights)
            }
            Parts::Palettized { indices, bits, groups, table, scale } => {
                let scale = scale.as_ref().map(Kept::floats);
                let indices = indices.unsigned();
                let weights = Palettized { indices, bits: *bits, groups: *groups, table: table.floats(), scale };
                Matrix::palettized(self.shape, weights)
            }
        }
    }

    /// The addresses of all that it reads.
    fn bytes(&self) -> [Range<usize>; 3] {
        let of = |part: &Option<Kept>| part.as_ref().map_or(0..0, |part| part.memory.bytes());
        match &self.parts {
            Parts::Dense(weights) => [weights.memory.bytes(), 0..0, 0..0],
            Parts::Blockwise { data, scale, offset, .. } => [data.memory.bytes(), scale.memory.bytes(), of(offset)],
            Parts::Palettized { indices, table, scale, .. } => [indices.memory.bytes(), table.memory.bytes(), of(scale)],
        }
    }

    /// The shape of what is made of an array of this shape by taking its last axis for columns.
    fn output_shape(&self, py: Python<'_>, x: &Read<'_, '_>) -> PyResult<Vec<usize>> {
        let (rows, columns) = self.shape;
        match x.shape().split_last() {
            Some((last, others)) if *last == columns => Ok(others.iter().copied().chain([rows]).collect()),
            _ => Err(argument(py, "x", format!("shape {:?}; the matrix has {columns} columns", x.shape()))),
        }
    }
}

/// The two numbers of the shape of an array of two axes.
fn two_axes(array: &Array<'_>, name: &'static str) -> PyResult<(usize, usize)> {
    use numpy::PyUntypedArrayMethods;
    match array.shape() {
        [rows, columns] => Ok((*rows, *columns)),
        shape => Err(argument(array.py(), name, format!("shape {shape:?}; it must have two axes"))),
    }
}

#[pymethods]
impl PyMatrix {
    /// Weights as they are, (N, K), of float16 or float32.
    #[staticmethod]
    fn dense(weights: &Array<'_>) -> PyResult<Self> {
        let kept = Kept::new(weights, "weights", FLOATS)?;
        Self::checked(weights.py(), two_axes(weights, "weights")?, Parts::Dense(kept))
    }

    /// Blocks of integers: a weight is `scale * (data - offset)`, as in `constexpr_blockwise_shift_scale`.
    ///
    /// `data` holds `shape` integers of 4 or 8 `bits`: an array of int8 or uint8, or of uint8 with two integers each, the lower half
    /// first. `scale` (float16 or float32) has two axes that divide those of the shape; `offset`, of its shape, is floating-point or
    /// holds integers as `data` does.
    ///
    /// Raises `ArgumentError` for arrays of other types or sizes.
    #[staticmethod]
    #[pyo3(signature = (data, bits, is_signed, shape, scale, offset = None))]
    fn blockwise(
        data: &Array<'_>,
        bits: u32,
        is_signed: bool,
        shape: (usize, usize),
        scale: &Array<'_>,
        offset: Option<&Array<'_>>,
    ) -> PyResult<Self> {
        let py = data.py();
        if !matches!(bits, 4 | 8) {
            return Err(argument(py, "bits", format!("{bits}; it must be 4 or 8")));
        }
        let integers = IntegerType { bits, is_signed };
        let blocks = two_axes(scale, "scale")?;
        let data = Kept::new(data, "data", &[integers.kind()])?;
        let scale = Kept::new(scale, "scale", FLOATS)?;
        let offset_kinds = [Kind::F32, Kind::F16, integers.kind()];
        let offset = Kept::optional(offset, "offset", &offset_kinds)?;
        Self::checked(py, shape, Parts::Blockwise { data, integers, blocks, scale, offset })
    }

    /// Indices into tables: a weight is the number that its index names in its group's table, as in `constexpr_lut_to_dense`.
    ///
    /// `indices` (uint8) holds `shape` indices of 1, 2, 3, 4, 6 or 8 `bits` without gaps, the lowest bits of a byte first. `lut`
    /// (float16 or float32) has the shape (groups of rows, groups of columns, 2 ** bits). `scale`, N numbers, multiplies rows.
    ///
    /// Raises `ArgumentError` for arrays of other types or sizes.
    #[staticmethod]
    #[pyo3(signature = (indices, bits, shape, lut, scale = None))]
    fn palettized(
        indices: &Array<'_>,
        bits: u32,
        shape: (usize, usize),
        lut: &Array<'_>,
        scale: Option<&Array<'_>>,
    ) -> PyResult<Self> {
        use numpy::PyUntypedArrayMethods;
        let py = indices.py();
        let &[row_groups, column_groups, _] = lut.shape() else {
            return Err(argument(py, "lut", format!("shape {:?}; it must have three axes", lut.shape())));
        };
        let groups = (row_groups, column_groups);
        let indices = Kept::new(indices, "indices", &[Kind::U8])?;
        let table = Kept::new(lut, "lut", FLOATS)?;
        let scale = Kept::optional(scale, "scale", FLOATS)?;
        Self::checked(py, shape, Parts::Palettized { indices, bits, groups, table, scale })
    }

    /// (N, K).
    #[getter]
    fn shape(&self) -> (usize, usize) {
        self.shape
    }

    /// How many bytes it reads, scales and tables included.
    #[getter]
    fn nbytes(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.matrix().map_err(|error| exception(py, &error))?.size_in_bytes())
    }

    /// `x @ W.T + bias`: x (..., K), bias (N), result (..., N), all of float32.
    ///
    /// `out` is an array to fill in place of a new one. `threads` is 0 for `RUSSET_NUM_THREADS`, or else all cores.
    ///
    /// Raises `ArgumentError` for arrays of other types or sizes, or whose elements do not lie side by side.
    #[pyo3(signature = (x, bias = None, out = None, threads = 0))]
    fn linear<'py>(
        &self,
        py: Python<'py>,
        x: &Array<'py>,
        bias: Option<&Array<'py>>,
        out: Option<&Array<'py>>,
        threads: usize,
    ) -> PyResult<Numbers<'py>> {
        let x = Read::f32(x, "x")?;
        let bias = Read::optional(bias, "bias")?;
        let [weights, scales, offsets] = self.bytes();
        let bias_bytes = bias.as_ref().map_or(0..0, |bias| bias.memory.bytes());
        let read = [x.memory.bytes(), bias_bytes, weights, scales, offsets];
        let mut out = Written::new(py, out, &self.output_shape(py, &x)?, &read)?;
        let matrix = self.matrix().map_err(|error| exception(py, &error))?;
        let (inputs, bias, outputs) = (x.numbers(), bias.as_ref().map(Read::numbers), out.numbers());
        let bytes = matrix.size_in_bytes();
        run(py, bytes, || kernels::linear(inputs, &mut [Product { matrix, bias, outputs }], threads))?;
        Ok(out.into_array())
    }

    /// [`linear`](Self::linear) of the same x with several matrices, in one call: a list of results.
    ///
    /// `biases` has an array or None for each matrix.
    #[staticmethod]
    #[pyo3(signature = (matrices, x, biases = None, threads = 0))]
    fn linear_many<'py>(
        py: Python<'py>,
        matrices: Vec<Bound<'py, Self>>,
        x: &Array<'py>,
        biases: Option<Vec<Option<Array<'py>>>>,
        threads: usize,
    ) -> PyResult<Vec<Numbers<'py>>> {
        let x = Read::f32(x, "x")?;
        let biases = biases.unwrap_or_else(|| vec![None; matrices.len()]);
        if biases.len() != matrices.len() {
            return Err(argument(py, "biases", format!("{} for {} matrices", biases.len(), matrices.len())));
        }
        let biases: Vec<Option<Read<'_, '_>>> =
            biases.iter().map(|bias| Read::optional(bias.as_ref(), "biases")).collect::<PyResult<_>>()?;
        let mut outs = Vec::with_capacity(matrices.len());
        for matrix in &matrices {
            outs.push(Written::new(py, None, &matrix.get().output_shape(py, &x)?, &[])?);
        }
        let mut products = Vec::with_capacity(matrices.len());
        for ((matrix, bias), out) in matrices.iter().zip(&biases).zip(&mut outs) {
            let matrix = matrix.get().matrix().map_err(|error| exception(py, &error))?;
            products.push(Product { matrix, bias: bias.as_ref().map(Read::numbers), outputs: out.numbers() });
        }
        let inputs = x.numbers();
        let bytes = products.iter().map(|product| product.matrix.size_in_bytes()).sum();
        run(py, bytes, || kernels::linear(inputs, &mut products, threads))?;
        Ok(outs.into_iter().map(Written::into_array).collect())
    }

    /// The rows that indices name: indices (...) of int32 or int64, result (..., K) of float32.
    ///
    /// Raises `ArgumentError` for an index below 0 or from N on.
    #[pyo3(signature = (indices, out = None))]
    fn rows<'py>(&self, py: Python<'py>, indices: &Array<'py>, out: Option<&Array<'py>>) -> PyResult<Numbers<'py>> {
        use numpy::PyUntypedArrayMethods;
        let wanted: Vec<i64> = if let Ok(indices) = indices.cast::<PyArrayDyn<i32>>() {
            indices.try_readonly()?.as_array().iter().map(|index| i64::from(*index)).collect()
        } else if let Ok(indices) = indices.cast::<PyArrayDyn<i64>>() {
            indices.try_readonly()?.as_array().iter().copied().collect()
        } else {
            return Err(argument(py, "indices", format!("an array of {}; it must be of int32 or int64", indices.dtype())));
        };
        let shape: Vec<usize> = indices.shape().iter().copied().chain([self.shape.1]).collect();
        let mut out = Written::new(py, out, &shape, &self.bytes())?;
        let matrix = self.matrix().map_err(|error| exception(py, &error))?;
        let numbers = out.numbers();
        run(py, numbers.len(), || matrix.rows(&wanted, numbers))?;
        Ok(out.into_array())
    }

    /// All weights, (N, K), of float32.
    #[pyo3(name = "to_dense", signature = (out = None))]
    fn to_dense<'py>(&self, py: Python<'py>, out: Option<&Array<'py>>) -> PyResult<Numbers<'py>> {
        let mut out = Written::new(py, out, &[self.shape.0, self.shape.1], &self.bytes())?;
        let matrix = self.matrix().map_err(|error| exception(py, &error))?;
        let numbers = out.numbers();
        run(py, numbers.len(), || matrix.to_dense(numbers))?;
        Ok(out.into_array())
    }

    fn __repr__(&self) -> String {
        let form = match &self.parts {
            Parts::Dense(_) => "dense".to_owned(),
            Parts::Blockwise { integers, blocks, .. } => {
                format!("{}int{} in blocks {blocks:?}", if integers.is_signed { "" } else { "u" }, integers.bits)
            }
            Parts::Palettized { bits, groups, .. } => format!("{bits} bits in groups {groups:?}"),
        };
        format!("<Matrix {:?} {form}>", self.shape)
    }
}

/// `softmax(q @ k.T * scale + mask) @ v` by head: q (H, L, D), k (G, S, D), v (G, S, E), result (H, L, E) of float32.
///
/// q, k and v are of float32 or float16; the numbers of a row lie side by side, rows and heads may have any distance. G divides H:
/// head h uses the keys and values of h // (H / G). `mask` (L, S), (1, L, S) or (H, L, S) of float32 is added to the scores. `scale`
/// is 1 / sqrt(D) if it is not given. `out` is an array to fill in place of a new one.
///
/// Raises `ArgumentError` for arrays of other types or sizes.
#[pyfunction]
#[pyo3(signature = (q, k, v, mask = None, scale = None, out = None, threads = 0))]
pub fn attention<'py>(
    py: Python<'py>,
    q: &Array<'py>,
    k: &Array<'py>,
    v: &Array<'py>,
    mask: Option<&Array<'py>>,
    scale: Option<f32>,
    out: Option<&Array<'py>>,
    threads: usize,
) -> PyResult<Numbers<'py>> {
    let (q, [heads, length, width], q_strides) = Read::heads(q, "q")?;
    let (k, k_shape, k_strides) = Read::heads(k, "k")?;
    let (v, v_shape, v_strides) = Read::heads(v, "v")?;
    let mask = Read::optional(mask, "mask")?;
    let by_head = match mask.as_ref().map(Read::shape) {
        Some([of_heads, rows, keys]) if *of_heads == heads && [*rows, *keys] == [length, k_shape[1]] => true,
        None | Some([_, _] | [1, _, _]) => false,
        Some(shape) => {
            let message = format!("shape {shape:?} for {heads} heads of {length} rows and {} keys", k_shape[1]);
            return Err(argument(py, "mask", message));
        }
    };
    let read = [q.memory.bytes(), k.memory.bytes(), v.memory.bytes(), mask.as_ref().map_or(0..0, |mask| mask.memory.bytes())];
    let mut out = Written::new(py, out, &[heads, length, v_shape[2]], &read)?;
    let queries = heads_of(q.floats(), [heads, length, width], q_strides);
    let (keys, values) = (heads_of(k.floats(), k_shape, k_strides), heads_of(v.floats(), v_shape, v_strides));
    let mask = mask.as_ref().map(|mask| Mask { values: mask.numbers(), by_head });
    let scale = scale.unwrap_or_else(|| 1.0 / (width as f32).sqrt());
    let bytes = 2 * heads * length * k_shape[1] * width;
    let numbers = out.numbers();
    run(py, bytes, || kernels::attention(Attention { queries, keys, values, mask, scale }, numbers, threads))?;
    Ok(out.into_array())
}

fn heads_of(elements: Floats<'_>, [heads, length, width]: [usize; 3], [head_stride, row_stride]: [usize; 2]) -> Heads<'_> {
    Heads { elements, heads, length, width, head_stride, row_stride }
}

/// Runs a pass over rows of `x`, the last axis, whose length `work` is told.
fn pass<'py>(
    py: Python<'py>,
    x: &Array<'py>,
    others: &[(Option<&Array<'py>>, &'static str)],
    out: Option<&Array<'py>>,
    work: impl FnOnce(&[f32], usize, &[Option<&[f32]>], &mut [f32]) -> Result<()> + Send,
) -> PyResult<Numbers<'py>> {
    let x = Read::f32(x, "x")?;
    let others: Vec<Option<Read<'_, '_>>> =
        others.iter().map(|(other, name)| Read::optional(*other, name)).collect::<PyResult<_>>()?;
    let mut read = vec![x.memory.bytes()];
    read.extend(others.iter().flatten().map(|other| other.memory.bytes()));
    let mut out = Written::new(py, out, x.shape(), &read)?;
    let others: Vec<Option<&[f32]>> = others.iter().map(|other| other.as_ref().map(Read::numbers)).collect();
    let Some(length) = x.shape().last().copied() else {
        return Err(argument(py, "x", "a number; it must have an axis"));
    };
    let (values, numbers) = (x.numbers(), out.numbers());
    if !values.is_empty() {
        run(py, 4 * values.len(), || work(values, length, &others, numbers))?;
    }
    Ok(out.into_array())
}

/// Softmax over the last axis: x (...) of float32, result of its shape.
#[pyfunction]
#[pyo3(signature = (x, out = None, threads = 0))]
pub fn softmax<'py>(py: Python<'py>, x: &Array<'py>, out: Option<&Array<'py>>, threads: usize) -> PyResult<Numbers<'py>> {
    pass(py, x, &[], out, |x, length, _, out| kernels::softmax(x, length, out, threads))
}

/// `x / sqrt(mean(x ** 2) + eps) * weight` over the last axis: x (..., K) and weight (K) of float32.
#[pyfunction]
#[pyo3(signature = (x, weight = None, eps = 1e-5, out = None, threads = 0))]
pub fn rms_norm<'py>(
    py: Python<'py>,
    x: &Array<'py>,
    weight: Option<&Array<'py>>,
    eps: f32,
    out: Option<&Array<'py>>,
    threads: usize,
) -> PyResult<Numbers<'py>> {
    pass(py, x, &[(weight, "weight")], out, |x, length, others, out| kernels::rms_norm(x, length, others[0], eps, out, threads))
}

/// `(x - mean(x)) / sqrt(var(x) + eps) * weight + bias` over the last axis: x (..., K), weight and bias (K) of float32.
#[pyfunction]
#[pyo3(signature = (x, weight = None, bias = None, eps = 1e-5, out = None, threads = 0))]
pub fn layer_norm<'py>(
    py: Python<'py>,
    x: &Array<'py>,
    weight: Option<&Array<'py>>,
    bias: Option<&Array<'py>>,
    eps: f32,
    out: Option<&Array<'py>>,
    threads: usize,
) -> PyResult<Numbers<'py>> {
    pass(py, x, &[(weight, "weight"), (bias, "bias")], out, |x, length, others, out| {
        kernels::layer_norm(x, length, others[0], others[1], eps, out, threads)
    })
}

/// `x * cos + rotate_half(x) * sin`: x (..., L, D), cos and sin (L, D), all of float32.
#[pyfunction]
#[pyo3(signature = (x, cos, sin, out = None, threads = 0))]
pub fn rotary<'py>(
    py: Python<'py>,
    x: &Array<'py>,
    cos: &Array<'py>,
    sin: &Array<'py>,
    out: Option<&Array<'py>>,
    threads: usize,
) -> PyResult<Numbers<'py>> {
    pass(py, x, &[(Some(cos), "cos"), (Some(sin), "sin")], out, |x, width, others, out| {
        let [cos, sin] = [others[0], others[1]].map(Option::unwrap_or_default);
        kernels::rotary(x, width, cos, sin, out, threads)
    })
}

/// `x * sigmoid(x)`, of float32.
#[pyfunction]
#[pyo3(signature = (x, out = None, threads = 0))]
pub fn silu<'py>(py: Python<'py>, x: &Array<'py>, out: Option<&Array<'py>>, threads: usize) -> PyResult<Numbers<'py>> {
    pass(py, x, &[], out, |x, _, _, out| kernels::silu(x, out, threads))
}

/// `gate * sigmoid(gate) * up`, of float32 and one shape.
#[pyfunction]
#[pyo3(signature = (gate, up, out = None, threads = 0))]
pub fn silu_product<'py>(
    py: Python<'py>,
    gate: &Array<'py>,
    up: &Array<'py>,
    out: Option<&Array<'py>>,
    threads: usize,
) -> PyResult<Numbers<'py>> {
    pass(py, gate, &[(Some(up), "up")], out, |gate, _, others, out| {
        kernels::silu_product(gate, others[0].unwrap_or_default(), out, threads)
    })
}

/// GELU of float32; `mode` is "exact", "tanh" or "sigmoid" (or MIL's "EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION").
#[pyfunction]
#[pyo3(signature = (x, mode = "exact", out = None, threads = 0))]
pub fn gelu<'py>(py: Python<'py>, x: &Array<'py>, mode: &str, out: Option<&Array<'py>>, threads: usize) -> PyResult<Numbers<'py>> {
    let mode = match mode {
        "exact" | "EXACT" => Gelu::Exact,
        "tanh" | "TANH_APPROXIMATION" => Gelu::Tanh,
        "sigmoid" | "SIGMOID_APPROXIMATION" => Gelu::Sigmoid,
        _ => return Err(argument(py, "mode", format!("{mode:?}; it must be \"exact\", \"tanh\" or \"sigmoid\""))),
    };
    pass(py, x, &[], out, |x, _, _, out| kernels::gelu(x, mode, out, threads))
}
