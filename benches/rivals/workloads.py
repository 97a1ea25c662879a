"""What is timed. A session is what one process does with one rival and one tokenizer; it returns samples for several metrics.

A metric is named `workload/kind/output`. Rates are MB (1e6 bytes of UTF-8) a second of CPU time of the whole process, unless the
metric says wall. Only the call is timed; releasing its result is not. Ids are compared with the reference's after each call.
"""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rivals import adapters
from rivals.reference import digest, long_document, text_digest
from rivals.session import Session, Unsupported, both_clocks, cpu, resident_bytes
from rivals.texts import ADVERSARIAL, TURNS, adversarial, turned

TINY = "Hello world"
SHAPE_LIMIT_S = 8.0


def fresh(session: Session) -> None:
    """Text that the process has never seen, after 2 MB of other text of the kind; then its two halves the other way round.

    Turned round, because some rivals remember a whole text, or its first part, rather than its pieces.
    """
    slow = session.is_slow()
    outputs = session.outputs()
    for kind in session.kinds:
        warm_up = session.text(f"{kind}-warm")
        if slow:
            warm_up = warm_up[:100_000]
        middle = len(warm_up) // 2
        session.adapter.encode_list(warm_up[:middle])
        (session.adapter.encode_numpy or session.adapter.encode_list)(warm_up[middle:])
        unseen = iter(range(1, 5))
        seen: dict[str, str] = {}
        for _ in range(1 if slow else 2):
            for output, call in outputs.items():
                key = f"{kind}-{next(unseen)}"
                seen[key] = session.text(key)
                session.time_text(f"fresh/{kind}/{output}", call, key, seen[key])
        if not session.quick:
            key = f"{kind}-plain"
            session.time_text(f"plain/{kind}/list", session.adapter.encode_list, key, session.text(key))
        for turn in range(1 if slow else TURNS):
            for output, call in outputs.items():
                for key, text in list(seen.items())[: 1 if slow else 2]:
                    session.time_text(f"hot/{kind}/{output}", call, f"{key} {turn}", turned(text, turn))


def _cold(session: Session, kind: str, output: str) -> None:
    call = session.outputs().get(output)
    if call is not None:
        key = f"{kind}-0"
        session.time_text(f"cold/{kind}/{output}", call, key, session.text(key))


def cold_english(session: Session) -> None:
    """The first megabyte of a process: nothing was called before but load."""
    _cold(session, "english", "list")


def cold_english_numpy(session: Session) -> None:
    _cold(session, "english", "numpy")


def cold_multilingual(session: Session) -> None:
    _cold(session, "multilingual", "list")


def chat(session: Session) -> None:
    """One message of 300 to 420 bytes to list, in microseconds: unseen, then again; and its ids back to str."""
    adapter, messages, right = session.adapter, session.texts("messages"), session.reference["messages"]
    encode = adapter.encode_list
    for message in messages[:500]:
        encode(message)
    clock = time.process_time_ns
    for start in range(500, 1100, 100):
        group = messages[start : start + 100]
        begin = clock()
        for message in group:
            encode(message)
        session.samples["chat/message/fresh"].append((clock() - begin) / 1e5)
    group = messages[600:700]
    for _ in range(5):
        begin = clock()
        for _ in range(4):
            for message in group:
                encode(message)
        session.samples["chat/message/hot"].append((clock() - begin) / 4e5)
    for message, expected in zip(messages[500:1100], right[500:1100], strict=True):
        session.check("chat/message/fresh", digest(encode(message)) == expected)
    session.wrong["chat/message/hot"] = session.wrong["chat/message/fresh"]


def decode(session: Session) -> None:
    """A list of ids to str, in millions of tokens a second; a message in microseconds."""
    call = session.adapter.decode
    if call is None:
        session.missing["decode"] = "no decode"
        return
    arrays = np.load(session.arrays_path)
    for key in ("english-0", "multilingual-0"):
        ids = arrays[key].tolist()[: 60_000 if session.is_slow() else None]
        call(ids[:1000])
        for _ in range(2 if session.quick else 4):
            text, seconds = cpu(call, ids)
            session.samples[f"decode/{key[:-2]}/text"].append(len(ids) / 1e6 / seconds)
        if session.adapter.decode_array is not None:
            for _ in range(4):
                text, seconds = cpu(session.adapter.decode_array, arrays[key])
                session.samples[f"decode/{key[:-2]}/array"].append(len(arrays[key]) / 1e6 / seconds)
            session.check(f"decode/{key[:-2]}/array", text_digest(text) == session.reference[f"decoded {key}"])
        text = call(arrays[key].tolist())
        session.check(f"decode/{key[:-2]}/text", text_digest(text or "") == session.reference[f"decoded {key}"])
    flat, bounds = arrays["messages"].tolist(), arrays["bounds"].tolist()
    rows = [flat[start:end] for start, end in itertools.pairwise(bounds)][:300]
    for _ in range(4):
        _, seconds = cpu(lambda: [call(row) for row in rows])
        session.samples["decode/message/microseconds"].append(seconds / len(rows) * 1e6)
    for row, expected in zip(rows, session.reference["decoded messages"], strict=False):
        session.check("decode/message/microseconds", text_digest(call(row) or "") == expected)


