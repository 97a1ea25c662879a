"""`russet doctor`: planted faults in files and stages are found and named; nothing is found where nothing is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers

import fixtures

pytest.importorskip("russet")

from russet.doctor import Report, compare, examine
from russet.doctor.references import Reference
from russet.doctor.texts import TEXTS, with_tokens
from russet.errors import MissingFileError
from russet.tokenizers import Tokenizer

#: Fixtures whose added tokens are declared with ids that they do not get.
WRONG = {"added_tokens-holes"}
TEMPLATE = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}{{ eos_token }}"


@pytest.mark.parametrize("name", fixtures.names())
def test_nothing_is_wrong_with_fixtures(name: str) -> None:
    report = examine(fixtures.TOKENIZERS / f"{name}.json")
    assert report.references == [f"tokenizers {tokenizers.__version__}"]
    assert report.texts >= len(TEXTS)
    if name in WRONG:
        assert {finding.check for finding in report.findings} == {"ids"}
    else:
        assert not report.findings, [str(finding) for finding in report.findings]


# Stages

Change = Callable[[dict[str, Any]], Any]


def _set(part: str, value: Any) -> Change:
    def change(form: dict[str, Any]) -> None:
        assert form[part] != value
        form[part] = value

    return change


def _swap_ids(form: dict[str, Any]) -> None:
    vocabulary = form["model"]["vocab"]
    vocabulary["a"], vocabulary["e"] = vocabulary["e"], vocabulary["a"]


def _swap_pieces(form: dict[str, Any]) -> None:
    pieces = form["model"]["vocab"]
    pieces[60], pieces[61] = pieces[61], pieces[60]


def _first_merges_last(form: dict[str, Any]) -> None:
    form["model"]["merges"] = form["model"]["merges"][::-1]


def _flag(content: str, name: str) -> Change:
    def change(form: dict[str, Any]) -> None:
        (token,) = (token for token in form["added_tokens"] if token["content"] == content)
        token[name] = not token[name]

    return change


def _without_token(form: dict[str, Any]) -> None:
    form["added_tokens"].pop()


def _metaspace(scheme: str) -> dict[str, Any]:
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": True}


TRUNCATION = {"direction": "Right", "max_length": 7, "strategy": "LongestFirst", "stride": 0}
PADDING = {
    "strategy": {"Fixed": 200},
    "direction": "Right",
    "pad_to_multiple_of": None,
    "pad_id": 0,
    "pad_type_id": 0,
    "pad_token": "[PAD]",
}
BYTES = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
FAULTS: dict[str, tuple[str, Change, tuple[str, ...]]] = {
    "normalizer, none": ("wordpiece-bert-uncased", _set("normalizer", None), ("normalizer",)),
    "normalizer, another": ("bpe-gpt2", _set("normalizer", {"type": "NFC"}), ("normalizer",)),
    "normalizer, of a Unigram": ("unigram-t5", _set("normalizer", {"type": "NFKD"}), ("normalizer",)),
    "pre-tokenizer, none": ("wordpiece-bert-uncased", _set("pre_tokenizer", {"type": "WhitespaceSplit"}), ("pre_tokenizer",)),
    "pre-tokenizer, prefix": ("bpe-gpt2", _set("pre_tokenizer", BYTES), ("pre_tokenizer",)),
    "pre-tokenizer, after tokens": (
        "pre_tokenizer-metaspace-always",
        _set("pre_tokenizer", _metaspace("first")),
        ("pre_tokenizer",),
    ),
    "model, ids": ("bpe-llama3", _swap_ids, ("model",)),
    "model, merges": ("bpe-gpt2", _first_merges_last, ("model",)),
    "model, scores": ("unigram-t5", _swap_pieces, ("model",)),
    "model, prefix": ("wordpiece-bert-uncased", lambda form: form["model"].update(continuing_subword_prefix="@@"), ("model",)),
    "post-processor, none": ("wordpiece-bert-uncased", _set("post_processor", None), ("post_processor",)),
    "post-processor, offsets": (
        "bpe-gpt2",
        lambda form: form["post_processor"].update(trim_offsets=not form["post_processor"]["trim_offsets"]),
        ("post_processor",),
    ),
    "decoder, none": ("bpe-llama3", _set("decoder", None), ("decoder",)),
    "decoder, cleanup": ("wordpiece-bert-uncased", lambda form: form["decoder"].update(cleanup=False), ("decoder",)),
    "added tokens, lstrip": ("wordpiece-bert-uncased", _flag("[MASK]", "lstrip"), ("added_tokens",)),
    "added tokens, special": ("bpe-llama2", _flag("</s>", "special"), ("added_tokens",)),
    "added tokens, one missing": ("unigram-t5", _without_token, ("added_tokens",)),
    "truncation": ("bpe-gpt2", _set("truncation", TRUNCATION), ("truncation",)),
    "padding": ("bpe-llama2", _set("padding", PADDING), ("padding",)),
}


def tokenizer_with(name: str, *changes: Change) -> Tokenizer:
    form = fixtures.config(name)
    for change in changes:
        change(form)
    return Tokenizer.from_str(json.dumps(form))


def texts_of(tokenizer: Any) -> list[str]:
    return [*TEXTS, *with_tokens(token.content for token in tokenizer.get_added_tokens_decoder().values())]


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_in_a_stage(fault: str) -> None:
    name, change, stages = FAULTS[fault]
    reference = tokenizers.Tokenizer.from_str(fixtures.content(name))
    candidate = tokenizer_with(name, change)
    found = compare(reference, candidate, texts_of(reference))
    assert [difference.stages for difference in found] == [stages]
    (difference,) = found
    assert set(difference.forms) == set(stages)
    assert difference.expected != difference.got
    assert difference.texts > 0
    # The text is small, and shows the difference by itself.
    assert len(difference.text) <= 12
    (again,) = compare(reference, candidate, [difference.text])
    assert again.stages == stages


def test_faults_in_two_stages() -> None:
    """Each text is put down to the stages that it needs."""
    reference = tokenizers.Tokenizer.from_str(fixtures.content("wordpiece-bert-uncased"))
    candidate = tokenizer_with(
        "wordpiece-bert-uncased",
        _set("normalizer", None),
        _set("decoder", None),
        _set("truncation", {**TRUNCATION, "max_length": 16}),
    )
    found = compare(reference, candidate, ["abc", "ABC", "a b c d e f g h i"])
    assert [(difference.stages, difference.texts) for difference in found] == [
        (("decoder",), 1),
        (("normalizer", "decoder"), 1),
        (("truncation",), 1),
    ]


def test_first_difference_is_told() -> None:
    reference = Tokenizer.from_str(fixtures.content("bpe-llama3"))
    (difference,) = compare(reference, tokenizer_with("bpe-llama3", _swap_ids), ["xyz", "a", "zaz"])
    ids = reference.token_to_id("a"), reference.token_to_id("e")
    assert difference.text == "a"
    assert difference.place == "ids without special tokens[0]"
    assert (difference.expected, difference.got) == tuple(map(str, ids))
    assert difference.texts == 2


class Odd:
    """A tokenizer that does one thing otherwise than its saved form says."""

    def __init__(self, tokenizer: Tokenizer, **changed: Any) -> None:
        self._tokenizer, self._changed = tokenizer, changed

    def __getattr__(self, name: str) -> Any:
        return self._changed.get(name) or getattr(self._tokenizer, name)


def _broken(name: str) -> tuple[Tokenizer, str]:
    """A tokenizer with the fault of a stage, as if its code were at fault: the saved form is the right one's."""
    fixture, change, _ = FAULTS[name]
    return tokenizer_with(fixture, change), fixture


