"""What the page of a cohort draws, and what it must never draw."""

import re
from base64 import b64encode
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from tasks.kinetics.cohort import recovery_frame
from tasks.kinetics.composition import composition_frame
from tasks.kinetics.parameters import parameters_frame
from tasks.kinetics.summary import summary_frame
from tasks.kinetics.turnbull import DEFINITIONS, RecoveryCurve, Step, definition_id, recovery_curves
from tasks.publish.cohort_curves import draw_cohort_curves
from tasks.publish.cohort_figures import cohort_figures, figure_in_page
from tasks.publish.cohort_page import CohortRecord, render_cohort_page, summary_cell
from tasks.publish.cohort_sentences import cohort_sentences
from tasks.publish.completeness_plot import (
    COUNTED,
    MISSING,
    NOT_REACHED,
    NOTHING_EVALUABLE,
    STATES,
    draw_completeness,
    visit_states,
)
from tasks.publish.exposure_plot import draw_exposure
from tasks.publish.figure_style import HATCH
from tasks.publish.kept_drawings import KeptDrawings
from tasks.publish.recovery_plot import draw_recovery
from tasks.publish.strata import stratum_colours
from tasks.publish.svg_figure import PAGE_COLOURS
from tasks.publish.swimmer_plot import BAR_MIDDLE, draw_swimmers
from tasks.publish.visit_medians import visit_medians, with_amounts
from tasks.results.cohort_pictures import FIGURES, CohortFrames, cohort_pictures
from tests.tasks.published_rows import (
    DETECTED,
    NOT_DETECTED,
    NOT_EVALUABLE,
    at,
    kinetics,
    parameters,
)

B = {"population": "b_cells", "panel": "bcell", "parent": "lymphocytes", "reference": "lymphocytes"}


def of(patient: str, day: int, level: float | None = None, **change: Any) -> dict[str, Any]:
    """Give one patient's visit; a number is a quantified one."""
    measured = (
        {}
        if level is None
        else {"per_ul": level, "per_ul_low": 0.9 * level, "per_ul_high": 1.1 * level}
    )
    tube = f"{sum(map(ord, patient)) * 1000 + day + 100:064x}"
    return at(day, patient=patient, **measured) | {"tube_sha256": tube} | change


COHORT = kinetics(
    *(of("P1", day, level, **B) for day, level in ((-7, 80.0), (84, 30.0), (112, 90.0))),
    of("P1", 14, **NOT_DETECTED, **B),
    *(of("P2", day, level, **B) for day, level in ((-7, 60.0), (84, 50.0))),
    of("P2", 14, **NOT_DETECTED, **B),
    of("P2", 112, **NOT_EVALUABLE, **B),
    *(of("P1", day, level) for day, level in ((7, 20.0), (21, 9.0), (28, 6.0))),
    of("P1", 14, **NOT_EVALUABLE),
    *(of("P2", day, **NOT_DETECTED) for day in (7, 14, 28)),
).sort_values(["patient", "day"], kind="stable", ignore_index=True)


def curves(stratum: str) -> list[RecoveryCurve]:
    """Give a stratum nobody of which was seen depleted."""
    return [RecoveryCurve(stratum, f"{name}@1", 0, 0, (), (), None, None) for name in DEFINITIONS]


def drawn(axes: Axes, sign: str) -> list[list[tuple[float, float]]]:
    return [
        list(zip(*line.get_data(), strict=True)) for line in axes.lines if line.get_gid() == sign
    ]  # type: ignore[arg-type]


def of_kind(figure: Figure, kind: str) -> list[Any]:
    """Give the collections that are drawn of one kind."""
    return [each for each in figure.axes[0].collections if each.get_gid() == kind]


def stretches(figure: Figure, kind: str) -> list[tuple[float, float]]:
    """Give from which to which day bars or lines of one kind go, patient by patient."""
    paths = [path for each in of_kind(figure, kind) for path in each.get_paths()]
    return [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in paths]


