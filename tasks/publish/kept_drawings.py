"""Keep the drawings of this process: a plot of the same numbers is not drawn again.

A correction of one tube changes few of a patient's plots, and drawing them is most of what the
patient's pages take.
"""

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

MOST = 500
"""So many drawings are kept, of some 20 kB each; the one that was asked for longest ago goes."""


class KeptDrawings:
    """Drawings by what they were made of; for all threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, Markup] = OrderedDict()
        self._lock = Lock()

    def markup(self, made_of: object, draw: "Callable[[], Markup]") -> "Markup":
        """Give the drawing made of these values, and ``draw`` it where it is not kept.

        Values are told apart by their ``repr``: it has to tell all that ``draw`` looks at.
        """
        key = sha256(repr(made_of).encode()).digest()
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
