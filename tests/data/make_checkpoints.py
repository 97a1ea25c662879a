"""Makes `checkpoints/`: configurations, names and shapes of weights, and torch's logits of `reference_checkpoints.py`.

    python tests/data/make_checkpoints.py

Made with torch 2.6.0 for processors and transformers 5.23.0. `tests/reference` computes the logits again.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from reference_checkpoints import CASES, expected, ids_of

FOLDER = Path(__file__).parent / "checkpoints"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    manifest, arrays = {}, {}
    for case in CASES:
        manifest[case], logits = expected(case)
        arrays |= {f"{case}/ids": ids_of(case), f"{case}/logits": logits}
    np.savez_compressed(FOLDER / "logits.npz", **arrays)
    lines = [f'"{case}": {json.dumps(entry)}' for case, entry in manifest.items()]
    (FOLDER / "manifest.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
