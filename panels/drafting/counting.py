"""Say how a drafted panel may count cells, from the acquired volume, beads, or a shipped panel."""

from collections.abc import Sequence
from dataclasses import dataclass

from panels.drafting.tube_readings import TubeReadings
from panels.panel import Counting, Panel, plain
from panels.text.quoting import as_label


@dataclass(frozen=True, slots=True)
class DraftCounting:
    """The panel's ``counting``, why, and what a person has to decide (empty: nothing)."""

    methods: tuple[Counting, ...]
    reason: str
    to_decide: str = ""


def settle_counting(
    tubes: Sequence[TubeReadings], markers: Sequence[str], shipped: Sequence[Panel]
) -> DraftCounting:
    """Choose how cells are counted: as a shipped panel of the same markers, by beads or volume."""
    names = {plain(marker) for marker in markers}
    alike = next(
        (each for each in shipped if {plain(s.marker) for s in each.markers} == names), None
    )
    if alike is not None:
        return DraftCounting(
            alike.counting,
            f"as the shipped panel {alike.panel}, whose markers these are; is it so?",
        )
    beads = sorted({as_label(detector) for each in tubes for detector in each.beads})
    if beads:
        return DraftCounting(
            ("bead", "chain", "dual"),
            f"beads on {', '.join(beads)}; beads_per_tube in samples.csv is needed",
        )
    if all(each.tube.volume for each in tubes):
        return DraftCounting(
            ("volumetric", "chain", "dual"),
            "from $VOL; with beads write [bead, dual], after a wash [chain, dual]",
            "counting: the acquired volume ($VOL) gives concentrations only of tubes that were not "
            "washed. If these were, write `counting: [chain, dual]`.",
        )
    return DraftCounting(
        ("chain", "dual"),
        "no $VOL, no label of beads; with beads in the tube write [bead, dual]",
    )
