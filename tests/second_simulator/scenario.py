"""The knobs of a simulated draw."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from tests.second_simulator.blood import Phase

BeadVariant = Literal[
    "sound", "two_populations", "few", "none", "lost", "settling", "cut_by_threshold", "dim"
]
"""``lost`` leaves no trace in the tube; ``settling`` beads become fewer while the tube is acquired;
``cut_by_threshold`` cuts the cluster at the acquisition threshold; ``dim`` beads lie among the
cells."""
Verdict = Literal["sound", "few", "absent", "incomplete", "unprovable"]
VERDICTS: Mapping[BeadVariant, Verdict] = {
    "sound": "sound",
    "two_populations": "sound",
    "few": "few",
    "none": "absent",
    "lost": "incomplete",
    "settling": "incomplete",
    "cut_by_threshold": "incomplete",
    "dim": "unprovable",
}
Kind = Literal["tbnk", "bcell", "cart"]


@dataclass(frozen=True, slots=True)
class BeadKnobs:
    """How the counting beads of a tube look and what happened to them.

    ``centre`` is their signal in an uncompensated detector at a gain of one, times a factor of each
    detector between ``positions``. ``at_range_end``: in none, some or all detectors they are
    brighter than the range, or it cuts their cluster in two detectors (``cut``). A share ``lost``
    never reaches the laser, or the last ones do when ``settling``.
    """

    variant: BeadVariant = "sound"
    per_tube: float = 49_713.0
    lot_error: float = 0.015
    centre: float = 90_000.0
    positions: tuple[float, float] = (0.4, 2.5)
    cv: float = 0.045
    at_range_end: Literal["none", "cut", "some", "all"] = "none"
    scatter: Literal["own", "lymphocyte", "side_at_range_end"] = "own"
    doublets: float = 0.02
    with_cell: float = 0.006
    broken: float = 0.01
    lost: float = 0.6
    few: int = 300


@dataclass(frozen=True, slots=True)
class Scenario:
    """One draw: whose blood, which tubes, how stained, how measured.

    ``colour_gains`` and ``scatter_gains`` are the limits between which a tube's gains are drawn.
    ``drift`` is how much all signals change from the beginning of an acquisition to its end.
    ``blood`` (cells per µL by kind) overrides ``phase``. ``leukocyte_count_factor`` makes the
    analyser wrong. ``spill_follows_gains``: the stored spill was measured at the tube's gains, not
    at a gain of one. ``volumetric``: ``$VOL`` instead of beads. ``stickiness`` multiplies
    all unspecific binding, whose tail is what stains without a positive cell show.
    """

    patient: str = "S01"
    visit: str = "D28"
    collected: datetime = datetime(2026, 2, 7, 8, 30)  # noqa: DTZ001
    phase: Phase = "recovered"
    blood: Mapping[str, float] | None = None
    tubes: tuple[Kind, ...] = ("tbnk", "bcell", "cart")
    events: int = 60_000
    beads: BeadKnobs = field(default_factory=BeadKnobs)
    volumetric: bool = False
    colour_gains: tuple[float, float] = (0.95, 1.06)
    scatter_gains: tuple[float, float] = (0.95, 1.05)
    spill_error: float = 0.03
    spill_follows_gains: bool = True
    drift: float = 0.0
    pipetting_error: float = 0.03
    blood_volume_ul: float = 50.0
    washed_volume_ul: float = 400.0
    wash_selectivity: float = 0.02
    cell_doublets: float = 0.02
    dead: float = 0.04
    stickiness: float = 0.7
    debris: float = 0.08
    red_cells: float = 0.02
    analyser_error: float = 0.03
    leukocyte_count_factor: float = 1.0
    analyser: bool = True
    threshold: float = 1_000.0
    big_endian: bool = False
    fcs_version: Literal["FCS3.0", "FCS3.1"] = "FCS3.1"
    instrument_seed: int = 7
    car_reagent: str = "anti-idiotype PE, BCMA monomer APC"


def with_shifted_gains(scenario: Scenario) -> Scenario:
    """Let the gains of every tube lie as far apart as instruments of a trial may be."""
    return replace(scenario, colour_gains=(0.75, 1.4), scatter_gains=(0.8, 1.25))
