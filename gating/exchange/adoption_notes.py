"""Say what the adoption of a workspace leaves to a person: missing files, deviating samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gating.exchange.deviations import Deviation
from gating.exchange.flowjo_groups import shortlist
from gating.exchange.import_notes import Note
from gating.exchange.workspace_samples import WorkspaceSample

MOST_APART = 5
"""So many missing files are noted one by one."""


def notes_on_samples(members: Sequence[WorkspaceSample]) -> Iterator[Note]:
    """Give what was noted of each sample; many files that are not there are one note."""
    missing = [sample for sample in members if sample.state == "no FCS file"]
    together = len(missing) > MOST_APART
    for sample in members:
        if not together or sample.state != "no FCS file":
            yield from sample.notes
    if together:
        text = (
            f"The FCS files of {len(missing)} samples are not there: "
            f"{shortlist([each.label for each in missing])}. Their counts were not compared. Put "
            f"them into the folder named with --fcs and import again."
        )
        yield Note("to do", "", text)


def notes_on_deviations(deviations: Sequence[Deviation]) -> Iterator[Note]:
    """Name the samples that have anything otherwise, and what the strategy counts in its place."""
    by_sample: dict[str, list[Deviation]] = {}
    for each in deviations:
        by_sample.setdefault(each.sample, []).append(each)
    for sample, found in by_sample.items():
        said = "; ".join(
            f"{kind}: {shortlist([_place_of(each) for each in found if each.kind == kind])}"
            for kind in dict.fromkeys(each.kind for each in found)
        )
        yield Note(
            "to do",
            "",
            f"{sample} has not the common gates throughout ({said}).{_effect(found)} Listed in "
            f"DEVIATIONS.csv; the strategy has the common ones.",
        )


def _place_of(deviation: Deviation) -> str:
    return deviation.gate or deviation.own or "all gates"


def _effect(found: Sequence[Deviation]) -> str:
    worst = max(found, key=lambda each: abs(each.percent or 0.0))
    if not worst.percent:
        return ""
    return (
        f" The strategy counts {worst.counted_strategy:,} in {worst.gate}, where the sample's own "
        f"gates keep {worst.counted_own:,} ({worst.percent:+.1f} %)."
    )
