"""The whole study as one data set, now and as it was; what was restated, and why."""

import io
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from panels.text.errors import UsageFault
from tasks.export.files import write_export
from tasks.export.sdtm import sdtm_tables
from tasks.export.sdtm_variables import CP, DATASETS, PC, PP
from tasks.export.study_data import StudyData, collect, moment_of
from tasks.kinetics.schema import KINETICS, PARAMETERS, RECOVERY
from tasks.publish.tables import csv_bytes
from tasks.review.restatement import restatements
from tasks.store.editions import Edition, editions_as_of, save_edition
from tasks.store.opening import open_store
from tasks.store.schema.results import editions
from tasks.vocabulary.moments import elapsed_days
from tests.tasks.published_rows import (
    DETECTED,
    NOT_DETECTED,
    NOT_EVALUABLE,
    at,
    kinetics,
    parameters,
)
from tests.tasks.study_folder import make_study

NOTHING = dict.fromkeys(("per_ul", "per_ul_low", "per_ul_high", "lod_per_ul", "lloq_per_ul"))
MARROW = {"specimen": "marrow", "method": "none", **NOTHING}
CMAX = ("SLE-001", "blood", "car19_t", "Cmax", 5.3, "1/uL", None, None, "none", 6, "Cmax@1")


def data(frame: pd.DataFrame, rows: tuple[tuple[object, ...], ...] = ()) -> StudyData:
    return StudyData("trial", None, frame, parameters(*rows), pd.DataFrame())


def values(frame: pd.DataFrame, **where: object) -> list[dict[str, object]]:
    for name, wanted in where.items():
        frame = frame[frame[name] == wanted]
    return [dict(row) for row in frame.to_dict("records")]


def test_every_result_becomes_a_finding_with_its_limits_and_its_status() -> None:
    frame = kinetics(
        at(28),
        at(42, **DETECTED),
        at(56, **NOT_DETECTED),
        at(84, **NOT_EVALUABLE, flags="no_volume"),
    )
    made = sdtm_tables(data(frame))
    cp = made["cp"]
    assert list(cp.columns) == [name for name, *_ in CP]
    concentrations = values(cp, CPSCAT="CONCENTRATION")
    assert [each["CPSTRESC"] for each in concentrations] == ["5.3", "0.75 (DNQ)", "<0.5", ""]
    assert [each["CPSTRESN"] for each in concentrations][:2] == [5.3, 0.75]
    assert pd.isna(concentrations[2]["CPSTRESN"])
    assert [each["CPSTAT"] for each in concentrations] == ["", "", "", "NOT DONE"]
    assert "concentration" in str(concentrations[3]["CPREASND"])
    assert [each["CPSTRESN"] for each in values(cp, CPSCAT="PERCENTAGE")] == [1.06] * 3
    assert list(cp["CPSEQ"]) == list(range(1, len(cp) + 1))
    assert set(cp["CPTESTCD"]) == {"CAR19T"}
    supp = made["suppcp"]
    assert values(supp, QNAM="CPCILOW")[0]["QVAL"] == "4.6"
    assert {each["QVAL"] for each in values(supp, QNAM="CPCODE")} == {"Q", "DNQ", "ND", "NE"}
    assert set(supp["IDVARVAL"]) <= {str(number) for number in cp["CPSEQ"]}


def test_study_days_have_no_zero() -> None:
    frame = kinetics(
        at(-1, collected="2026-02-28T09:00:00"),
        at(0, collected="2026-03-01T15:00:00") | {"day": 0.25},
        at(1, collected="2026-03-02T08:00:00") | {"day": 0.9583333333},
    )
    cp = sdtm_tables(data(frame))["cp"]
    assert list(cp[cp["CPSCAT"] == "CONCENTRATION"]["CPDY"]) == [-1, 1, 2]


