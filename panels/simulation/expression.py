"""Read what simulated cells carry, and how the simulated cytometer sees it.

The tables lie in ``definitions/simulation``. They are data so that a biologist can review them line
by line; ``panels.simulation.tube`` turns them into events.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from panels.files.yaml_document import read_yaml
from panels.panel import Panel
from panels.text.errors import PanelFault

Amount = tuple[float, float]
Share = tuple[float, float, float]
FloatArray = NDArray[np.float32]


class Look(BaseModel):
    """One trait of a cell: its stains and scatter, and the populations it puts the cell in.

    ``stain`` maps a marker to the median amount of its dye (full scale 262143) and the spread of
    ln(amount); ``some`` maps one that only a share of the cells carry to that share, median and
    spread. ``fsc`` and ``ssc`` are median and spread, ``glow`` is the autofluorescence relative to
    a lymphocyte.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stain: Mapping[str, Amount] = Field(default_factory=dict)
    some: Mapping[str, Share] = Field(default_factory=dict)
    fsc: Amount | None = None
    ssc: Amount | None = None
    glow: float | None = None
    populations: tuple[str, ...] = ()

    def under(self, later: "Look") -> "Look":
        """Lay a later trait over this one."""
        return Look(
            stain={**self.stain, **later.stain},
            some={**self.some, **later.some},
            fsc=later.fsc or self.fsc,
            ssc=later.ssc or self.ssc,
            glow=self.glow if later.glow is None else later.glow,
            populations=tuple(dict.fromkeys((*self.populations, *later.populations))),
        )


class _Family(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    of: tuple[str, ...]
    lists: tuple[tuple[str, ...], ...]
    then: tuple[str, ...] = ()


class _CellFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    traits: Mapping[str, Look]
    kinds: Mapping[str, tuple[str, ...]]
    families: tuple[_Family, ...]


class Detector(BaseModel):
    """One fluorescence detector: its laser, and how much autofluorescence and light it detects.

    ``photoelectrons`` is what it makes of one unit of light.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    laser: str
    glow: float
    photoelectrons: float = Field(gt=0)


class Optics(BaseModel):
    """The detectors of the simulated cytometer, and its spillover.

    ``spill`` maps dye → detector → percentage of the dye that leaks into it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    detectors: Mapping[str, Detector]
    background: float
    noise: float
    spill: Mapping[str, Mapping[str, float]]

    def spill_among(self, detectors: Iterable[str]) -> NDArray[np.float64]:
        """Give the true spillover matrix of these detectors.

        Row = dye, column = detector, 1 on the diagonal.
        """
        names = list(detectors)
        matrix = np.eye(len(names))
        for i, dye in enumerate(names):
            for j, other in enumerate(names):
                if i != j:
                    matrix[i, j] = self.spill.get(dye, {}).get(other, 0.0) / 100
        return matrix


@dataclass(frozen=True, slots=True)
class CellTable:
    """All kinds of simulated particles; arrays have one row a kind, in the order of ``kinds``."""

    kinds: tuple[str, ...]
    looks: tuple[Look, ...]

    def index(self, kind: str) -> int:
        """Find the row of a kind; raises PanelFault when there is none of that name."""
        if kind not in self.kinds:
            raise PanelFault(
                f"The simulation knows no cells called '{kind}'. It knows: {', '.join(self.kinds)}."
            )
        return self.kinds.index(kind)

    def populations(self) -> tuple[str, ...]:
        """List every reported population that some kind belongs to."""
        return tuple(dict.fromkeys(name for look in self.looks for name in look.populations))

    def members(self, population: str) -> NDArray[np.bool_]:
        """Tell for each kind whether its cells belong to a reported population."""
        return np.array([population in look.populations for look in self.looks])

    def stain(self, markers: Iterable[str]) -> tuple[FloatArray, FloatArray]:
        """Give ln(median) (-inf where a kind has none) and spread, kinds × markers."""
        names = list(markers)
        amounts = np.array(
            [[look.stain.get(name, (0.0, 0.0)) for name in names] for look in self.looks],
            np.float32,
        )
        with np.errstate(divide="ignore"):
            return np.log(amounts[..., 0]), amounts[..., 1]

    def scatter(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Give median and spread of FSC-A and SSC-A, and the relative autofluorescence.

        The first two have the shape kinds × 2, the last has one entry a kind.
        """
        none = (0.0, 0.0)
        pairs = np.array([[look.fsc or none, look.ssc or none] for look in self.looks], np.float32)
        glow = np.array([look.glow or 0.0 for look in self.looks], np.float32)
        return pairs[..., 0], pairs[..., 1], glow


@lru_cache(maxsize=1)
def cell_table() -> CellTable:
    """Read the shipped table of simulated cells."""
    table = _CellFile.model_validate(_content("cells.yaml"))
    traits_of = dict(table.kinds)
    for family in table.families:
        for chosen in product(*family.lists):
            traits_of["_".join(chosen)] = (*family.of, *chosen, *family.then)
    looks = []
    for traits in traits_of.values():
        look = Look()
        for trait in traits:
            look = look.under(table.traits[trait])
        looks.append(look)
    return CellTable(kinds=tuple(traits_of), looks=tuple(looks))


@lru_cache(maxsize=1)
def optics() -> Optics:
    """Read the shipped description of the simulated cytometer."""
    return Optics.model_validate(_content("optics.yaml"))


def check_panel(panel: Panel) -> None:
    """Raise PanelFault for a marker or detector that the simulation does not describe."""
    stained = {marker for look in cell_table().looks for marker in (*look.stain, *look.some)}
    for stain in panel.markers:
        if stain.marker not in stained:
            raise PanelFault(
                f"Panel {panel.panel} cannot be simulated: no cell has an amount of {stain.marker}."
            )
        if stain.detector not in optics().detectors:
            raise PanelFault(
                f"Panel {panel.panel} cannot be simulated: the detector {stain.detector} is "
                f"not described."
            )


def _content(name: str) -> Any:
    path = Path(str(files("panels") / "definitions" / "simulation" / name))
    return read_yaml(path, PanelFault).content
