"""Find the calibration of a file outside any ledger, by what the file says of its instrument."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING

from gating.calibration.catalogue import calibrations_of, read_lock, shipped_calibrations
from gating.calibration.choice import TubeInstrument, choose_calibration

if TYPE_CHECKING:
    from pathlib import Path

    from gating.fcs.header import TubeHeader
    from gating.strategy.calibrated import CalibratedStrategy
    from gating.strategy.instrument_numbers import InstrumentNumbers

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_DAY = re.compile(r"(\d{1,2})-([A-Za-z]{3})-(\d{4})")


def instrument_of(header: TubeHeader) -> TubeInstrument:
    """Describe the instrument of a file as the file does; no sheet is asked.

    Collected counts as acquired (``$DATE``); a file without that day has the newest calibration.
    """
    return TubeInstrument(
        named=None,
        cytometer=header.cytometer or None,
        serial=header.serial or None,
        collected_on=_acquired_on(header) or date.max,
    )


def calibration_in_words(header: TubeHeader, panel: str, calibrations: Path | None) -> str:
    """Name the calibration of a file's instrument for a panel, or say why there is none."""
    released = [each.calibration for each in calibrations_of(panel, calibrations)]
    choice = choose_calibration(instrument_of(header), released)
    return choice.reason if choice.place is None else released[choice.place].pin


def numbers_in_words(numbers: InstrumentNumbers, calibrated: CalibratedStrategy) -> str:
    """Say whose numbers counted a file where they are not those of its instrument; else nothing."""
    if not calibrated.fault:
        return ""
    name = calibrated.calibration or calibrated.strategy.name
    simulated = numbers.drawn_on or calibrated.calibration in read_lock(shipped_calibrations())
    whose = ", which are those of the simulated instrument" if simulated else ""
    return (
        f"{calibrated.fault[0].upper()}{calibrated.fault[1:]}: the file was counted with the "
        f"numbers of {name}{whose}."
    )


def _acquired_on(header: TubeHeader) -> date | None:
    written = _DAY.fullmatch(header.keywords.get("$DATE", "").strip())
    if written is None or written[2].lower() not in _MONTHS:
        return None
    with suppress(ValueError):
        return date(int(written[3]), _MONTHS.index(written[2].lower()) + 1, int(written[1]))
    return None
