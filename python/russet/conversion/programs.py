"""The functions of a package, and its model file: what goes in and out, masks, caches, which logits are given.

=============  ==========================================================  =====================================  ===============
form           inputs                                                      states                                 least target
=============  ==========================================================  =====================================  ===============
multifunction  ``inputIds`` (1, q), ``causalMask`` (1, 1, q, context),     ``keyCache``, ``valueCache``           iOS 18
               ``position`` (1,); a function for each q                    (layers, 1, kv_heads, context, width)
range          ``inputIds`` (1, q), ``causalMask`` (1, 1, q, k)            the same                               iOS 18
fixed          ``input_ids``, ``attention_mask``, both (1, context)        none                                   iOS 16
enumerated     the same, of listed lengths                                 none                                   iOS 18
enumerated     ``input_ids`` alone; a pad id is hidden                     none                                   iOS 16
=============  ==========================================================  =====================================  ===============

A state is read once, and what its update gives is passed on: reading it twice would let coremltools merge both across the update.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from russet.conversion.blocks import Blocks, Places
from russet.conversion.decoder import Decoder
from russet.conversion.weights import Weights
from russet.coreml.coremltools_import import coremltools

Shapes = Literal["multifunction", "range", "fixed", "enumerated"]
Logits = Literal["last", "all"]
#: Where coremltools writes programs. This is no public interface; the tests hold what it gives to coremltools' own loader.
_EXPORT, _HELPER = "coremltools.converters.mil.backend.mil.load", "coremltools.converters.mil.backend.mil.helper"
WEIGHTS_PATH = "@model_path/weights/weight.bin"


@dataclass(frozen=True)
class Form:
    """What a package takes and gives."""

    shapes: Shapes
    #: Tokens of a call, ascending: of the functions, or of the listed shapes.
    lengths: tuple[int, ...]
    context_length: int
    logits: Logits
    #: 16, 17 or 18.
    target: int
    #: What is hidden where there is no mask among the inputs.
    pad_id: int | None = None

    @property
    def is_stateful(self) -> bool:
        """Whether keys and values are kept in states."""
        return self.shapes in ("multifunction", "range")

    @property
    def has_last_index(self) -> bool:
        """Whether an input says which token is the last: where calls are padded, and the last token's logits alone are given."""
        if self.logits == "all" or self.shapes == "range":
            return False
        return self.shapes != "multifunction" or self.lengths[0] > 1


@contextmanager
def _fresh_names(ct: Any) -> Iterator[None]:
    """Numbers in names begin at 0, as in a process that makes one program: the same checkpoint gives the same bytes."""
    builder = ct.converters.mil.Builder
    before, builder.name_count = builder.name_count, defaultdict(int)
    try:
        yield
    finally:
        builder.name_count = before


def model_of(decoder: Decoder, form: Form, weights: Weights) -> Any:
    """The model file of a package, as a message of coremltools' ``Model``.

    Raises:
        UnsupportedModelError: if coremltools is not installed.
    """
    otherwise = "conversion needs coremltools: pip install 'russet[coreml]'"
    with coremltools(_EXPORT, otherwise=otherwise) as ct, _fresh_names(ct):
        program = ct.converters.mil.Program()
        if form.shapes == "multifunction":
            for length in form.lengths:
                program.add_function(f"q{length}", _function(ct, decoder, form, weights, length))
            program.default_function_name = f"q{form.lengths[-1]}"
            program.export_as_multifunction = True
        else:
            program.add_function("main", _function(ct, decoder, form, weights, None))
        return _exported(ct, program, form, weights)


def _exported(ct: Any, program: Any, form: Form, weights: Weights) -> Any:
    helper, load = importlib.import_module(_HELPER), importlib.import_module(_EXPORT)

    def value_of(exporter: Any, var: Any) -> Any:
        """Refers to our file where a constant is a placeholder; the rest is small and lies in the program."""
        blob = getattr(var.op, "russet_blob", None)
        if blob is None:
            return helper.create_immediate_value(var)
        primitive = helper.types_to_proto_primitive(var.sym_type.get_primitive())
        return helper.create_file_value_tensor(WEIGHTS_PATH, weights.offset(*blob), var.shape, primitive)

    version = {16: ct.target.iOS16, 17: ct.target.iOS17, 18: ct.target.iOS18}[form.target].value
    exporter = type("Exporter", (load.MILProtoExporter,), {"get_milproto_value": value_of})
    proto = exporter(prog=program, weights_dir="", specification_version=version).export()
    model = load.CoreMLProtoExporter(
        program,
        proto,
        None,
        None,
        classifier_config=None,
        convert_to="mlprogram",
        convert_from="milinternal",
        specification_version=version,
    )
    return model.export(version)


