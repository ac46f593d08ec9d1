"""Choose where the draft of a calibration is written, and never over what counts."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from gating.calibration.catalogue import FILE, known_calibrations, place_of, read_lock
from panels.files.lock import version_order
from panels.text.errors import CalibrationFault
from panels.text.printable import shown
from tasks.calibrate.draft_file import is_as_drafted

LONGEST_NAME = 60


def instrument_name(asked: str) -> str:
    """Make the name of a folder of an instrument's name: ``BD FACSLyric`` → ``BD-FACSLyric``.

    Raises CalibrationFault where no letter is left, or too many are.
    """
    plain = unicodedata.normalize("NFKD", asked).encode("ascii", "ignore").decode()
    name = re.sub(r"[^\w.-]+", "-", plain.strip()).strip("-.")
    if not name:
        raise CalibrationFault(f"'{shown(asked)}' is no name of an instrument: it has no letter.")
    if len(name) > LONGEST_NAME:
        raise CalibrationFault(
            f"'{shown(asked)}' is too long for the name of an instrument: it has {len(name)} "
            f"letters, at most {LONGEST_NAME} are taken."
        )
    return name


def draft_place(own: Path, panel: str, instrument: str, output: Path | None) -> tuple[Path, str]:
    """Give the folder of a draft, and the version after the last released one.

    ``own`` is the study's folder of calibrations, ``output`` the folder asked for. Raises
    CalibrationFault where that is no folder, holds a released calibration, or a draft that a person
    changed.
    """
    prefix = f"{panel}/{instrument}@"
    released = [
        pin.removeprefix(prefix) for pin in known_calibrations(own) if pin.startswith(prefix)
    ]
    version = "1.0.0"
    if released:
        major, minor, _ = max(map(version_order, released))
        version = f"{major}.{minor + 1}.0"
    folder = output or place_of(own, f"{prefix}{version}").parent
    _refuse_file(folder)
    _refuse_released(own, folder)
    path = folder / FILE
    if path.exists() and not is_as_drafted(path):
        raise CalibrationFault(
            f"{path} was changed since it was drafted, or is no draft. Release it, or take it "
            f"away, and draft again."
        )
    return folder, version


def _refuse_file(folder: Path) -> None:
    """Refuse a place that is a file, or lies in one."""
    for each in (folder, *folder.parents):
        if each.exists():
            if not each.is_dir():
                raise CalibrationFault(f"{each} is a file: name a folder.")
            return


def _refuse_released(own: Path, folder: Path) -> None:
    """Refuse the folder of a calibration that is in the LOCK: what counts is never written over."""
    for pin in read_lock(own) if own.is_dir() else ():
        if place_of(own, pin).parent.resolve() == folder.resolve():
            raise CalibrationFault(
                f"{folder} holds {pin}, which is released and stays as it is. Name another folder."
            )
