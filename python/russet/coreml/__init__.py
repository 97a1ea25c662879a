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
    backend: Literal["auto", "portable"] = "auto",
    function: str | None = None,
    **options: Any,
) -> Backend:
    """Loads a package.

    Args:
        path: An ``.mlpackage`` folder.
        backend: ``"portable"`` runs it with NumPy and Russet's kernels; ``"auto"`` chooses.
        function: One of its functions; the default one if none is given.
        options: For the portable backend, ``round_fp16`` and ``threads``.
    """
    if backend not in ("auto", "portable"):
        raise ArgumentError(f"backend: {backend!r} is not one of 'auto', 'portable'")
    from russet.coreml.portable import PortableModel

    return PortableModel(path, function, **options)
