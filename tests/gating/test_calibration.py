"""A calibration gives a strategy the numbers of an instrument, and is chosen by who acquired."""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import pytest

from gating.calibration.catalogue import (
    drafts_in,
    find_calibration,
    known_calibrations,
    place_of,
    read_calibration,
)
from gating.calibration.choice import TubeInstrument, choose_calibration
from gating.calibration.model import Calibration, Cytometer
from gating.strategy.axis_map import AxisMap
from gating.strategy.calibrated import calibrated, misfit
from gating.strategy.catalogue import load_strategy, read_strategy
from gating.strategy.instrument_numbers import instrument_numbers
from gating.strategy.model import Strategy
from panels.files.lock import lock_content
from panels.text.errors import CalibrationFault, StrategyFault
from tasks.tubes.calibration import uncalibrated_populations

LYRIC = Cytometer(name="BD FACSLyric", serial="R123")
MONDAY = date(2026, 11, 30)


def calibration(**other: object) -> Calibration:
    """Make a calibration of bcell@3.0.0 on one instrument."""
    content: dict[str, object] = {
        "panel": "bcell",
        "instrument": "lyric-2",
        "version": "1.0.0",
        "title": "a test's",
        "strategy": "bcell@3.0.0",
        "relative_to": "bcell/simulated@1.0.0",
        "cytometers": [LYRIC.model_dump()],
        "thresholds": {},
    }
    return Calibration.model_validate(content | other)


def bcell() -> Strategy:
    return load_strategy("bcell@3.0.0").strategy


def tube(
    named: str | None = None,
    cytometer: str | None = "BD FACSLyric",
    serial: str | None = "R123",
    **other: object,
) -> TubeInstrument:
    values: dict[str, object] = {"collected_on": MONDAY} | other
    return TubeInstrument(named, cytometer, serial, **values)  # type: ignore[arg-type]


def written(folder: Path, value: Calibration, *, release: bool = True) -> Path:
    """Write a calibration into a laboratory's folder, and release it."""
    path = place_of(folder, value.pin)
    path.parent.mkdir(parents=True)
    path.write_text(value.model_dump_json(exclude_none=True), encoding="utf-8")
    if release:
        lock_content(folder, value.pin, read_calibration(path).sha256, CalibrationFault)
    return path


@pytest.mark.parametrize(
    ("old", "new"),
    [("bcell@2.0.0", "bcell@3.0.0"), ("cart@3.0.0", "cart@4.0.0"), ("tbnk@3.0.0", "tbnk@4.0.0")],
)
def test_a_strategy_without_numbers_has_those_it_had(old: str, new: str) -> None:
    text = (Path("gating/strategies") / new.replace("@", "/") / "strategy.yaml").read_text()
    assert "value:" not in text
    assert "limits:" not in text
    before, after = (load_strategy(pin).strategy.model_dump() for pin in (old, new))
    for kept in (before, after):
        for threshold in kept["thresholds"].values():
            threshold.pop("evidence")
    for key in before.keys() - {"version", "calibration", "landmarks"}:
        assert before[key] == after[key], key


def test_thresholds_take_the_numbers_of_the_calibration() -> None:
    numbers = {"value": 2000, "limits": [1000, 4000], "spread": 250}
    moved = calibrated(bcell(), calibration(thresholds={"cd19": numbers}))
    cd19 = moved.thresholds["cd19"]
    assert (cd19.value, cd19.limits) == (2000, (1000, 4000))
    assert cd19.negative is not None
    assert cd19.negative.spread == 250
    assert moved.thresholds["cd20"] == bcell().thresholds["cd20"]


def test_a_threshold_that_was_not_measured_moves_with_its_detector() -> None:
    at = bcell().landmarks["b_cells"].at
    moved = calibrated(bcell(), calibration(landmarks={"b_cells": {"CD19": at["CD19"] * 2}}))
    before, after = bcell().thresholds["cd19"], moved.thresholds["cd19"]
    assert after.value == pytest.approx(2 * before.value, rel=1e-4)
    assert after.limits == pytest.approx((2 * 550, 2 * 3500), rel=1e-4)
    assert after.negative is not None
    assert before.negative is not None
    assert after.negative.spread == pytest.approx(2 * before.negative.spread, rel=1e-4)


