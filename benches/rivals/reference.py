"""What `tokenizers` 0.23.3 makes of each text: run in its environment once for a tokenizer, kept as a file of digests.

    python reference.py TOKENIZER.json TEXTS OUTPUT.json

Other processes compare digests of their ids with these. Ids that they need (to decode) are in OUTPUT.npz.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def digest(ids: Any) -> str:
    return hashlib.sha1(np.asarray(ids, dtype="<u4").tobytes()).hexdigest()[:16]


def text_digest(text: str) -> str:
    return hashlib.sha1(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def read(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def long_document(folder: Path) -> str:
    """About 4 MB of the four kinds, one after the other."""
    return "\n".join(read(folder / f"{name}-1.txt") for name in ("english", "code", "multilingual", "cjk"))


def main(tokenizer_path: str, texts: str, output: str) -> None:
    import tokenizers

    from rivals.texts import ADVERSARIAL, adversarial, turned

    folder = Path(texts)
    tokenizer = tokenizers.Tokenizer.from_file(tokenizer_path)

    def encode(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    digests: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    for path in sorted(folder.glob("*.txt")):
        if "-warm" in path.stem:
            continue
        ids = encode(read(path))
        digests[path.stem] = digest(ids)
        if path.stem[-2:] in ("-1", "-2"):
            digests[f"{path.stem} 0"] = digest(encode(turned(read(path), 0)))
        if path.stem in ("english-0", "multilingual-0"):
            arrays[path.stem] = np.array(ids, dtype=np.uint32)
            digests[f"decoded {path.stem}"] = text_digest(tokenizer.decode(ids))
    digests["long"] = digest(encode(long_document(folder)))
    for name in ("messages", "documents", "checks"):
        encoded = [encode(text) for text in json.loads(read(folder / f"{name}.json"))]
        digests[name] = list(map(digest, encoded))
        if name == "messages":
            arrays[name] = np.array([token for ids in encoded for token in ids], dtype=np.uint32)
            arrays["bounds"] = np.cumsum([0, *map(len, encoded)])
            digests["decoded messages"] = [text_digest(tokenizer.decode(ids)) for ids in encoded]
    for shape in ADVERSARIAL:
        for size in (1 << 18, 1 << 20):
            digests[f"{shape} {size}"] = digest(encode(adversarial(shape, size)))
    np.savez(Path(output).with_suffix(".npz"), **arrays)
    Path(output).write_text(json.dumps(digests))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main(*sys.argv[1:])
