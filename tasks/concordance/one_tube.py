"""Lay the gates of two versions over each other on one tube.

What differs is said in words, drawn on the tube's events, and counted event by event.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gating.display.projection import outlines_on, project
from gating.fcs.events import Events, open_events
from gating.fcs.header import TubeHeader, read_header
from gating.strategy.difference import Difference, compare
from gating.strategy.model import Strategy
from gating.thresholds.apply import Applied, apply_strategy
from panels.catalogue import load_panel
from panels.files.plain_file import regular_sha256
from panels.panel import match_panel
from panels.text.errors import PanelMismatch, UsageFault
from tasks.concordance.agreement import f1
from tasks.publish.figure_bytes import png_bytes
from tasks.publish.gating_panel import Before
from tasks.publish.gating_picture import draw_gating_page
from tasks.publish.pages import render

if TYPE_CHECKING:
    from gating.display.gate_view import GateView


@dataclass(frozen=True, slots=True)
class GatePair:
    """One gate in both versions: its newer name, its older one (``was``), its events and their F1.

    Events are None where that version has no such gate.
    """

    gate: str
    was: str | None
    old_events: int | None
    new_events: int | None
    f1: float | None

    @property
    def description(self) -> str:
        """Say what became of the gate's events."""
        if self.old_events is None:
            return f"new: {self.new_events:,}"
        if self.new_events is None:
            return f"removed: {self.old_events:,}"
        counts = f"{self.old_events:,} → {self.new_events:,}"
        return counts if self.f1 is None else f"{counts}    F1 {self.f1_text}"

    @property
    def f1_text(self) -> str:
        """Write F1 so that only identical events read 1."""
        if self.f1 is None:
            return "–"
        return "1" if self.f1 == 1 else f"{min(self.f1, 0.9999):.4f}"


@dataclass(frozen=True, slots=True)
class Overlaid:
    """Two versions on one tube: the difference in words, every gate's events, and the page."""

    difference: Difference
    gates: tuple[GatePair, ...]
    page: str

    def document(self) -> dict[str, object]:
        """Give what ``reconflow strategy diff --tube --json`` adds to the difference in words."""
        return {
            "tube": [
                {"gate": g.gate, "from": g.old_events, "to": g.new_events, "f1": g.f1}
                for g in self.gates
            ]
        }


def overlay(old: Strategy, new: Strategy, tube: Path, panels: Path | None = None) -> Overlaid:
    """Gate one tube under both versions and draw every gate whose outline or events differ.

    The older outline is dashed. Boundaries come from this tube alone: no reference tube is used,
    and no stretch of time is left out. Raises UsageFault when the versions are for different
    panels, TubeFault when the tube cannot be gated.
    """
    if old.panel != new.panel:
        raise UsageFault(
            f"{old.name} gates the panel {old.panel}, {new.name} the panel {new.panel}: no "
            f"tube can be gated under both."
        )
    header = read_header(tube)
    match = match_panel(load_panel(new.panel, panels), header.channels)
    if not match.fits:
        raise PanelMismatch(
            f"{tube.name} does not fit the panel {new.panel}: {' '.join(match.problems)}"
        )
    events = open_events(header)
    before, after = (apply_strategy(strategy, match, header, events) for strategy in (old, new))
    difference = compare(old, new)
    renamed = {
        change.where: str(change.was) for change in difference.changes if change.kind == "renamed"
    }
    gates = _pairs(before, after, renamed)
    drawn = _drawn(before, after, gates, events, header)
    digest = regular_sha256(tube, follow=True)[:12]
    picture = b""
    if drawn:
        title = f"{old.name} → {new.name}"
        subtitle = f"tube {digest}   ·   {header.event_count:,} events"
        views, older = zip(*drawn, strict=True)
        picture = png_bytes(draw_gating_page(title, subtitle, views, older))
    page = render(
        "difference.html",
        {
            "difference": difference,
            "gates": gates,
            "png": picture,
            "tube": digest,
            "events": header.event_count,
        },
    )
    return Overlaid(difference, gates, page)


def _pairs(before: Applied, after: Applied, renamed: dict[str, str]) -> tuple[GatePair, ...]:
    """Pair the gates of both versions, in the order of the newer one, removed ones last.

    ``renamed`` maps new names to old ones.
    """
    old, new = _gate_names(before), _gate_names(after)
    older_names = {name: renamed.get(name, name) for name in new}
    pairs = []
    for name in new:
        was = older_names[name]
        if was in old:
            pairs.append(_pair(name, was, _events_of(before, was), _events_of(after, name)))
        else:
            pairs.append(_pair(name, None, None, _events_of(after, name)))
    kept = set(older_names.values())
    pairs += [_pair(name, name, _events_of(before, name), None) for name in old if name not in kept]
    return tuple(pairs)


def _pair(gate: str, was: str | None, old: np.ndarray | None, new: np.ndarray | None) -> GatePair:
    score = None
    if old is not None and new is not None:
        score = f1(old, new)
    return GatePair(gate, was, _count(old), _count(new), score)


def _count(events: np.ndarray | None) -> int | None:
    return None if events is None else len(events)


def _gate_names(applied: Applied) -> list[str]:
    return [name for gate in applied.compiled.strategy.gates for name in gate.names]


def _events_of(applied: Applied, gate: str) -> np.ndarray:
    """Give the indices of the events in a gate."""
    return applied.evaluation.rows[applied.compiled.path_of[gate]]


def _drawn(
    before: Applied, after: Applied, gates: tuple[GatePair, ...], events: Events, header: TubeHeader
) -> list[tuple[GateView, Before]]:
    """Pair what is drawn with the older outlines; a gate that moved to other axes is drawn on both.

    A gate with the same outline and the same events is not drawn.
    """
    new_views = _views(after, events, header)
    old_views = _views(before, events, header)
    drawn = []
    for pair in gates:
        view, outlines = new_views.get(pair.gate), None
        if view is not None and pair.was is not None:
            outlines = outlines_on(view, after.compiled, before.compiled, pair.was)
        if view is not None and not _is_unchanged(pair, view, outlines):
            drawn.append((view, Before(outlines or (), pair.description)))
        if pair.was is not None and outlines is None:
            earlier = old_views[pair.was]
            counts = pair.description if view is None else "before, on its own axes"
            drawn.append((replace(earlier, outlines=()), Before(earlier.outlines, counts)))
    return drawn


def _views(applied: Applied, events: Events, header: TubeHeader) -> dict[str, GateView]:
    views = project(applied.compiled, applied.evaluation, events, header)
    return {view.name: view for view in views}


def _is_unchanged(pair: GatePair, view: GateView, outlines: tuple[np.ndarray, ...] | None) -> bool:
    """Tell whether a gate has the same events and, on its axes, the same outlines as before."""
    if outlines is None or pair.f1 not in (None, 1.0):
        return False
    return len(view.outlines) == len(outlines) and all(
        np.array_equal(new, old) for new, old in zip(view.outlines, outlines, strict=True)
    )
