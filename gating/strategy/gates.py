"""Describe the gates of a strategy: their shapes, and the scales of their axes."""

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, model_validator

from panels.acquisition_time import TIME
from panels.files.strict_model import Identifier, StrictModel

Bound = float | str
SCATTER = ("FSC-A", "FSC-H", "FSC-W", "SSC-A", "SSC-H", "SSC-W", TIME)


class Scale(StrictModel):
    """How a fluorescence axis is displayed (Gating-ML 2.0, section 6).

    T always comes from the file's ``$PnR``.
    """

    kind: Literal["logicle", "linear"] = "logicle"
    w: float = 0.5
    m: float = 4.5
    a: float = 0.0


class Limits(StrictModel):
    """The part of an axis that a gate keeps.

    ``above`` is included, ``below`` is not (Gating-ML 2.0, 5.1.1).
    """

    above: Bound | None = None
    below: Bound | None = None

    @model_validator(mode="after")
    def _some_limit(self) -> "Limits":
        if self.above is None and self.below is None:
            raise ValueError("give 'above', 'below' or both")
        low, high = self.above, self.below
        if isinstance(low, float) and isinstance(high, float) and low >= high:
            raise ValueError(f"'above' ({low:g}) must be smaller than 'below' ({high:g})")
        return self


class Polygon(StrictModel):
    """A polygon on two axes, vertices in linear units; edges are straight on the displayed scale.

    One that crosses itself keeps what it winds around an odd number of times (Gating-ML 2.0, figure
    12).

    With ``follows`` (the name of a threshold on one of the axes) the vertices move on that axis
    with the threshold: times its value in the tube over its declared value.
    """

    x: str
    y: str
    vertices: tuple[tuple[float, float], ...] = Field(min_length=3)
    follows: Identifier | None = None


class Ellipse(StrictModel):
    """An ellipse on two axes, in the units of the displayed scale (linear for scatter)."""

    x: str
    y: str
    centre: tuple[float, float]
    covariance: tuple[tuple[float, float], tuple[float, float]]
    distance_square: float = Field(gt=0)


class Quadrant(StrictModel):
    """Two dividers and the names of the quadrants, written ``++ +- -+ --`` (first x, then y)."""

    x: str
    y: str
    x_divider: Bound
    y_divider: Bound
    quadrants: Mapping[Literal["++", "+-", "-+", "--"], Identifier]


class Ratio(StrictModel):
    """Events whose ratio of two uncompensated parameters lies in a range (used for singlets)."""

    numerator: str
    denominator: str
    above: float
    below: float


class Cluster(StrictModel):
    """Counting beads: the one tight cluster that is bright in several detectors of ``markers``.

    Where it lies is measured in each tube, uncompensated (``gating.beads.finding``). ``expected``
    (marker → linear units) is where it usually does: it chooses between two clusters, and stands
    for the place where no tube is at hand.
    """

    markers: tuple[str, ...] = Field(min_length=2)
    expected: Mapping[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _expected_is_among_markers(self) -> "Cluster":
        other = sorted(set(self.expected) - set(self.markers))
        if other:
            raise ValueError(f"'expected' names {other[0]!r}, which is not among 'markers'")
        return self


class Coincidence(StrictModel):
    """Two gates of the same cells: those that passed the laser alone, and those that did not.

    The latter passed it together and are in no count.
    """

    alone: Identifier
    together: Identifier


class Plot(StrictModel):
    """Which axes to draw a gate on when its definition does not say."""

    x: str | None = None
    y: str | None = None


SHAPES = (
    "rectangle",
    "polygon",
    "ellipse",
    "quadrant",
    "ratio",
    "cluster",
    "all_of",
    "any_of",
    "none_of",
)


class Gate(StrictModel):
    """One gate: its parent and exactly one shape.

    ``all_of``, ``any_of`` and ``none_of`` combine other gates.
    """

    gate: Identifier
    parent: Identifier
    note: str = ""
    rectangle: Mapping[str, Limits] | None = Field(default=None, min_length=1)
    polygon: Polygon | None = None
    ellipse: Ellipse | None = None
    quadrant: Quadrant | None = None
    ratio: Ratio | None = None
    cluster: Cluster | None = None
    all_of: tuple[Identifier, ...] | None = Field(default=None, min_length=2)
    any_of: tuple[Identifier, ...] | None = Field(default=None, min_length=2)
    none_of: tuple[Identifier, ...] | None = Field(default=None, min_length=1)
    plot: Plot = Plot()

    @model_validator(mode="after")
    def _one_shape(self) -> "Gate":
        given = [shape for shape in SHAPES if getattr(self, shape) is not None]
        if len(given) != 1:
            raise ValueError(
                f"gate '{self.gate}' must have exactly one of {', '.join(SHAPES)}; it has "
                f"{', '.join(given) or 'none'}"
            )
        return self

    @property
    def shape(self) -> str:
        """Name the kind of this gate."""
        return next(shape for shape in SHAPES if getattr(self, shape) is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """List the populations this gate makes: itself, or its quadrants."""
        if self.quadrant:
            return tuple(self.quadrant.quadrants.values())
        return (self.gate,)

    @property
    def combined(self) -> tuple[str, ...]:
        """List the gates a Boolean gate combines."""
        return self.all_of or self.any_of or self.none_of or ()

    @property
    def axes(self) -> tuple[str, ...]:
        """List the markers and scatter parameters the gate is defined on."""
        if self.rectangle is not None:
            return tuple(self.rectangle)
        for shape in (self.polygon, self.ellipse, self.quadrant):
            if shape is not None:
                return (shape.x, shape.y)
        if self.cluster is not None:
            return self.cluster.markers
        if self.ratio is not None:
            return (self.ratio.numerator, self.ratio.denominator)
        return ()

    @property
    def thresholds(self) -> frozenset[str]:
        """Name the thresholds that this gate depends on."""
        named = {bound for _, bound in self.bounds() if isinstance(bound, str)}
        if self.polygon and self.polygon.follows:
            named.add(self.polygon.follows)
        return frozenset(named)

    def bounds(self) -> Iterator[tuple[str, Bound]]:
        """Yield every (axis, bound) of a rectangle or quadrant."""
        for axis, limits in (self.rectangle or {}).items():
            for bound in (limits.above, limits.below):
                if bound is not None:
                    yield axis, bound
        if self.quadrant:
            yield self.quadrant.x, self.quadrant.x_divider
            yield self.quadrant.y, self.quadrant.y_divider
