"""The numeric kernels beside NumPy: what a package's operations are computed with."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from russet import _core as kernels
from russet._core import Matrix
from russet.errors import ArgumentError

RNG = np.random.default_rng(7)
Floats = NDArray[np.float32]


def floats(*shape: int) -> Floats:
    return RNG.normal(0, 1, shape).astype(np.float32)


def packed(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Values of some bits without gaps, the lowest bits of a byte first."""
    each = np.unpackbits(values.astype(np.uint8).reshape(-1, 1), axis=1, bitorder="little")[:, :bits]
    return np.packbits(each.reshape(-1), bitorder="little")


def blockwise(
    bits: int, is_signed: bool, blocks: tuple[int, int], dtype: type[Any], offset: bool
) -> tuple[Matrix, NDArray[np.float64]]:
    rows, columns = 48, 128
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if is_signed else (0, 2**bits)
    data = RNG.integers(low, high, (rows, columns))
    scale = RNG.uniform(0.01, 0.1, blocks).astype(dtype)
    offsets = RNG.integers(low, high, blocks)

    def stored(values: NDArray[Any]) -> NDArray[Any]:
        return packed(values & 15, 4) if bits == 4 else values.astype(np.int8 if is_signed else np.uint8)

    matrix = Matrix.blockwise(stored(data), bits, is_signed, (rows, columns), scale, stored(offsets) if offset else None)

    def spread(values: NDArray[Any]) -> NDArray[Any]:
        return np.repeat(np.repeat(values.astype(np.float64), rows // blocks[0], 0), columns // blocks[1], 1)

    return matrix, spread(scale) * (data - (spread(offsets) if offset else 0))


def check(matrix: Matrix, dense: NDArray[Any]) -> None:
    assert matrix.shape == dense.shape
    assert np.allclose(matrix.to_dense(), dense, rtol=1e-6, atol=1e-7)
    indices = RNG.integers(0, dense.shape[0], (2, 3))
    assert np.allclose(matrix.rows(indices), dense[indices], rtol=1e-6, atol=1e-7)
    assert np.array_equal(matrix.rows(indices.astype(np.int32)), matrix.rows(indices))
    bias = floats(dense.shape[0])
    for shape in [(1,), (3,), (40,), (), (2, 2)]:
        x = floats(*shape, dense.shape[1])
        y = matrix.linear(x, bias)
        expected = x.astype(np.float64) @ dense.T + bias
        assert (y.dtype, y.shape) == (np.float32, expected.shape)
        assert np.abs(y - expected).max() < 1e-4 * np.abs(expected).max()
        out = np.empty_like(y)
        assert matrix.linear(x, bias, out, 2) is out
        assert np.allclose(out, y, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_dense_weights(dtype: type[Any]) -> None:
    weights = floats(50, 77).astype(dtype)
    check(Matrix.dense(weights), weights.astype(np.float64))
    assert Matrix.dense(weights).nbytes == weights.nbytes


@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("blocks", [(48, 1), (1, 1), (48, 4), (2, 8), (1, 128)])
@pytest.mark.parametrize(("bits", "is_signed"), [(4, True), (4, False), (8, True), (8, False)])
def test_blocks_of_integers(bits: int, is_signed: bool, blocks: tuple[int, int], dtype: type[Any], offset: bool) -> None:
    check(*blockwise(bits, is_signed, blocks, dtype, offset))


@pytest.mark.parametrize("groups", [(1, 1), (3, 1), (1, 4), (6, 2)])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_indices_into_tables(bits: int, groups: tuple[int, int], dtype: type[Any]) -> None:
    rows, columns = 36, 88
    indices = RNG.integers(0, 2**bits, (rows, columns))
    lut = floats(*groups, 2**bits).astype(dtype)
    scale = floats(rows, 1).astype(dtype)
    group = np.ix_(np.arange(rows) // (rows // groups[0]), np.arange(columns) // (columns // groups[1]))
    dense = lut.astype(np.float64)[group[0], group[1], indices]
    check(Matrix.palettized(packed(indices, bits), bits, (rows, columns), lut), dense)
    check(Matrix.palettized(packed(indices, bits), bits, (rows, columns), lut, scale), dense * scale)


def test_weights_are_read_in_place_from_a_mapped_file(tmp_path: Path) -> None:
    weights = floats(64, 96).astype(np.float16)
    file = tmp_path / "weights"
    file.write_bytes(bytes(64) + weights.tobytes())
    mapped = np.memmap(file, np.float16, "r", 64, (64, 96))
    matrix = Matrix.dense(mapped)
    del mapped
    x = floats(1, 96)
    assert np.allclose(matrix.linear(x), x @ weights.astype(np.float32).T, atol=1e-4)


def test_several_matrices_in_one_call() -> None:
    weights = [floats(rows, 64) for rows in (30, 10, 10)]
    matrices = [Matrix.dense(one) for one in weights]
    biases = [floats(30), None, floats(10)]
    for x in [floats(1, 64), floats(20, 64)]:
        results = Matrix.linear_many(matrices, x, biases)
        for matrix, bias, result in zip(matrices, biases, results, strict=True):
            assert np.allclose(result, matrix.linear(x, bias), atol=1e-5)


def reference_attention(q: NDArray[Any], k: NDArray[Any], v: NDArray[Any], mask: NDArray[Any] | None, scale: float) -> NDArray[Any]:
    ratio = q.shape[0] // k.shape[0]
    k, v = (np.repeat(one.astype(np.float64), ratio, 0) for one in (k, v))
    scores = q.astype(np.float64) @ k.transpose(0, 2, 1) * scale + (0 if mask is None else mask)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(("length", "keys"), [(1, 1), (1, 77), (5, 40), (33, 100), (128, 128)])
@pytest.mark.parametrize(("heads", "groups", "width"), [(4, 4, 64), (6, 2, 32), (3, 1, 20)])
def test_attention(heads: int, groups: int, width: int, length: int, keys: int, dtype: type[Any]) -> None:
    state = RNG.normal(0, 1, (2, groups, keys + 30, width)).astype(dtype)
    q, k, v = floats(heads, length, width), state[0, :, :keys], state[1, :, :keys]
    causal = np.where(np.arange(keys) > np.arange(length)[:, None] + keys - length, -np.inf, 0).astype(np.float32)
    for mask in [None, causal, causal[None], floats(heads, length, keys)]:
        expected = reference_attention(q, k, v, mask, width**-0.5)
        assert np.allclose(kernels.attention(q, k, v, mask), expected, atol=1e-5)
    by_row = np.ascontiguousarray(q.transpose(1, 0, 2)).transpose(1, 0, 2)
    expected = reference_attention(q, k, v, None, 0.5)
    assert np.allclose(kernels.attention(by_row, k, v, None, 0.5), expected, atol=1e-5)


def test_passes_over_rows() -> None:
    x, weight, bias = floats(5, 3, 70), floats(70), floats(70)
    wide = x.astype(np.float64)
    exp = np.exp(wide - wide.max(-1, keepdims=True))
    assert np.allclose(kernels.softmax(x), exp / exp.sum(-1, keepdims=True), atol=1e-7)
    rms = wide / np.sqrt((wide**2).mean(-1, keepdims=True) + 1e-6)
    assert np.allclose(kernels.rms_norm(x, weight, 1e-6), rms * weight, atol=1e-5)
    assert np.allclose(kernels.rms_norm(x, eps=1e-6), rms, atol=1e-5)
    centred = wide - wide.mean(-1, keepdims=True)
    normed = centred / np.sqrt(wide.var(-1, keepdims=True) + 1e-5)
    assert np.allclose(kernels.layer_norm(x, weight, bias), normed * weight + bias, atol=1e-5)
    sigmoid = 1 / (1 + np.exp(-wide))
    assert np.allclose(kernels.silu(x), wide * sigmoid, atol=1e-6)
    other = floats(*x.shape)
    assert np.allclose(kernels.silu_product(x, other), wide * sigmoid * other, atol=1e-6)
    cos, sin = floats(3, 70), floats(3, 70)
    turned = np.concatenate([-x[..., 35:], x[..., :35]], -1)
    assert np.allclose(kernels.rotary(x, cos, sin), x * cos + turned * sin, atol=1e-6)
    tanh = 0.5 * wide * (1 + np.tanh(np.sqrt(2 / np.pi) * (wide + 0.044715 * wide**3)))
    assert np.allclose(kernels.gelu(x, "TANH_APPROXIMATION"), tanh, atol=1e-6)
    assert np.allclose(kernels.gelu(x), tanh, atol=1e-3)
    assert np.allclose(kernels.gelu(x, "sigmoid"), wide / (1 + np.exp(-1.702 * wide)), atol=1e-6)
    out = np.empty_like(x)
    assert kernels.silu(x, out) is out
    assert kernels.softmax(np.empty((0, 4), np.float32)).shape == (0, 4)


MATRIX = Matrix.dense(np.ones((4, 6), np.float32))
X = np.ones((2, 6), np.float32)
WEIGHTS = np.ones((4, 6), np.float32)


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("weights", lambda: Matrix.dense(np.ones((4, 6)))),  # type: ignore[arg-type]
        ("weights", lambda: Matrix.dense(np.ones((4, 6), np.float32)[:, ::2])),
        ("weights", lambda: Matrix.dense(np.ones(4, np.float32))),
        ("weights", lambda: Matrix.dense(np.ones((4, 6), ">f4"))),
        ("weights", lambda: Matrix.dense(np.frombuffer(bytes(13), np.uint8)[1:13].view(np.float32).reshape(1, 3))),
        ("shape", lambda: Matrix.dense(np.ones((0, 6), np.float32))),
        ("data", lambda: Matrix.blockwise(np.ones(11, np.uint8), 4, True, (4, 6), np.ones((1, 1), np.float32))),
        ("data", lambda: Matrix.blockwise(np.ones(24, np.uint8), 8, True, (4, 6), np.ones((1, 1), np.float32))),
        ("bits", lambda: Matrix.blockwise(np.ones(24, np.uint8), 5, True, (4, 6), np.ones((1, 1), np.float32))),
        ("scale", lambda: Matrix.blockwise(np.ones(12, np.uint8), 4, True, (4, 6), np.ones((3, 1), np.float32))),
        ("indices", lambda: Matrix.palettized(np.ones(8, np.uint8), 3, (4, 6), np.ones((1, 1, 8), np.float32))),
        ("lut", lambda: Matrix.palettized(np.ones(9, np.uint8), 3, (4, 6), np.ones((1, 1, 7), np.float32))),
        ("bits", lambda: Matrix.palettized(np.ones(15, np.uint8), 5, (4, 6), np.ones((1, 1, 32), np.float32))),
        ("x", lambda: MATRIX.linear(np.ones((2, 5), np.float32))),
        ("x", lambda: MATRIX.linear(np.ones((2, 6)))),  # type: ignore[arg-type]
        ("bias", lambda: MATRIX.linear(X, np.ones(5, np.float32))),
        ("out", lambda: MATRIX.linear(X, None, np.ones((2, 5), np.float32))),
        ("out", lambda: MATRIX.linear(X, None, np.frombuffer(bytes(32), np.float32).reshape(2, 4))),
        ("out", lambda: kernels.silu(X, X)),
        ("out", lambda: Matrix.dense(WEIGHTS).linear(X, None, WEIGHTS.reshape(6, 4)[2:4])),
        ("indices", lambda: MATRIX.rows(np.array([4]))),
        ("indices", lambda: MATRIX.rows(np.array([-1]))),
        ("indices", lambda: MATRIX.rows(np.array([0.5]))),  # type: ignore[arg-type]
        ("biases", lambda: Matrix.linear_many([MATRIX], X, [])),
        ("x", lambda: Matrix.linear_many([MATRIX, Matrix.dense(np.ones((4, 5), np.float32))], X)),
        ("weight", lambda: kernels.rms_norm(X, np.ones(5, np.float32))),
        ("cos", lambda: kernels.rotary(X, np.ones((3, 6), np.float32), np.ones((3, 6), np.float32))),
        ("x", lambda: kernels.rotary(X[:, :5].copy(), np.ones((2, 5), np.float32), np.ones((2, 5), np.float32))),
        ("up", lambda: kernels.silu_product(X, X[:1])),
        ("mode", lambda: kernels.gelu(X, "nearly")),
        ("x", lambda: kernels.softmax(np.array(1, np.float32))),
        ("mask", lambda: kernels.attention(X[None], X[None], X[None], np.ones((2, 3), np.float32))),
        ("mask", lambda: kernels.attention(X[None], X[None], X[None], np.ones((2, 2, 2), np.float32))),
        ("q", lambda: kernels.attention(X, X[None], X[None])),
        ("k", lambda: kernels.attention(X[None], X[None, :, ::-1], X[None])),
        ("v", lambda: kernels.attention(X[None], X[None], X[None, :1])),
    ],
)
def test_arguments_that_do_not_fit_are_refused(argument: str, call: Callable[[], object]) -> None:
    with pytest.raises(ArgumentError) as raised:
        call()
    assert raised.value.argument == argument


def test_many_threads_may_share_a_matrix() -> None:
    weights = floats(700, 300)
    matrix, x = Matrix.dense(weights), floats(4, 300)
    expected = matrix.linear(x, threads=1)
    failures: list[object] = []

    def work() -> None:
        for _ in range(50):
            if not np.allclose(matrix.linear(x, threads=3), expected, atol=1e-5):
                failures.append(1)  # noqa: PERF401

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_its_own_threads() -> None:
    weights = floats(700, 300)
    matrix, x = Matrix.dense(weights), floats(4, 300)
    expected = matrix.linear(x, threads=3)
    child = os.fork()
    if child == 0:
        same = all(np.allclose(matrix.linear(x, threads=3), expected, atol=1e-5) for _ in range(20))
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