@pytest.mark.parametrize(
    ("fault", "stage"),
    [
        ("normalizer, none", "normalizer"),
        ("pre-tokenizer, prefix", "pre_tokenizer"),
        ("model, ids", "model"),
        ("post-processor, none", "post_processor"),
        ("decoder, none", "decoder"),
        ("added tokens, one missing", "added_tokens"),
        ("post-processor, offsets", "offsets"),
    ],
)
def test_a_stage_whose_code_differs(fault: str, stage: str) -> None:
    """Where saved forms are the same, the stages run one by one."""
    broken, fixture = _broken(fault)
    candidate = Odd(broken, to_str=lambda: fixtures.content(fixture))
    found = compare(
        Tokenizer.from_str(fixtures.content(fixture)), candidate, texts_of(Tokenizer.from_str(fixtures.content(fixture)))
    )
    assert found
    assert {difference.stages for difference in found} == {(stage,)}
    assert all(difference.forms == {} for difference in found)


def test_an_error_is_a_difference_and_a_crash_of_the_reference_is_none() -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("no")

    class Crash(BaseException):
        pass

    def crash(*_: Any, **__: Any) -> None:
        raise Crash

    good = Tokenizer.from_str(fixtures.content("bpe-gpt2"))
    (difference,) = compare(good, Odd(good, decode=refuse), ["a"])
    assert difference.stages == ("decoder",)
    assert "ValueError: no" in difference.got
    assert compare(Odd(good, decode=refuse), Odd(good, decode=refuse), TEXTS) == []
    assert compare(Odd(good, encode=crash), good, TEXTS) == []