def _function(ct: Any, decoder: Decoder, form: Form, weights: Weights, length: int | None) -> Any:
    mb, types = ct.converters.mil.Builder, ct.converters.mil.mil.types
    inputs, states, given = _inputs(ct, decoder, form, length)
    placeholders = {name: mb.placeholder(shape, dtype=getattr(types, kind)) for name, (shape, kind) in inputs.items()}
    for name, shape in states.items():
        placeholders[name] = mb.state_tensor_placeholder(shape, dtype=types.fp16)
    target = {16: ct.target.iOS16, 17: ct.target.iOS17, 18: ct.target.iOS18}[form.target]
    with ct.converters.mil.Function(placeholders, opset_version=target) as function:
        blocks = Blocks(mb, decoder, weights, form.target >= 18)
        writer = _Writer(mb, blocks, form, function.inputs)
        x = writer.stateful() if form.is_stateful else writer.stateless()
        function.set_outputs([writer.head(x)])
    function.set_input_types(tuple(given))
    return function


def _inputs(ct: Any, decoder: Decoder, form: Form, length: int | None) -> tuple[dict[str, Any], dict[str, Any], list[Any]]:
    """Inputs with shapes and types, states with shapes, and inputs whose shapes vary as coremltools describes them."""
    get_new_symbol = ct.converters.mil.mil.get_new_symbol
    context = form.context_length
    inputs: dict[str, Any] = {}
    states: dict[str, Any] = {}
    given = []
    if form.is_stateful:
        layers, heads, width = decoder.cache_shape
        states = dict.fromkeys(("keyCache", "valueCache"), (layers, 1, heads, context, width))
        if length is not None:
            inputs = {"inputIds": ((1, length), "int32"), "causalMask": ((1, 1, length, context), "fp16")}
            inputs["position"] = ((1,), "int32")
        else:
            tokens, keys = get_new_symbol(), get_new_symbol()
            inputs = {"inputIds": ((1, tokens), "int32"), "causalMask": ((1, 1, tokens, keys), "fp16")}
            queries, seen = ct.RangeDim(1, context, default=1), ct.RangeDim(1, context, default=1)
            given.append(ct.TensorType(name="inputIds", shape=(1, queries), dtype=np.int32))
            given.append(ct.TensorType(name="causalMask", shape=(1, 1, queries, seen), dtype=np.float16))
    else:
        tokens = context if form.shapes == "fixed" else get_new_symbol()
        names = ["input_ids"] if form.shapes == "enumerated" and form.target < 18 else ["input_ids", "attention_mask"]
        inputs = dict.fromkeys(names, ((1, tokens), "int32"))
        if form.shapes == "enumerated":
            shapes = [[1, size] for size in form.lengths]
            for name in names:
                listed = ct.EnumeratedShapes(shapes=shapes, default=shapes[-1])
                given.append(ct.TensorType(name=name, shape=listed, dtype=np.int32))
    if form.has_last_index:
        inputs["lastIndex"] = ((1,), "int32")
    return inputs, states, given


