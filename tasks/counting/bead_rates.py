"""Say how many beads a second a tube's batch lets expect: one lot in one volume at one flow rate brings them evenly."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from tasks.counting.counts import TubeCounts

OTHER_TUBES = 4
"""So many other tubes of the batch are needed to know its rate."""
STEADY = 0.10
"""Robust SD of a batch's rates, on the logarithm, up to which it has a rate: a flow set anew for
each tube tells nothing."""


def expected_bead_rates(tubes: Iterable[TubeCounts]) -> dict[str, float]:
    """Give for each tube (SHA-256) the median beads per second of the others of its batch, where these agree among themselves.

    Tubes are comparable when panel, instrument, batch, beads per tube and blood volume are the same
    and their beads are proven.
    """
    groups: dict[tuple[object, ...], list[TubeCounts]] = {}
    for tube in tubes:
        identity = tube.identity
        if identity.batch and tube.bead_rate and tube.bead_proof == "proven" and tube.is_usable:
            key = (
                identity.panel,
                identity.instrument,
                identity.batch,
                identity.beads_per_tube,
                identity.blood_volume_ul,
            )
            groups.setdefault(key, []).append(tube)
    expected: dict[str, float] = {}
    for group in groups.values():
        for tube in group:
            rates = [other.bead_rate for other in group if other is not tube and other.bead_rate]
            if len(rates) >= OTHER_TUBES and _spread(rates) <= STEADY:
                expected[tube.identity.tube_sha256] = statistics.median(rates)
    return expected


def with_bead_rates(tubes: Iterable[TubeCounts], expected: Mapping[str, float]) -> list[TubeCounts]:
    """Give the tubes with what their batch lets expect."""
    return [
        replace(tube, expected_bead_rate=expected.get(tube.identity.tube_sha256)) for tube in tubes
    ]


def _spread(rates: list[float]) -> float:
    logs = np.log(rates)
    return float(1.4826 * np.median(np.abs(logs - np.median(logs))))
