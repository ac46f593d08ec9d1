"""Describe a landmark of a strategy: cells whose place on some axes tells how an instrument sees.

Scatter and detector gains differ freely between instruments. Cells that are everywhere alike show
by how much: what a strategy draws on an axis is moved with them (``gating.strategy.axis_map``).
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from panels.files.strict_model import Identifier, StrictModel


class Landmark(StrictModel):
    """A gate, and the axes on which its cells' mode is a landmark.

    ``bright``: of cells that carry the marker or not, those beyond the valley between the two.

    ``at`` is where the modes lie on the instrument that the strategy is drawn on, in linear units;
    a strategy that names a calibration has them there.
    """

    gate: Identifier
    axes: tuple[str, ...] = Field(min_length=1)
    bright: bool = False
    at: Mapping[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _places_are_of_its_axes(self) -> "Landmark":
        other = sorted(set(self.at) - set(self.axes))
        if other:
            raise ValueError(f"'at' names {other[0]!r}, which is not among 'axes'")
        return self