@pytest.mark.parametrize(
    ("infused", "collected", "day"),
    [
        ("2026-03-01T00:00:00", "2026-02-28T23:59:00", -1),
        ("2026-03-01T00:00:00", "2026-03-01T00:00:00", 1),
        ("2026-03-01T00:00:00", "2026-03-01T23:59:59", 1),
        ("2026-03-01T00:00:00", "2026-03-29T09:17:23", 29),
        ("2026-03-01T00:00:00", "2028-02-27T09:17:23", 729),
        ("2026-03-01T00:00:00", "2026-02-22T08:11:13", -7),
        ("2026-03-01T23:59:59", "2026-03-02T00:00:01", 2),
        ("2026-03-01T23:59:59", "2026-03-01T07:00:00", 1),
        ("2026-03-01T11:00:00", "2026-03-01T07:30:00", 1),
        ("2026-03-01T00:00:00.400000", "2026-04-26T09:17:23", 57),
        ("2026-03-01T23:59:59.800000", "2026-04-26T09:17:23", 57),
        ("2026-03-01T00:30:00+01:00", "2026-04-10T08:00:00+02:00", 41),
        ("2026-10-20T00:30:00+02:00", "2026-11-10T08:00:00+01:00", 22),
        ("2026-10-20T00:00:00+02:00", "2026-10-20T00:00:00+02:00", 1),
        ("2026-10-20T23:30:00+09:00", "2026-10-21T00:30:00+09:00", 2),
        ("2026-10-20T00:00:00+00:00", "2026-10-19T23:30:00+00:00", -1),
    ],
)
def test_study_days_are_those_of_dates_on_both_sides_of_midnight_and_of_zones(
    infused: str, collected: str, day: int
) -> None:
    start, draw = datetime.fromisoformat(infused), datetime.fromisoformat(collected)
    elapsed = float(f"{elapsed_days(start, draw):.10g}")
    made = data(kinetics(at(0, collected=collected) | {"day": elapsed}))
    assert set(sdtm_tables(replace(made, infused={"SLE-001": start}))["cp"]["CPDY"]) == {day}
    assert set(sdtm_tables(replace(made, infused={"SLE-001": start}))["pc"]["PCDY"]) == {day}
    if start.utcoffset() == draw.utcoffset() and not start.microsecond:
        assert set(sdtm_tables(made)["cp"]["CPDY"]) == {day}


def test_an_infusion_that_was_corrected_since_is_the_one_the_table_was_made_with() -> None:
    made = data(kinetics(at(28, collected="2026-03-29T09:00:00") | {"day": 28.0}))
    assert set(
        sdtm_tables(
            replace(made, infused={"SLE-001": datetime.fromisoformat("2026-03-10T09:00:00")})
        )["cp"]["CPDY"]
    ) == {29}


def test_limits_in_percent_are_those_of_the_study() -> None:
    plasma = {
        "population": "plasma_cells",
        "reference": "leukocytes",
        "parent": "secreting",
        "panel": "bcell",
    }
    gone = at(
        56, **plasma, **MARROW, code="ND", percent_reference=None, percent_parent=None, events=2
    )
    whole = at(
        56,
        population="leukocytes",
        reference="leukocytes",
        parent="cd45",
        events=100_000,
        parent_events=120_000,
        **MARROW,
    )
    made = replace(data(kinetics(gone, whole)), detect_events=50)
    cp = sdtm_tables(made)["cp"]
    assert list(cp[cp["CPTEST"] == "plasma_cells"]["CPSTRESC"]) == ["<0.05"]


