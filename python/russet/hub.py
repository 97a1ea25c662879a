"""Where a tokenizer or a model lies: a folder for now."""

from __future__ import annotations

import os
from pathlib import Path

from russet.errors import MissingFileError

#: The files that a tokenizer can be read from, the first that is there wins.
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt")


def resolve_tokenizer(identifier: str | os.PathLike[str], revision: str = "main", token: str | None = None) -> Path:
    """The tokenizer file of a folder.

    ``revision`` and ``token`` are for repositories on the Hub, which are not supported yet.

    Raises:
        MissingFileError: if the folder holds no tokenizer file.
        NotImplementedError: if ``identifier`` is no folder.
    """
    folder = Path(identifier)
    if not folder.is_dir():
        raise NotImplementedError(
            f"{os.fspath(identifier)!r} is not a folder, and downloading from the Hugging Face Hub is not supported yet: "
            "download the repository and pass its folder, or pass the file to from_file"
        )
    for name in _TOKENIZER_FILES:
        if (folder / name).is_file():
            return folder / name
    ranks = sorted(folder.glob("*.tiktoken"))
    if ranks:
        return ranks[0]
    raise MissingFileError(2, f"none of {', '.join(_TOKENIZER_FILES)}, *.tiktoken is in the folder", str(folder))
