"""Hold what the front page is made of, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.monitor.overview import InstrumentsOverview
    from tasks.overview.attention import Attention
    from tasks.overview.counted_tube import CountedTube
    from tasks.overview.night import Night
    from tasks.store.ledger import FileRecord, State
    from tasks.store.tubes import Tube
    from tasks.strategies.standing import Standing


@dataclass(frozen=True, slots=True)
class Morning:
    """A study as whoever comes in finds it.

    ``files`` ask for a person, those ``aside`` for nothing; ``known`` are all tubes taken in,
    ``tubes`` those in tables; ``patients`` have tables; ``recent`` are the SHA-256 of
    tubes counted lately; ``notices`` are sentences that ask for something; ``uncalibrated`` is one
    on instruments without calibration (empty: none).
    """

    states: Mapping[State, int]
    files: Sequence[FileRecord]
    aside: Sequence[FileRecord]
    known: Sequence[Tube]
    tubes: Sequence[CountedTube]
    patients: Sequence[str]
    look: Sequence[Attention]
    recent: frozenset[str]
    standings: Sequence[Standing]
    instruments: InstrumentsOverview
    notices: Sequence[str]
    uncalibrated: str
    night: Night
