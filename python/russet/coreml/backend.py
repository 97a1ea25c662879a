"""What a runtime of Core ML packages does, whichever it is.

:class:`Backend` is the whole interface: ``russet.coreml.coremltools_backend`` runs a package with Core ML on macOS,
``russet.coreml.portable`` runs it anywhere. Arrays are NumPy's on both sides; what the package declares as float16 goes in as
float32 and comes out as float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Feature:
    """An input, an output or a state of a function."""

    name: str
    #: ``float16``, ``float32``, ``float64``, ``int32`` or ``int8``.
    dtype: str
    #: The default shape. Empty for an output whose shape the package does not tell.
    shape: tuple[int, ...]
    #: The shapes that are allowed, if they are listed one by one.
    enumerated: tuple[tuple[int, ...], ...] = ()
    #: The least and the greatest size of each dimension, if they may vary; -1 is no upper bound.
    ranges: tuple[tuple[int, int], ...] = ()
    is_optional: bool = False

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape may be given."""
        if self.enumerated:
            return shape in self.enumerated
        if self.ranges:
            fits = (low <= size and (high < 0 or size <= high) for size, (low, high) in zip(shape, self.ranges, strict=False))
            return len(shape) == len(self.ranges) and all(fits)
        return shape == self.shape

    def allowed(self) -> str:
        """The allowed shapes, for people."""
        if self.enumerated:
            return ", ".join(_shape(shape) for shape in self.enumerated)
        if self.ranges:
            return _shape(str(low) if low == high else f"{low}..{'' if high < 0 else high}" for low, high in self.ranges)
        return _shape(self.shape)


def _shape(sizes: Any) -> str:
    return f"({', '.join(map(str, sizes))})"


@dataclass(frozen=True)
class FunctionDescription:
    """A function of a package: what it takes and gives, by name."""

    name: str
    inputs: Mapping[str, Feature]
    outputs: Mapping[str, Feature]
    states: Mapping[str, Feature]


@dataclass(frozen=True)
class ModelDescription:
    """What a package says of itself."""

    functions: Mapping[str, FunctionDescription]
    default_function: str
    #: Metadata that its maker wrote, such as ``co.huggingface.exporters.name``.
    metadata: Mapping[str, str] = field(default_factory=dict)
    #: 6 is iOS 15, 7 is iOS 16, 8 is iOS 17, 9 is iOS 18.
    specification_version: int = 0
    short_description: str = ""
    author: str = ""
    license: str = ""
    version: str = ""


@runtime_checkable
class Backend(Protocol):
    """A function of a loaded package."""

    @property
    def name(self) -> str:
        """``"coremltools"`` or ``"portable"``."""

    @property
    def function(self) -> FunctionDescription:
        """The function that :meth:`predict` runs."""

    def describe(self) -> ModelDescription:
        """The whole package."""

    def with_function(self, name: str) -> Backend:
        """Another function of the same package. Weights are shared, and a state that one made serves the other.

        Raises:
            ArgumentError: if the package has no such function.
        """

    def make_state(self) -> Any:
        """A new state, all zeros; for a function without states, one that holds nothing."""

    def predict(self, inputs: Mapping[str, ArrayLike], state: Any = None) -> dict[str, NDArray[Any]]:
        """Runs the function once. Neither ``inputs`` nor its arrays are changed; ``state`` is.

        Raises:
            ArgumentError: if an input is missing, unknown, or of a type or shape that the package does not allow; if the
                function has states and ``state`` is none.
        """

    def read_state(self, state: Any, name: str) -> NDArray[Any]:
        """A copy of a state's array, float16."""

    def write_state(self, state: Any, name: str, value: ArrayLike) -> None:
        """Replaces a state's array."""