def batch(session: Session) -> None:
    """Documents of 2 KB, and one of 4 MB, on the threads that the environment allows: CPU and wall time."""
    threads, adapter = adapters.THREADS, session.adapter
    documents, right = session.texts("documents"), session.reference["documents"]
    slow = session.is_slow()
    step = 300 if slow or session.quick else 700
    adapter.encode_list("\n".join(documents[-100:]))
    calls = {"list": adapter.encode_batch, "flat": adapter.encode_flat}
    start = 0
    for _ in range(1 if slow or session.quick else 2):
        for output, call in calls.items():
            part = documents[start : start + step]
            if call is None or len(part) < step:
                continue
            size = sum(len(text.encode()) for text in part) / 1e6
            rows, seconds, wall = both_clocks(call, part)
            session.samples[f"batch{threads}/{output}/cpu"].append(size / seconds)
            session.samples[f"batch{threads}/{output}/wall"].append(size / wall)
            if output == "list":
                for row, expected in zip(rows, right[start : start + step], strict=True):
                    session.check(f"batch{threads}/list/cpu", digest(adapter.content(row)) == expected)
            start += step
    if adapter.encode_long is not None and not session.quick:
        text = long_document(session.folder)
        size = len(text.encode()) / 1e6
        _, seconds, wall = both_clocks(adapter.encode_long, text)
        session.samples[f"long{threads}/document/cpu"].append(size / seconds)
        session.samples[f"long{threads}/document/wall"].append(size / wall)


def load(session: Session) -> None:
    """Time to load and of the first call; memory after load and after the first megabyte, which is timed too."""
    text = session.text("english-0")
    gc.collect()
    before = resident_bytes()
    start, wall = time.process_time_ns(), time.perf_counter_ns()
    session.load()
    samples = session.samples
    cpu_ms, wall_ms = (time.process_time_ns() - start) / 1e6, (time.perf_counter_ns() - wall) / 1e6
    if adapters.THREADS > 1:
        samples[f"load/file/wall ms {adapters.THREADS}"].append(wall_ms)
        return
    samples["load/file/cpu ms"].append(cpu_ms)
    samples["load/file/wall ms"].append(wall_ms)
    after_load = resident_bytes()
    _, seconds = cpu(session.adapter.encode_list, TINY)
    samples["load/first call/ms"].append(seconds * 1e3)
    session.time_text("cold after a call/english/list", session.adapter.encode_list, "english-0", text)
    gc.collect()
    samples["memory/after load/MB"].append((after_load - before) / 1e6)
    samples["memory/after 1 MB/MB"].append((resident_bytes() - before) / 1e6)


def compiled(session: Session) -> None:
    """Loads the rival's own precompiled form, saved before by the same process."""
    session.load()
    if session.adapter.compile is None:
        session.missing["compiled"] = "no compiled form"
        return
    path = session.arrays_path.with_name(f"{session.path.stem}-{type(session.adapter).__name__}.compiled")
    session.adapter.compile(path)
    for _ in range(3):
        fresh_adapter = type(session.adapter)()
        _, seconds = cpu(fresh_adapter.load_compiled, path)
        session.samples["compiled/load/ms"].append(seconds * 1e3)
    text = session.text("english-0")
    session.check("compiled/load/ms", digest(fresh_adapter.encode_list(text)) == session.reference["english-0"])