def texts(figure: Figure, sign: str) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_gid() == sign]


PICTURE = b"the figure's PNG"


def everything(
    frame: pd.DataFrame, study: str = "test", **strata: str
) -> tuple[CohortRecord, dict[str, Figure], str]:
    derived, recovery = parameters_frame(frame), recovery_frame(frame)
    record = CohortRecord(
        study,
        tuple(recovery_curves(recovery, strata)),
        "arm" if strata else None,
        strata,
        {"b_cells": "B cells (CD19+)"},
    )
    linked = cohort_figures(record, frame, derived, recovery, composition_frame(frame))
    summary = summary_frame(derived, strata)
    sentences = cohort_sentences(record, frame, summary)
    drawn = {name: figure_in_page(name, each, PICTURE) for name, each in linked.items()}
    page = render_cohort_page(record, frame, summary, drawn, sentences)
    return record, {name: each.figure for name, each in linked.items()}, page


def test_a_patient_s_line_does_not_run_through_a_visit_that_is_not_evaluable() -> None:
    axes = draw_cohort_curves(COHORT).axes[1]
    assert [[day for day, _ in line] for line in drawn(axes, "patient")] == [[7.0], [21.0, 28.0]]


def test_what_is_below_the_limit_stands_hollow_at_the_limit() -> None:
    axes = draw_cohort_curves(COHORT).axes[1]
    (below,) = [line for line in axes.lines if line.get_gid() == "BLQ"]
    assert list(zip(*below.get_data(), strict=True)) == [(7.0, 1.25), (14.0, 1.25), (28.0, 1.25)]  # type: ignore[arg-type]
    assert below.get_markerfacecolor() == "white"


@pytest.mark.parametrize(
    ("codes", "median"),
    [
        ([4.0, 8.0, 16.0], 8.0),
        ([4.0, 8.0, None], 4.0),
        ([4.0, None], (4.0 + 1.25) / 2),
        ([4.0, None, None], None),
        ([None, None], None),
        ([4.0], None),
    ],
)
def test_a_median_needs_two_patients_and_half_of_them_quantified(
    codes: list[float | None], median: float | None
) -> None:
    rows = kinetics(
        *(of(f"P{i}", 28, level, **({} if level else DETECTED)) for i, level in enumerate(codes))
    )
    (visit,) = visit_medians(with_amounts(rows, "car19_t")).to_dict("records")
    assert visit["patients"] == len(codes)
    assert (None if pd.isna(visit["median"]) else visit["median"]) == median


def test_the_number_of_patients_under_the_axis_leaves_out_who_is_not_evaluable() -> None:
    figure = draw_cohort_curves(COHORT)
    assert [text.get_text() for text in figure.axes[0].texts if text.get_gid() == "count"] == [
        "2",
        "2",
        "2",
        "1",
    ]
    assert [text.get_text() for text in figure.axes[1].texts if text.get_gid() == "count"] == [
        "2",
        "1",
        "1",
        "2",
    ]


def test_a_population_without_an_evaluable_visit_says_so() -> None:
    assert texts(draw_cohort_curves(COHORT), "empty") == ["no evaluable visit"]


def test_the_share_recovered_is_a_line_where_known_and_a_box_where_not() -> None:
    steps = (Step(56, 84, 0.5, 0.5), Step(168, None, 0.5, None))
    known = RecoveryCurve("all patients", "B_10@1", 2, 1, steps, (56, 168), 56, 84)
    figure = draw_recovery([known, *curves("all patients")[1:]])
    axes = figure.axes[0]
    (box,) = axes.patches
    assert box.get_bbox().bounds == (56, 0, 28, 0.5)  # type: ignore[attr-defined]
    assert drawn(axes, "known") == [[(0.0, 0.0), (56.0, 0.0)], [(84.0, 0.5), (168.0, 0.5)]]
    assert [line[0] for line in drawn(axes, "unknown")] == [(168.0, 0.5)]
    assert texts(figure, "description") == [
        "1 of 2 recovered; median of few patients after day 56, by day 84",
        *["no patient seen depleted"] * 3,
    ]
    watched = [text for text in axes.texts if text.get_gid() == "watched"]
    counts = {text.xy[0]: text.get_text() for text in watched}  # type: ignore[attr-defined]
    assert (counts[0], counts[28], counts[84], counts[168]) == ("2", "2", "1", "1")


