"""Parameters and cohort tables from a whole patient's kinetic table."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from panels.text.errors import ReconflowError
from tasks.counting.counts import PopulationCount, TubeCounts
from tasks.counting.quantity import Quantity
from tasks.kinetics.areas import USUAL
from tasks.kinetics.cohort import cohort_kinetics, cohort_parameters, recovery_frame
from tasks.kinetics.nca import NAMES
from tasks.kinetics.nca_rules import NcaRules
from tasks.kinetics.parameter_settings import ParameterSettings
from tasks.kinetics.parameters import check_parameters, parameters_frame
from tasks.kinetics.recovery import RecoverySettings
from tasks.kinetics.recovery_shares import SHARES
from tasks.kinetics.schema import PARAMETERS, RECOVERY
from tasks.kinetics.table import kinetics_frame
from tasks.publish.definition_words import rule_in_words
from tasks.publish.tables import csv_bytes
from tasks.publish.wording import parameter_sentence
from tasks.vocabulary.reasons import Why, why_of
from tasks.vocabulary.tube_identity import TubeIdentity

INFUSED = datetime(2026, 3, 1, 12, tzinfo=UTC)
CAR = {
    -7: 0.0,
    0: 0.0,
    4: 2.1,
    7: 85.0,
    10: 140.0,
    14: 62.0,
    21: 18.0,
    28: 7.5,
    42: 2.4,
    56: 0.9,
    84: 0.0,
}
B = {-7: 80.0, 0: 12.0, 14: 0.0, 28: 0.0, 56: 0.47, 84: 4.316, 112: 32.657, 168: 144.0}
PLASMA = {-7: 3.0, 14: 0.0, 84: 0.2, 168: 0.6}
MARROW = {-7: 600, 28: 0, 168: 90}
VOLUME = 400.0


def blood(
    population: str,
    day: float,
    per_ul: float,
    patient: str,
    flags: tuple[str, ...] = (),
    *,
    volume: float = VOLUME,
) -> tuple[TubeCounts, Quantity]:
    collected = INFUSED + timedelta(days=day)
    identity = TubeIdentity(
        f"{patient}-{population}-{day}", "a.fcs", patient, collected, "bcell", f"D{day:g}"
    )
    code = "ND" if per_ul * volume < 20 else "DNQ" if per_ul * volume < 50 else "Q"
    given = code != "ND"
    percent = per_ul / 10 if given else None
    quantity = Quantity(
        count=PopulationCount(
            population, round(per_ul * VOLUME), "lymphocytes", 10**6, "lymphocytes", 10**6
        ),
        percent_parent=percent,
        percent_reference=percent,
        per_ul=per_ul if given else None,
        per_ul_low=per_ul * 0.9 if given else None,
        per_ul_high=per_ul * 1.1 + (0 if given else 0.05),
        lod_per_ul=20 / volume,
        lloq_per_ul=50 / volume,
        code=code,  # type: ignore[arg-type]
        method="chain",
        flags=flags,
    )
    return TubeCounts(identity, "bcell@1.0.0", "s" * 64, {}), quantity


def marrow(day: float, events: int, patient: str) -> tuple[TubeCounts, Quantity]:
    identity = TubeIdentity(
        f"{patient}-m-{day}",
        "m.fcs",
        patient,
        INFUSED + timedelta(days=day),
        "bcell",
        f"D{day:g}",
        "marrow",
    )
    count = PopulationCount(
        "long_lived_plasma_cells", events, "leukocytes", 200_000, "leukocytes", 200_000
    )
    percent = events / 2000 if events else None
    quantity = Quantity(
        count, percent, percent, None, None, None, None, None, "Q" if events else "ND", "none", ()
    )
    return TubeCounts(identity, "bcell@1.0.0", "s" * 64, {}), quantity


def patient(name: str = "P01", car_flags: tuple[str, ...] = ()) -> pd.DataFrame:
    rows = [blood("car19_t", day, level, name, car_flags) for day, level in CAR.items()]
    rows += [blood("plasma_cells", day, level, name) for day, level in PLASMA.items()]
    rows += [marrow(day, events, name) for day, events in MARROW.items()]
    for day, level in B.items():
        tube, b_cells = blood("b_cells", day, level, name)
        _, naive = blood("naive_b", day, 0.95 * level, name)
        rows += [(tube, b_cells), (tube, naive)]
    return kinetics_frame(rows, infused={name: INFUSED}, order={})


@pytest.fixture(scope="module")
def kinetics() -> pd.DataFrame:
    return patient()


@pytest.fixture(scope="module")
def parameters(kinetics: pd.DataFrame) -> pd.DataFrame:
    return parameters_frame(kinetics, ParameterSettings(recovery=RecoverySettings(lln_per_ul=77)))


def of(frame: pd.DataFrame, population: str) -> Mapping[str, pd.Series]:
    return {
        str(row["parameter"]): row for _, row in frame[frame["population"] == population].iterrows()
    }


def test_names_are_those_of_the_contract(parameters: pd.DataFrame) -> None:
    assert list(parameters.columns) == PARAMETERS.names
    assert (
        PARAMETERS.names
        == (
            "patient specimen population parameter value unit low high censoring points definition"
        ).split()
    )
    assert set(of(parameters, "car19_t")) == set(NAMES)
    assert set(of(parameters, "b_cells")) == set(
        "depletion_onset recovery_B_10 recovery_B_20 recovery_B_1pct recovery_B_LLN "
        "aplasia_duration baseline_ratio_last "
        "naive_share_at_recovery naive_igm_igd_share_at_recovery "
        "transitional_share_at_recovery memory_share_at_recovery".split()
    )
    assert set(of(parameters, "plasma_cells")) == {"nadir", "nadir_day", "percent_of_baseline_last"}


def test_an_exposure_that_holds_one_of_at_least_so_much_is_at_least_so_much() -> None:
    rows = [
        blood("car19_t", day, level, "P01")
        for day, level in {0: 0.0, 10: 140.0, 14: 60.0, 27: 7.0, 63: 0.0, 81: 0.0, 166: 0.0}.items()
    ]
    car = of(parameters_frame(kinetics_frame(rows, infused={"P01": INFUSED}, order={})), "car19_t")
    for name in ("AUC0-28", "AUC0-84", "AUC0-168"):
        assert (car[name]["censoring"], car[name]["low"]) == ("right", car[name]["value"])
        assert parameter_sentence(car[name]).amount.startswith("at least ")
    assert car["AUC0-84"]["definition"] == "PKNCA-like:AUClast-holds-a-lower-bound@1"


def test_the_published_car_series(parameters: pd.DataFrame) -> None:
    car = of(parameters, "car19_t")
    assert car["AUC0-28"]["value"] == pytest.approx(1188.396, abs=5e-4)
    assert car["AUClast"]["value"] == pytest.approx(1272.469, abs=5e-4)
    assert car["half_life"]["value"] == pytest.approx(9.154, abs=5e-4)
    assert (car["Cmax"]["value"], car["Cmax"]["low"]) == (140, pytest.approx(126))
    assert (car["Tmax"]["value"], car["Tmax"]["censoring"]) == (10, "none")
    assert (car["Tbql"]["low"], car["Tbql"]["high"], car["Tbql"]["censoring"]) == (
        56,
        84,
        "interval",
    )
    assert (car["lambda_z"]["points"], car["lambda_z"]["definition"]) == (3, "PKNCA-like@1")
    assert car["AUC0-168"]["value"] == car["AUClast"]["value"]
    assert car["AUC0-168"]["definition"] == "PKNCA-like:AUClast-as-BLQ-before-end@1"


def car_course(*visits: tuple[float, float, float]) -> Mapping[str, pd.Series]:
    """Derive parameters from (day, cells/µL, µL of blood in the tube)."""
    rows = [blood("car19_t", day, level, "P01", volume=volume) for day, level, volume in visits]
    return of(parameters_frame(kinetics_frame(rows, infused={"P01": INFUSED}, order={})), "car19_t")


RISE = ((0.0, 0.0, VOLUME), (7.0, 50.0, VOLUME), (14.0, 9.0, VOLUME))


def test_a_sensitive_tube_at_week_24_says_below_which_limit_cells_are_gone() -> None:
    gone = car_course(*RISE, (84, 0.0, VOLUME), (168, 0.0, VOLUME))["persistence_wk24"]
    assert (gone["value"], gone["censoring"], gone["definition"]) == (
        0,
        "left",
        "quantified-D168±14:LLOQ=0.125/uL@1",
    )
    traces = car_course(*RISE, (84, 0.0, VOLUME), (168, 0.1, VOLUME))["persistence_wk24"]
    assert (traces["value"], traces["definition"]) == (
        0,
        "quantified-D168±14:LLOQ=0.125/uL:detected@1",
    )
    kept = car_course(*RISE, (168, 0.2, VOLUME))["persistence_wk24"]
    assert (kept["value"], kept["censoring"], kept["definition"]) == (
        1,
        "none",
        "quantified-D168±14@1",
    )


def test_an_insensitive_tube_at_week_24_cannot_say_that_cells_are_gone() -> None:
    blind = car_course(*RISE, (84, 0.0, VOLUME), (168, 0.0, 20.0))["persistence_wk24"]
    assert pd.isna(blind["value"])
    assert (blind["points"], blind["definition"]) == (
        1,
        "quantified-D168±14:LLOQ=2.5/uL:too-high@1",
    )


def test_cells_are_gone_only_by_a_tube_that_could_have_seen_them() -> None:
    traces = (*RISE, (28.0, 0.2, VOLUME))
    blind = car_course(*traces, (56, 0.0, 20.0))["Tbql"]
    assert (pd.isna(blind["value"]), blind["low"], blind["censoring"]) == (True, 28, "right")
    found = car_course(*traces, (56, 0.0, 20.0), (84, 0.0, VOLUME))["Tbql"]
    assert (found["low"], found["high"], found["definition"]) == (
        28,
        84,
        "PKNCA-like:LLOQ=0.125/uL:unconfirmed@1",
    )
    sure = car_course(*traces, (84, 0.0, VOLUME), (112, 0.0, VOLUME))["Tbql"]
    assert sure["definition"] == "PKNCA-like:LLOQ=0.125/uL@1"


def test_a_product_given_later_has_its_own_clock(kinetics: pd.DataFrame) -> None:
    car = of(
        parameters_frame(kinetics, ParameterSettings(offsets={("P01", "car19_t"): 1.0})), "car19_t"
    )
    assert (car["Tmax"]["value"], car["Tlast"]["value"]) == (9, 55)


def test_a_peak_at_the_last_sample_is_right_censored() -> None:
    rows = [blood("car19_t", day, level, "P01") for day, level in ((0, 0.0), (4, 2.0), (7, 50.0))]
    car = of(parameters_frame(kinetics_frame(rows, infused={"P01": INFUSED}, order={})), "car19_t")
    assert (car["Tmax"]["censoring"], car["Tmax"]["low"]) == ("right", 4)
    assert (car["Tbql"]["censoring"], car["Tbql"]["low"]) == ("right", 7)
    assert car["doubling_time"]["definition"] == "log-linear-2-points@1"
    assert pd.isna(car["AUC0-28"]["value"])


def test_a_peak_beside_a_long_gap_is_interval_censored() -> None:
    rows = [
        blood("car19_t", day, level, "P01")
        for day, level in ((0, 0.0), (7, 50.0), (21, 5.0), (28, 1.0))
    ]
    car = of(parameters_frame(kinetics_frame(rows, infused={"P01": INFUSED}, order={})), "car19_t")
    assert (car["Tmax"]["censoring"], car["Tmax"]["low"], car["Tmax"]["high"]) == (
        "interval",
        0,
        21,
    )


def test_samples_of_two_reagents_are_two_analytes() -> None:
    days = {0: 0.0, 7: 50.0, 14: 20.0, 21: 5.0, 28: 90.0, 56: 30.0, 84: 3.0}
    rows = [blood("car19_t", day, level, "P01") for day, level in days.items()]
    frame = kinetics_frame(rows, infused={"P01": INFUSED}, order={})
    reagents = {
        sha: "idiotype" if day < 28 else "linker"
        for sha, day in zip(frame["tube_sha256"], frame["day"], strict=True)
    }
    found = parameters_frame(frame, ParameterSettings(reagents=reagents))
    first, later = of(found, "car19_t"), of(found, "car19_t@linker")
    assert (
        first["Cmax"]["value"],
        first["Tmax"]["value"],
        first["Tlast"]["value"],
        first["Tbql"]["censoring"],
    ) == (50, 7, 21, "right")
    assert (later["Cmax"]["value"], later["Tmax"]["value"], later["Tmax"]["censoring"]) == (
        90,
        28,
        "left",
    )
    assert all(row["definition"].endswith(";reagent=idiotype") for row in first.values())
    assert all(row["definition"].endswith(";reagent=linker") for row in later.values())
    assert pd.isna(later["AUC0-84"]["value"])
    assert pd.isna(later["AUClast"]["value"])
    joined = of(
        parameters_frame(frame, ParameterSettings(reagents=dict.fromkeys(reagents, "idiotype"))),
        "car19_t",
    )
    assert joined["Cmax"]["value"] == 90
    assert "reagent" not in joined["Cmax"]["definition"]


def test_rules_that_are_not_the_usual_ones_stand_beside_every_value() -> None:
    rows = [
        blood("car19_t", day, level, "P01")
        for day, level in ((0, 0.0), (7, 50.0), (14, 20.0), (28, 5.0))
    ]
    frame = kinetics_frame(rows, infused={"P01": INFUSED}, order={})
    chosen = (USUAL, NcaRules(auc_method="linear"))
    usual, linear = (
        of(parameters_frame(frame, ParameterSettings(nca=rules)), "car19_t") for rules in chosen
    )
    assert linear["AUC0-28"]["value"] == pytest.approx(np.trapezoid([0, 50, 20, 5], [0, 7, 14, 28]))
    assert linear["AUC0-28"]["value"] > usual["AUC0-28"]["value"]
    assert {row["definition"].rpartition(";")[2] for row in linear.values()} == {
        "auc_method=linear"
    }
    assert not any("auc_method" in row["definition"] for row in usual.values())


def test_b_cells_leave_and_return_between_visits(parameters: pd.DataFrame) -> None:
    b = of(parameters, "b_cells")
    assert (b["depletion_onset"]["low"], b["depletion_onset"]["high"]) == (0, 14)
    back = b["recovery_B_10"]
    assert (back["low"], back["high"], back["censoring"], back["definition"]) == (
        84,
        112,
        "interval",
        "B_10@1",
    )
    assert back["value"] == pytest.approx(95.63, abs=5e-3)
    assert (b["aplasia_duration"]["low"], b["aplasia_duration"]["high"]) == (70, 112)
    assert b["recovery_B_LLN"]["definition"] == "B_LLN(77):unconfirmed@1"
    assert (b["baseline_ratio_last"]["value"], b["baseline_ratio_last"]["low"] < 1.8) == (
        pytest.approx(1.8),
        True,
    )


def test_the_naive_share_at_recovery_has_its_exact_interval(parameters: pd.DataFrame) -> None:
    share = of(parameters, "b_cells")["naive_share_at_recovery"]
    assert share["value"] == pytest.approx(0.95, abs=1e-3)
    assert share["low"] < 0.95 < share["high"]
    assert share["definition"] == "naive-of-B-at-B_10:day-112.0:CP@1"
    assert list(of(parameters, "naive_b")) == ["baseline_ratio_last"]


def test_the_naive_share_stands_with_the_cd19_b_cells_alone(kinetics: pd.DataFrame) -> None:
    second = kinetics[kinetics["population"] == "b_cells"].assign(population="b_cells_cd20")
    frame = parameters_frame(pd.concat([kinetics, second], ignore_index=True))
    names = set(of(frame, "b_cells"))
    assert names - set(of(frame, "b_cells_cd20")) == {name for name, _, _ in SHARES}


def test_the_plasma_cell_nadir_below_detection_is_left_censored(parameters: pd.DataFrame) -> None:
    plasma = of(parameters, "plasma_cells")
    assert pd.isna(plasma["nadir"]["value"])
    assert (
        plasma["nadir"]["high"],
        plasma["nadir"]["censoring"],
        plasma["nadir_day"]["value"],
    ) == (0.05, "left", 14)
    assert plasma["percent_of_baseline_last"]["value"] == pytest.approx(20)


def plasma_nadir(*visits: tuple[float, float, float]) -> tuple[pd.Series, pd.Series]:
    """Give nadir and nadir day of plasma cells: day, cells/µL and effective volume (µL) of each
    visit; 20 events are detected, so its limit of detection is 20 over the volume."""
    rows = [
        blood("plasma_cells", day, per_ul, "P01", volume=volume) for day, per_ul, volume in visits
    ]
    frame = kinetics_frame(rows, infused={"P01": INFUSED}, order={})
    derived = of(parameters_frame(frame), "plasma_cells")
    return derived["nadir"], derived["nadir_day"]


def test_a_nadir_not_detected_lies_below_the_best_limit_that_the_tables_print() -> None:
    nadir, day = plasma_nadir((-7, 3, 400), (7, 0.9, 400), (14, 0, 20), (28, 0, 40), (84, 0.3, 400))
    assert (nadir["high"], nadir["censoring"]) == (pytest.approx(0.3), "left")
    assert (day["low"], day["high"], day["censoring"]) == (14, 84, "interval")
    assert pd.isna(day["value"])
    assert nadir["definition"] == day["definition"] == "lowest-visit:below-limit@3"
    assert parameter_sentence(day).amount == "between day 14 and day 84"


def test_a_detected_value_above_the_limit_is_no_nadir_and_no_nadir_day() -> None:
    nadir, day = plasma_nadir((7, 0.9, 400), (14, 0, 20), (28, 0, 40), (84, 0.6, 400))
    assert nadir["high"] == pytest.approx(0.5)
    assert (day["low"], day["high"]) == (14, 28)


def test_a_nadir_of_detected_values_has_its_interval_and_its_day() -> None:
    nadir, day = plasma_nadir((7, 0.9, 400), (14, 0.2, 400), (28, 0.2, 400), (84, 0.6, 400))
    assert (nadir["value"], nadir["censoring"]) == (pytest.approx(0.2), "none")
    assert (nadir["low"], nadir["high"]) == (pytest.approx(0.18), pytest.approx(0.22))
    assert (day["value"], day["censoring"], day["definition"]) == (14, "none", "lowest-visit@3")


def test_marrow_plasma_cells_are_followed_in_percent(parameters: pd.DataFrame) -> None:
    marrow_cells = of(parameters, "long_lived_plasma_cells")
    assert marrow_cells["nadir"]["unit"] == "%"
    assert (marrow_cells["nadir"]["high"], marrow_cells["nadir"]["censoring"]) == (
        pytest.approx(100 * 20 / 200_000),
        "left",
    )
    assert marrow_cells["nadir_day"]["value"] == 28
    assert marrow_cells["percent_of_baseline_last"]["value"] == pytest.approx(15)


def test_marrow_without_plasma_cells_at_the_end_bounds_the_ratio_to_baseline() -> None:
    rows = [marrow(-7, 600, "P01"), marrow(28, 0, "P01")]
    frame = kinetics_frame(rows, infused={"P01": INFUSED}, order={})
    left = of(parameters_frame(frame), "long_lived_plasma_cells")["percent_of_baseline_last"]
    assert (left["high"], left["censoring"]) == (pytest.approx(100 * 0.01 / 0.3), "left")
    strict = of(
        parameters_frame(frame, ParameterSettings(detect_events=60)), "long_lived_plasma_cells"
    )
    assert strict["nadir"]["high"] == pytest.approx(0.03)


def test_what_is_not_detected_at_the_end_lies_below_the_limit_that_the_tables_print() -> None:
    days = ((-7, 3, 400), (28, 0.5, 400), (84, 0, 40))
    rows = [
        blood("plasma_cells", day, per_ul, "P01", volume=volume) for day, per_ul, volume in days
    ]
    frame = kinetics_frame(rows, infused={"P01": INFUSED}, order={})
    left = of(parameters_frame(frame), "plasma_cells")["percent_of_baseline_last"]
    printed = frame.loc[frame["day"] == 84, "lod_per_ul"].item()
    assert (left["high"], left["censoring"]) == (pytest.approx(100 * printed / 3), "left")
    assert left["definition"] == "ratio-to-baseline:below-limit@2"


def test_cells_just_not_detected_may_be_more_than_the_limit_of_detection() -> None:
    rows = [blood("plasma_cells", day, level, "P01") for day, level in ((-7, 3), (84, 0.045))]
    frame = kinetics_frame(rows, infused={"P01": INFUSED}, order={})
    plasma, last = of(parameters_frame(frame), "plasma_cells"), frame[frame["day"] == 84].iloc[0]
    assert (last["code"], last["lod_per_ul"]) == ("ND", pytest.approx(0.05))
    assert plasma["nadir"]["high"] == last["per_ul_high"] > 0.09
    assert plasma["percent_of_baseline_last"]["high"] == pytest.approx(
        100 * last["per_ul_high"] / 3
    )


def test_a_population_never_seen_has_no_numbers_but_all_names() -> None:
    rows = [
        blood(p, day, 0.0, "P01")
        for p in ("car19_t", "b_cells", "plasma_cells")
        for day in (-7, 14, 28)
    ]
    frame = parameters_frame(kinetics_frame(rows, infused={"P01": INFUSED}, order={}))
    assert set(NAMES) == set(of(frame, "car19_t"))
    assert frame[frame["population"] == "car19_t"]["value"].isna().all()
    assert of(frame, "b_cells")["recovery_B_10"]["censoring"] == "right"


def test_parameters_out_of_their_limits_are_caught(parameters: pd.DataFrame) -> None:
    broken = parameters.copy()
    broken.loc[broken["parameter"] == "Cmax", "low"] = 1e6
    with pytest.raises(ReconflowError, match="Cmax"):
        check_parameters(broken)


def test_the_recovery_table_has_one_row_a_patient_and_definition(kinetics: pd.DataFrame) -> None:
    both = cohort_kinetics([patient("P02"), kinetics])
    table = recovery_frame(both)
    assert list(table.columns) == RECOVERY.names
    assert table["patient"].tolist() == ["P01"] * 8 + ["P02"] * 8
    b10 = table[table["definition"] == "B_10@1"].iloc[0]
    assert (b10["low"], b10["high"], b10["censoring"], bool(b10["confirmed"])) == (
        84,
        112,
        "interval",
        True,
    )


def test_the_recovery_table_leaves_depletion_open_where_no_tube_could_tell() -> None:
    rows = [blood("b_cells", -7, 80.0, "P01"), blood("b_cells", 28, 0.0, "P01", volume=20.0)]
    table = recovery_frame(kinetics_frame(rows, infused={"P01": INFUSED}, order={})).set_index(
        "definition"
    )
    assert table["depleted"]["B_ND@1"] is None
    assert table["depleted"]["B_10@1"] is True
    lines = dict(
        line.split(",")[2:4]
        for line in csv_bytes(table.reset_index()[RECOVERY.names], RECOVERY).decode().splitlines()
    )
    assert (lines["B_ND@1"], lines["B_10@1"]) == ("", "true")


def test_the_cohort_is_the_patients_in_order(
    kinetics: pd.DataFrame, parameters: pd.DataFrame
) -> None:
    other = patient("P02")
    assert cohort_kinetics([other, kinetics]).equals(cohort_kinetics([kinetics, other]))
    assert cohort_parameters([parameters_frame(other), parameters])[
        "patient"
    ].is_monotonic_increasing
    assert list(cohort_parameters([]).columns) == PARAMETERS.names


@pytest.mark.parametrize(
    ("visits", "name", "why"),
    [
        ({-7: 80.0}, "depletion_onset", Why.NO_VISIT),
        ({-7: 80.0}, "baseline_ratio_last", Why.NO_VISIT),
        ({-7: 80.0, 14: 60.0, 28: 70.0}, "recovery_B_10", Why.NEVER_DEPLETED),
        ({-7: 80.0, 14: 0.0, 84: 2.0}, "naive_share_at_recovery", Why.NOT_RECOVERED),
        ({14: 0.0, 84: 30.0}, "baseline_ratio_last", Why.NO_BASELINE),
        ({-7: 80.0, 14: 0.0, 84: 30.0}, "naive_share_at_recovery", Why.FEW_B_CELLS),
        ({-7: 80.0, 14: 0.0}, "baseline_ratio_last", Why.BELOW_LIMIT),
    ],
)
def test_what_cannot_be_said_of_b_cells_says_why(
    visits: dict[float, float], name: str, why: Why
) -> None:
    rows = [blood("b_cells", day, level, "P01") for day, level in visits.items()]
    found = of(
        parameters_frame(kinetics_frame(rows, infused={"P01": INFUSED}, order={})), "b_cells"
    )[name]
    assert pd.isna(found["value"])
    assert why_of(str(found["definition"])) is why


def test_a_missing_value_without_reason_is_refused_when_made_but_read_from_an_earlier_program(
    kinetics: pd.DataFrame, parameters: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = parameters.copy()
    earlier.loc[earlier["parameter"] == "half_life", ["value", "definition"]] = (
        np.nan,
        "PKNCA-like@1",
    )
    assert len(cohort_parameters([earlier])) == len(parameters)
    monkeypatch.setattr("tasks.kinetics.rows.because", lambda rule, _: rule)
    with pytest.raises(ReconflowError, match="of patient P01 has no value and no reason why"):
        parameters_frame(kinetics)


def test_every_part_of_a_definition_has_words(parameters: pd.DataFrame) -> None:
    for definition in set(parameters["definition"]):
        assert not re.search(r"PKNCA-like|@|=|:[a-z]|-of-B-|B_\d", rule_in_words(definition))
