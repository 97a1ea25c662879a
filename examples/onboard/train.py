"""Makes the model on board: a small Llama that writes as Jane Austen's novels do.

    python examples/onboard/train.py [--cache FOLDER] [--out FOLDER] [--threads 2]

From nothing to a Hugging Face checkpoint: fetches the text (`book_text.py`), trains a byte-level BPE tokenizer, trains the
model on the CPU, writes `checkpoint/` beside this file. Needs torch, safetensors and tokenizers; nothing else of Russet does.
The seeds are fixed, but versions of torch and its threads move the last digits: run again, it gives a model that is as good, not
the same one.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from book_text import HELD_OUT, novels, split
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor, nn
from torch.nn import functional

SEED = 1813
BEGIN, END = "<s>", "</s>"
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 2560,
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": True,
    "initializer_range": 0.02,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "torch_dtype": "bfloat16",
}
#: What the user says is a paragraph in quotation marks; the answer is the next one, which begins with such a mark.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}\"{{ message['content'] }}\"\n"
    "{% elif message['role'] == 'assistant' %}\"{{ message['content'] }}\n"
    "{% else %}{{ message['content'] }}\n{% endif %}"
    '{% endfor %}{% if add_generation_prompt %}"{% endif %}'
)
GENERATION = {
    "bos_token_id": 0,
    "eos_token_id": 1,
    "do_sample": True,
    "temperature": 0.8,
    "top_p": 0.95,
    "max_new_tokens": 200,
}
STEPS, TOKENS_PER_STEP = 1000, 4096
#: Windows are short at first, which is cheaper; the last part of the steps sees the whole context.
SHORT, WHOLE, SHORT_STEPS = 256, 512, 0.75
#: Learning rates: of matrices, orthogonalized (Muon), and of all else (AdamW). They rise, stay, and fall to zero.
MATRIX_RATE, OTHER_RATE, DECAY, RISING_STEPS, FALLING_STEPS = 0.02, 4e-3, 0.1, 0.03, 0.5


def train_tokenizer(text: str) -> Tokenizer:
    """Byte-level BPE with GPT-2's pattern; a BOS goes before each text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"],
        special_tokens=[BEGIN, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A {BEGIN}:1 $B:1", special_tokens=[(BEGIN, CONFIG["bos_token_id"])]
    )
    return tokenizer


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions in Llama's form: the first half of a head's values pairs with the second."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class Layer(nn.Module):
    """A decoder layer under the names that Hugging Face gives its parts."""

    def __init__(self) -> None:
        super().__init__()
        width, inner, size = CONFIG["hidden_size"], CONFIG["intermediate_size"], CONFIG["head_dim"]
        self.heads, self.groups, self.size = CONFIG["num_attention_heads"], CONFIG["num_key_value_heads"], size
        linear = lambda inputs, outputs: nn.Linear(inputs, outputs, bias=False)  # noqa: E731
        self.self_attn = nn.ModuleDict(
            {
                "q_proj": linear(width, self.heads * size),
                "k_proj": linear(width, self.groups * size),
                "v_proj": linear(width, self.groups * size),
                "o_proj": linear(self.heads * size, width),
            }
        )
        self.mlp = nn.ModuleDict(
            {"gate_proj": linear(width, inner), "up_proj": linear(width, inner), "down_proj": linear(inner, width)}
        )
        self.input_layernorm = nn.RMSNorm(width, eps=CONFIG["rms_norm_eps"])
        self.post_attention_layernorm = nn.RMSNorm(width, eps=CONFIG["rms_norm_eps"])

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, _ = x.shape
        normed = self.input_layernorm(x)
        q, k, v = (
            self.self_attn[f"{name}_proj"](normed).view(batch, length, heads, self.size).transpose(1, 2)
            for name, heads in (("q", self.heads), ("k", self.groups), ("v", self.groups))
        )
        k, v = (part.repeat_interleave(self.heads // self.groups, dim=1) for part in (rotate(k, cos, sin), v))
        attended = functional.scaled_dot_product_attention(rotate(q, cos, sin), k, v, is_causal=True)
        x = x + self.self_attn["o_proj"](attended.transpose(1, 2).reshape(batch, length, -1))
        normed = self.post_attention_layernorm(x)
        return x + self.mlp["down_proj"](functional.silu(self.mlp["gate_proj"](normed)) * self.mlp["up_proj"](normed))


class Model(nn.Module):
    """Ids (batch, length) -> logits (batch, length, vocabulary); the head is the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(CONFIG["vocab_size"], CONFIG["hidden_size"])
        self.layers = nn.ModuleList(Layer() for _ in range(CONFIG["num_hidden_layers"]))
        self.norm = nn.RMSNorm(CONFIG["hidden_size"], eps=CONFIG["rms_norm_eps"])
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                # What writes into the residual stream starts at zero: each layer at first does nothing.
                nn.init.normal_(weight, std=0.0 if "o_proj" in name or "down_proj" in name else CONFIG["initializer_range"])

    def forward(self, ids: Tensor) -> Tensor:
        half = torch.arange(0, CONFIG["head_dim"], 2) / CONFIG["head_dim"]
        angles = torch.arange(ids.shape[1])[:, None] / CONFIG["rope_theta"] ** half
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, angles.cos(), angles.sin())
        return functional.linear(self.norm(x), self.embed_tokens.weight)


class Muon(torch.optim.Optimizer):
    """Momentum whose matrices are made nearly orthogonal (Jordan and others, 2024): learns more from few tokens than AdamW."""

    def __init__(self, weights: list[nn.Parameter], lr: float, decay: float) -> None:
        super().__init__(weights, {"lr": lr, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                momentum.lerp_(weight.grad, 0.05)
                update = orthogonal(weight.grad.lerp(momentum, 0.95))
                weight.mul_(1 - group["lr"] * group["decay"])
                weight.add_(update, alpha=-group["lr"] * max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest matrix of orthogonal rows, roughly: five steps of a Newton-Schulz iteration, singular values in 0.7 .. 1.2."""
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


def windows(stream: Tensor, newline: int, length: int, generator: torch.Generator) -> Iterator[Tensor]:
    """BOS and `length` tokens of the text, for ever: the text cut at another place in each pass, its parts in random order.

    Every second one is moved back to the start of its paragraph, where prompts start too.
    """
    begin = stream.new_tensor([CONFIG["bos_token_id"]])
    while True:
        first = int(torch.randint(length, (1,), generator=generator))
        starts = torch.arange(first, len(stream) - length, length)
        for turn, index in enumerate(torch.randperm(len(starts), generator=generator).tolist()):
            start = int(starts[index])
            if turn % 2:
                before = (stream[max(0, start - length) : start] == newline).nonzero()
                start = max(0, start - length) + int(before[-1]) + 1 if len(before) else start
            yield torch.cat((begin, stream[start : start + length]))


def bits_per_byte(model: Model, tokenizer: Tokenizer, text: str) -> float:
    """Of a text cut into windows of the whole context: a little worse than what overlapping windows give."""
    ids = torch.tensor(tokenizer.encode(text, add_special_tokens=False).ids)
    bits = 0.0
    with torch.no_grad():
        for part in ids.split(WHOLE - 1):
            inputs = torch.cat((ids.new_tensor([CONFIG["bos_token_id"]]), part[:-1]))
            bits += float(functional.cross_entropy(model(inputs[None])[0], part, reduction="sum")) / math.log(2)
    return bits / len(text.encode())


def train(tokenizer: Tokenizer, text: list[str], watched: str) -> Model:
    """The trained model; `watched` is only measured, for the progress."""
    newline = tokenizer.encode("\n", add_special_tokens=False).ids[0]
    ids = [[*encoding.ids, CONFIG["eos_token_id"]] for encoding in tokenizer.encode_batch(text, add_special_tokens=False)]
    stream = torch.tensor([id for chapter in ids for id in chapter])
    model = Model()
    matrices = [weight for name, weight in model.named_parameters() if weight.dim() == 2 and "embed" not in name]
    others = [weight for name, weight in model.named_parameters() if weight.dim() == 1 or "embed" in name]
    optimizers = [
        Muon(matrices, MATRIX_RATE, DECAY),
        torch.optim.AdamW(others, OTHER_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    rates = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    print(
        f"{sum(weight.numel() for weight in model.parameters())} parameters; {len(stream)} tokens of text; {STEPS} steps",
        flush=True,
    )
    generator = torch.Generator().manual_seed(SEED)
    sources = {length: windows(stream, newline, length, generator) for length in (SHORT, WHOLE)}
    started, total, counted = time.perf_counter(), 0.0, 0
    for step in range(STEPS):
        length = SHORT if step < SHORT_STEPS * STEPS else WHOLE
        batch = torch.stack([next(sources[length]) for _ in range(TOKENS_PER_STEP // length)])
        share = min(1.0, (step + 1) / (RISING_STEPS * STEPS), (STEPS - step) / (FALLING_STEPS * STEPS))
        for rate, group in zip(rates, (group for optimizer in optimizers for group in optimizer.param_groups), strict=True):
            group["lr"] = rate * share
        loss = functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(others, 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        total, counted = total + float(loss), counted + 1
        if (step + 1) % 50 == 0 or step + 1 == STEPS:
            watch = (
                f", watched text {bits_per_byte(model, tokenizer, watched):.3f} bits/byte"
                if (step + 1) % 200 in (0, STEPS % 200)
                else ""
            )
            seconds = time.perf_counter() - started
            print(
                f"step {step + 1}: loss {total / counted:.3f}{watch}, {seconds:.0f} s wall, {time.process_time():.0f} s CPU",
                flush=True,
            )
            total, counted = 0.0, 0
    return model


def save(folder: Path, model: Model, tokenizer: Tokenizer) -> None:
    """Writes the checkpoint as `LlamaForCausalLM.save_pretrained` names its parts, in bfloat16."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {f"model.{name}": weight.detach().to(torch.bfloat16).contiguous() for name, weight in model.named_parameters()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGIN,
        "eos_token": END,
        "add_bos_token": True,
        "clean_up_tokenization_spaces": False,
        "model_max_length": WHOLE,
        "chat_template": CHAT_TEMPLATE,
    }
    for name, value in (("config", CONFIG), ("tokenizer_config", tokenizer_config), ("generation_config", GENERATION)):
        (folder / f"{name}.json").write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=here / "cache", help="where the fetched text is kept")
    parser.add_argument("--out", type=Path, default=here / "checkpoint", help="the checkpoint's folder")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(SEED)
    books = novels(arguments.cache)
    training, held_out = split(books)
    tokenizer = train_tokenizer("".join(training))
    # The chapter whose number is stated is not looked at here.
    model = train(tokenizer, training, "".join(held_out[chapter] for chapter in HELD_OUT[1:]))
    save(arguments.out, model, tokenizer)


if __name__ == "__main__":
    main()