def test_each_stratum_is_described_by_its_own_numbers() -> None:
    figure = draw_recovery([each for name in ("all patients", "A", "B") for each in curves(name)])
    assert (
        texts(figure, "description")
        == ["A: no patient seen depleted", "B: no patient seen depleted"] * 4
    )


def test_visits_are_counted_not_evaluable_missing_or_not_reached() -> None:
    frame = kinetics(
        of("P1", 7),
        of("P1", 28),
        of("P2", 7, **NOT_EVALUABLE),
        of("P2", 14),
        of("P2", 28),
        of("P3", 7),
    )
    visits, states = visit_states(frame)
    assert visits == ["D7", "D14", "D28"]
    assert states == {
        "P1": [COUNTED, MISSING, COUNTED],
        "P2": [NOTHING_EVALUABLE, COUNTED, COUNTED],
        "P3": [COUNTED, NOT_REACHED, NOT_REACHED],
    }
    cells = {
        (path.vertices[0, 0], path.vertices[0, 1]): cell.get_gid()
        for cell in draw_completeness(frame).axes[0].collections
        if cell.get_gid() in STATES
        for path in cell.get_paths()
    }
    assert cells == {
        (column, row): state
        for row, patient in enumerate(states)
        for column, state in enumerate(states[patient])
    }


def test_the_summary_gives_the_median_recovery_of_the_recovery_table() -> None:
    record, _, _ = everything(COHORT)
    rows = summary_frame(parameters_frame(COHORT))
    b_cells = rows[rows["population"] == "b_cells"].set_index("parameter")
    ends = b_cells[["median_low", "median_high"]].astype(object)
    known = [curve for curve in record.curves if curve.patients > 1]
    assert known
    for curve in known:
        low, high = ends.loc[f"recovery_{definition_id(curve.definition)}"]
        assert (low, None if pd.isna(high) else high) == (curve.median_low, curve.median_high)


def test_no_figure_of_the_page_stays_white_on_a_dark_page() -> None:
    page = everything(COHORT)[2]
    drawings = re.findall(r"<svg .*?</svg>", page, re.DOTALL)
    assert len(drawings) == 6
    assert all("var(--paper" in drawing for drawing in drawings)
    assert not [style for drawing in drawings for style in re.findall(r"fill: #f{6}", drawing)]
    words = [text for drawing in drawings for text in re.findall(r"<text [^>]*>", drawing)]
    assert not [text for text in words if "fill: " not in text], "black, whatever the page"
    visits = next(drawing for drawing in drawings if "Patients and visits" in drawing)
    assert "var(--good-shade" in visits


def test_leukocytes_alone_do_not_make_a_visit_counted() -> None:
    frame = kinetics(of("P1", 7, **NOT_EVALUABLE), of("P1", 7, 5000.0, population="leukocytes"))
    assert visit_states(frame)[1] == {"P1": [NOTHING_EVALUABLE]}


