"""Tell how far each batch stains otherwise than the tubes that a map was fitted on.

Cells that should be everywhere alike (the gates of the strategy's landmarks) are compared by their
medians, on the display scale. It is shown beside the map; no value is ever moved by it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tasks.explore.tube_events import Anchor, TubeEvents
from tasks.vocabulary.tube_identity import TubeIdentity

LARGE_SD = 0.5
"""A shift of half a standard deviation of the cells is said in words."""


@dataclass(frozen=True, slots=True)
class Shift:
    """How far the cells of a gate lie from the reference's on one marker, in one batch.

    ``shift`` is in units of the display scale, ``sd`` in standard deviations of the cells;
    ``tubes`` of the batch have enough of these cells, ``of_reference`` of them are the reference's.
    One that does not judge has better cells for its marker in the same batch.
    """

    instrument: str
    batch: str
    gate: str
    marker: str
    tubes: int
    of_reference: int
    shift: float
    sd: float
    judges: bool = True


def batch_shifts(
    tubes: Sequence[tuple[TubeIdentity, TubeEvents]], reference: Collection[str]
) -> list[Shift]:
    """Compare every batch with the reference's tubes (SHA-256), ordered by instrument and batch.

    Gates and markers that no tube of the reference has are left out.
    """
    of_reference: dict[tuple[str, str], list[Anchor]] = {}
    of_batch: dict[tuple[str, str], dict[tuple[str, str], list[tuple[Anchor, bool]]]] = {}
    for identity, events in tubes:
        batch = of_batch.setdefault(_batch(identity), {})
        is_of_reference = identity.tube_sha256 in reference
        for anchor in events.anchors:
            key = (anchor.gate, anchor.marker)
            batch.setdefault(key, []).append((anchor, is_of_reference))
            if is_of_reference:
                of_reference.setdefault(key, []).append(anchor)
    return [
        _shift(batch, key, anchors, of_reference[key])
        for batch, measured in sorted(of_batch.items())
        for key, anchors in measured.items()
        if key in of_reference
    ]


def _shift(
    batch: tuple[str, str],
    key: tuple[str, str],
    anchors: Sequence[tuple[Anchor, bool]],
    reference: Sequence[Anchor],
) -> Shift:
    here = float(np.median([each.median for each, _ in anchors]))
    there = float(np.median([each.median for each in reference]))
    spread = float(np.median([each.sd for each in reference]))
    shared = sum(is_of_reference for _, is_of_reference in anchors)
    sd = (here - there) / spread if spread else 0.0
    return Shift(*batch, *key, len(anchors), shared, here - there, sd)


def _batch(identity: TubeIdentity) -> tuple[str, str]:
    return identity.instrument or "", identity.batch or ""


def shifts_of(shifts: Sequence[Shift], tubes: Iterable[TubeIdentity]) -> list[Shift]:
    """Choose the shifts of the batches in which some tubes were measured."""
    batches = {_batch(each) for each in tubes}
    return [each for each in shifts if (each.instrument, each.batch) in batches]


def judging(shifts: Sequence[Shift], axis_gates: Mapping[str, Collection[str]]) -> list[Shift]:
    """Mark the shifts by which a batch is judged on each marker.

    Where cells that carry a marker were measured (``axis_gates``: gates by marker whose landmark
    has it as an axis), those that do not carry it say nothing: they differ in background.
    """
    by_axis = {
        (each.instrument, each.batch, each.marker)
        for each in shifts
        if each.gate in axis_gates.get(each.marker, ())
    }
    return [
        replace(
            each,
            judges=each.gate in axis_gates.get(each.marker, ())
            or (each.instrument, each.batch, each.marker) not in by_axis,
        )
        for each in shifts
    ]


def unmeasured(shifts: Sequence[Shift], markers: Sequence[str]) -> list[str]:
    """Say on which of a map's markers no batch could be compared."""
    missing = [name for name in markers if name not in {each.marker for each in shifts}]
    if not missing:
        return []
    said = (
        f"Not measured between batches: {', '.join(missing)}. The strategy names no cells that "
        f"should be everywhere alike on them, or too few were seen."
    )
    return [said]


def large_shifts(shifts: Sequence[Shift], markers: Collection[str]) -> list[str]:
    """Say which batches stain so much otherwise that it shows on the map of these markers."""
    moved: dict[str, list[str]] = {}
    for each in shifts:
        if each.judges and each.marker in markers and abs(each.sd) >= LARGE_SD:
            batch = " ".join(filter(None, (each.instrument, each.batch))) or "no batch"
            by = f"{each.marker} by {each.sd:+.1f} SD, measured on {each.gate}"
            moved.setdefault(batch, []).append(by)
    if not moved:
        return []
    named = "; ".join(f"{batch}: {', '.join(said)}" for batch, said in moved.items())
    said = (
        f"{_batches(len(moved))} otherwise than the map's tubes ({named}): what lies apart on the "
        f"map may lie apart for that."
    )
    return [said]


def _batches(number: int) -> str:
    return "One batch stains" if number == 1 else f"{number} batches stain"
