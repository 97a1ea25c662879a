"""What a conversion will make, from ``config.json`` alone: whether it is supported, how large it is, what memory it takes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from russet.conversion import programs
from russet.conversion import quantize as quantizing
from russet.conversion.architectures import decoder_of
from russet.conversion.configuration import Config
from russet.conversion.decoder import Decoder
from russet.conversion.programs import Form
from russet.conversion.quantize import Float, Rules
from russet.conversion.weights import Weights
from russet.errors import ArgumentError, ContextLengthError, UnsupportedModelError

CONTEXT_LENGTH = 2048
_TARGETS = {"ios16": 16, "ios17": 17, "ios18": 18}
#: Layers of the programs whose sizes are measured; kinds of layers repeat within four.
_SAMPLED_LAYERS = (4, 8)
#: About what a function takes, and each layer in it; and a package's manifest and metadata.
_FUNCTION_BYTES, _LAYER_BYTES, _MORE_BYTES = 6_000, 20_000, 1_400
#: coremltools, NumPy and Python; and the arrays of a block of rows while it is encoded.
_BASE_BYTES, _BLOCK_BYTES = 130_000_000, 20_000_000


@dataclass(frozen=True)
class Plan:
    """A conversion before it is made."""

    config: Config
    decoder: Decoder
    form: Form
    rules: Rules
    precision: Float

    def weights(self) -> Weights:
        """The arrays of the package."""
        return Weights(self.decoder, self.rules, self.precision, self.form.context_length, self.form.target >= 18)

    @property
    def parameters(self) -> int:
        """Elements of all weights; one that is used twice counts once."""
        return sum(tensor.size for tensor in self.decoder.tensors())

    @cached_property
    def package_bytes(self) -> int:
        """The size of the package: that of its weights is exact, that of its program follows from programs of some layers."""
        return self.weights().size + _MORE_BYTES + self._program_bytes()

    def _program_bytes(self) -> int:
        layers = self.decoder.layers
        few, more = (min(count, len(layers)) for count in _SAMPLED_LAYERS)
        try:
            sizes = [self._program_bytes_of(count) for count in sorted({few, more})]
        except UnsupportedModelError:
            # Without coremltools no program can be made; it is a small part of the package.
            functions = len(self.form.lengths) if self.form.shapes == "multifunction" else 1
            return functions * (_FUNCTION_BYTES + _LAYER_BYTES * len(layers))
        return sizes[-1] + (len(layers) - more) * (sizes[-1] - sizes[0]) // max(1, more - few)

    def _program_bytes_of(self, layers: int) -> int:
        decoder = replace(self.decoder, layers=self.decoder.layers[:layers])
        size: int = programs.model_of(decoder, self.form, self.weights()).ByteSize()
        return size

    @property
    def state_bytes(self) -> int:
        """The size of keys and values of a whole context: of the states of a package that has them."""
        layers, heads, width = self.decoder.cache_shape
        return 2 * 2 * layers * heads * width * self.form.context_length if self.form.is_stateful else 0

    @property
    def memory_bytes(self) -> int:
        """About what the conversion takes at most, without files that are mapped and the check at its end."""
        largest = [_BLOCK_BYTES]
        for weight in self.weights():
            if weight.tensor is None:
                largest.append(24 * math.prod(weight.shape))
            elif weight.encoding.is_whole:
                largest.append(8 * math.prod(weight.shape))
        return _BASE_BYTES + max(largest)

    def report(self) -> dict[str, Any]:
        """All of it, for people and programs."""
        kinds: Counter[str] = Counter()
        for weight in self.weights():
            kinds[weight.encoding.kind] += math.prod(weight.shape) if weight.tensor is not None else 0
        return {
            "model_type": self.decoder.architecture,
            "layers": len(self.decoder.layers),
            "parameters": self.parameters,
            "form": self.form.shapes,
            "lengths": list(self.form.lengths),
            "context_length": self.form.context_length,
            "logits": self.form.logits,
            "target": f"iOS{self.form.target}",
            "encodings": {kind: count for kind, count in kinds.most_common() if count},
            "package_bytes": self.package_bytes,
            "state_bytes": self.state_bytes,
            "memory_bytes": self.memory_bytes,
            "unread_fields": self.config.unread(),
        }


def make(
    folder: Path,
    *,
    cache: str = "stateful",
    query_lengths: Sequence[int] = (1, 8, 64),
    context_length: int | None = None,
    shapes: str | None = None,
    precision: str = "float16",
    logits: str = "last",
    quantize: Rules = None,
    target: str = "iOS18",
) -> Plan:
    """The plan of a conversion; see :func:`russet.conversion.convert` for the arguments.

    Raises:
        MissingFileError: if there is no ``config.json``.
        ConfigError: if it is damaged.
        UnsupportedModelError: if the model is not supported.
        ArgumentError: if arguments do not go together.
        ContextLengthError: if the checkpoint was made for less.
    """
    _one_of("cache", cache, ("stateful", "none"))
    allowed = ("multifunction", "range") if cache == "stateful" else ("fixed", "enumerated")
    shapes = _one_of("shapes", shapes or allowed[0], allowed, f" with cache={cache!r}")
    _one_of("precision", precision, ("float16", "float32"))
    _one_of("logits", logits, ("last", "all"))
    version = _TARGETS[_one_of("target", target.lower(), tuple(_TARGETS))]
    if cache == "stateful" and version < 18:
        raise _wrong("target", f"states need iOS18, and the target is {target}; cache='none' works from iOS16 on")
    quantizing.check_rules(quantize, precision)  # type: ignore[arg-type]
    config = Config.from_folder(folder)
    decoder = decoder_of(config)
    context = min(CONTEXT_LENGTH, decoder.context_length) if context_length is None else context_length
    if not 1 <= context <= decoder.context_length:
        message = f"context_length: {context}; the checkpoint was made for 1 to {decoder.context_length}"
        raise ContextLengthError(message, value=context, limit=decoder.context_length)
    form = Form(
        shapes,  # type: ignore[arg-type]
        _lengths(shapes, query_lengths, context),
        context,
        logits,  # type: ignore[arg-type]
        version,
        _pad_id(config),
    )
    plan = Plan(config, decoder, form, quantize, precision)  # type: ignore[arg-type]
    plan.weights()
    return plan


def _lengths(shapes: str, given: Sequence[int], context: int) -> tuple[int, ...]:
    if shapes in ("range", "fixed"):
        return (context,) if shapes == "fixed" else ()
    lengths = sorted({int(length) for length in given})
    if (not lengths and shapes == "multifunction") or (lengths and lengths[0] < 1):
        raise _wrong("query_lengths", f"{tuple(given)} are no numbers of tokens")
    lengths = [length for length in lengths if length <= context] if shapes == "multifunction" else lengths
    if shapes == "enumerated":
        if lengths and lengths[-1] > context:
            raise _wrong("query_lengths", f"{lengths[-1]} tokens do not fit a context of {context}")
        lengths = sorted({*lengths, context})
        if len(lengths) < 2:
            raise _wrong("query_lengths", f"{lengths[0]} alone: one length is the shape 'fixed'")
        if len(lengths) > 128:
            raise _wrong("query_lengths", f"{len(lengths)} lengths; Core ML takes 128 at most")
    if not lengths:
        raise _wrong("query_lengths", f"none of {tuple(given)} fits a context of {context}")
    return tuple(lengths)


def _pad_id(config: Config) -> int | None:
    """The id that only padding has. One that ends or begins texts too cannot be hidden."""
    pad = config.token("pad_token_id")
    used = [config.fields.get(name) for name in ("eos_token_id", "bos_token_id")]
    flat = [each for value in used for each in (value if isinstance(value, list) else [value])]
    return None if pad in flat else pad


def _one_of(argument: str, value: str, allowed: tuple[str, ...], more: str = "") -> str:
    if value not in allowed:
        raise _wrong(argument, f"{value!r} is not one of {', '.join(map(repr, allowed))}{more}")
    return value


def _wrong(argument: str, message: str) -> ArgumentError:
    return ArgumentError(f"{argument}: {message}", argument=argument)
