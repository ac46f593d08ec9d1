"""A tube is counted with the calibration of its own instrument: of several the one that fits."""

from dataclasses import replace
from datetime import date

import pytest

from gating.calibration.choice import TubeInstrument, choose_calibration
from gating.calibration.model import Calibration, Cytometer

TUBE = TubeInstrument(
    named=None, cytometer="BD FACSLyric", serial="R100001", collected_on=date(2026, 2, 7)
)
LYRIC = Cytometer(name="BD FACSLyric", serial="R100001")


def calibration(
    instrument: str = "lyric-1",
    version: str = "1.0.0",
    cytometers: tuple[Cytometer, ...] = (LYRIC,),
    since: date | None = None,
    batches: tuple[str, ...] = (),
) -> Calibration:
    return Calibration(
        panel="bcell",
        instrument=instrument,
        version=version,
        title="test",
        strategy="bcell@2.0.0",
        cytometers=cytometers,
        since=since,
        batches=batches,
        thresholds={},
    )


OTHER = calibration("lyric-2", cytometers=(Cytometer(name="BD FACSLyric", serial="R100002"),))


@pytest.mark.parametrize(
    ("known", "tube"),
    [
        ({}, TUBE),
        ({"cytometer": "bd facs-lyric"}, TUBE),
        ({"serial": "r 100001"}, TUBE),
        ({"named": "the one by the window"}, TUBE),
        ({"named": "Lyric 1", "cytometer": None, "serial": None}, TUBE),
        ({"named": "lyric-1", "serial": None}, TUBE),
    ],
)
def test_an_instrument_is_known_by_the_sheet_or_by_its_file(known, tube) -> None:
    choice = choose_calibration(replace(tube, **known), [OTHER, calibration()])
    assert (choice.place, choice.reason) == (1, "")


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"serial": "R100003"}, "there is no calibration of BD FACSLyric R100003"),
        ({"serial": None}, "there is no calibration of BD FACSLyric"),
        ({"cytometer": "Aurora"}, "there is no calibration of Aurora R100001"),
        (
            {"cytometer": None, "serial": None},
            "there is no calibration of its instrument, which neither sheet nor file names",
        ),
        (
            {"named": "canto", "cytometer": None, "serial": None},
            "there is no calibration of the instrument canto",
        ),
    ],
)
def test_an_instrument_without_calibration_is_named(known, reason) -> None:
    choice = choose_calibration(replace(TUBE, **known), [OTHER, calibration()])
    assert (choice.place, choice.reason) == (None, reason)


def test_a_calibration_without_serial_number_is_of_every_such_cytometer() -> None:
    of_model = calibration(cytometers=(Cytometer(name="BD FACSLyric"),))
    for serial in ("R100001", "R777", None):
        assert choose_calibration(replace(TUBE, serial=serial), [of_model]).place == 0


def test_a_sheet_and_a_file_that_contradict_each_other_leave_the_tube_without_any() -> None:
    choice = choose_calibration(replace(TUBE, named="lyric-2"), [OTHER, calibration()])
    assert choice.place is None
    assert choice.reason == (
        "the sheet says lyric-2, whose calibration is of BD FACSLyric R100002, but the "
        "file is of BD FACSLyric R100001"
    )


@pytest.mark.parametrize(
    ("day", "version"),
    [
        (date(2025, 12, 31), "1.0.0"),
        (date(2026, 1, 1), "1.1.0"),
        (date(2026, 2, 28), "1.1.0"),
        (date(2026, 3, 1), "1.0.10"),
    ],
)
def test_a_calibration_holds_from_its_day_on_until_a_later_one_does(day: date, version) -> None:
    released = [
        calibration(version="1.0.10", since=date(2026, 3, 1)),
        calibration(version="1.0.0"),
        calibration(version="1.1.0", since=date(2026, 1, 1)),
    ]
    place = choose_calibration(replace(TUBE, collected_on=day), released).place
    assert place is not None
    assert released[place].version == version


def test_of_the_same_day_the_highest_version_holds_by_number_and_not_by_letters() -> None:
    released = [calibration(version=version) for version in ("1.0.9", "1.0.10", "1.0.2")]
    assert choose_calibration(TUBE, released).place == 1


def test_a_calibration_of_a_batch_is_for_that_batch_alone_and_goes_before_others() -> None:
    of_lot = calibration(version="1.0.0", batches=("B7",))
    newer = calibration(version="2.0.0")
    assert choose_calibration(replace(TUBE, batch="B7"), [of_lot, newer]).place == 0
    assert choose_calibration(replace(TUBE, batch="B8"), [of_lot, newer]).place == 1
    choice = choose_calibration(replace(TUBE, batch="B8"), [of_lot])
    assert choice.place is None
    assert choice.reason == (
        "no calibration of BD FACSLyric R100001 holds on 2026-02-07 for batch B8"
    )


def test_a_tube_older_than_every_calibration_of_its_instrument_has_none() -> None:
    late = calibration(since=date(2026, 3, 1))
    assert choose_calibration(TUBE, [late]).reason == (
        "no calibration of BD FACSLyric R100001 holds on 2026-02-07"
    )
