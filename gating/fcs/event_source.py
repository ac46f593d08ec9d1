"""Define what a source of events offers, and how some of its events are named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

Rows = np.ndarray
"""Sorted indices of events."""

Some = Rows | slice | None
"""Which events: sorted indices, a slice, or None for all of them."""

CHUNK = 16_384
"""Events that are read at a time: few enough for a processor's cache, and for a block of memory
that is used again."""


class EventSource(Protocol):
    """Where events come from: linear values by channel, for all events or for some."""

    @property
    def count(self) -> int: ...
    def column(self, index: int, rows: Some = None) -> np.ndarray: ...
    def columns(self, indices: Sequence[int], rows: Some = None) -> np.ndarray: ...