def test_scatter_gates_move_with_their_landmarks() -> None:
    strategy = bcell()
    places = {
        name: {axis: 0.5 * at for axis, at in strategy.landmarks[name].at.items() if "SC-" in axis}
        for name in ("lymphocytes", "granulocytes")
    }
    moved = {gate.gate: gate for gate in calibrated(strategy, calibration(landmarks=places)).gates}
    drawn = {gate.gate: gate for gate in strategy.gates}
    assert moved["t_cells"].rectangle is not None
    assert moved["t_cells"].rectangle["SSC-A"].below == pytest.approx(30_000, rel=1e-3)
    cells = moved["cells"].polygon
    assert cells is not None
    # What reaches the end of the range still does.
    assert {x for x, _ in cells.vertices} == {18_000, 262_144}
    assert moved["singlets"].ratio is not None
    assert moved["singlets"].ratio.above == pytest.approx(0.75, rel=1e-3)
    lymphocytes = moved["lymphocytes"].polygon
    assert lymphocytes is not None
    assert drawn["lymphocytes"].polygon is not None
    # CD45 has no landmark here: its numbers stay.
    assert [x for x, _ in lymphocytes.vertices] == [
        x for x, _ in drawn["lymphocytes"].polygon.vertices
    ]


def test_a_polygon_follows_its_threshold_and_the_axis_beside_its_landmark() -> None:
    strategy = load_strategy("cart@4.0.0").strategy
    at = strategy.landmarks["naive_t_cells"].at["CD45RA"]
    moved = calibrated(
        strategy,
        calibration(
            panel="cart",
            strategy="cart@4.0.0",
            relative_to="cart/simulated@1.0.0",
            thresholds={"car19": {"value": 1440, "clears": [4.0, 3.8, 3.2]}},
            landmarks={"naive_t_cells": {"CD45RA": 3 * at}},
        ),
    )
    border = next(gate.polygon for gate in moved.gates if gate.gate == "car19_t")
    assert border is not None
    assert border.vertices[1] == pytest.approx((3000, 1440), rel=1e-4)
    assert border.vertices[2] == pytest.approx((30_000, 2160), rel=1e-4)
    negative = moved.thresholds["car19"].negative
    assert negative is not None
    assert [stretch.clears for stretch in negative.clearance] == [4.0, 3.8, 3.2]
    assert [stretch.below for stretch in negative.clearance] == [
        pytest.approx(3000, rel=1e-4),
        pytest.approx(30_000, rel=1e-4),
        None,
    ]


def test_two_landmarks_make_a_line_through_both() -> None:
    axis = AxisMap(drawn=(100.0, 400.0), found=(50.0, 800.0))
    assert [axis.at(value) for value in (0, 50, 100, 250, 400, 800)] == [0, 25, 50, 425, 800, 1600]


def test_no_two_values_change_places_on_an_axis() -> None:
    axis = AxisMap(drawn=(20_000.0, 140_000.0), found=(36_000.0, 200_000.0))
    values = [axis.at(float(value)) for value in range(-20_000, 262_144, 700)]
    assert values == sorted(values)


def test_a_calibration_of_other_definitions_is_none() -> None:
    strategy = bcell()
    assert misfit(strategy, calibration()) == ""
    assert "drawn on" in misfit(strategy, calibration(relative_to="bcell/other@1.0.0"))
    older = load_strategy("bcell@2.0.0").strategy
    assert "measured for bcell@3.0.0" in misfit(older, calibration())
    assert misfit(older, calibration(strategy="bcell@2.0.0", relative_to=None)) == ""


@pytest.mark.parametrize(
    ("asked", "place", "reason"),
    [
        (tube(), 0, ""),
        (tube(named="Lyric 2"), 0, ""),
        (tube(named="LYRIC-2", cytometer=None, serial=None), 0, ""),
        (tube(serial="r-123"), 0, ""),
        (tube(serial="R124"), None, "no calibration of BD FACSLyric R124"),
        (tube(serial=None), None, "no calibration of BD FACSLyric"),
        (tube(cytometer="FACSCanto II"), None, "no calibration of FACSCanto II R123"),
        (tube(named="lyric-3", serial="R9"), None, "no calibration of the instrument lyric-3"),
        (tube(named="lyric-2", serial="R124"), None, "the sheet says lyric-2, whose calibration"),
        (tube(named="lyric-2", cytometer="Aurora"), None, "the file is of Aurora R123"),
        (tube(cytometer=None, serial=None), None, "which neither sheet nor file names"),
    ],
)
def test_a_tube_is_counted_with_its_own_instruments(
    asked: TubeInstrument, place: int | None, reason: str
) -> None:
    choice = choose_calibration(asked, [calibration()])
    assert choice.place == place
    assert reason in choice.reason


