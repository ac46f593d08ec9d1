"""Define a calibration: the numbers of one panel on one instrument, apart from the strategy.

A strategy says which cells are meant, by which markers and in which order; a calibration says where
the boundaries lie on one cytometer. All numbers are linear, compensated intensities on a scale that
ends at 262144, as those of a strategy are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from panels.files.strict_model import Identifier, StrictModel

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,58}[A-Za-z0-9])?"
"""Of a panel or instrument: a folder's name on any system, and a line of the LOCK."""
NUMBER = r"(?:0|[1-9][0-9]{0,5})"
VERSION = rf"{NUMBER}\.{NUMBER}\.{NUMBER}"
PIN = rf"^{NAME}/{NAME}@{VERSION}$"
STRATEGY_PIN = rf"^[A-Za-z0-9_]+@{VERSION}$"
END_OF_SCALE = 262144.0
Place = Annotated[float, Field(gt=0, le=END_OF_SCALE)]
"""A linear intensity that lies on the scale."""


class Cytometer(StrictModel):
    """An instrument as its files name it: ``$CYT``, and the serial number where there is one."""

    name: str
    serial: str | None = None

    @field_validator("name", "serial")
    @classmethod
    def _can_be_compared(cls, written: str | None) -> str | None:
        """Refuse what holds neither letter nor digit: it would be like any other such name."""
        if written is not None and not any(letter.isalnum() for letter in written):
            raise ValueError("a name with letters or digits is expected")
        return written


class ThresholdNumbers(StrictModel):
    """The numbers of one threshold on one instrument, in linear units.

    ``anchor`` is the median of the anchor cells, ``spread`` the SD of the half of the negative
    cells below their mode, ``clears`` how many such SDs the boundary lies above the mode in each
    stretch of the threshold's ``clearance``.
    """

    value: Place
    limits: tuple[Place, Place] | None = None
    anchor: Place | None = None
    spread: Place | None = None
    clears: tuple[Annotated[float, Field(gt=0)], ...] = ()

    @model_validator(mode="after")
    def _value_within_limits(self) -> ThresholdNumbers:
        if self.limits is not None and not self.limits[0] <= self.value <= self.limits[1]:
            raise ValueError(
                f"'value' ({self.value:g}) must lie within 'limits' ({self.limits[0]:g} to "
                f"{self.limits[1]:g})"
            )
        return self


class Target(StrictModel):
    """What a signal was in the tubes of the calibration, for control charts.

    ``mean`` and ``sd`` (between tubes) are in the unit of the signal; ``tubes`` is their number.
    """

    mean: float
    sd: float = Field(ge=0)
    tubes: int = Field(gt=0)


class Calibration(StrictModel):
    """One version of the numbers of a panel on one instrument.

    ``strategy`` is the release whose thresholds and landmarks were measured; ``relative_to`` is
    the calibration whose landmarks the strategy is drawn on (None: this one is it).
    ``cytometers`` are the instruments as their files name them, ``known_as`` further names that
    sample sheets give the instrument. The calibration holds for tubes
    collected from ``since`` on, and, where ``batches`` are named, for those alone. ``unmeasured``
    names each threshold that no tube could tell of, with the reason: the strategy's own number,
    moved with the landmarks of its detector where there are any, stands in for it, and what hangs
    on it is flagged.
    """

    panel: str = Field(pattern=rf"^{NAME}$")
    instrument: str = Field(pattern=rf"^{NAME}$")
    version: str = Field(pattern=rf"^{VERSION}$")
    title: str
    strategy: str = Field(pattern=STRATEGY_PIN)
    relative_to: str | None = Field(default=None, pattern=PIN)
    known_as: tuple[str, ...] = ()
    cytometers: tuple[Cytometer, ...] = ()
    since: date | None = None
    batches: tuple[str, ...] = ()
    thresholds: Mapping[Identifier, ThresholdNumbers]
    landmarks: Mapping[Identifier, Mapping[str, Place]] = Field(default_factory=dict)
    beads: Mapping[str, Place] = Field(default_factory=dict)
    unmeasured: Mapping[Identifier, str] = Field(default_factory=dict)
    targets: Mapping[str, Target] = Field(default_factory=dict)

    @field_validator("since", mode="before")
    @classmethod
    def _day(cls, written: object) -> object:
        """Take a day as it is written: 2026-01-31."""
        if isinstance(written, str):
            return date.fromisoformat(written)
        if written is None or isinstance(written, date):
            return written
        raise ValueError("a day such as 2026-01-31 is expected")

    @model_validator(mode="after")
    def _measured_or_not(self) -> Calibration:
        both = sorted(set(self.thresholds) & set(self.unmeasured))
        if both:
            raise ValueError(f"{both[0]!r} stands under 'thresholds' and under 'unmeasured'")
        return self

    @property
    def pin(self) -> str:
        """Write the version as users do: ``bcell/lyric-2@1.0.0``."""
        return f"{self.panel}/{self.instrument}@{self.version}"


@dataclass(frozen=True, slots=True)
class CalibrationRelease:
    """A calibration together with the SHA-256 of its canonical content."""

    calibration: Calibration
    sha256: str