def test_who_has_no_exposure_is_named_and_has_no_bar() -> None:
    rows = [
        ("P1", "blood", "car19_t", "AUC0-28", 100.0, "d/uL", None, None, "none", 5, "x@1"),
        ("P2", "blood", "car19_t", "AUC0-28", None, "d/uL", None, None, "none", 1, "x@1"),
        ("P3", "blood", "car19_t", "AUC0-28", 300.0, "d/uL", 300.0, None, "right", 4, "x@1"),
    ]
    figure = draw_exposure(parameters(*rows), ["P1", "P2", "P3", "P4"])
    bars = [(patch.get_gid(), patch.get_height()) for patch in figure.axes[0].patches]  # type: ignore[attr-defined]
    assert bars == [("bound", 300.0), ("exposure", 100.0)]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["P3", "P1"]
    assert texts(figure, "not estimable") == [
        "not estimable, no bar: P2, P4",
        "not estimable, no bar: P1, P2, P3, P4",
    ]
    assert texts(figure, "empty") == ["no exposure can be given"]


def test_a_swimmer_shows_certain_and_uncertain_stretches_apart() -> None:
    frame = COHORT[COHORT["patient"] == "P1"]
    figure = draw_swimmers(frame, parameters_frame(frame), recovery_frame(frame))
    bars = {kind: stretches(figure, kind) for kind in ("onset", "depleted", "recovery")}
    assert bars == {"onset": [(-7.0, 14.0)], "depleted": [(14.0, 14.0)], "recovery": [(14.0, 84.0)]}
    (last,) = of_kind(figure, "last")
    assert last.get_offsets().tolist() == [[112.0, BAR_MIDDLE]]
    assert [of_kind(figure, kind)[0].get_hatch() for kind in bars] == [HATCH, None, HATCH]


def test_a_patient_whose_depletion_nobody_saw_has_no_bar() -> None:
    frame = kinetics(
        of("P1", -7, 80.0, **B), of("P1", 14, 60.0, **B), of("P2", 14, **NOT_EVALUABLE, **B)
    )
    figure = draw_swimmers(frame, parameters_frame(frame), recovery_frame(frame))
    assert not any(stretches(figure, kind) for kind in ("onset", "depleted", "recovery"))
    assert texts(figure, "not depleted") == ["not seen depleted", "B cells not evaluable"]


def test_the_page_is_complete_in_itself_and_escapes_what_came_from_a_sheet() -> None:
    _, figures, page = everything(COHORT, "<script>alert(1)</script>")
    assert page.count("<svg ") == len(figures) == 6
    assert "<script" not in page.replace('<script src="../app.js" defer></script>', "")
    assert "http" not in page
    assert "median of few patients after day 14, by day 84" in page
    assert "between day -7 and 14 (few patients)" in page
    assert "fewer than 10" in page


def test_points_lead_to_their_gates_and_names_to_the_patients_reports() -> None:
    _, _, page = everything(COHORT)
    points = re.findall(r'<a class="point" href="([^"]+)"><title>([^<]*)</title>', page)
    gates = {address for address, _ in points if "#gate=" in address}
    assert gates
    assert {re.split(r"[/#]", address)[2] for address in gates} <= {
        sha[:12] for sha in COHORT["tube_sha256"]
    }
    reports = {(address, text) for address, text in points if "report.html" in address}
    assert ("../patients/P1/report.html", "Report of P1") in reports
    assert any(text.startswith("P2: B cells, D") for _, text in points)


def test_a_large_figure_becomes_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.publish.cohort_figures.MOST_SVG_LETTERS", 30_000)
    _, figures, page = everything(COHORT)
    pictures = page.count(f'<img src="data:image/png;base64,{b64encode(PICTURE).decode()}"')
    assert 0 < pictures < len(figures)
    assert page.count("<svg ") == len(figures) - pictures


def test_more_patients_than_a_figure_has_lines_for_are_counted_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tasks.publish.cohort_figures.MOST_LINES", 1)
    _, figures, page = everything(COHORT)
    patients = COHORT["patient"].nunique()
    assert patients > 1
    for name in ("swimmer", "completeness", "exposure"):
        (said,) = [each for each in figures[name].findobj(Text) if "patients" in each.get_text()]
        assert said.get_text().startswith(f"{patients} patients are too many for a line or bar")
    assert "Report of" not in page


