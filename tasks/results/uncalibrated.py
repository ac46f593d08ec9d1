"""Say which instruments' tubes were counted without a calibration, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
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


def uncalibrated_tubes(snapshot: StudySnapshot) -> list[UncalibratedTubes]:
    """List the counted tubes without a calibration by panel and instrument, most tubes first."""
    tubes: Counter[tuple[str, str]] = Counter()
    reasons: dict[tuple[str, str], str] = {}
    for panel, instrument, calibrated, number in _counted_with(snapshot):
        if calibrated.fault:
            group = (panel, _name_of(instrument))
            tubes[group] += number
            reasons.setdefault(group, calibrated.fault)
    listed = [UncalibratedTubes(*group, number, reasons[group]) for group, number in tubes.items()]
    return sorted(listed, key=lambda each: (-each.tubes, each.panel, each.instrument))


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


def unmeasured_notices(snapshot: StudySnapshot) -> list[str]:
    """Say of each calibration that lacks a threshold what hangs on it, and in how many tubes."""
    numbers: dict[str, CalibratedStrategy] = {}
    tubes: Counter[str] = Counter()
    for _, _, calibrated, number in _counted_with(snapshot):
        if calibrated.unmeasured and not calibrated.fault:
            numbers[calibrated.calibration] = calibrated
            tubes[calibrated.calibration] += number
    notices = ((tubes[pin], in_words(each)) for pin, each in sorted(numbers.items()))
    return [
        f"{count:,} {'tube' if count == 1 else 'tubes'}: {words}"
        for count, words in notices
        if words
    ]


def _in_words(group: UncalibratedTubes) -> str:
    """Name a panel and an instrument; the reason where it is not that there is no calibration."""
    named = f"{group.tubes:,} of the panel {group.panel} on {group.instrument}"
    return named if group.reason.startswith(NONE) else f"{named} ({group.reason})"


def _counted_with(
    snapshot: StudySnapshot,
) -> Iterator[tuple[str, TubeInstrument, CalibratedStrategy, int]]:
    """Give panel, instrument and day of the counted tubes, with which numbers, and how many."""
    with snapshot.study.store() as store:
        counted = counted_on(store)
    for (panel, instrument), number in counted.items():
        used = snapshot.strategies.get(panel)
        if used is not None:
            yield panel, instrument, used.numbers.for_tube(instrument), number


def _name_of(instrument: TubeInstrument) -> str:
    name = instrument_name(instrument.named, instrument.cytometer, instrument.serial)
    return shown(name) if name else "an instrument that neither sheet nor file names"
