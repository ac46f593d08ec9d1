"""Reproduce published and known numbers: intervals of counts, kinetic parameters, a logicle scale.

None of the expected values was made by this program.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from gating.strategy.display_scale import apply_transform
from tasks.counting.intervals import bead_ratio, clopper_pearson, garwood, wilson
from tasks.kinetics.areas import USUAL
from tasks.kinetics.nca import analyse
from tasks.kinetics.sample_series import series
from tasks.kinetics.turnbull import turnbull
from tasks.validate.verdict import Verdict

PART = "published numbers"
GARWOOD = {0: (0.0, 3.689), 1: (0.025, 5.572), 20: (12.217, 30.888), 100: (81.364, 121.627)}
"""Exact Poisson limits (Garwood 1936), to three decimals."""
FRACTIONS = {
    "clopper_pearson": (clopper_pearson(7, 100_000), ("2.814e-05", "1.442e-04")),
    "wilson": (wilson(7, 100_000), ("3.391e-05", "1.445e-04")),
}
BEADS_PER_UL = 49_713 / 50
BESIDE_BEADS = (1.6924, 3.8649)
"""Known exact limits of the ratio, given the sum of both."""
FINKELSTEIN = (
    (45, math.inf), (6, 10), (0, 7), (46, math.inf), (46, math.inf), (7, 16), (17, math.inf),
    (7, 14), (37, 44), (0, 8), (4, 11), (15, math.inf), (11, 15), (22, math.inf),
    (46, math.inf), (46, math.inf), (25, 37), (46, math.inf), (26, 40), (46, math.inf),
    (27, 34), (36, 44), (46, math.inf), (36, 48), (37, math.inf), (40, math.inf), (17, 25),
    (46, math.inf), (11, 18), (38, math.inf), (5, 12), (37, math.inf), (0, 5), (18, math.inf),
    (24, math.inf), (36, math.inf), (5, 11), (19, 35), (17, 25), (24, math.inf), (32, math.inf),
    (33, math.inf), (19, 26), (37, math.inf), (34, math.inf), (36, math.inf),
)  # fmt: skip
"""Months to cosmetic deterioration (Finkelstein and Wolfe 1985, Biometrics 41:933)."""
PUBLISHED_MASSES = {(4, 5): 0.0463, (11, 12): 0.0708, (38, 40): 0.1209, (46, 48): 0.4656}
"""Of the same patients, as the R package ``interval`` prints them."""
DAYS = [0.0, 4, 7, 10, 14, 21, 28, 42, 56, 84]
CONCENTRATIONS = [0.0, 2.1, 85, 140, 62, 18, 7.5, 2.4, 0.9, 0.0]
PARAMETERS = {
    "Cmax": 140.0,
    "Tmax": 10.0,
    "AUC0-28": 1188.396,
    "AUClast": 1272.469,
    "lambda_z": 0.07572,
    "half_life": 9.154,
}
"""Known answers for the series above (linear up, logarithmic down)."""
LOGICLE_OF_ZERO = 0.5 / 4.5
"""Where zero lies on a logicle scale of w 0.5 and m 4.5 (Moore and Parks 2012)."""


def check_vectors() -> Iterator[Verdict]:
    """Compute what was published, and compare."""
    found = {events: tuple(round(each, 3) for each in garwood(events)) for events in GARWOOD}
    yield _same("limits of counted events (Garwood 1936)", found, GARWOOD)
    for name, (interval, published) in FRACTIONS.items():
        printed = tuple(f"{limit:.3e}" for limit in interval)
        yield _same(f"limits of 7 in 100,000 ({name})", printed, published)
    beside = tuple(round(limit, 4) for limit in bead_ratio(25, 9_500, BEADS_PER_UL))
    yield _same("cells per µL of 25 beside 9,500 beads", beside, BESIDE_BEADS)
    steps = {(s.low, s.high): round(s.mass, 4) for s in turnbull(*zip(*FINKELSTEIN, strict=True))}
    masses = {place: steps.get(place) for place in PUBLISHED_MASSES}
    yield _same("interval-censored times (Finkelstein and Wolfe 1985)", masses, PUBLISHED_MASSES)
    below = [True, *[False] * 8, True]
    parameters = analyse(series(DAYS, CONCENTRATIONS, below, USUAL))
    for name, value in PARAMETERS.items():
        yield _about(f"{name} of the worked series", parameters[name], value, 1e-4)
    yield from _scales()


def _scales() -> Iterator[Verdict]:
    import flowkit

    logicle = flowkit.transforms.LogicleTransform(262144, 0.5, 4.5, 0)
    zero, full = apply_transform(logicle, np.array([0.0, 262144.0]))
    yield _about("zero on the logicle scale (Moore and Parks 2012)", zero, LOGICLE_OF_ZERO, 1e-9)
    yield _about("full scale on the logicle scale", full, 1.0, 1e-9)


def _same(asked: str, found: object, published: object) -> Verdict:
    return Verdict(PART, asked, found == published, f"found {found}, expected {published}")


def _about(asked: str, found: object, published: float, part: float) -> Verdict:
    holds = isinstance(found, float | int) and math.isclose(found, published, rel_tol=part)
    return Verdict(PART, asked, holds, f"found {found}, expected {published}")