def test_the_newest_that_holds_is_taken() -> None:
    known = [
        calibration(),
        calibration(version="1.1.0", since="2026-06-01"),
        calibration(version="1.2.0", since="2026-12-01"),
        calibration(version="1.1.1", batches=["lot 7"]),
    ]

    def version(**other: object) -> str | None:
        place = choose_calibration(tube(**other), known).place
        return None if place is None else known[place].version

    assert version(collected_on=date(2026, 1, 1)) == "1.0.0"
    assert version() == "1.1.0"
    assert version(collected_on=date(2027, 1, 1)) == "1.2.0"
    assert version(batch="lot 7") == "1.1.1"
    assert version(batch="lot 8") == "1.1.0"
    only_later = choose_calibration(tube(), [known[2]])
    assert "holds on 2026-11-30" in only_later.reason


def test_a_model_without_a_serial_number_is_no_proof() -> None:
    model = Cytometer(name="BD FACSLyric").model_dump()
    other_site = calibration(instrument="other-site", cytometers=[model])
    # The sheet names an instrument of its own: the same model elsewhere is another instrument.
    assert choose_calibration(tube(named="five"), [other_site]).place is None
    assert choose_calibration(tube(serial=None), [other_site]).place == 0
    # Of two that fit by the model alone nobody can tell which is meant.
    both = [other_site, calibration(instrument="third", version="2.0.0", cytometers=[model])]
    choice = choose_calibration(tube(serial=None), both)
    assert choice.place is None
    assert "other-site and third fit" in choice.reason
    assert "name the instrument in the sample sheet" in choice.reason
    # The file's own serial number decides.
    assert choose_calibration(tube(), [*both, calibration()]).place == 2


def whole(**other: object) -> Calibration:
    """Make a calibration with every number of bcell@3.0.0, those of the simulated instrument."""
    drawn = find_calibration("bcell/simulated@1.0.0").calibration
    thresholds = {
        name: numbers.model_dump(exclude_none=True) for name, numbers in drawn.thresholds.items()
    }
    landmarks = {name: dict(places) for name, places in drawn.landmarks.items()}
    return calibration(**({"thresholds": thresholds, "landmarks": landmarks} | other))


def flagged(tmp_path: Path, value: Calibration) -> tuple[str, ...]:
    """Name the populations of a tube of the calibration's instrument that are uncalibrated."""
    written(tmp_path, value)
    numbers = instrument_numbers(load_strategy("bcell@3.0.0"), tmp_path).for_tube(tube())
    assert numbers.calibration == "bcell/lyric-2@1.0.0"
    return uncalibrated_populations(numbers)


def test_a_whole_calibration_leaves_nothing_open(tmp_path: Path) -> None:
    assert flagged(tmp_path, whole()) == ()


@pytest.mark.parametrize(
    ("landmark", "axis", "meant"),
    [
        ("lymphocytes", "CD45", "lymphocytes"),
        ("monocytes", "CD14+viability", "leukocytes"),
        ("granulocytes", "SSC-A", None),
    ],
)
def test_gates_whose_scale_nobody_found_are_flagged(
    tmp_path: Path, landmark: str, axis: str, meant: str | None
) -> None:
    landmarks = {name: dict(places) for name, places in whole().landmarks.items()}
    del landmarks[landmark][axis]
    populations = flagged(tmp_path, whole(landmarks=landmarks))
    # Side scatter has the lymphocytes as another landmark.
    assert (meant in populations) if meant else (populations == ())


def test_without_any_landmark_everything_on_scatter_is_flagged(tmp_path: Path) -> None:
    assert set(flagged(tmp_path, whole(landmarks={}))) == {each.id for each in bcell().populations}


def test_an_anchor_nobody_measured_goes_with_the_detector() -> None:
    at = bcell().landmarks["lymphocytes"].at
    numbers = {"cd45": {"value": 3000}}
    with_landmark = {"lymphocytes": {"CD45": 2 * at["CD45"]}}
    for landmarks in (with_landmark, {}):
        moved = calibrated(bcell(), calibration(thresholds=numbers, landmarks=landmarks))
        anchor = moved.thresholds["cd45"].anchor
        assert anchor is not None
        assert anchor.median == pytest.approx(2 * 26700, rel=1e-3)


def test_a_calibration_with_other_stretches_is_of_another_strategy() -> None:
    cart = load_strategy("cart@4.0.0").strategy
    of_cart = {"panel": "cart", "strategy": "cart@4.0.0", "relative_to": "cart/simulated@1.0.0"}
    two = calibration(**of_cart, thresholds={"car19": {"value": 720, "clears": [3.9, 3.7]}})
    assert "2 numbers under 'clears' of car19" in misfit(cart, two)
    assert misfit(cart, calibration(**of_cart, thresholds={"car19": {"value": 720}})) == ""


