"""``config.json``, read field by field: what is missing, of another type or not supported is an error that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from russet.errors import ConfigError, MissingFileError, UnsupportedModelError
from russet.json_objects import read_object

#: Fields of other families that change results, each with the values that do not.
_REFUSED: dict[str, tuple[Any, ...]] = {
    "quantization_config": (),
    "attn_logit_softcapping": (),
    "final_logit_softcapping": (),
    "query_pre_attn_scalar": (),
    "embedding_multiplier": (1.0,),
    "residual_multiplier": (1.0,),
    "attention_multiplier": (),
    "logits_scaling": (1.0,),
    "logit_scale": (1.0,),
    "alibi": (False,),
    "parallel_attn": (False,),
    "num_local_experts": (0, 1),
    "num_experts": (0, 1),
    "use_mrope": (False,),
    "add_cross_attention": (False,),
    "is_encoder_decoder": (False,),
    "adapters": (),
    "scale_embedding": (False,),
    "attention_chunk_size": (),
}
#: Fields that say nothing of what the model computes from weights.
_NEUTRAL = frozenset(
    [
        "architectures",
        "model_type",
        "transformers_version",
        "torch_dtype",
        "dtype",
        "use_cache",
        "initializer_range",
        "attention_dropout",
        "attn_pdrop",
        "embd_pdrop",
        "resid_pdrop",
        "bos_token_id",
        "eos_token_id",
        "pad_token_id",
        "pretraining_tp",
        "output_attentions",
        "output_hidden_states",
        "return_dict",
        "chunk_size_feed_forward",
        "id2label",
        "label2id",
        "problem_type",
        "auto_map",
        "task_specific_params",
        "summary_type",
        "summary_use_proj",
        "summary_activation",
        "summary_proj_to_labels",
        "summary_first_dropout",
        "reorder_and_upcast_attn",
        "gradient_checkpointing",
        "n_ctx",
        "attn_implementation",
        "max_window_layers",
        "hidden_dropout",
        "embedding_dropout",
        "residual_dropout",
        "name_or_path",
    ]
)


class Config:
    """The fields of a ``config.json``. Which ones were read is remembered."""

    def __init__(self, fields: dict[str, Any], place: str = "config.json") -> None:
        self.fields = fields
        self.place = place
        self._read: set[str] = set()

    @classmethod
    def from_folder(cls, folder: Path) -> Config:
        """Reads ``config.json``.

        Raises:
            MissingFileError: if the folder has none.
            ConfigError: if it is damaged.
        """
        path = folder / "config.json"
        fields = read_object(path)
        if fields is None:
            raise MissingFileError(2, "there is no config.json: a folder with a checkpoint is needed", str(path))
        return cls(fields)

    def _get(self, name: str) -> Any:
        self._read.add(name)
        return self.fields.get(name)

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number from 0 to 2^40; without a default it has to be there and above 0."""
        value = self._get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 40 or (default is None and value == 0):
            raise self.wrong(name, f"it is {value!r}, and not a whole number" + (" above 0" if default is None else ""))
        return value

    def optional_integer(self, name: str, absent: int | None = None) -> int | None:
        """A whole number above 0, or none if it is null; ``absent`` if the file does not name the field."""
        if name not in self.fields:
            return absent
        return self.integer(name) if self._get(name) is not None else None

    def number(self, name: str, default: float) -> float:
        """A finite number."""
        value = self._get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
            raise self.wrong(name, f"it is {value!r}, and not a number")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(name, f"it is {value!r}, and neither true nor false")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """A text."""
        value = self._get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise self.wrong(name, f"it is {value!r}, and not a text")
        return value

    def object(self, name: str) -> dict[str, Any] | None:
        """An object, or none."""
        value = self._get(name)
        if value is not None and not isinstance(value, dict):
            raise self.wrong(name, f"it is {value!r}, and not an object")
        return value

    def values(self, name: str, count: int, kinds: type | tuple[type, ...]) -> list[Any] | None:
        """A list of ``count`` values of these types, or none."""
        value = self._get(name)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != count or not all(isinstance(each, kinds) for each in value):
            raise self.wrong(name, f"it is no list of {count} values, one for each layer")
        return value

    def token(self, name: str) -> int | None:
        """An id, or the first of several."""
        value = self.fields.get(name)
        first = value[0] if isinstance(value, list) and value else value
        return first if isinstance(first, int) and not isinstance(first, bool) and first >= 0 else None

    def refuse_unsupported(self) -> None:
        """Raises for fields that change results and that no architecture here reads.

        Raises:
            UnsupportedModelError: naming the first such field.
        """
        for name, harmless in _REFUSED.items():
            value = self.fields.get(name)
            if name not in self._read and value is not None and not any(value == each for each in harmless):
                raise self.unsupported(name, f"{value!r} changes what the model computes, and is not supported")

    def unread(self) -> list[str]:
        """Fields that nobody read and that are not known to be without effect."""
        names = set(self.fields) - self._read - _NEUTRAL - set(_REFUSED)
        return sorted(name for name in names if not name.startswith("_") and self.fields[name] is not None)

    def wrong(self, name: str, message: str) -> ConfigError:
        """The error of a field that makes no sense."""
        return ConfigError(f"{self.place}: {name}: {message}", place=name)

    def unsupported(self, name: str, message: str) -> UnsupportedModelError:
        """The error of a field that is not supported."""
        return UnsupportedModelError(f"{self.place}: {name}: {message}")
