"""Hold what the parameters need beside the kinetics table."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tasks.kinetics.areas import USUAL
from tasks.kinetics.nca_rules import NcaRules
from tasks.kinetics.recovery import RecoverySettings
from tasks.kinetics.winning_rows import DETECT_EVENTS


@dataclass(frozen=True, slots=True)
class ParameterSettings:
    """What the parameters need beside the table.

    ``offsets`` gives, for (patient, population), the days from the first infusion to that product's
    own: its clock. ``baseline_visits`` names a patient's baseline visit where it is not the last
    one before lymphodepletion. ``detect_events`` is the study's limit of detection, for the
    percentages of marrow. ``nca`` are the rules for CAR T cells; ``biexponential`` requests their
    two-phase fit. ``reagents`` gives the CAR reagent of each tube (by SHA-256): it is a part of
    what was measured, so a change within a series makes two of it.
    """

    recovery: RecoverySettings = field(default_factory=RecoverySettings)
    offsets: Mapping[tuple[str, str], float] = field(default_factory=dict)
    baseline_visits: Mapping[str, str] = field(default_factory=dict)
    detect_events: int = DETECT_EVENTS
    nca: NcaRules = USUAL
    biexponential: bool = False
    reagents: Mapping[str, str] = field(default_factory=dict)
