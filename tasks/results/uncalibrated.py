"""Say which instruments' tubes were counted without a calibration, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gating.calibration.choice import NONE
from panels.instrument_name import instrument_name
from panels.text.printable import shown
from tasks.tubes.calibration import in_words

if TYPE_CHECKING:
    from gating.strategy.calibrated import CalibratedStrategy
    from tasks.store.tubes import Tube
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


def uncalibrated_tubes(snapshot: StudySnapshot, known: Sequence[Tube]) -> list[UncalibratedTubes]:
    """List the counted tubes without a calibration by panel and instrument, most tubes first.

    ``known`` are all tubes taken in.
    """
    reasons: dict[tuple[str, str], list[str]] = {}
    for tube in known:
        used = snapshot.strategies.get(tube.identity.panel)
        if used is None or tube.file.state != "counted":
            continue
        fault = used.for_tube(tube).fault
        if fault:
            group = (tube.identity.panel, _instrument_of(tube))
            reasons.setdefault(group, []).append(fault)
    listed = [
        UncalibratedTubes(panel, instrument, len(faults), faults[0])
        for (panel, instrument), faults in reasons.items()
    ]
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


def unmeasured_notices(snapshot: StudySnapshot, known: Sequence[Tube]) -> list[str]:
    """Say of each calibration that lacks a threshold what hangs on it, and in how many tubes."""
    numbers: dict[str, CalibratedStrategy] = {}
    tubes: Counter[str] = Counter()
    for tube in known:
        used = snapshot.strategies.get(tube.identity.panel)
        if used is None or tube.file.state != "counted":
            continue
        calibrated = used.for_tube(tube)
        if calibrated.unmeasured and not calibrated.fault:
            numbers[calibrated.calibration] = calibrated
            tubes[calibrated.calibration] += 1
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


def _instrument_of(tube: Tube) -> str:
    name = instrument_name(tube.identity.instrument, tube.cytometer, tube.serial)
    return shown(name) if name else "an instrument that neither sheet nor file names"