def test_the_page_begins_with_what_the_patients_show_together() -> None:
    _, _, page = everything(COHORT)
    course = page[page.index('<div class="course">') : page.index('<ul class="facts">')]
    assert "whose B cells were seen below 10 per µL" in course
    assert "At the last visit of 2 patients, detected were: B cells in" in course


def test_patients_and_limits_are_seen_on_white_and_on_dark_paper() -> None:
    import seaborn as sns

    axes = draw_cohort_curves(COHORT).axes[0]
    drawn = [line for line in axes.lines if line.get_gid() in {"patient", "Q", "BLQ", "median"}]
    assert {line.get_gid() for line in drawn} == {"patient", "Q", "BLQ", "median"}
    assert all(line.get_alpha() in {None, 1} for line in drawn), "a mark shines through"
    style = (Path(__file__).parents[2] / "tasks/publish/styles/report.css").read_text(
        encoding="utf-8"
    )
    dark = dict(re.findall(r"(--[a-z]+): (#[0-9a-f]{6})", style.partition("} }")[0]))
    assert len(dark) == 5
    for colour in sns.color_palette("colorblind").as_hex():
        on_dark = dark.get(PAGE_COLOURS.get(colour, ""), colour)
        assert _contrast(on_dark, "#14181d") >= 5.5, f"{on_dark} for {colour}"


