"""A package on disk, and what is carried beside it. It appears under its name when it is whole, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from russet.errors import ArgumentError

#: What is carried beside a package, by name or pattern: tokenizer, chat template, settings, licence.
CARRIED = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "chat_template.jinja", "chat_template.json", "vocab.json", "vocab.txt", "merges.txt", "*.model",
    "*.tiktoken", "LICENSE*", "NOTICE*",
)  # fmt: skip
#: A larger file is none of them.
_GREATEST_CARRIED_BYTES = 1 << 28
_NAMESPACE = uuid.UUID("1c8ba2a4-6f0f-4f0e-9d1b-1f7d6b0f2f11")


@contextmanager
def building(out_folder: Path) -> Iterator[Path]:
    """A folder beside ``out_folder`` that becomes it at the end. If anything goes wrong it is removed.

    Raises:
        ArgumentError: if ``out_folder`` is there and not empty.
    """
    if out_folder.exists() and (not out_folder.is_dir() or any(out_folder.iterdir())):
        raise ArgumentError(f"out_folder: {str(out_folder)!r} is there already, and not empty", argument="out_folder")
    out_folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = out_folder.parent / f".{out_folder.name}.{uuid.uuid4().hex[:8]}.partial"
    temporary.mkdir()
    try:
        yield temporary
        if out_folder.is_dir():
            out_folder.rmdir()
        os.replace(temporary, out_folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class PackageFolder:
    """An ``.mlpackage`` that is being written. Its name ends in ``.partial``, and its manifest is written last."""

    def __init__(self, folder: Path, name: str) -> None:
        self.final = folder / f"{name}.mlpackage"
        self.path = folder / f"{name}.mlpackage.partial"
        self._data = self.path / "Data" / "com.apple.CoreML"
        (self._data / "weights").mkdir(parents=True)

    @property
    def weights(self) -> Path:
        """The file of weights."""
        return self._data / "weights" / "weight.bin"

    def finish(self, model: Any, metadata: Mapping[str, str], description: str) -> None:
        """Writes the model file and the manifest."""
        model.description.metadata.shortDescription = description
        for name, value in sorted(metadata.items()):
            model.description.metadata.userDefined[name] = value
        (self._data / "model.mlmodel").write_bytes(model.SerializeToString(deterministic=True))
        root, weights = (str(uuid.uuid5(_NAMESPACE, name)).upper() for name in ("model.mlmodel", "weights"))

        def entry(what: str, name: str) -> dict[str, str]:
            return {
                "author": "com.apple.CoreML",
                "description": f"CoreML Model {what}",
                "name": name,
                "path": f"com.apple.CoreML/{name}",
            }

        manifest = {
            "fileFormatVersion": "1.0.0",
            "itemInfoEntries": {root: entry("Specification", "model.mlmodel"), weights: entry("Weights", "weights")},
            "rootModelIdentifier": root,
        }
        (self.path / "Manifest.json").write_text(json.dumps(manifest, indent=4, sort_keys=True) + "\n")

    def publish(self) -> None:
        """Gives the package its name."""
        os.replace(self.path, self.final)


def carry(source: Path, target: Path) -> list[str]:
    """Copies what belongs to a checkpoint besides its weights. Returns the names."""
    names = sorted({path.name for pattern in CARRIED for path in source.glob(pattern) if path.is_file()})
    found = []
    for name in names:
        if (source / name).stat().st_size <= _GREATEST_CARRIED_BYTES:
            # Contents alone: files of a private cache would bring their modes along.
            shutil.copyfile(source / name, target / name)
            found.append(name)
    templates = source / "additional_chat_templates"
    if templates.is_dir():
        (target / templates.name).mkdir()
        for path in sorted(templates.glob("*.jinja")):
            shutil.copyfile(path, target / templates.name / path.name)
            found.append(f"{templates.name}/{path.name}")
    return found
