"""Place the events of tubes in a map, each tube once: what was placed keeps its coordinates."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.explore.arrays_file import kept_arrays, write_arrays
from tasks.explore.cluster_counts import ClusterCounts
from tasks.explore.embedding import Placing, coordinates_sha256, library_versions, probes
from tasks.explore.map_files import FittedMap, maps_folder
from tasks.explore.reference import columns_of
from tasks.explore.tube_events import TubeEvents

if TYPE_CHECKING:
    from tasks.study.folder import Study
    from tasks.vocabulary.tube_identity import TubeIdentity


@dataclass(frozen=True, slots=True)
class PlacedTube:
    """A tube on a map: its sampled events, their coordinates (n, 2) and their clusters (n,).

    ``clusters`` counts all events of its compartment. ``day`` is counted from the patient's
    infusion (None: not known); ``placed_by`` is the hash by which the libraries that placed it are
    known, ``counted_as`` stands for what counted it, ``correction_sha256`` for what a
    person corrected in it (empty: nothing), and ``counted_at`` (UTC) says when.
    """

    identity: TubeIdentity
    day: float | None
    events: TubeEvents
    coordinates: NDArray[np.float32]
    placed_by: str
    labels: NDArray[np.int64]
    clusters: ClusterCounts
    counted_as: str
    counted_at: str
    correction_sha256: str


class MapPlaces:
    """Places tubes in a map of a study; umap is loaded when the first new tube comes.

    ``placed`` counts the tubes that were not placed by an earlier run.
    """

    def __init__(self, study: Study, fitted: FittedMap) -> None:
        self._fitted = fitted
        compartment, _, version = fitted.record.map.rpartition("@")
        self._folder = maps_folder(study, compartment) / version / "placed"
        self.placed = 0

    def place(self, events: TubeEvents) -> tuple[NDArray[np.float32], str]:
        """Give the coordinates (n, 2) of a tube's events, and the hash of what placed them."""
        path = self._folder / f"{events.tube_sha256[:12]}.npz"
        key = f"{self._fitted.sha256} {events_sha256(events)}"
        kept = kept_arrays(path, key)
        if kept is not None:
            return kept[1]["coordinates"], kept[0]["placed_by"]
        values = columns_of(events.values, events.markers, self._fitted.record.names)
        coordinates = self._placing.place(values)
        write_arrays(path, {"key": key, "placed_by": self.probe}, {"coordinates": coordinates})
        self.placed += 1
        return coordinates, self.probe

    @cached_property
    def _placing(self) -> Placing:
        record = self._fitted.record
        reference = self._fitted.reference.of(record.names)
        return Placing(reference, self._fitted.coordinates, record.umap.layout)

    @cached_property
    def probe(self) -> str:
        """Place the map's made-up cells and give the hash of where they come to lie."""
        reference = self._fitted.reference.of(self._fitted.record.names)
        return coordinates_sha256(self._placing.place(probes(reference)))


def drift(fitted: FittedMap, tubes: list[PlacedTube]) -> list[str]:
    """Say which tubes were placed otherwise than they would have been when the map was made."""
    other = sum(each.placed_by != fitted.record.probe_sha256 for each in tubes)
    if not other:
        return []
    now = library_versions()
    changed = [
        f"{name} {version} → {now[name]}"
        for name, version in fitted.record.libraries.items()
        if now.get(name) != version
    ]
    since = ", ".join(changed) or "the same libraries on another processor, or another program"
    said = (
        f"{other} of {len(tubes)} tubes were placed by something that places cells otherwise than "
        f"when {fitted.record.map} was made ({since}). Small differences between tubes may come "
        f"from that; --new-map makes a map on which all are placed alike."
    )
    return [said]


def events_sha256(events: TubeEvents) -> str:
    """Hash which events of a tube are placed, and their values."""
    parts = (events.rows.astype("<i8"), events.values.astype("<f4"))
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
