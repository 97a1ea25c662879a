"""What a package is made of, for people and for programs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from russet.coreml import contracts, settings
from russet.coreml.backend import Feature
from russet.coreml.package import Package
from russet.coreml.portable.compression import DECOMPRESSIONS
from russet.coreml.portable.graph import CONTROL
from russet.coreml.portable.operations import OPERATIONS
from russet.coreml.portable.weights import bits
from russet.coreml.program import Blob, Block, Operation, Tensor
from russet.errors import UnsupportedModelError

__all__ = ["describe"]

#: Operations that only name constants.
_CONSTANTS = frozenset({"const"})


def describe(path: Path) -> dict[str, Any]:
    """Functions with their inputs, outputs, states and operations, weights by kind, metadata. Nothing is run.

    Args:
        path: An ``.mlpackage``, or the folder that holds it.

    Raises:
        MissingFileError: if there is none.
        PackageError: if it is damaged.
    """
    package = Package(settings.package_in(path))
    description, functions = package.program.description, []
    for name, function in package.program.functions.items():
        described = description.functions.get(name)
        operations = Counter(operation.kind for operation in _operations(function.block) if operation.kind not in _CONSTANTS)
        try:
            model = None if described is None else contracts.find(described).outline()
        except UnsupportedModelError:
            model = None
        functions.append(
            {
                "name": name,
                "opset": function.opset,
                **{kind: _features(getattr(described, kind, {})) for kind in ("inputs", "outputs", "states")},
                "operations": dict(operations.most_common()),
                "missing_operations": sorted(set(operations) - set(OPERATIONS) - set(CONTROL) - set(DECOMPRESSIONS)),
                "language_model": model,
            }
        )
    return {
        "package": package.path.name,
        "bytes": package.size() if package.path.is_dir() else package.path.stat().st_size,
        "specification_version": description.specification_version,
        "short_description": description.short_description,
        "author": description.author,
        "license": description.license,
        "version": description.version,
        "default_function": description.default_function,
        "functions": functions,
        "weights": _weights(package),
        "metadata": dict(description.metadata),
    }


def _features(features: Mapping[str, Feature]) -> list[dict[str, Any]]:
    return [
        {"name": feature.name, "dtype": feature.dtype, "shape": feature.allowed(), "optional": feature.is_optional}
        for feature in features.values()
    ]


def _operations(block: Block) -> Iterator[Operation]:
    for operation in block.operations:
        yield operation
        for inner in operation.blocks:
            yield from _operations(inner)


def _weights(package: Package) -> dict[str, dict[str, int]]:
    """Tensors in files of weights, by the type of their elements; those that functions share are counted once."""
    found: dict[tuple[str, int], Blob] = {}
    for function in package.program.functions.values():
        for operation in _operations(function.block):
            for value in _values(operation):
                if isinstance(value, Blob):
                    found[value.file, value.offset] = value
    kinds: dict[str, dict[str, int]] = {}
    for blob in found.values():
        kind = kinds.setdefault(blob.dtype, {"tensors": 0, "elements": 0, "bytes": 0})
        count = math.prod(blob.shape)
        kind["tensors"] += 1
        kind["elements"] += count
        kind["bytes"] += (count * bits(blob.dtype) + 7) // 8
    return dict(sorted(kinds.items(), key=lambda entry: -entry[1]["bytes"]))


def _values(operation: Operation) -> Iterator[Tensor | Blob | Any]:
    yield from operation.attributes.values()
    for bindings in operation.inputs.values():
        yield from (binding for binding in bindings if not isinstance(binding, str))
