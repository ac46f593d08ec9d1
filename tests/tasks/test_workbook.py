"""The workbook: types, digits, dates, links, what is grey, and a legend that explains all of it."""

import io
from datetime import datetime
from typing import Any

import openpyxl
import pandas as pd
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from tasks.kinetics.schema import KINETICS, PARAMETERS
from tasks.kinetics.wide_table import wide_frame
from tasks.publish import workbook
from tasks.publish.legend import LegendWords
from tasks.publish.sheet import number_format
from tasks.publish.workbook import study_workbook_bytes, workbook_bytes
from tasks.vocabulary.amounts import concentration_text
from tasks.vocabulary.flags import meanings
from tasks.vocabulary.severity import severity_of
from tests.tasks.published_rows import NOT_DETECTED, at, kinetics, parameters

ROWS = kinetics(at(-7, **NOT_DETECTED), at(28, per_ul=1 / 3, per_ul_low=0.2, flags="few_beads"))
CMAX = parameters(
    ("SLE-001", "blood", "car19_t", "Cmax", 60.125, "1/uL", None, None, "none", 9, "Cmax@1"),
    ("SLE-001", "blood", "car19_t", "Tmax", 9.9375, "d", None, None, "none", 9, "Tmax@1"),
    ("SLE-001", "blood", "car19_t", "half_life", 4.6333, "d", None, None, "none", 9, "nca@1"),
)
LABELS = {"car19_t": "Anti-CD19 CAR-T cells (CD3+ CAR19+)"}
WORDS = LegendWords({"few_beads": "Too few beads."}, LABELS)


def opened(frame: pd.DataFrame = ROWS, words: LegendWords = WORDS) -> openpyxl.Workbook:
    return openpyxl.load_workbook(io.BytesIO(workbook_bytes(frame, wide_frame(frame), CMAX, words)))


def cell(sheet: Worksheet, row: int, column: str) -> Any:
    """Give the cell of a row (from 1, without the heading) in the column of a name."""
    names = [each.value for each in sheet[1]]
    return sheet.cell(row + 1, names.index(column) + 1)


def legend(book: openpyxl.Workbook) -> dict[tuple[str, str], tuple[str, str]]:
    rows = book["legend"].iter_rows(min_row=2, values_only=True)
    return {(about, term): (unit or "", meaning) for about, term, unit, meaning in rows}


def test_the_workbook_has_three_tables_and_a_legend_under_frozen_headings() -> None:
    book = opened()
    assert book.sheetnames == ["kinetics", "kinetics wide", "parameters", "legend"]
    assert [sheet.freeze_panes for sheet in book] == ["C2", "F2", "E2", "A2"]
    assert [each.value for each in book["kinetics"][1]] == [*KINETICS.names, "utc_offset"]
    assert [each.value for each in book["parameters"][1]] == PARAMETERS.names
    assert cell(book["parameters"], 1, "value").value == pytest.approx(60.125)


def test_the_legend_explains_every_column_code_flag_and_population() -> None:
    told = legend(opened(words=LegendWords(meanings(), LABELS, [("D28", "a against b")])))
    for sheet, schema in (("kinetics", KINETICS), ("parameters", PARAMETERS)):
        for column in schema.columns:
            assert told[f"column of {sheet}", column.name] == (column.unit, column.meaning)
    assert {code for about, code in told if about == "code"} == {"Q", "DNQ", "ND", "NE"}
    assert {about for about, term in told if term == "utc_offset"} == {
        "column of kinetics",
        "column of kinetics wide",
    }
    flags = {term: unit for (about, term), (unit, _) in told.items() if about == "flag"}
    assert flags == {flag: severity_of(flag) for flag in meanings()}
    assert [*flags.values()] == sorted(flags.values(), key=["stop", "look", "know"].index)
    assert {term for about, term in told if about == "severity"} == set(flags.values())
    assert told["population", "car19_t"] == ("", LABELS["car19_t"])
    assert told["column of kinetics wide", "car19_t"] == ("1/uL", f"{LABELS['car19_t']}: in blood")
    assert next(iter(told)) == ("contradicted concentrations", "D28")


