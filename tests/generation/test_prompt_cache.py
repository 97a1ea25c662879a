"""What a model has read is kept between calls, and in files."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_model import TableModel

import russet
from russet.generation import PromptCache, generate, stream_generate

PROMPT = [1, 2, 3, 4, 5]


def test_a_shared_beginning_is_read_once() -> None:
    model = TableModel()
    cache = PromptCache(model)
    one = generate(model, PROMPT, prompt_cache=cache, max_new_tokens=6)
    assert (one.usage.cached_tokens, list(cache.ids), len(cache)) == (0, PROMPT + one.token_ids[:-1], 10)
    model.calls.clear()
    # The same prompt: its last token is read again, as its logits are needed.
    again = generate(model, PROMPT, prompt_cache=cache, max_new_tokens=6)
    assert (again.token_ids, again.usage.cached_tokens) == (one.token_ids, 4)
    assert model.calls == [1] * 6
    # A text that goes on.
    longer = [*PROMPT, *one.token_ids, 9, 8]
    model.calls.clear()
    onward = generate(model, longer, prompt_cache=cache, max_new_tokens=3)
    assert (onward.usage.cached_tokens, model.calls[0]) == (10, 3)
    assert onward.token_ids == generate(model, longer, max_new_tokens=3).token_ids


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 3), min_size=1, max_size=12),
            st.sampled_from([{}, {"prompt_lookup_num_tokens": 3}]),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_texts_are_the_same_as_without_a_cache(calls: list[tuple[list[int], dict[str, Any], bool]]) -> None:
    model = TableModel(vocab_size=4)
    cache = PromptCache(model)
    for prompt, values, draws in calls:
        if draws:
            values = {**values, "temperature": 1.0, "seed": len(prompt)}
        cached = generate(model, prompt, prompt_cache=cache, max_new_tokens=8, **values)
        assert cached.token_ids == generate(model, prompt, max_new_tokens=8, **values).token_ids


def test_several_sequences_leave_the_prompt() -> None:
    model = TableModel()
    cache = PromptCache(model)
    sequences = generate(model, PROMPT, prompt_cache=cache, temperature=1.0, seed=1, num_return_sequences=3, max_new_tokens=5)
    assert list(cache.ids) == PROMPT
    fresh = generate(model, PROMPT, temperature=1.0, seed=1, num_return_sequences=3, max_new_tokens=5)
    assert [each.token_ids for each in sequences] == [each.token_ids for each in fresh]


def test_a_stream_that_is_left_leaves_what_was_read() -> None:
    model = TableModel()
    cache = PromptCache(model)
    pieces = stream_generate(model, PROMPT, prompt_cache=cache, max_new_tokens=9)
    tokens = [next(pieces).token for _ in range(3)]
    pieces.close()
    assert list(cache.ids) == PROMPT + tokens[:-1]
    cache.clear()
    assert len(cache) == 0


def test_a_cache_of_another_model_is_refused() -> None:
    with pytest.raises(russet.ArgumentError) as caught:
        generate(TableModel(), [1], prompt_cache=PromptCache(TableModel()))
    assert caught.value.argument == "prompt_cache"


# Files


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = TableModel()
    cache = PromptCache(model)
    generate(model, PROMPT, prompt_cache=cache, max_new_tokens=6)
    path = tmp_path / "prompt.npz"
    cache.save(path)
    return path


def test_a_saved_prompt_goes_on(saved: Path) -> None:
    model = TableModel()
    cache = PromptCache.load(saved, model)
    result = generate(model, [*PROMPT, 9], prompt_cache=cache, max_new_tokens=6)
    assert (result.usage.cached_tokens, model.calls[0]) == (5, 1)
    assert result.token_ids == generate(model, [*PROMPT, 9], max_new_tokens=6).token_ids
    # It takes the place of what is there, and leaves nothing else.
    cache.save(saved)
    assert list(saved.parent.iterdir()) == [saved]
    assert list(PromptCache.load(saved, model).ids) == list(cache.ids)


def test_a_file_is_an_npz_that_numpy_reads_without_pickle(saved: Path) -> None:
    with np.load(saved, allow_pickle=False) as arrays:
        assert set(arrays.files) == {"header", "state/ids", "state/check"}


@pytest.mark.parametrize("other", [TableModel(seed=1), TableModel(vocab_size=31), TableModel(context_length=100)])
def test_a_file_of_another_model_is_refused(saved: Path, other: TableModel) -> None:
    with pytest.raises(russet.ArgumentError) as caught:
        PromptCache.load(saved, other)
    assert caught.value.argument == "model"


class WithoutFingerprint(TableModel):
    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        del self.fingerprint


def test_a_model_without_a_fingerprint_is_known_by_its_logits(tmp_path: Path) -> None:
    cache = PromptCache(WithoutFingerprint())
    generate(cache.model, PROMPT, prompt_cache=cache, max_new_tokens=6)
    path = tmp_path / "prompt.npz"
    cache.save(path)
    near = WithoutFingerprint()
    near.of_last[:, :] += np.float32(0.01)
    for model in (WithoutFingerprint(), near):
        assert list(PromptCache.load(path, model).ids) == list(cache.ids)
    for other in (WithoutFingerprint(seed=1), WithoutFingerprint(sharpness=1.1), TableModel()):
        with pytest.raises(russet.ArgumentError) as caught:
            PromptCache.load(path, other)
        assert caught.value.argument == "model"
    with np.load(path) as arrays:
        for probe in (None, arrays["probe"][1:], arrays["probe"].astype(np.int64), np.full(32, np.nan, dtype=np.float32)):
            members = {f"{name}.npy": npy(arrays[name]) for name in arrays.files if name != "probe"}
            if probe is not None:
                members["probe.npy"] = npy(probe)
            (tmp_path / "other.npz").write_bytes(npz(members))
            with pytest.raises(russet.ArgumentError):
                PromptCache.load(tmp_path / "other.npz", WithoutFingerprint())


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(russet.MissingFileError):
        PromptCache.load(tmp_path / "none.npz", TableModel())
    with pytest.raises(russet.FileError):
        PromptCache.load(tmp_path, TableModel())
    with pytest.raises(russet.FileError):
        PromptCache(TableModel()).save(tmp_path / "none" / "prompt.npz")
    (tmp_path / "folder").mkdir()
    with pytest.raises(russet.FileError):
        PromptCache(TableModel()).save(tmp_path / "folder")
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def load(content: bytes, tmp_path: Path) -> PromptCache:
    path = tmp_path / "damaged.npz"
    path.write_bytes(content)
    return PromptCache.load(path, TableModel())


def test_every_cut_and_changed_byte_is_an_error(saved: Path, tmp_path: Path) -> None:
    content = saved.read_bytes()
    for length in range(0, len(content), 7):
        with pytest.raises((russet.ConfigError, russet.ArgumentError)):
            load(content[:length], tmp_path)
    whole = list(load(content, tmp_path).ids)
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        try:
            loaded = load(bytes(damaged), tmp_path)
        except (russet.ConfigError, russet.ArgumentError):
            continue
        # A time or a flag of the archive, which nothing depends on.
        assert list(loaded.ids) == whole


def npz(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def header(**changes: Any) -> bytes:
    values = {
        "format": "russet prompt cache 1",
        "model": {"fingerprint": TableModel().fingerprint, "vocab_size": 32, "context_length": 4096},
        **changes,
    }
    return npy(np.frombuffer(json.dumps(values).encode(), dtype=np.uint8))


IDS, CHECK = np.array([1, 2]), np.array([3], dtype=np.float32)
GOOD = {"header.npy": header(), "state/ids.npy": npy(IDS), "state/check.npy": npy(CHECK)}


def huge() -> bytes:
    """An array that promises 8 TB."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"shape": (1 << 40,), "fortran_order": False, "descr": "<f8"})
    return file.getvalue() + bytes(16)


