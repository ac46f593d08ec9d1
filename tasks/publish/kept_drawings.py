"""Keep the drawings of this process: a plot of the same numbers is not drawn again.

A correction of one tube changes few of a patient's plots, and drawing them is most of what the
patient's pages take.
"""

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
NOT_DRAWN = (
    "collected",
    "strategy_sha256",
    "panel_sha256",
    "panel_version",
    "calibration",
    "calibration_sha256",
    "file",
    "instrument",
    "batch",
    "corrected",
)
"""The columns of ``KINETICS`` that no figure shows: where a number comes from."""


def as_drawn(kinetics: "pd.DataFrame") -> "pd.DataFrame":
    """Leave out of the rows of ``KINETICS`` what no figure shows.

    Of the decisions on a tube only an exclusion is seen: one that is accepted is drawn as before.
    """
    excluded = kinetics["review"] == "excluded"
    shown = kinetics.drop(columns=list(NOT_DRAWN), errors="ignore")
    return shown.assign(review=kinetics["review"].where(excluded, ""))


class KeptDrawings(Generic[T]):
    """The drawings made last, by what they were made of; for all threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, T] = OrderedDict()
        self._lock = Lock()

    def has(self, made_of: object) -> bool:
        """Tell whether the drawing made of these values is kept."""
        with self._lock:
            return _key(made_of) in self._kept

    def drawing(self, made_of: object, draw: Callable[[], T]) -> T:
        """Give the drawing made of these values, and ``draw`` it where it is not kept.

        Values are told apart by their ``repr``: it has to tell all that ``draw`` looks at.
        """
        key = _key(made_of)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        drawn = draw()
        with self._lock:
            self._kept[key] = drawn
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return drawn


def _key(made_of: object) -> bytes:
    return sha256(repr(made_of).encode()).digest()