def test_marrow_has_percentages_and_no_concentration() -> None:
    plasma = {
        "population": "plasma_cells",
        "reference": "leukocytes",
        "parent": "secreting",
        "panel": "bcell",
    }
    seen = at(28, **plasma, **MARROW, percent_reference=0.12, events=120)
    gone = at(
        56, **plasma, **MARROW, code="ND", percent_reference=None, percent_parent=None, events=2
    )
    leukocytes = [
        at(
            d,
            population="leukocytes",
            reference="leukocytes",
            parent="cd45",
            events=100_000,
            parent_events=120_000,
            **MARROW,
        )
        for d in (28, 56)
    ]
    cp = sdtm_tables(data(kinetics(seen, gone, *leukocytes)))["cp"]
    assert set(cp["CPSCAT"]) == {"PERCENTAGE"}
    assert set(cp["CPSPEC"]) == {"BONE MARROW"}
    assert list(cp[cp["CPTEST"] == "plasma_cells"]["CPSTRESC"]) == ["0.12", "<0.02"]


def test_products_have_concentrations_and_parameters_of_their_own() -> None:
    rows = (
        ("SLE-001", "blood", "car19_t", "Cmax", 54.0, "1/uL", None, None, "none", 9, "Cmax@1"),
        ("SLE-001", "blood", "car19_t", "AUC0-28", 342.0, "d/uL", None, None, "none", 9, "AUC@1"),
        (
            "SLE-001",
            "blood",
            "car19_t",
            "half_life",
            None,
            "d",
            None,
            None,
            "none",
            2,
            "too-few-points@1",
        ),
        (
            "SLE-001",
            "blood",
            "b_cells",
            "recovery_B_10",
            95.6,
            "d",
            84.0,
            112.0,
            "interval",
            9,
            "B_10@1",
        ),
    )
    made = sdtm_tables(
        data(
            kinetics(at(28), at(28, population="b_cells", panel="bcell", parent="small_non_t")),
            rows,
        )
    )
    assert list(made["pc"].columns) == [name for name, *_ in PC]
    assert list(made["pc"]["PCTESTCD"]) == ["CAR19T"]
    pp = made["pp"]
    assert list(pp.columns) == [name for name, *_ in PP]
    assert list(pp["PPTESTCD"]) == ["CMAX", "AUCINT", "LAMZHL"]
    assert list(pp["PPENINT"]) == ["", "P28D", ""]
    assert (pp.iloc[2]["PPSTAT"], pp.iloc[2]["PPREASND"]) == ("NOT DONE", "too-few-points@1")


def test_the_define_sheet_names_every_variable_and_every_code_is_short_and_used_once() -> None:
    names = (
        "b_cells",
        "car19_t",
        "1st_lab_population_of_ours",
        "lab_population_a",
        "lab_population_b",
    )
    frame = kinetics(*(at(28, population=name) for name in names))
    made = sdtm_tables(data(frame))
    for name, frame in made.items():
        if name != "define":
            assert list(
                made["define"].query("dataset == @name.upper() and type != 'term'")["variable"]
            ) == list(frame.columns)
    codes = list(made["cp"].drop_duplicates("CPTEST")["CPTESTCD"])
    assert len(set(codes)) == len(names)
    assert all(1 <= len(code) <= 8 and code[0].isalpha() and code.isalnum() for code in codes)
    assert set(DATASETS) == set(made) - {"define"}


def test_tables_go_out_in_every_form_and_come_back_the_same(tmp_path: Path) -> None:
    frame = kinetics(at(28), at(56, **NOT_DETECTED))
    whole = replace(
        data(frame, (CMAX,)), recovery=pd.DataFrame({name: [] for name in RECOVERY_COLUMNS})
    )
    csv = write_export(whole, "csv", tmp_path / "csv")
    assert [path.name for path in csv] == [
        "columns.csv",
        "kinetics.csv",
        "parameters.csv",
        "recovery.csv",
    ]
    parquet = {path.name: path for path in write_export(whole, "parquet", tmp_path / "parquet")}
    assert list(pd.read_parquet(parquet["kinetics.parquet"])["per_ul"].dropna()) == [5.3]
    (book,) = write_export(whole, "xlsx", tmp_path / "xlsx")
    opened = openpyxl.load_workbook(io.BytesIO(book.read_bytes()))
    assert opened.sheetnames == ["kinetics", "parameters", "recovery", "legend"]
    assert opened["kinetics"]["N2"].value == 5.3
    again = write_export(whole, "xlsx", tmp_path / "again")[0]
    assert again.read_bytes() == book.read_bytes()
    assert len(write_export(whole, "sdtm", tmp_path / "sdtm")) == 5