def test_percentages_of_marrow_have_columns_and_a_unit_of_their_own() -> None:
    none = dict.fromkeys(("per_ul", "per_ul_low", "per_ul_high", "lod_per_ul", "lloq_per_ul"))
    marrow = at(28, specimen="marrow", method="none", tube_sha256="ee" * 32, **none)
    book = opened(kinetics(at(28), marrow))
    wide = book["kinetics wide"]
    assert [cell(wide, 1, name).value for name in ("specimen", "car19_t")] == ["blood", 5.3]
    assert cell(wide, 2, "specimen").value == "marrow"
    assert cell(wide, 1, "car19_t_marrow_percent").value is None
    assert cell(wide, 2, "car19_t").value is None
    assert cell(wide, 2, "car19_t_marrow_percent").value == 1.1
    assert legend(book)["column of kinetics wide", "car19_t_marrow_percent"] == (
        "%",
        f"{LABELS['car19_t']}: percent of t cells, in marrow",
    )
    told = {term for about, term in legend(book) if about == "column of kinetics wide"}
    assert told == {each.value for each in wide[1]}


def test_printed_results_are_numbers_and_limits_are_text() -> None:
    rows = list(opened()["kinetics wide"].values)
    assert [row[rows[0].index("car19_t")] for row in rows[1:]] == ["<0.5", 0.33]


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (4628.432468, "1/uL", "0"),
        (96.654, "%", "0.0"),
        (1.24, "1/uL", "0.0"),
        (0.0456, "1/uL", "0.000"),
        (99.96, "%", "0"),
        (0.0, "share", "0"),
        (0.0456, "share", "0.0000"),
        (4.6333, "d", "0.00"),
    ],
)
def test_a_number_is_shown_as_it_is_printed(value: float, unit: str, shown: str) -> None:
    assert number_format(value, unit) == shown


def test_a_cell_holds_all_digits_and_shows_those_of_the_pages() -> None:
    sheet = opened()["kinetics"]
    per_ul = cell(sheet, 2, "per_ul")
    assert (per_ul.value, per_ul.number_format) == (pytest.approx(1 / 3), "0.00")
    assert len(concentration_text(per_ul.value)) == len(per_ul.number_format)
    assert cell(sheet, 1, "nominal_day").number_format == "0"
    assert cell(sheet, 2, "events").value == 212
    shown = opened()["parameters"]
    assert [cell(shown, row, "value").number_format for row in (1, 2, 3)] == ["0.0", "0.0", "0.00"]
    day = opened(kinetics(at(28) | {"day": -7.1139}))["kinetics"]
    assert cell(day, 1, "day").number_format == "0.0"


def test_times_are_local_date_times_with_their_offset_beside() -> None:
    times = ("2026-03-29T09:30:00", "2026-07-01T08:15:30+02:00", "2026-07-02T08:15:00-03:30")
    frame = kinetics(*(at(day, collected=time) for day, time in zip((1, 2, 3), times, strict=True)))
    book = opened(frame)
    sheet = book["kinetics"]
    wanted = [
        (datetime(2026, 3, 29, 9, 30), None),  # noqa: DTZ001
        (datetime(2026, 7, 1, 8, 15, 30), "+02:00"),  # noqa: DTZ001
        (datetime(2026, 7, 2, 8, 15), "-03:30"),  # noqa: DTZ001
    ]
    rows = range(1, 4)
    found = [(cell(sheet, n, "collected").value, cell(sheet, n, "utc_offset").value) for n in rows]
    assert found == wanted
    assert {cell(sheet, n, "collected").number_format for n in rows} == {"yyyy-mm-dd hh:mm"}
    assert all(cell(book["kinetics wide"], n, "collected").is_date for n in rows)


