"""Language models in Core ML packages: from a package to text."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Generator, Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from russet import Tokenizer, generation
from russet.coreml import load, settings
from russet.coreml.backend import Backend
from russet.coreml.context import PackageContext
from russet.coreml.contracts import Contract, Sizes, find
from russet.errors import UnsupportedModelError
from russet.generation import Generation, GenerationConfig, GenerationPiece
from russet.generation.prompts import Prompt
from russet.pretrained import PreTrainedTokenizer

__all__ = ["LanguageModel"]


class LanguageModel:
    """A causal language model. Any number of threads may use one, each with contexts of its own.

    >>> lm = LanguageModel.from_pretrained("folder")                        # doctest: +SKIP
    >>> print(lm.generate("Once upon a time", max_new_tokens=32))           # doctest: +SKIP
    """

    def __init__(
        self,
        backend: Backend,
        tokenizer: Tokenizer | PreTrainedTokenizer | None = None,
        generation_config: GenerationConfig | None = None,
        *,
        context_length: int | None = None,
        pad_id: int = 0,
        missing_tokenizer: str | None = None,
    ) -> None:
        """A model over a loaded package.

        Args:
            backend: The package.
            tokenizer: Makes ids of texts, and texts of ids; a :class:`russet.PreTrainedTokenizer` also of conversations.
            generation_config: Values that a call does not give.
            context_length: The greatest number of tokens, where the package's shapes do not say so or say more.
            pad_id: The id that calls are padded with; no real token sees it.
            missing_tokenizer: Why there is no tokenizer, for the error where one is needed.

        Raises:
            UnsupportedModelError: if it is no language model, or one of several packages.
        """
        self.backend = backend
        self.tokenizer = tokenizer
        self.missing_tokenizer = missing_tokenizer
        self.generation_config = generation_config or GenerationConfig()
        self.pad_id = pad_id
        self.contract: Contract = find(backend.function, context_length)
        self._functions: dict[int, Backend] = {}
        self.sizes: Sizes = self._find_functions(context_length)
        self._vocab_size = self._described_vocab_size()

    def _find_functions(self, context_length: int | None) -> Sizes:
        """Takes other functions of the package that play the same parts with other numbers of tokens."""
        contract, own = self.contract, self.backend.function
        if not contract.sizes.listed:
            return contract.sizes
        self._functions = dict.fromkeys(contract.sizes.listed, self.backend)
        for name, function in self.backend.describe().functions.items():
            if name == own.name or function.states != own.states:
                continue
            try:
                other = find(function, context_length)
            except UnsupportedModelError:
                continue
            same = ("ids", "mask", "mask_kind", "position", "last_index", "cache", "caches", "logits", "context_length")
            if other.sizes.listed and all(getattr(other, part) == getattr(contract, part) for part in same):
                loaded = self.backend.with_function(name)
                for size in other.sizes.listed:
                    self._functions.setdefault(size, loaded)
        return Sizes(tuple(sorted(self._functions)))

    def function_for(self, size: int) -> Backend:
        """The function that takes this number of tokens in a call."""
        return self._functions.get(size, self.backend)

    @classmethod
    def from_pretrained(
        cls,
        path_or_repo_id: str | os.PathLike[str],
        tokenizer: Tokenizer | PreTrainedTokenizer | str | os.PathLike[str] | None = None,
        backend: Literal["auto", "coremltools", "portable"] = "auto",
        *,
        function: str | None = None,
        generation_config: GenerationConfig | None = None,
        variant: str | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        **options: Any,
    ) -> LanguageModel:
        """Loads a model from a package, from a folder that holds one, or from a repository on the Hub.

        Args:
            path_or_repo_id: An ``.mlpackage`` (on macOS also an ``.mlmodelc``), or a folder or repository with one and, beside
                it, the files of its tokenizer, ``generation_config.json`` and ``config.json``. A path that is there wins.
            tokenizer: A tokenizer, its file, folder or repository, instead of the files beside the package. Without either, the
                tokenizer is that of the repository which the package's metadata names (``co.huggingface.exporters.name``).
            backend: What runs the package; see :func:`russet.coreml.load`.
            function: One of the package's functions, if not its default one.
            generation_config: Values instead of those of ``generation_config.json``.
            variant: Which package, where there are several: its name or a part of it, such as ``int4``.
            revision: A branch, tag or commit of the repository; ``token``, ``cache_dir`` and ``local_files_only`` as for
                :func:`russet.hub.resolve`.
            options: Options of the backend.

        Returns:
            The model; without a tokenizer its methods that take or give text raise :class:`MissingTokenizerError`.

        Raises:
            MissingFileError: if there is no package.
            FolderError: if there are several.
            PackageError: if it is damaged.
            UnsupportedModelError: if it is no language model, or one of several packages.
            HubError: if the repository cannot be had.
        """
        where: dict[str, Any] = {"revision": revision, "token": token, "cache_dir": cache_dir, "local_files_only": local_files_only}
        package = settings.find_package(path_or_repo_id, variant, where)
        loaded = load(package, backend, function, **options)
        found = settings.read(package, loaded.describe(), tokenizer, where)
        return cls(
            loaded,
            found.tokenizer,
            generation_config or found.generation_config,
            context_length=found.context_length,
            pad_id=found.pad_id or 0,
            missing_tokenizer=found.missing_tokenizer,
        )

    def _described_vocab_size(self) -> int | None:
        shapes = [self.backend.function.outputs[name].shape for name in self.contract.logits]
        return sum(shape[-1] for shape in shapes) if all(shape and shape[-1] > 0 for shape in shapes) else None

    @property
    def context_length(self) -> int:
        """The greatest number of tokens in a context."""
        return self.contract.context_length

    @property
    def vocab_size(self) -> int:
        """The number of logits in a row. A package that does not tell it is run once with one token."""
        if self._vocab_size is None:
            self._vocab_size = 1
            try:
                self._vocab_size = self.new_context().extend([0]).shape[-1]
            except BaseException:
                self._vocab_size = None
                raise
        return self._vocab_size

    @property
    def fingerprint(self) -> str | None:
        """What tells the model from others, if its backend knows: prompt caches of another one are refused."""
        return getattr(self.backend, "fingerprint", None)

    def describe(self) -> dict[str, object]:
        """What the package's inputs and outputs were found to be, its context and its numbers of tokens a call."""
        return {**self.contract.outline(), "tokens_a_call": str(self.sizes), "backend": self.backend.name}

    def new_context(self) -> PackageContext:
        """A context without tokens."""
        return PackageContext(self)

    def logits(self, ids: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Logits of the token behind each of ``ids``, (n, V); behind the last one alone, (1, V), if the package gives no others."""
        given = [int(id) for id in ids]
        return self.new_context().extend(given, all_logits=not self.contract.is_last_only)

    @overload
    def generate(self, prompt: Prompt, *, num_return_sequences: Literal[1] | None = None, **values: Any) -> Generation: ...

    @overload
    def generate(self, prompt: Prompt, *, num_return_sequences: int | None, **values: Any) -> Generation | list[Generation]: ...

    def generate(self, prompt: Prompt, *, num_return_sequences: int | None = None, **values: Any) -> Generation | list[Generation]:
        """The text that follows a prompt; see :func:`russet.generation.generate`."""
        return generation.generate(self, prompt, self.tokenizer, num_return_sequences=num_return_sequences, **values)

    def stream_generate(self, prompt: Prompt, **values: Any) -> Generator[GenerationPiece, None, None]:
        """The text that follows a prompt, piece by piece; see :func:`russet.generation.stream_generate`."""
        return generation.stream_generate(self, prompt, self.tokenizer, **values)

    def astream_generate(self, prompt: Prompt, **values: Any) -> AsyncIterator[GenerationPiece]:
        """As :meth:`stream_generate`, for ``async for``."""
        return generation.astream_generate(self, prompt, self.tokenizer, **values)
