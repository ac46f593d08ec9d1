"""A simulated study is one a laboratory could have sent, and its truth is nowhere in it."""

import csv
import re
from pathlib import Path

import fcsparser
import flowio
import numpy as np
import pandas as pd
import pytest

from gating.calibration.catalogue import calibrations_of
from gating.calibration.choice import choose_calibration
from gating.fcs.header import read_header
from panels.catalogue import load_panel
from panels.panel import match_panel
from panels.simulation.expression import cell_table
from panels.text.errors import UsageFault
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs
from tasks.simulate.patient import (
    BCourse,
    CarCourse,
    Patient,
    b_lineage,
    blood,
    draw_patient,
    marrow,
)
from tasks.simulate.plan import total
from tasks.simulate.study import SimulatedStudy, write_study
from tasks.simulate.tube import SERIAL, generator
from tasks.study.settings import load_settings
from tasks.tubes.file_calibration import instrument_of

pytestmark = pytest.mark.xdist_group("simulated study")

EVENTS = 0.02


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SimulatedStudy:
    return write_study(
        tmp_path_factory.mktemp("study") / "demo", patients=2, visits=3, workers=1, events=EVENTS
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# The patient


@pytest.mark.parametrize(
    ("day", "per_ul"),
    [
        (4, 0.6), (7, 7.3), (10, 54), (14, 22), (21, 5), (28, 1.2),
        (42, 0.21), (56, 0.14), (84, 0.10), (112, 0.07), (168, 0.036),
    ],
)  # fmt: skip
def test_the_typical_car_course_has_the_published_values(day: float, per_ul: float) -> None:
    """The published typical values belong to a peak at 9.5 days; at the stated median of 9.8 days
    day 7 would be 6.1/µL."""
    assert CarCourse(tmax=9.5).at(day) == pytest.approx(per_ul, rel=0.06)


@pytest.mark.parametrize(
    ("day", "per_ul"),
    [(-7, 80), (7, 0.30), (14, 0), (28, 0), (56, 0.47), (84, 4.3), (112, 32.7), (168, 144)],
)
def test_the_typical_b_cell_course_has_the_published_values(day: float, per_ul: float) -> None:
    assert BCourse().at(day) == pytest.approx(per_ul, rel=0.02)


def test_b_cells_cross_ten_at_the_day_the_patient_is_drawn_for() -> None:
    assert BCourse(crossing=101.0).at(101.0) == pytest.approx(10)
    assert BCourse(crossing=None).at(364) == 0


@pytest.mark.parametrize("day", [-7, 5, 60, 95, 168, 364])
def test_b_subsets_add_up_to_the_b_cells(day: float) -> None:
    assert sum(b_lineage(BCourse(), day).values()) == pytest.approx(BCourse().at(day))


def test_returning_b_cells_are_naive() -> None:
    def naive(day: float) -> float:
        cells = b_lineage(BCourse(), day)
        return total(cells, "naive_b") / total(cells, "b_cells")

    assert naive(-7) == pytest.approx(0.62)
    assert 0.93 <= naive(96) <= 0.96


def test_the_typical_blood_follows_lymphodepletion_and_recovery() -> None:
    patient = Patient("typical")
    leukocytes = {day: total(blood(patient, day), "leukocytes") for day in (-7, 6, 21, 28, 84)}
    assert leukocytes[-7] == pytest.approx(4500, rel=0.1)
    assert 100 <= leukocytes[6] <= 1200
    assert leukocytes[21] == pytest.approx(2500, rel=0.1)
    assert leukocytes[28] == pytest.approx(3500, rel=0.1)
    assert leukocytes[84] == pytest.approx(4500, rel=0.1)
    assert total(blood(patient, 60), "cd4_t") < 200
    assert total(blood(patient, 14), "plasma_cells") < 0.02


def test_no_car_cell_is_there_before_infusion_and_none_carries_both() -> None:
    patient = Patient("typical")
    assert total(blood(patient, -7.1), "car_any_t") == 0
    assert total(blood(patient, 10), "car_double_positive") == 0


def test_cd19_negative_marrow_plasma_cells_go_and_stay_gone() -> None:
    patient = Patient("typical")
    shares = [total(marrow(patient, day), "long_lived_plasma_cells") for day in (-7, 28, 168)]
    assert shares == [pytest.approx(0.003), 0, 0]
    assert sum(marrow(patient, 28).values()) == pytest.approx(1)


def test_the_cohort_has_correlated_peaks_and_some_who_never_recover() -> None:
    cohort = [draw_patient("x", generator(1, str(number))) for number in range(400)]
    peaks = np.log([[patient.car19.cmax, patient.carbcma.cmax] for patient in cohort])
    assert np.exp(np.median(peaks[:, 0])) == pytest.approx(60, rel=0.2)
    assert np.corrcoef(peaks.T)[0, 1] == pytest.approx(0.5, abs=0.12)
    assert np.mean([patient.b_cells.crossing is None for patient in cohort]) == pytest.approx(
        0.07, abs=0.04
    )


# The files


@pytest.mark.parametrize("dialect", ["fcs3.1-le", "diva-fcs3.0-be"])
def test_two_readers_read_what_was_written(tmp_path: Path, dialect: str) -> None:
    events = np.random.default_rng(1).normal(1000, 400, (257, 3)).astype(np.float32)
    channels = [FcsChannel("FSC-A", voltage=300), FcsChannel("PE-A", "CAR19"), FcsChannel("Time")]
    spill = FcsSpill(("PE-A",), np.array([[1.0]]))
    path = tmp_path / "tube.fcs"
    write_fcs(
        path,
        events,
        channels,
        dialect=dialect,
        spill=spill,
        keywords={"$TIMESTEP": "0.01", "NOTE": "a\x0cb"},
    )
    read = flowio.FlowData(str(path))
    assert np.array_equal(read.as_array(preprocess=False).astype(np.float32), events)
    assert read.text["note"] == "a\x0cb"
    meta = fcsparser.parse(str(path), meta_data_only=True)
    assert int(meta["$TOT"]) == 257
    assert [meta[f"$P{n}N"] for n in (1, 2, 3)] == ["FSC-A", "PE-A", "Time"]
    assert meta["__header__"]["data end"] - meta["__header__"]["data start"] + 1 == events.nbytes
    assert path.stat().st_size == meta["__header__"]["data end"] + 1
    if dialect == "fcs3.1-le":  # fcsparser cannot decode big-endian events under NumPy 2
        assert np.array_equal(fcsparser.parse(str(path))[1].to_numpy(), events)


def test_an_array_of_the_wrong_width_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 columns"):
        write_fcs(
            tmp_path / "x.fcs",
            np.zeros((3, 1), np.float32),
            [FcsChannel("A"), FcsChannel("B")],
            dialect="fcs3.1-le",
            spill=None,
            keywords={},
        )


def test_every_tube_fits_its_panel_and_stores_its_spill(study: SimulatedStudy) -> None:
    for row in rows(study.folder / "samples.csv"):
        meta = fcsparser.parse(str(study.folder / "inbox" / row["file"]), meta_data_only=True)
        channels = [
            Channel(n, meta[f"$P{n + 1}N"], meta.get(f"$P{n + 1}S", ""))
            for n in range(int(meta["$PAR"]))
        ]
        match = match_panel(load_panel(row["panel"]), channels)
        assert match.problems == ()
        assert match.instrument == row["instrument"]
        diva = row["instrument"] == "BD FACSDiva"
        spill = meta["SPILL" if diva else "$SPILLOVER"].split(",")
        assert int(spill[0]) == len(load_panel(row["panel"]).markers)
        assert meta["$BYTEORD"] == ("4,3,2,1" if diva else "1,2,3,4")


class Channel:
    """What match_panel needs to know of a channel."""

    def __init__(self, index: int, detector: str, label: str) -> None:
        self.index, self.detector, self.label = index, detector, label


# The study


def test_the_study_has_three_blood_tubes_a_visit_and_three_marrows(study: SimulatedStudy) -> None:
    samples = rows(study.folder / "samples.csv")
    assert len(samples) == 2 * 3 * 3 + 2 * 2 == len(study.tubes)
    assert {path.name for path in (study.folder / "inbox").iterdir()} == {
        row["file"] for row in samples
    }
    assert {row["specimen"] for row in samples} == {"blood", "marrow"}
    assert all((row["beads_per_tube"] == "49713") == (row["panel"] == "tbnk") for row in samples)
    assert all(bool(row["car_reagent"]) == (row["panel"] == "cart") for row in samples)
    assert {row["baseline_visit"] for row in rows(study.folder / "patients.csv")} == {"D-7"}


def test_the_analyser_is_near_the_true_leukocytes(study: SimulatedStudy) -> None:
    true = {row["file"]: row["leukocytes_per_ul"] for row in rows(study.truth / "tubes.csv")}
    for row in rows(study.folder / "samples.csv"):
        if row["leukocytes_per_ul"]:
            assert float(row["leukocytes_per_ul"]) == pytest.approx(
                float(true[row["file"]]), rel=0.35
            )


def test_the_true_counts_agree_with_the_events_and_the_volume(study: SimulatedStudy) -> None:
    tubes = {row["file"]: row for row in rows(study.truth / "tubes.csv")}
    for row in rows(study.truth / "populations.csv"):
        if row["population"] == "leukocytes" and row["per_ul"]:
            expected = float(row["per_ul"]) * float(tubes[row["file"]]["v_eff_ul"])
            assert abs(int(row["cells"]) - expected) < 5 * expected**0.5
    for file, row in tubes.items():
        labels = pd.read_parquet(study.truth / "events" / f"{Path(file).stem}.parquet")
        assert (
            len(labels)
            == int(row["events"])
            == flowio.FlowData(str(study.folder / "inbox" / file), only_text=True).event_count
        )


def test_bead_counting_with_the_truth_gives_the_true_concentration(study: SimulatedStudy) -> None:
    tubes = [row for row in rows(study.truth / "tubes.csv") if row["panel"] == "tbnk"]
    truth = {(row["file"], row["population"]): row for row in rows(study.truth / "populations.csv")}
    for row in tubes:
        leukocytes = int(truth[row["file"], "leukocytes"]["intact_events"])
        volume = 50 * int(row["beads"]) / 49713
        assert leukocytes / volume == pytest.approx(float(row["leukocytes_per_ul"]), rel=0.35)


def test_nothing_of_the_truth_is_in_a_file_or_a_sheet(study: SimulatedStudy) -> None:
    words = {
        *cell_table().kinds,
        *cell_table().populations(),
        "truth",
        "simulat",
        "intact",
        "v_eff",
    } - {"bead", "nk"}
    written = "".join(
        ",".join(row.values())
        for name in ("samples.csv", "patients.csv")
        for row in rows(study.folder / name)
    )
    for file in study.tubes:
        written += repr(flowio.FlowData(str(study.folder / "inbox" / file), only_text=True).text)
    # The instrument may say that it is none: that is no truth of any cell.
    written = written.replace(SERIAL, "")
    assert [word for word in words if word in written.lower()] == []


def test_every_simulated_tube_has_a_shipped_calibration(study: SimulatedStudy) -> None:
    known = set()
    for row in rows(study.folder / "samples.csv"):
        header = read_header(study.folder / "inbox" / row["file"])
        shipped = [each.calibration for each in calibrations_of(row["panel"])]
        choice = choose_calibration(instrument_of(header), shipped)
        assert choice.reason == "", row["file"]
        known.add((row["panel"], header.cytometer, header.serial))
    assert {("tbnk", "FACSCanto II", SERIAL), ("bcell", "FACSymphony A3", SERIAL)} < known


def test_no_patient_or_visit_is_named_inside_a_file_but_in_its_name(study: SimulatedStudy) -> None:
    for file in study.tubes:
        text = flowio.FlowData(str(study.folder / "inbox" / file), only_text=True).text
        assert all(not re.search(r"\bP0\d", value) for key, value in text.items() if key != "fil")


def test_the_same_study_is_written_whatever_the_number_of_workers(tmp_path: Path) -> None:
    options = {"patients": 1, "visits": 2, "events": 0.005}
    steps: list[tuple[str, int, int]] = []
    one = write_study(
        tmp_path / "one", workers=1, progress=lambda *step: steps.append(step), **options
    )
    two = write_study(tmp_path / "two", workers=2, **options)
    assert bytes_of(one.folder) == bytes_of(two.folder)
    assert [step[1:] for step in steps] == [
        (n, len(one.tubes)) for n in range(1, len(one.tubes) + 1)
    ]
    other = write_study(tmp_path / "other", workers=1, seed=2, **options)
    assert bytes_of(other.folder) != bytes_of(one.folder)


def test_a_study_is_never_written_over_another(study: SimulatedStudy) -> None:
    with pytest.raises(UsageFault, match="already holds a study"):
        write_study(study.folder)


def test_impossible_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="2 to 18 visits"):
        write_study(tmp_path / "x", visits=1)
    assert not (tmp_path / "x").exists()


