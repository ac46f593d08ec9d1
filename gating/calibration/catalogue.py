"""Find released calibrations and check that they are what was released (``panels.files.lock``).

They lie in ``<panel>/<instrument>/<version>/calibration.yaml``, the laboratory's before the shipped
ones.
"""

import re
from importlib.resources import files
from pathlib import Path

from gating.calibration.model import PIN, Calibration, CalibrationRelease
from panels.files.lock import LOCK, VERSION, canonical_sha256, read_locked, version_order
from panels.files.yaml_document import YamlDocument, read_yaml
from panels.text.errors import CalibrationFault
from panels.text.spelling import nearest

FILE = "calibration.yaml"
DAYS = (("since",),)
"""The places of a calibration where a day is expected."""


def shipped_calibrations() -> Path:
    """Give the folder of the calibrations that come with reconflow."""
    return Path(str(files("gating") / "calibrations"))


def find_calibration(pin: str, laboratory: Path | None = None) -> CalibrationRelease:
    """Load the release ``panel/instrument@1.0.0``, the laboratory's before a shipped one.

    Raises CalibrationFault when there is none, or it is not what its LOCK says was released.
    """
    holding = [each for each in _folders(laboratory) if pin in read_lock(each)]
    if holding and re.fullmatch(PIN, pin):
        if len({read_lock(folder)[pin] for folder in holding}) > 1:
            raise CalibrationFault(
                f"{holding[0] / LOCK}: {pin} is also a shipped calibration, with other numbers. "
                f"Give yours the name of its own instrument."
            )
        return read_release(holding[0], pin)
    known = known_calibrations(laboratory)
    raise CalibrationFault(
        f"There is no released calibration '{pin}'{nearest(pin, known) or '.'} Known: "
        f"{', '.join(known) or 'none'}."
    )


def calibrations_of(panel: str, laboratory: Path | None = None) -> list[CalibrationRelease]:
    """Load all released calibrations of a panel, by instrument and rising version.

    Raises CalibrationFault for the first that is not what was released.
    """
    pins = [pin for pin in known_calibrations(laboratory) if pin.startswith(f"{panel}/")]
    return [find_calibration(pin, laboratory) for pin in pins]


def known_calibrations(laboratory: Path | None = None) -> list[str]:
    """List every release as ``panel/instrument@1.0.0``; a draft that is not in the LOCK is none."""
    pins = {pin for folder in _folders(laboratory) for pin in read_lock(folder)}
    return sorted(pins, key=_order)


def drafts_in(folder: Path) -> list[str]:
    """List the calibrations of a folder that are not released, as ``panel/instrument@1.0.0``."""
    locked = read_lock(folder) if folder.is_dir() else {}
    pins = (
        f"{path.parts[-4]}/{path.parts[-3]}@{path.parts[-2]}"
        for path in folder.glob(f"*/*/*/{FILE}")
        if VERSION.fullmatch(path.parts[-2])
    )
    return sorted((pin for pin in pins if pin not in locked), key=_order)


def place_of(folder: Path, pin: str) -> Path:
    """Give the file of a calibration in a folder."""
    return folder / pin.replace("@", "/") / FILE


def read_release(folder: Path, pin: str) -> CalibrationRelease:
    """Read one release and check it against the folder's LOCK."""
    path = place_of(folder, pin)
    if not path.is_file():
        raise CalibrationFault(f"{path}: {pin} was released and its file is gone. Put it back.")
    release = read_calibration(path)
    if release.calibration.pin != pin:
        raise CalibrationFault(
            f"{path}: says it is {release.calibration.pin}, but lies in the folder of {pin}."
        )
    locked = read_lock(folder)[pin]
    if locked != release.sha256:
        raise CalibrationFault(
            f"{path}: {pin} was changed after its release (LOCK {locked[:12]}, now "
            f"{release.sha256[:12]}). Put the released content back, or give the change a version "
            f"of its own."
        )
    return release


def read_calibration(path: Path) -> CalibrationRelease:
    """Read a calibration file, whether it was released or not.

    Raises CalibrationFault naming file, line and place.
    """
    return calibration_of(read_yaml(path, CalibrationFault, days=DAYS))


def calibration_of(document: YamlDocument) -> CalibrationRelease:
    """Make a calibration of a document as ``read_calibration`` does of its file."""
    calibration = document.validate(Calibration, CalibrationFault)
    try:
        return CalibrationRelease(calibration, canonical_sha256(document.content))
    except (TypeError, ValueError) as error:
        raise CalibrationFault(
            f"{document.path}: a number in it is no number ({error})."
        ) from error


def read_lock(folder: Path) -> dict[str, str]:
    """Read the LOCK of a calibrations folder: release → SHA-256."""
    return read_locked(folder, CalibrationFault)


def _folders(laboratory: Path | None) -> list[Path]:
    folders = (laboratory, shipped_calibrations())
    return [each for each in folders if each is not None and each.is_dir()]


def _order(pin: str) -> tuple[str, tuple[int, ...]]:
    name, _, version = pin.partition("@")
    return name, version_order(version)
