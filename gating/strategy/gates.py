"""Describe the parts of a gating strategy: scales, thresholds, shapes, gates and reported populations."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from panels.acquisition_time import TIME

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Bound = float | str
Source = Literal[
    "fixed", "gain", "control", "fmo", "baseline", "negative", "valley", "mixture", "pooled"
]
NEEDED_BY: Mapping[Source, tuple[str, ...]] = {
    "fixed": (),
    "gain": ("anchor", "limits"),
    "control": ("seen_in", "limits"),
    "fmo": ("seen_in", "limits"),
    "baseline": ("seen_in", "limits"),
    "negative": ("negative", "limits"),
    "valley": ("seen_in", "limits"),
    "mixture": ("seen_in", "limits"),
    "pooled": ("seen_in", "limits"),
}
"""What a threshold has to declare for each of its sources."""
SCATTER = ("FSC-A", "FSC-H", "FSC-W", "SSC-A", "SSC-H", "SSC-W", TIME)


class StrictModel(BaseModel):
    """A part of a strategy file: it never changes once read, and a key that nobody knows is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Scale(StrictModel):
    """How a fluorescence axis is displayed; T always comes from the file's ``$PnR`` (Gating-ML 2.0, section 6)."""

    kind: Literal["logicle", "linear"] = "logicle"
    w: float = 0.5
    m: float = 4.5
    a: float = 0.0


class Stretch(StrictModel):
    """A part of the axis beside a boundary: up to where it goes, and how far the boundary clears the negative cells' mode there.

    ``clears`` is in SDs of the half below the mode, in a tube where all is right.
    """

    below: float | None = None
    clears: float = Field(gt=0)


class Negative(StrictModel):
    """A gate whose cells never carry the marker (or mostly not), and the robust SD of their linear values where the value is right.

    ``clearance`` says how far the boundary lies above them, in each stretch of the marker
    ``beside`` (whose dye may leak in).
    """

    gate: Identifier
    spread: float = Field(gt=0)
    tail: float = Field(default=0.001, gt=0, lt=1)
    beside: str | None = None
    clearance: tuple[Stretch, ...] = ()

    @model_validator(mode="after")
    def _stretches_follow_each_other(self) -> "Negative":
        ends = [stretch.below for stretch in self.clearance]
        inner = [end for end in ends[:-1] if end is not None]
        if ends and (ends[-1] is not None or len(inner) < len(ends) - 1 or sorted(inner) != inner):
            raise ValueError(
                "the stretches of 'clearance' rise: each but the last has 'below', the last "
                "has none"
            )
        if len(ends) > 1 and self.beside is None:
            raise ValueError(
                "'clearance' has several stretches, so 'beside' must name the marker they are "
                "stretches of"
            )
        return self


class Anchor(StrictModel):
    """A gate whose cells always carry the marker alike, and the median of their linear values where the declared value is right."""

    gate: Identifier
    median: float = Field(gt=0)


class Threshold(StrictModel):
    """One named boundary on one marker: its value, where it may come from in a tube, and the evidence for it.

    ``limits`` are how far a patch version, and any source but ``fixed``, may move the value without
    it being another definition. ``sources`` are tried in order until one passes its own test
    (``gating.thresholds.resolution``): ``seen_in`` is the gate whose cells show both sides of the
    boundary, ``negative`` and ``anchor`` tell whether the tube is stained and detected as the
    declared value supposes.
    """

    marker: str
    value: float
    evidence: str
    limits: tuple[float, float] | None = None
    sources: tuple[Source, ...] = Field(default=("fixed",), min_length=1)
    seen_in: Identifier | None = None
    negative: Negative | None = None
    anchor: Anchor | None = None

    @model_validator(mode="after")
    def _sources_can_be_tried(self) -> "Threshold":
        if self.limits is not None and not self.limits[0] <= self.value <= self.limits[1]:
            raise ValueError(
                f"'value' ({self.value:g}) must lie within 'limits' ({self.limits[0]:g} to "
                f"{self.limits[1]:g})"
            )
        for source in self.sources:
            wanting = [name for name in NEEDED_BY[source] if getattr(self, name) is None]
            if wanting:
                raise ValueError(
                    f"the source '{source}' needs {' and '.join(repr(name) for name in wanting)}"
                )
        if len(set(self.sources)) < len(self.sources):
            raise ValueError("a source is listed twice")
        return self

    @property
    def is_measured(self) -> bool:
        """Tell whether the tube itself has a say in this threshold."""
        return any((self.seen_in, self.negative, self.anchor))

    @property
    def gates(self) -> dict[str, tuple[str, ...]]:
        """Map each gate that tells about this threshold to the key that names it."""
        named = {self.negative.gate: ("negative", "gate")} if self.negative else {}
        named |= {self.anchor.gate: ("anchor", "gate")} if self.anchor else {}
        return named | ({self.seen_in: ("seen_in",)} if self.seen_in else {})


