"""Describe what a map is made of: the content of ``map.yaml`` (docs/explore.md)."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from gating.strategy.gates import Scale
from panels.files.strict_model import Identifier, StrictModel
from tasks.explore.embedding import Layout

SHA256 = r"^[0-9a-f]{64}$"
FORMAT = 1


class MapMarker(StrictModel):
    """A marker that makes the map, and its display scale."""

    marker: str
    scale: Scale


class LeftOut(StrictModel):
    """A marker of the panel that does not make the map, and why."""

    marker: str
    why: str


class Sampling(StrictModel):
    """How the reference was chosen: most events of a tube, and of all; the rule's number."""

    per_tube: int = Field(gt=0)
    most: int = Field(gt=0)
    rule: int


class ReferenceTube(StrictModel):
    """A tube of the reference: events of the compartment in it, how many of them make the map.

    ``counted_as`` stands for what counted it: strategy, panel, calibration, corrections.
    """

    sha256: str = Field(pattern=SHA256)
    patient: str
    visit: str
    events: int = Field(ge=0)
    sampled: int = Field(ge=0)
    counted_as: str = Field(pattern=SHA256)


class LayoutRecord(StrictModel):
    """The parameters of UMAP."""

    neighbours: int = Field(ge=2, le=1000)
    min_dist: float = Field(ge=0)
    epochs: int = Field(ge=1)
    placing_epochs: int = Field(ge=1)
    negative_samples: int = Field(ge=0)
    seed: int = Field(ge=0)

    @property
    def layout(self) -> Layout:
        """Give them as what fits and places."""
        return Layout(**self.model_dump())


class MapRecord(StrictModel):
    """One version of a map; ``coordinates_sha256`` and the like are as in docs/explore.md."""

    format: int = Field(ge=1, le=FORMAT)
    map: str
    made: str
    reason: str
    program: str
    population: Identifier
    gate: Identifier
    specimen: str
    panel: str
    panel_sha256: str = Field(pattern=SHA256)
    strategy: str
    strategy_sha256: str = Field(pattern=SHA256)
    calibrations: tuple[str, ...]
    markers: tuple[MapMarker, ...] = Field(min_length=2)
    left_out: tuple[LeftOut, ...]
    sampling: Sampling
    umap: LayoutRecord
    libraries: Mapping[str, str]
    reference_sha256: str = Field(pattern=SHA256)
    coordinates_sha256: str = Field(pattern=SHA256)
    probe_sha256: str = Field(pattern=SHA256)
    tubes: tuple[ReferenceTube, ...] = Field(min_length=1)

    @property
    def names(self) -> tuple[str, ...]:
        """Name the markers that make the map."""
        return tuple(each.marker for each in self.markers)

    @property
    def version(self) -> str:
        """Give the version's number."""
        return self.map.rpartition("@")[2]
