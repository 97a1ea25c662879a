"""What generation begins with: texts, ids, conversations."""

from __future__ import annotations

from typing import Any

import pytest
from table_model import TableModel

import fixtures
import russet
from russet import MissingTokenizerError, PreTrainedTokenizer
from russet.generation import generate

TEMPLATE = (
    "{{ bos_token }}{% if tools %}{{ tools[0].function.name }}|{% endif %}{{ mood }}"
    "{% for message in messages %}[{{ message.role }}] {{ message.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
FILE = fixtures.TOKENIZERS / "bpe-gpt2.json"
USER = {"role": "user", "content": "Where is the mill?"}
BEGUN = {"role": "assistant", "content": "It stands"}


class Recorder(TableModel):
    """Keeps the ids that it reads first."""

    def __init__(self, tokenizer: Any = None) -> None:
        super().__init__(vocab_size=512)
        self.tokenizer = tokenizer

    def prompt(self, prompt: Any, **values: Any) -> list[int]:
        contexts = []
        make = self.new_context

        def new_context() -> Any:
            contexts.append(make())
            return contexts[-1]

        self.new_context = new_context  # type: ignore[method-assign]
        result = generate(self, prompt, max_new_tokens=1, **values)
        self.new_context = make  # type: ignore[method-assign]
        return list(contexts[0].ids)[: result.usage.prompt_tokens]


@pytest.fixture
def tokenizer() -> PreTrainedTokenizer:
    return PreTrainedTokenizer(tokenizer_file=str(FILE), bos_token="<|endoftext|>", chat_template=TEMPLATE)


def test_a_conversation_is_what_the_template_writes(tokenizer: PreTrainedTokenizer) -> None:
    model = Recorder(tokenizer)
    text = "<|endoftext|>[user] Where is the mill?\n[assistant]"
    assert model.prompt([USER]) == model.prompt((USER,)) == tokenizer(text, add_special_tokens=False)["input_ids"]
    # What the call gives counts before what the model has.
    other = PreTrainedTokenizer(tokenizer_file=str(FILE), chat_template="{{ messages[0].content }}")
    assert model.prompt([USER], tokenizer=other) == other("Where is the mill?")["input_ids"]


def test_an_answer_that_was_begun_goes_on(tokenizer: PreTrainedTokenizer) -> None:
    text = "<|endoftext|>[user] Where is the mill?\n[assistant] It stands"
    assert Recorder(tokenizer).prompt([USER, BEGUN]) == tokenizer(text)["input_ids"]


def test_what_the_template_is_given(tokenizer: PreTrainedTokenizer) -> None:
    def weather(place: str) -> str:
        """The weather.

        Args:
            place: Where.
        """
        return place

    model = Recorder(tokenizer)
    told = model.prompt([USER], tools=[weather], chat_template_kwargs={"mood": "sunny "})
    assert told == tokenizer("<|endoftext|>weather|sunny [user] Where is the mill?\n[assistant]")["input_ids"]
    assert model.prompt([USER], chat_template="{{ messages[0].content }}") == tokenizer("Where is the mill?")["input_ids"]
    # A negative prompt may be a text beside it.
    assert model.prompt([USER], chat_template_kwargs={"mood": ""}, negative_prompt="Here", guidance_scale=1.5) == model.prompt(
        [USER]
    )


def test_texts_and_ids_with_a_tokenizer_of_either_kind(tokenizer: PreTrainedTokenizer) -> None:
    expected = tokenizer("The mill")["input_ids"]
    for given in (tokenizer, tokenizer.core):
        model = Recorder(given)
        assert model.prompt("The mill") == model.prompt(expected) == expected
        assert generate(model, "The mill", max_new_tokens=5).text == tokenizer.decode(
            generate(model, "The mill", max_new_tokens=5).token_ids, skip_special_tokens=True
        )


def test_what_is_missing_is_told(tokenizer: PreTrainedTokenizer) -> None:
    with pytest.raises(MissingTokenizerError, match="a conversation, and there is no tokenizer"):
        generate(Recorder(), [USER])
    with pytest.raises(MissingTokenizerError, match=r"russet\.AutoTokenizer"):
        generate(Recorder(tokenizer.core), [USER])
    with pytest.raises(russet.ArgumentError, match="no chat template"):
        generate(Recorder(PreTrainedTokenizer(tokenizer_file=str(FILE))), [USER])
    for values in ({"tools": []}, {"documents": []}, {"chat_template": "x"}, {"chat_template_kwargs": {"tools": 1}}):
        with pytest.raises(russet.ArgumentError, match="is for conversations") as caught:
            generate(Recorder(tokenizer), "The mill", **values)
        assert caught.value.argument in (*values, "tools")
    model = Recorder()
    model.missing_tokenizer = "none is beside the package"  # type: ignore[attr-defined]
    with pytest.raises(MissingTokenizerError, match="none is beside the package"):
        generate(model, "The mill")


def test_a_template_that_refuses(tokenizer: PreTrainedTokenizer) -> None:
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(russet.TemplateError, match="roles must alternate"):
        generate(Recorder(tokenizer), [USER, USER])
