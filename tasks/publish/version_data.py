"""Write what a tube's page lays over it of another version (kind ``version``, docs/pages.md)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tasks.publish.page_data import data_script

FORMAT = 1
"""What readers of the data go by; raised when they would have to be changed."""
Compared = Mapping[str, Sequence[float | None]]
"""By gate: events of the version in use, of the other one, and their F1; None where it is missing.
"""


def version_data(
    over: Mapping[str, str], drawn: dict[str, Any], alone: Collection[str], compared: Compared
) -> bytes:
    """Write the data file of a tube that another version gated.

    ``over`` says what counted the tube that it is laid over, ``drawn`` is the tube's document under
    the other version (``tube_document``). Only the gates in ``alone`` keep what they are drawn on:
    no plot of the version in use has their axes, or their parent.
    """
    head = drawn["head"]
    document = {
        "format": FORMAT,
        "over": dict(over),
        "compared": {gate: list(each) for gate, each in compared.items()},
        "tube": _only_drawn(drawn, alone),
    }
    return data_script("version", f"{head['tube_sha256'][:12]}/{head['strategy']}", document)


def _only_drawn(drawn: dict[str, Any], alone: Collection[str]) -> dict[str, Any]:
    """Leave out densities and sample that no plot needs; such gates have no ``density``."""
    used = sorted({gate["density"] for gate in drawn["gates"] if gate["name"] in alone})
    gates = [
        gate | {"density": used.index(gate["density"]) if gate["name"] in alone else None}
        for gate in drawn["gates"]
    ]
    densities = [drawn["densities"][each] for each in used]
    sample = drawn["sample"] if used else None
    return drawn | {"gates": gates, "densities": densities, "sample": sample}
