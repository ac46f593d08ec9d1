"""Tell where a spill matrix is an identity, so that it compensates nothing there."""

import numpy as np
from numpy.typing import NDArray

IDENTITY_TOLERANCE = 1e-4
"""Spill below 0.01 % everywhere is none: the Aurora writes 1e-6 in one cell of its placeholder."""
NEAR_IDENTITY = 1e-3
"""Up to 0.1 % of a dye is no spill that a gate could see: of the brightest signal that a detector
with a range of 262,144 records it is 262, and unstained cells scatter by as much."""


def is_identity(matrix: NDArray[np.float64]) -> bool:
    """Tell whether a square matrix (k × k) compensates nothing (``IDENTITY_TOLERANCE``)."""
    return bool(np.abs(matrix - np.eye(len(matrix))).max() <= IDENTITY_TOLERANCE)


def stands_apart(matrix: NDArray[np.float64], place: int) -> bool:
    """Tell whether a row of a spill and its column are those of an identity (``NEAR_IDENTITY``).

    Such a channel gives nothing to the others and takes nothing from them, so that the matrix
    without it compensates the others alike.
    """
    unit = np.eye(len(matrix))[place]
    differences = np.abs([matrix[place] - unit, matrix[:, place] - unit])
    return bool(differences.max() <= NEAR_IDENTITY)
