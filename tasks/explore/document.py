"""Say what an exploration did: as a document for programs, and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from panels.text.plural import counted
from tasks.explore.explore import Exploration
from tasks.explore.map_values import EXPLORATORY


def exploration_document(done: Exploration, pages: Sequence[str]) -> dict[str, Any]:
    """Give what ``reconflow explore --json`` prints of one compartment."""
    record = done.map.record
    return {
        "compartment": done.compartment.id,
        "map": record.map,
        "map_sha256": done.map.sha256,
        "new": done.is_new,
        "markers": list(record.names),
        "reference": {"events": len(done.map.reference.rows), "tubes": len(record.tubes)},
        "tubes": [
            {
                "tube_sha256": each.identity.tube_sha256,
                "patient": each.identity.patient,
                "visit": each.identity.visit,
                "events": each.events.events,
                "placed": len(each.coordinates),
            }
            for each in done.tubes
        ],
        "placed_now": done.placed,
        "shifts": [asdict(each) for each in done.shifts],
        "left_out": list(done.left_out),
        "notes": list(done.notes),
        "pages": list(pages),
    }


def exploration_text(done: Exploration, pages: Sequence[str]) -> str:
    """Say in words what an exploration did."""
    record, reference = done.map.record, done.map.reference
    made = f"made now ({record.reason})" if done.is_new else f"made {record.made[:10]}"
    cells = sum(len(each.coordinates) for each in done.tubes)
    head = (
        f"{done.compartment.label}: {record.map}, {made}, {len(reference.rows):,} cells of "
        f"{counted(len(record.tubes), 'tube')} on {', '.join(record.names)}"
    )
    lines = [
        head,
        f"  {counted(len(done.tubes), 'tube')} on it ({done.placed} placed now), {cells:,} cells",
        *_not_of_the_map(done),
        *(f"  {sentence}" for sentence in (*done.left_out, *done.notes)),
        *(f"  {page}" for page in pages),
    ]
    return "\n".join([*lines, f"  {EXPLORATORY}"])


def _not_of_the_map(done: Exploration) -> list[str]:
    """Name the markers that do not make the map, by the reason why."""
    named: dict[str, list[str]] = {}
    for each in done.map.record.left_out:
        named.setdefault(each.why, []).append(each.marker)
    return [f"  Not in the map's distances: {', '.join(m)} ({why})" for why, m in named.items()]
