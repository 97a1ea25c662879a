"""The tokenizer with the interface of transformers' ``PreTrainedTokenizerFast``.

What a call needs of the tokenizer are immutable parts, each read once: the core, the special tokens, the sides. A change
replaces a part as a whole. So any number of threads may call one tokenizer, and change it, and no lock is taken.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from russet import _core
from russet.errors import ArgumentError, MissingFileError
from russet.pretrained.batch_encoding import BatchEncoding
from russet.pretrained.calls import Wanted, inputs_of, limits_of, padding_of, to_arrays, to_lists, truncation_of
from russet.pretrained.chat import ChatMixin
from russet.pretrained.construction import added_of, named_templates, of_kind, settings_of_limits, shell_of, side_of, special_of
from russet.pretrained.decoding import clean_up, decode
from russet.pretrained.post_processor import PostProcessorMixin
from russet.pretrained.settings import VERY_LARGE_INTEGER
from russet.pretrained.special_tokens import SpecialTokens, missing_tokens
from russet.pretrained.tensors import framework_of
from russet.pretrained.vocabulary import VocabularyMixin
from russet.tokenizers import Tokenizer
from russet.tokenizers._added_token import AddedToken

if TYPE_CHECKING:
    from russet.tokenizers.decoders import Decoder

_log = logging.getLogger("russet")


class PreTrainedTokenizer(VocabularyMixin, PostProcessorMixin, ChatMixin):
    """Encodes texts to what models take, and decodes what they give.

        >>> tokenizer = russet.AutoTokenizer.from_pretrained("folder")          # doctest: +SKIP
        >>> tokenizer(["Hello", "Hello world"], padding=True, return_tensors="np")  # doctest: +SKIP

    Args:
        tokenizer_object: a tokenizer of this package, of ``russet.tokenizers`` or of ``tokenizers``.
        tokenizer_file: a tokenizer.json instead.
        settings: those of a tokenizer_config.json: ``model_max_length``, ``padding_side``, ``truncation_side``,
            ``model_input_names``, ``clean_up_tokenization_spaces``, ``split_special_tokens``, ``chat_template``,
            ``add_bos_token``, ``add_eos_token``, special tokens by name (``pad_token`` and so on, a text or an
            :class:`AddedToken`), ``extra_special_tokens`` and ``added_tokens_decoder``. What else is given is kept, and saved.

    Attributes:
        padding_side, truncation_side: ``"right"`` or ``"left"``; a call reads them when it begins.
        model_max_length: how many tokens the model takes; 10**30 for any number.

    Raises:
        ArgumentError: for a setting of the wrong kind.
    """

    vocab_files_names = {"tokenizer_file": "tokenizer.json", "vocab_file": "tokenizer.model"}  # noqa: RUF012
    is_fast = True
    pad_token_type_id = 0

    name_or_path: str
    model_max_length: int
    padding_side: str
    truncation_side: str
    model_input_names: list[str]
    split_special_tokens: bool
    clean_up_tokenization_spaces: bool
    init_kwargs: dict[str, Any]
    _warned_of_length: bool

    def __init__(self, *, tokenizer_object: Any = None, tokenizer_file: Any = None, **settings: Any) -> None:
        self._take(shell_of(tokenizer_object, tokenizer_file), settings)

    def _take(self, tokenizer: Tokenizer, settings: dict[str, Any]) -> None:
        for name in settings:
            if callable(getattr(type(self), name, None)):
                raise ArgumentError(f"{name!r} is no setting but a method", argument=name)
        values = dict(settings)
        if "additional_special_tokens" in values and "extra_special_tokens" not in values:
            values["extra_special_tokens"] = values.pop("additional_special_tokens")
        vars(self).update(_tokenizer=tokenizer, _special=SpecialTokens(), _warned_of_length=False)
        values = {**settings_of_limits(tokenizer), **values}
        self.init_kwargs = values
        self._special = special_of(values)
        self.name_or_path = values.get("name_or_path", "")
        self.verbose = values.get("verbose", False)
        length = values.get("model_max_length", values.get("max_len"))
        self.model_max_length = VERY_LARGE_INTEGER if length is None else of_kind(length, (int, float), "model_max_length")
        self.padding_side = side_of(values, "padding_side")
        self.truncation_side = side_of(values, "truncation_side")
        names = values.get("model_input_names", ("input_ids", "attention_mask"))
        self.model_input_names = [
            of_kind(name, str, "model_input_names") for name in of_kind(names, (list, tuple), "model_input_names")
        ]
        if not self.model_input_names:
            raise ArgumentError("model_input_names is empty", argument="model_input_names")
        self.clean_up_tokenization_spaces = bool(values.get("clean_up_tokenization_spaces", False))
        self._cleans_bpe = bool(values.get("clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", False))
        self.split_special_tokens = bool(values.get("split_special_tokens", False))
        self.add_prefix_space = values.get("add_prefix_space", False)
        self.chat_template = named_templates(values.get("chat_template"))
        self.response_template = values.get("response_template")
        self.chat_control_tokens = values.get("chat_control_tokens")
        vars(self).update(
            _add_bos_token=bool(values.get("add_bos_token", False)), _add_eos_token=bool(values.get("add_eos_token", False))
        )
        updates = "add_bos_token" in values or "add_eos_token" in values

        if self.split_special_tokens:
            tokenizer.encode_special_tokens = True
        core = tokenizer._ready().core
        adding = missing_tokens(core.get_added_tokens_decoder(), added_of(values), self._special)
        if adding:
            tokenizer.add_tokens(list[str | AddedToken](adding))
        if updates or core._part("post_processor", False) is None:
            self.update_post_processor()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **options: Any) -> PreTrainedTokenizer:
        """As :meth:`AutoTokenizer.from_pretrained`."""
        from russet.pretrained.auto import load

        return load(cls, pretrained_model_name_or_path, **options)

    # Encoding

    def __call__(
        self,
        text: Any = None,
        text_pair: Any = None,
        text_target: Any = None,
        text_pair_target: Any = None,
        add_special_tokens: bool = True,
        padding: Any = False,
        truncation: Any = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: Any = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        tokenizer_kwargs: dict[str, Any] | None = None,
        split_special_tokens: bool | None = None,
        max_target_length: int | None = None,
    ) -> BatchEncoding:
        """Encodes a text, a list of texts, or with ``is_split_into_words`` lists of words.

        Args:
            text: what is encoded.
            text_pair: the second of each pair.
            text_target, text_pair_target: texts that the model is to give; their ids come as ``labels`` beside those of ``text``.
            add_special_tokens: whether to add the tokens that the model wants around a text.
            padding: ``True`` or ``"longest"``, ``"max_length"``, or ``False``.
            truncation: ``True`` or ``"longest_first"``, ``"only_first"``, ``"only_second"``, or ``False``. Where nothing is said,
                ``max_length`` alone cuts.
            max_length: in tokens, for both; ``model_max_length`` where nothing is said.
            stride: how many tokens what is cut off repeats.
            pad_to_multiple_of: makes the padded length a multiple.
            padding_side: ``"right"`` or ``"left"`` for this call.
            return_tensors: ``"np"``, ``"pt"``, ``"mlx"`` or ``"jax"`` for arrays.
            return_token_type_ids, return_attention_mask: as ``model_input_names`` says where nothing is said.
            return_overflowing_tokens: makes rows of what is cut off; ``overflow_to_sample_mapping`` says of which text.
            return_special_tokens_mask, return_offsets_mapping, return_length: more keys.
            tokenizer_kwargs: more options by name, which win.
            split_special_tokens: whether special tokens in a text are ordinary text.

        Raises:
            ArgumentError: for options that make no sense together.
            TextError: for a text with a lone surrogate.
        """
        if text is not None and text_target is None and not tokenizer_kwargs:
            # The usual call without the way over a dict, which would take a tenth of the time of a short text.
            return self._encoded(
                text,
                text_pair,
                add_special_tokens,
                padding,
                truncation,
                max_length,
                stride,
                is_split_into_words,
                pad_to_multiple_of,
                padding_side,
                return_tensors,
                return_token_type_ids,
                return_attention_mask,
                return_overflowing_tokens,
                return_special_tokens_mask,
                return_offsets_mapping,
                return_length,
                split_special_tokens,
                verbose,
            )
        options: dict[str, Any] = {
            "add_special_tokens": add_special_tokens,
            "padding": padding,
            "truncation": truncation,
            "max_length": max_length,
            "stride": stride,
            "is_split_into_words": is_split_into_words,
            "pad_to_multiple_of": pad_to_multiple_of,
            "padding_side": padding_side,
            "return_tensors": return_tensors,
            "return_token_type_ids": return_token_type_ids,
            "return_attention_mask": return_attention_mask,
            "return_overflowing_tokens": return_overflowing_tokens,
            "return_special_tokens_mask": return_special_tokens_mask,
            "return_offsets_mapping": return_offsets_mapping,
            "return_length": return_length,
            "split_special_tokens": split_special_tokens,
            "verbose": verbose,
        }
        if tokenizer_kwargs:
            unknown = tokenizer_kwargs.keys() - options.keys()
            if unknown:
                raise ArgumentError(f"tokenizer_kwargs: {sorted(unknown)[0]!r} is no option of a call", argument="tokenizer_kwargs")
            options.update(tokenizer_kwargs)
        if text is None and text_target is None:
            raise ArgumentError("there is neither text nor text_target", argument="text")
        if text_target is None:
            return self._encoded(text, text_pair, **options)
        target_options = options if max_target_length is None else {**options, "max_length": max_target_length}
        target = self._encoded(text_target, text_pair_target, **target_options)
        if text is None:
            return target
        encoded = self._encoded(text, text_pair, **options)
        encoded.data["labels"] = target.data["input_ids"]
        return encoded

    def _encoded(
        self,
        text: Any,
        pair: Any,
        add_special_tokens: bool,
        padding: Any,
        truncation: Any,
        max_length: int | None,
        stride: int,
        is_split_into_words: bool,
        pad_to_multiple_of: int | None,
        padding_side: str | None,
        return_tensors: Any,
        return_token_type_ids: bool | None,
        return_attention_mask: bool | None,
        return_overflowing_tokens: bool,
        return_special_tokens_mask: bool,
        return_offsets_mapping: bool,
        return_length: bool,
        split_special_tokens: bool | None,
        verbose: bool,
    ) -> BatchEncoding:
        limits = limits_of(padding, truncation, max_length, pad_to_multiple_of, self.model_max_length, verbose)
        items, is_batch = inputs_of(text, pair, is_split_into_words)
        core = self._tokenizer._ready().core
        fill = None
        if limits.padding != "do_not_pad":
            token = self._special.named.get("pad_token")
            side = self.padding_side if padding_side is None else padding_side
            fill = padding_of(limits, side, token, self._id_of, pad_to_multiple_of, self.pad_token_type_id)
        cut = truncation_of(limits, stride, self.truncation_side)
        if cut is not None:
            _check_stride(core, cut)
        if split_special_tokens is None:
            split_special_tokens = self.split_special_tokens
        try:
            encodings = core._encode_batch(
                items, bool(is_split_into_words), bool(add_special_tokens), bool(split_special_tokens), cut, fill, False
            )
        except TypeError as error:
            raise ArgumentError(
                f"what is to be encoded are texts, or lists of words with is_split_into_words=True: {error}"
            ) from error
        names = self.model_input_names
        wanted = Wanted(
            "token_type_ids" in names if return_token_type_ids is None else return_token_type_ids,
            "attention_mask" in names if return_attention_mask is None else return_attention_mask,
            return_overflowing_tokens,
            return_special_tokens_mask,
            return_offsets_mapping,
            return_length,
        )
        framework = None if return_tensors is None else framework_of(return_tensors)
        if limits.max_length is None and verbose and not self._warned_of_length:
            self._warn_of_length(encodings)
        if framework == "np":
            arrays = to_arrays(encodings, wanted)
            if arrays is not None:
                return BatchEncoding._of(*arrays)
        data, rows = to_lists(encodings, wanted)
        if framework is not None:
            return BatchEncoding._of(data, rows).convert_to_tensors(framework)
        if not is_batch and not return_overflowing_tokens:
            data = {key: value[0] if isinstance(value[0], list) else value for key, value in data.items()}
        return BatchEncoding._of(data, rows)

    def _warn_of_length(self, encodings: Sequence[_core.Encoding]) -> None:
        longest = max(len(encoding) for encoding in encodings)
        if longest > self.model_max_length > 0:
            self._warned_of_length = True
            _log.warning("a text has %d tokens, and the model takes %d (truncation=True cuts)", longest, self.model_max_length)

    def encode(
        self,
        text: Any,
        text_pair: Any = None,
        add_special_tokens: bool = True,
        padding: Any = False,
        truncation: Any = None,
        max_length: int | None = None,
        stride: int = 0,
        padding_side: str | None = None,
        return_tensors: Any = None,
        **options: Any,
    ) -> Any:
        """The ids alone. Takes what a call takes."""
        encoded = self(
            text,
            text_pair,
            add_special_tokens=add_special_tokens,
            padding=padding,
            truncation=truncation,
            max_length=max_length,
            stride=stride,
            padding_side=padding_side,
            return_tensors=return_tensors,
            **options,
        )
        return encoded.data["input_ids"]

    def tokenize(self, text: Any, pair: Any = None, add_special_tokens: bool = False, **options: Any) -> list[str]:
        """The tokens of a text."""
        return self(text, pair, add_special_tokens=add_special_tokens, **options).tokens()

    def pad(
        self,
        encoded_inputs: Any,
        padding: Any = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: Any = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Pads what is encoded already: a result, a dict of lists, or a list of either, as collators have them.

        Raises:
            ArgumentError: if the first of ``model_input_names`` is missing, rows do not fit, or there is no token to pad with.
        """
        from russet.pretrained.padding import columns_of, longer, pad_row, pad_rows, stacked

        main = self.model_input_names[0]
        columns, given = columns_of(encoded_inputs, main)
        with_mask = "attention_mask" in self.model_input_names if return_attention_mask is None else return_attention_mask
        ids = columns[main]
        if ids is None or (hasattr(ids, "__len__") and len(ids) == 0):
            if return_attention_mask:
                columns["attention_mask"] = []
            return BatchEncoding(columns)
        kept = stacked(columns.get("attention_mask"))
        if kept is not None:
            del columns["attention_mask"]
        limits = limits_of(padding, None, max_length, None, self.model_max_length, verbose)
        side = self.padding_side if padding_side is None else padding_side
        if side not in ("left", "right"):
            raise ArgumentError(f"padding_side={side!r}: it is 'right' or 'left'", argument="padding_side")
        fill = padding_of(limits, side, self._special.named.get("pad_token"), self._id_of, None, self.pad_token_type_id)
        is_batch = isinstance(ids[0], (list, tuple))
        length = limits.max_length
        if limits.padding == "longest":
            length = max(map(len, ids)) if is_batch else len(ids)
        length = None if limits.padding == "do_not_pad" or length is None else longer(length, pad_to_multiple_of)
        pad = pad_rows if is_batch else pad_row
        data = pad(columns, main, length, side, 0 if fill is None else fill.pad_id, self.pad_token_type_id, with_mask)
        if kept is not None:
            data["attention_mask"] = kept
        return BatchEncoding(data, tensor_type=given if return_tensors is None else return_tensors)

    # Decoding

    def decode(self, token_ids: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None) -> Any:
        """The text of ids: a str for one sequence, a list for several, in lists or in an array of any framework.

        Args:
            skip_special_tokens: leaves special tokens out.
            clean_up_tokenization_spaces: whether to take out spaces before punctuation, which counts for nothing for BPE; as the
                tokenizer's setting says where nothing is said.
        """
        core = self._tokenizer._ready().core
        clean = self.clean_up_tokenization_spaces if clean_up_tokenization_spaces is None else clean_up_tokenization_spaces
        return decode(core, token_ids, skip_special_tokens, bool(clean and (self._cleans_bpe or core._model_type != "BPE")))

    def batch_decode(
        self, sequences: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None
    ) -> list[str]:
        """As :meth:`decode`, always a list."""
        texts = self.decode(sequences, skip_special_tokens, clean_up_tokenization_spaces)
        return [texts] if isinstance(texts, str) else list(texts)

    def clean_up_tokenization(self, text: str) -> str:
        """Takes out the spaces that a tokenizer of words leaves before punctuation and English contractions."""
        return clean_up(text)

    # The parts

    @property
    def core(self) -> _core.Tokenizer:
        """The immutable tokenizer of this moment, a :class:`russet.Tokenizer`, with its own interface."""
        return self._tokenizer._ready().core

    @property
    def backend_tokenizer(self) -> Tokenizer:
        """The :class:`russet.tokenizers.Tokenizer` below. What is changed there counts for later calls, but for truncation and
        padding, which belong to a call."""
        return self._tokenizer

    @property
    def decoder(self) -> Decoder | None:
        """The decoder."""
        return self._tokenizer.decoder

    # Files and copies

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        legacy_format: bool | None = None,
        filename_prefix: str | None = None,
        push_to_hub: bool = False,
        save_jinja_files: bool = True,
        **options: Any,
    ) -> tuple[str, ...]:
        """Writes a folder that :meth:`AutoTokenizer.from_pretrained` and transformers read, with the same results in both.

        Args:
            save_directory: the folder; it is made where it is not there.
            filename_prefix: begins the names of the files.
            push_to_hub: also uploads the folder, to ``repo_id`` or a repository of the folder's name; ``options`` are those of
                :func:`russet.hub.push_to_hub`.
            save_jinja_files: whether chat templates get files of their own.

        Returns:
            The paths of the files.

        Raises:
            FileError: if a file cannot be written.
        """
        if legacy_format:
            raise ArgumentError("legacy_format=True: there is one format, with a tokenizer.json", argument="legacy_format")
        from russet.pretrained import saving

        paths = saving.save(self, save_directory, filename_prefix, save_jinja_files)
        if push_to_hub:
            from russet import hub

            repo_id = options.pop("repo_id", os.path.basename(os.path.abspath(save_directory)))
            hub.push_to_hub(save_directory, repo_id, **options)
        elif options:
            raise ArgumentError(f"{sorted(options)[0]!r} is an option of an upload, and push_to_hub is not set")
        return paths

    def push_to_hub(self, repo_id: str, **options: Any) -> Any:
        """Uploads the folder that :meth:`save_pretrained` writes. ``options`` are those of :func:`russet.hub.push_to_hub`."""
        import tempfile

        from russet import hub

        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return hub.push_to_hub(folder, repo_id, **options)

    def save_vocabulary(self, save_directory: str | os.PathLike[str], filename_prefix: str | None = None) -> tuple[str, ...]:
        """Copies the file that the tokenizer was made of, where that is no tokenizer.json.

        Raises:
            MissingFileError: where there is no such file.
        """
        import shutil

        file = self.init_kwargs.get("vocab_file")
        if not file or not os.path.isfile(file):
            raise MissingFileError(2, "this tokenizer was not made of a vocabulary file that is still there", str(file or ""))
        name = (f"{filename_prefix}-" if filename_prefix else "") + os.path.basename(file)
        return (str(shutil.copy(file, os.path.join(save_directory, name))),)

    def train_new_from_iterator(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not supported yet."""
        self._tokenizer.train_from_iterator(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        state = self._tokenizer._ready()
        core = state.core._with_limits(state.truncation, state.padding)
        return {**self.__dict__, "_tokenizer": (core, state.encode_special_tokens)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        core, splits = state["_tokenizer"]
        tokenizer = Tokenizer._over(core)
        tokenizer.encode_special_tokens = splits
        vars(self).update({**state, "_tokenizer": tokenizer})

    def __deepcopy__(self, memo: dict[int, Any]) -> PreTrainedTokenizer:
        import copy

        state = self.__getstate__()
        made = object.__new__(type(self))
        # The core never changes, so that both may have it.
        core = state.pop("_tokenizer")
        made.__setstate__({**copy.deepcopy(state, memo), "_tokenizer": core})
        return made

    def __copy__(self) -> PreTrainedTokenizer:
        made = object.__new__(type(self))
        made.__setstate__(self.__getstate__())
        return made

    def __repr__(self) -> str:
        added = "".join(f"\n\t{id}: {token!r}," for id, token in self.added_tokens_decoder.items())
        return (
            f"{type(self).__name__}(name_or_path={self.name_or_path!r}, vocab_size={self.vocab_size}, "
            f"model_max_length={self.model_max_length}, padding_side={self.padding_side!r}, "
            f"truncation_side={self.truncation_side!r}, special_tokens={self.special_tokens_map}, "
            f"added_tokens_decoder={{{added}\n}})"
        )


def _check_stride(core: _core.Tokenizer, cut: _core.Truncation) -> None:
    """Refuses what would repeat more than there is."""
    left = cut.max_length - core.num_special_tokens_to_add(False)
    if 0 <= left < cut.stride:
        raise ArgumentError(
            f"stride={cut.stride} with max_length={cut.max_length}: {left} tokens are left beside special tokens, so that "
            "none would be new",
            argument="stride",
        )


__all__ = ["PreTrainedTokenizer"]
