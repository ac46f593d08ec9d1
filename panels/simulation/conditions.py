"""Describe how well a simulated tube was taken, stained and run."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Conditions:
    """How one simulated tube was taken, stained and run.

    The defaults are a good fresh tube on a good day.

    gain                   detector, FSC-A or SSC-A → factor on its signal: drift
    abundance              marker → factor on what every cell carries of it: reagent lot, masking
    car_density            factor on the CAR of CAR-T cells alone: below 1 when down-modulated
    dead_fraction          share of the cells that are dead (2-8 %; a storm is 40 %)
    debris_fraction        share of the particles that are debris or red cells (5-25 %; up to 60 %
                           under lymphodepletion)
    doublet_fraction       share of the particles that pass the laser with a partner (1-4 %)
    beads                  expected number of counting beads
    carry_over             kind → expected number of cells of the previous tube, in the first
                           seconds
    clogs                  how often the stream narrows: a gap, then 20-60 s of dim blue-laser
                           signals
    compensation_error     SD of the relative error of each stored spillover coefficient
    compensation_bias      relative error common to all coefficients: 0.15 overcompensates
    spill_added            dye → detector → fraction leaking beyond the stored matrix: a degraded
                           tandem lot
    cd19_masked_fraction   share of the B lineage whose CD19 cannot be stained
    trogocytosis_fraction  share of the CAR19 T cells that carry CD19 taken from their targets
    trigger                channel and raw value below which the instrument does not record
    events_per_second      rate of acquisition
    time_step              seconds per unit of the Time channel
    """

    gain: Mapping[str, float] = field(default_factory=dict)
    abundance: Mapping[str, float] = field(default_factory=dict)
    car_density: float = 1.0
    dead_fraction: float = 0.04
    debris_fraction: float = 0.10
    doublet_fraction: float = 0.012
    beads: float = 0.0
    carry_over: Mapping[str, float] = field(default_factory=dict)
    clogs: int = 0
    compensation_error: float = 0.03
    compensation_bias: float = 0.0
    spill_added: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    cd19_masked_fraction: float = 0.0
    trogocytosis_fraction: float = 0.0
    trigger: tuple[str, float] = ("FSC-A", 5000.0)
    events_per_second: float = 3000.0
    time_step: float = 0.01
