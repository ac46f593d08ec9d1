import re
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from tasks.publish.course import course_sentences
from tasks.publish.definition_words import rule_in_words
from tasks.publish.kept_drawings import KeptDrawings
from tasks.publish.patient_figures import patient_drawings, patient_figures
from tasks.publish.patient_record import PatientRecord
from tasks.publish.report import render_patient_report
from tasks.publish.visit_tables import visit_tables
from tasks.publish.wording import METHODS, NAMES, explained, parameter_sentence
from tasks.vocabulary.flags import Flag
from tests.tasks.published_rows import (
    DETECTED,
    NOT_DETECTED,
    NOT_EVALUABLE,
    ROW,
    at,
    kinetics,
    parameters,
)

MEANINGS = {flag.value: flag.sentence for flag in Flag}
RECORD = PatientRecord(
    "SLE-001",
    {"CAR19": datetime(2026, 3, 1, 9, tzinfo=UTC), "CARBCMA": datetime(2026, 3, 2, 9, tzinfo=UTC)},
    {"car19_t": "Anti-CD19 CAR-T cells (CD3+ CAR19+)"},
    MEANINGS,
    ("D56: no tube came.",),
)
ROWS = kinetics(
    at(-7, **NOT_DETECTED, tube_sha256="1" * 64),
    at(7, flags="few_beads", tube_sha256="2" * 64),
    at(21, **NOT_EVALUABLE, flags="lloq_above_threshold", tube_sha256="3" * 64),
    at(56, **DETECTED, tube_sha256="4" * 64),
)
CMAX = parameters(
    ("SLE-001", "blood", "car19_t", "Cmax", 60.1, "1/uL", None, None, "none", 9, "nca@1")
)
OUTWARD = r"(https?:)?//|<link|@import|url\((?!#)"
SCRIPT = '<script src="../../app.js" defer></script>'


drawn = patient_drawings


def amount_of(parameter, value=None, unit="", low=None, high=None, censoring="none"):
    row = ("SLE-001", "blood", "b_cells", parameter, value, unit, low, high, censoring, 5, "d@1")
    return parameter_sentence(parameters(row).to_dict("records")[0]).amount


def test_the_report_says_who_when_what_and_why_not():
    page = render_patient_report(RECORD, ROWS, CMAX, drawn(RECORD, ROWS))
    wanted = [
        "SLE-001",
        "2026-03-01 09:00",
        "2026-03-02 09:00",
        "D56: no tube came.",
        "&lt;0.5",
        "0.75 (DNQ)",
        "NE",
        "Highest quantified concentration",
        "60.1 cells/µL",
        MEANINGS["few_beads"],
        MEANINGS["lloq_above_threshold"],
        "cart@1.0.0",
        "abababababab",
        METHODS["chain"],
        "Anti-CD19 CAR-T cells (CD3+ CAR19+)",
        'aria-label="CAR T cells: Anti-CD19 CAR-T cells"',
    ]
    assert [text for text in wanted if text not in page] == []


def test_every_tube_links_to_its_page_and_every_number_to_its_gate():
    page = render_patient_report(RECORD, ROWS, CMAX, {})
    links = re.findall(r'href="\.\./\.\./tubes/([^"]+)/gating\.html"', page)
    assert links == [sha[:12] for sha in ROWS["tube_sha256"]]
    numbers = re.findall(
        r'<a class="result" href="\.\./\.\./tubes/([^"/]+)/gating\.html#gate=car19_t"', page
    )
    assert numbers == [sha[:12] for sha in ROWS["tube_sha256"]]


def test_every_point_of_a_curve_links_to_its_gate_and_says_its_value():
    svg = drawn(RECORD, ROWS)["CAR T cells"]
    points = re.findall(r'<a class="point" href="([^"]+)"[^>]*><title>([^<]+)</title>', svg)
    by_day = {sha: text for address, text in points for sha in re.findall(r"tubes/(\w+)/", address)}
    assert set(by_day) == {sha[:12] for sha in ROWS["tube_sha256"]}
    texts = list(by_day.values())
    for said in (
        "&lt;0.5 per µL",
        "NE: not evaluable (NE)",
        "0.75 per µL (95 % interval 0.5 to 1.1)",
    ):
        assert any(said in text for text in texts), said
    assert all("Anti-CD19 CAR-T cells, D" in text for text in texts)
    assert any("look: few_beads" in text for text in texts)