def test_a_landmark_axis_that_a_strategy_no_longer_names_is_left_out() -> None:
    moved = calibrated(bcell(), calibration(landmarks={"b_cells": {"CD19": 9000, "CD99": 5}}))
    assert set(moved.landmarks["b_cells"].at) == {"CD19", "CD20"}


def test_a_landmark_that_a_calibration_lacks_has_no_place_on_its_instrument(tmp_path: Path) -> None:
    written(tmp_path, calibration(landmarks={"b_cells": {"CD20": 20000}}))
    numbers = instrument_numbers(load_strategy("bcell@3.0.0"), tmp_path)
    own, other = numbers.for_tube(tube()), numbers.for_tube(tube(serial="R999"))
    assert own.has_place("b_cells", "CD20")
    assert not own.has_place("b_cells", "CD19"), "the place it has is of another instrument"
    assert numbers.default.has_place("b_cells", "CD19")
    assert not numbers.default.has_place("plasma_cells", "CD19"), "that landmark is not of CD19"
    assert other.fault
    assert not other.has_place("b_cells", "CD20")


def test_a_laboratory_may_not_rename_the_shipped_one(tmp_path: Path) -> None:
    value = calibration(instrument="simulated", relative_to=None)
    written(tmp_path, value)
    with pytest.raises(CalibrationFault, match="is also a shipped calibration"):
        find_calibration("bcell/simulated@1.0.0", tmp_path)


def test_a_measured_calibration_comes_before_the_one_the_strategy_is_drawn_on() -> None:
    drawn_on = calibration(instrument="a", version="9.0.0", relative_to=None)
    assert choose_calibration(tube(), [drawn_on, calibration()]).place == 1
    assert choose_calibration(tube(), [calibration(), drawn_on]).place == 0


def test_a_tube_without_a_calibration_keeps_the_numbers_with_the_fault(tmp_path: Path) -> None:
    written(tmp_path, calibration(thresholds={"cd19": {"value": 2000}}))
    numbers = instrument_numbers(load_strategy("bcell@3.0.0"), tmp_path)
    own = numbers.for_tube(tube())
    assert own.calibration == "bcell/lyric-2@1.0.0"
    assert own.strategy.thresholds["cd19"].value == 2000
    assert own.fault == ""
    assert own.unmeasured == set(bcell().thresholds) - {"cd19"}
    other = numbers.for_tube(tube(serial="R999"))
    assert other.calibration == "bcell/simulated@1.0.0"
    assert other.strategy == bcell()
    assert "no calibration" in other.fault
    simulated = numbers.for_tube(tube(serial="SIMULATED"))
    assert (simulated.fault, simulated.unmeasured) == ("", frozenset())


def test_earlier_strategies_are_of_the_simulated_instrument_too() -> None:
    numbers = instrument_numbers(load_strategy("bcell@2.0.0"), None)
    assert numbers.for_tube(tube(serial="SIMULATED")).fault == ""
    assert numbers.for_tube(tube()).fault != ""
    assert numbers.for_tube(tube()).calibration == ""


@pytest.mark.parametrize(
    ("instruments", "asked", "right"),
    [
        ("", tube(), True),
        ("instruments: [BD FACSLyric]\n", tube(), True),
        ("instruments: [Aurora]\n", tube(), False),
        ("instruments: [lyric-2]\n", tube(named="lyric 2", cytometer="Anything"), True),
    ],
)
def test_a_laboratorys_own_numbers_are_right_for_the_instruments_it_names(
    tmp_path: Path,
    instruments: str,
    asked: TubeInstrument,
    right: bool,  # noqa: FBT001
) -> None:
    text = Path("gating/strategies/bcell/2.0.0/strategy.yaml").read_text(encoding="utf-8")
    path = tmp_path / "strategies" / "bcell" / "2.5.0" / "strategy.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text.replace("2.0.0", "2.5.0") + instruments, encoding="utf-8")
    numbers = instrument_numbers(read_strategy(path), tmp_path / "calibrations")
    assert (numbers.for_tube(asked).fault == "") is right