def test_the_settings_of_a_simulated_study_are_valid(study: SimulatedStudy) -> None:
    assert load_settings(study.folder).study == "demo-sle"


def test_a_share_of_the_returning_b_cells_is_of_a_kind_that_no_gate_describes() -> None:
    course = BCourse(activated_naive=0.03)
    lineage = b_lineage(course, 168)
    assert sum(lineage.values()) == pytest.approx(course.at(168))
    assert lineage["activated_naive_b"] == pytest.approx(0.03 * course.returning(168))
    assert b_lineage(course, -7)["activated_naive_b"] == 0
    assert "activated_naive_b" not in b_lineage(BCourse(), 168)


def test_a_share_of_the_car_t_cells_comes_to_rest_four_weeks_after_infusion() -> None:
    patient, plain = Patient("P01", resting_car_share=0.2), Patient("P01")
    assert blood(patient, 14) == blood(plain, 14)
    late, usual = blood(patient, 56), blood(plain, 56)
    resting = sum(value for kind, value in late.items() if "_resting_" in kind)
    assert resting == pytest.approx(0.2 * total(usual, "car_any_t"))
    assert total(late, "car_any_t") == pytest.approx(total(usual, "car_any_t"))


def test_one_lineage_of_the_car_t_cells_comes_to_rest_alone() -> None:
    patient = Patient("P01", resting_car_share=0.2, resting_car_lineage="cd8")
    late, usual = blood(patient, 56), blood(Patient("P01"), 56)
    resting = {kind: value for kind, value in late.items() if "_resting_" in kind}
    assert all(kind.startswith("t_cd8_resting_") for kind in resting)
    assert sum(resting.values()) == pytest.approx(0.2 * total(usual, "car_any_t"))
    for line in ("cd4_t", "cd8_t", "car_any_t"):
        assert total(late, line) == pytest.approx(total(usual, line))
