"""The README.md of a folder that ``russet.convert`` made, or of a tokenizer: what it is, how exact, how it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from russet.errors import UnsupportedModelError
from russet.hub import names
from russet.json_objects import read_object

_WORDS = {"int8": "8-bit", "int4": "4-bit in blocks", "palette4": "4-bit palettes", "palette6": "6-bit palettes"}


def card(folder: Path, repo_id: str) -> str:
    """The card of a folder.

    Raises:
        PackageError: if a package in it is damaged.
        ConfigError: if its config.json or parity.json is damaged.
    """
    from huggingface_hub import ModelCardData

    packages = [_Package(path) for path in sorted(folder.glob("*.mlpackage"))]
    config, parity = (read_object(folder / name) or {} for name in ("config.json", "parity.json"))
    base = _base_model(packages, config)
    fields: dict[str, Any] = {"library_name": "russet", "tags": ["coreml", "russet"] if packages else ["russet"]}
    if packages:
        fields["pipeline_tag"] = packages[0].metadata.get("co.huggingface.exporters.task", "text-generation")
    if base is not None:
        fields["base_model"] = base
        if any(it.quantized for it in packages):
            fields["base_model_relation"] = "quantized"
    # huggingface_hub writes YAML as the Hub reads it, whatever is in a value.
    front = ModelCardData(**fields).to_yaml()
    lines = [*_text(folder, repo_id, base, packages, parity)]
    return f"---\n{front.strip()}\n---\n\n" + "\n".join(lines) + "\n"


class _Package:
    def __init__(self, path: Path) -> None:
        from russet.coreml.package import Package

        self.name = path.name
        self.size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        self.metadata: Mapping[str, str] = {}
        # A model of another kind can be uploaded; only a damaged one cannot.
        with suppress(UnsupportedModelError):
            self.metadata = Package(path).program.description.metadata
        self.quantized = self.metadata.get("russet.quantize")

    def weights(self) -> str:
        """How its weights are kept."""
        precision = self.metadata.get("co.huggingface.exporters.precision", "not told")
        if not self.quantized:
            return precision
        return f"{_WORDS.get(self.quantized, self.quantized)}, the rest {precision}"


def _base_model(packages: list[_Package], config: Mapping[str, Any]) -> str | None:
    """The repository that it was converted from, where something says so."""
    told = [package.metadata.get("co.huggingface.exporters.name") for package in packages]
    for name in (*told, config.get("_name_or_path")):
        if isinstance(name, str) and "/" in name and names.is_repo_id(name):
            return name
    return None


def _text(folder: Path, repo_id: str, base: str | None, packages: list[_Package], parity: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {repo_id.rpartition('/')[2]}"
    yield ""
    by = "[Russet](https://pypi.org/project/russet/)"
    of = f"[{base}](https://huggingface.co/{base})" if base else "a checkpoint"
    if not packages:
        yield from (f"The tokenizer of {of}, saved by {by}." if base else f"A tokenizer, saved by {by}.", "", "```python")
        yield from ("from russet import AutoTokenizer", "", f'tokenizer = AutoTokenizer.from_pretrained("{repo_id}")', "```")
        return
    yield f"Converted from {of} to Core ML by {by}."
    yield ""
    yield "| package | weights | form | context | size |"
    yield "|---|---|---|---:|---:|"
    for it in packages:
        context = it.metadata.get("russet.context_length", "not told")
        form = it.metadata.get("russet.form", "not told")
        yield f"| `{it.name}` | {it.weights()} | {form} | {context} | {it.size / 1e6:,.1f} MB |"
    yield ""
    if isinstance(parity.get("difference"), float | int) and isinstance(parity.get("rows"), int):
        yield "## How exact it is"
        yield ""
        yield (
            "The package was run on a processor beside its checkpoint, the same weights rounded the same way: over "
            f"{parity['rows']} rows of logits the greatest difference is {parity['difference']:.1e} of a row's largest magnitude."
        )
        if isinstance(parity.get("rounded_difference"), float | int):
            yield f"With the result of each float16 operation rounded, as hardware does, it is {parity['rounded_difference']:.1e}."
        yield ""
    yield "## How to use it"
    yield ""
    yield "```bash"
    yield "pip install russet"
    yield "```"
    yield ""
    yield "```python"
    yield "from russet import LanguageModel"
    yield ""
    yield f'lm = LanguageModel.from_pretrained("{repo_id}")'
    yield 'print(lm.generate("Once upon a time", max_new_tokens=64))'
    yield "```"
    yield ""
    yield "On macOS it runs on Core ML (`pip install 'russet[coreml]'`), elsewhere on the processor. Other programs for Core ML"
    yield "take the `.mlpackage` as it is."
    if any((folder / name).is_file() for name in ("LICENSE", "LICENSE.txt", "LICENSE.md")):
        yield ""
        yield "The checkpoint's licence is beside it."
