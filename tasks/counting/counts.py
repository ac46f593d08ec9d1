"""Hold what was counted in one tube."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tasks.vocabulary.flags import Flag
from tasks.vocabulary.tube_identity import TubeIdentity

BeadProof = Literal["proven", "incomplete", "absent"]
"""Whether the beads of a tube are proven to be all there, are there and not proven, or form no
cluster at all."""
Review = Literal["", "accepted", "queried", "repeat", "excluded"]
"""What a reviewer decided on a visit or a tube; a tube that is ``excluded`` enters no series."""


@dataclass(frozen=True, slots=True)
class PopulationCount:
    """Events of one population in one tube, of its parent gate and of its reference population.

    ``flags`` concern this population alone. ``negatives``: how many of the tube's cells that cannot
    belong to it reach its boundary all the same, and how many such cells there are.
    """

    population: str
    events: int
    parent: str
    parent_events: int
    reference: str
    reference_events: int
    flags: tuple[str, ...] = ()
    negatives: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Detector:
    """The detector that read a marker in one tube, and its voltage where the file states one."""

    name: str
    voltage: float | None = None


@dataclass(frozen=True, slots=True)
class TubeCounts:
    """All counts of one tube under one strategy version (written ``bcell@1.0.0``).

    ``beads`` is ``None`` without bead gate. ``kept`` is the share of the acquisition that was
    counted: the rest, cells and beads alike, was left out as unsteady. ``alone`` is the share of
    the cells that passed the laser one by one: the others are in no count, though of the same
    blood. ``bead_rate`` is in beads per second, ``expected_bead_rate`` what the other tubes of its
    batch let expect. ``detectors`` are those of the markers the strategy needs, ``panel`` is the
    version of the panel that matched them, ``panel_sha256`` its content. ``calibration`` names the
    calibration whose numbers counted (empty: the strategy's own), ``calibration_sha256`` its
    content. ``stain_ratios`` are the medians of cells above a threshold over their calibrated
    place, by threshold, where they were compared. ``corrected`` names the populations that a
    person's correction counted, ``review`` is what a reviewer decided (empty: nobody did).
    ``counted_as`` stands for everything that decides which events belong to which gate, and
    ``correction_sha256`` for the corrections among it (empty: none); they change without a number,
    so they are no part of what tables are made of.
    """

    identity: TubeIdentity
    strategy: str
    strategy_sha256: str
    counts: Mapping[str, PopulationCount]
    beads: int | None = None
    total_events: int = 0
    flags: tuple[str, ...] = ()
    kept: float = 1.0
    alone: float = 1.0
    bead_proof: BeadProof = "proven"
    bead_rate: float | None = None
    expected_bead_rate: float | None = None
    panel: str = ""
    detectors: Mapping[str, Detector] = field(default_factory=dict)
    panel_sha256: str = ""
    calibration: str = ""
    calibration_sha256: str = ""
    stain_ratios: Mapping[str, float] = field(default_factory=dict)
    corrected: frozenset[str] = frozenset()
    review: Review = ""
    counted_as: str = field(default="", repr=False)
    correction_sha256: str = field(default="", repr=False)

    @property
    def is_usable(self) -> bool:
        """Decide whether anything of this tube may be evaluated."""
        return Flag.ACQUISITION_UNUSABLE not in self.flags

    @property
    def is_excluded(self) -> bool:
        """Decide whether a reviewer took the tube out of every series."""
        return self.review == "excluded"
