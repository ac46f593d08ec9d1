"""Choose the cells that a map is fitted on: every patient and visit weighing alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.explore.sampling import shares
from tasks.explore.tube_events import TubeEvents, sampled

MOST = 20_000
FEWEST = 200
"""A map of fewer cells would be a picture of chance."""
RULE = 1
"""Raised when the same tubes would give another sample."""
CONSTANT = 0.005
"""A marker whose middle 98 % of values lie within this part of its display scale tells nothing."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The cells of a map: ``tube`` (N,) indexes ``tubes`` (SHA-256), all else as in TubeEvents.

    ``counted_as`` (tubes) is what counted each tube, ``events`` (tubes) how many events the
    compartment has there.
    """

    tubes: tuple[str, ...]
    events: tuple[int, ...]
    markers: tuple[str, ...]
    tube: NDArray[np.uint16]
    rows: NDArray[np.int64]
    values: NDArray[np.float32]
    codes: NDArray[np.uint16]
    sets: tuple[tuple[str, ...], ...]
    weights: NDArray[np.float64]

    def of(self, markers: Sequence[str]) -> NDArray[np.float32]:
        """Give the values (N, markers) of some markers."""
        return columns_of(self.values, self.markers, markers)


def columns_of(
    values: NDArray[np.float32], known: Sequence[str], wanted: Sequence[str]
) -> NDArray[np.float32]:
    """Give the columns of some markers, in memory row by row."""
    places = [list(known).index(marker) for marker in wanted]
    return np.ascontiguousarray(values[:, places])


def reference_of(tubes: Sequence[tuple[str, TubeEvents]], most: int = MOST) -> Reference:
    """Choose at most ``most`` events of tubes, which come with their patient.

    They are shared out over patients, then over a patient's tubes, then over a tube's codes: to
    each as many, and what small ones leave over to the others. Tubes without events are left out.
    """
    found = sorted(
        ((patient, each) for patient, each in tubes if len(each.rows)),
        key=lambda pair: (pair[0], pair[1].tube_sha256),
    )
    quotas = _quotas(found, most)
    chosen = [sampled(each, quota) for (_, each), quota in zip(found, quotas, strict=True)]
    sets, codes = _joined_sets(chosen)
    lengths = [len(each.rows) for each in chosen]
    empty = np.empty(0)
    return Reference(
        tubes=tuple(each.tube_sha256 for each in chosen),
        events=tuple(each.events for each in chosen),
        markers=chosen[0].markers if chosen else (),
        tube=np.repeat(np.arange(len(chosen), dtype=np.uint16), lengths),
        rows=np.concatenate([empty, *(each.rows for each in chosen)]).astype(np.int64),
        values=np.concatenate([each.values for each in chosen] or [np.empty((0, 0), np.float32)]),
        codes=np.concatenate([empty, *codes]).astype(np.uint16),
        sets=sets,
        weights=np.concatenate([empty, *(each.weights for each in chosen)]),
    )


def _quotas(found: Sequence[tuple[str, TubeEvents]], most: int) -> list[int]:
    """Say how many events each tube gives."""
    patients = [patient for patient, _ in found]
    sizes = np.array([len(each.rows) for _, each in found], dtype=np.int64)
    names = list(dict.fromkeys(patients))
    number = np.array([names.index(patient) for patient in patients], dtype=np.int64)
    of_patient = shares(np.bincount(number, sizes, len(names)).astype(int).tolist(), most)
    quotas = np.zeros(len(found), dtype=np.int64)
    for place in range(len(names)):
        its = np.flatnonzero(number == place)
        quotas[its] = shares(sizes[its].tolist(), int(of_patient[place]))
    return [int(quota) for quota in quotas]


def _joined_sets(
    chosen: Sequence[TubeEvents],
) -> tuple[tuple[tuple[str, ...], ...], list[NDArray[np.uint16]]]:
    """Give the sets of gates of several tubes once each, and each tube's codes among them."""
    met = {each.sets[code] for each in chosen for code in np.unique(each.codes)}
    sets = tuple(sorted(met))
    place = {gates: number for number, gates in enumerate(sets)}
    codes = []
    for each in chosen:
        again = np.array([place.get(gates, 0) for gates in each.sets], dtype=np.uint16)
        codes.append(again[each.codes])
    return sets, codes


def constant_markers(reference: Reference, markers: Sequence[str]) -> tuple[str, ...]:
    """Name the markers that tell the reference's cells not apart at all."""
    low, high = np.quantile(reference.of(markers), (0.01, 0.99), axis=0)
    return tuple(m for m, width in zip(markers, high - low, strict=True) if width < CONSTANT)
