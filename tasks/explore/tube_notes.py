"""Say of the tubes of one page what a reader must know: no cells, cells in no cluster, shifts.

A page of a patient says it of that patient's tubes alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from panels.text.plural import counted
from tasks.explore.batch_shift import large_shifts, shifts_of
from tasks.explore.cells import NOISE

if TYPE_CHECKING:
    from tasks.explore.explore import Exploration
    from tasks.explore.placing import PlacedTube

MANY_SHARE = 0.01
"""A tube with such a share of its cells in no cluster is named."""
MANY_CELLS = 10
ABOVE_REFERENCE = 2.0
"""That share must also be so many times the reference's: between clusters there are always some."""


def page_notes(done: Exploration, patient: str | None = None) -> list[str]:
    """Give all that a page says of a map (of all patients where there is none), and the command."""
    tubes = [each for each in done.tubes if patient in (None, each.identity.patient)]
    unread = [each.sentence for each in done.unread if patient in (None, each.patient)]
    return [*done.left_out, *unread, *done.notes, *tube_notes(done, tubes)]


def tube_notes(done: Exploration, tubes: Sequence[PlacedTube]) -> list[str]:
    """Say of some tubes how many have no such cell, and what is otherwise than in the map's.

    That is cells that the map does not know, and batches that stain otherwise.
    """
    empty = sum(not len(each.events.rows) for each in tubes)
    none = [f"No such cell in {empty} of {counted(len(tubes), 'tube')}."] if empty else []
    shifts = shifts_of(done.shifts, (each.identity for each in tubes))
    return [*none, *_unknown_cells(done, tubes), *large_shifts(shifts, done.map.record.names)]


def _unknown_cells(done: Exploration, tubes: Sequence[PlacedTube]) -> list[str]:
    if done.findings is None or not done.findings.judged.clusters.count:
        return []
    reference = done.map.reference
    weight, outside = reference.weights, done.findings.judged.labels == NOISE
    usual = float(weight[outside].sum() / weight.sum())
    later = [each for each in tubes if each.identity.tube_sha256 not in reference.tubes]
    told = []
    for each in later:
        share, cells = each.clusters.outside_share, each.clusters.outside
        if cells >= MANY_CELLS and share >= max(MANY_SHARE, ABOVE_REFERENCE * usual):
            identity = each.identity
            told.append(f"{identity.patient}, {identity.visit}: {share:.1%} ({cells:,} cells)")
    if not told:
        return []
    said = (
        f"Cells in no cluster, in tubes that came after the map was made: {'; '.join(told)}. "
        f"A new map may show them as clusters: reconflow explore --compartment "
        f"{done.compartment.id} --new-map REASON."
    )
    return [said]
