"""Say where one boundary lies in one tube, which source gave it, and what the others gave."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tried:
    """One source that was tried for a threshold.

    ``value`` is what it would give (None: nothing); ``fault`` says why it failed (empty: it
    passed).
    """

    source: str
    value: float | None
    fault: str
    rationale: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a threshold lies in one tube, in the strategy's linear units.

    ``checked`` is False when nothing in the tube supports or contradicts the value; ``proven`` is
    False when the declared value was contradicted and no other source passed either.
    """

    value: float
    source: str
    rationale: str
    tried: tuple[Tried, ...] = ()
    checked: bool = True
    proven: bool = True
