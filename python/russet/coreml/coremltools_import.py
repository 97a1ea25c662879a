"""The one place that imports coremltools, which is slow, and prints what it was tested with and what it misses off macOS."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from russet.errors import UnsupportedModelError


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
            try:
                found = importlib.import_module("coremltools")
                for module in modules:
                    importlib.import_module(module)
            except ImportError as error:
                raise UnsupportedModelError(otherwise) from error
            yield found
    finally:
        logger.setLevel(level)
