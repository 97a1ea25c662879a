"""Core ML packages: loaded, described and run, with Core ML on macOS and anywhere by the portable runtime.

>>> import russet.coreml
>>> model = russet.coreml.load("model.mlpackage")           # doctest: +SKIP
>>> model.predict({"inputIds": ids}, model.make_state())    # doctest: +SKIP
"""

from __future__ import annotations

import os
from typing import Any, Literal

from russet.coreml.backend import Backend, Feature, FunctionDescription, ModelDescription
from russet.errors import ArgumentError

__all__ = ["Backend", "Feature", "FunctionDescription", "ModelDescription", "load"]


def load(
    path: str | os.PathLike[str],
    backend: Literal["auto", "coremltools", "portable"] = "auto",
    function: str | None = None,
    **options: Any,
) -> Backend:
    """Loads a package.

    Args:
        path: An ``.mlpackage`` folder; with Core ML also a compiled ``.mlmodelc``.
        backend: ``"coremltools"`` runs it with Core ML, on macOS alone; ``"portable"`` anywhere, with NumPy and Russet's
            kernels; ``"auto"`` is Core ML where it is there.
        function: One of its functions; the default one if none is given.
        options: Of Core ML, ``compute_units`` ("cpuAndGPU") and ``optimization_hints``; of the portable backend,
            ``round_fp16``, ``fuse`` and ``threads``. ``"auto"`` takes both kinds and leaves out those of the other.

    Raises:
        MissingFileError: if the package is not there.
        PackageError: if it is damaged.
        UnsupportedModelError: if it cannot be run here.
    """
    if backend not in ("auto", "coremltools", "portable"):
        raise ArgumentError(f"backend: {backend!r} is not one of 'auto', 'coremltools', 'portable'")
    known = {"coremltools": ("compute_units", "optimization_hints"), "portable": ("round_fp16", "fuse", "threads")}
    unknown = set(options) - {name for kind, names in known.items() if backend in ("auto", kind) for name in names}
    if unknown:
        raise TypeError(f"load() got an unexpected keyword argument {sorted(unknown)[0]!r} for the backend {backend!r}")
    if backend != "portable":
        from russet.coreml import coremltools_backend

        if backend == "coremltools" or coremltools_backend.is_available():
            chosen = {name: value for name, value in options.items() if name in known["coremltools"]}
            return coremltools_backend.CoreMLModel.load(path, function, **chosen)
    from russet.coreml.portable import PortableModel

    return PortableModel(path, function, **{name: value for name, value in options.items() if name in known["portable"]})