def test_reference_can_be_given(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(fixtures.content("bpe-gpt2"), encoding="utf-8")
    candidate = Tokenizer.from_file(str(path))
    reference = Reference("the original", tokenizer_with("bpe-gpt2", _set("normalizer", {"type": "Lowercase"})), candidate)
    report = examine(tmp_path, ["Ä text of mine"], [reference])
    assert report.references == ["the original"]
    (finding,) = report.findings
    assert finding.check == "stages"
    assert finding.place == "the original"
    assert finding.details["stages"] == ["normalizer"]
    assert finding.details["forms"] == {"normalizer": {"expected": '{"type": "Lowercase"}', "got": "null"}}
    assert "the smallest of which is" in finding.message


def test_dropout_is_not_compared(tmp_path: Path) -> None:
    form = fixtures.config("bpe-gpt2")
    form["model"]["dropout"] = 0.5
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(form), encoding="utf-8")
    report = examine(path)
    assert not report.findings
    assert any("dropout of 0.5" in note for note in report.notes)


# Files


def folder_with(tmp_path: Path, name: str = "wordpiece-bert-uncased", *changes: Change, **files: Any) -> Path:
    """A folder with a fixture, changed, and files beside it (double underscores stand for dots)."""
    form = fixtures.config(name)
    for change in changes:
        change(form)
    contents: dict[str, Any] = {"tokenizer__json": form, **files}
    for file, content in contents.items():
        path = tmp_path / file.replace("__", ".")
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return tmp_path


def only(report: Report) -> str:
    assert len(report.findings) == 1, [str(finding) for finding in report.findings]
    return str(report.findings[0])


def alone(folder: Path) -> Report:
    return examine(folder, compared_with=[])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config__json", b"", "config.json: is empty"),
        ("config__json", b"{", "config.json: is no JSON"),
        ("config__json", b"[" * 100_000, "config.json: is no JSON"),
        ("config__json", b"[1]", "config.json: holds a list where an object is needed"),
        ("config__json", b'{"a": "\xff"}', "config.json: is no UTF-8: byte 7 is 0xff"),
        ("special_tokens_map__json", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "pointer of Git LFS"),
        ("tokenizer__json", b"{}", "tokenizer.json: does not load"),
        ("tokenizer__json", b"version https://git-lfs.github.com/spec/v1\n", "tokenizer.json: is a pointer of Git LFS"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    report = alone(folder_with(tmp_path, **{name: content}))
    assert any(message in str(finding) for finding in report.findings), [str(finding) for finding in report.findings]
    assert {finding.check for finding in report.findings} == {"files"}


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    folder_with(tmp_path)
    (tmp_path / "config.json").symlink_to(tmp_path / "gone.json")
    assert "config.json: is a link to a file that is not there" in only(alone(tmp_path))


def _added(content: str, id: int) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": id, "content": content, **flags}


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (_added("<new>", 7000), 'declared with an id that it does not get: [5] "<new>" with 7000, but it gets 420'),
        (_added("", 420), "without content, left out: [5]"),
    ],
)
def test_added_tokens(tmp_path: Path, token: dict[str, Any], message: str) -> None:
    assert message in only(alone(folder_with(tmp_path, "wordpiece-bert-uncased", lambda form: form["added_tokens"].append(token))))


