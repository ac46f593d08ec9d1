"""Divide the B cells of a visit into subsets.

They show whether the cells that come back are naive, transitional or memory cells.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pandas as pd

from tasks.counting.intervals import clopper_pearson
from tasks.counting.limits import LimitSettings
from tasks.counting.secreting import are_many, secreting_b_cells
from tasks.kinetics.rows import Row
from tasks.kinetics.schema import COMPOSITION
from tasks.kinetics.table_schema import check_shape
from tasks.kinetics.winning_rows import blood_rows, kinetic_rows
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.populations import (
    B_CELLS,
    NAIVE_B,
    NAIVE_PARTS,
    PLASMA_CELLS,
    PLASMABLASTS,
    QUADRANTS,
)

PARTS: Mapping[str, str] = MappingProxyType(
    {
        "naive_igm_igd_b": "naive IgM+ IgD+",
        "transitional_b": "transitional",
        "other_naive_b": "other CD27− IgD+",
        "unswitched_memory_b": "unswitched memory",
        "switched_memory_b": "switched memory",
        "double_negative_b": "double negative",
        "other_b": "other B cells",
    }
)
"""The parts of all B cells, each cell in exactly one: ``other_naive_b`` is naive_b without the two
before it, ``other_b`` the rest."""

SECRETING_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "plasmablasts_b": "plasmablasts",
        "plasma_cells_b": "plasma cells",
        "secreting_b": "plasmablasts or plasma cells",
    }
)
"""What the rest is known to be where a tube counts plasmablasts and plasma cells
(`tasks.counting.secreting`)."""
ALL_PARTS: Mapping[str, str] = MappingProxyType(
    {
        **{part: label for part, label in PARTS.items() if part != "other_b"},
        **SECRETING_PARTS,
        "other_b": PARTS["other_b"],
    }
)
_READ = (B_CELLS, *QUADRANTS, *NAIVE_PARTS, NAIVE_B, PLASMABLASTS, PLASMA_CELLS)
"""The populations that the parts are counted from."""


def composition_frame(kinetics: pd.DataFrame, limits: LimitSettings | None = None) -> pd.DataFrame:
    """Divide the B cells of every visit's blood into parts, with the columns of ``COMPOSITION``.

    All parts of a visit are of one tube. The parts are ``ALL_PARTS`` where the tube counts
    plasmablasts and plasma cells, else ``PARTS``.

    A share (percent, with exact binomial limits) needs as many B cells in that tube as percentages
    of subsets do (``limits`` of the study: 50, indicative below 100). With fewer, or where B cells
    are not detected (their events are no more than the background's), its row has none. A visit
    without a tube that reports all subsets, or whose B cells are not evaluable, has no rows.
    """
    read, settings = kinetic_rows(blood_rows(kinetics, _READ)), limits or LimitSettings()
    of_tube: dict[tuple[str, str], dict[str, Row]] = {}
    for row in read.tubes:
        if row["specimen"] == "blood":
            of_tube.setdefault((row["tube_sha256"], row["strategy"]), {})[row["population"]] = row
    records: list[tuple[object, ...]] = []
    for chosen in read.visits:
        if chosen["specimen"] == "blood" and chosen["population"] == NAIVE_B:
            rows = of_tube[chosen["tube_sha256"], chosen["strategy"]]
            reports_all = {B_CELLS, *QUADRANTS, *NAIVE_PARTS} <= set(rows)
            if reports_all and rows[B_CELLS]["code"] != "NE":
                records += _parts(rows, settings)
    frame = COMPOSITION.frame(records)
    check_shape(frame, COMPOSITION, "composition")
    return frame


def counts_of_parts(rows: Mapping[str, Row]) -> dict[str, int]:
    """Give the events of each part from a tube's rows by population.

    There is no part where a strategy lets its subsets overlap.
    """
    events = {population: int(row["events"]) for population, row in rows.items()}
    rest = {
        "other_naive_b": events[NAIVE_B] - sum(events[part] for part in NAIVE_PARTS),
        "other_b": events[B_CELLS] - sum(events[quadrant] for quadrant in QUADRANTS),
    }
    if min(rest.values()) < 0:
        return {}
    secreting = secreting_b_cells(events)
    if secreting is None:
        return {part: (events | rest)[part] for part in PARTS}
    counts = (secreting.plasmablasts, secreting.plasma_cells, secreting.either)
    rest |= dict(zip(SECRETING_PARTS, counts, strict=True))
    rest["other_b"] = secreting.neither
    return {part: (events | rest)[part] for part in ALL_PARTS}


def _parts(rows: Mapping[str, Row], limits: LimitSettings) -> Sequence[tuple[object, ...]]:
    """Lay out the parts of one tube's B cells; ``rows`` are the tube's by population."""
    row, total = rows[B_CELLS], int(rows[B_CELLS]["events"])
    place = tuple(row[name] for name in ("patient", "visit", "day"))
    parts = counts_of_parts(rows)
    note = ""
    if are_many(sum(parts.get(part, 0) for part in SECRETING_PARTS), total):
        note = str(Flag.MANY_SECRETING_B_CELLS)
    tube = (row["strategy"], row["tube_sha256"], note)
    if total < limits.b_subset_indicative_events or row["code"] == "ND":
        return [
            (*place, part, events, total, None, None, None, "few_cells", *tube)
            for part, events in parts.items()
        ]
    basis = "indicative" if total < limits.b_subset_events else "enough"
    records: list[tuple[object, ...]] = []
    for part, events in parts.items():
        low, high = clopper_pearson(events, total)
        share = (100 * events / total, 100 * low, 100 * high)
        records.append((*place, part, events, total, *share, basis, *tube))
    return records
