"""Runs ML Programs on any system: NumPy, and the kernels of the core where they are faster.

    package -> program (names, values) -> graph (constants found) -> lowering, fusion -> one Python function

Weights stay in the file that is mapped into memory, compressed as they are; states are float16 arrays that are updated in place.
"""

from __future__ import annotations

from russet.coreml.portable.model import PortableModel, State

__all__ = ["PortableModel", "State"]
