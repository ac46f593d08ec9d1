"""Lay out which patient has which visit, with one mark a tube."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from urllib.parse import quote

from tasks.overview.counted_tube import CountedTube
from tasks.vocabulary.severity import worst

Cell = list[Any]
"""A mark: index of the visit, index of the panel (or the specimen where it is not blood), short
hash of the tube, worst severity of its flags, review."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Visits by their median day, panels by name, and the marks of every patient."""

    visits: Sequence[tuple[str, float]]
    panels: Sequence[str]
    marks: dict[str, list[Cell]] = field(default_factory=dict)

    def patients(self, everyone: Iterable[str]) -> list[dict[str, Any]]:
        """Write every patient's line as ``study.js`` has it, by name."""
        return [
            {
                "patient": patient,
                "report": report_address(patient),
                "cells": self.marks.get(patient, []),
            }
            for patient in sorted({*everyone, *self.marks})
        ]


def report_address(patient: str) -> str:
    """Give the address of a patient's report, from the results folder."""
    return f"patients/{quote(patient, safe='')}/report.html"


def grid_of(tubes: Sequence[CountedTube]) -> Grid:
    """Lay out the tubes of the study."""
    days: dict[str, list[float]] = {}
    for tube in tubes:
        days.setdefault(tube.visit, []).append(tube.day)
    middle = {visit: median(of_visit) for visit, of_visit in days.items()}
    visits = sorted(middle, key=lambda visit: (middle[visit], visit))
    panels = sorted({tube.panel for tube in tubes if tube.specimen == "blood"})
    visit_index = {visit: index for index, visit in enumerate(visits)}
    panel_index = {panel: index for index, panel in enumerate(panels)}
    marks: dict[str, list[Cell]] = {}
    for tube in sorted(tubes, key=lambda each: (visit_index[each.visit], each.panel, each.sha256)):
        place = panel_index[tube.panel] if tube.specimen == "blood" else tube.specimen
        marks.setdefault(tube.patient, []).append(
            [
                visit_index[tube.visit],
                place,
                tube.sha256[:12],
                worst(tube.flags),
                tube.review,
            ]
        )
    return Grid([(visit, middle[visit]) for visit in visits], panels, marks)
