"""Read the spill a cytometer stored: how much of each dye every detector sees.

Form of the value (FCS 3.1, $SPILLOVER): ``n,name 1,…,name n,row 1,…,row n``; row = dye, column = detector, diagonal 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panels.errors import CompensationFault

KEYWORDS = ("$SPILLOVER", "SPILL", "SPILLOVER", "$SPILL")
OLDER_FORMS = ("$COMP", "$DFC")
IDENTITY_TOLERANCE = 1e-4
"""Spill below 0.01 % everywhere is no compensation: the Aurora writes 1e-6 in one cell of its placeholder."""
WORST_CONDITION = 1e4
"""Above it the inverse magnifies the detectors' noise ten-thousandfold; real spills measured here stay below 10."""


@dataclass(frozen=True, slots=True, eq=False)
class Spill:
    """A stored spill: ``matrix`` is read-only float64 (k × k), row = dye, column = detector it spills into."""

    detectors: tuple[str, ...]
    matrix: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StoredSpill:
    """What a tube stores: a spill to use, or the sentence why none can be used (``fault``), and what to know of it."""

    spill: Spill | None = None
    fault: str | None = None
    problems: tuple[str, ...] = ()


def read_spill(keywords: Mapping[str, str], detectors: Sequence[str]) -> StoredSpill:
    """Read the spill among ``keywords`` (upper-case names) of a tube with these ``detectors`` (``$PnN``)."""
    stored = [keyword for keyword in KEYWORDS if keywords.get(keyword)]
    if not stored:
        older = next((key for key in keywords if key.startswith(OLDER_FORMS)), None)
        note = f"The compensation of this tube is stored in an older form ({older}), which is not used: give a spill."
        return StoredSpill(problems=(note,) if older else ())
    bare = [keyword for keyword in stored if _has_no_coefficients(keywords[keyword])]
    if bare == stored:
        return StoredSpill(problems=(f"{bare[0]} names channels but holds no coefficients: this tube is not compensated.",))
    try:
        spills = [_parse(keyword, keywords[keyword], detectors) for keyword in stored]
    except CompensationFault as fault:
        return StoredSpill(fault=str(fault))
    first = spills[0]
    if any(other.detectors != first.detectors or not np.array_equal(other.matrix, first.matrix) for other in spills[1:]):
        return StoredSpill(fault=f"The tube stores two different spills ({' and '.join(stored)}). Export it again with one.")
    if np.abs(first.matrix - np.eye(len(first.detectors))).max() <= IDENTITY_TOLERANCE:
        return StoredSpill(problems=(f"{stored[0]} is an identity matrix: this tube is not compensated.",))
    return StoredSpill(spill=first)


def _has_no_coefficients(value: str) -> bool:
    """Tell whether a spill stops after its channel names, as MACSQuant files do that were never compensated."""
    parts = value.rstrip(", \t\r\n").split(",")
    return parts[0].strip() == str(len(parts) - 1)


def _parse(keyword: str, value: str, detectors: Sequence[str]) -> Spill:
    """Read one spill keyword; raises CompensationFault with the sentence why it cannot be used."""
    parts = [part.strip() for part in value.rstrip(", \t\r\n").split(",")]
    size = int(parts[0]) if parts[0].isascii() and parts[0].isdigit() and len(parts[0]) < 6 else 0
    if size == 0 or len(parts) != 1 + size + size * size:
        raise CompensationFault(f"{keyword} is not a number n, n channels and n × n coefficients. Export the tube with its compensation.")
    named = _named(keyword, parts[1 : 1 + size], detectors)
    try:
        matrix = np.array([float(part) for part in parts[1 + size :]], dtype=np.float64).reshape(size, size)
    except ValueError as error:
        raise CompensationFault(f"{keyword} holds a coefficient that is not a number ({error}). Export the tube again.") from error
    if not np.isfinite(matrix).all():
        raise CompensationFault(f"{keyword} holds a coefficient that is not a finite number. Compensate the tube again.")
    with np.errstate(all="ignore"):
        condition = np.linalg.cond(matrix)
    if not condition <= WORST_CONDITION:
        raise CompensationFault(f"{keyword} cannot be inverted (singular): its rows do not tell the dyes apart. Compensate the tube again.")
    if np.abs(np.diag(matrix) - 1).max() > IDENTITY_TOLERANCE:
        raise CompensationFault(f"{keyword} does not have 1 on its diagonal: its rows and channels are permuted, or it is not a spill.")
    matrix.setflags(write=False)
    return Spill(detectors=named, matrix=matrix)


def _named(keyword: str, names: Sequence[str], detectors: Sequence[str]) -> tuple[str, ...]:
    """Find the channels a spill names; Beckman writes channel numbers, counted from 1, instead of names."""
    if not set(names) & set(detectors) and all(name.isascii() and name.isdigit() for name in names):
        numbers = [int(name) for name in names]
        names = [detectors[n - 1] if 1 <= n <= len(detectors) else f"number {n}" for n in numbers]
    unknown = sorted(set(names) - set(detectors))
    if unknown:
        raise CompensationFault(f"{keyword} names the channel '{unknown[0]}', which this tube does not have. Export the tube again.")
    if len(set(names)) != len(names):
        raise CompensationFault(f"{keyword} names a channel twice. Export the tube again.")
    return tuple(names)
