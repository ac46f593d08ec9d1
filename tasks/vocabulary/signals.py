"""Name the signals of a tube that are watched over time: ``<gate>/<marker>/<statistic>``.

``t_cells/CD3/median`` is the median CD3 of the cells in the gate ``t_cells``; ``beads/CD3/cv`` the
spread of single counting beads in the detector of CD3. Beads are always called ``beads``, whatever
their gate's name is. docs/monitoring.md explains each statistic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

Statistic = Literal["median", "mode", "spread", "cv", "spill", "margin"]
"""``median``, ``mode`` and ``spread`` (the SD of the half of negative cells below their mode) are
in the strategy's linear units, ``cv`` and ``margin`` are shares, ``spill`` is a part of the
boundary."""
BEADS = "beads"
STEADY_MARKERS = frozenset({"CD3", "CD45"})
"""Cells that an anchor is made of carry these alike in every patient. What activation, steroids or
an antibody given as a drug changes (CD38 of monocytes, CD24 of granulocytes) is not among them."""
STAINED_ALIKE = frozenset({"CD19"})
"""Positive cells carry these alike in every patient as long as the stain and its detector are the
same. What drugs, activation or the mix of subsets changes (CD20, CD27, CD38, IgD) is not among
them."""
_SHORTER = {"t_cells": "T cells", "cd3_positive": "CD3+ cells", "not_beads": "cells", "root": "all"}


@dataclass(frozen=True, slots=True, order=True)
class SignalName:
    """One signal: the gate of the cells (or ``beads``), the marker, and what was measured."""

    gate: str
    marker: str
    statistic: Statistic

    def __str__(self) -> str:
        """Write the name as the store and the calibrations have it."""
        return f"{self.gate}/{self.marker}/{self.statistic}"

    @property
    def of_beads(self) -> bool:
        """Tell whether beads were measured, which are alike whoever's blood is in the tube."""
        return self.gate == BEADS

    @property
    def is_watched(self) -> bool:
        """Tell whether a change of it means the instrument or a reagent, rather than a patient."""
        if self.of_beads or self.statistic in {"spread", "spill"}:
            return True
        return self.statistic == "median" and self.marker in STEADY_MARKERS

    @property
    def in_words(self) -> str:
        """Describe the signal as a line of text begins."""
        cells = _SHORTER.get(self.gate, self.gate.replace("_", " "))
        return {
            "median": f"{self.marker} of {cells}",
            "mode": f"{self.marker} background of {cells}",
            "spread": f"{self.marker} spread of {cells} without it",
            "cv": f"{self.marker} spread of {cells} (CV)",
            "spill": f"spillover left in {self.marker}",
            "margin": f"{self.marker}: {cells} at the end of the range",
        }[self.statistic]


@lru_cache(maxsize=4_096)
def signal_name(text: str) -> SignalName | None:
    """Read a signal's name; None for one that this program does not know."""
    gate, _, rest = text.partition("/")
    marker, _, statistic = rest.rpartition("/")
    if not gate or not marker or statistic not in get_args(Statistic):
        return None
    return SignalName(gate, marker, statistic)  # type: ignore[arg-type]  # it is one of them
