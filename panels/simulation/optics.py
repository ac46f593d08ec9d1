"""Turn dye into detector signals: spillover, autofluorescence, photon noise, electronics."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from panels.simulation.conditions import Conditions
from panels.simulation.crowd import Crowd, IndexArray
from panels.simulation.expression import CellTable, FloatArray, optics

FULL_SCALE = 262143.0
FLOOR = -111.0
BEAD_LIGHT = 400_000.0
_GLOW = (175.0, 0.30)
_LASER_JITTER = 0.02
_CHANNEL_JITTER = 0.01


def true_spill(detectors: tuple[str, ...], conditions: Conditions) -> NDArray[np.float64]:
    """Give the spillover matrix that acts on the light (row = dye, column = detector)."""
    matrix = optics().spill_among(detectors)
    for dye, leaks in conditions.spill_added.items():
        for detector, fraction in leaks.items():
            if dye in detectors and detector in detectors:
                matrix[detectors.index(dye), detectors.index(detector)] += fraction
    return matrix


def stored_spill(
    detectors: tuple[str, ...], conditions: Conditions, rng: Generator
) -> NDArray[np.float64]:
    """Draw the matrix that the instrument writes into the file (row = dye, column = detector).

    It is the usual one with the error of its compensation controls.
    """
    matrix = optics().spill_among(detectors)
    error = rng.normal(
        1 + conditions.compensation_bias, conditions.compensation_error, matrix.shape
    )
    absolute = rng.uniform(-0.002, 0.002, matrix.shape) if conditions.compensation_error else 0.0
    stored = np.where(matrix > 0, np.maximum(matrix * error + absolute, 0.0), 0.0)
    np.fill_diagonal(stored, 1.0)
    rounded: NDArray[np.float64] = stored.round(6)
    return rounded


def add_glow(
    light: FloatArray, table: CellTable, crowd: Crowd, detectors: tuple[str, ...], rng: Generator
) -> None:
    """Add autofluorescence to the light on the detectors (n × detectors), and set that of beads.

    Beads outshine everything.
    """
    glow = table.scatter()[2][crowd.kind] * np.where(crowd.dead, np.float32(2.5), np.float32(1))
    glow *= np.float32(_GLOW[0]) * np.exp(
        np.float32(_GLOW[1]) * rng.standard_normal(glow.size, dtype=np.float32)
    )
    light += glow[:, None] * np.array(
        [optics().detectors[name].glow for name in detectors], np.float32
    )
    beads = np.flatnonzero(crowd.kind == table.index("bead"))
    light[beads] = BEAD_LIGHT * np.exp(
        0.03 * rng.standard_normal((beads.size, len(detectors)), dtype=np.float32)
    )


def merge(light: FloatArray, pairs: tuple[IndexArray, IndexArray]) -> None:
    """Add the light of the second cell of each doublet to that of the first, in its row."""
    light[pairs[0]] += light[pairs[1]]


def detect(
    light: FloatArray,
    crowd: Crowd,
    detectors: tuple[str, ...],
    conditions: Conditions,
    rng: Generator,
) -> FloatArray:
    """Turn light into the recorded signal (n × detectors).

    It adds jitter, photon noise, background and electronic noise, then clips. Photoelectrons are
    Poisson; drawn here as the skewed normal of the same mean, variance and third moment
    (Cornish-Fisher), a tenth of the cost: the electronic noise hides the single photoelectron
    anyway.
    """
    known = [optics().detectors[name] for name in detectors]
    lasers = sorted({detector.laser for detector in known})
    jitter = np.float32(_CHANNEL_JITTER) * rng.standard_normal(light.shape, dtype=np.float32)
    shared = np.float32(_LASER_JITTER) * rng.standard_normal(
        (light.shape[0], len(lasers)), dtype=np.float32
    )
    jitter += shared[:, [lasers.index(detector.laser) for detector in known]]
    light *= np.exp(jitter, out=jitter)
    blue = [column for column, detector in enumerate(known) if detector.laser == "blue"]
    if crowd.anomaly.any():
        light[:, blue] *= crowd.dimming[:, None]
    efficiency = np.array([detector.photoelectrons for detector in known], np.float32)
    background, noise = np.float32(optics().background), np.float32(optics().noise)
    mean = light
    mean += background
    mean *= efficiency
    draw = rng.standard_normal(light.shape, dtype=np.float32)
    photons = mean + np.sqrt(mean) * draw + (draw * draw - 1) / np.float32(6)
    signal = np.maximum(photons, 0, out=photons)
    signal /= efficiency
    signal -= background
    signal += noise * rng.standard_normal(light.shape, dtype=np.float32)
    signal *= np.array([conditions.gain.get(name, 1.0) for name in detectors], np.float32)
    return np.clip(signal, FLOOR, FULL_SCALE, out=signal)
