"""Say when something was, whether its time was written with an offset from UTC or without.

A time is kept and printed as the laboratory wrote it; whenever two are compared, both are taken to
the same clock first. A time with an offset says for itself when it was. A time without one is the
study's local time (``time_zone`` of study.yaml, summer time and all). Where the study names no time
zone, times without offset are compared among themselves, hour by hour as on a clock that is never
changed.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo


def instant(moment: datetime, time_zone: str | None) -> datetime:
    """Give a time in UTC. Of an hour that the clocks show twice the first is meant (``ambiguous_time`` tells of it)."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(time_zone) if time_zone else UTC)
    return moment.astimezone(UTC)


def local_day(moment: datetime, time_zone: str | None) -> date:
    """Give the day on the study's calendar; without a time zone, the day as it was written."""
    if moment.tzinfo is None or time_zone is None:
        return moment.date()
    return moment.astimezone(ZoneInfo(time_zone)).date()


def comparable(one: datetime, other: datetime, time_zone: str | None) -> bool:
    """Tell whether it can be known which of two times was first and by how much."""
    return time_zone is not None or (one.tzinfo is None) == (other.tzinfo is None)


def same_moment(one: datetime, other: datetime, time_zone: str | None) -> bool:
    """Tell whether two times are the same, however they were written."""
    return comparable(one, other, time_zone) and instant(one, time_zone) == instant(
        other, time_zone
    )


def apart(one: datetime, other: datetime, time_zone: str | None) -> timedelta:
    """Give the time from ``one`` to ``other``, negative when it was before."""
    return instant(other, time_zone) - instant(one, time_zone)


def ambiguous_time(moment: datetime, time_zone: str | None) -> str | None:
    """Say of a time without offset that it was on no clock of the study, or on one twice, because the clocks were changed."""
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
