"""Give the groups of patients that are compared their colours and their signs in a legend."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from tasks.publish.figure_style import Colour

if TYPE_CHECKING:
    from matplotlib.artist import Artist

NO_STRATA: Mapping[str, str] = MappingProxyType({})
"""Patient → group of a study that compares no groups."""


def stratum_colours(strata: Iterable[str]) -> dict[str, Colour]:
    """Give each group of patients its colour, the same in every figure."""
    import seaborn as sns

    names = sorted(set(strata))
    return dict(zip(names, sns.color_palette("colorblind", len(names)), strict=True))


def stratum_signs(
    groups: Mapping[str, Colour], patients: Sequence[str], strata: Mapping[str, str]
) -> list["Artist"]:
    """Name the groups with their colours and numbers of patients, for a legend."""
    from matplotlib.patches import Patch

    signs: list[Artist] = []
    for name, colour in groups.items():
        size = sum(strata.get(patient) == name for patient in patients)
        noun = "patient" if size == 1 else "patients"
        signs.append(Patch(facecolor=colour, label=f"{name} ({size} {noun})"))
    return signs
