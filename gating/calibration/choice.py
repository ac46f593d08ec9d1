"""Choose the calibration that holds for a tube: that of its own instrument, at its own time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from gating.calibration.model import Calibration, Cytometer
from panels.files.lock import version_order
from panels.instrument_name import name_by_files

NONE = "there is no calibration of"
"""How the reason begins where a tube's instrument has none at all."""


@dataclass(frozen=True, slots=True)
class TubeInstrument:
    """What is known of where and when a tube was acquired.

    ``named`` is the instrument of the sample sheet, ``cytometer`` and ``serial`` are the file's own
    (``$CYT``, ``$CYTSN``); each is None where nothing is written.
    """

    named: str | None
    cytometer: str | None
    serial: str | None
    collected_on: date
    batch: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """The calibration that holds for a tube (its place in the list), or why none does.

    ``contradicted`` means that sheet and file name different instruments.
    """

    place: int | None
    reason: str = ""
    contradicted: bool = False


def choose_calibration(tube: TubeInstrument, calibrations: Sequence[Calibration]) -> Choice:
    """Choose among the released calibrations of a tube's panel; the newest that fits is taken.

    Where the sheet names the instrument of a calibration, that one must not name another cytometer
    than the file does: two witnesses that contradict each other leave the tube without a
    calibration, though there be one of the file's.
    """
    of_sheet = [place for place, each in enumerate(calibrations) if _is_named(tube, each)]
    of_instrument = of_sheet or [
        place for place, each in enumerate(calibrations) if _is_of_file(tube, each)
    ]
    if not of_instrument:
        return Choice(None, f"{NONE} {_described(tube)}")
    agreeing = [place for place in of_instrument if _agrees(tube, calibrations[place])]
    if not agreeing:
        other = calibrations[of_instrument[-1]]
        names = " or ".join(_written(each) for each in other.cytometers)
        return Choice(
            None,
            f"the sheet says {tube.named}, whose calibration is of {names}, but the file is of "
            f"{_of_file(tube)}",
            contradicted=True,
        )
    fitting = [place for place in agreeing if _holds(tube, calibrations[place])]
    if not fitting:
        return Choice(
            None,
            f"no calibration of {_described(tube)} holds on {tube.collected_on}"
            + (f" for batch {tube.batch}" if tube.batch else ""),
        )
    return _newest(tube, fitting, calibrations)


def _newest(
    tube: TubeInstrument, fitting: Sequence[int], calibrations: Sequence[Calibration]
) -> Choice:
    """Choose the newest of those that fit, unless they are of several instruments.

    One that was measured comes before that on which a strategy is drawn, one whose serial number is
    the file's before one without.
    """
    measured = [place for place in fitting if calibrations[place].relative_to is not None]
    with_serial = [place for place in measured if _has_serial(tube, calibrations[place])]
    left = with_serial or measured or fitting
    instruments = sorted({calibrations[place].instrument for place in left})
    if len(instruments) > 1:
        return Choice(
            None,
            f"the calibrations of {' and '.join(instruments)} fit {_described(tube)}: name the "
            f"instrument in the sample sheet",
        )
    return Choice(max(left, key=lambda place: _preference(calibrations[place])))


def is_of_cytometer(cytometer: Cytometer, name: str | None, serial: str | None) -> bool:
    """Tell whether ``$CYT`` and serial number of a file are those of a cytometer.

    A serial number is compared where both have one.
    """
    if name is None or plain_name(cytometer.name) != plain_name(name):
        return False
    return cytometer.serial is None or (
        serial is not None and plain_name(cytometer.serial) == plain_name(serial)
    )


def names_instrument(tube: TubeInstrument, names: Sequence[str]) -> bool:
    """Tell whether some names of instruments are those of a tube's: in the sheet, or ``$CYT``."""
    own = {plain_name(name) for name in (tube.named, tube.cytometer) if name is not None}
    return any(plain_name(name) in own for name in names)


def _is_named(tube: TubeInstrument, calibration: Calibration) -> bool:
    """Tell whether the sheet names the instrument of a calibration."""
    names = (calibration.instrument, *calibration.known_as)
    return tube.named is not None and plain_name(tube.named) in map(plain_name, names)


def _is_of_file(tube: TubeInstrument, calibration: Calibration) -> bool:
    """Tell whether the file is of a calibration's cytometer.

    Where the sheet names an instrument of another name, its model alone says nothing: the serial
    number has to be the same.
    """
    if tube.named is not None:
        return _has_serial(tube, calibration)
    return any(
        is_of_cytometer(each, tube.cytometer, tube.serial) for each in calibration.cytometers
    )


def _has_serial(tube: TubeInstrument, calibration: Calibration) -> bool:
    """Tell whether a calibration names the file's cytometer with its serial number."""
    return any(
        each.serial is not None and is_of_cytometer(each, tube.cytometer, tube.serial)
        for each in calibration.cytometers
    )


def _agrees(tube: TubeInstrument, calibration: Calibration) -> bool:
    """Tell whether the file's cytometer is the calibration's, as far as both are known."""
    if tube.cytometer is None or not calibration.cytometers:
        return True
    return any(
        is_of_cytometer(each, tube.cytometer, tube.serial or each.serial)
        for each in calibration.cytometers
    )


def _holds(tube: TubeInstrument, calibration: Calibration) -> bool:
    if calibration.since is not None and tube.collected_on < calibration.since:
        return False
    return not calibration.batches or tube.batch in calibration.batches


def _preference(calibration: Calibration) -> tuple[bool, date, tuple[int, ...]]:
    """Prefer one of the tube's own batch, then the one begun last, then the highest version."""
    since = calibration.since or date.min
    return bool(calibration.batches), since, version_order(calibration.version)


def _described(tube: TubeInstrument) -> str:
    if tube.named is not None:
        return f"the instrument {tube.named}"
    return (
        "its instrument, which neither sheet nor file names"
        if not tube.cytometer
        else (_of_file(tube))
    )


def _of_file(tube: TubeInstrument) -> str:
    return name_by_files(tube.cytometer, tube.serial)


def _written(cytometer: Cytometer) -> str:
    return name_by_files(cytometer.name, cytometer.serial)


@lru_cache(maxsize=1024)
def plain_name(name: str) -> str:
    """Give what of a name is compared; a study asks for the same few of every tube."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())
