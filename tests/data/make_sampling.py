"""Makes tests/data/sampling.json: 100 samplers with a row each, and the tokens that each draws first.

The tokens are Russet's own; what they must be is said by the other tests. This file holds them the same on every machine, level of
instructions and version. Run it after a change that is meant to change draws, and say so in CHANGELOG.md.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "unit"))

FILTERS: dict[str, list[Any]] = {
    "temperature": [0.3, 0.7, 1.0, 1.5],
    "top_k": [1, 20, 50, 400],
    "top_p": [0.3, 0.9, 0.95, 0.999],
    "min_p": [0.01, 0.05, 0.3],
    "typical_p": [0.3, 0.9],
    "epsilon_cutoff": [0.0003, 0.01],
    "eta_cutoff": [0.0003, 0.01],
    "top_h": [0.4],
    "top_n_sigma": [1.0, 2.5],
    "xtc_probability": [0.5],
    "min_tokens_to_keep": [2, 9],
    "order": ["mlx-lm", "llama.cpp"],
}


def main() -> None:
    draw = random.Random(1)
    cases = []
    for number in range(100):
        options: dict[str, Any] = {"seed": number}
        for name in draw.sample(list(FILTERS), draw.randint(0, 4)):
            options[name] = draw.choice(FILTERS[name])
        if number % 20 == 19:
            options = {"seed": number, "mirostat": 1 + number // 20 % 2, "mirostat_tau": 3.0}
        size = draw.choice([1, 7, 64, 65, 1000, 5000, 50257])
        cases.append([size, draw.choice([1, 12, 30]), options])
    path = HERE / "sampling.json"
    path.write_text(json.dumps({"cases": cases, "tokens": []}))
    import test_sampler_draws

    tokens = test_sampler_draws.golden_tokens()
    lines = [json.dumps(case) for case in cases]
    path.write_text('{"cases": [\n' + ",\n".join(lines) + '\n],\n"tokens": ' + json.dumps(tokens, separators=(",", ":")) + "}\n")


if __name__ == "__main__":
    main()