def test_added_token_with_the_id_of_another(tmp_path: Path) -> None:
    report = alone(folder_with(tmp_path, "wordpiece-bert-uncased", lambda form: form["added_tokens"].append(_added("<new>", 3))))
    assert 'declared with the id of another token: [5] "<new>" with 3, which "[SEP]" has' in str(report.findings[1])


def test_two_tokens_with_one_id(tmp_path: Path) -> None:
    def clash(form: dict[str, Any]) -> None:
        form["model"]["vocab"]["mine"] = form["model"]["vocab"]["a"]

    report = alone(folder_with(tmp_path, "wordlevel-whitespace", clash))
    assert "model.vocab: tokens share an id" in str(report.findings[0])
    assert '"mine"' in str(report.findings[0])


def test_a_piece_twice(tmp_path: Path) -> None:
    def clash(form: dict[str, Any]) -> None:
        form["model"]["vocab"].append(form["model"]["vocab"][50])

    report = alone(folder_with(tmp_path, "unigram-t5", clash))
    assert "has pieces twice" in str(report.findings[0])


def test_merges(tmp_path: Path) -> None:
    report = alone(folder_with(tmp_path, "bpe-gpt2", lambda form: form["model"]["merges"].append(["zz", "qq"])))
    assert [finding.check for finding in report.findings] == ["files", "merges"]
    assert 'needs "zz" and "qq" and "zzqq"' in str(report.findings[1])
    report = alone(folder_with(tmp_path, "bpe-gpt2", lambda form: form["model"]["merges"].append("a b c")))
    assert 'merges[163]: "a b c" is no pair' in str(report.findings[1])
    report = alone(folder_with(tmp_path, "bpe-gpt2", lambda form: form["model"]["merges"].append(form["model"]["merges"][3])))
    assert "merges that occur twice: [163] repeats [3]" in str(report.findings[-1])


def test_unknown_token_that_is_not_there(tmp_path: Path) -> None:
    report = alone(folder_with(tmp_path, "wordlevel-whitespace", lambda form: form["model"].update(unk_token="<none>")))
    assert 'model.unk_token: "<none>" is not in the model\'s vocabulary' in str(report.findings[-1])


def test_post_processor_inserts_another_id(tmp_path: Path) -> None:
    def change(form: dict[str, Any]) -> None:
        form["post_processor"]["special_tokens"]["[CLS]"]["ids"] = [77]

    message = only(alone(folder_with(tmp_path, "wordpiece-bert-uncased", change)))
    assert 'post_processor.special_tokens["[CLS]"]: inserts "[CLS]" with the id 77, but it has the id 2' in message
    change_sep = {"type": "BertProcessing", "sep": ["[END]", 3], "cls": ["[CLS]", 2]}
    message = only(alone(folder_with(tmp_path, "wordpiece-bert-uncased", _set("post_processor", change_sep))))
    assert 'post_processor.sep: inserts "[END]" with the id 3, but it is not in the vocabulary' in message


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"tokenizer_config__json": {"pad_token": "<pad>"}}, 'tokenizer_config.json: pad_token: "<pad>" is not in the vocabulary'),
        ({"tokenizer_config__json": {"mask_token": {"content": "<mask>", "lstrip": True}}}, 'mask_token: "<mask>" is not'),
        ({"tokenizer_config__json": {"additional_special_tokens": ["[CLS]", "<x>"]}}, 'additional_special_tokens[1]: "<x>" is not'),
        ({"tokenizer_config__json": {"extra_special_tokens": {"image_token": "<x>"}}}, 'extra_special_tokens[0]: "<x>" is not'),
        ({"special_tokens_map__json": {"eos_token": "<end>"}}, 'special_tokens_map.json: eos_token: "<end>" is not'),
        (
            {"tokenizer_config__json": {"added_tokens_decoder": {"9": {"content": "[CLS]"}}}},
            'tokenizer_config.json: added_tokens_decoder: "[CLS]" is to have the id 9, but it has the id 2',
        ),
        ({"added_tokens__json": {"<new>": 420}}, '"<new>" is to have the id 420, but it is not in the vocabulary'),
        ({"added_tokens__json": {"<new>": None}}, '"<new>" with null is no token with its id'),
        ({"config__json": {"vocab_size": 100}}, 'config.json: vocab_size: is 100, but "'),
        ({"config__json": {"eos_token_id": 5000}}, "config.json: eos_token_id: no token has the id 5000"),
        (
            {"generation_config__json": {"eos_token_id": [2, 5000]}},
            "generation_config.json: eos_token_id: no token has the id 5000",
        ),
        ({"vocab__txt": "[PAD]\n[UNK]\nx\n"}, "ids: vocab.txt: has other ids than tokenizer.json"),
    ],
)
def test_what_other_files_name(tmp_path: Path, files: dict[str, Any], message: str) -> None:
    assert message in only(alone(folder_with(tmp_path, **files)))