class Limits(StrictModel):
    """The part of an axis that a gate keeps: ``above`` is included, ``below`` is not (Gating-ML 2.0, 5.1.1)."""

    above: Bound | None = None
    below: Bound | None = None

    @model_validator(mode="after")
    def _some_limit(self) -> "Limits":
        if self.above is None and self.below is None:
            raise ValueError("give 'above', 'below' or both")
        if (
            isinstance(self.above, float)
            and isinstance(self.below, float)
            and self.above >= self.below
        ):
            raise ValueError(
                f"'above' ({self.above:g}) must be smaller than 'below' ({self.below:g})"
            )
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
    """Two dividers and the names of the four quadrants, written ``++ +- -+ --`` (first x, then y)."""

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
    """Counting beads: the one tight cluster, bright in several of the ``markers``' detectors (``gating.beads.finding``).

    Each tube tells where it lies, uncompensated. ``expected`` (marker → linear units) is where it
    usually does: it chooses between two clusters, and stands for the place where no tube is at
    hand.
    """

    markers: tuple[str, ...] = Field(min_length=2)
    expected: Mapping[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _expects_what_it_reads(self) -> "Cluster":
        other = sorted(set(self.expected) - set(self.markers))
        if other:
            raise ValueError(f"'expected' names {other[0]!r}, which is not among 'markers'")
        return self


class Coincidence(StrictModel):
    """Two gates of the same cells: those that passed the laser alone, and those that passed it together and are in no count."""

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
    """One gate: its parent and exactly one shape. ``all_of``, ``any_of`` and ``none_of`` combine other gates."""

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
        return tuple(self.quadrant.quadrants.values()) if self.quadrant else (self.gate,)

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
        return (self.ratio.numerator, self.ratio.denominator) if self.ratio else ()

    @property
    def thresholds(self) -> frozenset[str]:
        """Name the thresholds this gate stands on."""
        named = {bound for _, bound in self.bounds() if isinstance(bound, str)}
        return frozenset(
            named | {self.polygon.follows} if self.polygon and self.polygon.follows else named
        )

    def bounds(self) -> Iterator[tuple[str, Bound]]:
        """Yield every (axis, bound) of a rectangle or quadrant."""
        for axis, limits in (self.rectangle or {}).items():
            yield from (
                (axis, bound) for bound in (limits.above, limits.below) if bound is not None
            )
        if self.quadrant:
            yield self.quadrant.x, self.quadrant.x_divider
            yield self.quadrant.y, self.quadrant.y_divider


class Population(StrictModel):
    """One reported population and the rules of its report (docs/design.md, Counting rules)."""

    id: Identifier
    gate: Identifier
    label: str
    reference: Identifier
    anchor: tuple[Identifier, ...] = ()
    minimum_parent_events: int = Field(default=0, ge=0)
    detect_events: int | None = Field(default=None, gt=0)
    quantify_events: int | None = Field(default=None, gt=0)
    clinical_threshold_per_ul: float | None = Field(default=None, gt=0)
    background: Literal["none", "baseline", "negative"] = "none"
    specimens: tuple[Literal["blood", "marrow"], ...] = ("blood", "marrow")
