"""Say when something was, whether its time was written with an offset from UTC or without.

A time is kept and printed as the laboratory wrote it; whenever two are compared, both are taken to
the same clock first. A time with an offset says for itself when it was. A time without one is the
study's local time (``time_zone`` of study.yaml, summer time and all). Where the study names no time
zone, times without offset are compared among themselves, hour by hour as on a clock that is never
changed.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from panels.text.errors import SheetFault


def instant(moment: datetime, time_zone: str | None) -> datetime:
    """Give a time in UTC.

    Of an hour that the clocks show twice the first is meant (``ambiguous_time`` describes it).
    """
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(time_zone) if time_zone else UTC)
    return moment.astimezone(UTC)


def local_day(moment: datetime, time_zone: str | None) -> date:
    """Give the day on the study's calendar; without a time zone, the day as it was written."""
    if moment.tzinfo is None or time_zone is None:
        return moment.date()
    return moment.astimezone(ZoneInfo(time_zone)).date()


def comparable(one: datetime, other: datetime, time_zone: str | None) -> bool:
    """Decide whether it can be known which of two times was first and by how much."""
    return time_zone is not None or (one.tzinfo is None) == (other.tzinfo is None)


def same_moment(one: datetime, other: datetime, time_zone: str | None) -> bool:
    """Decide whether two times are the same, however they were written."""
    if not comparable(one, other, time_zone):
        return False
    return instant(one, time_zone) == instant(other, time_zone)


def elapsed_days(since: datetime, until: datetime, time_zone: str | None = None) -> float:
    """Give the days of 24 hours from ``since`` to ``until``, negative where that is earlier.

    Times without an offset are meant in ``time_zone``. Raises SheetFault when only one of them has
    an offset and the study names no time zone.
    """
    if not comparable(since, until, time_zone):
        raise SheetFault(
            f"The times {since.isoformat()} and {until.isoformat()} cannot be compared: one has an "
            "offset from UTC and the other has none. Write the study's time zone in study.yaml "
            "(time_zone: Europe/Berlin), or all times of the patient alike."
        )
    return (instant(until, time_zone) - instant(since, time_zone)) / timedelta(days=1)


def ambiguous_time(moment: datetime, time_zone: str | None) -> str | None:
    """Describe a time that the study's clocks never showed, or showed twice, as they were changed.

    Gives ``None`` for a time with an offset, and where the study names no time zone.
    """
    if moment.tzinfo is not None or time_zone is None:
        return None
    zone = ZoneInfo(time_zone)
    first, second = moment.replace(tzinfo=zone, fold=0), moment.replace(tzinfo=zone, fold=1)
    if first.utcoffset() == second.utcoffset():
        return None
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
        return (
            f"{moment.isoformat()} never was: the clocks of {time_zone} were put forward over it. "
            f"Correct the time"
        )
    return (
        f"{moment.isoformat()} was twice, because the clocks of {time_zone} were put back: "
        f"write which of the two is meant, "
        f"{first.isoformat()} or {second.isoformat()}"
    )
