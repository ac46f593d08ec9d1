"""Read which markers a gate keeps high or low: from its bounds, and from its name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from panels.panel import plain
from tasks.vocabulary.population_names import RECOGNISED


def drawn_signs(name: str, documents: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Tell which markers a gate keeps above or below one bound; a combination, all its members."""
    signs: dict[str, str] = {}
    waiting, seen = [name], set()
    while waiting:
        gate = documents.get(waiting.pop(), {})
        if gate.get("gate") in seen:
            continue
        seen.add(gate.get("gate"))
        waiting += gate.get("all_of", ())
        for axis, limits in gate.get("rectangle", {}).items():
            if len(limits) == 1:
                signs[plain(axis)] = "+" if "above" in limits else "-"
    return signs


def named_signs(name: str, markers: Sequence[str]) -> dict[str, str]:
    """Read signs such as ``CD27- IgD+`` or ``IgDposCD27neg`` in a name."""
    known = sorted({*markers, *(sign[:-1] for each in RECOGNISED for sign in each.signs)}, key=len)
    either = "|".join(re.escape(marker) for marker in reversed(known))
    pattern = re.compile(rf"({either})[ _]?(\+|pos|hi|high|bright|[-−]|neg)", re.IGNORECASE)
    return {
        plain(marker): "-" if sign.lower() in {"-", "−", "neg"} else "+"
        for marker, sign in pattern.findall(name)
    }