def test_the_gate_of_a_population_may_have_another_name():
    record = replace(RECORD, gates={("cart@1.0.0", "car19_t"): "car19 & bright"})
    page = render_patient_report(record, ROWS, CMAX, drawn(record, ROWS))
    assert "#gate=car19_t" not in page
    assert page.count("#gate=car19%20%26%20bright") >= 2 * len(ROWS)
    assert 'href="gates/car19%20%26%20bright.html"' in page


def test_the_same_rows_give_the_same_page():
    twice = [drawn(RECORD, ROWS, KeptDrawings(0)) for _ in range(2)]
    pages = {render_patient_report(RECORD, ROWS, CMAX, each) for each in twice}
    assert len(pages) == 1
    assert not re.search(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.", pages.pop())


def test_a_single_point_is_drawn_and_linked():
    svg = drawn(RECORD, kinetics(at(7)))["CAR T cells"]
    assert svg.count('<a class="point"') == 1


def test_words_that_look_like_a_formula_are_written_as_they_are():
    record = replace(RECORD, labels={"car19_t": "CAR $x_{ $5 cells"})
    assert "CAR $x_{ $5 cells" in drawn(record, ROWS)["CAR T cells"]


def test_files_of_a_tube_that_a_sentence_names_are_linked():
    rows = ROWS.assign(flags=["", "", "threshold_fallback", ""])
    record = replace(RECORD, flag_meanings={"threshold_fallback": "thresholds.csv says <why>."})
    page = render_patient_report(record, rows, CMAX, {})
    (lost,) = re.findall(r'<td><a href="([^"]+)">thresholds\.csv</a> says &lt;why&gt;\.', page)[:1]
    sha = next(row["tube_sha256"] for row in rows.to_dict("records") if row["code"] == "NE")
    assert lost == f"../../tubes/{sha[:12]}/thresholds.csv"
    assert '<a href="#tubes">thresholds.csv</a> says' in page, "of several tubes: to their list"
    for sha in rows["tube_sha256"]:
        assert f'<a href="../../tubes/{sha[:12]}/qc.json">qc.json</a>' in page


def test_flags_come_with_their_severity_those_that_stop_first():
    rows = ROWS.assign(flags=["anchor_itself", "few_beads", "uncalibrated;few_beads", ""])
    page = render_patient_report(RECORD, rows, CMAX, {})
    section = page[page.index('<h2 id="flags">') : page.index('<h2 id="tubes">')]
    words = re.findall(r"<td><code>(\w+)</code></td>", section)
    assert words == ["uncalibrated", "few_beads", "anchor_itself"]
    assert section.index("D21 cart") < section.index("D7 cart")
    assert "1 result<" in section
    assert (
        page.count('<span class="severity-mark severity-stop" role="img" aria-label="stop">') == 2
    )


def test_all_parameters_stand_in_one_table():
    both = parameters(
        *CMAX.itertuples(index=False),
        (
            "SLE-001",
            "blood",
            "b_cells",
            "aplasia_duration",
            None,
            "d",
            20.0,
            59.0,
            "interval",
            5,
            "d@1",
        ),
    )
    page = render_patient_report(RECORD, ROWS, both, {})
    assert page.count('<table class="parameters">') == 1
    assert page.count('scope="rowgroup"') == 2


def test_pages_fetch_nothing_and_run_nothing():
    page = render_patient_report(RECORD, ROWS, CMAX, drawn(RECORD, ROWS))
    assert not re.search(OUTWARD, page.replace(SCRIPT, ""))
    assert "<script" not in page.replace(SCRIPT, "")
    assert not re.search(r"<[^>]+\son\w+=", page)


def test_hostile_text_is_shown_and_does_nothing():
    evil = '"><script>alert(1)</script>.fcs'
    record = PatientRecord(evil, {evil: datetime(2026, 3, 1, tzinfo=UTC)}, {"car19_t": evil})
    rows = ROWS.assign(flags=evil, panel=evil, visit=evil, strategy=evil)
    report = render_patient_report(record, rows, CMAX, drawn(record, rows), [evil])
    assert "<script" not in report.replace(SCRIPT, "")
    assert "&lt;script&gt;" in report


def test_a_patient_without_a_counted_tube_has_a_report_that_says_so():
    page = render_patient_report(
        PatientRecord("SLE-009", {}),
        ROWS[:0],
        CMAX[:0],
        drawn(PatientRecord("SLE-009", {}), ROWS[:0]),
        course_sentences(PatientRecord("SLE-009", {}), ROWS[:0], CMAX[:0]),
    )
    for text in (
        "not recorded",
        "No tube of this patient has been counted.",
        "No parameter can be given yet.",
        "Nothing was measured.",
        "nothing can be said of the course yet",
    ):
        assert text in page


def test_the_tables_hold_one_line_a_visit_and_leave_what_nobody_measured_empty():
    rows = kinetics(at(7), at(28), at(28, population="carbcma_t", per_ul=2.0))
    table = visit_tables(RECORD, rows)[0]
    assert (table.title, table.populations) == (
        "CAR T cells",
        ("Anti-CD19 CAR-T cells", "carbcma t"),
    )
    assert [(visit, [cell.text for cell in cells]) for visit, _, cells in table.rows] == [
        ("D7", ["5.3", ""]),
        ("D28", ["5.3", "2.0"]),
    ]


def test_a_labs_own_population_is_not_lost():
    assert [t.title for t in visit_tables(RECORD, kinetics(at(7, population="odd_cells")))] == [
        "Other populations"
    ]


def test_curves_are_drawn_for_what_was_measured_with_products_on_the_first_infusions_clock():
    marrow = at(
        28, specimen="marrow", population="plasma_cells", method="none", tube_sha256="e" * 64
    )
    figures = patient_figures(RECORD, pd.concat([ROWS, kinetics(marrow)]))
    assert list(figures) == ["CAR T cells", "Marrow"]
    assert RECORD.infusion_days() == {"CAR19": 0.0, "CARBCMA": 1.0}
    assert len(figures["CAR T cells"].links) == len(ROWS)


@pytest.mark.parametrize(
    ("sentence", "amount"),
    [
        (("Tmax", 10.0, "d"), "day 10"),
        (("half_life", 9.154, "d"), "9.15 days"),
        (("half_life", None, "d"), "cannot be given"),
        (("recovery_B_10", None, "d", 84.0, 112.0, "interval"), "between day 84 and day 112"),
        (
            ("recovery_B_10", 95.6, "d", 84.0, 112.0, "interval"),
            "between day 84 and day 112, estimated day 95.6",
        ),
        (("Tbql", 84.0, "d", 56.0, 84.0, "interval"), "between day 56 and day 84"),
        (("recovery_B_LLN", None, "d", 364.0, None, "right"), "after day 364, not seen yet"),
        (("Tmax", 84.0, "d", 56.0, None, "right"), "day 84, possibly later"),
        (("Tmax", 4.0, "d", None, 7.0, "left"), "day 4, or at any time up to day 7"),
        (("depletion_onset", None, "d", None, 4.0, "left"), "before day 4"),
        (("AUC0-28", 342.0, "d/uL", 342.0, None, "right"), "at least 342 cells × days/µL"),
        (("nadir", None, "1/uL", None, 0.067, "left"), "less than 0.067 cells/µL"),
        (
            ("aplasia_duration", None, "d", 77.0, 105.0, "interval"),
            "between 77.0 days and 105 days",
        ),
        (("aplasia_duration", None, "d", None, None, "right"), "cannot be given"),
        (("persistence_wk24", 1.0), "yes"),
        (
            ("persistence_wk24", 0.0, "1", None, None, "left"),
            "no, below the limit of quantification",
        ),
        (("persistence_wk24", None), "cannot be given"),
        (("baseline_ratio_last", 1.9, "1", 1.5, 2.4), "1.90 (1.50 to 2.40)"),
        (("naive_share_at_recovery", 0.9535, "1", 0.928, 0.972), "95.3 % (92.8 to 97.2)"),
        (("memory_share_at_recovery", None, "1", None, 0.03, "left"), "less than 3.0 %"),
    ],
)
def test_a_parameter_in_words_never_pretends_to_know_more(sentence, amount):
    assert amount_of(*sentence) == amount


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ("PKNCA-like@1", "by PKNCA's rules"),
        (
            "PKNCA-like:LLOQ=2.22/uL:unconfirmed@1",
            "by PKNCA's rules; limit of quantification 2.22 per µL; no later visit confirms it",
        ),
        ("B_LLN(94)@1", "threshold: the lower limit of normal, 94 per µL"),
        (
            "quantified-D168±14:LLOQ=2.59/uL@1",
            "quantified within 14 days of day 168; limit of quantification 2.59 per µL",
        ),
        (
            "naive-of-B-at-B_10:day-62.9:CP@1",
            (
                "naive cells among the B cells of the first tube with 100 of them, once back at 10 "
                "per µL; day 62.9; exact interval (Clopper-Pearson)"
            ),
        ),
        (
            "PKNCA-like:never-quantified@1;auc_method=linear;reagent=BCMA-Fc",
            (
                "by PKNCA's rules; no sample from the infusion on is quantified; the study's rule "
                "auc_method: linear; CAR reagent BCMA-Fc"
            ),
        ),
        ("odd-rule:strange@7", "odd-rule; strange"),
        ("", ""),
    ],
)
def test_a_definition_is_put_into_words_and_what_is_unknown_stays(definition, words):
    assert rule_in_words(definition) == words