class _Writer:
    """Writes the function of a form."""

    def __init__(self, mb: Any, blocks: Blocks, form: Form, inputs: Any) -> None:
        self.mb = mb
        self.blocks = blocks
        self.form = form
        self.inputs = inputs

    def _size(self, x: Any, axis: int) -> Any:
        """The size of an axis: a number, or a value of the program, (1,)."""
        if isinstance(x.shape[axis], int | np.integer):
            return int(x.shape[axis])
        return self.mb.slice_by_size(x=self.mb.shape(x=x), begin=[axis], size=[1])

    def stateful(self) -> Any:
        """With a cache in states."""
        mb, inputs = self.mb, self.inputs
        ids, mask = inputs["inputIds"], inputs["causalMask"]
        count, keys = self._size(ids, 1), self._size(mask, 3)
        begin = inputs["position"] if "position" in inputs else mb.sub(x=keys, y=count)
        places = Places(begin, count, keys)
        end = mb.add(x=begin, y=[count] if isinstance(count, int) else count)
        if self.blocks.dtype != "fp16":
            mask = mb.cast(x=mask, dtype="fp32")
        return self.blocks.hidden(ids, mask, places, _Cache(mb, self.blocks, inputs, begin, end, keys).remember)

    def stateless(self) -> Any:
        """Without a cache: all tokens at once."""
        mb, ids = self.mb, self.inputs["input_ids"]
        count = self._size(ids, 1)
        places = Places(0, count, count)
        positions = self.blocks.positions(places)
        later = mb.less(x=mb.expand_dims(x=positions, axes=[1]), y=mb.expand_dims(x=positions, axes=[0]))
        hidden = mb.expand_dims(x=later, axes=[0, 1])
        absent = None
        if "attention_mask" in self.inputs:
            absent = mb.equal(x=self.inputs["attention_mask"], y=np.int32(0))
        elif self.form.pad_id is not None:
            absent = mb.equal(x=ids, y=np.int32(self.form.pad_id))
        if absent is not None:
            hidden = mb.logical_or(x=hidden, y=mb.expand_dims(x=absent, axes=[1, 2]))
        return self.blocks.hidden(ids, self.blocks.hiding(hidden), places, None)

    def head(self, x: Any) -> Any:
        """The logits, (1, n, V) or of one place (1, 1, V)."""
        mb = self.mb
        if self.form.has_last_index:
            x = mb.gather(x=x, indices=self.inputs["lastIndex"], axis=1)
        elif self.form.logits == "last":
            x = mb.slice_by_index(x=x, begin=[0, -1, 0], end=[1, 0, x.shape[2]], end_mask=[False, True, False])
        head = self.blocks.decoder.head
        if self.form.is_stateful or self.blocks.dtype == "fp32":
            return self.blocks.linear(x, head, "logits")
        # As exporters' packages, whose users expect float32.
        return mb.cast(x=self.blocks.linear(x, head, "logits_fp16"), dtype="fp32", name="logits")


class _Cache:
    """Keys and values of all layers in two states, (layers, 1, kv_heads, context, width)."""

    def __init__(self, mb: Any, blocks: Blocks, inputs: Any, begin: Any, end: Any, keys: Any) -> None:
        self.mb = mb
        self.states = [inputs["keyCache"], inputs["valueCache"]]
        self.whole = [mb.read_state(input=state) for state in self.states]
        self.is_float16 = blocks.dtype == "fp16"
        self.begin, self.end = begin, end
        self.keys = [keys] if isinstance(keys, int) else keys

    def remember(self, layer: int, *parts: Any) -> tuple[Any, Any]:
        """Writes a layer's keys and values of this call, and gives those of all tokens so far, (1, kv_heads, k, width)."""
        mb, found = self.mb, []
        for index, part in enumerate(parts):
            heads, width = part.shape[1], part.shape[3]
            update = mb.expand_dims(x=part if self.is_float16 else mb.cast(x=part, dtype="fp16"), axes=[0])
            changed = mb.slice_update(
                x=self.whole[index],
                update=update,
                begin=mb.concat(values=[[layer, 0, 0], self.begin, [0]], axis=0),
                end=mb.concat(values=[[layer + 1, 1, heads], self.end, [width]], axis=0),
            )
            self.whole[index] = mb.coreml_update_state(state=self.states[index], value=changed)
            seen = mb.slice_by_index(
                x=self.whole[index],
                begin=[layer, 0, 0, 0, 0],
                end=mb.concat(values=[[layer + 1, 1, heads], self.keys, [width]], axis=0),
                squeeze_mask=[True, False, False, False, False],
            )
            found.append(seen if self.is_float16 else mb.cast(x=seen, dtype="fp32"))
        return found[0], found[1]
