"""Scores of a Unigram model, spelled so that they are read as they are.

A tokenizer.json is read as the package ``tokenizers`` reads it: the digits as one number, divided by a power of ten. That rounds
twice, and gives one in four of the shortest decimals of seventeen digits as the number beside it. A model that was made in Python
has the exact numbers, so its saved form is spelled anew: another number of digits that this division takes to the score. Of those
that need it, one in a hundred has none, and stays one unit in its last place off.
"""

from __future__ import annotations

import json

_GREATEST = 1 << 64
#: Up to so many characters a decimal has at most fifteen digits, which are read exactly.
_SHORT = 16


def with_exact_scores(saved: str) -> str:
    """The saved form of a tokenizer or a model, with the scores of a Unigram model spelled anew."""
    if '"type":"Unigram"' not in saved:
        return saved
    form = json.loads(saved)
    model = form.get("model", form)
    pieces = ",".join(f"[{json.dumps(piece, ensure_ascii=False)},{spelled(score)}]" for piece, score in model["vocab"])
    model["vocab"] = []
    before, key, after = json.dumps(form, ensure_ascii=False, separators=(",", ":")).partition('"vocab":[')
    return f"{before}{key}{pieces}{after}"


def spelled(score: float) -> str:
    """A decimal that is read as this score, if there is one."""
    shortest = repr(float(score))
    if len(shortest) <= _SHORT or as_read(shortest) == score:
        return shortest
    above, below = abs(score).as_integer_ratio()
    for exponent in range(40):
        digits = (2 * above * 10**exponent + below) // (2 * below)
        if digits >= _GREATEST:
            break
        step = 1 << max(0, digits.bit_length() - 53)
        for candidate in (digits, digits + step, digits - step):
            if 0 < candidate < _GREATEST and candidate / 10.0**exponent == abs(score):
                return f"{'-' if score < 0 else ''}{candidate}e-{exponent}"
    return shortest


def as_read(decimal: str) -> float:
    """The number that is read from a decimal."""
    mantissa, _, exponent = decimal.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    power = int(exponent or 0) - len(fraction)
    digits = float(int(whole + fraction))
    number = digits * 10.0**power if power >= 0 else digits / 10.0**-power
    return -number if decimal.startswith("-") else number
