"""Write what the page of a tube lays over it of another version, which ``regate`` compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gating.display.draw_tube import gate_places
from tasks.publish.gating_page import with_versions
from tasks.publish.tables import write_atomically
from tasks.publish.tube_data import tube_document
from tasks.publish.version_data import Compared, version_data
from tasks.tubes.gating_page import PAGE, drawing_of, tube_findings, tube_head
from tasks.tubes.version_files import counted_as, version_file, versions_beside

if TYPE_CHECKING:
    from gating.display.draw_tube import GatePlace
    from gating.display.tube_drawing import TubeDrawing
    from gating.evaluation.compiled_strategy import Compiled
    from tasks.store.tubes import Tube
    from tasks.tubes.gate_tube import GatedTube


def is_laid_over(folder: Path, strategy: str) -> bool:
    """Tell whether a version is laid over the page of a tube, or there is no page."""
    return version_file(folder, strategy).is_file() or not (folder / PAGE).is_file()


def lay_version_over(
    folder: Path, tube: Tube, current: GatedTube, other: GatedTube, compared: Compared
) -> None:
    """Write a tube as another version gated it beside its page, and let the page name it.

    Both were gated without corrections. Without a page nothing is written.
    """
    page = folder / PAGE
    if not page.is_file():
        return
    drawing = drawing_of(other)
    drawn = tube_document(tube_head(tube, other), tube_findings(other), other.compiled, drawing)
    alone = drawn_alone(current.compiled, other.compiled, drawing)
    content = version_data(counted_as(current.gating), drawn, alone, compared)
    strategy = other.gating.strategy
    named = sorted({*versions_beside(folder), strategy})
    # The file comes last: until it is there, the next comparison writes both again.
    write_atomically(page, with_versions(page.read_text(encoding="utf-8"), named).encode())
    write_atomically(version_file(folder, strategy), content)


def drawn_alone(current: Compiled, other: Compiled, drawing: TubeDrawing) -> set[str]:
    """Name the gates of ``other``, drawn as ``drawing``, that no plot of ``current`` can show.

    A gate can be shown where the gate of its name is drawn on its axes; one without namesake where
    its parent's events are drawn on its axes, if it has an outline there.
    """
    mine, theirs = gate_places(current), gate_places(other)
    pictures = {(each.parent, each.axes) for each in mine.values()}
    outlined = {gate.name for gate in drawing.gates if gate.outlines}

    def is_shown(name: str, place: GatePlace) -> bool:
        if not all(_same_scale(current, other, axis) for axis, _ in place.axes):
            return False
        if name in mine:
            return mine[name].axes == place.axes
        return name in outlined and (place.parent, place.axes) in pictures

    return {name for name, place in theirs.items() if not is_shown(name, place)}


def _same_scale(one: Compiled, other: Compiled, axis: str) -> bool:
    return one.strategy.scale_of(axis) == other.strategy.scale_of(axis)
