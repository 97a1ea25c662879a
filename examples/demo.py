"""Generates text with the model on board, then shows the tokenizer beside `tokenizers`.

make demo
python examples/demo.py --prompt "Emma was" --tokens 100 --megabytes 4
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import russet
from russet import onboard

DATA = Path(__file__).parent.parent / "tests" / "data"
TIMED = ["bpe-gpt2", "bpe-llama3", "bpe-llama2", "unigram-t5", "wordpiece-bert-uncased"]
ROUNDS = 3
SHOWN = "wordpiece-bert-uncased"
SETTINGS = {"temperature": 0.6, "top_p": 0.9, "seed": 2}


def generate(prompt: str, tokens: int) -> None:
    """From a prompt to text: tokenizer, package, sampler, text as it comes."""
    start = time.perf_counter()
    model = russet.LanguageModel.from_pretrained(onboard.path())
    loaded = time.perf_counter() - start
    assert isinstance(model.tokenizer, russet.PreTrainedTokenizer)
    tokenizer = model.tokenizer.core
    package = next(onboard.path().glob("*.mlpackage"))
    size = sum(file.stat().st_size for file in package.rglob("*") if file.is_file())
    print(
        f"The model on board: {package.name}, {size / 1e6:.1f} MB, loaded in {loaded:.2f} s by the backend {model.backend.name!r}\n"
    )

    encoding = tokenizer.encode(prompt)
    print(f"tokenizer  {' '.join(f'{id}:{token}' for id, token in zip(encoding.ids, encoding.tokens, strict=True))}")
    context = model.new_context()
    logits = context.extend(encoding.ids)[0]
    best = [tokenizer.decode([int(id)]) for id in logits.argsort()[:-6:-1]]
    print(f"package    {len(encoding.ids)} ids -> {len(logits)} logits; the best five: {', '.join(map(repr, best))}")
    print(f"sampler    {', '.join(f'{name} {value}' for name, value in SETTINGS.items())}\n")

    print(prompt, end="", flush=True)
    last = None
    for last in model.stream_generate(prompt, max_new_tokens=tokens, **SETTINGS):
        print(last.text, end="", flush=True)
    assert last is not None
    print(
        f"\n\nprompt: {last.prompt_tokens} tokens, {last.prompt_tps:.0f} tokens/s; "
        f"generation: {last.generation_tokens} tokens, {last.generation_tps:.0f} tokens/s\n"
    )


def show(text: str) -> None:
    """Ids, tokens, offsets and decoded text of one sentence."""
    tokenizer = russet.Tokenizer.from_file(DATA / "tokenizers" / f"{SHOWN}.json")
    encoding = tokenizer.encode(text)
    print(f"{SHOWN}: {tokenizer.get_vocab_size()} tokens\n\n  text     {text!r}\n")
    print(f"  {'id':>5}  {'token':<14} {'offsets':<10} text")
    for id, token, (start, end) in zip(encoding.ids, encoding.tokens, encoding.offsets, strict=True):
        print(f"  {id:>5}  {token:<14} {f'{start}..{end}':<10} {text[start:end]!r}")
    print(f"\n  decoded  {tokenizer.decode(encoding.ids)!r}")
    stream = tokenizer.decode_stream()
    steps = [stream.step(id) for id in encoding.ids]
    print(f"  streamed {[step for step in [*steps, stream.finish()] if step]!r}\n")


def megabytes_per_second(call: Callable[[], Any], size: int) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return size / statistics.median(times) / 1e6


def compare(text: str) -> None:
    """Throughput of one thread, ids only, on the same text; beside the reference where it is installed."""
    try:
        import tokenizers
    except ImportError:
        tokenizers = None
    size = len(text.encode())
    documents = [text[start : start + 2000] for start in range(0, len(text), 2000)]
    beside = f"tokenizers {tokenizers.__version__}" if tokenizers else "tokenizers (not installed)"
    print(f"{len(documents)} documents, {size / 1e6:.1f} MB, one after another; MB/s, median of {ROUNDS}")
    print(f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}")
    print(f"\n  {'tokenizer':<24} {'russet ' + russet.__version__:>14} {beside:>26}   ids equal")
    for name in TIMED:
        path = DATA / "tokenizers" / f"{name}.json"
        subject = russet.Tokenizer.from_file(path)
        rate = megabytes_per_second(lambda subject=subject: [subject.encode(document).ids for document in documents], size)
        if tokenizers is None:
            print(f"  {name:<24} {rate:>14.1f} {'-':>26}")
            continue
        reference = tokenizers.Tokenizer.from_file(str(path))
        equal = all(subject.encode(document).ids == reference.encode(document).ids for document in documents)
        other = megabytes_per_second(lambda reference=reference: [reference.encode(document).ids for document in documents], size)
        print(f"  {name:<24} {rate:>14.1f} {other:>26.1f}   {'yes' if equal else 'NO'}")
    print(
        "\nThese fixtures have a few hundred tokens, and the text repeats; published tokenizers on fresh text behave differently."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompt", default="It was a fine morning, and Emma", help="what the text begins with")
    parser.add_argument("--tokens", type=int, default=120, help="how many tokens to generate (default 120)")
    parser.add_argument("--megabytes", type=float, default=1.0, help="how much text to time (default 1)")
    arguments = parser.parse_args()
    generate(arguments.prompt, arguments.tokens)
    show("The miller's ledger of 1893: Größe, 3,998 sacks — naïve? 磨坊 😀")
    text = (DATA / "text" / "multilingual.txt").read_text(encoding="utf-8")
    compare(text * max(1, int(arguments.megabytes * 1e6 / len(text.encode()))))


if __name__ == "__main__":
    main()
