"""Threads, fork, spawn, the interpreter lock, and Ctrl-C."""

from __future__ import annotations

import sys

import pytest
from isolated import run

pytestmark = pytest.mark.alone
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and signals")

SERIAL_AND_THREADS = """
import random, threading
tokenizer = fixture("wordpiece-bert-uncased")
texts = [line for line in (fixtures.DATA / "text" / "multilingual.txt").read_text(encoding="utf-8").split("\\n") if line]
options = [dict(), dict(truncation=8), dict(truncation=dict(max_length=12, stride=3)), dict(padding=40), dict(truncation=10, padding=16),
           dict(padding=dict(length=30, direction="left")), dict(add_special_tokens=False), dict(split_special_tokens=True)]
def call(n):
    text, option = texts[n % len(texts)], options[n % len(options)]
    kind = n % 5
    if kind == 0: return tokenizer.encode_arrays([text, text[:9]], **option)[0].tolist()
    if kind == 1: return tokenizer.count(text, **option)
    encoding = tokenizer.encode(text, **option)
    if kind == 2: return encoding.tokens
    if kind == 3: return encoding.offsets, [other.ids for other in encoding.overflowing]
    return tokenizer.decode(encoding.ids)
expected = [call(n) for n in range(len(texts) * 40)]
wrong = []
def work(seed):
    rng = random.Random(seed)
    for _ in range(4000):
        n = rng.randrange(len(expected))
        if call(n) != expected[n]: wrong.append(n)
threads = [threading.Thread(target=work, args=(seed,)) for seed in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
value = (len(wrong), wrong[:5])
"""


def test_16_threads_with_mixed_options() -> None:
    ending = run(SERIAL_AND_THREADS, seconds=150, memory=0)
    assert ending.status == "ok", ending
    assert ending.value == "(0, [])", ending


def test_settings_and_calls_in_threads() -> None:
    """One mutable tokenizer: each call sees the settings of one moment, and nothing hangs."""
    code = """
import threading
tokenizer = fixture("wordpiece-bert-uncased")
full = len(tokenizer.encode("the mill stands where two rivers meet").ids)
stop, wrong = threading.Event(), []
def encode():
    while not stop.is_set():
        n = len(tokenizer.encode("the mill stands where two rivers meet").ids)
        if n not in (full, 8): wrong.append(n)
def change():
    while not stop.is_set():
        tokenizer.enable_truncation(8); tokenizer.no_truncation()
threads = [threading.Thread(target=f, daemon=True) for f in (encode, encode, encode, change, change)]
for thread in threads: thread.start()
time.sleep(1.5); stop.set()
for thread in threads: thread.join(5)
value = (sum(t.is_alive() for t in threads), wrong[:5])
"""
    ending = run(code, "russet.tokenizers")
    assert ending.status == "ok", ending
    assert ending.value == "(0, [])", ending


def test_errors_in_threads_poison_nothing() -> None:
    code = """
import threading
tokenizer = Tokenizer.from_str(cfg(pre_tokenizer=split(r"(?:a|a)*(?=c)\\\\1|(a*)*\\\\1c"))) if False else fixture("unigram-no-unk")
errors = []
def work():
    for _ in range(200):
        try: tokenizer.encode("中文 unknown ✓")
        except Exception as error: errors.append(type(error).__name__)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
value = (len(errors), set(errors), tokenizer.encode("mill").ids == fixture("unigram-no-unk").encode("mill").ids)
"""
    ending = run(code)
    assert ending.status == "ok", ending
    assert ending.value == "(800, {'MissingTokenError'}, True)", ending


@posix
@pytest.mark.parametrize("module", ["russet", "russet.tokenizers"])
def test_fork_with_threads_running(module: str) -> None:
    code = """
import threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
os.environ["TOKENIZERS_PARALLELISM"] = "true"
tokenizer = fixture("bpe-gpt2")
texts = ["the mill stands where two rivers meet " * 20] * 64
expected = [e.ids for e in tokenizer.encode_batch(texts)]
stop = threading.Event()
def work():
    while not stop.is_set(): tokenizer.encode_batch(texts); tokenizer.encode(texts[0]).tokens
threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
for thread in threads: thread.start()
bad = []
for n in range(30):
    pid = os.fork()
    if pid == 0:
        right = [e.ids for e in tokenizer.encode_batch(texts)] == expected and tokenizer.encode(texts[0]).ids == expected[0]
        os._exit(0 if right else 1)
    deadline = time.monotonic() + 20
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done: break
        if time.monotonic() > deadline:
            os.kill(pid, 9); os.waitpid(pid, 0); status = -1
            break
        time.sleep(0.005)
    if status: bad.append((n, status))
stop.set()
value = bad
"""
    ending = run(code, module, seconds=100, memory=0)
    assert ending.status == "ok", ending
    assert ending.value == "[]", ending
    assert "fork" not in ending.stderr.lower(), ending.stderr


