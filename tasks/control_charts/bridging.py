"""Compare two lots of a reagent by tubes of the same draws stained with both.

A new lot is bridged by at least five samples stained with both lots; the ratio of what they show
must lie between 0.8 and 1.25 (SCIENCE sections 5 and 10). The ratio of a signal is the geometric
mean over the samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

ENOUGH_SAMPLES = 5
LOW, HIGH = 0.8, 1.25

Verdict = Literal["accepted", "refused", "too few tubes"]


@dataclass(frozen=True, slots=True)
class SignalRatio:
    """How a new lot compares with the old one in one signal.

    ``ratio`` (new over old) is the geometric mean over the samples, ``lowest`` and ``highest`` are
    those of single samples. There is no verdict on fewer than five samples.
    """

    signal: str
    samples: int
    ratio: float
    lowest: float
    highest: float

    @property
    def verdict(self) -> Verdict:
        """Judge the new lot in this signal; both limits are within."""
        if self.samples < ENOUGH_SAMPLES:
            return "too few tubes"
        return "accepted" if LOW <= self.ratio <= HIGH else "refused"

    @property
    def in_words(self) -> str:
        """Write the verdict, with the number of samples where they are too few."""
        if self.verdict == "too few tubes":
            return f"too few tubes: {self.samples} of {ENOUGH_SAMPLES}"
        return self.verdict


@dataclass(frozen=True, slots=True)
class Bridging:
    """Two lots of one panel on one instrument, compared signal by signal."""

    panel: str
    old: str
    new: str
    samples: int
    ratios: tuple[SignalRatio, ...]


def bridge(
    panel: str, lots: tuple[str, str], pairs: Sequence[tuple[Mapping[str, float], ...]]
) -> Bridging:
    """Compare the ``lots`` (old, new) by what each sample shows with the old and with the new one.

    Each of ``pairs`` holds the signals of one sample, of the old lot and of the new. A signal that
    one of the two lacks, or that is not above 0, is not compared in that sample.
    """
    logarithms: dict[str, list[float]] = {}
    for old, new in pairs:
        for name in sorted(old.keys() & new.keys()):
            if old[name] > 0 and new[name] > 0:
                logarithms.setdefault(name, []).append(math.log(new[name] / old[name]))
    ratios = tuple(
        SignalRatio(
            name,
            len(found),
            math.exp(math.fsum(found) / len(found)),
            math.exp(min(found)),
            math.exp(max(found)),
        )
        for name, found in sorted(logarithms.items())
    )
    return Bridging(panel, *lots, len(pairs), ratios)
