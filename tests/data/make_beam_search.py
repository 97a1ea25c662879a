"""Makes beam_search.json: what transformers' beam search finds for the models of tests/generation/table_model.py.

    python tests/data/make_beam_search.py

It needs transformers 5.23.0 and torch; the tests need neither. Both sides begin with the same bits: logits are sums of two rows.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "generation"))

from tables import tables  # noqa: E402

VERSION = "5.23.0"


class TableConfig(PretrainedConfig):
    model_type = "table"

    def __init__(self, vocab_size: int = 32, seed: int = 0, sharpness: float = 1.0, **values: Any) -> None:
        super().__init__(**values)
        self.vocab_size, self.seed, self.sharpness = vocab_size, seed, sharpness


class TableModel(PreTrainedModel, GenerationMixin):
    config_class = TableConfig

    def __init__(self, config: TableConfig) -> None:
        super().__init__(config)
        last, before = tables(config.vocab_size, config.seed, config.sharpness)
        # A parameter tells the device.
        self.of_last = torch.nn.Parameter(torch.from_numpy(last), requires_grad=False)
        self.of_before = torch.nn.Parameter(torch.from_numpy(before), requires_grad=False)
        self.post_init()

    def _init_weights(self, module: torch.nn.Module) -> None:
        pass

    def prepare_inputs_for_generation(self, input_ids: torch.Tensor, **values: Any) -> dict[str, Any]:
        return {"input_ids": input_ids}

    def forward(self, input_ids: torch.Tensor, **values: Any) -> CausalLMOutput:
        logits = self.of_last[input_ids[:, -1]]
        if input_ids.shape[1] > 1:
            logits = logits + self.of_before[input_ids[:, -2]]
        return CausalLMOutput(logits=logits[:, None])


def cases() -> list[dict[str, Any]]:
    """Models, prompts and values: the same with each run."""
    choose = random.Random(1)
    made = []
    for number in range(400):
        vocab_size = choose.choice([16, 32, 50])
        values: dict[str, Any] = {
            "num_beams": choose.choice([2, 2, 3, 4, 7]),
            "max_new_tokens": choose.choice([1, 2, 5, 12, 20]),
            "length_penalty": choose.choice([1.0, 1.0, 0.0, 2.0, -1.0, 0.6]),
            "early_stopping": choose.choice([False, False, True, "never"]),
            "eos_token_id": choose.choice([None, [3], [3], [3, 5], [0, 7, 9, 11]]),
        }
        values["num_return_sequences"] = choose.randint(1, values["num_beams"])
        processors: list[dict[str, Any]] = [
            {"repetition_penalty": 1.3},
            {"no_repeat_ngram_size": 2},
            {"bad_words_ids": [[4], [6, 2], [1, 8, 3]]},
            {"min_new_tokens": 4},
            {"suppress_tokens": [2, 12]},
            {"begin_suppress_tokens": [1, 14]},
            {"forced_eos_token_id": 3},
            {"forced_bos_token_id": 9},
            {"sequence_bias": [[[5], 2.5], [[7, 1], -4.0]]},
            {"exponential_decay_length_penalty": [3, 1.2]},
            {"renormalize_logits": True, "repetition_penalty": 1.5},
        ]
        if number >= 150:
            for chosen in choose.sample(processors, choose.choice([1, 1, 2])):
                values.update(chosen)
        if values["eos_token_id"] is None:
            values.pop("exponential_decay_length_penalty", None)
        prompt = [choose.randrange(vocab_size) for _ in range(choose.choice([1, 2, 6]))]
        model = {"vocab_size": vocab_size, "seed": number, "sharpness": choose.choice([0.25, 0.5, 1.0])}
        made.append(
            {"model": model, "prompt": prompt, "values": {name: value for name, value in values.items() if value is not None}}
        )
    return made


def answer(case: dict[str, Any]) -> list[dict[str, Any]]:
    """The sequences that transformers finds, each up to the id that ended it, with their scores.

    Where there are fewer sequences than beams, those that stand for none have -1e9 among what is added up: they are left out.
    """
    model = TableModel(TableConfig(**case["model"]))
    values = {**case["values"], "pad_token_id": 0}
    prompt = case["prompt"]
    found = model.generate(
        torch.tensor([prompt]), do_sample=False, use_cache=False, return_dict_in_generate=True, output_scores=True, **values
    )
    sequences = []
    for ids, score, beams in zip(
        found.sequences.tolist(), found.sequences_scores.tolist(), found.beam_indices.tolist(), strict=True
    ):
        length = sum(beam >= 0 for beam in beams)
        if not length or score * length ** case["values"]["length_penalty"] < -5e8:
            continue
        sequences.append({"ids": ids[len(prompt) : len(prompt) + length], "score": score})
    return sequences


def main() -> None:
    if transformers.__version__ != VERSION:
        sys.exit(f"transformers {transformers.__version__} is installed; the reference is {VERSION}")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    lines = [json.dumps({**case, "sequences": answer(case)}) for case in cases()]
    (HERE / "beam_search.json").write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    print(len(lines), "cases by torch", torch.__version__)


if __name__ == "__main__":
    main()
