"""The one place that imports coremltools, which is slow, and prints what it was tested with and what it misses off macOS."""

from __future__ import annotations

import importlib
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from russet.errors import UnsupportedModelError


class _WithoutTransformers:
    """Refuses to import transformers in one thread: coremltools asks for it, for tests of its own, which costs a second."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "transformers" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(name, name=name)


@contextmanager
def coremltools(*modules: str, otherwise: str = "coremltools is needed: pip install 'russet[coreml]'") -> Iterator[Any]:
    """coremltools with some of its modules, imported and used without what it prints.

    Raises:
        UnsupportedModelError: if it cannot be imported; ``otherwise`` says what to do.
    """
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            finder: Any = _WithoutTransformers()
            sys.meta_path.insert(0, finder)
            try:
                found = importlib.import_module("coremltools")
                for module in modules:
                    importlib.import_module(module)
            except ImportError as error:
                raise UnsupportedModelError(otherwise) from error
            finally:
                sys.meta_path.remove(finder)
            yield found
    finally:
        logger.setLevel(level)