@pytest.mark.parametrize("module", ["russet", "russet.tokenizers"])
def test_pickle_through_spawn(module: str) -> None:
    code = """
import multiprocessing
if __name__ == "__main__":
    tokenizer = fixture("wordpiece-bert-uncased")
    texts = ["the mill", "stands where", "two rivers meet"]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        encodings = pool.map(tokenizer.encode, texts)
    value = [e.tokens for e in encodings] == [tokenizer.encode(t).tokens for t in texts]
"""
    # A spawned process imports the main module again; `-c` has none, so the pool gets everything through pickle.
    ending = run(code, module, seconds=60, memory=0)
    assert ending.status == "ok", ending
    assert ending.value == "True", ending


STALL = """
import threading
tokenizer = fixture("bpe-gpt2")
line = (fixtures.DATA / "text" / "multilingual.txt").read_text(encoding="utf-8")
text = line * (MEGABYTES * 1_000_000 // len(line.encode()))
done, ticks = threading.Event(), []
def work():
    CALL
    done.set()
thread = threading.Thread(target=work)
last = time.monotonic(); thread.start()
while not done.is_set():
    time.sleep(0.001)
    now = time.monotonic(); ticks.append(now - last); last = now
thread.join()
ticks.sort()
value = (len(ticks), ticks[-1])
"""


@pytest.mark.parametrize(
    "call", ["tokenizer.encode(text, keep_text=False)", "tokenizer.encode_arrays([text])", "tokenizer.count(text)"]
)
def test_other_threads_run_while_a_long_text_is_encoded(call: str) -> None:
    """The goal is a stall of at most 5 ms on an idle machine; a test machine's own scheduling gets some room."""
    code = STALL.replace("MEGABYTES", "20").replace("CALL", call)
    ending = run(code, seconds=60, memory=0)
    assert ending.status == "ok", ending
    ticks, longest = eval(ending.value)
    assert ticks > 20, ending
    assert longest < 0.15, f"another thread stood still for {longest * 1000:.0f} ms"


@posix
@pytest.mark.parametrize(
    "call",
    [
        "tokenizer.encode(text)",
        "tokenizer.encode_arrays([text] * 2)",
        "tokenizer.encode_batch([text[:1_000_000]] * 400)",
        "tokenizer.encode(text).offsets",
        "tokenizer.decode(ids)",
    ],
)
def test_ctrl_c(call: str) -> None:
    """KeyboardInterrupt comes within 100 ms of the signal, with room for a busy test machine."""
    code = f"""
import signal, threading
# A shell has processes in the background ignore it, and so do their children.
signal.signal(signal.SIGINT, signal.default_int_handler)
tokenizer = fixture("bpe-gpt2")
line = (fixtures.DATA / "text" / "multilingual.txt").read_text(encoding="utf-8")
text = line * 12_000
ids = tokenizer.encode(line).ids * (4000 if "decode" in {call!r} else 1)
sent = []
def interrupt():
    sent.append(time.monotonic()); os.kill(os.getpid(), signal.SIGINT)
timer = threading.Timer(0.2, interrupt)
timer.start()
try:
    for _ in range(1000): {call}
    value = "never interrupted"
except KeyboardInterrupt:
    value = time.monotonic() - sent[0]
"""
    ending = run(code, seconds=90, memory=0)
    assert ending.status == "ok", ending
    assert float(ending.value) < 0.4, f"{ending.value} s after the signal"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="interpreters with a lock of their own came with Python 3.12")
def test_an_isolated_interpreter() -> None:
    """Importing in one works, or fails with ImportError; it does not crash."""
    code = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
interpreter = interpreters.create()
script = '''
try:
    import russet
    russet.Tokenizer
except ImportError:
    pass
'''
interpreters.run_string(interpreter, script)
interpreters.destroy(interpreter)
"""
    ending = run(code, memory=0)
    assert ending.status == "ok", ending
