"""Say which blood or marrow draw a tube belongs to."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class TubeIdentity:
    """What the sample sheet, the file name and the keywords say of one tube.

    ``tube_sha256`` is the tube's identity; ``file`` is only its name. ``dilution`` is the final volume of the stained
    tube over the volume of blood in it. ``None`` means that nothing was said.
    """

    tube_sha256: str
    file: str
    patient: str
    collected: datetime
    panel: str
    visit: str
    specimen: str = "blood"
    acquired: datetime | None = None
    instrument: str | None = None
    batch: str | None = None
    operator: str | None = None
    control: str | None = None
    car_reagent: str | None = None
    comment: str | None = None
    leukocytes_per_ul: float | None = None
    lymphocytes_per_ul: float | None = None
    beads_per_tube: float | None = None
    blood_volume_ul: float | None = None
    acquired_volume_ul: float | None = None
    dilution: float | None = None
