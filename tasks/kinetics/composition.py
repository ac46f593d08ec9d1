"""Say of which subsets the B cells of a visit consist: whether those that come back are naive, transitional or memory cells."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pandas as pd

from tasks.counting.intervals import clopper_pearson
from tasks.counting.limits import LimitSettings
from tasks.kinetics.rows import Row
from tasks.kinetics.schema import COMPOSITION
from tasks.kinetics.table import check_shape, kinetic_rows

WHOLE = "b_cells"
QUADRANTS = ("naive_b", "unswitched_memory_b", "switched_memory_b", "double_negative_b")
NAIVE_PARTS = ("naive_igm_igd_b", "transitional_b")
PARTS: Mapping[str, str] = MappingProxyType(
    {
        "naive_igm_igd_b": "naive IgM+ IgD+",
        "transitional_b": "transitional",
        "other_naive_b": "other CD27− IgD+",
        "unswitched_memory_b": "unswitched memory",
        "switched_memory_b": "switched memory",
        "double_negative_b": "double negative",
        "other_b": "other (plasmablasts)",
    }
)
"""The parts of all B cells, each cell in exactly one: ``other_naive_b`` is naive_b without the two before it, ``other_b`` the rest."""


def composition_frame(kinetics: pd.DataFrame, limits: LimitSettings | None = None) -> pd.DataFrame:
    """Divide the B cells of every visit's blood into ``PARTS``, with the columns of ``COMPOSITION``; all parts are of one tube.

    A share (percent, with exact binomial limits) needs as many B cells in that tube as percentages of subsets do (``limits`` of the
    study: 50, indicative below 100). With fewer, or where B cells are not detected (their events are no more than the background's), its
    row has none. A visit without a tube that reports all subsets, or whose B cells are not evaluable, has no rows.
    """
    read, settings = kinetic_rows(kinetics), limits or LimitSettings()
    of_tube: dict[tuple[str, str], dict[str, Row]] = {}
    for row in read.tubes:
        if row["specimen"] == "blood":
            of_tube.setdefault((row["tube_sha256"], row["strategy"]), {})[row["population"]] = row
    records: list[tuple[object, ...]] = []
    for chosen in read.visits:
        if chosen["specimen"] == "blood" and chosen["population"] == QUADRANTS[0]:
            own = of_tube[chosen["tube_sha256"], chosen["strategy"]]
            if {WHOLE, *QUADRANTS, *NAIVE_PARTS} <= set(own) and own[WHOLE]["code"] != "NE":
                records += _parts(own, settings)
    frame = COMPOSITION.frame(records)
    check_shape(frame, COMPOSITION, "composition")
    return frame


def counts_of_parts(own: Mapping[str, Row]) -> dict[str, int]:
    """Give the events of each of ``PARTS`` from a tube's rows by population; nothing where a strategy lets its subsets overlap."""
    events = {population: int(own[population]["events"]) for population in (WHOLE, *QUADRANTS, *NAIVE_PARTS)}
    rest = {
        "other_naive_b": events["naive_b"] - sum(events[part] for part in NAIVE_PARTS),
        "other_b": events[WHOLE] - sum(events[quadrant] for quadrant in QUADRANTS),
    }
    return {part: (events | rest)[part] for part in PARTS} if min(rest.values()) >= 0 else {}


def _parts(own: Mapping[str, Row], limits: LimitSettings) -> Sequence[tuple[object, ...]]:
    row, total = own[WHOLE], int(own[WHOLE]["events"])
    place = tuple(row[name] for name in ("patient", "visit", "day"))
    tube = (row["strategy"], row["tube_sha256"])
    if total < limits.b_subset_indicative_events or row["code"] == "ND":
        return [(*place, part, events, total, None, None, None, "few_cells", *tube) for part, events in counts_of_parts(own).items()]
    basis = "indicative" if total < limits.b_subset_events else "enough"
    found = []
    for part, events in counts_of_parts(own).items():
        low, high = clopper_pearson(events, total)
        found.append((*place, part, events, total, 100 * events / total, 100 * low, 100 * high, basis, *tube))
    return found
