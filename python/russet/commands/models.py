"""The commands for models: describe, bench, convert; and what all take that load one."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from russet.errors import ArgumentError

if TYPE_CHECKING:
    from russet.coreml.language_model import LanguageModel


def add_to(commands: Any) -> None:
    """Adds the commands to a parser's."""
    describe = commands.add_parser(
        "describe", help="show what a package is made of", description="Shows a Core ML package's parts."
    )
    describe.set_defaults(run=_describe)
    describe.add_argument("package", metavar="PACKAGE", help="an .mlpackage, or a folder or a repository on the Hub with one")
    add_revision(describe.add_argument)
    add_variant(describe.add_argument)
    describe.add_argument("--json", action="store_true", help="print one object")
    describe.add_argument(
        "--lint", action="store_true", help="check it against Core ML's limits; the exit code is 1 if it breaks one"
    )

    bench = commands.add_parser("bench", help="measure a model's speed", description="Measures prompt and generation speed.")
    bench.set_defaults(run=_bench)
    add_model(bench.add_argument, positional=True)
    bench.add_argument("--prompt-tokens", type=int, default=128, metavar="N", help="tokens of the prompt (128)")
    bench.add_argument("--generation-tokens", type=int, default=64, metavar="N", help="tokens after it (64)")
    bench.add_argument("--rounds", type=int, default=3, metavar="N", help="how often each is measured (3)")
    bench.add_argument("--json", action="store_true", help="print one object")

    convert = commands.add_parser(
        "convert", help="make a package of a checkpoint", description="Converts config.json and safetensors to a Core ML package."
    )
    convert.set_defaults(run=_convert)
    convert.add_argument("model", metavar="MODEL", help="the checkpoint: a folder, or a repository on the Hub")
    add_revision(convert.add_argument)
    convert.add_argument("out", type=Path, nargs="?", metavar="OUT", help="the folder that is made")
    convert.add_argument("--plan", action="store_true", help="say what would be made; config.json is enough")
    convert.add_argument(
        "--quantize",
        action="append",
        metavar="[PATTERN=]KIND",
        help="int8, int4, palette4 or palette6, of all matrices or of those whose names fit; may be given several times",
    )
    convert.add_argument("--context", type=int, metavar="N", help="the greatest number of tokens (2048, or the checkpoint's)")
    convert.add_argument("--query-lengths", default="1,8,64", metavar="N,N", help="tokens of a call (1,8,64)")
    convert.add_argument(
        "--cache", choices=("stateful", "none"), default="stateful", help="where keys and values are kept (stateful)"
    )
    convert.add_argument("--shapes", choices=("multifunction", "range", "fixed", "enumerated"), help="how calls vary in length")
    convert.add_argument("--precision", choices=("float16", "float32"), default="float16", help="of what stays floats (float16)")
    convert.add_argument("--logits", choices=("last", "all"), default="last", help="of the last token, or of all (last)")
    convert.add_argument("--target", default="ios18", metavar="TARGET", help="ios16, ios17 or ios18 (ios18)")
    convert.add_argument("--name", metavar="NAME", help="what the package is called (the folder's name)")
    convert.add_argument("--upload-repo", metavar="REPO", help="upload the folder to this repository on the Hub, with a model card")
    convert.add_argument("--private", action="store_true", help="make the repository a private one, if it is not there")
    convert.add_argument("--no-verify", action="store_true", help="do not compare the package with the checkpoint")
    convert.add_argument("--json", action="store_true", help="print one object")


def add_model(add: Any, positional: bool = False) -> None:
    """Adds what tells which model, and what runs it."""
    text = "an .mlpackage, or a folder or a repository on the Hub with one (the small model that ships with Russet)"
    if positional:
        add("model", nargs="?", metavar="MODEL", help=text)
    else:
        add("--model", "-m", metavar="MODEL", help=text)
    add_revision(add)
    add_variant(add)
    add("--tokenizer", metavar="MODEL", help="the tokenizer's file, folder or repository, if it is not beside the package")
    add("--backend", choices=("auto", "coremltools", "portable"), default="auto", help="what runs the package (auto)")
    add("--compute-units", metavar="UNITS", help="of Core ML: all, cpuOnly, cpuAndGPU or cpuAndNeuralEngine")
    add("--threads", type=int, metavar="N", help="of the portable backend: threads of its kernels")


def load(options: argparse.Namespace) -> LanguageModel:
    """The model that the options name; ``options.model`` is set if they name none."""
    from russet import onboard
    from russet.coreml.language_model import LanguageModel

    options.model = options.model or onboard.path()
    chosen = {name: getattr(options, name) for name in ("compute_units", "threads") if getattr(options, name) is not None}
    return LanguageModel.from_pretrained(
        options.model, options.tokenizer, options.backend, variant=options.variant, revision=options.revision, **chosen
    )


