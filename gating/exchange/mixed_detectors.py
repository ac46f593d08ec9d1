"""List the detectors of a document's matrix that an import of its gates needs in the panel."""

from collections.abc import Sequence

import numpy as np

from gating.fcs.keyword_numbers import finite_number
from gating.fcs.near_identity import is_identity, stands_apart


def mixed_detectors(detectors: Sequence[str], coefficients: Sequence[str]) -> tuple[str, ...]:
    """List the detectors that spill into others, or others into them.

    ``coefficients`` are the matrix as it is written, row after row. An identity has none; all are
    listed where the matrix is not square or holds what is no number, since nothing can be told.
    """
    size = len(detectors)
    values = [finite_number(each) for each in coefficients]
    numbers = [value for value in values if value is not None]
    if not size or len(numbers) != len(values) or len(numbers) != size * size:
        return tuple(detectors)
    matrix = np.array(numbers).reshape(size, size)
    if is_identity(matrix):
        return ()
    return tuple(name for n, name in enumerate(detectors) if not stands_apart(matrix, n))