def test_what_is_no_time_of_a_spreadsheet_stays_text() -> None:
    sheet = opened(kinetics(at(1, collected="1899-12-01T00:00:00"), at(2, collected="soon")))
    assert cell(sheet["kinetics"], 1, "collected").value == "1899-12-01T00:00:00"
    assert cell(sheet["kinetics"], 2, "collected").value == "soon"


def address(linked: Any) -> str:
    link = linked.hyperlink
    return f"{link.target}#{link.location}" if link.location else str(link.target)


def test_each_row_leads_to_its_gate_and_its_report() -> None:
    sheet = opened()["kinetics"]
    sha = ROWS["tube_sha256"].tolist()
    for row in (1, 2):
        gate = f"../../tubes/{sha[row - 1][:12]}/gating.html#gate=car19_t"
        assert address(cell(sheet, row, "population")) == gate
        assert address(cell(sheet, row, "patient")) == "../../patients/SLE-001/report.html"
        assert cell(sheet, row, "population").value == "car19_t"


def test_rows_that_are_not_used_are_grey_and_can_be_filtered() -> None:
    frame = kinetics(at(28, used="Y"), at(28, used="N", tube_sha256="ee" * 32))
    sheet = opened(frame)["kinetics"]
    last = openpyxl.utils.get_column_letter(len(KINETICS.names) + 1)
    assert sheet.auto_filter.ref == f"A1:{last}3"
    ((where, (rule,)),) = [(each.sqref, each.rules) for each in sheet.conditional_formatting]
    letter = cell(sheet, 1, "used").column_letter
    assert (str(where), rule.formula) == (f"A2:{last}3", [f'${letter}2="N"'])
    assert rule.dxf.font.color.rgb == "FF6B7280"
    assert [cell(sheet, row, "used").value for row in (1, 2)] == ["Y", "N"]


def test_no_text_becomes_a_formula_or_an_error() -> None:
    hostile = kinetics(
        at(
            28,
            visit="=HYPERLINK(A1)",
            flags="+A1",
            panel="@x",
            strategy="-x",
            parent="a\x07b",
            file="=cmd|' /C calc'!A0.fcs",
            batch="#REF!",
            instrument="\u202egpj.exe",
            population='=x" y',
        )
    )
    sheet = opened(hostile)["kinetics"]
    texts = {each.value: each for each in sheet[2]}
    for text in ("=HYPERLINK(A1)", "+A1", "@x", "-x", "=cmd|' /C calc'!A0.fcs", '=x" y'):
        assert texts[text].data_type == "s"
        assert texts[text].quotePrefix
    assert texts["#REF!"].data_type == "s"
    assert {"a\ufffdb", "\u202egpj.exe"} <= set(texts)
    assert address(texts['=x" y']).endswith("#gate=%3Dx%22%20y")


def test_the_workbook_of_a_study_leads_from_each_patient_to_the_report_where_it_can() -> None:
    tables = [("kinetics", ROWS, KINETICS), ("parameters", CMAX, PARAMETERS)]
    inside = openpyxl.load_workbook(
        io.BytesIO(study_workbook_bytes(tables, WORDS, results="../../"))
    )
    for name in ("kinetics", "parameters"):
        linked = cell(inside[name], 1, "patient")
        assert address(linked) == "../../patients/SLE-001/report.html"
    assert "#gate=car19_t" in address(cell(inside["kinetics"], 1, "population"))
    elsewhere = openpyxl.load_workbook(io.BytesIO(study_workbook_bytes(tables, WORDS)))
    assert cell(elsewhere["kinetics"], 1, "patient").hyperlink is None


def test_a_sheet_never_has_more_links_than_a_spreadsheet_can_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workbook, "MOST_LINKS", 3)
    many = [("kinetics", ROWS, KINETICS)]
    sheet = openpyxl.load_workbook(io.BytesIO(study_workbook_bytes(many, WORDS, results="../")))
    links = [each.hyperlink is not None for row in sheet["kinetics"].iter_rows() for each in row]
    assert sum(links) == 1
