"""What was drawn is kept for the same numbers, and for nothing else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from markupsafe import Markup

from tasks.counting.limits import LimitSettings
from tasks.publish.kept_drawings import KeptDrawings
from tasks.publish.patient_figures import patient_drawings
from tasks.publish.patient_record import PatientRecord
from tests.tasks.published_rows import DETECTED, NOT_DETECTED, NOT_EVALUABLE, at, kinetics
from tests.tasks.test_composition import tube

INFUSED = datetime(2026, 3, 1, 9, tzinfo=UTC)
RECORD = PatientRecord("SLE-001", {"CAR19": INFUSED}, {"car19_t": "CAR-T cells"})
BLOOD = kinetics(
    at(-7, **NOT_DETECTED),
    at(7, flags="few_beads"),
    at(21, **NOT_EVALUABLE),
    at(56, **DETECTED),
)
IN_MARROW = {"specimen": "marrow", "population": "plasma_cells", "reference": "leukocytes"}
MARROW = kinetics(
    at(-7, **IN_MARROW, percent_reference=2.0),
    at(28, **IN_MARROW | NOT_DETECTED, parent="leukocytes"),
)
CHANGED = {
    "per_ul": 77.0,
    "per_ul_low": 0.01,
    "per_ul_high": 99.0,
    "lod_per_ul": 0.7,
    "lloq_per_ul": 3.0,
    "code": "DNQ",
    "day": 9.0,
    "visit": "D9",
    "flags": "reagent_changed",
    "tube_sha256": "9" * 64,
    "events": 213,
    "panel": "tbnk",
    "population": "car_any_t",
    "method": "dual",
}


def nothing_kept() -> KeptDrawings[Markup]:
    return KeptDrawings(100)


def both(
    record: PatientRecord, rows: pd.DataFrame, kept: KeptDrawings[Markup]
) -> dict[str, Markup]:
    """Draw with what is kept, which has to be what is drawn with nothing kept."""
    drawn = patient_drawings(record, rows, kept)
    assert drawn == patient_drawings(record, rows, nothing_kept())
    return drawn


def test_a_drawing_is_made_once_and_the_oldest_is_forgotten_first() -> None:
    made: list[str] = []

    def ask(kept: KeptDrawings[Markup], name: str) -> Markup:
        def draw() -> Markup:
            made.append(name)
            return Markup("<i>{}</i>").format(name)

        return kept.drawing(("plot", name), draw)

    kept: KeptDrawings[Markup] = KeptDrawings(2)
    assert [str(ask(kept, name)) for name in "aba"] == ["<i>a</i>", "<i>b</i>", "<i>a</i>"]
    assert made == ["a", "b"]
    ask(kept, "c")
    ask(kept, "a")
    assert made == ["a", "b", "c"]
    ask(kept, "b")
    assert made == ["a", "b", "c", "b"]


def test_a_drawing_that_failed_is_not_kept() -> None:
    kept = nothing_kept()

    def fails() -> Markup:
        raise ValueError("no ink")

    with pytest.raises(ValueError, match="no ink"):
        kept.drawing("plot", fails)
    assert kept.drawing("plot", lambda: Markup("<i>now</i>")) == Markup("<i>now</i>")


def test_whatever_a_row_says_otherwise_is_drawn_otherwise() -> None:
    kept = nothing_kept()
    before = both(RECORD, BLOOD, kept)
    for column, value in CHANGED.items():
        rows = BLOOD.copy()
        rows.loc[0 if column == "lod_per_ul" else 1, column] = value
        assert both(RECORD, rows, kept) != before, column
    assert both(RECORD, BLOOD.drop(index=0), kept) != before
    assert both(RECORD, BLOOD.assign(review="accepted", batch="B77"), kept) == before
    assert both(RECORD, BLOOD, kept) == before


def test_whatever_a_record_says_otherwise_is_drawn_otherwise() -> None:
    kept = nothing_kept()
    rows = pd.concat([BLOOD, MARROW], ignore_index=True)
    before = both(RECORD, rows, kept)
    for change in (
        {"labels": {"car19_t": "other cells"}},
        {"infusions": {"CAR19": INFUSED, "CARBCMA": INFUSED.replace(day=9)}},
        {"gates": {("cart@1.0.0", "car19_t"): "bright"}},
        {"limits": LimitSettings(detect_events=40)},
    ):
        assert both(replace(RECORD, **change), rows, kept) != before, change  # type: ignore[arg-type]


def test_what_the_b_cells_consist_of_follows_its_numbers() -> None:
    kept = nothing_kept()
    title = "What the B cells consist of"
    before = both(RECORD, kinetics(*tube(84, 200)), kept)[title]
    assert both(RECORD, kinetics(*tube(84, 200, sha="9" * 64)), kept)[title] != before


def test_a_plot_whose_numbers_stayed_is_the_one_that_was_drawn() -> None:
    """A correction of one population leaves the plots of the others, on the same scale."""
    drawn: list[str] = []

    class Watched(KeptDrawings[Markup]):
        def drawing(self, made_of: Any, draw: Callable[[], Markup]) -> Markup:
            def noted() -> Markup:
                drawn.append(made_of[1][0])
                return draw()

            return super().drawing(made_of, noted)

    kept = Watched(50)
    for level in (2.0, 2.1):
        second = BLOOD.assign(population="car_any_t", per_ul=level, per_ul_high=2.5)
        patient_drawings(RECORD, pd.concat([BLOOD, second], ignore_index=True), kept)
    assert drawn == ["car19_t", "car_any_t", "car_any_t"]