def test_vocabulary_files_beside(tmp_path: Path) -> None:
    model = fixtures.config("bpe-gpt2")["model"]
    merges = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"]), ""]
    folder = folder_with(tmp_path, "bpe-gpt2", vocab__json=model["vocab"], merges__txt="\n".join(merges))
    assert not alone(folder).findings
    merges[3], merges[4] = merges[4], merges[3]
    folder_with(tmp_path, "bpe-gpt2", merges__txt="\n".join(merges), vocab__json={**model["vocab"], "a": 9000})
    report = alone(folder)
    assert [finding.check for finding in report.findings] == ["ids", "merges"]
    assert '"a" (9000, there' in str(report.findings[0])
    assert "first in merge 2" in str(report.findings[1])


def test_what_is_right(tmp_path: Path) -> None:
    special = {"cls_token": "[CLS]", "sep_token": {"content": "[SEP]"}, "additional_special_tokens": ["[MASK]"], "bos_token": None}
    decoder = {str(id): {"content": content} for id, content in enumerate(("[PAD]", "[UNK]", "[CLS]"))}
    vocabulary = fixtures.config("wordpiece-bert-uncased")["model"]["vocab"]
    folder = folder_with(
        tmp_path,
        tokenizer_config__json={**special, "add_bos_token": True, "added_tokens_decoder": decoder},
        special_tokens_map__json=special,
        added_tokens__json={"[MASK]": 4},
        config__json={"vocab_size": 420, "eos_token_id": 2, "pad_token_id": None, "sep_token_id": 419},
        vocab__txt="".join(f"{token}\n" for token in sorted(vocabulary, key=vocabulary.__getitem__)),
    )
    report = alone(folder)
    assert not report.findings
    assert not report.notes


def test_a_special_token_that_is_split_is_noted(tmp_path: Path) -> None:
    report = alone(folder_with(tmp_path, tokenizer_config__json={"eos_token": "##er"}))
    assert not report.findings
    assert "in a text it is split" in report.notes[0]


def test_one_file_alone_and_other_formats(tmp_path: Path) -> None:
    assert not examine(fixtures.SENTENCEPIECE / "unigram-nmt-nfkc.model").findings
    with pytest.raises(MissingFileError):
        examine(tmp_path / "gone")
    with pytest.raises(MissingFileError):
        examine(tmp_path)
    damaged = tmp_path / "damaged.json"
    damaged.write_text("{", encoding="utf-8")
    assert [finding.check for finding in examine(damaged).findings] == ["files", "files"]


def test_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def resolve(path: Any, allow_patterns: Any) -> Path:
        asked.append((path, allow_patterns))
        return folder_with(tmp_path)

    monkeypatch.setattr("russet.doctor.examination.resolve", resolve)
    report = examine("owner/name")
    assert report.path == "owner/name"
    assert not report.findings
    ((path, patterns),) = asked
    assert path == "owner/name"
    assert {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "config.json", "generation_config.json"} <= {
        *patterns
    }


# Chat templates and transformers


