"""Lay the gates of two versions over each other on one tube: what differs in words, drawn on its events, counted event by event."""

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
    """One gate (under its newer name) in both versions: events (None: that version has no such gate) and F1 of the two."""

    gate: str
    was: str | None
    old_events: int | None
    new_events: int | None
    f1: float | None

    @property
    def description(self) -> str:
        """Say what became of the gate's events."""
        if self.old_events is None or self.new_events is None:
            return (
                f"new: {self.new_events:,}"
                if self.old_events is None
                else f"removed: {self.old_events:,}"
            )
        return f"{self.old_events:,} → {self.new_events:,}" + (
            "" if self.f1 is None else f"    F1 {self.f1_text}"
        )

    @property
    def f1_text(self) -> str:
        """Write F1 so that only identical events read 1."""
        return "–" if self.f1 is None else "1" if self.f1 == 1 else f"{min(self.f1, 0.9999):.4f}"


@dataclass(frozen=True, slots=True)
class Overlaid:
    """Two versions on one tube: the difference in words, every gate's events, and the self-contained page."""

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
    """Gate one tube under both versions and draw every gate whose outline or events differ, the older outline dashed.

    Boundaries are this tube's own: no other tube is asked, and no stretch of time is left out.
    Raises UsageFault when the versions are for different panels, TubeFault when the tube cannot be
    gated.
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
    was = {
        change.where: str(change.was) for change in difference.changes if change.kind == "renamed"
    }
    gates = _pairs(before, after, was)
    drawn = _drawn(before, after, gates, events, header)
    digest = regular_sha256(tube, follow=True)[:12]
    picture = b""
    if drawn:
        title, subtitle = (
            f"{old.name} → {new.name}",
            f"tube {digest}   ·   {header.event_count:,} events",
        )
        picture = png_bytes(
            draw_gating_page(
                title, subtitle, [view for view, _ in drawn], [pair for _, pair in drawn]
            )
        )
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


def _pairs(before: Applied, after: Applied, was: dict[str, str]) -> tuple[GatePair, ...]:
    """Pair the gates of both versions, in the order of the newer one, removed ones last."""
    old, new = (
        [name for gate in each.compiled.strategy.gates for name in gate.names]
        for each in (before, after)
    )
    earlier = {name: was.get(name, name) for name in new}
    pairs = []
    for name in (*new, *(name for name in old if name not in earlier.values())):
        first = (
            before.evaluation.rows[before.compiled.path_of[earlier.get(name, name)]]
            if earlier.get(name, name) in old
            else None
        )
        second = after.evaluation.rows[after.compiled.path_of[name]] if name in new else None
        score = None if first is None or second is None else f1(first, second)
        sizes = [None if rows is None else len(rows) for rows in (first, second)]
        pairs.append(
            GatePair(
                name, None if first is None else earlier.get(name, name), sizes[0], sizes[1], score
            )
        )
    return tuple(pairs)


def _drawn(
    before: Applied, after: Applied, gates: tuple[GatePair, ...], events: Events, header: TubeHeader
) -> list[tuple[GateView, Before]]:
    """Pair what is drawn with the older outlines; a gate that moved to other axes is drawn on both."""
    new_views = {
        view.name: view for view in project(after.compiled, after.evaluation, events, header)
    }
    old_views = {
        view.name: view for view in project(before.compiled, before.evaluation, events, header)
    }
    drawn = []
    for pair in gates:
        view = new_views.get(pair.gate)
        outlines = (
            None
            if view is None or pair.was is None
            else outlines_on(view, after.compiled, before.compiled, pair.was)
        )
        if (
            view is not None
            and outlines is not None
            and pair.f1 in (None, 1.0)
            and _alike(view.outlines, outlines)
        ):
            continue
        if view is not None:
            drawn.append((view, Before(outlines or (), pair.description)))
        if pair.was is not None and outlines is None:
            earlier = old_views[pair.was]
            told = pair.description if view is None else "before, on its own axes"
            drawn.append((replace(earlier, outlines=()), Before(earlier.outlines, told)))
    return drawn


def _alike(first: tuple[np.ndarray, ...], second: tuple[np.ndarray, ...]) -> bool:
    return len(first) == len(second) and all(
        np.array_equal(a, b) for a, b in zip(first, second, strict=True)
    )