def _shape(session: Session, shape: str) -> None:
    encode = session.adapter.encode_numpy or session.adapter.encode_list
    between = session.text("english-warm")[:20_000]
    times = {}
    for size in (1 << 18, 1 << 20):
        text = adversarial(shape, size)
        taken = []
        for repeat in range(3):
            # Something between, and each time a little less: some rivals remember the text before, or a whole text.
            encode(between)
            ids, seconds = cpu(encode, text[repeat * 3 :])
            taken.append(seconds)
            if repeat == 0:
                right = digest(session.adapter.content(ids)) == session.reference[f"{shape} {size}"]
                session.check(f"shapes/{shape}/ms", right)
            if seconds > SHAPE_LIMIT_S / 16:
                break
        times[size] = sorted(taken)[len(taken) // 2]
        if times[size] > SHAPE_LIMIT_S:
            session.missing[f"shapes/{shape}"] = f"over {SHAPE_LIMIT_S:.0f} s for {size >> 10} KiB"
            return
    session.samples[f"shapes/{shape}/ms"].append(times[1 << 20] * 1e3)
    session.samples[f"shapes/{shape}/growth"].append(times[1 << 20] / times[1 << 18])


def shapes(session: Session) -> None:
    """Texts that bring out the worst: milliseconds for 1 MiB, and growth from 256 KiB (4 is linear)."""
    for shape in ADVERSARIAL:
        session.guard(f"shapes/{shape}", _shape, shape)


def details(session: Session) -> None:
    """Ids, tokens and code point offsets, all asked for: documents of 2 KB and a text of 200 KB."""
    call = session.adapter.details
    if call is None:
        session.missing["details"] = "no offsets as the reference gives them"
        return
    documents = session.texts("documents")
    for start in (0, 100, 200):
        part = documents[start : start + 100]
        size = sum(len(text.encode()) for text in part) / 1e6
        _, seconds = cpu(lambda part=part: [call(text) for text in part])
        session.samples["details/documents/all fields"].append(size / seconds)
    for index in (1, 2, 3):
        text = session.text(f"english-{index}")[:200_000]
        _, seconds = cpu(call, text)
        session.samples["details/text/all fields"].append(len(text.encode()) / 1e6 / seconds)


def checks(session: Session) -> None:
    """How many of some 1,700 documents, messages and odd strings get other ids."""
    for text, expected in zip(session.texts("checks"), session.reference["checks"], strict=True):
        try:
            right = digest(session.adapter.encode_list(text)) == expected
        except Exception:
            right = False
        session.check("checks", right)


def count(session: Session) -> None:
    """Only the number of tokens."""
    call = session.adapter.count
    if call is None:
        session.missing["count"] = "no count of its own"
        return
    session.adapter.encode_list(session.text("english-warm")[: 100_000 if session.is_slow() else None])
    for index in (1, 2, 3):
        text = session.text(f"english-{index}")[: 200_000 if session.is_slow() else None]
        _, seconds = cpu(call, text)
        session.samples["count/english/number"].append(len(text.encode()) / 1e6 / seconds)


def turns(session: Session) -> None:
    """A chat that grows to some 50,000 tokens: the last turns, in microseconds; the whole again where there is no other way."""
    messages = session.texts("messages")
    history = messages[:520]
    adapter = session.adapter
    if adapter.conversation is None:
        text = "".join(history)
        adapter.encode_list(text)
        for message in messages[520:526]:
            text += message
            _, seconds = cpu(adapter.encode_list, text)
            session.samples["turns/whole again/microseconds"].append(seconds * 1e6)
        session.missing["turns/reuse"] = "no prefix reuse of its own"
        return
    conversation = adapter.conversation()
    ids: list[int] = []
    for index, message in enumerate(messages[:560]):
        (first_changed, new), seconds = cpu(conversation.append, message)
        ids[first_changed:] = list(new)
        if index >= len(history):
            session.samples["turns/reuse/microseconds"].append(seconds * 1e6)
    session.check("turns/reuse/microseconds", ids == adapter.encode_list("".join(messages[:560])))


SESSIONS: dict[str, Callable[[Session], None]] = {
    function.__name__: function
    for function in (
        checks, fresh, cold_english, cold_english_numpy, cold_multilingual, chat, decode, batch, load, compiled, shapes, details,
        count, turns,
    )
}  # fmt: skip
LOAD_THEMSELVES = ("load", "compiled")


def run(adapter: adapters.Adapter, job: dict[str, Any]) -> dict[str, Any]:
    """Runs the job's sessions one after the other in this process."""
    session = Session(adapter, job)
    if job["sessions"][0] not in LOAD_THEMSELVES:
        session.load()
    for name in job["sessions"]:
        session.guard(name, SESSIONS[name])
    if session.missing.get("load", "").startswith(Unsupported.__name__):
        raise Unsupported(session.missing["load"].partition(": ")[2])
    return {"samples": session.samples, "wrong": session.wrong, "missing": session.missing}