def test_a_strategy_that_names_a_calibration_may_not_have_numbers_too(tmp_path: Path) -> None:
    text = Path("gating/strategies/bcell/3.0.0/strategy.yaml").read_text(encoding="utf-8")
    path = tmp_path / "strategy.yaml"
    path.write_text(text.replace("{marker: CD45,", "{marker: CD45, value: 1500,"))
    with pytest.raises(StrategyFault, match=r"line \d+: the numbers .* take them out"):
        read_strategy(path)


def test_a_strategy_whose_calibration_lacks_a_threshold_says_which(tmp_path: Path) -> None:
    text = Path("gating/strategies/bcell/3.0.0/strategy.yaml").read_text(encoding="utf-8")
    path = tmp_path / "strategy.yaml"
    path.write_text(
        text.replace("\n  cd45:\n", "\n  cd45_new:\n").replace("above: cd45}", "above: cd45_new}")
    )
    with pytest.raises(StrategyFault, match="cd45_new"):
        read_strategy(path)


def test_a_strategy_may_not_name_a_calibration_that_is_not_there(tmp_path: Path) -> None:
    text = Path("gating/strategies/bcell/3.0.0/strategy.yaml").read_text(encoding="utf-8")
    path = tmp_path / "strategy.yaml"
    path.write_text(text.replace("simulated@1.0.0", "simulatd@1.0.0"))
    with pytest.raises(CalibrationFault, match=r"did you mean 'bcell/simulated@1\.0\.0'"):
        read_strategy(path)


def _changed(path: Path) -> None:
    path.write_text(path.read_text().replace("a test's", "another"))


def _gone(path: Path) -> None:
    path.unlink()


def _moved(path: Path) -> None:
    path.write_text(path.read_text().replace("lyric-2", "lyric-3"))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_changed, "was changed after its release"),
        (_gone, "its file is gone"),
        (_moved, "lies in the folder of"),
    ],
)
def test_a_released_calibration_stays_what_it_was(
    tmp_path: Path, harm: Callable[[Path], None], said: str
) -> None:
    harm(written(tmp_path, calibration()))
    with pytest.raises(CalibrationFault, match=said):
        find_calibration("bcell/lyric-2@1.0.0", tmp_path)


def test_a_draft_counts_nothing(tmp_path: Path) -> None:
    written(tmp_path, calibration(), release=False)
    assert drafts_in(tmp_path) == ["bcell/lyric-2@1.0.0"]
    assert "bcell/lyric-2@1.0.0" not in known_calibrations(tmp_path)
    numbers = instrument_numbers(load_strategy("bcell@3.0.0"), tmp_path)
    assert numbers.for_tube(tube()).fault != ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"thresholds": {"cd19": {"value": 10, "limits": [20, 30]}}}, "must lie within 'limits'"),
        ({"instrument": "no spaces"}, "instrument"),
        ({"instrument": ".."}, "instrument"),
        ({"instrument": "Gerät"}, "instrument"),
        ({"version": "01.0.0"}, "version"),
        ({"since": 0}, "since"),
        ({"cytometers": [{"name": "?"}]}, "letters or digits"),
        ({"thresholds": {"cd19": {"value": -500}}}, "greater than 0"),
        ({"thresholds": {"cd19": {"value": 1e9}}}, "less than or equal to 262144"),
        ({"landmarks": {"b_cells": {"CD19": 1e9}}}, "less than or equal to 262144"),
        (
            {"thresholds": {"cd19": {"value": 5}}, "unmeasured": {"cd19": "?"}},
            "under 'thresholds' and under 'unmeasured'",
        ),
        ({"landmarks": {"b_cells": {"CD19": -4}}}, "greater than 0"),
        ({"since": "30.11.2026"}, "since"),
        ({"threshold": {}}, "did you mean 'thresholds'"),
    ],
)
def test_a_wrong_calibration_is_refused_with_its_place(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    content = calibration().model_dump(mode="json", exclude_none=True) | change
    path = tmp_path / "calibration.yaml"
    path.write_text(_as_yaml(content), encoding="utf-8")
    with pytest.raises(CalibrationFault, match=said) as caught:
        read_calibration(path)
    assert f"{path}, line " in str(caught.value)


def _as_yaml(content: dict[str, object]) -> str:
    import json

    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in content.items())


def test_shipped_calibrations_say_that_they_are_simulated() -> None:
    pins: Sequence[str] = known_calibrations()
    assert {"bcell/simulated@1.0.0", "cart/simulated@1.0.0", "tbnk/simulated@1.0.0"} <= set(pins)
    for pin in pins:
        shipped = find_calibration(pin).calibration
        assert "simulated" in shipped.title.lower()
        assert all(each.serial == "SIMULATED" for each in shipped.cytometers)
