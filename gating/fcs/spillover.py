"""Read the spill a cytometer stored: how much of each dye every detector sees.

Form of the value (FCS 3.1, $SPILLOVER): ``n,name 1,…,name n,row 1,…,row n``; row = dye,
column = detector, diagonal 1.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gating.fcs.limits import MOST_SPILL_CHANNELS, MOST_SPILLS
from gating.fcs.near_identity import IDENTITY_TOLERANCE, is_identity, stands_apart
from gating.fcs.text_segment import SPILL_KEYWORDS
from panels.panel import FLUOROCHROMES, plain
from panels.text.errors import CompensationFault
from panels.text.printable import without_controls
from panels.text.quoting import is_standard

MOST_ROUNDING = 5e-4
"""Coefficients that differ by more are two, however few digits are written: 0.05 % of a dye."""
WORST_CONDITION = 1e4
"""Above it the inverse magnifies the detectors' noise ten-thousandfold; real spills stay below
10."""
ALREADY_SUBTRACTED = re.compile(r"\$COMP|\$DFC[0-9]+TO[0-9]+")
"""Keywords of FCS 2.0 and 3.0 for what the cytometer's electronics took off before it stored."""

_WHOLE = re.compile(r"[+-]?[0-9]+(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True, eq=False)
class Spill:
    """A stored spill: ``matrix`` is read-only float64 (k × k), row = dye, column = detector."""

    detectors: tuple[str, ...]
    matrix: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StoredSpill:
    """What a tube stores: a spill to use, or the sentence why none can be used (``fault``).

    ``identity`` tells that the only spill stored is an identity matrix; ``problems`` are sentences
    to show.
    """

    spill: Spill | None = None
    fault: str | None = None
    identity: bool = False
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Written:
    """One spill as it is written, its k × k coefficients as text too.

    ``left_out`` are sentences on the channels that were left out.
    """

    keyword: str
    spill: Spill
    coefficients: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def rounding(self) -> NDArray[np.float64]:
        """Give half a unit of the last digit of each coefficient (k × k)."""
        halves = np.array([_half_a_digit(each) for each in self.coefficients])
        return halves.reshape(self.spill.matrix.shape)


def read_spill(
    keywords: Mapping[str, str], spills: Mapping[str, Sequence[str]], detectors: Sequence[str]
) -> StoredSpill:
    """Read the spill of a tube with these ``detectors`` (``$PnN``).

    ``spills`` holds every value of each spill keyword, wherever TEXT has it.
    """
    stored = [(key, value) for key in SPILL_KEYWORDS for value in spills.get(key, ()) if value]
    if not stored:
        return StoredSpill(problems=_already_subtracted(keywords))
    if len({value for _, value in stored}) > MOST_SPILLS:
        return StoredSpill(fault=_two_spills([key for key, _ in stored]))
    if all(_has_no_coefficients(value) for _, value in stored):
        key = stored[0][0]
        sentence = f"{key} names channels but holds no coefficients: this tube is not compensated."
        return StoredSpill(problems=(sentence,))
    try:
        written = [_parse(keyword, value, detectors) for keyword, value in stored]
        spill = _only_one(written)
    except CompensationFault as fault:
        return StoredSpill(fault=str(fault))
    left_out = tuple(dict.fromkeys(sentence for each in written for sentence in each.left_out))
    if is_identity(spill.matrix):
        sentence = f"{stored[0][0]} is an identity matrix: this tube is not compensated."
        return StoredSpill(identity=True, problems=(sentence, *left_out))
    return StoredSpill(spill=spill, problems=left_out)


def _already_subtracted(keywords: Mapping[str, str]) -> tuple[str, ...]:
    """Give a sentence on compensation keywords of FCS 2.0 and 3.0, which are no spill.

    $COMP holds the percentages that "have been subtracted electronically" (FCS 3.0, $COMP),
    $DFCiTOj one of them each: used as a spill they would compensate what is compensated already.
    """
    older = next((key for key in keywords if is_subtracted(key)), None)
    if older is None:
        return ()
    sentence = (
        f"{older} tells what the cytometer subtracted before it stored the values. "
        f"It is not used as a spill, which would compensate them twice."
    )
    return (sentence,)


def is_subtracted(keyword: str) -> bool:
    """Tell whether a keyword tells what the cytometer subtracted before it stored the values."""
    return is_standard(keyword) and ALREADY_SUBTRACTED.fullmatch(keyword) is not None


def _only_one(written: Sequence[_Written]) -> Spill:
    """Give the most exact of the spills; raises CompensationFault when they are not the same."""
    if len(written) == 1:
        return written[0].spill
    exact = sorted(((each, each.rounding) for each in written), key=lambda pair: pair[1].sum())
    best, finest = exact[0]
    for other, rounding in exact[1:]:
        if not _same(best.spill, other.spill, finest, rounding):
            raise CompensationFault(_two_spills([each.keyword for each in written]))
    return best.spill


def _two_spills(keywords: Sequence[str]) -> str:
    names = list(dict.fromkeys(keywords))
    where = " and ".join(names) if len(names) > 1 else f"{names[0]}, written twice"
    return (
        f"The tube stores two different spills ({where}): two spills that differ cannot both be "
        f"right. Export it again with one."
    )


def _same(
    one: Spill, other: Spill, rounding: NDArray[np.float64], others: NDArray[np.float64]
) -> bool:
    """Compare two spills detector by detector, within what their rounding explains."""
    if set(one.detectors) != set(other.detectors):
        return False
    order = [other.detectors.index(detector) for detector in one.detectors]
    square = np.ix_(order, order)
    allowed = np.minimum(rounding + others[square], MOST_ROUNDING)
    differences = np.abs(one.matrix - other.matrix[square])
    return bool((differences <= allowed * (1 + 1e-9)).all())


def _has_no_coefficients(value: str) -> bool:
    """Tell whether a spill stops after its channel names, as MACSQuant writes it uncompensated."""
    parts = value.rstrip(", \t\r\n").split(",")
    return parts[0].strip() == str(len(parts) - 1)


def _parse(keyword: str, value: str, detectors: Sequence[str]) -> _Written:
    """Read one spill keyword; raises CompensationFault with the sentence why it cannot be used."""
    parts = [part.strip() for part in value.rstrip(", \t\r\n").split(",")]
    size = int(parts[0]) if re.fullmatch(r"[0-9]{1,5}", parts[0]) else 0
    if size > MOST_SPILL_CHANNELS:
        raise CompensationFault(
            f"{keyword} announces {size:,} channels, more than {MOST_SPILL_CHANNELS}, "
            f"which no cytometer compensates. Export the tube with its compensation."
        )
    _refuse_decimal_comma(keyword, value, parts, size)
    if size == 0 or len(parts) != 1 + size + size * size:
        raise CompensationFault(
            f"{keyword} is not a number n, n channels and n × n coefficients. "
            f"Export the tube with its compensation."
        )
    named = [without_controls(part) for part in parts[1 : 1 + size]]
    matrix = _numbers(keyword, parts[1 + size :]).reshape(size, size)
    _refuse_useless(keyword, matrix)
    names = _with_numbers_named(named, detectors)
    gone = [n for n, name in enumerate(names) if name not in set(detectors)]
    if len(gone) == size or not all(stands_apart(matrix, place) for place in gone):
        gone = []
    kept = [place for place in range(size) if place not in gone]
    known = _known(keyword, [names[place] for place in kept], detectors)
    coefficients = np.array(parts[1 + size :], dtype=object).reshape(size, size)
    square = np.ix_(kept, kept)
    spill = Spill(detectors=known, matrix=matrix[square])
    spill.matrix.setflags(write=False)
    left_out = tuple(_left_out(keyword, names[place], place) for place in gone)
    return _Written(keyword, spill, tuple(coefficients[square].ravel()), left_out)


def _left_out(keyword: str, name: str, place: int) -> str:
    return (
        f"{keyword} names {_channel_described(name, place + 1)}, which this tube does not have. "
        f"It spills nowhere and nothing spills into it, so it is left out."
    )


def _refuse_decimal_comma(keyword: str, value: str, parts: Sequence[str], size: int) -> None:
    """Raise CompensationFault, naming the cause, when a PC with a decimal comma wrote the spill.

    Each coefficient then takes two fields, or fields are kept apart by semicolons. They are not put
    together again: where some are written without decimals, several matrices would fit.
    """
    fields = [field.strip() for field in value.split(";")]
    by_semicolon = len(fields) > 1 and any(re.fullmatch(r"[+-]?[0-9]*,[0-9]+", f) for f in fields)
    coefficients = parts[1 + size :]
    many = size * size < len(coefficients) <= 2 * size * size
    in_two = many and all(map(_WHOLE.fullmatch, coefficients))
    if by_semicolon or in_two:
        raise CompensationFault(
            f"{keyword} is written with a decimal comma, so its coefficients cannot be told apart. "
            f"Set the regional setting of the cytometer's PC to a decimal point, "
            f"then export the tube again."
        )


def _numbers(keyword: str, coefficients: Sequence[str]) -> NDArray[np.float64]:
    try:
        matrix = np.array([float(each) for each in coefficients], dtype=np.float64)
    except ValueError as error:
        raise CompensationFault(
            f"{keyword} holds a coefficient that is not a number. Export the tube again."
        ) from error
    if not np.isfinite(matrix).all():
        raise CompensationFault(
            f"{keyword} holds a coefficient that is not a finite number. Compensate the tube again."
        )
    return matrix


def _refuse_useless(keyword: str, matrix: NDArray[np.float64]) -> None:
    """Refuse a matrix that cannot be a spill; raises CompensationFault."""
    with np.errstate(all="ignore"):
        condition = np.linalg.cond(matrix)
    if not condition <= WORST_CONDITION:
        raise CompensationFault(
            f"{keyword} cannot be inverted (singular): its rows do not tell the dyes apart. "
            f"Compensate the tube again."
        )
    if np.abs(np.diag(matrix) - 1).max() > IDENTITY_TOLERANCE:
        raise CompensationFault(
            f"{keyword} does not have 1 on its diagonal: "
            f"its rows and channels are permuted, or it is not a spill."
        )


def _half_a_digit(number: str) -> float:
    """Give half a unit of the last digit written: 0.005 for 0.18, 0.0005 for 1.8e-1 or 0.180."""
    mantissa, _, exponent = number.lower().partition("e")
    # Beyond five digits it changes nothing, and Python refuses to read thousands of them.
    decimals = len(mantissa.partition(".")[2]) - int(exponent[:6] or "0")
    return 0.5 * 10.0 ** -max(min(decimals, 20), 0)


def _with_numbers_named(names: Sequence[str], detectors: Sequence[str]) -> list[str]:
    """Give the channels a spill names; Beckman writes channel numbers from 1 instead of names."""
    known = set(detectors)
    if set(names) & known or not all(re.fullmatch(r"[0-9]{1,9}", name) for name in names):
        return list(names)
    numbers = [int(name) for name in names]
    return [detectors[n - 1] if 1 <= n <= len(detectors) else f"number {n}" for n in numbers]


def _known(keyword: str, names: Sequence[str], detectors: Sequence[str]) -> tuple[str, ...]:
    """Refuse a spill that names a channel the tube lacks, or one twice."""
    known = set(detectors)
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise CompensationFault(
            f"{keyword} names {_channel_described(unknown, names.index(unknown) + 1)}, "
            f"which this tube does not have. Export the tube again."
        )
    if len(set(names)) != len(names):
        raise CompensationFault(f"{keyword} names a channel twice. Export the tube again.")
    return tuple(names)


def _channel_described(name: str, place: int) -> str:
    """Name a channel of a spill; what is not built as a detector's name could be a person's."""
    if re.fullmatch(r"number [0-9]+", name):
        return f"the channel {name}"
    dye = plain(re.sub(r"-[AHW]$", "", name))
    built = dye in FLUOROCHROMES or re.fullmatch(r"[A-Z]{1,4}[0-9]{1,3}", dye)
    return f"the channel '{name}'" if built else f"a channel (number {place} of its list)"