def test_chat_template(tmp_path: Path) -> None:
    pytest.importorskip("russet.chat_template")
    config = {"eos_token": "[SEP]", "chat_template": TEMPLATE}
    report = alone(folder_with(tmp_path, tokenizer_config__json=config))
    assert not report.findings
    assert not report.notes

    for template, message in {
        "{% for message in messages %}": "default: cannot be compiled",
        "{{ raise_exception('not today') }}": "default: does not render a question: not today",
        "{{ messages[0].role }}": "default: leaves out what the user says",
    }.items():
        folder_with(tmp_path, tokenizer_config__json={**config, "chat_template": template})
        assert message in only(alone(tmp_path))

    no_system = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TEMPLATE
    folder_with(tmp_path, tokenizer_config__json={**config, "chat_template": no_system + "<|im_end|>"})
    report = alone(tmp_path)
    assert not report.findings
    assert any("does not render a system message first: no system" in note for note in report.notes)
    assert any("writes what looks like special tokens, but is split: <|im_end|>" in note for note in report.notes)


def test_chat_template_that_a_reference_renders_otherwise(tmp_path: Path) -> None:
    pytest.importorskip("russet.chat_template")
    folder = folder_with(tmp_path, tokenizer_config__json={"eos_token": "[SEP]", "chat_template": TEMPLATE})
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    other = Reference("another", tokenizer, tokenizer, lambda messages, **_: messages[0]["content"])
    assert "default, another: a question is rendered otherwise, first at character 0: 'How much" in only(
        examine(folder, compared_with=[other])
    )


def test_transformers(tmp_path: Path) -> None:
    """The general class agrees with the file; a class that builds its own tokenizer is told of, with the stages."""
    pytest.importorskip("transformers")
    pytest.importorskip("russet.pretrained")
    pytest.importorskip("russet.chat_template")
    config = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "chat_template": TEMPLATE}
    folder = folder_with(tmp_path, tokenizer_config__json={**config, "tokenizer_class": "PreTrainedTokenizerFast"})
    report = examine(folder)
    assert [name.partition(" ")[0] for name in report.references] == ["tokenizers", "transformers"]
    assert not report.findings, [str(finding) for finding in report.findings]

    folder_with(tmp_path, tokenizer_config__json={**config, "tokenizer_class": "BertTokenizer", "do_lower_case": False})
    report = examine(folder)
    assert report.references[-1].endswith("BertTokenizer")
    assert {(finding.place, *finding.details["stages"]) for finding in report.findings} == {(report.references[-1], "normalizer")}


def test_transformers_runs_no_code_and_is_noted_where_it_cannot_load(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("russet.pretrained")
    config = {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["mine.Mine", None]}}
    folder = folder_with(tmp_path, tokenizer_config__json=config, mine__py="raise SystemExit('code of others')")
    report = examine(folder)
    assert not report.findings
    assert any("AutoTokenizer, which does not load it" in note for note in report.notes)


# The command


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "russet", "doctor", *arguments]
    return subprocess.run(call, capture_output=True, text=True, encoding="utf-8", check=False)


def test_command(tmp_path: Path) -> None:
    good = fixtures.TOKENIZERS / "bpe-gpt2.json"
    lines = tmp_path / "lines.txt"
    lines.write_text("one\n\ntwo\n", encoding="utf-8")
    done = command(str(good), "--text", "mine", "--file", str(lines))
    assert done.returncode == 0, done.stderr
    assert "nothing is wrong; compared with tokenizers" in done.stdout
    plain = json.loads(command(str(good), "--json", "--text", "mine", "--file", str(lines)).stdout)
    assert plain["findings"] == []
    assert plain["texts"] == json.loads(command(str(good), "--json").stdout)["texts"] + 3

    done = command(str(fixtures.TOKENIZERS / "added_tokens-holes.json"))
    assert done.returncode == 1
    assert "things are wrong" in done.stdout
    assert "ids: tokenizer.json: added_tokens: declared with an id that it does not get" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    "arguments", [[], ["/no/such/path"], [str(fixtures.DATA)], [str(fixtures.TOKENIZERS / "bpe-gpt2.json"), "--file", "/no"]]
)
def test_command_that_is_wrong(arguments: list[str]) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert done.stdout == ""