RECOVERY_COLUMNS = (
    *(
        "patient",
        "population",
        "definition",
        "depleted",
        "depletion_low",
        "depletion_high",
        "low",
        "high",
    ),
    *("estimate", "censoring", "confirmed", "lost", "visits", "skipped"),
)


def test_what_changed_since_a_cut_is_told_with_its_reason() -> None:
    then = data(
        kinetics(at(28), at(42), at(56), at(84), at(112), at(140)),
        (("SLE-001", "blood", "car19_t", "Cmax", 5.3, "1/uL", None, None, "none", 6, "Cmax@1"),),
    )
    now = data(
        kinetics(
            at(28),
            at(42, events=220, per_ul=5.5, per_ul_high=6.3),
            at(56, strategy="cart@2.0.0", per_ul=5.1),
            at(84, visit="D85"),
            at(112) | {"day": 112.5},
            at(168),
        ),
        ((*CMAX[:4], 5.5, *CMAX[5:]),),
    )
    found = restatements(then, now)
    why = {(row["visit"], row["what"]): row["why"] for row in found.to_dict("records")}
    assert why["D42", "per_ul"].startswith("the tube was counted anew")
    assert why["D56", "per_ul"] == "counted under cart@2.0.0 instead of cart@1.0.0"
    assert why["D85", "visit"] == "the sample sheet says otherwise now"
    assert why["D112", "day"] == "the time of infusion is another one"
    assert why["D140", "row"] == "the tube is not in the tables any more"
    assert why["D168", "row"] == "the tube was counted after the cut"
    assert why["", "Cmax"] == "follows from the kinetic table"
    assert not any(visit == "D28" for visit, _ in why)
    assert restatements(then, then).empty


def test_a_count_made_with_another_content_of_the_panel_says_so() -> None:
    then = data(kinetics(at(28), at(56, panel_sha256="")))
    now = data(
        kinetics(*(at(day, panel_sha256="0" * 64, per_ul=5.5, per_ul_high=6.3) for day in (28, 56)))
    )
    why = {row["visit"]: row["why"] for row in restatements(then, now).to_dict("records")}
    assert why["D28"] == "counted with another content of the panel cart"
    assert why["D56"].startswith("limits, background")


def test_a_data_set_names_the_content_of_the_panel() -> None:
    made = sdtm_tables(data(kinetics(at(28))))
    assert list(made["suppcp"].query("QNAM == 'CPPANSHA'")["QVAL"]) == ["ef" * 32]


def test_what_a_person_decided_since_a_cut_is_told_where_the_cut_knew_it() -> None:
    then = data(
        kinetics(
            at(28, used="Y"),
            at(42, used="Y"),
            at(56),
            at(84, used="Y"),
            at(98, used="Y", review="accepted"),
        )
    )
    now = data(
        kinetics(
            at(28, used="N", review="excluded"),
            at(42, used="Y", corrected="Y", events=215),
            at(56, used="Y"),
            at(84, used="N"),
            at(98, used="Y", events=215),
        )
    )
    told = restatements(then, now).to_dict("records")
    why = {(row["visit"], row["what"]): row["why"] for row in told}
    assert why["D28", "used"] == "the review of the tube says excluded now"
    assert why["D98", "events"].startswith("the tube was counted anew")
    assert why["D98", "review"] == "the review of the tube says nothing now"
    assert why["D28", "review"] == why["D28", "used"]
    assert why["D42", "events"].startswith("a person corrected a gate")
    assert why["D84", "used"].startswith("limits, background or a companion tube")
    assert not any(visit == "D56" for visit, _ in why)