def test_a_file_made_by_hand_is_one(tmp_path: Path) -> None:
    assert list(load(npz(GOOD), tmp_path).ids) == [1, 2]


@pytest.mark.parametrize(
    "members",
    [
        {},
        {**GOOD, "header.npy": b"nothing"},
        {**GOOD, "header.npy": npy(np.array([1.0]))},
        {**GOOD, "header.npy": header(format="another")},
        {**GOOD, "header.npy": npy(np.frombuffer(b"[" * 10000, dtype=np.uint8))},
        {**GOOD, "other.npy": npy(IDS)},
        {**GOOD, "state/ids.npy": npy(np.array([{"a": 1}], dtype=object))},
        {**GOOD, "state/ids.npy": npy(np.array(["text"]))},
        {**GOOD, "state/ids.npy": huge()},
        {**GOOD, "state/ids.npy": npy(IDS) + b"more"},
        {**GOOD, "state/ids.npy": npy(np.array([1, 3]))},
        {name: content for name, content in GOOD.items() if name != "state/ids.npy"},
    ],
)
def test_a_damaged_file_is_an_error(members: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises((russet.ConfigError, russet.ArgumentError)):
        load(npz(members), tmp_path)


def test_compressed_members_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    with pytest.raises(russet.ConfigError, match="compressed"):
        load(npz({"header.npy": bytes(10_000_000)}, zipfile.ZIP_DEFLATED), tmp_path)


def test_members_that_overlap_are_refused(tmp_path: Path) -> None:
    """Each entry of the directory says that it is the one large member."""
    content = npz({"state/a.npy": bytes(100_000), "state/b.npy": b""})
    directory = content.index(b"PK\x01\x02")
    first = content[directory : content.index(b"PK\x01\x02", directory + 4)]
    second = content[directory + len(first) : content.index(b"PK\x05\x06")]
    overlapping = content.replace(second, first.replace(b"state/a", b"state/c"))
    with pytest.raises(russet.ConfigError, match="larger than the file"):
        load(overlapping, tmp_path)
