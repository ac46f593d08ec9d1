"""Hold an effective volume: how many µL of blood the counted events of a tube stand for."""

from dataclasses import dataclass
from typing import Literal

from tasks.counting.intervals import (
    Interval,
    bead_ratio,
    log_normal,
    scaled_count,
    volumetric,
    widened,
)

CountMethod = Literal["bead", "volumetric", "chain", "dual"]
Method = Literal["bead", "volumetric", "dual", "chain", "none"]


@dataclass(frozen=True, slots=True)
class Volume:
    """An effective volume, how it was determined and how uncertain it is.

    ``relative_variance`` is the variance of its logarithm, all errors together;
    ``systematic_variance`` is the part of it that no count shows (pipette, bead lot, coincidence).
    ``repeats`` marks a population tied to its own concentration. ``sources`` name what it depends
    on: beads or acquired volume of a tube, the analyser, an anchor of the tube itself; ``tied_to``
    are the rows (tube, population) of the anchor here and in the partner.
    """

    microlitres: float
    method: CountMethod
    relative_variance: float
    systematic_variance: float = 0.0
    beads: int | None = None
    repeats: bool = False
    sources: tuple[str, ...] = ()
    tied_to: tuple[tuple[str, str], ...] = ()

    def concentration(self, events: int) -> tuple[float, Interval]:
        """Give cells/µL for ``events``, with their 95 % interval."""
        value = events / self.microlitres
        if self.repeats:
            return value, log_normal(value, self.relative_variance)
        if self.method == "bead" and self.beads is not None:
            exact = bead_ratio(events, self.beads, self.beads / self.microlitres)
            return value, widened(exact, value, self.systematic_variance)
        if self.method == "volumetric":
            exact = volumetric(events, self.microlitres)
            return value, widened(exact, value, self.systematic_variance)
        return value, scaled_count(events, self.microlitres, self.relative_variance)


def bead_source(sha: str) -> str:
    """Name the counting beads of a tube."""
    return f"the beads of tube {sha[:12]}"


def volume_source(sha: str) -> str:
    """Name the acquired volume of a tube."""
    return f"the acquired volume of tube {sha[:12]}"


def anchor_source(sha: str, anchor: str) -> str:
    """Name an anchor population of a tube."""
    return f"the {anchor} of tube {sha[:12]}"
