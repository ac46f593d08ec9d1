"""Expect how many beads a second come in a tube, from the other tubes of its batch.

One lot in one volume of blood at one flow rate brings its beads evenly.
"""

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
each tube shows nothing."""


def expected_bead_rates(tubes: Iterable[TubeCounts]) -> dict[str, float]:
    """Give for each tube (SHA-256) the median beads per second of the others of its batch.

    It is given where at least four others agree among themselves. Tubes are comparable when panel,
    instrument, batch, beads per tube and blood volume are the same and their beads are proven.
    Excluded tubes have no part in it.
    """
    batches: dict[tuple[object, ...], list[TubeCounts]] = {}
    for tube in tubes:
        identity = tube.identity
        is_sound = tube.is_usable and not tube.is_excluded and tube.bead_proof == "proven"
        if identity.batch and tube.bead_rate and is_sound:
            key = (
                identity.panel,
                identity.instrument,
                identity.batch,
                identity.beads_per_tube,
                identity.blood_volume_ul,
            )
            batches.setdefault(key, []).append(tube)
    expected: dict[str, float] = {}
    for batch in batches.values():
        for tube in batch:
            rates = [other.bead_rate for other in batch if other is not tube and other.bead_rate]
            if len(rates) >= OTHER_TUBES and _spread(rates) <= STEADY:
                expected[tube.identity.tube_sha256] = statistics.median(rates)
    return expected


def with_bead_rates(tubes: Iterable[TubeCounts], expected: Mapping[str, float]) -> list[TubeCounts]:
    """Give the tubes with the bead rate that their batch lets expect."""
    return [
        replace(tube, expected_bead_rate=expected.get(tube.identity.tube_sha256)) for tube in tubes
    ]


def _spread(rates: list[float]) -> float:
    """Give the robust SD of the rates on the logarithm (1.4826 × median absolute deviation)."""
    logs = np.log(rates)
    return float(1.4826 * np.median(np.abs(logs - np.median(logs))))
