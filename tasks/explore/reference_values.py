"""Give what a map's page says of the map itself: its reference, its frame, its markers' scales."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gating.display.drawn_axes import scale_ticks
from tasks.publish.page_data import packed

if TYPE_CHECKING:
    from tasks.explore.compartments import Compartment
    from tasks.explore.map_files import FittedMap

BINS = 128
MARGIN = 0.03
"""So far beyond the reference's cells, as part of its width, a map reaches on each side."""

Limits = list[list[float]]


def map_limits(coordinates: NDArray[np.float32]) -> Limits:
    """Give low and high of both coordinates (N, 2) of a map, with a margin."""
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    margin = (high - low) * MARGIN
    return [
        [float(f"{a:.5g}"), float(f"{b:.5g}")]
        for a, b in zip(low - margin, high + margin, strict=True)
    ]


def reference_values(fitted: FittedMap, limits: Limits) -> dict[str, Any]:
    """Say what a map was made of, and how many of its cells lie in each bin of its frame."""
    record = fitted.record
    x, y = fitted.coordinates.T
    counts = np.histogram2d(x, y, BINS, limits)[0].astype(np.uint32)
    return {
        "events": len(fitted.reference.rows),
        "tubes": len(record.tubes),
        "made": record.made,
        "reason": record.reason,
        "seed": record.umap.seed,
        "libraries": dict(record.libraries),
        "bins": BINS,
        "counts": packed(counts),
    }


def marker_ticks(compartment: Compartment, marker: str) -> list[list[float | str]]:
    """Give the ticks of a marker's display scale: places and their texts."""
    scale = compartment.used.release.strategy.scale_of(marker)
    return [[round(place, 5), text] for place, text in scale_ticks(scale)]
