"""Know which drugs hide a marker from its stain, for how long, and on which populations."""

from dataclasses import dataclass
from datetime import timedelta

from tasks.sheets.drug_names import ANTI_CD20, ANTI_CD38, IMMUNOGLOBULIN, names
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.populations import B_SUBSETS, in_family


@dataclass(frozen=True, slots=True)
class Masking:
    """A group of drugs that masks some populations for some time after the last dose.

    ``names`` are parts of the drugs' names.
    """

    names: tuple[str, ...]
    lasts: timedelta
    flag: Flag
    populations: tuple[str, ...]


MASKING = (
    Masking(ANTI_CD20, timedelta(days=365), Flag.CD20_MASKED, ("b_cells_cd20",)),
    Masking(
        ANTI_CD38,
        timedelta(days=183),
        Flag.CD38_MASKED,
        (*in_family("secreting"), "transitional_b"),
    ),
    Masking(IMMUNOGLOBULIN, timedelta(days=28), Flag.IMMUNOGLOBULIN_GIVEN, B_SUBSETS),
)
"""After SCIENCE 2.1: anti-CD20 within 12 months, daratumumab for months, immunoglobulin as long as
the next dose is due."""


def masking_of(drug: str) -> tuple[Masking, ...]:
    """List the groups that a drug belongs to."""
    return tuple(group for group in MASKING if names(drug, group.names))
