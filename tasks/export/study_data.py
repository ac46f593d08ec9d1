"""Gather the whole study's tables as they are now, or as they were at an earlier moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from panels.text.errors import UsageFault
from tasks.counting.limits import LimitSettings
from tasks.kinetics.cohort import cohort_kinetics, cohort_parameters
from tasks.kinetics.schema import RECOVERY
from tasks.kinetics.table_schema import TableSchema
from tasks.results.stored_tables import SCHEMAS, frames_of
from tasks.sheets.columns import FIRST_YEAR, LAST_YEAR
from tasks.store.editions import Edition, editions_as_of, first_edition

if TYPE_CHECKING:
    import pandas as pd

    from tasks.study.folder import Study


@dataclass(frozen=True, slots=True)
class StudyData:
    """All tables of a study at one moment (``as_of``; None: now), patient by patient.

    ``detect_events`` is the study's limit of detection, ``infused`` the first infusions as
    patients.csv gives them now, ``time_zone`` the study's. ``labels`` are the names of the
    populations, ``results`` is the folder of the pages; ``way_to_results`` leads there from where
    the tables are written.
    """

    study: str
    as_of: datetime | None
    kinetics: pd.DataFrame
    parameters: pd.DataFrame
    recovery: pd.DataFrame
    detect_events: int = LimitSettings().detect_events
    infused: Mapping[str, datetime] = field(default_factory=dict)
    time_zone: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    results: Path | None = None
    way_to_results: str | None = None

    def tables(self) -> list[tuple[str, pd.DataFrame, TableSchema]]:
        """List name, rows and schema of each table."""
        return [(name, getattr(self, name), schema) for name, schema in SCHEMAS.items()]


def collect(study: Study, as_of: datetime | None = None) -> StudyData:
    """Read the tables from the store's editions; raises UsageFault when there were none (yet)."""
    with study.store() as store:
        editions, first = editions_as_of(store, as_of), first_edition(store)
    if not editions:
        raise UsageFault(_nothing(as_of, first))
    return StudyData(
        study=study.settings.study,
        as_of=as_of,
        kinetics=cohort_kinetics(frames_of(editions, "kinetics")),
        parameters=cohort_parameters(frames_of(editions, "parameters")),
        recovery=_recovery(editions),
        detect_events=study.settings.limits.detect_events,
        infused={name: patient.infused for name, patient in study.patients().patients.items()},
        time_zone=study.settings.local_zone,
        results=study.results,
    )


def moment_of(text: str, time_zone: str) -> datetime:
    """Read the moment of a data-cut (``--as-of``).

    A day means its end, a time without offset is meant in the study's time zone. Raises UsageFault
    for what is no day or time of a study.
    """
    zone = ZoneInfo(time_zone)
    try:
        if len(text) == len("2026-01-31"):
            moment = datetime.combine(date.fromisoformat(text), time.max, zone)
        else:
            moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageFault(
            f"--as-of {text}: not a day or time; write 2026-03-31 or 2026-03-31T18:00."
        ) from error
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise UsageFault(f"--as-of {text}: no time of a study; check the year.")
    if moment.tzinfo:
        return moment
    return moment.replace(tzinfo=zone)


def _recovery(editions: Iterable[Edition]) -> pd.DataFrame:
    import pandas as pd

    frames = [frame for frame in frames_of(editions, "recovery") if len(frame)]
    if not frames:
        return pd.DataFrame({name: [] for name in RECOVERY.names})
    return pd.concat(frames, ignore_index=True)


def _nothing(as_of: datetime | None, first: str | None) -> str:
    if first is None:
        return "No tables have been written yet: run `reconflow run` first."
    moment = as_of.isoformat(timespec="minutes") if as_of else "now"
    earliest = datetime.fromisoformat(first).astimezone(UTC).isoformat(timespec="minutes")
    return f"No table was known at {moment}: the first was written at {earliest}."
