"""Identify the blood or marrow draw that a tube belongs to."""

from dataclasses import dataclass
from datetime import date, datetime

from tasks.vocabulary.moments import instant, local_day


@dataclass(frozen=True, slots=True)
class TubeIdentity:
    """What the sample sheet, the file name and the keywords state of one tube.

    ``tube_sha256`` is the tube's identity; ``file`` is only its name. ``dilution`` is the final
    volume of the stained tube over the volume of blood in it. ``None`` means that nothing was
    written. Times are as they were written; those without an offset are meant in ``time_zone``, the
    study's.
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
    time_zone: str | None = None

    @property
    def drawn_at(self) -> datetime:
        """Give the time of the draw in UTC: what is compared with other times."""
        return instant(self.collected, self.time_zone)

    @property
    def drawn_on(self) -> date:
        """Give the day of the draw on the study's calendar."""
        return local_day(self.collected, self.time_zone)
