"""Write the pages of a patient's gates, one a gate of the strategies that count its tubes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from panels.files.durable import remove_unfinished
from tasks.publish.gate_page import GatePage, render_gate_page
from tasks.publish.tables import write_atomically

if TYPE_CHECKING:
    from tasks.counting.counts import TubeCounts
    from tasks.study.snapshot import StudySnapshot

FOLDER = "gates"


def gates_of(snapshot: StudySnapshot, tubes: Iterable[TubeCounts]) -> dict[str, GatePage]:
    """Give the page of each gate by which the tubes of one patient are counted, by gate."""
    counted = [tube.identity for tube in tubes if not tube.identity.control]
    pages: dict[str, GatePage] = {}
    for panel in sorted({identity.panel for identity in counted} & snapshot.strategies.keys()):
        strategy = snapshot.strategies[panel].release.strategy
        labels = {each.gate: each.label.split(" (")[0] for each in strategy.populations}
        for gate in strategy.parent_of():
            known = pages.get(gate)
            label = labels.get(gate) or (known.label if known else gate.replace("_", " "))
            panels = (*(known.panels if known else ()), panel)
            pages[gate] = GatePage(counted[0].patient, gate, label, panels)
    return pages


def write_gate_pages(folder: Path, pages: Mapping[str, GatePage]) -> None:
    """Write the pages of a patient's gates, and remove those of gates that are none any more."""
    gates = folder / FOLDER
    gates.mkdir(parents=True, exist_ok=True)
    remove_unfinished(gates)
    wanted = {f"{gate}.html": page for gate, page in pages.items()}
    for path in sorted(gates.glob("*.html")):
        if path.name not in wanted:
            path.unlink()
    for name, page in wanted.items():
        content, path = render_gate_page(page).encode(), gates / name
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)


def has_gate_pages(folder: Path, gates: Sequence[str]) -> bool:
    """Tell whether every gate has its page."""
    try:
        with os.scandir(folder / FOLDER) as entries:
            present = {entry.name for entry in entries if entry.is_file()}
    except (FileNotFoundError, NotADirectoryError):
        present = set()
    return present.issuperset(f"{gate}.html" for gate in gates)
