"""Makes the Core ML packages of `packages/` and the logits that torch gives for them.

    python tests/data/make_packages.py                 # writes every family again
    python tests/data/make_packages.py llama t5-encoder

The models are those of `reference_models.py`. Each family becomes

    packages/NAME.tar.xz   its .mlpackage folders, one a form; xz stores once what they have in common
    packages/NAME.npz      ids, the outputs of torch, and what transformers generates
    packages/manifest.json the families, their forms and the steps that are compared (see `tests/coreml/reference_packages.py`)

Forms: `fixed` (16 tokens), `range` (1 to 64), `enumerated` (8, 16 or 32), and for decoders `stateful-range` and
`stateful-enumerated` (1 or 8 at a time), which keep keys and values in states. coremltools' torch frontend converts a traced model to
float16, its default for ML Programs, so weights and tables are rounded to float16 before torch computes, in float32, what is expected.

Made with torch 2.6.0 for processors, transformers 5.23.0, coremltools 9.0, NumPy 2.2.4, Python 3.13. Converting again with the same
versions gives the same bytes. `tests/reference` recomputes the outputs with torch and transformers alone.
"""

from __future__ import annotations

import io
import json
import logging
import lzma
import shutil
import sys
import tarfile
import tempfile
import warnings
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import torch
import transformers
from coremltools.proto import Model_pb2
from reference_models import (
    CONTEXT,
    FAMILIES,
    GENERATING,
    PROMPT,
    SOURCE,
    WIDTH,
    Stateful,
    expected,
    forms_of,
    generated,
    model_of,
    steady_prompt,
    wrapper_of,
)

PACKAGES = Path(__file__).parent / "packages"


# Conversion


#: The sizes of a dimension of tokens, by form.
SIZES: dict[str, Any] = {
    "fixed": 16,
    "range": ct.RangeDim(1, CONTEXT, default=PROMPT),
    "enumerated": [8, 16, 32],
    "stateful-range": ct.RangeDim(1, CONTEXT, default=PROMPT),
    "stateful-enumerated": [8, 1],
}


def _tensor(name: str, shape: list[Any], dtype: Any, form: str) -> Any:
    """An input of which a dimension "n" is a number of tokens, "k" one of a mask's columns."""
    sizes, columns = SIZES[form], ct.RangeDim(1, CONTEXT, default=PROMPT) if form == "stateful-range" else CONTEXT
    if isinstance(sizes, list) and "n" in shape:
        each = [[{"n": size, "k": columns}.get(of, of) for of in shape] for size in sizes]
        return ct.TensorType(name, shape=ct.EnumeratedShapes(each, default=each[0]), dtype=dtype)
    return ct.TensorType(name, shape=[{"n": sizes, "k": columns}.get(of, of) for of in shape], dtype=dtype)


