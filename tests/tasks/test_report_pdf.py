"""The PDF of a report: A4 pages, the same bytes for the same edition, nothing left out."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from matplotlib.figure import Figure

from tasks.publish.patient_record import PatientRecord
from tasks.publish.report_pdf import DataEdition, TubePicture, report_pdf
from tests.tasks.published_rows import NOT_DETECTED, NOT_EVALUABLE, at, kinetics, parameters

EDITION = DataEdition("ab" * 32, datetime(2026, 11, 3, 2, 14, tzinfo=UTC))
RECORD = PatientRecord("SLE-001", {"car19": datetime(2026, 3, 1, 9, tzinfo=UTC)})
ROWS = kinetics(
    at(-7, **NOT_DETECTED, tube_sha256="1" * 64),
    at(7, flags="few_beads", tube_sha256="2" * 64),
    at(21, **NOT_EVALUABLE, tube_sha256="3" * 64),
)
CMAX = parameters(
    ("SLE-001", "blood", "car19_t", "Cmax", 60.1, "1/uL", None, None, "none", 9, "nca@1")
)


def large() -> Figure:
    figure = Figure(figsize=(16, 20))
    figure.subplots().plot([1, 2], [3, 4])
    return figure


def pdf(record=RECORD, rows=ROWS, edition=EDITION):
    pictures = [TubePicture("D7 cart", large()), TubePicture("D21 cart", fault="It is not there.")]
    return report_pdf(record, rows, CMAX, edition, pictures)


def boxes(content):
    found = re.findall(rb"/MediaBox \[([^\]]*)\]", content)
    return {tuple(round(float(number)) for number in each.split()[2:]) for each in found}


def test_every_page_is_a4_and_there_is_one_for_each_figure_and_tube():
    content, pages = pdf()
    assert content.startswith(b"%PDF")
    assert boxes(content) <= {(595, 842), (842, 595)}
    assert len(re.findall(rb"/Type /Page\b", content)) == pages >= 5


def test_the_same_edition_gives_the_same_bytes_and_bears_its_date():
    first, second = pdf()[0], pdf()[0]
    assert first == second
    assert b"/CreationDate (D:20261103021400" in first


def test_another_edition_gives_another_document():
    assert pdf()[0] != pdf(edition=replace(EDITION, fingerprint="cd" * 32))[0]


def test_long_tables_go_on_over_pages():
    many = kinetics(*(at(day, tube_sha256=f"{day:064d}") for day in range(1, 160)))
    assert pdf(rows=many)[1] > pdf()[1] + 4


@pytest.mark.parametrize("text", ["CAR $x_{ $ <script>", "a" * 300, "\u202egnp.fcs", "日本 🧬"])
@pytest.mark.filterwarnings("ignore:.*Glyph.*:UserWarning")
def test_hostile_words_are_written_as_they_are(text):
    record = replace(RECORD, labels={"car19_t": text}, notes=(text,))
    assert pdf(record, ROWS.assign(visit=text, panel=text))[1] >= 5


def test_a_patient_without_rows_has_a_document():
    assert pdf(PatientRecord("SLE-009", {}), ROWS[:0])[1] >= 3
