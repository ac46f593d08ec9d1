"""Lay the tubes of a study on the map of a compartment; the map is made where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from panels.text.errors import MapFault, SheetFault
from tasks.explore.batch_shift import Shift, batch_shifts, judging, unmeasured
from tasks.explore.compartments import Compartment, axis_gates, compartment
from tasks.explore.findings import Findings
from tasks.explore.make_map import make_map
from tasks.explore.map_clusters import MapClusters
from tasks.explore.map_files import FittedMap, newest_version, read_map
from tasks.explore.placing import MapPlaces, PlacedTube, drift
from tasks.explore.study_tubes import (
    CountedTube,
    TubeReader,
    Unread,
    UnreadTube,
    read_tubes,
    tubes_of,
)
from tasks.explore.tube_events import TubeEvents
from tasks.vocabulary.moments import elapsed_days

if TYPE_CHECKING:
    from tasks.study.snapshot import StudySnapshot
    from tasks.vocabulary.tube_identity import TubeIdentity

FIRST = "first map"


@dataclass(frozen=True, slots=True)
class Exploration:
    """A compartment on its map: all its tubes, in order of patient and time.

    ``findings`` are the clusters of its reference (None: none could be looked for);
    ``opened`` files were read and ``placed`` tubes placed now, the others by an earlier run;
    ``left_out`` are sentences on tubes that are not on the map, ``unread`` those tubes that could
    not be read, ``notes`` say what is to be known.
    """

    compartment: Compartment
    map: FittedMap
    is_new: bool
    tubes: tuple[PlacedTube, ...]
    opened: int
    placed: int
    shifts: tuple[Shift, ...]
    left_out: tuple[str, ...]
    unread: tuple[Unread, ...]
    notes: tuple[str, ...]
    findings: Findings | None


def explore(
    snapshot: StudySnapshot, name: str, *, new_map: str = "", least_visits: int = 1
) -> Exploration:
    """Place all tubes that show a compartment in its newest map.

    ``new_map`` is the reason for another one than there is; a first map is made of no fewer visits
    than ``least_visits``. Raises UsageFault when no strategy
    reports the compartment, MapFault when a map was altered, is of another strategy or panel, or
    cannot be made.
    """
    what = compartment(snapshot, name)
    listed, left_out = tubes_of(snapshot, what)
    reader = TubeReader(snapshot, what)
    version = newest_version(snapshot.study, what.id)
    if version is not None and not new_map:
        # Before any tube is read: what is altered or of another strategy is said at once.
        fitted = read_map(snapshot.study, what.id, version)
        _refuse_other(fitted, what)
        read = read_tubes(reader, listed)
    else:
        _refuse_early(what, listed, least_visits)
        read = read_tubes(reader, listed)
        fitted = make_map(snapshot.study, what, read.tubes, new_map or FIRST)
    placing = _Placing(
        snapshot,
        reader,
        MapPlaces(snapshot.study, fitted),
        MapClusters(snapshot.study, fitted, what),
    )
    tubes, not_counted = placing.all(read.tubes)
    clusters = placing.clusters
    shifts = judging(
        batch_shifts([(t.identity, t.events) for t in tubes], fitted.reference.tubes),
        axis_gates(what),
    )
    return Exploration(
        compartment=what,
        map=fitted,
        is_new=version is None or bool(new_map),
        tubes=tuple(tubes),
        opened=reader.opened,
        placed=placing.places.placed,
        shifts=tuple(shifts),
        left_out=tuple(left_out),
        unread=(*read.unread, *not_counted),
        notes=(
            *_notes(fitted, listed),
            *drift(fitted, tubes),
            *unmeasured(shifts, fitted.record.names),
            *([clusters.fault] if clusters.fault else []),
        ),
        findings=clusters.findings,
    )


def _refuse_other(fitted: FittedMap, what: Compartment) -> None:
    """Raise MapFault where tubes are counted by now as the map's tubes were not."""
    record = fitted.record
    if record.strategy_sha256 != what.used.release.sha256:
        raise MapFault(
            f"{record.map} was made under {record.strategy}, and the tubes are counted under "
            f"{what.used.name}. Make another map: reconflow explore --compartment {what.id} "
            f"--new-map REASON."
        )
    missing = [marker for marker in record.names if marker not in what.shown]
    if missing:
        raise MapFault(
            f"{record.map} needs {', '.join(missing)}, which the panel {what.panel} "
            f"{what.used.panel.version} does not have. Make another map: reconflow explore "
            f"--compartment {what.id} --new-map REASON."
        )


def _refuse_early(what: Compartment, listed: Sequence[CountedTube], least_visits: int) -> None:
    """Raise MapFault where a map would know too few visits: what comes later is not on it."""
    visits = sorted({each.tube.identity.visit for each in listed})
    if len(visits) < least_visits:
        raise MapFault(
            f"there is no map of {what.id} yet. It is made by itself once {least_visits} visits "
            f"are counted (now: {', '.join(visits) or 'none'}), because cells that only a later "
            f"visit has are in no cluster of an earlier map. To make it now: reconflow explore "
            f"--compartment {what.id}"
        )


@dataclass(frozen=True, slots=True)
class _Placing:
    """What lays the tubes of a study on a map, one after the other."""

    snapshot: StudySnapshot
    reader: TubeReader
    places: MapPlaces
    clusters: MapClusters

    def all(
        self, tubes: Sequence[tuple[CountedTube, TubeEvents]]
    ) -> tuple[list[PlacedTube], list[Unread]]:
        """Place tubes; gives them, and those whose events cannot be read to be counted."""
        placed, not_counted = [], []
        for each, events in tubes:
            try:
                placed.append(self.one(each, events))
            except UnreadTube as fault:
                not_counted.append(fault.tube)
        return placed, not_counted

    def one(self, each: CountedTube, events: TubeEvents) -> PlacedTube:
        """Place a tube's sampled events, and count all of its events by cluster."""
        coordinates, placed_by = self.places.place(events)
        labels, counts = self.clusters.of_tube(
            events, each.counted_as, lambda: self.reader.counted(each)
        )
        identity = each.tube.identity
        return PlacedTube(
            identity,
            _day(self.snapshot, identity),
            events,
            coordinates,
            placed_by,
            labels,
            counts,
            each.counted_as,
            each.gating.counted_at,
            each.gating.correction_sha256,
        )


def _day(snapshot: StudySnapshot, identity: TubeIdentity) -> float | None:
    """Give the days since the patient's infusion; None where they are not known."""
    patient = snapshot.patients.patients.get(identity.patient)
    if patient is None:
        return None
    try:
        return elapsed_days(patient.infused, identity.collected, identity.time_zone)
    except SheetFault:
        return None


def _notes(fitted: FittedMap, listed: Sequence[CountedTube]) -> list[str]:
    """Say what of the map's own tubes is otherwise by now, and how small the map is."""
    notes = []
    now = {each.tube.identity.tube_sha256: each.counted_as for each in listed}
    record = fitted.record
    gone = sum(each.sha256 not in now for each in record.tubes)
    other = sum(now.get(each.sha256, each.counted_as) != each.counted_as for each in record.tubes)
    made_of = f"of the {len(record.tubes)} tubes that {record.map} was made of"
    if gone:
        notes.append(
            f"{gone} {made_of} {_are(gone)} in no series by now; the map stays as it was made."
        )
    if other:
        notes.append(
            f"{other} {made_of} {_are(other)} counted otherwise by now; the map stays as it was "
            f"made, and their cells are placed as counted now."
        )
    if len(record.tubes) == 1:
        notes.append(f"{record.map} was made of one tube: what another tube has is not on it.")
    return notes


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
