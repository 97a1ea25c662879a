"""The command ``generate``: from a prompt or a conversation to text."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from russet.commands import conversation
from russet.commands.models import add_model, as_json, load, peak_megabytes

if TYPE_CHECKING:
    from russet.generation import Generation, GenerationPiece


def add_to(commands: Any) -> None:
    """Adds the command to a parser's."""
    generate = commands.add_parser("generate", help="generate text", description="Generates the text that follows a prompt.")
    generate.set_defaults(run=_generate, refuse=generate.error)
    add_model(generate.add_argument)
    generate.add_argument(
        "--prompt", metavar="TEXT", help="the prompt, or with --chat or --system the user's last message; - reads it from stdin"
    )
    conversation.add_to(generate.add_argument)
    generate.add_argument("--max-new-tokens", "-n", type=int, metavar="N", help="stop after N tokens (256, or the context's end)")
    generate.add_argument("--temperature", type=float, metavar="T", help="divides the logits; 0 takes the best token")
    generate.add_argument("--top-k", type=int, metavar="K", help="draw among the K best tokens")
    generate.add_argument("--top-p", type=float, metavar="P", help="draw among the best tokens of together this probability")
    generate.add_argument("--min-p", type=float, metavar="P", help="draw among tokens of at least this share of the best one's")
    generate.add_argument("--repetition-penalty", type=float, metavar="X", help="above 1, makes tokens of the text less likely")
    generate.add_argument("--seed", type=int, metavar="N", help="the same seed draws the same tokens")
    generate.add_argument("--stop", action="append", metavar="TEXT", help="stop before this text; may be given several times")
    generate.add_argument("--json", action="store_true", help="print one object at the end instead of the text as it comes")
    generate.add_argument("--stats", action="store_true", help="print tokens per second and the like to stderr")


def _generate(options: argparse.Namespace) -> None:
    start = time.perf_counter()
    if options.prompt is None and options.chat is None:
        options.refuse("one of --prompt and --chat is required")
    prompt, more = conversation.read(options, options.prompt)
    model = load(options)
    names = ("max_new_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed")
    values: dict[str, Any] = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    values |= more
    if options.stop:
        values["stop_strings"] = options.stop
    if options.json:
        whole = model.generate(prompt, **values)
        assert not isinstance(whole, list)
        print(as_json(_report(whole)))
        if options.stats:
            _print_stats(
                whole.usage.prompt_tokens, whole.usage.completion_tokens, whole.timings.prompt, whole.timings.generation, start
            )
        return
    last: GenerationPiece | None = None
    first = 0.0
    try:
        for piece in model.stream_generate(prompt, **values):
            first = first or time.perf_counter() - start
            last = piece
            sys.stdout.write(piece.text)
            sys.stdout.flush()
    finally:
        # Whatever ends it, the shell's next line is a line of its own.
        if last is not None:
            sys.stdout.write("\n")
    if options.stats and last is not None:
        print(
            f"prompt: {last.prompt_tokens} tokens, {last.prompt_tps:.1f} tokens/s; generation: {last.generation_tokens} tokens, "
            f"{last.generation_tps:.1f} tokens/s; first token after {first:.2f} s; ended by {last.finish_reason}; "
            f"peak memory {peak_megabytes():.0f} MB",
            file=sys.stderr,
        )


def _report(whole: Generation) -> dict[str, Any]:
    return {
        "text": whole.text,
        "token_ids": whole.token_ids,
        "finish_reason": whole.finish_reason,
        "stop_string": whole.stop_string,
        "seed": whole.seed,
        "usage": {
            "prompt_tokens": whole.usage.prompt_tokens,
            "completion_tokens": whole.usage.completion_tokens,
            "total_tokens": whole.usage.total_tokens,
        },
        "timings": {"prompt": whole.timings.prompt, "generation": whole.timings.generation},
    }


def _print_stats(prompt: int, generated: int, prompt_seconds: float, seconds: float, start: float) -> None:
    print(
        f"prompt: {prompt} tokens, {prompt / max(prompt_seconds, 1e-9):.1f} tokens/s; generation: {generated} tokens, "
        f"{generated / max(seconds, 1e-9):.1f} tokens/s; {time.perf_counter() - start:.2f} s in all; "
        f"peak memory {peak_megabytes():.0f} MB",
        file=sys.stderr,
    )