def test_the_page_says_a_rule_in_words_and_gives_its_exact_definition_beside_them():
    rule = "PKNCA-like:few-after-peak@1"
    row = ("P1", "blood", "car19_t", "half_life", None, "d", None, None, "none", 0, rule)
    page = render_patient_report(RECORD, ROWS, parameters(row), {})
    assert f'<summary title="{rule}">by PKNCA&#39;s rules</summary><code>{rule}</code>' in page, (
        "the reason stands in the result already"
    )
    assert "cannot be given: fewer quantified samples after the peak" in page


def test_every_parameter_of_the_contract_has_words():
    assert {
        "Cmax",
        "Tbql",
        "lambda_z",
        "recovery_B_LLN",
        "naive_share_at_recovery",
        "percent_of_baseline_last",
    } <= set(NAMES)
    assert len(NAMES) == 33


def test_an_unknown_flag_is_named_rather_than_dropped():
    assert explained(["odd"], {}) == {"odd": "No explanation is on file for 'odd'."}


def test_the_strategy_is_named_by_version_and_short_hash_only():
    page = render_patient_report(RECORD, ROWS, CMAX, {})
    assert ROW["strategy_sha256"] not in page


def test_each_population_is_a_plot_of_its_own_on_the_scales_of_its_group():
    """A page lays the plots side by side, or one below the other on a phone."""
    second = ROWS.assign(population="car_any_t", per_ul=ROWS["per_ul"] * 10)
    group = drawn(RECORD, pd.concat([ROWS, second], ignore_index=True))["CAR T cells"]
    plots = re.findall(r'<svg [^>]*aria-label="CAR T cells: ([^"]+)"', group)
    assert plots == ["Anti-CD19 CAR-T cells", "car any t", "what the signs mean"]
    ticks = [re.findall(r">([\d,.]+)</text>", svg) for svg in group.split("</svg>")[:2]]
    assert ticks[0] == ticks[1]
    assert "Upwards: cells per µL (log scale)." in group