def test_a_correction_is_the_cause_of_what_changed_in_its_tube_and_in_those_tied_to_it() -> None:
    anchored = {"flags": "anchored_on_corrected", "per_ul": 6.0}
    cells, other = {"population": "t_cells"}, {"population": "nk_cells"}
    cart, late = ({"panel": "cart", "tube_sha256": each * 64} for each in "bc")
    then = data(
        kinetics(
            at(28, corrected="Y", panel="tbnk", **cells),
            at(28, panel="tbnk", **other),
            at(28) | cart,
            at(28, population="car22_t") | cart,
            at(42, corrected="Y", **cells),
            at(42, **other),
            at(42) | late,
            at(56, used="Y", **cells),
            at(56) | cart | {"tube_sha256": "d" * 64},
        )
    )
    now = data(
        kinetics(
            at(28, corrected="Y", panel="tbnk", events=300, **cells),
            at(28, panel="tbnk", percent_reference=1.2, **other),
            at(28, **anchored) | cart,
            at(28, population="car22_t", per_ul=6.0) | cart,
            at(42, corrected="Y", events=300, **cells),
            at(42, events=300, **other),
            at(42, **anchored) | late,
            at(56, used="Y", corrected="Y", **cells),
            at(56, **anchored) | cart | {"tube_sha256": "d" * 64},
        )
    )
    told = restatements(then, now).to_dict("records")
    why = {(row["visit"], row["population"], row["what"]): row["why"] for row in told}
    by_hand = "a person corrected a gate of the tube, or took a correction back"
    assert why["D28", "t_cells", "events"] == by_hand
    assert why["D28", "nk_cells", "percent_reference"] == by_hand
    assert why["D28", "car19_t", "per_ul"] == (
        f"a person corrected a gate, or took a correction back, in tube tbnk {128:064x}"[:-52]
        + ", which this value is tied to"
    )
    assert why["D28", "car22_t", "per_ul"].startswith("limits, background")
    assert why["D56", "car19_t", "flags"].endswith("which this value is tied to")
    assert why["D42", "t_cells", "events"].startswith("the tube was counted anew")
    assert why["D42", "car19_t", "per_ul"].startswith("limits, background")


def test_a_corrected_background_is_the_cause_of_limits_that_moved_with_it() -> None:
    held = {"flags": "background_corrected", "lod_per_ul": 2.0}
    then = data(kinetics(at(-7, used="Y"), at(28, used="Y"), at(56, used="Y")))
    now = data(
        kinetics(
            at(-7, used="Y", corrected="Y", events=300),
            at(28, used="Y", **held),
            at(56, used="Y", lod_per_ul=2.0),
        )
    )
    told = restatements(then, now).to_dict("records")
    why = {(row["visit"], row["what"]): row["why"] for row in told}
    assert why["D28", "lod_per_ul"] == (
        f"a person corrected a gate, or took a correction back, in tube cart {93:064x}"[:-52]
        + ", whose background this value is held against"
    )
    assert why["D56", "lod_per_ul"].startswith("limits, background")


def test_findings_tell_use_file_and_limits_of_the_percentage() -> None:
    none = dict.fromkeys(("per_ul", "per_ul_low", "per_ul_high", "lod_per_ul", "lloq_per_ul"))
    marrow = at(56, specimen="marrow", method="none", **none)
    made = sdtm_tables(data(kinetics(at(28, used="Y", review="accepted"), marrow)))
    cp = made["cp"].assign(CPSEQ=made["cp"]["CPSEQ"].astype(str))
    supp = made["suppcp"].merge(cp, left_on="IDVARVAL", right_on="CPSEQ")
    blood = {
        category: dict(zip(rows["QNAM"], rows["QVAL"], strict=True))
        for category, rows in supp[supp["CPSPEC"] == "BLOOD"].groupby("CPSCAT")
    }
    assert blood["PERCENTAGE"] == {"CPCILOW": "0.93", "CPCIHIGH": "1.21"}
    told = {name: blood["CONCENTRATION"][name] for name in ("CPFILE", "CPUSED", "CPREVIEW")}
    assert told == {"CPFILE": "SLE-001_D28.fcs", "CPUSED": "Y", "CPREVIEW": "accepted"}
    assert blood["CONCENTRATION"]["CPCILOW"] == "4.6"
    in_marrow = supp[supp["CPSPEC"] == "BONE MARROW"]
    qualifiers = dict(zip(in_marrow["QNAM"], in_marrow["QVAL"], strict=True))
    assert (qualifiers["CPCILOW"], qualifiers["CPCODE"]) == ("0.93", "Q")


