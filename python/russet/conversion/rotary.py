"""Rotary positions, with every scaling that checkpoints of the supported kinds use.

An element pair i of a head is turned by position * frequency[i]. Scalings change the frequencies, and some multiply cosines and
sines with a factor. The formulas are those of ``transformers.modeling_rope_utils``. Two scalings depend on how much was read:

- ``dynamic``: a position within the original length has the original frequencies; one at p behind it has those for a text of p + 1
  tokens, which is what transformers gives it when tokens are read one by one.
- ``longrope`` has one set of factors for texts within the original length and one for longer ones. A package whose context is
  longer has the second set for all of its positions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from russet.conversion.configuration import Config

SCALINGS = ("default", "linear", "dynamic", "yarn", "longrope", "llama3")


@dataclass(frozen=True)
class Rotary:
    """Rotary positions: how many elements of a head are turned, and by what."""

    #: Elements of a head that are turned, from the first on; an even number.
    width: int
    theta: float
    scaling: str = "default"
    parameters: dict[str, Any] = field(default_factory=dict)
    #: The length that the checkpoint's ``max_position_embeddings`` tells.
    max_positions: int = 0

    @property
    def context_length(self) -> int:
        """The greatest number of tokens that the positions were made for."""
        factor = float(self.parameters.get("factor") or 1)
        if self.scaling in ("linear", "dynamic"):
            return int(self.max_positions * factor)
        if self.scaling == "yarn":
            return max(self.max_positions, int(self.parameters["original_max_position_embeddings"] * factor))
        return self.max_positions

    def table(self, name: Literal["cos", "sin"], context_length: int) -> NDArray[np.float32]:
        """Cosines or sines, (context_length, width): those of the pairs' first elements, then the same of the second."""
        frequencies, factor = self.frequencies(context_length)
        angles = np.arange(context_length, dtype=np.float64)[:, None] * frequencies
        half = (factor * (np.cos(angles) if name == "cos" else np.sin(angles))).astype(np.float32)
        return np.concatenate([half, half], axis=1)

    def frequencies(self, context_length: int) -> tuple[NDArray[np.float64], float]:
        """Frequencies, (width / 2,) or (context_length, width / 2), and the factor of cosines and sines."""
        exponents = np.arange(0, self.width, 2, dtype=np.float64) / self.width
        plain = self.theta**-exponents
        given = self.parameters
        if self.scaling == "linear":
            return plain / given["factor"], 1.0
        if self.scaling == "dynamic":
            lengths = np.maximum(np.arange(1, context_length + 1, dtype=np.float64), self.max_positions)
            grown = given["factor"] * lengths / self.max_positions - (given["factor"] - 1)
            bases = self.theta * grown ** (self.width / (self.width - 2))
            return bases[:, None] ** -exponents, 1.0
        if self.scaling == "llama3":
            return self._llama3(plain), 1.0
        if self.scaling == "yarn":
            return self._yarn(plain)
        if self.scaling == "longrope":
            return self._longrope(plain, context_length)
        return plain, 1.0

    def _llama3(self, plain: NDArray[np.float64]) -> NDArray[np.float64]:
        given = self.parameters
        low, high, original = given["low_freq_factor"], given["high_freq_factor"], given["original_max_position_embeddings"]
        wavelengths = 2 * math.pi / plain
        smooth = (original / wavelengths - low) / (high - low)
        between = ((1 - smooth) / given["factor"] + smooth) * plain
        scaled = np.where(wavelengths > original / low, plain / given["factor"], between)
        return np.where(wavelengths < original / high, plain, scaled)

    def _yarn(self, plain: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        given, original = self.parameters, self.parameters["original_max_position_embeddings"]
        factor = given.get("factor") or self.max_positions / original

        def scale(by: float = 1.0) -> float:
            return 1.0 if factor <= 1 else 0.1 * by * math.log(factor) + 1.0

        attention = given.get("attention_factor")
        if attention is None:
            of_one, of_all = given.get("mscale"), given.get("mscale_all_dim")
            attention = scale(of_one) / scale(of_all) if of_one and of_all else scale()

        def dimension(rotations: float) -> float:
            return self.width * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(self.theta))

        low, high = dimension(given.get("beta_fast") or 32), dimension(given.get("beta_slow") or 1)
        if given.get("truncate", True):
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, self.width - 1)
        high += 0.001 if low == high else 0
        ramp = np.clip((np.arange(self.width // 2) - low) / (high - low), 0, 1)
        return plain / factor * ramp + plain * (1 - ramp), float(attention)

    def _longrope(self, plain: NDArray[np.float64], context_length: int) -> tuple[NDArray[np.float64], float]:
        given, original = self.parameters, self.parameters["original_max_position_embeddings"]
        factor = given.get("factor") or self.max_positions / original
        attention = given.get("attention_factor")
        if attention is None:
            attention = 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(original))
        factors = given["long_factor" if context_length > original else "short_factor"]
        return plain / np.array(factors, np.float64), float(attention)


def read(config: Config, head_dim: int, theta: float = 10000.0) -> Rotary:
    """The rotary positions of a configuration, in the names of transformers 5 (``rope_parameters``) and those before it.

    Raises:
        UnsupportedModelError: if the scaling is not known.
        ConfigError: if a parameter is missing or makes no sense.
    """
    given = config.object("rope_parameters") or {}
    given = {**given, **(config.object("rope_scaling") or {})}
    given = {name: value for name, value in given.items() if value is not None}
    theta = float(given.pop("rope_theta", config.number("rope_theta", theta)))
    share = float(given.pop("partial_rotary_factor", config.number("partial_rotary_factor", 1.0)))
    old = given.pop("type", "default")
    scaling = given.pop("rope_type", old)
    scaling = {"su": "longrope"}.get(scaling, scaling)
    if scaling not in SCALINGS:
        raise config.unsupported("rope_parameters", f"the scaling {scaling!r} is not known; known are {', '.join(SCALINGS)}")
    positions = config.integer("max_position_embeddings")
    width = int(head_dim * share)
    if width < 2 or width % 2 or theta <= 0:
        raise config.wrong("rope_parameters", f"{width} elements of a head are turned, by the base {theta}")
    outer = config.integer("original_max_position_embeddings", 0)
    if scaling in ("llama3", "yarn", "longrope"):
        if outer:
            given["original_max_position_embeddings"] = outer
        given.setdefault("original_max_position_embeddings", positions)
    _check(config, scaling, given, width)
    return Rotary(width, theta, scaling, given, positions)


#: What a scaling needs, and what it may have besides; the rest is refused.
_NEEDED = {
    "default": ((), ("factor", "original_max_position_embeddings")),
    "linear": (("factor",), ()),
    "dynamic": (("factor",), ("original_max_position_embeddings",)),
    "llama3": (("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"), ()),
    "yarn": (
        ("original_max_position_embeddings",),
        ("factor", "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"),
    ),
    "longrope": (("short_factor", "long_factor", "original_max_position_embeddings"), ("factor", "attention_factor")),
}


def _check(config: Config, scaling: str, given: dict[str, Any], width: int) -> None:
    needed, allowed = _NEEDED[scaling]
    for name in needed:
        if name not in given:
            raise config.wrong("rope_parameters", f"the scaling {scaling!r} needs {name!r}")
    for name, value in given.items():
        if name not in needed and name not in allowed:
            raise config.unsupported("rope_parameters", f"{name!r} is not known for the scaling {scaling!r}")
        if name in ("short_factor", "long_factor"):
            is_list = isinstance(value, list) and all(isinstance(each, int | float) and each > 0 for each in value)
            if not is_list or len(value) != width // 2:
                raise config.wrong("rope_parameters", f"{name!r} is no list of {width // 2} positive numbers")
        elif name != "truncate" and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12):
            raise config.wrong("rope_parameters", f"{name!r} is {value!r}, and not a positive number")
    if scaling == "llama3" and given["high_freq_factor"] <= given["low_freq_factor"]:
        raise config.wrong("rope_parameters", "'high_freq_factor' is not above 'low_freq_factor'")
