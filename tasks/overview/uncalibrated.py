"""Say which instruments' tubes were counted without a calibration, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gating.calibration.choice import NONE
from panels.instrument_name import instrument_name
from panels.text.printable import shown
from tasks.store.tube_lists import counted_on
from tasks.tubes.calibration import in_words

if TYPE_CHECKING:
    from gating.calibration.choice import TubeInstrument
    from gating.strategy.calibrated import CalibratedStrategy
    from tasks.study.snapshot import StudySnapshot

MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class UncalibratedTubes:
    """Counted tubes of one panel and instrument whose numbers are not that instrument's, and why.

    ``instrument`` is as the sheet names it, else as the files do; ``reason`` is that of the first.
    """

    panel: str
    instrument: str
    tubes: int
    reason: str


@dataclass(frozen=True, slots=True)
class Uncalibrated:
    """What the counted tubes' calibrations lack.

    ``tubes`` are those without any, most first; ``unmeasured`` are sentences on the calibrations
    that lack a threshold.
    """

    tubes: Sequence[UncalibratedTubes]
    unmeasured: Sequence[str]


def find_uncalibrated(snapshot: StudySnapshot) -> Uncalibrated:
    """Ask of the counted tubes with which numbers each is counted now."""
    with snapshot.study.store() as store:
        counted = counted_on(store)
    without: dict[tuple[str, str], list[tuple[str, int]]] = {}
    lacking: dict[str, tuple[CalibratedStrategy, list[int]]] = {}
    for (panel, instrument), number in counted.items():
        used = snapshot.strategies.get(panel)
        if used is None:
            continue
        calibrated = used.numbers.for_tube(instrument)
        if calibrated.fault:
            group = without.setdefault((panel, _name_of(instrument)), [])
            group.append((calibrated.fault, number))
        elif calibrated.unmeasured:
            lacking.setdefault(calibrated.calibration, (calibrated, []))[1].append(number)
    return Uncalibrated(_listed(without), _notices(lacking))


def _listed(
    without: Mapping[tuple[str, str], Sequence[tuple[str, int]]],
) -> list[UncalibratedTubes]:
    listed = [
        UncalibratedTubes(*group, sum(number for _, number in tubes), reason=tubes[0][0])
        for group, tubes in without.items()
    ]
    return sorted(listed, key=lambda each: (-each.tubes, each.panel, each.instrument))


def _notices(lacking: Mapping[str, tuple[CalibratedStrategy, Sequence[int]]]) -> list[str]:
    """Say of each calibration that lacks a threshold what hangs on it, and in how many tubes."""
    said = ((sum(numbers), in_words(each)) for _, (each, numbers) in sorted(lacking.items()))
    return [
        f"{count:,} {'tube' if count == 1 else 'tubes'}: {words}" for count, words in said if words
    ]


def uncalibrated_sentence(listed: Sequence[UncalibratedTubes]) -> str:
    """Say how many tubes of which instruments lack a calibration, and what to do; empty: none."""
    if not listed:
        return ""
    tubes = sum(each.tubes for each in listed)
    were = "1 tube was" if tubes == 1 else f"{tubes:,} tubes were"
    named = "; ".join(map(_in_words, listed[:MOST_NAMED]))
    more = "; …" if len(listed) > MOST_NAMED else ""
    return (
        f"{were} counted without a calibration of the instrument, so that the numbers may be wrong "
        f"by any amount: {named}{more}. Measure one from your own tubes: reconflow calibrate draft "
        f"--panel {listed[0].panel} --instrument NAME --study FOLDER."
    )


def _in_words(group: UncalibratedTubes) -> str:
    """Name a panel and an instrument; the reason where it is not that there is no calibration."""
    named = f"{group.tubes:,} of the panel {group.panel} on {group.instrument}"
    return named if group.reason.startswith(NONE) else f"{named} ({group.reason})"


def _name_of(instrument: TubeInstrument) -> str:
    name = instrument_name(instrument.named, instrument.cytometer, instrument.serial)
    return shown(name) if name else "an instrument that neither sheet nor file names"
