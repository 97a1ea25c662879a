"""Rendering of chat templates beside transformers, in one process and in turns.

    python benches/chat_templates.py [--turns 4] [--rounds 40]

Templates: those of the tests, and those of the folder that RUSSET_CORPUS names. Each is held equal before it is timed. Printed are
medians of CPU time in microseconds, for a rendering with a compiled template.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from os import environ
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "differential")]

import chat_cases  # noqa: E402
from transformers.utils.chat_template_utils import render_jinja_template  # noqa: E402

from russet.chat_template import ChatTemplate  # noqa: E402

WRITTEN = ("chatml", "llama-3", "llama-3-tools", "mistral-tools", "qwen-tools", "qwen-thinking", "harmony", "macros-recursive")


def microseconds(call: Callable[[], object], repeat: int = 50) -> float:
    start = time.process_time()
    for _ in range(repeat):
        call()
    return (time.process_time() - start) / repeat * 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    sources = {name: chat_cases.source(name) for name in WRITTEN}
    if "RUSSET_CORPUS" in environ:
        sources |= {f"{name} (published)": source for name, source in chat_cases.published(Path(environ["RUSSET_CORPUS"]))}
    messages = [
        {"role": "user" if turn % 2 == 0 else "assistant", "content": f"What is {turn}?"} for turn in range(arguments.turns)
    ]
    options = {**chat_cases.TOKENS, "tools": chat_cases.TOOLS["schemas"], "documents": [], "add_generation_prompt": True}
    print("| template | transformers | Russet |\n|---|---|---|")
    for name, source in sources.items():
        tools = chat_cases.TOOLS["empty" if "command-r" in name and "published" in name else "schemas"]
        options: dict[str, Any] = {**chat_cases.TOKENS, "tools": tools, "documents": [], "add_generation_prompt": True}

        def theirs(source: str = source, options: dict[str, Any] = options) -> str:
            text: str = render_jinja_template([messages], chat_template=source, **options)[0][0]
            return text

        def ours(source: str = source, options: dict[str, Any] = options) -> str:
            return ChatTemplate(source).render(messages, **options).text

        assert ours() == theirs(), name
        times = [(microseconds(theirs), microseconds(ours)) for _ in range(arguments.rounds)]
        first, second = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"| {name.strip()} | {first:.0f} µs | {second:.0f} µs |", flush=True)


if __name__ == "__main__":
    main()
