"""Say what an exploration did: as a document for programs, and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panels.text.plural import counted
from tasks.explore.cluster_words import ClusterWords
from tasks.explore.explore import Exploration
from tasks.explore.findings import Findings
from tasks.explore.map_values import EXPLORATORY
from tasks.explore.tube_notes import page_notes, tube_notes

if TYPE_CHECKING:
    from tasks.explore.write_data import Mapped


def mapped_document(mapped: Mapped) -> dict[str, Any]:
    """Give what ``reconflow explore --json`` prints."""
    maps = [exploration_document(done, files) for done, files in mapped.done]
    return {"maps": maps, "faults": mapped.sentences}


def mapped_text(mapped: Mapped) -> str:
    """Say in words what was mapped, and what was not."""
    texts = [exploration_text(done, files) for done, files in mapped.done]
    return "\n\n".join([*texts, *mapped.sentences, EXPLORATORY])


def exploration_document(done: Exploration, files: Sequence[Path]) -> dict[str, Any]:
    """Describe one compartment on its map."""
    record = done.map.record
    return {
        "compartment": done.compartment.id,
        "map": record.map,
        "map_sha256": done.map.sha256,
        "new": done.is_new,
        "made": record.made,
        "reason": record.reason,
        "program": record.program,
        "markers": list(record.names),
        "reference": {"events": len(done.map.reference.rows), "tubes": len(record.tubes)},
        "most_events": {"tube": record.sampling.per_tube, "reference": record.sampling.most},
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
        "clusters": _clusters(done),
        "left_out": [*done.left_out, *(each.sentence for each in done.unread)],
        "notes": [*done.notes, *tube_notes(done, done.tubes)],
        "files": [str(path) for path in files],
    }


def exploration_text(done: Exploration, files: Sequence[Path]) -> str:
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
        *(f"  {line}" for line in _cluster_lines(done)),
        *(f"  {sentence}" for sentence in page_notes(done)),
        *(f"  {path}" for path in files),
    ]
    return "\n".join(lines)


def _clusters(done: Exploration) -> dict[str, Any] | None:
    """Give what the clusters show; None where none could be looked for (a note says why)."""
    found = done.findings
    if found is None:
        return None
    say = _words(done, found)
    return {
        "count": found.judged.clusters.count,
        "stable": len(found.judged.stability.stable),
        "sentence": say.whole(),
        **say.lists(),
    }


_TITLES = {
    "unnamed": "Cells no gate names",
    "spanning": "Gates that span several clusters",
    "shifted": "More likely a shift of the stain",
}


def _cluster_lines(done: Exploration) -> list[str]:
    """Say what the clusters show: a line on them, and a line of each list."""
    if done.findings is None:
        return []
    say = _words(done, done.findings)
    stable = len(done.findings.judged.stability.stable)
    none = (
        f"none of {counted(stable, 'stable cluster')}" if stable else "no stable cluster to judge"
    )
    lines = [f"Clusters: {say.whole()}"]
    for name, listed in say.lists().items():
        sentences = " ".join(each["sentence"] for each in listed)
        lines.append(f"{_TITLES[name]}: {sentences or none}")
    return lines


def _words(done: Exploration, found: Findings) -> ClusterWords:
    populations = done.compartment.used.populations
    return ClusterWords(done, found, {id_: each.label for id_, each in populations.items()})


def _not_of_the_map(done: Exploration) -> list[str]:
    """Name the markers that do not make the map, by the reason why."""
    named: dict[str, list[str]] = {}
    for each in done.map.record.left_out:
        named.setdefault(each.why, []).append(each.marker)
    return [f"  Not in the map's distances: {', '.join(m)} ({why})" for why, m in named.items()]