def add_variant(add: Any) -> None:
    """Adds what tells one package of several."""
    add("--variant", metavar="NAME", help="which package, where there are several: its name or a part of it, such as int4")


def add_revision(add: Any) -> None:
    """Adds what tells which state of a repository."""
    add("--revision", metavar="NAME", help="a branch, tag or commit of the repository (main)")


def _convert(options: argparse.Namespace) -> None:
    from russet.conversion.command import run

    run(options)


def _describe(options: argparse.Namespace) -> int | None:
    from russet.coreml.description import describe
    from russet.coreml.settings import find_package

    package = find_package(options.package, options.variant, {"revision": options.revision})
    if options.lint:
        from russet.coreml.lint import lint

        findings = lint(package)
        if options.json:
            print(as_json([vars(finding) for finding in findings]))
        else:
            for finding in findings:
                print(f"{finding.level:<8} {finding.rule}: {finding.place}: {finding.message}")
            print(f"{len(findings)} findings" if findings else "nothing found")
        return int(any(finding.level == "error" for finding in findings))
    report = describe(package)
    if options.json:
        print(as_json(report))
        return None
    print(f"package         {report['package']}, {report['bytes'] / 1e6:.1f} MB, specification {report['specification_version']}")
    for name in ("short_description", "author", "license", "version"):
        if report[name]:
            print(f"{name:<15} {report[name]}")
    for function in report["functions"]:
        default = " (default)" if function["name"] == report["default_function"] and len(report["functions"]) > 1 else ""
        print(f"function        {function['name']}{default}, {function['opset']}")
        for kind in ("inputs", "outputs", "states"):
            for feature in function[kind]:
                print(f"  {kind[:-1]:<13} {feature['name']}: {feature['dtype']} {feature['shape']}")
        print(f"  operations    {', '.join(f'{kind} {count}' for kind, count in function['operations'].items())}")
        if function["missing_operations"]:
            print(f"  not portable  {', '.join(function['missing_operations'])}")
        if function["language_model"]:
            parts = ", ".join(f"{name} {value}" for name, value in function["language_model"].items() if value is not None)
            print(f"  language model: {parts}")
    print("weights")
    for kind, weights in report["weights"].items():
        print(f"  {kind:<13} {weights['tensors']} tensors, {weights['elements']} elements, {weights['bytes'] / 1e6:.2f} MB")
    for name, value in report["metadata"].items():
        print(f"metadata        {name}: {value}")
    return None


def _bench(options: argparse.Namespace) -> None:
    if min(options.prompt_tokens, options.generation_tokens, options.rounds) < 1:
        raise ArgumentError("bench: --prompt-tokens, --generation-tokens and --rounds are at least 1")
    start = time.perf_counter()
    model = load(options)
    loaded = time.perf_counter() - start
    total = options.prompt_tokens + options.generation_tokens
    if total > model.context_length:
        raise ArgumentError(f"bench: {total} tokens, and the context holds {model.context_length}")
    ids = [index * 7919 % model.vocab_size for index in range(total)]
    # The first call makes what later ones use; a user's first prompt waits for it too.
    context = model.new_context()
    start = time.perf_counter()
    context.extend(ids[: options.prompt_tokens])
    first = time.perf_counter() - start
    prompts, steps = [], []
    for _ in range(options.rounds):
        context.rewind(0)
        start = time.perf_counter()
        context.extend(ids[: options.prompt_tokens])
        prompts.append(time.perf_counter() - start)
        for id in ids[options.prompt_tokens :]:
            start = time.perf_counter()
            context.extend([id])
            steps.append(time.perf_counter() - start)
    prompt, step = statistics.median(prompts), statistics.median(steps)
    report = {
        "model": str(options.model),
        "backend": model.backend.name,
        "load_seconds": loaded,
        "time_to_first_token_seconds": loaded + first,
        "prompt_tokens": options.prompt_tokens,
        "prompt_tokens_per_second": options.prompt_tokens / prompt,
        "generation_tokens": options.generation_tokens,
        "generation_tokens_per_second": 1 / step,
        "peak_memory_megabytes": peak_megabytes(),
    }
    if options.json:
        print(as_json(report))
        return
    print(f"load            {loaded:.2f} s; the first token of a prompt comes {loaded + first:.2f} s after start")
    print(f"prompt          {options.prompt_tokens / prompt:.1f} tokens/s ({options.prompt_tokens} tokens)")
    print(f"generation      {1 / step:.1f} tokens/s (median of {len(steps)} steps)")
    print(f"peak memory     {peak_megabytes():.0f} MB")


def peak_megabytes() -> float:
    """The most memory that this process had so far."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1024


def as_json(value: Any) -> str:
    """As all commands print values."""
    return json.dumps(value, ensure_ascii=False)