def _contrast(one: str, other: str) -> float:
    """Give the contrast of two colours as WCAG 2 has it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_groups_keep_their_colour_and_their_numbers_in_every_figure() -> None:
    _, figures, page = everything(COHORT, P1="A", P2="B")
    first, second = stratum_colours(["B", "A"]).values()
    axes = figures["curves"].axes[0]
    assert [line.get_color() for line in axes.lines if line.get_gid() == "patient"] == [
        first,
        first,
        second,
        second,
    ]
    counts = {
        (text.get_text(), text.get_color()) for text in axes.texts if text.get_gid() == "count"
    }
    assert counts == {("1", first), ("1", second)}
    assert [label.get_text() for label in figures["swimmer"].axes[0].get_yticklabels()] == [
        "A",
        "P1",
        "B",
        "P2",
    ]
    assert [label.get_text() for label in figures["completeness"].axes[0].get_yticklabels()] == [
        "A",
        "P1",
        "B",
        "P2",
    ]
    bars = {patch.get_edgecolor()[:3] for patch in figures["exposure"].axes[0].patches}  # type: ignore[attr-defined]
    assert bars <= {first, second}
    signs = [
        text.get_text() for legend in figures["exposure"].legends for text in legend.get_texts()
    ]
    assert signs == ["A (1 patient)", "B (1 patient)"]
    assert "compared by <b>arm</b>" in page


def test_a_median_of_one_patient_is_not_printed_in_the_table_of_groups() -> None:
    _, _, page = everything(COHORT, P1="A", P2="B")
    line = page[page.index("<td>Depletion begins</td>") :].split("</tr>", maxsplit=1)[0]
    assert line.count("between day -7 and 14") == 1
    assert line.count("fewer than two patients") == 2


@pytest.mark.parametrize(
    ("parameter", "unit", "numbers", "words"),
    [
        ("Cmax", "1/uL", (203.4, 203.4, 203.4, 68.0, 698.0), "203 cells/µL (68.0 to 698)"),
        ("Tmax", "d", (10.0, 8.9, 14.0, 8.9, 13.96), "day 10 (8.9 to 14)"),
        (
            "AUC0-28",
            "d/uL",
            (None, 2074.0, 3185.0, None, None),
            "between 2074 and 3185 cells × days/µL",
        ),
        ("AUC0-28", "d/uL", (None, 642.0, None, None, None), "at least 642 cells × days/µL"),
        ("Tlast", "d", (None, 40.0, None, None, None), "after day 40"),
        ("depletion_onset", "d", (None, None, 4.0, None, None), "by day 4 (few patients)"),
        ("nadir", "1/uL", (None, 0.0, 0.1, None, None), "at most 0.1 cells/µL"),
        ("nadir", "1/uL", (None, 0.0, None, None, None), "cannot be given"),
    ],
)
def test_a_median_in_words_never_pretends_to_know_more(
    parameter: str, unit: str, numbers: tuple[float | None, ...], words: str
) -> None:
    named = dict(
        zip(("median", "median_low", "median_high", "minimum", "maximum"), numbers, strict=True)
    )
    row = {"parameter": parameter, "unit": unit, "patients": 5, "estimated": 4, **named}
    assert summary_cell(row) == (words, "4 of 5")


def test_the_same_rows_give_the_same_bytes() -> None:
    assert everything(COHORT)[2] == everything(COHORT)[2]


def test_a_study_without_patients_has_a_page() -> None:
    record, figures, page = everything(COHORT[:0])
    assert [curve.patients for curve in record.curves] == [0, 0, 0, 0]
    assert "no patient seen depleted" in page
    assert texts(figures["swimmer"], "empty") == ["no patient yet"]


def test_figures_of_the_same_numbers_are_kept_and_read_as_if_drawn_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pictures(folder: Path, frame: pd.DataFrame) -> dict[str, str]:
        folder.mkdir(exist_ok=True)
        derived, recovery = parameters_frame(frame), recovery_frame(frame)
        curves = tuple(recovery_curves(recovery, {}))
        record = CohortRecord("test", curves, labels={"b_cells": "B cells (CD19+)"})
        frames = CohortFrames(frame, derived, recovery, composition_frame(frame))
        drawn.clear()
        figures = cohort_pictures(folder, record, frames, KeptDrawings(0))
        return {name: str(each) for name, each in figures.items()}

    drawn: set[str] = set()
    monkeypatch.setattr(
        "tasks.publish.cohort_figures.cohort_figures",
        lambda *given, names: drawn.update(names) or cohort_figures(*given, names=names),
    )
    frame = COHORT.copy()
    first = pictures(tmp_path / "kept", frame)
    assert drawn == set(FIGURES) == set(first)
    assert pictures(tmp_path / "kept", frame) == first
    assert drawn == set()
    frame = frame.assign(review="accepted", file="renamed.fcs", batch="B77", corrected="Y")
    assert pictures(tmp_path / "kept", frame) == first
    assert drawn == set(), "no figure shows it"
    for population in sorted(set(frame["population"])):
        row = frame.index[(frame["population"] == population) & frame["per_ul"].notna()][-1]
        frame.loc[row, ["per_ul", "per_ul_low", "per_ul_high"]] *= 3
        kept = pictures(tmp_path / "kept", frame)
        assert drawn, f"{population} changed"
        assert kept == pictures(tmp_path / f"new {population}", frame)
        assert drawn == set(FIGURES)
        for name in FIGURES:
            files = [tmp_path / of / f"{name}.png" for of in ("kept", f"new {population}")]
            assert files[0].read_bytes() == files[1].read_bytes()
    (tmp_path / "kept" / "swimmer.png").write_bytes(b"edited by hand")
    pictures(tmp_path / "kept", frame)
    assert drawn == {"swimmer"}
    entries = tmp_path / "kept" / ".figures.json"
    entries.write_text(entries.read_text(encoding="utf-8").replace("B cells", "T cells", 1))
    assert pictures(tmp_path / "kept", frame)["curves"] == kept["curves"]
    assert len(drawn) == 1, "a caption that was edited"
    (tmp_path / "kept" / ".figures.json").write_text("{", encoding="utf-8")
    pictures(tmp_path / "kept", frame)
    assert drawn == set(FIGURES)
    frame.loc[0, "review"] = "excluded"
    pictures(tmp_path / "kept", frame)
    assert drawn >= {"completeness", "curves"}, "an exclusion is seen"
