"""The nights and the draws around the two days of a year that have 23 and 25 hours."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from prefect.schedules import Cron
from prefect.server.schemas.schedules import CronSchedule

from tasks.study.folder import open_study
from tests.tasks.plain_pass import plain_night
from tests.tasks.study_folder import make_study, write_tube

BERLIN = ZoneInfo("Europe/Berlin")
SETTINGS = """\
study: test
time_zone: Europe/Berlin
nightly: {cron: "30 2 * * *"}
intake: {settle_seconds: 0}
"""
HEADER = "file,patient,collected,panel,visit\n"


def night_schedule(folder: Path) -> CronSchedule:
    """Give the schedule of a study's nights as Prefect's server keeps it."""
    settings = make_study(folder, settings=SETTINGS).settings
    served = Cron(settings.nightly.cron, timezone=settings.nightly_zone)
    return CronSchedule(cron=served.cron, timezone=served.timezone)


@pytest.mark.parametrize(
    "changed",
    [date(2026, 3, 29), date(2026, 10, 25)],
    ids=["02:30 never was", "02:30 was twice"],
)
def test_a_night_at_half_past_two_comes_once_where_the_clocks_change(
    tmp_path: Path, changed: date
) -> None:
    """Before or after the hour that is missing or doubled: Prefect's versions differ in that."""
    schedule = night_schedule(tmp_path / "s")
    noon = datetime(changed.year, changed.month, changed.day, 12, tzinfo=BERLIN)
    first, last = noon - timedelta(days=3), noon + timedelta(days=2)
    nights = {
        # The server looks again and again; no look may find a night that another did not.
        night.astimezone(UTC)
        for hours in range(0, 5 * 24, 3)
        for night in asyncio.run(
            schedule.get_dates(6, first.astimezone(UTC) + timedelta(hours=hours))
        )
        if night <= last
    }
    local = [night.astimezone(BERLIN) for night in sorted(nights)]
    assert [night.date() for night in local] == [changed + timedelta(days=n) for n in range(-2, 3)]
    of_the_change = local[2]
    midnight = datetime(changed.year, changed.month, changed.day, tzinfo=UTC)
    assert timedelta(minutes=30) <= of_the_change - midnight <= timedelta(minutes=90)
    assert {(night.hour, night.minute) for night in local if night != of_the_change} == {(2, 30)}


def days_of(folder: Path, infused: str, draws: Sequence[str]) -> pd.DataFrame:
    """Take in and count a tube a draw; gives visit, collected and day of the patient's table."""
    rows = [f"{n}.fcs,P01,{collected},bcell,V{n}" for n, collected in enumerate(draws)]
    study = make_study(folder, rows, settings=SETTINGS, header=HEADER)
    study.patients_sheet.write_text(f"patient,infused\nP01,{infused}\n", encoding="utf-8")
    for n in range(len(draws)):
        write_tube(study.inbox / f"{n}.fcs", seed=n)
    plain_night(open_study(folder))
    table = pd.read_csv(study.results / "patients" / "P01" / "kinetics.csv")
    return table.drop_duplicates("tube_sha256").sort_values("visit", ignore_index=True)


@pytest.mark.parametrize(
    ("infused", "draws", "hours"),
    [
        (
            "2026-03-27T11:00",
            ["2026-03-29T01:30", "2026-03-29T03:30", "2026-03-30T11:00"],
            [38.5, 39.5, 71.0],
        ),
        (
            "2026-10-23T11:00",
            [
                "2026-10-25T01:30",
                "2026-10-25T02:30+02:00",
                "2026-10-25T02:30+01:00",
                "2026-10-25T03:30",
                "2026-10-26T11:00",
            ],
            [38.5, 39.5, 40.5, 41.5, 73.0],
        ),
    ],
    ids=["23 hours", "25 hours"],
)
def test_days_in_the_tables_are_hours_that_passed_however_the_times_are_written(
    tmp_path: Path, infused: str, draws: list[str], hours: list[float]
) -> None:
    local = days_of(tmp_path / "local", infused, draws)
    assert list(local["day"]) == pytest.approx([each / 24 for each in hours], abs=1e-9)
    moments = [datetime.fromisoformat(each) for each in (infused, *draws)]
    given = [each if each.tzinfo else each.replace(tzinfo=BERLIN) for each in moments]
    written = [each.astimezone(UTC).isoformat() for each in given]
    universal = days_of(tmp_path / "universal", written[0], written[1:])
    assert list(universal["day"]) == list(local["day"])
    assert [datetime.fromisoformat(each) for each in universal["collected"]] == given[1:]


def test_the_hour_that_was_twice_waits_until_the_sheet_says_which_is_meant(tmp_path: Path) -> None:
    table = days_of(tmp_path / "s", "2026-10-23T11:00", ["2026-10-25T02:30", "2026-10-25T03:30"])
    assert list(table["visit"]) == ["V1"]