def convert(family: str, form: str, target: Path) -> None:
    """Writes the package of a form."""
    model = model_of(family)
    wrapper = wrapper_of(family, form, model)
    source = [("encoder_outputs", [1, SOURCE, WIDTH], np.float32), ("attention_mask", [1, SOURCE], np.int32)]
    inputs: list[tuple[str, list[Any], Any]]
    states, output, task = None, ct.TensorType("logits"), "text-generation"
    if isinstance(wrapper, Stateful):
        inputs = [("inputIds", [1, "n"], np.int32), ("causalMask", [1, 1, "n", "k"], np.float16)]
        if wrapper.positioned:
            inputs.append(("position", [1], np.int32))
        cache = wrapper.keyCache.shape
        states = [ct.StateType(ct.TensorType(shape=cache, dtype=np.float16), name=name) for name in ("keyCache", "valueCache")]
        output = ct.TensorType("logits", dtype=np.float16)
    elif family == "t5-decoder":
        inputs = [("decoder_input_ids", [1, "n"], np.int32), ("decoder_attention_mask", [1, "n"], np.int32)]
    else:
        inputs = [("input_ids", [1, "n"], np.int32), ("attention_mask", [1, "n"], np.int32)]
    if family == "t5-decoder":
        inputs += source
    if family == "bert":
        inputs.append(("token_type_ids", [1, "n"], np.int32))
        output, task = ct.TensorType("token_scores"), "fill-mask"
    elif family == "t5-encoder":
        output, task = ct.TensorType("last_hidden_state"), "feature-extraction"
    elif family == "t5-decoder":
        task = "text2text-generation"
    traced_sizes = {"n": 16 if form == "fixed" else PROMPT, "k": CONTEXT if form == "stateful-enumerated" else PROMPT + 4}
    examples = []
    for _, shape, dtype in inputs:
        sizes = [traced_sizes.get(of, of) for of in shape]
        examples.append(torch.zeros(sizes) if dtype in (np.float16, np.float32) else torch.zeros(sizes, dtype=torch.int32))
    traced = torch.jit.trace(wrapper, tuple(examples), check_trace=False)
    package = ct.convert(
        traced,
        inputs=[_tensor(name, shape, dtype, form) for name, shape, dtype in inputs],
        outputs=[output],
        states=states,
        minimum_deployment_target={"fixed": ct.target.iOS15, "range": ct.target.iOS17}.get(form, ct.target.iOS18),
        skip_model_load=True,
    )
    metadata = package.user_defined_metadata
    metadata["co.huggingface.exporters.name"] = f"russet-tests/{family}"
    metadata["co.huggingface.exporters.task"] = task
    metadata["co.huggingface.exporters.architecture"] = type(model).__name__
    metadata["co.huggingface.exporters.framework"] = "pytorch"
    metadata["co.huggingface.exporters.precision"] = "float16"
    metadata["transformers_version"] = transformers.__version__
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "saved.mlpackage"
        package.save(str(saved))
        _copy_without_chance(saved, target)


def _copy_without_chance(package: Path, target: Path) -> None:
    """Copies a package without what differs from run to run: the date, identifiers of files, the order of maps."""
    shutil.copytree(package, target)
    manifest = json.loads((target / "Manifest.json").read_text())
    entries = manifest["itemInfoEntries"]
    in_order = sorted(entries, key=lambda old: entries[old]["path"])
    names = {old: f"00000000-0000-4000-8000-{number:012}" for number, old in enumerate(in_order)}
    manifest["itemInfoEntries"] = {names[old]: entry for old, entry in entries.items()}
    manifest["rootModelIdentifier"] = names[manifest["rootModelIdentifier"]]
    (target / "Manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    (model,) = target.rglob("*.mlmodel")
    spec = Model_pb2.Model.FromString(model.read_bytes())
    spec.description.metadata.userDefined.pop("com.github.apple.coremltools.conversion_date", None)
    model.write_bytes(spec.SerializeToString(deterministic=True))


def pack(folder: Path, archive: Path) -> None:
    """Writes a folder's files as .tar.xz, the same bytes for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        # Files of one kind beside each other: what they share is then near.
        for path in sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: (path.suffix, path)):
            entry = tarfile.TarInfo(str(path.relative_to(folder)))
            entry.size = path.stat().st_size
            tar.addfile(entry, io.BytesIO(path.read_bytes()))
    archive.write_bytes(lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME))


# All of it


def make(family: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for form, _ in forms_of(family):
            convert(family, form, Path(folder) / f"{form}.mlpackage")
        pack(Path(folder), PACKAGES / f"{family}.tar.xz")
    arrays = expected(family)
    if family in GENERATING:
        model = model_of(family)
        arrays["prompt"] = steady_prompt(model, arrays["ids"])
        arrays |= generated(model, arrays["prompt"])
    np.savez_compressed(PACKAGES / f"{family}.npz", **arrays)


def main() -> None:
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    PACKAGES.mkdir(exist_ok=True)
    for family in sys.argv[1:] or FAMILIES:
        make(family)
        print(family, (PACKAGES / f"{family}.tar.xz").stat().st_size, flush=True)
    made = [family for family in FAMILIES if (PACKAGES / f"{family}.npz").exists()]
    lines = [f'"{family}": {json.dumps(dict(forms_of(family)))}' for family in made]
    (PACKAGES / "manifest.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
