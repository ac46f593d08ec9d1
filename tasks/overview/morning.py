"""Hold what the front page and `status` are made of, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.monitor.overview import InstrumentsOverview
    from tasks.overview.attention import Attention
    from tasks.overview.counted_tube import CountedTube
    from tasks.overview.night import Night
    from tasks.overview.uncalibrated import UncalibratedTubes
    from tasks.store.ledger import FileRecord, State
    from tasks.store.tubes import Tube
    from tasks.strategies.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyNow:
    """How a study stands, without what its tables say.

    ``files`` ask for a person, those ``aside`` for nothing; ``recent`` are the SHA-256 of tubes
    counted lately; ``notices`` are sentences that ask for something, ``on_sheets`` those of them on
    what the sheets leave open; ``without`` are the tubes of instruments without calibration.
    """

    states: Mapping[State, int]
    files: Sequence[FileRecord]
    aside: Sequence[FileRecord]
    recent: frozenset[str]
    standings: Sequence[Standing]
    instruments: InstrumentsOverview
    notices: Sequence[str]
    on_sheets: Sequence[str]
    without: Sequence[UncalibratedTubes]
    night: Night


@dataclass(frozen=True, slots=True, kw_only=True)
class Morning(StudyNow):
    """A study as whoever comes in finds it.

    ``known`` are all tubes taken in, ``tubes`` those in tables, ``look`` those of them that a
    person should look at; ``patients`` have tables; ``made_of`` stands for the tables and tubes
    that ``look`` was chosen of.
    """

    known: Sequence[Tube]
    tubes: Sequence[CountedTube]
    patients: Sequence[str]
    look: Sequence[Attention]
    made_of: str
