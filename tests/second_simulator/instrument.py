"""The cytometer: which dye leaks where, photons, electronics, digitisation, and gains that move."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RANGE_END = 262_143.0
SCATTER = ("FSC-A", "FSC-H", "SSC-A")
COLOURS = {
    "FITC-A": (488, 530),
    "BB515-A": (488, 515),
    "PE-A": (488, 575),
    "PerCP-Cy5.5-A": (488, 695),
    "PE-Cy7-A": (488, 780),
    "APC-A": (640, 660),
    "APC-R700-A": (640, 720),
    "APC-H7-A": (640, 785),
    "BV421-A": (405, 421),
    "V500-C-A": (405, 500),
    "BV605-A": (405, 605),
    "BV711-A": (405, 711),
    "BV786-A": (405, 786),
}
"""Laser and peak of emission in nm of every dye, which is named as its detector."""
_PARENT = {
    "PE-Cy7-A": "PE-A",
    "PerCP-Cy5.5-A": "APC-A",
    "APC-R700-A": "APC-A",
    "APC-H7-A": "APC-A",
    "BV605-A": "BV421-A",
}
_GLOW = {488: 1.0, 640: 0.13, 405: 1.15}


@dataclass(frozen=True, slots=True, eq=False)
class Instrument:
    """One cytometer as it stands: ``leak`` is k × k, row = dye, column = detector, at gains of
    one."""

    detectors: tuple[str, ...]
    leak: Floats
    photons_per_unit: Floats
    offset: Floats
    noise: Floats
    glow: Floats
    height_ratio: float
    step: float


def build_instrument(rng: np.random.Generator, detectors: Sequence[str]) -> Instrument:
    """Draw a plausible instrument for the detectors of a panel."""
    k = len(detectors)
    return Instrument(
        detectors=tuple(detectors),
        leak=draw_leak(rng, detectors),
        photons_per_unit=np.exp(rng.uniform(np.log(0.04), np.log(0.25), k)),
        offset=rng.normal(0, 8, k),
        noise=rng.uniform(22, 60, k),
        glow=np.array([_glow(name) for name in detectors]) * rng.uniform(0.7, 1.3, k),
        height_ratio=float(rng.uniform(0.82, 0.97)),
        step=float(rng.choice([0.25, 0.5, 1.0])),
    )


def draw_leak(rng: np.random.Generator, dyes: Sequence[str]) -> Floats:
    """Draw how much of each dye every detector sees: neighbours to the red most, at most 40 %."""
    leak = np.eye(len(dyes))
    for row, dye in enumerate(dyes):
        for column, detector in enumerate(dyes):
            if row != column:
                leak[row, column] = min(_share(rng, dye, detector), 0.40)
    return leak


def _share(rng: np.random.Generator, dye: str, detector: str) -> float:
    (laser, peak), (other_laser, seen) = COLOURS[dye], COLOURS[detector]
    if _PARENT.get(dye) == detector:
        return float(rng.uniform(0.005, 0.05))
    if laser == other_laser:
        reach = float(np.exp(-max(abs(seen - peak) - 35, 0) / 50))
        return 0.36 * reach * rng.uniform(0.4, 1.25) * (1.0 if seen > peak else 0.12)
    if abs(seen - peak) < 45:
        return 0.05 * rng.beta(1.2, 3.0)
    return 0.004 * rng.beta(0.5, 2.0)


def _glow(detector: str) -> float:
    laser, seen = COLOURS[detector]
    reach = 160 if laser == 640 else 110
    return float(_GLOW[laser] * np.exp(-max(seen - 530, 0) / reach))


@dataclass(frozen=True, slots=True, eq=False)
class Gains:
    """Factors of one tube on its detectors: ``colour`` (k), forward and side scatter."""

    colour: Floats
    forward: float
    side: float


def draw_gains(
    rng: np.random.Generator,
    detectors: int,
    colour: tuple[float, float],
    scatter: tuple[float, float],
) -> Gains:
    """Draw gains between two limits: a factor common to all detectors times one of each."""
    low, high = np.log(colour)
    common = rng.uniform(low, high) / 2
    own = np.exp(np.clip(common + rng.uniform(low, high, detectors) / 2, low, high))
    forward, side = (float(np.exp(rng.uniform(*np.log(scatter)))) for _ in range(2))
    return Gains(own, forward, side)


def stored_spill(
    rng: np.random.Generator, instrument: Instrument, gains: Gains, error: float
) -> Floats:
    """Give the spill stored at these gains: measured with a relative error, diagonal one."""
    measured = instrument.leak * gains.colour[None, :] / gains.colour[:, None]
    off = ~np.eye(len(measured), dtype=bool)
    wrong = rng.normal(1, error, measured.shape)
    measured[off] = np.clip(measured * wrong + rng.normal(0, error / 30, measured.shape), 0, None)[
        off
    ]
    return measured


def detect(
    rng: np.random.Generator, light: Floats, instrument: Instrument, gains: Floats
) -> Floats:
    """Turn light (n × k, units at a gain of one) into what the detectors write; ``gains`` is (k,)
    or (n × k).

    Photoelectrons are negative binomial (their rate trembles by 2 %), electronic noise has tails,
    values are digitised and pile up at the end of the range.
    """
    rate = light * instrument.photons_per_unit
    counted = rng.poisson(rate * rng.gamma(2_500.0, 1 / 2_500.0, rate.shape)).astype(np.float64)
    signal = (
        counted / instrument.photons_per_unit * rng.gamma(5_000.0, 1 / 5_000.0, (len(light), 1))
    )
    floor = instrument.offset + instrument.noise * rng.standard_normal(rate.shape)
    spikes = rng.random(rate.shape) < 0.01
    floor[spikes] *= 2.5
    return digitised(signal * gains + floor, instrument.step)


def digitised(values: Floats, step: float) -> Floats:
    """Round to the converter's step and cut at the end of the range."""
    return np.clip(np.round(values / step) * step, -4_000.0, RANGE_END)
