"""From a checkpoint to a Core ML package: ``config.json`` and safetensors in, an ``.mlpackage`` and what it needs beside it out.

Neither torch nor transformers is used. The program is written with coremltools' MIL builder over placeholders, and the weights
are encoded tensor by tensor into the package's file, so that a checkpoint never has to fit into memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from russet import __version__, hub
from russet.conversion import package, parity, plan, programs
from russet.conversion.checkpoint import Checkpoint
from russet.conversion.parity import Parity
from russet.conversion.plan import Plan
from russet.conversion.quantize import Float, Rules
from russet.coreml import settings

__all__ = ["Report", "convert"]

#: Told what is done (``"weights"``, ``"parity"``), how much of it, and how much there is.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Report:
    """What a conversion made."""

    folder: Path
    package: Path
    #: Bytes of all files of the package.
    package_bytes: int
    plan: Plan
    #: None if it was not asked for.
    parity: Parity | None
    #: Names of files that were copied beside the package.
    carried: list[str] = field(default_factory=list)


def convert(
    path_or_repo_id: str | os.PathLike[str],
    out_folder: str | os.PathLike[str],
    *,
    cache: Literal["stateful", "none"] = "stateful",
    query_lengths: Sequence[int] = (1, 8, 64),
    context_length: int | None = None,
    shapes: Literal["multifunction", "range", "enumerated", "fixed"] | None = None,
    precision: Float = "float16",
    logits: Literal["last", "all"] = "last",
    quantize: Rules = None,
    target: str = "iOS18",
    name: str | None = None,
    verify: bool = True,
    progress: Progress | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
) -> Report:
    """Converts a checkpoint. ``russet.LanguageModel.from_pretrained(out_folder)`` runs what it gives.

    Args:
        path_or_repo_id: A folder, or a repository on the Hub, with ``config.json`` and safetensors, one file or several with their
            index; of its other files those of the tokenizer, the chat template and the generation settings are copied.
        out_folder: Where the package and these files come; it must not be there, or be empty.
        cache: ``"stateful"`` keeps keys and values in states (iOS 18); ``"none"`` reads the whole text at each step.
        query_lengths: How many tokens a call takes: a function for each of a multifunction package, or the enumerated lengths.
        context_length: The greatest number of tokens; 2048, or what the checkpoint was made for if that is less.
        shapes: With a cache ``"multifunction"`` (the default) or ``"range"``, any number of tokens a call, which is the form that
            swift-transformers drives. Without one ``"fixed"`` (the default) or ``"enumerated"``.
        precision: ``"float16"``, with norms in float32, or ``"float32"``.
        logits: Those behind the last token, or behind ``"all"``. Where calls can be padded, an input ``lastIndex`` says which
            token is the last.
        quantize: How matrices are written: ``"int8"``, ``"int4"``, ``"palette4"``, ``"palette6"``, or such kinds (and
            ``"float16"``) by patterns of the checkpoint's names, the first that fits: ``{"*embed*": "int8", "*": "int4"}``.
        target: ``"iOS16"``, ``"iOS17"`` or ``"iOS18"``.
        name: What the package is called; the repository's id or the folder's name if none.
        verify: Whether the package is run and compared with the checkpoint.
        progress: Told how far it is.
        revision: A branch, tag or commit of the repository; ``token``, ``cache_dir`` and ``local_files_only`` as for
            :func:`russet.hub.resolve`.

    Raises:
        MissingFileError: if a file of the checkpoint is missing.
        CheckpointError: if the checkpoint is damaged, or does not fit its configuration.
        ConfigError: if ``config.json`` is damaged.
        UnsupportedModelError: if the model's type, or a field of its configuration, is not supported; if coremltools is missing.
        ArgumentError: if arguments do not go together; the target does not have a form.
        ParityError: if the package gives other logits than the checkpoint.
        HubError: if the repository cannot be had.
    """
    where: dict[str, Any] = {"token": token, "cache_dir": cache_dir, "local_files_only": local_files_only}
    out = Path(out_folder)
    # What cannot be converted is found out before weights are fetched.
    source = hub.resolve(path_or_repo_id, revision, allow_patterns=hub.CONFIG, **where)
    planned = plan.make(
        source,
        cache=cache,
        query_lengths=query_lengths,
        context_length=context_length,
        shapes=shapes,
        precision=precision,
        logits=logits,
        quantize=quantize,
        target=target,
    )
    if not Path(path_or_repo_id).exists():
        # A snapshot is called as its commit.
        source = hub.resolve(path_or_repo_id, source.name, allow_patterns=hub.checkpoint, **where)
        name = name or os.fspath(path_or_repo_id)
    checkpoint = Checkpoint(source)
    for tensor in planned.decoder.tensors():
        checkpoint.check(tensor)
    title = name or source.resolve().name or planned.decoder.architecture
    weights = planned.weights()
    model = programs.model_of(planned.decoder, planned.form, weights)
    with package.building(out) as temporary:
        folder = package.PackageFolder(temporary, _file_name(title))
        weights.write(folder.weights, checkpoint, None if progress is None else lambda done, of: progress("weights", done, of))
        folder.finish(model, _metadata(planned, title, precision, quantize), f"{title}, converted by Russet {__version__}")
        found = None
        if verify:
            steps = None if progress is None else lambda done, of: progress("parity", done, of)
            found = parity.check(folder.path, planned, weights, checkpoint, steps)
            (temporary / "parity.json").write_text(json.dumps(found.report(), indent=2) + "\n")
        folder.publish()
        carried = package.carry(source, temporary)
    path = out / folder.final.name
    return Report(out, path, sum(file.stat().st_size for file in path.rglob("*") if file.is_file()), planned, found, carried)


def _file_name(title: str) -> str:
    return (
        "".join(letter if letter.isalnum() or letter in "._- " else "_" for letter in title.split("/")[-1]).strip(". ") or "model"
    )


def _metadata(planned: Plan, title: str, precision: str, quantize: Rules) -> dict[str, str]:
    config = planned.config
    architectures = config.fields.get("architectures")
    found: dict[str, Any] = {
        "co.huggingface.exporters.name": title,
        "co.huggingface.exporters.task": "text-generation",
        "co.huggingface.exporters.architecture": architectures[0] if architectures else planned.decoder.architecture,
        "co.huggingface.exporters.framework": "pytorch",
        "co.huggingface.exporters.precision": precision,
        "transformers_version": config.fields.get("transformers_version"),
        "russet.version": __version__,
        "russet.form": planned.form.shapes,
        "russet.quantize": quantize if isinstance(quantize, str | None) else json.dumps(dict(quantize)),
        settings.CONTEXT_LENGTH_KEY: planned.form.context_length,
        settings.PAD_TOKEN_KEY: config.token("pad_token_id"),
    }
    # A list of ends is read from the files beside the package.
    if not isinstance(config.fields.get("eos_token_id"), list):
        found[settings.EOS_TOKEN_KEY] = config.token("eos_token_id")
    return {name: str(value) for name, value in found.items() if value is not None}