def test_a_workbook_leads_to_the_pages_only_from_inside_the_results(tmp_path: Path) -> None:
    made = replace(data(kinetics(at(28)), (CMAX,)), results=tmp_path / "results")
    for folder, leads in ((tmp_path / "results/export/xlsx", True), (tmp_path / "mine", False)):
        (path,) = write_export(replace(made, recovery=RECOVERY.frame([])), "xlsx", folder)
        linked = openpyxl.load_workbook(path)["kinetics"]["A2"].hyperlink
        assert (linked is not None) == leads
        if linked is not None:
            assert linked.target == "../../patients/SLE-001/report.html"


def test_a_cut_before_panels_were_noted_is_read_with_an_empty_column(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s")
    earlier = kinetics(at(28)).drop(columns="panel_sha256")
    made = parameters(CMAX)
    later = kinetics(at(56, patient="SLE-002"))
    nothing = csv_bytes(RECOVERY.frame([]), RECOVERY)
    with study.store() as store:
        save_edition(
            store,
            Edition("SLE-001", "one", csv_bytes(earlier), csv_bytes(made, PARAMETERS), nothing),
        )
        save_edition(
            store,
            Edition(
                "SLE-002",
                "one",
                csv_bytes(later, KINETICS),
                csv_bytes(parameters(), PARAMETERS),
                nothing,
            ),
        )
    read = collect(study).kinetics
    assert list(read.columns) == KINETICS.names
    assert list(read["panel_sha256"]) == ["", "ef" * 32]


def test_a_cut_gives_what_was_known_then(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'a.db'}") as store:
        assert save_edition(store, Edition("P01", "one", b"k1", b"p1", b"r1"))
        assert not save_edition(store, Edition("P01", "one", b"k1", b"p1", b"r1"))
        save_edition(store, Edition("P02", "one", b"k", b"p", b"r"))
        between = datetime.now(UTC) + timedelta(milliseconds=5)
        time.sleep(0.02)
        save_edition(store, Edition("P01", "two", b"k2", b"p2", b"r2"))
        save_edition(store, Edition("P02", "withdrawn"))
        assert [each.kinetics for each in editions_as_of(store, between)] == [b"k1", b"k"]
        assert [each.kinetics for each in editions_as_of(store)] == [b"k2"]
        assert editions_as_of(store, between - timedelta(days=1)) == []
        assert save_edition(store, Edition("P01", "one", b"k1", b"p1", b"r1"))
        with store.reading() as connection:
            assert len(connection.execute(editions.select()).all()) == 5


def test_a_moment_is_read_in_the_time_zone_of_the_study() -> None:
    assert (
        moment_of("2026-03-31", "Europe/Berlin").isoformat() == "2026-03-31T23:59:59.999999+02:00"
    )
    assert moment_of("2026-03-31T18:00", "UTC").isoformat() == "2026-03-31T18:00:00+00:00"
    assert moment_of("2026-03-31T18:00+05:00", "UTC").utcoffset() == timedelta(hours=5)
    for wrong in ("yesterday", "2026-13-01", ""):
        with pytest.raises(UsageFault, match="--as-of"):
            moment_of(wrong, "UTC")


def test_a_study_without_tables_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="reconflow run"):
        collect(make_study(tmp_path / "s"))
